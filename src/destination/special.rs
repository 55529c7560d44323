//! Address ranges that stand for no place (IANA special-purpose registries, RFC 6890 and successors).
//!
//! Takes an address; gives its kind, or the IPv4 address that an IPv6 form carries. Knows no operators.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{Embedded, EmbeddedForm};

/// The IPv4 address that an IPv6 address carries: IPv4-mapped (RFC 4291 section 2.5.5.2), NAT64 with the well-known prefix
/// (RFC 6052 section 2.1), 6to4 (RFC 3056 section 2). In the first two it is the end which is talked to, in 6to4 the router
/// of its site. Prefixes of a network's own NAT64 (RFC 6052, RFC 8215) cannot be told from other addresses, and Teredo's
/// inner addresses (RFC 4380) name a server and a translation rather than the end, so neither is unwrapped.
fn carried(address: IpAddr) -> Option<(EmbeddedForm, Ipv4Addr)> {
    let IpAddr::V6(v6) = address else { return None };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return Some((EmbeddedForm::Ipv4Mapped, v4));
    }
    let joined = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((EmbeddedForm::Nat64, joined(high, low))),
        [0x2002, high, low, ..] => Some((EmbeddedForm::SixToFour, joined(high, low))),
        _ => None,
    }
}

/// The address that counts for a look-up: the carried IPv4 address, where there is one.
pub(crate) fn effective(address: IpAddr) -> IpAddr {
    carried(address).map_or(address, |(_, v4)| IpAddr::V4(v4))
}

/// What an IPv6 address carries, in the report's words.
pub(crate) fn embedded(address: IpAddr) -> Option<Embedded> {
    carried(address).map(|(form, v4)| Embedded { form, address: v4.to_string() })
}

/// The kind of a special range, or `None` for an address that can be looked up.
pub fn special(address: IpAddr) -> Option<&'static str> {
    match effective(address) {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, 0, 0, 0] => "unspecified",
        [0, ..] => "this-network",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "cgnat",
        [127, ..] => "loopback",
        [169, 254, ..] => "link-local",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        // Anycast addresses of PCP and TURN (RFC 7723, RFC 8155), of AS112 (RFC 7534, RFC 7535) and of AMT (RFC 7450).
        [192, 0, 0, 9 | 10] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => "protocol-anycast",
        [192, 0, 0, _] => "protocol-assignment",
        // Relays of 6to4, deprecated (RFC 7526).
        [192, 88, 99, _] => "6to4-relay",
        [198, 18..=19, ..] => "benchmark",
        [224..=239, ..] => "multicast",
        [255, 255, 255, 255] => "broadcast",
        [240..=255, ..] => "reserved",
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xfc00..=0xfdff, ..] => "private",
        [0xff00..=0xffff, ..] => "multicast",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0x2001, 2, 0, ..] => "benchmark",
        [0x100, 0, 0, 0, ..] => "discard",
        // RFC 9780: a prefix for no use on the wire.
        [0x100, 0, 0, 1, ..] => "dummy",
        // Of a network's own translator (RFC 8215): whom it stands for only that network knows.
        [0x64, 0xff9b, 1, ..] => "local-translation",
        // Deprecated by RFC 3879, never to be routed.
        [0xfec0..=0xfeff, ..] => "site-local",
        // Segment identifiers of SRv6 (RFC 9602).
        [0x5f00, ..] => "segment-routing",
        // ORCHID and its deprecated first version (RFC 7343, RFC 4843), and tags of aircraft (RFC 9374): names, not places.
        [0x2001, 0x10..=0x2f, ..] => "orchid",
        [0x2001, 0x30..=0x3f, ..] => "drip",
        [0x2001, 1, 0, 0, 0, 0, 0, 1..=3]
        | [0x2001, 3, ..]
        | [0x2001, 4, 0x112, ..]
        | [0x2620, 0x4f, 0x8000, ..] => "protocol-anycast",
        // What is left of 2001::/23 (RFC 2928) but Teredo.
        [0x2001, 1..=2 | 4..=0xf | 0x40..=0x1ff, ..] => "protocol-assignment",
        _ => return None,
    })
}

/// Whether the address can only be an end within the local network (so a flow's remote end may be the other one).
pub(crate) fn local(address: IpAddr) -> bool {
    matches!(special(address), Some("private" | "cgnat" | "link-local" | "loopback"))
}
