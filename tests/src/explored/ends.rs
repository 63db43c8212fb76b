//! What ends verifications, lockouts and proofs: cancels, unlocks, redemptions.

use std::collections::BTreeSet;
use std::time::Duration;

use verify_core::command::{CancelRequest, CheckRequest, RedeemRequest, UnlockRequest};
use verify_core::event::{Event, EventKind};
use verify_core::outcome::{Answer, CheckAnswer, Outcome, SendAnswer};
use verify_core::record::{DeliveryStatus, Status, Verification};
use verify_lab::explore::{Kinds, World};

use super::{Finding, Scenario, finding, sent_once};
use crate::{
    Asks, NO_FIRST_WAIT, ONLY_THE_LOCKOUT, TO, answered, approvals, approved, check, code, events, failures,
    policy, send, verifications, wrong,
};

pub(super) fn check_cancel(kinds: Kinds) -> Scenario {
    let (world, id, code) = sent_once(kinds);
    Scenario::new(world, [check(&code).into(), CancelRequest::of(id).into()]).holds(|world, outcomes| {
        let told = answered(outcomes, "canceled") > 0;
        finding(!told || approvals(outcomes) == 0, "i24: canceled and approved")?;
        one_end(world)
    })
}

/// No verification is approved, canceled and closed, or one of them twice.
pub(super) fn one_end(world: &World) -> Finding {
    let is_end = |event: &&Event| {
        matches!(
            event.kind,
            EventKind::Canceled | EventKind::Approved | EventKind::Exhausted
        )
    };
    let mut ended = BTreeSet::new();
    let mut ends = world.store.events().values().filter(is_end);
    finding(ends.all(|end| ended.insert(end.verification)), "i24: two ends")
}

/// A conclusion that a provider is told never ends a code that was sent after it.
pub(super) fn cancel_send(kinds: Kinds) -> Scenario {
    let (mut world, id, _) = sent_once(kinds);
    world.advance(Duration::from_secs(31));
    Scenario::new(world, [CancelRequest::of(id).into(), send().into()]).holds(the_new_code_lives)
}

fn the_new_code_lives(world: &World, outcomes: &[Option<Outcome>]) -> Finding {
    let answer = outcomes.get(1).and_then(Option::as_ref).map(|o| &o.answer);
    let Some(Ok(Answer::Send(SendAnswer::Sent(sent)))) = answer else {
        return Ok(());
    };
    if outcomes.first().is_none_or(Option::is_none) || sent.status != Status::Pending {
        return Ok(());
    }
    let mut later = world.clone();
    later.advance(Duration::from_secs(1));
    let code = code(&later);
    let pending = verifications(&later).iter().any(|one| one.is_pending(later.now));
    let accepted = sent
        .deliveries
        .last()
        .is_some_and(|(_, status)| *status == DeliveryStatus::Accepted);
    if !(pending && accepted) {
        return Ok(());
    }
    match later.ask(check(&code)) {
        CheckAnswer::Approved(_) => Ok(()),
        other => Err(format!("i53: the code that was sent last is dead: {other:?}")),
    }
}

/// A world whose code the provider has compared that often. Once that is five times it is over there, and what is sent
/// afterwards is a new one.
fn compared_before(kinds: Kinds, times: u8) -> (World, String, String) {
    let (mut world, id, code) = sent_once(kinds);
    world.use_policies(policy(NO_FIRST_WAIT));
    world.managed = world.managed.clone().renewing();
    for _ in 0..times {
        world.managed.compare(&"scope".into(), TO, "none", world.now);
    }
    world.advance(Duration::from_secs(31));
    (world, id, code)
}

/// One more guess, and it is over: whichever of the two it is, a match is not overtaken.
pub(super) fn match_ended(kinds: Kinds) -> Scenario {
    let (world, _, code) = compared_before(kinds, 4);
    Scenario::new(world, [check(&code).into(), check(&wrong(&code)).into()])
        .jumps(&[61])
        .holds(|world, _| {
            let matched = |one: &Verification| one.upstream().is_some_and(|sid| world.matched.contains(sid));
            let ended = |one: &Verification| one.status() == Status::Exhausted;
            let mut all = verifications(world).into_iter();
            finding(
                !all.any(|one| matched(&one) && ended(&one)),
                "i133: what matched was written down as over",
            )?;
            one_end(world)
        })
}

/// What is sent while the provider says that the code before it is over can be checked.
pub(super) fn ended_resend(kinds: Kinds) -> Scenario {
    let (world, _, first) = compared_before(kinds, 5);
    Scenario::new(world, [check(&wrong(&first)).into(), send().into()])
        .jumps(&[61])
        .holds(|world, outcomes| {
            let [Some(_), Some(outcome)] = outcomes else {
                return Ok(());
            };
            let Ok(Answer::Send(SendAnswer::Sent(sent))) = &outcome.answer else {
                return Ok(());
            };
            let accepted = |(_, status): &(_, DeliveryStatus)| *status == DeliveryStatus::Accepted;
            let mut later = world.clone();
            later.advance(Duration::from_secs(1));
            let right = code(&later);
            match sent.deliveries.last().is_some_and(accepted) {
                true => match later.ask(check(&right)) {
                    CheckAnswer::Approved(_) => Ok(()),
                    other => Err(format!("i133: what was sent since is dead: {other:?}")),
                },
                false => Ok(()),
            }
        })
}

pub(super) fn ended_cancel(kinds: Kinds) -> Scenario {
    let (world, id, code) = compared_before(kinds, 5);
    let flows = [check(&wrong(&code)).into(), CancelRequest::of(id).into()];
    Scenario::new(world, flows).holds(|world, _| one_end(world))
}

/// Whoever was told that nothing is pending is not counted, and it ends once.
pub(super) fn ended_twice(kinds: Kinds) -> Scenario {
    let (world, _, code) = compared_before(kinds, 5);
    let guess = check(&wrong(&code));
    Scenario::new(world, [guess.clone().into(), guess.into()])
        .jumps(&[61])
        .holds(|world, _| one_end(world))
}

/// A world in which a code was right, and the proof of it.
fn proved(kinds: Kinds) -> (World, String) {
    let (mut world, id, code) = sent_once(kinds);
    let proof = approved(world.ask(CheckRequest::of(id, code, TO))).proof;
    (world, proof)
}

pub(super) fn redeem_redeem(kinds: Kinds) -> Scenario {
    let (world, proof) = proved(kinds);
    let redeem = RedeemRequest::of(proof, TO);
    Scenario::new(world, [redeem.clone().into(), redeem.into()]).holds(|world, outcomes| {
        let told = answered(outcomes, "redeemed");
        let recorded = events(world, EventKind::ProofRedeemed);
        finding(told <= 1 && recorded <= 1, "i54: redeemed twice")
    })
}

/// The same request twice: both may be told, and it is redeemed once.
pub(super) fn redeem_one_key(kinds: Kinds) -> Scenario {
    let (world, proof) = proved(kinds);
    let redeem = RedeemRequest::of(proof, TO).key("once");
    Scenario::new(world, [redeem.clone().into(), redeem.into()]).holds(|world, outcomes| {
        let recorded = events(world, EventKind::ProofRedeemed);
        finding(recorded <= 1, "i54: redeemed twice")?;
        finding(
            answered(outcomes, "refused") == 0,
            "i54: the same request is refused what it got",
        )
    })
}

/// One failure before the lockout that closes the verification.
fn nearly_locked(kinds: Kinds) -> (World, String) {
    let (mut world, _, code) = sent_once(kinds);
    world.use_policies(policy(ONLY_THE_LOCKOUT));
    for _ in 0..4 {
        world.run(check(&wrong(&code)));
    }
    assert_eq!(failures(&world), 4);
    (world, code)
}

pub(super) fn unlock_right(kinds: Kinds) -> Scenario {
    let (world, code) = nearly_locked(kinds);
    Scenario::new(world, [UnlockRequest::at(TO).into(), check(&code).into()])
        .jumps(&[61])
        .at_end(|world, _| finding(failures(world) <= 5, "i03: more failures than there were guesses"))
}

/// The fifth failure closes the verification. An operator who ends the lockout afterwards does not open it again, also
/// when the closing was never written. (One who was at it already may: that reset came after the failure.)
pub(super) fn unlock_wrong(kinds: Kinds) -> Scenario {
    let (world, right) = nearly_locked(kinds);
    Scenario::new(
        world,
        [UnlockRequest::at(TO).into(), check(&wrong(&right)).into()],
    )
    .jumps(&[61])
    .at_end(move |world, outcomes| {
        let told = outcomes.get(1).and_then(Option::as_ref).map(|o| &o.answer);
        let closed = matches!(told, Some(Ok(Answer::Check(CheckAnswer::WrongCode(wrong))))
                if wrong.status == Status::Exhausted);
        if !closed || events(world, EventKind::Unlocked) > 0 {
            return Ok(());
        }
        let mut world = world.clone();
        world.run(UnlockRequest::at(TO));
        let later = world.ask(check(&right));
        finding(
            !matches!(later, CheckAnswer::Approved(_)),
            "i38: closed, and approved after an unlock",
        )
    })
}
