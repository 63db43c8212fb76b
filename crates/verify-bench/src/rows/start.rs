//! From the start of the gateway's process to its first answers.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use verify_twilio::double::{Answer, Double};

use super::Effort;
use super::flows::runtime;
use super::gateway::{TAKEN, body};
use crate::gateway::{Load, Programs, Serving};
use crate::measure::{BenchError, Figure, Measured};
use crate::report::{Row, Target};

/// Starts at most.
const MOST_STARTS: usize = 20;
/// What is asked first.
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";

/// The rows, in milliseconds of the wall's time: whoever waits for a process waits for the machine too.
///
/// # Errors
/// A gateway that does not start, or answers otherwise.
pub fn start(effort: Effort, programs: &Programs) -> Measured<Vec<Row>> {
    let runtime = runtime()?;
    let (mut healthy, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds.min(MOST_STARTS) {
        let began = begin(programs, &runtime, "memory")?;
        healthy.push(millis(began.healthy));
        sent.push(millis(began.sent));
    }
    let row = |work: &str, figures: Vec<f64>| Row {
        work: format!("process start to {work}"),
        unit: "ms",
        target: Target::Most(30.0),
        made_of: format!(
            "the fastest of {} took {:.1} ms",
            figures.len(),
            figures.iter().copied().fold(f64::INFINITY, f64::min)
        ),
        figure: Figure::of(figures),
    };
    Ok(vec![
        row("a first 200 of /healthz", healthy),
        row("the answer of a first accepted send, after that", sent),
    ])
}

struct Began {
    healthy: Duration,
    sent: Duration,
}

/// The same on a file and its log as a process leaves them that was killed.
///
/// # Errors
/// A gateway that does not start, or answers otherwise.
pub(super) fn on_a_file(
    effort: Effort,
    programs: &Programs,
    file: &Path,
    log: &Path,
    rows: u64,
) -> Measured<Row> {
    let setup = |error: std::io::Error| BenchError::setup(&error);
    let runtime = runtime()?;
    let directory = file.with_extension("started");
    let mut sent = Vec::new();
    for _ in 0..effort.rounds.min(MOST_STARTS) {
        fs::remove_dir_all(&directory).ok();
        fs::create_dir_all(&directory).map_err(setup)?;
        let copy = directory.join("verify.db");
        fs::copy(file, &copy).map_err(setup)?;
        fs::copy(log, directory.join("verify.db-wal")).map_err(setup)?;
        let store = format!("sqlite:{}", copy.display());
        sent.push(millis(begin(programs, &runtime, &store)?.sent));
    }
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len() >> 20);
    Ok(Row {
        work: "SQLite: process start to the answer of a first accepted send".to_owned(),
        figure: Figure::of(sent),
        unit: "ms",
        target: Target::Most(100.0),
        made_of: format!(
            "killed before; {rows} live rows in {} MB, and {} MB of log",
            bytes(file),
            bytes(log)
        ),
    })
}

fn begin(programs: &Programs, runtime: &Runtime, store: &str) -> Measured<Began> {
    let double = runtime
        .block_on(Double::start())
        .map_err(|error| BenchError::setup(&error))?;
    double.then(Answer::json(201, TAKEN));
    let mut serving = Serving::gateway(programs, &double.base_url(), "off", store)?;
    let mut stream = serving.connect()?;
    if !is_healthy(&mut stream).map_err(|error| BenchError::setup(&error))? {
        return Err(BenchError::OtherOutcome("first request"));
    }
    let healthy = serving.started.elapsed();
    let reply = Load::connect(runtime, serving.address, 1)?.ask(runtime, &body(0, true))?;
    let sent = serving.started.elapsed();
    match reply.status {
        201 => Ok(Began { healthy, sent }),
        _ => Err(BenchError::OtherOutcome("first send")),
    }
}

fn is_healthy(stream: &mut TcpStream) -> std::io::Result<bool> {
    stream.write_all(HEALTH)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
