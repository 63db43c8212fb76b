//! What every store promises.

mod atomicity;
mod background;
mod capacity;
mod claims;
mod counters;
mod durable;
mod fixture;
mod order;
mod outbox;
mod races;
mod records;
mod takebacks;

pub use atomicity::*;
pub use background::*;
pub use capacity::*;
pub use claims::*;
pub use counters::*;
pub use durable::*;
pub use order::*;
pub use outbox::*;
pub use races::*;
pub use records::*;
pub use takebacks::*;

/// Holds a [`Store`](verify_core::store::Store) to its contract: a module of tests, one a case.
///
/// The second argument makes a fresh, empty store: `|| async { MyStore::connect().await }`. It needs room for a few
/// hundred entries, and an outbox.
#[macro_export]
macro_rules! store_suite {
    ($name:ident, $make:expr) => {
        $crate::__store_cases! { $name, $make, [
            i49_a_denied_charge_changes_nothing,
            i49_a_failed_expectation_changes_nothing,
            i49_an_existing_claim_changes_nothing,
            i49_the_same_changeset_again_changes_nothing_and_shows_that_it_happened,
            all_of_a_changeset_happens,
            a_refusal_says_all_that_stood_against_it,
            services_are_apart,
            an_empty_changeset_is_applied,
            i62_what_was_issued_before_the_epoch_cannot_be_used_up,
            a_store_at_hand_is_healthy,
            i43_a_window_denies_until_the_instant_that_it_says,
            i43_a_lockout_denies_until_the_instant_that_it_says,
            i44_a_jump_back_opens_nothing,
            i44_jumps_back_and_forth_lose_nothing_and_bring_nothing_back,
            i12_an_interval_across_any_edge_holds_no_more,
            i12_the_edge_of_a_rounded_window_admits_no_more,
            i11_counters_end_and_not_before_their_time,
            i14_a_conditional_charge_is_decided_always_and_counted_only_while_live,
            a_probe_refuses_and_counts_nothing,
            a_forced_charge_counts_even_above_the_maximum,
            charges_of_one_changeset_see_each_other,
            a_cost_above_the_maximum_is_never_admitted,
            i39_a_reset_ends_the_run_that_it_names_and_no_other,
            a_reset_ends_the_window_that_it_names_and_no_other,
            takebacks_and_resets_come_before_charges,
            a_takeback_happens_once,
            a_takeback_after_a_reset_does_nothing,
            a_takeback_after_a_window_was_ended_does_nothing,
            a_takeback_of_a_refused_changeset_did_not_happen,
            expectations_hold_or_refuse,
            a_put_row_comes_back_with_its_new_version,
            a_version_never_comes_twice_not_even_after_a_delete,
            reads_return_what_is_there_and_what_is_not,
            i11_transient_rows_end_and_not_before_their_time,
            durable_rows_stay,
            due_records_come_soonest_first,
            what_is_settled_or_gone_is_not_due,
            a_claim_is_created_once_and_returned,
            i11_claims_end_and_not_before_their_time,
            an_unclaimed_key_is_free_again,
            events_come_in_order_until_acknowledged,
            each_service_has_an_outbox_of_its_own,
            an_alert_is_raised_once_within_its_time,
            what_cannot_be_settled_is_put_off,
            durable_rows_are_counted_and_listed_by_their_keys,
            durable_rows_are_listed_a_page_at_a_time,
            a_durable_row_is_listed_until_it_is_written_again,
            services_with_something_to_do_are_named,
            work_is_lent_to_one_at_a_time,
            what_is_outlived_is_dropped_and_nothing_else,
            i12_i05_parallel_charges_never_exceed_the_maximum,
            i32_parallel_money_never_exceeds_its_cap,
            i29_of_parallel_claims_exactly_one_is_created,
            i02_of_parallel_swaps_exactly_one_wins,
            i06_parallel_failures_are_all_counted,
            parallel_changes_over_many_keys_end_and_balance,
            parallel_events_keep_the_order_of_their_changes,
            events_that_come_while_others_are_taken_are_handed_over_once_and_in_order,
            of_parallel_copies_of_one_change_exactly_one_happens,
            of_parallel_holders_one_is_lent_the_work,
            whoever_goes_away_takes_nobody_along,
            what_comes_anew_is_not_dropped_with_what_was_outlived,
            i05_what_many_are_told_at_once_is_explained_by_an_order,
        ] }
    };
}

/// Holds a store that declares a capacity to it: the second argument makes a fresh store with room for 20 to 1000
/// entries of each kind, a tenth or so of it for known callers.
#[macro_export]
macro_rules! capped_store_suite {
    ($name:ident, $make:expr) => {
        $crate::__store_cases! { $name, $make, [
            i57_at_the_cap_what_is_new_is_refused_and_what_is_there_still_counts,
            i57_a_change_without_room_changes_nothing,
            i57_known_callers_have_room_of_their_own,
            i57_room_comes_back_when_entries_end,
            i57_a_full_outbox_takes_no_change_that_it_would_lose,
        ] }
    };
}

/// Holds a store that outlives the process to it. The second argument makes an empty place, and comes to what opens it, each
/// time anew: `|| async { let path = fresh(); move || { let path = path.clone(); async move { MyStore::open(path) } } }`.
#[macro_export]
macro_rules! durable_store_suite {
    ($name:ident, $make:expr) => {
        $crate::__durable_store_cases! { $name, $make, [
            what_was_answered_is_there_when_it_is_opened_again,
            a_version_never_comes_twice_across_openings,
            places_of_events_rise_across_openings,
            what_is_put_off_stays_so_across_openings,
            i62_a_place_keeps_its_epoch_and_its_first_one_is_expected,
            i05_several_openings_admit_no_more_than_one,
        ] }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __durable_store_cases {
    ($name:ident, $make:expr, [$($case:ident),* $(,)?]) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression that makes the place may need what surrounds the suite")]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::suite::run(async {
                        let open = ($make)().await;
                        $crate::suite::store::$case($crate::suite::store::Place::of(open)).await;
                    });
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ($name:ident, $make:expr, [$($case:ident),* $(,)?]) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression that makes the store may need what surrounds the suite")]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::suite::run(async {
                        let store = ($make)().await;
                        $crate::suite::store::$case(::std::sync::Arc::new(store)).await;
                    });
                }
            )*
        }
    };
}
