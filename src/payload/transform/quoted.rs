//! Quoted-printable (RFC 2045 section 6.7) and its form in header fields, Q (RFC 2047 section 4.2).

use super::{Case, Escape, Place, Transform, Written, digit};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["quoted-printable"],
    says: "`=` and two digits, of all bytes or of those that have to be escaped; soft line breaks; a space may be `_` (header fields)",
    place: Place::Inner,
    write: |bytes, depth| {
        let own = |bytes| Written { id: "quoted-printable", bytes, case: Case::escaped(Escape::Equals) };
        let write = |all: bool, underscore: bool| {
            let mut out = Vec::with_capacity(bytes.len() * 3);
            for &byte in bytes {
                match byte {
                    b' ' if underscore => out.push(b'_'),
                    b'_' | b'?' if underscore => out.extend([b'=', digit(byte >> 4), digit(byte)]),
                    b' '..=b'<' | b'>'..=b'~' if !all => out.push(byte),
                    _ => out.extend([b'=', digit(byte >> 4), digit(byte)]),
                }
            }
            out
        };
        let mut all = vec![write(false, false)];
        if !depth.is_text() {
            all.extend([write(true, false), write(false, true)]);
        }
        all.retain(|b| b != bytes);
        all.into_iter().map(own).collect()
    },
    keeps: |byte, _| matches!(byte, b' '..=b'<' | b'>'..=b'~'),
    ends: None,
};
