//! Stores that count and fail as they are told.

use std::time::Duration;

use verify_core::keys::Print;
use verify_core::port::Detail;
use verify_core::store::{
    Changeset, Claim, ClaimKey, ClaimKind, EventSeq, Room, Store, StoreAnswer, StoreFault,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_testkit::{CountingStore, Fault, FaultyStore, ModelStore};

const WITHIN: Duration = Duration::from_secs(5);

fn down() -> StoreFault {
    StoreFault::unavailable("scripted to be down")
}

fn lost() -> Detail {
    Detail::new(None, "scripted to be lost")
}

fn claiming(number: u8) -> Changeset {
    let mut changeset = Changeset::new(ServiceId::default(), Timestamp::from_millis(1), Room::Stranger);
    let key = ClaimKey {
        kind: ClaimKind::Send,
        print: Print::from_bytes([number; 16]),
    };
    changeset.claims.push(Claim {
        key,
        value: Vec::new(),
        expires_at: Timestamp::from_millis(100),
    });
    changeset
}

fn held(store: &FaultyStore<ModelStore>) -> usize {
    store.inner().state().claims().len()
}

#[tokio::test]
async fn each_fault_answers_and_changes_what_it_says() {
    let store = FaultyStore::new(ModelStore::new());
    let full = Fault::NotApplied(StoreFault::full("scripted"));
    store.script([full, Fault::LostBefore, Fault::AnswerLost, Fault::None]);
    assert_eq!(
        store.apply(&claiming(1), WITHIN).await,
        StoreAnswer::NotApplied(StoreFault::full("scripted"))
    );
    assert_eq!(
        (store.apply(&claiming(1), WITHIN).await, held(&store)),
        (StoreAnswer::Unknown(lost()), 0)
    );
    assert_eq!(
        (store.apply(&claiming(1), WITHIN).await, held(&store)),
        (StoreAnswer::Unknown(lost()), 1)
    );
    assert_eq!(store.left(), 1);
    assert!(matches!(
        store.apply(&claiming(2), WITHIN).await,
        StoreAnswer::Applied(_)
    ));
    assert!(
        matches!(store.apply(&claiming(2), WITHIN).await, StoreAnswer::Refused(_)),
        "without a script all goes through"
    );
}

#[tokio::test]
async fn i13_a_store_that_is_down_does_nothing_and_keeps_its_script() {
    let store = FaultyStore::new(ModelStore::new());
    store.script([Fault::AnswerLost]);
    store.set_down(true);
    assert_eq!(
        store.apply(&claiming(1), WITHIN).await,
        StoreAnswer::NotApplied(down())
    );
    assert_eq!(store.health().await, Err(down()));
    let service = ServiceId::default();
    assert_eq!(store.due(&service, Timestamp::MAX, 1).await, Err(down()));
    assert_eq!(store.outbox(&service, 1).await, Err(down()));
    assert_eq!(store.acknowledge(&service, EventSeq(1)).await, Err(down()));
    store.set_down(false);
    assert_eq!(
        (store.apply(&claiming(1), WITHIN).await, held(&store)),
        (StoreAnswer::Unknown(lost()), 1)
    );
}

#[tokio::test]
async fn i52_round_trips_are_changesets_whatever_their_answer() {
    let store = CountingStore::new(ModelStore::new());
    for _ in 0..2 {
        store.apply(&claiming(1), WITHIN).await;
    }
    assert!(store.health().await.is_ok());
    assert_eq!(
        (store.round_trips(), store.take_round_trips(), store.round_trips()),
        (2, 2, 0)
    );
    assert_eq!(store.inner().state().claims().len(), 1);
}
