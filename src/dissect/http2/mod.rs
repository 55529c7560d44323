//! HTTP/2 in clear: by prior knowledge and behind an upgrade to h2c (RFC 9113, RFC 7540 section 3.2).
//!
//! Takes both directions from their beginning: the client's preface, or SETTINGS that more frames follow; gives requests and
//! responses in the shape that `http` gives them, the server's name from `:authority`, and findings for log-ins, cookies and
//! secrets in targets. A message is stated when its stream's half is closed; one whose end is not seen is stated with
//! `complete: false`. Header fields are searched for canaries without their compression. Bodies are counted and never kept;
//! `http_body` searches what lies across frames and in `gzip`, `deflate`, `br` and `zstd`. Behind a gap between frames a direction is not read any more: its header compression is out of step.

mod frames;
pub(in crate::dissect) mod hpack;
pub(in crate::dissect) mod huffman;

use std::collections::BTreeMap;

use self::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Head, PADDED, PUSH_PROMISE, RST_STREAM,
    SETTINGS,
};
use super::http_body::{Allowance, Body, Framing};
use super::http_message::{Kind, MAX_SHOWN, Secrets, Seen, host_name, join, shown_host, without_user};
use super::packet::IpProto;
use super::unwrapped::Unwrapped;
use super::{Class, Cx, Dissector, Frames, Match, Probe, Protocol, Step};
use crate::model::Direction;
use crate::payload::mask::escape;
use crate::payload::{Masking, base64, mask_header, mask_target};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "http2",
    title: "HTTP/2 in clear",
    source: "RFC 9113, RFC 7541",
    over: &[IpProto::TCP],
    ports: &[],
    reads: "requests and responses with their fields, log-ins, cookies and secrets in targets, from the beginning of a connection or an upgrade; bodies are counted, and searched across frames and without gzip, deflate, br and zstd",
    probe,
    start: || Box::new(Http2::default()),
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADER: Class = Class::clear("http2.header");
const BODY: Class = Class::clear("http2.body");
/// Content in a coding that is not read.
const UNDECODED: Class = Class::opaque("http2.body-undecoded");
/// All other frames: settings, windows, priorities.
const CONTROL: Class = Class::clear("http2.control");
/// Bytes behind a gap or a fault.
const UNPARSED: Class = Class::opaque("http2.unparsed");

/// A compressed header block of more bytes than this is given up, and with it the direction's header compression.
const MAX_BLOCK: usize = 256 << 10;
/// Messages of one flow whose end is awaited, and the bytes of their observations.
const MAX_OPEN: usize = 256;
const MAX_OPEN_BYTES: usize = 256 << 10;
/// In blocks up to this size it is looked up whether a value stands there as it is, to be found in the stream itself.
const MAX_VERBATIM: usize = 16 << 10;

fn probe(p: &Probe<'_>) -> Match {
    if p.data.starts_with(PREFACE) {
        return Match::Yes;
    }
    if PREFACE.starts_with(p.data) {
        return Match::Maybe;
    }
    settings_first(p.data, p.from_start)
}

/// The first frame of either side is SETTINGS (RFC 9113 section 3.4). From the middle of a connection another frame has to
/// follow: header blocks can be read when none was missed.
fn settings_first(data: &[u8], from_start: bool) -> Match {
    let first = Head::read(data).ok().filter(|h| h.kind == SETTINGS && h.flags == 0 && h.fault().is_none());
    let Some(first) = first else { return Match::No };
    let end = frames::HEADER + first.length;
    let Some(payload) = data.get(frames::HEADER..end) else {
        return if first.length <= 384 { Match::Maybe } else { Match::No };
    };
    if !frames::are_settings(payload) {
        return Match::No;
    }
    match data.get(end..).map(Head::read) {
        _ if from_start => Match::Yes,
        Some(Ok(second)) if second.is_known() => Match::Yes,
        Some(Ok(_)) => Match::No,
        _ => Match::Maybe,
    }
}

/// A dissector for what follows an upgrade of HTTP/1. `settings` is the client's `HTTP2-Settings`: base64url of a SETTINGS
/// payload (RFC 7540 section 3.2.1).
pub(super) fn after_upgrade(settings: Option<&[u8]>) -> Box<dyn Dissector> {
    let mut http = Http2::default();
    let payload = settings.and_then(base64::decode);
    if let Some(size) = payload.and_then(|payload| frames::header_table_size(&payload)) {
        http.down.decoder.allow(size);
    }
    Box::new(http)
}

/// Where a direction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At its first byte.
    #[default]
    Start,
    /// At a frame's border.
    Frame,
    /// Within DATA: content and padding to come.
    Data { stream: u32, end: bool, content: usize, padding: usize },
    /// Position unknown, as bytes are missing.
    Lost,
    /// Something else is there: no frames are sought any more.
    Broken,
}

/// A header block whose end is to come.
struct Block {
    head: Head,
    bytes: Vec<u8>,
    frames: Frames,
    offset: u64,
}

#[derive(Default)]
struct Side {
    state: State,
    decoder: hpack::Decoder,
    block: Option<Block>,
    /// Header blocks cannot be read (any more).
    sealed: bool,
    warned: bool,
    allowance: Allowance,
    /// The bodies under way, by stream.
    bodies: BTreeMap<u32, Body>,
}

impl Side {
    /// The body of a stream ends.
    fn body_ends(&mut self, stream: u32, cx: &mut Cx<'_>) {
        if let Some(mut body) = self.bodies.remove(&stream) {
            body.finish(&mut self.allowance, cx);
        }
    }

    /// A message's fields were read, and its body may follow.
    fn body_begins<'v>(&mut self, stream: u32, codings: impl Iterator<Item = &'v [u8]>, cx: &mut Cx<'_>) {
        self.body_ends(stream, cx);
        let body = Body::new(Framing::Frames, codings, &mut self.allowance, cx);
        self.bodies.insert(stream, body);
        while self.bodies.len() > MAX_OPEN {
            let Some(oldest) = self.bodies.keys().copied().find(|other| *other != stream) else { break };
            self.body_ends(oldest, cx);
        }
    }
}

/// A message whose end is to come.
struct Open {
    seen: Seen,
    frames: Frames,
    bytes: u64,
    size: usize,
}

#[derive(Default)]
struct Http2 {
    up: Side,
    down: Side,
    secrets: Secrets,
    /// By stream, and by whether the server sent it.
    open: BTreeMap<(u32, bool), Open>,
    open_bytes: usize,
}

fn is_down(d: Direction) -> bool {
    d == Direction::Down
}

impl Dissector for Http2 {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        match self.side(d).state {
            State::Start => self.start(d, data, cx),
            State::Frame => self.frame(d, data, cx),
            State::Data { .. } => self.data(d, data, cx),
            // A sender begins frames with a segment again and again.
            State::Lost if frames::begin_with(data) => {
                self.side(d).state = State::Frame;
                self.frame(d, data, cx)
            }
            State::Lost | State::Broken => Step::Took(data.len(), UNPARSED),
        }
    }

    fn gap(&mut self, d: Direction, missing: u64, cx: &mut Cx<'_>) {
        let ending = cx.ending();
        let side = self.side(d);
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        match side.state {
            // At the capture's end the bytes may have been under way still: what is told must not depend on that.
            State::Data { stream, end, content, padding }
                if (1..=content + padding).contains(&missing) && !ending =>
            {
                let lost = missing.min(content);
                let (content, padding) = (content - lost, padding - (missing - lost));
                side.state = State::Data { stream, end, content, padding };
                if let Some(body) = side.bodies.get_mut(&stream) {
                    body.gap(&mut side.allowance, cx);
                }
                if let Some(open) = self.open.get_mut(&(stream, is_down(d))) {
                    open.bytes = open.bytes.saturating_add(lost as u64);
                }
                if content + padding == 0 {
                    self.data_ends(d, stream, end, cx);
                }
            }
            State::Lost | State::Broken => {}
            _ => {
                cx.warn_of_gap("HTTP/2: bytes are missing; it is read again from the next segment that begins with frames");
                self.lose(d, cx);
            }
        }
    }

    fn finish(&mut self, d: Direction, _: &[u8], cx: &mut Cx<'_>) {
        let side = self.side(d);
        while let Some(stream) = side.bodies.keys().next().copied() {
            side.body_ends(stream, cx);
        }
        let left: Vec<_> = self.open.keys().filter(|(_, down)| *down == is_down(d)).copied().collect();
        for key in left {
            self.close(key, false, cx);
        }
    }

    fn holds(&self) -> Option<u64> {
        // Messages without an end are stated at the end of the flow.
        self.open.values().map(|open| open.frames.complete).min()
    }

    fn unfinished(&self) -> Class {
        CONTROL
    }
}

impl Http2 {
    fn side(&mut self, d: Direction) -> &mut Side {
        match d {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// The position is unknown from here on, and what header blocks there were.
    fn lose(&mut self, d: Direction, cx: &mut Cx<'_>) {
        let side = self.side(d);
        side.state = State::Lost;
        side.decoder.miss();
        side.block = None;
        while let Some(stream) = side.bodies.keys().next().copied() {
            side.body_ends(stream, cx);
        }
    }

    fn fault(&mut self, d: Direction, what: &str, data: &[u8], cx: &mut Cx<'_>) -> Step {
        cx.warn(0, format!("HTTP/2: {what}"));
        self.lose(d, cx);
        self.side(d).state = State::Broken;
        Step::Took(data.len(), UNPARSED)
    }

    fn start(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if data.starts_with(PREFACE) {
            self.side(d).state = State::Frame;
            return Step::Took(PREFACE.len(), CONTROL);
        }
        if PREFACE.starts_with(data) {
            return Step::More(PREFACE.len());
        }
        match Head::read(data) {
            Ok(head) if head.kind == SETTINGS && head.flags == 0 && head.fault().is_none() => {
                self.side(d).state = State::Frame;
                self.frame(d, data, cx)
            }
            Ok(_) => self.fault(d, "a direction that does not begin with SETTINGS", data, cx),
            Err(_) => Step::More(frames::HEADER),
        }
    }

    /// At a frame's border.
    fn frame(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let Ok(head) = Head::read(data) else { return Step::More(frames::HEADER) };
        if let Some(fault) = head.fault() {
            return self.fault(d, fault, data, cx);
        }
        // Nothing may come between the frames of one block (RFC 9113 section 6.10).
        match (&self.side(d).block, head.kind) {
            (Some(block), CONTINUATION) if block.head.stream == head.stream => {}
            (Some(_), _) => return self.fault(d, "a header block was not continued", data, cx),
            (None, CONTINUATION) => return self.fault(d, "a continuation of no header block", data, cx),
            _ => {}
        }
        let size = frames::HEADER + head.length;
        match head.kind {
            DATA => return self.data_begins(d, head, data, cx),
            HEADERS | PUSH_PROMISE | CONTINUATION => {
                let before = self.side(d).block.as_ref().map_or(0, |block| block.bytes.len());
                if before + head.length > MAX_BLOCK {
                    self.give_up(d, &format!("a header block of more than {MAX_BLOCK} bytes"), cx);
                    self.side(d).block = None;
                    // Its continuations, if any, are none of anything.
                    if !head.has(END_HEADERS) {
                        self.lose(d, cx);
                    }
                    return Step::Took(size, HEADER);
                }
                let Some(payload) = data.get(frames::HEADER..size) else { return Step::More(size) };
                match frames::fragment(head, payload) {
                    Ok(fragment) => self.fragment(d, head, fragment, size, cx),
                    Err(_) => return self.fault(d, "padding that is longer than its frame", data, cx),
                }
                return Step::Took(size, HEADER);
            }
            SETTINGS if !head.has(ACK) => {
                let Some(payload) = data.get(frames::HEADER..size) else { return Step::More(size) };
                if let Some(allowed) = frames::header_table_size(payload) {
                    self.side(d.reverse()).decoder.allow(allowed);
                }
            }
            RST_STREAM => {
                if data.len() < size {
                    return Step::More(size);
                }
                self.up.body_ends(head.stream, cx);
                self.down.body_ends(head.stream, cx);
                for key in [(head.stream, false), (head.stream, true)] {
                    if let Some(open) = self.open.get_mut(&key) {
                        join(&mut open.frames, cx.frames(0..size));
                    }
                    self.close(key, false, cx);
                }
            }
            _ => {}
        }
        Step::Took(size, CONTROL)
    }

    fn data_begins(&mut self, d: Direction, head: Head, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let (taken, padding) = if head.has(PADDED) {
            let Some(&padding) = data.get(frames::HEADER) else { return Step::More(frames::HEADER + 1) };
            (frames::HEADER + 1, usize::from(padding))
        } else {
            (frames::HEADER, 0)
        };
        let Some(content) = (frames::HEADER + head.length).checked_sub(taken + padding) else {
            return self.fault(d, "padding that is longer than its frame", data, cx);
        };
        let side = self.side(d);
        match side.bodies.get_mut(&head.stream) {
            Some(body) => body.border(),
            // Its header was not seen: the content may be in any coding.
            None => side.body_begins(head.stream, std::iter::empty(), cx),
        }
        side.state = State::Data { stream: head.stream, end: head.has(END_STREAM), content, padding };
        if let Some(open) = self.open.get_mut(&(head.stream, is_down(d))) {
            join(&mut open.frames, cx.frames(0..taken));
        }
        if content + padding == 0 {
            self.data_ends(d, head.stream, head.has(END_STREAM), cx);
        }
        Step::Took(taken, CONTROL)
    }

    /// Content, segment by segment: the frames of the message would not be known in one step beyond what was shown.
    fn data(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let side = self.side(d);
        let State::Data { stream, end, content, padding } = side.state else {
            return Step::Took(data.len(), UNPARSED);
        };
        let shown = data.get(..content).unwrap_or(data);
        let n = shown.len();
        let mut class = BODY;
        if let Some(body) = side.bodies.get_mut(&stream).filter(|_| n > 0) {
            body.part(shown, &mut side.allowance, cx);
            if body.is_opaque() {
                class = UNDECODED;
            }
        }
        let taken = if n > 0 { n } else { data.len().min(padding) };
        let (content, padding) = (content - n, padding - (taken - n));
        side.state = State::Data { stream, end, content, padding };
        if let Some(open) = self.open.get_mut(&(stream, is_down(d))) {
            open.bytes = open.bytes.saturating_add(n as u64);
            join(&mut open.frames, cx.frames(0..taken));
        }
        if content + padding == 0 {
            self.data_ends(d, stream, end, cx);
        }
        Step::Took(taken, class)
    }

    fn data_ends(&mut self, d: Direction, stream: u32, end: bool, cx: &mut Cx<'_>) {
        let side = self.side(d);
        side.state = State::Frame;
        if end {
            side.body_ends(stream, cx);
            self.close((stream, is_down(d)), true, cx);
        }
    }

    /// The part of a header block that one frame holds; the frame is the first `shown` bytes.
    fn fragment(&mut self, d: Direction, head: Head, fragment: &[u8], shown: usize, cx: &mut Cx<'_>) {
        let here = cx.frames(0..shown);
        let offset = cx.offset(0);
        let side = self.side(d);
        let single = side.block.is_none();
        let block = match side.block.take() {
            Some(mut block) => {
                block.bytes.extend_from_slice(fragment);
                join(&mut block.frames, here);
                block
            }
            None => Block { head, bytes: fragment.to_vec(), frames: here, offset },
        };
        if !head.has(END_HEADERS) {
            side.block = Some(block);
            return;
        }
        let (first, sealed) = (block.head, side.sealed);
        if !sealed {
            self.block(d, block, single, shown, cx);
        }
        if first.kind == HEADERS && first.has(END_STREAM) {
            self.close((first.stream, is_down(d)), true, cx);
        }
    }

    /// No later header block of this direction can be read.
    fn give_up(&mut self, d: Direction, why: &str, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.side(d).sealed, true) {
            cx.warn(0, format!("HTTP/2: {why}: this and later headers of this direction are not read"));
        }
    }

    /// A whole header block.
    fn block(&mut self, d: Direction, mut block: Block, single: bool, shown: usize, cx: &mut Cx<'_>) {
        let side = self.side(d);
        let fields = match side.decoder.decode(&block.bytes) {
            Ok(fields) => fields,
            Err(e) if e.is_recoverable() => {
                if !std::mem::replace(&mut side.warned, true) {
                    cx.warn(0, format!("HTTP/2: a header block was given up: {e}"));
                }
                return;
            }
            Err(e) => return self.give_up(d, &format!("a header block cannot be read: {e}"), cx),
        };
        block.frames.all.sort_unstable();
        block.frames.all.dedup();
        // A promise is the server's guess at a request, not one.
        if block.head.kind != PUSH_PROMISE {
            self.fields(d, &Fields(&fields), &block, shown, cx);
        }
        // Behind what the message says by itself, so that rules do not tell it again.
        if cx.searching() {
            search_fields(&fields, &block, single, cx);
        }
    }

    /// The fields of a message.
    fn fields(&mut self, d: Direction, fields: &Fields<'_>, block: &Block, shown: usize, cx: &mut Cx<'_>) {
        if !block.head.has(END_STREAM)
            && (fields.first(":method").is_some() || fields.first(":status").is_some())
        {
            self.side(d).body_begins(block.head.stream, fields.each("content-encoding"), cx);
        }
        let key = (block.head.stream, is_down(d));
        if let Some(method) = fields.first(":method") {
            self.request(d, method, fields, block, shown, cx);
        } else if let Some(status) = fields.first(":status") {
            let status = std::str::from_utf8(status).ok().and_then(|s| s.parse().ok()).unwrap_or_default();
            self.response(fields, status, key, block, cx);
            if (100..200).contains(&status) {
                // The final response is to come.
                self.close(key, true, cx);
            }
        } else if let Some(open) = self.open.get_mut(&key) {
            join(&mut open.frames, block.frames.clone());
        }
    }

    fn request(
        &mut self,
        d: Direction,
        method: &[u8],
        fields: &Fields<'_>,
        block: &Block,
        shown: usize,
        cx: &mut Cx<'_>,
    ) {
        let masking = cx.masking();
        let authority = fields.first(":authority").or_else(|| fields.first("host"));
        // With the ends mistaken the name would be the client's.
        if let Some(name) = authority.and_then(host_name).filter(|_| !is_down(d)) {
            cx.name(name, "http-host", 0..shown);
        }
        let path = fields.first(":path").or(authority).unwrap_or_default();
        let target = String::from_utf8_lossy(path);
        self.secrets.of_target(&target, masking, &mut |_, raw| tell(raw, block, cx));
        self.secrets_of_fields(Kind::Request, fields, block, masking, cx);
        if cx.observing() {
            let seen = Seen::Request {
                version: "2",
                stream: Some(block.head.stream),
                method: escape(&String::from_utf8_lossy(method)),
                host: authority.map(|host| shown_host(host, masking)),
                target: mask_target(&target, masking),
                user_agent: fields.shown("user-agent"),
                body_bytes: 0,
                complete: None,
                headers: fields.all(masking),
            };
            self.open((block.head.stream, is_down(d)), seen, block, cx);
        }
    }

    fn response(
        &mut self,
        fields: &Fields<'_>,
        status: u16,
        key: (u32, bool),
        block: &Block,
        cx: &mut Cx<'_>,
    ) {
        let masking = cx.masking();
        self.secrets_of_fields(Kind::Response, fields, block, masking, cx);
        if cx.observing() {
            let seen = Seen::Response {
                version: "2",
                stream: Some(block.head.stream),
                status,
                content_type: fields.shown("content-type"),
                content_encoding: fields.shown("content-encoding"),
                body_bytes: 0,
                complete: None,
                headers: fields.all(masking),
            };
            self.open(key, seen, block, cx);
        }
    }

    fn secrets_of_fields(
        &mut self,
        kind: Kind,
        fields: &Fields<'_>,
        block: &Block,
        masking: Masking,
        cx: &mut Cx<'_>,
    ) {
        for (name, value) in fields.0 {
            // Pseudo-fields are no secrets by their names.
            if !name.starts_with(b":") {
                let name = String::from_utf8_lossy(name);
                self.secrets.of_field(kind, &name, value, masking, &mut |_, raw| tell(raw, block, cx));
            }
        }
    }

    fn open(&mut self, key: (u32, bool), seen: Seen, block: &Block, cx: &mut Cx<'_>) {
        self.close(key, false, cx);
        let size = seen.size();
        self.open_bytes += size;
        self.open.insert(key, Open { seen, frames: block.frames.clone(), bytes: 0, size });
        while self.open.len() > MAX_OPEN || self.open_bytes > MAX_OPEN_BYTES {
            let oldest = self.open.keys().copied().find(|other| *other != key);
            let Some(oldest) = oldest else { break };
            self.close(oldest, false, cx);
        }
    }

    /// States a message; `whole` when its end was seen.
    fn close(&mut self, key: (u32, bool), whole: bool, cx: &mut Cx<'_>) {
        let Some(Open { seen, mut frames, bytes, size }) = self.open.remove(&key) else { return };
        self.open_bytes -= size;
        frames.all.sort_unstable();
        frames.all.dedup();
        let sender = if key.1 { Direction::Down } else { Direction::Up };
        // Either side may end a message (RST_STREAM).
        let direction = std::mem::replace(&mut cx.direction, sender);
        cx.emit_at(seen.kind(), frames, || {
            let seen = seen.with_body(bytes);
            if whole { seen } else { seen.incomplete() }
        });
        cx.direction = direction;
    }
}

/// A secret among the fields, behind their compression.
fn tell(mut raw: crate::payload::RawFinding, block: &Block, cx: &mut Cx<'_>) {
    raw.encoding.insert(0, "hpack".to_owned());
    raw.range = (block.offset, block.offset + block.bytes.len() as u64);
    cx.finding_in(block.frames.clone(), raw);
}

/// Searches the fields. Those that stand in the frame as they are, are found in the stream itself.
fn search_fields(fields: &[hpack::Pair], block: &Block, single: bool, cx: &mut Cx<'_>) {
    let mut hidden = Vec::new();
    for (name, value) in fields {
        let verbatim = single
            && block.bytes.len() <= MAX_VERBATIM
            && !value.is_empty()
            && block.bytes.windows(value.len()).any(|part| part == value.as_slice());
        if !verbatim {
            hidden.extend_from_slice(name);
            hidden.extend_from_slice(b": ");
            hidden.extend_from_slice(value);
            hidden.extend_from_slice(b"\r\n");
        }
    }
    cx.search_in(&mut Unwrapped::from_beginning(&["hpack"]), &hidden, block.frames.all.clone(), block.offset);
}

/// The fields of a block.
pub(super) struct Fields<'a>(pub(super) &'a [hpack::Pair]);

impl<'a> Fields<'a> {
    pub(super) fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.each(name).next()
    }

    fn each(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(n, _)| n == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    pub(super) fn shown(&self, name: &str) -> Option<String> {
        self.first(name).map(|value| escape(&String::from_utf8_lossy(value)))
    }

    pub(super) fn all(&self, masking: Masking) -> Vec<(String, String)> {
        let shown = |(name, value): &hpack::Pair| {
            let name = String::from_utf8_lossy(name);
            let value = match &*name {
                ":authority" | "host" => without_user(value, masking),
                _ => mask_header(&name, &String::from_utf8_lossy(value), masking),
            };
            (escape(&name), value)
        };
        self.0.iter().take(MAX_SHOWN).map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::huffman::tests::encode;
    use super::*;
    use crate::dissect::http::tests::Talk;
    use crate::dissect::{CaptureAnalysis, Options};
    use crate::model::FindingKind;
    use crate::payload::CanarySet;

    const SETTINGS_FRAME: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
    const ACK_FRAME: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// A literal that is not indexed, Huffman-coded or as it is.
    fn literal(name: &str, value: &str, coded: bool) -> Vec<u8> {
        let string = |text: &str| {
            let (bytes, flag) =
                if coded { (encode(text.as_bytes()), 0x80) } else { (text.as_bytes().to_vec(), 0) };
            assert!(bytes.len() < 127);
            [&[flag | bytes.len() as u8][..], &bytes].concat()
        };
        [&[0][..], &string(name), &string(value)].concat()
    }

    fn request(path: &str) -> Vec<u8> {
        [b"\x82\x86".to_vec(), literal(":authority", "Chat.Example:80", true), literal(":path", path, true)]
            .concat()
    }

    fn opening() -> Vec<u8> {
        [PREFACE, SETTINGS_FRAME].concat()
    }

    /// `FRAMES what` for every observation, separated by ` | `.
    fn told(read: &CaptureAnalysis) -> String {
        let line = |o: &crate::dissect::Observation| {
            let frames = o.frames.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let field = |name: &str| o.fields.get(name).cloned().unwrap_or_default();
            let text = |name: &str| field(name).as_str().unwrap_or("-").to_owned();
            let what = match o.kind {
                "http.request" => format!("{} {}", text("method"), text("target")),
                "http.response" => field("status").to_string(),
                _ => text("what"),
            };
            let stream = field("stream").as_u64().map_or(String::new(), |stream| format!(" #{stream}"));
            let bytes =
                field("body_bytes").as_u64().filter(|n| *n > 0).map_or(String::new(), |n| format!(" +{n}"));
            let open = if field("complete") == false { " …" } else { "" };
            format!("{frames} {what}{stream}{bytes}{open}")
        };
        read.observations.iter().map(line).collect::<Vec<_>>().join(" | ")
    }

    fn all(talk: &Talk) -> String {
        told(&talk.read_with(Options::default()))
    }

    #[test]
    fn only_the_preface_or_settings_are_recognised() {
        let more = [SETTINGS_FRAME, ACK_FRAME].concat();
        let other = [SETTINGS_FRAME, b"\0\0\0\x04\x01\0\0\0\x01"].concat();
        for (data, from_start, answer) in [
            (PREFACE, true, Match::Yes),
            (PREFACE, false, Match::Yes),
            (&PREFACE[..1], true, Match::Maybe),
            (&PREFACE[..23], false, Match::Maybe),
            (b"PRI * HTTP/2.0\r\n\r\nXX", true, Match::No),
            (SETTINGS_FRAME, true, Match::Yes),
            (&SETTINGS_FRAME[..12], true, Match::Maybe),
            (&SETTINGS_FRAME[..8], true, Match::No),
            (SETTINGS_FRAME, false, Match::Maybe),
            (&more, false, Match::Yes),
            (&other, false, Match::No),
            (ACK_FRAME, true, Match::No),
            (b"\0\0\0\x04\0\0\0\0\0", true, Match::No),
            (b"GET / HTTP/1.1\r\n", true, Match::No),
        ] {
            let p = Probe {
                data,
                direction: Direction::Up,
                proto: IpProto::TCP,
                client_port: 40_000,
                server_port: 4711,
                server: std::net::IpAddr::from([192, 0, 2, 80]),
                from_start,
                earlier_payload: false,
                earlier: &[],
            };
            assert_eq!(probe(&p), answer, "{data:?} {from_start}");
        }
    }

    #[test]
    fn streams_side_by_side() {
        let up = [
            &opening()[..],
            &frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a")),
            &frame(HEADERS, END_HEADERS, 3, &request("/b")),
            &frame(DATA, 0, 3, b"ab"),
        ]
        .concat();
        let down = [
            SETTINGS_FRAME,
            ACK_FRAME,
            &frame(HEADERS, END_HEADERS, 1, b"\x88"),
            &frame(DATA, PADDED, 1, b"\x02abc\0\0"),
            &frame(HEADERS, END_HEADERS, 3, &literal(":status", "103", false)),
            &frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x89"),
        ]
        .concat();
        let talk = Talk::opened()
            .up(&up)
            .down(&down)
            .up(&frame(DATA, END_STREAM, 3, b"cde"))
            .down(&frame(DATA, 0, 1, b"defg"))
            .down(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &literal("grpc-status", "0", true)));
        assert_eq!(all(&talk), "4 GET /a #1 | 5 103 #3 | 5 204 #3 | 4,6 GET /b #3 +5 | 5,7,8 200 #1 +7");
        let read = talk.read_with(Options::default());
        assert_eq!(read.flows[0].app_protocols, ["http2"]);
        assert_eq!(read.flows[0].encryption, "none");
        let names: Vec<_> =
            read.flows[0].names.iter().map(|n| (n.name.as_str(), n.source.as_str(), n.frame)).collect();
        assert_eq!(names, [("chat.example", "http-host", 4)]);
        let fields = |n: usize| serde_json::Value::Object(read.observations[n].fields.clone());
        assert_eq!(
            fields(0),
            serde_json::json!({
                "version": "2", "stream": 1, "method": "GET", "host": "chat.example:80", "target": "/a",
                "user_agent": null, "body_bytes": 0,
                "headers": [[":method", "GET"], [":scheme", "http"], [":authority", "Chat.Example:80"], [":path", "/a"]],
            })
        );
        assert_eq!(
            fields(4),
            serde_json::json!({
                "version": "2", "stream": 1, "status": 200, "content_type": null, "content_encoding": null,
                "body_bytes": 7, "headers": [[":status", "200"]],
            })
        );
        let headers = 2 * request("/a").len()
            + 2
            + literal(":status", "103", false).len()
            + literal("grpc-status", "0", true).len()
            + 6 * frames::HEADER;
        assert_eq!(
            talk.classes(),
            format!("http2.body 14, http2.control 100, http2.header {headers}"),
            "padding is body, the headers of DATA are control"
        );
    }

    #[test]
    fn blocks_in_parts_padding_priority_and_promises() {
        let block = request("/long");
        let (a, rest) = block.split_at(3);
        let (b, c) = rest.split_at(5);
        let first = [&[2][..], &[0, 0, 0, 0, 16], a, &[0, 0]].concat();
        let talk = Talk::opened()
            .up(&opening())
            .up(&frame(HEADERS, END_STREAM | PADDED | 0x20, 1, &first))
            .up(&frame(CONTINUATION, 0, 1, b))
            .up(&frame(CONTINUATION, END_HEADERS, 1, c))
            .down(SETTINGS_FRAME)
            .down(&frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &request("/pushed")].concat()))
            .down(&frame(HEADERS, END_HEADERS | END_STREAM, 2, b"\x88"));
        assert_eq!(all(&talk), "5,6,7 GET /long #1 | 10 200 #2");
        for (name, frames, warning) in [
            ("not continued", frame(DATA, 0, 1, b"x"), "HTTP/2: a header block was not continued"),
            ("other stream", frame(CONTINUATION, 0, 3, b"x"), "HTTP/2: a header block was not continued"),
        ] {
            let talk = Talk::opened().up(&opening()).up(&frame(HEADERS, 0, 1, a)).up(&frames).up(&block);
            assert_eq!(all(&talk), format!("6 {warning}"), "{name}");
        }
    }

    #[test]
    fn messages_without_an_end() {
        let talk = Talk::opened()
            .up(&[
                &opening()[..],
                &frame(HEADERS, END_HEADERS, 1, &request("/a")),
                &frame(DATA, 0, 1, b"abc"),
            ]
            .concat())
            .down(&[SETTINGS_FRAME, &frame(HEADERS, END_HEADERS, 1, b"\x88")].concat());
        assert_eq!(all(&talk), "4 GET /a #1 +3 … | 5 200 #1 …");
        let reset = talk.clone().up(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
        assert_eq!(all(&reset), "4,6 GET /a #1 +3 … | 5,6 200 #1 …");
        let reset = reset.read_with(Options::default());
        assert_eq!(reset.observations[1].src, reset.observations[0].dst, "the answer is the server's");
        let mut many = Talk::opened().up(&opening());
        for n in 0..400 {
            many = many.up(&frame(HEADERS, END_HEADERS, n * 2 + 1, &request("/a")));
        }
        assert_eq!(many.read_with(Options::default()).observations.len(), 400);
    }

    #[test]
    fn gaps() {
        let (up, down) = (Direction::Up, Direction::Down);
        let post = frame(HEADERS, END_HEADERS, 1, &request("/a"));
        let data = frame(DATA, END_STREAM, 1, b"abcdefgh");
        let next = frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("/b"));
        let acknowledged = |talk: Talk| (0..10).fold(talk, |talk, _| talk.flag(up, 0).flag(down, 0));
        let begun = || Talk::opened().up(&[&opening()[..], &post].concat());
        for (name, talk, told) in [
            (
                "within content",
                begun().up(&data[..11]).lost(up, 3).up(&data[14..]).up(&next),
                "4,5,6 GET /a #1 +8 | 7 GET /b #3",
            ),
            (
                "the end of the content",
                begun().up(&data[..11]).lost(up, 6).up(&next),
                "4,5 GET /a #1 +8 | 6 GET /b #3",
            ),
            (
                "beyond it",
                begun().up(&data[..11]).lost(up, 60).up(&next),
                "4,5 GET /a #1 +2 … | 6 GET /b #3 | missing",
            ),
            ("between frames", begun().lost(up, 30).up(&next), "4 GET /a #1 … | 5 GET /b #3 | missing"),
            ("no frames behind it", begun().lost(up, 30).up(b"words of a body"), "4 GET /a #1 … | missing"),
        ] {
            let seen = all(&acknowledged(talk));
            // The warning stands where the gap was given up.
            let seen = seen.split(" | ").map(|s| if s.contains("are missing") { "missing" } else { s });
            assert_eq!(seen.collect::<Vec<_>>().join(" | "), told, "{name}");
        }
    }

    #[test]
    fn secrets_and_canaries_behind_the_compression() {
        let canaries = Arc::new(CanarySet::new(&[("note".into(), "canary-4711".into())]).unwrap());
        let options = || Options { canaries: Arc::clone(&canaries), ..Options::default() };
        let block = [
            request("/a?token=abcdefghij&n=canary-4711"),
            literal("authorization", "Basic Ym9iOnNlc2FtZTEyMw==", true),
            literal("cookie", "JSESSIONID=0123456789abcdef", true),
            literal("x-note", "canary-4711", false),
        ]
        .concat();
        let (a, b) = block.split_at(40);
        let up = [opening(), frame(HEADERS, END_STREAM, 1, a)].concat();
        let talk = Talk::opened().up(&up).up(&frame(CONTINUATION, END_HEADERS, 1, b));
        let read = talk.read_with(options());
        let told: Vec<_> = read
            .findings
            .iter()
            .map(|f| {
                format!(
                    "{:?} {:?} {:?} {}",
                    f.kind,
                    f.frames,
                    f.encoding,
                    f.what.split(':').next().unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "Canary [4, 5] [\"hpack\"] canary note",
                "Canary [4, 5] [\"hpack\"] canary note",
                "Credential [4, 5] [\"hpack\", \"base64\"] HTTP Basic log-in of user … (under 8 characters) with password s…3 (8 to 15 characters)",
                "Cookie [4, 5] [\"hpack\"] cookie JSESSIONID sent in clear",
                "Token [4, 5] [\"hpack\"] token in the request target",
                "Canary [5] [] canary note",
            ]
        );
        assert!(!serde_json::to_string(&read.observations[0].fields).unwrap().contains("sesame"));
        // In one frame the value that stands there as it is, is found once; content over two frames as well.
        let one = [
            opening(),
            frame(HEADERS, END_HEADERS, 1, &[request("/"), literal("x-note", "canary-4711", false)].concat()),
            frame(DATA, 0, 1, b"canary-4711 cana"),
            frame(DATA, END_STREAM, 1, b"ry-4711"),
        ]
        .concat();
        let read = Talk::opened().up(&one).read_with(options());
        let told: Vec<_> = read.findings.iter().map(|f| f.encoding.join(",")).collect();
        assert_eq!(told, ["", "", "http2-data"]);
        assert!(read.findings.iter().all(|f| f.kind == FindingKind::Canary));
    }

    #[test]
    fn bodies_without_their_compression() {
        use crate::dissect::unpack::tests::{brotli, zstd};
        let canaries = Arc::new(CanarySet::new(&[("note".into(), "canary-4711".into())]).unwrap());
        let text = "words, words and words, canary-4711, words and words and more of the same words";
        let gzip = |text: &str| {
            use std::io::Write as _;
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            writer.write_all(text.as_bytes()).unwrap();
            writer.finish().unwrap()
        };
        let told = |bodies: &[(&str, Vec<u8>)]| {
            let mut down = SETTINGS_FRAME.to_vec();
            for ((coding, _), stream) in bodies.iter().zip([1, 3, 5]) {
                let fields = [&b"\x88"[..], &literal("content-encoding", coding, true)].concat();
                down.extend(frame(HEADERS, END_HEADERS, stream, &fields));
            }
            // Side by side, seven bytes a frame.
            let parts: Vec<Vec<&[u8]>> = bodies.iter().map(|(_, body)| body.chunks(7).collect()).collect();
            for at in 0..parts.iter().map(Vec::len).max().unwrap() {
                for (part, stream) in parts.iter().zip([1, 3, 5]) {
                    if let Some(piece) = part.get(at) {
                        let end = if at + 1 == part.len() { END_STREAM } else { 0 };
                        down.extend(frame(DATA, end, stream, piece));
                    }
                }
            }
            let talk = down.chunks(40).fold(Talk::opened().up(&opening()), Talk::down);
            let read = talk.read_with(Options { canaries: Arc::clone(&canaries), ..Options::default() });
            let mut encodings: Vec<_> = read.findings.iter().map(|f| f.encoding.join(",")).collect();
            encodings.sort();
            (encodings.join(" "), talk.classes())
        };
        let (found, classes) =
            told(&[("gzip", gzip(text)), ("br", brotli(text.as_bytes())), ("zstd", zstd(text.as_bytes()))]);
        assert_eq!(found, "br gzip zstd");
        assert!(!classes.contains("undecoded"), "{classes}");
        let (found, classes) =
            told(&[("dcb", brotli(text.as_bytes())), ("br", b"\xff\xff\xff noise".to_vec())]);
        assert_eq!(found, "");
        assert!(!classes.contains("http2.body ") && classes.contains("http2.body-undecoded"), "{classes}");
    }

    #[test]
    fn bombs_end_their_block_only() {
        let value = "v".repeat(100);
        let entry = [&[0x40, 1, b'a', 100][..], value.as_bytes()].concat();
        let bomb = [&b"\x82\x86\x84"[..], &entry, &[0xbe; 4000]].concat();
        let talk = Talk::opened()
            .up(&opening())
            .up(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb))
            .up(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("/b")));
        assert_eq!(all(&talk), "5 HTTP/2: a header block was given up: more than 512 fields | 6 GET /b #3");
        let broken = Talk::opened()
            .up(&opening())
            .up(&frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\xff\x10"))
            .up(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("/b")));
        assert_eq!(
            all(&broken),
            "5 HTTP/2: a header block cannot be read: index 143 is in no table: this and later headers of this direction are not read"
        );
        let mut long = Talk::opened().up(&opening()).up(&frame(HEADERS, 0, 1, b""));
        for _ in 0..20 {
            long = long.up(&frame(CONTINUATION, 0, 1, &[0; 16_000]));
        }
        assert!(all(&long).contains("a header block of more than 262144 bytes"), "{}", all(&long));
    }

    #[test]
    fn an_upgrade_from_http_1() {
        let ask = "GET /up HTTP/1.1\r\nHost: chat.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: AAEAABAAAAIAAAAA\r\n\r\n";
        let agree = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
        let down = [agree.as_bytes(), SETTINGS_FRAME, &frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x88")]
            .concat();
        let talk = Talk::opened().up(ask.as_bytes()).down(&down).up(&opening()).up(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            3,
            &request("/b"),
        ));
        assert_eq!(all(&talk), "4 GET /up | 5 101 | 5 200 #1 | 7 GET /b #3");
        assert_eq!(talk.read_with(Options::default()).flows[0].app_protocols, ["http", "http2"]);
    }

    #[test]
    fn from_the_middle_of_a_connection() {
        let get = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a"));
        let whole =
            Talk::midway(4711)
                .down(&[SETTINGS_FRAME, ACK_FRAME].concat())
                .up(&[&opening()[..], &get].concat());
        assert_eq!(all(&whole), "2 GET /a #1");
        let late = Talk::midway(4711).up(&get).down(&frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x88"));
        assert_eq!(all(&late), "", "nothing tells that these are header blocks");
        assert_eq!(late.read_with(Options::default()).flows[0].app_protocols, [""; 0]);
    }

    fn sample() -> (Vec<u8>, Vec<u8>) {
        let up = [
            &opening()[..],
            &frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("/a")),
            &frame(8, 0, 0, &[0, 0, 1, 0]),
            &frame(HEADERS, PADDED, 3, &[&[1][..], &request("/b")[..9], &[0]].concat()),
            &frame(CONTINUATION, END_HEADERS, 3, &request("/b")[9..]),
            &frame(DATA, END_STREAM | PADDED, 3, b"\x01abc\0"),
        ]
        .concat();
        let down = [
            SETTINGS_FRAME,
            &frame(HEADERS, END_HEADERS, 1, b"\x88"),
            &frame(DATA, END_STREAM, 1, b"xyz"),
            &frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x89"),
        ]
        .concat();
        (up, down)
    }

    /// What was said without the frames.
    fn said(talk: &Talk) -> Vec<String> {
        let all = all(talk);
        all.split(" | ").filter_map(|l| l.split_once(' ')).map(|(_, what)| what.to_owned()).collect()
    }

    #[test]
    fn segments_change_nothing() {
        let (up, down) = sample();
        let whole = said(&Talk::opened().up(&up).down(&down));
        assert_eq!(whole, ["GET /a #1", "GET /b #3 +3", "200 #1 +3", "204 #3"]);
        for cut in 1..up.len() {
            assert_eq!(said(&Talk::opened().up(&up[..cut]).up(&up[cut..]).down(&down)), whole, "up at {cut}");
        }
        for cut in 1..down.len() {
            assert_eq!(
                said(&Talk::opened().up(&up).down(&down[..cut]).down(&down[cut..])),
                whole,
                "down at {cut}"
            );
        }
        let bytes = down.chunks(1).fold(up.chunks(1).fold(Talk::opened(), Talk::up), Talk::down);
        assert_eq!(said(&bytes), whole, "byte by byte");
    }

    #[test]
    fn cut_anywhere_nothing_is_invented() {
        let (up, down) = sample();
        let whole = said(&Talk::opened().up(&up).down(&down));
        let known = |line: &String| {
            line.strip_suffix(" …").map_or(whole.contains(line), |l| {
                let message = l.split(" +").next().unwrap();
                whole.iter().any(|w| w.starts_with(message))
            })
        };
        for cut in 0..up.len() {
            for line in said(&Talk::opened().up(&up[..cut])) {
                assert!(known(&line), "up at {cut}: {line}");
            }
            for line in
                said(&Talk::opened().up(&up[..cut]).lost(Direction::Up, 1).up(&up[cut + 1..]).down(&down))
            {
                assert!(known(&line), "a hole at {cut}: {line}");
            }
        }
        for cut in 0..down.len() {
            for line in said(&Talk::opened().up(&up).down(&down[..cut])) {
                assert!(known(&line), "down at {cut}: {line}");
            }
        }
    }
}
