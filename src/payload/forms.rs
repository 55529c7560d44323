//! The byte strings under which a canary's value can appear on the wire.
//!
//! Takes one value; gives its [`Form`]s, each once. The automaton that searches them folds ASCII case, so every
//! form also says how a folded match is to be judged ([`Form::judge`]). One layer of encoding only.

use super::base64;
use super::canary::MIN_VALUE;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// As it is.
    Plain,
    /// In small or capital letters beyond ASCII (`Ü` for `ü`), which the automaton does not fold.
    Cased,
    /// Two hex digits a byte, of either case.
    Hex,
    /// Percent escapes (RFC 3986 section 2.1), for all bytes or for some.
    Url,
    /// One of the alignments of base64, without the characters that neighbouring bytes also decide.
    Base64(&'static [&'static str]),
}

/// One way to write one canary.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// Index of the canary in its set.
    pub(super) canary: usize,
    /// What to search.
    pub(super) bytes: Vec<u8>,
    kind: Kind,
}

impl Form {
    /// The encoding chain of a match in which `seen` stands where `bytes` was searched, regardless of ASCII case;
    /// `None` when the difference in case makes it another text.
    pub(super) fn judge(&self, seen: impl Iterator<Item = u8> + Clone) -> Option<&'static [&'static str]> {
        let exact = seen.clone().eq(self.bytes.iter().copied());
        match self.kind {
            Kind::Plain if exact => Some(&[]),
            Kind::Plain | Kind::Cased => Some(&["case"]),
            Kind::Hex => Some(&["hex"]),
            Kind::Url if equal_outside_escapes(&self.bytes, seen) => Some(&["url"]),
            Kind::Url => Some(&["url", "case"]),
            Kind::Base64(chain) => exact.then_some(chain),
        }
    }
}

/// Adds all forms of `value` to `forms`.
pub(super) fn add_forms(canary: usize, value: &str, forms: &mut Vec<Form>) {
    let from = forms.len();
    let mut add = |bytes: Vec<u8>, kind| {
        // Only base64 tells apart what ASCII case folding makes equal.
        let same = |form: &Form| match kind {
            Kind::Base64(_) => form.bytes == bytes,
            _ => form.bytes.eq_ignore_ascii_case(&bytes),
        };
        if !forms.iter().skip(from).any(same) {
            forms.push(Form { canary, bytes, kind });
        }
    };
    let raw = value.as_bytes();
    add(raw.to_vec(), Kind::Plain);
    for cased in [value.to_lowercase(), value.to_uppercase()] {
        // A few letters shrink (the Kelvin sign becomes `k`), and what is too short is found by chance.
        if cased.len() >= MIN_VALUE {
            add(cased.into_bytes(), Kind::Cased);
        }
    }
    add(raw.iter().flat_map(|&b| hex(b)).collect(), Kind::Hex);
    add(percent(raw, b"", false), Kind::Url);
    for kept in KEPT {
        add(percent(raw, kept, false), Kind::Url);
        add(percent(raw, kept, true), Kind::Url);
    }
    for (alphabet, chain) in [(base64::STANDARD, &["base64"]), (base64::URL_SAFE, &["base64url"])] {
        for shift in 0..3 {
            add(aligned(raw, shift, alphabet), Kind::Base64(chain));
        }
    }
}

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

fn hex(byte: u8) -> [u8; 2] {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

fn percent(raw: &[u8], kept: &[u8], plus_for_space: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() * 3);
    for &byte in raw {
        match byte {
            b' ' if plus_for_space => out.push(b'+'),
            _ if kept.contains(&byte) => out.push(byte),
            _ => {
                out.push(b'%');
                out.extend(hex(byte));
            }
        }
    }
    out
}

/// The characters of base64 text that `raw` alone decides when `shift` bytes precede it in its group of three.
fn aligned(raw: &[u8], shift: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let mut whole = vec![0; shift];
    whole.extend_from_slice(raw);
    let first = (8 * shift).div_ceil(6);
    let end = 8 * whole.len() / 6;
    let mut text = base64::encode(&whole, alphabet);
    text.truncate(end);
    text.drain(..first);
    text
}

/// Whether two texts, equal but for ASCII case, differ in case only inside of the escapes of `form`.
fn equal_outside_escapes(form: &[u8], seen: impl Iterator<Item = u8>) -> bool {
    let mut escape = 0_u8;
    form.iter().zip(seen).all(|(&want, got)| {
        let free = escape > 0;
        escape = if want == b'%' { 2 } else { escape.saturating_sub(1) };
        free || want == got
    })
}
