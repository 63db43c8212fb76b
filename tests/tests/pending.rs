//! What leaves a pending verification alone, and what ends it (I-37), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CancelRequest, CheckRequest, Expected, Person, SendRequest};
use verify_core::outcome::CheckAnswer;
use verify_core::record::Status;
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, BOTH, TO, approved, code, policy, seen, send, sent, wrong};

fn of(subject: &str) -> SendRequest {
    SendRequest::to(Person::at(TO).subject(subject))
}

#[test]
fn i37_a_human_check_after_a_look_keeps_what_is_pending() {
    let text = "version = 1\n[[limit]]\nname = \"sends_per_prefix\"\nmax = 1\nthen = \"human_check\"\n";
    for kinds in BOTH {
        let mut world = World::new(policy(text), kinds);
        let id = sent(world.ask(of("ann"))).id;
        world.advance(Duration::from_secs(31));
        let another = SendRequest {
            human_check: Some("human".into()),
            ..of("bob")
        };
        sent(world.ask(another));
        assert_eq!(seen(&mut world, &id).status, Status::Pending);
    }
}

/// Four failures of one subject elsewhere, and one wait short of the lockout.
fn four_failures_elsewhere(world: &mut World) {
    let elsewhere = "+12025550177";
    let id = sent(world.ask(SendRequest::to(Person::at(elsewhere).subject("mallory")))).id;
    let bad = wrong(world.code_for(elsewhere).unwrap().expose());
    for _ in 0..4 {
        let answer = world.ask(CheckRequest::of(&id, &bad, Expected::Whoever));
        assert!(matches!(answer, CheckAnswer::WrongCode(_)), "{answer:?}");
        world.advance(Duration::from_secs(60));
    }
}

#[test]
fn i37_a_lockout_of_one_subject_closes_nothing_of_another() {
    let mut world = World::new(policy("version = 1\n[code]\nttl = \"10m\"\n"), Kinds::Own);
    four_failures_elsewhere(&mut world);
    sent(world.ask(of("mallory")));
    world.advance(Duration::from_secs(31));
    let id = sent(world.ask(of("ann"))).id;
    let right = code(&world);
    let guess = CheckRequest::to(Person::at(TO).subject("mallory"), wrong(&right));
    let answer = world.ask(guess);
    assert!(
        matches!(&answer, CheckAnswer::WrongCode(wrong) if wrong.status == Status::Exhausted),
        "{answer:?}"
    );
    world.advance(Duration::from_secs(60));
    approved(world.ask(CheckRequest::of(&id, &right, Expected::Whoever)));
}

#[test]
fn i37_a_send_after_a_lockout_closes_nothing_of_another() {
    let mut world = World::new(policy("version = 1\n[code]\nttl = \"10m\"\n"), Kinds::Own);
    four_failures_elsewhere(&mut world);
    let elsewhere = CheckRequest::to(Person::at("+12025550177").subject("mallory"), "000000");
    world.run(elsewhere);
    world.advance(Duration::from_secs(14 * 60));
    let id = sent(world.ask(of("ann"))).id;
    let right = code(&world);
    world.advance(Duration::from_secs(61));
    sent(world.ask(of("mallory")));
    approved(world.ask(CheckRequest::of(&id, &right, Expected::Whoever)));
}

#[test]
fn a_cancel_whose_answer_was_lost_is_told_and_the_provider_with_it() {
    let mut world = World::new(policy("version = 1"), Kinds::Managed);
    let id = sent(world.ask(send())).id;
    let look = world.start(CancelRequest::of(&id));
    let write = world.perform(look);
    drop(world.perform(write.clone()));
    let mut step = write.lost(world.now);
    let mut told = 0;
    let outcome = loop {
        step = match step.over() {
            Ok(outcome) => break outcome,
            Err(step) => {
                told += u32::from(step.kind() == "conclude");
                world.perform(step)
            }
        };
    };
    assert_eq!((outcome.as_str(), told), ("canceled", 1));
}
