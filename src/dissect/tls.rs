//! TLS over streams: records, hellos, certificates, alerts (RFC 8446, RFC 5246, RFC 6101 appendix E for SSL 2 hellos).
//!
//! Takes the bytes of both directions, also from the middle of a connection; gives client and server hellos with JA4, certificates
//! sent in clear, alerts, and from the server hello on the encryption of the flow. Messages may be spread over
//! records and segments. Skips ciphertext without a copy. Does not decrypt, and does not call a connection encrypted
//! whose handshake it has not seen.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::ja4::{self, is_grease};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Frames, Match, Probe, Protocol, Reader, Short, Step};
use crate::capture::hex;
use crate::model::{Direction, FlowTls};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "tls",
    title: "TLS",
    source: "RFC 8446, RFC 5246",
    over: &[IpProto::TCP],
    ports: &[443, 465, 636, 853, 989, 990, 992, 993, 994, 995, 5223, 5228, 8443],
    reads: "client and server hellos, JA4, certificates in clear (TLS 1.2 and older), alerts in clear; not yet decryption",
    probe,
    start: || Box::new(Tls::default()),
};

const HANDSHAKE: Class = Class::handshake("tls.handshake");
const APPLICATION: Class = Class::encrypted("tls.application");
/// Records of a connection whose handshake is not in the capture.
const UNVERIFIED: Class = Class::opaque("tls.unverified");

/// Fragments up to 2^14 bytes, and up to 2048 more when encrypted (RFC 5246 section 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;

/// Handshake messages longer than this are given up.
const MAX_MESSAGE: usize = 1 << 18;

/// Random of a hello-retry request (RFC 8446 section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The first five bytes are a record header.
fn record_header(data: &[u8]) -> Option<(u8, usize)> {
    match *data {
        [kind @ 20..=24, 3, 0..=4, high, low, ..] => {
            let length = usize::from(u16::from_be_bytes([high, low]));
            (length <= MAX_RECORD).then_some((kind, length))
        }
        _ => None,
    }
}

fn probe(p: &Probe<'_>) -> Match {
    match *p.data {
        [22, 3, 0..=4, _, _, 1 | 2, ..] if record_header(p.data).is_some() => Match::Yes,
        [22, 3, 0..=4] | [22, 3, 0..=4, _] | [22, 3, 0..=4, _, _] | [22, 3] | [22] if p.from_start => {
            Match::Maybe
        }
        // In mid-stream any record will do, if its length fits its kind.
        [20, 3, 1..=4, 0, 1, 1, ..] | [21, 3, 1..=4, 0, 2..=64, ..] | [22 | 23, 3, 1..=4, _, _, _, ..]
            if !p.from_start =>
        {
            if record_header(p.data).is_some_and(|(_, n)| n > 0) {
                Match::Yes
            } else {
                Match::No
            }
        }
        _ if sslv2(p.data).is_some() && PROTOCOL.ports.contains(&p.server_port) => Match::Yes,
        _ => Match::No,
    }
}

/// An SSL 2 compatible client hello (RFC 5246 appendix E.2): its size with the header.
fn sslv2(data: &[u8]) -> Option<usize> {
    match *data {
        [high @ 0x80..=0xff, low, 1, 0, 2, ..] | [high @ 0x80..=0xff, low, 1, 3, 0..=3, ..] => {
            let size = 2 + (usize::from(high & 0x7f) << 8 | usize::from(low));
            (12..=2048).contains(&size).then_some(size)
        }
        _ => None,
    }
}

#[derive(Default)]
struct Side {
    /// Start of a handshake message whose end is in a later record.
    partial: Vec<u8>,
    partial_frames: Vec<u64>,
    /// This side has sent change-cipher-spec.
    ciphered: bool,
    /// Not at a record border.
    lost: bool,
}

#[derive(Default)]
struct Tls {
    up: Side,
    down: Side,
    /// A hello was read: what follows belongs to a parsed handshake.
    begun: bool,
    /// Version of the server hello, as on the wire.
    version: Option<u16>,
}

impl Tls {
    fn side(&mut self, d: Direction) -> &mut Side {
        match d {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    fn application(&self) -> Class {
        if self.begun { APPLICATION } else { UNVERIFIED }
    }
}

impl Dissector for Tls {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if let Some(size) = sslv2(data).filter(|_| !self.begun) {
            let Some(message) = data.get(..size) else { return Step::More(size) };
            self.hello_v2(message, cx);
            return Step::Took(size, HANDSHAKE);
        }
        if data.len() < 5 && (data.first().is_some_and(|k| (20..=24).contains(k)) || self.side(d).lost) {
            return Step::More(5);
        }
        let Some((kind, length)) = record_header(data) else {
            if !self.side(d).lost {
                self.side(d).lost = true;
                self.side(d).partial.clear();
                cx.warn(0, "TLS: no record header where one should be");
            }
            return Step::Took(data.len(), UNVERIFIED);
        };
        self.side(d).lost = false;
        let size = 5 + length;
        if kind == 23 || kind == 24 {
            return Step::Took(size, self.application());
        }
        let tls13 = self.version == Some(0x0304);
        if self.side(d).ciphered && !tls13 && kind != 20 {
            // After a hello-retry the client sends its second hello in clear behind a change-cipher-spec (RFC 8446 appendix D.4);
            // where the server's side is not in the capture, only the record's own shape tells.
            let second_hello = self.version.is_none()
                && matches!(data, [22, _, _, _, _, 1, a, b, c, ..] if u32::from_be_bytes([0, *a, *b, *c]) as usize + 4 == length);
            if !second_hello {
                return Step::Took(size, self.application());
            }
        }
        let Some(body) = data.get(5..size) else { return Step::More(size) };
        match kind {
            20 => self.side(d).ciphered = true,
            21 => {
                if let [level @ 1..=2, description] = *body {
                    cx.emit("tls.alert", 0..size, || Alert {
                        transport: "tcp",
                        level: if level == 1 { "warning" } else { "fatal" },
                        description: alert_name(description),
                        code: description,
                    });
                } else {
                    return Step::Took(size, self.application());
                }
            }
            _ => {
                let frames = cx.frames(0..size);
                if !self.handshake(d, body, &frames, cx) {
                    return Step::Took(size, self.application());
                }
            }
        }
        Step::Took(size, if self.begun { HANDSHAKE } else { UNVERIFIED })
    }

    fn gap(&mut self, d: Direction, _: u64, _: &mut Cx<'_>) {
        let side = self.side(d);
        side.partial.clear();
        side.partial_frames.clear();
        side.lost = true;
    }

    fn finish(&mut self, d: Direction, unread: &[u8], cx: &mut Cx<'_>) {
        // A hello cut off by the end of the capture is still worth its name, but it is not complete: only warned of.
        if !unread.is_empty() && record_header(unread).is_some_and(|(k, _)| k == 22) && !self.side(d).ciphered
        {
            cx.warn(0, "TLS: the capture ends within a handshake record");
        }
    }

    fn unfinished(&self) -> Class {
        self.application()
    }
}

impl Tls {
    /// Handshake messages of one record; `false` when they are not in clear.
    fn handshake(&mut self, d: Direction, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) -> bool {
        let mut partial = std::mem::take(&mut self.side(d).partial);
        let earlier = std::mem::take(&mut self.side(d).partial_frames);
        let joined;
        let (mut rest, mut frames) = (body, frames.clone());
        if !partial.is_empty() {
            partial.extend_from_slice(body);
            frames = frames.after(&earlier);
            joined = partial;
            rest = &joined;
        }
        while let [kind, a, b, c, tail @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            // Types that the IANA list has; anything else is ciphertext that looks like a handshake record.
            if !matches!(kind, 0..=6 | 8 | 11..=16 | 20..=26 | 67 | 254) || length > MAX_MESSAGE {
                return false;
            }
            let Some(message) = tail.get(..length) else { break };
            self.message(d, *kind, message, &frames, cx);
            rest = tail.get(length..).unwrap_or_default();
        }
        if !rest.is_empty() && rest.len() <= MAX_MESSAGE {
            let kept = rest.to_vec();
            let side = self.side(d);
            side.partial = kept;
            side.partial_frames = frames.all;
            side.partial_frames.truncate(64);
        }
        true
    }

    fn message(&mut self, d: Direction, kind: u8, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) {
        let read = match kind {
            1 => self.client_hello(body, frames, cx),
            2 => self.server_hello(body, frames, cx),
            11 => Tls::certificates(d, body, frames, cx),
            _ => Ok(()),
        };
        if let Err(short) = read {
            cx.warn(0, format!("TLS handshake message of type {kind}: {short}"));
        }
    }

    fn client_hello(&mut self, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) -> Result<(), Short> {
        let hello = ClientHello::read(body);
        self.begun = true;
        let (ja4, raw) = hello.ja4('t');
        let flow = cx.flow();
        if let Some(sni) = &hello.sni {
            flow.name(sni, "sni", frames.complete);
        }
        if flow.encryption.is_none() {
            flow.encrypted("tls", &frames.all);
        }
        flow.ja4.get_or_insert_with(|| ja4.clone());
        let tls = flow.tls.get_or_insert_with(Box::<FlowTls>::default);
        if tls.client_hello.is_none() {
            tls.client_hello = Some(frames.complete);
            tls.sni.clone_from(&hello.sni);
            tls.alpn.clone_from(&hello.alpn);
            tls.ech = Some(hello.ech().to_owned());
        }
        cx.emit_at("tls.client_hello", frames.clone(), || hello.observation("tcp", ja4, raw));
        hello.stopped.map_or(Ok(()), Err)
    }

    fn server_hello(&mut self, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) -> Result<(), Short> {
        let hello = ServerHello::read(body)?;
        self.begun = true;
        if !hello.retry || hello.version == 0x0304 {
            self.version = Some(hello.version);
        }
        let label = version_label(hello.version);
        let flow = cx.flow();
        if !hello.retry {
            flow.encrypted(label, &frames.all);
        }
        let tls = flow.tls.get_or_insert_with(Box::<FlowTls>::default);
        if !hello.retry && tls.server_hello.is_none() {
            tls.server_hello = Some(frames.complete);
            tls.version = Some(label.to_owned());
            tls.cipher = Some(code(hello.cipher));
        }
        cx.emit_at("tls.server_hello", frames.clone(), || ServerHelloSeen {
            transport: "tcp",
            version: label,
            cipher: code(hello.cipher),
            alpn: hello.alpn.clone(),
            hello_retry: hello.retry,
        });
        Ok(())
    }

    fn certificates(d: Direction, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) -> Result<(), Short> {
        let mut r = Reader::new(body);
        let mut list = r.vec24("certificate list")?;
        let mut chain = Vec::new();
        while !list.is_empty() && chain.len() < 64 {
            chain.push(certificate(list.vec24("certificate")?.rest()));
        }
        let side = if d == Direction::Down { "server" } else { "client" };
        if let (Direction::Down, Some(leaf)) = (d, chain.first()) {
            let flow = cx.flow();
            let tls = flow.tls.get_or_insert_with(Box::<FlowTls>::default);
            if tls.certificate.is_none() {
                tls.certificate = Some(frames.complete);
                tls.subject.clone_from(&leaf.subject);
                tls.issuer.clone_from(&leaf.issuer);
                tls.not_before.clone_from(&leaf.not_before);
                tls.not_after.clone_from(&leaf.not_after);
            }
            for name in leaf.dns_names.iter().take(16) {
                flow.name(name, "certificate", frames.complete);
            }
        }
        if let Some(at) = chain.iter().position(|c| c.serial.is_none()) {
            cx.warn(0, format!("TLS: certificate {} of the chain cannot be read", at + 1));
        }
        cx.emit_at("tls.certificate", frames.clone(), || CertificateSeen {
            transport: "tcp",
            side,
            chain: chain.iter().map(AsRef::as_ref).collect(),
        });
        Ok(())
    }

    /// SSL 2 compatible hello: only the version and the suites are of use.
    fn hello_v2(&mut self, message: &[u8], cx: &mut Cx<'_>) {
        self.begun = true;
        let mut r = Reader::new(message);
        let mut read = || -> Result<ClientHello, Short> {
            r.take("header", 3)?;
            let version = r.u16("version")?;
            let suites = usize::from(r.u16("cipher length")?);
            r.take("session and challenge length", 4)?;
            let ciphers = r
                .take("ciphers", suites)?
                .chunks_exact(3)
                .filter(|c| c.first() == Some(&0))
                .filter_map(|c| c.last_chunk().map(|c| u16::from_be_bytes(*c)))
                .collect();
            Ok(ClientHello { version, ciphers, ..ClientHello::default() })
        };
        match read() {
            Ok(hello) => {
                let (ja4, raw) = hello.ja4('t');
                let frames = cx.frames(0..message.len());
                let flow = cx.flow();
                flow.encrypted("tls", &frames.all);
                cx.emit_at("tls.client_hello", frames, || hello.observation("tcp", ja4, raw));
            }
            Err(short) => cx.warn(0, format!("SSL 2 hello: {short}")),
        }
    }
}

/// A client hello as far as it could be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    /// Legacy version.
    pub(super) version: u16,
    /// Suites in order.
    pub(super) ciphers: Vec<u16>,
    /// Extension types in order.
    pub(super) extensions: Vec<u16>,
    /// Lower-case server name.
    pub(super) sni: Option<String>,
    /// ALPN values, escaped where not ASCII.
    pub(super) alpn: Vec<String>,
    first_alpn: Option<Vec<u8>>,
    /// Versions of the supported-versions extension.
    pub(super) versions: Vec<u16>,
    signatures: Vec<u16>,
    resumption: bool,
    /// Where the reading ended early.
    pub(super) stopped: Option<Short>,
}

impl ClientHello {
    /// Reads the body of a client hello (RFC 8446 section 4.1.2).
    pub(super) fn read(body: &[u8]) -> ClientHello {
        let mut hello = ClientHello::default();
        hello.stopped = hello.fill(body).err();
        hello
    }

    fn fill(&mut self, body: &[u8]) -> Result<(), Short> {
        let mut r = Reader::new(body);
        self.version = r.u16("version")?;
        r.take("random", 32)?;
        let session = r.vec8("session id")?;
        if self.version >= 0xfe00 && self.version != 0xffff {
            r.vec8("cookie")?; // DTLS
        }
        let mut ciphers = r.vec16("cipher suites")?;
        while !ciphers.is_empty() {
            self.ciphers.push(ciphers.u16("cipher suite")?);
        }
        r.vec8("compression methods")?;
        if r.is_empty() {
            return Ok(());
        }
        let mut extensions = r.vec16("extensions")?;
        let had_session = !session.is_empty();
        while !extensions.is_empty() {
            let kind = extensions.u16("extension type")?;
            let value = extensions.vec16("extension")?;
            self.extensions.push(kind);
            self.extension(kind, value)?;
        }
        // Before TLS 1.3 a session id means that an earlier session shall be resumed.
        self.resumption |= had_session && !self.versions.contains(&0x0304);
        Ok(())
    }

    fn extension(&mut self, kind: u16, mut value: Reader<'_>) -> Result<(), Short> {
        match kind {
            0 if !value.is_empty() => {
                let mut names = value.vec16("server names")?;
                while !names.is_empty() {
                    let kind = names.u8("name type")?;
                    let name = names.vec16("server name")?;
                    if kind == 0 && self.sni.is_none() {
                        let text = String::from_utf8_lossy(name.rest());
                        self.sni = Some(super::flow::canonical_name(&text));
                    }
                }
            }
            13 => {
                let mut list = value.vec16("signature algorithms")?;
                while !list.is_empty() {
                    self.signatures.push(list.u16("signature algorithm")?);
                }
            }
            16 => {
                let mut list = value.vec16("protocol names")?;
                while !list.is_empty() {
                    let name = list.vec8("protocol name")?;
                    self.first_alpn.get_or_insert_with(|| name.rest().to_vec());
                    self.alpn.push(name.rest().escape_ascii().to_string());
                }
            }
            35 => self.resumption |= !value.is_empty(),
            41 => self.resumption = true,
            43 => {
                let mut list = value.vec8("supported versions")?;
                while !list.is_empty() {
                    self.versions.push(list.u16("version")?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// JA4 and its raw form; `transport` is `t`, `q` or `d`.
    pub(super) fn ja4(&self, transport: char) -> (String, String) {
        let offered = self.versions.iter().copied().filter(|v| !is_grease(*v));
        let best = if transport == 'd' { offered.min() } else { offered.max() };
        ja4::fingerprint(&ja4::Offer {
            transport,
            version: best.unwrap_or(self.version),
            sni: self.extensions.contains(&0),
            ciphers: &self.ciphers,
            extensions: &self.extensions,
            signatures: &self.signatures,
            alpn: self.first_alpn.as_deref(),
        })
    }

    /// `unknown`: the extension is there, but GREASE looks the same (draft-ietf-tls-esni section 6.2); real use is only told by
    /// an `ECHConfig` for the outer name.
    pub(super) fn ech(&self) -> &'static str {
        if self.extensions.iter().any(|e| matches!(e, 0xfe0d | 0xfe0a..=0xfe0c | 0xffce)) {
            "unknown"
        } else {
            "absent"
        }
    }

    fn observation(&self, transport: &'static str, ja4: String, ja4_r: String) -> ClientHelloSeen {
        let versions = if self.versions.is_empty() { vec![self.version] } else { self.versions.clone() };
        ClientHelloSeen {
            transport,
            sni: self.sni.clone(),
            alpn: self.alpn.clone(),
            versions: versions.into_iter().map(code).collect(),
            ciphers: self.ciphers.iter().copied().map(code).collect(),
            ja4,
            ja4_r,
            ech: self.ech(),
            resumption: self.resumption,
        }
    }
}

struct ServerHello {
    version: u16,
    cipher: u16,
    alpn: Option<String>,
    retry: bool,
}

impl ServerHello {
    fn read(body: &[u8]) -> Result<ServerHello, Short> {
        let mut r = Reader::new(body);
        let mut version = r.u16("version")?;
        let retry = r.array::<32>("random")? == RETRY;
        // Drafts of TLS 1.3 before the 22nd had no session id in the server hello (version 0x7fXX on the wire).
        if version >> 8 != 0x7f {
            r.vec8("session id")?;
        }
        let cipher = r.u16("cipher suite")?;
        if version >> 8 == 0x7f {
            return Ok(ServerHello { version: 0x0304, cipher, alpn: None, retry });
        }
        r.u8("compression method")?;
        let mut alpn = None;
        if !r.is_empty() {
            let mut extensions = r.vec16("extensions")?;
            while !extensions.is_empty() {
                let kind = extensions.u16("extension type")?;
                let mut value = extensions.vec16("extension")?;
                match kind {
                    43 => version = value.u16("selected version")?,
                    16 => {
                        let name = value.vec16("protocol names")?.vec8("protocol name")?;
                        alpn = Some(name.rest().escape_ascii().to_string());
                    }
                    _ => {}
                }
            }
        }
        if version >> 8 == 0x7f {
            version = 0x0304;
        }
        Ok(ServerHello { version, cipher, alpn, retry })
    }
}

fn code(value: u16) -> String {
    format!("{value:#06x}")
}

fn version_label(version: u16) -> &'static str {
    match version {
        0x0304 => "tls1.3",
        0x0303 => "tls1.2",
        0x0302 => "tls1.1",
        0x0301 => "tls1.0",
        0x0300 => "ssl3.0",
        0x0002 => "ssl2.0",
        _ => "tls",
    }
}

#[derive(Serialize)]
struct ClientHelloSeen {
    transport: &'static str,
    sni: Option<String>,
    alpn: Vec<String>,
    versions: Vec<String>,
    ciphers: Vec<String>,
    ja4: String,
    ja4_r: String,
    ech: &'static str,
    resumption: bool,
}

#[derive(Serialize)]
struct ServerHelloSeen {
    transport: &'static str,
    version: &'static str,
    cipher: String,
    alpn: Option<String>,
    hello_retry: bool,
}

#[derive(Serialize)]
struct CertificateSeen<'a> {
    transport: &'static str,
    side: &'static str,
    chain: Vec<&'a Certificate>,
}

#[derive(Serialize)]
struct Alert {
    transport: &'static str,
    level: &'static str,
    description: &'static str,
    code: u8,
}

/// What is read of a certificate (RFC 5280).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Certificate {
    /// Content bytes of the INTEGER, hex; null when the certificate cannot be read.
    serial: Option<String>,
    subject: Option<String>,
    issuer: Option<String>,
    dns_names: Vec<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    /// Algorithm and size of the public key.
    key: Option<String>,
    sha256: String,
}

/// Certificates that one thread remembers: servers send the same ones again and again.
const REMEMBERED: usize = 512;

thread_local! {
    static SEEN: RefCell<HashMap<Vec<u8>, Arc<Certificate>, foldhash::fast::RandomState>> = RefCell::default();
}

fn certificate(der: &[u8]) -> Arc<Certificate> {
    SEEN.with_borrow_mut(|seen| {
        if let Some(known) = seen.get(der) {
            return Arc::clone(known);
        }
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        let read = Arc::new(read_certificate(der));
        seen.insert(der.to_vec(), Arc::clone(&read));
        read
    })
}

fn read_certificate(der: &[u8]) -> Certificate {
    use x509_parser::extensions::GeneralName;
    use x509_parser::prelude::{FromDer, X509Certificate};

    let sha256 = hex(&Sha256::digest(der));
    let Ok((_, cert)) = X509Certificate::from_der(der) else {
        return Certificate { sha256, ..Certificate::default() };
    };
    let mut dns_names = Vec::new();
    if let Ok(Some(names)) = cert.subject_alternative_name() {
        for name in &names.value.general_names {
            if let GeneralName::DNSName(name) = name {
                dns_names.push(super::flow::canonical_name(name));
            }
        }
    }
    let key = cert.public_key().parsed().ok().map(|k| {
        use x509_parser::public_key::PublicKey;
        match k {
            PublicKey::RSA(rsa) => format!("RSA {}", rsa.key_size()),
            PublicKey::EC(ec) => format!("EC {}", ec.key_size()),
            PublicKey::DSA(_) => "DSA".to_owned(),
            PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_) => "GOST".to_owned(),
            PublicKey::Unknown(_) => cert.public_key().algorithm.algorithm.to_id_string(),
        }
    });
    let time = |t: x509_parser::time::ASN1Time| {
        jiff::Timestamp::from_second(t.timestamp()).ok().map(|t| t.to_string())
    };
    Certificate {
        serial: Some(hex(cert.raw_serial())),
        subject: Some(cert.subject().to_string()),
        issuer: Some(cert.issuer().to_string()),
        dns_names,
        not_before: time(cert.validity().not_before),
        not_after: time(cert.validity().not_after),
        key,
        sha256,
    }
}

fn alert_name(code: u8) -> &'static str {
    match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "unknown",
    }
}
