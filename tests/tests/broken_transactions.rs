//! The suite notices a store that decides in transactions and takes a wrong step there: for each the case that must find it.
//! Each passes on sound ones first, with the same faults.
#![allow(missing_docs, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use verify_core::store::Store;
use verify_lab::{Misstep, Transactions};
use verify_testkit::suite::{self, store as cases};

/// It passes on sound transactions; with the misstep it fails with this and nothing else. One thread, whose tasks take turns:
/// what needs two at once is met every time.
fn finds<C: Future<Output = ()>>(
    case: impl Fn(Arc<dyn Store>) -> C,
    make: fn(Option<Misstep>) -> Transactions,
    misstep: Misstep,
    with: &str,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(case(Arc::new(make(None))));
    suite::run(case(Arc::new(make(None))));
    let broken: Arc<dyn Store> = Arc::new(make(Some(misstep)));
    let failed = catch_unwind(AssertUnwindSafe(|| runtime.block_on(case(broken))));
    let Err(panic) = failed else {
        panic!("{misstep:?} is not found")
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(text.contains(with), "{misstep:?} is found otherwise: {text}");
}

macro_rules! found {
    ($($test:ident: $misstep:ident of $make:ident by $case:ident with $text:literal,)+) => {$(
        #[test]
        fn $test() {
            finds(cases::$case, Transactions::$make, Misstep::$misstep, $text);
        }
    )+};
}

found! {
    commit_before_write: CommitsBeforeItWrites of new
        by i12_i05_parallel_charges_never_exceed_the_maximum with "right: Ok(1)",
    lane_not_locked: LeavesTheLaneUnlocked of new
        by i02_of_parallel_swaps_exactly_one_wins with "won one swap",
    lock_and_read_in_one_statement: ReadsBeforeItWaits of new
        by i29_of_parallel_claims_exactly_one_is_created with "created one claim",
    decided_on_a_stale_read: DecidesOnAStaleRead of new
        by expectations_hold_or_refuse with "expected it to be refused",
    retried_after_unknown: RetriesWhatIsInDoubt of with_faults
        by i05_what_many_are_told_at_once_is_explained_by_an_order with "no order explains",
    refusals_answered_before_the_commit: AnswersRefusalsAtOnce of with_faults
        by i05_what_many_are_told_at_once_is_explained_by_an_order with "no order explains",
    not_found_taken_for_not_applied: TakesNotFoundForNotApplied of with_faults
        by i05_what_many_are_told_at_once_is_explained_by_an_order with "no order explains",
    batch_in_the_callers_future: RunsInTheCallersFuture of new
        by whoever_goes_away_takes_nobody_along with "somebody else went away",
    housekeeping_by_an_old_list: DropsByAnOldList of new
        by what_comes_anew_is_not_dropped_with_what_was_outlived with "that came anew was dropped",
}

/// The checker of histories sees by itself what the simpler cases see.
macro_rules! unexplained {
    ($($test:ident: $misstep:ident,)+) => {$(
        #[test]
        fn $test() {
            let case = cases::i05_what_many_are_told_at_once_is_explained_by_an_order;
            finds(case, Transactions::new, Misstep::$misstep, "no order explains");
        }
    )+};
}

unexplained! {
    no_order_explains_a_commit_before_its_writes: CommitsBeforeItWrites,
    no_order_explains_an_unlocked_lane: LeavesTheLaneUnlocked,
    no_order_explains_a_read_before_the_lock: ReadsBeforeItWaits,
    no_order_explains_a_stale_read: DecidesOnAStaleRead,
    no_order_explains_housekeeping_by_an_old_list: DropsByAnOldList,
}
