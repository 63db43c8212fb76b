//! A thread with a connection: SQLite waits for disks, which no task of a runtime may.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;
use verify_core::store::StoreFault;

use crate::errors::fault;
use crate::file;
use crate::options::SqliteOptions;

/// What a thread does with its connection. `Reopen`: it is not to be trusted any more.
type Job = Box<dyn FnOnce(&mut Connection) -> Then + Send>;

/// Whether a connection is used again.
#[derive(Debug)]
pub(crate) enum Then {
    Keep,
    Reopen,
    /// It is not, and whoever waits is told once it is closed.
    Close(oneshot::Sender<()>),
}

/// A thread with a connection. It ends with the last handle, after all that was asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    pub(crate) fn start(name: &str, connection: Connection, options: SqliteOptions) -> std::io::Result<Self> {
        let (jobs, asked) = mpsc::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(connection, &options, &asked))?;
        Ok(Self { jobs })
    }

    /// Closes its connection, after all that was asked of it before; what is asked afterwards finds that it ended.
    pub(crate) async fn close(&self) {
        let (closed, told) = oneshot::channel();
        if self.jobs.send(Box::new(move |_| Then::Close(closed))).is_ok() {
            told.await.ok();
        }
    }

    /// Has it do this. `None`: it ended, or what it did panicked.
    pub(crate) async fn has<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> (T, Then) + Send + 'static,
    ) -> Option<T> {
        let (done, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever went away before it began does not need it any more.
            if done.is_closed() {
                return Then::Keep;
            }
            let (result, then) = job(connection);
            done.send(result).ok();
            then
        });
        self.jobs.send(job).ok()?;
        told.await.ok()
    }

    /// Has it ask or write something that stands for itself.
    pub(crate) async fn asks<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let asked = self.has(|connection| (job(connection), Then::Keep)).await;
        match asked {
            Some(answer) => answer.map_err(|error| fault(&error)),
            None => Err(StoreFault::unavailable("the thread that asks the file ended")),
        }
    }
}

fn work(mut connection: Connection, options: &SqliteOptions, asked: &mpsc::Receiver<Job>) {
    while let Ok(job) = asked.recv() {
        match catch_unwind(AssertUnwindSafe(|| job(&mut connection))) {
            Ok(Then::Keep) => continue,
            Ok(Then::Close(closed)) => {
                drop(connection);
                closed.send(()).ok();
                return;
            }
            // What it began is rolled back with it.
            Ok(Then::Reopen) | Err(_) => {}
        }
        match file::connect(options) {
            Ok(anew) => connection = anew,
            Err(error) => tracing::error!(target: "verify::store", %error, "the file cannot be opened anew"),
        }
    }
}
