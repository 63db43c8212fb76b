//! From a file to policies: the reading as a whole.

use serde_json::{Map, Value};

use super::file::{PolicyErrors, Report, Section, source, wrong};
use super::host::{HostSettings, read_host};
use super::{PolicySet, owner};

/// The version of the policy file.
pub(super) const VERSION: u64 = 1;

/// What a policy file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The policies.
    pub policies: PolicySet,
    /// What is not policy.
    pub host: HostSettings,
    /// What is allowed and worth a line at start: caps that were turned off, a SID of another length.
    pub warnings: Vec<String>,
    /// The sections that the caller said are its own, as they stand in the file; those that are missing are absent.
    pub own_sections: Map<String, Value>,
}

impl PolicySet {
    /// The policies of a TOML text.
    ///
    /// # Errors
    /// [`PolicyErrors`] with every fault there is: unknown keys, wrong types, values out of bounds, impossible
    /// combinations. Nothing of a faulty file is used.
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
    pub fn from_toml(text: &str) -> Result<Loaded, PolicyErrors> {
        Self::from_toml_with(text, &[])
    }

    /// The policies of a JSON text. A key that stands twice in an object is a fault.
    ///
    /// # Errors
    /// As [`PolicySet::from_toml`].
    pub fn from_json(text: &str) -> Result<Loaded, PolicyErrors> {
        Self::from_json_with(text, &[])
    }

    /// The policies of a TOML text that also holds sections of the caller, named by `own_sections`: they are not
    /// read but handed back.
    ///
    /// # Errors
    /// As [`PolicySet::from_toml`].
    pub fn from_toml_with(text: &str, own_sections: &[&str]) -> Result<Loaded, PolicyErrors> {
        load(source::toml(text)?, own_sections)
    }

    /// The policies of a JSON text that also holds sections of the caller.
    ///
    /// # Errors
    /// As [`PolicySet::from_toml`].
    pub fn from_json_with(text: &str, own_sections: &[&str]) -> Result<Loaded, PolicyErrors> {
        load(source::json(text)?, own_sections)
    }

    /// The policies of a value that was parsed already.
    ///
    /// # Errors
    /// As [`PolicySet::from_toml`].
    pub fn from_value(value: Value, own_sections: &[&str]) -> Result<Loaded, PolicyErrors> {
        load(source::object(value)?, own_sections)
    }

    /// The policies of a TOML table that was parsed already.
    ///
    /// # Errors
    /// As [`PolicySet::from_toml`].
    pub fn from_table(table: &toml::Table, own_sections: &[&str]) -> Result<Loaded, PolicyErrors> {
        load(source::from_toml(table), own_sections)
    }
}

fn load(mut root: Map<String, Value>, own_sections: &[&str]) -> Result<Loaded, PolicyErrors> {
    let own_sections = own_sections
        .iter()
        .filter_map(|name| root.remove(*name).map(|section| ((*name).to_owned(), section)))
        .collect();
    let mut report = Report::default();
    let mut host = HostSettings::default();
    owner::translate(&mut root, &mut host.verify_services, &mut report);
    let mut policies = PolicySet::default();
    Section::visit("", &root, &mut report, |root| {
        root.optional("version", |value| match value.as_u64() {
            Some(VERSION) => Ok(()),
            Some(_) | None => Err(wrong(value, VERSION)),
        });
        read_host(root, &mut host);
        policies = PolicySet::read(root, &mut |service, purpose, section| {
            host.verify_services.read(service, purpose, section);
        });
    });
    policies.name_currency(report.currency.as_deref());
    report.absorb("", policies.report(), &Report::default());
    Ok(Loaded {
        policies,
        host,
        warnings: report.into_warnings()?,
        own_sections,
    })
}
