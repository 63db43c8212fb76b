//! Policies as a policy file: what is printed reads back as the same policies.

use std::fmt::{self, Display};

use super::words::{Likeness, Permit, Word};
use super::{
    ChannelRules, CodeRules, CountryAction, CountryRules, Counts, EmailRules, Limit, Lockout, Max, Policy,
    PolicySet, Prices, PurposeRules, RiskRules, TestDestination, Wait, duration, load, money, places, values,
};
use crate::time::Timestamp;

impl PolicySet {
    /// The effective policies as a policy file: the default one in full, of each service what differs.
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
        page.policy(&self.default, None);
        for (service, policy) in &self.services {
            page.prefix = format!("services.{}.", key(service.as_str()));
            page.header("");
            page.policy(policy, Some(&self.default));
        }
        page.text
    }
}

impl Display for PolicySet {
    /// As [`PolicySet::to_toml`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_toml())
    }
}

/// The text so far, and the tables that the next one stands in (`services.acme.`).
#[derive(Default)]
struct Page {
    text: String,
    prefix: String,
}

impl Page {
    fn line(&mut self, line: impl Display) {
        self.text.push_str(&format!("{line}\n"));
    }

    /// Begins a table; the empty name is the prefix's own table.
    fn header(&mut self, name: &str) {
        let table = format!("{}{name}", self.prefix);
        self.line(format_args!("\n[{}]", table.trim_end_matches('.')));
    }

    /// Begins a table of a list.
    fn entry(&mut self, name: &str) {
        let table = format!("{}{name}", self.prefix);
        self.line(format_args!("\n[[{table}]]"));
    }

    fn pair(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    /// A policy; of a service's only what differs from the one it inherits from.
    fn policy(&mut self, policy: &Policy, inherited: Option<&Policy>) {
        if inherited == Some(policy) {
            return;
        }
        // An empty list has no table of its own, so it belongs right under the policy's.
        if inherited.is_some_and(|inherited| !inherited.networks.is_empty()) && policy.networks.is_empty() {
            self.pair("network", "[]");
        }
        self.rules(&policy.code, &policy.channels, &policy.risk, inherited);
        self.limits(policy, inherited);
        let differs =
            |same: fn(&Policy, &Policy) -> bool| inherited.is_none_or(|inherited| !same(policy, inherited));
        if differs(|a, b| a.lockout == b.lockout) {
            self.lockout(&policy.lockout);
        }
        if differs(|a, b| a.countries == b.countries) {
            self.countries(&policy.countries, inherited.map(|inherited| &inherited.countries));
        }
        if differs(|a, b| a.numbers == b.numbers) {
            self.header("numbers");
            self.pair(
                "premium_rate",
                word(Permit::of(policy.numbers.premium_rate_allowed)),
            );
        }
        if differs(|a, b| a.prices == b.prices) {
            self.prices(&policy.prices);
        }
        if differs(|a, b| a.networks == b.networks) {
            self.networks(policy);
        }
        if differs(|a, b| a.email == b.email) {
            self.email(&policy.email);
        }
        if differs(|a, b| a.privacy == b.privacy) {
            self.header("privacy");
            self.pair("disclosure", word(policy.privacy.disclosure));
            self.pair("last_digits", policy.privacy.last_digits);
        }
        if differs(|a, b| (a.proof_ttl, a.device_ttl) == (b.proof_ttl, b.device_ttl)) {
            self.header("proof");
            self.pair("ttl", span(policy.proof_ttl));
            self.header("device");
            self.pair("ttl", span(policy.device_ttl));
        }
        if differs(|a, b| a.tests == b.tests) {
            self.tests(&policy.tests);
        }
        self.purposes(policy);
    }

    /// The three sections that a purpose may override.
    fn rules(
        &mut self,
        code: &CodeRules,
        channels: &ChannelRules,
        risk: &RiskRules,
        inherited: Option<&Policy>,
    ) {
        if inherited.is_none_or(|inherited| inherited.code != *code) {
            self.code(code);
        }
        if inherited.is_none_or(|inherited| inherited.channels != *channels) {
            self.channels(channels);
        }
        if inherited.is_none_or(|inherited| inherited.risk != *risk) {
            self.risk(risk);
        }
    }

    /// In full: a service's purpose is read over the file's purpose of that name, which may say anything.
    fn purposes(&mut self, policy: &Policy) {
        let prefix = self.prefix.clone();
        for (purpose, PurposeRules { code, channels, risk }) in &policy.purposes {
            self.prefix = format!("{prefix}purposes.{purpose}.");
            self.rules(code, channels, risk, None);
        }
        self.prefix = prefix;
    }

    fn code(&mut self, code: &CodeRules) {
        self.header("code");
        self.pair("length", code.length);
        self.pair("allow_short", code.allow_short);
        self.pair("ttl", span(code.ttl));
        self.pair("resend", word(code.resend));
    }

    fn channels(&mut self, channels: &ChannelRules) {
        self.header("channels");
        self.pair("default", word(channels.default));
        self.pair("enabled", word_list(&channels.enabled));
        self.pair("fallback", word_list(&channels.fallback));
        self.pair("fallback_after", span(channels.fallback_after));
        self.pair("automatic", word(channels.automatic));
        self.pair("at_end", word(channels.at_end));
        self.pair("default_locale", text(&channels.default_locale));
        let country = channels
            .default_country
            .as_ref()
            .map_or(values::NONE, |country| country.as_str());
        self.pair("default_country", text(country));
    }

    fn limits(&mut self, policy: &Policy, inherited: Option<&Policy>) {
        let defaults = Policy::default();
        let inherited_limits = inherited.map_or(&[][..], |inherited| &inherited.limits);
        for limit in policy
            .limits
            .iter()
            .filter(|limit| !inherited_limits.contains(limit))
        {
            self.limit(limit, &policy.prices);
        }
        let base = inherited.map_or(&defaults.limits, |inherited| &inherited.limits);
        for dropped in base
            .iter()
            .filter(|base| policy.limits.iter().all(|limit| limit.name != base.name))
        {
            self.limit(
                &Limit {
                    max: Max::Unlimited,
                    ..dropped.clone()
                },
                &policy.prices,
            );
        }
    }

    fn limit(&mut self, limit: &Limit, prices: &Prices) {
        self.entry("limit");
        self.pair("name", text(&limit.name));
        self.pair("counts", word(limit.counts));
        self.pair("by", word_list(&limit.by));
        self.pair("or_by", limit.or_by.map_or_else(|| text(values::NONE), word));
        self.pair("max", max(limit.max, limit.counts, prices));
        self.pair("per", span(limit.per));
        self.pair("then", word(limit.then));
    }

    fn lockout(&mut self, lockout: &Lockout) {
        self.header("lockout");
        let steps: Vec<_> = lockout
            .waits
            .iter()
            .map(|(failures, wait)| match wait {
                Wait::For(wait) => format!("{failures} = {}", span(*wait)),
                Wait::Never => format!("{failures} = \"never\""),
            })
            .collect();
        if steps.is_empty() {
            self.pair("waits", text(values::UNLIMITED));
        } else {
            self.pair("waits", format_args!("{{ {} }}", steps.join(", ")));
        }
        self.pair("forget_after", span(lockout.forget_after));
    }

    fn risk(&mut self, risk: &RiskRules) {
        self.header("risk");
        self.pair("enabled", risk.enabled);
        self.pair("high", word(risk.high));
        self.pair("medium", word(risk.medium));
        self.pair("low", word(risk.low));
        self.pair("unavailable", word(risk.unavailable));
        self.pair("step_up", text_list(&risk.step_up));
        self.pair("unenrolled", word(risk.unenrolled));
        self.pair(
            "thresholds",
            format_args!("{{ medium = {}, high = {} }}", risk.medium_from, risk.high_from),
        );
    }

    fn countries(&mut self, countries: &CountryRules, inherited: Option<&CountryRules>) {
        self.header("countries");
        self.pair("default", word(countries.default));
        for action in CountryAction::ALL.iter().copied() {
            let listed = countries.listed.iter().filter(|(_, listed)| **listed == action);
            self.pair(
                action.word(),
                text_list(listed.map(|(country, _)| country.as_str())),
            );
        }
        for (country, channels) in &countries.channels {
            self.header(&format!("countries.{country}"));
            self.pair("channels", word_list(channels));
        }
        let lifted = inherited
            .into_iter()
            .flat_map(|inherited| inherited.channels.keys());
        for country in lifted.filter(|country| !countries.channels.contains_key(country)) {
            self.header(&format!("countries.{country}"));
            self.pair("channels", text(places::ALL_CHANNELS));
        }
    }

    fn prices(&mut self, prices: &Prices) {
        self.header("prices");
        if let Some(micros) = prices.default {
            self.pair("default", amount(micros, prices));
        }
        for ((country, channel), micros) in &prices.listed {
            let of = channel.map_or("default", |channel| channel.as_str());
            self.pair(&format!("{country}.{of}"), amount(*micros, prices));
        }
    }

    fn networks(&mut self, policy: &Policy) {
        for network in &policy.networks {
            self.entry("network");
            self.pair("cidr", text(&network.cidr.to_string()));
            let limits: Vec<_> = network
                .limits
                .iter()
                .map(|(name, cap)| {
                    let limit = policy.limits.iter().find(|limit| limit.name == *name);
                    let counts = limit.map_or(Counts::Sends, |limit| limit.counts);
                    format!("{} = {}", key(name), max(*cap, counts, &policy.prices))
                })
                .collect();
            self.pair("limits", format_args!("{{ {} }}", limits.join(", ")));
        }
    }

    fn email(&mut self, email: &EmailRules) {
        self.header("email");
        self.pair("plus_tags", word(Likeness::of(email.plus_tags_same)));
        self.pair("dots", word(Likeness::of(!email.dotless_domains.is_empty())));
        self.pair("dotless_domains", text_list(&email.dotless_domains));
        self.pair("disposable", word(Permit::of(email.disposable_allowed)));
    }

    fn tests(&mut self, tests: &[TestDestination]) {
        if tests.is_empty() {
            self.header("tests");
            self.pair("destination", "[]");
        }
        for test in tests {
            self.entry("tests.destination");
            self.pair("to", text(&test.to));
            self.pair("code", text(&test.code));
            self.pair("until", text(&last_day(test.until)));
        }
    }
}

/// The last day before an instant, UTC.
fn last_day(until: Timestamp) -> String {
    let last = until.as_millis().saturating_sub(1);
    let day = i64::try_from(last)
        .ok()
        .and_then(chrono::DateTime::from_timestamp_millis);
    day.map_or_else(|| "9999-12-31".into(), |day| day.format("%Y-%m-%d").to_string())
}

fn max(max: Max, counts: Counts, prices: &Prices) -> String {
    match (max, counts) {
        (Max::Unlimited, _) => text(values::UNLIMITED),
        (Max::Units(micros), Counts::Spend) => amount(micros, prices),
        (Max::Units(units), Counts::Sends | Counts::Checks | Counts::Failures) => units.to_string(),
    }
}

fn amount(micros: u64, prices: &Prices) -> String {
    // Without a currency the policy fails its check; no real one is put into its mouth.
    text(&money::print(micros, prices.currency.as_deref().unwrap_or("XXX")))
}

fn span(span: std::time::Duration) -> String {
    text(&duration::print(span))
}

fn word(choice: impl Word) -> String {
    text(choice.word())
}

fn word_list<T: Word>(choices: &[T]) -> String {
    text_list(choices.iter().map(|choice| choice.word()))
}

fn text_list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let texts: Vec<_> = texts.into_iter().map(|entry| text(entry.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A text in quotes, with whatever TOML wants escaped.
fn text(content: &str) -> String {
    toml::Value::from(content).to_string()
}

/// A key: bare where TOML allows it.
fn key(name: &str) -> String {
    let bare = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare && !name.is_empty() {
        name.into()
    } else {
        text(name)
    }
}
