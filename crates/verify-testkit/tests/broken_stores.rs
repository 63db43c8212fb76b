//! The suite is worth something only if it finds what is broken: stores with one fault each, and the case that
//! must find it.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::event::Event;
use verify_core::store::{Changeset, EventSeq, Expect, Mode, RecordKey, Store, StoreAnswer, StoreFault};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_testkit::ModelState;
use verify_testkit::suite::{self, store as cases};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// Decides on what it read before, and writes over what came since.
    NotAtomic,
    /// Stores the events of refused changesets.
    TellsOfRefusals,
    /// Counts what it refuses.
    CountsRefusals,
    /// Forgets everything now and then.
    Forgets,
    /// Decides by its own clock, which stands still.
    OwnClock,
    /// Admits whatever it is charged.
    AdmitsAll,
    /// Counts what it is only asked about.
    CountsProbes,
    /// Counts also where nothing is live.
    IgnoresConditions,
    /// Takes whatever is there for what was expected.
    IgnoresExpectations,
    /// Ends every run when one is to end.
    ResetsAll,
}

impl Broken {
    /// What the store takes the changeset for.
    fn understands(self, changeset: &Changeset, state: &ModelState) -> Changeset {
        let mut asked = changeset.clone();
        let here = |service: &ServiceId| *service == changeset.service;
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
        if self == Self::IgnoresExpectations {
            for change in &mut asked.records {
                let row = state.records().get(&changeset.service, &change.key);
                change.expect = row.map_or(Expect::Absent, |row| Expect::At(row.version));
            }
        }
        if self == Self::ResetsAll && !asked.resets.is_empty() {
            let keys = state.counters().keys().filter(|(service, _)| here(service));
            asked.resets = keys.map(|(_, key)| *key).collect();
        }
        asked
    }
}

struct BrokenStore {
    how: Broken,
    state: Mutex<ModelState>,
}

#[async_trait]
impl Store for BrokenStore {
    async fn apply(&self, changeset: &Changeset) -> StoreAnswer {
        if self.how == Broken::NotAtomic {
            let mut read = self.state.lock().clone();
            tokio::task::yield_now().await;
            let answer = read.apply_now(changeset);
            *self.state.lock() = read;
            return answer;
        }
        let mut state = self.state.lock();
        let asked = self.how.understands(changeset, &state);
        let answer = state.apply_now(&asked);
        let mut consequence = Changeset::new(changeset.service.clone(), changeset.at, changeset.room);
        match (self.how, &answer) {
            (Broken::TellsOfRefusals, StoreAnswer::Refused(_)) => consequence.events = asked.events,
            (Broken::CountsRefusals, StoreAnswer::Refused(_)) => consequence.charges = asked.charges,
            (Broken::Forgets, StoreAnswer::Refused(_)) => *state = ModelState::default(),
            _ => {}
        }
        for charge in &mut consequence.charges {
            charge.mode = Mode::Force;
        }
        state.apply_now(&consequence);
        answer
    }

    async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        Ok(self.state.lock().due(now, most))
    }

    async fn outbox(&self, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        Ok(self.state.lock().outbox(most))
    }

    async fn acknowledge(&self, through: EventSeq) -> Result<(), StoreFault> {
        self.state.lock().acknowledge(through);
        Ok(())
    }

    async fn health(&self) -> Result<(), StoreFault> {
        Ok(())
    }
}

macro_rules! finds {
    ($($case:ident: $how:ident),+ $(,)?) => {$(
        #[test]
        #[should_panic]
        fn $case() {
            let store = BrokenStore { how: Broken::$how, state: Mutex::default() };
            suite::run(cases::$case(Arc::new(store)));
        }
    )+};
}

finds! {
    i12_i05_parallel_charges_never_exceed_the_maximum: NotAtomic,
    i02_of_parallel_swaps_exactly_one_wins: NotAtomic,
    i29_of_parallel_claims_exactly_one_is_created: NotAtomic,
    i06_parallel_failures_are_all_counted: NotAtomic,
    parallel_changes_over_many_keys_end_and_balance: NotAtomic,
    parallel_events_keep_the_order_of_their_changes: NotAtomic,
    i49_an_existing_claim_changes_nothing: TellsOfRefusals,
    i49_a_denied_charge_changes_nothing: CountsRefusals,
    i43_a_window_denies_until_the_instant_that_it_says: CountsRefusals,
    i43_a_lockout_denies_until_the_instant_that_it_says: OwnClock,
    i11_claims_end_and_not_before_their_time: OwnClock,
    i11_counters_end_and_not_before_their_time: OwnClock,
    i11_transient_rows_end_and_not_before_their_time: OwnClock,
    i12_the_edge_of_a_rounded_window_admits_no_more: AdmitsAll,
    charges_of_one_changeset_see_each_other: AdmitsAll,
    a_probe_refuses_and_counts_nothing: CountsProbes,
    i14_a_conditional_charge_is_decided_always_and_counted_only_while_live: IgnoresConditions,
    expectations_hold_or_refuse: IgnoresExpectations,
    i49_a_failed_expectation_changes_nothing: IgnoresExpectations,
    i32_parallel_money_never_exceeds_its_cap: NotAtomic,
    i39_a_reset_ends_the_run_that_it_names_and_no_other: ResetsAll,
    a_claim_is_created_once_and_returned: Forgets,
}
