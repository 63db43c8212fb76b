//! The outboxes: of each service in order, at least once.

use verify_core::event::EventKind;
use verify_core::store::EventSeq;
use verify_core::vocabulary::ServiceId;

use super::fixture::*;

/// Read again until acknowledged, oldest first, the places rising.
pub async fn events_come_in_order_until_acknowledged(store: Subject) {
    let service = ServiceId::default();
    let first = change(0)
        .telling(event(EventKind::SendIntended, 1))
        .telling(event(EventKind::SendAccepted, 2));
    applied(&store, first).await;
    applied(&store, change(1).telling(event(EventKind::SendRejected, 3))).await;
    assert_eq!(waiting(&store).await, [Some(1), Some(2), Some(3)]);
    let Ok(two) = store.outbox(&service, 2).await else {
        panic!("the outbox must be readable")
    };
    let kinds: Vec<_> = two.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(
        kinds,
        [
            event(EventKind::SendIntended, 1),
            event(EventKind::SendAccepted, 2)
        ]
    );
    let places: Vec<EventSeq> = two.iter().map(|(place, _)| *place).collect();
    assert!(places.is_sorted() && places.first() < places.last());
    assert_eq!(waiting(&store).await.len(), 3, "reading takes nothing away");
    let Some(through) = places.last() else {
        panic!("two events were stored")
    };
    assert_eq!(store.acknowledge(&service, *through).await, Ok(()));
    assert_eq!(
        store.acknowledge(&service, *through).await,
        Ok(()),
        "again is fine"
    );
    assert_eq!(waiting(&store).await, [Some(3)]);
    applied(&store, change(2).telling(event(EventKind::Approved, 4))).await;
    assert_eq!(waiting(&store).await, [Some(3), Some(4)]);
}

/// What one service has and acknowledges is nothing to another.
pub async fn each_service_has_an_outbox_of_its_own(store: Subject) {
    for code in [1, 2] {
        applied(&store, change(0).telling(event(EventKind::SendIntended, code))).await;
        let mut elsewhere = change(0).telling(event(EventKind::SendIntended, 10 + code));
        elsewhere.service = another();
        applied(&store, elsewhere).await;
    }
    let (here, there) = (ServiceId::default(), another());
    assert_eq!(waiting(&store).await, [Some(1), Some(2)]);
    assert_eq!(waiting_of(&store, &there).await, [Some(11), Some(12)]);
    let Ok(events) = store.outbox(&here, 10).await else {
        panic!("the outbox must be readable")
    };
    let Some((last, _)) = events.last() else {
        panic!("two events were stored")
    };
    assert_eq!(store.acknowledge(&here, *last).await, Ok(()));
    assert_eq!(waiting(&store).await, []);
    assert_eq!(waiting_of(&store, &there).await, [Some(11), Some(12)]);
    applied(&store, change(1).telling(event(EventKind::Approved, 3))).await;
    let Ok(events) = store.outbox(&here, 10).await else {
        panic!("the outbox must be readable")
    };
    assert!(
        events.first().is_some_and(|(next, _)| next > last),
        "places rise though the outbox was empty"
    );
}
