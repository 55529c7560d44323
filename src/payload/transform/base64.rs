//! Base64 (RFC 4648 sections 4 and 5), both alphabets, in the three alignments to the groups of three bytes.

use super::super::base64::{STANDARD, URL_SAFE, encode};
use super::{Case, NOTHING, Place, Transform, Written, endings_of_bits};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["base64", "base64url"],
    says: "three alignments, both alphabets; only the characters that the value alone decides are searched and reported",
    place: Place::Anywhere,
    write: |bytes, _| {
        let alphabets = [("base64", STANDARD), ("base64url", URL_SAFE)];
        let all =
            alphabets.into_iter().flat_map(|(id, alphabet)| (0..3).map(move |shift| (id, alphabet, shift)));
        all.map(|(id, alphabet, shift)| Written {
            id,
            bytes: aligned(bytes, shift, alphabet),
            case: Case::EXACT,
        })
        .collect()
    },
    keeps: NOTHING,
    ends: Some(|bytes, _, each| endings_of_bits::<6, 64>(bytes, &[STANDARD, URL_SAFE], each)),
};

/// The characters that `bytes` alone decide when `shift` bytes precede them in their group of three.
fn aligned(bytes: &[u8], shift: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let mut whole = vec![0; shift];
    whole.extend_from_slice(bytes);
    let first = (8 * shift).div_ceil(6);
    let end = 8 * whole.len() / 6;
    let mut text = encode(&whole, alphabet);
    text.truncate(end);
    text.drain(..first.min(end));
    text
}
