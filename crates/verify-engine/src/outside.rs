//! The calls to the outside world, each under its step's deadline, each with the safe answer when it fails.
//!
//! A call that began and was dropped may have happened: `Unknown`. One that never began surely did not.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use verify_core::flow::FLOW_BUDGET;
use verify_core::port::{
    Clock, CompareRequest, Compared, ConcludeRequest, Concluded, Detail, DispatchRequest, Dispatched,
    HumanCheck, InquireRequest, Inquired, ProviderName, Rejection, RejectionKind, RiskScorer,
};
use verify_core::store::{Changeset, Store, StoreAnswer, StoreFault};
use verify_core::time::Timestamp;

use crate::carrier::{Carrier, Gate, NotCalled, Tried};
use crate::meters::Meters;
use crate::telemetry::{self, StoreTrouble};

/// Kept of a flow's time for writing down what came of a call: a provider that hangs must not cost the record too.
const TO_SETTLE: Duration = Duration::from_secs(2);

/// A provider's call is dropped after this, however much of the flow's time is left: a person waits.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);

/// The same for risk scorers and the human check.
const ASSESS_TIMEOUT: Duration = Duration::from_secs(3);

/// Everything that a flow may ask.
pub(crate) struct Outside {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) store_timeout: Duration,
    pub(crate) carriers: BTreeMap<ProviderName, Carrier>,
    pub(crate) scorers: Vec<Arc<dyn RiskScorer>>,
    pub(crate) human_check: Arc<dyn HumanCheck>,
    pub(crate) meters: Meters,
}

impl Outside {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
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

    /// Providers whose breaker is open.
    pub(crate) fn open_breakers(&self) -> BTreeSet<ProviderName> {
        let now = self.now();
        self.carriers
            .values()
            .filter(|carrier| carrier.is_open(now))
            .map(|carrier| carrier.name().clone())
            .collect()
    }

    pub(crate) async fn apply(&self, changeset: &Changeset, not_after: Timestamp) -> StoreAnswer {
        let most = self.left(not_after).min(self.store_timeout);
        if most.is_zero() {
            telemetry::store_failed("apply", StoreTrouble::TooLate);
            return StoreAnswer::NotApplied(StoreFault::Unavailable);
        }
        let began = Instant::now();
        let answer = timeout(most, self.store.apply(changeset))
            .await
            .unwrap_or(StoreAnswer::Unknown);
        self.meters.store_called("apply", began.elapsed().as_secs_f64());
        match &answer {
            StoreAnswer::Applied(_) | StoreAnswer::Refused(_) => {}
            StoreAnswer::NotApplied(fault) => telemetry::store_failed("apply", StoreTrouble::Fault(*fault)),
            StoreAnswer::Unknown => telemetry::store_failed("apply", StoreTrouble::Unknown),
        }
        answer
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
            .unwrap_or(Err(StoreFault::Unavailable));
        self.meters.store_called(operation, began.elapsed().as_secs_f64());
        answer.inspect_err(|fault| telemetry::store_failed(operation, StoreTrouble::Fault(*fault)))
    }

    pub(crate) async fn dispatch(&self, request: &DispatchRequest, not_after: Timestamp) -> Dispatched {
        let Some(carrier) = self.carriers.get(&request.provider) else {
            return not_sent(NotCalled::Unregistered);
        };
        let tried = carrier
            .call(
                &*self.clock,
                || self.left_to_call(not_after),
                ("dispatch", Gate::Breaker),
                |provider| provider.dispatch(request),
            )
            .await;
        match tried {
            Tried::Answered(said) => said,
            Tried::TimedOut => Dispatched::Unknown(timed_out()),
            Tried::NotCalled(why) => not_sent(why),
        }
    }

    pub(crate) async fn compare(&self, request: &CompareRequest, not_after: Timestamp) -> Compared {
        let not_asked = |why: NotCalled| Compared::NotAsked(Detail::new(None, why.text()));
        let Some(carrier) = self.carriers.get(&request.provider) else {
            return not_asked(NotCalled::Unregistered);
        };
        let tried = carrier
            .call(
                &*self.clock,
                || self.left_to_call(not_after),
                ("compare", Gate::Breaker),
                |provider| provider.compare(request),
            )
            .await;
        match tried {
            Tried::Answered(said) => said,
            Tried::TimedOut => Compared::Unknown(timed_out()),
            Tried::NotCalled(why) => not_asked(why),
        }
    }

    pub(crate) async fn inquire(&self, request: &InquireRequest, not_after: Timestamp) -> Inquired {
        let Some(carrier) = self.carriers.get(&request.provider) else {
            return Inquired::Unknown;
        };
        let tried = carrier
            .call(
                &*self.clock,
                || self.left_to_call(not_after),
                ("inquire", Gate::None),
                |provider| provider.inquire(request),
            )
            .await;
        match tried {
            Tried::Answered(said) => said,
            Tried::TimedOut | Tried::NotCalled(_) => Inquired::Unknown,
        }
    }

    pub(crate) async fn conclude(&self, request: &ConcludeRequest, not_after: Timestamp) -> Concluded {
        let unknown = |why: NotCalled| Concluded::Unknown(Detail::new(None, why.text()));
        let Some(carrier) = self.carriers.get(&request.provider) else {
            return unknown(NotCalled::Unregistered);
        };
        let tried = carrier
            .call(
                &*self.clock,
                || self.left_to_call(not_after),
                ("conclude", Gate::None),
                |provider| provider.conclude(request),
            )
            .await;
        match tried {
            Tried::Answered(said) => said,
            Tried::TimedOut => Concluded::Unknown(timed_out()),
            Tried::NotCalled(why) => unknown(why),
        }
    }
}

fn timed_out() -> Detail {
    Detail::new(None, "dropped at its deadline")
}

fn not_sent(why: NotCalled) -> Dispatched {
    let kind = match why {
        NotCalled::Unregistered => RejectionKind::Misconfigured,
        NotCalled::Paced => RejectionKind::AccountQuota,
        NotCalled::TooLate | NotCalled::BreakerOpen => RejectionKind::Down,
    };
    Dispatched::Rejected(Rejection {
        kind,
        retry_after: None,
        detail: Detail::new(None, why.text()),
    })
}
