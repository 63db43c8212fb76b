//! Which transitions of the two tables a search took: records as they were before and after each step.

use std::collections::BTreeSet;

use verify_core::record::{DeliveryStatus, Record, Status, Verification};
use verify_core::store::{RecordKind, Row};

use super::World;

/// The transitions that were seen in stored records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transitions {
    /// Of verifications.
    pub statuses: BTreeSet<(Status, Status)>,
    /// Of deliveries.
    pub deliveries: BTreeSet<(DeliveryStatus, DeliveryStatus)>,
}

impl Transitions {
    /// Adds what another search saw.
    pub fn extend(&mut self, other: &Self) {
        self.statuses.extend(&other.statuses);
        self.deliveries.extend(&other.deliveries);
    }

    /// Notes what changed from one world to the next. One changeset may take several steps at once: none of them counts as
    /// taken, because it was never stored. Whether a change has a way in the tables is the watch's to say.
    pub(super) fn note(&mut self, before: &World, after: &World) {
        for ((service, key), row) in after.store.records().iter() {
            let was = before.store.records().get(service, key);
            if key.kind != RecordKind::Verifications || was == Some(row) {
                continue;
            }
            let was = was.and_then(decoded).unwrap_or_default();
            for is in &decoded(row).unwrap_or_default().verifications {
                self.note_verification(was.verification(is.nonce), is);
            }
        }
    }

    fn note_verification(&mut self, was: Option<&Verification>, is: &Verification) {
        let before = was.map_or(Status::Pending, Verification::status);
        take(&mut self.statuses, Status::TRANSITIONS, (before, is.status()));
        for delivery in &is.deliveries {
            let before = was.and_then(|was| was.delivery(&delivery.id));
            let before = before.map_or(DeliveryStatus::Dispatching, |was| was.status());
            let step = (before, delivery.status());
            take(&mut self.deliveries, DeliveryStatus::TRANSITIONS, step);
        }
    }
}

fn take<S: Copy + Ord>(taken: &mut BTreeSet<(S, S)>, table: &[(S, S)], step: (S, S)) {
    if table.contains(&step) {
        taken.insert(step);
    }
}

fn decoded(row: &Row) -> Option<Record> {
    Record::decode(row).ok()
}
