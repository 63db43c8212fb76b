//! A backend that answers nobody any more is not asked by everybody.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::telemetry;

/// So many transactions in a row that ran out of time, their own or that for a connection, and nobody waits for the next.
const STALLED_AFTER: u32 = 5;
/// How often it is asked whether it is back.
pub const PROBED_EVERY: Duration = Duration::from_secs(1);

/// How many in a row ran out of time.
#[derive(Debug, Default)]
pub struct Stalled(AtomicU32);

impl Stalled {
    /// True while everybody is answered at once.
    pub fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= STALLED_AFTER
    }

    /// One more ran out of time. True for the one with which it begins.
    pub fn ran_out(&self) -> bool {
        let begins = self.0.fetch_add(1, Ordering::Relaxed) + 1 == STALLED_AFTER;
        if begins {
            telemetry::stalled(true);
        }
        begins
    }

    /// It answered.
    pub fn answered(&self) {
        if self.0.swap(0, Ordering::Relaxed) >= STALLED_AFTER {
            telemetry::stalled(false);
        }
    }
}
