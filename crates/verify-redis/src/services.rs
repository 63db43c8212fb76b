//! What this process knows of the services.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use verify_batch::Limits;
use verify_core::store::Room;
use verify_core::vocabulary::ServiceId;

use crate::keys::Keys;

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
    known_under_way: AtomicUsize,
    strangers_under_way: AtomicUsize,
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
    room: Room,
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
            known_under_way: AtomicUsize::new(0),
            strangers_under_way: AtomicUsize::new(0),
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
        let (for_all, for_one) = Limits::shares(limits.waiting, room);
        let place = Place {
            of_all: &self.under_way,
            of_one: Arc::clone(service),
            room,
        };
        let all = self.under_way.fetch_add(1, Ordering::Relaxed);
        let one = service.under_way(room).fetch_add(1, Ordering::Relaxed);
        (all < for_all && (one == 0 || one < for_one)).then_some(place)
    }
}

impl Service {
    fn under_way(&self, room: Room) -> &AtomicUsize {
        match room {
            Room::Known => &self.known_under_way,
            Room::Stranger => &self.strangers_under_way,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of_all.fetch_sub(1, Ordering::Relaxed);
        self.of_one.under_way(self.room).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify_batch::Turns;

    #[test]
    fn callers_have_the_parts_of_what_may_be_under_way_that_the_bounds_say() {
        let mut limits = Limits::of(Turns::Together);
        limits.waiting = 40;
        let services = Services::new("");
        let [one, two, three] = ["one", "two", "three"].map(|id| services.of(&ServiceId::new(id).unwrap()));
        let take = |service, room| -> Vec<Place<'_>> {
            std::iter::from_fn(|| services.place(service, room, &limits)).collect()
        };
        let known = take(&one, Room::Known);
        assert_eq!(known.len(), 20, "one service's known callers have half");
        let strangers = take(&one, Room::Stranger);
        assert_eq!(strangers.len(), 10, "its strangers have a quarter beside them");
        assert_eq!(
            take(&two, Room::Stranger).len(),
            6,
            "a tenth is for known callers"
        );
        assert_eq!(take(&three, Room::Known).len(), 10);
        drop((known, strangers));
        assert_eq!(
            take(&one, Room::Stranger).len(),
            10,
            "what ended gives its place back"
        );
        limits.waiting = 1;
        assert!(
            services.place(&one, Room::Stranger, &limits).is_some(),
            "one alone has a place"
        );
    }
}
