//! The log is written back to the file by a thread of its own. SQLite would have whoever commits do it, once a few thousand pages
//! have come together: some hundredths of a second, for which everybody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::worker::Worker;

/// Rows that are written between two times: a thousand pages or so. What comes while it is at it is written back the next time, and
/// where it does not keep up by whoever commits.
const ROWS: usize = 512;

/// What is written, and who writes it back.
#[derive(Debug)]
pub(crate) struct Log {
    worker: Worker,
    rows: usize,
    is_written_back: Arc<AtomicBool>,
}

impl Log {
    pub(crate) fn of(worker: Worker) -> Self {
        Self {
            worker,
            rows: 0,
            is_written_back: Arc::default(),
        }
    }

    /// So many rows were committed.
    pub(crate) fn grew(&mut self, rows: usize) {
        self.rows += rows;
        if self.rows < ROWS || self.is_written_back.swap(true, Ordering::AcqRel) {
            return;
        }
        self.rows = 0;
        let is_written_back = Arc::clone(&self.is_written_back);
        self.worker.is_told(move |connection| {
            // What is in its way is met again by whoever commits.
            connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
                .ok();
            is_written_back.store(false, Ordering::Release);
        });
    }
}
