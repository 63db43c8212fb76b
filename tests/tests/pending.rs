//! What leaves a pending verification alone, and what ends it (I-37), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CheckRequest, Command, SendRequest};
use verify_core::flow::Step;
use verify_core::outcome::Answer;
use verify_core::store::StoreAnswer;
use verify_lab::explore::{Kinds, World};
use verify_tests::{BOTH, TO, approved, cancel, code, policy, send, sent, status, wrong};

fn of(subject: &str) -> SendRequest {
    SendRequest::to(TO).subject(subject)
}

#[test]
fn i37_a_human_check_after_a_look_keeps_what_is_pending() {
    let text = "version = 1\n[[limit]]\nname = \"sends_per_prefix\"\nmax = 1\nthen = \"human_check\"\n";
    for kinds in BOTH {
        let mut world = World::new(policy(text), kinds);
        let id = sent(world.run(Command::Send(of("ann"))).0.answer).id;
        world.advance(Duration::from_secs(31));
        let another = SendRequest {
            human_check: Some("human".into()),
            ..of("bob")
        };
        sent(world.run(Command::Send(another)).0.answer);
        let Answer::Status(seen) = world.run(status(&id)).0.answer else {
            panic!("the pending verification of another identity is gone")
        };
        assert_eq!(seen.status.as_str(), "pending");
    }
}

/// Four failures of one subject elsewhere, and one wait short of the lockout.
fn four_failures_elsewhere(world: &mut World) {
    let elsewhere = "+12025550177";
    let id = sent(
        world
            .run(Command::Send(SendRequest::to(elsewhere).subject("mallory")))
            .0
            .answer,
    )
    .id;
    let bad = wrong(world.code_for(elsewhere).unwrap().expose());
    for _ in 0..4 {
        let answer = world.run(Command::Check(CheckRequest::of(&id, &bad))).0.answer;
        assert!(matches!(answer, Answer::WrongCode(_)), "{answer:?}");
        world.advance(Duration::from_secs(60));
    }
}

#[test]
fn i37_a_lockout_of_one_subject_closes_nothing_of_another() {
    let mut world = World::new(policy("version = 1\n[code]\nttl = \"10m\"\n"), Kinds::Own);
    four_failures_elsewhere(&mut world);
    sent(world.run(Command::Send(of("mallory"))).0.answer);
    world.advance(Duration::from_secs(31));
    let id = sent(world.run(Command::Send(of("ann"))).0.answer).id;
    let right = code(&world);
    let guess = CheckRequest {
        subject: Some("mallory".into()),
        ..CheckRequest::to(TO, wrong(&right))
    };
    let answer = world.run(Command::Check(guess)).0.answer;
    assert!(
        matches!(&answer, Answer::WrongCode(wrong) if wrong.status.as_str() == "exhausted"),
        "{answer:?}"
    );
    world.advance(Duration::from_secs(60));
    approved(world.run(Command::Check(CheckRequest::of(&id, &right))).0.answer);
}

#[test]
fn i37_a_send_after_a_lockout_closes_nothing_of_another() {
    let mut world = World::new(policy("version = 1\n[code]\nttl = \"10m\"\n"), Kinds::Own);
    four_failures_elsewhere(&mut world);
    let elsewhere = CheckRequest {
        subject: Some("mallory".into()),
        ..CheckRequest::to("+12025550177", "000000")
    };
    world.run(Command::Check(elsewhere));
    world.advance(Duration::from_secs(14 * 60));
    let id = sent(world.run(Command::Send(of("ann"))).0.answer).id;
    let right = code(&world);
    world.advance(Duration::from_secs(61));
    sent(world.run(Command::Send(of("mallory"))).0.answer);
    approved(world.run(Command::Check(CheckRequest::of(&id, &right))).0.answer);
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
