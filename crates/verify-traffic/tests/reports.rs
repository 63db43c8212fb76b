//! The same seed, the same bytes; another seed, others. Two policies, and what differs.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use common::{policy, without};
use verify_traffic::Side;
use verify_traffic::report::{Report, differences, json, page, table};
use verify_traffic::scenario::{AT_HOME, GUARDED, SCENARIOS, Scenario};

fn report(scenario: &Scenario, text: &str, name: &str, seed: u64) -> Report {
    Report::of(&scenario.run(policy(text), seed, 0.004), name)
}

fn outputs(reports: &[Report]) -> [String; 3] {
    [table(reports), json(reports).unwrap(), page(reports)]
}

fn market_day(seed: u64) -> [String; 3] {
    let scenario = Scenario::named("market_day").unwrap();
    outputs(&[report(scenario, GUARDED, "guarded.toml", seed)])
}

#[test]
fn i46_the_same_seed_gives_the_same_bytes_in_every_scenario() {
    for scenario in SCENARIOS {
        let once = || outputs(&[report(scenario, scenario.policy, "own", 7)]);
        let first = once();
        assert!(first == once(), "{}", scenario.name);
        for output in first {
            assert!(
                !output.contains("+44") && !output.contains("+994"),
                "{} tells a number",
                scenario.name
            );
        }
    }
}

#[test]
fn another_seed_gives_other_bytes() {
    for (one, other) in market_day(7).iter().zip(market_day(8)) {
        assert_ne!(*one, other);
    }
}

#[test]
fn two_policies_are_shown_with_what_differs_in_every_scenario() {
    let open = without(&[
        "sends_per_ip",
        "sends_per_prefix",
        "sends_per_destination",
        "resend_gap",
        "checks_per_identity",
    ]) + "[lockout]\nwaits = \"unlimited\"\n";
    for scenario in SCENARIOS {
        let [before, after] = [
            report(scenario, scenario.policy, "own.toml", 7),
            report(scenario, &open, "open.toml", 7),
        ];
        let rows = differences(&before, &after);
        let row = |whose: &str, figure: &str| {
            let found = rows.iter().find(|row| row.whose == whose && row.figure == figure);
            found.map(|row| (row.before, row.after)).unwrap()
        };
        let sums =
            |side, of: fn(&verify_traffic::Account) -> u64| (before.sum(side, of), after.sum(side, of));
        assert_eq!(
            row("attackers", "money"),
            sums(Side::Attacker, |a| a.money_micros),
            "{}",
            scenario.name
        );
        assert_eq!(row("attackers", "messages"), sums(Side::Attacker, |a| a.messages));
        assert_eq!(
            row("attackers", "guesses compared"),
            sums(Side::Attacker, |a| a.compared)
        );
        assert_eq!(
            row("people", "refusals"),
            sums(Side::Honest, |a| a.refused.values().sum())
        );
        assert!(
            rows.iter()
                .filter(|row| row.whose != "people" && row.whose != "attackers")
                .all(|row| row.before != row.after)
        );
        let [text, json, html] = outputs(&[before, after]);
        assert!(text.contains("from own.toml to open.toml") && text.contains("guesses compared"));
        assert!(json.contains("\"differences\"") && html.contains("What the second policy changes"));
    }
}

#[test]
fn what_differs_is_told_with_its_sign() {
    let scenario = Scenario::named("market_day").unwrap();
    let both = [
        report(scenario, GUARDED, "guarded.toml", 7),
        report(scenario, AT_HOME, "at_home.toml", 7),
    ];
    let text = table(&both);
    let line = text
        .lines()
        .find(|line| line.contains("burst_residential") && line.contains("messages"))
        .unwrap();
    assert!(line.contains('−'), "{line}");
    assert!(
        !table(&both[..1]).contains("from guarded.toml"),
        "one run differs from nothing"
    );
}

#[test]
fn the_page_stands_alone_and_says_what_it_leaves_out() {
    let [_, _, page] = market_day(7);
    for outside in ["http:", "https:", "src=", "href=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.matches("<svg").count() >= 2);
    assert!(page.contains("What an attacker gets under guarded.toml"));
    assert!(page.contains("What this does not model"));
}

#[test]
fn every_scenario_runs_and_does_something() {
    for scenario in SCENARIOS {
        let run = scenario.run(policy(scenario.policy), 3, 0.01);
        assert!(run.simulation.commands() > 10, "{}", scenario.name);
        assert!(!run.simulation.ledger().accounts().is_empty());
    }
}
