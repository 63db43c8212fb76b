//! The effective rule: what a limit of the policy comes to for one caller.

use std::net::IpAddr;
use std::time::Duration;

use super::{Counts, Limit, Max, Policy, Then, limit_names};
use crate::address;
use crate::vocabulary::{Dimension, Standing};

/// Of what a shared limit admits, the part that is kept for known callers: one in so many.
const KEPT_FOR_KNOWN: u64 = 10;

/// Of what is kept, the part that one known caller may use: one in so many for one subject, one destination, and one
/// address (of IPv6 a /64).
const SHARE_OF_KEPT: u64 = 10;

/// A limit as it holds for one caller. Where it comes to none there is no effect: it is unlimited, or counts by something
/// that the caller does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect<'a> {
    /// What the key is made of: `by`, or `or_by` where a dimension of `by` is missing.
    pub by: &'a [Dimension],
    /// Units in any interval of length `per`, after what a network may do and what is kept for known callers.
    pub max: u64,
    /// The length of the interval: the limit's `per`; of `sends_per_network` at least as long as the longest code lives.
    pub per: Duration,
    /// Counted by subject or destination: what a person may be told about, apart for strangers and known callers.
    pub personal: bool,
    /// Counted by what many people share. A tenth of it is kept for known callers, who are counted with the others.
    pub shared: bool,
    /// For a known caller, where something is kept and the limit refuses: `max` holds for all of them together.
    pub reserve: Option<Reserve>,
}

/// How a known caller may use what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    /// Of the limit's `max`, what is there for everybody. Beyond it, what is kept is drawn on.
    pub common: u64,
    /// Units of what is kept that one subject, one destination or one address may draw in any interval of the limit's
    /// `per`: a tenth of it, and never less than one message takes.
    pub share: u64,
}

impl Limit {
    /// What the limit comes to under its policy for a caller who has these dimensions, comes from this address (networks
    /// are named by it), and showed a device token or not.
    pub fn effect(
        &self,
        policy: &Policy,
        has: impl Fn(Dimension) -> bool,
        ip: Option<IpAddr>,
        standing: Standing,
    ) -> Option<Effect<'_>> {
        let Max::Units(most) = policy.network_max(self, ip).unwrap_or(self.max) else {
            return None;
        };
        let has_all = |by: &[Dimension]| by.iter().all(|dimension| has(*dimension));
        let by = match (has_all(&self.by), self.or_by.as_slice()) {
            (true, _) => self.by.as_slice(),
            (false, [_, ..]) if has_all(self.or_by.as_slice()) => self.or_by.as_slice(),
            (false, _) => return None,
        };
        let personal = by
            .iter()
            .any(|dimension| matches!(dimension, Dimension::Destination | Dimension::Subject));
        let of_many = |dimension: &Dimension| {
            matches!(
                dimension,
                Dimension::Prefix | Dimension::Country | Dimension::Service | Dimension::Network
            )
        };
        let shared = !personal && (self.counts == Counts::Spend || by.iter().any(of_many));
        let kept = if shared { most / KEPT_FOR_KNOWN } else { 0 };
        let common = most - kept;
        let reserve = (kept > 0 && self.then != Then::Alert).then(|| Reserve {
            common,
            share: (kept / SHARE_OF_KEPT).max(1),
        });
        let (max, reserve) = match standing {
            Standing::Stranger => (common, None),
            Standing::Known => (most, reserve),
        };
        Some(Effect {
            by,
            max,
            per: policy.window(self),
            personal,
            shared,
            reserve,
        })
    }
}

impl Policy {
    /// How long a code lives at most, of any purpose.
    pub fn longest_code(&self) -> Duration {
        let purposes = self.purposes.values().map(|rules| rules.code.ttl);
        purposes.fold(self.code.ttl, Duration::max)
    }

    /// The length of a limit's window.
    pub(super) fn window(&self, limit: &Limit) -> Duration {
        match &*limit.name {
            limit_names::SENDS_PER_NETWORK => limit.per.max(self.longest_code()),
            _ => limit.per,
        }
    }

    /// What a shared network may do, where the policy names one that holds the caller's address.
    pub(super) fn network_max(&self, limit: &Limit, ip: Option<IpAddr>) -> Option<Max> {
        if self.networks.is_empty() {
            return None;
        }
        let ip = address::client(ip?);
        let named = self.networks.iter().filter(|network| network.cidr.contains(&ip));
        named
            .filter_map(|network| network.limits.get(&limit.name))
            .copied()
            .next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit<'a>(policy: &'a Policy, name: &str) -> &'a Limit {
        policy.limits.iter().find(|limit| &*limit.name == name).unwrap()
    }

    fn effect(policy: &Policy, name: &str, standing: Standing) -> (u64, bool, bool) {
        let ip = "203.0.113.9".parse().ok();
        let effect = limit(policy, name)
            .effect(policy, |_| true, ip, standing)
            .unwrap();
        (effect.max, effect.personal, effect.shared)
    }

    #[test]
    fn a_tenth_of_what_many_share_is_kept_for_known_callers() {
        let policy = Policy::default();
        for (name, stranger, known) in [
            ("sends_per_service", (900, false, true), (1_000, false, true)),
            ("sends_per_destination", (3, true, false), (3, true, false)),
            ("sends_per_ip", (5, false, false), (5, false, false)),
        ] {
            assert_eq!(effect(&policy, name, Standing::Stranger), stranger, "{name}");
            assert_eq!(effect(&policy, name, Standing::Known), known, "{name}");
        }
    }

    #[test]
    fn i143_of_what_is_kept_one_known_caller_has_a_tenth() {
        let policy = Policy::default();
        let reserve = |name, standing| {
            let limit = limit(&policy, name);
            limit.effect(&policy, |_| true, None, standing).unwrap().reserve
        };
        let of = |common, share| Some(Reserve { common, share });
        for (name, known) in [
            ("sends_per_service", of(900, 10)),
            ("sends_per_prefix", of(27, 1)),
            ("sends_per_destination", None),
            ("sends_per_ip", None),
            ("failures_per_service", None),
        ] {
            assert_eq!(reserve(name, Standing::Known), known, "{name}");
            assert_eq!(reserve(name, Standing::Stranger), None, "{name}");
        }
    }

    #[test]
    fn what_a_caller_does_not_have_counts_by_the_other_dimension_or_not_at_all() {
        let policy = Policy::default();
        let by = |name, missing| {
            let has = |dimension| Some(dimension) != missing;
            let effect = limit(&policy, name).effect(&policy, has, None, Standing::Stranger);
            effect.map(|effect| effect.by.to_vec())
        };
        assert_eq!(by("checks_per_identity", None), Some(vec![Dimension::Subject]));
        assert_eq!(
            by("checks_per_identity", Some(Dimension::Subject)),
            Some(vec![Dimension::Destination])
        );
        assert_eq!(by("sends_per_prefix", Some(Dimension::Prefix)), None);
    }

    #[test]
    fn i57_what_a_network_keeps_is_counted_for_as_long_as_codes_live() {
        let per = |text: &str| {
            let policies = crate::policy::PolicySet::from_toml(text).unwrap().policies;
            let limit = limit(&policies.default, "sends_per_network");
            let effect = limit.effect(&policies.default, |_| true, None, Standing::Stranger);
            effect.unwrap().per.as_secs()
        };
        assert_eq!(per("version = 1\n"), 600);
        let mails = "[channels]\ndefault = \"email\"\nenabled = [\"email\"]\nfallback = []\n";
        assert_eq!(per(&format!("version = 1\n[code]\nttl = \"2h\"\n{mails}")), 7_200);
        assert_eq!(per("version = 1\n[code]\nttl = \"1m\"\n"), 600);
    }

    #[test]
    fn a_network_has_a_maximum_of_its_own() {
        let text = "[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_ip = 500 }\n";
        let policies = crate::policy::PolicySet::from_toml(text).unwrap().policies;
        let found = effect(&policies.default, "sends_per_ip", Standing::Stranger);
        assert_eq!(found, (500, false, false));
    }
}
