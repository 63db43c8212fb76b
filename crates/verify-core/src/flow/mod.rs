//! Flows: a command becomes steps, each plain data that says what must be done outside and holds the only handle that
//! can take the answer.
//!
//! The loop of every driver:
//!
//! ```text
//! let mut step = machine.start(command, start);
//! loop { step = match step {
//!     Step::Store(it)    => { let answer = store.apply(it.changeset());  it.resume(now, answer) }
//!     Step::Assess(it)   => …,   Step::Dispatch(it) => …,   Step::Compare(it)  => …,
//!     Step::Inquire(it)  => …,   Step::Conclude(it) => …,
//!     Step::Answer(it)   => { tell(it.outcome());  it.resume(now, ()) }
//!     Step::Done(outcome) => break outcome,
//! } }
//! ```
//!
//! [`drive`] is that loop over an [`Outside`] that answers at once. Every flow ends within [`MOST_STEPS`] steps. What a
//! driver does when there is no answer is a method of the step: nothing begins after [`Step::not_after`], and a call is
//! dropped then; what may have happened is [`Step::lost`], what surely was not begun [`Step::not_begun`].

mod alerts;
mod board;
mod cancel;
mod candidate;
mod check;
mod conclude;
mod context;
mod drive;
mod erase;
mod found;
mod idempotency;
mod lengths;
mod named;
mod offers;
mod redeem;
mod refusals;
mod rekey;
mod report;
mod reserve;
mod safe;
mod scopes;
mod sealed;
mod send;
mod status;
mod step;
mod tick;
mod unlock;
mod view;
mod who;

pub use drive::{Outside, drive};
pub use safe::{Heard, NotBegun};
pub use step::{
    AnswerStep, AssessAnswer, AssessStep, CompareStep, ConcludeStep, DispatchStep, InquireStep, Question,
    Step, StoreStep,
};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::command::Command;
use crate::keys::Keys;
use crate::policy::PolicySet;
use crate::port::{Capabilities, ProviderName};
use crate::seed::Seed;
use crate::store::RecordKind;
use crate::time::Timestamp;
use crate::vocabulary::{Channel, Country};

/// No flow takes more steps than this, contention and failover included.
pub const MOST_STEPS: usize = 48;

/// From the first step to the last outside call. A repair begins once this and the clocks' skew are over.
pub const FLOW_BUDGET: Duration = Duration::from_secs(20);

/// Which provider carries what, in which order. Data, made once at start.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// What each provider can do.
    pub providers: BTreeMap<ProviderName, Capabilities>,
    /// By channel and country; the entry without a country is for all others.
    pub order: BTreeMap<(Channel, Option<Country>), Vec<ProviderName>>,
}

impl Routes {
    /// Each channel through those that carry it, in this order.
    pub fn in_order(providers: impl IntoIterator<Item = Capabilities>) -> Self {
        let mut routes = Self::default();
        for provider in providers {
            for channel in &provider.channels {
                let order = routes.order.entry((*channel, None)).or_default();
                order.push(Arc::clone(&provider.name));
            }
            routes.providers.insert(Arc::clone(&provider.name), provider);
        }
        routes
    }

    /// Providers for a channel and a country, first choice first.
    pub fn of(&self, channel: Channel, country: Option<Country>) -> impl Iterator<Item = &Capabilities> {
        let listed = self
            .order
            .get(&(channel, country))
            .or_else(|| self.order.get(&(channel, None)));
        listed
            .into_iter()
            .flatten()
            .filter_map(|name| self.providers.get(name))
    }
}

/// The pure machine: policies and routes, and what is left of the policies before. Running flows changes nothing in it.
#[derive(Debug, Clone)]
pub struct Machine {
    policies: Arc<PolicySet>,
    earlier: lengths::EarlierLengths,
    scopes: Arc<scopes::ScopeSet>,
    routes: Arc<Routes>,
    #[cfg(verify_broken)]
    broken: Option<crate::broken::Broken>,
}

/// Providers whose breakers keep calls away, each with the instant at which it may be asked again. Sends and comparisons
/// rest apart: what goes wrong with one verb says nothing of the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Resting {
    /// They are asked to send nothing.
    pub sends: BTreeMap<ProviderName, Timestamp>,
    /// They are asked to compare nothing.
    pub compares: BTreeMap<ProviderName, Timestamp>,
}

/// What a command starts with besides itself.
#[derive(Debug, Clone)]
pub struct Start {
    /// The time.
    pub now: Timestamp,
    /// Randomness.
    pub seed: Seed,
    /// The key rings.
    pub keys: Arc<Keys>,
    /// Providers that are not asked just now.
    pub resting: Resting,
    /// Whether a human check is configured.
    pub human_check: bool,
}

impl Machine {
    /// A machine for these policies and routes, over a store in which no code is pending.
    pub fn new(policies: Arc<PolicySet>, routes: Arc<Routes>) -> Self {
        Self {
            scopes: scopes::ScopeSet::of(&policies).into(),
            policies,
            earlier: lengths::EarlierLengths::default(),
            routes,
            #[cfg(verify_broken)]
            broken: None,
        }
    }

    /// The same machine, started at `now` over a store that others may have left codes in: as long as the longest code of its
    /// policies lives, a check by destination takes a code of any length.
    #[must_use]
    pub fn restarted(self, now: Timestamp) -> Self {
        Self {
            earlier: lengths::EarlierLengths::unknown(&self.policies, now),
            ..self
        }
    }

    /// The same machine under other policies from `now` on. Codes that are pending stay what they are: as long as the longest
    /// code of the policies before lives, a check by destination takes the lengths that those named too.
    #[must_use]
    pub fn under(self, policies: Arc<PolicySet>, now: Timestamp) -> Self {
        Self {
            scopes: scopes::ScopeSet::of(&policies).into(),
            earlier: self.earlier.and(&self.policies, now),
            policies,
            ..self
        }
    }

    /// The same machine with one rule switched off: for tests of the tests only.
    #[cfg(verify_broken)]
    #[must_use]
    pub fn broken(self, how: crate::broken::Broken) -> Self {
        Self {
            broken: Some(how),
            ..self
        }
    }

    /// The policies in force.
    pub fn policies(&self) -> &Arc<PolicySet> {
        &self.policies
    }

    /// The routes in force.
    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// Opens a flow. The first step may already be the last.
    pub fn start(&self, command: impl Into<Command>, start: Start) -> Step {
        let now = start.now;
        let command = command.into();
        let ctx = context::Context::new(self, command.service(), command.name(), start);
        match command {
            Command::Send(request) => send::start(ctx, &request, now),
            Command::Check(request) => check::start(ctx, &request, &self.earlier, now),
            Command::Cancel(request) => cancel::start(ctx, &request, now),
            Command::Status(request) => status::start(ctx, &request, now),
            Command::Report(request) => report::start(ctx, &request, now),
            Command::Tick(request) => match request.record.kind {
                RecordKind::Verifications => tick::start(ctx, &request, now),
                RecordKind::Notes => rekey::start(ctx, request.record, now),
            },
            Command::Redeem(request) => redeem::start(ctx, &request, now),
            Command::Unlock(request) => unlock::start(ctx, &request, now),
            Command::Erase(request) => erase::start(ctx, &request, now),
        }
    }
}
