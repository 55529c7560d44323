//! Bytes in, bytes out: hashes what is stored, undoes gzip and zstd, and says where a fault is.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

/// Hash and count of the stored bytes, shared with whoever asks at the end.
#[derive(Default)]
struct Tally {
    hash: Sha256,
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
            tally.hash.update(read);
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
        let tally = Arc::new(Mutex::new(Tally::default()));
        let mut hashing = Hashing { inner: raw, tally: Arc::clone(&tally) };
        let mut magic = [0_u8; 4];
        let n = fill(&mut hashing, &mut magic)?;
        let head = io::Cursor::new(magic.get(..n).unwrap_or_default().to_vec());
        let whole = head.chain(hashing);
        let decoded: Box<dyn Read + Send> = match magic {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
            [0x28, 0xb5, 0x2f, 0xfd] => Box::new(Zstd { rest: Some(PushBack { head: [0; 4], at: 4, len: 4, inner: Box::new(whole) }), decoder: None }),
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

    /// Hash (hex) and size of the stored bytes read so far.
    pub(super) fn tally(&self) -> (String, u64) {
        match self.tally.lock() {
            Ok(t) => (hex(&t.hash.clone().finalize()), t.bytes),
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
    rest: Option<PushBack>,
    decoder: Option<ruzstd::decoding::StreamingDecoder<PushBack, ruzstd::decoding::FrameDecoder>>,
}

impl Read for Zstd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let n = decoder.read(buf)?;
                if n > 0 || buf.is_empty() {
                    return Ok(n);
                }
                // End of this frame: what follows may be another.
                self.rest = self.decoder.take().map(ruzstd::decoding::StreamingDecoder::into_inner);
            }
            let Some(mut rest) = self.rest.take() else { return Ok(0) };
            let mut magic = [0_u8; 4];
            let n = fill(&mut rest, &mut magic)?;
            if n == 0 {
                return Ok(0);
            }
            if n == 4 && (0x184d_2a50..=0x184d_2a5f).contains(&u32::from_le_bytes(magic)) {
                let mut size = [0_u8; 4];
                rest.read_exact(&mut size)?;
                io::copy(&mut rest.by_ref().take(u64::from(u32::from_le_bytes(size))), &mut io::sink())?;
                self.rest = Some(rest);
                continue;
            }
            (rest.head, rest.at, rest.len) = (magic, 0, n);
            let decoder = ruzstd::decoding::StreamingDecoder::new(rest)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {e}")))?;
            self.decoder = Some(decoder);
        }
    }
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
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}
