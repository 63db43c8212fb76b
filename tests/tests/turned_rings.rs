//! Rings are turned under an engine that serves from a file (I-150): all that has no end moves, and the old keys are not needed.
//! `VERIFY_DURABLE` says how many opt-outs there are.
#![allow(missing_docs, reason = "tests")]

mod support;

use std::time::Duration;

use tokio::task::JoinSet;
use verify_core::command::SendRequest;
use verify_core::keys::Keys;
use verify_core::outcome::{RefusalCode, SendAnswer};
use verify_core::port::{Detail, DispatchRequest, Dispatched, Rejection, RejectionKind};
use verify_core::store::{Store, WrittenUnder};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, ServiceId};
use verify_engine::{Deliverer, Engine};
use verify_sqlite::SqliteStore;
use verify_testkit::{ManualClock, SeededEntropy, TurningKeys};
use verify_tests::{newest_alone, policy};

const AT_ONCE: u32 = 64;
const MANY: &str = "version = 1\n[[limit]]\nname = \"sends_per_service\"\nmax = \"unlimited\"\n";

fn engine(store: &SqliteStore, keys: &TurningKeys, clock: &ManualClock) -> Engine {
    let opted_out = Deliverer::new(
        "mail",
        [Channel::Sms, Channel::Email],
        |_: DispatchRequest| async {
            Dispatched::Rejected(Rejection {
                kind: RejectionKind::OptedOut,
                retry_after: None,
                detail: Detail::default(),
            })
        },
    );
    let built = Engine::builder()
        .key_source(keys.clone())
        .policy(policy(MANY))
        .store(store.clone())
        .clock(clock.clone())
        .entropy(SeededEntropy::new(7))
        .provider(opted_out)
        .without_client_ip();
    built.build().unwrap()
}

/// Sends to so many people of either service, and how many of them were refused for what was noted.
async fn refused(engine: &Engine, clock: &ManualClock, people: u32) -> u32 {
    // The gap between two sends to one person is over.
    clock.advance(Duration::from_secs(31));
    let mut running = JoinSet::new();
    let mut refused = 0;
    for person in 0..people {
        if running.len() as u32 >= AT_ONCE {
            refused += running.join_next().await.unwrap().unwrap();
        }
        let engine = engine.clone();
        running.spawn(async move {
            let service = ServiceId::new(if person % 2 == 0 { "one" } else { "other" }).unwrap();
            let send = SendRequest::to(format!("person{person}@example.com")).service(service);
            let answer = engine.send(send).await.answer.unwrap();
            u32::from(
                matches!(answer, SendAnswer::Refused(told) if told.code == RefusalCode::ChannelUnavailable),
            )
        });
    }
    while let Some(done) = running.join_next().await {
        refused += done.unwrap();
    }
    refused
}

#[tokio::test]
async fn i150_all_that_has_no_end_moves_while_it_serves_and_the_old_keys_are_not_needed() {
    let people = std::env::var("VERIFY_DURABLE").map_or(3_000, |people| people.parse().unwrap());
    let path = support::fresh();
    let store = support::open(&path);
    let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let old = Keys::generate(&[7; 32]);
    let both = old.rotated(&[8; 32]);
    let keys = TurningKeys::new(old.clone());
    let engines = [(); 2].map(|()| engine(&store, &keys, &clock));
    assert_eq!(refused(&engines[0], &clock, people).await, people);
    let written = |keys: &Keys| vec![(WrittenUnder::newest(keys), u64::from(people))];
    assert_eq!(store.durable().await, Ok(written(&old)));

    keys.turn(both.clone());
    let (mut rekeyed, some) = (0, people.min(500));
    // While one of them moves, the other serves, and everybody is found.
    while store.durable().await != Ok(written(&both)) {
        let [serving, sweeping] = &engines;
        let (found, swept) = tokio::join!(refused(serving, &clock, some), sweeping.sweep_once());
        assert_eq!(found, some);
        rekeyed += swept.unwrap().rekeyed;
        assert!(rekeyed <= people as usize, "each once");
    }
    assert_eq!(rekeyed, people as usize);

    keys.turn(newest_alone(&both));
    clock.advance(Duration::from_secs(31));
    assert_eq!(
        refused(&engines[0], &clock, people).await,
        people,
        "the old keys are gone"
    );
    support::scan(&path);
}
