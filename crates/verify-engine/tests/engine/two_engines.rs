//! Several engines on one store, and several services in one: the work is shared, and none waits for another.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::command::{Person, SendRequest};
use verify_core::event::Event;
use verify_core::keys::Keys;
use verify_core::port::EventSink;
use verify_core::store::{Store, StoreFault};
use verify_core::vocabulary::ServiceId;
use verify_engine::{Engine, Pumped, Swept};
use verify_memstore::MemStore;
use verify_testkit::store_around;

use crate::support::{Gate, HeldClock, TestProvider, number, swept, taken};

/// For how long a service's work is lent.
const LEASE: Duration = Duration::from_secs(30);
/// Events of a service that are handed over at a time.
const PUMP_BATCH: usize = 256;

/// Notes what it was handed, of all services but those that it does not take.
#[derive(Default)]
struct Sink {
    declined: Option<&'static str>,
    panics_at: Option<&'static str>,
    taken: Mutex<Vec<(String, &'static str)>>,
}

#[async_trait]
impl EventSink for Sink {
    async fn take(&self, events: &[Event]) -> bool {
        let of = events.first().map(|event| event.service.as_str());
        assert!(of.is_none() || of != self.panics_at, "a bug");
        if events
            .iter()
            .any(|event| Some(event.service.as_str()) == self.declined)
        {
            return false;
        }
        let taken = events
            .iter()
            .map(|event| (event.service.to_string(), event.kind.as_str()));
        self.taken.lock().extend(taken);
        true
    }
}

impl Sink {
    fn of(&self, service: &str) -> Vec<&'static str> {
        let taken = self.taken.lock();
        let own = taken.iter().filter(|(of, _)| of == service);
        own.map(|(_, kind)| *kind).collect()
    }

    fn drained(&self, service: &str) -> Vec<&'static str> {
        let own = self.of(service);
        self.taken.lock().clear();
        own
    }
}

/// Cannot read anything of one service.
pub(crate) struct Unreadable<S> {
    pub(crate) inner: S,
    pub(crate) service: &'static str,
}

impl<S> Unreadable<S> {
    fn readable(&self, service: Option<&ServiceId>) -> Result<(), StoreFault> {
        match service.is_some_and(|service| service.as_str() == self.service) {
            true => Err(StoreFault::corrupt("no such format")),
            false => Ok(()),
        }
    }
}

store_around! {
    Unreadable,
    apply(this, changeset, within) {
        this.inner.apply(changeset, within).await
    },
    first Self::readable
}

/// What engines share.
struct Shared {
    store: Arc<MemStore>,
    clock: Arc<HeldClock>,
    gate: Arc<Gate>,
}

impl Shared {
    fn new() -> Self {
        Self {
            store: Arc::default(),
            clock: HeldClock::new(),
            gate: Gate::open(),
        }
    }

    fn engine(&self, sink: &Arc<Sink>) -> Engine {
        self.engine_on(Arc::clone(&self.store), sink)
    }

    fn engine_on(&self, store: impl Store + 'static, sink: &Arc<Sink>) -> Engine {
        Engine::builder()
            .keys(Keys::generate(&[7; 32]))
            .store(store)
            .provider(TestProvider::new("fake", &self.gate))
            .clock(Arc::clone(&self.clock))
            .event_sink(Arc::clone(sink))
            .without_client_ip()
            .build()
            .unwrap()
    }
}

async fn send(engine: &Engine, service: &str, n: usize) {
    let request = SendRequest::to(Person::at(number(n))).service(ServiceId::new(service).unwrap());
    engine.send(request).await.answer.unwrap();
}

const SENT: [&str; 2] = ["send.intended", "send.accepted"];

#[tokio::test]
async fn a_services_events_go_through_one_engine_at_a_time_and_in_order() {
    let shared = Shared::new();
    let sinks = [Arc::new(Sink::default()), Arc::new(Sink::default())];
    let [first, second] = [&sinks[0], &sinks[1]].map(|sink| shared.engine(sink));
    send(&first, "one", 1).await;
    assert_eq!(first.pump_once().await, taken(2));
    assert_eq!(sinks[0].drained("one"), SENT);

    // Whoever sent: what the first one was lent it goes on with.
    send(&second, "one", 2).await;
    assert_eq!(second.pump_once().await, taken(0));
    // Another service is nobody's yet.
    send(&first, "two", 1).await;
    assert_eq!(second.pump_once().await, taken(2));
    assert_eq!(first.pump_once().await, taken(2));
    assert_eq!(
        (sinks[0].drained("one"), sinks[1].drained("two")),
        (SENT.to_vec(), SENT.to_vec())
    );

    // The first one dies. Its work is another's when the span is over.
    shared.clock.advance(LEASE);
    send(&second, "one", 3).await;
    assert_eq!(second.pump_once().await, taken(2));
    assert_eq!(first.pump_once().await, taken(0));
    assert_eq!((sinks[0].of("one"), sinks[1].of("one")), (vec![], SENT.to_vec()));
}

#[tokio::test]
async fn a_services_records_are_swept_by_one_engine_at_a_time() {
    let shared = Shared::new();
    let sink = Arc::default();
    let [first, second] = [(); 2].map(|()| shared.engine(&sink));
    let one = swept(1, 1);
    send(&first, "one", 1).await;
    shared.clock.advance(Duration::from_secs(10));
    send(&second, "one", 2).await;
    shared.clock.advance(Duration::from_secs(600));
    assert_eq!(first.sweep_once().await, one);
    shared.clock.advance(Duration::from_secs(10));
    assert_eq!(
        second.sweep_once().await,
        Ok(Swept::default()),
        "lent to the first"
    );
    assert_eq!(first.sweep_once().await, one);

    send(&first, "one", 3).await;
    shared.clock.advance(Duration::from_secs(611));
    assert_eq!(second.sweep_once().await, one, "the span was over");
    assert_eq!(first.sweep_once().await, Ok(Swept::default()));
}

#[tokio::test]
async fn a_busy_service_holds_up_no_other() {
    let shared = Shared::new();
    let sink = Arc::new(Sink::default());
    let engine = shared.engine(&sink);
    for n in 0..300 {
        send(&engine, "busy", n).await;
    }
    send(&engine, "calm", 1).await;
    assert_eq!(engine.pump_once().await, taken(PUMP_BATCH + 2));
    assert_eq!(
        (sink.of("busy").len(), sink.of("calm")),
        (PUMP_BATCH, SENT.to_vec())
    );
    shared.clock.advance(Duration::from_secs(611));
    assert_eq!(engine.sweep_once().await, swept(301, 301));
}

#[tokio::test]
async fn events_that_are_not_taken_hold_up_no_other_service() {
    let shared = Shared::new();
    let sink = Arc::new(Sink {
        declined: Some("busy"),
        ..Sink::default()
    });
    let engine = shared.engine(&sink);
    let one_declined = Pumped {
        taken: 2,
        declined: 1,
    };
    send(&engine, "busy", 1).await;
    send(&engine, "calm", 1).await;
    assert_eq!(engine.pump_once().await, Ok(one_declined));
    assert_eq!(sink.drained("calm"), SENT);
    send(&engine, "calm", 2).await;
    assert_eq!(engine.pump_once().await, Ok(one_declined));
    assert_eq!((sink.of("calm"), sink.of("busy")), (SENT.to_vec(), vec![]));
}

#[tokio::test]
async fn a_service_that_cannot_be_read_holds_up_no_other_and_is_told() {
    let shared = Shared::new();
    let sink = Arc::new(Sink::default());
    let store = Unreadable {
        inner: Arc::clone(&shared.store),
        service: "broken",
    };
    let engine = shared.engine_on(store, &sink);
    for service in ["broken", "well"] {
        send(&engine, service, 1).await;
    }
    let corrupt = StoreFault::corrupt("no such format");
    assert_eq!(engine.pump_once().await, Err(corrupt.clone()));
    assert_eq!((sink.of("broken"), sink.drained("well")), (vec![], SENT.to_vec()));
    shared.clock.advance(Duration::from_secs(611));
    assert_eq!(engine.sweep_once().await, Err(corrupt));
    engine.pump_once().await.unwrap_err();
    assert_eq!(sink.of("well"), ["verification.expired"]);
}

#[tokio::test]
async fn at_the_end_all_events_are_handed_over_but_those_that_are_not_taken() {
    let shared = Shared::new();
    let sink = Arc::new(Sink {
        declined: Some("broken"),
        ..Sink::default()
    });
    let engine = shared.engine(&sink);
    send(&engine, "broken", 1).await;
    for n in 0..300 {
        send(&engine, "busy", n).await;
    }
    engine.spawn_background().shutdown().await;
    assert_eq!(sink.of("busy").len(), 600);
}

#[tokio::test]
async fn a_sink_that_panics_at_a_service_holds_up_no_other_and_not_the_end() {
    let shared = Shared::new();
    let sink = Arc::new(Sink {
        panics_at: Some("broken"),
        ..Sink::default()
    });
    let engine = shared.engine(&sink);
    send(&engine, "broken", 1).await;
    send(&engine, "well", 1).await;
    let one = Pumped {
        taken: 2,
        declined: 1,
    };
    assert_eq!(engine.pump_once().await, Ok(one));
    send(&engine, "well", 2).await;
    engine.spawn_background().shutdown().await;
    assert_eq!(sink.of("well").len(), 4);
}

/// Nobody waits for the end of what was lent to an engine that is gone.
#[tokio::test]
async fn what_was_lent_is_given_back_at_the_end() {
    let shared = Shared::new();
    let sink = Arc::new(Sink::default());
    let [first, second] = [(); 2].map(|()| shared.engine(&sink));
    send(&first, "busy", 1).await;
    assert_eq!(first.pump_once().await.map(|pumped| pumped.taken), Ok(2));
    send(&second, "busy", 2).await;
    assert_eq!(
        second.pump_once().await.map(|pumped| pumped.taken),
        Ok(0),
        "it is the first one's work"
    );
    first.spawn_background().shutdown().await;
    send(&second, "busy", 3).await;
    assert_eq!(second.pump_once().await.map(|pumped| pumped.taken), Ok(2));
}
