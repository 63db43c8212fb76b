//! What pumping can cost: caps recounted from what left, at prices that the policy does not decide.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use common::{DAY, HOUR, account, policy, run};
use verify_traffic::scenario::{AT_HOME, GUARDED, Scenario};
use verify_traffic::{Ledger, Sent, Side};

const DOLLAR: u64 = 1_000_000;

/// The three caps of `policies/guarded.toml`, in any interval.
fn assert_within_caps(ledger: &Ledger) {
    let prefix = ledger.most(HOUR, |sent| sent.market.map(|_| sent.prefix()), Sent::price);
    let country = ledger.most(HOUR, |sent| sent.market.map(|market| market.country), Sent::price);
    let service = ledger.most(DAY, |_| Some(()), Sent::price);
    assert!(prefix <= 2 * DOLLAR, "a prefix cost {prefix} micros in an hour");
    assert!(
        country <= 10 * DOLLAR,
        "a country cost {country} micros in an hour"
    );
    assert!(
        service <= 200 * DOLLAR,
        "the service cost {service} micros in a day"
    );
}

#[test]
fn i32_a_night_burst_stays_within_the_caps() {
    for seed in [1, 7, 23] {
        let ran = run("night_burst", None, seed, 0.05);
        assert_within_caps(ran.ledger());
        let burst = account(ran.ledger(), "burst_residential");
        assert!(burst.sends > 9_000 && burst.money_micros <= 10 * DOLLAR);
        assert!(burst.messages > 0, "the caps bind, they do not close");
    }
}

#[test]
fn i32_without_caps_on_money_the_same_burst_costs_hundreds() {
    let wide_open = "[[limit]]\nname = \"sends_per_prefix\"\nmax = \"unlimited\"\n\
                     [[limit]]\nname = \"sends_per_service\"\nmax = \"unlimited\"\n\
                     [[limit]]\nname = \"sends_per_ip\"\nmax = \"unlimited\"\n";
    let ran = run("night_burst", Some(wide_open), 7, 0.05);
    assert!(account(ran.ledger(), "burst_residential").money_micros > 1_000 * DOLLAR);
}

#[test]
fn i32_however_numbers_are_chosen_the_caps_hold() {
    for seed in [1, 7] {
        let ran = run("pumping_zoo", None, seed, 0.1);
        assert_within_caps(ran.ledger());
        let cost: u64 = ran
            .ledger()
            .of_side(Side::Attacker)
            .map(|account| account.money_micros)
            .sum();
        assert!(cost > 100 * DOLLAR, "they came close: {cost}");
    }
}

#[test]
fn i33_completed_verifications_buy_nothing_beyond_the_caps() {
    for seed in [1, 7, 23] {
        let ran = run("fake_conversion", None, seed, 0.05);
        assert_within_caps(ran.ledger());
        let fake = account(ran.ledger(), "fake_conversion");
        assert_eq!(fake.completed, fake.messages, "every one of them converts");
        assert!(fake.completed > 20 && fake.money_micros <= 10 * DOLLAR);
    }
}

#[test]
fn i33_customers_elsewhere_do_not_notice() {
    let ran = run("fake_conversion", None, 7, 0.2);
    let customers = account(ran.ledger(), "customers");
    assert!(customers.people.came > 20);
    assert_eq!((customers.people.turned_away, customers.refused.len()), (0, 0));
}

#[test]
fn a_cap_on_the_whole_below_the_sum_of_its_parts_turns_customers_away() {
    let turned_away = |text: &str| {
        let scenario = Scenario::named("market_day").unwrap();
        let (ran, _) = scenario.run(policy(text), 7, 0.2);
        let people = &account(ran.ledger(), "customers").people;
        (people.turned_away, people.came)
    };
    // Probing every country reaches the cap of the service, and that one is everybody's.
    let (away, came) = turned_away(GUARDED);
    assert!(away > came / 4, "{away} of {came}");
    let (away, came) = turned_away(AT_HOME);
    assert!(away < came / 10, "{away} of {came}");
}
