//! Machines with one rule switched off, in the world of the attack that the rule is against.
#![cfg(verify_broken)]
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use common::{broken, policy};
use verify_core::broken::Broken;
use verify_traffic::Simulation;
use verify_traffic::scenario::Scenario;

/// What a scenario finds on a machine without this rule, when it finds nothing on a whole one.
fn found(name: &str, scale: f64, without: Broken) -> Vec<String> {
    let scenario = Scenario::named(name).unwrap();
    let world = || Simulation::new(policy(scenario.policy), 7);
    assert_eq!(broken(&scenario.run_in(world(), 7, scale)), Vec::<String>::new());
    broken(&scenario.run_in(world().broken(without), 7, scale))
}

fn assert_finds(name: &str, scale: f64, without: Broken, what: &str) {
    let found = found(name, scale, without);
    assert!(
        found.iter().any(|found| found.starts_with(what)),
        "{without:?}: {found:?}"
    );
}

#[test]
fn i06_guesses_counted_after_the_comparison_are_free_where_nodes_die() {
    assert_finds(
        "node_crash",
        0.05,
        Broken::CountAfterCompare,
        "guesses of node_crash",
    );
}

#[test]
fn i48_sends_charged_after_the_dispatch_are_free_where_nodes_die() {
    assert_finds(
        "node_crash",
        0.05,
        Broken::ChargeAfterDispatch,
        "messages to one destination",
    );
}

#[test]
fn i51_a_message_that_may_have_left_goes_out_twice_in_a_brownout() {
    assert_finds(
        "provider_brownout",
        0.1,
        Broken::ResendAfterUnknown,
        "messages that left",
    );
}

#[test]
fn i03_a_send_that_ends_the_failures_makes_guesses_unlimited() {
    assert_finds(
        "resend_and_guess",
        0.05,
        Broken::ResetFailuresOnResend,
        "guesses of resend_guess",
    );
}

#[test]
fn i31_a_limit_by_destination_that_is_never_charged_lets_a_number_be_bombed() {
    assert_finds(
        "sms_bomb",
        0.05,
        Broken::SkipOneLimit,
        "messages to one destination",
    );
}

#[test]
fn i36_owners_who_count_with_strangers_are_locked_out_by_them() {
    assert_finds(
        "lockout_dos",
        0.02,
        Broken::ShareBetweenStandings,
        "owners_with_device who were verified",
    );
}
