//! Processes that decide in transactions on one server, step by step, and what one of them can do wrong there: for tests of
//! the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Lane, OwnedMutexGuard, oneshot};
use tokio::task::yield_now;
use verify_core::port::Detail;
use verify_core::store::{Changeset, ClaimKey, Loaded, RecordKey, StoreAnswer, StoreFault, Write, Written};
use verify_core::vocabulary::ServiceId;
use verify_testkit::{ModelState, ModelStore, store_around};

/// What a process does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misstep {
    /// Commits, and writes afterwards.
    CommitsBeforeItWrites,
    /// Locks nothing.
    LeavesTheLaneUnlocked,
    /// Locks and reads in one statement, which sees what was there before it waited.
    ReadsBeforeItWaits,
    /// Decides on what it remembers of its own last transaction.
    DecidesOnAStaleRead,
    /// Does again what may have happened, and answers what came of that.
    RetriesWhatIsInDoubt,
    /// Answers refusals when they are decided: what they speak of may never come to be.
    AnswersRefusalsAtOnce,
    /// Asks without the lock what became of a commit, and takes "not there" for "will not be".
    TakesNotFoundForNotApplied,
    /// Runs a batch in the future of the one whose turn it is, and with it ends what others wait for.
    RunsInTheCallersFuture,
    /// Deletes what was outlived when it made its list.
    DropsByAnOldList,
}

/// A store of two processes that ask one server in turns. Between any two steps others have theirs.
///
/// Commits go wrong at a steady rate where [`with_faults`](Self::with_faults) says so: they fail, their answer is lost, or they come
/// about after that.
pub struct Transactions {
    inner: ModelStore,
    server: Arc<Server>,
    processes: [Arc<Process>; 2],
    next: AtomicUsize,
}

struct Server {
    misstep: Option<Misstep>,
    has_faults: bool,
    rows: ModelStore,
    /// One for all services: the simplest that is right.
    lane: Arc<Lane<()>>,
    committed: Mutex<BTreeSet<u64>>,
    transactions: AtomicU64,
    doubts: AtomicU64,
}

struct Process {
    server: Arc<Server>,
    queue: Mutex<Queue>,
    remembered: Mutex<Option<ModelState>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    is_running: bool,
}

struct Waiting {
    changeset: Changeset,
    answer: Option<oneshot::Sender<StoreAnswer>>,
}

/// What became of a commit.
enum Committed {
    Yes,
    No,
    /// Its answer was lost.
    InDoubt(u64),
}

impl Transactions {
    /// Sound ones, or with a misstep.
    pub fn new(misstep: Option<Misstep>) -> Self {
        Self::of(misstep, false)
    }

    /// The same over connections that break.
    pub fn with_faults(misstep: Option<Misstep>) -> Self {
        Self::of(misstep, true)
    }

    fn of(misstep: Option<Misstep>, has_faults: bool) -> Self {
        let rows = ModelStore::new();
        let server = Arc::new(Server {
            misstep,
            has_faults,
            rows: rows.clone(),
            lane: Arc::default(),
            committed: Mutex::default(),
            transactions: AtomicU64::new(0),
            doubts: AtomicU64::new(0),
        });
        let process = || {
            Arc::new(Process {
                server: Arc::clone(&server),
                queue: Mutex::default(),
                remembered: Mutex::default(),
            })
        };
        Self {
            inner: rows,
            processes: [process(), process()],
            server,
            next: AtomicUsize::new(0),
        }
    }

    fn process(&self) -> &Arc<Process> {
        let [one, other] = &self.processes;
        match self.next.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => one,
            _ => other,
        }
    }
}

store_around! {
    plain Transactions,
    apply(this, changeset, _within) {
        this.process().apply(changeset).await
    },
    drop_outlived(this, service, now, most) {
        match this.server.misstep {
            Some(Misstep::DropsByAnOldList) => Ok(this.server.drop_by_a_list(service, now, most).await),
            Some(_) | None => this.inner.drop_outlived(service, now, most).await,
        }
    }
}

impl Process {
    async fn apply(self: &Arc<Self>, changeset: &Changeset) -> StoreAnswer {
        let (told, is_running) = self.wait(changeset);
        if !is_running {
            let running = Running::new(self);
            match self.server.misstep {
                Some(Misstep::RunsInTheCallersFuture) => running.run().await,
                Some(_) | None => drop(tokio::spawn(running.run())),
            }
        }
        told.await
            .unwrap_or_else(|_| StoreAnswer::Unknown(words("what decided it ended early")))
    }

    /// Where the answer will be told, and whether somebody is at it already.
    fn wait(&self, changeset: &Changeset) -> (oneshot::Receiver<StoreAnswer>, bool) {
        let (answer, told) = oneshot::channel();
        let mut queue = self.queue.lock();
        queue.waiting.push(Waiting {
            changeset: changeset.clone(),
            answer: Some(answer),
        });
        (told, std::mem::replace(&mut queue.is_running, true))
    }

    /// One transaction, until all in it are answered.
    async fn transact(&self, batch: &mut [Waiting]) {
        let server = &self.server;
        let is = |misstep| server.misstep == Some(misstep);
        let before = is(Misstep::ReadsBeforeItWaits).then(|| server.rows.state());
        yield_now().await;
        let mut lane = None;
        if !is(Misstep::LeavesTheLaneUnlocked) {
            lane = Some(Arc::clone(&server.lane).lock_owned().await);
        }
        let remembered = self
            .remembered
            .lock()
            .take()
            .filter(|_| is(Misstep::DecidesOnAStaleRead));
        let read = before.or(remembered).unwrap_or_else(|| server.rows.state());
        yield_now().await;
        let (answers, written) = decide(&read, batch);
        if is(Misstep::AnswersRefusalsAtOnce) {
            for (waiting, answer) in batch.iter_mut().zip(&answers) {
                if matches!(answer, StoreAnswer::Refused(_)) {
                    waiting.tell(answer.clone());
                }
            }
        }
        let committed = server.commit(written, lane).await;
        *self.remembered.lock() = Some(server.rows.state());
        let committed = match committed {
            Committed::InDoubt(_) if is(Misstep::RetriesWhatIsInDoubt) => {
                return Box::pin(self.transact(batch)).await;
            }
            Committed::InDoubt(number) => server.became_of(number).await,
            known @ (Committed::Yes | Committed::No) => known,
        };
        for (waiting, answer) in batch.iter_mut().zip(answers) {
            waiting.tell(told(answer, &committed));
        }
    }
}

/// The turn of a process, until nothing waits any more.
struct Running {
    process: Arc<Process>,
    is_over: bool,
}

impl Running {
    fn new(process: &Arc<Process>) -> Self {
        Self {
            process: Arc::clone(process),
            is_over: false,
        }
    }

    async fn run(mut self) {
        loop {
            let mut batch = {
                let mut queue = self.process.queue.lock();
                let waiting = std::mem::take(&mut queue.waiting);
                queue.is_running = !waiting.is_empty();
                waiting
            };
            self.is_over = batch.is_empty();
            if self.is_over {
                return;
            }
            self.process.transact(&mut batch).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            // Ended early: nobody answers those that wait, and whoever comes next begins anew.
            *self.process.queue.lock() = Queue::default();
        }
    }
}

impl Waiting {
    fn tell(&mut self, answer: StoreAnswer) {
        // Who was told, or went away, is not told.
        if let Some(asker) = self.answer.take() {
            asker.send(answer).ok();
        }
    }
}

/// What each is answered if it is committed, and what is to be written.
fn decide(read: &ModelState, batch: &[Waiting]) -> (Vec<StoreAnswer>, BTreeMap<ServiceId, Written>) {
    let mut loaded: BTreeMap<ServiceId, Loaded> = BTreeMap::new();
    let mut version = read.last_version();
    let mut answers = Vec::new();
    for Waiting { changeset, .. } in batch {
        let loaded = loaded.entry(changeset.service.clone()).or_insert_with(|| {
            let here = batch.iter().map(|waiting| &waiting.changeset);
            let here = here.filter(|other| other.service == changeset.service);
            let names: Vec<_> = here.map(Changeset::names).collect();
            read.load(
                &changeset.service,
                &verify_core::store::Names::joined(&names),
                changeset.at,
            )
        });
        let decided = loaded.decide(changeset, version + 1);
        let puts = changeset
            .records
            .iter()
            .any(|change| matches!(change.write, Write::Put(_)));
        version += u64::from(decided.applied && puts);
        answers.push(match decided.applied {
            true => StoreAnswer::Applied(decided.seen),
            false => StoreAnswer::Refused(decided.seen),
        });
    }
    let written = loaded
        .into_iter()
        .map(|(service, loaded)| (service, loaded.into_written()));
    (answers, written.collect())
}

/// What was decided, after a commit.
fn told(answer: StoreAnswer, committed: &Committed) -> StoreAnswer {
    match (committed, answer) {
        (Committed::Yes, answer) => answer,
        (Committed::InDoubt(_), StoreAnswer::Applied(_)) => {
            StoreAnswer::Unknown(words("the answer was lost"))
        }
        (Committed::No | Committed::InDoubt(_), _) => {
            StoreAnswer::NotApplied(StoreFault::unavailable("the commit failed"))
        }
    }
}

impl Server {
    async fn commit(
        self: &Arc<Self>,
        written: BTreeMap<ServiceId, Written>,
        lane: Option<OwnedMutexGuard<()>>,
    ) -> Committed {
        if written.values().all(|written| *written == Written::default()) {
            return Committed::Yes;
        }
        let number = self.transactions.fetch_add(1, Ordering::Relaxed);
        let mut lane = lane;
        if self.misstep == Some(Misstep::CommitsBeforeItWrites) {
            lane = None;
            yield_now().await;
        }
        // Of five the second fails, the answer to the third is lost, and the fifth comes about after that.
        match number % 5 {
            1 if self.has_faults => Committed::No,
            2 if self.has_faults => {
                self.write(number, written);
                Committed::InDoubt(number)
            }
            4 if self.has_faults => {
                let server = Arc::clone(self);
                tokio::spawn(async move {
                    for _ in 0..4 {
                        yield_now().await;
                    }
                    server.write(number, written);
                    drop(lane);
                });
                Committed::InDoubt(number)
            }
            _ => {
                self.write(number, written);
                Committed::Yes
            }
        }
    }

    fn write(&self, number: u64, written: BTreeMap<ServiceId, Written>) {
        self.rows.change(|state| {
            for (service, written) in written {
                state.write(&service, written);
            }
        });
        self.committed.lock().insert(number);
    }

    /// Asks what became of a commit; each third time nobody knows.
    async fn became_of(&self, number: u64) -> Committed {
        let mut lane = None;
        if self.misstep != Some(Misstep::TakesNotFoundForNotApplied) {
            lane = Some(self.lane.lock().await);
        }
        let is_there = self.committed.lock().contains(&number);
        drop(lane);
        match (self.doubts.fetch_add(1, Ordering::Relaxed) % 3, is_there) {
            (2, _) => Committed::InDoubt(number),
            (_, true) => Committed::Yes,
            (_, false) => Committed::No,
        }
    }

    async fn drop_by_a_list(
        &self,
        service: &ServiceId,
        now: verify_core::time::Timestamp,
        most: usize,
    ) -> usize {
        let state = self.rows.state();
        let records = state
            .records()
            .iter()
            .filter(|((of, _), row)| *of == service && row.is_outlived(now));
        let records: BTreeMap<RecordKey, _> = records.take(most).map(|((_, key), _)| (*key, None)).collect();
        let claims = state
            .claims()
            .iter()
            .filter(|((of, _), claim)| *of == service && claim.expires_at <= now);
        let claims: BTreeMap<ClaimKey, _> = claims
            .take(most - records.len())
            .map(|((_, key), _)| (*key, None))
            .collect();
        yield_now().await;
        let dropped = records.len() + claims.len();
        let gone = Written {
            records,
            claims,
            ..Written::default()
        };
        self.rows.change(|state| state.write(service, gone));
        dropped
    }
}

fn words(words: &str) -> Detail {
    Detail::new(None, words)
}
