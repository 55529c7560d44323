//! Hexadecimal: two digits a byte, of either case, without separators (RFC 4648 section 8).

use super::{Case, Place, Transform, Written, digit};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["hex"],
    says: "two digits a byte, either case, no separators",
    place: Place::Anywhere,
    write: |bytes, _| {
        let bytes = bytes.iter().flat_map(|&b| [digit(b >> 4), digit(b)]).collect();
        vec![Written { id: "hex", bytes, case: Case::FREE }]
    },
};
