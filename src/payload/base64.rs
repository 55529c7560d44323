//! Base64 (RFC 4648 sections 4 and 5), both alphabets, with or without padding.
//!
//! Takes text from the wire; gives its bytes, or `None` when a receiver could not have read it either.
//! Refuses foreign characters, padding in the middle and lengths that no input has. Accepts unused bits that are
//! not zero (RFC 4648 section 3.5 leaves that to the decoder): a log-in written so is readable all the same.

/// The standard alphabet.
pub const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The alphabet for URLs and file names.
pub const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The bytes that `text` stands for; spaces around it are ignored.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    let padding = text.iter().rev().take_while(|&&b| b == b'=').count();
    let body = text.get(..text.len().checked_sub(padding)?)?;
    if padding > 2 || body.len() % 4 == 1 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() / 4 * 3 + 2);
    let (mut bits, mut have) = (0_u32, 0_u32);
    for &byte in body {
        bits = (bits << 6) | sextet(byte)?;
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
            bits &= (1 << have) - 1;
        }
    }
    Some(out)
}

/// `bytes` in the given alphabet, without padding.
#[must_use]
pub fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 4 / 3 + 2);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, &b| (word << 8) | u32::from(b)) << (8 * (3 - group.len()));
        // Six bits are a place in the alphabet, whatever they are.
        let text =
            [18, 12, 6, 0].map(|by| alphabet.get((word >> by & 63) as usize).copied().unwrap_or_default());
        out.extend_from_slice(text.get(..=group.len()).unwrap_or_default());
    }
    out
}

/// The six bits of a character of either alphabet.
pub(super) fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
