//! Positive controls: leaks planted into a copy of a capture in memory, and what share of them the same detector finds.
//!
//! Takes a capture, what was read of it, and a number; plants that many canaries, each written in one of the forms that are searched,
//! at a place of its own: over flows in clear that the capture has, or as a flow more, in one piece or with a border within. Some more
//! stand within sessions of TLS 1.3 and 1.2 whose secrets are given to the search. Examples of the rules for readable bytes stand in flows of their own,
//! and the device connects to ends of which the reference data know the place ([`FarEnd`]). Runs the whole analysis on the copy; gives a
//! [`Tally`], and what was read of the copy. The same capture and number give the same controls. Copies the first
//! [`MAX_COPY`] bytes of frames; nothing is written anywhere. Tests places, borders and bounds of this very capture; the encoders
//! are those of the search, and `tests/conformance.rs` holds them against others.

mod acts;
mod ends;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub use acts::{Act, Acts, ReadStep, Rest};
use acts::{BURST_PACKET, PARTY_PORT, SERVER_PORT, What};
pub use ends::{Ends, FarEnd};

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Nonce, Payload};

use crate::capture::{self, Batch, CaptureError, LinkType};
use crate::dissect::{CaptureAnalysis, Options, Secrets, StepTimes, analyse_bytes, expand_label, key_block};
use crate::model::{Confidence, Control, ControlKind, Finding, FindingKind, Severity};
use crate::payload::{CanarySet, Rules, written};

/// Bytes of frames that are copied.
pub const MAX_COPY: usize = 64 << 20;
/// Most controls of one capture.
pub const MAX_CONTROLS: u32 = 2000;
/// Controls of claims that are planted into a copy of the capture.
pub const PLANTED: [&str; 6] = ["K1", "K2", "K3", "K6", "K7", "K8"];
/// Most controls of one capture within TLS, on top of those.
pub const MAX_SEALED: u32 = 100;
/// Most examples of rules; of each rule one or more are planted in any case.
pub const MAX_EXAMPLES: usize = 200;
/// Lengths of the planted values, in turn.
const LENGTHS: [usize; 6] = [6, 8, 12, 16, 24, 40];
/// Where planted flows go, an address for documentation (RFC 5737).
const SERVER: [u8; 4] = [203, 0, 113, 9];
/// The resolver of planted answers, likewise.
const RESOLVER: [u8; 4] = [203, 0, 113, 53];
/// Packets of media of a planted call, each way.
const MEDIA_PACKETS: u16 = 30;
/// Below this many bytes before it a planted value would lie in headers.
const HEADERS: usize = 100;

/// What was planted and found, by length of the value in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    by_length: Lengths,
    /// Within TLS.
    sealed: Lengths,
    /// Examples of rules, by the rule's id.
    rules: BTreeMap<String, OfRule>,
    /// Connections of a messenger to elsewhere, by its id.
    destinations: Counts<String>,
    /// Connections to trackers while a messenger ran, by its id.
    trackers: Counts<String>,
    /// Calls of a messenger straight to the other party, by its id.
    calls: Counts<String>,
    /// What steps at rest would have carried, by the messenger's id.
    rest: BTreeMap<String, Vec<Rest>>,
}

/// Planted and found.
type Counts<K> = BTreeMap<K, (u64, u64)>;
/// The same by length.
type Lengths = Counts<usize>;

/// What was planted and found of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OfRule {
    kind: FindingKind,
    severity: Severity,
    confidence: Confidence,
    planted: u64,
    found: u64,
}

fn add_up<K: Ord + Clone>(mine: &mut Counts<K>, others: &Counts<K>) {
    for (key, (planted, found)) in others {
        let sum = mine.entry(key.clone()).or_default();
        *sum = (sum.0 + planted, sum.1 + found);
    }
}

impl Tally {
    /// Both together.
    pub fn add(&mut self, other: &Tally) {
        add_up(&mut self.by_length, &other.by_length);
        add_up(&mut self.sealed, &other.sealed);
        add_up(&mut self.destinations, &other.destinations);
        add_up(&mut self.trackers, &other.trackers);
        add_up(&mut self.calls, &other.calls);
        for (messenger, steps) in &other.rest {
            self.rest.entry(messenger.clone()).or_default().extend(steps.iter().cloned());
        }
        for (id, of) in &other.rules {
            match self.rules.get_mut(id) {
                Some(sum) => (sum.planted, sum.found) = (sum.planted + of.planted, sum.found + of.found),
                None => drop(self.rules.insert(id.clone(), of.clone())),
            }
        }
    }

    /// The result of what was planted in clear, as a report shows it; `None` when nothing was.
    #[must_use]
    pub fn control(&self) -> Option<Control> {
        Tally::control_of(&self.by_length, ControlKind::Canary)
    }

    /// The same of what was planted within TLS and had to be decrypted: it counts as found only where the finding says so.
    #[must_use]
    pub fn decryption(&self) -> Option<Control> {
        Tally::control_of(&self.sealed, ControlKind::Decryption)
    }

    /// The result of examples of those rules that `counts` takes by what they would find.
    #[must_use]
    pub fn of_rules(&self, counts: &dyn Fn(&Finding) -> bool) -> Option<Control> {
        let asked: Vec<(&String, &OfRule)> = self
            .rules
            .iter()
            .filter(|(id, of)| counts(&found_by(id, of.kind, of.severity, of.confidence)))
            .collect();
        if asked.is_empty() {
            return self.of_rules_left_out(counts);
        }
        let (planted, found) = asked.iter().fold((0, 0), |(p, f), (_, of)| (p + of.planted, f + of.found));
        let missed = asked.iter().filter(|(_, of)| of.planted > 0 && of.found == 0);
        let missed = missed.map(|(id, _)| (*id).clone()).collect();
        share(planted, found, ControlKind::Rule).map(|control| Control { missed, ..control })
    }

    /// Where none of the rules is used any more whose findings are counted, none of what the built-in ones are for would be found.
    fn of_rules_left_out(&self, counts: &dyn Fn(&Finding) -> bool) -> Option<Control> {
        if self.by_length.is_empty() {
            return None;
        }
        let built_in = Rules::embedded();
        let asked = built_in.examples().filter(|(id, kind, severity, confidence, _)| {
            counts(&found_by(id, *kind, *severity, *confidence))
        });
        let missed: BTreeSet<String> = asked.map(|(id, ..)| id.to_owned()).collect();
        let control = share(missed.len() as u64, 0, ControlKind::Rule)?;
        Some(Control { missed: missed.into_iter().collect(), ..control })
    }

    /// The result of connections of a messenger to a country and an operator that the capture does not have.
    #[must_use]
    pub fn destinations_of(&self, messenger: &str) -> Option<Control> {
        let (planted, found) = *self.destinations.get(messenger)?;
        share(planted, found, ControlKind::Destination)
    }

    /// The result of connections to trackers while a messenger ran.
    #[must_use]
    pub fn trackers_of(&self, messenger: &str) -> Option<Control> {
        let (planted, found) = *self.trackers.get(messenger)?;
        share(planted, found, ControlKind::Tracker)
    }

    /// The result of calls straight to the other party.
    #[must_use]
    pub fn calls_of(&self, messenger: &str) -> Option<Control> {
        let (planted, found) = *self.calls.get(messenger)?;
        share(planted, found, ControlKind::Call)
    }

    /// The result of bursts at rest: `reads` says of a step whether the claim calls it quiet. A step counts that is quiet without any
    /// bytes: of another one (too short, say) the claim says nothing.
    #[must_use]
    pub fn rest_of(&self, messenger: &str, reads: &dyn Fn(&Rest) -> bool) -> Option<Control> {
        let silent = |rest: &&Rest| reads(&Rest { bytes: 0, own: 0, ..(*rest).clone() });
        let judged: Vec<&Rest> = self.rest.get(messenger)?.iter().filter(silent).collect();
        let found = judged.iter().filter(|rest| !reads(rest)).count();
        share(judged.len() as u64, found as u64, ControlKind::Rest)
    }

    fn control_of(by_length: &Lengths, kind: ControlKind) -> Option<Control> {
        let (planted, found) = by_length.values().fold((0, 0), |(p, f), (a, b)| (p + a, f + b));
        let power = |planted: u64, found: u64| found as f64 / planted as f64;
        // The smallest length from which on all are found in 95 of 100 cases (METRICS E19).
        let reached = by_length.iter().rev().take_while(|(_, (p, f))| power(*p, *f) >= 0.95);
        let smallest_bytes = reached.last().map(|(length, _)| *length as u64);
        share(planted, found, kind).map(|control| Control { smallest_bytes, ..control })
    }
}

/// What share was found; `None` when nothing was planted.
fn share(planted: u64, found: u64, kind: ControlKind) -> Option<Control> {
    (planted > 0).then(|| Control {
        planted,
        found,
        power: found as f64 / planted as f64,
        ci95: wilson(planted, found),
        kind,
        ..Control::default()
    })
}

/// What a rule would find.
fn found_by(rule: &str, kind: FindingKind, severity: Severity, confidence: Confidence) -> Finding {
    Finding {
        kind,
        severity,
        rule: Some(rule.to_owned()),
        confidence: Some(confidence),
        ..Finding::default()
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

/// An example of a rule that is planted.
struct Example {
    rule: String,
    text: String,
}

/// What is planted beside canaries, and how the copy is read.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The rules that the capture was read with.
    pub rules: Arc<Rules>,
    /// Ends to connect to.
    pub ends: Vec<FarEnd>,
    /// Calls and bursts.
    pub acts: Vec<Act>,
    /// When each step of the run began.
    pub steps: Arc<StepTimes>,
    /// More than one thread may be used.
    pub parallel: bool,
}

/// Plants `number` canaries, examples of the rules and connections into a copy of a capture, counts the canaries and examples that are found,
/// and gives what was read of the copy. `analysis` is what was read of the capture.
///
/// # Errors
/// When the capture cannot be read any more.
pub fn run(
    path: &Path,
    analysis: &CaptureAnalysis,
    number: u32,
    setup: &Setup,
) -> Result<(Tally, CaptureAnalysis), CaptureError> {
    let mut seeded = Seeded(seed(analysis));
    let plants: Vec<Plant> =
        (0..number.min(MAX_CONTROLS)).map(|n| plant("control", n, &mut seeded)).collect();
    let sealed: Vec<Plant> = (0..number.min(MAX_SEALED)).map(|n| plant("sealed", n, &mut seeded)).collect();
    let list: Vec<(String, String)> =
        plants.iter().chain(&sealed).map(|p| (p.name.clone(), p.value.clone())).collect();
    // Two equal words of 36 letters' choice would be refused; a set without controls counts none.
    let set = CanarySet::new(&list).ok().map(Arc::new);
    let (plants, sealed) = if set.is_some() { (plants, sealed) } else { (Vec::new(), Vec::new()) };
    let mut tally = Tally::default();
    let examples = examples(&setup.rules, number, &mut tally);
    let planted = Planted {
        plants: &plants,
        sealed: &sealed,
        examples: &examples,
        ends: &setup.ends,
        acts: &setup.acts,
    };
    let copy = copy(path, analysis, &planted, &mut seeded)?;
    let secrets = Secrets::default();
    // Reading from memory does not fail.
    let _ = secrets.read(copy.key_log.as_bytes());
    let mut options = Options {
        rules: Arc::clone(&setup.rules),
        secrets: Arc::new(secrets),
        steps: Arc::clone(&setup.steps),
        parallel: setup.parallel,
        ..Options::default()
    };
    if let Some(set) = set {
        options.canaries = set;
    }
    let read = analyse_bytes("control", &copy.capture, &options)?;
    let named = |what: &str| Some(what.strip_prefix("canary ")?.split_once(':')?.0.to_owned());
    let found: BTreeSet<(String, bool)> = read
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::Canary)
        .filter_map(|f| Some((named(&f.what)?, f.decrypted)))
        .collect();
    for (plants, by_length, decrypted) in
        [(&plants, &mut tally.by_length, false), (&sealed, &mut tally.sealed, true)]
    {
        for plant in plants {
            let sum = by_length.entry(plant.value.len()).or_default();
            *sum = (sum.0 + 1, sum.1 + u64::from(found.contains(&(plant.name.clone(), decrypted))));
        }
    }
    // Each example has a flow to itself, so that what is found in it is found of it.
    let clients: BTreeMap<u64, &str> = read.flows.iter().map(|f| (f.flow, f.client.as_str())).collect();
    let of_rules = read.findings.iter().filter(|f| !f.decrypted);
    let found: BTreeSet<(&str, &str)> =
        of_rules.filter_map(|f| Some((*clients.get(&f.flow)?, f.rule.as_deref()?))).collect();
    for (n, example) in examples.iter().enumerate() {
        let client = client(copy.first_example + n);
        let end = format!("{}.{}.{}.{}:40000", client[0], client[1], client[2], client[3]);
        if let Some(of) = tally.rules.get_mut(&example.rule) {
            of.found += u64::from(found.contains(&(end.as_str(), example.rule.as_str())));
        }
    }
    Ok((tally, read))
}

/// The first bytes of a capture's digest.
pub(crate) fn seed(analysis: &CaptureAnalysis) -> u64 {
    let hex = analysis.input.sha256.get(..16);
    hex.and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default()
}

/// Examples of all rules in turn, each rule once or more; `tally` learns of them.
fn examples(rules: &Rules, number: u32, tally: &mut Tally) -> Vec<Example> {
    let mut of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (rule, kind, severity, confidence, text) in rules.examples() {
        of.entry(rule).or_default().push(text);
        let none = OfRule { kind, severity, confidence, planted: 0, found: 0 };
        tally.rules.entry(rule.to_owned()).or_insert(none);
    }
    if number == 0 || of.is_empty() {
        return Vec::new();
    }
    let wanted = (number as usize).min(MAX_EXAMPLES).max(of.len());
    let in_turn = (0..).flat_map(|round| of.iter().map(move |(rule, texts)| (round, *rule, texts)));
    let chosen = in_turn.take(wanted).filter_map(|(round, rule, texts)| {
        let text = texts.get(round % texts.len().max(1))?;
        Some(Example { rule: rule.to_owned(), text: (*text).to_owned() })
    });
    let chosen: Vec<Example> = chosen.collect();
    for example in &chosen {
        if let Some(of) = tally.rules.get_mut(&example.rule) {
            of.planted += 1;
        }
    }
    chosen
}

/// Client of a planted flow: an address for benchmarks (RFC 2544).
fn client(number: usize) -> [u8; 4] {
    [198, 18, (number >> 8) as u8, number as u8]
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

/// All that is planted into one copy.
struct Planted<'a> {
    plants: &'a [Plant],
    sealed: &'a [Plant],
    examples: &'a [Example],
    ends: &'a [FarEnd],
    acts: &'a [Act],
}

/// A capture with what was planted, as pcapng.
struct Copied {
    capture: Vec<u8>,
    /// The secrets of its sessions.
    key_log: String,
    /// Number of the flow with the first example.
    first_example: usize,
}

fn copy(
    path: &Path,
    analysis: &CaptureAnalysis,
    planted: &Planted<'_>,
    seeded: &mut Seeded,
) -> Result<Copied, CaptureError> {
    // Every fourth goes over a frame in clear, as far as there are any.
    let clear: BTreeSet<u64> = analysis
        .flows
        .iter()
        .filter(|f| f.encryption == "none")
        .flat_map(|f| f.encryption_frames.iter().copied())
        .collect();
    let (over, own): (Vec<_>, Vec<_>) = planted.plants.iter().enumerate().partition(|(n, _)| n % 4 == 1);
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
        out.flow(flows, last, &[b"<", &plant.bytes[..], b">"].concat(), seeded.below(4));
        flows += 1;
    }
    let mut key_log = String::new();
    for (n, plant) in planted.sealed.iter().enumerate() {
        let session = Session { old: n % 3 == 2, ..Session::new(seeded) };
        key_log.push_str(&session.key_log());
        out.session(flows, last, &session, &plant.bytes, seeded.below(3));
        flows += 1;
    }
    let first_example = flows;
    for example in planted.examples {
        // On a line of its own, for some of them begin where a line does.
        let text = format!("control\n{}\n", example.text);
        out.flow(flows, last, text.as_bytes(), seeded.below(4));
        flows += 1;
    }
    for (n, end) in planted.ends.iter().enumerate() {
        out.connection(n, last, end, &Session::new(seeded));
    }
    for act in planted.acts {
        out.act(act, last, seeded);
    }
    Ok(Copied { capture: out.bytes, key_log, first_example })
}

/// The answer of a resolver that gives a name one address (RFC 1035 section 4).
fn dns_answer(id: u16, name: &str, address: [u8; 4]) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.extend([0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
    out.extend(address);
    out
}

/// A session of TLS 1.3 or 1.2 whose client sends; only its secret is known.
struct Session {
    random: [u8; 32],
    secret: [u8; 32],
    /// It is of TLS 1.2.
    old: bool,
}

impl Session {
    fn new(seeded: &mut Seeded) -> Session {
        let mut bytes = || std::array::from_fn(|_| seeded.below(256) as u8);
        Session { random: bytes(), secret: bytes(), old: false }
    }

    /// The random of the server.
    fn answer(&self) -> [u8; 32] {
        self.secret.map(|byte| !byte)
    }

    /// The master secret of a session of TLS 1.2.
    fn master(&self) -> Vec<u8> {
        [&self.secret[..], &self.random[..16]].concat()
    }

    /// Its line of a key log (`SSLKEYLOGFILE`).
    fn key_log(&self) -> String {
        let (label, secret) = if self.old {
            ("CLIENT_RANDOM", self.master())
        } else {
            ("CLIENT_TRAFFIC_SECRET_0", self.secret.to_vec())
        };
        format!("{label} {} {}\n", capture::hex(&self.random), capture::hex(&secret))
    }

    /// A hello of the client or the server that agrees on `TLS_AES_128_GCM_SHA256` (RFC 8446 sections 4.1.2 and 4.1.3), in TLS 1.2 on
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` (RFC 5289).
    fn hello(&self, of_client: bool) -> Vec<u8> {
        self.hello_for(of_client, None)
    }

    /// The same; a client asks for a server by its name (RFC 6066 section 3).
    fn hello_for(&self, of_client: bool, name: Option<&str>) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend(if of_client { self.random } else { self.answer() });
        body.push(0);
        // Suites and compression, then the extension supported_versions.
        let mut extensions: Vec<u8> = Vec::new();
        if let Some(name) = name {
            let size = name.len() as u16;
            for part in [0, size + 5, size + 3] {
                extensions.extend(part.to_be_bytes());
            }
            extensions.push(0);
            extensions.extend(size.to_be_bytes());
            extensions.extend(name.as_bytes());
        }
        let (suites, versions): (&[u8], &[u8]) = match (self.old, of_client) {
            (false, true) => (&[0, 2, 0x13, 1, 1, 0], &[0, 43, 0, 3, 2, 3, 4]),
            (false, false) => (&[0x13, 1, 0], &[0, 43, 0, 2, 3, 4]),
            (true, true) => (&[0, 2, 0xc0, 0x2f, 1, 0], &[]),
            (true, false) => (&[0xc0, 0x2f, 0], &[]),
        };
        extensions.extend_from_slice(versions);
        body.extend_from_slice(suites);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let size = (body.len() as u16).to_be_bytes();
        let whole = (body.len() as u16 + 4).to_be_bytes();
        let mut record =
            vec![22, 3, 3, whole[0], whole[1], if of_client { 1 } else { 2 }, 0, size[0], size[1]];
        record.extend(body);
        record
    }

    /// What the client of a session of TLS 1.2 sends before its data: it changes to the keys, and says that it has finished (RFC 5246
    /// sections 7.1 and 7.4.9); what that says is not verified.
    fn finished(&self) -> Vec<u8> {
        if !self.old {
            return Vec::new();
        }
        let verify = [&[20, 0, 0, 12][..], &self.secret[..12]].concat();
        let sealed = self.old_record(22, 0, &verify).unwrap_or_default();
        [&[20, 3, 3, 0, 1, 1][..], &sealed].concat()
    }

    /// A record of TLS 1.2 (RFC 5288 section 3).
    fn old_record(&self, kind: u8, number: u8, content: &[u8]) -> Option<Vec<u8>> {
        let block = key_block(&self.master(), &self.random, &self.answer())?;
        let (key, salt) = (block.get(..16)?, block.get(32..36)?);
        let number = u64::from(number).to_be_bytes();
        let nonce = [salt, &number].concat();
        let header = |size: usize| {
            let size = (size as u16).to_be_bytes();
            [kind, 3, 3, size[0], size[1]]
        };
        let aad = [&number[..], &header(content.len())].concat();
        let sealed = seal(key, &nonce, content, &aad)?;
        Some([&header(number.len() + sealed.len())[..], &number, &sealed].concat())
    }

    /// A record of application data (RFC 8446 section 5.2); nothing where a cipher refuses, so that the control fails.
    fn record(&self, number: u8, content: &[u8]) -> Vec<u8> {
        if self.old {
            return self.old_record(23, number + 1, content).unwrap_or_default();
        }
        let sealed = || {
            let key: [u8; 16] = expand_label(&self.secret, "key")?;
            let mut nonce: [u8; 12] = expand_label(&self.secret, "iv")?;
            *nonce.last_mut()? ^= number;
            let size = (content.len() as u16 + 17).to_be_bytes();
            let header = [23, 3, 3, size[0], size[1]];
            let plain = [content, &[23]].concat();
            let sealed = seal(&key, &nonce, &plain, &header)?;
            Some([&header[..], &sealed].concat())
        };
        sealed().unwrap_or_default()
    }
}

/// Content under AES-128-GCM, with its tag.
fn seal(key: &[u8], nonce: &[u8], content: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::<Aes128Gcm>::try_from(nonce).ok()?;
    Aes128Gcm::new_from_slice(key).ok()?.encrypt(&nonce, Payload { msg: content, aad }).ok()
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
        self.packet_of(link, time, bytes, bytes.len() as u32);
    }

    /// A packet of which the first bytes were recorded, of so many on the wire.
    fn packet_of(&mut self, link: LinkType, time: i64, bytes: &[u8], wire: u32) {
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
        body.extend(wire.to_le_bytes());
        body.extend_from_slice(bytes);
        self.block(6, &body);
    }

    /// A flow more, from an address for benchmarks to one for documentation (RFC 2544, RFC 5737), with a planted text: over
    /// TCP in one segment or in two, as an HTTP upload, or as a datagram.
    fn flow(&mut self, number: usize, time: i64, text: &[u8], how: usize) {
        let client = client(number);
        if how == 3 {
            self.datagram((client, 40_000), (SERVER, 9999), time, text);
            return;
        }
        let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", text.len());
        let (port, parts) = match how {
            0 => (9999, vec![text.to_vec()]),
            1 => {
                let (a, b) = text.split_at(text.len() / 2);
                (9999, vec![a.to_vec(), b.to_vec()])
            }
            _ => (80, vec![head.into_bytes(), text.to_vec()]),
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
        let client = client(number);
        let text = [b"<", bytes, b">"].concat();
        let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", text.len());
        let (a, b) = text.split_at(text.len() / 2);
        let up = match how {
            0 => [session.record(0, head.as_bytes()), session.record(1, a), session.record(2, b)].concat(),
            _ => [session.record(0, head.as_bytes()), session.record(1, &text)].concat(),
        };
        let up = [session.finished(), up].concat();
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

    /// A datagram from one end to another.
    fn datagram(
        &mut self,
        (from, port): ([u8; 4], u16),
        (to, to_port): ([u8; 4], u16),
        time: i64,
        text: &[u8],
    ) {
        let length = (8 + text.len()) as u16;
        let mut udp: Vec<u8> =
            [port, to_port, length, 0].iter().flat_map(|n: &u16| n.to_be_bytes()).collect();
        udp.extend_from_slice(text);
        self.between(from, to, time, 17, &udp);
    }

    /// A connection more, from the device to an end elsewhere: TLS whose hello names it, TLS to an address that a DNS answer gave, or
    /// datagrams to one. The answer takes long enough for any place on Earth.
    fn connection(&mut self, number: usize, time: i64, end: &FarEnd, session: &Session) {
        let port = 20_000 + number as u16;
        let (device, far) = (end.device.octets(), end.address.octets());
        let (asked, said) = (time, time + 300_000_000);
        let in_hello = end.by_hello();
        if !in_hello && let Some(name) = &end.name {
            self.datagram((RESOLVER, 53), (device, port), asked, &dns_answer(number as u16, name, far));
        }
        if end.datagrams {
            self.datagram((device, port), (far, 9999), asked, &session.secret);
            self.datagram((far, 9999), (device, port), said, &session.random);
            return;
        }
        let hello = session.hello_for(true, end.name.as_deref().filter(|_| in_hello));
        let answer = [session.hello_for(false, None), session.record(0, b"nothing")].concat();
        let sent = session.record(0, b"nothing");
        let after = 1000 + hello.len() as u32;
        let (up, down) = ([(device, port), (far, 443)], [(far, 443), (device, port)]);
        self.tcp(up, asked, 999, 0, 2, b"");
        self.tcp(down, said, 4999, 1000, 0x12, b"");
        self.tcp(up, said, 1000, 5000, 0x18, &hello);
        self.tcp(down, said + 300_000_000, 5000, after, 0x18, &answer);
        self.tcp(up, said + 300_000_000, after, 5000 + answer.len() as u32, 0x18, &sent);
    }

    /// What the device does: the messenger's server answers to the socket first, so that it is the messenger's; then media go straight to the
    /// other party behind connectivity checks of ICE (RFC 8445 section 7.2.2), or the server sends a burst.
    fn act(&mut self, act: &Act, last: i64, seeded: &mut Seeded) {
        const MILLISECOND: i64 = 1_000_000;
        let time = if let What::Burst(time, _) = act.what { time } else { last };
        let (device, server) = ((act.device.octets(), act.port), (act.server, SERVER_PORT));
        if let Some(name) = &act.name {
            self.datagram((RESOLVER, 53), device, time, &dns_answer(act.port, name, act.server));
        }
        let noise: [u8; 80] = std::array::from_fn(|_| seeded.below(256) as u8);
        self.datagram(device, server, time + MILLISECOND, &noise);
        self.datagram(server, device, time + 2 * MILLISECOND, &noise);
        match act.what {
            What::Call(party) => {
                let party = (party, PARTY_PORT);
                let mut check = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
                check.extend(noise.iter().take(12));
                // PRIORITY, which only connectivity checks have.
                check.extend([0, 0x24, 0, 4, 1, 1, 1, 1]);
                self.datagram(device, party, time + 3 * MILLISECOND, &check);
                self.datagram(party, device, time + 4 * MILLISECOND, &check);
                for number in 0..MEDIA_PACKETS {
                    let at = time + (i64::from(number) * 20 + 20) * MILLISECOND;
                    for (from, to, source) in [(device, party, 1_u32), (party, device, 2)] {
                        let mut media = vec![0x80, 111];
                        media.extend(number.to_be_bytes());
                        media.extend((u32::from(number) * 960).to_be_bytes());
                        media.extend(source.to_be_bytes());
                        media.extend(noise);
                        self.datagram(from, to, at, &media);
                    }
                }
            }
            What::Burst(_, packets) => {
                for number in 0..packets as i64 {
                    let length = BURST_PACKET - 20;
                    let mut udp: Vec<u8> =
                        [server.1, device.1, length, 0].iter().flat_map(|n: &u16| n.to_be_bytes()).collect();
                    udp.extend(noise);
                    let packet = ipv4(server.0, device.0, 17, BURST_PACKET, &udp);
                    let at = time + 3 * MILLISECOND + number * MILLISECOND / 10;
                    self.packet_of(LinkType::RAW, at, &packet, u32::from(BURST_PACKET));
                }
            }
        }
    }

    fn tcp(
        &mut self,
        ends: [([u8; 4], u16); 2],
        time: i64,
        at: u32,
        acknowledged: u32,
        flags: u8,
        data: &[u8],
    ) {
        let [(from, port), (to, to_port)] = ends;
        let mut tcp: Vec<u8> = [port, to_port].iter().flat_map(|n: &u16| n.to_be_bytes()).collect();
        tcp.extend(at.to_be_bytes());
        tcp.extend(acknowledged.to_be_bytes());
        tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend_from_slice(data);
        self.between(from, to, time, 6, &tcp);
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
        let packet = ipv4(from, to, protocol, (20 + payload.len()) as u16, payload);
        self.packet(LinkType::RAW, time, &packet);
    }
}

/// A packet of IPv4 that says to be so long (RFC 791 section 3.1).
fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, length: u16, payload: &[u8]) -> Vec<u8> {
    let length = length.to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
    packet.extend(from);
    packet.extend(to);
    packet.extend_from_slice(payload);
    packet
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
        let setup = |parallel| Setup { rules: Rules::embedded(), parallel, ..Setup::default() };
        let (tally, _) = run(file.path(), &analysis, 60, &setup(false)).unwrap();
        assert_eq!(tally, run(file.path(), &analysis, 60, &setup(true)).unwrap().0);
        let control = tally.control().unwrap();
        assert_eq!((control.planted, control.found), (60, 60));
        assert_eq!(control.smallest_bytes, Some(6));
        let rules = tally.of_rules(&|_| true).unwrap();
        assert_eq!((rules.planted, rules.found, rules.missed), (60, 60, Vec::new()));
        let decryption = tally.decryption().unwrap();
        assert_eq!((decryption.planted, decryption.found, decryption.smallest_bytes), (60, 60, Some(6)));
    }

    #[test]
    fn what_is_sealed_is_found_with_its_secret_only() {
        let mut seeded = Seeded(4711);
        let plants: Vec<Plant> = (0..18).map(|n| plant("sealed", n, &mut seeded)).collect();
        let list: Vec<(String, String)> = plants.iter().map(|p| (p.name.clone(), p.value.clone())).collect();
        let (mut made, mut log) = (Pcapng::default(), String::new());
        for (n, plant) in plants.iter().enumerate() {
            let session = Session { old: n >= 9, ..Session::new(&mut seeded) };
            log.push_str(&session.key_log());
            made.session(n, 0, &session, &plant.bytes, n % 3);
        }
        let found = |log: &str| {
            let secrets = Secrets::default();
            secrets.read(log.as_bytes()).unwrap();
            let canaries = Arc::new(CanarySet::new(&list).unwrap());
            let options = Options { canaries, secrets: Arc::new(secrets), ..Options::default() };
            let read = analyse_bytes("a", &made.bytes, &options).unwrap();
            let of = |version: &str| read.flows.iter().filter(|f| f.encryption == version).count();
            assert_eq!((of("tls1.3"), of("tls1.2")), (9, 9), "{:?}", read.flows);
            let found = read.findings.iter().filter(|f| f.kind == FindingKind::Canary && f.decrypted);
            found.map(|f| f.flow).collect::<BTreeSet<u64>>().len()
        };
        assert_eq!((found(&log), found("")), (18, 0));
        for n in [4, 13] {
            assert_eq!(found(log.lines().nth(n).unwrap()), 1);
        }
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
