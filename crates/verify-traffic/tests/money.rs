//! What pumping costs where a cap is missing, and what a bad cap does to customers.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use common::{HOUR, MINUTE, account, attack, broken, run, run_under, without};
use verify_traffic::actors::Pump;
use verify_traffic::scenario::{AT_HOME, GUARDED};

const DOLLAR: u64 = 1_000_000;

/// Only what defends against numbers in themselves is left.
const NO_CAPS: &[&str] = &["sends_per_ip", "sends_per_prefix", "sends_per_service"];

#[test]
fn i32_without_caps_a_night_costs_thousands() {
    for name in ["night_burst", "fake_conversion"] {
        let run = run_under(&without(NO_CAPS), name, 0.05);
        let spent: u64 = run
            .simulation
            .ledger()
            .sent()
            .iter()
            .map(|sent| sent.price())
            .sum();
        assert!(spent > 1_000 * DOLLAR, "{name}: {spent}");
    }
}

#[test]
fn i32_bounds_are_the_caps_of_the_policy_in_force() {
    // More gets through under dearer caps, and more is what the run is held to.
    let generous = GUARDED
        .replace("\"10 USD\"", "\"400 USD\"")
        .replace("\"200 USD\"", "\"900 USD\"");
    let run = run_under(&generous, "night_burst", 0.05);
    let country = run
        .bounds()
        .into_iter()
        .find(|bound| bound.what.contains("a country"))
        .unwrap();
    // A tenth is kept for known callers, and nobody here is one.
    assert!(
        country.figure > 10 * DOLLAR && country.most == 360 * DOLLAR,
        "{country:?}"
    );
}

#[test]
fn each_way_of_pumping_walks_past_the_defence_that_it_defeats() {
    let and = |text: &str| without(NO_CAPS) + text;
    let only_address = without(&["sends_per_prefix", "sends_per_service"]);
    let only_prefix = without(&["sends_per_ip", "sends_per_service"]);
    let spikes = without(&["sends_per_ip", "sends_per_prefix"])
        + "[[limit]]\nname = \"sends_per_service\"\nmax = 30\n";
    let bad_countries = and("[countries]\nblock = [\"NG\", \"PK\", \"UZ\"]\n");
    let naive = [
        (Pump::burst("AZ", 1.0, 300), only_address.clone()),
        (Pump::sequential("UZ", 1.0), only_address),
        (Pump::slow_drip("KE", 0.01), spikes),
        (Pump::shuffled("PK", 1.0), and("")),
        (Pump::random("LK", 1.0), and("")),
        (Pump::wide_probe(1.0), only_prefix),
        (Pump::country_hop(1.0), bad_countries),
        (Pump::burst("AZ", 1.0, 300).converting(), and("")),
    ];
    for (pump, policy) in naive {
        let asked = pump.clone();
        let ledger = attack(pump, &policy, HOUR / 2);
        let got = &ledger.accounts()[0];
        assert!(got.sends >= 10, "{asked:?}");
        // Numbers that come twice within half an hour meet the limits of their destination.
        assert!(
            got.messages * 100 > got.sends * 80,
            "{}: {} of {}",
            got.name,
            got.messages,
            got.sends
        );
    }
}

#[test]
fn i32_the_whole_zoo_is_stopped_by_the_caps() {
    for pump in [
        Pump::night(16.7, 300),
        Pump::night(16.7, 300).converting(),
        Pump::sequential("UZ", 5.0),
        Pump::shuffled("PK", 5.0),
        Pump::random("LK", 5.0),
        Pump::wide_probe(5.0),
        Pump::country_hop(5.0),
    ] {
        let ledger = attack(pump, GUARDED, 30 * MINUTE);
        let got = &ledger.accounts()[0];
        assert!(
            got.messages * 3 < got.sends,
            "{}: {} of {}",
            got.name,
            got.messages,
            got.sends
        );
        assert!(got.messages > 0, "the caps bind, they do not close");
    }
}

#[test]
fn i33_completed_verifications_buy_nothing_beyond_the_caps() {
    let run = run("fake_conversion", 7, 0.05);
    assert_eq!(broken(&run), Vec::<String>::new());
    let fake = account(run.simulation.ledger(), "fake_conversion");
    assert_eq!(fake.completed, fake.messages, "every one of them converts");
    assert!(fake.completed > 20);
}

#[test]
fn a_cap_on_the_whole_below_the_sum_of_its_parts_turns_customers_away() {
    let turned_away = |text: &str| {
        let run = run_under(text, "market_day", 0.2);
        let people = &account(run.simulation.ledger(), "customers").people;
        (people.turned_away, people.came)
    };
    // Probing every country reaches the cap of the service, and that one is everybody's.
    let (away, came) = turned_away(GUARDED);
    assert!(away > came / 4, "{away} of {came}");
    let (away, came) = turned_away(AT_HOME);
    assert!(away < came / 10, "{away} of {came}");
}

#[test]
fn the_cap_of_a_country_is_its_customers_too() {
    // One dollar an hour is less than what customers of Germany need, whoever pumps elsewhere.
    let cheap = GUARDED.replace("\"10 USD\"", "\"1 USD\"");
    let run = run_under(&cheap, "pumping_zoo", 0.05);
    assert_eq!(broken(&run), Vec::<String>::new());
    let customers = account(run.simulation.ledger(), "customers");
    assert!(
        customers.refused.contains_key("spend_per_country"),
        "{:?}",
        customers.refused
    );
}
