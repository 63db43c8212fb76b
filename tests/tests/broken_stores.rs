//! The tests notice a store that is wrong: stores with one flaw each, and for each the case of the suite, or the check of
//! a promise in flows over it, that must find it. Each passes on a sound store first.
#![allow(missing_docs, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use verify_core::command::Command;
use verify_core::flow::{FLOW_BUDGET, Step};
use verify_core::store::Store;
use verify_lab::explore::{Kinds, World};
use verify_lab::{Flaw, FlawedStore};
use verify_testkit::ModelStore;
use verify_testkit::suite::{self, store as cases};
use verify_tests::explored::{Finding, finding};
use verify_tests::promises::*;
use verify_tests::{check, send, world};

/// The promises whose faults must each have a store that is found.
const PROMISES: [u8; 11] = [1, 2, 3, 5, 6, 10, 11, 12, 13, 28, 49];

/// A case of the suite passes on a sound store; on the flawed one it fails with this and nothing else. That one runs on
/// one thread, whose tasks take turns in their order: a flaw that needs two at once is met every time.
fn case_finds<C: Future<Output = ()>>(case: impl Fn(Arc<dyn Store>) -> C, flaw: Flaw, with: &str) {
    suite::run(case(Arc::new(ModelStore::new())));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let flawed: Arc<dyn Store> = Arc::new(FlawedStore::new(flaw));
    let failed = catch_unwind(AssertUnwindSafe(|| runtime.block_on(case(flawed))));
    let Err(panic) = failed else {
        panic!("{flaw:?} is not found")
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(text.contains(with), "{flaw:?} is found otherwise: {text}");
}

/// A check finds nothing in a sound world, and the promise that the test is named after over the flawed store.
fn check_finds(test: &str, check: fn(World) -> Finding, flaw: Flaw, kinds: Kinds) {
    assert_eq!(check(world(kinds)), Ok(()), "a sound store");
    named(test, flaw, &check(world(kinds).flawed(flaw)));
}

fn named(test: &str, flaw: Flaw, found: &Finding) {
    let promise = test.split('_').next().unwrap_or_default();
    let named = |what: &String| what.starts_with(&format!("{promise}:"));
    assert!(found.as_ref().is_err_and(named), "{flaw:?}: {found:?}");
}

macro_rules! finds {
    (cases { $($case:ident: $case_flaw:ident with $text:literal,)+ }
     checks { $($test:ident: $flaw:ident by $check:ident on $kinds:ident,)+ }
     others { $($other:ident: $other_flaw:ident,)+ }) => {
        /// Every test, and the flaw that it finds.
        const TESTS: &[(&str, Flaw)] = &[
            $((stringify!($case), Flaw::$case_flaw),)+
            $((stringify!($test), Flaw::$flaw),)+
            $((stringify!($other), Flaw::$other_flaw),)+
        ];
        $(
            #[test]
            fn $case() {
                case_finds(cases::$case, Flaw::$case_flaw, $text);
            }
        )+
        $(
            #[test]
            fn $test() {
                check_finds(stringify!($test), $check, Flaw::$flaw, Kinds::$kinds);
            }
        )+
    };
}

finds! {
    cases {
        i02_of_parallel_swaps_exactly_one_wins: NotAtomic with "won one swap",
        i06_parallel_failures_are_all_counted: NotAtomic with "failures were lost",
        i11_claims_end_and_not_before_their_time: OwnClock with "expected it to be applied",
        i11_counters_end_and_not_before_their_time: ExpiresAtOnce with "forgotten early",
        i11_transient_rows_end_and_not_before_their_time: ExpiresNever with "kept too long",
        i12_an_interval_across_any_edge_holds_no_more: FixedWindows with "expected it to be refused",
        i12_i05_parallel_charges_never_exceed_the_maximum: NotAtomic with "right: Ok(1)",
        i12_the_edge_of_a_rounded_window_admits_no_more: AdmitsAll with "expected it to be refused",
        i14_a_conditional_charge_is_decided_always_and_counted_only_while_live: IgnoresConditions with "nothing is live",
        i29_of_parallel_claims_exactly_one_is_created: NotAtomic with "created one claim",
        i32_parallel_money_never_exceeds_its_cap: NotAtomic with "right: 10",
        i39_a_reset_ends_the_run_that_it_names_and_no_other: ResetsAll with "expected it to be refused",
        i43_a_lockout_denies_until_the_instant_that_it_says: OwnClock with "expected it to be applied",
        i43_a_window_denies_until_the_instant_that_it_says: CountsRefusals with "right: Some(At(Timestamp(1700000001000)))",
        i49_a_denied_charge_changes_nothing: CountsRefusals with "a charge was counted",
        i49_a_failed_expectation_changes_nothing: IgnoresExpectations with "expected it to be refused",
        i49_an_existing_claim_changes_nothing: TellsOfRefusals with "an event was stored",
        a_claim_is_created_once_and_returned: ForgetsAll with "expected it to be refused",
        a_probe_refuses_and_counts_nothing: CountsProbes with "a probe counts nothing",
        charges_of_one_changeset_see_each_other: AdmitsAll with "expected it to be refused",
        expectations_hold_or_refuse: IgnoresExpectations with "expected it to be refused",
        parallel_changes_over_many_keys_end_and_balance: NotAtomic with "right: 120",
        parallel_events_keep_the_order_of_their_changes: NotAtomic with "left == right",
    }
    checks {
        i01_admits_all_is_found: AdmitsAll by i01_two_wrong_checks_one_comparison on Managed,
        i02_ignores_expectations_is_found: IgnoresExpectations by i02_two_right_checks_one_approval on Own,
        i03_runs_end_with_records_is_found: RunsEndWithRecords by i03_a_send_does_not_lower_failures on Own,
        i06_saves_no_failures_is_found: SavesNoFailures by i06_counted_before_compared on Managed,
        i10_counts_probes_is_found: CountsProbes by i10_a_send_writes_no_run on Own,
        i11_expires_never_is_found: ExpiresNever by i11_all_that_is_transient_ends on Own,
        i13_fails_open_is_found: FailsOpen by i13_a_store_that_is_down_refuses on Own,
        i28_saves_late_is_found: SavesLate by i28_a_crash_sends_nothing_twice on Own,
    }
    others {
        i01_not_atomic_is_found: NotAtomic,
        i05_counts_per_process_is_found: CountsPerProcess,
    }
}

/// The same case as on one that is not atomic: two processes admit twice as many.
#[test]
fn i05_counts_per_process_is_found() {
    let case = cases::i12_i05_parallel_charges_never_exceed_the_maximum;
    case_finds(case, Flaw::CountsPerProcess, "left: Ok(2)\n right: Ok(1)");
}

/// Two guesses at once, as two processes make them: the second is read before the first is written.
#[test]
fn i01_not_atomic_is_found() {
    let compared = |store: Arc<dyn Store>| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = Mutex::new(world(Kinds::Managed));
            drive(&world, &*store, send().into()).await;
            tokio::join!(
                drive(&world, &*store, check("000000").into()),
                drive(&world, &*store, check("000001").into()),
            );
            let compared = world.lock().compared;
            finding(compared == 1, "i01: two guesses inside the wait")
        })
    };
    assert_eq!(compared(Arc::new(ModelStore::new())), Ok(()), "a sound store");
    let flaw = Flaw::NotAtomic;
    named("i01_", flaw, &compared(Arc::new(FlawedStore::new(flaw))));
}

/// Runs a command in a world, over a store of its own.
async fn drive(world: &Mutex<World>, store: &dyn Store, command: Command) {
    let mut step = world.lock().start(command);
    loop {
        step = match step {
            Step::Store(it) => {
                let answer = store.apply(it.changeset(), FLOW_BUDGET).await;
                it.resume(world.lock().now, answer)
            }
            Step::Done(_) => return,
            other => world.lock().perform(other),
        };
    }
}

#[test]
fn every_flaw_and_every_promise_has_a_test() {
    for flaw in Flaw::ALL {
        assert!(
            TESTS.iter().any(|(_, found)| found == flaw),
            "nobody finds {flaw:?}"
        );
    }
    for promise in PROMISES {
        let id = format!("i{promise:02}");
        let is_about = |(test, _): &&(&str, Flaw)| test.split('_').any(|part| part == id);
        assert!(TESTS.iter().any(|test| is_about(&test)), "no store breaks {id}");
    }
    for (test, flaw) in TESTS.iter().filter(|(test, _)| test.ends_with("_is_found")) {
        assert!(test.contains(flaw.as_str()), "{test} finds {flaw:?}");
    }
}
