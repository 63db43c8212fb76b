//! How a database is reached, and what it is used for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;
use verify_batch::{Limits, OnFailover, Turns};
use verify_core::store::Epoch;

use crate::errors::OpenError;

/// What is certain once an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// What the server's `synchronous_commit` says: with its default, what was answered survives a loss of power.
    #[default]
    AsServer,
    /// `synchronous_commit = off`: a crash of the server may take the last seconds, and with them budgets that were used and
    /// codes that were accepted.
    Process,
}

/// How a database is reached, and what it is used for.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// Host, port, database, user.
    pub config: Config,
    /// A file with the password; a line break at its end is not part of it. It is read with each start, and comes before one in the
    /// URL.
    pub password_file: Option<PathBuf>,
    /// A file with certificates (PEM) of who may have signed the server's. `None`: whom this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Files with a certificate and a key (PEM) of this client.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The schema that the tables are in.
    pub schema: String,
    /// Connections at most.
    pub connections: usize,
    /// How long to wait for a connection.
    pub connect: Duration,
    /// How long a transaction waits for its lane, and a statement for its end.
    pub statement: Duration,
    /// What is certain once an answer was given.
    pub durability: Durability,
    /// What happens when a copy takes over, or one was restored: it is seen by the server's system identifier and timeline. To be told is
    /// enough where a copy is never behind (synchronous replication).
    pub on_failover: OnFailover,
    /// The most bytes that it may hold. Strangers are refused from nine tenths on. `None`: what the server has.
    pub most_bytes: Option<u64>,
    /// The epoch that this database had when it was last seen here. One without is then not a first start: it lost its data.
    pub remembered: Option<Epoch>,
    /// Bounds of what waits and of what is decided together.
    pub limits: Limits,
}

impl PostgresOptions {
    /// A database by its URL, or by libpq's words (`host=… user=…`). Without `sslmode` the server's certificate is verified
    /// wherever it is not on this machine.
    ///
    /// # Errors
    /// [`OpenError::Url`] or [`OpenError::Cut`]; what was given is not repeated, because there may be a password in it.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let is_cut = |text: &str| is_url && text.matches('@').count() > 1;
        let mut config: Config = url.parse().map_err(|error| {
            // What is taken for a word may be the rest of a password.
            match is_cut(url) || !is_url && url.contains("password") {
                true => OpenError::Cut,
                false => OpenError::Url(error),
            }
        })?;
        if is_cut(url.split('?').next().unwrap_or_default()) {
            return Err(OpenError::Cut);
        }
        if config.get_application_name().is_none() {
            config.application_name("verify");
        }
        Ok(Self::of(config))
    }

    /// A database, and the defaults for the rest: tables in the schema `verify`, 8 connections, a second for a connection, 1.5
    /// for a lane.
    pub fn of(config: Config) -> Self {
        let connections = 8;
        Self {
            config,
            password_file: None,
            ca_file: None,
            client_certificate: None,
            schema: "verify".to_owned(),
            connections,
            connect: Duration::from_secs(1),
            statement: Duration::from_millis(1_500),
            durability: Durability::default(),
            on_failover: OnFailover::default(),
            most_bytes: None,
            remembered: None,
            limits: Limits::of(Turns::Apart {
                at_once: connections - 2,
            }),
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

    /// Another schema.
    #[must_use]
    pub fn schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.schema);
        self
    }

    /// Another number of connections, at least 3: two are kept for what is not a transaction of a batch.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(3);
        self.limits.turns = Turns::Apart {
            at_once: self.connections - 2,
        };
        self
    }

    /// At most that many bytes.
    #[must_use]
    pub fn most_bytes(mut self, bytes: u64) -> Self {
        self.most_bytes = Some(bytes);
        self
    }

    /// The epoch that it had when it was last seen.
    #[must_use]
    pub fn remembered(mut self, epoch: Option<Epoch>) -> Self {
        self.remembered = epoch;
        self
    }

    /// Another durability.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What happens when a copy takes over.
    #[must_use]
    pub fn on_failover(mut self, on_failover: OnFailover) -> Self {
        self.on_failover = on_failover;
        self
    }

    /// True when every host is this machine.
    pub(crate) fn is_local(&self) -> bool {
        let (hosts, addresses) = (self.config.get_hosts(), self.config.get_hostaddrs());
        let is_named = !hosts.is_empty() || !addresses.is_empty();
        is_named
            && addresses.iter().all(|address| address.is_loopback())
            && hosts.iter().all(|host| match host {
                Host::Tcp(name) => {
                    let address = name.parse::<std::net::IpAddr>();
                    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
                }
                Host::Unix(_) => true,
            })
    }
}

impl std::fmt::Debug for PostgresOptions {
    /// The password is not among what it shows.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("hosts", &self.config.get_hosts())
            .field("database", &self.config.get_dbname())
            .field("user", &self.config.get_user())
            .field("schema", &self.schema)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
