//! The engine: commands in, outcomes out.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use verify_core::command::{
    CancelRequest, CheckRequest, Command, EraseRequest, RedeemRequest, ReportRequest, SendRequest,
    StatusRequest, UnlockRequest,
};
use verify_core::destination::{Destination, DestinationError};
use verify_core::flow::Machine;
use verify_core::ids::HolderId;
use verify_core::outcome::{
    CancelAnswer, CheckAnswer, EraseAnswer, Fault, Outcome, RedeemAnswer, Refusal, RefusalCode, ReportAnswer,
    Request, RuleHit, SendAnswer, StatusAnswer, UnlockAnswer,
};
use verify_core::policy::{BackendKeys, Disclosure, PolicySet};
use verify_core::port::{Detail, Entropy, EventSink, KeySource, RefusalSink};
use verify_core::store::Work;
use verify_core::time::{Timestamp, Until};
use verify_core::vocabulary::{Country, ServiceId};

use crate::build_error::BuildError;
use crate::builder::EngineBuilder;
use crate::driver::{About, Flow, Rest};
use crate::first_poll::{FirstPoll, first_poll};
use crate::outside::Outside;
use crate::rate::FloodShield;
use crate::rekey::Walk;
use crate::sinks::Sinks;
use crate::telemetry;
use crate::without_effect::Asked;

/// A command may lead to this many more: one for each channel that a fallback can go on to.
const MOST_FOLLOW_UPS: usize = 4;

/// Where there is no room for another send that answers first, it waits this long before it is turned away.
const FOR_ROOM: Duration = Duration::from_secs(1);

/// A send that finds a provider to be asked for its health waits this long for it to say how it is.
const FOR_HEALTH: Duration = Duration::from_secs(1);

/// Runs commands against the policy, the store and the providers that it was built with.
///
/// Cloning is cheap, and all clones are one engine. It needs a tokio runtime with time enabled: a flow that has to wait
/// for something runs as a task of its own, so that one that began goes on to its end when its caller goes away.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) outside: Outside,
    pub(crate) machine: RwLock<Machine>,
    pub(crate) keys: Arc<dyn KeySource>,
    /// Who is there for what a policy says.
    pub(crate) asked: Asked,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) event_sink: Option<Arc<dyn EventSink>>,
    pub(crate) sinks: Sinks,
    pub(crate) refusal_sink: Arc<dyn RefusalSink>,
    pub(crate) shield: Option<FloodShield>,
    pub(crate) expects_client_ip: bool,
    /// The flows that are under way.
    pub(crate) flows: Flows,
    /// Held while outboxes are pumped: two pumps would hand events over out of order.
    pub(crate) pump: tokio::sync::Mutex<()>,
    /// What is under older keys, as far as it was gone through.
    pub(crate) rekeying: tokio::sync::Mutex<Walk>,
    /// This engine, where work is lent.
    pub(crate) holder: HolderId,
    /// What was lent to it.
    pub(crate) lent: Mutex<BTreeSet<(Work, ServiceId)>>,
}

impl Engine {
    /// Starts to build one.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Sends a challenge: the first time, again, or by another channel. Under private disclosure it answers before the message
    /// leaves; [`drain`](Self::drain) waits for that too.
    pub async fn send(&self, request: SendRequest) -> Outcome<SendAnswer> {
        let ip = request.caller.ip;
        let command = request.into();
        if let Some(outcome) = self.turned_away(ip, &command) {
            return *outcome;
        }
        match self.room(&command).await {
            Ok(room) => self.run_command(command, room).await.of(),
            Err(outcome) => *outcome,
        }
    }

    /// Checks a code.
    pub async fn check(&self, request: CheckRequest) -> Outcome<CheckAnswer> {
        let ip = request.caller.ip;
        let command = request.into();
        match self.turned_away(ip, &command) {
            Some(outcome) => *outcome,
            None => self.run_command(command, None).await.of(),
        }
    }

    /// Ends a pending verification.
    pub async fn cancel(&self, request: CancelRequest) -> Outcome<CancelAnswer> {
        self.run(request).await
    }

    /// Reads a verification. Consumes and counts nothing.
    pub async fn status(&self, request: StatusRequest) -> Outcome<StatusAnswer> {
        self.run(request).await
    }

    /// Takes a provider's report of a delivery. The host has made sure that it comes from the provider; after a fault the
    /// provider should try again.
    pub async fn report(&self, request: ReportRequest) -> Outcome<ReportAnswer> {
        self.run(request).await
    }

    /// Spends a proof: act on what it proves once this says so. After a fault the proof may be spent, and its idempotency
    /// key tells.
    pub async fn redeem(&self, request: RedeemRequest) -> Outcome<RedeemAnswer> {
        self.run(request).await
    }

    /// Ends a person's lockout. For operators.
    pub async fn unlock(&self, request: UnlockRequest) -> Outcome<UnlockAnswer> {
        self.run(request).await
    }

    /// Erases a person's records; counters stay. For operators.
    pub async fn erase(&self, request: EraseRequest) -> Outcome<EraseAnswer> {
        self.run(request).await
    }

    /// A request that comes from a client: the flood shield is asked first.
    fn turned_away<A: From<Refusal>>(
        &self,
        ip: Option<IpAddr>,
        command: &Command,
    ) -> Option<Box<Outcome<A>>> {
        let now = self.now();
        let shield = self.inner.shield.as_ref().zip(ip);
        if let Some(refusal) = shield.and_then(|(shield, ip)| shield.refusal(ip, now)) {
            return Some(turned_away_by(
                telemetry::FLOOD_SHIELD_RULE,
                command,
                now,
                refusal,
            ));
        }
        if self.inner.expects_client_ip && ip.is_none() {
            telemetry::missing_ip(command.name());
        }
        None
    }

    /// Room for a send that answers first, held until what follows its answer is over. What nobody waits for would otherwise grow
    /// with the requests: as long as the provider is slow, a client needs no connection of its own for each.
    async fn room(
        &self,
        command: &Command,
    ) -> Result<Option<OwnedSemaphorePermit>, Box<Outcome<SendAnswer>>> {
        let is_open = self.policies().of(command.service()).privacy.disclosure == Disclosure::Open;
        // Without a runtime nobody can wait, and the command says so itself.
        if is_open || Handle::try_current().is_err() {
            return Ok(None);
        }
        let room = Arc::clone(&self.inner.flows.room).acquire_owned();
        if let Ok(Ok(room)) = timeout(FOR_ROOM, room).await {
            self.probe().await;
            return Ok(Some(room));
        }
        let now = self.now();
        telemetry::turned_away(telemetry::CALLS_AT_ONCE_RULE);
        let refusal = Refusal::new(
            RefusalCode::Overloaded,
            "too many messages wait to be sent; slow down",
        );
        let refusal = refusal.until(Until::At(now + FOR_ROOM));
        Err(turned_away_by(
            telemetry::CALLS_AT_ONCE_RULE,
            command,
            now,
            refusal,
        ))
    }

    /// Asks providers how they are whose breakers would let a send through to find out: where nobody may tell whom a send is for,
    /// no send may decide whether the next one is refused. Each is asked in a task of its own, which goes on when whoever sent goes
    /// away; who has not said so within a second rests for this send.
    async fn probe(&self) {
        let (now, outside) = (self.now(), &self.inner.outside);
        let to_probe = outside
            .carriers
            .values()
            .filter(|carrier| carrier.is_to_probe(now));
        let asked: Vec<_> = to_probe
            .map(|carrier| {
                let (inner, name) = (Arc::clone(&self.inner), carrier.name().clone());
                tokio::spawn(async move { inner.outside.probe(&name).await })
            })
            .collect();
        if asked.is_empty() {
            return;
        }
        let all = async {
            for one in asked {
                // One that panicked is not well, and its breaker knows.
                one.await.ok();
            }
        };
        timeout(FOR_HEALTH, all).await.ok();
    }

    /// Any request, unshielded.
    pub(crate) async fn run<R: Request>(&self, request: R) -> Outcome<R::Answer> {
        self.run_command(request.into(), None).await.of()
    }

    /// The outcome's `follow_up` is always empty: the engine runs what follows by itself, after it has answered.
    ///
    /// Dropping the future does not stop a flow that began.
    async fn run_command(&self, command: Command, room: Option<OwnedSemaphorePermit>) -> Outcome {
        if self.inner.outside.store_watch.is_apart() {
            return self.refused_by_the_clock(&command);
        }
        let flow = Flow::begin(&self.inner, command);
        if flow.is_over() {
            return flow.answer(&self.inner).await.0;
        }
        let about = flow.about().clone();
        let Ok(runtime) = Handle::try_current() else {
            tracing::error!(target: telemetry::TARGET_COMMAND, "the engine was used outside a tokio runtime");
            return about.lost();
        };
        let under_way = UnderWay::enter(Arc::clone(&self.inner));
        let running = first_poll(Box::pin(async move {
            let (mut outcome, rest) = flow.answer(&under_way.0).await;
            let follows = Follows {
                room,
                rest,
                send: outcome.follow_up.take(),
                under_way,
            };
            (outcome, follows)
        }));
        let running = match running.await {
            FirstPoll::Over((outcome, follows)) => {
                if follows.is_something() {
                    runtime.spawn(follows.run());
                }
                return outcome;
            }
            FirstPoll::Waits(running) => running,
            FirstPoll::Panicked => return about.lost(),
        };
        let (tell, told) = oneshot::channel();
        runtime.spawn(async move {
            let (outcome, follows) = running.await;
            // Nobody may be listening any more, and that is fine.
            tell.send(outcome).ok();
            follows.run().await;
        });
        // No answer: a port panicked, or the runtime shuts down. The flow may have got anywhere.
        told.await.unwrap_or_else(|_| about.lost())
    }

    /// The outcome of a command that nobody can decide: its stamps would be no time of the store's.
    fn refused_by_the_clock(&self, command: &Command) -> Outcome {
        let mut outcome = About::of(command, self.now()).outcome(Err(Fault::ClocksDiffer));
        let words = "its clock and this machine's differ by more than the skew";
        outcome.explanation.store = Some(Detail::new(None, words));
        let meters = &self.inner.outside.meters;
        telemetry::command_ended(meters, command.name(), &outcome, 0, Duration::ZERO);
        outcome
    }

    /// Takes other policies from now on. Flows under way end by the ones they began with, and codes that are pending stay as
    /// long, and live as long, as when they were issued. What backends were built from stays as it is.
    ///
    /// # Errors
    /// [`BuildError`] when they do not fit this engine; nothing changed then.
    pub fn reload(&self, mut policies: PolicySet) -> Result<(), BuildError> {
        let routes = Arc::clone(self.inner.machine.read().routes());
        let now = self.now();
        crate::builder::check_policies(&policies, &routes, self.inner.asked, now)?;
        let built = self.policies().backends.clone();
        let is_built = |keys: &&BackendKeys| built.iter().any(|built| built.says_as(keys));
        if let Some(keys) = policies.backends.iter().find(|keys| !is_built(keys)) {
            return Err(BuildError::BackendChanged { keys: keys.paths() });
        }
        policies.backends = built;
        let mut machine = self.inner.machine.write();
        *machine = machine.clone().under(Arc::new(policies), now);
        Ok(())
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<PolicySet> {
        Arc::clone(self.inner.machine.read().policies())
    }

    /// Reads a number or a mailbox as a command of this service would: its canonical form is what an application keeps
    /// accounts by, its masked one what it may show.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn destination(
        &self,
        service: &ServiceId,
        text: &str,
        country: Option<Country>,
    ) -> Result<Destination, DestinationError> {
        self.policies().of(service).destination(text, country)
    }

    /// The engine's time: what instants in outcomes are measured against.
    pub fn now(&self) -> Timestamp {
        self.inner.outside.now()
    }

    /// Waits until no flow is under way: the last thing to do before the process ends, once no command comes in.
    pub async fn drain(&self) {
        self.inner.flows.none().await;
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("under_way", &self.inner.flows.under_way)
            .finish_non_exhaustive()
    }
}

/// What follows an answer: the rest of its flow, and a send that goes on by itself.
struct Follows {
    room: Option<OwnedSemaphorePermit>,
    rest: Option<Rest>,
    send: Option<Box<SendRequest>>,
    under_way: UnderWay,
}

impl Follows {
    const fn is_something(&self) -> bool {
        self.rest.is_some() || self.send.is_some()
    }

    /// Runs it, and what follows that.
    async fn run(mut self) {
        let inner = &self.under_way.0;
        for sends_left in (0..=MOST_FOLLOW_UPS).rev() {
            if let Some(rest) = self.rest.take() {
                rest.finish(inner).await;
            }
            self.room = None;
            let Some(send) = self.send.take().filter(|_| sends_left > 0) else {
                return;
            };
            let flow = Flow::begin(inner, Command::Send(*send));
            let (outcome, rest) = flow.answer(inner).await;
            (self.rest, self.send) = (rest, outcome.follow_up);
        }
    }
}

/// The outcome of a command that was refused before it began.
fn turned_away_by<A: From<Refusal>>(
    rule: &'static str,
    command: &Command,
    now: Timestamp,
    refusal: Refusal,
) -> Box<Outcome<A>> {
    let mut outcome = About::of(command, now).outcome(Ok(refusal.into()));
    outcome.explanation.rules.push(RuleHit::new(rule, 0));
    Box::new(outcome)
}

/// How many flows are under way.
#[derive(Debug)]
pub(crate) struct Flows {
    under_way: AtomicUsize,
    ended: Notify,
    /// For those that answer first.
    room: Arc<Semaphore>,
}

impl Flows {
    /// None yet; at most so many sends that answer first.
    pub(crate) fn of_which_answer_first(most: usize) -> Self {
        Self {
            under_way: AtomicUsize::default(),
            ended: Notify::default(),
            room: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Waits until there is none.
    async fn none(&self) {
        loop {
            // Listening before looking: the last one may end in between.
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// A flow under way, counted until it ends, whichever way it ends.
struct UnderWay(Arc<Inner>);

impl UnderWay {
    fn enter(inner: Arc<Inner>) -> Self {
        inner.flows.under_way.fetch_add(1, Ordering::AcqRel);
        Self(inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let flows = &self.0.flows;
        if flows.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            flows.ended.notify_waiters();
        }
    }
}
