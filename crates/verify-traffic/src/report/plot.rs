//! Plots as SVG: bars stacked over time.

use std::fmt::{Result, Write};

/// One row of a plot: its name and a figure for each column.
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    pub(super) figures: &'a [u64],
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 12.0;
/// Grid lines above the axis, and labels along it.
const LINES: u32 = 4;
const LABELS: u32 = 6;
/// How many colours the page defines; a row past them takes the first again.
const COLOURS: usize = 10;

/// A plot with its legend. `label` writes a figure of the left axis, `when` an instant of the lower one, from the
/// share of the span that passed.
pub(super) fn stacked(
    out: &mut String,
    rows: &[Row<'_>],
    label: impl Fn(u64) -> String,
    when: impl Fn(f64) -> String,
) -> Result {
    let columns = rows.iter().map(|row| row.figures.len()).max().unwrap_or(0);
    let total = |column: usize| rows.iter().filter_map(|row| row.figures.get(column)).sum::<u64>();
    let most = round_up((0..columns).map(total).max().unwrap_or(0));
    write!(out, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#)?;
    axes(out, most, label, when)?;
    bars(out, rows, columns, most)?;
    out.write_str("</svg>\n")?;
    legend(out, rows)
}

fn axes(out: &mut String, most: u64, label: impl Fn(u64) -> String, when: impl Fn(f64) -> String) -> Result {
    for line in 0..=LINES {
        let share = f64::from(line) / f64::from(LINES);
        let y = HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);
        let figure = label((most as f64 * share).round() as u64);
        write!(
            out,
            r#"<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1}" y2="{y:.1}"/>"#
        )?;
        write!(
            out,
            r#"<text x="{:.0}" y="{:.1}" text-anchor="end">{figure}</text>"#,
            LEFT - 8.0,
            y + 4.0
        )?;
    }
    for label in 0..LABELS {
        let share = f64::from(label) / f64::from(LABELS);
        let x = LEFT + share * (WIDTH - LEFT);
        write!(
            out,
            r#"<text x="{x:.1}" y="{:.0}">{}</text>"#,
            HEIGHT - 8.0,
            when(share)
        )?;
    }
    Ok(())
}

fn bars(out: &mut String, rows: &[Row<'_>], columns: usize, most: u64) -> Result {
    let width = (WIDTH - LEFT) / columns.max(1) as f64;
    let scale = (HEIGHT - BOTTOM - TOP) / most as f64;
    for column in 0..columns {
        let mut foot = HEIGHT - BOTTOM;
        for (place, row) in rows.iter().enumerate() {
            let figure = row.figures.get(column).copied().unwrap_or(0);
            if figure > 0 {
                let high = figure as f64 * scale;
                foot -= high;
                write!(
                    out,
                    r#"<rect class="c{}" x="{:.1}" y="{foot:.1}" width="{:.1}" height="{high:.1}"/>"#,
                    place % COLOURS,
                    LEFT + column as f64 * width,
                    width * 0.88,
                )?;
            }
        }
    }
    Ok(())
}

fn legend(out: &mut String, rows: &[Row<'_>]) -> Result {
    out.write_str("<p class=\"legend\">")?;
    for (place, row) in rows.iter().enumerate() {
        let colour = place % COLOURS;
        write!(
            out,
            r#"<span><i class="c{colour}"></i>{}</span> "#,
            super::page::escaped(row.name)
        )?;
    }
    out.write_str("</p>\n")
}

/// The next of 1, 2, 5, 10, 20, 50, … that is not below.
fn round_up(figure: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            if step.saturating_mul(factor) >= figure {
                return step.saturating_mul(factor);
            }
        }
        step = step.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_figures() {
        assert_eq!(
            [0, 1, 3, 17, 50, 51, u64::MAX].map(round_up),
            [1, 1, 5, 20, 50, 100, u64::MAX]
        );
    }

    #[test]
    fn a_bar_for_each_figure_that_is_not_zero() {
        let mut out = String::new();
        let rows = [
            Row {
                name: "a<b",
                figures: &[1, 0, 3],
            },
            Row {
                name: "c",
                figures: &[0, 0, 2],
            },
        ];
        stacked(&mut out, &rows, |figure| figure.to_string(), |_| String::new()).unwrap();
        assert_eq!(out.matches("<rect").count(), 3);
        assert!(out.contains("a&lt;b"));
    }
}
