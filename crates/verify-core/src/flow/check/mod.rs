//! Check: the guess is counted as a failure before it is compared; a match takes that back with the approval, and nothing
//! else does. A failure needs no further write to be safe.
//!
//! ```text
//! parse ── count ──┬── compare here, or ask the provider ──┬── approve ── done
//!                  │                                       ├── close, perhaps tell the provider ── done
//!                  └── nothing pending, a limit,           └── wrong ── done
//!                      too long or too short ── done
//! ```

mod approve;
mod close;
mod compare;
mod count;
mod length;

pub(super) use approve::Approve;
pub(super) use close::{Close, Tell};
pub(super) use compare::Compare;
pub(super) use count::Count;

use crate::code::Code;
use crate::command::{CheckRequest, Expected, Target};
use crate::event::{Event, EventKind};
use crate::outcome::{CheckAnswer, Refusal, RefusalCode};
use crate::port::{Capabilities, Maker};
use crate::store::{ClaimKind, RecordKind, Takeback};
use crate::time::{Timestamp, Until};

use super::board::{Board, Kind};
use super::context::Context;
use super::found::{Place, Places};
use super::idempotency::{IdempotencyKey, check_key};
use super::lengths::EarlierLengths;
use super::step::Step;
use super::who::Who;

/// A check on its way.
#[derive(Debug, Clone)]
pub(super) struct Checking {
    ctx: Context,
    who: Who,
    guess: Code,
    /// The request does not wholly say whose code it is.
    unclaimed: bool,
    key: Option<IdempotencyKey>,
    board: Board,
    places: Places,
}

pub(super) fn start(
    mut ctx: Context,
    request: &CheckRequest,
    earlier: &EarlierLengths,
    now: Timestamp,
) -> Step {
    let parts = check_key(request.idempotency_key.as_ref()).and_then(|()| {
        let guess = length::read(&ctx, request, earlier, now)?;
        let who = Who::of(&mut ctx, &request.target, &request.caller, now)?;
        length::fits_named(&ctx, &who, &guess)?;
        Ok((guess, who))
    });
    let (guess, who) = match parts {
        Ok(parts) => parts,
        Err(refusal) => return ctx.refuse::<CheckAnswer>(refusal),
    };
    if let Some(until) = nobody_compares_before(&ctx) {
        ctx.hit_until("breaker", "every provider's is open", Some(Until::At(until)));
        return ctx.refuse::<CheckAnswer>(unavailable(Some(until)));
    }
    let place = Place::of(&ctx.keys, RecordKind::Verifications, &who.destination);
    let key = request.idempotency_key.as_ref();
    Checking {
        board: Board::for_check(&ctx, &who),
        key: key.map(|key| idempotency(&ctx, key, &who, &guess)),
        places: Places::of_record(place),
        ctx,
        who,
        guess,
        unclaimed: match &request.target {
            Target::To(_)
            | Target::Verification {
                of: Expected::Person(_),
                ..
            } => false,
            Target::Verification {
                of: Expected::Known(_) | Expected::Whoever,
                ..
            } => true,
        },
    }
    .count(now)
}

/// Where every provider compares its own codes and all of them rest: until when.
fn nobody_compares_before(ctx: &Context) -> Option<Timestamp> {
    let rests = |provider: &Capabilities| match provider.maker {
        Maker::Managed => ctx.resting.compares.get(&provider.name).copied(),
        Maker::Own => None,
    };
    let all: Option<Vec<Timestamp>> = ctx.routes.providers.values().map(rests).collect();
    all?.into_iter().min().filter(|_| ctx.policy.tests.is_empty())
}

fn idempotency(ctx: &Context, key: &str, who: &Who, guess: &Code) -> IdempotencyKey {
    let payment = who.spelled.payment.as_ref();
    let to = who.to.as_delivered();
    let fields = [
        Some(&*to),
        Some(who.purpose().as_str()),
        who.spelled.subject.as_deref(),
        payment.map(|payment| &*payment.amount),
        payment.map(|payment| &*payment.payee),
        Some(guess.expose()),
    ];
    IdempotencyKey::new(ctx, ClaimKind::Check, key, &fields)
}

/// `until` is when whoever could compare it may be asked again, where that is known.
fn unavailable(until: Option<Timestamp>) -> Refusal {
    let text = "the code cannot be compared just now; try again in a while";
    Refusal {
        retry_at: until.map(Until::At),
        ..Refusal::new(RefusalCode::ProviderUnavailable, text)
    }
}

impl Checking {
    fn refuse(self, refusal: Refusal) -> Step {
        self.ctx.refuse::<CheckAnswer>(refusal)
    }

    fn event(&self, kind: EventKind, nth: u8, now: Timestamp) -> Event {
        self.who.event(&self.ctx, kind, nth, now)
    }

    /// What a guess that is not counted after all gives back.
    fn failures_back(&self) -> Vec<Takeback> {
        self.board
            .takebacks(&self.ctx, |kind| matches!(kind, Kind::Lockout | Kind::Failures))
    }
}
