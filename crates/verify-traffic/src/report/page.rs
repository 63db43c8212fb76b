//! The page: everything in one file, nothing loaded from anywhere.

use std::fmt::{Result, Write};

use super::plot::{Row, stacked};
use super::{Report, money, table, time};
use crate::Side;

const STYLE: &str = include_str!("page.css");

/// The reports as one HTML page with its plots inside.
pub fn page(reports: &[Report]) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = whole(&mut out, reports);
    out
}

/// Text that stands for itself in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn whole(out: &mut String, reports: &[Report]) -> Result {
    let title = reports.first().map_or("", |report| &report.scenario);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">"
    )?;
    writeln!(
        out,
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
    )?;
    writeln!(
        out,
        "<title>{} – simulated traffic</title>\n<style>\n{STYLE}</style>",
        escaped(title)
    )?;
    for report in reports {
        section(out, report)?;
    }
    writeln!(out, "</html>")
}

fn section(out: &mut String, report: &Report) -> Result {
    writeln!(out, "<section>\n<h1>{}</h1>", escaped(&report.scenario))?;
    writeln!(
        out,
        "<p class=\"about\">Policy <b>{}</b>, seed {}, scale {}. {} of the world, {} commands.</p>",
        escaped(&report.policy),
        report.seed,
        report.scale,
        time(report.span_millis),
        report.commands
    )?;
    cards(out, report)?;
    let when = |share: f64| match share > 0.0 {
        true => time((report.span_millis as f64 * share) as u64),
        false => "0".to_owned(),
    };

    writeln!(out, "<h2>Money, by who caused it</h2>")?;
    let money_rows: Vec<Row<'_>> = report
        .series
        .money
        .iter()
        .map(|(name, figures)| Row { name, figures })
        .collect();
    plot(out, &money_rows, money, when, "No message was paid for.")?;

    writeln!(out, "<h2>Refusals by rule</h2>")?;
    let refused: Vec<Row<'_>> = report
        .series
        .refused
        .iter()
        .map(|(name, figures)| Row { name, figures })
        .collect();
    plot(
        out,
        &refused,
        |figure| figure.to_string(),
        when,
        "Nothing was refused.",
    )?;

    writeln!(out, "<h2>Refusals that honest people met</h2>")?;
    let honest: Vec<Row<'_>> = report
        .series
        .refused_honest
        .iter()
        .map(|(name, figures)| Row { name, figures })
        .collect();
    plot(
        out,
        &honest,
        |figure| figure.to_string(),
        when,
        "Not one honest person was refused.",
    )?;

    writeln!(
        out,
        "<h2>Figures</h2>\n<pre>{}</pre>",
        escaped(&table(std::slice::from_ref(report)))
    )?;
    events(out, report)?;
    writeln!(out, "</section>")
}

fn plot(
    out: &mut String,
    rows: &[Row<'_>],
    label: impl Fn(u64) -> String,
    when: impl Fn(f64) -> String,
    nothing: &str,
) -> Result {
    if rows.is_empty() {
        return writeln!(out, "<p class=\"about\">{nothing}</p>");
    }
    stacked(out, rows, label, when)
}

fn cards(out: &mut String, report: &Report) -> Result {
    let people =
        |figure: fn(&crate::People) -> u64| report.sum(Side::Honest, |account| figure(&account.people));
    let cards = [
        (
            "attackers cost",
            money(report.sum(Side::Attacker, |account| account.money_micros)),
        ),
        (
            "messages for attackers",
            report.sum(Side::Attacker, |account| account.messages).to_string(),
        ),
        (
            "guesses compared",
            report.sum(Side::Attacker, |account| account.compared).to_string(),
        ),
        (
            "accounts taken",
            report.sum(Side::Attacker, |account| account.taken).to_string(),
        ),
        (
            "people verified",
            format!("{} of {}", people(|p| p.verified), people(|p| p.came)),
        ),
        ("people turned away", people(|p| p.turned_away).to_string()),
    ];
    writeln!(out, "<div class=\"cards\">")?;
    for (name, figure) in cards {
        writeln!(out, "<div><b>{figure}</b>{name}</div>")?;
    }
    writeln!(out, "</div>")
}

fn events(out: &mut String, report: &Report) -> Result {
    writeln!(out, "<h2>Events that operators would have</h2>\n<table>")?;
    for (kind, count) in &report.events {
        writeln!(out, "<tr><td>{kind}</td><td>{count}</td></tr>")?;
    }
    writeln!(out, "</table>")
}
