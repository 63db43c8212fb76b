//! Charges: decided with the core's arithmetic, counted when all is applied.

use verify_core::limit::{Counter, Rule};
use verify_core::store::{Charge, CounterKey, Mode, Row};
use verify_core::time::{SKEW, Timestamp, Until};

use super::fixture::*;

const KEY: u32 = 1;

fn empty(rule: &Rule) -> Counter {
    Counter::empty(rule)
}

fn key() -> CounterKey {
    counter(KEY)
}

/// Refused until the stated instant, admitted at it.
pub async fn i43_a_window_denies_until_the_instant_that_it_says(store: Subject) {
    let rule = window(2, 1_000);
    applied(&store, change(0).charging(charge(key(), &rule))).await;
    applied(&store, change(400).charging(charge(key(), &rule))).await;
    for millis in [500, 999] {
        let seen = refused(&store, change(millis).charging(charge(key(), &rule))).await;
        assert_eq!(
            denied(&seen, 0, &charge(key(), &rule), millis),
            Some(Until::At(at(1_000)))
        );
    }
    applied(&store, change(1_000).charging(charge(key(), &rule))).await;
    refused(&store, change(1_399).charging(charge(key(), &rule))).await;
    applied(&store, change(1_400).charging(charge(key(), &rule))).await;
}

/// The same for the wait after a failure, and for the longer one that follows.
pub async fn i43_a_lockout_denies_until_the_instant_that_it_says(store: Subject) {
    for (failure, until) in [(0, 60_000), (60_000, 120_000), (120_000, 3_720_000)] {
        applied(&store, change(failure).charging(charge(key(), &lockout()))).await;
        let seen = refused(&store, change(until - 1).charging(charge(key(), &lockout()))).await;
        assert_eq!(
            denied(&seen, 0, &charge(key(), &lockout()), until - 1),
            Some(Until::At(at(until)))
        );
    }
    applied(&store, change(3_720_000).charging(charge(key(), &lockout()))).await;
}

/// What was used up stays so when the clock jumps back.
pub async fn i44_a_jump_back_opens_nothing(store: Subject) {
    let rule = window(1, 1_000);
    applied(&store, change(50_000).charging(charge(key(), &rule))).await;
    let seen = refused(&store, change(500).charging(charge(key(), &rule))).await;
    assert_eq!(
        denied(&seen, 0, &charge(key(), &rule), 500),
        Some(Until::At(at(51_000)))
    );
}

/// A window has no edges: what was admitted late in one minute still counts early in the next.
pub async fn i12_an_interval_across_any_edge_holds_no_more(store: Subject) {
    let rule = window(2, 1_000);
    for millis in [999, 999] {
        applied(&store, change(millis).charging(charge(key(), &rule))).await;
    }
    for millis in [1_000, 1_998] {
        refused(&store, change(millis).charging(charge(key(), &rule))).await;
    }
    applied(&store, change(1_999).charging(charge(key(), &rule))).await;
}

/// Stamps are rounded up, and the time of the next charge is not taken from them.
pub async fn i12_the_edge_of_a_rounded_window_admits_no_more(store: Subject) {
    let rule = window(17, 16_000);
    let units = |cost, millis| {
        let mut changeset = change(0).charging(Charge {
            cost,
            ..charge(key(), &rule)
        });
        changeset.at = Timestamp::from_millis(millis);
        changeset
    };
    applied(&store, units(16, 16_000)).await;
    applied(&store, units(1, 31_001)).await;
    refused(&store, units(16, 31_002)).await;
}

/// A state is there until it decides nothing and the skew has passed, and then it is not.
pub async fn i11_counters_end_and_not_before_their_time(store: Subject) {
    let rule = window(1, 1_000);
    applied(&store, change(0).charging(charge(key(), &rule))).await;
    let Ok(skew) = u64::try_from(SKEW.as_millis()) else {
        panic!("a skew of ages")
    };
    assert_ne!(
        state(&store, key(), &rule, 1_000 + skew - 1).await,
        empty(&rule),
        "forgotten early"
    );
    assert_eq!(
        state(&store, key(), &rule, 1_000 + skew).await,
        empty(&rule),
        "kept too long"
    );
    applied(&store, change(1_000 + skew).charging(charge(key(), &rule))).await;
    assert_ne!(
        state(&store, key(), &rule, 2_000 + skew).await,
        empty(&rule),
        "the new one ended with the old one"
    );
}

/// Without a live record nothing is counted, but the denial is the same.
pub async fn i14_a_conditional_charge_is_decided_always_and_counted_only_while_live(store: Subject) {
    let rule = window(1, 60_000);
    let conditional = || Charge {
        when_live: vec![record(1), record(2)],
        ..charge(key(), &rule)
    };
    let seen = applied(&store, change(0).charging(conditional())).await;
    assert!(!was_counted(&seen, 0), "nothing is live");
    let live = Row {
        live_until: Some(at(5_000)),
        ..row(b"", 600_000)
    };
    applied(&store, change(0).creating(record(2), live)).await;
    let seen = applied(&store, change(5_000).charging(conditional())).await;
    assert!(!was_counted(&seen, 0), "it was live until then");
    let seen = applied(&store, change(4_999).charging(conditional())).await;
    assert!(was_counted(&seen, 0), "it is live");
    let seen = refused(&store, change(6_000).charging(conditional())).await;
    assert_eq!(
        denied(&seen, 0, &conditional(), 6_000),
        Some(Until::At(at(64_999)))
    );
}

/// A probe says what a charge would say.
pub async fn a_probe_refuses_and_counts_nothing(store: Subject) {
    let rule = window(1, 60_000);
    for _ in 0..3 {
        let seen = applied(&store, change(0).charging(probe(key(), &rule))).await;
        assert!(
            seen.counters.iter().all(|counter| counter.after == empty(&rule)),
            "a probe counts nothing"
        );
    }
    applied(&store, change(0).charging(charge(key(), &rule))).await;
    refused(&store, change(1).charging(probe(key(), &rule))).await;
}

/// A rule that was waived counts all the same, so that the next charge finds it used.
pub async fn a_forced_charge_counts_even_above_the_maximum(store: Subject) {
    let rule = window(1, 1_000);
    applied(&store, change(0).charging(charge(key(), &rule))).await;
    let seen = applied(&store, change(500).charging(force(key(), &rule))).await;
    assert!(was_counted(&seen, 0));
    refused(&store, change(1_499).charging(charge(key(), &rule))).await;
    applied(&store, change(1_500).charging(charge(key(), &rule))).await;
}

/// The second charge on a key is decided on what the first one left.
pub async fn charges_of_one_changeset_see_each_other(store: Subject) {
    let rule = window(1, 1_000);
    let twice = change(0)
        .charging(charge(key(), &rule))
        .charging(charge(key(), &rule));
    refused(&store, twice).await;
    let other = charge(counter(2), &rule);
    applied(&store, change(0).charging(charge(key(), &rule)).charging(other)).await;
}

/// No wait helps where one charge alone is too much.
pub async fn a_cost_above_the_maximum_is_never_admitted(store: Subject) {
    let dear = Charge {
        cost: 4,
        mode: Mode::Charge,
        ..charge(key(), &window(3, 1_000))
    };
    let seen = refused(&store, change(0).charging(dear.clone())).await;
    assert_eq!(denied(&seen, 0, &dear, 0), Some(Until::Never));
}

/// A success ends the run of its key.
pub async fn i39_a_reset_ends_the_run_that_it_names_and_no_other(store: Subject) {
    for number in [1, 2] {
        applied(&store, change(0).charging(charge(counter(number), &lockout()))).await;
    }
    let mut success = change(1_000);
    success.resets.push(counter(1));
    applied(&store, success).await;
    refused(&store, change(1_000).charging(charge(counter(2), &lockout()))).await;
    let seen = applied(&store, change(1_000).charging(charge(counter(1), &lockout()))).await;
    let after = seen.counters.first().map(|counter| counter.after.clone());
    assert!(
        matches!(after, Some(Counter::Backoff(backoff)) if backoff.count == 1),
        "the run began anew"
    );
}

/// An operator's word ends what a limit has counted; a key that holds nothing may be named.
pub async fn a_reset_ends_the_window_that_it_names_and_no_other(store: Subject) {
    let rule = window(1, 60_000);
    for number in [1, 2] {
        applied(&store, change(0).charging(charge(counter(number), &rule))).await;
    }
    let mut unlock = change(1_000);
    unlock.resets.extend([counter(1), counter(3)]);
    applied(&store, unlock).await;
    refused(&store, change(1_000).charging(charge(counter(2), &rule))).await;
    applied(&store, change(1_000).charging(charge(counter(1), &rule))).await;
    refused(&store, change(60_999).charging(charge(counter(1), &rule))).await;
}
