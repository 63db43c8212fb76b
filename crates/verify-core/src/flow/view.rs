//! What a caller may see of a verification.

use std::time::Duration;

use crate::outcome::VerificationView;
use crate::policy::Resend;
use crate::record::{CodeOf, Notes, RETENTION, Status, Verification};
use crate::seed::Seed;
use crate::time::{Timestamp, Until};
use crate::token::VerificationToken;
use crate::vocabulary::Purpose;

use super::board::{Board, Kind, fixpoint};
use super::context::Context;
use super::offers::{next, offered};
use super::who::{Spelled, Who};

/// A code in its last minute is not sent again: it would arrive dead.
const LAST_MINUTE: Duration = Duration::from_secs(60);

/// The verification as its caller may see it at `now`, with what the board says is left.
pub(super) fn view(
    ctx: &Context,
    who: &Who,
    verification: &Verification,
    board: &Board,
    notes: &Notes,
    now: Timestamp,
) -> VerificationView {
    let open = !ctx.is_private();
    let status = verification.status_at(now);
    let resend_at = fixpoint(now, |at| {
        let rules = board.personal_denial(&[Kind::Gap, Kind::Sends, Kind::Checks, Kind::Lockout], at);
        rules.max(last_minute(ctx, who.purpose(), verification, at).map(Until::At))
    });
    let last = verification.deliveries.last();
    VerificationView {
        id: verification_id(ctx, who.to.delivery(), &who.spelled, verification),
        sid: verification.upstream().filter(|_| open).cloned(),
        status,
        channel: last.map_or(ctx.policy.channels_for(who.purpose()).default, |delivery| {
            delivery.channel
        }),
        to: who.to.masked(),
        purpose: verification.identity.purpose,
        deliveries: match open {
            true => verification
                .deliveries
                .iter()
                .map(|delivery| (delivery.channel, delivery.status()))
                .collect(),
            false => Vec::new(),
        },
        expires_at: verification.expires,
        resend_at,
        sends_left: board.sends_left(now),
        checks_left: if status == Status::Pending {
            checks_left(ctx, verification, board, now)
        } else {
            Some(0)
        },
        fallback: if status == Status::Pending {
            offered(ctx, who, verification, notes, now)
        } else {
            Vec::new()
        },
        next: match status {
            Status::Pending => next(ctx, who, verification, board, notes, now),
            Status::Approved | Status::Expired | Status::Canceled | Status::Exhausted => Vec::new(),
        },
        code_length: verification.length,
    }
}

/// Checks left before something closes it: the rules of the policy, or its maker's own cap where that decides.
pub(super) fn checks_left(
    ctx: &Context,
    verification: &Verification,
    board: &Board,
    now: Timestamp,
) -> Option<u32> {
    let of_the_maker = guesses_left(ctx, verification);
    [board.checks_left(now), of_the_maker].into_iter().flatten().min()
}

/// After how many more wrong guesses whoever made its code compares no more, where that ends it here: under private
/// disclosure, where what they say of it may not.
pub(super) fn guesses_left(ctx: &Context, verification: &Verification) -> Option<u32> {
    let (provider, _) = verification.scope().filter(|_| ctx.is_private())?;
    let most = ctx.routes.providers.get(provider)?.most_checks?;
    Some(most.saturating_sub(verification.guesses).into())
}

/// The end of the code's life when `at` is in its last minute and a resend would not lengthen it.
pub(super) fn last_minute(
    ctx: &Context,
    purpose: Purpose,
    verification: &Verification,
    at: Timestamp,
) -> Option<Timestamp> {
    let rules = ctx.policy.code_for(purpose);
    let same = match verification.code {
        CodeOf::Managed { .. } => true,
        CodeOf::Own { .. } | CodeOf::Test => {
            rules.resend == Resend::Same || verification.length != rules.length
        }
    };
    let life = verification.expires.since(verification.issued);
    let late = verification.is_pending(at) && at + LAST_MINUTE.min(life / 2) > verification.expires;
    (same && late).then_some(verification.expires)
}

/// The sealed id. The same verification always has the same one.
pub(super) fn verification_id(
    ctx: &Context,
    to: &str,
    spelled: &Spelled,
    verification: &Verification,
) -> String {
    let token = VerificationToken {
        nonce: verification.nonce,
        length: verification.length,
        to: to.to_owned(),
        subject: spelled.subject.clone(),
        purpose: spelled.purpose,
        payment: spelled.payment.clone(),
    };
    let seed = Seed::of_id(verification.nonce.as_bytes());
    // Every text in it is bounded when the request is read, so that the token fits.
    ctx.keys
        .issue(&ctx.service, verification.expires + RETENTION, &seed, &token)
        .unwrap_or_default()
}
