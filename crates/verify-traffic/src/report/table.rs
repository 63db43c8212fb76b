//! The table for the terminal.

use std::fmt::Write;

use super::{Difference, Report, change, changed, figure, grouped, in_unit, money, time};
use crate::{Account, Side};

/// The reports as text, one after the other.
pub fn table(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        // Writing to a string does not fail.
        let _ = one(&mut text, report);
    }
    let _ = difference(&mut text, reports);
    text
}

fn one(text: &mut String, report: &Report) -> std::fmt::Result {
    let head = [
        format!("{} under {}", report.scenario, report.policy),
        format!("seed {}, scale {}", report.seed, report.scale),
        format!(
            "{} of the world, {} commands",
            time(report.span_millis),
            grouped(report.commands)
        ),
    ];
    writeln!(text, "{}\n", head.join(" · "))?;
    columns(text, &attackers(report))?;
    columns(text, &people(report))?;
    columns(text, &onlookers(report))?;
    columns(text, &refusals(&report.accounts))?;
    columns(text, &alerts(report))?;
    columns(text, &spending(report))?;
    columns(text, &held_to(report))
}

/// The two runs side by side, where there are two.
fn difference(text: &mut String, reports: &[Report]) -> std::fmt::Result {
    let [before, after, ..] = reports else {
        return Ok(());
    };
    writeln!(text, "from {} to {}\n", before.policy, after.policy)?;
    columns(text, &compared(["before", "after"], changed(reports)))
}

/// Differences with their change.
pub(super) fn compared(names: [&str; 2], rows: Vec<Difference>) -> Vec<Vec<String>> {
    let rows = rows.into_iter().map(|row| {
        let (before, after) = (in_unit(row.unit, row.before), in_unit(row.unit, row.after));
        let change = change(row.unit, row.before, row.after);
        vec![row.whose, row.figure, before, after, change]
    });
    let [before, after] = names;
    with_head(&["whose", "figure", before, after, "change"], rows)
}

fn of_side(report: &Report, side: Side) -> impl Iterator<Item = &Account> {
    report.accounts.iter().filter(move |account| account.side == side)
}

/// What each attacker did and got.
pub(super) fn attackers(report: &Report) -> Vec<Vec<String>> {
    let head = [
        "attacker",
        "defeats",
        "sends",
        "messages",
        "money",
        "checks",
        "compared",
        "completed",
        "taken",
    ];
    let row = |account: &Account| {
        let counts = [account.checks, account.compared, account.completed, account.taken];
        let mut row = vec![account.name.to_owned(), account.defeats.to_owned()];
        row.extend([
            grouped(account.sends),
            grouped(account.messages),
            money(account.money_micros),
        ]);
        row.extend(counts.map(grouped));
        row
    };
    with_head(&head, of_side(report, Side::Attacker).map(row))
}

/// What honest people met.
pub(super) fn people(report: &Report) -> Vec<Vec<String>> {
    let head = [
        "people",
        "came",
        "verified",
        "no message",
        "turned away",
        "locked",
        "by",
        "delayed",
        "longest",
        "money",
    ];
    let row = |account: &Account| {
        let people = &account.people;
        let by: Vec<String> = people
            .turned_away_by
            .iter()
            .map(|(rule, count)| format!("{rule} {}", grouped(*count)))
            .collect();
        let by = if by.is_empty() {
            "–".to_owned()
        } else {
            by.join(", ")
        };
        let counts = [
            people.came,
            people.verified,
            people.no_message,
            people.turned_away,
            people.locked,
        ];
        let mut row = vec![account.name.to_owned()];
        row.extend(counts.map(grouped));
        row.extend([
            by,
            grouped(people.delayed),
            time(people.longest_delay_millis),
            money(account.money_micros),
        ]);
        row
    };
    with_head(&head, of_side(report, Side::Honest).map(row))
}

fn refusals(accounts: &[Account]) -> Vec<Vec<String>> {
    let rows = accounts.iter().flat_map(|account| {
        account
            .refused
            .iter()
            .map(|(rule, count)| vec![rule.to_string(), account.name.to_owned(), grouped(*count)])
    });
    with_head(&["refused by", "whom", "times"], rows)
}

/// Limits that told their operators.
pub(super) fn alerts(report: &Report) -> Vec<Vec<String>> {
    let rows = report
        .alerts
        .iter()
        .map(|(rule, alert)| vec![rule.to_string(), grouped(alert.count), time(alert.first_millis)]);
    with_head(&["alert", "times", "first after"], rows)
}

/// Those who read verifications or reported deliveries.
pub(super) fn onlookers(report: &Report) -> Vec<Vec<String>> {
    let rows = report
        .accounts
        .iter()
        .filter(|account| account.reads + account.reports > 0);
    let rows = rows.map(|account| {
        let counts = [account.reads, account.reports, account.believed];
        let name = std::iter::once(account.name.to_owned());
        name.chain(counts.map(grouped)).collect()
    });
    with_head(&["onlooker", "reads", "reports", "believed"], rows)
}

/// Money over time, a block a column, the highest one for the dearest.
fn spending(report: &Report) -> Vec<Vec<String>> {
    let rows = report.series.money.iter().filter_map(|(name, figures)| {
        let dearest = figures.iter().copied().max().filter(|most| *most > 0)?;
        let line = figures
            .chunks(2)
            .map(|pair| block(pair.iter().sum(), 2 * dearest))
            .collect();
        Some(vec![(*name).to_owned(), line, money(dearest)])
    });
    let column = time(report.series.column_millis);
    with_head(&["spent over time", "", &format!("most in {column}")], rows)
}

fn block(figure: u64, most: u64) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let step = (figure * 7).div_ceil(most.max(1));
    match figure {
        0 => ' ',
        _ => BLOCKS
            .get(usize::try_from(step).unwrap_or(7))
            .copied()
            .unwrap_or('█'),
    }
}

fn held_to(report: &Report) -> Vec<Vec<String>> {
    let rows = report.bounds.iter().map(|bound| {
        let came = if bound.holds() { "holds" } else { "BROKEN" };
        vec![bound.what.clone(), figure(bound), came.to_owned()]
    });
    with_head(&["held to", "", ""], rows)
}

/// A table: its head and its rows.
pub(super) fn with_head(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    std::iter::once(head.iter().map(|cell| (*cell).to_owned()).collect())
        .chain(rows)
        .collect()
}

/// Whether a column has figures, below its head, and nothing else.
pub(super) fn has_figures(rows: &[Vec<String>], column: usize) -> bool {
    rows.iter().skip(1).filter_map(|row| row.get(column)).all(|cell| {
        let begins = |c: char| c.is_ascii_digit() || "$+−=".contains(c);
        cell.is_empty() || (cell.starts_with(begins) && !cell.contains(", "))
    })
}

/// Aligns columns: numbers to the right, words to the left. A table of nothing but its head is left out.
fn columns(text: &mut String, rows: &[Vec<String>]) -> std::fmt::Result {
    if rows.len() < 2 {
        return Ok(());
    }
    let count = rows.first().map_or(0, Vec::len);
    let in_column = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let width = |column| {
        in_column(column)
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let layout: Vec<(usize, bool)> = (0..count)
        .map(|column| (width(column), has_figures(rows, column)))
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, (width, numeric)) in row.iter().zip(&layout) {
            match numeric {
                true => write!(line, "{cell:>width$}  ")?,
                false => write!(line, "{cell:<width$}  ")?,
            }
        }
        writeln!(text, "  {}", line.trim_end())?;
    }
    writeln!(text)
}
