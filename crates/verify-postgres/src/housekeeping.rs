//! What is outlived goes, a little at a time.

use std::time::Duration;

use futures_util::try_join;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};
use verify_batch::minute;
use verify_core::time::Timestamp;

use crate::epoch::{self, number, signed};
use crate::statements::Statements;
use crate::transaction::Begin;

/// A process that has not written for a week has no batch in doubt any more.
const PROCESS_FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);

/// The earlier of an engine's time and the server's: one of them may be ahead.
pub(crate) async fn outlived(
    now: Timestamp,
    client: &Client,
    begin: &Begin,
    sql: &Statements,
) -> Result<Timestamp, Error> {
    let origin = epoch::read(&begin.query(client, &sql.origin, &[]).await?);
    Ok(origin.map_or(now, |origin| now.min(origin.clock)))
}

/// Drops at most so many entries of each kind of a lane that is locked, which were outlived at this instant; how many went.
pub(crate) async fn drop_outlived(
    client: &Client,
    sql: &Statements,
    lane: i64,
    at: Timestamp,
    most: i64,
) -> Result<u64, Error> {
    let minute = signed(minute(at));
    // Nobody goes by what is gone: its commit may be broken off.
    let params: [(&(dyn ToSql + Sync), Type); 4] = [
        (&lane, Type::INT8),
        (&minute, Type::INT8),
        (&most, Type::INT8),
        (&false, Type::BOOL),
    ];
    let rows = client.query_typed(&sql.drop_outlived, &params).await?;
    Ok(rows.first().map_or(0, |row| number(row, 0)))
}

/// The same in a transaction of its own: the lane is locked for no longer than that takes.
pub(crate) async fn piece(
    client: &Client,
    sql: &Statements,
    begin: &Begin,
    service: &str,
    at: Timestamp,
    most: i64,
) -> Result<u64, Error> {
    let service: [(&(dyn ToSql + Sync), Type); 1] = [(&service, Type::TEXT)];
    let ((), lane) = try_join!(
        client.batch_execute(&begin.batch),
        client.query_typed(&sql.lock, &service)
    )?;
    let dropped = match lane.first() {
        Some(lane) => drop_outlived(client, sql, lane.get(0), at, most).await?,
        None => 0,
    };
    client.batch_execute("COMMIT").await?;
    Ok(dropped)
}

/// Forgets the batches of processes that are gone.
pub(crate) async fn drop_processes(
    client: &Client,
    begin: &Begin,
    sql: &Statements,
    now: Timestamp,
) -> Result<(), Error> {
    let before = signed((now - PROCESS_FORGOTTEN).as_millis());
    begin
        .execute(client, &sql.drop_processes, &[(&before, Type::INT8)])
        .await
        .map(drop)
}
