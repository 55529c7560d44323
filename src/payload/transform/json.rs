//! Escapes in JSON strings (RFC 8259 section 7).

use super::{Case, Escape, Place, Transform, Written};

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
};

fn escape(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}
