//! Frames of an opened Initial packet (RFC 9000 section 19).
//!
//! Takes a packet's payload; gives its CRYPTO frames. PADDING, PING, ACK and `CONNECTION_CLOSE` are passed over, which is all that
//! may be there (RFC 9000 section 12.4); at anything else, and at a frame that is cut off, the reading ends.

use super::super::reader::{Reader, Short};
use super::header::varint;

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
