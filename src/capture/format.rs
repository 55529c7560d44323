//! pcap and pcapng records out of a byte source, in batches.
//!
//! Formats: libpcap savefile (draft-ietf-opsawg-pcap) with both byte orders, micro- and nanoseconds and the
//! "modified" variant; pcapng (draft-ietf-opsawg-pcapng). A fault ends the reading but not what was read; the rest of the
//! file is still hashed and counted.

use std::path::PathBuf;

use super::source::Source;
use super::{
    BATCH_BYTES, Batch, CaptureError, Fault, FileFacts, LinkType, MAX_BLOCK, MAX_PACKET, RawFrame, Secrets,
};
use crate::model::CaptureTime;

/// Bytes of decryption secrets that are kept of one file.
const MAX_SECRETS: usize = 16 << 20;

/// How the records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Pcap { big: bool, nanos: bool, header: usize, link: LinkType },
    PcapNg { big: bool },
}

/// One pcapng interface.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snap: u32,
    /// Time stamp units per second.
    units: Units,
    offset_s: i64,
}

#[derive(Clone, Copy, Debug)]
enum Units {
    Decimal(u32),
    Binary(u32),
}

impl Units {
    /// Nanoseconds of `ticks`; exact for every resolution, saturating.
    fn nanos(self, ticks: u64) -> i64 {
        let ticks = u128::from(ticks);
        let ns = match self {
            Units::Decimal(p) if p <= 9 => ticks.saturating_mul(10_u128.pow(9 - p)),
            Units::Decimal(p) => 10_u128.checked_pow(p - 9).map_or(0, |d| ticks / d),
            Units::Binary(p) => ticks.saturating_mul(1_000_000_000) >> p.min(127),
        };
        i64::try_from(ns).unwrap_or(i64::MAX)
    }
}

/// Reads a capture batch by batch.
pub struct Reader {
    path: PathBuf,
    source: Source,
    format: Format,
    interfaces: Vec<Interface>,
    /// Bytes read but not yet turned into records.
    rest: Vec<u8>,
    /// File offset of the first byte of `rest`.
    at: u64,
    ended: bool,
    stopped: bool,
    facts: FileFacts,
}

/// What stands at one place of the file.
enum Record {
    Frame { frame: RawFrame, size: usize },
    Other { size: usize },
    NeedMore,
    Fault { what: String },
}

impl Reader {
    pub(super) fn new(path: PathBuf, raw: Box<dyn std::io::Read + Send>) -> Result<Reader, CaptureError> {
        let read = |source| CaptureError::Read { path: path.clone(), at: 0, source };
        let mut source = Source::new(raw).map_err(read)?;
        let mut rest = vec![0_u8; BATCH_BYTES.min(1 << 16)];
        let mut have = 0;
        while have < 28 {
            let n = source.read(rest.get_mut(have..).unwrap_or_default()).map_err(read)?;
            if n == 0 {
                break;
            }
            have += n;
        }
        rest.truncate(have);
        let magic = || rest.iter().take(4).copied().collect::<Vec<u8>>();
        let unknown = || CaptureError::UnknownFormat { path: path.clone(), magic: magic() };
        let cut = || CaptureError::CutHeader { path: path.clone(), bytes: have };
        let word = |at: usize, big: bool| u32_at(&rest, at, big).ok_or_else(cut);
        let mut facts = FileFacts::default();
        let (format, used) = match magic()[..] {
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                (Format::PcapNg { big: rest.get(8..12) == Some(&[0x1a, 0x2b, 0x3c, 0x4d]) }, 0)
            }
            [a, b, c, d] => {
                let (big, nanos, header) = match (a, b, c, d) {
                    (0xd4, 0xc3, 0xb2, 0xa1) => (false, false, 16),
                    (0xa1, 0xb2, 0xc3, 0xd4) => (true, false, 16),
                    (0x4d, 0x3c, 0xb2, 0xa1) => (false, true, 16),
                    (0xa1, 0xb2, 0x3c, 0x4d) => (true, true, 16),
                    // Alexey Kuznetzov's patched libpcap: eight more bytes a record.
                    (0x34, 0xcd, 0xb2, 0xa1) => (false, false, 24),
                    (0xa1, 0xb2, 0xcd, 0x34) => (true, false, 24),
                    _ => return Err(unknown()),
                };
                facts.structure_bytes = 24;
                // The upper bits hold the FCS length, which the IP length makes superfluous.
                let link = LinkType((word(20, big)? & 0xffff) as u16);
                (Format::Pcap { big, nanos, header, link }, 24)
            }
            _ => return Err(unknown()),
        };
        rest.drain(..used.min(rest.len()));
        Ok(Reader {
            path,
            source,
            format,
            interfaces: Vec::new(),
            rest,
            at: used as u64,
            ended: false,
            stopped: false,
            facts,
        })
    }

    /// The file, for messages.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// No SHA-256 of the file is computed: a fifth of the time of a reading whose output does not show it.
    pub(crate) fn without_digest(&mut self) {
        self.source.without_hash();
    }

    /// What the file said of itself so far; complete after [`Reader::next`] returned `false`.
    #[must_use]
    pub fn facts(&self) -> &FileFacts {
        &self.facts
    }

    /// Takes the facts out, after the end was reached.
    #[must_use]
    pub fn into_facts(self) -> FileFacts {
        self.facts
    }

    /// Fills `batch` with the next frames; `false` at the end. A batch may be without frames when the file holds
    /// only other blocks there. From a pipe, a batch ends where the pipe pauses.
    pub fn next(&mut self, batch: &mut Batch) -> bool {
        batch.frames.clear();
        batch.filled = 0;
        if self.ended {
            return false;
        }
        batch.grow(self.rest.len());
        if let Some(start) = batch.data.get_mut(..self.rest.len()) {
            start.copy_from_slice(&self.rest);
            batch.filled = self.rest.len();
        }
        self.rest.clear();
        let mut used = 0;
        loop {
            used = self.records(batch, used);
            if self.stopped {
                break;
            }
            if used > 0 && !batch.frames.is_empty() {
                break;
            }
            if !self.more(batch, used) {
                break;
            }
        }
        if self.stopped {
            self.drain(batch, used);
        } else if !self.ended {
            self.rest.extend_from_slice(batch.read().get(used..).unwrap_or_default());
        } else if used < batch.filled {
            self.cut_off(batch, used);
        }
        self.at += used as u64;
        if self.ended {
            let (sha256, stored) = self.source.tally();
            self.facts.sha256 = sha256;
            self.facts.stored_bytes = stored;
            self.facts.decoded_bytes = self.at + if self.stopped { 0 } else { (batch.filled - used) as u64 };
            self.facts.decoded_bytes = self.facts.decoded_bytes.max(self.at);
        }
        true
    }

    /// Reads more bytes behind those of `batch`; `false` at the end of the input.
    fn more(&mut self, batch: &mut Batch, used: usize) -> bool {
        let have = batch.filled;
        let target = (used + BATCH_BYTES).max(have + (64 << 10));
        batch.grow(target);
        let mut filled = have;
        let mut failed = None;
        while let Some(space) = batch.data.get_mut(filled..target).filter(|s| !s.is_empty()) {
            match self.source.read(space) {
                Ok(0) => break,
                Ok(n) => {
                    filled += n;
                    // A pipe that pauses gives short reads: what is here is worth a batch.
                    if n < (32 << 10) && filled - have >= 16 {
                        break;
                    }
                }
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            }
        }
        batch.filled = filled;
        if let Some(e) = failed {
            self.fault(self.at + filled as u64, format!("cannot read on: {e}"));
            self.ended = true;
        } else if filled == have {
            self.ended = true;
        }
        filled > have
    }

    /// Turns bytes from `from` on into frames; returns how many bytes are used up.
    fn records(&mut self, batch: &mut Batch, mut from: usize) -> usize {
        loop {
            let offset = self.at + from as u64;
            let Some(here) = batch.read().get(from..).filter(|h| !h.is_empty()) else { return from };
            let record = match self.format {
                Format::Pcap { big, nanos, header, link } => pcap_record(here, big, nanos, header, link),
                Format::PcapNg { big } => self.block(here, big, offset),
            };
            match record {
                Record::Frame { mut frame, size } => {
                    self.facts.frames += 1;
                    self.facts.structure_bytes += (size - frame.len) as u64;
                    frame.number = self.facts.frames;
                    frame.file_offset = offset + frame.at as u64;
                    frame.at += from;
                    batch.frames.push(frame);
                    from += size;
                }
                Record::Other { size } => {
                    self.facts.structure_bytes += size as u64;
                    from += size;
                }
                Record::NeedMore => return from,
                Record::Fault { what } => {
                    self.fault(offset, what);
                    self.stopped = true;
                    return from;
                }
            }
        }
    }

    fn fault(&mut self, offset: u64, what: String) {
        self.facts.truncated = true;
        self.facts.faults.push(Fault { after_frame: self.facts.frames, offset, what });
    }

    /// After a fault: the rest is hashed and counted, not believed.
    fn drain(&mut self, batch: &Batch, used: usize) {
        let mut unread = (batch.filled - used) as u64;
        let mut sink = vec![0_u8; 1 << 16];
        while let Ok(n) = self.source.read(&mut sink) {
            if n == 0 {
                break;
            }
            unread += n as u64;
        }
        self.facts.unread_bytes += unread;
        self.at += unread;
        self.ended = true;
    }

    /// The input ended within a record.
    fn cut_off(&mut self, batch: &Batch, used: usize) {
        let left = (batch.filled - used) as u64;
        self.facts.unread_bytes += left;
        if self.facts.faults.is_empty() {
            self.fault(
                self.at + used as u64,
                format!("the file ends within a record ({left} bytes of it are there)"),
            );
        }
    }

    /// One pcapng block. `here` starts at it.
    fn block(&mut self, here: &[u8], big: bool, offset: u64) -> Record {
        let Some(kind) = u32_at(here, 0, big) else { return Record::NeedMore };
        let mut big = big;
        if kind == 0x0a0d_0d0a {
            // A section may change the byte order; its magic stands after the length.
            let Some(magic) = here.get(8..12) else { return Record::NeedMore };
            big = match magic {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return Record::Fault { what: "section header without a byte-order magic".into() },
            };
        }
        let Some(length) = u32_at(here, 4, big) else { return Record::NeedMore };
        let size = length as usize;
        if size < 12 || !size.is_multiple_of(4) || size > MAX_BLOCK {
            return Record::Fault { what: format!("block of type {kind:#010x} claims {length} bytes") };
        }
        let Some(block) = here.get(..size) else { return Record::NeedMore };
        if u32_at(block, size - 4, big) != Some(length) {
            let what = format!("block of type {kind:#010x}: its two length fields differ");
            return Record::Fault { what };
        }
        let body = block.get(8..size - 4).unwrap_or_default();
        match kind {
            0x0a0d_0d0a => {
                self.format = Format::PcapNg { big };
                self.interfaces.clear();
                self.comments(body.get(16..).unwrap_or_default(), big, None);
                Record::Other { size }
            }
            1 => self.interface(body, big, size),
            2 | 3 | 6 => self.packet(kind, body, big, size),
            5 => {
                self.comments(body.get(12..).unwrap_or_default(), big, None);
                Record::Other { size }
            }
            0x0000_000a => {
                if let (Some(secret), Some(len)) = (u32_at(body, 0, big), u32_at(body, 4, big)) {
                    let data =
                        body.get(8..8 + (len as usize).min(body.len().saturating_sub(8))).unwrap_or_default();
                    let kept: usize = self.facts.secrets.iter().map(|s| s.data.len()).sum();
                    if kept + data.len() <= MAX_SECRETS {
                        let after_frame = self.facts.frames;
                        self.facts.secrets.push(Secrets {
                            after_frame,
                            offset,
                            kind: secret,
                            data: data.to_vec(),
                        });
                    }
                }
                Record::Other { size }
            }
            _ => Record::Other { size },
        }
    }

    fn interface(&mut self, body: &[u8], big: bool, size: usize) -> Record {
        let (Some(link), Some(snap)) = (u16_at(body, 0, big), u32_at(body, 4, big)) else {
            return Record::Fault { what: "interface description block is too short".into() };
        };
        let mut interface = Interface { link: LinkType(link), snap, units: Units::Decimal(6), offset_s: 0 };
        let mut name = String::new();
        for (code, value) in options(body.get(8..).unwrap_or_default(), big) {
            match (code, value) {
                (1, text) => self.comment(None, text),
                (2, text) => name = String::from_utf8_lossy(text).into_owned(),
                (9, [res, ..]) => {
                    let power = u32::from(res & 0x7f);
                    interface.units =
                        if res & 0x80 == 0 { Units::Decimal(power) } else { Units::Binary(power) };
                }
                (14, value) => {
                    if let Ok(bytes) = <[u8; 8]>::try_from(value) {
                        interface.offset_s =
                            if big { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) };
                    }
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        self.facts.interfaces.push(name);
        Record::Other { size }
    }

    /// Enhanced (6), obsolete (2) and simple (3) packet blocks.
    fn packet(&mut self, kind: u32, body: &[u8], big: bool, size: usize) -> Record {
        let (id, header) = match kind {
            6 => (u32_at(body, 0, big), 20),
            2 => (u16_at(body, 0, big).map(u32::from), 20),
            _ => (Some(0), 4),
        };
        let Some(id) = id else { return Record::Fault { what: "packet block is too short".into() } };
        let Some(interface) = self.interfaces.get(id as usize).copied() else {
            return Record::Fault {
                what: format!("packet of interface {id}, which the file does not describe"),
            };
        };
        let (time, len, wire) = if kind == 3 {
            let Some(wire) = u32_at(body, 0, big) else {
                return Record::Fault { what: "simple packet block is too short".into() };
            };
            let snap = if interface.snap == 0 { u32::MAX } else { interface.snap };
            (0, wire.min(snap).min(body.len().saturating_sub(4) as u32), wire)
        } else {
            let field = |at| u32_at(body, at, big);
            let (Some(high), Some(low), Some(len), Some(wire)) = (field(4), field(8), field(12), field(16))
            else {
                return Record::Fault { what: "packet block is too short".into() };
            };
            let ticks = u64::from(high) << 32 | u64::from(low);
            let offset = interface.offset_s.saturating_mul(1_000_000_000);
            (interface.units.nanos(ticks).saturating_add(offset), len, wire)
        };
        let captured = len as usize;
        if captured > MAX_PACKET || body.len() < header + captured {
            return Record::Fault {
                what: format!("packet block claims {len} captured bytes, more than it holds"),
            };
        }
        let padded = header + captured.next_multiple_of(4);
        if kind != 3 {
            let frame = self.facts.frames + 1;
            self.comments(body.get(padded..).unwrap_or_default(), big, Some(frame));
        }
        let frame = RawFrame {
            number: 0,
            time: CaptureTime(time),
            file_offset: 0,
            at: 8 + header,
            len: captured,
            wire_len: wire,
            link: interface.link,
        };
        Record::Frame { frame, size }
    }

    fn comments(&mut self, opts: &[u8], big: bool, frame: Option<u64>) {
        if opts.is_empty() {
            return;
        }
        for (code, value) in options(opts, big) {
            if code == 1 {
                self.comment(frame, value);
            }
        }
    }

    fn comment(&mut self, frame: Option<u64>, text: &[u8]) {
        // Bounded: a file of nothing but comments must not fill the memory.
        if self.facts.comments.len() < 65_536 {
            let text = String::from_utf8_lossy(text.get(..4096.min(text.len())).unwrap_or_default());
            self.facts.comments.push((frame, text.into_owned()));
        }
    }
}

fn pcap_record(here: &[u8], big: bool, nanos: bool, header: usize, link: LinkType) -> Record {
    let field = |at| u32_at(here, at, big);
    let (Some(seconds), Some(fraction), Some(len), Some(wire)) = (field(0), field(4), field(8), field(12))
    else {
        return Record::NeedMore;
    };
    let captured = len as usize;
    if captured > MAX_PACKET {
        let what =
            format!("record claims {len} captured bytes, more than the largest packet of {MAX_PACKET}");
        return Record::Fault { what };
    }
    if here.len() < header + captured {
        return Record::NeedMore;
    }
    let fraction = i64::from(fraction) * if nanos { 1 } else { 1000 };
    let frame = RawFrame {
        number: 0,
        time: CaptureTime(i64::from(seconds) * 1_000_000_000 + fraction),
        file_offset: 0,
        at: header,
        len: captured,
        wire_len: wire,
        link,
    };
    Record::Frame { frame, size: header + captured }
}

fn u32_at(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let four = <[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?;
    Some(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
}

fn u16_at(bytes: &[u8], at: usize, big: bool) -> Option<u16> {
    let two = <[u8; 2]>::try_from(bytes.get(at..at + 2)?).ok()?;
    Some(if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
}

/// pcapng options: code and value, up to the end mark or the first that does not fit.
fn options(mut rest: &[u8], big: bool) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let code = u16_at(rest, 0, big)?;
        let len = usize::from(u16_at(rest, 2, big)?);
        let value = rest.get(4..4 + len)?;
        rest = rest.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        (code != 0).then_some((code, value))
    })
}
