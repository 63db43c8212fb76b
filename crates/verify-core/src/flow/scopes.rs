//! The first half of a counter's key: which rule, and for limits on people, of which standing. And how far back the rules
//! look. Both depend on the policy alone, so they are computed when a machine is made and not for every command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::{Policy, PolicySet, limit_names};
use crate::vocabulary::{ServiceId, Standing};

/// A rule's name and, for limits on people, the standing, as 64 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    everybody: u64,
    stranger: u64,
    known: u64,
    shares: u64,
}

/// The scopes of a policy.
#[derive(Debug)]
pub(super) struct Scopes {
    /// Of its limits, in their order.
    pub(super) limits: Vec<Scope>,
    /// The names of the lockouts, and their scopes.
    pub(super) lockout_destination: (Arc<str>, Scope),
    pub(super) lockout_subject: (Arc<str>, Scope),
    /// How far back its rules look, as far as anybody waits for what a store has lost.
    pub(super) looks_back: Duration,
}

/// Those of all policies.
#[derive(Debug)]
pub(super) struct ScopeSet {
    default: Arc<Scopes>,
    services: BTreeMap<ServiceId, Arc<Scopes>>,
}

impl Scope {
    fn of(rule: &str) -> Self {
        Self {
            everybody: hashed(rule, ""),
            stranger: hashed(rule, Standing::Stranger.as_str()),
            known: hashed(rule, Standing::Known.as_str()),
            shares: hashed(rule, "share"),
        }
    }

    /// Of the shares of what is kept for known callers.
    pub(super) const fn of_shares(self) -> u64 {
        self.shares
    }

    /// `None`: the limit does not tell standings apart.
    pub(super) const fn for_standing(self, standing: Option<Standing>) -> u64 {
        match standing {
            None => self.everybody,
            Some(Standing::Stranger) => self.stranger,
            Some(Standing::Known) => self.known,
        }
    }
}

impl Scopes {
    fn of(policy: &Policy) -> Self {
        let named = |name: &str| (name.into(), Scope::of(name));
        Self {
            limits: policy.limits.iter().map(|limit| Scope::of(&limit.name)).collect(),
            lockout_destination: named(limit_names::LOCKOUT_DESTINATION),
            lockout_subject: named(limit_names::LOCKOUT_SUBJECT),
            looks_back: policy.looks_back(),
        }
    }
}

impl ScopeSet {
    pub(super) fn of(policies: &PolicySet) -> Self {
        let of_one =
            |(service, policy): (&ServiceId, &Arc<Policy>)| (service.clone(), Scopes::of(policy).into());
        Self {
            default: Scopes::of(&policies.default).into(),
            services: policies.services.iter().map(of_one).collect(),
        }
    }

    /// The scopes of a service's policy.
    pub(super) fn of_service(&self, service: &ServiceId) -> &Arc<Scopes> {
        self.services.get(service).unwrap_or(&self.default)
    }
}

/// FNV-1a. Policies are the operator's own, so nobody chooses names to collide.
fn hashed(rule: &str, standing: &str) -> u64 {
    let bytes = rule.bytes().chain([0]).chain(standing.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
