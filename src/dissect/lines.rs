//! What the line protocols share: lines, message bodies, log-ins and the step to TLS.
//!
//! Takes the bytes that a dissector was shown; gives one line at a time, the extent of a body, findings and the observation of
//! a command. Each byte is looked at once however it arrives, and nothing is kept of a body but its length and a few frames.
//! Knows no protocol's commands.

use serde::Serialize;

use super::{Class, Cx, Match, Probe, Step, tls};
use crate::model::{Direction, FindingKind, Severity};
use crate::payload::{Credential, Masking, RawFinding, SaslLogin, UserPass, credential, mask};

/// Longest line that is read, in bytes; of longer ones only the length is counted.
pub(super) const MAX_LINE: usize = 64 << 10;

/// Bytes of a flow's first line that a probe looks at.
const MAX_PROBED: usize = 1024;

/// Frames that a finding names: the first ones and the last.
const MAX_FRAMES: usize = 8;

/// Messages in clear that one flow reports.
const MAX_CONTENTS: u8 = 4;

/// Class of what stands where a line should and is no text.
const OPAQUE: Class = Class::opaque("opaque");

/// A line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Without CRLF or LF.
    pub(super) text: &'a [u8],
    /// Bytes with the line end.
    pub(super) size: usize,
}

/// Where both directions are between their lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    up: Side,
    down: Side,
}

#[derive(Debug, Default)]
struct Side {
    /// Bytes of the line that were looked at without finding its end.
    scanned: usize,
    /// Not at a line border: after a gap, or within a line that is too long.
    inside: bool,
}

impl Lines {
    fn side(&mut self, d: Direction) -> &mut Side {
        match d {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// The line that `data` begins with.
    ///
    /// # Errors
    /// The step to return where there is none to read: more bytes are needed, or what there is belongs to a line that began
    /// in a gap, is too long or is no text.
    pub(super) fn next<'a>(&mut self, d: Direction, data: &'a [u8], class: Class) -> Result<Line<'a>, Step> {
        let place = self.side(d);
        let rest = data.get(place.scanned..).unwrap_or_default();
        let Some(at) = rest.iter().position(|b| *b == b'\n') else {
            if place.inside || data.len() > MAX_LINE {
                *place = Side { scanned: 0, inside: true };
                return Err(Step::Took(data.len(), class_of(data, class)));
            }
            place.scanned = data.len();
            return Err(Step::More(data.len() + 1));
        };
        let size = place.scanned + at + 1;
        let inside = std::mem::take(place).inside;
        let text = without_end(data.get(..size).unwrap_or_default());
        if inside || size > MAX_LINE || !is_text(text) {
            return Err(Step::Took(size, class_of(text, class)));
        }
        Ok(Line { text, size })
    }

    /// Bytes are missing: reading goes on behind the next line end.
    pub(super) fn lost(&mut self, d: Direction) {
        *self.side(d) = Side { scanned: 0, inside: true };
    }

    /// The next byte may be within a line whose beginning is not there.
    pub(super) fn is_lost(&self, d: Direction) -> bool {
        if d == Direction::Up { self.up.inside } else { self.down.inside }
    }

    /// The next byte begins a line.
    pub(super) fn restart(&mut self, d: Direction) {
        *self.side(d) = Side::default();
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// No NUL and few controls. Ciphertext has one control in eight bytes, and a NUL in one of 256.
fn is_text(line: &[u8]) -> bool {
    let controls = line.iter().filter(|b| **b < 0x20 && !b"\t\r".contains(*b) || **b == 0x7f).count();
    !line.contains(&0) && controls * 12 <= line.len() + 12
}

fn class_of(line: &[u8], class: Class) -> Class {
    if is_text(line) { class } else { OPAQUE }
}

/// The first word and what stands behind the spaces after it.
pub(super) fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let at = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(at).unwrap_or((line, &[]));
    (word, rest.trim_ascii_start())
}

/// The word of the list that `word` is in any case of letters.
pub(super) fn known(list: &[&'static str], word: &[u8]) -> Option<&'static str> {
    list.iter().copied().find(|k| k.as_bytes().eq_ignore_ascii_case(word))
}

/// `text` begins with `prefix`, in any case of letters.
pub(super) fn starts(text: &[u8], prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// `part` is in `text`, in any case of letters.
pub(super) fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len().max(1)).any(|w| w.eq_ignore_ascii_case(part.as_bytes()))
}

/// Code of a reply and whether it is the reply's last line (RFC 5321 section 4.2, RFC 959 section 4.2).
pub(super) fn reply(line: &[u8]) -> Option<(u16, bool)> {
    let code = line.get(..3).filter(|c| c.iter().all(u8::is_ascii_digit))?;
    let number = code.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
    match line.get(3) {
        None | Some(b' ') => Some((number, true)),
        Some(b'-') => Some((number, false)),
        Some(_) => None,
    }
}

/// Judges the first line. While it has no end, `begins` says whether it may still become one.
pub(super) fn probe_line(
    data: &[u8],
    begins: impl FnOnce(&[u8]) -> bool,
    is: impl FnOnce(&[u8]) -> bool,
) -> Match {
    let shown = data.get(..MAX_PROBED).unwrap_or(data);
    match shown.iter().position(|b| *b == b'\n') {
        Some(end) => {
            let text = without_end(shown.get(..=end).unwrap_or_default());
            if is_text(text) && is(text) { Match::Yes } else { Match::No }
        }
        None if shown.len() < MAX_PROBED && is_text(shown) && begins(without_end(shown)) => Match::Maybe,
        None => Match::No,
    }
}

/// Judges a server's numbered reply: any on a port of `ports`, elsewhere a greeting that has one of `words`.
pub(super) fn probe_reply(p: &Probe<'_>, ports: &[u16], words: &[&str]) -> Match {
    let shown = p.data.get(..MAX_PROBED).unwrap_or(p.data);
    probe_line(
        shown,
        |part| part.iter().take(3).all(u8::is_ascii_digit),
        |line| match reply(line) {
            Some((100..=599, _)) if p.server_on(ports) => true,
            Some((220, _)) => words.iter().any(|word| contains(shown, word)),
            _ => false,
        },
    )
}

/// `part` is the beginning of a line whose first word is in the list.
pub(super) fn may_be(list: &[&'static str], part: &[u8]) -> bool {
    let (word, _) = split(part);
    let whole = word.len() < part.len();
    list.iter().any(|k| {
        if whole { k.as_bytes().eq_ignore_ascii_case(word) } else { starts(k.as_bytes(), &lossy(word)) }
    })
}

/// Bytes as text, invalid ones replaced.
pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes as they may be shown: what no terminal should see is escaped, long text is cut.
pub(super) fn shown(bytes: &[u8]) -> String {
    mask::escape(&String::from_utf8_lossy(bytes))
}

/// A client's command, as CONTRACT.md has it.
#[derive(Serialize)]
struct Fields<'a> {
    command: &'a str,
    argument: String,
    starttls: bool,
}

/// States a command of `size` bytes, with the frames of parts that came before. `argument` writes what follows the verb, its
/// secrets masked.
pub(super) fn emit(
    kind: &'static str,
    size: usize,
    earlier: &[u64],
    command: &str,
    argument: impl FnOnce(Masking) -> String,
    starttls: bool,
    cx: &mut Cx<'_>,
) {
    if cx.observing() {
        let masking = cx.masking();
        let frames = cx.frames(0..size).after(earlier);
        cx.emit_at(kind, frames, || Fields { command, argument: argument(masking), starttls });
    }
}

/// A stretch of one direction that may reach over many steps.
#[derive(Clone, Debug)]
pub(super) struct Span {
    direction: Direction,
    start: u64,
    end: u64,
    frames: Vec<u64>,
}

impl Span {
    /// The first `size` of the bytes shown.
    pub(super) fn of(size: usize, cx: &Cx<'_>) -> Span {
        let mut span =
            Span { direction: cx.direction, start: cx.offset(0), end: cx.offset(0), frames: Vec::new() };
        span.add(size, cx);
        span
    }

    /// Goes on with the first `size` of the bytes shown now.
    pub(super) fn add(&mut self, size: usize, cx: &Cx<'_>) {
        self.end = cx.offset(size);
        for frame in cx.frames(0..size).all {
            if self.frames.contains(&frame) {
                continue;
            }
            if self.frames.len() == MAX_FRAMES {
                self.frames.pop();
            }
            self.frames.push(frame);
        }
    }

    /// Its first frames and its last one.
    pub(super) fn frames(&self) -> &[u64] {
        &self.frames
    }

    fn tell(mut self, raw: RawFinding, cx: &mut Cx<'_>) {
        self.frames.sort_unstable();
        let raw = RawFinding { range: (self.start, self.end), ..raw };
        cx.out.finding(cx.facts, self.direction, self.frames, raw);
    }
}

/// Reports a log-in in clear.
pub(super) fn tell_credential(credential: &Credential, span: Span, cx: &mut Cx<'_>) {
    let raw = credential.finding((0, 0), cx.masking(), false);
    span.tell(raw, cx);
}

/// The id of what the protocol of a flow shows: `smtp-address`.
fn named(cx: &Cx<'_>, what: &str) -> String {
    format!("{}-{what}", cx.facts.protocols.last().copied().unwrap_or("unknown"))
}

/// Reports a mail address in the first `size` of the bytes shown.
pub(super) fn tell_address(what: &str, address: &[u8], size: usize, cx: &mut Cx<'_>) {
    let raw = RawFinding {
        kind: FindingKind::Identifier,
        severity: Severity::High,
        what: format!("{what} in clear: {}", cx.masking().apply_any(&lossy(address))),
        rule: Some(named(cx, "address")),
        ..RawFinding::default()
    };
    Span::of(size, cx).tell(raw, cx);
}

/// What ends a body.
#[derive(Clone, Copy, Debug)]
enum End {
    /// A line of a single dot; this is what was last seen on the way to it.
    Dot(Near),
    /// So many bytes are left.
    Count(u64),
}

/// Where a body is behind a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterGap {
    /// Still within it, or its end was in the gap: a dot has no place of its own.
    Within,
    /// It is over, and what follows begins with the next byte.
    Border,
    /// It ended somewhere in the gap.
    Lost,
}

#[derive(Clone, Copy, Debug)]
enum Near {
    LineStart,
    Dot,
    DotCr,
    Inside,
}

/// A message, or another long part between commands, as it passes by.
#[derive(Debug)]
pub(super) struct Body {
    end: End,
    bytes: u64,
    gap: bool,
    ended: bool,
    span: Option<Span>,
}

impl Body {
    fn new(end: End) -> Body {
        Body { end, bytes: 0, gap: false, ended: false, span: None }
    }

    /// Ends with a line of a single dot (RFC 5321 section 4.5.2, RFC 1939 section 3).
    pub(super) fn dotted() -> Body {
        Body::new(End::Dot(Near::LineStart))
    }

    /// As [`Body::dotted`], where the beginning is missing.
    pub(super) fn dotted_after_gap() -> Body {
        Body { gap: true, ..Body::new(End::Dot(Near::Inside)) }
    }

    /// Has `size` bytes.
    pub(super) fn counted(size: u64) -> Body {
        Body::new(End::Count(size))
    }

    /// Has `size` bytes more (SMTP sends one message in several chunks).
    pub(super) fn extend(&mut self, size: u64) {
        self.end = End::Count(size);
        self.ended = size == 0;
    }

    /// Takes its share of the bytes shown: how many, and whether it ends with them.
    pub(super) fn take(&mut self, data: &[u8], cx: &Cx<'_>) -> (usize, bool) {
        let (taken, mark) = match &mut self.end {
            End::Count(left) => {
                let taken = usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()));
                *left -= taken as u64;
                (taken, (*left == 0).then_some(0))
            }
            End::Dot(state) => to_dot(state, data),
        };
        match &mut self.span {
            Some(span) => span.add(taken, cx),
            None => self.span = Some(Span::of(taken, cx)),
        }
        self.bytes = (self.bytes + taken as u64).saturating_sub(mark.unwrap_or(0));
        self.ended = mark.is_some();
        (taken, self.ended)
    }

    /// Bytes are missing.
    pub(super) fn gap(&mut self, missing: u64) -> AfterGap {
        self.gap = true;
        match &mut self.end {
            End::Dot(state) => {
                *state = Near::Inside;
                AfterGap::Within
            }
            End::Count(left) if *left > missing => {
                *left -= missing;
                AfterGap::Within
            }
            End::Count(left) if *left == missing => AfterGap::Border,
            End::Count(_) => AfterGap::Lost,
        }
    }

    /// A part of it is missing, possibly its end.
    pub(super) fn has_gap(&self) -> bool {
        self.gap
    }

    /// The rest will not come, although its last part was whole.
    pub(super) fn cut(&mut self) {
        self.ended = false;
    }

    /// None of it came.
    pub(super) fn is_unbegun(&self) -> bool {
        self.bytes == 0 && !self.gap
    }
}

/// Looks for a line of a single dot, over any number of calls: how many bytes were looked at, and the size of that line once
/// it is there.
fn to_dot(state: &mut Near, data: &[u8]) -> (usize, Option<u64>) {
    let mut at = 0;
    while let Some(rest) = data.get(at..).filter(|r| !r.is_empty()) {
        match (*state, rest.first().copied()) {
            (Near::LineStart, Some(b'.')) => *state = Near::Dot,
            (Near::LineStart, Some(b'\n')) => {}
            (Near::Dot, Some(b'\r')) => *state = Near::DotCr,
            (Near::Dot, Some(b'\n')) => return (at + 1, Some(2)),
            (Near::DotCr, Some(b'\n')) => return (at + 1, Some(3)),
            _ => {
                let Some(end) = rest.iter().position(|b| *b == b'\n') else {
                    *state = Near::Inside;
                    return (data.len(), None);
                };
                *state = Near::LineStart;
                at += end;
            }
        }
        at += 1;
    }
    (at, None)
}

/// The messages that a flow has reported.
#[derive(Debug, Default)]
pub(super) struct Contents(u8);

impl Contents {
    /// Reports a message in clear, by its size.
    pub(super) fn tell(&mut self, what: &str, body: Body, cx: &mut Cx<'_>) {
        let Some(span) = body.span.filter(|_| body.bytes > 0) else { return };
        let cut = match (body.gap, body.ended) {
            (true, _) => " (parts are not in the capture)",
            (_, false) => " (its end is not in the capture)",
            _ => "",
        };
        self.tell_size(&format!("{what} in clear, {} bytes{cut}", body.bytes), span, cx);
    }

    /// As [`Contents::tell`], with the whole text.
    pub(super) fn tell_size(&mut self, what: &str, span: Span, cx: &mut Cx<'_>) {
        if self.0 >= MAX_CONTENTS {
            return;
        }
        self.0 += 1;
        let raw = RawFinding {
            kind: FindingKind::Content,
            severity: Severity::High,
            what: what.to_owned(),
            rule: Some(named(cx, "content")),
            ..RawFinding::default()
        };
        span.tell(raw, cx);
    }
}

/// A log-in by `USER` and `PASS`.
#[derive(Default)]
pub(super) struct Login {
    pair: UserPass,
    user: Option<Span>,
}

impl Login {
    /// The client's next line; `read` is the protocol's part of [`UserPass`].
    pub(super) fn line(
        &mut self,
        line: Line<'_>,
        read: fn(&mut UserPass, &[u8]) -> Option<Credential>,
        cx: &mut Cx<'_>,
    ) {
        if starts(line.text, "USER ") {
            self.user = Some(Span::of(line.size, cx));
        }
        let Some(credential) = read(&mut self.pair, line.text) else { return };
        let span = match self.user.take().filter(|_| credential.user.is_some()) {
            Some(mut span) => {
                span.add(line.size, cx);
                span
            }
            None => Span::of(line.size, cx),
        };
        tell_credential(&credential, span, cx);
    }
}

/// A SASL dialogue (RFC 4422); its messages are lines of base64.
pub(super) struct Sasl {
    mechanism: Vec<u8>,
    login: SaslLogin,
    /// Messages of the client to come; `None` when only the server's answer tells the end.
    left: Option<u8>,
    span: Option<Span>,
}

impl Sasl {
    /// Begins with the name of a mechanism.
    pub(super) fn new(mechanism: &[u8]) -> Sasl {
        let mechanism = mechanism.to_ascii_uppercase();
        let left = match mechanism.as_slice() {
            b"PLAIN" | b"CRAM-MD5" | b"EXTERNAL" | b"ANONYMOUS" | b"XOAUTH2" | b"OAUTHBEARER" => Some(1),
            b"LOGIN" | b"DIGEST-MD5" => Some(2),
            _ => None,
        };
        Sasl { mechanism, login: SaslLogin::default(), left, span: None }
    }

    /// Whether this names a mechanism in use, not a message.
    pub(super) fn is_mechanism(name: &[u8]) -> bool {
        const OTHERS: [&str; 12] = [
            "ANONYMOUS",
            "CRAM-MD5",
            "DIGEST-MD5",
            "EXTERNAL",
            "GSSAPI",
            "KERBEROS_V4",
            "LOGIN",
            "NTLM",
            "OAUTHBEARER",
            "OPENID20",
            "PLAIN",
            "XOAUTH2",
        ];
        let family = ["SCRAM-", "ECDSA-", "DH-", "GS2-"].iter().any(|f| starts(name, f));
        known(&OTHERS, name).is_some() || (family && name.len() <= 24)
    }

    /// The line is a message of this dialogue, not a command.
    pub(super) fn takes(&self, line: &[u8]) -> bool {
        let base64 = |b: &u8| b.is_ascii_alphanumeric() || b"+/=".contains(b);
        self.left != Some(0) && (line == b"*" || line.iter().all(base64))
    }

    /// The client's next message, within the first `size` of the bytes shown; reports a log-in once it is whole.
    pub(super) fn message(&mut self, response: &[u8], size: usize, cx: &mut Cx<'_>) {
        self.left = if response == b"*" { Some(0) } else { self.left.map(|n| n.saturating_sub(1)) };
        match &mut self.span {
            Some(span) => span.add(size, cx),
            None => self.span = Some(Span::of(size, cx)),
        }
        let credential = if self.mechanism == b"LOGIN" {
            self.login.answer(response)
        } else {
            credential::sasl(&self.mechanism, response)
        };
        if let Some(credential) = credential
            && let Some(span) = self.span.take()
        {
            tell_credential(&credential, span, cx);
        }
    }
}

/// Size of the TLS record that `data` begins with.
fn record_size(data: &[u8]) -> usize {
    match *data {
        [_, _, _, high, low, ..] => 5 + usize::from(u16::from_be_bytes([high, low])),
        _ => 5,
    }
}

/// The step from a line protocol to TLS (RFC 3207, 2595, 4217).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// Nobody asked.
    #[default]
    None,
    /// The client asked; the server has not answered yet.
    Asked,
    /// As before, and so many bytes of the client's hello are there already.
    Held(usize),
}

impl Upgrade {
    /// The client asked for TLS.
    pub(super) fn ask(&mut self) {
        *self = Upgrade::Asked;
    }

    /// TLS was asked for and not refused.
    pub(super) fn is_asked(self) -> bool {
        self != Upgrade::None
    }

    /// Looks at what comes where a line should begin. A TLS record there means that the answer which allowed it is not in the
    /// capture, or comes behind it: `Some` is the step to return.
    pub(super) fn look(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Option<Step> {
        let record = match *data {
            [22, 3, 0..=4, _, _, 1 | 2, ..] => true,
            [20..=23, 3, 0..=4, _, _, _, ..] => self.is_asked(),
            [22] | [22, 3] | [22, 3, 0..=4] | [22, 3, 0..=4, _] | [22, 3, 0..=4, _, _] => {
                return Some(Step::More(6));
            }
            _ => false,
        };
        if !record {
            return None;
        }
        match (*self, d) {
            // Shown again without more behind them: nothing else will come, so TLS reads them here.
            (Upgrade::Held(size), Direction::Up) if size == data.len() => {
                cx.switch_to("tls");
                return Some((tls::PROTOCOL.start)().stream(d, data, cx));
            }
            // The answer may be only a frame away; the bytes stay where TLS will find them.
            (Upgrade::Asked | Upgrade::Held(_), Direction::Up) if data.len() <= record_size(data) => {
                *self = Upgrade::Held(data.len());
            }
            _ => cx.switch_to("tls"),
        }
        Some(Step::More(data.len() + 1))
    }
}

/// Captures of conversations, for the tests of the line protocols.
#[cfg(test)]
pub(super) mod testing {
    use std::collections::BTreeSet;

    use super::super::{CaptureAnalysis, Options, analyse_bytes};
    use crate::model::FindingKind;

    /// What one side does.
    #[derive(Clone, Copy, Debug)]
    pub(in crate::dissect) enum Say<'a> {
        /// The client sends.
        Up(&'a [u8]),
        /// The server sends.
        Down(&'a [u8]),
        /// The client sends so many bytes that are not in the capture.
        LostUp(usize),
        /// The server does.
        LostDown(usize),
    }

    struct Pcap {
        bytes: Vec<u8>,
        port: u16,
        /// Next sequence numbers.
        next: [u32; 2],
    }

    impl Pcap {
        fn new(port: u16) -> Pcap {
            let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
            bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0]);
            Pcap { bytes, port, next: [1000, 2000] }
        }

        fn packet(&mut self, up: bool, flags: u8, payload: &[u8]) {
            let (from, to) = (usize::from(!up), usize::from(up));
            let ports = if up { [40_000, self.port] } else { [self.port, 40_000] };
            let size = 40 + payload.len() as u32;
            self.bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
            self.bytes.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
            self.bytes.extend([0x45, 0, (size >> 8) as u8, size as u8, 0, 0, 0x40, 0, 64, 6, 0, 0]);
            self.bytes.extend(if up { [10, 0, 0, 1, 10, 0, 0, 2] } else { [10, 0, 0, 2, 10, 0, 0, 1] });
            self.bytes.extend(ports.map(u16::to_be_bytes).concat());
            self.bytes.extend([self.next[from].to_be_bytes(), self.next[to].to_be_bytes()].concat());
            self.bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            self.bytes.extend(payload);
            self.next[from] += payload.len() as u32 + u32::from(flags & 2 != 0);
        }
    }

    /// The analysis of a conversation in segments of `segment` bytes at most.
    pub(in crate::dissect) fn talk(port: u16, segment: usize, said: &[Say<'_>]) -> CaptureAnalysis {
        let mut pcap = Pcap::new(port);
        pcap.packet(true, 0x02, b"");
        pcap.packet(false, 0x12, b"");
        for (at, say) in said.iter().enumerate() {
            match *say {
                Say::Up(data) => data.chunks(segment).for_each(|d| pcap.packet(true, 0x18, d)),
                Say::Down(data) => data.chunks(segment).for_each(|d| pcap.packet(false, 0x18, d)),
                Say::LostUp(n) => pcap.next[0] += n as u32,
                Say::LostDown(n) => pcap.next[1] += n as u32,
            }
            // The receiver has what the capture lacks, and says so.
            if at > 0 && matches!(said[at - 1], Say::LostUp(_) | Say::LostDown(_)) {
                for _ in 0..10 {
                    pcap.packet(matches!(say, Say::Down(_)), 0x10, b"");
                }
            }
        }
        let options = Options { observe: true, ..Options::default() };
        analyse_bytes("talk.pcap", &pcap.bytes, &options).unwrap()
    }

    /// The commands as `COMMAND argument`, with `!` where TLS is asked for.
    pub(in crate::dissect) fn commands(analysis: &CaptureAnalysis) -> Vec<String> {
        let commands = analysis.observations.iter().filter(|o| o.fields.contains_key("command"));
        commands
            .map(|o| {
                let field = |name: &str| o.fields[name].as_str().unwrap().to_owned();
                let tls = if o.fields["starttls"] == true { "!" } else { "" };
                format!("{tls}{} {}", field("command"), field("argument")).trim_end().to_owned()
            })
            .collect()
    }

    /// What findings of a kind say.
    pub(in crate::dissect) fn findings(analysis: &CaptureAnalysis, kind: FindingKind) -> Vec<&str> {
        analysis.findings.iter().filter(|f| f.kind == kind).map(|f| f.what.as_str()).collect()
    }

    /// The same in segments of any size; and cut anywhere, nothing else than before.
    pub(in crate::dissect) fn holds_in_pieces(port: u16, said: &[Say<'_>]) {
        let whole = talk(port, 1400, said);
        let texts =
            |a: &CaptureAnalysis| -> Vec<String> { a.findings.iter().map(|f| f.what.clone()).collect() };
        assert!(commands(&whole).len() > 2, "{:?}", commands(&whole));
        for segment in [1, 2, 7] {
            let pieces = talk(port, segment, said);
            assert_eq!(commands(&pieces), commands(&whole), "segments of {segment}");
            assert_eq!(texts(&pieces), texts(&whole), "segments of {segment}");
            assert_eq!(pieces.flows[0].app_protocols, whole.flows[0].app_protocols, "segments of {segment}");
        }
        let known: BTreeSet<String> = texts(&whole).into_iter().collect();
        for (at, say) in said.iter().enumerate() {
            let (Say::Up(data) | Say::Down(data)) = *say else { continue };
            for cut in 0..data.len() {
                let mut begin = said[..at].to_vec();
                begin.push(if matches!(say, Say::Up(_)) {
                    Say::Up(&data[..cut])
                } else {
                    Say::Down(&data[..cut])
                });
                let cut_off = talk(port, 1400, &begin);
                assert!(
                    commands(&whole).starts_with(&commands(&cut_off)),
                    "{at}, {cut}: {:?}",
                    commands(&cut_off)
                );
                for what in texts(&cut_off) {
                    let cut_mail = what.ends_with("not in the capture)") || what.starts_with("readable text");
                    assert!(cut_mail || known.contains(&what), "{at}, {cut}: {what}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{IpProto, PROTOCOLS};
    use super::*;

    const CLASS: Class = Class::clear("test");

    #[test]
    fn lines_end_with_crlf_or_lf() {
        let mut lines = Lines::default();
        for (data, text, size) in [
            (&b"QUIT\r\nmore"[..], &b"QUIT"[..], 6),
            (b"QUIT\nmore", b"QUIT", 5),
            (b"\r\n", b"", 2),
            (b"one\rline\r\r\n", b"one\rline\r", 11),
        ] {
            assert_eq!(lines.next(Direction::Up, data, CLASS), Ok(Line { text, size }), "{data:?}");
        }
    }

    #[test]
    fn no_byte_is_looked_at_twice() {
        let mut lines = Lines::default();
        assert_eq!(lines.next(Direction::Up, b"....", CLASS), Err(Step::More(5)));
        assert_eq!(lines.next(Direction::Down, b"b\n", CLASS), Ok(Line { text: b"b", size: 2 }));
        // Line ends among the bytes seen before are not found: they were not looked for again.
        let line = lines.next(Direction::Up, b"\n\n\n\nc\n", CLASS);
        assert_eq!(line, Err(Step::Took(6, OPAQUE)));
    }

    #[test]
    fn long_lines_gaps_and_ciphertext_are_no_lines() {
        let mut lines = Lines::default();
        let long = vec![b'a'; MAX_LINE + 1];
        assert_eq!(lines.next(Direction::Up, &long, CLASS), Err(Step::Took(long.len(), CLASS)));
        assert_eq!(lines.next(Direction::Up, b"aaa", CLASS), Err(Step::Took(3, CLASS)));
        assert_eq!(lines.next(Direction::Up, b"a\nQUIT\n", CLASS), Err(Step::Took(2, CLASS)));
        assert_eq!(lines.next(Direction::Up, b"QUIT\n", CLASS), Ok(Line { text: b"QUIT", size: 5 }));
        lines.lost(Direction::Up);
        assert_eq!(lines.next(Direction::Up, b"QUIT\n", CLASS), Err(Step::Took(5, CLASS)));
        let noise: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(151) | 1).chain([b'\n']).collect();
        assert_eq!(lines.next(Direction::Up, &noise, CLASS), Err(Step::Took(noise.len(), OPAQUE)));
        assert_eq!(lines.next(Direction::Up, b"a\0b\n", CLASS), Err(Step::Took(4, OPAQUE)));
    }

    #[test]
    fn a_dot_alone_ends_a_body_wherever_it_is_cut() {
        for (data, end, mark) in [
            (&b"a\r\n.\r\nQUIT\r\n"[..], Some(6), 3),
            (b".\r\nQUIT", Some(3), 3),
            (b"a\n.\nQUIT", Some(4), 2),
            (b"a\r\n..\r\n.b\r\n.\rc\r\n\r\n.\r\n", Some(21), 3),
            (b"a.\r\nb .\r\n", None, 0),
            (b"a\r\n.", None, 0),
            (b"a\r\n.\r", None, 0),
        ] {
            for cut in 0..=data.len() {
                let mut state = Near::LineStart;
                let (first, second) = data.split_at(cut);
                let seen = match to_dot(&mut state, first) {
                    (taken, Some(size)) => Some((taken, size)),
                    (taken, None) => {
                        assert_eq!(taken, cut);
                        match to_dot(&mut state, second) {
                            (taken, Some(size)) => Some((cut + taken, size)),
                            (taken, None) => {
                                assert_eq!(cut + taken, data.len());
                                None
                            }
                        }
                    }
                };
                assert_eq!(seen, end.map(|end| (end, mark)), "{} cut at {cut}", data.escape_ascii());
            }
        }
    }

    fn ask(direction: Direction, port: u16, from_start: bool, data: &[u8]) -> Vec<(&'static str, Match)> {
        let probe = Probe {
            data,
            direction,
            proto: IpProto::TCP,
            client_port: 40_000,
            server_port: port,
            server: [192, 0, 2, 1].into(),
            from_start,
            earlier_payload: false,
            earlier: &[],
        };
        let ours = ["smtp", "imap", "pop3", "ftp", "irc"];
        let answers = PROTOCOLS.iter().filter(|p| ours.contains(&p.id)).map(|p| (p.id, (p.probe)(&probe)));
        answers.filter(|(_, m)| *m != Match::No).collect()
    }

    #[test]
    fn probes_know_their_own() {
        use Direction::{Down, Up};
        for (direction, port, data, id) in [
            (Down, 25, "220 mail.example\r\n", "smtp"),
            (Down, 9025, "220 mail.example ESMTP\r\n", "smtp"),
            (Down, 9025, "220-mail.example ESMTP\r\n220 go on\r\n", "smtp"),
            (Down, 587, "250-SIZE 1000\r\n", "smtp"),
            (Up, 9025, "ehlo client.example\r\n", "smtp"),
            (Up, 9025, "MAIL FROM:<a@mail.example>\r\n", "smtp"),
            (Up, 25, "DATA\r\n", "smtp"),
            (Down, 21, "220 Welcome\r\n", "ftp"),
            (Down, 2121, "220 ProFTPD Server\r\n", "ftp"),
            (Up, 21, "USER anonymous\r\n", "ftp"),
            (Up, 2121, "AUTH TLS\r\n", "ftp"),
            (Down, 9143, "* OK ready\r\n", "imap"),
            (Down, 143, "* 12 EXISTS\r\n", "imap"),
            (Up, 9143, "a CAPABILITY\r\n", "imap"),
            (Up, 9143, ". login user secret\r\n", "imap"),
            (Up, 9143, "A7 UID FETCH 1:* (FLAGS)\r\n", "imap"),
            (Down, 110, "+OK\r\n", "pop3"),
            (Down, 9110, "+OK POP3 ready\r\n", "pop3"),
            (Down, 9110, "+OK hello <1.2@mail.example>\r\n", "pop3"),
            (Up, 110, "USER someone\r\n", "pop3"),
            (Up, 9110, "CAPA\r\n", "pop3"),
            (Down, 8000, ":irc.example 001 nick :Welcome\r\n", "irc"),
            (Down, 8000, "NOTICE AUTH :*** Looking up your hostname\r\n", "irc"),
            (Down, 6667, "PING :irc.example\r\n", "irc"),
            (Up, 8000, "NICK someone\r\n", "irc"),
            (Up, 8000, "USER a 0 * :A name\r\n", "irc"),
            (Up, 8000, "CAP LS 302\r\n", "irc"),
            (Up, 6667, "PASS secret\r\n", "irc"),
        ] {
            let bytes = data.as_bytes();
            for from_start in [true, false] {
                if data != "* OK ready\r\n" || from_start {
                    assert_eq!(ask(direction, port, from_start, bytes), [(id, Match::Yes)], "{data:?}");
                }
            }
            for cut in 1..bytes.len() {
                let answers = ask(direction, port, true, &bytes[..cut]);
                assert!(answers.iter().any(|(p, _)| *p == id), "{data:?} cut at {cut}");
                // A whole first line is enough.
                assert!(
                    answers.iter().all(|(_, m)| *m == Match::Maybe || bytes[..cut].contains(&b'\n')),
                    "{data:?}, {cut}"
                );
            }
        }
    }

    #[test]
    fn probes_leave_others_alone() {
        for port in [80, 23, 119, 5222, 6379, 8000] {
            for data in [
                "GET / HTTP/1.1\r\nHost: mail.example\r\n\r\n",
                "HTTP/1.1 220 SMTP\r\n\r\n",
                "SSH-2.0-OpenSSH_9.2p1\r\n",
                "+OK\r\n",
                "*1\r\n$4\r\nPING\r\n",
                "PING\r\n",
                "200 news.example ready\r\n",
                "CAPABILITIES\r\n",
                "220 ready\r\n",
                "USER someone\r\n",
                "PASS secret\r\n",
                "AUTH PLAIN\r\n",
                "LIST\r\n",
                "QUIT\r\n",
                "login: ",
                "The list of names\r\n",
                "I select you\r\n",
                "* OK\r\n",
                ": comment\r\n",
                "NICK\r\n",
                "NICK 12 34\r\n",
                "<stream:stream to='chat.example'>\n",
                "REGISTER sip:chat.example SIP/2.0\r\n",
                "RFB 003.008\n",
                "@RSYNCD: 31.0\n",
                "INFO {\"server_id\":\"x\"}\r\n",
                "\u{10}\u{16}\0\u{4}MQTT\n",
                "\u{16}\u{3}\u{1}\0\n",
            ] {
                for direction in [Direction::Up, Direction::Down] {
                    for from_start in [true, false] {
                        let yes = ask(direction, port, from_start, data.as_bytes());
                        assert!(
                            !yes.iter().any(|(_, m)| *m == Match::Yes),
                            "{port} {direction:?} {data:?}: {yes:?}"
                        );
                    }
                }
            }
        }
    }
}
