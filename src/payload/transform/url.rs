//! Percent escapes (RFC 3986 section 2.1), for all bytes or for those that common encoders escape.

use super::{Case, Escape, Place, Transform, Written, digit};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["url"],
    says: "percent escapes of all bytes, or of those that RFC 3986, `encodeURIComponent`, `encodeURI` or HTML forms escape; a space may be `+`; hex digits of either case",
    place: Place::Anywhere,
    write: |bytes, outer| {
        let own = |bytes| Written { id: "url", bytes, case: Case::escaped(Escape::Percent) };
        if outer {
            let escaped = percent(bytes, KEPT[0], false);
            return if escaped == bytes { Vec::new() } else { vec![own(escaped)] };
        }
        let mut all = vec![own(percent(bytes, b"", false))];
        for kept in KEPT {
            all.push(own(percent(bytes, kept, false)));
            all.push(own(percent(bytes, kept, true)));
        }
        all.retain(|w| w.bytes != bytes);
        all
    },
};

/// Characters that common encoders leave as they are.
const KEPT: [&[u8]; 4] = [
    // RFC 3986 section 2.3, "unreserved": strict encoders.
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~",
    // encodeURIComponent of ECMAScript.
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!*'()",
    // application/x-www-form-urlencoded of the WHATWG URL standard; with '+' for a space.
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._*",
    // encodeURI of ECMAScript: a whole address.
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!*'();/?:@&=+$,#",
];

fn percent(raw: &[u8], kept: &[u8], plus_for_space: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() * 3);
    for &byte in raw {
        match byte {
            b' ' if plus_for_space => out.push(b'+'),
            _ if kept.contains(&byte) => out.push(byte),
            _ => out.extend([b'%', digit(byte >> 4), digit(byte)]),
        }
    }
    out
}
