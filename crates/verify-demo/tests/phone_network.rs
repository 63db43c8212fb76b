//! The simulated network: inboxes, reports, and the destinations of the demo mode.

use std::sync::Arc;
use std::time::Duration;

use verify_core::command::Report;
use verify_core::port::{
    Clock, DispatchRequest, Dispatched, Inquired, Provider, RejectionKind, RiskLevel, RiskScorer,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Payment};
use verify_demo::{Behaviour, Fate, PhoneNetwork, SimulatedProvider, SimulatedRiskScorer};
use verify_testkit::ManualClock;
use verify_testkit::requests::{assess, dispatch, inquire};

const ANYBODY: &str = "+12025550199";

struct Demo {
    clock: ManualClock,
    network: Arc<PhoneNetwork>,
    provider: SimulatedProvider,
}

impl Demo {
    fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let network = Arc::new(PhoneNetwork::with_demo_destinations(Arc::new(clock.clone())));
        Self {
            clock,
            provider: SimulatedProvider::new("simulated", Arc::clone(&network)),
            network,
        }
    }

    async fn send(&self, to: &str, channel: Channel, number: u8) -> Dispatched {
        self.provider
            .dispatch(&DispatchRequest {
                channel,
                ..dispatch(to, number)
            })
            .await
    }

    /// The reports that come within the next seconds.
    fn reports_after(&self, seconds: u64) -> Vec<Report> {
        self.clock.advance(Duration::from_secs(seconds));
        self.network
            .advance(self.clock.now())
            .into_iter()
            .map(|request| request.report)
            .collect()
    }

    fn received(&self, to: &str) -> usize {
        self.network.inbox(to).len()
    }
}

#[tokio::test]
async fn a_message_arrives_after_a_second_and_is_reported_once() {
    let demo = Demo::new();
    assert!(matches!(
        demo.send(ANYBODY, Channel::Sms, 1).await,
        Dispatched::Accepted { upstream: Some(_) }
    ));
    demo.clock.advance(Duration::from_millis(999));
    assert_eq!(
        (
            demo.received(ANYBODY),
            demo.network.advance(demo.clock.now()).len()
        ),
        (0, 0)
    );
    let due = demo.network.next_report().unwrap();
    demo.clock.set(due);
    let [message] = demo.network.inbox(ANYBODY).try_into().unwrap();
    assert_eq!(
        (message.code.as_str(), message.at, message.channel),
        ("123456", due, Channel::Sms)
    );
    assert!(message.body.contains("123456"));
    let [report] = demo.network.advance(due).try_into().ok().unwrap();
    assert_eq!(
        (report.reference.as_str(), report.report),
        ("reference-1", Report::Delivered)
    );
    assert!(
        demo.network.advance(Timestamp::MAX).is_empty(),
        "each report comes once"
    );
}

#[tokio::test]
async fn inboxes_are_apart_and_newest_first() {
    let demo = Demo::new();
    for (number, to) in [(1, ANYBODY), (2, "ann@example.com"), (3, ANYBODY)] {
        demo.send(to, if number == 3 { Channel::Call } else { Channel::Sms }, number)
            .await;
        demo.clock.advance(Duration::from_secs(1));
    }
    let channels: Vec<Channel> = demo
        .network
        .inbox(ANYBODY)
        .iter()
        .map(|message| message.channel)
        .collect();
    assert_eq!(channels, [Channel::Call, Channel::Sms]);
    assert_eq!(demo.received("ann@example.com"), 1);
}

#[tokio::test]
async fn reports_come_in_the_order_of_their_time_and_tell_each_other_apart() {
    let demo = Demo::new();
    demo.send("+12025550110", Channel::Sms, 1).await;
    demo.send(ANYBODY, Channel::Sms, 2).await;
    demo.send(ANYBODY, Channel::Sms, 3).await;
    let reports = demo.network.advance(demo.clock.now() + Duration::from_secs(5));
    let references: Vec<&str> = reports.iter().map(|report| report.reference.as_str()).collect();
    assert_eq!(references, ["reference-2", "reference-3", "reference-1"]);
    assert!(reports[0].dedupe != reports[1].dedupe && reports[1].dedupe != reports[2].dedupe);
}

#[tokio::test]
async fn an_sms_that_is_not_delivered_is_reported_after_two_seconds_and_the_call_arrives() {
    let demo = Demo::new();
    let to = "+12025550110";
    demo.send(to, Channel::Sms, 1).await;
    assert!(demo.reports_after(1).is_empty());
    let reports = demo.reports_after(1);
    let [Report::Undelivered(detail)] = reports.as_slice() else {
        panic!("not undelivered")
    };
    assert_eq!((detail.code, demo.received(to)), (Some(30_003), 0));
    demo.send(to, Channel::Call, 2).await;
    assert_eq!(
        (demo.reports_after(1), demo.received(to)),
        (vec![Report::Delivered], 1)
    );
}

#[tokio::test]
async fn refusals_are_sure_and_leave_other_channels_alone() {
    for (to, kind, code, elsewhere) in [
        (
            "+12025550111",
            RejectionKind::ChannelUnreachable,
            Some(60_205),
            true,
        ),
        ("+12025550114", RejectionKind::Down, None, false),
        ("+12025550115", RejectionKind::OptedOut, Some(21_610), true),
        ("+12025560118", RejectionKind::PrefixBlocked, Some(60_410), true),
    ] {
        let demo = Demo::new();
        let Dispatched::Rejected(rejection) = demo.send(to, Channel::Sms, 1).await else {
            panic!("it was taken")
        };
        assert_eq!((rejection.kind, rejection.detail.code), (kind, code));
        assert_eq!((demo.reports_after(9), demo.received(to)), (vec![], 0));
        assert_eq!(demo.provider.inquire(&inquire(to, 1)).await, Inquired::NotSent);
        let call = demo.send(to, Channel::Call, 2).await;
        assert_eq!(matches!(call, Dispatched::Accepted { .. }), elsewhere, "{call:?}");
    }
}

#[tokio::test]
async fn an_sms_may_arrive_and_never_be_reported() {
    let demo = Demo::new();
    demo.send("+12025550112", Channel::Sms, 1).await;
    assert_eq!(
        (demo.reports_after(3_600), demo.received("+12025550112")),
        (vec![], 1)
    );
}

#[tokio::test]
async fn a_lost_answer_was_sent_all_the_same() {
    let demo = Demo::new();
    let to = "+12025550113";
    assert!(matches!(
        demo.send(to, Channel::Sms, 1).await,
        Dispatched::Unknown(_)
    ));
    assert!(matches!(
        demo.provider.inquire(&inquire(to, 1)).await,
        Inquired::Sent { .. }
    ));
    assert_eq!(
        (demo.reports_after(1), demo.received(to)),
        (vec![Report::Delivered], 1)
    );
}

#[tokio::test]
async fn risk_is_that_of_the_destination() {
    let scorer = SimulatedRiskScorer::new(Demo::new().network);
    for (to, level) in [
        ("+12025550116", RiskLevel::High),
        ("+12025550117", RiskLevel::Medium),
        (ANYBODY, RiskLevel::Low),
    ] {
        assert_eq!(scorer.assess(&assess(to)).await.unwrap().level, Some(level));
    }
}

#[tokio::test]
async fn who_pays_reads_what_for_and_a_call_spells_the_code() {
    let demo = Demo::new();
    let paying = DispatchRequest {
        channel: Channel::Call,
        payment: Some(Payment {
            amount: "EUR 49.00".to_owned(),
            payee: "Books & Co".to_owned(),
        }),
        ..dispatch(ANYBODY, 1)
    };
    demo.provider.dispatch(&paying).await;
    demo.clock.advance(Duration::from_secs(1));
    let [message] = demo.network.inbox(ANYBODY).try_into().unwrap();
    assert!(
        message.body.contains("EUR 49.00 to Books & Co is 1 2 3 4 5 6"),
        "{}",
        message.body
    );
}

#[tokio::test]
async fn i57_inboxes_and_memory_of_deliveries_are_bounded_and_a_forgotten_one_is_unknown() {
    let demo = Demo::new();
    demo.network
        .set_behaviour(ANYBODY, Behaviour::always(Fate::ArrivesUnreported));
    demo.send(ANYBODY, Channel::Sms, 1).await;
    for _ in 0..10_000 {
        demo.send(ANYBODY, Channel::Sms, 2).await;
    }
    demo.clock.advance(Duration::from_secs(1));
    assert_eq!(demo.received(ANYBODY), 1_000);
    assert_eq!(
        demo.provider.inquire(&inquire(ANYBODY, 1)).await,
        Inquired::Unknown
    );
    assert!(matches!(
        demo.provider.inquire(&inquire(ANYBODY, 2)).await,
        Inquired::Sent { .. }
    ));
}

#[tokio::test]
async fn i20_a_message_shows_nothing_personal() {
    let demo = Demo::new();
    demo.send(ANYBODY, Channel::Sms, 1).await;
    demo.clock.advance(Duration::from_secs(1));
    let shown = format!(
        "{:?} {:?} {:?}",
        demo.network.inbox(ANYBODY),
        demo.network,
        demo.provider
    );
    assert!(
        !shown.contains("123456") && !shown.contains("2025550199"),
        "{shown}"
    );
}
