//! The file: made for its owner alone, on a disk of this machine.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::beside::Files;
use crate::errors::OpenError;
use crate::options::{Durability, SqliteOptions};
use crate::schema;

/// File systems on which locks are somebody else's promise: from `linux/magic.h` and their sources.
const NETWORK: [(u64, &str); 7] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9P"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
];
/// Statements that are kept prepared: all there are.
const STATEMENTS: usize = 64;
/// The log is cut back to that many bytes once all of it stands in the file.
const LARGEST_LOG: i64 = 32 << 20;
/// So many pages of the log are written back at once: each costs two syncs of its own.
const CHECKPOINT_PAGES: i64 = 4_000;

/// Those that begin together, as after a restart of everything, wait for each other for as long as that takes on a slow disk.
pub(crate) const BEGINNING: Duration = Duration::from_secs(30);

/// A file that was opened, and brought to this program's schema.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// Which file it was, and which log.
    pub(crate) files: Files,
    /// Which schema it had before.
    pub(crate) schema_before: u32,
}

/// Opens the file, and makes it where there is none. Whoever is at it at the same time is waited for that long, each time.
pub(crate) fn open(options: &SqliteOptions, waits: Duration) -> Result<Opened, OpenError> {
    let path = &options.path;
    let file = |error| OpenError::File {
        path: path.clone(),
        error,
    };
    // Before SQLite does, which would leave it to the umask who may read it. Log and index are made as the file is. One that is
    // there is not opened: closing it again would give up every lock that this process has on it.
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(file(error)),
    }
    refuse_network(path)?;
    let connected = bare(options).and_then(|connection| {
        connection.busy_timeout(waits)?;
        set_up(connection, options)
    });
    let mut connection = connected.map_err(|error| OpenError::of(path, error))?;
    let schema_before = schema::migrate(&mut connection, path)?;
    let files = Files::at(path).map_err(file)?;
    Ok(Opened {
        connection,
        files,
        schema_before,
    })
}

/// A connection to a file as it is: nothing of it is changed.
pub(crate) fn bare(options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&options.path, flags)?;
    connection.busy_timeout(options.busy)?;
    Ok(connection)
}

/// A connection to a file that was opened before.
pub(crate) fn connect(options: &SqliteOptions) -> rusqlite::Result<Connection> {
    set_up(bare(options)?, options)
}

/// The same, and nobody else has one as long as it is open.
pub(crate) fn connect_alone(options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let connection = bare(options)?;
    // Before anything is read: from then on the lock is held.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    set_up(connection, options)
}

fn set_up(connection: Connection, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // It counts where the file is empty yet, and is left alone elsewhere.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let words = "the file cannot have a write-ahead log";
        return Err(rusqlite::Error::InvalidParameterName(words.to_owned()));
    }
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Process => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "journal_size_limit", LARGEST_LOG)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

/// Locks are not to be relied on there.
pub(crate) fn refuse_network(path: &Path) -> Result<(), OpenError> {
    match network(path) {
        Ok(None) => Ok(()),
        Ok(Some(kind)) => Err(OpenError::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        Err(error) => Err(OpenError::File {
            path: path.to_owned(),
            error,
        }),
    }
}

fn network(path: &Path) -> io::Result<Option<&'static str>> {
    let found = rustix::fs::statfs(path)?;
    // Signed on some machines, and 32 bits wide everywhere.
    let magic = (found.f_type as u64) & 0xffff_ffff;
    Ok(NETWORK
        .iter()
        .find(|(number, _)| *number == magic)
        .map(|(_, kind)| *kind))
}
