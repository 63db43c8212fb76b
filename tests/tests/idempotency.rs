//! Idempotency keys (I-29), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CheckRequest, Command, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{Answer, RefusalCode};
use verify_core::port::RejectionKind;
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    BOTH, TO, approved, code, died_unsent, policy, record, redeem, refused, send, sent, world,
};

#[test]
fn i29_one_idempotency_key_one_send() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let keyed = |to: &str| {
            Command::Send(SendRequest {
                idempotency_key: Some("k1".into()),
                ..SendRequest::to(to)
            })
        };
        let id = sent(world.run(keyed(TO)).0.answer).id;
        for _ in 0..3 {
            world.advance(Duration::from_secs(100));
            let (outcome, trips) = world.run(keyed(TO));
            let Answer::Repeated(same) = outcome.answer else {
                panic!("{outcome:?}")
            };
            assert_eq!((same.id.as_str(), trips), (id.as_str(), 1));
        }
        assert_eq!(world.dispatches, 1);
        let other = refused(world.run(keyed("+12025550124")).0.answer);
        assert_eq!(other.code, RefusalCode::IdempotencyMismatch);
        approved(
            world
                .run(Command::Check(CheckRequest::of(id, code(&world))))
                .0
                .answer,
        );
        assert!(
            matches!(world.run(keyed(TO)).0.answer, Answer::Repeated(_)),
            "terminal or not"
        );
    }
}

#[test]
fn i29_a_send_that_reached_nobody_frees_its_key() {
    let mut world = world(Kinds::Own);
    world.rejecting.insert("own".into(), RejectionKind::Down);
    let keyed = Command::Send(SendRequest {
        idempotency_key: Some("k1".into()),
        ..SendRequest::to(TO)
    });
    assert_eq!(
        refused(world.run(keyed.clone()).0.answer).code,
        RefusalCode::ProviderUnavailable
    );
    assert!(record(&world).is_none(), "nothing is left behind");
    world.rejecting.clear();
    sent(world.run(keyed).0.answer);
}

#[test]
fn i29_a_right_check_whose_answer_was_lost_gives_the_same_proof_again() {
    let mut world = world(Kinds::Own);
    let id = sent(world.run(send()).0.answer).id;
    let keyed = |key: &str, code: &str| {
        Command::Check(CheckRequest {
            idempotency_key: Some(key.into()),
            ..CheckRequest::of(&id, code)
        })
    };
    let right = code(&world);
    let first = approved(world.run(keyed("k", &right)).0.answer);
    let second = approved(world.run(keyed("k", &right)).0.answer);
    assert_eq!(first.proof, second.proof);
    assert_eq!(
        refused(world.run(keyed("other", &right)).0.answer).code,
        RefusalCode::NotFound
    );
    assert_eq!(
        refused(world.run(keyed("k", "000000")).0.answer).code,
        RefusalCode::IdempotencyMismatch
    );
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
fn i29_a_check_of_another_subject_or_amount_is_another_request() {
    let mut world = world(Kinds::Own);
    sent(
        world
            .run(Command::Send(SendRequest::to(TO).subject("ann")))
            .0
            .answer,
    );
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
