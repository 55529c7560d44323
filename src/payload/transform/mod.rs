//! The ways in which a value may be written: one file for each, one line in [`TRANSFORMS`] or [`DIGESTS`].
//!
//! Takes bytes; gives the texts that an encoder may make of them, each with the name that findings give it. Says which may
//! stand around which ([`Place`]), and which letters may be small or capital ([`Case`]). Knows no canaries; [`super::forms`]
//! makes chains of them.

use std::sync::LazyLock;

mod base32;
mod base64;
mod digest;
mod hex;
mod html;
mod json;
mod keyed;
mod protobuf;
mod punycode;
mod quoted;
mod reversed;
mod rot;
mod url;
mod utf16;

pub(super) use digest::DIGESTS;
pub(super) use keyed::BUILT_IN as KEYS_BUILT_IN;
pub use keyed::{Key, KeyError, KeyOver, Keys};
pub(crate) use punycode::a_label;

/// All transforms, in the order in which their forms are made: of equal forms the first gives its name.
pub(super) static TRANSFORMS: &[&Transform] = &[
    &hex::TRANSFORM,
    &base64::TRANSFORM,
    &base32::TRANSFORM,
    &url::TRANSFORM,
    &html::TRANSFORM,
    &json::TRANSFORM,
    &quoted::TRANSFORM,
    &utf16::TRANSFORM,
    &reversed::TRANSFORM,
    &rot::TRANSFORM,
    &punycode::TRANSFORM,
    &protobuf::TRANSFORM,
];

/// One way to write bytes.
pub(super) struct Transform {
    /// Names that its forms may have in `encoding`.
    pub(super) ids: &'static [&'static str],
    /// What is found, for `docs/payload.md`.
    pub(super) says: &'static str,
    /// Where it may stand in a chain.
    pub(super) place: Place,
    /// All texts an encoder may make of the bytes, as far as the depth says; an empty answer means that nothing has to be escaped.
    pub(super) write: fn(bytes: &[u8], depth: Depth) -> Vec<Written>,
    /// Whether a byte is written as it is, at depths of text: a text of nothing else is not written at all.
    pub(super) keeps: fn(byte: u8, depth: Depth) -> bool,
    /// The same texts by their ends alone, where that is quicker; see [`Transform::endings`].
    pub(super) ends: Option<Ends>,
}

/// Of a transform that changes every text.
const NOTHING: fn(u8, Depth) -> bool = |_, _| false;

/// Of each byte the transforms that change it, one bit for each, by the [`Depth::TEXTS`].
static CHANGED_BY: LazyLock<[[u32; 256]; Depth::TEXTS.len()]> = LazyLock::new(|| {
    Depth::TEXTS.map(|depth| {
        let changes = |byte: u8| {
            TRANSFORMS.iter().rev().fold(0, |bits, t| bits << 1 | u32::from(!(t.keeps)(byte, depth)))
        };
        std::array::from_fn(|byte| changes(byte as u8))
    })
});

/// The [`TRANSFORMS`] that may change a text.
#[derive(Clone, Copy)]
pub(super) struct Changing {
    bits: u32,
    /// Nothing is changed but by those that change every text, and in one way each: how what they write ends, the text's end decides.
    pub(super) plain: bool,
}

impl Changing {
    /// In one pass over the text.
    pub(super) fn of(bytes: &[u8], depth: Depth) -> Changing {
        let Some(by) = Depth::TEXTS.iter().position(|d| *d == depth).and_then(|at| CHANGED_BY.get(at)) else {
            return Changing { bits: u32::MAX, plain: false };
        };
        let bits_of = |byte: u8| by.get(usize::from(byte)).copied().unwrap_or_default();
        let bits = bytes.iter().fold(0, |bits, byte| bits | bits_of(*byte));
        // At the depth of every way the ways differ in what they keep.
        Changing { bits, plain: depth != Depth::Text && bits == bits_of(b'a') }
    }

    /// Whether the transform at this place may.
    pub(super) fn by(self, place: usize) -> bool {
        self.bits >> place & 1 == 1
    }

    pub(super) fn transforms(self) -> impl Iterator<Item = &'static Transform> {
        TRANSFORMS.iter().enumerate().filter(move |(place, _)| self.by(*place)).map(|(_, t)| *t)
    }
}

/// Gives the last [`END`] bytes or more of each text that `write` makes (all of a shorter one) with the text's length. An ending may
/// be given that no text has.
pub(super) type Ends = fn(bytes: &[u8], depth: Depth, each: &mut dyn FnMut(&[u8], usize));

/// Bytes of an ending.
pub(super) const END: usize = 16;

impl Transform {
    /// The endings of all texts that an encoder may make of the bytes, with the length of each text.
    pub(super) fn endings(&self, bytes: &[u8], depth: Depth, each: &mut dyn FnMut(&[u8], usize)) {
        match self.ends {
            Some(ends) => ends(bytes, depth, each),
            None => (self.write)(bytes, depth).iter().for_each(|w| each(&w.bytes, w.bytes.len())),
        }
    }
}

/// The endings of bytes written in characters of `WIDTH` bits, in all alignments to the groups of the encoding: they differ in how many
/// of the last bits are left to the character that others decide too.
fn endings_of_bits<const WIDTH: usize, const SIZE: usize>(
    bytes: &[u8],
    alphabets: &[&[u8; SIZE]],
    each: &mut dyn FnMut(&[u8], usize),
) {
    let last = bytes.get(bytes.len().saturating_sub(END)..).unwrap_or_default();
    let value = last.iter().fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    // Five bytes are eight characters of base32, three are four of base64.
    for shift in 0..if WIDTH == 5 { 5_usize } else { 3 } {
        let first = (8 * shift).div_ceil(WIDTH);
        let bits = 8 * (shift + bytes.len());
        let length = (bits / WIDTH).saturating_sub(first);
        let rest = value >> (bits % WIDTH);
        // Two halves of characters, each in one word.
        let halves = [(rest >> (WIDTH * END / 2)) as u64, rest as u64];
        let mut places = [0_u8; END];
        for (half, places) in halves.iter().zip(places.chunks_exact_mut(END / 2)) {
            for (place, at) in places.iter_mut().zip((0..END / 2).rev()) {
                *place = (half >> (WIDTH * at)) as u8 & ((1 << WIDTH) - 1);
            }
        }
        let from = END - length.min(END);
        // The alphabets of base64 differ in their last two characters.
        let alike = places.iter().skip(from).all(|place| *place < 62);
        for alphabet in alphabets.get(..if alike { 1 } else { alphabets.len() }).unwrap_or_default() {
            let text = places.map(|place| alphabet.get(usize::from(place)).copied().unwrap_or_default());
            each(text.get(from..).unwrap_or_default(), length);
        }
    }
}

/// What the bytes are that are written: encoders differ in what they escape, and how many of their ways are searched depends on how
/// often such a chain is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The value itself: every way.
    Value,
    /// The value itself, with two layers around what is written: the ways of most encoders.
    Nested,
    /// A digest: any bytes, which nothing stands beside.
    Digest,
    /// The text of another encoder: every way to write what has to be escaped.
    Text,
    /// The text of another encoder, within one more layer or of one that is seldom met: one way.
    Deep,
    /// The text of two encoders: one way, of addresses also that of forms.
    Third,
}

impl Depth {
    /// Those of texts of another encoder.
    const TEXTS: [Depth; 3] = [Depth::Text, Depth::Deep, Depth::Third];

    /// The bytes are the text of another encoder.
    pub(super) fn is_text(self) -> bool {
        Depth::TEXTS.contains(&self)
    }
}

/// Where a transform may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Innermost only, around the value itself.
    Innermost,
    /// Anywhere, up to the second of three.
    Inner,
    /// Anywhere.
    Anywhere,
}

/// One text made by a transform.
pub(super) struct Written {
    pub(super) id: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) case: Case,
}

/// What a difference in ASCII case means outside of escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rest {
    /// Another text.
    Exact,
    /// Nothing.
    Free,
    /// The same text in other letters: reported as `case`.
    Letters,
    /// As in the text inside.
    Inside,
}

/// Escapes whose digits may be of either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Escape {
    /// No escapes.
    None,
    /// `%` and two digits.
    Percent,
    /// `=` and two digits.
    Equals,
    /// `\u` and four digits.
    Unicode,
    /// `&#x`, digits, `;`.
    Entity,
}

/// How to compare what stands in the traffic with a form, both regardless of ASCII case already equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Case {
    pub(super) escape: Escape,
    pub(super) rest: Rest,
}

impl Case {
    pub(super) const EXACT: Case = Case { escape: Escape::None, rest: Rest::Exact };
    pub(super) const FREE: Case = Case { escape: Escape::None, rest: Rest::Free };
    pub(super) const LETTERS: Case = Case { escape: Escape::None, rest: Rest::Letters };

    /// Text with escapes, of what was compared by `self` inside.
    pub(super) const fn escaped(escape: Escape) -> Case {
        Case { escape, rest: Rest::Inside }
    }

    /// The rule for text of this kind around text that is compared by `inside`.
    pub(super) fn around(self, inside: Case) -> Case {
        let rest = match (self.rest, inside) {
            (Rest::Inside, Case { escape: Escape::None, rest }) => rest,
            // Escapes within escapes: what encoders of both layers write is searched, nothing else.
            (Rest::Inside, _) => Rest::Exact,
            (own, _) => own,
        };
        Case { escape: self.escape, rest }
    }

    /// Digits of an escape that follow this byte: the next one is of an escape when there are any.
    fn follow(self, free: usize, before: Option<u8>, byte: u8) -> usize {
        match (self.escape, byte) {
            (Escape::Percent, b'%') | (Escape::Equals, b'=') => 2,
            (Escape::Unicode, b'u') if before == Some(b'\\') => 4,
            (Escape::Entity, b'x') if before == Some(b'#') => usize::MAX,
            (Escape::Entity, b';') => 0,
            _ => free.saturating_sub(1),
        }
    }

    /// `form` with capital digits in its escapes.
    pub(super) fn capitals(self, form: &[u8]) -> Vec<u8> {
        let (mut free, mut before) = (0, None);
        let mut one = |&byte: &u8| {
            let inside = free > 0;
            free = self.follow(free, before, byte);
            before = Some(byte);
            if inside { byte.to_ascii_uppercase() } else { byte }
        };
        form.iter().map(&mut one).collect()
    }

    /// Whether `seen`, equal to `form` but for ASCII case, means the same: `None` when not, else whether letters differ.
    pub(super) fn judge(self, form: &[u8], seen: &[u8]) -> Option<bool> {
        let (mut free, mut before) = (0_usize, None);
        let mut differs = false;
        for (&want, &got) in form.iter().zip(seen) {
            let inside = free > 0;
            free = self.follow(free, before, want);
            before = Some(want);
            if want != got && !inside && self.rest != Rest::Free {
                // The `x` of an entity may be a capital too.
                let marker = self.escape == Escape::Entity && free == usize::MAX;
                if self.rest != Rest::Letters && !marker {
                    return None;
                }
                differs |= !marker;
            }
        }
        Some(differs)
    }
}

/// A hex digit, small.
pub(super) fn digit(value: u8) -> u8 {
    match value & 15 {
        n @ 0..10 => b'0' + n,
        n => b'a' + n - 10,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// All ways in which a transform writes a text.
    pub(super) fn texts(transform: &Transform, text: &str, depth: Depth) -> Vec<String> {
        let all = (transform.write)(text.as_bytes(), depth);
        all.into_iter().map(|w| String::from_utf8(w.bytes).unwrap()).collect()
    }

    #[test]
    fn ids_are_unique_and_explained() {
        let mut seen = std::collections::BTreeSet::new();
        let all = TRANSFORMS.iter().flat_map(|t| t.ids.iter().map(move |id| (*id, t.says)));
        for (id, says) in all.chain(DIGESTS.iter().map(|d| (d.id, "a digest"))) {
            assert!(seen.insert(id), "{id} twice");
            assert!(!says.is_empty());
        }
        for t in TRANSFORMS {
            for written in (t.write)("Jörg 49 <a/b>".as_bytes(), Depth::Value) {
                assert!(t.ids.contains(&written.id), "{} is not declared", written.id);
            }
        }
    }

    #[test]
    fn endings_are_those_of_what_is_written() {
        let texts = [
            "",
            "a",
            "+4915112345678",
            "x/y\"z\\",
            "it's <b> & `c` (d)! *~=+,",
            "a b=c&d%e",
            "Jörg@example.org",
            "line\r\nbreak=\r\n",
        ];
        let long: Vec<u8> = (0..=255).collect();
        let mut inputs: Vec<Vec<u8>> = texts.iter().map(|t| t.as_bytes().to_vec()).collect();
        inputs.extend((0..40).map(|length| long[200..200 + length].to_vec()));
        inputs.extend((0..60).map(|length| long[60..60 + length].to_vec()));
        inputs.push(long);
        for t in TRANSFORMS.iter().filter(|t| t.ends.is_some()) {
            let depths = [Depth::Value, Depth::Nested, Depth::Digest, Depth::Text, Depth::Deep, Depth::Third];
            for (input, depth) in inputs.iter().flat_map(|i| depths.map(|depth| (i, depth))) {
                let mut given = std::collections::BTreeSet::new();
                t.endings(input, depth, &mut |end, length| {
                    let end = &end[end.len() - length.min(END)..];
                    given.insert((end.to_vec(), length));
                });
                for Written { id, bytes, .. } in (t.write)(input, depth) {
                    let end = bytes[bytes.len() - bytes.len().min(END)..].to_vec();
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    assert!(
                        given.contains(&(end, bytes.len())),
                        "{id} of {input:?}, {depth:?}: {text} has no ending"
                    );
                }
            }
        }
    }

    #[test]
    fn a_text_of_bytes_that_are_kept_is_not_written() {
        let ascii = |byte: &u8| byte.is_ascii();
        for (t, depth) in TRANSFORMS.iter().flat_map(|t| Depth::TEXTS.map(|depth| (t, depth))) {
            let kept: Vec<u8> = (0..=255).filter(|byte| (t.keeps)(*byte, depth)).collect();
            assert!(kept.iter().all(ascii), "{:?}: bytes of which text is made alone", t.ids);
            for text in [kept.clone(), kept.repeat(3), kept.iter().copied().step_by(7).collect()] {
                let written = (t.write)(&text, depth).len();
                assert!(written == 0 || text.is_empty(), "{:?}, {depth:?}", t.ids);
            }
        }
        let changing = |text: &[u8], depth| -> Vec<&str> {
            Changing::of(text, depth).transforms().map(|t| t.ids[0]).collect()
        };
        assert!(
            !changing(b"abc", Depth::Third).contains(&"json") && Changing::of(b"abc", Depth::Third).plain
        );
        assert!(
            changing(b"a\"c", Depth::Third).contains(&"json") && !Changing::of(b"a\"c", Depth::Third).plain
        );
        assert!(changing(b"abc", Depth::Value).contains(&"json"), "other depths are not judged");
    }

    #[test]
    fn case_is_judged_by_where_it_stands() {
        let url = Case::escaped(Escape::Percent);
        for (case, form, seen, expected) in [
            (Case::EXACT, "aB", "ab", None),
            (Case::FREE, "aB", "ab", Some(false)),
            (Case::LETTERS, "aB", "ab", Some(true)),
            (url.around(Case::LETTERS), "a%c3b", "a%C3b", Some(false)),
            (url.around(Case::LETTERS), "a%c3b", "A%C3b", Some(true)),
            (url.around(Case::EXACT), "a%c3b", "A%c3b", None),
            (Case::escaped(Escape::Unicode).around(Case::EXACT), "\\u00fcx", "\\u00FCx", Some(false)),
            (Case::escaped(Escape::Unicode).around(Case::EXACT), "\\u00fcx", "\\u00fcX", None),
            (Case::escaped(Escape::Entity).around(Case::EXACT), "&#xfc;a", "&#XFC;a", Some(false)),
            (Case::escaped(Escape::Entity).around(Case::EXACT), "&#xfc;a", "&#XFC;A", None),
        ] {
            assert_eq!(case.judge(form.as_bytes(), seen.as_bytes()), expected, "{form} {seen}");
        }
    }
}
