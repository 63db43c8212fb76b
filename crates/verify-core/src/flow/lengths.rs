//! Which lengths of codes may still be pending though no policy in force names them. Only a check by destination has to know: of
//! a verification that is named, the id says it.

use std::collections::BTreeMap;

use crate::policy::{Policy, PolicySet};
use crate::time::{SKEW, Timestamp};

use super::FLOW_BUDGET;

/// Until when a code may live that was issued under policies which are not in force any more.
#[derive(Debug, Clone, Default)]
pub(super) struct EarlierLengths {
    /// One of any length: nobody knows the policies that it was issued under.
    any: Timestamp,
    /// One of so many digits.
    of: BTreeMap<u8, Timestamp>,
}

impl EarlierLengths {
    /// After a start at `now`: of codes that are pending already nothing is known, but that they live no longer than those
    /// of the policies which are found.
    pub(super) fn unknown(policies: &PolicySet, now: Timestamp) -> Self {
        Self {
            any: last_end(policies, now),
            of: BTreeMap::new(),
        }
    }

    /// These and those of policies that were in force until `now`.
    pub(super) fn and(mut self, policies: &PolicySet, now: Timestamp) -> Self {
        self.of.retain(|_, until| now < *until);
        let until = last_end(policies, now);
        for code in policies.all().flat_map(Policy::codes) {
            let known = self.of.entry(code.length).or_default();
            *known = until.max(*known);
        }
        self
    }

    /// True while a code of so many digits may be pending.
    pub(super) fn may_be(&self, digits: u8, now: Timestamp) -> bool {
        now < self.any || self.of.get(&digits).is_some_and(|until| now < *until)
    }
}

/// When the last code dies that is issued under these policies, once no flow begins by them any more.
fn last_end(policies: &PolicySet, now: Timestamp) -> Timestamp {
    let longest = policies.all().map(Policy::longest_code).max();
    now + FLOW_BUDGET + SKEW + longest.unwrap_or_default()
}
