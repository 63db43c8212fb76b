//! A key that changes nothing is said to, whatever noun it belongs to.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use verify_core::policy::PolicySet;
use verify_core::time::Timestamp;

fn warnings(text: &str) -> Vec<String> {
    PolicySet::from_toml(text).unwrap().warnings
}

#[test]
// long because one table of all nouns
fn i137_a_key_without_effect_is_named_at_start() {
    for (key, text) in [
        ("countries.allow", "[countries]\nallow = [\"US\"]"),
        (
            "countries.block",
            "[countries]\ndefault = \"block\"\nblock = [\"US\"]",
        ),
        (
            "countries.US.channels",
            "[countries]\nblock = [\"US\"]\n[countries.US]\nchannels = [\"sms\"]",
        ),
        (
            "countries.US.channels",
            "[countries.US]\nchannels = [\"sms\", \"email\"]",
        ),
        (
            "countries.US.channels",
            "[countries.US]\nchannels = [\"sms\", \"call\", \"whatsapp\"]",
        ),
        ("lockout.waits", "[lockout]\nwaits = { 1 = \"15m\", 5 = \"60s\" }"),
        ("lockout.waits", "[lockout]\nwaits = { 1 = \"60s\", 5 = \"60s\" }"),
        (
            "lockout.waits",
            "[lockout]\nwaits = { 1 = \"never\", 5 = \"60s\" }",
        ),
        ("code.allow_short", "[code]\nallow_short = true"),
        ("channels.default", "[channels]\ndefault = \"email\""),
        (
            "channels.fallback",
            "[channels]\nfallback = []\nfallback_after = \"45s\"",
        ),
        (
            "channels.fallback",
            "[channels]\nfallback = []\nautomatic = \"always\"",
        ),
        ("channels.fallback_after", "[channels]\nfallback_after = \"10m\""),
        (
            "channels.automatic",
            "[privacy]\ndisclosure = \"private\"\n[channels]\nautomatic = \"always\"",
        ),
        (
            "channels.default_country",
            "[channels]\ndefault = \"email\"\nenabled = [\"email\"]\ndefault_country = \"US\"",
        ),
        ("risk.enabled", "[risk]\nenabled = false\nhigh = \"proceed\""),
        ("risk.step_up", "[risk]\nstep_up = [\"passkey\"]"),
        ("risk.step_up", "[risk]\nunenrolled = \"enroll\""),
        (
            "risk.thresholds",
            "[risk]\nthresholds = { medium = 80, high = 80 }",
        ),
        (
            "limit.sends_per_destination.or_by",
            "[[limit]]\nname = \"sends_per_destination\"\nor_by = \"ip\"",
        ),
        (
            "limit.mine.purposes",
            "[[limit]]\nname = \"mine\"\ncounts = \"sends\"\nby = [\"ip\"]\nmax = 1\nper = \"1h\"\n\
             purposes = [\"manage\", \"sign_in\", \"sign_up\", \"change_destination\", \"recovery\", \"transaction\"]",
        ),
        (
            "limit.sends_per_ip.purposes",
            "[[limit]]\nname = \"sends_per_ip\"\npurposes = [\"sign_in\"]",
        ),
        (
            "limit.checks_per_ip.then",
            "[[limit]]\nname = \"checks_per_ip\"\nthen = \"human_check\"",
        ),
        (
            "network[0].limits.sends_per_ip",
            "[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_ip = 5 }",
        ),
        (
            "network[1].limits.sends_per_ip",
            "[[network]]\ncidr = \"203.0.0.0/16\"\nlimits = { sends_per_ip = 50 }\n\
             [[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_ip = 500 }",
        ),
        (
            "network[0].cidr",
            "[[network]]\ncidr = \"64:ff9b::/96\"\nlimits = { sends_per_ip = 50 }",
        ),
        (
            "network[0].cidr",
            "[[network]]\ncidr = \"::ffff:203.0.113.0/120\"\nlimits = { sends_per_ip = 50 }",
        ),
        ("prices", "[prices]\ndefault = \"0.10 USD\""),
        (
            "email",
            "[channels]\nenabled = [\"sms\"]\n[email]\ndisposable = \"block\"",
        ),
        ("purposes.recovery", "[purposes.recovery.code]\nlength = 6"),
        (
            "services.shop.countries.allow",
            "[services.shop.countries]\nallow = [\"US\"]",
        ),
        (
            "purposes.recovery.risk.step_up",
            "[purposes.recovery.risk]\nstep_up = [\"passkey\"]",
        ),
    ] {
        let found = warnings(text);
        assert!(
            found.iter().any(|line| line.starts_with(&format!("{key}: "))),
            "{text}\n{found:?}"
        );
    }
}

#[test]
fn i137_what_has_an_effect_is_not_complained_about() {
    for text in [
        "",
        "[countries]\ndefault = \"block\"\nallow = [\"US\"]",
        "[countries.US]\nchannels = [\"sms\"]",
        "[lockout]\nwaits = { 1 = \"0s\", 5 = \"60s\", 9 = \"never\" }",
        "[code]\nlength = 8",
        "[risk]\nenabled = false",
        "[risk]\nmedium = \"step_up\"\nstep_up = [\"passkey\"]",
        "[channels]\nat_end = \"step_up\"\n[risk]\nstep_up = [\"passkey\"]",
        "[[network]]\ncidr = \"203.0.113.0/24\"\nlimits = { sends_per_ip = 500 }\n\
         [[network]]\ncidr = \"203.0.0.0/16\"\nlimits = { sends_per_ip = 50 }",
        "[purposes.recovery.code]\nlength = 8",
        "[[limit]]\nname = \"mine\"\ncounts = \"sends\"\nby = [\"ip\"]\nmax = 1\nper = \"1h\"\npurposes = [\"recovery\"]",
        "[[limit]]\nname = \"sends_per_ip\"\npurposes = \"all\"",
    ] {
        assert_eq!(warnings(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn i137_a_test_destination_whose_date_is_over_is_named() {
    let text = "[[tests.destination]]\nto = \"+12025550190\"\ncode = \"424242\"\nuntil = \"2026-12-31\"\n[services.shop]\n";
    let policies = PolicySet::from_toml(text).unwrap().policies;
    // 2027-01-01T00:00:00Z.
    let over = Timestamp::from_millis(1_798_761_600_000);
    let before = Timestamp::from_millis(over.as_millis() - 1);
    assert_eq!(policies.notes_at(before), Vec::<String>::new());
    let notes = policies.notes_at(over);
    assert!(
        notes.len() == 1 && notes[0].starts_with("tests.destination[0].until: 2026-12-31 is over"),
        "{notes:?}"
    );
    assert!(
        !notes[0].contains("2025550190") && !notes[0].contains("424242"),
        "{notes:?}"
    );
}
