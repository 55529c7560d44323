//! `IPsec`: ESP (RFC 4303), IKE (RFC 7296, RFC 2408) and their encapsulation in UDP (RFC 3948), recognised as a tunnel.
//!
//! Takes datagrams; gives the protocol's name; ESP in UDP is told without IKE by three datagrams of one SPI in sequence. What the tunnel carries is opaque to us.

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Reader};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "ipsec",
    title: "IPsec",
    source: "RFC 4303, RFC 7296, RFC 3948",
    over: &[IpProto::UDP, IpProto(50)],
    ports: &[500, 4500],
    reads: "that it is there; key exchange and content of ESP are opaque; an authentication header (AH, RFC 4302) is the layer `ah`, and what it authenticates is read",
    probe,
    start: || Box::new(Ipsec),
};

/// Steps from one datagram of ESP to the next that tell it without IKE, and the largest one (losses, or frames left out).
const STEPS: u32 = 2;
const MAX_STEP: u32 = 1024;

/// An IKE header whose length is that of the datagram.
fn is_ike(data: &[u8]) -> bool {
    let Some(header) = data.first_chunk::<28>() else { return false };
    let [.., version, exchange, _, _, _, _, _, a, b, c, d] = *header;
    header.first_chunk::<8>().is_some_and(|spi| *spi != [0; 8])
        && matches!(version, 0x10 | 0x20)
        && matches!(exchange, 2..=6 | 32 | 33 | 34..=38)
        && u32::from_be_bytes([a, b, c, d]) as usize == data.len()
}

/// SPI and sequence number of ESP in UDP (RFC 3948 section 2.1), if there is room for an authenticator behind them.
fn esp(data: &[u8]) -> Option<(u32, u32)> {
    let mut r = Reader::new(data);
    let (spi, sequence) = (r.u32("spi").ok()?, r.u32("sequence number").ok()?);
    // SPIs up to 255 are reserved (RFC 4303 section 2.1).
    (spi > 255 && sequence > 0 && r.rest().len() >= 16).then_some((spi, sequence))
}

/// Whether this datagram and those before it in its direction are ESP: three of one SPI whose sequence numbers rise.
fn probe_esp(p: &Probe<'_>) -> Match {
    let Some((spi, mut last)) = esp(p.data).filter(|_| p.server_on(&[4500]) || p.client_port == 4500) else {
        return Match::No;
    };
    let mut steps = 0;
    for earlier in p.earlier.iter().rev().filter(|d| d.direction == p.direction) {
        if let Some((_, before)) =
            esp(&earlier.data).filter(|(of, before)| *of == spi && follows(last, *before))
        {
            last = before;
            steps += 1;
        }
    }
    if steps >= STEPS { Match::Yes } else { Match::Maybe }
}

/// `number` comes after `before`, with some lost between them.
fn follows(number: u32, before: u32) -> bool {
    number.checked_sub(before).is_some_and(|step| (1..=MAX_STEP).contains(&step))
}

fn probe(p: &Probe<'_>) -> Match {
    if p.proto == IpProto::UDP && probe_ike(p) == Match::No {
        return probe_esp(p);
    }
    probe_ike(p)
}

fn probe_ike(p: &Probe<'_>) -> Match {
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
    use super::super::testing::datagrams;
    use super::*;
    use crate::model::Direction::{Down, Up};

    fn packet(spi: u32, sequence: u32) -> Vec<u8> {
        [&spi.to_be_bytes()[..], &sequence.to_be_bytes(), &[0xd5; 40]].concat()
    }

    #[test]
    fn three_in_sequence_are_esp_without_ike() {
        let (one, other) = (0xc0de_0001, 0xc0de_0002);
        let run =
            [(Up, packet(one, 7)), (Down, packet(other, 3)), (Up, packet(one, 8)), (Up, packet(one, 10))];
        let analysis = datagrams(4500, &run);
        assert_eq!(analysis.flows[0].app_protocols, ["ipsec"]);
        assert_eq!(analysis.coverage.classes["ipsec"], 4 * 48, "with those that waited");
        let short = |n: u32| (Up, packet(one, n)[..20].to_vec());
        for (name, port, list) in [
            ("two and one of the other side", 4500, run[..3].to_vec()),
            ("another port", 4501, run.to_vec()),
            ("each of another SPI", 4500, (1..6).map(|n| (Up, packet(one + n, n))).collect()),
            ("none", 4500, (1..6).map(|n| (Up, packet(0, n))).collect()),
            ("backwards", 4500, (1..6).map(|n| (Up, packet(one, 9 - n))).collect()),
            ("the same again", 4500, (1..6).map(|_| (Up, packet(one, 4))).collect()),
            ("leaps", 4500, (1..6).map(|n| (Up, packet(one, n * 100_000))).collect()),
            ("no room for content", 4500, (1..6).map(short).collect()),
        ] {
            assert_eq!(datagrams(port, &list).flows[0].app_protocols, [""; 0], "{name}");
        }
    }

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
