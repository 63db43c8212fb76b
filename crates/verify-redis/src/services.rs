//! What this process knows of the services.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use verify_batch::Limits;
use verify_core::store::Room;
use verify_core::vocabulary::ServiceId;

use crate::keys::Keys;

/// A part of what may be under way that is for known callers.
const FOR_KNOWN: usize = 10;
/// A part that one service's strangers may have.
const STRANGERS_OF_ONE: usize = 4;

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) keys: Keys,
    /// It is in the list of services.
    pub(crate) is_listed: AtomicBool,
    /// Something of it was kept once: a lane without an epoch lost it.
    pub(crate) has_lane: AtomicBool,
    /// That is written down beside the list.
    pub(crate) is_marked: AtomicBool,
    under_way: AtomicUsize,
}

/// All that were asked about.
#[derive(Debug)]
pub(crate) struct Services {
    prefix: String,
    known: Mutex<HashMap<ServiceId, Arc<Service>>>,
    under_way: AtomicUsize,
}

/// A place among what is under way, until it is dropped.
pub(crate) struct Place<'a> {
    of_all: &'a AtomicUsize,
    of_one: Arc<Service>,
}

impl Services {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            known: Mutex::default(),
            under_way: AtomicUsize::new(0),
        }
    }

    pub(crate) fn of(&self, service: &ServiceId) -> Arc<Service> {
        let mut known = self.known.lock();
        if let Some(known) = known.get(service) {
            return Arc::clone(known);
        }
        let new = Arc::new(Service {
            keys: Keys::of(&self.prefix, service),
            is_listed: AtomicBool::new(false),
            has_lane: AtomicBool::new(false),
            is_marked: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
        });
        known.insert(service.clone(), Arc::clone(&new));
        new
    }

    /// Those that are in no list any more: it was lost.
    pub(crate) fn unlist(&self) -> Vec<ServiceId> {
        let known = self.known.lock();
        let listed = known
            .iter()
            .filter(|(_, service)| service.is_listed.swap(false, Ordering::AcqRel));
        listed.map(|(id, _)| id.clone()).collect()
    }

    /// A place for one more. `None`: too much is under way.
    pub(crate) fn place(&self, service: &Arc<Service>, room: Room, limits: &Limits) -> Option<Place<'_>> {
        let (for_all, for_one) = match room {
            Room::Known => (limits.waiting, limits.waiting),
            Room::Stranger => (
                limits.waiting - limits.waiting / FOR_KNOWN,
                limits.waiting / STRANGERS_OF_ONE,
            ),
        };
        let place = Place {
            of_all: &self.under_way,
            of_one: Arc::clone(service),
        };
        let all = self.under_way.fetch_add(1, Ordering::Relaxed);
        let one = service.under_way.fetch_add(1, Ordering::Relaxed);
        (all < for_all && one < for_one).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of_all.fetch_sub(1, Ordering::Relaxed);
        self.of_one.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
