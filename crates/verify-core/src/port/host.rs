//! What the host lends: a clock, randomness, keys, and places for events and refusals.

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::event::Event;
use crate::keys::Keys;
use crate::outcome::{Explanation, RefusalCode};
use crate::seed::Seed;
use crate::time::Timestamp;

/// Tells the time.
///
/// *Safe direction of failure*: a clock that runs late delays; one that jumps back delays by at most the jump and
/// opens nothing. It must not run ahead of other nodes by more than [`crate::time::SKEW`].
#[cfg_attr(feature = "mock", mockall::automock)]
#[auto_impl(Arc, Box)]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Gives randomness from a cryptographically secure source.
///
/// *Safe direction of failure*: it must not return when it has none; codes and tokens depend on it.
#[cfg_attr(feature = "mock", mockall::automock)]
#[auto_impl(Arc, Box)]
pub trait Entropy: Send + Sync {
    /// Fresh bytes for one command.
    fn seed(&self) -> [u8; Seed::BYTES];
}

/// Lends the key rings.
///
/// Asked at each command, so that a rotation takes effect without a restart; it answers from memory.
#[cfg_attr(feature = "mock", mockall::automock)]
#[auto_impl(Arc, Box)]
pub trait KeySource: Send + Sync {
    /// The rings in force.
    fn keys(&self) -> std::sync::Arc<Keys>;
}

/// Takes events from the outbox, in order, at least once.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(Arc, Box)]
pub trait EventSink: Send + Sync {
    /// Takes a batch. `false` means: again later; nothing of it is acknowledged then.
    async fn take(&self, events: &[Event]) -> bool;
}

/// An event sink that forgets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

#[async_trait]
impl EventSink for NoEvents {
    async fn take(&self, _events: &[Event]) -> bool {
        true
    }
}

/// Is told of every refusal by a flow, with all that decided it. Refusals are many and cheap, so they are no events: they
/// are not stored, and a sink that cannot keep up drops them. What is turned away before a flow opens (a flood
/// shield, more sends under way than there is room for) is only counted.
#[cfg_attr(feature = "mock", mockall::automock)]
#[auto_impl(Arc, Box)]
pub trait RefusalSink: Send + Sync {
    /// Told of a refusal: the code that its caller got, and what decided. Must not block.
    fn refused(&self, code: RefusalCode, explanation: &Explanation);
}

/// A refusal sink that forgets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRefusals;

impl RefusalSink for NoRefusals {
    fn refused(&self, _code: RefusalCode, _explanation: &Explanation) {}
}
