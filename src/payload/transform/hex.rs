//! Hexadecimal: two digits a byte, of either case, without separators (RFC 4648 section 8).

use super::{Case, END, NOTHING, Place, Transform, Written, digit};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["hex"],
    says: "two digits a byte, either case, no separators",
    place: Place::Anywhere,
    write: |bytes, _| {
        let mut text = Vec::with_capacity(2 * bytes.len());
        for &b in bytes {
            text.extend([digit(b >> 4), digit(b)]);
        }
        vec![Written { id: "hex", bytes: text, case: Case::FREE }]
    },
    keeps: NOTHING,
    ends: Some(|bytes, _, each| {
        let last = bytes.get(bytes.len().saturating_sub(END / 2)..).unwrap_or_default();
        let mut text = [0; END];
        for (to, byte) in text.iter_mut().zip(last.iter().flat_map(|&b| [digit(b >> 4), digit(b)])) {
            *to = byte;
        }
        each(text.get(..2 * last.len()).unwrap_or_default(), 2 * bytes.len());
    }),
};
