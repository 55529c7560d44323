//! Networks in CIDR form.
//!
//! Takes text such as `149.154.160.0/20` or a single address; gives a prefix that can be compared with addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A prefix: an address without host bits, and its length in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: IpAddr,
    length: u8,
}

impl Cidr {
    /// A prefix; host bits must be zero.
    pub(crate) fn new(network: IpAddr, length: u8) -> Result<Cidr, &'static str> {
        let width = if network.is_ipv4() { 32 } else { 128 };
        if length > width {
            return Err("the prefix is longer than the address");
        }
        let cidr = Cidr { network, length };
        if cidr.first() == network { Ok(cidr) } else { Err("bits are set behind the prefix") }
    }

    /// Reads `ADDRESS/LENGTH`, or an address alone as its full length.
    pub(crate) fn parse(text: &str) -> Result<Cidr, &'static str> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| "not an IP address")?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(text) => text.parse().map_err(|_| "not a prefix length")?,
            None => width,
        };
        Cidr::new(network, length)
    }

    /// Lowest address.
    pub(crate) fn first(&self) -> IpAddr {
        match self.network {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !host_bits_v4(self.length)).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !host_bits_v6(self.length)).into()),
        }
    }

    /// Highest address.
    pub(crate) fn last(&self) -> IpAddr {
        match self.network {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() | host_bits_v4(self.length)).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() | host_bits_v6(self.length)).into()),
        }
    }

    /// Whether the address lies in the prefix.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.network.is_ipv4() && self.first() <= address && address <= self.last()
    }

    /// Bits of the prefix.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }
}

fn host_bits_v4(length: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

fn host_bits_v6(length: u8) -> u128 {
    u128::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

/// A value for every address, which changes only where a prefix begins or ends.
#[derive(Debug)]
pub(crate) struct Steps<T> {
    /// From which address on which value holds, IPv4 before IPv6, sorted.
    steps: Vec<(IpAddr, T)>,
}

impl<T: Copy + Default + PartialEq> Steps<T> {
    /// Asks `value` once at each begin and behind each end.
    pub(crate) fn new(prefixes: impl Iterator<Item = Cidr>, value: impl Fn(IpAddr) -> T) -> Steps<T> {
        let mut at = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        for prefix in prefixes {
            at.push(prefix.first());
            at.extend(match prefix.last() {
                IpAddr::V4(last) => last.to_bits().checked_add(1).map(|n| IpAddr::V4(n.into())),
                IpAddr::V6(last) => last.to_bits().checked_add(1).map(|n| IpAddr::V6(n.into())),
            });
        }
        at.sort_unstable();
        at.dedup();
        let mut steps: Vec<(IpAddr, T)> = at.into_iter().map(|address| (address, value(address))).collect();
        steps.dedup_by(|next, before| next.1 == before.1 && next.0.is_ipv4() == before.0.is_ipv4());
        Steps { steps }
    }

    /// The value at an address.
    pub(crate) fn at(&self, address: IpAddr) -> T {
        let after = self.steps.partition_point(|(from, _)| *from <= address);
        after.checked_sub(1).and_then(|i| self.steps.get(i)).map(|(_, value)| *value).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_answer_as_the_prefixes_do() {
        let texts = [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "255.255.255.255",
            "::/1",
            "2001:db8::/32",
            "ffff::/16",
        ];
        let cidrs = texts.map(|text| Cidr::parse(text).unwrap());
        let plain = |address: IpAddr| {
            let around = cidrs.iter().filter(|cidr| cidr.contains(address));
            around.max_by_key(|cidr| cidr.length).map(|cidr| cidr.length)
        };
        let steps = Steps::new(cidrs.iter().copied(), plain);
        for text in [
            "0.0.0.0",
            "9.255.255.255",
            "10.0.0.0",
            "10.1.2.2",
            "10.1.2.3",
            "10.1.2.4",
            "10.2.0.0",
            "11.0.0.0",
            "255.255.255.254",
            "255.255.255.255",
            "::",
            "2001:db7::",
            "2001:db8::1",
            "2001:db9::",
            "8000::",
            "ffff::1",
        ] {
            let address = text.parse().unwrap();
            assert_eq!(steps.at(address), plain(address), "{text}");
        }
        let nothing = Steps::new(std::iter::empty(), |_| 7_u8);
        assert_eq!(nothing.at("::1".parse().unwrap()), 7);
    }

    #[test]
    fn borders_and_faults() {
        for (text, inside, outside) in [
            ("149.154.160.0/20", "149.154.175.255", "149.154.176.0"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("3.33.221.48", "3.33.221.48", "3.33.221.49"),
            ("2001:b28:f23d::/48", "2001:b28:f23d:ffff::1", "2001:b28:f23e::"),
            ("::/0", "ffff::", "1.2.3.4"),
        ] {
            let cidr = Cidr::parse(text).unwrap();
            assert!(cidr.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{text} {outside}");
        }
        for wrong in ["1.2.3.4/33", "1.2.3.4/8", "x/8", "1.2.3.0/x", "", "::1/129", "1.2.3.0/-1"] {
            assert!(Cidr::parse(wrong).is_err(), "{wrong}");
        }
    }
}
