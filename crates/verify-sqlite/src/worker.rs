//! A thread with a connection: SQLite waits for disks, which no task of a runtime may.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::{io, thread};

use rusqlite::Connection;
use tokio::sync::oneshot;
use verify_core::store::StoreFault;

use crate::beside::{Files, Inode, inode};
use crate::errors::fault;
use crate::file::{self, Opened};
use crate::options::SqliteOptions;

/// What a thread does with its connection, or hears why there is none.
type Job = Box<dyn FnOnce(Result<&mut Connection, StoreFault>) -> Then + Send>;

/// Whether a connection is used again.
#[derive(Debug)]
pub(crate) enum Then {
    Keep,
    /// It is not to be trusted any more.
    Reopen,
    /// It is not, and whoever waits is told once it is closed.
    Close(oneshot::Sender<()>),
}

/// It panicked, or ended: whatever it was at may have happened.
#[derive(Debug)]
pub(crate) struct Gone;

/// What is done when another file stands under the name.
pub(crate) type OnReplaced = fn(&Connection) -> rusqlite::Result<()>;

/// A thread with a connection. It ends with the last handle, after all that was asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    pub(crate) fn start(
        name: &str,
        connection: Connection,
        files: Files,
        options: SqliteOptions,
        on_replaced: OnReplaced,
    ) -> io::Result<Self> {
        let (jobs, asked) = mpsc::channel();
        let mut file = Held {
            connection: Some(connection),
            files,
            options,
            on_replaced,
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || file.work(&asked))?;
        Ok(Self { jobs })
    }

    /// Closes its connection, after all that was asked of it before; what is asked afterwards finds that it ended.
    pub(crate) async fn close(&self) {
        let (closed, told) = oneshot::channel();
        if self.jobs.send(Box::new(move |_| Then::Close(closed))).is_ok() {
            told.await.ok();
        }
    }

    /// Has it do this. A fault: it was not begun, because the file cannot be used.
    pub(crate) async fn has<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> (T, Then) + Send + 'static,
    ) -> Result<Result<T, StoreFault>, Gone> {
        let (done, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever went away before it began does not need it any more.
            if done.is_closed() {
                return Then::Keep;
            }
            let (result, then) = match connection {
                Ok(connection) => {
                    let (result, then) = job(connection);
                    (Ok(result), then)
                }
                Err(fault) => (Err(fault), Then::Keep),
            };
            done.send(result).ok();
            then
        });
        self.jobs.send(job).map_err(|_| Gone)?;
        told.await.map_err(|_| Gone)
    }

    /// Has it do something that nobody waits for.
    pub(crate) fn is_told(&self, job: impl FnOnce(&mut Connection) + Send + 'static) {
        let job: Job = Box::new(move |connection| {
            connection.map(job).ok();
            Then::Keep
        });
        // Closed: there is nothing left to do.
        self.jobs.send(job).ok();
    }

    /// Has it ask or write something that stands for itself.
    pub(crate) async fn asks<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        match self.has(|connection| (job(connection), Then::Keep)).await {
            Ok(answer) => answer?.map_err(|error| fault(&error)),
            Err(Gone) => Err(StoreFault::unavailable("the thread that asks the file ended")),
        }
    }
}

/// The file as a thread has it.
struct Held {
    /// `None`: it could not be opened anew, and is tried with each job.
    connection: Option<Connection>,
    files: Files,
    options: SqliteOptions,
    on_replaced: OnReplaced,
}

impl Held {
    fn work(&mut self, asked: &mpsc::Receiver<Job>) {
        while let Ok(job) = asked.recv() {
            match catch_unwind(AssertUnwindSafe(|| job(self.usable()))) {
                Ok(Then::Keep) => {}
                Ok(Then::Close(closed)) => {
                    self.connection = None;
                    closed.send(()).ok();
                    return;
                }
                // What was begun is rolled back with the connection.
                Ok(Then::Reopen) | Err(_) => self.connection = None,
            }
        }
    }

    /// A connection to the file that stands under the name now. What is written into one that was moved away is lost with it.
    fn usable(&mut self) -> Result<&mut Connection, StoreFault> {
        let path = &self.options.path;
        let inode = inode(path)
            .map_err(|error| StoreFault::unavailable(&format!("the file is not in its place: {error}")))?;
        if inode != self.files.file {
            self.connection = None;
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.anew(inode)?,
        };
        Ok(self.connection.insert(connection))
    }

    fn anew(&mut self, inode: Inode) -> Result<Connection, StoreFault> {
        let unusable =
            |why: String| StoreFault::unavailable(&format!("the file cannot be opened anew: {why}"));
        let path = &self.options.path;
        let replaced = inode != self.files.file;
        if replaced {
            let aside = self.files.set_aside(path);
            aside.map_err(|error| unusable(format!("the log of the one before is in its place: {error}")))?;
        }
        let opened =
            file::open(&self.options, self.options.busy).map_err(|error| unusable(error.to_string()))?;
        let Opened {
            connection, files, ..
        } = opened;
        if files.file != inode {
            return Err(unusable("it was replaced while it was opened".to_owned()));
        }
        if replaced {
            (self.on_replaced)(&connection).map_err(|error| unusable(error.to_string()))?;
        }
        self.files = files;
        Ok(connection)
    }
}
