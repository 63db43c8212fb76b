//! What a transaction finds under the lock of its lane, in one trip with its beginning.

use std::collections::HashMap;

use futures_util::try_join;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};
use verify_batch::{Fill, Found, Lane, LaneRow};
use verify_core::store::Origin;

use crate::epoch::{self, number};
use crate::statements::Statements;

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

/// What came of one trip.
struct Rows {
    lane: Vec<Row>,
    origin: Vec<Row>,
    counters: Vec<Row>,
    records: Vec<Row>,
    claims: Vec<Row>,
}

/// Begins, locks the lane and reads what is named. Statements of their own, in this order: one that waits and reads would see
/// what was there before it waited. A database without an epoch gets one; true when it did.
pub(crate) async fn load(
    client: &Client,
    sql: &Statements,
    begin: &str,
    lane: &Lane,
    fill: Fill,
) -> Result<(Loaded, bool), Error> {
    let mut rows = ask(client, sql, Some(begin), lane).await?;
    if rows.lane.is_empty() {
        // Somebody may be making it: this waits for them, and then all of it is read anew, under the lock.
        let service = lane.service.as_str();
        client
            .execute_typed(&sql.make_lane, &[(&service, Type::TEXT)])
            .await?;
        rows = ask(client, sql, None, lane).await?;
    }
    let (origin, made) = match epoch::read(&rows.origin) {
        Some(origin) => (origin, false),
        // From the first transaction on it is not new any more: who empties it loses data.
        None => (epoch::first(client, sql, false).await?.unwrap_or_default(), true),
    };
    Ok((read(&rows, lane, origin, fill), made))
}

async fn ask(client: &Client, sql: &Statements, begin: Option<&str>, lane: &Lane) -> Result<Rows, Error> {
    let service = lane.service.as_str();
    let counters: Vec<_> = lane
        .names
        .counters
        .iter()
        .map(|key| key.to_bytes().to_vec())
        .collect();
    let records: Vec<_> = lane
        .names
        .records
        .iter()
        .map(|key| key.to_bytes().to_vec())
        .collect();
    let claims: Vec<_> = lane
        .names
        .claims
        .iter()
        .map(|key| key.to_bytes().to_vec())
        .collect();
    let begun = async {
        match begin {
            Some(begin) => client.batch_execute(begin).await,
            None => Ok(()),
        }
    };
    let alone: [(&(dyn ToSql + Sync), Type); 1] = [(&service, Type::TEXT)];
    let named = |sql, keys| named(client, sql, service, keys);
    // Sent in this order when they are first polled, and answered in it.
    let ((), lane, origin, counters, records, claims) = try_join!(
        begun,
        client.query_typed(&sql.lock, &alone),
        client.query_typed(&sql.origin, &[]),
        named(&sql.counters, &counters),
        named(&sql.records, &records),
        named(&sql.claims, &claims),
    )?;
    Ok(Rows {
        lane,
        origin,
        counters,
        records,
        claims,
    })
}

/// Rows by their keys; no statement where nothing is named.
async fn named(client: &Client, sql: &str, service: &str, keys: &Vec<Vec<u8>>) -> Result<Vec<Row>, Error> {
    match keys.is_empty() {
        true => Ok(Vec::new()),
        false => {
            client
                .query_typed(sql, &[(&service, Type::TEXT), (keys, Type::BYTEA_ARRAY)])
                .await
        }
    }
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
    let counters = values(&rows.counters);
    for key in &lane.names.counters {
        if let Some(bytes) = counters.get(key.to_bytes().as_slice()) {
            found.counter(*key, bytes);
        }
    }
    let records = values(&rows.records);
    for key in &lane.names.records {
        if let Some(bytes) = records.get(key.to_bytes().as_slice()) {
            found.record(*key, bytes);
        }
    }
    let claims = values(&rows.claims);
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

fn values(rows: &[Row]) -> HashMap<&[u8], &[u8]> {
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn sizes(values: &HashMap<&[u8], &[u8]>) -> HashMap<Vec<u8>, usize> {
    let sizes = values.iter();
    sizes
        .map(|(key, value)| (key.to_vec(), key.len() + value.len()))
        .collect()
}
