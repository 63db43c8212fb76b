//! The events that nobody acknowledged yet, in the order in which their changesets were applied.

use std::collections::VecDeque;

use verify_core::event::Event;
use verify_core::store::{EventSeq, Room};

use crate::capacity::Cap;

/// A bounded queue of events.
pub(crate) struct Outbox {
    events: VecDeque<(EventSeq, Event)>,
    last: u64,
    cap: Cap,
}

impl Outbox {
    pub(crate) fn new(cap: Cap) -> Self {
        Self {
            events: VecDeque::new(),
            last: 0,
            cap,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn has_room(&self, room: Room, more: usize) -> bool {
        self.cap.admits(room, self.events.len(), more)
    }

    pub(crate) fn append(&mut self, events: &[Event]) {
        for event in events {
            self.last = self.last.saturating_add(1);
            self.events.push_back((EventSeq(self.last), event.clone()));
        }
    }

    pub(crate) fn oldest(&self, most: usize) -> Vec<(EventSeq, Event)> {
        self.events.iter().take(most).cloned().collect()
    }

    pub(crate) fn acknowledge(&mut self, through: EventSeq) {
        while self.events.front().is_some_and(|(seq, _)| *seq <= through) {
            self.events.pop_front();
        }
    }
}
