//! The store itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, params};
use verify_batch::{Backend, Batch, Ended, Figures, Lanes, Ticket};
use verify_core::event::Event;
use verify_core::ids::HolderId;
use verify_core::port::Detail;
use verify_core::store::{
    Changeset, EventSeq, Origin, RecordKey, Store, StoreAnswer, StoreFault, Work, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::decide::Decider;
use crate::epoch;
use crate::errors::OpenError;
use crate::figures;
use crate::file::{self, Opened};
use crate::housekeeping;
use crate::log::Log;
use crate::options::SqliteOptions;
use crate::outbox;
use crate::records;
use crate::room::{self, Disk, Space};
use crate::worker::{Gone, Then, Worker};

/// Outlived entries that go at once at most: a few milliseconds, for which everybody waits.
const DROPPED_AT_ONCE: usize = 256;

/// A store in one SQLite file. Clones are the same store.
///
/// - *Durable* as [`SqliteOptions::durability`] says. A sync that fails answers
///   [`Unknown`](StoreAnswer::Unknown), and the file is opened anew.
/// - *Bounded* by the disk, and by [`SqliteOptions::most_bytes`]: from nine tenths on what strangers begin is
///   [`Full`](StoreFault::Full); what is there can be changed and removed.
/// - *Its clock* is the machine's.
#[derive(Clone)]
pub struct SqliteStore {
    lanes: Lanes<Writer>,
    reader: Worker,
    pub(crate) log: Worker,
    options: Arc<SqliteOptions>,
}

/// The one thread that writes.
struct Writer {
    worker: Worker,
    decider: Arc<Mutex<Decider>>,
}

impl SqliteStore {
    /// Opens a file, makes it where there is none, and brings it to this program's schema.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let Opened {
            mut connection,
            files,
            ..
        } = file::open(&options, file::BEGINNING)?;
        let sqlite = |error| OpenError::of(&options.path, error);
        let io = |error| OpenError::File {
            path: options.path.clone(),
            error,
        };
        let expected_new = options.remembered.is_none();
        let process = connection
            .query_row("SELECT randomblob(16)", (), |row| row.get(0))
            .map_err(sqlite)?;
        epoch::origin_alone(&mut connection, expected_new).map_err(sqlite)?;
        connection.busy_timeout(options.busy).map_err(sqlite)?;
        let reading = file::connect(&options).map_err(sqlite)?;
        let start = |name, connection, on_replaced| {
            Worker::start(name, connection, files, options.clone(), on_replaced).map_err(io)
        };
        let reader = start("verify-read", reading, |_| Ok(()))?;
        let log = file::connect(&options).map_err(sqlite)?;
        let log = start("verify-log", log, |_| Ok(()))?;
        let worker = start("verify-write", connection, epoch::replaced)?;
        let limits = options.limits.clone();
        let shared = Arc::new(options.clone());
        let decider = Decider {
            options,
            process,
            disk: Disk::default(),
            log: Log::of(log.clone()),
            unsynced: None,
            has_written: false,
        };
        let writer = Writer {
            worker,
            decider: Arc::new(Mutex::new(decider)),
        };
        Ok(Self {
            lanes: Lanes::new(writer, limits),
            reader,
            log,
            options: shared,
        })
    }

    /// Ends the wait that a file which lost data imposes: whatever may have been lost, this is what there is.
    ///
    /// # Errors
    /// It cannot be written down.
    pub async fn accept(&self) -> Result<(), StoreFault> {
        self.writes(|connection| epoch::accept(connection)).await
    }

    /// Begins another epoch, as after a restore of an older copy: nobody has accepted it yet.
    ///
    /// # Errors
    /// It cannot be written down.
    pub async fn begin_epoch(&self) -> Result<Origin, StoreFault> {
        self.writes(|connection| epoch::begin(connection, false)).await
    }

    /// Closes the file, after all that was asked of it before: the last process that does leaves one file with everything in it,
    /// and no log beside it. What is asked afterwards is [`Unavailable`](StoreFault::Unavailable).
    pub async fn close(&self) {
        self.reader.close().await;
        self.log.close().await;
        self.lanes.backend().worker.close().await;
    }

    /// How full the file or its disk is.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn space(&self) -> Result<Space, StoreFault> {
        let options = Arc::clone(&self.options);
        self.reader
            .asks(move |connection| room::space(connection, &options))
            .await
    }

    /// What it holds, and how far behind it is with what it has to do.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn figures(&self) -> Result<Figures, StoreFault> {
        let options = Arc::clone(&self.options);
        self.reader
            .asks(move |connection| figures::figures(connection, &options))
            .await
    }

    async fn writes<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        self.lanes.backend().worker.asks(job).await
    }
}

#[async_trait]
impl Backend for Writer {
    async fn run(&self, batch: &Arc<Batch>) -> Ended {
        let (batch, decider) = (Arc::clone(batch), Arc::clone(&self.decider));
        let ran = self.worker.has(move |connection| {
            let ended = decider.lock().run(connection, &batch);
            let then = match ended {
                Ended::Lost(_) => Then::Reopen,
                Ended::Committed | Ended::NotApplied(_) | Ended::Unreached(_) | Ended::OneIsRefused(_) => {
                    Then::Keep
                }
            };
            (ended, then)
        });
        match ran.await {
            Ok(Ok(ended)) => ended,
            Ok(Err(fault)) => Ended::NotApplied(fault),
            Err(Gone) => Ended::Lost(Detail::new(None, "the thread that decides ended")),
        }
    }

    async fn was_committed(&self, ticket: &Ticket) -> Result<bool, StoreFault> {
        let (ticket, decider) = (ticket.clone(), Arc::clone(&self.decider));
        let known = self
            .worker
            .asks(move |connection| decider.lock().was_committed(connection, &ticket))
            .await?;
        known.ok_or_else(|| StoreFault::unavailable("the file does not tell what became of it for good"))
    }

    async fn ping(&self) -> Result<(), StoreFault> {
        self.worker
            .asks(|connection| connection.query_row("SELECT 1", (), |_| Ok(())))
            .await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer {
        self.lanes.apply(changeset, within).await
    }

    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let named = self
            .reader
            .asks(move |connection| records::services(connection, now, &after, most))
            .await?;
        let known = named.iter().map(|name| ServiceId::new(name));
        known
            .collect::<Result<_, _>>()
            .map_err(|error| StoreFault::corrupt(&error.to_string()))
    }

    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        let service = service.clone();
        self.reader
            .asks(move |connection| records::due(connection, service.as_str(), now, most))
            .await
    }

    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        let (service, record) = (service.clone(), *record);
        self.writes(move |connection| records::put_off(connection, service.as_str(), &record, now))
            .await
    }

    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        let service = service.clone();
        let events = self
            .reader
            .asks(move |connection| outbox::oldest(connection, service.as_str(), most))
            .await?;
        outbox::read(events)
    }

    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        let service = service.clone();
        self.writes(move |connection| outbox::acknowledge(connection, service.as_str(), through.0))
            .await
    }

    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        let service = service.clone();
        self.writes(move |connection| {
            let now = epoch::clock();
            let lent = connection
                .prepare_cached(
                    "INSERT INTO lease VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET holder = excluded.holder, until = excluded.until
                     WHERE holder = excluded.holder OR until <= ?5",
                )?
                .execute(params![
                    work.tag(),
                    service.as_str(),
                    holder.as_bytes(),
                    (now + span).as_millis(),
                    now.as_millis()
                ])?;
            Ok(lent > 0)
        })
        .await
    }

    async fn drop_outlived(
        &self,
        _service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, StoreFault> {
        self.writes(move |connection| {
            // One of the two clocks may be ahead.
            let at = now.min(epoch::clock());
            housekeeping::piece(connection, at, most.min(DROPPED_AT_ONCE))
        })
        .await
    }

    async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
        self.reader.asks(|connection| records::durable(connection)).await
    }

    async fn durable_under<'a>(
        &self,
        under: WrittenUnder,
        after: Option<&'a (ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        let after = after.cloned();
        self.reader
            .asks(move |connection| records::durable_under(connection, under, after.as_ref(), most))
            .await
    }

    async fn health(&self) -> Result<Origin, StoreFault> {
        self.lanes.backend().ping().await?;
        let origin = self.reader.asks(|connection| epoch::read(connection)).await?;
        origin.ok_or_else(|| StoreFault::unavailable("the file has no epoch any more"))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.options.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify_core::limit::Rule;
    use verify_core::store::{Charge, CounterKey, Mode, Room};

    /// As a process that asks what became of a batch.
    async fn asked(store: &SqliteStore, number: u64) -> Option<bool> {
        let services = vec![ServiceId::default()];
        let ticket = Ticket { number, services };
        store.lanes.backend().was_committed(&ticket).await.ok()
    }

    fn charging(at: Timestamp) -> Changeset {
        let mut changeset = Changeset::new(ServiceId::default(), at, Room::Stranger);
        changeset.charges.push(Charge {
            key: CounterKey {
                scope: 1,
                print: verify_core::keys::Print::from_bytes([1; 16]),
            },
            rule: Rule::Window {
                max: 9,
                per: Duration::from_secs(60),
            },
            cost: 1,
            mode: Mode::Charge,
            when_live: Vec::new(),
        });
        changeset
    }

    fn number_is_dropped(path: &std::path::Path, at: Option<Timestamp>) {
        let other = Connection::open(path).unwrap();
        match at {
            None => other.execute("DELETE FROM batch", ()).unwrap(),
            Some(at) => other
                .execute("UPDATE batch SET at = ?1", [at.as_millis()])
                .unwrap(),
        };
    }

    /// "Not there" means "no" only to a process that never wrote: whoever jumps ahead drops numbers.
    #[tokio::test]
    async fn i146_a_number_that_is_gone_is_no_answer() {
        let path = std::env::temp_dir().join(format!("verify-sqlite-numbers-{}.db", std::process::id()));
        std::fs::remove_file(&path).ok();
        let store = SqliteStore::open(SqliteOptions::at(&path)).unwrap();
        let within = Duration::from_secs(5);
        assert_eq!(asked(&store, 1).await, Some(false), "nothing was written yet");
        let now = epoch::clock();
        store.apply(&charging(now), within).await.seen().unwrap();
        assert_eq!(
            (asked(&store, 1).await, asked(&store, 2).await),
            (Some(true), Some(false))
        );
        // An engine's clock jumps ahead, and the file's does not.
        let month = Duration::from_secs(30 * 86_400);
        store
            .drop_outlived(&ServiceId::default(), now + month, 100)
            .await
            .unwrap();
        assert_eq!(asked(&store, 1).await, Some(true));
        // The file's clock was ahead of everybody's when it was dropped, or it was written under one that was behind.
        number_is_dropped(&path, Some(now - month));
        store
            .drop_outlived(&ServiceId::default(), now - month, 100)
            .await
            .unwrap();
        assert_eq!(
            asked(&store, 1).await,
            Some(true),
            "the engine's clock is the earlier one"
        );
        number_is_dropped(&path, None);
        assert_eq!(asked(&store, 1).await, None, "it was there");
        store.close().await;
        std::fs::remove_file(&path).unwrap();
    }
}
