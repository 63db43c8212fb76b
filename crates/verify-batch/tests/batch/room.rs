//! What happens where room runs out.

use verify_batch::{Fill, Lanes, Limits, Turns};
use verify_core::store::{Changeset, StoreAnswer, StoreFault};

use crate::changesets::*;
use crate::memory::Memory;

fn is_full(answer: &StoreAnswer) -> bool {
    matches!(answer, StoreAnswer::NotApplied(StoreFault::Full(_)))
}

/// Holds what follows for an outbox that is full after two events.
async fn is_held_to(limits: Limits) {
    let memory = Memory::default();
    let lanes = Lanes::new(memory.clone(), limits);
    let tells = |nth| telling(charging(one(), nth), nth);
    // The third of one transaction finds it full already, and a known caller goes on.
    let answers = decided_together(
        &lanes,
        &[tells(1), tells(2), tells(3), telling(charging(two(), 1), 1)],
    )
    .await;
    assert!(is_full(&answers[2]), "{answers:?}");
    assert!(
        [0, 1, 3].iter().all(|nth| is_applied(&answers[*nth])),
        "{answers:?}"
    );
    assert!(is_applied(&lanes.apply(&known(tells(4)), WITHIN).await));
    // What brings no event goes on, and an alert is left out.
    assert!(is_applied(&lanes.apply(&charging(one(), 5), WITHIN).await));
    assert!(is_applied(
        &lanes.apply(&alerting(charging(one(), 6), 1), WITHIN).await
    ));
    assert!(is_full(&lanes.apply(&alerting(tells(7), 2), WITHIN).await));
    assert_eq!(told(&memory, &one()), [1, 2, 4]);
    let charged = [1, 2, 3, 4, 5, 6, 7].map(|key| charged(&memory, &one(), key));
    assert_eq!(charged, [1, 1, 0, 1, 1, 1, 0]);
    assert!(
        memory.kept().claims.is_empty(),
        "an alert that was left out may still be raised"
    );
    // When they are taken, strangers come in again.
    memory.change(|kept| {
        let lane = kept.lanes.get_mut(&one()).unwrap();
        (lane.events, lane.bytes) = (0, 0);
        kept.events.clear();
    });
    assert!(is_applied(&lanes.apply(&alerting(tells(8), 3), WITHIN).await));
    assert_eq!(told(&memory, &one()), [8, 3]);
}

#[tokio::test(start_paused = true)]
async fn i146_a_full_outbox_takes_nothing_that_strangers_begin_and_all_else() {
    let mut limits = Limits::of(Turns::Together);
    limits.outbox_events = 2;
    is_held_to(limits).await;
}

#[tokio::test(start_paused = true)]
async fn i146_an_outbox_is_full_by_bytes_too() {
    let mut limits = Limits::of(Turns::Together);
    let of_one = verify_core::store::kept::event(&telling(change(one()), 1).events[0]).len() as u64;
    limits.outbox_bytes = of_one + 1;
    is_held_to(limits).await;
}

#[tokio::test(start_paused = true)]
async fn i146_what_is_left_is_for_known_callers_and_at_the_end_for_nobody_who_brings_something() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    assert!(is_applied(&lanes.apply(&charging(one(), 1), WITHIN).await));
    let ask = async |changeset: Changeset| lanes.apply(&changeset, WITHIN).await;
    memory.fill(Fill::ForKnown);
    assert!(is_full(&ask(charging(one(), 2)).await));
    assert!(is_applied(&ask(known(charging(one(), 2))).await));
    for fill in [Fill::ForKnown, Fill::Full] {
        memory.fill(fill);
        assert!(is_full(&ask(creating(one(), 1)).await));
        assert!(is_full(&ask(telling(change(one()), 1)).await));
        // What is there can be changed, and refusals go on; there is no room for the alert's marker.
        assert!(is_refused(&ask(refused(one())).await));
        assert!(is_applied(&ask(alerting(charging(one(), 1), 1)).await));
    }
    assert!(is_full(&ask(known(creating(one(), 1))).await));
    assert_eq!(charged(&memory, &one(), 1), 3);
    let kept = memory.kept();
    assert!(kept.claims.is_empty() && kept.events.is_empty() && kept.records.is_empty());
}
