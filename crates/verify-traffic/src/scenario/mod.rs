//! Worlds with a name, and what each has to hold.

mod admitted;
mod bounds;
mod worlds;

pub use bounds::{Bound, Unit};
pub use worlds::{OFFICE, readers};

use std::time::Duration;

use verify_core::policy::PolicySet;

use crate::Simulation;

/// The defaults with prices and caps on money.
pub const GUARDED: &str = include_str!("../../policies/guarded.toml");
/// The same caps for a service that sends to six countries only.
pub const AT_HOME: &str = include_str!("../../policies/at_home.toml");
/// A policy that expects a crowd.
pub const CROWDS: &str = include_str!("../../policies/crowds.toml");
/// A policy for codes that go by mail.
pub const BY_MAIL: &str = include_str!("../../policies/by_mail.toml");
/// A policy of private disclosure.
pub const PRIVATE: &str = include_str!("../../policies/private.toml");

/// A world with a name.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called by.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// The policy that it comes with, as TOML.
    pub policy: &'static str,
    /// The name of that policy's file in `policies`.
    pub policy_file: &'static str,
    fill: fn(&mut Simulation, f64) -> Duration,
    held_to: fn(&Run) -> Vec<Bound>,
}

macro_rules! scenarios {
    ($($name:ident under $policy:ident in $file:literal: $about:literal,)+) => {
        /// Every scenario.
        pub const SCENARIOS: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            about: $about,
            policy: $policy,
            policy_file: $file,
            fill: worlds::$name,
            held_to: bounds::$name,
        }),+];
    };
}

scenarios! {
    night_burst under GUARDED in "guarded.toml":
        "240 000 messages in four hours from midnight, through 300 homes, shuffled over blocks and countries",
    fake_conversion under GUARDED in "guarded.toml":
        "the same, with every verification completed and every human check passed",
    one_block under GUARDED in "guarded.toml":
        "the same number of messages to one country's block, all completed, beside customers elsewhere",
    pumping_zoo under GUARDED in "guarded.toml":
        "every way of choosing numbers at once: in a row, shuffled, at random, everywhere, hopping, dripping",
    authquake under GUARDED in "guarded.toml":
        "unlimited sessions of ten guesses against one account: 167 a second for 70 minutes, then one, for a day",
    resend_and_guess under GUARDED in "guarded.toml":
        "five guesses, another code, five guesses, and a volley of five hundred at one instant, for a day",
    horizontal under GUARDED in "guarded.toml":
        "one guess at each of a million accounts",
    alias_flood under GUARDED in "guarded.toml":
        "ten thousand spellings of one number and of one mailbox",
    sms_bomb under GUARDED in "guarded.toml":
        "one victim, a message a second from ever new addresses, for a day",
    lockout_dos under CROWDS in "crowds.toml":
        "strangers fail in the name of 1 000 owners for eight hours; half of the owners have a device token",
    victim_overwrite under CROWDS in "crowds.toml":
        "a stranger asks for another code whenever one of 200 owners types the one that came",
    webhooks under GUARDED in "guarded.toml":
        "delivery reports that are forged, repeated fifty times, and in the wrong order",
    provider_brownout under GUARDED in "guarded.toml":
        "four of ten calls to the provider are slow, fail or meet a quota, and reports come three times, for twelve hours",
    node_crash under GUARDED in "guarded.toml":
        "one command in ten loses its node half-way, and an attacker kills nodes at every boundary, for a day",
    clock_skew under GUARDED in "guarded.toml":
        "three nodes whose clocks differ by ten minutes, one of which jumps back, and guesses at each, for a day",
    mail_scanner under BY_MAIL in "by_mail.toml":
        "a scanner opens the link in every mail three times before its reader does",
    enumeration under PRIVATE in "private.toml":
        "who has an account? told apart by status, counts, waits and trips to the store, under private disclosure",
    flash_crowd under CROWDS in "crowds.toml":
        "fifty times the usual crowd for ten minutes, with nobody malicious",
    cgnat_office under CROWDS in "crowds.toml":
        "5 000 people behind one address that the policy names, within an hour",
    market_day under GUARDED in "guarded.toml":
        "a day of honest people in six countries under a bit of everything",
}

impl Scenario {
    /// The scenario of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// Runs it. `scale` 1 is the whole; less has fewer people or less time, with the same rates and knobs.
    pub fn run(&self, policies: PolicySet, seed: u64, scale: f64) -> Run {
        self.run_in(Simulation::new(policies, seed), seed, scale)
    }

    /// The same in a world that was made by the caller, from the same seed.
    pub fn run_in(&self, mut simulation: Simulation, seed: u64, scale: f64) -> Run {
        let span = (self.fill)(&mut simulation, scale);
        simulation.run(span);
        Run {
            scenario: *self,
            simulation,
            span,
            seed,
            scale,
        }
    }
}

/// A scenario that is over.
pub struct Run {
    /// Which one.
    pub scenario: Scenario,
    /// The world as it was left.
    pub simulation: Simulation,
    /// How much time passed in it.
    pub span: Duration,
    /// Where its chance came from.
    pub seed: u64,
    /// At which scale; 1 is the whole.
    pub scale: f64,
}

impl Run {
    /// What the scenario is held to, with what came of it. Caps are those of the policy in force.
    pub fn bounds(&self) -> Vec<Bound> {
        (self.scenario.held_to)(self)
    }

    /// Those that do not hold.
    pub fn broken(&self) -> Vec<Bound> {
        let mut bounds = self.bounds();
        bounds.retain(|bound| !bound.holds());
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_loads_without_a_warning() {
        for text in [GUARDED, AT_HOME, CROWDS, BY_MAIL, PRIVATE] {
            assert_eq!(PolicySet::from_toml(text).unwrap().warnings, Vec::<String>::new());
        }
    }

    #[test]
    fn names_are_unique() {
        for scenario in SCENARIOS {
            assert_eq!(
                Scenario::named(scenario.name).map(|found| found.about),
                Some(scenario.about)
            );
        }
    }
}
