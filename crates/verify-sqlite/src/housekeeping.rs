//! What is outlived goes, a little at a time.

use std::time::Duration;

use rusqlite::{Connection, params};
use verify_batch::minute;
use verify_core::time::Timestamp;

/// Drops at most so many entries that were outlived at this instant, of all services; how many went.
pub(crate) fn drop_outlived(connection: &Connection, at: Timestamp, most: usize) -> rusqlite::Result<usize> {
    let now = minute(at);
    let mut dropped = 0;
    for sql in [
        "DELETE FROM counter WHERE (lane, key) IN (SELECT lane, key FROM counter WHERE gone <= ?1 LIMIT ?2)",
        "DELETE FROM claim WHERE (lane, key) IN (SELECT lane, key FROM claim WHERE gone <= ?1 LIMIT ?2)",
        "DELETE FROM record WHERE id IN (SELECT id FROM record WHERE gone <= ?1 LIMIT ?2)",
    ] {
        dropped += connection
            .prepare_cached(sql)?
            .execute(params![now, most - dropped])?;
    }
    Ok(dropped)
}

/// A process that has not written for a week has no batch in doubt any more.
const PROCESS_FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);

/// A piece of it by itself: what is outlived at this instant, processes that are gone, and pages that are empty. How many entries
/// went.
pub(crate) fn piece(connection: &Connection, at: Timestamp, most: usize) -> rusqlite::Result<usize> {
    let dropped = drop_outlived(connection, at, most)?;
    connection
        .prepare_cached("DELETE FROM batch WHERE at < ?1")?
        .execute([(at - PROCESS_FORGOTTEN).as_millis()])?;
    shrink(connection)?;
    Ok(dropped)
}

/// Gives pages back to the disk when most of the file is empty; no more than a few at a time.
fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    if pages("freelist_count")? * 3 > pages("page_count")? {
        connection.execute_batch("PRAGMA incremental_vacuum(64)")?;
    }
    Ok(())
}
