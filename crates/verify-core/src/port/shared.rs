//! A shared port is a port: whoever hands one to an engine can keep an `Arc` of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::event::Event;
use crate::ids::HolderId;
use crate::keys::Keys;
use crate::outcome::{Explanation, RefusalCode};
use crate::seed::Seed;
use crate::store::{
    Changeset, EventSeq, Origin, RecordKey, Store, StoreAnswer, StoreFault, Work, WrittenUnder,
};
use crate::time::Timestamp;
use crate::vocabulary::ServiceId;

#[async_trait]
impl<T: Store + ?Sized> Store for Arc<T> {
    async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer {
        (**self).apply(changeset, within).await
    }

    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault> {
        (**self).services(now, after, most).await
    }

    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        (**self).due(service, now, most).await
    }

    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        (**self).put_off(service, record, now).await
    }

    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        (**self).outbox(service, most).await
    }

    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault> {
        (**self).acknowledge(service, through).await
    }

    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault> {
        (**self).lease(work, service, holder, span).await
    }

    async fn drop_outlived(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, StoreFault> {
        (**self).drop_outlived(service, now, most).await
    }

    async fn durable_under_others(
        &self,
        service: &ServiceId,
        newest: WrittenUnder,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault> {
        (**self).durable_under_others(service, newest, most).await
    }

    async fn health(&self) -> Result<Origin, StoreFault> {
        (**self).health().await
    }
}

#[async_trait]
impl<T: Provider + ?Sized> Provider for Arc<T> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        (**self).dispatch(request).await
    }

    async fn compare(&self, request: &CompareRequest) -> Compared {
        (**self).compare(request).await
    }

    async fn inquire(&self, request: &InquireRequest) -> Inquired {
        (**self).inquire(request).await
    }

    async fn conclude(&self, request: &ConcludeRequest) -> Concluded {
        (**self).conclude(request).await
    }

    async fn health(&self) -> Result<(), Rejection> {
        (**self).health().await
    }
}

#[async_trait]
impl<T: RiskScorer + ?Sized> RiskScorer for Arc<T> {
    async fn assess(&self, request: &AssessRequest) -> Result<Assessment, Unavailable> {
        (**self).assess(request).await
    }
}

#[async_trait]
impl<T: HumanCheck + ?Sized> HumanCheck for Arc<T> {
    fn is_configured(&self) -> bool {
        (**self).is_configured()
    }

    async fn verify(&self, request: &HumanRequest) -> Result<bool, Unavailable> {
        (**self).verify(request).await
    }
}

#[async_trait]
impl<T: EventSink + ?Sized> EventSink for Arc<T> {
    async fn take(&self, events: &[Event]) -> bool {
        (**self).take(events).await
    }
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

impl<T: Entropy + ?Sized> Entropy for Arc<T> {
    fn seed(&self) -> [u8; Seed::BYTES] {
        (**self).seed()
    }
}

impl<T: KeySource + ?Sized> KeySource for Arc<T> {
    fn keys(&self) -> Arc<Keys> {
        (**self).keys()
    }
}

impl<T: RefusalSink + ?Sized> RefusalSink for Arc<T> {
    fn refused(&self, code: RefusalCode, explanation: &Explanation) {
        (**self).refused(code, explanation);
    }
}
