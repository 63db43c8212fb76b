//! What is said of a run: a table for the terminal, JSON for programs, a page with plots for people.
//!
//! All three are functions of the reports alone: the same seed, scenario and policy give the same bytes.

mod page;
mod plot;
mod table;

pub use page::page;
pub use table::table;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::{Account, Alert, Series, Side, Simulation};

/// All figures of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: String,
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
    /// The report of a run that is over.
    pub fn of(scenario: &str, policy: &str, seed: u64, scale: f64, ran: &(Simulation, Duration)) -> Self {
        let (simulation, span) = ran;
        let ledger = simulation.ledger();
        Self {
            scenario: scenario.to_owned(),
            policy: policy.to_owned(),
            seed,
            scale,
            span_millis: u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
            commands: simulation.commands(),
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

/// The reports as JSON: one array, indented, with a newline at its end.
///
/// # Errors
/// None that a report can cause; the signature is the serializer's.
pub fn json(reports: &[Report]) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(reports).map(|text| text + "\n")
}

/// `$1234.56`.
fn money(micros: u64) -> String {
    let cents = micros.div_ceil(10_000);
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// `4 h 10 min`, `12 min`, `9.0 s`.
fn time(millis: u64) -> String {
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
            ["$0.00", "$0.01", "$12345.68"]
        );
        assert_eq!(
            [time(900), time(720_000), time(15_000_000)],
            ["0.9 s", "12 min", "4 h 10 min"]
        );
    }
}
