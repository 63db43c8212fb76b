//! Where a destination's record is kept, under every fingerprint of the ring: while keys are rotated, it is looked for
//! under all of them and written under the newest.

use crate::keys::Prints;
use crate::record::{Entry, Notes, Record};
use crate::store::{Expect, RecordChange, RecordKey, RecordKind, Row, Seen, StoreFault, Write};
use crate::time::Timestamp;

/// The keys of one record, newest first, and the versions that were seen under them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    keys: Vec<RecordKey>,
    versions: Vec<Option<u64>>,
}

impl Place {
    pub(super) fn of(kind: RecordKind, prints: &Prints) -> Self {
        let keys: Vec<_> = prints.iter().map(|print| RecordKey { kind, print }).collect();
        Self {
            versions: vec![None; keys.len()],
            keys,
        }
    }

    pub(super) fn at(key: RecordKey) -> Self {
        Self {
            keys: vec![key],
            versions: vec![None],
        }
    }

    pub(super) fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    /// Takes the versions that the store showed.
    pub(super) fn take(&mut self, seen: &Seen) {
        self.versions = self
            .keys
            .iter()
            .map(|key| seen.record(key).map(|row| row.version))
            .collect();
    }

    /// Back to having seen nothing.
    pub(super) fn forget(&mut self) {
        self.versions.fill(None);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.versions.iter().all(Option::is_none)
    }

    /// The change that makes this `row`, or nothing, of what was seen. What lies under an older key moves.
    pub(super) fn becomes(&self, row: Option<Row>) -> Vec<RecordChange> {
        let mut row = row;
        let change = |(index, (key, version)): (usize, (&RecordKey, &Option<u64>))| {
            let write = match (row.take().filter(|_| index == 0), version) {
                (Some(row), _) => Write::Put(row),
                (None, Some(_)) => Write::Delete,
                (None, None) => Write::Keep,
            };
            RecordChange {
                key: *key,
                expect: version.map_or(Expect::Absent, Expect::At),
                write,
            }
        };
        self.keys
            .iter()
            .zip(&self.versions)
            .enumerate()
            .map(change)
            .collect()
    }

    /// What was seen must still be there; nothing changes.
    pub(super) fn stays(&self) -> Vec<RecordChange> {
        let keep = |(key, version): (&RecordKey, &Option<u64>)| RecordChange {
            key: *key,
            expect: version.map_or(Expect::Absent, Expect::At),
            write: Write::Keep,
        };
        self.keys.iter().zip(&self.versions).map(keep).collect()
    }

    fn rows<'a>(&'a self, seen: &'a Seen) -> impl Iterator<Item = &'a Row> {
        self.keys.iter().filter_map(|key| seen.record(key))
    }

    /// The verifications that were seen, those under older keys first.
    pub(super) fn record(&self, seen: &Seen) -> Result<Record, StoreFault> {
        let mut whole = Record::default();
        for row in self.rows(seen) {
            let part = Record::decode(row)?;
            whole.entries.splice(0..0, part.entries);
            whole.concluding = whole.concluding.or(part.concluding);
        }
        Ok(whole)
    }

    /// The notes that were seen.
    pub(super) fn notes(&self, seen: &Seen, now: Timestamp) -> Result<Notes, StoreFault> {
        let mut whole = Notes::default();
        for row in self.rows(seen) {
            for note in Notes::decode(row)?.notes {
                whole.take(note, now);
            }
        }
        Ok(whole)
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
