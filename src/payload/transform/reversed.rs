//! The characters in reverse order.

use super::{Case, NOTHING, Place, Transform, Written};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["reversed"],
    says: "the characters from last to first",
    place: Place::Innermost,
    write: |bytes, _| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
        let turned: String = text.chars().rev().collect();
        if turned == text {
            return Vec::new();
        }
        vec![Written { id: "reversed", bytes: turned.into_bytes(), case: Case::LETTERS }]
    },
    keeps: NOTHING,
    ends: None,
};
