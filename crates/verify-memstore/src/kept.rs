//! What is kept under a key, in as few bytes as it needs: a store's size is what a flood is after.

use std::num::NonZeroU64;

use verify_core::limit::{Backoff, Counter, Stamp, Window};
use verify_core::store::{Claim, Lifetime, Row, WrittenUnder};
use verify_core::time::Timestamp;

use crate::expiring_map::Transient;

/// A state of a limit or lockout, and when it may be forgotten: 32 bytes, and what does not fit into them.
pub(crate) enum KeptCounter {
    /// A window with one stamp that was never ended, which most are. Spans are in milliseconds after `newest`.
    Once {
        newest: Timestamp,
        stamp_after: u32,
        units: u32,
        ends_after: u32,
    },
    /// A run of failures; the span is after `last`.
    Run {
        last: Timestamp,
        count: u32,
        run: u32,
        ends_after: u32,
    },
    /// What does not fit: a window with several stamps or one that was ended, spans of more than 49 days, billions of units.
    Large(Box<(Counter, Timestamp)>),
}

impl KeptCounter {
    /// In as few bytes; `None`: it is a large one.
    pub(crate) fn fitted(state: &Counter, expires_at: Timestamp) -> Option<Self> {
        match state {
            Counter::Window(window) => {
                let newest = window.newest();
                let ([stamp], Timestamp::ZERO) = (window.stamps(), window.ended()) else {
                    return None;
                };
                Some(Self::Once {
                    newest,
                    stamp_after: span(newest, stamp.at)?,
                    units: u32::try_from(stamp.units).ok()?,
                    ends_after: span(newest, expires_at)?,
                })
            }
            Counter::Backoff(Backoff { count, last, run }) => Some(Self::Run {
                last: *last,
                count: *count,
                run: *run,
                ends_after: span(*last, expires_at)?,
            }),
        }
    }

    /// The state as it was put.
    pub(crate) fn state(&self) -> Counter {
        match self {
            Self::Once {
                newest,
                stamp_after,
                units,
                ..
            } => {
                let at = after(*newest, *stamp_after);
                let units = u64::from(*units);
                Counter::Window(
                    Window::of(*newest, Timestamp::ZERO, &[Stamp { at, units }]).unwrap_or_default(),
                )
            }
            Self::Run { last, count, run, .. } => Counter::Backoff(Backoff {
                count: *count,
                last: *last,
                run: *run,
            }),
            Self::Large(large) => large.0.clone(),
        }
    }

    pub(crate) fn expires_at(&self) -> Timestamp {
        match self {
            Self::Once {
                newest, ends_after, ..
            } => after(*newest, *ends_after),
            Self::Run { last, ends_after, .. } => after(*last, *ends_after),
            Self::Large(large) => large.1,
        }
    }
}

/// From one instant to a later one, where that takes no more than 32 bits.
fn span(from: Timestamp, to: Timestamp) -> Option<u32> {
    u32::try_from(to.as_millis().checked_sub(from.as_millis())?).ok()
}

fn after(from: Timestamp, span: u32) -> Timestamp {
    Timestamp::from_millis(from.as_millis().saturating_add(u64::from(span)))
}

/// A claim without its key.
pub(crate) struct KeptClaim {
    pub(crate) value: Box<[u8]>,
    pub(crate) expires_at: Timestamp,
}

impl From<Claim> for KeptClaim {
    fn from(claim: Claim) -> Self {
        Self {
            value: claim.value.into(),
            expires_at: claim.expires_at,
        }
    }
}

/// A record without its key, in 56 bytes and its own.
pub(crate) struct KeptRow {
    version: u64,
    /// None: durable.
    ends: Packed,
    live_until: Packed,
    due: Packed,
    under: WrittenUnder,
    bytes: Box<[u8]>,
}

/// An instant or none, in eight bytes: one more than its milliseconds. The last instant that a number can say is
/// kept as the one before it.
#[derive(Clone, Copy)]
struct Packed(Option<NonZeroU64>);

impl From<Option<Timestamp>> for Packed {
    fn from(at: Option<Timestamp>) -> Self {
        Self(at.and_then(|at| NonZeroU64::new(at.as_millis().saturating_add(1))))
    }
}

impl Packed {
    fn get(self) -> Option<Timestamp> {
        self.0.map(|more| Timestamp::from_millis(more.get() - 1))
    }
}

impl From<Row> for KeptRow {
    fn from(row: Row) -> Self {
        let ends = match row.lifetime {
            Lifetime::Until(end) => Some(end),
            Lifetime::Durable => None,
        };
        Self {
            version: row.version,
            ends: ends.into(),
            live_until: row.live_until.into(),
            due: row.due.into(),
            under: row.under,
            bytes: row.bytes.into(),
        }
    }
}

impl KeptRow {
    /// The record as it was put.
    pub(crate) fn row(&self) -> Row {
        Row {
            version: self.version,
            lifetime: self.ends.get().map_or(Lifetime::Durable, Lifetime::Until),
            live_until: self.live_until.get(),
            due: self.due.get(),
            under: self.under,
            bytes: self.bytes.to_vec(),
        }
    }

    /// The keys that it was written under, of one that has no end and says sealed whose it is.
    pub(crate) fn durable_under(&self) -> Option<WrittenUnder> {
        let moves = self.ends.get().is_none() && self.under.seal.is_some();
        moves.then_some(self.under)
    }

    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due.get()
    }

    /// As [`Row::is_live`], of one that is not outlived.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        !self.is_outlived(now) && self.live_until.get().is_some_and(|until| now < until)
    }
}

impl Transient for KeptCounter {
    fn is_outlived(&self, at: Timestamp) -> bool {
        self.expires_at() <= at
    }
}

impl Transient for KeptClaim {
    fn is_outlived(&self, at: Timestamp) -> bool {
        self.expires_at <= at
    }
}

impl Transient for KeptRow {
    fn is_outlived(&self, at: Timestamp) -> bool {
        self.ends.get().is_some_and(|end| end <= at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use verify_core::keys::KeyId;
    use verify_core::limit::Rule;

    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_put() {
        let at = |millis: Option<u64>| millis.map(Timestamp::from_millis);
        for (lifetime, live_until, due) in [
            (Lifetime::Durable, None, None),
            (Lifetime::Durable, at(Some(0)), at(Some(1))),
            (Lifetime::Until(Timestamp::ZERO), at(Some(u64::MAX)), at(Some(0))),
            (Lifetime::Until(Timestamp::from_millis(7)), None, at(Some(9))),
        ] {
            let row = Row {
                version: 3,
                lifetime,
                live_until,
                due,
                under: WrittenUnder {
                    fingerprint: KeyId::new(1),
                    seal: due.map(|_| KeyId::new(2)),
                },
                bytes: vec![1, 2],
            };
            assert_eq!(KeptRow::from(row.clone()).row(), row);
        }
    }

    proptest! {
        #[test]
        fn a_state_comes_back_as_it_was_put(
            charges in proptest::collection::vec((0_u64..2_000_000, prop_oneof![0_u64..4, Just(u64::MAX)]), 0..20),
            max in prop_oneof![1_u64..8, Just(1_000_u64)],
            days in prop_oneof![Just(1_u64), Just(400_u64)],
            windows in any::<bool>(), ends in any::<u64>(), end_after in 0_usize..30,
        ) {
            let span = Duration::from_secs(days * 86_400);
            let rule = match windows {
                true => Rule::Window { max, per: span },
                false => Rule::Backoff { waits: std::sync::Arc::default(), forget_after: span },
            };
            let mut state = Counter::empty(&rule);
            for (nth, (at, cost)) in charges.into_iter().enumerate() {
                state = state.counted(&rule, cost, Timestamp::from_millis(at));
                if nth == end_after {
                    state = state.reset(Timestamp::from_millis(at)).0;
                }
                for expires_at in [state.outlived(&rule), Timestamp::from_millis(ends)] {
                    let large = || KeptCounter::Large(Box::new((state.clone(), expires_at)));
                    let kept = KeptCounter::fitted(&state, expires_at).unwrap_or_else(large);
                    prop_assert_eq!(kept.state(), state.clone());
                    prop_assert_eq!(kept.expires_at(), expires_at);
                }
            }
        }
    }

    #[test]
    fn they_are_small() {
        assert_eq!(size_of::<KeptCounter>(), 24);
        assert_eq!(size_of::<KeptRow>(), 56);
        assert_eq!(size_of::<KeptClaim>(), 24);
    }
}
