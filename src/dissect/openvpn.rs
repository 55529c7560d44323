//! `OpenVPN` over UDP and TCP: recognised by its reset packets; what it carries is not readable
//! (openvpn.net, "`OpenVPN` wire protocol", draft-openvpn-wire-protocol).
//!
//! Takes datagrams or length-prefixed packets; gives the protocol's name. Its control channel holds a TLS handshake of the
//! tunnel, not of a messenger, which is left alone; all of it counts as opaque.

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "openvpn",
    title: "OpenVPN",
    source: "draft-openvpn-wire-protocol",
    over: &[IpProto::UDP, IpProto::TCP],
    ports: &[1194],
    reads: "opcodes of packets; control channel and content are opaque",
    probe,
    start: || Box::new(OpenVpn),
};

const CONTROL: Class = Class::handshake("openvpn.control");
const DATA: Class = Class::opaque("openvpn");

/// Opcode of a packet: the upper five bits of its first byte.
fn opcode(packet: &[u8]) -> Option<u8> {
    packet.first().map(|b| b >> 3)
}

/// A hard reset: opcode 7, 8 or 10 with key 0, a session id, then (behind an HMAC and packet id with tls-auth) an empty or short
/// list of acknowledged packets and packet number 0.
fn is_reset(packet: &[u8], direction: Direction) -> bool {
    let right = match (opcode(packet), direction) {
        (Some(7 | 10), Direction::Up) | (Some(8), Direction::Down) => {
            packet.first().is_some_and(|b| b.trailing_zeros() >= 3)
        }
        _ => false,
    };
    let session = packet.get(1..9).is_some_and(|s| s.iter().any(|b| *b != 0));
    // Without tls-auth; with SHA-1 (20), SHA-256 (32) or SHA-512 (64) HMAC, 4 bytes of replay id and 4 of time; tls-crypt: any.
    let numbered = [9, 9 + 20 + 8, 9 + 32 + 8, 9 + 64 + 8].into_iter().any(|at| {
        packet.get(at).is_some_and(|acks| {
            let behind = at + 1 + if *acks == 0 { 0 } else { usize::from(*acks) * 4 + 8 };
            *acks <= 8 && packet.get(behind..) == Some(&[0, 0, 0, 0])
        })
    });
    right && session && numbered
}

fn probe(p: &Probe<'_>) -> Match {
    let packet = match (p.proto, p.data) {
        (IpProto::TCP, [high, low, rest @ ..]) if p.from_start => {
            let size = usize::from(u16::from_be_bytes([*high, *low]));
            match rest.get(..size) {
                Some(packet) => packet,
                None => return Match::No,
            }
        }
        (IpProto::UDP, data) => data,
        _ => return Match::No,
    };
    if is_reset(packet, p.direction) { Match::Yes } else { Match::No }
}

struct OpenVpn;

fn class(packet: &[u8]) -> Class {
    if matches!(opcode(packet), Some(6 | 9)) { DATA } else { CONTROL }
}

impl Dissector for OpenVpn {
    fn stream(&mut self, _: Direction, data: &[u8], _: &mut Cx<'_>) -> Step {
        let [high, low, packet @ ..] = data else { return Step::More(2) };
        let size = 2 + usize::from(u16::from_be_bytes([*high, *low]));
        if packet.is_empty() { Step::More(3) } else { Step::Took(size, class(packet)) }
    }

    fn datagram(&mut self, _: Direction, data: &[u8], _: &mut Cx<'_>) -> Class {
        class(data)
    }

    fn unfinished(&self) -> Class {
        DATA
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_resets_open_a_flow() {
        let plain = [&[0x38][..], &[9; 8], &[0], &[0; 4]].concat();
        let authenticated = [&[0x38][..], &[9; 8], &[7; 20], &[1; 8], &[0], &[0; 4]].concat();
        let answer = [&[0x40][..], &[9; 8], &[1], &[0; 4], &[5; 8], &[0; 4]].concat();
        for (what, packet, direction, fits) in [
            ("client reset", &plain, Direction::Up, true),
            ("wrong way", &plain, Direction::Down, false),
            ("tls-auth", &authenticated, Direction::Up, true),
            ("server reset", &answer, Direction::Down, true),
            ("data", &[&[0x30][..], &[9; 40]].concat(), Direction::Up, false),
            ("empty", &Vec::new(), Direction::Up, false),
        ] {
            assert_eq!(is_reset(packet, direction), fits, "{what}");
        }
        for cut in 0..plain.len() {
            assert!(!is_reset(&plain[..cut], Direction::Up), "{cut}");
        }
    }
}
