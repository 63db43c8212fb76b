//! From text to values: TOML and JSON, with doubled keys refused in both.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::errors::PolicyErrors;
use super::values::wrong;

/// The values of a TOML text.
#[cfg(feature = "toml")]
pub(crate) fn toml(text: &str) -> Result<Map<String, Value>, PolicyErrors> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        // The error's own text quotes the line, and the line may hold a destination.
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map(|before| before.matches('\n').count() + 1);
        let place = line.map_or_else(String::new, |line| format!(" in line {line}"));
        PolicyErrors::of_file(format!(
            "found no TOML{place}: {}",
            error.message().replace('\n', "; ")
        ))
    })?;
    Ok(from_toml(&table))
}

/// The values of a JSON text.
pub(crate) fn json(text: &str) -> Result<Map<String, Value>, PolicyErrors> {
    // Some editors put a mark of the encoding in front, which TOML allows.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Doubtless(value) = serde_json::from_str(text)
        .map_err(|error| PolicyErrors::of_file(format!("found no JSON that will do: {error}")))?;
    object(value)
}

/// The table that a file must be.
pub(crate) fn object(value: Value) -> Result<Map<String, Value>, PolicyErrors> {
    match value {
        Value::Object(entries) => Ok(entries),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(PolicyErrors::of_file(wrong(&other, "a table of sections")))
        }
    }
}

/// The values of a TOML table; dates become texts.
#[cfg(feature = "toml")]
pub(crate) fn from_toml(table: &toml::Table) -> Map<String, Value> {
    table
        .iter()
        .map(|(key, value)| (key.clone(), value_of(value)))
        .collect()
}

#[cfg(feature = "toml")]
fn value_of(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(flag) => Value::from(*flag),
        toml::Value::Datetime(date) => Value::from(date.to_string()),
        toml::Value::Array(list) => list.iter().map(value_of).collect(),
        toml::Value::Table(table) => Value::Object(from_toml(table)),
    }
}

/// A JSON value in which no key stands twice. Plain JSON readers take the last of two, and a cap written before a
/// forgotten second one would silently be gone.
struct Doubtless(Value);

impl<'de> Deserialize<'de> for Doubtless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DoubtlessVisitor).map(Self)
    }
}

struct DoubtlessVisitor;

impl<'de> Visitor<'de> for DoubtlessVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::from(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Doubtless(value)) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some((key, Doubtless(value))) = map.next_entry::<String, _>()? {
            if entries.contains_key(&key) {
                return Err(A::Error::custom(format_args!(
                    "found the key \"{key}\" twice; once would do"
                )));
            }
            entries.insert(key, value);
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_a_fault_in_both_forms() {
        assert!(
            json(r#"{"code": {"length": 6, "length": 7}}"#)
                .unwrap_err()
                .to_string()
                .contains("\"length\" twice")
        );
        assert!(
            toml("[code]\nlength = 6\nlength = 7")
                .unwrap_err()
                .to_string()
                .contains("in line 3")
        );
    }

    #[test]
    fn a_syntax_error_does_not_quote_the_line() {
        let error = toml("[[tests.destination]]\nto = \"+12025550190\" oops")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("2025550190"), "{error}");
    }

    #[test]
    fn a_file_is_a_table() {
        assert!(json("[1]").is_err());
        assert!(json("{").is_err());
        assert!(json("{}").unwrap().is_empty());
    }
}
