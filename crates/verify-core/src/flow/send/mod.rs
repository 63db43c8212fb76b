//! Send, top to bottom: what the request alone decides, one changeset that charges and records the intent, the risk
//! scorer, the provider, and one changeset that says what became of it.
//!
//! A resend and a change of channel are the same flow: when a record is there, the first changeset is refused with
//! it, [`judge`] reads what it says, and the flow goes on as a repeat, a resend of the same code, or a new one.

mod intent;
mod judge;
mod settle;

pub(super) use intent::Intent;
pub(super) use settle::Settle;

use crate::command::SendRequest;
use crate::keys::{Print, PrintKind};
use crate::outcome::{Refusal, RefusalCode};
use crate::policy::{CountryAction, Disclosure, RiskAction, RiskRules};
use crate::port::{
    AssessRequest, Assessment, Detail, DispatchRequest, Dispatched, Rejection, RejectionKind, RiskLevel,
};
use crate::record::{Delivery, DeliveryStatus, Entry, Notes, Record};
use crate::store::{ClaimKey, ClaimKind, RecordKind};
use crate::time::Timestamp;
use crate::token::{DeliveryToken, ProofToken, StepUpToken};
use crate::vocabulary::Channel;

use super::board::Board;
use super::carrier::{Carrier, carriers, own_code};
use super::context::Context;
use super::place::Place;
use super::step::{AssessAnswer, AssessStep, AssessThen, DispatchStep, DispatchThen, Question, Step};
use super::view::{fallback, with_fallback};
use super::who::{Spelled, Who};

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
    idempotency: Option<Idempotency>,
    board: Board,
    place: Place,
    notes: Place,
    prefix_notes: Option<Place>,
    /// What was seen in them.
    noted: Notes,
    /// Providers in order.
    carriers: Vec<Carrier>,
}

/// An idempotency key, and what it was used for.
#[derive(Debug, Clone)]
struct Idempotency {
    key: ClaimKey,
    body: Print,
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

/// What the request alone decides.
struct Parts {
    who: Who,
    channel: Channel,
    carriers: Vec<Carrier>,
    idempotency: Option<Idempotency>,
    step_up_answered: bool,
    human_wanted: bool,
}

impl Parts {
    /// All that can be refused from the request alone, without a store call and without a charge.
    fn of(ctx: &mut Context, request: &SendRequest, now: Timestamp) -> Result<Self, Refusal> {
        let spelled = Spelled {
            subject: request.subject.clone(),
            purpose: request.purpose,
            amount: request.amount.clone(),
            payee: request.payee.clone(),
        };
        check_request(request)?;
        let who = Who::of(ctx, &request.target, spelled, &request.caller, now)?;
        let channel = channel_of(ctx, request, &who)?;
        let screened = screen(ctx, &who, channel, now)?;
        let private = ctx.policy.privacy.disclosure == Disclosure::Private;
        let carriers = if screened.decoy {
            vec![Carrier::decoy()]
        } else if request.decoy && private {
            // An outage must not tell who exists.
            if !screened.test {
                routed(ctx, &who, channel)?;
            }
            vec![Carrier::decoy()]
        } else if screened.test {
            vec![Carrier::test()]
        } else {
            routed(ctx, &who, channel)?
        };
        let idempotency = request
            .idempotency_key
            .as_ref()
            .map(|key| idempotency(ctx, key, request, &who, channel));
        let step_up_answered = request
            .proof
            .as_ref()
            .is_some_and(|proof| answers_step_up(ctx, &who, proof, now));
        Ok(Self {
            who,
            channel,
            carriers,
            idempotency,
            step_up_answered,
            human_wanted: screened.human,
        })
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
        let missing = matches!(entry.code, crate::record::CodeOf::Own { .. }) && code.is_none();
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
        let came = match answer {
            Dispatched::Accepted { upstream } => Came::Accepted { upstream },
            Dispatched::Rejected(rejection) => {
                self.ctx
                    .said(&provider, rejection.kind.as_str(), rejection.detail.clone());
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

fn check_request(request: &SendRequest) -> Result<(), Refusal> {
    let too_long = |field| Err(Refusal::new(RefusalCode::InvalidRequest, "is too long").field(field));
    match request {
        SendRequest {
            locale: Some(locale), ..
        } if locale.is_empty() || locale.len() > 35 => too_long("locale"),
        SendRequest {
            idempotency_key: Some(key),
            ..
        } if key.is_empty() || key.len() > 255 => too_long("Idempotency-Key"),
        SendRequest {
            human_check: Some(token),
            ..
        } if token.len() > 4096 => too_long("human_check"),
        SendRequest { .. } => Ok(()),
    }
}

fn channel_of(ctx: &Context, request: &SendRequest, who: &Who) -> Result<Channel, Refusal> {
    let rules = ctx.policy.channels_for(who.purpose());
    let channel = request.channel.unwrap_or(match who.to.fits(Channel::Email) {
        true => Channel::Email,
        false => rules.default,
    });
    if !who.to.fits(channel) {
        return Err(Refusal::new(
            RefusalCode::InvalidRequest,
            "this channel does not reach such a destination: sms, call and whatsapp need a number, email a mailbox",
        )
        .field("channel"));
    }
    if !rules.enabled.contains(&channel) {
        let refusal =
            Refusal::new(RefusalCode::ChannelUnavailable, "this channel is not in use here").field("channel");
        let channels = fallback(ctx, who, &Notes::default(), ctx.explanation.at, |tried| {
            tried == channel
        });
        return Err(with_fallback(ctx, who, refusal, channels));
    }
    Ok(channel)
}

/// What the country and the kind of destination say.
#[derive(Default)]
struct Screened {
    human: bool,
    decoy: bool,
    test: bool,
}

fn screen(ctx: &mut Context, who: &Who, channel: Channel, now: Timestamp) -> Result<Screened, Refusal> {
    let policy = std::sync::Arc::clone(&ctx.policy);
    if let Some(test) = policy.tests.iter().find(|test| test.to == who.to.canonical()) {
        ctx.hit("test_destination", 0, None, None);
        // After its date it is neither sent to nor approved.
        let over = Refusal::new(RefusalCode::Blocked, "this cannot be sent to");
        return if now < test.until {
            Ok(Screened {
                test: true,
                ..Screened::default()
            })
        } else {
            Err(over)
        };
    }
    let country = who.to.country();
    let action = country.map_or(CountryAction::Allow, |country| {
        policy
            .countries
            .listed
            .get(&country)
            .copied()
            .unwrap_or(policy.countries.default)
    });
    let premium = who.to.is_premium() && !policy.numbers.premium_rate_allowed;
    let disposable = who.to.is_disposable() && !policy.email.disposable_allowed;
    let rule = if premium {
        "premium_rate"
    } else if disposable {
        "disposable"
    } else {
        "country"
    };
    if premium || disposable || action == CountryAction::Block {
        ctx.hit(rule, 0, None, None);
        if policy.privacy.disclosure == Disclosure::Private {
            return Ok(Screened {
                decoy: true,
                ..Screened::default()
            });
        }
        return Err(Refusal::new(RefusalCode::Blocked, "this cannot be sent to"));
    }
    let limited = country.and_then(|country| policy.countries.channels.get(&country));
    if limited.is_some_and(|channels| !channels.contains(&channel)) {
        ctx.hit("country_channels", 0, None, None);
        let refusal = Refusal::new(
            RefusalCode::ChannelUnavailable,
            "this channel does not reach this country",
        );
        let channels = fallback(ctx, who, &Notes::default(), now, |tried| tried == channel);
        return Err(with_fallback(ctx, who, refusal, channels));
    }
    if action == CountryAction::Monitor {
        ctx.hit("country_monitor", 0, None, None);
    }
    Ok(Screened {
        human: action == CountryAction::HumanCheck,
        ..Screened::default()
    })
}

fn routed(ctx: &mut Context, who: &Who, channel: Channel) -> Result<Vec<Carrier>, Refusal> {
    let (found, configured) = carriers(ctx, who, channel);
    if !found.is_empty() {
        return Ok(found);
    }
    let now = ctx.explanation.at;
    let channels = fallback(ctx, who, &Notes::default(), now, |tried| tried == channel);
    let refusal = match configured {
        true => {
            ctx.hit("breaker", 0, None, None);
            Refusal::new(
                RefusalCode::ProviderUnavailable,
                "nobody can carry this just now; try again in a while",
            )
        }
        false => Refusal::new(
            RefusalCode::ChannelUnavailable,
            "nobody carries this channel here",
        )
        .field("channel"),
    };
    Err(with_fallback(ctx, who, refusal, channels))
}

fn idempotency(ctx: &Context, key: &str, request: &SendRequest, who: &Who, channel: Channel) -> Idempotency {
    let key = ctx
        .keys
        .prints(PrintKind::IdempotencyKey, &ctx.service, key.as_bytes())
        .newest();
    let mut body = Vec::new();
    let fields = [
        Some(who.to.canonical()),
        Some(channel.as_str()),
        Some(who.purpose().as_str()),
        who.spelled.subject.as_deref(),
        who.spelled.amount.as_deref(),
        who.spelled.payee.as_deref(),
        request.locale.as_deref(),
        Some(who.standing.as_str()),
    ];
    for field in fields {
        let text = field.unwrap_or_default();
        body.push(u8::from(field.is_some()));
        body.extend_from_slice(&(text.len() as u64).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    let body = ctx.keys.prints(PrintKind::Request, &ctx.service, &body).newest();
    Idempotency {
        key: ClaimKey {
            kind: ClaimKind::Send,
            print: key,
        },
        body,
    }
}

/// A proof answers a step-up when it is of this subject and was given by a factor stronger than what it steps up from.
/// No such factor exists yet, so today no proof does; the comparison is what a factor will have to pass.
fn answers_step_up(ctx: &Context, who: &Who, proof: &str, now: Timestamp) -> bool {
    use crate::token::Assurance;
    let proof: Option<ProofToken> = ctx.keys.open_token(&ctx.service, now, proof).ok();
    proof.is_some_and(|proof| {
        let same = match (&who.subject, &proof.subject) {
            (Some(prints), Some(print)) => prints.contains(print),
            (None, _) | (_, None) => false,
        };
        same && proof.assurance > Assurance::PhoneRestricted
    })
}
