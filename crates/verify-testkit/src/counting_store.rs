//! A store that counts round trips.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use verify_core::event::Event;
use verify_core::store::{Changeset, EventSeq, RecordKey, Store, StoreAnswer, StoreFault};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// Counts the changesets that are applied to the store inside. Other calls go through uncounted.
#[derive(Debug, Default)]
pub struct CountingStore<S> {
    inner: S,
    round_trips: AtomicU64,
}

impl<S> CountingStore<S> {
    /// Around a store.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            round_trips: AtomicU64::new(0),
        }
    }

    /// Changesets since the start or the last call of [`CountingStore::take_round_trips`], whatever the answer.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::SeqCst)
    }

    /// The same, and begins anew.
    pub fn take_round_trips(&self) -> u64 {
        self.round_trips.swap(0, Ordering::SeqCst)
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

#[async_trait]
impl<S: Store> Store for CountingStore<S> {
    async fn apply(&self, changeset: &Changeset) -> StoreAnswer {
        self.round_trips.fetch_add(1, Ordering::SeqCst);
        self.inner.apply(changeset).await
    }

    async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        self.inner.due(now, most).await
    }

    async fn outbox(&self, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        self.inner.outbox(most).await
    }

    async fn acknowledge(&self, through: EventSeq) -> Result<(), StoreFault> {
        self.inner.acknowledge(through).await
    }

    async fn health(&self) -> Result<(), StoreFault> {
        self.inner.health().await
    }
}
