//! Under private disclosure: what is left of a flow after its answer races with whatever comes next.

use std::time::Duration;

use verify_core::command::CancelRequest;
use verify_core::outcome::{CheckAnswer, Outcome};
use verify_core::port::RejectionKind;
use verify_core::record::DeliveryStatus;
use verify_lab::explore::{Kinds, World};

use super::sends::{one_message_inside_the_gap, the_last_code_works};
use super::{Finding, Scenario, finding};
use crate::{Asks, answered, check, code, policy, send, sent, verifications};

fn private(kinds: Kinds) -> World {
    World::new(
        policy("version = 1\n[privacy]\ndisclosure = \"private\"\n"),
        kinds,
    )
}

pub(super) fn send_send(kinds: Kinds) -> Scenario {
    Scenario::new(private(kinds), [send().into(), send().into()])
        .holds(|world, _| one_message_inside_the_gap(world))
        .at_end(|world, _| the_last_code_works(world))
}

/// A provider that refuses both: neither shows, and neither is taken back.
pub(super) fn rejected(kinds: Kinds) -> Scenario {
    let mut world = private(kinds);
    let kind = RejectionKind::ChannelUnreachable;
    world
        .rejecting
        .extend(["own", "managed"].map(|name| (name.to_owned(), kind)));
    Scenario::new(world, [send().into(), send().into()]).holds(|world, outcomes| {
        finding(world.dispatches <= 2, "i48: asked more often than charged")?;
        nothing_shows(world, outcomes)
    })
}

fn nothing_shows(world: &World, outcomes: &[Option<Outcome>]) -> Finding {
    finding(answered(outcomes, "refused") == 0, "i40: a rejection is told")?;
    let verifications = verifications(world);
    let mut deliveries = verifications.iter().flat_map(|one| &one.deliveries);
    let rejected = deliveries.any(|delivery| delivery.status() == DeliveryStatus::Rejected);
    finding(!rejected, "i40: a delivery stands as one that failed")
}

/// A cancel is answered before its provider has heard of it: what is sent afterwards lives.
pub(super) fn cancel_send(kinds: Kinds) -> Scenario {
    let mut world = private(kinds);
    let id = sent(world.ask(send())).id;
    world.advance(Duration::from_secs(31));
    Scenario::new(world, [CancelRequest::of(id).into(), send().into()]).at_end(|world, _| {
        let pending = verifications(world)
            .into_iter()
            .rfind(|one| one.is_pending(world.now));
        let carried = pending.is_some_and(|pending| {
            let last = pending.deliveries.last();
            !pending.is_decoy() && last.is_some_and(|last| last.status() == DeliveryStatus::Accepted)
        });
        if !carried {
            return Ok(());
        }
        let mut later = world.clone();
        later.advance(Duration::from_secs(1));
        let right = code(&later);
        match later.ask(check(&right)) {
            CheckAnswer::Approved(_) => Ok(()),
            other => Err(format!("i53: the code that was sent last is dead: {other:?}")),
        }
    })
}
