//! `cargo xtask attack <row>`: a gateway of its own on this machine, somebody who attacks it for five seconds, and honest
//! clients beside them. Prints what the honest ones met, and fails when more than one in a hundred was refused or health
//! took longer than a second. One row is measured for what it costs, and its honest client may be refused: `reserve`.
//! `--store` says where the gateways keep their state: `memory`, `sqlite`, `postgres` or `redis`, each in a place of its own.

mod reserve;
mod stores;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::stores::Stores;
use crate::tree;

const LASTS: Duration = Duration::from_secs(5);
/// Between two requests of an honest client.
const PAUSE: Duration = Duration::from_millis(10);
const ROWS: [&str; 5] = ["sockets", "backend", "log", "webhooks", "reserve"];

/// Runs the rows that are named, or all.
///
/// # Errors
/// A gateway or its store that cannot be built or started.
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let (mut named, mut store) = (Vec::new(), "memory".to_owned());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--store" => store = arguments.next().unwrap_or_default(),
            row if ROWS.contains(&row) => named.push(argument),
            _ => {
                return Ok(vec![format!(
                    "no row {argument:?}; known are {}",
                    ROWS.join(", ")
                )]);
            }
        }
    }
    let Some(stores) = Stores::named(&store)? else {
        let known = stores::KNOWN.join(", ");
        return Ok(vec![format!("no store {store:?}; known are {known}")]);
    };
    let program = Program {
        path: built()?,
        stores,
    };
    let mut faults = Vec::new();
    println!("| attack | tried | honest requests | refused | slowest health | slowest check | besides |");
    println!("|---|---|---|---|---|---|---|");
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
            health,
            check,
        } = met;
        println!(
            "| {row} | {tried} | {asked} | {refused} | {} ms | {} ms | {besides} |",
            health.as_millis(),
            check.as_millis()
        );
        if refused * 100 > asked || health > Duration::from_secs(1) {
            faults.push(format!("{row}: honest clients were in its way"));
        }
    }
    Ok(faults)
}

/// The gateway, built as the tests have it: what is refused and what waits does not depend on how fast it is.
fn built() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--quiet", "--workspace", "--bin", "verify-gateway"];
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

/// The gateway's program, and where those that are started keep their state.
struct Program {
    path: PathBuf,
    stores: Stores,
}

impl Program {
    /// What it prints, for operators.
    fn says(&self, args: &[&str]) -> io::Result<String> {
        let output = Command::new(&self.path).args(args).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A gateway that serves; killed when it is dropped.
struct Gateway {
    child: Child,
    address: String,
    key: String,
}

impl Gateway {
    /// With real settings and a provider that nobody reaches, at most so many descriptors, and standard error there.
    fn start(program: &Program, descriptors: u32, stderr: Stdio) -> io::Result<Self> {
        let caller = program.says(&["keys", "caller", "shop"])?;
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
            .arg(&program.path)
            .env_clear()
            .envs(program.stores.another())
            .envs([
                ("VERIFY_LISTEN", free.clone()),
                ("VERIFY_KEYS", program.says(&["keys", "new"])?),
                ("VERIFY_API_KEYS", of("entry:").to_owned()),
                ("VERIFY_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
                ("VERIFY_PUBLIC_URL", "https://verify.example.com".to_owned()),
                ("TWILIO_ACCOUNT_SID", sid("AC")),
                ("TWILIO_API_KEY_SID", sid("SK")),
                ("TWILIO_API_KEY_SECRET", "none".to_owned()),
                ("TWILIO_VERIFY_SERVICE_SID", sid("VA")),
                ("TWILIO_AUTH_TOKEN", "none".to_owned()),
                ("TWILIO_BASE_URL", "http://127.0.0.1:9".to_owned()),
            ])
            .stderr(stderr)
            .spawn()?;
        Self::serving(child, free, of("key:").to_owned())
    }

    /// In demo mode, where a simulated phone network has all codes, and nobody is shielded from.
    fn demo(program: &Program) -> io::Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = Command::new(&program.path)
            .env_clear()
            .envs(program.stores.another())
            .envs([
                ("VERIFY_LISTEN", free.clone()),
                ("VERIFY_KEYS", program.says(&["keys", "new"])?),
                ("VERIFY_FLOOD_SHIELD", "off".to_owned()),
            ])
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
#[derive(Default)]
struct Met {
    asked: u32,
    refused: u32,
    /// The slowest answers.
    health: Duration,
    check: Duration,
}

/// Two attackers for a while, and beside them, in turns, somebody who asks for health, redeems what is no proof (404), and has
/// people each guess at a code that nobody sent (404), which the store counts.
fn beside(gateway: &Gateway, attack: impl Fn(&AtomicBool) + Sync) -> Met {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| attack(&over));
        }
        let mut met = Met::default();
        let begun = Instant::now();
        let proof = r#"{"proof":"x","purpose":"sign_in","to":"+12025550143"}"#;
        while begun.elapsed() < LASTS {
            let (asked, person) = (Instant::now(), met.asked);
            let health = gateway.status("GET", "/healthz", "203.0.113.9", "", "");
            met.health = met.health.max(asked.elapsed());
            let redeem = gateway.status("POST", "/proofs/redeem", "203.0.113.9", "", proof);
            let (asked, ip) = (Instant::now(), format!("10.1.{}.{}", person / 250, person % 250));
            let check = format!(r#"{{"to":"person{person}@example.org","code":"123456","ip":"{ip}"}}"#);
            let check = gateway.status("POST", "/verify/check", "203.0.113.9", "", &check);
            met.check = met.check.max(asked.elapsed());
            for (answer, right) in [(health, 200), (redeem, 404), (check, 404)] {
                met.asked += 1;
                met.refused += u32::from(answer.ok() != Some(right));
            }
            thread::sleep(PAUSE);
        }
        over.store(true, Ordering::Relaxed);
        met
    })
}

type Row = (String, Met, String);

/// Connections that say nothing or half of a head; each that is ended is opened again.
fn sockets(program: &Program) -> io::Result<Row> {
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
fn backend(program: &Program) -> io::Result<Row> {
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
fn log(program: &Program) -> io::Result<Row> {
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
fn webhooks(program: &Program) -> io::Result<Row> {
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
