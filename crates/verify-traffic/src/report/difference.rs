//! What another policy changes.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Report;
use crate::scenario::Unit;
use crate::{Account, Side};

/// The names of the two sums.
pub(super) const SUMS: [&str; 2] = ["attackers", "people"];

/// A figure of one run beside the same figure of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of whom: a side, or a name.
    pub whose: String,
    /// Which figure.
    pub figure: String,
    /// In what it counts.
    pub unit: Unit,
    /// Under the first policy.
    pub before: u64,
    /// Under the second.
    pub after: u64,
}

type Figure = (&'static str, Unit, fn(&Account) -> u64);

/// What an attacker wants.
const GOT: &[Figure] = &[
    ("money", Unit::Money, |account| account.money_micros),
    ("messages", Unit::Count, |account| account.messages),
    ("guesses compared", Unit::Count, |account| account.compared),
    ("faked conversions", Unit::Count, |account| account.completed),
    ("accounts taken", Unit::Count, |account| account.taken),
];

/// What people meet.
const MET: &[Figure] = &[
    ("came", Unit::Count, |account| account.people.came),
    ("verified", Unit::Count, |account| account.people.verified),
    ("had no message", Unit::Count, |account| account.people.no_message),
    ("turned away", Unit::Count, |account| account.people.turned_away),
    ("locked out", Unit::Count, |account| account.people.locked),
    ("had to wait", Unit::Count, |account| account.people.delayed),
    ("refusals", Unit::Count, |account| account.refused.values().sum()),
    ("money", Unit::Money, |account| account.money_micros),
];

/// All that differs, and the sums of either side even where they do not.
pub fn differences(before: &Report, after: &Report) -> Vec<Difference> {
    let mut found = Vec::new();
    for (side, whose, figures) in [(Side::Attacker, SUMS[0], GOT), (Side::Honest, SUMS[1], MET)] {
        for (figure, unit, of) in figures {
            found.push(Difference {
                whose: whose.to_owned(),
                figure: (*figure).to_owned(),
                unit: *unit,
                before: before.sum(side, of),
                after: after.sum(side, of),
            });
        }
        found.extend(by_name(before, after, side, figures));
    }
    found.extend(by_rule(before, after));
    found
}

fn by_name(before: &Report, after: &Report, side: Side, figures: &[Figure]) -> Vec<Difference> {
    let mut found = Vec::new();
    let accounts = || before.accounts.iter().filter(|account| account.side == side);
    if accounts().count() < 2 {
        // The sums are its figures.
        return found;
    }
    for account in accounts() {
        let other = after.accounts.iter().find(|other| other.name == account.name);
        for (figure, unit, of) in figures {
            let (one, two) = (of(account), other.map_or(0, of));
            if one != two {
                found.push(Difference {
                    whose: account.name.to_owned(),
                    figure: (*figure).to_owned(),
                    unit: *unit,
                    before: one,
                    after: two,
                });
            }
        }
    }
    found
}

/// Refusals by the rules that changed their number, of either side.
fn by_rule(before: &Report, after: &Report) -> Vec<Difference> {
    let mut found = Vec::new();
    for (side, whose) in [
        (Side::Attacker, "attackers refused by"),
        (Side::Honest, "people refused by"),
    ] {
        let of = |report: &Report, rule: &str| {
            report.sum(side, |account| account.refused.get(rule).copied().unwrap_or(0))
        };
        let accounts = before.accounts.iter().chain(&after.accounts);
        let rules: BTreeSet<_> = accounts.flat_map(|account| account.refused.keys()).collect();
        for rule in rules {
            let (one, two) = (of(before, rule), of(after, rule));
            if one != two {
                found.push(Difference {
                    whose: whose.to_owned(),
                    figure: rule.to_string(),
                    unit: Unit::Count,
                    before: one,
                    after: two,
                });
            }
        }
    }
    found
}
