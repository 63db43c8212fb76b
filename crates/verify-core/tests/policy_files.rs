//! Policy files as people write them: two that are in use, one that says nothing, and those that hold more than policy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not product code"
)]

use std::time::Duration;

use verify_core::policy::file::{env_name, is_name, list, word};
use verify_core::policy::{
    Counts, DefaultLocale, Loaded, Max, Place, Policy, PolicyErrors, PolicyFile, PolicySet, RiskAction, Then,
    Wait, limit_names,
};
use verify_core::vocabulary::{Channel, Dimension, Purpose, ServiceId};

const IN_TOML: &str = include_str!("fixtures/twilio-verify.toml");
const IN_JSON: &str = include_str!("fixtures/verify.config.json");
const MINUTE: Duration = Duration::from_secs(60);

/// The policies of a file in use. What else it holds is read where it belongs: at the provider and at the host.
fn of_a_file_in_use(file: Result<PolicyFile, PolicyErrors>) -> Result<Loaded, PolicyErrors> {
    let mut file = file?;
    for name in ["twilio", "logging", "security"] {
        file.section(name, |section| drop(section.rest()));
    }
    file.section("verify", |verify| {
        verify.value("service_sid");
    });
    file.policies()
}

fn in_toml(text: &str) -> Result<Loaded, PolicyErrors> {
    of_a_file_in_use(PolicyFile::from_toml(text))
}

fn in_json(text: &str) -> Result<Loaded, PolicyErrors> {
    of_a_file_in_use(PolicyFile::from_json(text))
}

fn max_of(policy: &Policy, name: &str) -> Max {
    policy
        .limits
        .iter()
        .find(|limit| *limit.name == *name)
        .unwrap()
        .max
}

#[test]
fn i08_a_file_that_says_nothing_caps_everything() {
    for loaded in [
        PolicySet::from_toml("").unwrap(),
        PolicySet::from_json("{}").unwrap(),
    ] {
        assert_eq!(loaded.policies, PolicySet::default());
        assert_eq!(loaded.warnings, [""; 0]);
    }
    let policy = Policy::default();
    assert_eq!(policy.limits.len(), 11);
    assert!(
        policy
            .limits
            .iter()
            .all(|limit| limit.max != Max::Unlimited && !limit.by.is_empty())
    );
    for (counts, by) in [
        (Counts::Sends, Dimension::Ip),
        (Counts::Sends, Dimension::Destination),
        (Counts::Sends, Dimension::Subject),
        (Counts::Checks, Dimension::Subject),
        (Counts::Checks, Dimension::Ip),
    ] {
        let refused = |limit: &verify_core::policy::Limit| {
            limit.counts == counts && limit.by == [by] && limit.then == Then::Refuse
        };
        assert!(policy.limits.iter().any(refused), "{counts:?} by {by}");
    }
    let identity = policy
        .limits
        .iter()
        .find(|limit| &*limit.name == limit_names::CHECKS_PER_IDENTITY)
        .unwrap();
    assert_eq!(
        (identity.by.as_slice(), identity.or_by),
        (&[Dimension::Subject][..], Some(Dimension::Destination))
    );
    assert_eq!(policy.code.length, 6);
    assert_eq!(policy.lockout.waits.get(&1), Some(&Wait::For(MINUTE)));
    assert_eq!(policy.lockout.waits.get(&100), Some(&Wait::Never));
    assert_eq!(PolicySet::default().check().unwrap(), [""; 0]);
}

#[test]
fn i08_turning_a_cap_off_takes_a_word_and_is_said() {
    let loaded = PolicySet::from_toml(
        r#"
        [[limit]]
        name = "sends_per_ip"
        max = "unlimited"
        [[limit]]
        name = "checks_per_ip"
        then = "alert"
        [lockout]
        waits = "unlimited"
        [[network]]
        cidr = "203.0.113.0/24"
        limits = { checks_per_ip = "unlimited" }
        [services.acme]
        [[services.acme.limit]]
        name = "sends_per_destination"
        max = "unlimited"
        "#,
    )
    .unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "limit.sends_per_ip.max: unlimited: this cap is off",
            "limit.checks_per_ip.then: alert: this cap refuses nothing any more",
            "lockout.waits: unlimited: no failure leads to a wait",
            "network[0].limits.checks_per_ip: unlimited: this cap is off for the network",
            "services.acme.limit.sends_per_destination.max: unlimited: this cap is off",
        ]
    );
    for off in [
        "max = 0",
        "max = -1",
        "max = \"off\"",
        "max = \"0\"",
        "max = false",
        "max = 1.0",
    ] {
        let text = format!("[[limit]]\nname = \"sends_per_ip\"\n{off}");
        let errors = PolicySet::from_toml(&text).unwrap_err();
        assert_eq!(
            errors.faults().next().unwrap().0,
            "limit.sends_per_ip.max",
            "{off}"
        );
    }
    assert!(PolicySet::from_toml("[lockout]\nwaits = {}").is_err());
}

/// Every figure of the files in use is the default; they name a language, and one of them a step-up.
fn in_use(medium: RiskAction) -> PolicySet {
    let mut policy = Policy::default();
    policy.channels.default_locale = DefaultLocale::Tag("en".into());
    policy.risk.medium = medium;
    PolicySet {
        default: policy.into(),
        ..PolicySet::default()
    }
}

#[test]
fn the_toml_file_in_use_loads_as_it_stands() {
    let loaded = in_toml(IN_TOML).unwrap();
    assert_eq!(loaded.policies, in_use(RiskAction::StepUp));
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn the_json_file_in_use_loads_as_it_stands() {
    let loaded = in_json(IN_JSON).unwrap();
    assert_eq!(loaded.policies, in_use(RiskAction::Auto));
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn every_figure_of_the_file_in_use_reaches_the_policy() {
    let text = IN_TOML
        .replace("default_channel = \"sms\"", "default_channel = \"call\"")
        .replace("[\"call\", \"email\"]", "[\"sms\"]")
        .replace("default_locale = \"en\"", "default_locale = \"pt-BR\"")
        .replace("code_ttl_seconds = 600", "code_ttl_seconds = 300")
        .replace("send_per_ip_per_10m = 5", "send_per_ip_per_10m = 51")
        .replace("send_per_to_per_10m = 3", "send_per_to_per_10m = 31")
        .replace(
            "check_per_identity_per_10m = 5",
            "check_per_identity_per_10m = 52",
        )
        .replace("failed_check = 60", "failed_check = 0")
        .replace("block_on_high_risk = true", "block_on_high_risk = false")
        .replace("step_up_on_medium_risk = true", "step_up_on_medium_risk = false")
        .replace("\"totp\"", "\"push\"")
        .replace("enabled = true", "enabled = false");
    let loaded = in_toml(&text).unwrap();
    let policy = &loaded.policies.default;
    assert_eq!(
        (policy.channels.default, policy.channels.fallback.as_slice()),
        (Channel::Call, &[Channel::Sms][..])
    );
    assert_eq!(policy.channels.default_locale, DefaultLocale::Tag("pt-BR".into()));
    assert_eq!(policy.code.ttl, 5 * MINUTE);
    assert_eq!(max_of(policy, limit_names::SENDS_PER_IP), Max::Units(51));
    assert_eq!(max_of(policy, limit_names::SENDS_PER_DESTINATION), Max::Units(31));
    assert_eq!(max_of(policy, limit_names::CHECKS_PER_IDENTITY), Max::Units(52));
    let waits = &policy.lockout.waits;
    assert_eq!(waits.get(&1), Some(&Wait::For(Duration::ZERO)));
    assert_eq!(
        waits.get(&5),
        Some(&Wait::For(15 * MINUTE)),
        "the first step alone"
    );
    assert_eq!(waits.len(), 4);
    assert_eq!(
        (policy.risk.high, policy.risk.medium),
        (RiskAction::Proceed, RiskAction::Proceed)
    );
    assert_eq!(
        (policy.risk.enabled, policy.risk.step_up.as_slice()),
        (false, &["push".to_owned()][..])
    );
}

#[test]
fn channels_of_the_json_file_are_an_order() {
    let text = IN_JSON.replace(r#"["sms", "call", "email"]"#, r#"["whatsapp", "call"]"#);
    let channels = &in_json(&text).unwrap().policies.default.channels;
    assert_eq!(channels.default, Channel::Whatsapp);
    assert_eq!(channels.enabled, [Channel::Whatsapp, Channel::Call]);
    assert_eq!(channels.fallback, [Channel::Call]);
}

#[test]
fn both_spellings_of_one_thing_do_not_go_together() {
    let both = "[channels]\ndefault = \"sms\"\n[code]\nttl = \"5m\"\n[lockout]\nwaits = { 1 = \"2m\" }\n[[limit]]\nname = \"sends_per_ip\"\nmax = 7";
    let errors = in_toml(&format!("{both}\n{IN_TOML}")).unwrap_err();
    let keys: Vec<_> = errors.faults().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        [
            "verify.default_channel",
            "verify.code_ttl_seconds",
            "rate_limits.send_per_ip_per_10m",
            "rate_limits.cooldown_seconds_after_failed_check"
        ]
    );
}

#[test]
fn a_fault_in_the_other_spelling_is_named_as_it_stands() {
    let text = IN_TOML
        .replace("code_ttl_seconds = 600", "code_ttl_seconds = 601")
        .replace("send_per_ip_per_10m = 5", "send_per_ip_per_10m = 0")
        .replace("default_channel = \"sms\"", "default_channel = \"fax\"")
        .replace("enabled = true", "enabld = true");
    let errors = in_toml(&text).unwrap_err();
    let keys: Vec<_> = errors.faults().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        [
            "fraud_guard.enabld",
            "verify.default_channel",
            "rate_limits.send_per_ip_per_10m",
            "verify.code_ttl_seconds"
        ]
    );
}

#[test]
fn a_host_keeps_sections_of_its_own_in_the_same_file() {
    let text = "[gateway]\nlisten = \"127.0.0.1:3000\"\n[code]\nlength = 8";
    assert!(
        PolicySet::from_toml(text).is_err(),
        "nobody said whose [gateway] is"
    );
    let read = |mut file: PolicyFile| {
        let mut own = Vec::new();
        file.section("gateway", |gateway| {
            own.extend(
                gateway
                    .rest()
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value.clone())),
            );
        });
        file.section("providers", |_| panic!("there is no such section"));
        (own, file.policies().unwrap())
    };
    let (own, loaded) = read(PolicyFile::from_toml(text).unwrap());
    assert_eq!(loaded.policies.default.code.length, 8);
    assert_eq!(own, [("listen".to_owned(), "127.0.0.1:3000".into())]);

    let table: toml::Table = toml::from_str(text).unwrap();
    assert_eq!(
        read(PolicyFile::from_table(&table)),
        (own.clone(), loaded.clone())
    );
    let value = serde_json::to_value(&table).unwrap();
    assert_eq!(read(PolicyFile::from_value(value).unwrap()), (own, loaded));
}

/// A file in which several readers find faults, and the policy the rest.
const FAULTS_OF_MANY: &str = r#"
[security]
keyEnv = "MY_KEY"
token_env = "s3cret!"
kee = 1
[mailer]
fields = ["a", "a"]
[verify]
sid = 5
serivce = 6
[code]
length = 3
[purposes.recovery]
label = "Wrong"
[purposes.login]
label = "nobody's"
[services.acme]
label = "right"
labbel = "x"
[services.acme.purposes.sign_up]
label = "right"
[services."a b"]
label = "nobody's"
"#;
const AS_THEY_ARE_TOLD: [&str; 9] = [
    "security.token_env: found another text; the name of an environment variable (letters, digits and _), never the secret itself, would do",
    "mailer.fields: found \"a\" twice; once would do",
    "verify.sid: found 5; one of sms, call, whatsapp, email would do",
    "purposes.recovery.label: wrong",
    "verify.serivce: unknown key; known here: channels, code_ttl_seconds, default_channel, default_locale, fallback_channels, sid",
    "code.length: found 3; a whole number from 4 to 10 would do",
    "purposes.login: found no purpose; one of sign_in, sign_up, change_destination, recovery, transaction, manage would do",
    "services.\"a b\": found no service id; 1 to 64 characters of a-z A-Z 0-9 . _ - would do",
    "security.kee: unknown key; known here: key_env, token_env",
];

/// Two readers share a section, a third has keys beside the policy; what is wrong comes out with the policy's faults.
#[test]
fn i60_faults_of_sections_that_are_no_policy_come_with_all_others() {
    let mut file = PolicyFile::from_toml(FAULTS_OF_MANY).unwrap();
    let mut key = None;
    file.section("security", |security| {
        key = security.optional("key_env", env_name)
    });
    file.section("security", |security| {
        assert_eq!(security.optional("token_env", env_name), None);
    });
    file.section("mailer", |mailer| {
        let field =
            |value: &serde_json::Value| value.as_str().filter(|text| is_name(text)).map(str::to_owned);
        mailer.optional("fields", list(|value| field(value).ok_or("a name".into())));
        mailer.warning("fields", "they are many");
    });
    file.section("pager", |_| panic!("there is no such section"));
    file.section("verify", |verify| {
        verify.optional("sid", word::<Channel>);
    });
    let mut labels = Vec::new();
    file.services_and_purposes(|place, section| {
        let label = section.optional("label", |value| match value.as_str() {
            Some("right") => Ok(()),
            _ => Err("wrong".into()),
        });
        let whose = match place {
            Place::Service(service) => service.to_string(),
            Place::Purpose(purpose) => purpose.to_string(),
            Place::PurposeOfService(service, purpose) => format!("{service} {purpose}"),
        };
        labels.push((whose, label.is_some()));
    });
    assert_eq!(key.as_deref(), Some("MY_KEY"));
    let read = [("recovery", false), ("acme", true), ("acme sign_up", true)];
    assert_eq!(labels, read.map(|(whose, read)| (whose.to_owned(), read)));

    let errors = file.policies().unwrap_err().to_string();
    assert!(!errors.contains("s3cret"), "{errors}");
    for fault in AS_THEY_ARE_TOLD {
        assert!(errors.lines().any(|line| line == fault), "{fault}\n\n{errors}");
    }
    let unknown = errors
        .lines()
        .find(|line| line.starts_with("services.acme.labbel: "));
    assert!(unknown.unwrap().contains(", label, limit, "), "{unknown:?}");
    assert_eq!(errors.lines().count(), 10, "{errors}");
}

#[test]
fn a_section_that_is_no_policy_is_a_table_once_and_known() {
    let faults = |text: &str, name: &str| {
        let mut file = PolicyFile::from_toml(text).unwrap();
        file.section(name, |section| drop(section.rest()));
        file.policies()
            .map_or_else(|errors| errors.to_string(), |_| String::new())
    };
    assert_eq!(
        faults("my_mailer = 5", "my_mailer"),
        "my_mailer: found 5; a table would do"
    );
    assert_eq!(faults("[myMailer]\na = 1", "my_mailer"), "");
    assert_eq!(
        faults("[myMailer]\n[my_mailer]", "my_mailer"),
        "my_mailer: found it twice, also as myMailer; once would do"
    );
    let typo = faults("[my_mialer]", "my_mailer");
    assert!(typo.contains(", lockout, my_mailer, network, "), "{typo}");
    assert!(!format!("{:?}", PolicyFile::from_toml("a = \"s3cret\"").unwrap()).contains("s3cret"));
}

#[test]
fn services_and_purposes_override_what_they_name() {
    let loaded = PolicySet::from_toml(
        r#"
        [code]
        length = 7
        [purposes.recovery]
        code = { length = 10 }
        [services.acme.code]
        resend = "new"
        [[services.acme.limit]]
        name = "sends_per_ip"
        max = 50
        [services.acme.purposes.sign_up.channels]
        enabled = ["email"]
        default = "email"
        [services.acme.purposes.sign_up.code]
        ttl = "24h"
        "#,
    )
    .unwrap();
    let acme_id = ServiceId::new("acme").unwrap();
    let (default, acme) = (&loaded.policies.default, loaded.policies.of(&acme_id));
    assert_eq!(default.code_for(Purpose::SignIn).length, 7);
    assert_eq!(default.code_for(Purpose::Recovery).length, 10);
    assert_eq!(acme.code_for(Purpose::SignIn).length, 7);
    assert_eq!(
        acme.code_for(Purpose::Recovery).length,
        10,
        "a purpose holds in every service"
    );
    assert_eq!(
        acme.code_for(Purpose::Recovery).resend,
        verify_core::policy::Resend::New
    );
    assert_eq!(acme.code_for(Purpose::SignUp).ttl, 1440 * MINUTE);
    assert!(acme.channels_for(Purpose::SignUp).fallback == [Channel::Email]);
    assert_eq!(max_of(acme, limit_names::SENDS_PER_IP), Max::Units(50));
    assert_eq!(max_of(default, limit_names::SENDS_PER_IP), Max::Units(5));
}

#[test]
fn limits_are_merged_by_name_and_new_ones_are_added() {
    let loaded = PolicySet::from_toml(
        r#"
        [prices]
        default = "0.10 USD"
        US.sms = "0.0079 USD"
        FR = "0.05 USD"
        [[limit]]
        name = "sends_per_ip"
        per = "1h"
        [[limit]]
        name = "spend_per_country"
        counts = "spend"
        by = ["country"]
        max = "25 USD"
        per = "24h"
        then = "human_check"
        "#,
    )
    .unwrap();
    let policy = &loaded.policies.default;
    assert_eq!(policy.limits.len(), 12);
    let first = &policy.limits[0];
    assert_eq!((first.max, first.per), (Max::Units(5), 60 * MINUTE));
    let spend = &policy.limits[11];
    assert_eq!(
        (spend.counts, spend.max, spend.then),
        (Counts::Spend, Max::Units(25_000_000), Then::HumanCheck)
    );
    let country = |code| verify_core::vocabulary::Country::new(code);
    assert_eq!(policy.prices.of(country("US"), Channel::Sms), 7_900);
    assert_eq!(policy.prices.of(country("US"), Channel::Call), 100_000);
    assert_eq!(policy.prices.of(country("FR"), Channel::Call), 50_000);
    assert_eq!(policy.prices.currency.as_deref(), Some("USD"));
}

#[test]
fn a_test_destination_ends_with_its_day_and_is_not_shown() {
    let text = "[[tests.destination]]\nto = \"+12025550190\"\ncode = \"424242\"\nuntil = 2026-12-31";
    let quoted = text.replace("2026-12-31", "\"2026-12-31\"");
    let loaded = PolicySet::from_toml(text).unwrap();
    assert_eq!(PolicySet::from_toml(&quoted).unwrap(), loaded);
    let test = &loaded.policies.default.tests[0];
    assert_eq!(test.until.as_millis(), 1_798_761_600_000, "2027-01-01T00:00:00Z");
    let debug = format!("{:?}", loaded.policies);
    assert!(
        !debug.contains("2025550190") && !debug.contains("424242"),
        "{debug}"
    );
}

#[test]
fn a_test_destination_is_kept_in_the_form_that_destinations_have() {
    let loaded = PolicySet::from_toml(
        r#"
        [[tests.destination]]
        to = "+1 (202) 555-0190"
        code = "424242"
        until = 2026-12-31
        [[tests.destination]]
        to = "Review+ios@Example.com"
        code = "424242"
        until = 2026-12-31
        "#,
    )
    .unwrap();
    let tests = &loaded.policies.default.tests;
    assert_eq!(
        (tests[0].to.as_str(), tests[1].to.as_str()),
        ("+12025550190", "review+ios@example.com")
    );
}

#[test]
fn a_country_without_numbers_is_said() {
    let loaded = PolicySet::from_toml("[countries]\nblock = [\"UK\", \"GB\"]").unwrap();
    assert_eq!(
        loaded.warnings,
        ["countries.block: no phone number belongs to UK; check the two letters"]
    );
}
