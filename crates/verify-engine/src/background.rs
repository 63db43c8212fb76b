//! What runs besides commands: the sweeper, which has due records looked at, drops what is outlived and moves what is under
//! older keys, and the pump, which empties the outboxes.
//!
//! Both go through the services that have something to do, in turns, so that a busy one holds up no other; the work of a
//! service is lent by the store to one engine at a time, which saves work and is nothing that must hold. Both are also
//! single calls ([`Engine::sweep_once`], [`Engine::pump_once`]), for hosts with a scheduler of their own and for tests.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use verify_core::command::TickRequest;
use verify_core::event::Event;
use verify_core::outcome::TickAnswer;
use verify_core::store::{Changeset, Loss, Origin, RecordKey, StoreFault, Work};
use verify_core::vocabulary::ServiceId;

use crate::caught::caught;
use crate::engine::Engine;
use crate::telemetry;

/// Services that are named in one trip to the store.
const SERVICES_AT_ONCE: usize = 64;
/// For how long a service's records are lent: longer than a batch of inquiries takes, most of the time.
const LEASE: Duration = Duration::from_secs(60);
/// For how long a service's events are lent, which are handed over in order as long as one engine has them: longer than a
/// sink takes, and no longer than they may wait when an engine dies.
const PUMP_LEASE: Duration = Duration::from_secs(30);
/// Records of a service that are looked at in its turn.
const SWEEP_BATCH: usize = 64;
/// Of these, so many at a time.
const SWEEP_AT_ONCE: usize = 16;
/// A sweep stops after this many turns of all services, and so does emptying the outboxes, so that both always end.
const MOST_TURNS: usize = 64;
/// Outlived entries that are dropped in a service's turn.
const DROPPED_AT_ONCE: usize = 1_024;
/// Events of a service that are handed over at a time.
const PUMP_BATCH: usize = 256;
/// A sink that takes longer has not taken them. What is left of the lease is for the store.
const SINK_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two sweeps, and between two looks into outboxes that were empty.
const EVERY: Duration = Duration::from_secs(1);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Records that were due.
    pub due: usize,
    /// Those in which there was something to do.
    pub changed: usize,
    /// Durable records that were written again under the newest keys.
    pub rekeyed: usize,
}

/// What a pump did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pumped {
    /// Events that the sink took, and that are acknowledged.
    pub taken: usize,
    /// Services whose events it did not take; they stay.
    pub declined: usize,
}

/// A round through the services: what came of it, and the first fault, which held up no other service.
type Round<T> = (T, Option<StoreFault>);

/// The services that have something to do, each once, and the first fault of any.
struct Turns<'a> {
    engine: &'a Engine,
    named: std::vec::IntoIter<ServiceId>,
    last: Option<ServiceId>,
    fault: Option<StoreFault>,
}

impl<'a> Turns<'a> {
    fn of(engine: &'a Engine) -> Self {
        Self {
            engine,
            named: Vec::new().into_iter(),
            last: None,
            fault: None,
        }
    }

    /// Whose turn it is. The store is asked for some at a time; where it cannot tell, the round is over.
    async fn next(&mut self) -> Option<ServiceId> {
        if self.named.as_slice().is_empty() {
            let outside = &self.engine.inner.outside;
            let services = outside
                .store
                .services(outside.now(), self.last.as_ref(), SERVICES_AT_ONCE);
            let services = outside.ask_store("services", services).await;
            self.named = self.held(services)?.into_iter();
        }
        self.last = self.named.next();
        self.last.clone()
    }

    /// What a turn came to. A fault is kept, and holds up no other service.
    fn held<T>(&mut self, done: Result<T, StoreFault>) -> Option<T> {
        done.map_err(|fault| self.fault.get_or_insert(fault)).ok()
    }
}

impl Engine {
    /// Has every due record looked at: repairs what a lost answer or a crash left open, and writes down what expired. What
    /// could not be settled is put off, so that it delays no other. A service whose work is lent to another engine is left to
    /// that one.
    ///
    /// First the store is asked how it is: one that came up without what it held, or elsewhere, is told of (`store.forgot`,
    /// `store.failed_over`), and while its clock and this machine's differ nothing is looked at. Then some of the durable records
    /// that are under older keys are written again under the newest.
    ///
    /// # Errors
    /// The first [`StoreFault`] of any service: its records stay due. The others had their turn.
    pub async fn sweep_once(&self) -> Result<Swept, StoreFault> {
        let mut swept = Swept::default();
        if let Ok(origin) = self.inner.outside.look_at_store().await {
            self.tell_of_what_was_lost(&origin).await;
        }
        if self.inner.outside.store_watch.is_apart() {
            return Ok(swept);
        }
        // What one service's records wait for keeps no other's from moving.
        let rekeyed = self.rekey_some().await;
        for _ in 0..MOST_TURNS {
            let (more, fault) = self.sweep_each(&mut swept).await;
            match fault {
                Some(fault) => return Err(fault),
                None if more => {}
                None => break,
            }
        }
        swept.rekeyed = rekeyed?;
        Ok(swept)
    }

    /// Tells each service that the policies name, and the one for those that name none, of what may be lost. Whoever is first
    /// tells it; where one could not be told, all are asked for again.
    async fn tell_of_what_was_lost(&self, origin: &Origin) {
        for loss in self.inner.outside.store_watch.untold(origin) {
            if self.tell_of(loss).await.is_err() {
                return;
            }
            self.inner.outside.store_watch.told(loss);
        }
    }

    async fn tell_of(&self, loss: Loss) -> Result<(), StoreFault> {
        let (outside, policies) = (&self.inner.outside, self.policies());
        let mut services: BTreeSet<_> = policies.services.keys().cloned().collect();
        services.insert(ServiceId::default());
        let mut all_told = Ok(());
        for service in services {
            let changeset = Changeset::telling_of_loss(service, loss, outside.now());
            let told = outside.ask_store("apply", async {
                let within = outside.store_timeout;
                outside.store.apply(&changeset, within).await.seen()
            });
            // One that cannot be told keeps no other from hearing it.
            all_told = all_told.and(told.await.map(drop));
        }
        all_told
    }

    /// One turn of each service. True when there is more to do.
    async fn sweep_each(&self, swept: &mut Swept) -> Round<bool> {
        let (mut more, mut turns) = (false, Turns::of(self));
        while let Some(service) = turns.next().await {
            let unfinished = self.sweep(&service, swept).await;
            more |= turns.held(unfinished).unwrap_or(false);
        }
        (more, turns.fault)
    }

    /// A service's turn, when it is this engine's. True when there is more to do.
    async fn sweep(&self, service: &ServiceId, swept: &mut Swept) -> Result<bool, StoreFault> {
        if !self.is_lent(Work::Sweep, service).await? {
            return Ok(false);
        }
        // What cannot be read must not keep the store from being cleared.
        let unfinished = self.repair(service, swept).await;
        self.clear(service).await?;
        unfinished
    }

    /// True when there is more to repair.
    async fn repair(&self, service: &ServiceId, swept: &mut Swept) -> Result<bool, StoreFault> {
        let outside = &self.inner.outside;
        let due = outside.store.due(service, outside.now(), SWEEP_BATCH);
        let due = outside.ask_store("due", due).await?;
        let found = due.len();
        let unsettled = self.tick_all(service, due).await;
        swept.due += found;
        swept.changed += found - unsettled.len();
        for record in &unsettled {
            let put_off = outside.store.put_off(service, record, outside.now());
            outside.ask_store("put_off", put_off).await?;
        }
        Ok(found == SWEEP_BATCH)
    }

    async fn clear(&self, service: &ServiceId) -> Result<(), StoreFault> {
        if self.is_lent(Work::Housekeeping, service).await? {
            let outside = &self.inner.outside;
            let dropped = outside
                .store
                .drop_outlived(service, outside.now(), DROPPED_AT_ONCE);
            outside.ask_store("drop_outlived", dropped).await?;
        }
        Ok(())
    }

    pub(crate) async fn is_lent(&self, work: Work, service: &ServiceId) -> Result<bool, StoreFault> {
        let outside = &self.inner.outside;
        let span = match work {
            Work::Sweep | Work::Housekeeping => LEASE,
            Work::Pump | Work::Sink => PUMP_LEASE,
        };
        let lease = outside.store.lease(work, service, self.inner.holder, span);
        let lent = outside.ask_store("lease", lease).await?;
        if lent {
            self.inner.lent.lock().insert((work, service.clone()));
        }
        Ok(lent)
    }

    /// Gives back the work that was lent: whoever goes on need not wait for its end.
    async fn give_back(&self) {
        let lent = std::mem::take(&mut *self.inner.lent.lock());
        let outside = &self.inner.outside;
        for (work, service) in lent {
            let over = outside
                .store
                .lease(work, &service, self.inner.holder, Duration::ZERO);
            // One that is not given back ends by itself.
            outside.ask_store("lease", over).await.ok();
        }
    }

    /// Hands the oldest events of each service to the sink, and acknowledges them when it took them.
    ///
    /// # Errors
    /// The first [`StoreFault`] of any service whose outbox could not be read or acknowledged: its events come again. The
    /// others had their turn.
    pub async fn pump_once(&self) -> Result<Pumped, StoreFault> {
        let (pumped, fault) = self.pump_each(&mut BTreeSet::new()).await;
        fault.map_or(Ok(pumped), Err)
    }

    /// One turn of each service but those that rest, because their events were not taken.
    async fn pump_each(&self, resting: &mut BTreeSet<ServiceId>) -> Round<Pumped> {
        let _alone = self.inner.pump.lock().await;
        let (mut pumped, mut turns) = (Pumped::default(), Turns::of(self));
        while let Some(service) = turns.next().await {
            if resting.contains(&service) {
                continue;
            }
            let declined = pumped.declined;
            let done = self.pump(&service, &mut pumped).await;
            turns.held(done);
            if pumped.declined > declined {
                resting.insert(service);
            }
        }
        // That a sink is here is said also while there is nothing to hand over.
        let learnt = self.learn_of_sinks().await;
        turns.held(learnt);
        (pumped, turns.fault)
    }

    /// A service's turn, when it is this engine's.
    async fn pump(&self, service: &ServiceId, pumped: &mut Pumped) -> Result<(), StoreFault> {
        if !self.may_take_events().await? || !self.is_lent(Work::Pump, service).await? {
            return Ok(());
        }
        let outside = &self.inner.outside;
        let (places, events): (Vec<_>, Vec<_>) = outside
            .ask_store("outbox", outside.store.outbox(service, PUMP_BATCH))
            .await?
            .into_iter()
            .unzip();
        let Some(last) = places.last() else {
            return Ok(());
        };
        if !self.take(&events).await {
            tracing::warn!(target: telemetry::TARGET_BACKGROUND, %service, "the event sink took nothing; the events are kept");
            pumped.declined += 1;
            return Ok(());
        }
        outside
            .ask_store("acknowledge", outside.store.acknowledge(service, *last))
            .await?;
        events.iter().for_each(telemetry::event_taken);
        pumped.taken += events.len();
        Ok(())
    }

    /// Whether the sink took them. Where there is none nobody wants them.
    async fn take(&self, events: &[Event]) -> bool {
        let Some(sink) = &self.inner.event_sink else {
            return true;
        };
        timeout(SINK_TIMEOUT, caught(|| sink.take(events)))
            .await
            .is_ok_and(|taken| taken == Some(true))
    }

    /// Starts the sweeper and the pump. Without them nothing is repaired, expired or reported until somebody asks.
    ///
    /// Must be called inside a tokio runtime. They stop with [`Background::shutdown`], and when it is dropped.
    pub fn spawn_background(&self) -> Background {
        let (stop, stopped) = watch::channel(false);
        let sweeper = {
            let (engine, stopped) = (self.clone(), stopped.clone());
            tokio::spawn(every(stopped, move || {
                let engine = engine.clone();
                async move {
                    engine.sweep_once().await.ok();
                }
            }))
        };
        let pump = {
            let engine = self.clone();
            tokio::spawn(every(stopped, move || {
                let engine = engine.clone();
                async move { engine.pump_until_empty().await }
            }))
        };
        Background {
            engine: self.clone(),
            stop,
            tasks: [sweeper, pump],
        }
    }

    /// Ticks these records; those in which nothing could be settled.
    pub(crate) async fn tick_all(&self, service: &ServiceId, due: Vec<RecordKey>) -> Vec<RecordKey> {
        let mut unsettled = Vec::new();
        let mut running = JoinSet::new();
        for record in due {
            if running.len() >= SWEEP_AT_ONCE {
                unsettled.extend(running.join_next().await.and_then(Result::ok).flatten());
            }
            let engine = self.clone();
            let tick = TickRequest::of(record).service(service.clone());
            running.spawn(async move {
                let settled = engine.run(tick).await.answer == Ok(TickAnswer { changed: true });
                (!settled).then_some(record)
            });
        }
        while let Some(joined) = running.join_next().await {
            unsettled.extend(joined.ok().flatten());
        }
        unsettled
    }

    async fn pump_until_empty(&self) {
        let mut resting = BTreeSet::new();
        for _ in 0..MOST_TURNS {
            if self.pump_each(&mut resting).await.0.taken == 0 {
                break;
            }
        }
    }
}

/// The sweeper and the pump of an engine.
///
/// Dropping it stops both after what they are at.
#[must_use = "the sweeper and the pump stop when this is dropped"]
#[derive(Debug)]
pub struct Background {
    engine: Engine,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Background {
    /// Stops both, waits for the flows that are under way, and hands over the events that are left. Call it when no
    /// command comes in any more.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A round that panicked was logged; there is nothing to wait for.
            task.await.ok();
        }
        self.engine.drain().await;
        self.engine.pump_until_empty().await;
        self.engine.give_back().await;
    }
}

/// Does a round each second until told to stop. A round runs as a task of its own: what panics ends its round, and not what
/// comes after.
async fn every<F>(mut stopped: watch::Receiver<bool>, round: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Told to stop, or nobody is left who could tell.
            _ = stopped.wait_for(|stop| *stop) => break,
            _ = clock.tick() => {}
        }
        if let Err(error) = tokio::spawn(round()).await {
            tracing::error!(target: telemetry::TARGET_BACKGROUND, panicked = error.is_panic(), "a round ended early");
        }
    }
}
