//! Brotli and Zstandard, unpacked within bounds (RFC 7932, RFC 8878, RFC 9659).
//!
//! Takes compressed bytes in order; gives what they hold. Bounds are those of [`Budget`]: a body that grows beyond measure is
//! given up. Brotli's content comes as it is read; Zstandard's as [`ZstdFrame`] gives it, frame by frame, and at [`Zstd::finish`] when
//! the bytes are cut. Checksums and dictionaries are not looked at.

use super::inflate::{Budget, Fault, MAX_MESSAGE};
use crate::payload::unpack::{BrotliEngine, ZstdFrame, brotli, unbrotli};

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

/// The last three bytes of a skippable frame's magic number; the first is 0x50 to 0x5f (RFC 8878 section 3.1.2).
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Where a stream of Zstandard stands.
enum Stand {
    /// At a frame's first byte.
    Start,
    Frame(Box<ZstdFrame>),
    /// So many bytes are of no interest.
    Skip(u64),
    /// Nothing follows that can be read.
    End,
}

/// Frames of Zstandard, one behind the other.
pub(super) struct Zstd {
    stand: Stand,
    /// First bytes of a frame of which the kind is not known.
    pending: Vec<u8>,
    /// Content of all frames that was counted.
    counted: u64,
}

impl Zstd {
    /// At the stream's first byte.
    pub(super) fn new() -> Zstd {
        Zstd { stand: Stand::Start, pending: Vec::new(), counted: 0 }
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
        while !rest.is_empty() {
            let taken = match &mut self.stand {
                Stand::Start => match kind(rest) {
                    Some(Kind::Skippable(size)) => {
                        self.stand = Stand::Skip(size);
                        8
                    }
                    Some(Kind::Frame) => {
                        self.counted = 0;
                        self.stand = Stand::Frame(Box::new(ZstdFrame::new()));
                        0
                    }
                    None => {
                        self.pending = rest.to_vec();
                        return Ok(());
                    }
                },
                Stand::Frame(frame) => {
                    let counted = &mut self.counted;
                    let mut count = |taken, more: u64| {
                        *counted += more;
                        budget.spend(taken, more)?;
                        // Of a frame nothing may have been given yet, so only here it is known how much is held.
                        if *counted > MAX_MESSAGE { Err(Fault::Long) } else { Ok(()) }
                    };
                    let pushed = frame.push(rest, &mut count, give);
                    if frame.ended() {
                        self.stand = if pushed.is_ok() { Stand::Start } else { Stand::End };
                    }
                    pushed?
                }
                Stand::Skip(left) => {
                    let taken = (rest.len() as u64).min(*left);
                    *left -= taken;
                    if *left == 0 {
                        self.stand = Stand::Start;
                    }
                    taken as usize
                }
                Stand::End => return Ok(()),
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// No more bytes come: gives what the blocks so far hold.
    pub(super) fn finish(&mut self, give: &mut dyn FnMut(&[u8])) {
        if let Stand::Frame(mut frame) = std::mem::replace(&mut self.stand, Stand::End) {
            frame.finish(give);
        }
        self.pending = Vec::new();
    }
}

/// What a frame is.
enum Kind {
    Frame,
    /// With so many bytes behind its length.
    Skippable(u64),
}

/// The kind of the frame that begins here, once it can be told; what is none is left to [`ZstdFrame`] to refuse.
fn kind(data: &[u8]) -> Option<Kind> {
    let (magic, rest) = data.split_first_chunk::<4>()?;
    if let [0x50..=0x5f, tail @ ..] = *magic
        && tail == SKIPPABLE
    {
        let size = rest.first_chunk::<4>()?;
        return Some(Kind::Skippable(u32::from_le_bytes(*size).into()));
    }
    Some(Kind::Frame)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::payload::unpack::MAX_BLOCK;

    /// A frame header with a window of 128 KiB.
    const HEADER: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];

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
            b.finish(&mut give);
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
