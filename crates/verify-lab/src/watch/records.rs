//! Records: how verifications and deliveries move, and whether the header in front of a record is true.

use std::sync::Arc;

use verify_core::event::EventKind;
use verify_core::keys::{KeyId, Keys};
use verify_core::record::{DeliveryStatus, Notes, Record, Status, Verification};
use verify_core::store::{Changeset, Lifetime, RecordKey, RecordKind, Row, Write};

use super::before::Before;
use super::{Course, Holds, Named, Watch, holds};

impl Watch {
    /// Believes what was recorded before the watch began.
    pub(super) fn believe_record(&mut self, record: &Record) {
        for verification in &record.verifications {
            for delivery in &verification.deliveries {
                let named = Named {
                    provider: Arc::clone(&delivery.provider),
                    dispatched: true,
                };
                self.deliveries.insert(delivery.id, named);
            }
            self.proofs
                .extend(verification.approval.as_ref().map(|mark| mark.id));
        }
    }

    /// What an applied changeset did to records.
    pub(super) fn records(
        &mut self,
        course: &Course,
        keys: &Keys,
        changeset: &Changeset,
        before: &Before,
    ) -> Holds {
        let mut approved = 0;
        for change in &changeset.records {
            let row = match &change.write {
                Write::Put(row) => Some(row),
                Write::Delete => None,
                Write::Keep => continue,
            };
            let sealed: Vec<Vec<u8>> = match (row, change.key.kind) {
                (Some(row), RecordKind::Notes) => read(Notes::decode(row))?.whose.into_iter().collect(),
                (None, RecordKind::Notes) => continue,
                (row, RecordKind::Verifications) => {
                    let becomes = row.map_or(Ok(Record::default()), |row| read(Record::decode(row)))?;
                    if let Some(row) = row {
                        says_what_is_in_it(row, &becomes)?;
                    }
                    approved += self.becomes(course, changeset, before, change.key, &becomes)?;
                    becomes.verifications.into_iter().map(|it| it.sealed).collect()
                }
            };
            if let Some(row) = row {
                self.names_its_keys(keys, changeset, change.key, row, &sealed)?;
            }
        }
        let mut told = changeset
            .events
            .iter()
            .map(|event| event.kind)
            .collect::<Vec<_>>();
        told.retain(|kind| *kind == EventKind::Approved);
        holds(approved == told.len(), || {
            format!("i25: {approved} approvals with {} events", told.len())
        })
    }

    /// How many verifications were approved in a record that becomes this.
    fn becomes(
        &mut self,
        course: &Course,
        changeset: &Changeset,
        before: &Before,
        key: RecordKey,
        becomes: &Record,
    ) -> Result<usize, String> {
        let mut approved = 0;
        // A record moves to the newest key while keys are rotated: what it becomes is found under another one.
        let earlier = |nonce| {
            before
                .records
                .iter()
                .find_map(|(_, record)| record.verification(nonce))
        };
        for verification in &becomes.verifications {
            let earlier = earlier(verification.nonce);
            approved += usize::from(self.moves(earlier, verification)?);
        }
        let moved =
            |gone: &Verification| written(changeset).any(|new| new.verification(gone.nonce).is_some());
        let was = before.records.iter().filter(|(named, _)| *named == key);
        for gone in was.flat_map(|(_, record)| &record.verifications) {
            if becomes.verification(gone.nonce).is_none() && !moved(gone) {
                self.goes(course, gone)?;
            }
        }
        Ok(approved)
    }

    /// How a verification and its deliveries moved. True when it was approved.
    fn moves(&mut self, earlier: Option<&Verification>, now: &Verification) -> Result<bool, String> {
        let (was, is) = (
            earlier.map_or(Status::Pending, Verification::status),
            now.status(),
        );
        holds(was == is || Status::TRANSITIONS.contains(&(was, is)), || {
            format!("i24: {was:?} became {is:?}")
        })?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.code == now.code) {
            holds(earlier.expires == now.expires, || {
                "i22: the same code has another end".into()
            })?;
        }
        for delivery in &now.deliveries {
            let before = earlier.and_then(|earlier| earlier.delivery(&delivery.id));
            let was = before.map_or(DeliveryStatus::Dispatching, |before| before.status());
            holds(leads_to(was, delivery.status()), || {
                format!("i35: a delivery that was {was:?} became {:?}", delivery.status())
            })?;
            if delivery.status() == DeliveryStatus::Dispatching {
                self.deliveries.entry(delivery.id).or_insert_with(|| Named {
                    provider: Arc::clone(&delivery.provider),
                    dispatched: false,
                });
            }
        }
        self.proofs.extend(now.approval.as_ref().map(|mark| mark.id));
        Ok(was != is && is == Status::Approved)
    }

    /// What may go: what is over, what reached nobody, and what an operator erases.
    fn goes(&self, course: &Course, gone: &Verification) -> Holds {
        let arrived = gone.deliveries.iter().any(|delivery| match delivery.status() {
            DeliveryStatus::Accepted | DeliveryStatus::Delivered | DeliveryStatus::Undelivered => true,
            DeliveryStatus::Dispatching | DeliveryStatus::Rejected | DeliveryStatus::Unknown => false,
        });
        let command = course.facts.command;
        let may = command == "erase" || !gone.is_pending(self.latest) || !arrived;
        holds(may, || {
            format!("i37: {command} drops a code that somebody may hold")
        })
    }

    /// Whoever takes a key out of a ring goes by the header: it names the key that the record's own key was made with, which
    /// is one and the same for as long as it lies there, and the oldest that anything in it is sealed with.
    fn names_its_keys(
        &mut self,
        keys: &Keys,
        changeset: &Changeset,
        key: RecordKey,
        row: &Row,
        sealed: &[Vec<u8>],
    ) -> Holds {
        let made_with = self.made_with.entry((changeset.service.clone(), key));
        let made_with = *made_with.or_insert(row.under.fingerprint);
        let known = keys.fingerprint.ids().any(|id| id == row.under.fingerprint);
        holds(known && made_with == row.under.fingerprint, || {
            format!("i56: a row under key {made_with} names {}", row.under.fingerprint)
        })?;
        let under: Vec<KeyId> = sealed
            .iter()
            .filter_map(|part| part.first().copied().map(KeyId::new))
            .collect();
        let named = match row.under.seal {
            Some(id) => under.contains(&id),
            None => under.is_empty(),
        };
        holds(named, || {
            format!("i56: a row sealed with {under:?} names {:?}", row.under.seal)
        })
    }
}

/// The rest of the header: a store goes by it alone.
fn says_what_is_in_it(row: &Row, record: &Record) -> Holds {
    let mut pending = record.verifications.iter();
    let pending = pending.by_ref().filter(|it| it.status() == Status::Pending);
    let live_until = pending.map(|it| it.expires).max();
    holds(row.live_until == live_until, || {
        format!(
            "i14: live until {live_until:?}, and the header says {:?}",
            row.live_until
        )
    })?;
    let unsettled = record.verifications.iter().flat_map(|it| &it.deliveries);
    let unsettled = unsettled.filter_map(|delivery| delivery.due()).min();
    let asked_for = live_until.into_iter().chain(unsettled).min();
    holds(
        asked_for.is_some() == row.due.is_some() && unsettled.is_none_or(|due| row.due <= Some(due)),
        || "i28: nobody would look at a delivery again".into(),
    )?;
    let ends = |end| record.verifications.iter().all(|it| it.expires <= end);
    holds(matches!(row.lifetime, Lifetime::Until(end) if ends(end)), || {
        "i11: a record ends before a code in it, or never".into()
    })
}

fn read<T, E>(decoded: Result<T, E>) -> Result<T, String> {
    decoded.map_err(|_| "a record cannot be read back".into())
}

fn written(changeset: &Changeset) -> impl Iterator<Item = Record> {
    changeset.records.iter().filter_map(|change| match &change.write {
        Write::Put(row) => Record::decode(row).ok(),
        Write::Delete | Write::Keep => None,
    })
}

/// In any number of steps of the table.
fn leads_to(from: DeliveryStatus, to: DeliveryStatus) -> bool {
    from == to
        || DeliveryStatus::TRANSITIONS
            .iter()
            .any(|(one, next)| *one == from && leads_to(*next, to))
}
