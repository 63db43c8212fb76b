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
        let over = Over(Arc::clone(&self.is_written_back));
        self.worker.is_told(move |connection| {
            // What is in its way is met again by whoever commits.
            connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
                .ok();
            drop(over);
        });
    }
}

/// However it ends, and where there was no file to do it with, the next one is begun.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SqliteOptions, SqliteStore};

    /// The file is away while it is to be written back, and comes again.
    #[tokio::test]
    async fn a_file_that_was_away_is_written_back_again() {
        let path = std::env::temp_dir().join(format!("verify-sqlite-log-{}.db", std::process::id()));
        let away = path.with_extension("away");
        let store = SqliteStore::open(SqliteOptions::at(&path)).unwrap();
        let mut log = Log::of(store.log.clone());
        std::fs::rename(&path, &away).unwrap();
        log.grew(ROWS);
        assert!(store.log.asks(|_| Ok(())).await.is_err());
        std::fs::rename(&away, &path).unwrap();
        assert!(!log.is_written_back.load(Ordering::Acquire));
        log.grew(ROWS);
        store.log.asks(|_| Ok(())).await.unwrap();
        assert!(!log.is_written_back.load(Ordering::Acquire));
        store.close().await;
        std::fs::remove_file(&path).unwrap();
    }
}
