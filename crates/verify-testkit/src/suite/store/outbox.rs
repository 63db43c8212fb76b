//! The outbox: in order, at least once.

use verify_core::event::EventKind;
use verify_core::store::EventSeq;

use super::fixture::*;

/// Read again until acknowledged, oldest first, the places rising.
pub async fn events_come_in_order_until_acknowledged(store: Subject) {
    let first = change(0)
        .telling(event(EventKind::SendIntended, 1))
        .telling(event(EventKind::SendAccepted, 2));
    applied(&store, first).await;
    applied(&store, change(1).telling(event(EventKind::SendRejected, 3))).await;
    assert_eq!(waiting(&store).await, [Some(1), Some(2), Some(3)]);
    let Ok(two) = store.outbox(2).await else {
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
    assert_eq!(store.acknowledge(*through).await, Ok(()));
    assert_eq!(store.acknowledge(*through).await, Ok(()), "again is fine");
    assert_eq!(waiting(&store).await, [Some(3)]);
    applied(&store, change(2).telling(event(EventKind::Approved, 4))).await;
    assert_eq!(waiting(&store).await, [Some(3), Some(4)]);
}
