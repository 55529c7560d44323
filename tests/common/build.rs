//! Captures from code: classic pcap in both byte orders and resolutions, pcapng with several interfaces.
//!
//! Takes packets, gives the bytes of a file and the frame number of each packet. Writes what it is told, sound or not.

use std::net::SocketAddr;

use super::wire::{self, flag, link};

/// Byte order of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Time resolution of a classic pcap file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    /// Ticks a second.
    ticks: u64,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Pcap(Unit),
    PcapNg,
}

/// A capture under construction.
///
/// ```ignore
/// let mut capture = PacketBuilder::new();
/// let frame = capture.udp(client, resolver, &dns_query(1, "chat.example", 1));
/// let bytes = capture.finish();
/// ```
pub(crate) struct PacketBuilder {
    format: Format,
    endian: Endian,
    interfaces: Vec<Interface>,
    vlans: Vec<u16>,
    /// Nanoseconds since 1970 of the next packet.
    clock: u64,
    frames: u64,
    /// Where each packet's record or block ends, by frame.
    ends: Vec<usize>,
    out: Vec<u8>,
}

/// The time of the first packet: 2023-11-14T22:13:20Z.
pub(crate) const START: u64 = 1_700_000_000_000_000_000;

impl PacketBuilder {
    /// Classic pcap, little-endian, microseconds, Ethernet.
    pub(crate) fn new() -> PacketBuilder {
        PacketBuilder::pcap(Endian::Little, Unit::Micros, link::ETHERNET)
    }

    /// Classic pcap.
    pub(crate) fn pcap(endian: Endian, unit: Unit, link_type: u16) -> PacketBuilder {
        let mut made = PacketBuilder::empty(Format::Pcap(unit), endian);
        made.interfaces.push(Interface { link_type, ticks: 0 });
        made.u32(match unit {
            Unit::Micros => 0xa1b2_c3d4,
            Unit::Nanos => 0xa1b2_3c4d,
        });
        made.u16(2);
        made.u16(4);
        made.u32(0);
        made.u32(0);
        made.u32(262_144);
        made.u32(u32::from(link_type));
        made
    }

    /// pcapng with a section header and no interface yet.
    pub(crate) fn pcapng(endian: Endian) -> PacketBuilder {
        let mut made = PacketBuilder::empty(Format::PcapNg, endian);
        made.section(&[]);
        made
    }

    fn empty(format: Format, endian: Endian) -> PacketBuilder {
        PacketBuilder {
            format,
            endian,
            interfaces: Vec::new(),
            vlans: Vec::new(),
            clock: START,
            frames: 0,
            ends: Vec::new(),
            out: Vec::new(),
        }
    }

    fn u16(&mut self, value: u16) {
        self.out.extend(self.bytes16(value));
    }

    fn u32(&mut self, value: u32) {
        self.out.extend(self.bytes32(value));
    }

    fn bytes16(&self, value: u16) -> [u8; 2] {
        if self.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    fn bytes32(&self, value: u32) -> [u8; 4] {
        if self.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut out = self.bytes16(code).to_vec();
        out.extend(self.bytes16(value.len() as u16));
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    /// A pcapng section header with these options; interfaces count anew from 0.
    pub(crate) fn section(&mut self, options: &[(u16, &[u8])]) {
        self.interfaces.clear();
        let mut body = self.bytes32(0x1a2b_3c4d).to_vec();
        body.extend(self.bytes16(1));
        body.extend(self.bytes16(0));
        body.extend([0xff; 8]);
        for (code, value) in options {
            body.extend(self.option(*code, value));
        }
        self.block(0x0a0d_0d0a, &body);
    }

    /// Any pcapng block; the body is padded to four bytes.
    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let total = (padded + 12) as u32;
        self.u32(kind);
        self.u32(total);
        self.out.extend(body);
        self.out.resize(self.out.len() + padded - body.len(), 0);
        self.u32(total);
    }

    /// A pcapng interface; `tsresol` as in the `if_tsresol` option (6 when absent). Gives its number.
    pub(crate) fn interface(&mut self, link_type: u16, tsresol: Option<u8>) -> usize {
        let mut body = self.bytes16(link_type).to_vec();
        body.extend(self.bytes16(0));
        body.extend(self.bytes32(262_144));
        if let Some(resolution) = tsresol {
            body.extend(self.option(9, &[resolution]));
            body.extend(self.option(0, &[]));
        }
        self.block(1, &body);
        let resolution = tsresol.unwrap_or(6);
        let exponent = u32::from(resolution & 0x7f);
        let ticks = if resolution & 0x80 == 0 { 10_u64.pow(exponent) } else { 1 << exponent };
        self.interfaces.push(Interface { link_type, ticks });
        self.interfaces.len() - 1
    }

    /// A Decryption Secrets Block; `kind` is `0x544c534b` for a TLS key log.
    pub(crate) fn secrets(&mut self, kind: u32, data: &[u8]) {
        let mut body = self.bytes32(kind).to_vec();
        body.extend(self.bytes32(data.len() as u32));
        body.extend(data);
        self.block(10, &body);
    }

    /// VLAN tags for the packets that follow, from the outside in.
    pub(crate) fn vlans(&mut self, ids: &[u16]) -> &mut Self {
        self.vlans = ids.to_vec();
        self
    }

    /// The time of the next packet, nanoseconds since 1970; without it, packets are a millisecond apart.
    pub(crate) fn at(&mut self, nanos: u64) -> &mut Self {
        self.clock = nanos;
        self
    }

    /// Adds link-layer bytes as captured on the first interface.
    pub(crate) fn packet(&mut self, bytes: &[u8]) -> u64 {
        self.packet_on(0, bytes, bytes.len(), None)
    }

    /// Adds link-layer bytes on an interface; `original` is the length on the wire.
    pub(crate) fn packet_on(
        &mut self,
        interface: usize,
        bytes: &[u8],
        original: usize,
        comment: Option<&str>,
    ) -> u64 {
        let time = self.clock;
        self.clock += 1_000_000;
        match self.format {
            Format::Pcap(unit) => {
                let per_tick = if unit == Unit::Micros { 1000 } else { 1 };
                self.u32((time / 1_000_000_000) as u32);
                self.u32((time % 1_000_000_000 / per_tick) as u32);
                self.u32(bytes.len() as u32);
                self.u32(original as u32);
                self.out.extend(bytes);
            }
            Format::PcapNg => {
                let ticks = self.interfaces[interface].ticks;
                let stamp = u128::from(time) * u128::from(ticks) / 1_000_000_000;
                let mut body = self.bytes32(interface as u32).to_vec();
                body.extend(self.bytes32((stamp >> 32) as u32));
                body.extend(self.bytes32(stamp as u32));
                body.extend(self.bytes32(bytes.len() as u32));
                body.extend(self.bytes32(original as u32));
                body.extend(bytes);
                body.resize(body.len().next_multiple_of(4), 0);
                if let Some(comment) = comment {
                    body.extend(self.option(1, comment.as_bytes()));
                    body.extend(self.option(0, &[]));
                }
                self.block(6, &body);
            }
        }
        self.frames += 1;
        self.ends.push(self.out.len());
        self.frames
    }

    /// Adds an IP packet with the link header and VLAN tags of the first interface.
    pub(crate) fn ip(&mut self, packet: &[u8]) -> u64 {
        self.ip_on(0, packet)
    }

    /// Adds an IP packet with the link header and VLAN tags of an interface.
    pub(crate) fn ip_on(&mut self, interface: usize, packet: &[u8]) -> u64 {
        let framed = wire::frame(self.interfaces[interface].link_type, &self.vlans, packet);
        self.packet_on(interface, &framed, framed.len(), None)
    }

    /// Adds a UDP datagram.
    pub(crate) fn udp(&mut self, src: SocketAddr, dst: SocketAddr, payload: &[u8]) -> u64 {
        self.ip(&wire::udp(src, dst, payload))
    }

    /// Adds a TCP segment with chosen numbers.
    pub(crate) fn tcp(
        &mut self,
        src: SocketAddr,
        dst: SocketAddr,
        seq: u32,
        ack: u32,
        flags: u8,
        data: &[u8],
    ) -> u64 {
        self.ip(&wire::tcp(src, dst, seq, ack, flags, data))
    }

    /// Frames written so far.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes of the file up to the end of each frame's record, by frame.
    pub(crate) fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// The file as far as it is written.
    pub(crate) fn written(&self) -> &[u8] {
        &self.out
    }

    /// The file.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// A TCP connection whose sequence numbers run on by themselves, and where any offset can be sent out of order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tcp {
    /// Who opened it.
    pub(crate) client: SocketAddr,
    /// Whom.
    pub(crate) server: SocketAddr,
    /// Sequence number of the client's first payload byte.
    pub(crate) client_base: u32,
    /// Sequence number of the server's first payload byte.
    pub(crate) server_base: u32,
    /// Payload bytes that the client has sent with [`Tcp::up`].
    pub(crate) sent_up: u32,
    /// Payload bytes that the server has sent with [`Tcp::down`].
    pub(crate) sent_down: u32,
}

impl Tcp {
    /// A connection with fixed first numbers; nothing is written.
    pub(crate) fn new(client: &str, server: &str) -> Tcp {
        Tcp {
            client: client.parse().unwrap(),
            server: server.parse().unwrap(),
            client_base: 1001,
            server_base: 5001,
            sent_up: 0,
            sent_down: 0,
        }
    }

    /// Writes the three-way handshake.
    pub(crate) fn open(&self, to: &mut PacketBuilder) {
        let (c, s) = (self.client_base, self.server_base);
        to.tcp(self.client, self.server, c.wrapping_sub(1), 0, flag::SYN, b"");
        to.tcp(self.server, self.client, s.wrapping_sub(1), c, flag::SYN | flag::ACK, b"");
        to.tcp(self.client, self.server, c, s, flag::ACK, b"");
    }

    /// Client to server, next in order.
    pub(crate) fn up(&mut self, to: &mut PacketBuilder, data: &[u8]) -> u64 {
        let frame = self.up_at(to, self.sent_up, data);
        self.sent_up = self.sent_up.wrapping_add(data.len() as u32);
        frame
    }

    /// Server to client, next in order.
    pub(crate) fn down(&mut self, to: &mut PacketBuilder, data: &[u8]) -> u64 {
        let seq = self.server_base.wrapping_add(self.sent_down);
        self.sent_down = self.sent_down.wrapping_add(data.len() as u32);
        let ack = self.client_base.wrapping_add(self.sent_up);
        to.tcp(self.server, self.client, seq, ack, flag::PSH | flag::ACK, data)
    }

    /// Client to server at an offset of its stream, whatever was sent before.
    pub(crate) fn up_at(&self, to: &mut PacketBuilder, offset: u32, data: &[u8]) -> u64 {
        let seq = self.client_base.wrapping_add(offset);
        let ack = self.server_base.wrapping_add(self.sent_down);
        to.tcp(self.client, self.server, seq, ack, flag::PSH | flag::ACK, data)
    }

    /// Both sides say FIN.
    pub(crate) fn close(&self, to: &mut PacketBuilder) {
        let c = self.client_base.wrapping_add(self.sent_up);
        let s = self.server_base.wrapping_add(self.sent_down);
        to.tcp(self.client, self.server, c, s, flag::FIN | flag::ACK, b"");
        to.tcp(self.server, self.client, s, c.wrapping_add(1), flag::FIN | flag::ACK, b"");
        to.tcp(self.client, self.server, c.wrapping_add(1), s.wrapping_add(1), flag::ACK, b"");
    }
}
