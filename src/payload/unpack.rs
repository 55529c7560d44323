//! Compressed content, unpacked within bounds: gzip (RFC 1952), zlib (RFC 1950), deflate (RFC 1951), Brotli (RFC 7932) and
//! Zstandard (RFC 8878).
//!
//! Takes compressed bytes in order; gives what they hold in pieces. Keeps the format's window and no content, but for frames of
//! Zstandard with a window above 128 KiB, whose content is kept to their end. What grows beyond measure is
//! given up: [`Fault`]. Checksums and dictionaries are not looked at. The way in for [`super::scan`], which knows a coding by its
//! first bytes. Dissectors, whose bounds go over several messages, use its parts: `inflate`, `unbrotli`, `ZstdFrame`, `gzip_header`
//! and the names ([`Coding::named`]).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

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
/// The largest block of Zstandard, packed or not (RFC 8878 section 3.1.1.2.4).
pub(crate) const MAX_BLOCK: usize = 128 << 10;
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
    Zstd(Box<ZstdFrame>),
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
            Coding::Zstd => Engine::Zstd(Box::new(ZstdFrame::new())),
        };
        Unpacker { engine, ended: false, taken: 0, given: 0 }
    }

    /// The format's own end was reached: what follows is no part of it.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes that are kept to unpack on, where they are more than a small window.
    #[must_use]
    pub fn held(&self) -> u64 {
        match &self.engine {
            Engine::Zstd(frame) if !self.ended => frame.held(),
            _ => 0,
        }
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
        let mut spend = |more: u64, held: u64| {
            taken += more;
            given += held;
            if given > FREE.saturating_add(taken.saturating_mul(MAX_RATIO)) {
                Err(Fault::Bomb)
            } else if given > MAX_CONTENT {
                Err(Fault::Long)
            } else {
                Ok(())
            }
        };
        if let Engine::Zstd(frame) = &mut self.engine {
            let done = frame.push(data, &mut spend, give)?;
            self.ended = frame.ended();
            (self.taken, self.given) = (taken, given);
            return Ok(done);
        }
        let mut limited = |more: u64, piece: &[u8]| {
            if !piece.is_empty() {
                give(piece);
            }
            spend(more, piece.len() as u64)
        };
        let done = match &mut self.engine {
            Engine::Header(_) | Engine::Zstd(_) => return Err(Fault::Broken),
            Engine::Inflate(engine) => inflate(engine, data, &mut self.ended, &mut limited)?,
            Engine::Brotli(state) => unbrotli(state, data, &mut self.ended, &mut limited)?,
        };
        self.taken = taken;
        self.given = given;
        Ok(done)
    }

    /// No more bytes come: gives what was unpacked and is not given yet.
    pub fn finish(&mut self, give: &mut dyn FnMut(&[u8])) {
        if let Engine::Zstd(frame) = &mut self.engine {
            frame.finish(give);
        }
        self.ended = true;
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

/// Counts bytes that were taken and bytes that they hold. What it fails with, ends the container.
pub(crate) type Count<'a> = dyn FnMut(u64, u64) -> Result<(), Fault> + 'a;

/// The first bytes of a frame (RFC 8878 section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A frame header with a window of 128 KiB, no size and no checksum. It stands in for the frame's own one, so that memory grows with
/// what is there and not with what is announced: content of a larger window is kept until the frame's end, so no reference
/// reaches beyond it, and what is more than this window is what can be counted.
const HEADER: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
const HEADER_WINDOW: u64 = 128 << 10;
/// The last block of a frame, without content.
const LAST: [u8; 3] = [1, 0, 0];

/// Where a frame of Zstandard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// In its header.
    Header,
    /// At a block's first byte; whether a checksum follows the last one.
    Block(bool),
    /// So many bytes of the checksum are to come.
    Checksum(usize),
    /// Nothing follows that can be read.
    End,
}

/// One frame of Zstandard (RFC 8878) that is being unpacked. Gives content as it is read where the frame's window is small, else at the
/// frame's end; at [`ZstdFrame::finish`] when the bytes are cut, as far as whole blocks are there.
pub(crate) struct ZstdFrame {
    decoder: FrameDecoder,
    stand: Stand,
    /// Bytes of a header or block that is not whole.
    pending: Vec<u8>,
    /// Content that was counted, and of it what was given.
    counted: u64,
    given: u64,
    /// Content is given as soon as no reference can reach it.
    flowing: bool,
    /// The decoder holds content.
    open: bool,
}

impl ZstdFrame {
    /// At the frame's first byte.
    pub(crate) fn new() -> ZstdFrame {
        ZstdFrame {
            decoder: FrameDecoder::new(),
            stand: Stand::Header,
            pending: Vec::new(),
            counted: 0,
            given: 0,
            flowing: false,
            open: false,
        }
    }

    /// Bytes that are kept: a window, a block that is not whole, and content that is given at the end.
    pub(crate) fn held(&self) -> u64 {
        let content = if self.open { HEADER_WINDOW + self.counted.saturating_sub(self.given) } else { 0 };
        content + self.pending.len() as u64
    }

    /// All of the frame was read.
    pub(crate) fn ended(&self) -> bool {
        self.stand == Stand::End
    }

    /// Unpacks the next bytes; gives how many of them belong to the frame.
    ///
    /// # Errors
    /// [`Fault`]: it cannot go on. What was unpacked before it is given.
    pub(crate) fn push(
        &mut self,
        data: &[u8],
        count: &mut Count<'_>,
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Fault> {
        let before = self.pending.len();
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(data);
        let mut at = 0;
        while !self.ended() {
            match self.step(bytes.get(at..).unwrap_or_default(), count, give) {
                Ok(Some(taken)) => at += taken,
                Ok(None) => {
                    bytes.drain(..at.min(bytes.len()));
                    self.pending = bytes;
                    return Ok(data.len());
                }
                Err(fault) => {
                    self.finish(give);
                    return Err(fault);
                }
            }
        }
        Ok(at.saturating_sub(before))
    }

    /// No more bytes come: gives what the blocks so far hold.
    pub(crate) fn finish(&mut self, give: &mut dyn FnMut(&[u8])) {
        if std::mem::take(&mut self.open) {
            // The content of a frame that has ended is given as a whole.
            let _ = self.decoder.decode_blocks(LAST.as_slice(), BlockDecodingStrategy::UptoBlocks(1));
            self.give(give);
        }
        self.pending = Vec::new();
        self.stand = Stand::End;
    }

    /// Reads the header or block at the front; gives its size, or nothing when there is no whole one.
    fn step(
        &mut self,
        rest: &[u8],
        count: &mut Count<'_>,
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>, Fault> {
        match self.stand {
            Stand::Header => {
                let Some(header) = zstd_header(rest) else { return Ok(None) };
                let (size, window, checksum) = header?;
                if window > MAX_WINDOW {
                    return Err(Fault::Broken);
                }
                self.decoder.reset(HEADER.as_slice()).map_err(|_| Fault::Broken)?;
                self.flowing = window <= HEADER_WINDOW;
                self.open = true;
                self.stand = Stand::Block(checksum);
                Ok(Some(size))
            }
            Stand::Block(checksum) => self.block(rest, checksum, count, give),
            Stand::Checksum(left) => {
                let taken = rest.len().min(left);
                self.stand = if taken == left { Stand::End } else { Stand::Checksum(left - taken) };
                Ok((taken > 0).then_some(taken))
            }
            Stand::End => Ok(None),
        }
    }

    fn block(
        &mut self,
        rest: &[u8],
        checksum: bool,
        count: &mut Count<'_>,
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>, Fault> {
        let Some([a, b, c]) = rest.first_chunk() else { return Ok(None) };
        let head = u32::from_le_bytes([*a, *b, *c, 0]);
        let (last, kind, size) = (head & 1 == 1, head >> 1 & 3, (head >> 3) as usize);
        if size > MAX_BLOCK || kind == 3 {
            return Err(Fault::Broken);
        }
        let whole = 3 + if kind == 1 { 1 } else { size };
        let Some(block) = rest.get(..whole) else { return Ok(None) };
        self.decoder.decode_blocks(block, BlockDecodingStrategy::UptoBlocks(1)).map_err(|_| Fault::Broken)?;
        let known = self.given + self.decoder.can_collect() as u64;
        let more = known.saturating_sub(self.counted);
        self.counted = self.counted.max(known);
        if last {
            self.open = false;
            self.stand = if checksum { Stand::Checksum(4) } else { Stand::End };
            self.give(give);
        } else if self.flowing {
            self.give(give);
        }
        count(whole as u64, more)?;
        Ok(Some(whole))
    }

    /// Gives what the decoder lets go of.
    fn give(&mut self, give: &mut dyn FnMut(&[u8])) {
        let content = self.decoder.collect().unwrap_or_default();
        self.given += content.len() as u64;
        content.chunks(PIECE).for_each(give);
    }
}

/// Size of a frame's header, its window, and whether a checksum ends the frame (RFC 8878 section 3.1.1.1), once all of it is there.
fn zstd_header(data: &[u8]) -> Option<Result<(usize, u64, bool), Fault>> {
    if data.iter().zip(MAGIC).any(|(a, b)| *a != b) {
        return Some(Err(Fault::Broken));
    }
    let descriptor = *data.get(4)?;
    let single = descriptor & 0x20 != 0;
    let (mut at, mut window) = (5, 0);
    if !single {
        let byte = *data.get(at)?;
        let base = 1_u64 << (10 + (byte >> 3));
        window = base + base / 8 * u64::from(byte & 7);
        at += 1;
    }
    at += [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or_default();
    let size = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let content = data.get(at..at + size)?;
    if single {
        window = content.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        if size == 2 {
            window += 256;
        }
    }
    Some(Ok((at + size, window, descriptor & 4 != 0)))
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
    fn what_is_cut_is_given_at_the_end_of_its_bytes() {
        // Two blocks as they are, in frames with windows of 128 KiB, 1 MiB and 8 MiB.
        for window in [0x38, 0x50, 0x68] {
            let frame =
                [&[0x28, 0xb5, 0x2f, 0xfd, 0, window, 0x28, 0, 0][..], b"hello", &[0x29, 0, 0], b"world"]
                    .concat();
            for cut in 0..frame.len() {
                let (mut unpacker, mut out) = (Unpacker::new(Coding::Zstd), Vec::new());
                for byte in frame[..cut].chunks(1) {
                    unpacker.push(byte, &mut |piece| out.extend_from_slice(piece)).unwrap();
                }
                assert!(!unpacker.ended());
                unpacker.finish(&mut |piece| out.extend_from_slice(piece));
                assert_eq!(out, if cut < 14 { &b""[..] } else { b"hello" }, "{window} {cut}");
                assert!(unpacker.ended());
            }
        }
        // With a small window content comes before the end, and is the same.
        let text: Vec<u8> = (0..400_000_u32).flat_map(|n| (n % 1009).to_string().into_bytes()).collect();
        let blocks: Vec<u8> = text
            .chunks(100_000)
            .flat_map(|part| [&((part.len() as u32) << 3).to_le_bytes()[..3], part].concat())
            .collect();
        let frame = [&HEADER[..], &blocks, &LAST].concat();
        let (mut unpacker, mut out) = (Unpacker::new(Coding::Zstd), Vec::new());
        unpacker.push(&frame[..frame.len() - 3], &mut |piece| out.extend_from_slice(piece)).unwrap();
        assert!(
            !out.is_empty() && text.starts_with(&out) && out.len() + (256 << 10) > text.len(),
            "{}",
            out.len()
        );
        unpacker.push(&LAST, &mut |piece| out.extend_from_slice(piece)).unwrap();
        assert!(out == text && unpacker.ended());
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
            // What one block and the decoder's own window hold was not counted yet.
            assert!(size <= MAX_CONTENT + 3 * MAX_BLOCK as u64, "{coding:?}: {size}");
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
