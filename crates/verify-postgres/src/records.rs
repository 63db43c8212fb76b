//! Keys of records as they are kept.

use tokio_postgres::Row;
use verify_core::store::RecordKey;

/// Keys of kinds that this program knows. A later program's are left to it.
pub(crate) fn known(rows: &[Row]) -> Vec<RecordKey> {
    rows.iter()
        .filter_map(|row| RecordKey::from_bytes(row.get(0)))
        .collect()
}
