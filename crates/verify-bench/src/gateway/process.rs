//! A server in a process of its own: started, measured, ended.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use verify_core::keys::Keys;
use verify_core::vocabulary::ServiceId;
use verify_gateway::callers::{Role, entry};

use super::Programs;
use crate::measure::{BenchError, Measured};
use crate::scene::policy;

/// What callers send as their key.
pub(super) const API_KEY: &str = "bench-key";
/// A server that does not listen by then never will.
const MOST_STARTING: Duration = Duration::from_secs(30);
/// Between two tries to connect.
const BETWEEN_TRIES: Duration = Duration::from_micros(100);

/// A server that runs; killed when it is dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// When it was started.
    pub started: Instant,
    config: Option<PathBuf>,
}

/// A port of this machine that nobody listened on a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl Serving {
    /// The gateway as it is run in earnest: credentials, keys, callers, the log on a pipe that somebody reads; under
    /// the policy of the scene, with this flood shield and on this store. Twilio is at `twilio`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn gateway(programs: &Programs, twilio: &str, shield: &str, store: &str) -> Measured<Self> {
        let address = free_port().map_err(|error| BenchError::setup(&error))?;
        let name = format!("verify-bench-{}-{}.toml", std::process::id(), address.port());
        let config = std::env::temp_dir().join(&name);
        fs::write(&config, policy().to_toml()).map_err(|error| BenchError::setup(&error))?;
        let sid = |kind: &str| format!("{kind}{}", "0".repeat(32));
        let mut command = Command::new(&programs.gateway);
        command
            .env_clear()
            .args(["--listen", &address.to_string(), "--config"])
            .arg(&config)
            .env("TWILIO_ACCOUNT_SID", sid("AC"))
            .env("TWILIO_API_KEY_SID", sid("SK"))
            .env("TWILIO_API_KEY_SECRET", "secret")
            .env("TWILIO_VERIFY_SERVICE_SID", sid("VA"))
            .env("TWILIO_BASE_URL", twilio)
            .env("VERIFY_KEYS", Keys::generate(&[7; 32]).to_text().expose())
            .env(
                "VERIFY_API_KEYS",
                entry("bench", Role::App, API_KEY, &ServiceId::default()),
            )
            .env("VERIFY_STORE", store)
            .env(
                "STATE_DIRECTORY",
                std::env::temp_dir().join(format!("{name}-state")),
            )
            .env("VERIFY_FLOOD_SHIELD", shield);
        Self::start(command, address, Some(config))
    }

    /// The bare server, with an answer of this status and length.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn bare(programs: &Programs, status: u16, length: usize) -> Measured<Self> {
        let address = free_port().map_err(|error| BenchError::setup(&error))?;
        let mut command = Command::new(&programs.bare);
        command
            .env_clear()
            .args([address.to_string(), status.to_string(), length.to_string()]);
        Self::start(command, address, None)
    }

    fn start(mut command: Command, address: SocketAddr, config: Option<PathBuf>) -> Measured<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| BenchError::setup(&error))?;
        if let Some(mut log) = child.stderr.take() {
            // Ends with the process that writes it.
            thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        }
        Ok(Self {
            child,
            address,
            started,
            config,
        })
    }

    /// Tries to connect until it listens.
    ///
    /// # Errors
    /// When it ended, or does not listen in time.
    pub fn connect(&mut self) -> Measured<TcpStream> {
        while self.started.elapsed() < MOST_STARTING {
            if let Ok(stream) = TcpStream::connect(self.address) {
                return Ok(stream);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(BenchError::Setup(format!("a server ended at once: {status}")));
            }
            thread::sleep(BETWEEN_TRIES);
        }
        Err(BenchError::Setup("a server does not listen".to_owned()))
    }

    /// The processor time that its threads took so far, user and system together. Time of a thread that
    /// ended is not in it: the difference of two readings is true while no thread ends in between.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn cpu(&self) -> Measured<Duration> {
        let threads = || {
            fs::read_dir(format!("/proc/{}/task", self.child.id()))?
                .map(|task| nanos_of(&task?.path()))
                .sum::<io::Result<u64>>()
        };
        threads()
            .map(Duration::from_nanos)
            .map_err(|error| BenchError::setup(&error))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself, and its file may be gone: nothing is left to do then.
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(config) = &self.config {
            fs::remove_file(config).ok();
        }
    }
}

fn nanos_of(task: &Path) -> io::Result<u64> {
    let times = fs::read_to_string(task.join("schedstat"))?;
    let nanos = times.split(' ').next().and_then(|text| text.parse().ok());
    nanos.ok_or_else(|| io::Error::other("the kernel keeps no times of threads"))
}
