//! Flows of one shard: who spoke first, what was recognised, and what each direction still holds back.
//!
//! Takes [`Packet`]s in frame order; drives TCP reassembly and the protocol of each flow; gives [`FlowFacts`], and through
//! [`Output`] findings, DNS answers, warnings and observations. A flow is known by its first frame until the engine numbers
//! all flows: a frame opens at most one.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Range;

use serde_json::Value;

use super::observe::Observation;
use super::packet::{Endpoint, FlowKey, IpProto, OWNER_BYTES, Packet, Tunnel};
use super::rtt::Opening;
use super::tcp::{Event, Half, Provenance, Segment};
use super::{
    Class, Cx, Datagram, Dissector, Frames, Match, Options, PROTOCOLS, Probe, Protocol, Reading, Secrets,
    Step,
};
use crate::model::{CaptureTime, Direction, FindingKind, FlowCall, FlowTls, Severity, SignatureHit};
use crate::payload::{
    Density, Found, RawFinding, Readability, Room, Scanner, Search as RuleSearch, Sighting, TextMeter,
};

mod session;

pub(super) use session::{Session, decrypted};

/// Bytes of an unfinished message that are kept, each direction; beyond it the message is given up.
pub(super) const MAX_PENDING: usize = 1 << 20;

/// Bytes that the flows of one shard may hold back together, in segments that wait and in unfinished messages; beyond it the
/// flow that wants more gives up its own. With 16 shards 64 MiB in all.
const MAX_HELD: usize = 4 << 20;

/// DNS answers of one shard that are kept for the names of later flows.
const MAX_DNS: usize = 1 << 19;

/// Findings of one flow that are kept; the rest is counted in one warning.
pub(super) const MAX_FINDINGS: u32 = 64;

/// Of them such that rules found, and such that one rule found: the rest of the room is for what dissectors say.
const MAX_BY_RULES: usize = 32;
const MAX_BY_RULE: usize = 12;

/// Values of one flow that are known when they come again.
const MAX_KNOWN: usize = 256;

/// Segments of a direction, and datagrams of a flow, that are probed one after the other.
const MAX_PROBES: u16 = 24;

/// The word of packets that may be of several flows.
const TWO_NETWORKS: &str = "packets of the same addresses and ports come from several VLANs or networks of VXLAN or Geneve: they are \
                            read as one flow, which they may not be";

/// Turns beyond them: of a direction then only what follows a word of the other side is probed, where a message may begin.
const MAX_TURNS: u16 = 256;

/// The word of its end.
const NOT_PROBED: &str =
    "no protocol was recognised in 24 segments and 256 turns of one side: it is not probed from here on";

/// Datagrams of a flow that wait for the next ones to tell what they are.
pub(super) const MAX_WAITING: usize = 8;

/// Ledger entry for payload that was counted as fragments before.
pub(super) const REASSEMBLED: &str = "fragment.reassembled";

/// Frames kept as evidence of one fact.
const MAX_EVIDENCE: usize = 8;

/// What is known of one flow.
#[derive(Clone, Debug)]
pub struct FlowFacts {
    /// IP protocol.
    pub proto: IpProto,
    /// The side that opened the flow.
    pub client: Endpoint,
    /// The other side.
    pub server: Endpoint,
    /// Protocols in order of appearance.
    pub protocols: Vec<&'static str>,
    /// Names with source and frame.
    pub names: Vec<(String, &'static str, u64)>,
    /// TLS details.
    pub tls: Option<Box<FlowTls>>,
    /// JA4 of the first client hello.
    pub ja4: Option<String>,
    /// Label and frames of the handshake.
    pub encryption: Option<(&'static str, Vec<u64>)>,
    /// Payload bytes of which nobody read anything, on the wire or behind an encryption that was opened, and those that the capture lacks.
    pub unread: u64,
    /// Payload bytes of each direction by [`Reading`].
    pub(super) sent: [Sent; 2],
    /// How dense they are, where that is measured.
    pub(super) density: Option<Box<[Density; 2]>>,
    /// The first frames with clear content.
    pub clear_frames: Vec<u64>,
    /// HTTP messages with content that could be read without keys.
    pub clear_messages: u64,
    /// Signatures that fired.
    pub signatures: Vec<SignatureHit>,
    /// What it says of a call.
    pub call: Option<Box<FlowCall>>,
    /// SYN to SYN/ACK, or the first flight of QUIC or DTLS to its answer, milliseconds.
    pub rtt_ms: Option<f64>,
    /// The two frames that `rtt_ms` is between; empty without it.
    pub rtt_frames: Vec<u64>,
    /// Wire bytes up and down.
    pub bytes: [u64; 2],
    /// The same by step of the scenario, where its marks are known.
    pub(super) by_step: super::steps::ByStep,
    /// Frames.
    pub frames: u64,
    /// First frame; the flow's handle until it has a number.
    pub first_frame: u64,
    /// Last frame.
    pub last_frame: u64,
    /// Time of the first frame.
    pub first_time: CaptureTime,
    /// Time of the last one.
    pub last_time: CaptureTime,
    /// Outer layers.
    pub tunnel: Tunnel,
    /// Who sent it: the first app with a number of its own that a recorder on the device named, else the first that it named.
    pub owner: Option<[u8; OWNER_BYTES]>,
    /// What is read now took keys that the auditor gave.
    pub(super) decrypted: bool,
    /// What is read now was counted and searched where it stands on the wire.
    counted: bool,
    findings: u32,
    told: Option<Box<Told>>,
}

/// Payload bytes by [`Reading`]: clear, handshake, encrypted, opaque.
pub(super) type Sent = [u64; 4];

/// What was told of a flow, so that rules tell nothing twice.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Values by their key, with the place of their finding.
    values: Vec<(u64, usize)>,
    /// Findings of rules.
    by_rules: usize,
    /// Places of what dissectors told of.
    dissected: Vec<Dissected>,
}

/// Where a dissector found something.
#[derive(Clone, Debug)]
struct Dissected {
    kind: FindingKind,
    direction: Direction,
    range: (u64, u64),
    frames: (u64, u64),
    finding: usize,
}

impl Told {
    /// What a dissector told of with these very bytes.
    fn within(&self, raw: &RawFinding, direction: Direction, frames: &[u64]) -> Option<usize> {
        let (first, last) = (frames.first().copied()?, frames.last().copied()?);
        let same = |d: &&Dissected| {
            (d.kind == raw.kind
                || matches!(d.kind, FindingKind::Credential | FindingKind::Token | FindingKind::Cookie))
                && d.direction == direction
                && (d.range.0 < raw.range.1 && raw.range.0 < d.range.1)
                && (d.frames.0 <= last && first <= d.frames.1)
        };
        self.dissected.iter().find(same).map(|d| d.finding)
    }
}

impl FlowFacts {
    /// Keeps the time from a question to its answer, each with its frame; none where the clock stepped back.
    fn round_trip(&mut self, sent: (CaptureTime, u64), answered: (CaptureTime, u64)) {
        let rtt = answered.0.ms_since(sent.0);
        if rtt >= 0.0 {
            self.rtt_ms = Some(rtt);
            self.rtt_frames = vec![sent.1, answered.1];
        }
    }

    pub(super) fn protocol(&mut self, id: &'static str) {
        if !self.protocols.contains(&id) {
            self.protocols.push(id);
        }
    }

    pub(super) fn name(&mut self, name: &str, source: &'static str, frame: u64) {
        // Nobody on the way could read it.
        let source = if self.decrypted { "decrypted" } else { source };
        let name = canonical_name(name);
        // Bounded: a hostile peer may send a new name in each request.
        if !name.is_empty()
            && self.names.len() < 32
            && !self.names.iter().any(|(n, s, _)| *n == name && *s == source)
        {
            self.names.push((name, source, frame));
        }
    }

    /// What is read now was counted as the bytes that carried it.
    fn counted_outside(&self) -> bool {
        self.decrypted || self.counted
    }

    /// How the flow is encrypted on the wire; what is found within the encryption changes nothing in that.
    pub(super) fn encrypted(&mut self, label: &'static str, frames: &[u64]) {
        if self.counted_outside() {
            return;
        }
        let (known, evidence) = self.encryption.get_or_insert((label, Vec::new()));
        *known = label;
        add_frames(evidence, frames);
    }

    /// A handshake agreed on a suite without encryption: what follows is in clear.
    pub(super) fn unencrypted(&mut self) {
        if !self.decrypted {
            self.encryption = None;
        }
    }

    pub(super) fn signature(
        &mut self,
        messenger: &str,
        id: &str,
        confidence: &str,
        detail: &str,
        frames: &[u64],
    ) {
        if let Some(known) = self.signatures.iter_mut().find(|s| s.signature == id) {
            add_frames(&mut known.frames, frames);
            detail.clone_into(&mut known.detail);
            confidence.clone_into(&mut known.confidence);
        } else if self.signatures.len() < 16 {
            let mut kept = Vec::new();
            add_frames(&mut kept, frames);
            self.signatures.push(SignatureHit {
                messenger: messenger.into(),
                signature: id.into(),
                frames: kept,
                confidence: confidence.into(),
                detail: detail.into(),
            });
        }
    }

    fn add_read(&mut self, direction: Direction, class: Class, bytes: u64) {
        let reading = class.reading;
        if matches!(reading, Reading::Encrypted | Reading::Opaque) && !class.opened {
            self.unread += bytes;
        }
        // The bytes on the wire were counted as those of the encryption.
        if self.counted_outside() {
            return;
        }
        let [clear, handshake, encrypted, opaque] = direction.pick(&mut self.sent);
        *match reading {
            Reading::Clear => clear,
            Reading::Handshake => handshake,
            Reading::Encrypted => encrypted,
            Reading::Opaque => opaque,
        } += bytes;
    }

    /// No more bytes come: what is kept of them shrinks to figures.
    fn measured(&mut self) {
        self.density.iter_mut().flat_map(|both| both.iter_mut()).for_each(Density::settle);
    }

    /// Payload bytes that anyone could read.
    pub(super) fn clear_bytes(&self) -> u64 {
        self.sent.iter().map(|[clear, ..]| clear).sum()
    }

    /// Whether anything was sent that is more than headers.
    fn has_payload(&self) -> bool {
        self.sent.iter().flatten().any(|bytes| *bytes > 0)
    }

    /// CONTRACT's `encryption` word and the frames that show it.
    #[must_use]
    pub fn encryption_word(&self) -> (&'static str, &[u64]) {
        match &self.encryption {
            Some((label, frames)) => (label, frames),
            None if self.clear_bytes() > 0 => ("none", &self.clear_frames),
            None if self.has_payload() => ("opaque", &[]),
            None => ("empty", &[]),
        }
    }
}

/// Longest name in presentation form (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// Lower case, without a final dot, labels with letters beyond ASCII as A-labels (RFC 5890 section 2.3.2.1). What is no name of
/// letters, digits and hyphens stays as it is.
pub(crate) fn canonical_name(name: &str) -> String {
    let name = name.trim_end_matches('.');
    let letters = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if !name.is_ascii()
        && name.len() <= MAX_NAME
        && name.chars().all(letters)
        && let Some(labels) = name.split('.').map(crate::payload::a_label).collect::<Option<Vec<String>>>()
    {
        return labels.join(".");
    }
    name.to_lowercase()
}

/// Adds frames to evidence, which stays ascending: a frame that was waited for may be lower than those before it.
fn add_frames(to: &mut Vec<u64>, frames: &[u64]) {
    for f in frames.iter().take(MAX_EVIDENCE) {
        if to.len() < MAX_EVIDENCE
            && let Err(at) = to.binary_search(f)
        {
            to.insert(at, *f);
        }
    }
}

/// A finding with its flow.
#[derive(Clone, Debug)]
pub(super) struct FlowFinding {
    /// The flow's first frame.
    pub flow: u64,
    /// Who sent it.
    pub direction: Direction,
    /// Frames, ascending.
    pub frames: Vec<u64>,
    /// The finding.
    pub raw: RawFinding,
}

/// What a DNS answer names an address by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedBy {
    /// An A or AAAA record.
    Address,
    /// `ipv4hint` or `ipv6hint` of an SVCB or HTTPS record (RFC 9460 section 7.3): where to go until the addresses are known, and
    /// for many clients where they go.
    Hint,
    /// The other way round: the address was asked for, and a PTR record gave the name.
    Pointer,
}

impl NamedBy {
    /// The word of a report for it.
    pub(super) fn source(self) -> &'static str {
        match self {
            NamedBy::Address => "dns",
            NamedBy::Hint => "dns-hint",
            NamedBy::Pointer => "dns-ptr",
        }
    }
}

/// One address of a name, as a DNS answer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsName {
    /// Who asked.
    pub client: IpAddr,
    /// The name that was asked for.
    pub name: String,
    /// An address it was said to have.
    pub address: IpAddr,
    /// The record that said it.
    pub by: NamedBy,
    /// The frame of the answer.
    pub frame: u64,
    /// Until when the answer may be used: its time and the smallest TTL on the way from the name to the address.
    pub until: CaptureTime,
}

/// A fault in the traffic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TrafficWarning {
    /// The frame.
    pub frame: u64,
    /// Bytes into the decompressed file.
    pub offset: u64,
    /// In words.
    pub what: String,
}

/// What the flows of a shard have said.
#[derive(Default)]
pub(super) struct Output {
    pub(super) observations: Vec<Observation>,
    pub(super) findings: Vec<FlowFinding>,
    pub(super) dns: Vec<DnsName>,
    /// ECH configurations in DNS answers.
    pub(super) ech: Vec<super::link::EchSeen>,
    pub(super) warnings: Vec<TrafficWarning>,
    pub(super) suppressed_warnings: u64,
    pub(super) suppressed_findings: u64,
    pub(super) suppressed_names: u64,
    /// How often a flow gave up what it held.
    pub(super) given_up: u64,
    /// Held once more by every unpacking that keeps a window: so it is counted how many there are.
    pub(super) windows: std::sync::Arc<()>,
    /// What containers that are unpacked keep together.
    pub(super) room: Room,
    order: u64,
}

/// Warnings that one shard keeps.
const MAX_WARNINGS: usize = 4096;

impl Output {
    pub(super) fn observe(
        &mut self,
        facts: &FlowFacts,
        direction: Direction,
        frames: Frames,
        kind: &'static str,
        fields: Result<Value, serde_json::Error>,
    ) {
        let Ok(Value::Object(mut fields)) = fields else { return };
        if facts.decrypted {
            fields.insert("decrypted".into(), true.into());
        }
        let (src, dst) = match direction {
            Direction::Up => (facts.client, facts.server),
            Direction::Down => (facts.server, facts.client),
        };
        self.order += 1;
        self.observations.push(Observation {
            frame: frames.complete,
            order: self.order,
            time: frames.time,
            frames: frames.all,
            flow: facts.first_frame,
            src: Some(src),
            dst: Some(dst),
            kind,
            tunnel: facts.tunnel.layers().collect(),
            fields,
        });
    }

    pub(super) fn finding(
        &mut self,
        facts: &mut FlowFacts,
        direction: Direction,
        frames: Vec<u64>,
        raw: RawFinding,
    ) {
        let raw = if facts.decrypted { raw.behind_encryption() } else { raw };
        if raw.by_rule_file() && !self.is_new(facts, direction, &frames, &raw) {
            return;
        }
        if facts.findings >= MAX_FINDINGS {
            self.suppressed_findings += 1;
            return;
        }
        facts.findings += 1;
        let place = self.findings.len();
        if raw.by_rule_file() {
            let told = facts.told.get_or_insert_default();
            told.values.push((key(&raw, direction), place));
            told.by_rules += 1;
        } else if let (Some(first), Some(last)) = (frames.first(), frames.last())
            && is_a_place(&raw)
        {
            facts.told.get_or_insert_default().dissected.push(Dissected {
                kind: raw.kind,
                direction,
                range: raw.range,
                frames: (*first, *last),
                finding: place,
            });
        }
        self.findings.push(FlowFinding { flow: facts.first_frame, direction, frames, raw });
    }

    /// Whether a rule's finding tells something that was not told of the flow; what comes again is counted.
    fn is_new(
        &mut self,
        facts: &mut FlowFacts,
        direction: Direction,
        frames: &[u64],
        raw: &RawFinding,
    ) -> bool {
        let Some(told) = &mut facts.told else { return true };
        let key = key(raw, direction);
        let again = told.values.iter().find(|(known, _)| *known == key).map(|(_, place)| *place);
        let found = again.or_else(|| told.within(raw, direction, frames));
        if let Some(place) = found {
            if again.is_none() && told.values.len() < MAX_KNOWN {
                told.values.push((key, place));
            }
            // What a dissector told of is not counted.
            if let Some(known) = self.findings.get_mut(place).filter(|f| f.raw.by_rule_file()) {
                known.raw.count += raw.count;
            }
            return false;
        }
        let findings = &self.findings;
        let same_rule =
            |(_, place): &&(u64, usize)| findings.get(*place).is_some_and(|f| f.raw.rule == raw.rule);
        if told.by_rules >= MAX_BY_RULES || told.values.iter().filter(same_rule).count() >= MAX_BY_RULE {
            self.suppressed_findings += 1;
            return false;
        }
        true
    }

    pub(super) fn dns_answer(
        &mut self,
        facts: &FlowFacts,
        direction: Direction,
        (name, address, by): (&str, IpAddr, NamedBy),
        ttl: u32,
        (frame, time): (u64, CaptureTime),
    ) {
        let client = match direction {
            Direction::Down => facts.client.addr(),
            Direction::Up => facts.server.addr(),
        };
        if self.dns.len() >= MAX_DNS {
            self.suppressed_names += 1;
            return;
        }
        let until = CaptureTime(time.0.saturating_add(i64::from(ttl).saturating_mul(1_000_000_000)));
        self.dns.push(DnsName { client, name: canonical_name(name), address, by, frame, until });
    }

    pub(super) fn warn(
        &mut self,
        facts: &FlowFacts,
        direction: Direction,
        frames: &Frames,
        what: String,
        observe: bool,
    ) {
        if self.warnings.len() >= MAX_WARNINGS {
            self.suppressed_warnings += 1;
            return;
        }
        if observe {
            let fields = serde_json::json!({ "offset": frames.file_offset, "what": what });
            self.observe(facts, direction, frames.clone(), "warning", Ok(fields));
        }
        self.warnings.push(TrafficWarning { frame: frames.complete, offset: frames.file_offset, what });
    }
}

/// Stands for rule, value, direction and whether it was decrypted.
fn key(raw: &RawFinding, direction: Direction) -> u64 {
    raw.value.rotate_left(direction as u32 * 2 + u32::from(raw.decrypted))
}

/// Whether a dissector's finding stands for the bytes that it names: text as such does not.
fn is_a_place(raw: &RawFinding) -> bool {
    raw.range.1 > raw.range.0
        && match raw.kind {
            FindingKind::Canary => false,
            FindingKind::Content => raw.severity >= Severity::High,
            _ => true,
        }
}

/// Where the bytes shown to a dissector came from.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    source: Source<'a>,
    /// Frames of datagrams that came in fragments, by the frame of the last one.
    fragments: &'a BTreeMap<u64, Vec<u64>>,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Stream { provenance: &'a Provenance, base: u64 },
    Datagram(Segment),
}

impl<'a> Place<'a> {
    /// The packet that is being read.
    fn segment(&self) -> Segment {
        match self.source {
            Source::Datagram(segment) => segment,
            Source::Stream { provenance, base } => {
                let nowhere = Segment {
                    start: base,
                    end: base,
                    frame: 0,
                    time: CaptureTime::default(),
                    file_offset: 0,
                };
                provenance.covering(base, base).next().copied().unwrap_or(nowhere)
            }
        }
    }

    pub(super) fn base(&self) -> u64 {
        match self.source {
            Source::Stream { base, .. } => base,
            Source::Datagram(segment) => segment.start,
        }
    }

    /// The same from so many bytes farther on.
    fn from(&self, bytes: u64) -> Place<'a> {
        let source = match self.source {
            Source::Stream { provenance, base } => Source::Stream { provenance, base: base + bytes },
            Source::Datagram(s) => {
                Source::Datagram(Segment { start: s.start + bytes, file_offset: s.file_offset + bytes, ..s })
            }
        };
        Place { source, ..*self }
    }

    fn segments(&self, range: Range<usize>) -> impl Iterator<Item = &'a Segment> {
        let (stream, datagram) = match self.source {
            Source::Stream { provenance, base } => (
                Some(
                    provenance.covering(base + range.start as u64, base + range.end.max(range.start) as u64),
                ),
                None,
            ),
            Source::Datagram(_) => (None, Some(())),
        };
        // A datagram's only segment is handled by the callers: it lives in `self`.
        let _ = datagram;
        stream.into_iter().flatten()
    }

    pub(super) fn frame(&self, range: Range<usize>) -> u64 {
        match self.source {
            Source::Datagram(s) => s.frame,
            Source::Stream { .. } => self.segments(range).map(|s| s.frame).max().unwrap_or_default(),
        }
    }

    /// The frames of bytes by their offsets in the stream; those of the datagram.
    fn of_stream(&self, start: u64, end: u64) -> Frames {
        match self.source {
            Source::Datagram(_) => self.frames(0..1),
            Source::Stream { provenance, .. } => {
                let whole = Place { source: Source::Stream { provenance, base: start }, ..*self };
                whole.frames(0..end.saturating_sub(start) as usize)
            }
        }
    }

    pub(super) fn frames(&self, range: Range<usize>) -> Frames {
        let start = self.base() + range.start as u64;
        let mut frames = Frames::default();
        let mut add = |s: &Segment| {
            if frames.all.is_empty() {
                frames.file_offset = s.file_offset + start.saturating_sub(s.start);
            }
            if s.frame >= frames.complete {
                frames.complete = s.frame;
                frames.time = s.time;
            }
            match self.fragments.get(&s.frame) {
                Some(parts) => frames.all.extend_from_slice(parts),
                None => frames.all.push(s.frame),
            }
        };
        match &self.source {
            Source::Datagram(s) => add(s),
            Source::Stream { .. } => self.segments(range).for_each(&mut add),
        }
        frames.all.sort_unstable();
        frames.all.dedup();
        frames
    }
}

/// Payload bytes by class.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Vec<(&'static str, u64)>);

impl Ledger {
    pub(super) fn add(&mut self, class: &'static str, bytes: u64) {
        // A dozen classes: a list that is walked beats a map here, and nearly always the place tells the class.
        let known = self.0.iter().position(|(name, _)| std::ptr::eq(*name, class));
        match known.or_else(|| self.0.iter().position(|(name, _)| *name == class)) {
            Some(at) => self.0.get_mut(at).into_iter().for_each(|(_, sum)| *sum += bytes),
            None => self.0.push((class, bytes)),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }
}

/// What dissects a flow.
enum App {
    Probing,
    Unknown,
    Known(Box<dyn Dissector>),
}

/// One direction of a TCP flow.
#[derive(Default)]
struct Stream {
    half: Half,
    provenance: Provenance,
    /// Shown, not taken; begins at `taken`.
    pending: Vec<u8>,
    taken: u64,
    /// Bytes that a step took beyond what was shown.
    skip: u64,
    skip_class: Option<Class>,
    /// The dissector wants to see so many bytes before it is called again.
    want: usize,
    /// Segments that no protocol took.
    probes: u16,
    /// A probe asked for more of the bytes at hand.
    waits: bool,
    /// Payload came that no protocol took.
    passed: bool,
    /// The dissector was told of the FIN.
    ended: bool,
    search: Search,
}

/// Search state of one direction.
#[derive(Default)]
struct Search {
    /// For canaries, once there are bytes to search for them.
    scanner: Option<Box<Scanner>>,
    rules: RuleSearch,
    /// The bytes at hand are opened by the dissector.
    unpacked: bool,
    meter: Option<Box<TextMeter>>,
    unknown: u64,
}

struct Flow {
    facts: FlowFacts,
    app: App,
    streams: Option<Box<[Stream; 2]>>,
    /// Meters of datagram flows that no protocol took.
    unknown: Option<Box<[Search; 2]>>,
    /// Datagrams that were not shown to anything yet.
    waiting: Vec<Datagram>,
    /// Datagrams that no protocol took.
    probes: u16,
    /// Who was probed last, of a stream.
    spoke: Option<Direction>,
    /// It was told that a direction is not probed any more.
    told_unprobed: bool,
    syn_time: Option<(CaptureTime, u64)>,
    /// A datagram handshake that waits for its answer, with its time.
    opening: Option<((CaptureTime, u64), Opening)>,
    /// Sequence number of the client's SYN.
    isn: Option<u32>,
    closed: bool,
    /// Who reset the connection.
    reset_by: Option<Direction>,
    /// Bytes came although the connection was reset before: what is read now does not begin with its beginning.
    resumed: bool,
    /// The packet that is being read, or was last.
    now: Segment,
    /// Closed by both sides, with nothing missing: where each of them stood then.
    complete: Option<[Option<(u32, u64)>; 2]>,
    /// The network of each direction's first packet, until another was told.
    networks: Option<[Option<u32>; 2]>,
    /// Bytes came behind that, or were refused as strays: each is told once.
    told_beyond: bool,
    told_stray: bool,
    /// The capture is over.
    over: bool,
    /// What this direction holds back can be read now ([`Cx::answered`]).
    answered: Option<Direction>,
    /// Directions that are probed anew ([`Cx::reprobe`]) and have had no bytes since.
    anew: [bool; 2],
}

/// The flows whose keys fall into one shard.
#[derive(Default)]
pub(super) struct Shard {
    map: HashMap<FlowKey, u32, foldhash::fast::RandomState>,
    /// Each on its own: a list that grows by moving them all would touch twice the memory.
    #[expect(clippy::vec_box, reason = "flows stay where they are while the list grows")]
    flows: Vec<Box<Flow>>,
    pub(super) out: Output,
    pub(super) ledger: Ledger,
    /// Bytes that all flows hold back together.
    held: usize,
    /// Flows from this index on were opened since the engine last looked.
    pub(super) numbered: usize,
}

/// A flow that gets no more packets; stays where it is until its facts are told, so that no list of facts is made beside it.
pub(super) struct Finished(Box<Flow>);

impl Finished {
    pub(super) fn facts(&self) -> &FlowFacts {
        &self.0.facts
    }

    pub(super) fn into_facts(self) -> FlowFacts {
        self.0.facts
    }
}

/// What a shard needs of the whole.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) options: &'a Options,
    pub(super) fragments: &'a BTreeMap<u64, Vec<u64>>,
    pub(super) secrets: &'a Secrets,
}

impl Shard {
    /// First frames of the flows opened since the last call.
    pub(super) fn new_flows(&mut self) -> impl Iterator<Item = u64> {
        let from = std::mem::replace(&mut self.numbered, self.flows.len());
        self.flows.iter().skip(from).map(|f| f.facts.first_frame)
    }

    /// The lowest frame that a message still to come may carry: below it, observations are final.
    pub(super) fn held_back(&self) -> Option<u64> {
        self.flows.iter().filter_map(|f| f.held_back()).min()
    }

    /// Takes all flows, after [`Shard::finish`].
    pub(super) fn take_finished(&mut self) -> impl Iterator<Item = Finished> + use<> {
        self.map = HashMap::default();
        std::mem::take(&mut self.flows).into_iter().map(Finished)
    }

    /// Flows so far.
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// One packet; packets of a flow come in frame order.
    pub(super) fn packet(&mut self, p: &Packet<'_>, shared: Shared<'_>) {
        let index = self.flow_of(p);
        let Some(flow) = self.flows.get_mut(index) else { return };
        let direction = if (if p.from_low { p.key.low } else { p.key.high }) == flow.facts.client {
            Direction::Up
        } else {
            Direction::Down
        };
        // Both ends the same (a host that talks to itself on one port): every packet goes up.
        *direction.pick(&mut flow.facts.bytes) += u64::from(p.wire_len);
        let (up_or_down, bytes) = (usize::from(direction == Direction::Down), u64::from(p.wire_len));
        shared.options.steps.add(&mut flow.facts.by_step, p.time, up_or_down, bytes);
        // A frame may hold several packets of a flow (an aggregate of IEEE 802.11).
        flow.facts.frames += u64::from(flow.facts.frames == 0 || flow.facts.last_frame != p.frame);
        flow.facts.last_frame = p.frame;
        flow.facts.last_time = p.time;
        if let Some(owner) = p.owner
            && flow.facts.owner.is_none_or(|known| known[0] & 0x80 != 0)
        {
            flow.facts.owner = Some(*owner);
        }
        if p.counted {
            // The fragments are in the ledger; the engine takes this sum off them again.
            self.ledger.add(REASSEMBLED, p.payload.len() as u64);
        }
        flow.now = whole(p);
        // The two ways may have tags of their own, but each its one.
        if let Some(networks) = &mut flow.networks
            && *direction.pick(networks).get_or_insert(p.network) != p.network
        {
            flow.networks = None;
            let mut sink = Sink { out: &mut self.out, ledger: &mut self.ledger, shared };
            flow.warn_here(direction, TWO_NETWORKS, &mut sink);
        }
        if !shared.options.canaries.is_empty() {
            self.out.room.earn(p.payload.len() as u64);
        }
        let mut sink = Sink { out: &mut self.out, ledger: &mut self.ledger, shared };
        if p.key.proto == IpProto::TCP {
            let before = flow.held();
            flow.tcp(p, direction, &mut sink);
            self.held = (self.held + flow.held()).saturating_sub(before);
            if self.held > MAX_HELD {
                let before = flow.held();
                flow.give_up(&mut sink);
                self.held = (self.held + flow.held()).saturating_sub(before);
                self.out.given_up += 1;
            }
        } else if !p.payload.is_empty() {
            flow.datagram(p, direction, &mut sink);
        }
    }

    /// The flow of a packet, opened when it is new.
    fn flow_of(&mut self, p: &Packet<'_>) -> usize {
        let new = self.flows.len() as u32;
        let entry = self.map.entry(p.key).or_insert(new);
        if let Some(flow) = self.flows.get(*entry as usize) {
            let t = &p.tcp;
            let opens = p.key.proto == IpProto::TCP && t.syn && !(t.ack && (t.fin || t.rst));
            // A SYN with another sequence number on a used connection is a new connection (RFC 9293 section 3.6.1), and so is
            // the answer to one that is not in the capture.
            if !opens || !flow.reopened_by(p) {
                return *entry as usize;
            }
            *entry = new;
        }
        let (from, to) = if p.from_low { (p.key.low, p.key.high) } else { (p.key.high, p.key.low) };
        let from_server = if p.key.proto == IpProto::TCP && p.tcp.syn {
            p.tcp.ack
        } else {
            is_service(from.port) && !is_service(to.port)
        };
        let (client, server) = if from_server { (to, from) } else { (from, to) };
        let facts = FlowFacts {
            proto: p.key.proto,
            client,
            server,
            protocols: Vec::new(),
            names: Vec::new(),
            tls: None,
            ja4: None,
            encryption: None,
            clear_messages: 0,
            unread: 0,
            sent: [[0; 4]; 2],
            density: None,
            clear_frames: Vec::new(),
            signatures: Vec::new(),
            call: None,
            rtt_ms: None,
            rtt_frames: Vec::new(),
            bytes: [0; 2],
            by_step: Vec::new(),
            frames: 0,
            first_frame: p.frame,
            last_frame: p.frame,
            first_time: p.time,
            last_time: p.time,
            tunnel: p.tunnel,
            owner: None,
            decrypted: false,
            counted: false,
            findings: 0,
            told: None,
        };
        self.flows.push(Box::new(Flow::new(facts, whole(p))));
        new as usize
    }

    /// The capture is over.
    pub(super) fn finish(&mut self, shared: Shared<'_>) {
        for flow in &mut self.flows {
            let mut sink = Sink { out: &mut self.out, ledger: &mut self.ledger, shared };
            flow.finish(&mut sink);
        }
    }
}

/// A port that servers listen on: registered below 1024, or one that a protocol here declares.
fn is_service(port: u16) -> bool {
    (1..1024).contains(&port) || PROTOCOLS.iter().any(|p| p.ports.contains(&port))
}

/// A packet's payload as one run.
fn whole(p: &Packet<'_>) -> Segment {
    let end = p.payload.len() as u64;
    Segment { start: 0, end, frame: p.frame, time: p.time, file_offset: p.file_offset }
}

struct Sink<'a> {
    out: &'a mut Output,
    ledger: &'a mut Ledger,
    shared: Shared<'a>,
}

impl Stream {
    /// Bytes that wait, for a missing segment or for the end of their message.
    fn held(&self) -> usize {
        self.half.waiting_bytes() + self.pending.len()
    }

    fn held_back(&self) -> Option<u64> {
        let pending = (!self.pending.is_empty())
            .then(|| self.provenance.covering(self.taken, self.taken + 1).map(|s| s.frame).min())
            .flatten();
        [pending, self.half.first_waiting_frame()].into_iter().flatten().min()
    }
}

impl Flow {
    /// A flow that has had no packet; `now` is where it stands.
    fn new(facts: FlowFacts, now: Segment) -> Flow {
        Flow {
            facts,
            app: App::Probing,
            streams: None,
            unknown: None,
            waiting: Vec::new(),
            probes: 0,
            spoke: None,
            told_unprobed: false,
            syn_time: None,
            opening: None,
            isn: None,
            closed: false,
            reset_by: None,
            resumed: false,
            now,
            complete: None,
            networks: Some([None; 2]),
            told_beyond: false,
            told_stray: false,
            over: false,
            answered: None,
            anew: [false; 2],
        }
    }

    fn held_back(&self) -> Option<u64> {
        let streams = self.streams.iter().flat_map(|s| s.iter()).filter_map(Stream::held_back).min();
        let waiting = self.waiting.first().map(|d| d.segment.frame);
        let dissector = match &self.app {
            App::Known(dissector) => dissector.holds(),
            App::Probing | App::Unknown => None,
        };
        [streams, waiting, dissector].into_iter().flatten().min()
    }

    fn reopened_by(&self, p: &Packet<'_>) -> bool {
        let from_client = (if p.from_low { p.key.low } else { p.key.high }) == self.facts.client;
        if p.tcp.ack {
            let answered = p.tcp.ack_no.wrapping_sub(1);
            // Before there is payload, the capture may have the answer ahead of what it answers.
            // What came with the SYN is acknowledged as well (RFC 7413).
            let with_syn = self.streams.as_deref().map_or(0, |[up, _]| up.half.next);
            return match self.isn {
                Some(isn) => !from_client && u64::from(answered.wrapping_sub(isn)) > with_syn && self.used(),
                None => self.used() && !self.began_behind(answered, from_client),
            };
        }
        match self.isn {
            // A retransmitted SYN has the same number; a simultaneous open comes from the other side.
            Some(isn) => (from_client && isn != p.tcp.seq) || (!from_client && self.closed),
            None => true,
        }
    }

    /// Payload came, or it is over.
    fn used(&self) -> bool {
        let began = |s: &Stream| s.half.next > 0 || s.half.waiting_bytes() > 0;
        self.closed || self.streams.iter().flat_map(|s| s.iter()).any(began)
    }

    /// The receiver of a SYN/ACK began right behind the number that it answers.
    fn began_behind(&self, isn: u32, from_client: bool) -> bool {
        let Some([up, down]) = self.streams.as_deref() else { return false };
        let receiver = if from_client { down } else { up };
        receiver
            .half
            .position()
            .is_some_and(|(seq, given)| seq.wrapping_sub(given as u32) == isn.wrapping_add(1))
    }

    /// A segment behind the end of a connection holds nothing that was not there: it ends at or before the FIN, and begins where
    /// the direction did or later.
    fn repeats(&self, p: &Packet<'_>, direction: Direction) -> bool {
        let Some([up, down]) = self.complete else { return false };
        let Some((fin, sent)) = (if direction == Direction::Up { up } else { down }) else { return false };
        // A capture may begin in mid-stream; a keep-alive begins a byte early.
        let sent = if self.isn.is_some() { sent + 1 } else { sent.max(1 << 24) };
        let behind = |seq: u32| i64::from(fin.wrapping_sub(seq) as i32);
        let seq = p.tcp.seq.wrapping_add(u32::from(p.tcp.syn));
        let end = seq.wrapping_add(p.payload.len() as u32);
        behind(end) >= 0 && (0..=sent as i64).contains(&behind(seq))
    }

    fn tcp(&mut self, p: &Packet<'_>, direction: Direction, sink: &mut Sink<'_>) {
        let t = &p.tcp;
        if t.syn {
            if t.ack {
                if direction == Direction::Down && self.facts.first_frame == p.frame {
                    // The capture has the answer before the SYN: that one is not a new connection then.
                    self.isn = Some(t.ack_no.wrapping_sub(1));
                }
                if let (Some(sent), None) = (self.syn_time, self.facts.rtt_ms) {
                    self.facts.round_trip(sent, (p.time, p.frame));
                }
            } else if direction == Direction::Up {
                // Which of several SYNs was answered cannot be told. Counted from the first the way is at worst too long, from
                // the last one it could be shorter than light allows.
                self.syn_time.get_or_insert((p.time, p.frame));
                self.isn.get_or_insert(t.seq);
            }
        }
        if self.closed && p.payload.is_empty() {
            return;
        }
        if self.complete.is_some() {
            if t.rst || self.repeats(p, direction) {
                let class = if t.rst { "tcp.reset" } else { "tcp.retransmission" };
                sink.ledger.add(class, p.payload.len() as u64);
                return;
            }
            self.complete = None;
            if !std::mem::replace(&mut self.told_beyond, true) {
                let what = "bytes behind the end of a connection that both sides had closed: another one of the same addresses and \
                            ports whose beginning is not in the capture, or ends that were not their own; they are read anew";
                self.warn_here(direction, what, sink);
            }
        }
        if self.closed && !t.rst {
            // Not obeyed, or not yet: somebody on the way may have made the reset.
            self.resume(direction, sink);
        }
        let mut streams = self.streams.take().unwrap_or_default();
        let [up, down] = &mut *streams;
        let (mine, other) = if direction == Direction::Up { (up, down) } else { (down, up) };
        let mut seq = t.seq;
        if t.syn {
            mine.half.syn(t.seq);
            seq = seq.wrapping_add(1);
        }
        let resets = t.rst && mine.half.may_reset(seq);
        if t.rst {
            // What comes with a reset is a diagnosis for people, not stream data (RFC 9293 section 3.5.3).
            sink.ledger.add("tcp.reset", p.payload.len() as u64);
        } else if !p.payload.is_empty() {
            let half = std::mem::take(&mut mine.half);
            let half = self.deliver(direction, mine, half, sink, |half, give| {
                half.segment(seq, p.payload, (p.frame, p.time, p.file_offset), give);
            });
            mine.half = half;
        }
        if t.ack && other.half.waiting_bytes() > 0 {
            let half = std::mem::take(&mut other.half);
            let half = self.deliver(direction.reverse(), other, half, sink, |half, give| {
                half.acknowledged(t.ack_no, give);
            });
            other.half = half;
        }
        self.read_answered(&mut streams, sink);
        if matches!(self.app, App::Known(_)) {
            for (direction, stream) in [Direction::Up, Direction::Down].into_iter().zip(streams.iter_mut()) {
                // The other side has told the protocol; what was held for a probe came before that.
                if std::mem::take(&mut stream.waits) && stream.passed {
                    self.release(direction, stream, sink);
                }
            }
        }
        let [up, down] = &mut *streams;
        let (mine, other) = if direction == Direction::Up { (up, down) } else { (down, up) };
        if t.fin {
            mine.half.fin(seq.wrapping_add(p.payload.len() as u32));
        }
        for (direction, stream) in [(direction, mine), (direction.reverse(), other)] {
            if stream.half.ended() && !stream.ended {
                stream.ended = true;
                self.tell_end(direction, stream, sink);
            }
        }
        let complete = streams.iter().all(|s| s.ended).then(|| streams.each_ref().map(|s| s.half.position()));
        self.streams = Some(streams);
        if resets {
            self.reset_by = Some(direction);
            self.close(sink);
        } else if complete.is_some() {
            // Both sides have closed and all that they sent is there: nothing but repetition should follow.
            self.complete = complete;
            self.close(sink);
        }
    }

    /// Shows the bytes again that waited for what the other side said.
    fn read_answered(&mut self, streams: &mut [Stream; 2], sink: &mut Sink<'_>) {
        while let Some(direction) = self.answered.take() {
            let stream = direction.pick(streams);
            let pending = std::mem::take(&mut stream.pending);
            if pending.is_empty() {
                return;
            }
            let used = self.run(direction, stream, &pending, sink);
            stream.pending = pending;
            stream.pending.drain(..used);
            stream.provenance.forget_before(stream.taken);
        }
    }

    /// A connection that was reset goes on: it is read anew from here.
    fn resume(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        self.closed = false;
        self.resumed |= self.facts.has_payload();
        self.app = App::Probing;
        // The other side may have sent before it saw the reset.
        if self.reset_by == Some(direction) {
            let what = "bytes of the side that had reset the connection: the reset was not its own, and what follows is read anew";
            self.warn_here(direction, what, sink);
        }
    }

    /// A fault that shows in the packet that is being read.
    fn warn_here(&mut self, direction: Direction, what: &str, sink: &mut Sink<'_>) {
        self.warn_at(direction, self.now, what, sink);
    }

    fn warn_at(&mut self, direction: Direction, at: Segment, what: &str, sink: &mut Sink<'_>) {
        let place = Place { source: Source::Datagram(at), fragments: sink.shared.fragments };
        let observe = sink.shared.options.observe && !self.over;
        sink.out.warn(&self.facts, direction, &place.frames(0..1), what.to_owned(), observe);
    }

    /// A segment far from where its direction stands, that nothing confirmed.
    fn stray(&mut self, direction: Direction, segment: Segment, sink: &mut Sink<'_>) {
        sink.ledger.add("tcp.stray", segment.end - segment.start);
        if !std::mem::replace(&mut self.told_stray, true) {
            let what = "a segment more than 16 MiB from where its direction stands, which nothing confirmed: not read";
            self.warn_at(direction, segment, what, sink);
        }
    }

    /// Bytes that both directions hold back.
    fn held(&self) -> usize {
        let dissector = match &self.app {
            App::Known(dissector) => dissector.held(),
            App::Probing | App::Unknown => 0,
        };
        self.streams.as_ref().map_or(0, |s| s.iter().map(Stream::held).sum()) + dissector
    }

    /// Memory is short: gaps are accepted as they are, and unfinished messages are lost.
    fn give_up(&mut self, sink: &mut Sink<'_>) {
        let Some(mut streams) = self.streams.take() else { return };
        for (direction, stream) in [Direction::Up, Direction::Down].into_iter().zip(streams.iter_mut()) {
            let half = std::mem::take(&mut stream.half);
            stream.half = self.deliver(direction, stream, half, sink, Half::finish);
            self.lose_pending(direction, stream, sink);
        }
        if let App::Known(mut dissector) = std::mem::replace(&mut self.app, App::Probing) {
            let [up, _] = &*streams;
            let mut cx = self.cx(Direction::Up, &up.provenance, up.taken, sink);
            dissector.give_up(&mut cx);
            self.app = App::Known(dissector);
        }
        self.streams = Some(streams);
    }

    /// An unfinished message is counted as opaque and forgotten.
    fn lose_pending(&mut self, direction: Direction, stream: &mut Stream, sink: &mut Sink<'_>) {
        let lost = std::mem::take(&mut stream.pending);
        if lost.is_empty() {
            return;
        }
        let at = stream.taken;
        let class = Class::opaque("overlong");
        self.account(direction, &mut stream.search, &stream.provenance, class, &lost, at, sink);
        stream.taken += lost.len() as u64;
        stream.want = 0;
        self.tell_gap(direction, stream, 0, sink);
    }

    /// Runs `feed` on a half and passes on what it gives.
    fn deliver(
        &mut self,
        direction: Direction,
        stream: &mut Stream,
        mut half: Half,
        sink: &mut Sink<'_>,
        feed: impl FnOnce(&mut Half, &mut dyn FnMut(Event<'_>)),
    ) -> Half {
        feed(&mut half, &mut |event| match event {
            Event::Bytes(segment, data) => self.bytes(direction, stream, segment, data, sink),
            Event::Gap(n) => self.gap(direction, stream, n, sink),
            Event::Again(n) => sink.ledger.add("tcp.retransmission", n),
            Event::Stray(segment) => self.stray(direction, segment, sink),
        });
        half
    }

    /// The next bytes of a stream.
    fn bytes(
        &mut self,
        direction: Direction,
        stream: &mut Stream,
        segment: Segment,
        data: &[u8],
        sink: &mut Sink<'_>,
    ) {
        stream.provenance.push(segment);
        let mut data = data;
        let mut offset = segment.start;
        if stream.skip > 0 {
            let n = (stream.skip as usize).min(data.len());
            let (skipped, rest) = data.split_at(n);
            stream.skip -= n as u64;
            if let Some(class) = stream.skip_class {
                self.account(direction, &mut stream.search, &stream.provenance, class, skipped, offset, sink);
            }
            data = rest;
            offset += n as u64;
            stream.taken = offset;
        }
        if data.is_empty() {
            stream.provenance.forget_before(stream.taken);
            return;
        }
        if stream.waits && stream.probes >= MAX_PROBES && self.spoke != Some(direction) {
            // Only this turn is probed, not what the last one left open.
            self.release(direction, stream, sink);
        }
        if stream.pending.is_empty() {
            stream.taken = offset;
            let used = self.run(direction, stream, data, sink);
            stream.pending.extend_from_slice(data.get(used..).unwrap_or_default());
        } else {
            stream.pending.extend_from_slice(data);
            if stream.pending.len() >= stream.want {
                let pending = std::mem::take(&mut stream.pending);
                let used = self.run(direction, stream, &pending, sink);
                stream.pending = pending;
                stream.pending.drain(..used);
                if stream.pending.is_empty() {
                    // Thousands of flows wait now and then, few at once: the room is for the next one.
                    stream.pending = Vec::new();
                }
            }
        }
        if stream.pending.len() > MAX_PENDING {
            let mut cx = self.cx(direction, &stream.provenance, stream.taken, sink);
            cx.warn(0, format!("a message of more than {MAX_PENDING} bytes was given up"));
            self.lose_pending(direction, stream, sink);
        }
        stream.provenance.forget_before(stream.taken);
    }

    /// What a probe wanted to see more of is of no protocol.
    fn release(&mut self, direction: Direction, stream: &mut Stream, sink: &mut Sink<'_>) {
        stream.waits = false;
        stream.want = 0;
        let held = std::mem::take(&mut stream.pending);
        if !held.is_empty() {
            stream.passed = true;
            self.unknown(direction, stream, &held, sink);
        }
    }

    fn cx<'a>(
        &'a mut self,
        direction: Direction,
        provenance: &'a Provenance,
        base: u64,
        sink: &'a mut Sink<'_>,
    ) -> Cx<'a> {
        Cx {
            facts: &mut self.facts,
            out: sink.out,
            place: Place { source: Source::Stream { provenance, base }, fragments: sink.shared.fragments },
            now: Place { source: Source::Datagram(self.now), fragments: sink.shared.fragments },
            direction,
            switch: None,
            reprobe: false,
            answered: false,
            ending: self.over,
            unpacked: false,
            parts: Vec::new(),
            options: sink.shared.options,
            secrets: sink.shared.secrets,
        }
    }

    /// Shows bytes that begin at `stream.taken`; returns how many of them are done.
    fn run(&mut self, direction: Direction, stream: &mut Stream, data: &[u8], sink: &mut Sink<'_>) -> usize {
        let mut used = 0;
        stream.want = 0;
        loop {
            let Some(rest) = data.get(used..).filter(|r| !r.is_empty()) else { return used };
            if matches!(self.app, App::Probing) && !self.probe(direction, stream, rest, sink) {
                // Not recognised (yet): held while a probe may still say so.
                if stream.want > 0 {
                    return used;
                }
                stream.passed = true;
                *self.anew(direction) = false;
                self.unknown(direction, stream, rest, sink);
                return data.len();
            }
            match &mut self.app {
                App::Probing | App::Unknown => {
                    self.unknown(direction, stream, rest, sink);
                    return data.len();
                }
                App::Known(_) => {
                    let App::Known(mut dissector) = std::mem::replace(&mut self.app, App::Probing) else {
                        return used;
                    };
                    let mut cx = self.cx(direction, &stream.provenance, stream.taken, sink);
                    let step = dissector.stream(direction, rest, &mut cx);
                    let (switch, reprobe, unpacked, parts) = (cx.switch, cx.reprobe, cx.unpacked, cx.parts);
                    if cx.answered || reprobe || switch.is_some() {
                        self.answered = Some(direction.reverse());
                    }
                    self.app = App::Known(dissector);
                    stream.search.unpacked = unpacked;
                    if let Some((id, next)) = switch {
                        self.facts.protocol(id);
                        self.app = App::Known(next);
                    } else if reprobe {
                        self.app = App::Probing;
                        self.anew = [true; 2];
                        stream.probes = 0;
                    }
                    match step {
                        Step::Took(n, class) if n > 0 => {
                            let shown = n.min(rest.len());
                            let taken = rest.get(..shown).unwrap_or_default();
                            let at = stream.taken;
                            let place = Place {
                                source: Source::Stream { provenance: &stream.provenance, base: at },
                                fragments: sink.shared.fragments,
                            };
                            self.account_parts(
                                direction,
                                &mut stream.search,
                                place,
                                (class, &parts),
                                taken,
                                sink,
                            );
                            stream.skip = (n - shown) as u64;
                            stream.skip_class = Some(class);
                            stream.taken += shown as u64;
                            used += shown;
                        }
                        // The bytes shown are of the protocol that is yet to be found.
                        Step::Took(..) | Step::More(_) if reprobe => {}
                        Step::Took(..) => return used,
                        Step::More(n) => {
                            stream.want = n.min(MAX_PENDING);
                            return used;
                        }
                    }
                }
            }
        }
    }

    fn anew(&mut self, direction: Direction) -> &mut bool {
        let [up, down] = &mut self.anew;
        if direction == Direction::Up { up } else { down }
    }

    /// Asks the protocols; `true` when one took the flow.
    fn probe(&mut self, direction: Direction, stream: &mut Stream, data: &[u8], sink: &mut Sink<'_>) -> bool {
        if *self.anew(direction) {
            stream.probes = 0;
        }
        let turn = self.spoke.replace(direction) != Some(direction);
        let in_turn = turn && stream.probes < MAX_PROBES + MAX_TURNS;
        if stream.probes >= MAX_PROBES && !in_turn && !std::mem::take(&mut stream.waits) {
            return false;
        }
        stream.waits = false;
        let probe = Probe {
            data,
            direction,
            proto: self.facts.proto,
            client_port: self.facts.client.port,
            server_port: self.facts.server.port,
            server: self.facts.server.addr(),
            from_start: (stream.taken == 0 && self.isn.is_some() && !self.resumed) || *self.anew(direction),
            earlier_payload: stream.passed,
            earlier: &[],
        };
        match ask(&probe) {
            Answer::Is(protocol) => {
                *self.anew(direction) = false;
                self.facts.protocol(protocol.id);
                self.app = App::Known((protocol.start)());
                return true;
            }
            // Wait for more, but not for ever.
            Answer::Wait if data.len() < 4096 => (stream.want, stream.waits) = (data.len() + 1, true),
            _ => {
                stream.probes = stream.probes.saturating_add(1);
                if stream.probes == MAX_PROBES + MAX_TURNS
                    && !std::mem::replace(&mut self.told_unprobed, true)
                {
                    self.warn_here(direction, NOT_PROBED, sink);
                }
            }
        }
        false
    }

    /// The next bytes of a direction, each once and in order, for those who ask how dense they are.
    fn measure(&mut self, direction: Direction, bytes: &[u8], sealed: bool, sink: &Sink<'_>) {
        if !self.facts.counted_outside() && !sink.shared.options.lean {
            direction.pick(self.facts.density.get_or_insert_default()).feed(bytes, sealed);
        }
    }

    /// Bytes of a flow that no protocol took.
    fn unknown(&mut self, direction: Direction, stream: &mut Stream, data: &[u8], sink: &mut Sink<'_>) {
        let Stream { search, provenance, taken, .. } = stream;
        search.meter.get_or_insert_default().feed(*taken, data);
        self.measure(direction, data, false, sink);
        search.unknown += data.len() as u64;
        let place =
            Place { source: Source::Stream { provenance, base: *taken }, fragments: sink.shared.fragments };
        self.apply_rules(direction, search, place, data, sink);
        self.search(direction, search, place, data, sink);
        stream.taken += data.len() as u64;
    }

    /// Searches bytes by the rules for cleartext findings.
    fn apply_rules(
        &mut self,
        direction: Direction,
        search: &mut Search,
        place: Place<'_>,
        data: &[u8],
        sink: &mut Sink<'_>,
    ) {
        let rules = &sink.shared.options.rules;
        if rules.is_empty() {
            return;
        }
        let mut all = Vec::new();
        match place.source {
            Source::Datagram(_) => RuleSearch::alone(rules, data, &mut |s| all.push(s)),
            Source::Stream { base, .. } => {
                // What is compressed is searched behind that.
                if search.unpacked || !search.rules.adjoins(base) {
                    search.rules.finish(rules, &mut |s| all.push(s));
                }
                if !search.unpacked {
                    search.rules.feed(rules, base, data, &mut |s| all.push(s));
                }
            }
        }
        self.tell_sightings(direction, place, &all, sink);
    }

    /// Nothing readable follows in this stream for now.
    fn settle(&mut self, direction: Direction, search: &mut Search, place: Place<'_>, sink: &mut Sink<'_>) {
        if search.rules.holds() {
            let mut all = Vec::new();
            search.rules.finish(&sink.shared.options.rules, &mut |s| all.push(s));
            self.tell_sightings(direction, place, &all, sink);
        }
    }

    fn tell_sightings(
        &mut self,
        direction: Direction,
        place: Place<'_>,
        all: &[Sighting],
        sink: &mut Sink<'_>,
    ) {
        let options = sink.shared.options;
        for sighting in all {
            let mut frames = place.of_stream(sighting.start, sighting.end).all;
            if frames.is_empty() {
                frames.push(self.facts.first_frame);
            }
            let raw = sighting.finding(&options.rules, options.masking(), direction);
            sink.out.finding(&mut self.facts, direction, frames, raw);
        }
    }

    /// Puts bytes into the ledger and searches them.
    #[expect(clippy::too_many_arguments, reason = "the parts of one stream, borrowed apart")]
    fn account(
        &mut self,
        direction: Direction,
        search: &mut Search,
        provenance: &Provenance,
        class: Class,
        data: &[u8],
        offset: u64,
        sink: &mut Sink<'_>,
    ) {
        let place =
            Place { source: Source::Stream { provenance, base: offset }, fragments: sink.shared.fragments };
        self.account_at(direction, search, place, class, data, sink);
    }

    /// Counts the parts of what was taken each by its class, and what is in none of them by the class of all.
    fn account_parts(
        &mut self,
        direction: Direction,
        search: &mut Search,
        place: Place<'_>,
        (class, parts): (Class, &[(Range<usize>, Class)]),
        data: &[u8],
        sink: &mut Sink<'_>,
    ) {
        let mut at = 0;
        let all = [(data.len()..data.len(), class)];
        for (range, part) in parts.iter().chain(&all) {
            // Whatever a dissector says, each byte is counted once.
            let start = range.start.clamp(at, data.len());
            let end = range.end.clamp(start, data.len());
            for (from, to, class) in [(at, start, class), (start, end, *part)] {
                if let Some(bytes) = data.get(from..to).filter(|bytes| !bytes.is_empty()) {
                    self.account_at(direction, search, place.from(from as u64), class, bytes, sink);
                }
            }
            at = end;
        }
    }

    fn account_at(
        &mut self,
        direction: Direction,
        search: &mut Search,
        place: Place<'_>,
        class: Class,
        data: &[u8],
        sink: &mut Sink<'_>,
    ) {
        sink.ledger.add(class.name, data.len() as u64);
        self.facts.add_read(direction, class, data.len() as u64);
        let sealed = matches!(class.reading, Reading::Encrypted | Reading::Handshake);
        self.measure(direction, data, sealed, sink);
        if class.reading == Reading::Encrypted {
            self.settle(direction, search, place, sink);
            self.search_over(direction, search, place, sink);
            return;
        }
        if class.reading == Reading::Handshake {
            self.settle(direction, search, place, sink);
        } else {
            self.apply_rules(direction, search, place, data, sink);
        }
        if class.reading == Reading::Clear && self.facts.clear_frames.len() < MAX_EVIDENCE {
            let frames = place.frames(0..data.len()).all;
            add_frames(&mut self.facts.clear_frames, &frames);
        }
        self.search(direction, search, place, data, sink);
    }

    fn search(
        &mut self,
        direction: Direction,
        search: &mut Search,
        place: Place<'_>,
        data: &[u8],
        sink: &mut Sink<'_>,
    ) {
        let canaries = &sink.shared.options.canaries;
        if canaries.is_empty() {
            return;
        }
        let mut all = Vec::new();
        let (base, frames_of) = (place.base(), |start: u64, end: u64| place.of_stream(start, end));
        let opened = !search.unpacked;
        let scanner = search.scanner.get_or_insert_default();
        scanner.share(&sink.out.room);
        scanner.feed(canaries, base, data, opened, &mut |a, b| frames_of(a, b).all, &mut |f| all.push(f));
        self.tell_found(direction, place, data.len() as u64, all, sink);
    }

    /// No more bytes adjoin those that were searched: what a container holds back that is not whole is searched.
    fn search_over(
        &mut self,
        direction: Direction,
        search: &mut Search,
        place: Place<'_>,
        sink: &mut Sink<'_>,
    ) {
        let Some(scanner) = &mut search.scanner else { return };
        let mut all = Vec::new();
        scanner.finish(&sink.shared.options.canaries, &mut |f| all.push(f));
        self.tell_found(direction, place, 0, all, sink);
    }

    fn tell_found(
        &mut self,
        direction: Direction,
        place: Place<'_>,
        length: u64,
        all: Vec<Found>,
        sink: &mut Sink<'_>,
    ) {
        let canaries = &sink.shared.options.canaries;
        let (base, frames_of) = (place.base(), |start: u64, end: u64| place.of_stream(start, end));
        for found in all {
            match found {
                Found::Here(hit) => {
                    let frames = frames_of(hit.start, hit.end).all;
                    let raw = canaries.finding(&hit, sink.shared.options.masking(), false);
                    sink.out.finding(&mut self.facts, direction, frames, raw);
                }
                Found::Within(hit, frames) => {
                    let raw = canaries.finding(&hit, sink.shared.options.masking(), false);
                    sink.out.finding(&mut self.facts, direction, frames, raw);
                }
                Found::GivenUp(_, why) => {
                    let frames = frames_of(base, base.saturating_add(length));
                    sink.out.warn(&self.facts, direction, &frames, why, false);
                }
            }
        }
    }

    /// `missing` bytes are not in the capture.
    fn gap(&mut self, direction: Direction, stream: &mut Stream, mut missing: u64, sink: &mut Sink<'_>) {
        // Behind an encryption what is missing was counted as ciphertext that stayed shut.
        if !self.facts.decrypted {
            self.facts.unread = self.facts.unread.saturating_add(missing);
        }
        if stream.pending.is_empty() {
            let skipped = stream.skip.min(missing);
            stream.skip -= skipped;
            if skipped == missing {
                return;
            }
            missing -= skipped;
        } else {
            let lost = std::mem::take(&mut stream.pending);
            let class = match &self.app {
                App::Known(d) => d.unfinished(),
                _ => Class::opaque("opaque"),
            };
            self.account(direction, &mut stream.search, &stream.provenance, class, &lost, stream.taken, sink);
            stream.taken += lost.len() as u64;
        }
        let place = Place {
            source: Source::Stream { provenance: &stream.provenance, base: 0 },
            fragments: sink.shared.fragments,
        };
        self.settle(direction, &mut stream.search, place, sink);
        stream.want = 0;
        *self.anew(direction) = false;
        if let Some(meter) = &mut stream.search.meter {
            meter.gap();
        }
        self.tell_gap(direction, stream, missing, sink);
    }

    fn tell_gap(&mut self, direction: Direction, stream: &mut Stream, missing: u64, sink: &mut Sink<'_>) {
        if !matches!(self.app, App::Known(_)) {
            return;
        }
        if let App::Known(mut dissector) = std::mem::replace(&mut self.app, App::Probing) {
            let mut cx = self.cx(direction, &stream.provenance, stream.taken, sink);
            dissector.gap(direction, missing, &mut cx);
            self.app = App::Known(dissector);
        }
    }

    /// The sender has closed its direction, and all before its FIN is there or given up.
    fn tell_end(&mut self, direction: Direction, stream: &mut Stream, sink: &mut Sink<'_>) {
        if !matches!(self.app, App::Known(_)) {
            return;
        }
        if let App::Known(mut dissector) = std::mem::replace(&mut self.app, App::Probing) {
            let mut cx = self.cx(direction, &stream.provenance, stream.taken, sink);
            dissector.end(direction, &mut cx);
            self.app = App::Known(dissector);
        }
    }

    /// Times the first flight of a datagram handshake.
    fn time_handshake(&mut self, p: &Packet<'_>, direction: Direction) {
        match (direction, &self.opening) {
            (Direction::Up, _) if self.facts.frames == 1 => {
                self.opening = Opening::read(p.payload).map(|opening| ((p.time, p.frame), opening));
            }
            (Direction::Down, Some((sent, opening))) if opening.answered_by(p.payload) => {
                self.facts.round_trip(*sent, (p.time, p.frame));
                self.opening = None;
            }
            _ => {}
        }
    }

    fn datagram(&mut self, p: &Packet<'_>, direction: Direction, sink: &mut Sink<'_>) {
        self.time_handshake(p, direction);
        let segment = whole(p);
        let asked = self.probes < MAX_PROBES || !self.waiting.is_empty() || self.certain(p.payload);
        if !matches!(self.app, App::Probing) || !asked {
            self.show(direction, p.payload, segment, sink);
            return;
        }
        let probe = Probe {
            data: p.payload,
            direction,
            proto: self.facts.proto,
            client_port: self.facts.client.port,
            server_port: self.facts.server.port,
            server: self.facts.server.addr(),
            from_start: true,
            earlier_payload: self.probes > 0 || !self.waiting.is_empty(),
            earlier: &self.waiting,
        };
        let answer = ask(&probe);
        if let Answer::Is(protocol) = answer {
            self.facts.protocol(protocol.id);
            self.app = App::Known((protocol.start)());
        } else if matches!(answer, Answer::Wait) || !self.waiting.is_empty() {
            // Once one waits, all that follow wait behind it.
            self.waiting.push(Datagram { direction, data: p.payload.to_vec(), segment });
            if self.waiting.len() >= MAX_WAITING {
                self.show_waiting(sink);
            }
            return;
        }
        self.show_waiting(sink);
        self.show(direction, p.payload, segment, sink);
    }

    /// Whether a datagram begins as few do: such ones are probed behind any number of unknown ones.
    fn certain(&self, payload: &[u8]) -> bool {
        let name_service = || [self.facts.client.port, self.facts.server.port].contains(&53);
        match payload {
            // The magic cookie of STUN (RFC 8489 section 5), and a client or server hello of DTLS (RFC 9147 section 5.2).
            [0..=3, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..]
            | [22, 0xfe, 0xfd..=0xff, _, _, _, _, _, _, _, _, _, _, 1 | 2, ..] => true,
            // A long header of QUIC.
            [0x80..=0xff, a, b, c, d, ..] if super::quic::is_version([*a, *b, *c, *d]) => true,
            // One question of DNS.
            [_, _, _, _, 0, 1, ..] => name_service(),
            _ => false,
        }
    }

    /// Lets go the datagrams that waited, in their order: to the dissector, or as unknown when none was found.
    fn show_waiting(&mut self, sink: &mut Sink<'_>) {
        for d in std::mem::take(&mut self.waiting) {
            self.show(d.direction, &d.data, d.segment, sink);
        }
    }

    /// Shows a datagram to the dissector; without one it is unknown.
    fn show(&mut self, direction: Direction, payload: &[u8], segment: Segment, sink: &mut Sink<'_>) {
        let place = Place { source: Source::Datagram(segment), fragments: sink.shared.fragments };
        if let App::Known(mut dissector) = std::mem::replace(&mut self.app, App::Probing) {
            let mut cx = Cx {
                facts: &mut self.facts,
                out: sink.out,
                place,
                now: place,
                direction,
                switch: None,
                reprobe: false,
                answered: false,
                ending: false,
                unpacked: false,
                parts: Vec::new(),
                options: sink.shared.options,
                secrets: sink.shared.secrets,
            };
            let class = dissector.datagram(direction, payload, &mut cx);
            let (switch, reprobe, parts) = (cx.switch, cx.reprobe, cx.parts);
            self.app = match switch {
                Some((id, next)) => {
                    self.facts.protocol(id);
                    App::Known(next)
                }
                None if reprobe => App::Probing,
                None => App::Known(dissector),
            };
            let mut search = Search::default();
            self.account_parts(direction, &mut search, place, (class, &parts), payload, sink);
            self.search_over(direction, &mut search, place, sink);
        } else {
            self.probes = self.probes.saturating_add(1);
            let mut searches = self.unknown.take().unwrap_or_default();
            if let Some(search) = searches.get_mut(direction as usize) {
                search.meter.get_or_insert_default().feed(search.unknown, payload);
                search.unknown += payload.len() as u64;
            }
            self.measure(direction, payload, false, sink);
            self.unknown = Some(searches);
            self.apply_rules(direction, &mut Search::default(), place, payload, sink);
            let mut search = Search::default();
            self.search(direction, &mut search, place, payload, sink);
            self.search_over(direction, &mut search, place, sink);
        }
    }

    /// A flow of datagrams is over: what its dissector has gathered is stated now.
    fn finish_datagrams(&mut self, sink: &mut Sink<'_>) {
        self.show_waiting(sink);
        let App::Known(mut dissector) = std::mem::replace(&mut self.app, App::Unknown) else { return };
        // There is no datagram to point at: a dissector names the frames that it remembers.
        let frame = self.facts.last_frame;
        let nowhere = Segment { start: 0, end: 0, frame, time: CaptureTime::default(), file_offset: 0 };
        let place = Place { source: Source::Datagram(nowhere), fragments: sink.shared.fragments };
        for direction in [Direction::Up, Direction::Down] {
            let mut cx = Cx {
                facts: &mut self.facts,
                out: sink.out,
                place,
                now: place,
                direction,
                switch: None,
                reprobe: false,
                answered: false,
                ending: true,
                unpacked: false,
                parts: Vec::new(),
                options: sink.shared.options,
                secrets: sink.shared.secrets,
            };
            dissector.finish(direction, &[], &mut cx);
        }
    }

    /// The connection is over; its buffers are let go, its facts stay.
    fn close(&mut self, sink: &mut Sink<'_>) {
        self.closed = true;
        let Some(mut streams) = self.streams.take() else { return };
        for (direction, stream) in [Direction::Up, Direction::Down].into_iter().zip(streams.iter_mut()) {
            let half = std::mem::take(&mut stream.half);
            self.deliver(direction, stream, half, sink, Half::finish);
            let mut unread = std::mem::take(&mut stream.pending);
            if !unread.is_empty() && !matches!(self.app, App::Unknown) {
                // Held while the flow was being probed, and recognised by the other direction since; or to be probed anew.
                let used = self.run(direction, stream, &unread, sink);
                unread.drain(..used);
            }
            if let App::Known(mut dissector) = std::mem::replace(&mut self.app, App::Probing) {
                let mut cx = self.cx(direction, &stream.provenance, stream.taken, sink);
                dissector.finish(direction, &unread, &mut cx);
                let class = dissector.unfinished();
                self.app = App::Known(dissector);
                if !unread.is_empty() {
                    let at = stream.taken;
                    self.account(direction, &mut stream.search, &stream.provenance, class, &unread, at, sink);
                }
            } else if !unread.is_empty() {
                self.unknown(direction, stream, &unread, sink);
            }
            let place = Place {
                source: Source::Stream { provenance: &stream.provenance, base: 0 },
                fragments: sink.shared.fragments,
            };
            self.settle(direction, &mut stream.search, place, sink);
            self.search_over(direction, &mut stream.search, place, sink);
            self.judge_unknown(direction, &stream.search, Some(place), sink);
        }
        self.app = App::Unknown;
        self.facts.measured();
    }

    /// Bytes that no protocol took are clear when they are text, else opaque.
    fn judge_unknown(
        &mut self,
        direction: Direction,
        search: &Search,
        place: Option<Place<'_>>,
        sink: &mut Sink<'_>,
    ) {
        let Some(meter) = &search.meter else { return };
        let text = meter.verdict() == Readability::Text;
        let class = if text { Class::clear("text") } else { Class::opaque("opaque") };
        sink.ledger.add(class.name, search.unknown);
        self.facts.add_read(direction, class, search.unknown);
        if let (true, Some(raw)) = (text, meter.finding(false)) {
            // Early frames may be forgotten by now: the flow's first frame stands for them then.
            let mut frames = match place {
                Some(Place { source: Source::Stream { provenance, .. }, fragments }) => {
                    let at = Place { source: Source::Stream { provenance, base: raw.range.0 }, fragments };
                    at.frames(0..(raw.range.1 - raw.range.0) as usize).all
                }
                _ => Vec::new(),
            };
            if frames.is_empty() {
                frames.push(self.facts.first_frame);
            }
            add_frames(&mut self.facts.clear_frames, &frames);
            sink.out.finding(&mut self.facts, direction, frames, raw);
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        self.over = true;
        if self.facts.proto != IpProto::TCP {
            self.finish_datagrams(sink);
        }
        self.close(sink);
        if let Some(searches) = self.unknown.take() {
            for (direction, search) in [Direction::Up, Direction::Down].into_iter().zip(searches.iter()) {
                self.judge_unknown(direction, search, None, sink);
            }
        }
        self.facts.measured();
    }
}

enum Answer {
    Is(&'static Protocol),
    Wait,
    No,
}

/// Asks all protocols of this transport in their order.
fn ask(probe: &Probe<'_>) -> Answer {
    let mut wait = false;
    for protocol in PROTOCOLS.iter().filter(|p| p.over.contains(&probe.proto)) {
        match (protocol.probe)(probe) {
            Match::Yes => return Answer::Is(protocol),
            Match::Maybe => wait = true,
            Match::No => {}
        }
    }
    if wait { Answer::Wait } else { Answer::No }
}
