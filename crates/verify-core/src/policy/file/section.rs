//! Walks the sections of a policy file and keeps every fault, with the path of its key.
//!
//! A section remembers which keys it was asked for: the others are unknown, and unknown keys are faults. Keys may be
//! written in snake_case or camelCase; names that the writer chooses (services, limits) are taken as they stand.

use serde_json::{Map, Value};

use super::money;
use super::report::Report;
use super::values::{MOST_UNITS, Read, describe, wrong};

/// A table of the file, while it is read.
pub struct Section<'v, 'r> {
    path: String,
    entries: &'v Map<String, Value>,
    known: Vec<String>,
    report: &'r mut Report,
}

impl<'v, 'r> Section<'v, 'r> {
    /// Reads a table; whatever nobody asked for is a fault.
    pub(crate) fn visit(
        path: impl Into<String>,
        entries: &'v Map<String, Value>,
        report: &'r mut Report,
        read: impl FnOnce(&mut Section<'v, 'r>),
    ) {
        let mut section = Self::at(path.into(), entries, report);
        read(&mut section);
        section.fault_unknown_keys();
    }

    /// Reads keys of a table that is visited later.
    pub(crate) fn claim(
        path: &str,
        entries: &'v Map<String, Value>,
        report: &'r mut Report,
        read: impl FnOnce(&mut Section<'v, 'r>),
    ) {
        let mut section = Self::at(path.to_owned(), entries, report);
        let before = section.known.len();
        read(&mut section);
        for key in section.known.iter().skip(before) {
            if let Some(value) = Self::spelled(entries, key) {
                section
                    .report
                    .claimed_values
                    .push((join(path, key), value.clone()));
            }
        }
        section.report.claim(section.path, section.known);
    }

    fn at(path: String, entries: &'v Map<String, Value>, report: &'r mut Report) -> Self {
        Self {
            known: report.claimed(&path),
            path,
            entries,
            report,
        }
    }

    /// The path of a key of this section.
    pub(crate) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// What was found so far.
    pub(crate) fn report(&mut self) -> &mut Report {
        self.report
    }

    /// Notes a fault of one of this section's keys.
    pub fn fault(&mut self, key: &str, message: impl Into<String>) {
        let path = self.path_of(key);
        self.report.fault(path, message);
    }

    /// Notes what is allowed of one of this section's keys, and worth a line at start.
    pub fn warning(&mut self, key: &str, message: impl Into<String>) {
        let path = self.path_of(key);
        self.report.warning(path, message);
    }

    /// The value of a key, which is known from now on.
    pub fn value(&mut self, key: &str) -> Option<&'v Value> {
        self.known.push(key.to_owned());
        let other = camel_case(key);
        if other != key && self.entries.contains_key(key) && self.entries.contains_key(&other) {
            self.fault(key, format!("found it twice, also as {other}; once would do"));
        }
        Self::spelled(self.entries, key)
    }

    /// Whether a key is given.
    pub(crate) fn has(&self, key: &str) -> bool {
        Self::spelled(self.entries, key).is_some()
    }

    /// The value of a key in either spelling.
    pub(crate) fn spelled(entries: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
        entries.get(key).or_else(|| entries.get(&camel_case(key)))
    }

    /// The entries that nobody asked for by name: here the writer chooses the names.
    pub fn rest(&mut self) -> Vec<(&'v str, &'v Value)> {
        let rest: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, _)| !self.is_known(key))
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        self.known.extend(rest.iter().map(|(key, _)| (*key).to_owned()));
        rest
    }

    /// Reads a key into its place. True when it was given and will do; else the place keeps what it had.
    pub(crate) fn set<T>(
        &mut self,
        key: &str,
        place: &mut T,
        read: impl FnOnce(&'v Value) -> Read<T>,
    ) -> bool {
        match self.value(key).map(read) {
            Some(Ok(value)) => {
                *place = value;
                true
            }
            Some(Err(message)) => {
                self.fault(key, message);
                false
            }
            None => false,
        }
    }

    /// Reads a key that has no default.
    pub fn optional<T>(&mut self, key: &str, read: impl FnOnce(&'v Value) -> Read<T>) -> Option<T> {
        let mut place = None;
        self.set(key, &mut place, |value| read(value).map(Some));
        place
    }

    /// Reads the table under a key, if there is one.
    pub fn within(&mut self, key: &str, read: impl FnOnce(&mut Section<'v, '_>)) {
        if let Some(value) = self.value(key) {
            self.table(key, value, read);
        }
    }

    /// Whatever nobody asked for in the table under a key is a fault, unless the table was visited already.
    pub(crate) fn nothing_else_within(&mut self, key: &str) {
        if !self.is_known(key) {
            self.within(key, |_| {});
        }
    }

    /// Reads a value of this section as a table.
    pub(crate) fn table(&mut self, key: &str, value: &'v Value, read: impl FnOnce(&mut Section<'v, '_>)) {
        let path = self.path_of(key);
        self.table_at(&path, value, read);
    }

    /// Reads a value as a table with a path of its own.
    pub(crate) fn table_at(&mut self, path: &str, value: &'v Value, read: impl FnOnce(&mut Section<'v, '_>)) {
        match value.as_object() {
            Some(entries) => Section::visit(path, entries, self.report, read),
            None => self.report.fault(path, wrong(value, "a table")),
        }
    }

    /// The tables in the list under a key; `None` when the key is not given.
    pub(crate) fn tables(&mut self, key: &str) -> Option<&'v [Value]> {
        let value = self.value(key)?;
        let tables = value.as_array();
        if tables.is_none() {
            self.fault(key, wrong(value, "a list of tables"));
        }
        tables.map(Vec::as_slice)
    }

    /// Reads the tables in the list under a key, each by its place in the list; `None` when the key is not given.
    pub(crate) fn list_of<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&mut Section<'v, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let path = self.path_of(key);
        let mut found = Vec::new();
        for (index, table) in self.tables(key)?.iter().enumerate() {
            self.table_at(&format!("{path}[{index}]"), table, |entry| {
                found.extend(read(entry))
            });
        }
        Some(found)
    }

    /// An amount of money, in micros, in the one currency of the file. Without one, the fault is noted.
    pub(crate) fn amount(&mut self, key: &str, value: &Value) -> Option<u64> {
        let Some((micros, currency)) = value.as_str().and_then(money::parse) else {
            self.fault(key, wrong(value, money::FORM));
            return None;
        };
        let first = self.report.currency.get_or_insert_with(|| currency.to_owned());
        if first != currency {
            let message = format!("found {currency}; a file has one currency, and {first} was named before");
            self.fault(key, message);
            return None;
        }
        if micros > MOST_UNITS {
            self.fault(key, wrong(value, money::at_most(Some(currency))));
            return None;
        }
        Some(micros)
    }

    fn is_known(&self, key: &str) -> bool {
        self.known
            .iter()
            .any(|known| known == key || camel_case(known) == key)
    }

    fn fault_unknown_keys(mut self) {
        let mut known = self.known.clone();
        known.sort_unstable();
        known.dedup();
        let unknown: Vec<_> = self.entries.keys().filter(|key| !self.is_known(key)).collect();
        for key in unknown {
            self.fault(key, format!("unknown key; known here: {}", known.join(", ")));
        }
    }
}

/// A key's path. A key that is more than a bare word stands in quotes.
pub(crate) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let key = if bare {
        key.to_owned()
    } else {
        describe(&Value::from(key))
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

/// `service_sid` as `serviceSid`.
pub(crate) fn camel_case(key: &str) -> String {
    let mut words = key.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::file::{flag, integer};

    fn read(value: &Value, read: impl FnOnce(&mut Section<'_, '_>)) -> Vec<String> {
        let mut report = Report::default();
        Section::visit("", value.as_object().unwrap(), &mut report, read);
        report.into_warnings().map_or_else(
            |errors| errors.to_string().lines().map(str::to_owned).collect(),
            |_| Vec::new(),
        )
    }

    #[test]
    fn both_spellings_of_a_key_are_known_but_not_at_once() {
        let mut length = 0_u8;
        let mut faults = |value: Value| {
            read(&value, |root| {
                root.set("code_length", &mut length, integer(0..=9));
            })
        };
        assert!(faults(serde_json::json!({ "codeLength": 7 })).is_empty());
        assert_eq!(
            faults(serde_json::json!({ "codeLength": 7, "code_length": 8 })),
            ["code_length: found it twice, also as codeLength; once would do"]
        );
        assert_eq!(length, 8, "each was read");
    }

    #[test]
    fn a_fault_leaves_the_place_alone_and_names_the_path() {
        let mut on = true;
        let faults = read(
            &serde_json::json!({ "a": { "b.c": { "on": 1 } }, "x": 2 }),
            |root| {
                root.within("a", |a| {
                    a.within("b.c", |inner| {
                        inner.set("on", &mut on, flag);
                    });
                });
            },
        );
        assert!(on);
        assert_eq!(
            faults,
            [
                "a.\"b.c\".on: found 1; true or false would do",
                "x: unknown key; known here: a"
            ]
        );
    }
}
