//! What is outlived goes, a little at a time.

use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};
use verify_core::time::Timestamp;

use crate::epoch::{self, number, signed};
use crate::statements::Statements;

/// A process that has not written for a day has no batch in doubt any more.
const PROCESS_FORGOTTEN: Duration = Duration::from_secs(86_400);

/// The earlier of an engine's time and the server's: one of them may be ahead.
pub(crate) async fn outlived(now: Timestamp, client: &Client, sql: &Statements) -> Result<Timestamp, Error> {
    let origin = epoch::read(&client.query_typed(&sql.origin, &[]).await?);
    Ok(origin.map_or(now, |origin| now.min(origin.clock)))
}

/// Drops at most so many entries of each kind that were outlived at this instant, of all services; how many went.
pub(crate) async fn drop_outlived(
    client: &Client,
    sql: &Statements,
    at: Timestamp,
    most: i64,
) -> Result<u64, Error> {
    let minute = signed(at.as_millis() / 60_000);
    let rows = client
        .query_typed(&sql.drop_outlived, &[(&minute, Type::INT8), (&most, Type::INT8)])
        .await?;
    Ok(rows.first().map_or(0, |row| number(row, 0)))
}

/// Forgets the batches of processes that are gone.
pub(crate) async fn drop_processes(client: &Client, sql: &Statements, now: Timestamp) -> Result<(), Error> {
    let before = signed((now - PROCESS_FORGOTTEN).as_millis());
    client
        .execute_typed(&sql.drop_processes, &[(&before, Type::INT8)])
        .await
        .map(drop)
}
