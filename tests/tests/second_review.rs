//! What a second hostile reading of the core found, each as it was shown.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;
use verify_core::command::{Caller, Command, SendRequest};
use verify_core::flow::Step;
use verify_core::outcome::{Answer, RefusalCode};
use verify_core::policy::PolicySet;
use verify_core::port::{Detail, Dispatched, Rejection, RejectionKind};
use verify_core::store::StoreAnswer;
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::*;

fn secs(world: &mut World, n: u64) {
    world.advance(Duration::from_secs(n));
}

fn dies_in_the_middle(world: &mut World, request: SendRequest) {
    let mut step = world.start(Command::Send(request));
    while !matches!(step, Step::Dispatch(_)) {
        step = world.perform(step);
    }
}

#[test]
fn i50_a_freed_key_does_not_pass_by_what_providers_said() {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    let keyed = SendRequest {
        idempotency_key: Some("k".into()),
        ..SendRequest::to(TO)
    };
    dies_in_the_middle(&mut world, keyed.clone());
    secs(&mut world, 300);
    ticks_hear_not_sent(&mut world);
    assert!(record(&world).is_none());
    world.rejecting.insert("own".into(), RejectionKind::OptedOut);
    assert_eq!(
        refused(world.run(send()).0.answer).code,
        RefusalCode::ChannelUnavailable
    );
    world.rejecting.clear();
    secs(&mut world, 31);
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
fn a_cancel_whose_answer_was_lost_is_told_and_the_provider_with_it() {
    let mut world = World::new(policy("version = 1"), Kinds::Managed);
    let id = sent(world.run(send()).0.answer).id;
    let step = world.start(cancel(&id));
    let mut step = world.perform(step);
    let Step::Store(write) = step else { panic!() };
    world.apply(write.changeset());
    step = write.resume(world.now, StoreAnswer::Unknown);
    let mut told = 0;
    let answer = loop {
        step = match step {
            Step::Done(outcome) => break outcome.answer,
            step => {
                told += u32::from(matches!(step, Step::Conclude(_)));
                world.perform(step)
            }
        };
    };
    assert!(matches!(answer, Answer::Canceled(_)), "told {told}: {answer:?}");
    assert_eq!(told, 1);
}

#[test]
fn i60_a_limit_cannot_have_the_name_of_a_lockout() {
    for name in ["lockout_destination", "lockout_subject"] {
        let text = format!(
            "version = 1\n[[limit]]\nname = \"{name}\"\ncounts = \"checks\"\nby = [\"destination\"]\nmax = 5\nper = \"10m\"\n"
        );
        let errors = PolicySet::from_toml(&text).unwrap_err().to_string();
        assert!(errors.contains("a lockout has this name"), "{errors}");
    }
}

#[test]
fn after_a_conflict_no_channel_is_offered_that_the_prefix_cannot_get() {
    let run = |conflict: bool| {
        let mut world = World::new(policy("version = 1"), Kinds::Own);
        sent(world.run(send()).0.answer);
        let device = approved(world.run(check(&code(&world))).0.answer).device_token;
        secs(&mut world, 601);
        world.rejecting.insert("own".into(), RejectionKind::PrefixBlocked);
        refused(
            world
                .run(Command::Send(SendRequest::to(TO).by(Channel::Call)))
                .0
                .answer,
        );
        world.rejecting.clear();
        secs(&mut world, 31);
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
fn i38_checks_left_counts_to_a_closing_as_short_as_what_forgets() {
    let text = "version = 1\n[lockout]\nwaits = { 2 = \"2m\" }\nforget_after = \"2m\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.run(send()).0.answer);
    let bad = wrong(&code(&world));
    let Answer::WrongCode(one) = world.run(check(&bad)).0.answer else {
        panic!()
    };
    let Answer::WrongCode(two) = world.run(check(&bad)).0.answer else {
        panic!()
    };
    assert_eq!((two.status.as_str(), one.checks_left), ("exhausted", 1));
}

#[test]
fn i06_what_a_stranger_guesses_while_a_known_callers_code_is_pending_stays_counted() {
    let mut world = World::new(
        policy("version = 1\n[lockout]\nwaits = { 1 = \"5m\" }\n"),
        Kinds::Own,
    );
    sent(world.run(send()).0.answer);
    let device = approved(world.run(check(&code(&world))).0.answer).device_token;
    secs(&mut world, 601);
    sent(world.run(send()).0.answer);
    let bad = wrong(&code(&world));
    let known = SendRequest {
        caller: Caller {
            device_token: Some(device),
            ..Caller::default()
        },
        ..SendRequest::to(TO)
    };
    sent(world.run(Command::Send(known)).0.answer);
    world.run(check(&bad));
    secs(&mut world, 300);
    let before = failures(&world);
    world.run(check(&bad));
    assert_eq!((before, failures(&world)), (1, 2));
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
