//! What goes wrong outside the core: providers that fail, nodes that die, clocks that disagree.

use std::time::Duration;

use verify_core::port::{Detail, Dispatched, Rejection, RejectionKind};

use crate::Chance;

/// What the outside is like. By default all is well: one node, a right clock, and a provider that takes everything at
/// once and reports nothing.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// How likely the first provider's answer comes after the deadline. The message leaves all the same.
    pub slow: f64,
    /// How likely it answers with a server error. Half of those messages left.
    pub server_error: f64,
    /// How likely it refuses because of a quota: half the time the destination's, half the time the account's.
    pub quota: f64,
    /// How often a client library that means well repeats a call that was not answered. The engine never does: this
    /// is the naive client that the attack is about.
    pub naive_retries: u32,
    /// How many times each message is reported as delivered.
    pub reports: u32,
    /// How likely the node that runs a command dies after one of its steps.
    pub dies: f64,
    /// How far the nodes' clocks are ahead, in milliseconds; each command meets any one of them. Without an entry
    /// there is one node, and its clock is right.
    pub clocks: Vec<i64>,
}

/// What a provider did with one call.
pub(crate) struct Call {
    pub(crate) answer: Dispatched,
    /// How many messages left because of it.
    pub(crate) messages: u32,
    /// Whether the answer came only at the deadline.
    pub(crate) late: bool,
}

impl Call {
    /// It was taken, at once.
    pub(crate) fn taken() -> Self {
        Self {
            answer: Dispatched::Accepted { upstream: None },
            messages: 1,
            late: false,
        }
    }

    fn rejected(kind: RejectionKind) -> Self {
        let rejection = Rejection {
            kind,
            retry_after: None,
            detail: Detail::default(),
        };
        Self {
            answer: Dispatched::Rejected(rejection),
            messages: 0,
            late: false,
        }
    }

    fn unanswered(messages: u32, late: bool) -> Self {
        Self {
            answer: Dispatched::Unknown(Detail::default()),
            messages,
            late,
        }
    }
}

impl Weather {
    /// A call to the provider that the weather is about.
    pub(crate) fn call(&self, chance: &mut Chance) -> Call {
        if chance.happens(self.slow) {
            return Call::unanswered(1 + self.naive_retries, true);
        }
        if chance.happens(self.server_error) {
            let left = u32::from(chance.happens(0.5));
            return Call::unanswered(left + self.naive_retries, false);
        }
        if chance.happens(self.quota) {
            return Call::rejected(match chance.happens(0.5) {
                true => RejectionKind::DestinationQuota,
                false => RejectionKind::AccountQuota,
            });
        }
        Call::taken()
    }

    /// After how many steps the node of a command dies, where it does. A command that takes fewer gets through.
    pub(crate) fn death(&self, chance: &mut Chance) -> Option<usize> {
        let dies = chance.happens(self.dies);
        dies.then(|| usize::try_from(chance.below(LONGEST)).unwrap_or(0))
    }

    /// Which node a command meets, of however many there are.
    pub(crate) fn node(&self, chance: &mut Chance) -> usize {
        usize::try_from(chance.below(self.clocks.len() as u64)).unwrap_or(0)
    }

    /// How far a node's clock is ahead.
    pub(crate) fn ahead(&self, node: usize) -> i64 {
        let nodes = self.clocks.len().max(1);
        self.clocks.get(node % nodes).copied().unwrap_or(0)
    }
}

/// Steps of the longest command that meets no contention: a send again, to the second provider.
const LONGEST: u64 = 8;

/// How long after it was taken a message is reported as delivered.
pub(crate) const REPORTED_AFTER: Duration = Duration::from_secs(4);
