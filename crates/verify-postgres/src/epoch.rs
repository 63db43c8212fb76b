//! What the database says of itself, and whether that was expected.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};
use verify_core::store::{Epoch, Origin};
use verify_core::time::Timestamp;

use crate::statements::Statements;

/// A number that was not negative when it was written.
pub(crate) fn number(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column).unsigned_abs()
}

/// The same for the server. Everything here is at most 2^53 - 1.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What stands there; nothing where the data was lost, or never was.
pub(crate) fn read(rows: &[Row]) -> Option<Origin> {
    let row = rows.first()?;
    let epoch: &[u8] = row.get::<_, Option<&[u8]>>(0)?;
    Some(Origin {
        epoch: Epoch(epoch.try_into().ok()?),
        made: Timestamp::from_millis(number(row, 1)),
        accepted: row.get(2),
        clock: Timestamp::from_millis(number(row, 3)),
    })
}

/// The epoch of a database that has none gets made: accepted by whoever opened an empty one and never knew another.
pub(crate) async fn first(
    client: &Client,
    sql: &Statements,
    accepted: bool,
) -> Result<Option<Origin>, Error> {
    client
        .execute_typed(&sql.first_epoch, &[(&accepted, Type::BOOL)])
        .await?;
    Ok(read(&client.query_typed(&sql.origin, &[]).await?))
}
