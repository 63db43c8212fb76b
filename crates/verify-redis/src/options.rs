//! Where the servers are, and what they are used for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use verify_batch::{Limits, OnFailover, Turns};
use verify_core::store::Epoch;

use crate::errors::OpenError;
use crate::url;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// How the servers belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// One, or several of which one is the master: whichever says so.
    Endpoints(Vec<Address>),
    /// Sentinels that know the master of this name.
    Sentinels {
        /// Where they listen.
        sentinels: Vec<Address>,
        /// The master's name.
        master: String,
    },
    /// Some nodes of a Cluster; they name the others.
    Cluster(Vec<Address>),
}

impl Servers {
    /// Those that are named.
    pub fn addresses(&self) -> &[Address] {
        match self {
            Self::Endpoints(addresses) | Self::Cluster(addresses) => addresses,
            Self::Sentinels { sentinels, .. } => sentinels,
        }
    }
}

/// Whether keys can begin with this.
///
/// # Errors
/// [`OpenError::Prefix`].
pub fn checked_prefix(prefix: &str) -> Result<(), OpenError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    match prefix.len() <= 64 && prefix.bytes().all(fits) {
        true => Ok(()),
        false => Err(OpenError::Prefix(prefix.to_owned())),
    }
}

/// How servers are reached, and what they are used for.
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisOptions {
    /// Where they are.
    pub servers: Servers,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// The ACL user; `None`: the default one.
    pub user: Option<String>,
    /// The password as it stood in a URL.
    pub password: Option<String>,
    /// The number of the database; a Cluster has 0 alone.
    pub database: i64,
    /// A file with the password; a line break at its end is not part of it. It is read with each start.
    pub password_file: Option<PathBuf>,
    /// A file with certificates (PEM) of who may have signed the server's. `None`: whom this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Files with a certificate and a key (PEM) of this client.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// What every key begins with, up to 64 letters, digits, `.`, `_`, `-` and `:`.
    pub prefix: String,
    /// How long to wait for a connection.
    pub connect: Duration,
    /// How long a command may take; later it is `Unknown`.
    pub command: Duration,
    /// So many replicas have what an answer is based on, and what it wrote, before it is given.
    pub wait_replicas: u32,
    /// For how long a key stays after what is in it was outlived by the engine's time.
    pub margin: Duration,
    /// How often it is looked at how full the server is.
    pub room_looked_at: Duration,
    /// What happens when a replica takes over, or a server began again: it is seen by the replication id. To be told is enough where
    /// every answer waits for replicas ([`wait_replicas`](Self::wait_replicas)) or the server syncs each write (`appendfsync always`).
    pub on_failover: OnFailover,
    /// The epoch that this store had when it was last seen here. One without is then not a first start: it lost its data.
    pub remembered: Option<Epoch>,
    /// Bounds of what is under way at a time, and of the outbox.
    pub limits: Limits,
    /// What the store does wrong: for tests of the tests.
    #[cfg(verify_broken)]
    pub flaw: Option<crate::broken::Flaw>,
    /// The script may touch declared keys alone: for tests.
    #[cfg(verify_broken)]
    pub watched: bool,
}

impl RedisOptions {
    /// Servers by their URL: `redis://USER@HOST:PORT/DATABASE`, with several hosts `redis://HOST:PORT,HOST:PORT`,
    /// `redis+sentinel://SENTINEL:PORT,SENTINEL:PORT/MASTER`, `redis+cluster://HOST:PORT,HOST:PORT`; `rediss` in the place of `redis`
    /// for TLS.
    ///
    /// # Errors
    /// [`OpenError::Url`]; what was given is not repeated, because there may be a password in it.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        url::parse(text)
    }

    /// Servers, and the defaults for the rest: keys that begin with `verify:`, a second for a connection, two for a command, no replica
    /// is waited for.
    pub fn of(servers: Servers) -> Self {
        Self {
            servers,
            tls: false,
            user: None,
            password: None,
            database: 0,
            password_file: None,
            ca_file: None,
            client_certificate: None,
            prefix: "verify:".to_owned(),
            connect: Duration::from_secs(1),
            command: Duration::from_secs(2),
            wait_replicas: 0,
            margin: Duration::from_secs(10),
            room_looked_at: Duration::from_secs(1),
            on_failover: OnFailover::default(),
            remembered: None,
            limits: Limits::of(Turns::Together),
            #[cfg(verify_broken)]
            flaw: None,
            #[cfg(verify_broken)]
            watched: false,
        }
    }

    /// The password in a file.
    #[must_use]
    pub fn password_file(mut self, file: impl AsRef<Path>) -> Self {
        self.password_file = Some(file.as_ref().to_owned());
        self
    }

    /// Whose signatures on the server's certificate are good.
    #[must_use]
    pub fn ca_file(mut self, file: impl AsRef<Path>) -> Self {
        self.ca_file = Some(file.as_ref().to_owned());
        self
    }

    /// Another beginning of keys.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// So many replicas are waited for.
    #[must_use]
    pub fn wait_replicas(mut self, replicas: u32) -> Self {
        self.wait_replicas = replicas;
        self
    }

    /// The epoch that it had when it was last seen.
    #[must_use]
    pub fn remembered(mut self, epoch: Option<Epoch>) -> Self {
        self.remembered = epoch;
        self
    }

    /// What happens when a replica takes over.
    #[must_use]
    pub fn on_failover(mut self, on_failover: OnFailover) -> Self {
        self.on_failover = on_failover;
        self
    }
}

impl fmt::Debug for RedisOptions {
    /// The password is not among what it shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("servers", &self.servers)
            .field("tls", &self.tls)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("prefix", &self.prefix)
            .field("wait_replicas", &self.wait_replicas)
            .finish_non_exhaustive()
    }
}
