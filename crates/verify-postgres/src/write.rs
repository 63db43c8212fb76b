//! What a transaction writes, in one trip with its commit.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};
use verify_batch::{Decided, gone, minute};
use verify_core::keys::KeyId;
use verify_core::time::Timestamp;

use crate::epoch::signed;
use crate::load::Sizes;
use crate::prepared::Asked;
use crate::statements::Statements;

/// With one batch of so many what is outlived is dropped: to look for it costs a good part of a small one.
const DROPPED_WITH_EVERY: u64 = 8;
/// Outlived entries of each kind that go then for each counter that is written: more than come new. And at most for so many.
const DROPPED_FOR_EACH: i64 = 16;
const MOST_DROPPED: usize = 64;

/// Which batch of which process, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark<'a> {
    pub(crate) process: &'a [u8],
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    /// What is outlived for everybody then: for the server's clock, and for each that asked.
    pub(crate) outlived: Timestamp,
}

/// Why it failed: before the commit could be carried out, or perhaps after.
pub(crate) enum Failed {
    Before(Error),
    AtCommit(Error),
}

/// A table's columns, as arrays.
#[derive(Default)]
struct Columns {
    keys: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
    ends: Vec<Option<i64>>,
    gone: Vec<Option<i64>>,
    due: Vec<Option<i64>>,
    fingerprints: Vec<i16>,
    seals: Vec<Option<i16>>,
    dropped: Vec<Vec<u8>>,
}

impl Columns {
    fn put(&mut self, key: &[u8], value: &[u8], gone: Option<i64>) {
        self.keys.push(key.to_vec());
        self.values.push(value.to_vec());
        self.gone.push(gone);
    }

    /// By how many bytes the table grows.
    fn grows(&self, before: &HashMap<Vec<u8>, usize>) -> i64 {
        let size = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        let old = |key: &Vec<u8>| size(before.get(key).copied().unwrap_or(0));
        let put = self.keys.iter().zip(&self.values);
        let more: i64 = put
            .map(|(key, value)| size(key.len() + value.len()) - old(key))
            .sum();
        let less: i64 = self.dropped.iter().map(old).sum();
        more - less
    }
}

struct Tables {
    counters: Columns,
    records: Columns,
    claims: Columns,
}

impl Tables {
    fn of(decided: &Decided) -> Self {
        let [mut counters, mut records, mut claims] =
            [Columns::default(), Columns::default(), Columns::default()];
        for put in &decided.counters {
            counters.put(
                &put.key.to_bytes(),
                &put.bytes,
                Some(signed(gone(put.expires_at))),
            );
        }
        for (key, put) in &decided.records {
            let Some(put) = put else {
                records.dropped.push(key.to_bytes().to_vec());
                continue;
            };
            records.put(
                &key.to_bytes(),
                &put.bytes,
                put.expires_at.map(|ends| signed(gone(ends))),
            );
            records
                .ends
                .push(put.expires_at.map(|ends| signed(ends.as_millis())));
            records.due.push(put.due.map(|due| signed(due.as_millis())));
            records.fingerprints.push(put.under.fingerprint.get().into());
            records.seals.push(put.under.seal.map(KeyId::get).map(i16::from));
        }
        for (key, put) in &decided.claims {
            match put {
                Some(put) => claims.put(&key.to_bytes(), &put.bytes, Some(signed(gone(put.expires_at)))),
                None => claims.dropped.push(key.to_bytes().to_vec()),
            }
        }
        Self {
            counters,
            records,
            claims,
        }
    }
}

type Params<'a> = Vec<(&'a (dyn ToSql + Sync), Type)>;

/// The other values of a lane's part, as the server takes them.
struct Values<'a> {
    lane: i64,
    places: Vec<i64>,
    events: Vec<&'a [u8]>,
    row: [i64; 4],
    grows: i64,
    process: &'a [u8],
    number: i64,
    at: i64,
    outlived: i64,
    dropped: i64,
}

impl<'a> Values<'a> {
    fn of(lane: i64, decided: &'a Decided, tables: &Tables, sizes: &Sizes, mark: Mark<'a>) -> Self {
        let (places, events) = decided
            .events
            .iter()
            .map(|(seq, bytes)| (signed(seq.0), bytes.as_slice()))
            .unzip();
        let verify_batch::LaneRow {
            version,
            seq,
            events: waiting,
            bytes,
        } = decided.lane;
        Self {
            lane,
            places,
            events,
            row: [version, seq, waiting, bytes].map(signed),
            grows: tables.counters.grows(&sizes.counters)
                + tables.records.grows(&sizes.records)
                + tables.claims.grows(&sizes.claims),
            process: mark.process,
            number: signed(mark.number),
            at: signed(mark.at.as_millis()),
            outlived: signed(minute(mark.outlived)),
            dropped: match mark.number % DROPPED_WITH_EVERY {
                0 => {
                    DROPPED_FOR_EACH
                        * i64::try_from(decided.counters.len().min(MOST_DROPPED))
                            .unwrap_or(1)
                            .max(1)
                }
                _ => 0,
            },
        }
    }
}

/// Writes what was decided of a lane, and commits. All of it is one trip: where a statement fails the commit rolls back.
pub(crate) async fn write_and_commit(
    connection: Asked<'_>,
    sql: &Statements,
    lane: i64,
    decided: &Decided,
    sizes: &Sizes,
    mark: Mark<'_>,
) -> Result<(), Failed> {
    let tables = Tables::of(decided);
    let values = Values::of(lane, decided, &tables, sizes, mark);
    let drops_outlived = values.dropped > 0;
    let puts_last = !drops_outlived;
    let lane = || (&values.lane as &(dyn ToSql + Sync), Type::INT8);
    let mut asked = Vec::new();
    for (sql, dropped) in [
        (&sql.drop_records, &tables.records.dropped),
        (&sql.drop_claims, &tables.claims.dropped),
    ] {
        if !dropped.is_empty() {
            asked.push((sql, vec![lane(), (dropped, Type::BYTEA_ARRAY)]));
        }
    }
    let mut params = put(&tables, &values);
    params.push((&puts_last, Type::BOOL));
    asked.push((&sql.put, params));
    // After what was put: what is still there is not outlived any more.
    if drops_outlived {
        let params: Params<'_> = vec![
            lane(),
            (&values.outlived, Type::INT8),
            (&values.dropped, Type::INT8),
            (&drops_outlived, Type::BOOL),
        ];
        asked.push((&sql.drop_outlived, params));
    }
    let writes = asked
        .iter()
        .map(|(sql, params)| connection.execute(sql, params).boxed());
    // Sent in this order when they are first polled, and carried out in it.
    let (written, committed) = join(
        join_in_order(writes.collect()),
        connection.client.batch_execute("COMMIT"),
    )
    .await;
    written.map_err(Failed::Before)?;
    committed.map_err(Failed::AtCommit)
}

/// What there is to put, in the order of the statement's parameters.
fn put<'a>(tables: &'a Tables, values: &'a Values<'_>) -> Params<'a> {
    let Tables {
        counters,
        records,
        claims,
    } = tables;
    let mut params: Params<'_> = vec![(&values.lane, Type::INT8)];
    for columns in [counters, claims] {
        let Columns {
            keys, values, gone, ..
        } = columns;
        params.extend([
            (keys as &(dyn ToSql + Sync), Type::BYTEA_ARRAY),
            (values, Type::BYTEA_ARRAY),
            (gone, Type::INT8_ARRAY),
        ]);
    }
    params.extend([
        (&records.keys as &(dyn ToSql + Sync), Type::BYTEA_ARRAY),
        (&records.values, Type::BYTEA_ARRAY),
        (&records.ends, Type::INT8_ARRAY),
        (&records.gone, Type::INT8_ARRAY),
        (&records.due, Type::INT8_ARRAY),
        (&records.fingerprints, Type::INT2_ARRAY),
        (&records.seals, Type::INT2_ARRAY),
        (&values.places, Type::INT8_ARRAY),
        (&values.events, Type::BYTEA_ARRAY),
    ]);
    let row = values.row.iter().chain([&values.grows]);
    params.extend(row.map(|number| (number as &(dyn ToSql + Sync), Type::INT8)));
    params.extend([
        (&values.process as &(dyn ToSql + Sync), Type::BYTEA),
        (&values.number, Type::INT8),
        (&values.at, Type::INT8),
    ]);
    params
}

/// The first error of any, once all have ended.
async fn join_in_order<T>(
    asked: Vec<futures_util::future::BoxFuture<'_, Result<T, Error>>>,
) -> Result<(), Error> {
    let ended = join_all(asked).await;
    ended.into_iter().try_for_each(|ended| ended.map(drop))
}
