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
/// Content under a suite without encryption.
const NULL: Class = Class::clear("tls.null");
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

/// Frames of a message that are kept until its end comes.
const MAX_FRAMES: usize = 64;

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

/// The first bytes of a handshake message, as far as they are there, may be those of a hello of up to 64 KiB.
fn begins_hello(message: &[u8]) -> bool {
    matches!(message, [1 | 2] | [1 | 2, 0, ..])
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

impl Side {
    /// Frames of the message whose end is to come.
    fn note(&mut self, frames: &[u64]) {
        let room = MAX_FRAMES.saturating_sub(self.partial_frames.len());
        self.partial_frames.extend(frames.iter().take(room));
    }
}

/// Types that the IANA list has; anything else is ciphertext that looks like a handshake record.
fn is_message(kind: u8) -> bool {
    matches!(kind, 0..=6 | 8 | 11..=16 | 20..=26 | 67 | 254)
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
        // The first part of a hello is one as well, if its end comes or not.
        let hello = self.handshake.begun || begins_hello(&self.side(d).partial);
        Step::Took(size, if hello { HANDSHAKE } else { UNVERIFIED })
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
        if let Some(mac) = self.handshake.mac_of_clear() {
            return self.unsealed(d, (kind, size, mac), data, cx);
        }
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

    /// A record of a suite without encryption: its content, and a MAC.
    fn unsealed(
        &mut self,
        d: Direction,
        (mut kind, size, mac): (u8, usize, usize),
        data: &[u8],
        cx: &mut Cx<'_>,
    ) -> Step {
        let Some(body) = data.get(5..size) else { return Step::More(size) };
        let Some(mut plain) = body.len().checked_sub(mac).and_then(|n| body.get(..n)) else {
            return Step::Took(size, UNVERIFIED);
        };
        if self.handshake.version == Some(0x0304) {
            // Padding, and before it the type of the content (RFC 8446 section 5.4).
            let end = plain.iter().rposition(|b| *b != 0).unwrap_or_default();
            let (content, rest) = plain.split_at(end);
            (plain, kind) = (content, rest.first().copied().unwrap_or(kind));
        }
        let frames = cx.frames(0..size);
        match kind {
            21 => {
                alert(plain, Transport::Tcp, 0..size, cx);
                if let (Some(session), [_, 0]) = (&mut self.session, plain) {
                    session.end(d, cx);
                }
            }
            22 => {
                self.messages(d, plain, &frames, cx);
            }
            23 => {
                cx.part(5..5 + plain.len(), NULL);
                self.content(d, plain, &frames, cx);
            }
            _ => {}
        }
        Step::Took(size, HANDSHAKE)
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
            let clear = self.handshake.mac_of_clear().is_some();
            let from_start = clear || self.opener.as_ref().is_some_and(|o| !o.has_lost());
            let new = match agreed.filter(|_| from_start) {
                Some(id) => Session::of(id, cx),
                None => Session::new(cx, from_start),
            };
            self.session = Some(Box::new(if clear { new.in_clear(cx) } else { new }));
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
        let side = self.side(d);
        let joined;
        let (mut rest, mut frames) = (body, frames.clone());
        if !side.partial.is_empty() {
            side.partial.extend_from_slice(body);
            // A message may be spread over as many records as it has bytes: it is looked at when it is whole.
            if let [kind, a, b, c, tail @ ..] = &side.partial[..] {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if is_message(*kind) && length <= MAX_MESSAGE && tail.len() < length {
                    side.note(&frames.all);
                    return true;
                }
            }
            frames = frames.after(&std::mem::take(&mut side.partial_frames));
            joined = std::mem::take(&mut side.partial);
            rest = &joined;
        }
        while let [kind, a, b, c, tail @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if !is_message(*kind) || length > MAX_MESSAGE {
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
            side.note(&frames.all);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::dissect::Options;
    use crate::dissect::http::tests::Talk;
    use crate::payload::{CanarySet, Rules};

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0][..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    #[test]
    fn what_suites_without_encryption_carry_is_in_clear() {
        let request = b"POST /v1 HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 33\r\n\r\n{\"password\": \"hunter2-canary-47\"}";
        for (suite, mac) in [([0, 2], 20), ([0, 0x3b], 32), ([0xc0, 0x10], 20)] {
            let hello = [&[3, 3][..], &[7; 32], &[0, 0, 2], &suite, &[1, 0]].concat();
            let answer = [&[3, 3][..], &[8; 32], &[0], &suite, &[0]].concat();
            let sealed = |kind: u8, content: &[u8]| record(kind, &[content, &vec![0x5a; mac][..]].concat());
            let finished = message(20, &[9; 12]);
            let ends = [record(20, &[1]), sealed(22, &finished)].concat();
            let talk = Talk::opened_on(443)
                .up(&record(22, &message(1, &hello)))
                .down(&record(22, &message(2, &answer)))
                .up(&ends)
                .down(&ends)
                .up(&sealed(23, request))
                .up(&sealed(21, &[1, 0]));
            let canaries = CanarySet::new(&[("c".into(), "hunter2-canary-47".into())]).unwrap();
            let options =
                Options { canaries: Arc::new(canaries), rules: Rules::embedded(), ..Options::default() };
            let read = talk.read_with(options);
            let flow = &read.flows[0];
            assert_eq!((&flow.encryption[..], flow.clear_bytes), ("none", request.len() as u64), "{suite:?}");
            assert!(flow.app_protocols.iter().any(|p| p == "http"), "{flow:?}");
            let found: Vec<(&str, bool)> =
                read.findings.iter().map(|f| (f.what.split(':').next().unwrap(), f.decrypted)).collect();
            assert_eq!(read.findings.iter().filter(|f| f.what.contains("canary c")).count(), 1, "{found:?}");
            assert!(found.iter().any(|(what, _)| what.contains("password")), "{found:?}");
            assert!(found.iter().all(|(_, decrypted)| !decrypted), "{found:?}");
            let ledger = |name: &str| read.coverage.classes.get(name).copied();
            assert_eq!(ledger("tls.null"), Some(request.len() as u64));
            assert_eq!(ledger("tls.application"), None);
        }
    }
}
