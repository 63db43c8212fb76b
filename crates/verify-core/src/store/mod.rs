//! The store port: one method, one changeset, all or nothing.
//!
//! A flow says what it wants as a [`Changeset`]; the store decides it with [`evaluate`] (or with the same arithmetic
//! in its own language) under a lock, a transaction or a script that covers one service, and answers with what it
//! saw. Nothing else in the system reads or writes state.

mod changeset;
mod evaluate;

pub use changeset::*;
pub use evaluate::{Evaluation, View, evaluate};

use async_trait::async_trait;

use crate::event::Event;
use crate::time::Timestamp;
use crate::vocabulary::ServiceId;

/// Where state lives between requests.
///
/// # Contract
///
/// - `apply` is all or nothing, and serialisable within a service: two changesets of one service behave as if one
///   came after the other. A changeset that is refused changes nothing.
/// - *Safe direction of failure*: a store may over-charge when it fails; it never under-charges. When in doubt
///   whether something was applied, it answers [`StoreAnswer::Unknown`], never `NotApplied`.
/// - A record's version never comes twice for a key, not even after a delete.
/// - Nothing counted is forgotten before it is outlived. At its capacity a store refuses what is new with
///   [`StoreFault::Full`], and keeps room for [`Room::Known`].
/// - Rows, claims and counters past their expiry are as good as absent, judged by the changeset's `at`.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Store: Send + Sync {
    /// Applies a changeset, or refuses it and says all that stood against it.
    async fn apply(&self, changeset: &Changeset) -> StoreAnswer;

    /// Keys of records whose `due` is not after `now`, soonest first, at most `most`, with their service.
    ///
    /// # Errors
    /// A fault leaves the records due.
    async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault>;

    /// The oldest events not acknowledged, in the order in which their changesets were applied, at most `most`.
    ///
    /// # Errors
    /// A fault leaves the events where they are.
    async fn outbox(&self, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault>;

    /// Forgets the events up to and including `through`.
    ///
    /// # Errors
    /// After a fault the same events may be read again: delivery is at least once.
    async fn acknowledge(&self, through: EventSeq) -> Result<(), StoreFault>;

    /// Whether the store can decide just now. Costs no more than a ping.
    ///
    /// # Errors
    /// What is wrong.
    async fn health(&self) -> Result<(), StoreFault>;
}

/// The place of an event in the outbox, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventSeq(pub u64);

/// Why a store did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StoreFault {
    /// It could not be reached, or it failed.
    #[error("the store is unavailable")]
    Unavailable,
    /// Its capacity is used up; what is new is refused.
    #[error("the store is full")]
    Full,
    /// It holds something that this version cannot read.
    #[error("the store holds a record that this version cannot read")]
    Corrupt,
}
