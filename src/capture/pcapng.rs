//! pcapng blocks, as they are written (draft-ietf-opsawg-pcapng), little-endian.
//!
//! Takes what a recorder knows; appends whole blocks to a buffer of the caller's, so that nothing is allocated for a packet
//! while the buffer has room. Writes no file and keeps no state: that is `sink`. What it writes is read by `format`.

use crate::model::CaptureTime;

/// Section Header Block (section 4.1).
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
/// Enhanced Packet Block (section 4.3).
pub(super) const PACKET: u32 = 6;
/// Decryption Secrets Block (section 4.7).
pub(super) const SECRETS: u32 = 0x0000_000a;
/// A type "reserved for local use" (section 11.1): room in which secrets may be written later. Readers pass over it.
pub(super) const ROOM: u32 = 0x8000_0001;
/// Secrets type of an NSS key log (section 4.7.1).
pub(crate) const NSS_KEY_LOG: u32 = 0x544c_534b;
/// The longest value of an option: its length has 16 bits, and a multiple of four needs no more.
const MAX_OPTION: usize = 65_532;

/// What a section says of the machine that recorded it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// `shb_hardware`; nothing is written where it is empty, as with the others.
    pub hardware: String,
    /// `shb_os`.
    pub os: String,
    /// `shb_userappl`.
    pub application: String,
    /// `opt_comment`, one for each.
    pub comments: Vec<String>,
}

/// What is recorded, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceDescription {
    /// `if_name`.
    pub name: String,
    /// `if_filter`: the filter in libpcap's words.
    pub filter: String,
    /// `if_os`.
    pub os: String,
    /// LINKTYPE_ value of its packets.
    pub link: u16,
    /// Bytes that are kept of a packet at most.
    pub snap_length: u32,
}

/// What became of the packets of an interface (section 4.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    /// `isb_starttime`.
    pub(super) start: CaptureTime,
    /// `isb_endtime`, and the time of the block itself.
    pub(super) end: CaptureTime,
    /// `isb_ifrecv`, in libpcap's sense: packets that passed the filter, those that were dropped then among them (on Linux).
    pub(super) received: u64,
    /// `isb_ifdrop`: dropped by the interface or its driver.
    pub(super) dropped_by_interface: u64,
    /// `isb_osdrop`: dropped by the kernel because its buffer was full.
    pub(super) dropped: u64,
    /// `isb_usrdeliv`: handed over by the kernel.
    pub(super) delivered: u64,
    /// `opt_comment`, one for each.
    pub(super) comments: Vec<String>,
}

/// Appends a block of `kind` whose body `write` appends.
fn block(out: &mut Vec<u8>, kind: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - begin + 4) as u32;
    if let Some(field) = out.get_mut(begin + 4..begin + 8) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(&length.to_le_bytes());
}

/// Zeros up to the next multiple of four of what `bytes` many bytes began.
fn pad(out: &mut Vec<u8>, bytes: usize) {
    out.extend_from_slice([0; 3].get(..bytes.next_multiple_of(4) - bytes).unwrap_or_default());
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..value.len().min(MAX_OPTION)).unwrap_or_default();
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

/// An option of UTF-8, cut at a character where it is too long; none for an empty text.
fn text(out: &mut Vec<u8>, code: u16, value: &str) {
    if !value.is_empty() {
        let end = (0..=value.len().min(MAX_OPTION)).rev().find(|at| value.is_char_boundary(*at));
        option(out, code, value.get(..end.unwrap_or(0)).unwrap_or_default().as_bytes());
    }
}

fn comments<S: AsRef<str>>(out: &mut Vec<u8>, comments: &[S]) {
    for comment in comments {
        text(out, 1, comment.as_ref());
    }
}

fn end_of_options(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

/// Nanoseconds since 1970 as the two halves in which the format writes them (upper first).
fn halves(time: CaptureTime) -> [[u8; 4]; 2] {
    let ticks = u64::try_from(time.0).unwrap_or(0);
    [((ticks >> 32) as u32).to_le_bytes(), (ticks as u32).to_le_bytes()]
}

/// Appends a Section Header Block (section 4.1) without a section length, as it is not known yet.
pub(super) fn section(out: &mut Vec<u8>, section: &Section) {
    block(out, SECTION, |out| {
        out.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
        out.extend_from_slice(&u64::MAX.to_le_bytes());
        comments(out, &section.comments);
        text(out, 2, &section.hardware);
        text(out, 3, &section.os);
        text(out, 4, &section.application);
        end_of_options(out);
    });
}

/// Appends an Interface Description Block (section 4.2); its times are in nanoseconds.
pub(super) fn interface(out: &mut Vec<u8>, interface: &InterfaceDescription) {
    block(out, 1, |out| {
        out.extend_from_slice(&interface.link.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&interface.snap_length.to_le_bytes());
        text(out, 2, &interface.name);
        option(out, 9, &[9]);
        if !interface.filter.is_empty() {
            // The first byte tells that the filter is a text.
            let mut filter = vec![0];
            filter.extend_from_slice(interface.filter.as_bytes());
            option(out, 11, &filter);
        }
        text(out, 12, &interface.os);
        end_of_options(out);
    });
}

/// Appends an Enhanced Packet Block (section 4.3) of the section's first interface.
pub(super) fn packet<S: AsRef<str>>(
    out: &mut Vec<u8>,
    time: CaptureTime,
    wire_len: u32,
    data: &[u8],
    notes: &[S],
) {
    block(out, PACKET, |out| {
        let [high, low] = halves(time);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&high);
        out.extend_from_slice(&low);
        out.extend_from_slice(&(data.len() as u32).to_le_bytes());
        out.extend_from_slice(&wire_len.to_le_bytes());
        out.extend_from_slice(data);
        pad(out, data.len());
        if !notes.is_empty() {
            comments(out, notes);
            end_of_options(out);
        }
    });
}

/// Appends an Interface Statistics Block (section 4.6) of the section's first interface.
pub(super) fn statistics(out: &mut Vec<u8>, statistics: &Statistics) {
    block(out, 5, |out| {
        let [high, low] = halves(statistics.end);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&high);
        out.extend_from_slice(&low);
        comments(out, &statistics.comments);
        for (code, time) in [(2, statistics.start), (3, statistics.end)] {
            option(out, code, halves(time).as_flattened());
        }
        let counts = [
            (4, statistics.received),
            (5, statistics.dropped_by_interface),
            (7, statistics.dropped),
            (8, statistics.delivered),
        ];
        for (code, count) in counts {
            option(out, code, &count.to_le_bytes());
        }
        end_of_options(out);
    });
}

/// Appends a Decryption Secrets Block (section 4.7) with a key log.
pub(super) fn secrets(out: &mut Vec<u8>, key_log: &[u8]) {
    block(out, SECRETS, |out| {
        out.extend_from_slice(&NSS_KEY_LOG.to_le_bytes());
        out.extend_from_slice(&(key_log.len() as u32).to_le_bytes());
        out.extend_from_slice(key_log);
        pad(out, key_log.len());
    });
}

/// Appends a block of `bytes` many bytes, a multiple of four and 12 at least, that says nothing.
pub(super) fn room(out: &mut Vec<u8>, bytes: usize) {
    block(out, ROOM, |out| out.resize(out.len() + bytes.saturating_sub(12).next_multiple_of(4), 0));
}

/// The blocks that stand whole in `bytes`, which begin with one: offset, type, length.
pub(super) fn blocks(bytes: &[u8]) -> impl Iterator<Item = (usize, u32, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let word = |from: usize| Some(u32::from_le_bytes(bytes.get(from..from + 4)?.try_into().ok()?));
        let (kind, length) = (word(at)?, word(at + 4)? as usize);
        let whole = length >= 12 && bytes.len() - at >= length;
        let begin = at;
        at += length;
        whole.then_some((begin, kind, length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Batch, FileFacts, LinkType, from_bytes};

    fn read(bytes: &[u8]) -> (Vec<(i64, u32, Vec<u8>)>, FileFacts) {
        let mut reader = from_bytes("written", bytes.to_vec()).unwrap();
        let (mut batch, mut frames) = (Batch::default(), Vec::new());
        while reader.next(&mut batch) {
            for frame in &batch.frames {
                assert_eq!(frame.link, LinkType::ETHERNET);
                frames.push((frame.time.0, frame.wire_len, batch.bytes(frame).to_vec()));
            }
        }
        (frames, reader.into_facts())
    }

    fn written() -> (Vec<u8>, Vec<usize>) {
        let mut out = Vec::new();
        section(
            &mut out,
            &Section {
                hardware: "x86_64".into(),
                os: "Linux 6".into(),
                application: "metaleak 0".into(),
                comments: vec!["step \"idle\" is under way".into()],
            },
        );
        let description = InterfaceDescription {
            name: "eth0".into(),
            filter: "tcp or udp".into(),
            os: "Linux 6".into(),
            link: 1,
            snap_length: 262_144,
        };
        interface(&mut out, &description);
        room(&mut out, 64);
        let mut ends = Vec::new();
        for n in 0_u8..9 {
            let data = vec![n; usize::from(n) * 7 + 14];
            let time = CaptureTime(1_700_000_000_123_456_789 + i64::from(n));
            let notes: &[&str] = if n == 4 { &["one", "zwei ü"] } else { &[] };
            packet(&mut out, time, 1500, &data, notes);
            ends.push(out.len());
        }
        secrets(&mut out, b"CLIENT_RANDOM 00 11\n");
        let comments = vec!["the end".to_owned()];
        statistics(
            &mut out,
            &Statistics { received: 12, dropped: 3, delivered: 9, comments, ..Statistics::default() },
        );
        (out, ends)
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, _) = written();
        let (frames, facts) = read(&bytes);
        assert_eq!(frames.len(), 9);
        assert_eq!(frames[8], (1_700_000_000_123_456_797, 1500, vec![8; 70]));
        assert_eq!((facts.interfaces, facts.truncated), (vec!["eth0".to_owned()], false));
        let comments: Vec<_> = facts.comments.iter().map(|(f, t)| (*f, t.as_str())).collect();
        let section = (None, "step \"idle\" is under way");
        assert_eq!(comments, [section, (Some(5), "one"), (Some(5), "zwei ü"), (None, "the end")]);
        assert_eq!(facts.secrets.len(), 1);
        assert_eq!(
            (facts.secrets[0].kind, facts.secrets[0].data.as_slice()),
            (NSS_KEY_LOG, &b"CLIENT_RANDOM 00 11\n"[..])
        );
    }

    #[test]
    fn every_cut_keeps_the_whole_frames() {
        let (bytes, ends) = written();
        let (all, _) = read(&bytes);
        for cut in 28..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let (frames, facts) = read(&bytes[..cut]);
            assert_eq!(frames, all[..whole], "cut at {cut}");
            let starts = blocks(&bytes).map(|(at, ..)| at).chain([bytes.len()]);
            assert_eq!(facts.truncated, !starts.into_iter().any(|s| s == cut), "cut at {cut}");
        }
    }

    #[test]
    fn blocks_are_walked_as_far_as_they_are_whole() {
        let (bytes, ends) = written();
        let kinds: Vec<u32> = blocks(&bytes).map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds.len(), 3 + 9 + 2);
        assert_eq!(kinds[..4], [SECTION, 1, ROOM, PACKET]);
        assert_eq!(blocks(&bytes[..ends[0] - 1]).count(), 3);
        assert_eq!(blocks(&[6, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]).count(), 0, "no block has four bytes");
        let mut out = Vec::new();
        room(&mut out, 64);
        assert_eq!(out.len(), 64);
    }

    #[test]
    fn a_text_beyond_an_option_is_cut_at_a_character() {
        let mut out = Vec::new();
        section(&mut out, &Section { comments: vec!["ü".repeat(40_000)], ..Section::default() });
        let (_, facts) = read(&out);
        assert!(!facts.truncated && facts.comments[0].1.chars().all(|c| c == 'ü'));
    }
}
