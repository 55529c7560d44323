//! Escapes in JSON strings (RFC 8259 section 7).

use super::{Case, END, Escape, Place, Transform, Written, digit};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["json"],
    says: "`\\u` escapes of all characters or of those beyond ASCII, hex digits of either case; the short escapes; `\\/`",
    place: Place::Anywhere,
    write: |bytes, outer| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
        let write = |ascii: bool, beyond: bool, slash: bool| {
            let mut out = String::with_capacity(text.len() * 2);
            for c in text.chars() {
                match c {
                    _ if ascii => escape(c, &mut out),
                    '"' | '\\' => out.extend(['\\', c]),
                    '/' if slash => out.push_str("\\/"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    c if c.is_control() || (beyond && !c.is_ascii()) => escape(c, &mut out),
                    // What careful encoders keep out of HTML.
                    c => out.push(c),
                }
            }
            out
        };
        let mut all = vec![write(false, true, true), write(false, true, false), write(false, false, true)];
        if !outer {
            all.push(write(true, true, true));
            all.push(write(false, false, false));
        }
        all.retain(|t| t.as_bytes() != bytes);
        let case = Case::escaped(Escape::Unicode);
        all.into_iter().map(|t| Written { id: "json", bytes: t.into_bytes(), case }).collect()
    },
    ends: Some(|bytes, outer, each| {
        // Controls, letters beyond ASCII, and what no text is: the long way.
        if !outer || !bytes.iter().all(|b| (b' '..=b'~').contains(b)) {
            return (TRANSFORM.write)(bytes, outer).iter().for_each(|w| each(&w.bytes, w.bytes.len()));
        }
        let (slashes, others) = bytes.iter().fold((0, 0), |(slashes, others), byte| {
            (slashes + usize::from(*byte == b'/'), others + usize::from(b"\"\\".contains(byte)))
        });
        for slash in [true, false] {
            let more = others + if slash { slashes } else { 0 };
            if more == 0 {
                continue;
            }
            let (mut text, mut at) = ([0; END + 2], END + 2);
            for &byte in bytes.iter().rev() {
                if at < 2 {
                    break;
                }
                let escaped = [b'\\', byte];
                let escape = byte == b'"' || byte == b'\\' || (slash && byte == b'/');
                let written = if escape { &escaped } else { std::slice::from_ref(&byte) };
                at -= written.len();
                if let Some(place) = text.get_mut(at..at + written.len()) {
                    place.copy_from_slice(written);
                }
            }
            each(text.get(at..).unwrap_or_default(), bytes.len() + more);
        }
    }),
};

fn escape(c: char, out: &mut String) {
    for &mut unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str("\\u");
        out.extend([12, 8, 4, 0].map(|by| char::from(digit((unit >> by) as u8))));
    }
}
