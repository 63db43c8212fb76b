//! What the database says of itself, for whoever looks after it.

use futures_util::try_join;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};
use verify_batch::{Figures, Limits, OUTBOXES_NAMED, Outbox, of_minute};
use verify_core::vocabulary::ServiceId;

use crate::epoch::{number, signed};
use crate::statements::Statements;

/// It reads, locks nothing that anybody waits for, and is given up by the server itself.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = '1s'; SET LOCAL lock_timeout = '1s'";

/// All of it, in one trip.
pub(crate) async fn figures(client: &Client, sql: &Statements, limits: &Limits) -> Result<Figures, Error> {
    let most = signed(OUTBOXES_NAMED as u64);
    let most: [(&(dyn ToSql + Sync), Type); 1] = [(&most, Type::INT8)];
    let ((), rows, outboxes, ()) = try_join!(
        client.batch_execute(BEGIN),
        client.query_typed(&sql.figures, &[]),
        client.query_typed(&sql.outboxes, &most),
        client.batch_execute("COMMIT"),
    )?;
    let row = rows.first();
    Ok(Figures {
        held: row.map(|row| number(row, 0)),
        disk: row.map(|row| number(row, 1)),
        outlived: row
            .and_then(|row| row.get::<_, Option<i64>>(2))
            .map(|gone| of_minute(gone.unsigned_abs())),
        // One with a name that is none is found elsewhere.
        outboxes: outboxes.iter().filter_map(|row| outbox(row, limits)).collect(),
    })
}

fn outbox(row: &Row, limits: &Limits) -> Option<Outbox> {
    let service = ServiceId::new(row.get(0)).ok()?;
    let held = (number(row, 1), number(row, 2));
    Some(Outbox::of(service, held, row.get(3), limits))
}
