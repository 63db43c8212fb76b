//! Connections: encrypted wherever they leave the machine, a few of them, none kept that may be in the middle of something.

use std::error::Error as _;
use std::{fs, io};

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use verify_batch::{Ended, tls};
use verify_core::store::StoreFault;

use crate::errors::{OpenError, said};
use crate::hosts::{BrokenOff, Hosts};
use crate::options::PostgresOptions;
use crate::prepared::{self, PreparedOn, WORD};
use crate::transaction::Begin;

/// A pool of connections, what they prepare, and where is heard what breaks off on any of them.
pub(crate) fn pool(options: &PostgresOptions) -> Result<Lines, OpenError> {
    let mut config = options.config.clone();
    if let Some(file) = &options.password_file {
        let password = fs::read_to_string(file).map_err(|error| OpenError::File {
            file: file.clone(),
            error,
        })?;
        config.password(password.trim_end_matches(['\r', '\n']));
    }
    let recycled = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let (within, broken_off, word) = (options.connect, BrokenOff::default(), prepared::word());
    let heard = Begin::settings(options)
        .into_iter()
        .chain([(WORD, word.clone())])
        .map(|(name, value)| format!("-c {name}={value} "));
    let heard: String = heard.collect();
    let manager = match is_encrypted(options) {
        true => {
            config.ssl_mode(SslMode::Require);
            let tls = tls::config(options.ca_file.as_deref(), options.client_certificate.as_ref())?;
            let tls = MakeRustlsConnect::new(tls);
            let hosts = Hosts::of(&config, within, tls, &heard, broken_off.clone());
            Manager::from_connect(config, hosts, recycled)
        }
        false => {
            config.ssl_mode(SslMode::Disable);
            let hosts = Hosts::of(&config, within, NoTls, &heard, broken_off.clone());
            Manager::from_connect(config, hosts, recycled)
        }
    };
    let pool = Pool::builder(manager)
        .max_size(options.connections)
        .wait_timeout(Some(options.connect))
        .create_timeout(Some(options.connect))
        .recycle_timeout(Some(options.connect))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| OpenError::Connect(error.to_string()))?;
    Ok(Lines {
        pool,
        prepared: PreparedOn::connections_with(Some(word)),
        broken_off,
    })
}

/// Connections, and what is known of them.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) pool: Pool,
    pub(crate) prepared: PreparedOn,
    pub(crate) broken_off: BrokenOff,
}

impl Lines {
    /// Somebody else's.
    pub(crate) fn of(pool: Pool) -> Self {
        Self {
            pool,
            prepared: PreparedOn::connections_with(None),
            broken_off: BrokenOff::default(),
        }
    }
}

/// Whether connections are encrypted: what the URL says, and what is safe where it says nothing.
fn is_encrypted(options: &PostgresOptions) -> bool {
    let asked = options.ca_file.is_some() || options.client_certificate.is_some();
    let mode = options.config.get_ssl_mode();
    // The default takes whatever the server offers, which whoever is between them can change.
    let is_default = mode == SslMode::Prefer;
    mode != SslMode::Disable && (!is_default || asked || !options.is_local())
}

/// A connection that goes back to the pool once it is [`done`](Self::done), and is closed otherwise: whoever is dropped in the
/// middle of a transaction leaves it to nobody.
pub(crate) struct Connection(Option<Object>);

impl Connection {
    pub(crate) async fn of(pool: &Pool) -> Result<Self, NoConnection> {
        match pool.get().await {
            Ok(object) => Ok(Self(Some(object))),
            Err(error) => Err(NoConnection::because_of(&error)),
        }
    }

    /// The client.
    ///
    /// # Errors
    /// None: it is there until it is done with.
    pub(crate) fn client(&self) -> Result<&ClientWrapper, StoreFault> {
        match &self.0 {
            Some(object) => Ok(object),
            None => Err(StoreFault::defect("a connection that was given back")),
        }
    }

    /// Nothing is under way on it.
    pub(crate) fn done(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// Why there is none, with what the server said.
#[derive(Debug)]
pub(crate) struct NoConnection {
    words: String,
    /// True when it is because the time for one was over, and nobody said anything.
    ran_out: bool,
    /// True when the server asks for a password.
    lacks_password: bool,
}

impl NoConnection {
    fn because_of(error: &PoolError) -> Self {
        let mut lacks_password = false;
        let (words, ran_out) = match error {
            PoolError::Backend(error) => {
                let io = error
                    .source()
                    .and_then(|source| source.downcast_ref::<io::Error>());
                let ran_out = io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
                // No kind of its own says so.
                lacks_password = error
                    .source()
                    .is_some_and(|source| source.to_string() == "password missing");
                (said(error), ran_out)
            }
            PoolError::Timeout(_) => ("no connection in time".to_owned(), true),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                (error.to_string(), false)
            }
        };
        Self {
            words,
            ran_out,
            lacks_password,
        }
    }
}

impl From<NoConnection> for StoreFault {
    fn from(none: NoConnection) -> Self {
        Self::unavailable(&none.words)
    }
}

impl From<NoConnection> for OpenError {
    fn from(none: NoConnection) -> Self {
        match none.lacks_password {
            true => Self::NoPassword,
            false => Self::Connect(none.words),
        }
    }
}

impl From<NoConnection> for Ended {
    fn from(none: NoConnection) -> Self {
        match none.ran_out {
            true => Self::Unreached(none.into()),
            false => Self::NotApplied(none.into()),
        }
    }
}
