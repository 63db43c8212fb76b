//! A provider as the engine holds it: with its breaker, its pace, and what its answers say about it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use verify_core::flow::{Heard, NotBegun};
use verify_core::port::{
    Blame, Capabilities, Clock, Compared, Concluded, Dispatched, Inquired, Provider, ProviderName, Rejection,
};
use verify_core::time::Timestamp;

use crate::breaker::{Breaker, Leave, Verdict};
use crate::rate::Pacer;
use crate::telemetry;

/// Refused credentials keep readiness red for this long after the last refusal.
const OPERATOR_FAULT_LASTS: Duration = Duration::from_secs(60);

/// A call in flight, as `async-trait` makes them.
pub(crate) type Calling<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A provider, and what the engine knows about it.
pub(crate) struct Carrier {
    pub(crate) capabilities: Capabilities,
    pub(crate) provider: Arc<dyn Provider>,
    pacer: Option<Pacer>,
    breaker: Mutex<Breaker>,
    /// When it last blamed credentials or configuration, in milliseconds; 0 for never, or not any more.
    operator_fault: AtomicU64,
}

/// Whether a call asks the breaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Yes: a person waits for it, and is better refused than kept waiting.
    Breaker,
    /// No: a repair, which nobody waits for.
    None,
}

impl Carrier {
    pub(crate) fn new(provider: Arc<dyn Provider>, capabilities: Capabilities, pacer: Option<Pacer>) -> Self {
        Self {
            capabilities,
            provider,
            pacer,
            breaker: Mutex::default(),
            operator_fault: AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &ProviderName {
        &self.capabilities.name
    }

    /// True while its breaker keeps every call away.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.breaker.lock().is_open(now)
    }

    /// True when it blamed credentials or configuration a moment ago, and no answer since shows that they are taken.
    ///
    /// It ends by itself: who is taken out of service for it gets no calls that could show the opposite.
    pub(crate) fn has_operator_fault(&self, now: Timestamp) -> bool {
        let at = self.operator_fault.load(Ordering::Relaxed);
        at != 0 && now.since(Timestamp::from_millis(at)) < OPERATOR_FAULT_LASTS
    }

    /// Calls it: in turn, with the breaker's leave, within the deadline.
    pub(crate) async fn call<'a, T: Said>(
        &'a self,
        clock: &dyn Clock,
        left: impl Fn() -> Duration + Send,
        (verb, gate): (&'static str, Gate),
        make: impl FnOnce(&'a dyn Provider) -> Calling<'a, T> + Send,
    ) -> Heard<T> {
        let heard = self.try_call(clock, left, (verb, gate), make).await;
        let word = match &heard {
            Heard::Answer(said) => said.word(),
            Heard::Lost => "timed_out",
            Heard::NotBegun(why) => why.as_str(),
        };
        telemetry::provider_said(self.name(), verb, word);
        heard
    }

    async fn try_call<'a, T: Said>(
        &'a self,
        clock: &dyn Clock,
        left: impl Fn() -> Duration + Send,
        (verb, gate): (&'static str, Gate),
        make: impl FnOnce(&'a dyn Provider) -> Calling<'a, T> + Send,
    ) -> Heard<T> {
        if let Some(pacer) = &self.pacer
            && !pacer.turn(left()).await
        {
            return Heard::NotBegun(NotBegun::Paced);
        }
        let most = left();
        if most.is_zero() {
            return Heard::NotBegun(NotBegun::TooLate);
        }
        let leave = match gate {
            Gate::Breaker => self.breaker.lock().leave(clock.now()),
            Gate::None => Some(Leave::Ordinary),
        };
        let Some(leave) = leave else {
            return Heard::NotBegun(NotBegun::BreakerOpen);
        };
        let call = Call {
            carrier: self,
            clock,
            leave,
            verdict: Verdict::Faulty,
        };
        let began = Instant::now();
        let answer = timeout(most, make(self.provider.as_ref())).await;
        telemetry::provider_called(self.name(), verb, began.elapsed());
        match answer {
            Ok(said) => {
                self.note_operator_fault(&said, clock.now());
                call.ended(said.verdict());
                Heard::Answer(said)
            }
            Err(_elapsed) => Heard::Lost,
        }
    }

    fn note_operator_fault(&self, said: &impl Said, now: Timestamp) {
        let Some(fault) = said.operator_fault() else {
            return;
        };
        let before = self
            .operator_fault
            .swap(if fault { now.as_millis().max(1) } else { 0 }, Ordering::Relaxed);
        if fault && before == 0 {
            tracing::warn!(target: telemetry::TARGET_PROVIDER, provider = %self.name(),
                "the provider refuses our credentials or configuration; correct them, sends by it fail until then");
        } else if !fault && before != 0 {
            tracing::info!(target: telemetry::TARGET_PROVIDER, provider = %self.name(),
                "the provider takes our credentials and configuration again");
        }
    }

    fn record(&self, leave: Leave, verdict: Verdict, now: Timestamp) {
        let (changed, open) = {
            let mut breaker = self.breaker.lock();
            (breaker.record(leave, verdict, now), breaker.is_open(now))
        };
        if changed {
            telemetry::breaker(self.name(), open);
            tracing::warn!(target: telemetry::TARGET_PROVIDER, provider = %self.name(), open, "the breaker switched");
        }
    }
}

/// A call in flight. One that never ends (dropped at its deadline, or with its task) counts as the provider's fault,
/// so that a probe cannot get lost.
struct Call<'a> {
    carrier: &'a Carrier,
    clock: &'a dyn Clock,
    leave: Leave,
    verdict: Verdict,
}

impl Call<'_> {
    fn ended(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.carrier.record(self.leave, self.verdict, self.clock.now());
    }
}

/// What an answer says about the provider itself.
pub(crate) trait Said: Send {
    /// For its breaker.
    fn verdict(&self) -> Verdict;
    /// For metrics.
    fn word(&self) -> &'static str;
    /// Whether it blames credentials or configuration; `None` when it does not tell.
    fn operator_fault(&self) -> Option<bool>;
}

impl Said for Dispatched {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Rejected(rejection) if rejection.kind.trips_breaker() => Verdict::Faulty,
            Self::Accepted { .. } | Self::Rejected(_) => Verdict::Sound,
            Self::Unknown(_) => Verdict::Faulty,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Rejected(rejection) => rejection.kind.as_str(),
            Self::Unknown(_) => "unknown",
        }
    }

    fn operator_fault(&self) -> Option<bool> {
        match self {
            Self::Accepted { .. } => Some(false),
            Self::Rejected(rejection) => blames_operator(rejection),
            Self::Unknown(_) => None,
        }
    }
}

/// What a rejection says about credentials and configuration; one that came before they were looked at says nothing.
pub(crate) fn blames_operator(rejection: &Rejection) -> Option<bool> {
    match rejection.kind.blame() {
        Blame::Operator => Some(true),
        Blame::Destination => Some(false),
        Blame::Caller | Blame::Provider | Blame::Quota => None,
    }
}

impl Said for Compared {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Match | Self::NoMatch | Self::Gone => Verdict::Sound,
            // Down, over its quota, or refusing our credentials: it cannot be told apart here, and only the first
            // would be its fault.
            Self::NotAsked(_) => Verdict::Silent,
            Self::Unknown(_) => Verdict::Faulty,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::NoMatch => "no_match",
            Self::Gone => "gone",
            Self::NotAsked(_) => "not_asked",
            Self::Unknown(_) => "unknown",
        }
    }

    fn operator_fault(&self) -> Option<bool> {
        match self {
            Self::Match | Self::NoMatch => Some(false),
            Self::Gone | Self::NotAsked(_) | Self::Unknown(_) => None,
        }
    }
}

impl Said for Inquired {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Sent { .. } | Self::NotSent | Self::Converted { .. } => Verdict::Sound,
            // Many providers can never tell; that is no fault.
            Self::Unknown => Verdict::Silent,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::NotSent => "not_sent",
            Self::Converted { .. } => "converted",
            Self::Unknown => "unknown",
        }
    }

    fn operator_fault(&self) -> Option<bool> {
        None
    }
}

impl Said for Concluded {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Done | Self::Gone => Verdict::Sound,
            Self::Unknown(_) => Verdict::Faulty,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
            Self::Unknown(_) => "unknown",
        }
    }

    fn operator_fault(&self) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use verify_core::port::{Detail, RejectionKind};

    use super::*;

    fn rejected(kind: RejectionKind) -> Dispatched {
        Dispatched::Rejected(Rejection {
            kind,
            retry_after: None,
            detail: Detail::default(),
        })
    }

    #[test]
    fn only_what_the_provider_did_wrong_counts_for_its_breaker() {
        for kind in RejectionKind::ALL {
            let expected = if *kind == RejectionKind::Down {
                Verdict::Faulty
            } else {
                Verdict::Sound
            };
            assert_eq!(rejected(*kind).verdict(), expected, "{kind:?}");
        }
        assert_eq!(Dispatched::Unknown(Detail::default()).verdict(), Verdict::Faulty);
        assert_eq!(Compared::Unknown(Detail::default()).verdict(), Verdict::Faulty);
        assert_eq!(Compared::NotAsked(Detail::default()).verdict(), Verdict::Silent);
    }

    #[test]
    fn refused_credentials_are_remembered_until_an_answer_shows_that_they_are_taken() {
        let faults = |said: &Dispatched| said.operator_fault();
        assert_eq!(faults(&rejected(RejectionKind::Credentials)), Some(true));
        assert_eq!(faults(&rejected(RejectionKind::Misconfigured)), Some(true));
        assert_eq!(faults(&rejected(RejectionKind::Down)), None);
        assert_eq!(faults(&rejected(RejectionKind::AccountQuota)), None);
        assert_eq!(faults(&rejected(RejectionKind::InvalidDestination)), Some(false));
        assert_eq!(faults(&Dispatched::Accepted { upstream: None }), Some(false));
    }
}
