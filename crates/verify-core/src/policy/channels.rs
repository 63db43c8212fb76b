//! `[channels]`: how a challenge travels, and when the next channel is offered.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::countries::{check_country, country};
use super::file::{NONE, Page, Read, Report, Section, Word, or_none, span, word, word_list, words, wrong};
use crate::vocabulary::{Channel, Country};

/// The word for a language by the number's country.
const AUTO: &str = "auto";

/// Which channels, in which order, and when the next one is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRules {
    /// For a phone number when the request names none. A mailbox always means `email`.
    pub default: Channel,
    /// What may be used at all.
    pub enabled: Vec<Channel>,
    /// Offered in this order.
    pub fallback: Vec<Channel>,
    /// No `delivered` by then: the next channel is offered.
    pub fallback_after: Duration,
    /// Whether a reported failure makes the engine go on by itself.
    pub automatic: Automatic,
    /// What is said when nothing is left.
    pub at_end: AtEnd,
    /// Language of the message when the request names none.
    pub default_locale: DefaultLocale,
    /// For national input without a country.
    pub default_country: Option<Country>,
}

/// The language of a message when the request names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultLocale {
    /// By the number's country: a provider of own codes is handed `und-` and the country (`und-DE`); a managed provider gets
    /// none and chooses by itself, as for a mailbox and for a number of no country any provider does.
    Auto,
    /// None: every provider chooses by itself.
    None,
    /// This one (BCP 47).
    Tag(String),
}

impl DefaultLocale {
    fn as_str(&self) -> &str {
        match self {
            Self::Auto => AUTO,
            Self::None => NONE,
            Self::Tag(tag) => tag,
        }
    }
}

/// Whether a reported failure makes the engine go on to the next channel by itself. Silence only ever offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Automatic {
    /// Never.
    Never,
    /// When the send said `consent`.
    WithConsent,
    /// Always. Check the law of the country first.
    Always,
}

words! { Automatic { Never = "never", WithConsent = "with_consent", Always = "always" } }

/// What is said when no channel is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Ask for a stronger factor.
    StepUp,
    /// Send the person to support.
    Support,
}

words! { AtEnd { StepUp = "step_up", Support = "support" } }

impl Default for ChannelRules {
    fn default() -> Self {
        Self {
            default: Channel::Sms,
            enabled: vec![Channel::Sms, Channel::Call, Channel::Email],
            fallback: vec![Channel::Call, Channel::Email],
            fallback_after: Duration::from_secs(20),
            automatic: Automatic::WithConsent,
            at_end: AtEnd::Support,
            default_locale: DefaultLocale::Auto,
            default_country: None,
        }
    }
}

impl ChannelRules {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        #[rustfmt::skip]
        let Self {
            default, enabled, fallback, fallback_after, automatic, at_end, default_locale, default_country,
        } = self;
        section.set("default", default, word);
        let enabled_changed = section.set("enabled", enabled, word_list);
        if !section.has("fallback") && enabled_changed {
            // Who only says what may be used has not asked for the rest of an inherited order.
            fallback.retain(|channel| enabled.contains(channel));
        }
        section.set("fallback", fallback, word_list);
        section.set("fallback_after", fallback_after, span);
        section.set("automatic", automatic, word);
        section.set("at_end", at_end, word);
        section.set("default_locale", default_locale, locale);
        section.set("default_country", default_country, or_none(country));
    }

    pub(super) fn print(&self, page: &mut Page) {
        #[rustfmt::skip]
        let Self {
            default, enabled, fallback, fallback_after, automatic, at_end, default_locale, default_country,
        } = self;
        page.header("channels");
        page.word("default", *default);
        page.words("enabled", enabled);
        page.words("fallback", fallback);
        page.span("fallback_after", *fallback_after);
        page.word("automatic", *automatic);
        page.word("at_end", *at_end);
        page.text("default_locale", default_locale.as_str());
        let country = default_country.as_ref().map_or(NONE, Country::as_str);
        page.text("default_country", country);
    }

    pub(super) fn check(&self, found: &mut Report) {
        let words: Vec<_> = self.enabled.iter().map(|channel| channel.as_str()).collect();
        let words = words.join(", ");
        if words.is_empty() {
            let message = format!("found none; name some of {}", Channel::all_words());
            found.fault("channels.enabled", message);
            return;
        }
        for (key, list) in [
            ("channels.enabled", &self.enabled),
            ("channels.fallback", &self.fallback),
        ] {
            if list.iter().collect::<BTreeSet<_>>().len() != list.len() {
                found.fault(key, "found a channel twice; once would do");
            }
        }
        let disabled = |channel: &&Channel| !self.enabled.contains(channel);
        if disabled(&&self.default) {
            let message = format!(
                "found {}, which is not enabled; one of {words} would do",
                self.default
            );
            found.fault("channels.default", message);
        }
        for channel in self.fallback.iter().filter(disabled) {
            let message = format!("found {channel}, which is not enabled; some of {words} would do");
            found.fault("channels.fallback", message);
        }
        if self.fallback_after.is_zero() {
            found.fault(
                "channels.fallback_after",
                "found zero; a longer duration would do",
            );
        }
        if self.reach_phones() && self.default == Channel::Email {
            let message = "a number is never reached by email: a send to one has to name its channel";
            found.warning("channels.default", message);
        }
        let usual = Self::default();
        let goes_on = self.automatic == Automatic::Always || self.fallback_after != usual.fallback_after;
        if self.fallback.is_empty() && goes_on {
            let message =
                "empty: automatic and fallback_after change nothing without a channel to go on with";
            found.warning("channels.fallback", message);
        }
        if !self.reach_phones() && self.default_country.is_some() {
            let message = "changes nothing: no enabled channel reaches a number";
            found.warning("channels.default_country", message);
        }
        if let Some(country) = self.default_country {
            check_country("channels.default_country", country, found);
        }
        if let DefaultLocale::Tag(tag) = &self.default_locale
            && !is_tag(tag)
        {
            found.fault(
                "channels.default_locale",
                "a language tag, such as \"en\", would do",
            );
        }
    }

    /// Whether any of the channels reaches a phone.
    pub(super) fn reach_phones(&self) -> bool {
        self.enabled.iter().any(|channel| channel.reaches_phone())
    }
}

/// A word, or a language tag that BCP 47 would not turn away at once.
fn locale(value: &Value) -> Read<DefaultLocale> {
    match value.as_str() {
        Some(AUTO) => Ok(DefaultLocale::Auto),
        Some(NONE) => Ok(DefaultLocale::None),
        Some(text) if is_tag(text) => Ok(DefaultLocale::Tag(text.to_owned())),
        _ => Err(wrong(
            value,
            "auto, none, or a language tag, such as \"en\" or \"pt-BR\",",
        )),
    }
}

/// Whether a text looks like a language tag: a language of 2 to 8 letters, then subtags of 1 to 8 letters or digits.
fn is_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    text.len() <= 35
        && (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags
            .all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
