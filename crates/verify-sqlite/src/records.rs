//! Records that want a look, and those that must be written again.

use rusqlite::{Connection, OptionalExtension, params};
use verify_core::keys::KeyId;
use verify_core::store::{RecordKey, RecordKind, WrittenUnder, put_off_for};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::outbox::limit;

/// Services with an event or a record that is due, behind this one.
pub(crate) fn services(
    connection: &Connection,
    now: Timestamp,
    after: &str,
    most: usize,
) -> rusqlite::Result<Vec<String>> {
    let mut asked = connection.prepare_cached(
        "SELECT service FROM lane
         WHERE service > ?2 AND (events > 0 OR EXISTS (
           SELECT 1 FROM record
           WHERE record.lane = lane.id AND due <= ?1 AND (ends IS NULL OR ends > ?1)))
         ORDER BY service LIMIT ?3",
    )?;
    let named = asked.query_map(params![now.as_millis(), after, limit(most)], |row| row.get(0))?;
    named.collect()
}

/// A service's records that are due, soonest first.
pub(crate) fn due(
    connection: &Connection,
    service: &str,
    now: Timestamp,
    most: usize,
) -> rusqlite::Result<Vec<RecordKey>> {
    let mut asked = connection.prepare_cached(&format!(
        "SELECT key FROM record
         WHERE lane = (SELECT id FROM lane WHERE service = ?1) AND due <= ?2 AND (ends IS NULL OR ends > ?2) AND {}
         ORDER BY due, key LIMIT ?3",
        is_known()
    ))?;
    let keys = asked.query_map(params![service, now.as_millis(), limit(most)], |row| {
        row.get::<_, Vec<u8>>(0)
    })?;
    known(keys)
}

/// Puts off a record that is due.
pub(crate) fn put_off(
    connection: &Connection,
    service: &str,
    record: &RecordKey,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let found: Option<(i64, u32)> = connection
        .prepare_cached(
            "SELECT id, put_off FROM record
             WHERE lane = (SELECT id FROM lane WHERE service = ?1) AND key = ?2
               AND due <= ?3 AND (ends IS NULL OR ends > ?3)",
        )?
        .query_row(params![service, record.to_bytes(), now.as_millis()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if let Some((id, times)) = found {
        let until = now + put_off_for(times);
        // Written meanwhile by somebody who settled it: then its count begins anew, and this says nothing of it.
        connection
            .prepare_cached("UPDATE record SET due = ?3, put_off = put_off + 1 WHERE id = ?1 AND put_off = ?2 AND due <= ?4")?
            .execute(params![id, times, until.as_millis(), now.as_millis()])?;
    }
    Ok(())
}

/// Under which keys the durable records with something sealed in them were written, and how many.
pub(crate) fn durable(connection: &Connection) -> rusqlite::Result<Vec<(WrittenUnder, u64)>> {
    let mut asked = connection.prepare_cached(
        "SELECT fingerprint, seal, count(*) FROM record WHERE ends IS NULL AND seal IS NOT NULL GROUP BY fingerprint, seal",
    )?;
    let counted = asked.query_map([], |row| {
        let under = WrittenUnder {
            fingerprint: KeyId::new(row.get(0)?),
            seal: Some(KeyId::new(row.get(1)?)),
        };
        Ok((under, row.get(2)?))
    })?;
    counted.collect()
}

/// Those under these keys, behind that one, in the order of their lanes.
pub(crate) fn durable_under(
    connection: &Connection,
    under: WrittenUnder,
    after: Option<&(ServiceId, RecordKey)>,
    most: usize,
) -> rusqlite::Result<Vec<(ServiceId, RecordKey)>> {
    let mut asked = connection.prepare_cached(&format!(
        "SELECT service, key FROM record JOIN lane ON lane.id = record.lane
         WHERE ends IS NULL AND seal IS NOT NULL AND fingerprint = ?1 AND seal = ?2
           AND (record.lane, key) > (coalesce((SELECT id FROM lane WHERE service = ?3), 0), ?4) AND {}
         ORDER BY record.lane, key LIMIT ?5",
        is_known()
    ))?;
    let row = params![
        under.fingerprint.get(),
        under.seal.map(KeyId::get),
        after.map(|(service, _)| service.as_str()),
        after.map_or_else(Vec::new, |(_, key)| key.to_bytes().to_vec()),
        limit(most)
    ];
    let found = asked.query_map(row, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    let known = found.filter_map(|found| {
        let place = |(service, key): (String, Vec<u8>)| {
            Some((ServiceId::new(&service).ok()?, RecordKey::from_bytes(&key)?))
        };
        found.map(place).transpose()
    });
    known.collect()
}

/// That a key is of a kind that this program knows, in the words of a statement: a later program's are left to it. They fill no page,
/// or nobody would look behind them.
fn is_known() -> String {
    let kinds = RecordKind::ALL
        .iter()
        .map(|kind| format!("x'{:02x}'", kind.tag()));
    format!("substr(key, 1, 1) IN ({})", kinds.collect::<Vec<_>>().join(", "))
}

/// Those that are keys.
fn known(keys: impl Iterator<Item = rusqlite::Result<Vec<u8>>>) -> rusqlite::Result<Vec<RecordKey>> {
    keys.filter_map(|key| key.map(|key| RecordKey::from_bytes(&key)).transpose())
        .collect()
}
