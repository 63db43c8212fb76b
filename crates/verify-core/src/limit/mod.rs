//! The two arithmetics: a sliding window for limits, a backoff for failures in a row.
//!
//! Both are pure functions of a state, a rule, a cost and an instant. A store decides charges with them; a store
//! that cannot run Rust carries the same and is held to them by tests.

mod backoff;
mod stamps;
mod window;

pub use backoff::Backoff;
pub use window::{MAX_STAMPS, Stamp, Window};

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::policy::Waits;
use crate::time::{Timestamp, Until};

/// What a charge is decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// At most `max` units in any interval of length `per`.
    Window {
        /// Units, at least 1.
        max: u64,
        /// The length of the interval, at least a millisecond.
        per: Duration,
    },
    /// A wait after failures in a row.
    Backoff {
        /// By count of failures.
        waits: Waits,
        /// Without a failure for that long the run is over.
        forget_after: Duration,
    },
}

/// The state of one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Counter {
    /// Of a window.
    Window(Window),
    /// Of a backoff.
    Backoff(Backoff),
}

impl Counter {
    /// The state of a key that was never charged.
    pub fn empty(rule: &Rule) -> Self {
        match rule {
            Rule::Window { .. } => Self::Window(Window::default()),
            Rule::Backoff { .. } => Self::Backoff(Backoff::default()),
        }
    }

    /// The state after `cost` was counted, whether the rule admits it or not.
    #[must_use]
    pub fn counted(&self, rule: &Rule, cost: u64, now: Timestamp) -> Self {
        match (self, rule) {
            (Self::Window(window), Rule::Window { max, per }) => {
                Self::Window(window.counted(*max, *per, cost, now))
            }
            (Self::Backoff(backoff), Rule::Backoff { forget_after, .. }) => {
                Self::Backoff(backoff.counted(*forget_after, now))
            }
            // A key names its kind of rule, so this is a foreign state: start over, counting.
            (Self::Window(_) | Self::Backoff(_), rule) => Self::empty(rule).counted(rule, cost, now),
        }
    }

    /// The state after a success or an operator's word at `now`, and the instant after which it decides nothing any more.
    #[must_use]
    pub fn reset(&self, now: Timestamp) -> (Self, Timestamp) {
        match self {
            Self::Window(window) => {
                let window = window.reset(now);
                let end = window.outlived(Duration::ZERO);
                (Self::Window(window), end)
            }
            Self::Backoff(run) => {
                let run = run.reset();
                (Self::Backoff(run), run.outlived(Duration::ZERO))
            }
        }
    }

    /// `None` when `cost` is admitted at `now`; else when it would be.
    pub fn denied(&self, rule: &Rule, cost: u64, now: Timestamp) -> Option<Until> {
        match (self, rule) {
            (Self::Window(window), Rule::Window { max, per }) => window.denied(*max, *per, cost, now),
            (Self::Backoff(backoff), Rule::Backoff { waits, forget_after }) => {
                backoff.denied(waits, *forget_after, now)
            }
            (Self::Window(_) | Self::Backoff(_), rule) => Self::empty(rule).denied(rule, cost, now),
        }
    }

    /// The instant after which this state decides nothing any more.
    pub fn outlived(&self, rule: &Rule) -> Timestamp {
        match (self, rule) {
            (Self::Window(window), Rule::Window { per, .. }) => window.outlived(*per),
            (Self::Backoff(backoff), Rule::Backoff { forget_after, .. }) => backoff.outlived(*forget_after),
            (Self::Window(_) | Self::Backoff(_), _) => Timestamp::ZERO,
        }
    }
}
