//! What ends verifications, lockouts and proofs: cancels, unlocks, redemptions.

use std::collections::BTreeSet;
use std::time::Duration;

use verify_core::command::{CheckRequest, Command, PersonRequest, RedeemRequest};
use verify_core::event::{Event, EventKind};
use verify_core::outcome::{Answer, Outcome};
use verify_core::record::{DeliveryStatus, Status};
use verify_core::vocabulary::ServiceId;
use verify_lab::explore::{Kinds, World};

use super::{Finding, Scenario, finding, sent_once};
use crate::{
    ONLY_THE_LOCKOUT, TO, approvals, approved, cancel, check, code, events, failures, policy, record, redeem,
    send, wrong,
};

pub(super) fn check_cancel(kinds: Kinds) -> Scenario {
    let (world, id, code) = sent_once(kinds);
    Scenario::new(world, [check(&code), cancel(&id)]).holds(|world, outcomes| {
        let canceled = |outcome: &Outcome| matches!(outcome.answer, Answer::Canceled(_));
        let told = outcomes.iter().flatten().any(canceled);
        finding(!told || approvals(outcomes) == 0, "i24: canceled and approved")?;
        one_end(world)
    })
}

/// No verification is both canceled and approved, or one of them twice.
pub(super) fn one_end(world: &World) -> Finding {
    let is_end = |event: &&Event| matches!(event.kind, EventKind::Canceled | EventKind::Approved);
    let mut ended = BTreeSet::new();
    let mut ends = world.store.events().values().filter(is_end);
    finding(ends.all(|end| ended.insert(end.verification)), "i24: two ends")
}

/// A conclusion that a provider is told never ends a code that was sent after it.
pub(super) fn cancel_send(kinds: Kinds) -> Scenario {
    let (mut world, id, _) = sent_once(kinds);
    world.advance(Duration::from_secs(31));
    Scenario::new(world, [cancel(&id), send()]).holds(the_new_code_lives)
}

fn the_new_code_lives(world: &World, outcomes: &[Option<Outcome>]) -> Finding {
    let Some(Answer::Sent(sent)) = outcomes.get(1).and_then(Option::as_ref).map(|o| &o.answer) else {
        return Ok(());
    };
    if outcomes.first().is_none_or(Option::is_none) || sent.status != Status::Pending {
        return Ok(());
    }
    let mut later = world.clone();
    later.advance(Duration::from_secs(1));
    let code = code(&later);
    let pending = record(&later)
        .is_some_and(|(_, record)| record.entries.iter().any(|entry| entry.is_pending(later.now)));
    let accepted = sent
        .deliveries
        .last()
        .is_some_and(|(_, status)| *status == DeliveryStatus::Accepted);
    if !(pending && accepted) {
        return Ok(());
    }
    match later.run(check(&code)).0.answer {
        Answer::Approved(_) => Ok(()),
        other => Err(format!("i53: the code that was sent last is dead: {other:?}")),
    }
}

pub(super) fn redeem_redeem(kinds: Kinds) -> Scenario {
    let (mut world, id, code) = sent_once(kinds);
    let check = Command::Check(CheckRequest::of(id, code));
    let proof = approved(world.run(check).0.answer).proof;
    let redeem = Command::Redeem(redeem(&proof));
    Scenario::new(world, [redeem.clone(), redeem]).holds(|world, outcomes| {
        let redeemed = |outcome: &&Outcome| matches!(outcome.answer, Answer::Redeemed(_));
        let told = outcomes.iter().flatten().filter(redeemed).count();
        let recorded = events(world, EventKind::ProofRedeemed);
        finding(told <= 1 && recorded <= 1, "i54: redeemed twice")
    })
}

/// The same request twice: both may be told, and it is redeemed once.
pub(super) fn redeem_one_key(kinds: Kinds) -> Scenario {
    let (mut world, id, code) = sent_once(kinds);
    let check = Command::Check(CheckRequest::of(id, code));
    let proof = approved(world.run(check).0.answer).proof;
    let redeem = Command::Redeem(RedeemRequest {
        idempotency_key: Some("once".into()),
        ..redeem(&proof)
    });
    Scenario::new(world, [redeem.clone(), redeem]).holds(|world, outcomes| {
        let recorded = events(world, EventKind::ProofRedeemed);
        finding(recorded <= 1, "i54: redeemed twice")?;
        let refused = |outcome: &Outcome| matches!(outcome.answer, Answer::Refused(_));
        finding(
            !outcomes.iter().flatten().any(refused),
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

fn unlock() -> Command {
    Command::Unlock(PersonRequest {
        service: ServiceId::default(),
        to: TO.into(),
        country: None,
        subject: None,
    })
}

pub(super) fn unlock_right(kinds: Kinds) -> Scenario {
    let (world, code) = nearly_locked(kinds);
    Scenario::new(world, [unlock(), check(&code)])
        .jumps(&[61])
        .at_end(|world, _| finding(failures(world) <= 5, "i03: more failures than there were guesses"))
}

/// The fifth failure closes the verification. An operator who ends the lockout afterwards does not open it again, also
/// when the closing was never written. (One who was at it already may: that reset came after the failure.)
pub(super) fn unlock_wrong(kinds: Kinds) -> Scenario {
    let (world, right) = nearly_locked(kinds);
    Scenario::new(world, [unlock(), check(&wrong(&right))])
        .jumps(&[61])
        .at_end(move |world, outcomes| {
            let told = outcomes.get(1).and_then(Option::as_ref).map(|o| &o.answer);
            let closed = matches!(told, Some(Answer::WrongCode(wrong)) if wrong.status == Status::Exhausted);
            if !closed || events(world, EventKind::Unlocked) > 0 {
                return Ok(());
            }
            let mut world = world.clone();
            world.run(unlock());
            let later = world.run(check(&right)).0.answer;
            finding(
                !matches!(later, Answer::Approved(_)),
                "i38: closed, and approved after an unlock",
            )
        })
}
