//! `[[network]]`: addresses shared by many people, with limits of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::Value;

use super::file::{Page, Read, Report, Section, join, key_text, quoted, wrong};
use super::limits::{Counts, Limit, Max, check_max, max_text, read_max};
use crate::address;
use crate::vocabulary::Dimension;

/// Addresses shared by many people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The addresses.
    pub cidr: IpNet,
    /// `max` by the name of a limit that counts by ip or network.
    pub limits: BTreeMap<Arc<str>, Max>,
}

/// Reads `[[network]]`, which replaces the networks that hold already.
pub(super) fn read(section: &mut Section<'_, '_>, limits: &[Limit], networks: &mut Vec<Network>) {
    if let Some(given) = section.list_of("network", |entry| read_network(entry, limits)) {
        *networks = given;
    }
}

fn read_network(section: &mut Section<'_, '_>, known: &[Limit]) -> Option<Network> {
    if !section.has("cidr") {
        let message = "found nothing; a network needs its addresses, such as \"203.0.113.0/24\"";
        section.fault("cidr", message);
    }
    let cidr = section.optional("cidr", cidr);
    let mut limits = BTreeMap::new();
    section.within("limits", |entries| {
        for (name, value) in entries.rest() {
            match known.iter().find(|limit| *limit.name == *name) {
                Some(limit) => {
                    let max = read_max(entries, name, value, limit.counts);
                    limits.extend(max.map(|max| (Arc::clone(&limit.name), max)));
                }
                None => {
                    let message = format!("found no limit of that name; {} would do", by_address(known));
                    entries.fault(name, message);
                }
            }
        }
    });
    Some(Network { cidr: cidr?, limits })
}

/// Prints networks with the limits that they change. Amounts are in this currency.
pub(super) fn print(page: &mut Page, networks: &[Network], known: &[Limit], currency: Option<&str>) {
    for Network { cidr, limits } in networks {
        page.entry("network");
        page.text("cidr", &cidr.to_string());
        let limits = limits.iter().map(|(name, max)| {
            let limit = known.iter().find(|limit| limit.name == *name);
            let counts = limit.map_or(Counts::Sends, |limit| limit.counts);
            format!("{} = {}", key_text(name), max_text(*max, counts, currency))
        });
        let limits: Vec<_> = limits.collect();
        page.pair("limits", format_args!("{{ {} }}", limits.join(", ")));
    }
}

pub(super) fn check(networks: &[Network], known: &[Limit], found: &mut Report) {
    let mut seen = BTreeSet::new();
    for (index, Network { cidr, limits }) in networks.iter().enumerate() {
        let path = format!("network[{index}]");
        if !seen.insert(cidr) {
            found.fault(
                format!("{path}.cidr"),
                format!("found {cidr} twice; once would do"),
            );
        }
        // Mapped, translated, tunneled: whoever has such an address counts as the IPv4 one.
        let carried = |ip| address::client(ip) != ip;
        if carried(cidr.network()) && carried(cidr.broadcast()) {
            found.warning(
                format!("{path}.cidr"),
                "changes nothing: these addresses count as the IPv4 ones that they carry; name those",
            );
        }
        let path = format!("{path}.limits");
        if limits.is_empty() {
            found.fault(&path, "found none; name a limit and its max");
        }
        for (name, max) in limits {
            let key = join(&path, name);
            if !by_ip(known).any(|limit| limit.name == *name) {
                let wanted = by_address(known);
                found.fault(
                    &key,
                    format!("found no limit of that name by ip; {wanted} would do"),
                );
            }
            if by_ip(known).any(|limit| limit.name == *name && limit.max == *max) {
                found.warning(&key, "changes nothing: the limit itself says the same");
            }
            let mut earlier = networks.iter().take(index);
            let shadows = |other: &&Network| other.cidr.contains(cidr) && other.limits.contains_key(name);
            if let Some(other) = earlier.find(shadows) {
                let message = format!(
                    "changes nothing: {} stands before it and holds all of {cidr}; the narrower one first",
                    other.cidr
                );
                found.warning(&key, message);
            }
            check_max(*max, &key, "unlimited: this cap is off for the network", found);
        }
    }
}

fn by_ip(limits: &[Limit]) -> impl Iterator<Item = &Limit> {
    let by_address = |by: &Dimension| matches!(by, Dimension::Ip | Dimension::Network);
    limits.iter().filter(move |limit| limit.by.iter().any(by_address))
}

/// The names of the limits that a network can change, for messages.
fn by_address(limits: &[Limit]) -> String {
    let names: Vec<_> = by_ip(limits).map(|limit| &*limit.name).collect();
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
        Err(wrong(value, quoted(&net.trunc().to_string())))
    }
}
