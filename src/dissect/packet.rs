//! From a frame to its transport payload: link layers, tunnels, IP, TCP and UDP headers.
//!
//! Takes one frame; gives at most one [`Packet`] or one IP [`Fragment`], and puts every byte of the frame that is not
//! payload into the [`Overhead`] ledger. IP, TCP and UDP headers are read by `etherparse`; the short shims between link and
//! IP (VLAN, MPLS, `PPPoE`, cooked headers, tunnels) are read here.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{IpNumber, Ipv6ExtensionsSlice, LaxIpSlice, TcpSlice, UdpSlice};

use super::reader::Reader;
use crate::capture::{LinkType, RawFrame};
use crate::model::CaptureTime;

/// How deep tunnels may nest before the rest counts as unsupported.
const MAX_DEPTH: u8 = 4;

/// The fault of a tunnel deeper than that.
const TOO_DEEP: &str = "more than four tunnels within each other: the innermost is not read";

/// IP protocol number, with the two that have flows of their own named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpProto(pub u8);

impl IpProto {
    /// Transmission Control Protocol.
    pub const TCP: IpProto = IpProto(6);
    /// User Datagram Protocol.
    pub const UDP: IpProto = IpProto(17);

    /// `tcp`, `udp`, `icmp`, `icmpv6` or `ip.N`.
    #[must_use]
    pub fn name(self) -> String {
        match self.0 {
            1 => "icmp".into(),
            6 => "tcp".into(),
            17 => "udp".into(),
            58 => "icmpv6".into(),
            n => format!("ip.{n}"),
        }
    }
}

/// One side of a flow; IPv4 addresses are stored IPv4-mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    addr: [u8; 16],
    /// Port, 0 for protocols without.
    pub port: u16,
}

/// The address as one number: every packet's flow is looked up by it, and an array is hashed as so many bytes of unknown length.
impl std::hash::Hash for Endpoint {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_le_bytes(self.addr));
        state.write_u16(self.port);
    }
}

impl Endpoint {
    /// From an address and a port.
    #[must_use]
    pub fn new(addr: IpAddr, port: u16) -> Endpoint {
        let addr = match addr {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Endpoint { addr, port }
    }

    /// The address; an IPv4-mapped one comes back as IPv4.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        let v6 = Ipv6Addr::from(self.addr);
        v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::net::SocketAddr::new(self.addr(), self.port).fmt(f)
    }
}

/// The 5-tuple with its two ends in a fixed order, so that both directions give the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    /// The smaller end.
    pub low: Endpoint,
    /// The larger end.
    pub high: Endpoint,
    /// IP protocol.
    pub proto: IpProto,
}

/// A layer around a packet that is listed: a tunnel, or what stands between link and IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Vlan,
    Mpls,
    Pppoe,
    Ah,
    Ipip,
    FourInSix,
    SixInFour,
    SixInSix,
    Gre,
    Erspan,
    Pptp,
    Vxlan,
    VxlanGpe,
    Geneve,
    Gtp,
    Teredo,
}

impl Layer {
    /// The field's word for it.
    fn name(self) -> &'static str {
        match self {
            // A tag of IEEE 802.1Q or 802.1ad each.
            Layer::Vlan => "vlan",
            // A label stack (RFC 3032).
            Layer::Mpls => "mpls",
            // RFC 2516.
            Layer::Pppoe => "pppoe",
            // RFC 4302.
            Layer::Ah => "ah",
            // RFC 2003.
            Layer::Ipip => "ipip",
            // RFC 2473, IPv4 and IPv6 in IPv6.
            Layer::FourInSix => "4in6",
            Layer::SixInSix => "6in6",
            // RFC 4213.
            Layer::SixInFour => "6in4",
            // RFC 2784.
            Layer::Gre => "gre",
            Layer::Erspan => "erspan",
            // RFC 2637.
            Layer::Pptp => "pptp",
            // RFC 7348, and its draft with a protocol field.
            Layer::Vxlan => "vxlan",
            Layer::VxlanGpe => "vxlan-gpe",
            // RFC 8926.
            Layer::Geneve => "geneve",
            // 3GPP TS 29.281.
            Layer::Gtp => "gtp",
            // RFC 4380.
            Layer::Teredo => "teredo",
        }
    }
}

/// Layers around a packet that are listed; more are read and not listed.
const MAX_LAYERS: usize = 8;

/// Outer layers of a packet, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnel([Option<Layer>; MAX_LAYERS]);

impl Tunnel {
    fn with(mut self, layer: Layer) -> Tunnel {
        if let Some(free) = self.0.iter_mut().find(|l| l.is_none()) {
            *free = Some(layer);
        }
        self
    }

    /// The layers' names.
    pub fn layers(&self) -> impl Iterator<Item = &'static str> {
        self.0.into_iter().flatten().map(Layer::name)
    }

    /// No tunnel.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0[0].is_none()
    }
}

/// TCP header fields that reassembly needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Sequence number of the first payload byte (or of the SYN).
    pub seq: u32,
    /// Acknowledgment number; meaningful when `ack` is set.
    pub ack_no: u32,
    /// SYN flag.
    pub syn: bool,
    /// ACK flag.
    pub ack: bool,
    /// FIN flag.
    pub fin: bool,
    /// RST flag.
    pub rst: bool,
}

/// A transport packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Frame number.
    pub frame: u64,
    /// Time stamp.
    pub time: CaptureTime,
    /// Frame length on the wire.
    pub wire_len: u32,
    /// Offset of the payload in the decompressed file (of the frame for reassembled datagrams).
    pub file_offset: u64,
    /// The flow.
    pub key: FlowKey,
    /// The sender is `key.low`.
    pub from_low: bool,
    /// TCP fields; default for other protocols.
    pub tcp: TcpInfo,
    /// Payload bytes.
    pub payload: &'a [u8],
    /// Outer layers.
    pub tunnel: Tunnel,
    /// Stands for the networks that share the way: tags of VLANs, network identifiers of VXLAN and Geneve. 0 without.
    pub network: u32,
    /// Who sent it, as a recorder on the device noted: UID and name of the app (`OWNER_BYTES`).
    pub owner: Option<&'a [u8; OWNER_BYTES]>,
    /// The payload is already in the ledger (a reassembled datagram, counted by its fragments).
    pub counted: bool,
}

/// Bytes of a `PCAPdroid` trailer that tell of the app: its UID, big-endian, and its name, filled up with zeros.
pub(super) const OWNER_BYTES: usize = 24;

/// What such a trailer begins with.
const TRAILER_MAGIC: [u8; 4] = [0x01, 0x07, 0x20, 0x21];

/// The app that sent a frame, from the trailer of 32 bytes that `PCAPdroid` puts behind the datagram when asked to: magic, UID, name, frame
/// check sequence. It makes up the Ethernet header, whose addresses are all zero then, so other frames are not looked at.
/// <https://emanuele-f.github.io/PCAPdroid/advanced_features#45-pcapdroid-trailer>
fn trailer(frame: &[u8]) -> Option<&[u8; OWNER_BYTES]> {
    let behind = frame.strip_prefix(&[0; 12])?;
    let (trailer, _checksum) = behind.last_chunk::<32>()?.split_last_chunk::<4>()?;
    trailer.strip_prefix(&TRAILER_MAGIC)?.first_chunk()
}

/// An IP fragment.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Frame number.
    pub frame: u64,
    /// Time stamp.
    pub time: CaptureTime,
    /// Frame length on the wire.
    pub wire_len: u32,
    /// Offset of the frame in the file.
    pub file_offset: u64,
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// IP protocol of the datagram.
    pub proto: IpProto,
    /// Identification, 16 bit for IPv4 and 32 for IPv6.
    pub id: u32,
    /// Offset within the datagram, bytes.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
    /// The bytes.
    pub payload: &'a [u8],
    /// Outer layers.
    pub tunnel: Tunnel,
    /// As in [`Packet`].
    pub network: u32,
}

/// What a frame held.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// A whole transport packet.
    Packet(Packet<'a>),
    /// A part of one.
    Fragment(Fragment<'a>),
    /// Nothing with a flow; all bytes are in the ledger. `Some` names a fault or an unsupported layer.
    Nothing(Option<&'static str>),
}

/// Bytes of frames that are not transport payload, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Link headers and the shims behind them.
    pub link: u64,
    /// Outer headers of tunnels.
    pub tunnel: u64,
    /// IP headers with their extensions.
    pub network: u64,
    /// TCP and UDP headers.
    pub transport: u64,
    /// Bytes behind the IP datagram.
    pub padding: u64,
    /// Fragments' payload.
    pub fragment: u64,
    /// Frames without IP (ARP, spanning tree …).
    pub other: u64,
    /// Link types and layers that are not read.
    pub unsupported: u64,
    /// Headers that are cut or contradict themselves.
    pub malformed: u64,
}

impl Overhead {
    /// Adds another ledger to this one.
    pub fn add(&mut self, o: &Overhead) {
        for (mine, theirs) in self.fields_mut().into_iter().zip(o.fields()) {
            *mine.1 += theirs.1;
        }
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut u64); 9] {
        [
            ("link", &mut self.link),
            ("tunnel", &mut self.tunnel),
            ("network", &mut self.network),
            ("transport", &mut self.transport),
            ("padding", &mut self.padding),
            ("fragment", &mut self.fragment),
            ("link.other", &mut self.other),
            ("unsupported", &mut self.unsupported),
            ("malformed", &mut self.malformed),
        ]
    }

    /// Class names with their bytes.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, u64); 9] {
        let mut copy = *self;
        copy.fields_mut().map(|(name, bytes)| (name, *bytes))
    }
}

/// Decodes one frame; `ledger` gets every byte that is not transport payload. `give` gets what the frame held: one thing, or of an
/// aggregate of IEEE 802.11 one for each of its subframes. All packets of a frame are of one flow: a frame opens at most one.
pub fn decode<'a>(raw: &RawFrame, bytes: &'a [u8], ledger: &mut Overhead, mut give: impl FnMut(Decoded<'a>)) {
    let mut decoder = Decoder {
        raw,
        ledger,
        whole: bytes,
        tunnel: Tunnel::default(),
        network: 0,
        depth: 0,
        subframes: &[],
        owner: None,
    };
    let mut found = decoder.link(raw.link, bytes);
    let mut key = None;
    loop {
        if let Decoded::Packet(p) = &mut found {
            if key.is_some() {
                // The frame's length was counted with the first one.
                p.wire_len = 0;
            }
            if *key.get_or_insert(p.key) != p.key {
                decoder.ledger.unsupported += p.payload.len() as u64;
                found = Decoded::Nothing(Some("802.11 subframe of another flow than the first one"));
            }
        } else if let (Decoded::Fragment(_), Some(_)) = (&found, key) {
            found = Decoded::Nothing(Some("802.11 subframe with an IP fragment behind a packet"));
        }
        give(found);
        if decoder.subframes.is_empty() {
            return;
        }
        (decoder.tunnel, decoder.network, decoder.depth) = (Tunnel::default(), 0, 0);
        found = decoder.subframe(decoder.subframes);
    }
}

struct Decoder<'r, 'a> {
    raw: &'r RawFrame,
    ledger: &'r mut Overhead,
    whole: &'a [u8],
    tunnel: Tunnel,
    network: u32,
    depth: u8,
    /// Subframes of an aggregate that are still to be read.
    subframes: &'a [u8],
    /// Who sent the frame.
    owner: Option<&'a [u8; OWNER_BYTES]>,
}

impl<'a> Decoder<'_, 'a> {
    fn malformed(&mut self, left: &[u8], what: &'static str) -> Decoded<'a> {
        self.ledger.malformed += left.len() as u64;
        Decoded::Nothing(Some(what))
    }

    fn other(&mut self, left: &[u8]) -> Decoded<'a> {
        self.ledger.other += left.len() as u64;
        Decoded::Nothing(None)
    }

    fn unsupported(&mut self, left: &[u8], what: &'static str) -> Decoded<'a> {
        self.ledger.unsupported += left.len() as u64;
        Decoded::Nothing(Some(what))
    }

    /// Counts header bytes: to the link layer, or to the tunnel when below an outer IP header.
    fn header(&mut self, n: usize) {
        if self.depth == 0 {
            self.ledger.link += n as u64;
        } else {
            self.ledger.tunnel += n as u64;
        }
    }

    fn link(&mut self, link: LinkType, bytes: &'a [u8]) -> Decoded<'a> {
        match link {
            LinkType::ETHERNET => self.ethernet(bytes),
            LinkType::RAW | LinkType(12 | 14) | LinkType::IPV4 | LinkType::IPV6 => self.ip(bytes),
            LinkType::NULL | LinkType::LOOP => match bytes.split_at_checked(4) {
                Some((family, rest)) => {
                    self.header(4);
                    // The family's byte order is the host's; AF_INET is 2 everywhere, AF_INET6 differs, so the nibble decides.
                    let known = matches!(
                        family,
                        [2 | 10 | 23 | 24 | 28 | 30, 0, 0, 0] | [0, 0, 0, 2 | 10 | 23 | 24 | 28 | 30]
                    );
                    if known { self.ip(rest) } else { self.other(rest) }
                }
                None => self.malformed(bytes, "cut loopback header"),
            },
            LinkType::LINUX_SLL => self.after_header(bytes, 16, 14, "cut Linux cooked header"),
            LinkType::LINUX_SLL2 => self.after_header(bytes, 20, 0, "cut Linux cooked v2 header"),
            LinkType::PPP | LinkType::PPP_HDLC => self.ppp(bytes),
            LinkType::NFLOG => self.nflog(bytes),
            LinkType::RADIOTAP => {
                let length = match bytes {
                    [0, _, a, b, ..] => usize::from(u16::from_le_bytes([*a, *b])),
                    _ => return self.malformed(bytes, "cut radiotap header"),
                };
                match bytes.split_at_checked(length) {
                    Some((head, rest)) => {
                        self.header(length);
                        let flags = radiotap_flags(head).unwrap_or_default();
                        let (frame, checksum) = match rest.len().checked_sub(4) {
                            Some(end) if flags & RADIOTAP_FCS != 0 => rest.split_at(end),
                            _ => (rest, &[][..]),
                        };
                        self.ledger.padding += checksum.len() as u64;
                        self.wlan(frame, flags & RADIOTAP_PADDED != 0)
                    }
                    None => self.malformed(bytes, "cut radiotap header"),
                }
            }
            LinkType::IEEE802_11 => self.wlan(bytes, false),
            _ => self.unsupported(bytes, "link type"),
        }
    }

    /// A fixed header with an ethertype at `ethertype_at`.
    fn after_header(&mut self, bytes: &'a [u8], size: usize, at: usize, fault: &'static str) -> Decoded<'a> {
        match (bytes.get(at..at + 2), bytes.split_at_checked(size)) {
            (Some(&[a, b]), Some((_, rest))) => {
                self.header(size);
                match u16::from_be_bytes([a, b]) {
                    // 802.2 behind the cooked header (LINUX_SLL_P_802_2).
                    4 => self.llc(rest),
                    kind => self.ethertype(kind, rest),
                }
            }
            _ => self.malformed(bytes, fault),
        }
    }

    fn ethernet(&mut self, bytes: &'a [u8]) -> Decoded<'a> {
        let Some((header, rest)) = bytes.split_at_checked(14) else {
            return self.malformed(bytes, "cut Ethernet header");
        };
        self.header(14);
        if self.depth == 0 {
            self.owner = trailer(bytes);
        }
        let kind = header.last_chunk().map_or(0, |t| u16::from_be_bytes(*t));
        if kind < 0x600 { self.llc(rest) } else { self.ethertype(kind, rest) }
    }

    /// IEEE 802.2 with SNAP (RFC 1042) can carry IP; other service access points cannot.
    fn llc(&mut self, bytes: &'a [u8]) -> Decoded<'a> {
        match bytes {
            [0xaa, 0xaa, 3, 0, 0, 0, a, b, rest @ ..] => {
                self.header(8);
                self.ethertype(u16::from_be_bytes([*a, *b]), rest)
            }
            _ => self.other(bytes),
        }
    }

    fn ethertype(&mut self, mut kind: u16, mut bytes: &'a [u8]) -> Decoded<'a> {
        // Bounded by the frame: each turn consumes four bytes or more.
        loop {
            match kind {
                0x0800 | 0x86dd => return self.ip(bytes),
                0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => match bytes {
                    [high, low, a, b, rest @ ..] => {
                        self.header(4);
                        self.tunnel = self.tunnel.with(Layer::Vlan);
                        // Without the bits for priority and for dropping.
                        self.within_network([0, high & 0x0f, *low]);
                        kind = u16::from_be_bytes([*a, *b]);
                        bytes = rest;
                        if kind < 0x600 {
                            return self.llc(bytes);
                        }
                    }
                    _ => return self.malformed(bytes, "cut VLAN tag"),
                },
                0x8847 | 0x8848 => return self.mpls(bytes),
                0x8864 => match bytes.split_at_checked(6) {
                    Some((_, rest)) => {
                        self.header(6);
                        self.tunnel = self.tunnel.with(Layer::Pppoe);
                        return self.ppp(rest);
                    }
                    None => return self.malformed(bytes, "cut PPPoE header"),
                },
                _ => return self.other(bytes),
            }
        }
    }

    /// MPLS label stack (RFC 3032); what is inside is told by its first nibble, as Wireshark does.
    fn mpls(&mut self, mut bytes: &'a [u8]) -> Decoded<'a> {
        self.tunnel = self.tunnel.with(Layer::Mpls);
        while let [_, _, c, _, rest @ ..] = bytes {
            self.header(4);
            bytes = rest;
            if c & 1 == 1 {
                return match bytes.first().map(|b| b >> 4) {
                    Some(4 | 6) => self.ip(bytes),
                    // Without a control word (RFC 4448 section 4.6) an address may begin like one.
                    Some(0) if is_ethernet(bytes) && !bytes.get(4..).is_some_and(is_ethernet) => {
                        self.ethernet(bytes)
                    }
                    Some(0) => match bytes.split_at_checked(4) {
                        // A pseudowire control word, then Ethernet (RFC 4385).
                        Some((_, rest)) => {
                            self.header(4);
                            self.ethernet(rest)
                        }
                        None => self.malformed(bytes, "cut pseudowire"),
                    },
                    _ if is_ethernet(bytes) => self.ethernet(bytes),
                    _ => self.other(bytes),
                };
            }
        }
        self.malformed(bytes, "cut MPLS label stack")
    }

    /// PPP (RFC 1661), with or without address and control bytes and with a one- or two-byte protocol.
    fn ppp(&mut self, bytes: &'a [u8]) -> Decoded<'a> {
        // Cisco's HDLC goes by the same link types (RFC 1547 section 4.3.1): address, control, EtherType.
        if let [0x0f | 0x8f, 0, a, b, rest @ ..] = bytes {
            self.header(4);
            return self.ethertype(u16::from_be_bytes([*a, *b]), rest);
        }
        let (skipped, rest) = match bytes {
            [0xff, 0x03, rest @ ..] => (2, rest),
            _ => (0, bytes),
        };
        let (protocol, used, rest) = match rest {
            [a, rest @ ..] if a & 1 == 1 => (u16::from(*a), 1, rest),
            [a, b, rest @ ..] => (u16::from_be_bytes([*a, *b]), 2, rest),
            _ => return self.malformed(bytes, "cut PPP header"),
        };
        self.header(skipped + used);
        match protocol {
            0x0021 | 0x0057 => self.ip(rest),
            // RFC 3032 section 4.3.
            0x0281 | 0x0283 => self.mpls(rest),
            _ => self.other(rest),
        }
    }

    /// Linux netfilter log (`LINKTYPE_NFLOG`): attributes in the recorder's byte order, the payload is one of them.
    fn nflog(&mut self, bytes: &'a [u8]) -> Decoded<'a> {
        let Some((head, rest)) = bytes.split_at_checked(4) else {
            return self.malformed(bytes, "cut NFLOG header");
        };
        self.header(head.len());
        let orders: [fn([u8; 2]) -> u16; 2] = [u16::from_le_bytes, u16::from_be_bytes];
        let Some((at, end)) = orders.into_iter().find_map(|order| nflog_payload(rest, order)) else {
            return self.malformed(rest, "cut NFLOG attributes");
        };
        self.header(at);
        self.ledger.padding += rest.len().saturating_sub(end) as u64;
        self.ip(rest.get(at..end).unwrap_or_default())
    }

    /// Open IEEE 802.11 data frames; protected ones are opaque to us. `padded`: the header is filled up to four bytes.
    fn wlan(&mut self, bytes: &'a [u8], padded: bool) -> Decoded<'a> {
        let [control, flags, ..] = *bytes else { return self.malformed(bytes, "cut 802.11 header") };
        if control & 0x0c != 0x08 || control & 0x40 != 0 {
            return self.other(bytes);
        }
        if flags & 0x40 != 0 {
            return self.unsupported(bytes, "protected 802.11 frame");
        }
        let mut size = if flags & 0x03 == 0x03 { 30 } else { 24 };
        let mut aggregate = false;
        if control & 0x80 != 0 {
            // QoS control says whether subframes follow (IEEE 802.11-2020 section 9.2.4.5.9); HT control may follow it.
            aggregate = bytes.get(size).is_some_and(|qos| qos & 0x80 != 0);
            size += if flags & 0x80 != 0 { 6 } else { 2 };
        }
        if padded {
            size = size.next_multiple_of(4);
        }
        match bytes.split_at_checked(size) {
            Some((_, rest)) if aggregate => {
                self.header(size);
                self.subframe(rest)
            }
            Some((_, rest)) => {
                self.header(size);
                self.llc(rest)
            }
            None => self.malformed(bytes, "cut 802.11 header"),
        }
    }

    /// The first subframe of an A-MSDU: addresses, length, content, filled up to four bytes unless it is the last (IEEE
    /// 802.11-2020 section 9.3.2.2.2).
    fn subframe(&mut self, bytes: &'a [u8]) -> Decoded<'a> {
        self.subframes = &[];
        let Some(([.., high, low], rest)) = bytes.split_first_chunk::<14>() else {
            return self.malformed(bytes, "cut 802.11 subframe");
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        self.header(14);
        // What a snapshot length cut off is missing at the end of the inner packet.
        let content = rest.get(..length).unwrap_or(rest);
        let behind = rest.get(content.len()..).unwrap_or_default();
        let filling = (14 + content.len()).next_multiple_of(4) - 14 - content.len();
        let (filling, more) = behind.split_at_checked(filling).unwrap_or((behind, &[]));
        self.ledger.padding += filling.len() as u64;
        self.subframes = more;
        self.llc(content)
    }

    fn ip(&mut self, bytes: &'a [u8]) -> Decoded<'a> {
        if bytes.is_empty() {
            return Decoded::Nothing(None);
        }
        // An Ethernet frame may be padded, so the IP length bounds what belongs to the datagram.
        let Ok((ip, _stop)) = LaxIpSlice::from_slice(bytes) else {
            return self.malformed(bytes, "malformed IP header");
        };
        let inner = ip.payload();
        let payload = inner.payload;
        let header = offset_in(bytes, payload).unwrap_or(bytes.len());
        let behind = bytes.len().saturating_sub(header + payload.len());
        self.ledger.padding += behind as u64;
        let mut proto = IpProto(inner.ip_number.0);
        let (mut header, mut payload) = (header, payload);
        match &ip {
            // A datagram is authenticated before it is cut into fragments (RFC 4302 section 3.3.4): the header belongs to what
            // fragments carry, and only the first has it. So `transport` reads it, after they are joined.
            LaxIpSlice::Ipv4(v4) if v4.header().protocol() == IpNumber::AUTHENTICATION_HEADER => {
                let end = header + payload.len();
                header = v4.header().slice().len();
                payload = bytes.get(header..end).unwrap_or_default();
                proto = AUTHENTICATION;
            }
            LaxIpSlice::Ipv6(v6) if authenticated(v6.extensions()) => {
                self.tunnel = self.tunnel.with(Layer::Ah);
            }
            _ => {}
        }
        self.ledger.network += header as u64;
        let (src, dst) = (ip.source_addr(), ip.destination_addr());
        // A first fragment that the snap length cut can never be joined: what is there of it is read, as Wireshark does.
        let cut = inner.incomplete;
        if inner.fragmented && !(cut && first_fragment(&ip)) {
            let (id, offset, more) = match &ip {
                LaxIpSlice::Ipv4(v4) => {
                    let h = v4.header();
                    (
                        u32::from(h.identification()),
                        u32::from(h.fragments_offset().byte_offset()),
                        h.more_fragments(),
                    )
                }
                LaxIpSlice::Ipv6(v6) => match fragment_header(v6.extensions()) {
                    Some(f) => f,
                    None => return self.malformed(payload, "malformed IPv6 fragment header"),
                },
            };
            self.ledger.fragment += payload.len() as u64;
            return Decoded::Fragment(Fragment {
                frame: self.raw.number,
                time: self.raw.time,
                wire_len: self.raw.wire_len,
                file_offset: self.raw.file_offset,
                src,
                dst,
                proto,
                id,
                offset,
                more,
                payload,
                tunnel: self.tunnel,
                network: self.network,
            });
        }
        self.transport(src, dst, proto, payload, false)
    }

    fn transport(
        &mut self,
        src: IpAddr,
        dst: IpAddr,
        proto: IpProto,
        payload: &'a [u8],
        counted: bool,
    ) -> Decoded<'a> {
        if self.depth < MAX_DEPTH
            && let Some(inner) = self.ip_tunnel(src.is_ipv6(), proto, payload)
        {
            return inner;
        }
        let too_deep = |d: &mut Decoder<'_, 'a>| match proto {
            AUTHENTICATION => authentication_header(payload).is_some(),
            _ => d.ip_tunnel(src.is_ipv6(), proto, payload).is_some(),
        };
        if self.at_the_bottom(too_deep) {
            return self.too_deep(payload, counted);
        }
        if proto == AUTHENTICATION && self.depth < MAX_DEPTH {
            let Some((next, size)) = authentication_header(payload) else {
                return self.uncounted_malformed(payload, counted, "malformed authentication header");
            };
            self.enter(Layer::Ah, size);
            return self.transport(src, dst, next, payload.get(size..).unwrap_or_default(), counted);
        }
        let (mut sport, mut dport, mut tcp, mut data) = (0, 0, TcpInfo::default(), payload);
        match proto {
            IpProto::TCP => {
                let Ok(t) = TcpSlice::from_slice(payload) else {
                    return self.uncounted_malformed(payload, counted, "malformed TCP header");
                };
                (sport, dport, data) = (t.source_port(), t.destination_port(), t.payload());
                tcp = TcpInfo {
                    seq: t.sequence_number(),
                    ack_no: t.acknowledgment_number(),
                    syn: t.syn(),
                    ack: t.ack(),
                    fin: t.fin(),
                    rst: t.rst(),
                };
            }
            IpProto::UDP => {
                let Ok(u) = UdpSlice::from_slice_lax(payload) else {
                    return self.uncounted_malformed(payload, counted, "malformed UDP header");
                };
                (sport, dport, data) = (u.source_port(), u.destination_port(), u.payload());
                if self.depth < MAX_DEPTH
                    && let Some(inner) = self.udp_tunnel(sport, dport, data, counted)
                {
                    if !counted {
                        // The UDP length may end before the datagram does.
                        let before = offset_in(payload, data).unwrap_or(payload.len());
                        self.ledger.padding += (payload.len() - before - data.len()) as u64;
                    }
                    return inner;
                }
                if self.at_the_bottom(|d| d.udp_tunnel(sport, dport, data, true).is_some()) {
                    return self.too_deep(payload, counted);
                }
            }
            _ => {}
        }
        if !counted {
            let before = offset_in(payload, data).unwrap_or(payload.len());
            self.ledger.transport += before as u64;
            self.ledger.padding += (payload.len() - before - data.len()) as u64;
        }
        let (from, to) = (Endpoint::new(src, sport), Endpoint::new(dst, dport));
        let from_low = from <= to;
        let (low, high) = if from_low { (from, to) } else { (to, from) };
        let file_offset = self.raw.file_offset + offset_in(self.whole, data).unwrap_or(0) as u64;
        Decoded::Packet(Packet {
            frame: self.raw.number,
            time: self.raw.time,
            wire_len: self.raw.wire_len,
            file_offset,
            key: FlowKey { low, high, proto },
            from_low,
            tcp,
            payload: data,
            tunnel: self.tunnel,
            network: self.network,
            owner: self.owner,
            counted,
        })
    }

    /// Whether what `probe` finds would be one tunnel too many. It finds it on a copy, whose ledger is dropped.
    fn at_the_bottom(&self, probe: impl FnOnce(&mut Decoder<'_, 'a>) -> bool) -> bool {
        if self.depth != MAX_DEPTH {
            return false;
        }
        let mut dropped = Overhead::default();
        probe(&mut Decoder {
            raw: self.raw,
            ledger: &mut dropped,
            whole: self.whole,
            tunnel: self.tunnel,
            network: self.network,
            depth: self.depth,
            subframes: &[],
            owner: None,
        })
    }

    fn too_deep(&mut self, left: &[u8], counted: bool) -> Decoded<'a> {
        if counted { Decoded::Nothing(Some(TOO_DEEP)) } else { self.unsupported(left, TOO_DEEP) }
    }

    fn uncounted_malformed(&mut self, left: &[u8], counted: bool, what: &'static str) -> Decoded<'a> {
        if counted { Decoded::Nothing(Some(what)) } else { self.malformed(left, what) }
    }

    /// Enters a tunnel: what was counted as network header of this datagram stays so.
    fn enter(&mut self, layer: Layer, header: usize) {
        self.depth += 1;
        self.tunnel = self.tunnel.with(layer);
        self.header(header);
    }

    /// What follows belongs to this network; of several, one within the other, all count.
    fn within_network(&mut self, [a, b, c]: [u8; 3]) {
        self.network = self.network.rotate_left(12) ^ u32::from_be_bytes([1, a, b, c]);
    }

    /// IP in IP (RFC 2003, 4213, 2473) and GRE (RFC 2784, 2890, 2637; ERSPAN), within IPv6 or IPv4.
    fn ip_tunnel(&mut self, in_six: bool, proto: IpProto, payload: &'a [u8]) -> Option<Decoded<'a>> {
        let layer = match (proto.0, payload.first().map(|b| b >> 4), in_six) {
            (4, Some(4), false) => Layer::Ipip,
            (4, Some(4), true) => Layer::FourInSix,
            (41, Some(6), false) => Layer::SixInFour,
            (41, Some(6), true) => Layer::SixInSix,
            (47, ..) => return self.gre(payload),
            _ => return None,
        };
        self.enter(layer, 0);
        Some(self.ip(payload))
    }

    fn gre(&mut self, payload: &'a [u8]) -> Option<Decoded<'a>> {
        let mut r = Reader::new(payload);
        let flags = r.u16("GRE flags").ok()?;
        let kind = r.u16("GRE protocol").ok()?;
        let version = flags & 7;
        if flags & 0x8000 != 0 {
            r.take("GRE checksum", 4).ok()?;
        }
        if version == 1 || flags & 0x2000 != 0 {
            r.take("GRE key", 4).ok()?;
        }
        let sequenced = flags & 0x1000 != 0;
        if sequenced {
            r.take("GRE sequence", 4).ok()?;
        }
        if version == 1 && flags & 0x0080 != 0 {
            r.take("GRE acknowledgment", 4).ok()?;
        }
        let shim = match kind {
            0x88be if sequenced => 8,
            0x22eb => {
                let optional = r.rest().get(11).is_some_and(|b| b & 1 == 1);
                if optional { 20 } else { 12 }
            }
            _ => 0,
        };
        r.take("ERSPAN header", shim).ok()?;
        let inner = r.rest();
        match kind {
            0x0800 | 0x86dd => {
                self.enter(Layer::Gre, r.at());
                Some(self.ip(inner))
            }
            0x6558 => {
                self.enter(Layer::Gre, r.at());
                Some(self.ethernet(inner))
            }
            0x88be | 0x22eb => {
                self.enter(Layer::Erspan, r.at());
                Some(self.ethernet(inner))
            }
            0x880b if !inner.is_empty() => {
                self.enter(Layer::Pptp, r.at());
                Some(self.ppp(inner))
            }
            0x8847 | 0x8848 => {
                self.enter(Layer::Gre, r.at());
                Some(self.mpls(inner))
            }
            // WCCP (draft-wilson-wrec-wccp-v2 section 4.12.1.1): its second version has four bytes before the packet.
            0x883e => {
                let packet = match inner.first().map(|b| b >> 4) {
                    Some(4) => inner,
                    _ => inner.get(4..).filter(|rest| rest.first().is_some_and(|b| b >> 4 == 4))?,
                };
                self.enter(Layer::Gre, r.at() + inner.len() - packet.len());
                Some(self.ip(packet))
            }
            _ => None,
        }
    }

    /// VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281), Teredo (RFC 4380), each by port and by shape; Teredo on any
    /// port where all of it fits.
    fn udp_tunnel(&mut self, sport: u16, dport: u16, data: &'a [u8], counted: bool) -> Option<Decoded<'a>> {
        let udp = if counted { 0 } else { 8 };
        let at = |port: u16| sport == port || dport == port;
        let starts_ip = |b: &[u8]| matches!(b.first().map(|b| b >> 4), Some(4 | 6)) && b.len() >= 20;
        if at(4790) {
            // VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe): as VXLAN, with the inner protocol in the fourth byte.
            let [flags, 0, 0, next, ..] = *data.first_chunk::<8>()? else { return None };
            let inner = data.get(8..).filter(|_| flags & 0xcc == 0x0c)?;
            if next == 3 && inner.len() >= 14 {
                self.enter(Layer::VxlanGpe, 8 + udp);
                return Some(self.ethernet(inner));
            }
            if matches!(next, 1 | 2) && starts_ip(inner) {
                self.enter(Layer::VxlanGpe, 8 + udp);
                return Some(self.ip(inner));
            }
            return None;
        }
        if at(4789) || at(8472) {
            let [flags, bits, group @ .., _, _, _, _] = *data.first_chunk::<8>()?;
            // Answers come to an ephemeral port; there only a header without any other bit is believed.
            let known = if dport == 4789 || dport == 8472 { flags & 0x08 != 0 } else { flags & 0x7f == 0x08 };
            // With a group policy (the flag G, draft-smith-vxlan-group-policy) the id of the group and the bits D and A are no longer
            // reserved.
            let reserved = match flags & 0x80 {
                // At the port that is its own they are ignored (RFC 7348 section 5).
                _ if dport == 4789 => true,
                0 => bits == 0 && group == [0; 2],
                _ => bits & !0x48 == 0,
            };
            if !known || !reserved || data.len() < 8 + 14 {
                return None;
            }
            let inner = data.get(8..)?;
            self.enter(Layer::Vxlan, 8 + udp);
            if let Some([a, b, c]) = data.get(4..7) {
                self.within_network([*a, *b, *c]);
            }
            return Some(self.ethernet(inner));
        }
        if at(6081) {
            let [v, flags, a, b, _, _, _, last, ..] = *data else { return None };
            // Answers come to an ephemeral port; there only a header without reserved bits, with an inner protocol that is known.
            let known = matches!([a, b], [0x65, 0x58] | [0x08, 0x00] | [0x86, 0xdd]);
            if dport != 6081 && (flags & 0x3f != 0 || last != 0 || !known) {
                return None;
            }
            let size = 8 + usize::from(v & 0x3f) * 4;
            let inner = data.get(size..).filter(|i| v >> 6 == 0 && i.len() >= 14)?;
            self.enter(Layer::Geneve, size + udp);
            if let Some([a, b, c]) = data.get(4..7) {
                self.within_network([*a, *b, *c]);
            }
            let kind = u16::from_be_bytes([a, b]);
            return Some(if kind == 0x6558 { self.ethernet(inner) } else { self.ethertype(kind, inner) });
        }
        if at(2152) {
            let mut r = Reader::new(data);
            let flags = r.u8("GTP flags").ok()?;
            let kind = r.u8("GTP message type").ok()?;
            r.take("GTP length and TEID", 6).ok()?;
            if flags >> 4 != 3 || kind != 0xff {
                return None;
            }
            // Any of the three flags (extension, sequence, N-PDU) brings all four bytes; what those say whose flag is clear is not to be read (3GPP TS 29.281 section
            // 5.1). So the last one names an extension header only with its own flag.
            if flags & 7 != 0 {
                let next = *r.take("GTP options", 4).ok()?.get(3)?;
                let mut next = if flags & 4 == 0 { 0 } else { next };
                while next != 0 {
                    let words = usize::from(r.u8("GTP extension length").ok()?);
                    let rest = r.take("GTP extension", (words * 4).checked_sub(1)?).ok()?;
                    next = *rest.last()?;
                }
            }
            let inner = r.rest();
            if !starts_ip(inner) {
                return None;
            }
            self.enter(Layer::Gtp, r.at() + udp);
            return Some(self.ip(inner));
        }
        let teredo = at(3544);
        // Clients reach each other on ports of their own; there only a packet that fits in all is believed.
        if teredo || matches!(data.first(), Some(0 | 0x60..=0x6f)) {
            let mut inner = data;
            if let [0, 1, id, auth, rest @ ..] = inner {
                inner = rest.get(usize::from(*id) + usize::from(*auth) + 9..)?;
            }
            if let [0, 0, _, _, _, _, _, _, rest @ ..] = inner {
                inner = rest;
            }
            if inner.first().map(|b| b >> 4) != Some(6) || inner.len() < 40 {
                return None;
            }
            if !teredo && !is_strict_teredo(inner) {
                return None;
            }
            self.enter(Layer::Teredo, data.len() - inner.len() + udp);
            return Some(self.ip(inner));
        }
        None
    }
}

/// The frame has its checksum at the end (radiotap.org, field "Flags").
const RADIOTAP_FCS: u8 = 0x10;
/// The header is filled up to four bytes.
const RADIOTAP_PADDED: u8 = 0x20;

/// Whether an Ethernet header with a usual type stands here.
fn is_ethernet(bytes: &[u8]) -> bool {
    let kind = bytes.get(12..14).filter(|_| bytes.len() > 14);
    matches!(kind, Some([0x08, 0x00 | 0x06] | [0x86, 0xdd] | [0x81, 0x00] | [0x88, 0xa8]))
}

/// Where the payload (`NFULA_PAYLOAD`, type 9) among the attributes of a netfilter log begins and ends, up to where the frame was cut;
/// `None` where `order` is not that of the attributes.
fn nflog_payload(attributes: &[u8], order: fn([u8; 2]) -> u16) -> Option<(usize, usize)> {
    let mut at = 0_usize;
    loop {
        let [a, b, c, d, ..] = *attributes.get(at..)? else { return None };
        let size = usize::from(order([a, b]));
        if size < 4 {
            return None;
        }
        if order([c, d]) & 0x7fff == 9 {
            return Some((at + 4, (at + size).min(attributes.len())));
        }
        at += size.next_multiple_of(4);
    }
}

/// The field "Flags" of a radiotap header: the second one, behind TSFT, which is aligned to eight bytes.
fn radiotap_flags(head: &[u8]) -> Option<u8> {
    let mut r = Reader::new(head);
    r.take("version and length", 4).ok()?;
    let present = u32::from_le_bytes(r.array("present").ok()?);
    if present & 2 == 0 {
        return None;
    }
    let mut word = present;
    while word >> 31 == 1 {
        word = u32::from_le_bytes(r.array("present").ok()?);
    }
    if present & 1 == 1 {
        r.take("alignment", r.at().next_multiple_of(8) - r.at()).ok()?;
        r.take("TSFT", 8).ok()?;
    }
    r.u8("flags").ok()
}

/// An IPv6 packet of Teredo, on any port: its length ends where the datagram ends, one of its addresses has the prefix of
/// Teredo, and what it carries is TCP, UDP, ICMP or nothing (RFC 4380 section 5.1.1, RFC 4380 section 2.6).
fn is_strict_teredo(inner: &[u8]) -> bool {
    const PREFIX: [u8; 4] = [0x20, 0x01, 0, 0];
    let Some(([0x60..=0x6f, _, _, _, high, low, next, _, addresses @ ..], rest)) =
        inner.split_first_chunk::<40>()
    else {
        return false;
    };
    let (from, to) = addresses.split_at(16);
    let known = match next {
        6 => rest.len() >= 20,
        17 => rest.len() >= 8 && rest.get(4..6) == Some(&[*high, *low]),
        58 => rest.len() >= 4,
        59 => rest.is_empty(),
        _ => false,
    };
    known
        && usize::from(u16::from_be_bytes([*high, *low])) == rest.len()
        && (from.starts_with(&PREFIX) || to.starts_with(&PREFIX))
}

/// Decodes the transport layer of a datagram put together from fragments.
pub(super) fn decode_reassembled<'a>(last: &Fragment<'_>, datagram: &'a [u8]) -> Decoded<'a> {
    let raw = RawFrame {
        number: last.frame,
        time: last.time,
        file_offset: last.file_offset,
        at: 0,
        len: 0,
        wire_len: last.wire_len,
        link: LinkType::RAW,
    };
    // The fragments are in the ledger already; what tunnels inside would count goes to a ledger that is dropped.
    let mut dropped = Overhead::default();
    let mut decoder = Decoder {
        raw: &raw,
        ledger: &mut dropped,
        whole: &[],
        tunnel: last.tunnel,
        network: last.network,
        depth: 0,
        subframes: &[],
        owner: None,
    };
    match decoder.transport(last.src, last.dst, last.proto, datagram, true) {
        Decoded::Packet(mut p) => {
            p.counted = true;
            Decoded::Packet(p)
        }
        other => other,
    }
}

/// The fragment holds the transport header.
fn first_fragment(ip: &LaxIpSlice<'_>) -> bool {
    match ip {
        LaxIpSlice::Ipv4(v4) => v4.header().fragments_offset().value() == 0,
        LaxIpSlice::Ipv6(v6) => fragment_header(v6.extensions()).is_some_and(|(_, offset, _)| offset == 0),
    }
}

/// Identification, offset in bytes and "more fragments" of the first fragment header (RFC 8200 section 4.5).
///
/// Read here, as `etherparse` 0.21 walks extension headers without looking at their lengths again, also when its lax parser
/// stopped in the middle of one: the walk then leaves the packet.
fn fragment_header(extensions: &Ipv6ExtensionsSlice<'_>) -> Option<(u32, u32, bool)> {
    let mut kind = extensions.first_header()?;
    let mut r = Reader::new(extensions.slice());
    loop {
        let next = r.u8("next header").ok()?;
        let length = usize::from(r.u8("extension length").ok()?);
        match kind {
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let bits = r.u16("fragment offset").ok()?;
                return Some((r.u32("identification").ok()?, u32::from(bits & !7), bits & 1 == 1));
            }
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS => r.take("extension header", length * 8 + 6).ok()?,
            // In words of four bytes, without the first two (RFC 4302 section 2.2).
            IpNumber::AUTHENTICATION_HEADER => r.take("authentication header", length * 4 + 6).ok()?,
            _ => return None,
        };
        kind = IpNumber(next);
    }
}

/// The authentication header of RFC 4302, which leaves what follows it readable.
const AUTHENTICATION: IpProto = IpProto(51);

/// What follows an authentication header, and its size: words of four bytes, less two (RFC 4302 section 2.2).
fn authentication_header(payload: &[u8]) -> Option<(IpProto, usize)> {
    let [next, words, ..] = payload else { return None };
    let size = (usize::from(*words) + 2) * 4;
    // Next header, length, reserved bytes, SPI and sequence number are always there.
    (size >= 12 && size <= payload.len()).then_some((IpProto(*next), size))
}

/// Whether there is an authentication header among the extension headers, walked as in [`fragment_header`].
fn authenticated(extensions: &Ipv6ExtensionsSlice<'_>) -> bool {
    let mut kind = extensions.first_header();
    let mut r = Reader::new(extensions.slice());
    while let Some(
        IpNumber::IPV6_HEADER_HOP_BY_HOP
        | IpNumber::IPV6_ROUTE_HEADER
        | IpNumber::IPV6_DESTINATION_OPTIONS
        | IpNumber::IPV6_FRAGMENTATION_HEADER
        | IpNumber::AUTHENTICATION_HEADER,
    ) = kind
    {
        if r.is_empty() || kind == Some(IpNumber::AUTHENTICATION_HEADER) {
            break;
        }
        let (Ok(next), Ok(length)) = (r.u8("next header"), r.u8("extension length")) else { return false };
        let length = if kind == Some(IpNumber::IPV6_FRAGMENTATION_HEADER) { 0 } else { usize::from(length) };
        if r.take("extension header", length * 8 + 6).is_err() {
            return false;
        }
        kind = Some(IpNumber(next));
    }
    kind == Some(IpNumber::AUTHENTICATION_HEADER) && !r.is_empty()
}

/// Offset of `part` in `whole`, when it is a part of it.
fn offset_in(whole: &[u8], part: &[u8]) -> Option<usize> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (start + part.len() <= whole.len()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::Layer;
    use crate::capture::LinkType;
    use crate::dissect::{CaptureAnalysis, Options, analyse_bytes};

    /// A capture of frames of one link type.
    fn read(link: u32, frames: &[Vec<u8>]) -> CaptureAnalysis {
        let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        out.extend(262_144_u32.to_le_bytes());
        out.extend(link.to_le_bytes());
        for frame in frames {
            let length = (frame.len() as u32).to_le_bytes();
            out.extend([[0; 4], [0; 4], length, length].concat());
            out.extend(frame);
        }
        let analysis =
            analyse_bytes("test", &out, &Options { observe: true, ..Options::default() }).expect("a capture");
        assert_eq!(analysis.coverage.classes.values().sum::<u64>(), out.len() as u64);
        analysis
    }

    /// An authentication header with an ICV of 12 bytes in front of what `next` numbers.
    fn ah(next: u8, content: &[u8]) -> Vec<u8> {
        [&[next, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1][..], &[0xab; 12], content].concat()
    }

    /// An IPv4 packet; `fragment`: offset in bytes, and whether more follow.
    fn v4(proto: u8, content: &[u8], fragment: (u16, bool)) -> Vec<u8> {
        let mut p = vec![0x45, 0];
        p.extend((20 + content.len() as u16).to_be_bytes());
        p.extend([0, 77]);
        p.extend(((fragment.0 / 8) | (u16::from(fragment.1) << 13)).to_be_bytes());
        p.extend([64, proto, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        p.extend(content);
        p
    }

    #[test]
    fn an_authentication_header_hides_nothing() {
        let datagram = &udp(53_999, b"in clear, only authenticated")[20..];
        let inner = udp(53_999, b"in clear, only authenticated");
        let transport = ah(17, datagram);
        let mut v6 = vec![0x60, 0, 0, 0];
        v6.extend((8 + transport.len() as u16).to_be_bytes());
        v6.extend([0, 64]);
        v6.extend([0x20; 32]);
        v6.extend([51, 0, 1, 4, 0, 0, 0, 0]); // hop-by-hop
        v6.extend(&transport);
        for (name, frames, layers) in [
            ("transport", vec![v4(51, &transport, (0, false))], &["ah"][..]),
            ("tunnel", vec![v4(51, &ah(4, &inner), (0, false))], &["ah", "ipip"]),
            ("twice", vec![v4(51, &ah(51, &transport), (0, false))], &["ah", "ah"]),
            (
                "fragments",
                vec![v4(51, &transport[..32], (0, true)), v4(51, &transport[32..], (32, false))],
                &["ah"],
            ),
            ("IPv6", vec![v6], &["ah"]),
        ] {
            let analysis = read(101, &frames);
            let flow = &analysis.flows[0];
            assert_eq!((analysis.flows.len(), flow.transport.as_str()), (1, "udp"), "{name}");
            assert!(flow.server.ends_with(":53999") || flow.client.ends_with(":53999"), "{name}");
            assert_eq!(flow.tunnel, layers, "{name}");
            assert_eq!(analysis.coverage.classes["text"], 28, "{name}");
        }
        for cut in 0..24 {
            let analysis = read(101, &[v4(51, &transport[..cut], (0, false))]);
            assert!(analysis.flows.iter().all(|f| f.transport != "udp"), "{cut}");
            assert!(analysis.warnings.iter().any(|w| w.what.contains("authentication header")), "{cut}");
        }
        let short = [&[17, 0, 0, 0, 0, 0, 1, 0][..], &[0; 40]].concat();
        assert!(read(101, &[v4(51, &short, (0, false))]).warnings[0].what.contains("authentication header"));
    }

    /// A datagram from port 40000 of 192.0.2.1 to `port` of 192.0.2.2.
    fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let mut p = vec![0x45, 0];
        p.extend((28 + payload.len() as u16).to_be_bytes());
        p.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        p.extend([40_000_u16.to_be_bytes(), port.to_be_bytes()].concat());
        p.extend((8 + payload.len() as u16).to_be_bytes());
        p.extend([0, 0]);
        p.extend(payload);
        p
    }

    #[test]
    fn cooked_headers_may_have_802_2_behind_them_and_netfilter_logs_either_byte_order() {
        let text = b"words in a datagram";
        let inner = udp(53_999, text);
        let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &inner].concat();
        let sll = |protocol: u16, rest: &[u8]| {
            [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &protocol.to_be_bytes(), rest].concat()
        };
        let sll2 = |protocol: u16, rest: &[u8]| {
            [&protocol.to_be_bytes()[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], rest]
                .concat()
        };
        // A mark of three bytes with one of filling, and the payload.
        let nflog = |order: fn(u16) -> [u8; 2]| {
            let size = order(4 + inner.len() as u16);
            [&[2, 0, 0, 1][..], &order(7), &order(1), &[1, 2, 3, 0], &size, &order(9), &inner].concat()
        };
        for (name, link, frame) in [
            ("SLL", 113, sll(0x800, &inner)),
            ("SLL, 802.2", 113, sll(4, &snap)),
            ("SLL2, 802.2", 276, sll2(4, &snap)),
            ("NFLOG, little-endian", 239, nflog(u16::to_le_bytes)),
            ("NFLOG, big-endian", 239, nflog(u16::to_be_bytes)),
        ] {
            let analysis = read(link, std::slice::from_ref(&frame));
            assert_eq!(analysis.flows.len(), 1, "{name}: {:?}", analysis.warnings);
            assert_eq!(analysis.coverage.classes.get("text"), Some(&(text.len() as u64)), "{name}");
            // `read` asks for exact sums of the ledger.
            for cut in 0..frame.len() {
                let _ = read(link, &[frame[..cut].to_vec()]);
            }
        }
        // Novell's raw 802.3 is no 802.2.
        assert!(read(113, &[sll(1, &snap)]).flows.is_empty());
        assert!(read(239, &[[&[2, 0, 0, 1][..], &[3, 0, 9, 0]].concat()]).warnings[0].what.contains("NFLOG"));
    }

    #[test]
    fn the_document_has_each_layer() {
        let document = include_str!("../../docs/layers.md");
        for layer in [
            Layer::Vlan,
            Layer::Mpls,
            Layer::Pppoe,
            Layer::Ah,
            Layer::Ipip,
            Layer::FourInSix,
            Layer::SixInFour,
            Layer::SixInSix,
            Layer::Gre,
            Layer::Erspan,
            Layer::Pptp,
            Layer::Vxlan,
            Layer::VxlanGpe,
            Layer::Geneve,
            Layer::Gtp,
            Layer::Teredo,
        ] {
            assert!(
                document.contains(&format!("`{}`", layer.name())),
                "docs/layers.md lacks {}",
                layer.name()
            );
        }
    }

    #[test]
    fn less_usual_framings_are_read() {
        let inner = udp(53_999, b"in clear, whatever is around it");
        let ethernet = [&[2; 12][..], &[8, 0], &inner].concat();
        let gre = |kind: u16, content: &[u8]| {
            v4(47, &[&[0, 0][..], &kind.to_be_bytes(), content].concat(), (0, false))
        };
        let label = |bottom: u8, content: &[u8]| [&[0, 1, bottom, 64][..], content].concat();
        // From Geneve's port to another.
        let answer = |flags: u8, last: u8| {
            let mut packet = udp(50_000, &[&[0, flags, 0x65, 0x58, 0, 0, 7, last][..], &ethernet].concat());
            packet[20..22].copy_from_slice(&6081_u16.to_be_bytes());
            packet
        };
        for (name, link, frame, read_on) in [
            ("Cisco HDLC", 50, [&[0x0f, 0, 8, 0][..], &inner].concat(), true),
            ("Cisco HDLC, broadcast", 50, [&[0x8f, 0, 8, 0][..], &inner].concat(), true),
            ("PPP", 50, [&[0xff, 3, 0, 0x21][..], &inner].concat(), true),
            ("upstream labels", 101, gre(0x8848, &label(1, &inner)), true),
            ("WCCP", 101, gre(0x883e, &inner), true),
            ("WCCP 2", 101, gre(0x883e, &[&[0, 0, 0, 0][..], &inner].concat()), true),
            ("pseudowire without control word", 101, gre(0x8847, &label(1, &ethernet)), true),
            ("no pseudowire", 101, gre(0x8847, &label(1, &[0x22; 60])), false),
            ("Geneve's answer", 101, answer(0, 0), true),
            ("a reserved flag", 101, answer(1, 0), false),
            ("a reserved byte", 101, answer(0, 1), false),
        ] {
            let analysis = read(link, std::slice::from_ref(&frame));
            let reached =
                analysis.flows.iter().any(|f| f.server.ends_with(":53999") || f.client.ends_with(":53999"));
            assert_eq!(reached, read_on, "{name}: {:?}", analysis.warnings);
            for cut in 0..frame.len() {
                let _ = read(link, &[frame[..cut].to_vec()]);
            }
        }
    }

    /// The outer layers of a datagram to a port, and whether its content is reached.
    fn inside(port: u16, payload: &[u8]) -> (Vec<String>, bool) {
        let analysis = read(101, &[udp(port, payload)]);
        let flow = &analysis.flows[0];
        (flow.tunnel.clone(), flow.server.ends_with(":53999") || flow.client.ends_with(":53999"))
    }

    #[test]
    fn outer_layers_have_the_words_of_the_field() {
        let four = udp(53_999, b"in clear, whatever is around it");
        let six = |next: u8, content: &[u8]| {
            let mut p = vec![0x60, 0, 0, 0];
            p.extend((content.len() as u16).to_be_bytes());
            p.extend([next, 64]);
            p.extend([0x20; 32]);
            p.extend(content);
            p
        };
        let inner = six(17, &four[20..]);
        let ethernet = |kind: [u8; 2], content: &[u8]| [&[2; 12][..], &kind, content].concat();
        let (tag, ip) = ([0, 7], [8, 0]);
        let session =
            [&[0x11, 0, 0, 1][..], &(2 + four.len() as u16).to_be_bytes(), &[0, 0x21], &four].concat();
        let label = |last: u8| [0, 1, last, 64];
        for (link, frame, layers) in [
            (101, v4(4, &four, (0, false)), &["ipip"][..]),
            (101, v4(41, &inner, (0, false)), &["6in4"]),
            (101, six(4, &four), &["4in6"]),
            (101, six(41, &inner), &["6in6"]),
            (101, six(41, &six(4, &four)), &["6in6", "4in6"]),
            (1, ethernet([0x81, 0], &[&tag[..], &ip, &four].concat()), &["vlan"]),
            (
                1,
                ethernet([0x88, 0xa8], &[&tag[..], &[0x81, 0], &tag, &ip, &four].concat()),
                &["vlan", "vlan"],
            ),
            (1, ethernet([0x88, 0x47], &[&label(0)[..], &label(1), &four].concat()), &["mpls"]),
            (1, ethernet([0x88, 0x64], &session), &["pppoe"]),
            (1, ethernet([0x81, 0], &[&tag[..], &[0x88, 0x64], &session].concat()), &["vlan", "pppoe"]),
            (1, ethernet(ip, &four), &[]),
        ] {
            let analysis = read(link, &[frame]);
            assert_eq!(analysis.flows.len(), 1, "{layers:?}");
            assert_eq!(analysis.flows[0].tunnel, layers);
            assert_eq!(analysis.coverage.classes["text"], 31, "{layers:?}");
        }
        // More than can be listed are read all the same.
        let many = [[0, 7, 0x81, 0]; 20].concat();
        let analysis = read(1, &[ethernet([0x81, 0], &[&many[..], &tag, &ip, &four].concat())]);
        assert_eq!(analysis.flows[0].tunnel, ["vlan"; super::MAX_LAYERS]);
    }

    #[test]
    fn the_fifth_tunnel_is_told_and_not_read() {
        let inner = udp(53_999, b"in clear, whatever is around it");
        let ipip = |p: &[u8]| v4(4, p, (0, false));
        let gre = |p: &[u8]| v4(47, &[&[0, 0, 8, 0][..], p].concat(), (0, false));
        let vxlan = |p: &[u8]| udp(4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &[2; 12], &[8, 0], p].concat());
        let authenticated = |p: &[u8]| v4(51, &[&[4, 4, 0, 0][..], &[0; 20], p].concat(), (0, false));
        for wrap in [&ipip as &dyn Fn(&[u8]) -> Vec<u8>, &gre, &vxlan] {
            for last in [&ipip as &dyn Fn(&[u8]) -> Vec<u8>, &gre, &vxlan, &authenticated] {
                let four = wrap(&wrap(&wrap(&wrap(&inner))));
                let read_four = read(101, std::slice::from_ref(&four));
                assert_eq!(read_four.coverage.classes["text"], 31);
                // The same around the innermost packet of four.
                let five = wrap(&wrap(&wrap(&wrap(&last(&inner)))));
                let analysis = read(101, std::slice::from_ref(&five));
                assert!(analysis.flows.is_empty(), "{:?}", analysis.flows);
                assert!(analysis.coverage.classes["unsupported"] > 31);
                assert!(
                    analysis.warnings[0].what.contains("more than four tunnels"),
                    "{:?}",
                    analysis.warnings
                );
                assert_eq!(analysis.coverage.classes.values().sum::<u64>(), analysis.coverage.total);
            }
        }
    }

    #[test]
    fn shim6_is_a_flow_of_its_own_protocol() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 16, 140, 64];
        packet.extend([0x20; 32]);
        packet.extend([59, 1, 0x80, 0, 0, 0, 0, 0, 0x91, 2, 3, 4, 5, 6, 7, 8]);
        let analysis = read(101, std::slice::from_ref(&packet));
        let classes = &analysis.coverage.classes;
        assert_eq!((analysis.flows.len(), classes.get("opaque")), (1, Some(&16)), "{classes:?}");
    }

    #[test]
    fn vxlan_with_a_group_policy() {
        let frame = [&[2; 12][..], &[8, 0], &udp(53_999, b"content")].concat();
        let header = |flags: u8, bits: u8, group: [u8; 2]| {
            [&[flags, bits][..], &group, &[0, 0, 7, 0], &frame].concat()
        };
        for (name, payload, read) in [
            ("plain", header(0x08, 0, [0, 0]), true),
            ("group policy", header(0x88, 0, [0, 9]), true),
            ("applied, not to be learned from", header(0x88, 0x48, [1, 9]), true),
            ("a group without the flag", header(0x08, 0, [0, 9]), true),
            ("another bit", header(0x88, 0x01, [0, 9]), true),
            ("no network id", header(0x80, 0, [0, 9]), false),
        ] {
            let (layers, reached) = inside(4789, &payload);
            assert_eq!((layers == ["vxlan"], reached), (read, read), "{name}");
            for cut in 0..8 + 14 {
                assert_eq!(inside(4789, &payload[..cut]).0, [""; 0], "{name}, {cut}");
            }
        }
    }

    #[test]
    fn gtp_reads_extensions_only_with_their_flag() {
        let inner = udp(53_999, b"content");
        let header = |flags: u8, more: &[u8]| {
            let length = ((more.len() + inner.len()) as u16).to_be_bytes();
            [&[0x30 | flags, 0xff][..], &length, &[0, 0, 0, 1], more, &inner].concat()
        };
        let extension = [1, 0, 0, 0];
        for (name, payload, read) in [
            ("plain", header(0, &[]), true),
            ("sequence number", header(2, &[0, 7, 0, 0]), true),
            ("sequence number, and what is not to be read", header(2, &[0, 7, 0, 0x85]), true),
            ("number of an N-PDU", header(1, &[9, 9, 7, 0xc0]), true),
            ("extension", header(4, &[&[9, 9, 7, 0x85][..], &extension].concat()), true),
            ("extension and sequence number", header(6, &[&[0, 7, 0, 0x85][..], &extension].concat()), true),
            ("no extension behind", header(4, &[0, 0, 0, 0]), true),
            ("an extension of no length", header(4, &[0, 0, 0, 0x85, 0]), false),
        ] {
            let (layers, reached) = inside(2152, &payload);
            assert_eq!((layers == ["gtp"], reached), (read, read), "{name}");
            for cut in 0..8 {
                assert_eq!(inside(2152, &payload[..cut]).0, [""; 0], "{name}, {cut}");
            }
        }
    }

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    /// A data frame with quality of service; `order`: with HT control.
    fn qos(aggregate: bool, order: bool, body: &[u8]) -> Vec<u8> {
        let mut p = vec![0x88, if order { 0x81 } else { 1 }];
        p.resize(24, 7);
        p.extend([if aggregate { 0x80 } else { 0 }, 0]);
        if order {
            p.extend([1, 2, 3, 4]);
        }
        p.extend(body);
        p
    }

    fn subframes(inner: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for packet in inner {
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend([9; 12]);
            out.extend((8 + packet.len() as u16).to_be_bytes());
            out.extend(SNAP);
            out.extend(packet);
        }
        out
    }

    fn radiotap(flags: u8, with_time: bool, frame: &[u8]) -> Vec<u8> {
        let mut head = vec![0, 0, 0, 0, if with_time { 3 } else { 2 }, 0, 0, 0];
        if with_time {
            head.extend([5; 8]);
        }
        head.push(flags);
        head[2] = head.len() as u8;
        [&head[..], frame].concat()
    }

    #[test]
    fn aggregates_hold_several_packets_of_a_flow() {
        let three = subframes(&[udp(9, b"first"), udp(9, b"second one"), udp(9, b"third")]);
        let frame = qos(true, false, &three);
        let whole = read(105, &[frame.clone(), qos(false, false, &[&SNAP[..], &udp(9, b"alone")].concat())]);
        let flow = &whole.flows[0];
        assert_eq!((whole.flows.len(), flow.frames, flow.bytes_up), (1, 2, frame.len() as u64 + 26 + 8 + 33));
        assert_eq!(whole.coverage.classes["text"] + whole.coverage.classes.get("opaque").unwrap_or(&0), 25);
        let checked = [&frame[..], &[0xff; 4]].concat();
        let tapped = read(127, &[radiotap(0x10, true, &checked)]);
        assert_eq!((tapped.flows[0].frames, tapped.warnings.len()), (1, 0), "the checksum is no subframe");
        for cut in 0..frame.len() {
            read(105, &[frame[..cut].to_vec()]);
        }
        let other = qos(true, false, &subframes(&[udp(9, b"first"), udp(10, b"other"), udp(9, b"third")]));
        let read = read(105, &[other]);
        assert_eq!(read.flows.len(), 1);
        assert!(read.warnings[0].what.contains("subframe of another flow"), "{:?}", read.warnings);
        assert_eq!(read.coverage.classes["unsupported"], 5);
    }

    #[test]
    fn headers_with_padding_and_ht_control() {
        let body = [&SNAP[..], &udp(9, b"content of it")].concat();
        let plain = qos(false, false, &body);
        let mut padded = plain.clone();
        padded.splice(26..26, [0, 0]);
        for (name, frame) in [
            ("no flags", radiotap(0, true, &plain)),
            ("padded", radiotap(0x20, true, &padded)),
            ("padded, without a time", radiotap(0x20, false, &padded)),
            ("HT control", radiotap(0, false, &qos(false, true, &body))),
        ] {
            let read = read(127, &[frame]);
            assert_eq!((read.flows.len(), read.warnings.len()), (1, 0), "{name}");
        }
        assert_eq!(read(127, &[radiotap(0, true, &padded)]).flows.len(), 0, "padding that nobody told of");
    }

    #[test]
    fn teredo_between_clients() {
        let inner = |from: &[u8], payload: &[u8]| {
            let mut p = vec![0x60, 0, 0, 0];
            p.extend((8 + payload.len() as u16).to_be_bytes());
            p.extend([17, 64]);
            p.extend(from);
            p.resize(24, 1);
            p.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
            p.extend([0x9c, 0x40, 0, 9]);
            p.extend((8 + payload.len() as u16).to_be_bytes());
            p.extend([0, 0]);
            p.extend(payload);
            p
        };
        let teredo = inner(&[0x20, 1, 0, 0], b"content");
        let tunnels = |port: u16, payload: &[u8]| {
            read(101, &[udp(port, payload)]).flows[0].tunnel.iter().any(|t| t == "teredo")
        };
        assert!(tunnels(3544, &teredo) && tunnels(51_413, &teredo));
        let origin = [&[0, 0, 1, 2, 3, 4, 5, 6][..], &teredo].concat();
        assert!(tunnels(3544, &origin) && tunnels(51_413, &origin));
        let other = inner(&[0x20, 1, 0xd, 0xb8], b"content");
        assert!(tunnels(3544, &other) && !tunnels(51_413, &other), "no address of Teredo");
        for cut in 0..teredo.len() {
            assert!(!tunnels(51_413, &teredo[..cut]), "{cut}");
        }
        assert!(!tunnels(51_413, &[&teredo[..], b"x"].concat()), "more than the packet");
    }

    #[test]
    fn link_types_that_are_not_read_have_names() {
        for (link, what) in [
            (189, "link type USB_LINUX (LINKTYPE_ value 189) is not read"),
            (195, "link type IEEE802_15_4_WITHFCS (LINKTYPE_ value 195) is not read"),
            (147, "link type LINKTYPE_147 is not read"),
        ] {
            assert_eq!(read(link, &[vec![1; 40]]).warnings[0].what, what);
        }
        for number in 0..400 {
            // Each name is found, so the table is in order.
            assert!(!LinkType(number).name().is_empty());
        }
        assert_eq!(LinkType(292).name(), "ZBOSS_NCP");
        assert_eq!(LinkType(0).name(), "NULL");
    }
}
