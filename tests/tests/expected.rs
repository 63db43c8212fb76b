//! A verification that is named by its id is checked for somebody: whoever sends an id along chose it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::time::Duration;

use verify_core::command::{CheckRequest, Expected, Known, Person, SendRequest};
use verify_core::outcome::{CheckAnswer, RefusalCode, Unclaimed};
use verify_core::vocabulary::Purpose;
use verify_lab::explore::World;
use verify_tests::{Asks, BOTH, TO, approved, code, failures, refused, sent, world};

fn mallory() -> Person {
    Person::at(TO).subject("mallory")
}

/// Whom a host may be about to act for, and whether mallory's own code lets it.
fn expectations() -> [(&'static str, Person, bool); 8] {
    [
        ("herself", mallory(), true),
        (
            "herself, spelled otherwise",
            Person::at("+1 (202) 555-0123").subject("mallory"),
            true,
        ),
        (
            "another's account",
            Person::at("+12025550199").subject("ada"),
            false,
        ),
        (
            "another's account, at her own number",
            Person::at(TO).subject("ada"),
            false,
        ),
        ("nobody's account", Person::at(TO), false),
        (
            "herself elsewhere",
            Person::at("+12025550199").subject("mallory"),
            false,
        ),
        ("for something else", mallory().purpose(Purpose::Recovery), false),
        ("a payment", mallory().pays("10 USD", "shop"), false),
    ]
}

/// Mallory verified her own number, and its code is right.
fn verified(kinds: verify_lab::explore::Kinds) -> (World, String, String) {
    let mut world = world(kinds);
    let id = sent(world.ask(SendRequest::to(mallory()))).id;
    let right = code(&world);
    (world, id, right)
}

#[test]
fn i25_a_right_code_of_another_lets_nobody_in_and_is_neither_charged_nor_compared() {
    for kinds in BOTH {
        for (whom, person, lets) in expectations() {
            let (mut world, id, right) = verified(kinds);
            let before = (world.store.clone(), world.compared);
            let (answer, trips) = world.ask_counted(CheckRequest::of(&id, &right, person));
            if lets {
                assert_eq!(approved(answer).subject.as_deref(), Some("mallory"), "{whom}");
                continue;
            }
            assert_eq!(refused(answer).code, RefusalCode::NotFound, "{whom}");
            assert_eq!((trips, failures(&world)), (0, 0), "{whom}");
            assert!(
                before == (world.store.clone(), world.compared),
                "{whom}: nothing was written or asked"
            );
            // Neither does a send by the id reach anybody.
            world.advance(Duration::from_secs(31));
            let (answer, trips) = world.ask_counted(SendRequest::again(&id, Person::at(TO)));
            assert_eq!(
                (refused(answer).code, trips),
                (RefusalCode::NotFound, 0),
                "{whom}"
            );
            approved(world.ask(CheckRequest::of(&id, &right, mallory())));
        }
    }
}

#[test]
fn i25_an_approval_of_whoever_gives_its_proof_to_nobody_but_its_owner() {
    for (whom, person, lets) in expectations() {
        let (mut world, id, right) = verified(verify_lab::explore::Kinds::Own);
        let unclaimed = unclaimed(world.ask(CheckRequest::of(&id, &right, Expected::Whoever)));
        assert_eq!(*unclaimed.whose(), mallory(), "{whom}");
        let shown = format!("{unclaimed:?}");
        assert!(!shown.contains("mallory") && !shown.contains("0123"), "{shown}");
        assert_eq!(unclaimed.of(&person).is_ok(), lets, "{whom}");
    }
}

#[test]
fn what_is_known_of_the_person_is_compared_before_anything_is_charged() {
    let known = |known: fn(&mut Known)| {
        let mut all = Known::default();
        known(&mut all);
        all
    };
    let table: [(Known, bool); 9] = [
        (Known::default(), true),
        (known(|it| it.subject = Some("mallory".into())), true),
        (known(|it| it.subject = Some("ada".into())), false),
        (known(|it| it.to = Some("+1 202 555 0123".into())), true),
        (known(|it| it.to = Some("+12025550199".into())), false),
        (known(|it| it.purpose = Some(Purpose::SignIn)), true),
        (known(|it| it.purpose = Some(Purpose::Recovery)), false),
        (
            known(|it| {
                (it.to, it.country) = (
                    Some("202 555 0123".into()),
                    verify_core::vocabulary::Country::new("US"),
                )
            }),
            true,
        ),
        (
            known(|it| (it.to, it.subject) = (Some(TO.into()), Some("ada".into()))),
            false,
        ),
    ];
    for (known, fits) in table {
        let (mut world, id, right) = verified(verify_lab::explore::Kinds::Own);
        let (answer, trips) = world.ask_counted(CheckRequest::of(&id, &right, Expected::Known(known)));
        match fits {
            true => assert_eq!(*unclaimed(answer).whose(), mallory()),
            false => assert_eq!((refused(answer).code, trips), (RefusalCode::NotFound, 0)),
        }
    }
}

#[test]
fn a_lost_answer_is_told_again_to_whoever_it_was_for() {
    let (mut world, id, right) = verified(verify_lab::explore::Kinds::Own);
    let keyed = |of: Expected| CheckRequest::of(&id, &right, of).key("key");
    let first = approved(world.ask(keyed(mallory().into())));
    assert_eq!(approved(world.ask(keyed(mallory().into()))).proof, first.proof);
    let again = unclaimed(world.ask(keyed(Expected::Whoever)));
    assert_eq!(again.of(&mallory()).unwrap().proof, first.proof);
    let other = world.ask(keyed(Person::at(TO).subject("ada").into()));
    assert_eq!(refused(other).code, RefusalCode::NotFound);
}

#[test]
fn a_person_who_cannot_be_one_is_refused_as_in_any_request() {
    let (mut world, id, right) = verified(verify_lab::explore::Kinds::Own);
    let refusal = refused(world.ask(CheckRequest::of(id, right, "no number")));
    assert_eq!(
        (refusal.code, refusal.field),
        (RefusalCode::InvalidDestination, Some("to"))
    );
}

fn unclaimed(answer: CheckAnswer) -> Unclaimed {
    match answer {
        CheckAnswer::Unclaimed(unclaimed) => *unclaimed,
        other => panic!("not approved for whoever it is: {other:?}"),
    }
}
