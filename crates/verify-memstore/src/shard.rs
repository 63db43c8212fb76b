//! One shard: entries by key, and its records by when they are due.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::RandomState;
use verify_core::limit::Counter;
use verify_core::store::{ClaimKey, CounterKey, RecordKey, Room, Row, WrittenUnder, put_off_for};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::ShardCaps;
use crate::expiring_map::{Entry, ExpiringMap, Hashed, Transient};
use crate::kept::{KeptClaim, KeptCounter, KeptRow};
use crate::services::Services;

/// With every newcomer that many others are looked at, so that what is outlived goes faster than what is new comes.
/// What is there already is changed without that: it takes no memory, and a look at others costs cache misses.
const SWEPT_BY_A_NEWCOMER: usize = 4;
/// That many are looked at before something new is refused for want of room.
const SWEPT_FOR_ROOM: usize = 1_024;
/// That many are looked at whenever somebody asks what there is to do, so that idle stores forget too.
pub(crate) const SWEPT_BY_A_LOOK: usize = 16;

/// How many new entries of each kind a changeset brings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Newcomers {
    pub(crate) counters: usize,
    pub(crate) records: usize,
    pub(crate) claims: usize,
}

/// The part of a store that one lock covers.
pub(crate) struct Shard {
    /// Those that have something here.
    pub(crate) services: Services,
    pub(crate) counters: ExpiringMap<CounterKey, KeptCounter>,
    pub(crate) records: ExpiringMap<RecordKey, KeptRow>,
    pub(crate) claims: ExpiringMap<ClaimKey, KeptClaim>,
    /// When records are due, and their hashes: a third of the memory that their keys would take. Should two records
    /// that are due in the same millisecond share all 64 bits, the next command repairs what no tick does.
    due: BTreeSet<(Timestamp, u64)>,
    /// Of those that were due and could not be settled, by their hashes: until when they are put off, and how often they
    /// were. They stand in `due` with that instant.
    put_off: BTreeMap<u64, (Timestamp, u32)>,
}

impl Shard {
    /// An empty shard. All shards of a store have the same hasher: see [`Hashed`].
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            services: Services::default(),
            counters: ExpiringMap::new(hasher.clone()),
            records: ExpiringMap::new(hasher.clone()),
            claims: ExpiringMap::new(hasher),
            due: BTreeSet::new(),
            put_off: BTreeMap::new(),
        }
    }

    pub(crate) fn put_counter(
        &mut self,
        key: &Hashed<CounterKey>,
        state: Counter,
        expires_at: Timestamp,
        at: Timestamp,
    ) {
        let fitted = KeptCounter::fitted(&state, expires_at);
        // In its place: what has grown is mostly charged again.
        if fitted.is_none()
            && let Some(KeptCounter::Large(kept)) = self.counters.get_mut(key)
        {
            **kept = (state, expires_at);
            return;
        }
        let counter = fitted.unwrap_or_else(|| KeptCounter::Large(Box::new((state, expires_at))));
        if self.counters.put(key, counter).is_none() {
            self.services.gains(key.service);
            self.sweep_counters(at, SWEPT_BY_A_NEWCOMER);
        }
    }

    pub(crate) fn put_claim(&mut self, key: &Hashed<ClaimKey>, claim: KeptClaim, at: Timestamp) {
        if self.claims.put(key, claim).is_none() {
            self.services.gains(key.service);
            self.sweep_claims(at, SWEPT_BY_A_NEWCOMER);
        }
    }

    pub(crate) fn put_record(&mut self, key: &Hashed<RecordKey>, row: Row, at: Timestamp) {
        let due = row.due;
        let before = self.records.put(key, row.into());
        let is_new = before.is_none();
        if let Some(before) = before {
            unlist(&mut self.due, &mut self.put_off, key.hash, &before);
        }
        if let Some(due) = due {
            self.due.insert((due, key.hash));
        }
        if is_new {
            self.services.gains(key.service);
            self.sweep_records(at, SWEPT_BY_A_NEWCOMER);
        }
    }

    pub(crate) fn delete_record(&mut self, key: &Hashed<RecordKey>) {
        let Some(row) = self.records.remove(key) else {
            return;
        };
        self.services.loses(key.service);
        unlist(&mut self.due, &mut self.put_off, key.hash, &row);
    }

    pub(crate) fn delete_claim(&mut self, key: &Hashed<ClaimKey>) {
        if self.claims.remove(key).is_some() {
            self.services.loses(key.service);
        }
    }

    /// The soonest of a service's records that are due and not outlived, at most `most`.
    pub(crate) fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Vec<(Timestamp, RecordKey)> {
        let Some(service) = self.services.number(service) else {
            return Vec::new();
        };
        let records = self.due_by(now).filter(|(_, record)| record.service == service);
        records
            .take(most)
            .map(|(due, record)| (due, record.key))
            .collect()
    }

    /// Services that have a record that is due.
    pub(crate) fn services_with_due(&self, now: Timestamp) -> impl Iterator<Item = &ServiceId> {
        self.due_by(now)
            .filter_map(|(_, record)| self.services.name(record.service))
    }

    fn due_by(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &Entry<RecordKey, KeptRow>)> {
        let due = self.due.iter().take_while(move |(due, _)| *due <= now);
        due.filter_map(move |(due, hash)| {
            let record = self.records.of_hash(*hash)?;
            (!record.value.is_outlived(now)).then_some((*due, record))
        })
    }

    /// Puts off a record that is due.
    pub(crate) fn put_off(&mut self, key: &Hashed<RecordKey>, now: Timestamp) {
        let Some(due) = self.records.get(key).and_then(KeptRow::due) else {
            return;
        };
        let (listed, times) = self.put_off.get(&key.hash).copied().unwrap_or((due, 0));
        if listed > now {
            return;
        }
        let until = now + put_off_for(times);
        self.due.remove(&(listed, key.hash));
        self.due.insert((until, key.hash));
        self.put_off.insert(key.hash, (until, times.saturating_add(1)));
    }

    /// The durable records that can be moved, with what they were written under.
    pub(crate) fn durable(&self) -> impl Iterator<Item = ((&ServiceId, RecordKey), WrittenUnder)> {
        self.records.iter().filter_map(|record| {
            let service = self.services.name(record.service)?;
            Some(((service, record.key), record.value.durable_under()?))
        })
    }

    /// Looks at so many entries of each kind, and drops those that are outlived; how many went.
    pub(crate) fn forget(&mut self, now: Timestamp, most: usize) -> usize {
        let held = self.held();
        self.sweep_counters(now, most);
        self.sweep_claims(now, most);
        self.sweep_records(now, most);
        held - self.held()
    }

    fn held(&self) -> usize {
        self.counters.len() + self.records.len() + self.claims.len()
    }

    /// True when these newcomers fit, perhaps after outlived entries went.
    pub(crate) fn has_room(&self, caps: &ShardCaps, room: Room, new: Newcomers) -> bool {
        caps.counters.admits(room, self.counters.len(), new.counters)
            && caps.records.admits(room, self.records.len(), new.records)
            && caps.claims.admits(room, self.claims.len(), new.claims)
    }

    /// Drops outlived entries before something new is refused.
    pub(crate) fn purge(&mut self, at: Timestamp) {
        self.forget(at, SWEPT_FOR_ROOM);
    }

    fn sweep_counters(&mut self, at: Timestamp, most: usize) {
        let services = &mut self.services;
        self.counters
            .sweep(at, most, |_, entry| services.loses(entry.service));
    }

    fn sweep_claims(&mut self, at: Timestamp, most: usize) {
        let services = &mut self.services;
        self.claims
            .sweep(at, most, |_, entry| services.loses(entry.service));
    }

    fn sweep_records(&mut self, at: Timestamp, most: usize) {
        let Self {
            services,
            due,
            put_off,
            ..
        } = self;
        self.records.sweep(at, most, |hash, entry| {
            services.loses(entry.service);
            unlist(due, put_off, hash, &entry.value);
        });
    }
}

/// Takes a record that changes or goes out of the list of what is due.
fn unlist(
    due: &mut BTreeSet<(Timestamp, u64)>,
    put_off: &mut BTreeMap<u64, (Timestamp, u32)>,
    hash: u64,
    row: &KeptRow,
) {
    let listed = put_off.remove(&hash).map(|(until, _)| until).or(row.due());
    if let Some(listed) = listed {
        due.remove(&(listed, hash));
    }
}
