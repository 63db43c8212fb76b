//! Where a code goes: a phone number or a mailbox, in one canonical form.
//!
//! Limits and records are keyed by a fingerprint of [`Destination::canonical`], so every spelling of one number or mailbox has
//! to end in the same text; codes and proofs are of [`Destination::as_delivered`]. [`Destination::parse`] is the only way to
//! make one. Nothing here asks the network: a number is *valid* when its country's numbering plan has it, which does not say
//! that anybody holds it.
//!
//! Nothing of a destination shows in `Debug` or in an error. One leak is out of this crate's hands: the phone
//! number library writes numbers to the `log` facade at level `trace`, under the target `rlibphonenumber`. Whoever
//! installs a logger that listens at `trace` turns that target off.
//!
//! ```
//! use verify_core::destination::Destination;
//! use verify_core::policy::EmailRules;
//! use verify_core::vocabulary::Country;
//!
//! let rules = EmailRules { plus_tags_same: true, dotless_domains: Vec::new(), disposable_allowed: true };
//! let number = Destination::parse("(202) 555-0110", Country::new("US"), &rules)?;
//! assert_eq!(number.canonical(), "+12025550110");
//!
//! let mailbox = Destination::parse("Ada+news@Bücher.example", None, &rules)?;
//! assert_eq!(mailbox.canonical(), "ada@xn--bcher-kva.example");
//! assert_eq!(mailbox.delivery(), "Ada+news@xn--bcher-kva.example");
//! # Ok::<(), verify_core::destination::DestinationError>(())
//! ```

pub(crate) mod domain;
mod mailbox;
mod phone;
mod plan;
mod refused;

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

use crate::hidden::{between_digits, trimmed};
use crate::policy::email::EmailRules;
use crate::vocabulary::{Channel, Country};

pub use mailbox::Mailbox;
pub use phone::Phone;
pub use refused::Nth;

/// What stands for hidden characters in a masked destination.
const HIDDEN: char = '•';

/// A phone number or a mailbox that a code can be sent to.
///
/// Two destinations are equal when both their canonical form and their delivery form are; what limits treat as one
/// is decided by [`canonical`](Self::canonical) alone. `Debug` shows the kind and nothing else; the texts are wiped
/// from memory on drop.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination {
    /// A phone number.
    Phone(Phone),
    /// A mailbox.
    Mailbox(Mailbox),
}

impl Destination {
    /// Reads a destination as a person wrote it: a mailbox when it has an `@`, else a phone number.
    ///
    /// `country` is where a number without `+` and country code belongs; a number that has them ignores it, and so
    /// does a mailbox. White space and marks that nobody sees (of direction, zero-width) are dropped at the ends; in a number
    /// a space of any width is a space, and any hyphen or dash a hyphen. What is left has at most 64 bytes for a number and
    /// 254 for a mailbox; the text as it came is measured before any other work.
    ///
    /// # Errors
    /// A [`DestinationError`] that says what to write instead. Doubtful input is refused, never guessed at.
    pub fn parse(raw: &str, country: Option<Country>, rules: &EmailRules) -> Result<Self, DestinationError> {
        if raw.len() > mailbox::MAX_BYTES {
            return Err(DestinationError::TooLong);
        }
        let text = trimmed(raw);
        if text.is_empty() {
            return Err(DestinationError::Empty);
        }
        let written = (!text.is_ascii() && !text.contains('@')).then(|| with_plain_separators(text));
        let text = written.as_deref().map_or(text, String::as_str);
        Self::read(text, country, rules).map_err(|error| refused::more_exactly(error, text, country, rules))
    }

    /// Reads what has nothing around it.
    fn read(text: &str, country: Option<Country>, rules: &EmailRules) -> Result<Self, DestinationError> {
        if text.contains('@') {
            Mailbox::parse(text, rules).map(Self::Mailbox)
        } else {
            Phone::parse(text, country).map(Self::Phone)
        }
    }

    /// The form that limits are keyed by: E.164, or the mailbox without what the policy says means nothing.
    /// It reads as itself: parsing it again gives the same text.
    pub fn canonical(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.e164(),
            Self::Mailbox(mailbox) => mailbox.canonical(),
        }
    }

    /// The form that is sent to: E.164, or the mailbox as written with its domain in lower-case ASCII.
    pub fn delivery(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.e164(),
            Self::Mailbox(mailbox) => mailbox.delivery(),
        }
    }

    /// The form by which two destinations are one to a *verification*: E.164, or the mailbox as written, in lower case.
    ///
    /// Limits treat `ada+shop@example.com` and `ada@example.com` as one ([`canonical`](Self::canonical)), yet they may be
    /// read by different people: a code that one of them got proves nothing of the other. It depends on no policy.
    pub fn as_delivered(&self) -> Cow<'_, str> {
        match self {
            Self::Phone(phone) => phone.e164().into(),
            // The domain is in lower case already.
            Self::Mailbox(mailbox) => mailbox.delivery().to_ascii_lowercase().into(),
        }
    }

    /// The country of a phone number; `None` for a mailbox and for numbers of no country (satellite, `+800`).
    pub fn country(&self) -> Option<Country> {
        match self {
            Self::Phone(phone) => phone.country(),
            Self::Mailbox(_) => None,
        }
    }

    /// The number without its last four digits: a range that one attacker may rent as a whole. `None` for a mailbox.
    pub fn prefix(&self) -> Option<&str> {
        match self {
            Self::Phone(phone) => Some(phone.prefix()),
            Self::Mailbox(_) => None,
        }
    }

    /// True for numbers that cost far more than an ordinary one: premium-rate, shared-cost, personal numbers, and
    /// the satellite and other networks of no country but free ones.
    pub fn is_premium(&self) -> bool {
        match self {
            Self::Phone(phone) => phone.is_premium(),
            Self::Mailbox(_) => false,
        }
    }

    /// True for a mailbox whose domain, or a domain above it, is listed as giving out throw-away mailboxes.
    /// The list is part of the build; a domain younger than it is not known.
    pub fn is_disposable(&self) -> bool {
        match self {
            Self::Phone(_) => false,
            Self::Mailbox(mailbox) => mailbox.is_disposable(),
        }
    }

    /// True when the channel can reach this kind of destination.
    pub fn fits(&self, channel: Channel) -> bool {
        match self {
            Self::Phone(_) => channel.reaches_phone(),
            Self::Mailbox(_) => !channel.reaches_phone(),
        }
    }

    /// A form that its owner recognises and a stranger cannot use: `+1202•••••10`, `a•••@e•••.com`.
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Mailbox(mailbox) => mailbox.masked(),
        }
    }

    /// The last `n` digits of a number, never more than two; `None` for none and for a mailbox.
    pub fn last_digits(&self, n: u8) -> Option<&str> {
        match self {
            Self::Phone(phone) => phone.last_digits(n),
            Self::Mailbox(_) => None,
        }
    }
}

/// A number as it would be written with the spaces and hyphens of ASCII.
fn with_plain_separators(text: &str) -> Zeroizing<String> {
    // With room for all of it: a longer one would be left behind in memory.
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    plain.extend(text.chars().map(|c| between_digits(c).unwrap_or(c)));
    plain
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(phone) => phone.fmt(f),
            Self::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

/// Why a text is no destination, and what to write instead. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// Nothing was written.
    #[error("write a phone number or a mailbox")]
    Empty,
    /// More text, or more digits, than any destination has.
    #[error("the destination is too long: a number has at most 15 digits, a mailbox at most 254 characters")]
    TooLong,
    /// A national number, and nobody said of which country.
    #[error("write the number with + and country code, or pass `country`")]
    MissingCountry,
    /// `country` has no phone numbers of its own.
    #[error(
        "no phone number belongs to this `country`: pass the two letters of ISO 3166-1, such as US; the United Kingdom \
         is GB, Greece GR"
    )]
    UnknownCountry,
    /// The number starts with a country code that is not in use.
    #[error("no country has this country code: write the number with + and an existing country code")]
    UnknownCountryCode,
    /// The number has letters.
    #[error("write a number with digits instead of letters and without an extension; a mailbox needs an `@`")]
    Letters,
    /// The number has digits of another script, or full-width ones.
    #[error(
        "write the number with the digits 0 to 9; full-width digits and those of other scripts are not read"
    )]
    ForeignDigits,
    /// Two numbers or mailboxes, or more, in one text.
    #[error("write one number or one mailbox; this is more than one")]
    Several,
    /// A character in the middle that nobody sees: a tab, a line break, a mark of direction. Before the digit, or in a
    /// mailbox the character, of that number, counted from 0.
    #[error("remove the hidden character {0}: nobody sees it, and it may come along when a text is copied")]
    Hidden(Nth),
    /// The number has characters that are neither digits nor separators, such as emoji.
    #[error("write the number with the digits 0 to 9 and ` ()-./+` only")]
    NotDigits,
    /// Too few digits for the country.
    #[error("the number is too short for its country: write it in full, with the area code")]
    TooShort,
    /// Too many digits for the country.
    #[error("the number is too long for its country: check the digits")]
    TooLongForCountry,
    /// The length fits, but the country has no such number.
    #[error("its country has no such number: check the digits")]
    InvalidNumber,
    /// The part before the `@` has characters outside ASCII.
    #[error("write the part before the `@` with ASCII letters; mailboxes of other scripts are not supported")]
    ForeignLocalPart,
    /// The part before the `@` is quoted.
    #[error("quoted mailboxes are not supported: write the part before the `@` without quotes")]
    QuotedLocalPart,
    /// The part before the `@` is empty, too long, or has characters or dots where none may be.
    #[error(
        "the part before the `@` has 1 to 64 letters, digits and common marks, with single dots between them"
    )]
    InvalidLocalPart,
    /// The part after the `@` is no domain name.
    #[error("the part after the `@` is a domain name with a dot, such as `example.com`")]
    InvalidDomain,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> EmailRules {
        EmailRules {
            plus_tags_same: true,
            dotless_domains: Vec::new(),
            disposable_allowed: true,
        }
    }

    fn parse(raw: &str) -> Result<Destination, DestinationError> {
        Destination::parse(raw, None, &rules())
    }

    #[test]
    fn an_at_sign_decides_what_it_is() {
        assert!(matches!(parse("+12025550110"), Ok(Destination::Phone(_))));
        assert!(matches!(parse(" ada@example.com "), Ok(Destination::Mailbox(_))));
        assert_eq!(parse("ada"), Err(DestinationError::Letters));
        assert_eq!(parse(""), Err(DestinationError::Empty));
        assert_eq!(parse("   "), Err(DestinationError::Empty));
    }

    #[test]
    fn the_length_is_measured_before_anything_else() {
        assert_eq!(parse(&" ".repeat(255)), Err(DestinationError::TooLong));
        assert_eq!(parse(&"é".repeat(1_000_000)), Err(DestinationError::TooLong));
        assert_eq!(parse(&"x".repeat(65)), Err(DestinationError::TooLong));
        assert_eq!(
            parse(&format!("{}@example.com", "a".repeat(250))),
            Err(DestinationError::TooLong)
        );
    }

    #[test]
    fn each_channel_reaches_one_kind() {
        let phone = parse("+12025550110").unwrap();
        let mailbox = parse("ada@example.com").unwrap();
        for &channel in Channel::ALL {
            assert_eq!(phone.fits(channel), channel != Channel::Email);
            assert_eq!(mailbox.fits(channel), channel == Channel::Email);
        }
    }

    #[test]
    fn a_mailbox_has_nothing_of_a_number() {
        let mailbox = parse("ada1815@example.com").unwrap();
        assert_eq!(mailbox.country(), None);
        assert_eq!(mailbox.prefix(), None);
        assert_eq!(mailbox.last_digits(2), None);
        assert!(!mailbox.is_premium());
        assert!(!parse("+12025550110").unwrap().is_disposable());
    }

    #[test]
    fn i20_debug_and_errors_show_nothing_of_it() {
        let phone = parse("+12025550110").unwrap();
        let mailbox = parse("ada@example.com").unwrap();
        assert_eq!(format!("{phone:?} {phone:#?}"), "Phone(**) Phone(**)");
        assert_eq!(format!("{mailbox:?} {mailbox:#?}"), "Mailbox(**) Mailbox(**)");

        for raw in [
            "+1202555",
            "+1202\u{200b}555canary",
            "canary\u{200b}@example.com",
            "canary@example.com, canary@example.org",
            "call-ada",
            "８１２",
            "ada canary@example.com",
            "canary@canary",
        ] {
            let error = parse(raw).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("canary") && !shown.contains("202") && !shown.contains("８"),
                "{shown}"
            );
        }
    }
}
