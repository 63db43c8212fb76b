//! What runs besides commands: the sweeper, which has due records looked at, and the pump, which empties the outbox.
//!
//! Both are also single calls ([`Engine::sweep_once`], [`Engine::pump_once`]), for hosts with a scheduler of their
//! own and for tests.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use verify_core::command::{Command, TickRequest};
use verify_core::outcome::Answer;
use verify_core::store::StoreFault;

use crate::engine::Engine;
use crate::telemetry;

/// Records that are looked at in one trip to the store.
const SWEEP_BATCH: usize = 256;
/// Of these, so many at a time.
const SWEEP_AT_ONCE: usize = 16;
/// A sweep stops after this many batches, so that it always ends.
const MOST_BATCHES: usize = 64;
/// Events that are handed over at a time.
const PUMP_BATCH: usize = 256;
/// A sink that takes longer has not taken them.
const SINK_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two sweeps, and between two looks into an outbox that was empty.
const EVERY: Duration = Duration::from_secs(1);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Records that were due.
    pub due: usize,
    /// Those in which there was something to do.
    pub changed: usize,
}

/// What a pump did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pumped {
    /// The outbox was empty.
    Nothing,
    /// The sink took this many, and they are acknowledged.
    Taken(usize),
    /// The sink did not take them; they stay.
    Declined,
}

impl Engine {
    /// Has every due record looked at: repairs what a lost answer or a crash left open, and writes down what expired.
    ///
    /// # Errors
    /// [`StoreFault`] when the store cannot tell what is due; the records stay due.
    pub async fn sweep_once(&self) -> Result<Swept, StoreFault> {
        let outside = &self.inner.outside;
        let mut swept = Swept::default();
        for _ in 0..MOST_BATCHES {
            let due = outside
                .ask_store("due", outside.store.due(outside.now(), SWEEP_BATCH))
                .await?;
            let found = due.len();
            let ticks = due
                .into_iter()
                .map(|(service, record)| TickRequest { service, record });
            let changed = self.tick_all(ticks).await;
            swept.due += found;
            swept.changed += changed;
            // What is left is due and cannot be settled now: asking again at once would spin.
            if found < SWEEP_BATCH || changed == 0 {
                break;
            }
        }
        Ok(swept)
    }

    /// Hands the oldest events to the sink, and acknowledges them when it took them.
    ///
    /// # Errors
    /// [`StoreFault`] when the outbox cannot be read or acknowledged; the same events come again.
    pub async fn pump_once(&self) -> Result<Pumped, StoreFault> {
        let _alone = self.inner.pump.lock().await;
        let outside = &self.inner.outside;
        let (places, events): (Vec<_>, Vec<_>) = outside
            .ask_store("outbox", outside.store.outbox(PUMP_BATCH))
            .await?
            .into_iter()
            .unzip();
        let Some(last) = places.last() else {
            return Ok(Pumped::Nothing);
        };
        let taken = timeout(SINK_TIMEOUT, self.inner.event_sink.take(&events))
            .await
            .unwrap_or(false);
        if !taken {
            tracing::warn!(target: telemetry::TARGET_BACKGROUND, "the event sink took nothing; the events are kept");
            return Ok(Pumped::Declined);
        }
        outside
            .ask_store("acknowledge", outside.store.acknowledge(*last))
            .await?;
        events.iter().for_each(telemetry::event_taken);
        Ok(Pumped::Taken(events.len()))
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
            tokio::spawn(every(stopped, move || engine.clone().pump_until_empty()))
        };
        Background {
            engine: self.clone(),
            stop,
            tasks: [sweeper, pump],
        }
    }

    async fn tick_all(&self, ticks: impl Iterator<Item = TickRequest>) -> usize {
        let mut running = JoinSet::new();
        let mut changed = 0;
        for tick in ticks {
            if running.len() >= SWEEP_AT_ONCE {
                changed += usize::from(
                    running
                        .join_next()
                        .await
                        .is_some_and(|joined| joined.unwrap_or(false)),
                );
            }
            let engine = self.clone();
            running.spawn(async move {
                let outcome = engine.run(Command::Tick(tick)).await;
                outcome.answer == Answer::Ticked { changed: true }
            });
        }
        while let Some(joined) = running.join_next().await {
            changed += usize::from(joined.unwrap_or(false));
        }
        changed
    }

    async fn pump_until_empty(self) {
        while let Ok(Pumped::Taken(_)) = self.pump_once().await {}
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
    }
}

/// Does a round each second until told to stop. A round runs as a task of its own: a sink that panics ends its round,
/// not the pump.
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
