//! Plots as SVG: bars stacked over time. Names keep their colour, and scales are shared, across the reports of a page.

use std::collections::BTreeMap;
use std::fmt::{Result, Write};

use super::page::escaped;

/// What one plot of each report shows, and how.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    /// What the left axis counts, with its unit.
    pub(super) axis: String,
    /// What is said where there is nothing to show.
    pub(super) nothing: &'a str,
    /// The policy of each report, and by name a figure for each column.
    pub(super) reports: Vec<(&'a str, BTreeMap<&'a str, &'a [u64]>)>,
    /// Writes a figure of the left axis, and a sum for the legend.
    pub(super) label: fn(u64) -> String,
    /// Writes an instant of the lower axis, from the share of the span that passed.
    pub(super) when: &'a dyn Fn(f64) -> String,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 26.0;
/// Grid lines above the axis, and labels along it.
const LINES: u32 = 4;
const LABELS: u32 = 3;
/// How many names have a colour of their own. The others are shown together.
const COLOURS: usize = 7;

impl Plot<'_> {
    /// The plot of each report, one after the other.
    pub(super) fn figures(&self) -> Vec<String> {
        let names = self.names();
        let most = self
            .reports
            .iter()
            .map(|(_, rows)| tallest(rows))
            .max()
            .unwrap_or(0);
        let figure = |(policy, rows): &(&str, _)| {
            let mut title = self.title.to_owned();
            if self.reports.len() > 1 {
                title = format!("{title}: {policy}");
            }
            let mut out = String::new();
            // Writing to a string does not fail.
            let _ = self.figure(&mut out, &title, rows, &names, round_up(most));
            out
        };
        self.reports.iter().map(figure).collect()
    }

    /// Names in the order of what they come to over all reports, so that the largest lie at the foot.
    fn names(&self) -> Vec<&str> {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, figures) in self.reports.iter().flat_map(|(_, rows)| rows) {
            *sums.entry(name).or_default() += figures.iter().sum::<u64>();
        }
        let mut names: Vec<_> = sums.into_iter().filter(|(_, sum)| *sum > 0).collect();
        names.sort_by_key(|(name, sum)| (std::cmp::Reverse(*sum), *name));
        names.into_iter().map(|(name, _)| name).collect()
    }

    fn figure(
        &self,
        out: &mut String,
        title: &str,
        rows: &BTreeMap<&str, &[u64]>,
        names: &[&str],
        most: u64,
    ) -> Result {
        writeln!(out, "<figure>\n<figcaption>{}</figcaption>", escaped(title))?;
        if tallest(rows) == 0 {
            return writeln!(out, "<p class=\"nothing\">{}</p>\n</figure>", self.nothing);
        }
        let bands = bands(rows, names);
        write!(
            out,
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}, {} over time">"#,
            escaped(title),
            escaped(&self.axis)
        )?;
        self.axes(out, most)?;
        bars(out, &bands, most)?;
        out.write_str("</svg>\n<ul class=\"legend\">\n")?;
        for (place, (name, figures)) in bands.iter().enumerate() {
            let sum = figures.iter().sum();
            if sum > 0 {
                let (name, sum) = (escaped(name), (self.label)(sum));
                writeln!(out, r#"<li><i class="c{place}"></i>{name} <b>{sum}</b></li>"#)?;
            }
        }
        out.write_str("</ul>\n</figure>\n")
    }

    fn axes(&self, out: &mut String, most: u64) -> Result {
        write!(
            out,
            r#"<text class="axis" x="0" y="12">{}</text>"#,
            escaped(&self.axis)
        )?;
        let lines = if most < u64::from(LINES) { 1 } else { LINES };
        for line in 0..=lines {
            let share = f64::from(line) / f64::from(lines);
            let y = HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);
            write!(
                out,
                r#"<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1}" y2="{y:.1}"/><text x="{:.0}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 8.0,
                y + 4.0,
                (self.label)((most as f64 * share).round() as u64).trim_end_matches(".00")
            )?;
        }
        for label in 0..=LABELS {
            let share = f64::from(label) / f64::from(LABELS);
            let anchor = match label {
                0 => "start",
                LABELS => "end",
                _ => "middle",
            };
            write!(
                out,
                r#"<text x="{:.1}" y="{:.0}" text-anchor="{anchor}">{}</text>"#,
                LEFT + share * (WIDTH - LEFT),
                HEIGHT - BOTTOM + 18.0,
                (self.when)(share)
            )?;
        }
        write!(
            out,
            r#"<text class="axis" x="{WIDTH}" y="{:.0}" text-anchor="end">time since the beginning</text>"#,
            HEIGHT - 6.0
        )
    }
}

/// The figures of each name in order; what has no colour of its own is summed up as the last one.
fn bands<'a>(rows: &BTreeMap<&str, &[u64]>, names: &[&'a str]) -> Vec<(&'a str, Vec<u64>)> {
    let of = |name: &str| rows.get(name).map_or(Vec::new(), |figures| figures.to_vec());
    let mut bands: Vec<_> = names.iter().take(COLOURS).map(|name| (*name, of(name))).collect();
    let rest = names
        .iter()
        .skip(COLOURS)
        .map(|name| of(name))
        .reduce(|mut sum, more| {
            sum.resize(sum.len().max(more.len()), 0);
            for (cell, more) in sum.iter_mut().zip(more) {
                *cell += more;
            }
            sum
        });
    bands.extend(rest.map(|figures| ("others", figures)));
    bands
}

fn bars(out: &mut String, bands: &[(&str, Vec<u64>)], most: u64) -> Result {
    let columns = bands.iter().map(|(_, figures)| figures.len()).max().unwrap_or(0);
    let width = (WIDTH - LEFT) / columns.max(1) as f64;
    let scale = (HEIGHT - BOTTOM - TOP) / most.max(1) as f64;
    for column in 0..columns {
        let mut foot = HEIGHT - BOTTOM;
        for (place, (_, figures)) in bands.iter().enumerate() {
            let figure = figures.get(column).copied().unwrap_or(0);
            if figure > 0 {
                let high = figure as f64 * scale;
                foot -= high;
                write!(
                    out,
                    r#"<rect class="c{place}" x="{:.1}" y="{foot:.1}" width="{:.1}" height="{high:.1}"/>"#,
                    LEFT + column as f64 * width,
                    width * 0.9,
                )?;
            }
        }
    }
    Ok(())
}

/// The most that the columns come to.
fn tallest(rows: &BTreeMap<&str, &[u64]>) -> u64 {
    let columns = rows.values().map(|figures| figures.len()).max().unwrap_or(0);
    let total = |column: usize| {
        rows.values()
            .filter_map(|figures| figures.get(column))
            .sum::<u64>()
    };
    (0..columns).map(total).max().unwrap_or(0)
}

/// The next of 1, 2, 4, 10, 20, 40, … that is not below: four grid lines divide it well.
fn round_up(figure: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [1, 2, 4, 8] {
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

    fn plot<'a>(reports: Vec<BTreeMap<&'a str, &'a [u64]>>) -> Plot<'a> {
        let reports = reports.into_iter().map(|rows| ("own", rows)).collect();
        Plot {
            title: "a<b",
            axis: "things".to_owned(),
            nothing: "nothing",
            reports,
            label: |figure| figure.to_string(),
            when: &|_| String::new(),
        }
    }

    #[test]
    fn axes_end_at_round_figures() {
        assert_eq!(
            [0, 1, 3, 17, 40, 41, u64::MAX].map(round_up),
            [1, 1, 4, 20, 40, 80, u64::MAX]
        );
    }

    #[test]
    fn a_bar_for_each_figure_that_is_not_zero() {
        let rows = BTreeMap::from([("x<y", &[1, 0, 3][..]), ("c", &[0, 0, 2][..])]);
        let [figure] = plot(vec![rows]).figures().try_into().unwrap();
        assert_eq!(figure.matches("<rect").count(), 3);
        assert!(figure.contains("a&lt;b") && figure.contains("x&lt;y"));
    }

    #[test]
    fn a_name_has_one_colour_in_both_plots_and_both_have_one_scale() {
        let before = BTreeMap::from([("few", &[1][..]), ("many", &[90][..])]);
        let after = BTreeMap::from([("few", &[2][..])]);
        let [before, after] = plot(vec![before, after]).figures().try_into().unwrap();
        for figure in [&before, &after] {
            assert!(
                figure.contains(r#"<i class="c1"></i>few"#) && figure.contains(">100<"),
                "{figure}"
            );
        }
        assert!(!after.contains("many"));
    }

    #[test]
    fn names_past_the_last_colour_are_shown_together() {
        let names: Vec<String> = (0..9).map(|name| format!("n{name}")).collect();
        let rows = names.iter().map(|name| (name.as_str(), &[5][..])).collect();
        let [figure] = plot(vec![rows]).figures().try_into().unwrap();
        assert!(
            figure.contains("others <b>10</b>") && !figure.contains("n8"),
            "{figure}"
        );
    }
}
