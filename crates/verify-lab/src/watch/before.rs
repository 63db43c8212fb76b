//! What a changeset names, as it is before it is applied.

use verify_core::record::Record;
use verify_core::store::{Changeset, ClaimKey, RecordChange, RecordKey, RecordKind, Row};
use verify_testkit::{KeptCounter, ModelState};

#[derive(Debug, PartialEq)]
pub(super) struct Before {
    counters: Vec<Option<KeptCounter>>,
    rows: Vec<Option<Row>>,
    /// For each charge, whether it counts where it is live.
    pub(super) live: Vec<bool>,
    /// The records that change, as far as they are there.
    pub(super) records: Vec<(RecordKey, Record)>,
    /// Markers of takebacks and alerts that are there.
    pub(super) claims: Vec<ClaimKey>,
    pub(super) events: usize,
}

impl Before {
    pub(super) fn of(store: &ModelState, changeset: &Changeset) -> Self {
        let (service, at) = (&changeset.service, changeset.at);
        let row = |key: &RecordKey| {
            let row = store.records().get(service, key);
            row.filter(|row| !row.is_outlived(at))
        };
        let is_live = |key: &RecordKey| row(key).is_some_and(|row| row.is_live(at));
        let charged = changeset.charges.iter().map(|charge| charge.key);
        let counters = charged.chain(changeset.resets.iter().copied());
        let there = |key: &ClaimKey| {
            let claim = store.claims().get(service, key);
            claim.is_some_and(|claim| claim.expires_at > at)
        };
        let rows: Vec<_> = changeset.records.iter().map(|change| row(&change.key)).collect();
        let record = |(change, row): (&RecordChange, &Option<&Row>)| match change.key.kind {
            RecordKind::Verifications => Some((change.key, Record::decode((*row)?).ok()?)),
            RecordKind::Notes => None,
        };
        let records = changeset.records.iter().zip(&rows).filter_map(record).collect();
        let markers = changeset.takebacks.iter().map(|takeback| takeback.once);
        let markers = markers.chain(changeset.alerts.iter().map(|alert| alert.once.key));
        Self {
            counters: counters
                .map(|key| store.counters().get(service, &key).cloned())
                .collect(),
            live: changeset
                .charges
                .iter()
                .map(|charge| charge.when_live.is_empty() || charge.when_live.iter().any(is_live))
                .collect(),
            records,
            rows: rows.into_iter().map(Option::<&Row>::cloned).collect(),
            claims: markers.filter(there).collect(),
            events: store.events().len(),
        }
    }
}
