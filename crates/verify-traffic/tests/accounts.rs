//! How many guesses are compared, and whose accounts are taken.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use std::time::Duration;

use common::{DAY, HOUR, MINUTE, account, most_messages, policy, run};
use verify_core::policy::PolicySet;
use verify_traffic::actors::{Enumerate, Horizontal, ParallelGuess, ResendGuess, Seen, SessionFarm, SmsBomb};
use verify_traffic::scenario::{GUARDED, PRIVATE};
use verify_traffic::{Account, Actor, Ledger, Simulation, market};

/// What the default lockout lets anybody compare in a day against one destination: four waits of a minute, five of a
/// quarter of an hour, and then one an hour.
const MOST_IN_A_DAY: u64 = 33;

fn victim() -> String {
    market("GB").number(2_718_281)
}

fn attack(actor: impl Actor + 'static, policies: PolicySet, seed: u64, span: Duration) -> Ledger {
    let mut simulation = Simulation::new(policies, seed);
    simulation.add(Duration::ZERO, actor);
    simulation.run(span);
    simulation.ledger().clone()
}

fn assert_few_guesses(got: &Account, asked: u64) {
    assert!(got.checks >= asked, "{} were asked for", got.checks);
    assert!(
        (5..=MOST_IN_A_DAY).contains(&got.compared),
        "{} were compared",
        got.compared
    );
    assert_eq!(got.taken, 0);
}

#[test]
fn i04_unlimited_sessions_bring_no_guesses() {
    let farm = SessionFarm {
        victim: victim(),
        sessions: 2,
        guesses: 10,
        every: MINUTE,
    };
    let ledger = attack(farm, policy(GUARDED), 7, DAY);
    assert_few_guesses(account(&ledger, "session_farm"), 28_000);
}

#[test]
fn i03_codes_that_are_sent_again_bring_no_guesses() {
    let resend = ResendGuess {
        victim: victim(),
        guesses: 5,
        every: Duration::from_secs(31),
    };
    let ledger = attack(resend, policy(GUARDED), 7, DAY);
    assert_few_guesses(account(&ledger, "resend_guess"), 13_000);
}

#[test]
fn i01_a_volley_at_one_instant_is_one_guess() {
    let volley = ParallelGuess {
        victim: victim(),
        at_once: 200,
        every: 11 * MINUTE,
    };
    let ledger = attack(volley, policy(GUARDED), 7, DAY);
    assert_few_guesses(account(&ledger, "parallel_guess"), 26_000);
}

#[test]
fn without_a_lockout_a_session_farm_compares_far_more() {
    let open =
        "[lockout]\nwaits = \"unlimited\"\n[[limit]]\nname = \"checks_per_identity\"\nmax = \"unlimited\"\n";
    let farm = SessionFarm {
        victim: victim(),
        sessions: 2,
        guesses: 10,
        every: MINUTE,
    };
    let ledger = attack(farm, policy(open), 7, 2 * HOUR);
    assert!(account(&ledger, "session_farm").compared > 10 * MOST_IN_A_DAY);
}

#[test]
fn one_guess_at_each_account_is_bounded_by_the_cap_on_money_and_seen_at_once() {
    let ledger = attack(
        Horizontal::new(market("US"), 8_000, 50.0),
        policy(GUARDED),
        7,
        10 * MINUTE,
    );
    let got = account(&ledger, "horizontal_guess");
    assert_eq!(got.sends, 8_000);
    // Ten dollars an hour at 0.7 cents.
    assert!((1_000..=1_428).contains(&got.compared), "{}", got.compared);
    let alert = &ledger.alerts()["failures_per_service"];
    assert!(alert.first_millis < 10_000, "{}", alert.first_millis);
}

#[test]
fn one_guess_at_each_account_meets_a_limit_on_failures_of_the_service() {
    let text = "[[limit]]\nname = \"failures_per_service\"\nthen = \"refuse\"\n";
    let ledger = attack(
        Horizontal::new(market("US"), 4_000, 10.0),
        policy(text),
        7,
        9 * MINUTE,
    );
    let compared = account(&ledger, "horizontal_guess").compared;
    assert!((150..=200).contains(&compared), "{compared}");
}

#[test]
fn i30_ten_thousand_spellings_are_one_destination() {
    let ran = run("alias_flood", None, 7, 1.0);
    let got = account(ran.ledger(), "alias_flood");
    assert_eq!(got.sends, 20_000);
    // A number and a mailbox, ten messages a day each.
    assert_eq!(got.messages, 20);
    assert!(most_messages(ran.ledger(), 10 * MINUTE) <= 3);
    assert!(ran.held() < 200, "refusals leave nothing behind: {}", ran.held());
}

#[test]
fn i31_a_bombed_number_gets_no_more_from_a_thousand_addresses() {
    let bomb = SmsBomb {
        victim: victim(),
        per_second: 0.2,
    };
    let ledger = attack(bomb, policy(GUARDED), 7, 26 * HOUR);
    assert!(account(&ledger, "sms_bomb").sends > 15_000);
    assert!((2..=3).contains(&most_messages(&ledger, 10 * MINUTE)));
    assert_eq!(most_messages(&ledger, DAY), 10);
}

/// How often each look came from numbers with an account, all in the US, and from those without, in this country.
fn looks(text: &str, unknown: &str) -> Vec<(String, (u64, u64))> {
    let seen = Seen::default();
    let observer = Enumerate::new(market("US"), market(unknown), 1.0, seen.clone());
    let ledger = attack(observer, policy(text), 7, HOUR);
    assert_eq!(account(&ledger, "enumerate").taken, 0);
    let looks = seen.borrow().clone();
    looks.into_iter().collect()
}

/// Private disclosure, and a country that is blocked.
fn private_without_france() -> String {
    PRIVATE.to_owned() + "[countries]\nblock = [\"FR\"]\n"
}

#[test]
fn i40_known_and_unknown_numbers_look_alike_in_counts_waits_and_round_trips() {
    for looks in [looks(PRIVATE, "US"), looks(&private_without_france(), "FR")] {
        assert!(
            looks.len() >= 4,
            "a send, the same again, and two guesses: {looks:?}"
        );
        assert!(looks.iter().map(|(_, (known, _))| known).sum::<u64>() > 4_000);
        for (look, (known, unknown)) in looks {
            // The last one tried has no partner yet.
            assert!(
                known.abs_diff(unknown) <= 1,
                "{look}: {known} known, {unknown} unknown"
            );
        }
    }
}

#[test]
fn i40_under_open_disclosure_the_same_observer_tells_them_apart() {
    let open = private_without_france().replace("\"private\"", "\"open\"");
    let looks = looks(&open, "FR");
    assert!(
        looks
            .iter()
            .any(|(_, (known, unknown))| known.abs_diff(*unknown) > 1_000)
    );
}
