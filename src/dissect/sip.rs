//! SIP: who calls whom, and what the call will be made of (RFC 3261; SDP RFC 8866, RFC 8839 candidates, RFC 4568 keys).
//!
//! Takes requests and responses over UDP and TCP; gives one observation each with method or status, the parties masked, and what
//! the session description says. Log-ins, keys in clear, the parties and a peer's public address are findings. Reads
//! the headers that these need, not all; bodies other than SDP are counted only.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use serde::Serialize;

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step, call, media, stun};
use crate::model::{Direction, FindingKind, Severity};
use crate::payload::mask::escape;
use crate::payload::{Masking, RawFinding, credential};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "sip",
    title: "SIP",
    source: "RFC 3261, RFC 8866, RFC 8839, RFC 4568",
    over: &[IpProto::UDP, IpProto::TCP],
    ports: &[5060],
    reads: "requests and responses over UDP and TCP, log-ins, session descriptions in SDP; not other bodies",
    probe,
    start: || Box::new(Sip::default()),
};

const CLASS: Class = Class::clear("sip");
const OPAQUE: Class = Class::opaque("opaque");

/// Header lines of one message that are read, and bytes of its head.
const MAX_LINES: usize = 256;
const MAX_HEAD: usize = 1 << 16;

/// Log-ins and keys of one flow that are told apart.
const MAX_TOLD: usize = 16;

/// Characters of a Call-ID by which calls are told apart.
const MAX_CALL_ID: usize = 256;

/// INVITEs within a call whose answers are known as theirs; the latest ones of a flow.
const MAX_AGAIN: usize = 64;

/// Methods of RFC 3261 and its extensions (IANA SIP parameters).
const METHODS: [&str; 14] = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];

fn probe(p: &Probe<'_>) -> Match {
    let data = skip_breaks(p.data);
    if first_line(data).and_then(start_line).is_some() {
        return Match::Yes;
    }
    // Over a stream the first line may still be on its way.
    let begun = |word: &str, then: &str| {
        let (first, rest) = data.split_at_checked(word.len()).unwrap_or((data, &[]));
        let shown = rest.get(..then.len()).unwrap_or(rest);
        word.as_bytes().starts_with(first) && then.as_bytes().starts_with(shown)
    };
    let open = p.proto == IpProto::TCP && p.from_start && data.len() < 1024 && !data.contains(&b'\n');
    let words = || begun("SIP/2.0", " ") || METHODS.iter().any(|m| begun(m, " sip"));
    if open && !data.is_empty() && words() { Match::Maybe } else { Match::No }
}

/// What comes before a message to keep a way open (RFC 5626 section 3.5.1).
fn skip_breaks(data: &[u8]) -> &[u8] {
    let at = data.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(data.len());
    data.get(at..).unwrap_or_default()
}

fn first_line(data: &[u8]) -> Option<&str> {
    let end = data.iter().take(4096).position(|b| *b == b'\n')?;
    std::str::from_utf8(data.get(..end)?).ok().map(str::trim_end)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start<'a> {
    Request { method: &'a str, uri: &'a str },
    Response { status: u16, reason: &'a str },
}

/// The first line of a message (RFC 3261 sections 7.1 and 7.2).
fn start_line(line: &str) -> Option<Start<'_>> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status: u16 = status.parse().ok().filter(|s| (100..700).contains(s))?;
        return Some(Start::Response { status, reason });
    }
    let (method, rest) = line.split_once(' ')?;
    let (uri, version) = rest.rsplit_once(' ')?;
    // Methods are open to extension; the version is SIP's own.
    let token = (2..=20).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase());
    (token && version == "SIP/2.0" && !uri.is_empty()).then_some(Start::Request { method, uri })
}

#[derive(Default)]
struct Sip {
    lost: [bool; 2],
    /// Log-ins and keys that were told.
    told: BTreeSet<String>,
    parties_told: bool,
    peer_told: bool,
    /// INVITEs within a call, by Call-ID, number and direction.
    again: VecDeque<(String, u32, Direction)>,
}

impl Dissector for Sip {
    fn datagram(&mut self, _: Direction, data: &[u8], cx: &mut Cx<'_>) -> Class {
        let rest = skip_breaks(data);
        if rest.iter().all(|b| *b == 0) {
            return CLASS;
        }
        let at = data.len() - rest.len();
        let Some(message) = Message::read(rest) else { return OPAQUE };
        self.message(&message, at, "udp", cx);
        CLASS
    }

    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let rest = skip_breaks(data);
        let at = data.len() - rest.len();
        if rest.is_empty() {
            return Step::Took(at, CLASS);
        }
        if first_line(rest).is_some_and(|line| start_line(line).is_some()) {
            *d.pick(&mut self.lost) = false;
        } else if rest.len() >= 4096 || rest.contains(&b'\n') || *d.pick(&mut self.lost) {
            if !std::mem::replace(d.pick(&mut self.lost), true) {
                cx.warn(at, "SIP: no first line where one should be");
            }
            return Step::Took(data.len(), OPAQUE);
        } else {
            return Step::More(data.len() + 1);
        }
        let Some(message) = Message::read(rest).filter(|m| m.head_ended) else {
            if rest.len() > MAX_HEAD {
                *d.pick(&mut self.lost) = true;
                return Step::Took(data.len(), OPAQUE);
            }
            return Step::More(data.len() + 1);
        };
        // Over a stream the length is required (RFC 3261 section 18.3); without it there is no body.
        let size = (at + message.body.start).saturating_add(message.content_length.unwrap_or(0));
        if size > data.len() {
            return Step::More(size);
        }
        self.message(&message, at, "tcp", cx);
        Step::Took(size, CLASS)
    }

    fn gap(&mut self, d: Direction, _: u64, _: &mut Cx<'_>) {
        *d.pick(&mut self.lost) = true;
    }

    fn unfinished(&self) -> Class {
        CLASS
    }
}

/// One header field: lower-case long name, value, and where the value stands.
struct Field<'a> {
    name: String,
    value: &'a str,
    range: Range<usize>,
}

struct Message<'a> {
    start: Start<'a>,
    fields: Vec<Field<'a>>,
    /// The empty line behind the head is there.
    head_ended: bool,
    content_length: Option<usize>,
    /// Where the body stands, as far as it is there.
    body: Range<usize>,
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(bytes: &'a [u8]) -> Option<Message<'a>> {
        let start = start_line(first_line(bytes)?)?;
        let mut fields: Vec<Field<'a>> = Vec::new();
        let (mut head_ended, mut goes_on) = (false, false);
        let mut at = 0;
        for line in bytes.split_inclusive(|b| *b == b'\n').take(MAX_LINES) {
            let begin = at;
            at += line.len();
            if at > MAX_HEAD {
                break;
            }
            // Half a line says nothing sure: a user's name without the `@` behind it looks like a host.
            if !line.ends_with(b"\n") {
                break;
            }
            let line = line.trim_ascii_end();
            if line.is_empty() {
                head_ended = true;
                break;
            }
            // A line that begins with a blank goes on with the field before it (RFC 3261 section 7.3.1).
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                if let Some(field) = fields.last_mut().filter(|_| goes_on) {
                    let whole = bytes.get(field.range.start..begin + line.len());
                    if let Some(Ok(value)) = whole.map(std::str::from_utf8) {
                        let lead = value.len() - value.trim_start().len();
                        let from = field.range.start + lead;
                        field.value = value.trim();
                        field.range = from..from + field.value.len();
                    }
                }
                continue;
            }
            goes_on = false;
            let Some(colon) = line.iter().position(|b| *b == b':').filter(|_| begin > 0) else { continue };
            let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
            let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
                continue;
            };
            let lead = value.len() - value.trim_start().len();
            let from = begin + colon + 1 + lead;
            let value = value.trim();
            fields.push(Field { name: long_name(name.trim_end()), value, range: from..from + value.len() });
            goes_on = true;
        }
        let mut message =
            Message { start, fields, head_ended, content_length: None, body: at..bytes.len(), bytes };
        message.content_length = message.field("content-length").and_then(|v| v.parse().ok());
        if let Some(length) = message.content_length {
            message.body.end = at.saturating_add(length).min(bytes.len());
        }
        Some(message)
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|f| f.name == name).map(|f| f.value)
    }

    /// What tells calls apart (RFC 3261 section 20.8); empty without it.
    fn call_id(&self) -> String {
        self.field("call-id").unwrap_or_default().chars().take(MAX_CALL_ID).collect()
    }

    fn address(&self, name: &str, masking: Masking) -> Option<String> {
        self.field(name).map(|value| mask_address(value, masking))
    }
}

/// Whether From or To has a tag: a parameter of the header, not of the address in angle brackets (RFC 3261 section 20.10).
fn has_tag(value: &str) -> bool {
    let parameters = value.rsplit_once('>').map_or(value, |(_, rest)| rest).split(';').skip(1);
    parameters
        .filter_map(|p| p.trim().split_once('='))
        .any(|(name, _)| name.trim().eq_ignore_ascii_case("tag"))
}

/// The full name of a header (compact forms: RFC 3261 section 7.3.3).
fn long_name(name: &str) -> String {
    match name {
        "f" | "F" => "from".into(),
        "t" | "T" => "to".into(),
        "m" | "M" => "contact".into(),
        "i" | "I" => "call-id".into(),
        "l" | "L" => "content-length".into(),
        "c" | "C" => "content-type".into(),
        _ => name.to_ascii_lowercase(),
    }
}

/// The address of a header or request line (RFC 3261 section 20.10): scheme and host, the user masked, nothing else.
fn mask_address(value: &str, masking: Masking) -> String {
    let (scheme, user, host) = address_parts(value);
    match user {
        Some(user) => format!("{}:{}@{}", escape(scheme), masking.apply_any(user), escape(host)),
        None if scheme == "tel" => format!("tel:{}", masking.apply_any(host)),
        // Without a user, a server's name; what cannot be one may hold a user behind a damaged `@`.
        None if host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b)) => {
            escape(&format!("{scheme}{}{host}", if scheme.is_empty() { "" } else { ":" }))
        }
        None => masking.apply(host),
    }
}

fn address_parts(value: &str) -> (&str, Option<&str>, &str) {
    let inner = value.split_once('<').map_or(value, |(_, rest)| rest.split('>').next().unwrap_or(rest));
    let (scheme, rest) = inner.split_once(':').unwrap_or(("", inner));
    let (user, rest) = match rest.rsplit_once('@') {
        // A password may stand behind the user's name (RFC 3261 section 19.1.1); it is masked away with it.
        Some((user, host)) => (Some(user), host),
        None => (None, rest),
    };
    let host = rest.split([';', '?', ',', ' ']).next().unwrap_or(rest);
    (scheme.trim(), user, host.trim())
}

impl Sip {
    /// States one message; `at` is where it begins in the bytes shown.
    fn message(&mut self, m: &Message<'_>, at: usize, transport: &'static str, cx: &mut Cx<'_>) {
        let masking = if cx.show_secrets() { Masking::Off } else { Masking::On };
        for field in &m.fields {
            if matches!(field.name.as_str(), "authorization" | "proxy-authorization") {
                self.log_in(field, at, masking, cx);
            }
        }
        self.parties(m, at, masking, cx);
        let sdp = self.session(m, at, masking, cx);
        let range = at..at + m.body.end.max(m.body.start);
        self.progress(m, cx.frame(range.clone()), cx);
        match m.start {
            Start::Request { method, uri } => cx.emit("sip.request", range, || Request {
                method,
                uri: mask_address(uri, masking),
                common: Common::of(m, transport, masking, sdp),
            }),
            Start::Response { status, reason } => cx.emit("sip.response", range, || Response {
                status,
                reason: escape(reason),
                common: Common::of(m, transport, masking, sdp),
            }),
        }
    }

    /// How far the call has come. An INVITE with a tag in To changes a call that is there (RFC 3261 section 14): it is no
    /// invitation, and what answers it is not the answer to one.
    fn progress(&mut self, m: &Message<'_>, frame: u64, cx: &mut Cx<'_>) {
        let (call_id, d) = (m.call_id(), cx.direction);
        call::continued(&call_id, frame, cx);
        // The number counts one side's requests of a call (RFC 3261 section 20.16).
        let mut parts = m.field("cseq").unwrap_or_default().split_ascii_whitespace();
        let (number, method) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let number = number.parse::<u32>().unwrap_or_default();
        match m.start {
            Start::Request { method: "INVITE", .. } if m.field("to").is_some_and(has_tag) => {
                let again = (call_id, number, d);
                if !self.again.contains(&again) {
                    if self.again.len() >= MAX_AGAIN {
                        self.again.pop_front();
                    }
                    self.again.push_back(again);
                }
            }
            Start::Request { method: "INVITE", .. } => call::invited(&call_id, frame, cx),
            Start::Response { status: 200..=299, .. } if method.eq_ignore_ascii_case("INVITE") => {
                let within = (call_id, number, d.reverse());
                if !self.again.contains(&within) {
                    call::answered(&within.0, frame, cx);
                }
            }
            _ => {}
        }
    }

    /// A log-in, once for each scheme and user.
    fn log_in(&mut self, field: &Field<'_>, at: usize, masking: Masking, cx: &mut Cx<'_>) {
        let Some(credential) = credential::http_authorization(field.value.as_bytes()) else { return };
        let key = format!("{} {:?} {:?}", credential.scheme, credential.user, credential.secret);
        if self.told.len() < MAX_TOLD && self.told.insert(key) {
            let finding = credential.finding((0, 0), masking, false);
            let what = format!("SIP: {}", finding.what);
            // The schemes are those of HTTP (RFC 3261 section 22).
            let rule = finding.rule.as_ref().map(|id| id.replacen("http", "sip", 1));
            cx.finding(at + field.range.start..at + field.range.end, RawFinding { what, rule, ..finding });
        }
    }

    /// Who calls whom, once a flow.
    fn parties(&mut self, m: &Message<'_>, at: usize, masking: Masking, cx: &mut Cx<'_>) {
        let Start::Request { method: "INVITE" | "MESSAGE" | "REGISTER", .. } = m.start else { return };
        let Some(from) = m.fields.iter().find(|f| f.name == "from").filter(|_| !self.parties_told) else {
            return;
        };
        self.parties_told = true;
        let to = m.address("to", masking).unwrap_or_default();
        let what = format!("SIP addresses in clear: {} to {to}", mask_address(from.value, masking));
        cx.finding(
            at + from.range.start..at + from.range.end,
            RawFinding {
                kind: FindingKind::Identifier,
                severity: Severity::Medium,
                what,
                rule: Some("sip-addresses".to_owned()),
                ..RawFinding::default()
            },
        );
    }

    /// The session description in the body, if it has one.
    fn session(&mut self, m: &Message<'_>, at: usize, masking: Masking, cx: &mut Cx<'_>) -> Option<Session> {
        let kind = m.field("content-type").unwrap_or_default().to_ascii_lowercase();
        // A body of several parts has it among them.
        if !kind.starts_with("application/sdp") && !kind.starts_with("multipart/") {
            return None;
        }
        let body = m.bytes.get(m.body.clone())?;
        let mut session = Session::default();
        let mut connection = None;
        let mut ports = Vec::new();
        let mut line_at = m.body.start;
        for line in body.split_inclusive(|b| *b == b'\n').take(MAX_LINES * 4) {
            let begin = at + line_at;
            line_at += line.len();
            let Ok(text) = std::str::from_utf8(line.trim_ascii_end()) else { continue };
            let range = begin..begin + text.len();
            match text.get(..2) {
                Some("c=") => {
                    let address = text.split_ascii_whitespace().nth(2).unwrap_or_default();
                    connection =
                        address.split('/').next().and_then(|a| a.parse::<IpAddr>().ok()).or(connection);
                    session.connection.get_or_insert_with(|| escape(text.get(2..).unwrap_or_default()));
                }
                Some("m=") if session.media.len() < 16 => {
                    let port = text.split_ascii_whitespace().nth(1).and_then(|p| p.parse::<u16>().ok());
                    ports.extend(port.filter(|port| *port > 0));
                    session.media.push(escape(text.get(2..).unwrap_or_default()));
                }
                Some("a=") => self.attribute(text, range, (m, &mut session), masking, cx),
                _ => {}
            }
        }
        // Where a description has a connection for each medium, the last one stands for them.
        let whole = at + m.body.start..at + m.body.end.max(m.body.start);
        let frame = cx.frame(whole);
        for port in ports {
            if let Some(ip) = connection.filter(|ip| !ip.is_unspecified()) {
                call::described(&m.call_id(), SocketAddr::new(ip, port), "peer", frame, cx);
            }
        }
        Some(session)
    }

    fn attribute(
        &mut self,
        line: &str,
        range: Range<usize>,
        (m, session): (&Message<'_>, &mut Session),
        masking: Masking,
        cx: &mut Cx<'_>,
    ) {
        if let Some(candidate) = line.strip_prefix("a=candidate:") {
            let Some(candidate) = Candidate::read(candidate) else { return };
            let (_, client, server) = cx.ends();
            let ip = candidate.address.ip();
            let frame = cx.frame(range.clone());
            call::described(&m.call_id(), candidate.address, candidate.kind, frame, cx);
            // A relay's address does not tell where its user is, and the flow's own ends are in every packet.
            let tells = candidate.kind != "relay" && ip != client.addr() && ip != server.addr();
            if tells && media::is_public(ip) && !std::mem::replace(&mut self.peer_told, true) {
                let finding = stun::peer_finding("candidate", candidate.address, cx.show_secrets());
                cx.finding(range, finding);
            }
            if session.candidates.len() < 64 {
                session.candidates.push(format!("{} {}", candidate.address, escape(candidate.kind)));
            }
        } else if let Some(crypto) = line.strip_prefix("a=crypto:") {
            let mut words = crypto.split(' ').skip(1);
            let suite = words.next().unwrap_or_default();
            let key = words.find_map(|w| w.strip_prefix("inline:"));
            let Some(key) = key.and_then(|k| k.split(['|', ';']).next()).filter(|k| !k.is_empty()) else {
                return;
            };
            session.crypto.push(escape(suite));
            if self.told.len() < MAX_TOLD && self.told.insert(format!("key {key}")) {
                cx.finding(
                    range,
                    RawFinding {
                        kind: FindingKind::Credential,
                        severity: Severity::Critical,
                        what: format!(
                            "SRTP master key in clear in SDP ({}): {}",
                            escape(suite),
                            masking.apply(key)
                        ),
                        encoding: vec!["base64".to_owned()],
                        range: (0, 0),
                        rule: Some("sdp-srtp-key".to_owned()),
                        ..RawFinding::default()
                    },
                );
            }
        } else if line.starts_with("a=fingerprint:") {
            session.fingerprint = true;
        }
    }
}

/// A way to reach a side (RFC 8839 section 5.1).
struct Candidate<'a> {
    address: SocketAddr,
    kind: &'a str,
}

impl<'a> Candidate<'a> {
    /// Reads what stands behind `a=candidate:`; `None` for names, which hide the address (RFC 8839 section 4.1).
    fn read(text: &'a str) -> Option<Candidate<'a>> {
        let mut words = text.split_ascii_whitespace().skip(4);
        let ip: IpAddr = words.next()?.parse().ok()?;
        let port: u16 = words.next()?.parse().ok()?;
        let kind = words.next().filter(|w| *w == "typ").and_then(|_| words.next())?;
        Some(Candidate { address: SocketAddr::new(ip, port), kind })
    }
}

#[derive(Default, Serialize)]
struct Session {
    connection: Option<String>,
    media: Vec<String>,
    candidates: Vec<String>,
    /// Suites whose keys stand in clear.
    crypto: Vec<String>,
    /// Keys will be made by DTLS.
    fingerprint: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    method: &'a str,
    uri: String,
    #[serde(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Response {
    status: u16,
    reason: String,
    #[serde(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Common {
    transport: &'static str,
    from: Option<String>,
    to: Option<String>,
    contact: Option<String>,
    cseq: Option<String>,
    software: Option<String>,
    content_type: Option<String>,
    body_bytes: usize,
    sdp: Option<Session>,
}

impl Common {
    fn of(m: &Message<'_>, transport: &'static str, masking: Masking, sdp: Option<Session>) -> Common {
        Common {
            transport,
            from: m.address("from", masking),
            to: m.address("to", masking),
            contact: m.address("contact", masking),
            cseq: m.field("cseq").map(escape),
            software: m.field("user-agent").or_else(|| m.field("server")).map(escape),
            content_type: m.field("content-type").map(escape),
            body_bytes: m.body.len(),
            sdp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{connection, datagrams, of_kind, text};
    use super::*;
    use crate::model::Direction::{Down, Up};

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.168.0.7\r\ns=-\r\nc=IN IP4 192.168.0.7\r\nt=0 0\r\n\
        m=audio 30000 RTP/SAVP 0 8\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\n\
        a=candidate:1 1 UDP 2130706431 192.168.0.7 30000 typ host\r\n\
        a=candidate:2 1 UDP 1694498815 198.51.100.4 30001 typ srflx raddr 192.168.0.7 rport 30000\r\n\
        a=candidate:3 1 UDP 16777215 203.0.113.9 30002 typ relay\r\n";

    fn invite() -> String {
        format!(
            "INVITE sip:+4930123456789@voip.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.0.7\r\n\
             f: \"Alice Example\" <sip:alice.example:geheim@voip.example>;tag=1\r\nTo: <sip:+4930123456789@voip.example>\r\n\
             Contact: <sip:alice.example@192.168.0.7:5060>\r\nCSeq: 1 INVITE\r\n\
             Proxy-Authorization: Digest username=\"alice.example\", realm=\"voip\", response=\"00\"\r\n\
             c: application/sdp\r\nl: {}\r\n\r\n{SDP}",
            SDP.len()
        )
    }

    const RINGING: &str = "SIP/2.0 180 Ringing\r\nFrom: <sip:alice.example@voip.example>\r\nTo: <tel:+4930123456789>\r\n\
        CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn addresses_cannot_steer_a_terminal() {
        for address in ["\u{3}:@", "sip\u{1b}[1m:bob@\u{7}", "\u{3}"] {
            let shown = mask_address(address, Masking::On);
            assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
        }
    }

    #[test]
    fn requests_and_responses() {
        let analysis = datagrams(5060, &[(Up, &invite()[..]), (Down, RINGING), (Up, "\r\n\r\n")]);
        let [request] = of_kind(&analysis, "sip.request")[..] else { panic!("not one request") };
        let [response] = of_kind(&analysis, "sip.response")[..] else { panic!("not one response") };
        assert_eq!(["method", "cseq"].map(|f| text(request, f)), ["INVITE", "1 INVITE"]);
        assert_eq!(["status", "reason"].map(|f| text(response, f)), ["180", "Ringing"]);
        let sdp = &request.fields["sdp"];
        assert_eq!(sdp["media"][0], "audio 30000 RTP/SAVP 0 8");
        assert_eq!(sdp["candidates"][1], "198.51.100.4:30001 srflx");
        let all = format!("{:?}{:?}", analysis.observations, analysis.findings);
        for secret in ["alice.example", "geheim", "4930123456789", "WVNfX19", "Alice Example"] {
            assert!(!all.contains(secret), "{secret} is shown");
        }
        assert!(text(request, "from").ends_with("@voip.example"), "{}", text(request, "from"));
        assert_eq!(analysis.flows[0].encryption, "none");
        assert_eq!(analysis.flows[0].app_protocols, ["sip"]);
        let sum = (invite().len() + RINGING.len() + 4) as u64;
        assert_eq!(analysis.coverage.classes["sip"], sum);
    }

    #[test]
    fn what_should_not_be_readable() {
        // Sent twice: told once.
        let analysis = datagrams(5060, &[(Up, invite()), (Up, invite())]);
        let told: Vec<_> = analysis.findings.iter().map(|f| (f.kind, f.severity, f.what.as_str())).collect();
        let starts = [
            (FindingKind::Identifier, Severity::Medium, "SIP addresses in clear"),
            (FindingKind::Credential, Severity::High, "SIP: HTTP Digest log-in"),
            (
                FindingKind::Credential,
                Severity::Critical,
                "SRTP master key in clear in SDP (AES_CM_128_HMAC_SHA1_80)",
            ),
            (FindingKind::Identifier, Severity::Medium, "peer address in clear in TURN/SDP (candidate"),
        ];
        assert_eq!(told.len(), starts.len(), "{told:?}");
        for ((kind, severity, what), start) in told.into_iter().zip(starts) {
            assert_eq!((kind, severity), (start.0, start.1), "{what}");
            assert!(what.starts_with(start.2), "{what}");
        }
        for finding in &analysis.findings {
            assert!(finding.offset > 0 && finding.frames == [1], "{finding:?}");
        }
    }

    #[test]
    fn messages_over_a_stream() {
        let all = format!("{}\r\n\r\n{RINGING}{}", invite(), invite());
        for size in [1, 10, 333, all.len()] {
            let pieces: Vec<_> = all.as_bytes().chunks(size).map(|c| (Up, c)).collect();
            let analysis = connection(5060, &pieces);
            assert_eq!(of_kind(&analysis, "sip.request").len(), 2, "{size}");
            assert_eq!(of_kind(&analysis, "sip.response").len(), 1, "{size}");
            assert_eq!(analysis.coverage.classes["sip"], all.len() as u64, "{size}");
        }
    }

    #[test]
    fn cut_anywhere_invents_nothing() {
        let whole = invite();
        let first_line = whole.find('\n').unwrap();
        for cut in 0..whole.len() {
            let part = &whole.as_bytes()[..cut];
            let analysis = datagrams(5060, &[(Up, part)]);
            let told = of_kind(&analysis, "sip.request");
            assert_eq!(told.len(), usize::from(cut > first_line), "{cut}");
            assert!(!format!("{told:?}{:?}", analysis.findings).contains("geheim"), "{cut}");
            // Over a stream only whole messages are told.
            assert_eq!(of_kind(&connection(5060, &[(Up, part)]), "sip.request").len(), 0, "{cut}");
        }
    }

    #[test]
    fn other_text_is_not_sip() {
        for line in [
            "GET / HTTP/1.1\r\n\r\n",
            "OPTIONS * RTSP/1.0\r\n\r\n",
            "M-SEARCH * HTTP/1.1\r\n\r\n",
            "SIP/2.0 99 low\r\n\r\n",
            "SIP/2.0 abc\r\n\r\n",
            "invite sip:a@b SIP/2.0\r\n\r\n",
            "INVITE  SIP/2.0\r\n\r\n",
        ] {
            assert_eq!(first_line(line.as_bytes()).and_then(start_line), None, "{line:?}");
            assert_eq!(datagrams(5060, &[(Up, line)]).flows[0].app_protocols, [""; 0], "{line:?}");
        }
    }

    #[test]
    fn hostile_lengths_end() {
        for length in ["99999999999999999999", "4294967295", "-1", ""] {
            let m = format!("BYE sip:a@b.example SIP/2.0\r\nContent-Length: {length}\r\n\r\nrest");
            assert_eq!(of_kind(&datagrams(5060, &[(Up, &m)]), "sip.request").len(), 1, "{length}");
            let _ = connection(5060, &[(Up, &m)]);
        }
        let endless = format!("BYE sip:a@b.example SIP/2.0\r\n{}", "X: y\r\n".repeat(40_000));
        assert_eq!(of_kind(&connection(5060, &[(Up, &endless)]), "sip.request").len(), 0);
    }

    #[test]
    fn calls_of_one_socket_are_told_apart_by_call_id() {
        let sdp = |ip: &str, port: u16| format!("v=0\r\nc=IN IP4 {ip}\r\nm=audio {port} RTP/AVP 0\r\n");
        let message = |line: &str, id: &str, to: &str, cseq: &str, sdp: &str| {
            format!(
                "{line}\r\nCall-ID: {id}\r\nTo: <sip:b@sip.example;tag=x>{to}\r\nCSeq: {cseq}\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            )
        };
        let (invite, fine) = ("INVITE sip:b@sip.example SIP/2.0", "SIP/2.0 200 OK");
        let own = sdp("192.168.0.7", 40_000);
        let list = [
            (Up, message(invite, "one", "", "1 INVITE", &own)),
            (Down, message(fine, "one", ";tag=2", "1 INVITE", &sdp("198.51.100.9", 7000))),
            // A change of the first call, and the answer to that.
            (Up, message(invite, "one", ";TAG=2", "2 INVITE", &own)),
            (Down, message(fine, "one", ";tag=2", "2 INVITE", &sdp("198.51.100.9", 7000))),
            // A second call that nobody answers.
            (Up, message(invite, "two", "", "1 INVITE", &sdp("192.168.0.7", 40_002))),
            (Down, message("SIP/2.0 183 Progress", "two", ";tag=3", "1 INVITE", &sdp("198.51.100.10", 7100))),
            // A call that had begun before the capture.
            (Down, message(invite, "old", ";tag=4", "9 INVITE", &sdp("198.51.100.11", 7200))),
            (Up, message(fine, "old", ";tag=4", "9 INVITE", &own)),
            (Up, message("BYE sip:b@sip.example SIP/2.0", "one", ";tag=2", "3 BYE", "")),
        ];
        let analysis = datagrams(5060, &list);
        let call = analysis.flows[0].call.clone().unwrap();
        let told: Vec<_> = call
            .dialogs
            .iter()
            .map(|d| (d.call_id.as_str(), d.invited, d.answered, (d.first_frame, d.last_frame)))
            .collect();
        assert_eq!(
            told,
            [("one", Some(1), Some(2), (1, 9)), ("two", Some(5), None, (5, 6)), ("old", None, None, (7, 8))]
        );
        let all = crate::leakage::calls(&analysis.flows, &|_| None);
        let told: Vec<_> = all
            .iter()
            .map(|c| (c.flows[0], c.answered, c.exposed[0].address.as_str(), c.exposed_before_answer))
            .collect();
        assert_eq!(
            told,
            [
                (1, Some(2), "198.51.100.9:7000", 0),
                (1, None, "198.51.100.10:7100", 1),
                // What is seen of a call that had begun before the capture does not come before its answer.
                (1, None, "198.51.100.11:7200", 0)
            ]
        );
    }

    #[test]
    fn fields_may_go_over_several_lines() {
        let invite = "INVITE sip:b@sip.example SIP/2.0\r\nCall-ID:\r\n one\r\nTo: <sip:b@sip.example>\r\nCSeq: 1\r\n\tINVITE\r\n\r\n";
        let fine = "SIP/2.0 200 OK\r\nCall-ID:\r\n one\r\nTo: <sip:b@sip.example>\r\n ;tag=2\r\nCSeq: 1\r\n\r\n INVITE\r\n\r\n";
        let whole = fine.replace("\r\n\r\n INVITE", "\r\n INVITE");
        for (answer, answered) in [(whole.as_str(), Some(2)), (fine, None)] {
            let analysis = datagrams(5060, &[(Up, invite), (Down, answer)]);
            let call = analysis.flows[0].call.clone().unwrap();
            let told: Vec<_> =
                call.dialogs.iter().map(|d| (d.call_id.as_str(), d.invited, d.answered)).collect();
            assert_eq!(told, [("one", Some(1), answered)], "{answer:?}");
        }
        // A field within one that a blank begins is none.
        let hidden = "OPTIONS sip:b@sip.example SIP/2.0\r\nSubject: a\r\n Call-ID: two\r\n\r\n";
        let message = Message::read(hidden.as_bytes()).unwrap();
        assert_eq!((message.field("call-id"), message.field("subject")), (None, Some("a\r\n Call-ID: two")));
        assert_eq!(&hidden[message.fields[0].range.clone()], "a\r\n Call-ID: two");
    }

    #[test]
    fn more_calls_than_are_told_apart_are_warned_of_once() {
        let invite = |n: usize| {
            format!(
                "INVITE sip:b@sip.example SIP/2.0\r\nCall-ID: {n}\r\nTo: <sip:b@sip.example>\r\nCSeq: 1 INVITE\r\n\r\n"
            )
        };
        for (count, warnings) in [(256, 0), (300, 1)] {
            let list: Vec<_> = (0..count).map(|n| (Up, invite(n))).collect();
            let analysis = datagrams(5060, &list);
            assert_eq!(analysis.flows[0].call.as_ref().unwrap().dialogs.len(), 256);
            let told: Vec<_> = of_kind(&analysis, "warning").iter().map(|o| text(o, "what")).collect();
            assert_eq!(told.len(), warnings, "{told:?}");
            assert!(told.iter().all(|what| what.contains("more than 256 calls")), "{told:?}");
        }
    }

    #[test]
    fn a_tag_of_the_address_is_none_of_the_header() {
        for (value, tag) in [
            ("<sip:b@sip.example>;tag=1", true),
            ("\"B; tag=2\" <sip:b@sip.example>; x=1 ; Tag = 1", true),
            ("sip:b@sip.example;tag=1", true),
            ("<sip:b@sip.example;tag=1>", false),
            ("<sip:b@sip.example>;tags=1", false),
            ("sip:b@sip.example", false),
            ("", false),
        ] {
            assert_eq!(has_tag(value), tag, "{value}");
        }
    }

    #[test]
    fn names_instead_of_addresses_hide() {
        assert!(Candidate::read("1 1 UDP 1 5a1c.local 9 typ host").is_none());
        assert!(Candidate::read("1 1 UDP").is_none());
    }
}
