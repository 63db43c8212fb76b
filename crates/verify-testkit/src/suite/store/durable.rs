//! What outlives the process: opened again, and by several at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinSet;
use verify_core::event::EventKind;
use verify_core::store::{EventSeq, Expect, Origin, Row, Store, StoreAnswer, Write};
use verify_core::vocabulary::ServiceId;

use super::fixture::*;

type Opening = Pin<Box<dyn Future<Output = Subject> + Send>>;

/// Where a store's state lies, and how it is opened.
pub struct Place(Box<dyn Fn() -> Opening + Send + Sync>);

impl Place {
    /// A place that this opens.
    pub fn of<S, Opened>(open: impl Fn() -> Opened + Send + Sync + 'static) -> Self
    where
        S: Store + 'static,
        Opened: Future<Output = S> + Send + 'static,
    {
        Self(Box::new(move || {
            let opened = open();
            Box::pin(async move { Arc::new(opened.await) as Subject })
        }))
    }

    async fn open(&self) -> Subject {
        (self.0)().await
    }
}

/// Counters, records, claims and events.
pub async fn what_was_answered_is_there_when_it_is_opened_again(place: Place) {
    let rule = window(2, 3_600_000);
    let written = {
        let store = place.open().await;
        applied(&store, change(0).charging(charge(counter(1), &rule))).await;
        applied(&store, change(1).claiming(claim(1), b"told", 3_600_000)).await;
        applied(&store, change(2).telling(event(EventKind::SendIntended, 7))).await;
        let made = change(3).creating(record(1), row(b"kept", 3_600_000));
        applied(&store, made).await.record(&record(1)).cloned()
    };
    let store = place.open().await;
    assert_eq!(read(&store, record(1), 4).await, written);
    assert!(!is_free(&store, claim(1), 4).await);
    assert_eq!(waiting(&store).await, [Some(7)]);
    applied(&store, change(5).charging(charge(counter(1), &rule))).await;
    refused(&store, change(6).charging(charge(counter(1), &rule))).await;
}

/// Not even when what had the last one is gone.
pub async fn a_version_never_comes_twice_across_openings(place: Place) {
    let mut told = Vec::new();
    for _ in 0..3 {
        let store = place.open().await;
        let made = applied(&store, change(0).creating(record(1), row(b"", 60_000))).await;
        let Some(version) = made.record(&record(1)).map(|row| row.version) else {
            panic!("what was written must be told");
        };
        assert!(!told.contains(&version), "{version} came again");
        told.push(version);
        applied(
            &store,
            change(0).swapping(record(1), Expect::At(version), Write::Delete),
        )
        .await;
    }
}

/// Though the outbox was emptied in between.
pub async fn places_of_events_rise_across_openings(place: Place) {
    let service = ServiceId::default();
    let mut last = EventSeq(0);
    for code in 0..3 {
        let store = place.open().await;
        applied(&store, change(0).telling(event(EventKind::SendIntended, code))).await;
        assert_eq!(waiting(&store).await, [Some(code)]);
        let Ok(Some((seq, _))) = store
            .outbox(&service, 1)
            .await
            .map(|events| events.into_iter().next())
        else {
            panic!("one event was told");
        };
        assert!(seq > last, "{seq:?} came after {last:?}");
        last = seq;
        assert_eq!(store.acknowledge(&service, last).await, Ok(()));
    }
}

/// For longer each time, and until it is written.
pub async fn what_is_put_off_stays_so_across_openings(place: Place) {
    let service = ServiceId::default();
    let due = Row {
        due: Some(at(0)),
        ..row(b"", 3_600_000)
    };
    let store = place.open().await;
    applied(&store, change(0).creating(record(1), due)).await;
    assert_eq!(store.put_off(&service, &record(1), at(0)).await, Ok(()));
    drop(store);
    let store = place.open().await;
    assert_eq!(store.due(&service, at(29_999), 10).await, Ok(vec![]));
    assert_eq!(store.due(&service, at(30_000), 10).await, Ok(vec![record(1)]));
    assert_eq!(store.put_off(&service, &record(1), at(30_000)).await, Ok(()));
    drop(store);
    let store = place.open().await;
    assert_eq!(
        store.due(&service, at(89_999), 10).await,
        Ok(vec![]),
        "it doubled"
    );
    assert_eq!(store.due(&service, at(90_000), 10).await, Ok(vec![record(1)]));
}

/// Made once, accepted where nothing was lost, and the same for all.
pub async fn i62_a_place_keeps_its_epoch_and_its_first_one_is_expected(place: Place) {
    let origin = |health| match health {
        Ok(Origin {
            epoch,
            made,
            accepted,
            ..
        }) => (epoch, made, accepted),
        Err(fault) => panic!("a store at hand is healthy: {fault}"),
    };
    let first = place.open().await;
    let told = origin(first.health().await);
    assert!(told.2, "a first start is expected");
    let seen = applied(&first, change(0)).await.origin;
    assert_eq!(origin(Ok(seen)), told);
    let second = place.open().await;
    assert_eq!(origin(second.health().await), told);
    drop((first, second));
    assert_eq!(origin(place.open().await.health().await), told);
}

/// Charges, claims and swaps of four openings, fifty times at once each.
pub async fn i05_several_openings_admit_no_more_than_one(place: Place) {
    let rule = window(17, 60_000);
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let store = place.open().await;
        for _ in 0..50 {
            let (store, rule) = (Arc::clone(&store), rule.clone());
            tasks.spawn(async move {
                let charge = store
                    .apply(&change(0).charging(charge(counter(1), &rule)), WITHIN)
                    .await;
                let claimed = store
                    .apply(&change(0).claiming(claim(1), b"", 60_000), WITHIN)
                    .await;
                let made = store
                    .apply(&change(0).creating(record(1), row(b"", 60_000)), WITHIN)
                    .await;
                [charge, claimed, made]
            });
        }
    }
    let mut applied = [0; 3];
    for answers in tasks.join_all().await {
        for (count, answer) in applied.iter_mut().zip(answers) {
            match answer {
                StoreAnswer::Applied(_) => *count += 1,
                StoreAnswer::Refused(_) => {}
                other @ (StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => {
                    panic!("a store at hand answered {other:?}")
                }
            }
        }
    }
    assert_eq!(applied, [17, 1, 1]);
}
