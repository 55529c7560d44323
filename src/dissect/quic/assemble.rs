//! The stream of handshake bytes that CRYPTO frames carry in pieces, in any order, some of them twice (RFC 9000 section 19.6).
//!
//! Takes pieces with the frames that brought them; gives the next bytes as soon as they are whole, with the frames that made them
//! up. Of bytes that come twice the first are kept. Keeps at most [`WINDOW`] bytes, or as many as it was made for, in at most
//! [`MAX_PIECES`] pieces.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Frames;

/// How far ahead of the next byte pieces are kept; the largest hellos have some thousand bytes.
pub(super) const WINDOW: u64 = 64 * 1024;

/// Pieces that are kept: a client that hides its name cuts a hello into dozens.
const MAX_PIECES: usize = 1024;

struct Piece {
    bytes: Vec<u8>,
    frames: Arc<Frames>,
}

/// One side's handshake bytes of one level of encryption.
pub(super) struct Assembler {
    window: u64,
    /// Offset of the next byte to give.
    next: u64,
    /// By offset; they do not overlap and end behind `next`.
    pieces: BTreeMap<u64, Piece>,
}

impl Default for Assembler {
    fn default() -> Assembler {
        Assembler::with_window(WINDOW)
    }
}

impl Assembler {
    /// Keeps pieces as far ahead of the next byte.
    pub(super) fn with_window(window: u64) -> Assembler {
        Assembler { window, next: 0, pieces: BTreeMap::new() }
    }

    /// Bytes that are kept.
    pub(super) fn held(&self) -> usize {
        self.pieces.values().map(|p| p.bytes.len()).sum()
    }

    /// The lowest frame that a piece which waits came in.
    pub(super) fn first_frame(&self) -> Option<u64> {
        self.pieces.values().map(|p| p.frames.complete).min()
    }

    /// Offset of the next byte.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// A piece that ends at `end` is kept whole.
    pub(super) fn reaches(&self, end: u64) -> bool {
        end <= self.next.saturating_add(self.window) && self.pieces.len() < MAX_PIECES
    }

    /// Takes the next piece as it came.
    pub(super) fn take_piece(&mut self) -> Option<(Vec<u8>, Arc<Frames>)> {
        let entry = self.pieces.first_entry().filter(|e| *e.key() == self.next)?;
        let piece = entry.remove();
        self.next += piece.bytes.len() as u64;
        Some((piece.bytes, piece.frames))
    }

    /// Adds a piece.
    pub(super) fn push(&mut self, offset: u64, bytes: &[u8], frames: &Arc<Frames>) {
        let end = offset.saturating_add(bytes.len() as u64).min(self.next.saturating_add(self.window));
        let mut at = offset.max(self.next);
        while at < end && self.pieces.len() < MAX_PIECES {
            if let Some((start, piece)) = self.pieces.range(..=at).next_back() {
                let covered = start + piece.bytes.len() as u64;
                if covered > at {
                    at = covered;
                    continue;
                }
            }
            let stop = self.pieces.range(at..).next().map_or(end, |(start, _)| end.min(*start));
            let new = bytes.get((at - offset) as usize..(stop - offset) as usize).unwrap_or_default();
            self.pieces.insert(at, Piece { bytes: new.to_vec(), frames: Arc::clone(frames) });
            at = stop;
        }
    }

    /// The pieces from the next byte to the first gap.
    fn whole(&self) -> impl Iterator<Item = &Piece> {
        let mut at = self.next;
        self.pieces.iter().map_while(move |(start, piece)| {
            let fits = *start == at;
            at += piece.bytes.len() as u64;
            fits.then_some(piece)
        })
    }

    /// Bytes from the next one to the first gap.
    pub(super) fn available(&self) -> usize {
        self.whole().map(|p| p.bytes.len()).sum()
    }

    /// The next `n` bytes, or as many as there are before a gap.
    pub(super) fn peek(&self, n: usize) -> Vec<u8> {
        self.whole().flat_map(|p| p.bytes.iter().copied()).take(n).collect()
    }

    /// Takes the next `n` bytes with their frames; `None` while there are fewer.
    pub(super) fn take(&mut self, n: usize) -> Option<(Vec<u8>, Frames)> {
        if self.available() < n {
            return None;
        }
        let mut bytes = Vec::with_capacity(n);
        let mut frames: Option<Frames> = None;
        while bytes.len() < n {
            let (start, mut piece) = self.pieces.pop_first()?;
            let used = (n - bytes.len()).min(piece.bytes.len());
            let left = piece.bytes.split_off(used);
            bytes.append(&mut piece.bytes);
            frames = Some(match frames {
                Some(before) => join(before, &piece.frames),
                None => Frames::clone(&piece.frames),
            });
            if !left.is_empty() {
                self.pieces.insert(start + used as u64, Piece { bytes: left, frames: piece.frames });
            }
        }
        self.next += n as u64;
        Some((bytes, frames.unwrap_or_default()))
    }
}

/// All frames of two parts; complete with the later one, beginning where the first part begins.
fn join(first: Frames, second: &Frames) -> Frames {
    let (complete, time) = if second.complete > first.complete {
        (second.complete, second.time)
    } else {
        (first.complete, first.time)
    };
    let file_offset = first.file_offset;
    Frames { complete, time, file_offset, ..first.after(&second.all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(frame: u64) -> Arc<Frames> {
        Arc::new(Frames::only(frame))
    }

    #[test]
    fn pieces_in_any_order() {
        // (offset, bytes) in the order of arrival, and the frames that the message rests on.
        for (name, pieces, frames) in [
            ("one", &[(0, "abcdef")][..], &[1][..]),
            ("two", &[(0, "abc"), (3, "def")], &[1, 2]),
            ("back to front", &[(4, "ef"), (2, "cd"), (0, "ab")], &[1, 2, 3]),
            ("again", &[(0, "abc"), (0, "abc"), (3, "def")], &[1, 3]),
            ("overlapping", &[(2, "cd"), (0, "abXYe"), (4, "ef")], &[1, 2, 3]),
            ("a piece that spans others", &[(1, "b"), (3, "d"), (0, "aXcYef")], &[1, 2, 3]),
            ("beyond", &[(6, "zz"), (0, "abcdef")], &[2]),
        ] {
            let mut assembler = Assembler::default();
            for (n, (offset, bytes)) in pieces.iter().enumerate() {
                assert_eq!(assembler.take(6), None, "{name}");
                assembler.push(*offset, bytes.as_bytes(), &from(n as u64 + 1));
            }
            let (bytes, seen) = assembler.take(6).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), "abcdef", "{name}");
            assert_eq!(seen.all, frames, "{name}");
            assert_eq!(seen.complete, *frames.last().unwrap(), "{name}");
        }
    }

    #[test]
    fn what_is_left_comes_next() {
        let mut assembler = Assembler::default();
        assembler.push(0, b"abcdef", &from(1));
        assert_eq!(assembler.take(4).unwrap().0, b"abcd");
        assembler.push(0, b"abcdefgh", &from(2));
        assert_eq!((assembler.available(), assembler.peek(3)), (4, b"efg".to_vec()));
        let (bytes, frames) = assembler.take(4).unwrap();
        assert_eq!((&bytes[..], &frames.all[..]), (&b"efgh"[..], &[1, 2][..]));
        assert_eq!(assembler.take(1), None);
        assembler.push(2, b"cdef", &from(3));
        assert_eq!(assembler.available(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut assembler = Assembler::default();
        assembler.push(1, &vec![7; 1 << 20], &from(1));
        assembler.push(u64::MAX - 3, b"abcd", &from(1));
        let held = |a: &Assembler| a.pieces.values().map(|p| p.bytes.len()).sum::<usize>();
        assert_eq!(held(&assembler), WINDOW as usize - 1);
        let mut scattered = Assembler::default();
        for n in 0..WINDOW {
            scattered.push(n * 2, b"x", &from(n));
        }
        assert_eq!(scattered.pieces.len(), MAX_PIECES);
    }
}
