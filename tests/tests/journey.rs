//! The first journey through the pure machine: send, mistype, wait, have it read out, be approved, spend the proof.
#![allow(missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use verify_core::command::{CheckRequest, Person, RedeemRequest, SendRequest};
use verify_core::outcome::{CheckAnswer, RedeemAnswer, RefusalCode, SendAnswer};
use verify_core::time::Until;
use verify_core::vocabulary::{Channel, Purpose};
use verify_lab::explore::Kinds;
use verify_tests::{Asks, TO, approved, code, refused, send, sent, world};

fn journey(kinds: Kinds) {
    let mut world = world(kinds);
    let (first, trips) = world.ask_counted(send());
    assert_eq!(trips, 2);
    let first = sent(first);
    let (again, trips) = world.ask_counted(send());
    assert!(matches!(again, SendAnswer::Repeated(_)), "{again:?}");
    assert_eq!((trips, world.sent.len()), (1, 1));

    let guess = || CheckRequest::of(&first.id, "000000", TO);
    let (CheckAnswer::WrongCode(wrong), trips) = world.ask_counted(guess()) else {
        panic!("a guess is compared")
    };
    assert_eq!((trips, wrong.checks_left), (1, Some(4)));
    let (cooling, trips) = world.ask_counted(guess());
    let cooling = refused(cooling);
    assert_eq!((trips, cooling.code), (1, RefusalCode::Cooldown));
    let after_a_minute = Until::At(world.now + Duration::from_secs(60));
    assert_eq!(cooling.retry_at, Some(after_a_minute));

    world.advance(Duration::from_secs(60));
    let (call, trips) = world.ask_counted(SendRequest::again(&first.id, TO).by(Channel::Call));
    let call = sent(call);
    assert_eq!((trips, call.id == first.id, world.sent.len()), (3, true, 2));
    let right = CheckRequest::of(&first.id, code(&world), TO);
    let (approval, trips) = world.ask_counted(right.clone());
    let proof = approved(approval).proof;
    assert_eq!(trips, 2);
    assert_eq!(refused(world.ask(right)).code, RefusalCode::NotFound);

    let recovery = RedeemRequest::of(&proof, Person::at(TO).purpose(Purpose::Recovery));
    assert_eq!(refused(world.ask(recovery)).code, RefusalCode::NotFound);
    let redeem = RedeemRequest::of(&proof, TO);
    let redeemed = world.ask(redeem.clone());
    assert!(matches!(redeemed, RedeemAnswer::Redeemed(_)), "{redeemed:?}");
    assert_eq!(refused(world.ask(redeem)).code, RefusalCode::NotFound);
    support::answers_the_same_in_a_file(&world);
}

#[test]
fn a_phone_is_verified_with_an_own_code() {
    journey(Kinds::Own);
}

#[test]
fn a_phone_is_verified_with_a_managed_code() {
    journey(Kinds::Managed);
}
