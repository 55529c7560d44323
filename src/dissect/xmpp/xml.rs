//! XML as XMPP sends it: cut into pieces while it arrives, and looked into once an element is whole.
//!
//! Takes bytes that may end anywhere ([`Lexer`]) or a complete element ([`nodes`]); gives pieces, and elements with their
//! namespaces, attributes and text. Lenient: end tags are counted, not compared, as an observer reads what the receiver may
//! refuse. Knows no entities but those that XML itself has, follows no declarations, and copies only the text that is asked for.

use std::borrow::Cow;
use std::ops::Range;

/// Elements of one stanza that are looked at.
const MAX_NODES: usize = 2048;

/// Namespace declarations in force at one place.
const MAX_SCOPE: usize = 64;

/// A piece of XML; ranges are indices into the bytes given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text between tags, with its entities; `literal` when it was a CDATA section, which has none.
    Text { range: Range<usize>, literal: bool },
    /// `<name …>`, or with `empty` `<name …/>`.
    Start { tag: Range<usize>, empty: bool },
    /// `</name>`.
    End(Range<usize>),
    /// A comment, a processing instruction or a declaration.
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Text,
    /// Behind a `<`.
    Opened,
    Start,
    Quoted(u8),
    End,
    Instruction,
    /// Behind `<!`, the rest decides.
    Bang,
    Comment,
    Cdata,
    Declaration,
}

/// Cuts XML into pieces. It remembers where it stopped: bytes that come one by one are still looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lexer {
    at: usize,
    from: usize,
    mode: Mode,
}

impl Lexer {
    /// Index of the next byte to look at.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next piece; `None` when it is not whole yet. Then call again with the same bytes and more behind them.
    pub(super) fn next(&mut self, data: &[u8]) -> Option<Piece> {
        loop {
            let rest = data.get(self.at..).filter(|rest| !rest.is_empty())?;
            match self.mode {
                Mode::Text => {
                    let text = self.from..self.seek(rest, b'<')?;
                    self.from = text.end;
                    self.mode = Mode::Opened;
                    if !text.is_empty() {
                        return Some(Piece::Text { range: text, literal: false });
                    }
                }
                Mode::Opened => {
                    self.mode = match rest.first() {
                        Some(b'/') => Mode::End,
                        Some(b'?') => Mode::Instruction,
                        Some(b'!') => Mode::Bang,
                        _ => Mode::Start,
                    };
                }
                Mode::Bang => {
                    let head = data.get(self.from..).unwrap_or_default();
                    let (comment, cdata) = (&b"<!--"[..], &b"<![CDATA["[..]);
                    if head.starts_with(comment) {
                        (self.at, self.mode) = (self.from + comment.len(), Mode::Comment);
                    } else if head.starts_with(cdata) {
                        (self.at, self.mode) = (self.from + cdata.len(), Mode::Cdata);
                    } else if comment.starts_with(head) || cdata.starts_with(head) {
                        return None;
                    } else {
                        self.mode = Mode::Declaration;
                    }
                }
                Mode::Start => {
                    let Some(n) = rest.iter().position(|b| matches!(b, b'"' | b'\'' | b'>')) else {
                        self.at = data.len();
                        return None;
                    };
                    self.at += n + 1;
                    match rest.get(n) {
                        Some(b'>') => {
                            let empty = data.get(self.at.saturating_sub(2)) == Some(&b'/');
                            return Some(Piece::Start { tag: self.close(), empty });
                        }
                        Some(quote) => self.mode = Mode::Quoted(*quote),
                        None => return None,
                    }
                }
                Mode::Quoted(quote) => {
                    self.seek(rest, quote)?;
                    self.mode = Mode::Start;
                }
                Mode::End => {
                    self.seek(rest, b'>')?;
                    return Some(Piece::End(self.close()));
                }
                Mode::Declaration => {
                    self.seek(rest, b'>')?;
                    self.close();
                    return Some(Piece::Other);
                }
                // The shortest is `<??>`.
                Mode::Instruction => {
                    if self.ends(data, rest, b"?", 2)? {
                        self.close();
                        return Some(Piece::Other);
                    }
                }
                Mode::Comment => {
                    if self.ends(data, rest, b"--", 4)? {
                        self.close();
                        return Some(Piece::Other);
                    }
                }
                Mode::Cdata => {
                    if self.ends(data, rest, b"]]", 9)? {
                        let whole = self.close();
                        let range = whole.start + 9..whole.end.saturating_sub(3);
                        return Some(Piece::Text { range, literal: true });
                    }
                }
            }
        }
    }

    /// Goes behind the next `byte`, and returns its index; to the end when there is none.
    fn seek(&mut self, rest: &[u8], byte: u8) -> Option<usize> {
        let found = rest.iter().position(|b| *b == byte);
        self.at += found.map_or(rest.len(), |n| n + 1);
        found.map(|_| self.at - 1)
    }

    /// Goes behind the next `>`: whether `before` stands right before it, behind an opening of `opening` bytes.
    fn ends(&mut self, data: &[u8], rest: &[u8], before: &[u8], opening: usize) -> Option<bool> {
        let end = self.seek(rest, b'>')?;
        Some(data.get(self.from + opening..end).is_some_and(|inner| inner.ends_with(before)))
    }

    /// The piece ends here.
    fn close(&mut self) -> Range<usize> {
        let from = std::mem::replace(&mut self.from, self.at);
        self.mode = Mode::Text;
        from..self.at
    }
}

/// An element of a stanza.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    /// Index of the element that holds it; its own for the outermost.
    pub(super) parent: usize,
    /// Elements around it.
    pub(super) depth: usize,
    /// Its name without prefix.
    pub(super) name: &'a [u8],
    /// Its namespace; empty where none was declared within the bytes given.
    pub(super) namespace: &'a [u8],
    /// Its start tag.
    pub(super) tag: Range<usize>,
    /// All between start tag and end tag.
    pub(super) inner: Range<usize>,
}

impl Node<'_> {
    /// Is it that element of that namespace?
    pub(super) fn is(&self, name: &str, namespace: &str) -> bool {
        self.name == name.as_bytes() && self.namespace == namespace.as_bytes()
    }
}

/// The elements of `data`, which begins with a start tag, in their order: as many as are whole, and 2048 at most.
pub(super) fn nodes(data: &[u8]) -> Vec<Node<'_>> {
    let mut lexer = Lexer::default();
    let mut found: Vec<Node<'_>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    // Depth, prefix and namespace of each declaration.
    let mut scope: Vec<(usize, &[u8], &[u8])> = Vec::new();
    while let Some(piece) = lexer.next(data) {
        match piece {
            Piece::Start { tag, empty } => {
                if found.len() >= MAX_NODES {
                    break;
                }
                let depth = open.len();
                while scope.last().is_some_and(|(d, ..)| *d >= depth) {
                    scope.pop();
                }
                let bytes = data.get(tag.clone()).unwrap_or_default();
                for (name, value) in attributes(bytes) {
                    let prefix = if name == b"xmlns" { Some(&b""[..]) } else { name.strip_prefix(b"xmlns:") };
                    if let Some(prefix) = prefix.filter(|_| scope.len() < MAX_SCOPE) {
                        scope.push((depth, prefix, value));
                    }
                }
                let (prefix, name) = split_name(tag_name(bytes));
                let namespace = scope.iter().rev().find(|(_, p, _)| *p == prefix).map_or(&b""[..], |s| s.2);
                let index = found.len();
                let parent = open.last().copied().unwrap_or(index);
                let inner = tag.end..if empty { tag.end } else { data.len() };
                found.push(Node { parent, depth, name, namespace, tag, inner });
                if !empty {
                    open.push(index);
                }
            }
            Piece::End(tag) => {
                if let Some(node) = open.pop().and_then(|index| found.get_mut(index)) {
                    node.inner.end = tag.start;
                }
            }
            Piece::Text { .. } | Piece::Other => {}
        }
    }
    found
}

/// Name of a tag, with its prefix: what stands behind `<` or `</`.
pub(super) fn tag_name(tag: &[u8]) -> &[u8] {
    let tag = tag.strip_prefix(b"<").unwrap_or(tag);
    let tag = tag.strip_prefix(b"/").unwrap_or(tag);
    let end = tag.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
    tag.get(..end.unwrap_or(tag.len())).unwrap_or_default()
}

/// Prefix (or nothing) and local part.
pub(super) fn split_name(name: &[u8]) -> (&[u8], &[u8]) {
    let colon = name.iter().position(|b| *b == b':');
    let parts = colon.and_then(|at| Some((name.get(..at)?, name.get(at + 1..)?)));
    parts.unwrap_or((b"", name))
}

/// Names and raw values of a start tag's attributes.
pub(super) fn attributes(tag: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = tag.get(1 + tag_name(tag).len()..).unwrap_or_default();
    std::iter::from_fn(move || {
        let equals = rest.iter().position(|b| *b == b'=')?;
        let name = rest.get(..equals)?.trim_ascii();
        let value = rest.get(equals + 1..)?.trim_ascii_start();
        let (quote, value) = value.split_first().filter(|(q, _)| matches!(q, b'"' | b'\''))?;
        let end = value.iter().position(|b| b == quote)?;
        rest = value.get(end + 1..)?;
        Some((name, value.get(..end)?))
    })
}

/// An attribute's value, decoded; `None` where there is none, or an empty one.
pub(super) fn attribute(tag: &[u8], name: &str) -> Option<String> {
    let raw = attributes(tag).find(|(n, _)| *n == name.as_bytes())?.1;
    (!raw.is_empty()).then(|| unescape(raw).into_owned())
}

/// The text within `inner`, without that of the elements in it.
pub(super) fn text(inner: &[u8]) -> String {
    let mut lexer = Lexer::default();
    let mut out = String::new();
    let mut depth = 0_u32;
    while let Some(piece) = lexer.next(inner) {
        match piece {
            Piece::Text { range, literal } if depth == 0 => {
                let bytes = inner.get(range).unwrap_or_default();
                out += &if literal { String::from_utf8_lossy(bytes) } else { unescape(bytes) };
            }
            Piece::Start { empty: false, .. } => depth += 1,
            Piece::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if depth == 0 && lexer.mode == Mode::Text {
        out += &unescape(inner.get(lexer.from..).unwrap_or_default());
    }
    out
}

/// The five entities of XML and numbered characters, decoded; anything else stays as it is.
fn unescape(raw: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(raw);
    if !text.contains('&') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some((before, after)) = rest.split_once('&') {
        out += before;
        // `&#x10FFFF;` is the longest that means something.
        let end = after.bytes().take(10).position(|b| b == b';');
        let entity = end.and_then(|end| after.split_at_checked(end));
        let (c, tail) = entity
            .and_then(|(name, tail)| Some((entity_char(name)?, tail.get(1..)?)))
            .unwrap_or(('&', after));
        out.push(c);
        rest = tail;
    }
    out += rest;
    Cow::Owned(out)
}

fn entity_char(name: &str) -> Option<char> {
    let code = match name {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "apos" => return Some('\''),
        "quot" => return Some('"'),
        _ => name.strip_prefix('#')?,
    };
    let number = match code.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => code.parse(),
    };
    char::from_u32(number.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(data: &str) -> Vec<String> {
        let mut lexer = Lexer::default();
        let mut out = Vec::new();
        while let Some(piece) = lexer.next(data.as_bytes()) {
            out.push(match piece {
                Piece::Text { range, literal } => {
                    format!("{}{}", if literal { "cdata " } else { "text " }, &data[range])
                }
                Piece::Start { tag, empty } => {
                    format!("{}{}", if empty { "empty " } else { "start " }, &data[tag])
                }
                Piece::End(tag) => format!("end {}", &data[tag]),
                Piece::Other => "other".to_owned(),
            });
        }
        out
    }

    #[test]
    fn pieces_are_cut_where_xml_cuts_them() {
        for (xml, want) in [
            ("<a b='>'>t</a>", &["start <a b='>'>", "text t", "end </a>"][..]),
            ("<a b=\"'/>\"/>x", &["empty <a b=\"'/>\"/>"]),
            ("<?xml version='1.0'?><a>", &["other", "start <a>"]),
            ("<!-- <a> -- > --><b/>", &["other", "empty <b/>"]),
            ("<!--><b/>--><c/>", &["other", "empty <c/>"]),
            ("<![CDATA[<x>]] >&amp;]]]><c/>", &["cdata <x>]] >&amp;]", "empty <c/>"]),
            ("<!DOCTYPE a><a/>", &["other", "empty <a/>"]),
            ("<a", &[]),
            ("<![CDA", &[]),
            ("<a b='", &[]),
        ] {
            assert_eq!(pieces(xml), want, "{xml}");
        }
    }

    #[test]
    fn byte_by_byte_gives_the_same_pieces() {
        let xml =
            b"<?x?><a b='>' c=\"<\"><!-- > -> --><b/>text &lt; <![CDATA[ ]] > ]]></a><!X y><iq/>".as_slice();
        let mut whole = Lexer::default();
        let want: Vec<_> = std::iter::from_fn(|| whole.next(xml)).collect();
        let mut slow = Lexer::default();
        let mut got = Vec::new();
        for end in 1..=xml.len() {
            while let Some(piece) = slow.next(&xml[..end]) {
                got.push(piece);
            }
        }
        assert_eq!(got, want);
        assert_eq!(got.len(), 9);
    }

    #[test]
    fn elements_know_their_namespace_and_their_text() {
        let xml = b"<message to='a&amp;b' xmlns='one'><x:e xmlns:x=\"two\"><f/></x:e><body>1 &lt; <b>no</b>2<![CDATA[&]]></body></message>";
        let nodes = nodes(xml);
        let seen: Vec<_> = nodes
            .iter()
            .map(|n| {
                let of = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                (of(n.name), of(n.namespace), n.parent, n.depth)
            })
            .collect();
        let want = [
            ("message", "one", 0, 0),
            ("e", "two", 0, 1),
            ("f", "one", 1, 2),
            ("body", "one", 0, 1),
            ("b", "one", 3, 2),
        ];
        assert_eq!(seen, want.map(|(n, ns, p, d)| (n.to_owned(), ns.to_owned(), p, d)));
        assert_eq!(text(&xml[nodes[3].inner.clone()]), "1 < 2&");
        assert_eq!(attribute(&xml[nodes[0].tag.clone()], "to").as_deref(), Some("a&b"));
        assert_eq!(attribute(&xml[nodes[0].tag.clone()], "from"), None);
    }

    #[test]
    fn entities_are_those_of_xml() {
        for (raw, want) in [
            ("a&lt;b&gt;&amp;&apos;&quot;", "a<b>&'\""),
            ("&#65;&#x42;&#X1f512;", "AB\u{1f512}"),
            ("&nbsp;&;&#;&#x110000;&#xd800;&", "&nbsp;&;&#;&#x110000;&#xd800;&"),
            ("&amp;lt;", "&lt;"),
            ("&\u{20ac}\u{20ac}\u{20ac}\u{20ac};", "&\u{20ac}\u{20ac}\u{20ac}\u{20ac};"),
        ] {
            assert_eq!(unescape(raw.as_bytes()), want, "{raw}");
        }
    }
}
