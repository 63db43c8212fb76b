//! Ports that a test holds in its hand: a store and a provider that stop at a gate, fail on demand and count.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use verify_core::keys::{KeyId, Keys, Print};
use verify_core::policy::{Policy, PolicySet};
use verify_core::port::{
    Capabilities, Clock, CompareRequest, Compared, ConcludeRequest, Concluded, Detail, DispatchRequest,
    Dispatched, InquireRequest, Inquired, Maker, Provider, Rejection, RejectionKind, Scopes,
};
use verify_core::store::{
    Changeset, Expect, Lifetime, RecordChange, RecordKey, RecordKind, Room, Row, Store, StoreAnswer,
    StoreFault, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, ServiceId};
use verify_engine::{Engine, EngineBuilder, Pumped, Swept};
use verify_testkit::{ModelStore, store_around};

/// A round of the pump that took this many, all that it was given.
pub(crate) fn taken(taken: usize) -> Result<Pumped, StoreFault> {
    Ok(Pumped { taken, declined: 0 })
}

/// A sweep that found that many due and changed that many of them.
pub(crate) fn swept(due: usize, changed: usize) -> Result<Swept, StoreFault> {
    Ok(Swept {
        due,
        changed,
        rekeyed: 0,
    })
}

/// Lets calls through one by one, or all.
pub(crate) struct Gate {
    arrived: watch::Sender<usize>,
    leave: Semaphore,
}

impl Gate {
    pub(crate) fn open() -> Arc<Self> {
        Arc::new(Self {
            arrived: watch::Sender::new(0),
            leave: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self {
            arrived: watch::Sender::new(0),
            leave: Semaphore::new(0),
        })
    }

    /// Lets this many more calls through.
    pub(crate) fn let_through(&self, calls: usize) {
        self.leave.add_permits(calls);
    }

    /// Waits until this many calls have come, let through or not.
    pub(crate) async fn reached(&self, calls: usize) {
        self.arrived
            .subscribe()
            .wait_for(|arrived| *arrived >= calls)
            .await
            .unwrap();
    }

    pub(crate) fn count(&self) -> usize {
        *self.arrived.borrow()
    }

    async fn pass(&self) {
        self.arrived.send_modify(|arrived| *arrived += 1);
        self.leave.acquire().await.unwrap().forget();
    }
}

/// How a store behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Surely not applied.
    Down,
    /// The same, in its own words.
    Says(StoreFault),
    /// It never answers, and does nothing.
    Hangs,
}

/// A store behind a gate, in a mood.
pub(crate) struct TestStore<S = ModelStore> {
    inner: S,
    pub(crate) mood: Mutex<Mood>,
    gate: Arc<Gate>,
}

impl<S: Store> TestStore<S> {
    pub(crate) fn around(inner: S, gate: &Arc<Gate>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            mood: Mutex::new(Mood::Well),
            gate: Arc::clone(gate),
        })
    }

    /// What waits in the outbox.
    pub(crate) async fn events(&self) -> Vec<&'static str> {
        let waiting = self
            .inner
            .outbox(&ServiceId::default(), usize::MAX)
            .await
            .unwrap();
        waiting.iter().map(|(_, event)| event.kind.as_str()).collect()
    }

    /// Puts so many records in that no version can read and that are due at once.
    pub(crate) async fn spoil(&self, records: u32, now: Timestamp) {
        for n in 0..records {
            let key = RecordKey {
                kind: RecordKind::Verifications,
                print: Print::from_bytes(u128::from(n).to_be_bytes()),
            };
            let mut changeset = Changeset::new(ServiceId::default(), now, Room::Known);
            changeset.records.push(RecordChange {
                key,
                expect: Expect::Absent,
                write: Write::Put(unreadable(now)),
            });
            let answer = self.inner.apply(&changeset, Duration::from_secs(1)).await;
            assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        }
    }

    fn well(&self, _: Option<&ServiceId>) -> Result<(), StoreFault> {
        match &*self.mood.lock() {
            Mood::Well => Ok(()),
            Mood::Down | Mood::Hangs => Err(StoreFault::unavailable("")),
            Mood::Says(fault) => Err(fault.clone()),
        }
    }
}

fn unreadable(due: Timestamp) -> Row {
    Row {
        version: 0,
        lifetime: Lifetime::Until(due + Duration::from_secs(86_400)),
        live_until: None,
        due: Some(due),
        under: WrittenUnder {
            fingerprint: KeyId::new(1),
            seal: None,
        },
        bytes: vec![0xff],
    }
}

store_around! {
    TestStore,
    apply(this, changeset, within) {
        this.gate.pass().await;
        if *this.mood.lock() == Mood::Hangs {
            std::future::pending::<()>().await;
        }
        match this.well(None) {
            Ok(()) => this.inner.apply(changeset, within).await,
            Err(fault) => StoreAnswer::NotApplied(fault),
        }
    },
    first Self::well
}

/// A provider of own codes that says what it is told to say, and `Accepted` when it is told nothing.
pub(crate) struct TestProvider {
    name: &'static str,
    pub(crate) says: Mutex<VecDeque<Dispatched>>,
    pub(crate) sent: Mutex<Vec<DispatchRequest>>,
    pub(crate) hangs: Mutex<bool>,
    /// What its health check says.
    pub(crate) ails: Mutex<Option<RejectionKind>>,
    /// Where its health check stops.
    health: Arc<Gate>,
    gate: Arc<Gate>,
}

impl TestProvider {
    pub(crate) fn new(name: &'static str, gate: &Arc<Gate>) -> Arc<Self> {
        Self::whose_health(name, gate, &Gate::open())
    }

    /// One whose health check stops at a gate of its own.
    pub(crate) fn whose_health(name: &'static str, gate: &Arc<Gate>, health: &Arc<Gate>) -> Arc<Self> {
        Arc::new(Self {
            name,
            says: Mutex::default(),
            sent: Mutex::default(),
            hangs: Mutex::new(false),
            ails: Mutex::default(),
            health: Arc::clone(health),
            gate: Arc::clone(gate),
        })
    }

    /// The next dispatches are rejected like this.
    pub(crate) fn rejects(&self, kind: RejectionKind, times: usize) {
        let rejection = Rejection {
            kind,
            retry_after: None,
            detail: Detail::default(),
        };
        self.says
            .lock()
            .extend(std::iter::repeat_n(Dispatched::Rejected(rejection), times));
    }

    pub(crate) fn sends(&self) -> usize {
        self.sent.lock().len()
    }

    pub(crate) fn last_code(&self) -> String {
        let sent = self.sent.lock();
        sent.last().unwrap().code.as_ref().unwrap().expose().to_owned()
    }

    pub(crate) fn last_reference(&self) -> String {
        self.sent.lock().last().unwrap().reference.clone()
    }
}

#[async_trait]
impl Provider for TestProvider {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: self.name.into(),
            channels: vec![Channel::Sms, Channel::Call],
            maker: Maker::Own,
            scopes: Scopes::default(),
            can_inquire: false,
            can_conclude: false,
            reports: true,
            most_checks: None,
        }
    }

    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        self.sent.lock().push(request.clone());
        self.gate.pass().await;
        if *self.hangs.lock() {
            std::future::pending::<()>().await;
        }
        self.says
            .lock()
            .pop_front()
            .unwrap_or(Dispatched::Accepted { upstream: None })
    }

    async fn compare(&self, _request: &CompareRequest) -> Compared {
        Compared::NotAsked(Detail::default())
    }

    async fn inquire(&self, _request: &InquireRequest) -> Inquired {
        Inquired::Unknown
    }

    async fn conclude(&self, _request: &ConcludeRequest) -> Concluded {
        Concluded::Done
    }

    async fn health(&self) -> Result<(), Rejection> {
        self.health.pass().await;
        let ails = *self.ails.lock();
        ails.map_or(Ok(()), |kind| {
            Err(Rejection {
                kind,
                retry_after: None,
                detail: Detail::default(),
            })
        })
    }
}

/// A clock that stands until it is moved.
pub(crate) struct HeldClock(AtomicU64);

impl HeldClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_800_000_000_000)))
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.0.fetch_add(span.as_millis() as u64, Ordering::SeqCst);
    }

    pub(crate) fn set_back(&self, span: Duration) {
        self.0.fetch_sub(span.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// All parts of an engine, in reach.
pub(crate) struct Parts {
    pub(crate) gate: Arc<Gate>,
    pub(crate) store: Arc<TestStore>,
    pub(crate) provider: Arc<TestProvider>,
    pub(crate) clock: Arc<HeldClock>,
}

impl Parts {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        let store = TestStore::around(ModelStore::new(), &gate);
        let provider = TestProvider::new("fake", &gate);
        Self {
            store,
            provider,
            clock: HeldClock::new(),
            gate,
        }
    }

    pub(crate) fn builder(&self) -> EngineBuilder {
        Engine::builder()
            .keys(Keys::generate(&[7; 32]))
            .store(self.store.clone())
            .provider(self.provider.clone())
            .clock(self.clock.clone())
            .without_client_ip()
    }

    pub(crate) fn engine(&self) -> Engine {
        self.builder().build().unwrap()
    }

    /// An engine by the system's clock, over this store.
    pub(crate) fn on_the_wall(&self, store: ModelStore) -> Engine {
        let builder = Engine::builder().keys(Keys::generate(&[7; 32])).store(store);
        builder
            .provider(self.provider.clone())
            .without_client_ip()
            .build()
            .unwrap()
    }
}

/// The default policy with a change.
pub(crate) fn policies(change: impl FnOnce(&mut Policy)) -> PolicySet {
    let mut set = PolicySet::default();
    change(Arc::make_mut(&mut set.default));
    set
}

/// The `n`-th of many numbers that share neither destination nor prefix.
pub(crate) fn number(n: usize) -> String {
    format!("+1202{:03}01{:02}", 200 + n % 700, n / 700)
}
