//! Handshake messages, the same for TLS over TCP, in QUIC's CRYPTO frames and in DTLS.
//!
//! Takes whole messages with the frames they came in; gives observations, the names, the fingerprint and the encryption of
//! the flow. Putting messages together is the transport's matter.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::cipher;
use super::super::reader::Reader;
use super::super::{Cx, Frames, Short, early_data, tor};
use super::certificate::{self, Certificate};
use super::hello::{self, ClientHello, ServerHello, code, version_label};
use crate::capture::hex;
use crate::model::{Direction, FindingKind, FlowTls, Severity};
use crate::payload::Masking;

/// The extension that makes keys for SRTP (RFC 5764 section 4.1).
const USE_SRTP: u16 = 14;

/// What carries the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::dissect) enum Transport {
    /// Records over a stream.
    #[default]
    Tcp,
    /// CRYPTO frames (RFC 9001).
    Quic,
    /// Records over datagrams (RFC 6347, RFC 9147).
    Dtls,
}

impl Transport {
    /// CONTRACT's `transport`.
    pub(in crate::dissect) fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Quic => "quic",
            Transport::Dtls => "dtls",
        }
    }

    /// The first letter of JA4.
    pub(in crate::dissect) fn letter(self) -> char {
        match self {
            Transport::Tcp => 't',
            Transport::Quic => 'q',
            Transport::Dtls => 'd',
        }
    }

    /// The flow's `encryption` once a server hello chose `version`; before it, none is known.
    fn label(self, version: Option<u16>) -> &'static str {
        match (self, version) {
            (Transport::Quic, _) => "quic",
            (Transport::Tcp, None) => "tls",
            (Transport::Dtls, None) => "dtls",
            (_, Some(version)) => version_label(version),
        }
    }
}

/// What the messages of one connection have said so far.
#[derive(Debug, Default)]
pub(in crate::dissect) struct Handshake {
    /// What carries it.
    pub(in crate::dissect) transport: Transport,
    /// A hello was read: what follows belongs to a parsed handshake.
    pub(in crate::dissect) begun: bool,
    /// Version of the server hello, as on the wire.
    pub(in crate::dissect) version: Option<u16>,
    /// Suite of the server hello.
    pub(in crate::dissect) cipher: Option<u16>,
    /// Keys for SRTP are part of it (RFC 5764): the server chose a profile or, where its choice is encrypted, the client offered.
    pub(in crate::dissect) srtp: bool,
    offers_srtp: bool,
    /// What secrets of this connection are known by.
    pub(in crate::dissect) client_random: Option<[u8; 32]>,
    pub(in crate::dissect) server_random: Option<[u8; 32]>,
    /// The protocol within, as the server chose it.
    pub(in crate::dissect) alpn: Option<String>,
    /// The MAC of CBC suites is over the ciphertext (RFC 7366).
    pub(in crate::dissect) encrypt_then_mac: bool,
}

impl Handshake {
    /// Where the suite that was agreed on does not encrypt: the bytes of its MAC behind each record's content.
    pub(in crate::dissect) fn mac_of_clear(&self) -> Option<usize> {
        self.cipher.and_then(cipher::mac_of_clear)
    }

    /// The beginning of a connection.
    pub(in crate::dissect) fn new(transport: Transport) -> Handshake {
        Handshake { transport, ..Handshake::default() }
    }

    /// One message without its header; `frames` brought it.
    pub(in crate::dissect) fn message(
        &mut self,
        d: Direction,
        kind: u8,
        body: &[u8],
        frames: &Frames,
        cx: &mut Cx<'_>,
    ) {
        let read = match kind {
            1 => self.client_hello(body, frames, cx),
            2 => self.server_hello(body, frames, cx),
            4 => self.new_session_ticket(body, cx),
            8 => {
                self.alpn = hello::chosen_alpn(body);
                early_data::answered(d, body, cx)
            }
            11 => self.certificates(d, body, frames, cx),
            _ => Ok(()),
        };
        if let Err(short) = read {
            cx.warn(0, format!("TLS handshake message of type {kind}: {short}"));
        }
    }

    fn client_hello(&mut self, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) -> Result<(), Short> {
        let hello = ClientHello::read(body);
        let first = !std::mem::replace(&mut self.begun, true);
        if hello.random.is_some() {
            self.client_random = hello.random;
        }
        self.offers_srtp = hello.extensions.contains(&USE_SRTP);
        let (ja4, raw) = hello.ja4(self.transport.letter());
        let flow = cx.flow();
        if let Some(sni) = &hello.sni {
            flow.name(sni, "sni", frames.complete);
        }
        if flow.encryption.is_none() {
            flow.encrypted(self.transport.label(None), &frames.all);
        }
        // DNS over TLS has this port for itself (RFC 7858 section 3.1), and a name in ALPN.
        if self.transport == Transport::Tcp
            && (flow.server.port == 853 || hello.alpn.iter().any(|a| a == "dot"))
        {
            flow.protocol("dot");
        }
        flow.ja4.get_or_insert_with(|| ja4.clone());
        let tls = flow.tls.get_or_insert_with(Box::<FlowTls>::default);
        if tls.client_hello.is_none() {
            tls.client_hello = Some(frames.complete);
            tls.sni.clone_from(&hello.sni);
            tls.alpn.clone_from(&hello.alpn);
            tls.ech = Some(hello.ech().to_owned());
            if let Some(offer) = &hello.ech_offer {
                tls.ech_config_id = Some(offer.config_id);
                tls.ech_suite = Some(offer.suite.clone());
                tls.ech_enc_bytes = Some(offer.enc_bytes);
            }
            tls.resumption = hello.resumption;
            let mut sessions = hello.sessions.iter().map(|s| session_name(s));
            tls.session_offered = sessions.next();
            tls.more_sessions_offered = sessions.collect();
            if hello.extensions.contains(&early_data::EXTENSION) {
                early_data::offered(tls);
            }
        }
        if first && self.transport == Transport::Tcp {
            tor::of_hello(hello.sni.as_deref(), !hello.alpn.is_empty(), frames, cx);
        }
        if first && self.transport == Transport::Dtls {
            let (ja4, raw) = (ja4.clone(), raw.clone());
            cx.emit_at("dtls.hello", frames.clone(), || hello.observation(self.transport.name(), ja4, raw));
        }
        cx.emit_at("tls.client_hello", frames.clone(), || hello.observation(self.transport.name(), ja4, raw));
        hello.stopped.map_or(Ok(()), Err)
    }

    fn server_hello(&mut self, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) -> Result<(), Short> {
        let hello = ServerHello::read(body)?;
        self.begun = true;
        if !hello.retry || hello.version == 0x0304 {
            self.version = Some(hello.version);
            self.cipher = Some(hello.cipher);
            self.server_random = Some(hello.random);
            self.encrypt_then_mac = hello.encrypt_then_mac;
            self.alpn.clone_from(&hello.alpn);
        }
        if hello.retry {
            early_data::refused(cx);
        }
        self.srtp = hello.srtp || (self.offers_srtp && !hello.retry && hello.version == 0xfefc);
        let label = version_label(hello.version);
        let encryption = self.transport.label(Some(hello.version));
        let flow = cx.flow();
        if !hello.retry && cipher::mac_of_clear(hello.cipher).is_some() {
            flow.unencrypted();
        } else if !hello.retry {
            flow.encrypted(encryption, &frames.all);
        }
        let tls = flow.tls.get_or_insert_with(Box::<FlowTls>::default);
        if !hello.retry && tls.server_hello.is_none() {
            tls.server_hello = Some(frames.complete);
            tls.version = Some(label.to_owned());
            tls.cipher = Some(code(hello.cipher));
            if !hello.session.is_empty() {
                tls.sessions_given.push(session_name(&hello.session));
            }
        }
        cx.emit_at("tls.server_hello", frames.clone(), || ServerHelloSeen {
            transport: self.transport.name(),
            version: label,
            cipher: code(hello.cipher),
            alpn: hello.alpn.clone(),
            hello_retry: hello.retry,
        });
        Ok(())
    }

    /// RFC 5077 section 3.3; from TLS 1.3 on it is never sent in clear.
    fn new_session_ticket(&mut self, body: &[u8], cx: &mut Cx<'_>) -> Result<(), Short> {
        if matches!(self.version, Some(0x0304 | 0xfefc)) {
            return Ok(());
        }
        let mut r = Reader::new(body);
        r.u32("ticket lifetime")?;
        let ticket = r.vec16("ticket")?;
        if let Some(tls) = cx.flow().tls.as_mut().filter(|t| !ticket.is_empty() && t.sessions_given.len() < 4)
        {
            tls.sessions_given.push(session_name(ticket.rest()));
        }
        Ok(())
    }

    fn certificates(
        &mut self,
        d: Direction,
        body: &[u8],
        frames: &Frames,
        cx: &mut Cx<'_>,
    ) -> Result<(), Short> {
        let mut r = Reader::new(body);
        // From TLS 1.3 on, a request context precedes the list and extensions follow each entry (RFC 8446 section 4.4.2).
        let extended = matches!(self.version, Some(0x0304 | 0xfefc));
        if extended {
            r.vec8("certificate request context")?;
        }
        let mut list = r.vec24("certificate list")?;
        let mut chain = Vec::new();
        while !list.is_empty() && chain.len() < 64 {
            chain.push(certificate::read(list.vec24("certificate")?.rest()));
            if extended {
                list.vec16("certificate extensions")?;
            }
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
                // Whether ECH is real is known at the end of the capture; a public name is on the certificate of the one who gave it.
                let sni = tls.sni.as_deref();
                tls.certificate_faults =
                    certificate::faults(&chain, sni, frames.time).into_iter().map(str::to_owned).collect();
            }
            let named = !leaf.dns_names.is_empty();
            tor::of_certificate(leaf.subject.as_deref(), leaf.issuer.as_deref(), named, frames, cx);
            let flow = cx.flow();
            for name in leaf.dns_names.iter().take(16) {
                flow.name(name, "certificate", frames.complete);
            }
        }
        if let Some(at) = chain.iter().position(|c| c.serial.is_none()) {
            cx.warn(0, format!("TLS: certificate {} of the chain cannot be read", at + 1));
        }
        if let (Direction::Up, Some(leaf)) = (d, chain.first()) {
            let masking = if cx.show_secrets() { Masking::Off } else { Masking::On };
            let subject = masking.apply_any(leaf.subject.as_deref().unwrap_or_default());
            let how = if cx.decrypted() { "behind the encryption" } else { "in clear" };
            let what = format!("client certificate {how}, subject {subject}");
            let id = "tls-client-certificate";
            cx.finding_at(frames.clone(), id, Severity::Medium, FindingKind::Identifier, what);
        }
        let sni = cx.flow().tls.as_ref().and_then(|t| t.sni.clone()).filter(|_| d == Direction::Down);
        cx.emit_at("tls.certificate", frames.clone(), || CertificateSeen {
            transport: self.transport.name(),
            side,
            faults: certificate::faults(&chain, sni.as_deref(), frames.time),
            chain: chain.iter().map(AsRef::as_ref).collect(),
        });
        Ok(())
    }
}

/// A session's name in reports: never the ticket itself.
fn session_name(secret: &[u8]) -> String {
    hex(Sha256::digest(secret).get(..8).unwrap_or_default())
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
    faults: Vec<&'static str>,
    chain: Vec<&'a Certificate>,
}
