//! Forged reports, failing providers, dying nodes, wrong clocks and mail scanners, each with its defence taken away.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use std::time::Duration;

use common::{HOUR, MINUTE, SECOND, account, attack, broken, most_messages, policy, run, run_under, without};
use verify_core::command::Report;
use verify_core::port::Detail;
use verify_traffic::actors::{Callbacks, ClockSkew, Forecast, MailScanner, Reference};
use verify_traffic::scenario::{BY_MAIL, GUARDED, Scenario};
use verify_traffic::{People, Simulation, Weather};

#[test]
fn i35_a_report_is_believed_by_its_sealed_reference_alone() {
    let believed = |reference| {
        let ledger = attack(Callbacks::forge(0.05, reference), "", HOUR);
        let got = account(&ledger, "webhook_forge").clone();
        assert!(got.reports > 100);
        (got.believed, got.messages)
    };
    assert_eq!(believed(Reference::Invented).0, 0);
    assert_eq!(believed(Reference::Altered).0, 0);
    // One that leaked is believed, and its failure is worth a call: the seal is what forgeries fail at.
    let (leaked, with_calls) = believed(Reference::Genuine);
    let (_, without_calls) = believed(Reference::Altered);
    assert!(leaked > 50 && with_calls > without_calls * 3 / 2);
}

#[test]
fn i35_whoever_acts_on_each_report_pays_for_each() {
    let copies = 20;
    let ledger = attack(Callbacks::replay(0.02, copies), "", HOUR);
    let got = account(&ledger, "webhook_replay");
    let failures = got.reports / u64::from(copies);
    assert_eq!(got.believed, failures);
    // A call for every report would have been the same money twenty times.
    assert!(got.messages <= 2 * failures && got.reports >= 10 * got.messages);
}

#[test]
fn i35_a_failure_is_worth_a_call_unless_it_comes_after_the_success() {
    let late = Callbacks::reorder(0.02);
    let mut early = late.clone();
    early.told = vec![Report::Undelivered(Detail::default()), Report::Delivered];
    let calls = |actor| {
        let ledger = attack(actor, "", HOUR);
        let got = account(&ledger, "webhook_reorder");
        got.messages - got.sends
    };
    assert_eq!(calls(late), 0);
    assert!(calls(early) > 10);
}

/// A brownout, for a client that repeats calls that were not answered so often.
fn brownout(naive_retries: u32) -> Vec<String> {
    let scenario = Scenario::named("provider_brownout").unwrap();
    let mut simulation = Simulation::new(policy(GUARDED), 7);
    // It comes after the scenario's own, at the same instant.
    simulation.add(SECOND, {
        let mut forecast = Forecast::brownout(HOUR);
        for (_, weather) in &mut forecast.stages {
            weather.naive_retries = naive_retries;
        }
        forecast
    });
    broken(&scenario.run_in(simulation, 7, 0.2))
}

#[test]
fn i51_a_client_that_repeats_unanswered_calls_sends_twice() {
    assert_eq!(brownout(0), Vec::<String>::new());
    let found = brownout(1);
    assert!(
        found.iter().any(|what| what.starts_with("messages that left")),
        "{found:?}"
    );
}

#[test]
fn a_brownout_costs_time_and_patience_and_locks_nobody_out() {
    let run = run("provider_brownout", 7, 0.3);
    let ledger = run.simulation.ledger();
    let people = &account(ledger, "customers").people;
    assert!(people.verified * 100 > people.came * 85, "{people:?}");
    let told = ledger.events()["delivery.delivered"];
    assert!(
        told > 0 && told <= ledger.sent().len() as u64,
        "three reports of each count once"
    );
}

#[test]
fn what_dies_is_not_answered_and_what_it_wrote_stays() {
    let mut simulation = Simulation::new(policy(GUARDED), 7);
    let always = Weather {
        dies: 1.0,
        ..Weather::default()
    };
    let mut forecast = Forecast::dying_nodes(1.0, HOUR);
    forecast.stages = [(HOUR, always)].into();
    simulation.add(Duration::ZERO, forecast);
    simulation.add(SECOND, verify_traffic::actors::Pump::random("KE", 0.05));
    simulation.run(HOUR);
    let ledger = simulation.ledger();
    let got = account(ledger, "random_valid");
    // Charged before the provider is asked: some of those that died had left, and none left uncharged.
    assert!(
        got.messages > 10 && got.messages < got.sends,
        "{} of {}",
        got.messages,
        got.sends
    );
    assert!(ledger.events()["send.intended"] > got.messages);
}

#[test]
fn i44_ten_minutes_between_clocks_are_worth_a_message_and_no_more() {
    let skewed = run("clock_skew", 7, 0.2);
    let most = most_messages(skewed.simulation.ledger(), 10 * MINUTE);
    // One clock admits three. The attack gains something, and less than a second window.
    assert!((4..=6).contains(&most), "{most}");
    let alone = ClockSkew {
        victim: common::victim(),
        nodes: 3,
        every: 7 * SECOND,
    };
    assert!(
        most_messages(&attack(alone, GUARDED, 5 * HOUR), 10 * MINUTE) <= 3,
        "nodes that agree"
    );
}

#[test]
fn i44_without_limits_by_destination_wrong_clocks_have_nothing_to_walk_around() {
    let open = "[lockout]\nwaits = \"unlimited\"\n".to_owned()
        + &without(&[
            "sends_per_destination",
            "sends_per_destination_day",
            "resend_gap",
            "checks_per_identity",
            "sends_per_prefix",
        ]);
    let run = run_under(&open, "clock_skew", 0.05);
    assert!(most_messages(run.simulation.ledger(), 10 * MINUTE) > 20);
}

/// The readers of `mail_scanner`, and how often a scanner was taken for one of them.
fn readers(scanner: Option<MailScanner>) -> (People, u64) {
    let mut simulation = Simulation::new(policy(BY_MAIL), 7);
    simulation.add(Duration::ZERO, verify_traffic::scenario::readers());
    if let Some(scanner) = scanner {
        simulation.add(MINUTE, scanner);
    }
    simulation.run(3 * HOUR);
    let ledger = simulation.ledger();
    let taken = ledger.account("mail_scanner").map_or(0, |account| account.taken);
    (account(ledger, "readers").people.clone(), taken)
}

#[test]
fn i41_readers_do_not_notice_a_scanner_unless_a_get_approves() {
    let scanner = |get_approves| MailScanner {
        after: Duration::from_secs(22),
        times: 3,
        get_approves,
    };
    let (alone, _) = readers(None);
    assert!(alone.verified > 100);
    let (scanned, taken) = readers(Some(scanner(false)));
    assert_eq!((format!("{scanned:?}"), taken), (format!("{alone:?}"), 0));
    let (robbed, taken) = readers(Some(scanner(true)));
    assert!(
        taken > 100 && robbed.verified * 10 < alone.verified,
        "{taken}, {robbed:?}"
    );
}
