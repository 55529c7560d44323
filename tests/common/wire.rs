//! Bytes as programs put them on the wire: IP, UDP, TCP, link headers, DNS questions, a TLS client hello.
//!
//! Takes addresses and payloads, gives packets with right lengths and checksums. Reads nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Link types by their number in the registry of capture formats.
pub(crate) mod link {
    /// BSD loopback, family in the byte order of the writer.
    pub(crate) const NULL: u16 = 0;
    /// Ethernet.
    pub(crate) const ETHERNET: u16 = 1;
    /// IP without a link header.
    pub(crate) const RAW: u16 = 101;
    /// `OpenBSD` loopback, family in network byte order.
    pub(crate) const LOOP: u16 = 108;
    /// Linux cooked capture.
    pub(crate) const SLL: u16 = 113;
    /// Linux cooked capture, version 2.
    pub(crate) const SLL2: u16 = 276;
    /// IPv4 only.
    pub(crate) const IPV4: u16 = 228;
    /// IPv6 only.
    pub(crate) const IPV6: u16 = 229;
}

/// TCP flag bits.
pub(crate) mod flag {
    /// No more data from the sender.
    pub(crate) const FIN: u8 = 1;
    /// Synchronise sequence numbers.
    pub(crate) const SYN: u8 = 2;
    /// Reset.
    pub(crate) const RST: u8 = 4;
    /// Push.
    pub(crate) const PSH: u8 = 8;
    /// The acknowledgment number counts.
    pub(crate) const ACK: u8 = 16;
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// RFC 1071 checksum over several pieces that are each of even length but for the last.
fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Checksum of a transport segment with its pseudo header.
fn transport_checksum(src: IpAddr, dst: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let mut pseudo = Vec::new();
    match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            pseudo.extend(s.octets());
            pseudo.extend(d.octets());
        }
        (IpAddr::V6(s), IpAddr::V6(d)) => {
            pseudo.extend(s.octets());
            pseudo.extend(d.octets());
        }
        _ => panic!("{src} and {dst} are of different families"),
    }
    pseudo.extend([0, protocol]);
    pseudo.extend((segment.len() as u16).to_be_bytes());
    checksum(&[&pseudo, segment])
}

/// A UDP datagram without its IP header.
pub(crate) fn udp_segment(src: SocketAddr, dst: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(src.port().to_be_bytes());
    out.extend(dst.port().to_be_bytes());
    out.extend((8 + payload.len() as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    let sum = transport_checksum(src.ip(), dst.ip(), UDP, &out);
    out[6..8].copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
    out
}

/// A TCP segment without its IP header.
pub(crate) fn tcp_segment(
    src: SocketAddr,
    dst: SocketAddr,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(src.port().to_be_bytes());
    out.extend(dst.port().to_be_bytes());
    out.extend(seq.to_be_bytes());
    out.extend(ack.to_be_bytes());
    out.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend(payload);
    let sum = transport_checksum(src.ip(), dst.ip(), TCP, &out);
    out[16..18].copy_from_slice(&sum.to_be_bytes());
    out
}

/// An IPv4 or IPv6 packet with a UDP datagram.
pub(crate) fn udp(src: SocketAddr, dst: SocketAddr, payload: &[u8]) -> Vec<u8> {
    ip(src.ip(), dst.ip(), UDP, &udp_segment(src, dst, payload))
}

/// An IPv4 or IPv6 packet with a TCP segment.
pub(crate) fn tcp(
    src: SocketAddr,
    dst: SocketAddr,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    ip(src.ip(), dst.ip(), TCP, &tcp_segment(src, dst, seq, ack, flags, payload))
}

/// An unfragmented IP packet of either version.
pub(crate) fn ip(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => ipv4(s, d, protocol, 0, 0x4000, payload),
        (IpAddr::V6(s), IpAddr::V6(d)) => ipv6(s, d, protocol, payload),
        _ => panic!("{src} and {dst} are of different families"),
    }
}

/// An IPv4 packet; `fragment` is the flags-and-offset field as it stands in the header.
pub(crate) fn ipv4(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    id: u16,
    fragment: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = vec![0x45, 0];
    out.extend((20 + payload.len() as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(fragment.to_be_bytes());
    out.extend([64, protocol, 0, 0]);
    out.extend(src.octets());
    out.extend(dst.octets());
    let sum = checksum(&[&out]);
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(payload);
    out
}

/// An IPv6 packet whose payload begins with a header of type `next`.
pub(crate) fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend((payload.len() as u16).to_be_bytes());
    out.extend([next, 64]);
    out.extend(src.octets());
    out.extend(dst.octets());
    out.extend(payload);
    out
}

/// One fragment of `segment`: its bytes `from..to`, where `from` is a multiple of 8 and so is `to` unless it is the end.
pub(crate) fn fragment(
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    id: u32,
    segment: &[u8],
    (from, to): (usize, usize),
) -> Vec<u8> {
    assert_eq!(from % 8, 0, "fragments begin at multiples of 8");
    let more = to < segment.len();
    let units = (from / 8) as u16;
    let part = &segment[from..to];
    match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            ipv4(s, d, protocol, id as u16, units | u16::from(more) << 13, part)
        }
        (IpAddr::V6(s), IpAddr::V6(d)) => {
            let mut body = vec![protocol, 0];
            body.extend((units << 3 | u16::from(more)).to_be_bytes());
            body.extend(id.to_be_bytes());
            body.extend(part);
            ipv6(s, d, 44, &body)
        }
        _ => panic!("{src} and {dst} are of different families"),
    }
}

/// Puts the link header of `link_type` before an IP packet; `vlans` are 802.1Q tags from the outside in (Ethernet only).
pub(crate) fn frame(link_type: u16, vlans: &[u16], packet: &[u8]) -> Vec<u8> {
    let six = packet[0] >> 4 == 6;
    let ethertype: u16 = if six { 0x86dd } else { 0x0800 };
    let family: u32 = if six { 30 } else { 2 };
    let mut out = Vec::new();
    match link_type {
        link::ETHERNET => {
            out.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
            for (n, id) in vlans.iter().enumerate() {
                // An outer tag of two is an 802.1ad service tag.
                let tag: u16 = if n + 1 < vlans.len() { 0x88a8 } else { 0x8100 };
                out.extend(tag.to_be_bytes());
                out.extend(id.to_be_bytes());
            }
            out.extend(ethertype.to_be_bytes());
        }
        link::RAW | link::IPV4 | link::IPV6 => {}
        link::NULL => out.extend(family.to_le_bytes()),
        link::LOOP => out.extend(family.to_be_bytes()),
        link::SLL => {
            out.extend([0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
            out.extend(ethertype.to_be_bytes());
        }
        link::SLL2 => {
            out.extend(ethertype.to_be_bytes());
            out.extend([0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
        }
        other => panic!("link type {other} has no header here"),
    }
    out.extend(packet);
    out
}

/// A DNS question for `name` (class IN).
pub(crate) fn dns_query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|l| !l.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out
}

/// A TLS 1.2 and 1.3 client hello in one record.
pub(crate) fn client_hello(sni: &str) -> Vec<u8> {
    client_hello_with(sni, None)
}

/// The same, with one extension more: its type and its content.
pub(crate) fn client_hello_with(sni: &str, more: Option<(u16, &[u8])>) -> Vec<u8> {
    let name = sni.as_bytes();
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, body: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend((body.len() as u16).to_be_bytes());
        extensions.extend(body);
    };
    let mut server_name = (name.len() as u16 + 3).to_be_bytes().to_vec();
    server_name.push(0);
    server_name.extend((name.len() as u16).to_be_bytes());
    server_name.extend(name);
    extension(0, &server_name);
    extension(10, &[0, 2, 0, 0x1d]);
    extension(13, &[0, 4, 4, 3, 8, 4]);
    extension(16, b"\x00\x0c\x02h2\x08http/1.1");
    extension(43, &[4, 3, 4, 3, 3]);
    if let Some((kind, body)) = more {
        extension(kind, body);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 4, 0x13, 0x01, 0xc0, 0x2b, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut message = vec![1];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);
    record
}
