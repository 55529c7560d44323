//! WebSocket: frames, masks, and messages compressed one by one (RFC 6455, RFC 7692).
//!
//! Takes both directions behind the upgrade that `http` has read, with the extensions that the server agreed to; also connections
//! that began before the capture, where whole text frames show it. Gives one observation a frame; searches the content without
//! its mask and its compression for canaries, and tells of the first text messages that can be read. Knows nothing of the
//! protocol within the messages. Content is never held: 1 MiB of a compressed message is unpacked, the rest is not looked at.

use serde::Serialize;

use super::http_message::join;
use super::inflate::{Budget, Fault, Inflate};
use super::packet::IpProto;
use super::unwrapped::Unwrapped;
use super::{Class, Cx, Dissector, Frames, Match, Probe, Protocol, Reader, Short, Step, begins_units};
use crate::model::{Direction, FindingKind, Severity};
use crate::payload::{RawFinding, Readability, TextMeter};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "websocket",
    title: "WebSocket",
    source: "RFC 6455, RFC 7692",
    over: &[IpProto::TCP],
    ports: &[],
    reads: "frames behind an upgrade of HTTP/1, or whole text frames from the middle of a connection; content is searched without its mask and permessage-deflate, the protocol within is not read",
    probe,
    start: || Box::new(WebSocket::default()),
};

const FRAMES: Class = Class::clear("websocket");
/// Bytes behind a gap or a fault.
const UNPARSED: Class = Class::opaque("websocket.unparsed");

/// Longest payload of a control frame (RFC 6455 section 5.5).
const MAX_CONTROL: u64 = 125;
/// Text that shows a connection whose upgrade is not in the capture: shorter text stands in other protocols by chance.
const MIN_SHOWING: usize = 8;
/// Readable messages of one direction that are told.
const MAX_TOLD: u8 = 4;
/// What a sender leaves out at a compressed message's end (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A dissector for what follows an upgrade. `extensions` is the server's `Sec-WebSocket-Extensions`, several of them joined by
/// commas.
pub(super) fn after_upgrade(extensions: &[u8]) -> Box<dyn Dissector> {
    Box::new(WebSocket { agreed: agreed(extensions), ..WebSocket::default() })
}

/// What was agreed about the first reserved bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Agreed {
    /// The upgrade is not in the capture.
    #[default]
    Unknown,
    /// No extension.
    Nothing,
    /// An extension that is not read here.
    Other,
    /// permessage-deflate; whether each side refers to its earlier messages.
    Deflate { client_takeover: bool, server_takeover: bool },
}

/// Reads the answer to the offered extensions (RFC 6455 section 9.1, RFC 7692 section 7.1). Window sizes are of no matter: the
/// largest serves all.
fn agreed(extensions: &[u8]) -> Agreed {
    let mut agreed = Agreed::Nothing;
    for extension in extensions.split(|b| *b == b',') {
        let mut words = extension.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let name = words.next().unwrap_or_default();
        if name.eq_ignore_ascii_case(b"permessage-deflate") {
            let words: Vec<&[u8]> = words.collect();
            let has = |word: &[u8]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
            return Agreed::Deflate {
                client_takeover: !has(b"client_no_context_takeover"),
                server_takeover: !has(b"server_no_context_takeover"),
            };
        }
        if !name.is_empty() {
            agreed = Agreed::Other;
        }
    }
    agreed
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;

fn opcode_name(opcode: u8) -> &'static str {
    match opcode {
        CONTINUATION => "continuation",
        TEXT => "text",
        2 => "binary",
        8 => "close",
        9 => "ping",
        _ => "pong",
    }
}

/// A frame's header (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    fin: bool,
    /// The three reserved bits.
    reserved: u8,
    opcode: u8,
    mask: Option<[u8; 4]>,
    length: u64,
    /// Bytes of the header itself.
    size: usize,
}

impl Header {
    fn read(data: &[u8]) -> Result<Header, Short> {
        let mut r = Reader::new(data);
        let (first, second) = (r.u8("opcode")?, r.u8("length")?);
        let length = match second & 0x7f {
            126 => u64::from(r.u16("length")?),
            127 => u64::from(r.u32("length")?) << 32 | u64::from(r.u32("length")?),
            short => u64::from(short),
        };
        let mask = if second & 0x80 == 0 { None } else { Some(r.array("masking key")?) };
        Ok(Header {
            fin: first & 0x80 != 0,
            reserved: first >> 4 & 7,
            opcode: first & 0xf,
            mask,
            length,
            size: r.at(),
        })
    }

    fn is_control(&self) -> bool {
        self.opcode >= 8
    }

    fn compressed(&self) -> bool {
        self.reserved & 4 != 0
    }

    /// Why this cannot be the header of a frame.
    fn fault(&self, agreed: Agreed) -> Option<&'static str> {
        match self.opcode {
            3..=7 | 11.. => return Some("an opcode that is not defined"),
            8..=10 if !self.fin || self.length > MAX_CONTROL => {
                return Some("a control frame in parts or too long");
            }
            _ => {}
        }
        let allowed = match agreed {
            Agreed::Other => 7,
            Agreed::Nothing => 0,
            // Only the first frame of a message says that it is compressed (RFC 7692 section 6.1).
            Agreed::Deflate { .. } | Agreed::Unknown if self.is_control() || self.opcode == CONTINUATION => 0,
            Agreed::Deflate { .. } | Agreed::Unknown => 4,
        };
        if self.reserved & !allowed != 0 {
            Some("reserved bits that nobody agreed on")
        } else if self.length > i64::MAX as u64 {
            Some("a length beyond 63 bits")
        } else {
            None
        }
    }
}

/// Whether frames of a direction stand at the beginning of these bytes: one that fills them, or two and more of which the last may
/// go on. Only a client masks (RFC 6455 section 5.1).
fn begins_frames(data: &[u8], d: Direction, agreed: Agreed) -> bool {
    let fits = |h: &Header| h.fault(agreed).is_none() && h.mask.is_some() == (d == Direction::Up);
    begins_units(data, 0, |rest| {
        let header = Header::read(rest).ok().filter(&fits)?;
        // One that no memory holds goes on in any case.
        Some(usize::try_from(header.length).map_or(usize::MAX, |length| header.size.saturating_add(length)))
    })
}

/// Takes the mask off; `at` is the place of the first byte in its frame.
fn unmask(data: &[u8], key: [u8; 4], at: u64) -> Vec<u8> {
    let key = key.into_iter().cycle().skip((at % 4) as usize);
    data.iter().zip(key).map(|(byte, key)| byte ^ key).collect()
}

/// Whole text frames that nothing follows: no other protocol looks like that. The upgrade may then be missing in the capture.
fn probe(p: &Probe<'_>) -> Match {
    let mut rest = p.data;
    let mut shown = false;
    if p.from_start {
        return Match::No;
    }
    while !rest.is_empty() {
        let Ok(header) = Header::read(rest) else { return Match::No };
        let end = usize::try_from(header.length).ok().and_then(|length| header.size.checked_add(length));
        let payload = end.and_then(|end| rest.get(header.size..end));
        let Some(payload) = payload.filter(|_| header.fault(Agreed::Nothing).is_none()) else {
            return Match::No;
        };
        if header.opcode == TEXT {
            let clear = header.mask.map_or_else(|| payload.to_vec(), |key| unmask(payload, key, 0));
            let text = std::str::from_utf8(&clear).unwrap_or("\0");
            if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
                return Match::No;
            }
            shown |= text.len() >= MIN_SHOWING;
        }
        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
    }
    if shown { Match::Yes } else { Match::No }
}

/// A frame whose payload is being read.
struct Open {
    header: Header,
    frames: Frames,
    /// Bytes of the payload that are done.
    at: u64,
    /// Its observation says that the content is compressed.
    compressed: bool,
}

/// A message, while its frames come; control frames may come between them.
struct Message {
    compressed: bool,
    content: Unwrapped,
    /// For text: looks whether it can be read.
    meter: Option<TextMeter>,
    /// Bytes of content that the meter has seen.
    metered: u64,
    frames: Frames,
    /// Offset of its first byte in the stream.
    offset: u64,
    /// Nothing of it can be unpacked (any more).
    sealed: bool,
}

#[derive(Default)]
struct Side {
    open: Option<Open>,
    message: Option<Message>,
    inflate: Option<Inflate>,
    budget: Budget,
    /// Bytes that later messages refer to are unknown.
    context_lost: bool,
    /// No more is unpacked.
    exhausted: bool,
    lost: bool,
    /// Something else was there: no frames are sought any more.
    broken: bool,
    /// Readable messages that were told.
    told: u8,
    warned: bool,
}

#[derive(Default)]
struct WebSocket {
    agreed: Agreed,
    sides: [Side; 2],
}

#[derive(Serialize)]
struct Seen {
    opcode: &'static str,
    bytes: u64,
    compressed: bool,
    fin: bool,
}

impl Dissector for WebSocket {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let agreed = self.agreed;
        let side = self.side(d);
        if side.lost {
            // A sender begins most frames with a segment.
            if side.broken || !begins_frames(data, d, agreed) {
                return Step::Took(data.len(), UNPARSED);
            }
            side.lost = false;
        }
        let Some(open) = &mut side.open else {
            let header = match Header::read(data) {
                Ok(header) => header,
                Err(short) => return Step::More(short.at + short.needed),
            };
            if let Some(fault) = header.fault(agreed) {
                cx.warn(0, format!("WebSocket: {fault}"));
                side.lose();
                side.broken = true;
                return Step::Took(data.len(), UNPARSED);
            }
            side.begin(header, agreed, cx);
            if header.length == 0 {
                side.complete(agreed, cx);
            }
            return Step::Took(header.size, FRAMES);
        };
        // Segment by segment, not in one step beyond what was shown: the frames of the message would not be known.
        let n = (data.len() as u64).min(open.header.length - open.at) as usize;
        let data = data.get(..n).unwrap_or_default();
        side.payload(data, cx);
        if side.open.as_ref().is_some_and(|open| open.at == open.header.length) {
            side.complete(agreed, cx);
        }
        Step::Took(n, FRAMES)
    }

    fn gap(&mut self, d: Direction, missing: u64, cx: &mut Cx<'_>) {
        let agreed = self.agreed;
        let ending = cx.ending();
        let side = self.side(d);
        // At the capture's end the bytes may have been under way still: what is told must not depend on that.
        let within =
            side.open.as_mut().filter(|o| missing > 0 && missing <= o.header.length - o.at && !ending);
        let Some(open) = within else {
            if !side.lost {
                cx.warn_of_gap("WebSocket: bytes are missing; it is read again from the next segment that begins with a frame");
            }
            side.lose();
            return;
        };
        open.at += missing;
        let whole = open.at == open.header.length;
        if let Some(message) = side.message.as_mut().filter(|_| !open.header.is_control()) {
            cx.search_end(&mut message.content);
            message.content.gap();
            if let Some(meter) = &mut message.meter {
                meter.gap();
            }
            if message.compressed {
                message.sealed = true;
                side.context_lost = true;
            }
        }
        if whole {
            side.complete(agreed, cx);
        }
    }

    fn unfinished(&self) -> Class {
        FRAMES
    }
}

impl WebSocket {
    fn side(&mut self, d: Direction) -> &mut Side {
        let [up, down] = &mut self.sides;
        if d == Direction::Up { up } else { down }
    }
}

impl Side {
    /// The position is unknown from here on, and what later messages refer to.
    fn lose(&mut self) {
        let Side { budget, exhausted, told, warned, broken, .. } = std::mem::take(self);
        *self = Side {
            budget,
            exhausted,
            told,
            warned,
            broken,
            context_lost: true,
            lost: true,
            ..Side::default()
        };
    }

    /// A frame begins at the first byte shown.
    fn begin(&mut self, header: Header, agreed: Agreed, cx: &mut Cx<'_>) {
        let frames = cx.frames(0..header.size);
        let masked = header.mask.is_some_and(|key| key != [0; 4]);
        let mut compressed = header.compressed() && agreed != Agreed::Other;
        match (&mut self.message, header.opcode) {
            (Some(message), CONTINUATION) => {
                compressed = message.compressed;
                message.content.border();
            }
            // A message that is not in the capture from its beginning, or against the rules: its parts are looked at all the
            // same, but not unpacked.
            (_, ..=2) => {
                let content = match (masked, compressed) {
                    (true, false) => Unwrapped::new(&["websocket-mask"]),
                    (true, true) => Unwrapped::from_beginning(&["websocket-mask", "permessage-deflate"]),
                    (false, true) => Unwrapped::from_beginning(&["permessage-deflate"]),
                    (false, false) => Unwrapped::pieces(&["websocket-fragments"]),
                };
                let meter = (header.opcode == TEXT && self.told < MAX_TOLD).then(TextMeter::default);
                let takeover = match agreed {
                    Agreed::Deflate { client_takeover, .. } if header.mask.is_some() => Some(client_takeover),
                    Agreed::Deflate { server_takeover, .. } => Some(server_takeover),
                    _ => None,
                };
                let mut sealed = false;
                if compressed {
                    let fresh = takeover == Some(false);
                    sealed = takeover.is_none() || self.exhausted || (self.context_lost && !fresh);
                    if !sealed {
                        self.context_lost = false;
                        self.budget.message();
                        let inflate = self.inflate.get_or_insert_with(|| Inflate::new(false));
                        if fresh {
                            inflate.restart();
                        }
                    }
                }
                self.message = Some(Message {
                    compressed,
                    content,
                    meter,
                    metered: 0,
                    frames: Frames::default(),
                    offset: cx.offset(0),
                    sealed,
                });
            }
            _ => {}
        }
        self.open = Some(Open { header, frames, at: 0, compressed });
    }

    /// The next bytes of the payload.
    fn payload(&mut self, data: &[u8], cx: &mut Cx<'_>) {
        let Some(open) = &mut self.open else { return };
        let range = 0..data.len();
        join(&mut open.frames, cx.frames(range.clone()));
        let unmasked = open.header.mask.map(|key| unmask(data, key, open.at));
        open.at += data.len() as u64;
        let clear = unmasked.as_deref().unwrap_or(data);
        if open.header.is_control() {
            if unmasked.is_some() {
                // A reason for closing may say anything; it seldom lies in two segments.
                let mut content = Unwrapped::new(&["websocket-mask"]);
                cx.search(&mut content, clear, range);
                cx.search_end(&mut content);
            }
            return;
        }
        let Some(message) = &mut self.message else { return };
        if !message.compressed {
            if let Some(meter) = &mut message.meter {
                meter.feed(message.metered, clear);
                message.metered += clear.len() as u64;
            }
            cx.search(&mut message.content, clear, range);
        } else if !message.sealed {
            self.unpack(clear, cx);
        }
    }

    /// Unpacks the next bytes of a compressed message.
    fn unpack(&mut self, packed: &[u8], cx: &mut Cx<'_>) {
        let (Some(message), Some(inflate)) = (&mut self.message, &mut self.inflate) else { return };
        let searching = cx.searching();
        let (frames, offset) =
            if searching { (cx.frames(0..packed.len()).all, cx.offset(0)) } else { (Vec::new(), 0) };
        let mut first = Some(frames);
        let mut give = |piece: &[u8]| {
            if let Some(meter) = &mut message.meter {
                meter.feed(message.metered, piece);
                message.metered += piece.len() as u64;
            }
            if searching {
                cx.search_in(&mut message.content, piece, first.take().unwrap_or_default(), offset);
            }
        };
        let mut done = 0;
        let fault = loop {
            let rest = packed.get(done..).unwrap_or_default();
            match inflate.push(rest, &mut self.budget, &mut give) {
                Err(fault) => break Some(fault),
                Ok(n) => done += n,
            }
            if !inflate.ended() || done >= packed.len() {
                break None;
            }
            // A sender may end the format within its message (RFC 7692 section 7.2.3.4). References beyond that are not
            // followed: no known sender makes them.
            inflate.restart();
        };
        // Its frames count for later hits too, though nothing came out of them.
        if let Some(frames) = first.filter(|frames| !frames.is_empty()) {
            cx.search_in(&mut message.content, &[], frames, offset);
        }
        let Some(fault) = fault else { return };
        message.sealed = true;
        self.context_lost = true;
        self.exhausted |= fault == Fault::Bomb;
        if !std::mem::replace(&mut self.warned, true) {
            cx.warn(
                0,
                match fault {
                    Fault::Broken => "WebSocket: a compressed message cannot be unpacked",
                    Fault::Long => {
                        "WebSocket: a message unpacks to more than 1 MiB; the rest was not looked at"
                    }
                    Fault::Bomb => {
                        "WebSocket: messages unpack to more than a hundred times their size and were given up"
                    }
                },
            );
        }
    }

    /// The payload is complete.
    fn complete(&mut self, agreed: Agreed, cx: &mut Cx<'_>) {
        let Some(Open { header, mut frames, compressed, .. }) = self.open.take() else { return };
        frames.all.sort_unstable();
        frames.all.dedup();
        if !header.is_control() {
            if let Some(message) = &mut self.message {
                join(&mut message.frames, frames.clone());
            }
            if header.fin {
                self.end_of_message(agreed, cx);
            }
        }
        cx.emit_at("websocket.message", frames, || Seen {
            opcode: opcode_name(header.opcode),
            bytes: header.length,
            compressed,
            fin: header.fin,
        });
    }

    fn end_of_message(&mut self, agreed: Agreed, cx: &mut Cx<'_>) {
        if self.message.as_ref().is_some_and(|m| m.compressed && !m.sealed) {
            self.unpack(&TAIL, cx);
        }
        let Some(mut message) = self.message.take() else { return };
        cx.search_end(&mut message.content);
        if message.compressed && matches!(agreed, Agreed::Deflate { .. }) && message.sealed {
            // What this message would have added to the window is not known.
            self.context_lost = true;
        }
        if message.meter.is_some_and(|meter| meter.verdict() == Readability::Text) {
            self.told += 1;
            message.frames.all.sort_unstable();
            message.frames.all.dedup();
            let raw = RawFinding {
                kind: FindingKind::Content,
                severity: Severity::Medium,
                what: format!("readable WebSocket message, {} bytes of text", message.metered),
                encoding: message.content.layers(),
                range: (message.offset, message.offset),
                rule: Some("websocket-text".to_owned()),
                ..RawFinding::default()
            };
            cx.finding_in(message.frames, raw);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::Arc;

    use super::*;
    use crate::dissect::http::tests::Talk;
    use crate::dissect::{CaptureAnalysis, Options};
    use crate::payload::CanarySet;

    const ASK: &[u8] =
        b"GET /ws HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    const DEFLATE: &str = "permessage-deflate";

    /// An upgrade in frames 4 and 5.
    fn upgraded(extensions: &str) -> Talk {
        let mut answer =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".to_owned();
        if !extensions.is_empty() {
            let _ = write!(answer, "Sec-WebSocket-Extensions: {extensions}\r\n");
        }
        Talk::opened().up(ASK).down(format!("{answer}\r\n").as_bytes())
    }

    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let flag = if mask.is_some() { 0x80 } else { 0 };
        let mut out = vec![first];
        match payload.len() {
            n @ ..=125 => out.push(flag | n as u8),
            n @ ..=0xffff => {
                out.push(flag | 0x7e);
                out.extend((n as u16).to_be_bytes());
            }
            n => {
                out.push(flag | 0x7f);
                out.extend((n as u64).to_be_bytes());
            }
        }
        match mask {
            Some(key) => {
                out.extend(key);
                out.extend(unmask(payload, key, 0));
            }
            None => out.extend(payload),
        }
        out
    }

    /// Compresses the messages of one side as RFC 7692 section 7.2.1 says, with one context.
    fn packed(messages: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut engine = flate2::Compress::new(flate2::Compression::best(), false);
        let pack = |message: &&[u8]| {
            let mut out = Vec::with_capacity(message.len() + 1000);
            engine.compress_vec(message, &mut out, flate2::FlushCompress::Sync).unwrap();
            assert!(out.ends_with(&TAIL));
            out.truncate(out.len() - TAIL.len());
            out
        };
        messages.iter().map(pack).collect()
    }

    fn options() -> Options {
        let canaries = CanarySet::new(&[("note".into(), "canary-4711".into())]).unwrap();
        Options { canaries: Arc::new(canaries), ..Options::default() }
    }

    /// `FRAMES opcode bytes` for every frame behind the upgrade; `z` when compressed, `+` when more is to come.
    fn told(read: &CaptureAnalysis) -> String {
        let line = |o: &crate::dissect::Observation| {
            let frames = o.frames.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let field = |name: &str| o.fields.get(name).cloned().unwrap_or_default();
            match o.kind {
                "websocket.message" => {
                    let z = if field("compressed") == true { "z" } else { "" };
                    let more = if field("fin") == true { "" } else { "+" };
                    format!("{frames} {} {}{z}{more}", field("opcode").as_str().unwrap(), field("bytes"))
                }
                "warning" => format!("{frames} {}", field("what").as_str().unwrap()),
                kind => format!("{frames} {kind}"),
            }
        };
        let lines = read.observations.iter().filter(|o| !o.kind.starts_with("http.")).map(line);
        lines.collect::<Vec<_>>().join(" | ")
    }

    fn all(talk: &Talk) -> String {
        told(&talk.read_with(Options::default()))
    }

    /// `KIND [FRAMES] ENCODING` for every finding.
    fn found(talk: &Talk) -> Vec<String> {
        let read = talk.read_with(options());
        let line =
            |f: &crate::model::Finding| format!("{:?} {:?} {}", f.kind, f.frames, f.encoding.join(","));
        read.findings.iter().map(line).collect()
    }

    #[test]
    fn the_examples_of_rfc_6455() {
        for (name, up, down, expected) in [
            ("unmasked text", &b""[..], &b"\x81\x05Hello"[..], "6 text 5"),
            ("masked text", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", b"", "6 text 5"),
            ("in two parts", b"", b"\x01\x03Hel\x80\x02lo", "6 text 3+ | 6 continuation 2"),
            (
                "ping and pong",
                b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
                b"\x89\x05Hello",
                "6 ping 5 | 7 pong 5",
            ),
            ("close", b"\x88\x82\x37\xfa\x21\x3d\x34\x12", b"\x88\0", "6 close 0 | 7 close 2"),
        ] {
            let mut talk = upgraded("");
            for (bytes, add) in [(down, Talk::down as fn(Talk, &[u8]) -> Talk), (up, Talk::up)] {
                if !bytes.is_empty() {
                    talk = add(talk, bytes);
                }
            }
            assert_eq!(all(&talk), expected, "{name}");
            let classes = talk.classes();
            assert!(classes.contains(&format!("websocket {}", up.len() + down.len())), "{name}: {classes}");
        }
        assert_eq!(unmask(b"\x7f\x9f\x4d\x51\x58", KEY, 0), b"Hello");
        assert_eq!(unmask(b"\x9f\x4d\x51\x58", KEY, 1), b"ello");
        for (header, length, size) in
            [(&b"\x82\x7e\x01\0"[..], 256, 4), (b"\x82\x7f\0\0\0\0\0\x01\0\0", 65_536, 10)]
        {
            let read = Header::read(header).unwrap();
            assert_eq!((read.length, read.size, read.opcode), (length, size, 2));
            assert!((0..size).all(|cut| Header::read(&header[..cut]).is_err()));
        }
    }

    #[test]
    fn the_examples_of_rfc_7692() {
        for (name, frames, content) in [
            ("one block", &[&b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..]][..], "Hello"),
            ("in two frames", &[b"\x41\x03\xf2\x48\xcd", b"\x80\x04\xc9\xc9\x07\x00"], "Hello"),
            (
                "the window is shared",
                &[b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xc1\x05\xf2\x00\x11\x00\x00"],
                "HelloHello",
            ),
            ("not compressed", &[b"\xc1\x0b\x00\x05\x00\xfa\xffHello\x00"], "Hello"),
            (
                "with an end",
                &[b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"],
                "HelloHello",
            ),
            ("two blocks", &[b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"], "Hello"),
        ] {
            let canaries = CanarySet::new(&[("c".into(), "Hello".into())]).unwrap();
            let talk = frames.iter().fold(upgraded(DEFLATE), |talk, frame| talk.down(frame));
            let read = talk.read_with(Options { canaries: Arc::new(canaries), ..Options::default() });
            let count = read.findings.iter().filter(|f| f.encoding == ["permessage-deflate"]).count();
            assert_eq!(count, content.len() / 5, "{name}");
            assert!(!told(&read).contains("WebSocket"), "{name}: {}", told(&read));
            assert!(
                told(&read).starts_with("6 text") && told(&read).contains('z'),
                "{name}: {}",
                told(&read)
            );
        }
    }

    #[test]
    fn answers_to_offered_extensions() {
        let deflate = |client_takeover, server_takeover| Agreed::Deflate { client_takeover, server_takeover };
        for (text, expected) in [
            ("", Agreed::Nothing),
            ("x-own", Agreed::Other),
            ("permessage-deflate", deflate(true, true)),
            ("Permessage-Deflate; client_max_window_bits=15", deflate(true, true)),
            ("x-own, permessage-deflate; server_no_context_takeover", deflate(true, false)),
            (
                "permessage-deflate;client_no_context_takeover;server_no_context_takeover;server_max_window_bits=9",
                deflate(false, false),
            ),
        ] {
            assert_eq!(agreed(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn canaries_behind_masks_and_compression() {
        // Words come again, so that it pays to compress: else the packer stores what then stands in the stream as it is.
        let text =
            b"my note is canary-4711, is canary, is note, and my note is nothing, nothing else, nothing else";
        let [first, second] = &packed(&[text, text])[..] else { panic!("two") };
        for (name, talk, expected) in [
            ("masked", upgraded("").up(&frame(0x82, text, Some(KEY))), &["Canary [6] websocket-mask"][..]),
            ("unmasked", upgraded("").down(&frame(0x82, text, None)), &["Canary [6] "]),
            ("mask of zeros", upgraded("").up(&frame(0x82, text, Some([0; 4]))), &["Canary [6] "]),
            (
                "masked, in two frames and four segments",
                {
                    let (a, b) =
                        (frame(0x02, &text[..15], Some(KEY)), frame(0x80, &text[15..], Some([1, 2, 3, 4])));
                    upgraded("").up(&a[..10]).up(&a[10..]).up(&b[..8]).up(&b[8..])
                },
                &["Canary [7, 8, 9] websocket-mask"],
            ),
            (
                "unmasked, in two frames with a ping between them",
                upgraded("")
                    .down(&frame(0x02, &text[..15], None))
                    .down(&frame(0x89, b"x", None))
                    .down(&frame(0x80, &text[15..], None)),
                &["Canary [6, 8] websocket-fragments"],
            ),
            (
                "compressed",
                upgraded(DEFLATE).down(&frame(0xc2, first, None)).down(&frame(0xc2, second, None)),
                &["Canary [6] permessage-deflate", "Canary [7] permessage-deflate"],
            ),
            (
                "compressed, masked, in two frames",
                upgraded(DEFLATE).up(&frame(0x42, &first[..20], Some(KEY))).up(&frame(
                    0x80,
                    &first[20..],
                    Some(KEY),
                )),
                &["Canary [6, 7] websocket-mask,permessage-deflate"],
            ),
            (
                "base64 in a mask",
                upgraded("").up(&frame(0x82, b"bm90ZSBjYW5hcnktNDcxMSBub3Rl", Some(KEY))),
                &["Canary [6] websocket-mask,base64"],
            ),
            (
                "text",
                upgraded("").up(&frame(0x81, text, Some(KEY))),
                &["Canary [6] websocket-mask", "Content [6] websocket-mask"],
            ),
            (
                "reason of a close",
                upgraded("").up(&frame(0x88, &[b"\x03\xe8", &text[..]].concat(), Some(KEY))),
                &["Canary [6] websocket-mask"],
            ),
            (
                "another message",
                upgraded("").up(&frame(0x82, &text[..15], Some(KEY))).up(&frame(
                    0x82,
                    &text[15..],
                    Some(KEY),
                )),
                &[],
            ),
        ] {
            let mut seen = found(&talk);
            seen.sort();
            assert_eq!(seen, expected, "{name}");
        }
    }

    #[test]
    fn contexts() {
        let texts: [&[u8]; 2] = [
            b"first words of words, of words, of first words: canary-47, first words of more",
            b"first words of words, of words, of first words: canary-4711, first words of more",
        ];
        let together = packed(&texts);
        let (alone, fresh) = (packed(&texts[..1]), packed(&texts[1..]));
        assert!(together[1].len() + 10 < fresh[0].len(), "the second refers to the first");
        let none = "permessage-deflate; server_no_context_takeover";
        for (name, talk, expected) in [
            (
                "taken over",
                upgraded(DEFLATE).down(&frame(0xc2, &together[0], None)).down(&frame(
                    0xc2,
                    &together[1],
                    None,
                )),
                1,
            ),
            (
                "each on its own",
                upgraded(none).down(&frame(0xc2, &alone[0], None)).down(&frame(0xc2, &fresh[0], None)),
                1,
            ),
            (
                "each side its own",
                upgraded(none).up(&frame(0xc2, &together[0], Some(KEY))).up(&frame(
                    0xc2,
                    &together[1],
                    Some(KEY),
                )),
                1,
            ),
            (
                "broken, then fresh",
                upgraded(none).down(&frame(0xc2, &[0xff; 9], None)).down(&frame(0xc2, &fresh[0], None)),
                1,
            ),
            (
                "broken for good",
                upgraded(DEFLATE).down(&frame(0xc2, &[0xff; 9], None)).down(&frame(0xc2, &fresh[0], None)),
                0,
            ),
            ("not agreed", upgraded("x-own").down(&frame(0xc2, &fresh[0], None)), 0),
        ] {
            assert_eq!(found(&talk).len(), expected, "{name}: {:?}", found(&talk));
        }
    }

    #[test]
    fn readable_messages_are_told_and_not_quoted() {
        let mut talk = upgraded("");
        for _ in 0..9 {
            talk = talk.up(&frame(0x81, b"{\"text\": \"hello bob\"}", Some(KEY))).down(&frame(
                0x81,
                b"\x01\x02\x03\x04 not quite text \x05",
                None,
            ));
        }
        let read = talk.read_with(Options::default());
        let told: Vec<_> =
            read.findings.iter().map(|f| format!("{:?} {:?} {}", f.severity, f.frames, f.what)).collect();
        assert_eq!(
            told,
            [6, 8, 10, 12].map(|n| format!("Medium [{n}] readable WebSocket message, 21 bytes of text")),
            "the first four of a direction"
        );
        let [packed] = &packed(&[b"hello bob, this is compressed"])[..] else { panic!("one") };
        let read = upgraded(DEFLATE).down(&frame(0xc1, packed, None)).read_with(Options::default());
        assert_eq!(read.findings[0].what, "readable WebSocket message, 29 bytes of text");
        assert_eq!(read.findings[0].encoding, ["permessage-deflate"]);
    }

    #[test]
    fn bombs() {
        let [bomb] = &packed(&[&vec![b'a'; 3 << 20]])[..] else { panic!("one") };
        let talk = upgraded(DEFLATE).down(&frame(0xc1, bomb, None)).down(&frame(0xc1, bomb, None));
        let size = bomb.len();
        assert_eq!(
            all(&talk),
            format!(
                "6 WebSocket: a message unpacks to more than 1 MiB; the rest was not looked at | 6 text {size}z | 7 text {size}z"
            )
        );
        let none = "permessage-deflate; server_no_context_takeover";
        let [small] = &packed(&[&vec![b'a'; 1_000_000]])[..] else { panic!("one") };
        let talk = (0..9).fold(upgraded(none), |talk, _| talk.down(&frame(0xc1, small, None)));
        assert!(all(&talk).contains("unpack to more than a hundred times their size"), "{}", all(&talk));
    }

    #[test]
    fn faults_and_gaps() {
        for (name, bytes, warning) in [
            ("opcode", &b"\x83\x01x"[..], "an opcode that is not defined"),
            ("long ping", b"\x89\x7e\x01\0", "a control frame in parts or too long"),
            ("ping in parts", b"\x09\x01x", "a control frame in parts or too long"),
            ("not agreed", b"\xc1\x01x", "reserved bits that nobody agreed on"),
            ("length", b"\x82\x7f\xff\0\0\0\0\0\0\0", "a length beyond 63 bits"),
        ] {
            let talk = upgraded("").down(bytes).down(b"\x81\x01x");
            assert_eq!(all(&talk), format!("6 WebSocket: {warning}"), "{name}");
        }
        let (up, down) = (Direction::Up, Direction::Down);
        let acknowledged = |talk: Talk| (0..10).fold(talk, |talk, _| talk.flag(up, 0).flag(down, 0));
        let text = frame(0x81, b"0123456789 canary-4711", Some(KEY));
        let gap = upgraded("").up(&text[..9]).lost(up, 4).up(&text[13..]).up(&text);
        assert_eq!(all(&acknowledged(gap.clone())), "6,7 text 22 | 8 text 22");
        let gap = found(&acknowledged(gap));
        assert_eq!(
            gap.iter().filter(|f| f.starts_with("Canary")).count(),
            2,
            "the mask goes on behind the gap: {gap:?}"
        );
        let beyond = upgraded("").up(&text[..9]).lost(up, 40).up(&text);
        assert!(
            all(&acknowledged(beyond)).starts_with("7 text 22 | "),
            "the next frame that begins a segment is read"
        );
        let broken = upgraded("").up(b"\x83\x01x").lost(up, 40).up(&text);
        assert!(!all(&acknowledged(broken)).contains("text"));
        let [first, second] = &packed(&[b"one canary-47 two three", b"one canary-4711 two three"])[..] else {
            panic!("two")
        };
        let (first, second) = (frame(0xc1, first, None), frame(0xc1, second, None));
        let packed = upgraded(DEFLATE).down(&first[..9]).lost(down, 4).down(&first[13..]).down(&second);
        assert!(found(&acknowledged(packed)).is_empty(), "the second refers to what is missing");
    }

    #[test]
    fn from_the_middle_of_a_connection() {
        let up = frame(0x81, b"test message", Some(KEY));
        let down = [frame(0x89, b"", None), frame(0x81, "Willkommen, schön".as_bytes(), None)].concat();
        let talk = Talk::midway(12_345).down(&down).up(&up);
        assert_eq!(all(&talk), "1 ping 0 | 1 text 18 | 2 text 12");
        for (name, bytes) in [
            ("no text", frame(0x81, b"\x01\x02\x03\x04\x05\x06\x07\x08", None)),
            ("short", frame(0x81, b"hi", None)),
            ("binary", frame(0x82, b"test message", None)),
            ("more behind it", [up.clone(), vec![0]].concat()),
            ("less", up[..up.len() - 1].to_vec()),
        ] {
            let talk = Talk::midway(12_345).up(&bytes);
            assert_eq!(all(&talk), "", "{name}");
        }
        assert_eq!(all(&Talk::opened().up(&up)), "", "the upgrade cannot be missing");
    }

    fn sample() -> (Vec<u8>, Vec<u8>) {
        let packed = packed(&[b"one and two and canary-4711", b"two and one"]);
        let up = [
            frame(0x81, b"some text for the server", Some(KEY)),
            frame(0x42, &packed[0][..9], Some(KEY)),
            frame(0x89, b"x", Some(KEY)),
            frame(0x80, &packed[0][9..], Some([9, 8, 7, 6])),
            frame(0xc1, &packed[1], Some(KEY)),
        ];
        let down = [frame(0x82, &[7; 200], None), frame(0x8a, b"x", None), frame(0x88, b"\x03\xe8", None)];
        (up.concat(), down.concat())
    }

    /// What was said and found, without the frames.
    fn said(talk: &Talk) -> Vec<String> {
        let all = all(talk);
        let messages = all.split(" | ").filter_map(|l| l.split_once(' ')).map(|(_, what)| what.to_owned());
        let found = found(talk);
        let found =
            found.iter().map(|f| [f.split(' ').next().unwrap(), f.rsplit(' ').next().unwrap()].join(" "));
        messages.chain(found).collect()
    }

    #[test]
    fn segments_change_nothing() {
        let (up, down) = sample();
        let whole = said(&upgraded(DEFLATE).up(&up).down(&down));
        assert!(whole.contains(&"Canary websocket-mask,permessage-deflate".to_owned()), "{whole:?}");
        for cut in 1..up.len() {
            assert_eq!(
                said(&upgraded(DEFLATE).up(&up[..cut]).up(&up[cut..]).down(&down)),
                whole,
                "up at {cut}"
            );
        }
        for cut in 1..down.len() {
            assert_eq!(
                said(&upgraded(DEFLATE).up(&up).down(&down[..cut]).down(&down[cut..])),
                whole,
                "down at {cut}"
            );
        }
        let bytes = down.chunks(1).fold(up.chunks(1).fold(upgraded(DEFLATE), Talk::up), Talk::down);
        assert_eq!(said(&bytes), whole, "byte by byte");
    }

    #[test]
    fn cut_anywhere_nothing_is_invented() {
        let (up, down) = sample();
        let whole = said(&upgraded(DEFLATE).up(&up).down(&down));
        for cut in 0..up.len() {
            let cut_off = said(&upgraded(DEFLATE).up(&up[..cut]));
            assert!(
                cut_off.iter().all(|line| whole.contains(line)) && cut_off.len() < whole.len(),
                "{cut}: {cut_off:?}"
            );
            let hole =
                said(&upgraded(DEFLATE).up(&up[..cut]).lost(Direction::Up, 1).up(&up[cut + 1..]).down(&down));
            // A continuation does not say by itself that it is compressed.
            let known = |line: &String| whole.contains(line) || whole.contains(&format!("{line}z"));
            assert!(hole.iter().all(known), "a hole at {cut}: {hole:?}");
        }
        for cut in 0..down.len() {
            let cut_off = said(&upgraded(DEFLATE).down(&down[..cut]));
            assert!(cut_off.iter().all(|line| whole.contains(line)), "{cut}: {cut_off:?}");
        }
    }
}
