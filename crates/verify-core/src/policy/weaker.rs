//! What a policy gives up against another one, for whoever takes a file in place of one that is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::file::{Word, join};
use super::limits::limit_path;
use super::{
    ChannelRules, CodeRules, CountryRules, Counts, Disclosure, EmailRules, Limit, Lockout, Max, NumberRules,
    Policy, PolicySet, Prices, PrivacyRules, PurposeRules, RiskAction, RiskRules, TestDestination, Then,
    Wait,
};
use crate::vocabulary::{Channel, Purpose, ServiceId};

impl PolicySet {
    /// What these policies no longer hold that `before` held: a path and what became of it, a line each; none when
    /// nothing became weaker. It reads no destination and no code into them.
    ///
    /// Weaker is: a limit that is gone, looks at something else or no longer at a purpose, refuses no more, or admits more than
    /// twice as much: in its time, or at once; a price by which a limit on spend admits more than twice as many messages; a wait
    /// that is gone or less than half; a code with fewer digits, or that lives more than twice as long;
    /// a country, kind of number, disposable mailbox or channel that is no longer refused; a risk that is answered more
    /// mildly; a human check or private disclosure that is no longer asked for; a test destination that was added.
    /// What is as strict, or only different, is not named.
    ///
    /// ```
    /// use verify_core::policy::PolicySet;
    ///
    /// let before = PolicySet::default();
    /// let text = "[[limit]]\nname = \"sends_per_ip\"\nmax = 50\n[numbers]\npremium_rate = \"allow\"";
    /// let after = PolicySet::from_toml(text)?.policies;
    /// let weaker = after.weaker_than(&before);
    /// assert_eq!(weaker[0], "limit.sends_per_ip.max: 50 in 10m, and it was 5 in 10m");
    /// assert_eq!(weaker[1], "numbers.premium_rate: no longer refused");
    /// assert!(before.weaker_than(&after).is_empty());
    /// # Ok::<(), verify_core::policy::PolicyErrors>(())
    /// ```
    pub fn weaker_than(&self, before: &Self) -> Vec<String> {
        // What backends are built from is judged by nobody: a reload leaves it as it was.
        let Self {
            default,
            services,
            backends: _,
        } = self;
        let mut found = Found::default();
        default.weaker_than(&before.default, &mut found);
        let named: Vec<&ServiceId> = services.keys().chain(before.services.keys()).collect();
        for (index, service) in named.iter().enumerate() {
            let is_again = named.iter().take(index).any(|other| other == service);
            if !is_again {
                let mut own = Found::default();
                self.of(service).weaker_than(before.of(service), &mut own);
                // What all services give up is named once.
                own.lines.retain(|line| !found.lines.contains(line));
                let path = join("services", service.as_str());
                found
                    .lines
                    .extend(own.lines.iter().map(|line| format!("{path}.{line}")));
            }
        }
        found.lines
    }
}

#[derive(Default)]
struct Found {
    lines: Vec<String>,
}

impl Found {
    fn note(&mut self, path: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.lines.push(format!("{path}: {what}"));
    }

    fn note_if(&mut self, is_weaker: bool, path: &str, what: impl std::fmt::Display) {
        if is_weaker {
            self.note(path, what);
        }
    }

    /// Everything in here is of this part.
    fn within(&mut self, path: &str, find: impl FnOnce(&mut Self)) {
        let mut own = Self::default();
        find(&mut own);
        self.lines
            .extend(own.lines.iter().map(|line| format!("{path}.{line}")));
    }

    /// A word of a list that goes from mild to strict.
    fn milder<T: Word + Ord>(&mut self, path: &str, now: T, before: T) {
        self.note_if(
            now < before,
            path,
            format_args!("{}, and it was {}", now.word(), before.word()),
        );
    }
}

impl Policy {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        // Named one by one, so that a new noun cannot be forgotten here. For how long tokens live is judged by nobody.
        #[rustfmt::skip]
        let Self {
            code, channels, limits, lockout, risk, countries, numbers, prices, networks: _, email, privacy,
            proof_ttl: _, device_ttl: _, tests, purposes,
        } = self;
        code.weaker_than(&before.code, found);
        channels.weaker_than(&before.channels, found);
        for limit in &before.limits {
            let now = limits.iter().find(|other| other.name == limit.name);
            limit_weaker(now, limit, found);
        }
        networks_weaker(self, before, found);
        let spends = |limit: &Limit| limit.counts == Counts::Spend && limit.max != Max::Unlimited;
        if before.limits.iter().any(spends) {
            prices.weaker_than(&before.prices, found);
        }
        lockout.weaker_than(&before.lockout, found);
        risk.weaker_than(&before.risk, found);
        countries.weaker_than(&before.countries, found);
        numbers.weaker_than(&before.numbers, found);
        email.weaker_than(&before.email, found);
        privacy.weaker_than(&before.privacy, found);
        tests_weaker(tests, &before.tests, found);
        purposes_weaker(self, before, purposes, found);
    }
}

fn purposes_weaker(
    now: &Policy,
    before: &Policy,
    purposes: &BTreeMap<Purpose, PurposeRules>,
    found: &mut Found,
) {
    for purpose in Purpose::ALL {
        if !purposes.contains_key(purpose) && !before.purposes.contains_key(purpose) {
            continue;
        }
        found.within(&join("purposes", purpose.as_str()), |found| {
            now.code_for(*purpose)
                .weaker_than(before.code_for(*purpose), found);
            now.channels_for(*purpose)
                .weaker_than(before.channels_for(*purpose), found);
            now.risk_for(*purpose)
                .weaker_than(before.risk_for(*purpose), found);
        });
    }
}

impl CodeRules {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        // To be allowed fewer digits is nothing yet; what a resend carries changes what can be guessed by nothing.
        #[rustfmt::skip]
        let Self { length, allow_short: _, ttl, resend: _ } = self;
        let fewer = *length < before.length;
        found.note_if(
            fewer,
            "code.length",
            format_args!("{length} digits, and it was {}", before.length),
        );
        found.note_if(*ttl > before.ttl * 2, "code.ttl", "more than twice as long");
    }
}

impl ChannelRules {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        // The order and the time of what is enabled refuses nothing.
        #[rustfmt::skip]
        let Self {
            default: _, enabled, fallback: _, fallback_after: _, automatic: _, at_end: _, default_locale: _,
            default_country: _,
        } = self;
        for channel in enabled.iter().filter(|channel| !before.enabled.contains(channel)) {
            found.note("channels.enabled", format_args!("{channel} is no longer refused"));
        }
    }
}

fn limit_weaker(now: Option<&Limit>, before: &Limit, found: &mut Found) {
    let Max::Units(most_before) = before.max else {
        return;
    };
    let path = |key: &str| limit_path(&before.name, key);
    let Some(Limit {
        name: _,
        counts,
        by,
        or_by,
        purposes,
        max,
        per,
        then,
    }) = now
    else {
        found.note(format_args!("limit.{}", before.name), "gone");
        return;
    };
    let in_time = |max: u64, per: Duration| format!("{max} in {}", super::file::print_span(per));
    match max {
        Max::Unlimited => found.note(path("max"), "unlimited"),
        Max::Units(most) if is_more((*most, *per), (most_before, before.per)) => {
            let (now, before) = (in_time(*most, *per), in_time(most_before, before.per));
            found.note(path("max"), format_args!("{now}, and it was {before}"));
        }
        Max::Units(_) => {}
    }
    found.note_if(*counts != before.counts, &path("counts"), "counts something else");
    let is_finer = by.iter().any(|dimension| !before.by.contains(dimension));
    found.note_if(
        is_finer,
        &path("by"),
        "does not count together any more what it did",
    );
    let is_skipped = or_by.is_none() && before.or_by.is_some();
    found.note_if(
        is_skipped,
        &path("or_by"),
        "skipped where what it counts by is missing",
    );
    let freed = before
        .purposes
        .difference(purposes)
        .map(|purpose| purpose.as_str());
    let freed: Vec<_> = freed.collect();
    found.note_if(
        !freed.is_empty(),
        &path("purposes"),
        format_args!("off for {}", freed.join(", ")),
    );
    if strictness(*then) < strictness(before.then) {
        found.note(
            path("then"),
            format_args!("{}, and it was {}", then.word(), before.then.word()),
        );
    }
}

const fn strictness(then: Then) -> u8 {
    match then {
        Then::Alert => 0,
        Then::HumanCheck => 1,
        Then::Refuse => 2,
    }
}

/// True when more than twice as much is admitted: in the longer of the two times, or at once, which a longer time hides.
const fn is_more((now, per): (u64, Duration), (was, per_before): (u64, Duration)) -> bool {
    let in_time = now as u128 * per_before.as_millis() > 2 * was as u128 * per.as_millis();
    in_time || (now > was.saturating_mul(2) && per.as_millis() >= per_before.as_millis())
}

/// What is admitted to the addresses that a network of either policy names, as far as it is not what all others are
/// admitted, of which the limit itself tells.
fn networks_weaker(now: &Policy, before: &Policy, found: &mut Found) {
    let mut named = BTreeSet::new();
    let networks = || now.networks.iter().chain(&before.networks);
    for ip in networks().flat_map(|network| one_of_each(&network.cidr)) {
        for was in &before.limits {
            let Some(is) = now.limits.iter().find(|limit| limit.name == was.name) else {
                continue;
            };
            let own = (now.network_max(is, Some(ip)), before.network_max(was, Some(ip)));
            let most = (own.0.unwrap_or(is.max), own.1.unwrap_or(was.max));
            let is_weaker = match most {
                (_, Max::Unlimited) => false,
                (Max::Unlimited, Max::Units(_)) => true,
                (Max::Units(most), Max::Units(before)) => is_more((most, is.per), (before, was.per)),
            };
            let holds = networks().filter(|network| network.cidr.contains(&ip));
            let narrowest = holds.map(|network| network.cidr).max_by_key(IpNet::prefix_len);
            if let (true, (Some(_), _) | (_, Some(_)), Some(cidr)) = (is_weaker, own, narrowest)
                && named.insert((cidr, was.name.clone()))
            {
                let path = format_args!("network.{cidr}.{}", was.name);
                found.note(path, "more than twice as much as before");
            }
        }
    }
}

/// Addresses at the edges of a network, and just outside: together those of all networks have one of each part into which
/// networks cut one another.
fn one_of_each(cidr: &IpNet) -> [IpAddr; 4] {
    let beside = |ip: IpAddr, down: bool| match (ip, down) {
        (IpAddr::V4(v4), true) => Ipv4Addr::from_bits(v4.to_bits().wrapping_sub(1)).into(),
        (IpAddr::V4(v4), false) => Ipv4Addr::from_bits(v4.to_bits().wrapping_add(1)).into(),
        (IpAddr::V6(v6), true) => Ipv6Addr::from_bits(v6.to_bits().wrapping_sub(1)).into(),
        (IpAddr::V6(v6), false) => Ipv6Addr::from_bits(v6.to_bits().wrapping_add(1)).into(),
    };
    let (first, last) = (cidr.network(), cidr.broadcast());
    [first, last, beside(first, true), beside(last, false)]
}

impl Prices {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        // In another currency every figure is another one.
        #[rustfmt::skip]
        let Self { currency: _, default, listed } = self;
        let usual = (default.unwrap_or(0), before.default.unwrap_or(0));
        let mut falls = |path: &str, (now, before): (u64, u64)| {
            let what = "less than half, so that limits on spend admit more than twice as many messages";
            found.note_if(now.saturating_mul(2) < before, path, what);
        };
        falls("prices.default", usual);
        let countries = listed
            .keys()
            .chain(before.listed.keys())
            .map(|(country, _)| *country);
        for country in countries.collect::<BTreeSet<_>>() {
            for channel in Channel::ALL.iter().filter(|channel| channel.reaches_phone()) {
                let of = |prices: &Self| prices.of(Some(country), *channel);
                let prices = (of(self), of(before));
                // What the default gives up is named above, once.
                if prices != usual {
                    falls(&format!("prices.{country}.{channel}"), prices);
                }
            }
        }
    }
}

impl Lockout {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        let Self { waits, forget_after } = self;
        let after = |waits: &BTreeMap<u32, Wait>, failures: u32| {
            waits.range(..=failures).next_back().map(|(_, wait)| *wait)
        };
        let counts = waits.keys().chain(before.waits.keys());
        let mut counts: Vec<u32> = counts.copied().collect();
        counts.sort_unstable();
        counts.dedup();
        let weaker = counts.into_iter().find(|failures| {
            match (after(waits, *failures), after(&before.waits, *failures)) {
                (_, None) | (Some(Wait::Never), Some(_)) => false,
                (None, Some(wait)) => wait != Wait::For(Duration::ZERO),
                (Some(Wait::For(_)), Some(Wait::Never)) => true,
                (Some(Wait::For(now)), Some(Wait::For(before))) => !before.is_zero() && now * 2 <= before,
            }
        });
        if let Some(failures) = weaker {
            let text = |wait: Option<Wait>| wait.map_or_else(|| "none".to_owned(), Wait::to_text);
            let (now, before) = (after(waits, failures), after(&before.waits, failures));
            let what = format!(
                "{} after {failures} failures, and it was {}",
                text(now),
                text(before)
            );
            found.note("lockout.waits", what);
        }
        let sooner = *forget_after * 2 <= before.forget_after;
        found.note_if(sooner, "lockout.forget_after", "half as long or less");
    }
}

impl RiskRules {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        // Which factor a step-up names, and what is offered to who has none, relaxes nothing of when it is asked for.
        #[rustfmt::skip]
        let Self {
            enabled, high, medium, low, unavailable, step_up: _, unenrolled, medium_from, high_from,
        } = self;
        if !before.enabled {
            return;
        }
        found.note_if(!enabled, "risk.enabled", "the scorer is not asked any more");
        let mut milder = |level: &str, now: RiskAction, before: RiskAction| {
            found.milder(&join("risk", level), now, before);
        };
        milder("high", *high, before.high);
        milder("medium", *medium, before.medium);
        milder("low", *low, before.low);
        milder("unavailable", *unavailable, before.unavailable);
        let enrolls = *unenrolled != before.unenrolled && *unenrolled == super::Unenrolled::Enroll;
        found.note_if(enrolls, "risk.unenrolled", "enrolment is offered");
        let later = *medium_from > before.medium_from || *high_from > before.high_from;
        found.note_if(later, "risk.thresholds", "reached later");
    }
}

impl CountryRules {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        #[rustfmt::skip]
        let Self { default, listed, channels } = self;
        found.milder("countries.default", *default, before.default);
        let action = |rules: &Self, country| rules.listed.get(country).copied().unwrap_or(rules.default);
        let only_before = before
            .listed
            .keys()
            .filter(|country| !listed.contains_key(*country));
        for country in listed.keys().chain(only_before) {
            let what = (action(self, country), action(before, country));
            // What the default gives up is named above, once.
            if what != (*default, before.default) {
                found.milder(&format!("countries.{country}"), what.0, what.1);
            }
        }
        let may = |limited: &BTreeMap<_, Vec<Channel>>, country, channel: &Channel| {
            limited.get(country).is_none_or(|only| only.contains(channel))
        };
        for country in before.channels.keys() {
            let freed = |channel: &&Channel| {
                may(channels, country, channel) && !may(&before.channels, country, channel)
            };
            for channel in Channel::ALL.iter().filter(freed) {
                let what = format!("{channel} is no longer refused");
                found.note(format_args!("countries.{country}.channels"), what);
            }
        }
    }
}

impl NumberRules {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        let Self { premium_rate_allowed } = self;
        let is_allowed = *premium_rate_allowed && !before.premium_rate_allowed;
        found.note_if(is_allowed, "numbers.premium_rate", "no longer refused");
    }
}

impl EmailRules {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        #[rustfmt::skip]
        let Self { plus_tags_same, dotless_domains, disposable_allowed } = self;
        let apart = !plus_tags_same && before.plus_tags_same;
        found.note_if(apart, "email.plus_tags", "each tag has limits of its own");
        for domain in before
            .dotless_domains
            .iter()
            .filter(|domain| !dotless_domains.contains(domain))
        {
            let what = format!("at {domain} each spelling with dots has limits of its own");
            found.note("email.dotless_domains", what);
        }
        let is_allowed = *disposable_allowed && !before.disposable_allowed;
        found.note_if(is_allowed, "email.disposable", "no longer refused");
    }
}

impl PrivacyRules {
    fn weaker_than(&self, before: &Self, found: &mut Found) {
        #[rustfmt::skip]
        let Self { disclosure, last_digits } = self;
        let is_open = *disclosure == Disclosure::Open && before.disclosure == Disclosure::Private;
        found.note_if(is_open, "privacy.disclosure", "no longer private");
        let shows_more = *last_digits > before.last_digits;
        found.note_if(shows_more, "privacy.last_digits", "logs show more digits");
    }
}

/// Neither a destination nor a code is named: both are somebody's.
fn tests_weaker(tests: &[TestDestination], before: &[TestDestination], found: &mut Found) {
    let added = |test: &&TestDestination| {
        let was = before.iter().find(|other| other.to == test.to);
        was.is_none_or(|was| was.until < test.until)
    };
    let added = tests.iter().filter(added).count();
    found.note_if(
        added > 0,
        "tests.destination",
        format_args!("{added} added, or for longer"),
    );
}

#[cfg(test)]
mod tests;
