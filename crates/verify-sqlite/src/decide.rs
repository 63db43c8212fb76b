//! One transaction of a batch: lock, load, decide, write, commit.

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, ToSql, params};
use verify_batch::{Batch, Decided, Ended, Fill, Found, Lane, LaneRow, PutClaim, PutRow, Ticket, gone};
use verify_core::store::{ClaimKey, CounterKey, Origin, RecordKey};

use crate::epoch::origin;
use crate::errors::{at_commit, before_commit};
use crate::housekeeping;
use crate::log::Log;
use crate::options::SqliteOptions;
use crate::room::{self, Disk};

/// Outlived entries that go for each row that is written: more than come new. And at most so many in a transaction.
const DROPPED_FOR_EACH: usize = 2;
const DROPPED_AT_ONCE: usize = 256;
/// That many go before something new is refused for want of room.
const DROPPED_FOR_ROOM: usize = 1_024;

/// What a file is decided with.
#[derive(Debug)]
pub(crate) struct Decider {
    pub(crate) options: SqliteOptions,
    /// By which this process knows its batches.
    pub(crate) process: [u8; 16],
    pub(crate) disk: Disk,
    pub(crate) log: Log,
    /// A batch whose commit failed. It can be read back, and be gone after a loss of power.
    pub(crate) unsynced: Option<u64>,
    /// Whether a batch of this process was committed: its number must be there then.
    pub(crate) has_written: bool,
}

impl Decider {
    /// Runs a batch.
    pub(crate) fn run(&mut self, connection: &mut Connection, batch: &Batch) -> Ended {
        match self.try_to(connection, batch) {
            Ok(Some(rows)) => match connection.execute_batch("COMMIT") {
                Ok(()) => {
                    self.has_written = true;
                    self.log.grew(rows);
                    Ended::Committed
                }
                Err(error) => {
                    roll_back(connection);
                    let ended = at_commit(&error);
                    if matches!(ended, Ended::Lost(_)) {
                        self.unsynced = Some(batch.number());
                    }
                    ended
                }
            },
            Ok(None) => {
                roll_back(connection);
                Ended::Committed
            }
            Err(error) => {
                roll_back(connection);
                before_commit(&error)
            }
        }
    }

    /// Everything but the commit; how many rows were written. `None`: there is nothing to commit.
    fn try_to(&mut self, connection: &Connection, batch: &Batch) -> rusqlite::Result<Option<usize>> {
        // The lock comes first: what is read afterwards stays as it is.
        connection.execute_batch("BEGIN IMMEDIATE")?;
        // Once it serves a file is not new any more: who empties it loses data.
        let (origin, mut wrote) = origin(connection, false)?;
        // What is outlived for the engine and for this clock too: one of them may be ahead.
        let outlived = batch.at().min(origin.clock);
        let mut fill = room::fill(connection, &self.options, &mut self.disk)?;
        if fill != Fill::Free && housekeeping::drop_outlived(connection, outlived, DROPPED_FOR_ROOM)? > 0 {
            fill = room::fill(connection, &self.options, &mut self.disk)?;
            wrote = true;
        }
        let mut found = Vec::new();
        for lane in batch.lanes() {
            found.push(load(connection, lane, origin, fill)?);
        }
        let Some(decided) = batch.decide(found) else {
            return Ok(wrote.then_some(0));
        };
        if decided.is_empty() {
            return Ok(wrote.then_some(0));
        }
        for decided in &decided {
            write(connection, decided)?;
        }
        connection
            .prepare_cached("INSERT OR REPLACE INTO batch VALUES (?1, ?2, ?3)")?
            .execute(params![self.process, batch.number(), origin.clock.as_millis()])?;
        let rows = decided.iter().map(rows).sum::<usize>();
        let most = (DROPPED_FOR_EACH * rows).min(DROPPED_AT_ONCE);
        let dropped = housekeeping::drop_outlived(connection, outlived, most)?;
        Ok(Some(rows + dropped))
    }

    /// Whether the last batch of this process that is there is that one, or a later one. `None`: nobody knows, because its
    /// commit failed, and what can be read of it may never reach the disk; or because the number is gone that was there before.
    pub(crate) fn was_committed(
        &mut self,
        connection: &mut Connection,
        ticket: &Ticket,
    ) -> rusqlite::Result<Option<bool>> {
        if self.unsynced == Some(ticket.number) {
            return Ok(None);
        }
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let last: Option<u64> = transaction
            .query_row(
                "SELECT number FROM batch WHERE process = ?1",
                [self.process],
                |row| row.get(0),
            )
            .optional()?;
        self.has_written |= last.is_some();
        Ok(match last {
            Some(last) => Some(last >= ticket.number),
            None if self.has_written => None,
            None => Some(false),
        })
    }
}

fn rows(decided: &Decided) -> usize {
    decided.counters.len() + decided.records.len() + decided.claims.len()
}

fn roll_back(connection: &Connection) {
    // Some failures have rolled back by themselves.
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK").ok();
    }
}

/// The number of a service's lane, once something of it was written.
pub(crate) fn lane_id(connection: &Connection, service: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM lane WHERE service = ?1")?
        .query_row([service], |row| row.get(0))
        .optional()
}

fn load(connection: &Connection, lane: &Lane, origin: Origin, fill: Fill) -> rusqlite::Result<Found> {
    let read = |row: &SqlRow<'_>| {
        let lane = LaneRow {
            version: row.get(1)?,
            seq: row.get(2)?,
            events: row.get(3)?,
            bytes: row.get(4)?,
        };
        Ok((row.get::<_, i64>(0)?, lane))
    };
    let there = connection
        .prepare_cached("SELECT id, version, seq, events, bytes FROM lane WHERE service = ?1")?
        .query_row([lane.service.as_str()], read)
        .optional()?;
    let Some((id, row)) = there else {
        return Ok(Found::new(LaneRow::default(), origin, fill));
    };
    let mut found = Found::new(row, origin, fill);
    let names = &lane.names;
    each(
        connection,
        "SELECT value FROM counter WHERE lane = ?1 AND key = ?2",
        id,
        &names.counters,
        CounterKey::to_bytes,
        |key, bytes| found.counter(*key, bytes),
    )?;
    each(
        connection,
        "SELECT value FROM record WHERE lane = ?1 AND key = ?2",
        id,
        &names.records,
        RecordKey::to_bytes,
        |key, bytes| found.record(*key, bytes),
    )?;
    each(
        connection,
        "SELECT value FROM claim WHERE lane = ?1 AND key = ?2",
        id,
        &names.claims,
        ClaimKey::to_bytes,
        |key, bytes| found.claim(*key, bytes),
    )?;
    Ok(found)
}

fn each<K, B: ToSql>(
    connection: &Connection,
    sql: &'static str,
    lane: i64,
    keys: &[K],
    bytes_of: impl Fn(&K) -> B,
    mut found: impl FnMut(&K, &[u8]),
) -> rusqlite::Result<()> {
    let mut asked = connection.prepare_cached(sql)?;
    for key in keys {
        let mut rows = asked.query(params![lane, bytes_of(key)])?;
        if let Some(row) = rows.next()? {
            found(key, row.get_ref(0)?.as_blob()?);
        }
    }
    Ok(())
}

fn write(connection: &Connection, decided: &Decided) -> rusqlite::Result<()> {
    let LaneRow {
        version,
        seq,
        events,
        bytes,
    } = decided.lane;
    let lane: i64 = connection
        .prepare_cached(
            "INSERT INTO lane (service, version, seq, events, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (service) DO UPDATE SET
               version = excluded.version, seq = excluded.seq, events = excluded.events, bytes = excluded.bytes
             RETURNING id",
        )?
        .query_row(params![decided.service.as_str(), version, seq, events, bytes], |row| row.get(0))?;
    write_counters(connection, lane, decided)?;
    for (key, put) in &decided.records {
        write_record(connection, lane, &key.to_bytes(), put.as_ref())?;
    }
    for (key, put) in &decided.claims {
        write_claim(connection, lane, &key.to_bytes(), put.as_ref())?;
    }
    let mut insert = connection.prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3)")?;
    for (seq, bytes) in &decided.events {
        insert.execute(params![lane, seq.0, bytes])?;
    }
    Ok(())
}

fn write_counters(connection: &Connection, lane: i64, decided: &Decided) -> rusqlite::Result<()> {
    let mut again = connection
        .prepare_cached("UPDATE counter SET value = ?3 WHERE lane = ?1 AND key = ?2 AND gone = ?4")?;
    let mut anew = connection.prepare_cached(
        "INSERT INTO counter VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET value = excluded.value, gone = excluded.gone",
    )?;
    for put in &decided.counters {
        let row = params![lane, put.key.to_bytes(), put.bytes, gone(put.expires_at)];
        // Mostly it goes in the same minute as before, and then no index is touched.
        if again.execute(row)? == 0 {
            anew.execute(row)?;
        }
    }
    Ok(())
}

pub(crate) fn write_record(
    connection: &Connection,
    lane: i64,
    key: &[u8],
    put: Option<&PutRow>,
) -> rusqlite::Result<()> {
    let Some(put) = put else {
        let mut delete = connection.prepare_cached("DELETE FROM record WHERE lane = ?1 AND key = ?2")?;
        return delete.execute(params![lane, key]).map(drop);
    };
    let mut upsert = connection.prepare_cached(
        "INSERT INTO record (lane, key, value, ends, gone, due, put_off, fingerprint, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8)
         ON CONFLICT (lane, key) DO UPDATE SET
           value = excluded.value, ends = excluded.ends, gone = excluded.gone, due = excluded.due, put_off = 0,
           fingerprint = excluded.fingerprint, seal = excluded.seal",
    )?;
    let row = params![
        lane,
        key,
        put.bytes,
        put.expires_at.map(|ends| ends.as_millis()),
        put.expires_at.map(gone),
        put.due.map(|due| due.as_millis()),
        put.under.fingerprint.get(),
        put.under.seal.map(|key| key.get()),
    ];
    upsert.execute(row).map(drop)
}

pub(crate) fn write_claim(
    connection: &Connection,
    lane: i64,
    key: &[u8],
    put: Option<&PutClaim>,
) -> rusqlite::Result<()> {
    match put {
        Some(put) => connection
            .prepare_cached(
                "INSERT INTO claim VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET value = excluded.value, gone = excluded.gone",
            )?
            .execute(params![lane, key, put.bytes, gone(put.expires_at)]),
        None => connection
            .prepare_cached("DELETE FROM claim WHERE lane = ?1 AND key = ?2")?
            .execute(params![lane, key]),
    }
    .map(drop)
}
