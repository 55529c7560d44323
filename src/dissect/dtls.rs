//! DTLS: TLS over datagrams, as calls and tunnels use it (RFC 4347, RFC 6347, RFC 9147; connection ids RFC 9146).
//!
//! Takes datagrams of records; puts handshake messages together from their fragments and gives them to
//! [`tls`](super::tls), which states hellos, JA4 and certificates. A message that is sent again is stated again. Records of later
//! epochs of DTLS 1.2 and 1.0 are opened where secrets of the connection are known; their content is searched for canaries and text,
//! and not read further. Records with the header of DTLS 1.3 or with a connection id stay ciphertext.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cipher::{Agreed, RecordHeader, RecordKeys, suite};
use super::flow::{Session, decrypted};
use super::media::{self, Piece};
use super::packet::IpProto;
use super::secrets::Label;
use super::tls::{self, Handshake, Transport};
use super::{Class, Cx, Frames, Match, Probe, Protocol, Reader, Short, readable};
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "dtls",
    title: "DTLS",
    source: "RFC 4347, RFC 6347, RFC 9147, RFC 9146",
    over: &[IpProto::UDP],
    ports: &[],
    reads: "client and server hellos, JA4, certificates in clear (DTLS 1.2 and older), alerts in clear; with a key log the records of DTLS 1.2 and 1.0, whose \
            content is searched and not read further",
    probe,
    start: media::start,
};

/// What stands behind a record and is none.
const BEHIND: Class = Class::opaque("opaque");
const HANDSHAKE: Class = Class::handshake("dtls.handshake");
/// Content under a suite without encryption.
const NULL: Class = Class::clear("dtls.null");
const APPLICATION: Class = Class::encrypted("dtls.application");
/// Records that a key log opened. On the wire they were ciphertext.
const DECRYPTED: Class = Class::opened("dtls.decrypted");
/// Records that stayed shut although secrets of the connection are known.
const UNDECRYPTED: Class = Class::opaque("dtls.undecrypted");
/// Records of a connection whose handshake is not in the capture.
const UNVERIFIED: Class = Class::opaque("dtls.unverified");

/// Handshake messages longer than this are given up.
const MAX_MESSAGE: u32 = 1 << 17;

/// Records that may stay shut one after the other before no more are tried.
const MAX_VAIN: u32 = 256;

/// Messages of one side that are put together at the same time, and pieces of one message.
const MAX_PARTIAL: usize = 8;
const MAX_PIECES: usize = 256;

fn probe(p: &Probe<'_>) -> Match {
    let mut r = Reader::new(p.data);
    let Ok(first) = record(&mut r) else { return Match::No };
    let hello = first.kind == 22
        && first.epoch == 0
        && Fragment::read(&mut Reader::new(first.body)).is_ok_and(|f| f.opens_handshake());
    // In mid-connection: nothing but whole records, in a version that is DTLS's own.
    let fits = || {
        let mut r = r.clone();
        while !r.is_empty() {
            if record(&mut r).is_err() {
                return false;
            }
        }
        first.version != CISCO && matches!(first.kind, 20..=23) && !first.body.is_empty()
    };
    if hello || fits() { Match::Yes } else { Match::No }
}

/// The version that a pre-standard implementation sends (DTLS 1.0 in `OpenSSL` before 0.9.8f, Cisco `AnyConnect`).
const CISCO: u16 = 0x0100;

/// A record with the header of DTLS 1.2 and older (RFC 6347 section 4.1); DTLS 1.3 has it in the handshake too.
#[derive(Clone, Copy)]
struct Record<'a> {
    kind: u8,
    version: u16,
    epoch: u16,
    /// Epoch and sequence number.
    number: u64,
    body: &'a [u8],
}

fn record<'a>(r: &mut Reader<'a>) -> Result<Record<'a>, Short> {
    let at = r.at();
    let left = r.rest().len();
    let kind = r.u8("content type")?;
    let version = r.u16("version")?;
    if !(20..=26).contains(&kind) || !matches!(version, 0xfefc | 0xfefd | 0xfeff | CISCO) {
        return Err(Short { field: "record of DTLS", at, needed: 13, left });
    }
    let epoch = r.u16("epoch")?;
    let sequence = r.array::<6>("sequence number")?;
    let number = sequence.iter().fold(u64::from(epoch), |n, byte| n << 8 | u64::from(*byte));
    let body = if kind == 25 {
        // With a connection id (RFC 9146 section 4), whose length only the ends know: ciphertext to the end.
        let rest = r.rest();
        r.take("record with connection id", rest.len())?
    } else {
        let length = usize::from(r.u16("record length")?);
        r.take("record", length)?
    };
    Ok(Record { kind, version, epoch, number, body })
}

/// A piece of a handshake message (RFC 6347 section 4.2.2).
#[derive(Clone, Copy)]
struct Fragment<'a> {
    kind: u8,
    length: u32,
    sequence: u16,
    offset: u32,
    body: &'a [u8],
}

impl<'a> Fragment<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Fragment<'a>, Short> {
        let at = r.at();
        let kind = r.u8("handshake type")?;
        let length = r.u24("handshake length")?;
        let sequence = r.u16("message number")?;
        let offset = r.u24("fragment offset")?;
        let size = r.u24("fragment length")?;
        let known = matches!(kind, 0..=6 | 8 | 10..=17 | 20..=26 | 67 | 254);
        if !known || length > MAX_MESSAGE || u64::from(offset) + u64::from(size) > u64::from(length) {
            return Err(Short {
                field: "handshake fragment within its message",
                at,
                needed: offset.saturating_add(size) as usize,
                left: length as usize,
            });
        }
        let body = r.take("handshake fragment", size as usize)?;
        Ok(Fragment { kind, length, sequence, offset, body })
    }

    /// A client hello, server hello or hello verify request.
    fn opens_handshake(&self) -> bool {
        matches!(self.kind, 1..=3) && self.length >= 3 && !self.body.is_empty()
    }
}

/// A message of which pieces are there.
struct Partial {
    kind: u8,
    length: u32,
    pieces: BTreeMap<u32, Vec<u8>>,
    frames: Vec<u64>,
}

impl Partial {
    fn whole(&self) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        for (offset, piece) in &self.pieces {
            let have = message.len();
            let skip = have.checked_sub(*offset as usize)?;
            message.extend_from_slice(piece.get(skip..).unwrap_or_default());
        }
        (message.len() == self.length as usize).then_some(message)
    }
}

/// One connection.
pub(super) struct Dtls {
    handshake: Handshake,
    /// Which side of the flow sent the client hello: with ICE it may be either.
    client: Option<Direction>,
    partial: [BTreeMap<u16, Partial>; 2],
    /// Keys of each direction, with the epoch that they are of.
    keys: [Option<(u16, RecordKeys)>; 2],
    vain: u32,
    session: Option<Box<Session>>,
}

impl Default for Dtls {
    fn default() -> Dtls {
        Dtls {
            handshake: Handshake::new(Transport::Dtls),
            client: None,
            partial: Default::default(),
            keys: [None, None],
            vain: 0,
            session: None,
        }
    }
}

impl Dtls {
    /// A hello was read.
    pub(super) fn begun(&self) -> bool {
        self.handshake.begun
    }

    /// The handshake gave keys to SRTP (RFC 5764): the RTP of this conversation is ciphertext.
    pub(super) fn srtp(&self) -> bool {
        self.handshake.srtp
    }

    /// Reads the records of one datagram; `None` when it is not DTLS.
    pub(super) fn datagram(&mut self, d: Direction, piece: Piece<'_>, cx: &mut Cx<'_>) -> Option<Class> {
        let mut r = Reader::new(piece.data);
        let mut class = None;
        // Told when it is certain that all of it is DTLS.
        let mut parts: Vec<(Range<usize>, Class)> = Vec::new();
        while let Some(first) = r.rest().first() {
            if (32..=63).contains(first) && !readable(r.rest()) {
                // Header of DTLS 1.3 (RFC 9147 section 4): what follows is ciphertext, whatever its length fields say.
                let sealed = self.application();
                parts.push((piece.at + r.at()..piece.range().end, sealed));
                class = class.or(Some(sealed));
                break;
            }
            let at = r.at();
            let record = match record(&mut r) {
                Ok(record) => record,
                Err(_) if !self.begun() => return None,
                Err(short) => {
                    if class.is_some() {
                        cx.warn(piece.at + at, format!("DTLS: {short}"));
                        parts.push((piece.at + at..piece.range().end, BEHIND));
                    }
                    break;
                }
            };
            let range = piece.at + at..piece.at + r.at();
            if let Some(mac) = self.handshake.mac_of_clear().filter(|_| record.epoch > 0) {
                let content = range.end.saturating_sub(record.body.len());
                let end = range.end.saturating_sub(mac).max(content);
                let read = if record.kind == 23 { NULL } else { HANDSHAKE };
                parts.push((range.start..content, HANDSHAKE));
                parts.push((content..end, read));
                parts.push((end..range.end, HANDSHAKE));
                class = class.or(Some(HANDSHAKE));
                continue;
            }
            if record.epoch > 0 && self.known(cx) {
                let read = if self.sealed(d, record, range.clone(), cx) { DECRYPTED } else { UNDECRYPTED };
                parts.push((range, read));
                class = class.or(Some(read));
                continue;
            }
            let clear = match record.kind {
                _ if record.epoch > 0 => false,
                22 => self.fragments(d, record.body, &cx.frames(range.clone()), cx),
                21 => tls::alert(record.body, Transport::Dtls, range.clone(), cx),
                20 | 26 => true,
                _ => false,
            };
            let handshake = clear && (self.begun() || record.kind == 22);
            let read = if handshake { HANDSHAKE } else { self.application() };
            parts.push((range, read));
            class = class.or(Some(read));
        }
        if class.is_some() {
            cx.protocol(PROTOCOL.id);
        }
        for (range, class) in parts {
            cx.part(range, class);
        }
        class
    }

    /// Secrets of the connection are known.
    fn known(&self, cx: &Cx<'_>) -> bool {
        !cx.secrets.is_empty() && self.handshake.client_random.is_some_and(|random| cx.secrets.knows(&random))
    }

    /// Opens a record of a later epoch and reads it; `false` when it stays shut.
    fn sealed(&mut self, d: Direction, record: Record<'_>, range: Range<usize>, cx: &mut Cx<'_>) -> bool {
        if self.vain >= MAX_VAIN {
            return false;
        }
        let Some(plain) = self.open(d, record, cx) else {
            self.vain += 1;
            return false;
        };
        self.vain = 0;
        let frames = cx.frames(range.clone());
        match record.kind {
            22 => {
                decrypted(cx, |cx| self.fragments(d, &plain, &frames, cx));
            }
            21 => {
                decrypted(cx, |cx| tls::alert(&plain, Transport::Dtls, range, cx));
            }
            23 => {
                let session = self.session.get_or_insert_with(|| Box::new(Session::unread(cx)));
                session.bytes(d, &plain, &frames, cx);
            }
            _ => {}
        }
        true
    }

    fn open(&mut self, d: Direction, record: Record<'_>, cx: &Cx<'_>) -> Option<Vec<u8>> {
        let keys = d.pick(&mut self.keys);
        if keys.as_ref().is_none_or(|(epoch, _)| *epoch != record.epoch) {
            let (client, server) = (self.handshake.client_random?, self.handshake.server_random?);
            let agreed = Agreed {
                suite: suite(self.handshake.cipher?)?,
                // RFC 6347 and RFC 4347 section 1: what they differ from.
                version: match self.handshake.version? {
                    0xfefd => 0x0303,
                    0xfeff => 0x0302,
                    _ => return None,
                },
                client_random: &client,
                server_random: &server,
                encrypt_then_mac: self.handshake.encrypt_then_mac,
            };
            let of_client = self.client.is_none_or(|c| c == Direction::Up) == (d == Direction::Up);
            let master = cx.secrets.get(Label::Master, &client)?;
            *keys = Some((record.epoch, RecordKeys::derive(agreed, master.bytes(), of_client)?));
        }
        let Record { kind, version, number, body, .. } = record;
        let (_, keys) = keys.as_ref()?;
        keys.open(RecordHeader { number, kind, version }, body)
    }

    /// The flow is over.
    pub(super) fn finish(&mut self, cx: &mut Cx<'_>) {
        // Of a message that was read, fragments may come again.
        let unread = self.partial.iter().flat_map(BTreeMap::values).filter(|_| !self.begun());
        for frame in unread.filter_map(|partial| partial.frames.first().copied()) {
            cx.warn_at(&Frames::only(frame), "DTLS: a handshake message of which parts are missing");
        }
        if let Some(mut session) = self.session.take() {
            session.finish(cx);
        }
    }

    fn application(&self) -> Class {
        if self.begun() { APPLICATION } else { UNVERIFIED }
    }

    /// Fragments of one record; `false` when they are not in clear.
    fn fragments(&mut self, d: Direction, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) -> bool {
        let mut r = Reader::new(body);
        while !r.is_empty() {
            let Ok(fragment) = Fragment::read(&mut r) else { return false };
            if fragment.body.len() == fragment.length as usize {
                self.message(d, fragment.kind, fragment.body, frames, cx);
            } else if let Some((whole, frames)) = self.keep(d, fragment, frames) {
                self.message(d, fragment.kind, &whole, &frames, cx);
            }
        }
        true
    }

    /// Keeps a fragment; gives the message that it completes, with all of its frames.
    fn keep(&mut self, d: Direction, fragment: Fragment<'_>, frames: &Frames) -> Option<(Vec<u8>, Frames)> {
        let partial = d.pick(&mut self.partial);
        let fits = partial
            .get(&fragment.sequence)
            .is_some_and(|p| p.kind == fragment.kind && p.length == fragment.length);
        if !fits {
            // Message numbers rise: the lowest one is the one that will not be completed.
            if partial.len() >= MAX_PARTIAL {
                partial.pop_first();
            }
            let (kind, length) = (fragment.kind, fragment.length);
            let fresh = Partial { kind, length, pieces: BTreeMap::new(), frames: Vec::new() };
            partial.insert(fragment.sequence, fresh);
        }
        let message = partial.get_mut(&fragment.sequence)?;
        if message.pieces.len() >= MAX_PIECES {
            return None;
        }
        let longer = message.pieces.get(&fragment.offset).is_none_or(|p| p.len() < fragment.body.len());
        if longer {
            message.pieces.insert(fragment.offset, fragment.body.to_vec());
        }
        let Some(whole) = message.whole() else {
            message.frames.extend_from_slice(&frames.all);
            return None;
        };
        let frames = frames.clone().after(&message.frames);
        partial.remove(&fragment.sequence);
        Some((whole, frames))
    }

    fn message(&mut self, d: Direction, kind: u8, body: &[u8], frames: &Frames, cx: &mut Cx<'_>) {
        match kind {
            1 => self.client = Some(d),
            2 | 3 => self.client = Some(d.reverse()),
            _ => {}
        }
        // A server's certificate is that of the side that answers the hello, whoever opened the flow.
        let role = if self.client.is_none_or(|c| c == Direction::Up) { d } else { d.reverse() };
        self.handshake.message(role, kind, body, frames, cx);
    }
}

#[cfg(test)]
mod tests {
    use super::super::CaptureAnalysis;
    use super::super::testing::{datagrams, of_kind, text};
    use super::*;
    use crate::model::Direction::{Down, Up};

    /// A client hello with one suite and `use_srtp`.
    fn client_hello() -> Vec<u8> {
        let mut b = vec![0xfe, 0xfd];
        b.extend([7; 32]);
        b.extend([0, 0]); // session, cookie
        b.extend([0, 2, 0xc0, 0x2b, 1, 0]);
        let mut extensions = vec![0, 0, 0, 16, 0, 14, 0, 0, 11];
        extensions.extend(b"sfu.example");
        extensions.extend([0, 14, 0, 5, 0, 2, 0, 7, 0]);
        b.extend((extensions.len() as u16).to_be_bytes());
        b.extend(extensions);
        b
    }

    fn server_hello(srtp: bool) -> Vec<u8> {
        let mut b = vec![0xfe, 0xfd];
        b.extend([8; 32]);
        b.extend([0, 0xc0, 0x2b, 0]);
        if srtp {
            b.extend([0, 9, 0, 14, 0, 5, 0, 2, 0, 7, 0]);
        }
        b
    }

    fn fragment(kind: u8, sequence: u8, whole: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
        let mut m = vec![kind];
        m.extend(&(whole.len() as u32).to_be_bytes()[1..]);
        m.extend([0, sequence]);
        m.extend(&(range.start as u32).to_be_bytes()[1..]);
        m.extend(&(range.len() as u32).to_be_bytes()[1..]);
        m.extend(&whole[range]);
        m
    }

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut r = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1];
        r.extend((body.len() as u16).to_be_bytes());
        r.extend(body);
        r
    }

    fn hello(sequence: u8) -> Vec<u8> {
        let whole = client_hello();
        record(22, 0, &fragment(1, sequence, &whole, 0..whole.len()))
    }

    fn answer(srtp: bool) -> Vec<u8> {
        let whole = server_hello(srtp);
        record(22, 0, &fragment(2, 0, &whole, 0..whole.len()))
    }

    fn hellos(analysis: &CaptureAnalysis) -> Vec<(u64, Vec<u64>, String)> {
        let seen = of_kind(analysis, "tls.client_hello");
        seen.iter().map(|o| (o.frame, o.frames.clone(), text(o, "sni"))).collect()
    }

    #[test]
    fn a_handshake_names_and_encrypts_the_flow() {
        // Verified, and sent again once.
        let verify = record(22, 0, &fragment(3, 0, &[0xfe, 0xff, 2, 1, 2], 0..5));
        let analysis = datagrams(
            5000,
            &[
                (Up, hello(0)),
                (Down, verify),
                (Up, hello(1)),
                (Up, hello(1)),
                (Down, answer(true)),
                (Up, record(23, 1, &[9; 40])),
            ],
        );
        let frames: Vec<_> = hellos(&analysis).into_iter().map(|(frame, ..)| frame).collect();
        assert_eq!(frames, [1, 3, 4]);
        assert_eq!(of_kind(&analysis, "dtls.hello").len(), 1, "once a flow");
        let flow = &analysis.flows[0];
        assert_eq!((&flow.encryption[..], &flow.encryption_frames[..]), ("dtls1.2", &[1, 5][..]));
        assert_eq!(flow.app_protocols, ["dtls"]);
        assert_eq!(flow.names[0].name, "sfu.example");
        assert!(flow.ja4.as_deref().is_some_and(|j| j.starts_with("dd2d0102")), "{:?}", flow.ja4);
        assert_eq!(analysis.coverage.classes["dtls.application"], 53);
    }

    #[test]
    fn records_of_suites_without_encryption_are_in_clear() {
        let whole: Vec<u8> = server_hello(false);
        let whole = [&whole[..35], &[0, 0x3b], &whole[37..]].concat();
        let answer = record(22, 0, &fragment(2, 0, &whole, 0..whole.len()));
        let content = [&b"good morning, this is read by all"[..], &[0x5a; 32]].concat();
        let analysis = datagrams(5000, &[(Up, hello(0)), (Down, answer), (Up, record(23, 1, &content))]);
        let (flow, classes) = (&analysis.flows[0], &analysis.coverage.classes);
        assert_eq!((&flow.encryption[..], flow.clear_bytes), ("none", 33));
        assert_eq!(
            (classes.get("dtls.null"), classes.get("dtls.application")),
            (Some(&33), None),
            "{classes:?}"
        );
    }

    #[test]
    fn fragments_in_any_order() {
        let whole = client_hello();
        let n = whole.len();
        let (a, b, c) = (0..20, 20..50, 50..n);
        for (name, order, told) in [
            ("in order", vec![a.clone(), b.clone(), c.clone()], Some(vec![1, 2, 3])),
            ("backwards", vec![c.clone(), b.clone(), a.clone()], Some(vec![1, 2, 3])),
            ("overlapping", vec![a.clone(), 5..60, 40..n], Some(vec![1, 2, 3])),
            ("one twice", vec![a.clone(), a.clone(), b.clone(), c.clone()], Some(vec![1, 2, 3, 4])),
            ("one missing", vec![a, c], None),
        ] {
            let list: Vec<_> =
                order.into_iter().map(|r| (Up, record(22, 0, &fragment(1, 0, &whole, r)))).collect();
            let seen: Vec<_> = hellos(&datagrams(5000, &list)).into_iter().map(|(_, f, _)| f).collect();
            assert_eq!(seen, told.into_iter().collect::<Vec<_>>(), "{name}");
        }
    }

    #[test]
    fn whoever_says_hello_is_the_client() {
        // A certificate list with one certificate that cannot be read: only the side matters.
        let list = [0, 0, 5, 0, 0, 2, 0x30, 0];
        let certificate = record(22, 0, &fragment(11, 1, &list, 0..list.len()));
        for (asker, answerer) in [(Up, Down), (Down, Up)] {
            let talk = [
                (Up, b"\xf0 opens the flow".to_vec()),
                (asker, hello(0)),
                (answerer, answer(false)),
                (answerer, certificate.clone()),
                (asker, certificate.clone()),
            ];
            let analysis = datagrams(5000, &talk);
            let sides: Vec<_> =
                of_kind(&analysis, "tls.certificate").iter().map(|o| text(o, "side")).collect();
            assert_eq!(sides, ["server", "client"], "{asker:?} asks");
        }
    }

    #[test]
    fn rtp_behind_use_srtp_is_encrypted() {
        let rtp: Vec<u8> = [&[0x80, 111, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4][..], &[3; 30]].concat();
        for (srtp, class) in [(true, "srtp"), (false, "opaque")] {
            let analysis = datagrams(5000, &[(Up, hello(0)), (Down, answer(srtp)), (Up, rtp.clone())]);
            assert_eq!(analysis.coverage.classes.get(class), Some(&42), "{srtp}");
            assert_eq!(analysis.flows[0].app_protocols.contains(&"srtp".to_owned()), srtp);
        }
    }

    #[test]
    fn records_of_dtls_1_3_and_with_connection_ids_are_ciphertext() {
        let unified = [&[0x3e][..], &[5; 50]].concat();
        let mut with_id = record(25, 1, &[]);
        with_id.truncate(11);
        with_id.extend([6; 60]);
        let analysis =
            datagrams(5000, &[(Up, hello(0)), (Down, answer(false)), (Up, unified.clone()), (Down, with_id)]);
        assert_eq!(analysis.coverage.classes["dtls.application"], 51 + 71);
        assert_eq!(analysis.warnings, []);
        // Alone, such bytes are nothing.
        assert_eq!(datagrams(5000, &[(Up, unified)]).flows[0].app_protocols, [""; 0]);
    }

    #[test]
    fn what_is_no_record_is_searched_wherever_it_stands() {
        let text = b"email=anna@example.org&password=geheimwort123".to_vec();
        // The first byte of the second is that of a record of DTLS 1.3.
        for behind in [text.clone(), [&b"4 "[..], &text].concat()] {
            let sent = [record(23, 1, &[9; 40]), behind.clone()].concat();
            let analysis = datagrams(5000, &[(Up, hello(0)), (Down, answer(false)), (Up, sent)]);
            assert_eq!(analysis.coverage.classes["dtls.application"], 53);
            assert_eq!(analysis.coverage.classes["opaque"], behind.len() as u64);
        }
    }

    #[test]
    fn cut_anywhere_invents_nothing() {
        let both = [hello(0), record(21, 0, &[2, 40])].concat();
        let whole = hello(0).len();
        for cut in 0..both.len() {
            let analysis = datagrams(5000, &[(Up, &both[..cut])]);
            assert_eq!(hellos(&analysis).len(), usize::from(cut >= whole), "{cut}");
            assert_eq!(of_kind(&analysis, "tls.alert"), [] as [&super::super::Observation; 0], "{cut}");
        }
        assert_eq!(of_kind(&datagrams(5000, &[(Up, both)]), "tls.alert").len(), 1);
    }

    #[test]
    fn hostile_fragments_are_bounded() {
        let piece = |length: u32, offset: u32, size: u32| {
            let mut m = vec![1];
            m.extend(&length.to_be_bytes()[1..]);
            m.extend([0, 0]);
            m.extend(&offset.to_be_bytes()[1..]);
            m.extend(&size.to_be_bytes()[1..]);
            m.extend([0; 4]);
            m
        };
        for (name, body) in [
            ("longer than it may be", piece(0xff_ffff, 0, 4)),
            ("behind its end", piece(10, 8, 4)),
            ("offset and size overflow", piece(0xff_ffff, 0xff_ffff, 0xff_ffff)),
            ("longer than the record", piece(1000, 0, 900)),
        ] {
            assert!(Fragment::read(&mut Reader::new(&body)).is_err(), "{name}");
        }
        // Messages that never end: what is kept is bounded by number and pieces.
        let mut dtls = Dtls::default();
        for sequence in 0..100 {
            for offset in 0..1000 {
                let fragment = Fragment { kind: 1, length: 9000, sequence, offset, body: &[0; 2] };
                assert!(dtls.keep(Direction::Up, fragment, &Frames::default()).is_none());
            }
        }
        assert_eq!(dtls.partial[0].len(), MAX_PARTIAL);
        assert!(dtls.partial[0].values().all(|p| p.pieces.len() <= MAX_PIECES));
    }
}
