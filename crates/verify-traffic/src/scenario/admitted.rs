//! What a lockout admits.

use std::time::Duration;

use verify_core::policy::{Policy, Wait};

/// How many guesses in a row a policy's lockout admits within a span, from the first one on.
pub(super) fn admitted_guesses(policy: &Policy, within: Duration) -> u64 {
    let waits = &policy.lockout.waits;
    let (mut at, mut failures) = (Duration::ZERO, 0_u32);
    while at < within {
        failures += 1;
        let wait = match waits.range(..=failures).next_back() {
            Some((_, Wait::Never)) => break,
            Some((_, Wait::For(wait))) => *wait,
            None => Duration::ZERO,
        };
        if wait.is_zero() && waits.range(failures + 1..).next().is_none() {
            return u64::MAX;
        }
        at += wait;
    }
    u64::from(failures)
}

#[cfg(test)]
mod tests {
    use verify_core::policy::PolicySet;

    use super::*;

    fn admitted(waits: &str, hours: u64) -> u64 {
        let text = format!("version = 1\n[lockout]\nwaits = {waits}\n");
        let policies = PolicySet::from_toml(&text).unwrap().policies;
        admitted_guesses(&policies.default, Duration::from_secs(hours * 3_600))
    }

    #[test]
    fn waits_bound_the_guesses_and_none_do_not() {
        assert_eq!(admitted("{ 1 = \"60s\", 5 = \"15m\", 10 = \"1h\" }", 24), 32);
        assert_eq!(admitted("{ 3 = \"never\" }", 24), 3);
        assert_eq!(admitted("{ 1 = \"0s\", 4 = \"1h\" }", 2), 5);
        assert_eq!(admitted("{ 1 = \"60s\", 4 = \"0s\" }", 2), u64::MAX);
        assert_eq!(admitted("\"unlimited\"", 2), u64::MAX);
    }
}
