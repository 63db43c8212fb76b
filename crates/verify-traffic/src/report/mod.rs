//! What is said of a run: a table for the terminal, JSON for programs, a page with plots for people.
//!
//! All three are functions of the reports alone: the same seed, scenario and policy give the same bytes.

mod difference;
mod page;
mod plot;
mod table;

pub use difference::{Difference, differences};
pub use page::page;
pub use table::table;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::scenario::{Bound, Run, Unit};
use crate::{Account, Alert, Series, Side};

/// All figures of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: String,
    /// What happens in it.
    pub about: String,
    /// Under which policy: a file's name.
    pub policy: String,
    /// From which seed.
    pub seed: u64,
    /// At which scale; 1 is the whole.
    pub scale: f64,
    /// How much time passed in the world, in milliseconds.
    pub span_millis: u64,
    /// Commands that were decided.
    pub commands: u64,
    /// What the scenario is held to, and what came of it.
    pub bounds: Vec<Bound>,
    /// What everybody did and got.
    pub accounts: Vec<Account>,
    /// What operators would have seen, by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Limits that raised an alert.
    pub alerts: BTreeMap<Arc<str>, Alert>,
    /// Figures over time.
    pub series: Series,
}

impl Report {
    /// The report of a run under a policy of this name.
    pub fn of(run: &Run, policy: &str) -> Self {
        let ledger = run.simulation.ledger();
        Self {
            scenario: run.scenario.name.to_owned(),
            about: run.scenario.about.to_owned(),
            policy: policy.to_owned(),
            seed: run.seed,
            scale: run.scale,
            span_millis: u64::try_from(run.span.as_millis()).unwrap_or(u64::MAX),
            commands: run.simulation.commands(),
            bounds: run.bounds(),
            accounts: ledger.accounts().to_vec(),
            events: ledger.events().clone(),
            alerts: ledger.alerts().clone(),
            series: ledger.series().clone(),
        }
    }

    /// The sum of a figure over one side.
    pub fn sum(&self, side: Side, figure: impl Fn(&Account) -> u64) -> u64 {
        self.accounts
            .iter()
            .filter(|account| account.side == side)
            .map(figure)
            .sum()
    }
}

/// The reports as JSON, indented, with a newline at its end: `reports`, and `differences` between the first two.
///
/// # Errors
/// None that a report can cause; the signature is the serializer's.
pub fn json(reports: &[Report]) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct All<'a> {
        reports: &'a [Report],
        differences: Vec<Difference>,
    }
    let all = All {
        reports,
        differences: changed(reports),
    };
    serde_json::to_string_pretty(&all).map(|text| text + "\n")
}

/// What differs between the first two reports; nothing where there is one.
fn changed(reports: &[Report]) -> Vec<Difference> {
    match reports {
        [before, after, ..] => differences(before, after),
        [_] | [] => Vec::new(),
    }
}

/// A bound's figure beside what it may be: `$9.90, at most $10.00`.
pub fn figure(bound: &Bound) -> String {
    let text = |figure| in_unit(bound.unit, figure);
    let (least, most) = (text(bound.least), text(bound.most));
    let allowed = match (bound.least, bound.most) {
        (least, most) if least == most => format!("exactly {}", text(most)),
        (0, _) => format!("at most {most}"),
        (_, u64::MAX) => format!("at least {least}"),
        (_, _) => format!("{least} to {most}"),
    };
    format!("{}, {allowed}", text(bound.figure))
}

fn in_unit(unit: Unit, figure: u64) -> String {
    match unit {
        Unit::Count => grouped(figure),
        Unit::Money => money(figure),
        Unit::Time => time(figure),
    }
}

/// `+12`, `−$3.20`, `=`.
fn change(unit: Unit, before: u64, after: u64) -> String {
    match after.cmp(&before) {
        Ordering::Equal => "=".to_owned(),
        Ordering::Greater => format!("+{}", in_unit(unit, after - before)),
        Ordering::Less => format!("−{}", in_unit(unit, before - after)),
    }
}

/// `12 345 678`.
pub(crate) fn grouped(figure: u64) -> String {
    let digits = figure.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `$1 234.56`, rounded up.
fn money(micros: u64) -> String {
    let cents = micros.div_ceil(10_000);
    format!("${}.{:02}", grouped(cents / 100), cents % 100)
}

/// `4 h 10 min`, `12 min`, `9.0 s`.
pub(crate) fn time(millis: u64) -> String {
    let minutes = millis / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{:.1} s", millis as f64 / 1_000.0),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_up_to_cents_and_time_to_what_reads_well() {
        assert_eq!(
            [money(0), money(1), money(12_345_678_900)],
            ["$0.00", "$0.01", "$12\u{202f}345.68"]
        );
        assert_eq!(
            [time(900), time(720_000), time(15_000_000)],
            ["0.9 s", "12 min", "4 h 10 min"]
        );
    }
}
