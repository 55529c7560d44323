//! TLS over streams: records, hellos, certificates, alerts (RFC 8446, RFC 5246, RFC 6101 appendix E for SSL 2 hellos).
//!
//! Takes the bytes of both directions, also from the middle of a connection; gives client and server hellos with JA4, certificates
//! sent in clear, alerts, and from the server hello on the encryption of the flow. Messages may be spread over
//! records and segments. Where secrets of the connection are known, its records are opened (`opener.rs`), and what they carry is read
//! like a flow of its own. Skips ciphertext without a copy otherwise. Does not call a connection encrypted whose handshake it has
//! not seen.

mod certificate;
mod handshake;
mod hello;
mod opener;

pub(super) use handshake::{Handshake, Transport};
use hello::ClientHello;

use std::ops::Range;

use serde::Serialize;

use self::opener::{Opener, Outcome};
use super::flow::{Session, decrypted};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Frames, Match, Probe, Protocol, Reader, Short, Step, early_data};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "tls",
    title: "TLS",
    source: "RFC 8446, RFC 5246",
    over: &[IpProto::TCP],
    ports: &[443, 465, 636, 853, 989, 990, 992, 993, 994, 995, 5223, 5228, 8443],
    reads: "client and server hellos, JA4, certificates in clear (TLS 1.2 and older), alerts in clear; with a key log all records and what is inside (AES-GCM, AES-CCM, ChaCha20, AES-CBC), with key updates and 0-RTT",
    probe,
    start: || Box::new(Tls::default()),
};

const HANDSHAKE: Class = Class::handshake("tls.handshake");
const APPLICATION: Class = Class::encrypted("tls.application");
/// Records that a key log opened. On the wire they were ciphertext, and what is in them is searched where it is read.
const DECRYPTED: Class = Class::opened("tls.decrypted");
/// Records that stayed shut although secrets of the connection are known: other keys, keys that came late, lost records.
const UNDECRYPTED: Class = Class::opaque("tls.undecrypted");
/// Records of a connection whose handshake is not in the capture.
const UNVERIFIED: Class = Class::opaque("tls.unverified");

/// Fragments up to 2^14 bytes, and up to 2048 more when encrypted (RFC 5246 section 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;

/// Handshake messages longer than this are given up.
const MAX_MESSAGE: usize = 1 << 18;

/// The first five bytes are a record header.
fn record_header(data: &[u8]) -> Option<(u8, usize)> {
    match *data {
        [kind @ 20..=24, 3, 0..=4, high, low, ..] => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            (length <= MAX_RECORD).then_some((kind, length))
        }
        _ => None,
    }
}

fn probe(p: &Probe<'_>) -> Match {
    match *p.data {
        [22, 3, 0..=4, _, _, 1 | 2, ..] if record_header(p.data).is_some() => Match::Yes,
        [22, 3, 0..=4] | [22, 3, 0..=4, _] | [22, 3, 0..=4, _, _] | [22, 3] | [22] if p.from_start => {
            Match::Maybe
        }
        // In mid-stream any record will do, if its length fits its kind.
        [20, 3, 1..=4, 0, 1, 1, ..] | [21, 3, 1..=4, 0, 2..=64, ..] | [22 | 23, 3, 1..=4, _, _, _, ..]
            if !p.from_start =>
        {
            if record_header(p.data).is_some_and(|(_, n)| n > 0) {
                Match::Yes
            } else {
                Match::No
            }
        }
        _ if sslv2(p.data).is_some() && PROTOCOL.ports.contains(&p.server_port) => Match::Yes,
        _ => Match::No,
    }
}

/// An SSL 2 compatible client hello (RFC 5246 appendix E.2): its size with the header.
fn sslv2(data: &[u8]) -> Option<usize> {
    match *data {
        [high @ 0x80..=0xff, low, 1, 0, 2, ..] | [high @ 0x80..=0xff, low, 1, 3, 0..=3, ..] => {
            let size = 2 + (usize::from(high & 0x7f) << 8 | usize::from(low));
            (12..=2048).contains(&size).then_some(size)
        }
        _ => None,
    }
}

#[derive(Default)]
struct Side {
    /// Start of a handshake message whose end is in a later record.
    partial: Vec<u8>,
    partial_frames: Vec<u64>,
    /// This side has sent change-cipher-spec.
    ciphered: bool,
    /// Not at a record border.
    lost: bool,
}

#[derive(Default)]
struct Tls {
    up: Side,
    down: Side,
    handshake: Handshake,
    /// Made when secrets of the connection are known.
    opener: Option<Box<Opener>>,
    /// What the records carry.
    session: Option<Box<Session>>,
    /// It has had 0-RTT data of which the server has not said yet whether it takes them.
    early: bool,
}

impl Tls {
    fn side(&mut self, d: Direction) -> &mut Side {
        match d {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    fn application(&self) -> Class {
        if self.handshake.begun { APPLICATION } else { UNVERIFIED }
    }
}

impl Dissector for Tls {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if let Some(size) = sslv2(data).filter(|_| !self.handshake.begun) {
            let Some(message) = data.get(..size) else { return Step::More(size) };
            self.hello_v2(message, cx);
            return Step::Took(size, HANDSHAKE);
        }
        if data.len() < 5 && (data.first().is_some_and(|k| (20..=24).contains(k)) || self.side(d).lost) {
            return Step::More(5);
        }
        let Some((kind, length)) = record_header(data) else {
            if !self.side(d).lost {
                self.side(d).lost = true;
                self.side(d).partial.clear();
                cx.warn(0, "TLS: no record header where one should be");
            }
            return Step::Took(data.len(), UNVERIFIED);
        };
        self.side(d).lost = false;
        let size = 5 + length;
        if kind == 23 || kind == 24 {
            // Until the server answers, a client can send nothing else.
            if kind == 23 && d == Direction::Up && self.handshake.version.is_none() {
                early_data::record(length as u64, 0..size, cx);
            }
            return self.sealed(d, kind, size, data, cx);
        }
        let tls13 = self.handshake.version == Some(0x0304);
        if self.side(d).ciphered && !tls13 && kind != 20 {
            // After a hello-retry the client sends its second hello in clear behind a change-cipher-spec (RFC 8446 appendix D.4);
            // where the server's side is not in the capture, only the record's own shape tells.
            let second_hello = self.handshake.version.is_none()
                && matches!(data, [22, _, _, _, _, 1, a, b, c, ..] if u32::from_be_bytes([0, *a, *b, *c]) as usize + 4 == length);
            if !second_hello {
                return self.sealed(d, kind, size, data, cx);
            }
        }
        let Some(body) = data.get(5..size) else { return Step::More(size) };
        match kind {
            20 => {
                self.side(d).ciphered = true;
                self.side(d).partial.clear();
                if let Some(opener) = &mut self.opener {
                    opener.change_cipher(d);
                }
            }
            21 => {
                if !alert(body, Transport::Tcp, 0..size, cx) {
                    return Step::Took(size, self.application());
                }
            }
            _ => {
                let frames = cx.frames(0..size);
                if !self.messages(d, body, &frames, cx) {
                    return Step::Took(size, self.application());
                }
            }
        }
        Step::Took(size, if self.handshake.begun { HANDSHAKE } else { UNVERIFIED })
    }

    fn gap(&mut self, d: Direction, missing: u64, cx: &mut Cx<'_>) {
        if let Some(opener) = &mut self.opener {
            opener.gap(d, missing);
        }
        if let Some(session) = &mut self.session {
            session.gap(d, missing, cx);
        }
        let side = self.side(d);
        side.partial.clear();
        side.partial_frames.clear();
        side.lost = true;
    }

    fn finish(&mut self, d: Direction, unread: &[u8], cx: &mut Cx<'_>) {
        // A hello cut off by the end of the capture is still worth its name, but it is not complete: only warned of.
        if !unread.is_empty() && record_header(unread).is_some_and(|(k, _)| k == 22) && !self.side(d).ciphered
        {
            cx.warn(0, "TLS: the capture ends within a handshake record");
        }
        // The other direction is delivered to its end before its turn comes.
        if d == Direction::Down
            && let Some(session) = &mut self.session
        {
            session.finish(cx);
        }
    }

    fn end(&mut self, d: Direction, cx: &mut Cx<'_>) {
        if let Some(session) = &mut self.session {
            session.end(d, cx);
        }
    }

    fn held(&self) -> usize {
        self.session.as_ref().map_or(0, |s| s.held())
    }

    fn holds(&self) -> Option<u64> {
        self.session.as_ref().and_then(|s| s.holds())
    }

    fn give_up(&mut self, cx: &mut Cx<'_>) {
        if let Some(session) = &mut self.session {
            session.give_up(cx);
        }
    }

    fn unfinished(&self) -> Class {
        self.application()
    }
}

impl Tls {
    /// A record of ciphertext: opened when secrets of the connection are known, else passed over unseen.
    fn sealed(&mut self, d: Direction, kind: u8, size: usize, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let known = !cx.secrets.is_empty()
            && self.handshake.client_random.is_some_and(|random| cx.secrets.knows(&random));
        if !known {
            return Step::Took(size, self.application());
        }
        let Some(record) = data.get(..size) else { return Step::More(size) };
        let opener = self.opener.get_or_insert_default();
        let (kind, plain) = match opener.open(d, record, &self.handshake, cx.secrets) {
            Outcome::Opened(inner, plain) => (inner.unwrap_or(kind), plain),
            Outcome::Shut => {
                if let Some(session) = &mut self.session {
                    session.gap(d, size as u64, cx);
                }
                return Step::Took(size, UNDECRYPTED);
            }
        };
        let frames = cx.frames(0..size);
        match kind {
            21 => {
                decrypted(cx, |cx| alert(&plain, Transport::Tcp, 0..size, cx));
                if let (Some(session), [_, 0]) = (&mut self.session, &plain[..]) {
                    session.end(d, cx);
                }
            }
            22 => {
                decrypted(cx, |cx| self.messages(d, &plain, &frames, cx));
            }
            23 => self.content(d, &plain, &frames, cx),
            _ => {}
        }
        Step::Took(size, DECRYPTED)
    }

    /// Application data.
    fn content(&mut self, d: Direction, plain: &[u8], frames: &Frames, cx: &mut Cx<'_>) {
        self.early |= self.opener.as_ref().is_some_and(|o| o.is_early(d));
        if self.session.is_none() {
            // An empty SETTINGS alone, with which a server may begin, tells no probe enough.
            let agreed = match self.handshake.alpn.as_deref() {
                Some("h2") => Some("http2"),
                _ => cx.flow().protocols.contains(&"dot").then_some("dns"),
            };
            let from_start = self.opener.as_ref().is_some_and(|o| !o.has_lost());
            let new = match agreed.filter(|_| from_start) {
                Some(id) => Session::of(id, cx),
                None => Session::new(cx, from_start),
            };
            self.session = Some(Box::new(new));
        }
        if let Some(session) = &mut self.session {
            session.bytes(d, plain, frames, cx);
        }
    }

    /// What a message behind the encryption changes for the records that follow (RFC 8446 sections 4.2.10, 4.5 and 4.6.3).
    fn follow(&mut self, d: Direction, kind: u8, message: &[u8], cx: &mut Cx<'_>) {
        let Some(opener) = &mut self.opener else { return };
        if self.handshake.version != Some(0x0304) {
            return;
        }
        match kind {
            8 => {
                // The server does not take 0-RTT data: the client sends them again.
                if std::mem::take(&mut self.early)
                    && !hello::takes_early_data(message)
                    && let Some(mut session) = self.session.take()
                {
                    session.finish(cx);
                }
            }
            5 | 20 => opener.next_phase(d),
            24 => opener.update(d),
            _ => {}
        }
    }

    /// Handshake messages of one record; `false` when they are not in clear.
    fn messages(&mut self, d: Direction, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) -> bool {
        let mut partial = std::mem::take(&mut self.side(d).partial);
        let earlier = std::mem::take(&mut self.side(d).partial_frames);
        let joined;
        let (mut rest, mut frames) = (body, frames.clone());
        if !partial.is_empty() {
            partial.extend_from_slice(body);
            frames = frames.after(&earlier);
            joined = partial;
            rest = &joined;
        }
        while let [kind, a, b, c, tail @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            // Types that the IANA list has; anything else is ciphertext that looks like a handshake record.
            if !matches!(kind, 0..=6 | 8 | 11..=16 | 20..=26 | 67 | 254) || length > MAX_MESSAGE {
                return false;
            }
            let Some(message) = tail.get(..length) else { break };
            self.handshake.message(d, *kind, message, &frames, cx);
            if cx.decrypted() {
                self.follow(d, *kind, message, cx);
            }
            rest = tail.get(length..).unwrap_or_default();
        }
        if !rest.is_empty() && rest.len() <= MAX_MESSAGE {
            let kept = rest.to_vec();
            let side = self.side(d);
            side.partial = kept;
            side.partial_frames = frames.all;
            side.partial_frames.truncate(64);
        }
        true
    }

    /// SSL 2 compatible hello: only the version and the suites are of use.
    fn hello_v2(&mut self, message: &[u8], cx: &mut Cx<'_>) {
        self.handshake.begun = true;
        let mut r = Reader::new(message);
        let mut read = || -> Result<ClientHello, Short> {
            r.take("header", 3)?;
            let version = r.u16("version")?;
            let suites = usize::from(r.u16("cipher length")?);
            r.take("session and challenge length", 4)?;
            let ciphers = r
                .take("ciphers", suites)?
                .chunks_exact(3)
                .filter(|c| c.first() == Some(&0))
                .filter_map(|c| c.last_chunk().map(|c| u16::from_be_bytes(*c)))
                .collect();
            Ok(ClientHello::of_ssl2(version, ciphers))
        };
        match read() {
            Ok(hello) => {
                let (ja4, raw) = hello.ja4(Transport::Tcp.letter());
                let frames = cx.frames(0..message.len());
                let flow = cx.flow();
                flow.encrypted("tls", &frames.all);
                cx.emit_at("tls.client_hello", frames, || hello.observation(Transport::Tcp.name(), ja4, raw));
            }
            Err(short) => cx.warn(0, format!("SSL 2 hello: {short}")),
        }
    }
}

/// States an alert; `false` when it is not one in clear.
pub(super) fn alert(body: &[u8], transport: Transport, range: Range<usize>, cx: &mut Cx<'_>) -> bool {
    let [level @ 1..=2, description] = *body else { return false };
    cx.emit("tls.alert", range, || Alert {
        transport: transport.name(),
        level: if level == 1 { "warning" } else { "fatal" },
        description: alert_name(description),
        code: description,
    });
    true
}

#[derive(Serialize)]
struct Alert {
    transport: &'static str,
    level: &'static str,
    description: &'static str,
    code: u8,
}

fn alert_name(code: u8) -> &'static str {
    match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "unknown",
    }
}
