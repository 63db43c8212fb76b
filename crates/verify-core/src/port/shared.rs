//! A shared port is a port: whoever hands one to an engine can keep an `Arc` of it.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::event::Event;
use crate::keys::Keys;
use crate::outcome::Explanation;
use crate::store::{Changeset, EventSeq, RecordKey, Store, StoreAnswer, StoreFault};
use crate::time::Timestamp;
use crate::vocabulary::ServiceId;

#[async_trait]
impl<T: Store + ?Sized> Store for Arc<T> {
    async fn apply(&self, changeset: &Changeset) -> StoreAnswer {
        (**self).apply(changeset).await
    }

    async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        (**self).due(now, most).await
    }

    async fn outbox(&self, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        (**self).outbox(most).await
    }

    async fn acknowledge(&self, through: EventSeq) -> Result<(), StoreFault> {
        (**self).acknowledge(through).await
    }

    async fn health(&self) -> Result<(), StoreFault> {
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

    async fn verify(&self, token: &str, ip: Option<IpAddr>) -> Result<bool, Unavailable> {
        (**self).verify(token, ip).await
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
    fn seed(&self) -> [u8; 32] {
        (**self).seed()
    }
}

impl<T: KeySource + ?Sized> KeySource for Arc<T> {
    fn keys(&self) -> Arc<Keys> {
        (**self).keys()
    }
}

impl<T: RefusalSink + ?Sized> RefusalSink for Arc<T> {
    fn refused(&self, explanation: &Explanation) {
        (**self).refused(explanation);
    }
}
