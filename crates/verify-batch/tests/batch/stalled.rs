//! A backend that answers nobody is not asked by everybody.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::changesets::*;
use crate::memory::{How, Memory, Step};

#[tokio::test(start_paused = true)]
async fn i146_after_five_that_ran_out_of_time_all_are_answered_at_once_until_a_probe_is() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    memory.is_down(true);
    for _ in 0..4 {
        assert!(is_unavailable(&lanes.apply(&charging(one(), 1), WITHIN).await));
    }
    let fifth = asks(&lanes, &charging(one(), 1));
    settle().await;
    let waiting = asks(&lanes, &charging(one(), 1));
    let began = Instant::now();
    assert!(is_unavailable(&fifth.await.unwrap()));
    let took = began.elapsed();
    assert!(is_unavailable(&waiting.await.unwrap()));
    assert!(is_unavailable(&lanes.apply(&charging(one(), 1), WITHIN).await));
    assert_eq!(began.elapsed(), took, "nobody waits for it any more");
    assert_eq!(memory.seen().transactions.len(), 5);
    let stalled = Instant::now();
    sleep(Duration::from_millis(3_500)).await;
    let pings: Vec<u64> = memory
        .seen()
        .pings
        .iter()
        .map(|it| (*it - stalled).as_secs())
        .collect();
    assert_eq!(pings, [1, 2, 3]);
    memory.is_down(false);
    assert!(
        is_unavailable(&lanes.apply(&charging(one(), 1), WITHIN).await),
        "not before a probe"
    );
    sleep(Duration::from_secs(1)).await;
    assert!(is_applied(&lanes.apply(&charging(one(), 1), WITHIN).await));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(memory.seen().pings.len(), 4, "and the probes end");
}

#[tokio::test(start_paused = true)]
async fn i146_only_those_in_a_row_count() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    for _ in 0..3 {
        memory.script(vec![Some((Step::Lock, How::Hangs)); 4]);
        for _ in 0..4 {
            assert!(is_unavailable(&lanes.apply(&charging(one(), 1), WITHIN).await));
        }
        assert!(is_applied(&lanes.apply(&change(one()), WITHIN).await));
    }
    assert!(memory.seen().pings.is_empty());
}

/// A backend that hangs and cannot even be connected to anew fails each of them before its own time is over.
#[tokio::test(start_paused = true)]
async fn i146_those_without_a_connection_in_time_count_and_only_an_answer_ends_it() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    let unreached = Some((Step::Begin, How::Unreached));
    // What fails at once says nothing of it, neither way.
    memory.script(
        [Some((Step::Lock, How::Fails)), unreached]
            .into_iter()
            .cycle()
            .take(10),
    );
    for _ in 0..10 {
        assert!(is_unavailable(&lanes.apply(&charging(one(), 1), WITHIN).await));
    }
    assert!(is_unavailable(&lanes.apply(&charging(one(), 1), WITHIN).await));
    assert_eq!(memory.seen().transactions.len(), 10, "nobody asks it any more");
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(memory.seen().pings.len(), 1);
    memory.script([unreached; 4]);
    for _ in 0..4 {
        assert!(is_unavailable(&lanes.apply(&charging(one(), 1), WITHIN).await));
    }
    assert!(
        is_applied(&lanes.apply(&change(one()), WITHIN).await),
        "four are not five"
    );
}
