//! A sliding window: in no interval of length `per`, wherever it starts, are more than `max` units admitted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::CLOSING_WAIT;
use super::stamps::Stamps;
use crate::time::{MOST, Timestamp, Until, millis};

/// The most stamps that a window keeps.
pub const MAX_STAMPS: usize = 17;

/// Up to this `max` every unit keeps its own instant.
const EXACT_UP_TO: u64 = 16;

/// Units that were counted at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// When, perhaps rounded up to the grid.
    pub at: Timestamp,
    /// How many.
    pub units: u64,
}

/// What a window remembers.
///
/// Exact while `max` is at most 16. Above, stamps are rounded *up* to a multiple of a sixteenth of `per`, so that the
/// window errs towards refusing, by at most that sixteenth, and never keeps more than [`MAX_STAMPS`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Window {
    /// The latest true instant at which something was counted: the clock's floor. Rounded stamps lie after it and
    /// must not serve as one.
    newest: Timestamp,
    /// When it was last ended by an operator, zero when never: what was counted until then is not here to be taken back.
    ended: Timestamp,
    /// Oldest first.
    stamps: Stamps,
}

impl Window {
    /// A window as a store kept it; `None` when no window has these stamps: they rise, and are at most [`MAX_STAMPS`].
    pub fn of(newest: Timestamp, ended: Timestamp, stamps: &[Stamp]) -> Option<Self> {
        let rise = stamps.is_sorted_by(|one, next| one.at < next.at);
        (rise && stamps.len() <= MAX_STAMPS).then(|| Self {
            newest,
            ended,
            stamps: stamps.into(),
        })
    }

    /// Units counted in the interval of length `per` that ends at `now`.
    pub fn used(&self, per: Duration, now: Timestamp) -> u64 {
        let now = now.max(self.newest);
        self.live(per, now)
            .fold(0, |sum, stamp| sum.saturating_add(stamp.units))
    }

    /// `None` when `cost` more units are admitted at `now`; else the first instant at which they are.
    pub fn denied(&self, max: u64, per: Duration, cost: u64, now: Timestamp) -> Option<Until> {
        let now = now.max(self.newest);
        let mut used = self.used(per, now);
        if used.saturating_add(cost) <= max {
            return None;
        }
        if cost > max {
            return Some(Until::Never);
        }
        for stamp in self.live(per, now) {
            used = used.saturating_sub(stamp.units);
            if used.saturating_add(cost) <= max {
                return Some(Until::At(stamp.at + per));
            }
        }
        Some(Until::Never)
    }

    /// The state after `cost` units at `now`, admitted or not.
    #[must_use]
    pub fn counted(&self, max: u64, per: Duration, cost: u64, now: Timestamp) -> Self {
        let now = now.max(self.newest);
        let at = if max <= EXACT_UP_TO {
            now
        } else {
            rounded_up(now, per)
        };
        let live = self.live_stamps(per, now);
        let new = Stamp {
            at,
            units: cost.min(MOST),
        };
        if cost == 0 {
            let stamps = live.into();
            return self.with(now, stamps);
        }
        let stamps = match live.split_last() {
            None => Stamps::One(new),
            Some((last, _)) if last.at < at && live.len() < MAX_STAMPS => Stamps::with_last(live, new),
            Some((last, before)) if last.at == at && live.len() <= MAX_STAMPS => {
                Stamps::with_last(before, last.and(cost))
            }
            Some(_) => inserted(live.to_vec(), new, per).as_slice().into(),
        };
        self.with(now, stamps)
    }

    fn with(&self, newest: Timestamp, stamps: Stamps) -> Self {
        let ended = self.ended;
        Self {
            newest,
            ended,
            stamps,
        }
    }

    /// The state after an operator's word at `now`: nothing is counted any more. Its clock stays.
    #[must_use]
    pub fn reset(&self, now: Timestamp) -> Self {
        Self {
            newest: self.newest,
            ended: now.max(self.newest),
            stamps: Stamps::None,
        }
    }

    /// Undoes `units` that were counted at `at`. What cannot be found any more stays counted; what was counted before the
    /// window was ended went with it, and what shares its stamp now is not taken for it.
    #[must_use]
    pub fn taken_back(&self, per: Duration, units: u64, at: Timestamp) -> Self {
        if at <= self.ended {
            return self.clone();
        }
        let mut stamps = self.stamps.as_slice().to_vec();
        let grid = rounded_up(at, per);
        let found = stamps
            .iter()
            .position(|stamp| stamp.at == at)
            .or_else(|| stamps.iter().position(|stamp| stamp.at == grid));
        if let Some(stamp) = found.and_then(|index| stamps.get_mut(index)) {
            stamp.units = stamp.units.saturating_sub(units);
        }
        stamps.retain(|stamp| stamp.units > 0);
        self.with(self.newest, stamps.as_slice().into())
    }

    /// The instant after which nothing in it counts, and no flow may still take back what was counted before it was ended.
    pub fn outlived(&self, per: Duration) -> Timestamp {
        let late = match self.ended {
            Timestamp::ZERO => Timestamp::ZERO,
            ended => ended + CLOSING_WAIT,
        };
        self.stamps()
            .last()
            .map_or(self.newest, |stamp| stamp.at + per)
            .max(self.newest)
            .max(late)
    }

    /// The latest true instant at which something was counted.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// When it was last ended by an operator; zero when never.
    pub fn ended(&self) -> Timestamp {
        self.ended
    }

    /// The stamps, oldest first.
    pub fn stamps(&self) -> &[Stamp] {
        self.stamps.as_slice()
    }

    fn live(&self, per: Duration, now: Timestamp) -> impl Iterator<Item = &Stamp> {
        self.live_stamps(per, now).iter()
    }

    /// What counts at `now`: stamps are in order, so it is the end of them.
    fn live_stamps(&self, per: Duration, now: Timestamp) -> &[Stamp] {
        let stamps = self.stamps();
        let over = stamps.iter().take_while(|stamp| stamp.at + per <= now).count();
        stamps.get(over..).unwrap_or_default()
    }
}

impl Stamp {
    fn and(self, units: u64) -> Self {
        Self {
            units: self.units.saturating_add(units).min(MOST),
            ..self
        }
    }
}

/// `stamps` with a new one in its place; on the grid where they become too many, as happens after a rule changed, or
/// when units were forced in above a small `max`.
fn inserted(mut stamps: Vec<Stamp>, new: Stamp, per: Duration) -> Vec<Stamp> {
    insert(&mut stamps, new);
    if stamps.len() <= MAX_STAMPS {
        return stamps;
    }
    let mut gridded = Vec::with_capacity(MAX_STAMPS);
    for stamp in stamps {
        let at = rounded_up(stamp.at, per);
        insert(&mut gridded, Stamp { at, ..stamp });
    }
    gridded
}

fn insert(stamps: &mut Vec<Stamp>, new: Stamp) {
    let index = stamps.partition_point(|stamp| stamp.at < new.at);
    match stamps.get_mut(index) {
        Some(stamp) if stamp.at == new.at => *stamp = stamp.and(new.units),
        Some(_) | None => stamps.insert(index, new),
    }
}

/// The next multiple of a sixteenth of `per`, not before `at`.
fn rounded_up(at: Timestamp, per: Duration) -> Timestamp {
    let step = millis(per).div_ceil(16).max(1);
    Timestamp::from_millis(at.as_millis().div_ceil(step).saturating_mul(step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn i12_rounded_stamps_do_not_serve_as_the_clock() {
        // 17 per 16 s: 16 units, then 1 shortly before the grid, then 16 more a moment later would make 33 in 15 s.
        let per = Duration::from_secs(16);
        let window = Window::default()
            .counted(17, per, 16, at(16_000))
            .counted(17, per, 1, at(31_001));
        assert_eq!(
            window.denied(17, per, 16, at(31_002)),
            Some(Until::At(at(32_000)))
        );
    }

    #[test]
    fn a_cost_above_the_maximum_is_never_admitted() {
        assert_eq!(
            Window::default().denied(3, Duration::from_secs(1), 4, at(5)),
            Some(Until::Never)
        );
    }

    #[test]
    fn what_is_taken_back_can_be_used_again() {
        let per = Duration::from_secs(10);
        let window = Window::default()
            .counted(1, per, 1, at(1_000))
            .taken_back(per, 1, at(1_000));
        assert_eq!(window.denied(1, per, 1, at(1_000)), None);
        let large = Window::default()
            .counted(100, per, 40, at(1_001))
            .taken_back(per, 40, at(1_001));
        assert_eq!(large.used(per, at(1_001)), 0);
    }

    #[test]
    fn what_was_ended_is_counted_no_more_and_takes_nothing_with_it() {
        let per = Duration::from_secs(16);
        for max in [5, 1_000] {
            let before = Window::default().counted(max, per, 3, at(100));
            let ended = before.reset(at(200));
            assert_eq!((ended.used(per, at(200)), ended.newest()), (0, at(100)));
            // A late takeback of what was counted before finds only what is of somebody else, under the same rounded stamp.
            let after = ended.counted(max, per, 3, at(300));
            assert_eq!(after.taken_back(per, 3, at(100)), after, "{max}");
            assert_eq!(after.taken_back(per, 3, at(300)).used(per, at(300)), 0);
            assert!(
                ended.outlived(per) >= at(200) + CLOSING_WAIT,
                "while a flow may take back"
            );
        }
    }

    #[test]
    fn a_changed_rule_regrids_what_it_finds() {
        let per = Duration::from_secs(16);
        let exact = (0..16).fold(Window::default(), |window, i| {
            window.counted(16, per, 1, at(1 + i * 7))
        });
        let wide = (0..40).fold(exact, |window, i| {
            window.counted(1_000, per, 1, at(200 + i * 390))
        });
        assert!(wide.stamps().len() <= MAX_STAMPS);
        assert!(wide.used(per, at(200)) >= 16, "re-gridding forgets nothing early");
    }

    proptest! {
        #[test]
        fn i12_no_interval_holds_more_than_max(
            max in prop_oneof![1u64..20, 1u64..1_000_000],
            per in 1u64..100_000,
            arrivals in prop::collection::vec((0u64..30_000, 1u64..40), 1..80),
        ) {
            let span = Duration::from_millis(per);
            let mut window = Window::default();
            let mut admitted: Vec<(u64, u64)> = Vec::new();
            let mut now = 1_000_000;
            for (step, share) in arrivals {
                now += step;
                let cost = (max * share / 40).max(1);
                if window.denied(max, span, cost, at(now)).is_none() {
                    window = window.counted(max, span, cost, at(now));
                    admitted.push((now, cost));
                }
                prop_assert!(window.stamps().len() <= MAX_STAMPS);
            }
            for &(start, _) in &admitted {
                let inside: u64 = admitted.iter()
                    .filter(|&&(t, _)| t >= start && t < start + per)
                    .map(|&(_, units)| units).sum();
                prop_assert!(inside <= max, "{inside} > {max}");
            }
        }

        #[test]
        fn i43_refused_until_the_stated_instant_admitted_at_it(
            max in 1u64..40, per in 1u64..50_000, steps in prop::collection::vec(0u64..4_000, 1..60), cost in 1u64..5,
        ) {
            let cost = cost.min(max);
            let span = Duration::from_millis(per);
            let mut window = Window::default();
            let mut now = 500_000;
            for step in steps {
                now += step;
                match window.denied(max, span, cost, at(now)) {
                    None => window = window.counted(max, span, cost, at(now)),
                    Some(Until::At(until)) => {
                        prop_assert!(until > at(now));
                        prop_assert_eq!(window.denied(max, span, cost, until), None);
                        let before = at(until.as_millis() - 1);
                        prop_assert!(window.denied(max, span, cost, before).is_some());
                    }
                    Some(Until::Never) => prop_assert!(false, "cost fits below max"),
                }
            }
        }

        #[test]
        fn i44_a_jump_back_delays_by_at_most_the_jump_and_opens_nothing(
            max in 1u64..40, per in 1_000u64..50_000, jump in 1u64..100_000,
            steps in prop::collection::vec(0u64..4_000, 1..40),
        ) {
            let span = Duration::from_millis(per);
            let mut window = Window::default();
            let mut now = 500_000;
            for step in steps {
                now += step;
                if window.denied(max, span, 1, at(now)).is_none() {
                    window = window.counted(max, span, 1, at(now));
                }
            }
            let back = at(now - jump);
            let told = window.denied(max, span, 1, at(now));
            prop_assert_eq!(window.denied(max, span, 1, back).is_some(), window.denied(max, span, 1, window.newest()).is_some());
            if told.is_some() { prop_assert_eq!(window.denied(max, span, 1, back).is_some(), true); }
        }

        #[test]
        fn a_takeback_never_leaves_less_than_without_the_charge(
            max in 1u64..60, per in 16u64..50_000, steps in prop::collection::vec(0u64..3_000, 1..30), extra in 0u64..3_000,
        ) {
            let span = Duration::from_millis(per);
            let mut now = 100_000;
            let mut window = Window::default();
            for step in steps { now += step; window = window.counted(max, span, 1, at(now)); }
            let charged = now + extra;
            let before = window.used(span, at(charged));
            let after = window.counted(max, span, 2, at(charged)).taken_back(span, 2, at(charged));
            prop_assert!(after.used(span, at(charged)) >= before);
        }
    }
}
