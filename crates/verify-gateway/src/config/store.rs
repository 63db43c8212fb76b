//! Where state lives: what names a store, and what belongs to it. A new one is an arm of [`Store`] here, and one of
//! [`OpenStore`](crate::store::OpenStore), which an engine gets.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use verify_postgres::{Host, OnFailover, OpenError, PostgresOptions};
use verify_sqlite::{Durability, SqliteOptions};

use super::memory::{self, Budget};
use super::values::{Given, Reader, Sources};
use super::{ConfigErrors, read_file};
use crate::cli::ServeArgs;
use crate::environment::Environment;

/// What a setting may say of the store.
const KNOWN: &str = "memory, sqlite:PATH, postgres://USER@HOST/DATABASE";
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
}

/// A URL of a database. There may be a password in it: it is shown without.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = PostgresOptions::parse(text).map_err(|error| error.to_string());
        parsed.map(|_| Self(text.to_owned()))
    }

    fn has_password(&self) -> bool {
        PostgresOptions::parse(&self.0).is_ok_and(|options| options.config.get_password().is_some())
    }
}

/// Each host with its port, and database: what names it in logs.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(options) = PostgresOptions::parse(&self.0) else {
            return f.write_str("postgres:");
        };
        let (hosts, ports) = (options.config.get_hosts(), options.config.get_ports());
        let hosts = hosts.iter().enumerate().map(|(nth, host)| {
            let host = match host {
                Host::Tcp(address) if address.contains(':') => format!("[{address}]"),
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            };
            // One port is everybody's.
            let port = ports.get(nth).or(ports.first());
            port.map_or(host.clone(), |port| format!("{host}:{port}"))
        });
        let hosts: Vec<_> = hosts.collect();
        let database = options.config.get_dbname().unwrap_or_default();
        write!(f, "postgres://{}/{database}", hosts.join(","))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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
            Self::Sqlite(_) | Self::Postgres(_) => true,
        }
    }

    /// True when there are connections to it.
    fn is_reached(&self) -> bool {
        match self {
            Self::Memory | Self::Sqlite(_) => false,
            Self::Postgres(_) => true,
        }
    }

    /// With its path in the state directory, where it is a relative one.
    pub(crate) fn within(self, state_dir: &Path) -> Self {
        match self {
            Self::Memory => Self::Memory,
            Self::Sqlite(path) => Self::Sqlite(state_dir.join(path)),
            Self::Postgres(url) => Self::Postgres(url),
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
        }
    }
}

fn has_password(text: &str) -> bool {
    let parsed = PostgresOptions::parse(text);
    if parsed.is_ok_and(|options| options.config.get_password().is_some()) {
        return true;
    }
    let authority = text.split_once("://").map(|(_, rest)| rest);
    let authority = authority.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let in_authority = authority
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user, _)| user.contains(':'));
    in_authority || text.to_ascii_lowercase().contains("password=")
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

/// How a database is reached, besides its URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reached {
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// Whose signatures on the server's certificate are good.
    pub ca_file: Option<PathBuf>,
    /// A certificate of this client and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The schema that the tables are in.
    pub schema: Option<String>,
    /// Connections at most.
    pub connections: Option<usize>,
    /// What happens when a copy of the server takes over.
    pub on_failover: OnFailover,
}

impl Reached {
    /// `unreadable`: what files cannot be read.
    fn read(
        mut given: impl FnMut(&str, &str) -> Option<Given>,
        faults: &mut Vec<String>,
        unreadable: &mut Vec<String>,
    ) -> Self {
        let mut file = |name, key| {
            let given = given(name, key)?;
            if let Err(why) = may_be_read(Path::new(&given.text)) {
                unreadable.push(format!("{}: {why}", given.origin));
            }
            Some(PathBuf::from(given.text))
        };
        let password_file = file("VERIFY_STORE_PASSWORD_FILE", "store_password_file");
        let ca_file = file("VERIFY_STORE_CA_FILE", "store_ca_file");
        let certificate = file("VERIFY_STORE_CERT_FILE", "store_cert_file");
        let key = file("VERIFY_STORE_KEY_FILE", "store_key_file");
        if certificate.is_some() != key.is_some() {
            faults.push(
                "VERIFY_STORE_CERT_FILE, VERIFY_STORE_KEY_FILE: one without the other; set both or none"
                    .to_owned(),
            );
        }
        let schema = given("VERIFY_STORE_SCHEMA", "store_schema");
        let connections = given("VERIFY_STORE_CONNECTIONS", "store_connections");
        let on_failover = given("VERIFY_STORE_ON_FAILOVER", "store_on_failover");
        let mut read = Reader { faults };
        Self {
            password_file,
            ca_file,
            client: certificate.zip(key),
            schema: schema.map(|given| given.text.to_owned()),
            connections: read.of(connections, connections_of),
            on_failover: read.of(on_failover, on_failover_of).unwrap_or_default(),
        }
    }
}

/// What can be read only once, as a pipe, is left to whoever needs it.
fn may_be_read(path: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("cannot read {}: {}", path.display(), error.kind());
    let file = fs::metadata(path).map_err(unreadable)?;
    if file.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if file.is_file() {
        File::open(path).map_err(unreadable)?;
        if file.len() == 0 {
            return Err(format!("the file {} is empty", path.display()));
        }
    }
    Ok(())
}

fn connections_of(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (3..=1_000).contains(number));
    number.ok_or_else(|| format!("found {text:?}; expected a number from 3 to 1000"))
}

fn on_failover_of(text: &str) -> Result<OnFailover, String> {
    match text {
        "tell" => Ok(OnFailover::Tell),
        "cool" => Ok(OnFailover::Cool),
        other => Err(format!("found {other:?}; expected tell or cool")),
    }
}

impl Storage {
    /// How a database is reached that is the store.
    ///
    /// # Errors
    /// It is no URL; that was looked at before.
    pub(crate) fn postgres(&self, url: &PostgresUrl) -> Result<PostgresOptions, OpenError> {
        let mut options = PostgresOptions::parse(&url.0)?;
        let Reached {
            password_file,
            ca_file,
            client,
            schema,
            connections,
            on_failover,
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
            (Store::Sqlite(_) | Store::Postgres(_), Durability::Full) => return None,
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
            ..
        } = self;
        match store {
            Store::Memory => format!("{store}, {}", memory.told()),
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
type GoesBy = fn(&Store) -> bool;

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
            Store::outlives,
        );
        let most_bytes = given(None, "VERIFY_STORE_SIZE", "store_size", Store::outlives);
        let budget = args.memory_budget.as_ref().map(|text| ("--memory-budget", text));
        let of_memory = |store: &Store| !store.outlives();
        let budget = given(budget, "VERIFY_MEMORY_BUDGET", "memory_budget", of_memory);
        let named = sources.given(flag, "VERIFY_STORE", "store");
        let mut unreadable = Vec::new();
        let reached = Reached::read(
            |variable, key| given(None, variable, key, Store::is_reached),
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
        if let Some(Store::Postgres(url)) = &store {
            read.faults.append(&mut unreadable);
            if url.has_password() && reached.password_file.is_some() {
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
    fn a_password_is_seen_wherever_it_stands() {
        for secret in [
            "postgres://u:p@h/db",
            "postgres://u:p/w@h/x",
            "redis://:p@h",
            "postgres://h/db?password=p",
            "host=h PASSWORD=p",
        ] {
            assert!(has_password(secret), "{secret}");
            let said = Store::parse_flag(secret).unwrap_err();
            assert!(
                said.contains("VERIFY_STORE_FILE") && !said.contains("h/db") && !said.contains("p/w"),
                "{said}"
            );
        }
        for none in [
            "postgres://u@h:5432/db",
            "sqlite:/a:b@c",
            "memory",
            "redis://h:6379",
        ] {
            assert!(!has_password(none), "{none}");
        }
    }

    #[test]
    fn a_failover_is_told_or_cools() {
        assert_eq!(on_failover_of("tell"), Ok(OnFailover::Tell));
        assert_eq!(on_failover_of("cool"), Ok(OnFailover::Cool));
        let said = on_failover_of("Cool").unwrap_err();
        assert!(said.contains("tell or cool"), "{said}");
    }

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
            "sqlite",
            "sqlite:",
            "sqlite://a/b.db",
            "Memory",
            "memory:",
            "mysql://h",
        ] {
            let said = Store::parse(wrong).unwrap_err();
            assert_eq!(
                said, "this build knows these stores: memory, sqlite:PATH, postgres://USER@HOST/DATABASE",
                "{wrong}"
            );
        }
        let cut = Store::parse("postgres://u:p@ss3cret@h/db").unwrap_err();
        assert!(cut.contains("%40") && !cut.contains("ss3cret"), "{cut}");
        for (url, shown) in [
            (
                "postgres://u:s3cret@h:5433/db?sslmode=require",
                "postgres://h:5433/db",
            ),
            ("postgres://u@a:7,b:8/db", "postgres://a:7,b:8/db"),
            ("postgres://u@a,b/db", "postgres://a:5432,b:5432/db"),
            ("postgres:///db?host=a&host=b&port=7", "postgres://a:7,b:7/db"),
            ("postgres://u@[::1]:7/db", "postgres://[::1]:7/db"),
        ] {
            assert_eq!(Store::parse(url).unwrap().to_string(), shown);
        }
        let shown = Store::parse("postgres://u:s3cret@h/db").unwrap();
        assert!(!format!("{shown:?}").contains("s3cret"));
        let said = Store::parse("postgres://u:s3cret@h:port/db").unwrap_err();
        assert!(
            said.contains("postgres://USER@HOST:PORT/DATABASE") && !said.contains("s3cret"),
            "{said}"
        );
        let within = |text: &str| Store::parse(text).unwrap().within(Path::new("/s")).to_string();
        assert_eq!(within("sqlite:a.db"), "sqlite:/s/a.db");
        assert_eq!(within("sqlite:/b/a.db"), "sqlite:/b/a.db");
    }
}
