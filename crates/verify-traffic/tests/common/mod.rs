//! Runs in few words.

#![allow(dead_code, reason = "each test file uses some of them")]
#![allow(clippy::expect_used, reason = "only tests use it")]

use std::time::Duration;

use verify_core::policy::PolicySet;
use verify_traffic::scenario::{Run, Scenario};
use verify_traffic::{Account, Actor, Ledger, Simulation, market};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn policy(text: &str) -> PolicySet {
    PolicySet::from_toml(text).expect("the policy").policies
}

/// The defaults with these limits lifted.
pub(crate) fn without(limits: &[&str]) -> String {
    let lift = |name: &&str| format!("[[limit]]\nname = \"{name}\"\nmax = \"unlimited\"\n");
    limits.iter().map(lift).collect()
}

/// A scenario under its own policy.
pub(crate) fn run(name: &str, seed: u64, scale: f64) -> Run {
    let scenario = Scenario::named(name).expect("the scenario");
    scenario.run(policy(scenario.policy), seed, scale)
}

/// A scenario under another policy.
pub(crate) fn run_under(text: &str, name: &str, scale: f64) -> Run {
    Scenario::named(name)
        .expect("the scenario")
        .run(policy(text), 7, scale)
}

/// One actor alone in a world.
pub(crate) fn attack(actor: impl Actor + 'static, text: &str, span: Duration) -> Ledger {
    let mut simulation = Simulation::new(policy(text), 7);
    simulation.add(Duration::ZERO, actor);
    simulation.run(span);
    simulation.ledger().clone()
}

pub(crate) fn account<'a>(ledger: &'a Ledger, name: &str) -> &'a Account {
    ledger.account(name).expect("the account")
}

/// What a scenario is held to and does not hold, by the beginnings of its words.
pub(crate) fn broken(run: &Run) -> Vec<String> {
    run.broken().into_iter().map(|bound| bound.what).collect()
}

pub(crate) fn victim() -> String {
    market("GB").number(2_718_281)
}

/// The most messages to one destination in any interval of this length.
pub(crate) fn most_messages(ledger: &Ledger, per: Duration) -> u64 {
    ledger.most(per, |sent| Some(sent.to), |_| 1)
}
