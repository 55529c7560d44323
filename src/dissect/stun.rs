//! STUN and TURN: how a call finds its way, and relays (RFC 8489, RFC 8656; RFC 3489, RFC 5389 and [MS-TURN] as older forms).
//!
//! Takes messages and channel data that [`media`](super::media) cut out; gives one observation each with addresses, software,
//! realm and error, and what a relay carries. Public addresses of a peer that are told to a relay in clear are a finding. The
//! realm is a name of the flow (`turn-realm`): it tells whose relay it is. WhatsApp's relays speak a dialect of their own, which
//! is a signature. Does not check integrity, does not follow a relay inside a relay, and reads STUN without a cookie only where
//! all of it fits.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use serde::Serialize;

use super::media::{self, Piece};
use super::packet::IpProto;
use super::{Class, Cx, Match, Probe, Protocol, Reader, Short, call};
use crate::model::{FindingKind, Severity};
use crate::payload::mask::escape;
use crate::payload::{Masking, RawFinding};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "stun",
    title: "STUN and TURN",
    source: "RFC 8489, RFC 8656, RFC 3489, [MS-TURN]",
    over: &[IpProto::UDP, IpProto::TCP],
    ports: &[3478, 3479, 3480, 3481, 5349, 19302, 19303, 19304, 19305, 19306, 19307, 19308, 19309],
    reads: "messages over UDP and TCP, and what TURN relays; addresses, software, realm, errors; not other attributes",
    probe,
    start: media::start,
};

/// Readable, but only the set-up of a call: it does not make the call's own bytes clear, nor encrypted.
const CLASS: Class = Class::handshake("stun");

/// RFC 8489 section 5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Value of the attribute 0x000f by which Microsoft's relays mark their dialect ([MS-TURN] section 2.2.2.1).
const MICROSOFT: [u8; 4] = [0x72, 0xc6, 0x4b, 0xc6];

/// Channel of Microsoft's relays that serve several sessions on one port ([MS-TURN] section 2.2.3).
const MULTIPLEXED: u16 = 0xff10;

const HEADER: usize = 20;

/// Attributes of one message that are read.
const MAX_ATTRIBUTES: usize = 64;

/// Channels of one flow that are remembered.
const MAX_CHANNELS: usize = 64;

/// Bytes that tell whether a stream is cut by STUN's own lengths: two of RFC 4571, and the header up to the cookie.
pub(super) const TELLING: usize = 10;

fn probe(p: &Probe<'_>) -> Match {
    let on_port = PROTOCOL.ports.contains(&p.server_port) || PROTOCOL.ports.contains(&p.client_port);
    if p.proto == IpProto::UDP {
        let channel = || on_port && channel_body(p.data).is_some_and(|(number, _)| number != MULTIPLEXED);
        return if is_message(p.data, on_port) || channel() { Match::Yes } else { Match::No };
    }
    match p.data {
        _ if begins(p.data) || prefixed(p.data) => Match::Yes,
        // A stream shows its first bytes as they come.
        [0 | 1, _, ..] if p.data.len() < TELLING && p.from_start && on_port => Match::Maybe,
        _ => Match::No,
    }
}

/// A message with the cookie begins here.
pub(super) fn begins(data: &[u8]) -> bool {
    data.first().is_some_and(|b| *b < 0x40) && data.get(4..8) == Some(&COOKIE)
}

/// The same behind a length that fits it (RFC 4571).
pub(super) fn prefixed(data: &[u8]) -> bool {
    let Some((length, message)) = data.split_first_chunk::<2>() else { return false };
    begins(message) && size(message) == usize::from(u16::from_be_bytes(*length))
}

/// Size of the message or channel data that begins here, over a stream (RFC 8656 section 12.5: padded to four); 4 of a shorter start.
pub(super) fn size(data: &[u8]) -> usize {
    let Some([first, _, high, low]) = data.first_chunk().copied() else { return 4 };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if first < 0x40 { HEADER + length } else { (4 + length).next_multiple_of(4) }
}

/// Number and body of channel data that fills the datagram, up to its padding.
fn channel_body(data: &[u8]) -> Option<(u16, Range<usize>)> {
    let [a, b, high, low] = *data.first_chunk()?;
    let number = u16::from_be_bytes([a, b]);
    if !matches!(number, 0x4000..=0x4fff | MULTIPLEXED) {
        return None;
    }
    let end = 4 + usize::from(u16::from_be_bytes([high, low]));
    // Padding is a stream's; some send it in datagrams too.
    (end..end + 4).contains(&data.len()).then_some((number, 4..end))
}

/// Whether a whole datagram is a message. Without the cookie (RFC 3489) all of it has to fit, and away from STUN's ports it has
/// to be an answer or question of Binding whose attributes are all known.
fn is_message(data: &[u8], expected: bool) -> bool {
    let Some([a, b, high, low]) = data.first_chunk().copied() else { return false };
    if a >= 0x40 || data.len() < HEADER {
        return false;
    }
    if begins(data) {
        return true;
    }
    let kind = u16::from_be_bytes([a, b]);
    let length = usize::from(u16::from_be_bytes([high, low]));
    let known = match kind {
        0x0001 | 0x0101 | 0x0111 => true,
        // Shared secret (RFC 3489), and the drafts of TURN that [MS-TURN] keeps.
        0x0002 | 0x0102 | 0x0112 | 0x0003 | 0x0103 | 0x0113 | 0x0004 | 0x0115 => expected,
        _ => false,
    };
    if !known || HEADER + length != data.len() {
        return false;
    }
    let Ok(message) = Message::read(data) else { return false };
    message.stopped.is_none()
        && (expected || (message.attributes > 0 && !message.unknown && data.get(4..8) != Some(&[0; 4])))
}

/// What one message or channel data was.
pub(super) struct Read {
    /// The class of all of its bytes.
    pub(super) class: Class,
    /// What a relay carries in it.
    pub(super) inner: Option<Inner>,
}

/// Bytes that a relay carries.
pub(super) struct Inner {
    /// Their place in the message.
    pub(super) range: Range<usize>,
    /// `send`, `data` or `channel-data`.
    pub(super) by: &'static str,
    /// The peer's address, or the channel where no binding was seen.
    pub(super) peer: String,
}

/// What one flow has said so far.
#[derive(Default)]
pub(super) struct Stun {
    seen: bool,
    microsoft: bool,
    told: bool,
    channels: BTreeMap<u16, String>,
}

impl Stun {
    /// A message was read on this flow.
    pub(super) fn seen(&self) -> bool {
        self.seen
    }

    /// Reads and states one message; `None` when it is not one.
    pub(super) fn message(&mut self, piece: Piece<'_>, cx: &mut Cx<'_>) -> Option<Read> {
        let (_, client, server) = cx.ends();
        let on_port = [client.port, server.port].iter().any(|p| PROTOCOL.ports.contains(p));
        if !is_message(piece.data, self.seen || on_port) {
            return None;
        }
        let m = match Message::read(piece.data) {
            Ok(m) => m,
            Err(short) => {
                cx.warn(piece.at, format!("STUN: {short}"));
                return None;
            }
        };
        if piece.carried.is_none() {
            self.seen = true;
            self.microsoft |= m.microsoft;
            cx.protocol(PROTOCOL.id);
        }
        if let (Some(channel), Some(peer)) = (m.channel, m.address(XOR_PEER_ADDRESS))
            && (self.channels.len() < MAX_CHANNELS || self.channels.contains_key(&channel))
        {
            self.channels.insert(channel, peer.to_string());
        }
        self.tell_peer(&m, piece, cx);
        if piece.carried.is_none() && m.stopped.is_none() {
            tell_owner(&m, piece, cx);
        }
        let (class, method) = m.class_and_method();
        let turn = method.is_some_and(|m| m != "binding" && m != "shared-secret");
        if turn && piece.carried.is_none() {
            call::relay(cx);
            let frame = cx.frame(piece.range());
            for (kind, address, _) in &m.addresses {
                match *kind {
                    XOR_PEER_ADDRESS => {
                        call::candidate(*address, "peer", frame, cx);
                    }
                    XOR_RELAYED_ADDRESS => {
                        call::candidate(*address, "relay", frame, cx);
                    }
                    _ => {}
                }
            }
        }
        // A question to a STUN server has no attribute of ICE; what has one goes to the other party, or over a relay to it.
        if m.kind == BINDING && m.ice && m.stopped.is_none() {
            let frame = cx.frame(piece.range());
            call::check(piece.carried.is_some(), frame, cx);
        }
        let masking = if cx.show_secrets() { Masking::Off } else { Masking::On };
        cx.emit("stun.message", piece.range(), || Seen {
            kind: Some(format!("{:#06x}", m.kind)),
            class,
            method: Some(method.map_or_else(|| format!("{:#05x}", method_number(m.kind)), str::to_owned)),
            xor_mapped_address: m.address(XOR_MAPPED_ADDRESS).map(|a| a.to_string()),
            mapped_address: m.address(MAPPED_ADDRESS).map(|a| a.to_string()),
            software: m.software.as_deref().map(escape),
            peer: m.address(XOR_PEER_ADDRESS).map(|a| a.to_string()),
            relayed: m.address(XOR_RELAYED_ADDRESS).map(|a| a.to_string()),
            addresses: m
                .addresses
                .iter()
                .map(|(kind, a, _)| Address { attribute: address_name(*kind), address: a.to_string() })
                .collect(),
            username: m.username.as_deref().map(|u| masking.apply(u)),
            realm: m.realm.as_deref().map(escape),
            error: m.error.as_deref().map(escape),
            channel: m.channel.map(|c| format!("{c:#06x}")),
            carried_by: piece.carried,
            bytes: piece.data.len(),
        });
        if let Some(short) = m.stopped {
            cx.warn(piece.at, format!("STUN: {short}"));
        }
        let inner = m.data.map(|range| Inner {
            range,
            by: if method == Some("data") { "data" } else { "send" },
            peer: m
                .addresses
                .iter()
                .find(|(kind, ..)| *kind == XOR_PEER_ADDRESS)
                .map(|(_, a, _)| a.to_string())
                .unwrap_or_default(),
        });
        Some(Read { class: CLASS, inner })
    }

    /// Reads and states channel data; `None` when it is not that.
    pub(super) fn channel(&mut self, piece: Piece<'_>, cx: &mut Cx<'_>) -> Option<Read> {
        let (_, client, server) = cx.ends();
        let on_port = [client.port, server.port].iter().any(|p| PROTOCOL.ports.contains(p));
        let (number, mut body) = channel_body(piece.data)?;
        if !self.seen && !on_port {
            return None;
        }
        if number == MULTIPLEXED {
            // Behind the length, eight bytes name the session.
            if body.len() < 8 {
                return None;
            }
            body.start += 8;
        }
        self.seen = true;
        cx.protocol(PROTOCOL.id);
        let peer = self.channels.get(&number).cloned();
        let name = format!("{number:#06x}");
        cx.emit("stun.message", piece.range(), || Seen {
            class: "channel-data",
            peer: peer.clone(),
            channel: Some(name.clone()),
            bytes: piece.data.len(),
            ..Seen::default()
        });
        let peer = peer.unwrap_or(name);
        Some(Read { class: CLASS, inner: Some(Inner { range: body, by: "channel-data", peer }) })
    }

    /// The first public peer address of a flow is a finding: who can read the flow learns who talks to whom.
    fn tell_peer(&mut self, m: &Message, piece: Piece<'_>, cx: &mut Cx<'_>) {
        let (_, client, server) = cx.ends();
        // An address of the relay itself is another client of it, not a place.
        let own = |a: IpAddr| a == client.addr() || a == server.addr();
        let peer = m
            .addresses
            .iter()
            .find(|(kind, a, _)| *kind == XOR_PEER_ADDRESS && media::is_public(a.ip()) && !own(a.ip()));
        let Some((_, address, range)) = peer.filter(|_| !self.told) else { return };
        self.told = true;
        let range = piece.at + range.start..piece.at + range.end;
        let finding = peer_finding("XOR-PEER-ADDRESS", *address, cx.show_secrets());
        cx.finding(range, finding);
    }
}

/// Whose relay it is: by the realm that it asks to log in to, or by WhatsApp's dialect of Allocate. That one has no
/// REQUESTED-TRANSPORT, which RFC 8656 section 7.1 demands, and a log-in of its own in the unassigned attribute 0x4000 instead
/// (nDPI `src/lib/protocols/stun.c`; seen in a call of 2019). No document of the vendor describes it, so it is only likely.
fn tell_owner(m: &Message, piece: Piece<'_>, cx: &mut Cx<'_>) {
    if let Some(realm) = m.realm.as_deref().filter(|realm| is_domain(realm)) {
        cx.name(realm, "turn-realm", piece.range());
    }
    if m.kind == ALLOCATE && m.whatsapp_login && !m.asks_transport {
        let detail = "TURN Allocate with a log-in in attribute 0x4000 and no transport asked for";
        cx.signature("whatsapp", "whatsapp.turn-allocate", "likely", detail, piece.range());
    }
}

/// A realm may be any text; only one that reads as a host name is taken for one.
fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

/// The finding of a peer's address in clear; also for candidates in SDP.
pub(super) fn peer_finding(place: &str, address: SocketAddr, show: bool) -> RawFinding {
    let masking = if show { Masking::Off } else { Masking::On };
    RawFinding {
        kind: FindingKind::Identifier,
        severity: Severity::Medium,
        what: format!("peer address in clear in TURN/SDP ({place} {})", masking.apply(&address.to_string())),
        rule: Some("peer-address".to_owned()),
        ..RawFinding::default()
    }
}

/// Allocate Request (RFC 8656 section 17).
const ALLOCATE: u16 = 0x0003;

const MAPPED_ADDRESS: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
/// Binding Request (RFC 8489 section 5).
const BINDING: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;
const CHANNEL_NUMBER: u16 = 0x000c;
/// DESTINATION-ADDRESS of the drafts of TURN: where a Send Request of Microsoft's dialect goes ([MS-TURN] section 2.2.2.8).
const DESTINATION_ADDRESS: u16 = 0x0011;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const DATA: u16 = 0x0013;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// PRIORITY, ICE-CONTROLLED and ICE-CONTROLLING (RFC 8445 section 16.1): only the checks of ICE have them.
const PRIORITY: u16 = 0x0024;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;
/// Not assigned by IANA; the log-in of WhatsApp's calls to its relays.
const WHATSAPP_LOGIN: u16 = 0x4000;
/// XOR-MAPPED-ADDRESS of the drafts before RFC 5389, as Microsoft and old servers send it.
const OLD_XOR_MAPPED_ADDRESS: u16 = 0x8020;
const SOFTWARE: u16 = 0x8022;

/// Attributes that hold an address (IANA STUN parameters), and whether it is masked with the header.
fn address_masked(kind: u16) -> Option<bool> {
    match kind {
        MAPPED_ADDRESS | 0x0002 | 0x0004 | 0x0005 | 0x000b | DESTINATION_ADDRESS | 0x8023 | 0x802b
        | 0x802c => Some(false),
        XOR_PEER_ADDRESS | XOR_RELAYED_ADDRESS | XOR_MAPPED_ADDRESS | OLD_XOR_MAPPED_ADDRESS => Some(true),
        _ => None,
    }
}

fn address_name(kind: u16) -> &'static str {
    match kind {
        MAPPED_ADDRESS => "mapped-address",
        0x0002 => "response-address",
        0x0004 => "source-address",
        0x0005 => "changed-address",
        0x000b => "reflected-from",
        0x8023 => "alternate-server",
        0x802b => "response-origin",
        0x802c => "other-address",
        XOR_PEER_ADDRESS => "xor-peer-address",
        XOR_RELAYED_ADDRESS => "xor-relayed-address",
        _ => "xor-mapped-address",
    }
}

/// One message as far as it could be read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    kind: u16,
    /// Marked as Microsoft's dialect: attributes are not padded, and some mean other things.
    microsoft: bool,
    /// In the order of the message, with their places.
    addresses: Vec<(u16, SocketAddr, Range<usize>)>,
    username: Option<String>,
    realm: Option<String>,
    software: Option<String>,
    error: Option<String>,
    channel: Option<u16>,
    data: Option<Range<usize>>,
    attributes: usize,
    /// An attribute that RFC 3489 does not have and that has to be understood.
    unknown: bool,
    /// REQUESTED-TRANSPORT is there.
    asks_transport: bool,
    /// The attribute by which WhatsApp logs in to its relays is there, and holds something.
    whatsapp_login: bool,
    /// An attribute of ICE is there.
    ice: bool,
    stopped: Option<Short>,
}

impl Message {
    /// Reads the header, and attributes up to a fault.
    fn read(data: &[u8]) -> Result<Message, Short> {
        let mut r = Reader::new(data);
        let kind = r.u16("message type")?;
        let length = usize::from(r.u16("message length")?);
        let key: [u8; 16] = r.array("cookie and transaction id")?;
        let mut m = Message { kind, ..Message::default() };
        let end = HEADER + length;
        if end > data.len() {
            m.stopped =
                Some(Short { field: "message body", at: HEADER, needed: length, left: r.rest().len() });
        }
        // Attributes are padded to four bytes, so the sum of such a message is a multiple of four; not so where they are not.
        let padded = length.is_multiple_of(4);
        let mut r = Reader::new(data.get(..end).unwrap_or(data));
        let _ = r.take("header", HEADER);
        let fault = m.attributes(&mut r, padded, &key).err();
        m.stopped = m.stopped.or(fault);
        Ok(m)
    }

    fn attributes(&mut self, r: &mut Reader<'_>, padded: bool, key: &[u8; 16]) -> Result<(), Short> {
        while !r.is_empty() && self.attributes < MAX_ATTRIBUTES {
            let kind = r.u16("attribute type")?;
            let length = usize::from(r.u16("attribute length")?);
            let at = r.at();
            let value = r.take("attribute", length)?;
            self.attributes += 1;
            self.microsoft |= kind == 0x000f && *value == MICROSOFT;
            self.attribute(kind, value, at, key);
            if padded && !self.microsoft {
                let padding = length.next_multiple_of(4) - length;
                // The last one's padding may be missing.
                let _ = r.take("padding", padding);
            }
        }
        Ok(())
    }

    fn attribute(&mut self, kind: u16, value: &[u8], at: usize, key: &[u8; 16]) {
        let text = || Some(String::from_utf8_lossy(value).into_owned());
        let range = at..at + value.len();
        if let Some(masked) = address_masked(kind) {
            // Microsoft's relays write the peer's address plain (Remote Address, [MS-TURN] section 2.2.2.9).
            let masked = masked && !(self.microsoft && kind == XOR_PEER_ADDRESS);
            if let Some(address) = address(value, masked.then_some(key)) {
                let kind = match kind {
                    OLD_XOR_MAPPED_ADDRESS => XOR_MAPPED_ADDRESS,
                    DESTINATION_ADDRESS => XOR_PEER_ADDRESS,
                    kind => kind,
                };
                self.addresses.push((kind, address, range));
            }
            return;
        }
        // Microsoft swaps these two ([MS-TURN] sections 2.2.2.12 and 2.2.2.13).
        let kind = match kind {
            REALM if self.microsoft => NONCE,
            NONCE if self.microsoft => REALM,
            kind => kind,
        };
        self.asks_transport |= kind == REQUESTED_TRANSPORT;
        self.ice |= matches!(kind, PRIORITY | ICE_CONTROLLED | ICE_CONTROLLING);
        self.whatsapp_login |= kind == WHATSAPP_LOGIN && value.len() >= 16;
        match kind {
            USERNAME => self.username = text(),
            REALM => self.realm = text(),
            SOFTWARE => self.software = text(),
            DATA => self.data = Some(range),
            CHANNEL_NUMBER => {
                self.channel = value.first_chunk().map(|b| u16::from_be_bytes(*b));
            }
            ERROR_CODE => {
                if let Some(([_, _, hundreds, rest], reason)) = value.split_first_chunk() {
                    let code = u32::from(hundreds & 7) * 100 + u32::from(*rest);
                    let reason = String::from_utf8_lossy(reason);
                    self.error = Some(format!("{code} {reason}").trim_end().to_owned());
                }
            }
            0x0003 | 0x0007 | 0x0008 | 0x000a | 0x8000.. => {}
            _ => self.unknown = true,
        }
    }

    fn address(&self, kind: u16) -> Option<SocketAddr> {
        self.addresses.iter().find(|(k, ..)| *k == kind).map(|(_, a, _)| *a)
    }

    /// Words for both, the method's as far as the IANA list has it.
    fn class_and_method(&self) -> (&'static str, Option<&'static str>) {
        match (self.kind, self.microsoft) {
            // Send Request and Data Indication of the draft that [MS-TURN] keeps (section 2.2.1).
            (0x0004, true) => return ("request", Some("send")),
            (0x0115, _) => return ("indication", Some("data")),
            _ => {}
        }
        let class = match self.kind & 0x0110 {
            0 => "request",
            0x0010 => "indication",
            0x0100 => "success",
            _ => "error",
        };
        let method = match method_number(self.kind) {
            0x001 => Some("binding"),
            0x002 => Some("shared-secret"),
            0x003 => Some("allocate"),
            0x004 => Some("refresh"),
            0x006 => Some("send"),
            0x007 => Some("data"),
            0x008 => Some("create-permission"),
            0x009 => Some("channel-bind"),
            0x00a => Some("connect"),
            0x00b => Some("connection-bind"),
            0x00c => Some("connection-attempt"),
            _ => None,
        };
        (class, method)
    }
}

/// The method's bits lie around the two of the class (RFC 8489 section 5).
fn method_number(kind: u16) -> u16 {
    kind & 0x000f | kind >> 1 & 0x0070 | kind >> 2 & 0x0f80
}

/// An address (RFC 8489 sections 14.1 and 14.2); `key` are the header's bytes from the cookie on, when it is masked with them.
fn address(value: &[u8], key: Option<&[u8; 16]>) -> Option<SocketAddr> {
    let mut r = Reader::new(value);
    r.u8("reserved").ok()?;
    let family = r.u8("family").ok()?;
    let zero = [0; 16];
    let key = key.unwrap_or(&zero);
    let [k0, k1, k2, k3, ..] = *key;
    let port = r.u16("port").ok()? ^ u16::from_be_bytes([k0, k1]);
    let ip = match family {
        1 => IpAddr::from((r.u32("address").ok()? ^ u32::from_be_bytes([k0, k1, k2, k3])).to_be_bytes()),
        2 => {
            let masked = u128::from_be_bytes(r.array("address").ok()?);
            IpAddr::from((masked ^ u128::from_be_bytes(*key)).to_be_bytes())
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[derive(Serialize)]
struct Address {
    attribute: &'static str,
    address: String,
}

#[derive(Default, Serialize)]
struct Seen {
    #[serde(rename = "type")]
    kind: Option<String>,
    class: &'static str,
    method: Option<String>,
    xor_mapped_address: Option<String>,
    mapped_address: Option<String>,
    software: Option<String>,
    peer: Option<String>,
    relayed: Option<String>,
    /// All of them, in the order of the message.
    addresses: Vec<Address>,
    username: Option<String>,
    realm: Option<String>,
    error: Option<String>,
    channel: Option<String>,
    /// Set when a relay carries this message inside another one.
    carried_by: Option<&'static str>,
    bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, connection, datagrams, of_kind, text};
    use super::*;
    use crate::model::Direction::{Down, Up};

    /// RFC 5769 section 2.1.
    const REQUEST: &str = "00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74 \
        00240004 6e0001ff 80290008 932ff9b151263b36 00060009 6576746a3a68367659202020 \
        00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf";
    /// RFC 5769 section 2.2.
    const RESPONSE_V4: &str = "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 \
        00200008 0001a147e112a643 00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96";
    /// RFC 5769 section 2.3.
    const RESPONSE_V6: &str = "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 \
        00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 \
        80280004 c8fb0b4c";
    /// RFC 5769 section 2.4.
    const LONG_TERM: &str = "00010060 2112a442 78ad3433c6ad72c029da412e \
        00060012 e3839ee38388e383aae38383e382afe382b90000 \
        0015001c 662f2f3439396b393534643 64f4c33346f4c39465354767936347341 0014000b 6578616d706c652e6f726700 \
        00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666";

    #[test]
    fn vectors_of_rfc_5769() {
        for (name, hex, class, address, software) in [
            ("2.1", REQUEST, "request", "", "STUN test client"),
            ("2.2", RESPONSE_V4, "success", "192.0.2.1:32853", "test vector"),
            ("2.3", RESPONSE_V6, "success", "[2001:db8:1234:5678:11:2233:4455:6677]:32853", "test vector"),
            ("2.4", LONG_TERM, "request", "", ""),
        ] {
            let data = bytes(hex);
            assert!(is_message(&data, false), "{name}");
            let analysis = datagrams(49_999, &[(Up, data)]);
            let [seen] = of_kind(&analysis, "stun.message")[..] else { panic!("{name}: not one message") };
            let fields = ["class", "method", "xor_mapped_address", "software"].map(|f| text(seen, f));
            assert_eq!(fields, [class, "binding", address, software], "{name}");
            assert_eq!(analysis.warnings, [], "{name}");
            assert_eq!(
                analysis.flows[0].encryption, "opaque",
                "{name}: a set-up is neither clear nor encrypted"
            );
        }
        let message = Message::read(&bytes(LONG_TERM)).unwrap();
        assert_eq!(message.realm.as_deref(), Some("example.org"));
        assert_eq!(message.username.as_deref(), Some("マトリックス"));
    }

    /// A message with the cookie and these attributes.
    fn stun_with(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let head = [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), &COOKIE, &[7; 12]];
        [&head.concat()[..], &body].concat()
    }

    #[test]
    fn checks_of_ice_that_nobody_answers_show_addresses() {
        let told = |list: &[(crate::model::Direction, Vec<u8>)]| {
            crate::leakage::calls(&datagrams(7000, list).flows, &|_| None)
        };
        // RFC 5769's request is a check: PRIORITY, ICE-CONTROLLED, USERNAME.
        let check = bytes(REQUEST);
        let all = told(&[(Up, check.clone()), (Up, check.clone()), (Down, check.clone())]);
        let [call] = &all[..] else { panic!("{all:?}") };
        let exposed: Vec<_> = call.exposed.iter().map(|e| (e.address.as_str(), e.frame, e.sent_to)).collect();
        assert_eq!(exposed, [("203.0.113.9:7000", 1, Some(1))]);
        assert_eq!((call.exposed_before_answer, call.reached_before_answer, call.answered), (1, 1, None));
        let all = told(&[(Down, check.clone())]);
        assert_eq!((all[0].exposed.len(), all[0].reached_before_answer), (1, 0), "nothing was sent there");
        for (name, message) in [
            ("a question to a STUN server", stun_with(1, &[(0x8022, b"client")])),
            ("its answer", bytes(RESPONSE_V4)),
            ("another request", stun_with(3, &[(0x24, &[1; 4])])),
            ("an empty one", stun_with(1, &[])),
        ] {
            assert_eq!(told(&[(Up, message)]), [], "{name}");
        }
        for cut in 0..check.len() {
            assert_eq!(told(&[(Up, check[..cut].to_vec())]), [], "{cut}");
        }
        // Through a relay: a call, but not an address of anybody.
        let relay = [198, 51, 100, 8];
        let carried = stun_with(0x16, &[(0x12, &peer(relay, 5000)), (0x13, &check)]);
        let allocated = stun_with(0x103, &[(0x16, &peer(relay, 5000))]);
        let all = told(&[(Down, allocated), (Up, carried)]);
        assert_eq!((all.len(), all[0].exposed_before_answer, all[0].reached_before_answer), (1, 0, 0));
    }

    #[test]
    fn a_relay_tells_whose_it_is() {
        let login = [5; 102];
        let udp = [17, 0, 0, 0];
        for (name, message, signatures, realms) in [
            (
                "WhatsApp's log-in",
                stun_with(3, &[(0x4000, &login)]),
                &["whatsapp.turn-allocate"][..],
                &[][..],
            ),
            ("TURN that has the attribute too", stun_with(3, &[(0x4000, &login), (0x19, &udp)]), &[], &[]),
            ("an empty attribute", stun_with(3, &[(0x4000, &[])]), &[], &[]),
            ("another message", stun_with(1, &[(0x4000, &login)]), &[], &[]),
            ("plain TURN", stun_with(3, &[(0x19, &udp)]), &[], &[]),
            ("a realm", stun_with(0x113, &[(REALM, b"Signal.ORG")]), &[], &["signal.org"]),
            ("a realm that is a word", stun_with(0x113, &[(REALM, b"realm")]), &[], &[]),
            ("a realm that is text", stun_with(0x113, &[(REALM, b"log in. here")]), &[], &[]),
        ] {
            let analysis = datagrams(3478, &[(Up, message.clone())]);
            let flow = &analysis.flows[0];
            let told: Vec<&str> = flow.signatures.iter().map(|s| s.signature.as_str()).collect();
            let names: Vec<&str> = flow.names.iter().map(|n| n.name.as_str()).collect();
            assert_eq!((told.as_slice(), names.as_slice()), (signatures, realms), "{name}");
            assert!(flow.names.iter().all(|n| n.source == "turn-realm" && n.frame == 1), "{name}");
            for cut in 0..message.len() {
                let flows = datagrams(3478, &[(Up, &message[..cut])]).flows;
                assert!(flows.iter().all(|f| f.signatures.is_empty() && f.names.is_empty()), "{name}, {cut}");
            }
        }
    }

    #[test]
    fn user_names_are_masked() {
        let analysis = datagrams(3478, &[(Up, bytes(REQUEST))]);
        assert!(!format!("{:?}", analysis.observations).contains("evtj:h6vY"));
    }

    #[test]
    fn cut_anywhere_invents_nothing() {
        for hex in [REQUEST, RESPONSE_V4, RESPONSE_V6, LONG_TERM] {
            let data = bytes(hex);
            let whole = Message::read(&data).unwrap();
            for cut in 0..data.len() {
                let part = &data[..cut];
                if let Ok(m) = Message::read(part) {
                    assert!(m.stopped.is_some(), "{cut}");
                    assert!(whole.addresses.starts_with(&m.addresses), "{cut}");
                    assert!(m.software.is_none() || m.software == whole.software, "{cut}");
                    assert!(m.username.is_none() || m.username == whole.username, "{cut}");
                }
                let analysis = datagrams(3478, &[(Up, part)]);
                let told = of_kind(&analysis, "stun.message").len();
                assert_eq!(told, usize::from(cut >= HEADER), "{cut}");
                assert_eq!(told == 1, !analysis.warnings.is_empty(), "{cut}: a cut message is warned of");
                // Without the cookie a cut message is none.
                let mut old = part.to_vec();
                if let Some(cookie) = old.get_mut(4..8) {
                    cookie.fill(7);
                }
                assert!(!is_message(&old, true), "{cut}");
            }
        }
    }

    #[test]
    fn hostile_lengths_end() {
        for (name, hex) in [
            ("message longer than the datagram", "0001ffff 2112a442 000000000000000000000000 80220001 61"),
            (
                "attribute longer than the message",
                "00010008 2112a442 000000000000000000000000 8022ffff 61616161",
            ),
            ("address without family", "00010008 2112a442 000000000000000000000000 00200004 00000000"),
            (
                "address of an unknown family",
                "0001000c 2112a442 000000000000000000000000 00200008 0009000000000000",
            ),
            ("empty error", "01110004 2112a442 000000000000000000000000 00090000"),
            ("empty channel number", "00090004 2112a442 000000000000000000000000 000c0000"),
        ] {
            let analysis = datagrams(3478, &[(Up, bytes(hex))]);
            let [seen] = of_kind(&analysis, "stun.message")[..] else { panic!("{name}") };
            assert_eq!(text(seen, "addresses"), "[]", "{name}");
            assert_eq!(text(seen, "error") + &text(seen, "channel"), "", "{name}");
        }
    }

    /// A message without attributes that need padding.
    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut m = kind.to_be_bytes().to_vec();
        m.extend((body.len() as u16).to_be_bytes());
        m.extend(COOKIE);
        m.extend([5; 12]);
        m.extend(body);
        m
    }

    fn peer(ip: [u8; 4], port: u16) -> Vec<u8> {
        let mut value = vec![0, 1];
        value.extend((port ^ 0x2112).to_be_bytes());
        value.extend(ip.iter().zip(COOKIE).map(|(a, b)| a ^ b));
        value
    }

    #[test]
    fn relayed_messages_are_read_too() {
        let far = peer([198, 51, 100, 8], 5000);
        let inner = bytes(REQUEST);
        let bind = message(0x0009, &[(0x000c, &[0x40, 1, 0, 0]), (0x0012, &far)]);
        let mut channel = vec![0x40, 1];
        channel.extend((inner.len() as u16).to_be_bytes());
        channel.extend(&inner);
        let send = message(0x0016, &[(0x0012, &far), (0x0013, &inner)]);
        let unknown = message(0x0017, &[(0x0012, &far), (0x0013, b"\xf0 what is this")]);
        let analysis = datagrams(3478, &[(Up, bind), (Up, channel), (Up, send), (Down, unknown)]);
        let told: Vec<_> = of_kind(&analysis, "stun.message")
            .iter()
            .map(|o| (o.frame, text(o, "method"), text(o, "carried_by"), text(o, "peer")))
            .collect();
        let row = |frame, method: &str, by: &str, peer: &str| (frame, method.into(), by.into(), peer.into());
        assert_eq!(
            told,
            [
                row(1, "channel-bind", "", "198.51.100.8:5000"),
                row(2, "", "", "198.51.100.8:5000"),
                row(2, "binding", "channel-data", ""),
                row(3, "send", "", "198.51.100.8:5000"),
                row(3, "binding", "send", ""),
                row(4, "data", "", "198.51.100.8:5000"),
            ]
        );
        assert!(analysis.coverage.classes["turn.relayed"] > 0);
        let told: Vec<_> = analysis.findings.iter().map(|f| (f.kind, f.severity, &f.frames[..])).collect();
        assert_eq!(told, [(FindingKind::Identifier, Severity::Medium, &[1][..])], "once a flow");
        assert!(!analysis.findings[0].what.contains("198.51.100.8"), "masked");
    }

    #[test]
    fn addresses_that_tell_no_place_are_no_finding() {
        for (name, ip) in [("LAN", [192, 168, 3, 4]), ("the relay's own", super::super::testing::SERVER)] {
            let permission = message(0x0008, &[(0x0012, &peer(ip, 5000))]);
            let analysis = datagrams(3478, &[(Up, permission)]);
            assert_eq!(of_kind(&analysis, "stun.message").len(), 1, "{name}");
            assert_eq!(analysis.findings, [], "{name}");
        }
    }

    #[test]
    fn a_stream_is_cut_by_its_own_lengths() {
        let mut channel = vec![0x40, 2, 0, 3];
        channel.extend(b"\xf0bc\0");
        let all = [bytes(REQUEST), channel, bytes(LONG_TERM)].concat();
        // In segments of every size, and behind two-byte lengths.
        for size in [1, 3, 7, 20, 64, all.len()] {
            let pieces: Vec<_> = all.chunks(size).map(|c| (Up, c)).collect();
            let analysis = connection(3478, &pieces);
            let told: Vec<_> = of_kind(&analysis, "stun.message").iter().map(|o| text(o, "class")).collect();
            assert_eq!(told, ["request", "channel-data", "request"], "{size}");
        }
        let mut framed = Vec::new();
        for m in [bytes(REQUEST), bytes(RESPONSE_V4)] {
            framed.extend((m.len() as u16).to_be_bytes());
            framed.extend(m);
        }
        for size in [1, 5, 90, framed.len()] {
            let pieces: Vec<_> = framed.chunks(size).map(|c| (Up, c)).collect();
            let analysis = connection(3478, &pieces);
            assert_eq!(of_kind(&analysis, "stun.message").len(), 2, "{size}");
        }
    }

    #[test]
    fn without_the_cookie_all_has_to_fit() {
        let old = bytes("00010008 00112233445566778899aabbccddeeff 00030004 00000006");
        assert!(is_message(&old, true) && is_message(&old, false));
        for (name, hex, on_port) in [
            ("nothing to judge by", "00010000 00112233445566778899aabbccddeeff", false),
            ("unknown attribute", "00010008 00112233445566778899aabbccddeeff 01010004 00000006", false),
            ("longer than it says", "00010008 00112233445566778899aabbccddeeff 00030004 00000006 00", true),
            ("attribute too long", "00010008 00112233445566778899aabbccddeeff 00030005 00000006", true),
            ("zeros", "00010008 00000000000000000000000000000000 00000004 00000000", false),
        ] {
            assert!(!is_message(&bytes(hex), on_port), "{name}");
        }
    }
}
