//! The sections of a policy file, each read over what holds already.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Days, NaiveDate, NaiveTime};
use serde_json::Value;

use super::bounds;
use super::limits::read_limits;
use super::places::{read_countries, read_networks, read_prices};
use super::reader::Section;
use super::values::{
    Read, country_or_none, email_domain, flag, integer, list, locale, name, span, unshown_text, wait, word,
    word_list, wrong,
};
use super::words::{Likeness, Permit};
use super::{
    ChannelRules, CodeRules, EmailRules, Lockout, Policy, PurposeRules, RiskRules, TestDestination, Wait,
};
use crate::destination::Destination;
use crate::time::Timestamp;
use crate::vocabulary::Channel;

/// What a test destination looks like, for messages.
pub(super) const TEST_ADDRESS: &str = "a mailbox, or a number that can exist, with + and country code,";

/// Reads every section of a service's policy but its purposes.
pub(super) fn read_policy(section: &mut Section<'_, '_>, policy: &mut Policy) {
    section.within("code", |code| read_code(code, &mut policy.code));
    section.within("channels", |channels| {
        read_channels(channels, &mut policy.channels)
    });
    read_limits(section, &mut policy.limits);
    section.within("lockout", |lockout| read_lockout(lockout, &mut policy.lockout));
    section.within("risk", |risk| read_risk(risk, &mut policy.risk));
    section.within("countries", |countries| {
        read_countries(countries, &mut policy.countries)
    });
    section.within("numbers", |numbers| {
        let mut premium_rate = Permit::of(policy.numbers.premium_rate_allowed);
        numbers.set("premium_rate", &mut premium_rate, word);
        policy.numbers.premium_rate_allowed = premium_rate == Permit::Allow;
    });
    section.within("prices", |prices| read_prices(prices, &mut policy.prices));
    read_networks(section, &policy.limits, &mut policy.networks);
    section.within("email", |email| read_email(email, &mut policy.email));
    section.within("privacy", |privacy| {
        privacy.set("disclosure", &mut policy.privacy.disclosure, word);
        privacy.set(
            "last_digits",
            &mut policy.privacy.last_digits,
            integer(bounds::LAST_DIGITS),
        );
    });
    section.within("proof", |proof| {
        proof.set("ttl", &mut policy.proof_ttl, span);
    });
    section.within("device", |device| {
        device.set("ttl", &mut policy.device_ttl, span);
    });
    section.within("tests", |tests| read_tests(tests, &mut policy.tests));
    // Which spellings are one mailbox is this policy's word, for inherited destinations too.
    for test in &mut policy.tests {
        if let Ok(destination) = Destination::parse(&test.to, None, &policy.email) {
            test.to = destination.canonical().to_owned();
        }
    }
}

/// Reads the sections that a purpose may override.
pub(super) fn read_purpose(section: &mut Section<'_, '_>, rules: &mut PurposeRules) {
    section.within("code", |code| read_code(code, &mut rules.code));
    section.within("channels", |channels| {
        read_channels(channels, &mut rules.channels)
    });
    section.within("risk", |risk| read_risk(risk, &mut rules.risk));
}

fn read_code(section: &mut Section<'_, '_>, code: &mut CodeRules) {
    section.set("length", &mut code.length, integer(bounds::CODE_LENGTH));
    section.set("allow_short", &mut code.allow_short, flag);
    section.set("ttl", &mut code.ttl, span);
    section.set("resend", &mut code.resend, word);
}

fn read_channels(section: &mut Section<'_, '_>, channels: &mut ChannelRules) {
    section.set("default", &mut channels.default, word);
    let enabled_changed = section.set("enabled", &mut channels.enabled, word_list::<Channel>);
    let fallback_given = section.has("fallback");
    section.set("fallback", &mut channels.fallback, word_list::<Channel>);
    if enabled_changed && !fallback_given {
        // Who only says what may be used has not asked for the rest of an inherited order.
        channels
            .fallback
            .retain(|channel| channels.enabled.contains(channel));
    }
    section.set("fallback_after", &mut channels.fallback_after, span);
    section.set("automatic", &mut channels.automatic, word);
    section.set("at_end", &mut channels.at_end, word);
    section.set("default_locale", &mut channels.default_locale, locale);
    section.set("default_country", &mut channels.default_country, country_or_none);
}

fn read_lockout(section: &mut Section<'_, '_>, lockout: &mut Lockout) {
    section.set("forget_after", &mut lockout.forget_after, span);
    let Some(value) = section.value("waits") else {
        return;
    };
    if value.as_str() == Some(super::values::UNLIMITED) {
        lockout.waits = Arc::new(BTreeMap::new());
        return;
    }
    if value.as_object().is_none_or(serde_json::Map::is_empty) {
        let wanted = "a table of waits by failures in a row, such as { 1 = \"60s\" }, or \"unlimited\",";
        section.fault("waits", wrong(value, wanted));
        return;
    }
    let mut waits = BTreeMap::new();
    section.table("waits", value, |steps| {
        for (failures, value) in steps.rest() {
            let count: Option<u32> = failures
                .parse()
                .ok()
                .filter(|count: &u32| count.to_string() == failures);
            match (count, wait(value)) {
                (Some(count @ 1..), Ok(wait)) => drop(waits.insert(count, wait)),
                (Some(_), Err(message)) => steps.fault(failures, message),
                (Some(0) | None, _) => {
                    steps.fault(
                        failures,
                        "found no count of failures; a whole number of at least 1 would do",
                    );
                }
            }
        }
    });
    lockout.waits = Arc::new(waits);
}

fn read_risk(section: &mut Section<'_, '_>, risk: &mut RiskRules) {
    section.set("enabled", &mut risk.enabled, flag);
    section.set("high", &mut risk.high, word);
    section.set("medium", &mut risk.medium, word);
    section.set("low", &mut risk.low, word);
    section.set("unavailable", &mut risk.unavailable, word);
    section.set("step_up", &mut risk.step_up, list(name));
    section.set("unenrolled", &mut risk.unenrolled, word);
    section.within("thresholds", |thresholds| {
        thresholds.set("medium", &mut risk.medium_from, integer(bounds::SCORE));
        thresholds.set("high", &mut risk.high_from, integer(bounds::SCORE));
    });
}

fn read_email(section: &mut Section<'_, '_>, email: &mut EmailRules) {
    let mut plus_tags = Likeness::of(email.plus_tags_same);
    section.set("plus_tags", &mut plus_tags, word);
    email.plus_tags_same = plus_tags == Likeness::Same;

    section.set("dotless_domains", &mut email.dotless_domains, list(domain));
    let mut dots = Likeness::Distinct;
    section.set("dots", &mut dots, word);
    if dots == Likeness::Same && email.dotless_domains.is_empty() {
        section.fault(
            "dots",
            "found \"same\" without a domain; name the domains in dotless_domains",
        );
    }

    let mut disposable = Permit::of(email.disposable_allowed);
    section.set("disposable", &mut disposable, word);
    email.disposable_allowed = disposable == Permit::Allow;
}

fn domain(value: &Value) -> Read<String> {
    value
        .as_str()
        .and_then(email_domain)
        .ok_or_else(|| wrong(value, "a mail domain, such as \"example.com\","))
}

fn read_tests(section: &mut Section<'_, '_>, tests: &mut Vec<TestDestination>) {
    let Some(tables) = section.tables("destination") else {
        return;
    };
    tests.clear();
    for (index, table) in tables.iter().enumerate() {
        let path = section.path_of("destination");
        section.table_at(&format!("{path}[{index}]"), table, |entry| {
            tests.extend(read_test(entry))
        });
    }
}

/// A test destination; `None` when something is missing or wrong, which is noted.
fn read_test(section: &mut Section<'_, '_>) -> Option<TestDestination> {
    for key in ["to", "code", "until"] {
        if !section.has(key) {
            section.fault(key, "found nothing; a test destination needs to, code and until");
        }
    }
    let to = section.optional("to", |value| {
        unshown_text(value, TEST_ADDRESS, |text| {
            Destination::parse(text, None, &Policy::default().email).is_ok()
        })
    });
    let code = section.optional("code", |value| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        unshown_text(value, "a text of as many digits as code.length", digits)
    });
    let until = section.optional("until", end_of_day);
    Some(TestDestination {
        to: to?,
        code: code?,
        until: until?,
    })
}

/// The first instant after a day, UTC.
fn end_of_day(value: &Value) -> Read<Timestamp> {
    let parsed = value
        .as_str()
        .and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
    parsed
        .and_then(|day| day.checked_add_days(Days::new(1)))
        .and_then(|next| u64::try_from(next.and_time(NaiveTime::MIN).and_utc().timestamp_millis()).ok())
        .map(Timestamp::from_millis)
        .ok_or_else(|| wrong(value, "a date, such as 2026-12-31,"))
}

/// The longest wait of a lockout that ends by itself.
pub(super) fn longest_wait(lockout: &Lockout) -> Option<std::time::Duration> {
    lockout
        .waits
        .values()
        .filter_map(|wait| match wait {
            Wait::For(span) => Some(*span),
            Wait::Never => None,
        })
        .max()
}
