//! `IPsec`: ESP (RFC 4303), IKE (RFC 7296, RFC 2408) and their encapsulation in UDP (RFC 3948), recognised as a tunnel.
//!
//! Takes datagrams; gives the protocol's name. What the tunnel carries is opaque to us.

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "ipsec",
    title: "IPsec",
    source: "RFC 4303, RFC 7296, RFC 3948",
    over: &[IpProto::UDP, IpProto(50)],
    ports: &[500, 4500],
    reads: "that it is there; key exchange and content are opaque",
    probe,
    start: || Box::new(Ipsec),
};

/// An IKE header whose length is that of the datagram.
fn is_ike(data: &[u8]) -> bool {
    let Some(header) = data.first_chunk::<28>() else { return false };
    let [.., version, exchange, _, _, _, _, _, a, b, c, d] = *header;
    header.first_chunk::<8>().is_some_and(|spi| *spi != [0; 8])
        && matches!(version, 0x10 | 0x20)
        && matches!(exchange, 2..=6 | 32 | 33 | 34..=38)
        && u32::from_be_bytes([a, b, c, d]) as usize == data.len()
}

fn probe(p: &Probe<'_>) -> Match {
    let fits = match (p.proto, p.data) {
        (IpProto(50), data) => data.len() >= 16,
        (_, [0, 0, 0, 0, rest @ ..]) => p.server_on(&[4500]) && is_ike(rest),
        (_, data) => p.server_on(&[500, 4500]) && is_ike(data),
    };
    if fits { Match::Yes } else { Match::No }
}

struct Ipsec;

impl Dissector for Ipsec {
    fn datagram(&mut self, _: Direction, data: &[u8], _: &mut Cx<'_>) -> Class {
        if is_ike(data) || data.get(4..).is_some_and(is_ike) {
            Class::handshake("ipsec.ike")
        } else {
            Class::opaque("ipsec")
        }
    }

    fn unfinished(&self) -> Class {
        Class::opaque("ipsec")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ike_header_tells_the_length_of_its_datagram() {
        let mut message = vec![7; 8];
        message.extend([0; 8]);
        message.extend([33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 40]);
        message.extend([1; 12]);
        assert!(is_ike(&message));
        for cut in 0..message.len() {
            assert!(!is_ike(&message[..cut]), "{cut}");
        }
        message[17] = 0x30;
        assert!(!is_ike(&message));
    }
}
