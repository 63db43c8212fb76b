//! Under private disclosure nobody waits for a provider, and nobody hears what it says (I-40).

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;
use verify_core::command::{CheckRequest, SendRequest, StatusRequest};
use verify_core::outcome::{CheckAnswer, RefusalCode, SendAnswer, StatusAnswer};
use verify_core::policy::Disclosure;
use verify_core::port::RejectionKind;
use verify_core::record::Status;
use verify_engine::{Engine, telemetry};

use crate::support::{Gate, Parts, number, policies};

const TO: &str = "+12025550123";

fn private(parts: &Parts) -> Engine {
    let policies = policies(|policy| policy.privacy.disclosure = Disclosure::Private);
    parts.builder().policy(policies).build().unwrap()
}

async fn sent(engine: &Engine, request: SendRequest) -> String {
    match engine.send(request).await.answer.unwrap() {
        SendAnswer::Sent(verification) => verification.id,
        SendAnswer::Repeated(_) | SendAnswer::Refused(_) => panic!("not sent"),
    }
}

#[tokio::test(start_paused = true)]
async fn i40_a_provider_that_hangs_keeps_nobody_waiting() {
    let parts = Parts::new(Gate::open());
    let engine = private(&parts);
    *parts.provider.hangs.lock() = true;
    let unknown = SendRequest::to("+12025550124").decoy(true);
    for request in [SendRequest::to(TO), unknown] {
        let began = Instant::now();
        sent(&engine, request).await;
        assert_eq!(
            began.elapsed(),
            Duration::ZERO,
            "not even until a call is given up"
        );
    }
}

#[tokio::test]
async fn i40_a_rejection_is_answered_as_sent_and_what_is_left_of_a_flow_is_waited_for_at_the_end() {
    for kind in RejectionKind::ALL {
        let parts = Parts::new(Gate::open());
        let engine = private(&parts);
        parts.provider.rejects(*kind, 1);
        let id = sent(&engine, SendRequest::to(TO)).await;
        engine.drain().await;
        assert_eq!(parts.provider.sends(), 1, "{kind:?}: asked after the answer");
        match engine.status(StatusRequest::of(&id)).await.answer.unwrap() {
            StatusAnswer::Found(seen) => {
                assert_eq!(
                    (seen.status, seen.fallback),
                    (Status::Pending, vec![]),
                    "{kind:?}"
                )
            }
            StatusAnswer::Refused(refusal) => panic!("{kind:?}: {refusal:?}"),
        }
    }
}

#[tokio::test]
async fn i40_the_message_follows_the_answer_and_its_code_is_right() {
    let parts = Parts::new(Gate::open());
    let engine = private(&parts);
    sent(&engine, SendRequest::to(TO)).await;
    engine.drain().await;
    let code = parts.provider.last_code();
    let answer = engine.check(CheckRequest::to(TO, code)).await.answer.unwrap();
    assert!(matches!(answer, CheckAnswer::Approved(_)), "{answer:?}");
}

/// What nobody waits for is bounded all the same: else one client could begin calls for as long as the provider is slow.
#[tokio::test(start_paused = true)]
async fn i40_while_too_many_messages_wait_a_send_is_overloaded_whoever_it_is_for() {
    let parts = Parts::new(Gate::open());
    let policies = policies(|policy| policy.privacy.disclosure = Disclosure::Private);
    let builder = parts.builder().calls_at_once(NonZeroU32::new(2).unwrap());
    let engine = builder.policy(policies).build().unwrap();
    *parts.provider.hangs.lock() = true;
    for n in 0..2 {
        sent(&engine, SendRequest::to(number(n))).await;
    }
    tokio::task::yield_now().await;
    let asked = parts.gate.count();
    for request in [SendRequest::to(number(2)), SendRequest::to(number(3)).decoy(true)] {
        let outcome = engine.send(request).await;
        let rule = outcome.explanation.rules.first().map(|hit| &*hit.rule);
        assert_eq!(rule, Some(telemetry::CALLS_AT_ONCE_RULE));
        let SendAnswer::Refused(refusal) = outcome.answer.unwrap() else {
            panic!("there is no room")
        };
        assert_eq!(refusal.code, RefusalCode::Overloaded);
        assert!(refusal.retry_in(engine.now()).is_some());
    }
    assert_eq!(parts.gate.count(), asked, "nothing was charged");

    // Both calls are given up in their time, and there is room again.
    engine.drain().await;
    sent(&engine, SendRequest::to(number(2))).await;
}

/// No send finds out whether a provider is back: whoever it is for, the next one would be refused, or not, because of it.
#[tokio::test]
async fn i40_whether_a_provider_is_back_is_asked_of_itself_and_not_by_a_send() {
    for decoy in [false, true] {
        let parts = Parts::new(Gate::open());
        let engine = private(&parts);
        parts.provider.rejects(RejectionKind::Down, 10);
        for n in 0..10 {
            sent(&engine, SendRequest::to(number(n))).await;
            engine.drain().await;
        }
        *parts.provider.ails.lock() = Some(RejectionKind::Down);
        for _ in 0..2 {
            parts.clock.advance(Duration::from_secs(30));
            for n in 10..12 {
                let answer = engine.send(SendRequest::to(number(n)).decoy(decoy)).await.answer;
                let SendAnswer::Refused(refusal) = answer.unwrap() else {
                    panic!("decoy: {decoy}: it rests")
                };
                assert_eq!(refusal.code, RefusalCode::ProviderUnavailable);
                let wait = refusal.retry_in(engine.now());
                assert_eq!(wait, Some(Duration::from_secs(30)), "decoy: {decoy}");
            }
        }
        assert_eq!(
            parts.provider.sends(),
            10,
            "decoy: {decoy}: nobody was asked to send"
        );
        *parts.provider.ails.lock() = None;
        parts.clock.advance(Duration::from_secs(30));
        sent(&engine, SendRequest::to(number(12)).decoy(decoy)).await;
        sent(&engine, SendRequest::to(number(13))).await;
        engine.drain().await;
    }
}
