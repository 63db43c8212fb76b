//! Which channels are offered, and what is said when none is left.

use crate::outcome::{Next, Refusal};
use crate::policy::AtEnd;
use crate::record::{CodeOf, Delivery, DeliveryStatus, Notes, Verification};
use crate::time::{Timestamp, Until};
use crate::vocabulary::Channel;

use super::board::{Board, Kind, fixpoint, gap};
use super::candidate::{Candidate, candidates};
use super::context::Context;
use super::view::last_minute;
use super::who::Who;

/// From when on the silence of a delivery lets another channel go before the gap is over. `None` where its provider
/// reports nothing: silence means nothing there. Under private disclosure nobody hears of reports, so that all are silent.
pub(super) fn silent_from(ctx: &Context, who: &Who, last: &Delivery) -> Option<Timestamp> {
    let provider = ctx.routes.providers.get(&last.provider);
    let reports = provider.is_some_and(|provider| provider.reports);
    (reports || ctx.is_private()).then(|| last.at + ctx.policy.channels_for(who.purpose()).fallback_after)
}

/// How a delivery stands as far as anybody may notice. Under private disclosure what a provider said or reported of it shows
/// nowhere, and so neither in what is offered nor in what is admitted: of a decoy nobody says anything.
pub(super) fn shown(ctx: &Context, delivery: &Delivery) -> DeliveryStatus {
    match ctx.is_private() {
        true => DeliveryStatus::Accepted,
        false => delivery.status(),
    }
}

/// From when on a send by this channel may come inside the gap: at once when the last delivery failed; by another channel
/// when it has stayed silent for long enough.
pub(super) fn gap_waived_from(
    ctx: &Context,
    who: &Who,
    verification: &Verification,
    channel: Channel,
    at: Timestamp,
) -> Option<Timestamp> {
    let last = verification.deliveries.last()?;
    if shown(ctx, last).has_failed() {
        return Some(at);
    }
    let from = silent_from(ctx, who, last)?;
    (last.channel != channel && from < verification.expires).then_some(from)
}

/// By which other channels this person may go on, and from when on a send by them is admitted.
pub(super) fn next(
    ctx: &Context,
    who: &Who,
    verification: &Verification,
    board: &Board,
    notes: &Notes,
    now: Timestamp,
) -> Vec<Next> {
    let Some(last) = verification.deliveries.last() else {
        return Vec::new();
    };
    // Somebody may hold a code that only its maker can carry.
    let keeps = verification.may_have_sent();
    let test = verification.code == CodeOf::Test;
    let carries = |channel: Channel| {
        let fits = |candidate: &Candidate| candidate.can_carry(&verification.code);
        !keeps || test || candidates(ctx, who, channel).awake.iter().any(fits)
    };
    let one = |channel: Channel| {
        let needs_destination = !who.to.fits(channel);
        let from = match needs_destination {
            true if shown(ctx, last).has_failed() => Until::At(now),
            true => Until::At(offered_from(ctx, who, last).max(now)),
            false if carries(channel) => admitted_from(ctx, who, verification, board, channel, now),
            false => Until::Never,
        };
        match from {
            Until::At(from) if from < verification.expires => Some(Next {
                channel,
                from,
                needs_destination,
            }),
            Until::At(_) | Until::Never => None,
        }
    };
    let others = fallback(ctx, who, notes, now, |channel| channel == last.channel);
    others.into_iter().filter_map(one).collect()
}

/// When all rules that concern this person admit a send by this channel: a fixpoint, because one wait may run into another.
fn admitted_from(
    ctx: &Context,
    who: &Who,
    verification: &Verification,
    board: &Board,
    channel: Channel,
    now: Timestamp,
) -> Until {
    let waived = gap_waived_from(ctx, who, verification, channel, now);
    fixpoint(now, |at| {
        let gap = board.personal_denial(&[Kind::Gap], at);
        let gap = match waived {
            Some(from) if from <= at => None,
            Some(from) => gap.map(|end| end.min(Until::At(from))),
            None => gap,
        };
        let others = board.personal_denial(&[Kind::Sends, Kind::Checks, Kind::Lockout], at);
        let late = last_minute(ctx, who.purpose(), verification, at).map(Until::At);
        gap.max(others).max(late)
    })
}

/// From when on the next channel is offered where nothing failed: when what was sent was not reported delivered in time;
/// where nothing is reported, when the gap is over.
fn offered_from(ctx: &Context, who: &Who, last: &Delivery) -> Timestamp {
    let waited_for = ctx.policy.channels_for(who.purpose()).fallback_after;
    let unreported = || last.at + gap(&ctx.policy).map_or(waited_for, |gap| gap.max(waited_for));
    silent_from(ctx, who, last).unwrap_or_else(unreported)
}

/// Channels that are offered now: when the last delivery failed, or was not reported delivered in time; where nothing is
/// reported, when the gap is over.
pub(super) fn offered(
    ctx: &Context,
    who: &Who,
    verification: &Verification,
    notes: &Notes,
    now: Timestamp,
) -> Vec<Channel> {
    let Some(last) = verification.deliveries.last() else {
        return Vec::new();
    };
    let status = shown(ctx, last);
    let silent = status != DeliveryStatus::Delivered && now >= offered_from(ctx, who, last);
    if !(silent || status.has_failed()) {
        return Vec::new();
    }
    let failed: Vec<Channel> = verification
        .deliveries
        .iter()
        .filter(|delivery| shown(ctx, delivery).has_failed())
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
            && (!here || ctx.is_private() || notes.on(*channel, now).is_none())
            && (!here || country.is_none_or(|allowed| allowed.contains(channel)))
            && (who.test(ctx).is_some() || !candidates(ctx, who, *channel).awake.is_empty())
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
