//! The policy reference says what the parser does: its listing is the default policy, and it has every key.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not product code"
)]

use verify_core::policy::PolicySet;

const MANUAL: &str = include_str!("../../../docs/policy.md");

/// A file in which every section that there is has a key that nobody knows.
const ONE_UNKNOWN_KEY_EACH: &str = r#"
zz = 1
code.zz = 1
channels.zz = 1
limit = [{ name = "sends_per_ip", zz = 1 }]
lockout.zz = 1
risk = { zz = 1, thresholds = { zz = 1 } }
countries.US.zz = 1
numbers.zz = 1
prices.US.zz = "1 USD"
network = [{ cidr = "203.0.113.0/24", limits = { sends_per_ip = 5 }, zz = 1 }]
email.zz = 1
privacy.zz = 1
proof.zz = 1
device.zz = 1
tests = { zz = 1, destination = [{ to = "+12025550190", code = "424242", until = 2026-12-31, zz = 1 }] }
services.ID.zz = 1
purposes.recovery.zz = 1
verify.zz = 1
rate_limits.zz = 1
fraud_guard.zz = 1
"#;

/// Sections whose keys are named by the writer of the file, or have a table of their own in the page.
const NO_KEYS_OF_THEIR_OWN: [&str; 2] = ["services", "purposes"];

fn listing() -> &'static str {
    let (_, rest) = MANUAL.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_listing_is_the_default_policy() {
    assert_eq!(
        PolicySet::from_toml(listing()).unwrap().policies,
        PolicySet::default()
    );
    // Equal policies could hide a key that is missing; equal tables cannot.
    let printed: toml::Table = toml::from_str(&PolicySet::default().to_toml()).unwrap();
    assert_eq!(toml::from_str::<toml::Table>(listing()).unwrap(), printed);
}

#[test]
fn the_page_has_every_key_that_the_parser_knows() {
    let errors = PolicySet::from_toml(ONE_UNKNOWN_KEY_EACH).unwrap_err();
    let mut sections = Vec::new();
    let mut root = Vec::new();
    for (key, message) in errors.faults() {
        let Some((_, known)) = message.split_once("known here: ") else {
            panic!("{key}: {message}")
        };
        let section = key.strip_suffix("zz").unwrap().trim_end_matches('.');
        let known = known.split(", ").map(str::to_owned);
        if section.is_empty() {
            root = known.collect()
        } else {
            sections.push((section.to_owned(), known))
        }
    }
    assert!(root.len() > 15, "{root:?}");
    for section in root.iter().filter(|key| *key != "version") {
        let visited = sections
            .iter()
            .any(|(visited, _)| visited.split(['.', '[']).next() == Some(section));
        assert!(visited, "no unknown key was put into {section}");
    }
    for (section, known) in sections {
        for key in known {
            let path = page_path(&section, &key);
            let is_table =
                ["code", "channels", "risk", "thresholds"].contains(&key.as_str()) && section != "verify";
            if section == "services.ID" && root.contains(&key) && key != "purposes" || is_table {
                continue;
            }
            assert!(
                MANUAL.contains(&format!("| `{path}` |")),
                "{path} is not in the page"
            );
        }
    }
    for name in NO_KEYS_OF_THEIR_OWN {
        assert!(MANUAL.contains(&format!("| `{name}.")), "{name}");
    }
}

/// How the page names a key.
fn page_path(section: &str, key: &str) -> String {
    let section = match section {
        "limit.sends_per_ip" => "limit",
        "network[0]" => "network",
        "tests.destination[0]" => "tests.destination",
        "countries.US" => "countries.XX",
        "prices.US" => "prices.XX",
        "purposes.recovery" => "purposes.PURPOSE",
        other => other,
    };
    // The page names one channel for all.
    let key = if section == "prices.XX" && key != "default" {
        "sms"
    } else {
        key
    };
    format!("{section}.{key}")
}
