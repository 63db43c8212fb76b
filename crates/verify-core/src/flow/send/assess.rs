//! The questions about a send, once its intent is recorded: how risky it is, which the flow weighs itself, and whether a
//! person asks.

use crate::detail::Detail;
use crate::outcome::{Refusal, RefusalCode};
use crate::policy::file::Word;
use crate::policy::{RiskAction, RiskRules, Unenrolled};
use crate::port::{
    AssessRequest, Assessment, Blame, HumanRequest, Rejection, RejectionKind, RiskLevel, Unavailable,
};
use crate::time::Timestamp;
use crate::token::StepUpToken;

use super::settle::Came;
use super::{Attempt, Sending};
use crate::flow::candidate::Candidate;
use crate::flow::refusals::blocked;
use crate::flow::step::{AssessAnswer, AssessStep, AssessThen, Question, Step};
use crate::keys::Prints;

/// The scorers are asked.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Weigh {
    sending: Sending,
    attempt: Attempt,
}

/// The human check is asked: before anything is charged, or in the middle of an attempt.
#[derive(Debug, Clone)]
pub(in crate::flow) struct AskHuman {
    sending: Sending,
    attempt: Option<Attempt>,
}

impl Sending {
    /// The intent is recorded: the scorers first, then the provider.
    pub(super) fn assess(self, attempt: Attempt, now: Timestamp) -> Step {
        let risk = self.ctx.policy.risk_for(self.who.purpose());
        // The scorers judge a decoy as they would the real thing: their answers must not tell who exists.
        if !risk.enabled || attempt.candidate == Candidate::test() {
            return self.dispatch(attempt, now);
        }
        let question = Question::Risk(AssessRequest {
            service: self.ctx.service.clone(),
            to: self.who.to.canonical().to_owned(),
            destination: self.who.destination.newest(),
            country: self.who.to.country(),
            channel: self.channel,
            purpose: self.who.purpose(),
            subject: self.who.spelled.subject.clone(),
            standing: self.who.standing,
            ip: self.who.caller.ip,
            asn: self.who.caller.asn,
            device: self.who.caller.device.clone(),
        });
        let not_after = self.ctx.not_after;
        let then = Weigh {
            sending: self,
            attempt,
        };
        AssessStep::step(question, not_after, AssessThen::Risk(then))
    }

    /// A human check: before anything is charged when there is no attempt, else in the middle of it.
    pub(super) fn ask_for_a_human(self, attempt: Option<Attempt>, now: Timestamp) -> Step {
        let Some(token) = self.human_token.clone().filter(|_| self.ctx.human_check) else {
            return self.no_human(attempt, now);
        };
        let question = Question::Human(HumanRequest {
            service: self.ctx.service.clone(),
            purpose: self.who.purpose(),
            destination: self.who.destination.newest(),
            token: token.into(),
            ip: self.who.caller.ip,
        });
        let not_after = self.ctx.not_after;
        let then = AskHuman {
            sending: self,
            attempt,
        };
        AssessStep::step(question, not_after, AssessThen::Human(then))
    }

    fn no_human(self, attempt: Option<Attempt>, now: Timestamp) -> Step {
        let refusal = match self.ctx.human_check {
            true => Refusal::new(
                RefusalCode::HumanCheckRequired,
                "show that a person asks: pass `human_check`",
            ),
            false => blocked(),
        };
        match attempt {
            Some(attempt) => self.settle(attempt, Came::Stopped(refusal), now),
            None => self.refuse(refusal),
        }
    }

    fn act_on_risk(self, attempt: Attempt, action: RiskAction, now: Timestamp) -> Step {
        match action {
            // Weighed already: it is what can be done.
            RiskAction::Proceed | RiskAction::Auto => self.dispatch(attempt, now),
            RiskAction::HumanCheck if self.human_passed => self.dispatch(attempt, now),
            RiskAction::HumanCheck => self.ask_for_a_human(Some(attempt), now),
            RiskAction::StepUp if self.step_up_answered => self.dispatch(attempt, now),
            RiskAction::StepUp => {
                let refusal = self.step_up();
                self.settle(attempt, Came::Stopped(refusal), now)
            }
            RiskAction::Refuse if self.ctx.is_private() => self.pretend(attempt, now),
            RiskAction::Refuse => self.settle(attempt, Came::Stopped(blocked()), now),
        }
    }

    /// As if it had been sent.
    fn pretend(mut self, attempt: Attempt, now: Timestamp) -> Step {
        self.decoy = true;
        self.dispatch(attempt, now)
    }

    fn step_up(&self) -> Refusal {
        let rules = self.ctx.policy.risk_for(self.who.purpose());
        let token = StepUpToken {
            id: self.ctx.seed.bytes("step-up"),
            destination: self.who.delivered.newest(),
            subject: self.who.subject.as_ref().map(Prints::newest),
            purpose: self.who.purpose(),
        };
        let mut refusal = Refusal::new(RefusalCode::StepUpRequired, "a stronger factor is needed");
        refusal.factors.clone_from(&rules.step_up);
        refusal.enroll = rules.unenrolled == Unenrolled::Enroll;
        let expires = self.ctx.explanation.at + self.ctx.policy.proof_ttl;
        let ctx = &self.ctx;
        refusal.step_up = ctx.keys.issue(&ctx.service, expires, &ctx.seed, &token).ok();
        refusal
    }
}

impl Weigh {
    pub(in crate::flow) fn resume(self, now: Timestamp, answer: AssessAnswer) -> Step {
        let Self { mut sending, attempt } = self;
        let said = match answer {
            AssessAnswer::Said(said) => said,
            AssessAnswer::Human(_) | AssessAnswer::Unavailable => Vec::new(),
        };
        let rules = sending.ctx.policy.risk_for(sending.who.purpose());
        let weighed = weighed(&said, rules);
        let (action, rule) = match weighed.level {
            Some(RiskLevel::High) => (rules.high, "risk_high"),
            Some(RiskLevel::Medium) => (rules.medium, "risk_medium"),
            Some(RiskLevel::Low) => (rules.low, "risk_low"),
            None => (rules.unavailable, "risk_unavailable"),
        };
        let score = weighed.score.into();
        match action {
            RiskAction::Proceed if weighed.level.is_some() => {}
            RiskAction::Auto if sending.ctx.human_check => sending.ctx.hit_by(rule, action.word(), score),
            RiskAction::Proceed | RiskAction::Auto => sending.ctx.note(rule, action.word(), score),
            RiskAction::HumanCheck | RiskAction::StepUp | RiskAction::Refuse => {
                sending.ctx.hit_by(rule, action.word(), score);
            }
        }
        match weighed.verdict {
            // Whatever else there is to do about the risk, this channel does not reach them.
            Some(kind) => {
                let rejection = Rejection {
                    kind,
                    retry_after: None,
                    detail: Detail::new(
                        None,
                        &[&["the risk scorer".to_owned()], &*weighed.signals]
                            .concat()
                            .join(": "),
                    ),
                };
                // Scorers are asked about decoys too, and what is noted stops only what is real: so nothing is noted.
                if sending.ctx.is_private() {
                    let ctx = &mut sending.ctx;
                    ctx.said(&"risk".into(), kind.as_str(), rejection.detail);
                    return sending.pretend(attempt, now);
                }
                sending.rejected(attempt, "risk", rejection, now)
            }
            None => {
                let possible = match action {
                    RiskAction::Auto if sending.ctx.human_check => RiskAction::HumanCheck,
                    RiskAction::Auto => RiskAction::Proceed,
                    RiskAction::Proceed
                    | RiskAction::HumanCheck
                    | RiskAction::StepUp
                    | RiskAction::Refuse => action,
                };
                sending.act_on_risk(attempt, possible, now)
            }
        }
    }
}

impl AskHuman {
    pub(in crate::flow) fn resume(self, now: Timestamp, answer: &AssessAnswer) -> Step {
        let Self { mut sending, attempt } = self;
        // A human check that cannot tell refuses.
        if *answer != AssessAnswer::Human(true) {
            return sending.no_human(attempt, now);
        }
        sending.human_passed = true;
        sending.ctx.lifted();
        match attempt {
            Some(attempt) => sending.dispatch(attempt, now),
            None => sending.begin_again(now),
        }
    }
}

/// The words of several scorers as one: of each kind the worst.
#[derive(Debug, PartialEq, Eq)]
struct Weighed {
    /// `None`: it could not be told, or what the policy does then is worse than what was told.
    level: Option<RiskLevel>,
    score: u8,
    verdict: Option<RejectionKind>,
    signals: Vec<String>,
}

fn weighed(said: &[Result<Assessment, Unavailable>], rules: &RiskRules) -> Weighed {
    let words = || said.iter().flatten();
    let level = words().map(|word| level_of(word, rules)).max();
    let follows = level.map_or(RiskAction::Proceed, |level| match level {
        RiskLevel::Low => rules.low,
        RiskLevel::Medium => rules.medium,
        RiskLevel::High => rules.high,
    });
    let missed = said.iter().any(Result::is_err);
    let verdicts = words().filter_map(|word| word.verdict);
    Weighed {
        level: level.filter(|_| !(missed && rules.unavailable > follows)),
        score: words().filter_map(|word| word.score).max().unwrap_or(0),
        verdict: verdicts.filter(|kind| kind.blame() == Blame::Destination).max(),
        signals: words().flat_map(|word| word.signals.iter().cloned()).collect(),
    }
}

/// The level that a word stands for: its own, or by the policy's thresholds; low when it says neither.
fn level_of(word: &Assessment, rules: &RiskRules) -> RiskLevel {
    word.level.unwrap_or(match word.score {
        Some(score) if score >= rules.high_from => RiskLevel::High,
        Some(score) if score >= rules.medium_from => RiskLevel::Medium,
        Some(_) | None => RiskLevel::Low,
    })
}
