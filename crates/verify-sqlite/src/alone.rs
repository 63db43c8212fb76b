//! A file that nobody else has open: read or filled whole.

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, params};
use verify_batch::copy::{Entry, Source, Table, Target};
use verify_batch::{LaneRow, gone};
use verify_core::store::{Origin, StoreFault};
use verify_core::vocabulary::ServiceId;

use crate::decide::{lane_id, write_claim, write_record};
use crate::epoch;
use crate::errors::OpenError;
use crate::file;
use crate::options::SqliteOptions;
use crate::outbox::limit;
use crate::worker::Worker;

/// A file that nobody else has open, or opens as long as this is there: for a copy.
#[derive(Debug)]
pub struct SqliteFile {
    worker: Worker,
}

impl SqliteFile {
    /// Opens a file, makes it where there is none, and brings it to this program's schema.
    ///
    /// # Errors
    /// [`OpenError::InUse`] while another process has it open.
    pub fn alone(options: &SqliteOptions) -> Result<Self, OpenError> {
        let path = &options.path;
        let in_use = |error| match is_busy(&error) {
            true => OpenError::InUse { path: path.clone() },
            false => error,
        };
        let file::Opened {
            connection, files, ..
        } = file::open(options, options.busy).map_err(in_use)?;
        drop(connection);
        let connection = file::connect_alone(options).map_err(|error| in_use(OpenError::of(path, error)))?;
        let worker = Worker::start("verify-copy", connection, files, options.clone(), |_| Ok(()));
        let worker = worker.map_err(|error| OpenError::File {
            path: path.clone(),
            error,
        })?;
        Ok(Self { worker })
    }

    /// Closes it. What was begun and not ended is not there.
    pub async fn close(self) {
        self.worker.close().await;
    }
}

#[async_trait]
impl Source for SqliteFile {
    async fn origin(&self) -> Result<Option<Origin>, StoreFault> {
        self.worker.asks(|connection| epoch::read(connection)).await
    }

    async fn lanes(&self) -> Result<Vec<(ServiceId, LaneRow)>, StoreFault> {
        let lanes = self.worker.asks(|connection| lanes(connection)).await?;
        let named = lanes.into_iter().map(|(name, lane)| {
            let service = ServiceId::new(&name);
            service
                .map(|service| (service, lane))
                .map_err(|error| StoreFault::corrupt(&error.to_string()))
        });
        named.collect()
    }

    async fn entries(
        &self,
        service: &ServiceId,
        table: Table,
        after: &[u8],
        most: usize,
    ) -> Result<Vec<Entry>, StoreFault> {
        let (service, after) = (service.clone(), after.to_owned());
        self.worker
            .asks(move |connection| entries(connection, service.as_str(), table, &after, most))
            .await
    }
}

#[async_trait]
impl Target for SqliteFile {
    async fn begin(&self) -> Result<(), StoreFault> {
        self.worker
            .asks(|connection| connection.execute_batch("BEGIN IMMEDIATE"))
            .await
    }

    async fn put_lane(&self, service: &ServiceId, lane: LaneRow) -> Result<(), StoreFault> {
        let service = service.clone();
        let LaneRow {
            version,
            seq,
            events,
            bytes,
        } = lane;
        self.worker
            .asks(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO lane (service, version, seq, events, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![service.as_str(), version, seq, events, bytes])
                    .map(drop)
            })
            .await
    }

    async fn put(&self, service: &ServiceId, table: Table, entries: Vec<Entry>) -> Result<(), StoreFault> {
        let service = service.clone();
        self.worker
            .asks(move |connection| {
                let lane =
                    lane_id(connection, service.as_str())?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                for entry in &entries {
                    if let Err(fault) = put(connection, lane, table, entry)? {
                        return Ok(Err(fault));
                    }
                }
                Ok(Ok(()))
            })
            .await?
    }

    async fn end(&self, origin: Origin) -> Result<(), StoreFault> {
        self.worker
            .asks(move |connection| {
                connection.execute(
                    "UPDATE meta SET epoch = ?1, made = ?2, accepted = ?3",
                    params![origin.epoch.0, origin.made.as_millis(), origin.accepted],
                )?;
                connection.execute_batch("COMMIT")
            })
            .await
    }
}

fn is_busy(error: &OpenError) -> bool {
    let OpenError::Sqlite { error, .. } = error else {
        return false;
    };
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn lanes(connection: &Connection) -> rusqlite::Result<Vec<(String, LaneRow)>> {
    let mut asked = connection
        .prepare_cached("SELECT service, version, seq, events, bytes FROM lane ORDER BY service")?;
    let lanes = asked.query_map((), |row| {
        let lane = LaneRow {
            version: row.get(1)?,
            seq: row.get(2)?,
            events: row.get(3)?,
            bytes: row.get(4)?,
        };
        Ok((row.get(0)?, lane))
    })?;
    lanes.collect()
}

fn entries(
    connection: &Connection,
    service: &str,
    table: Table,
    after: &[u8],
    most: usize,
) -> rusqlite::Result<Vec<Entry>> {
    let Some(lane) = lane_id(connection, service)? else {
        return Ok(Vec::new());
    };
    let sql = match table {
        Table::Counters => {
            "SELECT key, value FROM counter WHERE lane = ?1 AND key > ?2 ORDER BY key LIMIT ?3"
        }
        Table::Records => "SELECT key, value FROM record WHERE lane = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
        Table::Claims => "SELECT key, value FROM claim WHERE lane = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
        Table::Events => {
            let after = after.try_into().map_or(0, u64::from_be_bytes);
            let mut asked = connection.prepare_cached(
                "SELECT seq, value FROM event WHERE lane = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            )?;
            let events = asked.query_map(params![lane, after, limit(most)], |row| {
                let key = row.get::<_, u64>(0)?.to_be_bytes().to_vec();
                Ok(Entry {
                    key,
                    bytes: row.get(1)?,
                })
            })?;
            return events.collect();
        }
    };
    let mut asked = connection.prepare_cached(sql)?;
    let entries = asked.query_map(params![lane, after, limit(most)], |row| {
        Ok(Entry {
            key: row.get(0)?,
            bytes: row.get(1)?,
        })
    })?;
    entries.collect()
}

/// Writes one. The inner error is one that cannot be read.
fn put(
    connection: &Connection,
    lane: i64,
    table: Table,
    entry: &Entry,
) -> rusqlite::Result<Result<(), StoreFault>> {
    let written = match table {
        Table::Counters => entry.counter_ends().map(|ends| {
            connection
                .prepare_cached("INSERT INTO counter VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![lane, entry.key, entry.bytes, gone(ends)])
                .map(drop)
        }),
        Table::Records => entry
            .row()
            .map(|row| write_record(connection, lane, &entry.key, Some(&row))),
        Table::Claims => entry
            .claim()
            .map(|claim| write_claim(connection, lane, &entry.key, Some(&claim))),
        Table::Events => match entry.key.as_slice().try_into() {
            Ok(seq) => Ok(connection
                .prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3)")?
                .execute(params![lane, u64::from_be_bytes(seq), entry.bytes])
                .map(drop)),
            Err(_) => Err(StoreFault::corrupt("an event's place is not eight bytes")),
        },
    };
    written.map_or_else(|fault| Ok(Err(fault)), |done| done.map(Ok))
}
