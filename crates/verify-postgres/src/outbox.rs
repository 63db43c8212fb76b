//! The outboxes: of each service in order, until acknowledged.

use tokio_postgres::Row;
use verify_core::event::Event;
use verify_core::store::{EventSeq, StoreFault, kept};

use crate::epoch::number;

/// Events as they are kept, read.
pub(crate) fn read(rows: &[Row]) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
    let read = rows
        .iter()
        .map(|row| Ok((EventSeq(number(row, 0)), kept::read_event(row.get(1))?)));
    read.collect()
}
