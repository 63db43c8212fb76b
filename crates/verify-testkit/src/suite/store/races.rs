//! Many at once. A barrier lets all of them go together, on several threads.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use verify_core::event::EventKind;
use verify_core::ids::HolderId;
use verify_core::limit::{Counter, Rule};
use verify_core::store::{Changeset, Charge, CounterKey, EventSeq, Expect, Seen, StoreAnswer, Work, Write};
use verify_core::vocabulary::ServiceId;

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
        let counted = units(&store, counter(key), &rule).await;
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

/// Those that share its transaction, or come into the one after it, are answered.
pub async fn whoever_goes_away_takes_nobody_along(store: Subject) {
    let rule = window(10, 60_000);
    // Each time a bit later.
    for polls in 1..=8 {
        let charging = change(0).charging(charge(counter(polls), &rule));
        let mut others = JoinSet::new();
        for _ in 0..16 {
            let (store, charging) = (Arc::clone(&store), charging.clone());
            others.spawn(async move { store.apply(&charging, WITHIN).await });
        }
        let goes_away = at_most(polls, store.apply(&charging, WITHIN));
        let (_, others) = tokio::join!(goes_away, others.join_all());
        let mut told = 0;
        for answer in others {
            match answer {
                StoreAnswer::Applied(_) => told += 1,
                StoreAnswer::Refused(_) => {}
                other @ (StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => {
                    panic!("somebody else went away, and this was answered {other:?}")
                }
            }
        }
        let counted = units(&store, counter(polls), &rule).await;
        assert!(
            told <= counted && counted == 10,
            "{told} were told, {counted} counted"
        );
    }
}

/// What is counted in a window.
async fn units(store: &Subject, key: CounterKey, rule: &Rule) -> u64 {
    match state(store, key, rule, 0).await {
        Counter::Window(window) => window.stamps().iter().map(|stamp| stamp.units).sum(),
        Counter::Backoff(_) => panic!("a window was charged"),
    }
}

/// What was outlived is dropped and comes anew at once: what is new stays.
pub async fn what_comes_anew_is_not_dropped_with_what_was_outlived(store: Subject) {
    let service = ServiceId::default();
    for round in 0..12 {
        let (before, now) = (round * 3_600_000, round * 3_600_000 + 1_800_000);
        for number in 0..8 {
            let old = change(before)
                .creating(record(number), row(b"old", before + 60_000))
                .claiming(claim(number), b"old", before + 60_000);
            applied(&store, old).await;
        }
        let barrier = Arc::new(Barrier::new(9));
        let mut tasks = JoinSet::new();
        for number in 0..8 {
            let (store, barrier) = (Arc::clone(&store), Arc::clone(&barrier));
            tasks.spawn(async move {
                barrier.wait().await;
                let new = change(now)
                    .creating(record(number), row(b"new", now + 600_000))
                    .claiming(claim(number), b"new", now + 600_000);
                applied(&store, new).await;
            });
        }
        let (clearing, of, start) = (Arc::clone(&store), service.clone(), Arc::clone(&barrier));
        tasks.spawn(async move {
            start.wait().await;
            // Each time a bit later.
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            for _ in 0..4 {
                // A fault leaves them for the next time.
                clearing.drop_outlived(&of, at(now), 8).await.ok();
            }
        });
        tasks.join_all().await;
        for number in 0..8 {
            let kept = read(&store, record(number), now).await.map(|row| row.bytes);
            assert_eq!(kept, Some(b"new".to_vec()), "a record that came anew was dropped");
            assert!(
                !is_free(&store, claim(number), now).await,
                "a claim that came anew was dropped"
            );
        }
    }
}

/// The same that is asked twice, after its answer was lost or because somebody doubled it, happens once.
pub async fn of_parallel_copies_of_one_change_exactly_one_happens(store: Subject) {
    let rule = window(1_000, 60_000);
    let copies = at_once(&store, |_| {
        change(0)
            .charging(charge(counter(1), &rule))
            .creating(record(1), row(b"once", 600_000))
            .claiming(claim(1), b"mine", 600_000)
            .telling(event(EventKind::SendIntended, 1))
    })
    .await;
    assert_eq!(copies.len(), 1, "copies of one change happened");
    assert_eq!(waiting(&store).await, [Some(1)]);
    assert_eq!(units(&store, counter(1), &rule).await, 1);
}

/// Whoever reads and acknowledges while they come gets each once, in the order of its change, at places that rise.
pub async fn events_that_come_while_others_are_taken_are_handed_over_once_and_in_order(store: Subject) {
    let service = ServiceId::default();
    let mut telling = JoinSet::new();
    for number in 0..AT_ONCE {
        let store = Arc::clone(&store);
        telling.spawn(async move {
            let told = change(0)
                .charging(force(counter(1), &lockout()))
                .telling(event(EventKind::SendRejected, number));
            let seen = applied(&store, told).await;
            match seen.counters.first().map(|counter| &counter.after) {
                Some(Counter::Backoff(run)) => (run.count, Some(number)),
                Some(Counter::Window(_)) | None => panic!("a failure was charged"),
            }
        });
    }
    let (mut taken, mut counted) = (Vec::<(EventSeq, Option<u32>)>::new(), Vec::new());
    loop {
        while let Some(told) = telling.try_join_next() {
            match told {
                Ok(told) => counted.push(told),
                Err(why) => panic!("one could not be told: {why}"),
            }
        }
        let all_are_told = telling.is_empty();
        let Ok(events) = store.outbox(&service, 7).await else {
            panic!("the outbox must be readable")
        };
        taken.extend(events.iter().map(|(place, event)| (*place, event.code)));
        assert!(
            taken.is_sorted_by_key(|(place, _)| *place),
            "places went back: {taken:?}"
        );
        match events.last() {
            Some((last, _)) => assert_eq!(store.acknowledge(&service, *last).await, Ok(())),
            None if all_are_told => break,
            None => tokio::task::yield_now().await,
        }
    }
    counted.sort_unstable();
    let counted: Vec<_> = counted.into_iter().map(|(_, number)| number).collect();
    let taken: Vec<_> = taken.into_iter().map(|(_, number)| number).collect();
    assert_eq!(taken, counted);
}

/// Of many who ask for the same work at once one has it.
pub async fn of_parallel_holders_one_is_lent_the_work(store: Subject) {
    for work in [Work::Sweep, Work::Pump, Work::Housekeeping, Work::Sink] {
        let barrier = Arc::new(Barrier::new(32));
        let mut tasks = JoinSet::new();
        for number in 0..32 {
            let (store, barrier) = (Arc::clone(&store), Arc::clone(&barrier));
            tasks.spawn(async move {
                barrier.wait().await;
                let holder = HolderId::from_bytes([number; 16]);
                let hour = Duration::from_secs(3_600);
                (
                    holder,
                    store.lease(work, &ServiceId::default(), holder, hour).await,
                )
            });
        }
        let lent = tasks.join_all().await;
        let lent: Vec<_> = lent.into_iter().filter(|(_, lent)| *lent == Ok(true)).collect();
        assert_eq!(lent.len(), 1, "the work was lent to {lent:?}");
    }
}
