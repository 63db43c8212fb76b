//! Servers looked at by somebody who does not serve from them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use verify_core::store::{Origin, StoreFault};
use verify_core::time::Timestamp;

use crate::connect::{Line, value};
use crate::epoch;
use crate::errors::{OpenError, words};
use crate::keys::Keys;
use crate::nodes::Nodes;
use crate::options::{RedisOptions, checked_prefix};
use crate::room::{self, Memory};

/// What servers are.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The server's name and version, as it says them.
    pub server: String,
    /// Why nobody can serve from there, whatever is in it: too old, or it forgets when its memory is full.
    pub unfit: Option<OpenError>,
    /// True when it follows another server: nothing can be written there.
    pub replica: bool,
    /// True when a copy into it is under way, or was broken off.
    pub half_copied: bool,
    /// Where what it holds comes from. `None`: it was never served from, or it lost its data.
    pub origin: Option<Origin>,
    /// Bytes of memory that all servers use, for this store and whatever else is there.
    pub held: u64,
    /// The part of `maxmemory` that is used, 0 to 1, of the fullest server. `None`: nothing bounds any.
    pub room_used: Option<f64>,
    /// Settings of the servers under which what was answered may be lost: name and value.
    pub weak: Vec<(String, String)>,
    /// True when a server does not say how it syncs (`CONFIG GET` is forbidden).
    pub syncs_untold: bool,
    /// The server's clock.
    pub clock: Timestamp,
    /// How long a command and its answer take.
    pub round_trip: Duration,
}

/// Looks at servers. Nothing is made and nothing changed.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub async fn inspect(options: &RedisOptions) -> Result<Inspection, OpenError> {
    checked_prefix(&options.prefix)?;
    let nodes = Arc::new(Nodes::of(options)?);
    let until = Instant::now() + options.connect + options.command;
    let lines = nodes.to_look_at(until).await;
    let lines = lines.map_err(|failed| OpenError::of(failed.into(), options))?;
    let store = Keys::of_store(&options.prefix);
    // A server that follows has no slot of its own.
    let line = nodes.line_of(store.slot, until).await.ok();
    let Some(line) = line.as_ref().or(lines.first()) else {
        return Err(OpenError::Connect("no server is named".to_owned()));
    };
    let (mut unfit, mut held, mut fullest) = (None, 0, Memory::default());
    let (mut weak, mut syncs_untold) = (Vec::new(), false);
    for line in &lines {
        match room::check(line).await {
            Err(error @ OpenError::Connect(_)) => return Err(error),
            checked => unfit = unfit.or(checked.err()),
        }
        let memory = room::memory(line).await?;
        held += memory.used;
        if memory.part() > fullest.part() {
            fullest = memory;
        }
        syncs_untold |= syncs(line, &mut weak).await?;
    }
    let began = Instant::now();
    let time: (u64, u64) = ask(line, redis::cmd("TIME")).await?;
    let round_trip = began.elapsed();
    let [epoch, _, _, filled] = store.store();
    let mut exists = redis::cmd("EXISTS");
    let mut fields = redis::cmd("HMGET");
    fields.arg(epoch).arg(&epoch::FIELDS);
    let clock = Timestamp::from_millis(time.0 * 1_000 + time.1 / 1_000);
    Ok(Inspection {
        server: name(&room::info(line, "server").await?),
        unfit,
        replica: line.role.is_replica,
        half_copied: ask(line, exists.arg(filled).clone()).await?,
        origin: epoch::found(ask(line, fields).await?, clock)?,
        held,
        room_used: (fullest.most > 0).then(|| fullest.part()),
        weak,
        syncs_untold,
        clock,
        round_trip,
    })
}

async fn ask<A: redis::FromRedisValue>(line: &Line, command: redis::Cmd) -> Result<A, StoreFault> {
    let answer = line.ask(&command).await;
    let answer = answer.map_err(|error| StoreFault::unavailable(&words(&error)))?;
    crate::work::read(answer)
}

/// Name and version, as `INFO` has them.
fn name(said: &str) -> String {
    match (value(said, "valkey_version"), value(said, "redis_version")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "of an unknown version".to_owned(),
    }
}

/// Adds the settings under which what a server answered may be lost, each once. True when it does not say how it syncs.
async fn syncs(line: &Line, weak: &mut Vec<(String, String)>) -> Result<bool, StoreFault> {
    let asked = ["appendonly", "appendfsync"].map(|name| redis::cmd("CONFIG").arg("GET").arg(name).clone());
    let said = line.ask_in_a_row(&asked).await;
    let said = said.map_err(|error| StoreFault::unavailable(&words(&error)))?;
    // Name and value; an error is no such pair.
    let mut said = said
        .into_iter()
        .filter_map(|said| redis::from_redis_value::<(String, String)>(said).ok())
        .map(|(_, value)| value);
    let (appends, syncs) = (said.next(), said.next());
    let is_untold = appends.is_none();
    let appends = match appends {
        Some(appends) => appends == "yes",
        None => value(&room::info(line, "persistence").await?, "aof_enabled") == Some("1"),
    };
    let found = match (appends, syncs.as_deref()) {
        (false, _) => ("appendonly", "no"),
        (true, None | Some("always")) => return Ok(is_untold),
        (true, Some(syncs)) => ("appendfsync", syncs),
    };
    let found = (found.0.to_owned(), found.1.to_owned());
    if !weak.contains(&found) {
        weak.push(found);
    }
    Ok(false)
}
