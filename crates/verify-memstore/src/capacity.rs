//! How much a store holds at most, and how much of it strangers may fill.

use verify_core::store::Room;

/// What a [`MemStore`](crate::MemStore) holds at most, by count.
///
/// Everything is divided over shards, and a shard that is full refuses; so what is new may be refused when a few
/// percent of the whole are still free. Stores of less than some thousand entries have one shard and are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// States of limits and lockouts. One takes about 80 bytes, at most 400.
    pub counters: usize,
    /// Records. One takes about 120 bytes and its contents, which the core bounds.
    pub records: usize,
    /// Claims. One takes about 60 bytes and its value.
    pub claims: usize,
    /// Events that nobody acknowledged yet. One takes about 300 bytes.
    pub events: usize,
    /// Of each of these, how many percent only [`Room::Known`] may fill: known callers, and whatever ends or
    /// repairs what is there. 100 and more refuse every stranger.
    pub reserved_for_known_percent: u8,
}

impl Default for Capacity {
    /// A million counters, a hundred thousand records, half a million claims, a hundred thousand events, a tenth of
    /// each for known callers: some 400 MB when all of it is full.
    fn default() -> Self {
        Self {
            counters: 1_000_000,
            records: 100_000,
            claims: 500_000,
            events: 100_000,
            reserved_for_known_percent: 10,
        }
    }
}

/// What an entry is taken to take, in bytes: more than one that is new, so that those that grow have their room.
const COUNTER: u64 = 120;
const RECORD: u64 = 260;
const CLAIM: u64 = 160;
const EVENT: u64 = 300;
/// What an accepted send leaves behind at most: a counter for each limit that counts it, its record, an idempotency key.
const COUNTERS_OF_A_SEND: u64 = 6;
const SEND: u64 = COUNTERS_OF_A_SEND * COUNTER + RECORD + CLAIM;
/// The part of the memory that is for events, and how many are enough.
const FOR_EVENTS: u64 = 8;
const MOST_EVENTS: u64 = 1_000_000;

impl Capacity {
    /// What that many bytes of memory hold: as many sends as there is room for, with the counters, the record and the claim of
    /// each, and an eighth for events. A flood of new keys, which is what fills a store, takes less than the bytes; counters
    /// that were all charged many times take up to three times as many.
    #[must_use]
    pub fn of_bytes(bytes: u64) -> Self {
        let events = (bytes / FOR_EVENTS / EVENT).min(MOST_EVENTS);
        let sends = (bytes - events * EVENT) / SEND;
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            counters: count(sends * COUNTERS_OF_A_SEND),
            records: count(sends),
            claims: count(sends),
            events: count(events),
            ..Self::default()
        }
    }
}

/// How much of its capacity a store uses. Outlived entries that were not swept yet are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// States of limits and lockouts.
    pub counters: usize,
    /// Records.
    pub records: usize,
    /// Claims.
    pub claims: usize,
    /// Events not acknowledged.
    pub events: usize,
}

impl Usage {
    /// The part of the capacity that is used, by the kind of which the greatest part is: 0 to 1.
    pub fn part_of(&self, capacity: &Capacity) -> f64 {
        let kinds = [
            (self.counters, capacity.counters),
            (self.records, capacity.records),
            (self.claims, capacity.claims),
            (self.events, capacity.events),
        ];
        let parts = kinds.map(|(used, most)| used as f64 / most.max(1) as f64);
        parts.into_iter().fold(0.0, f64::max).min(1.0)
    }
}

/// The most entries of one kind in one place, by whose room they take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cap {
    stranger: usize,
    known: usize,
}

impl Cap {
    pub(crate) fn new(most: usize, reserved_percent: u8) -> Self {
        let reserved = most.saturating_mul(usize::from(reserved_percent)).div_ceil(100);
        Self {
            stranger: most.saturating_sub(reserved),
            known: most,
        }
    }

    /// True when `more` entries fit beside the `held` ones.
    pub(crate) fn admits(self, room: Room, held: usize, more: usize) -> bool {
        let most = match room {
            Room::Stranger => self.stranger,
            Room::Known => self.known,
        };
        more == 0 || held.saturating_add(more) <= most
    }
}

/// The caps of one shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShardCaps {
    pub(crate) counters: Cap,
    pub(crate) records: Cap,
    pub(crate) claims: Cap,
}

/// A shard is not made for less than this many entries of a kind: keys fall unevenly, and the fewer a shard holds,
/// the more of the whole is still free when the first one is full.
const FEWEST_IN_A_SHARD: usize = 1_024;
/// More shards than any machine has cores to contend for them.
pub(crate) const MOST_SHARDS: usize = 256;

impl Capacity {
    /// How many shards it is divided over: a power of two.
    pub(crate) fn shards(&self) -> usize {
        let wanted = self.counters.min(self.records).min(self.claims) / FEWEST_IN_A_SHARD;
        let wanted = wanted.clamp(1, MOST_SHARDS);
        1 << wanted.ilog2()
    }

    pub(crate) fn of_one_shard(&self) -> ShardCaps {
        let cap = |most: usize| Cap::new(most / self.shards(), self.reserved_for_known_percent);
        ShardCaps {
            counters: cap(self.counters),
            records: cap(self.records),
            claims: cap(self.claims),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_stores_are_one_shard_and_large_ones_a_power_of_two() {
        let of = |count| {
            Capacity {
                counters: count,
                records: count,
                claims: count,
                ..Capacity::default()
            }
            .shards()
        };
        assert_eq!(
            [of(0), of(10), of(2_048), of(5_000), of(10_000_000)],
            [1, 1, 2, 4, 256]
        );
    }

    #[test]
    fn memory_is_for_sends_and_a_part_of_it_for_events() {
        let gib = Capacity::of_bytes(1 << 30);
        assert_eq!((gib.counters, gib.claims), (gib.records * 6, gib.records));
        assert!((800_000..850_000).contains(&gib.records), "{gib:?}");
        assert!((430_000..460_000).contains(&gib.events), "{gib:?}");
        assert_eq!(Capacity::of_bytes(1 << 40).events, 1_000_000);
        assert_eq!(Capacity::of_bytes(0).records, 0);
    }

    #[test]
    fn the_kind_that_is_fullest_says_how_full_it_is() {
        let capacity = Capacity::of_bytes(1 << 20);
        assert!(Usage::default().part_of(&capacity) < f64::EPSILON);
        let half = Usage {
            claims: capacity.claims / 2,
            ..Usage::default()
        };
        assert!((half.part_of(&capacity) - 0.5).abs() < 0.01);
        let nothing = Capacity {
            events: 0,
            ..capacity
        };
        let full = Usage { events: 7, ..half };
        assert!((full.part_of(&nothing) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn i57_known_callers_have_room_of_their_own() {
        let cap = Cap::new(10, 10);
        assert!(cap.admits(Room::Stranger, 8, 1));
        assert!(!cap.admits(Room::Stranger, 9, 1));
        assert!(cap.admits(Room::Known, 9, 1));
        assert!(!cap.admits(Room::Known, 10, 1));
    }

    #[test]
    fn what_takes_no_room_is_admitted_when_full() {
        assert!(Cap::new(0, 10).admits(Room::Stranger, 0, 0));
    }
}
