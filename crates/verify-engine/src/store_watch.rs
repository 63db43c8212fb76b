//! What an engine remembers of its store: which epoch it saw, and whether their clocks agree.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use verify_core::keys::Print;
use verify_core::store::{Epoch, Loss, Origin};
use verify_core::time::{SKEW, Timestamp};

use crate::telemetry;

/// From so many answers running on, clocks that differ are no accident: a single one may have met a clock that was being set.
const SURE_AFTER: u32 = 3;

/// What an engine remembers of its store.
#[derive(Debug)]
pub(crate) struct StoreWatch {
    /// False on another clock than the machine's: what it shows may be as far from the store's as somebody wants it to be.
    on_the_wall: bool,
    /// Answers running by which the clocks differ by more than the skew.
    apart: AtomicU32,
    /// The epoch, and since when another server holds it.
    seen: Mutex<Option<(Epoch, Option<Timestamp>)>>,
    /// The losses of which every service was told.
    told: Mutex<BTreeSet<Loss>>,
}

/// When a call of the store began, by the engine's clock, and how long it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trip {
    pub(crate) at: Timestamp,
    pub(crate) took: Duration,
}

impl StoreWatch {
    pub(crate) fn new(on_the_wall: bool) -> Self {
        Self {
            on_the_wall,
            apart: AtomicU32::new(0),
            seen: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Compares the clocks by an answer. The store read its own somewhere between question and answer.
    pub(crate) fn saw_clock(&self, clock: Timestamp, trip: Trip) {
        let Some(difference) = self.difference(clock, trip) else {
            return;
        };
        if difference <= SKEW + trip.took / 2 {
            if self.apart.swap(0, Ordering::Relaxed) >= SURE_AFTER {
                tracing::warn!(target: telemetry::TARGET_STORE, "the store's clock and this machine's agree again");
            }
            return;
        }
        // What is counted beyond that changes nothing, and does not run over.
        let before = self
            .apart
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |apart| {
                (apart < SURE_AFTER).then_some(apart + 1)
            });
        if before == Ok(SURE_AFTER - 1) {
            let seconds = difference.as_secs();
            tracing::error!(
                target: telemetry::TARGET_STORE, seconds,
                "the store's clock and this machine's differ: nothing is decided until one of them is set right"
            );
        }
    }

    /// By how much the clocks differ; `None` where one of them is not a machine's own.
    pub(crate) fn difference(&self, clock: Timestamp, trip: Trip) -> Option<Duration> {
        let compared = self.on_the_wall && clock != Timestamp::ZERO;
        let middle = trip.at + trip.took / 2;
        compared.then(|| clock.since(middle).max(middle.since(clock)))
    }

    /// True while the clocks surely differ by more than the skew.
    pub(crate) fn is_apart(&self) -> bool {
        self.apart.load(Ordering::Relaxed) >= SURE_AFTER
    }

    /// Remembers where an answer comes from. An epoch that changed under a running engine is a store that was emptied, or
    /// another one in its place; one that moved is a copy that took over.
    pub(crate) fn saw_origin(&self, origin: &Origin) {
        let before = self.seen.lock().replace((origin.epoch, origin.moved));
        let Some((before, moved)) = before else {
            return;
        };
        if origin.moved.is_some() && moved != origin.moved {
            telemetry::failed_over();
            tracing::error!(
                target: telemetry::TARGET_STORE,
                "another server holds the store: a copy took over, or one was restored; what it was behind by is forgotten"
            );
        }
        if before != origin.epoch {
            telemetry::epoch_changed();
            let [before, now] = [before, origin.epoch].map(|epoch| Print::from_bytes(epoch.0));
            tracing::error!(
                target: telemetry::TARGET_STORE, %before, %now, accepted = origin.accepted,
                "the store has another epoch: what it held is gone, or it is another store"
            );
        }
    }

    /// What may be lost there and was not told.
    pub(crate) fn untold(&self, origin: &Origin) -> Vec<Loss> {
        let told = self.told.lock();
        origin.losses().filter(|loss| !told.contains(loss)).collect()
    }

    /// Every service was told.
    pub(crate) fn told(&self, loss: Loss) {
        self.told.lock().insert(loss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn trip(took: u64) -> Trip {
        Trip {
            at: NOW,
            took: Duration::from_secs(took),
        }
    }

    #[test]
    fn i44_three_answers_running_tell_that_clocks_differ_and_one_that_they_agree() {
        let watch = StoreWatch::new(true);
        let hour = Duration::from_secs(3_600);
        for clock in [NOW + hour, NOW - hour] {
            watch.saw_clock(clock, trip(0));
            watch.saw_clock(clock, trip(0));
            watch.saw_clock(NOW, trip(0));
            for apart in [false, false, true, true] {
                watch.saw_clock(clock, trip(0));
                assert_eq!(watch.is_apart(), apart);
            }
            watch.saw_clock(NOW + SKEW, trip(0));
            assert!(!watch.is_apart());
        }
    }

    #[test]
    fn i44_half_of_the_way_there_and_back_is_allowed_for() {
        let is_apart = |watch: StoreWatch, clock, took| {
            for _ in 0..SURE_AFTER {
                watch.saw_clock(clock, trip(took));
            }
            watch.is_apart()
        };
        let secs = Duration::from_secs;
        for (clock, took, apart) in [
            (NOW + secs(8), 0, false),
            (NOW - secs(8), 0, false),
            (NOW + secs(11), 0, true),
            (NOW - secs(11), 0, true),
            // It was read after four seconds at the latest, and at once at the earliest.
            (NOW + secs(14), 4, false),
            (NOW + secs(15), 4, true),
            (NOW - secs(10), 4, false),
            (NOW - secs(11), 4, true),
            (Timestamp::ZERO, 0, false),
        ] {
            assert_eq!(
                is_apart(StoreWatch::new(true), clock, took),
                apart,
                "{clock:?} {took}"
            );
            assert!(
                !is_apart(StoreWatch::new(false), clock, took),
                "a clock that is held"
            );
        }
    }
}
