//! A store that came up without what it held, and one whose clock is another.

use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{SendRequest, StatusRequest};
use verify_core::event::{Event, EventKind};
use verify_core::outcome::{Fault, SendAnswer, StatusAnswer};
use verify_core::policy::PolicySet;
use verify_core::store::{Epoch, Origin, Store};
use verify_core::time::SKEW;
use verify_core::vocabulary::ServiceId;
use verify_engine::{Engine, Swept};
use verify_testkit::ModelStore;

use crate::support::{Gate, Parts, number};

const TO: &str = "+12025550101";
const HOUR: Duration = Duration::from_secs(3_600);

/// An epoch that was made now.
fn renew(store: &ModelStore, engine: &Engine, accepted: bool) {
    let origin = Origin {
        epoch: Epoch([9; 16]),
        made: engine.now(),
        accepted,
        ..Origin::default()
    };
    store.change(|state| state.set_origin(origin));
}

async fn told_of(store: &ModelStore, service: &ServiceId, kind: EventKind) -> Vec<Event> {
    let waiting = store.outbox(service, 100).await.unwrap();
    let events = waiting.into_iter().map(|(_, event)| event);
    events.filter(|event| event.kind == kind).collect()
}

async fn told(store: &ModelStore, service: &ServiceId) -> Vec<Event> {
    told_of(store, service, EventKind::StoreForgot).await
}

#[tokio::test]
async fn i62_each_server_that_took_over_is_told_once_by_whichever_engine_is_first() {
    let (parts, store) = (Parts::new(Gate::open()), ModelStore::new());
    let engine = || parts.builder().store(store.clone()).build().unwrap();
    let (engines, service) = ([engine(), engine()], ServiceId::default());
    let mut ids = Vec::new();
    for moved in [None, Some(1), Some(2)] {
        let origin = Origin {
            accepted: true,
            moved: moved.map(|ago| engines[0].now() - Duration::from_secs(10 - ago)),
            ..Origin::default()
        };
        store.change(|state| state.set_origin(origin));
        for engine in engines.iter().chain(&engines).chain([&engine()]) {
            engine.sweep_once().await.unwrap();
        }
        let told = told_of(&store, &service, EventKind::StoreFailedOver).await;
        ids = told.into_iter().map(|event| event.id).collect();
        assert_eq!(ids.len() as u64, moved.unwrap_or(0));
    }
    assert_ne!(ids[0], ids[1]);
    assert!(
        told(&store, &service).await.is_empty(),
        "its epoch is an accepted one"
    );
}

/// What keeps it from being told twice ends after a year; the row that says which server took over does not.
#[tokio::test]
async fn i62_a_server_that_took_over_long_ago_is_no_news_to_an_engine_that_starts() {
    let (parts, store) = (Parts::new(Gate::open()), ModelStore::new());
    let engine = || parts.builder().store(store.clone()).build().unwrap();
    let moved = engine().now();
    for days in [0, 300, 66, 400] {
        parts.clock.advance(Duration::from_secs(days * 86_400));
        let origin = Origin {
            accepted: true,
            moved: Some(moved),
            clock: engine().now(),
            ..Origin::default()
        };
        store.change(|state| state.set_origin(origin));
        engine().sweep_once().await.unwrap();
    }
    let told = told_of(&store, &ServiceId::default(), EventKind::StoreFailedOver).await;
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn i62_what_was_forgotten_is_told_once_by_whichever_engine_is_first() {
    let (parts, store) = (Parts::new(Gate::open()), ModelStore::new());
    let shop = ServiceId::new("shop").unwrap();
    let mut policies = PolicySet::default();
    let default = Arc::clone(&policies.default);
    policies.services.insert(shop.clone(), default);
    let engine = || {
        let builder = parts.builder().policy(policies.clone()).store(store.clone());
        builder.build().unwrap()
    };
    let [first, second] = [engine(), engine()];
    first.sweep_once().await.unwrap();
    assert!(told(&store, &shop).await.is_empty(), "nothing was lost");
    renew(&store, &first, false);
    for engine in [&first, &second, &first, &second] {
        engine.sweep_once().await.unwrap();
    }
    // An engine that was restarted.
    engine().sweep_once().await.unwrap();
    let [of_default, of_shop] = [ServiceId::default(), shop];
    let [of_default, of_shop] = [told(&store, &of_default).await, told(&store, &of_shop).await];
    assert_eq!((of_default.len(), of_shop.len()), (1, 1));
    assert_ne!(
        of_default[0].id, of_shop[0].id,
        "whoever drops what came twice drops neither"
    );
}

#[tokio::test]
async fn i62_an_engine_waits_as_long_as_the_store_lacks_something_and_says_until_when() {
    let (parts, store) = (Parts::new(Gate::open()), ModelStore::new());
    let engine = parts.builder().store(store.clone()).build().unwrap();
    let SendAnswer::Sent(sent) = engine.send(SendRequest::to(TO)).await.answer.unwrap() else {
        panic!()
    };
    renew(&store, &engine, false);
    let until = engine.now() + HOUR + SKEW;
    let wait = HOUR + SKEW;
    let again = || engine.send(SendRequest::to("+12025550102"));
    assert_eq!(again().await.answer, Err(Fault::StoreCools { wait }));
    let seen = engine.status(StatusRequest::of(&sent.id)).await.answer;
    assert!(matches!(seen, Ok(StatusAnswer::Found(_))), "{seen:?}");
    let readiness = engine.readiness().await;
    assert_eq!(readiness.cools_until, Some(until));
    assert!(readiness.is_ready(), "what goes on needs an engine");
    parts.clock.advance(wait);
    assert_eq!(engine.readiness().await.cools_until, None);
    assert!(matches!(again().await.answer, Ok(SendAnswer::Sent(_))));
}

/// The store's clock stands that much ahead of the engine's.
fn ahead(store: &ModelStore, engine: &Engine, by: Duration) {
    let origin = Origin {
        accepted: true,
        clock: engine.now() + by,
        ..Origin::default()
    };
    store.change(|state| state.set_origin(origin));
}

#[tokio::test]
async fn i44_an_engine_on_another_clock_than_the_store_s_refuses_until_they_agree() {
    let store = ModelStore::new();
    let engine = Parts::new(Gate::open()).on_the_wall(store.clone());
    let send = |n| engine.send(SendRequest::to(number(n)));
    ahead(&store, &engine, Duration::from_secs(8));
    for n in 0..5 {
        send(n).await.answer.unwrap();
    }
    ahead(&store, &engine, HOUR);
    // Two answers each.
    for n in 5..7 {
        send(n).await.answer.unwrap();
    }
    let outcome = send(7).await;
    assert_eq!(outcome.answer, Err(Fault::ClocksDiffer));
    let words = outcome.explanation.store.unwrap();
    assert!(words.message().contains("clock"), "{}", words.message());
    let held = store.state();
    assert_eq!(engine.sweep_once().await, Ok(Swept::default()));
    assert_eq!(store.state(), held);
    let readiness = engine.readiness().await;
    assert!(readiness.clocks_differ && !readiness.is_ready());

    ahead(&store, &engine, Duration::ZERO);
    engine.sweep_once().await.unwrap();
    let readiness = engine.readiness().await;
    assert!(!readiness.clocks_differ && readiness.is_ready());
    send(7).await.answer.unwrap();
}

#[tokio::test]
async fn i44_a_clock_that_is_held_is_nobody_s_business() {
    let (parts, store) = (Parts::new(Gate::open()), ModelStore::new());
    let engine = parts.builder().store(store.clone()).build().unwrap();
    ahead(&store, &engine, HOUR);
    for n in 0..5 {
        engine.send(SendRequest::to(number(n))).await.answer.unwrap();
        assert!(engine.readiness().await.is_ready());
    }
}
