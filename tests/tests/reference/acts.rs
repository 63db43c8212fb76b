//! Random policies, commands, clocks and mishaps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use verify_core::policy::{Counts, Disclosure, Limit, Max, Policy, Resend, Then, Wait};
use verify_core::port::{RejectionKind, RiskLevel};
use verify_core::vocabulary::{Channel, Dimension, Purpose};
use verify_lab::reference::{Ask, CheckAsk, Fate, From, Guess, Mishap, Of, Outside, Person, SendAsk};

/// What a random policy is made of.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// `max` and `per` in seconds of a default limit; `None` lifts it.
    limits: Vec<(usize, Option<u64>, u64, Then)>,
    ttl: u64,
    new_codes: bool,
    waits: Vec<(u32, Option<u64>)>,
    forget_after: u64,
    /// How many messages' worth of money an hour has.
    money: Option<u64>,
    /// Messages to one country in an hour, of which some are kept for known callers.
    shared: Option<(u64, Then)>,
    /// Nobody may find out who is known.
    private: bool,
    /// Limits that are about some purposes only.
    narrow: Vec<(usize, BTreeSet<Purpose>)>,
}

impl Rules {
    pub(super) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        for (index, max, per, then) in &self.limits {
            let count = policy.limits.len();
            let limit = &mut policy.limits[index % count];
            limit.max = max.map_or(Max::Unlimited, Max::Units);
            limit.per = Duration::from_secs(*per);
            let gap = &*limit.name == "resend_gap";
            limit.then = if gap { Then::Refuse } else { *then };
        }
        if self.private {
            policy.privacy.disclosure = Disclosure::Private;
        }
        policy.code.ttl = Duration::from_secs(self.ttl);
        policy.code.resend = if self.new_codes { Resend::New } else { Resend::Same };
        let wait = |wait: &Option<u64>| wait.map_or(Wait::Never, |secs| Wait::For(Duration::from_secs(secs)));
        let waits = self.waits.iter().map(|(count, secs)| (*count, wait(secs)));
        policy.lockout.waits = Arc::new(waits.collect());
        policy.lockout.forget_after = Duration::from_secs(self.forget_after);
        if let Some(messages) = self.money {
            policy.prices.default = Some(2);
            policy.limits.push(Limit {
                name: "money".into(),
                counts: Counts::Spend,
                by: vec![Dimension::Service],
                or_by: None,
                purposes: Purpose::ALL.iter().copied().collect(),
                max: Max::Units(messages * 2 + 1),
                per: Duration::from_secs(3_600),
                then: Then::Refuse,
            });
        }
        if let Some((max, then)) = self.shared {
            policy.limits.push(Limit {
                name: "shared".into(),
                counts: Counts::Sends,
                by: vec![Dimension::Country],
                or_by: None,
                purposes: Purpose::ALL.iter().copied().collect(),
                max: Max::Units(max),
                per: Duration::from_secs(3_600),
                then,
            });
        }
        for (index, purposes) in &self.narrow {
            let count = policy.limits.len();
            let limit = &mut policy.limits[index % count];
            if &*limit.name != "resend_gap" {
                limit.purposes = purposes.clone();
            }
        }
        policy
    }
}

#[derive(Debug, Clone)]
pub(super) enum Act {
    Ask(Ask),
    /// A check of what was sent last, right or not.
    CheckLast(From, Option<String>, bool),
    Wait(u64),
    Back(u64),
    Outside(Outside),
}

pub(super) fn rules() -> impl Strategy<Value = Rules> {
    let then = prop_oneof![4 => Just(Then::Refuse), 1 => Just(Then::HumanCheck), 1 => Just(Then::Alert)];
    let shared_then = prop_oneof![3 => Just(Then::Refuse), 1 => Just(Then::HumanCheck)];
    let max = prop_oneof![1 => Just(None), 6 => (1u64..7).prop_map(Some)];
    let purposes = prop::sample::select(vec![
        Purpose::SignIn,
        Purpose::Recovery,
        Purpose::Transaction,
        Purpose::Manage,
    ]);
    let narrow = (0usize..13, prop::collection::btree_set(purposes, 1..3));
    let limit = (0usize..11, max, prop_oneof![5u64..60, 60u64..900], then);
    let wait =
        prop_oneof![1 => Just(None), 3 => (0u64..120).prop_map(Some), 3 => (250u64..400).prop_map(Some)];
    let waits = prop_oneof![
        2 => Just(vec![(1, Some(60)), (5, Some(900)), (10, Some(3_600)), (100, None)]),
        1 => Just(vec![]),
        5 => prop::collection::vec((1u32..7, wait), 1..4),
    ];
    (
        prop::collection::vec(limit, 0..6),
        prop_oneof![Just(600u64), 20u64..600],
        any::<bool>(),
        waits,
        prop_oneof![3 => Just(2_592_000u64), 1 => 400u64..2_000],
        prop_oneof![3 => Just(None), 1 => (1u64..6).prop_map(Some)],
        prop_oneof![2 => Just(None), 1 => (10u64..13, shared_then).prop_map(Some)],
        prop::bool::weighted(0.3),
        prop_oneof![1 => Just(vec![]), 1 => prop::collection::vec(narrow, 1..4)],
    )
        .prop_map(
            |(limits, ttl, new_codes, waits, forget_after, money, shared, private, narrow)| Rules {
                private,
                money,
                shared,
                narrow,
                limits,
                ttl,
                new_codes,
                waits,
                forget_after,
            },
        )
}

pub(super) fn person() -> impl Strategy<Value = Person> {
    let purpose = prop_oneof![
        9 => Just((Purpose::SignIn, None)),
        1 => Just((Purpose::Recovery, None)),
        1 => Just((Purpose::Manage, None)),
        1 => Just((Purpose::Transaction, Some("10 USD"))),
        1 => Just((Purpose::Transaction, Some("11 USD"))),
    ];
    let subject = prop_oneof![5 => Just(None), 3 => Just(Some("ann")), 1 => Just(Some("bob"))];
    let to = prop_oneof![7 => Just("+12025550123"), 1 => Just("+12025550124"), 1 => Just("Ann@example.com"),
        1 => Just("ann+shop@example.com")];
    (to, subject, purpose).prop_map(|(to, subject, (purpose, amount))| Person {
        to: to.into(),
        subject: subject.map(str::to_owned),
        purpose,
        amount: amount.map(str::to_owned),
        payee: amount.map(|_| "shop".to_owned()),
    })
}

pub(super) fn of() -> impl Strategy<Value = Of> {
    prop_oneof![
        4 => person().prop_map(Of::Person),
        2 => (0usize..6).prop_map(Of::Verification),
        1 => (0usize..6, person()).prop_map(|(number, person)| Of::VerificationOf(number, person)),
    ]
}

pub(super) fn from() -> impl Strategy<Value = From> {
    let ip = prop_oneof![2 => Just(None), 3 => (1u8..3).prop_map(Some)];
    let token = prop_oneof![3 => Just(None), 1 => (0usize..3).prop_map(Some)];
    (ip, token, prop::bool::weighted(0.25)).prop_map(|(ip, token, proof)| From {
        proof,
        ip: ip.map(|host| std::net::Ipv4Addr::new(192, 0, 2, host).into()),
        device: None,
        token,
    })
}

pub(super) fn key() -> impl Strategy<Value = Option<String>> {
    prop_oneof![5 => Just(None), 1 => (0u8..3).prop_map(|key| Some(format!("k{key}")))]
}

pub(super) fn send() -> impl Strategy<Value = Ask> {
    let by = prop_oneof![2 => Just(None), 1 => Just(Some(Channel::Call))];
    let [human, decoy] = [0.2, 0.1].map(prop::bool::weighted);
    (of(), by, from(), key(), human, decoy).prop_map(|(of, by, from, key, human, decoy)| {
        let mailbox = matches!(&of, Of::Person(person) if person.to.contains('@'));
        let by = by.filter(|_| !mailbox);
        Ask::Send(SendAsk {
            by,
            from,
            key,
            human,
            decoy,
            ..SendAsk::to(of)
        })
    })
}

pub(super) fn check() -> impl Strategy<Value = CheckAsk> {
    let guess = prop_oneof![
        6 => Just(Guess::Wrong),
        3 => (0usize..6).prop_map(Guess::Message),
        1 => Just(Guess::Text("12 456".into())),
    ];
    (of(), guess, from(), key()).prop_map(|(of, guess, from, key)| CheckAsk { of, guess, from, key })
}

pub(super) fn ask() -> impl Strategy<Value = Act> {
    let fate = prop_oneof![
        Just(Fate::Underway),
        Just(Fate::Delivered),
        Just(Fate::Undelivered)
    ];
    prop_oneof![
        8 => send().prop_map(Act::Ask),
        4 => check().prop_map(|check| Act::Ask(Ask::Check(check))),
        5 => (from(), key(), prop::bool::weighted(0.4)).prop_map(|(from, key, right)| Act::CheckLast(from, key, right)),
        1 => (0usize..6).prop_map(|number| Act::Ask(Ask::Cancel(number))),
        2 => (0usize..6).prop_map(|number| Act::Ask(Ask::Status(number))),
        1 => (0usize..6, fate).prop_map(|(message, fate)| Act::Ask(Ask::Report(message, fate))),
        1 => (0usize..3, person(), key()).prop_map(|(approval, person, key)| Act::Ask(Ask::Redeem(approval, person, key))),
        1 => (person(), any::<bool>()).prop_map(|(person, limits)| Act::Ask(Ask::Unlock(person, limits))),
        1 => Just(Act::Ask(Ask::Tick)),
        1 => outside().prop_map(Act::Outside),
        7 => wait(),
    ]
}

pub(super) fn with_mishaps() -> impl Strategy<Value = Act> {
    let mishap = prop_oneof![
        Just(Mishap::StopsWhenCharged),
        Just(Mishap::StopsWhenAsked),
        Just(Mishap::AnswerLost),
        Just(Mishap::CallLost),
    ];
    prop_oneof![1 => mishap.prop_map(|mishap| Act::Outside(Outside::Mishap(mishap))), 6 => ask()]
}

/// Without closings: with two clocks in play a code may be closed by one of them and not by the other, and what follows
/// from that is no longer a matter of waiting.
pub(super) fn short_waits() -> impl Strategy<Value = Rules> {
    rules().prop_map(|mut rules| {
        rules
            .waits
            .retain(|(_, secs)| secs.is_some_and(|secs| secs < 300));
        rules
    })
}

/// Without reports: they open nothing, and how long one is taken is nobody's wait.
pub(super) fn with_jumps() -> impl Strategy<Value = Act> {
    let unreported = ask().prop_filter("a report", |act| !matches!(act, Act::Ask(Ask::Report(..))));
    prop_oneof![1 => (1u64..400_000).prop_map(Act::Back), 9 => unreported]
}

/// The provider says no for a while, or the scorer worries.
pub(super) fn outside() -> impl Strategy<Value = Outside> {
    use RejectionKind as Kind;
    prop_oneof![
        4 => Just(Outside::Rejects(None)),
        1 => prop::sample::select(vec![Kind::Down, Kind::ChannelUnreachable, Kind::PrefixBlocked, Kind::OptedOut,
            Kind::InvalidDestination, Kind::DestinationQuota]).prop_map(|kind| Outside::Rejects(Some(kind))),
        2 => Just(Outside::Risk(RiskLevel::Low)),
        1 => Just(Outside::Risk(RiskLevel::Medium)),
        1 => Just(Outside::Risk(RiskLevel::High)),
    ]
}

/// Often to the second at which something ends, or a millisecond before.
pub(super) fn wait() -> impl Strategy<Value = Act> {
    let whole = prop_oneof![Just(30u64), Just(60), Just(20), Just(300), Just(600), 1u64..60]
        .prop_map(|secs| secs * 1_000);
    prop_oneof![
        whole.clone(),
        whole.prop_map(|ms| ms - 1),
        0u64..90_000,
        0u64..700_000
    ]
    .prop_map(Act::Wait)
}
