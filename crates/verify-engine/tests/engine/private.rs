//! Under private disclosure nobody waits for a provider, and nobody hears what it says (I-40).

use std::time::Duration;

use tokio::time::timeout;
use verify_core::command::{CheckRequest, SendRequest, StatusRequest};
use verify_core::outcome::{CheckAnswer, RefusalCode, SendAnswer, StatusAnswer};
use verify_core::policy::Disclosure;
use verify_core::port::RejectionKind;
use verify_core::record::Status;
use verify_core::vocabulary::Dimension;
use verify_engine::Engine;

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

#[tokio::test]
async fn i40_a_provider_that_hangs_keeps_nobody_waiting() {
    let parts = Parts::new(Gate::open());
    let engine = private(&parts);
    *parts.provider.hangs.lock() = true;
    let unknown = SendRequest::to("+12025550124").decoy(true);
    for request in [SendRequest::to(TO), unknown] {
        timeout(Duration::from_secs(3_600), sent(&engine, request))
            .await
            .expect("it is answered though its provider is not");
    }
}

/// What a send to a new number is refused with, if it is.
async fn refused(engine: &Engine, n: usize, decoy: bool) -> Option<RefusalCode> {
    let send = SendRequest::to(number(n)).decoy(decoy);
    match engine.send(send).await.answer.unwrap() {
        SendAnswer::Refused(refusal) => Some(refusal.code),
        SendAnswer::Sent(_) | SendAnswer::Repeated(_) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn i40_what_hangs_after_its_answer_is_bounded_and_then_everybody_is_turned_away() {
    const MOST: usize = 2_048;
    let parts = Parts::new(Gate::open());
    let policies = policies(|policy| {
        policy.privacy.disclosure = Disclosure::Private;
        policy
            .limits
            .retain(|limit| *limit.by == [Dimension::Destination]);
    });
    let engine = parts.builder().policy(policies).build().unwrap();
    *parts.provider.hangs.lock() = true;
    for n in 0..MOST {
        assert_eq!(refused(&engine, n, false).await, None);
    }
    for decoy in [false, true] {
        assert_eq!(refused(&engine, MOST, decoy).await, Some(RefusalCode::Overloaded));
    }
    engine.drain().await;
    assert_eq!(parts.provider.sends(), MOST);
    assert_ne!(refused(&engine, MOST, false).await, Some(RefusalCode::Overloaded));
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
