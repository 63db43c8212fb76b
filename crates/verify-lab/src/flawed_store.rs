//! Stores with one flaw each: for tests of the tests.

use parking_lot::Mutex;
use verify_core::limit::{Counter, Rule};
use verify_core::store::{
    Changeset, Charge, CounterKey, Expect, Lifetime, Mode, RecordChange, StoreAnswer, StoreFault, Write,
};
use verify_core::time::Timestamp;
use verify_testkit::{ByService, KeptCounter, ModelState, ModelStore, store_around};

macro_rules! flaws {
    ($($(#[$meta:meta])* $flaw:ident = $name:literal,)+) => {
        /// What is wrong with a store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Flaw { $($(#[$meta])* $flaw),+ }

        impl Flaw {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$flaw),+];

            /// What is wrong, as names of tests spell it.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$flaw => $name),+ } }
        }
    };
}

flaws! {
    /// Admits whatever it is charged.
    AdmitsAll = "admits_all",
    /// Keeps claims and records for ever.
    ExpiresNever = "expires_never",
    /// Forgets what is transient as soon as it is written.
    ExpiresAtOnce = "expires_at_once",
    /// Counts in windows that begin at fixed times, and forgets the one before.
    FixedWindows = "fixed_windows",
    /// Says yes while it cannot be reached.
    FailsOpen = "fails_open",
    /// Forgets everything when it refuses.
    ForgetsAll = "forgets_all",
    /// Counts what it is only asked about.
    CountsProbes = "counts_probes",
    /// Counts what it refuses.
    CountsRefusals = "counts_refusals",
    /// Counts for each of two processes apart.
    CountsPerProcess = "counts_per_process",
    /// Counts also where nothing is live.
    IgnoresConditions = "ignores_conditions",
    /// Takes whatever is there for what was expected.
    IgnoresExpectations = "ignores_expectations",
    /// Decides on what it read before, and writes over what came since. Only as a [`FlawedStore`]: it takes two at once.
    NotAtomic = "not_atomic",
    /// Decides by its own clock, which stands still.
    OwnClock = "own_clock",
    /// Ends every run when one is to end.
    ResetsAll = "resets_all",
    /// Keeps runs of failures with the record, and begins them anew when that is written.
    RunsEndWithRecords = "runs_end_with_records",
    /// Answers before it has saved: what came last is gone when it starts again.
    SavesLate = "saves_late",
    /// Answers that a failure is counted, and does not save it.
    SavesNoFailures = "saves_no_failures",
    /// Stores the events of changesets that it refuses.
    TellsOfRefusals = "tells_of_refusals",
}

/// Whether a store can be reached, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Condition {
    pub(crate) flaw: Option<Flaw>,
    pub(crate) down: bool,
    /// What a store that saves late has saved.
    saved: Option<Box<ModelState>>,
    /// What a store that counts for each process has counted for the other one.
    other: ByService<CounterKey, KeptCounter>,
}

impl Condition {
    pub(crate) fn of(flaw: Flaw) -> Self {
        Self {
            flaw: Some(flaw),
            ..Self::default()
        }
    }

    /// What a store in this condition makes of a changeset.
    pub(crate) fn apply(&mut self, state: &mut ModelState, changeset: &Changeset) -> StoreAnswer {
        if self.down {
            return match self.flaw {
                Some(Flaw::FailsOpen) => ModelState::default().apply_now(changeset),
                Some(_) | None => StoreAnswer::NotApplied(StoreFault::unavailable("down")),
            };
        }
        let Some(flaw) = self.flaw else {
            return state.apply_now(changeset);
        };
        if flaw == Flaw::SavesNoFailures {
            let answer = state.clone().apply_now(changeset);
            state.apply_now(&without_failures(changeset));
            return answer;
        }
        if flaw == Flaw::SavesLate {
            self.saved = Some(Box::new(state.clone()));
        }
        if flaw == Flaw::CountsPerProcess {
            state.swap_counters(&mut self.other);
        }
        if flaw == Flaw::FixedWindows {
            forget_earlier_windows(state, changeset);
        }
        let asked = flaw.understands(changeset, state);
        let answer = state.apply_now(&asked);
        flaw.goes_on(&asked, &answer, state);
        answer
    }

    /// The store starts again.
    pub(crate) fn restart(&mut self, state: &mut ModelState) {
        if let Some(saved) = self.saved.take() {
            *state = *saved;
        }
    }
}

impl Flaw {
    /// What the store takes the changeset for.
    fn understands(self, changeset: &Changeset, state: &ModelState) -> Changeset {
        let mut asked = changeset.clone();
        for charge in &mut asked.charges {
            match (self, charge.mode) {
                (Self::AdmitsAll, Mode::Charge) => charge.mode = Mode::Force,
                (Self::CountsProbes, Mode::Probe) => charge.mode = Mode::Charge,
                (Self::IgnoresConditions, _) => charge.when_live.clear(),
                _ => {}
            }
        }
        if self == Self::OwnClock {
            asked.at = Timestamp::from_millis(1_700_000_000_000);
        }
        if self == Self::ExpiresNever {
            expire_at(&mut asked, Timestamp::MAX);
        }
        if self == Self::ExpiresAtOnce {
            expire_at(&mut asked, changeset.at);
        }
        if self == Self::IgnoresExpectations {
            for change in &mut asked.records {
                let row = state.records().get(&changeset.service, &change.key);
                change.expect = row.map_or(Expect::Absent, |row| Expect::At(row.version));
            }
        }
        if self == Self::ResetsAll && !asked.resets.is_empty() {
            let keys = state.counters().keys();
            let here = keys.filter(|(service, _)| **service == changeset.service);
            asked.resets = here.map(|(_, key)| *key).collect();
        }
        asked
    }

    /// What it does besides.
    fn goes_on(self, asked: &Changeset, answer: &StoreAnswer, state: &mut ModelState) {
        let mut besides = Changeset::new(asked.service.clone(), asked.at, asked.room);
        match (self, answer) {
            (Self::TellsOfRefusals, StoreAnswer::Refused(_)) => besides.events.clone_from(&asked.events),
            (Self::CountsRefusals, StoreAnswer::Refused(_)) => besides.charges.clone_from(&asked.charges),
            (Self::ForgetsAll, StoreAnswer::Refused(_)) => *state = ModelState::default(),
            (Self::ExpiresAtOnce, _) => state.forget_counters(|_, _| true),
            (Self::RunsEndWithRecords, _) if asked.records.iter().any(is_put) => {
                state.forget_counters(|_, counter| matches!(counter, Counter::Backoff(_)));
            }
            _ => {}
        }
        for charge in &mut besides.charges {
            charge.mode = Mode::Force;
        }
        state.apply_now(&besides);
    }
}

fn is_put(change: &RecordChange) -> bool {
    matches!(change.write, Write::Put(_))
}

fn expire_at(asked: &mut Changeset, at: Timestamp) {
    for claim in &mut asked.claims {
        claim.expires_at = at;
    }
    for change in &mut asked.records {
        if let Write::Put(row) = &mut change.write {
            row.lifetime = Lifetime::Until(at);
        }
    }
}

/// The failures are decided, and not counted.
fn without_failures(changeset: &Changeset) -> Changeset {
    let mut asked = changeset.clone();
    for charge in &mut asked.charges {
        if matches!(charge.rule, Rule::Backoff { .. }) {
            charge.mode = Mode::Probe;
        }
    }
    asked
}

fn forget_earlier_windows(state: &mut ModelState, changeset: &Changeset) {
    let earlier = |charge: &Charge, counter: &Counter| match (&charge.rule, counter) {
        (Rule::Window { per, .. }, Counter::Window(window)) => {
            let number = |at: Timestamp| u128::from(at.as_millis()) / per.as_millis();
            number(window.newest()) < number(changeset.at)
        }
        (Rule::Window { .. } | Rule::Backoff { .. }, _) => false,
    };
    state.forget_counters(|key, counter| {
        let mut charges = changeset.charges.iter();
        charges.any(|charge| charge.key == *key && earlier(charge, counter))
    });
}

/// A [`Store`](verify_core::store::Store) with a flaw.
#[derive(Debug)]
pub struct FlawedStore {
    inner: ModelStore,
    condition: Mutex<Condition>,
}

impl FlawedStore {
    /// An empty one.
    pub fn new(flaw: Flaw) -> Self {
        Self {
            inner: ModelStore::new(),
            condition: Mutex::new(Condition::of(flaw)),
        }
    }
}

store_around! {
    plain FlawedStore,
    apply(this, changeset, _within) {
        if this.condition.lock().flaw == Some(Flaw::NotAtomic) {
            let mut read = this.inner.state();
            tokio::task::yield_now().await;
            let answer = read.apply_now(changeset);
            this.inner.change(|state| *state = read);
            return answer;
        }
        let mut condition = this.condition.lock();
        this.inner.change(|state| condition.apply(state, changeset))
    }
}
