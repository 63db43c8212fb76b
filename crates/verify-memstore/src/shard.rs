//! One shard: entries by key, and its records by when they are due.

use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use verify_core::store::{ClaimKey, CounterKey, RecordKey, Room, Row};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::ShardCaps;
use crate::expiring_map::{ExpiringMap, Hashed, Transient};
use crate::kept::{KeptClaim, KeptCounter, KeptRow};
use crate::services::Services;

/// With every newcomer that many others are looked at, so that what is outlived goes faster than what is new comes.
/// What is there already is changed without that: it takes no memory, and a look at others costs cache misses.
const SWEPT_BY_A_NEWCOMER: usize = 4;
/// That many are looked at before something new is refused for want of room.
const SWEPT_FOR_ROOM: usize = 1_024;
/// That many are looked at whenever somebody asks what is due, so that idle stores forget too.
const SWEPT_BY_A_TICK: usize = 16;

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
        }
    }

    pub(crate) fn put_counter(&mut self, key: &Hashed<CounterKey>, counter: KeptCounter, at: Timestamp) {
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
        if let Some(before) = before.and_then(|row| row.due()) {
            self.due.remove(&(before, key.hash));
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
        if let Some(due) = row.due() {
            self.due.remove(&(due, key.hash));
        }
    }

    pub(crate) fn delete_claim(&mut self, key: &Hashed<ClaimKey>) {
        if self.claims.remove(key).is_some() {
            self.services.loses(key.service);
        }
    }

    /// The soonest of the records that are due and not outlived, at most `most`.
    pub(crate) fn due(&mut self, now: Timestamp, most: usize) -> Vec<(Timestamp, ServiceId, RecordKey)> {
        self.sweep_counters(now, SWEPT_BY_A_TICK);
        self.sweep_claims(now, SWEPT_BY_A_TICK);
        self.sweep_records(now, SWEPT_BY_A_TICK);
        let there = |(due, hash): &(Timestamp, u64)| {
            let record = self
                .records
                .of_hash(*hash)
                .filter(|record| !record.value.is_outlived(now))?;
            let service = self.services.name(record.service)?;
            Some((*due, service.clone(), record.key))
        };
        self.due
            .iter()
            .take_while(|(due, _)| *due <= now)
            .filter_map(there)
            .take(most)
            .collect()
    }

    /// True when these newcomers fit, perhaps after outlived entries went.
    pub(crate) fn has_room(&self, caps: &ShardCaps, room: Room, new: Newcomers) -> bool {
        caps.counters.admits(room, self.counters.len(), new.counters)
            && caps.records.admits(room, self.records.len(), new.records)
            && caps.claims.admits(room, self.claims.len(), new.claims)
    }

    /// Drops outlived entries before something new is refused.
    pub(crate) fn purge(&mut self, at: Timestamp) {
        self.sweep_counters(at, SWEPT_FOR_ROOM);
        self.sweep_claims(at, SWEPT_FOR_ROOM);
        self.sweep_records(at, SWEPT_FOR_ROOM);
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
        let Self { services, due, .. } = self;
        self.records.sweep(at, most, |hash, entry| {
            services.loses(entry.service);
            if let Some(at) = entry.value.due() {
                due.remove(&(at, hash));
            }
        });
    }
}
