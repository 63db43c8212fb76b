//! The simplest store there is: ordered maps behind one lock. What a store means, for tests and simulations.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::event::Event;
use verify_core::limit::Counter;
use verify_core::store::{
    Changeset, Claim, ClaimKey, CounterKey, EventSeq, RecordKey, Row, Store, StoreAnswer, StoreFault, View,
    Write, evaluate,
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
    events: BTreeMap<u64, Event>,
    last_version: u64,
    last_event: u64,
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
        self.last_version += u64::from(
            changeset
                .records
                .iter()
                .any(|change| matches!(change.write, Write::Put(_))),
        );
        let counters = decided
            .counters
            .into_iter()
            .map(|(key, state, expires_at)| (key, Some(KeptCounter { state, expires_at })));
        write(&mut self.counters, service, counters);
        write(&mut self.records, service, decided.records);
        write(&mut self.claims, service, decided.claims);
        for event in &changeset.events {
            self.last_event += 1;
            self.events.insert(self.last_event, event.clone());
        }
        StoreAnswer::Applied(decided.seen)
    }

    /// As [`Store::due`].
    pub fn due(&self, now: Timestamp, most: usize) -> Vec<(ServiceId, RecordKey)> {
        let there = self.records.iter().filter(|(_, row)| !row.is_outlived(now));
        let mut due: Vec<_> = there.filter_map(|(key, row)| Some((row.due?, key))).collect();
        due.retain(|(due, _)| *due <= now);
        due.sort_unstable();
        due.into_iter()
            .take(most)
            .map(|(_, (service, key))| (service.clone(), *key))
            .collect()
    }

    /// As [`Store::outbox`].
    pub fn outbox(&self, most: usize) -> Vec<(EventSeq, Event)> {
        self.events
            .iter()
            .take(most)
            .map(|(seq, event)| (EventSeq(*seq), event.clone()))
            .collect()
    }

    /// As [`Store::acknowledge`].
    pub fn acknowledge(&mut self, through: EventSeq) {
        self.events.retain(|seq, _| *seq > through.0);
    }

    /// Drops all that is outlived at this instant. What is left when everything should have ended never ends.
    pub fn purge(&mut self, at: Timestamp) {
        self.counters.retain(|_, kept| kept.expires_at > at);
        self.records.retain(|_, row| !row.is_outlived(at));
        self.claims.retain(|_, claim| claim.expires_at > at);
    }

    /// Drops the counters for which this is true, as no sound store does: to make a flawed one of.
    pub fn forget_counters(&mut self, gone: impl Fn(&CounterKey, &Counter) -> bool) {
        self.counters.retain(|key, kept| !gone(key, &kept.state));
    }

    /// Puts other counters in the place of these, as no sound store does: to make a flawed one of.
    pub fn swap_counters(&mut self, other: &mut ByService<CounterKey, KeptCounter>) {
        std::mem::swap(&mut self.counters, other);
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
    pub fn events(&self) -> &BTreeMap<u64, Event> {
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
#[derive(Debug, Clone, Default)]
pub struct ModelStore {
    state: Arc<Mutex<ModelState>>,
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
        }
    }

    /// What it holds now.
    pub fn state(&self) -> ModelState {
        self.state.lock().clone()
    }

    /// [`Store::apply`] without a runtime.
    pub fn apply_now(&self, changeset: &Changeset) -> StoreAnswer {
        self.state.lock().apply_now(changeset)
    }
}

#[async_trait]
impl Store for ModelStore {
    async fn apply(&self, changeset: &Changeset) -> StoreAnswer {
        self.apply_now(changeset)
    }

    async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        Ok(self.state.lock().due(now, most))
    }

    async fn outbox(&self, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        Ok(self.state.lock().outbox(most))
    }

    async fn acknowledge(&self, through: EventSeq) -> Result<(), StoreFault> {
        self.state.lock().acknowledge(through);
        Ok(())
    }

    async fn health(&self) -> Result<(), StoreFault> {
        Ok(())
    }
}
