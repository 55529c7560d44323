//! 64 bytes at once: which of them are text, begin a character of UTF-8, or go on with one; and how long such a character is.
//!
//! Each answer for 64 is a number whose lowest bit is the first byte's. Eight bytes at a time in one number (Warren, Hacker's Delight,
//! section 6-1): a look-up for each costs three times as much, as branches on ciphertext cannot be foretold.

/// Bytes that are asked at once.
pub(super) const BLOCK: usize = 64;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// Printable ASCII, tabs and ends of lines.
pub(super) fn text(block: &[u8; BLOCK]) -> u64 {
    // Sums of at most 0x7f and at most 0x80 in each byte: none carries into the next.
    mask(block, |word| {
        let low = word & !HIGH;
        let not_control = low + (0x80 - 0x20) * ONES;
        let delete = low + ONES;
        let is = |c: u8| !((low ^ (u64::from(c) * ONES)) + 0x7f * ONES);
        ((not_control & !delete) | is(b'\t') | is(b'\n') | is(b'\r')) & !word
    })
}

/// First bytes of characters beyond ASCII: 0xc2 to 0xf4 (RFC 3629 section 4).
pub(super) fn leads(block: &[u8; BLOCK]) -> u64 {
    mask(block, |word| {
        let low = word & !HIGH;
        let least = low + (0x80 - 0x42) * ONES;
        let beyond = low + (0x80 - 0x75) * ONES;
        word & least & !beyond
    })
}

/// Bytes of the character beyond ASCII that begins with this one (RFC 3629 section 4); none where no character does.
pub(super) fn character_length(lead: u8) -> Option<usize> {
    match lead {
        0xc2..0xe0 => Some(2),
        0xe0..0xf0 => Some(3),
        0xf0..0xf5 => Some(4),
        _ => None,
    }
}

/// Bytes after the first of characters beyond ASCII: 0x80 to 0xbf.
pub(super) fn continuations(block: &[u8; BLOCK]) -> u64 {
    mask(block, |word| word & !(word << 1))
}

/// The highest bit of each byte of what `of` makes of eight of them.
fn mask(block: &[u8; BLOCK], of: impl Fn(u64) -> u64) -> u64 {
    let packed = |bits: u64| (bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let (words, _) = block.as_chunks();
    words.iter().rev().fold(0, |mask, word| (mask << 8) | packed(of(u64::from_le_bytes(*word)) & HIGH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_in_every_place() {
        for byte in 0..=255_u8 {
            for other in [0, b'a', 0x80, 0xc3, 0xff] {
                for place in 0..BLOCK {
                    let mut block = [other; BLOCK];
                    block[place] = byte;
                    let bit = |mask: u64| mask >> place & 1 == 1;
                    let is_text = matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
                    assert_eq!(bit(text(&block)), is_text, "{byte:#x} among {other:#x}");
                    assert_eq!(
                        bit(leads(&block)),
                        (0xc2..0xf5).contains(&byte),
                        "{byte:#x} among {other:#x}"
                    );
                    assert_eq!(
                        bit(continuations(&block)),
                        (0x80..0xc0).contains(&byte),
                        "{byte:#x} among {other:#x}"
                    );
                }
            }
        }
    }
}
