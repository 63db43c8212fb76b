//! As many rows as a send has, read and written in SQLite by a loop that decides nothing.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, params};

use super::work::RECORD;
use crate::measure::{BenchError, Measured, Sample};

/// Limits that are shared, and those of a send's own.
const SHARED: u64 = 2;
const OWN: u64 = 6;

/// The bytes of a file that hold something, whether or not they stand in its log yet.
pub(super) fn bytes(path: &Path) -> Measured<u64> {
    let asked = || -> rusqlite::Result<u64> {
        let connection = Connection::open(path)?;
        let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        Ok(pages("page_count")? * pages("page_size")?)
    };
    asked().map_err(|error| BenchError::setup(&error))
}

/// A file with the same tables and indexes.
pub(super) struct Bare {
    connection: Connection,
    next: u64,
}

impl Bare {
    pub(super) fn at(path: &Path) -> Measured<Self> {
        Self::try_at(path).map_err(|error| BenchError::setup(&error))
    }

    fn try_at(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        connection.execute_batch(
            "CREATE TABLE lane (id INTEGER PRIMARY KEY, version INTEGER, seq INTEGER) STRICT;
             INSERT INTO lane VALUES (1, 0, 0);
             CREATE TABLE counter (lane INTEGER, key BLOB, value BLOB, gone INTEGER, PRIMARY KEY (lane, key)) STRICT, WITHOUT ROWID;
             CREATE INDEX counter_gone ON counter (gone);
             CREATE TABLE claim (lane INTEGER, key BLOB, value BLOB, gone INTEGER, PRIMARY KEY (lane, key)) STRICT, WITHOUT ROWID;
             CREATE INDEX claim_gone ON claim (gone);
             CREATE TABLE record (id INTEGER PRIMARY KEY, lane INTEGER, key BLOB, value BLOB, gone INTEGER, due INTEGER, UNIQUE (lane, key)) STRICT;
             CREATE INDEX record_gone ON record (gone);
             CREATE INDEX record_due ON record (lane, due, key);
             CREATE TABLE event (lane INTEGER, seq INTEGER, value BLOB, PRIMARY KEY (lane, seq)) STRICT, WITHOUT ROWID;",
        )?;
        Ok(Self { connection, next: 1 })
    }

    /// So many sends' rows, so many in a transaction.
    pub(super) fn sample(&mut self, operations: usize, batch: usize) -> Measured<Sample> {
        let began = Instant::now();
        let mut left = operations as u64;
        while left > 0 {
            let now = left.min(batch as u64);
            self.transaction(now).map_err(|error| BenchError::setup(&error))?;
            left -= now;
        }
        Ok(Sample {
            time: began.elapsed(),
            operations,
        })
    }

    fn transaction(&mut self, sends: u64) -> rusqlite::Result<()> {
        let Self { connection, next } = self;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let (version, seq): (u64, u64) = connection
            .prepare_cached("SELECT version, seq FROM lane WHERE id = 1")?
            .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let key = |number: u64| u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
        {
            let mut look =
                connection.prepare_cached("SELECT value FROM counter WHERE lane = 1 AND key = ?1")?;
            let mut look_record =
                connection.prepare_cached("SELECT value FROM record WHERE lane = 1 AND key = ?1")?;
            let mut look_claim =
                connection.prepare_cached("SELECT value FROM claim WHERE lane = 1 AND key = ?1")?;
            let mut put = connection.prepare_cached(
                "INSERT INTO counter VALUES (1, ?1, ?2, 9) ON CONFLICT DO UPDATE SET value = excluded.value",
            )?;
            let mut put_record = connection.prepare_cached("INSERT INTO record (lane, key, value, gone, due) VALUES (1, ?1, ?2, 9, ?3) ON CONFLICT (lane, key) DO UPDATE SET value = excluded.value")?;
            let mut put_claim = connection.prepare_cached(
                "INSERT INTO claim VALUES (1, ?1, ?2, 9) ON CONFLICT DO UPDATE SET value = excluded.value",
            )?;
            let mut put_event = connection.prepare_cached("INSERT INTO event VALUES (1, ?1, ?2)")?;
            for send in 0..sends {
                let number = *next + send;
                let counters = (0..SHARED).chain(1_000 + number * OWN..1_000 + number * OWN + OWN);
                for counter in counters.clone() {
                    look.exists([key(counter)])?;
                }
                look_record.exists([key(number)])?;
                look_claim.exists([key(number)])?;
                for counter in counters {
                    put.execute(params![key(counter), [1u8; 35]])?;
                }
                put_record.execute(params![key(number), [2u8; RECORD + 36].as_slice(), number])?;
                put_claim.execute(params![key(number), [3u8; 33].as_slice()])?;
                for event in 0..2 {
                    put_event.execute(params![seq + 2 * send + event + 1, [4u8; 80].as_slice()])?;
                }
            }
        }
        connection
            .prepare_cached("UPDATE lane SET version = ?1, seq = ?2 WHERE id = 1")?
            .execute([version + sends, seq + 2 * sends])?;
        connection.execute_batch("COMMIT")?;
        *next += sends;
        Ok(())
    }
}
