//! A connection to one server.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use verify_batch::tls;
use verify_core::store::StoreFault;
use verify_core::time::Timestamp;

use crate::errors::{Failed, OpenError, words};
use crate::options::{Address, RedisOptions};

/// How connections are made.
pub(crate) struct Dialer {
    redis: RedisConnectionInfo,
    tls: Option<TlsConnector>,
    within: Duration,
}

/// A connection on which what many ask goes one behind the other. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Line {
    connection: MultiplexedConnection,
    /// False once it ended: nothing more is sent on it.
    is_open: Arc<AtomicBool>,
    /// What the server said of itself when the connection was made.
    pub(crate) role: Arc<Role>,
    clock: Arc<ServerClock>,
}

/// What a server says of itself.
#[derive(Debug, Default)]
pub(crate) struct Role {
    /// The id of its history, which a master may change while nothing happens to it, and that of its process, 40 digits each; nothing
    /// where it does not say.
    pub(crate) server: String,
    pub(crate) is_replica: bool,
}

/// The server's clock, as far as answers told.
struct ServerClock {
    since: Instant,
    /// Its milliseconds at `since`.
    began: AtomicU64,
}

impl Dialer {
    pub(crate) fn of(options: &RedisOptions) -> Result<Self, OpenError> {
        let mut redis = RedisConnectionInfo::default()
            .set_db(options.database)
            .set_lib_name("verify", "0");
        let password = match &options.password_file {
            Some(file) => Some(secret(file)?),
            None => options.password.clone(),
        };
        if let Some(user) = &options.user {
            redis = redis.set_username(user);
        }
        // Without a password the client would not say who it is, and be somebody else.
        if let Some(password) = password.or_else(|| options.user.as_ref().map(|_| String::new())) {
            redis = redis.set_password(password);
        }
        let asked = options.tls || options.ca_file.is_some() || options.client_certificate.is_some();
        let files = (options.ca_file.as_deref(), options.client_certificate.as_ref());
        let tls = asked.then(|| tls::config(files.0, files.1)).transpose()?;
        Ok(Self {
            redis,
            tls: tls.map(|config| TlsConnector::from(Arc::new(config))),
            within: options.connect,
        })
    }

    /// A connection to a sentinel, which has no databases, and names and passwords of its own.
    pub(crate) fn to_sentinels(&self) -> Self {
        Self {
            redis: RedisConnectionInfo::default(),
            tls: self.tls.clone(),
            within: self.within,
        }
    }

    /// A connection, and what the server says of itself.
    pub(crate) async fn dial(&self, address: &Address) -> Result<Line, Failed> {
        let unreached = |words: &str| StoreFault::unavailable(&format!("{address}: {words}"));
        match timeout(self.within, self.dial_slowly(address)).await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(words)) => Err(Failed::NotApplied(unreached(&words))),
            Err(_elapsed) => Err(Failed::Unreached(unreached("no connection in time"))),
        }
    }

    async fn dial_slowly(&self, address: &Address) -> Result<Line, String> {
        let (host, port) = (address.host.as_str(), address.port);
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        match &self.tls {
            None => self.begin(tcp).await,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
                let stream = tls.connect(name, tcp).await;
                self.begin(stream.map_err(|error| format!("TLS: {error}"))?).await
            }
        }
    }

    async fn begin<S>(&self, stream: S) -> Result<Line, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Whoever asks has a bound of their own.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(&self.redis, stream, config).await;
        let (connection, driver) = made.map_err(|error| words(&error))?;
        let is_open = Arc::new(AtomicBool::new(true));
        let ends = Arc::clone(&is_open);
        tokio::spawn(async move {
            driver.await;
            ends.store(false, Ordering::Release);
        });
        let mut line = Line {
            connection,
            is_open,
            role: Arc::default(),
            clock: Arc::new(ServerClock {
                since: Instant::now(),
                began: AtomicU64::new(0),
            }),
        };
        line.introduce().await.map_err(|error| words(&error))?;
        Ok(line)
    }
}

impl Line {
    /// Asks the server which one it is, and what time it is there.
    async fn introduce(&mut self) -> Result<(), RedisError> {
        // Where INFO is not permitted a replica says so at the first write, and nobody is told of one that took over.
        let asked = ["replication", "server"].map(|section| redis::cmd("INFO").arg(section).clone());
        let said = self.ask_in_a_row(&asked).await;
        let said = said.map(|said| {
            said.into_iter()
                .filter_map(|said| redis::from_redis_value::<String>(said).ok())
        });
        match said {
            Ok(said) => self.role = Arc::new(Role::of(&said.collect::<String>())),
            Err(error) if error.is_io_error() => return Err(error),
            Err(_) => {}
        }
        let time = self.ask(&redis::cmd("TIME")).await?;
        let (seconds, micros): (u64, u64) = redis::from_redis_value(time)?;
        self.saw_clock(Timestamp::from_millis(seconds * 1_000 + micros / 1_000));
        Ok(())
    }

    pub(crate) async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        command.query_async(&mut self.connection.clone()).await
    }

    /// Several, with nothing of anybody else in between; the answer to each.
    pub(crate) async fn ask_in_a_row(&self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let many = commands.len();
        self.connection
            .clone()
            .send_packed_commands(&pipeline, 0, many)
            .await
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Nothing more is sent on it.
    pub(crate) fn give_up(&self) {
        self.is_open.store(false, Ordering::Release);
    }

    /// Takes in what an answer says of the server's clock.
    pub(crate) fn saw_clock(&self, clock: Timestamp) {
        let began = clock.as_millis().saturating_sub(self.clock.elapsed());
        self.clock.began.store(began, Ordering::Relaxed);
    }

    /// What time it is there.
    pub(crate) fn clock(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.began.load(Ordering::Relaxed) + self.clock.elapsed())
    }

    /// The last instant of the server's clock at which something may begin there that may begin for that long from now. The way there
    /// makes it somewhat earlier.
    pub(crate) fn not_after(&self, within: Duration) -> Timestamp {
        self.clock() + within
    }
}

impl ServerClock {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Role {
    /// As `INFO` has it.
    fn of(said: &str) -> Self {
        let ids = ["master_replid", "run_id"].map(|name| value(said, name).unwrap_or_default());
        Self {
            server: ids.concat(),
            is_replica: value(said, "role") == Some("slave"),
        }
    }
}

/// A value of what `INFO` says.
pub(crate) fn value<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    let mut found = said
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value.trim())
}

fn secret(file: &Path) -> Result<String, OpenError> {
    let read = fs::read_to_string(file).map_err(|error| OpenError::File {
        file: file.to_owned(),
        error,
    })?;
    Ok(read.trim_end_matches(['\r', '\n']).to_owned())
}
