//! Lines that break in either direction, a full disk, a copy that takes over: what was answered is true.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use support::{Told, creating, directory, fresh, load, missing, nothing, open, recovered, run, scan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use verify_core::store::{Store, StoreAnswer, StoreFault};
use verify_lab::{PostgresServer, SmallDisk, Syncs};
use verify_postgres::PostgresOptions;

/// What breaks: nothing, or the line at every so many pieces that come from one side.
#[derive(Debug, Clone, Copy)]
struct Breaks {
    from_client: u32,
    from_server: u32,
}

/// A line to a server that breaks now and then; its port.
async fn line(to: u16, breaks: Breaks, holds: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, answered) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (asked, answered, holds) = (Arc::clone(&asked), Arc::clone(&answered), Arc::clone(&holds));
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
                    return;
                };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let there = pieces(
                    &mut from_client,
                    &mut to_server,
                    &asked,
                    breaks.from_client,
                    &holds,
                );
                let back = pieces(
                    &mut from_server,
                    &mut to_client,
                    &answered,
                    breaks.from_server,
                    &holds,
                );
                // Where one direction breaks the other does, too.
                tokio::select! { () = there => {} () = back => {} }
            });
        }
    });
    port
}

/// Hands pieces on until one is the one that breaks, which is lost.
async fn pieces(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    count: &AtomicU32,
    breaks_at: u32,
    holds: &AtomicBool,
) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let breaks = breaks_at > 0 && number.is_multiple_of(breaks_at) && !holds.load(Ordering::SeqCst);
        if breaks || to.write_all(piece.get(..length).unwrap()).await.is_err() {
            return;
        }
    }
}

/// Has a load run over a line that breaks, after a first write and these statements; what it was told.
async fn over(breaks: Breaks, statements: &str) -> Told {
    let options = fresh();
    let holds = Arc::new(AtomicBool::new(true));
    let port = line(support::server().port(), breaks, Arc::clone(&holds)).await;
    let mut over = options.clone();
    over.config = PostgresOptions::parse(&format!("postgres://postgres@127.0.0.1:{port}/postgres"))
        .unwrap()
        .config;
    let store = open(over).await;
    assert!(
        store
            .apply(&creating(999_999), support::WITHIN)
            .await
            .seen()
            .is_ok()
    );
    support::execute(&statements.replace("{s}", &options.schema)).await;
    holds.store(false, Ordering::SeqCst);
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let running = load(&store, 0, &stop, &count);
    while count.load(Ordering::SeqCst) < 400 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    let told = running.await.unwrap();
    holds.store(true, Ordering::SeqCst);
    recovered(&store).await;
    assert_eq!(missing(&open(options.clone()).await, &told).await, 0);
    scan(&options).await;
    told
}

#[test]
fn i149_questions_that_are_lost_were_not_decided_or_are_in_doubt() {
    run(async {
        let breaks = Breaks {
            from_client: 7,
            from_server: 0,
        };
        let told = over(breaks, "").await;
        assert!(
            !told.not_applied.is_empty() || !told.unknown.is_empty(),
            "nothing broke"
        );
    });
}

const ANSWERS_ARE_LOST: Breaks = Breaks {
    from_client: 0,
    from_server: 7,
};

/// A commit whose answer was lost is asked about, and mostly known then.
#[test]
fn i149_answers_that_are_lost_are_asked_for_once_more() {
    run(async {
        let told = over(ANSWERS_ARE_LOST, "").await;
        let in_doubt = told.unknown.len();
        assert!(
            in_doubt * 4 < told.applied.len(),
            "{in_doubt} of {}",
            told.applied.len()
        );
    });
}

const NUMBERS_ARE_GONE: &str = "DELETE FROM {s}.batch;
    CREATE FUNCTION {s}.gone() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER gone BEFORE INSERT OR UPDATE ON {s}.batch FOR EACH ROW EXECUTE FUNCTION {s}.gone()";

/// As when a clock jumped ahead and the number of the last batch was dropped: "not there" is no "no" where it was before.
#[test]
fn i146_a_number_that_is_gone_is_no_answer() {
    run(async {
        let told = over(ANSWERS_ARE_LOST, NUMBERS_ARE_GONE).await;
        assert!(!told.unknown.is_empty(), "nothing was asked about");
    });
}

/// A line to a server that breaks before the answer to the next commit, each time it is told to; its port.
async fn loses_commits(to: u16, loses: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let loses = Arc::clone(&loses);
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = async {
                    let mut piece = vec![0; 64 << 10];
                    while let Ok(length @ 1..) = from_server.read(&mut piece).await {
                        let said = piece.get(..length).unwrap();
                        let is_commit = said.windows(7).any(|word| word == b"COMMIT\0");
                        if is_commit && loses.swap(false, Ordering::SeqCst) {
                            return;
                        }
                        if to_client.write_all(said).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! { _ = tokio::io::copy(&mut from_client, &mut to_server) => {} () = back => {} }
            });
        }
    });
    port
}

/// Also where no commit of this process in that lane was ever answered.
#[test]
fn i146_a_number_that_was_only_seen_and_is_gone_is_no_answer() {
    run(async {
        let (options, loses) = (fresh(), Arc::new(AtomicBool::new(false)));
        let port = loses_commits(support::server().port(), Arc::clone(&loses)).await;
        let mut over = options.clone();
        over.config = PostgresOptions::parse(&format!("postgres://postgres@127.0.0.1:{port}/postgres"))
            .unwrap()
            .config;
        let store = open(over).await;
        loses.store(true, Ordering::SeqCst);
        let asked = store.apply(&creating(1), support::WITHIN).await;
        assert!(matches!(asked, StoreAnswer::Applied(_)), "{asked:?}");
        assert!(!loses.load(Ordering::SeqCst), "no answer was lost");
        support::execute(&NUMBERS_ARE_GONE.replace("{s}", &options.schema)).await;
        loses.store(true, Ordering::SeqCst);
        let asked = store.apply(&creating(2), support::WITHIN).await;
        assert!(matches!(asked, StoreAnswer::Unknown(_)), "{asked:?}");
        assert!(!loses.load(Ordering::SeqCst), "no answer was lost");
    });
}

#[test]
fn i149_a_full_disk_refuses_what_writes_and_room_mends_it() {
    let disk = match SmallDisk::mounted(&directory("full"), 120) {
        Ok(disk) => disk,
        // The test command says so by name.
        Err(error) => return println!("skipped: no file system can be mounted here: {error}"),
    };
    run(async {
        let small = "wal_level = minimal\nmax_wal_senders = 0\nmin_wal_size = '32MB'\nmax_wal_size = '32MB'\nwal_recycle = off";
        let server = PostgresServer::start(&disk.path().join("server"), Syncs::No, small).unwrap();
        let store = open(PostgresOptions::parse(&server.url()).unwrap()).await;
        let before = store.apply(&creating(1), support::WITHIN).await;
        assert!(matches!(before, StoreAnswer::Applied(_)), "{before:?}");
        // Somebody else's file takes what is left.
        disk.fill().unwrap();
        let mut full = None;
        for number in 2..20_000 {
            let answer = store.apply(&creating(number), support::WITHIN).await;
            if let StoreAnswer::NotApplied(fault) = answer {
                full = Some((number, fault));
                break;
            }
        }
        let (number, fault) = full.unwrap();
        assert!(
            matches!(fault, StoreFault::Full(_) | StoreFault::Unavailable(_)),
            "{fault:?}"
        );
        disk.make_room().unwrap();
        recovered(&store).await;
        let again = store.apply(&creating(number), support::WITHIN).await;
        assert!(matches!(again, StoreAnswer::Applied(_)), "{again:?}");
    });
}

/// What was answered with synchronous replication is on the copy that takes over.
#[test]
fn i149_a_copy_that_is_promoted_goes_on_with_what_was_answered() {
    run(async {
        let at = directory("primary");
        let primary = PostgresServer::start(
            &at,
            Syncs::No,
            "wal_level = replica\nmax_wal_senders = 4\nsynchronous_standby_names = ''",
        )
        .unwrap();
        let mut copy = PostgresServer::copy_of(&primary, &directory("copy")).unwrap();
        copy.begin(&[]).unwrap();
        // From here on a commit waits for the copy.
        let owner = PostgresOptions::parse(&primary.url()).unwrap();
        let (client, connection) = owner.config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
            .batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            .await
            .unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let both = format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
            primary.port(),
            copy.port()
        );
        let store = open(PostgresOptions::parse(&both).unwrap()).await;
        let epoch = store.health().await.unwrap().epoch;
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let running = load(&store, 0, &stop, &count);
        while count.load(Ordering::SeqCst) < 200 {
            tokio::task::yield_now().await;
        }
        let mut primary = primary;
        primary.kill().unwrap();
        copy.promote().unwrap();
        stop.store(true, Ordering::SeqCst);
        let told = running.await.unwrap();
        recovered(&store).await;
        assert_eq!(missing(&store, &told).await, 0);
        let origin = store.health().await.unwrap();
        assert_eq!(origin.epoch, epoch);
        assert!(origin.moved.is_some(), "nobody saw that the copy took over");
        assert!(store.apply(&nothing(), support::WITHIN).await.seen().is_ok());
    });
}
