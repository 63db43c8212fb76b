//! What is wrong with a policy: every fault at once, each with the path of its key.

use std::fmt;

/// All that is wrong with a policy. Never empty.
///
/// Printed, it has one fault a line: the key's path, what was found, and what would do. Test destinations,
/// their codes and what stands where the name of a secret was expected are never repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors {
    faults: Vec<Fault>,
}

impl PolicyErrors {
    /// The faults in the order of reading: the path of the key (empty for the file itself), and what is wrong.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.faults
            .iter()
            .map(|fault| (fault.key.as_str(), fault.message.as_str()))
    }

    /// The errors, or nothing when there are none.
    pub(crate) fn unless_none(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Self { faults })
        }
    }

    /// One fault of the file itself.
    pub(crate) fn of_file(message: impl Into<String>) -> Self {
        Self {
            faults: vec![Fault {
                key: String::new(),
                message: message.into(),
            }],
        }
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// A key's path and a sentence about it: a fault, or a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) key: String,
    pub(crate) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_empty() {
            "the policy file"
        } else {
            &self.key
        };
        write!(f, "{key}: {}", self.message)
    }
}
