//! From frames to flows, names, handshakes and messages.
//!
//! Takes [`Batch`](crate::capture::Batch)es of frames; gives a [`CaptureAnalysis`]: the flows with their names and encryption,
//! findings, DNS answers, warnings and the coverage ledger, and, when asked, one [`Observation`] a message.
//! Knows nothing of operators, places or claims.
//!
//! A protocol is one file with a [`Protocol`] table and one line in [`PROTOCOLS`]; the smallest to copy is `ftp.rs`.

mod engine;
mod flow;
mod fragment;
mod link;
pub mod observe;
mod packet;
mod reader;
mod rtt;
pub mod secrets;
mod tcp;
#[cfg(test)]
mod testing;

mod call;
mod cipher;
mod crypto;
mod dns;
mod dtls;
mod early_data;
mod ech;
mod ftp;
mod http;
mod http2;
mod http3;
mod http_body;
mod http_message;
mod imap;
mod inflate;
mod ipsec;
mod irc;
mod ja4;
mod ldap;
mod lines;
mod media;
mod mqtt;
mod mtproto;
mod mysql;
mod openvpn;
mod pop3;
mod postgres;
mod quic;
mod rtp;
mod sip;
mod smtp;
mod socks;
mod step_to_tls;
mod steps;
mod stun;
mod threema;
mod tls;
mod tor;
mod unpack;
mod unwrapped;
mod websocket;
mod whatsapp;
mod wireguard;
mod xmpp;

pub(crate) use cipher::key_block;
pub(crate) use crypto::expand_label;
pub use ech::EchConfigs;
pub use engine::{CaptureAnalysis, Options, analyse, analyse_bytes, analyse_file};
pub use flow::FlowFacts;
pub use observe::Observation;
pub use packet::{Decoded, Endpoint, FlowKey, Fragment, IpProto, Overhead, Packet, decode};
pub use reader::{Reader, Short};
pub use secrets::Secrets;
pub use steps::StepTimes;

use std::ops::Range;

use crate::model::{CaptureTime, Direction, FindingKind, Severity};
use crate::payload::{Masking, RawFinding};
use flow::{NamedBy, Place};
use unwrapped::Unwrapped;

/// Ids that a flow's `app_protocols` may have beside those of [`PROTOCOLS`]: what runs within another protocol.
pub const INSIDE_PROTOCOLS: [&str; 5] = ["dot", "doh", "doq", "http3", "tor"];

/// All protocols, probed in this order. Help, documentation and tests are made from this table.
pub static PROTOCOLS: &[&Protocol] = &[
    &tls::PROTOCOL,
    &http2::PROTOCOL,
    &http::PROTOCOL,
    &websocket::PROTOCOL,
    &xmpp::PROTOCOL,
    &whatsapp::PROTOCOL,
    &smtp::PROTOCOL,
    &imap::PROTOCOL,
    &pop3::PROTOCOL,
    &ftp::PROTOCOL,
    &irc::PROTOCOL,
    &socks::PROTOCOL,
    &postgres::PROTOCOL,
    &mysql::PROTOCOL,
    &ldap::PROTOCOL,
    &mqtt::PROTOCOL,
    // Before Threema: the first message of the intermediate framing has the size of its hello.
    &mtproto::PROTOCOL,
    &threema::PROTOCOL,
    &dns::PROTOCOL,
    &quic::PROTOCOL,
    &stun::PROTOCOL,
    &dtls::PROTOCOL,
    &sip::PROTOCOL,
    &rtp::PROTOCOL,
    &wireguard::PROTOCOL,
    &openvpn::PROTOCOL,
    &ipsec::PROTOCOL,
];

/// What one protocol's file declares.
pub struct Protocol {
    /// Its id in `app_protocols` and in ledger classes.
    pub id: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The document it was written after.
    pub source: &'static str,
    /// Which IP protocols carry it.
    pub over: &'static [IpProto],
    /// Its registered or usual server ports; the probe decides, ports only help it.
    pub ports: &'static [u16],
    /// What is read and what is not, one sentence for `docs/protocols.md`.
    pub reads: &'static str,
    /// Tells by the first bytes of a flow whether this is the protocol.
    pub probe: fn(&Probe<'_>) -> Match,
    /// Makes a dissector for one flow.
    pub start: fn() -> Box<dyn Dissector>,
}

/// The first payload bytes of one direction of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// The bytes: of a datagram, or of a stream as far as it is there.
    pub data: &'a [u8],
    /// Who sent them.
    pub direction: Direction,
    /// IP protocol.
    pub proto: IpProto,
    /// Port of the client.
    pub client_port: u16,
    /// Port of the server.
    pub server_port: u16,
    /// The server's address.
    pub server: std::net::IpAddr,
    /// These are the very first bytes of the stream (the SYN was seen); always true for datagrams.
    pub from_start: bool,
    /// This direction has had payload before in this flow that no protocol took.
    pub earlier_payload: bool,
    /// Datagrams that came before this one and were held for it, because a probe said [`Match::Maybe`]; empty for streams.
    pub earlier: &'a [Datagram],
}

/// A datagram that waits for the next ones to tell what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub direction: Direction,
    /// Its payload.
    pub data: Vec<u8>,
    segment: tcp::Segment,
}

impl Probe<'_> {
    /// One of `ports` is the server's.
    #[must_use]
    pub fn server_on(&self, ports: &[u16]) -> bool {
        ports.contains(&self.server_port)
    }
}

/// Answer of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// This is the protocol.
    Yes,
    /// More bytes are needed to tell; of a datagram: the next datagrams. Up to eight of them are held then, and
    /// shown to the dissector in their order when a probe says yes.
    Maybe,
    /// It is not.
    No,
}

/// In which way bytes of a class can be read; decides on `encryption`, searching and the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// Content in clear.
    Clear,
    /// Readable, but only the set-up of an encryption (hellos, certificates).
    Handshake,
    /// Ciphertext of a parsed handshake; not searched.
    Encrypted,
    /// Could not be read.
    Opaque,
}

/// A class of the coverage ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Name in the ledger, `protocol` or `protocol.part`.
    pub name: &'static str,
    /// How it reads.
    pub reading: Reading,
    /// Ciphertext that was opened with the auditor's keys: what is in it was read like a connection in clear.
    pub opened: bool,
}

impl Class {
    /// A class of readable content.
    #[must_use]
    pub const fn clear(name: &'static str) -> Class {
        Class { name, reading: Reading::Clear, opened: false }
    }
    /// A class of readable encryption set-up.
    #[must_use]
    pub const fn handshake(name: &'static str) -> Class {
        Class { name, reading: Reading::Handshake, opened: false }
    }
    /// A class of ciphertext.
    #[must_use]
    pub const fn encrypted(name: &'static str) -> Class {
        Class { name, reading: Reading::Encrypted, opened: false }
    }
    /// A class of ciphertext that was opened.
    #[must_use]
    pub const fn opened(name: &'static str) -> Class {
        Class { name, reading: Reading::Encrypted, opened: true }
    }
    /// A class of bytes that were not understood.
    #[must_use]
    pub const fn opaque(name: &'static str) -> Class {
        Class { name, reading: Reading::Opaque, opened: false }
    }
}

/// What a dissector did with the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first `n` bytes are done. `n` may reach beyond what was shown: the rest is then skipped unseen, without a copy
    /// (but still counted, and searched when the class is not encrypted). `n` of 0 counts as [`Step::More`].
    Took(usize, Class),
    /// At least so many bytes, counted from the first one shown, are needed. The same bytes come again with more behind them.
    More(usize),
}

/// Reads one flow of one protocol. Holds the state of both directions.
pub trait Dissector: Send {
    /// Looks at the next stream bytes of a direction, at least one. Called again while it takes some.
    fn stream(&mut self, direction: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let _ = (direction, cx);
        Step::Took(data.len(), Class::opaque("opaque"))
    }

    /// Reads one datagram; returns the class of its bytes.
    fn datagram(&mut self, direction: Direction, data: &[u8], cx: &mut Cx<'_>) -> Class {
        let _ = (direction, data, cx);
        Class::opaque("opaque")
    }

    /// `missing` bytes of a direction are not in the capture, beyond those that a [`Step::Took`] skipped. What was shown and
    /// not taken is lost for the dissector (the ledger counts it by [`Dissector::unfinished`]).
    fn gap(&mut self, direction: Direction, missing: u64, cx: &mut Cx<'_>) {
        let _ = (direction, missing, cx);
    }

    /// The sender has closed its direction (FIN), and all before that was shown or told as a gap.
    fn end(&mut self, direction: Direction, cx: &mut Cx<'_>) {
        let _ = (direction, cx);
    }

    /// The flow is over; `unread` are the bytes of a direction that were shown and not taken (none for datagrams).
    fn finish(&mut self, direction: Direction, unread: &[u8], cx: &mut Cx<'_>) {
        let _ = (direction, unread, cx);
    }

    /// Bytes that it holds back beyond those that a [`Step::More`] left with the engine.
    fn held(&self) -> usize {
        0
    }

    /// Memory is short: what is held back is to be given up.
    fn give_up(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
    }

    /// The lowest frame that [`Dissector::finish`] may still name in an observation, so that observations come in frame order.
    fn holds(&self) -> Option<u64> {
        None
    }

    /// Class of bytes of an unfinished message.
    fn unfinished(&self) -> Class;
}

/// Where a range of bytes came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Frames, ascending, without repetition.
    pub all: Vec<u64>,
    /// The frame in which the range became complete: the highest.
    pub complete: u64,
    /// Its time.
    pub time: CaptureTime,
    /// Offset of the range's first byte in the file.
    pub file_offset: u64,
}

impl Frames {
    /// One frame, of which no more is known.
    fn only(frame: u64) -> Frames {
        Frames { all: vec![frame], complete: frame, ..Frames::default() }
    }

    /// These frames and those of a part that came before.
    #[must_use]
    pub fn after(mut self, earlier: &[u64]) -> Frames {
        self.all.extend_from_slice(earlier);
        self.all.sort_unstable();
        self.all.dedup();
        self
    }
}

/// Whether packets or frames stand at the beginning of these bytes: one that fills them, or two and more of which the last may go on.
/// `size` gives the length of the one that begins where it is shown, if one may; `header` is what it has to see for that at the least.
fn begins_units(data: &[u8], header: usize, mut size: impl FnMut(&[u8]) -> Option<usize>) -> bool {
    let (mut rest, mut seen) = (data, 0);
    while let Some(size) = size(rest) {
        seen += 1;
        match rest.get(size..) {
            Some([]) => return true,
            Some(behind) => rest = behind,
            None => return seen > 1,
        }
    }
    // Of the last one not even the header is whole.
    seen > 1 && rest.len() < header
}

/// What a dissector may ask and say. Ranges are indices into the bytes that it was shown.
pub struct Cx<'a> {
    pub(in crate::dissect) facts: &'a mut FlowFacts,
    pub(in crate::dissect) out: &'a mut flow::Output,
    pub(in crate::dissect) place: Place<'a>,
    pub(in crate::dissect) now: Place<'a>,
    pub(in crate::dissect) direction: Direction,
    pub(in crate::dissect) switch: Option<(&'static str, Box<dyn Dissector>)>,
    pub(in crate::dissect) reprobe: bool,
    pub(in crate::dissect) answered: bool,
    pub(in crate::dissect) ending: bool,
    pub(in crate::dissect) unpacked: bool,
    pub(in crate::dissect) parts: Vec<(Range<usize>, Class)>,
    pub(in crate::dissect) options: &'a Options,
    pub(in crate::dissect) secrets: &'a Secrets,
}

impl Cx<'_> {
    /// The flow's own facts: ports, addresses, names, encryption.
    #[must_use]
    pub fn flow(&mut self) -> &mut FlowFacts {
        self.facts
    }

    /// IP protocol, client and server of the flow.
    #[must_use]
    pub fn ends(&self) -> (IpProto, Endpoint, Endpoint) {
        (self.facts.proto, self.facts.client, self.facts.server)
    }

    /// These bytes of what is taken have a class of their own, as the packets do that share a datagram; those between parts and
    /// behind the last one have the class that the dissector gives for all. Parts come in their order.
    pub fn part(&mut self, range: Range<usize>, class: Class) {
        match self.parts.last_mut() {
            Some((last, same)) if last.end == range.start && *same == class => last.end = range.end,
            _ => self.parts.push((range, class)),
        }
    }

    /// The frames that brought a range.
    #[must_use]
    pub fn frames(&self, range: Range<usize>) -> Frames {
        self.place.frames(range)
    }

    /// The frame in which a range became complete.
    #[must_use]
    pub fn frame(&self, range: Range<usize>) -> u64 {
        self.place.frame(range)
    }

    /// Offset in its stream (or 0 in a datagram) of index `at`.
    #[must_use]
    pub fn offset(&self, at: usize) -> u64 {
        self.place.base() + at as u64
    }

    /// Observations are wanted: only then is [`Cx::emit`]'s closure called.
    #[must_use]
    pub fn observing(&self) -> bool {
        self.options.observe
    }

    /// The frame that is being read. It may hold none of the bytes shown: an acknowledgement can end the wait for others.
    #[must_use]
    pub fn now(&self) -> Frames {
        self.now.frames(0..0)
    }

    /// The capture is over: a gap that is told now may be no more than that.
    #[must_use]
    pub fn ending(&self) -> bool {
        self.ending
    }

    /// What is read now took keys that the auditor gave: on the wire it was ciphertext.
    #[must_use]
    pub fn decrypted(&self) -> bool {
        self.facts.decrypted
    }

    /// A message with content was read, which nobody needed a key for.
    pub(in crate::dissect) fn clear_message(&mut self) {
        if !self.facts.decrypted {
            self.facts.clear_messages = self.facts.clear_messages.saturating_add(1);
        }
    }

    /// Secrets may be shown unmasked.
    #[must_use]
    pub fn show_secrets(&self) -> bool {
        self.options.show_secrets
    }

    /// How secrets are shown.
    #[must_use]
    pub(in crate::dissect) fn masking(&self) -> Masking {
        self.options.masking()
    }

    /// States one message as an observation of `kind` (CONTRACT.md, `dissect`). `fields` is any struct that serialises to an object.
    pub fn emit<T: serde::Serialize>(
        &mut self,
        kind: &'static str,
        range: Range<usize>,
        fields: impl FnOnce() -> T,
    ) {
        if !self.options.observe {
            return;
        }
        let frames = self.place.frames(range);
        self.emit_at(kind, frames, fields);
    }

    /// As [`Cx::emit`], for a message put together from earlier bytes: `frames` are all of its frames.
    pub fn emit_at<T: serde::Serialize>(
        &mut self,
        kind: &'static str,
        frames: Frames,
        fields: impl FnOnce() -> T,
    ) {
        if self.options.observe {
            self.out.observe(self.facts, self.direction, frames, kind, serde_json::to_value(fields()));
        }
    }

    /// Notes that the protocol was recognised; repeated calls change nothing. The engine does it for the probed protocol.
    pub fn protocol(&mut self, id: &'static str) {
        self.facts.protocol(id);
    }

    /// A name of the server was read (`source` as in CONTRACT's `names`: `sni`, `certificate`, `http-host`, `xmpp-to`).
    pub fn name(&mut self, name: &str, source: &'static str, range: Range<usize>) {
        let frame = self.place.frame(range);
        self.facts.name(name, source, frame);
    }

    /// A handshake was parsed: from here the flow counts as encrypted by `label` (`tls1.3`, `noise` …). A later call replaces the
    /// label and adds frames.
    pub fn encrypted(&mut self, label: &'static str, range: Range<usize>) {
        let frames = self.place.frames(range).all;
        self.facts.encrypted(label, &frames);
    }

    /// A messenger's wire format was recognised; also states a `messenger.signature` observation.
    pub fn signature(
        &mut self,
        messenger: &'static str,
        id: &'static str,
        confidence: &'static str,
        detail: &str,
        range: Range<usize>,
    ) {
        let frames = self.place.frames(range);
        self.signature_at(messenger, id, confidence, detail, frames);
    }

    /// As [`Cx::signature`], with the frames of both directions.
    pub fn signature_at(
        &mut self,
        messenger: &'static str,
        id: &'static str,
        confidence: &'static str,
        detail: &str,
        frames: Frames,
    ) {
        self.facts.signature(messenger, id, confidence, detail, &frames.all);
        self.emit_at("messenger.signature", frames, || {
            serde_json::json!({
                "messenger": messenger, "signature": id, "confidence": confidence, "detail": detail,
            })
        });
    }

    /// Something readable that should not be; `range` holds it (and replaces the finding's own).
    pub fn finding(&mut self, range: Range<usize>, finding: RawFinding) {
        let frames = self.place.frames(range.clone());
        let base = self.place.base();
        let range = (base + range.start as u64, base + range.end as u64);
        self.out.finding(self.facts, self.direction, frames.all, RawFinding { range, ..finding });
    }

    /// As [`Cx::finding`], for a message put together from earlier bytes: `frames` are all of its frames, `id` what
    /// findings of its kind are called.
    pub fn finding_at(
        &mut self,
        frames: Frames,
        id: &str,
        severity: Severity,
        kind: FindingKind,
        what: String,
    ) {
        let raw = RawFinding { kind, severity, what, rule: Some(id.to_owned()), ..RawFinding::default() };
        self.out.finding(self.facts, self.direction, frames.all, raw);
    }

    /// As [`Cx::finding_at`], for a finding with its own range and encoding.
    pub fn finding_in(&mut self, frames: Frames, finding: RawFinding) {
        self.out.finding(self.facts, self.direction, frames.all, finding);
    }

    /// The bytes that the step takes are compressed, and their content is searched on its own: they are not opened once
    /// more where they lie in the stream.
    pub fn unpacked(&mut self) {
        self.unpacked = true;
    }

    /// Whether there is anything to look for: canaries, or what rules describe.
    #[must_use]
    pub fn searching(&self) -> bool {
        !self.options.canaries.is_empty() || !self.options.rules.is_empty()
    }

    /// Searches content that the stream's bytes hide: `data` was unwrapped from `range` of the bytes shown, and
    /// follows what `content` was given before. Hits become findings with the layers of `content` as their encoding.
    pub(in crate::dissect) fn search(&mut self, content: &mut Unwrapped, data: &[u8], range: Range<usize>) {
        if self.searching() {
            let (frames, offset) =
                (self.place.frames(range.clone()).all, self.place.base() + range.start as u64);
            self.search_in(content, data, frames, offset);
        }
    }

    /// As [`Cx::search`], for data unwrapped from earlier bytes: `frames` are all of theirs, `offset` that of the first one.
    pub(in crate::dissect) fn search_in(
        &mut self,
        content: &mut Unwrapped,
        data: &[u8],
        frames: Vec<u64>,
        offset: u64,
    ) {
        content.share(&self.out.room);
        let found = content.search(data, frames, offset, self.direction, self.options);
        self.tell_found(found);
    }

    /// No more of this content comes: tells what was held because it might have gone on.
    pub(in crate::dissect) fn search_end(&mut self, content: &mut Unwrapped) {
        let found = content.finish(self.direction, self.options);
        self.tell_found(found);
    }

    fn tell_found(&mut self, found: Vec<(Vec<u64>, Result<RawFinding, String>)>) {
        for (frames, found) in found {
            match found {
                Ok(raw) => self.out.finding(self.facts, self.direction, frames, raw),
                Err(why) => {
                    let now = self.now();
                    self.out.warn(self.facts, self.direction, &now, why, false);
                }
            }
        }
    }

    /// A DNS answer: `name` has `address` from here on, for `ttl` seconds (for the names of later flows).
    pub fn dns_answer(&mut self, name: &str, address: std::net::IpAddr, ttl: u32, range: Range<usize>) {
        let frames = self.place.frames(range);
        let at = (frames.complete, frames.time);
        self.out.dns_answer(self.facts, self.direction, (name, address, NamedBy::Address), ttl, at);
    }

    /// An SVCB or HTTPS record hints that `name` is served at `address`, for `ttl` seconds.
    pub fn dns_hint(&mut self, name: &str, address: std::net::IpAddr, ttl: u32, range: Range<usize>) {
        let frames = self.place.frames(range);
        let at = (frames.complete, frames.time);
        self.out.dns_answer(self.facts, self.direction, (name, address, NamedBy::Hint), ttl, at);
    }

    /// A PTR record: the holder of `address` calls it `name`.
    pub fn dns_pointer(&mut self, name: &str, address: std::net::IpAddr, ttl: u32, range: Range<usize>) {
        let frames = self.place.frames(range);
        let at = (frames.complete, frames.time);
        self.out.dns_answer(self.facts, self.direction, (name, address, NamedBy::Pointer), ttl, at);
    }

    /// A DNS answer had this ECH configuration.
    pub(in crate::dissect) fn ech_configuration(&mut self, config: &ech::EchConfig, range: Range<usize>) {
        let frame = self.place.frame(range);
        // Bounded: a hostile resolver may send a new name in each answer.
        if self.out.ech.len() < 4096 && !self.out.ech.iter().any(|(known, _)| known == config) {
            self.out.ech.push((config.clone(), frame));
        }
    }

    /// A fault in the traffic itself, at index `at` of the bytes shown.
    pub fn warn(&mut self, at: usize, what: impl Into<String>) {
        let mut frames = self.place.frames(at..at + 1);
        if frames.all.is_empty() {
            // Behind the last byte that was shown: an empty message.
            frames = self.now();
        }
        self.out.warn(self.facts, self.direction, &frames, what.into(), self.options.observe);
    }

    /// As [`Cx::warn`], of something in other bytes than those shown. At the end of the capture it is no observation any more:
    /// those of later frames may have been given out.
    pub fn warn_at(&mut self, frames: &Frames, what: impl Into<String>) {
        let observe = self.options.observe && !self.ending;
        self.out.warn(self.facts, self.direction, frames, what.into(), observe);
    }

    /// Bytes are missing in front of what comes next.
    pub(in crate::dissect) fn warn_of_gap(&mut self, what: &str) {
        let frames = self.now();
        self.warn_at(&frames, what);
    }

    /// From the end of the step that is being taken, both directions are of another protocol (STARTTLS, CONNECT).
    /// `id` is a protocol's id; an unknown id changes nothing.
    pub fn switch_to(&mut self, id: &str) {
        self.switch = PROTOCOLS.iter().find(|p| p.id == id).map(|p| (p.id, (p.start)()));
    }

    /// As [`Cx::switch_to`], to a dissector that was told what the two sides have agreed on (upgrades of HTTP/1).
    pub fn switch_with(&mut self, id: &'static str, dissector: Box<dyn Dissector>) {
        self.switch = Some((id, dissector));
    }

    /// What the other side has said and the dissector left with the engine ([`Step::More`]) waited for this: it is shown again.
    pub fn answered(&mut self) {
        self.answered = true;
    }

    /// From the end of the step that is being taken, both directions may be of any protocol (CONNECT): they are probed as if
    /// they began there. With [`Step::More`] that is at the bytes just shown.
    pub fn reprobe(&mut self) {
        self.reprobe = true;
    }
}

/// Whether bytes begin as a text does that is long enough: of ciphertext one in 10^10 would.
fn readable(bytes: &[u8]) -> bool {
    bytes.first_chunk::<24>().is_some_and(|first| first.iter().all(|b| matches!(b, b' '..=b'~')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_has_an_id_a_source_and_a_sentence() {
        let mut ids = std::collections::BTreeSet::new();
        for p in PROTOCOLS {
            assert!(ids.insert(p.id), "{} twice", p.id);
            assert!(!p.source.is_empty() && !p.reads.is_empty() && !p.title.is_empty(), "{}", p.id);
            assert!(!p.over.is_empty(), "{}", p.id);
        }
    }
}
