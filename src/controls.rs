//! Positive controls: leaks planted into a copy of a capture in memory, and what share of them the same detector finds.
//!
//! Takes a capture, what was read of it, and a number; plants that many canaries, each written in one of the forms that are searched,
//! at a place of its own: over flows in clear that the capture has, or as a flow more, in one piece or with a border within. Some more
//! stand within sessions of TLS 1.3 whose secrets are given to the search. Runs the whole analysis on the copy; gives a [`Tally`]. The same capture and number give the same controls. Copies the first
//! [`MAX_COPY`] bytes of frames; nothing is written anywhere. Tests places, borders and bounds of this very capture; the encoders
//! are those of the search, and `tests/conformance.rs` holds them against others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Nonce, Payload};

use crate::capture::{self, Batch, CaptureError, LinkType};
use crate::dissect::{CaptureAnalysis, Options, Secrets, analyse_bytes, expand_label};
use crate::model::{Control, FindingKind};
use crate::payload::{CanarySet, written};

/// Bytes of frames that are copied.
pub const MAX_COPY: usize = 64 << 20;
/// Most controls of one capture.
pub const MAX_CONTROLS: u32 = 2000;
/// Most controls of one capture within TLS, on top of those.
pub const MAX_SEALED: u32 = 100;
/// Lengths of the planted values, in turn.
const LENGTHS: [usize; 6] = [6, 8, 12, 16, 24, 40];
/// Where planted flows go, an address for documentation (RFC 5737).
const SERVER: [u8; 4] = [203, 0, 113, 9];
/// Below this many bytes before it a planted value would lie in headers.
const HEADERS: usize = 100;

/// What was planted and found, by length of the value in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    by_length: Lengths,
    /// Within TLS.
    sealed: Lengths,
}

/// Planted and found, by length.
type Lengths = BTreeMap<usize, (u64, u64)>;

impl Tally {
    /// Both together.
    pub fn add(&mut self, other: &Tally) {
        for (mine, others) in [(&mut self.by_length, &other.by_length), (&mut self.sealed, &other.sealed)] {
            for (length, (planted, found)) in others {
                let sum = mine.entry(*length).or_default();
                *sum = (sum.0 + planted, sum.1 + found);
            }
        }
    }

    /// The result of what was planted in clear, as a report shows it; `None` when nothing was.
    #[must_use]
    pub fn control(&self) -> Option<Control> {
        Tally::control_of(&self.by_length)
    }

    /// The same of what was planted within TLS and had to be decrypted: it counts as found only where the finding says so.
    #[must_use]
    pub fn decryption(&self) -> Option<Control> {
        Tally::control_of(&self.sealed)
    }

    fn control_of(by_length: &Lengths) -> Option<Control> {
        let (planted, found) = by_length.values().fold((0, 0), |(p, f), (a, b)| (p + a, f + b));
        let power = |planted: u64, found: u64| found as f64 / planted as f64;
        // The smallest length from which on all are found in 95 of 100 cases (METRICS E19).
        let reached = by_length.iter().rev().take_while(|(_, (p, f))| power(*p, *f) >= 0.95);
        let smallest_bytes = reached.last().map(|(length, _)| *length as u64);
        (planted > 0).then(|| Control {
            planted,
            found,
            power: power(planted, found),
            ci95: wilson(planted, found),
            smallest_bytes,
        })
    }
}

/// The 95 % interval of a share (Wilson 1927).
#[must_use]
pub fn wilson(planted: u64, found: u64) -> [f64; 2] {
    if planted == 0 {
        return [0.0, 1.0];
    }
    // The 97.5th percentile of the normal distribution.
    let z = 1.959_963_984_540_054_f64;
    let (n, p) = (planted as f64, found as f64 / planted as f64);
    let middle = p + z * z / (2.0 * n);
    let width = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let divisor = 1.0 + z * z / n;
    [((middle - width) / divisor).max(0.0), ((middle + width) / divisor).min(1.0)]
}

/// Numbers that look random, from a seed (`SplitMix64`).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        (0..length).filter_map(|_| LETTERS.get(self.below(36)).map(|b| char::from(*b))).collect()
    }
}

/// One planted value.
struct Plant {
    name: String,
    value: String,
    /// As it is written.
    bytes: Vec<u8>,
}

/// Plants `number` canaries into a copy of a capture, and counts those that are found. `analysis` is what was read of it.
///
/// # Errors
/// When the capture cannot be read any more.
pub fn run(
    path: &Path,
    analysis: &CaptureAnalysis,
    number: u32,
    parallel: bool,
) -> Result<Tally, CaptureError> {
    let seed = analysis.input.sha256.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let mut seeded = Seeded(seed.unwrap_or_default());
    let plants: Vec<Plant> =
        (0..number.min(MAX_CONTROLS)).map(|n| plant("control", n, &mut seeded)).collect();
    let sealed: Vec<Plant> = (0..number.min(MAX_SEALED)).map(|n| plant("sealed", n, &mut seeded)).collect();
    let list: Vec<(String, String)> =
        plants.iter().chain(&sealed).map(|p| (p.name.clone(), p.value.clone())).collect();
    // Two equal words of 36 letters' choice would be refused; a set without controls counts none.
    let Ok(set) = CanarySet::new(&list) else { return Ok(Tally::default()) };
    let (copy, key_log) = copy(path, analysis, [&plants, &sealed], &mut seeded)?;
    let secrets = Secrets::default();
    // Reading from memory does not fail.
    let _ = secrets.read(key_log.as_bytes());
    let options =
        Options { canaries: Arc::new(set), secrets: Arc::new(secrets), parallel, ..Options::default() };
    let read = analyse_bytes("control", &copy, &options)?;
    let named = |what: &str| Some(what.strip_prefix("canary ")?.split_once(':')?.0.to_owned());
    let found: BTreeSet<(String, bool)> = read
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::Canary)
        .filter_map(|f| Some((named(&f.what)?, f.decrypted)))
        .collect();
    let mut tally = Tally::default();
    for (plants, by_length, decrypted) in
        [(&plants, &mut tally.by_length, false), (&sealed, &mut tally.sealed, true)]
    {
        for plant in plants {
            let sum = by_length.entry(plant.value.len()).or_default();
            *sum = (sum.0 + 1, sum.1 + u64::from(found.contains(&(plant.name.clone(), decrypted))));
        }
    }
    Ok(tally)
}

/// A value of one of the lengths, in one of the forms that are searched for it; every third one as it is.
fn plant(name: &str, number: u32, seeded: &mut Seeded) -> Plant {
    let length = LENGTHS.get(number as usize % LENGTHS.len()).copied().unwrap_or(8);
    let value = seeded.word(length);
    let mut forms = written(&value);
    let chosen = if number.is_multiple_of(3) { 0 } else { seeded.below(forms.len()) };
    let bytes = if chosen < forms.len() { forms.swap_remove(chosen) } else { value.clone().into_bytes() };
    Plant { name: format!("{name}-{number}"), value, bytes }
}

/// The capture with the plants in clear and within TLS, as pcapng, and the key log of the latter.
fn copy(
    path: &Path,
    analysis: &CaptureAnalysis,
    [plants, sealed]: [&[Plant]; 2],
    seeded: &mut Seeded,
) -> Result<(Vec<u8>, String), CaptureError> {
    // Every fourth goes over a frame in clear, as far as there are any.
    let clear: BTreeSet<u64> = analysis
        .flows
        .iter()
        .filter(|f| f.encryption == "none")
        .flat_map(|f| f.encryption_frames.iter().copied())
        .collect();
    let (over, own): (Vec<_>, Vec<_>) = plants.iter().enumerate().partition(|(n, _)| n % 4 == 1);
    let mut over: Vec<&Plant> = over.into_iter().map(|(_, p)| p).rev().collect();
    let mut out = Pcapng::default();
    let mut reader = capture::open(path)?;
    let mut batch = Batch::default();
    let mut last = 0;
    while out.bytes.len() < MAX_COPY && reader.next(&mut batch) {
        for frame in &batch.frames {
            let mut bytes = batch.bytes(frame).to_vec();
            if clear.contains(&frame.number)
                && let Some(plant) = over.pop_if(|p| bytes.len() >= HEADERS + p.bytes.len() + 8)
            {
                let at = bytes.len() - plant.bytes.len() - 4;
                bytes.splice(at..at + plant.bytes.len(), plant.bytes.iter().copied());
            }
            last = frame.time.0.max(last);
            out.packet(frame.link, frame.time.0, &bytes);
        }
    }
    let rest = over.into_iter().rev().chain(own.into_iter().map(|(_, p)| p));
    let mut flows = 0;
    for plant in rest {
        out.flow(flows, last, &plant.bytes, seeded.below(4));
        flows += 1;
    }
    let mut key_log = String::new();
    for (n, plant) in sealed.iter().enumerate() {
        let session = Session::new(seeded);
        key_log.push_str(&session.key_log());
        out.session(flows + n, last, &session, &plant.bytes, seeded.below(3));
    }
    Ok((out.bytes, key_log))
}

/// A session of TLS 1.3 whose client sends; only its traffic secret is known.
struct Session {
    random: [u8; 32],
    secret: [u8; 32],
}

impl Session {
    fn new(seeded: &mut Seeded) -> Session {
        let mut bytes = || std::array::from_fn(|_| seeded.below(256) as u8);
        Session { random: bytes(), secret: bytes() }
    }

    /// Its line of a key log (`SSLKEYLOGFILE`).
    fn key_log(&self) -> String {
        format!("CLIENT_TRAFFIC_SECRET_0 {} {}\n", capture::hex(&self.random), capture::hex(&self.secret))
    }

    /// A hello of the client or the server that agrees on `TLS_AES_128_GCM_SHA256` (RFC 8446 sections 4.1.2 and 4.1.3).
    fn hello(&self, of_client: bool) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend(if of_client { self.random } else { self.secret.map(|byte| !byte) });
        body.push(0);
        // Suites and compression, then the extension supported_versions.
        body.extend_from_slice(if of_client {
            &[0, 2, 0x13, 1, 1, 0, 0, 7, 0, 43, 0, 3, 2, 3, 4]
        } else {
            &[0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]
        });
        let size = (body.len() as u16).to_be_bytes();
        let whole = (body.len() as u16 + 4).to_be_bytes();
        let mut record =
            vec![22, 3, 3, whole[0], whole[1], if of_client { 1 } else { 2 }, 0, size[0], size[1]];
        record.extend(body);
        record
    }

    /// A record of application data (RFC 8446 section 5.2); nothing where a cipher refuses, so that the control fails.
    fn record(&self, number: u8, content: &[u8]) -> Vec<u8> {
        let sealed = || {
            let key: [u8; 16] = expand_label(&self.secret, "key")?;
            let mut nonce: [u8; 12] = expand_label(&self.secret, "iv")?;
            *nonce.last_mut()? ^= number;
            let size = (content.len() as u16 + 17).to_be_bytes();
            let header = [23, 3, 3, size[0], size[1]];
            let plain = [content, &[23]].concat();
            let nonce = Nonce::<Aes128Gcm>::try_from(&nonce[..]).ok()?;
            let cipher = Aes128Gcm::new_from_slice(&key).ok()?;
            let sealed = cipher.encrypt(&nonce, Payload { msg: &plain, aad: &header }).ok()?;
            Some([&header[..], &sealed].concat())
        };
        sealed().unwrap_or_default()
    }
}

/// A capture in memory (pcapng, IETF draft "PCAP Now Generic", sections 4.1 to 4.3).
#[derive(Default)]
struct Pcapng {
    bytes: Vec<u8>,
    links: Vec<LinkType>,
}

impl Pcapng {
    fn block(&mut self, kind: u32, body: &[u8]) {
        let padding = body.len().next_multiple_of(4) - body.len();
        let size = ((12 + body.len() + padding) as u32).to_le_bytes();
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(size);
        self.bytes.extend_from_slice(body);
        self.bytes.extend(std::iter::repeat_n(0, padding));
        self.bytes.extend(size);
    }

    fn packet(&mut self, link: LinkType, time: i64, bytes: &[u8]) {
        if self.bytes.is_empty() {
            let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
            body.extend([1, 0, 0, 0]);
            body.extend([0xff; 8]);
            self.block(0x0a0d_0d0a, &body);
        }
        let interface = self.links.iter().position(|l| *l == link).unwrap_or_else(|| {
            let mut body = link.0.to_le_bytes().to_vec();
            // No limit; times in nanoseconds (if_tsresol 9).
            body.extend([0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
            self.block(1, &body);
            self.links.push(link);
            self.links.len() - 1
        });
        let (time, size) = (time.max(0) as u64, (bytes.len() as u32).to_le_bytes());
        let mut body = (interface as u32).to_le_bytes().to_vec();
        body.extend(((time >> 32) as u32).to_le_bytes());
        body.extend((time as u32).to_le_bytes());
        body.extend(size);
        body.extend(size);
        body.extend_from_slice(bytes);
        self.block(6, &body);
    }

    /// A flow more, from an address for benchmarks to one for documentation (RFC 2544, RFC 5737), with a planted value: over
    /// TCP in one segment or in two, as an HTTP upload, or as a datagram.
    fn flow(&mut self, number: usize, time: i64, bytes: &[u8], how: usize) {
        let client = [198, 18, (number >> 8) as u8, number as u8];
        let text = [b"<", bytes, b">"].concat();
        if how == 3 {
            let length = (8 + text.len()) as u16;
            let mut udp =
                [40_000_u16, 9999, length, 0].iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
            udp.extend(text);
            self.ip(client, time, 17, &udp);
            return;
        }
        let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", text.len());
        let (port, parts) = match how {
            0 => (9999, vec![text]),
            1 => {
                let (a, b) = text.split_at(text.len() / 2);
                (9999, vec![a.to_vec(), b.to_vec()])
            }
            _ => (80, vec![head.into_bytes(), text]),
        };
        self.segment(client, time, port, 999, 2, b"");
        let mut at = 1000;
        for part in parts {
            self.segment(client, time, port, at, 0x18, &part);
            at += part.len() as u32;
        }
    }

    /// A flow of TLS more, with a planted value in an HTTP upload: in one record, in two, or in one that two segments share.
    fn session(&mut self, number: usize, time: i64, session: &Session, bytes: &[u8], how: usize) {
        let client = [198, 18, (number >> 8) as u8, number as u8];
        let text = [b"<", bytes, b">"].concat();
        let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", text.len());
        let (a, b) = text.split_at(text.len() / 2);
        let up = match how {
            0 => [session.record(0, head.as_bytes()), session.record(1, a), session.record(2, b)].concat(),
            _ => [session.record(0, head.as_bytes()), session.record(1, &text)].concat(),
        };
        let hello = session.hello(true);
        self.segment(client, time, 443, 999, 2, b"");
        self.answer(client, time, 4999, 0x12, b"");
        self.segment(client, time, 443, 1000, 0x18, &hello);
        self.answer(client, time, 5000, 0x18, &session.hello(false));
        // The second border lies in the last record's ciphertext.
        let (a, b) = up.split_at(if how == 2 { up.len() - text.len() / 2 - 17 } else { up.len() });
        let mut at = 1000 + hello.len() as u32;
        for part in [a, b].into_iter().filter(|part| !part.is_empty()) {
            self.segment(client, time, 443, at, 0x18, part);
            at += part.len() as u32;
        }
    }

    /// A segment from the server of a flow of TLS.
    fn answer(&mut self, client: [u8; 4], time: i64, at: u32, flags: u8, data: &[u8]) {
        let mut tcp = [443_u16, 40_000].iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
        tcp.extend(at.to_be_bytes());
        tcp.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend_from_slice(data);
        self.between(SERVER, client, time, 6, &tcp);
    }

    fn segment(&mut self, client: [u8; 4], time: i64, port: u16, at: u32, flags: u8, data: &[u8]) {
        let mut tcp = [40_000, port].iter().flat_map(|n: &u16| n.to_be_bytes()).collect::<Vec<u8>>();
        tcp.extend(at.to_be_bytes());
        tcp.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend_from_slice(data);
        self.ip(client, time, 6, &tcp);
    }

    fn ip(&mut self, client: [u8; 4], time: i64, protocol: u8, payload: &[u8]) {
        self.between(client, SERVER, time, protocol, payload);
    }

    fn between(&mut self, from: [u8; 4], to: [u8; 4], time: i64, protocol: u8, payload: &[u8]) {
        let length = ((20 + payload.len()) as u16).to_be_bytes();
        let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
        packet.extend(from);
        packet.extend(to);
        packet.extend_from_slice(payload);
        self.packet(LinkType::RAW, time, &packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analysed(capture: &[u8]) -> (tempfile::NamedTempFile, CaptureAnalysis) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), capture).unwrap();
        let analysis = analyse_bytes("a", capture, &Options::default()).unwrap();
        (file, analysis)
    }

    #[test]
    fn controls_are_found_and_repeatable() {
        let mut made = Pcapng::default();
        made.flow(0, 0, &[b'x'; 900], 2);
        let (file, analysis) = analysed(&made.bytes);
        let tally = run(file.path(), &analysis, 60, false).unwrap();
        assert_eq!(tally, run(file.path(), &analysis, 60, true).unwrap());
        let control = tally.control().unwrap();
        assert_eq!((control.planted, control.found), (60, 60));
        assert_eq!(control.smallest_bytes, Some(6));
        let decryption = tally.decryption().unwrap();
        assert_eq!((decryption.planted, decryption.found, decryption.smallest_bytes), (60, 60, Some(6)));
    }

    #[test]
    fn what_is_sealed_is_found_with_its_secret_only() {
        let mut seeded = Seeded(4711);
        let plants: Vec<Plant> = (0..9).map(|n| plant("sealed", n, &mut seeded)).collect();
        let list: Vec<(String, String)> = plants.iter().map(|p| (p.name.clone(), p.value.clone())).collect();
        let (mut made, mut log) = (Pcapng::default(), String::new());
        for (n, plant) in plants.iter().enumerate() {
            let session = Session::new(&mut seeded);
            log.push_str(&session.key_log());
            made.session(n, 0, &session, &plant.bytes, n % 3);
        }
        let found = |log: &str| {
            let secrets = Secrets::default();
            secrets.read(log.as_bytes()).unwrap();
            let canaries = Arc::new(CanarySet::new(&list).unwrap());
            let options = Options { canaries, secrets: Arc::new(secrets), ..Options::default() };
            let read = analyse_bytes("a", &made.bytes, &options).unwrap();
            assert!(read.flows.iter().all(|f| f.encryption == "tls1.3"), "{:?}", read.flows);
            let found = read.findings.iter().filter(|f| f.kind == FindingKind::Canary && f.decrypted);
            found.map(|f| f.flow).collect::<BTreeSet<u64>>().len()
        };
        assert_eq!((found(&log), found("")), (9, 0));
        let one = log.lines().nth(4).unwrap();
        assert_eq!(found(one), 1);
    }

    #[test]
    fn a_capture_that_hides_leaks_has_less_power() {
        let control = |list: &[(usize, u64, u64)]| {
            let by_length = list.iter().map(|(l, p, f)| (*l, (*p, *f))).collect();
            Tally { by_length, ..Tally::default() }.control()
        };
        assert_eq!(control(&[]), None);
        let partly = control(&[(6, 20, 10), (8, 20, 19), (12, 20, 20)]).unwrap();
        assert_eq!((partly.planted, partly.found, partly.smallest_bytes), (60, 49, Some(8)));
        assert_eq!(control(&[(6, 4, 4), (8, 4, 0)]).unwrap().smallest_bytes, None);
    }

    #[test]
    fn intervals_of_wilson() {
        // Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662; 0 of 20 is 0 to 0.1611.
        let near = |a: f64, b: f64| (a - b).abs() < 5e-5;
        let [low, high] = wilson(263, 81);
        assert!(near(low, 0.2553) && near(high, 0.3662), "{low} {high}");
        let [low, high] = wilson(20, 0);
        assert!(near(low, 0.0) && near(high, 0.1611), "{low} {high}");
    }
}
