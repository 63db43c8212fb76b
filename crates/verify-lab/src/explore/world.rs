//! A world for the core: a model store, providers that behave like real ones, an inbox and a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use verify_core::code::{Code, CodeLength};
use verify_core::command::Command;
use verify_core::flow::{AssessAnswer, Machine, Outside, Question, Resting, Routes, Start, Step, drive};
use verify_core::ids::DeliveryId;
use verify_core::keys::Keys;
use verify_core::outcome::Outcome;
use verify_core::policy::PolicySet;
use verify_core::port::{
    Assessment, Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded, Detail, DispatchRequest,
    Dispatched, InquireRequest, Inquired, Maker, Rejection, RejectionKind, RiskLevel, Scopes,
};
use verify_core::seed::Seed;
use verify_core::store::{Changeset, StoreAnswer};
use verify_core::time::Timestamp;
use verify_core::vocabulary::Channel;
use verify_testkit::{ManagedCodes, ModelState, SendsUsedUp};

use crate::digest::digest;
use crate::flawed_store::{Condition, Flaw};

/// Which makers carry which channels in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// One provider that carries own codes.
    Own,
    /// One managed provider.
    Managed,
    /// Two providers of own codes, in order.
    TwoOwn,
    /// One that carries own codes, and behind it a managed one.
    OwnThenManaged,
}

impl Kinds {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own code",
            Self::Managed => "managed",
            Self::TwoOwn => "own code, two providers",
            Self::OwnThenManaged => "own code, then managed",
        }
    }

    /// The providers, first choice first: each carries every channel and can do all there is.
    fn providers(self) -> impl Iterator<Item = Capabilities> {
        let names: &[(&str, Maker)] = match self {
            Self::Own => &[("own", Maker::Own)],
            Self::Managed => &[("managed", Maker::Managed)],
            Self::TwoOwn => &[("own", Maker::Own), ("second", Maker::Own)],
            Self::OwnThenManaged => &[("own", Maker::Own), ("managed", Maker::Managed)],
        };
        names.iter().map(|(name, maker)| Capabilities {
            name: (*name).into(),
            channels: Channel::ALL.to_vec(),
            maker: *maker,
            scopes: Scopes {
                default: "scope".into(),
                ..Scopes::default()
            },
            can_inquire: true,
            can_conclude: *maker == Maker::Managed,
            reports: true,
            most_checks: (*maker == Maker::Managed).then_some(ManagedCodes::MOST_CHECKS),
        })
    }
}

/// A message that left a provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delivered {
    /// Through whom.
    pub provider: String,
    /// Where to.
    pub to: String,
    /// How.
    pub channel: Channel,
    /// What it says.
    pub code: String,
    /// The reference for reports.
    pub reference: String,
    /// The delivery's id.
    pub dispatch_id: DeliveryId,
    /// When.
    pub at: Timestamp,
}

/// Everything outside the core.
#[derive(Clone)]
pub struct World {
    machine: Machine,
    keys: Arc<Keys>,
    /// The store.
    pub store: ModelState,
    /// The time that flows are given.
    pub now: Timestamp,
    /// Every message that left, in order.
    pub sent: Vec<Delivered>,
    /// How often flows asked a provider to send, whatever came of it.
    pub dispatches: u32,
    /// How often flows asked a managed provider to compare, whatever came of it.
    pub compared: u32,
    /// What the risk scorer says next.
    pub risk: RiskLevel,
    /// What the next dispatches are answered instead of being carried out, by provider.
    pub rejecting: BTreeMap<String, RejectionKind>,
    /// Providers whose breakers are open.
    pub resting: Resting,
    /// The codes of the managed provider.
    pub managed: ManagedCodes,
    /// The ids of those that were given right.
    pub matched: BTreeSet<String>,
    seeds: u64,
    condition: Condition,
    /// All that the store was asked and what it answered, to ask another store the same. `None`: nobody wants to know.
    pub asked: Option<Vec<(Changeset, StoreAnswer)>>,
    /// Store round trips of the command that runs.
    trips: u32,
    /// Those before it was answered, where it goes on after that.
    trips_told: Option<u32>,
}

impl World {
    /// A world under these policies.
    pub fn new(policies: PolicySet, kinds: Kinds) -> Self {
        let routes = Routes::in_order(kinds.providers());
        Self {
            machine: Machine::new(Arc::new(policies), Arc::new(routes)),
            keys: Arc::new(Keys::generate(&[7; 32])),
            store: ModelState::default(),
            now: Timestamp::from_millis(1_700_000_000_000),
            sent: Vec::new(),
            dispatches: 0,
            compared: 0,
            risk: RiskLevel::Low,
            rejecting: BTreeMap::new(),
            resting: Resting::default(),
            managed: ManagedCodes::default(),
            matched: BTreeSet::new(),
            seeds: 0,
            condition: Condition::default(),
            asked: Some(Vec::new()),
            trips: 0,
            trips_told: None,
        }
    }

    /// The same world, its machine with one rule switched off: for tests of the tests only.
    #[cfg(verify_broken)]
    #[must_use]
    pub fn broken(mut self, how: verify_core::broken::Broken) -> Self {
        self.machine = self.machine.broken(how);
        self
    }

    /// The same world, its store with a flaw: for tests of the tests only.
    #[must_use]
    pub fn flawed(mut self, flaw: Flaw) -> Self {
        self.condition = Condition::of(flaw);
        self
    }

    /// From now on the store can or cannot be reached.
    pub fn set_store_down(&mut self, down: bool) {
        self.condition.down = down;
    }

    /// The store's process dies and starts again.
    pub fn restart_store(&mut self) {
        self.condition.restart(&mut self.store);
    }

    /// Moves the clock forward.
    pub fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// The keys in use.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Uses these keys from now on.
    pub fn use_keys(&mut self, keys: Keys) {
        self.keys = Arc::new(keys);
    }

    /// The policies in force.
    pub fn policies(&self) -> &PolicySet {
        self.machine.policies()
    }

    /// The process that runs flows dies and starts again.
    pub fn restart(&mut self) {
        self.machine = self.machine.clone().restarted(self.now);
    }

    /// Uses these policies from now on.
    pub fn use_policies(&mut self, policies: PolicySet) {
        self.machine = self.machine.clone().under(Arc::new(policies), self.now);
    }

    /// Opens a flow.
    pub fn start(&mut self, command: impl Into<Command>) -> Step {
        self.seeds += 1;
        self.start_with(self.seeds, command)
    }

    /// Sets seeds aside for that many flows; the number before the first.
    pub(super) fn reserve_seeds(&mut self, flows: u64) -> u64 {
        let before = self.seeds;
        self.seeds += flows;
        before
    }

    /// Opens a flow under a seed of its own.
    pub(super) fn start_with(&self, seed: u64, command: impl Into<Command>) -> Step {
        // The secret half and the half that names events: both are this flow's own.
        let mut bytes = [0; Seed::BYTES];
        for half in bytes.chunks_mut(32) {
            for (byte, from) in half.iter_mut().zip(seed.to_be_bytes()) {
                *byte = from;
            }
        }
        let start = Start {
            now: self.now,
            seed: Seed::from_bytes(bytes),
            keys: Arc::clone(&self.keys),
            resting: self.resting.clone(),
            human_check: true,
        };
        self.machine.start(command, start)
    }

    /// Runs a command to its end, without faults. The outcome and the store round trips it took to be answered.
    pub fn run(&mut self, command: impl Into<Command>) -> (Outcome, u32) {
        (self.trips, self.trips_told) = (0, None);
        let step = self.start(command);
        let outcome = drive(step, self);
        (outcome, self.trips_told.unwrap_or(self.trips))
    }

    /// Does what a step asks, and resumes it.
    pub fn perform(&mut self, step: Step) -> Step {
        step.perform(self)
    }

    /// What the store makes of a changeset.
    pub fn apply(&mut self, changeset: &Changeset) -> StoreAnswer {
        self.trips += 1;
        let answer = self.condition.apply(&mut self.store, changeset);
        if let Some(asked) = &mut self.asked {
            asked.push((changeset.clone(), answer.clone()));
        }
        answer
    }

    /// Carries a message, as the provider would.
    pub(super) fn carry(&mut self, request: &DispatchRequest) -> Dispatched {
        if let Some(kind) = self.rejecting.get(&*request.provider) {
            return Dispatched::Rejected(Rejection {
                kind: *kind,
                retry_after: None,
                detail: Detail::default(),
            });
        }
        let (code, upstream) = match &request.code {
            Some(code) => (code.expose().to_owned(), format!("SM{:04}", self.sent.len() + 1)),
            None => match self.managed.send(&request.scope, &request.to, self.now) {
                Ok(sent) => (sent.code, sent.upstream),
                Err(SendsUsedUp) => {
                    return Dispatched::Rejected(Rejection {
                        kind: RejectionKind::DestinationQuota,
                        retry_after: None,
                        detail: Detail::default(),
                    });
                }
            },
        };
        self.sent.push(Delivered {
            provider: request.provider.to_string(),
            to: request.to.clone(),
            channel: request.channel,
            code,
            reference: request.reference.clone(),
            dispatch_id: request.dispatch_id,
            at: self.now,
        });
        Dispatched::Accepted {
            upstream: Some(upstream),
        }
    }

    /// Compares a code, as the managed provider would.
    pub(super) fn judge(&mut self, request: &CompareRequest) -> Compared {
        let (scope, to, guess) = (&request.scope, &request.to, request.code.expose());
        let upstream = self.managed.upstream(scope, to).map(str::to_owned);
        let said = self.managed.compare(scope, to, guess, self.now);
        if said == Compared::Match {
            self.matched.extend(upstream);
        }
        said
    }

    /// The last code that was sent to a destination.
    pub fn code_for(&self, to: &str) -> Option<Code> {
        let sent = self.sent.iter().rev().find(|sent| sent.to == to)?;
        Code::parse(&sent.code, CodeLength::new(u8::try_from(sent.code.len()).ok()?)?).ok()
    }

    /// A digest of everything that can make a difference later. Keys, policies and routes are left out: no step
    /// changes them; so is what only counts trips or tells of them.
    pub fn digest(&self) -> u128 {
        let Self {
            machine: _,
            keys: _,
            store,
            now,
            sent,
            dispatches,
            compared,
            risk,
            rejecting,
            resting,
            managed,
            matched,
            seeds,
            condition,
            asked: _,
            trips: _,
            trips_told: _,
        } = self;
        let said = (risk, rejecting, resting, managed, matched, seeds, condition);
        digest(&(store, now, sent, dispatches, compared, said))
    }
}

impl Outside for World {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn apply(&mut self, changeset: &Changeset) -> StoreAnswer {
        Self::apply(self, changeset)
    }

    fn assess(&mut self, question: &Question) -> AssessAnswer {
        match question {
            Question::Risk(_) => AssessAnswer::Said(vec![Ok(Assessment::of_level(self.risk))]),
            Question::Human(asked) => AssessAnswer::Human(asked.token == "human"),
        }
    }

    fn dispatch(&mut self, request: &DispatchRequest) -> Dispatched {
        self.dispatches += 1;
        self.carry(request)
    }

    fn compare(&mut self, request: &CompareRequest) -> Compared {
        self.compared += 1;
        self.judge(request)
    }

    fn inquire(&mut self, request: &InquireRequest) -> Inquired {
        let found =
            self.sent.iter().rev().find(|sent| {
                sent.to == request.to && sent.channel == request.channel && sent.at >= request.from
            });
        match found {
            Some(_) => Inquired::Sent { upstream: None },
            None => Inquired::NotSent,
        }
    }

    fn told(&mut self, _: &Outcome) {
        self.trips_told = Some(self.trips);
    }

    fn conclude(&mut self, request: &ConcludeRequest) -> Concluded {
        match self.managed.end(&request.scope, &request.to, self.now) {
            true => Concluded::Done,
            false => Concluded::Gone,
        }
    }
}
