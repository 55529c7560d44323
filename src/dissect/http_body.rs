//! The content of HTTP/1 bodies without chunks and compression, searched for canaries (RFC 9112 section 7.1, RFC 9110 section
//! 8.4.1, RFC 1952).
//!
//! Takes the content of one direction's messages in order; gives findings through [`Cx::search`]. Reads `gzip` and `deflate`, one
//! of them, the first 1 MiB of each body. What stands in the stream as it is, is found there and not here.

use super::inflate::{Fault, Inflate};
use super::unwrapped::Unwrapped;
use super::{Class, Cx, Reader, Short};

/// A header of gzip that is longer is no header.
const MAX_HEADER: usize = 4 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Deflate,
}

/// Which body is being read.
struct Body {
    coding: Coding,
    content: Unwrapped,
    /// Bytes of the compression's header; `None` behind it.
    header: Option<Vec<u8>>,
}

/// The bodies of one direction.
#[derive(Default)]
pub(super) struct Bodies {
    /// Kept from body to body: it counts how much comes out of how little.
    inflate: Option<Inflate>,
    now: Option<Body>,
    /// No more is unpacked.
    exhausted: bool,
    /// The body is in a coding that is not read here: what it holds cannot be told.
    undecoded: bool,
}

impl Bodies {
    /// A message begins; `coding` is its `Content-Encoding`.
    pub(super) fn begin(&mut self, chunked: bool, coding: Option<&[u8]>, cx: &Cx<'_>) {
        self.now = None;
        let known = [&b"gzip"[..], b"x-gzip", b"deflate", b"identity", b""];
        self.undecoded = coding.is_some_and(|c| !known.iter().any(|k| c.eq_ignore_ascii_case(k)));
        let coding = match coding {
            Some(c) if c.eq_ignore_ascii_case(b"gzip") || c.eq_ignore_ascii_case(b"x-gzip") => Coding::Gzip,
            Some(c) if c.eq_ignore_ascii_case(b"deflate") => Coding::Deflate,
            _ => Coding::Plain,
        };
        let content = match (coding, chunked) {
            (Coding::Plain, false) => return,
            (Coding::Plain, true) => Unwrapped::pieces(&["chunked"]),
            (Coding::Gzip, false) => Unwrapped::from_beginning(&["gzip"]),
            (Coding::Gzip, true) => Unwrapped::from_beginning(&["chunked", "gzip"]),
            (Coding::Deflate, false) => Unwrapped::from_beginning(&["deflate"]),
            (Coding::Deflate, true) => Unwrapped::from_beginning(&["chunked", "deflate"]),
        };
        if cx.searching() && !(self.exhausted && coding != Coding::Plain) {
            self.now = Some(Body { coding, content, header: Some(Vec::new()) });
        }
    }

    /// The ledger's class of the body: content that cannot be unpacked is not called read.
    pub(super) fn class(&self) -> Class {
        if self.undecoded { Class::opaque("http.body-undecoded") } else { Class::clear("http.body") }
    }

    /// A chunk begins.
    pub(super) fn chunk(&mut self) {
        if let Some(body) = &mut self.now {
            body.content.border();
        }
    }

    /// Bytes are missing: behind them nothing can be unpacked.
    pub(super) fn gap(&mut self) {
        match &mut self.now {
            Some(body) if body.coding == Coding::Plain => body.content.gap(),
            now => *now = None,
        }
    }

    /// The next content: the first bytes shown.
    pub(super) fn part(&mut self, data: &[u8], cx: &mut Cx<'_>) {
        let Some(body) = &mut self.now else { return };
        if body.coding == Coding::Plain {
            cx.search(&mut body.content, data, 0..data.len());
            return;
        }
        cx.unpacked();
        let mut joined = Vec::new();
        let mut packed = data;
        if let Some(header) = &mut body.header {
            header.extend_from_slice(data);
            let (zlib, size) = match header_of(body.coding, header) {
                Ok(Some(found)) => found,
                Err(_) if header.len() < MAX_HEADER => {
                    let (frames, offset) = (cx.frames(0..data.len()).all, cx.offset(0));
                    cx.search_in(&mut body.content, &[], frames, offset);
                    return;
                }
                _ => {
                    self.now = None;
                    return;
                }
            };
            std::mem::swap(&mut joined, header);
            body.header = None;
            packed = joined.get(size..).unwrap_or_default();
            self.inflate.get_or_insert_with(|| Inflate::new(zlib)).begin(zlib);
        }
        let Some(inflate) = &mut self.inflate else { return };
        let mut frames = Some(cx.frames(0..data.len()).all);
        let offset = cx.offset(0);
        let unpacked = inflate.push(packed, &mut |piece| {
            cx.search_in(&mut body.content, piece, frames.take().unwrap_or_default(), offset);
        });
        if let Some(frames) = frames {
            cx.search_in(&mut body.content, &[], frames, offset);
        }
        if unpacked == Err(Fault::Bomb) {
            self.exhausted = true;
            cx.warn(0, "HTTP: bodies unpack to more than a hundred times their size and were given up");
        }
        // Of a longer body the beginning was searched, as of one that is cut.
        if unpacked.is_err() || inflate.ended() {
            self.now = None;
        }
    }
}

/// Size of the compression's own header and whether the engine reads it; `Ok(None)` when there is none.
fn header_of(coding: Coding, data: &[u8]) -> Result<Option<(bool, usize)>, Short> {
    let mut r = Reader::new(data);
    if coding == Coding::Deflate {
        // Deflate means zlib's format (RFC 9110 section 8.4.1.2); some servers leave that away.
        let first = r.u16("zlib header")?;
        return Ok(Some((first >> 8 & 0xf == 8 && first.is_multiple_of(31), 0)));
    }
    if r.array("gzip header")? != [0x1f, 0x8b, 8] {
        return Ok(None);
    }
    let flags = r.u8("flags")?;
    r.take("time, level, system", 6)?;
    if flags & 4 != 0 {
        let size = usize::from(r.u16("extra size")?.swap_bytes());
        r.take("extra", size)?;
    }
    for text in [8, 0x10] {
        while flags & text != 0 && r.u8("name or comment")? != 0 {}
    }
    if flags & 2 != 0 {
        r.u16("checksum")?;
    }
    Ok(Some((false, r.at())))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use flate2::Compression;

    use crate::dissect::Options;
    use crate::dissect::http::tests::Talk;
    use crate::model::Direction;
    use crate::payload::CanarySet;

    const TEXT: &[u8] = b"words, words and words, canary-4711, words and words and more of the same words";

    fn gzip(data: &[u8]) -> Vec<u8> {
        let header = flate2::GzBuilder::new().filename("a name").comment("words").extra(vec![7; 300]);
        let mut writer = header.write(Vec::new(), Compression::best());
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    fn deflate(data: &[u8], zlib: bool) -> Vec<u8> {
        if zlib {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
            writer.write_all(data).unwrap();
            return writer.finish().unwrap();
        }
        let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    /// An answer whose body comes in chunks of `size`, or with its length when that is 0.
    fn answer(coding: &str, body: &[u8], size: usize) -> Vec<u8> {
        let coding =
            if coding.is_empty() { String::new() } else { format!("Content-Encoding: {coding}\r\n") };
        let head = format!("HTTP/1.1 200 OK\r\n{coding}");
        if size == 0 {
            return [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        }
        let chunks =
            body.chunks(size).flat_map(|c| [format!("{:x}\r\n", c.len()).as_bytes(), c, b"\r\n"].concat());
        let mut out = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        out.extend(chunks);
        out.extend(b"0\r\n\r\n");
        out
    }

    fn opened() -> Talk {
        Talk::opened().up(b"GET /a HTTP/1.1\r\n\r\n")
    }

    /// `[FRAMES] ENCODING` of every finding.
    fn found(talk: &Talk) -> String {
        let canaries = CanarySet::new(&[("note".into(), "canary-4711".into())]).unwrap();
        let read = talk.read_with(Options { canaries: Arc::new(canaries), ..Options::default() });
        let line = |f: &crate::model::Finding| format!("{:?} {}", f.frames, f.encoding.join(","));
        read.findings.iter().map(line).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn canaries_behind_chunks_and_compression() {
        for (name, answer, expected) in [
            ("as it is", answer("", TEXT, 0), "[5] "),
            ("in one chunk", answer("", TEXT, 500), "[5] "),
            ("over chunks", answer("", TEXT, 28), "[5] chunked"),
            ("over many chunks", answer("", TEXT, 2), "[5] chunked"),
            ("gzip", answer("gzip", &gzip(TEXT), 0), "[5] gzip"),
            ("gzip in chunks", answer("GZIP", &gzip(TEXT), 7), "[5] chunked,gzip"),
            ("zlib", answer("deflate", &deflate(TEXT, true), 0), "[5] deflate"),
            ("bare deflate", answer("deflate", &deflate(TEXT, false), 30), "[5] chunked,deflate"),
            ("another coding than it says", answer("br", &gzip(TEXT), 0), "[5] gzip"),
            ("not what it says", answer("gzip", &deflate(TEXT, true), 0), ""),
        ] {
            assert_eq!(found(&opened().down(&answer)), expected, "{name}");
            // Byte by byte the frames are others, the encoding is not.
            let bytes = found(&answer.chunks(1).fold(opened(), Talk::down));
            let encoding = |text: &str| text.rsplit(' ').next().unwrap_or_default().to_owned();
            assert_eq!(encoding(&bytes), encoding(expected), "{name}, byte by byte: {bytes}");
        }
        let packed = answer("gzip", &gzip(TEXT), 0);
        let (a, b) = packed.split_at(packed.len() - 60);
        let two = opened().down(a).down(b).down(&answer("gzip", &gzip(TEXT), 0));
        assert_eq!(found(&two), "[5, 6] gzip | [7] gzip", "each body on its own");
    }

    #[test]
    fn cut_anywhere_and_with_holes_nothing_is_invented() {
        for answer in
            [answer("", TEXT, 28), answer("gzip", &gzip(TEXT), 9), answer("deflate", &deflate(TEXT, true), 0)]
        {
            let whole = found(&opened().down(&answer));
            for cut in 0..answer.len() {
                let seen = found(&opened().down(&answer[..cut]));
                assert!(seen.is_empty() || seen == whole, "{cut}: {seen}");
                let hole = opened().down(&answer[..cut]).lost(Direction::Down, 1).down(&answer[cut + 1..]);
                let seen =
                    found(&(0..10).fold(hole, |t, _| t.flag(Direction::Up, 0).flag(Direction::Down, 0)));
                let encoding = |text: &str| text.rsplit(' ').next().unwrap_or_default().to_owned();
                assert!(seen.is_empty() || encoding(&seen) == encoding(&whole), "a hole at {cut}: {seen}");
            }
        }
    }

    #[test]
    fn bombs_are_given_up_and_told() {
        let bomb = answer("gzip", &gzip(&vec![0; 1_000_000]), 0);
        let talk = (0..9).fold(opened(), |talk, _| talk.up(b"GET /a HTTP/1.1\r\n\r\n").down(&bomb));
        let canaries = CanarySet::new(&[("note".into(), "canary-4711".into())]).unwrap();
        let read = talk.read_with(Options { canaries: Arc::new(canaries), ..Options::default() });
        let warnings: Vec<_> = read.observations.iter().filter(|o| o.kind == "warning").collect();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].fields["what"].as_str().unwrap().contains("a hundred times"));
    }
}
