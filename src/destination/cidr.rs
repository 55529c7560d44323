//! Networks in CIDR form.
//!
//! Takes text such as `149.154.160.0/20` or a single address; gives a prefix that can be compared with addresses.

use std::fmt;
use std::net::IpAddr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
