//! What is kept of a destination, where it lies, and what the store showed of it: one look for every flow.
//!
//! Everything lies under every fingerprint of the ring: while keys are rotated it is looked for under all of them, and
//! written under the newest.

use crate::ids::Nonce;
use crate::keys::{KeyId, Keys, Prints};
use crate::record::{Notes, Record, Status, Unwritable, Verification};
use crate::store::{Expect, RecordChange, RecordKey, RecordKind, Row, Seen, StoreFault, Write};
use crate::time::Timestamp;

use super::board::Board;

/// What the store showed of a destination, and the time by which a flow judges what is pending. It is the latest stamp that
/// every flow about a person sees, so that none judges an instant otherwise than another.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) record: Record,
    /// Of the destination and its prefix together.
    pub(super) notes: Notes,
    pub(super) clock: Timestamp,
}

impl Found {
    /// Nothing, at this time.
    pub(super) fn nothing(now: Timestamp) -> Self {
        Self {
            clock: now,
            ..Self::default()
        }
    }

    /// What an answer shows at these places, by the time and the stamps of these boards, which have taken it too: those
    /// that every flow about a person sees, so that none finds over what another finds pending.
    pub(super) fn at(
        places: &mut Places,
        boards: &[&Board],
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Self, StoreFault> {
        places.take(seen, now)?;
        let record = places.record.record(seen)?;
        let counted = boards.iter().map(|board| board.newest_of_the_person());
        let clock = counted.fold(now.max(record.newest()), Timestamp::max);
        let mut notes = Notes::default();
        for place in &places.notes {
            notes.take_all(&place.noted, clock);
        }
        Ok(Self { record, notes, clock })
    }

    /// The same, later.
    pub(super) fn later(self, now: Timestamp) -> Self {
        Self {
            clock: self.clock.max(now),
            ..self
        }
    }

    /// Ends in the record what time and the lockouts have ended, though nobody may have written it yet: `expired`, and
    /// `exhausted` for what was issued before the instant that `closed` says of it. Returns those that were closed.
    pub(super) fn write_down_ends(&mut self, closed: impl Fn(&Verification) -> Timestamp) -> Vec<Nonce> {
        let clock = self.clock;
        let mut exhausted = Vec::new();
        for verification in &mut self.record.verifications {
            let closes = verification.is_pending(clock) && verification.issued < closed(verification);
            if closes && verification.advance(Status::Exhausted) {
                exhausted.push(verification.nonce);
            } else if verification.status_at(clock) == Status::Expired {
                verification.advance(Status::Expired);
            }
        }
        exhausted
    }
}

/// Everything that a command looks at of one destination.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) record: Place,
    /// Of the destination, then of its prefix, where the command needs them.
    pub(super) notes: Vec<NotesPlace>,
}

/// Where notes lie, and what was seen of them: an answer that does not show them leaves that as it was.
#[derive(Debug, Clone)]
pub(super) struct NotesPlace {
    pub(super) place: Place,
    pub(super) noted: Notes,
}

impl Places {
    /// The record alone.
    pub(super) fn of_record(record: Place) -> Self {
        Self {
            record,
            notes: Vec::new(),
        }
    }

    /// The record, and the notes on each of these.
    pub(super) fn with_notes<'a>(
        keys: &Keys,
        destination: &Prints,
        noted: impl IntoIterator<Item = &'a Prints>,
    ) -> Self {
        let notes = noted.into_iter().map(|prints| NotesPlace {
            place: Place::of(keys, RecordKind::Notes, prints),
            noted: Notes::default(),
        });
        Self {
            record: Place::of(keys, RecordKind::Verifications, destination),
            notes: notes.collect(),
        }
    }

    /// Every key, to read.
    pub(super) fn keys(&self) -> Vec<RecordKey> {
        let notes = self.notes.iter().map(|notes| &notes.place);
        let places = std::iter::once(&self.record).chain(notes);
        places.flat_map(Place::keys).copied().collect()
    }

    /// Back to having seen nothing. What was said in notes is not forgotten.
    pub(super) fn forget(&mut self) {
        self.record.forget();
        self.notes.iter_mut().for_each(|notes| notes.place.forget());
    }

    pub(super) fn take(&mut self, seen: &Seen, now: Timestamp) -> Result<(), StoreFault> {
        self.record.take(seen);
        for NotesPlace { place, noted } in &mut self.notes {
            if place.is_shown(seen) {
                place.take(seen);
                *noted = place.notes(seen, now)?;
            }
        }
        Ok(())
    }
}

/// The keys of one record, newest first, and the versions that were seen under them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    spots: Vec<Spot>,
    /// The key of the ring that the first of them was made with.
    fingerprint: KeyId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    key: RecordKey,
    version: Option<u64>,
}

impl Place {
    pub(super) fn of(keys: &Keys, kind: RecordKind, prints: &Prints) -> Self {
        let spot = |print| Spot {
            key: RecordKey { kind, print },
            version: None,
        };
        Self {
            spots: prints.iter().map(spot).collect(),
            fingerprint: keys.fingerprint.newest(),
        }
    }

    /// Where somebody says that something lies: which key that was made with shows in its row.
    pub(super) fn at(keys: &Keys, key: RecordKey) -> Self {
        Self {
            spots: vec![Spot { key, version: None }],
            fingerprint: keys.fingerprint.newest(),
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &RecordKey> {
        self.spots.iter().map(|spot| &spot.key)
    }

    /// True when the store said what lies here, or that nothing does.
    fn is_shown(&self, seen: &Seen) -> bool {
        let named = |key| seen.records.iter().any(|(shown, _)| shown == key);
        self.keys().any(named)
    }

    /// Takes the versions that the store showed.
    pub(super) fn take(&mut self, seen: &Seen) {
        for spot in &mut self.spots {
            spot.version = seen.record(&spot.key).map(|row| row.version);
        }
        if let [spot] = self.spots.as_slice() {
            let row = seen.record(&spot.key);
            self.fingerprint = row.map_or(self.fingerprint, |row| row.under.fingerprint);
        }
    }

    /// Back to having seen nothing.
    fn forget(&mut self) {
        for spot in &mut self.spots {
            spot.version = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spots.iter().all(|spot| spot.version.is_none())
    }

    /// The change that makes this the record, or nothing when there is nothing in it.
    pub(super) fn becomes(&self, record: &Record) -> Result<Vec<RecordChange>, Unwritable> {
        let row = (!record.is_empty()).then(|| record.encode(self.fingerprint));
        row.transpose().map(|row| self.changes(row))
    }

    /// The change that makes these the notes.
    pub(super) fn becomes_notes(&self, notes: &Notes) -> Result<Vec<RecordChange>, Unwritable> {
        Ok(self.changes(Some(notes.encode(self.fingerprint)?)))
    }

    /// The change after which nothing lies here.
    pub(super) fn goes(&self) -> Vec<RecordChange> {
        self.changes(None)
    }

    /// What lies under an older key moves.
    fn changes(&self, row: Option<Row>) -> Vec<RecordChange> {
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
            whole
                .verifications
                .retain(|verification| newer.verification(verification.nonce).is_none());
            whole.verifications.extend(newer.verifications);
            whole.concluding = newer.concluding.or(whole.concluding);
        }
        Ok(whole)
    }

    /// The notes that were seen.
    pub(super) fn notes(&self, seen: &Seen, now: Timestamp) -> Result<Notes, StoreFault> {
        let mut whole = Notes::default();
        for row in self.rows(seen) {
            whole.take_all(&Notes::decode(row)?, now);
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
