//! What the store says of itself.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::time::Duration;

use support::{WITHIN, creating, fresh, nothing, open, run};
use verify_batch::{Outbox, gone, of_minute};
use verify_core::store::{Changeset, EventSeq, Store, StoreAnswer};
use verify_core::vocabulary::ServiceId;
use verify_postgres::PostgresStore;

/// The same of another service.
fn of(service: &ServiceId, changeset: Changeset) -> Changeset {
    let events = changeset.events.iter().cloned();
    let events = events.map(|mut event| {
        event.service = service.clone();
        event
    });
    Changeset {
        service: service.clone(),
        events: events.collect(),
        ..changeset
    }
}

async fn applied(store: &PostgresStore, changeset: Changeset) {
    let answer = store.apply(&changeset, WITHIN).await;
    assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
}

#[test]
fn what_it_holds_and_what_it_is_behind_with_is_told() {
    run(async {
        let mut options = fresh();
        options.limits.outbox_events = 4;
        let store = open(options).await;
        let empty = store.figures().await.unwrap();
        assert_eq!(
            (empty.held, empty.outlived, empty.outboxes.len()),
            (Some(0), None, 0)
        );
        // A durable one: nothing of it is outlived.
        applied(&store, creating(1)).await;
        assert_eq!(store.figures().await.unwrap().outlived, None);
        // One that ended two months ago.
        applied(&store, creating(0)).await;
        let (here, other) = (ServiceId::default(), ServiceId::new("other").unwrap());
        applied(&store, of(&other, creating(3))).await;
        let at = nothing().at;
        let figures = store.figures().await.unwrap();
        assert!(figures.held > empty.held && figures.disk >= empty.disk && empty.disk > Some(0));
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
        while store.drop_outlived(&here, first, 100).await.unwrap() > 0 {}
        let later = store.figures().await.unwrap();
        assert_eq!((later.outlived, later.outboxes.len()), (None, 1));
        assert!(later.held < figures.held);
    });
}

/// Whoever asks for figures waits for no lane, and no lane waits for them.
#[test]
fn a_lane_that_is_held_holds_up_no_figures() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        applied(&store, creating(1)).await;
        let mut held = options.config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(held.1);
        let transaction = held.0.transaction().await.unwrap();
        let lock = format!("SELECT 1 FROM {}.lane FOR UPDATE", options.schema);
        transaction.query(lock.as_str(), &[]).await.unwrap();
        let told = tokio::time::timeout(Duration::from_millis(900), store.figures()).await;
        assert_eq!(told.unwrap().unwrap().outboxes.len(), 1);
    });
}
