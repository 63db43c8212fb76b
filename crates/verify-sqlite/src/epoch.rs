//! What the file says of itself, and whether that was expected.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use verify_core::store::{Epoch, Origin};
use verify_core::time::Timestamp;

/// The machine's clock, which is the store's.
pub(crate) fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Timestamp::from_millis(millis)
}

/// Where an answer comes from, and whether that had to be written: a file without an epoch gets one now. It is accepted by
/// whoever opened an empty file and never knew another, and by nobody else.
pub(crate) fn origin(connection: &Connection, expected_new: bool) -> rusqlite::Result<(Origin, bool)> {
    match read(connection)? {
        Some(origin) => Ok((origin, false)),
        None => Ok((begin(connection, expected_new)?, true)),
    }
}

/// The same in a transaction of its own: of several that find none one makes it.
pub(crate) fn origin_alone(connection: &mut Connection, expected_new: bool) -> rusqlite::Result<Origin> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (origin, _) = origin(&transaction, expected_new)?;
    transaction.commit()?;
    Ok(origin)
}

/// Another file stands under the name. Whatever it is, it was not written by who is running: what it says of itself was not
/// expected here, unless somebody else has noticed before.
pub(crate) fn replaced(connection: &Connection) -> rusqlite::Result<()> {
    match read(connection)? {
        Some(origin) if !origin.accepted => {}
        Some(_) | None => drop(begin(connection, false)?),
    }
    tracing::error!(target: "verify::store", path = connection.path(), "another file stands in the place of the store");
    Ok(())
}

/// What stands there.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<Origin>> {
    let mut asked =
        connection.prepare_cached("SELECT epoch, made, accepted FROM meta WHERE epoch IS NOT NULL")?;
    asked
        .query_row((), |row| {
            Ok(Origin {
                epoch: Epoch(row.get(0)?),
                made: Timestamp::from_millis(row.get(1)?),
                accepted: row.get(2)?,
                moved: None,
                clock: clock(),
            })
        })
        .optional()
}

/// Another epoch, from now on.
pub(crate) fn begin(connection: &Connection, accepted: bool) -> rusqlite::Result<Origin> {
    let made = clock();
    connection
        .prepare_cached("UPDATE meta SET epoch = randomblob(16), made = ?1, accepted = ?2")?
        .execute((made.as_millis(), accepted))?;
    read(connection)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// Whatever may have been lost, this is what there is.
pub(crate) fn accept(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE meta SET accepted = 1", ())?;
    Ok(())
}
