//! Connections on real sockets: what a client may take its time for, which one goes first, and what becomes of a body
//! that nobody reads.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;
mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::Gateway;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use verify_gateway::app::App;
use verify_gateway::serve::{Limits, serve_until};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
const HEAD: &str = "POST /verify/send HTTP/1.1\r\nhost: x\r\nauthorization: Bearer shop-key\r\n\
                    content-type: application/json\r\n";
/// Nothing that is waited for here takes so long, on any machine.
const LONG: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits {
        connections: 50,
        head: LONG,
        body: LONG,
        idle: LONG,
        parting: LONG,
    }
}

async fn serving(gateway: Gateway, limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_until(listener, gateway.app, limits, std::future::pending()));
    address
}

/// A client that has said this and no more.
async fn saying(address: SocketAddr, text: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(text.as_bytes()).await.unwrap();
    client
}

/// What came before the other side ended it; `None` when it does not within a long time.
async fn rest(client: &mut TcpStream) -> Option<String> {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(LONG, client.read_to_end(&mut rest)).await;
    ended.ok().map(|_| String::from_utf8_lossy(&rest).into_owned())
}

async fn ends(client: &mut TcpStream) -> bool {
    rest(client).await.is_some()
}

/// Head and body of the next answer; `None` when the connection ends instead.
async fn answer(client: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let head_end = text.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = head_end {
            let head = String::from_utf8(text[..end].to_vec()).unwrap().to_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length: usize = length
                .and_then(|rest| rest.lines().next())
                .map_or(0, |text| text.trim().parse().unwrap());
            if text.len() >= end + 4 + length {
                return Some(head);
            }
        }
        let mut bytes = [0; 4096];
        match client.read(&mut bytes).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => text.extend_from_slice(&bytes[..count]),
        }
    }
}

async fn asks(client: &mut TcpStream, request: &str) -> Option<String> {
    client.write_all(request.as_bytes()).await.ok()?;
    answer(client).await
}

#[tokio::test]
async fn i142_whatever_a_client_is_slow_with_its_connection_ends() {
    let soon = Duration::from_millis(100);
    let half_body = format!("{HEAD}content-length: 100\r\n\r\n{{\"to\":");
    for (said, limits) in [
        (
            "",
            Limits {
                idle: soon,
                ..limits()
            },
        ),
        (
            HEALTH,
            Limits {
                idle: soon,
                ..limits()
            },
        ),
        (
            "GET /hea",
            Limits {
                head: soon,
                ..limits()
            },
        ),
        (
            HEAD,
            Limits {
                head: soon,
                ..limits()
            },
        ),
        (
            &*half_body,
            Limits {
                body: soon,
                ..limits()
            },
        ),
    ] {
        let address = serving(Gateway::demo(), limits).await;
        let mut client = saying(address, said).await;
        // Nobody answered in its place, who might have waited less than this connection may.
        let rest = rest(&mut client).await;
        let answered = rest.map(|rest| rest.starts_with("HTTP/1.1 "));
        assert_eq!(answered, Some(said == HEALTH), "{said:?}");
    }
}

/// A byte now and then buys no time: it is counted from the first one.
#[tokio::test]
async fn i142_a_head_in_drops_ends_too() {
    let limits = Limits {
        head: Duration::from_millis(200),
        ..limits()
    };
    let address = serving(Gateway::demo(), limits).await;
    let (mut read, mut write) = saying(address, "GET /healthz HTTP/1.1\r\n").await.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(b"a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut rest = Vec::new();
    // Its end, or a reset: bytes were under way.
    let ended = tokio::time::timeout(LONG, read.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty());
    dripping.await.unwrap();
}

/// However many there are, what each of them can have kept is short.
#[tokio::test]
async fn i142_a_head_that_is_too_long_is_not_kept() {
    let address = serving(Gateway::demo(), limits()).await;
    let endless = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(64 * 1024));
    let mut client = TcpStream::connect(address).await.unwrap();
    // It may be refused before all of it is out.
    client.write_all(endless.as_bytes()).await.ok();
    let head = answer(&mut client).await.unwrap_or_default();
    assert!(head.starts_with("http/1.1 431"), "{head}");
}

#[tokio::test]
async fn a_body_in_parts_is_one_body() {
    let address = serving(Gateway::demo(), limits()).await;
    let body = "{\"to\":\"+12025550143\"}";
    let chunks: String = body.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    let text = format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let mut client = saying(address, &text).await;
    let head = answer(&mut client).await.unwrap_or_default();
    assert!(head.starts_with("http/1.1 201"), "{head}");
}

#[tokio::test]
async fn i142_where_there_is_no_room_who_waited_longest_goes_first() {
    let address = serving(
        Gateway::demo(),
        Limits {
            connections: 3,
            ..limits()
        },
    )
    .await;
    // Each has been accepted once it, or one after it, was answered.
    let mut silent = saying(address, "").await;
    let mut half = saying(address, "GET /hea").await;
    let mut kept = saying(address, "").await;
    assert!(asks(&mut kept, HEALTH).await.is_some());
    let mut next = saying(address, "").await;
    assert!(asks(&mut next, HEALTH).await.is_some());
    assert!(ends(&mut silent).await, "the first one said nothing");
    let mut another = saying(address, "").await;
    assert!(asks(&mut another, HEALTH).await.is_some());
    assert!(ends(&mut half).await, "the second one said half of a head");
    for client in [&mut kept, &mut next, &mut another] {
        assert!(asks(client, HEALTH).await.is_some(), "the others go on");
    }
}

#[test]
fn i142_more_silent_sockets_than_descriptors_and_health_answers_on() {
    let mut command = std::process::Command::new("sh");
    let program = program::program();
    command
        .env_clear()
        .args(["-c", "ulimit -n 160; exec \"$0\" --listen 127.0.0.1:0"])
        .arg(program.get_program())
        .stderr(Stdio::piped());
    let serving = program::Serving::of(command.spawn().unwrap(), "Open http://");
    let mut held = Vec::new();
    for index in 0..400 {
        let mut socket = std::net::TcpStream::connect(&serving.address).unwrap();
        if index % 2 == 0 {
            socket.write_all(b"GET /healthz HT").unwrap();
        }
        held.push(socket);
    }
    let begun = Instant::now();
    assert!(serving.get("/healthz").starts_with("HTTP/1.1 200"));
    let sent = serving.post("/verify/send", "{\"to\":\"+12025550143\"}");
    assert!(sent.starts_with("HTTP/1.1 201"), "{sent}");
    let answered = begun.elapsed();
    assert!(answered < Duration::from_secs(10), "{answered:?}");
    let ended = held.iter().filter(|socket| {
        let mut socket: &std::net::TcpStream = socket;
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        matches!(socket.read(&mut [0]), Ok(0))
    });
    assert!(ended.count() >= 400 - 160, "the ones in front went");
}

/// A body in chunks, of so many bytes.
fn chunked(length: usize) -> String {
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    format!(
        "transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(length / 0x1000)
    )
}

fn sized(length: usize) -> String {
    format!("content-length: {length}\r\n\r\n{}", "x".repeat(length))
}

/// From here on, and for a second, webhooks of this client are not looked at.
fn shut_out(app: &App, client: SocketAddr) {
    while let Some(pass) = app.gate.pass(client.ip()) {
        pass.unsigned();
    }
}

/// An answer that comes before the body was read: the connection goes on, or the answer says that it does not; and the
/// client, which may still be sending, gets the answer. (Who is turned away that early is told 503; a 429 is about a body
/// that was read.)
#[tokio::test]
async fn a_body_that_nobody_reads_costs_no_client_its_answer() {
    let post = |path: &str, headers: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}");
    let json = "content-type: application/json\r\n";
    let key = "authorization: Bearer shop-key\r\n";
    let known = format!("{key}{json}");
    let vars = [
        ("VERIFY_PUBLIC_URL", "https://verify.example.com"),
        ("TWILIO_AUTH_TOKEN", "12345"),
    ];
    let gateway = Gateway::live("http://127.0.0.1:9", &vars);
    let app = Arc::clone(&gateway.app);
    let address = serving(gateway, limits()).await;
    let early = [
        ("401", post("/verify/send", json)),
        ("404", post("/nowhere", &known)),
        ("405", post("/healthz", &known)),
        ("413", post("/verify/send", &known)),
        (
            "415",
            post("/verify/send", &format!("{key}content-type: text/plain\r\n")),
        ),
        ("403", post("/operator/unlock", &known)),
        ("403", post("/webhooks/sms-status", json)),
        ("503", post("/webhooks/voice-status", json)),
    ];
    for (status, head) in &early {
        for body in [
            sized(20_000),
            sized(300_000),
            sized(3_000_000),
            chunked(20_480),
            chunked(409_600),
        ] {
            let about = format!(
                "{status} {} {}",
                head.lines().next().unwrap(),
                body.lines().next().unwrap()
            );
            let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
            let text = format!("{head}{body}");
            if *status == "503" {
                shut_out(&app, address);
            }
            let writing = tokio::spawn(async move {
                let all = write.write_all(text.as_bytes()).await.is_ok();
                (write, all)
            });
            let mut text = Vec::new();
            while !text.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                let count = read.read_buf(&mut text).await.unwrap();
                assert_ne!(count, 0, "{about}: no answer");
            }
            let answered = String::from_utf8_lossy(&text).to_lowercase();
            assert_eq!(answered.split(' ').nth(1), Some(*status), "{about}");
            if answered.contains("connection: close") {
                continue;
            }
            let (mut write, all) = writing.await.unwrap();
            assert!(all, "{about}: it stopped reading and did not say so");
            write.write_all(HEALTH.as_bytes()).await.unwrap();
            while !String::from_utf8_lossy(&text).contains("HTTP/1.1 200") {
                let count = read.read_buf(&mut text).await.unwrap();
                assert_ne!(count, 0, "{about}: it ended and did not say so");
            }
        }
    }
}
