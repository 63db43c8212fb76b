//! Keys of records as they are kept, and what they were written under.

use tokio_postgres::Row;
use verify_core::keys::KeyId;
use verify_core::store::{RecordKey, WrittenUnder};
use verify_core::vocabulary::ServiceId;

use crate::epoch::number;

/// Those that are keys.
pub(crate) fn known(rows: &[Row]) -> Vec<RecordKey> {
    rows.iter()
        .filter_map(|row| RecordKey::from_bytes(row.get(0)))
        .collect()
}

/// A service and a key.
pub(crate) fn place(row: &Row) -> Option<(ServiceId, RecordKey)> {
    let service = ServiceId::new(row.get::<_, &str>(0)).ok()?;
    Some((service, RecordKey::from_bytes(row.get(1))?))
}

/// Keys of the rings, and how many records were written under them.
pub(crate) fn counted(row: &Row) -> Option<(WrittenUnder, u64)> {
    let id = |column| u8::try_from(row.get::<_, i16>(column)).ok().map(KeyId::new);
    let under = WrittenUnder {
        fingerprint: id(0)?,
        seal: Some(id(1)?),
    };
    Some((under, number(row, 2)))
}
