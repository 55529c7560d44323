//! MQTT 3.1, 3.1.1 and 5 over TCP (OASIS `mqtt-v3.1.1`, `mqtt-v5.0`): the publish/subscribe protocol that Messenger runs inside of TLS.
//!
//! Takes both directions; gives one observation a packet with its topic, and log-ins, client ids and published messages in
//! clear as findings. Payloads are not taken apart. Starts only with the client's CONNECT.

use serde::Serialize;

use super::packet::IpProto;
use super::reader::{Reader, Short};
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::model::{Direction, FindingKind, Severity};
use crate::payload::{Credential, Masking, RawFinding};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "mqtt",
    title: "MQTT",
    source: "OASIS MQTT 3.1.1 and 5.0",
    over: &[IpProto::TCP],
    ports: &[1883],
    reads: "packet types, topics, client id, user and password; payloads only by their size",
    probe,
    start: || Box::new(Mqtt::default()),
};

const CLASS: Class = Class::clear("mqtt");
const OPAQUE: Class = Class::opaque("opaque");

/// CONNECT packets and topics are read up to this size.
const MAX_READ: usize = 64 << 10;
/// Findings of published messages, each flow.
const MAX_PUBLISHED: u8 = 4;

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

#[derive(Default)]
struct Mqtt {
    version: u8,
    lost: bool,
    published: u8,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    topic: Option<String>,
    version: Option<u8>,
    bytes: usize,
}

struct Connect {
    version: u8,
    client_id: String,
    user: Option<String>,
    password: Option<String>,
}

/// Variable header and payload of CONNECT (section 3.1 of both versions).
fn connect(body: &[u8]) -> Result<Connect, Short> {
    let mut r = Reader::new(body);
    r.vec16("protocol name")?;
    let version = r.u8("protocol level")?;
    let flags = r.u8("connect flags")?;
    r.u16("keep alive")?;
    let text =
        |r: &mut Reader<'_>, field| r.vec16(field).map(|t| String::from_utf8_lossy(t.rest()).into_owned());
    let properties = |r: &mut Reader<'_>| -> Result<(), Short> {
        if version == 5 {
            // A variable-length integer, as in the fixed header.
            let mut length = 0;
            for place in 0..4 {
                let byte = r.u8("property length")?;
                length |= usize::from(byte & 0x7f) << (7 * place);
                if byte & 0x80 == 0 {
                    break;
                }
            }
            r.take("properties", length)?;
        }
        Ok(())
    };
    properties(&mut r)?;
    let client_id = text(&mut r, "client id")?;
    if flags & 0x04 != 0 {
        properties(&mut r)?;
        r.vec16("will topic")?;
        r.vec16("will message")?;
    }
    let user = if flags & 0x80 != 0 { Some(text(&mut r, "user")?) } else { None };
    let password = if flags & 0x40 != 0 { Some(text(&mut r, "password")?) } else { None };
    Ok(Connect { version, client_id, user, password })
}

impl Mqtt {
    fn connected(&mut self, body: &[u8], at: usize, cx: &mut Cx<'_>) {
        let range = at..at + body.len();
        let read = match connect(body) {
            Ok(read) => read,
            Err(short) => return cx.warn(at, format!("MQTT: {short}")),
        };
        self.version = read.version;
        let masking = if cx.show_secrets() { Masking::Off } else { Masking::On };
        if read.user.is_some() || read.password.is_some() {
            let login = Credential { scheme: "mqtt", user: read.user, secret: read.password };
            cx.finding(range.clone(), login.finding((0, 0), masking, false));
        }
        if !read.client_id.is_empty() {
            let what = format!("MQTT client id {}", masking.apply_any(&read.client_id));
            cx.finding(range, found("mqtt-client-id", FindingKind::Identifier, Severity::Medium, what));
        }
    }

    fn lose(&mut self, n: usize) -> Step {
        self.lost = true;
        Step::Took(n, OPAQUE)
    }
}

fn found(id: &str, kind: FindingKind, severity: Severity, what: String) -> RawFinding {
    RawFinding { kind, severity, what, rule: Some(id.to_owned()), ..RawFinding::default() }
}

impl Dissector for Mqtt {
    fn stream(&mut self, _: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if self.lost {
            return Step::Took(data.len(), OPAQUE);
        }
        let Some(Header { kind, flags, at, length }) = header(data) else {
            return if data.len() < 5 { Step::More(data.len() + 1) } else { self.lose(data.len()) };
        };
        let size = at + length;
        // Only PUBLISH, and the three with 2, have flags (table 2.2).
        let wanted = match kind {
            3 => flags,
            6 | 8 | 10 => 2,
            _ => 0,
        };
        if kind == 0 || flags != wanted {
            cx.warn(0, "MQTT: no packet where one should be");
            return self.lose(data.len());
        }
        let body = data.get(at..size.min(data.len())).unwrap_or_default();
        let mut topic = None;
        match kind {
            1 => {
                if length <= MAX_READ && body.len() < length {
                    return Step::More(size);
                }
                self.connected(body, at, cx);
            }
            3 => {
                let mut r = Reader::new(body);
                match r.vec16("topic") {
                    Ok(t) => topic = Some(String::from_utf8_lossy(t.rest()).into_owned()),
                    Err(short) if body.len() < length && short.at + short.needed < MAX_READ => {
                        return Step::More(at + (short.at + short.needed).min(length));
                    }
                    Err(short) => {
                        cx.warn(at, format!("MQTT: {short}"));
                        return self.lose(size);
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
            version,
            bytes: size,
        });
        Step::Took(size, CLASS)
    }

    fn gap(&mut self, _: Direction, _: u64, _: &mut Cx<'_>) {
        self.lost = true;
    }

    fn unfinished(&self) -> Class {
        if self.lost { OPAQUE } else { CLASS }
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
