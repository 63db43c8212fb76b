//! What a store answers.

use std::time::Duration;

use super::StoreFault;
use super::changeset::{Claim, Row};
use super::key::{ClaimKey, RecordKey};
use crate::detail::Detail;
use crate::limit::Counter;
use crate::time::{SKEW, Timestamp};

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
    /// Nothing happened: a charge was denied, an expectation not met, a claim was there, or the store may have forgotten
    /// what it goes by.
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
    /// Since when, by the store's clock, another server holds it under the same name: a copy that took over, or one that was
    /// restored. `None`: none is known of.
    pub moved: Option<Timestamp>,
    /// The store's clock when it answered. Where it has none: the changeset's own time, and zero where there is no changeset.
    pub clock: Timestamp,
}

impl Origin {
    /// Until when rules that look back this far may lack what was counted before the epoch. `None`: nothing is missing.
    pub fn cools_until(&self, looks_back: Duration) -> Option<Timestamp> {
        let may_lack = !self.accepted && !looks_back.is_zero();
        may_lack.then(|| self.made + looks_back + SKEW)
    }

    /// How much longer, at `at` by the engine's clock. The clock that is further behind tells: one before `made` delays.
    pub fn cools(&self, looks_back: Duration, at: Timestamp) -> Option<Duration> {
        let now = match self.clock {
            Timestamp::ZERO => at,
            clock => at.min(clock),
        };
        let wait = self.cools_until(looks_back)?.since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// True when whether something that was issued then was used up may have been known to an earlier epoch, and is not to
    /// this one. Accepting the epoch does not bring it back. A flow whose clock is before an accepted epoch by more than the
    /// skew is on another clock than the store's: the two instants cannot be compared.
    pub fn forgot(&self, issued: Timestamp, at: Timestamp) -> bool {
        match self.accepted {
            true => issued < self.made && self.made <= at + SKEW,
            false => issued < self.made + SKEW,
        }
    }
}

/// A random name for what a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn origin(accepted: bool, clock: Timestamp) -> Origin {
        Origin {
            made: MADE,
            accepted,
            clock,
            ..Origin::default()
        }
    }

    #[test]
    fn i62_an_epoch_cools_for_as_long_as_the_rules_look_back_by_the_clock_that_is_behind() {
        let wait = |accepted, clock, at| origin(accepted, clock).cools(HOUR, at);
        let at = |secs: u64| MADE + Duration::from_secs(secs);
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!(wait(false, at(0), at(0)), secs(3_610));
        assert_eq!(wait(false, at(3_609), at(3_609)), secs(1));
        assert_eq!(wait(false, at(3_610), at(3_610)), None);
        assert_eq!(wait(false, at(3_600), at(7_200)), secs(10), "the engine is ahead");
        assert_eq!(
            wait(false, at(7_200), at(3_600)),
            secs(10),
            "the engine is behind"
        );
        assert_eq!(
            wait(false, at(7_200), MADE - HOUR),
            secs(7_210),
            "it was set back"
        );
        assert_eq!(
            wait(false, Timestamp::ZERO, at(3_610)),
            None,
            "a store without a clock"
        );
        assert_eq!(wait(true, at(0), at(0)), None);
        assert_eq!(
            origin(false, at(0)).cools(Duration::ZERO, at(0)),
            None,
            "that goes on"
        );
    }

    #[test]
    fn i62_what_was_issued_before_an_epoch_is_forgotten_for_good() {
        let forgot = |accepted, issued, at| origin(accepted, at).forgot(issued, at);
        let second = Duration::from_secs(1);
        assert!(forgot(true, MADE - second, MADE));
        assert!(
            forgot(true, MADE - second, MADE - SKEW),
            "a clock that may be right"
        );
        assert!(!forgot(true, MADE, MADE));
        assert!(!forgot(true, MADE - HOUR, MADE - HOUR), "a clock of its own");
        assert!(forgot(false, MADE - HOUR, MADE - HOUR));
        assert!(
            forgot(false, MADE + SKEW - second, MADE + HOUR),
            "its engine was ahead"
        );
        assert!(!forgot(false, MADE + SKEW, MADE + HOUR));
        assert!(
            !Origin::default().forgot(Timestamp::ZERO + SKEW, MADE),
            "a store in memory"
        );
    }
}
