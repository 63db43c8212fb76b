//! How much waits, how much is decided together, and for how long.

use std::time::Duration;

use verify_core::store::Room;

/// A part of what may wait that is for known callers.
const FOR_KNOWN: usize = 10;
/// A part that one service's strangers may take.
const STRANGERS_OF_ONE: usize = 4;
/// And one service's known callers.
const KNOWN_OF_ONE: usize = 2;

/// Whose changesets share a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// One transaction at a time, for all services: where one can write at a time anyway.
    Together,
    /// A transaction for each service, so many at a time: where each has a lane that only it waits for.
    Apart {
        /// Transactions at a time; connections.
        at_once: usize,
    },
}

/// Bounds. What is over one is answered [`NotApplied`](verify_core::store::StoreAnswer::NotApplied) at once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Whose changesets share a transaction.
    pub turns: Turns,
    /// Changesets that wait, of all services. A tenth is for known callers; one service's strangers have a quarter, and its
    /// known callers half.
    pub waiting: usize,
    /// Bytes of those, about, with the same parts.
    pub waiting_bytes: usize,
    /// Changesets in one transaction.
    pub together: usize,
    /// How long a transaction may take.
    pub transaction: Duration,
    /// How long it may take to learn what became of one.
    pub asked_again: Duration,
    /// Events of a service that nobody acknowledged. From there on what strangers begin is
    /// [`Full`](verify_core::store::StoreFault::Full) where it brings one, and alerts of theirs are left out.
    pub outbox_events: u64,
    /// Bytes of those.
    pub outbox_bytes: u64,
}

impl Limits {
    /// The defaults: 4096 changesets or 16 MiB wait, 32 are decided together, and 16 where all services share a transaction, in at
    /// most 2 seconds, 1 second to learn about it, a million events or 256 MiB of a service in the outbox. With more of them
    /// a little more is decided in a second, and whoever comes during a flood waits for all of those that go before.
    pub const fn of(turns: Turns) -> Self {
        Self {
            turns,
            waiting: 4_096,
            waiting_bytes: 16 << 20,
            together: match turns {
                Turns::Together => 16,
                Turns::Apart { .. } => 32,
            },
            transaction: Duration::from_secs(2),
            asked_again: Duration::from_secs(1),
            outbox_events: 1_000_000,
            outbox_bytes: 256 << 20,
        }
    }

    /// How much of a bound on what waits callers of a kind may take: those of all services, and those of one.
    pub const fn shares(bound: usize, room: Room) -> (usize, usize) {
        match room {
            Room::Known => (bound, bound / KNOWN_OF_ONE),
            Room::Stranger => (bound - bound / FOR_KNOWN, bound / STRANGERS_OF_ONE),
        }
    }

    pub(crate) const fn at_once(&self) -> usize {
        match self.turns {
            Turns::Together => 1,
            Turns::Apart { at_once } => {
                if at_once == 0 {
                    1
                } else {
                    at_once
                }
            }
        }
    }
}
