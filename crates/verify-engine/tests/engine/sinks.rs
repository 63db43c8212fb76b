//! Engines with an event sink and engines without one, on one store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use verify_core::command::{Person, SendRequest};
use verify_core::event::Event;
use verify_core::port::EventSink;
use verify_core::store::Store;
use verify_core::vocabulary::ServiceId;
use verify_engine::Engine;

use crate::support::{Gate, Parts, number, taken};

const DAY: Duration = Duration::from_secs(86_400);

/// Counts what it takes.
#[derive(Default)]
struct Counts(AtomicUsize);

#[async_trait]
impl EventSink for Counts {
    async fn take(&self, events: &[Event]) -> bool {
        self.0.fetch_add(events.len(), Ordering::Relaxed);
        true
    }
}

struct Shared {
    parts: Parts,
    sink: Arc<Counts>,
}

impl Shared {
    fn new() -> Self {
        Self {
            parts: Parts::new(Gate::open()),
            sink: Arc::default(),
        }
    }

    fn engine(&self, with_sink: bool) -> Engine {
        let builder = self.parts.builder();
        let builder = match with_sink {
            true => builder.event_sink(Arc::clone(&self.sink)),
            false => builder,
        };
        builder.build().unwrap()
    }

    /// Two events.
    async fn happens(&self, engine: &Engine, n: usize) {
        engine
            .send(SendRequest::to(Person::at(number(n))))
            .await
            .answer
            .unwrap();
    }

    async fn waiting(&self) -> usize {
        self.parts
            .store
            .outbox(&ServiceId::default(), 100)
            .await
            .unwrap()
            .len()
    }

    fn took(&self) -> usize {
        self.sink.0.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn an_engine_without_a_sink_leaves_events_to_one_that_has_one_and_is_away() {
    let shared = Shared::new();
    let with = shared.engine(true);
    assert_eq!(with.pump_once().await, taken(0));
    let without = shared.engine(false);
    assert!(!without.readiness().await.is_ready(), "refused at its start");
    shared.happens(&without, 1).await;
    assert_eq!(without.pump_once().await, taken(0));
    assert_eq!(shared.waiting().await, 2, "they are kept");
    assert_eq!(with.pump_once().await, taken(2));
    assert_eq!(shared.took(), 2);

    // The one with a sink dies; what it was lent is over, and its events are kept all the same.
    drop(with);
    for day in 1..=6 {
        shared.parts.clock.advance(DAY);
        shared.happens(&without, 1 + day).await;
        assert_eq!(without.pump_once().await, taken(0), "{day}");
    }
    let again = shared.engine(true);
    let kept = shared.waiting().await;
    assert!(kept >= 12, "{kept}");
    assert_eq!(again.pump_once().await, taken(kept));
    assert_eq!((shared.took(), shared.waiting().await), (2 + kept, 0));

    // Nobody has had a sink for a week.
    drop(again);
    shared.parts.clock.advance(7 * DAY);
    let alone = shared.engine(false);
    shared.happens(&alone, 20).await;
    alone.pump_once().await.unwrap();
    assert_eq!(shared.waiting().await, 0, "nobody wants them");
    assert!(alone.readiness().await.is_ready());
    without.pump_once().await.unwrap();
    assert!(
        without.readiness().await.is_ready(),
        "nor does it wait for a restart"
    );
}

#[tokio::test]
async fn engines_that_had_no_sink_before_anybody_had_one_go_on_and_leave_events_from_then_on() {
    let shared = Shared::new();
    let without = shared.engine(false);
    shared.happens(&without, 1).await;
    assert_eq!(without.pump_once().await, taken(2), "nobody wants them");
    let with = shared.engine(true);
    assert_eq!(with.pump_once().await, taken(0));
    shared.happens(&without, 2).await;
    assert_eq!(without.pump_once().await, taken(0));
    assert!(
        without.readiness().await.is_ready(),
        "it did not start beside one"
    );
    // What the other was lent while it dropped events is over in a moment.
    shared.parts.clock.advance(Duration::from_secs(30));
    assert_eq!(with.pump_once().await, taken(2));
    assert_eq!(shared.took(), 2);
}
