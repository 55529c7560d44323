//! WhatsApp's chat transport: the preface, the Noise handshake of today and the log-in of before 2017 in clear.
//!
//! Takes both directions of a connection that begins with `WA` (a routing header `ED 00 01` may precede); gives a signature with the
//! dictionary version, and either the encryption `noise` (client and server hello were parsed: `Noise_XX_25519_AESGCM_SHA256`,
//! whatsmeow `socket/constants.go`, 2026-08-21) or, for the older format (`FunXMPP`), the client version and the account
//! number that its log-in shows to everybody. Does not decrypt.

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Reader, Short, Step};
use crate::model::{Direction, FindingKind, Severity};
use crate::payload::RawFinding;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "whatsapp",
    title: "WhatsApp chat",
    source: "whatsmeow socket/constants.go (2026-08-21), nDPI src/lib/protocols/whatsapp.c (2024-10-21)",
    over: &[IpProto::TCP],
    ports: &[5222],
    reads: "preface and version, the hellos of the Noise handshake, version and account number of the older log-in in clear",
    probe,
    start: || Box::new(WhatsApp::default()),
};

const HELLO: Class = Class::handshake("whatsapp.handshake");
const CIPHERTEXT: Class = Class::encrypted("whatsapp.frames");
const LOGIN: Class = Class::clear("whatsapp.login");
const OPAQUE: Class = Class::opaque("whatsapp.frames.unverified");

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Up || !(p.from_start || p.server_on(&[5222, 443])) {
        return Match::No;
    }
    match *p.data {
        [b'W', b'A', 1..=15, 0..=15, ..] | [b'E', b'D', 0, 1, ..] => Match::Yes,
        [b'W' | b'E'] | [b'W', b'A'] | [b'W', b'A', 1..=15] | [b'E', b'D'] | [b'E', b'D', 0] => Match::Maybe,
        _ => Match::No,
    }
}

/// Frames of the old format's log-in that are searched for numbers.
const MAX_LOGIN: u8 = 4;

#[derive(Default)]
struct WhatsApp {
    /// Major and minor of the preface.
    version: Option<(u8, u8)>,
    /// The format of before Noise, as the client's first frame shows; the preface's number alone does not tell.
    old: Option<bool>,
    client_hello: bool,
    /// The client hello began a handshake whose server key it knew (Noise IK): the server's hello is shorter then.
    known_key: bool,
    noise: bool,
    /// Frames of the old log-in that were looked at.
    looked_at: u8,
    lost: bool,
    /// Frames of the client hello.
    hello_frames: Vec<u64>,
}

impl Dissector for WhatsApp {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if d == Direction::Up && self.version.is_none() {
            return self.preface(data, cx);
        }
        if self.lost {
            return Step::Took(data.len(), OPAQUE);
        }
        let mut r = Reader::new(data);
        let (Ok(flags_and_high), Ok(low)) = (r.u8("frame header"), r.u16("frame length")) else {
            return Step::More(3);
        };
        let old = self.old.unwrap_or_else(|| self.version.is_some_and(|(major, _)| major < 4));
        // Today's frames have a 24-bit length; the older ones four flags and 20 bits.
        let high = if old { flags_and_high & 0x0f } else { flags_and_high };
        let length = usize::from(high) << 16 | usize::from(low);
        let size = 3 + length;
        let ciphered = old && flags_and_high & 0x80 != 0;
        if self.noise || ciphered {
            return Step::Took(size, if self.noise { CIPHERTEXT } else { OPAQUE });
        }
        if length > 1 << 16 {
            self.lost = true;
            return Step::Took(data.len(), OPAQUE);
        }
        let Some(body) = data.get(3..size) else { return Step::More(size) };
        let old = *self.old.get_or_insert(old && !is_client_hello(body));
        if old { self.login(d, body, size, cx) } else { self.hello(d, body, size, cx) }
    }

    fn gap(&mut self, _: Direction, _: u64, _: &mut Cx<'_>) {
        self.lost = true;
    }

    fn unfinished(&self) -> Class {
        if self.noise { CIPHERTEXT } else { OPAQUE }
    }
}

impl WhatsApp {
    fn preface(&mut self, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let mut at = 0;
        if data.starts_with(b"ED") {
            // Edge routing: ED 00 01, three bytes of length, the routing value.
            let Some([.., a, b, c]) = data.get(..7) else { return Step::More(7) };
            at = 7 + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
            if at > 4096 {
                self.lost = true;
                self.version = Some((0, 0));
                return Step::Took(data.len(), OPAQUE);
            }
        }
        let Some(&[w, a, major, minor]) = data.get(at..at + 4) else { return Step::More(at + 4) };
        self.version = Some((major, minor));
        if [w, a] != *b"WA" {
            self.lost = true;
            return Step::Took(data.len(), OPAQUE);
        }
        let kind = match major {
            0..=1 => "whatsapp.funxmpp",
            2..=3 => "whatsapp.preface",
            _ => "whatsapp.noise-preface",
        };
        let detail = format!("preface WA, protocol {major}, dictionary {minor}, in clear");
        cx.signature("whatsapp", kind, "certain", &detail, 0..at + 4);
        Step::Took(at + 4, HELLO)
    }

    /// `HandshakeMessage` (protobuf): clientHello is field 2, serverHello 3, clientFinish 4; ephemeral is field 1 of both hellos.
    fn hello(&mut self, d: Direction, body: &[u8], size: usize, cx: &mut Cx<'_>) -> Step {
        let Ok((tag, parts)) = message(body) else {
            self.lost = true;
            return Step::Took(size, OPAQUE);
        };
        let ephemeral = parts.first().is_some_and(|(field, len)| *field == 1 && *len == 32);
        match (tag, d) {
            (2, Direction::Up) if ephemeral => {
                self.client_hello = true;
                self.known_key = parts.len() >= 3;
                self.hello_frames = cx.frames(0..size).all;
                let detail = "Noise client hello: an ephemeral key of 32 bytes; nothing else in clear";
                cx.signature("whatsapp", "whatsapp.noise-hello", "certain", detail, 0..size);
                Step::Took(size, HELLO)
            }
            // Ephemeral key, encrypted static key (32 + 16), encrypted certificate; the key is left out when the client had it.
            (3, Direction::Down)
                if ephemeral && self.client_hello && parts.len() >= if self.known_key { 2 } else { 3 } =>
            {
                self.noise = true;
                let hello = std::mem::take(&mut self.hello_frames);
                cx.flow().encrypted("noise", &hello);
                cx.encrypted("noise", 0..size);
                Step::Took(size, HELLO)
            }
            _ => {
                self.lost = true;
                Step::Took(size, OPAQUE)
            }
        }
    }

    /// A frame of the older format before its encryption began: strings stand in clear behind `fc` and a length.
    fn login(&mut self, d: Direction, body: &[u8], size: usize, cx: &mut Cx<'_>) -> Step {
        // Stream header, features, and the log-in itself.
        if d == Direction::Up && self.looked_at < MAX_LOGIN {
            self.looked_at += 1;
            for (at, text) in strings(body) {
                let range = 3 + at..3 + at + text.len();
                if text.len() >= 7 && text.bytes().all(|b| b.is_ascii_digit()) {
                    let masking = cx.masking();
                    cx.finding(
                        range,
                        RawFinding {
                            kind: FindingKind::Identifier,
                            severity: Severity::High,
                            what: format!("account number in the log-in: {}", masking.apply_any(text)),
                            rule: Some("whatsapp-account".to_owned()),
                            ..RawFinding::default()
                        },
                    );
                } else if text.len() >= 6 && text.contains('-') && text.contains('.') {
                    let version: String = text.chars().filter(char::is_ascii_graphic).take(64).collect();
                    let detail = format!("client version in clear: {version}");
                    cx.signature("whatsapp", "whatsapp.client-version", "certain", &detail, range);
                }
            }
        }
        Step::Took(size, LOGIN)
    }
}

/// A Noise client hello: its first field is an ephemeral key.
fn is_client_hello(body: &[u8]) -> bool {
    message(body).is_ok_and(|(tag, parts)| tag == 2 && parts.first() == Some(&(1, 32)))
}

/// Field number of the message's only field, and (field, length) of what is inside. Only length-delimited fields occur.
fn message(body: &[u8]) -> Result<(u64, Vec<(u64, usize)>), Short> {
    let mut r = Reader::new(body);
    let tag = varint(&mut r)? >> 3;
    let length = varint(&mut r)? as usize;
    let mut inner = Reader::new(r.take("message", length)?);
    let mut parts = Vec::new();
    while !inner.is_empty() && parts.len() < 16 {
        let field = varint(&mut inner)?;
        if field & 7 != 2 {
            return Err(Short { field: "length-delimited field", at: inner.at(), needed: 2, left: 0 });
        }
        let length = varint(&mut inner)? as usize;
        inner.take("field", length)?;
        parts.push((field >> 3, length));
    }
    Ok((tag, parts))
}

fn varint(r: &mut Reader<'_>) -> Result<u64, Short> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = r.u8("varint")?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(value)
}

/// Printable strings behind `fc LENGTH`, with the index of their first character.
fn strings(body: &[u8]) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (i, pair) in body.windows(2).enumerate() {
        if let [0xfc, length] = *pair {
            let text = body.get(i + 2..i + 2 + usize::from(length)).and_then(|t| std::str::from_utf8(t).ok());
            if let Some(text) = text.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic())) {
                found.push((i + 2, text));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hello_is_one_key() {
        let mut hello = vec![0x12, 0x22, 0x0a, 0x20];
        hello.extend([7; 32]);
        assert_eq!(message(&hello), Ok((2, vec![(1, 32)])));
        for cut in 0..hello.len() {
            assert!(message(&hello[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn strings_of_the_older_log_in() {
        assert_eq!(strings(b"\xf8\x05\xfc\x04a-1.\x01\xfc\xff"), [(4, "a-1.")]);
    }
}
