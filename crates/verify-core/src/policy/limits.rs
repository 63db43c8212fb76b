//! The limits of a policy file: a list whose entries change the limit of their name, or add one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::reader::{Section, join};
use super::values::{
    NONE, Read, UNLIMITED, describe, name, span, units_or_unlimited, word, word_list, wrong,
};
use super::{Counts, Limit, Max, Then};
use crate::vocabulary::Dimension;

/// Reads `[[limit]]` over the limits that hold already.
pub(super) fn read_limits(section: &mut Section<'_, '_>, limits: &mut Vec<Limit>) {
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
                section.report().fault(&format!("{path}.name"), message);
                continue;
            }
        };
        let path = join(&list, &named);
        if !seen.insert(named.clone()) {
            section
                .report()
                .fault(&path, "found the name twice; one entry would do");
            continue;
        }
        section.table_at(&path, table, |entry| read_limit(entry, &named, limits));
    }
}

/// What an entry says, over what the limit of its name says already.
struct Draft {
    counts: Option<Counts>,
    by: Option<Vec<Dimension>>,
    or_by: Option<Dimension>,
    max: Option<Max>,
    per: Option<Duration>,
    then: Then,
}

fn read_limit(entry: &mut Section<'_, '_>, name: &str, limits: &mut Vec<Limit>) {
    let place = limits.iter().position(|limit| *limit.name == *name);
    let base = place.and_then(|place| limits.get(place));
    let mut draft = Draft {
        counts: base.map(|limit| limit.counts),
        by: base.map(|limit| limit.by.clone()),
        or_by: base.and_then(|limit| limit.or_by),
        max: base.map(|limit| limit.max),
        per: base.map(|limit| limit.per),
        then: base.map_or(Then::Refuse, |limit| limit.then),
    };
    read_draft(entry, &mut draft);

    let missing = [
        ("counts", draft.counts.is_none()),
        ("by", draft.by.is_none()),
        ("max", draft.max.is_none()),
        ("per", draft.per.is_none()),
    ];
    for (key, is_missing) in missing {
        if is_missing && !entry.has(key) {
            entry.fault(
                key,
                "found nothing; a limit that is not among the default ones needs counts, by, max and per",
            );
        }
    }
    let Draft {
        counts: Some(counts),
        by: Some(by),
        or_by,
        max: Some(max),
        per: Some(per),
        then,
    } = draft
    else {
        return;
    };
    let limit = Limit {
        name: name.into(),
        counts,
        by,
        or_by,
        max,
        per,
        then,
    };
    match place.and_then(|place| limits.get_mut(place)) {
        Some(existing) => *existing = limit,
        None => limits.push(limit),
    }
}

fn read_draft(entry: &mut Section<'_, '_>, draft: &mut Draft) {
    entry.value("name");
    let counted = draft.counts;
    entry.set("counts", &mut draft.counts, |value| word(value).map(Some));
    entry.set("by", &mut draft.by, |value| word_list(value).map(Some));
    entry.set("or_by", &mut draft.or_by, dimension_or_none);
    entry.set("per", &mut draft.per, |value| span(value).map(Some));
    entry.set("then", &mut draft.then, word);
    match entry.value("max") {
        // What counts is wrong already: whether a number or an amount is meant cannot be told.
        Some(_) if draft.counts.is_none() => {}
        Some(value) => {
            if let Some(max) = read_max(entry, "max", value, draft.counts) {
                draft.max = Some(max);
            }
        }
        None => {
            let money = |counts| counts == Some(Counts::Spend);
            if counted.is_some() && money(counted) != money(draft.counts) && draft.max != Some(Max::Unlimited)
            {
                entry.fault(
                    "max",
                    "found nothing; what counts has changed, so max must be said anew",
                );
            }
        }
    }
}

/// How much a limit admits: an amount where it counts spend, a number elsewhere. A fault is noted.
pub(super) fn read_max(
    section: &mut Section<'_, '_>,
    key: &str,
    value: &Value,
    counts: Option<Counts>,
) -> Option<Max> {
    if counts != Some(Counts::Spend) || value.as_str() == Some(UNLIMITED) {
        return units_or_unlimited(value)
            .map_err(|message| section.fault(key, message))
            .ok();
    }
    let micros = section.amount(key, value)?;
    if micros == 0 {
        section.fault(
            key,
            format!(
                "found {}; more than nothing, or \"unlimited\", would do",
                describe(value)
            ),
        );
        return None;
    }
    Some(Max::Units(micros))
}

/// The path of a limit's key: limits are named, not numbered.
pub(super) fn limit_path(name: &str, key: &str) -> String {
    join(&join("limit", name), key)
}

fn dimension_or_none(value: &Value) -> Read<Option<Dimension>> {
    if value.as_str() == Some(NONE) {
        return Ok(None);
    }
    word(value).map(Some).map_err(|_| {
        wrong(
            value,
            format_args!("none, or one of {}", super::words::all::<Dimension>()),
        )
    })
}
