//! Send: what the request alone decides, one changeset that charges and records the intent, the risk scorers, the provider,
//! and one changeset that says what became of it. One file a stage, in this order:
//!
//! ```text
//! request ── intent ── assess ── dispatch ── settle ── done
//!              ▲ │                  ▲           │ surely not sent: the next provider is named
//!              │ │ a record is there└───────────┘
//!              │ ▼
//!             judge ── a repeat, a refusal
//! ```
//!
//! Under private disclosure the answer is given before the dispatch, so that nothing in it, not even when it comes, depends on what
//! a provider says. A decoy goes the same way, and nobody is asked.
//!
//! A resend and a change of channel are the same flow: when a record is there, the first changeset is refused with
//! it, [`judge`] reads what it says, and the flow goes on as a repeat, a resend of the same code, or a new one. A send that goes on
//! by itself looks first: it begins nothing where nothing is pending.

mod assess;
mod dispatch;
mod intent;
mod judge;
mod request;
mod settle;

pub(super) use assess::{AskHuman, Weigh};
pub(super) use dispatch::{Answered, Dispatch};
pub(super) use intent::{Intent, Look};
pub(super) use settle::Settle;

use crate::command::SendRequest;
use crate::event::{Event, EventKind};
use crate::ids::{DeliveryId, Nonce};
use crate::outcome::{Refusal, SendAnswer};
use crate::policy::DefaultLocale;
use crate::record::{CodeOf, Delivery, DeliveryStatus, Verification};
use crate::time::Timestamp;
use crate::vocabulary::Channel;

use super::board::Board;
use super::candidate::Candidate;
use super::context::Context;
use super::found::{Found, Places};
use super::idempotency::IdempotencyKey;
use super::offers::{fallback, with_fallback};
use super::step::Step;
use super::who::Who;
use request::Parts;

/// A send on its way.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    ctx: Context,
    who: Who,
    channel: Channel,
    /// What the request or the policy wishes, where it is a language.
    locale: Option<String>,
    consent: bool,
    human_token: Option<Box<str>>,
    human_passed: bool,
    step_up_answered: bool,
    /// It begins no verification.
    goes_on: bool,
    idempotency: Option<IdempotencyKey>,
    board: Board,
    places: Places,
    /// Providers in order.
    candidates: Vec<Candidate>,
    /// None of them is asked, and nobody may notice.
    decoy: bool,
}

/// The delivery that this flow recorded, in the record as it was written.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    found: Found,
    nonce: Nonce,
    delivery: DeliveryId,
    candidate: Candidate,
    /// Candidates to try when this one surely did not send.
    rest: Vec<Candidate>,
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
    by: DeliveryId,
}

impl Attempt {
    fn verification(&self) -> Option<&Verification> {
        self.found.record.verification(self.nonce)
    }

    /// A dispatch needs this: a delivery that an applied changeset recorded and nobody has settled since.
    fn receipt(&self) -> Option<(&Verification, &Delivery)> {
        let verification = self.verification()?;
        let delivery = verification.delivery(&self.delivery)?;
        (delivery.status() == DeliveryStatus::Dispatching).then_some((verification, delivery))
    }
}

pub(super) fn start(mut ctx: Context, request: &SendRequest, now: Timestamp) -> Step {
    match Parts::of(&mut ctx, request, now) {
        Ok(parts) => {
            let human_wanted = parts.human_wanted;
            let sending = Sending::new(ctx, request, parts);
            match human_wanted {
                true => sending.ask_for_a_human(None, now),
                false => sending.begin(now),
            }
        }
        Err(refusal) => ctx.refuse::<SendAnswer>(refusal),
    }
}

impl Sending {
    fn new(ctx: Context, request: &SendRequest, parts: Parts) -> Self {
        let Parts {
            who,
            channel,
            candidates,
            decoy,
            idempotency,
            step_up_answered,
            human_wanted: _,
        } = parts;
        let prefix = who.prefix(&ctx);
        let noted = [&who.destination].into_iter().chain(&prefix);
        let usual = match &ctx.policy.channels_for(who.purpose()).default_locale {
            DefaultLocale::Tag(tag) => Some(tag),
            DefaultLocale::Auto | DefaultLocale::None => None,
        };
        Self {
            locale: request
                .locale
                .as_ref()
                .or(usual)
                .map(|locale| locale.replace('_', "-")),
            consent: request.consent,
            human_token: request.human_check.as_deref().map(Box::from),
            human_passed: false,
            board: Board::for_send(&ctx, &who, channel),
            places: Places::with_notes(&ctx.keys, &who.destination, noted),
            ctx,
            who,
            channel,
            step_up_answered,
            goes_on: request.goes_on,
            idempotency,
            candidates,
            decoy,
        }
    }

    fn refuse(self, refusal: Refusal) -> Step {
        self.ctx.refuse::<SendAnswer>(refusal)
    }

    /// The language that a provider is handed for a message with this code; empty where it chooses by itself.
    fn locale_for(&self, code: &CodeOf) -> String {
        let usual = &self.ctx.policy.channels_for(self.who.purpose()).default_locale;
        match (&self.locale, usual, code) {
            (Some(locale), _, _) => locale.clone(),
            (None, DefaultLocale::Auto, CodeOf::Own { .. }) => {
                let country = self.who.to.country();
                country.map_or(String::new(), |country| format!("und-{country}"))
            }
            (None, DefaultLocale::Auto | DefaultLocale::None | DefaultLocale::Tag(_), _) => String::new(),
        }
    }

    /// True when the message could go by this channel from what is left.
    fn carries(&self, verification: &Verification) -> bool {
        let can_carry = |candidate: &Candidate| candidate.can_carry(&verification.code);
        !verification.may_have_sent() || self.candidates.iter().any(can_carry)
    }

    /// Adds to a refusal the channels that may be tried instead of this one.
    fn instead(&self, refusal: Refusal, found: &Found) -> Refusal {
        self.instead_but(refusal, found, |_| false)
    }

    /// The same, but for those that help no more than this one.
    fn instead_but(&self, refusal: Refusal, found: &Found, lost: impl Fn(Channel) -> bool) -> Refusal {
        let tried = |channel| channel == self.channel || lost(channel);
        let channels = fallback(&self.ctx, &self.who, &found.notes, found.clock, tried);
        with_fallback(&self.ctx, &self.who, refusal, channels)
    }

    /// An event about a delivery; its number tells those of several providers apart.
    fn event(&self, attempt: &Attempt, kind: EventKind, now: Timestamp) -> Event {
        let delivery = attempt
            .verification()
            .and_then(|verification| verification.delivery(&attempt.delivery));
        Event {
            verification: Some(attempt.nonce.print()),
            channel: Some(self.channel),
            provider: Some(attempt.candidate.provider.clone()),
            rules: self.ctx.rules(),
            ..self.who.event(
                &self.ctx,
                kind,
                delivery.map_or(0, |delivery| delivery.number),
                now,
            )
        }
    }
}
