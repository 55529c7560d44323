//! Compressed content, unpacked within bounds: gzip (RFC 1952), zlib (RFC 1950), deflate (RFC 1951), Brotli (RFC 7932) and
//! Zstandard (RFC 8878).
//!
//! Takes compressed bytes in order; gives what they hold in pieces. Keeps the format's window and no content. What grows beyond
//! measure is given up: [`Fault`]. Checksums and dictionaries are not looked at. The way in for [`super::scan`], which knows a coding by
//! its first bytes. Dissectors, whose bounds go over several messages, use its parts: `inflate`, `unbrotli`, `gzip_header` and
//! the names ([`Coding::named`]).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::FrameDecoder;

/// Content of one container that is unpacked.
pub const MAX_CONTENT: u64 = 8 << 20;
/// A container may hold so many bytes, and [`MAX_RATIO`] times its compressed size on top.
pub const FREE: u64 = 1 << 20;
/// Deflate reaches 1,032, Brotli and Zstandard far more; text stays under 30.
pub const MAX_RATIO: u64 = 100;
/// Unpacked bytes that are given at once.
pub(crate) const PIECE: usize = 8 << 10;
/// A header of gzip that is longer is no header.
pub(crate) const MAX_HEADER: usize = 4 << 10;
/// A block of Zstandard with its headers.
const MAX_BLOCK: usize = (128 << 10) + 64;
/// The largest window that a frame of Zstandard may ask for (RFC 9659 section 3).
pub(crate) const MAX_WINDOW: u64 = 8 << 20;

/// How content is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950; HTTP's `deflate` (RFC 9110 section 8.4.1.2).
    Zlib,
    /// RFC 1951, without a header.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// Why no more is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes are no such format.
    Broken,
    /// There is more than is unpacked of one container or message.
    Long,
    /// It holds far more than its size.
    Bomb,
}

impl Coding {
    /// The coding of a `Content-Encoding` (IANA's registry of HTTP content codings); `None` when it is none of these.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Coding> {
        let known = [
            (&b"gzip"[..], Coding::Gzip),
            (b"x-gzip", Coding::Gzip),
            (b"deflate", Coding::Zlib),
            (b"br", Coding::Brotli),
            (b"zstd", Coding::Zstd),
        ];
        known.into_iter().find(|(id, _)| name.eq_ignore_ascii_case(id)).map(|(_, coding)| coding)
    }

    /// Its name in `encoding`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Zlib | Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

enum Engine {
    /// Waits for the end of gzip's header, of which these bytes came.
    Header(Vec<u8>),
    Inflate(Box<Decompress>),
    Brotli(Box<BrotliEngine>),
    /// With the bytes of a block that is not complete.
    Zstd(Box<FrameDecoder>, Vec<u8>),
}

/// One container that is being unpacked.
pub struct Unpacker {
    engine: Engine,
    ended: bool,
    taken: u64,
    given: u64,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unpacker({} of {})", self.given, self.taken)
    }
}

impl Unpacker {
    /// Begins.
    #[must_use]
    pub fn new(coding: Coding) -> Unpacker {
        let engine = match coding {
            Coding::Gzip => Engine::Header(Vec::new()),
            Coding::Zlib => Engine::Inflate(Box::new(Decompress::new(true))),
            Coding::Deflate => Engine::Inflate(Box::new(Decompress::new(false))),
            Coding::Brotli => Engine::Brotli(brotli()),
            Coding::Zstd => {
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size(MAX_WINDOW);
                Engine::Zstd(Box::new(decoder), Vec::new())
            }
        };
        Unpacker { engine, ended: false, taken: 0, given: 0 }
    }

    /// The format's own end was reached: what follows is no part of it.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Unpacks the next bytes; gives how many of them belong to the container.
    ///
    /// # Errors
    /// [`Fault`]: it cannot go on.
    pub fn push(&mut self, data: &[u8], give: &mut dyn FnMut(&[u8])) -> Result<usize, Fault> {
        if self.ended {
            return Ok(0);
        }
        if let Engine::Header(header) = &mut self.engine {
            let before = header.len();
            header.extend_from_slice(data.get(..MAX_HEADER.min(data.len())).unwrap_or_default());
            return match gzip_header(header) {
                Some(Ok(size)) => {
                    self.engine = Engine::Inflate(Box::new(Decompress::new(false)));
                    let from = size.saturating_sub(before);
                    Ok(from + self.push(data.get(from..).unwrap_or_default(), give)?)
                }
                Some(Err(fault)) => Err(fault),
                None if header.len() >= MAX_HEADER => Err(Fault::Broken),
                None => Ok(data.len()),
            };
        }
        let (mut taken, mut given) = (self.taken, self.given);
        let mut limited = |more: u64, piece: &[u8]| {
            taken += more;
            given += piece.len() as u64;
            if !piece.is_empty() {
                give(piece);
            }
            if given > FREE.saturating_add(taken.saturating_mul(MAX_RATIO)) {
                Err(Fault::Bomb)
            } else if given > MAX_CONTENT {
                Err(Fault::Long)
            } else {
                Ok(())
            }
        };
        let done = match &mut self.engine {
            Engine::Header(_) => return Err(Fault::Broken),
            Engine::Inflate(engine) => inflate(engine, data, &mut self.ended, &mut limited)?,
            Engine::Brotli(state) => unbrotli(state, data, &mut self.ended, &mut limited)?,
            Engine::Zstd(decoder, held) => {
                unzstd(decoder, held, data, self.taken == 0, &mut self.ended, &mut limited)?
            }
        };
        self.taken = taken;
        self.given = given;
        Ok(done)
    }
}

/// Gets each piece that was unpacked (an empty one where nothing came out) with the bytes that it took. What it fails with, ends the
/// container.
pub(crate) type Round<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Fault> + 'a;

/// Unpacks the next bytes of deflate or zlib; gives how many of them belong to the stream, and sets `ended` at its end.
///
/// # Errors
/// [`Fault`]: it cannot go on.
pub(crate) fn inflate(
    engine: &mut Decompress,
    data: &[u8],
    ended: &mut bool,
    round: &mut Round<'_>,
) -> Result<usize, Fault> {
    let mut piece = [0; PIECE];
    let mut done = 0;
    while !*ended {
        let rest = data.get(done..).unwrap_or_default();
        let (taken, given) = (engine.total_in(), engine.total_out());
        let status = engine.decompress(rest, &mut piece, FlushDecompress::None);
        let (taken, given) = (engine.total_in() - taken, engine.total_out() - given);
        done += taken as usize;
        let bounds = round(taken, piece.get(..given as usize).unwrap_or_default());
        match status {
            Ok(Status::StreamEnd) => *ended = true,
            // Without progress the engine says `BufError`, which is no error.
            Ok(_) if taken == 0 && given == 0 => break,
            Ok(_) => {}
            Err(_) => return Err(Fault::Broken),
        }
        bounds?;
    }
    Ok(done)
}

/// What unpacks one stream of Brotli.
pub(crate) type BrotliEngine = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// At the stream's first byte. Windows beyond 16 MiB are no part of RFC 7932.
pub(crate) fn brotli() -> Box<BrotliEngine> {
    let alloc = StandardAlloc::default;
    Box::new(BrotliState::new_strict(alloc(), alloc(), alloc()))
}

/// Unpacks the next bytes of Brotli; gives how many of them belong to the stream, and sets `ended` at its end.
///
/// # Errors
/// [`Fault`]: it cannot go on.
pub(crate) fn unbrotli(
    state: &mut BrotliEngine,
    data: &[u8],
    ended: &mut bool,
    round: &mut Round<'_>,
) -> Result<usize, Fault> {
    let mut piece = [0; PIECE];
    let (mut left, mut done) = (data.len(), 0);
    while !*ended {
        let (mut room, mut given, mut total) = (PIECE, 0, 0);
        let before = done;
        let result = BrotliDecompressStream(
            &mut left, &mut done, data, &mut room, &mut given, &mut piece, &mut total, state,
        );
        let bounds = round((done - before) as u64, piece.get(..given).unwrap_or_default());
        match result {
            BrotliResult::ResultSuccess => *ended = true,
            BrotliResult::ResultFailure => return Err(Fault::Broken),
            BrotliResult::NeedsMoreInput if left == 0 || done == before => return bounds.map(|()| done),
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        bounds?;
    }
    Ok(done)
}

fn unzstd(
    decoder: &mut FrameDecoder,
    held: &mut Vec<u8>,
    data: &[u8],
    mut at_start: bool,
    ended: &mut bool,
    round: &mut Round<'_>,
) -> Result<usize, Fault> {
    let mut piece = [0; PIECE];
    let before = held.len();
    held.extend_from_slice(data);
    let mut done = 0;
    loop {
        let rest = held.get(done..).unwrap_or_default();
        if at_start && rest.len() < 18 {
            // The frame's header may be cut, which the decoder takes for a fault.
            break;
        }
        // No more than a block: what is unpacked and not yet given stays bounded.
        let part = rest.get(..MAX_BLOCK.min(rest.len())).unwrap_or(rest);
        let (taken, given) = decoder.decode_from_to(part, &mut piece).map_err(|_| Fault::Broken)?;
        if taken > part.len() {
            // The decoder waits for a checksum that is not all there, and says that it took it.
            break;
        }
        done += taken;
        at_start &= taken == 0;
        round(taken as u64, piece.get(..given).unwrap_or_default())?;
        if decoder.is_finished() && given == 0 && taken == 0 {
            *ended = true;
            break;
        }
        if taken == 0 && given == 0 {
            break;
        }
    }
    if *ended {
        held.clear();
        return Ok(done.saturating_sub(before));
    }
    held.drain(..done.min(held.len()));
    if held.len() > MAX_BLOCK {
        return Err(Fault::Broken);
    }
    Ok(data.len())
}

/// Size of gzip's header (RFC 1952 section 2.3), once all of it is there.
pub(crate) fn gzip_header(data: &[u8]) -> Option<Result<usize, Fault>> {
    let fixed = [0x1f, 0x8b, 8];
    if data.iter().zip(fixed).any(|(a, b)| *a != b) {
        return Some(Err(Fault::Broken));
    }
    let flags = *data.get(3)?;
    if flags & 0xe0 != 0 {
        return Some(Err(Fault::Broken));
    }
    let mut at = 10;
    if flags & 4 != 0 {
        let size = data.get(at..at + 2)?;
        at += 2 + size.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
    }
    for text in [8, 0x10] {
        if flags & text != 0 {
            at += data.get(at..)?.iter().position(|b| *b == 0)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (data.len() >= at).then_some(Ok(at))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use flate2::Compression;

    use super::*;

    pub(in crate::payload) fn packed(coding: Coding, data: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let header = flate2::GzBuilder::new().filename("a name").comment("words").extra(vec![7; 300]);
                let mut writer = header.write(Vec::new(), Compression::best());
                writer.write_all(data).unwrap();
                writer.finish().unwrap()
            }
            Coding::Zlib => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
                writer.write_all(data).unwrap();
                writer.finish().unwrap()
            }
            Coding::Deflate => {
                let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
                writer.write_all(data).unwrap();
                writer.finish().unwrap()
            }
            Coding::Brotli => {
                let mut out = Vec::new();
                let params = brotli::enc::BrotliEncoderParams::default();
                brotli::BrotliCompress(&mut &data[..], &mut out, &params).unwrap();
                out
            }
            Coding::Zstd => {
                ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
            }
        }
    }

    const ALL: [Coding; 5] = [Coding::Gzip, Coding::Zlib, Coding::Deflate, Coding::Brotli, Coding::Zstd];

    #[test]
    fn pieces_of_any_size_give_the_same_and_the_end_is_known() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for coding in ALL {
            let data = packed(coding, &text);
            let followed = [&data[..], b"more"].concat();
            for size in [1, 7, 1000, followed.len()] {
                let (mut unpacker, mut out, mut taken) = (Unpacker::new(coding), Vec::new(), 0);
                for part in followed.chunks(size) {
                    taken += unpacker.push(part, &mut |piece| out.extend_from_slice(piece)).unwrap();
                }
                assert!(out == text, "{coding:?} by {size}: {} of {}", out.len(), text.len());
                assert!(unpacker.ended(), "{coding:?} by {size}");
                // Gzip's checksum and length behind the data are nobody's.
                let end = data.len() - if coding == Coding::Gzip { 8 } else { 0 };
                assert!(taken.abs_diff(end) <= 4, "{coding:?} by {size}: {taken} of {end}");
            }
        }
    }

    #[test]
    fn bombs_and_noise_are_given_up() {
        for coding in ALL {
            let bomb = packed(coding, &vec![0; 32 << 20]);
            let (mut unpacker, mut size) = (Unpacker::new(coding), 0_u64);
            let fault = bomb
                .chunks(1400)
                .find_map(|part| unpacker.push(part, &mut |piece| size += piece.len() as u64).err());
            assert!(matches!(fault, Some(Fault::Bomb | Fault::Long)), "{coding:?}: {fault:?}");
            assert!(size <= MAX_CONTENT + (1 << 17), "{coding:?}: {size}");
            let mut state = 1_u64;
            for seed in 0..300_u64 {
                state = state.wrapping_add(seed);
                let noise: Vec<u8> = (0..400)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (state >> 33) as u8
                    })
                    .collect();
                let _ = Unpacker::new(coding).push(&noise, &mut |_| ());
                let mut spoiled = packed(coding, b"some words, some words, some more words");
                let at = (state >> 40) as usize % spoiled.len();
                spoiled[at] ^= noise[0];
                let _ = Unpacker::new(coding).push(&spoiled, &mut |_| ());
            }
        }
    }
}
