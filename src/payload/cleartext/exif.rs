//! The place in a picture: GPS position of Exif metadata.
//!
//! Takes the TIFF structure that follows `Exif\0\0`, or the name and size of a chunk of WebP (JIS/CIPA DC-008, Exif 2.32, sections 4.5 and 4.6.6), whole or cut off; gives
//! latitude and longitude in degrees. Offsets come from the wire and are only ever followed into the bytes at hand, each once.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use aho_corasick::packed::Searcher;

const BEGINNINGS: [&[u8]; 5] = [b"Exif\0\0II*\0", b"Exif\0\0MM\0*", b"eXIfII*\0", b"eXIfMM\0*", CHUNK];
/// The name of WebP's chunk; four bytes of its size stand between it and the structure.
const CHUNK: &[u8] = b"EXIF";
const STRUCTURES: [&[u8]; 2] = [b"II*\0", b"MM\0*"];
/// What stands before the structure in JPEG and HEIF, in PNG as the chunk's name, with the structure's first bytes, and in WebP.
/// Vector code that looks for all at once; where the processor has none, an automaton.
static MARKERS: LazyLock<(Option<Searcher>, Option<AhoCorasick>)> = LazyLock::new(|| {
    let packed = Searcher::new(BEGINNINGS);
    let other = if packed.is_none() { AhoCorasick::new(BEGINNINGS).ok() } else { None };
    (packed, other)
});
/// Bytes of a marker that are the structure's own.
const HEAD: usize = 4;
/// Bytes of a chunk's size.
const SIZE: usize = 4;
/// Bytes of the structure that are kept: positions stand before the preview picture.
pub(super) const MOST: usize = 16 << 10;
/// Entries of one directory; writers make some 60.
const MAX_ENTRIES: usize = 512;

/// The tag of the directory that holds the position, and the tags in it.
const GPS: u16 = 0x8825;

/// Where the next marker begins, its structure begins, and it ends.
pub(super) fn marker(data: &[u8]) -> Option<(usize, usize, usize)> {
    let mut from = 0;
    loop {
        let rest = data.get(from..)?;
        let hit = match &*MARKERS {
            (Some(packed), _) => packed.find(rest)?,
            (None, other) => other.as_ref()?.find(rest)?,
        };
        let (start, end) = (from + hit.start(), from + hit.end());
        if hit.len() > CHUNK.len() {
            return Some((start, end - HEAD, end));
        }
        let head = end + SIZE;
        if data.get(head..).is_some_and(|rest| STRUCTURES.iter().any(|s| rest.starts_with(s))) {
            return Some((start, head, head + HEAD));
        }
        from = end;
    }
}

/// How many bytes at the end may be the beginning of a marker.
pub(super) fn cut(all: &[u8]) -> usize {
    let most = (CHUNK.len() + SIZE + HEAD - 1).min(all.len());
    let begins = |n: &usize| {
        let end = all.get(all.len() - n..).unwrap_or_default();
        // All begin with this letter; asked after every segment.
        if !matches!(end.first(), Some(b'E' | b'e')) {
            return false;
        }
        let chunk = end.strip_prefix(CHUNK).map(|rest| rest.get(SIZE..).unwrap_or_default());
        BEGINNINGS.iter().any(|m| m.starts_with(end))
            || chunk.is_some_and(|rest| STRUCTURES.iter().any(|s| s.starts_with(rest)))
    };
    (1..=most).rev().find(begins).unwrap_or_default()
}

/// Latitude (north) and longitude (east) in degrees.
pub(super) fn position(data: &[u8]) -> Option<(f64, f64)> {
    if !data.starts_with(b"II*\0") && !data.starts_with(b"MM\0*") {
        return None;
    }
    let tiff = Tiff { data, big: data.starts_with(b"MM") };
    let first = tiff.long(4)?;
    let place = tiff.entries(first)?.find(|(tag, ..)| *tag == GPS).map(|(_, _, value)| value)?;
    let gps = tiff.long(place)?;
    let find = |wanted: u16| tiff.entries(gps)?.find(|(tag, ..)| *tag == wanted).map(|(_, _, at)| at);
    let latitude = tiff.degrees(tiff.long(find(2)?)?)?;
    let longitude = tiff.degrees(tiff.long(find(4)?)?)?;
    let sign = |at: Option<usize>, minus: u8| {
        if at.and_then(|at| data.get(at)).is_some_and(|b| b.eq_ignore_ascii_case(&minus)) {
            -1.0
        } else {
            1.0
        }
    };
    let (latitude, longitude) = (latitude * sign(find(1), b'S'), longitude * sign(find(3), b'W'));
    let real = latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && (latitude, longitude) != (0.0, 0.0);
    real.then_some((latitude, longitude))
}

struct Tiff<'a> {
    data: &'a [u8],
    big: bool,
}

impl Tiff<'_> {
    fn number(&self, at: usize, size: usize) -> Option<usize> {
        let bytes = self.data.get(at..at.checked_add(size)?)?;
        let step = |n: usize, b: &u8| n << 8 | usize::from(*b);
        Some(if self.big { bytes.iter().fold(0, step) } else { bytes.iter().rev().fold(0, step) })
    }

    fn long(&self, at: usize) -> Option<usize> {
        self.number(at, 4)
    }

    /// Tag, type and place of the value field of each entry of a directory.
    fn entries(&self, at: usize) -> Option<impl Iterator<Item = (u16, usize, usize)> + '_> {
        let number = self.number(at, 2)?.min(MAX_ENTRIES);
        Some((0..number).map_while(move |n| {
            let entry = at.checked_add(2 + n * 12)?;
            let tag = u16::try_from(self.number(entry, 2)?).ok()?;
            Some((tag, self.number(entry + 2, 2)?, entry + 8))
        }))
    }

    /// Degrees, minutes and seconds as three fractions.
    fn degrees(&self, at: usize) -> Option<f64> {
        let mut sum = 0.0;
        for (place, unit) in [(0, 1.0), (8, 60.0), (16, 3600.0)] {
            let over = self.long(at.checked_add(place)?)?;
            let under = self.long(at.checked_add(place + 4)?)?;
            match (over, under) {
                (0, 0) if place > 0 => {}
                (_, 0) => return None,
                _ => sum += over as f64 / under as f64 / unit,
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
pub(in crate::payload) mod tests {
    use super::*;

    /// A structure with one directory and a position in it.
    pub(in crate::payload) fn sample(big: bool, south: bool) -> Vec<u8> {
        let two = |n: u16| if big { n.to_be_bytes().to_vec() } else { n.to_le_bytes().to_vec() };
        let four = |n: u32| if big { n.to_be_bytes().to_vec() } else { n.to_le_bytes().to_vec() };
        let mut out = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        out.extend(four(8));
        out.extend(two(2));
        out.extend([two(0x010f), two(2), four(4), b"abc\0".to_vec()].concat());
        out.extend([two(GPS), two(4), four(1), four(38)].concat());
        out.extend(four(0));
        assert_eq!(out.len(), 38);
        out.extend(two(4));
        let reference = |c: u8| vec![c, 0, 0, 0];
        out.extend([two(1), two(2), four(2), reference(if south { b'S' } else { b'N' })].concat());
        out.extend([two(2), two(5), four(3), four(92)].concat());
        out.extend([two(3), two(2), four(2), reference(b'E')].concat());
        out.extend([two(4), two(5), four(3), four(116)].concat());
        out.extend(four(0));
        assert_eq!(out.len(), 92);
        for n in [48, 1, 12, 1, 3600, 100, 16, 1, 22, 1, 0, 1] {
            out.extend(four(n));
        }
        out
    }

    #[test]
    fn positions_are_read_in_both_byte_orders() {
        for (big, south) in [(false, false), (true, true)] {
            let (lat, lon) = position(&sample(big, south)).unwrap();
            assert!((lat.abs() - 48.21).abs() < 1e-9 && (lat < 0.0) == south, "{lat}");
            assert!((lon - (16.0 + 22.0 / 60.0)).abs() < 1e-9, "{lon}");
        }
    }

    #[test]
    fn cut_anywhere_or_spoiled_it_gives_nothing_or_a_position_in_range() {
        for big in [false, true] {
            let whole = sample(big, false);
            for end in 0..whole.len() {
                assert_eq!(position(&whole[..end]), None, "cut at {end}");
            }
            for at in 0..whole.len() {
                for byte in 0..=255 {
                    let mut spoiled = whole.clone();
                    spoiled[at] = byte;
                    if let Some((lat, lon)) = position(&spoiled) {
                        assert!(lat.abs() <= 90.0 && lon.abs() <= 180.0);
                    }
                }
            }
        }
        // A directory that names itself, and offsets beyond the end.
        let mut circle = sample(false, false);
        circle[30..34].copy_from_slice(&8_u32.to_le_bytes());
        assert_eq!(position(&circle), None);
        let mut far = sample(false, false);
        far[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(position(&far), None);
    }
}
