//! What a transaction found of a service, and the decisions on it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use verify_core::store::{
    Changeset, ClaimKey, CounterKey, Evaluation, Loaded, Names, Origin, RecordKey, Room, StoreAnswer,
    StoreFault, kept,
};
use verify_core::vocabulary::ServiceId;

use crate::limits::Limits;
use crate::written::{Decided, LaneRow};

/// How much room is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fill {
    /// Enough.
    #[default]
    Free,
    /// What is left is for known callers, and for what ends or repairs what is there.
    ForKnown,
    /// None: nothing new comes in.
    Full,
}

impl Fill {
    fn admits(self, room: Room) -> bool {
        match self {
            Self::Free => true,
            Self::ForKnown => room == Room::Known,
            Self::Full => false,
        }
    }
}

/// What a transaction found of a service under the lock of its lane.
#[derive(Debug)]
pub struct Found {
    lane: LaneRow,
    fill: Fill,
    loaded: Loaded,
    /// What is there and nobody can read.
    unreadable: Unreadable,
    /// The kept forms of those that were decided.
    events: Vec<Vec<u8>>,
}

/// What was decided on a changeset: its answer, if the transaction is committed.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) answer: StoreAnswer,
    /// True when something of it is there afterwards that was not before.
    pub(crate) writes: bool,
}

#[derive(Debug, Default)]
struct Unreadable {
    counters: BTreeSet<CounterKey>,
    records: BTreeSet<RecordKey>,
    claims: BTreeSet<ClaimKey>,
}

impl Found {
    /// A lane, where it is held, and how much room is left there. What was named follows.
    pub fn new(lane: LaneRow, origin: Origin, fill: Fill) -> Self {
        Self {
            lane,
            fill,
            loaded: Loaded::new(origin),
            unreadable: Unreadable::default(),
            events: Vec::new(),
        }
    }

    /// Where it is held, as the answers will say.
    pub fn origin(&self) -> Origin {
        self.loaded.origin()
    }

    /// The kept form of a counter.
    pub fn counter(&mut self, key: CounterKey, bytes: &[u8]) {
        match kept::read_counter(bytes) {
            Ok((state, ends)) => self.loaded.counter(key, state, ends),
            Err(_) => drop(self.unreadable.counters.insert(key)),
        }
    }

    /// The kept form of a record.
    pub fn record(&mut self, key: RecordKey, bytes: &[u8]) {
        match kept::read_row(bytes) {
            Ok(row) => self.loaded.record(key, row),
            Err(_) => drop(self.unreadable.records.insert(key)),
        }
    }

    /// The kept form of a claim.
    pub fn claim(&mut self, key: ClaimKey, bytes: &[u8]) {
        match kept::read_claim(key, bytes) {
            Ok(claim) => self.loaded.claim(claim),
            Err(_) => drop(self.unreadable.claims.insert(key)),
        }
    }

    /// Decides one more. What it may not have is not answered by a refusal: nothing was decided.
    pub(crate) fn decide(&mut self, changeset: &Changeset, names: &Names, limits: &Limits) -> Verdict {
        if self.unreadable.has(names) {
            return not_decided(StoreFault::corrupt("a row that is named is not in its format"));
        }
        let decided = catch_unwind(AssertUnwindSafe(|| self.try_to(changeset, limits)));
        decided.unwrap_or_else(|_| not_decided(StoreFault::defect("a decision panicked")))
    }

    fn try_to(&mut self, changeset: &Changeset, limits: &Limits) -> Verdict {
        let verdict = self.decide_whole(changeset, limits);
        let is_full = matches!(verdict.answer, StoreAnswer::NotApplied(StoreFault::Full(_)));
        if !is_full || changeset.alerts.is_empty() {
            return verdict;
        }
        // An alert refuses nothing: where there is no room for it, it is left out.
        let without = Changeset {
            alerts: Vec::new(),
            ..changeset.clone()
        };
        self.decide_whole(&without, limits)
    }

    fn decide_whole(&mut self, changeset: &Changeset, limits: &Limits) -> Verdict {
        let version = self.lane.version + 1;
        let decided = self.loaded.evaluate(changeset, version);
        if !decided.applied {
            return Verdict {
                answer: StoreAnswer::Refused(decided.seen),
                writes: false,
            };
        }
        if let Some(full) = self.lacks(changeset, &decided, limits) {
            return not_decided(StoreFault::full(full));
        }
        let events = changeset.events.iter().chain(&decided.alerts);
        let events: Vec<Vec<u8>> = events.map(kept::event).collect();
        let lane = self.lane.and(&decided, version, &events);
        let writes = decided.counters.len() + decided.records.len() + decided.claims.len() + events.len() > 0;
        // From here on nothing fails: it is kept as a whole, or not at all.
        self.loaded.keep(changeset, &decided);
        self.lane = lane;
        self.events.extend(events);
        Verdict {
            answer: StoreAnswer::Applied(decided.seen),
            writes,
        }
    }

    fn lacks(&self, changeset: &Changeset, decided: &Evaluation, limits: &Limits) -> Option<&'static str> {
        let has_events = !(changeset.events.is_empty() && decided.alerts.is_empty());
        if has_events && changeset.room == Room::Stranger && self.lane.outbox_is_full(limits) {
            return Some("the outbox is full: nobody takes the events");
        }
        if self.fill.admits(changeset.room) {
            return None;
        }
        (has_events || self.loaded.newcomers(decided) > 0).then_some("no room for another entry")
    }

    /// What is to be written, if anything is.
    pub(crate) fn written(self, service: &ServiceId) -> Option<Decided> {
        let decided = Decided::of(
            service.clone(),
            self.lane,
            self.loaded.into_written(),
            self.events,
        );
        (!decided.is_empty()).then_some(decided)
    }
}

fn not_decided(fault: StoreFault) -> Verdict {
    Verdict {
        answer: StoreAnswer::NotApplied(fault),
        writes: false,
    }
}

impl LaneRow {
    /// What stands there after one more was applied. Only one that puts a record uses up a version.
    fn and(self, decided: &Evaluation, version: u64, events: &[Vec<u8>]) -> Self {
        let puts = decided.records.iter().any(|(_, row)| row.is_some());
        let bytes: usize = events.iter().map(Vec::len).sum();
        Self {
            version: if puts { version } else { self.version },
            seq: self.seq + events.len() as u64,
            events: self.events + events.len() as u64,
            bytes: self.bytes + bytes as u64,
        }
    }

    fn outbox_is_full(&self, limits: &Limits) -> bool {
        self.events >= limits.outbox_events || self.bytes >= limits.outbox_bytes
    }
}

impl Unreadable {
    fn has(&self, names: &Names) -> bool {
        names.counters.iter().any(|key| self.counters.contains(key))
            || names.records.iter().any(|key| self.records.contains(key))
            || names.claims.iter().any(|key| self.claims.contains(key))
    }
}
