//! Keys of records as they are kept.

use tokio_postgres::Row;
use verify_core::keys::Print;
use verify_core::store::{RecordKey, RecordKind};

/// Keys of kinds that this program knows. A later program's are left to it.
pub(crate) fn known(rows: &[Row]) -> Vec<RecordKey> {
    rows.iter().filter_map(|row| record_key(row.get(0))).collect()
}

fn record_key(bytes: &[u8]) -> Option<RecordKey> {
    let (tag, print) = bytes.split_first()?;
    Some(RecordKey {
        kind: RecordKind::of_tag(*tag)?,
        print: Print::from_bytes(print.try_into().ok()?),
    })
}
