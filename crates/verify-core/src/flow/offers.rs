//! Which channels are offered, and what is said when none is left.

use crate::outcome::Refusal;
use crate::policy::{AtEnd, Disclosure};
use crate::record::{Delivery, DeliveryStatus, Notes, Verification};
use crate::time::Timestamp;
use crate::vocabulary::Channel;

use super::board::gap;
use super::candidate::candidates;
use super::context::Context;
use super::who::Who;

/// From when on the silence of a delivery lets another channel go before the gap is over. `None` where its provider
/// reports nothing: silence means nothing there. Under private disclosure all providers of the route have to report,
/// whoever carried it: a decoy is carried by nobody, and must be offered what the real thing is.
pub(super) fn silent_from(ctx: &Context, who: &Who, last: &Delivery) -> Option<Timestamp> {
    let mut route = ctx.routes.of(last.channel, who.to.country());
    let reports = match ctx.policy.privacy.disclosure {
        Disclosure::Open => ctx
            .routes
            .providers
            .get(&last.provider)
            .is_some_and(|it| it.reports),
        Disclosure::Private => route.all(|provider| provider.reports),
    };
    reports.then(|| last.at + ctx.policy.channels_for(who.purpose()).fallback_after)
}

/// How a delivery stands as far as anybody may notice. Under private disclosure what was reported of it shows nowhere, and so
/// neither in what is offered nor in what is admitted: of a decoy nothing is reported.
pub(super) fn shown(ctx: &Context, delivery: &Delivery) -> DeliveryStatus {
    match (ctx.policy.privacy.disclosure, delivery.status()) {
        (Disclosure::Private, DeliveryStatus::Delivered | DeliveryStatus::Undelivered) => {
            DeliveryStatus::Accepted
        }
        (Disclosure::Private | Disclosure::Open, status) => status,
    }
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
    let waited_for = ctx.policy.channels_for(who.purpose()).fallback_after;
    let unreported = || last.at + gap(&ctx.policy).map_or(waited_for, |gap| gap.max(waited_for));
    let from = silent_from(ctx, who, last).unwrap_or_else(unreported);
    let status = shown(ctx, last);
    let silent = status != DeliveryStatus::Delivered && now >= from;
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
            && (!here || notes.on(*channel, now).is_none())
            && (!here || country.is_none_or(|allowed| allowed.contains(channel)))
            && (who.test(ctx).is_some() || !candidates(ctx, who, *channel).0.is_empty())
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
