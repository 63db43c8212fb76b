//! The table for the terminal.

use std::fmt::Write;

use super::{Report, money, time};
use crate::{Account, Side};

/// The reports as text, one after the other.
pub fn table(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        // Writing to a string does not fail.
        let _ = one(&mut text, report);
    }
    text
}

fn one(text: &mut String, report: &Report) -> std::fmt::Result {
    let head = [
        format!("{} under {}", report.scenario, report.policy),
        format!("seed {}, scale {}", report.seed, report.scale),
        format!(
            "{} of the world, {} commands",
            time(report.span_millis),
            report.commands
        ),
    ];
    writeln!(text, "{}\n", head.join(" · "))?;
    let of = |side: Side| report.accounts.iter().filter(move |account| account.side == side);
    columns(text, &attackers(of(Side::Attacker)))?;
    columns(text, &people(of(Side::Honest)))?;
    columns(text, &refusals(&report.accounts))?;
    columns(text, &alerts(report))
}

fn attackers<'a>(accounts: impl Iterator<Item = &'a Account>) -> Vec<Vec<String>> {
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
            account.sends.to_string(),
            account.messages.to_string(),
            money(account.money_micros),
        ]);
        row.extend(counts.map(|count| count.to_string()));
        row
    };
    with_head(&head, accounts.map(row))
}

fn people<'a>(accounts: impl Iterator<Item = &'a Account>) -> Vec<Vec<String>> {
    let head = [
        "people",
        "came",
        "verified",
        "no message",
        "turned away",
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
            .map(|(rule, count)| format!("{rule} {count}"))
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
        ];
        let mut row = vec![account.name.to_owned()];
        row.extend(counts.map(|count| count.to_string()));
        row.extend([
            by,
            people.delayed.to_string(),
            time(people.longest_delay_millis),
            money(account.money_micros),
        ]);
        row
    };
    with_head(&head, accounts.map(row))
}

fn refusals(accounts: &[Account]) -> Vec<Vec<String>> {
    let rows = accounts.iter().flat_map(|account| {
        account
            .refused
            .iter()
            .map(|(rule, count)| vec![rule.to_string(), account.name.to_owned(), count.to_string()])
    });
    with_head(&["refused by", "whom", "times"], rows)
}

fn alerts(report: &Report) -> Vec<Vec<String>> {
    let rows = report.alerts.iter().map(|(rule, alert)| {
        vec![
            rule.to_string(),
            alert.count.to_string(),
            time(alert.first_millis),
        ]
    });
    with_head(&["alert", "times", "first after"], rows)
}

fn with_head(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    std::iter::once(head.iter().map(|cell| (*cell).to_owned()).collect())
        .chain(rows)
        .collect()
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
    let numeric = |column| {
        in_column(column)
            .skip(1)
            .all(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || c == '$'))
    };
    let layout: Vec<(usize, bool)> = (0..count)
        .map(|column| (width(column), numeric(column)))
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
