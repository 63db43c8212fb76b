//! `cargo xtask attack <row>`: a gateway of its own on this machine, somebody who attacks it for five seconds, and honest
//! clients beside them. Prints what the honest ones met, and fails when more than one in a hundred was refused or health
//! took longer than a second. One row is measured for what it costs, and its honest client may be refused: `reserve`.

mod reserve;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::tree;

const LASTS: Duration = Duration::from_secs(5);
/// Between two requests of an honest client.
const PAUSE: Duration = Duration::from_millis(10);
const ROWS: [&str; 5] = ["sockets", "backend", "log", "webhooks", "reserve"];

/// Runs the rows that are named, or all.
///
/// # Errors
/// A gateway that cannot be built or started.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let named: Vec<String> = arguments.collect();
    if let Some(unknown) = named.iter().find(|name| !ROWS.contains(&name.as_str())) {
        return Ok(vec![format!("no row {unknown:?}; known are {}", ROWS.join(", "))]);
    }
    let program = built()?;
    let mut faults = Vec::new();
    println!("| attack | tried | honest requests | refused | slowest health | besides |");
    println!("|---|---|---|---|---|---|");
    for row in ROWS
        .iter()
        .filter(|row| named.is_empty() || named.iter().any(|name| name == *row))
    {
        let (tried, met, besides) = match *row {
            "sockets" => sockets(&program)?,
            "backend" => backend(&program)?,
            "log" => log(&program)?,
            "webhooks" => webhooks(&program)?,
            _ => {
                faults.extend(reserve::measured(&program)?);
                continue;
            }
        };
        let Met {
            asked,
            refused,
            slowest,
        } = met;
        println!(
            "| {row} | {tried} | {asked} | {refused} | {} ms | {besides} |",
            slowest.as_millis()
        );
        if refused * 100 > asked || slowest > Duration::from_secs(1) {
            faults.push(format!("{row}: honest clients were in its way"));
        }
    }
    Ok(faults)
}

/// The gateway, built as the tests have it: what is refused and what waits does not depend on how fast it is.
fn built() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--quiet", "-p", "verify-gateway"];
    let status = Command::new(cargo)
        .args(build)
        .current_dir(tree::root())
        .status()?;
    if !status.success() {
        return Err(io::Error::other("the gateway cannot be built"));
    }
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree::root().join("target"), PathBuf::from);
    Ok(folder.join("debug/verify-gateway"))
}

/// A gateway that serves; killed when it is dropped.
struct Gateway {
    child: Child,
    address: String,
    key: String,
}

impl Gateway {
    /// With real settings and a provider that nobody reaches, at most so many descriptors, and standard error there.
    fn start(program: &PathBuf, descriptors: u32, stderr: Stdio) -> io::Result<Self> {
        let said = |args: &[&str]| -> io::Result<String> {
            let output = Command::new(program).args(args).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let caller = said(&["keys", "caller", "shop"])?;
        let of = |label: &str| {
            caller
                .lines()
                .find_map(|line| line.strip_prefix(label))
                .unwrap_or_default()
                .trim()
        };
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let sid = |kind: &str| format!("{kind}{}", "0".repeat(32));
        let child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\"")])
            .arg(program)
            .env_clear()
            .envs([
                ("VERIFY_LISTEN", free.clone()),
                ("VERIFY_KEYS", said(&["keys", "new"])?),
                ("VERIFY_API_KEYS", of("entry:").to_owned()),
                ("VERIFY_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
                ("VERIFY_PUBLIC_URL", "https://verify.example.com".to_owned()),
                ("TWILIO_ACCOUNT_SID", sid("AC")),
                ("TWILIO_API_KEY_SID", sid("SK")),
                ("TWILIO_API_KEY_SECRET", "none".to_owned()),
                ("TWILIO_VERIFY_SERVICE_SID", sid("VA")),
                ("TWILIO_AUTH_TOKEN", "none".to_owned()),
                ("TWILIO_BASE_URL", "http://127.0.0.1:9".to_owned()),
                ("VERIFY_STORE", "memory".to_owned()),
            ])
            .stderr(stderr)
            .spawn()?;
        Self::serving(child, free, of("key:").to_owned())
    }

    /// In demo mode, where a simulated phone network has all codes, and nobody is shielded from.
    fn demo(program: &PathBuf) -> io::Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = Command::new(program)
            .env_clear()
            .envs([("VERIFY_LISTEN", free.as_str()), ("VERIFY_FLOOD_SHIELD", "off")])
            .stderr(Stdio::null())
            .spawn()?;
        Self::serving(child, free, String::new())
    }

    /// Once it takes a connection.
    fn serving(child: Child, address: String, key: String) -> io::Result<Self> {
        let gateway = Self { child, address, key };
        let begun = Instant::now();
        while TcpStream::connect(&gateway.address).is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err(io::Error::other("the gateway does not start"));
            }
            thread::sleep(PAUSE);
        }
        Ok(gateway)
    }

    /// The status of an answer; an error where there is none within two seconds. The client says that it is this one.
    fn status(&self, method: &str, path: &str, client: &str, headers: &str, body: &str) -> io::Result<u16> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let (key, length) = (&self.key, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             x-forwarded-for: {client}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n"
        )?;
        // Who is told early need not send all of it.
        stream.write_all(body.as_bytes()).ok();
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        let status = String::from_utf8_lossy(&head)
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse().ok());
        status.ok_or_else(|| io::Error::other("no status"))
    }

    /// The most memory that it had, in MiB.
    fn peak(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kib.unwrap_or(0) / 1024)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What honest clients met.
struct Met {
    asked: u32,
    refused: u32,
    slowest: Duration,
}

/// Two attackers for a while, and an honest client that asks for health and redeems what is no proof (404), in turns.
fn beside(gateway: &Gateway, attack: impl Fn(&AtomicBool) + Sync) -> Met {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| attack(&over));
        }
        let mut met = Met {
            asked: 0,
            refused: 0,
            slowest: Duration::ZERO,
        };
        let begun = Instant::now();
        let proof = r#"{"proof":"x","purpose":"sign_in","to":"+12025550143"}"#;
        while begun.elapsed() < LASTS {
            let asked = Instant::now();
            let health = gateway.status("GET", "/healthz", "203.0.113.9", "", "");
            met.slowest = met.slowest.max(asked.elapsed());
            let redeem = gateway.status("POST", "/proofs/redeem", "203.0.113.9", "", proof);
            met.asked += 2;
            met.refused += u32::from(!matches!(health, Ok(200))) + u32::from(!matches!(redeem, Ok(404)));
            thread::sleep(PAUSE);
        }
        over.store(true, Ordering::Relaxed);
        met
    })
}

type Row = (String, Met, String);

/// Connections that say nothing or half of a head; each that is ended is opened again.
fn sockets(program: &PathBuf) -> io::Result<Row> {
    const EACH: usize = 300;
    let gateway = Gateway::start(program, 256, Stdio::null())?;
    let opened = AtomicU32::new(0);
    let met = beside(&gateway, |over| {
        let mut held: Vec<TcpStream> = Vec::new();
        for turn in (0..EACH).cycle() {
            if over.load(Ordering::Relaxed) {
                return;
            }
            if let Ok(mut socket) = TcpStream::connect(&gateway.address) {
                if turn % 2 == 0 {
                    socket.write_all(b"GET /healthz HT").ok();
                }
                opened.fetch_add(1, Ordering::Relaxed);
                match held.get_mut(turn) {
                    Some(place) => *place = socket,
                    None => held.push(socket),
                }
            }
            // All at once, and then again and again.
            if held.len() == EACH {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let opened = opened.into_inner();
    let tried = format!(
        "{opened} sockets, {} held at a time, against 256 descriptors",
        2 * EACH
    );
    Ok((tried, met, String::new()))
}

/// One backend that reads statuses, from the address from which everybody's redeems come.
fn backend(program: &PathBuf) -> io::Result<Row> {
    let gateway = Gateway::start(program, 1024, Stdio::null())?;
    let read = AtomicU32::new(0);
    let met = beside(&gateway, |over| {
        while !over.load(Ordering::Relaxed) {
            gateway.status("GET", "/verify/x", "203.0.113.9", "", "").ok();
            read.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(4));
        }
    });
    let per_second = u64::from(read.into_inner()) / LASTS.as_secs();
    Ok((format!("{per_second} status reads a second"), met, String::new()))
}

/// Nobody reads standard error.
fn log(program: &PathBuf) -> io::Result<Row> {
    let (_reader, writer) = io::pipe()?;
    let mut gateway = Gateway::start(program, 1024, writer.into())?;
    let asked = AtomicU32::new(0);
    let met = beside(&gateway, |over| {
        while !over.load(Ordering::Relaxed) {
            // Each refusal is a line.
            let body = r#"{"to":"+12025550143","code":"123456","ip":"198.51.100.1"}"#;
            gateway
                .status("POST", "/verify/check", "198.51.100.1", "", body)
                .ok();
            asked.fetch_add(1, Ordering::Relaxed);
        }
    });
    let begun = Instant::now();
    Command::new("kill")
        .args(["-TERM", &gateway.child.id().to_string()])
        .status()?;
    let status = gateway.child.wait()?;
    let besides = format!("{status} {} ms after SIGTERM", begun.elapsed().as_millis());
    Ok((
        format!(
            "{} requests, a line each, into a pipe that nobody reads",
            asked.into_inner()
        ),
        met,
        besides,
    ))
}

/// Webhooks of the greatest length, with a signature that does not fit.
fn webhooks(program: &PathBuf) -> io::Result<Row> {
    let gateway = Gateway::start(program, 1024, Stdio::null())?;
    let body = "x".repeat(252 * 1024);
    let sent = AtomicU32::new(0);
    let met = beside(&gateway, |over| {
        while !over.load(Ordering::Relaxed) {
            let forged = "x-twilio-signature: Zm9yZ2Vk\r\n";
            gateway
                .status("POST", "/webhooks/verify-events", "198.51.100.1", forged, &body)
                .ok();
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    let per_second = u64::from(sent.into_inner()) / LASTS.as_secs();
    let besides = format!("{} MiB of memory at most", gateway.peak()?);
    Ok((format!("{per_second} a second of 252 KiB"), met, besides))
}
