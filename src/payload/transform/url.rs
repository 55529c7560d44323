//! Percent escapes (RFC 3986 section 2.1), for all bytes or for those that common encoders escape.

use super::{Case, END, Escape, Place, Transform, Written, digit};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["url"],
    says: "percent escapes of all bytes, or of those that RFC 3986, `encodeURIComponent`, `encodeURI` or HTML forms escape; a space may be `+`; hex digits of either case",
    place: Place::Anywhere,
    write: |bytes, outer| {
        let own = |bytes| Written { id: "url", bytes, case: Case::escaped(Escape::Percent) };
        if outer {
            let escaped = percent(bytes, &KEPT[1], false);
            return if escaped == bytes { Vec::new() } else { vec![own(escaped)] };
        }
        let mut all: Vec<Written> = Vec::new();
        // A space that is `+` stands among others that are kept.
        let ways = KEPT.iter().flat_map(|kept| [(kept, false), (kept, true)]);
        for (kept, plus) in ways.filter(|(kept, plus)| !plus || kept.contains(&true)) {
            let escaped = percent(bytes, kept, plus);
            // Most values have few of the characters that encoders differ in.
            if escaped != bytes && all.iter().all(|w| w.bytes != escaped) {
                all.push(own(escaped));
            }
        }
        all
    },
    ends: Some(|bytes, outer, each| {
        if !outer {
            return (TRANSFORM.write)(bytes, false).iter().for_each(|w| each(&w.bytes, w.bytes.len()));
        }
        let is_kept = |byte: u8| KEPT[1].get(usize::from(byte)).is_some_and(|kept| *kept);
        let escaped = bytes.iter().filter(|b| !is_kept(**b)).count();
        if escaped == 0 {
            return;
        }
        let (mut text, mut at) = ([0; END + 3], END + 3);
        for &byte in bytes.iter().rev() {
            if at < 3 {
                break;
            }
            let whole = [b'%', digit(byte >> 4), digit(byte)];
            let written = if is_kept(byte) { std::slice::from_ref(&byte) } else { &whole };
            at -= written.len();
            if let Some(place) = text.get_mut(at..at + written.len()) {
                place.copy_from_slice(written);
            }
        }
        each(text.get(at..).unwrap_or_default(), bytes.len() + 2 * escaped);
    }),
};

/// Characters that encoders leave as they are: none, then those of common ones.
static KEPT: [[bool; 256]; 5] = [
    kept(b""),
    // RFC 3986 section 2.3, "unreserved": strict encoders.
    kept(b"-._~"),
    // encodeURIComponent of ECMAScript.
    kept(b"-._~!*'()"),
    // application/x-www-form-urlencoded of the WHATWG URL standard; with '+' for a space.
    kept(b"-._*"),
    // encodeURI of ECMAScript: a whole address.
    kept(b"-._~!*'();/?:@&=+$,#"),
];

/// Letters, digits and these; nothing at all where none are given.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where `get_mut` cannot be called")]
const fn kept(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = !others.is_empty() && (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

fn percent(raw: &[u8], kept: &[bool; 256], plus_for_space: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() * 3);
    for &byte in raw {
        match byte {
            b' ' if plus_for_space => out.push(b'+'),
            _ if kept.get(usize::from(byte)).is_some_and(|kept| *kept) => out.push(byte),
            _ => out.extend([b'%', digit(byte >> 4), digit(byte)]),
        }
    }
    out
}
