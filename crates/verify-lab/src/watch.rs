//! A watch over a run: what holds after every step of any number of flows, whatever became of the others.
//!
//! It believes nothing that the machine or the store says about itself. Of every limit it keeps the uses, of every
//! lockout the run, of every delivery whether it was dispatched, and counts again. What it finds begins with the number
//! of the promise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use verify_core::event::EventKind;
use verify_core::flow::MOST_STEPS;
use verify_core::keys::Print;
use verify_core::limit::{Backoff, Counter, Rule};
use verify_core::policy::Wait;
use verify_core::port::DispatchRequest;
use verify_core::record::{DeliveryStatus, Entry, Record, Status};
use verify_core::store::{
    Changeset, Charge, ClaimKey, Counted, CounterKey, CounterSeen, Lifetime, Mode, RecordKind, Row, Seen,
    StoreAnswer, Takeback, Write,
};
use verify_core::time::{SKEW, Timestamp};
use verify_core::vocabulary::ServiceId;
use verify_testkit::{KeptCounter, ModelState};

/// What does not hold: the text begins with the promise.
pub type Holds = Result<(), String>;

/// All flows of one run over one store.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The longest effect that any policy of the run has.
    longest: Duration,
    latest: Timestamp,
    uses: BTreeMap<Key, Uses>,
    runs: BTreeMap<Key, Run>,
    deliveries: BTreeMap<[u8; 16], Named>,
    approved: BTreeSet<Print>,
}

type Key = (ServiceId, CounterKey);

/// One flow.
#[derive(Debug, Clone)]
pub struct Course {
    command: &'static str,
    steps: usize,
    /// Limits that it charged and did not take back.
    charged: BTreeSet<CounterKey>,
    counted_a_failure: bool,
    /// A provider may have compared its guess.
    compared: bool,
}

/// What was counted on a limit, oldest first, by the latest instant that the limit had seen.
#[derive(Debug, Clone, Default)]
struct Uses {
    newest: Timestamp,
    counted: Vec<(Timestamp, u64)>,
    expires_at: Timestamp,
}

#[derive(Debug, Clone, Default)]
struct Run {
    count: u32,
    last: Timestamp,
    expires_at: Timestamp,
}

#[derive(Debug, Clone)]
struct Named {
    provider: Arc<str>,
    dispatched: bool,
}

fn holds(holds: bool, what: impl FnOnce() -> String) -> Holds {
    if holds { Ok(()) } else { Err(what()) }
}

impl Course {
    /// A flow that has not begun.
    pub fn of(command: &'static str) -> Self {
        Self {
            command,
            steps: 0,
            charged: BTreeSet::new(),
            counted_a_failure: false,
            compared: false,
        }
    }

    /// Before each step.
    ///
    /// # Errors
    /// I-47.
    pub fn step(&mut self) -> Holds {
        self.steps += 1;
        holds(self.steps <= MOST_STEPS, || {
            format!("i47: {} takes more than {MOST_STEPS} steps", self.command)
        })
    }

    /// Before a managed provider compares a guess.
    ///
    /// # Errors
    /// I-06.
    pub fn compares(&mut self) -> Holds {
        self.compared = true;
        self.counted()
    }

    /// When a guess was found wrong.
    ///
    /// # Errors
    /// I-06.
    pub fn counted(&self) -> Holds {
        holds(self.counted_a_failure, || {
            "i06: compared before it was counted".into()
        })
    }
}

impl Watch {
    /// A watch over an empty store. No effect of any policy of the run is longer than `longest`.
    pub fn new(longest: Duration) -> Self {
        Self {
            longest,
            latest: Timestamp::ZERO,
            uses: BTreeMap::new(),
            runs: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            approved: BTreeSet::new(),
        }
    }

    /// Has a store apply a flow's changeset, and looks at what it did.
    ///
    /// # Errors
    /// What does not hold any more.
    pub fn apply(
        &mut self,
        course: &mut Course,
        store: &mut ModelState,
        changeset: &Changeset,
    ) -> Result<StoreAnswer, String> {
        let before = Before::of(store, changeset);
        let answer = store.apply_now(changeset);
        self.latest = self.latest.max(changeset.at);
        match &answer {
            StoreAnswer::Applied(seen) => {
                self.counters(course, store, changeset, &before, seen)?;
                self.records(course, changeset, &before)?;
                self.approves(changeset)?;
            }
            StoreAnswer::Refused(_) | StoreAnswer::NotApplied(_) | StoreAnswer::Unknown => {
                let after = Before::of(store, changeset);
                holds(after == before, || {
                    "i49: a refused changeset changed something".into()
                })?;
            }
        }
        Ok(answer)
    }

    /// Before a provider is asked to send. The policy names at least so many limits that this send is charged on.
    ///
    /// # Errors
    /// I-48, I-51.
    pub fn dispatches(&mut self, course: &Course, request: &DispatchRequest, least: usize) -> Holds {
        holds(course.charged.len() >= least, || {
            format!("i48: {} limits of {least} were charged", course.charged.len())
        })?;
        let named = self.deliveries.get_mut(&request.dispatch_id);
        let Some(named) = named.filter(|named| named.provider == request.provider) else {
            return Err("i48: no record names the provider that is called".into());
        };
        holds(!named.dispatched, || "i51: dispatched twice".into())?;
        named.dispatched = true;
        Ok(())
    }

    /// How many verifications were approved.
    pub fn approvals(&self) -> usize {
        self.approved.len()
    }

    /// The latest instant at which anything was applied.
    pub fn latest(&self) -> Timestamp {
        self.latest
    }

    /// When nothing is left to happen: all but what an operator has to end is forgotten by itself.
    ///
    /// # Errors
    /// I-11.
    pub fn forgets(&self, store: &ModelState) -> Holds {
        let mut store = store.clone();
        store.purge(self.latest + self.longest + SKEW + SKEW);
        let transient = |row: &Row| !matches!(row.lifetime, Lifetime::Durable);
        let left = store.counters().len()
            + store.claims().len()
            + store.records().values().filter(|row| transient(row)).count();
        holds(left == 0, || format!("i11: {left} entries that never end"))
    }

    fn counters(
        &mut self,
        course: &mut Course,
        store: &ModelState,
        changeset: &Changeset,
        before: &Before,
        seen: &Seen,
    ) -> Holds {
        for takeback in &changeset.takebacks {
            if !before.claims.contains(&takeback.once) {
                self.takes_back(course, store, changeset, takeback)?;
            }
        }
        for key in &changeset.resets {
            let success = changeset
                .events
                .iter()
                .any(|event| matches!(event.kind, EventKind::Approved | EventKind::Unlocked));
            holds(success, || {
                format!("i03: {} ends a run of failures", course.command)
            })?;
            // A run that is forgotten is none that could end: should the clock go back, it is there as it was.
            let key = (changeset.service.clone(), *key);
            if let (Some(run), Some(kept)) = (self.runs.get_mut(&key), store.counters().get(&key.0, &key.1))
                && run.expires_at > changeset.at
            {
                (run.count, run.expires_at) = (0, kept.expires_at);
            }
        }
        for (charge, seen) in changeset.charges.iter().zip(&seen.counters) {
            if seen.charged {
                self.charges(course, changeset, charge, seen)?;
            }
            self.lives(store, changeset, charge, seen.charged)?;
        }
        Ok(())
    }

    fn charges(
        &mut self,
        course: &mut Course,
        changeset: &Changeset,
        charge: &Charge,
        seen: &CounterSeen,
    ) -> Holds {
        let key = (changeset.service.clone(), charge.key);
        match (&charge.rule, &seen.after) {
            (Rule::Window { max, per }, Counter::Window(_)) => {
                course.charged.insert(charge.key);
                let uses = self.uses.entry(key).or_default();
                uses.forget_outlived(changeset.at);
                let at = uses.newest.max(changeset.at);
                uses.newest = at;
                uses.counted.push((at, charge.cost));
                let used = uses.within(*per, at);
                holds(charge.mode != Mode::Charge || used <= *max, || {
                    format!("i12: {used} of {max} in {per:?}")
                })
            }
            (Rule::Backoff { waits, forget_after }, Counter::Backoff(after)) => {
                holds(course.command == "check", || {
                    format!("i10: {} counts a failure", course.command)
                })?;
                course.counted_a_failure = true;
                let run = self.runs.entry(key).or_default();
                if run.expires_at <= changeset.at {
                    *run = Run::default();
                }
                let at = run.last.max(changeset.at);
                if at >= run.last + *forget_after {
                    run.count = 0;
                }
                let wait =
                    waits
                        .range(..=run.count)
                        .next_back()
                        .map_or(Duration::ZERO, |(_, wait)| match wait {
                            Wait::For(span) => (*span).min(*forget_after),
                            Wait::Never => *forget_after,
                        });
                holds(run.count == 0 || at >= run.last + wait, || {
                    format!("i01: a guess inside the wait after {} failures", run.count)
                })?;
                run.count += 1;
                run.last = at;
                holds(same(run, after), || {
                    format!("i03: {} failures are kept as {}", run.count, after.count)
                })
            }
            (Rule::Window { .. } | Rule::Backoff { .. }, _) => {
                Err("a limit became another kind of limit".into())
            }
        }
    }

    /// What was undone is a thing that was done, and no more than that.
    fn takes_back(
        &mut self,
        course: &mut Course,
        store: &ModelState,
        changeset: &Changeset,
        takeback: &Takeback,
    ) -> Holds {
        let key = (changeset.service.clone(), takeback.key);
        course.charged.remove(&takeback.key);
        match &takeback.counted {
            Counted::Units { units, at, .. } => {
                if let Some(uses) = self.uses.get_mut(&key)
                    && let Some(index) = uses.counted.iter().position(|use_| use_ == &(*at, *units))
                {
                    uses.counted.remove(index);
                }
                Ok(())
            }
            Counted::Failure { .. } => {
                holds(course.command == "check", || {
                    format!("i03: {} takes a failure back", course.command)
                })?;
                holds(!course.compared, || {
                    "i07: a guess that may have been compared is taken back".into()
                })?;
                let (Some(run), Some(kept)) = (self.runs.get_mut(&key), store.counters().get(&key.0, &key.1))
                else {
                    return Ok(());
                };
                let Counter::Backoff(after) = &kept.state else {
                    return Err("a lockout became a limit".into());
                };
                holds(after.count + 1 >= run.count, || {
                    format!(
                        "i03: one failure taken back of {} leaves {}",
                        run.count, after.count
                    )
                })?;
                (run.count, run.last) = (after.count, after.last);
                Ok(())
            }
        }
    }

    /// An entry ends, not before its effect does and not long after the longest there is.
    fn lives(&mut self, store: &ModelState, changeset: &Changeset, charge: &Charge, charged: bool) -> Holds {
        let key = (changeset.service.clone(), charge.key);
        let Some(kept) = store.counters().get(&key.0, &key.1) else {
            return Ok(());
        };
        let end = match (&kept.state, &charge.rule) {
            (Counter::Window(window), Rule::Window { per, .. }) => {
                self.uses.entry(key).or_default().expires_at = kept.expires_at;
                window.stamps().last().map(|stamp| stamp.at + *per)
            }
            (Counter::Backoff(run), Rule::Backoff { forget_after, .. }) => {
                self.runs.entry(key).or_default().expires_at = kept.expires_at;
                (run.count > 0).then(|| run.last + *forget_after)
            }
            (Counter::Window(_) | Counter::Backoff(_), _) => None,
        };
        holds(!charged || end.is_none_or(|end| kept.expires_at >= end), || {
            "i11: a count ends before its effect".into()
        })?;
        holds(kept.expires_at <= self.latest + self.longest + SKEW, || {
            "i11: a count outlives the longest effect of the policy".into()
        })
    }

    fn records(&mut self, course: &Course, changeset: &Changeset, before: &Before) -> Holds {
        let mut ended = 0;
        for change in &changeset.records {
            if change.key.kind != RecordKind::Verifications {
                continue;
            }
            let was = before.record(&change.key.print)?;
            let becomes = match &change.write {
                Write::Put(row) => Record::decode(row).map_err(|_| "a record cannot be read back")?,
                Write::Delete => Record::default(),
                Write::Keep => continue,
            };
            // A record moves to the newest key while keys are rotated: what it becomes is found under another one.
            let everywhere: Vec<&Entry> = before.entries.iter().flat_map(|record| &record.entries).collect();
            for entry in &becomes.entries {
                let earlier = everywhere.iter().find(|earlier| earlier.nonce == entry.nonce);
                ended += usize::from(self.moves(earlier.copied(), entry)?);
            }
            let moved = |entry: &Entry| written(changeset).any(|new| new.entry(&entry.nonce).is_some());
            for gone in was.entries.iter().filter(|entry| !moved(entry)) {
                self.goes(course, gone)?;
            }
        }
        let told = changeset
            .events
            .iter()
            .filter(|event| event.kind == EventKind::Approved)
            .count();
        holds(ended == told, || {
            format!("i25: {ended} approvals with {told} events")
        })
    }

    /// How an entry and its deliveries moved. True when it was approved.
    fn moves(&mut self, earlier: Option<&Entry>, entry: &Entry) -> Result<bool, String> {
        let was = earlier.map_or(Status::Pending, Entry::status);
        let now = entry.status();
        holds(was == now || Status::TRANSITIONS.contains(&(was, now)), || {
            format!("i24: {was:?} became {now:?}")
        })?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.code == entry.code) {
            holds(earlier.expires == entry.expires, || {
                "i22: the same code has another end".into()
            })?;
        }
        for delivery in &entry.deliveries {
            let before = earlier.and_then(|earlier| earlier.delivery(&delivery.id));
            let was = before.map_or(DeliveryStatus::Dispatching, |before| before.status());
            holds(leads_to(was, delivery.status()), || {
                format!("i35: a delivery that was {was:?} became {:?}", delivery.status())
            })?;
            if delivery.status() == DeliveryStatus::Dispatching {
                self.deliveries.entry(delivery.id).or_insert_with(|| Named {
                    provider: Arc::clone(&delivery.provider),
                    dispatched: false,
                });
            }
        }
        Ok(was != now && now == Status::Approved)
    }

    /// What may go: what is over, what reached nobody, and what an operator erases.
    fn goes(&self, course: &Course, gone: &Entry) -> Holds {
        let arrived = gone.deliveries.iter().any(|delivery| match delivery.status() {
            DeliveryStatus::Accepted | DeliveryStatus::Delivered | DeliveryStatus::Undelivered => true,
            DeliveryStatus::Dispatching | DeliveryStatus::Rejected | DeliveryStatus::Unknown => false,
        });
        let may = course.command == "erase" || !gone.is_pending(self.latest) || !arrived;
        holds(may, || {
            format!("i37: {} drops a code that somebody may hold", course.command)
        })
    }

    fn approves(&mut self, changeset: &Changeset) -> Holds {
        for event in changeset
            .events
            .iter()
            .filter(|event| event.kind == EventKind::Approved)
        {
            let first = event
                .verification
                .is_some_and(|print| self.approved.insert(print));
            holds(first, || "i02: approved twice".into())?;
        }
        Ok(())
    }
}

impl Uses {
    /// The store forgets at the instant that it was given.
    fn forget_outlived(&mut self, now: Timestamp) {
        if self.expires_at <= now {
            *self = Self::default();
        }
    }

    /// Units in the interval of this length that ends there.
    fn within(&self, per: Duration, end: Timestamp) -> u64 {
        self.counted
            .iter()
            .filter(|(at, _)| *at + per > end)
            .fold(0, |sum, (_, units)| sum.saturating_add(*units))
    }
}

fn same(run: &Run, kept: &Backoff) -> bool {
    (run.count, run.last) == (kept.count, kept.last)
}

/// In any number of steps of the table.
fn leads_to(from: DeliveryStatus, to: DeliveryStatus) -> bool {
    from == to
        || DeliveryStatus::TRANSITIONS
            .iter()
            .any(|(one, next)| *one == from && leads_to(*next, to))
}

fn written(changeset: &Changeset) -> impl Iterator<Item = Record> {
    changeset.records.iter().filter_map(|change| match &change.write {
        Write::Put(row) => Record::decode(row).ok(),
        Write::Delete | Write::Keep => None,
    })
}

/// What a changeset names, as it is.
#[derive(Debug, PartialEq)]
struct Before {
    counters: Vec<Option<KeptCounter>>,
    rows: Vec<(Print, Option<Row>)>,
    entries: Vec<Record>,
    claims: Vec<ClaimKey>,
    events: usize,
}

impl Before {
    fn of(store: &ModelState, changeset: &Changeset) -> Self {
        let service = &changeset.service;
        let charged = changeset.charges.iter().map(|charge| charge.key);
        let counter = |key| store.counters().get(service, &key).cloned();
        let row = |change: &verify_core::store::RecordChange| {
            let row = store.records().get(service, &change.key);
            (
                change.key.print,
                row.filter(|row| !row.is_outlived(changeset.at)).cloned(),
            )
        };
        let rows: Vec<_> = changeset.records.iter().map(row).collect();
        let claims = changeset.takebacks.iter().map(|takeback| takeback.once);
        let there = |key: &ClaimKey| {
            let claim = store.claims().get(service, key);
            claim.is_some_and(|claim| claim.expires_at > changeset.at)
        };
        Self {
            counters: charged
                .chain(changeset.resets.iter().copied())
                .map(counter)
                .collect(),
            entries: rows
                .iter()
                .filter_map(|(_, row)| Record::decode(row.as_ref()?).ok())
                .collect(),
            rows,
            claims: claims.filter(there).collect(),
            events: store.events().len(),
        }
    }

    fn record(&self, print: &Print) -> Result<Record, String> {
        let row = self
            .rows
            .iter()
            .find(|(named, _)| named == print)
            .and_then(|(_, row)| row.as_ref());
        row.map_or(Ok(Record::default()), Record::decode)
            .map_err(|_| "a record cannot be read".into())
    }
}
