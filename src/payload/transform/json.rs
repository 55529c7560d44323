//! Escapes in JSON strings (RFC 8259 section 7).

use super::{Case, Depth, END, Escape, Place, Transform, Written, digit};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["json"],
    says: "`\\u` escapes of all characters, of those beyond ASCII, or of those that Go, PHP, Gson, Django and .NET keep out of HTML (`& < > \" '`), hex digits of either case; the short escapes; `\\/`",
    place: Place::Anywhere,
    write: |bytes, depth| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
        let mut all: Vec<String> = Vec::new();
        for way in ways(depth) {
            let mut written = String::with_capacity(text.len() * 2);
            text.chars().for_each(|c| way.write(c, &mut written));
            // Most values have few of the characters that encoders differ in.
            if written.as_bytes() != bytes && !all.contains(&written) {
                all.push(written);
            }
        }
        let case = Case::escaped(Escape::Unicode);
        all.into_iter().map(|t| Written { id: "json", bytes: t.into_bytes(), case }).collect()
    },
    keeps: |byte, depth| depth != Depth::Text && matches!(byte, b' '..=b'~') && !b"\"\\/".contains(&byte),
    ends: Some(|bytes, depth, each| {
        // Controls, letters beyond ASCII, and what no text is: the long way.
        if !depth.is_text() || !bytes.iter().all(|b| (b' '..=b'~').contains(b)) {
            return (TRANSFORM.write)(bytes, depth).iter().for_each(|w| each(&w.bytes, w.bytes.len()));
        }
        let alike = !bytes.iter().any(|b| b"\"\\/&<>'+=`".contains(b));
        for way in ways(depth).filter(|way| way.all || !alike) {
            let length: usize = bytes.iter().map(|byte| way.ascii(*byte).width()).sum();
            if length == bytes.len() {
                continue;
            }
            let (mut text, mut at) = ([0; END + WIDEST], END + WIDEST);
            for &byte in bytes.iter().rev() {
                if at < WIDEST {
                    break;
                }
                let number = [b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte)];
                let short = [b'\\', byte];
                let written = match way.ascii(byte) {
                    Ascii::Kept => std::slice::from_ref(&byte),
                    Ascii::Short => &short,
                    Ascii::Number => &number,
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

/// Bytes of a number's escape.
const WIDEST: usize = 6;

/// What an encoder writes.
struct Way {
    /// Every character by its number.
    all: bool,
    /// Printable ASCII by its number.
    numbers: &'static [u8],
    /// Letters beyond ASCII by their numbers.
    beyond: bool,
    /// `/` as `\/`.
    slash: bool,
}

const fn way(numbers: &'static [u8], beyond: bool, slash: bool) -> Way {
    Way { all: false, numbers, beyond, slash }
}

/// The first ways of [`WAYS`] that are searched at each [`Depth`].
const ONE: usize = 3;
const COMMON: usize = 5;
const TEXT: usize = 7;

static WAYS: [Way; 11] = [
    way(b"", true, true),
    way(b"", true, false),
    way(b"", false, true),
    Way { all: true, numbers: b"", beyond: true, slash: true },
    way(b"", false, false),
    // Go's encoding/json, Rails.
    way(b"&<>", false, false),
    // System.Text.Json of .NET.
    way(b"&<>'\"+`", true, false),
    // PHP with JSON_HEX_*, of which the quotes alone are asked for in attributes; Django's json_script; Gson.
    way(b"&<>'\"", true, true),
    way(b"'\"", false, false),
    way(b"&<>", true, false),
    way(b"&<>'=", false, false),
];

fn ways(depth: Depth) -> impl Iterator<Item = &'static Way> {
    let first = match depth {
        Depth::Value => WAYS.len(),
        Depth::Nested => COMMON,
        Depth::Text => TEXT,
        Depth::Digest | Depth::Deep | Depth::Third => ONE,
    };
    WAYS.iter().take(first)
}

/// How a character of printable ASCII is written.
enum Ascii {
    Kept,
    /// Behind a backslash.
    Short,
    Number,
}

impl Ascii {
    fn width(&self) -> usize {
        match self {
            Ascii::Kept => 1,
            Ascii::Short => 2,
            Ascii::Number => WIDEST,
        }
    }
}

impl Way {
    fn ascii(&self, byte: u8) -> Ascii {
        match byte {
            _ if self.all || self.numbers.contains(&byte) => Ascii::Number,
            b'"' | b'\\' => Ascii::Short,
            b'/' if self.slash => Ascii::Short,
            _ => Ascii::Kept,
        }
    }

    fn write(&self, c: char, out: &mut String) {
        match c {
            '\n' if !self.all => out.push_str("\\n"),
            '\r' if !self.all => out.push_str("\\r"),
            '\t' if !self.all => out.push_str("\\t"),
            c if c.is_control() || (self.beyond && !c.is_ascii()) => escape(c, out),
            c if !c.is_ascii() => out.push(c),
            c => match self.ascii(c as u8) {
                Ascii::Kept => out.push(c),
                Ascii::Short => out.extend(['\\', c]),
                Ascii::Number => escape(c, out),
            },
        }
    }
}

fn escape(c: char, out: &mut String) {
    for &mut unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str("\\u");
        out.extend([12, 8, 4, 0].map(|by| char::from(digit((unit >> by) as u8))));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::texts;
    use super::*;

    #[test]
    fn what_encoders_of_languages_write_is_searched() {
        let written = |text: &str, depth| texts(&TRANSFORM, text, depth);
        let text = "Grüße an \"Max\" & Co's <x/>";
        for (by, expected) in [
            ("Python", r#"Gr\u00fc\u00dfe an \"Max\" & Co's <x/>"#),
            ("JavaScript", r#"Grüße an \"Max\" & Co's <x/>"#),
            ("Go", r#"Grüße an \"Max\" \u0026 Co's \u003cx/\u003e"#),
            ("Gson", r#"Grüße an \"Max\" \u0026 Co\u0027s \u003cx/\u003e"#),
            ("Django", r#"Gr\u00fc\u00dfe an \"Max\" \u0026 Co's \u003cx/\u003e"#),
            ("PHP", r#"Gr\u00fc\u00dfe an \"Max\" & Co's <x\/>"#),
            ("PHP, JSON_HEX_*", r"Gr\u00fc\u00dfe an \u0022Max\u0022 \u0026 Co\u0027s \u003cx\/\u003e"),
            (".NET", r"Gr\u00fc\u00dfe an \u0022Max\u0022 \u0026 Co\u0027s \u003cx/\u003e"),
        ] {
            assert!(written(text, Depth::Value).iter().any(|w| w == expected), "{by}");
        }
        // Where encoders do not differ there are no more ways.
        assert_eq!(written("abc 123", Depth::Value), ["\\u0061\\u0062\\u0063\\u0020\\u0031\\u0032\\u0033"]);
        assert_eq!(written("abc 123", Depth::Deep), Vec::<String>::new());
    }
}
