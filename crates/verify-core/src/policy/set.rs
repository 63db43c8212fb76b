//! `[services.…]`: the policies of all services.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::file::errors::PolicyErrors;
use super::file::{Page, Report, Section, join, key_text};
use super::{BackendKeys, Policy};
use super::{load, purposes, test_destinations};
use crate::time::Timestamp;
use crate::vocabulary::ServiceId;

/// The policies of all services: the default one, and those that differ.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicySet {
    /// What holds where a service says nothing else.
    pub default: Arc<Policy>,
    /// Services with overrides, already merged over the default.
    pub services: BTreeMap<ServiceId, Arc<Policy>>,
    /// What the file says beside the policies, for each backend that read something there.
    pub backends: Vec<BackendKeys>,
}

impl PolicySet {
    /// The policy of a service.
    pub fn of(&self, service: &ServiceId) -> &Arc<Policy> {
        self.services.get(service).unwrap_or(&self.default)
    }

    /// Each of the policies.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Policy> {
        std::iter::once(&self.default)
            .chain(self.services.values())
            .map(Arc::as_ref)
    }

    /// Reads the policies of a file.
    pub(super) fn read(root: &mut Section<'_, '_>) -> Self {
        let mut base = Policy::default();
        base.read(root);
        let of_file = root.value("purposes");
        let mut default = base.clone();
        purposes::read(root, &base.for_any_purpose(), &mut default.purposes);
        let mut services = BTreeMap::new();
        root.within("services", |section| {
            for (key, value) in section.rest() {
                let Ok(id) = ServiceId::new(key) else {
                    let wanted = "1 to 64 characters of a-z A-Z 0-9 . _ - would do";
                    section.fault(key, format!("found no service id; {wanted}"));
                    continue;
                };
                section.table(key, value, |section| {
                    let mut policy = base.clone();
                    policy.read(section);
                    let rules = policy.for_any_purpose();
                    purposes::inherit(of_file, &rules, &mut policy.purposes);
                    purposes::read(section, &rules, &mut policy.purposes);
                    services.insert(id, Arc::new(policy));
                });
            }
        });
        Self {
            default: Arc::new(default),
            services,
            backends: Vec::new(),
        }
    }

    /// One currency holds in the whole file, wherever it was named.
    pub(super) fn name_currency(&mut self, currency: Option<&str>) {
        if let Some(currency) = currency {
            for policy in std::iter::once(&mut self.default).chain(self.services.values_mut()) {
                Arc::make_mut(policy).prices.currency = Some(currency.to_owned());
            }
        }
    }

    /// The effective policies as a policy file: the default one in full, of each service what differs. What backends have
    /// in a file is not in it.
    ///
    /// What was read from a file, or could have been, reads back the same. A file cannot leave out one of the default
    /// limits; where a policy that was built in code does, the limit is printed as unlimited, which means the same.
    /// Test destinations and their codes are part of the text: it is for operators, not for logs.
    ///
    /// ```
    /// use verify_core::policy::PolicySet;
    ///
    /// let text = PolicySet::default().to_toml();
    /// assert_eq!(PolicySet::from_toml(&text)?.policies, PolicySet::default());
    /// # Ok::<(), verify_core::policy::PolicyErrors>(())
    /// ```
    pub fn to_toml(&self) -> String {
        let mut page = Page::default();
        page.pair("version", load::VERSION);
        self.default.print(&mut page, None);
        for (service, policy) in &self.services {
            page.within(&format!("services.{}", key_text(service.as_str())), |page| {
                page.header("");
                policy.print(page, Some(&self.default));
            });
        }
        page.into_text()
    }

    /// Checks policies that were built in code as strictly as those of a file; answers what is worth a warning.
    ///
    /// # Errors
    /// [`PolicyErrors`] with every value out of bounds and every impossible combination.
    pub fn check(&self) -> Result<Vec<String>, PolicyErrors> {
        self.report().into_warnings()
    }

    /// What is worth a line at start and depends on the day: test destinations whose date is over, which are refused like any
    /// that is blocked. A service's are named once, where they stand.
    pub fn notes_at(&self, now: Timestamp) -> Vec<String> {
        let mut found = Report::default();
        let inherited = test_destinations::over(&self.default.tests, now);
        found.absorb("", inherited.clone(), &Report::default());
        for (service, policy) in &self.services {
            let path = format!("{}.", join("services", service.as_str()));
            found.absorb(&path, test_destinations::over(&policy.tests, now), &inherited);
        }
        found.into_warnings().unwrap_or_default()
    }

    /// What a check finds. What a service inherits is named once, where it stands.
    pub(super) fn report(&self) -> Report {
        let inherited = self.default.check();
        let mut found = inherited.clone();
        for (service, policy) in &self.services {
            let mut own = policy.check();
            if let (Some(own_currency), Some(currency)) =
                (&policy.prices.currency, &self.default.prices.currency)
                && own_currency != currency
            {
                own.fault(
                    "prices",
                    format!("found {own_currency}; the default policy has {currency}, and there is one"),
                );
            }
            let path = join("services", service.as_str());
            found.absorb(&format!("{path}."), own, &inherited);
        }
        found
    }
}

impl fmt::Display for PolicySet {
    /// As [`PolicySet::to_toml`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_toml())
    }
}
