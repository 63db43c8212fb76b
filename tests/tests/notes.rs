//! What providers say, and what is remembered of it (I-40, I-50, I-65), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{Caller, Command, SendRequest};
use verify_core::flow::Step;
use verify_core::outcome::RefusalCode;
use verify_core::port::{Detail, Dispatched, Rejection, RejectionKind};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::{TO, approved, check, code, died_unsent, policy, refused, send, sent};

#[test]
fn i50_a_freed_key_does_not_pass_by_what_providers_said() {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    let keyed = SendRequest {
        idempotency_key: Some("k".into()),
        ..SendRequest::to(TO)
    };
    died_unsent(&mut world, keyed.clone());
    world.rejecting.insert("own".into(), RejectionKind::OptedOut);
    assert_eq!(
        refused(world.run(send()).0.answer).code,
        RefusalCode::ChannelUnavailable
    );
    world.rejecting.clear();
    world.advance(Duration::from_secs(31));
    assert_eq!(
        refused(world.run(send()).0.answer).code,
        RefusalCode::ChannelUnavailable,
        "without the key"
    );
    let before = world.dispatches;
    let answer = world.run(Command::Send(keyed)).0.answer;
    assert_eq!(
        world.dispatches, before,
        "a message left to who had opted out: {answer:?}"
    );
}

#[test]
fn i40_an_opt_out_is_not_told_under_private_disclosure() {
    let mut world = World::new(
        policy("version = 1\n[privacy]\ndisclosure = \"private\"\n"),
        Kinds::Own,
    );
    world.rejecting.insert("own".into(), RejectionKind::OptedOut);
    let first = sent(world.run(send()).0.answer);
    world.advance(Duration::from_secs(31));
    assert_eq!(sent(world.run(send()).0.answer).id, first.id);
    assert_eq!(
        (world.dispatches, world.sent.len()),
        (1, 0),
        "remembered, and never sent"
    );
}

#[test]
fn after_a_conflict_no_channel_is_offered_that_the_prefix_cannot_get() {
    let run = |conflict: bool| {
        let mut world = World::new(policy("version = 1"), Kinds::Own);
        sent(world.run(send()).0.answer);
        let device = approved(world.run(check(&code(&world))).0.answer).device_token;
        world.advance(Duration::from_secs(601));
        world.rejecting.insert("own".into(), RejectionKind::PrefixBlocked);
        refused(
            world
                .run(Command::Send(SendRequest::to(TO).by(Channel::Call)))
                .0
                .answer,
        );
        world.rejecting.clear();
        world.advance(Duration::from_secs(31));
        let mut step = world.start(send());
        while !matches!(step, Step::Dispatch(_)) {
            step = world.perform(step);
        }
        let Step::Dispatch(asked) = step else { panic!() };
        let rejection = Rejection {
            kind: RejectionKind::ChannelUnreachable,
            retry_after: None,
            detail: Detail::default(),
        };
        let mut step = asked.resume(world.now, Dispatched::Rejected(rejection));
        if conflict {
            sent(
                world
                    .run(Command::Send(SendRequest {
                        caller: Caller {
                            device_token: Some(device),
                            ..Caller::default()
                        },
                        ..SendRequest::to(TO)
                    }))
                    .0
                    .answer,
            );
        }
        loop {
            step = match step {
                Step::Done(outcome) => break refused(outcome.answer).fallback,
                step => world.perform(step),
            };
        }
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn i65_every_dash_is_a_dash() {
    for said in [
        "to 202\u{ff0d}555\u{ff0d}0110",
        "to 202\u{fe63}555\u{fe63}0110",
        "to 202\u{2043}555\u{2043}0110",
        "to 202\u{b7}555\u{b7}0110",
        "ann\u{fe6b}example.com",
    ] {
        let kept = Detail::new(None, said);
        assert!(
            !kept.message().contains("555") && !kept.message().contains("ann"),
            "{}",
            kept.message()
        );
    }
}
