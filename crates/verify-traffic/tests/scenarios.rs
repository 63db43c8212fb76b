//! Every scenario, from ten seeds, holds what it is held to. `cargo xtask campaign` does the same at full scale.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::run;
use verify_traffic::scenario::SCENARIOS;

/// What does not hold, of ten seeds.
fn broken(name: &str, scale: f64) -> Vec<String> {
    let runs = (1..=10).map(|seed| run(name, seed, scale));
    let told = |run: &verify_traffic::scenario::Run| {
        assert!(!run.bounds().is_empty());
        let broken = run.broken().into_iter();
        broken
            .map(|bound| format!("seed {}: {bound:?}", run.seed))
            .collect::<Vec<_>>()
    };
    runs.flat_map(|run| told(&run)).collect()
}

macro_rules! held {
    ($($test:ident: $name:ident at $scale:literal,)+) => {
        $(#[test]
        fn $test() {
            assert_eq!(broken(stringify!($name), $scale), Vec::<String>::new());
        })+

        #[test]
        fn no_scenario_is_left_out() {
            let held = [$(stringify!($name)),+];
            let all: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            assert_eq!(all, held);
        }
    };
}

held! {
    i32_a_night_burst_over_blocks_and_countries_stays_within_the_caps: night_burst at 0.05,
    i33_faked_conversions_buy_nothing_beyond_the_caps: fake_conversion at 0.05,
    i33_customers_elsewhere_do_not_notice_a_pumped_block: one_block at 0.05,
    i32_however_numbers_are_chosen_the_caps_hold: pumping_zoo at 0.03,
    i04_unlimited_sessions_bring_no_guesses: authquake at 0.05,
    i03_codes_that_are_sent_again_bring_no_guesses: resend_and_guess at 0.1,
    i32_one_guess_at_each_account_is_bounded_by_the_cap_on_money: horizontal at 0.02,
    i30_ten_thousand_spellings_are_one_destination: alias_flood at 1.0,
    i31_a_bombed_number_gets_no_more_from_any_number_of_addresses: sms_bomb at 0.1,
    i36_owners_with_a_device_token_come_in_while_strangers_fail_in_their_name: lockout_dos at 0.02,
    i37_a_stranger_ends_nobodys_code: victim_overwrite at 0.2,
    i35_forged_repeated_and_late_reports_change_nothing: webhooks at 0.3,
    i51_a_brownout_sends_nothing_twice: provider_brownout at 0.3,
    i28_nodes_that_die_half_way_open_nothing: node_crash at 0.1,
    i44_clocks_that_differ_admit_no_more_than_a_longer_window: clock_skew at 0.1,
    i41_a_scanner_that_opens_every_link_uses_up_none: mail_scanner at 0.3,
    i40_known_and_unknown_numbers_look_alike: enumeration at 0.1,
    fifty_times_the_usual_crowd_meets_no_refusal: flash_crowd at 1.0,
    five_thousand_people_behind_one_named_address_meet_no_refusal: cgnat_office at 1.0,
    i32_a_market_day_stays_within_the_caps: market_day at 0.03,
}
