//! The store that a gateway serves from: opened, handed to an engine, and looked at while it serves.

mod check;
mod exposed;
pub mod measured;
mod names;
pub mod tools;
mod watch;

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use verify_batch::{Figures, OUTBOXES_NAMED, Outbox};
use verify_core::keys::Keys;
use verify_core::port::Clock as _;
use verify_core::record::Notes;
use verify_core::store::{
    Changeset, Epoch, Origin, RecordKey, Room, Store as StorePort, StoreFault, WrittenUnder,
};
use verify_core::vocabulary::ServiceId;
use verify_engine::{EngineBuilder, SystemClock};
use verify_memstore::MemStore;
use verify_postgres::PostgresStore;
use verify_redis::RedisStore;
use verify_sqlite::{OpenError, SqliteStore};

use crate::config::{Storage, Store};
use crate::state_dir::{StateDir, StateDirError, to_hex};

pub(crate) use exposed::notes as exposed;
pub(crate) use names::names;
pub(crate) use watch::WARNED_FROM;
pub use watch::watch;

/// Whoever starts looks at a few records, each so long.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// Whoever asks for figures has no more time than that for them.
const FIGURES_WITHIN: Duration = Duration::from_secs(1);

/// A store that is open. Clones are the same one.
#[derive(Debug, Clone)]
pub enum OpenStore {
    /// In this process.
    Memory(Arc<MemStore>),
    /// In a file.
    Sqlite(SqliteStore),
    /// In a database.
    Postgres(PostgresStore),
    /// In Redis or Valkey.
    Redis(RedisStore),
}

/// Durable records under one pair of keys.
pub(crate) struct Durable {
    pub(crate) under: WrittenUnder,
    pub(crate) records: u64,
    pub(crate) is_opened: bool,
}

/// Why a store cannot be had. A change of the configuration or of the machine mends it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file.
    #[error("the store (--store, VERIFY_STORE): {0}")]
    Sqlite(#[from] OpenError),
    /// The database.
    #[error("the store (--store, VERIFY_STORE): {0}")]
    Postgres(verify_postgres::OpenError),
    /// Redis or Valkey.
    #[error("the store (--store, VERIFY_STORE): {0}")]
    Redis(verify_redis::OpenError),
    /// The server takes another password.
    #[error("VERIFY_STORE_PASSWORD_FILE, or the password in VERIFY_STORE: {0}")]
    WrongPassword(verify_redis::OpenError),
    /// The database asks for a password.
    #[error(
        "VERIFY_STORE_PASSWORD_FILE: the database asks for a password, and there is none; name a file with it here, or put it into \
         the URL (VERIFY_STORE, VERIFY_STORE_FILE), percent-encoded"
    )]
    NoPassword,
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// It holds what needs a key that was dropped.
    #[error(
        "VERIFY_KEYS: durable records (opt-outs) are under keys that it does not have, or has others of that id for: {0}. Put \
         these back at the end of their rings until `store rekey` says that nothing is left under them; if they are lost for \
         good, start with --forget-missing-keys"
    )]
    KeysMissing(String),
    /// It is open, and says nothing.
    #[error("the store (--store, VERIFY_STORE): {0}")]
    Fault(StoreFault),
}

impl StoreError {
    /// The same without the setting that names the store, for one that something else names.
    fn of_a_store(&self) -> String {
        match self {
            Self::Sqlite(error) => error.to_string(),
            Self::Postgres(error) => error.to_string(),
            Self::Redis(error) => error.to_string(),
            Self::Fault(fault) => fault.to_string(),
            Self::NoPassword | Self::WrongPassword(_) | Self::StateDir(_) | Self::KeysMissing(_) => {
                self.to_string()
            }
        }
    }
}

impl From<verify_postgres::OpenError> for StoreError {
    fn from(error: verify_postgres::OpenError) -> Self {
        match matches!(error, verify_postgres::OpenError::NoPassword) {
            true => Self::NoPassword,
            false => Self::Postgres(error),
        }
    }
}

impl From<verify_redis::OpenError> for StoreError {
    fn from(error: verify_redis::OpenError) -> Self {
        if matches!(error, verify_redis::OpenError::NoPassword) {
            Self::NoPassword
        } else if matches!(error, verify_redis::OpenError::WrongPassword(_)) {
            Self::WrongPassword(error)
        } else {
            Self::Redis(error)
        }
    }
}

impl OpenStore {
    /// One in this process, whatever is named.
    pub fn in_memory(storage: &Storage) -> Self {
        Self::Memory(Arc::new(MemStore::with_capacity(storage.memory.capacity())))
    }

    /// Opens it to serve from it, and makes what is not there yet: file and state directory. One that holds nothing, and that
    /// the state directory does not know, has a first start, which nobody has to accept.
    ///
    /// # Errors
    /// [`StoreError`], which says what to do.
    pub async fn open(storage: &Storage) -> Result<Self, StoreError> {
        let is_inside = match &storage.store {
            Store::Memory => return Ok(Self::in_memory(storage)),
            Store::Sqlite(path) => path.starts_with(&storage.state_dir),
            Store::Postgres(_) | Store::Redis(_) => false,
        };
        let dir = match is_inside || storage.remembers {
            true => StateDir::make(&storage.state_dir)?,
            false => StateDir::at(&storage.state_dir),
        };
        let last = match storage.remembers {
            true => dir.remembered(&names(storage, &storage.store)?)?,
            false => None,
        };
        Self::open_knowing(storage, last).await
    }

    /// Opens it by the epoch that it had last, as far as somebody knows. One without an epoch gets one, and it is accepted only
    /// where nobody knows another.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) async fn open_knowing(storage: &Storage, last: Option<Epoch>) -> Result<Self, StoreError> {
        Ok(match &storage.store {
            Store::Memory => Self::in_memory(storage),
            Store::Sqlite(path) => Self::Sqlite(SqliteStore::open(storage.sqlite(path).remembered(last))?),
            Store::Postgres(url) => {
                let options = storage.postgres(url)?.remembered(last);
                Self::Postgres(PostgresStore::open(options).await?)
            }
            Store::Redis(url) => {
                let options = storage.redis(url)?.remembered(last);
                Self::Redis(RedisStore::open(options).await?)
            }
        })
    }

    /// Gives an engine the store.
    #[must_use]
    pub fn equip(&self, builder: EngineBuilder) -> EngineBuilder {
        match self {
            Self::Memory(store) => builder.store(Arc::clone(store)),
            Self::Sqlite(store) => builder.store(store.clone()),
            Self::Postgres(store) => builder.store(store.clone()),
            Self::Redis(store) => builder.store(store.clone()),
        }
    }

    /// Keeps its epoch in the state directory, where that remembers.
    ///
    /// # Errors
    /// The store does not say, or it cannot be written.
    pub async fn remember(&self, storage: &Storage) -> Result<(), StoreError> {
        if matches!(self, Self::Memory(_)) {
            return Ok(());
        }
        match storage.remembers {
            true => {
                let mut origin = self.origin().await.map_err(StoreError::Fault)?;
                let (dir, names) = (StateDir::at(&storage.state_dir), names(storage, &storage.store)?);
                let last = dir.remembered(&names)?.filter(|last| *last != origin.epoch);
                if let Some(last) = last {
                    let (last, epoch) = (to_hex(last), to_hex(origin.epoch));
                    tracing::warn!(
                        last,
                        epoch,
                        "the store has another epoch than when it was last used here: it lost its data, or is a copy"
                    );
                    // Nobody else uses a file. Of a database another node, or an operator elsewhere, may have said what it is.
                    if matches!(self, Self::Sqlite(_)) && origin.accepted {
                        origin = self.begin_epoch().await.map_err(StoreError::Fault)?;
                    }
                }
                Ok(dir.remember(&names, origin.epoch)?)
            }
            false => Ok(()),
        }
    }

    /// Where what it holds comes from.
    ///
    /// # Errors
    /// It does not say.
    pub async fn origin(&self) -> Result<Origin, StoreFault> {
        self.port().health().await
    }

    /// Ends the wait of one that lost data. One in memory never waits.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(crate) async fn accept(&self) -> Result<(), StoreFault> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Sqlite(store) => store.accept().await,
            Self::Postgres(store) => store.accept().await,
            Self::Redis(store) => store.accept().await,
        }
    }

    /// Begins another epoch, which nobody has accepted.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(crate) async fn begin_epoch(&self) -> Result<Origin, StoreFault> {
        match self {
            Self::Memory(store) => store.health().await,
            Self::Sqlite(store) => store.begin_epoch().await,
            Self::Postgres(store) => store.begin_epoch().await,
            Self::Redis(store) => store.begin_epoch().await,
        }
    }

    /// Its durable records by the keys that they were written under, and whether these rings open them: else the keys are not there,
    /// or others have their ids. Of those under some keys one is tried.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(crate) async fn durable(&self, keys: &Keys) -> Result<Vec<Durable>, StoreFault> {
        let store = self.port();
        let mut durable = Vec::new();
        for (under, records) in store.durable().await? {
            let is_opened = match store.durable_under(under, None, 1).await?.first() {
                Some((service, key)) => under.is_in(keys) && opens(store, keys, service, key).await?,
                // Moved in between.
                None => true,
            };
            durable.push(Durable {
                under,
                records,
                is_opened,
            });
        }
        Ok(durable)
    }

    /// Makes sure that the rings have every key that a durable record needs: without it an opt-out would not be found.
    ///
    /// # Errors
    /// One is not there, or the store does not say.
    pub async fn needs_no_other_keys(&self, keys: &Keys) -> Result<(), StoreError> {
        let durable = self.durable(keys).await.map_err(StoreError::Fault)?;
        let missing = durable.iter().filter(|durable| !durable.is_opened);
        let missing: Vec<_> = missing
            .map(|Durable { under, records, .. }| format!("{records} under {under}"))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(StoreError::KeysMissing(missing.join("; "))),
        }
    }

    fn port(&self) -> &dyn StorePort {
        match self {
            Self::Memory(store) => store,
            Self::Sqlite(store) => store,
            Self::Postgres(store) => store,
            Self::Redis(store) => store,
        }
    }

    /// Closes it, when nothing is asked of it any more.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close(),
            // It ends with the process, and so do connections on which nothing is under way.
            Self::Memory(_) | Self::Redis(_) => {}
        }
    }

    /// What it holds, and how far behind it is with what it has to do; an answer within a second.
    ///
    /// # Errors
    /// It does not say.
    pub async fn figures(&self) -> Result<Figures, StoreFault> {
        let asked = async {
            match self {
                Self::Memory(store) => Ok(in_memory(store)),
                Self::Sqlite(store) => store.figures().await,
                Self::Postgres(store) => store.figures().await,
                Self::Redis(store) => store.figures().await,
            }
        };
        let late = |_| Err(StoreFault::unavailable("no figures in time"));
        timeout(FIGURES_WITHIN, asked).await.unwrap_or_else(late)
    }

    /// The part of its room that is used, 0 to 1. From 0.9 on strangers are refused.
    ///
    /// # Errors
    /// It does not say.
    pub async fn room_used(&self) -> Result<f64, StoreFault> {
        match self {
            Self::Memory(store) => Ok(store.usage().part_of(store.capacity())),
            Self::Sqlite(store) => store.space().await.map(|space| space.part()),
            Self::Postgres(store) => store.room_used().await,
            Self::Redis(store) => store.room_used().await,
        }
    }
}

/// What waits in a store in memory. All services share its room for events.
fn in_memory(store: &MemStore) -> Figures {
    let used = store.usage().events as f64 / store.capacity().events.max(1) as f64;
    let mut waiting = store.waiting_events();
    waiting.sort_by_key(|(_, events, _)| Reverse(*events));
    let outboxes = waiting.into_iter().take(OUTBOXES_NAMED);
    Figures {
        outboxes: outboxes
            .map(|(service, events, oldest)| Outbox {
                service,
                events: events as u64,
                oldest: Some(oldest),
                used: used.min(1.0),
            })
            .collect(),
        ..Figures::default()
    }
}

/// Whether these rings open a durable record. One that was deleted in between needs none, and one that cannot be read is no
/// matter of keys.
async fn opens(
    store: &dyn StorePort,
    keys: &Keys,
    service: &ServiceId,
    key: &RecordKey,
) -> Result<bool, StoreFault> {
    let mut look = Changeset::new(service.clone(), SystemClock.now(), Room::Known);
    look.reads = vec![*key];
    let notes = store.apply(&look, LOOK_WITHIN).await.seen();
    match notes.and_then(|seen| seen.record(key).map(Notes::decode).transpose()) {
        Ok(notes) => Ok(notes.is_none_or(|notes| notes.named(keys, service, key).is_some())),
        Err(StoreFault::Corrupt(_)) => Ok(true),
        Err(fault) => Err(fault),
    }
}
