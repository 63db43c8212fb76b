//! The store that a gateway serves from: opened, handed to an engine, and looked at while it serves.

pub mod tools;
mod watch;

use std::sync::Arc;

use verify_core::store::{Store as _, StoreFault};
use verify_engine::EngineBuilder;
use verify_memstore::MemStore;
use verify_sqlite::{OpenError, SqliteStore};

use crate::config::{Storage, Store};
use crate::state_dir::{StateDir, StateDirError, to_hex};

pub use watch::{ROOM, watch};

/// A store that is open. Clones are the same one.
#[derive(Debug, Clone)]
pub enum OpenStore {
    /// In this process.
    Memory(Arc<MemStore>),
    /// In a file.
    Sqlite(SqliteStore),
}

/// Why a store cannot be had. A change of the configuration or of the machine mends it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file.
    #[error("the store (--store, VERIFY_STORE): {0}")]
    Sqlite(#[from] OpenError),
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// It is open, and says nothing.
    #[error("the store (--store, VERIFY_STORE): {0}")]
    Fault(StoreFault),
}

impl OpenStore {
    /// Opens it, and makes what is not there yet: file and state directory.
    ///
    /// # Errors
    /// [`StoreError`], which says what to do.
    pub fn open(storage: &Storage) -> Result<Self, StoreError> {
        match &storage.store {
            Store::Memory => Ok(Self::Memory(Arc::new(MemStore::with_capacity(
                storage.memory.capacity(),
            )))),
            Store::Sqlite(path) => {
                let is_inside = path.starts_with(&storage.state_dir);
                let dir = match is_inside || storage.remembers {
                    true => StateDir::make(&storage.state_dir)?,
                    false => StateDir::at(&storage.state_dir),
                };
                let remembered = match storage.remembers {
                    true => dir.remembered(&storage.store.to_string())?,
                    false => None,
                };
                let options = storage.sqlite(path).remembered(remembered);
                Ok(Self::Sqlite(SqliteStore::open(options)?))
            }
        }
    }

    /// Gives an engine the store.
    #[must_use]
    pub fn equip(&self, builder: EngineBuilder) -> EngineBuilder {
        match self {
            Self::Memory(store) => builder.store(Arc::clone(store)),
            Self::Sqlite(store) => builder.store(store.clone()),
        }
    }

    /// Keeps its epoch in the state directory, where that remembers.
    ///
    /// # Errors
    /// The store does not say, or it cannot be written.
    pub async fn remember(&self, storage: &Storage) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) if storage.remembers => {
                let epoch = store.health().await.map_err(StoreError::Fault)?.epoch;
                let (dir, name) = (StateDir::at(&storage.state_dir), storage.store.to_string());
                let last = dir.remembered(&name)?.filter(|last| *last != epoch);
                if let Some(last) = last {
                    let (last, epoch) = (to_hex(last), to_hex(epoch));
                    tracing::warn!(
                        last,
                        epoch,
                        "the store has another epoch than when it was last used here: it lost its data, or is a copy"
                    );
                }
                Ok(dir.remember(&name, epoch)?)
            }
            Self::Sqlite(_) | Self::Memory(_) => Ok(()),
        }
    }

    /// Closes it, when nothing is asked of it any more.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            // It ends with the process.
            Self::Memory(_) => {}
        }
    }

    /// The part of its room that is used, 0 to 1. From 0.9 on strangers are refused.
    ///
    /// # Errors
    /// It does not say.
    pub async fn room_used(&self) -> Result<f64, StoreFault> {
        match self {
            Self::Memory(store) => Ok(store.usage().part_of(store.capacity())),
            Self::Sqlite(store) => store.space().await.map(|space| space.part()),
        }
    }
}
