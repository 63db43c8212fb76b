//! How a file is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use verify_batch::{Limits, Turns};
use verify_core::store::Epoch;

/// What is certain once an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// It survives a loss of power: each transaction is synced before anything of it is answered.
    #[default]
    Full,
    /// It survives the end of the process. A loss of power may take the last seconds: budgets that were used in them are given
    /// again, and codes that were accepted are good once more.
    Process,
}

/// How a file is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// The file. It is made, readable for its owner alone, when there is none; its directory must be there.
    pub path: PathBuf,
    /// What is certain once an answer was given.
    pub durability: Durability,
    /// The most bytes that it may hold. Strangers are refused from nine tenths on. `None`: what the disk has.
    pub most_bytes: Option<u64>,
    /// How long a transaction waits for another process that writes.
    pub busy: Duration,
    /// The epoch that this file had when it was last seen here. A file without one is then not a first start: it lost its data.
    pub remembered: Option<Epoch>,
    /// Bounds of what waits and of what is decided together.
    pub limits: Limits,
}

impl SqliteOptions {
    /// A file, and the defaults for the rest: fully durable, as much as the disk holds, 1 second for another process.
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            durability: Durability::default(),
            most_bytes: None,
            busy: Duration::from_secs(1),
            remembered: None,
            limits: Limits::of(Turns::Together),
        }
    }

    /// Another durability.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
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

    /// Other bounds.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
