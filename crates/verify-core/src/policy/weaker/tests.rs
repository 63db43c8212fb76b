use super::*;

fn policies(text: &str) -> PolicySet {
    PolicySet::from_toml(text).unwrap().policies
}

/// Each row: what held, what would hold, and what is named of it; nothing the other way round.
const WEAKER: [(&str, &str, &str); 43] = [
    (
        "",
        "[[limit]]\nname = \"sends_per_ip\"\nmax = \"unlimited\"",
        "limit.sends_per_ip.max: unlimited",
    ),
    (
        "",
        "[[limit]]\nname = \"sends_per_ip\"\nmax = 11",
        "limit.sends_per_ip.max: 11 in 10m, and it was 5 in 10m",
    ),
    (
        "",
        "[[limit]]\nname = \"sends_per_ip\"\nper = \"4m\"",
        "limit.sends_per_ip.max: 5 in 4m, and it was 5 in 10m",
    ),
    (
        "",
        "[[limit]]\nname = \"sends_per_ip\"\nthen = \"alert\"",
        "limit.sends_per_ip.then: alert, and it was refuse",
    ),
    (
        "",
        "[[limit]]\nname = \"sends_per_ip\"\nthen = \"human_check\"",
        "limit.sends_per_ip.then: human_check, and it was refuse",
    ),
    (
        "",
        "[[limit]]\nname = \"sends_per_ip\"\nby = [\"ip\", \"destination\"]",
        "limit.sends_per_ip.by: does not count together any more what it did",
    ),
    (
        "",
        "[[limit]]\nname = \"checks_per_identity\"\nor_by = \"none\"",
        "limit.checks_per_identity.or_by: skipped where what it counts by is missing",
    ),
    (
        "",
        "[[limit]]\nname = \"sends_per_ip\"\npurposes = [\"sign_in\", \"sign_up\", \"manage\"]",
        "limit.sends_per_ip.purposes: off for change_destination, recovery, transaction",
    ),
    (
        "[[limit]]\nname = \"mine\"\ncounts = \"sends\"\nby = [\"ip\"]\nmax = 1\nper = \"1h\"",
        "",
        "limit.mine: gone",
    ),
    (
        "[prices]\ndefault = \"0.1 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"10 EUR\"\nper = \"24h\"",
        "[prices]\ndefault = \"0.1 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"21 EUR\"\nper = \"24h\"",
        "limit.money.max: ",
    ),
    (
        "",
        "[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_ip = 11 }",
        "network.203.0.113.0/24.sends_per_ip: more than twice as much as before",
    ),
    // As much in a week, and a thousand times as much at once.
    (
        "",
        "[[limit]]\nname = \"sends_per_ip\"\nmax = 5040\nper = \"7d\"",
        "limit.sends_per_ip.max: 5040 in 7d, and it was 5 in 10m",
    ),
    (
        "",
        "[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_network = \"unlimited\" }",
        "network.203.0.113.0/24.sends_per_network: more than twice as much as before",
    ),
    // A network that was held shorter than the others is named no more, or only a part of it.
    (
        "[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_ip = 1 }",
        "",
        "network.203.0.113.0/24.sends_per_ip: more than twice as much as before",
    ),
    (
        "[[network]]\ncidr = \"2001:db8::/32\"\nlimits = { sends_per_ip = 1 }",
        "[[network]]\ncidr = \"2001:db8:0::/33\"\nlimits = { sends_per_ip = 1 }",
        "network.2001:db8::/32.sends_per_ip: more than twice as much as before",
    ),
    // The first that holds an address decides.
    (
        "[[network]]\ncidr = \"10.0.0.0/8\"\nlimits = { sends_per_ip = 1 }",
        "[[network]]\ncidr = \"10.1.0.0/16\"\nlimits = { sends_per_ip = 5 }\n\
         [[network]]\ncidr = \"10.0.0.0/8\"\nlimits = { sends_per_ip = 1 }",
        "network.10.1.0.0/16.sends_per_ip: more than twice as much as before",
    ),
    (
        "[prices]\ndefault = \"0.1 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"10 EUR\"\nper = \"24h\"",
        "[prices]\ndefault = \"0.04 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"10 EUR\"\nper = \"24h\"",
        "prices.default: less than half",
    ),
    (
        "[prices]\ndefault = \"0.1 EUR\"\nDE.call = \"0.9 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"10 EUR\"\nper = \"24h\"",
        "[prices]\ndefault = \"0.1 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"10 EUR\"\nper = \"24h\"",
        "prices.DE.call: less than half",
    ),
    (
        "[prices]\ndefault = \"0.1 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"10 EUR\"\nper = \"24h\"",
        "[prices]\ndefault = \"0.1 EUR\"\nDE = \"0.01 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"service\"]\nmax = \"10 EUR\"\nper = \"24h\"",
        "prices.DE.sms: less than half",
    ),
    (
        "",
        "[lockout]\nwaits = \"unlimited\"",
        "lockout.waits: none after 1 failures, and it was 60s",
    ),
    (
        "",
        "[lockout]\nwaits = { 1 = \"30s\", 5 = \"15m\", 10 = \"60m\", 100 = \"never\" }",
        "lockout.waits: 30s after 1 failures, and it was 60s",
    ),
    (
        "",
        "[lockout]\nwaits = { 1 = \"60s\", 6 = \"15m\", 10 = \"60m\", 100 = \"never\" }",
        "lockout.waits: 60s after 5 failures, and it was 15m",
    ),
    (
        "",
        "[lockout]\nwaits = { 1 = \"60s\", 5 = \"15m\", 10 = \"60m\" }",
        "lockout.waits: 1h after 100 failures, and it was never",
    ),
    (
        "",
        "[lockout]\nforget_after = \"15d\"",
        "lockout.forget_after: half as long or less",
    ),
    (
        "",
        "[code]\nlength = 5\nallow_short = true",
        "code.length: 5 digits, and it was 6",
    ),
    (
        "[code]\nttl = \"4m\"",
        "[code]\nttl = \"9m\"",
        "code.ttl: more than twice as long",
    ),
    (
        "[channels]\nenabled = [\"sms\"]",
        "",
        "channels.enabled: call is no longer refused",
    ),
    (
        "[countries]\nblock = [\"KP\"]",
        "",
        "countries.KP: allow, and it was block",
    ),
    (
        "[countries]\nblock = [\"KP\"]",
        "[countries]\nhuman_check = [\"KP\"]",
        "countries.KP: human_check, and it was block",
    ),
    (
        "[countries]\nhuman_check = [\"KP\"]",
        "",
        "countries.KP: allow, and it was human_check",
    ),
    (
        "[countries]\ndefault = \"block\"\nallow = [\"US\"]",
        "[countries]\ndefault = \"block\"\nallow = [\"US\", \"FR\"]",
        "countries.FR: allow, and it was block",
    ),
    (
        "[countries]\ndefault = \"block\"\nallow = [\"US\"]",
        "",
        "countries.default: allow, and it was block",
    ),
    (
        "[countries.DE]\nchannels = [\"call\"]",
        "",
        "countries.DE.channels: sms is no longer refused",
    ),
    (
        "",
        "[numbers]\npremium_rate = \"allow\"",
        "numbers.premium_rate: no longer refused",
    ),
    (
        "[email]\ndisposable = \"block\"",
        "",
        "email.disposable: no longer refused",
    ),
    (
        "",
        "[email]\nplus_tags = \"distinct\"",
        "email.plus_tags: each tag has limits of its own",
    ),
    (
        "",
        "[risk]\nenabled = false",
        "risk.enabled: the scorer is not asked any more",
    ),
    (
        "",
        "[risk]\nhigh = \"step_up\"",
        "risk.high: step_up, and it was refuse",
    ),
    (
        "[risk]\nunavailable = \"refuse\"",
        "",
        "risk.unavailable: proceed, and it was refuse",
    ),
    (
        "",
        "[risk]\nthresholds = { medium = 60 }",
        "risk.thresholds: reached later",
    ),
    (
        "[privacy]\ndisclosure = \"private\"",
        "",
        "privacy.disclosure: no longer private",
    ),
    (
        "",
        "[[tests.destination]]\nto = \"+12025550199\"\ncode = \"424242\"\nuntil = \"2099-01-01\"",
        "tests.destination: 1 added, or for longer",
    ),
    (
        "[purposes.transaction.risk]\nlow = \"refuse\"",
        "",
        "purposes.transaction.risk.low: proceed, and it was refuse",
    ),
];

#[test]
fn what_became_weaker_is_named_and_what_became_stricter_is_not() {
    for (before, after, named) in WEAKER {
        let (before, after) = (policies(before), policies(after));
        let found = after.weaker_than(&before);
        assert!(
            found.iter().any(|line| line.starts_with(named)),
            "{named}: {found:?}"
        );
        assert!(
            !found
                .iter()
                .any(|line| line.contains("424242") || line.contains("5550199"))
        );
        let back = before.weaker_than(&after);
        assert!(
            !back
                .iter()
                .any(|line| line.split(':').next() == named.split(':').next()),
            "{named}: {back:?}"
        );
    }
}

#[test]
fn what_is_as_strict_is_not_named() {
    for (before, after) in [
        ("", ""),
        ("", "[[limit]]\nname = \"sends_per_ip\"\nmax = 10"),
        ("", "[[limit]]\nname = \"sends_per_ip\"\nmax = 10\nper = \"20m\""),
        ("", "[[limit]]\nname = \"sends_per_ip\"\nmax = 1"),
        (
            "",
            "[lockout]\nwaits = { 1 = \"31s\", 5 = \"15m\", 10 = \"60m\", 100 = \"never\" }",
        ),
        ("", "[countries]\nmonitor = [\"FR\"]"),
        // Half of what everybody may is no less than before; and what limits nothing may cost anything.
        (
            "[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_ip = 4 }",
            "",
        ),
        (
            "[prices]\ndefault = \"0.1 EUR\"",
            "[prices]\ndefault = \"0.01 EUR\"",
        ),
        ("", "[channels]\nfallback_after = \"60s\"\ndefault = \"call\""),
        (
            "[[limit]]\nname = \"sends_per_ip\"\nmax = \"unlimited\"",
            "[[limit]]\nname = \"sends_per_ip\"\nmax = 100000",
        ),
    ] {
        let found = policies(after).weaker_than(&policies(before));
        assert!(found.is_empty(), "{before} {after}: {found:?}");
    }
}

#[test]
fn a_service_is_named_for_what_it_alone_gives_up() {
    let found = |before: &str, after: &str| policies(after).weaker_than(&policies(before));
    let (loose, none) = ("[numbers]\npremium_rate = \"allow\"", "");
    assert_eq!(found(none, loose), ["numbers.premium_rate: no longer refused"]);
    let of_shop = "[services.shop.numbers]\npremium_rate = \"allow\"";
    let named = ["services.shop.numbers.premium_rate: no longer refused"];
    assert_eq!(found(none, of_shop), named);
    // A service that was stricter than the default, and is not there any more.
    let strict = "[numbers]\npremium_rate = \"allow\"\n[services.shop.numbers]\npremium_rate = \"block\"";
    assert_eq!(found(strict, loose), named);
}
