//! What a flow carries from its first step to its last: the rules, the keys, its randomness and what it explains.

use std::sync::Arc;
use std::time::Duration;

use crate::broken::Broken;
use crate::event::{Event, EventKind};
use crate::keys::Keys;
use crate::outcome::{Answer, Explanation, Fault, Outcome, ProviderSaid, Refusal, RuleHit};
use crate::policy::{Disclosure, Policy};
use crate::port::{Detail, ProviderName};
use crate::seed::Seed;
use crate::store::{Changeset, Room, StoreFault};
use crate::time::{Timestamp, Until};
use crate::vocabulary::{ServiceId, Standing};

use super::scopes::Scopes;
use super::step::{AnswerStep, AnswerThen, Step};
use super::{FLOW_BUDGET, Machine, Resting, Routes, Start};

/// How often a flow tries after a conflict.
const MOST_TRIES: u8 = 6;

#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) policy: Arc<Policy>,
    pub(super) scopes: Arc<Scopes>,
    pub(super) routes: Arc<Routes>,
    pub(super) keys: Arc<Keys>,
    pub(super) seed: Seed,
    pub(super) service: ServiceId,
    pub(super) resting: Resting,
    pub(super) human_check: bool,
    /// No outside call begins after this, and none goes on.
    pub(super) not_after: Timestamp,
    pub(super) explanation: Explanation,
    tries: u8,
    /// A lost answer of the store was asked about.
    asked_again: bool,
    /// Something that refuses has been named, and nothing has lifted it since.
    named: bool,
    #[cfg(verify_broken)]
    broken: Option<Broken>,
}

impl Context {
    pub(super) fn new(machine: &Machine, service: &ServiceId, command: &'static str, start: Start) -> Self {
        Self {
            policy: Arc::clone(machine.policies.of(service)),
            scopes: Arc::clone(machine.scopes.of_service(service)),
            routes: Arc::clone(&machine.routes),
            keys: start.keys,
            seed: start.seed,
            service: service.clone(),
            resting: start.resting,
            human_check: start.human_check,
            not_after: start.now + FLOW_BUDGET,
            explanation: Explanation {
                service: Some(service.clone()),
                command,
                at: start.now,
                ..Explanation::default()
            },
            tries: 0,
            asked_again: false,
            named: false,
            #[cfg(verify_broken)]
            broken: machine.broken,
        }
    }

    /// True when this rule is switched off, which only a test of the tests can ask for.
    #[cfg(verify_broken)]
    pub(super) fn is_broken(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    /// No rule can be switched off.
    #[cfg(not(verify_broken))]
    pub(super) const fn is_broken(&self, _: Broken) -> bool {
        false
    }

    /// Whether nobody may find out who is known here: what anyone can see depends on requests, policy and time, and on nothing
    /// that a provider said.
    pub(super) fn is_private(&self) -> bool {
        self.policy.privacy.disclosure == Disclosure::Private
    }

    /// A changeset of this service at `now`.
    pub(super) fn changeset(&self, now: Timestamp, standing: Standing) -> Changeset {
        let room = match standing {
            Standing::Stranger => Room::Stranger,
            Standing::Known => Room::Known,
        };
        Changeset::new(self.service.clone(), now, room)
    }

    /// The same, of something that limits, lockouts or what was used up before have to admit: it waits while the store may
    /// have lost that.
    pub(super) fn admitting(&self, now: Timestamp, standing: Standing) -> Changeset {
        let looks_back = match self.is_broken(Broken::CountOnWhatIsLost) {
            true => Duration::ZERO,
            false => self.scopes.looks_back,
        };
        Changeset {
            looks_back,
            ..self.changeset(now, standing)
        }
    }

    /// True when what became of a changeset may be asked, because its answer was lost: once a flow. A store that does not
    /// answer is not asked six times by everybody.
    pub(super) fn ask_again(&mut self) -> bool {
        !std::mem::replace(&mut self.asked_again, true)
    }

    /// True while the flow may try once more after a conflict.
    pub(super) fn try_again(&mut self) -> bool {
        self.tries += 1;
        self.tries < MOST_TRIES
    }

    /// True when no outside call may begin any more.
    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        now >= self.not_after
    }

    /// The end of an outside call that may take that long.
    pub(super) fn call_until(&self, now: Timestamp, span: Duration) -> Timestamp {
        (now.max(self.explanation.at) + span).min(self.not_after)
    }

    /// Notes a rule that refuses by a figure.
    pub(super) fn hit(
        &mut self,
        rule: impl Into<Arc<str>>,
        figure: u64,
        allowed: Option<u64>,
        until: Option<Until>,
    ) {
        self.named = true;
        self.explanation.rules.push(RuleHit {
            rule: rule.into(),
            value: None,
            figure,
            allowed,
            until,
        });
    }

    /// Notes a rule that refuses by what it saw or says.
    pub(super) fn hit_by(&mut self, rule: impl Into<Arc<str>>, value: impl Into<Arc<str>>, figure: u64) {
        self.named = true;
        self.note(rule, value, figure);
    }

    /// Notes a rule that refuses by what it saw, until then.
    pub(super) fn hit_until(
        &mut self,
        rule: impl Into<Arc<str>>,
        value: impl Into<Arc<str>>,
        until: Option<Until>,
    ) {
        self.hit_by(rule, value, 0);
        if let Some(hit) = self.explanation.rules.last_mut() {
            hit.until = until;
        }
    }

    /// Notes a rule that took part and refuses nothing.
    pub(super) fn note(&mut self, rule: impl Into<Arc<str>>, value: impl Into<Arc<str>>, figure: u64) {
        self.explanation.rules.push(RuleHit {
            value: Some(value.into()),
            ..RuleHit::new(rule, figure)
        });
    }

    /// What was named is lifted: a person asked, or an answer came. What refuses from here on is something else.
    pub(super) const fn lifted(&mut self) {
        self.named = false;
    }

    /// Notes what a provider said.
    pub(super) fn said(&mut self, provider: &ProviderName, came: &'static str, detail: Detail) {
        self.explanation.providers.push(ProviderSaid {
            provider: Arc::clone(provider),
            came,
            detail,
        });
    }

    /// Names of the rules so far, for events.
    pub(super) fn rules(&self) -> Vec<Arc<str>> {
        self.explanation
            .rules
            .iter()
            .map(|hit| Arc::clone(&hit.rule))
            .collect()
    }

    /// An event of this flow. `nth` tells several of a kind apart; asked for again, it is the same event.
    pub(super) fn event(&self, kind: EventKind, nth: u8, now: Timestamp) -> Event {
        Event {
            destination: self.explanation.destination,
            verification: self.explanation.verification,
            ..Event::new(&self.seed, nth, now, self.service.clone(), kind)
        }
    }

    /// The end, with what the command came to.
    pub(super) fn done(self, answer: impl Into<Answer>) -> Step {
        self.end(Ok(answer.into()))
    }

    /// The end, with a no.
    pub(super) fn refuse<A: From<Refusal> + Into<Answer>>(self, refusal: Refusal) -> Step {
        self.done(A::from(refusal))
    }

    /// The end, with what was settled before.
    pub(super) fn answer(self, answer: Result<impl Into<Answer>, Fault>) -> Step {
        self.end(answer.map(Into::into))
    }

    /// The end: it could not be done.
    pub(super) fn fault(self, fault: Fault) -> Step {
        self.end(Err(fault))
    }

    /// The end: the store did not do it, or may have done it. A fault of the store is never a permission.
    pub(super) fn failed(mut self, fault: StoreFault) -> Step {
        let kind = Fault::from(&fault);
        self.explanation.store = Some(fault.into_detail());
        self.fault(kind)
    }

    /// The answer, before what is left to do: nobody waits for that, and nobody can tell by it.
    pub(super) fn answer_first(
        &self,
        answer: Result<impl Into<Answer>, Fault>,
        not_after: Timestamp,
        then: AnswerThen,
    ) -> Step {
        let outcome = self.clone().outcome(answer.map(Into::into));
        AnswerStep::step(Arc::new(outcome), not_after, then)
    }

    fn end(self, answer: Result<Answer, Fault>) -> Step {
        Step::Done(Box::new(self.outcome(answer)))
    }

    fn outcome(mut self, answer: Result<Answer, Fault>) -> Outcome {
        let refusal = answer.as_ref().ok().and_then(Answer::refusal);
        if let Some(refusal) = refusal.filter(|_| !self.named) {
            let value = match refusal.field {
                Some(field) => format!("{field}: {}", refusal.detail),
                None => refusal.detail.to_string(),
            };
            self.hit_by(refusal.code.as_str(), value, 0);
        }
        Outcome::new(answer, self.explanation)
    }
}
