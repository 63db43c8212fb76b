//! What the store says of itself.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use support::{WITHIN, creating, fresh, nothing, open, run};
use verify_batch::{Outbox, gone, of_minute};
use verify_core::event::{Event, EventKind};
use verify_core::seed::Seed;
use verify_core::store::{Changeset, EventSeq, Store, StoreAnswer};
use verify_core::vocabulary::ServiceId;
use verify_sqlite::{SqliteOptions, SqliteStore};

async fn applied(store: &SqliteStore, changeset: Changeset) {
    let answer = store.apply(&changeset, WITHIN).await;
    assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
}

/// With so many events, of a service.
fn telling(service: &ServiceId, events: u8, changeset: Changeset) -> Changeset {
    let seed = Seed::from_bytes([1; Seed::BYTES]);
    let event = |nth| Event::new(&seed, nth, changeset.at, service.clone(), EventKind::SendIntended);
    Changeset {
        events: (0..events).map(event).collect(),
        service: service.clone(),
        ..changeset
    }
}

#[test]
fn what_it_holds_and_what_it_is_behind_with_is_told() {
    run(async {
        let mut options = SqliteOptions::at(fresh());
        options.limits.outbox_events = 4;
        let store = open(options);
        let empty = store.figures().await.unwrap();
        assert_eq!((empty.outlived, empty.outboxes.len()), (None, 0));
        // A durable one: nothing of it is outlived.
        let (here, other) = (ServiceId::default(), ServiceId::new("other").unwrap());
        applied(&store, telling(&here, 2, creating(1))).await;
        assert_eq!(store.figures().await.unwrap().outlived, None);
        // One that ended two months ago.
        applied(&store, telling(&other, 1, creating(0))).await;
        for number in 0..200 {
            applied(&store, creating(3 + 2 * number)).await;
        }
        let at = nothing().at;
        let figures = store.figures().await.unwrap();
        assert!(figures.held > empty.held && figures.disk > empty.disk && empty.disk > Some(0));
        let first = of_minute(gone(at + Duration::from_secs(3_600)));
        assert_eq!(figures.outlived, Some(first));
        let outbox = |service: &ServiceId, events, used| Outbox {
            service: service.clone(),
            events,
            oldest: Some(at),
            used,
        };
        assert_eq!(figures.outboxes, [outbox(&here, 2, 0.5), outbox(&other, 1, 0.25)]);

        store.acknowledge(&here, EventSeq(2)).await.unwrap();
        while store.drop_outlived(&other, first, 100).await.unwrap() > 0 {}
        let later = store.figures().await.unwrap();
        assert_eq!((later.outlived, later.outboxes.len()), (None, 1));
    });
}

#[test]
fn the_log_of_a_file_behind_a_link_is_counted() {
    run(async {
        let path = fresh();
        let link = path.with_extension("link");
        fs::write(&path, "").unwrap();
        symlink(&path, &link).unwrap();
        let store = open(SqliteOptions::at(&link));
        for number in 0..50 {
            applied(&store, creating(number)).await;
        }
        let length = |path| fs::metadata(path).unwrap().len();
        let both = length(path.clone()) + length(path.with_extension("db-wal"));
        assert_eq!(store.figures().await.unwrap().disk, Some(both));
    });
}
