//! What a transaction has to write, in bytes.

use verify_core::store::{
    ClaimKey, CounterKey, EventSeq, Lifetime, RecordKey, Row, Written, WrittenUnder, kept,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// The minute from which something that ends then may be dropped: the one after its end. It is coarse, so that what is written
/// again within it changes no index.
pub const fn gone(ends: Timestamp) -> u64 {
    minute(ends) + 1
}

/// The minute of an instant: what is [`gone`] by it is dropped.
pub const fn minute(at: Timestamp) -> u64 {
    at.as_millis() / 60_000
}

/// What stands in a service's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneRow {
    /// The last version that a record was given.
    pub version: u64,
    /// The last place that an event was given.
    pub seq: u64,
    /// Events that were not acknowledged.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What one service's part of a transaction has to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Whose.
    pub service: ServiceId,
    /// What stands in its lane afterwards.
    pub lane: LaneRow,
    /// Counters.
    pub counters: Vec<PutCounter>,
    /// Records to write, or to delete.
    pub records: Vec<(RecordKey, Option<PutRow>)>,
    /// Claims to write, or to remove.
    pub claims: Vec<(ClaimKey, Option<PutClaim>)>,
    /// Events to append.
    pub events: Vec<(EventSeq, Vec<u8>)>,
}

/// A state of a limit or lockout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutCounter {
    /// Its key.
    pub key: CounterKey,
    /// Its kept form.
    pub bytes: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// A record. Whoever writes one ends that it was put off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRow {
    /// Its kept form.
    pub bytes: Vec<u8>,
    /// When it may be forgotten. `None`: it is durable.
    pub expires_at: Option<Timestamp>,
    /// When it wants a tick.
    pub due: Option<Timestamp>,
    /// The keys that it was written under.
    pub under: WrittenUnder,
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutClaim {
    /// Its kept form.
    pub bytes: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

impl Decided {
    /// Of what the changesets of a service wrote; the lane counts the events already.
    pub(crate) fn of(service: ServiceId, lane: LaneRow, written: Written, events: Vec<Vec<u8>>) -> Self {
        let Written {
            counters,
            records,
            claims,
            events: _,
        } = written;
        let first = lane.seq - events.len() as u64;
        Self {
            service,
            lane,
            counters: counters
                .into_iter()
                .map(|(key, (state, expires_at))| PutCounter {
                    key,
                    bytes: kept::counter(&state, expires_at),
                    expires_at,
                })
                .collect(),
            records: records
                .into_iter()
                .map(|(key, row)| (key, row.as_ref().map(put_row)))
                .collect(),
            claims: claims
                .into_iter()
                .map(|(key, claim)| {
                    let put = claim.map(|claim| PutClaim {
                        bytes: kept::claim(&claim),
                        expires_at: claim.expires_at,
                    });
                    (key, put)
                })
                .collect(),
            events: (first + 1..).map(EventSeq).zip(events).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counters.is_empty()
            && self.records.is_empty()
            && self.claims.is_empty()
            && self.events.is_empty()
    }
}

pub(crate) fn put_row(row: &Row) -> PutRow {
    PutRow {
        bytes: kept::row(row),
        expires_at: match row.lifetime {
            Lifetime::Until(end) => Some(end),
            Lifetime::Durable => None,
        },
        due: row.due,
        under: row.under,
    }
}
