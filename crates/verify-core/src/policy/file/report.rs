//! What is found in a policy on the way: faults and warnings, each under the key that the writer of the file knows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::errors::{Fault, PolicyErrors};

/// What was found so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// What is wrong.
    faults: Vec<Fault>,
    /// What is allowed, and worth a line at start.
    warnings: Vec<Fault>,
    /// The one currency of the file.
    pub(crate) currency: Option<String>,
    /// Where a key really stands, by where it was moved to.
    spelled: BTreeMap<String, String>,
    /// Keys that are no policy and were read already, by the path of their section.
    claimed: BTreeMap<String, Vec<String>>,
    /// What stands at those that were found, by the path of the key.
    pub(crate) claimed_values: Vec<(String, Value)>,
}

impl Report {
    /// Notes what is wrong with a key.
    pub(crate) fn fault(&mut self, key: impl AsRef<str>, message: impl Into<String>) {
        let fault = self.on(key.as_ref(), message.into());
        self.faults.push(fault);
    }

    /// Notes what is allowed and worth a line at start.
    pub(crate) fn warning(&mut self, key: impl AsRef<str>, message: impl Into<String>) {
        let warning = self.on(key.as_ref(), message.into());
        self.warnings.push(warning);
    }

    fn on(&self, key: &str, message: String) -> Fault {
        let key = self.spelled.get(key).map_or(key, String::as_str).to_owned();
        Fault { key, message }
    }

    /// Remembers that what is read at `key` is written at `written`.
    pub(crate) fn moved(&mut self, key: impl Into<String>, written: impl Into<String>) {
        self.spelled.insert(key.into(), written.into());
    }

    /// Remembers that these keys of a section are known.
    pub(crate) fn claim(&mut self, path: String, keys: Vec<String>) {
        self.claimed.insert(path, keys);
    }

    /// The keys of a section that are known already.
    pub(crate) fn claimed(&self, path: &str) -> Vec<String> {
        self.claimed.get(path).cloned().unwrap_or_default()
    }

    /// Adds what was found under a path (`services.acme.`, or none), but for what was found in what it inherits from.
    pub(crate) fn absorb(&mut self, path: &str, own: Self, inherited: &Self) {
        for fault in own.faults {
            if !inherited.faults.contains(&fault) {
                self.fault(format!("{path}{}", fault.key), fault.message);
            }
        }
        for warning in own.warnings {
            if !inherited.warnings.contains(&warning) {
                self.warning(format!("{path}{}", warning.key), warning.message);
            }
        }
    }

    /// The warnings, as lines.
    ///
    /// # Errors
    /// All faults, if there are any.
    pub(crate) fn into_warnings(self) -> Result<Vec<String>, PolicyErrors> {
        PolicyErrors::unless_none(self.faults)?;
        Ok(self.warnings.iter().map(ToString::to_string).collect())
    }
}
