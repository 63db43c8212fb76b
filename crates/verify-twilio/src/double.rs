//! A scripted HTTP server that stands in for Twilio in tests, and the signature of what Twilio calls back with.
//!
//! It listens on a free port of this machine, records every request as it came, and gives the scripted answers in
//! order. It knows nothing about Twilio: what it says is what the test wrote. A request beyond the script is answered
//! with 501 and recorded, so that a test that counts requests sees it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Larger bodies are not read.
const MOST_BYTES: usize = 1 << 20;

/// The server. Stops when it is dropped.
#[derive(Debug)]
pub struct Double {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// `GET`, `POST`.
    pub method: String,
    /// Path and query, still encoded.
    pub target: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer(Act);

#[derive(Debug, Clone)]
enum Act {
    Say {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    KeepSilent,
    HangUp,
    BreakOff,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Act>,
    recorded: Vec<Recorded>,
}

/// The signature of a webhook as Twilio makes it, with this auth token: over the whole URL, and over a form's fields. For the
/// header [`SIGNATURE`](crate::webhook::SIGNATURE).
pub fn signature(token: &str, url: &str, form: &[(&str, &str)]) -> String {
    let mut fields = form.to_vec();
    fields.sort_unstable();
    let fields = fields.iter().flat_map(|(name, value)| [*name, *value]);
    let signed: String = std::iter::once(url).chain(fields).collect();
    let mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).map(|mac| mac.chain_update(signed));
    mac.map_or_else(
        |_| String::new(),
        |mac| STANDARD.encode(mac.finalize().into_bytes()),
    )
}

/// The path, or URL, under which Twilio calls with a body that is no form: it names the body's hash.
pub fn with_hash_of(body: &[u8], path: &str) -> String {
    let hash: String = Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{path}?bodySHA256={hash}")
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".into(), "application/json".into())];
        Self(Act::Say {
            status,
            headers,
            body: body.into(),
        })
    }

    /// An error in Twilio's form.
    pub fn error(status: u16, code: u32, message: &str) -> Self {
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        let body = serde_json::json!({
            "code": code, "message": message, "more_info": more_info, "status": status
        });
        Self::json(status, body.to_string())
    }

    /// Never an answer; the connection stays open.
    pub const fn silence() -> Self {
        Self(Act::KeepSilent)
    }

    /// The connection is closed without an answer, after the request was read.
    pub const fn hang_up() -> Self {
        Self(Act::HangUp)
    }

    /// A positive status, and the connection is closed in the middle of the body.
    pub const fn break_off() -> Self {
        Self(Act::BreakOff)
    }

    /// With another header. Does nothing to answers without headers.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Act::Say { headers, .. } = &mut self.0 {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

impl Recorded {
    /// The value of a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Double {
    /// Starts on a free port of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let accepting = tokio::spawn(accept(listener, state.clone()));
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Its address, as a base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds an answer to the script.
    pub fn then(&self, answer: Answer) -> &Self {
        locked(&self.state).script.push_back(answer.0);
        self
    }

    /// Every request so far.
    pub fn recorded(&self) -> Vec<Recorded> {
        locked(&self.state).recorded.clone()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        // The task owns the listener and all connections.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, state.clone()));
    }
}

/// One connection, kept alive until either side ends it.
async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await {
        let act = record(&state, request);
        let written = match act {
            Act::Say {
                status,
                headers,
                body,
            } => {
                let text = answer_text(status, &headers, body.len(), &body);
                stream.write_all(text.as_bytes()).await
            }
            Act::BreakOff => {
                let text = answer_text(201, &[], 100, "{\"sid\":");
                let _ = stream.write_all(text.as_bytes()).await;
                return;
            }
            Act::HangUp => return,
            Act::KeepSilent => std::future::pending().await,
        };
        if written.is_err() {
            return;
        }
    }
}

fn record(state: &Mutex<State>, request: Recorded) -> Act {
    let mut state = locked(state);
    state.recorded.push(request);
    let unscripted = || Act::Say {
        status: 501,
        headers: Vec::new(),
        body: "no answer is scripted".into(),
    };
    state.script.pop_front().unwrap_or_else(unscripted)
}

fn answer_text(status: u16, headers: &[(String, String)], length: usize, body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}

/// `None` at the end of the connection, and for what is not HTTP/1.1.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Recorded> {
    let first = read_line(stream).await?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
    if length > MOST_BYTES {
        return None;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Recorded {
        method,
        target,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

/// A test that panicked elsewhere does not make this one fail.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
