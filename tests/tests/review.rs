//! Ways to break the pure machine that once worked.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CheckRequest, Command, SendRequest};
use verify_core::flow::Step;
use verify_core::keys::Keys;
use verify_core::outcome::{Answer, RefusalCode};
use verify_core::port::{RejectionKind, RiskLevel};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    BOTH, TO, approved, check, code, policy, record, redeem, refused, send, sent, status,
    ticks_hear_not_sent, world, wrong,
};

const PRIVATE: &str = "version = 1\n[privacy]\ndisclosure = \"private\"\n";

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
fn i40_a_resent_decoy_expires_as_a_resent_code_does() {
    for kinds in BOTH {
        let life = |decoy: bool| {
            let mut world = World::new(policy(PRIVATE), kinds);
            let request = SendRequest {
                decoy,
                ..SendRequest::to(TO)
            };
            let first = sent(world.run(Command::Send(request.clone())).0.answer);
            world.advance(Duration::from_secs(31));
            let second = sent(world.run(Command::Send(request)).0.answer);
            (first.expires_at, second.expires_at, first.id == second.id)
        };
        assert_eq!(life(true), life(false));
    }
}

#[test]
fn i40_risk_answers_for_a_decoy_as_for_anyone() {
    for risk in [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High] {
        let answer = |decoy: bool| {
            let mut world = World::new(policy(PRIVATE), Kinds::Own);
            world.risk = risk;
            let request = SendRequest {
                decoy,
                ..SendRequest::to(TO)
            };
            match world.run(Command::Send(request)).0.answer {
                Answer::Refused(refusal) => refusal.code.as_str().to_owned(),
                Answer::Sent(_) => "sent".to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(answer(true), answer(false), "{risk:?}");
    }
}

/// A send whose flow dies, and a tick that hears that it was never sent.
fn died_unsent(world: &mut World, request: SendRequest) {
    let step = world.start(Command::Send(request));
    let Step::Assess(_) = world.perform(step) else {
        panic!("the intent is recorded")
    };
    world.advance(Duration::from_secs(300));
    ticks_hear_not_sent(world);
    assert!(record(world).is_none(), "surely nothing was sent");
}

#[test]
fn i29_a_key_that_was_taken_over_is_as_good_as_new() {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    let keyed = SendRequest {
        idempotency_key: Some("k".into()),
        ..SendRequest::to(TO)
    };
    died_unsent(&mut world, keyed.clone());
    let id = sent(world.run(Command::Send(keyed.clone())).0.answer).id;
    world.advance(Duration::from_secs(31));
    let answer = world.run(Command::Send(keyed)).0.answer;
    assert!(
        matches!(&answer, Answer::Repeated(seen) if seen.id == id),
        "{answer:?}"
    );
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn i23_an_approval_names_the_channel_that_carried_the_code() {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    sent(world.run(send()).0.answer);
    world.advance(Duration::from_secs(31));
    world
        .rejecting
        .insert("own".into(), RejectionKind::ChannelUnreachable);
    refused(
        world
            .run(Command::Send(SendRequest::to(TO).by(Channel::Call)))
            .0
            .answer,
    );
    let approval = approved(world.run(check(&code(&world))).0.answer);
    assert_eq!(approval.channel, Channel::Sms);
}

#[test]
fn i53_a_used_up_limit_on_failures_holds_a_send_back() {
    let text = "version = 1\n[lockout]\nwaits = { 100 = \"never\" }\n[[limit]]\nname = \"mine\"\ncounts = \"failures\"\nby = [\"destination\"]\nmax = 1\nper = \"10m\"\n";
    let mut world = World::new(policy(text), Kinds::Own);
    sent(world.run(send()).0.answer);
    let bad = wrong(&code(&world));
    world.run(check(&bad));
    world.advance(Duration::from_secs(31));
    assert_eq!(refused(world.run(send()).0.answer).code, RefusalCode::RateLimited);
}

#[test]
fn i29_an_idempotency_key_outlives_a_rotation_of_keys() {
    let mut world = world(Kinds::Own);
    let keyed = || {
        Command::Send(SendRequest {
            idempotency_key: Some("k".into()),
            ..SendRequest::to(TO)
        })
    };
    let id = sent(world.run(keyed()).0.answer).id;
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[9; 32]));
    world.advance(Duration::from_secs(31));
    assert!(matches!(world.run(keyed()).0.answer, Answer::Repeated(_)));
    assert_eq!(world.dispatches, 1);
    let check = CheckRequest {
        idempotency_key: Some("c".into()),
        ..CheckRequest::of(id, code(&world))
    };
    let first = approved(world.run(Command::Check(check.clone())).0.answer);
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[9; 32]).rotated(&[11; 32]));
    let again = approved(world.run(Command::Check(check)).0.answer);
    let id_of = |proof: &str| world.clone().run(Command::Redeem(redeem(proof))).0.answer;
    assert_eq!(id_of(&first.proof), id_of(&again.proof));
}

#[test]
fn i40_an_opt_out_is_not_told_under_private_disclosure() {
    let mut world = World::new(
        policy("version = 1\n[privacy]\ndisclosure = \"private\"\n"),
        Kinds::Own,
    );
    world
        .rejecting
        .insert("own".into(), verify_core::port::RejectionKind::OptedOut);
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
fn a_view_counts_what_its_own_standing_has_left() {
    let mut world = world(Kinds::Own);
    sent(world.run(send()).0.answer);
    let device = approved(world.run(check(&code(&world))).0.answer).device_token;
    let mut known = SendRequest::to(TO);
    known.caller.device_token = Some(device);
    let id = sent(world.run(Command::Send(known)).0.answer).id;
    world.advance(Duration::from_secs(31));
    sent(world.run(send()).0.answer);
    let Answer::Status(seen) = world.run(status(&id)).0.answer else {
        panic!()
    };
    assert_eq!(seen.sends_left, 2, "the known caller sent once");
}

#[test]
fn i29_a_check_of_another_subject_or_amount_is_another_request() {
    let mut world = world(Kinds::Own);
    sent(world.run(Command::Send(of("ann"))).0.answer);
    let check = |subject: &str, code: &str| CheckRequest {
        subject: Some(subject.into()),
        idempotency_key: Some("k".into()),
        ..CheckRequest::to(TO, code)
    };
    let right = code(&world);
    approved(world.run(Command::Check(check("ann", &right))).0.answer);
    let other = refused(world.run(Command::Check(check("eve", &right))).0.answer);
    assert_eq!(other.code, RefusalCode::IdempotencyMismatch);
}
