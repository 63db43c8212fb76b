//! Repair, events, follow-ups.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::command::{Report, ReportRequest, SendRequest};
use verify_core::event::Event;
use verify_core::outcome::{ReportAnswer, SendAnswer};
use verify_core::port::{Detail, EventSink};
use verify_core::store::StoreFault;
use verify_core::vocabulary::{Channel, ServiceId};
use verify_engine::{Pumped, Swept};

use crate::support::{Gate, Mood, Parts, swept, taken};

const TO: &str = "+12025550101";

#[derive(Default)]
struct Sink {
    declines: AtomicBool,
    taken: Mutex<Vec<&'static str>>,
}

#[async_trait]
impl EventSink for Sink {
    async fn take(&self, events: &[Event]) -> bool {
        if self.declines.load(Ordering::Relaxed) {
            return false;
        }
        self.taken
            .lock()
            .extend(events.iter().map(|event| event.kind.as_str()));
        true
    }
}

#[tokio::test]
async fn a_sweep_writes_down_what_expired_and_the_next_finds_nothing() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    engine.send(SendRequest::to(TO)).await.answer.unwrap();
    assert_eq!(
        engine.sweep_once().await,
        Ok(Swept::default()),
        "nothing is due yet"
    );
    parts.clock.advance(Duration::from_secs(611));
    assert_eq!(engine.sweep_once().await, swept(1, 1));
    assert_eq!(parts.store.events().await.last(), Some(&"verification.expired"));
    assert_eq!(engine.sweep_once().await, Ok(Swept::default()));
    *parts.store.mood.lock() = Mood::Down;
    assert_eq!(engine.sweep_once().await, Err(StoreFault::unavailable("")));
}

#[tokio::test]
async fn a_sweep_looks_at_more_records_than_fit_into_one_trip() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    for n in 0..300 {
        engine
            .send(SendRequest::to(crate::support::number(n)))
            .await
            .answer
            .unwrap();
    }
    parts.clock.advance(Duration::from_secs(611));
    assert_eq!(engine.sweep_once().await, swept(300, 300));
}

#[tokio::test]
async fn records_that_nobody_can_settle_are_put_off_and_hold_up_no_other() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    parts.store.spoil(300, engine.now()).await;
    engine.send(SendRequest::to(TO)).await.answer.unwrap();
    parts.clock.advance(Duration::from_secs(611));
    let round = engine.sweep_once().await;
    assert_eq!(round, swept(301, 1));
    assert_eq!(parts.store.events().await.last(), Some(&"verification.expired"));

    let unsettled = swept(300, 0);
    assert_eq!(engine.sweep_once().await, Ok(Swept::default()), "put off");
    for longer in [30, 60, 120] {
        parts.clock.advance(Duration::from_secs(longer - 1));
        assert_eq!(engine.sweep_once().await, Ok(Swept::default()), "{longer}");
        parts.clock.advance(Duration::from_secs(1));
        assert_eq!(engine.sweep_once().await, unsettled, "{longer}");
    }
}

#[tokio::test]
async fn events_are_handed_over_in_order_and_acknowledged_only_when_taken() {
    let parts = Parts::new(Gate::open());
    let sink = Arc::new(Sink::default());
    let engine = parts.builder().event_sink(sink.clone()).build().unwrap();
    assert_eq!(engine.pump_once().await, taken(0));
    engine.send(SendRequest::to(TO)).await.answer.unwrap();
    sink.declines.store(true, Ordering::Relaxed);
    assert_eq!(
        engine.pump_once().await,
        Ok(Pumped {
            taken: 0,
            declined: 1
        })
    );
    assert_eq!(parts.store.events().await.len(), 2, "they are kept");
    sink.declines.store(false, Ordering::Relaxed);
    assert_eq!(engine.pump_once().await, taken(2));
    assert_eq!(*sink.taken.lock(), ["send.intended", "send.accepted"]);
    assert_eq!(engine.pump_once().await, taken(0));
}

/// Has a bug, and meets it before it makes a future.
struct PanicsAtOnce;

impl EventSink for PanicsAtOnce {
    fn take<'s, 'e, 'f>(&'s self, _events: &'e [Event]) -> Pin<Box<dyn Future<Output = bool> + Send + 'f>>
    where
        's: 'f,
        'e: 'f,
    {
        panic!("a bug")
    }
}

#[tokio::test]
async fn a_sink_that_panics_before_its_first_await_has_taken_nothing_and_the_round_goes_on() {
    let parts = Parts::new(Gate::open());
    let engine = parts.builder().event_sink(PanicsAtOnce).build().unwrap();
    for service in ["one", "another"] {
        let service = ServiceId::new(service).unwrap();
        let send = SendRequest::to(TO).service(service);
        engine.send(send).await.answer.unwrap();
    }
    let declined = Pumped {
        taken: 0,
        declined: 2,
    };
    for _ in 0..2 {
        assert_eq!(engine.pump_once().await, Ok(declined), "they are kept");
    }
}

#[tokio::test(start_paused = true)]
async fn the_background_sweeps_pumps_and_hands_over_the_rest_when_it_is_shut_down() {
    let parts = Parts::new(Gate::open());
    let sink = Arc::new(Sink::default());
    let engine = parts.builder().event_sink(sink.clone()).build().unwrap();
    let background = engine.spawn_background();
    engine.send(SendRequest::to(TO)).await.answer.unwrap();
    parts.clock.advance(Duration::from_secs(611));
    // Virtual time: the runtime skips to the next timer, nobody waits.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        *sink.taken.lock(),
        ["send.intended", "send.accepted", "verification.expired"]
    );
    engine.send(SendRequest::to("+12025550102")).await.answer.unwrap();
    background.shutdown().await;
    assert_eq!(sink.taken.lock().len(), 5);
    assert!(parts.store.events().await.is_empty());
}

#[tokio::test]
async fn a_fallback_that_was_agreed_to_follows_a_reported_failure_by_itself() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    let request = SendRequest::to(TO).consent(true);
    assert!(matches!(
        engine.send(request).await.answer.unwrap(),
        SendAnswer::Sent(_)
    ));
    let failed = Report::Undelivered(Detail::new(Some(30_003), "unreachable"));
    let report = ReportRequest::of(parts.provider.last_reference(), failed, "report-1");
    let said = engine.report(report.clone()).await.answer.unwrap();
    assert_eq!(said, ReportAnswer { changed: true });
    engine.drain().await;
    let channels: Vec<_> = parts
        .provider
        .sent
        .lock()
        .iter()
        .map(|request| request.channel)
        .collect();
    assert_eq!(channels, [Channel::Sms, Channel::Call]);

    assert_eq!(
        engine.report(report).await.answer.unwrap(),
        ReportAnswer { changed: false }
    );
    engine.drain().await;
    assert_eq!(
        parts.provider.sends(),
        2,
        "a second report of the same changes nothing"
    );
}
