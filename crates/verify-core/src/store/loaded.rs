//! What was loaded of a service: changesets are decided on it one after the other, and written together.

use std::collections::BTreeMap;

use super::answer::Origin;
use super::changeset::{Changeset, Claim, Row};
use super::evaluate::{Evaluation, View, evaluate};
use super::key::{ClaimKey, CounterKey, RecordKey};
use crate::event::Event;
use crate::limit::Counter;
use crate::time::Timestamp;

/// Entries of one service in maps.
///
/// A store elsewhere loads what [`Changeset::names`] names, decides, and writes what [`Loaded::into_written`] says.
/// Several changesets can be decided on one load: each sees what those before it have written.
///
/// ```
/// use std::time::Duration;
/// use verify_core::keys::Print;
/// use verify_core::limit::Rule;
/// use verify_core::store::{Changeset, Charge, CounterKey, Loaded, Mode, Origin, Room};
/// use verify_core::time::Timestamp;
/// use verify_core::vocabulary::ServiceId;
///
/// let mut once = Changeset::new(ServiceId::default(), Timestamp::from_millis(1_800_000_000_000), Room::Stranger);
/// once.charges.push(Charge {
///     key: CounterKey { scope: 1, print: Print::from_bytes([7; 16]) },
///     rule: Rule::Window { max: 1, per: Duration::from_secs(60) },
///     cost: 1,
///     mode: Mode::Charge,
///     when_live: Vec::new(),
/// });
/// // There is nothing under `once.names()` yet.
/// let mut loaded = Loaded::new(Origin::default());
/// assert!(loaded.decide(&once, 1).applied);
/// assert!(!loaded.decide(&once, 2).applied, "the second one sees the first");
/// assert_eq!(loaded.into_written().counters.len(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    origin: Origin,
    there: Held,
    written: Written,
}

/// What is in the store.
#[derive(Debug, Clone, Default)]
struct Held {
    counters: BTreeMap<CounterKey, (Counter, Timestamp)>,
    records: BTreeMap<RecordKey, Row>,
    claims: BTreeMap<ClaimKey, Claim>,
}

/// What has to be written, each key once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Counters, each with the instant at which it may be forgotten.
    pub counters: BTreeMap<CounterKey, (Counter, Timestamp)>,
    /// Records to write (`Some`) or delete (`None`).
    pub records: BTreeMap<RecordKey, Option<Row>>,
    /// Claims to write (`Some`) or remove (`None`).
    pub claims: BTreeMap<ClaimKey, Option<Claim>>,
    /// Events to append, in the order of their changesets.
    pub events: Vec<Event>,
}

impl Loaded {
    /// Nothing yet.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            ..Self::default()
        }
    }

    /// Where it is held.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// A state that is in the store, and when it may be forgotten.
    pub fn counter(&mut self, key: CounterKey, state: Counter, expires_at: Timestamp) {
        self.there.counters.insert(key, (state, expires_at));
    }

    /// A record that is in the store.
    pub fn record(&mut self, key: RecordKey, row: Row) {
        self.there.records.insert(key, row);
    }

    /// A claim that is in the store.
    pub fn claim(&mut self, claim: Claim) {
        self.there.claims.insert(claim.key, claim);
    }

    /// Decides a changeset on what is there and on what those before it have written. `version` is what a record becomes
    /// that is written: a number that the store never gave before; one that is refused does not use it up.
    pub fn decide(&mut self, changeset: &Changeset, version: u64) -> Evaluation {
        let decided = self.evaluate(changeset, version);
        self.keep(changeset, &decided);
        decided
    }

    /// As [`decide`](Self::decide), and nobody after it sees anything of it until it is [kept](Self::keep): for a store
    /// that has to know first what would come new.
    pub fn evaluate(&self, changeset: &Changeset, version: u64) -> Evaluation {
        let at = changeset.at;
        evaluate(changeset, &ViewAt { loaded: self, at }, version)
    }

    /// Writes what was decided, for those after it. Refused, it writes nothing.
    pub fn keep(&mut self, changeset: &Changeset, decided: &Evaluation) {
        if decided.applied {
            let Written {
                counters,
                records,
                claims,
                events,
            } = &mut self.written;
            let states = decided.counters.iter();
            counters.extend(states.map(|(key, state, ends)| (*key, (state.clone(), *ends))));
            records.extend(decided.records.iter().cloned());
            claims.extend(decided.claims.iter().cloned());
            events.extend(changeset.events.iter().chain(&decided.alerts).cloned());
        }
    }

    /// How many entries would be there that are not: what a store at its capacity has to refuse.
    pub fn newcomers(&self, decided: &Evaluation) -> usize {
        let Self { there, written, .. } = self;
        let counters = decided.counters.iter().map(|(key, _, _)| key);
        let counters =
            counters.filter(|key| !there.counters.contains_key(key) && !written.counters.contains_key(key));
        let put = decided.records.iter().filter(|(_, row)| row.is_some());
        let records = put.filter(|(key, _)| match written.records.get(key) {
            Some(row) => row.is_none(),
            None => !there.records.contains_key(key),
        });
        let made = decided.claims.iter().filter(|(_, claim)| claim.is_some());
        let claims = made.filter(|(key, _)| match written.claims.get(key) {
            Some(claim) => claim.is_none(),
            None => !there.claims.contains_key(key),
        });
        counters.count() + records.count() + claims.count()
    }

    /// What the decided changesets have written.
    pub fn into_written(self) -> Written {
        self.written
    }
}

/// What is loaded, at a changeset's time.
struct ViewAt<'a> {
    loaded: &'a Loaded,
    at: Timestamp,
}

impl View for ViewAt<'_> {
    fn origin(&self) -> Origin {
        self.loaded.origin
    }

    fn counter(&self, key: &CounterKey) -> Option<Counter> {
        let Loaded { there, written, .. } = self.loaded;
        let (state, ends) = written.counters.get(key).or_else(|| there.counters.get(key))?;
        (*ends > self.at).then(|| state.clone())
    }

    fn record(&self, key: &RecordKey) -> Option<Row> {
        let Loaded { there, written, .. } = self.loaded;
        match written.records.get(key) {
            Some(written) => written.clone(),
            None => there.records.get(key).cloned(),
        }
    }

    fn claim(&self, key: &ClaimKey) -> Option<Claim> {
        let Loaded { there, written, .. } = self.loaded;
        match written.claims.get(key) {
            Some(written) => written.clone(),
            None => there.claims.get(key).cloned(),
        }
    }
}
