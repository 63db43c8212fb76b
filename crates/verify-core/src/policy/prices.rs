//! `[prices]`: what a message costs the operator.

use std::collections::{BTreeMap, BTreeSet};

use super::countries::check_country;
use super::file::{MOST_UNITS, Page, Report, Section, Word, at_most_amount, print_amount};
use crate::vocabulary::{Channel, Country};

/// What a message costs, in micros of the operator's currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    /// The currency of all prices and spend limits (ISO 4217), once one is named.
    pub currency: Option<String>,
    /// Where nothing else fits, at most 2^53 - 1. Required when a limit counts spend.
    pub default: Option<u64>,
    /// By country and channel, at most 2^53 - 1; a `None` channel means any.
    pub listed: BTreeMap<(Country, Option<Channel>), u64>,
}

impl Prices {
    /// The price of a message, in micros; zero when no price is known.
    pub fn of(&self, country: Option<Country>, channel: Channel) -> u64 {
        country
            .and_then(|country| {
                self.listed
                    .get(&(country, Some(channel)))
                    .or_else(|| self.listed.get(&(country, None)))
            })
            .copied()
            .or(self.default)
            .unwrap_or(0)
    }

    /// Reads prices over those that hold already. The currency is the whole file's and named at its end.
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        #[rustfmt::skip]
        let Self { currency: _, default, listed } = self;
        if let Some(value) = section.value("default") {
            *default = section.amount("default", value).or(*default);
        }
        for (key, value) in section.rest() {
            let Some(country) = Country::new(key) else {
                section.fault(key, "unknown key; a country's two letters or default would do");
                continue;
            };
            if value.is_object() {
                section.table(key, value, |entry| read_country(entry, country, listed));
            } else if let Some(micros) = section.amount(key, value) {
                listed.insert((country, None), micros);
            }
        }
    }

    pub(super) fn print(&self, page: &mut Page) {
        #[rustfmt::skip]
        let Self { currency, default, listed } = self;
        let amount = |micros: &u64| print_amount(*micros, currency.as_deref());
        page.header("prices");
        if let Some(micros) = default {
            page.text("default", &amount(micros));
        }
        for (place, micros) in listed {
            page.text(&key_of(*place), &amount(micros));
        }
    }

    /// `spends`: the name of a limit that counts spend.
    pub(super) fn check(&self, spends: Option<&str>, found: &mut Report) {
        if let (Some(limit), None) = (spends, self.default) {
            let message = format!("found nothing, but limit {limit} counts spend; name a price for all else");
            found.fault("prices.default", message);
        }
        let has_amounts = self.default.is_some() || !self.listed.is_empty();
        let is_code =
            |currency: &str| currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
        if has_amounts && !self.currency.as_deref().is_some_and(is_code) {
            found.fault(
                "prices",
                "found amounts without a currency; its three letters, such as USD, would do",
            );
        }
        let listed = self
            .listed
            .iter()
            .map(|(place, micros)| (key_of(*place), *micros));
        let default = self.default.map(|micros| ("default".to_owned(), micros));
        for (key, _) in default
            .into_iter()
            .chain(listed)
            .filter(|(_, micros)| *micros > MOST_UNITS)
        {
            let message = format!("{} would do", at_most_amount(self.currency.as_deref()));
            found.fault(format!("prices.{key}"), message);
        }
    }

    pub(super) fn check_countries(&self, found: &mut Report) {
        let countries: BTreeSet<_> = self.listed.keys().map(|(country, _)| *country).collect();
        for country in countries {
            check_country(&format!("prices.{country}"), country, found);
        }
    }
}

/// The key of a price in `[prices]`.
fn key_of((country, channel): (Country, Option<Channel>)) -> String {
    format!("{country}.{}", channel.map_or("default", Word::word))
}

fn read_country(
    section: &mut Section<'_, '_>,
    country: Country,
    listed: &mut BTreeMap<(Country, Option<Channel>), u64>,
) {
    for (key, value) in section.rest() {
        let channel = Channel::named(key);
        if channel.is_none() && key != "default" {
            let message = format!("unknown key; known here: default, {}", Channel::all_words());
            section.fault(key, message);
        } else if let Some(micros) = section.amount(key, value) {
            listed.insert((country, channel), micros);
        }
    }
}
