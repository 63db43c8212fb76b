//! What the file says of itself, for whoever looks after it.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, params};
use verify_batch::{Figures, Limits, OUTBOXES_NAMED, Outbox, of_minute};
use verify_core::vocabulary::ServiceId;

use crate::beside::beside;
use crate::options::SqliteOptions;
use crate::room;

/// All of it, from indexes and lanes: how much there is makes it no slower.
pub(crate) fn figures(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<Figures> {
    Ok(Figures {
        held: Some(room::used(connection)?),
        disk: Some(on_disk(&options.path)),
        outlived: outlived(connection)?.map(of_minute),
        outboxes: outboxes(connection, &options.limits)?,
    })
}

/// The file, and the log beside it.
fn on_disk(path: &Path) -> u64 {
    let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    length(path) + beside(path, "-wal").map_or(0, |log| length(&log))
}

/// The first minute from which a row that is there could have been dropped, if that is over.
fn outlived(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let now = verify_batch::minute(crate::epoch::clock());
    let mut first = None;
    for sql in [
        "SELECT min(gone) FROM counter",
        "SELECT min(gone) FROM claim",
        "SELECT min(gone) FROM record WHERE gone IS NOT NULL",
    ] {
        let gone: Option<u64> = connection.prepare_cached(sql)?.query_row((), |row| row.get(0))?;
        first = first.into_iter().chain(gone).min();
    }
    Ok(first.filter(|gone| *gone <= now))
}

fn outboxes(connection: &Connection, limits: &Limits) -> rusqlite::Result<Vec<Outbox>> {
    let mut asked = connection.prepare_cached(
        "SELECT service, events, bytes, (SELECT value FROM event WHERE event.lane = lane.id ORDER BY seq LIMIT 1)
         FROM lane WHERE events > 0 ORDER BY bytes DESC LIMIT ?1",
    )?;
    let rows = asked.query_map(params![OUTBOXES_NAMED], |row| {
        let (service, oldest): (String, Option<Vec<u8>>) = (row.get(0)?, row.get(3)?);
        let held = (row.get(1)?, row.get(2)?);
        // One with a name that is none is found elsewhere.
        let service = ServiceId::new(&service).ok();
        Ok(service.map(|service| Outbox::of(service, held, oldest.as_deref(), limits)))
    })?;
    rows.filter_map(Result::transpose).collect()
}
