//! What many were told at once, and whether some order explains it.
//!
//! ```
//! use std::time::Duration;
//! use verify_core::store::{Changeset, Room, Store};
//! use verify_core::time::Timestamp;
//! use verify_core::vocabulary::ServiceId;
//! use verify_testkit::{ModelStore, Recorder};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = ServiceId::default();
//! let recorder = Recorder::around(ModelStore::new());
//! let nothing = Changeset::new(service.clone(), Timestamp::from_millis(1_800_000_000_000), Room::Stranger);
//! // Any number of tasks do this at once, with changesets over the same keys.
//! recorder.apply(&nothing, Duration::from_secs(1)).await;
//! assert!(recorder.history(&service).await.unwrap().explain().is_ok());
//! # }
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use parking_lot::Mutex;
use verify_core::event::Event;
use verify_core::port::Detail;
use verify_core::store::{Changeset, Expect, Mode, RecordKey, Seen, Store, StoreAnswer, StoreFault};
use verify_core::vocabulary::ServiceId;

use crate::{ModelState, store_around};

/// The most changesets of one history: their number is what makes the search long.
const MOST: usize = 64;
/// A version that nothing is given.
const NEVER: u64 = (1 << 53) - 1;

/// A store that writes down who asked it what, when, and what it answered.
pub struct Recorder<S> {
    inner: S,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    now: u64,
    operations: Vec<Operation>,
}

/// A changeset, and what it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// When it was asked, by a clock that goes on by one with each question and each answer.
    pub began: u64,
    /// When it was answered. `None`: whoever asked went away before that.
    pub ended: Option<u64>,
    /// What was asked.
    pub changeset: Changeset,
    /// What was answered; [`Unknown`](StoreAnswer::Unknown) where nobody heard it.
    pub answer: StoreAnswer,
}

/// What was asked of one service, and its outbox at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// In the order in which they began.
    pub operations: Vec<Operation>,
    /// All events since the beginning, none acknowledged.
    pub events: Vec<Event>,
}

/// No order explains a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unexplained {
    history: History,
    /// The longest explained beginning, as places among the operations.
    explained: Vec<usize>,
}

impl<S: Store> Recorder<S> {
    /// Around a store of which the services that are asked hold nothing yet.
    pub fn around(inner: S) -> Self {
        Self {
            inner,
            log: Mutex::default(),
        }
    }

    /// What was asked of a service so far.
    ///
    /// # Errors
    /// Its outbox cannot be read.
    pub async fn history(&self, service: &ServiceId) -> Result<History, StoreFault> {
        let events = self.inner.outbox(service, usize::MAX).await?;
        let log = self.log.lock();
        let of = log
            .operations
            .iter()
            .filter(|operation| operation.changeset.service == *service);
        Ok(History {
            operations: of.cloned().collect(),
            events: events.into_iter().map(|(_, event)| event).collect(),
        })
    }

    fn begins(&self, changeset: &Changeset) -> usize {
        let mut log = self.log.lock();
        log.now += 1;
        let began = log.now;
        log.operations.push(Operation {
            began,
            ended: None,
            changeset: changeset.clone(),
            answer: StoreAnswer::Unknown(Detail::new(None, "nobody heard the answer")),
        });
        log.operations.len() - 1
    }

    fn ends(&self, place: usize, answer: &StoreAnswer) {
        let mut log = self.log.lock();
        log.now += 1;
        let now = log.now;
        if let Some(operation) = log.operations.get_mut(place) {
            operation.ended = Some(now);
            operation.answer = answer.clone();
        }
    }
}

store_around! {
    Recorder,
    apply(this, changeset, within) {
        let place = this.begins(changeset);
        let answer = this.inner.apply(changeset, within).await;
        this.ends(place, &answer);
        answer
    }
}

impl History {
    /// Whether some order of the changesets explains every answer, and the outbox: one after the other on an empty store, none
    /// before it was asked nor after it was answered, each decided as [`evaluate`](verify_core::store::evaluate) does.
    ///
    /// What was [`NotApplied`](StoreAnswer::NotApplied) did not happen. What was `Unknown` may have happened at any time since, or
    /// not at all, or its charges alone: to charge too much is what a store may do when it fails. Nothing else is allowed.
    /// Versions are compared by which change gave them.
    ///
    /// It goes by a model that forgets nothing: times must not go back beyond what has ended by then.
    ///
    /// # Errors
    /// [`Unexplained`].
    ///
    /// # Panics
    /// With more than 64 changesets.
    pub fn explain(&self) -> Result<(), Unexplained> {
        assert!(
            self.operations.len() <= MOST,
            "a history this long takes too long to explain"
        );
        let mut search = Search {
            history: self,
            seen: HashSet::new(),
            order: Vec::new(),
            longest: Vec::new(),
        };
        match search.explains(Told::default()) {
            true => Ok(()),
            false => Err(Unexplained {
                history: self.clone(),
                explained: search.longest,
            }),
        }
    }
}

/// A depth-first search for an order. What was come to before is not looked at again.
struct Search<'a> {
    history: &'a History,
    seen: HashSet<Told>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

/// What an order has come to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Told {
    /// A bit for each operation that is in it.
    taken: u64,
    model: ModelState,
    /// How many of the events it explains.
    events: usize,
    /// The model's version for each that the store gave.
    versions: BTreeMap<(RecordKey, u64), u64>,
}

impl Search<'_> {
    fn explains(&mut self, told: Told) -> bool {
        if !self.seen.insert(told.clone()) {
            return false;
        }
        if self.order.len() > self.longest.len() {
            self.longest.clone_from(&self.order);
        }
        let left: Vec<(usize, &Operation)> = self
            .history
            .operations
            .iter()
            .enumerate()
            .filter(|(place, operation)| {
                told.taken & (1 << place) == 0 && !matches!(operation.answer, StoreAnswer::NotApplied(_))
            })
            .collect();
        let must = left
            .iter()
            .filter_map(|(_, operation)| operation.must_be_before());
        let Some(first_end) = must.clone().min() else {
            // Of those that are left none has to be in it, but for what the outbox has.
            if told.events == self.history.events.len() {
                return true;
            }
            return self.goes_on(&told, &left, u64::MAX);
        };
        self.goes_on(&told, &left, first_end)
    }

    /// Takes each that may be next.
    fn goes_on(&mut self, told: &Told, left: &[(usize, &Operation)], first_end: u64) -> bool {
        for (place, operation) in left.iter().filter(|(_, operation)| operation.began < first_end) {
            for next in told.after(operation, &self.history.events) {
                self.order.push(*place);
                let taken = told.taken | (1 << place);
                if self.explains(Told { taken, ..next }) {
                    return true;
                }
                self.order.pop();
            }
        }
        false
    }
}

impl Operation {
    /// Before when it happened, where it did for sure. What is in doubt may be under way for long.
    fn must_be_before(&self) -> Option<u64> {
        match self.answer {
            StoreAnswer::Applied(_) | StoreAnswer::Refused(_) => self.ended,
            StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_) => None,
        }
    }
}

impl Told {
    /// Everything that an operation may come to here.
    fn after(&self, operation: &Operation, events: &[Event]) -> Vec<Self> {
        let changeset = self.in_the_model_s_versions(&operation.changeset);
        let whole = self.with(&changeset, events);
        match &operation.answer {
            StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen) => {
                let applied = matches!(operation.answer, StoreAnswer::Applied(_));
                let as_told = whole.and_then(|(next, did, expected)| {
                    (did == applied).then(|| next.agreeing(&expected, seen)).flatten()
                });
                as_told.into_iter().collect()
            }
            StoreAnswer::Unknown(_) => {
                let happened = whole.filter(|(_, did, _)| *did);
                let charged = self.with(&charges_of(&changeset), events);
                happened
                    .into_iter()
                    .chain(charged)
                    .map(|(next, ..)| next)
                    .collect()
            }
            StoreAnswer::NotApplied(_) => Vec::new(),
        }
    }

    /// After the model did it: whether it was applied, and what was seen. `None`: its events are not the next ones.
    fn with(&self, changeset: &Changeset, events: &[Event]) -> Option<(Self, bool, Seen)> {
        let mut next = self.clone();
        let before = next.model.events().len();
        let (did, seen) = match next.model.apply_now(changeset) {
            StoreAnswer::Applied(seen) => (true, seen),
            StoreAnswer::Refused(seen) => (false, seen),
            StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_) => return None,
        };
        next.events += next.model.events().len() - before;
        let told = next.model.events().values().skip(before);
        let in_the_outbox = events.get(self.events..next.events)?.iter();
        told.eq(in_the_outbox).then_some((next, did, seen))
    }

    fn in_the_model_s_versions(&self, changeset: &Changeset) -> Changeset {
        let mut changeset = changeset.clone();
        for change in &mut changeset.records {
            if let Expect::At(version) = &mut change.expect {
                *version = self
                    .versions
                    .get(&(change.key, *version))
                    .copied()
                    .unwrap_or(NEVER);
            }
        }
        changeset
    }

    /// With what is learned of versions, where the model saw the same as the store did.
    fn agreeing(mut self, expected: &Seen, seen: &Seen) -> Option<Self> {
        let alike = expected.counters == seen.counters
            && expected.claims == seen.claims
            && expected.records.len() == seen.records.len();
        if !alike {
            return None;
        }
        for ((key, expected), (named, seen)) in expected.records.iter().zip(&seen.records) {
            if key != named || expected.is_some() != seen.is_some() {
                return None;
            }
            if let (Some(expected), Some(seen)) = (expected, seen) {
                let is_new = !self
                    .versions
                    .iter()
                    .any(|((of, _), version)| of == key && *version == expected.version);
                let version = match self.versions.get(&(*key, seen.version)) {
                    Some(version) => *version,
                    None if is_new => {
                        self.versions.insert((*key, seen.version), expected.version);
                        expected.version
                    }
                    None => return None,
                };
                let mut seen = seen.clone();
                seen.version = version;
                if seen != *expected {
                    return None;
                }
            }
        }
        Some(self)
    }
}

/// What is counted when it is charged and nothing else of it happens.
fn charges_of(changeset: &Changeset) -> Changeset {
    let mut charging = Changeset::new(changeset.service.clone(), changeset.at, changeset.room);
    charging.charges.clone_from(&changeset.charges);
    charging.charges.retain(|charge| charge.mode != Mode::Probe);
    for charge in &mut charging.charges {
        charge.mode = Mode::Force;
    }
    charging
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no order explains these answers:")?;
        for (
            place,
            Operation {
                began,
                ended,
                changeset,
                answer,
            },
        ) in self.history.operations.iter().enumerate()
        {
            let ended = ended.map_or("never".to_owned(), |ended| ended.to_string());
            writeln!(
                f,
                "{place}: from {began} to {ended}\n  {changeset:?}\n  {answer:?}"
            )?;
        }
        writeln!(f, "the outbox: {:?}", self.history.events)?;
        write!(f, "as far as one goes: {:?}", self.explained)
    }
}

impl std::error::Error for Unexplained {}
