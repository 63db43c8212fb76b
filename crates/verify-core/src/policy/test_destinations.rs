//! `[tests]`: destinations with a fixed code. Faults never repeat them.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use serde_json::Value;

use super::email::EmailRules;
use super::file::{Page, Read, Report, Section, unshown_text, wrong};
use crate::destination::Destination;
use crate::time::Timestamp;

/// What a test destination looks like, for messages.
const ADDRESS: &str = "a mailbox, or a number that can exist, with + and country code,";

/// A destination with a fixed code. Never sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct TestDestination {
    /// E.164, or a mailbox as delivered, in lower case: a tag makes it another one.
    pub to: String,
    /// The code, as many digits as `code.length`.
    pub code: String,
    /// It stops working then: the end of the named day, UTC.
    pub until: Timestamp,
}

impl fmt::Debug for TestDestination {
    /// Neither destination nor code: both are somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDestination")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// Reads `[tests]` of a policy. A given list replaces the inherited one.
pub(super) fn read(root: &mut Section<'_, '_>, email: &EmailRules, tests: &mut Vec<TestDestination>) {
    root.within("tests", |section| {
        if let Some(given) = section.list_of("destination", read_test) {
            *tests = given;
        }
    });
    // A fixed code is of the mailbox that is written here, and of none that only shares its limits.
    for test in tests {
        if let Ok(destination) = Destination::parse(&test.to, None, email) {
            test.to = destination.as_delivered().into_owned();
        }
    }
}

/// A test destination; `None` when something is missing or wrong, which is noted.
fn read_test(section: &mut Section<'_, '_>) -> Option<TestDestination> {
    for key in ["to", "code", "until"] {
        if !section.has(key) {
            section.fault(key, "found nothing; a test destination needs to, code and until");
        }
    }
    let to = section.optional("to", |value| {
        unshown_text(value, ADDRESS, |text| {
            Destination::parse(text, None, &EmailRules::default()).is_ok()
        })
    });
    let code = section.optional("code", |value| {
        unshown_text(value, "a text of as many digits as code.length", is_digits)
    });
    let until = section.optional("until", end_of_day);
    Some(TestDestination {
        to: to?,
        code: code?,
        until: until?,
    })
}

pub(super) fn print(page: &mut Page, tests: &[TestDestination]) {
    if tests.is_empty() {
        page.header("tests");
        page.pair("destination", "[]");
    }
    for TestDestination { to, code, until } in tests {
        page.entry("tests.destination");
        page.text("to", to);
        page.text("code", code);
        page.text("until", &last_day(*until));
    }
}

/// `length`: how many digits a code has.
pub(super) fn check(tests: &[TestDestination], length: u8, email: &EmailRules, found: &mut Report) {
    let mut seen = BTreeSet::new();
    for (index, test) in tests.iter().enumerate() {
        let path = |key: &str| format!("tests.destination[{index}].{key}");
        let read = Destination::parse(&test.to, None, email);
        if !read.is_ok_and(|destination| destination.as_delivered() == test.to) {
            found.fault(path("to"), format!("{ADDRESS} in lower case would do"));
        }
        if !seen.insert(&test.to) {
            found.fault(path("to"), "found the destination twice; once would do");
        }
        if test.code.len() != usize::from(length) || !is_digits(&test.code) {
            found.fault(
                path("code"),
                format!("{length} digits, as code.length says, would do"),
            );
        }
    }
}

/// Those that stand for nobody any more.
pub(super) fn over(tests: &[TestDestination], now: Timestamp) -> Report {
    let mut found = Report::default();
    for (index, test) in tests.iter().enumerate().filter(|(_, test)| test.until <= now) {
        let message = format!(
            "{} is over: the destination is refused; a later date would do, or none of it",
            last_day(test.until)
        );
        found.warning(format!("tests.destination[{index}].until"), message);
    }
    found
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first instant after a day, UTC.
fn end_of_day(value: &Value) -> Read<Timestamp> {
    let parsed = value
        .as_str()
        .and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
    parsed
        .and_then(|day| day.checked_add_days(Days::new(1)))
        .and_then(|next| u64::try_from(next.and_time(NaiveTime::MIN).and_utc().timestamp_millis()).ok())
        .map(Timestamp::from_millis)
        .ok_or_else(|| wrong(value, "a date, such as 2026-12-31,"))
}

/// The last day before an instant, UTC.
fn last_day(until: Timestamp) -> String {
    let last = until.as_millis().saturating_sub(1);
    let day = i64::try_from(last).ok().and_then(DateTime::from_timestamp_millis);
    day.map_or_else(|| "9999-12-31".into(), |day| day.format("%Y-%m-%d").to_string())
}
