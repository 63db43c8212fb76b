//! Runs in few words.

#![allow(dead_code, reason = "each test file uses some of them")]
#![allow(clippy::expect_used, reason = "only tests use it")]

use std::time::Duration;

use verify_core::policy::PolicySet;
use verify_traffic::scenario::Scenario;
use verify_traffic::{Account, Ledger, Simulation};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn policy(text: &str) -> PolicySet {
    PolicySet::from_toml(text).expect("the policy").policies
}

/// A scenario under its own policy, or under another.
pub(crate) fn run(name: &str, other: Option<&str>, seed: u64, scale: f64) -> Simulation {
    let scenario = Scenario::named(name).expect("the scenario");
    scenario
        .run(policy(other.unwrap_or(scenario.policy)), seed, scale)
        .0
}

pub(crate) fn account<'a>(ledger: &'a Ledger, name: &str) -> &'a Account {
    ledger.account(name).expect("the account")
}

/// The most messages to one destination in any interval of this length.
pub(crate) fn most_messages(ledger: &Ledger, per: Duration) -> u64 {
    ledger.most(per, |sent| Some(sent.to), |_| 1)
}
