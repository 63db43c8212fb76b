//! What a policy file says beside the policy for a backend, such as Twilio: it has an effect where that backend is built from
//! it, and nowhere else.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::PolicySet;

/// The keys that one backend has in a policy file. An engine is not built from policies whose file says something of a
/// backend that nobody built: it would have no effect, and nobody would know.
#[derive(Clone, PartialEq)]
pub struct BackendKeys {
    /// Whose they are, such as `twilio`.
    pub of: &'static str,
    /// What builds the backend from them, for messages.
    pub built_by: &'static str,
    /// Whether that was called.
    pub taken_up: bool,
    values: BTreeMap<String, Value>,
}

impl BackendKeys {
    pub(super) fn new(
        of: &'static str,
        built_by: &'static str,
        values: impl IntoIterator<Item = (String, Value)>,
    ) -> Self {
        Self {
            of,
            built_by,
            taken_up: false,
            values: values.into_iter().collect(),
        }
    }

    /// The paths of the keys, each with a comma in between.
    pub fn paths(&self) -> String {
        let paths: Vec<&str> = self.values.keys().map(String::as_str).collect();
        paths.join(", ")
    }

    /// True when the other one says the same of the same backend.
    pub fn says_as(&self, other: &Self) -> bool {
        self.of == other.of && self.values == other.values
    }
}

impl fmt::Debug for BackendKeys {
    /// The keys without what stands there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendKeys")
            .field("of", &self.of)
            .field("taken_up", &self.taken_up)
            .field("paths", &self.paths())
            .finish_non_exhaustive()
    }
}

impl PolicySet {
    /// Says that a backend was built from what the file says of it. It is for what builds one, and called by nobody else.
    pub fn take_up(&mut self, of: &str) {
        for keys in self.backends.iter_mut().filter(|keys| keys.of == of) {
            keys.taken_up = true;
        }
    }
}
