//! The services that have something in a shard, by number.

use std::collections::BTreeMap;

use verify_core::vocabulary::ServiceId;

/// What a shard calls a service: a quarter of a pointer to its name, in each of the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceNumber(pub(crate) u32);

/// The names and numbers. A name goes with the last entry of its service, and its number is given to another.
#[derive(Default)]
pub(crate) struct Services {
    numbers: BTreeMap<ServiceId, ServiceNumber>,
    held: Vec<Option<Held>>,
    free: Vec<ServiceNumber>,
}

struct Held {
    name: ServiceId,
    entries: usize,
}

impl Services {
    pub(crate) fn number(&self, service: &ServiceId) -> Option<ServiceNumber> {
        self.numbers.get(service).copied()
    }

    /// The number of a service that is about to gain an entry; a new one when it has none yet.
    pub(crate) fn numbered(&mut self, service: &ServiceId) -> ServiceNumber {
        if let Some(number) = self.number(service) {
            return number;
        }
        let held = Some(Held {
            name: service.clone(),
            entries: 0,
        });
        let number = self.free.pop().unwrap_or_else(|| {
            self.held.push(None);
            // A service has an entry, and entries are counted in 32 bits.
            ServiceNumber(u32::try_from(self.held.len() - 1).unwrap_or(u32::MAX))
        });
        if let Some(place) = self.held.get_mut(number.0 as usize) {
            *place = held;
        }
        self.numbers.insert(service.clone(), number);
        number
    }

    pub(crate) fn name(&self, number: ServiceNumber) -> Option<&ServiceId> {
        let held = self.held.get(number.0 as usize)?.as_ref();
        held.map(|held| &held.name)
    }

    pub(crate) fn gains(&mut self, number: ServiceNumber) {
        if let Some(Some(held)) = self.held.get_mut(number.0 as usize) {
            held.entries += 1;
        }
    }

    pub(crate) fn loses(&mut self, number: ServiceNumber) {
        let Some(place) = self.held.get_mut(number.0 as usize) else {
            return;
        };
        match place {
            Some(held) if held.entries > 1 => held.entries -= 1,
            Some(_) | None => {
                if let Some(last) = place.take() {
                    self.numbers.remove(&last.name);
                    self.free.push(number);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_with_its_last_entry_and_leaves_its_number() {
        let [one, other] = ["one", "other"].map(|name| ServiceId::new(name).unwrap());
        let mut services = Services::default();
        let number = services.numbered(&one);
        services.gains(number);
        services.gains(services.number(&one).unwrap());
        services.loses(number);
        assert_eq!(services.number(&one), Some(number));
        services.loses(number);
        assert_eq!((services.number(&one), services.name(number)), (None, None));
        assert_eq!(services.numbered(&other), number);
        assert_eq!(services.name(number), Some(&other));
    }
}
