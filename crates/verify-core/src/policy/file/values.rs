//! Single values of a policy file: each reader takes a value or says what it found and what would do.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::duration;
use super::words::Word;

/// A value, or the sentence that says what was found and what would do.
pub type Read<T> = Result<T, String>;

/// The word that turns a cap off.
pub(crate) const UNLIMITED: &str = "unlimited";
/// The word that takes an inherited value away.
pub(crate) const NONE: &str = "none";
/// The greatest count, and the greatest amount in micros: what a double holds exactly, because the numbers of a store that is
/// a script may be doubles.
pub(crate) const MOST_UNITS: u64 = (1 << 53) - 1;

/// The sentence for a value that will not do.
pub fn wrong(value: &Value, wanted: impl fmt::Display) -> String {
    format!("found {}; {wanted} would do", describe(value))
}

/// What stands in a file, short enough for a message.
pub(crate) fn describe(value: &Value) -> String {
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

/// A text that a rule accepts. What stands there instead may be a secret, or somebody's: the fault does not repeat it.
///
/// # Errors
/// The kind of what was found, and what would do.
pub fn unshown_text(value: &Value, wanted: &str, fits: impl Fn(&str) -> bool) -> Read<String> {
    match value.as_str() {
        Some(text) if fits(text) => Ok(text.to_owned()),
        _ => Err(format!("found {}; {wanted} would do", kind(value))),
    }
}

pub(crate) fn flag(value: &Value) -> Read<bool> {
    value.as_bool().ok_or_else(|| wrong(value, "true or false"))
}

/// One of two words, where the policy keeps a flag.
pub(crate) fn either(yes: &'static str, no: &'static str) -> impl Fn(&Value) -> Read<bool> {
    move |value| match value.as_str() {
        Some(word) if word == yes => Ok(true),
        Some(word) if word == no => Ok(false),
        Some(_) | None => Err(wrong(value, format_args!("one of {yes}, {no}"))),
    }
}

/// A whole number within bounds.
pub(crate) fn integer<T: TryFrom<u64> + Copy + PartialOrd + fmt::Display>(
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
pub(crate) fn span(value: &Value) -> Read<Duration> {
    let found = value
        .as_str()
        .and_then(duration::parse)
        .filter(|span| !span.is_zero());
    found.ok_or_else(|| wrong(value, format_args!("{} and above zero", duration::FORM)))
}

/// One of the words of a choice.
///
/// # Errors
/// What was found, and all words.
pub fn word<T: Word>(value: &Value) -> Read<T> {
    value
        .as_str()
        .and_then(T::named)
        .ok_or_else(|| wrong(value, format_args!("one of {}", T::all_words())))
}

/// A list of words, each once.
pub(crate) fn word_list<T: Word + PartialEq>(value: &Value) -> Read<Vec<T>> {
    list(word::<T>)(value)
}

/// A list without doubles. A fault in an element is the list's.
pub fn list<T: PartialEq>(element: impl Fn(&Value) -> Read<T>) -> impl Fn(&Value) -> Read<Vec<T>> {
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

/// A value, or the word for none.
pub(crate) fn or_none<T>(read: impl Fn(&Value) -> Read<T>) -> impl Fn(&Value) -> Read<Option<T>> {
    move |value| match value.as_str() {
        Some(NONE) => Ok(None),
        Some(_) | None => read(value).map(Some),
    }
}

/// The name of something: of a limit, or of a factor.
pub(crate) fn name(value: &Value) -> Read<String> {
    match value.as_str() {
        Some(text) if is_name(text) => Ok(text.to_owned()),
        _ => Err(wrong(value, "a name of 1 to 64 characters of a-z A-Z 0-9 . _ -")),
    }
}

/// Whether a text can name a limit, a factor or a field.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The name of an environment variable. What stands there instead may be the secret: it is not repeated.
///
/// # Errors
/// The kind of what was found, and what would do.
pub fn env_name(value: &Value) -> Read<String> {
    let wanted = "the name of an environment variable (letters, digits and _), never the secret itself,";
    unshown_text(value, wanted, |text| {
        (1..=128).contains(&text.len())
            && !text.starts_with(|first: char| first.is_ascii_digit())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}
