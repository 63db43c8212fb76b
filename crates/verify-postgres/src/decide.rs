//! One transaction of a batch: lock, load, decide, write, commit; two trips.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};
use verify_batch::{Batch, Ended, Fill, Lane, Ticket};
use verify_core::port::Detail;
use verify_core::store::StoreFault;
use verify_core::vocabulary::ServiceId;

use crate::connect::{Connection, Lines};
use crate::epoch::number;
use crate::errors::{aborted, fault, is_about_a_row, is_about_a_statement, is_worth_another_try, words};
use crate::housekeeping;
use crate::load::{Loaded, NotLoaded, load};
use crate::options::PostgresOptions;
use crate::prepared::Asked;
use crate::statements::Statements;
use crate::transaction::Begin;
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
    pub(crate) lines: Lines,
    pub(crate) sql: Statements,
    pub(crate) options: PostgresOptions,
    /// By which this process knows its batches.
    pub(crate) process: Vec<u8>,
    pub(crate) begin: Begin,
    /// When enough room was last seen, of nine tenths that are for everybody.
    roomy: Mutex<Option<Instant>>,
    /// Lanes in which a batch of this process was seen to be committed: its number must be there then.
    written: Mutex<HashSet<ServiceId>>,
}

/// Why a try ended.
enum Broken {
    /// Surely nothing of it is there, and the same may succeed a moment later.
    Again(Error),
    /// The same: what was prepared is not where the transaction was, and is used no more.
    Elsewhere,
    Ended(Ended),
}

impl Decider {
    pub(crate) fn new(
        lines: Lines,
        process: Vec<u8>,
        (begin, sql): (Begin, Statements),
        options: PostgresOptions,
    ) -> Self {
        Self {
            lines,
            sql,
            options,
            process,
            begin,
            roomy: Mutex::new(None),
            written: Mutex::default(),
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
                // Once for each of those that are under way: from then on nothing is prepared.
                Err(Broken::Elsewhere) => {}
                Err(Broken::Again(_)) if tries < TRIES => tries += 1,
                Err(Broken::Again(error)) => return Ended::NotApplied(fault(&error)),
                Err(Broken::Ended(ended)) => return ended,
            }
        }
    }

    async fn once(&self, batch: &Batch, lane: &Lane) -> Result<(), Broken> {
        let not_applied = |fault| Broken::Ended(Ended::NotApplied(fault));
        let connection = Connection::of(&self.lines.pool).await;
        let connection = connection.map_err(|none| Broken::Ended(none.into()))?;
        let client = connection.client().map_err(not_applied)?;
        let prepared = self.lines.prepared.of(client, &self.sql).await;
        // Nothing was begun.
        let prepared = prepared.map_err(Broken::Again)?;
        let asked = Asked {
            client,
            lines: &self.lines,
            prepared: prepared.as_deref(),
        };
        let (loaded, settled) = match self.begin(asked, batch, lane).await {
            Ok(begun) => begun,
            Err(why) => return Err(self.roll_back(connection, why).await),
        };
        let Loaded { lane, found, sizes } = loaded;
        let at = found.origin().clock;
        let decided = batch.decide(vec![found]).unwrap_or_default();
        if !decided.is_empty() && lane.is_none() {
            // It was made just now, and is not there: nothing can be written, and nothing is.
            return Err(not_applied(StoreFault::defect("a service's lane is missing")));
        }
        let Some((decided, lane)) = decided.first().zip(lane) else {
            let end = if settled { "COMMIT" } else { "ROLLBACK" };
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
        let before = self.lines.broken_off.so_far();
        let wrote = write_and_commit(asked, &self.sql, lane, decided, &sizes, mark).await;
        let is_over = match &wrote {
            Ok(()) => true,
            // The commit that followed rolled back.
            Err(Failed::Before(error) | Failed::AtCommit(error)) => aborted(error),
        };
        if is_over {
            connection.done();
        }
        if wrote.is_ok() {
            self.has_written(&decided.service);
        }
        match wrote {
            Ok(()) if self.lines.broken_off.so_far() == before => Ok(()),
            Ok(()) => Err(Broken::Ended(Ended::Lost(not_waited_for()))),
            Err(Failed::Before(error)) if error.as_db_error().is_some() => Err(refused(error)),
            Err(Failed::AtCommit(error)) if aborted(&error) => Err(refused(error)),
            // What was on its way may have arrived, and the commit with it.
            Err(Failed::Before(error) | Failed::AtCommit(error)) => {
                Err(Broken::Ended(Ended::Lost(words(&error))))
            }
        }
    }

    fn has_written(&self, service: &ServiceId) {
        let mut written = self.written.lock();
        if !written.contains(service) {
            written.insert(service.clone());
        }
    }

    async fn begin(&self, asked: Asked<'_>, batch: &Batch, lane: &Lane) -> Result<(Loaded, bool), NotLoaded> {
        let fill = self.fill(batch, asked.client).await?;
        let given = (fill, self.options.on_failover);
        let begin = match asked.prepared {
            Some(_) => &self.begin.direct,
            None => &self.begin.batch,
        };
        match load(asked, &self.sql, begin, lane, given).await {
            Err(NotLoaded::Error(error)) if asked.prepared.is_some() && is_about_a_statement(&error) => {
                Err(NotLoaded::Elsewhere)
            }
            other => other,
        }
    }

    async fn roll_back(&self, connection: Connection, why: NotLoaded) -> Broken {
        let may_go_on = match &why {
            NotLoaded::Elsewhere => true,
            NotLoaded::Error(error) => aborted(error),
        };
        if let Ok(client) = connection.client() {
            let is_over = may_go_on && client.batch_execute("ROLLBACK").await.is_ok();
            match why {
                // Closed: what is prepared there ends with it, and not in a process that is somebody else's by now.
                NotLoaded::Elsewhere => self.lines.prepared.give_up(),
                NotLoaded::Error(_) if is_over => connection.done(),
                NotLoaded::Error(_) => {}
            }
        }
        match why {
            NotLoaded::Elsewhere => Broken::Elsewhere,
            NotLoaded::Error(error) => refused(error),
        }
    }

    /// How much room is left, of what these tables may hold.
    async fn fill(&self, batch: &Batch, client: &Client) -> Result<Fill, Error> {
        let Some(most) = self.options.most_bytes else {
            return Ok(Fill::Free);
        };
        let is_roomy = *self.roomy.lock();
        if is_roomy.is_some_and(|seen| seen.elapsed() < LOOKED_AT_EVERY) {
            return Ok(Fill::Free);
        }
        let (begin, sql) = (&self.begin, &self.sql);
        let mut held = self.held(client).await?;
        if held >= most / 100 * STRANGERS_PERCENT {
            let outlived = housekeeping::outlived(batch.at(), client, begin, sql).await?;
            let mut dropped = 0;
            for lane in batch.lanes() {
                let service = lane.service.as_str();
                dropped +=
                    housekeeping::piece(client, sql, begin, service, outlived, DROPPED_FOR_ROOM).await?;
            }
            if dropped > 0 {
                held = self.held(client).await?;
            }
        }
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
        let rows = self.begin.query(client, &self.sql.held, &[]).await?;
        Ok(rows.first().map_or(0, |row| number(row, 0)))
    }

    /// Whether the last batch of this process that is there is that one, or a later one. "Yes" is committed before it is said:
    /// where the server waits for a copy, what was committed before is there too.
    pub(crate) async fn was_committed(&self, ticket: &Ticket) -> Result<bool, StoreFault> {
        let connection = Connection::of(&self.lines.pool).await?;
        let client = connection.client()?;
        let before = self.lines.broken_off.so_far();
        let known = self
            .under_lock(client, ticket)
            .await
            .map_err(|error| fault(&error))?;
        connection.done();
        match known {
            Some(true) if self.lines.broken_off.so_far() != before => {
                Err(StoreFault::Unavailable(not_waited_for()))
            }
            Some(known) => Ok(known),
            None => Err(StoreFault::unavailable(
                "the number of this process's last batch is gone",
            )),
        }
    }

    /// `None`: the number is gone that was there before.
    async fn under_lock(&self, client: &Client, ticket: &Ticket) -> Result<Option<bool>, Error> {
        client.batch_execute(&self.begin.batch).await?;
        let mut known = Some(true);
        for id in &ticket.services {
            let service = id.as_str();
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
            let there = match rows.first() {
                Some(row) => {
                    self.has_written(id);
                    Some(number(row, 0) >= ticket.number)
                }
                None => (!self.written.lock().contains(id)).then_some(false),
            };
            known = known.zip(there).map(|(known, there)| known && there);
        }
        let end = if known == Some(true) { "COMMIT" } else { "ROLLBACK" };
        client.batch_execute(end).await?;
        Ok(known)
    }
}

/// What is there, and may not be where the server's copy takes over.
fn not_waited_for() -> Detail {
    Detail::new(
        None,
        "the server committed, and its wait for a copy was broken off",
    )
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
