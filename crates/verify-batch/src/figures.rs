//! What a store says of itself to whoever looks after it, in figures.

use verify_core::event::Event;
use verify_core::store::kept;
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::limits::Limits;

/// So many outboxes are named at a time: the largest ones.
pub const OUTBOXES_NAMED: usize = 64;

/// What a store holds, and how far behind it is with what it has to do. Looked at now and then, in no command's way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Bytes of what it holds. `None`: it does not say.
    pub held: Option<u64>,
    /// Bytes that it takes on its disk, with what is free in between. `None`: it is on none.
    pub disk: Option<u64>,
    /// Since when, by the minute, the row that was outlived first could have been dropped. `None`: no such row is there.
    pub outlived: Option<Timestamp>,
    /// Services with events that nobody acknowledged, the largest first, at most [`OUTBOXES_NAMED`].
    pub outboxes: Vec<Outbox>,
}

/// Events of a service that nobody acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbox {
    /// Whose.
    pub service: ServiceId,
    /// How many.
    pub events: u64,
    /// When the first of them came to be, by its engine's time. `None`: it cannot be read.
    pub oldest: Option<Timestamp>,
    /// The part of what may wait, in count or in bytes, whichever is fuller: 0 to 1.
    pub used: f64,
}

impl Outbox {
    /// As it stands in a service's lane, with its first event in the kept form.
    pub fn of(
        service: ServiceId,
        (events, bytes): (u64, u64),
        oldest: Option<&[u8]>,
        limits: &Limits,
    ) -> Self {
        let part = |held: u64, most: u64| held as f64 / most.max(1) as f64;
        let oldest = oldest.and_then(|bytes| kept::read_event(bytes).ok());
        Self {
            service,
            events,
            oldest: oldest.as_ref().map(|event: &Event| event.at),
            used: part(events, limits.outbox_events)
                .max(part(bytes, limits.outbox_bytes))
                .min(1.0),
        }
    }
}

/// The instant at which a minute begins.
pub const fn of_minute(minute: u64) -> Timestamp {
    Timestamp::from_millis(minute.saturating_mul(60_000))
}
