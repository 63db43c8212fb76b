//! `[lockout]`: the wait that follows failures in a row.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::file::{
    Page, Read, Report, SPAN, Section, UNLIMITED, parse_span, print_span, quoted, span, wrong,
};

const NEVER: &str = "never";

/// The wait that follows failures in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// From this many failures on, this wait. Counts are at least 1.
    pub waits: Waits,
    /// Without a failure for that long, the run is over.
    pub forget_after: Duration,
}

/// Waits by count of failures in a row: the entry with the greatest count not above the failures holds.
pub type Waits = Arc<BTreeMap<u32, Wait>>;

/// A wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// That long after the last failure.
    For(Duration),
    /// Until a stronger factor, an operator or `forget_after`.
    Never,
}

impl Wait {
    /// How long it is, `Never` the longest.
    const fn span(self) -> Duration {
        match self {
            Self::For(span) => span,
            Self::Never => Duration::MAX,
        }
    }

    /// As a file writes it.
    pub(super) fn to_text(self) -> String {
        match self {
            Self::For(span) => print_span(span),
            Self::Never => NEVER.into(),
        }
    }
}

impl Default for Lockout {
    fn default() -> Self {
        let minutes = |count: u64| Wait::For(Duration::from_secs(60 * count));
        let waits = BTreeMap::from([
            (1, minutes(1)),
            (5, minutes(15)),
            (10, minutes(60)),
            (100, Wait::Never),
        ]);
        Self {
            waits: Arc::new(waits),
            forget_after: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Lockout {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        let Self { waits, forget_after } = self;
        section.set("forget_after", forget_after, span);
        match section.value("waits") {
            None => {}
            Some(value) if value.as_str() == Some(UNLIMITED) => *waits = Waits::default(),
            Some(value) if value.as_object().is_none_or(Map::is_empty) => {
                let wanted =
                    "a table of waits by failures in a row, such as { 1 = \"60s\" }, or \"unlimited\",";
                section.fault("waits", wrong(value, wanted));
            }
            Some(value) => section.table("waits", value, |steps| *waits = Arc::new(read_steps(steps))),
        }
    }

    pub(super) fn print(&self, page: &mut Page) {
        let Self { waits, forget_after } = self;
        page.header("lockout");
        let step = |(failures, wait): (&u32, &Wait)| format!("{failures} = {}", quoted(&wait.to_text()));
        let steps: Vec<_> = waits.iter().map(step).collect();
        if steps.is_empty() {
            page.text("waits", UNLIMITED);
        } else {
            page.pair("waits", format_args!("{{ {} }}", steps.join(", ")));
        }
        page.span("forget_after", *forget_after);
    }

    pub(super) fn check(&self, found: &mut Report) {
        if self.waits.contains_key(&0) {
            found.fault(
                "lockout.waits",
                "found a wait after 0 failures; counts are at least 1",
            );
        }
        let spans = self.waits.values().filter_map(|wait| match wait {
            Wait::For(span) => Some(*span),
            Wait::Never => None,
        });
        if self.forget_after.is_zero() {
            found.fault("lockout.forget_after", "found zero; a longer duration would do");
        } else if spans.max().is_some_and(|longest| longest > self.forget_after) {
            found.fault(
                "lockout.forget_after",
                "found less than the longest wait, which would never be served in full",
            );
        }
        let steps = || self.waits.iter().map(|(count, wait)| (count, wait.span()));
        for ((before, longer), (count, wait)) in steps().zip(steps().skip(1)) {
            if wait <= longer {
                let message = format!(
                    "the wait after {count} failures is no longer than that after {before}: more failures should not wait less"
                );
                found.warning("lockout.waits", message);
            }
        }
        if self.waits.values().all(|wait| *wait == Wait::For(Duration::ZERO)) {
            found.warning("lockout.waits", "unlimited: no failure leads to a wait");
        }
    }
}

fn read_steps(steps: &mut Section<'_, '_>) -> BTreeMap<u32, Wait> {
    let mut waits = BTreeMap::new();
    for (failures, value) in steps.rest() {
        let count = failures.parse().ok();
        match (
            count.filter(|count: &u32| count.to_string() == failures),
            wait(value),
        ) {
            (Some(count @ 1..), Ok(wait)) => drop(waits.insert(count, wait)),
            (Some(_), Err(message)) => steps.fault(failures, message),
            (Some(0) | None, _) => steps.fault(
                failures,
                "found no count of failures; a whole number of at least 1 would do",
            ),
        }
    }
    waits
}

/// `"0s"` is a wait, and so is `"never"`.
fn wait(value: &Value) -> Read<Wait> {
    let found = match value.as_str() {
        Some(NEVER) => Some(Wait::Never),
        Some(text) => parse_span(text).map(Wait::For),
        None => None,
    };
    found.ok_or_else(|| wrong(value, format_args!("\"never\" or {SPAN}")))
}
