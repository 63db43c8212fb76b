//! `[code]`: how codes are made and how long they live.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::file::{Page, Report, Section, flag, integer, span, word, words};

const LENGTH: RangeInclusive<u8> = 4..=10;
/// Below this many digits `allow_short` has to be said.
const SHORT: u8 = 6;
/// The longest life of a code that may travel by phone.
const BY_PHONE: Duration = Duration::from_secs(600);
/// The longest life of a code that travels by mail alone.
const BY_MAIL: Duration = Duration::from_secs(86_400);

/// How codes are made and how long they live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRules {
    /// Digits, 4 to 10; below 6 only with `allow_short`.
    pub length: u8,
    /// Said explicitly by whoever wants fewer than six digits.
    pub allow_short: bool,
    /// Life of a code, fixed when it is issued. Phone channels at most 10 minutes, mail at most 24 hours.
    pub ttl: Duration,
    /// What a resend carries.
    pub resend: Resend,
}

/// What a resend carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// The same code: deliveries may arrive in any order.
    Same,
    /// A new code; the one before is void.
    New,
}

words! { Resend { Same = "same", New = "new" } }

impl Default for CodeRules {
    fn default() -> Self {
        Self {
            length: 6,
            allow_short: false,
            ttl: Duration::from_secs(600),
            resend: Resend::Same,
        }
    }
}

impl CodeRules {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        #[rustfmt::skip]
        let Self { length, allow_short, ttl, resend } = self;
        section.set("length", length, integer(LENGTH));
        section.set("allow_short", allow_short, flag);
        section.set("ttl", ttl, span);
        section.set("resend", resend, word);
    }

    pub(super) fn print(&self, page: &mut Page) {
        #[rustfmt::skip]
        let Self { length, allow_short, ttl, resend } = self;
        page.header("code");
        page.pair("length", length);
        page.pair("allow_short", allow_short);
        page.span("ttl", *ttl);
        page.word("resend", *resend);
    }

    /// `by_phone`: whether a code may travel by phone.
    pub(super) fn check(&self, by_phone: bool, found: &mut Report) {
        let (length, longest) = (self.length, LENGTH.end());
        if !LENGTH.contains(&length) {
            let message = format!("found {length}; {} to {longest} digits would do", LENGTH.start());
            found.fault("code.length", message);
        } else if length < SHORT && !self.allow_short {
            let message =
                format!("found {length}; {SHORT} to {longest} would do, or fewer with allow_short = true");
            found.fault("code.length", message);
        }
        if length >= SHORT && self.allow_short {
            found.warning(
                "code.allow_short",
                format!("changes nothing: codes have {length} digits"),
            );
        }
        if length < SHORT && self.allow_short {
            found.warning("code.length", format!("codes have only {length} digits"));
        }
        if self.ttl.is_zero() {
            found.fault("code.ttl", "found zero; a longer duration would do");
        } else if by_phone && self.ttl > BY_PHONE {
            let message = "found more than 10m; a code that may travel by phone lives up to \"10m\", one that \
                           travels by email alone up to \"24h\"";
            found.fault("code.ttl", message);
        } else if self.ttl > BY_MAIL {
            found.fault("code.ttl", "found more than 24h; up to \"24h\" would do");
        }
    }
}
