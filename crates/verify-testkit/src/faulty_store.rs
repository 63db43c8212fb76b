//! A store that fails as it is told.

use std::collections::VecDeque;

use parking_lot::Mutex;
use verify_core::port::Detail;
use verify_core::store::StoreFault;
use verify_core::vocabulary::ServiceId;

use crate::store_around;

/// What happens to a changeset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
            return Fault::NotApplied(down());
        }
        script.next.pop_front().unwrap_or(Fault::None)
    }

    fn reachable(&self, _: Option<&ServiceId>) -> Result<(), StoreFault> {
        if self.script.lock().down {
            Err(down())
        } else {
            Ok(())
        }
    }
}

store_around! {
    FaultyStore,
    apply(this, changeset, within) {
        match this.next() {
            Fault::None => this.inner.apply(changeset, within).await,
            Fault::NotApplied(fault) => StoreAnswer::NotApplied(fault),
            Fault::LostBefore => StoreAnswer::Unknown(lost()),
            Fault::AnswerLost => {
                this.inner.apply(changeset, within).await;
                StoreAnswer::Unknown(lost())
            }
        }
    },
    first Self::reachable
}

fn down() -> StoreFault {
    StoreFault::unavailable("scripted to be down")
}

fn lost() -> Detail {
    Detail::new(None, "scripted to be lost")
}
