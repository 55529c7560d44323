//! Captures from code for the tests of dissectors: datagrams and one connection between two fixed ends.
//!
//! Takes payloads with their directions; gives the bytes of a classic pcap with raw IPv4 packets (checksums left out), and what
//! the engine says of them.

use super::{CaptureAnalysis, Observation, Options, analyse_bytes};
use crate::model::Direction;

/// The side that speaks first.
pub(super) const CLIENT: [u8; 4] = [192, 168, 0, 7];
/// The other side.
pub(super) const SERVER: [u8; 4] = [203, 0, 113, 9];
const CLIENT_PORT: u16 = 40_000;

/// Packets of a capture under construction.
#[derive(Default)]
pub(super) struct Wire {
    packets: Vec<Vec<u8>>,
}

impl Wire {
    fn ip(&mut self, d: Direction, protocol: u8, transport: &[u8]) {
        let (from, to) = if d == Direction::Up { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let length = (20 + transport.len()) as u16;
        let mut p = vec![0x45, 0];
        p.extend(length.to_be_bytes());
        p.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        p.extend(from);
        p.extend(to);
        p.extend(transport);
        self.packets.push(p);
    }

    fn ports(d: Direction, server_port: u16) -> Vec<u8> {
        let (from, to) =
            if d == Direction::Up { (CLIENT_PORT, server_port) } else { (server_port, CLIENT_PORT) };
        [from.to_be_bytes(), to.to_be_bytes()].concat()
    }

    /// One datagram.
    pub(super) fn udp(&mut self, d: Direction, server_port: u16, payload: &[u8]) {
        let mut t = Wire::ports(d, server_port);
        t.extend(((8 + payload.len()) as u16).to_be_bytes());
        t.extend([0, 0]);
        t.extend(payload);
        self.ip(d, 17, &t);
    }

    fn tcp(&mut self, d: Direction, server_port: u16, at: u32, flags: u8, payload: &[u8]) {
        let mut t = Wire::ports(d, server_port);
        t.extend(at.to_be_bytes());
        t.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        t.extend(payload);
        self.ip(d, 6, &t);
    }

    /// A classic pcap, link type 101 (raw IP).
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        out.extend(262_144_u32.to_le_bytes());
        out.extend(101_u32.to_le_bytes());
        for (n, p) in (0_u32..).zip(&self.packets) {
            out.extend((1_700_000_000 + n).to_le_bytes());
            out.extend(0_u32.to_le_bytes());
            let length = (p.len() as u32).to_le_bytes();
            out.extend(length);
            out.extend(length);
            out.extend(p);
        }
        out
    }

    /// What the engine says, with observations; the ledger always sums to the file.
    pub(super) fn analyse(&self) -> CaptureAnalysis {
        let options = Options { observe: true, ..Options::default() };
        let bytes = self.bytes();
        let analysis = analyse_bytes("test", &bytes, &options).expect("a capture");
        assert_eq!(analysis.coverage.classes.values().sum::<u64>(), bytes.len() as u64);
        analysis
    }
}

/// Datagrams of one flow.
pub(super) fn datagrams<P: AsRef<[u8]>>(server_port: u16, list: &[(Direction, P)]) -> CaptureAnalysis {
    let mut wire = Wire::default();
    for (d, payload) in list {
        wire.udp(*d, server_port, payload.as_ref());
    }
    wire.analyse()
}

/// One connection on which both sides send these pieces, a segment each; frame 1 is the SYN.
pub(super) fn connection<P: AsRef<[u8]>>(server_port: u16, list: &[(Direction, P)]) -> CaptureAnalysis {
    let mut wire = Wire::default();
    let mut next = [1000_u32, 5000];
    wire.tcp(Direction::Up, server_port, 999, 2, &[]);
    wire.tcp(Direction::Down, server_port, 4999, 0x12, &[]);
    for (d, payload) in list {
        let at = d.pick(&mut next);
        wire.tcp(*d, server_port, *at, 0x18, payload.as_ref());
        *at += payload.as_ref().len() as u32;
    }
    wire.analyse()
}

/// The observations of a kind.
pub(super) fn of_kind<'a>(analysis: &'a CaptureAnalysis, kind: &str) -> Vec<&'a Observation> {
    analysis.observations.iter().filter(|o| o.kind == kind).collect()
}

/// A field of an observation as text; empty for null.
pub(super) fn text(observation: &Observation, field: &str) -> String {
    match observation.fields.get(field) {
        Some(serde_json::Value::String(s)) => s.clone(),
        Some(serde_json::Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Bytes from hex with blanks.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
        .collect()
}

/// A TLS client hello that names this server.
pub(super) fn client_hello(name: &str) -> Vec<u8> {
    let with_length = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let names = with_length(&[&[0][..], &with_length(name.as_bytes())].concat());
    let extensions = with_length(&[&[0, 0][..], &with_length(&names)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
    let message = [&[1, 0][..], &with_length(&body)].concat();
    [&[22, 3, 1][..], &with_length(&message)].concat()
}

/// Both sides agree on TLS by these pieces: the client's hello is read behind them, also when each byte is a segment of its own;
/// cut anywhere, nothing is read of a hello that is not whole. `size` bytes are of the protocol's class.
pub(super) fn step_to_tls(id: &str, port: u16, agreed: &[(Direction, &[u8])], hello: &[u8], size: u64) {
    let mut all: Vec<(Direction, &[u8])> = agreed.to_vec();
    all.push((Direction::Up, hello));
    let single: Vec<_> = all.iter().flat_map(|(d, data)| data.chunks(1).map(|c| (*d, c))).collect();
    for pieces in [&all, &single] {
        let analysis = connection(port, pieces);
        assert_eq!(analysis.flows[0].app_protocols, [id, "tls"]);
        assert_eq!(analysis.coverage.classes[id], size);
        let [seen] = of_kind(&analysis, "tls.client_hello")[..] else { panic!("not one hello") };
        assert!(!text(seen, "sni").is_empty());
        assert_eq!(analysis.flows[0].names[0].name, text(seen, "sni"));
    }
    for cut in 0..single.len() {
        let analysis = connection(port, &single[..cut]);
        assert_eq!(of_kind(&analysis, "tls.client_hello").len(), 0, "{cut}");
    }
}
