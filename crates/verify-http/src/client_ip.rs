//! The client's address: the peer's, or what a trusted proxy says of it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;
use verify_core::address;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers of proxies, besides all whose names begin with `x-forwarded-`.
const ADDED_BY_PROXIES: [&str; 7] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-envoy-external-address",
];

/// Networks whose forwarding header is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardingHeader,
}

/// The one header that a proxy in front writes. The other one, if it is there, came from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ForwardingHeader {
    /// The header of a name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Some(Self::XForwardedFor),
            "forwarded" => Some(Self::Forwarded),
            _ => None,
        }
    }
}

impl TrustedProxies {
    /// Believes this header of these networks; one that is mapped into IPv6 is the IPv4 network.
    pub fn new(networks: Vec<IpNet>, header: ForwardingHeader) -> Self {
        let networks = networks.into_iter().map(unmapped).collect();
        Self { networks, header }
    }

    /// The client's address: one value.
    ///
    /// It is the peer's, unless the peer is trusted; then it is the right-most hop of the header that is not trusted
    /// itself. What stands further left was written by somebody untrusted and is never read, and neither is the other
    /// header. An address that IPv6 only carries is the address ([`address::client`]).
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return address::client(peer);
        }
        let hops = match self.header {
            ForwardingHeader::XForwardedFor => listed_hops(headers),
            ForwardingHeader::Forwarded => tagged_hops(headers),
        };
        address::client(self.walk(peer, &hops))
    }

    /// True when this peer is a proxy that is believed.
    ///
    /// By its own address, or that mapped into IPv6. What any other address carries is the sender's word.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// From the nearest hop to the farthest, as long as each is trusted. A hop that is no address ends the walk.
    fn walk(&self, peer: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut client = peer;
        for hop in hops.iter().rev() {
            match hop {
                Some(ip) if self.trusts(*ip) => client = *ip,
                Some(ip) => return *ip,
                None => return client,
            }
        }
        client
    }
}

fn unmapped(network: IpNet) -> IpNet {
    let v4 = match network {
        IpNet::V4(_) => None,
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
    };
    v4.and_then(|(v4, length)| IpNet::new(v4.into(), length).ok())
        .unwrap_or(network)
}

/// True when some proxy, trusted or not, has handled the request: when it says so in any header that proxies add.
pub fn was_forwarded(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .map(HeaderName::as_str)
        .any(|name| name.starts_with("x-forwarded-") || ADDED_BY_PROXIES.contains(&name))
}

/// The values of a header. A proxy appends to what its client sent, whatever bytes that has: they spoil their own element,
/// and no other.
fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes)
}

fn listed_hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    values(headers, X_FORWARDED_FOR)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|element| hop(&String::from_utf8_lossy(element)))
        .collect()
}

/// `Forwarded: for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"` (RFC 7239).
fn tagged_hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    values(headers, header::FORWARDED)
        .flat_map(|value| cut(value, b','))
        .map(tagged_hop)
        .collect()
}

/// The address of an element, which names one once.
fn tagged_hop(element: &[u8]) -> Option<IpAddr> {
    let mut named = cut(element, b';').into_iter().filter_map(|pair| {
        let pair = String::from_utf8_lossy(pair);
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| hop(value.trim().trim_matches('"')))
    });
    let only = named.next().flatten();
    only.filter(|_| named.next().is_none())
}

/// Cuts where this byte is not quoted: a proxy may quote what its client chose (`host="a, for=192.0.2.1"`). Quotes are
/// paired from the right end, which the nearest proxy wrote: one that a client left open opens nothing there.
fn cut(text: &[u8], at: u8) -> Vec<&[u8]> {
    let is_escaped = |quote: usize| {
        let before = text.get(..quote).unwrap_or_default().iter().rev();
        before.take_while(|byte| **byte == b'\\').count() % 2 == 1
    };
    let (mut parts, mut left, mut is_quoted) = (Vec::new(), text, false);
    for (index, byte) in text.iter().enumerate().rev() {
        if *byte == b'"' && !(is_quoted && is_escaped(index)) {
            is_quoted = !is_quoted;
        } else if *byte == at && !is_quoted {
            let (before, part) = left.split_at(index);
            parts.push(part.get(1..).unwrap_or_default());
            left = before;
        }
    }
    parts.push(left);
    parts.reverse();
    parts
}

/// An address, alone or with a port.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next()?,
        None => match text.split_once(':') {
            Some((v4, port)) if !port.contains(':') => v4,
            Some(_) | None => text,
        },
    };
    bare.parse::<IpAddr>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_by(header: ForwardingHeader, peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let networks = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let proxies = TrustedProxies::new(networks, header);
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        client_by(ForwardingHeader::XForwardedFor, peer, headers)
    }

    #[test]
    fn i63_forwarding_headers_of_strangers_are_not_believed() {
        assert_eq!(
            client("192.0.2.9", &[("x-forwarded-for", "198.51.100.1")]),
            "192.0.2.9"
        );
        assert_eq!(
            client("192.0.2.9", &[("forwarded", "for=198.51.100.1")]),
            "192.0.2.9"
        );
    }

    #[test]
    fn i63_the_client_is_the_right_most_untrusted_hop() {
        for (listed, expected) in [
            ("198.51.100.1", "198.51.100.1"),
            ("1.1.1.1, 198.51.100.1", "198.51.100.1"),
            ("1.1.1.1, 198.51.100.1, 10.0.0.7", "198.51.100.1"),
            ("198.51.100.1:4711, 10.0.0.7:80", "198.51.100.1"),
            ("10.0.0.5, 10.0.0.6", "10.0.0.5"),
            ("1.1.1.1, unknown, 10.0.0.6", "10.0.0.6"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(
                client("10.0.0.1", &[("x-forwarded-for", listed)]),
                expected,
                "{listed}"
            );
        }
        let two = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "198.51.100.2"),
        ];
        assert_eq!(client("::ffff:10.0.0.1", &two), "198.51.100.2");
    }

    #[test]
    fn i63_the_standard_header_says_the_same() {
        for (tagged, expected) in [
            ("for=198.51.100.1;proto=https", "198.51.100.1"),
            ("for=1.1.1.1, For=\"[2001:db8::2]:99\";by=10.0.0.1", "2001:db8::2"),
            ("for=_hidden", "fd00::1"),
            ("proto=https", "fd00::1"),
        ] {
            let found = client_by(ForwardingHeader::Forwarded, "fd00::1", &[("forwarded", tagged)]);
            assert_eq!(found, expected, "{tagged}");
        }
    }

    #[test]
    fn i63_a_network_that_is_mapped_into_ipv6_is_the_network() {
        let mapped = vec!["::ffff:10.0.0.0/104".parse().unwrap()];
        let proxies = TrustedProxies::new(mapped, ForwardingHeader::XForwardedFor);
        for (peer, trusted) in [
            ("10.0.0.1", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("::10.0.0.1", false),
        ] {
            assert_eq!(proxies.trusts(peer.parse().unwrap()), trusted, "{peer}");
        }
    }

    /// The host is the client's word, which a proxy quotes; and what a client sends before may have a quote left open.
    #[test]
    fn i63_what_a_client_has_quoted_is_no_hop() {
        for tagged in [
            "for=198.51.100.1;host=\"a, for=6.6.6.6\"",
            "host=\"a;for=6.6.6.6\";for=198.51.100.1",
            "for=198.51.100.1;host=\"a\\\", for=6.6.6.6\"",
            "for=198.51.100.1;host=\"a\\\\\"",
            "for=\"6.6.6.6, for=198.51.100.1",
            "for=6.6.6.6;host=\"a, for=\"198.51.100.1\"",
            "\", for=198.51.100.1;proto=https",
            "\\, for=\"198.51.100.1\"",
        ] {
            let found = client_by(ForwardingHeader::Forwarded, "fd00::1", &[("forwarded", tagged)]);
            assert_eq!(found, "198.51.100.1", "{tagged}");
        }
        // Which of two is the proxy's cannot be told.
        let twice = [("forwarded", "for=198.51.100.1;host=a;for=6.6.6.6")];
        assert_eq!(
            client_by(ForwardingHeader::Forwarded, "fd00::1", &twice),
            "fd00::1"
        );
    }

    #[test]
    fn i63_the_other_header_is_not_read() {
        let both = [
            ("x-forwarded-for", "198.51.100.1"),
            ("forwarded", "for=203.0.113.7"),
        ];
        assert_eq!(client("10.0.0.1", &both), "198.51.100.1");
        let found = client_by(ForwardingHeader::Forwarded, "10.0.0.1", &both);
        assert_eq!(found, "203.0.113.7");
        assert_eq!(client("10.0.0.1", &both[1..]), "10.0.0.1");
    }

    #[test]
    fn i63_what_an_address_carries_counts_and_is_not_trusted() {
        let listed = [("x-forwarded-for", "198.51.100.1")];
        for (peer, expected) in [
            ("::ffff:10.0.0.1", "198.51.100.1"),
            ("::10.0.0.1", "10.0.0.1"),
            ("2002:a00:1::", "10.0.0.1"),
            ("64:ff9b::10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(client(peer, &listed), expected, "{peer}");
        }
        let hop = [("x-forwarded-for", "64:ff9b::198.51.100.1")];
        assert_eq!(client("10.0.0.1", &hop), "198.51.100.1");
    }
}
