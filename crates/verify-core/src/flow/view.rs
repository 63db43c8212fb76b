//! What a caller may see of a verification.

use std::time::Duration;

use crate::keys::Print;
use crate::outcome::{Fault, Refusal, RefusalCode, Verification};
use crate::policy::{AtEnd, Disclosure, Resend};
use crate::record::{CodeOf, Entry, Notes, RETENTION, Status};
use crate::seed::Seed;
use crate::time::{Timestamp, Until};
use crate::token::VerificationToken;
use crate::vocabulary::{Channel, Purpose};

use super::board::{Board, Kind, fixpoint};
use super::carrier::carriers;
use super::context::Context;
use super::who::Who;

/// A code in its last minute is not sent again: it would arrive dead.
const LAST_MINUTE: Duration = Duration::from_secs(60);

/// The verification as its caller may see it at `now`, with what the board says is left.
pub(super) fn view(
    ctx: &Context,
    who: &Who,
    entry: &Entry,
    board: &Board,
    notes: &Notes,
    now: Timestamp,
) -> Verification {
    let open = ctx.policy.privacy.disclosure == Disclosure::Open;
    let status = entry.status_at(now);
    let resend_at = fixpoint(now, |at| {
        let rules = match board.personal_wait(&[Kind::Gap, Kind::Sends, Kind::Checks, Kind::Lockout], at) {
            Until::At(end) if end <= at => None,
            wait @ (Until::At(_) | Until::Never) => Some(wait),
        };
        rules.max(last_minute(ctx, who.purpose(), entry, at).map(Until::At))
    });
    let last = entry.deliveries.last();
    let upstream = entry
        .deliveries
        .iter()
        .rev()
        .find_map(|delivery| delivery.upstream.clone());
    Verification {
        id: id(ctx, who, entry),
        sid: upstream.filter(|_| open),
        status,
        channel: last.map_or(ctx.policy.channels_for(who.purpose()).default, |delivery| {
            delivery.channel
        }),
        to: who.to.masked(),
        purpose: entry.identity.purpose,
        deliveries: match open {
            true => entry
                .deliveries
                .iter()
                .map(|delivery| (delivery.channel, delivery.status()))
                .collect(),
            false => Vec::new(),
        },
        expires_at: entry.expires,
        resend_at,
        sends_left: board.sends_left(now),
        checks_left: if status == Status::Pending {
            board.checks_left(now)
        } else {
            0
        },
        fallback: if status == Status::Pending {
            offered(ctx, who, entry, notes, now)
        } else {
            Vec::new()
        },
        code_length: match entry.code {
            CodeOf::Own { length, .. } => length,
            CodeOf::Managed { .. } | CodeOf::Test | CodeOf::Decoy => {
                ctx.policy.code_for(who.purpose()).length
            }
        },
    }
}

/// The end of the code's life when `at` is in its last minute and a resend would carry the same code.
pub(super) fn last_minute(
    ctx: &Context,
    purpose: Purpose,
    entry: &Entry,
    at: Timestamp,
) -> Option<Timestamp> {
    let same = match entry.code {
        CodeOf::Own { .. } => ctx.policy.code_for(purpose).resend == Resend::Same,
        CodeOf::Managed { .. } => true,
        CodeOf::Test | CodeOf::Decoy => ctx.policy.code_for(purpose).resend == Resend::Same,
    };
    let life = entry.expires.since(entry.issued);
    let late = entry.is_pending(at) && at + LAST_MINUTE.min(life / 2) > entry.expires;
    (same && late).then_some(entry.expires)
}

/// The sealed id. The same verification always has the same one.
fn id(ctx: &Context, who: &Who, entry: &Entry) -> String {
    let token = VerificationToken {
        nonce: entry.nonce,
        to: who.to.delivery().to_owned(),
        subject: who.spelled.subject.clone(),
        purpose: who.spelled.purpose,
        amount: who.spelled.amount.clone(),
        payee: who.spelled.payee.clone(),
    };
    let seed = Seed::from_bytes(doubled(entry.nonce));
    // Every text in it is bounded when the request is read, so that the token fits.
    ctx.keys
        .issue(&ctx.service, entry.expires + RETENTION, &seed, &token)
        .unwrap_or_default()
}

/// A seed from a nonce, for tokens that are the same whenever they are made.
pub(super) fn doubled(nonce: [u8; 16]) -> [u8; 32] {
    let mut seed = [0; 32];
    for (byte, from) in seed.iter_mut().zip(nonce.iter().chain(&nonce)) {
        *byte = *from;
    }
    seed
}

/// Channels that are offered now: when the last delivery failed, or was not reported delivered in time.
fn offered(ctx: &Context, who: &Who, entry: &Entry, notes: &Notes, now: Timestamp) -> Vec<Channel> {
    use crate::record::DeliveryStatus;
    let Some(last) = entry.deliveries.last() else {
        return Vec::new();
    };
    let silent = last.status() != DeliveryStatus::Delivered
        && now >= last.at + ctx.policy.channels_for(who.purpose()).fallback_after;
    if !(silent || last.status().has_failed()) {
        return Vec::new();
    }
    let failed: Vec<Channel> = entry
        .deliveries
        .iter()
        .filter(|delivery| delivery.status().has_failed())
        .map(|delivery| delivery.channel)
        .collect();
    fallback(ctx, who, notes, now, |channel| {
        channel == last.channel || failed.contains(&channel)
    })
}

/// Channels of the fallback list that may be tried, in its order. One that needs another destination is among them.
pub(super) fn fallback(
    ctx: &Context,
    who: &Who,
    notes: &Notes,
    now: Timestamp,
    tried: impl Fn(Channel) -> bool,
) -> Vec<Channel> {
    let rules = ctx.policy.channels_for(who.purpose());
    let country = who
        .to
        .country()
        .and_then(|country| ctx.policy.countries.channels.get(&country));
    let usable = |channel: &Channel| {
        let here = who.to.fits(*channel);
        rules.enabled.contains(channel)
            && !tried(*channel)
            && (!here || notes.of(*channel, now).is_none())
            && (!here || country.is_none_or(|allowed| allowed.contains(channel)))
            && (ctx.policy.tests.iter().any(|test| test.to == who.to.canonical())
                || !carriers(ctx, who, *channel).0.is_empty())
    };
    rules.fallback.iter().copied().filter(usable).collect()
}

/// Adds to a refusal what else may be tried, or what is said when nothing is left.
pub(super) fn with_fallback(
    ctx: &Context,
    who: &Who,
    mut refusal: Refusal,
    channels: Vec<Channel>,
) -> Refusal {
    if channels.is_empty() {
        match ctx.policy.channels_for(who.purpose()).at_end {
            AtEnd::StepUp => refusal
                .factors
                .clone_from(&ctx.policy.risk_for(who.purpose()).step_up),
            AtEnd::Support => refusal.support = true,
        }
    }
    refusal.fallback = channels;
    refusal
}

/// For correlation in events and explanations.
pub(super) fn print_of(nonce: [u8; 16]) -> Print {
    Print::from_bytes(nonce)
}

/// A fault of the store is never a permission.
pub(super) fn store_fault() -> Fault {
    Fault::StoreUnavailable
}

/// Too many others are at the same record.
pub(super) fn contention() -> Refusal {
    Refusal::new(
        RefusalCode::Conflict,
        "too many requests for this destination at once; try again",
    )
}
