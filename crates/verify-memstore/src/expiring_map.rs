//! A map by service and key whose outlived entries go away a few at a time.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;
use verify_core::time::Timestamp;

use crate::services::ServiceNumber;

/// Something that ends by itself.
pub(crate) trait Transient {
    /// True when it is as good as absent.
    fn is_outlived(&self, at: Timestamp) -> bool;
}

/// A key of one service with its hash.
#[derive(Clone, Copy)]
pub(crate) struct Hashed<K> {
    pub(crate) service: ServiceNumber,
    pub(crate) key: K,
    pub(crate) hash: u64,
}

impl<K: Copy + Eq + Hash> Hashed<K> {
    /// `hash` is the key's own, by the hasher that all maps of a store have.
    pub(crate) fn new(service: ServiceNumber, key: K, hash: u64) -> Self {
        let hash = hash_in(service, hash);
        Self { service, key, hash }
    }

    fn is<V>(&self, entry: &Entry<K, V>) -> bool {
        self.key == entry.key && self.service == entry.service
    }
}

/// The hash of a key in a service. A key is a fingerprint, which no two services share, so what it adds is for the
/// exception.
fn hash_in(service: ServiceNumber, hash: u64) -> u64 {
    hash ^ u64::from(service.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A key and its value.
pub(crate) struct Entry<K, V> {
    pub(crate) service: ServiceNumber,
    pub(crate) key: K,
    pub(crate) value: V,
}

/// The map. Its entries lie in one array, so that a cursor can walk them in turns; a table finds them by their hash.
pub(crate) struct ExpiringMap<K, V> {
    entries: Vec<Entry<K, V>>,
    table: HashTable<u32>,
    hasher: RandomState,
    cursor: usize,
}

/// An array that is full grows by this part of itself, not to the double: memory is what a flood is after.
const GROWTH: usize = 8;

impl<K: Copy + Eq + Hash, V: Transient> ExpiringMap<K, V> {
    pub(crate) fn new(hasher: RandomState) -> Self {
        Self {
            entries: Vec::new(),
            table: HashTable::new(),
            hasher,
            cursor: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is there, outlived or not.
    pub(crate) fn get(&self, key: &Hashed<K>) -> Option<&V> {
        let is = |index: &u32| self.entry(*index).is_some_and(|entry| key.is(entry));
        let index = self.table.find(key.hash, is)?;
        self.entry(*index).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &Hashed<K>) -> Option<&mut V> {
        let Self { entries, table, .. } = self;
        let is = |index: &u32| entries.get(*index as usize).is_some_and(|entry| key.is(entry));
        let index = *table.find(key.hash, is)?;
        entries.get_mut(index as usize).map(|entry| &mut entry.value)
    }

    /// The entry with this hash, outlived or not.
    pub(crate) fn of_hash(&self, hash: u64) -> Option<&Entry<K, V>> {
        let is = |index: &u32| {
            self.entry(*index)
                .is_some_and(|entry| self.hash_of(entry) == hash)
        };
        self.entry(*self.table.find(hash, is)?)
    }

    /// Puts a value and returns the one before it.
    pub(crate) fn put(&mut self, key: &Hashed<K>, value: V) -> Option<V> {
        let Self {
            entries,
            table,
            hasher,
            ..
        } = self;
        let at = |index: u32| entries.get(index as usize);
        let is = |index: &u32| at(*index).is_some_and(|entry| key.is(entry));
        let hash_at =
            |index: &u32| at(*index).map_or(0, |entry| hash_in(entry.service, hasher.hash_one(entry.key)));
        // Entries are counted in 32 bits: a shard would need hundreds of gigabytes to run out of them.
        let next = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        match table.entry(key.hash, is, hash_at) {
            Place::Occupied(there) => {
                let entry = entries.get_mut(*there.get() as usize)?;
                return Some(std::mem::replace(&mut entry.value, value));
            }
            Place::Vacant(room) => room.insert(next),
        };
        if entries.len() == entries.capacity() {
            entries.reserve_exact(entries.len() / GROWTH + 1);
        }
        entries.push(Entry {
            service: key.service,
            key: key.key,
            value,
        });
        None
    }

    pub(crate) fn remove(&mut self, key: &Hashed<K>) -> Option<V> {
        let entries = &self.entries;
        let is = |index: &u32| entries.get(*index as usize).is_some_and(|entry| key.is(entry));
        let (index, _) = self.table.find_entry(key.hash, is).ok()?.remove();
        Some(self.swap_remove(index as usize).value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<K, V>> {
        self.entries.iter()
    }

    /// Looks at the next `most` entries in turn and drops the outlived ones, telling `dropped` each with
    /// its hash.
    pub(crate) fn sweep(&mut self, at: Timestamp, most: usize, mut dropped: impl FnMut(u64, Entry<K, V>)) {
        for _ in 0..most.min(self.entries.len()) {
            if self.cursor >= self.entries.len() {
                self.cursor = 0;
            }
            match self.entries.get(self.cursor) {
                Some(entry) if entry.value.is_outlived(at) => {
                    let hash = self.hash_of(entry);
                    if let Ok(place) = self
                        .table
                        .find_entry(hash, |index| *index as usize == self.cursor)
                    {
                        place.remove();
                        dropped(hash, self.swap_remove(self.cursor));
                    }
                }
                Some(_) => self.cursor += 1,
                None => return,
            }
        }
    }

    /// Takes out an entry that the table does not name any more; the last one takes its place.
    fn swap_remove(&mut self, index: usize) -> Entry<K, V> {
        let last = self.entries.len() - 1;
        if index != last
            && let Some(entry) = self.entries.get(last)
        {
            let hash = self.hash_of(entry);
            if let Some(moved) = self.table.find_mut(hash, |place| *place as usize == last) {
                *moved = u32::try_from(index).unwrap_or(u32::MAX);
            }
        }
        self.entries.swap_remove(index)
    }

    fn entry(&self, index: u32) -> Option<&Entry<K, V>> {
        self.entries.get(index as usize)
    }

    fn hash_of(&self, entry: &Entry<K, V>) -> u64 {
        hash_in(entry.service, self.hasher.hash_one(entry.key))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Transient for u64 {
        fn is_outlived(&self, at: Timestamp) -> bool {
            *self <= at.as_millis()
        }
    }

    const OURS: ServiceNumber = ServiceNumber(0);

    fn filled(count: u64) -> ExpiringMap<u64, u64> {
        let mut map = ExpiringMap::new(RandomState::default());
        for number in 0..count {
            put(&mut map, OURS, number, number);
        }
        map
    }

    fn put(map: &mut ExpiringMap<u64, u64>, service: ServiceNumber, key: u64, value: u64) -> Option<u64> {
        let hashed = key_of(map, service, key);
        map.put(&hashed, value)
    }

    fn key_of(map: &ExpiringMap<u64, u64>, service: ServiceNumber, key: u64) -> Hashed<u64> {
        Hashed::new(service, key, map.hasher.hash_one(key))
    }

    fn get(map: &ExpiringMap<u64, u64>, service: ServiceNumber, key: u64) -> Option<u64> {
        map.get(&key_of(map, service, key)).copied()
    }

    #[test]
    fn i11_turns_of_the_cursor_drop_all_that_is_outlived_and_nothing_else() {
        let mut map = filled(100);
        let mut dropped = 0;
        for _ in 0..60 {
            map.sweep(Timestamp::from_millis(49), 3, |_, _| dropped += 1);
        }
        assert_eq!((dropped, map.len()), (50, 50));
        assert!((50..100).all(|number| get(&map, OURS, number).is_some()));
    }

    #[test]
    fn services_are_apart() {
        let mut map = filled(1);
        let other = ServiceNumber(1);
        assert_eq!(get(&map, other, 0), None);
        assert_eq!(put(&mut map, other, 0, 7), None);
        let hashed = key_of(&map, OURS, 0);
        assert_eq!(map.remove(&hashed), Some(0));
        assert_eq!(get(&map, other, 0), Some(7));
        assert_eq!(get(&map, OURS, 0), None);
    }

    #[test]
    fn a_sweep_of_an_empty_map_ends() {
        filled(0).sweep(Timestamp::MAX, 10, |_, _| panic!("nothing to drop"));
    }

    proptest! {
        #[test]
        fn it_holds_what_an_ordered_map_holds(
            turns in proptest::collection::vec((0_u8..4, 0_u64..40, 0_u64..100), 0..400),
        ) {
            let (mut map, mut model) = (filled(0), BTreeMap::new());
            for (turn, key, value) in turns {
                let hashed = key_of(&map, OURS, key);
                match turn {
                    0 | 1 => prop_assert_eq!(map.put(&hashed, value), model.insert(key, value)),
                    2 => prop_assert_eq!(map.remove(&hashed), model.remove(&key)),
                    _ => {
                        let (mut dropped, before) = (0, model.len());
                        map.sweep(Timestamp::from_millis(value), 5, |_, _| dropped += 1);
                        model.retain(|key, kept| *kept > value || get(&map, OURS, *key).is_some());
                        prop_assert_eq!(before - model.len(), dropped);
                    }
                }
                prop_assert_eq!(map.len(), model.len());
                for key in 0..40 {
                    prop_assert_eq!(get(&map, OURS, key), model.get(&key).copied());
                    let hashed = key_of(&map, OURS, key);
                    let found = map.of_hash(hashed.hash).map(|entry| entry.value);
                    prop_assert_eq!(found, model.get(&key).copied());
                }
            }
        }
    }

    #[test]
    fn an_entry_takes_no_more_than_its_parts() {
        use crate::kept::{KeptCounter, KeptRow};
        use verify_core::store::{CounterKey, RecordKey};
        assert_eq!(size_of::<Entry<CounterKey, KeptCounter>>(), 56);
        assert_eq!(size_of::<Entry<RecordKey, KeptRow>>(), 80);
    }
}
