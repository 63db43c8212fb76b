//! Single values of a policy file: each reader takes a value or says what it found and what would do.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::words::{self, Word};
use super::{Max, Policy, Wait, duration};
use crate::destination::{Destination, DestinationError};
use crate::vocabulary::Country;

/// A value, or the sentence that says why not.
pub(super) type Read<T> = Result<T, String>;

/// The word that turns a cap off.
pub(super) const UNLIMITED: &str = "unlimited";
/// The word that takes an inherited value away.
pub(super) const NONE: &str = "none";
/// The greatest count of a limit: what a TOML integer holds.
pub(super) const MOST_UNITS: u64 = i64::MAX.unsigned_abs();

/// The sentence for a value that will not do.
pub(super) fn wrong(value: &Value, wanted: impl fmt::Display) -> String {
    format!("found {}; {wanted} would do", describe(value))
}

/// What stands in a file, short enough for a message.
pub(super) fn describe(value: &Value) -> String {
    const SHOWN: usize = 40;
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() > SHOWN => {
            format!("\"{}...\"", text.chars().take(SHOWN).collect::<String>())
        }
        Value::String(text) => format!("\"{text}\""),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
    }
}

/// The kind of a value, where the value itself must not be shown.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "another text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// A text that a rule accepts; the text is not repeated in the fault.
pub(super) fn unshown_text(value: &Value, wanted: &str, fits: impl Fn(&str) -> bool) -> Read<String> {
    match value.as_str() {
        Some(text) if fits(text) => Ok(text.to_owned()),
        _ => Err(format!("found {}; {wanted} would do", kind(value))),
    }
}

pub(super) fn flag(value: &Value) -> Read<bool> {
    value.as_bool().ok_or_else(|| wrong(value, "true or false"))
}

/// A whole number within bounds.
pub(super) fn integer<T: TryFrom<u64> + Copy + PartialOrd + fmt::Display>(
    bounds: RangeInclusive<T>,
) -> impl Fn(&Value) -> Read<T> {
    move |value| {
        let number = value.as_u64().and_then(|number| T::try_from(number).ok());
        number.filter(|number| bounds.contains(number)).ok_or_else(|| {
            wrong(
                value,
                format_args!("a whole number from {} to {}", bounds.start(), bounds.end()),
            )
        })
    }
}

/// A duration longer than nothing.
pub(super) fn span(value: &Value) -> Read<Duration> {
    let found = value
        .as_str()
        .and_then(duration::parse)
        .filter(|span| !span.is_zero());
    found.ok_or_else(|| wrong(value, format_args!("{} and above zero", duration::FORM)))
}

/// A wait of the lockout: `"0s"` is one, and so is `"never"`.
pub(super) fn wait(value: &Value) -> Read<Wait> {
    let found = match value.as_str() {
        Some("never") => Some(Wait::Never),
        Some(text) => duration::parse(text).map(Wait::For),
        None => None,
    };
    found.ok_or_else(|| wrong(value, format_args!("\"never\" or {}", duration::FORM)))
}

/// One of the words of a choice.
pub(super) fn word<T: Word>(value: &Value) -> Read<T> {
    value
        .as_str()
        .and_then(words::named)
        .ok_or_else(|| wrong(value, format_args!("one of {}", words::all::<T>())))
}

/// A list of words, each once.
pub(super) fn word_list<T: Word + PartialEq>(value: &Value) -> Read<Vec<T>> {
    list(word::<T>)(value)
}

/// A list without doubles. A fault in an element is the list's.
pub(super) fn list<T: PartialEq>(element: impl Fn(&Value) -> Read<T>) -> impl Fn(&Value) -> Read<Vec<T>> {
    move |value| {
        let mut found = Vec::new();
        for entry in value.as_array().ok_or_else(|| wrong(value, "a list"))? {
            let read = element(entry)?;
            if found.contains(&read) {
                return Err(format!("found {} twice; once would do", describe(entry)));
            }
            found.push(read);
        }
        Ok(found)
    }
}

pub(super) fn country(value: &Value) -> Read<Country> {
    value
        .as_str()
        .and_then(Country::new)
        .ok_or_else(|| wrong(value, "a country's two letters, such as \"US\","))
}

/// A country, or the word for none.
pub(super) fn country_or_none(value: &Value) -> Read<Option<Country>> {
    if value.as_str() == Some(NONE) {
        Ok(None)
    } else {
        country(value).map(Some)
    }
}

/// A language tag that BCP 47 would not turn away at once.
pub(super) fn locale(value: &Value) -> Read<String> {
    match value.as_str() {
        Some(text) if is_locale(text) => Ok(text.to_owned()),
        _ => Err(wrong(value, "a language tag, such as \"en\" or \"pt-BR\",")),
    }
}

/// Whether a text looks like a language tag: a language of 2 to 8 letters, then subtags of 1 to 8 letters or digits.
pub(super) fn is_locale(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    text.len() <= 35
        && (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags
            .all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A mail domain as destinations have it: lower-case, IDNA. `None` when it cannot be one.
pub(super) fn email_domain(text: &str) -> Option<String> {
    let mailbox = Destination::parse(&format!("a@{text}"), None, &Policy::default().email).ok()?;
    mailbox.delivery().strip_prefix("a@").map(str::to_owned)
}

/// Whether phone numbers belong to a country. Those that nobody knows are most often a slip (`UK` for `GB`).
pub(super) fn has_numbers(country: Country) -> bool {
    let any = Destination::parse("1", Some(country), &Policy::default().email);
    any != Err(DestinationError::UnknownCountry)
}

/// The name of something: of a limit, or of a factor.
pub(super) fn name(value: &Value) -> Read<String> {
    match value.as_str() {
        Some(text) if is_name(text) => Ok(text.to_owned()),
        _ => Err(wrong(value, "a name of 1 to 64 characters of a-z A-Z 0-9 . _ -")),
    }
}

/// Whether a text can name a limit or a factor.
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// A count of things, or the word that turns the cap off.
pub(super) fn units_or_unlimited(value: &Value) -> Read<Max> {
    if value.as_str() == Some(UNLIMITED) {
        return Ok(Max::Unlimited);
    }
    let units = value.as_u64().filter(|units| (1..=MOST_UNITS).contains(units));
    units
        .map(Max::Units)
        .ok_or_else(|| wrong(value, "a whole number of at least 1, or \"unlimited\","))
}

/// The name of an environment variable. What stands there instead may be the secret: it is not repeated.
pub(super) fn env_name(value: &Value) -> Read<String> {
    let wanted = "the name of an environment variable (letters, digits and _), never the secret itself,";
    unshown_text(value, wanted, |text| {
        (1..=128).contains(&text.len())
            && !text.starts_with(|first: char| first.is_ascii_digit())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}
