//! The engine: commands in, outcomes out.

use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use verify_core::command::{
    Caller, CheckRequest, Command, PersonRequest, RedeemRequest, ReportRequest, SendRequest,
    VerificationRequest,
};
use verify_core::flow::Machine;
use verify_core::outcome::{Fault, Outcome, Refusal, RefusalCode};
use verify_core::policy::PolicySet;
use verify_core::port::{Entropy, EventSink, KeySource, RefusalSink};
use verify_core::time::{Timestamp, Until};

use crate::build_error::BuildError;
use crate::builder::EngineBuilder;
use crate::driver::Flow;
use crate::outcome::{
    CancelOutcome, CheckOutcome, EraseOutcome, RedeemOutcome, ReportOutcome, SendOutcome, StatusOutcome,
    UnlockOutcome,
};
use crate::outside::Outside;
use crate::rate::FloodShield;
use crate::telemetry;

/// A command may lead to this many more: one for each channel that a fallback can go on to.
const MOST_FOLLOW_UPS: usize = 4;

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
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) event_sink: Arc<dyn EventSink>,
    pub(crate) refusal_sink: Arc<dyn RefusalSink>,
    pub(crate) shield: Option<FloodShield>,
    pub(crate) expects_client_ip: bool,
    /// The flows that are under way.
    pub(crate) flows: Flows,
    /// Held while the outbox is pumped: two pumps would hand events over out of order.
    pub(crate) pump: tokio::sync::Mutex<()>,
}

impl Engine {
    /// Starts to build one.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Sends a challenge: the first time, again, or by another channel.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done; nothing was allowed because of it.
    pub async fn send(&self, request: SendRequest) -> Result<SendOutcome, Fault> {
        if let Some(refusal) = self.shielded(&request.caller) {
            return Ok(SendOutcome::Refused(refusal));
        }
        SendOutcome::of(self.run(Command::Send(request)).await.answer)
    }

    /// Checks a code.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done; nothing was allowed because of it.
    pub async fn check(&self, request: CheckRequest) -> Result<CheckOutcome, Fault> {
        if let Some(refusal) = self.shielded(&request.caller) {
            return Ok(CheckOutcome::Refused(refusal));
        }
        CheckOutcome::of(self.run(Command::Check(request)).await.answer)
    }

    /// Ends a pending verification.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done.
    pub async fn cancel(&self, request: VerificationRequest) -> Result<CancelOutcome, Fault> {
        CancelOutcome::of(self.run(Command::Cancel(request)).await.answer)
    }

    /// Reads a verification. Consumes and counts nothing.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done.
    pub async fn status(&self, request: VerificationRequest) -> Result<StatusOutcome, Fault> {
        StatusOutcome::of(self.run(Command::Status(request)).await.answer)
    }

    /// Takes a provider's report of a delivery. The host has made sure that it comes from the provider.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done; the provider should try again.
    pub async fn report(&self, request: ReportRequest) -> Result<ReportOutcome, Fault> {
        ReportOutcome::of(self.run(Command::Report(request)).await.answer)
    }

    /// Spends a proof: act on what it proves once this says so.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done; the proof may be spent, and its idempotency key tells.
    pub async fn redeem(&self, request: RedeemRequest) -> Result<RedeemOutcome, Fault> {
        RedeemOutcome::of(self.run(Command::Redeem(request)).await.answer)
    }

    /// Ends a person's lockout. For operators.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done.
    pub async fn unlock(&self, request: PersonRequest) -> Result<UnlockOutcome, Fault> {
        UnlockOutcome::of(self.run(Command::Unlock(request)).await.answer)
    }

    /// Erases a person's records; counters stay. For operators.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done.
    pub async fn erase(&self, request: PersonRequest) -> Result<EraseOutcome, Fault> {
        EraseOutcome::of(self.run(Command::Erase(request)).await.answer)
    }

    /// Runs any command and returns all that is known, with the explanation for operators: for hosts.
    ///
    /// It does not ask the flood shield; a host asks [`Engine::admits`] before it parses anything. The outcome's
    /// `follow_up` is always empty: the engine runs what follows by itself, after it has answered.
    ///
    /// Dropping the future does not stop a flow that began.
    pub async fn run(&self, command: Command) -> Outcome {
        self.note_missing_ip(&command);
        let flow = Flow::begin(&self.inner, command);
        if flow.is_over() {
            return flow.finish(&self.inner).await;
        }
        let about = flow.about().clone();
        let Ok(runtime) = Handle::try_current() else {
            tracing::error!(target: telemetry::TARGET_COMMAND, "the engine was used outside a tokio runtime");
            return about.lost();
        };
        let under_way = UnderWay::enter(Arc::clone(&self.inner));
        let mut running: Running = Box::pin(async move {
            let outcome = flow.finish(&under_way.0).await;
            (outcome, under_way)
        });
        // As far as it goes without waiting it needs no task: nobody can drop it before this is over. A port that
        // panics takes its flow with it, and not the caller.
        let first =
            poll_fn(|context| Poll::Ready(catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context)))));
        match first.await {
            Ok(Poll::Ready((mut outcome, under_way))) => {
                if let Some(follow_up) = outcome.follow_up.take() {
                    runtime.spawn(follow(under_way, follow_up));
                }
                return outcome;
            }
            Ok(Poll::Pending) => {}
            Err(_) => return about.lost(),
        }
        let (tell, told) = oneshot::channel();
        runtime.spawn(async move {
            let (mut outcome, under_way) = running.await;
            let follow_up = outcome.follow_up.take();
            // Nobody may be listening any more, and that is fine.
            tell.send(outcome).ok();
            if let Some(follow_up) = follow_up {
                follow(under_way, follow_up).await;
            }
        });
        // No answer: a port panicked, or the runtime shuts down. The flow may have got anywhere.
        told.await.unwrap_or_else(|_| about.lost())
    }

    /// Counts one request of this client for the flood shield. False: turn it away as overloaded, before anything
    /// is parsed. Always true without a shield.
    pub fn admits(&self, ip: IpAddr) -> bool {
        self.inner.shield.as_ref().is_none_or(|shield| shield.admits(ip))
    }

    /// Takes other policies from now on. Flows under way end by the ones they began with.
    ///
    /// # Errors
    /// [`BuildError`] when they do not fit this engine; nothing changed then.
    pub fn reload(&self, policies: PolicySet) -> Result<(), BuildError> {
        let routes = Arc::clone(self.inner.machine.read().routes());
        crate::builder::check_policies(&policies, &routes)?;
        *self.inner.machine.write() = Machine::new(Arc::new(policies), routes);
        Ok(())
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<PolicySet> {
        Arc::clone(self.inner.machine.read().policies())
    }

    /// The engine's time: what instants in outcomes are measured against.
    pub fn now(&self) -> Timestamp {
        self.inner.outside.now()
    }

    /// Waits until no flow is under way: the last thing to do before the process ends, once no command comes in.
    pub async fn drain(&self) {
        self.inner.flows.none().await;
    }

    fn shielded(&self, caller: &Caller) -> Option<Refusal> {
        let wait = self.inner.shield.as_ref()?.wait_of(caller.ip?)?;
        telemetry::shielded(RefusalCode::RateLimited.as_str());
        let refusal = Refusal::new(
            RefusalCode::RateLimited,
            "too many requests from this address at once",
        );
        Some(refusal.until(Until::At(self.now() + wait)))
    }

    fn note_missing_ip(&self, command: &Command) {
        let caller = match command {
            Command::Send(request) => &request.caller,
            Command::Check(request) => &request.caller,
            Command::Cancel(_)
            | Command::Status(_)
            | Command::Report(_)
            | Command::Tick(_)
            | Command::Redeem(_)
            | Command::Unlock(_)
            | Command::Erase(_) => return,
        };
        if self.inner.expects_client_ip && caller.ip.is_none() {
            telemetry::missing_ip(command.name());
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("under_way", &self.inner.flows.under_way)
            .finish_non_exhaustive()
    }
}

/// A flow on its way to its outcome.
type Running = Pin<Box<dyn Future<Output = (Outcome, UnderWay)> + Send>>;

/// Runs what follows a command, and what follows that.
async fn follow(under_way: UnderWay, mut command: Box<Command>) {
    let inner = &under_way.0;
    for _ in 0..MOST_FOLLOW_UPS {
        match Flow::begin(inner, *command).finish(inner).await.follow_up {
            Some(next) => command = next,
            None => return,
        }
    }
}

/// How many flows are under way.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    under_way: AtomicUsize,
    ended: Notify,
}

impl Flows {
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
