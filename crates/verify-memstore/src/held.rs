//! The shards that a changeset touches, all locked: what it is decided on and written to.

use std::hash::Hash;

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use verify_core::limit::Counter;
use verify_core::store::{Changeset, Claim, ClaimKey, CounterKey, Evaluation, RecordKey, Room, Row, View};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::ShardCaps;
use crate::expiring_map::{Hashed, Transient};
use crate::shard::{KeptCounter, KeptRow, Newcomers, Shard};

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

    fn of<K: Eq + Hash>(&self, service: &ServiceId, key: &K) -> usize {
        self.shard_of(&Hashed::new(&self.hasher, service, key))
    }

    /// By bits that a map inside a shard does not place an entry by.
    fn shard_of<K>(&self, key: &Hashed<'_, K>) -> usize {
        // The mask keeps less than 32 bits of it, so nothing is lost in a narrow usize.
        (key.hash >> 32) as usize & (self.shards - 1)
    }

    /// The shards of all that a changeset names, in the order in which they are locked.
    fn touched(&self, changeset: &Changeset) -> Vec<usize> {
        let service = &changeset.service;
        let mut shards = Vec::with_capacity(
            2 * changeset.takebacks.len()
                + changeset.resets.len()
                + 2 * changeset.charges.len()
                + changeset.records.len()
                + changeset.reads.len()
                + changeset.claims.len()
                + changeset.unclaim.len(),
        );
        shards.extend(
            changeset
                .takebacks
                .iter()
                .flat_map(|takeback| [self.of(service, &takeback.key), self.of(service, &takeback.once)]),
        );
        shards.extend(changeset.resets.iter().map(|key| self.of(service, key)));
        for charge in &changeset.charges {
            shards.push(self.of(service, &charge.key));
            shards.extend(charge.when_live.iter().map(|key| self.of(service, key)));
        }
        shards.extend(
            changeset
                .records
                .iter()
                .map(|change| self.of(service, &change.key)),
        );
        shards.extend(changeset.reads.iter().map(|key| self.of(service, key)));
        shards.extend(changeset.claims.iter().map(|claim| self.of(service, &claim.key)));
        shards.extend(changeset.unclaim.iter().map(|key| self.of(service, key)));
        shards.sort_unstable();
        shards.dedup();
        shards
    }
}

/// Locks on all shards that a changeset touches.
pub(crate) struct Held<'a> {
    placement: &'a Placement,
    service: &'a ServiceId,
    at: Timestamp,
    guards: Vec<(usize, MutexGuard<'a, Shard>)>,
}

impl<'a> Held<'a> {
    /// Takes the locks, always in the order of the shards, so that no two changesets wait for each other.
    pub(crate) fn lock(
        placement: &'a Placement,
        shards: &'a [Mutex<Shard>],
        changeset: &'a Changeset,
    ) -> Self {
        let touched = placement.touched(changeset);
        let guards = touched
            .into_iter()
            .filter_map(|index| Some((index, shards.get(index)?.lock())))
            .collect();
        Self {
            placement,
            service: &changeset.service,
            at: changeset.at,
            guards,
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
            .guards
            .iter()
            .all(|(_, shard)| shard.has_room(caps, room, most))
        {
            return true;
        }
        let short: Vec<usize> = self.shards_without_room(caps, room, decided);
        for (index, shard) in &mut self.guards {
            if short.contains(index) {
                shard.purge(self.at);
            }
        }
        short.is_empty() || self.shards_without_room(caps, room, decided).is_empty()
    }

    /// Writes what was decided.
    pub(crate) fn write(&mut self, decided: Evaluation) -> verify_core::store::Seen {
        let (service, at) = (self.service, self.at);
        for (key, state, expires_at) in decided.counters {
            let key = Hashed::new(&self.placement.hasher, service, &key);
            if let Some(shard) = self.shard_mut(&key) {
                shard.put_counter(&key, KeptCounter { state, expires_at }, at);
            }
        }
        for (key, row) in decided.records {
            let key = Hashed::new(&self.placement.hasher, service, &key);
            if let Some(shard) = self.shard_mut(&key) {
                match row {
                    Some(row) => shard.put_record(&key, row, at),
                    None => shard.delete_record(&key),
                }
            }
        }
        for (key, claim) in decided.claims {
            let key = Hashed::new(&self.placement.hasher, service, &key);
            if let Some(shard) = self.shard_mut(&key) {
                match claim {
                    Some(claim) => shard.put_claim(&key, claim, at),
                    None => drop(shard.claims.remove(&key)),
                }
            }
        }
        decided.seen
    }

    fn shards_without_room(&self, caps: &ShardCaps, room: Room, decided: &Evaluation) -> Vec<usize> {
        let mut new: Vec<Newcomers> = vec![Newcomers::default(); self.guards.len()];
        let mut count = |position: Option<usize>, add: fn(&mut Newcomers)| {
            if let Some(newcomers) = position.and_then(|position| new.get_mut(position)) {
                add(newcomers);
            }
        };
        for (key, _, _) in &decided.counters {
            let key = self.hashed(key);
            if self
                .shard(&key)
                .is_some_and(|shard| shard.counters.get(&key).is_none())
            {
                count(self.position(&key), |new| new.counters += 1);
            }
        }
        for (key, _) in decided.records.iter().filter(|(_, row)| row.is_some()) {
            let key = self.hashed(key);
            if self
                .shard(&key)
                .is_some_and(|shard| shard.records.get(&key).is_none())
            {
                count(self.position(&key), |new| new.records += 1);
            }
        }
        for (key, _) in decided.claims.iter().filter(|(_, claim)| claim.is_some()) {
            let key = self.hashed(key);
            if self
                .shard(&key)
                .is_some_and(|shard| shard.claims.get(&key).is_none())
            {
                count(self.position(&key), |new| new.claims += 1);
            }
        }
        let full = self
            .guards
            .iter()
            .zip(new)
            .filter(|((_, shard), new)| !shard.has_room(caps, room, *new));
        full.map(|((index, _), _)| *index).collect()
    }

    fn hashed<'k, K: Eq + Hash>(&'k self, key: &'k K) -> Hashed<'k, K> {
        Hashed::new(&self.placement.hasher, self.service, key)
    }

    fn position<K>(&self, key: &Hashed<'_, K>) -> Option<usize> {
        let index = self.placement.shard_of(key);
        self.guards.binary_search_by_key(&index, |(held, _)| *held).ok()
    }

    fn shard<K>(&self, key: &Hashed<'_, K>) -> Option<&Shard> {
        self.guards.get(self.position(key)?).map(|(_, guard)| &**guard)
    }

    fn shard_mut<K>(&mut self, key: &Hashed<'_, K>) -> Option<&mut Shard> {
        let position = self.position(key)?;
        self.guards.get_mut(position).map(|(_, guard)| &mut **guard)
    }
}

/// Every key that a changeset names is in a held shard, so a key that is not found is not there.
impl View for Held<'_> {
    fn counter(&self, key: &CounterKey) -> Option<Counter> {
        let hashed = self.hashed(key);
        let kept = self.shard(&hashed)?.counters.get(&hashed)?;
        (!kept.is_outlived(self.at)).then(|| kept.state.clone())
    }

    fn record(&self, key: &RecordKey) -> Option<Row> {
        let hashed = self.hashed(key);
        self.shard(&hashed)?.records.get(&hashed).map(KeptRow::row)
    }

    fn claim(&self, key: &ClaimKey) -> Option<Claim> {
        let hashed = self.hashed(key);
        let kept = self.shard(&hashed)?.claims.get(&hashed)?;
        Some(Claim {
            key: *key,
            value: kept.value.clone(),
            expires_at: kept.expires_at,
        })
    }
}
