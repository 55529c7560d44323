//! MQTT 3.1, 3.1.1 and 5 over TCP (OASIS `mqtt-v3.1.1`, `mqtt-v5.0`): the publish/subscribe protocol that Messenger runs inside of TLS.
//!
//! Takes both directions; gives one observation a packet with its topic, and log-ins, client ids and published messages in
//! clear as findings. Payloads are not taken apart. Starts only with the client's CONNECT.

use std::collections::BTreeMap;

use serde::Serialize;

use super::packet::IpProto;
use super::reader::{Reader, Short};
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step, begins_units};
use crate::model::{Direction, FindingKind, Severity};
use crate::payload::{Credential, Masking, RawFinding};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "mqtt",
    title: "MQTT",
    source: "OASIS MQTT 3.1.1 and 5.0",
    over: &[IpProto::TCP],
    ports: &[1883],
    reads: "packet types, topics and topic filters, topic aliases, client id, last will, user and password; payloads only by their size",
    probe,
    start: || Box::new(Mqtt::default()),
};

const CLASS: Class = Class::clear("mqtt");
const OPAQUE: Class = Class::opaque("opaque");

/// CONNECT packets and topics are read up to this size.
const MAX_READ: usize = 64 << 10;
/// Findings of published messages, each flow.
const MAX_PUBLISHED: u8 = 4;
/// Topics that numbers stand for, each direction.
const MAX_ALIASES: usize = 256;
/// Topic filters of one packet.
const MAX_FILTERS: usize = 64;

static TYPES: [&str; 16] = [
    "reserved",
    "connect",
    "connack",
    "publish",
    "puback",
    "pubrec",
    "pubrel",
    "pubcomp",
    "subscribe",
    "suback",
    "unsubscribe",
    "unsuback",
    "pingreq",
    "pingresp",
    "disconnect",
    "auth",
];

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Up {
        return Match::No;
    }
    let Some(Header { kind: 1, flags: 0, at, .. }) = header(p.data) else { return Match::No };
    let name = p.data.get(at..).unwrap_or_default();
    let known = [&b"\x00\x04MQTT"[..], b"\x00\x06MQIsdp"];
    if known.iter().any(|k| name.starts_with(k)) {
        Match::Yes
    } else if known.iter().any(|k| k.starts_with(name)) && !name.is_empty() {
        Match::Maybe
    } else {
        Match::No
    }
}

/// Fixed header (section 2.2 of both versions): where the rest begins and how long it is.
struct Header {
    kind: u8,
    flags: u8,
    at: usize,
    length: usize,
}

fn header(data: &[u8]) -> Option<Header> {
    let (first, rest) = data.split_first()?;
    let mut length = 0;
    for (place, byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(Header { kind: first >> 4, flags: first & 0x0f, at: place + 2, length });
        }
    }
    None
}

/// Whether a packet may begin so: only PUBLISH, and the three with 2, have flags (table 2.2).
fn fits(header: &Header) -> bool {
    let wanted = match header.kind {
        3 => header.flags,
        6 | 8 | 10 => 2,
        _ => 0,
    };
    header.kind != 0 && header.flags == wanted
}

/// Whether packets stand at the beginning of these bytes: one that fills them, or two and more of which the last may go on.
fn begins_packets(data: &[u8]) -> bool {
    begins_units(data, 2, |rest| header(rest).filter(fits).map(|header| header.at + header.length))
}

#[derive(Default)]
struct Mqtt {
    version: u8,
    /// In each direction, the border of packets is unknown.
    lost: [bool; 2],
    /// Something else was there: no packets are sought any more.
    broken: bool,
    /// In each direction, the topics that numbers stand for (version 5, section 3.3.2.3.4).
    aliases: [BTreeMap<u16, String>; 2],
    published: u8,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    topic: Option<String>,
    /// Topic filters of SUBSCRIBE and UNSUBSCRIBE.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    topics: Vec<String>,
    version: Option<u8>,
    bytes: usize,
}

struct Connect {
    version: u8,
    client_id: String,
    /// Topic and length of the message that the server shall send when the client is gone.
    will: Option<(String, usize)>,
    user: Option<String>,
    password: Option<String>,
}

fn string(r: &mut Reader<'_>, field: &'static str) -> Result<String, Short> {
    r.vec16(field).map(|t| String::from_utf8_lossy(t.rest()).into_owned())
}

/// A variable-length integer, as in the fixed header (section 1.5.5 of version 5).
fn variable(r: &mut Reader<'_>, field: &'static str) -> Result<usize, Short> {
    let mut length = 0;
    for place in 0..4 {
        let byte = r.u8(field)?;
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(length)
}

/// The properties of version 5 (section 2.2.2); before it there are none.
fn properties<'a>(r: &mut Reader<'a>, version: u8) -> Result<&'a [u8], Short> {
    if version != 5 {
        return Ok(&[]);
    }
    let length = variable(r, "property length")?;
    r.take("properties", length)
}

/// The number that stands for a topic, among the properties of PUBLISH.
fn alias(properties: &[u8]) -> Option<u16> {
    let mut r = Reader::new(properties);
    loop {
        match r.u8("property").ok()? {
            0x23 => return r.u16("topic alias").ok(),
            0x01 => drop(r.u8("payload format").ok()?),
            0x02 => drop(r.take("message expiry", 4).ok()?),
            0x0b => drop(variable(&mut r, "subscription").ok()?),
            0x03 | 0x08 | 0x09 => {
                r.vec16("text").ok()?;
            }
            0x26 => {
                r.vec16("name").ok()?;
                r.vec16("value").ok()?;
            }
            _ => return None,
        }
    }
}

/// Topic filters of SUBSCRIBE (section 3.8) or, without options, UNSUBSCRIBE (section 3.10).
fn filters(body: &[u8], version: u8, options: bool) -> Result<Vec<String>, Short> {
    let mut r = Reader::new(body);
    r.u16("packet id")?;
    properties(&mut r, version)?;
    let mut all = Vec::new();
    while !r.rest().is_empty() && all.len() < MAX_FILTERS {
        all.push(string(&mut r, "topic filter")?);
        if options {
            r.u8("subscription options")?;
        }
    }
    Ok(all)
}

/// Variable header and payload of CONNECT (section 3.1 of both versions).
fn connect(body: &[u8]) -> Result<Connect, Short> {
    let mut r = Reader::new(body);
    r.vec16("protocol name")?;
    let version = r.u8("protocol level")?;
    let flags = r.u8("connect flags")?;
    r.u16("keep alive")?;
    properties(&mut r, version)?;
    let client_id = string(&mut r, "client id")?;
    let mut will = None;
    if flags & 0x04 != 0 {
        properties(&mut r, version)?;
        let topic = string(&mut r, "will topic")?;
        will = Some((topic, r.vec16("will message")?.rest().len()));
    }
    let user = if flags & 0x80 != 0 { Some(string(&mut r, "user")?) } else { None };
    let password = if flags & 0x40 != 0 { Some(string(&mut r, "password")?) } else { None };
    Ok(Connect { version, client_id, will, user, password })
}

impl Mqtt {
    /// Reads CONNECT; gives the topic of the will.
    fn connected(&mut self, body: &[u8], at: usize, cx: &mut Cx<'_>) -> Option<String> {
        let range = at..at + body.len();
        let read = match connect(body) {
            Ok(read) => read,
            Err(short) => {
                cx.warn(at, format!("MQTT: {short}"));
                return None;
            }
        };
        self.version = read.version;
        let masking = if cx.show_secrets() { Masking::Off } else { Masking::On };
        if read.user.is_some() || read.password.is_some() {
            let login = Credential { scheme: "mqtt", user: read.user, secret: read.password };
            cx.finding(range.clone(), login.finding((0, 0), masking, false));
        }
        if !read.client_id.is_empty() {
            let what = format!("MQTT client id {}", masking.apply_any(&read.client_id));
            cx.finding(
                range.clone(),
                found("mqtt-client-id", FindingKind::Identifier, Severity::Medium, what),
            );
        }
        let (topic, bytes) = read.will?;
        if bytes > 0 {
            let what = format!("MQTT last will in clear, {bytes} bytes");
            cx.finding(range, found("mqtt-will", FindingKind::Content, Severity::High, what));
        }
        Some(topic)
    }

    fn lost(&mut self, d: Direction) -> &mut bool {
        let [up, down] = &mut self.lost;
        if d == Direction::Up { up } else { down }
    }

    fn lose(&mut self, d: Direction, n: usize) -> Step {
        *self.lost(d) = true;
        self.broken = true;
        Step::Took(n, OPAQUE)
    }

    /// The topic of a PUBLISH: its own, or the one that its number stands for.
    fn topic(&mut self, d: Direction, own: String, alias: Option<u16>) -> String {
        let [up, down] = &mut self.aliases;
        let known = if d == Direction::Up { up } else { down };
        let Some(alias) = alias else { return own };
        if own.is_empty() {
            return known.get(&alias).cloned().unwrap_or_default();
        }
        if known.len() < MAX_ALIASES || known.contains_key(&alias) {
            known.insert(alias, own.clone());
        }
        own
    }
}

fn found(id: &str, kind: FindingKind, severity: Severity, what: String) -> RawFinding {
    RawFinding { kind, severity, what, rule: Some(id.to_owned()), ..RawFinding::default() }
}

impl Dissector for Mqtt {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if *self.lost(d) {
            // A sender begins most packets with a segment.
            if self.broken || !begins_packets(data) {
                return Step::Took(data.len(), OPAQUE);
            }
            *self.lost(d) = false;
        }
        let Some(header) = header(data) else {
            return if data.len() < 5 { Step::More(data.len() + 1) } else { self.lose(d, data.len()) };
        };
        if !fits(&header) {
            cx.warn(0, "MQTT: no packet where one should be");
            return self.lose(d, data.len());
        }
        let Header { kind, at, length, .. } = header;
        let size = at + length;
        let body = data.get(at..size.min(data.len())).unwrap_or_default();
        let (mut topic, mut topics) = (None, Vec::new());
        match kind {
            1 | 8 | 10 if length <= MAX_READ && body.len() < length => return Step::More(size),
            1 => topic = self.connected(body, at, cx),
            8 | 10 => match filters(body, self.version, kind == 8) {
                Ok(all) => topics = all,
                Err(short) => cx.warn(at, format!("MQTT: {short}")),
            },
            3 => {
                let mut r = Reader::new(body);
                let version = self.version;
                let mut read = || {
                    let own = string(&mut r, "topic")?;
                    if header.flags & 0x06 != 0 {
                        r.u16("packet id")?;
                    }
                    properties(&mut r, version).map(|all| (own, alias(all)))
                };
                match read() {
                    Ok((own, alias)) => topic = Some(self.topic(d, own, alias)),
                    Err(short) if body.len() < length && short.at + short.needed < MAX_READ => {
                        return Step::More(at + (short.at + short.needed).min(length));
                    }
                    Err(short) => {
                        cx.warn(at, format!("MQTT: {short}"));
                        return self.lose(d, size);
                    }
                }
                if self.published < MAX_PUBLISHED {
                    self.published += 1;
                    let what = format!("MQTT message in clear, {size} bytes with its header");
                    cx.finding(
                        0..size.min(data.len()),
                        found("mqtt-content", FindingKind::Content, Severity::High, what),
                    );
                }
            }
            _ => {}
        }
        let version = (kind == 1).then_some(self.version);
        let name = TYPES.get(usize::from(kind)).copied().unwrap_or_default();
        cx.emit("mqtt.message", 0..size.min(data.len()), || Message {
            kind: name,
            topic,
            topics,
            version,
            bytes: size,
        });
        Step::Took(size, CLASS)
    }

    fn gap(&mut self, d: Direction, _: u64, cx: &mut Cx<'_>) {
        if !*self.lost(d) && !cx.ending() {
            cx.warn(
                0,
                "MQTT: bytes are missing; it is read again from the next segment that begins with a packet",
            );
        }
        *self.lost(d) = true;
    }

    fn unfinished(&self) -> Class {
        if self.lost.contains(&true) { OPAQUE } else { CLASS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CONNECT of version 3.1.1 with user and password.
    fn body() -> Vec<u8> {
        let mut body = b"\x00\x04MQTT\x04\xc2\x00\x3c".to_vec();
        for text in ["phone-17", "anna", "geheim"] {
            body.extend((text.len() as u16).to_be_bytes());
            body.extend(text.as_bytes());
        }
        body
    }

    #[test]
    fn a_connect_is_read_and_every_cut_of_it_refused() {
        let body = body();
        let read = connect(&body).unwrap();
        assert_eq!((read.version, read.client_id.as_str()), (4, "phone-17"));
        assert_eq!((read.user.as_deref(), read.password.as_deref()), (Some("anna"), Some("geheim")));
        for cut in 0..body.len() {
            assert!(connect(&body[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn topics_are_read_with_their_numbers() {
        let subscribe = b"\x00\x01\x00\x05a/b/#\x00\x00\x03c/d\x01";
        assert_eq!(filters(subscribe, 4, true).unwrap(), ["a/b/#", "c/d"]);
        assert!(
            (0..subscribe.len())
                .all(|cut| filters(&subscribe[..cut], 4, true).is_err() || [2, 10].contains(&cut))
        );
        assert_eq!(filters(b"\x00\x01\x00\x00\x01x", 5, false).unwrap(), ["x"]);
        // A message expiry and a user property before the number.
        assert_eq!(alias(b"\x02\x00\x00\x00\x3c\x26\x00\x01k\x00\x01v\x23\x00\x07"), Some(7));
        let mut mqtt = Mqtt::default();
        assert_eq!(mqtt.topic(Direction::Up, "t/5".into(), Some(7)), "t/5");
        assert_eq!(mqtt.topic(Direction::Up, String::new(), Some(7)), "t/5");
        assert_eq!(mqtt.topic(Direction::Down, String::new(), Some(7)), "");
    }

    #[test]
    fn packets_are_found_again() {
        assert!(begins_packets(b"\xc0\x00"), "a PINGREQ");
        assert!(begins_packets(b"\xc0\x00\x30\x7f\x00\x03"), "and a PUBLISH that goes on");
        assert!(!begins_packets(b"\x30\x7f\x00\x03"), "one that goes on could be chance");
        assert!(!begins_packets(b"\xc1\x00"), "flags that it cannot have");
        assert!(!begins_packets(b""));
    }

    #[test]
    fn lengths_take_up_to_four_bytes() {
        for (bytes, at, length) in [
            (&[0x30, 0x00][..], 2, 0),
            (&[0x30, 0x7f], 2, 127),
            (&[0x30, 0x80, 0x01], 3, 128),
            (&[0x30, 0xff, 0xff, 0xff, 0x7f], 5, 268_435_455),
        ] {
            let h = header(bytes).unwrap();
            assert_eq!((h.kind, h.at, h.length), (3, at, length));
        }
        assert!(header(&[0x30, 0xff, 0xff, 0xff, 0xff]).is_none());
        assert!(header(&[]).is_none());
    }
}
