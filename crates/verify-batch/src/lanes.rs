//! Changesets come in, batches go out.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use verify_core::port::Detail;
use verify_core::store::{Changeset, StoreAnswer, StoreFault};
use verify_core::vocabulary::ServiceId;

use crate::away::Away;
use crate::backend::{Backend, Ended};
use crate::batch::{Askers, Batch, Waiting};
use crate::limits::Limits;
use crate::queue::{Queue, Taken};
use crate::stalled::{PROBED_EVERY, Stalled};
use crate::telemetry::{self, Introduced};

/// Whoever says that it may be begun later still is not waited for longer.
const LONGEST: Duration = Duration::from_secs(86_400);

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
    metrics: Introduced,
}

impl<B: Backend> Lanes<B> {
    /// Lanes over a backend.
    pub fn new(backend: B, limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                backend,
                limits,
                queue: Mutex::default(),
                numbers: AtomicU64::new(0),
                stalled: Stalled::default(),
                metrics: Introduced::default(),
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

    /// As [`Store::apply`](verify_core::store::Store::apply): what was not begun `within` that time is not begun any more,
    /// and is answered then. Dropped before it was begun, it is not begun; afterwards it ends all the same.
    ///
    /// # Panics
    /// Outside of a tokio runtime with a clock.
    pub async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer {
        let shared = &self.shared;
        shared.metrics.to_the_recorder();
        if shared.stalled.is() {
            return Away::Stalled.answer();
        }
        let (answer, mut told) = oneshot::channel();
        let now = Instant::now();
        let not_after = now + within.min(LONGEST);
        let in_time = timeout_at(not_after, &mut told);
        let waiting = Waiting {
            changeset: changeset.clone(),
            answer,
            asked: now,
            not_after,
        };
        let place = match shared.queue.lock().push(waiting, &shared.limits) {
            Ok(place) => place,
            Err(away) => return away.answer(),
        };
        shared.begin();
        let answer = match in_time.await {
            Ok(answer) => answer,
            Err(_elapsed) if shared.queue.lock().withdraw(&changeset.service, &place) => {
                return Away::Late.answer();
            }
            // It was begun, and will be told.
            Err(_elapsed) => told.await,
        };
        answer.unwrap_or_else(|_| StoreAnswer::Unknown(words("what decided it ended early")))
    }
}

impl<B: Backend> Shared<B> {
    /// Begins as many transactions as may be under way. One at a time does this: a runtime that is shut down drops a task
    /// at once, whose turn is over then and begins the next one, as deep as the queue is long.
    fn begin(self: &Arc<Self>) {
        if !self.queue.lock().may_be_taken_from() {
            return;
        }
        while let Some(taken) = self.take() {
            tokio::spawn(Turn::of(self, &taken).run(taken));
        }
    }

    fn take(&self) -> Option<Taken> {
        let now = Instant::now();
        let (taken, left) = {
            let mut queue = self.queue.lock();
            (queue.take(&self.limits, now), queue.len())
        };
        telemetry::waiting(left);
        for waiting in taken.iter().flatten().flat_map(|(_, waiting)| waiting) {
            telemetry::queued(now - waiting.asked);
        }
        taken
    }

    /// One transaction, until every one in it is answered.
    async fn decide(self: &Arc<Self>, taken: Taken) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (batch, askers) = Batch::of(number, taken, &self.limits);
        let batch = Arc::new(batch);
        telemetry::decided_together(batch.len());
        match self.transact(&batch).await {
            Ended::Committed => askers.tell(&batch),
            Ended::NotApplied(fault) | Ended::Unreached(fault) => askers.tell_all(&fault),
            Ended::Lost(words) => self.ask_again(&batch, askers, &words).await,
            Ended::OneIsRefused(words) if batch.len() == 1 => askers.tell_all(&StoreFault::Corrupt(words)),
            Ended::OneIsRefused(_) => self.decide_one_by_one(batch.apart(askers)).await,
        }
    }

    /// Each in a transaction of its own, so that what the server refuses is the fault of one.
    async fn decide_one_by_one(self: &Arc<Self>, apart: Vec<(ServiceId, Waiting)>) {
        for (service, waiting) in apart {
            if let Some(waiting) = waiting.in_time(Instant::now()) {
                telemetry::retried();
                Box::pin(self.decide(vec![(service, vec![waiting])])).await;
            }
        }
    }

    /// The transaction itself: what panics in it is a lost answer, and what takes too long is given up.
    async fn transact(self: &Arc<Self>, batch: &Arc<Batch>) -> Ended {
        let transaction = AssertUnwindSafe(self.backend.run(batch)).catch_unwind();
        match timeout(self.limits.transaction, transaction).await {
            Ok(Ok(ended)) => {
                match ended {
                    Ended::Committed | Ended::OneIsRefused(_) => self.stalled.answered(),
                    Ended::Unreached(_) => self.ran_out(),
                    // What fails at once keeps nobody waiting, and need not be the backend's word.
                    Ended::NotApplied(_) | Ended::Lost(_) => {}
                }
                ended
            }
            Ok(Err(_)) => Ended::Lost(words("the transaction ended early")),
            Err(_elapsed) => {
                self.ran_out();
                Ended::Lost(words("the transaction did not end in its time"))
            }
        }
    }

    fn ran_out(self: &Arc<Self>) {
        if self.stalled.ran_out() {
            self.queue.lock().turn_away_all(Away::Stalled);
            self.probe();
        }
    }

    /// Asks once what became of a transaction, where something may be written, and tells it.
    async fn ask_again(&self, batch: &Batch, askers: Askers, words: &Detail) {
        let Some(ticket) = batch.give_up() else {
            return askers.tell_doubt(batch, words);
        };
        let asked = timeout(self.limits.asked_again, self.backend.was_committed(&ticket)).await;
        let known = asked.ok().and_then(Result::ok);
        telemetry::in_doubt(known);
        match known {
            Some(true) => askers.tell(batch),
            Some(false) => askers.tell_all(&StoreFault::Unavailable(words.clone())),
            None => askers.tell_doubt(batch, words),
        }
    }

    /// Asks each second whether the backend is back, for as long as it is not.
    fn probe(self: &Arc<Self>) {
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                sleep(PROBED_EVERY).await;
                let Some(shared) = shared.upgrade() else { return };
                if !shared.stalled.is() {
                    return;
                }
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
        self.shared.queue.lock().ended(std::mem::take(&mut self.services));
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
