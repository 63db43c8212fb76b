//! From a file to policies: the reading as a whole.

use std::fmt;

use serde_json::{Map, Value};

use super::file::errors::PolicyErrors;
use super::file::{Report, Section, Word, join, source, wrong};
use super::{BackendKeys, PolicySet, owner};
use crate::vocabulary::{Purpose, ServiceId};

/// The version of the policy file.
pub(super) const VERSION: u64 = 1;

/// What a policy file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The policies.
    pub policies: PolicySet,
    /// What is allowed and worth a line at start: caps that were turned off, countries without numbers.
    pub warnings: Vec<String>,
}

/// Whose keys they are that stand beside a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A service's.
    Service(&'a ServiceId),
    /// A purpose's, at every service.
    Purpose(Purpose),
    /// A purpose's at one service.
    PurposeOfService(&'a ServiceId, Purpose),
}

/// A policy file that is not read yet. Whoever has sections or keys of their own in it reads them first; what nobody asked
/// for is unknown in the end.
///
/// What such a reader finds wrong is not answered by it but kept here, and comes with all faults of the policy out of
/// [`policies`](Self::policies). What it read is worth nothing until then.
///
/// ```
/// use verify_core::policy::PolicyFile;
/// use verify_core::policy::file::env_name;
///
/// let text = "[mailer]\npassword_env = \"MAIL_PASSWORD\"\n[code]\nlength = 8";
/// let mut file = PolicyFile::from_toml(text)?;
/// let mut password = None;
/// file.section("mailer", |mailer| password = mailer.optional("password_env", env_name));
/// let loaded = file.policies()?;
/// assert_eq!(loaded.policies.default.code.length, 8);
/// assert_eq!(password.as_deref(), Some("MAIL_PASSWORD"));
///
/// let errors = PolicyFile::from_toml(text)?.policies().unwrap_err();
/// assert_eq!(errors.faults().next().unwrap().0, "mailer"); // nobody asked for it
/// # Ok::<(), verify_core::policy::PolicyErrors>(())
/// ```
#[must_use = "what is wrong with the file comes out of `policies`"]
pub struct PolicyFile {
    root: Map<String, Value>,
    sections: Vec<String>,
    backends: Vec<BackendKeys>,
    report: Report,
}

impl PolicyFile {
    /// A TOML text.
    ///
    /// # Errors
    /// [`PolicyErrors`] when it is none.
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self, PolicyErrors> {
        source::toml(text).map(Self::new)
    }

    /// A JSON text. A key that stands twice in an object is a fault.
    ///
    /// # Errors
    /// [`PolicyErrors`] when it is none.
    pub fn from_json(text: &str) -> Result<Self, PolicyErrors> {
        source::json(text).map(Self::new)
    }

    /// A value that was parsed already.
    ///
    /// # Errors
    /// [`PolicyErrors`] when it is no table.
    pub fn from_value(value: Value) -> Result<Self, PolicyErrors> {
        source::object(value).map(Self::new)
    }

    /// A TOML table that was parsed already.
    #[cfg(feature = "toml")]
    pub fn from_table(table: &toml::Table) -> Self {
        Self::new(source::from_toml(table))
    }

    /// True when nothing stands in it.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    fn new(root: Map<String, Value>) -> Self {
        Self {
            root,
            sections: Vec::new(),
            backends: Vec::new(),
            report: Report::default(),
        }
    }

    /// Reads a section that is no policy, or keys in a section that has others too. It is not called when there is no such
    /// section; several may read one, each its keys.
    pub fn section(&mut self, name: &str, read: impl FnOnce(&mut Section<'_, '_>)) {
        self.sections.push(name.to_owned());
        let entries = Section::spelled(&self.root, name).and_then(Value::as_object);
        if let Some(entries) = entries {
            Section::claim(name, entries, &mut self.report, read);
        }
    }

    /// Reads, with the others, what is a backend's: no engine is built from the policies until the backend was, by what
    /// `built_by` names in messages. That says so with [`PolicySet::take_up`].
    pub fn backend(&mut self, of: &'static str, built_by: &'static str, read: impl FnOnce(&mut Self)) {
        let before = self.report.claimed_values.len();
        read(self);
        let values = self.report.claimed_values.split_off(before);
        if !values.is_empty() {
            self.backends.push(BackendKeys::new(of, built_by, values));
        }
    }

    /// Reads keys beside the policy of each service, of each purpose, and of each purpose of a service.
    pub fn services_and_purposes(&mut self, mut read: impl FnMut(Place<'_>, &mut Section<'_, '_>)) {
        let Self { root, report, .. } = self;
        for (name, entries) in tables(root, "purposes") {
            // A name that is no purpose's, or no service's, is the policy's to fault.
            if let Some(purpose) = Purpose::named(name) {
                let path = join("purposes", name);
                let place = Place::Purpose(purpose);
                Section::claim(&path, entries, report, |section| read(place, section));
            }
        }
        for (name, entries) in tables(root, "services") {
            let Ok(id) = ServiceId::new(name) else { continue };
            let path = join("services", name);
            Section::claim(&path, entries, report, |section| {
                read(Place::Service(&id), section)
            });
            let path = join(&path, "purposes");
            for (name, entries) in tables(entries, "purposes") {
                if let Some(purpose) = Purpose::named(name) {
                    let path = join(&path, name);
                    let place = Place::PurposeOfService(&id, purpose);
                    Section::claim(&path, entries, report, |section| read(place, section));
                }
            }
        }
    }

    /// The policies, once everybody else has read what is theirs.
    ///
    /// # Errors
    /// [`PolicyErrors`] with every fault there is, those of other readers among them: unknown keys, wrong types, values out
    /// of bounds, impossible combinations. Nothing of a faulty file is used.
    pub fn policies(self) -> Result<Loaded, PolicyErrors> {
        let Self {
            mut root,
            sections,
            backends,
            mut report,
        } = self;
        owner::translate(&mut root, &mut report);
        let mut policies = PolicySet::default();
        Section::visit("", &root, &mut report, |root| {
            root.optional("version", |value| match value.as_u64() {
                Some(VERSION) => Ok(()),
                Some(_) | None => Err(wrong(value, VERSION)),
            });
            policies = PolicySet::read(root);
            for name in sections
                .iter()
                .filter(|name| !owner::SECTIONS.contains(&name.as_str()))
            {
                root.nothing_else_within(name);
            }
        });
        policies.backends = backends;
        policies.name_currency(report.currency.as_deref());
        report.absorb("", policies.report(), &Report::default());
        Ok(Loaded {
            policies,
            warnings: report.into_warnings()?,
        })
    }
}

impl fmt::Debug for PolicyFile {
    /// Nothing of what stands in it: it may have destinations and codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyFile").finish_non_exhaustive()
    }
}

/// The tables within a table, by their names.
fn tables<'v>(
    entries: &'v Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = (&'v str, &'v Map<String, Value>)> {
    let table = entries.get(key).and_then(Value::as_object);
    let named = table.into_iter().flatten();
    named.filter_map(|(name, value)| Some((name.as_str(), value.as_object()?)))
}

impl PolicySet {
    /// The policies of a TOML text that holds nothing else; see [`PolicyFile`] for one that does.
    ///
    /// # Errors
    /// As [`PolicyFile::policies`].
    ///
    /// ```
    /// use verify_core::policy::PolicySet;
    ///
    /// let loaded = PolicySet::from_toml("[code]\nlength = 8")?;
    /// assert_eq!(loaded.policies.default.code.length, 8);
    ///
    /// let errors = PolicySet::from_toml("[code]\nlenght = 8").unwrap_err();
    /// assert_eq!(errors.faults().next().unwrap().0, "code.lenght");
    /// # Ok::<(), verify_core::policy::PolicyErrors>(())
    /// ```
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Loaded, PolicyErrors> {
        PolicyFile::from_toml(text)?.policies()
    }

    /// The policies of a JSON text that holds nothing else. A key that stands twice in an object is a fault.
    ///
    /// # Errors
    /// As [`PolicyFile::policies`].
    pub fn from_json(text: &str) -> Result<Loaded, PolicyErrors> {
        PolicyFile::from_json(text)?.policies()
    }
}
