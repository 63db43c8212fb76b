//! The simplest store there is: ordered maps behind one lock. What a store means, for tests and simulations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::event::Event;
use verify_core::ids::HolderId;
use verify_core::limit::Counter;
use verify_core::store::{
    Changeset, Claim, ClaimKey, CounterKey, EventSeq, Lifetime, Loaded, Names, Origin, RecordKey, Row, Store,
    StoreAnswer, StoreFault, View, Work, Written, WrittenUnder, evaluate, put_off_for,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::by_service::ByService;

/// A state of a limit or lockout, and when it may be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeptCounter {
    /// The state.
    pub state: Counter,
    /// From this instant it is as good as absent.
    pub expires_at: Timestamp,
}

/// All that a store holds, as a value: cloned, compared and hashed by whoever explores what can happen.
///
/// It is unbounded, and forgets only with [`ModelState::purge`]; entries past their expiry count as absent all the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ModelState {
    counters: ByService<CounterKey, KeptCounter>,
    records: ByService<RecordKey, Row>,
    claims: ByService<ClaimKey, Claim>,
    events: ByService<u64, Event>,
    /// Until when records are put off that were due, and how often they were.
    put_off: ByService<RecordKey, (Timestamp, u32)>,
    last_version: u64,
    last_event: u64,
    /// `None`: a first start, and no clock.
    origin: Option<Origin>,
}

impl ModelState {
    /// [`Store::apply`], without a lock and without a runtime.
    pub fn apply_now(&mut self, changeset: &Changeset) -> StoreAnswer {
        let service = &changeset.service;
        let view = ServiceView {
            state: self,
            service,
            at: changeset.at,
        };
        let decided = evaluate(changeset, &view, self.last_version + 1);
        if !decided.applied {
            return StoreAnswer::Refused(decided.seen);
        }
        let counters = decided
            .counters
            .into_iter()
            .map(|(key, state, expires_at)| (key, Some(KeptCounter { state, expires_at })));
        write(&mut self.counters, service, counters);
        self.write_records(service, decided.records);
        write(&mut self.claims, service, decided.claims);
        self.append(service, changeset.events.iter().chain(&decided.alerts));
        StoreAnswer::Applied(decided.seen)
    }

    /// What a store elsewhere would load of these names to decide on it.
    pub fn load(&self, service: &ServiceId, names: &Names, at: Timestamp) -> Loaded {
        let mut loaded = Loaded::new(self.origin(at));
        for key in &names.counters {
            if let Some(kept) = self.counters.get(service, key) {
                loaded.counter(*key, kept.state.clone(), kept.expires_at);
            }
        }
        for key in &names.records {
            if let Some(row) = self.records.get(service, key) {
                loaded.record(*key, row.clone());
            }
        }
        for key in &names.claims {
            if let Some(claim) = self.claims.get(service, key) {
                loaded.claim(claim.clone());
            }
        }
        loaded
    }

    /// Writes what was decided on what was loaded.
    pub fn write(&mut self, service: &ServiceId, written: Written) {
        let counters = written.counters.into_iter();
        let counters =
            counters.map(|(key, (state, expires_at))| (key, Some(KeptCounter { state, expires_at })));
        write(&mut self.counters, service, counters);
        self.write_records(service, written.records);
        write(&mut self.claims, service, written.claims);
        self.append(service, &written.events);
    }

    /// The last version that a record was given.
    pub fn last_version(&self) -> u64 {
        self.last_version
    }

    fn write_records(
        &mut self,
        service: &ServiceId,
        records: impl IntoIterator<Item = (RecordKey, Option<Row>), IntoIter: ExactSizeIterator>,
    ) {
        let mut last = self.last_version;
        let put_off = &mut self.put_off;
        let records = records.into_iter().inspect(|(key, row)| {
            last = last.max(row.as_ref().map_or(0, |row| row.version));
            put_off.remove(service, key);
        });
        write(&mut self.records, service, records);
        self.last_version = last;
    }

    fn append<'a>(&mut self, service: &ServiceId, events: impl IntoIterator<Item = &'a Event>) {
        for event in events {
            self.last_event += 1;
            self.events.of_mut(service).insert(self.last_event, event.clone());
        }
    }

    /// As [`Store::services`].
    pub fn services(&self, now: Timestamp) -> BTreeSet<&ServiceId> {
        let due = self.all_due(now).map(|(_, (service, _))| service);
        due.chain(self.events.keys().map(|(service, _)| service))
            .collect()
    }

    /// As [`Store::due`].
    pub fn due(&self, service: &ServiceId, now: Timestamp, most: usize) -> Vec<RecordKey> {
        let mut due: Vec<_> = self.all_due(now).filter(|(_, (of, _))| *of == service).collect();
        due.sort_unstable();
        due.into_iter().take(most).map(|(_, (_, key))| *key).collect()
    }

    fn all_due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, (&ServiceId, &RecordKey))> {
        let there = self.records.iter().filter(move |(_, row)| !row.is_outlived(now));
        let listed = there.filter_map(|((service, key), row)| {
            let put_off = self.put_off.get(service, key).map(|(until, _)| *until);
            Some((put_off.or(row.due)?, (service, key)))
        });
        listed.filter(move |(due, _)| *due <= now)
    }

    /// As [`Store::put_off`].
    pub fn put_off(&mut self, service: &ServiceId, record: &RecordKey, now: Timestamp) {
        if self.all_due(now).any(|(_, due)| due == (service, record)) {
            let times = self.put_off.get(service, record).map_or(0, |(_, times)| *times);
            let put_off = (now + put_off_for(times), times.saturating_add(1));
            self.put_off.of_mut(service).insert(*record, put_off);
        }
    }

    /// As [`Store::outbox`].
    pub fn outbox(&self, service: &ServiceId, most: usize) -> Vec<(EventSeq, Event)> {
        let events = self.events.iter().filter(|((of, _), _)| *of == service);
        events
            .take(most)
            .map(|((_, seq), event)| (EventSeq(*seq), event.clone()))
            .collect()
    }

    /// As [`Store::acknowledge`].
    pub fn acknowledge(&mut self, service: &ServiceId, through: EventSeq) {
        self.events
            .retain_of(|of, seq, _| of != service || *seq > through.0);
    }

    /// As [`Store::durable`] and [`Store::durable_under`]: those that have to be written again with a key, in order.
    pub fn durable(&self) -> impl Iterator<Item = ((ServiceId, RecordKey), WrittenUnder)> {
        let moves = |row: &Row| row.lifetime == Lifetime::Durable && row.under.seal.is_some();
        let records = self.records.iter().filter(move |(_, row)| moves(row));
        records.map(|((of, key), row)| ((of.clone(), *key), row.under))
    }

    /// Drops all that is outlived at this instant. What is left when everything should have ended never ends.
    pub fn purge(&mut self, at: Timestamp) {
        self.drop_outlived(|_| true, at, usize::MAX);
    }

    /// Drops what these services have outlived at this instant, at most `most` entries; how many went.
    fn drop_outlived(&mut self, of: impl Fn(&ServiceId) -> bool, at: Timestamp, most: usize) -> usize {
        let mut left = most;
        let mut stays = |service: &ServiceId, is_outlived: bool| {
            let goes = is_outlived && left > 0 && of(service);
            left -= usize::from(goes);
            !goes
        };
        let Self {
            counters,
            records,
            claims,
            put_off,
            ..
        } = self;
        counters.retain_of(|service, _, kept| stays(service, kept.expires_at <= at));
        records.retain_of(|service, _, row| stays(service, row.is_outlived(at)));
        claims.retain_of(|service, _, claim| stays(service, claim.expires_at <= at));
        put_off.retain_of(|service, key, _| records.get(service, key).is_some());
        most - left
    }

    /// Drops the counters for which this is true, as no sound store does: to make a flawed one of.
    pub fn forget_counters(&mut self, gone: impl Fn(&CounterKey, &Counter) -> bool) {
        self.counters.retain(|key, kept| !gone(key, &kept.state));
    }

    /// Puts other counters in the place of these, as no sound store does: to make a flawed one of.
    pub fn swap_counters(&mut self, other: &mut ByService<CounterKey, KeptCounter>) {
        std::mem::swap(&mut self.counters, other);
    }

    /// Where it comes from from now on: another epoch, or one that nobody expected. Where the store's clock stands in it the
    /// store has one, which stands still; with a zero it has none, and goes by whoever asks.
    pub fn set_origin(&mut self, origin: Origin) {
        self.origin = Some(origin);
    }

    /// Where it comes from, asked at this time.
    fn origin(&self, at: Timestamp) -> Origin {
        let origin = self.origin.unwrap_or(Origin {
            accepted: true,
            ..Origin::default()
        });
        match origin.clock {
            Timestamp::ZERO => Origin { clock: at, ..origin },
            _ => origin,
        }
    }

    /// Every state of a limit or lockout, outlived or not.
    pub fn counters(&self) -> &ByService<CounterKey, KeptCounter> {
        &self.counters
    }

    /// Every record, outlived or not.
    pub fn records(&self) -> &ByService<RecordKey, Row> {
        &self.records
    }

    /// Every event that was not acknowledged, by its place.
    pub fn events(&self) -> &ByService<u64, Event> {
        &self.events
    }

    /// Every claim, outlived or not.
    pub fn claims(&self) -> &ByService<ClaimKey, Claim> {
        &self.claims
    }
}

fn write<K: Ord, V>(
    all: &mut ByService<K, V>,
    service: &ServiceId,
    written: impl IntoIterator<Item = (K, Option<V>), IntoIter: ExactSizeIterator>,
) {
    let written = written.into_iter();
    if written.len() == 0 {
        return;
    }
    let entries = all.of_mut(service);
    for (key, value) in written {
        match value {
            Some(value) => entries.insert(key, value),
            None => entries.remove(&key),
        };
    }
    if entries.is_empty() {
        all.retain(|_, _| true);
    }
}

struct ServiceView<'a> {
    state: &'a ModelState,
    service: &'a ServiceId,
    at: Timestamp,
}

impl View for ServiceView<'_> {
    fn origin(&self) -> Origin {
        self.state.origin(self.at)
    }

    fn counter(&self, key: &CounterKey) -> Option<Counter> {
        let kept = self.state.counters.get(self.service, key)?;
        (kept.expires_at > self.at).then(|| kept.state.clone())
    }

    fn record(&self, key: &RecordKey) -> Option<Row> {
        self.state.records.get(self.service, key).cloned()
    }

    fn claim(&self, key: &ClaimKey) -> Option<Claim> {
        self.state.claims.get(self.service, key).cloned()
    }

    fn is_live(&self, key: &RecordKey, now: Timestamp) -> bool {
        let record = self.state.records.get(self.service, key);
        record.is_some_and(|row| !row.is_outlived(now) && row.is_live(now))
    }
}

/// A [`Store`] over a [`ModelState`]. Clones share the state.
///
/// Its own time, by which it lends work, is the latest that it was told when somebody asked what there is to do.
#[derive(Debug, Clone, Default)]
pub struct ModelStore {
    state: Arc<Mutex<ModelState>>,
    lent: Arc<Mutex<Lent>>,
}

/// Who was lent which work, and until when.
#[derive(Debug, Default)]
struct Lent {
    now: Timestamp,
    leases: BTreeMap<(Work, ServiceId), (HolderId, Timestamp)>,
}

impl ModelStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that goes on from a state.
    pub fn from_state(state: ModelState) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            ..Self::default()
        }
    }

    /// What it holds now.
    pub fn state(&self) -> ModelState {
        self.state.lock().clone()
    }

    /// Changes what it holds while nobody else looks: to make a flawed store of.
    pub fn change<A>(&self, change: impl FnOnce(&mut ModelState) -> A) -> A {
        change(&mut self.state.lock())
    }

    /// [`Store::apply`] without a runtime.
    pub fn apply_now(&self, changeset: &Changeset) -> StoreAnswer {
        self.change(|state| state.apply_now(changeset))
    }
}

#[async_trait]
impl Store for ModelStore {
    async fn apply(&self, changeset: &Changeset, _within: Duration) -> StoreAnswer {
        self.apply_now(changeset)
    }

    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        let mut lent = self.lent.lock();
        lent.now = lent.now.max(now);
        let state = self.state.lock();
        let services = state.services(now).into_iter();
        let behind = services.filter(|service| after.is_none_or(|after| *service > after));
        Ok(behind.take(most).cloned().collect())
    }

    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        Ok(self.state.lock().due(service, now, most))
    }

    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        self.state.lock().put_off(service, record, now);
        Ok(())
    }

    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        Ok(self.state.lock().outbox(service, most))
    }

    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        self.state.lock().acknowledge(service, through);
        Ok(())
    }

    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        let Lent { now, leases } = &mut *self.lent.lock();
        let lease = leases.entry((work, service.clone())).or_insert((holder, *now));
        let (by, until) = *lease;
        let free = by == holder || until <= *now;
        if free {
            *lease = (holder, *now + span);
        }
        Ok(free)
    }

    async fn drop_outlived(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, StoreFault> {
        let mut state = self.state.lock();
        Ok(state.drop_outlived(|of| of == service, now, most))
    }

    async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
        let mut counted = BTreeMap::new();
        for (_, under) in self.state.lock().durable() {
            *counted.entry(under).or_default() += 1;
        }
        Ok(counted.into_iter().collect())
    }

    async fn durable_under<'a>(
        &self,
        under: WrittenUnder,
        after: Option<&'a (ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        let state = self.state.lock();
        let under = state.durable().filter(|(_, written)| *written == under);
        let behind = under.filter(|(place, _)| after.is_none_or(|after| place > after));
        Ok(behind.map(|(place, _)| place).take(most).collect())
    }

    async fn health(&self) -> Result<Origin, StoreFault> {
        Ok(self.state.lock().origin(Timestamp::ZERO))
    }
}
