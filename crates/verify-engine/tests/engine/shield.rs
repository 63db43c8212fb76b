//! The flood shield, before anything is charged or read.

use std::net::IpAddr;
use std::time::Duration;

use verify_core::command::{CheckRequest, SendRequest};
use verify_core::outcome::RefusalCode;
use verify_core::time::Until;
use verify_engine::{CheckOutcome, SendOutcome};

use crate::support::{Gate, Parts};

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_client_is_refused_without_a_call_and_told_when_to_come_back() {
    let parts = Parts::new(Gate::open());
    let engine = parts.builder().flood_shield(2).build().unwrap();
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    for guess in ["111111", "222222"] {
        engine
            .check(CheckRequest::to("+12025550101", guess).ip(ip))
            .await
            .unwrap();
    }
    let asked = parts.gate.count();
    let said = engine
        .check(CheckRequest::to("+12025550101", "333333").ip(ip))
        .await
        .unwrap();
    let CheckOutcome::Refused(refusal) = said else {
        panic!("{said:?}")
    };
    assert_eq!(refusal.code, RefusalCode::RateLimited);
    let Some(Until::At(at)) = refusal.retry_at else {
        panic!("{refusal:?}")
    };
    assert!(at > engine.now());
    assert_eq!(parts.gate.count(), asked);
    assert!(!engine.admits(ip), "a host that asks beforehand hears the same");

    let other = engine
        .send(SendRequest::to("+12025550101").ip("192.0.2.2".parse().unwrap()))
        .await
        .unwrap();
    assert!(matches!(other, SendOutcome::Sent(_)), "{other:?}");
    tokio::time::advance(at.since(engine.now()) + Duration::from_millis(1)).await;
    assert!(engine.admits(ip));
}

#[tokio::test]
async fn without_a_shield_every_client_is_admitted() {
    let engine = Parts::new(Gate::open()).engine();
    assert!((0..1_000).all(|_| engine.admits("192.0.2.1".parse().unwrap())));
}
