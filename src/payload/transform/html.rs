//! Character references of HTML and XML (HTML standard section 13.1.4, XML 1.0 section 4.1), decimal and hexadecimal.

use super::{Case, Depth, Escape, Place, Transform, Written};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["html"],
    says: "character references, decimal or hexadecimal, of all characters or of those that are escaped as a rule; the names of `& < >`, with `\"`, `'` and letters beyond ASCII kept, named or numbered as Python, PHP, Java, Go, JavaScript and writers of XML do",
    place: Place::Inner,
    write: |bytes, depth| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
        let mut all: Vec<String> = Vec::new();
        let mut add = |written: String| {
            // Most values have few of the characters that encoders differ in.
            if written.as_bytes() != bytes && !all.contains(&written) {
                all.push(written);
            }
        };
        let ways = match depth {
            Depth::Value => &WAYS[..],
            Depth::Nested => WAYS.get(..COMMON).unwrap_or_default(),
            Depth::Text => WAYS.get(..KEPT).unwrap_or_default(),
            Depth::Digest | Depth::Deep | Depth::Third => WAYS.get(..NAMED).unwrap_or_default(),
        };
        for way in ways {
            add(way.write(text));
        }
        if !depth.is_text() {
            let special = |c: char| "&<>\"'".contains(c) || !c.is_ascii();
            let some = |of: &dyn Fn(char) -> String| -> String {
                text.chars().map(|c| if special(c) { of(c) } else { c.to_string() }).collect()
            };
            add(text.chars().map(decimal).collect());
            add(text.chars().map(hexadecimal).collect());
            add(some(&decimal));
            add(some(&hexadecimal));
        }
        let case = Case::escaped(Escape::Entity);
        all.into_iter().map(|text| Written { id: "html", bytes: text.into_bytes(), case }).collect()
    },
    keeps: |byte, _| byte.is_ascii() && !b"&<>\"'".contains(&byte),
    ends: None,
};

/// What an encoder does with letters beyond ASCII.
#[derive(Clone, Copy)]
enum Beyond {
    Kept,
    Named,
    Decimal,
    Hexadecimal,
}

/// What an encoder writes.
struct Way {
    beyond: Beyond,
    /// For `"` and `'`.
    quotes: [&'static str; 2],
    /// `& < >` are named.
    markup: bool,
}

const fn way(beyond: Beyond, double: &'static str, single: &'static str) -> Way {
    Way { beyond, quotes: [double, single], markup: true }
}

/// The ways of [`WAYS`] that are searched at each [`Depth`].
const NAMED: usize = 2;
const COMMON: usize = 3;
const KEPT: usize = 9;

static WAYS: [Way; 16] = [
    // Spring's HtmlUtils and the like.
    way(Beyond::Named, "&quot;", "&#39;"),
    way(Beyond::Named, "&quot;", "&apos;"),
    way(Beyond::Decimal, "&quot;", "&#39;"),
    // Text of XML; innerHTML of browsers; PHP with ENT_NOQUOTES.
    way(Beyond::Kept, "\"", "'"),
    // Attributes of XML; PHP's htmlspecialchars before 8.1.
    way(Beyond::Kept, "&quot;", "'"),
    // Python's html.escape, Django; Java's Encode and OWASP's advice.
    way(Beyond::Kept, "&quot;", "&#x27;"),
    // PHP's htmlspecialchars.
    way(Beyond::Kept, "&quot;", "&#039;"),
    // Go's html.EscapeString and html/template, MarkupSafe of Jinja.
    way(Beyond::Kept, "&#34;", "&#39;"),
    // XML's own name of the apostrophe, which XMPP servers write.
    way(Beyond::Kept, "&quot;", "&apos;"),
    // Ruby's CGI.escapeHTML, lodash, Express.
    way(Beyond::Kept, "&quot;", "&#39;"),
    // PHP's htmlentities, and Java's escapeHtml4.
    way(Beyond::Named, "&quot;", "&#039;"),
    way(Beyond::Named, "&quot;", "'"),
    // Python's xmlcharrefreplace behind an encoder of XML, of HTML, and alone.
    way(Beyond::Decimal, "\"", "'"),
    way(Beyond::Decimal, "&quot;", "&#x27;"),
    Way { beyond: Beyond::Decimal, quotes: ["\"", "'"], markup: false },
    // libxml2 and Java's writers of XML, in ASCII.
    way(Beyond::Hexadecimal, "\"", "'"),
];

impl Way {
    fn write(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() * 2);
        let [double, single] = self.quotes;
        for c in text.chars() {
            match (c, self.beyond) {
                ('"', _) => out.push_str(double),
                ('\'', _) => out.push_str(single),
                ('&', _) if self.markup => out.push_str("&amp;"),
                ('<', _) if self.markup => out.push_str("&lt;"),
                ('>', _) if self.markup => out.push_str("&gt;"),
                (c, Beyond::Named) if named(c).is_some() => out.push_str(named(c).unwrap_or_default()),
                (c, Beyond::Decimal) if !c.is_ascii() => out.push_str(&decimal(c)),
                (c, Beyond::Hexadecimal) if !c.is_ascii() => out.push_str(&hexadecimal(c)),
                (c, _) => out.push(c),
            }
        }
        out
    }
}

fn decimal(c: char) -> String {
    format!("&#{};", u32::from(c))
}

fn hexadecimal(c: char) -> String {
    format!("&#x{:x};", u32::from(c))
}

fn named(c: char) -> Option<&'static str> {
    Some(match c {
        'ä' => "&auml;",
        'ö' => "&ouml;",
        'ü' => "&uuml;",
        'Ä' => "&Auml;",
        'Ö' => "&Ouml;",
        'Ü' => "&Uuml;",
        'ß' => "&szlig;",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::texts;
    use super::*;

    #[test]
    fn what_encoders_of_languages_write_is_searched() {
        let written = |text: &str, depth| texts(&TRANSFORM, text, depth);
        let text = "Grüße an \"Max\" & Co's <x>";
        for (by, expected) in [
            ("Python html.escape", "Grüße an &quot;Max&quot; &amp; Co&#x27;s &lt;x&gt;"),
            ("PHP htmlspecialchars", "Grüße an &quot;Max&quot; &amp; Co&#039;s &lt;x&gt;"),
            ("PHP htmlentities", "Gr&uuml;&szlig;e an &quot;Max&quot; &amp; Co&#039;s &lt;x&gt;"),
            ("Go html/template", "Grüße an &#34;Max&#34; &amp; Co&#39;s &lt;x&gt;"),
            ("text of XML, JavaScript", "Grüße an \"Max\" &amp; Co's &lt;x&gt;"),
            ("XMPP server", "Grüße an &quot;Max&quot; &amp; Co&apos;s &lt;x&gt;"),
            ("Python, ASCII", "Gr&#252;&#223;e an &quot;Max&quot; &amp; Co&#x27;s &lt;x&gt;"),
            ("xmlcharrefreplace", "Gr&#252;&#223;e an \"Max\" & Co's <x>"),
            ("libxml2, ASCII", "Gr&#xfc;&#xdf;e an \"Max\" &amp; Co's &lt;x&gt;"),
        ] {
            assert!(written(text, Depth::Value).iter().any(|w| w == expected), "{by}");
        }
        // Where encoders do not differ there are no more ways.
        assert_eq!(written("abc 123", Depth::Value).len(), 2);
        assert_eq!(written("abc 123", Depth::Text), Vec::<String>::new());
        assert_eq!(written("Tom & Jerry", Depth::Text), ["Tom &amp; Jerry"]);
    }
}
