//! The first journey through the pure machine: send, mistype, wait, have it read out, be approved, spend the proof.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CheckRequest, Command, RedeemRequest, SendRequest};
use verify_core::outcome::{Answer, RefusalCode};
use verify_core::policy::PolicySet;
use verify_core::time::Until;
use verify_core::vocabulary::{Channel, Purpose, ServiceId};
use verify_lab::explore::{Kinds, World};

const TO: &str = "+12025550123";

fn sent(answer: Answer) -> verify_core::outcome::Verification {
    match answer {
        Answer::Sent(verification) => *verification,
        other => panic!("not sent: {other:?}"),
    }
}

fn refused(answer: Answer) -> verify_core::outcome::Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn journey(kinds: Kinds) {
    let mut world = World::new(PolicySet::default(), kinds);
    let (outcome, trips) = world.run(Command::Send(SendRequest::to(TO)));
    assert_eq!(trips, 2);
    let first = sent(outcome.answer);
    let (again, trips) = world.run(Command::Send(SendRequest::to(TO)));
    assert!(matches!(again.answer, Answer::Repeated(_)), "{again:?}");
    assert_eq!((trips, world.sent.len()), (1, 1));

    let (wrong, trips) = world.run(Command::Check(CheckRequest::of(&first.id, "000000")));
    let Answer::WrongCode(wrong) = wrong.answer else {
        panic!("{wrong:?}")
    };
    assert_eq!((trips, wrong.checks_left), (1, 4));
    let (cooling, trips) = world.run(Command::Check(CheckRequest::of(&first.id, "000000")));
    let cooling = refused(cooling.answer);
    assert_eq!((trips, cooling.code), (1, RefusalCode::Cooldown));
    assert_eq!(
        cooling.retry_at,
        Some(Until::At(world.now + Duration::from_secs(60)))
    );

    world.advance(Duration::from_secs(60));
    let (call, trips) = world.run(Command::Send(SendRequest::again(&first.id).by(Channel::Call)));
    let call = sent(call.answer);
    assert_eq!((trips, call.id == first.id, world.sent.len()), (3, true, 2));
    let code = world.code_for(TO).map(|code| code.expose().to_owned()).unwrap();
    let (approved, trips) = world.run(Command::Check(CheckRequest::of(&first.id, &code)));
    let Answer::Approved(approval) = approved.answer else {
        panic!("{approved:?}")
    };
    assert_eq!(trips, 2);
    let (used, _) = world.run(Command::Check(CheckRequest::of(&first.id, &code)));
    assert_eq!(refused(used.answer).code, RefusalCode::NotFound);

    let redeem = |purpose| {
        Command::Redeem(RedeemRequest {
            service: ServiceId::default(),
            proof: approval.proof.clone(),
            purpose,
            to: TO.into(),
            country: None,
            subject: None,
            amount: None,
            payee: None,
            idempotency_key: None,
        })
    };
    assert_eq!(
        refused(world.run(redeem(Purpose::Recovery)).0.answer).code,
        RefusalCode::NotFound
    );
    assert!(matches!(
        world.run(redeem(Purpose::SignIn)).0.answer,
        Answer::Redeemed(_)
    ));
    assert_eq!(
        refused(world.run(redeem(Purpose::SignIn)).0.answer).code,
        RefusalCode::NotFound
    );
}

#[test]
fn a_phone_is_verified_with_an_own_code() {
    journey(Kinds::Own);
}

#[test]
fn a_phone_is_verified_with_a_managed_code() {
    journey(Kinds::Managed);
}
