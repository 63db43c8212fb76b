//! An ordered map for each service.

use std::collections::BTreeMap;

use verify_core::vocabulary::ServiceId;

/// What a model store keeps of one kind: by service, then by key.
///
/// A service that has nothing is not in it, so that equal contents compare and hash alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ByService<K, V> {
    services: BTreeMap<ServiceId, BTreeMap<K, V>>,
}

impl<K, V> Default for ByService<K, V> {
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
        }
    }
}

impl<K: Ord, V> ByService<K, V> {
    /// What a service has under a key.
    pub fn get(&self, service: &ServiceId, key: &K) -> Option<&V> {
        self.services.get(service)?.get(key)
    }

    /// How many entries all services have.
    pub fn len(&self) -> usize {
        self.services.values().map(BTreeMap::len).sum()
    }

    /// True when no service has anything.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// All entries with their service and key, in their order.
    pub fn iter(&self) -> impl Iterator<Item = ((&ServiceId, &K), &V)> {
        self.services
            .iter()
            .flat_map(|(service, entries)| entries.iter().map(move |(key, value)| ((service, key), value)))
    }

    /// The services and keys of all entries.
    pub fn keys(&self) -> impl Iterator<Item = (&ServiceId, &K)> {
        self.iter().map(|(key, _)| key)
    }

    /// The values of all entries.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.services.values().flat_map(BTreeMap::values)
    }

    /// The entries of one service, to put into.
    pub(crate) fn of_mut(&mut self, service: &ServiceId) -> &mut BTreeMap<K, V> {
        self.services.entry(service.clone()).or_default()
    }

    /// Takes out what a service has under a key.
    pub(crate) fn remove(&mut self, service: &ServiceId, key: &K) {
        if let Some(entries) = self.services.get_mut(service) {
            entries.remove(key);
            if entries.is_empty() {
                self.services.remove(service);
            }
        }
    }

    /// Keeps the entries that `keep` keeps, of all services.
    pub(crate) fn retain(&mut self, keep: impl Fn(&K, &V) -> bool) {
        self.retain_of(|_, key, value| keep(key, value));
    }

    /// The same, by the service too.
    pub(crate) fn retain_of(&mut self, mut keep: impl FnMut(&ServiceId, &K, &V) -> bool) {
        self.services.retain(|service, entries| {
            entries.retain(|key, value| keep(service, key, value));
            !entries.is_empty()
        });
    }
}
