//! Every kind of fault in a policy file: found, named by its key, and all of them at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not product code"
)]

use verify_core::policy::{Max, Policy, PolicySet};
use verify_core::vocabulary::Country;

/// The keys of the faults of a text.
fn faulty_keys(text: &str) -> Vec<String> {
    match PolicySet::from_toml(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.faults().map(|(key, _)| key.to_owned()).collect(),
    }
}

#[test]
fn i60_a_typing_error_never_passes() {
    for (text, key) in [
        ("lenght = 6", "lenght"),
        ("[cod]\nlength = 6", "cod"),
        ("[code]\nlenght = 6", "code.lenght"),
        ("[channels]\nenable = []", "channels.enable"),
        ("[[limits]]\nname = \"sends_per_ip\"", "limits"),
        (
            "[[limit]]\nname = \"sends_per_ip\"\nmaximum = 3",
            "limit.sends_per_ip.maximum",
        ),
        (
            "[[limit]]\nname = \"sends_per_pi\"\nmax = 3",
            "limit.sends_per_pi.counts",
        ),
        ("[lockout]\nwait = {}", "lockout.wait"),
        ("[risk]\nhihg = \"refuse\"", "risk.hihg"),
        ("[risk.thresholds]\nmid = 50", "risk.thresholds.mid"),
        ("[countries]\nblocked = [\"US\"]", "countries.blocked"),
        ("[countries.US]\nchannel = [\"sms\"]", "countries.US.channel"),
        ("[numbers]\npremium = \"block\"", "numbers.premium"),
        ("[prices]\ndefaults = \"1 USD\"", "prices.defaults"),
        ("[prices.US]\nfax = \"1 USD\"", "prices.US.fax"),
        (
            "[[network]]\ncidr = \"203.0.113.0/24\"\nlimit = {}",
            "network[0].limit",
        ),
        ("[email]\nplus = \"same\"", "email.plus"),
        ("[privacy]\ndisclose = \"open\"", "privacy.disclose"),
        ("[proof]\nlife = \"5m\"", "proof.life"),
        ("[device]\nlife = \"5m\"", "device.life"),
        ("[tests]\ndestinations = []", "tests.destinations"),
        ("[twilio]\naccount_sid = \"x\"", "twilio"),
        ("[verify]\nservice = \"x\"", "verify.service"),
        ("[rate_limits]\nsend_per_ip = 5", "rate_limits.send_per_ip"),
        ("[fraud_guard]\nblock = true", "fraud_guard.block"),
        ("[logging]\nlog_level = \"info\"", "logging"),
        (
            "[services.acme]\nverify_service_sid = \"x\"",
            "services.acme.verify_service_sid",
        ),
        ("[services.acme]\nversion = 1", "services.acme.version"),
        ("[services.acme.code]\nlenght = 6", "services.acme.code.lenght"),
        (
            "[services.\"a.b\".code]\nlenght = 6",
            "services.\"a.b\".code.lenght",
        ),
        ("[purposes.login.code]\nlength = 6", "purposes.login"),
        (
            "[purposes.sign_in.lockout]\nforget_after = \"1d\"",
            "purposes.sign_in.lockout",
        ),
        (
            "[services.acme.purposes.sign_in]\nlimit = []",
            "services.acme.purposes.sign_in.limit",
        ),
    ] {
        assert!(
            faulty_keys(text).contains(&key.to_owned()),
            "{text}\n{:?}",
            faulty_keys(text)
        );
    }
}

#[test]
fn i60_a_limit_cannot_have_the_name_of_a_lockout() {
    for name in ["lockout_destination", "lockout_subject"] {
        let text = format!(
            "version = 1\n[[limit]]\nname = \"{name}\"\ncounts = \"checks\"\nby = [\"destination\"]\nmax = 5\nper = \"10m\"\n"
        );
        let errors = PolicySet::from_toml(&text).unwrap_err().to_string();
        assert!(errors.contains("a lockout has this name"), "{errors}");
    }
}

#[test]
// long because it is a table: one line a fault
fn values_out_of_bounds_or_of_another_kind_are_named() {
    for (section, line) in [
        ("", "version = 2"),
        ("code", "length = 3"),
        ("code", "length = 11"),
        ("code", "length = 5"),
        ("code", "length = 300"),
        ("code", "length = \"6\""),
        ("code", "length = 6.0"),
        ("code", "ttl = 600"),
        ("code", "ttl = \"600\""),
        ("code", "ttl = \"0s\""),
        ("code", "ttl = \"-5m\""),
        ("code", "ttl = \"11m\""),
        ("code", "ttl = \"99999999999999999999h\""),
        ("code", "resend = \"newer\""),
        ("code", "allow_short = \"yes\""),
        ("channels", "default = \"whatsapp\""),
        ("channels", "default = \"fax\""),
        ("channels", "enabled = []"),
        ("channels", "enabled = [\"sms\", \"sms\"]"),
        ("channels", "enabled = \"sms\""),
        ("channels", "fallback = [\"whatsapp\"]"),
        ("channels", "fallback_after = \"0s\""),
        ("channels", "automatic = true"),
        ("channels", "at_end = \"none\""),
        ("channels", "default_locale = \"en_US\""),
        ("channels", "default_locale = \"e\""),
        ("channels", "default_country = \"USA\""),
        ("lockout", "forget_after = \"30m\""),
        ("lockout", "waits = [60]"),
        ("risk", "enabled = 1"),
        ("risk", "high = \"block\""),
        ("risk", "step_up = []\nmedium = \"step_up\""),
        ("risk", "step_up = [\"\"]"),
        ("risk", "unenrolled = \"ask\""),
        ("risk", "thresholds = { medium = 81, high = 80 }"),
        ("countries", "default = \"deny\""),
        ("countries", "block = [\"USA\"]"),
        ("countries", "block = [\"US\", \"us\"]"),
        ("numbers", "premium_rate = false"),
        ("prices", "default = 0.10"),
        ("prices", "default = \"0.10\""),
        ("prices", "default = \"-1 USD\""),
        ("prices", "default = \"0.0000001 USD\""),
        ("email", "plus_tags = true"),
        ("email", "dots = \"same\""),
        ("email", "dotless_domains = [\"no domain\"]"),
        ("email", "disposable = \"deny\""),
        ("privacy", "disclosure = \"closed\""),
        ("privacy", "last_digits = 3"),
        ("proof", "ttl = \"0s\""),
        ("device", "ttl = \"90\""),
    ] {
        let key = line.split(' ').next().unwrap();
        let (text, path) = match section {
            "" => (line.to_owned(), key.to_owned()),
            section => (format!("[{section}]\n{line}"), format!("{section}.{key}")),
        };
        assert_eq!(faulty_keys(&text), [path], "{text}");
    }
    for (text, path) in [
        ("[risk.thresholds]\nhigh = 101", "risk.thresholds.high"),
        ("[lockout.waits]\n0 = \"60s\"", "lockout.waits.0"),
        ("[lockout.waits]\n01 = \"60s\"", "lockout.waits.01"),
        ("[lockout.waits]\n1 = \"soon\"", "lockout.waits.1"),
        ("[countries.US]\nchannels = []", "countries.US.channels"),
        ("[countries.US]\nchannels = [\"fax\"]", "countries.US.channels"),
        ("code = 6", "code"),
        ("services = []", "services"),
        ("[services]\n\"a b\" = {}", "services.\"a b\""),
        ("limit = 5", "limit"),
        ("limit = [5]", "limit[0]"),
    ] {
        assert_eq!(faulty_keys(text), [path], "{text}");
    }
}

#[test]
fn limits_that_cannot_be_are_named() {
    let limit = |lines: &str| format!("[[limit]]\nname = \"mine\"\n{lines}");
    let whole = "counts = \"sends\"\nby = [\"ip\"]\nmax = 5\nper = \"10m\"";
    assert_eq!(faulty_keys(&limit(whole)), [""; 0]);
    for (from, to, key) in [
        ("counts = \"sends\"", "", "counts"),
        ("by = [\"ip\"]", "", "by"),
        ("max = 5", "", "max"),
        ("per = \"10m\"", "", "per"),
        ("by = [\"ip\"]", "by = []", "by"),
        ("by = [\"ip\"]", "by = [\"ip\", \"ip\"]", "by"),
        ("by = [\"ip\"]", "by = \"ip\"", "by"),
        ("by = [\"ip\"]", "by = [\"ip\"]\nor_by = \"ip\"", "or_by"),
        ("max = 5", "max = 5\npurposes = []", "purposes"),
        ("max = 5", "max = 5\npurposes = [\"login\"]", "purposes"),
        (
            "max = 5",
            "max = 5\npurposes = [\"recovery\", \"recovery\"]",
            "purposes",
        ),
        ("max = 5", "max = 5\npurposes = \"recovery\"", "purposes"),
        ("max = 5", "max = \"5 USD\"", "max"),
        ("per = \"10m\"", "per = \"0m\"", "per"),
        ("per = \"10m\"", "per = \"10m\"\nthen = \"block\"", "then"),
    ] {
        assert_eq!(
            faulty_keys(&limit(&whole.replace(from, to))),
            [format!("limit.mine.{key}")],
            "{to}"
        );
    }
    assert_eq!(faulty_keys("[[limit]]\nmax = 5"), ["limit[0].name"]);
    let twice = "[[limit]]\nname = \"sends_per_ip\"\nmax = 6\n[[limit]]\nname = \"sends_per_ip\"\nmax = 7";
    assert_eq!(faulty_keys(twice), ["limit.sends_per_ip"]);
    let gap = "[[limit]]\nname = \"resend_gap\"\nby = [\"ip\"]";
    assert_eq!(faulty_keys(gap), ["limit.resend_gap.by"]);
}

#[test]
fn money_needs_a_price_and_one_currency() {
    let spend = "[[limit]]\nname = \"spend\"\ncounts = \"spend\"\nby = [\"service\"]\nper = \"24h\"\nmax = \"25 USD\"\n";
    assert_eq!(faulty_keys(spend), ["prices.default"]);
    assert_eq!(
        faulty_keys(&format!("{spend}[prices]\ndefault = \"0.10 EUR\"")),
        ["prices.default", "prices.default"]
    );
    assert_eq!(
        faulty_keys(&format!("{spend}[prices]\ndefault = \"0.10 USD\"")),
        [""; 0]
    );
    let number = spend.replace("\"25 USD\"", "25");
    assert!(faulty_keys(&number).contains(&"limit.spend.max".to_owned()));
    let nothing = spend.replace("\"25 USD\"", "\"0 USD\"");
    assert!(faulty_keys(&nothing).contains(&"limit.spend.max".to_owned()));
    let in_service = "[prices]\ndefault = \"1 USD\"\n[services.acme.prices]\ndefault = \"1 EUR\"";
    assert_eq!(faulty_keys(in_service), ["services.acme.prices.default"]);
    let turned = "[prices]\ndefault = \"1 USD\"\n[[limit]]\nname = \"sends_per_ip\"\ncounts = \"spend\"";
    assert_eq!(faulty_keys(turned), ["limit.sends_per_ip.max"]);
}

/// A store may be a script whose numbers are doubles: it must hold every count and every amount exactly.
#[test]
fn what_a_double_cannot_hold_is_refused() {
    let count = |max: &str| format!("[[limit]]\nname = \"sends_per_ip\"\nmax = {max}");
    let spend = |max: &str| {
        format!(
            "[prices]\ndefault = \"1 USD\"\n[[limit]]\nname = \"spend\"\ncounts = \"spend\"\nby = [\"service\"]\nper = \"1h\"\nmax = \"{max} USD\""
        )
    };
    let network =
        |max: &str| format!("[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = {{ sends_per_ip = {max} }}");
    let price = |price: &str| format!("[prices]\ndefault = \"{price} USD\"");
    let a_count = "at most 9007199254740991 (2^53 - 1), or \"unlimited\", would do";
    let an_amount = "at most \"9007199254.740991 USD\" would do";
    let (most, more) = ("9007199254740991", "9007199254740992");
    let (most_money, more_money) = ("9007199254.740991", "9007199254.740992");
    for (fits, too_much, fault) in [
        (
            count(most),
            count(more),
            format!("limit.sends_per_ip.max: found {more}; {a_count}"),
        ),
        (
            network(most),
            network(more),
            format!("network[0].limits.sends_per_ip: found {more}; {a_count}"),
        ),
        (
            spend(most_money),
            spend(more_money),
            format!("limit.spend.max: found \"{more_money} USD\"; {an_amount}"),
        ),
        (
            price(most_money),
            price(more_money),
            format!("prices.default: found \"{more_money} USD\"; {an_amount}"),
        ),
        (
            price("0"),
            price("99999999999999999999"),
            format!("prices.default: found \"99999999999999999999 USD\"; {an_amount}"),
        ),
    ] {
        let loaded = PolicySet::from_toml(&fits).unwrap();
        assert_eq!(PolicySet::from_toml(&loaded.policies.to_toml()).unwrap(), loaded);
        let errors = PolicySet::from_toml(&too_much).unwrap_err().to_string();
        assert!(errors.lines().any(|line| line == fault), "{errors}");
    }
}

#[test]
fn what_a_double_cannot_hold_is_refused_from_code_too() {
    let errors_of = |change: fn(&mut Policy)| {
        let mut policy = Policy::default();
        policy.prices.currency = Some("USD".into());
        change(&mut policy);
        let set = PolicySet {
            default: policy.into(),
            ..PolicySet::default()
        };
        set.check()
            .map_or_else(|errors| errors.to_string(), |_| String::new())
    };
    assert_eq!(
        errors_of(|policy| policy.limits[0].max = Max::Units((1 << 53) - 1)),
        ""
    );
    assert_eq!(
        errors_of(|policy| policy.limits[0].max = Max::Units(1 << 53)),
        "limit.sends_per_ip.max: a number of at most 9007199254740991 (2^53 - 1), or \"unlimited\", would do"
    );
    assert_eq!(
        errors_of(|policy| policy.prices.default = Some(1 << 53)),
        "prices.default: at most \"9007199254.740991 USD\" would do"
    );
    assert_eq!(
        errors_of(|policy| {
            let us = Country::new("US").unwrap();
            policy.prices.listed.insert((us, None), 1 << 53);
        }),
        "prices.US.default: at most \"9007199254.740991 USD\" would do"
    );
}

#[test]
fn networks_change_limits_by_ip_alone() {
    let network =
        |cidr: &str, limits: &str| format!("[[network]]\ncidr = \"{cidr}\"\nlimits = {{ {limits} }}");
    assert_eq!(
        faulty_keys(&network("203.0.113.0/24", "sends_per_ip = 5000")),
        [""; 0]
    );
    assert_eq!(
        faulty_keys(&network("2001:db8::/32", "sends_per_ip = 5000")),
        [""; 0]
    );
    for (cidr, limits, key) in [
        ("203.0.113.5/24", "sends_per_ip = 5000", "cidr"),
        ("203.0.113.5", "sends_per_ip = 5000", "cidr"),
        ("203.0.113.0/24", "sends_per_pi = 5000", "limits.sends_per_pi"),
        (
            "203.0.113.0/24",
            "sends_per_subject = 5000",
            "limits.sends_per_subject",
        ),
        ("203.0.113.0/24", "sends_per_ip = 0", "limits.sends_per_ip"),
    ] {
        let keys = faulty_keys(&network(cidr, limits));
        assert!(
            keys.contains(&format!("network[0].{key}")),
            "{cidr} {limits} {keys:?}"
        );
    }
    assert_eq!(
        faulty_keys("[[network]]\nlimits = { sends_per_ip = 50 }"),
        ["network[0].cidr"]
    );
}

#[test]
fn test_destinations_need_everything_and_are_never_repeated() {
    let whole = "[[tests.destination]]\nto = \"+12025550190\"\ncode = \"424242\"\nuntil = 2026-12-31\n";
    assert_eq!(faulty_keys(whole), [""; 0]);
    for (from, to, key) in [
        ("until = 2026-12-31", "", "until"),
        ("code = \"424242\"", "", "code"),
        ("to = \"+12025550190\"", "", "to"),
        ("2026-12-31", "2026-12-31T10:00:00Z", "until"),
        ("2026-12-31", "\"2026-02-30\"", "until"),
        ("\"424242\"", "\"42424\"", "code"),
        ("\"424242\"", "424242", "code"),
        ("\"424242\"", "\"42424x\"", "code"),
        ("+12025550190", "2025550190", "to"),
        ("+12025550190", "+12025550", "to"),
        ("+12025550190", "ann@", "to"),
    ] {
        let text = whole.replace(from, to);
        let errors = PolicySet::from_toml(&text).unwrap_err();
        assert_eq!(
            errors.faults().next().unwrap().0,
            format!("tests.destination[0].{key}"),
            "{text}"
        );
        let shown = errors.to_string();
        assert!(
            !shown.contains("4242") && !shown.contains("0190") && !shown.contains("ann"),
            "{shown}"
        );
    }
    assert_eq!(faulty_keys(&whole.repeat(2)), ["tests.destination[1].to"]);
}

#[test]
fn codes_live_longer_where_only_mail_carries_them() {
    let mail = "[channels]\nenabled = [\"email\"]\ndefault = \"email\"\n[code]\nttl = ";
    assert_eq!(faulty_keys(&format!("{mail}\"24h\"")), [""; 0]);
    assert_eq!(faulty_keys(&format!("{mail}\"25h\"")), ["code.ttl"]);
    let purpose = "[purposes.sign_up]\ncode = { ttl = \"1h\" }";
    assert_eq!(faulty_keys(purpose), ["purposes.sign_up.code.ttl"]);
    let short = "[code]\nlength = 4\nallow_short = true";
    assert_eq!(
        PolicySet::from_toml(short).unwrap().warnings,
        ["code.length: codes have only 4 digits"]
    );
}

#[test]
fn all_faults_are_reported_at_once_and_each_says_what_would_do() {
    let errors = PolicySet::from_toml(
        "[code]\nlength = 12\n[[limit]]\nname = \"sends_per_ip\"\nmax = 0\n[services.acme.code]\nlength = true\n[typo]\n",
    )
    .unwrap_err();
    assert_eq!(
        errors.to_string().lines().take(3).collect::<Vec<_>>(),
        [
            "code.length: found 12; a whole number from 4 to 10 would do",
            "limit.sends_per_ip.max: found 0; a whole number of at least 1, or \"unlimited\", would do",
            "services.acme.code.length: found true; a whole number from 4 to 10 would do",
        ]
    );
    let typo = errors.faults().last().unwrap();
    assert_eq!(typo.0, "typo");
    assert!(
        typo.1.starts_with("unknown key; known here: channels, code, "),
        "{}",
        typo.1
    );
}

#[test]
fn what_a_service_inherits_is_named_once() {
    assert_eq!(
        faulty_keys(
            "[channels]\nfallback = [\"whatsapp\"]\n[services.acme.code]\nlength = 8\n[purposes.sign_in]\n"
        ),
        ["channels.fallback"]
    );
    assert_eq!(
        faulty_keys("[services.acme.channels]\nenabled = [\"call\"]"),
        ["services.acme.channels.default"]
    );
}

#[test]
fn a_policy_built_in_code_is_checked_as_strictly() {
    let keys_of = |change: fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        let set = PolicySet {
            default: policy.into(),
            ..PolicySet::default()
        };
        let errors = set.check().unwrap_err();
        errors.faults().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys_of(|policy| policy.code.length = 2), ["code.length"]);
    assert_eq!(
        keys_of(|policy| policy.limits[0].max = Max::Units(0)),
        ["limit.sends_per_ip.max"]
    );
    assert_eq!(
        keys_of(|policy| policy.limits[0].by.clear()),
        ["limit.sends_per_ip.by"]
    );
    assert_eq!(
        keys_of(|policy| policy.limits[1].name = policy.limits[0].name.clone()),
        ["limit.sends_per_ip.name"]
    );
    assert_eq!(
        keys_of(|policy| policy.risk.medium_from = 101),
        ["risk.thresholds"]
    );
    assert_eq!(keys_of(|policy| policy.prices.default = Some(1)), ["prices"]);
    assert_eq!(
        keys_of(|policy| policy.privacy.last_digits = 4),
        ["privacy.last_digits"]
    );
    assert_eq!(
        keys_of(|policy| policy.proof_ttl = std::time::Duration::ZERO),
        ["proof.ttl"]
    );
}
