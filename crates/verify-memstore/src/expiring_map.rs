//! A map by service and key whose outlived entries go away a few at a time.

use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// Something that ends by itself.
pub(crate) trait Transient {
    /// True when it is as good as absent.
    fn is_outlived(&self, at: Timestamp) -> bool;
}

/// A key of one service.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scoped<K> {
    pub(crate) service: ServiceId,
    pub(crate) key: K,
}

/// The same, borrowed. Hashes alike.
#[derive(Hash)]
pub(crate) struct ScopedRef<'a, K> {
    pub(crate) service: &'a ServiceId,
    pub(crate) key: &'a K,
}

impl<K: Eq> Equivalent<Scoped<K>> for ScopedRef<'_, K> {
    fn equivalent(&self, owned: &Scoped<K>) -> bool {
        *self.key == owned.key && *self.service == owned.service
    }
}

/// The map. Its entries lie in one array, so that a cursor can walk them in turns.
pub(crate) struct ExpiringMap<K, V> {
    entries: IndexMap<Scoped<K>, V, RandomState>,
    cursor: usize,
}

impl<K, V> Default for ExpiringMap<K, V> {
    fn default() -> Self {
        Self {
            entries: IndexMap::default(),
            cursor: 0,
        }
    }
}

impl<K: Eq + Hash, V: Transient> ExpiringMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is there, outlived or not.
    pub(crate) fn get(&self, service: &ServiceId, key: &K) -> Option<&V> {
        self.entries.get(&ScopedRef { service, key })
    }

    /// Puts a value and returns the one before it.
    pub(crate) fn put(&mut self, service: &ServiceId, key: K, value: V) -> Option<V> {
        if let Some(there) = self.entries.get_mut(&ScopedRef { service, key: &key }) {
            return Some(std::mem::replace(there, value));
        }
        self.entries.insert(
            Scoped {
                service: service.clone(),
                key,
            },
            value,
        )
    }

    pub(crate) fn remove(&mut self, service: &ServiceId, key: &K) -> Option<V> {
        self.entries.swap_remove(&ScopedRef { service, key })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Scoped<K>, &V)> {
        self.entries.iter()
    }

    /// Looks at the next `most` entries in turn and drops the outlived ones, telling `dropped` of each.
    pub(crate) fn sweep(&mut self, at: Timestamp, most: usize, mut dropped: impl FnMut(Scoped<K>, V)) {
        for _ in 0..most.min(self.entries.len()) {
            if self.cursor >= self.entries.len() {
                self.cursor = 0;
            }
            match self.entries.get_index(self.cursor) {
                Some((_, value)) if value.is_outlived(at) => {
                    if let Some((key, value)) = self.entries.swap_remove_index(self.cursor) {
                        dropped(key, value);
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
        let mut map = ExpiringMap::default();
        for number in 0..count {
            map.put(&ServiceId::default(), number, number);
        }
        map
    }

    #[test]
    fn i11_turns_of_the_cursor_drop_all_that_is_outlived_and_nothing_else() {
        let mut map = filled(100);
        let mut dropped = 0;
        for _ in 0..60 {
            map.sweep(Timestamp::from_millis(49), 3, |_, _| dropped += 1);
        }
        assert_eq!((dropped, map.len()), (50, 50));
        assert!((50..100).all(|number| map.get(&ServiceId::default(), &number).is_some()));
    }

    #[test]
    fn services_are_apart() {
        let mut map = filled(1);
        let other = ServiceId::new("other").unwrap();
        assert_eq!(map.get(&other, &0), None);
        assert_eq!(map.put(&other, 0, 7), None);
        assert_eq!(map.remove(&ServiceId::default(), &0), Some(0));
        assert_eq!(map.get(&other, &0), Some(&7));
    }

    #[test]
    fn a_sweep_of_an_empty_map_ends() {
        filled(0).sweep(Timestamp::MAX, 10, |_, _| panic!("nothing to drop"));
    }
}
