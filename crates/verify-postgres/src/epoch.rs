//! What the database says of itself, and whether that was expected.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};
use verify_batch::OnFailover;
use verify_core::store::{Epoch, Origin};
use verify_core::time::Timestamp;

use crate::errors::said;
use crate::statements::{Server, Statements};

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
        moved: row
            .get::<_, Option<i64>>(4)
            .map(|at| Timestamp::from_millis(at.unsigned_abs())),
        clock: Timestamp::from_millis(number(row, 3)),
    })
}

/// True where nothing is left to write down: it has an epoch, and this server was seen to hold it.
pub(crate) fn is_settled(rows: &[Row]) -> bool {
    read(rows).is_some() && rows.iter().all(|row| row.get(5))
}

/// Writes that down, in the transaction that is under way: a first epoch, accepted by whoever opened an empty database and
/// never knew another; the server that holds it now. What it is then.
pub(crate) async fn settle(
    client: &Client,
    sql: &Statements,
    accepted: bool,
    on_failover: OnFailover,
) -> Result<Vec<Row>, Error> {
    let cools = on_failover == OnFailover::Cool;
    client
        .execute_typed(&sql.first_epoch, &[(&accepted, Type::BOOL)])
        .await?;
    client
        .execute_typed(&sql.held_here, &[(&cools, Type::BOOL)])
        .await?;
    client.query_typed(&sql.origin, &[]).await
}

/// What says of itself which server it is; where it does not, that is said, and nothing is seen of one that takes over.
pub(crate) async fn server(client: &Client) -> Server {
    match client.query_typed(&Server::TOLD.asked(), &[]).await {
        Ok(_) => Server::TOLD,
        Err(error) => {
            tracing::warn!(
                target: "verify::store", error = said(&error),
                "this role cannot see which server holds the store (pg_control_system, pg_walfile_name): nobody is told where a copy takes over"
            );
            Server::UNTOLD
        }
    }
}
