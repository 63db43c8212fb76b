//! The outboxes: of each service in order, until acknowledged.

use rusqlite::{Connection, TransactionBehavior, params};
use verify_core::event::Event;
use verify_core::store::{EventSeq, StoreFault, kept};

use crate::decide::lane_id;

/// The oldest events of a service, at most so many, in their kept form.
pub(crate) fn oldest(
    connection: &Connection,
    service: &str,
    most: usize,
) -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
    let mut asked = connection.prepare_cached(
        "SELECT seq, value FROM event WHERE lane = (SELECT id FROM lane WHERE service = ?1) ORDER BY seq LIMIT ?2",
    )?;
    let events = asked.query_map(params![service, limit(most)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    events.collect()
}

/// Those events, read.
pub(crate) fn read(events: Vec<(u64, Vec<u8>)>) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
    let read = events
        .into_iter()
        .map(|(seq, bytes)| Ok((EventSeq(seq), kept::read_event(&bytes)?)));
    read.collect()
}

/// Forgets a service's events up to and including this one.
pub(crate) fn acknowledge(connection: &mut Connection, service: &str, through: u64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(lane) = lane_id(&transaction, service)? {
        let (events, bytes): (i64, i64) = transaction
            .prepare_cached(
                "SELECT count(*), coalesce(sum(length(value)), 0) FROM event WHERE lane = ?1 AND seq <= ?2",
            )?
            .query_row(params![lane, through], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if events == 0 {
            return Ok(());
        }
        transaction
            .prepare_cached("DELETE FROM event WHERE lane = ?1 AND seq <= ?2")?
            .execute(params![lane, through])?;
        transaction
            .prepare_cached("UPDATE lane SET events = events - ?2, bytes = bytes - ?3 WHERE id = ?1")?
            .execute(params![lane, events, bytes])?;
    }
    transaction.commit()
}

/// A bound that SQLite takes.
pub(crate) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
