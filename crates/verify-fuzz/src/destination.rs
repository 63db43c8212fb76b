//! Numbers and mailboxes as people write them.

use verify_core::destination::Destination;
use verify_core::policy::EmailRules;
use verify_core::vocabulary::Country;

use crate::input::{choice, text};

const COUNTRIES: [&str; 12] = [
    "US", "GB", "DE", "IT", "AR", "BY", "BR", "MX", "CI", "JP", "IN", "SM",
];
const SEPARATORS: [char; 5] = [' ', '-', '.', '/', ')'];

/// Any text in any country under any rules for mailboxes: it is refused, or it has one canonical form that every other
/// spelling of it shares, that reads as itself, and that shows nowhere.
///
/// The first byte chooses the rules, the second the country.
pub fn destination(data: &[u8]) {
    let (rules, data) = choice(data);
    let (country, data) = choice(data);
    let rules = EmailRules {
        plus_tags_same: rules & 1 == 0,
        dotless_domains: if rules & 2 == 0 {
            Vec::new()
        } else {
            vec!["gmail.com".to_owned()]
        },
        disposable_allowed: rules & 4 == 0,
    };
    let country = COUNTRIES.get(country).and_then(|code| Country::new(code));
    let text = text(data);
    let Ok(found) = Destination::parse(&text, country, &rules) else {
        return;
    };
    let canonical = found.canonical().to_owned();
    for country in [None, country, Country::new("BY")] {
        for spelling in spellings(&found, &rules) {
            let again = Destination::parse(&spelling, country, &rules)
                .unwrap_or_else(|error| panic!("i30: {spelling:?}, a spelling of {canonical:?}: {error}"));
            assert_eq!(again.canonical(), canonical, "i30: {spelling:?} has another key");
        }
    }
    shows_nothing(&found);
}

/// Other ways to write the same destination.
fn spellings(found: &Destination, rules: &EmailRules) -> Vec<String> {
    let canonical = found.canonical();
    let mut spellings = vec![
        canonical.to_owned(),
        found.delivery().to_owned(),
        format!("  {canonical} "),
    ];
    match found {
        Destination::Phone(_) => {
            for separator in SEPARATORS {
                let spread = |digit: char| [digit, separator];
                spellings.push(canonical.chars().flat_map(spread).collect());
            }
        }
        Destination::Mailbox(_) => {
            let (local, domain) = canonical.rsplit_once('@').expect("a mailbox has two parts");
            spellings.push(format!(
                "{}@{}",
                local.to_ascii_uppercase(),
                domain.to_ascii_uppercase()
            ));
            if rules.plus_tags_same && local.len() <= 60 && !local.starts_with('+') {
                spellings.push(format!("{local}+tag@{domain}"));
            }
            if rules.dotless_domains.iter().any(|dotless| dotless == domain)
                && (2..=60).contains(&local.len())
            {
                let (first, rest) = local.split_at(1);
                spellings.push(format!("{first}.{rest}@{domain}"));
            }
        }
    }
    // A longer text is refused before anybody looks at it.
    spellings.retain(|spelling| spelling.len() <= 254);
    spellings
}

fn shows_nothing(found: &Destination) {
    let canonical = found.canonical();
    let masked = found.masked();
    assert!(masked.contains('•'), "i20: {canonical:?} is shown as {masked:?}");
    match found {
        Destination::Phone(_) => {
            let digits = canonical.strip_prefix('+').expect("E.164 begins with a plus");
            let ascii = (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            assert!(ascii, "i30: {canonical:?} is no E.164");
            assert_eq!(found.delivery(), canonical);
            assert_eq!(format!("{found:?}"), "Phone(**)", "i20");
            let hidden = masked.matches('•').count();
            let front = masked.split('•').next().unwrap_or_default();
            // Of the shortest numbers nothing is shown but the country code and two digits.
            let little = hidden >= 5 || front.len() <= "+123".len();
            let whole = masked.chars().count() == canonical.len() && canonical.starts_with(front);
            assert!(
                little && whole && masked.ends_with(&canonical[canonical.len() - 2..]),
                "i20: {canonical:?} is shown as {masked:?}"
            );
            let prefix = found.prefix().expect("a number has a prefix");
            assert!(canonical.starts_with(prefix) && prefix.len() + 4 >= canonical.len());
        }
        Destination::Mailbox(_) => {
            assert_eq!(format!("{found:?}"), "Mailbox(**)", "i20");
            let delivery = found.delivery();
            let plain = delivery.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(
                plain && delivery.len() <= 254,
                "{delivery:?} would break a mail's header"
            );
            assert_eq!(delivery.matches('@').count(), 1, "{delivery:?}");
        }
    }
}
