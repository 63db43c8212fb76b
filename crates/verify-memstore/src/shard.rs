//! One shard: entries by key, and its records by when they are due.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use foldhash::fast::RandomState;
use verify_core::limit::Counter;
use verify_core::store::{Claim, ClaimKey, CounterKey, Lifetime, RecordKey, Room, Row};
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

/// A record without its key, in 48 bytes and its own.
pub(crate) struct KeptRow {
    version: u64,
    /// None: durable.
    ends: Packed,
    live_until: Packed,
    due: Packed,
    bytes: Box<[u8]>,
}

/// An instant or none, in eight bytes: one more than its milliseconds. The last instant that a number can say is
/// kept as the one before it.
#[derive(Clone, Copy)]
struct Packed(Option<NonZeroU64>);

impl From<Option<Timestamp>> for Packed {
    fn from(at: Option<Timestamp>) -> Self {
        Self(at.and_then(|at| NonZeroU64::new(at.as_millis().saturating_add(1))))
    }
}

impl Packed {
    fn get(self) -> Option<Timestamp> {
        self.0.map(|more| Timestamp::from_millis(more.get() - 1))
    }
}

impl From<Row> for KeptRow {
    fn from(row: Row) -> Self {
        let ends = match row.lifetime {
            Lifetime::Until(end) => Some(end),
            Lifetime::Durable => None,
        };
        Self {
            version: row.version,
            ends: ends.into(),
            live_until: row.live_until.into(),
            due: row.due.into(),
            bytes: row.bytes.into(),
        }
    }
}

impl KeptRow {
    /// The record as it was put.
    pub(crate) fn row(&self) -> Row {
        Row {
            version: self.version,
            lifetime: self.ends.get().map_or(Lifetime::Durable, Lifetime::Until),
            live_until: self.live_until.get(),
            due: self.due.get(),
            bytes: self.bytes.to_vec(),
        }
    }
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

impl Transient for KeptRow {
    fn is_outlived(&self, at: Timestamp) -> bool {
        self.ends.get().is_some_and(|end| end <= at)
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
        let before = self.records.put(key, row.into());
        let is_new = before.is_none();
        if let Some(before) = before.and_then(|row| row.due.get()) {
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
        if let Some(due) = self.records.remove(key).and_then(|row| row.due.get()) {
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
            if let Some(due) = row.due.get() {
                due_index.remove(&(due, hash));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_put() {
        let at = |millis: Option<u64>| millis.map(Timestamp::from_millis);
        for (lifetime, live_until, due) in [
            (Lifetime::Durable, None, None),
            (Lifetime::Durable, at(Some(0)), at(Some(1))),
            (
                Lifetime::Until(Timestamp::ZERO),
                at(Some(u64::MAX - 1)),
                at(Some(0)),
            ),
            (Lifetime::Until(Timestamp::from_millis(7)), None, at(Some(9))),
        ] {
            let row = Row {
                version: 3,
                lifetime,
                live_until,
                due,
                bytes: vec![1, 2],
            };
            assert_eq!(KeptRow::from(row.clone()).row(), row);
        }
    }
}
