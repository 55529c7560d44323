//! Base32 (RFC 4648 section 6), in the five alignments to the groups of five bytes, and the user names of Caritas' online
//! counselling: `enc.` before base32 whose padding is written as `.` (CLAIMS ca.n3).

use super::{Case, Depth, END, NOTHING, Place, Transform, Written, endings_of_bits};

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["base32", "caritas-name"],
    says: "five alignments, either case, of digests one; `caritas-name`: after `enc.`, with padding of any kind",
    place: Place::Inner,
    write: |bytes, depth| {
        let own = |id, bytes| Written { id, bytes, case: Case::FREE };
        let shifts = if depth == Depth::Digest { 1 } else { 5 };
        let mut all: Vec<Written> = (0..shifts).map(|shift| own("base32", aligned(bytes, shift))).collect();
        if matches!(depth, Depth::Value | Depth::Nested) {
            all.push(own("caritas-name", [&b"enc."[..], &aligned(bytes, 0)].concat()));
        }
        all
    },
    keeps: NOTHING,
    ends: Some(|bytes, depth, each| {
        if depth == Depth::Digest {
            return (TRANSFORM.write)(bytes, depth).iter().for_each(|w| each(&w.bytes, w.bytes.len()));
        }
        let outer = depth.is_text();
        endings_of_bits::<5, 32>(bytes, &[ALPHABET], each);
        let length = 8 * bytes.len() / 5;
        // A longer one ends as base32 alone does.
        if !outer && length < END {
            let name = [&b"enc."[..], &aligned(bytes, 0)].concat();
            each(&name, name.len());
        } else if !outer {
            let last = aligned(bytes, 0);
            each(last.get(length - END..).unwrap_or_default(), length + 4);
        }
    }),
};

/// The characters that `bytes` alone decide when `shift` bytes precede them in their group of five.
fn aligned(bytes: &[u8], shift: usize) -> Vec<u8> {
    let (first, end) = ((8 * shift).div_ceil(5), 8 * (shift + bytes.len()) / 5);
    let byte =
        |at: usize| u16::from(at.checked_sub(shift).and_then(|i| bytes.get(i)).copied().unwrap_or_default());
    let character = |place: usize| {
        let (at, bit) = (5 * place / 8, 5 * place % 8);
        usize::from((byte(at) << 8 | byte(at + 1)) >> (11 - bit) & 31)
    };
    (first..end).filter_map(|place| ALPHABET.get(character(place)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_rfc_4648() {
        // The last character of "foob" holds padding bits, and is left away.
        assert_eq!(aligned(b"fooba", 0), b"MZXW6YTB");
        assert_eq!(aligned(b"foob", 0), b"MZXW6Y");
        assert_eq!(aligned(b"a", 4), b"B", "only the last character is the value's alone");
    }
}
