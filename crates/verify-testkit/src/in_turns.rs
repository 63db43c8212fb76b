//! Several stores over one state, as several processes have them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use verify_core::event::Event;
use verify_core::ids::HolderId;
use verify_core::store::{
    Changeset, EventSeq, Origin, RecordKey, Store, StoreAnswer, StoreFault, Work, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// Asks several stores over one state in turns, each call the next one: whatever holds for one holds for all of them
/// together, or they keep something to themselves.
#[derive(Debug)]
pub struct InTurns<S> {
    stores: Vec<S>,
    next: AtomicUsize,
}

impl<S: Store> InTurns<S> {
    /// The first one, and others that were opened on the same state.
    pub fn of(first: S, others: impl IntoIterator<Item = S>) -> Self {
        Self {
            stores: std::iter::once(first).chain(others).collect(),
            next: AtomicUsize::new(0),
        }
    }

    fn store(&self) -> &S {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.stores.len();
        #[allow(
            clippy::indexing_slicing,
            reason = "there is one, and the remainder is below their number"
        )]
        &self.stores[next]
    }
}

#[async_trait]
impl<S: Store> Store for InTurns<S> {
    async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer {
        self.store().apply(changeset, within).await
    }

    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        self.store().services(now, after, most).await
    }

    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        self.store().due(service, now, most).await
    }

    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        self.store().put_off(service, record, now).await
    }

    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        self.store().outbox(service, most).await
    }

    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        self.store().acknowledge(service, through).await
    }

    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        self.store().lease(work, service, holder, span).await
    }

    async fn drop_outlived(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, StoreFault> {
        self.store().drop_outlived(service, now, most).await
    }

    async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault> {
        self.store().durable().await
    }

    async fn durable_under<'a>(
        &self,
        under: WrittenUnder,
        after: Option<&'a (ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        self.store().durable_under(under, after, most).await
    }

    async fn health(&self) -> Result<Origin, StoreFault> {
        self.store().health().await
    }
}
