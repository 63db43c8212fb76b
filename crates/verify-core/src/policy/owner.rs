//! The other spelling of a policy: `[verify]`, `[rate_limits]` and `[fraud_guard]`.
//!
//! What these sections say is moved to where the policy has it before the policy is read, so there is one reader;
//! faults still name the key that stands in the file. Saying the same thing in both spellings is a fault.

use serde_json::{Map, Value, json};

use super::file::{Read, Report, Section, camel_case, describe, flag, integer, name, wrong};
use super::limits::{limit_names, limit_path};
use super::lockout::Lockout;

/// A key, where the policy has it, and how its value is said there.
type Move = (&'static str, [&'static str; 2], fn(&Value) -> Read<Value>);

const VERIFY_CHANNELS: [Move; 4] = [
    ("default_channel", ["channels", "default"], as_it_is),
    ("channels", ["channels", "enabled"], as_it_is),
    ("fallback_channels", ["channels", "fallback"], as_it_is),
    ("default_locale", ["channels", "default_locale"], as_it_is),
];
const VERIFY_CODE: [Move; 1] = [("code_ttl_seconds", ["code", "ttl"], |value| seconds(value, 1))];
const FRAUD_GUARD: [Move; 4] = [
    ("enabled", ["risk", "enabled"], |value| {
        flag(value).map(Value::from)
    }),
    ("block_on_high_risk", ["risk", "high"], |value| {
        action(value, "refuse")
    }),
    ("step_up_on_medium_risk", ["risk", "medium"], |value| {
        action(value, "step_up")
    }),
    ("step_up_channel", ["risk", "step_up"], |value| {
        name(value).map(|factor| json!([factor]))
    }),
];

/// The keys of `[rate_limits]` that are limits, each per ten minutes.
const RATE_LIMITS: [(&str, &str); 3] = [
    ("send_per_ip_per_10m", limit_names::SENDS_PER_IP),
    ("send_per_to_per_10m", limit_names::SENDS_PER_DESTINATION),
    ("check_per_identity_per_10m", limit_names::CHECKS_PER_IDENTITY),
];
/// The key of `[rate_limits]` that is the first wait of the lockout.
const FIRST_WAIT: &str = "cooldown_seconds_after_failed_check";

pub(super) const SECTIONS: [&str; 3] = ["verify", "rate_limits", "fraud_guard"];

/// Moves what the other spelling says to where the policy has it.
pub(super) fn translate(root: &mut Map<String, Value>, report: &mut Report) {
    let [verify, rate_limits, fraud_guard] = SECTIONS;
    let mut moves = Vec::new();
    let mut limits = Vec::new();
    let mut first_wait = None;
    visit(root, verify, report, |verify| {
        read(verify, &VERIFY_CHANNELS, &mut moves);
        // The first of the channels is the default where none is named.
        let channels = verify.value("channels").and_then(|list| list.get(0));
        if let (Some(first), false) = (channels, verify.has("default_channel")) {
            let default = ["channels", "default"];
            moves.push((verify.path_of("channels"), default, first.clone()));
        }
        read(verify, &VERIFY_CODE, &mut moves);
    });
    visit(root, rate_limits, report, |section| {
        for (key, limit) in RATE_LIMITS {
            let max = section.value(key).cloned();
            limits.extend(max.map(|max| (section.path_of(key), limit, max)));
        }
        let wait = section.optional(FIRST_WAIT, |value| seconds(value, 0));
        first_wait = wait.map(|wait| (section.path_of(FIRST_WAIT), waits_with_first(wait)));
    });
    visit(root, fraud_guard, report, |guard| {
        read(guard, &FRAUD_GUARD, &mut moves)
    });
    for (written, target, value) in moves {
        put(root, target, value, &written, report);
    }
    for (written, limit, max) in limits {
        put_limit(root, limit, max, &written, report);
    }
    if let Some((written, waits)) = first_wait {
        report.moved("lockout.waits.1", &written);
        put(root, ["lockout", "waits"], waits, &written, report);
    }
}

/// Reads keys on their way: the path where they are written, where they belong, and what is said there.
fn read(section: &mut Section<'_, '_>, keys: &[Move], moves: &mut Vec<(String, [&'static str; 2], Value)>) {
    for (key, target, say) in keys {
        let value = section.optional(key, say);
        moves.extend(value.map(|value| (section.path_of(key), *target, value)));
    }
}

fn as_it_is(value: &Value) -> Read<Value> {
    Ok(value.clone())
}

fn seconds(value: &Value, least: u32) -> Read<Value> {
    let seconds = integer(least..=u32::MAX)(value)?;
    Ok(json!(format!("{seconds}s")))
}

fn action(value: &Value, when_true: &str) -> Read<Value> {
    Ok(json!(if flag(value)? { when_true } else { "proceed" }))
}

/// The default waits with another first step.
fn waits_with_first(first: Value) -> Value {
    let waits = Lockout::default().waits;
    let mut waits: Map<_, _> = waits
        .iter()
        .map(|(failures, wait)| (failures.to_string(), Value::from(wait.to_text())))
        .collect();
    waits.insert("1".into(), first);
    Value::Object(waits)
}

/// Takes a section out of the root and reads it.
fn visit(
    root: &mut Map<String, Value>,
    key: &str,
    report: &mut Report,
    read: impl FnOnce(&mut Section<'_, '_>),
) {
    let camel = camel_case(key);
    let plain = root.remove(key);
    let spelled = if camel == key { None } else { root.remove(&camel) };
    if plain.is_some() && spelled.is_some() {
        report.fault(key, format!("found it twice, also as {camel}; once would do"));
    }
    let Some(value) = plain.or(spelled) else { return };
    match value.as_object() {
        Some(entries) => Section::visit(key, entries, report, |section| read(section)),
        None => report.fault(key, wrong(&value, "a table")),
    }
}

/// Puts a value where the policy has it, unless the file says it there too.
fn put(root: &mut Map<String, Value>, target: [&str; 2], value: Value, written: &str, report: &mut Report) {
    let [section, key] = target;
    // A section that is no table is faulted by the reader.
    let Some(entries) = root.entry(section).or_insert_with(|| json!({})).as_object_mut() else {
        return;
    };
    if entries.contains_key(key) || entries.contains_key(&camel_case(key)) {
        report.fault(
            written,
            format!("found {section}.{key} too, which says the same; one of them would do"),
        );
        return;
    }
    entries.insert(key.to_owned(), value);
    report.moved(format!("{section}.{key}"), written);
}

/// Puts the `max` of a limit, per ten minutes, into the list of limits.
fn put_limit(root: &mut Map<String, Value>, limit: &str, max: Value, written: &str, report: &mut Report) {
    let Some(list) = root.entry("limit").or_insert_with(|| json!([])).as_array_mut() else {
        return;
    };
    let existing = list
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .find(|entry| entry.get("name").and_then(Value::as_str) == Some(limit));
    match existing {
        Some(entry) => {
            for key in ["max", "per", "counts", "by", "purposes"] {
                if let Some(found) = entry.get(key) {
                    let found = describe(found);
                    report.fault(
                        written,
                        format!(
                            "found {} = {found} too; one of them would do",
                            limit_path(limit, key)
                        ),
                    );
                    return;
                }
            }
            entry.insert("max".into(), max);
            entry.insert("per".into(), json!("10m"));
        }
        None => list.push(json!({ "name": limit, "max": max, "per": "10m" })),
    }
    report.moved(limit_path(limit, "max"), written);
}
