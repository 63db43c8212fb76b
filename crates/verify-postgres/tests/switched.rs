//! A pool in front that hands the words of a connection on, and its transactions to another process of the server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use support::{WITHIN, creating, fresh, nothing, open, reading, record, run, scan, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use verify_core::store::{Store, StoreAnswer};
use verify_postgres::PostgresOptions;

/// What a client said on its line after its first message, and whether another process is to hear the rest.
#[derive(Default)]
struct Line {
    said: Mutex<Vec<u8>>,
    switches: AtomicBool,
    /// Whether that other one hears first what was said to the first.
    repeats: bool,
    /// Whether the names of statements are taken where it leads.
    taken: AtomicBool,
}

impl Line {
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock()).into_owned()
    }
}

/// The messages that a server answers with one `ReadyForQuery`.
fn questions(mut said: &[u8]) -> usize {
    let mut questions = 0;
    while let [kind, a, b, c, d, ..] = said {
        questions += usize::from(matches!(kind, b'Q' | b'S'));
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        said = said.get(1 + length..).unwrap_or_default();
    }
    questions
}

/// Reads so many answers to their ends.
async fn answers(server: &mut TcpStream, mut most: usize) {
    while most > 0 {
        let kind = server.read_u8().await.unwrap();
        let mut rest = vec![0; server.read_u32().await.unwrap() as usize - 4];
        server.read_exact(&mut rest).await.unwrap();
        most -= usize::from(kind == b'Z');
    }
}

async fn process(port: u16, first: &[u8]) -> TcpStream {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    server.write_all(first).await.unwrap();
    server
}

/// Prepares under the names that a client's library uses.
async fn take_names(server: &mut TcpStream) {
    let taken = (0..1_000).map(|number| format!("PREPARE s{number} AS SELECT 1;"));
    let taken: String = taken.collect();
    server.write_all(b"Q").await.unwrap();
    server.write_u32(taken.len() as u32 + 5).await.unwrap();
    server.write_all(taken.as_bytes()).await.unwrap();
    server.write_all(b"\0").await.unwrap();
    answers(server, 1).await;
}

/// One client's line; it is switched when it next says something.
async fn serve(mut client: TcpStream, port: u16, line: Arc<Line>) {
    let length = client.read_u32().await.unwrap();
    let mut first = length.to_be_bytes().to_vec();
    first.resize(length as usize, 0);
    client.read_exact(first.get_mut(4..).unwrap()).await.unwrap();
    let mut behind = process(port, &first).await;
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                if line.taken.swap(false, Ordering::SeqCst) {
                    take_names(&mut behind).await;
                }
                if line.switches.swap(false, Ordering::SeqCst) {
                    behind = process(port, &first).await;
                    answers(&mut behind, 1).await;
                    let said = std::mem::take(&mut *line.said.lock());
                    if line.repeats {
                        behind.write_all(&said).await.unwrap();
                        answers(&mut behind, questions(&said)).await;
                    }
                }
                line.said.lock().extend(&asked[..length]);
                behind.write_all(&asked[..length]).await.unwrap();
            }
            read = behind.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                client.write_all(&answered[..length]).await.unwrap();
            }
        }
    }
}

/// A statement that is read with, by its text: it was not prepared.
const BY_TEXT: &str = ".record WHERE lane";

/// A pool in front of the tests' server, and options that lead there.
async fn in_front(options: &PostgresOptions, line: &Arc<Line>) -> PostgresOptions {
    let port = server().port();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let of_all = Arc::clone(line);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, port, Arc::clone(&of_all)));
        }
    });
    let mut options = options.clone();
    options.config = PostgresOptions::parse(&format!("postgres://postgres@{at}/postgres"))
        .unwrap()
        .config;
    options
}

async fn switched(repeats: bool) {
    let line = Arc::new(Line {
        repeats,
        ..Line::default()
    });
    let direct = fresh();
    // Its lane is there, and in what is repeated nothing is written.
    let store = open(direct.clone()).await;
    store.apply(&creating(1), WITHIN).await.seen().unwrap();
    let store = open(in_front(&direct, &line).await).await;
    // The first transaction sees that it may prepare, the second one prepares.
    let mut by_text = Vec::new();
    for _ in 0..4 {
        store.apply(&reading(1), WITHIN).await.seen().unwrap();
        by_text.push(line.said().matches(BY_TEXT).count());
    }
    let said = line.said();
    assert_eq!(
        said.matches("verify.prepared', '").count(),
        1,
        "nothing is prepared"
    );
    assert_eq!(by_text[1], by_text[3], "what is prepared is not used: {said}");

    line.switches.store(true, Ordering::SeqCst);
    let answer = store.apply(&creating(2), WITHIN).await;
    assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
    let said = line.said();
    let (before, after) = said.split_once("ROLLBACK").unwrap();
    assert!(!before.contains(BY_TEXT) && after.contains(BY_TEXT), "{said}");
    let seen = store.apply(&reading(2), WITHIN).await.seen().unwrap();
    assert!(seen.record(&record(2)).is_some());
    store.apply(&nothing(), WITHIN).await.seen().unwrap();
    scan(&direct).await;
}

#[test]
fn i149_what_is_prepared_is_not_used_in_another_process_of_the_server() {
    run(async {
        switched(false).await;
        // There it finds statements of the same names.
        switched(true).await;
    });
}

#[test]
fn i149_what_cannot_be_prepared_is_decided_all_the_same() {
    run(async {
        let line = Arc::new(Line::default());
        line.taken.store(true, Ordering::SeqCst);
        let store = open(in_front(&fresh(), &line).await).await;
        for number in 0..4 {
            let answer = store.apply(&creating(number), WITHIN).await;
            assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        }
        let said = line.said();
        assert_eq!(said.matches("verify.prepared', '").count(), 1, "{said}");
    });
}
