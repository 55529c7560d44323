//! The content of HTTP bodies, searched for canaries without chunks, frames and compression (RFC 9112 section 7.1, RFC 9113
//! section 6.1, RFC 9110 section 8.4.1, RFC 1952, RFC 7932, RFC 8878).
//!
//! Takes the content of one direction's messages in order; gives findings through [`Cx::search`] and the ledger's class of each
//! part. Reads `gzip`, `deflate`, `br` and `zstd`, up to three in a row, the first 1 MiB of each body. What stands in the stream as it is,
//! is found there and not here. `http` has one body at a time, `http2` one for each of its streams.

use std::borrow::Cow;
use std::sync::Arc;

use super::inflate::{Budget, Fault, Inflate, MAX_MESSAGE};
use super::unpack::{Brotli, Zstd};
use super::unwrapped::Unwrapped;
use super::{Cx, Reader, Short};
use crate::payload::unpack::{self, MAX_HEADER, Unpacker, gzip_header};

/// Brotli and Zstandard keep up to some 1.2 MiB of content for references: so many of them at once in one of the 16 shards.
const MAX_WINDOWS: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Packed(unpack::Coding),
    /// One that is not read here, or more than [`MAX_CODINGS`].
    Other,
}

/// Content codings that are undone one after the other: more than two have no use.
const MAX_CODINGS: usize = 3;

impl Coding {
    /// What the values of all `Content-Encoding` fields say (RFC 9110 section 8.4.1, RFC 9659): the coding that was applied last, and
    /// those within it, outermost first.
    fn of<'v>(values: impl Iterator<Item = &'v [u8]>) -> (Coding, Vec<unpack::Coding>) {
        let named = |value: &[u8]| !value.is_empty() && !value.eq_ignore_ascii_case(b"identity");
        let codings =
            values.flat_map(|v| v.split(|b| *b == b',')).map(<[u8]>::trim_ascii).filter(|v| named(v));
        let mut known: Vec<Option<unpack::Coding>> =
            codings.take(MAX_CODINGS + 1).map(unpack::Coding::named).collect();
        if known.len() > MAX_CODINGS {
            return (Coding::Other, Vec::new());
        }
        let last = match known.pop() {
            None => return (Coding::Plain, Vec::new()),
            Some(Some(coding)) => Coding::Packed(coding),
            Some(None) => Coding::Other,
        };
        // What was written in a coding that is not known stays so.
        (last, known.into_iter().rev().map_while(|coding| coding).collect())
    }
}

/// How content lies in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// In one piece.
    Whole,
    /// In HTTP/1's chunks.
    Chunks,
    /// In DATA frames of HTTP/2.
    Frames,
}

/// Bytes of gzip's trailer: checksum and length (RFC 1952 section 2.3.1).
const TRAILER: usize = 8;
/// Members of gzip that are unpacked, each body.
const MAX_MEMBERS: u8 = 64;

/// What unpacks a body.
enum Engine {
    /// Nothing to unpack.
    Plain,
    /// Within the header of gzip or the first bytes of deflate.
    Header(Vec<u8>),
    Inflate(Box<Inflate>),
    /// So many bytes of gzip's trailer are to come, and then perhaps another member (RFC 1952 section 2.2).
    Trailer(usize),
    Brotli {
        stream: Brotli,
        _window: Arc<()>,
    },
    Zstd {
        stream: Box<Zstd>,
        _window: Arc<()>,
    },
    /// Not to be unpacked (any more).
    Sealed,
}

/// What the bodies of one direction may cost together.
#[derive(Default)]
pub(super) struct Allowance {
    budget: Budget,
    /// Kept from body to body, to be used again.
    spare: Option<Box<Inflate>>,
    /// No more is unpacked.
    exhausted: bool,
    /// It was said that of a long body only the beginning is read.
    told_long: bool,
    told_many: bool,
}

/// One body.
pub(super) struct Body {
    coding: Coding,
    engine: Engine,
    content: Unwrapped,
    /// Undo the codings within the outermost one.
    within: Vec<Unpacker>,
    /// Stands in the stream as it is, but not in one piece.
    in_pieces: bool,
    /// Content that was unpacked, against [`MAX_MESSAGE`].
    given: Budget,
    /// Members of gzip that have ended.
    members: u8,
}

impl Body {
    /// A message begins; `codings` are the values of its `Content-Encoding` fields.
    pub(super) fn new<'v>(
        framing: Framing,
        codings: impl Iterator<Item = &'v [u8]>,
        all: &mut Allowance,
        cx: &mut Cx<'_>,
    ) -> Body {
        let (coding, within) = Coding::of(codings);
        let packed = match coding {
            Coding::Packed(packed) => Some(packed),
            Coding::Plain | Coding::Other => None,
        };
        let plain = packed.is_none();
        let frame = match framing {
            Framing::Whole => None,
            Framing::Chunks => Some("chunked"),
            // A coding says enough.
            Framing::Frames => plain.then_some("http2-data"),
        };
        let layers: Vec<&'static str> =
            frame.into_iter().chain(packed.iter().chain(&within).map(|c| c.id())).collect();
        let within = within.into_iter().map(Unpacker::new).collect();
        let content = if plain { Unwrapped::pieces(layers) } else { Unwrapped::from_beginning(layers) };
        let mut window = || {
            let held = Arc::clone(&cx.out.windows);
            // The shard's own and this one are no unpacking.
            if Arc::strong_count(&held) - 2 < MAX_WINDOWS {
                return Some(held);
            }
            if !std::mem::replace(&mut all.told_many, true) {
                let what = format!(
                    "HTTP: more than {MAX_WINDOWS} bodies in br or zstd at once: not all were unpacked"
                );
                cx.warn(0, what);
            }
            None
        };
        let engine = match coding {
            Coding::Plain => Engine::Plain,
            Coding::Other => Engine::Sealed,
            _ if all.exhausted => Engine::Sealed,
            Coding::Packed(unpack::Coding::Gzip | unpack::Coding::Zlib | unpack::Coding::Deflate) => {
                Engine::Header(Vec::new())
            }
            Coding::Packed(unpack::Coding::Brotli) => window()
                .map_or(Engine::Sealed, |held| Engine::Brotli { stream: Brotli::new(), _window: held }),
            Coding::Packed(unpack::Coding::Zstd) => window()
                .map_or(Engine::Sealed, |held| Engine::Zstd { stream: Box::new(Zstd::new()), _window: held }),
        };
        let in_pieces = coding == Coding::Plain && framing != Framing::Whole;
        Body { coding, engine, content, within, in_pieces, given: Budget::default(), members: 0 }
    }

    /// The content cannot be read (any more): a coding that is not known, or bytes that are not what they are said to be.
    pub(super) fn is_opaque(&self) -> bool {
        matches!(self.engine, Engine::Sealed)
    }

    /// A chunk or frame begins.
    pub(super) fn border(&mut self) {
        self.content.border();
    }

    /// Bytes are missing: behind them nothing can be unpacked.
    pub(super) fn gap(&mut self, all: &mut Allowance, cx: &mut Cx<'_>) {
        self.finish(all, cx);
        match self.engine {
            Engine::Plain => self.content.gap(),
            _ => self.engine = Engine::Sealed,
        }
    }

    /// No more content comes.
    pub(super) fn finish(&mut self, all: &mut Allowance, cx: &mut Cx<'_>) {
        match std::mem::replace(&mut self.engine, Engine::Plain) {
            Engine::Zstd { mut stream, .. } => {
                let (content, within) = (&mut self.content, &mut self.within);
                stream.finish(&mut |piece| {
                    through(within, piece, &mut |piece| cx.search_in(content, piece, Vec::new(), 0));
                });
            }
            Engine::Inflate(inflate) => all.spare = Some(inflate),
            Engine::Brotli { .. } => {}
            engine => self.engine = engine,
        }
        for place in 0..self.within.len() {
            let Some((unpacker, rest)) = self.within.get_mut(place..).and_then(<[_]>::split_first_mut) else {
                break;
            };
            let content = &mut self.content;
            unpacker.finish(&mut |piece| {
                through(rest, piece, &mut |piece| cx.search_in(content, piece, Vec::new(), 0));
            });
        }
        cx.search_end(&mut self.content);
    }

    /// The next content: the first bytes shown.
    pub(super) fn part(&mut self, data: &[u8], all: &mut Allowance, cx: &mut Cx<'_>) {
        match &self.engine {
            Engine::Plain if self.in_pieces => {
                return cx.search(&mut self.content, data, 0..data.len());
            }
            // In one piece, behind the compression's own end, or not to be read.
            Engine::Plain | Engine::Sealed => return,
            _ => {}
        }
        let (frames, offset) =
            if cx.searching() { (cx.frames(0..data.len()).all, cx.offset(0)) } else { (Vec::new(), 0) };
        // Its frames count for later hits too, though nothing may come out of them.
        cx.search_in(&mut self.content, &[], frames, offset);
        // Brotli has no mark of its own: only what is said to be Brotli and begins like a container is looked at as it stands too.
        if !matches!(self.engine, Engine::Brotli { .. }) {
            cx.unpacked();
        }
        // Each body is counted by itself below: several may be under way at once.
        all.budget.message();
        let mut packed = Cow::Borrowed(data);
        loop {
            match &mut self.engine {
                Engine::Header(header) => {
                    header.extend_from_slice(&packed);
                    let (zlib, size) = match header_of(self.coding, header) {
                        Ok(Some(found)) => found,
                        Err(_) if header.len() < MAX_HEADER => return,
                        _ => {
                            self.engine = Engine::Sealed;
                            return;
                        }
                    };
                    packed = Cow::Owned(header.split_off(size));
                    let mut inflate = all.spare.take().unwrap_or_else(|| Box::new(Inflate::new(zlib)));
                    inflate.begin(zlib);
                    self.engine = Engine::Inflate(inflate);
                }
                Engine::Trailer(left) => {
                    let n = packed.len().min(*left);
                    *left -= n;
                    if *left > 0 || packed.len() == n {
                        return;
                    }
                    packed = Cow::Owned(packed.get(n..).unwrap_or_default().to_vec());
                    self.engine = Engine::Header(Vec::new());
                }
                _ => match self.unpack(&packed, offset, all, cx) {
                    Some(used) if used < packed.len() => {
                        packed = Cow::Owned(packed.get(used..).unwrap_or_default().to_vec());
                    }
                    _ => return,
                },
            }
        }
    }

    /// Unpacks the next bytes; gives how many were of the member of gzip that ended there, if more may follow it.
    fn unpack(&mut self, packed: &[u8], offset: u64, all: &mut Allowance, cx: &mut Cx<'_>) -> Option<usize> {
        let Body { content, engine, given, within, .. } = self;
        let mut size = 0;
        let mut give = |piece: &[u8]| {
            size += piece.len() as u64;
            through(within, piece, &mut |piece| cx.search_in(content, piece, Vec::new(), offset));
        };
        let mut used = packed.len();
        let (result, ended) = match engine {
            Engine::Inflate(inflate) => {
                let result = inflate.push(packed, &mut all.budget, &mut give).map(|n| used = n);
                (result, inflate.ended())
            }
            Engine::Brotli { stream, .. } => {
                let result = stream.push(packed, &mut all.budget, &mut give);
                (result, stream.ended())
            }
            Engine::Zstd { stream, .. } => (stream.push(packed, &mut all.budget, &mut give), false),
            _ => (Ok(()), false),
        };
        let Err(fault) = result.and_then(|()| given.spend(size, size)) else {
            if !ended {
                return None;
            }
            if self.coding != Coding::Packed(unpack::Coding::Gzip) {
                self.finish(all, cx);
                return None;
            }
            if self.members >= MAX_MEMBERS {
                self.engine = Engine::Sealed;
                return None;
            }
            self.members += 1;
            if let Engine::Inflate(inflate) = std::mem::replace(&mut self.engine, Engine::Trailer(TRAILER)) {
                all.spare = Some(inflate);
            }
            return Some(used);
        };
        self.engine = Engine::Sealed;
        match fault {
            Fault::Broken => {}
            Fault::Bomb => {
                all.exhausted = true;
                cx.warn(0, "HTTP: bodies unpack to more than a hundred times their size and were given up");
            }
            Fault::Long if all.told_long => {}
            Fault::Long => {
                all.told_long = true;
                cx.warn(
                    0,
                    format!(
                        "HTTP: of a body that unpacks to more, only the first {MAX_MESSAGE} bytes were read"
                    ),
                );
            }
        }
        None
    }
}

/// Gives what is left of a piece behind these unpackers, each of which has bounds of its own; what cannot be unpacked ends there.
fn through(unpackers: &mut [Unpacker], piece: &[u8], give: &mut dyn FnMut(&[u8])) {
    let Some((unpacker, rest)) = unpackers.split_first_mut() else { return give(piece) };
    if unpacker.push(piece, &mut |piece| through(rest, piece, give)).is_err() {
        unpacker.finish(&mut |piece| through(rest, piece, give));
    }
}

/// Size of the compression's own header and whether the engine reads it; `Ok(None)` when there is none.
fn header_of(coding: Coding, data: &[u8]) -> Result<Option<(bool, usize)>, Short> {
    if matches!(coding, Coding::Packed(unpack::Coding::Zlib | unpack::Coding::Deflate)) {
        // Deflate means zlib's format (RFC 9110 section 8.4.1.2); some servers leave that away.
        let first = Reader::new(data).u16("zlib header")?;
        return Ok(Some((first >> 8 & 0xf == 8 && first.is_multiple_of(31), 0)));
    }
    match gzip_header(data) {
        Some(Ok(size)) => Ok(Some((false, size))),
        Some(Err(_)) => Ok(None),
        None => Err(Short { field: "gzip header", at: 0, needed: data.len() + 1, left: data.len() }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use flate2::Compression;

    use crate::dissect::Options;
    use crate::dissect::http::tests::Talk;
    use crate::dissect::unpack::tests::{brotli, zstd};
    use crate::model::Direction;
    use crate::payload::CanarySet;

    const TEXT: &[u8] = b"words, words and words, canary-4711, words and words and more of the same words";

    /// A canary and letters as the program `zstd` packs them: coded, so that nothing stands in the stream as it is.
    fn of_zstd() -> Vec<u8> {
        let hex = "\
            28b52ffd00682d0700c6db3513b0a772874d6042446e4a8acc0086e86acde10139002d002c00a4f7f48a2728758e1c3982d1\
            187eb94542a519799fe4f2beebec5a8fd6156ad01f146c28f4602008081810004838a4202bb02005031e0c080151a571ad89\
            ba086b8f09055507254d4ebe2fe28ded114750faa211269b88670c8d2579ae4d773f36665f1ece015c157d439edaeef5d328\
            e166a7d1705215f9137c3c5c6af50b315c760a6736d7bbd4be455987620dfa5e7b0766199e2b2a2ef1b99b5b64bc32de25d4\
            38979114edeee37f8b6be493aea91d9121ba6353de9244f78ddd0403006a3608a1de39e79a77";
        hex.as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }

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
            ("brotli", answer("br", &brotli(TEXT), 0), "[5] br"),
            ("brotli in chunks", answer("BR", &brotli(TEXT), 5), "[5] chunked,br"),
            ("zstd", answer("zstd", &of_zstd(), 0), "[5] zstd"),
            ("zstd in chunks", answer("zstd", &of_zstd(), 5), "[5] chunked,zstd"),
            ("brotli that is none", answer("br", &gzip(TEXT), 0), "[5] gzip"),
            ("two codings, one of them not applied", answer("gzip, br", &gzip(TEXT), 0), "[5] gzip"),
            ("two codings", answer("gzip, deflate", &deflate(&gzip(TEXT), true), 0), "[5] deflate,gzip"),
            ("no coding and one", answer("identity, br", &brotli(TEXT), 0), "[5] br"),
            (
                "two fields",
                answer("br\r\nContent-Encoding: gzip", &gzip(&brotli(TEXT)), 9),
                "[5] chunked,gzip,br",
            ),
            ("one within that is not known", answer("compress, gzip", &gzip(TEXT), 0), "[5] gzip"),
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
    fn members_of_gzip_are_read_one_after_the_other() {
        let first = gzip(b"nothing in the first member, but many words of words");
        let two = answer("gzip", &[first.clone(), gzip(TEXT)].concat(), 0);
        assert_eq!(found(&opened().down(&two)), "[5] gzip");
        for cut in two.len() - 140..two.len() {
            let seen = found(&opened().down(&two[..cut]).down(&two[cut..]));
            assert!(["[5, 6] gzip", "[5] gzip", "[6] gzip"].contains(&seen.as_str()), "{cut}: {seen}");
        }
        let bytewise = found(&two.chunks(1).fold(opened(), Talk::down));
        assert!(bytewise.ends_with("] gzip"), "{bytewise}");
        // What follows a member and is none is not called read.
        let other = [&first[..], b"something else behind it"].concat();
        let classes = opened().down(&answer("gzip", &other, 0)).classes();
        assert!(classes.contains("http.body-undecoded"), "{classes}");
        // So many that more are not looked at.
        let many = [vec![first; 300].concat(), gzip(TEXT)].concat();
        assert_eq!(found(&opened().down(&answer("gzip", &many, 0))), "");
    }

    #[test]
    fn cut_anywhere_and_with_holes_nothing_is_invented() {
        for answer in [
            answer("", TEXT, 28),
            answer("gzip", &gzip(TEXT), 9),
            answer("deflate", &deflate(TEXT, true), 0),
            answer("br", &brotli(TEXT), 30),
            answer("zstd", &of_zstd(), 0),
        ] {
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
    fn what_cannot_be_unpacked_is_not_called_read() {
        for (coding, body, class) in [
            ("gzip", gzip(TEXT), "http.body"),
            ("br", brotli(TEXT), "http.body"),
            ("zstd", zstd(TEXT), "http.body"),
            ("compress", gzip(TEXT), "http.body-undecoded"),
            ("gzip, br", gzip(TEXT), "http.body-undecoded"),
            ("br", b"\xff\xff\xff no brotli".to_vec(), "http.body-undecoded"),
            ("zstd", b"this is no zstd".to_vec(), "http.body-undecoded"),
            ("gzip", b"this is no gzip, and long enough".to_vec(), "http.body-undecoded"),
        ] {
            let classes = opened().down(&answer(coding, &body, 0)).classes();
            assert!(classes.contains(&format!("{class} {}", body.len())), "{coding} {classes}");
        }
    }

    #[test]
    fn long_bodies_are_read_from_their_beginning_and_that_is_told() {
        let noise: Vec<u8> =
            (0..300_000_u32).flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_string().into_bytes()).collect();
        let long = [TEXT, &noise, TEXT].concat();
        for (coding, body) in [("gzip", gzip(&long)), ("br", brotli(&long)), ("zstd", zstd(&long))] {
            let packed = answer(coding, &body, 0);
            let talk = packed.chunks(1400).fold(opened(), Talk::down);
            let canaries = CanarySet::new(&[("note".into(), "canary-4711".into())]).unwrap();
            let read = talk.read_with(Options { canaries: Arc::new(canaries), ..Options::default() });
            // What is found in the stream as it is, is none of this: Zstandard may leave letters as they are.
            let unpacked = read.findings.iter().filter(|f| f.encoding.contains(&coding.to_owned())).count();
            assert_eq!(unpacked, 1, "{coding}");
            let told: Vec<_> = read.observations.iter().filter(|o| o.kind == "warning").collect();
            assert_eq!(told.len(), 1, "{coding} {told:?}");
            assert!(told[0].fields["what"].as_str().unwrap().contains("only the first 1048576 bytes"));
            assert!(talk.classes().contains("http.body-undecoded"), "{coding}");
        }
    }

    #[test]
    fn bombs_are_given_up_and_told() {
        let bomb = answer("gzip", &gzip(&vec![0; 1_000_000]), 0);
        for (coding, packed) in [("br", brotli(&vec![0; 1_000_000])), ("zstd", zstd(&vec![0; 1_000_000]))] {
            let bomb = answer(coding, &packed, 0);
            let talk = (0..9).fold(opened(), |talk, _| talk.up(b"GET /a HTTP/1.1\r\n\r\n").down(&bomb));
            let read = talk.read_with(Options::default());
            let warnings: Vec<_> = read.observations.iter().filter(|o| o.kind == "warning").collect();
            assert_eq!(warnings.len(), 1, "{coding}");
        }
        let talk = (0..9).fold(opened(), |talk, _| talk.up(b"GET /a HTTP/1.1\r\n\r\n").down(&bomb));
        let canaries = CanarySet::new(&[("note".into(), "canary-4711".into())]).unwrap();
        let read = talk.read_with(Options { canaries: Arc::new(canaries), ..Options::default() });
        let warnings: Vec<_> = read.observations.iter().filter(|o| o.kind == "warning").collect();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].fields["what"].as_str().unwrap().contains("a hundred times"));
    }
}
