//! Idempotency keys (I-29), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CheckRequest, Person, RedeemRequest, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, RefusalCode, SendAnswer};
use verify_core::port::RejectionKind;
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, BOTH, TO, approved, code, died_unsent, policy, record, refused, send, sent, world};

#[test]
fn i29_one_idempotency_key_one_send() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let keyed = |to: &str| SendRequest::to(to).key("k1");
        let id = sent(world.ask(keyed(TO))).id;
        for _ in 0..3 {
            world.advance(Duration::from_secs(100));
            let (SendAnswer::Repeated(same), trips) = world.ask_counted(keyed(TO)) else {
                panic!("another send")
            };
            assert_eq!((same.id.as_str(), trips), (id.as_str(), 1));
        }
        assert_eq!(world.dispatches, 1);
        let other = refused(world.ask(keyed("+12025550124")));
        assert_eq!(other.code, RefusalCode::IdempotencyMismatch);
        approved(world.ask(CheckRequest::of(id, code(&world), TO)));
        assert!(
            matches!(world.ask(keyed(TO)), SendAnswer::Repeated(_)),
            "terminal or not"
        );
    }
}

#[test]
fn i29_a_send_that_reached_nobody_frees_its_key() {
    let mut world = world(Kinds::Own);
    world.rejecting.insert("own".into(), RejectionKind::Down);
    let keyed = send().key("k1");
    assert_eq!(
        refused(world.ask(keyed.clone())).code,
        RefusalCode::ProviderUnavailable
    );
    assert!(record(&world).is_none(), "nothing is left behind");
    world.rejecting.clear();
    sent(world.ask(keyed));
}

/// Under private disclosure its answer does not wait for the provider, and so neither does its repetition, which of a decoy nobody
/// carries.
#[test]
fn i40_a_key_whose_message_is_under_way_is_answered_as_a_decoys() {
    for (disclosure, decoy, told) in [
        ("open", false, "in_progress"),
        ("private", false, "repeated"),
        ("private", true, "repeated"),
    ] {
        let text = format!("version = 1\n[privacy]\ndisclosure = \"{disclosure}\"\n");
        let mut world = World::new(policy(&text), Kinds::Own);
        let keyed = send().key("k1").decoy(decoy);
        let kind = if decoy { "answer" } else { "dispatch" };
        drop(world.begin(keyed.clone(), kind));
        let answer = match world.ask(keyed) {
            SendAnswer::Repeated(_) => "repeated",
            SendAnswer::Refused(refusal) => refusal.code.as_str(),
            SendAnswer::Sent(_) => "sent",
        };
        assert_eq!(answer, told, "{disclosure} {decoy}");
    }
}

#[test]
fn i29_a_right_check_whose_answer_was_lost_gives_the_same_proof_again() {
    let mut world = world(Kinds::Own);
    let id = sent(world.ask(send())).id;
    let keyed = |key: &str, code: &str| CheckRequest::of(&id, code, TO).key(key);
    let right = code(&world);
    let first = approved(world.ask(keyed("k", &right)));
    let second = approved(world.ask(keyed("k", &right)));
    assert_eq!(first.proof, second.proof);
    assert_eq!(
        refused(world.ask(keyed("other", &right))).code,
        RefusalCode::NotFound
    );
    assert_eq!(
        refused(world.ask(keyed("k", "000000"))).code,
        RefusalCode::IdempotencyMismatch
    );
}

#[test]
fn i29_a_key_that_was_taken_over_is_as_good_as_new() {
    let mut world = World::new(policy("version = 1"), Kinds::Own);
    let keyed = send().key("k");
    died_unsent(&mut world, keyed.clone());
    let id = sent(world.ask(keyed.clone())).id;
    world.advance(Duration::from_secs(31));
    let answer = world.ask(keyed);
    assert!(
        matches!(&answer, SendAnswer::Repeated(seen) if seen.id == id),
        "{answer:?}"
    );
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn i29_an_idempotency_key_outlives_a_rotation_of_keys() {
    let mut world = world(Kinds::Own);
    let keyed = || send().key("k");
    let id = sent(world.ask(keyed())).id;
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[9; 32]));
    world.advance(Duration::from_secs(31));
    assert!(matches!(world.ask(keyed()), SendAnswer::Repeated(_)));
    assert_eq!(world.dispatches, 1);
    let check = CheckRequest::of(id, code(&world), TO).key("c");
    let first = approved(world.ask(check.clone()));
    world.use_keys(Keys::generate(&[7; 32]).rotated(&[9; 32]).rotated(&[11; 32]));
    let again = approved(world.ask(check));
    let id_of = |proof: &str| world.clone().ask(RedeemRequest::of(proof, TO));
    assert_eq!(id_of(&first.proof), id_of(&again.proof));
}

#[test]
fn i29_a_check_of_another_subject_or_amount_is_another_request() {
    let mut world = world(Kinds::Own);
    sent(world.ask(SendRequest::to(Person::at(TO).subject("ann"))));
    let check = |subject: &str, code: &str| CheckRequest::to(Person::at(TO).subject(subject), code).key("k");
    let right = code(&world);
    approved(world.ask(check("ann", &right)));
    let other = refused(world.ask(check("eve", &right)));
    assert_eq!(other.code, RefusalCode::IdempotencyMismatch);
}

/// The approval's record goes by the latest stamp, its key's marker by the clock, which was behind.
#[test]
fn i29_a_key_whose_marker_is_over_approves_no_wrong_guess() {
    for back in [0, 3_600, 80_000] {
        let mut world = world(Kinds::Own);
        sent(world.ask(send()));
        let keyed = |code: &str| CheckRequest::to(TO, code).key("k");
        let right = code(&world);
        world.now = world.now - Duration::from_secs(back);
        approved(world.ask(keyed(&right)));
        for _ in 0..60 {
            world.advance(Duration::from_secs(3_600));
            for _ in 0..2 {
                let answer = world.ask(keyed("000000"));
                assert!(!matches!(answer, CheckAnswer::Approved(_)), "{answer:?}");
            }
        }
    }
}
