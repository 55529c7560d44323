//! Encrypted or merely dense? The entropy of what one direction of a flow sends, and whether its structure is known (METRICS E16).
//!
//! Takes the bytes of a direction in order, looks at the first [`BUDGET`] and ignores the rest; gives their entropy, a chi-square statistic and
//! how much of them lies within a container that compresses or a medium, known by its first bytes. No entropy tells encryption from
//! compression: that takes a parsed handshake, which the caller knows of ([`class`]).

use std::sync::LazyLock;

use crate::model::ContentClass;

/// Bytes of each direction that are looked at.
pub const BUDGET: usize = 2 << 10;
/// Fewer bytes have no entropy to speak of: even of equal frequencies a sample of 64 holds a quarter of the values.
pub const FEWEST: u32 = 64;
/// So many bytes are kept as they are before they are counted: most flows have few.
const KEPT: usize = 512;
/// Bytes by which a form is known, behind the size of a chunk.
const HEAD: usize = 28;
/// What ends the header of a message (RFC 9112 section 2.1); a body may begin behind it.
const BLANK: &[u8; 4] = b"\r\n\r\n";

/// Measures one direction; [`Default`] is the beginning.
#[derive(Clone, Debug, Default)]
pub struct Density {
    seen: u32,
    /// The first bytes, while they are few.
    few: Vec<u8>,
    /// Occurrences of each byte value beyond those; [`BUDGET`] fits.
    counts: Option<Box<[u16; 256]>>,
    /// Figures once no more bytes are looked at.
    settled: Option<(Option<f64>, Option<f64>)>,
    /// The first bytes of a body, until they tell its form.
    head: Vec<u8>,
    /// They were told.
    begun: bool,
    /// Bytes of [`BLANK`] that came last.
    blank: u8,
    /// The form of the body that goes on.
    form: Option<Form>,
    /// Bytes within compressed containers, and within media.
    within: [u32; 2],
}

/// What bytes are by their structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Compressed,
    Media,
}

impl Density {
    /// The next bytes of the direction. Of ciphertext (`sealed`) no structure is looked for.
    pub fn feed(&mut self, bytes: &[u8], sealed: bool) {
        if self.settled.is_some() || bytes.is_empty() {
            return;
        }
        let room = BUDGET.saturating_sub(self.seen as usize);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        if !sealed {
            self.structures(bytes);
        }
        match &mut self.counts {
            None if self.few.len() + bytes.len() <= KEPT => self.few.extend_from_slice(bytes),
            counts => {
                let counts = counts.get_or_insert_with(|| Box::new([0; 256]));
                for b in std::mem::take(&mut self.few).iter().chain(bytes) {
                    if let Some(count) = counts.get_mut(usize::from(*b)) {
                        *count += 1;
                    }
                }
            }
        }
        self.seen += bytes.len() as u32;
        if self.seen as usize >= BUDGET {
            self.settle();
        }
    }

    /// No more bytes come: keeps the figures alone.
    pub fn settle(&mut self) {
        if self.settled.is_some() || self.seen == 0 {
            return;
        }
        self.judge_head();
        let mut counts = self.counts.take().unwrap_or_else(|| Box::new([0; 256]));
        for b in std::mem::take(&mut self.few) {
            if let Some(count) = counts.get_mut(usize::from(b)) {
                *count += 1;
            }
        }
        self.head = Vec::new();
        self.settled = Some((entropy(&counts[..], self.seen), chi_square(&counts[..], self.seen)));
    }

    /// Bytes that were looked at.
    #[must_use]
    pub fn looked_at(&self) -> u64 {
        u64::from(self.seen)
    }

    /// Bits a byte, from [`FEWEST`] bytes on; none before [`Density::settle`].
    #[must_use]
    pub fn entropy_bits(&self) -> Option<f64> {
        self.settled.and_then(|(entropy, _)| entropy)
    }

    /// Chi-square statistic against equal frequencies (255 degrees of freedom), where five of each value are expected.
    #[must_use]
    pub fn chi_square(&self) -> Option<f64> {
        self.settled.and_then(|(_, chi)| chi)
    }

    fn structures(&mut self, mut bytes: &[u8]) {
        while let Some((b, rest)) = bytes.split_first() {
            if self.begun && self.blank == 0 {
                // Nothing changes before the next end of a line.
                let n = bytes.iter().position(|b| *b == b'\r').unwrap_or(bytes.len());
                if n > 0 {
                    match self.form {
                        Some(Form::Compressed) => self.within[0] += n as u32,
                        Some(Form::Media) => self.within[1] += n as u32,
                        None => {}
                    }
                    bytes = bytes.get(n..).unwrap_or_default();
                    continue;
                }
            }
            self.structure(*b);
            bytes = rest;
        }
    }

    /// One byte more: does a body begin here, and of which form is it?
    fn structure(&mut self, b: u8) {
        match self.form {
            Some(Form::Compressed) => self.within[0] += 1,
            Some(Form::Media) => self.within[1] += 1,
            None => {}
        }
        if !self.begun {
            self.head.push(b);
            if self.head.len() >= HEAD {
                self.judge_head();
            }
        }
        self.blank = if BLANK.get(usize::from(self.blank)) == Some(&b) {
            self.blank + 1
        } else {
            u8::from(b == b'\r')
        };
        if usize::from(self.blank) == BLANK.len() {
            self.blank = 0;
            self.judge_head();
            (self.form, self.begun) = (None, false);
        }
    }

    /// The first bytes of a body are there, or no more of them come.
    fn judge_head(&mut self) {
        if self.begun {
            return;
        }
        self.begun = true;
        let head = std::mem::take(&mut self.head);
        self.form = form(&head).or_else(|| form(behind_chunk_size(&head)));
        let size = head.len() as u32;
        match self.form {
            Some(Form::Compressed) => self.within[0] += size,
            Some(Form::Media) => self.within[1] += size,
            None => {}
        }
    }
}

/// n log2 n for each count that there may be: logarithms of 256 counts for each direction would take longer than the counting.
static TERMS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let term = |n: f64| if n > 0.0 { n * n.log2() } else { 0.0 };
    (0..=BUDGET).map(|n| term(n as f64)).collect()
});

/// Entropy of byte values, bits, with the correction for small samples by Miller (1955): plus (values seen - 1) / (2 n ln 2).
fn entropy(counts: &[u16], n: u32) -> Option<f64> {
    if n < FEWEST {
        return None;
    }
    let n = f64::from(n);
    let used = counts.iter().filter(|c| **c > 0);
    let terms: f64 = used.clone().filter_map(|c| TERMS.get(usize::from(*c))).sum();
    // Of a single value nothing but what the rounding leaves.
    let plain = if used.clone().count() > 1 { n.log2() - terms / n } else { 0.0 };
    let correction = (used.count() as f64 - 1.0) / (2.0 * n * std::f64::consts::LN_2);
    Some((plain + correction).clamp(0.0, 8.0))
}

fn chi_square(counts: &[u16], n: u32) -> Option<f64> {
    let expected = f64::from(n) / 256.0;
    (expected >= 5.0).then(|| counts.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum())
}

/// What follows the size of a chunk (RFC 9112 section 7.1).
fn behind_chunk_size(head: &[u8]) -> &[u8] {
    let digits = head.iter().take(8).take_while(|b| b.is_ascii_hexdigit()).count();
    let rest = head.get(digits..).unwrap_or_default();
    rest.strip_prefix(b"\r\n").filter(|_| digits > 0).unwrap_or_default()
}

/// The form of bytes that begin like this. Two bytes, as zlib has them, would be found by chance too often.
fn form(head: &[u8]) -> Option<Form> {
    const COMPRESSED: [&[u8]; 8] = [
        &[0x1f, 0x8b, 8],                         // gzip, RFC 1952
        &[0x28, 0xb5, 0x2f, 0xfd],                // Zstandard, RFC 8878
        &[0xfd, b'7', b'z', b'X', b'Z', 0],       // xz
        &[4, 0x22, 0x4d, 0x18],                   // LZ4 frame
        &[b'P', b'K', 3, 4],                      // ZIP
        &[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c],    // 7z
        b"BZh91AY&SY",                            // bzip2, of the usual block size
        &[0xff, 6, 0, 0, b's', b'N', b'a', b'P'], // Snappy frames
    ];
    const MEDIA: [&[u8]; 9] = [
        &[0xff, 0xd8, 0xff], // JPEG
        b"\x89PNG\r\n\x1a\n",
        b"GIF87a",
        b"GIF89a",
        b"OggS",
        b"fLaC",
        b"ID3",
        &[0x1a, 0x45, 0xdf, 0xa3], // Matroska, WebM
        b"FLV\x01",
    ];
    let begins = |all: &[&[u8]]| all.iter().any(|magic| head.starts_with(magic));
    let at = |from: usize, to: usize| head.get(from..to).unwrap_or_default();
    let riff = at(0, 4) == b"RIFF" && [&b"WEBP"[..], b"AVI ", b"WAVE"].contains(&at(8, 12));
    // ISO base media: MP4, HEIF, AVIF, M4A.
    if begins(&MEDIA) || riff || at(4, 8) == b"ftyp" {
        return Some(Form::Media);
    }
    begins(&COMPRESSED).then_some(Form::Compressed)
}

/// The class of what a direction sent. `read` are its bytes in clear, of handshakes, encrypted, and opaque; `handshake` tells whether the set-up of
/// an encryption was parsed. `None` without bytes.
///
/// Ciphertext counts as encrypted only behind a parsed handshake. What is dense and has no structure that is known is opaque, however
/// random it looks.
#[must_use]
pub fn class(read: [u64; 4], handshake: bool, density: &Density) -> Option<ContentClass> {
    let [clear, hello, encrypted, opaque] = read;
    if read.iter().all(|n| *n == 0) {
        return None;
    }
    if handshake && hello + encrypted >= clear + opaque {
        return Some(ContentClass::Encrypted);
    }
    let [compressed, media] = density.within;
    if (compressed + media) * 2 > density.seen {
        return Some(if media > compressed { ContentClass::Media } else { ContentClass::Compressed });
    }
    Some(if clear + hello > opaque + encrypted { ContentClass::Cleartext } else { ContentClass::Opaque })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marsaglia's xorshift.
    fn random(n: usize) -> Vec<u8> {
        let mut x = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 24) as u8
        };
        (0..n).map(|_| next()).collect()
    }

    fn of(bytes: &[u8], piece: usize) -> Density {
        let mut density = Density::default();
        bytes.chunks(piece).for_each(|piece| density.feed(piece, false));
        density.settle();
        density
    }

    fn said(bytes: &[u8], read: [u64; 4], handshake: bool) -> ContentClass {
        let whole = class(read, handshake, &of(bytes, bytes.len())).unwrap();
        assert_eq!(class(read, handshake, &of(bytes, 1)), Some(whole), "cuts change nothing");
        whole
    }

    #[test]
    fn entropy_is_that_of_shannon() {
        let two: Vec<u8> = [b'a', b'b'].repeat(500);
        let bits = of(&two, 7).entropy_bits().unwrap();
        // One bit, and the correction of one value more in 1,000.
        assert!((bits - 1.0 - 1.0 / (2000.0 * std::f64::consts::LN_2)).abs() < 1e-9, "{bits}");
        let dense = of(&random(40_000), 1400);
        assert!(dense.entropy_bits().unwrap() > 7.98 && dense.looked_at() == BUDGET as u64, "{dense:?}");
        // 255 degrees of freedom: 340 is beyond 99.9 %.
        assert!((180.0..340.0).contains(&dense.chi_square().unwrap()), "{dense:?}");
        assert_eq!(of(&[b'a'; 100], 9).entropy_bits(), Some(0.0));
        assert_eq!(of(&random(63), 9).entropy_bits(), None);
        assert_eq!(of(&random(63), 9).chi_square(), None);
        // What was counted in pieces and what was kept whole are the same.
        assert_eq!(of(&random(900), 10).entropy_bits(), of(&random(900), 900).entropy_bits());
    }

    #[test]
    fn dense_bytes_alone_are_opaque() {
        let bytes = random(3000);
        assert_eq!(said(&bytes, [0, 0, 0, 3000], false), ContentClass::Opaque);
        assert_eq!(said(&bytes, [0, 0, 3000, 0], false), ContentClass::Opaque, "no handshake was parsed");
        assert_eq!(said(&bytes, [0, 300, 2700, 0], true), ContentClass::Encrypted);
        assert_eq!(
            said(&bytes, [200, 0, 0, 2800], true),
            ContentClass::Opaque,
            "a handshake, and then something else"
        );
        assert_eq!(class([0; 4], true, &Density::default()), None);
    }

    #[test]
    fn structure_tells_what_is_compressed_and_what_a_medium() {
        let http = |head: &str, body: &[u8]| {
            [format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes(), body].concat()
        };
        let gzip = [&[0x1f, 0x8b, 8, 0][..], &random(2000)].concat();
        let jpeg = [&[0xff, 0xd8, 0xff, 0xe0][..], &random(2000)].concat();
        let mp4 = [&b"\0\0\0\x18ftypmp42"[..], &random(2000)].concat();
        let clear = [2000, 0, 0, 0];
        for (bytes, expected) in [
            (gzip.clone(), ContentClass::Compressed),
            (http("Content-Encoding: gzip", &gzip), ContentClass::Compressed),
            (http("Transfer-Encoding: chunked", &[b"7d4\r\n", &gzip[..]].concat()), ContentClass::Compressed),
            (jpeg.clone(), ContentClass::Media),
            (http("Content-Type: image/jpeg", &jpeg), ContentClass::Media),
            (http("Content-Type: video/mp4", &mp4), ContentClass::Media),
            (http("Content-Type: text/html", &b"<p>words</p>".repeat(90)), ContentClass::Cleartext),
            // The second answer is not the first one's picture.
            (
                [http("A: b", &jpeg[..300]), http("A: b", &b"words ".repeat(300))].concat(),
                ContentClass::Cleartext,
            ),
        ] {
            assert_eq!(said(&bytes, clear, false), expected, "{}", bytes.escape_ascii());
        }
        // The same bytes where nothing could be read as a protocol.
        assert_eq!(said(&jpeg, [0, 0, 0, 2004], false), ContentClass::Media);
        assert_eq!(
            said(&[&[0x1f, 0x8b][..], &random(2000)].concat(), [0, 0, 0, 2002], false),
            ContentClass::Opaque
        );
    }
}
