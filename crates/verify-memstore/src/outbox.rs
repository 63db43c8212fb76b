//! The events that nobody acknowledged yet: of each service in the order in which its changesets were applied.

use std::collections::{BTreeMap, VecDeque};

use verify_core::event::Event;
use verify_core::store::{EventSeq, Room};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::capacity::Cap;

/// Bounded queues of events. A service without any has none.
pub(crate) struct Outbox {
    queues: BTreeMap<ServiceId, VecDeque<(EventSeq, Event)>>,
    held: usize,
    /// Of all services, so that a service's go on rising after its queue was empty.
    last: u64,
    cap: Cap,
}

impl Outbox {
    pub(crate) fn new(cap: Cap) -> Self {
        Self {
            queues: BTreeMap::new(),
            held: 0,
            last: 0,
            cap,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.held
    }

    pub(crate) fn has_room(&self, room: Room, more: usize) -> bool {
        self.cap.admits(room, self.held, more)
    }

    pub(crate) fn append<'a>(&mut self, service: &ServiceId, events: impl IntoIterator<Item = &'a Event>) {
        let queue = match self.queues.get_mut(service) {
            Some(queue) => queue,
            None => self.queues.entry(service.clone()).or_default(),
        };
        for event in events {
            self.last = self.last.saturating_add(1);
            self.held += 1;
            queue.push_back((EventSeq(self.last), event.clone()));
        }
    }

    /// Services that have some, with how many, and when the first of them came to be.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&ServiceId, usize, Timestamp)> {
        let queues = self.queues.iter();
        queues.filter_map(|(service, queue)| Some((service, queue.len(), queue.front()?.1.at)))
    }

    /// Services that have some.
    pub(crate) fn services(&self) -> impl Iterator<Item = &ServiceId> {
        self.queues.keys()
    }

    pub(crate) fn oldest(&self, service: &ServiceId, most: usize) -> Vec<(EventSeq, Event)> {
        let queue = self.queues.get(service);
        queue.into_iter().flatten().take(most).cloned().collect()
    }

    pub(crate) fn acknowledge(&mut self, service: &ServiceId, through: EventSeq) {
        let Some(queue) = self.queues.get_mut(service) else {
            return;
        };
        while queue.front().is_some_and(|(seq, _)| *seq <= through) {
            queue.pop_front();
            self.held -= 1;
        }
        if queue.is_empty() {
            self.queues.remove(service);
        }
    }
}
