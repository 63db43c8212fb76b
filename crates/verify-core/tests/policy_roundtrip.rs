//! What is printed reads back as the same policies, for any policies that a file can say.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not product code"
)]

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use verify_core::policy::{
    AtEnd, Automatic, ChannelRules, CodeRules, CountryAction, CountryRules, Counts, DefaultLocale,
    Disclosure, EmailRules, Limit, Lockout, Max, Network, NumberRules, Policy, PolicySet, Prices,
    PrivacyRules, PurposeRules, Resend, RiskAction, RiskRules, TestDestination, Then, Unenrolled, Wait,
    limit_names,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Country, Dimension, Purpose, ServiceId};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn i60_what_is_printed_reads_back_as_the_same_policies(policies in policy_sets()) {
        let text = policies.to_toml();
        prop_assert_eq!(policies.to_string(), text.clone());
        let warnings = policies.check();
        prop_assert!(warnings.is_ok(), "{:?}", warnings);
        let loaded = PolicySet::from_toml(&text);
        prop_assert!(loaded.is_ok(), "{}\n{:?}", text, loaded);
        let loaded = loaded.unwrap();
        prop_assert_eq!(&loaded.policies, &policies, "{}", text);
        prop_assert_eq!(loaded.warnings, warnings.unwrap());
        // JSON says the same.
        let table: toml::Table = toml::from_str(&text).unwrap();
        let json = serde_json::to_string(&table).unwrap();
        prop_assert_eq!(PolicySet::from_json(&json).unwrap().policies, policies);
    }

    #[test]
    fn i60_any_change_of_a_known_key_is_refused(line in 0_usize..200, at in 0_usize..40, letter in "[a-z]") {
        let text = PolicySet::default().to_toml();
        let keyed: Vec<&str> = text.lines().filter(|line| line.contains(" = ") && !line.starts_with("name")).collect();
        let old = keyed[line % keyed.len()];
        let key = old.split(' ').next().unwrap();
        let at = at % (key.len() + 1);
        let new = format!("{}{letter}{}", &key[..at], &old[at..]);
        // The first line of that text is meant; every one of them has a place in the file.
        let changed = text.replacen(&format!("\n{old}\n"), &format!("\n{new}\n"), 1);
        prop_assume!(changed != text);
        prop_assert!(PolicySet::from_toml(&changed).is_err(), "{}", new);
    }
}

#[test]
fn a_default_limit_that_is_left_out_in_code_is_printed_as_off() {
    let mut policy = Policy::default();
    let dropped = policy.limits.remove(0);
    let text = PolicySet {
        default: policy.into(),
        ..PolicySet::default()
    }
    .to_toml();
    let read = PolicySet::from_toml(&text).unwrap();
    let limit = read
        .policies
        .default
        .limits
        .iter()
        .find(|limit| limit.name == dropped.name)
        .unwrap();
    assert_eq!(limit.max, Max::Unlimited);
}

fn policy_sets() -> impl Strategy<Value = PolicySet> {
    (
        policies(),
        proptest::collection::btree_map(select(vec!["acme", "a.b", "default", "X-1"]), policies(), 0..3),
    )
        .prop_map(|(default, services)| {
            let services = services
                .into_iter()
                .map(|(id, policy)| {
                    (
                        ServiceId::new(id).unwrap(),
                        Arc::new(as_of_a_file(policy, &default)),
                    )
                })
                .collect();
            PolicySet {
                default: default.into(),
                services,
                ..PolicySet::default()
            }
        })
}

/// A file's service keeps what it inherits of added limits, prices and purposes: it can change but not remove them.
fn as_of_a_file(mut policy: Policy, default: &Policy) -> Policy {
    let own = std::mem::replace(&mut policy.limits, default.limits.clone());
    for limit in own {
        match policy.limits.iter_mut().find(|known| known.name == limit.name) {
            Some(known) => *known = limit,
            None => policy.limits.push(limit),
        }
    }
    let inherited = default.prices.listed.clone();
    policy.prices.listed = inherited.into_iter().chain(policy.prices.listed).collect();
    for purpose in default.purposes.keys() {
        let rules = PurposeRules {
            code: policy.code.clone(),
            channels: policy.channels.clone(),
            risk: policy.risk.clone(),
        };
        policy.purposes.entry(*purpose).or_insert(rules);
    }
    policy
}

fn policies() -> impl Strategy<Value = Policy> {
    let rules = (limits(), lockouts(), networks(), tests());
    let places = (countries(), prices(), emails());
    let rest = (any::<bool>(), 0_u8..=2, any::<bool>(), spans(), spans());
    let purposes = proptest::collection::btree_map(select(Purpose::ALL), purposes(), 0..2);
    (purpose_parts(), rules, places, rest, purposes).prop_map(
        |(
            (code, channels, risk),
            (limits, lockout, networks, tests),
            (countries, prices, email),
            rest,
            purposes,
        )| {
            let (premium_rate_allowed, last_digits, private, proof_ttl, device_ttl) = rest;
            let disclosure = if private {
                Disclosure::Private
            } else {
                Disclosure::Open
            };
            let digits = usize::from(code.length);
            let tests = tests
                .into_iter()
                .map(|test| TestDestination {
                    code: "7".repeat(digits),
                    ..test
                })
                .collect();
            Policy {
                code,
                channels,
                limits,
                lockout,
                risk,
                countries,
                numbers: NumberRules { premium_rate_allowed },
                prices,
                networks,
                email,
                privacy: PrivacyRules {
                    disclosure,
                    last_digits,
                },
                proof_ttl,
                device_ttl,
                tests,
                purposes,
            }
        },
    )
}

fn purposes() -> impl Strategy<Value = PurposeRules> {
    purpose_parts().prop_map(|(code, channels, risk)| PurposeRules { code, channels, risk })
}

fn purpose_parts() -> impl Strategy<Value = (CodeRules, ChannelRules, RiskRules)> {
    (codes(), channels(), risks())
}

fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1_u64..5_000).prop_map(Duration::from_millis),
        (1_u64..5_000).prop_map(Duration::from_secs),
        (1_u64..3_650).prop_map(|days| Duration::from_secs(days * 86_400)),
    ]
}

fn codes() -> impl Strategy<Value = CodeRules> {
    (
        4_u8..=10,
        any::<bool>(),
        1_u64..=600,
        select(vec![Resend::Same, Resend::New]),
    )
        .prop_map(|(length, allow_short, ttl, resend)| CodeRules {
            length,
            allow_short: allow_short || length < 6,
            ttl: Duration::from_secs(ttl),
            resend,
        })
}

fn channels() -> impl Strategy<Value = ChannelRules> {
    let lists = subsequence(Channel::ALL, 1..=4)
        .prop_shuffle()
        .prop_flat_map(|enabled| {
            let count = enabled.len();
            (
                Just(enabled.clone()),
                subsequence(enabled.clone(), 0..=count).prop_shuffle(),
                select(enabled),
            )
        });
    (
        lists,
        spans(),
        select(vec![Automatic::Never, Automatic::WithConsent, Automatic::Always]),
        select(vec![AtEnd::StepUp, AtEnd::Support]),
        select(vec!["en", "pt-BR", "zh-Hant-TW", "auto", "none"]),
        proptest::option::of(country_codes()),
    )
        .prop_map(
            |((enabled, fallback, default), fallback_after, automatic, at_end, locale, default_country)| {
                ChannelRules {
                    default,
                    enabled,
                    fallback,
                    fallback_after,
                    automatic,
                    at_end,
                    default_locale: match locale {
                        "auto" => DefaultLocale::Auto,
                        "none" => DefaultLocale::None,
                        tag => DefaultLocale::Tag(tag.into()),
                    },
                    default_country,
                }
            },
        )
}

fn country_codes() -> impl Strategy<Value = Country> {
    select(vec!["US", "FR", "DE", "IN", "NO"]).prop_map(|code| Country::new(code).unwrap())
}

fn maxima() -> impl Strategy<Value = Max> {
    prop_oneof![(1..1_u64 << 53).prop_map(Max::Units), Just(Max::Unlimited)]
}

fn thens() -> impl Strategy<Value = Then> {
    select(vec![Then::Refuse, Then::HumanCheck, Then::Alert])
}

/// The default limits, changed where a file can change them, and one more.
fn limits() -> impl Strategy<Value = Vec<Limit>> {
    let purposes = || proptest::collection::btree_set(select(Purpose::ALL), 1..=Purpose::ALL.len());
    let changes = proptest::collection::vec((any::<bool>(), purposes(), maxima(), spans(), thens()), 10);
    let counts = select(vec![
        Counts::Sends,
        Counts::Checks,
        Counts::Failures,
        Counts::Spend,
    ]);
    let added = (
        counts,
        subsequence(Dimension::ALL, 1..4),
        any::<bool>(),
        purposes(),
        maxima(),
        spans(),
        thens(),
    );
    (changes, proptest::option::of(added)).prop_map(|(changes, added)| {
        let mut limits = Policy::default().limits;
        for (limit, (changed, purposes, max, per, then)) in limits.iter_mut().zip(changes) {
            if changed {
                (limit.max, limit.per, limit.then) = (max, per, then);
            }
            if changed && &*limit.name != limit_names::RESEND_GAP {
                limit.purposes = purposes;
            }
            if then == Then::Alert {
                limit.or_by = None;
            }
        }
        limits.extend(added.map(|(counts, by, or_by, purposes, max, per, then)| {
            let or_by = Dimension::ALL
                .iter()
                .copied()
                .find(|other| or_by && !by.contains(other));
            Limit {
                name: "one.more".into(),
                counts,
                by,
                or_by,
                purposes,
                max,
                per,
                then,
            }
        }));
        limits
    })
}

fn lockouts() -> impl Strategy<Value = Lockout> {
    let waits = prop_oneof![
        (0_u64..1_000_000).prop_map(|seconds| Wait::For(Duration::from_secs(seconds))),
        Just(Wait::Never)
    ];
    proptest::collection::btree_map(1_u32.., waits, 0..5).prop_map(|waits| Lockout {
        waits: Arc::new(waits),
        forget_after: Duration::from_secs(1_000_000),
    })
}

fn risks() -> impl Strategy<Value = RiskRules> {
    let actions = || {
        select(vec![
            RiskAction::Proceed,
            RiskAction::HumanCheck,
            RiskAction::StepUp,
            RiskAction::Refuse,
        ])
    };
    let unenrolled = select(vec![Unenrolled::Refuse, Unenrolled::Enroll]);
    (
        any::<bool>(),
        [actions(), actions(), actions(), actions()],
        unenrolled,
        0_u8..=100,
        0_u8..=100,
    )
        .prop_map(
            |(enabled, [high, medium, low, unavailable], unenrolled, a, b)| RiskRules {
                enabled,
                high,
                medium,
                low,
                unavailable,
                step_up: vec!["totp".into(), "passkey".into()],
                unenrolled,
                medium_from: a.min(b),
                high_from: a.max(b),
            },
        )
}

fn countries() -> impl Strategy<Value = CountryRules> {
    let actions = || {
        select(vec![
            CountryAction::Allow,
            CountryAction::Monitor,
            CountryAction::HumanCheck,
            CountryAction::Block,
        ])
    };
    let limited = proptest::collection::btree_map(country_codes(), subsequence(Channel::ALL, 1..=4), 0..3);
    (
        actions(),
        proptest::collection::btree_map(country_codes(), actions(), 0..5),
        limited,
    )
        .prop_map(|(default, listed, channels)| CountryRules {
            default,
            listed,
            channels,
        })
}

fn prices() -> impl Strategy<Value = Prices> {
    let of = (country_codes(), proptest::option::of(select(Channel::ALL)));
    (
        0..1_u64 << 53,
        proptest::collection::btree_map(of, 0_u64..10_000_000, 0..4),
    )
        .prop_map(|(default, listed)| Prices {
            currency: Some("USD".into()),
            default: Some(default),
            listed,
        })
}

fn networks() -> impl Strategy<Value = Vec<Network>> {
    let cidrs = select(vec!["203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32"]);
    let names = select(vec!["sends_per_ip", "checks_per_ip"]);
    let limits = proptest::collection::btree_map(names.prop_map(Arc::from), maxima(), 1..3);
    proptest::collection::btree_map(cidrs, limits, 0..3).prop_map(|networks| {
        networks
            .into_iter()
            .map(|(cidr, limits)| Network {
                cidr: cidr.parse().unwrap(),
                limits,
            })
            .collect()
    })
}

fn emails() -> impl Strategy<Value = EmailRules> {
    let domains = subsequence(
        vec!["gmail.com".to_owned(), "xn--bcher-kva.example".to_owned()],
        0..=2,
    );
    (any::<bool>(), domains, any::<bool>()).prop_map(
        |(plus_tags_same, dotless_domains, disposable_allowed)| EmailRules {
            plus_tags_same,
            dotless_domains,
            disposable_allowed,
        },
    )
}

/// Test destinations; their codes are filled in by the policy's length.
fn tests() -> impl Strategy<Value = Vec<TestDestination>> {
    let to = select(vec!["+12025550190", "o'neil@example.com"]);
    proptest::collection::btree_map(to, 1_u64..100_000, 0..3).prop_map(|tests| {
        let until = |day| Timestamp::from_millis(day * 86_400_000);
        tests
            .into_iter()
            .map(|(to, day)| TestDestination {
                to: to.into(),
                code: String::new(),
                until: until(day),
            })
            .collect()
    })
}
