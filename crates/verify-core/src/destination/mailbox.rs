//! A mailbox: one form that limits are keyed by, one that mail is sent to.
//!
//! The part before the `@` is narrowed to what nearly every mailbox has (RFC 5322's `dot-atom`, in ASCII). Quoted
//! and non-ASCII local parts are legal and rare, and each of them is a second spelling that a mail system may fold.

#[cfg(feature = "disposable")]
use std::collections::BTreeSet;
use std::fmt;
#[cfg(feature = "disposable")]
use std::sync::LazyLock;

use zeroize::Zeroizing;

use super::{DestinationError, HIDDEN, domain};
use crate::policy::email::EmailRules;

/// The longest mailbox (RFC 5321, with its erratum 1690).
pub(super) const MAX_BYTES: usize = 254;
/// The longest part before the `@`.
const MAX_LOCAL: usize = 64;

/// The list's own lookup scans all of it and honours a list that any code may add to at run time; this one is
/// constant. It is built at first use, by policies that care. Without it a policy that cares is a fault.
#[cfg(feature = "disposable")]
static DISPOSABLE: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| mailchecker::blacklist().into_iter().collect());

/// A mailbox that mail can be sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    canonical: Zeroizing<String>,
    delivery: Zeroizing<String>,
}

impl Mailbox {
    /// Reads a mailbox without spaces around it, of at most [`MAX_BYTES`].
    pub(super) fn parse(text: &str, rules: &EmailRules) -> Result<Self, DestinationError> {
        let (local, domain) = text.rsplit_once('@').ok_or(DestinationError::InvalidDomain)?;
        check_local(local)?;
        let domain = domain::to_ascii(domain).ok_or(DestinationError::InvalidDomain)?;
        let delivery = Zeroizing::new(format!("{local}@{domain}"));
        // Measured again: a domain of another script grows when it is written in ASCII.
        if delivery.len() > MAX_BYTES {
            return Err(DestinationError::TooLong);
        }
        let local = Zeroizing::new(canonical_local(local, &domain, rules));
        Ok(Self {
            canonical: Zeroizing::new(format!("{}@{domain}", local.as_str())),
            delivery,
        })
    }

    /// The form that limits are keyed by: lower-case, without tag and dots where the policy says so.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The mailbox as written, its domain in lower-case ASCII.
    pub fn delivery(&self) -> &str {
        &self.delivery
    }

    /// See [`Destination::is_disposable`](super::Destination::is_disposable).
    pub fn is_disposable(&self) -> bool {
        let (_, domain) = self.parts();
        let mut above = Some(domain);
        while let Some(name) = above {
            if is_listed(name) {
                return true;
            }
            above = name.split_once('.').map(|(_, rest)| rest);
        }
        false
    }

    /// The first character of both parts and the top-level domain.
    pub(super) fn masked(&self) -> String {
        let (local, domain) = self.parts();
        let (name, top) = domain.rsplit_once('.').unwrap_or((domain, ""));
        format!("{}@{}.{top}", first_character(local), first_character(name))
    }

    fn parts(&self) -> (&str, &str) {
        self.delivery.rsplit_once('@').unwrap_or_default()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox(**)")
    }
}

#[cfg(feature = "disposable")]
fn is_listed(domain: &str) -> bool {
    DISPOSABLE.contains(domain)
}

#[cfg(not(feature = "disposable"))]
fn is_listed(_: &str) -> bool {
    false
}

fn check_local(local: &str) -> Result<(), DestinationError> {
    if !local.is_ascii() {
        return Err(DestinationError::ForeignLocalPart);
    }
    if local.starts_with('"') {
        return Err(DestinationError::QuotedLocalPart);
    }
    let atoms = local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte));
    if atoms && local.len() <= MAX_LOCAL {
        Ok(())
    } else {
        Err(DestinationError::InvalidLocalPart)
    }
}

/// RFC 5322's `atext`.
fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn canonical_local(local: &str, domain: &str, rules: &EmailRules) -> String {
    let mut canonical = local.to_ascii_lowercase();
    if rules.plus_tags_same
        && let Some((name, _)) = canonical.split_once('+')
        && !name.is_empty()
    {
        // `a.+x` is written with a dot that is no longer between two atoms.
        canonical = name.trim_end_matches('.').to_owned();
    }
    if rules.dotless_domains.iter().any(|dotless| dotless == domain) {
        canonical.retain(|c| c != '.');
    }
    canonical
}

/// The first of several characters; one alone stays hidden, as it would be all there is.
fn first_character(text: &str) -> String {
    let hidden = HIDDEN.to_string().repeat(3);
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(first), Some(_)) => format!("{first}{hidden}"),
        (Some(_) | None, None) | (None, Some(_)) => hidden,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(plus_tags_same: bool, dotless: &[&str]) -> EmailRules {
        let dotless_domains = dotless.iter().map(|domain| (*domain).to_owned()).collect();
        EmailRules {
            plus_tags_same,
            dotless_domains,
            disposable_allowed: true,
        }
    }

    fn read(text: &str) -> Mailbox {
        Mailbox::parse(text, &rules(true, &["gmail.com"])).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn refusal(text: &str) -> DestinationError {
        Mailbox::parse(text, &rules(true, &[])).expect_err(text)
    }

    #[test]
    fn i30_spellings_of_a_mailbox_share_one_key_and_keep_their_delivery() {
        for (text, canonical, delivery) in [
            ("ada@example.org", "ada@example.org", "ada@example.org"),
            ("Ada@EXAMPLE.org", "ada@example.org", "Ada@example.org"),
            ("ada+x@example.org", "ada@example.org", "ada+x@example.org"),
            ("ADA+x+y@example.org", "ada@example.org", "ADA+x+y@example.org"),
            ("ada.+x@example.org", "ada@example.org", "ada.+x@example.org"),
            ("a.d.a@example.org", "a.d.a@example.org", "a.d.a@example.org"),
            ("a.d.A+x@Gmail.com", "ada@gmail.com", "a.d.A+x@gmail.com"),
            ("+x@example.org", "+x@example.org", "+x@example.org"),
            (
                "ada@Bücher.example",
                "ada@xn--bcher-kva.example",
                "ada@xn--bcher-kva.example",
            ),
            (
                "ada@BU\u{308}CHER.example",
                "ada@xn--bcher-kva.example",
                "ada@xn--bcher-kva.example",
            ),
            (
                "ada@XN--BCHER-KVA.example",
                "ada@xn--bcher-kva.example",
                "ada@xn--bcher-kva.example",
            ),
            ("ada@ｅxample。org", "ada@example.org", "ada@example.org"),
            ("ada@exam\u{ad}ple.org", "ada@example.org", "ada@example.org"),
        ] {
            let mailbox = read(text);
            assert_eq!(mailbox.canonical(), canonical, "{text}");
            assert_eq!(mailbox.delivery(), delivery, "{text}");
        }
    }

    #[test]
    fn tags_and_dots_are_told_apart_where_the_policy_says_so() {
        let distinct = Mailbox::parse("a.da+x@gmail.com", &rules(false, &[])).unwrap();
        assert_eq!(distinct.canonical(), "a.da+x@gmail.com");
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long_domain = format!("a@{}example.org", "ü".repeat(40).repeat(2));
        for (text, error) in [
            ("@example.org", DestinationError::InvalidLocalPart),
            ("a b@example.org", DestinationError::InvalidLocalPart),
            (".a@example.org", DestinationError::InvalidLocalPart),
            ("a.@example.org", DestinationError::InvalidLocalPart),
            ("a..b@example.org", DestinationError::InvalidLocalPart),
            ("a@b@example.org", DestinationError::InvalidLocalPart),
            ("a\r\nBcc:x@example.org", DestinationError::InvalidLocalPart),
            ("<a@example.org", DestinationError::InvalidLocalPart),
            (&long_local, DestinationError::InvalidLocalPart),
            ("\"a b\"@example.org", DestinationError::QuotedLocalPart),
            ("аda@example.org", DestinationError::ForeignLocalPart),
            ("ａ@example.org", DestinationError::ForeignLocalPart),
            ("a\u{200b}@example.org", DestinationError::ForeignLocalPart),
            ("a@", DestinationError::InvalidDomain),
            ("a@localhost", DestinationError::InvalidDomain),
            ("a@example.org.", DestinationError::InvalidDomain),
            ("a@.org", DestinationError::InvalidDomain),
            ("a@exa mple.org", DestinationError::InvalidDomain),
            ("a@-example.org", DestinationError::InvalidDomain),
            ("a@ex_ample.org", DestinationError::InvalidDomain),
            ("a@example.org>", DestinationError::InvalidDomain),
            ("a@example.org\n", DestinationError::InvalidDomain),
            ("a@192.0.2.1", DestinationError::InvalidDomain),
            ("a@[192.0.2.1]", DestinationError::InvalidDomain),
            (&long_domain, DestinationError::InvalidDomain),
        ] {
            assert_eq!(refusal(text), error, "{text:?}");
        }
    }

    #[test]
    fn the_ascii_form_has_to_fit_too() {
        let label = format!("{}.", "ü".repeat(16));
        let text = format!("{}@{}example", "a".repeat(64), label.repeat(5));
        assert!(text.len() <= MAX_BYTES);
        let longer = format!(
            "{}@{}example",
            "a".repeat(64),
            format!("{}ü.", "x".repeat(20)).repeat(7)
        );
        assert!(longer.len() <= MAX_BYTES);
        assert!(Mailbox::parse(&text, &rules(true, &[])).is_ok());
        assert_eq!(refusal(&longer), DestinationError::TooLong);
    }

    #[test]
    fn disposable_domains_are_known_with_all_below_them() {
        for (text, disposable) in [
            ("a@mailinator.com", true),
            ("a@MAILINATOR.com", true),
            ("a@some.where.mailinator.com", true),
            ("a@notmailinator.com.example", false),
            ("a@example.com", false),
            ("a@gmail.com", false),
        ] {
            assert_eq!(read(text).is_disposable(), disposable, "{text}");
        }
    }

    #[test]
    fn i20_a_mask_hides_most_of_the_mailbox() {
        for (text, masked) in [
            ("ada@example.com", "a•••@e•••.com"),
            ("a@example.com", "•••@e•••.com"),
            ("ada@x.org", "a•••@•••.org"),
            ("ada@mail.example.co.uk", "a•••@m•••.uk"),
        ] {
            assert_eq!(read(text).masked(), masked);
        }
    }

    proptest! {
        #[test]
        fn i30_the_canonical_form_reads_as_itself(
            local in "[a-zA-Z+._'-]{1,12}",
            domain in "(gmail\\.com|[a-zé]{1,8}\\.[a-zA-Z]{2,6})",
            tags in any::<bool>(),
        ) {
            let rules = rules(tags, &["gmail.com"]);
            if let Ok(mailbox) = Mailbox::parse(&format!("{local}@{domain}"), &rules) {
                let again = Mailbox::parse(mailbox.canonical(), &rules).unwrap();
                prop_assert_eq!(again.canonical(), mailbox.canonical());
                prop_assert_eq!(again.delivery(), mailbox.canonical());
            }
        }

        #[test]
        fn whatever_is_read_can_stand_in_a_mail_header(text in "\\PC{0,20}@\\PC{0,20}") {
            if let Ok(mailbox) = Mailbox::parse(&text, &rules(true, &[])) {
                prop_assert!(mailbox.delivery().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
