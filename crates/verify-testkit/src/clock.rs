//! Time and randomness that a test holds in its hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use verify_core::port::{Clock, Entropy};
use verify_core::seed::Seed;
use verify_core::time::Timestamp;

/// A clock that moves when it is told. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use verify_core::port::Clock;
/// use verify_core::time::Timestamp;
/// use verify_testkit::ManualClock;
///
/// let clock = ManualClock::at(Timestamp::from_millis(5_000));
/// clock.advance(Duration::from_secs(2));
/// clock.jump_back(Duration::from_secs(1));
/// assert_eq!(clock.now(), Timestamp::from_millis(6_000));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    millis: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows this.
    pub fn at(now: Timestamp) -> Self {
        Self {
            millis: Arc::new(AtomicU64::new(now.as_millis())),
        }
    }

    /// Shows this from now on, whether it is later or earlier.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        self.change(|now| now + by);
    }

    /// Jumps back, as clocks do that are set right.
    pub fn jump_back(&self, by: Duration) {
        self.change(|now| now - by);
    }

    fn change(&self, to: impl Fn(Timestamp) -> Timestamp) {
        let changed = |millis| Some(to(Timestamp::from_millis(millis)).as_millis());
        // The closure never declines, so there is nothing to learn from the result.
        let _ = self
            .millis
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, changed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }
}

/// Randomness that is the same for the same seed: for tests only.
#[derive(Debug)]
pub struct SeededEntropy {
    source: Seed,
    drawn: AtomicU64,
}

impl SeededEntropy {
    /// A source that gives the same sequence for the same seed.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; Seed::BYTES];
        for (slot, byte) in bytes.iter_mut().zip(seed.to_be_bytes()) {
            *slot = byte;
        }
        Self {
            source: Seed::from_bytes(bytes),
            drawn: AtomicU64::new(0),
        }
    }
}

impl Entropy for SeededEntropy {
    fn seed(&self) -> [u8; Seed::BYTES] {
        let number = self.drawn.fetch_add(1, Ordering::SeqCst);
        self.source.bytes(&format!("seed {number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i46_the_same_seed_gives_the_same_sequence_and_no_value_twice() {
        let draw = |seed| {
            let entropy = SeededEntropy::new(seed);
            [entropy.seed(), entropy.seed(), entropy.seed()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let [first, second, third] = draw(1);
        assert!(first != second && second != third && first != third);
    }

    #[test]
    fn clones_of_a_clock_move_together_and_it_stops_at_the_epoch() {
        let clock = ManualClock::default();
        let other = clock.clone();
        clock.advance(Duration::from_secs(3));
        assert_eq!(other.now(), Timestamp::from_millis(3_000));
        other.jump_back(Duration::from_secs(9));
        assert_eq!(clock.now(), Timestamp::ZERO);
    }
}
