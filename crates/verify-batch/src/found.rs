//! What a transaction found of a service, and the decisions on it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use verify_core::store::{
    Changeset, ClaimKey, CounterKey, Evaluation, Loaded, Names, Origin, RecordKey, Room, StoreAnswer,
    StoreFault, Write, kept,
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
    events: u64,
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
            events: 0,
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
    pub(crate) fn decide(&mut self, changeset: &Changeset, names: &Names, limits: &Limits) -> StoreAnswer {
        if self.unreadable.has(names) {
            return StoreAnswer::NotApplied(StoreFault::corrupt("a row that is named is not in its format"));
        }
        let decided = catch_unwind(AssertUnwindSafe(|| self.try_to(changeset, limits)));
        decided.unwrap_or_else(|_| StoreAnswer::NotApplied(StoreFault::defect("a decision panicked")))
    }

    fn try_to(&mut self, changeset: &Changeset, limits: &Limits) -> StoreAnswer {
        let answer = self.decide_whole(changeset, limits);
        let is_full = matches!(answer, StoreAnswer::NotApplied(StoreFault::Full(_)));
        if !is_full || changeset.alerts.is_empty() {
            return answer;
        }
        // An alert refuses nothing: where there is no room for it, it is left out.
        let without = Changeset {
            alerts: Vec::new(),
            ..changeset.clone()
        };
        self.decide_whole(&without, limits)
    }

    fn decide_whole(&mut self, changeset: &Changeset, limits: &Limits) -> StoreAnswer {
        let version = self.lane.version + 1;
        let decided = self.loaded.evaluate(changeset, version);
        if !decided.applied {
            return StoreAnswer::Refused(decided.seen);
        }
        if let Some(full) = self.lacks(changeset, &decided, limits) {
            return StoreAnswer::NotApplied(StoreFault::full(full));
        }
        self.loaded.keep(changeset, &decided);
        let puts = |write: &Write| matches!(write, Write::Put(_));
        if changeset.records.iter().any(|change| puts(&change.write)) {
            self.lane.version = version;
        }
        let events = (changeset.events.len() + decided.alerts.len()) as u64;
        self.lane.seq += events;
        self.lane.events += events;
        self.events += events;
        StoreAnswer::Applied(decided.seen)
    }

    fn lacks(&self, changeset: &Changeset, decided: &Evaluation, limits: &Limits) -> Option<&'static str> {
        let events = changeset.events.len() + decided.alerts.len();
        let has_events = events > 0;
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
        let written = self.loaded.into_written();
        let nothing = written.counters.is_empty()
            && written.records.is_empty()
            && written.claims.is_empty()
            && written.events.is_empty();
        (!nothing).then(|| {
            let mut decided = Decided::of(service.clone(), self.lane, written);
            decided.lane.bytes += decided
                .events
                .iter()
                .map(|(_, bytes)| bytes.len() as u64)
                .sum::<u64>();
            decided
        })
    }
}

impl LaneRow {
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
