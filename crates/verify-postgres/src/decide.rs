//! One transaction of a batch: lock, load, decide, write, commit; two trips.

use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use parking_lot::Mutex;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};
use verify_batch::{Batch, Ended, Fill, Lane, Ticket};
use verify_core::store::StoreFault;

use crate::connect::Connection;
use crate::epoch::number;
use crate::errors::{aborted, fault, is_about_a_row, is_worth_another_try, words};
use crate::housekeeping;
use crate::load::{Loaded, load};
use crate::options::{Durability, PostgresOptions};
use crate::statements::Statements;
use crate::write::{Failed, Mark, write_and_commit};

/// So often a transaction that the server broke off is begun.
const TRIES: u32 = 3;
/// From this part on what is left is for known callers.
const STRANGERS_PERCENT: u64 = 90;
/// Outlived entries that go before something new is refused for want of room.
const DROPPED_FOR_ROOM: i64 = 1_024;
/// How long what was read of the room is good for while there is enough.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// What a database is decided with.
#[derive(Debug)]
pub(crate) struct Decider {
    pub(crate) pool: Pool,
    pub(crate) sql: Statements,
    pub(crate) options: PostgresOptions,
    /// By which this process knows its batches.
    pub(crate) process: Vec<u8>,
    pub(crate) begin: String,
    /// When enough room was last seen, of nine tenths that are for everybody.
    roomy: Mutex<Option<Instant>>,
}

/// Why a try ended.
enum Broken {
    /// Surely nothing of it is there, and the same may succeed a moment later.
    Again(Error),
    Ended(Ended),
}

impl Decider {
    pub(crate) fn new(pool: Pool, process: Vec<u8>, options: PostgresOptions) -> Self {
        let millis = options.statement.as_millis();
        let mut begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {millis}; SET LOCAL statement_timeout = {millis}; SET LOCAL idle_in_transaction_session_timeout = {millis}"
        );
        if options.durability == Durability::Process {
            begin.push_str("; SET LOCAL synchronous_commit = off");
        }
        Self {
            pool,
            sql: Statements::on(&options.schema),
            options,
            process,
            begin,
            roomy: Mutex::new(None),
        }
    }

    /// Runs a batch.
    pub(crate) async fn run(&self, batch: &Batch) -> Ended {
        // Services have a lane each, and take turns.
        let [lane] = batch.lanes() else {
            return Ended::NotApplied(StoreFault::defect("a batch of several services"));
        };
        let mut tries = 1;
        loop {
            match self.once(batch, lane).await {
                Ok(()) => return Ended::Committed,
                Err(Broken::Again(_)) if tries < TRIES => tries += 1,
                Err(Broken::Again(error)) => return Ended::NotApplied(fault(&error)),
                Err(Broken::Ended(ended)) => return ended,
            }
        }
    }

    async fn once(&self, batch: &Batch, lane: &Lane) -> Result<(), Broken> {
        let not_applied = |fault| Broken::Ended(Ended::NotApplied(fault));
        let fill = self.fill(batch).await.map_err(not_applied)?;
        let connection = Connection::of(&self.pool).await.map_err(not_applied)?;
        let client = connection.client().map_err(not_applied)?;
        let begun = load(client, &self.sql, &self.begin, lane, fill).await;
        let (loaded, made) = match begun {
            Ok(begun) => begun,
            Err(error) => return Err(self.roll_back(connection, error).await),
        };
        let Loaded { lane, found, sizes } = loaded;
        let at = found.origin().clock;
        let decided = batch.decide(vec![found]).unwrap_or_default();
        if !decided.is_empty() && lane.is_none() {
            // It was made just now, and is not there: nothing can be written, and nothing is.
            return Err(not_applied(StoreFault::defect("a service's lane is missing")));
        }
        let Some((decided, lane)) = decided.first().zip(lane) else {
            let end = if made { "COMMIT" } else { "ROLLBACK" };
            client
                .batch_execute(end)
                .await
                .map_err(|error| not_applied(fault(&error)))?;
            connection.done();
            return Ok(());
        };
        let mark = Mark {
            process: &self.process,
            number: batch.number(),
            at,
            outlived: batch.at().min(at),
        };
        match write_and_commit(client, &self.sql, lane, decided, &sizes, mark).await {
            Ok(()) => {
                connection.done();
                Ok(())
            }
            Err(Failed::Before(error)) if error.as_db_error().is_some() => {
                // The commit that followed rolled back.
                if aborted(&error) {
                    connection.done();
                }
                Err(refused(error))
            }
            // What was on its way may have arrived, and the commit with it.
            Err(Failed::Before(error)) => Err(Broken::Ended(Ended::Lost(words(&error)))),
            Err(Failed::AtCommit(error)) if aborted(&error) => {
                connection.done();
                Err(refused(error))
            }
            Err(Failed::AtCommit(error)) => Err(Broken::Ended(Ended::Lost(words(&error)))),
        }
    }

    async fn roll_back(&self, connection: Connection, error: Error) -> Broken {
        let rolled_back = match connection.client() {
            Ok(client) if aborted(&error) => client.batch_execute("ROLLBACK").await.is_ok(),
            Ok(_) | Err(_) => false,
        };
        if rolled_back {
            connection.done();
        }
        refused(error)
    }

    /// How much room is left, of what these tables may hold.
    async fn fill(&self, batch: &Batch) -> Result<Fill, StoreFault> {
        let Some(most) = self.options.most_bytes else {
            return Ok(Fill::Free);
        };
        let is_roomy = *self.roomy.lock();
        if is_roomy.is_some_and(|seen| seen.elapsed() < LOOKED_AT_EVERY) {
            return Ok(Fill::Free);
        }
        let connection = Connection::of(&self.pool).await?;
        let client = connection.client()?;
        let mut held = self.held(client).await.map_err(|error| fault(&error))?;
        if held >= most / 100 * STRANGERS_PERCENT {
            let outlived = housekeeping::outlived(batch.at(), client, &self.sql).await;
            let outlived = outlived.map_err(|error| fault(&error))?;
            let mut dropped = 0;
            for lane in batch.lanes() {
                let service = lane.service.as_str();
                let piece = housekeeping::piece(
                    client,
                    &self.sql,
                    &self.begin,
                    service,
                    outlived,
                    DROPPED_FOR_ROOM,
                );
                dropped += piece.await.map_err(|error| fault(&error))?;
            }
            if dropped > 0 {
                held = self.held(client).await.map_err(|error| fault(&error))?;
            }
        }
        connection.done();
        // Half of it is far from its end: a second cannot fill what is left.
        *self.roomy.lock() = (held < most / 2 && most > 64 << 20).then(Instant::now);
        Ok(if held >= most {
            Fill::Full
        } else if held >= most / 100 * STRANGERS_PERCENT {
            Fill::ForKnown
        } else {
            Fill::Free
        })
    }

    async fn held(&self, client: &Client) -> Result<u64, Error> {
        let rows = client.query_typed(&self.sql.held, &[]).await?;
        Ok(rows.first().map_or(0, |row| number(row, 0)))
    }

    /// Whether the last batch of this process that is there is that one, or a later one.
    pub(crate) async fn was_committed(&self, ticket: &Ticket) -> Result<bool, StoreFault> {
        let connection = Connection::of(&self.pool).await?;
        let client = connection.client()?;
        let known = self
            .under_lock(client, ticket)
            .await
            .map_err(|error| fault(&error))?;
        connection.done();
        Ok(known)
    }

    async fn under_lock(&self, client: &Client, ticket: &Ticket) -> Result<bool, Error> {
        client.batch_execute(&self.begin).await?;
        let mut known = true;
        for service in &ticket.services {
            let service = service.as_str();
            // Where it is being made by what was lost, this waits for the end of that.
            client
                .execute_typed(&self.sql.make_lane, &[(&service, Type::TEXT)])
                .await?;
            client
                .query_typed(&self.sql.lock, &[(&service, Type::TEXT)])
                .await?;
            let rows = client
                .query_typed(
                    &self.sql.number,
                    &[(&service, Type::TEXT), (&self.process, Type::BYTEA)],
                )
                .await?;
            known &= rows.first().is_some_and(|row| number(row, 0) >= ticket.number);
        }
        client.batch_execute("ROLLBACK").await?;
        Ok(known)
    }
}

/// What an error means that came before the commit: surely nothing was applied.
fn refused(error: Error) -> Broken {
    if is_worth_another_try(&error) {
        Broken::Again(error)
    } else if is_about_a_row(&error) {
        Broken::Ended(Ended::OneIsRefused(words(&error)))
    } else {
        Broken::Ended(Ended::NotApplied(fault(&error)))
    }
}
