//! The calls to the outside world, each under its step's deadline, each with the safe answer when it fails.
//!
//! A call that began and was dropped may have happened: `Unknown`. One that never began surely did not.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use verify_core::flow::{FLOW_BUDGET, Heard, NotBegun, Resting, Step};
use verify_core::port::{Clock, HumanCheck, Provider, ProviderName, RiskScorer};
use verify_core::store::{Changeset, Origin, Store, StoreAnswer, StoreFault};
use verify_core::time::Timestamp;

use crate::carrier::{Calling, Carrier, Said, Verb};
use crate::driver::FlowClock;
use crate::meters::Meters;
use crate::store_watch::{StoreWatch, Trip};
use crate::telemetry::{self, StoreTrouble};

/// Kept of a flow's time for writing down what came of a call: a provider that hangs must not cost the record too.
const TO_SETTLE: Duration = Duration::from_secs(2);

/// A provider's call is dropped after this, however much of the flow's time is left: a person waits.
pub(crate) const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);

/// The same for risk scorers and the human check.
const ASSESS_TIMEOUT: Duration = Duration::from_secs(3);

/// Everything that a flow may ask.
pub(crate) struct Outside {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) store_timeout: Duration,
    pub(crate) store_watch: StoreWatch,
    pub(crate) carriers: BTreeMap<ProviderName, Carrier>,
    pub(crate) scorers: Vec<Arc<dyn RiskScorer>>,
    pub(crate) human_check: Arc<dyn HumanCheck>,
    pub(crate) meters: Meters,
}

impl Outside {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells a recorder that was not there before what everything means, and where each breaker stands.
    pub(crate) fn introduce_metrics(&self) {
        if !self.meters.have_a_new_recorder() {
            return;
        }
        telemetry::describe();
        let now = self.now();
        for carrier in self.carriers.values() {
            for verb in Verb::THAT_REST {
                let open = carrier.rests_until(verb, now).is_some();
                telemetry::breaker(carrier.name(), verb.as_str(), open);
            }
        }
    }

    /// How long an outside call may still take. A clock that was set back does not stretch it.
    fn left(&self, not_after: Timestamp) -> Duration {
        not_after.since(self.now()).min(FLOW_BUDGET)
    }

    /// How long a provider's call may take.
    fn left_to_call(&self, not_after: Timestamp) -> Duration {
        self.left(not_after)
            .saturating_sub(TO_SETTLE)
            .min(PROVIDER_TIMEOUT)
    }

    /// How long a question about a send may take.
    pub(crate) fn left_to_assess(&self, not_after: Timestamp) -> Duration {
        self.left(not_after).saturating_sub(TO_SETTLE).min(ASSESS_TIMEOUT)
    }

    /// Providers whose breakers are open; for what may not probe one, those too whose breakers would let a probe through.
    pub(crate) fn resting(&self, may_probe: bool) -> Resting {
        let now = self.now();
        let by = |rests: &dyn Fn(&Carrier) -> Option<Timestamp>| {
            let carriers = self.carriers.values();
            let rest = carriers.filter_map(|carrier| Some((carrier.name().clone(), rests(carrier)?)));
            rest.collect()
        };
        Resting {
            sends: by(&|carrier| match may_probe {
                true => carrier.rests_until(Verb::Dispatch, now),
                false => carrier.rests_unprobed_until(now),
            }),
            compares: by(&|carrier| carrier.rests_until(Verb::Compare, now)),
        }
    }

    /// Asks a provider how it is, where its breaker waits for that.
    pub(crate) async fn probe(&self, provider: &ProviderName) {
        if let Some(carrier) = self.carriers.get(provider) {
            carrier.probe(&*self.clock).await;
        }
    }

    /// Asks what a step asks, within its deadline, and hands back what was heard.
    pub(crate) async fn take(&self, step: Step, clock: &mut FlowClock<'_>) -> Step {
        match step {
            Step::Store(it) => {
                let heard = self.apply(it.changeset(), it.not_after()).await;
                it.hear(clock.now(), heard)
            }
            Step::Assess(it) => {
                let heard = self.assess(it.question(), it.not_after()).await;
                it.hear(clock.now(), heard)
            }
            Step::Dispatch(it) => {
                let (request, call) = (it.request(), Verb::Dispatch);
                let heard = self
                    .call(&request.provider, it.not_after(), call, |provider| {
                        provider.dispatch(request)
                    })
                    .await;
                it.hear(clock.now(), heard)
            }
            Step::Compare(it) => {
                let (request, call) = (it.request(), Verb::Compare);
                let heard = self
                    .call(&request.provider, it.not_after(), call, |provider| {
                        provider.compare(request)
                    })
                    .await;
                it.hear(clock.now(), heard)
            }
            Step::Inquire(it) => {
                let (request, call) = (it.request(), Verb::Inquire);
                let heard = self
                    .call(&request.provider, it.not_after(), call, |provider| {
                        provider.inquire(request)
                    })
                    .await;
                it.hear(clock.now(), heard)
            }
            Step::Conclude(it) => {
                let (request, call) = (it.request(), Verb::Conclude);
                let heard = self
                    .call(&request.provider, it.not_after(), call, |provider| {
                        provider.conclude(request)
                    })
                    .await;
                it.hear(clock.now(), heard)
            }
            // Whoever drives answers, and takes what is left from there.
            Step::Answer(it) => it.resume(clock.now(), ()),
            Step::Done(outcome) => Step::Done(outcome),
        }
    }

    async fn apply(&self, changeset: &Changeset, not_after: Timestamp) -> Heard<StoreAnswer> {
        let most = self.left(not_after).min(self.store_timeout);
        if most.is_zero() {
            telemetry::store_failed("apply", StoreTrouble::TooLate, "");
            return Heard::NotBegun(NotBegun::TooLate);
        }
        let (at, began) = (self.now(), Instant::now());
        // The store gives up by itself what it has not begun: its word is better than the silence of a call that was
        // dropped, which may have happened.
        let within = most - most / 4;
        let answer = timeout(most, self.store.apply(changeset, within)).await;
        let took = began.elapsed();
        self.meters.store_called("apply", took.as_secs_f64());
        match &answer {
            // A store without a clock goes by the changeset's own time, which may be a later stamp than the clock's.
            Ok(StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen))
                if seen.origin.clock != changeset.at =>
            {
                self.store_watch.saw_clock(seen.origin.clock, Trip { at, took });
            }
            Ok(StoreAnswer::Applied(_) | StoreAnswer::Refused(_)) => {}
            Ok(StoreAnswer::NotApplied(fault)) => fault_noted("apply", fault),
            Ok(StoreAnswer::Unknown(words)) => {
                telemetry::store_failed("apply", StoreTrouble::Unknown, words.message());
            }
            Err(_elapsed) => {
                telemetry::store_failed("apply", StoreTrouble::Unknown, "dropped at its deadline")
            }
        }
        answer.map_or(Heard::Lost, Heard::Answer)
    }

    /// Asks the store how it is, and remembers where what it holds comes from and how far its clock is from this one.
    pub(crate) async fn look_at_store(&self) -> Result<Origin, StoreFault> {
        let (at, began) = (self.now(), Instant::now());
        let origin = self.ask_store("health", self.store.health()).await?;
        let trip = Trip {
            at,
            took: began.elapsed(),
        };
        if let Some(difference) = self.store_watch.difference(origin.clock, trip) {
            telemetry::clock_difference(difference);
        }
        telemetry::epoch(&origin);
        self.store_watch.saw_clock(origin.clock, trip);
        self.store_watch.saw_origin(&origin);
        Ok(origin)
    }

    /// Any other call of the store. One that takes too long is as good as failed: none of them decides anything.
    pub(crate) async fn ask_store<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreFault>>,
    ) -> Result<T, StoreFault> {
        let began = Instant::now();
        let answer = timeout(self.store_timeout, call)
            .await
            .unwrap_or_else(|_| Err(StoreFault::unavailable("dropped at its deadline")));
        self.meters.store_called(operation, began.elapsed().as_secs_f64());
        answer.inspect_err(|fault| fault_noted(operation, fault))
    }

    /// Calls a provider.
    async fn call<'a, T: Said>(
        &'a self,
        provider: &ProviderName,
        not_after: Timestamp,
        call: Verb,
        make: impl FnOnce(&'a dyn Provider) -> Calling<'a, T> + Send,
    ) -> Heard<T> {
        match self.carriers.get(provider) {
            Some(carrier) => {
                let left = || self.left_to_call(not_after);
                carrier.call(&*self.clock, left, call, make).await
            }
            None => Heard::NotBegun(NotBegun::Unregistered),
        }
    }
}

fn fault_noted(operation: &'static str, fault: &StoreFault) {
    let trouble = StoreTrouble::Fault(fault.as_str());
    telemetry::store_failed(operation, trouble, fault.detail().message());
}
