//! Mail domains. Apart from the mailboxes they belong to, because policies name domains too.

/// The domain in lower-case ASCII (IDNA); `None` without a dot, or with a top-level domain that is a number.
pub(crate) fn to_ascii(domain: &str) -> Option<String> {
    let ascii = strict(domain)?;
    let (_, top) = ascii.rsplit_once('.')?;
    let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then_some(ascii)
}

#[cfg(feature = "idn")]
fn strict(domain: &str) -> Option<String> {
    idna::domain_to_ascii_strict(domain).ok()
}

#[cfg(not(feature = "idn"))]
use in_ascii as strict;

/// The same of what is ASCII already, but that a name behind `xn--` is taken as it is written.
#[cfg(any(test, not(feature = "idn")))]
fn in_ascii(domain: &str) -> Option<String> {
    let is_label = |label: &str| {
        let hyphens = label.starts_with('-') || label.ends_with('-');
        let reserved = label.get(2..4) == Some("--") && !label.starts_with("xn");
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        matches!(label.len(), 1..=63) && label.bytes().all(inside) && !hyphens && !reserved
    };
    let ascii = domain.to_ascii_lowercase();
    (ascii.len() <= 253 && ascii.split('.').all(is_label)).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_ascii_already_needs_no_tables() {
        let long = "a".repeat(63);
        for (domain, read) in [
            ("Example.COM", Some("example.com")),
            ("XN--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("bücher.example", None),
            ("ab--c.example", None),
            ("example.com.", None),
            ("-a.example", None),
            (
                &format!("{long}.example"),
                Some(format!("{long}.example").as_str()),
            ),
            (&format!("{long}a.example"), None),
        ] {
            assert_eq!(in_ascii(domain).as_deref(), read, "{domain}");
            assert_eq!(
                strict(domain).filter(|_| domain.is_ascii()).as_deref(),
                read,
                "{domain}"
            );
        }
    }

    proptest! {
        #[test]
        fn i30_both_ways_of_reading_a_domain_agree_on_ascii(domain in "[a-cA-C0-9._-]{0,12}|([a-c-]{1,64}\\.){1,5}") {
            prop_assume!(!domain.to_ascii_lowercase().contains("xn--"));
            prop_assert_eq!(in_ascii(&domain), strict(&domain));
        }
    }
}
