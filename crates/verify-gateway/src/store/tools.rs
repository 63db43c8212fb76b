//! Operators' commands about a store: look at it, prepare it, say what it is, move it.

use std::path::{Path, PathBuf};

use verify_batch::copy::{self, CopyError, Held, Table, Target};
use verify_core::keys::Keys;
use verify_core::store::{Epoch, Origin, StoreFault, WrittenUnder};
use verify_postgres::PostgresTables;
use verify_redis::RedisKeys;
use verify_sqlite::{SqliteFile, inspect};

use super::check::{Report, check};
use super::{OpenStore, StoreError, names};
use crate::cli::{EpochTool, StoreArgs, StoreTool};
use crate::config::{self, ConfigErrors, Environment, Storage, Store};
use crate::state_dir::{StateDir, to_hex};
use crate::tools::Said;

/// The two stores of a copy, as its arguments are called.
const FROM: &str = "FROM";
const TO: &str = "TO";
/// An epoch that no store has.
const NOBODYS: Epoch = Epoch([0; 16]);

/// Why a command did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the store is in the memory of the gateway's process, and nobody else can look at it; name a file or a database"
    )]
    InMemory,
    #[error(
        "there is no file {path} yet: the gateway makes it at its first start, and so does `store migrate`"
    )]
    Missing { path: PathBuf },
    #[error(
        "{store} holds nothing yet, or its data was lost: restore it, or start the gateway, which begins an epoch"
    )]
    Empty { store: Store },
    #[error("{which}: {why}")]
    Argument { which: &'static str, why: String },
    #[error("{0}")]
    Copy(CopyError),
    #[error("VERIFY_KEYS: needed to know which keys are the newest")]
    NoKeys,
    #[error("the runtime cannot start: {0}")]
    Runtime(std::io::Error),
}

impl ToolError {
    /// The same of a store that an argument names, and no setting.
    fn of(self, which: &'static str) -> Self {
        let why = match &self {
            Self::Store(error) => error.of_a_store(),
            Self::Config(_)
            | Self::InMemory
            | Self::Missing { .. }
            | Self::Empty { .. }
            | Self::Argument { .. }
            | Self::Copy(_)
            | Self::NoKeys
            | Self::Runtime(_) => self.to_string(),
        };
        Self::Argument { which, why }
    }
}

impl From<verify_sqlite::OpenError> for ToolError {
    fn from(error: verify_sqlite::OpenError) -> Self {
        Self::Store(error.into())
    }
}

impl From<verify_postgres::OpenError> for ToolError {
    fn from(error: verify_postgres::OpenError) -> Self {
        Self::Store(error.into())
    }
}

impl From<verify_redis::OpenError> for ToolError {
    fn from(error: verify_redis::OpenError) -> Self {
        Self::Store(error.into())
    }
}

impl From<crate::state_dir::StateDirError> for ToolError {
    fn from(error: crate::state_dir::StateDirError) -> Self {
        Self::Store(error.into())
    }
}

impl From<CopyError> for ToolError {
    fn from(error: CopyError) -> Self {
        let which = match error {
            CopyError::Reading(_) | CopyError::NothingThere => FROM,
            CopyError::Writing(_) | CopyError::NotEmpty => TO,
            CopyError::Differ { .. } => return Self::Copy(error),
        };
        let why = error.to_string();
        Self::Argument { which, why }
    }
}

impl From<StoreFault> for ToolError {
    fn from(fault: StoreFault) -> Self {
        Self::Store(StoreError::Fault(fault))
    }
}

/// Runs one.
pub(crate) fn run(args: &StoreArgs, tool: &StoreTool, environment: &Environment<'_>) -> Said {
    let ran = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ToolError::Runtime)
        .and_then(|runtime| runtime.block_on(tell(args, tool, environment)));
    ran.unwrap_or_else(|error| Said::misused(error.to_string()))
}

async fn tell(args: &StoreArgs, tool: &StoreTool, environment: &Environment<'_>) -> Result<Said, ToolError> {
    let storage = config::store_of_operator(&args.as_serve(), environment)?;
    match tool {
        StoreTool::Check => check(&storage).await,
        StoreTool::Migrate => migrate(&storage).await,
        StoreTool::Accept => accept(&storage).await,
        StoreTool::Epoch(EpochTool::New) => new_epoch(&storage).await,
        StoreTool::Rekey => {
            let keys = config::keys_of_operator(&args.as_serve(), environment)?;
            rekey(&storage, &keys.ok_or(ToolError::NoKeys)?).await
        }
        StoreTool::Copy { from, to } => copy_to(&storage, from, to).await,
    }
}

/// The file of a store that is one, and is there.
pub(super) fn file_of(store: &Store) -> Result<&Path, ToolError> {
    match store {
        Store::Memory | Store::Postgres(_) | Store::Redis(_) => Err(ToolError::InMemory),
        Store::Sqlite(path) if path.exists() => Ok(path),
        Store::Sqlite(path) => Err(ToolError::Missing { path: path.clone() }),
    }
}

async fn migrate(storage: &Storage) -> Result<Said, ToolError> {
    let (before, now) = match &storage.store {
        Store::Memory => return Err(ToolError::InMemory),
        Store::Sqlite(path) => {
            if path.starts_with(&storage.state_dir) {
                StateDir::make(&storage.state_dir)?;
            }
            let options = storage.sqlite(path);
            (verify_sqlite::migrate(&options)?, inspect(&options)?.schema)
        }
        Store::Postgres(url) => {
            let options = storage.postgres(url)?;
            let before = verify_postgres::migrate(&options).await?;
            (before, verify_postgres::inspect(&options).await?.schema)
        }
        Store::Redis(url) => {
            let server = verify_redis::inspect(&storage.redis(url)?).await?.server;
            let words = format!(
                "{}, {server}: there are no tables, and nothing to make or to migrate",
                storage.store
            );
            return Ok(Said::well(words));
        }
    };
    Ok(migrated(&storage.store, before, now))
}

fn migrated(store: &Store, before: u32, now: u32) -> Said {
    Said::well(match before {
        0 => format!("{store}: made, with schema {now}"),
        same if same == now => format!("{store}: has schema {now} already"),
        older => format!("{store}: schema {older} is now {now}"),
    })
}

/// Where what the store holds comes from. `None`: it holds nothing yet, or lost what it held.
async fn origin(storage: &Storage) -> Result<Option<Origin>, ToolError> {
    Ok(match &storage.store {
        Store::Memory => return Err(ToolError::InMemory),
        Store::Sqlite(_) => inspect(&storage.sqlite(file_of(&storage.store)?))?.origin,
        Store::Postgres(url) => verify_postgres::inspect(&storage.postgres(url)?).await?.origin,
        Store::Redis(url) => {
            let found = verify_redis::inspect(&storage.redis(url)?).await?;
            if found.half_copied {
                return Err(verify_redis::OpenError::HalfCopied.into());
            }
            found.origin
        }
    })
}

/// The store, opened by somebody who does not serve from it: whether it is one's first start is for who serves to say.
async fn opened(storage: &Storage) -> Result<OpenStore, ToolError> {
    let Some(origin) = origin(storage).await? else {
        let store = storage.store.clone();
        return Err(ToolError::Empty { store });
    };
    Ok(OpenStore::open_knowing(storage, Some(origin.epoch)).await?)
}

fn remember(storage: &Storage, store: &Store, epoch: Epoch) -> Result<(), ToolError> {
    let names = names(storage, store)?;
    Ok(StateDir::make(&storage.state_dir)?.remember(&names, epoch)?)
}

async fn accept(storage: &Storage) -> Result<Said, ToolError> {
    let store = opened(storage).await?;
    let was_accepted = store.origin().await?.accepted;
    store.accept().await?;
    let epoch = store.origin().await?.epoch;
    store.close().await;
    remember(storage, &storage.store, epoch)?;
    Ok(Said::well(match was_accepted {
        true => format!("{}: epoch {} was accepted already", storage.store, to_hex(epoch)),
        false => format!(
            "{}: epoch {} is accepted; whatever was lost before is forgotten",
            storage.store,
            to_hex(epoch)
        ),
    }))
}

async fn new_epoch(storage: &Storage) -> Result<Said, ToolError> {
    // One that holds nothing begins with an epoch that nobody accepted: somebody knows of a loss that no program remembers.
    let last = origin(storage).await?.map_or(NOBODYS, |origin| origin.epoch);
    let store = OpenStore::open_knowing(storage, Some(last)).await?;
    let epoch = store.begin_epoch().await?.epoch;
    store.close().await;
    remember(storage, &storage.store, epoch)?;
    Ok(Said::well(format!(
        "{}: epoch {} has begun, and nobody has accepted it; `store accept` does",
        storage.store,
        to_hex(epoch)
    )))
}

async fn rekey(storage: &Storage, keys: &Keys) -> Result<Said, ToolError> {
    let newest = WrittenUnder::newest(keys);
    let store = opened(storage).await?;
    let mut durable = store.durable(keys).await?;
    store.close().await;
    durable.retain(|durable| durable.under != newest || !durable.is_opened);
    if durable.is_empty() {
        let has_older = [&keys.fingerprint, &keys.code, &keys.seal].map(|ring| ring.ids().count() > 1);
        return Ok(Said::well(match has_older.contains(&true) {
            true => {
                "no durable record is under older keys: these may leave VERIFY_KEYS once what is transient is over"
            }
            false => "no durable record is under older keys, and VERIFY_KEYS has none",
        }));
    }
    let mut report = Report::default();
    for durable in durable {
        let what = match durable.is_opened {
            true => "keep these in VERIFY_KEYS; a gateway that serves moves them within minutes",
            false => {
                "VERIFY_KEYS does not have these, or has others of that id: put them back at the end of their rings"
            }
        };
        let words = format!("durable records (opt-outs): {}; {what}", durable.records);
        report.find(false, &durable.under.to_string(), words);
    }
    Ok(report.said())
}

/// A store that nobody serves from, for a copy.
enum Alone {
    Sqlite(SqliteFile),
    Postgres(Box<PostgresTables>),
    Redis(Box<RedisKeys>),
}

impl Alone {
    async fn at(storage: &Storage, store: &Store) -> Result<Self, ToolError> {
        match store {
            Store::Memory => Err(ToolError::InMemory),
            Store::Sqlite(path) => Ok(Self::Sqlite(SqliteFile::alone(&storage.sqlite(path))?)),
            Store::Postgres(url) => {
                let tables = PostgresTables::alone(&storage.postgres(url)?).await?;
                Ok(Self::Postgres(Box::new(tables)))
            }
            Store::Redis(url) => {
                let keys = RedisKeys::alone(&storage.redis(url)?).await?;
                Ok(Self::Redis(Box::new(keys)))
            }
        }
    }

    fn target(&self) -> &dyn Target {
        match self {
            Self::Sqlite(file) => file,
            Self::Postgres(tables) => &**tables,
            Self::Redis(keys) => &**keys,
        }
    }

    async fn close(self) {
        match self {
            Self::Sqlite(file) => file.close().await,
            Self::Postgres(tables) => drop(tables),
            Self::Redis(keys) => drop(keys),
        }
    }
}

/// Both, each for itself.
async fn both(storage: &Storage, from: &Store, to: &Store) -> Result<(Alone, Alone), ToolError> {
    let reading = Alone::at(storage, from).await.map_err(|error| error.of(FROM))?;
    let writing = Alone::at(storage, to).await.map_err(|error| error.of(TO))?;
    Ok((reading, writing))
}

async fn origin_of(alone: &Alone, which: &'static str) -> Result<Option<Origin>, ToolError> {
    let origin = alone.target().origin().await;
    origin.map_err(|fault| ToolError::from(fault).of(which))
}

async fn copy_to(storage: &Storage, from: &str, to: &str) -> Result<Said, ToolError> {
    let named = |which, text: &str| {
        let store = Store::parse_flag(text).map_err(|why| ToolError::Argument { which, why });
        store.map(|store| store.within(&storage.state_dir))
    };
    let (from, to) = (named(FROM, from)?, named(TO, to)?);
    if let Store::Sqlite(_) = &from {
        file_of(&from).map_err(|error| error.of(FROM))?;
    }
    // However the two are spelled: one of Redis is not locked.
    let (one, other) = (names(storage, &from)?, names(storage, &to)?);
    if from == to || one.iter().any(|name| other.contains(name)) {
        let why = "is the store that FROM is".to_owned();
        return Err(ToolError::Argument { which: TO, why });
    }
    let (reading, writing) = both(storage, &from, &to).await?;
    let (source, there) = (origin_of(&reading, FROM).await?, origin_of(&writing, TO).await?);
    // One that was made before, and perhaps not read back.
    let is_there = source.map(|origin| origin.epoch) == there.map(|origin| origin.epoch) && there.is_some();
    if !is_there {
        copy::copy(reading.target(), writing.target()).await?;
    }
    reading.close().await;
    writing.close().await;
    // Opened anew: what is read back comes from the store.
    let (reading, writing) = both(storage, &from, &to).await?;
    let held = copy::compare(reading.target(), writing.target()).await?;
    if let Some(origin) = origin_of(&writing, TO).await? {
        remember(storage, &to, origin.epoch)?;
    }
    reading.close().await;
    writing.close().await;
    let done = if is_there { "was copied before" } else { "copied" };
    Ok(Said::well(format!(
        "{done}: {from} to {to}, and read back: {}; versions, sequences and the epoch are the same\n\
         Start the gateway on {to}, and put the other away: two that go on from one epoch are two budgets.",
        counted(&held)
    )))
}

fn counted(held: &Held) -> String {
    let rows = Table::ALL.iter().zip(held.rows);
    let rows = rows.map(|(table, rows)| format!("{rows} {}", table.as_str()));
    let services = std::iter::once(format!("{} services", held.services));
    services.chain(rows).collect::<Vec<_>>().join(", ")
}
