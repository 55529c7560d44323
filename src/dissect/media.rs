//! What calls put on one flow: STUN, DTLS, TURN channels, ZRTP, RTP and RTCP, parted by the first byte (RFC 7983, RFC 9443).
//!
//! Takes datagrams, and streams that carry STUN as it is (RFC 8489 section 6.2.2) or any of these behind a two-byte length (RFC
//! 4571, RFC 6544); hands each to its protocol, and what TURN relays to the protocol inside it. Starts the same
//! dissector whichever of them a flow begins with. Reads nothing itself; what none of them knows is opaque.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::dtls::Dtls;
use super::rtp::Rtp;
use super::stun::{self, Stun};
use super::{Class, Cx, Dissector, Step};
use crate::model::Direction;

/// What came over a relay and is none of the protocols here.
const RELAYED: Class = Class::opaque("turn.relayed");
const OPAQUE: Class = Class::opaque("opaque");

/// Peers behind one relay whose traffic is told apart.
const MAX_PEERS: usize = 16;

/// The dissector for a flow of any of these protocols.
pub(super) fn start() -> Box<dyn Dissector> {
    Box::new(Media::default())
}

/// The same, for a flow in which RTP was seen.
pub(super) fn start_rtp() -> Box<dyn Dissector> {
    let direct = Talk { rtp: Rtp::recognised(), ..Talk::default() };
    Box::new(Media { direct, ..Media::default() })
}

/// Bytes to read and where they stand in the bytes that the flow shows.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    /// The bytes.
    pub(super) data: &'a [u8],
    /// Index of the first one.
    pub(super) at: usize,
    /// How a relay carries them: `send`, `data`, `channel-data`; `None` when it does not.
    pub(super) carried: Option<&'static str>,
}

impl<'a> Piece<'a> {
    /// A datagram.
    pub(super) fn whole(data: &'a [u8]) -> Piece<'a> {
        Piece { data, at: 0, carried: None }
    }

    /// All of it, as indices into the bytes that the flow shows.
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.at..self.at + self.data.len()
    }
}

/// Both ends of one conversation: of the flow, or of one peer behind a relay.
#[derive(Default)]
struct Talk {
    dtls: Dtls,
    rtp: Rtp,
}

/// How a stream is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    #[default]
    Unknown,
    /// By the length fields of STUN and of channel data.
    Stun,
    /// By two bytes before each.
    Prefixed,
}

#[derive(Default)]
struct Media {
    stun: Stun,
    direct: Talk,
    relayed: BTreeMap<String, Talk>,
    framing: Framing,
    /// A direction's stream is not at the border of a piece.
    lost: [bool; 2],
}

impl Dissector for Media {
    fn datagram(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Class {
        self.piece(d, Piece::whole(data), cx)
    }

    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if self.framing == Framing::Unknown {
            if data.len() < stun::TELLING {
                return Step::More(stun::TELLING);
            }
            self.framing = if stun::begins(data) { Framing::Stun } else { Framing::Prefixed };
        }
        let found = match self.framing {
            Framing::Prefixed => stun::prefixed(data),
            _ => stun::begins(data),
        };
        let lost = d.pick(&mut self.lost);
        *lost &= !found;
        if *lost {
            return Step::Took(data.len(), OPAQUE);
        }
        let (head, size) = match (self.framing, data) {
            (Framing::Prefixed, [high, low, ..]) => (2, 2 + usize::from(u16::from_be_bytes([*high, *low]))),
            (Framing::Prefixed, _) => return Step::More(2),
            (_, [0..=3, ..]) if data.len() < stun::TELLING => return Step::More(stun::TELLING),
            (_, [64..=79, ..]) if data.len() < 4 => return Step::More(4),
            (_, [0..=3, ..]) if found => (0, stun::size(data)),
            (_, [64..=79, ..]) => (0, stun::size(data)),
            _ => {
                // Not at the border of a message: what is there cannot be cut.
                *lost = true;
                return Step::Took(data.len(), OPAQUE);
            }
        };
        let Some(whole) = data.get(head..size) else { return Step::More(size) };
        Step::Took(size, self.piece(d, Piece { data: whole, at: head, carried: None }, cx))
    }

    fn gap(&mut self, d: Direction, _: u64, _: &mut Cx<'_>) {
        *d.pick(&mut self.lost) = true;
    }

    fn finish(&mut self, d: Direction, _: &[u8], cx: &mut Cx<'_>) {
        self.direct.rtp.state(d, false, cx);
        for talk in self.relayed.values() {
            talk.rtp.state(d, true, cx);
        }
        if d == Direction::Down {
            let talks = self.relayed.values_mut().chain([&mut self.direct]);
            talks.for_each(|talk| talk.dtls.finish(cx));
        }
    }

    fn holds(&self) -> Option<u64> {
        let talks = self.relayed.values().chain([&self.direct]);
        talks.filter_map(|t| t.rtp.holds()).min()
    }

    fn unfinished(&self) -> Class {
        OPAQUE
    }
}

impl Media {
    /// Reads one piece that came by itself, and what a relay carries in it.
    fn piece(&mut self, d: Direction, piece: Piece<'_>, cx: &mut Cx<'_>) -> Class {
        let read = match piece.data.first() {
            Some(0..=3) => self.stun.message(piece, cx),
            // Channels exist where a relay was asked for one, or on its port; a short QUIC header looks the same.
            Some(64..=79 | 255) => self.stun.channel(piece, cx),
            _ => return self.media(d, piece, cx).unwrap_or(OPAQUE),
        };
        let Some(read) = read else { return OPAQUE };
        let Some(inner) = read.inner else { return read.class };
        let Some(data) = piece.data.get(inner.range.clone()) else { return read.class };
        let inside = Piece { data, at: piece.at + inner.range.start, carried: Some(inner.by) };
        if matches!(data.first(), Some(0..=3)) {
            // A relay in a relay is not followed.
            return self.stun.message(inside, cx).map_or(RELAYED, |read| read.class);
        }
        if self.relayed.len() >= MAX_PEERS && !self.relayed.contains_key(&inner.peer) {
            return RELAYED;
        }
        let talk = self.relayed.entry(inner.peer).or_default();
        talk.read(d, inside, true, cx).unwrap_or(RELAYED)
    }

    fn media(&mut self, d: Direction, piece: Piece<'_>, cx: &mut Cx<'_>) -> Option<Class> {
        let announced = self.stun.seen();
        self.direct.read(d, piece, announced, cx)
    }
}

impl Talk {
    /// DTLS, ZRTP, RTP or RTCP; `announced`: STUN made the way for it.
    fn read(&mut self, d: Direction, piece: Piece<'_>, announced: bool, cx: &mut Cx<'_>) -> Option<Class> {
        match piece.data.first()? {
            16..=19 => self.rtp.zrtp(piece, cx),
            20..=63 => self.dtls.datagram(d, piece, cx),
            128..=191 => {
                let announced = announced || self.dtls.begun();
                self.rtp.packet(d, piece, announced, self.dtls.srtp(), cx)
            }
            _ => None,
        }
    }
}

/// An address of the internet at large, which tells where its owner is: not one of a LAN, of a carrier's translator, of this
/// host or of a group (IANA special-purpose registries, RFC 6890). Those of documentation stand for public ones, and count as such.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [b0, b1, ..] = a.octets();
            !(a.is_private()
                || a.is_loopback()
                || a.is_link_local()
                || b0 == 0
                || b0 >= 224
                || (b0 == 100 && b1 & 0xc0 == 64))
        }
        IpAddr::V6(a) => match (a.to_ipv4_mapped(), a.segments()) {
            (Some(mapped), _) => is_public(mapped.into()),
            // The block that is given out: 2000::/3.
            (None, [first, ..]) => first & 0xe000 == 0x2000,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of RTP with so many bytes of payload.
    fn rtp(sequence: u16, payload: usize) -> Vec<u8> {
        let mut p = vec![0x80, 111];
        p.extend(sequence.to_be_bytes());
        p.extend((u32::from(sequence) * 960).to_be_bytes());
        p.extend([1, 2, 3, 4]);
        p.resize(12 + payload, 7);
        p
    }

    #[test]
    fn media_of_a_call_by_its_way() {
        use crate::dissect::testing::datagrams;
        let (up, down) = (Direction::Up, Direction::Down);
        // ChannelBind of channel 0x4000 to 198.51.100.9:7000, and its answer.
        let attributes = [
            &[0, 12, 0, 4, 0x40, 0, 0, 0, 0, 18, 0, 8, 0, 1][..],
            // Port 7000 and 198.51.100.9, under the cookie.
            &(0x1b58_u16 ^ 0x2112).to_be_bytes(),
            &[0xc6 ^ 0x21, 0x33 ^ 0x12, 0x64 ^ 0xa4, 0x09 ^ 0x42],
        ]
        .concat();
        let head = |kind: u16, length: usize| {
            let length = (length as u16).to_be_bytes();
            [&kind.to_be_bytes()[..], &length, &[0x21, 0x12, 0xa4, 0x42], &[5; 12]].concat()
        };
        let bind = [head(0x0009, attributes.len()), attributes].concat();
        let channel = |data: &[u8]| [&[0x40, 0][..], &(data.len() as u16).to_be_bytes(), data].concat();
        let list = [
            (up, bind.clone()),
            (down, head(0x0109, 0)),
            (up, channel(&rtp(1, 100))),
            (up, channel(&rtp(2, 100))),
            (up, channel(&rtp(3, 50))),
            (down, channel(&rtp(9, 20))),
            (down, channel(&rtp(10, 20))),
        ];
        let call = datagrams(3478, &list).flows[0].call.clone().unwrap();
        assert_eq!((call.relay, call.direct_bytes, call.relayed_bytes), (true, 0, 3 * 12 + 250 + 2 * 32));
        assert_eq!(call.first_media, Some(3));
        let candidates: Vec<_> = call.candidates.iter().map(|c| (c.address.as_str(), c.frame)).collect();
        assert_eq!(candidates, [("198.51.100.9:7000", 1)]);
        // The same without a relay: all packets count, also those before it was certain.
        let direct: Vec<_> = (1..6).map(|n| (up, rtp(n, 100))).collect();
        let call = datagrams(7000, &direct).flows[0].call.clone().unwrap();
        assert_eq!((call.relay, call.direct_bytes, call.relayed_bytes), (false, 5 * 112, 0));
        assert_eq!(call.first_media, Some(1));
        for cut in 0..bind.len() {
            let cut = datagrams(3478, &[(up, &bind[..cut])]);
            let candidates = cut.flows[0].call.as_ref().map_or(0, |c| c.candidates.len());
            assert!(candidates == 0, "{cut:?}");
        }
    }

    #[test]
    fn an_invitation_and_its_answer() {
        use crate::dissect::testing::datagrams;
        let sdp = "v=0\r\nc=IN IP4 192.168.0.7\r\nm=audio 40000 RTP/AVP 0\r\n";
        let body = |sdp: &str| {
            format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
        };
        let invite = format!("INVITE sip:b@sip.example SIP/2.0\r\nCSeq: 1 INVITE\r\n{}", body(sdp));
        let theirs = "v=0\r\nc=IN IP4 198.51.100.9\r\nm=audio 7000 RTP/AVP 0\r\n\
                      a=candidate:1 1 UDP 1 10.9.0.4 7000 typ host\r\n";
        let early = format!("SIP/2.0 183 Progress\r\nCSeq: 1 INVITE\r\n{}", body(theirs));
        let list = [
            (Direction::Up, invite),
            (Direction::Down, early),
            (Direction::Down, "SIP/2.0 200 OK\r\nCSeq: 2 OPTIONS\r\nContent-Length: 0\r\n\r\n".to_owned()),
            (Direction::Down, "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ];
        let analysis = datagrams(5060, &list);
        let call = analysis.flows[0].call.clone().unwrap();
        assert_eq!((call.dialogs[0].invited, call.dialogs[0].answered), (Some(1), Some(4)));
        let told = crate::leakage::calls(&analysis.flows, &|_| None);
        let exposed: Vec<_> =
            told[0].exposed.iter().map(|e| (e.address.as_str(), e.kind.as_str(), e.before_answer)).collect();
        assert_eq!(exposed, [("10.9.0.4:7000", "host", true), ("198.51.100.9:7000", "peer", true)]);
        assert_eq!((told[0].exposed_before_answer, told[0].local_addresses), (2, 1));
    }

    #[test]
    fn public_addresses() {
        for (address, public) in [
            ("18.195.131.143", true),
            ("100.128.0.1", true),
            ("100.64.0.1", false),
            ("10.0.0.1", false),
            ("192.168.8.153", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("192.0.2.7", true),
            ("224.0.0.251", false),
            ("0.0.0.0", false),
            ("2001:16b8::1", true),
            ("2001:db8::1", true),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }
}
