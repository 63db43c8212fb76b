//! The model store: the whole contract over sorted maps, and nothing else. What other stores are held to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::event::Event;
use verify_core::limit::Counter;
use verify_core::store::{
    Changeset, Claim, ClaimKey, CounterKey, EventSeq, RecordKey, Row, Store, StoreAnswer, StoreFault, View,
    evaluate,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// All that a model store holds: comparable, hashable, cheap enough to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Snapshot {
    /// By service.
    pub services: BTreeMap<ServiceId, Shelf>,
    /// Events not acknowledged.
    pub events: Vec<(u64, Event)>,
    /// The last version given.
    pub version: u64,
    /// The last event's place.
    pub seq: u64,
}

/// What one service has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shelf {
    /// Counters, with the instant at which they may be forgotten.
    pub counters: BTreeMap<CounterKey, (Counter, Timestamp)>,
    /// Records.
    pub records: BTreeMap<RecordKey, Row>,
    /// Claims.
    pub claims: BTreeMap<ClaimKey, Claim>,
}

impl View for Shelf {
    fn counter(&self, key: &CounterKey) -> Option<Counter> {
        self.counters.get(key).map(|(counter, _)| counter.clone())
    }

    fn record(&self, key: &RecordKey) -> Option<Row> {
        self.records.get(key).cloned()
    }

    fn claim(&self, key: &ClaimKey) -> Option<Claim> {
        self.claims.get(key).cloned()
    }
}

/// The simplest store that keeps the contract. It forgets nothing and has no cap: a model, not for production.
#[derive(Debug, Default)]
pub struct ModelStore {
    held: Mutex<Snapshot>,
}

impl Clone for ModelStore {
    fn clone(&self) -> Self {
        Self {
            held: Mutex::new(self.snapshot()),
        }
    }
}

impl ModelStore {
    /// A copy of all that it holds.
    pub fn snapshot(&self) -> Snapshot {
        self.held.lock().clone()
    }

    /// Applies a changeset, without a runtime.
    pub fn apply_now(&self, changeset: &Changeset) -> StoreAnswer {
        let mut held = self.held.lock();
        let version = held.version + 1;
        let shelf = held.services.entry(changeset.service.clone()).or_default();
        let evaluation = evaluate(changeset, shelf, version);
        if !evaluation.applied {
            return StoreAnswer::Refused(evaluation.seen);
        }
        for (key, counter, until) in evaluation.counters {
            shelf.counters.insert(key, (counter, until));
        }
        for (key, row) in evaluation.records {
            match row {
                Some(row) => drop(shelf.records.insert(key, row)),
                None => drop(shelf.records.remove(&key)),
            }
        }
        for (key, claim) in evaluation.claims {
            match claim {
                Some(claim) => drop(shelf.claims.insert(key, claim)),
                None => drop(shelf.claims.remove(&key)),
            }
        }
        held.version = version;
        for event in &changeset.events {
            held.seq += 1;
            let seq = held.seq;
            held.events.push((seq, event.clone()));
        }
        StoreAnswer::Applied(evaluation.seen)
    }
}

#[async_trait]
impl Store for ModelStore {
    async fn apply(&self, changeset: &Changeset) -> StoreAnswer {
        self.apply_now(changeset)
    }

    async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        let held = self.held.lock();
        let rows = held.services.iter().flat_map(|(service, shelf)| {
            shelf
                .records
                .iter()
                .map(move |(key, row)| (row.due, service, key, row))
        });
        let mut due: Vec<_> = rows
            .filter(|(due, _, _, row)| due.is_some_and(|due| due <= now) && !row.is_outlived(now))
            .map(|(due, service, key, _)| (due, service.clone(), *key))
            .collect();
        due.sort();
        Ok(due
            .into_iter()
            .take(most)
            .map(|(_, service, key)| (service, key))
            .collect())
    }

    async fn outbox(&self, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        let held = self.held.lock();
        Ok(held
            .events
            .iter()
            .take(most)
            .map(|(seq, event)| (EventSeq(*seq), event.clone()))
            .collect())
    }

    async fn acknowledge(&self, through: EventSeq) -> Result<(), StoreFault> {
        self.held.lock().events.retain(|(seq, _)| *seq > through.0);
        Ok(())
    }

    async fn health(&self) -> Result<(), StoreFault> {
        Ok(())
    }
}
