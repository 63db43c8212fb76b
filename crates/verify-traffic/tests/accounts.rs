//! Guesses and knowledge where a defence is missing.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use common::{DAY, HOUR, MINUTE, SECOND, account, attack, broken, most_messages, run_under, victim, without};
use verify_traffic::actors::{
    AliasFlood, Enumerate, Horizontal, ParallelGuess, ResendGuess, SessionFarm, SmsBomb,
};
use verify_traffic::market;
use verify_traffic::scenario::{GUARDED, PRIVATE};

/// No lockout, and no limit on checks.
fn no_lockout() -> String {
    "[lockout]\nwaits = \"unlimited\"\n".to_owned() + &without(&["checks_per_identity"])
}

#[test]
fn without_a_lockout_every_way_of_guessing_compares_far_more() {
    let farm = SessionFarm {
        victim: victim(),
        sessions: 2,
        guesses: 10,
        every: MINUTE,
        rounds: u64::MAX,
    };
    let resend = ResendGuess {
        victim: victim(),
        guesses: 5,
        every: 31 * SECOND,
    };
    let volley = ParallelGuess {
        victim: victim(),
        at_once: 200,
        every: 11 * MINUTE,
    };
    let ledgers = [
        attack(farm, &no_lockout(), 2 * HOUR),
        attack(resend, &no_lockout(), 2 * HOUR),
        attack(volley, &no_lockout(), 2 * HOUR),
    ];
    for ledger in ledgers {
        let got = &ledger.accounts()[0];
        assert!(got.compared > 330, "{}: {}", got.name, got.compared);
    }
    // The scenario's own bounds follow the policy: where it locks nobody out there is no bound to break, and the
    // same attack under the defaults compares a dozen.
    let run = run_under(GUARDED, "authquake", 0.05);
    assert_eq!(broken(&run), Vec::<String>::new());
    assert!(account(run.simulation.ledger(), "session_farm").compared <= 12);
}

#[test]
fn i01_a_volley_at_one_instant_is_one_guess() {
    let volley = ParallelGuess {
        victim: victim(),
        at_once: 200,
        every: DAY,
    };
    let ledger = attack(volley, GUARDED, MINUTE);
    let got = account(&ledger, "parallel_guess");
    assert_eq!((got.checks, got.compared), (200, 1));
}

#[test]
fn without_caps_one_guess_at_each_account_is_compared_at_each() {
    let open = without(&["sends_per_prefix", "sends_per_service"]);
    let ledger = attack(Horizontal::new(market("US"), 4_000, 50.0), &open, 10 * MINUTE);
    assert_eq!(account(&ledger, "horizontal_guess").compared, 4_000);
}

#[test]
fn one_guess_at_each_account_meets_a_limit_on_failures_of_the_service() {
    let text = "[[limit]]\nname = \"failures_per_service\"\nthen = \"refuse\"\n";
    let ledger = attack(Horizontal::new(market("US"), 4_000, 10.0), text, 9 * MINUTE);
    let compared = account(&ledger, "horizontal_guess").compared;
    assert!((150..=200).contains(&compared), "{compared}");
}

#[test]
fn i30_a_policy_that_tells_tags_apart_lets_each_spelling_be_a_mailbox() {
    let flood = || AliasFlood::new("victim@example.com", 500, 5.0);
    let apart = "[email]\nplus_tags = \"distinct\"\n".to_owned() + &without(&["sends_per_service"]);
    let messages = |text: &str| account(&attack(flood(), text, HOUR), "alias_flood").messages;
    assert_eq!((messages(&apart), messages("")), (500, 3));
}

#[test]
fn i31_a_limit_by_address_alone_lets_a_number_be_bombed() {
    let bomb = || SmsBomb {
        victim: victim(),
        per_second: 0.2,
    };
    let by_address = without(&[
        "sends_per_destination",
        "sends_per_destination_day",
        "resend_gap",
        "sends_per_prefix",
    ]);
    let messages = |text: &str| most_messages(&attack(bomb(), text, 2 * HOUR), DAY);
    let bombed = messages(&by_address);
    assert!(bombed > 500, "{bombed}");
    assert!(messages("") <= 10);
}

/// Under open disclosure somebody without an account, whose country is blocked, is told so.
#[test]
fn i40_under_open_disclosure_the_same_observer_tells_them_apart() {
    let private = PRIVATE.to_owned() + "[countries]\nblock = [\"FR\"]\n";
    let most_apart = |text: &str| {
        let ledger = attack(Enumerate::new(market("US"), market("FR"), 1.0), text, HOUR);
        assert!(
            ledger.looks().len() >= 4,
            "a send, the same again, and two guesses"
        );
        let apart = ledger
            .looks()
            .values()
            .map(|(known, unknown)| known.abs_diff(*unknown));
        apart.max().unwrap()
    };
    assert!(most_apart(&private) <= 1);
    assert!(most_apart(&private.replace("\"private\"", "\"open\"")) > 1_000);
}
