//! A layer of the reference table: which value holds from which address on.
//!
//! Takes the bytes of a layer section; gives the value for an address, by a binary search over the block starts near it and a
//! walk of at most 255 entries (16 as `build` writes them). Allocates nothing and never panics: a damaged layer answers "no value".
//! `docs/reference.md` describes the bytes; `build::write` makes them.

use std::net::IpAddr;

use super::error::ReferenceError;

/// Most breakpoints that a layer is taken apart into.
const MOST_POINTS: usize = 1 << 24;

/// Address family of a layer: how wide block starts are, and how an address becomes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Four bytes.
    V4,
    /// Sixteen bytes.
    V6,
}

/// One layer of one family, borrowed from the table's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    family: Family,
    /// Bytes of a value: 2 or 3.
    width: usize,
    starts: &'a [u8],
    offsets: &'a [[u8; 4]],
    body: &'a [u8],
}

impl<'a> Layer<'a> {
    /// Splits a section into block starts, block offsets and blocks. `at` is the section's place, for the error.
    pub(crate) fn parse(family: Family, section: &'a [u8], at: usize) -> Result<Layer<'a>, ReferenceError> {
        let short = || ReferenceError::table("a layer's block directory is cut off", at);
        let (&[a, b, c, width], rest) = section.split_first_chunk::<4>().ok_or_else(short)?;
        let count = u32::from_le_bytes([a, b, c, 0]) as usize;
        let width = usize::from(width);
        if !(2..=3).contains(&width) {
            return Err(ReferenceError::table("a layer's values have a width that is not known", at));
        }
        let start_width = if family == Family::V4 { 4 } else { 16 };
        let (starts, rest) =
            count.checked_mul(start_width).and_then(|n| rest.split_at_checked(n)).ok_or_else(short)?;
        let (offsets, body) =
            count.checked_mul(4).and_then(|n| rest.split_at_checked(n)).ok_or_else(short)?;
        Ok(Layer { family, width, starts, offsets: offsets.as_chunks::<4>().0, body })
    }

    /// Number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.offsets.len()
    }

    /// For each value of an address' [`slot`], and one more: how many blocks start below it. Made once when a table is
    /// loaded; it spares most of the binary search.
    pub(crate) fn index(&self) -> Vec<u32> {
        let four = self.starts.as_chunks::<4>().0.iter().map(|s| u32::from_le_bytes(*s) as usize >> 16);
        let six = self.starts.as_chunks::<16>().0.iter().map(|s| slot(u128::from_le_bytes(*s)));
        match self.family {
            Family::V4 => counted(four),
            Family::V6 => counted(six),
        }
    }

    /// The value at `address`, 0 when there is none. Addresses of the other family have none. `index` is that of this
    /// layer, or empty.
    pub(crate) fn find(&self, address: IpAddr, index: &[u32]) -> u32 {
        let (after, start, number) = match (self.family, address) {
            (Family::V4, IpAddr::V4(v4)) => {
                let number = v4.to_bits();
                let starts = self.starts.as_chunks::<4>().0;
                let (from, near) = near(starts, index, (number >> 16) as usize);
                let after = from + near.partition_point(|s| u32::from_le_bytes(*s) <= number);
                let start = after.checked_sub(1).and_then(|i| starts.get(i));
                (after, start.map_or(0, |s| u128::from(u32::from_le_bytes(*s))), u128::from(number))
            }
            (Family::V6, IpAddr::V6(v6)) => {
                let number = v6.to_bits();
                let starts = self.starts.as_chunks::<16>().0;
                let (from, near) = near(starts, index, slot(number));
                let after = from + near.partition_point(|s| u128::from_le_bytes(*s) <= number);
                let start = after.checked_sub(1).and_then(|i| starts.get(i));
                (after, start.map_or(0, |s| u128::from_le_bytes(*s)), number)
            }
            _ => return 0,
        };
        after.checked_sub(1).and_then(|block| self.in_block(block, start, number)).unwrap_or(0)
    }

    /// All breakpoints: from which address on which value holds. Unlike a look-up, a damaged block is an error here.
    pub(crate) fn points(self) -> Result<Vec<(u128, u32)>, ReferenceError> {
        let damaged = || ReferenceError::table("a layer's block is damaged", 0);
        let mut out: Vec<(u128, u32)> = Vec::new();
        let starts: Vec<u128> = match self.family {
            Family::V4 => {
                let starts = self.starts.as_chunks::<4>().0.iter();
                starts.map(|s| u128::from(u32::from_le_bytes(*s))).collect()
            }
            Family::V6 => self.starts.as_chunks::<16>().0.iter().map(|s| u128::from_le_bytes(*s)).collect(),
        };
        for (start, offset) in starts.into_iter().zip(self.offsets) {
            self.block(start, u32::from_le_bytes(*offset) as usize, &mut out).ok_or_else(damaged)?;
        }
        Ok(out)
    }

    fn block(&self, start: u128, offset: usize, out: &mut Vec<(u128, u32)>) -> Option<()> {
        let ([entries, distinct], rest) = self.body.get(offset..)?.split_first_chunk::<2>()?;
        let (values, rest) = rest.split_at_checked(usize::from(*distinct) * self.width)?;
        let (picks, mut lengths) = rest.split_at_checked(usize::from(*entries))?;
        let mut from = start;
        for (i, pick) in picks.iter().enumerate() {
            if i > 0 {
                let (length, left) = take_length(lengths)?;
                from = from.checked_add(length)?;
                lengths = left;
            }
            // In order and not without end: blocks of a damaged table may point to the same bytes many times.
            let fits = self.family == Family::V6 || from <= u128::from(u32::MAX);
            if !fits || out.len() >= MOST_POINTS || out.last().is_some_and(|(before, _)| *before >= from) {
                return None;
            }
            out.push((from, value(values.chunks_exact(self.width).nth(usize::from(*pick))?)?));
        }
        Some(())
    }

    fn in_block(&self, block: usize, start: u128, number: u128) -> Option<u32> {
        let offset = u32::from_le_bytes(*self.offsets.get(block)?) as usize;
        let ([entries, distinct], rest) = self.body.get(offset..)?.split_first_chunk::<2>()?;
        let (values, rest) = rest.split_at_checked(usize::from(*distinct) * self.width)?;
        let (picks, mut lengths) = rest.split_at_checked(usize::from(*entries))?;
        let mut left = number.checked_sub(start)?;
        let mut pick = 0;
        // Most lengths are powers of two below 2^64, or short odd multiples of one: told without numbers of 128 bits.
        if let Ok(mut short) = u64::try_from(left) {
            while pick + 1 < picks.len() {
                let Some((length, rest)) = take_short(lengths) else { break };
                let Some(more) = short.checked_sub(length) else {
                    let at = usize::from(*picks.get(pick)?) * self.width;
                    return value(values.get(at..at + self.width)?);
                };
                (short, lengths) = (more, rest);
                pick += 1;
            }
            left = u128::from(short);
        }
        // The last entry has no length: it runs to the next block.
        while pick + 1 < picks.len() {
            let (length, rest) = take_length(lengths)?;
            let Some(more) = left.checked_sub(length) else { break };
            (left, lengths) = (more, rest);
            pick += 1;
        }
        let at = usize::from(*picks.get(pick)?) * self.width;
        value(values.get(at..at + self.width)?)
    }
}

/// Which entry of the index an IPv6 address is in: the 16 bits behind the first three in `2000::/3`, where all global addresses
/// are (RFC 4291 section 2.4); all below and all above it share the first and the last entry.
fn slot(address: u128) -> usize {
    let bits = (address >> 109) as usize;
    bits.saturating_sub(1 << 16).min((1 << 16) - 1)
}

/// For each number below 2^16, and for that itself: how many of the sorted `slots` are below it.
fn counted(slots: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut slots = slots.peekable();
    let mut below = 0;
    let count = |at: usize| {
        while slots.next_if(|slot| *slot < at).is_some() {
            below += 1;
        }
        below
    };
    (0..=1 << 16).map(count).collect()
}

/// The block starts of one slot and how many are before them; all of them without an index.
fn near<'a, const N: usize>(starts: &'a [[u8; N]], index: &[u32], slot: usize) -> (usize, &'a [[u8; N]]) {
    let from = index.get(slot).map_or(0, |i| *i as usize);
    let to = index.get(slot + 1).map_or(starts.len(), |i| *i as usize);
    (from, starts.get(from..to).unwrap_or_default())
}

/// A value of two or three bytes.
fn value(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [a, b] => Some(u32::from_le_bytes([*a, *b, 0, 0])),
        [a, b, c] => Some(u32::from_le_bytes([*a, *b, *c, 0])),
        _ => None,
    }
}

/// Reads one length: a byte below 128 is the exponent of a power of two; 128 + t means `(2m + 1) << t`, with m as a
/// little-endian base-128 number behind it.
pub(crate) fn take_length(bytes: &[u8]) -> Option<(u128, &[u8])> {
    let (&head, mut rest) = bytes.split_first()?;
    let Some(zeros) = head.checked_sub(128) else { return Some((1u128 << head, rest)) };
    let (mut half, mut shift) = (0u128, 0u32);
    loop {
        let (&byte, left) = rest.split_first()?;
        rest = left;
        let part = u128::from(byte & 0x7f);
        if shift > 126 || part > u128::MAX >> shift {
            return None;
        }
        half |= part << shift;
        shift += 7;
        if byte < 128 {
            break;
        }
    }
    let odd = half.checked_mul(2)?.checked_add(1)?;
    if u32::from(zeros) > odd.leading_zeros() {
        return None;
    }
    Some((odd << zeros, rest))
}

/// [`take_length`] for lengths of at most two bytes that are below 2^64; `None` for others, sound or not.
fn take_short(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [head @ 0..64, rest @ ..] => Some((1 << head, rest)),
        [head @ 128..=183, half @ 0..128, rest @ ..] => {
            Some(((u64::from(*half) * 2 + 1) << (head - 128), rest))
        }
        _ => None,
    }
}

/// Writes one length (not 0) as [`take_length`] reads it.
pub(crate) fn put_length(length: u128, out: &mut Vec<u8>) {
    let zeros = length.trailing_zeros().min(127) as u8;
    if length.is_power_of_two() {
        out.push(zeros);
        return;
    }
    out.push(128 + zeros);
    let mut half = length >> zeros >> 1;
    while half >= 128 {
        out.push((half & 0x7f) as u8 | 0x80);
        half >>= 7;
    }
    out.push(half as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_survive_the_round_trip() {
        let odd = [
            1,
            2,
            3,
            5,
            6,
            255,
            256,
            257,
            768,
            u128::from(u32::MAX),
            u128::from(u64::MAX) + 2,
            1 << 127,
            u128::MAX,
        ];
        for length in odd {
            let mut bytes = Vec::new();
            put_length(length, &mut bytes);
            bytes.push(0xaa);
            assert_eq!(take_length(&bytes), Some((length, &[0xaa][..])), "{length}");
            if let Some((short, rest)) = take_short(&bytes) {
                assert_eq!((u128::from(short), rest), (length, &[0xaa][..]), "{length}");
            }
        }
    }

    #[test]
    fn a_length_that_does_not_fit_is_none() {
        assert_eq!(take_length(&[]), None);
        assert_eq!(take_length(&[128]), None, "its number is missing");
        assert_eq!(take_length(&[255, 0xff, 0x7f]), None, "shifted out of 128 bits");
        assert_eq!(take_length(&[[128].as_slice(), &[0xff; 30]].concat()), None, "a number without end");
    }
}
