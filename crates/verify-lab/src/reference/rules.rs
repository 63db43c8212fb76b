//! Limits and lockouts, recounted from the history each time they are asked about.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use verify_core::policy::{Counts, Limit, Max, Resend, Then, Wait, limit_names};
use verify_core::record::Status;
use verify_core::time::{Timestamp, Until};
use verify_core::vocabulary::{Dimension, Standing};

use super::Reference;
use super::history::{Event, Happened, Verification, Who};

/// A wait of this length or more closes the verification.
const CLOSING: Duration = Duration::from_secs(300);

/// A limit as it holds for somebody.
pub(super) struct Rule<'a> {
    pub(super) limit: &'a Limit,
    by: Vec<(Dimension, String)>,
    pub(super) max: u64,
    per: Duration,
    /// Counted by destination or subject, and so apart for strangers and known callers.
    pub(super) personal: bool,
    /// For a known caller: what is there for all, and what one of them may use of the rest.
    reserve: Option<(u64, u64)>,
}

impl Rule<'_> {
    /// What one more counts, of a message at this price.
    pub(super) fn cost(&self, price: u64) -> u64 {
        match self.limit.counts {
            Counts::Spend => price,
            Counts::Sends | Counts::Checks | Counts::Failures => 1,
        }
    }
}

/// A limit that only alerts and was passed just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passed {
    name: Arc<str>,
    by: Vec<(Dimension, String)>,
    standing: Option<Standing>,
    per: Duration,
}

/// The key of a lockout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lockout {
    Destination,
    Subject,
}

impl Lockout {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Destination => "lockout_destination",
            Self::Subject => "lockout_subject",
        }
    }

    pub(super) fn same(self, a: &Who, b: &Who) -> bool {
        match self {
            Self::Destination => a.same_destination(b),
            Self::Subject => a.same_subject(b),
        }
    }
}

impl Reference {
    /// The limit as it holds for `who`; `None` where it does not. A missing dimension skips it, or has it fall back.
    pub(super) fn rule<'a>(&self, limit: &'a Limit, who: &Who) -> Option<Rule<'a>> {
        let values = |by: &[Dimension]| -> Option<Vec<(Dimension, String)>> {
            by.iter().map(|by| Some((*by, who.value(*by)?))).collect()
        };
        let by = values(&limit.by).or_else(|| values(&[limit.or_by?]))?;
        let here = |ip: std::net::IpAddr| {
            let mut named = self.policy.networks.iter();
            named.find_map(|network| {
                let inside = network.cidr.contains(&verify_core::address::client(ip));
                network.limits.get(&limit.name).filter(|_| inside)
            })
        };
        let Max::Units(max) = *who.ip.and_then(here).unwrap_or(&limit.max) else {
            return None;
        };
        let has = |wanted: &[Dimension]| by.iter().any(|(by, _)| wanted.contains(by));
        let personal = has(&[Dimension::Destination, Dimension::Subject]);
        let shared = !personal
            && (has(&[
                Dimension::Prefix,
                Dimension::Country,
                Dimension::Service,
                Dimension::Network,
            ]) || limit.counts == Counts::Spend);
        // A tenth is kept for known callers, and a tenth of that is for one of them.
        let kept = if shared { max / 10 } else { 0 };
        let stranger = who.standing == Standing::Stranger;
        let reserve =
            (!stranger && kept > 0 && limit.then != Then::Alert).then_some((max - kept, (kept / 10).max(1)));
        let max = if stranger { max - kept } else { max };
        // What a network keeps is kept as long as codes live.
        let lives = self.policy.purposes.values().map(|rules| rules.code.ttl);
        let per = match &*limit.name == limit_names::SENDS_PER_NETWORK {
            true => lives.fold(limit.per.max(self.policy.code.ttl), Duration::max),
            false => limit.per,
        };
        Some(Rule {
            limit,
            by,
            max,
            per,
            personal,
            reserve,
        })
    }

    /// All limits that hold for `who` and what they are verified for, and that count one of these.
    pub(super) fn rules(&self, who: &Who, counts: &[Counts]) -> Vec<Rule<'_>> {
        let mut rules = self.rules_for_any_purpose(who, counts);
        rules.retain(|rule| rule.limit.purposes.contains(&who.purpose));
        rules
    }

    fn rules_for_any_purpose(&self, who: &Who, counts: &[Counts]) -> Vec<Rule<'_>> {
        let limits = self.policy.limits.iter();
        limits
            .filter(|limit| counts.contains(&limit.counts))
            .filter_map(|limit| self.rule(limit, who))
            .collect()
    }

    /// The units of an event on a limit.
    fn units(&self, rule: &Rule<'_>, who: &Who, event: &Event) -> u64 {
        let same = self
            .rule(rule.limit, &event.who)
            .is_some_and(|other| other.by == rule.by);
        let counts = same && rule.limit.purposes.contains(&event.who.purpose);
        if !counts || (rule.personal && event.who.standing != who.standing) {
            return 0;
        }
        let gap = &*rule.limit.name == limit_names::RESEND_GAP;
        match (rule.limit.counts, &event.what) {
            (Counts::Sends, Happened::Sent { nothing_sent, .. }) => u64::from(!(gap && *nothing_sent)),
            (
                Counts::Spend,
                Happened::Sent {
                    price, money_back, ..
                },
            ) if !money_back => *price,
            (Counts::Checks, Happened::Checked { .. }) => 1,
            (Counts::Failures, Happened::Failed { taken_back }) => u64::from(!taken_back),
            (Counts::Sends | Counts::Spend | Counts::Checks | Counts::Failures, _) => 0,
        }
    }

    /// What is counted in the interval of the limit's length that ends at `at`, or at the latest that was counted: a
    /// clock that was set back opens nothing.
    pub(super) fn used(&self, rule: &Rule<'_>, who: &Who, at: Timestamp) -> u64 {
        self.used_by(rule, who, at, |_| true)
    }

    /// The same of some of the events.
    fn used_by(&self, rule: &Rule<'_>, who: &Who, at: Timestamp, whose: impl Fn(&Event) -> bool) -> u64 {
        let units = |event: &Event| match whose(event) {
            true => self.units(rule, who, event),
            false => 0,
        };
        let counted = self.events.iter().map(|event| (event.at, units(event)));
        let counted: Vec<(Timestamp, u64)> = counted.collect();
        let newest = counted.iter().filter(|(_, units)| *units > 0);
        let newest = newest.map(|(newest, _)| *newest).max();
        let ended = self.events.iter().rposition(|event| self.ends(rule, event));
        let counted = counted.iter().skip(ended.unwrap_or(0));
        let at = newest
            .filter(|_| self.slack.is_zero())
            .map_or(at, |newest| newest.max(at));
        let inside = counted.filter(|(then, _)| *then + rule.per + self.slack > at);
        inside.map(|(_, units)| units).sum()
    }

    /// True when an operator ended what was counted on a limit: that of whoever was named, as any subject or as nobody's.
    fn ends(&self, rule: &Rule<'_>, event: &Event) -> bool {
        let Happened::Unlocked { check_limits: true } = event.what else {
            return false;
        };
        let nobody = Who {
            subject: None,
            ..event.who.clone()
        };
        let of = |who: &Who| {
            self.rule(rule.limit, who)
                .is_some_and(|other| other.by == rule.by)
        };
        let lifted = rule.personal && rule.limit.counts == Counts::Checks && rule.limit.then != Then::Alert;
        lifted && (of(&event.who) || of(&nobody))
    }

    /// What refuses one more send or check of somebody just after an unlock, and of whoever has something at the same
    /// destination as another subject.
    pub(super) fn stands(&self, named: &Who) -> Vec<(String, bool, bool, Until)> {
        let here = self.verifications.iter();
        let here = here.filter(|found| !found.gone && found.who.same_destination(named));
        let others = here.filter_map(|found| found.who.subject.clone().map(Some));
        let others: BTreeSet<Option<String>> = others.filter(|one| *one != named.subject).collect();
        let mut subjects = vec![(named.subject.clone(), true)];
        subjects.extend(named.subject.as_ref().map(|_| (None, true)));
        subjects.extend(others.into_iter().map(|subject| (subject, false)));
        let (mut seen, mut stands) = (BTreeSet::new(), Vec::new());
        for (subject, is_named) in subjects {
            for standing in Standing::ALL {
                let who = Who {
                    subject: subject.clone(),
                    standing: *standing,
                    ..named.clone()
                };
                let known = *standing == Standing::Known;
                let mut stand = |name: &str, by: String, until: Until| {
                    if seen.insert((name.to_owned(), by, known)) && until > Until::At(self.now) {
                        stands.push((name.to_owned(), known, is_named, until));
                    }
                };
                for lockout in Self::lockouts(&who) {
                    let until = self.search(|at| self.locks(lockout, &who, at));
                    let by = match lockout {
                        Lockout::Destination => String::new(),
                        Lockout::Subject => subject.clone().unwrap_or_default(),
                    };
                    stand(lockout.name(), by, until);
                }
                for rule in self.rules_for_any_purpose(&who, &[Counts::Sends, Counts::Checks]) {
                    if rule.personal && rule.limit.then != Then::Alert {
                        let until = self.search(|at| self.denies(&rule, &who, 1, at));
                        stand(&rule.limit.name, format!("{:?}", rule.by), until);
                    }
                }
            }
        }
        stands.sort();
        stands
    }

    pub(super) fn denies(&self, rule: &Rule<'_>, who: &Who, cost: u64, at: Timestamp) -> bool {
        self.used(rule, who, at) + cost > rule.max
    }

    /// What denies it: the limit; or the shares of what is kept for known callers, while they draw on it.
    pub(super) fn against(&self, rule: &Rule<'_>, who: &Who, cost: u64, at: Timestamp) -> Vec<String> {
        let name = &rule.limit.name;
        let limit = self.denies(rule, who, cost, at).then(|| name.to_string());
        let draws = self.draws(rule, who, cost, at);
        let share = |one: &Dimension| {
            let value = who.value(*one)?;
            let mine = |event: &Event| {
                event.drew.contains(name) && event.who.value(*one).is_some_and(|other| other == value)
            };
            let (_, share) = draws?;
            let used = self.used_by(rule, who, at, mine);
            let of_others = rule.by.iter().all(|(by, _)| by != one);
            (of_others && used + cost > share.max(cost)).then(|| format!("{name}/share"))
        };
        let ones = [Dimension::Subject, Dimension::Destination, Dimension::Ip];
        limit.into_iter().chain(ones.iter().filter_map(share)).collect()
    }

    fn draws(&self, rule: &Rule<'_>, who: &Who, cost: u64, at: Timestamp) -> Option<(u64, u64)> {
        rule.reserve
            .filter(|(common, _)| self.used(rule, who, at) + cost > *common)
    }

    /// The limits on which this draws on what is kept.
    pub(super) fn drawn(&self, who: &Who, what: &Happened) -> Vec<Arc<str>> {
        let (counts, price): (&[Counts], _) = match what {
            Happened::Sent { price, .. } => (&[Counts::Sends, Counts::Spend], *price),
            Happened::Checked { .. } => (&[Counts::Checks], 1),
            Happened::Failed { .. } => (&[Counts::Failures], 1),
            Happened::Approved | Happened::Unlocked { .. } | Happened::Redeemed { .. } => (&[], 1),
        };
        let rules = self.rules(who, counts).into_iter();
        rules
            .filter(|rule| self.draws(rule, who, rule.cost(price), self.now).is_some())
            .map(|rule| Arc::clone(&rule.limit.name))
            .collect()
    }

    /// The limits that only alert and that one more of these, at this price, takes over their maximum.
    pub(super) fn passed(&self, who: &Who, counts: &[Counts], price: u64) -> Vec<Passed> {
        let mut rules = self.rules(who, counts);
        rules.retain(|rule| {
            let used = self.used(rule, who, self.now);
            rule.limit.then == Then::Alert && used <= rule.max && used + rule.cost(price) > rule.max
        });
        let passed = rules.into_iter().map(|rule| Passed {
            name: Arc::clone(&rule.limit.name),
            by: rule.by,
            standing: rule.personal.then_some(who.standing),
            per: rule.per,
        });
        passed.collect()
    }

    /// Each alerts once within its `per`, however often it is passed.
    pub(super) fn alert(&mut self, passed: Vec<Passed>) {
        for passed in passed {
            let before = |(same, at): &(Passed, Timestamp)| *same == passed && self.now < *at + passed.per;
            if !self.alerts.iter().any(before) {
                self.alerts.push((passed, self.now));
            }
        }
    }

    /// The lockouts that somebody is under.
    pub(super) fn lockouts(who: &Who) -> impl Iterator<Item = Lockout> {
        let subject = who.subject.as_ref().map(|_| Lockout::Subject);
        [Lockout::Destination].into_iter().chain(subject)
    }

    /// Failures in a row up to `at`, and when the last one was: back over the history to the last success of this
    /// key and standing, the last unlock, or a pause of `forget_after`.
    pub(super) fn run(&self, lockout: Lockout, who: &Who, at: Timestamp) -> (u32, Timestamp) {
        let (mut failures, mut last, mut next) = (0, Timestamp::ZERO, at);
        for event in self
            .events
            .iter()
            .rev()
            .filter(|event| lockout.same(&event.who, who))
        {
            match event.what {
                Happened::Unlocked { .. } => break,
                Happened::Approved if event.who.standing == who.standing => break,
                Happened::Failed { taken_back: false } if event.who.standing == who.standing => {
                    if next >= event.at + self.policy.lockout.forget_after {
                        break;
                    }
                    failures += 1;
                    last = last.max(event.at);
                    next = event.at;
                }
                Happened::Sent { .. }
                | Happened::Checked { .. }
                | Happened::Failed { .. }
                | Happened::Approved
                | Happened::Redeemed { .. } => {}
            }
        }
        (failures, last)
    }

    /// The wait from so many failures on.
    fn wait(&self, failures: u32) -> Option<Duration> {
        let (_, wait) = self.policy.lockout.waits.range(..=failures).next_back()?;
        Some(match wait {
            Wait::For(span) => (*span).min(self.policy.lockout.forget_after),
            Wait::Never => self.policy.lockout.forget_after,
        })
    }

    fn closing(&self, failures: u32) -> bool {
        let long = CLOSING.min(self.policy.lockout.forget_after);
        failures > 0 && self.wait(failures).is_some_and(|wait| wait >= long)
    }

    /// True when the failures in a row have reached a wait that closes.
    pub(super) fn closes(&self, lockout: Lockout, who: &Who, at: Timestamp) -> bool {
        self.closing(self.run(lockout, who, at).0)
    }

    /// Where a verification stands: how it ended, or by its time and its lockouts. A lockout that closes closes what was
    /// issued before its end.
    pub(super) fn status_of(&self, found: &Verification, at: Timestamp) -> Status {
        let closed =
            || Self::lockouts(&found.who).any(|lockout| self.closed_by(lockout, &found.who, found, at));
        match found.ended {
            Some(end) => end,
            None if at >= found.expires => Status::Expired,
            None if closed() => Status::Exhausted,
            None => Status::Pending,
        }
    }

    pub(super) fn closed_by(&self, lockout: Lockout, who: &Who, found: &Verification, at: Timestamp) -> bool {
        let (failures, last) = self.run(lockout, who, at);
        let end = self.wait(failures).map(|wait| last + wait);
        lockout.same(&found.who, who)
            && self.closing(failures)
            && end.is_some_and(|end| found.issued < end + self.slack)
    }

    /// True while it is pending as far as a command of `who` can tell, which knows no lockouts but its own.
    pub(super) fn open_to(&self, who: &Who, found: &Verification, at: Timestamp) -> bool {
        let closed = Self::lockouts(who).any(|lockout| self.closed_by(lockout, who, found, at));
        !found.gone && found.ended.is_none() && at < found.expires && !closed
    }

    pub(super) fn pending(&self, found: &Verification, at: Timestamp) -> bool {
        !found.gone && self.status_of(found, at) == Status::Pending
    }

    /// True in the last minute (of a short code, the last half) when a resend would carry the same code.
    pub(super) fn last_minute(&self, found: &Verification, at: Timestamp) -> bool {
        let same = found.managed || self.policy.code_for(found.who.purpose).resend == Resend::Same;
        let minute = Duration::from_secs(60).min(found.expires.since(found.issued) / 2);
        same && self.pending(found, at) && at + minute > found.expires
    }

    /// True while a check has to wait because of failures.
    pub(super) fn locks(&self, lockout: Lockout, who: &Who, at: Timestamp) -> bool {
        let (failures, last) = self.run(lockout, who, at);
        failures > 0
            && self
                .wait(failures)
                .is_some_and(|wait| at < last + wait + self.slack)
    }

    /// Checks that limits and lockouts admit, waiting in between, before one of them closes the verification.
    pub(super) fn checks_left(&self, who: &Who, at: Timestamp) -> Option<u32> {
        let rules = self.rules(who, &[Counts::Checks]);
        let personal = rules
            .iter()
            .filter(|rule| rule.personal && rule.limit.then == Then::Refuse);
        let limits = personal.map(|rule| rule.max.saturating_sub(self.used(rule, who, at)));
        let lockouts = Self::lockouts(who).map(|lockout| {
            let failures = self.run(lockout, who, at).0;
            if self.locks(lockout, who, at) && self.closing(failures) {
                return 0;
            }
            let steps = self
                .policy
                .lockout
                .waits
                .keys()
                .map(|count| count.saturating_sub(failures));
            let mut more: Vec<u32> = steps.map(|more| more.max(1)).collect();
            more.sort_unstable();
            let closes = more.into_iter().find(|more| self.closing(failures + more));
            closes.map_or(u64::MAX, u64::from)
        });
        let left = limits.chain(lockouts).min().unwrap_or(u64::MAX);
        u32::try_from(left).ok()
    }

    /// Sends that limits on people admit, waiting out the gap in between.
    pub(super) fn sends_left(&self, who: &Who, at: Timestamp) -> Option<u32> {
        let rules = self.rules(who, &[Counts::Sends]);
        let left = rules
            .iter()
            .filter(|rule| rule.personal && rule.limit.then == Then::Refuse)
            .filter(|rule| &*rule.limit.name != limit_names::RESEND_GAP)
            .map(|rule| rule.max.saturating_sub(self.used(rule, who, at)));
        u32::try_from(left.min()?).ok()
    }

    /// The first instant from `now` on at which nothing stops it any more, of all instants at which anything changes.
    pub(super) fn search(&self, stopped: impl Fn(Timestamp) -> bool) -> Until {
        let policy = &self.policy;
        let waits = policy
            .lockout
            .waits
            .keys()
            .filter_map(|failures| self.wait(*failures));
        let limits = policy.limits.iter().map(|limit| limit.per);
        let others = [
            policy.lockout.forget_after,
            policy.channels.fallback_after,
            policy.code.ttl,
        ];
        let spans: Vec<Duration> = limits.chain(waits).chain(others).collect();
        let ends = self
            .events
            .iter()
            .flat_map(|event| spans.iter().map(|span| event.at + *span));
        let deaths = self.verifications.iter().map(|verification| verification.expires);
        let notes = self.notes.iter().filter_map(|note| note.until);
        let caps = self.caps.iter().map(|(_, until)| *until);
        let heard = self.concluding.iter().map(|(_, until)| *until);
        let mut instants: Vec<Timestamp> = ends.chain(deaths).chain(notes).chain(caps).chain(heard).collect();
        instants.retain(|at| *at > self.now);
        instants.push(self.now);
        instants.sort_unstable();
        instants.dedup();
        let free = instants.into_iter().find(|at| !stopped(*at));
        free.map_or(Until::Never, Until::At)
    }
}
