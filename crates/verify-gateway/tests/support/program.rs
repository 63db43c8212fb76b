//! The program in a process of its own, on a port of its own.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, in a crate of each test file"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use verify_core::keys::Keys;
use verify_core::vocabulary::ServiceId;
use verify_gateway::callers::{Role, entry};

/// No process here has so much to do, on any machine: one that hangs is killed, and whoever waits for it fails. Where rounds are
/// asked for each of them has as long.
fn long() -> Duration {
    let rounds = std::env::var("VERIFY_KILLS").map_or(1, |rounds| rounds.parse().unwrap());
    Duration::from_secs(120) * rounds
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify-gateway"));
    command.env_clear();
    command
}

pub fn run(args: &[&str], vars: &[(&str, &str)]) -> Output {
    program().args(args).envs(vars.iter().copied()).output().unwrap()
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A serving process; killed when the test fails, stopped when it does not.
pub struct Serving {
    pub child: Child,
    pub lines: Box<dyn BufRead + Send + Sync>,
    pub address: String,
    /// What it has said as far as it was read.
    pub said: String,
    /// Until it goes, the process may not take too long.
    _watched: Sender<()>,
}

impl Serving {
    /// In demo mode.
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[], "Open http://")
    }

    /// With these variables; it serves once it says `ready` and an address.
    pub fn start_with(args: &[&str], vars: &[(&str, &str)], ready: &str) -> Self {
        let mut command = program();
        command.envs(vars.iter().copied());
        command
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .stderr(Stdio::piped());
        Self::of(command.spawn().unwrap(), ready)
    }

    /// A process of which nobody reads what it says; it serves once it takes a connection there.
    pub fn at(mut child: Child, address: String) -> Self {
        while TcpStream::connect(&address).is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended without serving");
            std::thread::yield_now();
        }
        Self {
            _watched: watched(&child),
            child,
            lines: Box::new(std::io::empty()),
            address,
            said: String::new(),
        }
    }

    /// A process that was started, with its standard error in a pipe.
    pub fn of(mut child: Child, ready: &str) -> Self {
        let lines = Box::new(BufReader::new(child.stderr.take().unwrap()));
        let mut serving = Self {
            _watched: watched(&child),
            child,
            lines,
            address: String::new(),
            said: String::new(),
        };
        let line = serving.line_with(ready);
        serving.address = line
            .split("http://")
            .nth(1)
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .trim()
            .to_owned();
        serving.line_with("\"listening\"");
        serving
    }

    pub fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "it ended without saying {text:?}"
            );
            self.said.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([name, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    pub fn post(&self, path: &str, body: &str) -> String {
        let length = body.len();
        self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        ))
    }

    pub fn get(&self, path: &str) -> String {
        self.exchange(&format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
    }

    pub fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// Kills the process after a long time, unless what is given back goes before.
fn watched(child: &Child) -> Sender<()> {
    let (watched, gone) = channel();
    let id = child.id().to_string();
    std::thread::spawn(move || {
        if gone.recv_timeout(long()) == Err(RecvTimeoutError::Timeout) {
            Command::new("kill").args(["-KILL", &id]).status().ok();
        }
    });
    watched
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already ended, when all went well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub struct TempFile(PathBuf);

impl TempFile {
    pub fn new(name: &str, text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("verify-process-{}-{name}", std::process::id())));
        file.write(text);
        file
    }

    pub fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

pub fn stop(mut serving: Serving) {
    serving.signal("-TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

pub fn kill(mut serving: Serving) {
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
}

pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

pub fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

pub fn ask(serving: &Serving, path: &str, asked: Value) -> (u16, Value) {
    let answer = serving.post(path, &asked.to_string());
    (status(&answer), body(&answer))
}

pub fn send(serving: &Serving, to: &str) -> (u16, Value) {
    // An address of their own, or the limit of this machine's would count all of them.
    let ip = format!("203.0.113.{}", &to[to.len() - 2..]);
    ask(serving, "/verify/send", json!({ "to": to, "ip": ip }))
}

pub fn check(serving: &Serving, to: &str, code: &str) -> (u16, Value) {
    ask(serving, "/verify/check", json!({ "to": to, "code": code }))
}

/// The code that a send to there brings.
pub fn code(serving: &Serving, to: &str) -> String {
    assert_eq!(send(serving, to).0, 201);
    ask(serving, "/demo/clock", json!({ "advance_seconds": 1 }));
    let inbox = body(&serving.get(&format!("/demo/inbox?to={}", to.replace('+', "%2B"))));
    inbox[0]["code"].as_str().unwrap().to_owned()
}

pub fn another(code: &str) -> String {
    let last = if code.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &code[..code.len() - 1])
}

/// The keys that all gateways of a test share.
pub fn keys() -> String {
    Keys::generate(&[7; 32]).to_text().expose().clone()
}

/// What a gateway needs that is no demo, with its provider there.
pub fn live_vars(provider: &str) -> Vec<(&'static str, String)> {
    let sid = |kind: &str| format!("{kind}{}", "0".repeat(32));
    vec![
        ("TWILIO_ACCOUNT_SID", sid("AC")),
        ("TWILIO_API_KEY_SID", sid("SK")),
        ("TWILIO_API_KEY_SECRET", "secret".to_owned()),
        ("TWILIO_VERIFY_SERVICE_SID", sid("VA")),
        ("TWILIO_BASE_URL", provider.to_owned()),
        ("VERIFY_KEYS", keys()),
        (
            "VERIFY_API_KEYS",
            entry("shop", Role::App, "shop-key", &ServiceId::default()),
        ),
    ]
}

/// A gateway that is no demo. Its provider is nowhere.
pub fn live(more: &[(&str, &str)]) -> Serving {
    let vars = live_vars("http://127.0.0.1:9");
    let vars: Vec<_> = vars.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Serving::start_with(&[], &[vars.as_slice(), more].concat(), "listening on http://")
}

/// What the only caller of one that is no demo asks: the status, the head and the body of the answer.
pub fn ask_as_shop(serving: &Serving, path: &str, asked: &Value) -> (u16, String, Value) {
    let asked = asked.to_string();
    let length = asked.len();
    let answer = serving.exchange(&format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer shop-key\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{asked}"
    ));
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    (status(&answer), head, body(&answer))
}

/// The status and the body of an answer, all of it, from one that may be dead.
pub fn try_ask(address: &str, path: &str, asked: &Value) -> Option<(u16, Value)> {
    let asked = asked.to_string();
    let length = asked.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{asked}"
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let body = serde_json::from_str(answer.split("\r\n\r\n").nth(1)?).ok()?;
    Some((status(&answer), body))
}
