//! RTP and RTCP: the sound and pictures of calls (RFC 3550, RFC 3551, RFC 3711; RFC 4571 over streams, RFC 6189 ZRTP).
//!
//! Takes datagrams; gives one observation a stream (direction and SSRC) at the end of the flow, with its sizes. Only the header is
//! read: without a handshake nothing on the wire tells SRTP from RTP, so the payload counts as opaque, never as clear. RTCP counts
//! as clear when it can be walked to its end. One packet is no evidence: three of one source in sequence are, two where STUN or DTLS
//! came before, or a whole RTCP report.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::media::{self, Piece};
use super::packet::IpProto;
use super::{Class, Cx, Frames, Match, Probe, Protocol, Reader, Short, call};
use crate::model::{CaptureTime, Direction, FindingKind, Severity};
use crate::payload::{Masking, RawFinding};

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "rtp",
    title: "RTP and RTCP",
    source: "RFC 3550, RFC 3551, RFC 3711, RFC 4571",
    over: &[IpProto::UDP, IpProto::TCP],
    ports: &[],
    reads: "headers of streams, their sizes, plain RTCP reports and canonical names; no payload",
    probe,
    start: media::start_rtp,
};

/// Payload of streams whose keys were not seen: plain or SRTP, and SRTCP.
const RTP: Class = Class::opaque("rtp");
/// The same behind a handshake that made keys for it.
const SRTP: Class = Class::encrypted("srtp");
const RTCP: Class = Class::clear("rtcp");
const ZRTP: Class = Class::handshake("zrtp");

/// Streams of one conversation.
const MAX_STREAMS: usize = 32;
/// Sizes of one stream that are told apart.
const MAX_SIZES: usize = 256;
/// Canonical names of one conversation that are told.
const MAX_NAMES: usize = 4;

/// The largest step forward in sequence numbers that still is one stream (losses, or frames that a capture left out).
const MAX_STEP: u16 = 64;
/// The largest step of its clock: 20 seconds at 90 kHz, either way, as pictures are not sent in their order.
const MAX_TICKS: u32 = 90_000 * 20;

/// Packets in sequence that make a stream, with and without STUN or DTLS before.
const STEPS: u32 = 2;
const STEPS_ANNOUNCED: u32 = 1;

fn probe(p: &Probe<'_>) -> Match {
    if p.proto == IpProto::TCP {
        return probe_stream(p.data);
    }
    if rtcp(p.data).is_ok_and(|parts| parts.len() > 1 || parts.first().is_some_and(Part::is_whole_report)) {
        return Match::Yes;
    }
    let Some(header) = Header::plausible(p.data, false) else { return Match::No };
    let mut last = header;
    let mut steps = 0;
    for earlier in p.earlier.iter().rev().filter(|d| d.direction == p.direction) {
        if let Some(before) = Header::plausible(&earlier.data, false).filter(|h| last.follows(h)) {
            last = before;
            steps += 1;
        }
    }
    if steps >= STEPS { Match::Yes } else { Match::Maybe }
}

/// Packets behind their lengths (RFC 4571): three of one source in sequence.
fn probe_stream(data: &[u8]) -> Match {
    let mut r = Reader::new(data);
    let mut last: Option<Header> = None;
    let mut steps = 0;
    while !r.is_empty() {
        let Ok(length) = r.u16("length") else { return Match::Maybe };
        let size = usize::from(length);
        let shown = r.rest();
        let packet = shown.get(..size).unwrap_or(shown);
        // The header is judged as soon as it is there, so that other protocols are not held up.
        let Some(header) = Header::plausible(packet, false) else {
            let wait = packet.len() < 12.min(size) && packet.first().is_none_or(|b| b >> 6 == 2);
            return if size >= 12 && wait && last.is_some() { Match::Maybe } else { Match::No };
        };
        if let Some(before) = &last {
            if !header.follows(before) {
                return Match::No;
            }
            steps += 1;
        }
        last = Some(header);
        if r.take("packet", size).is_err() {
            break;
        }
    }
    match steps {
        _ if last.is_none() => Match::No,
        STEPS.. => Match::Yes,
        _ => Match::Maybe,
    }
}

/// A header (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

impl Header {
    fn read(data: &[u8]) -> Result<Header, Short> {
        let mut r = Reader::new(data);
        let bits = r.u8("version")?;
        if bits >> 6 != 2 {
            return Err(Short { field: "version 2", at: 0, needed: 2, left: usize::from(bits >> 6) });
        }
        let payload_type = r.u8("payload type")? & 0x7f;
        let sequence = r.u16("sequence number")?;
        let timestamp = r.u32("timestamp")?;
        let ssrc = r.u32("ssrc")?;
        r.take("contributing sources", usize::from(bits & 0x0f) * 4)?;
        if bits & 0x10 != 0 {
            r.u16("extension profile")?;
            let words = usize::from(r.u16("extension length")?);
            // Some encrypt the extension, but its length is in clear (RFC 6904).
            r.take("extension", words * 4)?;
        }
        Ok(Header { payload_type, sequence, timestamp, ssrc })
    }

    /// A header with a payload type that is in use (RFC 3551 section 6; 64 to 95 would be taken for RTCP, RFC 5761).
    fn plausible(data: &[u8], announced: bool) -> Option<Header> {
        let header = Header::read(data).ok()?;
        let used = matches!(header.payload_type, 0 | 3..=18 | 25 | 26 | 28 | 31..=34 | 96..=127)
            || (announced && header.payload_type < 64);
        used.then_some(header)
    }

    /// This packet comes after `before` in the same stream.
    fn follows(&self, before: &Header) -> bool {
        let step = self.sequence.wrapping_sub(before.sequence);
        let ticks = self.timestamp.wrapping_sub(before.timestamp);
        self.ssrc == before.ssrc
            && (1..=MAX_STEP).contains(&step)
            && (ticks <= MAX_TICKS || ticks.wrapping_neg() <= MAX_TICKS)
    }
}

/// One packet of an RTCP datagram (RFC 3550 section 6.4).
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    count: u8,
    kind: u8,
    /// What follows the first four bytes, and where it begins.
    body: &'a [u8],
    at: usize,
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;

impl Part<'_> {
    /// A report that has just the blocks that it announces.
    fn is_whole_report(&self) -> bool {
        let blocks = 24 * usize::from(self.count);
        match self.kind {
            SENDER_REPORT => self.body.len() == 24 + blocks,
            RECEIVER_REPORT => self.body.len() == 4 + blocks,
            _ => false,
        }
    }
}

/// All packets of a datagram that is plain RTCP: a report first, lengths that end where the datagram ends (RFC 3550 appendix
/// A.2). SRTCP has an index and a tag behind them, so it is none.
fn rtcp(data: &[u8]) -> Result<Vec<Part<'_>>, Short> {
    let mut r = Reader::new(data);
    let mut parts = Vec::new();
    while !r.is_empty() {
        let bits = r.u8("version")?;
        let kind = r.u8("packet type")?;
        let length = usize::from(r.u16("length")?) * 4;
        let at = r.at();
        let first_is_report = !parts.is_empty() || matches!(kind, SENDER_REPORT | RECEIVER_REPORT);
        if bits >> 6 != 2 || !(192..=223).contains(&kind) || !first_is_report || length == 0 {
            return Err(Short { field: "RTCP packet", at: at - 4, needed: 8, left: 0 });
        }
        let body = r.take("RTCP packet", length)?;
        parts.push(Part { count: bits & 0x1f, kind, body, at });
    }
    Ok(parts)
}

/// The canonical names of a source description (RFC 3550 section 6.5), each with its place in `part`'s body.
fn canonical_names<'a>(part: &Part<'a>) -> Vec<(std::ops::Range<usize>, &'a [u8])> {
    let mut names = Vec::new();
    let mut r = Reader::new(part.body);
    let mut read = || -> Result<(), Short> {
        for _ in 0..part.count {
            r.u32("source")?;
            loop {
                let kind = r.u8("item type")?;
                if kind == 0 {
                    // To the next four bytes.
                    let over = r.at() % 4;
                    r.take("padding", (4 - over) % 4)?;
                    break;
                }
                let length = usize::from(r.u8("item length")?);
                let start = r.at();
                let text = r.take("item", length)?;
                if kind == 1 && !text.is_empty() {
                    names.push((start..start + length, text));
                }
            }
        }
        Ok(())
    };
    // A damaged chunk ends the reading; what came before it stands.
    let _ = read();
    names
}

/// What one source has sent in one direction.
#[derive(Clone, Debug)]
struct Stream {
    last: Header,
    payload_types: Vec<u8>,
    packets: u64,
    bytes: u64,
    sizes: BTreeMap<usize, u64>,
    steps: u32,
    known: bool,
    secured: bool,
    first_frame: u64,
    first_time: CaptureTime,
    last_packet: Frames,
}

/// The RTP of one conversation.
#[derive(Debug, Default)]
pub(super) struct Rtp {
    streams: BTreeMap<(Direction, u32), Stream>,
    /// Sender and receiver reports by who sent them.
    reports: BTreeMap<(Direction, u32), (u64, u64)>,
    /// One stream or report was certain: packets of others are taken for theirs from the first one.
    known: bool,
    zrtp: bool,
    names: BTreeSet<Vec<u8>>,
}

impl Rtp {
    /// A conversation in which the probe saw a stream.
    pub(super) fn recognised() -> Rtp {
        Rtp { known: true, ..Rtp::default() }
    }

    /// Reads one datagram; `None` when there is no evidence (yet) that it is RTP or RTCP. `secured`: a handshake made keys.
    pub(super) fn packet(
        &mut self,
        d: Direction,
        piece: Piece<'_>,
        announced: bool,
        secured: bool,
        cx: &mut Cx<'_>,
    ) -> Option<Class> {
        let secured = secured || self.zrtp;
        // Packet types of RTCP lie where no payload type may (RFC 5761 section 4).
        if matches!(piece.data, [_, 192..=223, ..]) {
            return self.control(d, piece, secured, cx);
        }
        let header = Header::plausible(piece.data, announced)?;
        let stream = self.stream(d, header, piece, cx)?;
        stream.secured |= secured;
        let needed = if announced { STEPS_ANNOUNCED } else { STEPS };
        stream.known |= stream.steps >= needed;
        // Behind a handshake that made keys for it, nothing else may come (RFC 5764 section 5.1.2).
        let certain = stream.known || secured;
        self.known |= certain;
        if !self.known {
            return None;
        }
        cx.protocol(PROTOCOL.id);
        if secured {
            cx.protocol("srtp");
            return Some(SRTP);
        }
        Some(RTP)
    }

    /// Counts a packet to its stream.
    fn stream(&mut self, d: Direction, header: Header, piece: Piece<'_>, cx: &Cx<'_>) -> Option<&mut Stream> {
        let key = (d, header.ssrc);
        if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&key) {
            // Sources that were seen once and did not go on make room.
            let idle = self.streams.iter().find(|(_, s)| !s.known).map(|(key, _)| *key)?;
            self.streams.remove(&idle);
        }
        let packet = cx.frames(piece.range());
        let stream = self.streams.entry(key).or_insert_with(|| Stream {
            last: header,
            payload_types: Vec::new(),
            packets: 0,
            bytes: 0,
            sizes: BTreeMap::new(),
            steps: 0,
            known: false,
            secured: false,
            first_frame: packet.complete,
            first_time: packet.time,
            last_packet: Frames::default(),
        });
        if header.follows(&stream.last) {
            stream.steps = stream.steps.saturating_add(1);
        }
        // A late packet does not set the stream back.
        if header.sequence.wrapping_sub(stream.last.sequence) < 0x8000 || !stream.known {
            stream.last = header;
        }
        if !stream.payload_types.contains(&header.payload_type) && stream.payload_types.len() < 8 {
            stream.payload_types.push(header.payload_type);
        }
        stream.packets += 1;
        stream.bytes += piece.data.len() as u64;
        if stream.sizes.len() < MAX_SIZES || stream.sizes.contains_key(&piece.data.len()) {
            *stream.sizes.entry(piece.data.len()).or_default() += 1;
        }
        stream.last_packet = packet;
        Some(stream)
    }

    /// RTCP, plain or SRTCP: the first eight bytes are in clear in both.
    fn control(&mut self, d: Direction, piece: Piece<'_>, secured: bool, cx: &mut Cx<'_>) -> Option<Class> {
        let plain = rtcp(piece.data).ok().filter(|_| !secured);
        if plain.is_none() && !self.known && !secured {
            return None;
        }
        let mut r = Reader::new(piece.data);
        let (bits_and_kind, length) = (r.u16("type").ok()?, usize::from(r.u16("length").ok()?));
        let ssrc = r.u32("ssrc").ok()?;
        if 4 + length * 4 > piece.data.len() {
            return None;
        }
        let key = (d, ssrc);
        if self.reports.len() < MAX_STREAMS || self.reports.contains_key(&key) {
            let (sent, received) = self.reports.entry(key).or_default();
            match bits_and_kind as u8 {
                SENDER_REPORT => *sent += 1,
                RECEIVER_REPORT => *received += 1,
                _ => {}
            }
        }
        let Some(parts) = plain else { return Some(if secured { SRTP } else { RTP }) };
        self.known = true;
        cx.protocol(PROTOCOL.id);
        for part in parts.iter().filter(|p| p.kind == SOURCE_DESCRIPTION) {
            for (range, name) in canonical_names(part) {
                if self.names.len() < MAX_NAMES && self.names.insert(name.to_vec()) {
                    let at = piece.at + part.at;
                    let finding = name_finding(name, cx.show_secrets());
                    cx.finding(at + range.start..at + range.end, finding);
                }
            }
        }
        Some(RTCP)
    }

    /// ZRTP (RFC 6189 section 5): from the confirmation on, keys are agreed.
    pub(super) fn zrtp(&mut self, piece: Piece<'_>, cx: &mut Cx<'_>) -> Option<Class> {
        let message = piece.data.get(12..).filter(|_| piece.data.get(4..8) == Some(b"ZRTP"))?;
        let kind = message.get(4..12).filter(|_| message.starts_with(&[0x50, 0x5a]))?;
        cx.protocol("zrtp");
        if kind.starts_with(b"Confirm") || kind == b"Conf2ACK" {
            self.zrtp = true;
            cx.encrypted("zrtp", piece.range());
        }
        Some(ZRTP)
    }

    /// The lowest frame that [`Rtp::state`] may still name.
    pub(super) fn holds(&self) -> Option<u64> {
        self.streams.values().map(|s| s.last_packet.complete).min()
    }

    /// States the streams of one direction, in the order of their first packets.
    pub(super) fn state(&self, d: Direction, relayed: bool, cx: &mut Cx<'_>) {
        let mut streams: Vec<_> =
            self.streams.iter().filter(|((from, _), s)| *from == d && (s.known || self.known)).collect();
        streams.sort_by_key(|((_, ssrc), s)| (s.first_frame, *ssrc));
        for ((_, ssrc), s) in streams {
            call::media(d, relayed, s.bytes, s.first_frame, cx);
            // Among certain streams, sources of a packet or two are media too, but no stream to speak of.
            if !s.known {
                continue;
            }
            let (sender_reports, receiver_reports) =
                self.reports.get(&(d, *ssrc)).copied().unwrap_or_default();
            // One file and frame to look at: the last packet's.
            let frames = Frames { all: vec![s.last_packet.complete], ..s.last_packet.clone() };
            cx.emit_at("rtp.stream", frames, || Seen {
                ssrc: format!("{ssrc:08x}"),
                payload_type: s.payload_types.first().copied(),
                payload_types: s.payload_types.clone(),
                packets: s.packets,
                bytes: s.bytes,
                distinct_sizes: s.sizes.len(),
                cbr: s.is_constant(),
                duration_ms: s.duration_ms(),
                packets_per_second: s.a_second(s.packets),
                bits_per_second: s.a_second(s.bytes.saturating_mul(8)),
                direction: d,
                first_frame: s.first_frame,
                last_frame: s.last_packet.complete,
                sender_reports,
                receiver_reports,
                relayed,
                encrypted: s.secured,
            });
        }
    }
}

impl Stream {
    /// Few sizes for many packets, as a coder of constant bit rate makes them: its silences and its key frames may differ.
    fn is_constant(&self) -> bool {
        self.packets >= 10 && self.sizes.len() <= 3 && self.sizes.len() as u64 * 5 <= self.packets
    }

    /// From the first packet to the last, whole milliseconds.
    fn duration_ms(&self) -> u64 {
        self.last_packet.time.ms_since(self.first_time).max(0.0) as u64
    }

    /// So many over the duration, a second; none of a stream that is shorter than one, which would be chance.
    fn a_second(&self, count: u64) -> Option<u64> {
        let milliseconds = self.duration_ms();
        (milliseconds >= 1000).then(|| count.saturating_mul(1000) / milliseconds)
    }
}

/// A canonical name stays the same over the sessions of a device, and often is `user@host` (RFC 3550 section 6.5.1).
fn name_finding(name: &[u8], show: bool) -> RawFinding {
    let name = String::from_utf8_lossy(name);
    let masking = if show { Masking::Off } else { Masking::On };
    RawFinding {
        kind: FindingKind::Identifier,
        severity: if name.contains('@') { Severity::Medium } else { Severity::Low },
        what: format!("RTCP canonical name in clear: {}", masking.apply_any(&name)),
        rule: Some("rtcp-cname".to_owned()),
        ..RawFinding::default()
    }
}

#[derive(Serialize)]
struct Seen {
    ssrc: String,
    payload_type: Option<u8>,
    payload_types: Vec<u8>,
    packets: u64,
    /// Of the packets with their headers, without UDP's.
    bytes: u64,
    distinct_sizes: usize,
    cbr: bool,
    duration_ms: u64,
    /// Mean over the duration.
    packets_per_second: Option<u64>,
    /// Of `bytes`, mean over the duration.
    bits_per_second: Option<u64>,
    direction: Direction,
    first_frame: u64,
    last_frame: u64,
    sender_reports: u64,
    receiver_reports: u64,
    relayed: bool,
    /// Behind a handshake that was read (DTLS-SRTP, ZRTP); `false` means that nothing tells.
    encrypted: bool,
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, connection, datagrams, of_kind, text};
    use super::*;
    use crate::model::Direction::{Down, Up};

    fn packet(payload_type: u8, sequence: u16, ssrc: u32, size: usize) -> Vec<u8> {
        let mut p = vec![0x80, payload_type];
        p.extend(sequence.to_be_bytes());
        p.extend((u32::from(sequence) * 160).to_be_bytes());
        p.extend(ssrc.to_be_bytes());
        p.resize(12 + size, 0xd5);
        p
    }

    /// A sender report, and a description with this name.
    fn report(name: &[u8]) -> Vec<u8> {
        let mut r = vec![0x80, 200, 0, 6];
        r.extend([1; 24]);
        let mut chunk = vec![1, 1, 1, 1, 1, name.len() as u8];
        chunk.extend(name);
        chunk.push(0);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        r.extend([0x81, 202, 0, (chunk.len() / 4) as u8]);
        r.extend(chunk);
        r
    }

    #[test]
    fn rates_are_means_over_the_duration() {
        let at = |milliseconds: i64| CaptureTime(1_700_000_000_000_000_000 + milliseconds * 1_000_000);
        let stream = |last: i64| Stream {
            last: Header::read(&packet(8, 1, 1, 160)).unwrap(),
            payload_types: vec![8],
            packets: 101,
            bytes: 17_372,
            sizes: BTreeMap::new(),
            steps: 0,
            known: true,
            secured: false,
            first_frame: 1,
            first_time: at(0),
            last_packet: Frames { time: at(last), ..Frames::default() },
        };
        let of = |s: &Stream| (s.duration_ms(), s.a_second(s.packets), s.a_second(s.bytes * 8));
        assert_eq!(of(&stream(2000)), (2000, Some(50), Some(69_488)));
        assert_eq!(of(&stream(999)), (999, None, None), "too short for a rate");
        assert_eq!(of(&stream(-5)), (0, None, None), "the clock stepped back");
    }

    #[test]
    fn a_run_of_packets_is_a_stream() {
        let mut list: Vec<_> =
            (0..20).map(|n| (Up, packet(8, 65_530_u16.wrapping_add(n), 0xabcd, 160))).collect();
        list.push((Down, packet(8, 7, 1, 160)));
        let analysis = datagrams(4000, &list);
        let [stream] = of_kind(&analysis, "rtp.stream")[..] else { panic!("not one stream") };
        let fields =
            ["ssrc", "payload_type", "packets", "bytes", "distinct_sizes", "cbr", "direction", "encrypted"];
        assert_eq!(
            fields.map(|f| text(stream, f)),
            ["0000abcd", "8", "20", "3440", "1", "true", "up", "false"]
        );
        assert_eq!(stream.frame, 20, "the last packet's");
        assert_eq!(analysis.flows[0].encryption, "opaque", "never clear");
        assert_eq!(analysis.coverage.classes["rtp"], 21 * 172, "with the first packets");
        assert!(!analysis.coverage.classes.contains_key("opaque"));
    }

    #[test]
    fn less_is_no_stream() {
        let run = |steps: &[u16]| -> Vec<_> { steps.iter().map(|n| (Up, packet(0, *n, 9, 100))).collect() };
        let mut other_sources = run(&[1, 2, 3]);
        for (n, (_, p)) in other_sources.iter_mut().enumerate() {
            p[8] = n as u8;
        }
        let mut clock = run(&[1, 2, 3]);
        for (n, (_, p)) in clock.iter_mut().enumerate() {
            p[4..8].copy_from_slice(&(n as u32 * 0x2000_0000).to_be_bytes());
        }
        let mut reserved = run(&[1, 2, 3]);
        for (_, p) in &mut reserved {
            p[1] = 70;
        }
        for (name, list) in [
            ("two packets", run(&[1, 2])),
            ("backwards", run(&[9, 8, 7])),
            ("the same again", run(&[5, 5, 5, 5])),
            ("leaps", run(&[1, 1000, 2000, 3000])),
            ("each of another source", other_sources),
            ("a clock that leaps", clock),
            ("payload type that is RTCP's", reserved),
        ] {
            let analysis = datagrams(4000, &list);
            assert_eq!(of_kind(&analysis, "rtp.stream").len(), 0, "{name}");
            assert_eq!(analysis.flows[0].app_protocols, [""; 0], "{name}");
        }
    }

    #[test]
    fn datagrams_that_waited_for_nothing_are_unknown_in_their_order() {
        // The first one makes the others wait; none is RTP, and all of them are counted.
        let mut list = vec![(Up, packet(0, 1, 9, 100))];
        list.extend((0..30).map(|n| (Down, vec![b'a' + n % 26; 40])));
        let analysis = datagrams(4000, &list);
        assert_eq!(analysis.flows[0].app_protocols, [""; 0]);
        let counted: u64 = ["opaque", "text"].iter().filter_map(|c| analysis.coverage.classes.get(*c)).sum();
        assert_eq!(counted, 112 + 30 * 40);
    }

    #[test]
    fn streams_behind_lengths() {
        let framed: Vec<u8> = (0..5)
            .flat_map(|n| {
                let p = packet(8, n, 0, 160);
                [(p.len() as u16).to_be_bytes().to_vec(), p].concat()
            })
            .collect();
        for size in [1, 50, 174, framed.len()] {
            let pieces: Vec<_> = framed.chunks(size).map(|c| (Up, c)).collect();
            let analysis = connection(5000, &pieces);
            let told: Vec<_> = of_kind(&analysis, "rtp.stream").iter().map(|o| text(o, "packets")).collect();
            // In single bytes the first ones do not tell yet.
            assert_eq!(told, if size == 1 { vec![] } else { vec!["5"] }, "{size}");
        }
    }

    #[test]
    fn reports_and_names() {
        let analysis = datagrams(4001, &[(Up, report(b"alice@192.0.2.3")), (Up, report(b"alice@192.0.2.3"))]);
        assert_eq!(analysis.flows[0].app_protocols, ["rtp"]);
        assert_eq!(analysis.flows[0].encryption, "none");
        let [finding] = &analysis.findings[..] else { panic!("{:?}", analysis.findings) };
        assert_eq!((finding.kind, finding.severity), (FindingKind::Identifier, Severity::Medium));
        assert!(!finding.what.contains("alice"), "{}", finding.what);
        assert_eq!(finding.offset, 38, "where the name stands");
    }

    #[test]
    fn cut_reports_are_none() {
        let whole = report(b"alice@192.0.2.3");
        for cut in 0..whole.len() {
            let analysis = datagrams(4001, &[(Up, &whole[..cut])]);
            // The first packet alone is a whole report.
            let known = usize::from(cut == 28);
            assert_eq!(analysis.flows.first().map_or(0, |f| f.app_protocols.len()), known, "{cut}");
            assert_eq!(analysis.findings, [], "{cut}");
        }
        // SRTCP: an index and a tag behind it.
        let sealed = [&report(b"x")[..], &bytes("80000001 00112233445566778899")[..]].concat();
        assert_eq!(datagrams(4001, &[(Up, sealed)]).flows[0].app_protocols, [""; 0]);
    }

    #[test]
    fn cut_packets_do_not_panic() {
        let mut p = packet(111, 1, 7, 40);
        p[0] = 0x9f; // all contributing sources, and an extension
        for cut in 0..p.len() {
            assert!(Header::read(&p[..cut]).is_err(), "{cut}: the extension is longer than the packet");
        }
        let mut streams = Vec::new();
        for n in 0..200_u32 {
            // Each source is sent twice: none goes on.
            streams.push((Up, packet(96, n as u16, n, 20)));
        }
        assert_eq!(of_kind(&datagrams(3478, &streams), "rtp.stream").len(), 0);
    }

    #[test]
    fn zrtp_confirms_keys() {
        let zrtp = |kind: &[u8; 8]| {
            let mut m = bytes("10000001 5a525450 00000007 505a 0003");
            m.extend(kind);
            m.extend([0; 4]);
            m
        };
        let media = packet(0, 1, 9, 100);
        let talk = [(Up, report(b"a")), (Up, zrtp(b"Hello   ")), (Down, zrtp(b"Conf2ACK")), (Up, media)];
        let analysis = datagrams(4000, &talk);
        assert_eq!(analysis.flows[0].encryption, "zrtp");
        assert_eq!(analysis.coverage.classes["srtp"], 112);
    }
}
