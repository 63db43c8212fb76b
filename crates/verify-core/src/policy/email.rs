//! `[email]`: how mailboxes are told apart.

use serde_json::Value;

use super::file::{Page, Read, Report, Section, either, list, wrong};
use crate::destination::domain;

/// How mailboxes are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailRules {
    /// `a+x@d` is the mailbox `a@d` for limits (delivered as written).
    pub plus_tags_same: bool,
    /// Dots in the local part mean nothing at these domains (lower-case, IDNA).
    pub dotless_domains: Vec<String>,
    /// Disposable domains are allowed.
    pub disposable_allowed: bool,
}

impl Default for EmailRules {
    fn default() -> Self {
        Self {
            plus_tags_same: true,
            dotless_domains: Vec::new(),
            disposable_allowed: true,
        }
    }
}

impl EmailRules {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        #[rustfmt::skip]
        let Self { plus_tags_same, dotless_domains, disposable_allowed } = self;
        section.set("plus_tags", plus_tags_same, either("same", "distinct"));
        section.set("dotless_domains", dotless_domains, list(mail_domain));
        let dots_same = section.optional("dots", either("same", "distinct"));
        if dots_same == Some(true) && dotless_domains.is_empty() {
            let message = "found \"same\" without a domain; name the domains in dotless_domains";
            section.fault("dots", message);
        }
        section.set("disposable", disposable_allowed, either("allow", "block"));
    }

    /// What this program was built without may not be asked of it.
    pub(super) fn check(&self, found: &mut Report) {
        if !self.disposable_allowed && !cfg!(feature = "disposable") {
            let message = "found \"block\" in a program without the list of such domains; build it with the feature \
                           `disposable`, or say \"allow\"";
            found.fault("email.disposable", message);
        }
    }

    pub(super) fn print(&self, page: &mut Page) {
        #[rustfmt::skip]
        let Self { plus_tags_same, dotless_domains, disposable_allowed } = self;
        page.header("email");
        page.either("plus_tags", *plus_tags_same, "same", "distinct");
        page.either("dots", !dotless_domains.is_empty(), "same", "distinct");
        page.texts("dotless_domains", dotless_domains);
        page.either("disposable", *disposable_allowed, "allow", "block");
    }
}

/// A domain as destinations have it. Spaces after it are dropped, as they are after a destination.
fn mail_domain(value: &Value) -> Read<String> {
    // A mailbox has at most 254 bytes, and something stands before the domain.
    let fits = |text: &str| text.len() <= 252;
    value
        .as_str()
        .filter(|text| fits(text))
        .and_then(|text| domain::to_ascii(text.trim_end_matches(' ')))
        .filter(|domain| fits(domain))
        .ok_or_else(|| wrong(value, "a mail domain, such as \"example.com\","))
}
