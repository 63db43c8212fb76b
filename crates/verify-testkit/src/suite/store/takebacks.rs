//! Takebacks: once, and never what somebody else counted.

use std::time::Duration;

use verify_core::limit::Counter;
use verify_core::store::{Changeset, Charge, ClaimKey, ClaimKind, Counted, CounterKey, Seen, Takeback};

use super::fixture::*;

fn marker(number: u32) -> ClaimKey {
    ClaimKey {
        kind: ClaimKind::Takeback,
        ..claim(number)
    }
}

/// Undoes the window charge that an answer tells of.
fn units_of(seen: &Seen, key: CounterKey, per: u64) -> Takeback {
    let Some(Counter::Window(after)) = seen.counters.first().map(|counter| counter.after.clone()) else {
        panic!("the answer has no window");
    };
    let counted = Counted::Units {
        per: Duration::from_millis(per),
        units: 1,
        at: after.newest(),
    };
    Takeback {
        key,
        counted,
        once: marker(1),
        expires_at: at(600_000),
    }
}

/// Undoes the failure that an answer tells of.
fn failure_of(seen: &Seen, key: CounterKey) -> Takeback {
    let states = seen
        .counters
        .first()
        .map(|counter| (counter.before.clone(), counter.after.clone()));
    let Some((Counter::Backoff(before), Counter::Backoff(charged))) = states else {
        panic!("the answer has no run");
    };
    let counted = Counted::Failure {
        before,
        charged,
        forget_after: Duration::from_secs(86_400),
    };
    Takeback {
        key,
        counted,
        once: marker(1),
        expires_at: at(600_000),
    }
}

fn taking_back(millis: u64, takeback: &Takeback) -> Changeset {
    let mut changeset = change(millis);
    changeset.takebacks.push(takeback.clone());
    changeset
}

/// A charges, takes back, B charges at the same instant; A's second try, after a lost answer, leaves B's alone.
pub async fn a_takeback_happens_once(store: Subject) {
    let rule = window(1, 60_000);
    let seen = applied(&store, change(0).charging(charge(counter(1), &rule))).await;
    let takeback = units_of(&seen, counter(1), 60_000);
    applied(&store, taking_back(1, &takeback)).await;
    applied(&store, change(0).charging(charge(counter(1), &rule))).await;
    applied(&store, taking_back(2, &takeback)).await;
    refused(&store, change(3).charging(charge(counter(1), &rule))).await;
}

/// The failure belonged to a run that a success has ended; the one of the next run stays.
pub async fn a_takeback_after_a_reset_does_nothing(store: Subject) {
    let seen = applied(&store, change(0).charging(charge(counter(1), &lockout()))).await;
    let takeback = failure_of(&seen, counter(1));
    let mut success = change(1);
    success.resets.push(counter(1));
    applied(&store, success).await;
    applied(&store, change(2).charging(charge(counter(1), &lockout()))).await;
    applied(&store, taking_back(3, &takeback)).await;
    refused(&store, change(4).charging(charge(counter(1), &lockout()))).await;
}

/// The same of a window whose stamps are rounded: what was charged since shares the stamp, and stays.
pub async fn a_takeback_after_a_window_was_ended_does_nothing(store: Subject) {
    let rule = window(20, 16_000);
    let seen = applied(&store, change(1).charging(charge(counter(1), &rule))).await;
    let takeback = units_of(&seen, counter(1), 16_000);
    let mut unlock = change(2);
    unlock.resets.push(counter(1));
    applied(&store, unlock).await;
    let all = Charge {
        cost: 20,
        ..charge(counter(1), &rule)
    };
    applied(&store, change(3).charging(all)).await;
    applied(&store, taking_back(4, &takeback)).await;
    refused(&store, change(5).charging(charge(counter(1), &rule))).await;
}

/// Refused, it is neither undone nor marked as undone: the next try does it.
pub async fn a_takeback_of_a_refused_changeset_did_not_happen(store: Subject) {
    let rule = window(1, 60_000);
    let seen = applied(&store, change(0).charging(charge(counter(1), &rule))).await;
    applied(&store, change(0).charging(charge(counter(2), &rule))).await;
    let takeback = units_of(&seen, counter(1), 60_000);
    refused(
        &store,
        taking_back(1, &takeback).charging(charge(counter(2), &rule)),
    )
    .await;
    refused(&store, change(2).charging(charge(counter(1), &rule))).await;
    applied(&store, taking_back(3, &takeback)).await;
    applied(&store, change(4).charging(charge(counter(1), &rule))).await;
}

/// In one changeset: what is undone or ended makes room for what is charged.
pub async fn takebacks_and_resets_come_before_charges(store: Subject) {
    let rule = window(1, 60_000);
    let seen = applied(&store, change(0).charging(charge(counter(1), &rule))).await;
    let takeback = units_of(&seen, counter(1), 60_000);
    applied(
        &store,
        taking_back(1, &takeback).charging(charge(counter(1), &rule)),
    )
    .await;
    refused(&store, change(2).charging(charge(counter(1), &rule))).await;
    applied(&store, change(0).charging(charge(counter(2), &lockout()))).await;
    let mut again = change(1).charging(charge(counter(2), &lockout()));
    again.resets.push(counter(2));
    applied(&store, again).await;
}
