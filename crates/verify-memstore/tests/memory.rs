//! What only this store promises: an outbox that can be off, memory that is given back, a dump of everything.

#![allow(
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

use std::time::Duration;

use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::Rule;
use verify_core::seed::Seed;
use verify_core::store::{
    Alert, Changeset, Charge, Claim, ClaimKey, ClaimKind, CounterKey, Expect, Lifetime, Mode, RecordChange,
    RecordKey, RecordKind, Room, Row, Store, StoreAnswer, StoreFault, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_memstore::{Capacity, MemStore, Usage};

fn print(number: u64) -> Print {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Print::from_bytes(bytes)
}

/// One new entry of each kind that ends within a minute and the skew.
fn one_of_each(number: u64, at: Timestamp) -> Changeset {
    let ends = at + Duration::from_secs(60);
    let mut changeset = Changeset::new(ServiceId::default(), at, Room::Stranger);
    changeset.charges.push(Charge {
        key: CounterKey {
            scope: 1,
            print: print(number),
        },
        rule: Rule::Window {
            max: 1,
            per: Duration::from_secs(60),
        },
        cost: 1,
        mode: Mode::Charge,
        when_live: Vec::new(),
    });
    let row = Row {
        version: 0,
        lifetime: Lifetime::Until(ends),
        live_until: None,
        due: Some(at),
        under: WrittenUnder {
            fingerprint: KeyId::new(1),
            seal: None,
        },
        bytes: format!("record-{number}-").into_bytes(),
    };
    changeset.records.push(RecordChange {
        key: RecordKey {
            kind: RecordKind::Verifications,
            print: print(number),
        },
        expect: Expect::Absent,
        write: Write::Put(row),
    });
    changeset.claims.push(Claim {
        key: ClaimKey {
            kind: ClaimKind::Send,
            print: print(number),
        },
        value: format!("claim-{number}-").into_bytes(),
        expires_at: ends,
    });
    let mut event = Event::new(
        &Seed::from_bytes([1; Seed::BYTES]),
        0,
        at,
        ServiceId::default(),
        EventKind::SendIntended,
    );
    event.rules = vec![format!("rule-{number}-").into()];
    changeset.events.push(event);
    changeset
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000) + Duration::from_secs(seconds)
}

fn took(answer: &StoreAnswer) -> bool {
    matches!(answer, StoreAnswer::Applied(_))
}

#[tokio::test]
async fn without_an_outbox_events_take_no_room_and_are_nowhere() {
    let store = MemStore::with_capacity(Capacity {
        events: 0,
        ..Capacity::default()
    });
    assert!(matches!(
        store.apply_now(&one_of_each(1, at(0))),
        StoreAnswer::NotApplied(StoreFault::Full(_))
    ));
    let store = store.without_outbox();
    assert!(took(&store.apply_now(&one_of_each(1, at(0)))));
    assert_eq!(store.outbox(&ServiceId::default(), 10).await, Ok(vec![]));
    assert_eq!(
        store.usage(),
        Usage {
            counters: 1,
            records: 1,
            claims: 1,
            events: 0
        }
    );
}

#[test]
fn i11_i57_a_steady_flow_of_fresh_keys_takes_no_more_than_about_what_is_alive() {
    let store = MemStore::new().without_outbox();
    // A hundred a second, each alive for at most seventy seconds, for a long time: about 7000 are alive.
    for second in 0..600 {
        for number in 0..100 {
            assert!(took(
                &store.apply_now(&one_of_each(second * 100 + number, at(second)))
            ));
        }
    }
    let usage = store.usage();
    assert!((7_000..10_500).contains(&usage.counters), "{usage:?}");
    assert!((6_000..10_500).contains(&usage.records), "{usage:?}");
    assert!((6_000..10_500).contains(&usage.claims), "{usage:?}");
}

#[tokio::test]
async fn i11_an_idle_store_forgets_while_it_is_asked_who_has_something_to_do() {
    let store = MemStore::with_capacity(Capacity {
        counters: 900,
        ..Capacity::default()
    })
    .without_outbox();
    for number in 0..100 {
        assert!(took(&store.apply_now(&one_of_each(number, at(0)))));
    }
    for _ in 0..10 {
        assert_eq!(store.services(at(3_600), None, 10).await, Ok(vec![]));
    }
    assert_eq!(store.usage(), Usage::default());
}

#[test]
fn i20_a_dump_has_everything_in_it() {
    let store = MemStore::new();
    for number in [1, 2] {
        assert!(took(&store.apply_now(&one_of_each(number, at(0)))));
    }
    let dump = store.dump();
    let has = |planted: &[u8]| dump.windows(planted.len()).any(|bytes| bytes == planted);
    for planted in [
        "record-1-",
        "record-2-",
        "claim-1-",
        "claim-2-",
        "rule-1-",
        "rule-2-",
    ] {
        assert!(has(planted.as_bytes()), "{planted}");
    }
    // A counter, a record and a claim of either.
    let prints = |number| {
        dump.windows(16)
            .filter(|bytes| *bytes == print(number).as_bytes())
            .count()
    };
    assert_eq!((prints(1), prints(2)), (3, 3));
    assert!(!format!("{store:?}").contains("record-1-"));
}

#[test]
fn an_alert_that_has_no_room_refuses_nothing() {
    let store = MemStore::with_capacity(Capacity {
        claims: 4,
        reserved_for_known_percent: 0,
        ..Capacity::default()
    });
    for number in 0..4 {
        assert!(took(&store.apply_now(&one_of_each(number, at(0)))));
    }
    let mut changeset = Changeset::new(ServiceId::default(), at(1), Room::Stranger);
    let full = one_of_each(9, at(1));
    changeset.events = full.events.clone();
    changeset.alerts.push(Alert {
        event: full.events[0].clone(),
        once: full.claims[0].clone(),
    });
    assert!(matches!(
        store.apply_now(&full),
        StoreAnswer::NotApplied(StoreFault::Full(_))
    ));
    let before = store.usage();
    assert!(took(&store.apply_now(&changeset)));
    assert_eq!(
        store.usage(),
        Usage {
            events: before.events + 1,
            ..before
        }
    );
}
