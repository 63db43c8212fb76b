//! Whose address an address is: what limits, networks and shields see of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The client behind an address: where IPv6 only carries an IPv4 address, that one. Else anybody who has one address there
/// has a whole network of them here, or a translator's clients have one address together.
///
/// Known are: mapped (`::ffff:a.b.c.d`, RFC 4291 2.5.5.2), compatible (`::a.b.c.d`, 2.5.5.1) and translated
/// (`::ffff:0:a.b.c.d`, RFC 2765) addresses; the well-known
/// prefix of NAT64 (`64:ff9b::/96`, RFC 6052) and the one for local use (`64:ff9b:1::/48`, RFC 8215), in each of the
/// lengths of RFC 6052 2.2 that fit in it; 6to4 (`2002::/16`, RFC 3056); Teredo (`2001::/32`, RFC 4380), where it is the
/// address of the client's own network. What such an address says is the sender's word: it counts, and opens nothing.
///
/// ```
/// use verify_core::address::client;
///
/// assert_eq!(client("64:ff9b::192.0.2.33".parse()?).to_string(), "192.0.2.33");
/// assert_eq!(client("2001:db8::1".parse()?).to_string(), "2001:db8::1");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn client(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => embedded(v6).map_or(ip, IpAddr::V4),
    }
}

/// The client as it is told apart from others: an IPv4 address, or the /64 that a client has of IPv6 (its lower half is
/// zero).
pub fn network(ip: IpAddr) -> IpAddr {
    match client(ip) {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = v6.octets();
    let low = Ipv4Addr::new(a, b, c, d);
    match v6.segments() {
        // Nobody's, and this machine's own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(low),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(low),
        [0x64, 0xff9b, 1, ..] => Some(translated(v6.octets())),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        [0x2001, 0, ..] => Some(Ipv4Addr::from_bits(!low.to_bits())),
        _ => None,
    }
}

/// RFC 6052 2.2: after a prefix of 48, 56 or 64 bits comes the IPv4 address, around the ninth octet, which is zero, and
/// zeros to the end; after one of 96 it is the end. The lengths are told apart by where the zeros begin.
const fn translated(octets: [u8; 16]) -> Ipv4Addr {
    match octets {
        [_, _, _, _, _, _, a, b, 0, c, d, 0, 0, 0, 0, 0] => Ipv4Addr::new(a, b, c, d),
        [_, _, _, _, _, _, _, a, 0, b, c, d, 0, 0, 0, 0]
        | [_, _, _, _, _, _, _, _, 0, a, b, c, d, 0, 0, 0]
        | [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d] => Ipv4Addr::new(a, b, c, d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i63_every_form_of_an_embedded_address_is_the_address() {
        for (form, written, means) in [
            ("RFC 4291 mapped", "::ffff:192.0.2.33", "192.0.2.33"),
            ("RFC 4291 compatible", "::192.0.2.33", "192.0.2.33"),
            ("RFC 2765 translated", "::ffff:0:192.0.2.33", "192.0.2.33"),
            ("RFC 6052 well-known", "64:ff9b::192.0.2.33", "192.0.2.33"),
            ("RFC 8215 /48", "64:ff9b:1:c000:2:2100::", "192.0.2.33"),
            ("RFC 8215 /56", "64:ff9b:1:c0:0:221::", "192.0.2.33"),
            ("RFC 8215 /64", "64:ff9b:1:0:c0:2:2100::", "192.0.2.33"),
            ("RFC 8215 /96", "64:ff9b:1::192.0.2.33", "192.0.2.33"),
            ("RFC 8215 /96", "64:ff9b:1:fffe::192.0.2.33", "192.0.2.33"),
            ("RFC 3056", "2002:c000:221::1", "192.0.2.33"),
            (
                "RFC 3056, any of its hosts",
                "2002:c000:221:9:8:7:6:5",
                "192.0.2.33",
            ),
            ("RFC 4380", "2001:0:c633:6401:8000:f227:3fff:fdde", "192.0.2.33"),
            ("itself", "192.0.2.33", "192.0.2.33"),
            ("nobody", "::", "::"),
            ("this machine", "::1", "::1"),
            ("native", "2001:db8:1:2:3:4:c000:221", "2001:db8:1:2:3:4:c000:221"),
            ("native, beside Teredo", "2001:1::c000:221", "2001:1::c000:221"),
            (
                "native, beside NAT64",
                "64:ff9b:2::c000:221",
                "64:ff9b:2::c000:221",
            ),
            ("link-local", "fe80::c000:221", "fe80::c000:221"),
        ] {
            let found = client(written.parse().unwrap());
            assert_eq!(found, means.parse::<IpAddr>().unwrap(), "{form}: {written}");
        }
    }

    #[test]
    fn i63_a_client_of_ipv6_is_its_64() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:3::"), "2001:db8:1:3::");
        assert_eq!(of("2002:c000:221::1"), "192.0.2.33");
    }
}
