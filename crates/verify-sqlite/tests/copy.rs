//! A file copied to another, looked at, and migrated alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use support::{fresh, open};
use verify_batch::copy::{CopyError, Source, Table, Target, compare, copy};
use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::Rule;
use verify_core::seed::Seed;
use verify_core::store::{
    Changeset, Charge, Claim, ClaimKey, ClaimKind, CounterKey, Expect, Lifetime, Mode, RecordChange,
    RecordKey, RecordKind, Room, Row, Store, StoreAnswer, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_sqlite::{OpenError, SqliteFile, SqliteOptions, inspect, migrate};

/// Something of each kind, under keys made of this number.
fn something(service: &ServiceId, number: u8) -> Changeset {
    let now = Timestamp::from_millis(1_900_000_000_000);
    let print = Print::from_bytes([number; 16]);
    let mut changeset = Changeset::new(service.clone(), now, Room::Known);
    changeset.charges.push(Charge {
        key: CounterKey { scope: 1, print },
        rule: Rule::Window {
            max: 5,
            per: Duration::from_secs(3_600),
        },
        cost: 1,
        mode: Mode::Charge,
        when_live: Vec::new(),
    });
    let kind = match number % 2 {
        0 => RecordKind::Notes,
        _ => RecordKind::Verifications,
    };
    changeset.records.push(RecordChange {
        key: RecordKey { kind, print },
        expect: Expect::Absent,
        write: Write::Put(Row {
            version: 0,
            lifetime: match kind {
                RecordKind::Notes => Lifetime::Durable,
                RecordKind::Verifications => Lifetime::Until(now + Duration::from_secs(600)),
            },
            live_until: None,
            due: Some(now),
            under: WrittenUnder {
                fingerprint: KeyId::new(1),
                seal: Some(KeyId::new(number % 3)),
            },
            bytes: vec![number; 40],
        }),
    });
    changeset.claims.push(Claim {
        key: ClaimKey {
            kind: ClaimKind::Proof,
            print,
        },
        value: vec![number],
        expires_at: now + Duration::from_secs(300),
    });
    let seed = Seed::from_bytes([number; Seed::BYTES]);
    changeset.events.push(Event::new(
        &seed,
        0,
        now,
        service.clone(),
        EventKind::SendIntended,
    ));
    changeset
}

fn services() -> [ServiceId; 2] {
    ["one", "two"].map(|name| ServiceId::new(name).unwrap())
}

/// A file with something of each kind in two services, and what was acknowledged of it.
async fn filled() -> SqliteOptions {
    let options = SqliteOptions::at(fresh());
    let store = open(options.clone());
    for service in services() {
        for number in 0..20 {
            let answer = store
                .apply(&something(&service, number), Duration::from_secs(5))
                .await;
            assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        }
        let events = store.outbox(&service, 3).await.unwrap();
        store.acknowledge(&service, events[2].0).await.unwrap();
    }
    options
}

fn alone(options: &SqliteOptions) -> SqliteFile {
    SqliteFile::alone(options).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_copy_goes_on_where_the_other_ended() {
    let (from, to) = (filled().await, SqliteOptions::at(fresh()));
    copy(&alone(&from), &alone(&to)).await.unwrap();
    let held = compare(&alone(&from), &alone(&to)).await.unwrap();
    assert_eq!((held.services, held.rows), (2, [40, 40, 40, 34]));
    let (one, other) = (open(from.clone()), open(to.clone()));
    assert_eq!(
        one.health().await.unwrap().epoch,
        other.health().await.unwrap().epoch
    );
    let now = Timestamp::from_millis(1_900_000_000_001);
    for service in services() {
        assert_eq!(
            one.outbox(&service, 100).await.unwrap(),
            other.outbox(&service, 100).await.unwrap()
        );
        assert_eq!(
            one.due(&service, now, 100).await.unwrap(),
            other.due(&service, now, 100).await.unwrap()
        );
        // The next version and the next place are the same in both.
        let next = something(&service, 99);
        let applied = |answer| {
            let StoreAnswer::Applied(seen) = answer else {
                panic!("{answer:?}")
            };
            seen.records
        };
        let answers = (
            one.apply(&next, Duration::from_secs(5)).await,
            other.apply(&next, Duration::from_secs(5)).await,
        );
        assert_eq!(applied(answers.0), applied(answers.1));
    }
    let durable = one.durable().await.unwrap();
    assert_eq!(durable.len(), 3, "under three keys: {durable:?}");
    assert_eq!(other.durable().await, Ok(durable));
}

#[tokio::test]
async fn a_copy_that_ended_early_left_nothing_and_is_made_again() {
    let (from, to) = (filled().await, SqliteOptions::at(fresh()));
    {
        let (from, to) = (alone(&from), alone(&to));
        to.begin().await.unwrap();
        for (service, lane) in from.lanes().await.unwrap() {
            to.put_lane(&service, lane).await.unwrap();
        }
    }
    copy(&alone(&from), &alone(&to)).await.unwrap();
    assert!(compare(&alone(&from), &alone(&to)).await.is_ok());
    // What is there is not written over.
    let again = copy(&alone(&from), &alone(&to)).await;
    assert_eq!(again, Err(CopyError::NotEmpty));
    let nothing = SqliteOptions::at(fresh());
    let of_nothing = copy(&alone(&nothing), &alone(&SqliteOptions::at(fresh()))).await;
    assert_eq!(of_nothing, Err(CopyError::NothingThere));
}

#[tokio::test]
async fn a_copy_of_something_else_is_told_from_one() {
    let (from, to) = (filled().await, SqliteOptions::at(fresh()));
    copy(&alone(&from), &alone(&to)).await.unwrap();
    let store = open(to.clone());
    let [service, _] = services();
    store
        .apply(&something(&service, 77), Duration::from_secs(5))
        .await;
    drop(store);
    let differ = compare(&alone(&from), &alone(&to)).await.unwrap_err().to_string();
    assert_eq!(differ, "read back, versions and sequences are not the same");
    let other = filled().await;
    let differ = compare(&alone(&from), &alone(&other))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(differ, "read back, the epochs are not the same");
}

#[tokio::test]
async fn a_file_that_was_closed_is_one_file() {
    let options = SqliteOptions::at(fresh());
    let store = open(options.clone());
    let [service, _] = services();
    let applied = store.apply(&something(&service, 1), Duration::from_secs(5)).await;
    assert!(matches!(applied, StoreAnswer::Applied(_)), "{applied:?}");
    let log = options.path.with_extension("db-wal");
    assert!(log.exists());
    store.clone().close().await;
    assert!(!log.exists());
    assert!(store.health().await.is_err());
    let late = store.apply(&something(&service, 2), Duration::from_secs(5)).await;
    assert!(!matches!(late, StoreAnswer::Applied(_)), "{late:?}");
    let held = alone(&options).entries(&service, Table::Records, &[], 9).await;
    assert_eq!(held.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_serves_is_not_copied() {
    let mut options = filled().await;
    let serving = open(options.clone());
    options.busy = Duration::from_millis(1);
    assert!(matches!(
        SqliteFile::alone(&options),
        Err(OpenError::InUse { .. })
    ));
    serving.health().await.unwrap();
}

#[tokio::test]
async fn a_file_is_looked_at_and_not_changed() {
    let found = inspect(&filled().await).unwrap();
    assert_eq!((found.schema, found.needs, found.known), (1, 1, 1));
    assert!(found.origin.unwrap().accepted);
    assert!(found.space.most > 0 && found.space.part() <= 1.0, "{found:?}");

    let options = SqliteOptions::at(fresh());
    migrate(&options).unwrap();
    let before = fs::read(&options.path).unwrap();
    assert!(inspect(&options).unwrap().origin.is_none());
    assert!(fs::read(&options.path).unwrap() == before, "the bytes are others");

    let path = fresh();
    fs::write(&path, "").unwrap();
    let empty = inspect(&SqliteOptions::at(&path)).unwrap();
    assert_eq!((empty.schema, empty.origin), (0, None));
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::write(&path, "something else, of another kind".repeat(40)).unwrap();
    let other = inspect(&SqliteOptions::at(&path));
    assert!(matches!(other, Err(OpenError::NotADatabase { .. })), "{other:?}");
}

#[test]
fn a_schema_is_made_alone_and_by_one_of_those_that_want_to() {
    let options = SqliteOptions::at(fresh());
    let (once, again) = (migrate(&options), migrate(&options));
    assert_eq!((once.unwrap(), again.unwrap()), (0, 1));
    let mode = fs::metadata(&options.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        inspect(&options).unwrap().origin.is_none(),
        "whoever serves first makes the epoch"
    );
}
