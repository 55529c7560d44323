//! Telegram's transport over TCP: the framings of `MTProto` 2.0, obfuscated or not.
//!
//! Takes both directions of a connection; gives a signature with the framing, the encryption `mtproto` once a message of the
//! key exchange or an encrypted message was parsed, and the `auth_key_id` that each encrypted message shows in clear.
//! Framings: abridged, intermediate, padded intermediate, full, obfuscated (core.telegram.org/mtproto/mtproto-transports). The
//! obfuscation's key travels in the same stream, so it is undone here; the messages' own encryption is not.

use aes::cipher::{KeyIvInit as _, StreamCipher as _};

use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Step};
use crate::capture::hex;
use crate::model::{Direction, FindingKind, Severity};
use crate::payload::RawFinding;

type Cipher = ctr::Ctr128BE<aes::Aes256>;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "mtproto",
    title: "MTProto",
    source: "core.telegram.org/mtproto/mtproto-transports, core.telegram.org/mtproto/description",
    over: &[IpProto::TCP],
    ports: &[443, 80, 5222],
    reads: "framing, undone obfuscation, key exchange, auth_key_id of encrypted messages; not the fake-TLS framing",
    probe,
    start: || Box::new(MtProto::default()),
};

const SETUP: Class = Class::handshake("mtproto.handshake");
const MESSAGES: Class = Class::encrypted("mtproto.messages");
const OPAQUE: Class = Class::opaque("opaque");

/// Constructors of the key exchange that a client sends or receives first: `req_pq`, `req_pq_multi`, `resPQ`,
/// `req_DH_params`, `server_DH_params_ok`, `set_client_DH_params`, `dh_gen_ok`
/// (core.telegram.org/mtproto/`auth_key`).
const KEY_EXCHANGE: [u32; 7] =
    [0x6046_9778, 0xbe7e_8ef1, 0x0516_2463, 0xd712_e4be, 0xd0e8_075c, 0xf504_5f1f, 0x3bcb_f734];

/// How messages are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Abridged,
    Intermediate,
    Padded,
    Full,
}

impl Framing {
    fn signature(self, obfuscated: bool) -> &'static str {
        match self {
            _ if obfuscated => "telegram.mtproto-obfuscated2",
            Framing::Abridged => "telegram.mtproto-abridged",
            Framing::Intermediate => "telegram.mtproto-intermediate",
            Framing::Padded => "telegram.mtproto-padded",
            Framing::Full => "telegram.mtproto-full",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Framing::Abridged => "abridged",
            Framing::Intermediate => "intermediate",
            Framing::Padded => "padded intermediate",
            Framing::Full => "full",
        }
    }

    /// (header, body length) of the frame at the start of `data`; `None` when more bytes are needed.
    fn header(self, data: &[u8]) -> Option<(usize, usize)> {
        match (self, data) {
            (Framing::Abridged, [0x7f | 0xff, a, b, c, ..]) => {
                Some((4, (usize::from(*c) << 16 | usize::from(*b) << 8 | usize::from(*a)) * 4))
            }
            (Framing::Abridged, [0x7f | 0xff, ..]) => None,
            (Framing::Abridged, [n, ..]) => Some((1, usize::from(n & 0x7f) * 4)),
            (Framing::Intermediate | Framing::Padded, [a, b, c, d, ..]) => {
                Some((4, u32::from_le_bytes([*a, *b, *c, d & 0x7f]) as usize))
            }
            // Length and sequence number before, checksum behind; the length counts all of them.
            (Framing::Full, [a, b, c, d, _, _, _, _, ..]) => {
                Some((8, (u32::from_le_bytes([*a, *b, *c, *d]) as usize).saturating_sub(8)))
            }
            _ => None,
        }
    }
}

/// What a message's first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    /// Of the key exchange, in clear by design.
    Setup,
    /// `auth_key_id`, `msg_key`, ciphertext in blocks of 16 bytes.
    Encrypted([u8; 8]),
    /// A transport error or quick acknowledgment: four bytes.
    Short,
    Other,
}

fn message(body: &[u8], framing: Framing) -> Message {
    let body = if framing == Framing::Full {
        body.get(..body.len().saturating_sub(4)).unwrap_or_default()
    } else {
        body
    };
    if body.len() <= 8 {
        return Message::Short;
    }
    let Some((id, rest)) = body.split_at_checked(8) else { return Message::Other };
    if id == [0; 8] {
        // message_id, length, constructor
        let constructor = rest.get(12..16).and_then(|c| <[u8; 4]>::try_from(c).ok()).map(u32::from_le_bytes);
        return if constructor.is_some_and(|c| KEY_EXCHANGE.contains(&c)) {
            Message::Setup
        } else {
            Message::Other
        };
    }
    let encrypted = rest
        .len()
        .checked_sub(16)
        .is_some_and(|n| n > 0 && if framing == Framing::Padded { n >= 16 } else { n % 16 == 0 });
    match <[u8; 8]>::try_from(id) {
        Ok(id) if encrypted => Message::Encrypted(id),
        _ => Message::Other,
    }
}

/// What the first bytes of a client say: framing, bytes of the preface, and the ciphers when obfuscated.
struct Start {
    framing: Framing,
    preface: usize,
    ciphers: Option<[Cipher; 2]>,
}

enum Opening {
    Is(Box<Start>),
    /// It begins like one of the transports.
    Wait,
    /// It may be the beginning of the obfuscated transport, as any bytes may.
    Short,
    No,
}

/// The first message after the preface must parse: random bytes do not.
fn plausible(framing: Framing, data: &[u8], strict: bool) -> Option<bool> {
    let (header, length) = framing.header(data)?;
    if !(20..=1 << 20).contains(&length) {
        return Some(false);
    }
    let body = data.get(header..)?;
    let whole = body.get(..length.min(body.len()))?;
    if body.len() < length.min(24) {
        return None;
    }
    Some(match message(whole, framing) {
        Message::Setup => true,
        Message::Encrypted(_) => !strict && body.len() >= length,
        _ => false,
    })
}

fn opening(data: &[u8]) -> Opening {
    let (framing, preface) = match data {
        [0xef, ..] => (Framing::Abridged, 1),
        [0xee, 0xee, 0xee, 0xee, ..] => (Framing::Intermediate, 4),
        [0xdd, 0xdd, 0xdd, 0xdd, ..] => (Framing::Padded, 4),
        // Full: length, then sequence number 0.
        [a, b, 0, 0, 0, 0, 0, 0, ..] if u16::from_le_bytes([*a, *b]) >= 32 => (Framing::Full, 0),
        _ => return obfuscated(data),
    };
    match plausible(framing, data.get(preface..).unwrap_or_default(), preface < 4) {
        Some(true) => Opening::Is(Box::new(Start { framing, preface, ciphers: None })),
        Some(false) => obfuscated(data),
        None if data.len() < 64 => Opening::Wait,
        None => Opening::No,
    }
}

/// Obfuscated transport: 64 bytes, of which 8..40 are key, 40..56 IV; the tag at 56..60 is only readable with them.
fn obfuscated(data: &[u8]) -> Opening {
    let Some(header) = data.get(..64).and_then(|h| <[u8; 64]>::try_from(h).ok()) else {
        return Opening::Short;
    };
    let keys = |bytes: &[u8; 64]| -> Option<Cipher> {
        let key = bytes.get(8..40)?;
        let iv = bytes.get(40..56)?;
        Cipher::new_from_slices(key, iv).ok()
    };
    let mut reversed = header;
    reversed.reverse();
    // The reversed bytes 8..56 are key and IV of the other direction.
    let (Some(mut up), Some(down)) = (keys(&header), keys(&reversed)) else { return Opening::No };
    let mut open = header;
    up.apply_keystream(&mut open);
    let framing = match open.get(56..60) {
        Some([0xef, 0xef, 0xef, 0xef]) => Framing::Abridged,
        Some([0xee, 0xee, 0xee, 0xee]) => Framing::Intermediate,
        Some([0xdd, 0xdd, 0xdd, 0xdd]) => Framing::Padded,
        _ => return Opening::No,
    };
    Opening::Is(Box::new(Start { framing, preface: 64, ciphers: Some([up, down]) }))
}

fn probe(p: &Probe<'_>) -> Match {
    if p.direction != Direction::Up || !p.from_start || p.data.is_empty() {
        return Match::No;
    }
    // Text and TLS are none of ours, and are what most flows begin with.
    if matches!(p.data, [0x16, 0x03, ..]) || p.data.iter().take(8).all(|b| b.is_ascii_graphic() || *b == b' ')
    {
        return Match::No;
    }
    match opening(p.data) {
        Opening::Is(_) => Match::Yes,
        Opening::Wait => Match::Maybe,
        // Elsewhere too many begin with a few bytes that say nothing.
        Opening::Short if p.server_on(PROTOCOL.ports) => Match::Maybe,
        Opening::Short | Opening::No => Match::No,
    }
}

#[derive(Default)]
struct MtProto {
    start: Option<Start>,
    /// Decrypted bytes of a frame that is not whole, by direction.
    partial: [Vec<u8>; 2],
    /// Bytes of the current frame still to come, by direction.
    rest: [usize; 2],
    encrypted: bool,
    told: bool,
    lost: [bool; 2],
}

impl Dissector for MtProto {
    fn stream(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        if self.start.is_none() {
            if d == Direction::Down {
                return Step::Took(data.len(), OPAQUE);
            }
            return match opening(data) {
                Opening::Is(start) => {
                    let obfuscated = start.ciphers.is_some();
                    let signature = start.framing.signature(obfuscated);
                    let detail = format!(
                        "{} framing{}",
                        start.framing.name(),
                        if obfuscated {
                            ", obfuscated; the key travels in the same stream"
                        } else {
                            ", not obfuscated"
                        }
                    );
                    let size = start.preface.max(1).min(data.len());
                    cx.signature("telegram", signature, "certain", &detail, 0..size);
                    let preface = start.preface;
                    self.start = Some(*start);
                    if preface == 0 { self.frames(d, data, cx) } else { Step::Took(preface, SETUP) }
                }
                Opening::Wait | Opening::Short => Step::More(data.len() + 1),
                Opening::No => Step::Took(data.len(), OPAQUE),
            };
        }
        self.frames(d, data, cx)
    }

    fn gap(&mut self, d: Direction, _: u64, _: &mut Cx<'_>) {
        // The key stream's position could be kept, the frame border not.
        *d.pick(&mut self.lost) = true;
    }

    fn unfinished(&self) -> Class {
        if self.encrypted { MESSAGES } else { OPAQUE }
    }
}

impl MtProto {
    /// Takes all of `data`: undoes the obfuscation and follows the frames.
    fn frames(&mut self, d: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let class = if self.encrypted { MESSAGES } else { SETUP };
        let side = d as usize;
        let Some(start) = &mut self.start else { return Step::Took(data.len(), OPAQUE) };
        if self.lost.get(side).copied().unwrap_or(true) {
            return Step::Took(data.len(), if self.encrypted { MESSAGES } else { OPAQUE });
        }
        let mut plain = data.to_vec();
        if let Some(cipher) = start.ciphers.as_mut().and_then(|c| c.get_mut(side)) {
            cipher.apply_keystream(&mut plain);
        }
        let framing = start.framing;
        let (Some(partial), Some(rest)) = (self.partial.get_mut(side), self.rest.get_mut(side)) else {
            return Step::Took(data.len(), OPAQUE);
        };
        let mut seen = Vec::new();
        let mut bytes = plain.as_slice();
        while !bytes.is_empty() {
            if *rest > 0 {
                let n = bytes.len().min(*rest);
                *rest -= n;
                bytes = bytes.get(n..).unwrap_or_default();
                continue;
            }
            // A frame begins: its header and the first 48 bytes tell what it is.
            partial.push(bytes.first().copied().unwrap_or_default());
            bytes = bytes.get(1..).unwrap_or_default();
            let Some((header, length)) = framing.header(partial) else { continue };
            if length > 1 << 24 {
                if let Some(lost) = self.lost.get_mut(side) {
                    *lost = true;
                }
                break;
            }
            let wanted = header + length.min(48);
            if partial.len() < wanted {
                continue;
            }
            let head = partial.get(header..).unwrap_or_default();
            let kind = if head.len() == length {
                message(head, framing)
            } else {
                long_message(head, length, framing)
            };
            seen.push(kind);
            *rest = header + length - partial.len();
            partial.clear();
        }
        for kind in seen {
            self.seen(kind, 0..data.len(), cx);
        }
        Step::Took(data.len(), if self.encrypted { MESSAGES } else { class })
    }

    fn seen(&mut self, kind: Message, range: std::ops::Range<usize>, cx: &mut Cx<'_>) {
        match kind {
            Message::Setup if !self.encrypted => {
                cx.encrypted("mtproto", range);
            }
            Message::Encrypted(id) => {
                self.encrypted = true;
                if !std::mem::replace(&mut self.told, true) {
                    cx.encrypted("mtproto", range.clone());
                    let masking = cx.masking();
                    cx.finding(
                        range,
                        RawFinding {
                            kind: FindingKind::Identifier,
                            severity: Severity::Medium,
                            what: format!(
                                "auth_key_id of the device, readable by any observer: {}",
                                masking.apply(&hex(&id))
                            ),
                            rule: Some("mtproto-auth-key-id".to_owned()),
                            // It is itself a cut digest, so that no two devices share it but by chance.
                            value: id.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
                            ..RawFinding::default()
                        },
                    );
                }
            }
            Message::Setup | Message::Short | Message::Other => {}
        }
    }
}

/// As [`message`], for one of which only the head is there.
fn long_message(head: &[u8], length: usize, framing: Framing) -> Message {
    let Some(id) = head.get(..8).and_then(|i| <[u8; 8]>::try_from(i).ok()) else { return Message::Other };
    if id == [0; 8] {
        return message(head, framing);
    }
    let tail = if framing == Framing::Full { 4 } else { 0 };
    let body = length.saturating_sub(24 + tail);
    if framing == Framing::Padded || body.is_multiple_of(16) {
        Message::Encrypted(id)
    } else {
        Message::Other
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::connection;
    use super::*;
    use crate::model::Direction::{Down, Up};
    use crate::model::Flow;

    /// `req_pq_multi` in an unencrypted message of 40 bytes.
    fn req_pq() -> Vec<u8> {
        let mut m = vec![0; 8];
        m.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        m.extend(20_u32.to_le_bytes());
        m.extend(0xbe7e_8ef1_u32.to_le_bytes());
        m.extend([9; 16]);
        m
    }

    #[test]
    fn framings_are_told_apart() {
        let body = req_pq();
        let length = (body.len() as u32).to_le_bytes();
        for (name, bytes, framing) in [
            ("abridged", [&[0xef, 10][..], &body].concat(), Framing::Abridged),
            ("intermediate", [&[0xee; 4][..], &length, &body].concat(), Framing::Intermediate),
            ("padded", [&[0xdd; 4][..], &length, &body].concat(), Framing::Padded),
        ] {
            match opening(&bytes) {
                Opening::Is(start) => assert_eq!(start.framing, framing, "{name}"),
                _ => panic!("{name} not recognised"),
            }
            for cut in 0..bytes.len() {
                let _ = opening(&bytes[..cut]);
            }
        }
    }

    /// Bytes that look random.
    fn noise(seed: u64, n: usize) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(n).collect()
    }

    /// An encrypted message: `auth_key_id`, `msg_key`, blocks of 16 bytes; `padding` as the padded framing appends it.
    fn encrypted(padding: usize) -> Vec<u8> {
        [&[0xa1, 2, 3, 4, 5, 6, 7, 8][..], &noise(9, 16 + 96 + padding)].concat()
    }

    fn framed(framing: Framing, body: &[u8]) -> Vec<u8> {
        match framing {
            Framing::Abridged => [&[(body.len() / 4) as u8][..], body].concat(),
            Framing::Intermediate | Framing::Padded => {
                [&(body.len() as u32).to_le_bytes()[..], body].concat()
            }
            Framing::Full => {
                [&(body.len() as u32 + 12).to_le_bytes()[..], &[0; 4], body, &[1, 2, 3, 4]].concat()
            }
        }
    }

    /// What client and server send behind the obfuscation. `secret` is what a proxy's users share: it goes into the keys
    /// (core.telegram.org/mtproto/mtproto-transports).
    fn obfuscate(tag: [u8; 4], up: &[u8], down: &[u8], secret: Option<&[u8]>) -> [Vec<u8>; 2] {
        use sha2::Digest as _;
        let mut header: [u8; 64] = noise(77, 64).try_into().unwrap();
        header[56..60].copy_from_slice(&tag);
        let mut reversed = header;
        reversed.reverse();
        let cipher = |bytes: &[u8; 64]| {
            let key = match secret {
                Some(secret) => sha2::Sha256::digest([&bytes[8..40], secret].concat()).to_vec(),
                None => bytes[8..40].to_vec(),
            };
            Cipher::new_from_slices(&key, &bytes[40..56]).unwrap()
        };
        let (mut client, mut server) = (cipher(&header), cipher(&reversed));
        let mut sealed = header;
        client.apply_keystream(&mut sealed);
        let (mut up, mut down) = (up.to_vec(), down.to_vec());
        client.apply_keystream(&mut up);
        server.apply_keystream(&mut down);
        [[&header[..56], &sealed[56..], &up].concat(), down]
    }

    fn told(flow: &Flow) -> (Vec<&str>, &str, Vec<&str>) {
        let signatures = flow.signatures.iter().map(|s| s.signature.as_str()).collect();
        let protocols = flow.app_protocols.iter().map(String::as_str).collect();
        (signatures, &flow.encryption, protocols)
    }

    #[test]
    fn whole_flows_of_each_framing_are_recognised() {
        for (framing, preface, padding) in [
            (Framing::Abridged, &[0xef][..], 0),
            (Framing::Intermediate, &[0xee; 4], 0),
            (Framing::Padded, &[0xdd; 4], 11),
            (Framing::Full, &[], 0),
        ] {
            let setup = [preface, &framed(framing, &req_pq())].concat();
            let message = framed(framing, &encrypted(padding));
            let analysis = connection(443, &[(Up, &setup), (Down, &message), (Up, &message)]);
            let (signature, word, protocols) = told(&analysis.flows[0]);
            assert_eq!(signature, [framing.signature(false)], "{framing:?}");
            assert_eq!((word, protocols), ("mtproto", vec!["mtproto"]), "{framing:?}");
            let finding = &analysis.findings[0];
            assert!(analysis.findings.len() == 1 && finding.what.contains("auth_key_id"), "{framing:?}");
            assert_ne!(finding.value, 0, "the same id is known again in another recording");
        }
    }

    #[test]
    fn obfuscation_is_undone_with_the_key_in_the_stream() {
        for (framing, tag, padding) in [
            (Framing::Abridged, [0xef; 4], 0),
            (Framing::Intermediate, [0xee; 4], 0),
            (Framing::Padded, [0xdd; 4], 5),
        ] {
            let message = framed(framing, &encrypted(padding));
            let [up, down] = obfuscate(tag, &message, &message, None);
            let analysis = connection(5222, &[(Up, &up), (Down, &down)]);
            let (signature, word, protocols) = told(&analysis.flows[0]);
            assert_eq!(signature, ["telegram.mtproto-obfuscated2"], "{framing:?}");
            assert_eq!((word, protocols), ("mtproto", vec!["mtproto"]), "{framing:?}");
            assert!(analysis.flows[0].signatures[0].detail.starts_with(framing.name()), "{framing:?}");
            let whose = analysis.findings.iter().map(|f| f.direction).collect::<Vec<_>>();
            assert_eq!(whose, [Some(Up)], "{framing:?}: auth_key_id, once");
            for cut in [1, 5, 30, 55, 63, 64, 70] {
                let (first, rest) = up.split_at(cut);
                let analysis = connection(5222, &[(Up, first), (Up, rest), (Down, &down)]);
                let (signature, ..) = told(&analysis.flows[0]);
                assert_eq!(
                    signature,
                    ["telegram.mtproto-obfuscated2"],
                    "{framing:?} in two segments at {cut}"
                );
            }
            for cut in 0..64 {
                let flows = connection(443, &[(Up, &up[..cut])]).flows;
                assert!(flows[0].signatures.is_empty(), "{framing:?}, {cut}");
            }
        }
    }

    /// What a passive reader cannot know: the keys of a proxy's users, and whether the random of a hello is a keyed hash.
    #[test]
    fn proxies_with_a_secret_are_not_recognised() {
        let message = framed(Framing::Padded, &encrypted(5));
        let secret = noise(5, 16);
        let [up, down] = obfuscate([0xdd; 4], &message, &message, Some(&secret));
        let analysis = connection(443, &[(Up, &up), (Down, &down)]);
        assert_eq!(told(&analysis.flows[0]), (vec![], "opaque", vec![]));
        // Fake TLS: a hello with the domain of the secret, then records of application data.
        let name = [&[0, 0, 0, 16, 0, 14, 0, 0, 11][..], b"www.example"].concat();
        let mut body = [&[3, 3][..], &noise(6, 32), &[0, 0, 2, 0x13, 1, 1, 0]].concat();
        body.extend((name.len() as u16).to_be_bytes());
        body.extend(name);
        let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
        let hello = [&[0x16, 3, 1, 0, handshake.len() as u8][..], &handshake].concat();
        let record = [&[0x17, 3, 3, 0, up.len() as u8][..], &up].concat();
        let analysis = connection(443, &[(Up, &hello), (Up, &record)]);
        let (signatures, _, protocols) = told(&analysis.flows[0]);
        assert_eq!((signatures, protocols), (vec![], vec!["tls"]));
        assert_eq!(analysis.flows[0].names[0].name, "www.example");
    }

    #[test]
    fn what_only_begins_alike_is_not_mtproto() {
        for (name, bytes) in [
            ("abridged mark, noise behind", [&[0xef][..], &noise(1, 120)].concat()),
            ("intermediate mark, impossible length", [&[0xee; 4][..], &[0xff; 60]].concat()),
            ("padded mark, noise behind", [&[0xdd; 4][..], &noise(2, 120)].concat()),
            ("full, but no key exchange", [&[100, 0, 0, 0, 0, 0, 0, 0][..], &noise(3, 100)].concat()),
            ("TLS", [&[0x16, 3, 1, 0, 80][..], &noise(4, 80)].concat()),
            ("text", b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n".repeat(2)),
        ] {
            let analysis = connection(443, &[(Up, bytes)]);
            assert_eq!(analysis.flows[0].signatures, [], "{name}");
        }
    }

    #[test]
    fn random_bytes_are_not_mtproto() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..96)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            assert!(!matches!(opening(&bytes), Opening::Is(_)));
        }
    }
}
