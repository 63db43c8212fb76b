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
