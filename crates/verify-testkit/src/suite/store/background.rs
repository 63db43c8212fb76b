//! What is done for services besides commands: who has something to do, who does it, and what is dropped.

use std::time::Duration;

use verify_core::event::EventKind;
use verify_core::ids::HolderId;
use verify_core::store::{Row, Work};
use verify_core::vocabulary::ServiceId;

use super::fixture::*;

async fn services(store: &Subject, millis: u64, after: Option<&ServiceId>, most: usize) -> Vec<String> {
    match store.services(at(millis), after, most).await {
        Ok(services) => services.iter().map(ToString::to_string).collect(),
        Err(fault) => panic!("who has something to do must be readable: {fault}"),
    }
}

/// Those with an event or a record that is due, in their order and by pages; idle ones are not among them.
pub async fn services_with_something_to_do_are_named(store: Subject) {
    assert_eq!(services(&store, 0, None, 10).await, [""; 0]);
    applied(&store, change(0).creating(record(1), row(b"idle", 900_000))).await;
    assert_eq!(services(&store, 0, None, 10).await, [""; 0], "an idle service");
    let due = Row {
        due: Some(at(100)),
        ..row(b"", 900_000)
    };
    applied(&store, change(0).creating(record(2), due)).await;
    let mut elsewhere = change(0).telling(event(EventKind::SendIntended, 1));
    elsewhere.service = another();
    applied(&store, elsewhere).await;
    assert_eq!(services(&store, 99, None, 10).await, ["another"]);
    assert_eq!(services(&store, 100, None, 10).await, ["another", "default"]);
    assert_eq!(services(&store, 100, None, 1).await, ["another"]);
    assert_eq!(services(&store, 100, Some(&another()), 10).await, ["default"]);
    assert_eq!(
        services(&store, 100, Some(&ServiceId::default()), 10).await,
        [""; 0]
    );
}

/// To one holder at a time, each kind and each service for itself, and to anybody once the span is over.
pub async fn work_is_lent_to_one_at_a_time(store: Subject) {
    let (one, other) = (HolderId::from_bytes([1; 16]), HolderId::from_bytes([2; 16]));
    let here = ServiceId::default();
    let lease = |work, service: &ServiceId, holder, span| {
        let (store, service) = (store.clone(), service.clone());
        async move {
            store
                .lease(work, &service, holder, Duration::from_secs(span))
                .await
        }
    };
    assert_eq!(lease(Work::Pump, &here, one, 3_600).await, Ok(true));
    assert_eq!(lease(Work::Pump, &here, other, 3_600).await, Ok(false));
    assert_eq!(
        lease(Work::Pump, &here, one, 3_600).await,
        Ok(true),
        "again to its holder"
    );
    assert_eq!(
        lease(Work::Sweep, &here, other, 3_600).await,
        Ok(true),
        "another work"
    );
    assert_eq!(
        lease(Work::Pump, &another(), other, 3_600).await,
        Ok(true),
        "another service"
    );
    assert_eq!(lease(Work::Pump, &here, one, 0).await, Ok(true), "given back");
    assert_eq!(lease(Work::Pump, &here, other, 3_600).await, Ok(true), "over");
    assert_eq!(lease(Work::Pump, &here, one, 3_600).await, Ok(false));
    // A span of nothing asks, and keeps nobody out.
    assert_eq!(lease(Work::Sink, &here, other, 0).await, Ok(true), "free");
    assert_eq!(lease(Work::Sink, &here, one, 3_600).await, Ok(true), "still free");
    assert_eq!(lease(Work::Sink, &here, other, 0).await, Ok(false), "lent");
    assert_eq!(lease(Work::Sink, &here, one, 3_600).await, Ok(true), "as it was");
}

/// What is outlived goes, in bounded pieces, and nothing else does.
pub async fn what_is_outlived_is_dropped_and_nothing_else(store: Subject) {
    let service = ServiceId::default();
    let rule = window(1, 1_000);
    for number in 0..20 {
        let ends = if number < 10 { 1_000 } else { 900_000 };
        let entry = change(0)
            .creating(record(number), row(b"", ends))
            .claiming(claim(number), b"", ends);
        applied(&store, entry).await;
    }
    applied(&store, change(0).charging(charge(counter(1), &rule))).await;
    let mut dropped = 0;
    // A store may look at more than it drops, and may have dropped some by itself.
    for _ in 0..100 {
        match store.drop_outlived(&service, at(500_000), 6).await {
            Ok(some) => {
                assert!(some <= 6, "{some} went at once");
                dropped += some;
            }
            Err(fault) => panic!("housekeeping failed: {fault}"),
        }
    }
    assert!(dropped <= 21, "{dropped} of 21 went");
    for number in 10..20 {
        assert!(read(&store, record(number), 600_000).await.is_some());
        assert!(!is_free(&store, claim(number), 600_000).await);
    }
}
