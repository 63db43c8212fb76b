//! Where the gateways of an attack keep their state.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use verify_lab::{PostgresServer, RedisKind, RedisServer, Syncs};

/// What `--store` may say.
pub(super) const KNOWN: [&str; 4] = ["memory", "sqlite", "postgres", "redis"];

/// A place for each gateway, where there is nothing yet.
pub(super) struct Stores {
    kind: Kind,
    home: PathBuf,
    given: AtomicU32,
}

enum Kind {
    Memory,
    Sqlite,
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Stores {
    /// By its word; none that is not known.
    ///
    /// # Errors
    /// The server cannot be started, or there is no room for files.
    pub(super) fn named(word: &str) -> io::Result<Option<Self>> {
        let home = std::env::temp_dir().join("verify-attack");
        let kind = match word {
            "memory" => Kind::Memory,
            "sqlite" => Kind::Sqlite,
            "postgres" => Kind::Postgres(PostgresServer::start(&home.join("server"), Syncs::Yes, "")?),
            "redis" => {
                let keeps = ["appendonly yes", "appendfsync always"];
                Kind::Redis(RedisServer::start(
                    RedisKind::Installed,
                    &home.join("server"),
                    &keeps,
                )?)
            }
            _ => return Ok(None),
        };
        let state = home.join("state");
        fs::remove_dir_all(&state).ok();
        fs::create_dir_all(&state)?;
        Ok(Some(Self {
            kind,
            home: state,
            given: AtomicU32::new(0),
        }))
    }

    /// The variables of one more gateway.
    pub(super) fn another(&self) -> [(&'static str, String); 4] {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let store = match &self.kind {
            Kind::Memory => "memory".to_owned(),
            Kind::Sqlite => "sqlite:verify.db".to_owned(),
            Kind::Postgres(server) => server.url(),
            Kind::Redis(server) => server.url(),
        };
        [
            ("VERIFY_STORE", store),
            ("VERIFY_STORE_SCHEMA", format!("attack_{number}")),
            ("VERIFY_STORE_PREFIX", format!("attack-{number}:")),
            (
                "STATE_DIRECTORY",
                self.home.join(number.to_string()).display().to_string(),
            ),
        ]
    }
}
