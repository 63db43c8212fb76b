//! Many at once. A barrier lets all of them go together, on several threads.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use verify_core::event::EventKind;
use verify_core::limit::Counter;
use verify_core::store::{Changeset, Charge, Expect, Seen, StoreAnswer, Write};

use super::fixture::*;

const AT_ONCE: u32 = 200;

/// Applies all of them at once; what the applied ones saw, with their numbers.
async fn at_once(store: &Subject, make: impl Fn(u32) -> Changeset) -> Vec<(u32, Seen)> {
    let barrier = Arc::new(Barrier::new(AT_ONCE as usize));
    let mut tasks = JoinSet::new();
    for number in 0..AT_ONCE {
        let (store, barrier, changeset) = (Arc::clone(store), Arc::clone(&barrier), make(number));
        tasks.spawn(async move {
            barrier.wait().await;
            (number, store.apply(&changeset, WITHIN).await)
        });
    }
    let mut all_applied = Vec::new();
    for (number, answer) in tasks.join_all().await {
        match answer {
            StoreAnswer::Applied(seen) => all_applied.push((number, seen)),
            StoreAnswer::Refused(_) => {}
            other @ (StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => {
                panic!("a store at hand answered {other:?}")
            }
        }
    }
    all_applied
}

/// Of two hundred at once exactly as many get through as the limit admits.
pub async fn i12_i05_parallel_charges_never_exceed_the_maximum(store: Subject) {
    for max in [1, 16, 50] {
        let rule = window(max, 60_000);
        let key = counter(u32::try_from(max).unwrap_or(0));
        let through = at_once(&store, |number| {
            change(u64::from(number)).charging(charge(key, &rule))
        })
        .await;
        assert_eq!(u64::try_from(through.len()), Ok(max));
    }
}

/// The same for units: ten at a time, a hundred and five admitted.
pub async fn i32_parallel_money_never_exceeds_its_cap(store: Subject) {
    let rule = window(105, 60_000);
    let through = at_once(&store, |_| {
        change(0).charging(Charge {
            cost: 10,
            ..charge(counter(1), &rule)
        })
    })
    .await;
    assert_eq!(through.len(), 10);
}

/// One creates it, all others are told.
pub async fn i29_of_parallel_claims_exactly_one_is_created(store: Subject) {
    let winners = at_once(&store, |number| {
        change(0).claiming(claim(1), &number.to_be_bytes(), 60_000)
    })
    .await;
    let [(winner, _)] = winners.as_slice() else {
        panic!("{} created one claim", winners.len())
    };
    let seen = refused(&store, change(1).claiming(claim(1), b"", 60_000)).await;
    assert_eq!(
        seen.claim(&claim(1)).map(|claim| claim.value.clone()),
        Some(winner.to_be_bytes().to_vec())
    );
}

/// One swaps at a version, on creation and afterwards.
pub async fn i02_of_parallel_swaps_exactly_one_wins(store: Subject) {
    let put = |number: u32| Write::Put(row(&number.to_be_bytes(), 600_000));
    let mut expect = Expect::Absent;
    for _ in 0..3 {
        let winners = at_once(&store, |number| {
            change(0).swapping(record(1), expect, put(number))
        })
        .await;
        let [(winner, seen)] = winners.as_slice() else {
            panic!("{} won one swap", winners.len())
        };
        let written = seen.record(&record(1)).cloned();
        assert_eq!(
            written.as_ref().map(|row| row.bytes.clone()),
            Some(winner.to_be_bytes().to_vec())
        );
        assert_eq!(read(&store, record(1), 0).await, written);
        expect = written.map_or(Expect::Absent, |row| Expect::At(row.version));
    }
}

/// Forced past the waits, none of two hundred failures is lost.
pub async fn i06_parallel_failures_are_all_counted(store: Subject) {
    let through = at_once(&store, |_| change(0).charging(force(counter(1), &lockout()))).await;
    assert_eq!(through.len(), AT_ONCE as usize);
    let run = state(&store, counter(1), &lockout(), 0).await;
    assert!(
        matches!(run, Counter::Backoff(backoff) if backoff.count == AT_ONCE),
        "failures were lost: {run:?}"
    );
}

/// Changesets over the same keys in different orders do not wait for each other for ever, and none counts half.
pub async fn parallel_changes_over_many_keys_end_and_balance(store: Subject) {
    let rule = window(10_000, 600_000);
    let keys = |number: u32| {
        let mut keys: Vec<u32> = (0..8)
            .map(|step| (number + step * (1 + number % 3)) % 16)
            .collect();
        if number.is_multiple_of(2) {
            keys.reverse();
        }
        keys
    };
    let scarce = window(120, 600_000);
    let make = |number| {
        let start = change(0).charging(charge(counter(100), &scarce));
        keys(number).into_iter().fold(start, |changeset, key| {
            changeset.charging(charge(counter(key), &rule))
        })
    };
    let through = at_once(&store, make).await;
    assert_eq!(through.len(), 120);
    for key in 0..16 {
        let expected = through
            .iter()
            .flat_map(|(number, _)| keys(*number))
            .filter(|charged| *charged == key)
            .count();
        let counted = match state(&store, counter(key), &rule, 0).await {
            Counter::Window(window) => window.stamps().iter().map(|stamp| stamp.units).sum::<u64>(),
            Counter::Backoff(_) => panic!("a window was charged"),
        };
        assert_eq!(u64::try_from(expected), Ok(counted));
    }
}

/// The order of events is the order in which their changes were counted.
pub async fn parallel_events_keep_the_order_of_their_changes(store: Subject) {
    let make = |number| {
        change(0)
            .charging(force(counter(1), &lockout()))
            .telling(event(EventKind::SendRejected, number))
    };
    let mut through = at_once(&store, make).await;
    through.sort_by_key(
        |(_, seen)| match seen.counters.first().map(|counter| &counter.after) {
            Some(Counter::Backoff(backoff)) => backoff.count,
            Some(Counter::Window(_)) | None => panic!("a failure was charged"),
        },
    );
    let counted: Vec<_> = through.into_iter().map(|(number, _)| Some(number)).collect();
    assert_eq!(waiting(&store).await, counted);
}
