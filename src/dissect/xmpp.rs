//! XMPP over TCP: streams, their features, log-ins and stanzas (RFC 6120, RFC 6121), up to the start of TLS.
//!
//! Takes both directions, also from the middle of a connection; gives stream headers with the name of the server, what the
//! server offers, stanzas with their kind of end-to-end encryption, and findings: log-ins, bodies and addresses in clear. Behind
//! `<proceed/>` the flow is TLS. An element is read when it is whole; one of more than 256 KiB, or nested deeper than 128, is
//! given up, and after that, as after a gap, reading goes on at the next element that may stand at the top (one within a forwarded
//! message looks the same). Does not decompress (XEP-0138), and reads neither BOSH nor WebSocket, which are HTTP.
//! TLS from the first byte (XEP-0368) is `tls`.

mod xml;

use std::net::IpAddr;
use std::ops::Range;

use serde::Serialize;

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::model::{Direction, FindingKind, Severity};
use crate::payload::credential::{Credential, sasl};
use crate::payload::mask::escape;
use crate::payload::{Masking, RawFinding, SaslLogin};
use xml::{Lexer, Node, Piece, attribute, nodes, split_name, tag_name, text};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "xmpp",
    title: "XMPP",
    source: "RFC 6120, RFC 6121, XEP-0077, XEP-0078, XEP-0220, XEP-0388",
    over: &[IpProto::TCP],
    ports: &[5222, 5269],
    reads: "stream headers, features, log-ins, messages, presences and queries in clear, STARTTLS; not compressed streams, BOSH or WebSocket",
    probe,
    start: || Box::new(Xmpp::default()),
};

const CLASS: Class = Class::clear("xmpp");
/// Behind `<compressed/>`.
const COMPRESSED: Class = Class::opaque("xmpp.compressed");
const OPAQUE: Class = Class::opaque("opaque");

/// Ports where a stanza alone, in mid-stream, is taken for XMPP.
const STANZA_PORTS: [u16; 4] = [5222, 5223, 5269, 5280];
/// Ports of servers that clients connect to.
const CLIENT_PORTS: [u16; 2] = [5222, 5223];

/// Longest element that is read.
const MAX_ELEMENT: usize = 256 << 10;
/// Deepest nesting that is read.
const MAX_DEPTH: u32 = 128;
/// Cards told as findings, each direction of a flow.
const MAX_CARDS: u8 = 3;
/// Characters told of what a client calls itself.
const MAX_NODE: usize = 100;
/// Names of elements and mechanisms told of one message.
const MAX_LIST: usize = 32;
/// Bodies told as findings, each direction of a flow.
const MAX_BODIES: u8 = 3;
/// Faults told, each direction of a flow.
const MAX_WARNINGS: u8 = 8;

const DECLARATION: &[u8] = b"<?xml";
const BOM: &[u8] = b"\xef\xbb\xbf";
const STREAMS: &str = "http://etherx.jabber.org/streams";
const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// Entity capabilities (XEP-0115): `node` is an address that stands for the program.
const CAPABILITIES: &str = "http://jabber.org/protocol/caps";
/// What Conversations gives there; apps made from its source may give the same.
const CONVERSATIONS: [&str; 2] = ["http://conversations.im", "https://conversations.im"];
/// Namespaces of cards with personal data (XEP-0054, XEP-0292).
const CARDS: [&[u8]; 2] = [b"vcard-temp", b"urn:ietf:params:xml:ns:vcard-4.0"];
/// What in a card tells who somebody is, in both forms, with words for it.
const CARD_FIELDS: [(&[u8], &str); 7] = [
    (b"fn", "full name"),
    (b"n", "name"),
    (b"nickname", "nickname"),
    (b"bday", "date of birth"),
    (b"adr", "address"),
    (b"tel", "telephone number"),
    (b"email", "mail address"),
];
const NEGOTIATION: &[u8] = b"urn:ietf:params:xml:ns:xmpp-";

/// What begins a stream or an element that stands at the top of it.
const STARTS: [&[u8]; 6] =
    [b"<message", b"<iq", b"<presence", b"<stream:features", b"<stream:error", b"</stream:stream"];
/// The same where the namespace has to say whether it is XMPP's.
const NEGOTIATED: [&[u8]; 8] = [
    b"<starttls",
    b"<proceed",
    b"<auth",
    b"<challenge",
    b"<response",
    b"<success",
    b"<failure",
    b"<stream:stream",
];

fn probe(p: &Probe<'_>) -> Match {
    let on_port = [p.server_port, p.client_port].iter().any(|port| STANZA_PORTS.contains(port));
    let data = p.data.get(blank(p.data)..).unwrap_or_default();
    if data.is_empty() {
        // A space keeps a connection alive (RFC 6120 section 4.6.1).
        return if on_port || p.data.starts_with(BOM) { Match::Maybe } else { Match::No };
    }
    if BOM.starts_with(data) {
        return Match::Maybe;
    }
    let (rest, declared) = match declaration(data) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    match opens_stream(rest, on_port) {
        Match::No if on_port && !declared => opens_stanza(rest),
        answer => answer,
    }
}

/// What follows the XML declaration, and whether there was one.
fn declaration(data: &[u8]) -> Result<(&[u8], bool), Match> {
    const LONGEST: usize = 256;
    if DECLARATION.starts_with(data) {
        return Err(Match::Maybe);
    }
    let Some(inner) = data.strip_prefix(DECLARATION) else { return Ok((data, false)) };
    let head = inner.get(..LONGEST.min(inner.len())).unwrap_or_default();
    let Some(end) = find(head, b"?>") else {
        return Err(if head.len() < LONGEST { Match::Maybe } else { Match::No });
    };
    let rest = inner.get(end + 2..).unwrap_or_default();
    let rest = rest.get(blank(rest)..).unwrap_or_default();
    if rest.is_empty() { Err(Match::Maybe) } else { Ok((rest, true)) }
}

/// A stream header; other XML may have an element of that name, but not of that namespace.
fn opens_stream(data: &[u8], on_port: bool) -> Match {
    let (prefixed, plain) = (&b"<stream:stream"[..], &b"<stream"[..]);
    if prefixed.starts_with(data) {
        return Match::Maybe;
    }
    let by_prefix = opening(data, prefixed);
    if !by_prefix && !opening(data, plain) {
        return Match::No;
    }
    let tag = data.iter().position(|b| *b == b'>').and_then(|end| data.get(..end));
    match tag {
        Some(tag) if find(tag, STREAMS.as_bytes()).is_some() => Match::Yes,
        Some(tag) if by_prefix && (on_port || find(tag, b"jabber:").is_some()) => Match::Yes,
        Some(_) => Match::No,
        // A header that a cut capture ends in still names the server.
        None if by_prefix => Match::Yes,
        None => Match::Maybe,
    }
}

/// An element that stands at the top of a stream.
fn opens_stanza(data: &[u8]) -> Match {
    if STARTS.iter().any(|start| opening(data, start)) {
        return Match::Yes;
    }
    let negotiated = NEGOTIATED.iter().any(|start| opening(data, start));
    match data.iter().position(|b| *b == b'>').and_then(|end| data.get(..end)) {
        Some(tag) if negotiated && find(tag, NEGOTIATION).is_some() => Match::Yes,
        None if negotiated || STARTS.iter().chain(&NEGOTIATED).any(|start| start.starts_with(data)) => {
            Match::Maybe
        }
        _ => Match::No,
    }
}

/// `data` begins with `tag`, and the name ends there.
fn opening(data: &[u8], tag: &[u8]) -> bool {
    data.strip_prefix(tag)
        .and_then(<[u8]>::first)
        .is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))
}

/// Length of what may stand before markup: a byte order mark and white space.
fn blank(data: &[u8]) -> usize {
    let rest = data.strip_prefix(BOM).unwrap_or(data);
    let spaces = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
    data.len() - rest.len() + spaces
}

fn find(data: &[u8], what: &[u8]) -> Option<usize> {
    data.windows(what.len()).position(|window| window == what)
}

/// Whether a TLS hello begins here: the `<proceed/>` before it was not captured.
fn tls_hello(data: &[u8]) -> Match {
    match *data {
        [22, 3, 0..=4, _, _, 1 | 2, ..] => Match::Yes,
        [22] | [22, 3] | [22, 3, 0..=4] | [22, 3, 0..=4, _] | [22, 3, 0..=4, _, _] => Match::Maybe,
        _ => Match::No,
    }
}

/// Where the next element may begin after some were lost.
enum Resume {
    /// Here.
    At(usize),
    /// Perhaps here: more bytes are needed.
    Perhaps(usize),
    Nowhere,
}

fn resume(data: &[u8]) -> Resume {
    for (at, _) in data.iter().enumerate().filter(|(_, b)| **b == b'<') {
        let rest = data.get(at..).unwrap_or_default();
        let mut starts = STARTS.iter().chain(&NEGOTIATED).chain(&[DECLARATION]);
        if starts.clone().any(|start| opening(rest, start)) {
            return Resume::At(at);
        }
        if starts.any(|start| start.starts_with(rest)) {
            return Resume::Perhaps(at);
        }
    }
    Resume::Nowhere
}

/// What stands at the top of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// A stream header: a start tag without its end.
    Header,
    Element,
    /// An end tag: of the stream, or of something whose start was lost.
    End,
    /// An XML declaration, a comment.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scan {
    More,
    Done(Unit, usize),
    TooDeep(usize),
    TooLong,
}

/// One direction.
#[derive(Default)]
struct Side {
    lexer: Lexer,
    depth: u32,
    unit: Option<Unit>,
    /// Not at the border of an element.
    lost: bool,
    warnings: u8,
    /// Addresses of the last stream header.
    to: Option<String>,
    from: Option<String>,
    asked_for_tls: bool,
    jids_told: bool,
    bodies_told: u8,
    cards_told: u8,
}

impl Side {
    /// Looks for the end of the first element; goes on where the last call stopped.
    fn scan(&mut self, data: &[u8]) -> Scan {
        while let Some(piece) = self.lexer.next(data) {
            if self.lexer.at() > MAX_ELEMENT {
                return Scan::TooLong;
            }
            let unit = match piece {
                Piece::Start { tag, .. } if self.unit.is_none() && is_header(data.get(tag.clone())) => {
                    self.depth = 0;
                    Unit::Header
                }
                Piece::Start { empty, .. } => {
                    self.depth += u32::from(!empty);
                    Unit::Element
                }
                Piece::End(_) if self.unit.is_none() => Unit::End,
                Piece::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    Unit::Element
                }
                Piece::Other | Piece::Text { .. } => self.unit.unwrap_or(Unit::Other),
            };
            if self.depth == 0 {
                let end = self.lexer.at();
                self.reset();
                return Scan::Done(unit, end);
            }
            if self.depth > MAX_DEPTH {
                return Scan::TooDeep(self.lexer.at());
            }
            self.unit = Some(unit);
        }
        if self.lexer.at() >= MAX_ELEMENT { Scan::TooLong } else { Scan::More }
    }

    fn reset(&mut self) {
        self.lexer = Lexer::default();
        self.depth = 0;
        self.unit = None;
    }

    /// Bytes are missing, or make no sense.
    fn lose(&mut self) {
        self.reset();
        self.lost = true;
    }

    fn warn(&mut self, what: &str, cx: &mut Cx<'_>) {
        if self.warnings < MAX_WARNINGS {
            self.warnings += 1;
            cx.warn(0, format!("XMPP: {what}"));
        }
    }
}

fn is_header(tag: Option<&[u8]>) -> bool {
    let tag = tag.unwrap_or_default();
    let (prefix, name) = split_name(tag_name(tag));
    name == b"stream" && (prefix == b"stream" || find(tag, STREAMS.as_bytes()).is_some())
}

/// What is known of TLS in this flow, as CONTRACT words it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum StartTls {
    #[default]
    Absent,
    Offered,
    Required,
    Used,
}

#[derive(Default)]
struct Xmpp {
    sides: [Side; 2],
    starttls: StartTls,
    /// Namespace of the stream's content; `None` until a header was read.
    namespace: Option<String>,
    signed: bool,
    mechanism: Option<String>,
    login: SaslLogin,
    compressed: bool,
}

#[derive(Serialize)]
struct StreamSeen<'a> {
    event: &'a str,
    to: Option<String>,
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    starttls: StartTls,
    sasl: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct StanzaSeen {
    to: Option<String>,
    from: Option<String>,
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    encrypted: &'static str,
    elements: Vec<String>,
    namespaces: Vec<String>,
}

impl Dissector for Xmpp {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if self.compressed {
            return Step::Took(data.len(), COMPRESSED);
        }
        let side = self.side(d);
        if side.lexer.at() == 0 {
            let spaces = blank(data);
            if spaces > 0 {
                return Step::Took(spaces, CLASS);
            }
            match tls_hello(data) {
                Match::Yes => {
                    cx.switch_to("tls");
                    return Step::More(0);
                }
                Match::Maybe => return Step::More(6),
                Match::No => {}
            }
            if !side.lost {
                match *data {
                    [b'<'] => return Step::More(2),
                    [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | b'/' | b'?' | b'!' | 0x80.., ..] => {}
                    _ if BOM.starts_with(data) => return Step::More(BOM.len()),
                    _ => {
                        side.warn("no markup where an element should begin", cx);
                        side.lost = true;
                    }
                }
            }
            if side.lost {
                match resume(data) {
                    Resume::At(0) => side.lost = false,
                    Resume::Perhaps(0) => return Step::More(data.len() + 1),
                    Resume::At(at) | Resume::Perhaps(at) => return skip(data.get(..at).unwrap_or_default()),
                    Resume::Nowhere => return skip(data),
                }
            }
        }
        match side.scan(data) {
            Scan::More => Step::More(data.len() + 1),
            Scan::TooLong => {
                side.warn(&format!("an element of more than {MAX_ELEMENT} bytes was given up"), cx);
                side.lose();
                Step::Took(data.len(), CLASS)
            }
            Scan::TooDeep(at) => {
                side.warn(&format!("an element nested deeper than {MAX_DEPTH} was given up"), cx);
                side.lose();
                Step::Took(at, CLASS)
            }
            Scan::Done(unit, end) => {
                let bytes = data.get(..end).unwrap_or_default();
                match unit {
                    Unit::Header => self.header(d, bytes, cx),
                    Unit::Element if self.element(d, bytes, cx) => {
                        // White space behind `<proceed/>` is not TLS's.
                        let rest = data.get(end..).unwrap_or_default();
                        return Step::Took(end + blank(rest), CLASS);
                    }
                    Unit::End if split_name(tag_name(bytes)).1 != b"stream" => {
                        let side = self.side(d);
                        side.warn("an end tag without its start", cx);
                        side.lose();
                    }
                    _ => {}
                }
                Step::Took(end, CLASS)
            }
        }
    }

    fn gap(&mut self, d: Direction, _: u64, _: &mut Cx<'_>) {
        self.side(d).lose();
    }

    fn finish(&mut self, d: Direction, unread: &[u8], cx: &mut Cx<'_>) {
        let side = self.side(d);
        if !unread.is_empty() && !side.lost {
            side.warn("the stream ends within an element", cx);
        }
    }

    fn unfinished(&self) -> Class {
        CLASS
    }
}

/// Bytes between a gap and the next element: in clear if they are text at all.
fn skip(data: &[u8]) -> Step {
    let text = data.iter().all(|b| *b >= b' ' || b.is_ascii_whitespace());
    Step::Took(data.len(), if text { CLASS } else { OPAQUE })
}

impl Xmpp {
    fn side(&mut self, d: Direction) -> &mut Side {
        let [up, down] = &mut self.sides;
        match d {
            Direction::Up => up,
            Direction::Down => down,
        }
    }

    /// A stream header (RFC 6120 section 4.7).
    fn header(&mut self, d: Direction, tag: &[u8], cx: &mut Cx<'_>) {
        let (to, from) = (attribute(tag, "to"), attribute(tag, "from"));
        self.namespace = attribute(tag, "xmlns").or(self.namespace.take());
        let side = self.side(d);
        side.to.clone_from(&to);
        side.from.clone_from(&from);
        if let Some(name) = to.as_deref().and_then(server_name).filter(|_| d == Direction::Up) {
            cx.name(name, "xmpp-to", 0..tag.len());
        }
        self.sign(0..tag.len(), cx);
        self.emit("header", d, tag, &[], None, cx);
        self.jids(d, tag, cx);
    }

    /// States the stream as it is known; `tag` is what was read now.
    fn emit(
        &mut self,
        event: &str,
        d: Direction,
        unit: &[u8],
        sasl: &[String],
        error: Option<String>,
        cx: &mut Cx<'_>,
    ) {
        let masking = cx.masking();
        let (mine, other) = match (&self.sides, d) {
            ([up, down], Direction::Up) => (up, down),
            ([up, down], Direction::Down) => (down, up),
        };
        let header = event == "header";
        // What one side did not say of itself, the other has said of it.
        let pick = |own: &Option<String>, theirs: &Option<String>| {
            let value = own.as_ref().or(theirs.as_ref().filter(|_| !header));
            value.map(|jid| mask_jid(jid, masking))
        };
        cx.emit("xmpp.stream", 0..unit.len(), || StreamSeen {
            event,
            to: pick(&mine.to, &other.from),
            from: pick(&mine.from, &other.to),
            version: attribute(unit, "version").filter(|_| header).map(|v| escape(&v)),
            namespace: attribute(unit, "xmlns").filter(|_| header).map(|v| escape(&v)),
            starttls: self.starttls,
            sasl,
            error,
        });
    }

    /// A complete element at the top of the stream; `true` when TLS begins behind it.
    fn element(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> bool {
        let nodes = nodes(data);
        let Some(top) = nodes.first() else { return false };
        match top.name {
            b"message" | b"presence" | b"iq" => self.stanza(d, data, &nodes, cx),
            b"features" => self.features(d, data, &nodes, cx),
            b"starttls" => self.side(d).asked_for_tls = true,
            // The server's word, or of whom was asked (the ends of a flow without its start may be swapped).
            b"proceed"
                if top.namespace == TLS.as_bytes()
                    && (d == Direction::Down || self.side(d.reverse()).asked_for_tls) =>
            {
                self.starttls = StartTls::Used;
                self.emit("proceed", d, data, &[], None, cx);
                cx.switch_to("tls");
                return true;
            }
            b"auth" | b"authenticate" | b"response" => self.authenticate(data, &nodes, cx),
            b"success" | b"failure" => {
                self.mechanism = None;
                self.login = SaslLogin::default();
            }
            b"compressed" => self.compressed = true,
            b"error" => {
                // RFC 6120 section 4.9.3: the condition is the name of the first element.
                let condition = nodes.get(1).map(|n| escape(&String::from_utf8_lossy(n.name)));
                self.emit("error", d, data, &[], condition, cx);
            }
            // Dialback (XEP-0220): servers name each other, also when one connection serves several domains.
            b"result" | b"verify" if tag_name(data).starts_with(b"db:") => {
                self.emit("dialback", d, data, &[], None, cx);
            }
            // Acknowledgements (XEP-0198), challenges and the like say nothing that is told.
            _ => {}
        }
        false
    }

    /// What the server offers (RFC 6120 section 4.3.2).
    fn features(&mut self, d: Direction, data: &[u8], nodes: &[Node<'_>], cx: &mut Cx<'_>) {
        let tls = nodes.iter().position(|n| n.depth == 1 && n.is("starttls", TLS));
        let required = nodes.iter().any(|n| n.name == b"required" && Some(n.parent) == tls);
        self.starttls = match (tls, required) {
            (None, _) => StartTls::Absent,
            (Some(_), false) => StartTls::Offered,
            (Some(_), true) => StartTls::Required,
        };
        let mut sasl: Vec<String> = Vec::new();
        for node in nodes.iter().filter(|n| n.name == b"mechanism") {
            let of = nodes.get(node.parent).map(|parent| parent.name);
            let name = escape(text(data.get(node.inner.clone()).unwrap_or_default()).trim());
            // SASL's list, and that of SASL 2 (XEP-0388).
            let fits = matches!(of, Some(b"mechanisms" | b"authentication")) && !name.is_empty();
            if fits && sasl.len() < MAX_LIST && !sasl.contains(&name) {
                sasl.push(name);
            }
        }
        self.emit("features", d, data, &sasl, None, cx);
    }

    /// A SASL message of the client (RFC 6120 section 6.4, XEP-0388).
    fn authenticate(&mut self, data: &[u8], nodes: &[Node<'_>], cx: &mut Cx<'_>) {
        let Some(top) = nodes.first() else { return };
        let holder = match top.name {
            b"authenticate" => nodes.iter().find(|n| n.depth == 1 && n.name == b"initial-response"),
            _ => Some(top),
        };
        if top.name != b"response" {
            self.mechanism = attribute(data.get(top.tag.clone()).unwrap_or_default(), "mechanism");
            self.login = SaslLogin::default();
        }
        let (Some(holder), Some(mechanism)) = (holder, &self.mechanism) else { return };
        let message = text(data.get(holder.inner.clone()).unwrap_or_default());
        let message = message.trim().as_bytes();
        if message.is_empty() {
            return;
        }
        let credential = if mechanism.eq_ignore_ascii_case("LOGIN") {
            self.login.answer(message)
        } else {
            sasl(mechanism.as_bytes(), message)
        };
        if let Some(credential) = credential {
            tell(&credential, 0..data.len(), cx);
        }
    }

    /// A message, a presence or a query (RFC 6120 section 8).
    fn stanza(&mut self, d: Direction, data: &[u8], nodes: &[Node<'_>], cx: &mut Cx<'_>) {
        let Some(top) = nodes.first() else { return };
        let tag = data.get(top.tag.clone()).unwrap_or_default();
        let body = nodes.iter().find_map(|n| body(data, nodes, n));
        let encrypted = encryption(nodes, body.as_ref().map(|(_, text)| text.as_str()));
        let masking = cx.masking();
        cx.emit("xmpp.stanza", 0..data.len(), || {
            let jid = |name| attribute(tag, name).map(|jid| mask_jid(&jid, masking));
            let own = |bytes: &[u8]| escape(&String::from_utf8_lossy(bytes));
            let children = || nodes.iter().filter(|n| n.depth == 1).take(MAX_LIST);
            let mut namespaces = Vec::new();
            for node in children() {
                let namespace = own(node.namespace);
                if node.namespace != top.namespace && !namespaces.contains(&namespace) {
                    namespaces.push(namespace);
                }
            }
            StanzaSeen {
                to: jid("to"),
                from: jid("from"),
                name: own(top.name),
                kind: attribute(tag, "type").map(|kind| escape(&kind)),
                encrypted,
                elements: children().map(|n| own(n.name)).collect(),
                namespaces,
            }
        });
        self.sign(0..data.len(), cx);
        // What the server passes on says from whom and to whom it is: that is the program of somebody else.
        let passed_on = attribute(tag, "from").is_some() && attribute(tag, "to").is_some();
        if self.signed && d == Direction::Up && top.name == b"presence" && !passed_on {
            client(data, nodes, cx);
        }
        self.jids(d, tag, cx);
        for (index, node) in nodes.iter().enumerate() {
            if node.name.eq_ignore_ascii_case(b"vcard") && CARDS.contains(&node.namespace) {
                self.card(d, data, nodes, index, cx);
            }
            match (top.name, node.namespace) {
                (b"iq", b"jabber:iq:auth" | b"jabber:iq:register") if node.name == b"query" => {
                    if let Some(credential) = password(data, nodes, node) {
                        tell(&credential, node.tag.start..node.inner.end, cx);
                    }
                }
                // What the server calls the client (RFC 6120 section 7.6).
                (b"iq", b"urn:ietf:params:xml:ns:xmpp-bind") if node.name == b"jid" => {
                    let jid = text(data.get(node.inner.clone()).unwrap_or_default());
                    self.jid(d, &[("", &jid)], node.inner.clone(), cx);
                }
                _ => {}
            }
        }
        let told = &mut self.side(d).bodies_told;
        if let Some((range, text)) = body.filter(|_| encrypted == "none" && *told < MAX_BODIES) {
            *told += 1;
            let what = format!("message body in clear, {} characters", text.chars().count());
            cx.finding(range, finding(FindingKind::Content, "xmpp-body", what));
        }
    }

    /// Tells which personal data of a card can be read.
    fn card(&mut self, d: Direction, data: &[u8], nodes: &[Node<'_>], index: usize, cx: &mut Cx<'_>) {
        let fields = card_fields(data, nodes, index);
        let Some(card) = nodes.get(index).filter(|_| !fields.is_empty()) else { return };
        let told = &mut self.side(d).cards_told;
        if *told < MAX_CARDS {
            *told += 1;
            let what = format!("card of a person (vCard) in clear, with {}", fields.join(", "));
            cx.finding(card.tag.start..card.inner.end, finding(FindingKind::Identifier, "xmpp-vcard", what));
        }
    }

    /// Addresses in a start tag.
    fn jids(&mut self, d: Direction, tag: &[u8], cx: &mut Cx<'_>) {
        let (from, to) = (attribute(tag, "from"), attribute(tag, "to"));
        let jids =
            [("from ", from.as_deref().unwrap_or_default()), ("to ", to.as_deref().unwrap_or_default())];
        self.jid(d, &jids, 0..tag.len(), cx);
    }

    /// Tells once a flow and direction that the addresses of people can be read.
    fn jid(&mut self, d: Direction, jids: &[(&str, &str)], range: Range<usize>, cx: &mut Cx<'_>) {
        let masking = cx.masking();
        let people: Vec<String> = jids
            .iter()
            .filter(|(_, jid)| jid.contains('@'))
            .map(|(word, jid)| format!("{word}{}", mask_jid(jid, masking)))
            .collect();
        if !people.is_empty() && !std::mem::replace(&mut self.side(d).jids_told, true) {
            let what = format!("account address (jid) in clear: {}", people.join(" "));
            cx.finding(range, finding(FindingKind::Identifier, "xmpp-jid", what));
        }
    }

    /// A client's stream is what Conversations speaks; servers among themselves are nobody's app.
    fn sign(&mut self, range: Range<usize>, cx: &mut Cx<'_>) {
        let client = match self.namespace.as_deref() {
            Some("jabber:client") => true,
            Some(namespace) if namespace != STREAMS => false,
            _ => CLIENT_PORTS.contains(&cx.ends().2.port),
        };
        if client && !std::mem::replace(&mut self.signed, true) {
            cx.signature(
                "conversations",
                "xmpp.stream",
                "likely",
                "an XMPP stream of a client: the protocol of Conversations and of many other programs",
                range,
            );
        }
    }
}

/// Which program a presence names, by its capabilities: many clients speak the protocol, and each tells its contacts which it is.
fn client(data: &[u8], nodes: &[Node<'_>], cx: &mut Cx<'_>) {
    let Some(caps) = nodes.iter().find(|n| n.depth == 1 && n.is("c", CAPABILITIES)) else { return };
    let node = attribute(data.get(caps.tag.clone()).unwrap_or_default(), "node").unwrap_or_default();
    let node = node.trim();
    if node.is_empty() {
        return;
    }
    let own = CONVERSATIONS.iter().any(|own| {
        node.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#']))
    });
    let id = if own { "xmpp.conversations" } else { "xmpp.other-client" };
    let shown: String = escape(node).chars().take(MAX_NODE).collect();
    cx.signature(
        "conversations",
        id,
        "likely",
        &format!("the client calls itself {shown}"),
        caps.tag.clone(),
    );
}

/// The fields of a card that hold something, in words.
fn card_fields(data: &[u8], nodes: &[Node<'_>], card: usize) -> Vec<&'static str> {
    let field = |name: &[u8]| CARD_FIELDS.iter().position(|(known, _)| name.eq_ignore_ascii_case(known));
    let mut found = [false; CARD_FIELDS.len()];
    for (index, leaf) in nodes.iter().enumerate().skip(card + 1) {
        let inner = data.get(leaf.inner.clone()).unwrap_or_default();
        if inner.contains(&b'<') || text(inner).trim().is_empty() {
            continue;
        }
        // Upwards to the card; kinds and preferences of a field stand in `parameters`.
        let (mut at, mut names) = (index, None);
        while let Some(node) = nodes.get(at).filter(|node| at != card && node.depth > 0) {
            if node.name == b"parameters" {
                break;
            }
            names = field(node.name).or(names);
            at = node.parent;
        }
        if let (true, Some(found)) = (at == card, names.and_then(|n| found.get_mut(n))) {
            *found = true;
        }
    }
    CARD_FIELDS.iter().zip(found).filter(|(_, found)| *found).map(|((_, words), _)| *words).collect()
}

fn finding(kind: FindingKind, id: &str, what: String) -> RawFinding {
    RawFinding { kind, severity: Severity::High, what, rule: Some(id.to_owned()), ..RawFinding::default() }
}

fn tell(credential: &Credential, range: Range<usize>, cx: &mut Cx<'_>) {
    let finding = credential.finding((0, 0), cx.masking(), false);
    cx.finding(range, finding);
}

/// The text of a message's body with its place, if `node` is one: also of a message that is forwarded (XEP-0297).
fn body(data: &[u8], nodes: &[Node<'_>], node: &Node<'_>) -> Option<(Range<usize>, String)> {
    let within = nodes.get(node.parent).filter(|_| node.depth > 0)?;
    if node.name != b"body" || within.name != b"message" {
        return None;
    }
    let text = text(data.get(node.inner.clone())?);
    (!text.trim().is_empty()).then(|| (node.inner.clone(), text))
}

/// End-to-end encryption of a stanza. Beside an encrypted element a body only says that it cannot be shown.
fn encryption(nodes: &[Node<'_>], body: Option<&str>) -> &'static str {
    for node in nodes {
        let word = match (node.name, node.namespace) {
            // XEP-0384 from version 0.4 on, and before.
            (b"encrypted", ns) if ns.starts_with(b"urn:xmpp:omemo:") => "omemo",
            (b"encrypted", b"eu.siacs.conversations.axolotl") => "omemo",
            // XEP-0373 and XEP-0027.
            (b"openpgp", b"urn:xmpp:openpgp:0") | (b"x", b"jabber:x:encrypted") => "openpgp",
            _ => continue,
        };
        return word;
    }
    if body.is_some_and(|text| text.starts_with("?OTR")) { "otr" } else { "none" }
}

/// The password in a query of non-SASL authentication (XEP-0078) or registration (XEP-0077).
fn password(data: &[u8], nodes: &[Node<'_>], query: &Node<'_>) -> Option<Credential> {
    let index = nodes.iter().position(|n| n.tag == query.tag)?;
    let field = |name: &str| {
        let node = nodes.iter().find(|n| n.depth > 0 && n.parent == index && n.name == name.as_bytes())?;
        Some(text(data.get(node.inner.clone())?)).filter(|text| !text.is_empty())
    };
    let scheme = match (query.namespace, field("password").is_some(), field("digest").is_some()) {
        (b"jabber:iq:auth", true, _) => "xmpp-iq-auth",
        (b"jabber:iq:auth", false, true) => "xmpp-iq-digest",
        (b"jabber:iq:register", true, _) => "xmpp-register",
        _ => return None,
    };
    Some(Credential { scheme, user: field("username"), secret: field("password") })
}

/// The domain of a stream's addressee, if it is a name.
fn server_name(to: &str) -> Option<&str> {
    let bare = to.split('/').next().unwrap_or_default();
    let name = bare.rsplit('@').next().unwrap_or_default();
    let valid = (1..=255).contains(&name.len())
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'))
        && name.parse::<IpAddr>().is_err();
    valid.then_some(name)
}

/// A jid (RFC 7622) as it may be shown: the server's part stays, of the person's an initial, of the device's nothing.
fn mask_jid(jid: &str, masking: Masking) -> String {
    if masking == Masking::Off {
        return escape(jid);
    }
    let (bare, device) = jid.split_once('/').map_or((jid, ""), |(bare, _)| (bare, "/…"));
    let domain = |domain: &str| escape(&domain.trim_end_matches('.').to_lowercase());
    match bare.rsplit_once('@') {
        None => format!("{}{device}", domain(bare)),
        Some((person, server)) => {
            // A quarter at most, as in `payload::mask`.
            let initial =
                person.chars().next().filter(|c| c.is_alphanumeric() && person.chars().count() >= 4);
            let initial = initial.map(String::from).unwrap_or_default();
            format!("{initial}…@{}{device}", domain(server))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::{CaptureAnalysis, Options, analyse_bytes};
    use Direction::{Down, Up};

    const NS: &str = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";

    /// A TCP connection from port 40000 as a pcap of raw IPv4 packets; `None` is a segment that was not captured.
    fn capture(port: u16, segments: &[(Direction, &[u8], bool)]) -> Vec<u8> {
        let mut out = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
        out.extend([0; 8]);
        out.extend([0xff, 0xff, 4, 0, 101, 0, 0, 0]);
        let mut sent = [1000_u32, 5000];
        let mut packet = |d: Direction, flags: u8, data: &[u8], captured: bool| {
            let (src, dst, from, to) = if d == Up { (1, 2, 40000, port) } else { (2, 1, port, 40000) };
            let [mine, theirs] = if d == Up { sent } else { [sent[1], sent[0]] };
            let length = 40 + data.len() as u16;
            let mut p = vec![0x45, 0, (length >> 8) as u8, length as u8, 0, 0, 0, 0, 64, 6, 0, 0];
            p.extend([10, 0, 0, src, 10, 0, 0, dst]);
            p.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
            p.extend([mine.to_be_bytes(), theirs.to_be_bytes()].concat());
            p.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
            p.extend(data);
            sent[d as usize] += data.len() as u32 + u32::from(flags & 2 != 0);
            if captured {
                out.extend([0; 8]);
                out.extend([(p.len() as u32).to_le_bytes(), (p.len() as u32).to_le_bytes()].concat());
                out.extend(p);
            }
        };
        packet(Up, 0x02, b"", true);
        packet(Down, 0x12, b"", true);
        for (d, data, captured) in segments {
            packet(*d, 0x18, data, *captured);
        }
        out
    }

    fn analyse(port: u16, segments: &[(Direction, &[u8])]) -> CaptureAnalysis {
        let segments: Vec<_> = segments.iter().map(|(d, data)| (*d, *data, true)).collect();
        let options = Options { observe: true, ..Options::default() };
        analyse_bytes("t", &capture(port, &segments), &options).unwrap()
    }

    /// Observations without what depends on the cutting into segments.
    fn told(analysis: &CaptureAnalysis) -> Vec<String> {
        let told = analysis.observations.iter();
        told.map(|o| format!("{} {}", o.kind, serde_json::Value::Object(o.fields.clone()))).collect()
    }

    fn found(analysis: &CaptureAnalysis) -> Vec<String> {
        analysis.findings.iter().map(|f| f.what.clone()).collect()
    }

    /// A log-in and an exchange in clear, as (direction, bytes).
    fn conversation() -> Vec<(Direction, Vec<u8>)> {
        let header = format!("<stream:stream to='chat.example' {NS} version='1.0'>");
        let answer =
            format!("<?xml version='1.0'?><stream:stream id='1' from='chat.example' {NS} version='1.0'>");
        let features = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
            <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
            <mechanism>LOGIN</mechanism></mechanisms></stream:features>";
        [
            (Up, format!("<?xml version='1.0'?>\n{header}")),
            (Down, format!("{answer}{features}")),
            (Up, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFubmEAZ2VoZWlt</auth>".into()),
            (Down, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".into()),
            (Up, header.clone()),
            (Down, format!("{answer}<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>")),
            (Up, "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><presence/><r xmlns='urn:xmpp:sm:3'/>".into()),
            (Down, "<iq type='result' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>anna@chat.example/phone</jid></bind></iq>\n".into()),
            (Up, "<message to='berta@chat.example' type='chat'><body>1 &lt; 2 \u{1f600}</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>".into()),
            (Down, "<message from='berta@chat.example/x' type='chat'><encrypted xmlns='eu.siacs.conversations.axolotl'><payload>AA==</payload></encrypted><body>no OMEMO here</body></message>".into()),
            (Up, "</stream:stream>".into()),
            (Down, "</stream:stream>".into()),
        ]
        .map(|(d, text)| (d, text.into_bytes()))
        .into()
    }

    fn borrowed(segments: &[(Direction, Vec<u8>)]) -> Vec<(Direction, &[u8])> {
        segments.iter().map(|(d, data)| (*d, &data[..])).collect()
    }

    #[test]
    fn probes() {
        let header = format!("<stream:stream {NS}>");
        let plain = "<stream to='a' xmlns='http://etherx.jabber.org/streams'>";
        let tls = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        let cases: &[(&str, u16, Match)] = &[
            (&header, 40001, Match::Yes),
            ("\u{feff} \r\n<?xml version='1.0' encoding='UTF-8' ?>\n<stream:stream to='a", 40001, Match::Yes),
            (plain, 40001, Match::Yes),
            (&plain[..20], 40001, Match::Maybe),
            ("<?xml version='1.0' ?>", 40001, Match::Maybe),
            ("<?xm", 40001, Match::Maybe),
            ("<", 40001, Match::Maybe),
            (" ", 5222, Match::Maybe),
            (" ", 40001, Match::No),
            ("<message type='chat'>", 5222, Match::Yes),
            ("<iq/>", 5269, Match::Yes),
            ("<presence>", 5280, Match::Yes),
            ("<stream:features>", 5223, Match::Yes),
            ("</stream:stream>", 5222, Match::Yes),
            ("<message type='chat'>", 40001, Match::No),
            ("<messages>", 5222, Match::No),
            ("<pres", 5222, Match::Maybe),
            (tls, 5222, Match::Yes),
            ("<proceed>", 5222, Match::No),
            ("<proceed xmlns='urn:i", 5222, Match::Maybe),
            ("<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'>", 5222, Match::No),
            ("<?xml version='1.0'?><message/>", 5222, Match::No),
            ("<?xml version='1.0'?><stream><a/></stream>", 40001, Match::No),
            ("<stream:stream xmlns:stream='urn:other'>", 40001, Match::No),
            ("<streams ", 5222, Match::No),
            ("<!DOCTYPE html><html>", 5222, Match::No),
            ("<html><body>", 5222, Match::No),
            ("GET / HTTP/1.1\r\n", 5222, Match::No),
            ("\u{1}\u{2}", 5222, Match::No),
        ];
        for (text, port, want) in cases {
            let p = Probe {
                data: text.as_bytes(),
                direction: Up,
                proto: IpProto::TCP,
                client_port: 40000,
                server_port: *port,
                server: [10, 0, 0, 2].into(),
                from_start: true,
                earlier_payload: false,
                earlier: &[],
            };
            assert_eq!(probe(&p), *want, "{text} on {port}");
            // What is begun may be no answer yet, but never the wrong one.
            for cut in 1..text.len() {
                let part = probe(&Probe { data: &text.as_bytes()[..cut], ..p });
                let early = part == Match::Yes && text[..cut].contains("<stream:stream");
                assert!(
                    part == Match::Maybe || part == *want || early,
                    "{text} on {port} cut at {cut}: {part:?}"
                );
            }
        }
    }

    #[test]
    fn a_conversation_is_read() {
        let conversation = conversation();
        let analysis = analyse(5222, &borrowed(&conversation));
        let brief: Vec<String> = analysis
            .observations
            .iter()
            .map(|o| {
                let field = |name: &str| o.fields.get(name).map(ToString::to_string).unwrap_or_default();
                let fields =
                    ["event", "name", "type", "from", "to", "starttls", "sasl", "encrypted", "elements"];
                let fields: Vec<_> = fields.into_iter().map(field).filter(|f| !f.is_empty()).collect();
                format!("{} {}", o.kind, fields.join(" ").replace('"', ""))
            })
            .collect();
        assert_eq!(
            brief,
            [
                "messenger.signature ",
                "xmpp.stream header null chat.example absent []",
                "xmpp.stream header chat.example null absent []",
                "xmpp.stream features chat.example null offered [PLAIN,LOGIN]",
                "xmpp.stream header null chat.example offered []",
                "xmpp.stream header chat.example null offered []",
                "xmpp.stream features chat.example null absent []",
                "xmpp.stanza iq set null null none [bind]",
                "xmpp.stanza presence null null null none []",
                "xmpp.stanza iq result null null none [bind]",
                "xmpp.stanza message chat null b…@chat.example none [body,active]",
                "xmpp.stanza message chat b…@chat.example/… null omemo [encrypted,body]",
            ]
        );
        assert_eq!(
            found(&analysis),
            [
                "SASL PLAIN log-in of user … (under 8 characters) with password … (under 8 characters)",
                "account address (jid) in clear: a…@chat.example/…",
                "account address (jid) in clear: to b…@chat.example",
                "message body in clear, 7 characters",
            ]
        );
        let flow = &analysis.flows[0];
        assert_eq!(flow.app_protocols, ["xmpp"]);
        assert_eq!((flow.names[0].name.as_str(), flow.names[0].source.as_str()), ("chat.example", "xmpp-to"));
        assert_eq!(flow.signatures.len(), 1);
        let payload: usize = conversation.iter().map(|(_, data)| data.len()).sum();
        assert_eq!(analysis.coverage.classes.get("xmpp"), Some(&(payload as u64)));
        assert!(analysis.warnings.is_empty(), "{:?}", analysis.warnings);
    }

    #[test]
    fn where_segments_end_changes_nothing() {
        let conversation = conversation();
        let whole = analyse(5222, &borrowed(&conversation));
        let bytes: Vec<(Direction, &[u8])> =
            conversation.iter().flat_map(|(d, data)| data.chunks(1).map(|b| (*d, b))).collect();
        // Also on a port that says nothing.
        for port in [5222, 40001] {
            let slow = analyse(port, &bytes);
            assert_eq!(told(&slow), told(&whole));
            assert_eq!(found(&slow), found(&whole));
        }
        for (index, (d, data)) in conversation.iter().enumerate() {
            for cut in 1..data.len() {
                let mut segments = borrowed(&conversation);
                segments.splice(index..=index, [(*d, &data[..cut]), (*d, &data[cut..])]);
                assert_eq!(told(&analyse(5222, &segments)), told(&whole), "segment {index} cut at {cut}");
            }
        }
    }

    #[test]
    fn cut_anywhere_nothing_is_invented() {
        let conversation = conversation();
        let whole = analyse(5222, &borrowed(&conversation));
        let (all, secrets) = (told(&whole), found(&whole));
        for index in 0..conversation.len() {
            for cut in 0..conversation[index].1.len() {
                let mut segments = borrowed(&conversation[..=index]);
                let last = segments.pop().unwrap();
                segments.push((last.0, &last.1[..cut]));
                let part = analyse(5222, &segments);
                let seen = told(&part);
                let seen: Vec<_> = seen.iter().filter(|o| !o.starts_with("warning")).collect();
                assert!(all.iter().take(seen.len()).eq(seen), "segment {index} cut at {cut}");
                // Text that is not known for XMPP yet is the flow's finding, as any text is.
                let known = part.flows[0].app_protocols == ["xmpp"];
                assert!(known || index == 0, "segment {index} cut at {cut}");
                let invented = found(&part).into_iter().find(|f| known && !secrets.contains(f));
                assert_eq!(invented, None, "segment {index} cut at {cut}");
            }
        }
    }

    #[test]
    fn hostile_bytes_do_no_harm() {
        let conversation = conversation();
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..500 {
            let mut broken = conversation.clone();
            for _ in 0..8 {
                let index = random(broken.len());
                let data = &mut broken[index].1;
                let (at, byte) = (random(data.len()), b"<>/'\"&!?-[] =\x00\x16\xff"[random(16)]);
                match random(3) {
                    0 => data[at] = byte,
                    1 => data.insert(at, byte),
                    _ => {
                        data.remove(at);
                    }
                }
            }
            let analysis = analyse(5222, &borrowed(&broken));
            assert_eq!(analysis.coverage.classes.values().sum::<u64>(), analysis.coverage.total);
        }
    }

    #[test]
    fn tls_begins_behind_proceed() {
        let header = format!("<stream:stream to='a.example' {NS}>");
        let answer = format!(
            "<stream:stream from='a.example' {NS}><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
        );
        let ask = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        let alert = b"\x15\x03\x03\x00\x02\x02\x28";
        for (name, proceed, protocols, last) in [
            (
                "plain",
                "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
                &["xmpp", "tls"][..],
                "tls.alert",
            ),
            (
                "space behind it",
                "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\r\n",
                &["xmpp", "tls"],
                "tls.alert",
            ),
            ("another namespace", "<proceed xmlns='urn:x'/>", &["xmpp"], "warning"),
            ("refused", "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", &["xmpp"], "warning"),
        ] {
            let segments = [
                (Up, header.as_bytes()),
                (Down, answer.as_bytes()),
                (Up, ask),
                (Down, proceed.as_bytes()),
                (Up, alert),
            ];
            let analysis = analyse(5222, &segments);
            assert_eq!(analysis.flows[0].app_protocols, protocols, "{name}");
            let seen = told(&analysis);
            let tail = seen.last().unwrap();
            assert!(tail.starts_with(last), "{name}: {tail}");
            assert_eq!(seen.iter().any(|o| o.contains("\"used\"")), protocols.len() == 2, "{name}");
            assert!(seen.iter().any(|o| o.contains("\"required\"")), "{name}");
        }
    }

    #[test]
    fn a_hello_without_proceed_is_tls_too() {
        let header = format!("<stream:stream to='a.example' {NS}>");
        let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
        for cut in 1..hello.len() {
            let analysis =
                analyse(5222, &[(Up, header.as_bytes()), (Up, &hello[..cut]), (Up, &hello[cut..])]);
            assert_eq!(analysis.flows[0].app_protocols, ["xmpp", "tls"], "{cut}");
        }
    }

    #[test]
    fn after_a_gap_reading_goes_on_at_the_next_stanza() {
        let header = format!("<stream:stream to='a.example' {NS}>");
        let options = Options { observe: true, ..Options::default() };
        let lost = "<message><body>lost</body><x>";
        let tail = "a='b'>text</x></message><iq type='get'/><presence/>";
        let mut segments =
            vec![(Up, header.as_bytes(), true), (Up, lost.as_bytes(), false), (Up, tail.as_bytes(), true)];
        // Enough answers that acknowledge the lost bytes.
        segments.extend([(Down, &b" "[..], true); 12]);
        let analysis = analyse_bytes("t", &capture(5222, &segments), &options).unwrap();
        let names: Vec<_> = analysis
            .observations
            .iter()
            .filter_map(|o| o.fields.get("name"))
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["\"iq\"", "\"presence\""]);
        assert_eq!(analysis.findings, []);
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_given_up() {
        let header = format!("<stream:stream to='a.example' {NS}>");
        let long = format!("<message><body>{}</body></message>", "x".repeat(MAX_ELEMENT));
        let deep = format!("<message>{}{}</message>", "<a>".repeat(200), "</a>".repeat(200));
        for (name, element, warning) in
            [("long", long, "more than 262144"), ("deep", deep, "deeper than 128")]
        {
            let mut segments = vec![(Up, header.as_bytes())];
            segments.extend(element.as_bytes().chunks(1400).map(|part| (Up, part)));
            segments.push((Up, b"<presence/>"));
            let analysis = analyse(5222, &segments);
            let warned: Vec<_> = analysis.warnings.iter().map(|w| w.what.as_str()).collect();
            assert!(warned.len() == 1 && warned[0].contains(warning), "{name}: {warned:?}");
            let last = told(&analysis).pop().unwrap();
            assert!(last.contains("\"presence\""), "{name}: {last}");
            assert_eq!(analysis.findings, [], "{name}");
        }
    }

    #[test]
    fn byte_by_byte_costs_no_more() {
        // Scanned anew for each byte, this would be 34 thousand million steps.
        let element = format!("<message a='{}'><!--", "x".repeat(MAX_ELEMENT - 64));
        let mut side = Side::default();
        for end in 1..=element.len() {
            assert_eq!(side.scan(&element.as_bytes()[..end]), Scan::More);
        }
        let whole = format!("{element}--></message>");
        assert_eq!(side.scan(whole.as_bytes()), Scan::Done(Unit::Element, whole.len()));
    }

    #[test]
    fn encryption_is_told_by_the_element_and_its_namespace() {
        for (inner, want) in [
            ("<body>hello</body>", "none"),
            ("<encrypted xmlns='eu.siacs.conversations.axolotl'/><body>fallback</body>", "omemo"),
            ("<o:encrypted xmlns:o='urn:xmpp:omemo:2'/>", "omemo"),
            (
                "<forwarded xmlns='urn:xmpp:forward:0'><message><encrypted xmlns='urn:xmpp:omemo:1'/></message></forwarded>",
                "omemo",
            ),
            ("<list xmlns='eu.siacs.conversations.axolotl'/>", "none"),
            ("<encrypted xmlns='urn:other'/>", "none"),
            ("<x xmlns='jabber:x:encrypted'>hQ</x><body>fallback</body>", "openpgp"),
            ("<openpgp xmlns='urn:xmpp:openpgp:0'>hQ</openpgp>", "openpgp"),
            ("<x xmlns='jabber:x:data'/>", "none"),
            ("<body>?OTR:AAMD</body>", "otr"),
            ("<body>I said ?OTR:</body>", "none"),
            ("<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>", "none"),
        ] {
            let stanza = format!("<message type='chat'>{inner}</message>");
            let analysis = analyse(5222, &[(Up, stanza.as_bytes())]);
            let seen = told(&analysis).concat();
            assert!(seen.contains(&format!("\"encrypted\":\"{want}\"")), "{inner}: {seen}");
            let content = analysis.findings.iter().any(|f| f.kind == FindingKind::Content);
            assert_eq!(content, want == "none" && inner.contains("body"), "{inner}");
        }
    }

    #[test]
    fn log_ins_in_clear_are_found() {
        let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
        let hidden = "… (under 8 characters)";
        for (name, client, want) in [
            ("LOGIN", format!("<auth {sasl} mechanism='LOGIN'/><response {sasl}>YW5uYQ==</response><response {sasl}>Z2VoZWlt</response>"),
                format!("SASL LOGIN log-in of user {hidden} with password {hidden}")),
            ("PLAIN in two steps", format!("<auth mechanism='PLAIN' {sasl}/><response {sasl}>AGFubmEAZ2VoZWlt</response>"),
                format!("SASL PLAIN log-in of user {hidden} with password {hidden}")),
            ("SASL 2", "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>AGFubmEAZ2VoZWlt</initial-response><user-agent id='1'/></authenticate>".into(),
                format!("SASL PLAIN log-in of user {hidden} with password {hidden}")),
            ("SCRAM", format!("<auth {sasl} mechanism='SCRAM-SHA-1'>biwsbj1hbm5hLHI9eA==</auth>"),
                format!("SASL SCRAM log-in of user {hidden}, the secret itself was not sent")),
            ("XEP-0078", "<iq type='set'><query xmlns='jabber:iq:auth'><username>anna</username><password>geheim</password></query></iq>".into(),
                format!("XMPP non-SASL log-in of user {hidden} with password {hidden}")),
            ("XEP-0078, digest", "<iq type='set'><query xmlns='jabber:iq:auth'><username>anna</username><digest>00</digest></query></iq>".into(),
                format!("XMPP non-SASL digest log-in of user {hidden}, the secret itself was not sent")),
            ("XEP-0078, question", "<iq type='get'><query xmlns='jabber:iq:auth'><username>anna</username><password/></query></iq>".into(), String::new()),
            ("XEP-0077", "<iq type='set'><query xmlns='jabber:iq:register'><username>anna</username><password>geheim</password></query></iq>".into(),
                format!("XMPP registration log-in of user {hidden} with password {hidden}")),
            ("given up", format!("<auth {sasl} mechanism='LOGIN'/><response {sasl}>YW5uYQ==</response><abort {sasl}/><auth {sasl} mechanism='EXTERNAL'>=</auth>"), String::new()),
        ] {
            let all = format!("<stream:stream {NS}>{client}");
            let analysis = analyse(5222, &[(Up, all.as_bytes())]);
            assert_eq!(found(&analysis).concat(), want, "{name}");
            let severity = match name {
                "SCRAM" => Severity::Medium,
                "XEP-0078, digest" => Severity::High,
                _ => Severity::Critical,
            };
            assert!(analysis.findings.iter().all(|f| f.severity == severity), "{name}");
        }
    }

    #[test]
    fn servers_among_themselves_are_no_messenger() {
        let header = |ns: &str| {
            format!("<stream:stream xmlns='{ns}' xmlns:stream='{STREAMS}' to='b.example' from='a.example'>")
        };
        for (ns, port, want) in [
            ("jabber:server", 5269, false),
            ("jabber:server", 5222, false),
            ("jabber:component:accept", 5222, false),
            ("jabber:client", 5269, true),
            ("jabber:client", 40001, true),
        ] {
            let analysis = analyse(port, &[(Up, header(ns).as_bytes())]);
            assert_eq!(analysis.flows[0].signatures.len(), usize::from(want), "{ns} on {port}");
        }
        let dialback =
            format!("{}<db:result to='c.example' from='a.example'>98ab</db:result>", header("jabber:server"));
        assert!(told(&analyse(5269, &[(Up, dialback.as_bytes())])).concat().contains("dialback"));
    }

    #[test]
    fn a_client_is_the_one_that_it_names() {
        let presence = |from: &str, node: &str| {
            format!(
                "<presence{from}><c xmlns='http://jabber.org/protocol/caps' node='{node}' ver='x'/></presence>"
            )
        };
        let header = format!("<stream:stream to='a.example' {NS}>");
        for (d, stanza, want) in [
            (Up, presence("", "http://pidgin.im/"), Some(("xmpp.other-client", "http://pidgin.im/"))),
            (Up, presence("", "http://conversations.im"), Some(("xmpp.conversations", "//conversations.im"))),
            (Up, presence("", "http://conversations.im.other.example"), Some(("xmpp.other-client", "other"))),
            // What others say of themselves, and no program at all.
            (Down, presence("", "http://pidgin.im/"), None),
            (Up, presence(" from='b@a.example/x' to='c@a.example'", "http://pidgin.im/"), None),
            (Up, presence("", " "), None),
            (Up, "<presence><c xmlns='urn:other' node='http://pidgin.im/'/></presence>".into(), None),
        ] {
            let analysis = analyse(5222, &[(Up, header.as_bytes()), (d, stanza.as_bytes())]);
            let hits = &analysis.flows[0].signatures;
            assert_eq!(hits[0].signature, "xmpp.stream", "{stanza}");
            let named = hits.get(1).map(|hit| (hit.signature.as_str(), hit.detail.as_str()));
            match (named, want) {
                (Some((id, detail)), Some((wanted, part))) => {
                    assert!(id == wanted && detail.contains(part), "{stanza}: {id} {detail}");
                }
                (named, want) => assert_eq!(named, want, "{stanza}"),
            }
        }
        // Between servers a presence is a user's of either.
        let servers =
            format!("<stream:stream xmlns='jabber:server' xmlns:stream='{STREAMS}' to='b.example'>");
        let analysis =
            analyse(5269, &[(Up, servers.as_bytes()), (Up, presence("", "http://pidgin.im/").as_bytes())]);
        assert_eq!(analysis.flows[0].signatures, []);
    }

    #[test]
    fn a_card_in_clear_is_personal_data() {
        let old = "<vCard xmlns='vcard-temp'><FN>Anna Berg</FN><N><FAMILY/><GIVEN>Anna</GIVEN></N><ADR><HOME/><STREET>Weg 3</STREET></ADR>\
            <TEL><WORK/><NUMBER>030 5550142</NUMBER></TEL><EMAIL><USERID>anna@mail.example</USERID></EMAIL><ROLE>x</ROLE></vCard>";
        let new = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Anna Berg</text></fn>\
            <tel><parameters><type><text>home</text></type></parameters></tel><bday><date>1999-09-09</date></bday></vcard>";
        for (card, want) in [
            (old, "with full name, name, address, telephone number, mail address"),
            (new, "with full name, date of birth"),
            ("<vCard xmlns='vcard-temp'/>", ""),
            ("<vCard xmlns='vcard-temp'><TEL><WORK/><NUMBER/></TEL><ROLE>x</ROLE></vCard>", ""),
            ("<vCard xmlns='urn:other'><FN>Anna Berg</FN></vCard>", ""),
        ] {
            let iq = format!("<iq type='result' id='1'>{card}</iq>");
            let analysis = analyse(5222, &[(Down, iq.as_bytes())]);
            let cards: Vec<_> = analysis.findings.iter().filter(|f| f.what.contains("vCard")).collect();
            assert_eq!(!cards.is_empty(), !want.is_empty(), "{card}: {:?}", analysis.findings);
            for f in cards {
                assert!(f.what.ends_with(want), "{}", f.what);
                assert_eq!((f.kind, f.severity), (FindingKind::Identifier, Severity::High));
                assert!(!f.what.contains("Anna") && !f.what.contains("555"), "{}", f.what);
            }
        }
        let many = format!("<iq type='result'>{old}</iq>").repeat(10);
        let told = analyse(5222, &[(Down, many.as_bytes())]);
        assert_eq!(told.findings.iter().filter(|f| f.what.contains("vCard")).count(), 3);
    }

    #[test]
    fn only_three_bodies_are_told() {
        let all = "<message><body>x</body></message>".repeat(10);
        assert_eq!(analyse(5222, &[(Up, all.as_bytes())]).findings.len(), 3);
    }

    #[test]
    fn of_a_jid_only_the_server_stays() {
        for (jid, want) in [
            ("anna@chat.example", "a…@chat.example"),
            ("anna@Chat.Example./phone of Anna", "a…@chat.example/…"),
            ("tim@chat.example", "…@chat.example"),
            ("chat.example", "chat.example"),
            ("chat.example/anna@home", "chat.example/…"),
            ("anna@secret@chat.example", "a…@chat.example"),
            ("room@muc.example/nick@x/y", "r…@muc.example/…"),
            ("a@b\u{7}", "…@b\\u{7}"),
        ] {
            assert_eq!(mask_jid(jid, Masking::On), want, "{jid}");
        }
        assert_eq!(mask_jid("anna@chat.example/x", Masking::Off), "anna@chat.example/x");
    }

    #[test]
    fn names_of_servers_are_names() {
        for (to, want) in [
            ("chat.example", Some("chat.example")),
            ("anna@chat.example/x", Some("chat.example")),
            ("b\u{fc}cher.example", Some("b\u{fc}cher.example")),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
            ("a b", None),
            ("", None),
            ("a\u{1b}[0m", None),
        ] {
            assert_eq!(server_name(to), want, "{to}");
        }
    }
}
