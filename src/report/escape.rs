//! Makes text from the wire harmless and visible.
//!
//! Takes any text; gives the same text with every character that a reader cannot see, or that makes a terminal or a
//! browser act, written as an escape. HTML and XML markup is the business of the writers (`html`, `chart`).

use std::borrow::Cow;
use std::fmt::Write as _;

/// Writes control, bidirectional, invisible and private-use characters as escapes (`\n`, `\u{1b}`, `\u{202e}`).
///
/// Everything that came from a capture, a file name or a claim file passes through here before it reaches a terminal,
/// a page or a picture. Backslashes stay as they are: the aim is that nothing acts or hides, not that it can be undone.
#[must_use]
pub fn escape_terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// JSON with every character that would act or hide written as `\uXXXX`, which in JSON can only stand within texts: the data are the
/// same, and printing them is safe.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // Only text of other scripts has any: JSON itself escapes what is below a space.
    if json.bytes().all(|b| b < 0x7f) || !json.chars().any(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Characters that act or hide instead of showing (Unicode classes Cc, most of Cf, Co, Zl, Zp and noncharacters).
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' // C0, DEL, C1 (0x9b starts a terminal sequence in eight bits)
        | '\u{ad}' // soft hyphen
        | '\u{34f}' // combining grapheme joiner
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // bidirectional
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers, shown as nothing
        | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' // zero width
        | '\u{2028}' | '\u{2029}' // line and paragraph separators
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' // private use
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' // byte order mark, interlinear annotation
        | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}' // noncharacters
        | '\u{e0000}'..='\u{e0fff}' // tags
    )
}

/// Cuts `text` to at most `max` characters, the last of which is then `…`.
pub(crate) fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    if text.chars().nth(max).is_none() {
        return Cow::Borrowed(text);
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    Cow::Owned(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_would_act_or_hide() {
        for (wire, shown) in [
            ("plain text, Umlaute äöü, 日本", "plain text, Umlaute äöü, 日本"),
            ("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\0b\r\n\tc\x7f", "a\\u{0}b\\r\\n\\tc\\u{7f}"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("\u{e001}", "\\u{e001}"),
        ] {
            assert_eq!(escape_terminal(wire), shown);
            assert!(!escape_terminal(wire).chars().any(is_hidden));
        }
    }

    #[test]
    fn shortens_by_characters() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
        assert_eq!(shorten("ab", 0), "…");
    }
}
