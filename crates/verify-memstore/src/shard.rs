//! One shard: entries by key, and its records by when they are due.

use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use verify_core::limit::Counter;
use verify_core::store::{Claim, ClaimKey, CounterKey, RecordKey, Room, Row};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::ShardCaps;
use crate::expiring_map::{ExpiringMap, Hashed, Transient};

/// With every newcomer that many others are looked at, so that what is outlived goes faster than what is new comes.
/// What is there already is changed without that: it takes no memory, and a look at others costs cache misses.
const SWEPT_BY_A_NEWCOMER: usize = 4;
/// That many are looked at before something new is refused for want of room.
const SWEPT_FOR_ROOM: usize = 1_024;
/// That many are looked at whenever somebody asks what is due, so that idle stores forget too.
const SWEPT_BY_A_TICK: usize = 16;

/// A state of a limit or lockout.
pub(crate) struct KeptCounter {
    pub(crate) state: Counter,
    pub(crate) expires_at: Timestamp,
}

/// A claim without its key.
pub(crate) struct KeptClaim {
    pub(crate) value: Vec<u8>,
    pub(crate) expires_at: Timestamp,
}

impl Transient for KeptCounter {
    fn is_outlived(&self, at: Timestamp) -> bool {
        self.expires_at <= at
    }
}

impl Transient for KeptClaim {
    fn is_outlived(&self, at: Timestamp) -> bool {
        self.expires_at <= at
    }
}

impl Transient for Row {
    fn is_outlived(&self, at: Timestamp) -> bool {
        Self::is_outlived(self, at)
    }
}

/// How many new entries of each kind a changeset brings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Newcomers {
    pub(crate) counters: usize,
    pub(crate) records: usize,
    pub(crate) claims: usize,
}

/// The part of a store that one lock covers.
pub(crate) struct Shard {
    pub(crate) counters: ExpiringMap<CounterKey, KeptCounter>,
    pub(crate) records: ExpiringMap<RecordKey, Row>,
    pub(crate) claims: ExpiringMap<ClaimKey, KeptClaim>,
    /// When records are due, and their hashes: a third of the memory that their keys would take. Should two records
    /// that are due in the same millisecond share all 64 bits, the next command repairs what no tick does.
    due: BTreeSet<(Timestamp, u64)>,
}

impl Shard {
    /// An empty shard. All shards of a store have the same hasher: see [`Hashed`].
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            counters: ExpiringMap::new(hasher.clone()),
            records: ExpiringMap::new(hasher.clone()),
            claims: ExpiringMap::new(hasher),
            due: BTreeSet::new(),
        }
    }

    pub(crate) fn put_counter(&mut self, key: &Hashed<'_, CounterKey>, counter: KeptCounter, at: Timestamp) {
        if self.counters.put(key, counter).is_none() {
            self.counters.sweep(at, SWEPT_BY_A_NEWCOMER, |_, _| {});
        }
    }

    pub(crate) fn put_claim(&mut self, key: &Hashed<'_, ClaimKey>, claim: Claim, at: Timestamp) {
        let kept = KeptClaim {
            value: claim.value,
            expires_at: claim.expires_at,
        };
        if self.claims.put(key, kept).is_none() {
            self.claims.sweep(at, SWEPT_BY_A_NEWCOMER, |_, _| {});
        }
    }

    pub(crate) fn put_record(&mut self, key: &Hashed<'_, RecordKey>, row: Row, at: Timestamp) {
        let due = row.due;
        let before = self.records.put(key, row);
        let is_new = before.is_none();
        if let Some(before) = before.and_then(|row| row.due) {
            self.due.remove(&(before, key.hash));
        }
        if let Some(due) = due {
            self.due.insert((due, key.hash));
        }
        if is_new {
            self.sweep_records(at, SWEPT_BY_A_NEWCOMER);
        }
    }

    pub(crate) fn delete_record(&mut self, key: &Hashed<'_, RecordKey>) {
        if let Some(due) = self.records.remove(key).and_then(|row| row.due) {
            self.due.remove(&(due, key.hash));
        }
    }

    /// The soonest of the records that are due and not outlived, at most `most`.
    pub(crate) fn due(&mut self, now: Timestamp, most: usize) -> Vec<(Timestamp, ServiceId, RecordKey)> {
        self.counters.sweep(now, SWEPT_BY_A_TICK, |_, _| {});
        self.claims.sweep(now, SWEPT_BY_A_TICK, |_, _| {});
        self.sweep_records(now, SWEPT_BY_A_TICK);
        let there = |(due, hash): &(Timestamp, u64)| {
            let (scoped, row) = self.records.of_hash(*hash)?;
            (!row.is_outlived(now)).then(|| (*due, scoped.service.clone(), scoped.key))
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
        self.counters.sweep(at, SWEPT_FOR_ROOM, |_, _| {});
        self.claims.sweep(at, SWEPT_FOR_ROOM, |_, _| {});
        self.sweep_records(at, SWEPT_FOR_ROOM);
    }

    fn sweep_records(&mut self, at: Timestamp, most: usize) {
        let due_index = &mut self.due;
        self.records.sweep(at, most, |hash, row| {
            if let Some(due) = row.due {
                due_index.remove(&(due, hash));
            }
        });
    }
}
