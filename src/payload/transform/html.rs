//! Character references of HTML and XML (HTML standard section 13.1.4, XML 1.0 section 4.1), decimal and hexadecimal.

use super::{Case, Escape, Place, Transform, Written};

pub(super) static TRANSFORM: Transform = Transform {
    ids: &["html"],
    says: "character references, decimal or hexadecimal, of all characters or of those that are escaped as a rule (`& < > \" '`, beyond ASCII); their usual names",
    place: Place::Inner,
    write: |bytes, outer| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
        let own = |text: String| Written {
            id: "html",
            bytes: text.into_bytes(),
            case: Case::escaped(Escape::Entity),
        };
        let decimal = |c: char| format!("&#{};", u32::from(c));
        let hexadecimal = |c: char| format!("&#x{:x};", u32::from(c));
        let special = |c: char| "&<>\"'".contains(c) || !c.is_ascii();
        let some = |of: &dyn Fn(char) -> String| -> String {
            text.chars().map(|c| if special(c) { of(c) } else { c.to_string() }).collect()
        };
        let mut all = vec![some(&|c| named(c).map_or_else(|| c.to_string(), str::to_owned))];
        if text.contains('\'') {
            // XML's own name of the apostrophe, which XMPP servers write.
            all.push(some(&|c| {
                if c == '\'' {
                    "&apos;".into()
                } else {
                    named(c).map_or_else(|| c.to_string(), str::to_owned)
                }
            }));
        }
        if !outer {
            all.push(text.chars().map(decimal).collect());
            all.push(text.chars().map(hexadecimal).collect());
            all.push(some(&decimal));
            all.push(some(&hexadecimal));
            // Beyond ASCII by number, the markup by name.
            all.push(some(&|c| named(c).map_or_else(|| decimal(c), str::to_owned)));
        }
        all.retain(|t| t.as_bytes() != bytes);
        all.into_iter().map(own).collect()
    },
    ends: None,
};

fn named(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
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
