//! What the operating system lends: the default clock and the default randomness.

use std::sync::Arc;

use rand::TryRng;
use rand::rngs::SysRng;
use verify_core::keys::Keys;
use verify_core::port::{Clock, Entropy, KeySource};
use verify_core::seed::Seed;
use verify_core::time::Timestamp;

/// The wall clock, UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is as good as one that stands at 1970: it delays, and opens nothing.
        Timestamp::from_millis(u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or(0))
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl SystemEntropy {
    /// Fresh bytes. Does not return while the system has none: a predictable code is worse than no code.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        while let Err(error) = SysRng.try_fill_bytes(&mut bytes) {
            tracing::error!(target: crate::telemetry::TARGET_START, %error, "the system has no randomness");
            std::thread::yield_now();
        }
        bytes
    }
}

impl Entropy for SystemEntropy {
    fn seed(&self) -> [u8; Seed::BYTES] {
        self.bytes()
    }
}

/// Keys that never change while the process runs.
pub(crate) struct FixedKeys(pub(crate) Arc<Keys>);

impl KeySource for FixedKeys {
    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0)
    }
}
