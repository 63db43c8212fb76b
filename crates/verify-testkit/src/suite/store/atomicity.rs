//! All or nothing.

use verify_core::event::EventKind;
use verify_core::limit::Counter;
use verify_core::store::{Alert, Changeset, Claim, Expect, RecordKey, Seen, StoreAnswer, Write};
use verify_core::time::{Timestamp, Until};

use super::fixture::*;

const HELD: u32 = 1;
const FRESH: u32 = 2;

/// A store in which a limit is used up, a run has a failure, a record and a claim exist.
async fn used(store: &Subject) {
    let setup = change(0)
        .charging(charge(counter(HELD), &window(1, 60_000)))
        .charging(charge(counter(3), &lockout()))
        .creating(record(HELD), row(b"there", 600_000))
        .claiming(claim(HELD), b"mine", 600_000);
    applied(store, setup).await;
}

/// One of everything that would be applied.
fn one_of_everything() -> Changeset {
    let mut everything = change(1_000)
        .charging(charge(counter(FRESH), &window(5, 60_000)))
        .creating(record(FRESH), row(b"new", 600_000))
        .claiming(claim(FRESH), b"new", 600_000)
        .telling(event(EventKind::SendIntended, 1));
    everything.resets.push(counter(3));
    everything.unclaim.push(claim(HELD));
    everything
}

async fn nothing_changed(store: &Subject) {
    let empty = Counter::empty(&window(5, 60_000));
    assert_eq!(
        state(store, counter(FRESH), &window(5, 60_000), 1_000).await,
        empty,
        "a charge was counted"
    );
    assert_eq!(
        read(store, record(FRESH), 1_000).await,
        None,
        "a record was written"
    );
    assert!(is_free(store, claim(FRESH), 1_000).await, "a claim was created");
    assert!(!is_free(store, claim(HELD), 1_000).await, "a claim was removed");
    assert_eq!(waiting(store).await, [], "an event was stored");
    let run = state(store, counter(3), &lockout(), 1_000).await;
    assert!(
        matches!(run, Counter::Backoff(backoff) if backoff.count == 1),
        "a run was reset"
    );
    let held = read(store, record(HELD), 1_000).await;
    assert_eq!(
        held.map(|row| row.bytes),
        Some(b"there".to_vec()),
        "a record was changed"
    );
}

/// One denied charge, and all the rest does not happen.
pub async fn i49_a_denied_charge_changes_nothing(store: Subject) {
    used(&store).await;
    refused(
        &store,
        one_of_everything().charging(charge(counter(HELD), &window(1, 60_000))),
    )
    .await;
    nothing_changed(&store).await;
}

/// One unmet expectation, and all the rest does not happen.
pub async fn i49_a_failed_expectation_changes_nothing(store: Subject) {
    used(&store).await;
    let swap = one_of_everything().swapping(record(HELD), Expect::Absent, Write::Delete);
    let seen = refused(&store, swap).await;
    assert!(
        seen.record(&record(HELD)).is_some(),
        "it shows what was not expected"
    );
    nothing_changed(&store).await;
}

/// One claim that exists, and all the rest does not happen.
pub async fn i49_an_existing_claim_changes_nothing(store: Subject) {
    used(&store).await;
    let mut changeset = one_of_everything().claiming(claim(4), b"", 600_000);
    applied(&store, change(500).claiming(claim(4), b"", 600_000)).await;
    changeset.unclaim.push(claim(4));
    refused(&store, changeset).await;
    nothing_changed(&store).await;
}

/// Its answer was lost and it is asked again: refused, and shown by its own claim and row that it had happened.
pub async fn i49_the_same_changeset_again_changes_nothing_and_shows_that_it_happened(store: Subject) {
    used(&store).await;
    let first = applied(&store, one_of_everything()).await;
    let counted = state(&store, counter(FRESH), &window(5, 60_000), 1_000).await;
    for _ in 0..3 {
        let again = refused(&store, one_of_everything()).await;
        assert_eq!(
            again.record(&record(FRESH)),
            first.record(&record(FRESH)),
            "its own row"
        );
        assert_eq!(
            again.claim(&claim(FRESH)).map(|claim| claim.value.clone()),
            Some(b"new".to_vec())
        );
    }
    assert_eq!(waiting(&store).await, [Some(1)], "its event came again");
    let now = state(&store, counter(FRESH), &window(5, 60_000), 1_000).await;
    assert_eq!(now, counted, "it was counted again");
}

/// Every part of an applied changeset is there afterwards.
pub async fn all_of_a_changeset_happens(store: Subject) {
    used(&store).await;
    let seen = applied(&store, one_of_everything()).await;
    assert!(was_counted(&seen, 0) && seen.claims.is_empty());
    assert_ne!(
        state(&store, counter(FRESH), &window(5, 60_000), 1_000).await,
        Counter::empty(&window(5, 60_000))
    );
    assert_eq!(
        read(&store, record(FRESH), 1_000).await.map(|row| row.bytes),
        Some(b"new".to_vec())
    );
    assert!(!is_free(&store, claim(FRESH), 1_000).await);
    assert!(is_free(&store, claim(HELD), 1_000).await);
    assert_eq!(waiting(&store).await, [Some(1)]);
    let run = state(&store, counter(3), &lockout(), 1_000).await;
    assert!(matches!(run, Counter::Backoff(backoff) if backoff.count == 0));
}

/// A refusal names every denial with its instant, the claim that was there, and the rows, in one trip.
pub async fn a_refusal_says_all_that_stood_against_it(store: Subject) {
    used(&store).await;
    let charges = [
        charge(counter(HELD), &window(1, 60_000)),
        charge(counter(FRESH), &window(1, 60_000)),
        charge(counter(3), &lockout()),
    ];
    let changeset = charges
        .iter()
        .cloned()
        .fold(change(1_000), Build::charging)
        .swapping(record(HELD), Expect::Absent, Write::Keep)
        .claiming(claim(HELD), b"other", 900_000)
        .reading(record(77));
    let seen = refused(&store, changeset).await;
    let charges = charges.iter().enumerate();
    let denials: Vec<_> = charges
        .map(|(place, charge)| denied(&seen, place, charge, 1_000))
        .collect();
    assert_eq!(
        denials,
        [Some(Until::At(at(60_000))), None, Some(Until::At(at(60_000)))]
    );
    assert!(
        seen.counters
            .iter()
            .all(|counter| counter.after == counter.before),
        "nothing was counted"
    );
    assert_eq!(
        seen.record(&record(HELD)).map(|row| row.bytes.clone()),
        Some(b"there".to_vec())
    );
    let named: Vec<RecordKey> = seen.records.iter().map(|(key, _)| *key).collect();
    assert_eq!(named, [record(HELD), record(77)]);
    let mine = Claim {
        key: claim(HELD),
        value: b"mine".to_vec(),
        expires_at: at(600_000),
    };
    assert_eq!(seen.claims, [mine]);
}

/// The same keys in another service are other keys.
pub async fn services_are_apart(store: Subject) {
    used(&store).await;
    let mut elsewhere = change(1_000)
        .charging(charge(counter(HELD), &window(1, 60_000)))
        .creating(record(HELD), row(b"elsewhere", 600_000))
        .claiming(claim(HELD), b"", 600_000);
    elsewhere.service = another();
    applied(&store, elsewhere).await;
    assert_eq!(
        read(&store, record(HELD), 1_000).await.map(|row| row.bytes),
        Some(b"there".to_vec())
    );
}

/// Nothing to do is done.
pub async fn an_empty_changeset_is_applied(store: Subject) {
    let seen = applied(&store, change(0)).await;
    let nothing = Seen {
        origin: seen.origin,
        ..Seen::default()
    };
    assert_eq!(seen, nothing);
    assert!(
        seen.origin.accepted,
        "a fresh store holds what it is expected to hold"
    );
    assert_eq!(
        store.health().await.map(|origin| origin.epoch),
        Ok(seen.origin.epoch)
    );
}

/// Whether it was used up may have been known to an earlier epoch: it cannot be used now. A store that says of no epoch when it was
/// made has forgotten nothing.
pub async fn i62_what_was_issued_before_the_epoch_cannot_be_used_up(store: Subject) {
    let made = applied(&store, change(0)).await.origin.made;
    let using_up = |issued| Changeset {
        at: made,
        uses_up: Some(issued),
        ..change(0)
    };
    let before = Timestamp::from_millis(made.as_millis().saturating_sub(1));
    let answer = store.apply(&using_up(before), WITHIN).await;
    let is_refused = matches!(answer, StoreAnswer::Refused(_));
    assert_eq!(is_refused, before < made, "{answer:?}");
    applied(&store, using_up(made)).await;
}

/// It says so when it can decide.
pub async fn a_store_at_hand_is_healthy(store: Subject) {
    assert!(store.health().await.is_ok());
}

/// The same alert within its time is left out, and everything else happens.
pub async fn an_alert_is_raised_once_within_its_time(store: Subject) {
    let alerting = |millis: u64, code| {
        let mut changeset = change(millis).telling(event(EventKind::SendAccepted, code));
        changeset.alerts.push(Alert {
            event: event(EventKind::LimitAlert, 100 + code),
            once: Claim {
                key: claim(1),
                value: Vec::new(),
                expires_at: at(millis + 1_000),
            },
        });
        changeset
    };
    for (millis, code) in [(0, 1), (999, 2), (1_000, 3)] {
        applied(&store, alerting(millis, code)).await;
    }
    let told = [1, 101, 2, 3, 103].map(Some);
    assert_eq!(
        waiting(&store).await,
        told,
        "the alert comes behind the events of its change"
    );
}
