//! What more can be said of a text that is no destination, so that nobody looks for the fault in the wrong place.

use std::fmt;

use super::{Destination, DestinationError};
use crate::hidden::{is_hidden, trimmed};
use crate::policy::email::EmailRules;
use crate::vocabulary::Country;

/// The fewest digits of a number that is written beside another one.
const FEWEST_DIGITS: usize = 7;

/// A place in a text that has no destination in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nth {
    /// How many digits (of a mailbox: characters) stand in front.
    pub after: u8,
    /// Digits, not characters, are counted.
    pub digits: bool,
}

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WORDS: [&str; 16] = [
            "before the first",
            "after the first",
            "after the second",
            "after the third",
            "after the fourth",
            "after the fifth",
            "after the sixth",
            "after the seventh",
            "after the eighth",
            "after the ninth",
            "after the tenth",
            "after the eleventh",
            "after the twelfth",
            "after the thirteenth",
            "after the fourteenth",
            "after the fifteenth",
        ];
        let counted = if self.digits { "digit" } else { "character" };
        match WORDS.get(usize::from(self.after)) {
            Some(words) => write!(f, "{words} {counted}"),
            None => write!(f, "after {counted} {}", self.after),
        }
    }
}

/// The reason that helps more, where there is one.
pub(super) fn more_exactly(
    error: DestinationError,
    text: &str,
    country: Option<Country>,
    rules: &EmailRules,
) -> DestinationError {
    let several = match text.contains('@') {
        true => several_mailboxes(text, country, rules),
        false => several_numbers(text, country, rules),
    };
    if several {
        return DestinationError::Several;
    }
    hidden(text).map_or(error, DestinationError::Hidden)
}

/// The first hidden character inside a text.
fn hidden(text: &str) -> Option<Nth> {
    let digits = !text.contains('@');
    let at = text.find(is_hidden)?;
    let before = text.get(..at)?.chars();
    let after = before.filter(|c| !digits || c.is_numeric()).count();
    Some(Nth {
        after: u8::try_from(after).unwrap_or(u8::MAX),
        digits,
    })
}

/// True where two parts of a list are destinations by themselves.
fn several_mailboxes(text: &str, country: Option<Country>, rules: &EmailRules) -> bool {
    let parts = text.split(|c: char| c.is_whitespace() || ",;|/".contains(c));
    let mut read = parts.filter(|part| Destination::read(trimmed(part), country, rules).is_ok());
    read.nth(1).is_some()
}

/// True where a number ends and another one follows it, whatever stands between the two.
fn several_numbers(text: &str, country: Option<Country>, rules: &EmailRules) -> bool {
    let read = |part: &str, country| Destination::read(part.trim_matches(is_between), country, rules).ok();
    let digits = |part: &str| part.bytes().filter(u8::is_ascii_digit).count();
    let bytes = text.as_bytes();
    let ends = bytes.windows(2).enumerate().filter_map(|(at, pair)| match pair {
        [last, next] if last.is_ascii_digit() && !next.is_ascii_digit() => Some(at + 1),
        _ => None,
    });
    ends.filter_map(|at| text.split_at_checked(at))
        .filter(|(one, other)| digits(one) >= FEWEST_DIGITS && digits(other) >= FEWEST_DIGITS)
        .any(|(one, other)| {
            read(one, country).is_some_and(|one| read(other, country.or(one.country())).is_some())
        })
}

/// What may stand around one of several numbers and is no part of it.
fn is_between(c: char) -> bool {
    !(c.is_ascii_digit() || "+()".contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARKS: [char; 7] = [
        '\t', '\n', '\u{ad}', '\u{200b}', '\u{202a}', '\u{2066}', '\u{feff}',
    ];

    fn parse(text: &str) -> Result<Destination, DestinationError> {
        Destination::parse(text, Country::new("US"), &EmailRules::default())
    }

    fn said(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn i136_what_nobody_sees_around_a_destination_is_dropped() {
        for (text, canonical) in [
            ("\u{202a}+12025550110\u{202c}", "+12025550110"),
            ("\u{200e}202-555-0110\u{200e}", "+12025550110"),
            ("\u{feff}+12025550110", "+12025550110"),
            ("+12025550110\r\n", "+12025550110"),
            ("\u{a0}+1 202 555 0110\u{2009}", "+12025550110"),
            ("bob@example.com\n", "bob@example.com"),
            ("\u{2068}bob@example.com\u{2069}", "bob@example.com"),
            ("\tbob@example.com\u{200b}", "bob@example.com"),
        ] {
            assert_eq!(parse(text).unwrap().canonical(), canonical, "{text:?}");
        }
    }

    #[test]
    fn i136_what_nobody_sees_inside_is_named() {
        for (text, place) in [
            ("+120\u{200b}25550110", "after the third digit"),
            ("+\u{202a}12025550110", "before the first digit"),
            ("+1\u{2028}2025550110", "after the first digit"),
            ("+1202555011\n0", "after the tenth digit"),
            ("202\t555 0110", "after the third digit"),
            ("+12025550110\0", "after the eleventh digit"),
            ("bo\u{200b}b@example.com", "after the second character"),
            ("bob\t@example.com", "after the third character"),
            ("bob@exam\nple.com", "after the eighth character"),
            ("bo\u{a0}b@example.com", "after the second character"),
            ("a.mailbox.that.is.long\u{ad}@example.com", "after character 22"),
        ] {
            let said = said(text);
            assert!(
                said.starts_with(&format!("remove the hidden character {place}:")),
                "{text:?}: {said}"
            );
        }
    }

    #[test]
    fn i136_what_looks_like_a_space_or_a_hyphen_is_one_in_a_number() {
        for text in [
            "+1\u{a0}(202)\u{a0}555\u{2011}0110",
            "\u{202a}(202)\u{a0}555-0110\u{202c}",
            "202\u{2013}555\u{2013}0110",
            "202\u{202f}555\u{2009}0110",
            "202\u{2010}555\u{2212}0110",
            "+1\u{3000}2025550110",
        ] {
            assert_eq!(parse(text).unwrap().canonical(), "+12025550110", "{text:?}");
        }
        assert_eq!(
            parse("+1\u{a0}202\u{a0}555"),
            parse("+1 202 555"),
            "its own fault is named"
        );
        assert_eq!(
            parse("+1\u{a0}2025550110\u{a0}+1\u{a0}2025550111"),
            Err(DestinationError::Several)
        );
    }

    #[test]
    fn several_destinations_are_called_so() {
        for text in [
            "+12025550110, +12025550111",
            "+12025550110 +12025550111",
            "+12025550110+12025550111",
            "+12025550110 / 2025550111",
            "2025550110 2025550111",
            "202-555-0110 or 202-555-0111",
            "+12025550110\n+442079460018",
            "home: +12025550110; work: +12025550111",
            "ada@example.com, bob@example.com",
            "ada@example.com;bob@example.com",
            "ada@example.com bob@example.com",
            "+12025550110, bob@example.com",
        ] {
            assert_eq!(parse(text), Err(DestinationError::Several), "{text:?}");
        }
        for text in [
            "+1202555011012345",
            "a@b@example.com",
            "ada lovelace@example.com",
            "202+5550110",
        ] {
            assert_ne!(parse(text), Err(DestinationError::Several), "{text:?}");
        }
    }

    #[test]
    fn too_many_digits_are_too_many_for_a_country_or_for_any() {
        assert_eq!(parse("+120255501435"), Err(DestinationError::TooLongForCountry));
        assert_eq!(parse("+12025550143512345678"), Err(DestinationError::TooLong));
        assert!(said("+120255501435").contains("too long for its country"));
    }

    proptest! {
        #[test]
        fn i136_no_mark_at_an_end_makes_another_destination(
            before in prop::collection::vec(prop::sample::select(&MARKS), 0..4),
            after in prop::collection::vec(prop::sample::select(&MARKS), 0..4),
            text in prop::sample::select(vec!["+12025550110", "(202) 555-0110", "bob@example.com"]),
        ) {
            let around = |marks: Vec<char>| marks.into_iter().collect::<String>();
            let written = format!("{}{text}{}", around(before), around(after));
            prop_assert_eq!(parse(&written), parse(text));
        }

        #[test]
        fn i136_a_mark_inside_a_number_is_the_fault_that_is_named(at in 1..12usize, mark in prop::sample::select(&MARKS)) {
            let mut text = String::from("+12025550110");
            text.insert(at, mark);
            let after = u8::try_from(at - 1).unwrap();
            prop_assert_eq!(parse(&text), Err(DestinationError::Hidden(Nth { after, digits: true })));
        }
    }
}
