//! What honest people suffer where a defence is missing.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use common::{account, broken, run, run_under, without};
use verify_traffic::scenario::CROWDS;

#[test]
fn i36_owners_without_a_device_token_are_kept_out_while_it_lasts() {
    let run = run("lockout_dos", 7, 0.02);
    let ledger = run.simulation.ledger();
    let out = &account(ledger, "owners_without_device").people;
    assert!(out.verified < out.came / 2 && out.turned_away > 0, "{out:?}");
    assert!(out.locked > 0 && out.locked <= out.turned_away, "{out:?}");
    let with = &account(ledger, "owners_with_device").people;
    assert_eq!(with.verified, with.came);
}

#[test]
fn i37_a_new_code_for_each_send_and_no_gap_let_a_stranger_end_the_owners_code() {
    let naive = "[code]\nresend = \"new\"\n".to_owned()
        + &without(&["resend_gap", "sends_per_destination", "sends_per_destination_day"]);
    let failed = |text: &str| {
        let run = run_under(text, "victim_overwrite", 0.2);
        let people = &account(run.simulation.ledger(), "owners_without_device").people;
        people.came - people.verified + people.delayed
    };
    assert_eq!(failed(CROWDS), 0);
    assert!(failed(&naive) > 20, "{}", failed(&naive));
}

#[test]
fn a_crowd_is_refused_where_the_policy_does_not_expect_it() {
    let run = run_under(&CROWDS.replace("20000", "100"), "flash_crowd", 1.0);
    assert!(!broken(&run).is_empty());
}

#[test]
fn the_same_people_are_refused_where_the_policy_does_not_name_their_network() {
    let unnamed = CROWDS.split("[[network]]").next().unwrap();
    let run = run_under(unnamed, "cgnat_office", 0.1);
    let people = &account(run.simulation.ledger(), "cgnat_office").people;
    assert!(
        people.turned_away_by["sends_per_ip"] > people.came / 2,
        "{people:?}"
    );
    assert!(broken(&run).iter().any(|what| what.starts_with("refusals")));
}
