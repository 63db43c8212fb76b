//! Limits and lockouts, counted again: of every limit the uses, of every lockout the run.

use std::time::Duration;

use verify_core::event::EventKind;
use verify_core::limit::{Backoff, Counter, Rule};
use verify_core::policy::Wait;
use verify_core::store::{Changeset, Charge, Counted, CounterKey, Mode, Takeback};
use verify_core::time::{SKEW, Timestamp};
use verify_core::vocabulary::ServiceId;
use verify_testkit::{KeptCounter, ModelState};

use super::before::Before;
use super::{Course, Holds, Watch, holds};

pub(super) type Key = (ServiceId, CounterKey);

/// What was counted on a limit, oldest first, by the latest instant that the limit had seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Uses {
    newest: Timestamp,
    counted: Vec<(Timestamp, u64)>,
    expires_at: Timestamp,
}

/// Failures in a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    count: u32,
    last: Timestamp,
    expires_at: Timestamp,
}

impl Watch {
    /// Believes what was counted before the watch began.
    pub(super) fn believe_counter(&mut self, key: Key, kept: &KeptCounter) {
        let expires_at = kept.expires_at;
        match &kept.state {
            Counter::Window(window) => {
                let stamps = window.stamps().iter();
                let uses = Uses {
                    newest: window.newest(),
                    counted: stamps.map(|stamp| (stamp.at, stamp.units)).collect(),
                    expires_at,
                };
                self.uses.insert(key, uses);
            }
            Counter::Backoff(Backoff { count, last, .. }) => {
                let (count, last) = (*count, *last);
                self.runs.insert(
                    key,
                    Run {
                        count,
                        last,
                        expires_at,
                    },
                );
            }
        }
    }

    /// What an applied changeset did to limits and lockouts, in the order in which a store decides.
    pub(super) fn counters(
        &mut self,
        course: &mut Course,
        store: &ModelState,
        changeset: &Changeset,
        before: &Before,
    ) -> Holds {
        for takeback in &changeset.takebacks {
            if !before.claims.contains(&takeback.once) {
                self.takes_back(course, store, changeset, takeback)?;
            }
        }
        for key in &changeset.resets {
            self.resets(course, store, changeset, *key)?;
        }
        for (charge, live) in changeset.charges.iter().zip(&before.live) {
            let counted = charge.mode != Mode::Probe && *live;
            if counted {
                self.charges(course, store, changeset, charge)?;
            }
            self.lives(store, changeset, charge, counted)?;
        }
        Ok(())
    }

    fn resets(
        &mut self,
        course: &Course,
        store: &ModelState,
        changeset: &Changeset,
        key: CounterKey,
    ) -> Holds {
        let mut events = changeset.events.iter();
        let success = events.any(|event| matches!(event.kind, EventKind::Approved | EventKind::Unlocked));
        holds(success, || {
            format!("i03: {} ends a run of failures", course.facts.command)
        })?;
        // A run that is forgotten is none that could end: should the clock go back, it is there as it was.
        let key = (changeset.service.clone(), key);
        if let (Some(uses), Some(kept)) = (self.uses.get_mut(&key), store.counters().get(&key.0, &key.1)) {
            let unlocked = changeset
                .events
                .iter()
                .any(|event| event.kind == EventKind::Unlocked);
            holds(unlocked, || {
                format!("i03: {} ends what a limit has counted", course.facts.command)
            })?;
            uses.counted.clear();
            uses.expires_at = kept.expires_at;
        }
        if let (Some(run), Some(kept)) = (self.runs.get_mut(&key), store.counters().get(&key.0, &key.1))
            && run.expires_at > changeset.at
        {
            (run.count, run.expires_at) = (0, kept.expires_at);
        }
        Ok(())
    }

    fn charges(
        &mut self,
        course: &mut Course,
        store: &ModelState,
        changeset: &Changeset,
        charge: &Charge,
    ) -> Holds {
        let key = (changeset.service.clone(), charge.key);
        let kept = store.counters().get(&key.0, &key.1).map(|kept| &kept.state);
        match (&charge.rule, kept) {
            (Rule::Window { max, per }, Some(Counter::Window(_))) => {
                if !course.charged.contains(&charge.key) {
                    course.charged.push(charge.key);
                }
                let used = self
                    .uses
                    .entry(key)
                    .or_default()
                    .count(changeset.at, charge.cost, *per);
                holds(charge.mode != Mode::Charge || used <= *max, || {
                    format!("i12: {used} of {max} in {per:?}")
                })
            }
            (Rule::Backoff { waits, forget_after }, Some(Counter::Backoff(after))) => {
                holds(course.facts.command == "check", || {
                    format!("i10: {} counts a failure", course.facts.command)
                })?;
                course.counted_a_failure = true;
                let wait = |count: u32| match waits.range(..=count).next_back() {
                    None => Duration::ZERO,
                    Some((_, Wait::For(span))) => (*span).min(*forget_after),
                    Some((_, Wait::Never)) => *forget_after,
                };
                let run = self.runs.entry(key).or_default();
                run.fail(changeset.at, *forget_after, wait)?;
                holds((run.count, run.last) == (after.count, after.last), || {
                    format!("i03: {} failures are kept as {}", run.count, after.count)
                })
            }
            (Rule::Window { .. } | Rule::Backoff { .. }, None) => Err("i49: a count is nowhere".into()),
            (Rule::Window { .. } | Rule::Backoff { .. }, Some(_)) => {
                Err("a limit became another kind of limit".into())
            }
        }
    }

    /// What was undone is a thing that was done, and no more than that.
    fn takes_back(
        &mut self,
        course: &mut Course,
        store: &ModelState,
        changeset: &Changeset,
        takeback: &Takeback,
    ) -> Holds {
        let key = (changeset.service.clone(), takeback.key);
        course.charged.retain(|charged| *charged != takeback.key);
        match &takeback.counted {
            Counted::Units { units, at, .. } => {
                if let Some(uses) = self.uses.get_mut(&key)
                    && let Some(index) = uses.counted.iter().position(|use_| use_ == &(*at, *units))
                {
                    uses.counted.remove(index);
                }
                Ok(())
            }
            Counted::Failure { .. } => {
                holds(course.facts.command == "check", || {
                    format!("i03: {} takes a failure back", course.facts.command)
                })?;
                holds(!course.compared, || {
                    "i07: a guess that may have been compared is taken back".into()
                })?;
                let (Some(run), Some(kept)) = (self.runs.get_mut(&key), store.counters().get(&key.0, &key.1))
                else {
                    return Ok(());
                };
                let Counter::Backoff(after) = &kept.state else {
                    return Err("a lockout became a limit".into());
                };
                holds(after.count + 1 >= run.count, || {
                    format!(
                        "i03: one failure taken back of {} leaves {}",
                        run.count, after.count
                    )
                })?;
                (run.count, run.last) = (after.count, after.last);
                Ok(())
            }
        }
    }

    /// An entry ends, not before its effect does and not long after the longest there is.
    fn lives(&mut self, store: &ModelState, changeset: &Changeset, charge: &Charge, counted: bool) -> Holds {
        let key = (changeset.service.clone(), charge.key);
        let Some(kept) = store.counters().get(&key.0, &key.1) else {
            return Ok(());
        };
        let end = match (&kept.state, &charge.rule) {
            (Counter::Window(window), Rule::Window { per, .. }) => {
                self.uses.entry(key).or_default().expires_at = kept.expires_at;
                window.stamps().last().map(|stamp| stamp.at + *per)
            }
            (Counter::Backoff(run), Rule::Backoff { forget_after, .. }) => {
                self.runs.entry(key).or_default().expires_at = kept.expires_at;
                (run.count > 0).then(|| run.last + *forget_after)
            }
            (Counter::Window(_) | Counter::Backoff(_), _) => None,
        };
        holds(!counted || end.is_none_or(|end| kept.expires_at >= end), || {
            "i11: a count ends before its effect".into()
        })?;
        holds(kept.expires_at <= self.latest + self.longest + SKEW, || {
            "i11: a count outlives the longest effect of the policy".into()
        })
    }
}

impl Uses {
    /// Counts these units, and says how many there are in the interval of this length that ends now.
    fn count(&mut self, now: Timestamp, units: u64, per: Duration) -> u64 {
        // The store forgets at the instant that it was given.
        if self.expires_at <= now {
            *self = Self::default();
        }
        self.newest = self.newest.max(now);
        self.counted.push((self.newest, units));
        let inside = self.counted.iter().filter(|(at, _)| *at + per > self.newest);
        inside.fold(0, |sum, (_, units)| sum.saturating_add(*units))
    }
}

impl Run {
    /// One failure more, not inside the wait after those before it.
    fn fail(&mut self, now: Timestamp, forget_after: Duration, wait: impl Fn(u32) -> Duration) -> Holds {
        if self.expires_at <= now {
            *self = Self::default();
        }
        let at = self.last.max(now);
        if at >= self.last + forget_after {
            self.count = 0;
        }
        holds(self.count == 0 || at >= self.last + wait(self.count), || {
            format!("i01: a guess inside the wait after {} failures", self.count)
        })?;
        (self.count, self.last) = (self.count + 1, at);
        Ok(())
    }
}
