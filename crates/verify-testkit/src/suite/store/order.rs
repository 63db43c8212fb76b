//! Many at once, over keys of which each meets each: some order of what they asked explains all that they were told.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use verify_core::store::{Store, StoreAnswer};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use super::fixture::*;
use crate::Recorder;
use crate::suite::plans::{Learned, Plan, plan};
use crate::suite::rounds;

/// How many histories; `VERIFY_HISTORIES` says otherwise.
const HISTORIES: u32 = 24;
const TASKS: usize = 5;
const EACH: usize = 3;
/// What was there before they begin, and has mostly ended by then.
const BEFORE: usize = 4;

/// Clients of a service that share what they learned.
struct Clients {
    store: Recorder<Subject>,
    learned: Mutex<Learned>,
    service: ServiceId,
}

/// A plan, and after how often it is looked at whoever asked goes away.
type Asked = (Plan, Option<u32>);

/// Linearizable, with answers in doubt allowed: run it over connections that break, and it holds all the same. Housekeeping goes on
/// beside them, and some who ask go away.
pub async fn i05_what_many_are_told_at_once_is_explained_by_an_order(store: Subject) {
    let mut told = 0;
    for number in 0..rounds("VERIFY_HISTORIES", HISTORIES) {
        told += one_history(&store, number).await;
    }
    assert!(told > 0, "nothing was ever applied");
}

/// How many were told that theirs was applied.
async fn one_history(store: &Subject, number: u32) -> usize {
    let Ok(service) = ServiceId::new(&format!("history-{number}")) else {
        panic!("a service id")
    };
    let before = at(u64::from(number) * 7_200_000);
    let now = before + Duration::from_secs(3_600);
    let clients = Arc::new(Clients {
        store: Recorder::around(Arc::clone(store)),
        learned: Mutex::default(),
        service: service.clone(),
    });
    let mut asked = asked_by_chance(number).into_iter();
    for (plan, _) in asked.by_ref().take(BEFORE) {
        clients.ask(&plan, before).await;
    }
    let barrier = Arc::new(Barrier::new(TASKS + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (clients, barrier) = (Arc::clone(&clients), Arc::clone(&barrier));
        let asked: Vec<Asked> = asked.by_ref().take(EACH).collect();
        tasks.spawn(async move {
            barrier.wait().await;
            for (plan, polls) in asked {
                match polls {
                    Some(polls) => drop(at_most(polls, clients.ask(&plan, now)).await),
                    None => clients.ask(&plan, now).await,
                }
            }
        });
    }
    let (clearing, of, start) = (Arc::clone(store), service.clone(), Arc::clone(&barrier));
    tasks.spawn(async move {
        start.wait().await;
        for _ in 0..number % 8 {
            tokio::task::yield_now().await;
        }
        for _ in 0..EACH {
            clearing.drop_outlived(&of, now, 4).await.ok();
            tokio::task::yield_now().await;
        }
    });
    tasks.join_all().await;
    let Ok(history) = clients.store.history(&service).await else {
        panic!("the outbox must be readable")
    };
    if let Err(unexplained) = history.explain() {
        panic!("history {number}: {unexplained}");
    }
    // Room for the next one.
    if let Ok(Some((last, _))) = store.outbox(&service, 1_000).await.map(|mut events| events.pop()) {
        store.acknowledge(&service, last).await.ok();
    }
    let applied = history.operations.iter();
    applied
        .filter(|operation| matches!(operation.answer, StoreAnswer::Applied(_)))
        .count()
}

impl Clients {
    async fn ask(&self, plan: &Plan, at: Timestamp) {
        let changeset = self.learned.lock().changeset(plan, &self.service, at);
        let answer = self.store.apply(&changeset, WITHIN).await;
        self.learned.lock().learn(&changeset, &answer);
    }
}

/// The same for the same number.
fn asked_by_chance(number: u32) -> Vec<Asked> {
    let mut seed = [0; 32];
    for (byte, from) in seed.iter_mut().zip(number.to_be_bytes()) {
        *byte = from;
    }
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), chance);
    let goes_away = prop::option::weighted(0.1, 1u32..4);
    let asked = prop::collection::vec((plan(), goes_away), BEFORE + TASKS * EACH);
    match asked.new_tree(&mut runner) {
        Ok(tree) => tree.current(),
        Err(why) => panic!("no changesets: {why}"),
    }
}
