//! A file looked at, or prepared, by somebody who does not serve from it.

use std::time::{Duration, Instant};

use verify_core::store::Origin;

use crate::epoch;
use crate::errors::OpenError;
use crate::file;
use crate::options::SqliteOptions;
use crate::room::{self, Space};
use crate::schema::{self, KNOWN, Schema};

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Its schema; 0 while it has none.
    pub schema: u32,
    /// The least schema that a program must know to use it.
    pub needs: u32,
    /// The schema that this program knows.
    pub known: u32,
    /// Where what it holds comes from. `None`: it was never served from, or it lost its data.
    pub origin: Option<Origin>,
    /// How full it or its disk is.
    pub space: Space,
    /// What is broken in it, the first of it, as SQLite's `quick_check` says it. All of the file is read for that.
    pub damage: Option<String>,
    /// How long it took to have the writers' lock, to read, and to give it back. Nothing was written.
    pub round_trip: Duration,
}

/// Looks at a file. Nothing is made and nothing changed; whoever serves from it is held up for a moment.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub fn inspect(options: &SqliteOptions) -> Result<Inspection, OpenError> {
    let path = &options.path;
    let sqlite = |error| OpenError::of(path, error);
    file::refuse_network(path)?;
    let connection = file::bare(options).map_err(sqlite)?;
    let began = Instant::now();
    connection.execute_batch("BEGIN IMMEDIATE").map_err(sqlite)?;
    let Schema { found, needs } = schema::read(&connection, path)?;
    let origin = match found {
        0 => None,
        _ => epoch::read(&connection).map_err(sqlite)?,
    };
    let space = room::space(&connection, options).map_err(sqlite)?;
    connection.execute_batch("ROLLBACK").map_err(sqlite)?;
    let round_trip = began.elapsed();
    let checked: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(sqlite)?;
    Ok(Inspection {
        schema: found,
        needs,
        known: KNOWN,
        origin,
        space,
        damage: (checked != "ok").then_some(checked),
        round_trip,
    })
}

/// Makes a file where there is none, and brings it to this program's schema; which schema it had before, 0 for none. Nobody needs
/// to have stopped: programs that may not use it any more are told when they start.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub fn migrate(options: &SqliteOptions) -> Result<u32, OpenError> {
    file::open(options, file::BEGINNING).map(|opened| opened.schema_before)
}
