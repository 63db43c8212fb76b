//! Any store beside the model: the same changesets, and the same answers.
//!
//! ```
//! # mod in_a_test_file {
//! use verify_testkit::{ModelStore, store_answers_as_the_model};
//!
//! store_answers_as_the_model!(mine, 20, || async { ModelStore::new() });
//! # }
//! ```

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use verify_core::event::Event;
use verify_core::store::{Origin, Store, StoreAnswer};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use super::plans::{Learned, Plan, plan, record, under};
use super::rounds;
use crate::ModelStore;

/// A test of that many runs in which a store answers as the model does; `VERIFY_RUNS` says how many instead. The third argument makes a fresh, empty store:
/// it needs room for what 40 changesets bring.
#[macro_export]
macro_rules! store_answers_as_the_model {
    ($name:ident, $cases:expr, $make:expr) => {
        #[test]
        fn $name() {
            $crate::suite::differential::compare($cases, $make);
        }
    };
}

/// Compares a store with the model over so many runs of up to 40 changesets.
///
/// # Panics
/// When they answer differently: with the shortest run that was found.
pub fn compare<S: Store, Making: Future<Output = S>>(cases: u32, make: impl Fn() -> Making) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime to run the stores on: {error}"),
    };
    let mut runner = TestRunner::new(ProptestConfig::with_cases(rounds("VERIFY_RUNS", cases)));
    let (runs, changesets) = (Cell::new(0), Cell::new(0));
    let run = runner.run(&prop::collection::vec(plan(), 1..40), |plans| {
        runs.set(runs.get() + 1);
        changesets.set(changesets.get() + plans.len());
        runtime.block_on(async { answers_alike(&plans, make().await).await })
    });
    if let Err(failed) = run {
        panic!("{failed}");
    }
    println!("did: {} runs, {} changesets", runs.get(), changesets.get());
}

const WITHIN: Duration = Duration::from_secs(5);

/// One of the two stores, and what a client learned from it.
struct Side<S> {
    store: S,
    learned: Learned,
    /// By service: versions in the order in which they were first told. The numbers themselves may differ, and services may
    /// have the same.
    names: BTreeMap<ServiceId, Vec<u64>>,
}

impl<S: Store> Side<S> {
    fn new(store: S) -> Self {
        Self {
            store,
            learned: Learned::default(),
            names: BTreeMap::new(),
        }
    }

    /// Applies a plan, and learns from the answer; names stand in it in the place of version numbers, and nothing of where
    /// it comes from.
    async fn ask(&mut self, plan: &Plan, at: Timestamp) -> StoreAnswer {
        let changeset = self.learned.changeset(plan, &service_of(plan), at);
        let mut answer = self.store.apply(&changeset, WITHIN).await;
        self.learned.learn(&changeset, &answer);
        if let StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen) = &mut answer {
            seen.origin = Origin::default();
            let names = self.names.entry(changeset.service).or_default();
            for row in seen.records.iter_mut().filter_map(|(_, row)| row.as_mut()) {
                if !names.contains(&row.version) {
                    names.push(row.version);
                }
                let name = names.iter().position(|name| *name == row.version);
                row.version = name.unwrap_or_default() as u64;
            }
        }
        answer
    }
}

fn service_of(plan: &Plan) -> ServiceId {
    ServiceId::new(if plan.service { "one" } else { "two" }).unwrap_or_default()
}

async fn answers_alike(plans: &[Plan], store: impl Store) -> Result<(), TestCaseError> {
    let mut model = Side::new(ModelStore::new());
    let mut other = Side::new(store);
    let mut now = Timestamp::from_millis(1_700_000_000_000);
    for plan in plans {
        // Time does not jump back here: what was forgotten in time, one of them forgets sooner than the other.
        now = now + Duration::from_millis(plan.later);
        let expected = model.ask(plan, now).await;
        prop_assert_eq!(other.ask(plan, now).await, expected);
        let service = service_of(plan);
        if let Some(record) = plan.put_off.map(record) {
            prop_assert_eq!(other.store.put_off(&service, &record, now).await, Ok(()));
            prop_assert_eq!(model.store.put_off(&service, &record, now).await, Ok(()));
        }
        for most in [1, 100] {
            let due = other.store.due(&service, now, most).await;
            prop_assert_eq!(due, model.store.due(&service, now, most).await);
            let services = other.store.services(now, None, most).await;
            prop_assert_eq!(services, model.store.services(now, None, most).await);
        }
        let counted = other.store.durable().await.map(BTreeMap::from_iter);
        let expected = model.store.durable().await.map(BTreeMap::from_iter);
        prop_assert_eq!(counted, expected);
        let listed = other.store.durable_under(under(2), None, 100).await;
        let expected = model.store.durable_under(under(2), None, 100).await;
        prop_assert_eq!(listed.map(BTreeSet::from_iter), expected.map(BTreeSet::from_iter));
        outboxes_are_alike(&other.store, &model.store, &service).await?;
    }
    Ok(())
}

/// The same events in the same order, though their places may be other numbers.
async fn outboxes_are_alike(
    store: &impl Store,
    model: &ModelStore,
    service: &ServiceId,
) -> Result<(), TestCaseError> {
    let events = store.outbox(service, 100).await.unwrap_or_default();
    let expected = model.outbox(service, 100).await.unwrap_or_default();
    let told = |events: &[(_, Event)]| events.iter().map(|(_, event)| event.clone()).collect::<Vec<_>>();
    prop_assert_eq!(told(&events), told(&expected));
    let middle = events.len() / 2;
    if let (Some((through, _)), Some((expected, _))) = (events.get(middle), expected.get(middle)) {
        prop_assert_eq!(store.acknowledge(service, *through).await, Ok(()));
        prop_assert_eq!(model.acknowledge(service, *expected).await, Ok(()));
    }
    Ok(())
}
