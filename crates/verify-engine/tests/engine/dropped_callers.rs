//! A flow that began runs to its end, wherever its caller goes away.

use std::task::Poll;

use verify_core::command::{CheckRequest, SendRequest, StatusRequest};
use verify_core::outcome::{CheckAnswer, SendAnswer, StatusAnswer, VerificationView};
use verify_core::port::RejectionKind;
use verify_core::record::{DeliveryStatus, Status};
use verify_core::vocabulary::Channel;
use verify_engine::Engine;

use crate::support::{Gate, Parts, TestProvider};

const TO: &str = "+12025550101";

/// Runs a verb until it has made `calls` calls outside, of which the last is held, then drops its future and lets
/// everything through.
async fn dropped_at<A>(parts: &Parts, engine: &Engine, running: impl Future<Output = A>, calls: usize) {
    let before = parts.gate.count();
    parts.gate.let_through(calls - 1);
    let mut running = Box::pin(running);
    tokio::select! {
        _ = running.as_mut() => panic!("it ended before call {calls}"),
        () = parts.gate.reached(before + calls) => {}
    }
    assert!(matches!(
        std::future::poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx))).await,
        Poll::Pending
    ));
    drop(running);
    parts.gate.let_through(1_000);
    engine.drain().await;
}

async fn sent(engine: &Engine) -> String {
    match engine.send(SendRequest::to(TO)).await.answer.unwrap() {
        SendAnswer::Sent(verification) | SendAnswer::Repeated(verification) => verification.id,
        SendAnswer::Refused(refusal) => panic!("{refusal:?}"),
    }
}

async fn found(engine: &Engine, id: String) -> Box<VerificationView> {
    match engine.status(StatusRequest::of(id)).await.answer.unwrap() {
        StatusAnswer::Found(found) => found,
        StatusAnswer::Refused(refusal) => panic!("{refusal:?}"),
    }
}

#[tokio::test]
async fn i58_a_send_goes_on_when_its_caller_goes_away_at_any_await() {
    // The intent, the dispatch, the settlement.
    for calls in 1..=3 {
        let parts = Parts::new(Gate::closed());
        let engine = parts.engine();
        dropped_at(&parts, &engine, engine.send(SendRequest::to(TO)), calls).await;
        assert_eq!(parts.provider.sends(), 1, "dropped at call {calls}");
        assert_eq!(
            parts.store.events().await,
            ["send.intended", "send.accepted"],
            "dropped at call {calls}"
        );
        let verification_id = sent(&engine).await;
        assert_eq!(parts.provider.sends(), 1, "the next send is a repeat");
        let found = found(&engine, verification_id).await;
        assert_eq!(found.deliveries, [(Channel::Sms, DeliveryStatus::Accepted)]);
    }
}

#[tokio::test]
async fn i58_a_check_goes_on_when_its_caller_goes_away_at_any_await() {
    // The count, the approval.
    for calls in 1..=2 {
        let parts = Parts::new(Gate::closed());
        let engine = parts.engine();
        parts.gate.let_through(3);
        let id = sent(&engine).await;
        let check = CheckRequest::of(&id, parts.provider.last_code(), TO);
        dropped_at(&parts, &engine, engine.check(check), calls).await;
        let found = found(&engine, id).await;
        assert_eq!(found.status, Status::Approved, "dropped at call {calls}");
    }
}

#[tokio::test]
async fn i58_a_failover_goes_on_too() {
    let parts = Parts::new(Gate::closed());
    let second = TestProvider::new("second", &parts.gate);
    let engine = parts.builder().provider(second.clone()).build().unwrap();
    parts.provider.rejects(RejectionKind::Down, 1);
    dropped_at(&parts, &engine, engine.send(SendRequest::to(TO)), 2).await;
    assert_eq!((parts.provider.sends(), second.sends()), (1, 1));
    assert_eq!(parts.store.events().await.last(), Some(&"send.accepted"));
}

#[tokio::test]
async fn i58_a_flow_that_need_not_wait_is_over_before_its_caller_can_go_away() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    let mut running = Box::pin(engine.send(SendRequest::to(TO)));
    let first = std::future::poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx))).await;
    assert!(matches!(first, Poll::Ready(outcome) if matches!(outcome.answer, Ok(SendAnswer::Sent(_)))));
    assert_eq!(parts.provider.sends(), 1);
    engine.drain().await;
}

#[tokio::test]
async fn a_future_that_was_never_polled_did_nothing() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    drop(engine.send(SendRequest::to(TO)));
    engine.drain().await;
    assert_eq!(parts.gate.count(), 0);
}

#[tokio::test]
async fn a_command_that_asks_nothing_outside_is_answered_at_once() {
    let parts = Parts::new(Gate::closed());
    let engine = parts.engine();
    let outcome = engine.send(SendRequest::to("not a number")).await;
    assert!(matches!(outcome.answer, Ok(SendAnswer::Refused(_))));
    let checked = engine
        .check(CheckRequest::to(TO, "no code"))
        .await
        .answer
        .unwrap();
    assert!(matches!(checked, CheckAnswer::Refused(_)));
    assert_eq!(parts.gate.count(), 0);
}
