//! Where a destination's record is kept, under every fingerprint of the ring: while keys are rotated, it is looked for
//! under all of them and written under the newest.

use crate::keys::Prints;
use crate::record::{Entry, Notes, Record};
use crate::store::{Expect, RecordChange, RecordKey, RecordKind, Row, Seen, StoreFault, Write};
use crate::time::Timestamp;

/// The keys of one record, newest first, and the versions that were seen under them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    spots: Vec<Spot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    key: RecordKey,
    version: Option<u64>,
}

impl Place {
    pub(super) fn of(kind: RecordKind, prints: &Prints) -> Self {
        let spot = |print| Spot {
            key: RecordKey { kind, print },
            version: None,
        };
        Self {
            spots: prints.iter().map(spot).collect(),
        }
    }

    pub(super) fn at(key: RecordKey) -> Self {
        Self {
            spots: vec![Spot { key, version: None }],
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &RecordKey> {
        self.spots.iter().map(|spot| &spot.key)
    }

    /// True when the store said what lies here, or that nothing does.
    pub(super) fn is_shown(&self, seen: &Seen) -> bool {
        let named = |key| seen.records.iter().any(|(shown, _)| shown == key);
        self.keys().any(named)
    }

    /// Takes the versions that the store showed.
    pub(super) fn take(&mut self, seen: &Seen) {
        for spot in &mut self.spots {
            spot.version = seen.record(&spot.key).map(|row| row.version);
        }
    }

    /// Back to having seen nothing.
    pub(super) fn forget(&mut self) {
        for spot in &mut self.spots {
            spot.version = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spots.iter().all(|spot| spot.version.is_none())
    }

    /// The change that makes this `row`, or nothing, of what was seen. What lies under an older key moves.
    pub(super) fn becomes(&self, row: Option<Row>) -> Vec<RecordChange> {
        let mut row = row;
        // The row is put under the newest key, which comes first.
        let change = |spot: &Spot| {
            let write = match (row.take(), spot.version) {
                (Some(row), _) => Write::Put(row),
                (None, Some(_)) => Write::Delete,
                (None, None) => Write::Keep,
            };
            spot.change(write)
        };
        self.spots.iter().map(change).collect()
    }

    /// What was seen must still be there; nothing changes.
    pub(super) fn stays(&self) -> impl Iterator<Item = RecordChange> {
        self.spots.iter().map(|spot| spot.change(Write::Keep))
    }

    fn rows<'a>(&'a self, seen: &'a Seen) -> impl Iterator<Item = &'a Row> {
        self.keys().filter_map(|key| seen.record(key))
    }

    /// The verifications that were seen, those under older keys first.
    pub(super) fn record(&self, seen: &Seen) -> Result<Record, StoreFault> {
        let mut whole = Record::default();
        for row in self.rows(seen) {
            let newer = std::mem::replace(&mut whole, Record::decode(row)?);
            // A write that was repeated after the record had moved: what was moved is what goes on.
            whole.entries.retain(|entry| newer.entry(&entry.nonce).is_none());
            whole.entries.extend(newer.entries);
            whole.concluding = newer.concluding.or(whole.concluding);
        }
        Ok(whole)
    }

    /// The notes that were seen.
    pub(super) fn notes(&self, seen: &Seen, now: Timestamp) -> Result<Notes, StoreFault> {
        let mut whole = Notes::default();
        for row in self.rows(seen) {
            whole.take_all(Notes::decode(row)?, now);
        }
        Ok(whole)
    }
}

impl Spot {
    fn change(&self, write: Write) -> RecordChange {
        RecordChange {
            key: self.key,
            expect: self.version.map_or(Expect::Absent, Expect::At),
            write,
        }
    }
}

/// Ends in the record what time and the lockouts have ended: `expired`, and `exhausted` for what was issued before
/// the instant that `closed` says of it. Returns the nonces of those that were closed.
pub(super) fn write_down_ends(
    record: &mut Record,
    now: Timestamp,
    closed: impl Fn(&Entry) -> Timestamp,
) -> Vec<[u8; 16]> {
    use crate::record::Status;
    let mut exhausted = Vec::new();
    for entry in &mut record.entries {
        if entry.is_pending(now) && entry.issued < closed(entry) && entry.advance(Status::Exhausted) {
            exhausted.push(entry.nonce);
        } else if entry.status_at(now) == Status::Expired {
            entry.advance(Status::Expired);
        }
    }
    exhausted
}
