//! The server's script and the core's function: where they differ that is noticed, and what either does wrong is found.

#![cfg(verify_broken)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use support::{WITHIN, connected, fresh, nothing, open, scan};
use verify_core::keys::Print;
use verify_core::limit::Rule;
use verify_core::store::{Changeset, Charge, CounterKey, Mode, Store, StoreAnswer, StoreFault};
use verify_redis::{Flaw, RedisOptions};
use verify_testkit::suite::{run, store as cases};

type Subject = Arc<dyn Store>;

fn flawed(flaw: Option<Flaw>) -> RedisOptions {
    let mut options = fresh();
    options.flaw = flaw;
    options.watched = true;
    options
}

/// Whether a case, or what is found of its keys when it is over, tells this store from a sound one.
fn is_found<Case: Future<Output = ()>>(flaw: Option<Flaw>, case: impl Fn(Subject) -> Case) -> bool {
    let options = flawed(flaw);
    let tried = catch_unwind(AssertUnwindSafe(|| {
        run(async { case(Arc::new(open(options.clone()).await)).await });
        scan(
            &mut connected(options.servers.addresses()[0].port),
            &options.prefix,
        );
    }));
    tried.is_err()
}

/// A sound store passes, and a flawed one does not.
fn finds<Case: Future<Output = ()>>(flaw: Flaw, case: impl Fn(Subject) -> Case) {
    assert!(!is_found(None, &case), "the case fails a sound store");
    assert!(is_found(Some(flaw), &case), "{flaw:?} was not found");
}

#[test]
fn a_script_that_forgets_a_takeback_is_found() {
    finds(Flaw::ForgetsTakebacks, cases::a_takeback_happens_once);
}

#[test]
fn a_script_that_writes_before_it_decides_is_found() {
    finds(
        Flaw::WritesBeforeItDecides,
        cases::i49_a_denied_charge_changes_nothing,
    );
}

#[test]
fn a_script_that_judges_by_the_time_to_live_is_found() {
    finds(Flaw::JudgesByTtl, cases::i11_claims_end_and_not_before_their_time);
}

#[test]
fn a_key_that_is_not_declared_is_found() {
    finds(Flaw::LeavesAKeyUndeclared, cases::all_of_a_changeset_happens);
}

#[test]
fn an_adapter_that_trusts_the_scripts_decision_is_found() {
    finds(
        Flaw::Trusts,
        cases::i12_i05_parallel_charges_never_exceed_the_maximum,
    );
}

/// One of one unit a minute, so many milliseconds later.
fn charging(millis: u64) -> Changeset {
    let mut changeset = nothing();
    changeset.at = changeset.at + Duration::from_millis(millis);
    changeset.charges.push(Charge {
        key: CounterKey {
            scope: 7,
            print: Print::from_bytes([7; 16]),
        },
        rule: Rule::Window {
            max: 1,
            per: Duration::from_secs(60),
        },
        cost: 1,
        mode: Mode::Charge,
        when_live: Vec::new(),
    });
    changeset
}

/// Asks a store with a flaw for two charges; the second answer, and what was measured.
fn second_answer(flaw: Flaw, later: u64) -> (StoreAnswer, String) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let measured = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let mut options = fresh();
            options.flaw = Some(flaw);
            let store = open(options).await;
            let first = store.apply(&charging(0), WITHIN).await;
            assert!(matches!(first, StoreAnswer::Applied(_)), "{first:?}");
            store.apply(&charging(later), WITHIN).await
        })
    });
    (answer, measured.render())
}

#[test]
fn i147_what_the_script_did_and_the_core_would_not_have_is_a_fault_and_counted() {
    let (answer, measured) = second_answer(Flaw::Drifts, 1);
    let StoreAnswer::Unknown(words) = answer else {
        panic!("what was written is not undone: {answer:?}")
    };
    assert!(words.message().contains("differ"), "{words:?}");
    assert!(
        measured.contains("verify_store_differences_total{written=\"yes\"} 1"),
        "{measured}"
    );
}

#[test]
fn i147_what_the_script_refused_and_the_core_would_not_have_is_a_fault_and_counted() {
    // The minute is over, and the counter is kept for ten seconds more.
    let (answer, measured) = second_answer(Flaw::Stricter, 60_001);
    let StoreAnswer::NotApplied(StoreFault::Defect(words)) = answer else {
        panic!("a refusal that is none: {answer:?}")
    };
    assert!(words.message().contains("differ"), "{words:?}");
    assert!(
        measured.contains("verify_store_differences_total{written=\"no\"} 1"),
        "{measured}"
    );
}
