//! The breaker of a provider for a verb: pure state, and time as an argument.
//!
//! Closed, it remembers the last calls and opens on a spike of faults. Open, it keeps calls away. After a while it
//! lets a single probe through, and that probe decides.

use std::collections::VecDeque;
use std::time::Duration;

use verify_core::time::Timestamp;

/// As many calls are remembered.
const REMEMBERED: usize = 20;
/// It does not open on fewer calls than this …
const LEAST: usize = 10;
/// … within this time.
const WITHIN: Duration = Duration::from_secs(30);
/// It stays open that long before it lets a probe through.
const REST: Duration = Duration::from_secs(30);
/// A probe is over after this, as any call that a person waits for.
const PROBE: Duration = crate::outside::PROVIDER_TIMEOUT;
/// The wait that is told while a probe takes longer than it may.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// What a call says about the provider's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answered, whatever the answer was.
    Sound,
    /// It failed on its side, or its answer never came.
    Faulty,
    /// Nothing can be read from it.
    Silent,
}

/// Leave for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// One of many.
    Ordinary,
    /// The one that decides whether the breaker closes.
    Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { since: Timestamp },
    Probing { since: Timestamp, over: Timestamp },
}

/// The breaker of one provider for one verb.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    calls: VecDeque<(Timestamp, bool)>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed,
            calls: VecDeque::with_capacity(REMEMBERED),
        }
    }
}

impl Breaker {
    /// While no call would get leave: when the next one may. What a probe decides is not known before it is over.
    pub(crate) fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            State::Closed => None,
            State::Open { since } => Some(since + REST).filter(|_| now.since(since) < REST),
            State::Probing { over, .. } => Some(over.max(now + LEAST_WAIT)),
        }
    }

    /// The same for a call that may not be the probe.
    pub(crate) fn rests_unprobed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let unprobed = self.is_to_probe(now).then(|| now + LEAST_WAIT);
        self.rests_until(now).or(unprobed)
    }

    /// True when the next call that gets leave is the probe.
    pub(crate) fn is_to_probe(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Open { since } if now.since(since) >= REST)
    }

    /// Leave for a call that is about to be made, or none. Whoever gets it says how the call went with
    /// [`Breaker::record`].
    pub(crate) fn leave(&mut self, now: Timestamp) -> Option<Leave> {
        match self.state {
            State::Closed => Some(Leave::Ordinary),
            State::Open { since } if now.since(since) >= REST => {
                self.state = State::Probing {
                    since,
                    over: now + PROBE,
                };
                Some(Leave::Probe)
            }
            State::Open { .. } | State::Probing { .. } => None,
        }
    }

    /// How a call went. True when this opened or closed the breaker.
    pub(crate) fn record(&mut self, leave: Leave, verdict: Verdict, now: Timestamp) -> bool {
        let before = self.state;
        match (leave, self.state) {
            (Leave::Probe, State::Probing { since, .. }) => self.state = after_probe(verdict, since, now),
            (Leave::Ordinary, State::Closed) => self.count(verdict, now),
            // A call from before it opened: the probe decides now, not latecomers.
            (Leave::Ordinary, State::Open { .. } | State::Probing { .. })
            | (Leave::Probe, State::Closed | State::Open { .. }) => {}
        }
        (before == State::Closed) != (self.state == State::Closed)
    }

    fn count(&mut self, verdict: Verdict, now: Timestamp) {
        if verdict == Verdict::Silent {
            return;
        }
        if self.calls.len() == REMEMBERED {
            self.calls.pop_front();
        }
        self.calls.push_back((now, verdict == Verdict::Faulty));
        let recent = || self.calls.iter().filter(|(at, _)| now.since(*at) <= WITHIN);
        let faults = recent().filter(|(_, faulty)| *faulty).count();
        let made = recent().count();
        if made >= LEAST && faults * 2 >= made {
            self.calls.clear();
            self.state = State::Open { since: now };
        }
    }
}

fn after_probe(verdict: Verdict, since: Timestamp, now: Timestamp) -> State {
    match verdict {
        Verdict::Sound => State::Closed,
        Verdict::Faulty => State::Open { since: now },
        // It told nothing: the next call is the probe.
        Verdict::Silent => State::Open { since },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(START + seconds * 1_000)
    }

    /// One call each `step` seconds; `x` failed, `.` did not, `-` told nothing.
    fn after(calls: &str, step: u64) -> Breaker {
        let mut breaker = Breaker::default();
        for (index, call) in calls.chars().enumerate() {
            let verdict = match call {
                'x' => Verdict::Faulty,
                '.' => Verdict::Sound,
                _ => Verdict::Silent,
            };
            breaker.record(Leave::Ordinary, verdict, at(index as u64 * step));
        }
        breaker
    }

    #[test]
    fn it_opens_when_half_of_the_last_twenty_calls_failed_and_ten_of_them_are_recent() {
        for (calls, step, open) in [
            ("", 1, false),
            ("xxxxxxxxx", 1, false),
            ("xxxxxxxxxx", 1, true),
            (".....xxxxx", 1, true),
            ("......xxxxx", 1, false),
            ("......xxxxxx", 1, true),
            ("....................xxxxxxxxx", 1, false),
            ("....................xxxxxxxxxx", 1, true),
            ("xxxxxxxxx-----", 1, false),
            ("-----xxxxxxxxxx", 1, true),
            // Nine calls in any thirty seconds.
            ("xxxxxxxxxxxxxxxxxxxx", 4, false),
            // Eleven calls in thirty seconds, both ends counted.
            ("xxxxxxxxxxxxxxxxxxxx", 3, true),
        ] {
            let breaker = after(calls, step);
            assert_eq!(
                matches!(breaker.state, State::Open { .. }),
                open,
                "{calls:?} every {step} s"
            );
        }
    }

    #[test]
    fn after_thirty_seconds_one_probe_gets_leave_and_no_other_call() {
        let mut breaker = after("xxxxxxxxxx", 0);
        assert_eq!(breaker.leave(at(29)), None);
        assert!(breaker.rests_until(at(29)) == Some(at(30)));
        assert_eq!(breaker.rests_until(at(30)), None);
        assert_eq!(breaker.leave(at(30)), Some(Leave::Probe));
        assert_eq!(breaker.rests_until(at(31)), Some(at(40)));
        assert_eq!(breaker.rests_until(at(55)), Some(at(56)));
        assert_eq!(breaker.leave(at(31)), None);
        assert_eq!(
            breaker.leave(at(600)),
            None,
            "a probe that takes long is still the only one"
        );
    }

    #[test]
    fn the_probe_decides() {
        for (verdict, at_31, at_61) in [
            (Verdict::Sound, Some(Leave::Ordinary), Some(Leave::Ordinary)),
            (Verdict::Faulty, None, Some(Leave::Probe)),
            (Verdict::Silent, Some(Leave::Probe), None),
        ] {
            let mut breaker = after("xxxxxxxxxx", 0);
            let probe = breaker.leave(at(30)).unwrap();
            assert_eq!(breaker.record(probe, verdict, at(31)), verdict == Verdict::Sound);
            assert_eq!(breaker.leave(at(31)), at_31, "{verdict:?}");
            assert_eq!(breaker.leave(at(61)), at_61, "{verdict:?}");
        }
    }

    #[test]
    fn it_closes_without_a_memory_of_what_was() {
        let mut breaker = after("xxxxxxxxxx", 0);
        let probe = breaker.leave(at(30)).unwrap();
        breaker.record(probe, Verdict::Sound, at(30));
        for _ in 0..LEAST - 1 {
            assert!(!breaker.record(Leave::Ordinary, Verdict::Faulty, at(30)));
        }
        assert!(breaker.record(Leave::Ordinary, Verdict::Faulty, at(30)));
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let mut breaker = after("xxxxxxxxxx", 0);
        for verdict in [Verdict::Sound, Verdict::Faulty, Verdict::Silent] {
            assert!(!breaker.record(Leave::Ordinary, verdict, at(20)));
        }
        assert_eq!(breaker.leave(at(30)), Some(Leave::Probe));
        assert!(!breaker.record(Leave::Ordinary, Verdict::Sound, at(30)));
        assert_eq!(breaker.leave(at(30)), None);
    }

    #[test]
    fn i44_a_clock_that_jumps_back_keeps_it_open_by_no_more_than_the_jump() {
        let mut breaker = after("xxxxxxxxxx", 0);
        let back = Timestamp::from_millis(START - 50_000);
        assert_eq!(breaker.rests_until(back), Some(at(30)));
        assert_eq!(breaker.leave(back + Duration::from_secs(80)), Some(Leave::Probe));
    }
}
