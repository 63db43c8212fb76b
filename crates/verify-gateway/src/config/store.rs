//! Where state lives: what names a store, and what belongs to it. A new one is an arm of [`Store`] here, and one of
//! [`OpenStore`](crate::store::OpenStore), which an engine gets.

use std::fmt;
use std::path::{Path, PathBuf};

use verify_postgres::PostgresOptions;
use verify_redis::RedisOptions;
use verify_sqlite::{Durability, SqliteOptions};

use super::memory::{self, Budget};
use super::reached::Reached;
use super::urls::{PostgresUrl, RedisUrl, has_password, is_redis};
use super::values::{Reader, Sources};
use super::{ConfigErrors, read_file};
use crate::cli::ServeArgs;
use crate::environment::Environment;

/// What a setting may say of the store.
const KNOWN: &str = "memory, sqlite:PATH, postgres://USER@HOST/DATABASE, redis://USER@HOST:PORT";
/// Where state lives when nobody said: outside demo mode in this file of the state directory.
const FILE: &str = "verify.db";
const STATE_DIR: &str = "./verify-state";

/// Where state lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In this process, and gone with it.
    Memory,
    /// In a SQLite file of this machine.
    Sqlite(PathBuf),
    /// In a Postgres database, for as many processes as there are.
    Postgres(PostgresUrl),
    /// In Redis or Valkey, for as many processes as there are.
    Redis(RedisUrl),
}

impl Store {
    /// What a setting says.
    ///
    /// # Errors
    /// What would do. What was found may hold a password, so it is not repeated.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            // With two slashes the first part of the path would be a host's name.
            Some(("sqlite", path))
                if !path.is_empty() && (!path.starts_with("//") || path.starts_with("///")) =>
            {
                Ok(Self::Sqlite(PathBuf::from(path)))
            }
            Some(("postgres" | "postgresql", _)) => PostgresUrl::parse(text).map(Self::Postgres),
            Some((scheme, _)) if is_redis(scheme) => RedisUrl::parse(text).map(Self::Redis),
            Some(_) | None => Err(format!("this build knows these stores: {KNOWN}")),
        }
    }

    /// As [`parse`](Self::parse), from a command line: other users of the machine read it too.
    pub(crate) fn parse_flag(text: &str) -> Result<Self, String> {
        if has_password(text) {
            return Err(
                "found a password on the command line, where other users of this machine can read it; set VERIFY_STORE, or \
                 VERIFY_STORE_FILE to a file with it"
                    .to_owned(),
            );
        }
        Self::parse(text)
    }

    /// True when it is there after this process.
    pub(crate) fn outlives(&self) -> bool {
        match self {
            Self::Memory => false,
            Self::Sqlite(_) | Self::Postgres(_) | Self::Redis(_) => true,
        }
    }

    /// True when it goes by what is said here of syncs and of its size. Redis goes by its server's own settings.
    fn keeps_itself(&self) -> bool {
        match self {
            Self::Memory | Self::Redis(_) => false,
            Self::Sqlite(_) | Self::Postgres(_) => true,
        }
    }

    /// True when there are connections to it.
    pub(super) fn is_reached(&self) -> bool {
        self.is_postgres() || self.is_redis()
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub(super) fn is_redis(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// True when its password stands in its URL.
    fn has_password(&self) -> bool {
        match self {
            Self::Memory | Self::Sqlite(_) => false,
            Self::Postgres(url) => url.has_password(),
            Self::Redis(url) => url.has_password(),
        }
    }

    /// With its path in the state directory, where it is a relative one.
    pub(crate) fn within(self, state_dir: &Path) -> Self {
        match self {
            Self::Memory => Self::Memory,
            Self::Sqlite(path) => Self::Sqlite(state_dir.join(path)),
            Self::Postgres(url) => Self::Postgres(url),
            Self::Redis(url) => Self::Redis(url),
        }
    }
}

/// What may be shown to anybody: a password is no part of it.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
            Self::Redis(url) => url.fmt(f),
        }
    }
}

/// Where state lives, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The store. Its path is absolute.
    pub store: Store,
    /// What lives on this machine besides, absolute.
    pub state_dir: PathBuf,
    /// Whether the state directory keeps what a store was when it was last used. A demo keeps nothing.
    pub remembers: bool,
    /// What a file or a database keeps.
    pub durability: Durability,
    /// The most bytes of a file or a database; `None`: what the disk has.
    pub most_bytes: Option<u64>,
    /// How a database is reached.
    pub reached: Reached,
    /// How much memory the store in memory may take.
    pub memory: Budget,
}

impl Storage {
    /// How a database is reached that is the store.
    ///
    /// # Errors
    /// It is no URL; that was looked at before.
    pub(crate) fn postgres(&self, url: &PostgresUrl) -> Result<PostgresOptions, verify_postgres::OpenError> {
        let mut options = PostgresOptions::parse(&url.0)?;
        let Reached {
            password_file,
            ca_file,
            client,
            schema,
            connections,
            on_failover,
            prefix: _,
            wait_replicas: _,
        } = self.reached.clone();
        if let Some(connections) = connections {
            options = options.connections(connections);
        }
        if let Some(schema) = schema {
            options = options.schema(&schema);
        }
        options.password_file = password_file;
        options.ca_file = ca_file;
        options.client_certificate = client;
        options.on_failover = on_failover;
        options.most_bytes = self.most_bytes;
        options.durability = match self.durability {
            Durability::Full => verify_postgres::Durability::AsServer,
            Durability::Process => verify_postgres::Durability::Process,
        };
        Ok(options)
    }

    /// How servers of Redis are reached that are the store.
    ///
    /// # Errors
    /// It is no URL; that was looked at before.
    pub(crate) fn redis(&self, url: &RedisUrl) -> Result<RedisOptions, verify_redis::OpenError> {
        let mut options = RedisOptions::parse(&url.0)?;
        let Reached {
            password_file,
            ca_file,
            client,
            schema: _,
            connections: _,
            on_failover,
            prefix,
            wait_replicas,
        } = self.reached.clone();
        if let Some(prefix) = prefix {
            options = options.prefix(&prefix);
        }
        options.password_file = password_file;
        options.ca_file = ca_file;
        options.client_certificate = client;
        options.on_failover = on_failover;
        options.wait_replicas = wait_replicas;
        Ok(options)
    }

    /// How a file is opened that is the store.
    pub(crate) fn sqlite(&self, path: &Path) -> SqliteOptions {
        let options = SqliteOptions::at(path).durability(self.durability);
        match self.most_bytes {
            Some(most) => options.most_bytes(most),
            None => options,
        }
    }

    /// What is worth a line outside demo mode.
    pub(super) fn lacks(&self) -> Option<String> {
        let words = match (&self.store, self.durability) {
            (Store::Memory, _) => {
                "VERIFY_STORE: memory; a restart forgets limits, lockouts, pending codes and opt-outs, and no other process \
                 shares them"
            }
            (Store::Sqlite(_) | Store::Postgres(_), Durability::Process) => {
                "VERIFY_STORE_DURABILITY: process; a loss of power may take the last seconds, and with them used budgets and \
                 accepted codes"
            }
            (Store::Sqlite(_) | Store::Postgres(_), Durability::Full) | (Store::Redis(_), _) => return None,
        };
        Some(words.to_owned())
    }

    /// What is in force, in a line.
    pub(crate) fn summary(&self) -> String {
        let Self {
            store,
            durability,
            most_bytes,
            memory,
            reached,
            ..
        } = self;
        match store {
            Store::Memory => format!("{store}, {}", memory.told()),
            Store::Redis(_) => {
                let prefix = reached
                    .prefix
                    .as_ref()
                    .map(|prefix| format!(", keys begin with {prefix}"));
                let waits = match reached.wait_replicas {
                    0 => String::new(),
                    replicas => format!(", each answer waits for {replicas} replicas"),
                };
                format!(
                    "{store}, durability the server's{}{waits}",
                    prefix.unwrap_or_default()
                )
            }
            Store::Sqlite(_) | Store::Postgres(_) => {
                let kept = match durability {
                    Durability::Full => "full",
                    Durability::Process => "process",
                };
                let most = most_bytes.map(|most| format!(", at most {}", memory::size(most)));
                format!("{store}, durability {kept}{}", most.unwrap_or_default())
            }
        }
    }
}

/// Whether a store goes by a setting.
pub(super) type GoesBy = fn(&Store) -> bool;

/// What flags, variables and the file say of it.
pub(super) struct Stored {
    store: Option<Store>,
    /// Where something stands that not every store goes by, and which does.
    of_some: Vec<(String, GoesBy)>,
    state_dir: PathBuf,
    durability: Durability,
    most_bytes: Option<u64>,
    reached: Reached,
    memory: Budget,
}

impl Stored {
    pub(super) fn read(args: &ServeArgs, sources: &Sources<'_>, faults: &mut Vec<String>) -> Self {
        let flag = args.store.as_ref().map(|text| ("--store", text));
        let from_file = match flag {
            Some(_) => None,
            None => sources.secret("VERIFY_STORE", faults),
        };
        let mut of_some = Vec::new();
        let mut given = |flag, variable: &str, key: &str, of: GoesBy| {
            let given = sources.given(flag, variable, key)?;
            of_some.push((given.origin.clone(), of));
            Some(given)
        };
        let durability = given(
            None,
            "VERIFY_STORE_DURABILITY",
            "store_durability",
            Store::keeps_itself,
        );
        let most_bytes = given(None, "VERIFY_STORE_SIZE", "store_size", Store::keeps_itself);
        let budget = args.memory_budget.as_ref().map(|text| ("--memory-budget", text));
        let of_memory = |store: &Store| !store.outlives();
        let budget = given(budget, "VERIFY_MEMORY_BUDGET", "memory_budget", of_memory);
        let named = sources.given(flag, "VERIFY_STORE", "store");
        let mut unreadable = Vec::new();
        let reached = Reached::read(
            |variable, key, of: GoesBy| given(None, variable, key, of),
            faults,
            &mut unreadable,
        );
        let mut read = Reader { faults };
        let parse = if flag.is_some() {
            Store::parse_flag
        } else {
            Store::parse
        };
        let store = read.of(from_file.or(named), parse);
        // A file that is set for another store than this one keeps nobody from starting.
        if let Some(store) = store.as_ref().filter(|store| store.is_reached()) {
            read.faults.append(&mut unreadable);
            if store.has_password() && reached.password_file.is_some() {
                let two = "VERIFY_STORE_PASSWORD_FILE: found a password in the URL of the store too; set one of them";
                read.faults.push(two.to_owned());
            }
        }
        Self {
            store,
            of_some,
            state_dir: state_dir(args, sources),
            durability: read.of(durability, self::durability).unwrap_or_default(),
            most_bytes: read.of(most_bytes, size_of),
            reached,
            memory: read.of(budget, Budget::parse).unwrap_or_default(),
        }
    }

    /// What was said for nothing: this store does not go by it.
    pub(super) fn without_effect(&self, store: &Store) -> impl Iterator<Item = String> {
        let others = self.of_some.iter().filter(|(_, of)| !of(store));
        others.map(move |(origin, _)| format!("{origin}: changes nothing, because the store is {store}"))
    }

    /// With what holds where nothing was said.
    pub(super) fn storage(&self, is_demo: bool) -> Storage {
        let state_dir = std::path::absolute(&self.state_dir).unwrap_or_else(|_| self.state_dir.clone());
        let default = match is_demo {
            true => Store::Memory,
            false => Store::Sqlite(PathBuf::from(FILE)),
        };
        Storage {
            store: self.store.clone().unwrap_or(default).within(&state_dir),
            state_dir,
            remembers: !is_demo,
            durability: self.durability,
            most_bytes: self.most_bytes,
            reached: self.reached.clone(),
            memory: self.memory,
        }
    }
}

fn state_dir(args: &ServeArgs, sources: &Sources<'_>) -> PathBuf {
    let flag = args.state_dir.as_ref();
    let flag = flag.map(|dir| dir.to_string_lossy().into_owned());
    let flag = flag.as_ref().map(|dir| ("--state-dir", dir));
    match sources.given(flag, "STATE_DIRECTORY", "state_dir") {
        // One of systemd's directories is enough.
        Some(given) => PathBuf::from(given.text.split(':').next().unwrap_or_default()),
        None => PathBuf::from(STATE_DIR),
    }
}

/// Where state lives, for whoever does not serve from it. Where nobody said it is as outside demo mode.
///
/// # Errors
/// All faults at once.
pub(crate) fn of_operator(args: &ServeArgs, environment: &Environment<'_>) -> Result<Storage, ConfigErrors> {
    let mut faults = Vec::new();
    let file = read_file(args, environment, &mut faults);
    let stored = Stored::read(
        args,
        &Sources {
            environment,
            file: &file,
        },
        &mut faults,
    );
    match faults.is_empty() {
        true => Ok(stored.storage(false)),
        false => Err(ConfigErrors(faults)),
    }
}

/// With less the tables alone are as good as full.
const LEAST_SIZE: u64 = 256 << 10;

fn size_of(text: &str) -> Result<u64, String> {
    let bytes = memory::bytes(text)?;
    match bytes >= LEAST_SIZE {
        true => Ok(bytes),
        false => Err(format!("found {text:?}; expected at least 256KiB, such as 20GiB")),
    }
}

fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "full" => Ok(Durability::Full),
        "process" => Ok(Durability::Process),
        other => Err(format!("found {other:?}; expected full or process")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one() {
        let path = |text: &str| match Store::parse(text) {
            Ok(Store::Sqlite(path)) => path.display().to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(path("sqlite:verify.db"), "verify.db");
        assert_eq!(path("sqlite:/a/b.db"), "/a/b.db");
        assert_eq!(path("sqlite:///a/b.db"), "///a/b.db");
        for wrong in [
            "redis",
            "redish://h",
            "sqlite",
            "sqlite:",
            "sqlite://a/b.db",
            "Memory",
            "memory:",
            "mysql://h",
        ] {
            let said = Store::parse(wrong).unwrap_err();
            assert_eq!(
                said,
                "this build knows these stores: memory, sqlite:PATH, postgres://USER@HOST/DATABASE, redis://USER@HOST:PORT",
                "{wrong}"
            );
        }
        let within = |text: &str| Store::parse(text).unwrap().within(Path::new("/s")).to_string();
        assert_eq!(within("sqlite:a.db"), "sqlite:/s/a.db");
        assert_eq!(within("sqlite:/b/a.db"), "sqlite:/b/a.db");
    }
}
