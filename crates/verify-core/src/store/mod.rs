//! The store port: one method, one changeset, all or nothing.
//!
//! A flow says what it wants as a [`Changeset`]; the store decides it with [`evaluate`] (or with the same arithmetic
//! in its own language) under a lock, a transaction or a script that covers one service, and answers with what it
//! saw. Nothing else in the system reads or writes state.

mod answer;
mod changeset;
mod evaluate;
pub mod kept;
mod key;
mod loaded;
mod loss;

pub use answer::*;
pub use changeset::*;
pub use evaluate::{Evaluation, View, evaluate};
pub use key::{ClaimKey, ClaimKind, CounterKey, Names, RecordKey, RecordKind};
pub use loaded::{Loaded, Written};
pub use loss::Loss;

use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::detail::Detail;
use crate::event::Event;
use crate::ids::HolderId;
use crate::time::Timestamp;
use crate::vocabulary::ServiceId;

/// Where state lives between requests.
///
/// # Contract
///
/// - `apply` is all or nothing, and serialisable within a service: two changesets of one service behave as if one
///   came after the other. A changeset that is refused changes nothing. Services have nothing to do with each other.
/// - *Safe direction of failure*: a store may over-charge when it fails; it never under-charges. When in doubt
///   whether something was applied, it answers [`StoreAnswer::Unknown`], never `NotApplied`.
/// - A record's version never comes twice for a key, not even after a delete.
/// - Nothing counted is forgotten before it is outlived. At its capacity a store refuses what is new with
///   [`StoreFault::Full`], and keeps room for [`Room::Known`].
/// - Rows, claims and counters past their expiry are as good as absent, judged by the changeset's `at`.
/// - An alert refuses nothing, not even for want of room: it is left out then.
/// - An event is stored with the change that caused it, or not at all; order and cursor of events are each service's own.
/// - Numbers are at most 2^53 - 1; [`kept`] has a form for whatever is kept as bytes.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(Arc, Box)]
pub trait Store: Send + Sync {
    /// Applies a changeset, or refuses it and says all that stood against it. What was not begun `within` that time is
    /// not begun any more, and is answered [`StoreAnswer::NotApplied`]; whoever waits gives up somewhat later and takes it
    /// for `Unknown`.
    async fn apply(&self, changeset: &Changeset, within: Duration) -> StoreAnswer;

    /// Services that have something to do at `now`: a record that is due, an event that nobody acknowledged, and where it
    /// is this port's business something outlived. In their order, those behind `after`, at most `most`; idle ones are not
    /// among them.
    ///
    /// # Errors
    /// A fault leaves everything to be done.
    async fn services<'a>(
        &self,
        now: Timestamp,
        after: Option<&'a ServiceId>,
        most: usize,
    ) -> Result<Vec<ServiceId>, StoreFault>;

    /// Keys of a service's records whose `due` is not after `now` and that are not put off, soonest first, at most `most`.
    ///
    /// # Errors
    /// A fault leaves the records due.
    async fn due(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<RecordKey>, StoreFault>;

    /// Puts off a record that is due and could not be settled: for [`put_off_for`] by how often it was put off since it
    /// was written. The row stays as it is; whoever writes it ends that. One that is not due is left alone.
    ///
    /// # Errors
    /// A fault leaves the record due.
    async fn put_off(
        &self,
        service: &ServiceId,
        record: &RecordKey,
        now: Timestamp,
    ) -> Result<(), StoreFault>;

    /// The oldest events of a service that were not acknowledged, in the order in which their changesets were applied, at
    /// most `most`.
    ///
    /// # Errors
    /// A fault leaves the events where they are.
    async fn outbox(&self, service: &ServiceId, most: usize) -> Result<Vec<(EventSeq, Event)>, StoreFault>;

    /// Forgets the events of a service up to and including `through`.
    ///
    /// # Errors
    /// After a fault the same events may be read again: delivery is at least once.
    async fn acknowledge(&self, service: &ServiceId, through: EventSeq) -> Result<(), StoreFault>;

    /// Lends a service's work to a holder for a span, by the store's own clock; true when it is the holder's now. The same
    /// holder is lent it again, anybody else once the span is over; a span of nothing is over at once, so that it asks and keeps
    /// nobody out. It saves work: nothing that must hold rests on it.
    ///
    /// # Errors
    /// A fault lends nothing.
    async fn lease(
        &self,
        work: Work,
        service: &ServiceId,
        holder: HolderId,
        span: Duration,
    ) -> Result<bool, StoreFault>;

    /// Drops what is outlived at `now`, at most `most` entries of the service; how many went. A store that keeps services
    /// together may drop others' instead.
    ///
    /// # Errors
    /// A fault leaves them: they are as good as absent all the same.
    async fn drop_outlived(
        &self,
        service: &ServiceId,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, StoreFault>;

    /// Under which keys the durable rows of all services with something sealed in them were written, and how many under
    /// which: they must be written again before those keys leave the rings. One with nothing sealed says nobody's name; it
    /// cannot be moved, and ends with its key.
    ///
    /// # Errors
    /// A fault says nothing about what there is.
    async fn durable(&self) -> Result<Vec<(WrittenUnder, u64)>, StoreFault>;

    /// Those that were written under these keys, in an order of the store's own; those behind `after`, which need not be
    /// among them any more, at most `most`.
    ///
    /// # Errors
    /// A fault says nothing about what there is.
    async fn durable_under<'a>(
        &self,
        under: WrittenUnder,
        after: Option<&'a (ServiceId, RecordKey)>,
        most: usize,
    ) -> Result<Vec<(ServiceId, RecordKey)>, StoreFault>;

    /// Whether the store can decide just now, and what it holds. Costs no more than a ping.
    ///
    /// # Errors
    /// What is wrong.
    async fn health(&self) -> Result<Origin, StoreFault>;
}

/// Work that is done for a service besides commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Records that are due.
    Sweep,
    /// Events that are to be handed over.
    Pump,
    /// What is outlived.
    Housekeeping,
    /// Nothing is done: whoever has a sink for events holds it, and nobody else.
    Sink,
}

impl Work {
    /// The stable number, wherever one is kept.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Sweep => 1,
            Self::Pump => 2,
            Self::Housekeeping => 3,
            Self::Sink => 4,
        }
    }
}

/// For how long a record is put off that was put off `times` before: 30 seconds, doubled each time, up to an hour.
pub const fn put_off_for(times: u32) -> Duration {
    let doubled = if times < 7 { 30 << times } else { 3_600 };
    Duration::from_secs(if doubled < 3_600 { doubled } else { 3_600 })
}

/// The place of an event among those of its service, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventSeq(pub u64);

/// Why a store did not do it, with its own words for operators.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StoreFault {
    /// It could not be reached, or it failed.
    #[error("the store is unavailable{}", in_its_words(.0))]
    Unavailable(Detail),
    /// Its capacity is used up; what is new is refused.
    #[error("the store is full{}", in_its_words(.0))]
    Full(Detail),
    /// It holds something that this version cannot read.
    #[error("the store holds something that this version cannot read{}", in_its_words(.0))]
    Corrupt(Detail),
    /// A decision that should have been possible was not: a fault of this program.
    #[error("the store could not decide{}", in_its_words(.0))]
    Defect(Detail),
    /// It may have lost what it counted, and admits nothing for that much longer.
    #[error("the store may have lost what it counted{}", in_its_words(.0))]
    Cools(Detail, Duration),
}

impl StoreFault {
    /// It could not be reached, or it failed, in these words.
    pub fn unavailable(words: &str) -> Self {
        Self::Unavailable(Detail::new(None, words))
    }

    /// Its capacity is used up, in these words.
    pub fn full(words: &str) -> Self {
        Self::Full(Detail::new(None, words))
    }

    /// It holds something that cannot be read, in these words.
    pub fn corrupt(words: &str) -> Self {
        Self::Corrupt(Detail::new(None, words))
    }

    /// A fault of this program, in these words.
    pub fn defect(words: &str) -> Self {
        Self::Defect(Detail::new(None, words))
    }

    /// The store's own words, masked.
    pub const fn detail(&self) -> &Detail {
        match self {
            Self::Unavailable(detail)
            | Self::Full(detail)
            | Self::Corrupt(detail)
            | Self::Defect(detail)
            | Self::Cools(detail, _) => detail,
        }
    }

    /// The same words, taken out.
    pub fn into_detail(self) -> Detail {
        match self {
            Self::Unavailable(detail)
            | Self::Full(detail)
            | Self::Corrupt(detail)
            | Self::Defect(detail)
            | Self::Cools(detail, _) => detail,
        }
    }

    /// The stable word for logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Full(_) => "full",
            Self::Corrupt(_) => "corrupt",
            Self::Defect(_) => "defect",
            Self::Cools(..) => "cools",
        }
    }
}

fn in_its_words(detail: &Detail) -> String {
    match detail.message() {
        "" => String::new(),
        words => format!(": {words}"),
    }
}
