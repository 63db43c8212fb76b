//! What honest people suffer: under attack, in a crowd, behind one address.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails says so"
)]

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use common::{DAY, HOUR, MINUTE, account, policy, run};
use verify_traffic::actors::{Habits, LockoutDos, Person};
use verify_traffic::scenario::{CROWDS, GUARDED};
use verify_traffic::{Ledger, Side, Simulation, market};

/// People whose messages never get lost, so that the first visit gives each a token: whatever keeps them out is the
/// attack.
fn lucky(typing_error: f64) -> Habits {
    Habits {
        lost: 0.0,
        spread: 0.1,
        typing_error,
        ..Habits::default()
    }
}

const OWNERS: u64 = 12;

/// Owners who come once before the attack and then every hour, while strangers fail in their names until `attack_ends`.
fn owners_under_attack(device: bool, visits: u32, every: Duration, attack_ends: Duration) -> Ledger {
    let mut simulation = Simulation::new(policy(GUARDED), 7);
    let numbers: Vec<String> = (0..OWNERS)
        .map(|place| market("GB").number(place * 1_234_567))
        .collect();
    // Own errors harm only those whose failures are counted together with the strangers'.
    let habits = lucky(if device { 0.1 } else { 0.0 });
    for (place, number) in numbers.iter().enumerate() {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, place as u8));
        let owner = Person::once("owners", habits, number.clone(), address).again(visits, every);
        let owner = if device { owner.on_one_device() } else { owner };
        simulation.add(Duration::from_secs(60 * place as u64), owner);
    }
    let attack = LockoutDos {
        victims: numbers,
        every: Duration::from_secs(61),
    };
    simulation.add(30 * MINUTE, Until(attack, attack_ends));
    simulation.run(every * visits + HOUR);
    simulation.ledger().clone()
}

/// An attacker who stops.
struct Until<A>(A, Duration);

impl<A: verify_traffic::Actor> verify_traffic::Actor for Until<A> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn defeats(&self) -> &'static str {
        self.0.defeats()
    }
    fn wake(&mut self, desk: &mut verify_traffic::Desk<'_>) -> Option<verify_core::time::Timestamp> {
        let next = self.0.wake(desk)?;
        (next.since(verify_traffic::START) < self.1).then_some(next)
    }
}

#[test]
fn i36_owners_with_a_device_token_come_in_all_day_long() {
    let ledger = owners_under_attack(true, 9, HOUR, DAY);
    let owners = account(&ledger, "owners");
    assert_eq!(owners.people.came, 9 * OWNERS);
    assert_eq!(owners.people.verified, 9 * OWNERS);
    assert_eq!((owners.people.delayed, owners.refused.len()), (0, 0));
    assert!(
        account(&ledger, "lockout_dos").compared >= OWNERS * 9,
        "the strangers are locked out, again and again"
    );
}

#[test]
fn i36_owners_without_one_are_kept_out_and_come_in_again_when_it_ends() {
    let during = owners_under_attack(false, 9, HOUR, DAY);
    let people = &account(&during, "owners").people;
    assert!(people.verified < people.came / 2, "{people:?}");
    // Two visits: before the attack, and a day after its end. Nobody helps.
    let after = owners_under_attack(false, 2, 2 * DAY, DAY);
    let people = &account(&after, "owners").people;
    assert_eq!(
        (people.came, people.verified, people.delayed),
        (2 * OWNERS, 2 * OWNERS, 0)
    );
}

/// Honest people, and how often any of them was refused anything.
fn came_and_refused(ledger: &Ledger) -> (u64, u64) {
    let honest = |figure: fn(&verify_traffic::Account) -> u64| ledger.of_side(Side::Honest).map(figure).sum();
    (
        honest(|account| account.people.came),
        honest(|account| account.refused.values().sum()),
    )
}

#[test]
fn fifty_times_the_usual_crowd_meets_no_refusal() {
    for seed in [1, 7, 23] {
        let ran = run("flash_crowd", None, seed, 1.0);
        let (came, refused) = came_and_refused(ran.ledger());
        assert!(came > 500);
        assert_eq!(refused, 0, "{:?}", ran.ledger().accounts());
    }
}

#[test]
fn five_thousand_people_behind_one_named_address_meet_no_refusal() {
    let ran = run("cgnat_office", None, 7, 1.0);
    let (came, refused) = came_and_refused(ran.ledger());
    assert_eq!(
        (came, refused),
        (5_000, 0),
        "{:?}",
        account(ran.ledger(), "cgnat_office").refused
    );
    assert!(account(ran.ledger(), "cgnat_office").people.verified > 4_800);
}

#[test]
fn the_same_people_are_refused_where_the_policy_does_not_name_their_network() {
    let unnamed = CROWDS.split("[[network]]").next().expect("the part before it");
    let ran = run("cgnat_office", Some(unnamed), 7, 0.1);
    let people = &account(ran.ledger(), "cgnat_office").people;
    assert!(
        people.turned_away_by["sends_per_ip"] > people.came / 2,
        "{people:?}"
    );
}
