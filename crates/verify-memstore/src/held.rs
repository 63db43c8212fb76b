//! The shards that a changeset touches, all locked: what it is decided on and written to.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use verify_core::limit::Counter;
use verify_core::store::{
    Changeset, Claim, ClaimKey, CounterKey, Evaluation, Origin, RecordKey, Room, Row, Seen, View,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::{MOST_SHARDS, ShardCaps};
use crate::expiring_map::{Hashed, Transient};
use crate::kept::KeptRow;
use crate::services::ServiceNumber;
use crate::shard::{Newcomers, Shard};

/// Where a key lives.
pub(crate) struct Placement {
    hasher: RandomState,
    shards: usize,
}

impl Placement {
    /// Over this many shards, which is a power of two.
    pub(crate) fn over(shards: usize) -> Self {
        Self {
            hasher: RandomState::default(),
            shards,
        }
    }

    pub(crate) fn hasher(&self) -> RandomState {
        self.hasher.clone()
    }

    fn of<K: Hash>(&self, key: &K) -> usize {
        self.of_hash(self.hasher.hash_one(key))
    }

    /// By bits that a map inside a shard does not place an entry by.
    pub(crate) fn of_hash(&self, hash: u64) -> usize {
        // The mask keeps less than 32 bits of it, so nothing is lost in a narrow usize.
        (hash >> 32) as usize & (self.shards - 1)
    }

    /// The shards of all that a changeset names.
    fn touched(&self, changeset: &Changeset) -> ShardSet {
        let mut shards = ShardSet::default();
        for takeback in &changeset.takebacks {
            shards.add(self.of(&takeback.key));
            shards.add(self.of(&takeback.once));
        }
        for charge in &changeset.charges {
            shards.add(self.of(&charge.key));
            for key in &charge.when_live {
                shards.add(self.of(key));
            }
        }
        for key in &changeset.resets {
            shards.add(self.of(key));
        }
        for change in &changeset.records {
            shards.add(self.of(&change.key));
        }
        for key in &changeset.reads {
            shards.add(self.of(key));
        }
        let claims = changeset.claims.iter().map(|claim| &claim.key);
        let alerts = changeset.alerts.iter().map(|alert| &alert.once.key);
        for key in claims.chain(&changeset.unclaim).chain(alerts) {
            shards.add(self.of(key));
        }
        shards
    }
}

/// Numbers of shards, a bit each.
#[derive(Default)]
struct ShardSet([u64; MOST_SHARDS / 64]);

impl ShardSet {
    fn add(&mut self, shard: usize) {
        if let Some(word) = self.0.get_mut(shard / 64) {
            *word |= 1 << (shard % 64);
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// In their order.
    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let lowest = rest.trailing_zeros();
                rest &= rest.checked_sub(1)?;
                Some(at * 64 + lowest as usize)
            })
        })
    }
}

/// A shard that is locked.
struct Locked<'a> {
    index: usize,
    shard: MutexGuard<'a, Shard>,
    /// What the shard calls the changeset's service, as it is decided; `None`: it holds nothing of it.
    service: Option<ServiceNumber>,
}

/// Locks on all shards that a changeset touches.
pub(crate) struct Held<'a> {
    placement: &'a Placement,
    service: &'a ServiceId,
    at: Timestamp,
    origin: Origin,
    locked: Vec<Locked<'a>>,
}

impl<'a> Held<'a> {
    /// Takes the locks, always in the order of the shards, so that no two changesets wait for each other.
    pub(crate) fn lock(
        placement: &'a Placement,
        shards: &'a [Mutex<Shard>],
        changeset: &'a Changeset,
        epoch: Origin,
    ) -> Self {
        let touched = placement.touched(changeset);
        let mut locked = Vec::with_capacity(touched.len());
        locked.extend(touched.iter().filter_map(|index| {
            let shard = shards.get(index)?.lock();
            let service = shard.services.number(&changeset.service);
            Some(Locked {
                index,
                shard,
                service,
            })
        }));
        Self {
            placement,
            service: &changeset.service,
            at: changeset.at,
            origin: Origin {
                clock: changeset.at,
                ..epoch
            },
            locked,
        }
    }

    /// Makes sure that all that is new fits; drops outlived entries where it does not. False: something does not.
    pub(crate) fn make_room(&mut self, caps: &ShardCaps, room: Room, decided: &Evaluation) -> bool {
        // The usual case, without looking for what is new: there is room even if all of it were, in any one shard.
        let most = Newcomers {
            counters: decided.counters.len(),
            records: decided.records.len(),
            claims: decided.claims.len(),
        };
        if self
            .locked
            .iter()
            .all(|locked| locked.shard.has_room(caps, room, most))
        {
            return true;
        }
        let short: Vec<usize> = self.shards_without_room(caps, room, decided);
        for locked in &mut self.locked {
            if short.contains(&locked.index) {
                locked.shard.purge(self.at);
            }
        }
        short.is_empty() || self.shards_without_room(caps, room, decided).is_empty()
    }

    /// Writes what was decided.
    pub(crate) fn write(&mut self, decided: Evaluation) -> Seen {
        let at = self.at;
        for (key, state, expires_at) in decided.counters {
            if let Some((shard, key)) = self.place(key) {
                shard.put_counter(&key, state, expires_at, at);
            }
        }
        for (key, row) in decided.records {
            match row {
                Some(row) => {
                    if let Some((shard, key)) = self.place(key) {
                        shard.put_record(&key, row, at);
                    }
                }
                None => {
                    if let Some((shard, key)) = self.find_mut(key) {
                        shard.delete_record(&key);
                    }
                }
            }
        }
        for (key, claim) in decided.claims {
            match claim {
                Some(claim) => {
                    if let Some((shard, key)) = self.place(key) {
                        shard.put_claim(&key, claim.into(), at);
                    }
                }
                None => {
                    if let Some((shard, key)) = self.find_mut(key) {
                        shard.delete_claim(&key);
                    }
                }
            }
        }
        decided.seen
    }

    fn shards_without_room(&self, caps: &ShardCaps, room: Room, decided: &Evaluation) -> Vec<usize> {
        let mut new: Vec<Newcomers> = vec![Newcomers::default(); self.locked.len()];
        let mut count = |position: Option<(usize, u64)>, add: fn(&mut Newcomers)| {
            if let Some(newcomers) = position.and_then(|(position, _)| new.get_mut(position)) {
                add(newcomers);
            }
        };
        for (key, _, _) in &decided.counters {
            let there = self.find(key).and_then(|(shard, key)| shard.counters.get(&key));
            if there.is_none() {
                count(self.position(key), |new| new.counters += 1);
            }
        }
        for (key, _) in decided.records.iter().filter(|(_, row)| row.is_some()) {
            let there = self.find(key).and_then(|(shard, key)| shard.records.get(&key));
            if there.is_none() {
                count(self.position(key), |new| new.records += 1);
            }
        }
        for (key, _) in decided.claims.iter().filter(|(_, claim)| claim.is_some()) {
            let there = self.find(key).and_then(|(shard, key)| shard.claims.get(&key));
            if there.is_none() {
                count(self.position(key), |new| new.claims += 1);
            }
        }
        let full = self
            .locked
            .iter()
            .zip(new)
            .filter(|(locked, new)| !locked.shard.has_room(caps, room, *new));
        full.map(|(locked, _)| locked.index).collect()
    }

    /// Where a key's shard is among the locked ones, and the key's hash.
    fn position<K: Hash>(&self, key: &K) -> Option<(usize, u64)> {
        let hash = self.placement.hasher.hash_one(key);
        let index = self.placement.of_hash(hash);
        let position = self.locked.binary_search_by_key(&index, |locked| locked.index);
        Some((position.ok()?, hash))
    }

    /// The shard of a key, and the key as that shard knows it; `None` when the shard has nothing of the service.
    fn find<K: Copy + Eq + Hash>(&self, key: &K) -> Option<(&Shard, Hashed<K>)> {
        let (position, hash) = self.position(key)?;
        let locked = self.locked.get(position)?;
        Some((&locked.shard, Hashed::new(locked.service?, *key, hash)))
    }

    /// The same, to delete.
    fn find_mut<K: Copy + Eq + Hash>(&mut self, key: K) -> Option<(&mut Shard, Hashed<K>)> {
        let (position, hash) = self.position(&key)?;
        let shard = &mut *self.locked.get_mut(position)?.shard;
        let service = shard.services.number(self.service)?;
        Some((shard, Hashed::new(service, key, hash)))
    }

    /// The same, to put something there.
    fn place<K: Copy + Eq + Hash>(&mut self, key: K) -> Option<(&mut Shard, Hashed<K>)> {
        let (position, hash) = self.position(&key)?;
        let shard = &mut *self.locked.get_mut(position)?.shard;
        let service = shard.services.numbered(self.service);
        Some((shard, Hashed::new(service, key, hash)))
    }
}

/// Every key that a changeset names is in a held shard, so a key that is not found is not there.
impl View for Held<'_> {
    fn origin(&self) -> Origin {
        self.origin
    }

    fn counter(&self, key: &CounterKey) -> Option<Counter> {
        let (shard, key) = self.find(key)?;
        let kept = shard.counters.get(&key)?;
        (!kept.is_outlived(self.at)).then(|| kept.state())
    }

    fn record(&self, key: &RecordKey) -> Option<Row> {
        let (shard, key) = self.find(key)?;
        shard.records.get(&key).map(KeptRow::row)
    }

    fn claim(&self, key: &ClaimKey) -> Option<Claim> {
        let (shard, hashed) = self.find(key)?;
        let kept = shard.claims.get(&hashed)?;
        Some(Claim {
            key: *key,
            value: kept.value.to_vec(),
            expires_at: kept.expires_at,
        })
    }

    fn is_live(&self, key: &RecordKey, now: Timestamp) -> bool {
        let record = self.find(key).and_then(|(shard, key)| shard.records.get(&key));
        record.is_some_and(|row| row.is_live(now))
    }
}
