//! The shards that a changeset touches, all locked: what it is decided on and written to.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use verify_core::limit::Counter;
use verify_core::store::{Changeset, Claim, ClaimKey, CounterKey, Evaluation, RecordKey, Room, Row, View};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::ShardCaps;
use crate::expiring_map::{ScopedRef, Transient};
use crate::shard::{KeptCounter, Newcomers, Shard};

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

    fn of<K: Hash>(&self, service: &ServiceId, key: &K) -> usize {
        let hash = self.hasher.hash_one(ScopedRef { service, key });
        // The mask keeps less than 32 bits of it, so nothing is lost in a narrow usize.
        (hash >> 32) as usize & (self.shards - 1)
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
            if let Some(shard) = self.shard_mut(&key) {
                shard.put_counter(service, key, KeptCounter { state, expires_at }, at);
            }
        }
        for (key, row) in decided.records {
            if let Some(shard) = self.shard_mut(&key) {
                match row {
                    Some(row) => shard.put_record(service, key, row, at),
                    None => shard.delete_record(service, key),
                }
            }
        }
        for (key, claim) in decided.claims {
            if let Some(shard) = self.shard_mut(&key) {
                match claim {
                    Some(claim) => shard.put_claim(service, claim, at),
                    None => drop(shard.claims.remove(service, &key)),
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
            if self
                .shard(key)
                .is_some_and(|shard| shard.counters.get(self.service, key).is_none())
            {
                count(self.position(key), |new| new.counters += 1);
            }
        }
        for (key, row) in &decided.records {
            if row.is_some()
                && self
                    .shard(key)
                    .is_some_and(|shard| shard.records.get(self.service, key).is_none())
            {
                count(self.position(key), |new| new.records += 1);
            }
        }
        for (key, claim) in &decided.claims {
            if claim.is_some()
                && self
                    .shard(key)
                    .is_some_and(|shard| shard.claims.get(self.service, key).is_none())
            {
                count(self.position(key), |new| new.claims += 1);
            }
        }
        let full = self
            .guards
            .iter()
            .zip(new)
            .filter(|((_, shard), new)| !shard.has_room(caps, room, *new));
        full.map(|((index, _), _)| *index).collect()
    }

    fn position<K: Hash>(&self, key: &K) -> Option<usize> {
        let index = self.placement.of(self.service, key);
        self.guards.binary_search_by_key(&index, |(held, _)| *held).ok()
    }

    fn shard<K: Hash>(&self, key: &K) -> Option<&Shard> {
        self.guards.get(self.position(key)?).map(|(_, guard)| &**guard)
    }

    fn shard_mut<K: Hash>(&mut self, key: &K) -> Option<&mut Shard> {
        let position = self.position(key)?;
        self.guards.get_mut(position).map(|(_, guard)| &mut **guard)
    }
}

/// Every key that a changeset names is in a held shard, so a key that is not found is not there.
impl View for Held<'_> {
    fn counter(&self, key: &CounterKey) -> Option<Counter> {
        let kept = self.shard(key)?.counters.get(self.service, key)?;
        (!kept.is_outlived(self.at)).then(|| kept.state.clone())
    }

    fn record(&self, key: &RecordKey) -> Option<Row> {
        self.shard(key)?.records.get(self.service, key).cloned()
    }

    fn claim(&self, key: &ClaimKey) -> Option<Claim> {
        let kept = self.shard(key)?.claims.get(self.service, key)?;
        Some(Claim {
            key: *key,
            value: kept.value.clone(),
            expires_at: kept.expires_at,
        })
    }
}
