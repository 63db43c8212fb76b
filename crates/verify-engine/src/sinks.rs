//! Who takes events out of an outbox: whoever has a sink for them. An engine without one drops them, and only where no engine with
//! one was seen: they are that one's, also while it is away.
//!
//! The store knows of sinks by a lease that all engines with one hold together, and that one without asks for and does not take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use verify_core::ids::HolderId;
use verify_core::store::{StoreFault, Work};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::engine::Engine;
use crate::telemetry;

/// Whoever has a sink.
const ANY: HolderId = HolderId::from_bytes(*b"verify: any sink");
/// For how long events are kept for a sink that is away.
const KEPT_FOR: Duration = Duration::from_secs(7 * 86_400);
/// How often an engine with a sink says that it is there.
const SAID_EACH: Duration = Duration::from_secs(60);

/// What an engine knows of its own sink and of others'.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    /// When this engine said last that it has one.
    said: Mutex<Option<Timestamp>>,
    /// Whether it may take events, as it was found first; asked again for as long as it may not.
    may_take: Mutex<Option<bool>>,
    warned: AtomicBool,
}

impl Engine {
    /// Says that this engine's sink is there; without one learns whether it was alone when it began, or is since.
    pub(crate) async fn learn_of_sinks(&self) -> Result<(), StoreFault> {
        let has_one = self.inner.event_sink.is_some();
        match has_one || *self.inner.sinks.may_take.lock() != Some(true) {
            true => self.may_take_events().await.map(drop),
            false => Ok(()),
        }
    }

    /// True when it has no sink, and began beside an engine that has one for which events are still kept.
    pub(crate) fn lacks_a_sink(&self) -> bool {
        *self.inner.sinks.may_take.lock() == Some(false)
    }

    /// Whether events are this engine's to take.
    pub(crate) async fn may_take_events(&self) -> Result<bool, StoreFault> {
        let sinks = &self.inner.sinks;
        let may = match self.inner.event_sink.is_some() {
            true => {
                self.say_that_a_sink_is_here().await?;
                true
            }
            false => self.lease_of_sinks(self.inner.holder, Duration::ZERO).await?,
        };
        {
            let mut may_take = sinks.may_take.lock();
            *may_take = Some(may || *may_take == Some(true));
        }
        if !may && !sinks.warned.swap(true, Ordering::Relaxed) {
            tracing::error!(
                target: telemetry::TARGET_BACKGROUND,
                "this engine has no event sink, and another one on its store has: events are left to that one; give this engine \
                 the same sink (EngineBuilder::event_sink)"
            );
        }
        Ok(may)
    }

    async fn say_that_a_sink_is_here(&self) -> Result<(), StoreFault> {
        let now = self.now();
        let last = *self.inner.sinks.said.lock();
        let is_due = last.is_none_or(|last| now.since(last).max(last.since(now)) >= SAID_EACH);
        if is_due {
            let is_heard = self.lease_of_sinks(ANY, KEPT_FOR).await?;
            // Else somebody without one was just asking, by a clock that was ahead.
            *self.inner.sinks.said.lock() = is_heard.then_some(now);
        }
        Ok(())
    }

    /// Of the whole store, in the place of the service that there always is.
    async fn lease_of_sinks(&self, holder: HolderId, span: Duration) -> Result<bool, StoreFault> {
        let (outside, everybody) = (&self.inner.outside, ServiceId::default());
        let lease = outside.store.lease(Work::Sink, &everybody, holder, span);
        outside.ask_store("lease", lease).await
    }
}
