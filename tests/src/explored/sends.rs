//! Sends that race with sends, with a check of their code, and with a repair.

use std::time::Duration;

use verify_core::command::{Person, SendRequest};
use verify_core::outcome::CheckAnswer;
use verify_core::policy::PolicySet;
use verify_core::port::RejectionKind;
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Delivered, Kinds, World};

use super::{Finding, Scenario, finding, sent_once};
use crate::{Asks, TO, check, code, rejected_is_true, send, tick};

pub(super) fn send_send(kinds: Kinds) -> Scenario {
    let world = World::new(PolicySet::default(), kinds);
    Scenario::new(world, [send().into(), send().into()])
        .holds(|world, _| one_message_inside_the_gap(world))
        .at_end(|world, _| {
            the_last_code_works(world)?;
            three_in_ten_minutes(world)
        })
}

/// The same request twice: one message, however late the second comes.
pub(super) fn one_key(kinds: Kinds) -> Scenario {
    let world = World::new(PolicySet::default(), kinds);
    let keyed = send().key("once");
    Scenario::new(world, [keyed.clone().into(), keyed.into()])
        .holds(|world, _| finding(world.sent.len() <= 1, "i29: two messages for one key"))
}

/// A send that surely reached nobody gives the gap back, so that two may be asked for; two may not arrive.
pub(super) fn one_message_inside_the_gap(world: &World) -> Finding {
    let gap = Duration::from_secs(30);
    let close = |pair: &[Delivered]| match pair {
        [one, other] => other.at.since(one.at) < gap,
        _ => false,
    };
    finding(
        !world.sent.windows(2).any(close),
        "i26: two messages inside the gap",
    )
}

/// Whatever went wrong, nobody gets a fourth message.
fn three_in_ten_minutes(world: &World) -> Finding {
    let mut world = world.clone();
    for _ in 0..4 {
        world.advance(Duration::from_secs(31));
        world.run(send());
    }
    let recent = |sent: &&Delivered| world.now.since(sent.at) < Duration::from_secs(600);
    let count = world.sent.iter().filter(recent).count();
    finding(count <= 3, "i12: more than three messages in ten minutes")
}

/// Whoever got a message can use its code, unless it is about to die.
pub(super) fn the_last_code_works(world: &World) -> Finding {
    let mut world = world.clone();
    let young = |sent: &&Delivered| world.now.since(sent.at) < Duration::from_secs(500);
    if world.sent.last().filter(young).is_none() {
        return Ok(());
    }
    let right = code(&world);
    match world.ask(check(&right)) {
        CheckAnswer::Approved(_) => Ok(()),
        other => Err(format!(
            "i53: the code that was sent last cannot be checked: {other:?}"
        )),
    }
}

/// Nobody's send ends the code of another.
pub(super) fn two_identities(kinds: Kinds) -> Scenario {
    let (mut world, _, right) = sent_once(kinds);
    world.advance(Duration::from_secs(31));
    let call = send().by(Channel::Call);
    let stranger = SendRequest::to(Person::at(TO).subject("another"));
    Scenario::new(world, [call.into(), stranger.into()]).at_end(move |world, _| {
        match world.clone().ask(check(&right)) {
            CheckAnswer::Approved(_) => Ok(()),
            other => Err(format!("i37: the first code is dead: {other:?}")),
        }
    })
}

/// The first of two providers refuses: the second is asked, and each at most once for a charge.
pub(super) fn failover(kinds: Kinds) -> Scenario {
    let mut world = World::new(PolicySet::default(), kinds);
    world.rejecting.insert("own".into(), RejectionKind::Down);
    Scenario {
        always: false,
        ..Scenario::new(world, [send().into(), send().into()])
    }
    .holds(|world, _| {
        finding(
            world.sent.iter().all(|sent| sent.provider == "second"),
            "i51: through whom",
        )?;
        rejected_is_true(world)?;
        one_message_inside_the_gap(world)
    })
}

/// A send, and a check of the code that it is about to make.
pub(super) fn send_check(kinds: Kinds) -> Scenario {
    let world = World::new(PolicySet::default(), kinds);
    let mut later = world.clone();
    later.run(send());
    Scenario::new(world, [send().into(), check(&code(&later)).into()])
}

/// A resend, and a repair of its record.
pub(super) fn send_tick(kinds: Kinds) -> Scenario {
    let (mut world, _, _) = sent_once(kinds);
    let tick = tick(&world);
    world.advance(Duration::from_secs(31));
    Scenario::new(world, [send().into(), tick.into()])
        .jumps(&[35, 700])
        .holds(|world, _| one_message_inside_the_gap(world))
        .at_end(|world, _| {
            the_last_code_works(world)?;
            three_in_ten_minutes(world)
        })
}
