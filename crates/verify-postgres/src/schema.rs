//! The tables, and how those of an earlier program become this program's.
//!
//! Migrations go forward only, all of them in one transaction under a lock, so that of processes that start at once one
//! migrates and the others find it done. A migration that an earlier program can live with leaves `needs` as it is: that
//! program goes on, restarts, and can be gone back to. Where there is nothing to migrate no right to change tables is needed.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use crate::errors::{OpenError, said};
use crate::rights;
use crate::transaction::Begin;

/// A step from one schema to the next.
struct Migration {
    sql: &'static str,
    /// The least schema that a program must know to use the tables afterwards.
    needs: i32,
}

/// The first makes schema 1, the second 2.
const MIGRATIONS: &[Migration] = &[
    Migration {
        sql: include_str!("schema_1.sql"),
        needs: 1,
    },
    // An earlier program does not see that a server took over.
    Migration {
        sql: include_str!("schema_2.sql"),
        needs: 1,
    },
];

/// What this program knows.
pub(crate) const KNOWN: i32 = MIGRATIONS.len() as i32;
const OLDEST_SERVER: i32 = 150_000;
/// So long whoever comes second waits for whoever migrates, and whoever migrates for those who read.
const WAITED_FOR: Duration = Duration::from_secs(30);
/// So long at once a step waits for a table: whoever reads it waits behind that.
const IN_LINE: Duration = Duration::from_millis(200);
/// Then all others go first.
const PAUSE: Duration = Duration::from_secs(1);

/// Brings the tables to this program's schema. After an error the connection may be in the middle of a transaction.
pub(crate) async fn migrate(client: &Client, schema: &str) -> Result<(), OpenError> {
    let connect = |error| OpenError::Connect(said(&error));
    let server = "SELECT current_setting('server_version_num')::integer, pg_is_in_recovery()";
    let server = client.query_typed(server, &[]).await.map_err(connect)?;
    let (version, is_standby) = server
        .first()
        .map_or((0, false), |row| (row.get::<_, i32>(0), row.get(1)));
    if version < OLDEST_SERVER {
        return Err(OpenError::Version(version / 10_000));
    }
    if is_standby {
        return Err(OpenError::Standby);
    }
    let lacking = rights::lacking(client, schema).await.map_err(connect)?;
    if !lacking.is_empty() {
        return Err(OpenError::Rights(lacking));
    }
    if is_known(client, schema).await? {
        return Ok(());
    }
    let end = Instant::now() + WAITED_FOR;
    loop {
        match once(client, schema).await {
            Err(OpenError::Held) if Instant::now() < end => {
                client.batch_execute("ROLLBACK").await.map_err(connect)?;
                sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

async fn once(client: &Client, schema: &str) -> Result<(), OpenError> {
    let refused = |error| OpenError::Migrate(said(&error));
    // Released with the transaction, whatever sits between.
    let (begin, in_line) = (Begin::long(WAITED_FOR), IN_LINE.as_millis());
    let begin = format!(
        "{begin}; SELECT pg_advisory_xact_lock(hashtext('verify {schema}')); CREATE SCHEMA IF NOT EXISTS {schema}; SET LOCAL search_path = {schema}; SET LOCAL lock_timeout = {in_line}"
    );
    client.batch_execute(&begin).await.map_err(refused)?;
    steps(client, schema).await?;
    client.batch_execute("COMMIT").await.map_err(refused)
}

/// True when there is nothing to migrate.
async fn is_known(client: &Client, schema: &str) -> Result<bool, OpenError> {
    match found(client, schema).await? {
        Some((found, needed)) if needed > KNOWN => Err(OpenError::Newer {
            found,
            needed,
            known: KNOWN,
        }),
        Some((found, _)) => Ok(found >= KNOWN),
        None => Ok(false),
    }
}

async fn steps(client: &Client, schema: &str) -> Result<(), OpenError> {
    // Somebody else may have done it while this one waited.
    if is_known(client, schema).await? {
        return Ok(());
    }
    let from = found(client, schema).await?.map_or(0, |(found, _)| found);
    let refused = |error: Error| match error.code() {
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => OpenError::Held,
        Some(_) | None => OpenError::Migrate(said(&error)),
    };
    for Migration { sql, needs } in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        client.batch_execute(sql).await.map_err(refused)?;
        let set = format!("UPDATE meta SET needs = {needs}");
        client.batch_execute(&set).await.map_err(refused)?;
    }
    let set = format!("UPDATE meta SET version = {KNOWN}");
    client.batch_execute(&set).await.map_err(refused)
}

/// The schema that is there, and the least that a program must know.
pub(crate) async fn found(client: &Client, schema: &str) -> Result<Option<(i32, i32)>, OpenError> {
    let connect = |error| OpenError::Connect(said(&error));
    let table = format!("{schema}.meta");
    let there = client
        .query_typed("SELECT to_regclass($1) IS NOT NULL", &[(&table, Type::TEXT)])
        .await
        .map_err(connect)?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let sql = format!("SELECT version, needs FROM {schema}.meta");
    let rows = client.query_typed(&sql, &[]).await.map_err(connect)?;
    Ok(rows.first().map(|row| (row.get(0), row.get(1))))
}

/// A name that needs no quotes.
pub(crate) fn checked(schema: &str) -> Result<&str, OpenError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = (1..=63).contains(&schema.len())
        && schema.bytes().all(fits)
        && !schema.starts_with(|first: char| first.is_ascii_digit());
    match is_name {
        true => Ok(schema),
        false => Err(OpenError::SchemaName(schema.to_owned())),
    }
}
