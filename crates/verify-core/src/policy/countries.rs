//! `[countries]` and `[numbers]`: what is sent to no country or no kind of number, or not just so.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::email::EmailRules;
use super::file::{Page, Read, Report, Section, Word, either, list, word, word_list, words, wrong};
use crate::destination::{Destination, DestinationError};
use crate::vocabulary::{Channel, Country};

/// The word for a country without a limit to some channels.
const ALL_CHANNELS: &str = "all";

/// Countries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryRules {
    /// For countries in no list, and for numbers of no country.
    pub default: CountryAction,
    /// The lists, as one map.
    pub listed: BTreeMap<Country, CountryAction>,
    /// Channels that a country is limited to.
    pub channels: BTreeMap<Country, Vec<Channel>>,
}

/// What to do with a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CountryAction {
    /// Send.
    Allow,
    /// Send, and report what `block` would have done.
    Monitor,
    /// Ask for a human first.
    HumanCheck,
    /// Refuse.
    Block,
}

words! {
    CountryAction { Allow = "allow", Monitor = "monitor", HumanCheck = "human_check", Block = "block" }
}

/// Kinds of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberRules {
    /// Premium-rate, shared-cost and the like: allowed or not.
    pub premium_rate_allowed: bool,
}

impl Default for CountryRules {
    fn default() -> Self {
        Self {
            default: CountryAction::Allow,
            listed: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }
}

impl CountryRules {
    /// What to do with a destination. A number of no country is in no list, so `default` judges it; a mailbox has no country,
    /// and no rule for countries judges it.
    pub fn action(&self, to: &Destination) -> CountryAction {
        match (to, to.country()) {
            (Destination::Mailbox(_), _) => CountryAction::Allow,
            (Destination::Phone(_), country) => {
                let listed = country.and_then(|country| self.listed.get(&country));
                listed.copied().unwrap_or(self.default)
            }
        }
    }

    /// A list replaces the list of the same name; a country is where it was named last.
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        #[rustfmt::skip]
        let Self { default, listed, channels } = self;
        section.set("default", default, word);
        read_lists(section, listed);
        for (key, value) in section.rest() {
            let Some(country) = Country::new(key) else {
                section.fault(
                    key,
                    "unknown key; a country's two letters, default, or one of the lists would do",
                );
                continue;
            };
            section.table(key, value, |entry| {
                match entry.optional("channels", channels_or_all) {
                    Some(Some(only)) => drop(channels.insert(country, only)),
                    Some(None) => drop(channels.remove(&country)),
                    None => {}
                }
            });
        }
    }

    pub(super) fn print(&self, page: &mut Page, inherited: Option<&Self>) {
        #[rustfmt::skip]
        let Self { default, listed, channels } = self;
        page.header("countries");
        page.word("default", *default);
        for action in CountryAction::ALL {
            let of_it = listed.iter().filter(|(_, listed)| *listed == action);
            page.texts(action.word(), of_it.map(|(country, _)| country.as_str()));
        }
        for (country, channels) in channels {
            page.header(&format!("countries.{country}"));
            page.words("channels", channels);
        }
        let lifted = inherited
            .into_iter()
            .flat_map(|inherited| inherited.channels.keys());
        for country in lifted.filter(|country| !channels.contains_key(country)) {
            page.header(&format!("countries.{country}"));
            page.text("channels", ALL_CHANNELS);
        }
    }

    pub(super) fn check(&self, found: &mut Report) {
        for (country, channels) in &self.channels {
            if channels.is_empty() {
                let key = format!("countries.{country}.channels");
                found.fault(key, "found no channel; name one");
            }
            check_country(&format!("countries.{country}"), *country, found);
        }
        let lists = CountryAction::ALL
            .iter()
            .filter(|action| self.listed.values().any(|listed| listed == *action));
        for action in lists.filter(|action| **action == self.default) {
            let word = action.word();
            let message = format!(
                "changes nothing: countries.default is \"{word}\" already; another default would give it sense"
            );
            found.warning(format!("countries.{word}"), message);
        }
        for (country, channels) in &self.channels {
            let key = format!("countries.{country}.channels");
            if self.listed.get(country).unwrap_or(&self.default) == &CountryAction::Block {
                found.warning(&key, "changes nothing: the country is blocked");
            }
            let mut of_phones = Channel::ALL.iter().filter(|channel| channel.reaches_phone());
            if of_phones.all(|channel| channels.contains(channel)) {
                found.warning(
                    &key,
                    "changes nothing: every channel that reaches a number is among them",
                );
            }
            if channels.contains(&Channel::Email) {
                found.warning(&key, "email changes nothing: a mailbox has no country");
            }
        }
        for (country, action) in &self.listed {
            check_country(&format!("countries.{}", action.word()), *country, found);
        }
    }
}

fn read_lists(section: &mut Section<'_, '_>, listed: &mut BTreeMap<Country, CountryAction>) {
    let mut seen = BTreeSet::new();
    let mut given = Vec::new();
    for action in CountryAction::ALL.iter().copied() {
        let Some(countries) = section.optional(action.word(), list(country)) else {
            continue;
        };
        for country in &countries {
            if !seen.insert(*country) {
                let message = format!("found {country} in another list too; one would do");
                section.fault(action.word(), message);
            }
        }
        listed.retain(|_, existing| *existing != action);
        given.push((action, countries));
    }
    for (action, countries) in given {
        listed.extend(countries.into_iter().map(|country| (country, action)));
    }
}

fn channels_or_all(value: &Value) -> Read<Option<Vec<Channel>>> {
    if value.as_str() == Some(ALL_CHANNELS) {
        return Ok(None);
    }
    let channels = word_list::<Channel>(value)?;
    if channels.is_empty() {
        return Err("found no channel; name one, or put the country on the block list".into());
    }
    Ok(Some(channels))
}

impl NumberRules {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        let Self { premium_rate_allowed } = self;
        section.set("premium_rate", premium_rate_allowed, either("allow", "block"));
    }

    pub(super) fn print(&self, page: &mut Page) {
        let Self { premium_rate_allowed } = self;
        page.header("numbers");
        page.either("premium_rate", *premium_rate_allowed, "allow", "block");
    }
}

pub(super) fn country(value: &Value) -> Read<Country> {
    value
        .as_str()
        .and_then(Country::new)
        .ok_or_else(|| wrong(value, "a country's two letters, such as \"US\","))
}

/// A rule for a country without numbers decides nothing, which its writer will not have meant: most often it is a slip
/// (`UK` for `GB`).
pub(super) fn check_country(key: &str, country: Country, found: &mut Report) {
    let any = Destination::parse("1", Some(country), &EmailRules::default());
    if any == Err(DestinationError::UnknownCountry) {
        let message = format!("no phone number belongs to {country}; check the two letters");
        found.warning(key, message);
    }
}
