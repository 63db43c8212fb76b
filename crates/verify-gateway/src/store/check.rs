//! What `store check` says of a store, finding by finding.

use std::path::Path;

use verify_core::port::Clock as _;
use verify_core::store::{Epoch, Origin};
use verify_core::time::{SKEW, Timestamp};
use verify_engine::SystemClock;
use verify_http::views::rfc3339;
use verify_postgres::{OpenError, PostgresOptions};
use verify_redis::RedisOptions;
use verify_sqlite::{Durability, inspect};

use super::tools::{ToolError, file_of};
use super::{exposed, names};
use crate::config::{self, Storage, Store};
use crate::state_dir::{StateDir, to_hex};
use crate::tools::Said;

/// From this part of its room on a store is worth a word.
const NEARLY_FULL: f64 = 0.8;

/// Findings, each with whether it is as it should be.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<String>,
    is_wrong: bool,
}

impl Report {
    pub(super) fn find(&mut self, is_well: bool, what: &str, words: impl Into<String>) {
        self.is_wrong |= !is_well;
        let mark = if is_well { "ok   " } else { "WRONG" };
        self.lines.push(format!("{mark} {what}: {}", words.into()));
    }

    pub(super) fn said(self) -> Said {
        let text = self.lines.join("\n");
        match self.is_wrong {
            true => Said::no(text),
            false => Said::well(text),
        }
    }
}

/// Says how a store is, and changes nothing.
pub(super) async fn check(storage: &Storage) -> Result<Said, ToolError> {
    match &storage.store {
        Store::Memory => Err(ToolError::InMemory),
        Store::Sqlite(_) => check_file(storage, file_of(&storage.store)?),
        Store::Postgres(url) => check_postgres(storage, &storage.postgres(url)?).await,
        Store::Redis(url) => check_redis(storage, &storage.redis(url)?).await,
    }
}

fn check_file(storage: &Storage, path: &Path) -> Result<Said, ToolError> {
    let found = inspect(&storage.sqlite(path))?;
    let remembered = StateDir::at(&storage.state_dir).remembered(&names(storage, &storage.store)?)?;
    let mut report = Report::default();
    report.find(true, "store", storage.store.to_string());
    match exposed::file(path) {
        None => report.find(true, "file", "for its owner alone"),
        Some(words) => report.find(false, "file", words),
    }
    check_directories(storage, &mut report);
    if let Some(damage) = &found.damage {
        report.find(false, "file", format!("damaged, restore a copy of it: {damage}"));
    }
    check_schema((found.schema, found.needs, found.known), &mut report);
    match storage.durability {
        Durability::Full => report.find(true, "durability", "full: what was answered survives a loss of power"),
        Durability::Process => report.find(
            false,
            "durability",
            "process: a loss of power may take the last seconds, and with them used budgets and accepted codes; unset \
             VERIFY_STORE_DURABILITY (store_durability in the file)",
        ),
    }
    check_epoch(found.origin, remembered, &mut report);
    report.find(true, "clock", "this machine's own, as the gateway's");
    let space = found.space;
    let percent = (space.part() * 100.0).floor();
    let (used, most) = (config::size(space.used), config::size(space.most));
    let words = format!("{percent} % used, {used} of {most}; from 90 % on strangers are refused");
    report.find(space.part() < NEARLY_FULL, "room", words);
    let trip = found.round_trip.as_secs_f64() * 1_000.0;
    report.find(
        true,
        "round trip",
        format!("{trip:.1} ms to lock, read and unlock"),
    );
    Ok(report.said())
}

fn check_directories(storage: &Storage, report: &mut Report) {
    for (path, words) in exposed::directories(storage) {
        report.find(false, "directory", format!("{}: {words}", path.display()));
    }
}

async fn check_postgres(storage: &Storage, options: &PostgresOptions) -> Result<Said, ToolError> {
    let found = verify_postgres::inspect(options).await?;
    let remembered = StateDir::at(&storage.state_dir).remembered(&names(storage, &storage.store)?)?;
    let mut report = Report::default();
    report.find(
        true,
        "store",
        format!("{}, Postgres {}", storage.store, found.server),
    );
    check_directories(storage, &mut report);
    match found.standby {
        true => report.find(false, "server", OpenError::Standby.to_string()),
        false => report.find(true, "server", "can be written"),
    }
    match found.lacks.is_empty() {
        true => report.find(true, "rights", "this role lacks none"),
        false => report.find(false, "rights", OpenError::Rights(found.lacks).to_string()),
    }
    check_schema((found.schema, found.needs, found.known), &mut report);
    let ours =
        (storage.durability == Durability::Process).then(|| "VERIFY_STORE_DURABILITY = process".to_owned());
    let weak: Vec<_> = found
        .weak
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .chain(ours)
        .collect();
    match weak.is_empty() {
        true => report.find(true, "durability", "the server's: what was answered survives a loss of power"),
        false => report.find(
            false,
            "durability",
            format!(
                "{}: a crash may take the last seconds, and with them used budgets and accepted codes; set it back",
                weak.join(", ")
            ),
        ),
    }
    check_epoch(found.origin, remembered, &mut report);
    check_clock(found.clock, &mut report);
    let held = config::size(found.held);
    report.find(
        true,
        "room",
        format!("{held} of keys and values; from 90 % of VERIFY_STORE_SIZE on strangers are refused"),
    );
    let trip = found.round_trip.as_secs_f64() * 1_000.0;
    report.find(
        true,
        "round trip",
        format!("{trip:.1} ms for a statement and its answer"),
    );
    Ok(report.said())
}

async fn check_redis(storage: &Storage, options: &RedisOptions) -> Result<Said, ToolError> {
    let found = verify_redis::inspect(options).await?;
    let remembered = StateDir::at(&storage.state_dir).remembered(&names(storage, &storage.store)?)?;
    let mut report = Report::default();
    report.find(true, "store", format!("{}, {}", storage.store, found.server));
    check_directories(storage, &mut report);
    match (found.replica, found.unfit) {
        (true, _) => report.find(
            false,
            "server",
            "it is a replica, where nothing can be written; name its master, or all of them",
        ),
        (false, Some(unfit)) => report.find(false, "server", unfit.to_string()),
        (false, None) => report.find(
            true,
            "server",
            "can be written, and forgets nothing when its memory is full (maxmemory-policy noeviction)",
        ),
    }
    check_syncs(&found.weak, found.syncs_untold, &mut report);
    match found.half_copied {
        true => report.find(false, "copy", verify_redis::OpenError::HalfCopied.to_string()),
        false => check_epoch(found.origin, remembered, &mut report),
    }
    check_clock(found.clock, &mut report);
    let held = config::size(found.held);
    match found.room_used {
        None => report.find(
            true,
            "room",
            format!("{held} of memory used, and no maxmemory bounds it"),
        ),
        Some(part) => {
            let percent = (part * 100.0).floor();
            let words =
                format!("{percent} % of maxmemory used, {held} in all; from 90 % on strangers are refused");
            report.find(part < NEARLY_FULL, "room", words);
        }
    }
    let trip = found.round_trip.as_secs_f64() * 1_000.0;
    report.find(
        true,
        "round trip",
        format!("{trip:.1} ms for a command and its answer"),
    );
    Ok(report.said())
}

fn check_syncs(weak: &[(String, String)], untold: bool, report: &mut Report) {
    let weak: Vec<_> = weak
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    match (weak.is_empty(), untold) {
        (true, false) => report.find(
            true,
            "durability",
            "the server's (appendonly yes, appendfsync always): what was answered survives a loss of power",
        ),
        (true, true) => report.find(
            true,
            "durability",
            "the server's, with appendonly yes; which appendfsync it does not tell this user (CONFIG GET): only always keeps \
             all that was answered through a loss of power",
        ),
        (false, _) => report.find(
            false,
            "durability",
            format!(
                "{}: a crash may take the last seconds, or all of it without appendonly, and with them used budgets and \
                 accepted codes; set appendonly yes and appendfsync always",
                weak.join(", ")
            ),
        ),
    }
}

/// The server's clock beside this machine's.
fn check_clock(theirs: Timestamp, report: &mut Report) {
    let ours = SystemClock.now();
    let apart = ours.since(theirs).max(theirs.since(ours));
    let words = format!(
        "{:.1} s apart from this machine's; beyond {} s nothing is decided",
        apart.as_secs_f64(),
        SKEW.as_secs()
    );
    report.find(apart <= SKEW, "clock", words);
}

fn check_schema((schema, needs, known): (u32, u32, u32), report: &mut Report) {
    if needs > known {
        let words = format!(
            "{schema}, which needs a program that knows {needs}; this one knows {known}: run a later program"
        );
        report.find(false, "schema", words);
    } else if schema < known {
        let words =
            format!("{schema}, and this program's is {known}; run `store migrate`, or start the gateway");
        report.find(false, "schema", words);
    } else {
        report.find(true, "schema", format!("{schema}; this program knows {known}"));
    }
}

fn check_epoch(origin: Option<Origin>, remembered: Option<Epoch>, report: &mut Report) {
    let Some(origin) = origin else {
        return match remembered {
            None => report.find(true, "epoch", "none yet; whoever serves from it first makes one"),
            Some(last) => report.find(
                false,
                "epoch",
                format!(
                    "none, and it was {} when it was last used here: its data was lost; restore it, or start the gateway and \
                     say `store accept`",
                    to_hex(last)
                ),
            ),
        };
    };
    let is = format!("{}, made {}", to_hex(origin.epoch), rfc3339(origin.made));
    match remembered {
        _ if !origin.accepted => report.find(
            false,
            "epoch",
            format!("{is}, and nobody accepted it: something may have been lost; `store accept` says that this is what there is"),
        ),
        Some(last) if last != origin.epoch => report.find(
            false,
            "epoch",
            format!(
                "{is}, and it was {} when it was last used here: this is another file, or a copy from before; `store epoch new` \
                 where something may have been lost, `store accept` where not",
                to_hex(last)
            ),
        ),
        Some(_) | None => report.find(true, "epoch", format!("{is}, accepted")),
    }
}
