//! Time as the core sees it: a number that somebody hands in.
//!
//! The core never reads a clock. A [`Timestamp`] is an input of every step, and may run backwards.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The greatest whole number below which a double holds every other one too.
pub(crate) const MOST: u64 = (1 << 53) - 1;

/// By how much the clocks of two nodes may differ. Expiries in the store and repairs wait that much longer.
pub const SKEW: Duration = Duration::from_secs(10);

/// Milliseconds since the Unix epoch, UTC.
///
/// At most 2^53 - 1, which every number format holds exactly; that is the year 287 396. Arithmetic saturates: adding a
/// duration that does not fit gives [`Timestamp::MAX`], never a wrapped instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// The last instant there is. Nothing ever becomes due then.
    pub const MAX: Self = Self(MOST);

    /// An instant from milliseconds since the epoch; one beyond the last is the last.
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis < MOST { millis } else { MOST })
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<u64> for Timestamp {
    fn from(millis: u64) -> Self {
        Self::from_millis(millis)
    }
}

impl From<Timestamp> for u64 {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// A duration in whole milliseconds, saturating.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// When a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Until {
    /// At this instant the same request is admissible; a millisecond earlier it is not.
    At(Timestamp),
    /// Waiting does not help: a stronger factor, an operator or `forget_after` does.
    Never,
}

impl Until {
    /// True when the wait is over at `now`.
    pub fn is_over(self, now: Timestamp) -> bool {
        match self {
            Self::At(at) => at <= now,
            Self::Never => false,
        }
    }

    /// How long that is from `now`; `None` for never.
    pub fn wait_from(self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::At(at) => Some(at.since(now)),
            Self::Never => None,
        }
    }
}
