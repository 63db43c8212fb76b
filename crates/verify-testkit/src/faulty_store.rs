//! A store that fails as it is told.

use std::collections::VecDeque;

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::event::Event;
use verify_core::store::{Changeset, EventSeq, RecordKey, Store, StoreAnswer, StoreFault};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// What happens to a changeset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing bad.
    None,
    /// It does not reach the store, and the answer says so.
    NotApplied(StoreFault),
    /// It does not reach the store, and nobody can tell: the answer is unknown.
    LostBefore,
    /// The store decides it, and the answer is lost.
    AnswerLost,
}

/// Lets scripted faults happen to the changesets for the store inside, one after the other.
#[derive(Debug, Default)]
pub struct FaultyStore<S> {
    inner: S,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Fault>,
    down: bool,
}

impl<S> FaultyStore<S> {
    /// Around a store; without a script everything goes through.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            script: Mutex::default(),
        }
    }

    /// The faults of the next changesets, after those already scripted.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script.lock().next.extend(faults);
    }

    /// While down, every call is answered [`StoreFault::Unavailable`] and reaches nothing; the script waits.
    pub fn set_down(&self, down: bool) {
        self.script.lock().down = down;
    }

    /// Faults that have not happened yet.
    pub fn left(&self) -> usize {
        self.script.lock().next.len()
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn next(&self) -> Fault {
        let mut script = self.script.lock();
        if script.down {
            return Fault::NotApplied(StoreFault::Unavailable);
        }
        script.next.pop_front().unwrap_or(Fault::None)
    }

    fn reachable(&self) -> Result<(), StoreFault> {
        if self.script.lock().down {
            Err(StoreFault::Unavailable)
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    async fn apply(&self, changeset: &Changeset) -> StoreAnswer {
        match self.next() {
            Fault::None => self.inner.apply(changeset).await,
            Fault::NotApplied(fault) => StoreAnswer::NotApplied(fault),
            Fault::LostBefore => StoreAnswer::Unknown,
            Fault::AnswerLost => {
                self.inner.apply(changeset).await;
                StoreAnswer::Unknown
            }
        }
    }

    async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault> {
        self.reachable()?;
        self.inner.due(now, most).await
    }

    async fn outbox(&self, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault> {
        self.reachable()?;
        self.inner.outbox(most).await
    }

    async fn acknowledge(&self, through: EventSeq) -> Result<(), StoreFault> {
        self.reachable()?;
        self.inner.acknowledge(through).await
    }

    async fn health(&self) -> Result<(), StoreFault> {
        self.reachable()?;
        self.inner.health().await
    }
}
