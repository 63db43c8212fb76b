//! The flood shield, before anything is charged or read.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use verify_core::command::{CheckRequest, SendRequest};
use verify_core::outcome::{CheckAnswer, Refusal, RefusalCode, SendAnswer};
use verify_core::time::Until;
use verify_engine::{Engine, FloodShield, telemetry};

use crate::support::{Gate, Parts};

fn ip() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

/// What a guess of one client comes to, when it is refused.
async fn guessed(engine: &Engine, to: &str, guess: &str) -> Option<Refusal> {
    let outcome = engine.check(CheckRequest::to(to, guess).ip(ip())).await;
    match outcome.answer.unwrap() {
        CheckAnswer::Refused(refusal) => Some(refusal),
        CheckAnswer::Approved(_) | CheckAnswer::Unclaimed(_) | CheckAnswer::WrongCode(_) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_client_is_refused_without_a_call_and_told_when_to_come_back() {
    let parts = Parts::new(Gate::open());
    let engine = parts.builder().flood_shield(2).build().unwrap();
    for guess in ["111111", "222222"] {
        guessed(&engine, "+12025550101", guess).await;
    }
    let asked = parts.gate.count();
    let outcome = engine
        .check(CheckRequest::to("+12025550101", "333333").ip(ip()))
        .await;
    let Ok(CheckAnswer::Refused(refusal)) = outcome.answer else {
        panic!("{outcome:?}")
    };
    assert_eq!(refusal.code, RefusalCode::Overloaded);
    let Some(Until::At(at)) = refusal.retry_at else {
        panic!("{refusal:?}")
    };
    assert!(at > engine.now());
    assert_eq!(parts.gate.count(), asked);
    assert_eq!(
        outcome.explanation.rules.first().map(|hit| &*hit.rule),
        Some(telemetry::FLOOD_SHIELD_RULE)
    );

    let other = SendRequest::to("+12025550101").ip("192.0.2.2".parse().unwrap());
    let other = engine.send(other).await.answer.unwrap();
    assert!(matches!(other, SendAnswer::Sent(_)), "{other:?}");
    tokio::time::advance(at.since(engine.now()) + Duration::from_millis(1)).await;
    let again = guessed(&engine, "+12025550101", "333333").await;
    assert!(again.is_none_or(|refusal| refusal.code != RefusalCode::Overloaded));
}

/// Somebody else's id costs no trip and no charge, so that the shield is what such guesses are counted by.
#[tokio::test(start_paused = true)]
async fn a_check_of_somebody_elses_id_counts_for_the_shield() {
    let parts = Parts::new(Gate::open());
    let engine = parts.builder().flood_shield(3).build().unwrap();
    let theirs = SendRequest::to("+12025550101").ip(ip());
    let SendAnswer::Sent(theirs) = engine.send(theirs).await.answer.unwrap() else {
        panic!("sent")
    };
    let asked = parts.gate.count();
    let mut codes = Vec::new();
    for _ in 0..4 {
        let mine = CheckRequest::of(&theirs.id, "111111", "+12025550102").ip(ip());
        let CheckAnswer::Refused(refusal) = engine.check(mine).await.answer.unwrap() else {
            panic!("refused")
        };
        codes.push(refusal.code);
    }
    let (not_found, overloaded) = (RefusalCode::NotFound, RefusalCode::Overloaded);
    assert_eq!(codes, [not_found, not_found, overloaded, overloaded]);
    assert_eq!(parts.gate.count(), asked, "nothing was asked or charged");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_asks_before_it_parses_hears_the_same_refusal() {
    let parts = Parts::new(Gate::open());
    let engine = parts.builder().flood_shield(2).build().unwrap();
    let shield = FloodShield::per_second(NonZeroU32::new(2).unwrap());
    for _ in 0..2 {
        guessed(&engine, "+12025550101", "111111").await;
        assert_eq!(shield.refusal(ip(), engine.now()), None);
    }
    let turned_away = shield.refusal(ip(), engine.now());
    assert_eq!(
        turned_away.as_ref().map(|refusal| refusal.code),
        Some(RefusalCode::Overloaded)
    );
    assert_eq!(guessed(&engine, "+12025550101", "111111").await, turned_away);
}

#[tokio::test]
async fn without_a_shield_every_client_is_admitted() {
    let engine = Parts::new(Gate::open()).engine();
    for _ in 0..1_000 {
        let refusal = guessed(&engine, "no number", "111111").await;
        assert_eq!(
            refusal.map(|refusal| refusal.code),
            Some(RefusalCode::InvalidDestination)
        );
    }
}
