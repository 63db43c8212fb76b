//! When another channel is offered: after a failure, after silence where silence means something, and else after the gap.
#![allow(missing_docs, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{Report, ReportRequest, StatusRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{RefusalCode, SendAnswer, StatusAnswer};
use verify_core::port::Detail;
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, ServiceId};
use verify_engine::Engine;
use verify_memstore::MemStore;
use verify_testkit::{ManualClock, ScriptedProvider, SeededEntropy};
use verify_tests::{policy, send};

/// An sms under way at a provider that reports deliveries, or does not.
struct UnderWay {
    engine: Engine,
    clock: ManualClock,
    provider: Arc<ScriptedProvider>,
    id: String,
}

impl UnderWay {
    async fn new(reports: bool, text: &str) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let provider = ScriptedProvider::own("own", Arc::new(clock.clone()));
        let provider = Arc::new(provider.with_capabilities(|can| can.reports = reports));
        let engine = Engine::builder()
            .keys(Keys::generate(&[7; 32]))
            .policy(policy(text))
            .store(MemStore::new())
            .provider(Arc::clone(&provider))
            .clock(clock.clone())
            .entropy(SeededEntropy::new(7))
            .without_client_ip()
            .build()
            .unwrap();
        let SendAnswer::Sent(sent) = engine.send(send()).await.answer.unwrap() else {
            panic!("the first one is sent")
        };
        let id = sent.id;
        Self {
            engine,
            clock,
            provider,
            id,
        }
    }

    async fn is_offered(&self) -> Vec<Channel> {
        match self.engine.status(StatusRequest::of(&self.id)).await.answer {
            Ok(StatusAnswer::Found(seen)) => seen.fallback,
            other => panic!("{other:?}"),
        }
    }

    /// The code of the refusal of a call, which nobody has sent yet; none when it goes out.
    async fn call(&self) -> Option<RefusalCode> {
        match self.engine.send(send().by(Channel::Call)).await.answer.unwrap() {
            SendAnswer::Refused(refusal) => Some(refusal.code),
            SendAnswer::Sent(_) | SendAnswer::Repeated(_) => None,
        }
    }

    async fn report(&self, report: Report) {
        let request = ReportRequest {
            service: ServiceId::default(),
            reference: self.provider.sent()[0].reference.clone(),
            dedupe: "once".into(),
            report,
        };
        assert!(self.engine.report(request).await.answer.unwrap().changed);
    }
}

const NEXT: [Channel; 2] = [Channel::Call, Channel::Email];

/// Nothing is offered a millisecond before that many seconds, and the next channel then.
async fn offered_from(reports: bool, text: &str, seconds: u64) {
    let way = UnderWay::new(reports, text).await;
    way.clock.advance(Duration::from_millis(seconds * 1_000 - 1));
    assert_eq!(way.is_offered().await, [], "reports: {reports}");
    assert_eq!(
        way.call().await,
        Some(RefusalCode::Cooldown),
        "reports: {reports}"
    );
    way.clock.advance(Duration::from_millis(1));
    assert_eq!(way.is_offered().await, NEXT, "reports: {reports}");
    assert_eq!(way.call().await, None, "reports: {reports}");
}

#[tokio::test]
async fn silence_offers_the_next_channel_where_deliveries_are_reported() {
    offered_from(true, "version = 1", 20).await;
}

#[tokio::test]
async fn where_nobody_reports_the_next_channel_is_offered_when_the_gap_is_over() {
    offered_from(false, "version = 1", 30).await;
}

#[tokio::test]
async fn where_nobody_reports_a_longer_silence_is_waited_for() {
    let way = UnderWay::new(false, "version = 1\n[channels]\nfallback_after = \"50s\"\n").await;
    way.clock.advance(Duration::from_millis(49_999));
    assert_eq!(way.is_offered().await, []);
    way.clock.advance(Duration::from_millis(1));
    assert_eq!(way.is_offered().await, NEXT);
}

#[tokio::test]
async fn a_reported_failure_offers_it_at_once_and_a_delivery_never() {
    let failed = UnderWay::new(true, "version = 1").await;
    failed.clock.advance(Duration::from_secs(1));
    failed.report(Report::Undelivered(Detail::default())).await;
    assert_eq!(failed.is_offered().await, NEXT);
    assert_eq!(failed.call().await, None);

    let arrived = UnderWay::new(true, "version = 1").await;
    arrived.report(Report::Delivered).await;
    for seconds in [20, 40] {
        arrived.clock.advance(Duration::from_secs(seconds));
        assert_eq!(arrived.is_offered().await, []);
    }
}
