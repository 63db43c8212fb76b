//! The backoff: failures in a row, and the wait that grows with them. The cooldown and the lockout in one
//! (RFC 4226 section 7.3, NIST SP 800-63B-4 section 3.2.2).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::{Wait, Waits};
use crate::time::{Timestamp, Until};

/// A wait of this length or more closes the verifications that were issued before its end.
pub(crate) const CLOSING_WAIT: Duration = Duration::from_secs(300);

/// Failures in a row on one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Backoff {
    /// How many.
    pub count: u32,
    /// When the last one was.
    pub last: Timestamp,
    /// Which run this is. A reset begins the next one, so that a late takeback cannot touch it.
    pub run: u32,
}

impl Backoff {
    /// Failures in the run, none when it is forgotten at `now`.
    pub fn failures(&self, forget_after: Duration, now: Timestamp) -> u32 {
        if self.is_forgotten(forget_after, now) {
            0
        } else {
            self.count
        }
    }

    /// `None` when a check is admitted at `now`; else until when it waits.
    ///
    /// `never` ends at `forget_after` at the latest, and that instant is what is told.
    pub fn denied(&self, waits: &Waits, forget_after: Duration, now: Timestamp) -> Option<Until> {
        let end = self.wait_end(waits, forget_after, now)?;
        (now.max(self.last) < end).then_some(Until::At(end))
    }

    /// The state after one more failure at `now`.
    #[must_use]
    pub fn counted(&self, forget_after: Duration, now: Timestamp) -> Self {
        let now = now.max(self.last);
        if self.count > 0 && self.is_forgotten(forget_after, now) {
            return Self {
                count: 1,
                last: now,
                run: self.run.wrapping_add(1),
            };
        }
        Self {
            count: self.count.saturating_add(1),
            last: now,
            run: self.run,
        }
    }

    /// The state after a success, or an operator's word.
    #[must_use]
    pub fn reset(&self) -> Self {
        Self {
            count: 0,
            last: self.last,
            run: self.run.wrapping_add(1),
        }
    }

    /// Undoes the failure that made `charged` out of `before`. Nothing when the run has ended since.
    #[must_use]
    pub fn taken_back(&self, before: &Self, charged: &Self) -> Self {
        if self.run != charged.run || self.count == 0 {
            return *self;
        }
        // The wait goes back only while nothing was counted since: another failure may share the instant.
        let undone = self.last == charged.last && self.count == charged.count;
        let last = if undone { before.last } else { self.last };
        Self {
            count: self.count.saturating_sub(1),
            last,
            run: self.run,
        }
    }

    /// The end of the wait that the run has reached, whether or not it is over.
    pub fn wait_end(&self, waits: &Waits, forget_after: Duration, now: Timestamp) -> Option<Timestamp> {
        let (_, wait) = waits.range(..=self.failures(forget_after, now)).next_back()?;
        let forgotten = self.last + forget_after;
        Some(match wait {
            Wait::For(span) => (self.last + *span).min(forgotten),
            Wait::Never => forgotten,
        })
    }

    /// The end of the wait when it is long enough to close verifications: those issued before it are closed.
    pub fn closes_before(&self, waits: &Waits, forget_after: Duration, now: Timestamp) -> Option<Timestamp> {
        let end = self.wait_end(waits, forget_after, now)?;
        (end.since(self.last) >= CLOSING_WAIT.min(forget_after)).then_some(end)
    }

    /// Checks that are admitted, waiting in between, before a wait closes the verification: none while one has. Once
    /// such a wait is over a check is admitted again, and is counted to the next. `None` when no number of failures closes it.
    pub fn left_before_closing(&self, waits: &Waits, forget_after: Duration, now: Timestamp) -> Option<u32> {
        let closed = self.closes_before(waits, forget_after, now);
        if closed.is_some_and(|end| now < end) {
            return Some(0);
        }
        let closes = |count: u32| {
            let wait = waits.range(..=count).next_back().map(|(_, wait)| *wait);
            wait.is_some_and(|wait| match wait {
                Wait::For(span) => span >= CLOSING_WAIT.min(forget_after),
                Wait::Never => true,
            })
        };
        let next = self.failures(forget_after, now).saturating_add(1);
        let steps = waits.range(next..).map(|(count, _)| *count);
        let closing = [next].into_iter().chain(steps).find(|count| closes(*count));
        closing.map(|count| count - next + 1)
    }

    /// The instant after which the state decides nothing.
    pub fn outlived(&self, forget_after: Duration) -> Timestamp {
        // After a reset only the run number matters, and only while a flow may still take a charge back.
        if self.count == 0 {
            self.last + CLOSING_WAIT
        } else {
            self.last + forget_after
        }
    }

    fn is_forgotten(&self, forget_after: Duration, now: Timestamp) -> bool {
        self.count == 0 || now >= self.last + forget_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    fn waits(entries: &[(u32, Option<u64>)]) -> Waits {
        let map: BTreeMap<_, _> = entries
            .iter()
            .map(|&(count, secs)| {
                (
                    count,
                    secs.map_or(Wait::Never, |secs| Wait::For(Duration::from_secs(secs))),
                )
            })
            .collect();
        Arc::new(map)
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    #[test]
    fn the_wait_grows_with_the_run() {
        let waits = waits(&[(1, Some(60)), (5, Some(900)), (100, None)]);
        let mut state = Backoff::default();
        assert_eq!(state.denied(&waits, MONTH, at(0)), None);
        for (failure, wait) in [(1, 60), (2, 60), (3, 60), (4, 60), (5, 900)] {
            let now = at(10_000 * failure);
            state = state.counted(MONTH, now);
            let end = at(10_000 * failure + wait);
            assert_eq!(state.denied(&waits, MONTH, now), Some(Until::At(end)));
            assert_eq!(state.denied(&waits, MONTH, end), None);
        }
        assert_eq!(state.closes_before(&waits, MONTH, at(60_000)), Some(at(50_900)));
        assert_eq!(state.left_before_closing(&waits, MONTH, at(50_899)), Some(0));
    }

    #[test]
    fn i39_never_ends_with_forget_after_at_the_latest() {
        let waits = waits(&[(1, None)]);
        let state = Backoff::default().counted(MONTH, at(10));
        assert_eq!(
            state.denied(&waits, MONTH, at(11)),
            Some(Until::At(at(10) + MONTH))
        );
        assert_eq!(state.denied(&waits, MONTH, at(10) + MONTH), None);
        let next = state.counted(MONTH, at(10) + MONTH);
        assert_eq!((next.count, next.run), (1, 1), "a forgotten run is over");
    }

    #[test]
    fn a_late_takeback_does_not_touch_the_next_run() {
        let before = Backoff::default();
        let charged = before.counted(MONTH, at(5));
        let after_success = charged.reset();
        let next_failure = after_success.counted(MONTH, at(6));
        assert_eq!(next_failure.taken_back(&before, &charged), next_failure);
        assert_eq!(charged.taken_back(&before, &charged), before);
    }

    #[test]
    fn i06_a_takeback_leaves_another_failure_of_the_same_instant() {
        let before = Backoff::default();
        let mine = before.counted(MONTH, at(5));
        let theirs = mine.counted(MONTH, at(5));
        let left = theirs.taken_back(&before, &mine);
        assert_eq!((left.failures(MONTH, at(5)), left.last), (1, at(5)));
        assert_eq!(left.taken_back(&mine, &theirs).failures(MONTH, at(5)), 0);
    }

    #[test]
    fn i44_a_jump_back_opens_nothing() {
        let waits = waits(&[(1, Some(60))]);
        let state = Backoff::default().counted(MONTH, at(1_000));
        assert_eq!(state.denied(&waits, MONTH, at(10)), Some(Until::At(at(1_060))));
        assert_eq!(state.counted(MONTH, at(10)).last, at(1_000));
    }

    #[test]
    fn after_a_closing_wait_a_check_is_left_until_the_next() {
        let waits = waits(&[(2, Some(300)), (4, Some(30)), (6, Some(900))]);
        let left = |failures: u32, seconds: u64| {
            let mut state = Backoff::default();
            for _ in 0..failures {
                state = state.counted(MONTH, at(0));
            }
            state.left_before_closing(&waits, MONTH, at(seconds)).unwrap()
        };
        assert_eq!((left(0, 0), left(1, 0)), (2, 1));
        assert_eq!((left(2, 0), left(2, 299), left(2, 300)), (0, 0, 1));
        assert_eq!(
            (left(3, 300), left(4, 30), left(5, 30), left(6, 900)),
            (3, 2, 1, 1)
        );
    }

    #[test]
    fn a_map_without_a_first_step_admits_at_once() {
        let waits = waits(&[(5, Some(900))]);
        let mut state = Backoff::default();
        for second in 0..4 {
            assert_eq!(state.denied(&waits, MONTH, at(second)), None);
            state = state.counted(MONTH, at(second));
        }
        assert_eq!(state.left_before_closing(&waits, MONTH, at(4)), Some(1));
        assert_eq!(
            state.counted(MONTH, at(4)).denied(&waits, MONTH, at(4)),
            Some(Until::At(at(904)))
        );
    }
}
