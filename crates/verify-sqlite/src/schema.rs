//! The tables, and how a file of an earlier program becomes one of this program.
//!
//! Migrations go forward only and each is one transaction, so that of processes that start at once one migrates and the others
//! find it done. A migration that an earlier program can live with leaves `needs` as it is: that program goes on, restarts, and
//! can be gone back to.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::errors::OpenError;

/// What says that a file is ours.
const APPLICATION_ID: i32 = 0x7665_7266;

/// A step from one schema to the next.
struct Migration {
    sql: &'static str,
    /// The least schema that a program must know to use the file afterwards.
    needs: u32,
}

/// The first makes schema 1, the second 2.
const MIGRATIONS: &[Migration] = &[Migration {
    sql: include_str!("schema_1.sql"),
    needs: 1,
}];

/// What this program knows.
pub(crate) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Which schema a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schema {
    /// 0: none yet.
    pub(crate) found: u32,
    /// The least schema that a program must know to use it.
    pub(crate) needs: u32,
}

/// Which schema a file has, if it is ours.
pub(crate) fn read(connection: &Connection, path: &Path) -> Result<Schema, OpenError> {
    let sqlite = |error| OpenError::of(path, error);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let found = pragma("user_version").map_err(sqlite)?.unsigned_abs();
    let application = pragma("application_id").map_err(sqlite)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(sqlite)?;
    if tables > 0 && application != APPLICATION_ID {
        let path = path.to_owned();
        return Err(OpenError::NotOurs { path });
    }
    let needs = match found {
        0 => Ok(0),
        _ => connection.query_row("SELECT needs FROM meta", (), |row| row.get(0)),
    };
    let needs = needs.map_err(sqlite)?;
    Ok(Schema { found, needs })
}

/// Brings a file to this program's schema; which one it had before.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<u32, OpenError> {
    let sqlite = |error| OpenError::of(path, error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite)?;
    let Schema { found, needs } = read(&transaction, path)?;
    if needs > KNOWN {
        return Err(OpenError::Newer {
            found,
            needed: needs,
            known: KNOWN,
        });
    }
    let behind = MIGRATIONS.iter().skip(found as usize);
    for Migration { sql, needs } in behind {
        transaction.execute_batch(sql).map_err(sqlite)?;
        transaction
            .execute("UPDATE meta SET needs = ?1", [needs])
            .map_err(sqlite)?;
    }
    if found < KNOWN {
        let set = |name, value: i64| transaction.pragma_update(None, name, value);
        set("application_id", APPLICATION_ID.into()).map_err(sqlite)?;
        set("user_version", KNOWN.into()).map_err(sqlite)?;
    }
    transaction.commit().map_err(sqlite)?;
    Ok(found)
}
