//! What is not known is asked about once, under the lock.

use std::time::Duration;

use tokio::time::sleep;

use crate::changesets::*;
use crate::memory::{Asking, How, Memory, Step};

#[tokio::test(start_paused = true)]
async fn i146_doubt_is_asked_about_once_and_is_of_those_that_wrote() {
    let memory = Memory::default();
    memory.script([None, Some((Step::Committed, How::Fails))]);
    memory.answers([Asking::Fails]);
    let asked = [
        charging(one(), 1),
        refused(one()),
        change(one()),
        charging(two(), 1),
    ];
    let answers = decided_together(&lanes(&memory), &asked).await;
    assert!(is_unknown(&answers[0]) && is_unknown(&answers[3]), "{answers:?}");
    assert!(
        is_unavailable(&answers[1]) && is_unavailable(&answers[2]),
        "{answers:?}"
    );
    assert_eq!(memory.seen().asked, 1);
    assert_eq!(charged(&memory, &one(), 1), 1);
}

#[tokio::test(start_paused = true)]
async fn i146_a_lost_transaction_that_still_runs_is_waited_for() {
    let memory = Memory::default();
    memory.script([
        None,
        Some((Step::Commit, How::ArrivesAfter(Duration::from_millis(500)))),
    ]);
    let asked = [charging(one(), 1), refused(one())];
    let answers = decided_together(&lanes(&memory), &asked).await;
    assert!(is_applied(&answers[0]) && is_refused(&answers[1]), "{answers:?}");
    assert_eq!(memory.seen().asked, 1);
}

#[tokio::test(start_paused = true)]
async fn i146_one_that_runs_for_longer_stays_in_doubt_and_may_still_happen() {
    let memory = Memory::default();
    memory.script([
        None,
        Some((Step::Commit, How::ArrivesAfter(Duration::from_secs(3)))),
    ]);
    let asked = [charging(one(), 1), refused(one())];
    let answers = decided_together(&lanes(&memory), &asked).await;
    assert!(
        is_unknown(&answers[0]) && is_unavailable(&answers[1]),
        "{answers:?}"
    );
    assert_eq!((memory.seen().asked, charged(&memory, &one(), 1)), (1, 0));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(charged(&memory, &one(), 1), 1);
}

#[tokio::test(start_paused = true)]
async fn i146_nobody_asks_where_nothing_is_written() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    memory.script([None, Some((Step::Decided, How::Hangs))]);
    let answers = decided_together(&lanes, &[refused(one()), change(one())]).await;
    assert!(answers.iter().all(is_unavailable), "{answers:?}");
    memory.script([None, Some((Step::Load, How::Panics))]);
    let answers = decided_together(&lanes, &[charging(one(), 1)]).await;
    assert!(answers.iter().all(is_unavailable), "{answers:?}");
    assert_eq!(memory.seen().asked, 0);
}

#[tokio::test(start_paused = true)]
async fn i146_what_was_given_up_decides_nothing_any_more() {
    let memory = Memory::default();
    memory.script([Some((Step::Load, How::ArrivesAfter(Duration::from_secs(3))))]);
    let answer = lanes(&memory).apply(&charging(one(), 1), WITHIN).await;
    assert!(is_unavailable(&answer), "{answer:?}");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(charged(&memory, &one(), 1), 0);
}

#[tokio::test(start_paused = true)]
async fn i146_of_a_transaction_that_began_again_the_last_decision_is_answered() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    for _ in 0..MOST {
        assert!(is_applied(&lanes.apply(&charging(one(), 1), WITHIN).await));
    }
    // Until it begins again nothing is charged, and then all is.
    let all_charged = memory.kept();
    memory.change(|kept| kept.counters.clear());
    let held = memory.hold(Step::Decided).await;
    memory.script([Some((Step::Decided, How::BeginsAgain))]);
    let asked = asks(&lanes, &charging(one(), 1));
    settle().await;
    memory.change(|kept| *kept = all_charged);
    drop(held);
    assert!(is_refused(&asked.await.unwrap()));
    assert_eq!(charged(&memory, &one(), 1), MOST);
}
