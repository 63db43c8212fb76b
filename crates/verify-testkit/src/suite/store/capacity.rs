//! A spray of fresh keys: bounded, nothing forgotten, room for known callers.

use verify_core::event::EventKind;
use verify_core::limit::Rule;
use verify_core::store::{Changeset, StoreAnswer, StoreFault};
use verify_core::vocabulary::ServiceId;

use super::fixture::*;

/// More than a store that is made for this suite holds.
const SPRAY: u32 = 5_000;
/// Far from the numbers of a spray.
const OLD: u32 = 1_000_000;

/// What can be sprayed.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Counters,
    Records,
    Claims,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Counters, Self::Records, Self::Claims];

    /// A changeset with one new entry that ends a minute (and the skew) later.
    fn new_entry(self, number: u32, millis: u64) -> Changeset {
        match self {
            Self::Counters => change(millis).charging(charge(counter(number), &minute())),
            Self::Records => change(millis).creating(record(number), row(b"", millis + 60_000)),
            Self::Claims => change(millis).claiming(claim(number), b"", millis + 60_000),
        }
    }
}

fn minute() -> Rule {
    window(1, 60_000)
}

fn is_full(answer: &StoreAnswer) -> bool {
    matches!(answer, StoreAnswer::NotApplied(StoreFault::Full(_)))
}

/// Brings new entries until the store is full; how many it took.
async fn fill(store: &Subject, from: u32, make: impl Fn(u32) -> Changeset) -> u32 {
    for number in from..from + SPRAY {
        match store.apply(&make(number), WITHIN).await {
            StoreAnswer::Applied(_) => {}
            StoreAnswer::NotApplied(StoreFault::Full(_)) => return number - from,
            other @ (StoreAnswer::Refused(_) | StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => {
                panic!("expected new entries to be taken until the store is full, but: {other:?}")
            }
        }
    }
    panic!("{SPRAY} new entries were taken: the store has no bound")
}

/// What was counted before the spray still counts in its midst, and can be counted on.
pub async fn i57_at_the_cap_what_is_new_is_refused_and_what_is_there_still_counts(store: Subject) {
    let rule = window(2, 3_600_000);
    applied(&store, change(0).charging(charge(counter(OLD), &rule))).await;
    let taken = fill(&store, 0, |number| Kind::Counters.new_entry(number, 0)).await;
    assert!(taken > 0);
    for number in 0..taken {
        refused(&store, Kind::Counters.new_entry(number, 0)).await;
    }
    applied(&store, change(0).charging(charge(counter(OLD), &rule))).await;
    refused(&store, change(0).charging(charge(counter(OLD), &rule))).await;
}

/// A changeset of which one part has no room does not happen at all.
pub async fn i57_a_change_without_room_changes_nothing(store: Subject) {
    let rule = window(9, 3_600_000);
    applied(&store, change(0).charging(charge(counter(OLD), &rule))).await;
    let before = state(&store, counter(OLD), &rule, 0).await;
    fill(&store, 0, |number| Kind::Claims.new_entry(number, 0)).await;
    let changeset = Kind::Claims
        .new_entry(OLD, 0)
        .charging(charge(counter(OLD), &rule))
        .creating(record(OLD), row(b"", 60_000))
        .telling(event(EventKind::SendIntended, 1));
    assert!(is_full(&store.apply(&changeset, WITHIN).await));
    assert_eq!(state(&store, counter(OLD), &rule, 0).await, before);
    assert_eq!(read(&store, record(OLD), 0).await, None);
    assert_eq!(waiting(&store).await, []);
}

/// When strangers filled their part, known callers still come in, and that has an end too.
pub async fn i57_known_callers_have_room_of_their_own(store: Subject) {
    // Kinds may share their room, so the entries of one end before the next comes.
    for (kind, at) in Kind::ALL.into_iter().zip([0, 3_600_000, 7_200_000]) {
        let strangers = fill(&store, 0, |number| kind.new_entry(number, at)).await;
        let known = fill(&store, OLD, |number| kind.new_entry(number, at).known()).await;
        assert!(known > 0, "no room is kept in {kind:?}");
        assert!(strangers > known, "most of the room is for everybody in {kind:?}");
    }
}

/// Outlived entries make room, and no others do.
pub async fn i57_room_comes_back_when_entries_end(store: Subject) {
    for (kind, at) in Kind::ALL.into_iter().zip([0, 7_200_000, 14_400_000]) {
        let taken = fill(&store, 0, |number| kind.new_entry(number, at)).await;
        let full = store.apply(&kind.new_entry(OLD, at + 59_999), WITHIN).await;
        assert!(is_full(&full), "{kind:?} were forgotten early");
        let again = fill(&store, OLD, |number| kind.new_entry(number, at + 3_600_000)).await;
        // Room that is measured in bytes is not the same to the entry.
        assert!(
            again.abs_diff(taken) * 10 <= taken,
            "{kind:?} made room for {again} of {taken}"
        );
    }
}

/// An event is stored with its change or not at all, so a change whose event has no room does not happen.
pub async fn i57_a_full_outbox_takes_no_change_that_it_would_lose(store: Subject) {
    let taken = fill(&store, 0, |number| {
        change(0).telling(event(EventKind::SendRejected, number))
    })
    .await;
    let changeset = change(0)
        .claiming(claim(1), b"", 60_000)
        .telling(event(EventKind::SendIntended, OLD));
    assert!(is_full(&store.apply(&changeset, WITHIN).await));
    assert!(is_free(&store, claim(1), 0).await);
    assert_eq!(waiting(&store).await, (0..taken).map(Some).collect::<Vec<_>>());
    let service = ServiceId::default();
    let oldest = store.outbox(&service, 1).await;
    let Ok(Some((first, _))) = oldest.map(|events| events.into_iter().next()) else {
        panic!("the outbox must be readable");
    };
    assert_eq!(store.acknowledge(&service, first).await, Ok(()));
    applied(&store, changeset).await;
}
