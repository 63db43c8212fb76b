//! `[privacy]`: what answers and logs may show.

use std::ops::RangeInclusive;

use super::file::{Page, Report, Section, integer, word, words};

const LAST_DIGITS: RangeInclusive<u8> = 0..=2;

/// What answers and logs may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyRules {
    /// Whether refusals say what they are, or look like a send.
    pub disclosure: Disclosure,
    /// How many last digits of a number a log may carry, 0 to 2.
    pub last_digits: u8,
}

/// What a refusal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// It says what it is.
    Open,
    /// Blocked, risk-refused, suppressed and unknown recipients get a decoy, and nothing that a provider says or reports
    /// shows.
    Private,
}

words! { Disclosure { Open = "open", Private = "private" } }

impl Default for PrivacyRules {
    fn default() -> Self {
        Self {
            disclosure: Disclosure::Open,
            last_digits: 2,
        }
    }
}

impl PrivacyRules {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        #[rustfmt::skip]
        let Self { disclosure, last_digits } = self;
        section.set("disclosure", disclosure, word);
        section.set("last_digits", last_digits, integer(LAST_DIGITS));
    }

    pub(super) fn print(&self, page: &mut Page) {
        #[rustfmt::skip]
        let Self { disclosure, last_digits } = self;
        page.header("privacy");
        page.word("disclosure", *disclosure);
        page.pair("last_digits", last_digits);
    }

    pub(super) fn check(&self, found: &mut Report) {
        if !LAST_DIGITS.contains(&self.last_digits) {
            found.fault("privacy.last_digits", "a log carries at most 2 digits");
        }
    }
}
