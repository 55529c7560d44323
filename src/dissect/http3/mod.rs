//! HTTP/3 on the streams of a QUIC connection that was opened with the auditor's keys (RFC 9114, RFC 9204).
//!
//! Takes the bytes of streams in order, each with the frames that brought them; gives requests and responses in the shape that `http`
//! gives them, with `version` 3, the server's name from `:authority`, and findings for log-ins, cookies and secrets in targets. Fields and
//! bodies are searched for canaries. A message is stated when its stream's direction is closed, otherwise with `complete: false`. Bodies
//! are counted, never kept or unpacked; pushes and datagrams are passed over. Putting streams together is the matter of
//! [`quic`](super::quic).

pub(in crate::dissect) mod qpack;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::qpack::{Decoder, QpackError};
use super::http_message::{Kind, Secrets, Seen, host_name, join, shown_host};
use super::http2::Fields;
use super::unwrapped::Unwrapped;
use super::{Cx, Frames, Reader, Short};
use crate::model::Direction;
use crate::payload::mask::escape;
use crate::payload::{RawFinding, mask_target};

/// Types of frames (RFC 9114 section 7.2).
const DATA: u64 = 0;
const HEADERS: u64 = 1;
const SETTINGS: u64 = 4;

/// `SETTINGS_QPACK_MAX_TABLE_CAPACITY` (RFC 9204 section 5).
const TABLE_CAPACITY: u64 = 1;

/// A field section or a SETTINGS frame of more bytes than this is given up, and with it its stream.
const MAX_BLOCK: usize = 256 << 10;
/// Bytes that one stream and all streams may hold back, for the end of a frame or for entries of the dynamic table.
const MAX_HELD: usize = 512 << 10;
const MAX_ALL_HELD: usize = 2 << 20;
/// Streams of a connection that are read at the same time.
const MAX_STREAMS: usize = 1024;
/// Bytes of the observations of messages whose end is awaited.
const MAX_OPEN_BYTES: usize = 512 << 10;

/// An integer of QUIC (RFC 9000 section 16).
fn varint(r: &mut Reader<'_>) -> Result<u64, Short> {
    let first = r.u8("integer")?;
    let more = r.take("integer", (1 << (first >> 6)) - 1)?;
    Ok(more.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte)))
}

/// What a stream's direction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A request or its response.
    Message,
    /// One-way, its type is to come.
    Untyped,
    Control,
    Encoder,
    /// The decoder's acknowledgements, pushes, types that are not known.
    Other,
}

/// Where a stream's direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At a frame's border.
    Frame,
    /// Within DATA, so many bytes are to come.
    Data(u64),
    /// Within a frame that is passed over.
    Skip(u64),
    /// Nothing more can be read.
    Lost,
}

/// A message whose end is to come.
struct Open {
    seen: Seen,
    frames: Frames,
    bytes: u64,
    size: usize,
}

/// One direction of a stream.
struct Stream {
    /// Of the flow, in which the sender sends.
    direction: Direction,
    purpose: Purpose,
    state: State,
    /// Bytes that wait for more, with their frames.
    held: Vec<u8>,
    frames: Frames,
    /// Offset of the first byte of `held`.
    offset: u64,
    /// A field section waits for entries of the dynamic table.
    blocked: bool,
    /// The end came while it was blocked; `true` when all was read.
    ended: Option<bool>,
    open: Option<Open>,
    content: Unwrapped,
}

/// Which direction of which stream: its id, and whether the server sends.
type Key = (u64, bool);

/// One connection.
#[derive(Default)]
pub(in crate::dissect) struct Http3 {
    streams: BTreeMap<Key, Stream>,
    /// Of what the client and what the server sends.
    decoders: [Decoder; 2],
    secrets: Secrets,
    held: usize,
    open_bytes: usize,
    warned: bool,
}

impl Http3 {
    /// The next bytes of a stream; `from_server` is who sent them, `d` in which direction of the flow.
    pub(in crate::dissect) fn bytes(
        &mut self,
        d: Direction,
        id: u64,
        from_server: bool,
        data: &[u8],
        frames: &Arc<Frames>,
        cx: &mut Cx<'_>,
    ) {
        let key = (id, from_server);
        if !self.streams.contains_key(&key) {
            if self.streams.len() >= MAX_STREAMS
                && let Some(oldest) = self.streams.keys().find(|k| k.0 & 2 == 0).copied()
            {
                self.close(oldest, false, cx);
            }
            let purpose = if id & 2 == 0 { Purpose::Message } else { Purpose::Untyped };
            let fresh = Stream {
                direction: d,
                purpose,
                state: State::Frame,
                held: Vec::new(),
                frames: Frames::default(),
                offset: 0,
                blocked: false,
                ended: None,
                open: None,
                content: Unwrapped::new(&[]),
            };
            self.streams.insert(key, fresh);
        }
        let Some(stream) = self.streams.get_mut(&key).filter(|s| s.state != State::Lost) else { return };
        if stream.held.is_empty() {
            stream.frames = Frames::clone(frames);
        } else {
            join(&mut stream.frames, Frames::clone(frames));
        }
        stream.held.extend_from_slice(data);
        self.held += data.len();
        self.run(key, frames, cx);
        let Some(stream) = self.streams.get(&key) else { return };
        if stream.held.len() > MAX_HELD || self.held > MAX_ALL_HELD {
            self.lose(key, "too many bytes wait", cx);
        }
    }

    /// A direction of a stream is over; `whole` when all of it was there.
    pub(in crate::dissect) fn end(
        &mut self,
        id: u64,
        from_server: bool,
        whole: bool,
        frames: &Arc<Frames>,
        cx: &mut Cx<'_>,
    ) {
        let key = (id, from_server);
        let Some(stream) = self.streams.get_mut(&key) else { return };
        if stream.purpose == Purpose::Encoder {
            self.decoders.get_mut(usize::from(from_server)).into_iter().for_each(Decoder::lose);
        }
        if stream.blocked {
            stream.ended = Some(whole);
            return;
        }
        if let Some(open) = &mut stream.open {
            join(&mut open.frames, Frames::clone(frames));
        }
        let whole = whole && stream.state == State::Frame && stream.held.is_empty();
        self.close(key, whole, cx);
    }

    /// The connection is over.
    pub(in crate::dissect) fn finish(&mut self, cx: &mut Cx<'_>) {
        for key in self.streams.keys().copied().collect::<Vec<_>>() {
            self.close(key, false, cx);
        }
    }

    /// The lowest frame that a message still to come may carry.
    pub(in crate::dissect) fn holds(&self) -> Option<u64> {
        let open = self.streams.values().filter_map(|s| s.open.as_ref()).map(|o| o.frames.complete);
        let blocked = self.streams.values().filter(|s| s.blocked).map(|s| s.frames.complete);
        open.chain(blocked).min()
    }

    /// Reads what a stream holds as far as it goes.
    fn run(&mut self, key: Key, here: &Arc<Frames>, cx: &mut Cx<'_>) {
        loop {
            let Some(stream) = self.streams.get_mut(&key) else { return };
            let before = stream.held.len();
            let (purpose, state) = (stream.purpose, stream.state);
            let used = match (purpose, state) {
                (_, State::Lost) | (Purpose::Other, _) => before,
                (Purpose::Untyped, _) => {
                    let mut r = Reader::new(&stream.held);
                    let Ok(kind) = varint(&mut r) else { return };
                    stream.purpose = match kind {
                        0 => Purpose::Control,
                        2 => Purpose::Encoder,
                        _ => Purpose::Other,
                    };
                    r.at()
                }
                (Purpose::Encoder, _) => {
                    let bytes = std::mem::take(&mut stream.held);
                    self.held -= bytes.len();
                    let decoder = self.decoders.get_mut(usize::from(key.1));
                    if decoder.is_some_and(|decoder| decoder.instructions(&bytes)) {
                        self.unblock(key.1, here, cx);
                    }
                    return;
                }
                (_, State::Skip(left)) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(before);
                    let left = left - n as u64;
                    stream.state = if left == 0 { State::Frame } else { State::Skip(left) };
                    n
                }
                (_, State::Data(left)) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(before);
                    let left = left - n as u64;
                    stream.state = if left == 0 { State::Frame } else { State::Data(left) };
                    let data = stream.held.get(..n).unwrap_or_default();
                    cx.search_in(&mut stream.content, data, here.all.clone(), stream.offset);
                    if let Some(open) = &mut stream.open {
                        open.bytes = open.bytes.saturating_add(n as u64);
                        join(&mut open.frames, Frames::clone(here));
                    }
                    n
                }
                (_, State::Frame) => match self.frame(key, cx) {
                    Some(used) => used,
                    None => return,
                },
            };
            let Some(stream) = self.streams.get_mut(&key) else { return };
            let used = used.min(stream.held.len());
            stream.held.drain(..used);
            stream.offset += used as u64;
            self.held -= used;
            if stream.held.is_empty() {
                return;
            }
            // What is left came with the latest bytes, unless it waited before.
            if used > 0 && !stream.blocked {
                stream.frames = Frames::clone(here);
            }
            if used == 0 && stream.purpose == purpose && stream.state == state {
                return;
            }
        }
    }

    /// At a frame's border: how many bytes are done; `None` while more are needed.
    fn frame(&mut self, key: Key, cx: &mut Cx<'_>) -> Option<usize> {
        let stream = self.streams.get_mut(&key)?;
        let mut r = Reader::new(&stream.held);
        let (kind, length) = (varint(&mut r).ok()?, varint(&mut r).ok()?);
        let head = r.at();
        match (stream.purpose, kind) {
            (Purpose::Message, DATA) => {
                if length > 0 {
                    stream.state = State::Data(length);
                }
                return Some(head);
            }
            (Purpose::Message, HEADERS) | (Purpose::Control, SETTINGS) => {}
            _ => {
                if length > 0 {
                    stream.state = State::Skip(length);
                }
                return Some(head);
            }
        }
        if length > MAX_BLOCK as u64 {
            self.lose(key, "a field section that is too long", cx);
            return None;
        }
        let body = stream.held.get(head..head + length as usize)?.to_vec();
        let size = head + body.len();
        if kind == SETTINGS {
            let mut r = Reader::new(&body);
            while let (Ok(id), Ok(value)) = (varint(&mut r), varint(&mut r)) {
                // What one side allows is for what the other one sends.
                if id == TABLE_CAPACITY {
                    self.decoders.get_mut(usize::from(!key.1)).into_iter().for_each(|d| d.allow(value));
                }
            }
            return Some(size);
        }
        let (frames, offset) = (stream.frames.clone(), stream.offset);
        let decoder = self.decoders.get(usize::from(key.1))?;
        match decoder.section(&body) {
            Ok(fields) => {
                stream.blocked = false;
                self.message(key, &fields, frames, (offset, offset + size as u64), cx);
                Some(size)
            }
            Err(QpackError::Blocked) => {
                stream.blocked = true;
                None
            }
            Err(e) => {
                stream.blocked = false;
                // Other streams may need no entry that is missing.
                if !std::mem::replace(&mut self.warned, true) {
                    cx.warn(0, format!("HTTP/3: a field section was given up: {e}"));
                }
                Some(size)
            }
        }
    }

    /// Entries have come: sections that waited for them are read.
    fn unblock(&mut self, from_server: bool, here: &Arc<Frames>, cx: &mut Cx<'_>) {
        let waiting: Vec<Key> =
            self.streams.iter().filter(|(k, s)| s.blocked && k.1 == from_server).map(|(k, _)| *k).collect();
        for key in waiting {
            if let Some(stream) = self.streams.get_mut(&key) {
                join(&mut stream.frames, Frames::clone(here));
            }
            self.run(key, here, cx);
            if let Some(stream) = self.streams.get_mut(&key).filter(|s| !s.blocked)
                && let Some(whole) = stream.ended
            {
                let whole = whole && stream.state == State::Frame && stream.held.is_empty();
                self.close(key, whole, cx);
            }
        }
    }

    /// Nothing more of a stream can be read.
    fn lose(&mut self, key: Key, why: &str, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.warned, true) {
            cx.warn(0, format!("HTTP/3: a stream was given up: {why}"));
        }
        if self.streams.get(&key).is_some_and(|s| s.purpose == Purpose::Encoder) {
            self.decoders.get_mut(usize::from(key.1)).into_iter().for_each(Decoder::lose);
        }
        self.state_open(key, false, cx);
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.state = State::Lost;
            stream.blocked = false;
            self.held -= stream.held.len();
            stream.held = Vec::new();
        }
    }

    /// A field section as a message, or as the trailer of one.
    fn message(
        &mut self,
        key: Key,
        fields: &[super::http2::hpack::Pair],
        mut frames: Frames,
        range: (u64, u64),
        cx: &mut Cx<'_>,
    ) {
        frames.all.sort_unstable();
        frames.all.dedup();
        let masking = cx.masking();
        let search = |cx: &mut Cx<'_>| {
            if !cx.searching() {
                return;
            }
            let line =
                |(name, value): &(_, _)| [Vec::as_slice(name), b": ", Vec::as_slice(value), b"\r\n"].concat();
            let values: Vec<u8> = fields.iter().flat_map(line).collect();
            let mut content = Unwrapped::from_beginning(&["qpack"]);
            cx.search_in(&mut content, &values, frames.all.clone(), range.0);
        };
        let fields = Fields(fields);
        let method = fields.first(":method");
        let status = fields.first(":status");
        let kind = if method.is_some() { Kind::Request } else { Kind::Response };
        let tell = |mut raw: RawFinding, cx: &mut Cx<'_>| {
            raw.encoding.insert(0, "qpack".to_owned());
            raw.range = range;
            cx.finding_in(frames.clone(), raw);
        };
        for (name, value) in fields.0 {
            if !name.starts_with(b":") {
                let name = String::from_utf8_lossy(name);
                self.secrets.of_field(kind, &name, value, masking, &mut |_, raw| tell(raw, cx));
            }
        }
        let authority = fields.first(":authority").or_else(|| fields.first("host"));
        let stream = u32::try_from(key.0).ok();
        let seen = if let Some(method) = method {
            let path = fields.first(":path").or(authority).unwrap_or_default();
            let target = String::from_utf8_lossy(path).into_owned();
            self.secrets.of_target(&target, masking, &mut |_, raw| tell(raw, cx));
            if let Some(name) = authority.and_then(host_name).filter(|_| !key.1) {
                cx.flow().name(name, "http-host", frames.complete);
            }
            Seen::Request {
                version: "3",
                stream,
                method: escape(&String::from_utf8_lossy(method)),
                host: authority.map(|host| shown_host(host, masking)),
                target: mask_target(&target, masking),
                user_agent: fields.shown("user-agent"),
                body_bytes: 0,
                complete: None,
                headers: fields.all(masking),
            }
        } else if let Some(status) = status {
            let status = std::str::from_utf8(status).ok().and_then(|s| s.parse().ok()).unwrap_or_default();
            Seen::Response {
                version: "3",
                stream,
                status,
                content_type: fields.shown("content-type"),
                content_encoding: fields.shown("content-encoding"),
                body_bytes: 0,
                complete: None,
                headers: fields.all(masking),
            }
        } else {
            // A trailer.
            search(cx);
            if let Some(open) = self.streams.get_mut(&key).and_then(|s| s.open.as_mut()) {
                join(&mut open.frames, frames);
            }
            return;
        };
        // Behind what the message says by itself, so that rules do not tell it again.
        search(cx);
        if !cx.observing() {
            return;
        }
        self.state_open(key, false, cx);
        let interim = matches!(&seen, Seen::Response { status: 100..=199, .. });
        let size = seen.size();
        let Some(of_key) = self.streams.get_mut(&key) else { return };
        of_key.open = Some(Open { seen, frames, bytes: 0, size });
        self.open_bytes += size;
        if interim {
            // The final response is to come.
            self.state_open(key, true, cx);
        }
        while self.open_bytes > MAX_OPEN_BYTES {
            let oldest = self.streams.iter().find(|(k, s)| **k != key && s.open.is_some());
            let Some(oldest) = oldest.map(|(k, _)| *k) else { break };
            self.state_open(oldest, false, cx);
        }
    }

    /// A stream's direction is over.
    fn close(&mut self, key: Key, whole: bool, cx: &mut Cx<'_>) {
        self.state_open(key, whole, cx);
        if let Some(mut stream) = self.streams.remove(&key) {
            let before = std::mem::replace(&mut cx.direction, stream.direction);
            cx.search_end(&mut stream.content);
            cx.direction = before;
            self.held -= stream.held.len();
        }
    }

    /// States the message of a stream's direction; `whole` when its end was seen.
    fn state_open(&mut self, key: Key, whole: bool, cx: &mut Cx<'_>) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let Some(open) = stream.open.take() else { return };
        let Open { seen, mut frames, bytes, size } = open;
        let d = stream.direction;
        self.open_bytes -= size;
        frames.all.sort_unstable();
        frames.all.dedup();
        let before = std::mem::replace(&mut cx.direction, d);
        cx.emit_at(seen.kind(), frames, || {
            let seen = seen.with_body(bytes);
            if whole { seen } else { seen.incomplete() }
        });
        cx.direction = before;
    }
}
