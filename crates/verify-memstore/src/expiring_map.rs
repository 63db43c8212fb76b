//! A map by service and key whose outlived entries go away a few at a time.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::raw_entry_v1::{RawEntryApiV1, RawEntryMut};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// Something that ends by itself.
pub(crate) trait Transient {
    /// True when it is as good as absent.
    fn is_outlived(&self, at: Timestamp) -> bool;
}

/// A key of one service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scoped<K> {
    pub(crate) service: ServiceId,
    pub(crate) key: K,
}

/// The same, borrowed, with its hash: computed once, it finds the shard and the entry.
///
/// All maps that are asked with it have the same hasher, as [`Scoped`] hashes like [`Self::hash`] says.
pub(crate) struct Hashed<'a, K> {
    pub(crate) service: &'a ServiceId,
    pub(crate) key: &'a K,
    pub(crate) hash: u64,
}

impl<'a, K: Eq + Hash> Hashed<'a, K> {
    pub(crate) fn new(hasher: &RandomState, service: &'a ServiceId, key: &'a K) -> Self {
        Self {
            service,
            key,
            hash: hasher.hash_one((service, key)),
        }
    }

    fn is(&self, owned: &Scoped<K>) -> bool {
        *self.key == owned.key && *self.service == owned.service
    }
}

impl<K: Hash> Hash for Scoped<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.service, &self.key).hash(state);
    }
}

/// The map. Its entries lie in one array, so that a cursor can walk them in turns.
pub(crate) struct ExpiringMap<K, V> {
    entries: IndexMap<Scoped<K>, V, RandomState>,
    cursor: usize,
}

/// An array that is full grows by this part of itself, not to the double: memory is what a flood is after.
const GROWTH: usize = 8;

impl<K: Eq + Hash, V: Transient> ExpiringMap<K, V> {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            entries: IndexMap::with_hasher(hasher),
            cursor: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is there, outlived or not.
    pub(crate) fn get(&self, key: &Hashed<'_, K>) -> Option<&V> {
        let entry = self
            .entries
            .raw_entry_v1()
            .from_hash(key.hash, |owned| key.is(owned));
        entry.map(|(_, value)| value)
    }

    /// The entry with this hash, outlived or not.
    pub(crate) fn of_hash(&self, hash: u64) -> Option<(&Scoped<K>, &V)> {
        let hasher = self.entries.hasher();
        let entry = self.entries.raw_entry_v1();
        entry.from_hash(hash, |owned| hasher.hash_one(owned) == hash)
    }

    /// Puts a value and returns the one before it.
    pub(crate) fn put(&mut self, key: &Hashed<'_, K>, value: V) -> Option<V>
    where
        K: Clone,
    {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(self.entries.len() / GROWTH + 1);
        }
        let entry = self.entries.raw_entry_mut_v1();
        match entry.from_hash(key.hash, |owned| key.is(owned)) {
            RawEntryMut::Occupied(mut there) => Some(there.insert(value)),
            RawEntryMut::Vacant(room) => {
                let scoped = Scoped {
                    service: key.service.clone(),
                    key: key.key.clone(),
                };
                room.insert_hashed_nocheck(key.hash, scoped, value);
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &Hashed<'_, K>) -> Option<V> {
        let entry = self.entries.raw_entry_mut_v1();
        match entry.from_hash(key.hash, |owned| key.is(owned)) {
            RawEntryMut::Occupied(there) => Some(there.swap_remove()),
            RawEntryMut::Vacant(_) => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Scoped<K>, &V)> {
        self.entries.iter()
    }

    /// Looks at the next `most` entries in turn and drops the outlived ones, telling `dropped` the hash
    /// and value of each.
    pub(crate) fn sweep(&mut self, at: Timestamp, most: usize, mut dropped: impl FnMut(u64, V)) {
        for _ in 0..most.min(self.entries.len()) {
            if self.cursor >= self.entries.len() {
                self.cursor = 0;
            }
            match self.entries.get_index(self.cursor) {
                Some((_, value)) if value.is_outlived(at) => {
                    if let Some((key, value)) = self.entries.swap_remove_index(self.cursor) {
                        dropped(self.entries.hasher().hash_one(&key), value);
                    }
                }
                Some(_) => self.cursor += 1,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Transient for u64 {
        fn is_outlived(&self, at: Timestamp) -> bool {
            *self <= at.as_millis()
        }
    }

    fn filled(count: u64) -> ExpiringMap<u64, u64> {
        let mut map = ExpiringMap::new(RandomState::default());
        for number in 0..count {
            put(&mut map, &ServiceId::default(), number, number);
        }
        map
    }

    fn put(map: &mut ExpiringMap<u64, u64>, service: &ServiceId, key: u64, value: u64) -> Option<u64> {
        let hasher = map.entries.hasher().clone();
        map.put(&Hashed::new(&hasher, service, &key), value)
    }

    fn get(map: &ExpiringMap<u64, u64>, service: &ServiceId, key: u64) -> Option<u64> {
        map.get(&Hashed::new(map.entries.hasher(), service, &key))
            .copied()
    }

    #[test]
    fn i11_turns_of_the_cursor_drop_all_that_is_outlived_and_nothing_else() {
        let mut map = filled(100);
        let mut dropped = 0;
        for _ in 0..60 {
            map.sweep(Timestamp::from_millis(49), 3, |_, _| dropped += 1);
        }
        assert_eq!((dropped, map.len()), (50, 50));
        assert!((50..100).all(|number| get(&map, &ServiceId::default(), number).is_some()));
    }

    #[test]
    fn services_are_apart() {
        let mut map = filled(1);
        let other = ServiceId::new("other").unwrap();
        assert_eq!(get(&map, &other, 0), None);
        assert_eq!(put(&mut map, &other, 0, 7), None);
        let hasher = map.entries.hasher().clone();
        let ours = ServiceId::default();
        assert_eq!(map.remove(&Hashed::new(&hasher, &ours, &0)), Some(0));
        assert_eq!(get(&map, &other, 0), Some(7));
        assert_eq!(get(&map, &ours, 0), None);
    }

    #[test]
    fn a_sweep_of_an_empty_map_ends() {
        filled(0).sweep(Timestamp::MAX, 10, |_, _| panic!("nothing to drop"));
    }
}
