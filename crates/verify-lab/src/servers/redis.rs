//! Redis and Valkey.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::free_port;

/// So often it is looked at whether it has begun, and how long in between.
const LOOKS: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(10);
/// Slots of a Cluster.
const SLOTS: u16 = 16_384;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisKind {
    /// The one that is installed.
    Installed,
    /// Redis 6.2, which `scripts/servers.sh` gets.
    Redis62,
    /// Valkey, which `scripts/servers.sh` gets.
    Valkey,
}

impl RedisKind {
    /// Where its program is.
    ///
    /// # Errors
    /// It is nowhere; the words say what to do.
    pub fn program(self) -> io::Result<PathBuf> {
        let (variable, name) = match self {
            Self::Installed => return Ok("redis-server".into()),
            Self::Redis62 => ("VERIFY_REDIS_62", "redis-6.2-server"),
            Self::Valkey => ("VERIFY_VALKEY", "valkey-server"),
        };
        let otherwise = || std::env::temp_dir().join("verify-servers").join(name);
        let program = std::env::var_os(variable).map_or_else(otherwise, PathBuf::from);
        match program.exists() {
            true => Ok(program),
            false => Err(io::Error::other(format!(
                "{} is not there: run scripts/servers.sh, or say in {variable} where it is",
                program.display()
            ))),
        }
    }
}

/// A server in a directory.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    settings: Vec<String>,
    /// It stops when this one's input ends, which it does with the program that started it.
    watched: Option<Child>,
}

impl RedisServer {
    /// Starts one in a directory that is made anew, with these settings (`appendonly yes`) besides its own.
    ///
    /// # Errors
    /// It is not to be had, or it does not begin; the words say what to do.
    pub fn start(kind: RedisKind, directory: &Path, settings: &[&str]) -> io::Result<Self> {
        fs::remove_dir_all(directory).ok();
        fs::create_dir_all(directory)?;
        let mut server = Self {
            program: kind.program()?,
            directory: directory.canonicalize()?,
            port: free_port()?,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            watched: None,
        };
        server.begin()?;
        Ok(server)
    }

    /// Starts it again on what it left.
    ///
    /// # Errors
    /// It does not begin.
    pub fn begin(&mut self) -> io::Result<()> {
        let own = format!(
            "port {}\nbind 127.0.0.1\ndir {}\npidfile {}\nsave \"\"\nappendonly no\nprotected-mode no\n",
            self.port,
            self.directory.display(),
            self.pid_file().display(),
        );
        let file = self.directory.join("server.conf");
        fs::write(&file, own + &self.settings.join("\n") + "\n")?;
        let script = r#""$@" & pid=$!; read -r _ || kill -KILL $pid; wait $pid"#;
        let log = fs::File::create(self.directory.join("log"))?;
        let mut watched = Command::new("sh");
        watched.args(["-c", script, "sh"]).arg(&self.program).arg(&file);
        watched.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let spawned = watched.spawn();
        self.watched = Some(spawned?);
        for _ in 0..LOOKS {
            if self.answers() {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        Err(io::Error::other(format!(
            "{} does not begin (apt-get install redis-server): {log}",
            self.program.display()
        )))
    }

    /// What it answers to a command of plain words.
    ///
    /// # Errors
    /// It does not answer, or refuses it.
    pub fn command(&self, words: &str) -> io::Result<String> {
        let mut line = BufReader::new(TcpStream::connect(("127.0.0.1", self.port))?);
        line.get_mut().write_all(format!("{words}\r\n").as_bytes())?;
        let mut answer = String::new();
        line.read_line(&mut answer)?;
        if let Some(size) = answer.strip_prefix('$').and_then(|size| size.trim().parse().ok()) {
            let mut bytes = vec![0; size];
            line.read_exact(&mut bytes)?;
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        match answer.strip_prefix('-') {
            None => Ok(answer.trim_start_matches(['+', ':']).trim().to_owned()),
            Some(refused) => Err(io::Error::other(format!("{words}: {refused}"))),
        }
    }

    /// Whether it takes commands, be it to refuse them.
    fn answers(&self) -> bool {
        let Ok(mut line) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let mut answer = [0; 8];
        let asked = line
            .write_all(b"PING\r\n")
            .and_then(|()| line.read_exact(&mut answer[..7]));
        asked.is_ok() && !answer.starts_with(b"-LOADIN")
    }

    fn pid_file(&self) -> PathBuf {
        self.directory.join("pid")
    }

    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL of it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Sends it a signal (`STOP`, `CONT`).
    ///
    /// # Errors
    /// It is not running.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = fs::read_to_string(self.pid_file())?;
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(pid.trim())
            .status()?;
        match sent.success() {
            true => Ok(()),
            false => Err(io::Error::other("the server is not running")),
        }
    }

    /// Kills it, as a crash does.
    ///
    /// # Errors
    /// It is not running.
    pub fn kill(&mut self) -> io::Result<()> {
        self.signal("KILL")?;
        if let Some(mut watched) = self.watched.take() {
            watched.wait()?;
        }
        fs::remove_file(self.pid_file()).ok();
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut watched) = self.watched.take() {
            drop(watched.stdin.take());
            watched.wait().ok();
        }
    }
}

/// Masters that share the slots of a Cluster, in order.
#[derive(Debug)]
pub struct RedisCluster {
    /// Its nodes.
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts so many in a directory that is made anew, and waits until all of them know one another. They are of 7.0 or later, whose
    /// second port can be chosen.
    ///
    /// # Errors
    /// A server is not to be had, or they do not come together.
    pub fn start(kind: RedisKind, directory: &Path, masters: u16) -> io::Result<Self> {
        let (mut nodes, mut buses) = (Vec::new(), Vec::new());
        for number in 0..masters {
            let bus = free_port()?;
            let settings = [
                "cluster-enabled yes",
                "cluster-node-timeout 1000",
                &format!("cluster-port {bus}"),
            ];
            nodes.push(RedisServer::start(
                kind,
                &directory.join(number.to_string()),
                &settings,
            )?);
            buses.push(bus);
        }
        let part = SLOTS / masters;
        for (number, node) in (0..masters).zip(&nodes) {
            let last = if number + 1 == masters {
                SLOTS
            } else {
                (number + 1) * part
            };
            node.command(&format!("CLUSTER ADDSLOTSRANGE {} {}", number * part, last - 1))?;
            // Where nobody agrees on who is older, two that meet may take one another for the same.
            node.command(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))?;
        }
        if let Some((first, bus)) = nodes.iter().zip(&buses).next() {
            for other in nodes.iter().skip(1) {
                other.command(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", first.port()))?;
            }
        }
        let cluster = Self { nodes };
        for _ in 0..LOOKS {
            if cluster.is_whole() {
                return Ok(cluster);
            }
            thread::sleep(PAUSE);
        }
        Err(io::Error::other("the nodes do not come together"))
    }

    /// Whether each node has seen all slots to be served, by as many as there are.
    fn is_whole(&self) -> bool {
        let size = format!("cluster_size:{}", self.nodes.len());
        self.nodes.iter().all(|node| {
            let said = node.command("CLUSTER INFO").unwrap_or_default();
            said.contains("cluster_state:ok") && said.lines().any(|line| line == size)
        })
    }

    /// A URL of it.
    pub fn url(&self) -> String {
        let nodes = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        format!("redis+cluster://{}", nodes.collect::<Vec<_>>().join(","))
    }
}
