//! QUIC: who is called, by what client, and which bytes are ciphertext (RFC 9000, RFC 9001, RFC 9369).
//!
//! Takes the datagrams of both directions from the first Initial on; gives one observation each for Initial, Retry and version
//! negotiation, and the hellos inside, which go to [`tls`](super::tls). The keys of Initial packets follow from the connection id
//! that the client chose first (after a Retry, from the server's), so both sides are opened without any secret. Versions 1
//! and 2, drafts 23 to 34, Google's T050 and T051; of Google's older versions the hello (`google.rs`). Handshake, 0-RTT and
//! 1-RTT packets are opened where secrets of the connection are known (`later.rs`), else counted; a flow that shows only short headers is not called QUIC. So a
//! connection that goes on from another port or address is not linked to what it was: who migrates takes another connection id, and
//! ids after the first come in sealed `NEW_CONNECTION_ID` frames (RFC 9000 sections 5.1.1 and 9.5). Where only a translator changes the
//! port the id stays, and could be known again; that is not done, for flows of other ports are read apart, each on its own thread.
//!
//! `version` in observations: `v1`, `v2`, `draft-29`, `Q046`, `T051`, any other as `0x1a2a3a4a`.

mod assemble;
mod connection;
mod frames;
mod google;
mod header;
mod keys;
mod later;

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use connection::{Connection, Connections};
use header::{Kind, Long, Version};
use keys::{Opened, Role};
use later::{Around, Later, MAX_LENGTHS, Stage};

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Frames, Match, Probe, Protocol, early_data, readable};
use crate::capture::hex;
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "quic",
    title: "QUIC",
    source: "RFC 9000, RFC 9001, RFC 9369, RFC 8999",
    over: &[IpProto::UDP],
    ports: &[443, 853],
    reads: "Initial packets of both sides (versions 1 and 2, drafts 23 to 34, Google's T050 and T051) with client and server hello, \
            Retry, version negotiation, Google's hellos up to Q050; with a key log the \
            other packets, HTTP/3 and DNS inside; not linked: what goes on from another port or address, which is a flow of its own and \
            opaque, as a migrating client takes an id that was only told in sealed packets (RFC 9000 section 9.5)",
    probe,
    start: || Box::new(Quic::default()),
};

const HANDSHAKE: Class = Class::handshake("quic.handshake");
const HANDSHAKE_SEALED: Class = Class::encrypted("quic.handshake-encrypted");
const APPLICATION: Class = Class::encrypted("quic.application");
/// Packets that a key log opened. On the wire they were ciphertext.
const DECRYPTED: Class = Class::opened("quic.decrypted");
/// Packets that stayed shut although secrets of the connection are known.
const UNDECRYPTED: Class = Class::opaque("quic.undecrypted");
/// Packets of a connection none of whose hellos could be read.
const UNVERIFIED: Class = Class::opaque("quic.unverified");

/// Zeros behind the last packet of a datagram, by which some fill it up.
const FILLED: Class = Class::handshake("padding");

/// Packets that are looked at in one datagram; the rest is counted unseen.
const MAX_COALESCED: usize = 16;

/// The smallest length of a protected packet: number and sample (RFC 9001 section 5.4.2).
const MIN_PROTECTED: usize = 20;

fn probe(p: &Probe<'_>) -> Match {
    if google::header(p.data).is_some() {
        return Match::Yes;
    }
    let Some(first) = p.data.first().filter(|f| *f & 0x80 != 0) else { return Match::No };
    // The second bit is only clear when the peer allowed it before (RFC 9287), and then the datagram is a client's first.
    let fixed = first & 0x40 != 0 || p.data.len() >= 1200;
    let fits = header::long(p.data).is_ok_and(|long| match long.kind {
        Kind::Initial | Kind::ZeroRtt | Kind::Handshake => {
            fixed && (MIN_PROTECTED..=usize::from(u16::MAX)).contains(&(long.size - long.number_at))
        }
        Kind::Retry => fixed && !long.token.is_empty(),
        // The second bit is free here; one of the versions must be one that exists (RFC 8999 section 6).
        Kind::Negotiation => {
            long.dcid.len().max(long.scid.len()) <= 20
                && long.versions.len().is_multiple_of(4)
                && versions(&long).any(|v| v.known() || v.draft().is_some() || v.google().is_some())
        }
        Kind::Unknown => false,
    });
    if fits { Match::Yes } else { Match::No }
}

/// Whether long headers of this version are read here.
pub(super) fn is_version(number: [u8; 4]) -> bool {
    let version = Version(u32::from_be_bytes(number));
    version.known() || version.google().is_some()
}

/// The versions that a negotiation offers.
fn versions<'a>(long: &Long<'a>) -> impl Iterator<Item = Version> + use<'a> {
    let (whole, _) = long.versions.as_chunks::<4>();
    whole.iter().take(64).map(|v| Version(u32::from_be_bytes(*v)))
}

/// What a packet is: several kinds share a datagram (RFC 9000 section 12.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Setup,
    Handshake,
    Application,
    Decrypted,
    Undecrypted,
    Unread,
}

impl Part {
    /// Its class; `begun` is whether a hello of the flow was read.
    fn class(self, begun: bool) -> Class {
        match self {
            Part::Setup => HANDSHAKE,
            Part::Handshake if begun => HANDSHAKE_SEALED,
            Part::Application if begun => APPLICATION,
            Part::Decrypted => DECRYPTED,
            Part::Undecrypted => UNDECRYPTED,
            Part::Handshake | Part::Application | Part::Unread => UNVERIFIED,
        }
    }
}

#[derive(Default)]
struct Quic {
    connections: Connections,
    /// A hello was read.
    begun: bool,
    /// Made when secrets of the connection are known.
    later: Option<Box<Later>>,
    /// Lengths of the connection ids that each side has chosen for itself.
    lengths: [Vec<usize>; 2],
    told_exhausted: bool,
}

/// Whether a packet with a short header may stand behind those to this connection id: it has the fixed bit, and the same id (RFC
/// 9000 sections 12.2 and 17.3.1). Where no packet is before it, nothing is asked.
fn follows(rest: &[u8], id: Option<&[u8]>) -> bool {
    let Some(id) = id else { return true };
    rest.first().is_some_and(|b| b & 0x40 != 0) && rest.get(1..).is_some_and(|r| r.starts_with(id))
}

impl Dissector for Quic {
    fn datagram(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Class {
        if let Some(header) = google::header(data) {
            return self.google(&header, data.len(), cx);
        }
        // Whether a hello was read is known at the end of the datagram.
        let mut parts: Vec<(Range<usize>, Part)> = Vec::new();
        let mut id = None;
        let mut at = 0;
        for _ in 0..MAX_COALESCED {
            let rest = data.get(at..).unwrap_or_default();
            match rest.first() {
                // Some fill a datagram up behind its last packet.
                None => break,
                Some(0) if rest.iter().all(|b| *b == 0) => {
                    cx.part(at..data.len(), FILLED);
                    break;
                }
                // Anything may stand behind a packet, and ciphertext does not look like a text.
                Some(_) if readable(rest) => break,
                Some(0..=0x7f) if !follows(rest, id) => break,
                Some(0..=0x7f) => {
                    // Short headers tell no length: there is never a packet behind one.
                    parts.push((at..data.len(), self.short(d, rest, at, cx)));
                    break;
                }
                Some(_) => {}
            }
            // All packets of a datagram are of one connection (RFC 9000 section 12.2).
            let Some(long) = header::long(rest).ok().filter(|l| *id.get_or_insert(l.dcid) == l.dcid) else {
                break;
            };
            let size = long.size.min(rest.len());
            let size = size.max(1);
            parts.push((at..at + size, self.packet(d, &long, rest, at, cx)));
            at += size;
        }
        // What is filled up comes behind all packets.
        let filled = std::mem::take(&mut cx.parts);
        for (range, part) in parts {
            cx.part(range, part.class(self.begun));
        }
        cx.parts.extend(filled);
        Part::Unread.class(self.begun)
    }

    fn finish(&mut self, d: Direction, _: &[u8], cx: &mut Cx<'_>) {
        if d == Direction::Up {
            for frame in self.connections.unfinished() {
                cx.warn_at(&Frames::only(frame), "QUIC: a client hello of which parts are missing");
            }
        }
        if d == Direction::Down
            && let Some(later) = &mut self.later
        {
            later.finish(cx);
        }
    }

    fn holds(&self) -> Option<u64> {
        self.later.as_ref().and_then(|later| later.holds())
    }

    fn unfinished(&self) -> Class {
        UNVERIFIED
    }
}

impl Quic {
    /// Reads the packet with a long header at index `at` of the datagram, the start of `rest`; gives what it is.
    fn packet(&mut self, d: Direction, long: &Long<'_>, rest: &[u8], at: usize, cx: &mut Cx<'_>) -> Part {
        let range = at..at + long.size.min(rest.len());
        if long.version.known() {
            note_length(d.pick(&mut self.lengths), long.scid.len());
        }
        let ids = || Ids { version: long.version.label(), dcid: hex(long.dcid), scid: hex(long.scid) };
        match long.kind {
            Kind::Initial => {
                let opened = rest.get(..long.size).and_then(|packet| self.connections.open(d, long, packet));
                if self.connections.exhausted && !std::mem::replace(&mut self.told_exhausted, true) {
                    cx.warn(
                        at,
                        "QUIC: so many small Initial packets that no key opens that not all are tried",
                    );
                }
                cx.emit("quic.initial", range.clone(), || Initial {
                    ids: ids(),
                    token_bytes: long.token.len(),
                    opened: opened.is_some(),
                });
                let Some((role, opened)) = opened else { return Part::Unread };
                self.crypto(d, role, long.version, &opened, &Arc::new(cx.frames(range)), cx);
                Part::Setup
            }
            Kind::Retry => {
                self.connections.retry(d, long.scid);
                cx.emit("quic.retry", range, || Retry { ids: ids(), token_bytes: long.token.len() });
                Part::Setup
            }
            Kind::Negotiation => {
                self.connections.negotiation(d, long, |version| versions(long).any(|v| v == version));
                cx.emit("quic.version_negotiation", range, || Negotiation {
                    dcid: hex(long.dcid),
                    scid: hex(long.scid),
                    versions: versions(long).map(Version::label).collect(),
                });
                Part::Setup
            }
            Kind::Handshake => self.long(d, Stage::Handshake, long, rest, range, cx),
            Kind::ZeroRtt => {
                let bytes = range.len();
                early_data::sent(bytes as u64, range.clone(), cx);
                cx.emit("quic.zero_rtt", range.clone(), || ZeroRtt { ids: ids(), bytes });
                self.long(d, Stage::Early, long, rest, range, cx)
            }
            Kind::Unknown => Part::Unread,
        }
    }

    /// The state of a connection whose secrets are known, with the role of the sender.
    fn known(&mut self, d: Direction, cx: &mut Cx<'_>) -> Option<Role> {
        if cx.secrets.is_empty() {
            return None;
        }
        let connection = self.connections.current.as_ref()?;
        let random = connection.handshake.client_random.filter(|random| cx.secrets.knows(random))?;
        if self.later.as_ref().is_none_or(|later| later.random != random)
            && let Some(mut before) = self.later.replace(Box::new(Later::new(random)))
        {
            before.finish(cx);
        }
        Some(if connection.is_client(d) { Role::Client } else { Role::Server })
    }

    /// Opens a packet with a long header that is no Initial.
    fn long(
        &mut self,
        d: Direction,
        stage: Stage,
        long: &Long<'_>,
        rest: &[u8],
        range: Range<usize>,
        cx: &mut Cx<'_>,
    ) -> Part {
        let Some(role) = self.known(d, cx) else {
            return if stage == Stage::Early { Part::Application } else { Part::Handshake };
        };
        let (Some(connection), Some(later)) = (&mut self.connections.current, &mut self.later) else {
            return Part::Unread;
        };
        let around =
            Around { version: long.version, secrets: cx.secrets, cipher: connection.handshake.cipher };
        let opened =
            rest.get(..long.size).and_then(|packet| later.open_long(role, stage, long, packet, &around));
        let Some(payload) = opened else { return Part::Undecrypted };
        self.later_frames(d, role, stage, &payload, range, cx);
        Part::Decrypted
    }

    /// Opens a packet with a short header.
    fn short(&mut self, d: Direction, packet: &[u8], at: usize, cx: &mut Cx<'_>) -> Part {
        let Some(role) = self.known(d, cx) else { return Part::Application };
        let lengths = d.reverse().pick(&mut self.lengths);
        let (Some(connection), Some(later)) = (&mut self.connections.current, &mut self.later) else {
            return Part::Unread;
        };
        let around = Around {
            version: connection.version(),
            secrets: cx.secrets,
            cipher: connection.handshake.cipher,
        };
        let Some(payload) = later.open_short(role, lengths, packet, &around) else {
            return Part::Undecrypted;
        };
        self.later_frames(d, role, Stage::Traffic, &payload, at..at + packet.len(), cx);
        Part::Decrypted
    }

    fn later_frames(
        &mut self,
        d: Direction,
        role: Role,
        stage: Stage,
        payload: &[u8],
        range: Range<usize>,
        cx: &mut Cx<'_>,
    ) {
        let (Some(connection), Some(later)) = (&mut self.connections.current, &mut self.later) else {
            return;
        };
        let here = Arc::new(cx.frames(range));
        let new = later.frames(d, role, stage, payload, &mut connection.handshake, &here, cx);
        for length in new {
            note_length(d.pick(&mut self.lengths), length);
        }
    }

    /// The CRYPTO frames of an opened packet, and the messages that they complete.
    fn crypto(
        &mut self,
        d: Direction,
        role: Role,
        version: Version,
        opened: &Opened,
        frames: &Arc<Frames>,
        cx: &mut Cx<'_>,
    ) {
        let Some(connection) = &mut self.connections.current else { return };
        let Connection { sides, handshake, .. } = &mut **connection;
        let side = sides.of(role);
        if side.done {
            return;
        }
        frames::crypto(&opened.payload, version.google().is_some(), |offset, bytes| {
            side.crypto.push(offset, bytes, frames);
        });
        if matches!(version.google(), Some((b'Q', _))) {
            self.google_crypto(role, version, cx);
            return;
        }
        while let Some((kind, body, frames)) = side.message(cx) {
            handshake.message(d, kind, &body, &frames, cx);
            self.begun |= handshake.begun;
            if kind == 1 {
                let alpn = cx.flow().tls.as_ref().map(|t| t.alpn.clone()).unwrap_or_default();
                for (begins, id) in [("h3", "http3"), ("doq", "doq")] {
                    if alpn.iter().any(|a| a == begins || a.starts_with(&format!("{begins}-"))) {
                        cx.protocol(id);
                    }
                }
            }
        }
    }

    /// Google's hello in CRYPTO frames (Q050).
    fn google_crypto(&mut self, role: Role, version: Version, cx: &mut Cx<'_>) {
        let Some(connection) = self.connections.current.as_mut().filter(|_| role == Role::Client) else {
            return;
        };
        let side = connection.sides.of(role);
        let there = side.crypto.available();
        match google::hello(&side.crypto.peek(there)) {
            Ok(Some(hello)) => {
                side.done = true;
                if let Some((_, frames)) = side.crypto.take(there) {
                    self.google_hello(version, hello, frames, cx);
                }
            }
            Ok(None) => side.done = true,
            Err(_) => {}
        }
    }

    /// A packet of Google's versions up to Q046.
    fn google(&mut self, header: &google::Header<'_>, size: usize, cx: &mut Cx<'_>) -> Class {
        let Some(hello) = google::hello_in(header.body) else {
            return if self.begun { APPLICATION } else { UNVERIFIED };
        };
        cx.emit("quic.initial", 0..size, || Initial {
            ids: Ids { version: header.version.label(), dcid: hex(header.dcid), scid: hex(header.scid) },
            token_bytes: 0,
            opened: true,
        });
        let frames = cx.frames(0..size);
        self.google_hello(header.version, hello, frames, cx);
        HANDSHAKE
    }

    fn google_hello(&mut self, version: Version, hello: google::Hello, frames: Frames, cx: &mut Cx<'_>) {
        self.begun = true;
        let flow = cx.flow();
        flow.encrypted("quic", &frames.all);
        if let Some(sni) = &hello.sni {
            flow.name(sni, "sni", frames.complete);
        }
        cx.emit_at("gquic.client_hello", frames, || GoogleHello {
            version: version.label(),
            sni: hello.sni.as_deref().map(super::flow::canonical_name),
            user_agent: hello.user_agent,
        });
    }
}

/// A side has an id of this length; the one that came last is tried first.
fn note_length(lengths: &mut Vec<usize>, length: usize) {
    if lengths.first() != Some(&length) {
        lengths.retain(|known| *known != length);
        lengths.insert(0, length);
        lengths.truncate(MAX_LENGTHS);
    }
}

#[derive(Serialize)]
struct Ids {
    version: String,
    dcid: String,
    scid: String,
}

#[derive(Serialize)]
struct Initial {
    #[serde(flatten)]
    ids: Ids,
    token_bytes: usize,
    /// Its content could be read.
    opened: bool,
}

#[derive(Serialize)]
struct ZeroRtt {
    #[serde(flatten)]
    ids: Ids,
    bytes: usize,
}

#[derive(Serialize)]
struct Retry {
    #[serde(flatten)]
    ids: Ids,
    token_bytes: usize,
}

#[derive(Serialize)]
struct Negotiation {
    dcid: String,
    scid: String,
    versions: Vec<String>,
}

#[derive(Serialize)]
struct GoogleHello {
    version: String,
    sni: Option<String>,
    user_agent: Option<String>,
}

#[cfg(test)]
mod tests;
