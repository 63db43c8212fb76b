//! Conclusions: a managed provider is told the end of a verification, so that its code stops working there too. The
//! record announces it first, and sends of that scope wait for it.

use std::time::Duration;

use crate::ids::{AnnouncerId, Nonce};
use crate::outcome::{Answer, Fault};
use crate::port::ConcludeRequest;
use crate::record::{Concluding, Status, Verification};
use crate::time::Timestamp;

use super::context::Context;
use super::found::Found;
use super::sealed::{same_mailbox, spelling};
use super::step::{AnswerThen, ConcludeStep, ConcludeThen, Step};
use super::who::Who;

/// How long a provider may take to hear of an end.
const TELL: Duration = Duration::from_secs(6);

/// This flow, where it announces.
pub(super) fn announcer(ctx: &Context) -> AnnouncerId {
    AnnouncerId::from_bytes(ctx.seed.bytes("concluding"))
}

/// Writes into the record that the provider of a verification will be told its end, and says what it is told. Not while
/// another verification of the scope is pending (the code is its code too), while another conclusion runs, or where the
/// provider does not care.
pub(super) fn announce(
    ctx: &Context,
    found: &mut Found,
    who: &Who,
    nonce: Nonce,
    now: Timestamp,
) -> Option<ConcludeRequest> {
    let Found { record, clock, .. } = found;
    let verification = record.verification(nonce)?;
    let mailbox = verification.identity.mailbox;
    let (provider, scope) = verification.scope()?;
    let (provider, scope) = (provider.clone(), scope.clone());
    let cares = ctx
        .routes
        .providers
        .get(&provider)
        .is_some_and(|capabilities| capabilities.can_conclude);
    let shared = record.verifications.iter().any(|other| {
        other.nonce != nonce
            && other.is_pending(*clock)
            && other.scope() == Some((&provider, &scope))
            && same_mailbox(ctx, verification, other)
    });
    let running = record
        .concluding
        .as_ref()
        .is_some_and(|concluding| now < concluding.until);
    // A person waits for it, and whoever does not answer sends or checks will not answer this.
    let resting = [&ctx.resting.sends, &ctx.resting.compares];
    if !cares || shared || running || resting.iter().any(|them| them.contains_key(&provider)) {
        return None;
    }
    record.concluding = Some(Concluding {
        provider,
        scope,
        mailbox,
        by: announcer(ctx),
        until: ctx.call_until(now, TELL),
    });
    conclude_request(ctx, found, who, nonce)
}

/// The provider is told: after the answer, where there is one. How long it takes would show that it was asked at all.
pub(super) fn tell<A: Into<Answer>>(
    ctx: &Context,
    told: Option<Result<A, Fault>>,
    request: ConcludeRequest,
    then: ConcludeThen,
) -> Step {
    let not_after = request.not_after;
    match told {
        Some(answer) => ctx.answer_first(answer, not_after, AnswerThen::Conclude(request, then)),
        None => ConcludeStep::step(request, not_after, then),
    }
}

/// What the provider is told when this one has ended, by what the record announces: of this one's message, or where it is a decoy, of
/// which the provider does not know, of the latest of those that ended before it or with it. Nothing where it was asked nothing. Then,
/// too, it is announced: by who has to wait nobody may tell a decoy.
pub(super) fn conclude_request(
    ctx: &Context,
    found: &Found,
    who: &Who,
    nonce: Nonce,
) -> Option<ConcludeRequest> {
    let Found { record, clock, .. } = found;
    let concluding = record.concluding.as_ref()?;
    let last = record.verification(nonce)?;
    let ended = |it: &&Verification| {
        matches!(it.status(), Status::Canceled | Status::Exhausted)
            && *clock < it.expires
            && !it.is_decoy()
            && it.scope() == last.scope()
            && same_mailbox(ctx, last, it)
    };
    let latest = |it: &&Verification| {
        it.deliveries
            .iter()
            .rfind(|it| it.may_have_come())
            .map(|it| it.at)
    };
    let before = || record.verifications.iter().filter(ended).max_by_key(latest);
    let carried = Some(last).filter(|it| !it.is_decoy()).or_else(before)?;
    Some(ConcludeRequest {
        provider: concluding.provider.clone(),
        service: ctx.service.clone(),
        scope: concluding.scope.clone(),
        to: spelling(ctx, who, carried),
        upstream: carried.upstream().cloned(),
        not_after: concluding.until,
    })
}
