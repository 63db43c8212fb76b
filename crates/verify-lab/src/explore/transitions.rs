//! Which transitions a search took: records as they were before and after each step, held against the two tables.

use std::collections::BTreeSet;

use verify_core::record::{DeliveryStatus, Entry, Record, Status};
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

    /// Notes what changed from one world to the next.
    ///
    /// # Errors
    /// What changed in a way that no table has.
    pub(super) fn note(&mut self, before: &World, after: &World) -> Result<(), String> {
        for ((service, key), row) in after.store.records().iter() {
            let was = before.store.records().get(service, key);
            if key.kind != RecordKind::Verifications || was == Some(row) {
                continue;
            }
            let was = was.map_or(Ok(Record::default()), decoded)?;
            for entry in &decoded(row)?.entries {
                self.note_entry(was.entry(&entry.nonce), entry)?;
            }
        }
        Ok(())
    }

    fn note_entry(&mut self, was: Option<&Entry>, entry: &Entry) -> Result<(), String> {
        let before = was.map_or(Status::Pending, Entry::status);
        let now = entry.status();
        if !take(&mut self.statuses, Status::TRANSITIONS, before, now) {
            return Err(format!("i24: {} became {}", before.as_str(), now.as_str()));
        }
        for delivery in &entry.deliveries {
            let before = was.and_then(|was| was.delivery(&delivery.id));
            let before = before.map_or(DeliveryStatus::Dispatching, |was| was.status());
            let now = delivery.status();
            if !take(&mut self.deliveries, DeliveryStatus::TRANSITIONS, before, now) {
                return Err(format!("i35: {} became {}", before.as_str(), now.as_str()));
            }
        }
        Ok(())
    }
}

/// False where the table has no way. One changeset may take several steps at once: they are a way, and none of them
/// counts as taken, because it was never stored.
fn take<S: Copy + Ord>(taken: &mut BTreeSet<(S, S)>, table: &[(S, S)], before: S, after: S) -> bool {
    if table.contains(&(before, after)) {
        taken.insert((before, after));
    }
    before == after || leads(table, before, after)
}

/// True when the table has a way; tables never go back, so this ends.
fn leads<S: Copy + Ord>(table: &[(S, S)], from: S, to: S) -> bool {
    let mut steps = table.iter().filter(|(before, _)| *before == from);
    steps.any(|(_, after)| *after == to || leads(table, *after, to))
}

fn decoded(row: &Row) -> Result<Record, String> {
    Record::decode(row).map_err(|fault| format!("a record that cannot be read: {fault}"))
}
