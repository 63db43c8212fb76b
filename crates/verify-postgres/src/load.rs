//! What a transaction finds under the lock of its lane, in one trip with its beginning.

use std::collections::HashMap;

use futures_util::try_join;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};
use verify_batch::{Fill, Found, Lane, LaneRow, OnFailover};
use verify_core::store::Origin;

use crate::epoch::{self, number};
use crate::prepared::{Asked, Here};
use crate::statements::Statements;
use crate::transaction::Params;

/// The lane, and the bytes that its rows have now.
pub(crate) struct Loaded {
    /// `None`: it has no lane yet, and nothing in it.
    pub(crate) lane: Option<i64>,
    pub(crate) found: Found,
    pub(crate) sizes: Sizes,
}

/// By table and key: the bytes of the rows that were found.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) counters: HashMap<Vec<u8>, usize>,
    pub(crate) records: HashMap<Vec<u8>, usize>,
    pub(crate) claims: HashMap<Vec<u8>, usize>,
}

/// Why nothing was loaded.
pub(crate) enum NotLoaded {
    Error(Error),
    /// What is prepared on the connection is not where this transaction is.
    Elsewhere,
}

impl From<Error> for NotLoaded {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What came of one trip.
struct Rows {
    /// Where it was; nothing where the transaction had begun before.
    here: Option<Here>,
    lane: Vec<Row>,
    origin: Vec<Row>,
    named: Vec<Row>,
}

/// Begins, locks the lane and reads what is named. Statements of their own, in this order: one that waits and reads would see
/// what was there before it waited. A database without an epoch gets one, and one that another server held is held by this one
/// now; true when that was written down.
pub(crate) async fn load(
    asked: Asked<'_>,
    sql: &Statements,
    begin: &str,
    lane: &Lane,
    (fill, on_failover): (Fill, OnFailover),
) -> Result<(Loaded, bool), NotLoaded> {
    let client = asked.client;
    let mut rows = ask(asked, sql, Some(begin), lane).await?;
    match (asked.prepared, &rows.here) {
        (Some(prepared), Some(here)) if prepared.is_here(here) => {}
        (Some(_), _) => return Err(NotLoaded::Elsewhere),
        (None, Some(here)) => asked.lines.prepared.saw(asked.client, here),
        (None, None) => {}
    }
    if rows.lane.is_empty() {
        // Somebody may be making it: this waits for them, and then all of it is read anew, under the lock.
        let service = lane.service.as_str();
        client
            .execute_typed(&sql.make_lane, &[(&service, Type::TEXT)])
            .await?;
        rows = ask(asked, sql, None, lane).await?;
    }
    let settles = !epoch::is_settled(&rows.origin);
    if settles {
        // From the first transaction on it is not new any more: who empties it loses data.
        rows.origin = epoch::settle(client, sql, false, on_failover).await?;
    }
    let origin = epoch::read(&rows.origin).unwrap_or_default();
    Ok((read(&rows, lane, origin, fill), settles))
}

async fn ask(asked: Asked<'_>, sql: &Statements, begin: Option<&str>, lane: &Lane) -> Result<Rows, Error> {
    let client = asked.client;
    let service = lane.service.as_str();
    let names = &lane.names;
    let counters: Vec<_> = names.counters.iter().map(|key| key.to_bytes().to_vec()).collect();
    let records: Vec<_> = names.records.iter().map(|key| key.to_bytes().to_vec()).collect();
    let claims: Vec<_> = names.claims.iter().map(|key| key.to_bytes().to_vec()).collect();
    let keys: &Params<'_> = &[
        (&service, Type::TEXT),
        (&counters, Type::BYTEA_ARRAY),
        (&records, Type::BYTEA_ARRAY),
        (&claims, Type::BYTEA_ARRAY),
    ];
    let begun = async {
        match begin {
            Some(begin) => client.simple_query(begin).await.map(|said| Here::read(&said)),
            None => Ok(None),
        }
    };
    let alone: &Params<'_> = &[(&service, Type::TEXT)];
    // Sent in this order when they are first polled, and answered in it.
    let (here, lane, origin, named) = try_join!(
        begun,
        asked.query(&sql.lock, alone),
        asked.query(&sql.origin, &[]),
        asked.query(&sql.named, keys),
    )?;
    Ok(Rows {
        here,
        lane,
        origin,
        named,
    })
}

fn read(rows: &Rows, lane: &Lane, origin: Origin, fill: Fill) -> Loaded {
    let row = rows.lane.first();
    let there = row.map_or_else(LaneRow::default, |row| LaneRow {
        version: number(row, 1),
        seq: number(row, 2),
        events: number(row, 3),
        bytes: number(row, 4),
    });
    let mut found = Found::new(there, origin, fill);
    let counters = values(&rows.named, 0);
    for key in &lane.names.counters {
        if let Some(bytes) = counters.get(key.to_bytes().as_slice()) {
            found.counter(*key, bytes);
        }
    }
    let records = values(&rows.named, 1);
    for key in &lane.names.records {
        if let Some(bytes) = records.get(key.to_bytes().as_slice()) {
            found.record(*key, bytes);
        }
    }
    let claims = values(&rows.named, 2);
    for key in &lane.names.claims {
        if let Some(bytes) = claims.get(key.to_bytes().as_slice()) {
            found.claim(*key, bytes);
        }
    }
    Loaded {
        lane: row.map(|row| row.get(0)),
        found,
        sizes: Sizes {
            counters: sizes(&counters),
            records: sizes(&records),
            claims: sizes(&claims),
        },
    }
}

/// Those of a kind.
fn values(rows: &[Row], kind: i16) -> HashMap<&[u8], &[u8]> {
    let rows = rows.iter().filter(|row| row.get::<_, i16>(0) == kind);
    rows.map(|row| (row.get(1), row.get(2))).collect()
}

fn sizes(values: &HashMap<&[u8], &[u8]>) -> HashMap<Vec<u8>, usize> {
    let sizes = values.iter();
    sizes
        .map(|(key, value)| (key.to_vec(), key.len() + value.len()))
        .collect()
}
