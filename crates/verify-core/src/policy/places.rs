//! Countries, prices and networks of a policy file.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::Value;

use super::limits::read_max;
use super::reader::Section;
use super::values::{Read, country, list, word, word_list, wrong};
use super::words::{self, Word};
use super::{CountryAction, CountryRules, Limit, Network, Prices};
use crate::vocabulary::{Channel, Country, Dimension};

/// The word for a country without a limit to some channels.
pub(super) const ALL_CHANNELS: &str = "all";

/// Reads `[countries]`. A list replaces the list of the same name; a country is where it was named last.
pub(super) fn read_countries(section: &mut Section<'_, '_>, countries: &mut CountryRules) {
    section.set("default", &mut countries.default, word);
    let mut seen = BTreeSet::new();
    let mut given = Vec::new();
    for action in CountryAction::ALL.iter().copied() {
        let Some(listed) = section.optional(action.word(), list(country)) else {
            continue;
        };
        for country in &listed {
            if !seen.insert(*country) {
                section.fault(
                    action.word(),
                    format!("found {country} in another list too; one would do"),
                );
            }
        }
        countries.listed.retain(|_, existing| *existing != action);
        given.push((action, listed));
    }
    for (action, listed) in given {
        countries
            .listed
            .extend(listed.into_iter().map(|country| (country, action)));
    }

    for (key, value) in section.rest() {
        let Some(country) = Country::new(key) else {
            section.fault(
                key,
                "unknown key; a country's two letters, default, or one of the lists would do",
            );
            continue;
        };
        section.table(key, value, |entry| {
            if let Some(channels) = entry.optional("channels", channels_or_all) {
                match channels {
                    Some(channels) => countries.channels.insert(country, channels),
                    None => countries.channels.remove(&country),
                };
            }
        });
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

/// Reads `[prices]` over the prices that hold already.
pub(super) fn read_prices(section: &mut Section<'_, '_>, prices: &mut Prices) {
    if let Some(value) = section.value("default") {
        prices.default = section.amount("default", value).or(prices.default);
    }
    for (key, value) in section.rest() {
        let Some(country) = Country::new(key) else {
            section.fault(key, "unknown key; a country's two letters or default would do");
            continue;
        };
        if value.is_object() {
            section.table(key, value, |entry| read_country_prices(entry, country, prices));
        } else if let Some(micros) = section.amount(key, value) {
            prices.listed.insert((country, None), micros);
        }
    }
}

fn read_country_prices(section: &mut Section<'_, '_>, country: Country, prices: &mut Prices) {
    for (key, value) in section.rest() {
        let channel = words::named::<Channel>(key);
        if channel.is_none() && key != "default" {
            section.fault(
                key,
                format!("unknown key; known here: default, {}", words::all::<Channel>()),
            );
        } else if let Some(micros) = section.amount(key, value) {
            prices.listed.insert((country, channel), micros);
        }
    }
}

/// Reads `[[network]]`, which replaces the networks that hold already.
pub(super) fn read_networks(section: &mut Section<'_, '_>, limits: &[Limit], networks: &mut Vec<Network>) {
    let Some(tables) = section.tables("network") else {
        return;
    };
    networks.clear();
    let path = section.path_of("network");
    for (index, table) in tables.iter().enumerate() {
        section.table_at(&format!("{path}[{index}]"), table, |entry| {
            networks.extend(read_network(entry, limits))
        });
    }
}

fn read_network(section: &mut Section<'_, '_>, limits: &[Limit]) -> Option<Network> {
    if !section.has("cidr") {
        section.fault(
            "cidr",
            "found nothing; a network needs its addresses, such as \"203.0.113.0/24\"",
        );
    }
    let cidr = section.optional("cidr", cidr);
    let mut network = Network {
        cidr: IpNet::default(),
        limits: std::collections::BTreeMap::new(),
    };
    section.within("limits", |entries| {
        for (name, value) in entries.rest() {
            let Some(limit) = limits.iter().find(|limit| *limit.name == *name) else {
                entries.fault(
                    name,
                    format!("found no limit of that name; {} would do", by_address(limits)),
                );
                continue;
            };
            if let Some(max) = read_max(entries, name, value, Some(limit.counts)) {
                network.limits.insert(limit.name.clone(), max);
            }
        }
    });
    network.cidr = cidr?;
    Some(network)
}

/// The names of the limits that a network can change, for messages.
pub(super) fn by_address(limits: &[Limit]) -> String {
    let names: Vec<_> = limits
        .iter()
        .filter(|limit| limit.by.contains(&Dimension::Ip))
        .map(|limit| &*limit.name)
        .collect();
    names.join(", ")
}

fn cidr(value: &Value) -> Read<IpNet> {
    let wanted = "a network with its mask, such as \"203.0.113.0/24\",";
    let net: IpNet = value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| wrong(value, wanted))?;
    if net.trunc() == net {
        Ok(net)
    } else {
        Err(wrong(value, format_args!("\"{}\"", net.trunc())))
    }
}
