//! Changesets come in, batches go out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use verify_core::port::Detail;
use verify_core::store::{Changeset, StoreAnswer, StoreFault};
use verify_core::vocabulary::ServiceId;

use crate::backend::{Backend, Ended};
use crate::batch::{Askers, Batch, Waiting};
use crate::limits::Limits;
use crate::meters;
use crate::queue::{Queue, Taken};
use crate::stalled::{PROBED_EVERY, Stalled};

/// Decides changesets together, in transactions of a [`Backend`]. Clones are the same lanes.
pub struct Lanes<B> {
    shared: Arc<Shared<B>>,
}

struct Shared<B> {
    backend: B,
    limits: Limits,
    queue: Mutex<Queue>,
    numbers: AtomicU64,
    stalled: Stalled,
}

impl<B: Backend> Lanes<B> {
    /// Lanes over a backend.
    pub fn new(backend: B, limits: Limits) -> Self {
        meters::describe();
        Self {
            shared: Arc::new(Shared {
                backend,
                limits,
                queue: Mutex::default(),
                numbers: AtomicU64::new(0),
                stalled: Stalled::default(),
            }),
        }
    }

    /// What runs the transactions, for whatever else a store asks it.
    pub fn backend(&self) -> &B {
        &self.shared.backend
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// As [`Store::apply`](verify_core::store::Store::apply): what was not begun `within` that time is not begun any more.
    /// Dropped before that, it is not begun; afterwards it ends all the same.
    ///
    /// Must be called inside a tokio runtime.
    pub async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer {
        let shared = &self.shared;
        if shared.stalled.is() {
            let words = "the store did not answer, and is asked each second whether it is back";
            return StoreAnswer::NotApplied(StoreFault::unavailable(words));
        }
        let (answer, told) = oneshot::channel();
        let waiting = Waiting {
            changeset: changeset.clone(),
            answer,
        };
        let now = Instant::now();
        let pushed = shared.queue.lock().push(waiting, now + within, &shared.limits);
        if let Err(fault) = pushed {
            meters::turned_away();
            return StoreAnswer::NotApplied(fault);
        }
        shared.begin();
        let answer = told.await;
        meters::waited(now.elapsed());
        answer.unwrap_or_else(|_| StoreAnswer::Unknown(words("what decided it ended early")))
    }
}

impl<B: Backend> Shared<B> {
    /// Begins as many transactions as may be under way.
    fn begin(self: &Arc<Self>) {
        loop {
            let taken = {
                let mut queue = self.queue.lock();
                meters::waiting(queue.len());
                queue.take(&self.limits, Instant::now())
            };
            match taken {
                Some(taken) => drop(tokio::spawn(Turn::of(self, &taken).run(taken))),
                None => return,
            }
        }
    }

    fn batch(&self, taken: Taken) -> (Arc<Batch>, Askers) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (batch, askers) = Batch::of(number, taken, &self.limits);
        (Arc::new(batch), askers)
    }

    /// One transaction, until every one in it is answered.
    async fn decide(self: &Arc<Self>, taken: Taken) {
        let (batch, askers) = self.batch(taken);
        meters::decided_together(batch.len());
        match self.transact(&batch).await {
            Ended::Committed => askers.tell(&batch),
            Ended::NotApplied(fault) => askers.tell_all(&StoreAnswer::NotApplied(fault)),
            Ended::Lost(words) => self.ask_again(&batch, askers, words).await,
            Ended::OneIsRefused(words) if batch.len() == 1 => {
                askers.tell_all(&StoreAnswer::NotApplied(StoreFault::Corrupt(words)));
            }
            Ended::OneIsRefused(_) => {
                meters::retried();
                for (service, waiting) in batch.apart(askers) {
                    Box::pin(self.decide(vec![(service, vec![waiting])])).await;
                }
            }
        }
    }

    /// The transaction itself, as a task of its own: what panics in it is a lost answer, and what takes too long is given up.
    async fn transact(self: &Arc<Self>, batch: &Arc<Batch>) -> Ended {
        let mut task = tokio::spawn({
            let (shared, batch) = (Arc::clone(self), Arc::clone(batch));
            async move { shared.backend.run(&batch).await }
        });
        let ended = match timeout(self.limits.transaction, &mut task).await {
            Ok(Ok(ended)) => {
                self.stalled.answered();
                return ended;
            }
            Ok(Err(_)) => "the transaction ended early",
            Err(_elapsed) => {
                task.abort();
                if self.stalled.ran_out() {
                    self.probe();
                }
                "the transaction did not end in its time"
            }
        };
        match batch.give_up() {
            true => Ended::NotApplied(StoreFault::unavailable(ended)),
            false => Ended::Lost(words(ended)),
        }
    }

    /// Asks once what became of a transaction, and tells it.
    async fn ask_again(&self, batch: &Arc<Batch>, askers: Askers, words: Detail) {
        let ticket = batch.ticket();
        let asked = timeout(self.limits.asked_again, self.backend.was_committed(&ticket)).await;
        let known = asked.ok().and_then(Result::ok);
        meters::in_doubt(known);
        match known {
            Some(true) => askers.tell(batch),
            Some(false) => askers.tell_all(&StoreAnswer::NotApplied(StoreFault::Unavailable(words))),
            None => askers.tell_doubt(batch, &words),
        }
    }

    /// Asks each second whether the backend is back, for as long as it is not.
    fn probe(self: &Arc<Self>) {
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                sleep(PROBED_EVERY).await;
                let Some(shared) = shared.upgrade() else { return };
                if let Ok(Ok(())) = timeout(PROBED_EVERY, shared.backend.ping()).await {
                    return shared.stalled.answered();
                }
            }
        });
    }
}

/// The turn of some services. However it ends, they get another.
struct Turn<B: Backend> {
    shared: Arc<Shared<B>>,
    services: Vec<ServiceId>,
}

impl<B: Backend> Turn<B> {
    fn of(shared: &Arc<Shared<B>>, taken: &Taken) -> Self {
        Self {
            shared: Arc::clone(shared),
            services: taken.iter().map(|(service, _)| service.clone()).collect(),
        }
    }

    async fn run(self, taken: Taken) {
        self.shared.decide(taken).await;
    }
}

impl<B: Backend> Drop for Turn<B> {
    fn drop(&mut self) {
        self.shared.queue.lock().ended(&self.services);
        // A runtime that is shut down takes nobody's turn any more.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.shared.begin();
        }
    }
}

impl<B> Clone for Lanes<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<B> fmt::Debug for Lanes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes")
            .field("limits", &self.shared.limits)
            .field("waiting", &self.shared.queue.lock().len())
            .finish_non_exhaustive()
    }
}

fn words(words: &str) -> Detail {
    Detail::new(None, words)
}
