//! Bytes in, bytes out: hashes what is stored, undoes gzip and zstd, and says where a fault is.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use sha2::{Digest, Sha256};

/// Hash and count of the stored bytes, shared with whoever asks at the end.
struct Tally {
    /// `None` when nobody will show it.
    hash: Option<Sha256>,
    bytes: u64,
}

/// Reads the stored bytes and keeps their hash.
struct Hashing {
    inner: Box<dyn Read + Send>,
    tally: Arc<Mutex<Tally>>,
}

impl Read for Hashing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        if let (Ok(mut tally), Some(read)) = (self.tally.lock(), buf.get(..n)) {
            if let Some(hash) = &mut tally.hash {
                hash.update(read);
            }
            tally.bytes += n as u64;
        }
        Ok(n)
    }
}

/// A capture's decompressed bytes.
pub(super) struct Source {
    decoded: Box<dyn Read + Send>,
    tally: Arc<Mutex<Tally>>,
}

impl Source {
    /// Wraps `raw`; the first bytes decide on decompression (RFC 1952, RFC 8878).
    pub(super) fn new(raw: Box<dyn Read + Send>) -> io::Result<Source> {
        let tally = Arc::new(Mutex::new(Tally { hash: Some(Sha256::default()), bytes: 0 }));
        let mut hashing = Hashing { inner: raw, tally: Arc::clone(&tally) };
        let mut magic = [0_u8; 4];
        let n = fill(&mut hashing, &mut magic)?;
        let head = io::Cursor::new(magic.get(..n).unwrap_or_default().to_vec());
        let whole = head.chain(hashing);
        let decoded: Box<dyn Read + Send> = match magic {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
            [0x28, 0xb5, 0x2f, 0xfd] => Box::new(Zstd::new(Box::new(whole))),
            _ => Box::new(whole),
        };
        Ok(Source { decoded, tally })
    }

    /// Reads until `buf` is full, the input pauses (a pipe with nothing more at hand) or ends; 0 is the end.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.decoded.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// From now on no hash is computed; the tally's is empty.
    pub(super) fn without_hash(&self) {
        if let Ok(mut tally) = self.tally.lock() {
            tally.hash = None;
        }
    }

    /// Hash (hex; empty without one) and size of the stored bytes read so far.
    pub(super) fn tally(&self) -> (String, u64) {
        match self.tally.lock() {
            Ok(t) => (t.hash.as_ref().map(|h| hex(&h.clone().finalize())).unwrap_or_default(), t.bytes),
            Err(_) => (String::new(), 0),
        }
    }
}

/// A reader whose next bytes can be looked at and put back; frames that follow each other do not nest.
struct PushBack {
    head: [u8; 4],
    at: usize,
    len: usize,
    inner: Box<dyn Read + Send>,
}

impl Read for PushBack {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.head.get(self.at..self.len).filter(|h| !h.is_empty()) {
            Some(mut head) => {
                let n = head.read(buf)?;
                self.at += n;
                Ok(n)
            }
            None => self.inner.read(buf),
        }
    }
}

/// zstd frames one after the other, skippable frames included, as `zstd -c a b` writes them.
struct Zstd {
    /// `None` at the end, also behind a fault: nothing after it can be trusted.
    rest: Option<PushBack>,
    /// The frame being decoded; a new decoder each, so that it grows with what is there, not with what is announced.
    frame: Option<FrameDecoder>,
    /// What stopped the decoding, told once all that was decoded before it has been handed out.
    fault: Option<io::Error>,
}

impl Zstd {
    fn new(input: Box<dyn Read + Send>) -> Zstd {
        Zstd { rest: Some(PushBack { head: [0; 4], at: 4, len: 4, inner: input }), frame: None, fault: None }
    }

    /// Begins the next frame, or skips one; `false` at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        let Some(mut rest) = self.rest.take() else { return Ok(false) };
        let mut magic = [0_u8; 4];
        let n = fill(&mut rest, &mut magic)?;
        if n == 0 {
            return Ok(false);
        }
        if n == 4 && (0x184d_2a50..=0x184d_2a5f).contains(&u32::from_le_bytes(magic)) {
            let mut size = [0_u8; 4];
            rest.read_exact(&mut size)?;
            io::copy(&mut rest.by_ref().take(u64::from(u32::from_le_bytes(size))), &mut io::sink())?;
        } else {
            (rest.head, rest.at, rest.len) = (magic, 0, n);
            let mut frame = FrameDecoder::new();
            frame.init(&mut rest).map_err(zstd_fault)?;
            self.frame = Some(frame);
        }
        self.rest = Some(rest);
        Ok(true)
    }
}

impl Read for Zstd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(frame) = &mut self.frame else {
                if self.next_frame()? {
                    continue;
                }
                return Ok(0);
            };
            let n = frame.read(buf)?;
            if n > 0 {
                return Ok(n);
            }
            if frame.is_finished() {
                let stored = frame.get_checksum_from_data();
                if self.fault.is_none() && stored.is_some() && stored != frame.get_calculated_checksum() {
                    self.fault = Some(zstd_fault("the checksum of the content does not match"));
                }
                self.frame = None;
                if let Some(fault) = self.fault.take() {
                    self.rest = None;
                    return Err(fault);
                }
                continue;
            }
            let Some(rest) = &mut self.rest else { return Ok(0) };
            if let Err(e) = frame.decode_blocks(rest, BlockDecodingStrategy::UptoBlocks(1)) {
                self.fault = Some(zstd_fault(e));
                // Until the last block the decoder keeps a window back: an empty last raw block (RFC 8878 section
                // 3.1.1.2), with room for a checksum that nobody looks at, makes it give that away.
                let end: &[u8] = &[1, 0, 0, 0, 0, 0, 0];
                frame.decode_blocks(end, BlockDecodingStrategy::UptoBlocks(1)).map_err(zstd_fault)?;
            }
        }
    }
}

fn zstd_fault(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {what}"))
}

/// Fills `buf` as far as the input goes.
fn fill(from: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while let Some(rest) = buf.get_mut(have..).filter(|r| !r.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    // By hand: every hello and every certificate needs some, and a formatter takes ten times as long.
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(digit(b >> 4));
        out.push(digit(b & 0x0f));
    }
    out
}

/// Bytes from hex digits of either case, two a byte; `None` for anything else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect()
}
