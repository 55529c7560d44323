//! UTF-16 in both byte orders (RFC 2781), without the byte order mark.

use super::{Case, NOTHING, Place, Transform, Written};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["utf-16le", "utf-16be"],
    says: "two bytes a character, four beyond the first 65,536, in both byte orders",
    place: Place::Innermost,
    write: |bytes, _| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
        let own = |id, bytes| Written { id, bytes, case: Case::LETTERS };
        vec![
            own("utf-16le", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            own("utf-16be", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ]
    },
    keeps: NOTHING,
    ends: None,
};
