//! Under private disclosure nobody waits for a provider, and nobody hears what it says (I-40).

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, advance};
use verify_core::command::{CheckRequest, SendRequest, StatusRequest};
use verify_core::outcome::{CheckAnswer, Fault, RefusalCode, SendAnswer, StatusAnswer};
use verify_core::policy::Disclosure;
use verify_core::port::RejectionKind;
use verify_core::record::Status;
use verify_engine::{Engine, telemetry};

use crate::support::{Gate, Parts, TestProvider, number, policies};

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

/// Parts whose provider stops in its health check, and an engine of theirs that has met ten of its failures.
async fn met_by_failures(health: &Arc<Gate>) -> (Parts, Engine) {
    let mut parts = Parts::new(Gate::open());
    parts.provider = TestProvider::whose_health("fake", &parts.gate, health);
    let engine = private(&parts);
    fails(&parts.provider, &engine, 0..10).await;
    (parts, engine)
}

/// So many sends of which this provider carries none.
async fn fails(provider: &TestProvider, engine: &Engine, numbers: std::ops::Range<usize>) {
    provider.rejects(RejectionKind::Down, numbers.len());
    for n in numbers {
        sent(engine, SendRequest::to(number(n))).await;
        engine.drain().await;
    }
}

/// Else whoever goes away at the right moment, again and again, keeps a provider out of service that is well.
#[tokio::test]
async fn i40_whether_a_provider_is_back_is_learned_though_whoever_sent_goes_away() {
    let health = Gate::closed();
    let (parts, engine) = met_by_failures(&health).await;
    parts.clock.advance(Duration::from_secs(30));
    tokio::select! {
        _ = engine.send(SendRequest::to(number(10))) => panic!("nobody has said how the provider is"),
        () = health.reached(1) => {}
    }
    health.let_through(1);
    tokio::task::yield_now().await;
    sent(&engine, SendRequest::to(number(11))).await;
    engine.drain().await;
    assert_eq!(parts.provider.sends(), 11);
}

/// Of whom it waits for: a provider that answers nothing keeps a send waiting as long as want of room does.
#[tokio::test(start_paused = true)]
async fn i40_a_health_check_that_hangs_keeps_a_send_waiting_for_a_second() {
    let health = Gate::closed();
    let (parts, engine) = met_by_failures(&health).await;
    parts.clock.advance(Duration::from_secs(30));
    let began = Instant::now();
    let answer = engine.send(SendRequest::to(number(10))).await.answer;
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
    let SendAnswer::Refused(refusal) = answer.unwrap() else {
        panic!("nobody has said how the provider is")
    };
    assert_eq!(refusal.code, RefusalCode::ProviderUnavailable);
    health.let_through(1);
    tokio::task::yield_now().await;
    sent(&engine, SendRequest::to(number(11))).await;
    engine.drain().await;
}

/// A breaker whose rest ends while another provider's health is asked is not probed by a send either.
#[tokio::test]
async fn i40_no_send_is_a_probe_however_long_another_provider_takes_to_say_how_it_is() {
    let health = Gate::closed();
    let mut parts = Parts::new(Gate::open());
    parts.provider = TestProvider::whose_health("first", &parts.gate, &health);
    let second = TestProvider::new("another", &parts.gate);
    let policies = policies(|policy| policy.privacy.disclosure = Disclosure::Private);
    let builder = parts.builder().provider(second.clone()).policy(policies);
    let engine = builder.build().unwrap();
    fails(&parts.provider, &engine, 0..10).await;
    parts.clock.advance(Duration::from_secs(5));
    fails(&second, &engine, 10..20).await;
    assert_eq!((parts.provider.sends(), second.sends()), (10, 20));

    parts.clock.advance(Duration::from_secs(25));
    *parts.provider.ails.lock() = Some(RejectionKind::Down);
    let sending = engine.clone();
    let sending = tokio::spawn(async move { sending.send(SendRequest::to(number(20))).await.answer });
    health.reached(1).await;
    parts.clock.advance(Duration::from_secs(5));
    health.let_through(1);
    let SendAnswer::Refused(refusal) = sending.await.unwrap().unwrap() else {
        panic!("the second has not said how it is")
    };
    assert_eq!(refusal.code, RefusalCode::ProviderUnavailable);
    assert!(refusal.retry_in(engine.now()).is_some());
    sent(&engine, SendRequest::to(number(21))).await;
    engine.drain().await;
    assert_eq!((parts.provider.sends(), second.sends()), (10, 21));
}

#[test]
fn i40_outside_a_runtime_a_send_is_a_fault_and_no_panic() {
    let parts = Parts::new(Gate::open());
    let engine = private(&parts);
    let mut sending = pin!(engine.send(SendRequest::to(TO)));
    let polled = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(outcome) = polled else {
        panic!("there is nobody to wait with")
    };
    assert_eq!(outcome.answer, Err(Fault::Defect));
}

/// What follows the answer goes on from the time of the answer, though the clock was set back.
#[tokio::test(start_paused = true)]
async fn i44_what_follows_an_answer_is_not_before_it() {
    for disclosure in [Disclosure::Open, Disclosure::Private] {
        let parts = Parts::new(Gate::closed());
        let policies = policies(|policy| policy.privacy.disclosure = disclosure);
        let ttl = policies.default.code.ttl;
        let engine = parts.builder().policy(policies).build().unwrap();
        let sending = engine.clone();
        let sending = tokio::spawn(async move { sent(&sending, SendRequest::to(TO)).await });
        parts.gate.reached(1).await;
        parts.clock.set_back(Duration::from_secs(3_600));
        advance(Duration::from_secs(1)).await;
        parts.gate.let_through(3);
        sending.await.unwrap();
        engine.drain().await;
        let asked = parts.provider.sent.lock()[0].code_ttl;
        assert_eq!(asked, ttl - Duration::from_secs(1), "{disclosure:?}");
    }
}
