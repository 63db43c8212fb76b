//! As many rows as a send has, read and written in Postgres by a loop that decides nothing: prepared, in arrays, one statement
//! that reads and one that writes, in two trips.

use std::time::Instant;

use futures_util::future::try_join_all;
use futures_util::try_join;
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Statement};

use super::work::RECORD;
use crate::measure::{BenchError, Measured, Sample};

const SHARED: u64 = 2;
const OWN: u64 = 6;
const STATEMENTS: [&str; 3] = [
    "SELECT version, seq FROM bare.lane WHERE id = 1 FOR UPDATE",
    "SELECT 0, key, value FROM bare.counter WHERE lane = 1 AND key = ANY ($1)
     UNION ALL SELECT 1, key, value FROM bare.record WHERE lane = 1 AND key = ANY ($2)
     UNION ALL SELECT 2, key, value FROM bare.claim WHERE lane = 1 AND key = ANY ($2)",
    "WITH counters AS (
       INSERT INTO bare.counter SELECT 1, k.*, 9 FROM unnest($1::bytea[], $2::bytea[]) k ON CONFLICT (lane, key) DO UPDATE SET value = excluded.value
     ), records AS (
       INSERT INTO bare.record SELECT 1, k.*, 9, 9 FROM unnest($3::bytea[], $4::bytea[]) k ON CONFLICT (lane, key) DO UPDATE SET value = excluded.value
     ), claims AS (
       INSERT INTO bare.claim SELECT 1, k.*, 9 FROM unnest($3::bytea[], $5::bytea[]) k ON CONFLICT (lane, key) DO UPDATE SET value = excluded.value
     ), events AS (
       INSERT INTO bare.event SELECT 1, k.* FROM unnest($6::bigint[], $7::bytea[]) k
     )
     UPDATE bare.lane SET version = $8, seq = $9 WHERE id = 1",
];

/// Tables as the store has them, and a connection.
pub(super) struct Bare {
    client: Client,
    prepared: Vec<Statement>,
    next: u64,
}

impl Bare {
    pub(super) fn at(url: &str, runtime: &Runtime) -> Measured<Self> {
        let made = runtime.block_on(Self::try_at(url));
        made.map_err(|error| BenchError::setup(&error))
    }

    async fn try_at(url: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client
            .batch_execute(
                "DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare;
                 CREATE TABLE bare.lane (id bigint PRIMARY KEY, version bigint, seq bigint) WITH (fillfactor = 50);
                 INSERT INTO bare.lane VALUES (1, 0, 0);
                 CREATE TABLE bare.counter (lane bigint, key bytea, value bytea, gone bigint, PRIMARY KEY (lane, key)) WITH (fillfactor = 80);
                 CREATE INDEX ON bare.counter (gone);
                 CREATE TABLE bare.claim (lane bigint, key bytea, value bytea, gone bigint, PRIMARY KEY (lane, key));
                 CREATE INDEX ON bare.claim (gone);
                 CREATE TABLE bare.record (lane bigint, key bytea, value bytea, gone bigint, due bigint, PRIMARY KEY (lane, key)) WITH (fillfactor = 70);
                 ALTER TABLE bare.record ALTER COLUMN value SET STORAGE EXTERNAL;
                 CREATE INDEX ON bare.record (gone);
                 CREATE INDEX ON bare.record (lane, due, key);
                 CREATE TABLE bare.event (lane bigint, seq bigint, value bytea, PRIMARY KEY (lane, seq));",
            )
            .await?;
        let prepared = try_join_all(STATEMENTS.iter().map(|sql| client.prepare(sql))).await?;
        Ok(Self {
            client,
            prepared,
            next: 1,
        })
    }

    /// So many sends' rows, so many in a transaction.
    pub(super) fn sample(&mut self, operations: usize, batch: usize, runtime: &Runtime) -> Measured<Sample> {
        let began = Instant::now();
        let mut left = operations as u64;
        while left > 0 {
            let now = left.min(batch as u64);
            let done = runtime.block_on(self.transaction(now));
            done.map_err(|error| BenchError::setup(&error))?;
            left -= now;
        }
        Ok(Sample {
            time: began.elapsed(),
            operations,
        })
    }

    async fn transaction(&mut self, sends: u64) -> Result<(), Error> {
        let [lock, read, put] = self.prepared.as_slice() else {
            return Ok(());
        };
        let key = |number: u64| {
            u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                .to_be_bytes()
                .to_vec()
        };
        let numbers: Vec<u64> = (self.next..self.next + sends).collect();
        let own = numbers
            .iter()
            .flat_map(|number| 1_000 + number * OWN..1_000 + number * OWN + OWN);
        let counted: Vec<Vec<u8>> = (0..SHARED).chain(own).map(key).collect();
        let keys: Vec<Vec<u8>> = numbers.iter().copied().map(key).collect();
        let client = &self.client;
        let named: [&(dyn ToSql + Sync); 2] = [&counted, &keys];
        let (_, lane, _) = try_join!(
            client.batch_execute("BEGIN"),
            client.query(lock, &[]),
            client.query(read, &named),
        )?;
        let (version, seq): (i64, i64) = lane.first().map_or((0, 0), |row| (row.get(0), row.get(1)));
        let more = i64::try_from(sends).unwrap_or(0);
        let states = vec![vec![1u8; 35]; counted.len()];
        let [rows, markers] = [RECORD + 36, 33].map(|size| vec![vec![2u8; size]; keys.len()]);
        let seqs: Vec<i64> = (seq + 1..=seq + 2 * more).collect();
        let events = vec![vec![4u8; 80]; seqs.len()];
        let (version, last) = (version + more, seq + 2 * more);
        let params: [&(dyn ToSql + Sync); 9] = [
            &counted, &states, &keys, &rows, &markers, &seqs, &events, &version, &last,
        ];
        try_join!(client.execute(put, &params), client.batch_execute("COMMIT"),)?;
        self.next += sends;
        Ok(())
    }
}
