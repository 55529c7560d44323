//! Percent escapes (RFC 3986 section 2.1), for all bytes or for those that common encoders escape.

use super::{Case, Depth, END, Escape, Place, Transform, Written, digit};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["url"],
    says: "percent escapes of all bytes, or of those that RFC 3986, `encodeURIComponent`, `encodeURI` or HTML forms escape; a space may be `+`; hex digits of either case",
    place: Place::Anywhere,
    write: |bytes, depth| {
        let mut all: Vec<Written> = Vec::new();
        for (kept, plus) in ways(bytes, depth) {
            let bytes = percent(bytes, kept, plus);
            all.push(Written { id: "url", bytes, case: Case::escaped(Escape::Percent) });
        }
        all
    },
    keeps: |byte, depth| depth != Depth::Text && KEPT.get(RFC_3986).is_some_and(|kept| is_kept(kept, byte)),
    ends: Some(|bytes, depth, each| {
        for (kept, plus) in ways(bytes, depth) {
            let width = |byte: u8| if is_kept(kept, byte) || (plus && byte == b' ') { 1 } else { 3 };
            let length = bytes.iter().map(|byte| width(*byte)).sum();
            let (mut text, mut at) = ([0; END + 3], END + 3);
            for &byte in bytes.iter().rev() {
                if at < 3 {
                    break;
                }
                let whole = [b'%', digit(byte >> 4), digit(byte)];
                let written = match width(byte) {
                    1 if byte == b' ' && plus => b"+",
                    1 => std::slice::from_ref(&byte),
                    _ => whole.as_slice(),
                };
                at -= written.len();
                if let Some(place) = text.get_mut(at..at + written.len()) {
                    place.copy_from_slice(written);
                }
            }
            each(text.get(at..).unwrap_or_default(), length);
        }
    }),
};

/// What encoders keep, and whether a space is `+`: those ways that change the bytes, and each in another way.
fn ways(bytes: &[u8], depth: Depth) -> impl Iterator<Item = (&'static [bool; 256], bool)> {
    // Of each byte the encoders that keep it, as bits; each set of encoders once.
    let mut sets = 0_u32;
    for byte in bytes {
        sets |= 1 << KEPT_BY.get(usize::from(*byte)).copied().unwrap_or_default();
    }
    let space = bytes.contains(&b' ');
    let keeps = move |way: usize, set: u32| set >> way & 1 == 1;
    let present = move || (0..1_u32 << KEPT.len()).filter(move |set| sets >> set & 1 == 1);
    let changes = move |way: usize| present().any(|set| !keeps(way, set));
    let alike = move |a: usize, b: usize| present().all(|set| keeps(a, set) == keeps(b, set));
    let wanted = move |way: usize, plus: bool| match depth {
        Depth::Value | Depth::Nested | Depth::Text => true,
        Depth::Digest => way <= RFC_3986 && !plus,
        Depth::Deep => way == RFC_3986 && !plus,
        Depth::Third => {
            if plus {
                way == FORMS
            } else {
                way == RFC_3986
            }
        }
    };
    let all = KEPT.iter().enumerate().flat_map(|(way, kept)| [(way, kept, false), (way, kept, true)]);
    all.filter(move |&(way, _, plus)| {
        // A space that is `+` stands among others that are kept.
        let plain = !plus || (space && way > 0);
        plain
            && wanted(way, plus)
            && changes(way)
            && !(0..way).any(|w| wanted(w, plus) && (w > 0 || !plus) && alike(w, way))
    })
    .map(|(_, kept, plus)| (kept, plus))
}

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

/// The strict encoders among them, and those of forms.
const RFC_3986: usize = 1;
const FORMS: usize = 3;

/// Of each byte the encoders that keep it, the first as the lowest bit.
static KEPT_BY: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut way = 0;
        while way < KEPT.len() {
            #[expect(
                clippy::indexing_slicing,
                reason = "evaluated while compiling, where `get_mut` cannot be called"
            )]
            if KEPT[way][byte] {
                table[byte] |= 1 << way;
            }
            way += 1;
        }
        byte += 1;
    }
    table
};

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

fn is_kept(kept: &[bool; 256], byte: u8) -> bool {
    kept.get(usize::from(byte)).is_some_and(|kept| *kept)
}

fn percent(raw: &[u8], kept: &[bool; 256], plus_for_space: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() * 3);
    for &byte in raw {
        match byte {
            b' ' if plus_for_space => out.push(b'+'),
            _ if is_kept(kept, byte) => out.push(byte),
            _ => out.extend([b'%', digit(byte >> 4), digit(byte)]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::texts;
    use super::*;

    #[test]
    fn around_another_encoder_every_way_is_searched_that_differs() {
        let written = |text: &str, depth| texts(&TRANSFORM, text, depth);
        let json = r"Gr\u00fcn (drei)! um 8";
        for (by, expected) in [
            ("RFC 3986", "Gr%5cu00fcn%20%28drei%29%21%20um%208"),
            ("encodeURIComponent", "Gr%5cu00fcn%20(drei)!%20um%208"),
            ("forms", "Gr%5cu00fcn+%28drei%29%21+um+8"),
        ] {
            assert!(written(json, Depth::Text).iter().any(|w| w == expected), "{by}");
        }
        assert!(written(json, Depth::Text).iter().any(|w| w.starts_with("%47%72%5c")), "all bytes");
        assert_eq!(written(json, Depth::Deep), ["Gr%5cu00fcn%20%28drei%29%21%20um%208"]);
        assert_eq!(written("b64url_-", Depth::Deep), Vec::<String>::new());
        assert_eq!(written("abc", Depth::Text), ["%61%62%63"]);
        assert_eq!(written("a+c", Depth::Text), ["%61%2b%63", "a%2bc"], "encodeURI keeps it");
    }
}
