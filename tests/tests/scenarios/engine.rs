//! The engine over a store, as somebody who answers.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use verify_core::command::Command;
use verify_core::keys::Keys;
use verify_core::outcome::{Answer, Outcome};
use verify_core::policy::PolicySet;
use verify_core::port::{
    AssessRequest, Assessment, Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded,
    DispatchRequest, Dispatched, HumanCheck, HumanRequest, InquireRequest, Inquired, Provider, Rejection,
    RejectionKind, RiskLevel, RiskScorer, Unavailable,
};
use verify_core::store::Store;
use verify_core::time::Timestamp;
use verify_engine::Engine;
use verify_lab::reference::{Answers, Ask, Mishap, Outside, Sent, Tokens, Told};
use verify_testkit::{ManualClock, ScriptedProvider, SeededEntropy, Turn, Verb};

/// The engine, and what its run is made of.
pub struct EngineSide {
    name: &'static str,
    runtime: Runtime,
    engine: Engine,
    clock: ManualClock,
    outside: Arc<Moods>,
    tokens: Tokens,
}

impl EngineSide {
    /// An engine over this store, under these policies.
    pub fn new(
        name: &'static str,
        store: impl Store + 'static,
        policies: PolicySet,
        managed: bool,
        now: Timestamp,
    ) -> Self {
        let clock = ManualClock::at(now);
        let provider = match managed {
            true => ScriptedProvider::managed("managed", "scope", Arc::new(clock.clone())),
            false => ScriptedProvider::own("own", Arc::new(clock.clone())),
        };
        let outside = Arc::new(Moods {
            provider,
            mood: Mutex::default(),
        });
        let engine = Engine::builder()
            .keys(Keys::generate(&[7; 32]))
            .policy(policies)
            .store(store)
            .provider(Arc::clone(&outside))
            .risk_scorer(Moody(Arc::clone(&outside)))
            .human_check(Moody(Arc::clone(&outside)))
            .clock(clock.clone())
            .entropy(SeededEntropy::new(7))
            .with_client_ip()
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            name,
            runtime: runtime.expect("a runtime"),
            engine: engine.expect("all that an engine needs"),
            clock,
            outside,
            tokens: Tokens::default(),
        }
    }
}

impl Answers for EngineSide {
    fn name(&self) -> &'static str {
        self.name
    }

    fn answer(&mut self, ask: &Ask) -> Told {
        let sent = self.outside.provider.sent().into_iter();
        let sent: Vec<Sent> = sent
            .map(|message| Sent {
                code: message.code,
                reference: message.reference,
            })
            .collect();
        let command = self.tokens.command(ask, &sent);
        let engine = &self.engine;
        let told = self.runtime.block_on(async {
            match command {
                Some(command) => {
                    let outcome = asked(engine, command).await;
                    // What follows by itself is over too.
                    engine.drain().await;
                    self.tokens.told(&outcome)
                }
                None => engine.sweep_once().await.map_or(Told::Fault, |_| Told::Ticked),
            }
        });
        self.outside.mood.lock().mishap = None;
        told
    }

    fn outside(&mut self, change: Outside) {
        let mut mood = self.outside.mood.lock();
        match change {
            Outside::Now(now) => self.clock.set(now),
            Outside::Rejects(kind) => mood.rejecting = kind,
            Outside::Risk(level) => mood.risk = level,
            Outside::Mishap(mishap) => mood.mishap = Some(mishap),
        }
    }

    fn messages(&self) -> usize {
        self.outside.provider.sent().len()
    }
}

/// The engine's verb for a command.
async fn asked(engine: &Engine, command: Command) -> Outcome {
    match command {
        Command::Send(request) => any(engine.send(request).await),
        Command::Check(request) => any(engine.check(request).await),
        Command::Cancel(request) => any(engine.cancel(request).await),
        Command::Status(request) => any(engine.status(request).await),
        Command::Report(request) => any(engine.report(request).await),
        Command::Redeem(request) => any(engine.redeem(request).await),
        Command::Unlock(request) => any(engine.unlock(request).await),
        Command::Erase(request) => any(engine.erase(request).await),
        Command::Tick(_) => panic!("the engine ticks by itself"),
    }
}

fn any(outcome: Outcome<impl Into<Answer>>) -> Outcome {
    outcome.map(Into::into)
}

/// A provider in a mood, and how worried the scorer is.
struct Moods {
    provider: ScriptedProvider,
    mood: Mutex<Mood>,
}

struct Mood {
    rejecting: Option<RejectionKind>,
    mishap: Option<Mishap>,
    risk: RiskLevel,
}

impl Default for Mood {
    fn default() -> Self {
        Self {
            rejecting: None,
            mishap: None,
            risk: RiskLevel::Low,
        }
    }
}

impl Moods {
    /// Scripts the call that comes next, at the moment at which it comes.
    fn script(&self, verb: Verb) {
        let mood = self.mood.lock();
        let rejecting = mood.rejecting.filter(|_| verb == Verb::Dispatch);
        let turn = match (mood.mishap, rejecting) {
            (Some(Mishap::AnswerLost), _) => Turn::Lost,
            (Some(Mishap::CallLost), _) if verb == Verb::Dispatch => Turn::Unknown,
            (Some(Mishap::CallLost), _) => Turn::Reject(RejectionKind::Down),
            (_, Some(kind)) => Turn::Reject(kind),
            (Some(Mishap::StopsWhenCharged | Mishap::StopsWhenAsked) | None, None) => return,
        };
        self.provider.script(verb, [turn]);
    }
}

#[async_trait]
impl Provider for Moods {
    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        self.script(Verb::Dispatch);
        self.provider.dispatch(request).await
    }

    async fn compare(&self, request: &CompareRequest) -> Compared {
        self.script(Verb::Compare);
        self.provider.compare(request).await
    }

    async fn inquire(&self, request: &InquireRequest) -> Inquired {
        self.provider.inquire(request).await
    }

    async fn conclude(&self, request: &ConcludeRequest) -> Concluded {
        self.provider.conclude(request).await
    }

    async fn health(&self) -> Result<(), Rejection> {
        self.provider.health().await
    }
}

/// The scorer and the human check.
struct Moody(Arc<Moods>);

#[async_trait]
impl RiskScorer for Moody {
    async fn assess(&self, _: &AssessRequest) -> Result<Assessment, Unavailable> {
        Ok(Assessment::of_level(self.0.mood.lock().risk))
    }
}

#[async_trait]
impl HumanCheck for Moody {
    fn is_configured(&self) -> bool {
        true
    }

    async fn verify(&self, request: &HumanRequest) -> Result<bool, Unavailable> {
        Ok(request.token == "human")
    }
}
