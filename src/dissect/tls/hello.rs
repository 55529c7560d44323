//! Client and server hellos (RFC 8446 section 4.1, RFC 5246 section 7.4.1, RFC 9147 section 5.3 for DTLS).
//!
//! Takes the body of a hello; gives what it offers or chose, and its JA4. Keeps what was read before a fault.

use serde::Serialize;

use super::super::Short;
use super::super::early_data;
use super::super::ech;
use super::super::flow::canonical_name;
use super::super::ja4::{self, is_grease};
use super::super::reader::Reader;

/// Identities of earlier sessions that are kept of one hello.
const MAX_SESSIONS: usize = 8;

/// Random of a hello-retry request (RFC 8446 section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A client hello as far as it could be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    /// Legacy version.
    pub(super) version: u16,
    /// What secrets are known by.
    pub(super) random: Option<[u8; 32]>,
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
    pub(super) resumption: bool,
    /// What an outer ECH extension shows.
    pub(super) ech_offer: Option<OuterEch>,
    /// What links this hello to earlier sessions: pre-shared key identities, a ticket or a session id.
    pub(super) sessions: Vec<Vec<u8>>,
    /// Where the reading ended early.
    pub(super) stopped: Option<Short>,
}

impl ClientHello {
    /// What an SSL 2 compatible hello has of it (RFC 5246 appendix E.2).
    pub(super) fn of_ssl2(version: u16, ciphers: Vec<u16>) -> ClientHello {
        ClientHello { version, ciphers, ..ClientHello::default() }
    }

    /// Reads the body of a client hello (RFC 8446 section 4.1.2).
    pub(super) fn read(body: &[u8]) -> ClientHello {
        let mut hello = ClientHello::default();
        hello.stopped = hello.fill(body).err();
        hello
    }

    fn fill(&mut self, body: &[u8]) -> Result<(), Short> {
        let mut r = Reader::new(body);
        self.version = r.u16("version")?;
        self.random = Some(r.array("random")?);
        let session = r.vec8("session id")?;
        if self.version >= 0xfe00 && self.version != 0xffff {
            r.vec8("cookie")?; // DTLS
        }
        let mut ciphers = r.vec16("cipher suites")?;
        self.ciphers.reserve(ciphers.rest().len() / 2);
        while !ciphers.is_empty() {
            self.ciphers.push(ciphers.u16("cipher suite")?);
        }
        r.vec8("compression methods")?;
        if r.is_empty() {
            return Ok(());
        }
        let mut extensions = r.vec16("extensions")?;
        self.extensions.reserve(24);
        let had_session = !session.is_empty();
        while !extensions.is_empty() {
            let kind = extensions.u16("extension type")?;
            let value = extensions.vec16("extension")?;
            self.extensions.push(kind);
            self.extension(kind, value)?;
        }
        // Before TLS 1.3 a session id means that an earlier session shall be resumed; later it is a random dummy.
        if had_session && !self.versions.iter().any(|v| matches!(finished(*v), 0x0304 | 0xfefc)) {
            self.resumption = true;
            if self.sessions.is_empty() {
                self.sessions.push(session.rest().to_vec());
            }
        }
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
                        self.sni = Some(canonical_name(&text));
                    }
                }
            }
            13 => {
                let mut list = value.vec16("signature algorithms")?;
                self.signatures.reserve(list.rest().len() / 2);
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
            // A form of its own must not hide the extensions behind it.
            0xfe0d => self.ech_offer = outer_ech(value).unwrap_or_default(),
            35 if !value.is_empty() => {
                self.resumption = true;
                if self.sessions.is_empty() {
                    self.sessions.push(value.rest().to_vec());
                }
            }
            41 => {
                self.resumption = true;
                // They outrank a ticket and a session id, which are for earlier versions.
                self.sessions.clear();
                let mut identities = value.vec16("identities")?;
                while !identities.is_empty() && self.sessions.len() < MAX_SESSIONS {
                    self.sessions.push(identities.vec16("identity")?.rest().to_vec());
                    identities.u32("obfuscated ticket age")?;
                }
            }
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

    pub(super) fn observation(&self, transport: &'static str, ja4: String, ja4_r: String) -> ClientHelloSeen {
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
            ech_offer: self.ech_offer.clone(),
            resumption: self.resumption,
            early_data: self.extensions.contains(&early_data::EXTENSION),
        }
    }
}

/// What an outer ECH extension shows (RFC 9849 section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct OuterEch {
    #[serde(rename = "ech_config_id")]
    pub(super) config_id: u8,
    #[serde(rename = "ech_suite")]
    pub(super) suite: String,
    #[serde(rename = "ech_enc_bytes")]
    pub(super) enc_bytes: u64,
}

/// An outer ECH extension; the inner form shows nothing.
fn outer_ech(mut value: Reader<'_>) -> Result<Option<OuterEch>, Short> {
    if value.u8("ECH type")? != 0 {
        return Ok(None);
    }
    let (kdf, aead) = (value.u16("ECH KDF")?, value.u16("ECH AEAD")?);
    let config_id = value.u8("ECH config id")?;
    let enc_bytes = value.vec16("ECH encapsulated key")?.rest().len() as u64;
    value.vec16("ECH payload")?;
    Ok(Some(OuterEch { config_id, suite: ech::suite_name(kdf, aead), enc_bytes }))
}

/// What the server chose.
pub(super) struct ServerHello {
    pub(super) version: u16,
    pub(super) random: [u8; 32],
    pub(super) cipher: u16,
    pub(super) alpn: Option<String>,
    pub(super) retry: bool,
    /// Session id, as TLS 1.2 and older give it out.
    pub(super) session: Vec<u8>,
    /// A profile of SRTP was chosen.
    pub(super) srtp: bool,
    /// The MAC of CBC suites is over the ciphertext (RFC 7366).
    pub(super) encrypt_then_mac: bool,
}

impl ServerHello {
    pub(super) fn read(body: &[u8]) -> Result<ServerHello, Short> {
        let mut r = Reader::new(body);
        let mut version = r.u16("version")?;
        let random = r.array::<32>("random")?;
        let retry = random == RETRY;
        // Drafts of TLS 1.3 before the 22nd had no session id in the server hello (version 0x7fXX on the wire).
        let mut session = Vec::new();
        if version >> 8 != 0x7f {
            session = r.vec8("session id")?.rest().to_vec();
        }
        let cipher = r.u16("cipher suite")?;
        if version >> 8 == 0x7f {
            return Ok(ServerHello {
                version: 0x0304,
                random,
                cipher,
                alpn: None,
                retry,
                session: Vec::new(),
                srtp: false,
                encrypt_then_mac: false,
            });
        }
        r.u8("compression method")?;
        let mut alpn = None;
        let mut srtp = false;
        let mut encrypt_then_mac = false;
        if !r.is_empty() {
            let mut extensions = r.vec16("extensions")?;
            while !extensions.is_empty() {
                let kind = extensions.u16("extension type")?;
                let mut value = extensions.vec16("extension")?;
                match kind {
                    14 => srtp = true,
                    22 => encrypt_then_mac = true,
                    43 => version = value.u16("selected version")?,
                    16 => {
                        let name = value.vec16("protocol names")?.vec8("protocol name")?;
                        alpn = Some(name.rest().escape_ascii().to_string());
                    }
                    _ => {}
                }
            }
        }
        version = finished(version);
        if matches!(version, 0x0304 | 0xfefc) {
            session.clear(); // an echo of the client's dummy
        }
        Ok(ServerHello { version, random, cipher, alpn, retry, session, srtp, encrypt_then_mac })
    }
}

/// The content of one of the extensions of `EncryptedExtensions` (RFC 8446 section 4.3.1).
fn extension(body: &[u8], wanted: u16) -> Option<Reader<'_>> {
    let mut extensions = Reader::new(body).vec16("extensions").ok()?;
    while let (Ok(kind), Ok(value)) = (extensions.u16("extension type"), extensions.vec16("extension")) {
        if kind == wanted {
            return Some(value);
        }
    }
    None
}

/// The server takes 0-RTT data (RFC 8446 section 4.2.10).
pub(super) fn takes_early_data(encrypted_extensions: &[u8]) -> bool {
    extension(encrypted_extensions, 42).is_some()
}

/// The protocol that the server chose (RFC 7301 section 3.1).
pub(super) fn chosen_alpn(encrypted_extensions: &[u8]) -> Option<String> {
    let mut names = extension(encrypted_extensions, 16)?.vec16("protocol names").ok()?;
    Some(names.vec8("protocol name").ok()?.rest().escape_ascii().to_string())
}

/// TLS 1.3 for its drafts, as they went over the wire: `0x7fXX` of the working group (draft-ietf-tls-tls13-28 section 4.2.1.1)
/// and `0xfbXX` of Facebook's clients and servers (`fizz/record/Types.h` of facebookincubator/fizz); other versions as they are.
fn finished(version: u16) -> u16 {
    if matches!(version >> 8, 0x7f | 0xfb) { 0x0304 } else { version }
}

/// A code point as the contract writes it.
pub(super) fn code(value: u16) -> String {
    format!("{value:#06x}")
}

/// CONTRACT's word for a negotiated version.
pub(super) fn version_label(version: u16) -> &'static str {
    match version {
        0x0304 => "tls1.3",
        0x0303 => "tls1.2",
        0x0302 => "tls1.1",
        0x0301 => "tls1.0",
        0x0300 => "ssl3.0",
        0x0002 => "ssl2.0",
        0xfefc => "dtls1.3",
        0xfefd => "dtls1.2",
        0xfeff | 0x0100 => "dtls1.0",
        _ => "tls",
    }
}

#[derive(Serialize)]
pub(super) struct ClientHelloSeen {
    transport: &'static str,
    sni: Option<String>,
    alpn: Vec<String>,
    versions: Vec<String>,
    ciphers: Vec<String>,
    ja4: String,
    ja4_r: String,
    ech: &'static str,
    #[serde(flatten)]
    ech_offer: Option<OuterEch>,
    resumption: bool,
    /// Data may follow that is sent before the server answers (RFC 8446 section 4.2.10).
    early_data: bool,
}
