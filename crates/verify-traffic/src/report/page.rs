//! The page: everything in one file, nothing loaded from anywhere. The answer comes first.

use std::collections::BTreeMap;
use std::fmt::{Result, Write};

use super::difference::SUMS;
use super::plot::Plot;
use super::table::{alerts, attackers, compared, has_figures, onlookers, people, with_head};
use super::{Report, changed, figure, grouped, money, time};
use crate::{Account, Side};

const STYLE: &str = include_str!("page.css");

/// What a reader must know before believing a figure.
const NOT_MODELLED: &[&str] = &[
    "There is no risk scorer: the caps and the lockout hold alone. A good one makes an attack cost less than this.",
    "Each command runs to its end before the next one begins. What commands do to one another when they overlap is \
     explored elsewhere, order by order.",
    "Breakers, pacing and the flood shield belong to the engine and are not here: a provider that fails is called \
     again by the next send.",
    "Codes are made by the engine. A provider that makes them itself has caps of its own, which are not here.",
    "TOTP and recovery codes do not exist yet, so nobody replays one.",
    "Prices are one vendor's list, and habits of people are parameters, most of them published by companies that \
     sell protection.",
];

/// The reports as one HTML page with its plots inside. Two are shown side by side.
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
    let Some(first) = reports.first() else {
        return Ok(());
    };
    let policies: Vec<String> = reports.iter().map(|report| escaped(&report.policy)).collect();
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
        "<title>{} – simulated traffic</title>",
        escaped(&first.scenario)
    )?;
    writeln!(out, "<style>\n{STYLE}</style>\n<main>\n<header>")?;
    writeln!(
        out,
        "<p class=\"kicker\">Simulated traffic · {}</p>",
        escaped(&first.scenario)
    )?;
    writeln!(
        out,
        "<h1>What an attacker gets under {}</h1>",
        policies.join(" and under ")
    )?;
    writeln!(
        out,
        "<p class=\"about\">{}. {} of the world from seed {} at scale {}.</p>\n</header>",
        escaped(&sentence(&first.about)),
        time(first.span_millis),
        first.seed,
        first.scale,
    )?;
    side_by_side(out, &reports.iter().map(answer).collect::<Vec<_>>())?;
    difference(out, reports)?;
    plots(out, reports)?;
    writeln!(out, "<h2>Held to</h2>")?;
    side_by_side(out, &reports.iter().map(held_to).collect::<Vec<_>>())?;
    for (heading, table) in TABLES {
        writeln!(out, "<h2>{heading}</h2>")?;
        let of = |report| html_table(&table(report));
        side_by_side(out, &reports.iter().map(of).collect::<Vec<_>>())?;
    }
    writeln!(out, "<h2>What this does not model</h2>\n<ul class=\"notes\">")?;
    for note in NOT_MODELLED {
        writeln!(out, "<li>{note}</li>")?;
    }
    writeln!(out, "</ul>\n</main>\n</html>")
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// One block a report, next to one another where there is room.
fn side_by_side(out: &mut String, blocks: &[String]) -> Result {
    writeln!(out, "<div class=\"sides n{}\">", blocks.len())?;
    for block in blocks {
        writeln!(out, "<section>\n{block}</section>")?;
    }
    writeln!(out, "</div>")
}

/// The sums that matter, in one sentence and six figures.
fn answer(report: &Report) -> String {
    let got = |figure: fn(&Account) -> u64| report.sum(Side::Attacker, figure);
    let met = |figure: fn(&Account) -> u64| report.sum(Side::Honest, figure);
    let (came, away) = (met(|a| a.people.came), met(|a| a.people.turned_away));
    let (money, taken) = (money(got(|a| a.money_micros)), got(|a| a.taken));
    let mut cards = vec![
        (money.clone(), "of messages for attackers".to_owned(), false),
        (
            grouped(got(|a| a.messages)),
            "messages they got".to_owned(),
            false,
        ),
        (
            grouped(got(|a| a.compared)),
            "guesses compared with a code".to_owned(),
            false,
        ),
        (grouped(taken), "accounts taken".to_owned(), taken > 0),
    ];
    let mut answer = format!(
        "In {} attackers get <b>{money}</b> of messages and take <b>{}</b> accounts",
        time(report.span_millis),
        grouped(taken)
    );
    if came > 0 {
        let (verified, of) = (grouped(met(|a| a.people.verified)), grouped(came));
        answer += &format!("; <b>{}</b> of {of} people are turned away", grouped(away));
        cards.push((verified, format!("of {of} people verified"), false));
        cards.push((grouped(away), "people turned away".to_owned(), away * 20 > came));
    }
    let policy = escaped(&report.policy);
    let mut out = format!(
        "<h3 class=\"policy\">{policy}</h3>\n<p class=\"answer\">{answer}.</p>\n<dl class=\"cards\">\n"
    );
    for (figure, name, bad) in cards {
        let class = if bad { " class=\"bad\"" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(out, "<div{class}><dt>{name}</dt><dd>{figure}</dd></div>");
    }
    out + "</dl>\n"
}

fn difference(out: &mut String, reports: &[Report]) -> Result {
    let [before, after, ..] = reports else {
        return Ok(());
    };
    writeln!(out, "<h2>What the second policy changes</h2>")?;
    let (sums, parts): (Vec<_>, Vec<_>) = changed(reports)
        .into_iter()
        .partition(|row| SUMS.contains(&row.whose.as_str()));
    let cells = |rows| html_table(&compared([&before.policy, &after.policy], rows));
    writeln!(
        out,
        "{}<details><summary>By name and by rule</summary>",
        cells(sums)
    )?;
    writeln!(out, "{}</details>", cells(parts))
}

fn spent(report: &Report) -> BTreeMap<&str, &[u64]> {
    let rows = report.series.money.iter();
    rows.map(|(name, figures)| (*name, figures.as_slice())).collect()
}

fn plots<'a>(out: &mut String, reports: &'a [Report]) -> Result {
    let Some(first) = reports.first() else {
        return Ok(());
    };
    let span = first.span_millis as f64;
    let when = |share: f64| match share > 0.0 {
        true => time((span * share) as u64),
        false => "0".to_owned(),
    };
    let column = time(first.series.column_millis);
    let rules = |of: fn(&Report) -> &BTreeMap<std::sync::Arc<str>, Vec<u64>>| {
        let rows = |report: &'a Report| {
            let rows = of(report)
                .iter()
                .map(|(rule, figures)| (&**rule, figures.as_slice()));
            (report.policy.as_str(), rows.collect())
        };
        reports.iter().map(rows).collect()
    };
    let refusals = |title, nothing, of| Plot {
        title,
        axis: format!("refusals in {column}"),
        nothing,
        reports: rules(of),
        label: grouped,
        when: &when,
    };
    let plots = [
        Plot {
            title: "Money that leaves, by who causes it",
            axis: format!("dollars in {column}"),
            nothing: "Nothing was spent.",
            reports: reports
                .iter()
                .map(|report| (report.policy.as_str(), spent(report)))
                .collect(),
            label: money,
            when: &when,
        },
        refusals(
            "Refusals, by the rule that decides",
            "Nothing was refused.",
            |report| &report.series.refused,
        ),
        refusals(
            "Refusals that honest people meet, by rule",
            "Not one honest person was refused.",
            |report| &report.series.refused_honest,
        ),
    ];
    writeln!(out, "<h2>Over time</h2>\n<div class=\"plots\">")?;
    for figure in plots.iter().flat_map(Plot::figures) {
        out.write_str(&figure)?;
    }
    writeln!(out, "</div>")
}

fn held_to(report: &Report) -> String {
    let mut out = "<ul class=\"bounds\">\n".to_owned();
    for bound in &report.bounds {
        let (class, word) = match bound.holds() {
            true => ("holds", "holds"),
            false => ("broken", "broken"),
        };
        let (what, figure) = (escaped(&bound.what), escaped(&figure(bound)));
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "<li class=\"{class}\"><b>{word}</b> <span>{what}: {figure}</span></li>"
        );
    }
    out + "</ul>\n"
}

type Table = (&'static str, fn(&Report) -> Vec<Vec<String>>);

const TABLES: &[Table] = &[
    ("What attackers did and got", attackers),
    ("What honest people met", people),
    ("What read and reported", onlookers),
    ("What refused", refusals),
    ("What told operators", alerts),
    ("Events that operators would have", events),
];

fn refusals(report: &Report) -> Vec<Vec<String>> {
    let of =
        |side: Side, rule: &str| report.sum(side, |account| account.refused.get(rule).copied().unwrap_or(0));
    let rules: std::collections::BTreeSet<_> = report
        .accounts
        .iter()
        .flat_map(|account| account.refused.keys())
        .collect();
    let rows = rules.into_iter().map(|rule| {
        let away = report.sum(Side::Honest, |account| {
            account.people.turned_away_by.get(rule).copied().unwrap_or(0)
        });
        let (attackers, people) = (of(Side::Attacker, rule), of(Side::Honest, rule));
        vec![
            rule.to_string(),
            grouped(attackers),
            grouped(people),
            grouped(away),
        ]
    });
    let head = [
        "rule",
        "attackers refused",
        "people refused",
        "people turned away",
    ];
    with_head(&head, rows)
}

fn events(report: &Report) -> Vec<Vec<String>> {
    let rows = report.events.iter();
    let rows = rows.map(|(kind, count)| vec![(*kind).to_owned(), grouped(*count)]);
    with_head(&["event", "times"], rows)
}

/// A table that scrolls by itself where it is too wide. The first row is its head.
fn html_table(rows: &[Vec<String>]) -> String {
    let [head, body @ ..] = rows else {
        return String::new();
    };
    if body.is_empty() {
        return "<p class=\"nothing\">Nothing.</p>\n".to_owned();
    }
    let row = |tag: &str, cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(place, cell)| {
            let class = if has_figures(rows, place) {
                " class=\"n\""
            } else {
                ""
            };
            format!("<{tag}{class}>{}</{tag}>", escaped(cell))
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let head = row("th", head);
    let body: String = body.iter().map(|cells| row("td", cells)).collect();
    format!("<div class=\"scroll\"><table>\n<thead>{head}</thead>\n<tbody>{body}</tbody>\n</table></div>\n")
}
