//! The store itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use verify_batch::{Backend, Batch, Ended, Figures, Lanes, OnFailover, Ticket};
use verify_core::event::Event;
use verify_core::ids::HolderId;
use verify_core::keys::KeyId;
use verify_core::store::{
    Changeset, EventSeq, Origin, RecordKey, Store, StoreAnswer, StoreFault, Work, WrittenUnder, put_off_for,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::connect::{self, Connection, Lines};
use crate::decide::Decider;
use crate::epoch::{self, signed};
use crate::errors::{OpenError, fault, said};
use crate::figures;
use crate::housekeeping;
use crate::options::PostgresOptions;
use crate::outbox;
use crate::records;
use crate::schema;
use crate::statements::Statements;
use crate::transaction::{Begin, Params};

/// Outlived entries of a kind that go at once at most: a few milliseconds.
const DROPPED_AT_ONCE: usize = 256;

/// A store in Postgres. Clones are the same store.
///
/// - *Durable* as the server is, see [`Durability`](crate::Durability).
/// - *Exact over any number of processes*: a service's lane is locked while one of them decides.
/// - *Bounded* by [`PostgresOptions::most_bytes`]; a disk that is full refuses what writes.
/// - *Its clock* is the server's.
#[derive(Clone)]
pub struct PostgresStore {
    lanes: Lanes<Writer>,
}

struct Writer(Arc<Decider>);

impl PostgresStore {
    /// Connects, and brings the tables to this program's schema.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub async fn open(options: PostgresOptions) -> Result<Self, OpenError> {
        Self::over(connect::pool(&options)?, options).await
    }

    /// The same over connections of your own; what the options say of how to connect is not used. A connection that was in the
    /// middle of something is closed and not given back.
    ///
    /// Nothing is prepared on them. What a server says there without being asked is not heard: where somebody breaks off its wait for a
    /// copy (`pg_cancel_backend`), the commit counts as one that the copy has.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub async fn with_pool(
        pool: deadpool_postgres::Pool,
        options: PostgresOptions,
    ) -> Result<Self, OpenError> {
        Self::over(Lines::of(pool), options).await
    }

    async fn over(lines: Lines, options: PostgresOptions) -> Result<Self, OpenError> {
        let schema = schema::checked(&options.schema)?.to_owned();
        let connection = Connection::of(&lines.pool).await?;
        let client = connection.client()?;
        schema::migrate(client, &schema).await?;
        let unusable = |error| OpenError::Connect(said(&error));
        let process = client
            .query_typed("SELECT uuid_send(gen_random_uuid())", &[])
            .await
            .map_err(unusable)?;
        let process: Vec<u8> = process.first().map(|row| row.get(0)).unwrap_or_default();
        let sql = Statements::on(&schema, &epoch::server(client).await);
        let begin = Begin::of(&options);
        // A database without an epoch is new to whoever never knew another.
        let (is_new, on_failover) = (options.remembered.is_none(), options.on_failover);
        client.batch_execute(&begin.single).await.map_err(unusable)?;
        epoch::settle(client, &sql, is_new, on_failover)
            .await
            .map_err(unusable)?;
        client.batch_execute("COMMIT").await.map_err(unusable)?;
        connection.done();
        let limits = options.limits.clone();
        let decider = Decider::new(lines, process, (begin, sql), options);
        Ok(Self {
            lanes: Lanes::new(Writer(Arc::new(decider)), limits),
        })
    }

    /// Ends the wait that a database which lost data imposes: whatever may have been lost, this is what there is.
    ///
    /// # Errors
    /// It cannot be written down.
    pub async fn accept(&self) -> Result<(), StoreFault> {
        self.execute(&self.sql().accept, &[]).await.map(drop)
    }

    /// Begins another epoch, as after a restore of an older copy: nobody has accepted it yet.
    ///
    /// # Errors
    /// It cannot be written down.
    pub async fn begin_epoch(&self) -> Result<Origin, StoreFault> {
        self.execute(&self.sql().begin_epoch, &[]).await?;
        self.origin().await
    }

    /// The part of [`PostgresOptions::most_bytes`] that is used, 0 to 1; 0 where nothing bounds it.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn room_used(&self) -> Result<f64, StoreFault> {
        let Some(most) = self.lanes.backend().0.options.most_bytes else {
            return Ok(0.0);
        };
        let rows = self.query(&self.sql().held, &[]).await?;
        let held = rows.first().map_or(0, |row| epoch::number(row, 0));
        Ok((held as f64 / most.max(1) as f64).min(1.0))
    }

    /// What it holds, and how far behind it is with what it has to do. An answer within a second, in no lane's way.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn figures(&self) -> Result<Figures, StoreFault> {
        let decider = &self.lanes.backend().0;
        let connection = Connection::of(&decider.lines.pool).await?;
        let limits = &decider.options.limits;
        let seen = figures::figures(connection.client()?, &decider.sql, limits).await;
        let seen = seen.map_err(|error| fault(&error))?;
        connection.done();
        Ok(seen)
    }

    /// Closes its connections; what is asked afterwards is [`Unavailable`](StoreFault::Unavailable).
    pub fn close(&self) {
        self.lanes.backend().0.lines.pool.close();
    }

    async fn origin(&self) -> Result<Origin, StoreFault> {
        let rows = self.query(&self.sql().origin, &[]).await?;
        epoch::read(&rows).ok_or_else(|| StoreFault::unavailable("the database has no epoch any more"))
    }

    fn sql(&self) -> &Statements {
        &self.lanes.backend().0.sql
    }

    async fn query(&self, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, StoreFault> {
        let Decider { lines, begin, .. } = &*self.lanes.backend().0;
        let connection = Connection::of(&lines.pool).await?;
        let rows = begin.query(connection.client()?, sql, params).await;
        let rows = rows.map_err(|error| fault(&error))?;
        connection.done();
        Ok(rows)
    }

    async fn execute(&self, sql: &str, params: &Params<'_>) -> Result<u64, StoreFault> {
        let Decider { lines, begin, .. } = &*self.lanes.backend().0;
        let connection = Connection::of(&lines.pool).await?;
        let changed = begin.execute(connection.client()?, sql, params).await;
        let changed = changed.map_err(|error| fault(&error))?;
        connection.done();
        Ok(changed)
    }
}

#[async_trait]
impl Backend for Writer {
    async fn run(&self, batch: &Arc<Batch>) -> Ended {
        self.0.run(batch).await
    }

    async fn was_committed(&self, ticket: &Ticket) -> Result<bool, StoreFault> {
        self.0.was_committed(ticket).await
    }

    async fn ping(&self) -> Result<(), StoreFault> {
        let connection = Connection::of(&self.0.lines.pool).await?;
        let pinged = connection.client()?.batch_execute("SELECT 1").await;
        pinged.map_err(|error| fault(&error))?;
        connection.done();
        Ok(())
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer {
        self.lanes.apply(changeset, within).await
    }

    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        let (now, after) = (signed(now.as_millis()), after.map_or("", ServiceId::as_str));
        let most = limit(most);
        let params: &Params<'_> = &[(&now, Type::INT8), (&after, Type::TEXT), (&most, Type::INT8)];
        let rows = self.query(&self.sql().services, params).await?;
        let named = rows.iter().map(|row| ServiceId::new(row.get(0)));
        named
            .collect::<Result<_, _>>()
            .map_err(|error| StoreFault::corrupt(&error.to_string()))
    }

    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        let (service, now, most) = (service.as_str(), signed(now.as_millis()), limit(most));
        let params: &Params<'_> = &[(&service, Type::TEXT), (&now, Type::INT8), (&most, Type::INT8)];
        Ok(records::known(&self.query(&self.sql().due, params).await?))
    }

    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        let (service, key, at) = (service.as_str(), record.to_bytes(), signed(now.as_millis()));
        let key = key.as_slice();
        let found: &Params<'_> = &[(&service, Type::TEXT), (&key, Type::BYTEA), (&at, Type::INT8)];
        let rows = self.query(&self.sql().find_due, found).await?;
        if let Some(row) = rows.first() {
            let times: i32 = row.get(0);
            let until = signed((now + put_off_for(times.unsigned_abs())).as_millis());
            let params: &Params<'_> = &[
                (&service, Type::TEXT),
                (&key, Type::BYTEA),
                (&at, Type::INT8),
                (&until, Type::INT8),
                (&times, Type::INT4),
            ];
            self.execute(&self.sql().put_off, params).await?;
        }
        Ok(())
    }

    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        let (service, most) = (service.as_str(), limit(most));
        let params: &Params<'_> = &[(&service, Type::TEXT), (&most, Type::INT8)];
        outbox::read(&self.query(&self.sql().outbox, params).await?)
    }

    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        let (service, through) = (service.as_str(), signed(through.0));
        let params: &Params<'_> = &[(&service, Type::TEXT), (&through, Type::INT8)];
        self.execute(&self.sql().acknowledge, params).await.map(drop)
    }

    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        let work = i16::from(work.tag());
        let (service, holder) = (service.as_str(), holder.as_bytes().as_slice());
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let params: &Params<'_> = &[
            (&work, Type::INT2),
            (&service, Type::TEXT),
            (&holder, Type::BYTEA),
            (&span, Type::INT8),
        ];
        Ok(self.execute(&self.sql().lease, params).await? > 0)
    }

    async fn drop_outlived(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, StoreFault> {
        let decider = &self.lanes.backend().0;
        let connection = Connection::of(&decider.lines.pool).await?;
        let client = connection.client()?;
        let piece = async {
            let (begin, service) = (&decider.begin, service.as_str());
            let outlived = housekeeping::outlived(now, client, begin, self.sql()).await?;
            // Each kind is asked for: three entries at most go for one.
            let most = limit(most.min(DROPPED_AT_ONCE) / 3);
            let dropped = housekeeping::piece(client, self.sql(), begin, service, outlived, most).await?;
            housekeeping::drop_processes(client, begin, self.sql(), outlived).await?;
            Ok(dropped)
        };
        let dropped = piece.await.map_err(|error| fault(&error))?;
        connection.done();
        Ok(usize::try_from(dropped).unwrap_or(usize::MAX))
    }

    async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
        let rows = self.query(&self.sql().durable, &[]).await?;
        Ok(rows.iter().filter_map(records::counted).collect())
    }

    async fn durable_under<'a>(
        &self,
        under: WrittenUnder,
        after: Option<&'a (ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        let (service, key) = match after {
            Some((service, key)) => (Some(service.as_str()), key.to_bytes().to_vec()),
            None => (None, Vec::new()),
        };
        let (fingerprint, most) = (i16::from(under.fingerprint.get()), limit(most));
        let seal = under.seal.map(KeyId::get).map(i16::from);
        let params: &Params<'_> = &[
            (&service, Type::TEXT),
            (&key, Type::BYTEA),
            (&fingerprint, Type::INT2),
            (&seal, Type::INT2),
            (&most, Type::INT8),
        ];
        let rows = self.query(&self.sql().durable_under, params).await?;
        Ok(rows.iter().filter_map(records::place).collect())
    }

    /// Where nobody decides anything, this sees whether another server took over.
    async fn health(&self) -> Result<Origin, StoreFault> {
        let rows = self.query(&self.sql().origin, &[]).await?;
        if epoch::read(&rows).is_some() && !epoch::is_settled(&rows) {
            let cools = self.lanes.backend().0.options.on_failover == OnFailover::Cool;
            self.execute(&self.sql().held_here, &[(&cools, Type::BOOL)])
                .await?;
        }
        self.origin().await
    }
}

/// A bound that the server takes.
fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("options", &self.lanes.backend().0.options)
            .finish_non_exhaustive()
    }
}
