//! Where state lives: what names a store, and what belongs to it. A new one is an arm of [`Store`] here, and one of
//! [`OpenStore`](crate::store::OpenStore), which an engine gets.

use std::fmt;
use std::path::{Path, PathBuf};

use verify_sqlite::{Durability, SqliteOptions};

use super::memory::{self, Budget};
use super::values::{Reader, Sources};
use super::{ConfigErrors, read_file};
use crate::cli::ServeArgs;
use crate::environment::Environment;

/// What a setting may say of the store.
const KNOWN: &str = "memory, sqlite:PATH";
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

    /// With its path in the state directory, where it is a relative one.
    pub(crate) fn within(self, state_dir: &Path) -> Self {
        match self {
            Self::Memory => Self::Memory,
            Self::Sqlite(path) => Self::Sqlite(state_dir.join(path)),
        }
    }
}

/// What may be shown to anybody: a password is no part of it.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

fn has_password(text: &str) -> bool {
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
    /// What a file keeps.
    pub durability: Durability,
    /// The most bytes of a file; `None`: what the disk has.
    pub most_bytes: Option<u64>,
    /// How much memory the store in memory may take.
    pub memory: Budget,
}

impl Storage {
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
            (Store::Sqlite(_), Durability::Process) => {
                "VERIFY_STORE_DURABILITY: process; a loss of power may take the last seconds, and with them used budgets and \
                 accepted codes"
            }
            (Store::Sqlite(_), Durability::Full) => return None,
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
            Store::Sqlite(_) => {
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

/// What flags, variables and the file say of it.
pub(super) struct Stored {
    store: Option<Store>,
    state_dir: PathBuf,
    durability: Durability,
    most_bytes: Option<u64>,
    memory: Budget,
}

impl Stored {
    pub(super) fn read(args: &ServeArgs, sources: &Sources<'_>, faults: &mut Vec<String>) -> Self {
        let flag = args.store.as_ref().map(|text| ("--store", text));
        let from_file = match flag {
            Some(_) => None,
            None => sources.secret("VERIFY_STORE", faults),
        };
        let state_dir = args
            .state_dir
            .as_ref()
            .map(|dir| dir.to_string_lossy().into_owned());
        let state_dir = sources.given(
            state_dir.as_ref().map(|dir| ("--state-dir", dir)),
            "STATE_DIRECTORY",
            "state_dir",
        );
        let durability = sources.given(None, "VERIFY_STORE_DURABILITY", "store_durability");
        let most_bytes = sources.given(None, "VERIFY_STORE_SIZE", "store_size");
        let budget = args.memory_budget.as_ref().map(|text| ("--memory-budget", text));
        let budget = sources.given(budget, "VERIFY_MEMORY_BUDGET", "memory_budget");
        let named = sources.given(flag, "VERIFY_STORE", "store");
        let mut read = Reader { faults };
        let parse = if flag.is_some() {
            Store::parse_flag
        } else {
            Store::parse
        };
        Self {
            store: read.of(from_file.or(named), parse),
            // One of systemd's directories is enough.
            state_dir: state_dir.map_or_else(
                || PathBuf::from(STATE_DIR),
                |given| PathBuf::from(given.text.split(':').next().unwrap_or_default()),
            ),
            durability: read.of(durability, self::durability).unwrap_or_default(),
            most_bytes: read.of(most_bytes, memory::bytes),
            memory: read.of(budget, Budget::parse).unwrap_or_default(),
        }
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
            memory: self.memory,
        }
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
            "redis://:p@h",
            "postgres://h/db?password=p",
            "host=h PASSWORD=p",
        ] {
            assert!(has_password(secret), "{secret}");
            let said = Store::parse_flag(secret).unwrap_err();
            assert!(
                said.contains("VERIFY_STORE_FILE") && !said.contains("h/db"),
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
            "postgres://h",
        ] {
            let said = Store::parse(wrong).unwrap_err();
            assert_eq!(
                said, "this build knows these stores: memory, sqlite:PATH",
                "{wrong}"
            );
        }
        let within = |text: &str| Store::parse(text).unwrap().within(Path::new("/s")).to_string();
        assert_eq!(within("sqlite:a.db"), "sqlite:/s/a.db");
        assert_eq!(within("sqlite:/b/a.db"), "sqlite:/b/a.db");
    }
}
