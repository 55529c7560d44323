//! Frames of HTTP/2 as they stand on the wire (RFC 9113 sections 4 and 6).
//!
//! Takes the bytes of one frame; gives its header, and the parts of those payloads that are read. Knows no connection.

use crate::dissect::{Reader, Short, begins_units};

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Flags; `ACK` is of SETTINGS and PING.
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
const HAS_PRIORITY: u8 = 0x20;

/// `SETTINGS_HEADER_TABLE_SIZE`.
const HEADER_TABLE_SIZE: u16 = 1;
/// A SETTINGS frame with more entries than this is not taken for the beginning of a connection.
const MAX_SETTINGS: usize = 64;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn read(data: &[u8]) -> Result<Head, Short> {
        let mut r = Reader::new(data);
        Ok(Head {
            length: r.u24("frame length")? as usize,
            kind: r.u8("frame type")?,
            flags: r.u8("frame flags")?,
            stream: r.u32("stream")? & 0x7fff_ffff,
        })
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Why this cannot be the header of a frame. Types that are not defined may be anything (section 4.1).
    pub(super) fn fault(self) -> Option<&'static str> {
        let size_fits = match self.kind {
            PRIORITY => self.length == 5,
            RST_STREAM | WINDOW_UPDATE => self.length == 4,
            SETTINGS if self.has(ACK) => self.length == 0,
            SETTINGS => self.length.is_multiple_of(6),
            PING => self.length == 8,
            GOAWAY => self.length >= 8,
            PUSH_PROMISE => self.length >= 4,
            _ => true,
        };
        let stream_fits = match self.kind {
            DATA | HEADERS | PRIORITY | RST_STREAM | PUSH_PROMISE | CONTINUATION => self.stream != 0,
            SETTINGS | PING | GOAWAY => self.stream == 0,
            _ => true,
        };
        match (size_fits, stream_fits) {
            (false, _) => Some("a frame of a size that its type does not have"),
            (_, false) => Some("a frame on a stream that its type does not have"),
            _ => None,
        }
    }

    /// No flag is set that its type does not have.
    fn has_usual_flags(self) -> bool {
        let usual = match self.kind {
            DATA => END_STREAM | PADDED,
            HEADERS => END_STREAM | END_HEADERS | PADDED | HAS_PRIORITY,
            SETTINGS | PING => ACK,
            PUSH_PROMISE => END_HEADERS | PADDED,
            CONTINUATION => END_HEADERS,
            _ => 0,
        };
        self.flags & !usual == 0
    }

    /// A frame of a type that RFC 9113 defines, as it has to be.
    pub(super) fn is_known(self) -> bool {
        self.kind <= CONTINUATION && self.fault().is_none()
    }
}

/// Whether frames stand at the beginning of these bytes: one that fills them, or two and more of which the last may go on.
pub(super) fn begin_with(data: &[u8]) -> bool {
    // The stream whose header block is to be continued.
    let mut block = None;
    begins_units(data, HEADER, |rest| {
        let head = Head::read(rest).ok().filter(|head| head.is_known() && head.has_usual_flags())?;
        let continues = head.kind == CONTINUATION;
        if (block.is_some() || continues) && (!continues || block != Some(head.stream)) {
            return None;
        }
        let open = matches!(head.kind, HEADERS | PUSH_PROMISE | CONTINUATION) && !head.has(END_HEADERS);
        block = open.then_some(head.stream);
        Some(HEADER + head.length)
    })
}

/// The part of a header block in a frame that carries one, without padding and priority (sections 6.2, 6.6 and 6.10).
pub(super) fn fragment(head: Head, payload: &[u8]) -> Result<&[u8], Short> {
    let mut r = Reader::new(payload);
    let padded = head.kind != CONTINUATION && head.has(PADDED);
    let padding = if padded { usize::from(r.u8("pad length")?) } else { 0 };
    match head.kind {
        HEADERS if head.has(HAS_PRIORITY) => r.take("priority", 5)?,
        PUSH_PROMISE => r.take("promised stream", 4)?,
        _ => &[],
    };
    let left = r.rest().len();
    match left.checked_sub(padding) {
        Some(length) => r.take("header block", length),
        None => Err(Short { field: "padding", at: r.at(), needed: padding, left }),
    }
}

/// The entries of a SETTINGS payload (section 6.5.1).
fn settings(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    payload.chunks_exact(6).filter_map(|entry| {
        let mut r = Reader::new(entry);
        Some((r.u16("setting").ok()?, r.u32("value").ok()?))
    })
}

/// The size of the dynamic table that the sender of these SETTINGS allows the other side; the last entry counts.
pub(super) fn header_table_size(payload: &[u8]) -> Option<u32> {
    settings(payload).filter(|(id, _)| *id == HEADER_TABLE_SIZE).map(|(_, value)| value).last()
}

/// The payload of a SETTINGS frame holds defined settings (RFC 9113 section 6.5.2, RFC 8441, RFC 9218) and reserved ones only.
pub(super) fn are_settings(payload: &[u8]) -> bool {
    let mut known = 0;
    for (id, value) in settings(payload).take(MAX_SETTINGS + 1) {
        let fits = match id {
            1 | 3 | 6 => true,
            2 | 8 | 9 => value <= 1,
            4 => value <= 0x7fff_ffff,
            5 => (0x4000..=0x00ff_ffff).contains(&value),
            // Reserved to keep receivers tolerant.
            _ if id & 0x0f0f == 0x0a0a => continue,
            _ => false,
        };
        if !fits {
            return false;
        }
        known += 1;
    }
    (1..=MAX_SETTINGS).contains(&known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_again() {
        let ping = [0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let data = [0, 0, 2, DATA, 0, 0, 0, 0, 1, b'h', b'i'];
        assert!(begin_with(&ping));
        assert!(begin_with(&[&ping[..], &data].concat()));
        assert!(begin_with(&[&ping[..], &data[..10]].concat()), "the last one goes on");
        assert!(!begin_with(&ping[..16]), "one that goes on could be chance");
        assert!(!begin_with(&[0, 0, 2, CONTINUATION, 4, 0, 0, 0, 1, 0x82, 0x86]));
        assert!(!begin_with(&[&ping[..], b"in the middle of a body"].concat()));
        assert!(!begin_with(b""));
    }

    #[test]
    fn headers_and_what_cannot_be_one() {
        let head = |length, kind, flags, stream| Head { length, kind, flags, stream };
        assert_eq!(
            Head::read(&[0, 1, 2, 1, 5, 0x80, 0, 0, 3]).unwrap(),
            head(258, HEADERS, END_STREAM | END_HEADERS, 3)
        );
        assert!(Head::read(&[0; 8]).is_err());
        for (kind, length, stream, fits) in [
            (DATA, 0, 1, true),
            (DATA, 0, 0, false),
            (HEADERS, 9, 0, false),
            (PRIORITY, 5, 1, true),
            (PRIORITY, 4, 1, false),
            (RST_STREAM, 4, 0, false),
            (SETTINGS, 12, 0, true),
            (SETTINGS, 13, 0, false),
            (SETTINGS, 12, 1, false),
            (PUSH_PROMISE, 3, 2, false),
            (PING, 8, 0, true),
            (GOAWAY, 7, 0, false),
            (WINDOW_UPDATE, 4, 0, true),
            (WINDOW_UPDATE, 5, 7, false),
            (200, 5, 7, true),
        ] {
            assert_eq!(head(length, kind, 0, stream).fault().is_none(), fits, "{kind} {length} {stream}");
        }
        assert!(head(6, SETTINGS, ACK, 0).fault().is_some());
    }

    #[test]
    fn padding_and_priority_are_no_part_of_the_block() {
        let of = |kind, flags, payload: &'static [u8]| {
            fragment(Head { length: payload.len(), kind, flags, stream: 1 }, payload).ok()
        };
        for (kind, flags, payload, block) in [
            (HEADERS, 0, &b"\x82"[..], Some(&b"\x82"[..])),
            (HEADERS, PADDED, b"\x02\x82\0\0", Some(b"\x82")),
            (HEADERS, PADDED, b"\x03\x82\0\0", Some(b"")),
            (HEADERS, PADDED, b"\x04\x82\0\0", None),
            (HEADERS, PADDED, b"", None),
            (HEADERS, PADDED | HAS_PRIORITY, b"\x01\0\0\0\0\x10\x82\0", Some(b"\x82")),
            (HEADERS, HAS_PRIORITY, b"\0\0\0\0", None),
            (PUSH_PROMISE, PADDED, b"\x01\0\0\0\x02\x82\0", Some(b"\x82")),
            (CONTINUATION, PADDED, b"\x02\x82\0\0", Some(b"\x02\x82\0\0")),
        ] {
            assert_eq!(of(kind, flags, payload), block, "{kind} {flags} {payload:?}");
        }
    }

    #[test]
    fn settings_that_are_none() {
        for (payload, fits) in [
            (&b"\0\x03\0\0\0\x64\0\x04\x7f\xff\xff\xff"[..], true),
            (b"\0\x04\x80\0\0\0", false),
            (b"\0\x02\0\0\0\x02", false),
            (b"\0\x05\0\0\0\x01", false),
            (b"\x1a\x2a\0\0\0\x01", false),
            (b"\x1a\x2a\0\0\0\x01\0\x01\0\0\x10\0", true),
            (b"\x01\x01\0\0\0\x01", false),
            (b"", false),
        ] {
            assert_eq!(are_settings(payload), fits, "{payload:?}");
        }
        assert_eq!(header_table_size(b"\0\x01\0\0\x10\0\0\x01\0\x01\0\0"), Some(65_536));
        assert_eq!(header_table_size(b"\0\x03\0\0\x10\0"), None);
    }
}
