//! HTTP/1.0 and HTTP/1.1 over TCP: requests, responses, and where each of them ends (RFC 9110, RFC 9112).
//!
//! Takes the bytes of both directions, also from the middle of a connection at a message's border; gives one observation a
//! message, stated where the message with its body is complete as Wireshark does it, the server's name from `Host`, and
//! findings for log-ins, cookies and secrets in targets. A message that never becomes complete gives a warning in place of
//! the observation; its names and findings count from its header on. Bodies are counted and never kept; `http_body`
//! searches them. Behind
//! CONNECT and unknown upgrades all protocols are asked anew; upgrades to WebSocket and h2c go on in `websocket` and `http2`.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use super::http_body::{Allowance, Body as Content, Framing};
use super::http_message::{Kind, MAX_SHOWN, Secrets, Seen, host_name, is_token, join, shown_host};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Frames, Match, Probe, Protocol, Step, http2, tor, websocket};
use crate::model::Direction;
use crate::payload::mask::escape;
use crate::payload::{Masking, mask_header, mask_target};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "http",
    title: "HTTP/1",
    source: "RFC 9110, RFC 9112",
    over: &[IpProto::TCP],
    ports: &[80, 591, 3128, 8000, 8008, 8080, 8081, 8888],
    reads: "start lines and headers, log-ins, cookies and secrets in targets; bodies are counted, and searched without chunks, gzip, deflate, br and zstd",
    probe,
    start: || Box::new(Http::default()),
};

const HEADER: Class = Class::clear("http.header");
const BODY: Class = Class::clear("http.body");
/// Bytes between a fault or a gap and the next start line.
const UNPARSED: Class = Class::opaque("http.unparsed");

/// A start line with its header fields, and a trailer section, may have so many bytes; common servers allow 8 to 64 KiB.
const MAX_HEADER: usize = 64 << 10;
/// Longest start line.
const MAX_LINE: usize = 16 << 10;
/// Longest line with a chunk's size.
const MAX_CHUNK_LINE: usize = 4 << 10;
/// Longest method; the longest registered one has 17 letters.
const MAX_METHOD: usize = 32;
/// A start line that goes on for so long is believed by its beginning: the engine holds no more than this while it asks.
const BELIEVED: usize = 4 << 10;
/// Requests whose responses are awaited.
const MAX_ASKED: usize = 1024;

/// Methods of RFC 9110, 5789, 4918, 3253 and 5323, and some that are often met. Others are recognised too, by a whole
/// request line.
const METHODS: &str = "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK \
     REPORT SEARCH MERGE CHECKOUT QUERY PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE";

fn probe(p: &Probe<'_>) -> Match {
    let data = p.data.trim_ascii_start();
    // A few empty lines before a request are allowed (RFC 9112 section 2.2), other space is not.
    if p.data.len() - data.len() > 4 || p.data.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
        return Match::No;
    }
    let kind = if p.direction == Direction::Up { Kind::Request } else { Kind::Response };
    let methods = if p.from_start { Methods::AnyWhole } else { Methods::Known };
    match recognise(data, kind, methods) {
        // Without the SYN nobody knows for sure who the client is.
        Match::No if !p.from_start && recognise(data, kind.other(), methods) == Match::Yes => Match::Yes,
        answer => answer,
    }
}

fn recognise(data: &[u8], kind: Kind, methods: Methods) -> Match {
    match start_line(data, kind, methods) {
        Match::Maybe if kind == Kind::Response && data.len() > STATUS.len() => Match::Yes,
        Match::Maybe if data.len() >= BELIEVED => Match::Yes,
        answer => answer,
    }
}

/// Which methods are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Methods {
    /// Only [`METHODS`]: the position is uncertain, and the tail of a method is a token as well.
    Known,
    /// Any in a whole request line.
    AnyWhole,
    /// Any, also while the line's end is still to come.
    Any,
}

/// A status line as far as its shape is fixed: `9` stands for any digit.
const STATUS: &[u8] = b"HTTP/1.9 999";

/// Whether `data` begins with a start line; `Maybe` when its end is still to come.
fn start_line(data: &[u8], kind: Kind, methods: Methods) -> Match {
    let window = data.get(..MAX_LINE).unwrap_or(data);
    let whole = window.iter().position(|b| *b == b'\n').and_then(|end| window.get(..end));
    let fits = match (whole, kind) {
        (Some(line), Kind::Request) => {
            request_line(line).is_some_and(|(method, _)| methods != Methods::Known || is_known(method))
        }
        (Some(line), Kind::Response) => is_status_line(line.strip_suffix(b"\r").unwrap_or(line)),
        (None, _) if data.len() >= MAX_LINE => false,
        (None, Kind::Request) => begins_request(data, methods == Methods::Any),
        (None, Kind::Response) => begins_status(data),
    };
    match (fits, whole) {
        (false, _) => Match::No,
        (true, Some(_)) => Match::Yes,
        (true, None) => Match::Maybe,
    }
}

/// Method and target of a whole request line (RFC 9112 section 3). Spaces within the target are against the rules, but sent;
/// only a known method makes that believable.
fn request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (rest, [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1']) =
        line.split_at_checked(line.len().saturating_sub(9))?
    else {
        return None;
    };
    let at = rest.iter().position(|b| *b == b' ')?;
    let (method, target) = (rest.get(..at)?, rest.get(at + 1..)?);
    let lowest = if is_known(method) { b' ' } else { b'!' };
    let fits = is_method(method)
        && target.first().is_some_and(|b| *b != b' ')
        && target.iter().all(|b| *b >= lowest && *b != 0x7f);
    fits.then_some((method, target))
}

fn is_known(method: &[u8]) -> bool {
    METHODS.split(' ').any(|m| m.as_bytes() == method)
}

fn is_method(word: &[u8]) -> bool {
    (1..=MAX_METHOD).contains(&word.len()) && word.iter().copied().all(is_token)
}

/// Version, status code, and a reason or nothing (RFC 9112 section 4; servers leave out the space too).
fn is_status_line(line: &[u8]) -> bool {
    line.len() >= STATUS.len() && begins_status(line)
}

fn begins_status(data: &[u8]) -> bool {
    let fixed = data.iter().zip(STATUS).enumerate().all(|(at, (b, shape))| match (at, shape) {
        (7, _) => matches!(b, b'0' | b'1'),
        (_, b'9') => b.is_ascii_digit(),
        _ => b == shape,
    });
    fixed && !data.is_empty() && data.get(STATUS.len()).is_none_or(|b| matches!(b, b' ' | b'\r'))
}

/// Whether `data`, which has no line end, can still become a request line.
fn begins_request(data: &[u8], any_method: bool) -> bool {
    let mut words = data.splitn(3, |b| *b == b' ');
    let method = words.next().unwrap_or_default();
    let Some(target) = words.next() else {
        let known = METHODS.split(' ').any(|m| m.as_bytes().starts_with(method));
        return !method.is_empty() && (known || (any_method && is_method(method)));
    };
    let printable = |text: &[u8]| text.iter().all(|b| *b > b' ' && *b != 0x7f);
    if !(is_known(method) || (any_method && is_method(method))) || !printable(target) {
        return false;
    }
    let Some(version) = words.next() else { return true };
    let shape = b"HTTP/1.";
    let fits = match version.strip_prefix(shape) {
        None => shape.starts_with(version),
        Some(rest) => matches!(rest, [] | [b'0' | b'1'] | [b'0' | b'1', b'\r']),
    };
    !target.is_empty()
        && (fits || (is_known(method) && target.starts_with(b"/") && version.iter().all(|b| *b >= b' ')))
}

/// Index behind the empty line that ends the header section; looked for from `from` on.
fn header_end(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from.saturating_sub(2);
    loop {
        at += data.get(at..)?.iter().position(|b| *b == b'\n')? + 1;
        match data.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// What a response has to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Head,
    Connect,
    Other,
}

/// Where a direction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At a message's border, or within its header section.
    #[default]
    Start,
    /// So many bytes of the body are to come.
    Length(u64),
    /// The body ends with the connection.
    Close,
    ChunkSize,
    /// So many bytes of the chunk are to come.
    Chunk(u64),
    ChunkEnd,
    /// Within the trailer section, so far of this size.
    Trailer(usize),
    /// CONNECT was sent and not answered yet; the number of bytes behind it that were seen.
    Tunnel(usize),
    /// Position unknown: waits for a start line.
    Lost,
}

/// How the end of a body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
    Close,
    /// The header contradicts itself.
    Unknown,
}

/// A message whose body is not complete.
struct Open {
    /// Fields of its observation, when they are wanted.
    seen: Option<Box<Seen>>,
    /// Frames so far.
    frames: Frames,
    /// Frames of its header.
    header: Frames,
    /// What it is, for warnings.
    label: String,
    /// Bytes of content so far, missing ones included.
    bytes: u64,
    /// Its content, if there is any, is a message between app and server: not a page, a redirect or a refusal, which
    /// anybody on the way may have put in their place.
    is_message: bool,
}

#[derive(Default)]
struct Side {
    state: State,
    /// Bytes of an unfinished header that hold no end of it.
    searched: usize,
    open: Option<Open>,
    allowance: Allowance,
    /// The body that is being read.
    content: Option<Content>,
    warned_lost: bool,
    warned_length: bool,
    warned_space: bool,
}

impl Side {
    /// The ledger's class of the body: content that cannot be unpacked is not called read.
    fn class(&self) -> Class {
        let opaque = self.content.as_ref().is_some_and(Content::is_opaque);
        if opaque { Class::opaque("http.body-undecoded") } else { BODY }
    }

    /// No more of the body comes.
    fn content_ends(&mut self, cx: &mut Cx<'_>) {
        if let Some(content) = &mut self.content {
            content.finish(&mut self.allowance, cx);
        }
    }
}

#[derive(Default)]
struct Http {
    up: Side,
    down: Side,
    /// The server's direction carries the requests: the flow began in the middle and its ends were mistaken.
    swapped: bool,
    begun: bool,
    /// Requests without a final response, oldest first.
    asked: VecDeque<Asked>,
    secrets: Secrets,
    /// What the client offered for HTTP/2 (`HTTP2-Settings`).
    settings: Option<Vec<u8>>,
}

/// A header section as it was read.
struct Head<'a> {
    minor: u8,
    headers: &'a [Header<'a>],
    /// The bytes that names and values are slices of.
    block: &'a [u8],
}

impl<'a> Head<'a> {
    fn version(&self) -> &'static str {
        if self.minor == 0 { "1.0" } else { "1.1" }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.trim_ascii())
    }

    fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    fn shown(&self, name: &str) -> Option<String> {
        self.first(name).map(|value| escape(&String::from_utf8_lossy(value)))
    }

    /// Where a part of the block lies.
    fn range(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr().wrapping_sub(self.block.as_ptr().addr());
        if start < self.block.len() { start..start + part.len() } else { 0..self.block.len() }
    }

    fn headers(&self, masking: Masking) -> Vec<(String, String)> {
        let shown = |h: &Header<'_>| {
            (h.name.to_owned(), mask_header(h.name, &String::from_utf8_lossy(h.value), masking))
        };
        self.headers.iter().take(MAX_SHOWN).map(shown).collect()
    }

    /// Transfer codings that have to be undone, in order; `identity` is none (RFC 2616 section 3.6).
    fn codings(&self) -> Vec<String> {
        let listed = self.all("transfer-encoding").flat_map(|v| v.split(|b| *b == b','));
        let names = listed.map(|v| String::from_utf8_lossy(v.trim_ascii()).to_ascii_lowercase());
        names.filter(|v| !v.is_empty() && v != "identity").collect()
    }

    /// Where the body ends (RFC 9112 section 6.3), and whether the header is ambiguous about it: such messages split requests
    /// at proxies.
    fn body(&self, kind: Kind) -> (Body, bool) {
        let lengths: Vec<&[u8]> = self
            .all("content-length")
            .flat_map(|v| v.split(|b| *b == b','))
            .map(<[u8]>::trim_ascii)
            .collect();
        let codings = self.codings();
        if let Some(last) = codings.last() {
            let chunked = last == "chunked";
            let doubtful = !lengths.is_empty() || codings.iter().filter(|c| *c == "chunked").count() > 1;
            return match (chunked, kind) {
                (true, _) => (Body::Chunked, doubtful),
                (false, Kind::Request) => (Body::Unknown, true),
                (false, Kind::Response) => (Body::Close, doubtful),
            };
        }
        match lengths.split_first() {
            None if kind == Kind::Request => (Body::Length(0), false),
            None => (Body::Close, false),
            // One value again and again is taken for one; servers behind proxies send that.
            Some((first, others)) if others.iter().all(|o| o == first) => match number(first, 10) {
                Some(length) => (Body::Length(length), false),
                None => (Body::Unknown, true),
            },
            // Servers shall refuse that (RFC 9112 section 6.3); Wireshark follows the last value.
            Some((_, others)) => {
                (others.last().and_then(|o| number(o, 10)).map_or(Body::Unknown, Body::Length), true)
            }
        }
    }
}

/// Digits only: no sign, no space. `None` as well for what no body can have.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    plain.then(|| u64::from_str_radix(text, radix).ok()).flatten().filter(|n| i64::try_from(*n).is_ok())
}

/// The header section with folded lines joined (RFC 9112 section 5.2), colons right behind the names of fields (section 5.1), and a start
/// line that can be parsed; same length, same places. And whether a colon was not there: what such a field means depends on who reads it.
fn tidied(data: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let mut apart = false;
    let line = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let mut out = Cow::Borrowed(data);
    for at in line + 1..data.len() {
        if data.get(at) == Some(&b'\n') && matches!(data.get(at + 1), Some(b' ' | b'\t')) {
            let out = out.to_mut();
            let from = if data.get(at - 1) == Some(&b'\r') { at - 1 } else { at };
            out.iter_mut().take(at + 1).skip(from).for_each(|b| *b = b' ');
        }
        if let Some([b' ' | b'\t', b':']) = data.get(at..at + 2)
            && let Some(name) = spaced_name(data.get(..at).unwrap_or_default())
        {
            apart = true;
            let out = out.to_mut();
            out.iter_mut().take(at + 2).skip(name).for_each(|b| *b = b' ');
            out.iter_mut().skip(name).take(1).for_each(|b| *b = b':');
        }
    }
    let line = data.get(..line).unwrap_or_default();
    if std::str::from_utf8(line).is_err() {
        out.to_mut().iter_mut().take(line.len()).filter(|b| !b.is_ascii()).for_each(|b| *b = b'?');
    }
    if let Some((method, target)) = request_line(line) {
        let spaces = target.iter().enumerate().filter(|(_, b)| **b == b' ');
        for (at, _) in spaces {
            out.to_mut().iter_mut().skip(method.len() + 1 + at).take(1).for_each(|b| *b = b'+');
        }
    }
    (out, apart)
}

/// Where the name of a field ends that is all of the last line but for blanks behind it.
fn spaced_name(block: &[u8]) -> Option<usize> {
    let line = block.iter().rposition(|b| *b == b'\n')? + 1;
    let name = block.get(line..)?.trim_ascii_end();
    (!name.is_empty() && name.iter().copied().all(is_token)).then_some(line + name.len())
}

/// Where the authority of a target in absolute-form stands (RFC 9112 section 3.2.2), without a user's name and password.
fn authority(target: &str) -> Option<Range<usize>> {
    let (scheme, rest) = target.split_once("://")?;
    let known = ["http", "https", "ws", "wss"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let user = rest.get(..end)?.rfind('@').map_or(0, |at| at + 1);
    let start = scheme.len() + 3;
    (known && user < end).then_some(start + user..start + end)
}

fn lenient() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .ignore_invalid_headers_in_requests(true)
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    config
}

impl Dissector for Http {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        match self.side(d).state {
            State::Start => self.start(d, data, cx),
            State::Length(0) => {
                self.grow(d, 1, cx);
                self.complete(d, cx);
                self.start(d, data, cx)
            }
            State::Length(left) => {
                let n = (data.len() as u64).min(left);
                self.content(d, data.get(..n as usize).unwrap_or_default(), cx);
                self.side(d).state = State::Length(left - n);
                if n == left {
                    self.complete(d, cx);
                }
                Step::Took(n as usize, self.side(d).class())
            }
            State::Close => {
                self.content(d, data, cx);
                Step::Took(data.len(), self.side(d).class())
            }
            State::ChunkSize => self.chunk_size(d, data, cx),
            State::Chunk(left) => {
                let n = (data.len() as u64).min(left);
                self.content(d, data.get(..n as usize).unwrap_or_default(), cx);
                self.side(d).state = if n == left { State::ChunkEnd } else { State::Chunk(left - n) };
                Step::Took(n as usize, self.side(d).class())
            }
            State::ChunkEnd => {
                let n = match data {
                    [b'\n', ..] => 1,
                    [b'\r', b'\n', ..] => 2,
                    [b'\r'] => return Step::More(2),
                    _ => return self.bad_chunk(d, data, cx),
                };
                self.grow(d, n, cx);
                self.side(d).state = State::ChunkSize;
                Step::Took(n, BODY)
            }
            State::Trailer(before) => self.trailer(d, before, data, cx),
            State::Tunnel(before) => self.tunnel(d, before, data, cx),
            State::Lost => self.lost(d, data, cx),
        }
    }

    fn gap(&mut self, d: Direction, missing: u64, cx: &mut Cx<'_>) {
        let ending = cx.ending();
        let request = self.kind(d) == Kind::Request;
        let side = self.side(d);
        side.searched = 0;
        if let Some(content) = &mut side.content {
            content.gap(&mut side.allowance, cx);
        }
        let left = match side.state {
            State::Length(left) | State::Chunk(left) => left,
            State::Close => u64::MAX,
            State::Tunnel(_) | State::Lost => return,
            _ => 0,
        };
        if missing == 0 || missing > left {
            self.lose(d, "bytes of its body are missing in the capture", cx);
            return;
        }
        if request && ending {
            // With the next packet the hole might have been filled: a request that is told must not depend on that.
            self.give_up(d, "bytes of its body are missing in the capture", cx);
        }
        let side = self.side(d);
        if let Some(open) = &mut side.open {
            open.bytes = open.bytes.saturating_add(missing);
        }
        match side.state {
            // When none is left, the next byte shows that the message is complete.
            State::Length(left) => side.state = State::Length(left - missing),
            State::Chunk(left) if left == missing => side.state = State::ChunkEnd,
            State::Chunk(left) => side.state = State::Chunk(left - missing),
            _ => {}
        }
    }

    fn end(&mut self, d: Direction, cx: &mut Cx<'_>) {
        match self.side(d).state {
            State::Close | State::Length(0) => {
                if let Some(open) = &mut self.side(d).open {
                    // Only this frame says that the message is complete.
                    join(&mut open.frames, cx.now());
                }
                self.complete(d, cx);
            }
            State::Length(_) | State::ChunkSize | State::Chunk(_) | State::ChunkEnd | State::Trailer(_) => {
                self.lose(d, "the connection was closed within its body", cx);
            }
            _ => {}
        }
    }

    fn finish(&mut self, d: Direction, unread: &[u8], cx: &mut Cx<'_>) {
        let why = if cx.ending() {
            "the end of its body is not in the capture"
        } else {
            "the connection was reset within its body"
        };
        self.give_up(d, why, cx);
        let side = self.side(d);
        side.content_ends(cx);
        side.content = None;
        let kind = self.kind(d);
        if self.side(d).state == State::Start && start_line(unread, kind, Methods::AnyWhole) == Match::Yes {
            cx.warn(0, "HTTP: a header without its end");
        }
    }

    fn unfinished(&self) -> Class {
        HEADER
    }
}

impl Http {
    fn side(&mut self, d: Direction) -> &mut Side {
        match d {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    fn kind(&self, d: Direction) -> Kind {
        if (d == Direction::Up) == self.swapped { Kind::Response } else { Kind::Request }
    }

    /// At a message's border or within its header section.
    fn start(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let empty = data.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if empty > 0 {
            return Step::Took(empty, HEADER);
        }
        let kind = self.kind(d);
        if self.side(d).searched == 0 {
            match start_line(data, kind, Methods::Any) {
                Match::Yes => {}
                Match::Maybe => return Step::More(data.len() + 1),
                Match::No if !self.begun && start_line(data, kind.other(), Methods::Any) == Match::Yes => {
                    self.swapped = !self.swapped;
                }
                Match::No => {
                    if !std::mem::replace(&mut self.side(d).warned_lost, true) {
                        cx.warn(0, "HTTP: no start line where one should be");
                    }
                    self.lose(d, "", cx);
                    return self.lost(d, data, cx);
                }
            }
        }
        let end = header_end(data, self.side(d).searched);
        match end.filter(|end| *end <= MAX_HEADER).and_then(|end| data.get(..end)) {
            Some(header) => {
                self.side(d).searched = 0;
                self.begun = true;
                self.message(d, header, cx);
                Step::Took(header.len(), HEADER)
            }
            None if data.len() >= MAX_HEADER => {
                cx.warn(0, format!("HTTP: a header of more than {MAX_HEADER} bytes was given up"));
                self.lose(d, "", cx);
                Step::Took(MAX_HEADER, HEADER)
            }
            None => {
                self.side(d).searched = data.len();
                Step::More(data.len() + 1)
            }
        }
    }

    /// A whole header section.
    fn message(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) {
        let (block, spaced) = tidied(data);
        if spaced && !std::mem::replace(&mut self.side(d).warned_space, true) {
            cx.warn(0, "HTTP: whitespace before the colon of a field, which servers have to refuse (RFC 9112 section 5.1)");
        }
        let lines = block.split(|b| *b == b'\n').count();
        let mut headers = vec![EMPTY_HEADER; lines];
        let fault = if self.kind(d) == Kind::Request {
            let mut r = httparse::Request::new(&mut headers);
            match lenient().parse_request(&mut r, &block) {
                Ok(Status::Complete(_)) => {
                    let line = data.split(|b| *b == b'\n').next().and_then(request_line);
                    let target = String::from_utf8_lossy(line.map_or(&[], |(_, target)| target));
                    let method = r.method.unwrap_or_default();
                    let head = Head { minor: r.version.unwrap_or(1), headers: r.headers, block: &block };
                    self.request(d, method, &target, &head, cx);
                    return;
                }
                Ok(Status::Partial) => None,
                Err(e) => Some(e),
            }
        } else {
            let mut r = httparse::Response::new(&mut headers);
            match lenient().parse_response(&mut r, &block) {
                Ok(Status::Complete(_)) => {
                    let (status, reason) = (r.code.unwrap_or_default(), r.reason.unwrap_or_default());
                    let head = Head { minor: r.version.unwrap_or(1), headers: r.headers, block: &block };
                    self.response(d, status, reason, &head, cx);
                    return;
                }
                Ok(Status::Partial) => None,
                Err(e) => Some(e),
            }
        };
        let why = fault.map_or_else(|| "no end".to_owned(), |e| e.to_string());
        cx.warn(0, format!("HTTP: a header cannot be read: {why}"));
        self.lose(d, "", cx);
    }

    fn request(&mut self, d: Direction, method: &str, target: &str, head: &Head<'_>, cx: &mut Cx<'_>) {
        let masking = cx.masking();
        let at = method.len() + 1;
        // The target's own host counts where it has one (RFC 9112 section 3.2.2).
        let (host, place) = match (authority(target), head.first("host")) {
            (Some(part), _) => {
                let whole = target.get(part.clone()).unwrap_or_default();
                (Some(whole.as_bytes()), at + part.start..at + part.end)
            }
            (None, host) => (host, host.map_or(0..0, |host| head.range(host))),
        };
        // With the ends mistaken the name would be the client's.
        if let (Direction::Up, Some(host)) = (d, host)
            && let Some(name) = host_name(host)
        {
            cx.name(name, "http-host", place);
        }
        tor::of_request(target, 0..head.block.len(), cx);
        let mut tell = |part: Range<usize>, raw| cx.finding(at + part.start..at + part.end, raw);
        self.secrets.of_target(target, masking, &mut tell);
        self.secrets_of_headers(Kind::Request, head, masking, cx);
        self.settings = head.first("http2-settings").map(<[u8]>::to_vec);
        let asked = match method {
            "HEAD" => Asked::Head,
            "CONNECT" => Asked::Connect,
            _ => Asked::Other,
        };
        if self.asked.len() >= MAX_ASKED {
            // Nobody answers (or that direction is not in the capture).
            self.asked.clear();
        }
        self.asked.push_back(asked);
        let seen = cx.observing().then(|| {
            Box::new(Seen::Request {
                version: head.version(),
                stream: None,
                method: method.to_owned(),
                host: host.map(|host| shown_host(host, masking)),
                target: mask_target(target, masking),
                user_agent: head.shown("user-agent"),
                body_bytes: 0,
                complete: None,
                headers: head.headers(masking),
            })
        });
        let label = format!("{method} request");
        self.open(d, seen, label, head, true, cx);
        if asked == Asked::Connect {
            // Content of CONNECT means nothing (RFC 9110 section 9.3.6).
            self.complete(d, cx);
            self.side(d).state = State::Tunnel(0);
            return;
        }
        self.body(d, head.body(Kind::Request), cx);
    }

    fn response(&mut self, d: Direction, status: u16, reason: &str, head: &Head<'_>, cx: &mut Cx<'_>) {
        let masking = cx.masking();
        self.secrets_of_headers(Kind::Response, head, masking, cx);
        let interim = (100..200).contains(&status) && status != 101;
        let asked = if interim { None } else { self.asked.pop_front() };
        let seen = cx.observing().then(|| {
            Box::new(Seen::Response {
                version: head.version(),
                stream: None,
                status,
                content_type: head.shown("content-type"),
                content_encoding: head.shown("content-encoding"),
                body_bytes: 0,
                complete: None,
                headers: head.headers(masking),
            })
        });
        let page = head
            .first("content-type")
            .is_some_and(|kind| kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html")));
        let is_message = (200..300).contains(&status) && !page;
        self.open(d, seen, format!("response {status}"), head, is_message, cx);
        if asked == Some(Asked::Connect) && !(200..300).contains(&status) {
            let requests = self.side(d.reverse());
            if matches!(requests.state, State::Tunnel(_)) {
                requests.state = State::Start;
            }
        }
        // Where the request is not in the capture, proxies say it in words.
        let tunnel = asked == Some(Asked::Connect)
            || (asked.is_none() && reason.eq_ignore_ascii_case("connection established"));
        match status {
            101 => {
                self.complete(d, cx);
                self.upgrade(head, cx);
            }
            200..300 if tunnel => {
                self.complete(d, cx);
                cx.reprobe();
            }
            100..200 | 204 | 304 => self.complete(d, cx),
            _ if asked == Some(Asked::Head) => self.complete(d, cx),
            _ => self.body(d, head.body(Kind::Response), cx),
        }
    }

    /// Both directions speak another protocol from here on (RFC 9110 section 7.8).
    fn upgrade(&mut self, head: &Head<'_>, cx: &mut Cx<'_>) {
        let to = head.first("upgrade").unwrap_or_default();
        if to.eq_ignore_ascii_case(b"websocket") {
            let extensions: Vec<&[u8]> = head.all("sec-websocket-extensions").collect();
            cx.switch_with("websocket", websocket::after_upgrade(&extensions.join(&b',')));
        } else if to.eq_ignore_ascii_case(b"h2c") {
            cx.switch_with("http2", http2::after_upgrade(self.settings.take().as_deref()));
        } else {
            cx.reprobe();
        }
    }

    fn secrets_of_headers(&mut self, kind: Kind, head: &Head<'_>, masking: Masking, cx: &mut Cx<'_>) {
        let mut tell = |part: &[u8], raw| cx.finding(head.range(part), raw);
        for header in head.headers {
            self.secrets.of_field(kind, header.name, header.value, masking, &mut tell);
        }
    }

    fn open(
        &mut self,
        d: Direction,
        seen: Option<Box<Seen>>,
        label: String,
        head: &Head<'_>,
        is_message: bool,
        cx: &mut Cx<'_>,
    ) {
        let header = cx.frames(0..head.block.len());
        let chunked = head.codings().last().is_some_and(|last| last == "chunked");
        let framing = if chunked { Framing::Chunks } else { Framing::Whole };
        let side = self.side(d);
        side.content_ends(cx);
        side.content = Some(Content::new(framing, head.all("content-encoding"), &mut side.allowance, cx));
        self.side(d).open = Some(Open { seen, frames: header.clone(), header, label, bytes: 0, is_message });
    }

    /// The header section is done: what comes now?
    fn body(&mut self, d: Direction, (body, ambiguous): (Body, bool), cx: &mut Cx<'_>) {
        let side = self.side(d);
        if ambiguous && !std::mem::replace(&mut side.warned_length, true) {
            cx.warn(0, "HTTP: ambiguous length: Content-Length and Transfer-Encoding do not say one thing");
        }
        match body {
            Body::Length(0) => self.complete(d, cx),
            Body::Length(n) => side.state = State::Length(n),
            Body::Chunked => side.state = State::ChunkSize,
            Body::Close => side.state = State::Close,
            Body::Unknown => {
                self.complete(d, cx);
                self.lose(d, "", cx);
            }
        }
    }

    /// The first bytes shown are content.
    fn content(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) {
        self.grow(d, data.len(), cx);
        let side = self.side(d);
        if let Some(content) = &mut side.content {
            content.part(data, &mut side.allowance, cx);
        }
        if let Some(open) = &mut side.open {
            if open.is_message && !data.is_empty() {
                open.is_message = false;
                cx.clear_message();
            }
            open.bytes = open.bytes.saturating_add(data.len() as u64);
        }
    }

    /// The first `n` bytes shown belong to the message. Taken segment by segment and not in one step beyond what was shown:
    /// its frames would not be known.
    fn grow(&mut self, d: Direction, n: usize, cx: &mut Cx<'_>) {
        if let Some(open) = self.side(d).open.as_mut().filter(|o| o.seen.is_some() && n > 0) {
            join(&mut open.frames, cx.frames(0..n));
        }
    }

    /// The message is complete with what was taken before or is being taken.
    fn complete(&mut self, d: Direction, cx: &mut Cx<'_>) {
        let side = self.side(d);
        side.state = State::Start;
        side.content_ends(cx);
        let Some(Open { seen: Some(seen), mut frames, bytes, .. }) = side.open.take() else { return };
        frames.all.sort_unstable();
        frames.all.dedup();
        cx.emit_at(seen.kind(), frames, || seen.with_body(bytes));
    }

    /// A message that cannot become complete any more.
    fn give_up(&mut self, d: Direction, why: &str, cx: &mut Cx<'_>) {
        if let Some(open) = self.side(d).open.take() {
            let Open { label, header, bytes, .. } = open;
            let what =
                format!("HTTP: {label} of frame {}: {why} ({bytes} bytes of it are known)", header.complete);
            let at = if cx.ending() { header } else { cx.now() };
            cx.warn_at(&at, what);
        }
    }

    /// The position is unknown, and with it which response belongs to which request.
    fn lose(&mut self, d: Direction, why: &str, cx: &mut Cx<'_>) {
        self.give_up(d, why, cx);
        let side = self.side(d);
        side.searched = 0;
        side.state = State::Lost;
        self.asked.clear();
    }

    /// Looks for a start line, at the first byte shown and behind every line end.
    fn lost(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let kind = self.kind(d);
        let mut at = 0;
        while let Some(rest) = data.get(at..).filter(|r| !r.is_empty()) {
            match start_line(rest, kind, Methods::Known) {
                Match::No => {}
                _ if at > 0 => return Step::Took(at, UNPARSED),
                Match::Yes => {
                    self.side(d).state = State::Start;
                    return self.start(d, data, cx);
                }
                Match::Maybe => return Step::More(data.len() + 1),
            }
            let Some(end) = rest.iter().position(|b| *b == b'\n') else { break };
            at += end + 1;
        }
        Step::Took(data.len(), UNPARSED)
    }

    /// A chunk's size and extensions (RFC 9112 section 7.1).
    fn chunk_size(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let window = data.get(..MAX_CHUNK_LINE).unwrap_or(data);
        let Some(end) = window.iter().position(|b| *b == b'\n') else {
            return if data.len() < MAX_CHUNK_LINE {
                Step::More(data.len() + 1)
            } else {
                self.bad_chunk(d, data, cx)
            };
        };
        let line = data.get(..end).unwrap_or_default();
        let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let Some(size) = number(digits, 16) else { return self.bad_chunk(d, data, cx) };
        self.grow(d, end + 1, cx);
        if let Some(content) = &mut self.side(d).content {
            content.border();
        }
        self.side(d).state = if size == 0 { State::Trailer(0) } else { State::Chunk(size) };
        Step::Took(end + 1, BODY)
    }

    /// What stands there is no chunk: the message ends, as far as anybody can tell.
    fn bad_chunk(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        cx.warn(0, "HTTP: a chunk's size or end cannot be read");
        let line = data.iter().position(|b| *b == b'\n').map_or(data.len(), |end| end + 1);
        self.grow(d, line.min(MAX_CHUNK_LINE), cx);
        self.complete(d, cx);
        self.lose(d, "", cx);
        // No server goes on behind such a fault, and what looks like a request in the same segment may be smuggled content.
        Step::Took(data.len(), UNPARSED)
    }

    fn trailer(&mut self, d: Direction, before: usize, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let line = data.iter().position(|b| *b == b'\n');
        let n = line.map_or(data.len(), |end| end + 1);
        if before + n > MAX_HEADER {
            cx.warn(0, format!("HTTP: a trailer of more than {MAX_HEADER} bytes was given up"));
            self.complete(d, cx);
            self.lose(d, "", cx);
            return Step::Took(data.len(), UNPARSED);
        }
        if line.is_none() {
            return Step::More(n + 1);
        }
        self.grow(d, n, cx);
        if matches!(data, [b'\n', ..] | [b'\r', b'\n', ..]) {
            self.complete(d, cx);
        } else {
            self.side(d).state = State::Trailer(before + n);
        }
        Step::Took(n, HEADER)
    }

    /// The client goes on before CONNECT is answered, or the answer is not in the capture.
    fn tunnel(&mut self, d: Direction, before: usize, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if start_line(data, self.kind(d), Methods::Known) == Match::Yes {
            self.side(d).state = State::Start;
            return self.start(d, data, cx);
        }
        if before > 0 {
            // It has more to say and still no answer: there is none to wait for.
            cx.reprobe();
        }
        self.side(d).state = State::Tunnel(data.len());
        Step::More(data.len() + 1)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::dissect::{CaptureAnalysis, Options, analyse_bytes};

    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: web.example\r\n\r\n";
    const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

    pub(in crate::dissect) const FIN: u8 = 0x01;
    const RST: u8 = 0x04;
    const PSH_ACK: u8 = 0x18;

    /// A capture of one connection: raw IPv4 packets, of which the handshake takes frames 1 to 3.
    #[derive(Clone)]
    pub(in crate::dissect) struct Talk {
        pub(in crate::dissect) bytes: Vec<u8>,
        sent: [u32; 2],
        server_port: u16,
    }

    impl Talk {
        /// Without the handshake.
        pub(in crate::dissect) fn midway(server_port: u16) -> Talk {
            let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
            bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 101, 0, 0, 0]);
            Talk { bytes, sent: [1000, 5000], server_port }
        }

        pub(in crate::dissect) fn opened() -> Talk {
            Talk::opened_on(80)
        }

        pub(in crate::dissect) fn opened_on(server_port: u16) -> Talk {
            let mut talk = Talk::midway(server_port);
            talk.segment(Direction::Up, 0x02, b"");
            talk.segment(Direction::Down, 0x12, b"");
            talk.segment(Direction::Up, 0x10, b"");
            talk
        }

        fn segment(&mut self, d: Direction, flags: u8, data: &[u8]) {
            let (client, server) = ((10, 40_000), (80, self.server_port));
            let (from, to) = if d == Direction::Up { (client, server) } else { (server, client) };
            let mut packet = vec![0x45, 0];
            packet.extend((40 + data.len() as u16).to_be_bytes());
            packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, from.0, 192, 0, 2, to.0]);
            packet.extend(u16::to_be_bytes(from.1));
            packet.extend(u16::to_be_bytes(to.1));
            packet.extend(self.sent[d as usize].to_be_bytes());
            packet.extend(self.sent[d.reverse() as usize].to_be_bytes());
            packet.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
            packet.extend(data);
            let length = (packet.len() as u32).to_le_bytes();
            self.bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
            self.bytes.extend(length);
            self.bytes.extend(length);
            self.bytes.extend(packet);
            self.sent[d as usize] += data.len() as u32 + u32::from(flags & 0x03 != 0);
        }

        pub(in crate::dissect) fn up(mut self, data: &[u8]) -> Talk {
            self.segment(Direction::Up, PSH_ACK, data);
            self
        }

        pub(in crate::dissect) fn down(mut self, data: &[u8]) -> Talk {
            self.segment(Direction::Down, PSH_ACK, data);
            self
        }

        pub(in crate::dissect) fn flag(mut self, d: Direction, flag: u8) -> Talk {
            self.segment(d, 0x10 | flag, b"");
            self
        }

        /// Bytes that the recorder lost.
        pub(in crate::dissect) fn lost(mut self, d: Direction, bytes: u32) -> Talk {
            self.sent[d as usize] += bytes;
            self
        }

        pub(in crate::dissect) fn read_with(&self, options: Options) -> CaptureAnalysis {
            let options = Options { observe: true, ..options };
            analyse_bytes("talk.pcap", &self.bytes, &options).unwrap()
        }

        fn read_as(&self, show_secrets: bool) -> CaptureAnalysis {
            self.read_with(Options { show_secrets, ..Options::default() })
        }

        pub(in crate::dissect) fn read(&self) -> CaptureAnalysis {
            self.read_as(false)
        }

        /// `FRAMES what` for every observation, separated by ` | `.
        fn told(&self) -> String {
            let mut told: Vec<String> = Vec::new();
            for o in &self.read().observations {
                let frames = o.frames.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                let field = |name: &str| o.fields.get(name).cloned().unwrap_or_default();
                let text = |name: &str| field(name).as_str().unwrap_or("-").to_owned();
                let mut line = format!("{frames} ");
                let _ = match o.kind {
                    "http.request" => write!(line, "{} {}", text("method"), text("target")),
                    "http.response" => write!(line, "{}", field("status")),
                    "warning" => write!(line, "{}", text("what")),
                    kind => write!(line, "{kind}"),
                };
                let bytes = field("body_bytes").as_u64().unwrap_or_default();
                if bytes > 0 {
                    let _ = write!(line, " +{bytes}");
                }
                told.push(line);
            }
            told.join(" | ")
        }

        pub(in crate::dissect) fn classes(&self) -> String {
            let classes = self.read().coverage.classes;
            let of_payload = classes
                .iter()
                .filter(|(name, _)| !["file", "link", "network", "transport"].contains(&name.as_str()));
            of_payload.map(|(name, bytes)| format!("{name} {bytes}")).collect::<Vec<_>>().join(", ")
        }
    }

    fn post(fields: &str, body: &str) -> Vec<u8> {
        format!("POST /p HTTP/1.1\r\nHost: web.example\r\n{fields}\r\n\r\n{body}").into_bytes()
    }

    fn ok(fields: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nServer: t\r\n{fields}\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn only_http_is_recognised() {
        use Direction::{Down, Up};
        for (direction, data, answer) in [
            (Up, "GET / HTTP/1.1\r\n", Match::Yes),
            (Up, "GET http://web.example/ HTTP/1.0\n", Match::Yes),
            (Up, "OPTIONS * HTTP/1.1\r\nHost: a\r\n", Match::Yes),
            (Up, "CONNECT web.example:443 HTTP/1.1\r\n", Match::Yes),
            (Up, "X-OWN /x HTTP/1.1\r\n", Match::Yes),
            (Up, "GET /with spaces HTTP/1.0\r\n", Match::Yes),
            (Up, "\r\nGET / HTTP/1.1\r\n", Match::Yes),
            (Up, "G", Match::Maybe),
            (Up, "POST", Match::Maybe),
            (Up, "POST ", Match::Maybe),
            (Up, "POST /pa", Match::Maybe),
            (Up, "POST /path HTT", Match::Maybe),
            (Up, "POST /path HTTP/1.1", Match::Maybe),
            (Up, "POST /path HTTP/1.1\r", Match::Maybe),
            (Up, "", Match::No),
            (Up, "\r\n", Match::No),
            (Up, "GET /", Match::Maybe),
            (Up, "GET /\r\n", Match::No),
            (Up, " GET / HTTP/1.1\r\n", Match::No),
            (Up, "GET  HTTP/1.1\r\n", Match::No),
            (Up, "get / http/1.1\r\n", Match::No),
            (Up, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Match::No),
            (Up, "GET / HTTP/3.0\r\n", Match::No),
            (Up, "OPTIONS sip:bob@chat.example SIP/2.0\r\n", Match::No),
            (Up, "INVITE sip:bob@chat.example SIP/2.0\r\n", Match::No),
            (Up, "INVITE sip:bob@chat", Match::No),
            (Up, "OPTIONS rtsp://cam.example/ RTSP/1.0\r\n", Match::No),
            (Up, "EHLO mail.example\r\n", Match::No),
            (Up, "USER bob\r\n", Match::No),
            (Up, "a001 LOGIN bob pw\r\n", Match::No),
            (Up, "say it in HTTP/1.1\r\n", Match::No),
            (Up, "\u{16}\u{3}\u{1}", Match::No),
            (Up, "HTTP/1.1 200 OK\r\n", Match::No),
            (Down, "HTTP/1.1 200 OK\r\n", Match::Yes),
            (Down, "HTTP/1.0 404\r\n", Match::Yes),
            (Down, "HTTP/1.1 200 O", Match::Yes),
            (Down, "H", Match::Maybe),
            (Down, "HTTP/1.1 2", Match::Maybe),
            (Down, "HTTP/1.1 200", Match::Maybe),
            (Down, "HTTP/2.0 200 OK\r\n", Match::No),
            (Down, "HTTP/1.1 2000 OK\r\n", Match::No),
            (Down, "HTTP/1.1 ok\r\n", Match::No),
            (Down, "RTSP/1.0 200 OK\r\n", Match::No),
            (Down, "SIP/2.0 200 OK\r\n", Match::No),
            (Down, "220 mail.example ESMTP\r\n", Match::No),
            (Down, "GET / HTTP/1.1\r\n", Match::No),
        ] {
            let mut p = Probe {
                data: data.as_bytes(),
                direction,
                proto: IpProto::TCP,
                client_port: 40_000,
                server_port: 4711,
                server: std::net::IpAddr::from([192, 0, 2, 80]),
                from_start: true,
                earlier_payload: false,
                earlier: &[],
            };
            assert_eq!(probe(&p), answer, "{direction:?} {data:?}");
            p.from_start = false;
            let midway = probe(&p);
            // Where the flow began before the capture the ends may be mistaken, and the tail of a method is no method.
            let expected = match data {
                "HTTP/1.1 200 OK\r\n" | "GET / HTTP/1.1\r\n" => Match::Yes,
                "X-OWN /x HTTP/1.1\r\n" => Match::No,
                _ => answer,
            };
            assert_eq!(midway, expected, "{direction:?} {data:?} midway");
        }
        let long = format!("GET /{}", "a".repeat(BELIEVED));
        assert_eq!(
            recognise(long.as_bytes(), Kind::Request, Methods::Known),
            Match::Yes,
            "the engine asks no longer"
        );
    }

    #[test]
    fn messages_end_where_they_should() {
        let talk = Talk::opened;
        let head = b"HEAD /a HTTP/1.1\r\nHost: web.example\r\n\r\n";
        for (name, talk, told) in [
            ("one after the other", talk().up(GET).down(NO_CONTENT).up(GET).down(&ok("Content-Length: 0", "")),
             "4 GET /a | 5 204 | 6 GET /a | 7 200"),
            ("pipelined", talk().up(&[GET, head, GET].concat()).down(&[&ok("Content-Length: 2", "ab"), &ok("Content-Length: 9", ""), NO_CONTENT].concat()),
             "4 GET /a | 4 HEAD /a | 4 GET /a | 5 200 +2 | 5 200 | 5 204"),
            ("body in the next frames", talk().up(&post("Content-Length: 6", "ab")).up(b"cd").up(&[b"ef", GET].concat()),
             "4,5,6 POST /p +6 | 6 GET /a"),
            ("not modified has a length and no body", talk().up(GET).down(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").down(NO_CONTENT),
             "4 GET /a | 5 304 | 6 204"),
            ("interim answers are none", talk().up(head).down(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").down(&ok("Content-Length: 5", "")).up(GET).down(NO_CONTENT),
             "4 HEAD /a | 5 103 | 5 100 | 6 200 | 7 GET /a | 8 204"),
            ("until close", talk().up(GET).down(b"HTTP/1.0 200 OK\r\n\r\nab").down(b"HTTP/1.1 200 OK\r\n").flag(Direction::Down, FIN),
             "4 GET /a | 5,6,7 200 +19"),
            ("other codings end with the connection", talk().up(GET).down(&ok("Transfer-Encoding: gzip\r\nContent-Length: 1", "abc")).flag(Direction::Down, FIN),
             "4 GET /a | 5 HTTP: ambiguous length: Content-Length and Transfer-Encoding do not say one thing | 5,6 200 +3"),
            ("chunked", talk().up(GET).down(&ok("Transfer-Encoding: chunked", "3;name=\"v\"\r\nabc\r\nA\r\n01234")).down(b"56789\r\n0\r\nX-Sum: 1\r\n").down(b"\r\n").down(NO_CONTENT),
             "4 GET /a | 5,6,7 200 +13 | 8 204"),
            ("chunked with LF only", talk().up(&post("transfer-encoding: identity, Chunked", "3\nabc\n0\n\n")).up(GET),
             "4 POST /p +3 | 5 GET /a"),
            ("LF only", talk().up(b"GET /lf HTTP/1.0\nHost: web.example\n\n").down(b"HTTP/1.0 204 x\n\n"),
             "4 GET /lf | 5 204"),
            ("empty lines before", talk().up(b"\r\n\r\n").up(GET).up(b"\n").up(GET), "5 GET /a | 7 GET /a"),
            ("header over frames", talk().up(&GET[..1]).up(&GET[1..20]).up(&GET[20..GET.len() - 1]).up(&GET[GET.len() - 1..]),
             "4,5,6,7 GET /a"),
            ("spaces in the target", talk().up(b"GET /a b c HTTP/1.0\r\n\r\n"), "4 GET /a b c"),
            ("bytes that are no text", talk().up(b"GET /\xe4 HTTP/1.0\r\nX: \xe4\r\n\r\n").down(b"HTTP/1.0 204 \xe4\r\n\r\n"), "4 GET /\u{fffd} | 5 204"),
            ("lines that are no fields", talk().up(b"GET /a HTTP/1.1\r\n folded: first\r\nno field\r\n: x\r\nContent-Length: 2\r\n\r\nab").up(GET),
             "4 GET /a +2 | 5 GET /a"),
            ("same length twice", talk().up(&post("Content-Length: 2\r\nContent-Length: 2, 2", "ab")).up(GET),
             "4 POST /p +2 | 5 GET /a"),
            ("without the request", talk().down(&ok("Content-Length: 2", "ab")).down(NO_CONTENT), "4 200 +2 | 5 204"),
        ] {
            assert_eq!(talk.told(), told, "{name}");
            assert!(!talk.classes().contains("unparsed"), "{name}: {}", talk.classes());
        }
    }

    #[test]
    fn doubtful_lengths_are_told_once_and_end() {
        const AMBIGUOUS: &str =
            "4 HTTP: ambiguous length: Content-Length and Transfer-Encoding do not say one thing";
        const BAD: &str = "4 HTTP: a chunk's size or end cannot be read";
        for (name, fields, body, told) in [
            (
                "coding before length",
                "Content-Length: 40\r\nTransfer-Encoding: chunked",
                "1\r\na\r\n0\r\n\r\n",
                format!("{AMBIGUOUS} | 4 POST /p +1"),
            ),
            (
                "the last length",
                "Content-Length: 1\r\nContent-Length: 3",
                "abc",
                format!("{AMBIGUOUS} | 4 POST /p +3"),
            ),
            ("no number", "Content-Length: +3", "abc", format!("{AMBIGUOUS} | 4 POST /p")),
            (
                "beyond 64 bits",
                "Content-Length: 18446744073709551617",
                "a",
                format!("{AMBIGUOUS} | 4 POST /p"),
            ),
            ("no chunks", "Transfer-Encoding: chunked, gzip", "abc", format!("{AMBIGUOUS} | 4 POST /p")),
            (
                "chunk beyond 64 bits",
                "Transfer-Encoding: chunked",
                "10000000000000000\r\nGET /no HTTP/1.1\r\n\r\n",
                format!("{BAD} | 4 POST /p"),
            ),
            ("chunk with a sign", "Transfer-Encoding: chunked", "-1\r\n", format!("{BAD} | 4 POST /p")),
            (
                "chunk without its end",
                "Transfer-Encoding: chunked",
                "1\r\nabc\r\n",
                format!("{BAD} | 4 POST /p +1"),
            ),
        ] {
            let talk = Talk::opened().up(&post(fields, body)).up(GET).up(&post(fields, ""));
            let seen = talk.told();
            assert!(seen.starts_with(&format!("{told} | 5 GET /a")), "{name}: {seen}");
            assert!(seen.matches("ambiguous").count() <= 1, "{name}: {seen}");
        }
    }

    #[test]
    fn a_length_beyond_the_capture_is_no_loop_and_no_message() {
        for fields in ["Content-Length: 9223372036854775807", "Transfer-Encoding: chunked"] {
            let body = if fields.starts_with('T') { "7fffffffffffffff\r\nabc" } else { "abc" };
            let talk = Talk::opened().up(GET).down(&ok(fields, body));
            let what = |why: &str| format!("HTTP: response 200 of frame 5: {why} (3 bytes of it are known)");
            let cut = talk.read();
            assert_eq!(talk.told(), "4 GET /a", "later frames may have been told by then");
            assert_eq!(cut.warnings[0].what, what("the end of its body is not in the capture"));
            assert_eq!(cut.warnings[0].frame, Some(5));
            let reset = talk.clone().flag(Direction::Up, RST);
            assert_eq!(
                reset.told(),
                format!("4 GET /a | 6 {}", what("the connection was reset within its body"))
            );
            let closed = talk.flag(Direction::Down, FIN);
            assert_eq!(
                closed.told(),
                format!("4 GET /a | 6 {}", what("the connection was closed within its body"))
            );
        }
        let header = Talk::opened().up(&GET[..30]);
        assert_eq!(header.told(), "4 HTTP: a header without its end");
    }

    #[test]
    fn gaps() {
        let (up, down) = (Direction::Up, Direction::Down);
        let answer = ok("Content-Length: 12", "abc");
        let chunked = ok("Transfer-Encoding: chunked", "9\r\nabc");
        for (name, talk, told) in [
            (
                "within a body",
                Talk::opened().up(GET).down(&answer).lost(down, 3).down(b"ghijkl").down(NO_CONTENT),
                "4 GET /a | 5,6 200 +12 | 7 204",
            ),
            (
                "at a body's end",
                Talk::opened().up(GET).down(&answer).lost(down, 9).down(NO_CONTENT),
                "4 GET /a | 5,6 200 +12 | 6 204",
            ),
            (
                "beyond a body",
                Talk::opened().up(GET).down(&answer).lost(down, 40).down(b"rest\r\n\r\n").down(NO_CONTENT),
                "4 GET /a | 7 204 | 24 HTTP: response 200 of frame 5: bytes of its body are missing in the capture (3 bytes of it are known)",
            ),
            (
                "within a chunk",
                Talk::opened()
                    .up(GET)
                    .down(&chunked)
                    .lost(down, 3)
                    .down(b"ghi\r\n0\r\n\r\n")
                    .down(NO_CONTENT),
                "4 GET /a | 5,6 200 +9 | 7 204",
            ),
            (
                "beyond a chunk",
                Talk::opened().up(GET).down(&chunked).lost(down, 30).down(b"0\r\n\r\n").down(NO_CONTENT),
                "4 GET /a | 7 204 | 24 HTTP: response 200 of frame 5: bytes of its body are missing in the capture (3 bytes of it are known)",
            ),
            ("within a header", Talk::opened().up(&GET[..20]).lost(up, 5).up(&GET[25..]).up(GET), "6 GET /a"),
            ("between requests", Talk::opened().up(GET).lost(up, 500).up(GET), "4 GET /a | 5 GET /a"),
            (
                "HEAD is lost, its answer is not",
                Talk::opened().up(GET).lost(up, 40).up(GET).down(NO_CONTENT),
                "4 GET /a | 5 GET /a | 6 204",
            ),
        ] {
            // A gap is a gap when the other side acknowledged the bytes and went on.
            let talk = (0..10).fold(talk, |talk, _| talk.flag(up, 0).flag(down, 0));
            assert_eq!(talk.told(), told, "{name}");
        }
        // At the capture's end the bytes may still have been under way: a request is not told then.
        let upload = Talk::opened().up(&post("Content-Length: 12", "abc")).lost(up, 3).up(b"ghijkl");
        let what = "HTTP: POST request of frame 4: bytes of its body are missing in the capture (3 bytes of it are known)";
        assert_eq!(upload.told(), "");
        assert_eq!(upload.read().warnings[0].what, what);
    }

    #[test]
    fn reading_goes_on_at_the_next_start_line() {
        let noise = b"\x00\x01 binary\r\nGET no start line\r\nTOKEN words in HTTP/1.1\r\n";
        let talk = Talk::opened().up(GET).up(noise).up(b"more").up(&[b"end\n", GET].concat()).up(noise);
        assert_eq!(
            talk.told(),
            "4 GET /a | 5 HTTP: no start line where one should be | 7 GET /a",
            "in the middle of a segment, and one warning a direction"
        );
        assert_eq!(
            talk.classes(),
            format!("http.header {}, http.unparsed {}", 2 * GET.len(), 2 * noise.len() + 8)
        );
        let mut talk = Talk::opened().up(b"GET /big HTTP/1.1\r\n");
        for _ in 0..70 {
            talk = talk.up(format!("X: {}\r\n", "y".repeat(1019)).as_bytes());
        }
        talk = talk.up(b"\r\n").up(GET);
        assert_eq!(talk.told(), "4 HTTP: a header of more than 65536 bytes was given up | 76 GET /a");
        let line = Talk::opened()
            .up(GET)
            .up(format!("GET /{}", "a".repeat(MAX_LINE)).as_bytes())
            .up(b" HTTP/1.1\r\n\r\n")
            .up(GET);
        assert!(line.told().ends_with("no start line where one should be | 7 GET /a"), "{}", line.told());
    }

    #[test]
    fn from_the_middle_of_a_connection() {
        let talk = Talk::midway(80).down(&ok("Content-Length: 2", "ab")).up(GET).down(NO_CONTENT);
        assert_eq!(talk.told(), "1 200 +2 | 2 GET /a | 3 204");
        // No port tells who the server is, and it speaks first: requests come from the end taken for the server.
        let swapped = Talk::midway(45_000).down(&ok("Content-Length: 2", "ab")).up(GET).down(NO_CONTENT);
        assert_eq!(swapped.told(), "1 200 +2 | 2 GET /a | 3 204");
        assert!(swapped.read().flows[0].names.is_empty(), "the name would be the client's");
    }

    #[test]
    fn the_host_of_the_target_counts_where_it_has_one() {
        for (target, host, name) in [
            ("http://b.example/x", "b.example", "b.example"),
            ("HTTP://me:pw@B.example:8080?x", "b.example:8080", "b.example"),
            ("https://b.example", "b.example", "b.example"),
            ("/redirect?to=http://b.example/", "a.example", "a.example"),
            ("http:///x", "a.example", "a.example"),
            ("data://b.example/", "a.example", "a.example"),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n");
            let analysis = Talk::opened().up(request.as_bytes()).read();
            assert_eq!(analysis.observations[0].fields["host"], host, "{target}");
            let names: Vec<&str> = analysis.flows[0].names.iter().map(|n| &n.name[..]).collect();
            assert_eq!(names, [name], "{target}");
        }
    }

    #[test]
    fn a_field_with_a_space_before_its_colon_counts() {
        let space = "HTTP: whitespace before the colon of a field, which servers have to refuse (RFC 9112 section 5.1)";
        for blank in [" ", "\t", "  \t "] {
            let post = format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding{blank}: chunked\r\nX: a : b\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            );
            let talk = Talk::opened().up(post.as_bytes()).up(GET);
            assert_eq!(talk.told(), format!("4 {space} | 4 POST / +3 | 5 GET /a"), "{blank:?}");
            assert_eq!(talk.read().observations[1].fields["headers"][2], serde_json::json!(["X", "a : b"]));
        }
        // Beside a length that says something else, both are told.
        let body = format!("0\r\n\r\n{}", String::from_utf8_lossy(GET));
        let smuggled = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let told = Talk::opened().up(smuggled.as_bytes()).told();
        assert!(
            told.contains(space) && told.contains("ambiguous length") && told.ends_with("GET /a"),
            "{told}"
        );
        let answer = Talk::opened().up(GET).down(&ok("Content-Length : 2", "ab")).up(GET).told();
        assert_eq!(answer, format!("4 GET /a | 5 {space} | 5 200 +2 | 6 GET /a"));
    }

    #[test]
    fn fields_of_observations() {
        let request =
            b"GET http://bob:pw@web.example/x?token=abcdefghij&q=1 HTTP/1.0\r\nHOST: Web.Example:8080\r\n\
            User-Agent: one\r\n two\r\nCookie: a=1; sid=0123456789\r\n\r\n";
        let answer =
            b"HTTP/1.1 200\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\
            Set-Cookie: sid=0123456789; Path=/\r\n\r\nabc";
        let seen = Talk::opened().up(request).down(answer).read().observations;
        let fields = |n: usize| serde_json::Value::Object(seen[n].fields.clone());
        assert_eq!(
            fields(0),
            serde_json::json!({
                "version": "1.0", "method": "GET", "host": "web.example", "user_agent": "one   two", "body_bytes": 0,
                "target": "http://…@web.example/x?token=a…j (8 to 15 characters)&q=1",
                "headers": [
                    ["HOST", "Web.Example:8080"], ["User-Agent", "one   two"],
                    ["Cookie", "a=… (under 8 characters); sid=0…9 (8 to 15 characters)"],
                ],
            })
        );
        assert_eq!(
            fields(1),
            serde_json::json!({
                "version": "1.1", "status": 200, "content_type": "text/html", "content_encoding": "gzip", "body_bytes": 3,
                "headers": [
                    ["Content-Type", "text/html"], ["Content-Encoding", "gzip"], ["Content-Length", "3"],
                    ["Set-Cookie", "sid=0…9 (8 to 15 characters); Path=/"],
                ],
            })
        );
        let open = Talk::opened().up(request).read_as(true).observations;
        assert_eq!(open[0].fields["target"], "http://bob:pw@web.example/x?token=abcdefghij&q=1");
        assert_eq!(open[0].fields["headers"][2][1], "a=1; sid=0123456789");
    }

    #[test]
    fn the_same_secret_is_told_once_a_flow() {
        let request =
            b"GET /x?q=1&api_key=K1234567 HTTP/1.1\r\nAuthorization: Basic Ym9iOnNlc2FtZTEyMw==\r\n\
            Proxy-Authorization: Bearer abcdefghijkl\r\nCookie: theme=dark; JSESSIONID=0123456789abcdef\r\n\
            X-Auth-Token: zyxwvutsrq\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n\r\n";
        let answer = b"HTTP/1.1 204 No Content\r\nSet-Cookie: JSESSIONID=0123456789abcdef; Secure\r\n\
            Set-Cookie: gone=; Max-Age=0\r\nAccess-Control-Allow-Credentials: true-true\r\n\r\n";
        let talk = Talk::opened().up(request).down(answer).up(request).down(answer);
        let read = talk.read();
        let told: Vec<_> = read
            .findings
            .iter()
            .map(|f| format!("{:?} {:?} {:?} {}", f.kind, f.severity, f.frames, f.what))
            .collect();
        assert_eq!(
            told,
            [
                "Token Medium [4] api_key in the request target: K…7 (8 to 15 characters)",
                "Credential Critical [4] HTTP Basic log-in of user … (under 8 characters) with password s…3 (8 to 15 characters)",
                "Token Critical [4] HTTP Bearer log-in with token a…l (8 to 15 characters)",
                "Cookie Low [4] cookie theme sent in clear: … (under 8 characters)",
                "Cookie Medium [4] cookie JSESSIONID sent in clear: 0…f (16 to 31 characters)",
                "Token Medium [4] header x-auth-token: z…q (8 to 15 characters)",
            ]
        );
        for (finding, begins) in
            read.findings.iter().zip(["api_key=", "Basic Y", "Bearer a", "theme=", "JSESSIONID=", "zyx"])
        {
            assert!(request[finding.offset as usize..].starts_with(begins.as_bytes()), "{}", finding.what);
        }
        let open = talk.read_as(true);
        assert!(
            open.findings[1].what.ends_with("of user bob with password sesame123"),
            "{}",
            open.findings[1].what
        );
        assert!(open.findings[4].what.ends_with("0123456789abcdef"));
        assert_eq!(read.flows[0].encryption, "none");
    }

    #[test]
    fn messages_with_content_count_and_stand_ins_do_not() {
        let get = b"GET /v1/profile HTTP/1.1\r\nHost: chat.signal.org\r\n\r\n";
        let answer = |status: &str, kind: &str, body: &str| {
            let length = body.len();
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        let count = |talk: Talk| talk.read().flows[0].clear_messages;
        for (status, kind, body, expected) in [
            ("200 OK", "application/json", "{}", 1),
            ("200 OK", "application/json", "", 0),
            ("301 Moved Permanently", "text/plain", "see https", 0),
            ("403 Forbidden", "text/plain", "no", 0),
            ("200 OK", "Text/HTML; charset=utf-8", "<p>log in to this network", 0),
        ] {
            let talk = Talk::opened().up(get).down(answer(status, kind, body).as_bytes());
            assert_eq!(count(talk), expected, "{status} {kind}");
        }
        // What was sent was sent, whatever is answered.
        let refused = answer("301 Moved Permanently", "text/plain", "see https");
        assert_eq!(
            count(Talk::opened().up(&post("Content-Length: 5\r\n", "hello")).down(refused.as_bytes())),
            1
        );
    }

    #[test]
    fn names_of_servers() {
        for (host, name) in [
            ("Chat.Example", Some("chat.example")),
            ("chat.example.:8080", Some("chat.example")),
            ("localhost", Some("localhost")),
            ("_dav.x--y.example", Some("_dav.x--y.example")),
            ("192.0.2.1", None),
            ("192.0.2.1:80", None),
            ("[2001:db8::1]:80", None),
            ("2001:db8::1", None),
            ("", None),
            (":80", None),
            ("a..b", None),
            ("a b", None),
            ("-a.example", None),
            ("evil<script>", None),
            ("user@chat.example", None),
            ("B\u{fc}cher.example.", Some("xn--bcher-kva.example")),
        ] {
            let talk = Talk::opened().up(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
            let names = talk.read().flows[0].names.clone();
            assert_eq!(names.first().map(|n| n.name.as_str()), name, "{host:?}");
            assert!(names.iter().all(|n| n.source == "http-host" && n.frame == 4));
        }
    }

    fn client_hello(name: &str) -> Vec<u8> {
        let with_length = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
        let names = with_length(&[&[0][..], &with_length(name.as_bytes())].concat());
        let extensions = with_length(&[&[0, 0][..], &with_length(&names)].concat());
        let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
        let message = [&[1, 0][..], &with_length(&body)].concat();
        [&[22, 3, 1][..], &with_length(&message)].concat()
    }

    #[test]
    fn what_a_proxy_passes_on_is_recognised() {
        let connect = b"CONNECT chat.example:443 HTTP/1.1\r\nHost: chat.example:443\r\n\r\n";
        let established = b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n";
        let hello = client_hello("inner.example");
        for (name, talk, told) in [
            (
                "answered",
                Talk::opened().up(connect).down(established).up(&hello),
                "4 CONNECT chat.example:443 | 5 200 | 6 tls.client_hello",
            ),
            (
                "hello in two parts",
                Talk::opened().up(connect).down(established).up(&hello[..2]).up(&hello[2..]),
                "4 CONNECT chat.example:443 | 5 200 | 6,7 tls.client_hello",
            ),
            (
                "hello before the answer",
                Talk::opened().up(connect).up(&hello).down(established),
                "4 CONNECT chat.example:443 | 6 200 | 5 tls.client_hello",
            ),
            (
                "hello in the same segment",
                Talk::opened().up(&[connect, hello.as_slice()].concat()).down(established),
                "4 CONNECT chat.example:443 | 5 200 | 4 tls.client_hello",
            ),
            (
                "answers not captured",
                Talk::opened().up(connect).up(&hello).up(&[23, 3, 3, 0, 1, 9]),
                "4 CONNECT chat.example:443 | 5 tls.client_hello",
            ),
            (
                "request not captured",
                Talk::midway(80).down(established).up(&hello),
                "1 200 | 2 tls.client_hello",
            ),
            (
                "refused",
                Talk::opened()
                    .up(connect)
                    .down(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
                    .up(connect)
                    .down(established)
                    .up(&hello),
                "4 CONNECT chat.example:443 | 5 407 | 6 CONNECT chat.example:443 | 7 200 | 8 tls.client_hello",
            ),
            (
                "HTTP within",
                Talk::opened().up(connect).down(established).up(GET).down(NO_CONTENT),
                "4 CONNECT chat.example:443 | 5 200 | 6 GET /a | 7 204",
            ),
        ] {
            let mut lines: Vec<String> = talk.told().split(" | ").map(str::to_owned).collect();
            let mut expected: Vec<String> = told.split(" | ").map(str::to_owned).collect();
            // In frame order, whatever was known first.
            lines.sort();
            expected.sort();
            assert_eq!(lines, expected, "{name}");
            let flow = &talk.read().flows[0];
            if told.contains("tls") {
                assert_eq!(flow.app_protocols, ["http", "tls"], "{name}");
                assert_eq!(flow.encryption, "tls", "{name}");
                assert!(flow.names.iter().any(|n| n.name == "inner.example" && n.source == "sni"), "{name}");
            }
        }
    }

    #[test]
    fn upgrades() {
        let ask = |to: &str| {
            format!("GET /ws HTTP/1.1\r\nHost: web.example\r\nUpgrade: {to}\r\nConnection: Upgrade\r\n\r\n")
        };
        let agree = |to: &str| {
            format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: {to}\r\nConnection: Upgrade\r\n\r\n")
        };
        for (to, protocols, class, more) in [
            ("WebSocket", &["http", "websocket"][..], "websocket 6", " | 5 websocket.message"),
            ("h2c", &["http", "http2"][..], "http2.control 6", ""),
            ("own/1", &["http"][..], "opaque 6", ""),
        ] {
            let talk = Talk::opened()
                .up(ask(to).as_bytes())
                .down([agree(to).as_bytes(), b"\x81\x01x"].concat().as_slice())
                .up(b"\x81\x80\0");
            assert_eq!(talk.told(), format!("4 GET /ws | 5 101{more}"), "{to}");
            assert_eq!(talk.read().flows[0].app_protocols, protocols, "{to}");
            let header = ask(to).len() + agree(to).len();
            let mut classes = talk.classes().split(", ").map(str::to_owned).collect::<Vec<_>>();
            let mut expected = vec![format!("http.header {header}"), class.to_owned()];
            classes.sort();
            expected.sort();
            assert_eq!(classes, expected, "{to}");
        }
        let refused = Talk::opened().up(ask("h2c").as_bytes()).down(&ok("Content-Length: 1", "a")).up(GET);
        assert_eq!(refused.told(), "4 GET /ws | 5 200 +1 | 6 GET /a");
    }

    /// Streams with most of what is read, up and down.
    fn samples() -> [(Vec<u8>, Vec<u8>); 2] {
        [
            (
                [
                    &post(
                        "Transfer-Encoding: chunked\r\nCookie: sid=0123456789",
                        "3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
                    ),
                    &post("Content-Length: 4\r\nX: a\r\n b", "wxyz"),
                    GET,
                    b"HEAD / HTTP/1.1\nHost: h\n\n",
                ]
                .concat(),
                [
                    &ok("Content-Length: 3", "abc")[..],
                    b"HTTP/1.1 100 Continue\r\n\r\n",
                    &ok("Transfer-Encoding: chunked", "5\r\nabcde\r\n0\r\n\r\n"),
                    NO_CONTENT,
                    &ok("Content-Length: 99", ""),
                ]
                .concat(),
            ),
            (
                b"CONNECT chat.example:443 HTTP/1.1\r\n\r\n".to_vec(),
                b"HTTP/1.1 200 Connection established\r\n\r\n\x15\x03\x03\0\x02\x02\x28".to_vec(),
            ),
        ]
    }

    /// What was said without the frames.
    fn said(talk: &Talk) -> Vec<String> {
        talk.told()
            .split(" | ")
            .filter(|l| !l.is_empty())
            .map(|l| l.split_once(' ').unwrap().1.to_owned())
            .collect()
    }

    #[test]
    fn segments_change_nothing() {
        for (up, down) in samples() {
            let whole = said(&Talk::opened().up(&up).down(&down));
            for cut in 1..up.len() {
                assert_eq!(
                    said(&Talk::opened().up(&up[..cut]).up(&up[cut..]).down(&down)),
                    whole,
                    "up at {cut}"
                );
            }
            for cut in 1..down.len() {
                assert_eq!(
                    said(&Talk::opened().up(&up).down(&down[..cut]).down(&down[cut..])),
                    whole,
                    "down at {cut}"
                );
            }
            let mut bytes = Talk::opened();
            bytes = up.chunks(1).fold(bytes, Talk::up);
            bytes = down.chunks(1).fold(bytes, Talk::down);
            assert_eq!(said(&bytes), whole, "byte by byte");
        }
    }

    #[test]
    fn cut_anywhere_nothing_is_invented() {
        for (up, down) in samples() {
            let is_message = |l: &String| !l.starts_with("HTTP: ");
            let whole: Vec<String> =
                said(&Talk::opened().up(&up).down(&down)).into_iter().filter(is_message).collect();
            let (requests, answers): (Vec<_>, Vec<_>) =
                whole.iter().cloned().partition(|l| !l.starts_with(|c: char| c.is_ascii_digit()));
            for cut in 0..up.len() {
                let seen: Vec<_> =
                    said(&Talk::opened().up(&up[..cut])).into_iter().filter(is_message).collect();
                assert!(requests.starts_with(&seen) && seen.len() < requests.len(), "{cut}: {seen:?}");
            }
            for cut in 0..down.len() {
                let seen: Vec<_> =
                    said(&Talk::opened().up(&up).down(&down[..cut])).into_iter().filter(is_message).collect();
                let seen = seen.get(requests.len()..).unwrap();
                assert!(
                    answers.starts_with(seen) && (seen.len() < answers.len() || cut >= down.len() - 7),
                    "{cut}: {seen:?}"
                );
            }
            // A hole of any one byte: no panic, and no message that the whole does not have.
            for hole in 0..up.len() {
                let talk =
                    Talk::opened().up(&up[..hole]).lost(Direction::Up, 1).up(&up[hole + 1..]).down(&down);
                for line in said(&talk).into_iter().filter(is_message) {
                    assert!(whole.iter().any(|w| *w == line || w.starts_with(&line)), "{hole}: {line}");
                }
            }
        }
    }
}
