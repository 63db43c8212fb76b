//! Keys that nobody serves from: read or filled whole.
//!
//! There is no transaction around all of it. A mark says that a store is being filled, and for as long as it is there nobody serves from
//! that store; who begins again after one that was broken off drops what it left.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::time::{Instant, timeout};
use verify_batch::LaneRow;
use verify_batch::copy::{Entry, Source, Table, Target};
use verify_core::store::{Origin, StoreFault, Work};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::connect::Line;
use crate::epoch;
use crate::errors::{OpenError, words};
use crate::keys::{Keys, parts, pattern};
use crate::nodes::{Asked, Nodes, Times};
use crate::options::{RedisOptions, checked_prefix};
use crate::room;
use crate::script::{By, COPY_BEGIN, COPY_END, Script};
use crate::work::{limit, read};

/// Keys that a server names at a time.
const PAGE: usize = 1_000;
/// So long a page may take: nobody waits for it.
const WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a scope, which the bytes of a counter's key begin with.
const SCOPE: usize = 8;

/// The keys of a store that nobody serves from, as long as this is there: for a copy. Which ones there are is looked at once; whoever
/// serves meanwhile is noticed only while somebody has lent it work.
pub struct RedisKeys {
    options: RedisOptions,
    nodes: Arc<Nodes>,
    store: Keys,
    found: Found,
    /// What the mark of a copy says that is made here.
    me: [u8; 16],
    /// The services that a copy has put here.
    filled: Mutex<Vec<ServiceId>>,
}

/// What is there.
#[derive(Default)]
struct Found {
    services: BTreeMap<ServiceId, Held>,
    is_marked: bool,
    /// Anything but the mark.
    has_more: bool,
    is_served: bool,
}

/// What there is of a service: the bytes of keys.
#[derive(Default)]
struct Held {
    has_lane: bool,
    counters: BTreeSet<Vec<u8>>,
    records: BTreeSet<Vec<u8>>,
    claims: BTreeSet<Vec<u8>>,
}

/// The keys of the store on one server, page by page.
struct Scan<'a> {
    line: &'a Line,
    pattern: String,
    /// `None`: that was all.
    cursor: Option<String>,
}

impl<'a> Scan<'a> {
    fn of(line: &'a Line, prefix: &str) -> Self {
        Self {
            line,
            pattern: pattern(prefix),
            cursor: Some("0".to_owned()),
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>, StoreFault> {
        let Some(cursor) = self.cursor.take() else {
            return Ok(None);
        };
        let mut command = redis::cmd("SCAN");
        command
            .arg(cursor)
            .arg("MATCH")
            .arg(&self.pattern)
            .arg("COUNT")
            .arg(PAGE);
        let page = in_a_row(self.line, &[command]).await?.pop();
        let (next, keys): (String, Vec<Vec<u8>>) = read(page.unwrap_or_default())?;
        self.cursor = Some(next).filter(|next| next != "0");
        Ok(Some(keys))
    }
}

impl Found {
    async fn at(lines: &[Line], prefix: &str) -> Result<Self, StoreFault> {
        let mut found = Self::default();
        for line in lines {
            let mut scan = Scan::of(line, prefix);
            while let Some(keys) = scan.next().await? {
                let mut hashes = Vec::new();
                for key in &keys {
                    if let Some((service, print)) = found.take(prefix, key) {
                        hashes.push((service, print, redis::cmd("HKEYS").arg(key).clone()));
                    }
                }
                let commands: Vec<Cmd> = hashes.iter().map(|(_, _, command)| command.clone()).collect();
                let scopes = in_a_row(line, &commands).await?;
                for ((service, print, _), scopes) in hashes.into_iter().zip(scopes) {
                    let held = found.services.entry(service).or_default();
                    for scope in read::<Vec<Vec<u8>>>(scopes)? {
                        held.counters.insert([scope.as_slice(), &print].concat());
                    }
                }
            }
        }
        Ok(found)
    }

    /// Takes in a key. Of one with counters, whose and of which fingerprint.
    fn take(&mut self, prefix: &str, key: &[u8]) -> Option<(ServiceId, Vec<u8>)> {
        let (service, kind, name) = parts(prefix, key)?;
        let Some(service) = service else {
            self.is_marked |= kind == b'f';
            self.has_more |= kind != b'f';
            return None;
        };
        self.has_more = true;
        let held = self.services.entry(service.clone()).or_default();
        match kind {
            b'l' => held.has_lane = true,
            b'r' => drop(held.records.insert(name.to_owned())),
            b'm' => drop(held.claims.insert(name.to_owned())),
            b'c' => return Some((service, name.to_owned())),
            // Whoever only has a sink for events says so for days.
            b'w' => self.is_served |= name != [Work::Sink.tag()],
            _ => {}
        }
        None
    }
}

/// Sends commands one behind the other; the answer to each, of which none may be an error.
async fn in_a_row(line: &Line, commands: &[Cmd]) -> Result<Vec<Value>, StoreFault> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let answers = timeout(WITHIN, line.ask_in_a_row(commands)).await;
    let answers = answers.map_err(|_elapsed| StoreFault::unavailable("the server did not answer in time"))?;
    let answers = answers.and_then(|answers| answers.into_iter().map(Value::extract_error).collect());
    answers.map_err(|error| StoreFault::unavailable(&words(&error)))
}

impl RedisKeys {
    /// Connects, and looks at which keys there are.
    ///
    /// # Errors
    /// [`OpenError::InUse`] while somebody is seen to serve from them.
    pub async fn alone(options: &RedisOptions) -> Result<Self, OpenError> {
        checked_prefix(&options.prefix)?;
        let nodes = Arc::new(Nodes::of(options)?);
        let until = Instant::now() + options.connect + options.command;
        let lines = nodes.all(until).await;
        let lines = lines.map_err(|failed| OpenError::of(failed.into(), options))?;
        for line in &lines {
            room::check(line).await?;
        }
        let found = Found::at(&lines, &options.prefix).await?;
        // What is half filled nobody serves from.
        if found.is_served && !found.is_marked {
            return Err(OpenError::InUse);
        }
        Ok(Self {
            store: Keys::of_store(&options.prefix),
            me: epoch::name()?,
            options: options.clone(),
            filled: Mutex::default(),
            nodes,
            found,
        })
    }

    fn keys(&self, service: &ServiceId) -> Keys {
        Keys::of(&self.options.prefix, service)
    }

    async fn line(&self, slot: u16) -> Result<Line, StoreFault> {
        Ok(self.nodes.line_of(slot, Instant::now() + WITHIN).await?)
    }

    /// Asks the server that has a slot.
    async fn row(&self, slot: u16, commands: &[Cmd]) -> Result<Vec<Value>, StoreFault> {
        in_a_row(&self.line(slot).await?, commands).await
    }

    /// The same with one command, which as many replicas have afterwards as each answer of a store waits for.
    async fn kept(&self, slot: u16, command: Asked<'_>) -> Result<Value, StoreFault> {
        let mut times = Times::until(Instant::now() + WITHIN);
        times.wait = self.options.wait_replicas;
        let answered = self.nodes.ask(slot, command, times).await?;
        match answered.is_replicated {
            true => Ok(answered.value),
            false => Err(StoreFault::unavailable("too few replicas have it")),
        }
    }

    /// A script of the store's own slot: whether it did it.
    async fn runs(&self, script: &Script, keys: &[Vec<u8>], args: &[&[u8]]) -> Result<bool, StoreFault> {
        let command = |_: &Line, by: By| script.command(by, keys, args);
        read(self.kept(self.store.slot, &command).await?)
    }

    async fn epoch_in(&self, key: Vec<u8>, slot: u16) -> Result<Option<Origin>, StoreFault> {
        let line = self.line(slot).await?;
        let mut command = redis::cmd("HMGET");
        command.arg(key).arg(&epoch::FIELDS);
        let found = in_a_row(&line, &[command]).await?.pop();
        epoch::found(found.unwrap_or_default(), line.clock())
    }

    /// Drops what a copy left that was broken off, all but its mark.
    async fn drop_all(&self) -> Result<(), StoreFault> {
        let [.., mark] = self.store.store();
        for line in self.nodes.all(Instant::now() + WITHIN).await? {
            let mut scan = Scan::of(&line, &self.options.prefix);
            while let Some(keys) = scan.next().await? {
                let ours = keys.iter().filter(|key| **key != mark);
                let ours = ours.filter(|key| parts(&self.options.prefix, key).is_some());
                let commands: Vec<Cmd> = ours.map(|key| redis::cmd("UNLINK").arg(key).clone()).collect();
                in_a_row(&line, &commands).await?;
            }
        }
        Ok(())
    }

    async fn events(&self, keys: &Keys, after: &[u8], most: usize) -> Result<Vec<Entry>, StoreFault> {
        let mut command = redis::cmd("XRANGE");
        command.arg(keys.outbox());
        match after.try_into().map(u64::from_be_bytes) {
            Ok(after) => command.arg(format!("({after}-0")),
            Err(_) => command.arg("-"),
        };
        command.arg("+").arg("COUNT").arg(limit(most));
        let events = self.row(keys.slot, &[command]).await?.pop();
        let events: Vec<(String, Vec<Vec<u8>>)> = read(events.unwrap_or_default())?;
        let entry = |(place, fields): (String, Vec<Vec<u8>>)| {
            let broken = || StoreFault::corrupt("an event's place is not in its format");
            let place: u64 = place
                .split('-')
                .next()
                .and_then(|place| place.parse().ok())
                .ok_or_else(broken)?;
            Ok(Entry {
                key: place.to_be_bytes().to_vec(),
                bytes: fields.into_iter().nth(1).ok_or_else(broken)?,
            })
        };
        events.into_iter().map(entry).collect()
    }
}

#[async_trait]
impl Source for RedisKeys {
    /// Of all that have an epoch of their own, as careful as the most careful one: what one service has lost, the copy has lost.
    async fn origin(&self) -> Result<Option<Origin>, StoreFault> {
        if self.found.is_marked {
            return Ok(None);
        }
        let [epoch, ..] = self.store.store();
        let Some(mut origin) = self.epoch_in(epoch, self.store.slot).await? else {
            return Ok(None);
        };
        origin.moved = None;
        for (service, _) in self.found.services.iter().filter(|(_, held)| held.has_lane) {
            let keys = self.keys(service);
            let own = self.epoch_in(keys.lane(), keys.slot).await?;
            origin.accepted &= own.is_some_and(|own| own.accepted);
            origin.made = origin.made.max(own.map_or(origin.made, |own| own.made));
        }
        Ok(Some(origin))
    }

    async fn lanes(&self) -> Result<Vec<(ServiceId, LaneRow)>, StoreFault> {
        let mut lanes = Vec::new();
        for (service, _) in self.found.services.iter().filter(|(_, held)| held.has_lane) {
            let keys = self.keys(service);
            let mut lane = redis::cmd("HMGET");
            lane.arg(keys.lane()).arg(&["version", "seq", "bytes"]);
            let waiting = redis::cmd("XLEN").arg(keys.outbox()).clone();
            let mut answers = self.row(keys.slot, &[lane, waiting]).await?.into_iter();
            let (version, seq, bytes): (Option<u64>, Option<u64>, Option<u64>) =
                read(answers.next().unwrap_or_default())?;
            let lane = LaneRow {
                version: version.unwrap_or(0),
                seq: seq.unwrap_or(0),
                events: read(answers.next().unwrap_or_default())?,
                bytes: bytes.unwrap_or(0),
            };
            lanes.push((service.clone(), lane));
        }
        Ok(lanes)
    }

    async fn entries(
        &self,
        service: &ServiceId,
        table: Table,
        after: &[u8],
        most: usize,
    ) -> Result<Vec<Entry>, StoreFault> {
        let keys = self.keys(service);
        let Some(held) = self.found.services.get(service) else {
            return Ok(Vec::new());
        };
        let names = match table {
            Table::Counters => &held.counters,
            Table::Records => &held.records,
            Table::Claims => &held.claims,
            Table::Events => return self.events(&keys, after, most).await,
        };
        let mut behind = names.range::<[u8], _>((Bound::Excluded(after), Bound::Unbounded));
        loop {
            let names: Vec<&Vec<u8>> = behind.by_ref().take(most).collect();
            let commands: Vec<Cmd> = names.iter().map(|name| reading(&keys, table, name)).collect();
            let values = self.row(keys.slot, &commands).await?;
            let mut there = Vec::new();
            for (name, value) in names.iter().zip(values) {
                let bytes: Option<Vec<u8>> = read(value)?;
                let key = name.to_vec();
                there.extend(bytes.map(|bytes| Entry { key, bytes }));
            }
            // All of a page may have ended since it was looked at.
            if !there.is_empty() || names.is_empty() {
                return Ok(there);
            }
        }
    }
}

/// The scope and the fingerprint of a counter's key.
fn of_counter(name: &[u8]) -> (&[u8], &[u8]) {
    name.split_at_checked(SCOPE).unwrap_or((name, &[]))
}

fn reading(keys: &Keys, table: Table, name: &[u8]) -> Cmd {
    match table {
        Table::Counters => {
            let (scope, print) = of_counter(name);
            redis::cmd("HGET")
                .arg(keys.counters_named(print))
                .arg(scope)
                .clone()
        }
        Table::Records => redis::cmd("GET").arg(keys.record_named(name)).clone(),
        Table::Claims | Table::Events => redis::cmd("GET").arg(keys.claim_named(name)).clone(),
    }
}

/// What is to be written of a page, as of an instant.
struct Page<'a> {
    keys: &'a Keys,
    now: Timestamp,
    margin: Duration,
}

impl Page<'_> {
    /// Milliseconds that a key has which ends then. `None`: it is over.
    fn left(&self, ends: Timestamp) -> Option<u64> {
        let left = (ends + self.margin).since(self.now).as_millis();
        u64::try_from(left).ok().filter(|left| *left > 0)
    }

    fn record(&self, entry: &Entry) -> Result<Vec<Cmd>, StoreFault> {
        let row = entry.row()?;
        let mut set = redis::cmd("SET");
        set.arg(self.keys.record_named(&entry.key)).arg(&entry.bytes);
        if let Some(ends) = row.expires_at {
            let Some(left) = self.left(ends) else {
                return Ok(Vec::new());
            };
            set.arg("PX").arg(left);
        }
        let mut commands = vec![set];
        if let Some(due) = row.due {
            let mut add = redis::cmd("ZADD");
            add.arg(self.keys.due()).arg(due.as_millis()).arg(&entry.key);
            commands.push(add);
        }
        if let (None, Some(seal)) = (row.expires_at, row.under.seal) {
            let under = [row.under.fingerprint.get(), seal.get()];
            let mut add = redis::cmd("ZADD");
            add.arg(self.keys.durable())
                .arg(0)
                .arg([under.as_slice(), &entry.key].concat());
            commands.push(add);
        }
        Ok(commands)
    }

    fn claim(&self, entry: &Entry) -> Result<Vec<Cmd>, StoreFault> {
        let left = self.left(entry.claim()?.expires_at);
        let mut set = redis::cmd("SET");
        set.arg(self.keys.claim_named(&entry.key)).arg(&entry.bytes);
        Ok(left
            .map(|left| set.arg("PX").arg(left).clone())
            .into_iter()
            .collect())
    }

    fn event(&self, entry: &Entry) -> Result<Vec<Cmd>, StoreFault> {
        let place = entry.key.as_slice().try_into().map(u64::from_be_bytes);
        let place = place.map_err(|_| StoreFault::corrupt("an event's place is not eight bytes"))?;
        let mut add = redis::cmd("XADD");
        add.arg(self.keys.outbox()).arg(format!("{place}-0"));
        Ok(vec![add.arg("e").arg(&entry.bytes).clone()])
    }

    /// Counters of a fingerprint lie together, and end with the last of them: with each, how long that is at least.
    fn counters(&self, entries: &[Entry]) -> Result<Vec<(Vec<u8>, u64, Cmd)>, StoreFault> {
        let mut hashes = BTreeMap::<&[u8], (u64, Cmd)>::new();
        for entry in entries {
            let Some(left) = self.left(entry.counter_ends()?) else {
                continue;
            };
            let (scope, print) = of_counter(&entry.key);
            let begun = || (0, redis::cmd("HSET").arg(self.keys.counters_named(print)).clone());
            let (longest, set) = hashes.entry(print).or_insert_with(begun);
            *longest = left.max(*longest);
            set.arg(scope).arg(&entry.bytes);
        }
        let hashes = hashes.into_iter();
        Ok(hashes
            .map(|(print, (longest, set))| (self.keys.counters_named(print), longest, set))
            .collect())
    }
}

#[async_trait]
impl Target for RedisKeys {
    /// What a copy left that was broken off is nothing.
    async fn is_empty(&self) -> Result<bool, StoreFault> {
        Ok(self.found.is_marked || !self.found.has_more)
    }

    async fn begin(&self) -> Result<(), StoreFault> {
        match self.runs(&COPY_BEGIN, &self.store.store(), &[&self.me]).await? {
            true => self.drop_all().await,
            false => Err(StoreFault::unavailable("somebody has begun to serve from it")),
        }
    }

    async fn put_lane(&self, service: &ServiceId, lane: LaneRow) -> Result<(), StoreFault> {
        let keys = self.keys(service);
        let mut set = redis::cmd("HSET");
        set.arg(keys.lane());
        for (field, value) in [
            ("version", lane.version),
            ("seq", lane.seq),
            ("bytes", lane.bytes),
        ] {
            set.arg(field).arg(value);
        }
        self.row(keys.slot, &[set]).await?;
        let [_, list, marked, _] = self.store.store();
        let listed = redis::cmd("ZADD").arg(list).arg(0).arg(service.as_str()).clone();
        let marked = redis::cmd("SADD").arg(marked).arg(service.as_str()).clone();
        self.row(self.store.slot, &[listed, marked]).await?;
        self.filled.lock().push(service.clone());
        Ok(())
    }

    async fn put(&self, service: &ServiceId, table: Table, entries: Vec<Entry>) -> Result<(), StoreFault> {
        let keys = self.keys(service);
        let line = self.line(keys.slot).await?;
        let page = Page {
            keys: &keys,
            now: line.clock(),
            margin: self.options.margin,
        };
        let write = match table {
            Table::Counters => {
                let hashes = page.counters(&entries)?;
                let ttl = |key: &Vec<u8>| redis::cmd("PTTL").arg(key).clone();
                let written = hashes.iter().flat_map(|(key, _, set)| [set.clone(), ttl(key)]);
                let answers = in_a_row(&line, &written.collect::<Vec<_>>()).await?;
                let mut commands = Vec::new();
                for ((key, longest, _), left) in hashes.iter().zip(answers.into_iter().skip(1).step_by(2)) {
                    if read::<i64>(left)? < i64::try_from(*longest).unwrap_or(i64::MAX) {
                        commands.push(redis::cmd("PEXPIRE").arg(key).arg(longest).clone());
                    }
                }
                return in_a_row(&line, &commands).await.map(drop);
            }
            Table::Records => Page::record,
            Table::Claims => Page::claim,
            Table::Events => Page::event,
        };
        let mut commands = Vec::new();
        for entry in &entries {
            commands.extend(write(&page, entry)?);
        }
        in_a_row(&line, &commands).await.map(drop)
    }

    /// The mark goes last, and only where it is still this copy's.
    async fn end(&self, origin: Origin) -> Result<(), StoreFault> {
        let (made, accepted) = (
            origin.made.as_millis().to_string(),
            u8::from(origin.accepted).to_string(),
        );
        let filled = self.filled.lock().clone();
        for service in filled {
            let keys = self.keys(&service);
            let mut set = redis::cmd("HSET");
            set.arg(keys.lane()).arg("epoch").arg(origin.epoch.0.as_slice());
            set.arg("made").arg(&made).arg("accepted").arg(&accepted);
            self.kept(keys.slot, &|_: &Line, _: By| set.clone()).await?;
        }
        let [epoch, _, _, mark] = self.store.store();
        let args: [&[u8]; 4] = [&self.me, &origin.epoch.0, made.as_bytes(), accepted.as_bytes()];
        match self.runs(&COPY_END, &[epoch, mark], &args).await? {
            true => Ok(()),
            false => Err(StoreFault::unavailable(
                "another copy into it has begun meanwhile",
            )),
        }
    }
}
