//! Where a store keeps what it has, looked at from outside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;
use tokio::runtime::Runtime;
use verify_core::store::Store;
use verify_lab::PostgresServer;
use verify_postgres::{PostgresOptions, PostgresStore};

use super::open_sqlite;
use crate::measure::{BenchError, Measured};

/// A store that is empty, and its bytes.
pub(super) trait Place: Sync {
    /// Makes it anew.
    fn open(&self, runtime: &Runtime) -> Measured<Arc<dyn Store>>;

    /// What reads all of it, in one transaction.
    fn reader(&self) -> &'static str;

    /// Has that read all of it once.
    fn read(&self) -> io::Result<()>;

    /// The bytes that it takes: what is in use, and what is not given back.
    fn bytes(&self) -> Measured<u64>;

    /// The bytes that a copy of what is there takes.
    fn bytes_of_a_copy(&self) -> Measured<u64>;
}

/// A file, another one each time: who had the last one open may not have closed it yet.
pub(super) struct SqliteFile<'a> {
    pub(super) directory: &'a Path,
    pub(super) number: AtomicU32,
}

impl SqliteFile<'_> {
    /// The last one.
    pub(super) fn path(&self) -> PathBuf {
        let number = self.number.load(Ordering::Relaxed);
        self.directory.join(format!("lasting-{number}.db"))
    }

    fn copied(&self) -> io::Result<u64> {
        let copy = self.path().with_extension("copy");
        fs::remove_file(&copy).ok();
        let words = format!("VACUUM INTO '{}'", copy.display());
        let made = Connection::open(self.path()).and_then(|file| file.execute_batch(&words));
        made.map_err(io::Error::other)?;
        let bytes = fs::metadata(&copy)?.len();
        fs::remove_file(&copy)?;
        Ok(bytes)
    }
}

/// The log beside a file.
pub(super) fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

impl Place for SqliteFile<'_> {
    fn open(&self, _runtime: &Runtime) -> Measured<Arc<dyn Store>> {
        self.number.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(open_sqlite(&self.path())?))
    }

    fn reader(&self) -> &'static str {
        "VACUUM INTO"
    }

    fn read(&self) -> io::Result<()> {
        self.copied().map(drop)
    }

    fn bytes(&self) -> Measured<u64> {
        let size = |path: &Path| fs::metadata(path).map(|file| file.len());
        let both = size(&self.path()).and_then(|file| Ok(file + size(&log_of(&self.path()))?));
        both.map_err(|error| BenchError::setup(&error))
    }

    fn bytes_of_a_copy(&self) -> Measured<u64> {
        self.copied().map_err(|error| BenchError::setup(&error))
    }
}

/// A database of a server.
pub(super) struct Database<'a> {
    pub(super) server: &'a PostgresServer,
}

impl Database<'_> {
    fn size_of(&self, schema: &str) -> io::Result<u64> {
        let sql = format!(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{schema}' AND c.relkind = 'r'"
        );
        self.server.ask(&sql)?.parse().map_err(io::Error::other)
    }

    fn copied(&self) -> io::Result<u64> {
        let mut copy = "DROP SCHEMA IF EXISTS copied CASCADE; CREATE SCHEMA copied;".to_owned();
        for table in ["lane", "batch", "counter", "claim", "record", "event"] {
            copy += &format!(
                "CREATE TABLE copied.{table} (LIKE verify.{table} INCLUDING ALL); INSERT INTO copied.{table} OVERRIDING SYSTEM VALUE SELECT * FROM verify.{table};"
            );
        }
        self.server.ask(&copy)?;
        self.size_of("copied")
    }
}

impl Place for Database<'_> {
    fn open(&self, runtime: &Runtime) -> Measured<Arc<dyn Store>> {
        let dropped = self.server.ask("DROP SCHEMA IF EXISTS verify CASCADE");
        dropped.map_err(|error| BenchError::setup(&error))?;
        let options =
            PostgresOptions::parse(&self.server.url()).map_err(|error| BenchError::setup(&error))?;
        let opened = runtime.block_on(PostgresStore::open(options));
        Ok(Arc::new(opened.map_err(|error| BenchError::setup(&error))?))
    }

    fn reader(&self) -> &'static str {
        "pg_dump"
    }

    fn read(&self) -> io::Result<()> {
        let mut dump = self.server.as_its_user("pg_dump");
        dump.args(["--schema=verify", "--file=/dev/null"])
            .arg(self.server.url());
        done(&mut dump).map(drop)
    }

    fn bytes(&self) -> Measured<u64> {
        self.size_of("verify").map_err(|error| BenchError::setup(&error))
    }

    fn bytes_of_a_copy(&self) -> Measured<u64> {
        self.copied().map_err(|error| BenchError::setup(&error))
    }
}

fn done(command: &mut Command) -> io::Result<Vec<u8>> {
    let said = command.stdin(Stdio::null()).output()?;
    match said.status.success() {
        true => Ok(said.stdout),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&said.stderr).into_owned(),
        )),
    }
}
