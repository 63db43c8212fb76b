//! A database that nobody serves from: read or filled whole.

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use verify_batch::copy::{Entry, Source, Table, Target};
use verify_batch::{LaneRow, gone as gone_from};
use verify_core::keys::KeyId;
use verify_core::store::{Origin, StoreFault};
use verify_core::vocabulary::ServiceId;

use crate::connect::{self, Connection};
use crate::epoch::{self, number, signed};
use crate::errors::{OpenError, fault};
use crate::options::PostgresOptions;
use crate::schema;
use crate::statements::{Server, Statements};
use crate::transaction::{Begin, Params};

/// A database that nobody serves from, as long as this is there: for a copy.
pub struct PostgresTables {
    connection: Connection,
    sql: Statements,
}

/// So long the other side may take for a page of rows, or be gone without a word.
const IDLE: Duration = Duration::from_secs(60);

impl PostgresTables {
    /// Connects, brings the tables to this program's schema, and takes them for itself: what asks for them meanwhile waits.
    ///
    /// # Errors
    /// [`OpenError::InUse`] while somebody else is at them.
    pub async fn alone(options: &PostgresOptions) -> Result<Self, OpenError> {
        let schema = schema::checked(&options.schema)?;
        let pool = connect::pool(options)?.pool;
        let connection = Connection::of(&pool).await?;
        let client = connection.client()?;
        schema::migrate(client, schema).await?;
        // Whoever was at them a moment ago may still be leaving: the server notices an end a little later.
        let within = options.statement.as_millis();
        let begin = Begin::long(IDLE);
        let take = format!(
            "{begin}; SET LOCAL lock_timeout = {within}; LOCK TABLE {schema}.meta, {schema}.lane IN EXCLUSIVE MODE"
        );
        client
            .batch_execute(&take)
            .await
            .map_err(|error| match error.code().map(|code| code.code()) {
                Some("55P03") => OpenError::InUse,
                _ => OpenError::Connect(crate::errors::said(&error)),
            })?;
        Ok(Self {
            connection,
            sql: Statements::on(schema, &Server::UNTOLD),
        })
    }

    fn client(&self) -> Result<&Client, StoreFault> {
        Ok(self.connection.client()?)
    }

    async fn query(&self, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, StoreFault> {
        let rows = self.client()?.query_typed(sql, params).await;
        rows.map_err(|error| fault(&error))
    }

    async fn execute(&self, sql: &str, params: &Params<'_>) -> Result<(), StoreFault> {
        let done = self.client()?.execute_typed(sql, params).await;
        done.map(drop).map_err(|error| fault(&error))
    }
}

#[async_trait]
impl Source for PostgresTables {
    async fn origin(&self) -> Result<Option<Origin>, StoreFault> {
        Ok(epoch::read(&self.query(&self.sql.origin, &[]).await?))
    }

    async fn lanes(&self) -> Result<Vec<(ServiceId, LaneRow)>, StoreFault> {
        let lanes = self.query(&self.sql.lanes, &[]).await?;
        let named = lanes.iter().map(|row| {
            let lane = LaneRow {
                version: number(row, 1),
                seq: number(row, 2),
                events: number(row, 3),
                bytes: number(row, 4),
            };
            let service = ServiceId::new(row.get(0));
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
        let (service, most) = (service.as_str(), i64::try_from(most).unwrap_or(i64::MAX));
        let sql = match table {
            Table::Counters => &self.sql.page_of_counters,
            Table::Records => &self.sql.page_of_records,
            Table::Claims => &self.sql.page_of_claims,
            Table::Events => {
                let after = after.try_into().map_or(0, u64::from_be_bytes);
                let after = signed(after);
                let params: &Params<'_> =
                    &[(&service, Type::TEXT), (&after, Type::INT8), (&most, Type::INT8)];
                let rows = self.query(&self.sql.page_of_events, params).await?;
                let events = rows.iter().map(|row| Entry {
                    key: number(row, 0).to_be_bytes().to_vec(),
                    bytes: row.get(1),
                });
                return Ok(events.collect());
            }
        };
        let params: &Params<'_> = &[(&service, Type::TEXT), (&after, Type::BYTEA), (&most, Type::INT8)];
        let rows = self.query(sql, params).await?;
        let entries = rows.iter().map(|row| Entry {
            key: row.get(0),
            bytes: row.get(1),
        });
        Ok(entries.collect())
    }
}

#[async_trait]
impl Target for PostgresTables {
    /// It has begun already, with its locks.
    async fn begin(&self) -> Result<(), StoreFault> {
        Ok(())
    }

    async fn put_lane(&self, service: &ServiceId, lane: LaneRow) -> Result<(), StoreFault> {
        let service = service.as_str();
        let row = [lane.version, lane.seq, lane.events, lane.bytes].map(signed);
        let [version, seq, events, bytes] = &row;
        let params: &Params<'_> = &[
            (&service, Type::TEXT),
            (version, Type::INT8),
            (seq, Type::INT8),
            (events, Type::INT8),
            (bytes, Type::INT8),
        ];
        self.execute(&self.sql.copy_lane, params).await
    }

    async fn put(&self, service: &ServiceId, table: Table, entries: Vec<Entry>) -> Result<(), StoreFault> {
        let service = service.as_str();
        let keys: Vec<&[u8]> = entries.iter().map(|entry| entry.key.as_slice()).collect();
        let values: Vec<&[u8]> = entries.iter().map(|entry| entry.bytes.as_slice()).collect();
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&service, Type::TEXT),
            (&keys, Type::BYTEA_ARRAY),
            (&values, Type::BYTEA_ARRAY),
        ];
        let (mut ends, mut gone, mut due) = (Vec::new(), Vec::<Option<i64>>::new(), Vec::new());
        let (mut fingerprints, mut seals, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let sql = match table {
            Table::Counters => {
                for entry in &entries {
                    gone.push(Some(signed(gone_from(entry.counter_ends()?))));
                }
                params.push((&gone, Type::INT8_ARRAY));
                &self.sql.copy_counters
            }
            Table::Claims => {
                for entry in &entries {
                    gone.push(Some(signed(gone_from(entry.claim()?.expires_at))));
                }
                params.push((&gone, Type::INT8_ARRAY));
                &self.sql.copy_claims
            }
            Table::Records => {
                for entry in &entries {
                    let row = entry.row()?;
                    ends.push(row.expires_at.map(|ends| signed(ends.as_millis())));
                    gone.push(row.expires_at.map(|ends| signed(gone_from(ends))));
                    due.push(row.due.map(|due| signed(due.as_millis())));
                    fingerprints.push(i16::from(row.under.fingerprint.get()));
                    seals.push(row.under.seal.map(KeyId::get).map(i16::from));
                }
                params.extend([
                    (&ends as &(dyn ToSql + Sync), Type::INT8_ARRAY),
                    (&gone, Type::INT8_ARRAY),
                    (&due, Type::INT8_ARRAY),
                    (&fingerprints, Type::INT2_ARRAY),
                    (&seals, Type::INT2_ARRAY),
                ]);
                &self.sql.copy_records
            }
            Table::Events => {
                for entry in &entries {
                    let place = entry.key.as_slice().try_into().map(u64::from_be_bytes);
                    let broken = |_| StoreFault::corrupt("an event's place is not eight bytes");
                    places.push(signed(place.map_err(broken)?));
                }
                let params: &Params<'_> = &[
                    (&service, Type::TEXT),
                    (&places, Type::INT8_ARRAY),
                    (&values, Type::BYTEA_ARRAY),
                ];
                return self.execute(&self.sql.copy_events, params).await;
            }
        };
        self.execute(sql, &params).await
    }

    async fn end(&self, origin: Origin) -> Result<(), StoreFault> {
        let (epoch, made) = (origin.epoch.0.as_slice(), signed(origin.made.as_millis()));
        let params: &Params<'_> = &[
            (&epoch, Type::BYTEA),
            (&made, Type::INT8),
            (&origin.accepted, Type::BOOL),
        ];
        self.execute(&self.sql.copy_epoch, params).await?;
        self.execute(&self.sql.copy_held, &[]).await?;
        let ended = self.client()?.batch_execute("COMMIT").await;
        ended.map_err(|error| fault(&error))
    }
}
