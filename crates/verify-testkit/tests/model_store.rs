//! The model store keeps the contract, and its state is a value.

use std::sync::Arc;

use verify_core::store::{Changeset, Room};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_testkit::{CountingStore, FaultyStore, ModelState, ModelStore, store_suite};

store_suite!(model_store, || async { ModelStore::new() });
store_suite!(wrapped, || async {
    CountingStore::new(FaultyStore::new(ModelStore::new()))
});

#[test]
fn a_clone_of_the_state_goes_its_own_way_and_a_clone_of_the_store_does_not() {
    let store = ModelStore::new();
    let before = store.state();
    let mut putting = Changeset::new(ServiceId::default(), Timestamp::from_millis(1), Room::Known);
    putting.claims.push(verify_core::store::Claim {
        key: verify_core::store::ClaimKey {
            kind: verify_core::store::ClaimKind::Proof,
            print: verify_core::keys::Print::from_bytes([1; 16]),
        },
        value: Vec::new(),
        expires_at: Timestamp::from_millis(10),
    });
    store.clone().apply_now(&putting);
    assert_ne!(store.state(), before);
    let mut other = before.clone();
    other.apply_now(&putting);
    assert_eq!(store.state(), other);
    other.purge(Timestamp::from_millis(10));
    assert_eq!(other, ModelState::default());
    let going_on = Arc::new(ModelStore::from_state(store.state()));
    assert_eq!(going_on.state(), store.state());
}
