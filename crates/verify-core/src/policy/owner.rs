//! The other spelling of a policy: `[verify]`, `[rate_limits]` and `[fraud_guard]`.
//!
//! What these sections say is moved to where the policy has it before the policy is read, so there is one reader;
//! faults still name the key that stands in the file. Saying the same thing in both spellings is a fault.

use serde_json::{Map, Value, json};

use super::defaults::limit_names;
use super::host::{VerifyServices, read_verify_service};
use super::limits::limit_path;
use super::reader::{Report, Section, camel_case};
use super::values::{describe, flag, integer, name};
use super::{Lockout, Wait, duration};

/// The keys of `[rate_limits]` that are limits, each per ten minutes.
const RATE_LIMITS: [(&str, &str); 3] = [
    ("send_per_ip_per_10m", limit_names::SENDS_PER_IP),
    ("send_per_to_per_10m", limit_names::SENDS_PER_DESTINATION),
    ("check_per_identity_per_10m", limit_names::CHECKS_PER_IDENTITY),
];

/// Moves what the other spelling says to where the policy has it.
pub(super) fn translate(root: &mut Map<String, Value>, services: &mut VerifyServices, report: &mut Report) {
    let mut moves = Moves::default();
    visit(root, "verify", report, |verify| {
        services.default = read_verify_service(verify, "service_sid");
        read_verify(verify, &mut moves);
    });
    visit(root, "rate_limits", report, |limits| {
        read_rate_limits(limits, &mut moves)
    });
    visit(root, "fraud_guard", report, |guard| {
        read_fraud_guard(guard, &mut moves)
    });
    for (written, target, value) in moves.values {
        put(root, target, value, &written, report);
    }
    for (written, limit, max) in moves.limits {
        put_limit(root, limit, max, &written, report);
    }
    if let Some((written, wait)) = moves.first_wait {
        report.moved("lockout.waits.1", &written);
        put(
            root,
            ["lockout", "waits"],
            waits_with_first(wait),
            &written,
            report,
        );
    }
}

/// Values on their way: the path where they are written, and where they belong.
#[derive(Default)]
struct Moves {
    values: Vec<(String, [&'static str; 2], Value)>,
    limits: Vec<(String, &'static str, Value)>,
    first_wait: Option<(String, Value)>,
}

fn read_verify(verify: &mut Section<'_, '_>, moves: &mut Moves) {
    let channels = verify.value("channels");
    let default = verify.value("default_channel");
    let targets = [
        ("default_channel", "default", default),
        ("channels", "enabled", channels),
        ("fallback_channels", "fallback", verify.value("fallback_channels")),
        ("default_locale", "default_locale", verify.value("default_locale")),
    ];
    for (key, target, value) in targets {
        moves
            .values
            .extend(value.map(|value| (verify.path_of(key), ["channels", target], value.clone())));
    }
    // The first of the channels is the default where none is named.
    if let (None, Some(first)) = (default, channels.and_then(|list| list.get(0))) {
        moves
            .values
            .push((verify.path_of("channels"), ["channels", "default"], first.clone()));
    }
    if let Some(seconds) = verify.optional("code_ttl_seconds", integer(1..=u32::MAX)) {
        moves.values.push((
            verify.path_of("code_ttl_seconds"),
            ["code", "ttl"],
            json!(format!("{seconds}s")),
        ));
    }
}

fn read_rate_limits(limits: &mut Section<'_, '_>, moves: &mut Moves) {
    for (key, limit) in RATE_LIMITS {
        moves.limits.extend(
            limits
                .value(key)
                .map(|max| (limits.path_of(key), limit, max.clone())),
        );
    }
    let key = "cooldown_seconds_after_failed_check";
    if let Some(seconds) = limits.optional(key, integer(0..=u32::MAX)) {
        moves.first_wait = Some((limits.path_of(key), json!(format!("{seconds}s"))));
    }
}

fn read_fraud_guard(guard: &mut Section<'_, '_>, moves: &mut Moves) {
    let mut put = |written, target, value| moves.values.push((written, ["risk", target], value));
    if let Some(enabled) = guard.optional("enabled", flag) {
        put(guard.path_of("enabled"), "enabled", json!(enabled));
    }
    if let Some(block) = guard.optional("block_on_high_risk", flag) {
        put(
            guard.path_of("block_on_high_risk"),
            "high",
            json!(if block { "refuse" } else { "proceed" }),
        );
    }
    if let Some(step_up) = guard.optional("step_up_on_medium_risk", flag) {
        let action = if step_up { "step_up" } else { "proceed" };
        put(guard.path_of("step_up_on_medium_risk"), "medium", json!(action));
    }
    if let Some(factor) = guard.optional("step_up_channel", name) {
        put(guard.path_of("step_up_channel"), "step_up", json!([factor]));
    }
}

/// The default waits with another first step.
fn waits_with_first(first: Value) -> Value {
    let defaults = Lockout::default();
    let mut waits: Map<String, Value> = defaults
        .waits
        .iter()
        .map(|(failures, wait)| {
            let text = match wait {
                Wait::For(span) => duration::print(*span),
                Wait::Never => "never".into(),
            };
            (failures.to_string(), Value::from(text))
        })
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
        None => report.fault(key, super::values::wrong(&value, "a table")),
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
            for key in ["max", "per", "counts", "by"] {
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
