//! One small reader for all wire formats: every length from the wire is checked here and nowhere else.

/// A field that did not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} at byte {at}: needs {needed} bytes, {left} left")]
pub struct Short {
    /// The field that was being read.
    pub field: &'static str,
    /// Offset from the start of the bytes given to [`Reader::new`].
    pub at: usize,
    /// Bytes that the field needs.
    pub needed: usize,
    /// Bytes that were left.
    pub left: usize,
}

/// Reads big-endian fields from a slice, front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`Short`] when fewer are left; nothing is consumed then. So for all readers here.
    pub fn take(&mut self, field: &'static str, n: usize) -> Result<&'a [u8], Short> {
        let rest = self.rest();
        let Some(taken) = rest.get(..n) else {
            return Err(Short { field, at: self.at, needed: n, left: rest.len() });
        };
        self.at += n;
        Ok(taken)
    }

    /// A fixed array.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Short> {
        let taken = self.take(field, N)?;
        // `take` gave exactly N bytes.
        Ok(<[u8; N]>::try_from(taken).unwrap_or([0; N]))
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Short> {
        Ok(self.array::<1>(field)?[0])
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Short> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// Three bytes, big-endian.
    pub fn u24(&mut self, field: &'static str) -> Result<u32, Short> {
        let [a, b, c] = self.array(field)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Short> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// A vector with a one-byte length before it.
    pub fn vec8(&mut self, field: &'static str) -> Result<Reader<'a>, Short> {
        let n = usize::from(self.u8(field)?);
        Ok(Reader::new(self.take(field, n)?))
    }

    /// A vector with a two-byte length before it.
    pub fn vec16(&mut self, field: &'static str) -> Result<Reader<'a>, Short> {
        let n = usize::from(self.u16(field)?);
        Ok(Reader::new(self.take(field, n)?))
    }

    /// A vector with a three-byte length before it.
    pub fn vec24(&mut self, field: &'static str) -> Result<Reader<'a>, Short> {
        let n = self.u24(field)? as usize;
        Ok(Reader::new(self.take(field, n)?))
    }
}
