//! Records: compare-and-swap, expiry, and when they are due.

use std::collections::{BTreeMap, BTreeSet};

use verify_core::event::EventKind;
use verify_core::store::{Expect, Lifetime, RecordKey, Row, Write, WrittenUnder, put_off_for};
use verify_core::vocabulary::ServiceId;

use super::fixture::*;

const KEY: u32 = 1;

fn key() -> RecordKey {
    record(KEY)
}

async fn created(store: &Subject, millis: u64) -> u64 {
    let seen = applied(store, change(millis).creating(key(), row(b"", 900_000))).await;
    version(seen.record(&key()))
}

fn version(row: Option<&Row>) -> u64 {
    match row {
        Some(row) => row.version,
        None => panic!("the row must be there"),
    }
}

/// Absent, or at exactly this version.
pub async fn expectations_hold_or_refuse(store: Subject) {
    refused(&store, change(0).swapping(key(), Expect::At(1), Write::Keep)).await;
    applied(&store, change(0).swapping(key(), Expect::Absent, Write::Keep)).await;
    let first = created(&store, 0).await;
    refused(&store, change(1).swapping(key(), Expect::Absent, Write::Delete)).await;
    refused(
        &store,
        change(1).swapping(key(), Expect::At(first + 1), Write::Delete),
    )
    .await;
    applied(&store, change(1).swapping(key(), Expect::At(first), Write::Keep)).await;
    let seen = applied(
        &store,
        change(1).swapping(key(), Expect::At(first), Write::Put(row(b"2", 900_000))),
    )
    .await;
    let seen = refused(&store, {
        let _second = version(seen.record(&key()));
        change(2).swapping(key(), Expect::At(first), Write::Delete)
    })
    .await;
    let second = version(seen.record(&key()));
    assert_ne!(first, second);
    let seen = applied(
        &store,
        change(2).swapping(key(), Expect::At(second), Write::Delete),
    )
    .await;
    assert_eq!(seen.record(&key()), None);
    assert_eq!(read(&store, key(), 2).await, None);
}

/// The answer has the row as it is afterwards, header and all, and so has the next read.
pub async fn a_put_row_comes_back_with_its_new_version(store: Subject) {
    let put = Row {
        live_until: Some(at(10)),
        due: Some(at(20)),
        ..row(&[0, 255, 10, 13], 900_000)
    };
    let seen = applied(&store, change(0).creating(key(), put.clone())).await;
    let written = seen.record(&key()).cloned();
    assert_eq!(
        written,
        Some(Row {
            version: version(written.as_ref()),
            ..put
        })
    );
    assert_eq!(read(&store, key(), 0).await, written);
}

/// A delete whose answer was lost must not remove what was created since.
pub async fn a_version_never_comes_twice_not_even_after_a_delete(store: Subject) {
    let mut seen = BTreeSet::new();
    for round in 0..10 {
        let version = created(&store, round).await;
        assert!(seen.insert(version), "version {version} came twice");
        let put = Write::Put(row(b"again", 900_000));
        let next = applied(&store, change(round).swapping(key(), Expect::At(version), put)).await;
        let next = self::version(next.record(&key()));
        assert!(seen.insert(next), "version {next} came twice");
        applied(
            &store,
            change(round).swapping(key(), Expect::At(next), Write::Delete),
        )
        .await;
    }
    let ends = applied(&store, change(0).creating(key(), row(b"", 50))).await;
    assert!(seen.insert(version(ends.record(&key()))));
    assert!(
        seen.insert(created(&store, 50).await),
        "a version came twice after a row ended"
    );
}

/// In the same trip, in their order.
pub async fn reads_return_what_is_there_and_what_is_not(store: Subject) {
    created(&store, 0).await;
    let seen = applied(&store, change(0).reading(record(2)).reading(key())).await;
    let found: Vec<_> = seen
        .records
        .iter()
        .map(|(key, row)| (*key, row.is_some()))
        .collect();
    assert_eq!(found, [(record(2), false), (key(), true)]);
}

/// At its end a row is as good as absent, to reads and to expectations.
pub async fn i11_transient_rows_end_and_not_before_their_time(store: Subject) {
    applied(&store, change(0).creating(key(), row(b"", 1_000))).await;
    assert!(read(&store, key(), 999).await.is_some(), "forgotten early");
    assert_eq!(read(&store, key(), 1_000).await, None, "kept too long");
    applied(&store, change(1_000).creating(key(), row(b"new", 2_000))).await;
    assert!(
        read(&store, key(), 1_999).await.is_some(),
        "the new one ended with the old one"
    );
}

/// Years of other traffic do not end them.
pub async fn durable_rows_stay(store: Subject) {
    let durable = Row {
        lifetime: Lifetime::Durable,
        ..row(b"opted out", 0)
    };
    applied(&store, change(0).creating(key(), durable)).await;
    for year in 1..100 {
        let later = year * 31_536_000_000;
        applied(&store, change(later).creating(record(1_000), row(b"", later + 1))).await;
    }
    assert!(read(&store, key(), 100 * 31_536_000_000).await.is_some());
}

async fn due(store: &Subject, millis: u64, most: usize) -> Vec<RecordKey> {
    match store.due(&ServiceId::default(), at(millis), most).await {
        Ok(due) => due,
        Err(fault) => panic!("what is due must be readable: {fault}"),
    }
}

fn due_row(when: u64) -> Row {
    Row {
        due: Some(at(when)),
        ..row(b"", 900_000)
    }
}

/// Soonest first, not before their time, at most so many.
pub async fn due_records_come_soonest_first(store: Subject) {
    for (number, when) in [(1, 300), (2, 100), (3, 200), (4, 400)] {
        applied(&store, change(0).creating(record(number), due_row(when))).await;
    }
    applied(&store, change(0).creating(record(5), row(b"", 900_000))).await;
    assert_eq!(due(&store, 99, 10).await, []);
    assert_eq!(due(&store, 300, 10).await, [record(2), record(3), record(1)]);
    assert_eq!(due(&store, 900, 2).await, [record(2), record(3)]);
}

/// A record that was changed, deleted or has ended wants no tick, or at another time.
pub async fn what_is_settled_or_gone_is_not_due(store: Subject) {
    let mut versions = Vec::new();
    for number in [1, 2, 3] {
        let seen = applied(&store, change(0).creating(record(number), due_row(100))).await;
        versions.push(Expect::At(version(seen.record(&record(number)))));
    }
    let ends = Row {
        lifetime: Lifetime::Until(at(500)),
        ..due_row(100)
    };
    applied(&store, change(0).creating(record(4), ends)).await;
    assert_eq!(due(&store, 100, 10).await.len(), 4);
    let writes = [
        Write::Put(row(b"", 900_000)),
        Write::Put(due_row(600)),
        Write::Delete,
    ];
    for ((number, expect), write) in (1..).zip(versions).zip(writes) {
        applied(&store, change(200).swapping(record(number), expect, write)).await;
    }
    assert_eq!(due(&store, 499, 10).await, [record(4)]);
    assert_eq!(due(&store, 599, 10).await, []);
    assert_eq!(due(&store, 600, 10).await, [record(2)]);
}

/// Put off for longer each time, until somebody writes it; one that is not due is left alone.
pub async fn what_cannot_be_settled_is_put_off(store: Subject) {
    let service = ServiceId::default();
    let put_off = |millis: u64| {
        let (store, service) = (store.clone(), service.clone());
        async move { assert_eq!(store.put_off(&service, &key(), at(millis)).await, Ok(())) }
    };
    let durable = |due| Row {
        lifetime: Lifetime::Durable,
        ..due_row(due)
    };
    let seen = applied(&store, change(0).creating(key(), durable(100))).await;
    put_off(99).await;
    assert_eq!(due(&store, 100, 10).await, [key()], "it was not due yet");
    let mut from = 100;
    for times in 0..9 {
        put_off(from).await;
        let wait = put_off_for(times).as_millis();
        let next = from + u64::try_from(wait).unwrap_or(0);
        assert_eq!(due(&store, next - 1, 10).await, [], "after {times} times");
        assert_eq!(due(&store, next, 10).await, [key()]);
        from = next;
    }
    let written = seen
        .record(&key())
        .map_or(Expect::Absent, |row| Expect::At(row.version));
    put_off(from).await;
    applied(
        &store,
        change(from).swapping(key(), written, Write::Put(durable(from + 1))),
    )
    .await;
    assert_eq!(due(&store, from + 1, 10).await, [key()], "a write ends it");
    put_off(from + 1).await;
    let again = from + 1 + u64::try_from(put_off_for(0).as_millis()).unwrap_or(0);
    assert_eq!(due(&store, again - 1, 10).await, []);
    assert_eq!(due(&store, again, 10).await, [key()], "and the count of times");
}

/// Of all services, and only what has no end and can be moved.
pub async fn durable_rows_are_counted_and_listed_by_their_keys(store: Subject) {
    applied(&store, change(0).creating(record(1), durable_row(2))).await;
    applied(&store, change(0).creating(record(2), durable_row(3))).await;
    applied(&store, change(0).creating(record(3), row(b"", 900_000))).await;
    let unsealed = Row {
        under: WrittenUnder {
            seal: None,
            ..under(2)
        },
        ..durable_row(2)
    };
    applied(&store, change(0).creating(record(4), unsealed)).await;
    let mut elsewhere = change(0).creating(record(5), durable_row(2));
    elsewhere.service = another();
    applied(&store, elsewhere).await;
    let counted = store.durable().await.map(BTreeMap::from_iter);
    let expected = [(under(2), 2), (under(3), 1)];
    assert_eq!(counted, Ok(expected.into()), "nobody can move what says nothing");
    let of_two = [(ServiceId::default(), record(1)), (another(), record(5))];
    assert_eq!(durable_under(&store, 2).await, of_two.into());
    assert_eq!(
        durable_under(&store, 3).await,
        [(ServiceId::default(), record(2))].into()
    );
    assert_eq!(durable_under(&store, 4).await, BTreeSet::new());
}

/// Behind one that is there, and behind one that was written again since; a page at a time, each once.
pub async fn durable_rows_are_listed_a_page_at_a_time(store: Subject) {
    let mut places = BTreeSet::new();
    for number in 1..=9 {
        let mut made = change(0).creating(record(number), durable_row(2));
        if number % 3 == 0 {
            made.service = another();
        }
        places.insert((made.service.clone(), record(number)));
        applied(&store, made).await;
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .durable_under(under(2), after.as_ref(), 2)
            .await
            .unwrap_or_default();
        let Some(last) = page.last().cloned() else { break };
        assert!(page.len() <= 2 && listed.len() < 10, "{listed:?}");
        // It goes away, and what is behind it is listed all the same.
        let (service, key) = last.clone();
        let mut seen = change(1);
        seen.service = service.clone();
        seen.reads = vec![key];
        let expect = Expect::At(version(applied(&store, seen).await.record(&key)));
        let mut moved = change(1).swapping(key, expect, Write::Put(durable_row(3)));
        moved.service = service;
        applied(&store, moved).await;
        listed.extend(page);
        after = Some(last);
    }
    assert_eq!(listed.len(), 9, "each once: {listed:?}");
    assert_eq!(BTreeSet::from_iter(listed), places);
}

/// It is on the list until it is written under other keys or deleted, and then not any more.
pub async fn a_durable_row_is_listed_until_it_is_written_again(store: Subject) {
    let mut versions = Vec::new();
    for number in [1, 2, 3] {
        let seen = applied(&store, change(0).creating(record(number), durable_row(2))).await;
        versions.push(Expect::At(version(seen.record(&record(number)))));
    }
    let at = |number| (ServiceId::default(), record(number));
    assert_eq!(durable_under(&store, 2).await, [1, 2, 3].map(at).into());
    let writes = [
        Write::Put(durable_row(3)),
        Write::Delete,
        Write::Put(durable_row(2)),
    ];
    for ((number, expect), write) in (1..).zip(versions).zip(writes) {
        applied(&store, change(1).swapping(record(number), expect, write)).await;
    }
    assert_eq!(durable_under(&store, 2).await, [at(3)].into());
    let counted = store.durable().await.map(BTreeMap::from_iter);
    assert_eq!(counted, Ok([(under(2), 1), (under(3), 1)].into()));
}

/// By whatever clock they come: what was written later is there earlier, versions and events keep the order of the changes, and
/// what is due is due by who asks.
pub async fn i44_jumps_back_and_forth_lose_nothing_and_bring_nothing_back(store: Subject) {
    let mut versions = BTreeSet::new();
    let times = [500_000, 0, 400_000, 100_000, 599_999];
    for (number, millis) in (0..).zip(times) {
        let made = change(millis)
            .creating(record(number), due_row(millis))
            .claiming(claim(number), b"", 900_000)
            .telling(event(EventKind::SendIntended, number));
        let seen = applied(&store, made).await;
        assert!(
            versions.insert(version(seen.record(&record(number)))),
            "a version came twice"
        );
    }
    for millis in times {
        for number in 0..5 {
            assert!(
                read(&store, record(number), millis).await.is_some(),
                "lost at {millis}"
            );
            assert!(!is_free(&store, claim(number), millis).await, "free at {millis}");
        }
    }
    assert_eq!(due(&store, 100_000, 10).await, [record(1), record(3)]);
    assert_eq!(due(&store, 0, 10).await, [record(1)]);
    assert_eq!(due(&store, 599_999, 10).await.len(), 5);
    assert_eq!(waiting(&store).await, [0, 1, 2, 3, 4].map(Some));
}

fn durable_row(number: u8) -> Row {
    Row {
        lifetime: Lifetime::Durable,
        under: under(number),
        ..row(b"kept", 0)
    }
}

async fn durable_under(store: &Subject, number: u8) -> BTreeSet<(ServiceId, RecordKey)> {
    let listed = store.durable_under(under(number), None, 100).await;
    BTreeSet::from_iter(listed.unwrap_or_default())
}
