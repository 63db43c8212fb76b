//! Demo mode: a simulated provider and phone network, and a clock that can be moved, so that nobody has to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use verify_core::destination::Destination;
use verify_core::port::Clock;
use verify_core::time::Timestamp;
use verify_demo::{Message, PhoneNetwork, SimulatedProvider, SimulatedRiskScorer};
use verify_engine::{Engine, EngineBuilder, SystemClock};

/// How often the network is asked for reports while nobody moves the clock.
const PULSE: Duration = Duration::from_millis(250);
/// A repair can make another one due; so many rounds are more than any chain of them.
const MOST_SWEEPS: usize = 16;
/// How far the clock may be moved at once.
pub const MOST_ADVANCE: Duration = Duration::from_secs(366 * 86_400);

/// The wall's clock, moved ahead. Clones show the same time.
#[derive(Debug, Clone, Default)]
struct DemoClock {
    ahead_millis: Arc<AtomicU64>,
}

impl DemoClock {
    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_millis.load(Ordering::SeqCst))
    }

    /// Shows at least this from now on.
    fn reach(&self, at: Timestamp) {
        let missing = at.since(self.now());
        self.ahead_millis
            .fetch_add(u64::try_from(missing.as_millis()).unwrap_or(0), Ordering::SeqCst);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.ahead()
    }
}

/// What demo mode has that a real gateway has not. Clones are one demo.
#[derive(Clone)]
pub struct Demo {
    clock: DemoClock,
    network: Arc<PhoneNetwork>,
    /// Held while reports are delivered, so that they reach the engine in the order of their time.
    delivering: Arc<Mutex<()>>,
}

impl Demo {
    /// A network on which nothing has been sent, at the wall's time.
    pub fn start() -> Self {
        let clock = DemoClock::default();
        let network = Arc::new(PhoneNetwork::with_demo_destinations(Arc::new(clock.clone())));
        Self {
            clock,
            network,
            delivering: Arc::default(),
        }
    }

    /// Gives an engine the clock, the provider and the risk scorer of the demo.
    #[must_use]
    pub fn equip(&self, builder: EngineBuilder) -> EngineBuilder {
        builder
            .clock(self.clock.clone())
            .provider(SimulatedProvider::new("simulated", Arc::clone(&self.network)))
            .risk_scorer(SimulatedRiskScorer::new(Arc::clone(&self.network)))
    }

    /// What has arrived, newest first.
    pub fn inbox(&self, to: &Destination) -> Vec<Message> {
        self.network.inbox(to.delivery())
    }

    /// How far the clock is ahead of the wall's.
    pub fn ahead(&self) -> Duration {
        self.clock.ahead()
    }

    /// Delivers reports as they become due, for as long as it is polled.
    pub async fn run(self, engine: Engine) {
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pulse.tick().await;
            let _turn = self.delivering.lock().await;
            self.deliver_due(&engine).await;
        }
    }

    /// Moves the clock, report by report, and comes back when all that was due by then has happened: reports,
    /// fallbacks that follow them, repairs and expiries.
    pub async fn advance(&self, engine: &Engine, by: Duration) {
        let _turn = self.delivering.lock().await;
        let target = self.clock.now() + by.min(MOST_ADVANCE);
        while let Some(due) = self.network.next_report().filter(|due| *due <= target) {
            self.clock.reach(due);
            self.deliver_due(engine).await;
            sweep(engine).await;
        }
        self.clock.reach(target);
        sweep(engine).await;
    }

    async fn deliver_due(&self, engine: &Engine) {
        let due = self.network.advance(self.clock.now());
        let any = !due.is_empty();
        for report in due {
            engine.report(report).await;
        }
        if any {
            // What follows a report, such as a call after a text that failed, runs after the answer.
            engine.drain().await;
        }
    }
}

async fn sweep(engine: &Engine) {
    for _ in 0..MOST_SWEEPS {
        match engine.sweep_once().await {
            Ok(swept) if swept.changed > 0 => {}
            Ok(_) => break,
            Err(error) => {
                tracing::warn!(%error, "the sweep after moving the clock failed");
                break;
            }
        }
    }
    engine.drain().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_starts_at_the_walls_and_never_goes_back() {
        let clock = DemoClock::default();
        let before = SystemClock.now();
        assert!(clock.now() >= before);
        let target = clock.now() + Duration::from_secs(600);
        clock.reach(target);
        assert!(clock.now() >= target);
        let ahead = clock.ahead();
        clock.reach(before);
        assert_eq!(clock.ahead(), ahead);
    }
}
