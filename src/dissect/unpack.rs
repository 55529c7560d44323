//! Brotli and Zstandard, unpacked within bounds (RFC 7932, RFC 8878, RFC 9659).
//!
//! Takes compressed bytes in order; gives what they hold. Bounds are those of [`Budget`]: a body that grows beyond measure is
//! given up. Brotli's content comes as it is read; Zstandard's at the end of its frame, or at [`Zstd::finish`] when the bytes are
//! cut, as far as whole blocks are there. Checksums and dictionaries are not looked at.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::inflate::{Budget, Fault, MAX_MESSAGE, PIECE};
use super::{Reader, Short};
use crate::payload::unpack::{BrotliEngine, MAX_WINDOW, brotli, unbrotli};

/// One stream of Brotli.
pub(super) struct Brotli {
    state: Box<BrotliEngine>,
    ended: bool,
}

impl Brotli {
    /// At the stream's first byte.
    pub(super) fn new() -> Brotli {
        Brotli { state: brotli(), ended: false }
    }

    /// The format's own end was reached.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Unpacks the next bytes.
    ///
    /// # Errors
    /// [`Fault`]: the stream cannot go on.
    pub(super) fn push(
        &mut self,
        data: &[u8],
        budget: &mut Budget,
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Fault> {
        unbrotli(&mut self.state, data, &mut self.ended, &mut budget.rounds(give)).map(|_| ())
    }
}

/// The first bytes of a frame (RFC 8878 section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The last three bytes of a skippable frame's magic number; the first is 0x50 to 0x5f (RFC 8878 section 3.1.2).
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// The largest block, packed or not (RFC 8878 section 3.1.1.2.4).
const MAX_BLOCK: usize = 128 << 10;
/// A frame header with a window of 128 KiB, no size and no checksum. It stands in for the frame's own one: all content is kept
/// until the end anyway, so no reference reaches beyond it, and what is more than this window is what can be counted.
const HEADER: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
/// The last block of a frame, without content.
const LAST: [u8; 3] = [1, 0, 0];

/// Where a stream of Zstandard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// At a frame's first byte.
    Start,
    /// At a block's first byte; whether a checksum follows the last one.
    Block(bool),
    /// So many bytes are of no interest.
    Skip(u64),
    /// Nothing follows that can be read.
    End,
}

/// Frames of Zstandard, one behind the other.
pub(super) struct Zstd {
    decoder: FrameDecoder,
    stand: Stand,
    /// Bytes of a header or block that is not whole.
    pending: Vec<u8>,
    /// Content of this frame that was counted.
    counted: u64,
    open: bool,
}

impl Zstd {
    /// At the stream's first byte.
    pub(super) fn new() -> Zstd {
        Zstd {
            decoder: FrameDecoder::new(),
            stand: Stand::Start,
            pending: Vec::new(),
            counted: 0,
            open: false,
        }
    }

    /// Unpacks the next bytes.
    ///
    /// # Errors
    /// [`Fault`]: the stream cannot go on. What was unpacked before it is given.
    pub(super) fn push(
        &mut self,
        data: &[u8],
        budget: &mut Budget,
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Fault> {
        self.pending.extend_from_slice(data);
        let bytes = std::mem::take(&mut self.pending);
        let mut rest = bytes.as_slice();
        loop {
            match self.step(rest, budget, give) {
                Ok(Some(taken)) => rest = rest.get(taken..).unwrap_or_default(),
                Ok(None) => break,
                Err(fault) => {
                    self.finish(budget, give);
                    return Err(fault);
                }
            }
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    /// No more bytes come: gives what the blocks so far hold.
    pub(super) fn finish(&mut self, budget: &mut Budget, give: &mut dyn FnMut(&[u8])) {
        if self.open {
            // The content of a frame that has ended is given as a whole.
            let _ = self.decoder.decode_blocks(LAST.as_slice(), BlockDecodingStrategy::UptoBlocks(1));
            let _ = self.give(budget, give);
        }
        self.pending = Vec::new();
        self.stand = Stand::End;
    }

    /// Reads the header or block at the front; gives its size, or nothing when there is no whole one.
    fn step(
        &mut self,
        rest: &[u8],
        budget: &mut Budget,
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>, Fault> {
        match self.stand {
            Stand::Start => self.frame(rest),
            Stand::Block(checksum) => self.block(rest, checksum, budget, give),
            Stand::Skip(left) => {
                let taken = (rest.len() as u64).min(left);
                self.stand = if taken == left { Stand::Start } else { Stand::Skip(left - taken) };
                Ok((taken > 0 || left == 0).then_some(taken as usize))
            }
            Stand::End => Ok((!rest.is_empty()).then_some(rest.len())),
        }
    }

    fn frame(&mut self, rest: &[u8]) -> Result<Option<usize>, Fault> {
        let mut r = Reader::new(rest);
        let Ok(magic) = r.array::<4>("magic number") else { return Ok(None) };
        if let [0x50..=0x5f, tail @ ..] = magic
            && tail == SKIPPABLE
        {
            let Ok(size) = r.array("size") else { return Ok(None) };
            self.stand = Stand::Skip(u32::from_le_bytes(size).into());
            return Ok(Some(r.at()));
        }
        if magic != MAGIC {
            return Err(Fault::Broken);
        }
        let Ok((window, checksum)) = frame_header(&mut r) else { return Ok(None) };
        if window > MAX_WINDOW {
            return Err(Fault::Broken);
        }
        self.decoder.reset(HEADER.as_slice()).map_err(|_| Fault::Broken)?;
        self.counted = 0;
        self.open = true;
        self.stand = Stand::Block(checksum);
        Ok(Some(r.at()))
    }

    fn block(
        &mut self,
        rest: &[u8],
        checksum: bool,
        budget: &mut Budget,
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
        if last {
            self.stand = Stand::Skip(if checksum { 4 } else { 0 });
            budget.spend(whole as u64, 0)?;
            self.give(budget, give)?;
        } else {
            let known = self.decoder.can_collect() as u64;
            let more = known.saturating_sub(self.counted);
            self.counted = self.counted.max(known);
            budget.spend(whole as u64, more)?;
            // Nothing was given yet, so only here it is known how much is held.
            if self.counted > MAX_MESSAGE {
                return Err(Fault::Long);
            }
        }
        Ok(Some(whole))
    }

    /// Gives the content of the frame, which has ended.
    fn give(&mut self, budget: &mut Budget, give: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        self.open = false;
        let content = self.decoder.collect().unwrap_or_default();
        let bounds = budget.spend(0, (content.len() as u64).saturating_sub(self.counted));
        content.chunks(PIECE).for_each(give);
        bounds
    }
}

/// Window size and checksum flag, read behind the magic number (RFC 8878 section 3.1.1.1).
fn frame_header(r: &mut Reader<'_>) -> Result<(u64, bool), Short> {
    let descriptor = r.u8("descriptor")?;
    let single = descriptor & 0x20 != 0;
    let mut window = 0;
    if !single {
        let byte = r.u8("window")?;
        let base = 1_u64 << (10 + (byte >> 3));
        window = base + base / 8 * u64::from(byte & 7);
    }
    r.take("dictionary", [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or_default())?;
    let size = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let content = r.take("content size", size)?;
    if single {
        window = content.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        if size == 2 {
            window += 256;
        }
    }
    Ok((window, descriptor & 4 != 0))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::dissect) fn brotli(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
        brotli::BrotliCompress(&mut &data[..], &mut out, &params).unwrap();
        out
    }

    pub(in crate::dissect) fn zstd(data: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// What comes out, and the fault that ended it.
    fn unpack(zstd: bool, data: &[u8], size: usize, budget: &mut Budget) -> (Vec<u8>, Option<Fault>) {
        let (mut a, mut b, mut out) = (Brotli::new(), Zstd::new(), Vec::new());
        let mut give = |piece: &[u8]| out.extend_from_slice(piece);
        let mut push = |part: &[u8]| {
            if zstd { b.push(part, budget, &mut give) } else { a.push(part, budget, &mut give) }
        };
        let fault = data.chunks(size).find_map(|part| push(part).err());
        if fault.is_none() {
            b.finish(budget, &mut give);
        }
        (out, fault)
    }

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let text: Vec<u8> = (0..60_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for (is_zstd, data) in [(false, brotli(&text)), (true, zstd(&text))] {
            for size in [1, 7, 1000, data.len()] {
                let (out, fault) = unpack(is_zstd, &data, size, &mut Budget::default());
                assert!(out == text && fault.is_none(), "{is_zstd} {size}: {} {fault:?}", out.len());
            }
        }
        // Frames one behind the other, a skippable one between them, bytes that are no frame at the end.
        let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let many = [zstd(b"one "), skippable, zstd(b"two")].concat();
        assert_eq!(unpack(true, &many, 5, &mut Budget::default()), (b"one two".to_vec(), None));
        let noise = [many, b"noise".to_vec()].concat();
        assert_eq!(
            unpack(true, &noise, 99, &mut Budget::default()),
            (b"one two".to_vec(), Some(Fault::Broken))
        );
    }

    #[test]
    fn cut_anywhere_a_beginning_is_given() {
        let text: Vec<u8> = (0..300_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let raw = [&HEADER[..], &[0x28, 0, 0], b"hello", &[0x29, 0, 0], b"world"].concat();
        for (is_zstd, data, text) in
            [(false, brotli(&text), &text[..]), (true, zstd(&text), &text[..]), (true, raw, b"helloworld")]
        {
            for cut in 0..data.len() {
                let (out, fault) = unpack(is_zstd, &data[..cut], 3, &mut Budget::default());
                assert!(fault.is_none() && text.starts_with(&out), "{is_zstd} {cut}: {fault:?}");
                for bit in 0..8 {
                    let mut other = data.clone();
                    other[cut] ^= 1 << bit;
                    unpack(is_zstd, &other, 50, &mut Budget::default());
                }
            }
        }
        let cut = [&HEADER[..], &[0x28, 0, 0], b"hello", &[0x29, 0, 0], b"wor"].concat();
        assert_eq!(unpack(true, &cut, 1, &mut Budget::default()).0, b"hello", "whole blocks");
    }

    #[test]
    fn bombs_and_noise_are_given_up() {
        let zeros = vec![0; 16 << 20];
        // A block of one repeated byte, again and again.
        let repeated = [&HEADER[..], &[2, 0, 0x10, 0].repeat(1000)].concat();
        for (is_zstd, bomb) in [(false, brotli(&zeros)), (true, zstd(&zeros)), (true, repeated)] {
            let (out, fault) = unpack(is_zstd, &bomb, 10_000, &mut Budget::default());
            assert_eq!(fault, Some(Fault::Long), "{is_zstd}");
            assert!(out.len() as u64 <= MAX_MESSAGE + 3 * MAX_BLOCK as u64, "{is_zstd} {}", out.len());
        }
        for (is_zstd, small) in [(false, brotli(&zeros[..1 << 20])), (true, zstd(&zeros[..1 << 20]))] {
            let mut budget = Budget::default();
            let faults: Vec<_> = (0..8)
                .map(|_| {
                    budget.message();
                    unpack(is_zstd, &small, 10_000, &mut budget).1
                })
                .collect();
            assert!(faults.contains(&Some(Fault::Bomb)), "{is_zstd} {faults:?}");
            assert_eq!(unpack(is_zstd, &[0xff; 20], 20, &mut Budget::default()).1, Some(Fault::Broken));
        }
        // A window of 16 MiB, and one of which the frame itself says that it has 9 MiB.
        for header in
            [&[0x28, 0xb5, 0x2f, 0xfd, 0, 14 << 3][..], &[0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0x90, 0]]
        {
            assert_eq!(unpack(true, header, 99, &mut Budget::default()).1, Some(Fault::Broken));
        }
    }
}
