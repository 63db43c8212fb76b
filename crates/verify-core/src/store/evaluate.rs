//! The decision on a changeset, as a pure function of what a store holds.

use super::answer::{CounterSeen, Origin, Seen};
use super::changeset::{
    Alert, Changeset, Charge, Claim, Counted, Expect, Mode, RecordChange, Row, Takeback, Write,
};
use super::key::{ClaimKey, CounterKey, RecordKey};
use crate::event::Event;
use crate::limit::{Backoff, Counter};
use crate::time::{SKEW, Timestamp};

/// What a store holds for one service, under its lock. Outlived entries may still be returned.
pub trait View {
    /// Where it is held.
    fn origin(&self) -> Origin;
    /// The state of a key.
    fn counter(&self, key: &CounterKey) -> Option<Counter>;
    /// A record.
    fn record(&self, key: &RecordKey) -> Option<Row>;
    /// A claim.
    fn claim(&self, key: &ClaimKey) -> Option<Claim>;

    /// True while something in a record is pending.
    fn is_live(&self, key: &RecordKey, now: Timestamp) -> bool {
        self.record(key)
            .is_some_and(|row| !row.is_outlived(now) && row.is_live(now))
    }
}

/// The decision: either nothing is to be written, or exactly this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// False: refused, and all lists below are empty.
    pub applied: bool,
    /// What goes into the answer.
    pub seen: Seen,
    /// Counters to write, each with the instant at which it may be forgotten.
    pub counters: Vec<(CounterKey, Counter, Timestamp)>,
    /// Records to write (`Some`) or delete (`None`).
    pub records: Vec<(RecordKey, Option<Row>)>,
    /// Claims to write (`Some`) or remove (`None`).
    pub claims: Vec<(ClaimKey, Option<Claim>)>,
    /// Alerts to store behind the changeset's own events: those that were not raised before.
    pub alerts: Vec<Event>,
}

/// Decides a changeset on what a store holds. `version` is what a record becomes that is written; the store never
/// gives the same number twice.
pub fn evaluate(changeset: &Changeset, view: &impl View, version: u64) -> Evaluation {
    let mut counters = Touched {
        view,
        now: changeset.at,
        entries: Vec::with_capacity(
            changeset.takebacks.len() + changeset.resets.len() + changeset.charges.len(),
        ),
    };
    let mut claims = take_back(changeset, view, &mut counters);
    for key in &changeset.resets {
        counters.reset(key);
    }
    let mut seen = Seen {
        origin: view.origin(),
        ..Seen::default()
    };
    let denied = charge(changeset, view, &mut counters, &mut seen);
    let conflict = look_at_records(changeset, view, &mut seen);
    for claim in &changeset.claims {
        seen.claims.extend(existing(view, &claim.key, changeset.at));
        claims.push((claim.key, Some(claim.clone())));
    }
    if denied || conflict || !seen.claims.is_empty() || may_lack(changeset, &seen.origin) {
        return refused(seen);
    }
    claims.extend(changeset.unclaim.iter().map(|key| (*key, None)));
    let mut alerts = Vec::new();
    for Alert { event, once } in &changeset.alerts {
        if existing(view, &once.key, changeset.at).is_none() {
            claims.push((once.key, Some(once.clone())));
            alerts.push(event.clone());
        }
    }
    let records = written_records(changeset, version);
    for (key, row) in &records {
        for (named, seen) in &mut seen.records {
            if named == key {
                seen.clone_from(row);
            }
        }
    }
    Evaluation {
        applied: true,
        seen,
        counters: counters.written(),
        records,
        claims,
        alerts,
    }
}

/// Undoes what was not undone before, and returns the markers that say so.
fn take_back<V: View>(
    changeset: &Changeset,
    view: &V,
    counters: &mut Touched<'_, V>,
) -> Vec<(ClaimKey, Option<Claim>)> {
    let mut markers = Vec::new();
    for takeback in &changeset.takebacks {
        if existing(view, &takeback.once, changeset.at).is_none() {
            counters.take_back(takeback);
            let marker = Claim {
                key: takeback.once,
                value: Vec::new(),
                expires_at: takeback.expires_at,
            };
            markers.push((takeback.once, Some(marker)));
        }
    }
    markers
}

/// Decides every charge on what results from those before it, and counts it where it counts. True when one is denied.
fn charge<V: View>(changeset: &Changeset, view: &V, counters: &mut Touched<'_, V>, seen: &mut Seen) -> bool {
    let now = changeset.at;
    let live = |key: &RecordKey| view.is_live(key, now);
    let counts = |charge: &Charge| {
        charge.mode != Mode::Probe && (charge.when_live.is_empty() || charge.when_live.iter().any(live))
    };
    let mut denied = false;
    seen.counters = Vec::with_capacity(changeset.charges.len());
    for charge in &changeset.charges {
        let (admitted, counted) = counters.charge(charge, counts(charge));
        denied |= !admitted;
        seen.counters.push(counted);
    }
    denied
}

/// The records that are named. True when one is not what it was expected to be.
fn look_at_records(changeset: &Changeset, view: &impl View, seen: &mut Seen) -> bool {
    let found = |key: &RecordKey| view.record(key).filter(|row| !row.is_outlived(changeset.at));
    let mut conflict = false;
    for change in &changeset.records {
        let row = found(&change.key);
        conflict |= match change.expect {
            Expect::Absent => row.is_some(),
            Expect::At(version) => row.as_ref().is_none_or(|row| row.version != version),
        };
        seen.records.push((change.key, row));
    }
    seen.records
        .extend(changeset.reads.iter().map(|key| (*key, found(key))));
    conflict
}

/// True when the store may have forgotten what decides on it.
fn may_lack(changeset: &Changeset, origin: &Origin) -> bool {
    let forgot = |issued| origin.forgot(issued, changeset.at);
    origin.cools(changeset.looks_back, changeset.at).is_some() || changeset.uses_up.is_some_and(forgot)
}

/// A claim that still holds.
fn existing(view: &impl View, key: &ClaimKey, now: Timestamp) -> Option<Claim> {
    view.claim(key).filter(|claim| claim.expires_at > now)
}

/// Nothing is written, and nothing counted as charged.
fn refused(mut seen: Seen) -> Evaluation {
    for counter in &mut seen.counters {
        counter.after = counter.before.clone();
    }
    Evaluation {
        applied: false,
        seen,
        counters: Vec::new(),
        records: Vec::new(),
        claims: Vec::new(),
        alerts: Vec::new(),
    }
}

fn written_records(changeset: &Changeset, version: u64) -> Vec<(RecordKey, Option<Row>)> {
    let written = |change: &RecordChange| match &change.write {
        Write::Put(row) => Some((
            change.key,
            Some(Row {
                version,
                ..row.clone()
            }),
        )),
        Write::Delete => Some((change.key, None)),
        Write::Keep => None,
    };
    changeset.records.iter().filter_map(written).collect()
}

/// The counters that a changeset touches, as they become while it is decided.
struct Touched<'a, V> {
    view: &'a V,
    now: Timestamp,
    entries: Vec<Entry>,
}

struct Entry {
    key: CounterKey,
    state: Option<Counter>,
    expires_at: Timestamp,
    changed: bool,
}

impl<V: View> Touched<'_, V> {
    fn entry(&mut self, key: &CounterKey) -> &mut Entry {
        let index = match self.entries.iter().position(|entry| entry.key == *key) {
            Some(index) => index,
            None => {
                let state = self.view.counter(key);
                self.entries.push(Entry {
                    key: *key,
                    state,
                    expires_at: Timestamp::ZERO,
                    changed: false,
                });
                self.entries.len() - 1
            }
        };
        #[allow(clippy::indexing_slicing, reason = "the index was found or pushed just above")]
        &mut self.entries[index]
    }

    /// Whether the charge is admitted, and what becomes of the state.
    fn charge(&mut self, charge: &Charge, counts: bool) -> (bool, CounterSeen) {
        let now = self.now;
        let entry = self.entry(&charge.key);
        let before = entry.state.take().unwrap_or_else(|| Counter::empty(&charge.rule));
        let admitted = charge.mode == Mode::Force || before.denied(&charge.rule, charge.cost, now).is_none();
        let after = if counts {
            before.counted(&charge.rule, charge.cost, now)
        } else {
            before.clone()
        };
        if counts {
            entry.expires_at = entry.expires_at.max(after.outlived(&charge.rule));
            entry.changed = true;
        }
        entry.state = Some(after.clone());
        (admitted, CounterSeen { before, after })
    }

    fn reset(&mut self, key: &CounterKey) {
        let now = self.now;
        let entry = self.entry(key);
        if let Some(state) = &entry.state {
            let (reset, end) = state.reset(now);
            entry.expires_at = end;
            entry.state = Some(reset);
            entry.changed = true;
        }
    }

    fn take_back(&mut self, takeback: &Takeback) {
        let entry = self.entry(&takeback.key);
        let (state, expires_at) = match (&entry.state, &takeback.counted) {
            (Some(Counter::Window(window)), Counted::Units { per, units, at }) => {
                let window = window.taken_back(*per, *units, *at);
                let end = window.outlived(*per);
                (Counter::Window(window), end)
            }
            (
                Some(Counter::Backoff(backoff)),
                Counted::Failure {
                    before,
                    charged,
                    forget_after,
                },
            ) => {
                let backoff: Backoff = backoff.taken_back(before, charged);
                (Counter::Backoff(backoff), backoff.outlived(*forget_after))
            }
            (Some(Counter::Window(_) | Counter::Backoff(_)) | None, _) => return,
        };
        entry.expires_at = entry.expires_at.max(expires_at);
        entry.state = Some(state);
        entry.changed = true;
    }

    fn written(self) -> Vec<(CounterKey, Counter, Timestamp)> {
        self.entries
            .into_iter()
            .filter(|entry| entry.changed)
            .filter_map(|entry| {
                entry
                    .state
                    .map(|state| (entry.key, state, entry.expires_at + SKEW))
            })
            .collect()
    }
}
