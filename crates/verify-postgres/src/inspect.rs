//! A database looked at, or prepared, by somebody who does not serve from it.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error};
use verify_core::store::Origin;
use verify_core::time::Timestamp;

use crate::connect::{self, Connection};
use crate::epoch::{self, number};
use crate::errors::{OpenError, said};
use crate::options::PostgresOptions;
use crate::rights;
use crate::schema::{self, KNOWN};
use crate::statements::{Server, Statements};

/// What a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Its schema; 0 while it has none.
    pub schema: u32,
    /// The least schema that a program must know to use it.
    pub needs: u32,
    /// The schema that this program knows.
    pub known: u32,
    /// Where what it holds comes from. `None`: it was never served from, or it lost its data.
    pub origin: Option<Origin>,
    /// Bytes of what it holds: keys and values.
    pub held: u64,
    /// The server's version, as it says it.
    pub server: String,
    /// True when it follows another server: nothing can be written there.
    pub standby: bool,
    /// Rights that whoever serves from the tables needs and this role lacks, each with where.
    pub lacks: Vec<String>,
    /// Settings of the server under which what was answered may be lost: name and value.
    pub weak: Vec<(String, String)>,
    /// The server's clock.
    pub clock: Timestamp,
    /// How long a statement and its answer take.
    pub round_trip: Duration,
}

/// Looks at a database. Nothing is made and nothing changed.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub async fn inspect(options: &PostgresOptions) -> Result<Inspection, OpenError> {
    let schema = schema::checked(&options.schema)?;
    let pool = connect::pool(options)?.pool;
    let connection = Connection::of(&pool).await?;
    let client = connection.client()?;
    let weak = "SELECT name, setting FROM pg_settings WHERE (name, setting) IN (('fsync', 'off'), ('full_page_writes', 'off'), ('synchronous_commit', 'off'))";
    let weak = client.query_typed(weak, &[]).await.map_err(unusable)?;
    let began = Instant::now();
    let now = "SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000)::bigint, pg_is_in_recovery()";
    let now = client.query_typed(now, &[]).await.map_err(unusable)?;
    let round_trip = began.elapsed();
    let lacks = rights::lacking(client, schema).await.map_err(unusable)?;
    let (found, origin, held) = match look(client, schema).await {
        // It may not even do that.
        Err(_) if !lacks.is_empty() => return Err(OpenError::Rights(lacks)),
        looked => looked?,
    };
    let (schema, needs) = found.unwrap_or_default();
    Ok(Inspection {
        schema: schema.unsigned_abs(),
        needs: needs.unsigned_abs(),
        known: KNOWN.unsigned_abs(),
        origin,
        held,
        server: now.first().map(|row| row.get(0)).unwrap_or_default(),
        standby: now.first().is_some_and(|row| row.get(2)),
        lacks,
        weak: weak.iter().map(|row| (row.get(0), row.get(1))).collect(),
        clock: Timestamp::from_millis(now.first().map_or(0, |row| number(row, 1))),
        round_trip,
    })
}

/// The schema of the tables, where what they hold comes from, and its bytes.
async fn look(client: &Client, schema: &str) -> Result<(Option<(i32, i32)>, Option<Origin>, u64), OpenError> {
    let found = schema::found(client, schema).await?;
    if found.is_none() {
        return Ok((None, None, 0));
    }
    let sql = Statements::on(schema, &Server::UNTOLD);
    let origin = client.query_typed(&sql.origin_of_any, &[]).await;
    let held = client.query_typed(&sql.held, &[]).await.map_err(unusable)?;
    let held = held.first().map_or(0, |row| number(row, 0));
    Ok((found, epoch::read(&origin.map_err(unusable)?), held))
}

fn unusable(error: Error) -> OpenError {
    OpenError::Connect(said(&error))
}

/// Makes the tables where there are none, and brings them to this program's schema; which schema they had before, 0 for none.
///
/// # Errors
/// [`OpenError`], which says what to do.
pub async fn migrate(options: &PostgresOptions) -> Result<u32, OpenError> {
    let schema = schema::checked(&options.schema)?;
    let before = inspect(options).await?.schema;
    let pool = connect::pool(options)?.pool;
    let connection = Connection::of(&pool).await?;
    schema::migrate(connection.client()?, schema).await?;
    Ok(before)
}
