//! How far back the rules look: for how long a store that lost what it held is waited for.

use std::time::Duration;

use super::{Limit, Max, Policy, Then, Wait};

/// Nobody waits longer than this. What rules look back on beyond it is forgotten.
const LONGEST: Duration = Duration::from_secs(3_600);

impl Policy {
    /// The longest window of a limit that refuses, and the longest wait after failures, of those that are at most an hour;
    /// zero where there is none.
    pub fn looks_back(&self) -> Duration {
        let windows = self.limits.iter().filter(|limit| self.may_refuse(limit));
        let windows = windows.map(|limit| self.window(limit));
        let waits = self.lockout.waits.values().filter_map(|wait| match wait {
            Wait::For(span) => Some(*span),
            Wait::Never => None,
        });
        let spans = windows.chain(waits).filter(|span| *span <= LONGEST);
        spans.max().unwrap_or_default()
    }

    fn may_refuse(&self, limit: &Limit) -> bool {
        let named = || self.networks.iter().any(|it| it.limits.contains_key(&limit.name));
        limit.then != Then::Alert && (limit.max != Max::Unlimited || named())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn of(change: impl FnOnce(&mut Policy)) -> u64 {
        let mut policy = Policy::default();
        change(&mut policy);
        policy.looks_back().as_secs()
    }

    fn only(policy: &mut Policy, per: u64, then: Then) {
        policy.lockout.waits = Arc::default();
        policy.limits.truncate(1);
        for limit in &mut policy.limits {
            (limit.per, limit.then, limit.max) = (Duration::from_secs(per), then, Max::Units(1));
        }
    }

    #[test]
    fn i62_it_is_the_longest_window_or_wait_of_at_most_an_hour() {
        assert_eq!(of(|_| ()), 3_600, "the wait after the tenth failure");
        assert_eq!(of(|policy| only(policy, 600, Then::Refuse)), 600);
        assert_eq!(of(|policy| only(policy, 3_600, Then::HumanCheck)), 3_600);
        assert_eq!(
            of(|policy| only(policy, 3_601, Then::Refuse)),
            0,
            "that is forgotten"
        );
        assert_eq!(
            of(|policy| only(policy, 600, Then::Alert)),
            0,
            "that refuses nothing"
        );
        let unlimited = |policy: &mut Policy| {
            only(policy, 600, Then::Refuse);
            policy
                .limits
                .iter_mut()
                .for_each(|limit| limit.max = Max::Unlimited);
        };
        assert_eq!(of(unlimited), 0);
        let waits = |policy: &mut Policy| {
            only(policy, 60, Then::Refuse);
            policy.lockout.waits =
                Arc::new([(1, Wait::For(Duration::from_secs(900))), (2, Wait::Never)].into());
        };
        assert_eq!(of(waits), 900);
    }
}
