//! A provider as the engine holds it: with its breakers, its pace, and what its answers say about it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use verify_core::flow::{Heard, NotBegun};
use verify_core::port::{
    Blame, Capabilities, Clock, Compared, Concluded, Dispatched, Inquired, Provider, ProviderName, Rejection,
    RejectionKind,
};
use verify_core::time::Timestamp;

use crate::breaker::{Breaker, Leave, Verdict};
use crate::outside::PROVIDER_TIMEOUT;
use crate::rate::Pacer;
use crate::telemetry;

/// Refused credentials keep readiness red for this long after the last refusal.
const OPERATOR_FAULT_LASTS: Duration = Duration::from_secs(60);

/// A call waits this long for room among the calls that are under way: little enough that its own time is left for it.
const FOR_ROOM: Duration = Duration::from_secs(2);

/// A call in flight, as `async-trait` makes them.
pub(crate) type Calling<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How many calls there may be at a time. Of all providers together, since sockets are the process's.
pub(crate) struct Room {
    pub(crate) of_each: usize,
    /// Apart, so that no check waits for messages, and no message for what only tidies up.
    compares: Semaphore,
    sends: Semaphore,
    tidies: Semaphore,
}

impl Room {
    /// For so many checks, for so many sends, and for half as many calls of the other verbs.
    pub(crate) fn of_each(most: usize) -> Self {
        let room = |most: usize| Semaphore::new(most.min(Semaphore::MAX_PERMITS));
        Self {
            of_each: most,
            compares: room(most),
            sends: room(most),
            tidies: room(most.div_ceil(2)),
        }
    }

    const fn of(&self, verb: Verb) -> &Semaphore {
        match verb {
            Verb::Compare => &self.compares,
            Verb::Dispatch => &self.sends,
            Verb::Inquire | Verb::Conclude => &self.tidies,
        }
    }
}

/// A provider, and what the engine knows about it.
pub(crate) struct Carrier {
    pub(crate) capabilities: Capabilities,
    pub(crate) provider: Arc<dyn Provider>,
    pacer: Option<Pacer>,
    room: Arc<Room>,
    sends: Mutex<Breaker>,
    compares: Mutex<Breaker>,
    /// When it last refused our credentials, in milliseconds; 0 for never, or not any more.
    operator_fault: AtomicU64,
}

/// What a provider is asked to do. What goes wrong with one verb is held against that verb alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Dispatch,
    Compare,
    Inquire,
    Conclude,
}

impl Verb {
    /// Those that have a breaker.
    pub(crate) const THAT_REST: [Self; 2] = [Self::Dispatch, Self::Compare];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Compare => "compare",
            Self::Inquire => "inquire",
            Self::Conclude => "conclude",
        }
    }
}

impl Carrier {
    pub(crate) fn new(
        provider: Arc<dyn Provider>,
        capabilities: Capabilities,
        pacer: Option<Pacer>,
        room: Arc<Room>,
    ) -> Self {
        Self {
            capabilities,
            provider,
            pacer,
            room,
            sends: Mutex::default(),
            compares: Mutex::default(),
            operator_fault: AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &ProviderName {
        &self.capabilities.name
    }

    /// The breaker that a verb asks first. A person waits for a send and a check, and is better refused than kept waiting.
    /// The others only tidy up, and have none. An end that the provider does not hear of leaves the old code in force there,
    /// for the next message to carry again; so it is told whatever came of others, and its caller waits six seconds at most.
    fn breaker(&self, verb: Verb) -> Option<&Mutex<Breaker>> {
        match verb {
            Verb::Dispatch => Some(&self.sends),
            Verb::Compare => Some(&self.compares),
            Verb::Inquire | Verb::Conclude => None,
        }
    }

    /// While its breaker keeps every call of this verb away: when one may be made again.
    pub(crate) fn rests_until(&self, verb: Verb, now: Timestamp) -> Option<Timestamp> {
        self.breaker(verb)?.lock().rests_until(now)
    }

    /// The same for a send that may not be the one that finds out whether it is back.
    pub(crate) fn rests_unprobed_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.sends.lock().rests_unprobed_until(now)
    }

    /// True where the next send would find out whether it is back.
    pub(crate) fn is_to_probe(&self, now: Timestamp) -> bool {
        self.sends.lock().is_to_probe(now)
    }

    /// True while any of its breakers keeps calls away.
    pub(crate) fn is_resting(&self, now: Timestamp) -> bool {
        Verb::THAT_REST
            .into_iter()
            .any(|verb| self.rests_until(verb, now).is_some())
    }

    /// True when it refused our credentials a moment ago, and no answer since shows that they are taken.
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
        verb: Verb,
        make: impl FnOnce(&'a dyn Provider) -> Calling<'a, T> + Send,
    ) -> Heard<T> {
        let heard = self.try_call(clock, left, verb, make).await;
        let word = match &heard {
            Heard::Answer(said) => said.word(),
            Heard::Lost => "timed_out",
            Heard::NotBegun(why) => why.as_str(),
        };
        telemetry::provider_said(self.name(), verb.as_str(), word);
        heard
    }

    async fn try_call<'a, T: Said>(
        &'a self,
        clock: &dyn Clock,
        left: impl Fn() -> Duration + Send,
        verb: Verb,
        make: impl FnOnce(&'a dyn Provider) -> Calling<'a, T> + Send,
    ) -> Heard<T> {
        if let Some(pacer) = &self.pacer
            && !pacer.turn(left()).await
        {
            return Heard::NotBegun(NotBegun::Paced);
        }
        // Without room it is not begun, so that what is held against the provider is only what it did itself.
        let Ok(Ok(_room)) = timeout(left().min(FOR_ROOM), self.room.of(verb).acquire()).await else {
            return Heard::NotBegun(NotBegun::Paced);
        };
        let most = left();
        if most.is_zero() {
            return Heard::NotBegun(NotBegun::TooLate);
        }
        let leave = match self.leave(verb, clock.now()) {
            Ok(leave) => leave,
            Err(rests) => return Heard::NotBegun(NotBegun::BreakerOpen(rests)),
        };
        let call = Call {
            carrier: self,
            clock,
            verb,
            leave,
            verdict: Verdict::Faulty,
        };
        let began = Instant::now();
        let answer = timeout(most, make(self.provider.as_ref())).await;
        telemetry::provider_called(self.name(), verb.as_str(), began.elapsed());
        match answer {
            Ok(said) => {
                self.note_operator_fault(&said, clock.now());
                call.ended(said.verdict());
                Heard::Answer(said)
            }
            Err(_elapsed) => Heard::Lost,
        }
    }

    /// Where its breaker would let a send through to find out how the provider is: asks for its health instead.
    pub(crate) async fn probe(&self, clock: &dyn Clock) {
        let leave = match self.leave(Verb::Dispatch, clock.now()) {
            Ok(leave @ Leave::Probe) => leave,
            Ok(Leave::Ordinary) | Err(_) => return,
        };
        let call = Call {
            carrier: self,
            clock,
            verb: Verb::Dispatch,
            leave,
            verdict: Verdict::Faulty,
        };
        match timeout(PROVIDER_TIMEOUT, self.provider.health()).await {
            Ok(Err(rejection)) if rejection.kind.trips_breaker() => {}
            Ok(Ok(()) | Err(_)) => call.ended(Verdict::Sound),
            Err(_elapsed) => {}
        }
    }

    /// Leave for a call, or for how much longer there is none.
    fn leave(&self, verb: Verb, now: Timestamp) -> Result<Leave, Duration> {
        let Some(breaker) = self.breaker(verb) else {
            return Ok(Leave::Ordinary);
        };
        let mut breaker = breaker.lock();
        let rests = |breaker: &Breaker| {
            breaker
                .rests_until(now)
                .map_or(Duration::ZERO, |until| until.since(now))
        };
        breaker.leave(now).ok_or_else(|| rests(&breaker))
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
                "the provider refuses our credentials; correct them, sends by it fail until then");
        } else if !fault && before != 0 {
            tracing::info!(target: telemetry::TARGET_PROVIDER, provider = %self.name(),
                "the provider takes our credentials again");
        }
    }

    fn record(&self, verb: Verb, leave: Leave, verdict: Verdict, now: Timestamp) {
        let Some(breaker) = self.breaker(verb) else {
            return;
        };
        let (changed, open) = {
            let mut breaker = breaker.lock();
            let changed = breaker.record(leave, verdict, now);
            (changed, breaker.rests_until(now).is_some())
        };
        if changed {
            let call = verb.as_str();
            telemetry::breaker(self.name(), call, open);
            tracing::warn!(target: telemetry::TARGET_PROVIDER, provider = %self.name(), call, open, "the breaker switched");
        }
    }
}

/// A call in flight. One that never ends (dropped at its deadline, or with its task) counts as the provider's fault,
/// so that a probe cannot get lost.
struct Call<'a> {
    carrier: &'a Carrier,
    clock: &'a dyn Clock,
    verb: Verb,
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
        let Self {
            verb, leave, verdict, ..
        } = *self;
        self.carrier.record(verb, leave, verdict, self.clock.now());
    }
}

/// What an answer says about the provider itself.
pub(crate) trait Said: Send {
    /// For the breaker of the verb, where it has one.
    fn verdict(&self) -> Verdict;
    /// For metrics.
    fn word(&self) -> &'static str;
    /// Whether it refuses our credentials, whatever was asked; `None` when it does not tell.
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
            Self::Rejected(rejection) => refuses_credentials(rejection),
            Self::Unknown(_) => None,
        }
    }
}

/// What the answer to a request says about credentials; one that came before they were looked at says nothing. Neither
/// does one that finds the configuration wanting: which channel, purpose or language is asked for, a request chooses.
fn refuses_credentials(rejection: &Rejection) -> Option<bool> {
    match (rejection.kind, rejection.kind.blame()) {
        (RejectionKind::Credentials, _) => Some(true),
        (_, Blame::Destination) => Some(false),
        (_, Blame::Operator | Blame::Caller | Blame::Provider | Blame::Quota) => None,
    }
}

impl Said for Compared {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Match | Self::NoMatch | Self::Gone | Self::Ended { .. } => Verdict::Sound,
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
            Self::Ended { .. } => "ended",
            Self::NotAsked(_) => "not_asked",
            Self::Unknown(_) => "unknown",
        }
    }

    fn operator_fault(&self) -> Option<bool> {
        match self {
            Self::Match | Self::NoMatch => Some(false),
            Self::Gone | Self::Ended { .. } | Self::NotAsked(_) | Self::Unknown(_) => None,
        }
    }
}

impl Said for Inquired {
    fn verdict(&self) -> Verdict {
        Verdict::Silent
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
        Verdict::Silent
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
    use verify_core::port::Detail;

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
        assert_eq!(faults(&rejected(RejectionKind::Misconfigured)), None);
        assert_eq!(faults(&rejected(RejectionKind::Down)), None);
        assert_eq!(faults(&rejected(RejectionKind::AccountQuota)), None);
        assert_eq!(faults(&rejected(RejectionKind::InvalidDestination)), Some(false));
        assert_eq!(faults(&Dispatched::Accepted { upstream: None }), Some(false));
    }
}
