//! When another channel is offered: after a failure, after silence where silence means something, and else after the gap.
#![allow(missing_docs, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{Report, ReportRequest, SendRequest, StatusRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{Next, RefusalCode, SendAnswer, StatusAnswer};
use verify_core::port::{Clock, Detail};
use verify_core::time::Timestamp;
use verify_core::vocabulary::Channel;
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
        // Where the answer comes first, the message follows it.
        engine.drain().await;
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

    /// What is told of other channels.
    async fn next(&self) -> Vec<Next> {
        match self.engine.status(StatusRequest::of(&self.id)).await.answer {
            Ok(StatusAnswer::Found(seen)) => seen.next,
            Ok(StatusAnswer::Refused(_)) => Vec::new(),
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
        let request = ReportRequest::of(&self.provider.sent()[0].reference, report, "once");
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

/// Of a decoy nobody reports anything, so that where somebody may be hidden all messages are silent.
#[tokio::test]
async fn i40_the_next_channel_is_offered_at_one_time_whoever_reports_what() {
    let text = "version = 1\n[privacy]\ndisclosure = \"private\"\n";
    for reports in [true, false] {
        offered_from(reports, text, 20).await;
        for report in [Report::Delivered, Report::Undelivered(Detail::default())] {
            let way = UnderWay::new(reports, text).await;
            way.report(report).await;
            way.clock.advance(Duration::from_millis(19_999));
            assert_eq!(way.is_offered().await, []);
            way.clock.advance(Duration::from_millis(1));
            assert_eq!(way.is_offered().await, NEXT);
        }
    }
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

/// What another channel is told to be admitted from, drawn from an answer alone, is what a send meets: at that instant it
/// goes out, a millisecond earlier it does not.
#[tokio::test]
async fn call_me_instead_is_drawn_from_the_answer_and_true() {
    let limit = |name: &str, what: &str| format!("version = 1\n[[limit]]\nname = \"{name}\"\n{what}\n");
    let policies = [
        "version = 1\n".to_owned(),
        limit("resend_gap", "per = \"5s\""),
        limit("resend_gap", "max = \"unlimited\""),
        limit(
            "sends_per_subject",
            "by = [\"destination\"]\nmax = 1\nper = \"2m\"",
        ),
        limit("sends_per_destination", "max = 1"),
        "version = 1\n[channels]\nfallback_after = \"45s\"\n".to_owned(),
        "version = 1\n[privacy]\ndisclosure = \"private\"\n".to_owned(),
    ];
    let undelivered = || Report::Undelivered(Detail::default());
    let mut seen = Vec::new();
    for text in &policies {
        for reports in [true, false] {
            for report in [None, Some(Report::Delivered), Some(undelivered())] {
                let at = |early: u64| {
                    let report = report.clone();
                    async move {
                        let it = UnderWay::new(reports, text).await;
                        if let Some(report) = report {
                            it.report(report).await;
                        }
                        let next = it.next().await;
                        let call = next.iter().find(|next| next.channel == Channel::Call).copied();
                        let now = it.clock.now();
                        let wait = call.map_or(Duration::ZERO, |call| call.from.since(now));
                        let early = Duration::from_millis(early);
                        it.clock.advance(wait.saturating_sub(early));
                        (call, wait, early <= wait, it.call().await)
                    }
                };
                let case = format!("{text} {reports} {report:?}");
                let (call, wait, _, came) = at(0).await;
                let Some(call) = call else {
                    // One message in the whole life of the code: there is nothing to draw.
                    assert!(text.contains("sends_per_destination"), "{case}");
                    continue;
                };
                assert!(!call.needs_destination);
                assert_eq!(came, None, "{case}: admitted after {wait:?}");
                let (_, _, is_early, came) = at(1).await;
                assert!(!is_early || came.is_some(), "{case}: refused a moment before");
                seen.push(wait.as_secs());
            }
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(
        seen,
        [0, 5, 20, 30, 120],
        "at once, after the gap, after silence, after a limit"
    );
}

#[tokio::test]
async fn a_channel_that_needs_another_destination_says_so() {
    let it = UnderWay::new(true, "version = 1\n").await;
    let next = it.next().await;
    let mail = next.iter().find(|next| next.channel == Channel::Email).unwrap();
    assert!(mail.needs_destination);
    it.clock.advance(mail.from.since(it.clock.now()));
    let refused = it.engine.send(send().by(Channel::Email)).await.answer.unwrap();
    assert!(matches!(refused, SendAnswer::Refused(_)), "not to the number");
    let elsewhere = it
        .engine
        .send(SendRequest::to("ann@example.org"))
        .await
        .answer
        .unwrap();
    assert!(matches!(elsewhere, SendAnswer::Sent(_)));
    // What is over has nothing next.
    it.clock.advance(Duration::from_secs(3_600));
    assert_eq!(it.next().await, []);
}
