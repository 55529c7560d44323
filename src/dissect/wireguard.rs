//! `WireGuard`: recognised by its handshake; what it carries is not readable (wireguard.com/protocol, "Protocol & Cryptography").
//!
//! Takes datagrams; gives the protocol's name. A tunnel hides its content from us too, so its bytes count as opaque, never as
//! the encryption of a messenger.

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "wireguard",
    title: "WireGuard",
    source: "wireguard.com/protocol (Donenfeld, NDSS 2017)",
    over: &[IpProto::UDP],
    ports: &[51820],
    reads: "types and sizes of messages; the tunnel's content is opaque",
    probe,
    start: || Box::new(WireGuard),
};

fn probe(p: &Probe<'_>) -> Match {
    // Type, three zero bytes; every type but data has one size.
    let fits = match (p.data.first_chunk(), p.data.len()) {
        (Some([1, 0, 0, 0]), 148) | (Some([2, 0, 0, 0]), 92) => true,
        (Some([3, 0, 0, 0]), 64) => p.server_on(PROTOCOL.ports),
        // Data begins with a counter below 2^60, padded to blocks of 16.
        (Some([4, 0, 0, 0]), n) => {
            n >= 32 && n % 16 == 0 && p.data.get(14..16) == Some(&[0, 0]) && p.server_on(PROTOCOL.ports)
        }
        _ => false,
    };
    if fits { Match::Yes } else { Match::No }
}

struct WireGuard;

impl Dissector for WireGuard {
    fn datagram(&mut self, _: Direction, data: &[u8], _: &mut Cx<'_>) -> Class {
        match data.first() {
            Some(1..=3) => Class::handshake("wireguard.handshake"),
            _ => Class::opaque("wireguard"),
        }
    }

    fn unfinished(&self) -> Class {
        Class::opaque("wireguard")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_types_decide() {
        let message = |kind: u8, size: usize| {
            let mut bytes = vec![9; size];
            bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
            bytes
        };
        let mut data = message(4, 64);
        data[14..16].fill(0);
        for (what, bytes, port, fits) in [
            ("initiation", message(1, 148), 4711, Match::Yes),
            ("one byte more", message(1, 149), 51820, Match::No),
            ("response", message(2, 92), 4711, Match::Yes),
            ("cookie elsewhere", message(3, 64), 4711, Match::No),
            ("data on the usual port", data.clone(), 51820, Match::Yes),
            ("data elsewhere", data, 4711, Match::No),
            ("counter too large", message(4, 64), 51820, Match::No),
            ("nothing", Vec::new(), 51820, Match::No),
        ] {
            let p = Probe {
                data: &bytes,
                direction: Direction::Up,
                proto: IpProto::UDP,
                client_port: 40_000,
                server_port: port,
                server: std::net::Ipv4Addr::LOCALHOST.into(),
                from_start: true,
                earlier_payload: false,
                earlier: &[],
            };
            assert_eq!(probe(&p), fits, "{what}");
        }
    }
}
