//! From a file to policies: the reading as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::check;
use super::errors::{Fault, PolicyErrors};
use super::host::{HostSettings, read_host, read_verify_service};
use super::owner;
use super::reader::{Report, Section};
use super::sections::{read_policy, read_purpose};
use super::values::wrong;
use super::{Policy, PolicySet, PurposeRules, source, words};
use crate::vocabulary::{Purpose, ServiceId};

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

    /// Checks policies that were built in code as strictly as those of a file; answers what is worth a warning.
    ///
    /// # Errors
    /// [`PolicyErrors`] with every value out of bounds and every impossible combination.
    pub fn check(&self) -> Result<Vec<String>, PolicyErrors> {
        let found = check::check(self);
        PolicyErrors::unless_none(found.faults)?;
        Ok(lines(&found.warnings))
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
        policies = read_root(root, &mut host)
    });
    name_currency(&mut policies, report.currency.as_deref());

    let found = check::check(&policies);
    for fault in found.faults {
        report.fault(&fault.key, fault.message);
    }
    for warning in found.warnings {
        report.warning(&warning.key, warning.message);
    }
    PolicyErrors::unless_none(report.faults)?;
    Ok(Loaded {
        policies,
        host,
        warnings: lines(&report.warnings),
        own_sections,
    })
}

fn lines(warnings: &[Fault]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}

fn read_root(root: &mut Section<'_, '_>, host: &mut HostSettings) -> PolicySet {
    root.optional("version", |value| match value.as_u64() {
        Some(VERSION) => Ok(()),
        Some(_) | None => Err(wrong(value, VERSION)),
    });
    read_host(root, host);
    let mut base = Policy::default();
    read_policy(root, &mut base);

    let root_purposes = root.value("purposes");
    let mut default = base.clone();
    let sids = &mut host.verify_services;
    read_purposes(root, &mut default, |purpose, sid| {
        drop(sids.purposes.insert(purpose, sid))
    });

    let mut services = BTreeMap::new();
    root.within("services", |section| {
        for (key, value) in section.rest() {
            let Ok(id) = ServiceId::new(key) else {
                section.fault(
                    key,
                    "found no service id; 1 to 64 characters of a-z A-Z 0-9 . _ - would do",
                );
                continue;
            };
            section.table(key, value, |section| {
                let mut policy = base.clone();
                read_policy(section, &mut policy);
                inherit_purposes(root_purposes, &mut policy);
                if let Some(sid) = read_verify_service(section, "verify_service_sid") {
                    sids.services.insert(id.clone(), sid);
                }
                read_purposes(section, &mut policy, |purpose, sid| {
                    sids.service_purposes.insert((id.clone(), purpose), sid);
                });
                services.insert(id, Arc::new(policy));
            });
        }
    });
    PolicySet {
        default: Arc::new(default),
        services,
    }
}

/// Reads the file's purposes once more, over a service's rules. Their faults were noted the first time.
fn inherit_purposes(root_purposes: Option<&Value>, policy: &mut Policy) {
    let Some(purposes) = root_purposes.and_then(Value::as_object) else {
        return;
    };
    let mut noted_already = Report::default();
    Section::visit("purposes", purposes, &mut noted_already, |section| {
        read_each_purpose(section, policy, &mut |_, _| {});
    });
}

fn read_purposes(
    section: &mut Section<'_, '_>,
    policy: &mut Policy,
    mut sid_of: impl FnMut(Purpose, String),
) {
    section.within("purposes", |purposes| {
        read_each_purpose(purposes, policy, &mut sid_of)
    });
}

fn read_each_purpose(
    purposes: &mut Section<'_, '_>,
    policy: &mut Policy,
    sid_of: &mut dyn FnMut(Purpose, String),
) {
    for (key, value) in purposes.rest() {
        let Some(purpose) = words::named::<Purpose>(key) else {
            purposes.fault(
                key,
                format!("found no purpose; one of {} would do", words::all::<Purpose>()),
            );
            continue;
        };
        let inherited = PurposeRules {
            code: policy.code.clone(),
            channels: policy.channels.clone(),
            risk: policy.risk.clone(),
        };
        let rules = policy.purposes.entry(purpose).or_insert(inherited);
        purposes.table(key, value, |section| {
            read_purpose(section, rules);
            if let Some(sid) = read_verify_service(section, "verify_service_sid") {
                sid_of(purpose, sid);
            }
        });
    }
}

/// One currency holds in the whole file, wherever it was named.
fn name_currency(policies: &mut PolicySet, currency: Option<&str>) {
    if let Some(currency) = currency {
        for policy in std::iter::once(&mut policies.default).chain(policies.services.values_mut()) {
            Arc::make_mut(policy).prices.currency = Some(currency.to_owned());
        }
    }
}
