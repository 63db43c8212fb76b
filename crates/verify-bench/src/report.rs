//! The table that a run prints.

use std::fmt;

use crate::measure::Figure;

/// What a row has to reach.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At most this.
    Most(f64),
    /// At least this.
    Least(f64),
    /// Printed for orientation only.
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is measured.
    pub work: String,
    /// The figure that the target is about.
    pub figure: Figure,
    /// Its unit, `×` for a ratio.
    pub unit: &'static str,
    /// What it has to reach.
    pub target: Target,
    /// What the figure is made of.
    pub made_of: String,
}

impl Row {
    /// True when the target is reached.
    pub fn is_reached(&self) -> bool {
        match self.target {
            Target::Most(most) => self.figure.median <= most,
            Target::Least(least) => self.figure.median >= least,
            Target::None => true,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |value: f64| match value {
            value if value >= 1000.0 => format!("{value:.0}"),
            value => format!("{value:.2}"),
        };
        let target = match self.target {
            Target::Most(most) => format!("≤ {most}"),
            Target::Least(least) => format!("≥ {least}"),
            Target::None => "–".to_owned(),
        };
        let verdict = match (self.target, self.is_reached()) {
            (Target::None, _) => "–",
            (Target::Most(_) | Target::Least(_), true) => "reached",
            (Target::Most(_) | Target::Least(_), false) => "**missed**",
        };
        write!(
            f,
            "| {} | {} {} | {:.0} % | {target} | {verdict} | {} |",
            self.work,
            figure(self.figure.median),
            self.unit,
            self.figure.noise_percent,
            self.made_of
        )
    }
}

/// The head of the table.
pub const HEAD: &str = "| work | figure | noise | target | | made of |\n|---|---|---|---|---|---|";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_it_reached_its_target() {
        let row = |target| Row {
            work: "work".into(),
            figure: Figure::of(vec![2.5]),
            unit: "×",
            target,
            made_of: "this".into(),
        };
        assert_eq!(
            row(Target::Most(2.0)).to_string(),
            "| work | 2.50 × | 0 % | ≤ 2 | **missed** | this |"
        );
        assert!(row(Target::Least(2.0)).is_reached() && row(Target::None).is_reached());
    }
}
