//! What differs between two sets of policies, for a log.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::PolicySet;
use super::file::{join, source};

/// Under it stand somebody's destination and code.
const TESTS: &str = "tests.destination";

impl PolicySet {
    /// What is different from `before`, by path: what it is and what it was, a line each, in the words of a file. Of a
    /// service what differs from the default policy is compared. Neither a destination nor a code is in them.
    ///
    /// ```
    /// use verify_core::policy::PolicySet;
    ///
    /// let before = PolicySet::default();
    /// let after = PolicySet::from_toml("[code]\nlength = 8")?.policies;
    /// assert_eq!(after.changes_from(&before), ["code.length: 8, and it was 6"]);
    /// # Ok::<(), verify_core::policy::PolicyErrors>(())
    /// ```
    pub fn changes_from(&self, before: &Self) -> Vec<String> {
        let (now, before) = (flat(self), flat(before));
        let gone = before.keys().filter(|path| !now.contains_key(*path));
        let mut changes = Vec::new();
        for path in now.keys().chain(gone) {
            let (now, was) = (now.get(path), before.get(path));
            if now == was {
                continue;
            }
            let text = |value: Option<&String>| value.map_or("nothing", String::as_str).to_owned();
            changes.push(if path.contains(TESTS) {
                format!("{path}: changed")
            } else {
                format!("{path}: {}, and it was {}", text(now), text(was))
            });
        }
        changes
    }
}

/// Each value by its path.
fn flat(policies: &PolicySet) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    // What is printed is TOML, or it was built in code and would not pass a check.
    if let Ok(root) = source::toml(&policies.to_toml()) {
        flatten("", &root, &mut values);
    }
    values
}

fn flatten(path: &str, entries: &Map<String, Value>, values: &mut BTreeMap<String, String>) {
    for (key, value) in entries {
        let path = join(path, key);
        match value {
            Value::Object(entries) => flatten(&path, entries, values),
            Value::Array(list) if list.iter().any(Value::is_object) => {
                for (index, entry) in list.iter().enumerate() {
                    let entries = entry.as_object().cloned().unwrap_or_default();
                    let name = ["name", "cidr"]
                        .iter()
                        .find_map(|key| entries.get(*key)?.as_str());
                    let path = name.map_or_else(|| format!("{path}[{index}]"), |name| join(&path, name));
                    flatten(&path, &entries, values);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                values.insert(path, value.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(before: &str, after: &str) -> Vec<String> {
        let policies = |text| PolicySet::from_toml(text).unwrap().policies;
        policies(after).changes_from(&policies(before))
    }

    #[test]
    fn each_value_that_differs_is_named_once() {
        assert!(changes("[code]\nlength = 6", "").is_empty());
        let limit = "[[limit]]\nname = \"mine\"\ncounts = \"sends\"\nby = [\"ip\"]\nmax = 1\nper = \"1h\"";
        let found = changes("", limit);
        assert!(
            found.contains(&"limit.mine.max: 1, and it was nothing".to_owned()),
            "{found:?}"
        );
        let found = changes("", "[services.shop.code]\nlength = 8");
        assert!(
            found.contains(&"services.shop.code.length: 8, and it was nothing".to_owned()),
            "{found:?}"
        );
        assert_eq!(
            changes("", "[[limit]]\nname = \"sends_per_ip\"\nmax = 7"),
            ["limit.sends_per_ip.max: 7, and it was 5"]
        );
    }

    #[test]
    fn i20_no_destination_and_no_code_is_named() {
        let test = "[[tests.destination]]\nto = \"+12025550199\"\ncode = \"424242\"\nuntil = \"2099-01-01\"";
        for found in [changes("", test), changes(test, "")] {
            let text = found.join("\n");
            assert!(text.contains("tests.destination[0].to: changed"), "{text}");
            assert!(!text.contains("424242") && !text.contains("5550199"), "{text}");
        }
    }
}
