//! What fails outside, and what the engine makes of it: the safe direction, always.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use verify_core::command::{CheckRequest, Expected, RedeemRequest, SendRequest, StatusRequest};
use verify_core::outcome::{CheckAnswer, Fault, Refusal, RefusalCode, SendAnswer, StatusAnswer};
use verify_core::port::{
    AssessRequest, Assessment, Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded,
    DispatchRequest, Dispatched, InquireRequest, Inquired, Provider, Rejection, RejectionKind, RiskLevel,
    RiskScorer, Unavailable,
};
use verify_core::record::DeliveryStatus;
use verify_core::store::StoreFault;
use verify_core::vocabulary::{Channel, ServiceId};
use verify_engine::Engine;
use verify_testkit::{ModelStore, store_around};

use crate::support::{Gate, HeldClock, Mood, Parts, TestProvider, number};

fn refusal(outcome: SendAnswer) -> Refusal {
    match outcome {
        SendAnswer::Refused(refusal) => refusal,
        SendAnswer::Sent(_) | SendAnswer::Repeated(_) => panic!("{outcome:?}"),
    }
}

async fn send(engine: &Engine, n: usize) -> SendAnswer {
    engine.send(SendRequest::to(number(n))).await.answer.unwrap()
}

#[tokio::test(start_paused = true)]
async fn i13_a_store_that_fails_or_hangs_refuses_and_nothing_is_sent() {
    for mood in [Mood::Down, Mood::Hangs] {
        let parts = Parts::new(Gate::open());
        let engine = parts
            .builder()
            .store_timeout(Duration::from_millis(500))
            .build()
            .unwrap();
        *parts.store.mood.lock() = mood.clone();
        assert_eq!(
            engine.send(SendRequest::to(number(1))).await.answer,
            Err(Fault::StoreUnavailable),
            "{mood:?}"
        );
        assert_eq!(
            engine.check(CheckRequest::to(number(1), "123456")).await.answer,
            Err(Fault::StoreUnavailable)
        );
        assert_eq!(parts.provider.sends(), 0);
        assert!(!engine.readiness().await.is_ready());
    }
}

/// Five for the answer, and what became of it is asked for a moment.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_answered_for_within_six_seconds() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    let proof = proof(&parts, &engine).await;
    *parts.store.mood.lock() = Mood::Hangs;
    let began = tokio::time::Instant::now();
    let redeemed = engine.redeem(RedeemRequest::of(proof, number(1)));
    assert_eq!(redeemed.await.answer, Err(Fault::StoreUnavailable));
    let asked_once = Duration::from_secs(5);
    let took = began.elapsed();
    assert!(asked_once < took && took <= Duration::from_secs(6), "{took:?}");
}

async fn proof(parts: &Parts, engine: &Engine) -> String {
    send(engine, 1).await;
    let right = CheckRequest::to(number(1), parts.provider.last_code());
    match engine.check(right).await.answer.unwrap() {
        CheckAnswer::Approved(approval) => approval.proof,
        other @ (CheckAnswer::Unclaimed(_) | CheckAnswer::WrongCode(_) | CheckAnswer::Refused(_)) => {
            panic!("{other:?}")
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_dropped_and_its_delivery_recorded_as_unknown() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    *parts.provider.hangs.lock() = true;
    let SendAnswer::Sent(verification) = send(&engine, 1).await else {
        panic!()
    };
    assert_eq!(parts.store.events().await, ["send.intended", "send.unknown"]);
    let request = StatusRequest::of(verification.id);
    let StatusAnswer::Found(found) = engine.status(request).await.answer.unwrap() else {
        panic!()
    };
    assert_eq!(found.deliveries, [(Channel::Sms, DeliveryStatus::Unknown)]);
}

#[tokio::test]
async fn i67_an_open_breaker_refuses_before_anything_is_charged_and_one_probe_closes_it() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    parts.provider.rejects(RejectionKind::Down, 10);
    for n in 0..10 {
        assert_eq!(
            refusal(send(&engine, n).await).code,
            RefusalCode::ProviderUnavailable
        );
    }
    let (asked, sends) = (parts.gate.count(), parts.provider.sends());
    assert_eq!(sends, 10);
    assert_eq!(
        refusal(send(&engine, 11).await).code,
        RefusalCode::ProviderUnavailable
    );
    assert_eq!(
        parts.gate.count(),
        asked,
        "neither the store nor the provider was asked"
    );
    assert!(engine.readiness().await.providers["fake"].breaker_open);

    parts.clock.advance(Duration::from_secs(30));
    assert!(matches!(send(&engine, 12).await, SendAnswer::Sent(_)));
    assert!(matches!(send(&engine, 13).await, SendAnswer::Sent(_)));
    assert_eq!(parts.provider.sends(), sends + 2);
}

#[tokio::test]
async fn while_a_probe_is_out_nobody_else_is_let_through() {
    let parts = Parts::new(Gate::closed());
    let engine = parts.engine();
    parts.gate.let_through(30);
    parts.provider.rejects(RejectionKind::Down, 10);
    for n in 0..10 {
        send(&engine, n).await;
    }
    parts.clock.advance(Duration::from_secs(30));
    // The intent passes; the probe is held.
    let before = parts.gate.count();
    parts.gate.let_through(1);
    let probe = tokio::spawn({
        let engine = engine.clone();
        async move { send(&engine, 20).await }
    });
    parts.gate.reached(before + 2).await;
    assert_eq!(
        refusal(send(&engine, 21).await).code,
        RefusalCode::ProviderUnavailable
    );
    assert_eq!(parts.gate.count(), before + 2);
    parts.gate.let_through(2);
    assert!(matches!(probe.await.unwrap(), SendAnswer::Sent(_)));
}

#[tokio::test]
async fn i67_a_breaker_that_is_open_leaves_the_next_provider() {
    let parts = Parts::new(Gate::open());
    let second = TestProvider::new("second", &parts.gate);
    let engine = parts.builder().provider(second.clone()).build().unwrap();
    parts.provider.rejects(RejectionKind::Down, 10);
    for n in 0..12 {
        assert!(matches!(send(&engine, n).await, SendAnswer::Sent(_)));
    }
    assert_eq!((parts.provider.sends(), second.sends()), (10, 12));
    assert!(
        engine.readiness().await.is_ready(),
        "one provider of two carries on"
    );
}

#[tokio::test]
async fn i141_refused_credentials_turn_readiness_red_and_open_no_breaker() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    assert!(engine.readiness().await.is_ready());
    parts.provider.rejects(RejectionKind::Credentials, 15);
    for n in 0..15 {
        refusal(send(&engine, n).await);
    }
    assert_eq!(parts.provider.sends(), 15, "it is tried again each time");
    let red = engine.readiness().await;
    assert!(red.providers["fake"].operator_fault && !red.providers["fake"].breaker_open);
    assert!(!red.is_ready());
    parts.clock.advance(Duration::from_secs(60));
    assert!(
        engine.readiness().await.is_ready(),
        "an instance without traffic is not kept out for good"
    );
    parts.provider.rejects(RejectionKind::Credentials, 1);
    refusal(send(&engine, 18).await);
    assert!(!engine.readiness().await.is_ready());
    assert!(matches!(send(&engine, 20).await, SendAnswer::Sent(_)));
    assert!(engine.readiness().await.is_ready());
}

/// Takes the dispatch, then panics.
struct Panics(Arc<TestProvider>);

#[async_trait]
impl Provider for Panics {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        self.0.dispatch(request).await;
        panic!("a defect of this provider")
    }
    async fn compare(&self, request: &CompareRequest) -> Compared {
        self.0.compare(request).await
    }
    async fn inquire(&self, request: &InquireRequest) -> Inquired {
        self.0.inquire(request).await
    }
    async fn conclude(&self, request: &ConcludeRequest) -> Concluded {
        self.0.conclude(request).await
    }
    async fn health(&self) -> Result<(), Rejection> {
        self.0.health().await
    }
}

#[tokio::test]
async fn a_provider_that_panics_costs_its_flow_and_no_other() {
    let parts = Parts::new(Gate::open());
    let engine = parts
        .builder()
        .provider(Panics(TestProvider::new("panics", &parts.gate)))
        .route(Channel::Call, None, ["panics"])
        .build()
        .unwrap();
    let call = SendRequest::to(number(1)).by(Channel::Call);
    assert_eq!(engine.send(call.clone()).await.answer, Err(Fault::Defect));
    let SendAnswer::Repeated(_) = engine.send(call).await.answer.unwrap() else {
        panic!("the record is the truth")
    };
    assert!(matches!(send(&engine, 2).await, SendAnswer::Sent(_)));
    engine.drain().await;
}

/// Panics at once, or in the middle of a call.
struct PanickingStore<S> {
    inner: S,
    waits: bool,
}

store_around! {
    PanickingStore,
    apply(this, _changeset, _within) {
        if this.waits {
            tokio::task::yield_now().await;
        }
        panic!("a defect of this store")
    }
}

#[tokio::test]
async fn i140_a_port_that_panics_is_a_defect_and_not_a_store_that_is_down() {
    for waits in [false, true] {
        let parts = Parts::new(Gate::open());
        let inner = ModelStore::new();
        let store = PanickingStore { inner, waits };
        let engine = parts.builder().store(store).build().unwrap();
        let outcome = engine.send(SendRequest::to(number(1))).await;
        assert_eq!(outcome.answer, Err(Fault::Defect), "waits: {waits}");
        let told = (outcome.explanation.command, outcome.explanation.service);
        assert_eq!(told, ("send", Some(ServiceId::default())));
        assert_eq!(parts.provider.sends(), 0);
        engine.drain().await;
    }
}

#[tokio::test]
async fn i140_a_store_says_what_is_wrong_and_its_own_words_come_along_masked() {
    let words = "shard 3 has no room for +12025550142, ask ann@example.com";
    for (said, fault) in [
        (StoreFault::unavailable(words), Fault::StoreUnavailable),
        (StoreFault::full(words), Fault::StoreFull),
        (StoreFault::corrupt(words), Fault::StoreCorrupt),
    ] {
        let parts = Parts::new(Gate::open());
        let engine = parts.engine();
        *parts.store.mood.lock() = Mood::Says(said.clone());
        let outcome = engine.send(SendRequest::to(number(1))).await;
        assert_eq!(outcome.answer, Err(fault));
        let explained = outcome.explanation.store.unwrap();
        assert_eq!(
            explained.message(),
            "shard 3 has no room for [number], ask [mailbox]"
        );
        assert_eq!(engine.readiness().await.store, Err(said));
    }
}

#[tokio::test]
async fn a_wrong_code_is_an_outcome_and_a_right_one_an_approval() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    let SendAnswer::Sent(verification) = send(&engine, 1).await else {
        panic!()
    };
    let code = parts.provider.last_code();
    let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    let said = engine
        .check(CheckRequest::of(&verification.id, wrong, Expected::Whoever))
        .await
        .answer
        .unwrap();
    assert!(matches!(said, CheckAnswer::WrongCode(_)), "{said:?}");
    parts.clock.advance(Duration::from_secs(60));
    let said = engine
        .check(CheckRequest::of(&verification.id, code, Expected::Whoever))
        .await
        .answer
        .unwrap();
    assert!(matches!(said, CheckAnswer::Unclaimed(_)), "{said:?}");
}

/// Finds nothing, and takes far too long by the engine's clock.
struct Late(Arc<HeldClock>);

#[async_trait]
impl RiskScorer for Late {
    async fn assess(&self, _request: &AssessRequest) -> Result<Assessment, Unavailable> {
        self.0.advance(Duration::from_secs(21));
        Ok(Assessment::of_level(RiskLevel::Low))
    }
}

#[tokio::test]
async fn what_is_too_late_is_not_begun() {
    let parts = Parts::new(Gate::open());
    let engine = parts
        .builder()
        .risk_scorer(Late(parts.clock.clone()))
        .build()
        .unwrap();
    let calls = parts.gate.count();
    assert_eq!(
        refusal(send(&engine, 1).await).code,
        RefusalCode::ProviderUnavailable
    );
    assert_eq!(parts.provider.sends(), 0);
    assert_eq!(
        parts.gate.count(),
        calls + 1,
        "the intent, and nothing after the deadline"
    );
    parts.clock.advance(Duration::from_secs(60));
    assert_eq!(
        engine.sweep_once().await.unwrap().changed,
        1,
        "a tick settles what was left open"
    );
}
