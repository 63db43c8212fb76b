//! What a policy must be, whether it came from a file or was built in code: bounds and combinations.

use std::collections::BTreeSet;

use super::defaults::limit_names;
use super::errors::Fault;
use super::limits::limit_path;
use super::places::by_address;
use super::reader::join;
use super::sections::{TEST_ADDRESS, longest_wait};
use super::values::{MOST_UNITS, has_numbers, is_locale, is_name};
use super::words::{self, Word};
use super::{
    ChannelRules, CodeRules, Counts, Limit, Lockout, Max, Policy, PolicySet, RiskAction, RiskRules, Then,
    Wait, bounds,
};
use crate::destination::Destination;
use crate::vocabulary::{Channel, Country, Dimension};

/// What a check finds.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What is wrong.
    pub(super) faults: Vec<Fault>,
    /// What is allowed, and worth a line at start.
    pub(super) warnings: Vec<Fault>,
}

impl Findings {
    fn fault(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.faults.push(Fault::new(key, message));
    }

    fn warning(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Fault::new(key, message));
    }

    /// Adds what was found under a path, but for what was found in what it inherits from.
    fn absorb(&mut self, path: &str, own: Self, inherited: &Self) {
        let under = |fault: Fault| Fault::new(format!("{path}.{}", fault.key), fault.message);
        let new = |found: Vec<Fault>, known: &[Fault]| {
            found
                .into_iter()
                .filter(|fault| !known.contains(fault))
                .map(under)
                .collect::<Vec<_>>()
        };
        self.faults.extend(new(own.faults, &inherited.faults));
        self.warnings.extend(new(own.warnings, &inherited.warnings));
    }
}

/// Checks all policies. What a service inherits is named once, where it stands.
pub(super) fn check(policies: &PolicySet) -> Findings {
    let inherited = check_policy(&policies.default);
    let mut found = Findings {
        faults: inherited.faults.clone(),
        warnings: inherited.warnings.clone(),
    };
    for (service, policy) in &policies.services {
        let mut own = check_policy(policy);
        if let (Some(own_currency), Some(currency)) =
            (&policy.prices.currency, &policies.default.prices.currency)
            && own_currency != currency
        {
            own.fault(
                "prices",
                format!("found {own_currency}; the default policy has {currency}, and there is one"),
            );
        }
        found.absorb(&join("services", service.as_str()), own, &inherited);
    }
    found
}

fn check_policy(policy: &Policy) -> Findings {
    let mut found = Findings::default();
    check_rules(&policy.code, &policy.channels, &policy.risk, &mut found);
    let inherited = Findings {
        faults: found.faults.clone(),
        warnings: found.warnings.clone(),
    };
    for (purpose, rules) in &policy.purposes {
        let mut own = Findings::default();
        check_rules(&rules.code, &rules.channels, &rules.risk, &mut own);
        found.absorb(&join("purposes", purpose.as_str()), own, &inherited);
    }
    check_limits(policy, &mut found);
    check_lockout(&policy.lockout, &mut found);
    check_prices(policy, &mut found);
    check_networks(policy, &mut found);
    check_tests(policy, &mut found);
    check_countries(policy, &mut found);
    if !bounds::LAST_DIGITS.contains(&policy.privacy.last_digits) {
        found.fault("privacy.last_digits", "a log carries at most 2 digits");
    }
    for (key, span) in [("proof.ttl", policy.proof_ttl), ("device.ttl", policy.device_ttl)] {
        if span.is_zero() {
            found.fault(key, "found zero; a longer duration would do");
        }
    }
    found
}

/// The three sections that a purpose may override.
fn check_rules(code: &CodeRules, channels: &ChannelRules, risk: &RiskRules, found: &mut Findings) {
    check_code(code, channels, found);
    check_channels(channels, found);
    check_risk(risk, found);
}

fn check_code(code: &CodeRules, channels: &ChannelRules, found: &mut Findings) {
    let (shortest, longest) = bounds::CODE_LENGTH.into_inner();
    if !bounds::CODE_LENGTH.contains(&code.length) {
        found.fault(
            "code.length",
            format!("found {}; {shortest} to {longest} digits would do", code.length),
        );
    } else if code.length < bounds::SHORT_CODE && !code.allow_short {
        let message = format!(
            "found {}; {} to {longest} would do, or fewer with allow_short = true",
            code.length,
            bounds::SHORT_CODE
        );
        found.fault("code.length", message);
    }
    if code.length < bounds::SHORT_CODE && code.allow_short {
        found.warning("code.length", format!("codes have only {} digits", code.length));
    }

    let by_phone = channels.enabled.iter().any(|channel| channel.reaches_phone());
    if code.ttl.is_zero() {
        found.fault("code.ttl", "found zero; a longer duration would do");
    } else if by_phone && code.ttl > bounds::PHONE_CODE_TTL {
        let message = "found more than 10m; a code that may travel by phone lives up to \"10m\", one that travels by email alone up to \"24h\"";
        found.fault("code.ttl", message);
    } else if code.ttl > bounds::EMAIL_CODE_TTL {
        found.fault("code.ttl", "found more than 24h; up to \"24h\" would do");
    }
}

fn check_channels(channels: &ChannelRules, found: &mut Findings) {
    let enabled = || {
        channels
            .enabled
            .iter()
            .map(|channel| channel.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if channels.enabled.is_empty() {
        found.fault(
            "channels.enabled",
            format!("found none; name some of {}", words::all::<Channel>()),
        );
        return;
    }
    for (key, list) in [
        ("channels.enabled", &channels.enabled),
        ("channels.fallback", &channels.fallback),
    ] {
        if list.iter().collect::<BTreeSet<_>>().len() != list.len() {
            found.fault(key, "found a channel twice; once would do");
        }
    }
    if !channels.enabled.contains(&channels.default) {
        let message = format!(
            "found {}, which is not enabled; one of {} would do",
            channels.default,
            enabled()
        );
        found.fault("channels.default", message);
    }
    for channel in channels
        .fallback
        .iter()
        .filter(|channel| !channels.enabled.contains(channel))
    {
        let message = format!(
            "found {channel}, which is not enabled; some of {} would do",
            enabled()
        );
        found.fault("channels.fallback", message);
    }
    if channels.fallback_after.is_zero() {
        found.fault(
            "channels.fallback_after",
            "found zero; a longer duration would do",
        );
    }
    if let Some(country) = channels.default_country {
        check_country("channels.default_country", country, found);
    }
    if !is_locale(&channels.default_locale) {
        found.fault(
            "channels.default_locale",
            "a language tag, such as \"en\", would do",
        );
    }
}

fn check_risk(risk: &RiskRules, found: &mut Findings) {
    if !bounds::SCORE.contains(&risk.high_from) || !bounds::SCORE.contains(&risk.medium_from) {
        found.fault("risk.thresholds", "a score is a whole number from 0 to 100");
    } else if risk.medium_from > risk.high_from {
        let message = format!(
            "found medium = {} above high = {}",
            risk.medium_from, risk.high_from
        );
        found.fault(
            "risk.thresholds",
            format!("{message}; medium at most as great as high would do"),
        );
    }
    let steps_up = [risk.high, risk.medium, risk.low, risk.unavailable].contains(&RiskAction::StepUp);
    if risk.enabled && steps_up && risk.step_up.is_empty() {
        found.fault(
            "risk.step_up",
            "found no factor, but a level asks for a step-up; name one, such as \"totp\"",
        );
    }
    if !risk.step_up.iter().all(|factor| is_name(factor)) {
        found.fault(
            "risk.step_up",
            "a factor's name has 1 to 64 characters of a-z A-Z 0-9 . _ -",
        );
    }
}

fn check_limits(policy: &Policy, found: &mut Findings) {
    let defaults = Policy::default();
    let mut names = BTreeSet::new();
    for limit in &policy.limits {
        let path = |key: &str| limit_path(&limit.name, key);
        if !is_name(&limit.name) {
            found.fault(path("name"), "a name has 1 to 64 characters of a-z A-Z 0-9 . _ -");
        }
        if !names.insert(&limit.name) {
            found.fault(path("name"), "found it twice; once would do");
        }
        if [limit_names::LOCKOUT_DESTINATION, limit_names::LOCKOUT_SUBJECT].contains(&&*limit.name) {
            found.fault(path("name"), "a lockout has this name; another one would do");
        }
        check_limit(limit, &path, found);
        let usual = defaults.limits.iter().find(|usual| usual.name == limit.name);
        let watches_only = usual.is_some_and(|usual| usual.then != Then::Alert) && limit.then == Then::Alert;
        if watches_only && limit.max != Max::Unlimited {
            found.warning(path("then"), "alert: this cap refuses nothing any more");
        }
    }
}

fn check_limit(limit: &Limit, path: &dyn Fn(&str) -> String, found: &mut Findings) {
    match limit.max {
        Max::Units(units) if !(1..=MOST_UNITS).contains(&units) => {
            found.fault(path("max"), "a number of at least 1, or \"unlimited\", would do");
        }
        Max::Units(_) => {}
        Max::Unlimited => found.warning(path("max"), "unlimited: this cap is off"),
    }
    if limit.per.is_zero() {
        found.fault(path("per"), "found zero; a longer duration would do");
    }
    if limit.by.is_empty() {
        found.fault(
            path("by"),
            format!("found none; name some of {}", words::all::<Dimension>()),
        );
    }
    if limit.by.iter().collect::<BTreeSet<_>>().len() != limit.by.len() {
        found.fault(path("by"), "found a dimension twice; once would do");
    }
    if limit.or_by.is_some_and(|or_by| limit.by.contains(&or_by)) {
        found.fault(
            path("or_by"),
            "found it in by too; another dimension would do, or none",
        );
    }
    let is_gap = *limit.name == *limit_names::RESEND_GAP;
    if is_gap && (limit.counts != Counts::Sends || limit.by != [Dimension::Destination]) {
        found.fault(
            path("by"),
            "the resend gap counts sends by destination; give another limit another name",
        );
    }
}

fn check_lockout(lockout: &Lockout, found: &mut Findings) {
    if lockout.waits.contains_key(&0) {
        found.fault(
            "lockout.waits",
            "found a wait after 0 failures; counts are at least 1",
        );
    }
    if lockout.forget_after.is_zero() {
        found.fault("lockout.forget_after", "found zero; a longer duration would do");
    } else if longest_wait(lockout).is_some_and(|longest| longest > lockout.forget_after) {
        found.fault(
            "lockout.forget_after",
            "found less than the longest wait, which would never be served in full",
        );
    }
    if lockout
        .waits
        .values()
        .all(|wait| *wait == Wait::For(std::time::Duration::ZERO))
    {
        found.warning("lockout.waits", "unlimited: no failure leads to a wait");
    }
}

fn check_countries(policy: &Policy, found: &mut Findings) {
    for (country, channels) in &policy.countries.channels {
        if channels.is_empty() {
            found.fault(
                format!("countries.{country}.channels"),
                "found no channel; name one",
            );
        }
        check_country(&format!("countries.{country}"), *country, found);
    }
    for (country, action) in &policy.countries.listed {
        check_country(&format!("countries.{}", action.word()), *country, found);
    }
    for country in policy
        .prices
        .listed
        .keys()
        .map(|(country, _)| *country)
        .collect::<BTreeSet<_>>()
    {
        check_country(&format!("prices.{country}"), country, found);
    }
}

/// A rule for a country without numbers decides nothing, which its writer will not have meant.
fn check_country(key: &str, country: Country, found: &mut Findings) {
    if !has_numbers(country) {
        found.warning(
            key,
            format!("no phone number belongs to {country}; check the two letters"),
        );
    }
}

fn check_prices(policy: &Policy, found: &mut Findings) {
    let prices = &policy.prices;
    let spend = policy.limits.iter().find(|limit| limit.counts == Counts::Spend);
    if let Some(limit) = spend.filter(|_| prices.default.is_none()) {
        let message = format!(
            "found nothing, but limit {} counts spend; name a price for all else",
            limit.name
        );
        found.fault("prices.default", message);
    }
    let has_amounts = prices.default.is_some() || !prices.listed.is_empty();
    let is_code =
        |currency: &String| currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if has_amounts && !prices.currency.as_ref().is_some_and(is_code) {
        found.fault(
            "prices",
            "found amounts without a currency; its three letters, such as USD, would do",
        );
    }
}

fn check_networks(policy: &Policy, found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (index, network) in policy.networks.iter().enumerate() {
        let path = format!("network[{index}]");
        if !seen.insert(network.cidr) {
            found.fault(
                format!("{path}.cidr"),
                format!("found {} twice; once would do", network.cidr),
            );
        }
        if network.limits.is_empty() {
            found.fault(format!("{path}.limits"), "found none; name a limit and its max");
        }
        for (name, max) in &network.limits {
            let key = join(&format!("{path}.limits"), name);
            let by_ip = policy
                .limits
                .iter()
                .any(|limit| limit.name == *name && limit.by.contains(&Dimension::Ip));
            if !by_ip {
                let message = format!(
                    "found no limit of that name by ip; {} would do",
                    by_address(&policy.limits)
                );
                found.fault(&key, message);
            }
            match max {
                Max::Units(1..=MOST_UNITS) => {}
                Max::Units(_) => found.fault(&key, "a number of at least 1, or \"unlimited\", would do"),
                Max::Unlimited => found.warning(&key, "unlimited: this cap is off for the network"),
            }
        }
    }
}

/// Faults of test destinations never repeat them.
fn check_tests(policy: &Policy, found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (index, test) in policy.tests.iter().enumerate() {
        let path = format!("tests.destination[{index}]");
        let canonical = Destination::parse(&test.to, None, &policy.email);
        if !canonical.is_ok_and(|destination| destination.canonical() == test.to) {
            found.fault(
                format!("{path}.to"),
                format!("{TEST_ADDRESS} in its canonical form would do"),
            );
        }
        if !seen.insert(&test.to) {
            found.fault(format!("{path}.to"), "found the destination twice; once would do");
        }
        let length = usize::from(policy.code.length);
        if test.code.len() != length || !test.code.bytes().all(|byte| byte.is_ascii_digit()) {
            found.fault(
                format!("{path}.code"),
                format!("{length} digits, as code.length says, would do"),
            );
        }
    }
}
