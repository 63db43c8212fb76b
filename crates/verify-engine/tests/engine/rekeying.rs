//! Durable records move to the newest keys while engines serve (I-150).

use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{Person, SendRequest};
use verify_core::keys::Keys;
use verify_core::port::{KeySource, RejectionKind};
use verify_core::store::{Store, StoreFault, WrittenUnder};
use verify_core::vocabulary::ServiceId;
use verify_engine::{Engine, Swept};
use verify_testkit::TurningKeys;

use crate::support::{Gate, Mood, Parts, number};
use crate::two_engines::Unreadable;

/// The parts of engines that share a store and keys, and so many who opted out.
struct Shared {
    parts: Parts,
    keys: TurningKeys,
}

impl Shared {
    async fn with(people: usize) -> Self {
        let shared = Self {
            parts: Parts::new(Gate::open()),
            keys: TurningKeys::new(Keys::generate(&[7; 32])),
        };
        shared.parts.provider.rejects(RejectionKind::OptedOut, people);
        let engine = shared.engine();
        for person in 0..people {
            engine.send(SendRequest::to(number(person))).await.answer.unwrap();
        }
        assert_eq!(shared.under_the_newest().await, people);
        shared
    }

    fn engine(&self) -> Engine {
        let builder = self.parts.builder().key_source(self.keys.clone());
        builder.build().unwrap()
    }

    fn rotate(&self, round: u8) {
        self.keys.turn(self.keys.keys().rotated(&[round; 32]));
    }

    async fn under_the_newest(&self) -> usize {
        let durable = self.parts.store.durable().await.unwrap();
        let newest = WrittenUnder::newest(&self.keys.keys());
        let mut of_it = durable.iter().filter(|(under, _)| *under == newest);
        of_it.next().map_or(0, |(_, records)| *records as usize)
    }
}

fn moved(rekeyed: usize) -> Result<Swept, StoreFault> {
    Ok(Swept {
        rekeyed,
        ..Swept::default()
    })
}

#[tokio::test]
async fn i150_a_sweep_moves_what_is_under_older_keys_whenever_they_change() {
    let shared = Shared::with(300).await;
    let engine = shared.engine();
    assert_eq!(engine.sweep_once().await, moved(0));
    for round in [8, 9] {
        shared.rotate(round);
        assert_eq!(
            engine.sweep_once().await,
            moved(300),
            "more than fit into one trip"
        );
        assert_eq!(shared.under_the_newest().await, 300);
        assert_eq!(engine.sweep_once().await, moved(0));
    }
}

/// An engine whose rings were not turned yet wrote under the older keys, after the others had moved everything.
#[tokio::test]
async fn i150_what_is_written_under_older_keys_later_moves_within_the_hour() {
    let shared = Shared::with(1).await;
    let engine = shared.engine();
    let before = Keys::clone(&shared.keys.keys());
    let slow = shared.parts.builder().keys(before).build().unwrap();
    shared.rotate(8);
    assert_eq!(engine.sweep_once().await, moved(1));
    shared.parts.provider.rejects(RejectionKind::OptedOut, 1);
    slow.send(SendRequest::to(number(1))).await.answer.unwrap();
    assert_eq!(
        engine.sweep_once().await,
        moved(0),
        "not looked for in each sweep"
    );
    shared.parts.clock.advance(Duration::from_secs(3_600));
    assert_eq!(engine.sweep_once().await.map(|swept| swept.rekeyed), Ok(1));
    assert_eq!(shared.under_the_newest().await, 2);
}

#[tokio::test]
async fn i150_of_two_engines_one_moves_and_the_other_goes_on_where_it_ended() {
    let shared = Shared::with(3).await;
    let [first, second] = [(); 2].map(|()| shared.engine());
    assert_eq!(first.sweep_once().await, moved(0));
    shared.rotate(8);
    // The first moved nothing yet, and has the service's records lent.
    shared.parts.provider.rejects(RejectionKind::Down, 1);
    first.send(SendRequest::to(number(9))).await.answer.ok();
    assert_eq!(first.sweep_once().await.map(|swept| swept.rekeyed), Ok(3));
    shared.rotate(9);
    assert_eq!(second.sweep_once().await, moved(0), "lent to the first");
    assert_eq!(shared.under_the_newest().await, 0);
    shared.parts.clock.advance(Duration::from_secs(61));
    // The store's clock is the latest that it heard.
    second.pump_once().await.unwrap();
    assert_eq!(second.sweep_once().await.map(|swept| swept.rekeyed), Ok(3));
}

/// However the clock jumped, what stayed is looked for again in its time.
#[tokio::test]
async fn i150_a_clock_that_was_ahead_puts_no_walk_off() {
    let shared = Shared::with(1).await;
    let engine = shared.engine();
    shared.parts.clock.advance(Duration::from_secs(86_400));
    assert_eq!(engine.sweep_once().await.map(|swept| swept.rekeyed), Ok(0));
    shared.parts.clock.set_back(Duration::from_secs(86_400));
    let before = Keys::clone(&shared.keys.keys());
    shared.rotate(8);
    assert_eq!(engine.sweep_once().await.map(|swept| swept.rekeyed), Ok(1));
    shared.parts.clock.advance(Duration::from_secs(86_400));
    let slow = shared.parts.builder().keys(before).build().unwrap();
    shared.parts.provider.rejects(RejectionKind::OptedOut, 1);
    slow.send(SendRequest::to(number(1))).await.answer.unwrap();
    shared.parts.clock.set_back(Duration::from_secs(2 * 86_400));
    assert_eq!(engine.sweep_once().await.map(|swept| swept.rekeyed), Ok(1));
}

#[tokio::test]
async fn i150_a_service_that_cannot_be_had_keeps_no_other_from_moving() {
    let shared = Shared::with(2).await;
    let engine = shared.engine();
    let down = Person::at(number(1));
    let down = SendRequest::to(down).service(ServiceId::new("down").unwrap());
    shared.parts.provider.rejects(RejectionKind::OptedOut, 1);
    engine.send(down).await.answer.unwrap();
    shared.rotate(8);
    let store = Unreadable {
        inner: Arc::clone(&shared.parts.store),
        service: "down",
    };
    let builder = shared.parts.builder().store(store);
    let beside = builder.key_source(shared.keys.clone()).build().unwrap();
    assert!(beside.sweep_once().await.is_err());
    assert_eq!(shared.under_the_newest().await, 2);
    // What stayed is looked for again soon.
    shared.parts.clock.advance(Duration::from_secs(61));
    assert_eq!(engine.sweep_once().await.map(|swept| swept.rekeyed), Ok(1));
}

#[tokio::test]
async fn i150_a_fault_in_between_loses_nothing() {
    let shared = Shared::with(2).await;
    let engine = shared.engine();
    shared.rotate(8);
    *shared.parts.store.mood.lock() = Mood::Down;
    assert!(engine.sweep_once().await.is_err());
    *shared.parts.store.mood.lock() = Mood::Well;
    assert_eq!(engine.sweep_once().await, moved(2));
}
