//! What a store answers.

use super::StoreFault;
use super::changeset::{Claim, Row};
use super::key::{ClaimKey, RecordKey};
use crate::detail::Detail;
use crate::limit::Counter;
use crate::time::Timestamp;

/// What a store saw while it decided: the same for an applied and a refused changeset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Seen {
    /// Who says so.
    pub origin: Origin,
    /// Every record that was named, as it is afterwards.
    pub records: Vec<(RecordKey, Option<Row>)>,
    /// One entry for each charge, in their order.
    pub counters: Vec<CounterSeen>,
    /// Claims that were there before.
    pub claims: Vec<Claim>,
}

impl Seen {
    /// A record that was named.
    pub fn record(&self, key: &RecordKey) -> Option<&Row> {
        self.records
            .iter()
            .find(|(named, _)| named == key)
            .and_then(|(_, row)| row.as_ref())
    }

    /// A claim that was there before.
    pub fn claim(&self, key: &ClaimKey) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.key == *key)
    }
}

/// What became of a charge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CounterSeen {
    /// The state it was decided on: it tells whether the charge was admitted, and when it would be.
    pub before: Counter,
    /// The state that is there afterwards: another one when it was counted.
    pub after: Counter,
}

/// A store's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreAnswer {
    /// All of it happened.
    Applied(Seen),
    /// Nothing happened: a charge was denied, an expectation not met, or a claim was there.
    Refused(Seen),
    /// Nothing happened, surely: the store could not be asked, or it failed before it began.
    NotApplied(StoreFault),
    /// It may have happened. The words are the store's own.
    Unknown(Detail),
}

impl StoreAnswer {
    /// What the store saw, whether it did it or not.
    ///
    /// # Errors
    /// Why it did not see anything.
    pub fn seen(self) -> Result<Seen, StoreFault> {
        match self {
            Self::Applied(seen) | Self::Refused(seen) => Ok(seen),
            Self::NotApplied(fault) => Err(fault),
            Self::Unknown(words) => Err(StoreFault::Unavailable(words)),
        }
    }
}

/// Where an answer comes from. A store that lost its data, or another one in its place, has another epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Origin {
    /// A random name for what the store holds, made when it held nothing.
    pub epoch: Epoch,
    /// When it was made, by the store's clock.
    pub made: Timestamp,
    /// True when that was expected: a first start, or an operator's word. False: something may have been lost.
    pub accepted: bool,
    /// The store's clock when it answered; the changeset's own time where it has none.
    pub clock: Timestamp,
}

/// A random name for what a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub [u8; 16]);
