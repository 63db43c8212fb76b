//! What is outlived goes, a little at a time.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use verify_batch::minute;
use verify_core::time::Timestamp;

/// Drops at most so many entries that were outlived at this instant, of all services, in a transaction that may write already; how
/// many went.
pub(crate) fn drop_outlived(connection: &Connection, at: Timestamp, most: usize) -> rusqlite::Result<usize> {
    let mut dropped = 0;
    for (outlived, delete) in [
        (
            "SELECT lane, key FROM counter WHERE gone <= ?1 LIMIT ?2",
            "DELETE FROM counter WHERE lane = ?1 AND key = ?2",
        ),
        (
            "SELECT lane, key FROM claim WHERE gone <= ?1 LIMIT ?2",
            "DELETE FROM claim WHERE lane = ?1 AND key = ?2",
        ),
    ] {
        // One by one: asked for all pairs at once SQLite looks at every entry of each lane among them.
        let mut outlived = connection.prepare_cached(outlived)?;
        let keys = outlived.query_map(params![minute(at), most - dropped], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        let keys = keys.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut delete = connection.prepare_cached(delete)?;
        for key in keys {
            dropped += delete.execute(key)?;
        }
    }
    dropped += connection
        .prepare_cached("DELETE FROM record WHERE id IN (SELECT id FROM record WHERE gone <= ?1 LIMIT ?2)")?
        .execute(params![minute(at), most - dropped])?;
    Ok(dropped)
}

/// A process that has not written for a week has no batch in doubt any more.
const PROCESS_FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);

/// A piece of it by itself: what is outlived at this instant, processes that are gone, and pages that are empty. How many entries
/// went.
pub(crate) fn piece(connection: &mut Connection, at: Timestamp, most: usize) -> rusqlite::Result<usize> {
    // What comes anew meanwhile, from another process, is not dropped by a list of before.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let dropped = drop_outlived(&transaction, at, most)?;
    transaction
        .prepare_cached("DELETE FROM batch WHERE at < ?1")?
        .execute([(at - PROCESS_FORGOTTEN).as_millis()])?;
    transaction.commit()?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// SQLite's own steps for what is outlived, a few entries of each kind, beside so many that stay.
    fn steps(staying: u32) -> u64 {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema_1.sql")).unwrap();
        for (first, count, gone) in [(0, 5, 1), (5, staying, 1_000)] {
            connection
                .execute_batch(&format!(
                    "WITH RECURSIVE n(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM n LIMIT {count})
                     INSERT INTO counter SELECT 1, CAST(n AS BLOB), x'00', {gone} FROM n;
                     INSERT INTO claim SELECT lane, key, value, gone FROM counter WHERE gone = {gone};
                     INSERT INTO record (lane, key, value, ends, gone, put_off, fingerprint)
                     SELECT lane, key, value, gone * 60000, gone, 0, 1 FROM counter WHERE gone = {gone};"
                ))
                .unwrap();
        }
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let each = move || counted.fetch_add(1, Ordering::Relaxed) == u64::MAX;
        connection.progress_handler(1, Some(each)).unwrap();
        let dropped = drop_outlived(&connection, Timestamp::from_millis(120_000), 100).unwrap();
        assert_eq!(dropped, 15);
        steps.load(Ordering::Relaxed)
    }

    #[test]
    fn what_stays_is_not_looked_at() {
        let (few, many) = (steps(10), steps(10_000));
        assert!(
            many < 2 * few,
            "{many} steps beside ten thousand entries, {few} beside ten"
        );
    }
}
