//! The scripts, and how one is asked for.

use std::sync::LazyLock;

use redis::Cmd;

macro_rules! scripts {
    ($($(#[doc = $help:literal])* $name:ident = $file:literal;)+) => {
        $($(#[doc = $help])* pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| Script::of(include_str!($file)));)+
    };
}

scripts! {
    /// Decides a changeset.
    DECIDE = "scripts/decide.lua";
    /// Says of a service what the store knows, and what epoch the store has.
    INTRODUCE = "scripts/introduce.lua";
    /// Those of some due records that are still there; the names of the others are dropped.
    DUE = "scripts/due.lua";
    /// Puts a record off.
    PUT_OFF = "scripts/put_off.lua";
    /// Forgets events.
    ACKNOWLEDGE = "scripts/acknowledge.lua";
    /// Lends work.
    LEASE = "scripts/lease.lua";
    /// Accepts an epoch, or begins another.
    EPOCH = "scripts/epoch.lua";
    /// Begins to fill a store with a copy.
    COPY_BEGIN = "scripts/copy_begin.lua";
    /// Has a copy be the store.
    COPY_END = "scripts/copy_end.lua";
}

/// A script of the server.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    text: String,
    sha: String,
}

/// By what a server is told which script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Its name, which the server knows once it was sent the words.
    Name,
    /// Its words.
    Words,
}

impl Script {
    pub(crate) fn of(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            sha: redis::Script::new(text).get_hash().to_owned(),
        }
    }

    #[cfg(verify_broken)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn command(&self, by: By, keys: &[Vec<u8>], args: &[&[u8]]) -> Cmd {
        let mut command = match by {
            By::Name => redis::cmd("EVALSHA"),
            By::Words => redis::cmd("EVAL"),
        };
        command.arg(match by {
            By::Name => &self.sha,
            By::Words => &self.text,
        });
        command.arg(keys.len());
        for key in keys {
            command.arg(key.as_slice());
        }
        for arg in args {
            command.arg(*arg);
        }
        command
    }
}
