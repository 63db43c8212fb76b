//! Postgres.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::free_port;

/// Where Debian and Ubuntu have it, by version.
const INSTALLED: &str = "/usr/lib/postgresql";
/// Whom it runs as where a test runs as root, as whom it refuses to.
pub(super) const USER: &str = "postgres";
/// So long it may take to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);

/// Whether it waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    /// As in production.
    Yes,
    /// Faster: for tests that nobody kills.
    No,
}

/// A server in a directory.
#[derive(Debug)]
pub struct PostgresServer {
    binaries: PathBuf,
    directory: PathBuf,
    port: u16,
    /// It stops when this one's input ends, which it does with the program that started it.
    watched: Option<Child>,
}

impl PostgresServer {
    /// Makes a cluster in a directory, anew, and starts it. `more` are lines of its configuration.
    ///
    /// # Errors
    /// It is not installed, or it does not begin; the words say what to do.
    pub fn start(directory: &Path, syncs: Syncs, more: &str) -> io::Result<Self> {
        let mut server = Self::make(directory, syncs, more)?;
        server.begin(&[])?;
        Ok(server)
    }

    /// The same without starting it.
    ///
    /// # Errors
    /// It is not installed, or the cluster cannot be made.
    pub fn make(directory: &Path, syncs: Syncs, more: &str) -> io::Result<Self> {
        let binaries = binaries()?;
        wait_until_left(directory);
        fs::remove_dir_all(directory).ok();
        fs::create_dir_all(directory)?;
        let server = Self {
            binaries,
            directory: directory.canonicalize()?,
            port: free_port()?,
            watched: None,
        };
        if is_root() {
            done(Command::new("chown").arg(USER).arg(&server.directory))?;
        }
        let mut made = server.as_its_user("initdb");
        made.args([
            "--auth=trust",
            "--username=postgres",
            "--no-sync",
            "--no-instructions",
            "-D",
        ]);
        done(made.arg(server.data()).stdout(Stdio::null()))?;
        let (port, socket) = (server.port, server.directory.display());
        let mut settings = fs::OpenOptions::new()
            .append(true)
            .open(server.data().join("postgresql.conf"))?;
        writeln!(
            settings,
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{socket}'"
        )?;
        writeln!(
            settings,
            "max_connections = 200\nshared_buffers = '64MB'\nlog_min_messages = fatal"
        )?;
        if syncs == Syncs::No {
            writeln!(settings, "fsync = off\nfull_page_writes = off")?;
        }
        writeln!(settings, "{more}")?;
        Ok(server)
    }

    /// Starts it, with this in its environment.
    ///
    /// # Errors
    /// It does not begin.
    pub fn begin(&mut self, environment: &[(&str, OsString)]) -> io::Result<()> {
        let script = r#""$@" & pid=$!; read -r _ || kill -INT $pid; wait $pid"#;
        let postgres = self.as_its_user("postgres");
        let mut watched = Command::new("sh");
        watched
            .args(["-c", script, "sh"])
            .arg(postgres.get_program())
            .args(postgres.get_args());
        watched.arg("-D").arg(self.data());
        for (name, value) in environment {
            watched.env(name, value);
        }
        let log = fs::File::create(self.directory.join("log"))?;
        watched
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.watched = Some(watched.spawn()?);
        let mut left = BEGINS_WITHIN;
        while left > Duration::ZERO {
            if self.answers() {
                return Ok(());
            }
            let pause = Duration::from_millis(20);
            thread::sleep(pause);
            left = left.saturating_sub(pause);
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        Err(io::Error::other(format!("Postgres does not begin: {log}")))
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(self.binaries.join("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }

    /// A copy of a server that runs, which follows it once it is started.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn copy_of(primary: &Self, directory: &Path) -> io::Result<Self> {
        fs::remove_dir_all(directory).ok();
        fs::create_dir_all(directory)?;
        let copy = Self {
            binaries: primary.binaries.clone(),
            directory: directory.canonicalize()?,
            port: free_port()?,
            watched: None,
        };
        if is_root() {
            done(Command::new("chown").arg(USER).arg(&copy.directory))?;
        }
        let mut copied = primary.as_its_user("pg_basebackup");
        copied.args([
            "--write-recovery-conf",
            "--no-sync",
            "--checkpoint=fast",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
        ]);
        copied.args(["-p", &primary.port.to_string(), "-D"]);
        done(copied.arg(copy.data()))?;
        let mut settings = fs::OpenOptions::new()
            .append(true)
            .open(copy.data().join("postgresql.conf"))?;
        let (port, socket) = (copy.port, copy.directory.display());
        writeln!(settings, "port = {port}\nunix_socket_directories = '{socket}'")?;
        Ok(copy)
    }

    /// Makes a copy a server of its own.
    ///
    /// # Errors
    /// It is none, or does not run.
    pub fn promote(&self) -> io::Result<()> {
        let mut promoted = self.as_its_user("pg_ctl");
        done(promoted.args(["promote", "-s", "-D"]).arg(self.data()))
    }

    /// A URL of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The process that all others of it come from.
    ///
    /// # Errors
    /// It is not running.
    pub fn pid(&self) -> io::Result<String> {
        let file = fs::read_to_string(self.data().join("postmaster.pid"))?;
        let first = file.lines().next().map(str::to_owned);
        first.ok_or_else(|| io::Error::other("no process in postmaster.pid"))
    }

    /// Kills all of it at once, as a crash of the machine does.
    ///
    /// # Errors
    /// It is not running.
    pub fn kill(&mut self) -> io::Result<()> {
        let pid = self.pid()?;
        // What it would start meanwhile would live on, and keep its memory from the next one.
        done(Command::new("kill").args(["-STOP", &pid]))?;
        let children = Command::new("pgrep").args(["-P", &pid]).output()?;
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let mut kill = Command::new("kill");
        kill.arg("-KILL").arg(&pid).args(children.split_whitespace());
        kill.stderr(Stdio::null()).status()?;
        if let Some(mut watched) = self.watched.take() {
            watched.wait()?;
        }
        for child in children.split_whitespace() {
            while runs(child) {
                thread::yield_now();
            }
        }
        fs::remove_file(self.data().join("postmaster.pid")).ok();
        Ok(())
    }

    /// Sends a signal to all of it (`STOP`, `CONT`).
    ///
    /// # Errors
    /// It is not running.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = self.pid()?;
        let children = Command::new("pgrep").args(["-P", &pid]).output()?;
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let mut kill = Command::new("kill");
        kill.arg(format!("-{signal}"))
            .arg(&pid)
            .args(children.split_whitespace());
        // Some of them may have ended meanwhile.
        kill.stderr(Stdio::null()).status().map(drop)
    }

    /// What its database answers to statements as its owner asks them: a line for each row, with `|` between its values.
    ///
    /// # Errors
    /// It cannot be reached, or refuses one of them.
    pub fn ask(&self, statements: &str) -> io::Result<String> {
        let mut psql = self.as_its_user("psql");
        psql.arg(self.url())
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .args(["--set", "ON_ERROR_STOP=1", "--command", statements]);
        Ok(said(psql)?.trim().to_owned())
    }

    /// From now on a role has to say its password.
    ///
    /// # Errors
    /// Its rules cannot be written, or it cannot be reached.
    pub fn wants_password_of(&self, role: &str) -> io::Result<()> {
        let rules = self.data().join("pg_hba.conf");
        let others = fs::read_to_string(&rules)?;
        fs::write(
            &rules,
            format!("host all {role} 127.0.0.1/32 scram-sha-256\n{others}"),
        )?;
        self.ask("SELECT pg_reload_conf()").map(drop)
    }

    /// All that its database holds but numbers, which are times and counts: text as it is, and bytes as bytes.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn dump(&self) -> io::Result<Vec<u8>> {
        let mut dump = self.as_its_user("pg_dump");
        dump.arg(self.url());
        let dump = said(dump)?;
        let fields = dump.lines().flat_map(|line| line.split('\t'));
        let mut bytes = Vec::with_capacity(dump.len());
        for field in fields.filter(|field| field.parse::<i64>().is_err()) {
            match field.strip_prefix(r"\\x") {
                Some(hex) => bytes.extend(hex.as_bytes().chunks(2).filter_map(byte)),
                None => bytes.extend_from_slice(field.as_bytes()),
            }
            bytes.push(b'\n');
        }
        Ok(bytes)
    }

    /// One of its programs, as the user that it runs as.
    pub fn as_its_user(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
                .arg(program);
            command
        } else {
            Command::new(program)
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut watched) = self.watched.take() {
            drop(watched.stdin.take());
            watched.wait().ok();
        }
    }
}

/// Waits for the server that had this directory before: it stops with the program that started it, and writes while it does.
fn wait_until_left(directory: &Path) {
    let Ok(directory) = directory.canonicalize() else {
        return;
    };
    let data = directory.join("data");
    let pid = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let command = format!("/proc/{}/cmdline", pid.lines().next().unwrap_or_default());
    let has_it = || {
        let command = fs::read_to_string(&command).unwrap_or_default();
        command.split('\0').any(|word| Path::new(word) == data)
    };
    let mut left = BEGINS_WITHIN;
    while has_it() && left > Duration::ZERO {
        let pause = Duration::from_millis(20);
        thread::sleep(pause);
        left = left.saturating_sub(pause);
    }
}

/// Whether there is such a process, and it is not dead already.
fn runs(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat"));
    state.is_ok_and(|state| !state.contains(") Z "))
}

fn binaries() -> io::Result<PathBuf> {
    let versions = fs::read_dir(INSTALLED).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin"))
        .filter(|binaries| binaries.join("postgres").exists())
        .collect();
    found.sort();
    found
        .pop()
        .ok_or_else(|| io::Error::other("Postgres is not installed: apt-get install postgresql"))
}

pub(super) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// A byte by its two hexadecimal digits.
fn byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// What a program says that ends well.
fn said(mut command: Command) -> io::Result<String> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
    }
}

fn done(command: &mut Command) -> io::Result<()> {
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("{:?}: {status}", command.get_program()))),
    }
}
