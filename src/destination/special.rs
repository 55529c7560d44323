//! Address ranges that stand for no place (IANA special-purpose registries, RFC 6890 and successors).
//!
//! Takes an address; gives its kind, or the IPv4 address that an IPv6 form carries. Knows no operators.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that counts for a look-up: IPv4-mapped (RFC 4291) and NAT64 (RFC 6052, well-known prefix) forms carry an
/// IPv4 address, and that is the end which is talked to.
pub(crate) fn effective(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        _ => address,
    }
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
        [192, 0, 0, _] => "protocol-assignment",
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
        _ => return None,
    })
}

/// Whether the address can only be an end within the local network (so a flow's remote end may be the other one).
pub(crate) fn local(address: IpAddr) -> bool {
    matches!(special(address), Some("private" | "cgnat" | "link-local" | "loopback"))
}
