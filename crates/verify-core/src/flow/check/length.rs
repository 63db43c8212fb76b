//! How long a guess must be: as the code of the verification that is named or, of a destination, as one that may be pending
//! there. Where a managed provider makes codes, only it knows how long they are, and none is turned away for its length.

use crate::code::Code;
use crate::command::{CheckRequest, Target};
use crate::outcome::{CheckAnswer, Refusal, RefusalCode};
use crate::port::Maker;
use crate::record::Verification;
use crate::time::Timestamp;

use super::Checking;
use super::close::Close;
use crate::flow::board::Closed;
use crate::flow::context::Context;
use crate::flow::found::Found;
use crate::flow::lengths::EarlierLengths;
use crate::flow::step::Step;
use crate::flow::who::Who;

/// As many ASCII digits as a code has, before anything else (RFC 4226, I-15).
pub(super) fn read(
    ctx: &Context,
    request: &CheckRequest,
    earlier: &EarlierLengths,
    now: Timestamp,
) -> Result<Code, Refusal> {
    let may_be = |digits| {
        let mut named = ctx.policy.codes().map(|code| code.length);
        managed(ctx) || named.any(|length| length == digits) || earlier.may_be(digits, now)
    };
    Code::read(&request.code)
        .filter(|guess| match &request.target {
            Target::To(_) => may_be(guess.digits()),
            Target::Verification { .. } => true,
        })
        .ok_or_else(invalid_code)
}

/// Of a verification that is named, before anything is charged or asked.
pub(super) fn fits_named(ctx: &Context, who: &Who, guess: &Code) -> Result<(), Refusal> {
    let fits = who.length.is_none_or(|length| fits(ctx, who, length, guess));
    fits.then_some(()).ok_or_else(invalid_code)
}

/// The code of a test destination is what the policy in force says.
fn fits(ctx: &Context, who: &Who, length: u8, guess: &Code) -> bool {
    let test = who.test(ctx).map(|test| test.code.len());
    managed(ctx) || length == guess.digits() || test == Some(usize::from(guess.digits()))
}

fn managed(ctx: &Context) -> bool {
    let mut providers = ctx.routes.providers.values();
    providers.any(|provider| provider.maker == Maker::Managed)
}

fn invalid_code() -> Refusal {
    Refusal::new(
        RefusalCode::InvalidCode,
        "a code has digits 0 to 9 only, as many as were sent; spaces and hyphens are left out",
    )
    .field("code")
}

impl Checking {
    pub(super) fn fits(&self, verification: &Verification) -> bool {
        fits(&self.ctx, &self.who, verification.length, &self.guess)
    }

    /// It could not have been right, so nobody guessed: all that it was charged goes back.
    pub(super) fn fits_nothing(self, found: Found, now: Timestamp) -> Step {
        let back = self.board.takebacks(&self.ctx, |_| true);
        let answer = CheckAnswer::Refused(invalid_code());
        Close::new(self, found, Closed::default(), Ok(answer))
            .taking_back(back)
            .write(now)
    }
}
