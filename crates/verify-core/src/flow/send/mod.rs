//! Send, top to bottom: what the request alone decides, one changeset that charges and records the intent, the risk
//! scorer, the provider, and one changeset that says what became of it.
//!
//! A resend and a change of channel are the same flow: when a record is there, the first changeset is refused with
//! it, [`judge`] reads what it says, and the flow goes on as a repeat, a resend of the same code, or a new one.

mod intent;
mod judge;
mod request;
mod settle;

pub(super) use intent::Intent;
pub(super) use settle::Settle;

use crate::command::SendRequest;
use crate::keys::PrintKind;
use crate::outcome::{Refusal, RefusalCode};
use crate::policy::{Disclosure, RiskAction, RiskRules};
use crate::port::{
    AssessRequest, Assessment, Detail, DispatchRequest, Dispatched, Rejection, RejectionKind, RiskLevel,
};
use crate::record::{CodeOf, Delivery, DeliveryStatus, Entry, Notes, Record};
use crate::store::RecordKind;
use crate::time::Timestamp;
use crate::token::{DeliveryToken, StepUpToken};
use crate::vocabulary::Channel;

use super::board::Board;
use super::carrier::{Carrier, own_code};
use super::context::Context;
use super::idempotency::IdempotencyKey;
use super::place::Place;
use super::step::{AssessAnswer, AssessStep, AssessThen, DispatchStep, DispatchThen, Question, Step};
use super::view::{fallback, with_fallback};
use super::who::Who;
use request::Parts;

/// A send on its way.
#[derive(Debug, Clone)]
pub(super) struct Send {
    pub(super) ctx: Context,
    pub(super) who: Who,
    channel: Channel,
    locale: String,
    consent: bool,
    human_token: Option<String>,
    human_passed: bool,
    step_up_answered: bool,
    idempotency: Option<IdempotencyKey>,
    board: Board,
    place: Place,
    notes: Place,
    prefix_notes: Option<Place>,
    /// What was seen in them: all of it, and each for itself, since one is written without the other.
    noted: Notes,
    noted_here: Notes,
    noted_prefix: Notes,
    /// Providers in order.
    carriers: Vec<Carrier>,
}

/// The delivery that this flow recorded, in the record as it was written.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    record: Record,
    nonce: [u8; 16],
    /// The delivery's id.
    delivery: [u8; 16],
    carrier: Carrier,
    /// Carriers to try when this one surely did not send.
    rest: Vec<Carrier>,
    /// True when this flow saw what it was charged, so that it can be taken back.
    counted: bool,
    /// The code that this resend put a new one in the place of.
    replaced: Option<Box<Replaced>>,
}

/// A code that somebody may hold, and its life.
#[derive(Debug, Clone)]
struct Replaced {
    code: CodeOf,
    issued: Timestamp,
    expires: Timestamp,
    /// The first delivery of the new code.
    by: [u8; 16],
}

impl Attempt {
    fn entry(&self) -> Option<&Entry> {
        self.record.entry(&self.nonce)
    }

    /// A dispatch needs this: a delivery that an applied changeset recorded and nobody has settled since.
    fn receipt(&self) -> Option<(&Entry, &Delivery)> {
        let entry = self.entry()?;
        let delivery = entry.delivery(&self.delivery)?;
        (delivery.status() == DeliveryStatus::Dispatching).then_some((entry, delivery))
    }
}

/// Who was asked about a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Risk,
    Human,
}

/// What became of a delivery.
#[derive(Debug, Clone)]
pub(super) enum Came {
    Accepted {
        upstream: Option<String>,
    },
    Rejected(Rejection),
    Unknown,
    /// Rejected, and under private disclosure not to be told: it goes on as a decoy.
    Hidden(Rejection),
    /// Stopped before the provider was asked.
    Stopped(Refusal),
}

pub(super) fn start(mut ctx: Context, request: &SendRequest, now: Timestamp) -> Step {
    let parts = match Parts::of(&mut ctx, request, now) {
        Ok(parts) => parts,
        Err(refusal) => return ctx.refuse(refusal),
    };
    let human_wanted = parts.human_wanted;
    let send = Send::new(ctx, request, parts);
    if human_wanted {
        send.ask_for_a_human(None, now)
    } else {
        send.intend_on_nothing(now)
    }
}

impl Send {
    fn new(ctx: Context, request: &SendRequest, parts: Parts) -> Self {
        let Parts {
            who,
            channel,
            carriers,
            idempotency,
            step_up_answered,
            human_wanted: _,
        } = parts;
        let prefix = who.to.prefix().map(|prefix| {
            ctx.keys
                .prints(PrintKind::Prefix, &ctx.service, prefix.as_bytes())
        });
        let default_locale = &ctx.policy.channels_for(who.purpose()).default_locale;
        Self {
            locale: request.locale.as_ref().unwrap_or(default_locale).clone(),
            consent: request.consent,
            human_token: request.human_check.clone(),
            human_passed: false,
            board: Board::for_send(&ctx, &who, channel),
            place: Place::of(RecordKind::Verifications, &who.destination),
            notes: Place::of(RecordKind::Notes, &who.destination),
            prefix_notes: prefix.map(|prints| Place::of(RecordKind::Notes, &prints)),
            noted: Notes::default(),
            noted_here: Notes::default(),
            noted_prefix: Notes::default(),
            ctx,
            who,
            channel,
            step_up_answered,
            idempotency,
            carriers,
        }
    }

    /// A human check: before anything is charged when `after` is `None`, else in the middle of an attempt.
    fn ask_for_a_human(self, after: Option<Attempt>, now: Timestamp) -> Step {
        let Some(token) = self.human_token.clone().filter(|_| self.ctx.human_check) else {
            let refusal = self.no_human();
            return match after {
                Some(attempt) => self.settle(attempt, Came::Stopped(refusal), now),
                None => self.ctx.refuse(refusal),
            };
        };
        let question = Question::Human {
            token,
            ip: self.who.caller.ip,
        };
        let not_after = self.ctx.not_after;
        let then = AssessThen {
            send: self,
            attempt: after,
            asked: Asked::Human,
        };
        Step::Assess(AssessStep {
            question,
            not_after,
            then: Box::new(then),
        })
    }

    fn no_human(&self) -> Refusal {
        match self.ctx.human_check {
            true => Refusal::new(
                RefusalCode::HumanCheckRequired,
                "show that a person asks: pass `human_check`",
            ),
            false => Refusal::new(RefusalCode::Blocked, "this cannot be sent to"),
        }
    }

    /// The intent is recorded: the scorer first, then the provider.
    fn go(self, attempt: Attempt, now: Timestamp) -> Step {
        let risk = self.ctx.policy.risk_for(self.who.purpose());
        // The scorer judges a decoy as it would the real thing: its answers must not tell who exists.
        if !risk.enabled || attempt.carrier == Carrier::test() {
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
        Step::Assess(AssessStep {
            question,
            not_after,
            then: Box::new(AssessThen {
                send: self,
                attempt: Some(attempt),
                asked: Asked::Risk,
            }),
        })
    }

    pub(super) fn assessed(
        mut self,
        attempt: Option<Attempt>,
        asked: Asked,
        now: Timestamp,
        answer: AssessAnswer,
    ) -> Step {
        let action = match (asked, answer) {
            (Asked::Human, AssessAnswer::Human(true)) => {
                self.human_passed = true;
                RiskAction::Proceed
            }
            // A human check that cannot tell refuses.
            (
                Asked::Human,
                AssessAnswer::Human(false) | AssessAnswer::Assessed(_) | AssessAnswer::Unavailable,
            ) => {
                let refusal = self.no_human();
                return match attempt {
                    Some(attempt) => self.settle(attempt, Came::Stopped(refusal), now),
                    None => self.ctx.refuse(refusal),
                };
            }
            (Asked::Risk, AssessAnswer::Assessed(assessment)) => self.weigh(&assessment),
            (Asked::Risk, AssessAnswer::Human(_) | AssessAnswer::Unavailable) => {
                self.ctx.hit("risk_unavailable", 0, None, None);
                self.ctx.policy.risk_for(self.who.purpose()).unavailable
            }
        };
        match attempt {
            Some(attempt) => self.act_on_risk(attempt, action, now),
            None => self.begin_again(now),
        }
    }

    fn act_on_risk(self, attempt: Attempt, action: RiskAction, now: Timestamp) -> Step {
        let private = self.ctx.policy.privacy.disclosure == Disclosure::Private;
        match action {
            RiskAction::Proceed => self.dispatch(attempt, now),
            RiskAction::HumanCheck if self.human_passed => self.dispatch(attempt, now),
            RiskAction::HumanCheck => self.ask_for_a_human(Some(attempt), now),
            RiskAction::StepUp if self.step_up_answered => self.dispatch(attempt, now),
            RiskAction::StepUp => {
                let refusal = self.step_up();
                self.settle(attempt, Came::Stopped(refusal), now)
            }
            RiskAction::Refuse if private => {
                let attempt = Attempt {
                    carrier: Carrier::decoy(),
                    ..attempt
                };
                self.settle(attempt, Came::Accepted { upstream: None }, now)
            }
            RiskAction::Refuse => {
                let refusal = Refusal::new(RefusalCode::Blocked, "this cannot be sent to");
                self.settle(attempt, Came::Stopped(refusal), now)
            }
        }
    }

    fn weigh(&mut self, assessment: &Assessment) -> RiskAction {
        let rules: &RiskRules = self.ctx.policy.risk_for(self.who.purpose());
        let level = assessment.level.unwrap_or(match assessment.score {
            Some(score) if score >= rules.high_from => RiskLevel::High,
            Some(score) if score >= rules.medium_from => RiskLevel::Medium,
            Some(_) | None => RiskLevel::Low,
        });
        let (action, rule) = match level {
            RiskLevel::High => (rules.high, "risk_high"),
            RiskLevel::Medium => (rules.medium, "risk_medium"),
            RiskLevel::Low => (rules.low, "risk_low"),
        };
        if action != RiskAction::Proceed {
            self.ctx
                .hit(rule, u64::from(assessment.score.unwrap_or(0)), None, None);
        }
        action
    }

    fn step_up(&self) -> Refusal {
        use crate::policy::Unenrolled;
        let rules = self.ctx.policy.risk_for(self.who.purpose());
        let id = self.ctx.seed.bytes("step-up");
        let token = StepUpToken {
            id,
            destination: self.who.destination.newest(),
            subject: self.who.subject.as_ref().map(crate::keys::Prints::newest),
            purpose: self.who.purpose(),
        };
        let mut refusal = Refusal::new(RefusalCode::StepUpRequired, "a stronger factor is needed");
        refusal.factors.clone_from(&rules.step_up);
        refusal.enroll = rules.unenrolled == Unenrolled::Enroll;
        let expires = self.ctx.explanation.at + self.ctx.policy.proof_ttl;
        refusal.step_up = self
            .ctx
            .keys
            .issue(&self.ctx.service, expires, &self.ctx.seed, &token)
            .ok();
        refusal
    }

    fn dispatch(self, attempt: Attempt, now: Timestamp) -> Step {
        if attempt.carrier.is_silent() {
            return self.settle(attempt, Came::Accepted { upstream: None }, now);
        }
        let late = Came::Rejected(Rejection {
            kind: RejectionKind::Down,
            retry_after: None,
            detail: Detail::new(None, "the deadline passed before the provider was asked"),
        });
        let Some((entry, delivery)) = attempt.receipt() else {
            return self.settle(attempt, Came::Unknown, now);
        };
        let reference = DeliveryToken {
            record: self.who.destination.newest(),
            nonce: attempt.nonce,
            delivery: delivery.number,
        };
        let code = own_code(&self.ctx, &self.who, entry);
        let reference = self.ctx.keys.issue(
            &self.ctx.service,
            entry.expires + crate::record::RETENTION,
            &self.ctx.seed,
            &reference,
        );
        let missing = matches!(entry.code, CodeOf::Own { .. }) && code.is_none();
        let (Ok(reference), false, false) = (reference, missing, self.ctx.is_late(now)) else {
            return self.settle(attempt, late, now);
        };
        let request = DispatchRequest {
            provider: attempt.carrier.provider.clone(),
            service: self.ctx.service.clone(),
            scope: entry.scope().map(|(_, scope)| scope.clone()).unwrap_or_default(),
            to: self.who.to.delivery().to_owned(),
            channel: self.channel,
            purpose: self.who.purpose(),
            code,
            locale: self.locale.clone(),
            amount: self.who.spelled.amount.clone(),
            payee: self.who.spelled.payee.clone(),
            code_ttl: entry.expires.since(now),
            reference,
            dispatch_id: delivery.id,
            not_after: delivery.not_after,
        };
        let not_after = self.ctx.not_after;
        Step::Dispatch(DispatchStep {
            request,
            not_after,
            then: Box::new(DispatchThen { send: self, attempt }),
        })
    }

    pub(super) fn dispatched(mut self, attempt: Attempt, now: Timestamp, answer: Dispatched) -> Step {
        let provider = attempt.carrier.provider.clone();
        let private = self.ctx.policy.privacy.disclosure == Disclosure::Private;
        let came = match answer {
            Dispatched::Accepted { upstream } => Came::Accepted { upstream },
            Dispatched::Rejected(rejection) => {
                self.ctx
                    .said(&provider, rejection.kind.as_str(), rejection.detail.clone());
                if private && rejection.kind == RejectionKind::OptedOut {
                    let carrier = Carrier::decoy();
                    return self.settle(Attempt { carrier, ..attempt }, Came::Hidden(rejection), now);
                }
                Came::Rejected(rejection)
            }
            Dispatched::Unknown(detail) => {
                self.ctx.said(&provider, "unknown", detail);
                Came::Unknown
            }
        };
        self.settle(attempt, came, now)
    }

    fn settle(self, attempt: Attempt, came: Came, now: Timestamp) -> Step {
        Settle::new(self, attempt, came).write(now)
    }

    /// Channels that may be tried instead of this one.
    fn instead(&self, refusal: Refusal, now: Timestamp) -> Refusal {
        let channels = fallback(&self.ctx, &self.who, &self.noted, now, |channel| {
            channel == self.channel
        });
        with_fallback(&self.ctx, &self.who, refusal, channels)
    }
}
