//! `[purposes.…]`: what a purpose does differently.

use std::collections::BTreeMap;

use serde_json::Value;

use super::channels::ChannelRules;
use super::code::CodeRules;
use super::file::{Page, Report, Section, Word, join};
use super::risk::RiskRules;
use crate::vocabulary::Purpose;

/// What a purpose may override: a whole section each, already merged over the service's.
#[derive(Debug, Clone, PartialEq)]
pub struct PurposeRules {
    /// See [`Policy::code`](super::Policy::code).
    pub code: CodeRules,
    /// See [`Policy::channels`](super::Policy::channels).
    pub channels: ChannelRules,
    /// See [`Policy::risk`](super::Policy::risk).
    pub risk: RiskRules,
}

impl PurposeRules {
    fn read(&mut self, section: &mut Section<'_, '_>) {
        let Self { code, channels, risk } = self;
        section.within("code", |section| code.read(section));
        section.within("channels", |section| channels.read(section));
        section.within("risk", |section| risk.read(section));
    }

    fn print(&self, page: &mut Page) {
        let Self { code, channels, risk } = self;
        code.print(page);
        channels.print(page);
        risk.print(page);
    }

    fn check(&self, found: &mut Report) {
        let Self { code, channels, risk } = self;
        code.check(channels.reach_phones(), found);
        channels.check(found);
        risk.check(channels.at_end, found);
        if !channels.fallback.is_empty() && channels.fallback_after >= code.ttl {
            let message = "changes nothing: the code is dead by then; less than code.ttl would do";
            found.warning("channels.fallback_after", message);
        }
    }
}

/// What each purpose overrides.
pub(super) type Purposes = BTreeMap<Purpose, PurposeRules>;

/// Reads `[purposes]` over the rules of the service.
pub(super) fn read(root: &mut Section<'_, '_>, service: &PurposeRules, purposes: &mut Purposes) {
    root.within("purposes", |section| read_each(section, service, purposes));
}

/// Reads the file's purposes once more, over a service's rules. Their faults were noted the first time.
pub(super) fn inherit(of_file: Option<&Value>, service: &PurposeRules, purposes: &mut Purposes) {
    if let Some(entries) = of_file.and_then(Value::as_object) {
        let mut noted_already = Report::default();
        Section::visit("purposes", entries, &mut noted_already, |section| {
            read_each(section, service, purposes);
        });
    }
}

fn read_each(section: &mut Section<'_, '_>, service: &PurposeRules, purposes: &mut Purposes) {
    for (key, value) in section.rest() {
        let Some(purpose) = Purpose::named(key) else {
            let message = format!("found no purpose; one of {} would do", Purpose::all_words());
            section.fault(key, message);
            continue;
        };
        let rules = purposes.entry(purpose).or_insert_with(|| service.clone());
        section.table(key, value, |section| rules.read(section));
    }
}

/// In full: a service's purpose is read over the file's purpose of that name, which may say anything.
pub(super) fn print(page: &mut Page, purposes: &Purposes) {
    for (purpose, rules) in purposes {
        page.within(&format!("purposes.{purpose}"), |page| rules.print(page));
    }
}

/// Checks the rules of a service and what its purposes override. What a purpose inherits is named once.
pub(super) fn check(service: &PurposeRules, purposes: &Purposes, found: &mut Report) {
    let mut of_service = Report::default();
    service.check(&mut of_service);
    found.absorb("", of_service.clone(), &Report::default());
    for (purpose, rules) in purposes {
        let mut own = Report::default();
        rules.check(&mut own);
        if rules == service {
            found.warning(
                join("purposes", purpose.as_str()),
                "changes nothing: all of it holds already",
            );
        }
        found.absorb(
            &format!("{}.", join("purposes", purpose.as_str())),
            own,
            &of_service,
        );
    }
}
