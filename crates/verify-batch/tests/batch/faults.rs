//! One harms no other, and nobody ends a batch.

use std::time::Duration;

use tokio::time::advance;
use verify_batch::LaneRow;
use verify_core::store::{Changeset, ClaimKind, StoreAnswer, StoreFault};

use crate::changesets::*;
use crate::memory::{Asking, How, Memory, Step};

fn is_corrupt(answer: &StoreAnswer) -> bool {
    matches!(answer, StoreAnswer::NotApplied(StoreFault::Corrupt(_)))
}

#[cfg_attr(not(debug_assertions), ignore = "an overflow does not panic there")]
#[tokio::test(start_paused = true)]
async fn i146_a_panic_in_one_decision_is_its_own_defect() {
    let memory = Memory::default();
    // Two more events, and the sum overflows: nothing else makes a sound core panic.
    let last = LaneRow {
        seq: u64::MAX - 1,
        ..LaneRow::default()
    };
    memory.change(|kept| kept.lanes.insert(one(), last));
    let mut panics = telling(telling(charging(one(), 1), 1), 2);
    panics.claims.push(marker(ClaimKind::Send, 1));
    let answers = decided_together(&lanes(&memory), &[charging(one(), 1), panics, charging(one(), 1)]).await;
    assert!(is_applied(&answers[0]) && is_applied(&answers[2]), "{answers:?}");
    assert!(
        matches!(answers[1], StoreAnswer::NotApplied(StoreFault::Defect(_))),
        "{answers:?}"
    );
    assert_eq!(charged(&memory, &one(), 1), 2);
    assert!(memory.kept().claims.is_empty(), "nothing of it is kept");
}

#[tokio::test(start_paused = true)]
async fn i146_a_corrupt_row_faults_those_that_name_it_and_no_other() {
    let memory = Memory::default();
    memory.change(|kept| {
        kept.records.insert((one(), record(1)), b"?".to_vec());
        kept.counters
            .insert((one(), counter(1)), (b"?".to_vec(), at(60_000)));
        let key = claim(ClaimKind::Send, 1);
        kept.claims.insert((one(), key), (b"?".to_vec(), at(60_000)));
    });
    let mut reads = change(one());
    reads.reads.push(record(1));
    let mut is_conditional = charging(one(), 2);
    is_conditional.charges[0].when_live.push(record(1));
    let mut claims = change(one());
    claims.claims.push(marker(ClaimKind::Send, 1));
    let name_it = [reads, is_conditional, charging(one(), 1), claims];
    let others = [
        charging(one(), 2),
        creating(one(), 2),
        creating(two(), 1),
        refused(one()),
    ];
    let all: Vec<Changeset> = name_it.into_iter().chain(others).collect();
    let answers = decided_together(&lanes(&memory), &all).await;
    assert!(answers[..4].iter().all(is_corrupt), "{answers:?}");
    assert!(
        answers[4..7].iter().all(is_applied) && is_refused(&answers[7]),
        "{answers:?}"
    );
    assert_eq!(
        memory.kept().records[&(one(), record(1))],
        b"?",
        "it stays for whoever mends it"
    );
}

#[tokio::test(start_paused = true)]
async fn i146_a_row_that_the_server_refuses_fails_alone() {
    let memory = Memory::default();
    memory.refuses(record(2));
    let asked = [
        telling(charging(one(), 1), 1),
        telling(creating(one(), 2), 2),
        telling(creating(one(), 3), 3),
        refused(one()),
        creating(two(), 4),
    ];
    let answers = decided_together(&lanes(&memory), &asked).await;
    assert!(is_corrupt(&answers[1]) && is_refused(&answers[3]), "{answers:?}");
    assert!(
        [0, 2, 4].iter().all(|nth| is_applied(&answers[*nth])),
        "{answers:?}"
    );
    assert_eq!(told(&memory, &one()), [1, 3]);
    assert_eq!(
        memory.kept().lanes[&one()].version,
        1,
        "the refused row used up no version"
    );
    // Whoever waits, all of them, and each alone.
    assert_eq!(memory.seen().transactions.len(), 1 + 1 + asked.len());
}

#[tokio::test(start_paused = true)]
async fn i146_one_by_one_nothing_is_begun_after_its_time() {
    let memory = Memory::default();
    memory.refuses(record(2));
    memory.script([None, None, Some((Step::Lock, How::Hangs))]);
    let asked = [charging(one(), 1), creating(one(), 2), charging(one(), 3)];
    let lanes = lanes(&memory);
    let held = memory.hold(Step::Begin).await;
    let before = asks(&lanes, &change(one()));
    settle().await;
    let asked = asked
        .each_ref()
        .map(|it| asks_within(&lanes, it, Duration::from_secs(1)));
    settle().await;
    drop(held);
    assert!(is_applied(&before.await.unwrap()));
    // The first of them hangs for two seconds.
    let answers = all(asked.into()).await;
    assert!(answers.iter().all(is_unavailable), "{answers:?}");
    assert!(memory.kept().counters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn i146_nothing_is_answered_before_the_commit_refusals_neither() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    let held = memory.hold(Step::Written).await;
    let asked = asks_together(&lanes, &[charging(one(), 1), refused(one()), change(one())]).await;
    settle().await;
    assert_eq!(memory.seen().transactions.len(), 2, "it is under way");
    assert!(asked.iter().all(|it| !it.is_finished()), "{asked:?}");
    drop(held);
    let answers = all(asked).await;
    assert!(
        is_applied(&answers[0]) && is_refused(&answers[1]) && is_applied(&answers[2]),
        "{answers:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn i146_a_batch_that_writes_nothing_is_rolled_back() {
    let memory = Memory::default();
    let answers = decided_together(&lanes(&memory), &[refused(one()), refused(one()), change(one())]).await;
    assert!(is_refused(&answers[0]) && is_applied(&answers[2]), "{answers:?}");
    let seen = memory.seen();
    assert_eq!((seen.commits, seen.rolled_back), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn i146_i58_who_goes_away_ends_no_batch() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    let held = memory.hold(Step::Written).await;
    let asked = asks_together(&lanes, &[charging(one(), 1), charging(one(), 2)]).await;
    settle().await;
    // One goes away in the midst of it, another one before it was begun.
    asked[0].abort();
    let not_begun = asks(&lanes, &charging(one(), 3));
    settle().await;
    not_begun.abort();
    settle().await;
    drop(held);
    let [_, stays] = asked.try_into().unwrap();
    assert!(is_applied(&stays.await.unwrap()));
    settle().await;
    let charged = [1, 2, 3].map(|key| charged(&memory, &one(), key));
    assert_eq!(charged, [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn i146_a_deadline_that_passes_in_the_midst_of_it_changes_no_answer() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    let held = memory.hold(Step::Written).await;
    let asked = asks_within(&lanes, &charging(one(), 1), Duration::from_secs(1));
    settle().await;
    advance(Duration::from_millis(1_500)).await;
    settle().await;
    assert!(!asked.is_finished());
    drop(held);
    assert!(is_applied(&asked.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn i146_a_batch_that_dies_is_unknown_to_all_and_its_services_go_on() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    memory.script([None, Some((Step::Commit, How::Fails))]);
    memory.answers([Asking::Panics]);
    let asked = asks_together(&lanes, &[charging(one(), 1), refused(one()), charging(two(), 1)]).await;
    let behind = asks(&lanes, &charging(two(), 2));
    let answers = all(asked).await;
    assert!(answers.iter().all(is_unknown), "{answers:?}");
    assert!(is_applied(&behind.await.unwrap()));
    assert!(is_applied(&lanes.apply(&charging(one(), 1), WITHIN).await));
}
