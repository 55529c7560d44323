//! Compressed content, unpacked within bounds (RFC 1951, RFC 1950).
//!
//! Takes compressed bytes in order; gives what they hold in pieces of a few kilobytes. Keeps the window of 32 KiB and no content.
//! A stream that grows beyond measure is given up: [`Fault::Bomb`]. Checksums are not looked at.

use flate2::Decompress;

pub(super) use crate::payload::unpack::Fault;
use crate::payload::unpack::inflate;

/// Content of one message that is unpacked.
pub(super) const MAX_MESSAGE: u64 = 1 << 20;
/// A stream of messages may hold so many bytes, and [`MAX_RATIO`] times its compressed size on top.
const FREE: u64 = 4 << 20;
/// Deflate reaches 1032; text stays under 30.
const MAX_RATIO: u64 = 100;

/// How much comes out of how little, over all messages of a stream.
#[derive(Debug, Default)]
pub(super) struct Budget {
    message: u64,
    taken: u64,
    given: u64,
}

impl Budget {
    /// A message begins.
    pub(super) fn message(&mut self) {
        self.message = 0;
    }

    /// So many bytes were taken and given: [`Fault::Long`] beyond [`MAX_MESSAGE`] of a message, [`Fault::Bomb`] beyond the measure of all.
    ///
    /// # Errors
    /// [`Fault::Bomb`], [`Fault::Long`]: no more of this.
    pub(super) fn spend(&mut self, taken: u64, given: u64) -> Result<(), Fault> {
        self.taken = self.taken.saturating_add(taken);
        self.given = self.given.saturating_add(given);
        self.message = self.message.saturating_add(given);
        if self.given > FREE.saturating_add(self.taken.saturating_mul(MAX_RATIO)) {
            return Err(Fault::Bomb);
        }
        if self.message > MAX_MESSAGE { Err(Fault::Long) } else { Ok(()) }
    }
}

impl Budget {
    /// Spends what each round took and gave, and passes on what came out.
    pub(super) fn rounds(
        &mut self,
        give: &mut dyn FnMut(&[u8]),
    ) -> impl FnMut(u64, &[u8]) -> Result<(), Fault> {
        |taken, piece| {
            let bounds = self.spend(taken, piece.len() as u64);
            if !piece.is_empty() {
                give(piece);
            }
            bounds
        }
    }
}

/// One stream of compressed messages.
pub(super) struct Inflate {
    engine: Decompress,
    zlib: bool,
    /// The format's own end was reached.
    ended: bool,
}

impl Inflate {
    /// Deflate as it is, or with zlib's header.
    pub(super) fn new(zlib: bool) -> Inflate {
        Inflate { engine: Decompress::new(zlib), zlib, ended: false }
    }

    /// A message begins that is a stream of its own.
    pub(super) fn begin(&mut self, zlib: bool) {
        self.zlib = zlib;
        self.restart();
    }

    /// The format's own end was reached: what follows is no part of it.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// What follows is another stream, without the window of the one before.
    pub(super) fn restart(&mut self) {
        self.engine.reset(self.zlib);
        self.ended = false;
    }

    /// Unpacks the next bytes; gives how many of them belong to the stream.
    ///
    /// # Errors
    /// [`Fault`]: the stream cannot go on (but from a fresh message).
    pub(super) fn push(
        &mut self,
        data: &[u8],
        budget: &mut Budget,
        give: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, Fault> {
        inflate(&mut self.engine, data, &mut self.ended, &mut budget.rounds(give))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;

    use super::*;
    use crate::payload::unpack::PIECE;

    fn packed(data: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let data = packed(&text);
        for size in [1, 7, 1000, data.len()] {
            let (mut inflate, mut out) = (Inflate::new(false), Vec::new());
            let mut budget = Budget::default();
            for part in data.chunks(size) {
                assert_eq!(
                    inflate.push(part, &mut budget, &mut |piece| out.extend_from_slice(piece)),
                    Ok(part.len())
                );
            }
            assert!(out == text && inflate.ended(), "{size}");
            assert_eq!(inflate.push(b"more", &mut budget, &mut |_| panic!("nothing")), Ok(0));
        }
    }

    #[test]
    fn bombs_and_noise_are_given_up() {
        let bomb = packed(&vec![0; 16 << 20]);
        let (mut inflate, mut size) = (Inflate::new(false), 0);
        let mut budget = Budget::default();
        assert_eq!(inflate.push(&bomb, &mut budget, &mut |piece| size += piece.len()), Err(Fault::Long));
        assert!(size as u64 <= MAX_MESSAGE + PIECE as u64, "{size}");
        let small = packed(&vec![0; 1 << 20]);
        let faults: Vec<_> = (0..8)
            .map(|_| {
                budget.message();
                inflate.begin(false);
                inflate.push(&small, &mut budget, &mut |_| ()).err()
            })
            .collect();
        assert!(faults.contains(&Some(Fault::Bomb)), "{faults:?}");
        assert_eq!(Inflate::new(false).push(&[0xff; 20], &mut budget, &mut |_| ()), Err(Fault::Broken));
        assert_eq!(Inflate::new(true).push(b"no zlib header", &mut budget, &mut |_| ()), Err(Fault::Broken));
    }
}
