//! What a store has to bring: one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use verify_core::port::Detail;
use verify_core::store::StoreFault;

use crate::batch::{Batch, Ticket};

/// Runs transactions over lanes. A service's *lane* is a row of its own: it is locked before anything of the service is read, so
/// it gives the order, and holds the last version and the last event's place. Beside it stands, for each process, the number of
/// the last of its batches that wrote there. Numbers begin at one with each [`Lanes`](crate::Lanes), so a process is a random
/// name that a backend makes when it is made, and no other backend has.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// One transaction: locks the lanes in the batch's order, loads what they name, has the batch decide, writes what was
    /// decided and beside each lane that is written the batch's number for this process, and commits. Where there is nothing to
    /// write it rolls back, and costs no sync: nobody has to wait for that to end. It may begin again by itself where it surely
    /// came to nothing: the last decision is the one that counts.
    ///
    /// It is dropped after [`Limits::transaction`](crate::Limits::transaction), wherever it is then. What goes on behind its back
    /// (a thread, the server) decides nothing any more, and what was decided before is [asked about](Self::was_committed). A panic
    /// is as good as a drop. What it waits for itself (a connection) for a shorter time is [`Unreached`](Ended::Unreached) when that
    /// is over.
    async fn run(&self, batch: &Arc<Batch>) -> Ended;

    /// Whether this batch was committed, read under the locks of its lanes: without them a transaction whose answer was lost
    /// may still be under way, and "no" would not be true for long.
    ///
    /// # Errors
    /// Nobody could be asked.
    async fn was_committed(&self, ticket: &Ticket) -> Result<bool, StoreFault>;

    /// Whether it can be reached. Costs no more than a ping.
    ///
    /// # Errors
    /// It cannot.
    async fn ping(&self) -> Result<(), StoreFault>;
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was committed, or rolled back because there was nothing to write.
    Committed,
    /// Surely nothing of it is there, and nothing will be.
    NotApplied(StoreFault),
    /// The same, because there was no connection to begin it on within the time for one.
    Unreached(StoreFault),
    /// The commit was asked for, and what came of it is not known.
    Lost(Detail),
    /// Surely nothing of it is there, because the server takes offence at a row that one of them names. They are run once more,
    /// each alone; alone it is [`StoreFault::Corrupt`].
    OneIsRefused(Detail),
}
