//! `[[limit]]`: a list whose entries change the limit of their name, or add one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::file::{
    MOST_UNITS, NONE, Page, Read, Report, Section, UNLIMITED, Word, is_name, join, name, print_amount,
    quoted, span, word, word_list, words, wrong,
};
use crate::vocabulary::{Dimension, Purpose};

/// What a count may be, for messages.
const AT_MOST: &str = "at most 9007199254740991 (2^53 - 1), or \"unlimited\",";
/// The word for every purpose there is.
const ALL_PURPOSES: &str = "all";
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// The names of the limits that every policy has, and of what is no limit. A file may change limits or make them
/// `"unlimited"`, never drop them.
pub mod limit_names {
    /// Not a limit: the lockout of a destination. No limit may be called so.
    pub const LOCKOUT_DESTINATION: &str = "lockout_destination";
    /// Not a limit: the lockout of a subject. No limit may be called so.
    pub const LOCKOUT_SUBJECT: &str = "lockout_subject";
    /// Sends by client address.
    pub const SENDS_PER_IP: &str = "sends_per_ip";
    /// Sends to one destination, within minutes.
    pub const SENDS_PER_DESTINATION: &str = "sends_per_destination";
    /// Sends to one destination, within a day.
    pub const SENDS_PER_DESTINATION_DAY: &str = "sends_per_destination_day";
    /// Sends for one subject.
    pub const SENDS_PER_SUBJECT: &str = "sends_per_subject";
    /// The gap between two sends to one destination.
    pub const RESEND_GAP: &str = "resend_gap";
    /// Guesses for one subject, or one destination where there is no subject.
    pub const CHECKS_PER_IDENTITY: &str = "checks_per_identity";
    /// Guesses by client address.
    pub const CHECKS_PER_IP: &str = "checks_per_ip";
    /// Sends to numbers that share all but their last four digits.
    pub const SENDS_PER_PREFIX: &str = "sends_per_prefix";
    /// Sends of the whole service.
    pub const SENDS_PER_SERVICE: &str = "sends_per_service";
    /// Sends from one network. It bounds what the sends of one network keep in a store, so its window is never shorter than
    /// the longest code lives.
    pub const SENDS_PER_NETWORK: &str = "sends_per_network";
    /// Failures of the whole service: guessing spread over many accounts.
    pub const FAILURES_PER_SERVICE: &str = "failures_per_service";
}

/// At most `max` in any interval of length `per`, on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Unique; overrides, networks and operators name it.
    pub name: Arc<str>,
    /// What is counted.
    pub counts: Counts,
    /// The key: one dimension, or several together. Never empty.
    pub by: Vec<Dimension>,
    /// Used where a dimension of `by` is missing; else the limit is skipped. `checks_per_identity` has the destination.
    pub or_by: Option<Dimension>,
    /// For what somebody is verified: what is for another purpose it neither counts nor refuses. Never empty.
    pub purposes: BTreeSet<Purpose>,
    /// How much.
    pub max: Max,
    /// In any interval of this length.
    pub per: Duration,
    /// What follows.
    pub then: Then,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counts {
    /// Messages that were decided to be sent, whatever became of them.
    Sends,
    /// Guesses that were taken.
    Checks,
    /// Guesses counted as failures while something was pending.
    Failures,
    /// Money, in micros of the operator's currency, at the operator's price.
    Spend,
}

words! { Counts { Sends = "sends", Checks = "checks", Failures = "failures", Spend = "spend" } }

/// How much a limit admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Max {
    /// Units; money in micros (a millionth of the currency unit). 1 to 2^53 - 1.
    Units(u64),
    /// An explicit, logged choice.
    Unlimited,
}

/// What follows when a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Refuse until the window admits it again.
    Refuse,
    /// Ask for a human; who passes is admitted and counted.
    HumanCheck,
    /// Refuse nothing; raise an event once per `per`.
    Alert,
}

words! { Then { Refuse = "refuse", HumanCheck = "human_check", Alert = "alert" } }

/// The limits of a file that says nothing.
pub(super) fn defaults() -> Vec<Limit> {
    use Dimension::{Destination, Ip, Network, Prefix, Service, Subject};
    use limit_names as name;
    const SECOND: Duration = Duration::from_secs(1);
    let limit = |name: &str, counts, by, max, per, then| Limit {
        name: name.into(),
        counts,
        by: vec![by],
        or_by: None,
        purposes: every_purpose(),
        max: Max::Units(max),
        per,
        then,
    };
    let sends = |name, by, max, per, then| limit(name, Counts::Sends, by, max, per, then);
    let checks = |name, by, max| limit(name, Counts::Checks, by, max, TEN_MINUTES, Then::Refuse);
    let failures = |name, by, max| limit(name, Counts::Failures, by, max, TEN_MINUTES, Then::Alert);
    let (refuse, ask, day) = (Then::Refuse, Then::HumanCheck, 86_400 * SECOND);
    vec![
        sends(name::SENDS_PER_IP, Ip, 5, TEN_MINUTES, refuse),
        sends(name::SENDS_PER_DESTINATION, Destination, 3, TEN_MINUTES, refuse),
        sends(name::SENDS_PER_DESTINATION_DAY, Destination, 10, day, refuse),
        sends(name::SENDS_PER_SUBJECT, Subject, 5, TEN_MINUTES, refuse),
        sends(name::RESEND_GAP, Destination, 1, 30 * SECOND, refuse),
        Limit {
            or_by: Some(Destination),
            ..checks(name::CHECKS_PER_IDENTITY, Subject, 5)
        },
        checks(name::CHECKS_PER_IP, Ip, 50),
        sends(name::SENDS_PER_PREFIX, Prefix, 30, TEN_MINUTES, ask),
        sends(name::SENDS_PER_SERVICE, Service, 1000, TEN_MINUTES, ask),
        // A twentieth of what the store in memory has room for: records of strangers.
        sends(name::SENDS_PER_NETWORK, Network, 4500, TEN_MINUTES, refuse),
        failures(name::FAILURES_PER_SERVICE, Service, 200),
    ]
}

/// Reads `[[limit]]` over the limits that hold already.
pub(super) fn read(section: &mut Section<'_, '_>, limits: &mut Vec<Limit>) {
    let Some(tables) = section.tables("limit") else {
        return;
    };
    let list = section.path_of("limit");
    let mut seen = BTreeSet::new();
    for (index, table) in tables.iter().enumerate() {
        let path = format!("{list}[{index}]");
        let named = match table.get("name") {
            Some(value) => name(value),
            None if table.is_object() => Err("found nothing; every limit needs a name".into()),
            None => {
                section.table_at(&path, table, |_| {});
                continue;
            }
        };
        let named = match named {
            Ok(named) => named,
            Err(message) => {
                section.report().fault(format!("{path}.name"), message);
                continue;
            }
        };
        let path = join(&list, &named);
        if !seen.insert(named.clone()) {
            section
                .report()
                .fault(path, "found the name twice; one entry would do");
            continue;
        }
        section.table_at(&path, table, |entry| read_limit(entry, &named, limits));
    }
}

/// Reads an entry over the limit of its name, or as a new one if all is there that a new one needs.
fn read_limit(entry: &mut Section<'_, '_>, name: &str, limits: &mut Vec<Limit>) {
    let existing = limits.iter_mut().find(|limit| *limit.name == *name);
    let is_new = existing.is_none();
    let mut limit = existing.as_deref().cloned().unwrap_or_else(|| Limit {
        name: name.into(),
        counts: Counts::Sends,
        by: Vec::new(),
        or_by: None,
        purposes: every_purpose(),
        max: Max::Unlimited,
        per: Duration::ZERO,
        then: Then::Refuse,
    });
    let Limit {
        name: _,
        counts,
        by,
        or_by,
        purposes,
        max,
        per,
        then,
    } = &mut limit;
    entry.value("name");
    let counted_money = *counts == Counts::Spend;
    let has_counts = entry.set("counts", counts, word);
    let has_by = entry.set("by", by, word_list);
    entry.set("or_by", or_by, dimension_or_none);
    entry.set("purposes", purposes, purposes_or_all);
    if entry.value("purposes").is_some_and(Value::is_array) && *purposes == every_purpose() {
        let message = "changes nothing: it names every purpose; \"all\" says so of later ones too";
        entry.warning("purposes", message);
    }
    let has_per = entry.set("per", per, span);
    entry.set("then", then, word);
    let given = match entry.value("max") {
        // What counts is wrong already: whether a number or an amount is meant cannot be told.
        Some(_) if is_new && !has_counts => None,
        Some(value) => read_max(entry, "max", value, *counts),
        None => {
            let counts_money = *counts == Counts::Spend;
            if !is_new && counted_money != counts_money && *max != Max::Unlimited {
                let message = "found nothing; what counts has changed, so max must be said anew";
                entry.fault("max", message);
            }
            None
        }
    };
    *max = given.unwrap_or(*max);
    match existing {
        Some(existing) => *existing = limit,
        None => {
            for key in ["counts", "by", "max", "per"] {
                if !entry.has(key) {
                    let needs = "a limit that is not among the default ones needs counts, by, max and per";
                    entry.fault(key, format!("found nothing; {needs}"));
                }
            }
            if has_counts && has_by && has_per && given.is_some() {
                limits.push(limit);
            }
        }
    }
}

/// How much a limit admits: an amount where it counts spend, a number elsewhere. A fault is noted.
pub(super) fn read_max(
    section: &mut Section<'_, '_>,
    key: &str,
    value: &Value,
    counts: Counts,
) -> Option<Max> {
    if value.as_str() == Some(UNLIMITED) {
        return Some(Max::Unlimited);
    }
    let units = match counts {
        Counts::Spend => section.amount(key, value)?,
        Counts::Sends | Counts::Checks | Counts::Failures => value.as_u64().unwrap_or(0),
    };
    let wanted = match (units, counts) {
        (1..=MOST_UNITS, _) => return Some(Max::Units(units)),
        (0, Counts::Spend) => "more than nothing, or \"unlimited\",",
        (0, Counts::Sends | Counts::Checks | Counts::Failures) => {
            "a whole number of at least 1, or \"unlimited\","
        }
        (_, _) => AT_MOST,
    };
    section.fault(key, wrong(value, wanted));
    None
}

fn dimension_or_none(value: &Value) -> Read<Option<Dimension>> {
    if value.as_str() == Some(NONE) {
        return Ok(None);
    }
    let wanted = format!("none, or one of {}", Dimension::all_words());
    word(value).map(Some).map_err(|_| wrong(value, wanted))
}

fn purposes_or_all(value: &Value) -> Read<BTreeSet<Purpose>> {
    if value.as_str() == Some(ALL_PURPOSES) {
        return Ok(every_purpose());
    }
    if !value.is_array() {
        let wanted = format!("a list, or \"{ALL_PURPOSES}\",");
        return Err(wrong(value, wanted));
    }
    Ok(word_list(value)?.into_iter().collect())
}

fn every_purpose() -> BTreeSet<Purpose> {
    Purpose::ALL.iter().copied().collect()
}

/// The path of a limit's key: limits are named, not numbered.
pub(super) fn limit_path(name: &str, key: &str) -> String {
    join(&join("limit", name), key)
}

/// Prints the limits that differ from those inherited, and as unlimited those that a policy built in code dropped. Amounts
/// are in this currency.
pub(super) fn print(page: &mut Page, limits: &[Limit], inherited: Option<&[Limit]>, currency: Option<&str>) {
    let defaults = defaults();
    let is_new = |limit: &&Limit| inherited.is_none_or(|inherited| !inherited.contains(limit));
    let is_dropped = |base: &&Limit| limits.iter().all(|limit| limit.name != base.name);
    let dropped = inherited.unwrap_or(&defaults).iter().filter(is_dropped);
    let off = dropped.map(|limit| Limit {
        max: Max::Unlimited,
        ..limit.clone()
    });
    for limit in limits.iter().filter(is_new).cloned().chain(off) {
        let Limit {
            name,
            counts,
            by,
            or_by,
            purposes,
            max,
            per,
            then,
        } = limit;
        page.entry("limit");
        page.text("name", &name);
        page.word("counts", counts);
        page.words("by", &by);
        page.text("or_by", or_by.map_or(NONE, Word::word));
        match purposes == every_purpose() {
            true => page.text("purposes", ALL_PURPOSES),
            false => page.texts("purposes", purposes.iter().map(|purpose| purpose.as_str())),
        }
        page.pair("max", max_text(max, counts, currency));
        page.span("per", per);
        page.word("then", then);
    }
}

/// How much a limit admits, as TOML.
pub(super) fn max_text(max: Max, counts: Counts, currency: Option<&str>) -> String {
    match (max, counts) {
        (Max::Unlimited, _) => quoted(UNLIMITED),
        (Max::Units(micros), Counts::Spend) => quoted(&print_amount(micros, currency)),
        (Max::Units(units), Counts::Sends | Counts::Checks | Counts::Failures) => units.to_string(),
    }
}

pub(super) fn check(limits: &[Limit], found: &mut Report) {
    let defaults = defaults();
    let mut names = BTreeSet::new();
    for limit in limits {
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
        let usual = defaults.iter().find(|usual| usual.name == limit.name);
        let watches_only = usual.is_some_and(|usual| usual.then != Then::Alert) && limit.then == Then::Alert;
        if watches_only && limit.max != Max::Unlimited {
            found.warning(path("then"), "alert: this cap refuses nothing any more");
        }
        if usual.is_some() && limit.purposes != every_purpose() {
            let message =
                "some: this cap is off for the others; a limit of another name would stand beside it";
            found.warning(path("purposes"), message);
        }
    }
}

fn check_limit(limit: &Limit, path: &dyn Fn(&str) -> String, found: &mut Report) {
    check_max(limit.max, &path("max"), "unlimited: this cap is off", found);
    if limit.per.is_zero() {
        found.fault(path("per"), "found zero; a longer duration would do");
    }
    if limit.by.is_empty() {
        let message = format!("found none; name some of {}", Dimension::all_words());
        found.fault(path("by"), message);
    }
    if limit.by.iter().collect::<BTreeSet<_>>().len() != limit.by.len() {
        found.fault(path("by"), "found a dimension twice; once would do");
    }
    if limit.or_by.is_some_and(|or_by| limit.by.contains(&or_by)) {
        let message = "found it in by too; another dimension would do, or none";
        found.fault(path("or_by"), message);
    }
    if limit.purposes.is_empty() {
        let message = format!("found none; name some of {}", Purpose::all_words());
        found.fault(path("purposes"), message);
    }
    let always = |dimension: &Dimension| matches!(dimension, Dimension::Destination | Dimension::Service);
    if limit.or_by.is_some() && !limit.by.is_empty() && limit.by.iter().all(always) {
        let message = "changes nothing: what by names is never missing";
        found.warning(path("or_by"), message);
    }
    let of_checks = matches!(limit.counts, Counts::Checks | Counts::Failures);
    if of_checks && limit.then == Then::HumanCheck {
        let message = "a check asks for no human, so this refuses; then = \"refuse\" says so";
        found.warning(path("then"), message);
    }
    let is_gap = *limit.name == *limit_names::RESEND_GAP;
    if is_gap && (limit.counts != Counts::Sends || limit.by != [Dimension::Destination]) {
        let message = "the resend gap counts sends by destination; give another limit another name";
        found.fault(path("by"), message);
    }
    if is_gap && limit.purposes != every_purpose() {
        let message = "the resend gap is for every purpose; give another limit another name";
        found.fault(path("purposes"), message);
    }
}

/// `off`: the warning of a cap that is off.
pub(super) fn check_max(max: Max, key: &str, off: &str, found: &mut Report) {
    match max {
        Max::Units(1..=MOST_UNITS) => {}
        Max::Units(0) => found.fault(key, "a number of at least 1, or \"unlimited\", would do"),
        Max::Units(_) => found.fault(key, format!("a number of {AT_MOST} would do")),
        Max::Unlimited => found.warning(key, off),
    }
}
