//! Check: the guess is counted as a failure before it is compared; a match takes that back with the approval, and nothing
//! else does. A failure needs no further write to be safe.
//!
//! ```text
//! parse ── count ──┬── compare here, or ask the provider ──┬── approve ── done
//!                  │                                       ├── close, perhaps tell the provider ── done
//!                  └── nothing pending, a limit ── done    └── wrong ── done
//! ```

mod approve;
mod close;
mod compare;
mod count;

pub(super) use approve::Approve;
pub(super) use close::{Close, Tell};
pub(super) use compare::Compare;
pub(super) use count::Count;

use crate::code::{Code, CodeLength};
use crate::command::{CheckRequest, Expected, Target};
use crate::event::{Event, EventKind};
use crate::outcome::{CheckAnswer, Refusal, RefusalCode};
use crate::port::Maker;
use crate::store::{ClaimKind, RecordKind, Takeback};
use crate::time::Timestamp;

use super::board::{Board, Kind};
use super::context::Context;
use super::found::{Place, Places};
use super::idempotency::{IdempotencyKey, check_key};
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

pub(super) fn start(mut ctx: Context, request: &CheckRequest, now: Timestamp) -> Step {
    let parts = guess(&ctx, request).and_then(|guess| {
        let who = Who::of(&mut ctx, &request.target, &request.caller, now)?;
        Ok((guess, who))
    });
    let (guess, who) = match parts {
        Ok(parts) => parts,
        Err(refusal) => return ctx.refuse::<CheckAnswer>(refusal),
    };
    if nobody_can_compare(&ctx) {
        ctx.hit("breaker", 0, None, None);
        return ctx.refuse::<CheckAnswer>(unavailable());
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

/// Exactly as many ASCII digits as a code has, before anything else (RFC 4226, INVARIANT I-15). A managed provider may
/// have codes of another length than the policy's, which only it knows.
fn guess(ctx: &Context, request: &CheckRequest) -> Result<Code, Refusal> {
    check_key(request.idempotency_key.as_ref())?;
    let managed = ctx
        .routes
        .providers
        .values()
        .any(|provider| provider.maker == Maker::Managed);
    let digits = u8::try_from(request.code.len()).unwrap_or(u8::MAX);
    let own = [ctx.policy.code.length]
        .into_iter()
        .chain(ctx.policy.purposes.values().map(|rules| rules.code.length));
    let fits = managed || own.into_iter().any(|length| length == digits);
    let length = CodeLength::new(digits).filter(|_| fits);
    length
        .and_then(|length| Code::parse(&request.code, length).ok())
        .ok_or_else(|| {
            Refusal::new(
                RefusalCode::InvalidCode,
                "a code has digits 0 to 9 only, as many as were sent",
            )
            .field("code")
        })
}

/// True when every provider compares its own codes and none can be asked.
fn nobody_can_compare(ctx: &Context) -> bool {
    let mut providers = ctx.routes.providers.values().peekable();
    providers.peek().is_some()
        && ctx.policy.tests.is_empty()
        && providers
            .all(|provider| provider.maker == Maker::Managed && ctx.open_breakers.contains(&provider.name))
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

fn unavailable() -> Refusal {
    Refusal::new(
        RefusalCode::ProviderUnavailable,
        "the code cannot be compared just now; try again in a while",
    )
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
