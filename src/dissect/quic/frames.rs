//! Frames of opened packets (RFC 9000 section 19).
//!
//! Takes a packet's payload; gives the CRYPTO frames of an Initial, where PADDING, PING, ACK and `CONNECTION_CLOSE` are passed over,
//! which is all that may be there (RFC 9000 section 12.4), and of later packets all frames that carry something. At anything else,
//! and at a frame that is cut off, the reading ends.

use super::super::reader::{Reader, Short};
use super::header::varint;

/// A frame that carries something, or changes how later packets are read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// Offset and bytes.
    Crypto(u64, &'a [u8]),
    /// Bytes of a stream; `end` when they are its last.
    Stream { id: u64, offset: u64, data: &'a [u8], end: bool },
    /// The sender gives a stream up.
    Reset { id: u64 },
    /// The sender has another connection id, of this length.
    NewId { length: usize },
    /// RFC 9221.
    Datagram(&'a [u8]),
    /// The connection is over.
    Close,
}

/// Calls `each` with the frames of a Handshake, 0-RTT or 1-RTT packet.
pub(super) fn later<'a>(payload: &'a [u8], mut each: impl FnMut(Frame<'a>)) {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        match later_frame(&mut r) {
            Ok(Some(frame)) => each(frame),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// `n` bytes, or all that are left.
fn some<'a>(r: &mut Reader<'a>, length: Option<u64>) -> Result<&'a [u8], Short> {
    let n = length.map_or(r.rest().len(), |n| usize::try_from(n).unwrap_or(usize::MAX));
    r.take("frame content", n)
}

fn later_frame<'a>(r: &mut Reader<'a>) -> Result<Option<Frame<'a>>, Short> {
    let mut ahead = r.clone();
    let kind = varint(&mut ahead, "frame type")?;
    let numbers = match kind {
        0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => 1,
        0x05 | 0x11 | 0x15 => 2,
        0xaf => 4, // ACK_FREQUENCY, draft-ietf-quic-ack-frequency
        _ => 0,
    };
    match kind {
        0..=3 | 6 | 0x1c | 0x1d => {
            let crypto = frame(r, false)?;
            return Ok(match crypto {
                Some((offset, bytes)) => Some(Frame::Crypto(offset, bytes)),
                None => (kind >= 0x1c).then_some(Frame::Close),
            });
        }
        _ => *r = ahead,
    }
    for _ in 0..numbers {
        varint(r, "number of a frame")?;
    }
    Ok(match kind {
        0x04 => {
            let id = varint(r, "stream id")?;
            varint(r, "error code")?;
            varint(r, "final size")?;
            Some(Frame::Reset { id })
        }
        0x07 => {
            let length = varint(r, "token length")?;
            some(r, Some(length))?;
            None
        }
        0x08..=0x0f => {
            let id = varint(r, "stream id")?;
            let offset = if kind & 4 != 0 { varint(r, "stream offset")? } else { 0 };
            let length = if kind & 2 != 0 { Some(varint(r, "stream length")?) } else { None };
            let data = some(r, length)?;
            Some(Frame::Stream { id, offset, data, end: kind & 1 != 0 })
        }
        0x18 => {
            varint(r, "sequence number")?;
            varint(r, "retire prior to")?;
            let length = r.vec8("connection id")?.rest().len();
            r.take("reset token", 16)?;
            Some(Frame::NewId { length })
        }
        0x1a | 0x1b => {
            r.take("path data", 8)?;
            None
        }
        0x30 => Some(Frame::Datagram(some(r, None)?)),
        0x31 => {
            let length = varint(r, "datagram length")?;
            Some(Frame::Datagram(some(r, Some(length))?))
        }
        // HANDSHAKE_DONE, IMMEDIATE_ACK.
        0x1e | 0x1f => None,
        _ if numbers > 0 => None,
        _ => return Err(Short { field: "frame of a known type", at: r.at(), needed: 1, left: 0 }),
    })
}

/// Calls `each` with offset and bytes of each CRYPTO frame. `google` is the numbering of Google's versions, whose CRYPTO frame is
/// 8 and whose PING is 7 (quiche, `quic/core/quic_types.h`, 2020).
pub(super) fn crypto<'a>(payload: &'a [u8], google: bool, mut each: impl FnMut(u64, &'a [u8])) {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        match frame(&mut r, google) {
            Ok(Some((offset, bytes))) => each(offset, bytes),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fn frame<'a>(r: &mut Reader<'a>, google: bool) -> Result<Option<(u64, &'a [u8])>, Short> {
    let at = r.at();
    match (varint(r, "frame type")?, google) {
        (0, _) | (1, false) | (7, true) => {}
        (6, false) | (8, true) => {
            let offset = varint(r, "crypto offset")?;
            let length = varint(r, "crypto length")?;
            return Ok(Some((offset, r.take("crypto data", usize::try_from(length).unwrap_or(usize::MAX))?)));
        }
        (kind @ (2 | 3), false) => {
            varint(r, "largest acknowledged")?;
            varint(r, "ack delay")?;
            let ranges = varint(r, "ack range count")?;
            varint(r, "first ack range")?;
            // Ends with the payload, whatever the count says.
            for _ in 0..ranges {
                varint(r, "ack gap")?;
                varint(r, "ack range")?;
            }
            for _ in 0..if kind == 3 { 3 } else { 0 } {
                varint(r, "ecn count")?;
            }
        }
        (kind @ (0x1c | 0x1d), false) => {
            varint(r, "error code")?;
            if kind == 0x1c {
                varint(r, "frame type of the error")?;
            }
            let length = varint(r, "reason length")?;
            r.take("reason", usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        _ => return Err(Short { field: "frame of a known type", at, needed: 1, left: 0 }),
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8], google: bool) -> Vec<(u64, Vec<u8>)> {
        let mut seen = Vec::new();
        crypto(payload, google, |offset, bytes| seen.push((offset, bytes.to_vec())));
        seen
    }

    #[test]
    fn other_frames_are_passed_over() {
        let payload = [
            &[0, 0, 1][..],
            &[2, 9, 1, 2, 0, 1, 1, 1, 1], // ACK with two ranges
            &[3, 9, 1, 0, 0, 1, 2, 3],    // ACK with ECN counts
            &[6, 0x40, 0x10, 3, b'a', b'b', b'c'],
            &[0x1c, 7, 6, 2, b'n', b'o'],
            &[0x1d, 7, 0],
            &[6, 0, 1, b'z'],
        ]
        .concat();
        assert_eq!(read(&payload, false), [(16, b"abc".to_vec()), (0, b"z".to_vec())]);
        for cut in 0..payload.len() {
            let whole = usize::from(cut >= 27);
            assert_eq!(read(&payload[..cut], false).len(), whole, "{cut}");
        }
    }

    #[test]
    fn later_packets_carry_more() {
        let payload = [
            &[0, 1, 0x1e][..],
            &[2, 9, 1, 0, 1],
            &[0x10, 0x41, 0],
            &[0x0e, 4, 0x40, 9, 3, b'a', b'b', b'c'],
            &[0x07, 2, 9, 9],
            &[0x18, 1, 0, 5, 1, 2, 3, 4, 5],
            &[7; 16],
            &[0x04, 8, 1, 2],
            &[0x1a, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x31, 1, b'd'],
            &[6, 0, 1, b'z'],
            &[0x1c, 0, 0, 0],
            &[0x09, 8, b'e', b'n', b'd'],
        ]
        .concat();
        let read = |payload: &[u8]| {
            let mut seen = Vec::new();
            later(payload, |frame| seen.push(format!("{frame:?}")));
            seen
        };
        let whole = read(&payload);
        assert_eq!(
            whole,
            [
                "Stream { id: 4, offset: 9, data: [97, 98, 99], end: false }",
                "NewId { length: 5 }",
                "Reset { id: 8 }",
                "Datagram([100])",
                "Crypto(0, [122])",
                "Close",
                "Stream { id: 8, offset: 0, data: [101, 110, 100], end: true }",
            ]
        );
        // The last frame has no length: it may be shorter, never another one.
        for cut in 0..payload.len() - 3 {
            let seen = read(&payload[..cut]);
            let same = seen.iter().zip(&whole).filter(|(a, b)| a == b).count();
            assert!(seen.len() - same <= 1 && seen.len() <= whole.len(), "{cut}: {seen:?}");
        }
        assert_eq!(read(&[0x3f, 6, 0, 1, b'z']), [""; 0], "a type that is not known");
    }

    #[test]
    fn unknown_frames_and_endless_counts_end_the_reading() {
        for (name, payload) in [
            ("stream", &[0x08, 0, 6, 0, 1, b'z'][..]),
            ("ranges", &[2, 0, 0, 0xff, 255, 255, 255, 255, 255, 255, 255, 0, 6, 0, 1, b'z']),
            ("length", &[6, 0, 0xff, 255, 255, 255, 255, 255, 255, 255, b'z']),
        ] {
            assert_eq!(read(payload, false), [], "{name}");
        }
        assert_eq!(read(&[7, 0, 8, 0, 1, b'z'], true), [(0, b"z".to_vec())]);
    }
}
