//! A backend in memory that fails where it is told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep};
use verify_batch::{Backend, Batch, Decided, Ended, Fill, Found, LaneRow, Ticket};
use verify_core::port::Detail;
use verify_core::store::{ClaimKey, CounterKey, Origin, RecordKey, StoreFault};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// What a transaction comes to, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Begin,
    Lock,
    Load,
    Decided,
    Written,
    /// The commit is sent, and does not arrive.
    Commit,
    /// It arrived, and its answer does not.
    Committed,
}

impl Step {
    pub(crate) const ALL: [Self; 7] = [
        Self::Begin,
        Self::Lock,
        Self::Load,
        Self::Decided,
        Self::Written,
        Self::Commit,
        Self::Committed,
    ];
}

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Fails,
    Panics,
    Hangs,
    /// At [`Step::Begin`]: there is no connection to begin on.
    Unreached,
    /// At [`Step::Commit`]: the client is told nothing, and the server commits so much later. At [`Step::Load`]: it goes on
    /// behind the back of whoever gave it up.
    ArrivesAfter(Duration),
    /// At [`Step::Decided`]: the server picks it as the victim of a deadlock, and it is run again.
    BeginsAgain,
}

/// What happens to whoever asks what became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    IsAnswered,
    Fails,
    Hangs,
    Panics,
}

/// All that is kept, in its kept form.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kept {
    pub(crate) lanes: BTreeMap<ServiceId, LaneRow>,
    /// The number of the last batch that wrote, beside each lane.
    pub(crate) numbers: BTreeMap<ServiceId, u64>,
    pub(crate) counters: BTreeMap<(ServiceId, CounterKey), (Vec<u8>, Timestamp)>,
    pub(crate) records: BTreeMap<(ServiceId, RecordKey), Vec<u8>>,
    pub(crate) claims: BTreeMap<(ServiceId, ClaimKey), (Vec<u8>, Timestamp)>,
    pub(crate) events: BTreeMap<(ServiceId, u64), Vec<u8>>,
    pub(crate) put_off: BTreeMap<(ServiceId, RecordKey), (Timestamp, u32)>,
}

/// What was seen of it, by the clock of the tests.
#[derive(Debug, Default, Clone)]
pub(crate) struct SeenOfIt {
    pub(crate) transactions: Vec<Vec<ServiceId>>,
    pub(crate) commits: usize,
    pub(crate) rolled_back: usize,
    pub(crate) asked: usize,
    pub(crate) pings: Vec<Instant>,
}

/// The backend. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Inner>);

#[derive(Default)]
struct Inner {
    kept: Mutex<Kept>,
    seen: Mutex<SeenOfIt>,
    locks: Mutex<BTreeMap<ServiceId, Arc<AsyncMutex<()>>>>,
    gates: Mutex<BTreeMap<Step, Arc<AsyncMutex<()>>>>,
    script: Mutex<VecDeque<Option<(Step, How)>>>,
    askings: Mutex<VecDeque<Asking>>,
    refused: Mutex<BTreeSet<RecordKey>>,
    fill: Mutex<Fill>,
    is_down: Mutex<bool>,
}

impl Memory {
    /// What happens to the next transactions, after what is scripted already.
    pub(crate) fn script(&self, faults: impl IntoIterator<Item = Option<(Step, How)>>) {
        self.0.script.lock().extend(faults);
    }

    /// What happens to the next who ask what became of one.
    pub(crate) fn answers(&self, askings: impl IntoIterator<Item = Asking>) {
        self.0.askings.lock().extend(askings);
    }

    /// What did not happen of the script does not.
    pub(crate) fn forget_script(&self) {
        self.0.script.lock().clear();
        self.0.askings.lock().clear();
    }

    /// Nobody gets past this step until the guard is dropped.
    pub(crate) async fn hold(&self, step: Step) -> OwnedMutexGuard<()> {
        self.gate(step).lock_owned().await
    }

    /// From now on the server takes offence at whoever writes this one.
    pub(crate) fn refuses(&self, key: RecordKey) {
        self.0.refused.lock().insert(key);
    }

    pub(crate) fn fill(&self, fill: Fill) {
        *self.0.fill.lock() = fill;
    }

    /// While it is down, every transaction hangs and no ping is answered.
    pub(crate) fn is_down(&self, is: bool) {
        *self.0.is_down.lock() = is;
    }

    pub(crate) fn kept(&self) -> Kept {
        self.0.kept.lock().clone()
    }

    pub(crate) fn change<A>(&self, change: impl FnOnce(&mut Kept) -> A) -> A {
        change(&mut self.0.kept.lock())
    }

    pub(crate) fn seen(&self) -> SeenOfIt {
        self.0.seen.lock().clone()
    }

    fn gate(&self, step: Step) -> Arc<AsyncMutex<()>> {
        Arc::clone(self.0.gates.lock().entry(step).or_default())
    }

    async fn locked(&self, services: impl Iterator<Item = &ServiceId>) -> Vec<OwnedMutexGuard<()>> {
        let mut guards = Vec::new();
        for service in services {
            let lane = Arc::clone(self.0.locks.lock().entry(service.clone()).or_default());
            guards.push(lane.lock_owned().await);
        }
        guards
    }

    /// True where it fails at this step.
    async fn fails_at(&self, step: Step, fault: Option<(Step, How)>) -> bool {
        drop(self.hold(step).await);
        match fault.filter(|(at, _)| *at == step).map(|(_, how)| how) {
            None => false,
            Some(How::BeginsAgain) => false,
            Some(How::Fails | How::Unreached | How::ArrivesAfter(_)) => true,
            Some(How::Panics) => panic!("as the script says"),
            Some(How::Hangs) => pending().await,
        }
    }

    fn load(&self, batch: &Batch) -> Vec<Found> {
        let (kept, fill) = (self.0.kept.lock(), *self.0.fill.lock());
        let of_lane = |lane: &verify_batch::Lane| {
            let service = &lane.service;
            let row = kept.lanes.get(service).copied().unwrap_or_default();
            let origin = Origin {
                accepted: true,
                ..Origin::default()
            };
            let mut found = Found::new(row, origin, fill);
            for key in &lane.names.counters {
                if let Some((bytes, _)) = kept.counters.get(&(service.clone(), *key)) {
                    found.counter(*key, bytes);
                }
            }
            for key in &lane.names.records {
                if let Some(bytes) = kept.records.get(&(service.clone(), *key)) {
                    found.record(*key, bytes);
                }
            }
            for key in &lane.names.claims {
                if let Some((bytes, _)) = kept.claims.get(&(service.clone(), *key)) {
                    found.claim(*key, bytes);
                }
            }
            found
        };
        batch.lanes().iter().map(of_lane).collect()
    }

    /// Nobody who waits for it is told anything.
    async fn goes_on_alone(
        &self,
        batch: &Arc<Batch>,
        found: Vec<Found>,
        guards: Vec<OwnedMutexGuard<()>>,
        span: Duration,
    ) -> Ended {
        let (server, batch) = (self.clone(), Arc::clone(batch));
        tokio::spawn(async move {
            sleep(span).await;
            if let Some(decided) = batch.decide(found) {
                server.commit(batch.number(), decided);
            }
            drop(guards);
        });
        pending().await
    }

    fn commit(&self, number: u64, decided: Vec<Decided>) {
        self.0.seen.lock().commits += 1;
        let mut kept = self.0.kept.lock();
        for part in decided {
            kept.write(number, part);
        }
    }
}

impl Kept {
    fn write(&mut self, number: u64, part: Decided) {
        let of = |key| (part.service.clone(), key);
        self.lanes.insert(part.service.clone(), part.lane);
        self.numbers.insert(part.service.clone(), number);
        for put in part.counters {
            let key = (part.service.clone(), put.key);
            self.counters.insert(key, (put.bytes, put.expires_at));
        }
        for (key, row) in part.records {
            self.put_off.remove(&of(key));
            match row {
                Some(row) => self.records.insert(of(key), row.bytes),
                None => self.records.remove(&of(key)),
            };
        }
        for (key, claim) in part.claims {
            let key = (part.service.clone(), key);
            match claim {
                Some(claim) => self.claims.insert(key, (claim.bytes, claim.expires_at)),
                None => self.claims.remove(&key),
            };
        }
        for (seq, bytes) in part.events {
            let before = self.events.insert((part.service.clone(), seq.0), bytes);
            assert!(before.is_none(), "place {} was given twice", seq.0);
        }
    }
}

#[async_trait]
impl Backend for Memory {
    async fn run(&self, batch: &Arc<Batch>) -> Ended {
        let services: Vec<ServiceId> = batch.lanes().iter().map(|lane| lane.service.clone()).collect();
        self.0.seen.lock().transactions.push(services.clone());
        if *self.0.is_down.lock() {
            pending::<()>().await;
        }
        let fault = self.0.script.lock().pop_front().flatten();
        let failed = || Ended::NotApplied(StoreFault::unavailable("as the script says"));
        if self.fails_at(Step::Begin, fault).await {
            let words = StoreFault::unavailable("no connection in time");
            return match fault {
                Some((_, How::Unreached)) => Ended::Unreached(words),
                _ => failed(),
            };
        }
        let guards = self.locked(services.iter()).await;
        if self.fails_at(Step::Lock, fault).await {
            return failed();
        }
        let found = self.load(batch);
        if let Some((Step::Load, How::ArrivesAfter(span))) = fault {
            return self.goes_on_alone(batch, found, guards, span).await;
        }
        if self.fails_at(Step::Load, fault).await {
            return failed();
        }
        let Some(mut decided) = batch.decide(found) else {
            return failed();
        };
        if self.fails_at(Step::Decided, fault).await {
            return failed();
        }
        if let Some((Step::Decided, How::BeginsAgain)) = fault {
            decided = batch.decide(self.load(batch)).unwrap();
        }
        if decided.is_empty() {
            self.0.seen.lock().rolled_back += 1;
            return Ended::Committed;
        }
        let records = decided.iter().flat_map(|part| &part.records);
        if records
            .map(|(key, _)| key)
            .any(|key| self.0.refused.lock().contains(key))
        {
            return Ended::OneIsRefused(words("a row breaks a rule of the server"));
        }
        if self.fails_at(Step::Written, fault).await {
            return failed();
        }
        if let Some((Step::Commit, How::ArrivesAfter(span))) = fault {
            let (server, number) = (self.clone(), batch.number());
            tokio::spawn(async move {
                sleep(span).await;
                server.commit(number, decided);
                drop(guards);
            });
            return Ended::Lost(words("as the script says"));
        }
        if self.fails_at(Step::Commit, fault).await {
            return Ended::Lost(words("as the script says"));
        }
        self.commit(batch.number(), decided);
        if self.fails_at(Step::Committed, fault).await {
            return Ended::Lost(words("as the script says"));
        }
        Ended::Committed
    }

    async fn was_committed(&self, ticket: &Ticket) -> Result<bool, StoreFault> {
        self.0.seen.lock().asked += 1;
        let asking = self.0.askings.lock().pop_front();
        match asking.unwrap_or(Asking::IsAnswered) {
            Asking::IsAnswered => {}
            Asking::Fails => return Err(StoreFault::unavailable("as the script says")),
            Asking::Hangs => pending().await,
            Asking::Panics => panic!("as the script says"),
        }
        let _guards = self.locked(ticket.services.iter()).await;
        let kept = self.0.kept.lock();
        let is_its = |service| kept.numbers.get(service) == Some(&ticket.number);
        Ok(ticket.services.iter().all(is_its))
    }

    async fn ping(&self) -> Result<(), StoreFault> {
        self.0.seen.lock().pings.push(Instant::now());
        match *self.0.is_down.lock() {
            true => Err(StoreFault::unavailable("it is down")),
            false => Ok(()),
        }
    }
}

fn words(words: &str) -> Detail {
    Detail::new(None, words)
}
