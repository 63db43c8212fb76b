//! The same seed, the same bytes; another seed, others.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use common::policy;
use verify_traffic::report::{Report, json, page, table};
use verify_traffic::scenario::{GUARDED, SCENARIOS, Scenario};

fn outputs(seed: u64) -> [String; 3] {
    let scenario = Scenario::named("market_day").unwrap();
    let ran = scenario.run(policy(GUARDED), seed, 0.02);
    let reports = [Report::of(scenario.name, "guarded.toml", seed, 0.02, &ran)];
    [table(&reports), json(&reports).unwrap(), page(&reports)]
}

#[test]
fn i46_the_same_seed_gives_the_same_bytes() {
    let first = outputs(7);
    assert_eq!(first, outputs(7));
    for (one, other) in first.iter().zip(outputs(8)) {
        assert_ne!(*one, other);
    }
}

#[test]
fn the_page_stands_alone() {
    let [_, _, page] = outputs(7);
    for outside in ["http:", "https:", "src=", "href=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.matches("<svg").count() >= 2);
}

#[test]
fn no_report_tells_a_number() {
    for output in outputs(7) {
        assert!(!output.contains("+44") && !output.contains("+994"));
    }
}

#[test]
fn every_scenario_runs_and_does_something() {
    for scenario in SCENARIOS {
        let (ran, _) = scenario.run(policy(scenario.policy), 3, 0.01);
        assert!(ran.commands() > 10, "{}", scenario.name);
        assert!(!ran.ledger().accounts().is_empty());
    }
}
