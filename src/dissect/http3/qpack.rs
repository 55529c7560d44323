//! QPACK: the header compression of HTTP/3 (RFC 9204).
//!
//! Takes the encoder stream of one side and the field sections that this side sends; gives the fields of each section, or says that
//! it waits for more of the encoder stream. Holds the dynamic table; entries share their bytes with those they were made from. Knows no
//! streams and no meaning of fields.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::dissect::Reader;
use crate::dissect::http2::hpack::{HpackError, MAX_FIELDS, MAX_LIST, Pair, integer, string};

/// A dynamic table holds no more than this, whatever was agreed: an entry beyond it is missed when it is asked for.
const MAX_TABLE: usize = 64 << 10;
/// What an entry counts beyond its octets (RFC 9204 section 3.2.1).
const ENTRY: u64 = 32;
/// Bytes of an instruction whose end is to come.
const MAX_PENDING: usize = 128 << 10;

/// Why a section has no fields to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QpackError {
    /// It needs entries that have not come yet.
    #[error("entries of the dynamic table have not come yet")]
    Blocked,
    /// It needs an entry that is not there any more, or never was.
    #[error("an entry that is in no table")]
    Index,
    /// A part that is coded as in HPACK.
    #[error("{0}")]
    Coding(#[from] HpackError),
}

/// The static table (RFC 9204 appendix A), from index 0.
#[rustfmt::skip]
static STATIC: [(&str, &str); 99] = [
    (":authority", ""), (":path", "/"), ("age", "0"), ("content-disposition", ""), ("content-length", "0"), ("cookie", ""),
    ("date", ""), ("etag", ""), ("if-modified-since", ""), ("if-none-match", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("referer", ""), ("set-cookie", ""), (":method", "CONNECT"), (":method", "DELETE"), (":method", "GET"),
    (":method", "HEAD"), (":method", "OPTIONS"), (":method", "POST"), (":method", "PUT"), (":scheme", "http"),
    (":scheme", "https"), (":status", "103"), (":status", "200"), (":status", "304"), (":status", "404"), (":status", "503"),
    ("accept", "*/*"), ("accept", "application/dns-message"), ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"), ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"), ("access-control-allow-origin", "*"), ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"), ("cache-control", "max-age=604800"), ("cache-control", "no-cache"),
    ("cache-control", "no-store"), ("cache-control", "public, max-age=31536000"), ("content-encoding", "br"),
    ("content-encoding", "gzip"), ("content-type", "application/dns-message"), ("content-type", "application/javascript"),
    ("content-type", "application/json"), ("content-type", "application/x-www-form-urlencoded"), ("content-type", "image/gif"),
    ("content-type", "image/jpeg"), ("content-type", "image/png"), ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"), ("content-type", "text/plain"), ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"), ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"), ("vary", "accept-encoding"),
    ("vary", "origin"), ("x-content-type-options", "nosniff"), ("x-xss-protection", "1; mode=block"), (":status", "100"),
    (":status", "204"), (":status", "206"), (":status", "302"), (":status", "400"), (":status", "403"), (":status", "421"),
    (":status", "425"), (":status", "500"), ("accept-language", ""), ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"), ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"), ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"), ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"), ("access-control-request-method", "get"),
    ("access-control-request-method", "post"), ("alt-svc", "clear"), ("authorization", ""),
    ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"), ("early-data", "1"),
    ("expect-ct", ""), ("forwarded", ""), ("if-range", ""), ("origin", ""), ("purpose", "prefetch"), ("server", ""),
    ("timing-allow-origin", "*"), ("upgrade-insecure-requests", "1"), ("user-agent", ""), ("x-forwarded-for", ""),
    ("x-frame-options", "deny"), ("x-frame-options", "sameorigin"),
];

/// A name and its value; entries made from one another share them.
#[derive(Clone, Debug)]
struct Field {
    name: Arc<[u8]>,
    value: Arc<[u8]>,
}

impl Field {
    fn octets(&self) -> usize {
        self.name.len() + self.value.len()
    }

    fn size(&self) -> u64 {
        self.octets() as u64 + ENTRY
    }

    fn of_static(index: u64) -> Result<Field, QpackError> {
        let (name, value) =
            usize::try_from(index).ok().and_then(|i| STATIC.get(i)).ok_or(QpackError::Index)?;
        Ok(Field { name: name.as_bytes().into(), value: value.as_bytes().into() })
    }
}

/// Decodes what one side sends.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Oldest first.
    table: VecDeque<Field>,
    /// Size of the table as RFC 9204 section 3.2.1 counts it.
    size: u64,
    /// Octets of its entries.
    octets: usize,
    /// The size that the sender keeps to.
    capacity: u64,
    /// The most that the receiver allows, where its settings were seen.
    allowed: Option<u64>,
    /// Entries that were ever added.
    inserted: u64,
    /// The beginning of an instruction.
    pending: Vec<u8>,
    /// The encoder stream cannot be read (any more).
    lost: bool,
}

impl Decoder {
    /// The receiver's `SETTINGS_QPACK_MAX_TABLE_CAPACITY`.
    pub(super) fn allow(&mut self, capacity: u64) {
        self.allowed = Some(capacity);
    }

    /// Bytes of the encoder stream are missing.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.pending = Vec::new();
    }

    /// The next bytes of the encoder stream (section 4.3). `true` when entries were added.
    pub(super) fn instructions(&mut self, data: &[u8]) -> bool {
        if self.lost {
            return false;
        }
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(data);
        let before = self.inserted;
        let mut r = Reader::new(&bytes);
        while !r.is_empty() {
            let here = r.clone();
            match self.instruction(&mut r) {
                Ok(()) => {}
                Err(QpackError::Coding(HpackError::Short)) if here.rest().len() <= MAX_PENDING => {
                    self.pending = here.rest().to_vec();
                    break;
                }
                Err(_) => {
                    self.lose();
                    break;
                }
            }
        }
        self.inserted > before
    }

    fn instruction(&mut self, r: &mut Reader<'_>) -> Result<(), QpackError> {
        let Some(first) = r.rest().first().copied() else { return Ok(()) };
        match first {
            // Insert with name reference (section 4.3.2).
            0x80.. => {
                let (flags, index) = integer(r, 6)?;
                let value = string(r, 7, MAX_TABLE)?;
                let name = if flags & 0x40 != 0 {
                    Field::of_static(index)
                } else {
                    self.relative(self.inserted, index)
                };
                self.insert(name.map(|f| f.name), value);
                Ok(())
            }
            // Insert with literal name (section 4.3.3).
            0x40.. => {
                let name = string(r, 5, MAX_TABLE)?;
                let value = string(r, 7, MAX_TABLE)?;
                self.insert(name.map(Into::into).ok_or(QpackError::Index), value);
                Ok(())
            }
            // Set the capacity (section 4.3.1).
            0x20.. => {
                let (_, capacity) = integer(r, 5)?;
                self.capacity = capacity;
                self.evict(0);
                Ok(())
            }
            // Duplicate (section 4.3.4).
            _ => {
                let (_, index) = integer(r, 5)?;
                let entry = self.relative(self.inserted, index);
                match entry {
                    Ok(field) => self.add(Some(field)),
                    Err(_) => self.add(None),
                }
                Ok(())
            }
        }
    }

    /// Adds an entry; one whose name or value is too large to be kept leaves its place empty.
    fn insert(&mut self, name: Result<Arc<[u8]>, QpackError>, value: Option<Vec<u8>>) {
        match (name, value) {
            (Ok(name), Some(value)) => self.add(Some(Field { name, value: value.into() })),
            _ => self.add(None),
        }
    }

    fn add(&mut self, field: Option<Field>) {
        self.inserted += 1;
        let Some(field) = field else {
            // What is behind it cannot be counted: all older entries go with it.
            self.table.clear();
            (self.size, self.octets) = (0, 0);
            return;
        };
        self.evict(field.size());
        self.size += field.size();
        self.octets += field.octets();
        self.table.push_back(field);
        // An honest sender keeps to its capacity; this is the bound for others.
        while self.octets + self.table.len() * ENTRY as usize > MAX_TABLE {
            self.drop_oldest();
        }
    }

    fn evict(&mut self, room: u64) {
        while self.size + room > self.capacity && !self.table.is_empty() {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.table.pop_front() {
            self.size -= oldest.size();
            self.octets -= oldest.octets();
        }
    }

    /// The entry with this absolute index (section 3.2.4).
    fn absolute(&self, index: u64) -> Result<Field, QpackError> {
        let oldest = self.inserted - self.table.len() as u64;
        let at = index.checked_sub(oldest).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.table.get(at)).cloned().ok_or(QpackError::Index)
    }

    /// The entry `index` before `base` (section 3.2.5).
    fn relative(&self, base: u64, index: u64) -> Result<Field, QpackError> {
        self.absolute(base.checked_sub(index).and_then(|i| i.checked_sub(1)).ok_or(QpackError::Index)?)
    }

    /// The fields of a section (section 4.5).
    ///
    /// # Errors
    /// [`QpackError::Blocked`] when the section may be tried again behind more of the encoder stream.
    pub(super) fn section(&self, section: &[u8]) -> Result<Vec<Pair>, QpackError> {
        let mut r = Reader::new(section);
        let (_, encoded) = integer(&mut r, 8)?;
        let (sign, delta) = integer(&mut r, 7)?;
        let required = self.required(encoded)?;
        if required > self.inserted {
            return Err(if self.lost { QpackError::Index } else { QpackError::Blocked });
        }
        let base = if sign & 0x80 == 0 {
            required.checked_add(delta)
        } else {
            required.checked_sub(delta).and_then(|b| b.checked_sub(1))
        };
        let base = base.ok_or(QpackError::Index)?;
        let mut fields: Vec<Pair> = Vec::new();
        let mut octets = 0_usize;
        while let Some(first) = r.rest().first().copied() {
            let (name, value) = match first {
                // Indexed (section 4.5.2).
                0x80.. => {
                    let (flags, index) = integer(&mut r, 6)?;
                    let field = self.referred(flags & 0x40 != 0, base, index)?;
                    (field.name.to_vec(), Some(field.value.to_vec()))
                }
                // Literal with name reference (section 4.5.4).
                0x40.. => {
                    let (flags, index) = integer(&mut r, 4)?;
                    let field = self.referred(flags & 0x10 != 0, base, index)?;
                    (field.name.to_vec(), string(&mut r, 7, MAX_LIST)?)
                }
                // Literal with literal name (section 4.5.6).
                0x20.. => {
                    let name = string(&mut r, 3, MAX_LIST)?.ok_or(HpackError::TooLarge)?;
                    (name, string(&mut r, 7, MAX_LIST)?)
                }
                // Indexed behind the base (section 4.5.3).
                0x10.. => {
                    let (_, index) = integer(&mut r, 4)?;
                    let field = self.absolute(base.checked_add(index).ok_or(QpackError::Index)?)?;
                    (field.name.to_vec(), Some(field.value.to_vec()))
                }
                // Literal with a name behind the base (section 4.5.5).
                _ => {
                    let (_, index) = integer(&mut r, 3)?;
                    let field = self.absolute(base.checked_add(index).ok_or(QpackError::Index)?)?;
                    (field.name.to_vec(), string(&mut r, 7, MAX_LIST)?)
                }
            };
            let value = value.ok_or(HpackError::TooLarge)?;
            octets = octets.saturating_add(name.len() + value.len());
            if octets > MAX_LIST {
                return Err(HpackError::TooLarge.into());
            }
            if fields.len() >= MAX_FIELDS {
                return Err(HpackError::TooManyFields.into());
            }
            fields.push((name, value));
        }
        Ok(fields)
    }

    fn referred(&self, is_static: bool, base: u64, index: u64) -> Result<Field, QpackError> {
        if is_static { Field::of_static(index) } else { self.relative(base, index) }
    }

    /// How many entries have to be there (section 4.5.1.1). Without the receiver's settings the sender's own capacity stands for
    /// the most that it may have.
    fn required(&self, encoded: u64) -> Result<u64, QpackError> {
        if encoded == 0 {
            return Ok(0);
        }
        let most = self.allowed.unwrap_or(self.capacity);
        let entries = most / ENTRY;
        if entries == 0 {
            // Nothing is known of the table yet.
            return Err(if self.lost { QpackError::Index } else { QpackError::Blocked });
        }
        let full = 2 * entries;
        if encoded > full {
            return Err(QpackError::Index);
        }
        let highest = self.inserted + entries;
        let mut required = highest / full * full + encoded - 1;
        if required > highest {
            required = required.checked_sub(full).ok_or(QpackError::Index)?;
        }
        if required == 0 { Err(QpackError::Index) } else { Ok(required) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::testing::bytes;

    fn shown(fields: Result<Vec<Pair>, QpackError>) -> String {
        let line = |(name, value): &Pair| {
            format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        match fields {
            Ok(fields) => fields.iter().map(line).collect::<Vec<_>>().join(" | "),
            Err(e) => format!("{e:?}"),
        }
    }

    /// RFC 9204 appendix B, in its order.
    #[test]
    fn the_examples_of_the_rfc() {
        let mut decoder = Decoder::default();
        decoder.allow(220);
        // B.1: literal with a name of the static table.
        let first = bytes("0000 510b 2f69 6e64 6578 2e68 746d 6c");
        assert_eq!(shown(decoder.section(&first)), ":path=/index.html");
        // B.2: the section comes first and waits.
        let second = bytes("0381 1011");
        assert_eq!(shown(decoder.section(&second)), "Blocked");
        let inserts =
            bytes("3fbd01 c00f 7777 772e 6578 616d 706c 652e 636f 6d c10c 2f73 616d 706c 652f 7061 7468");
        // One byte at a time is the same.
        for byte in &inserts {
            decoder.instructions(std::slice::from_ref(byte));
        }
        assert_eq!((decoder.inserted, decoder.size), (2, 106));
        assert_eq!(shown(decoder.section(&second)), ":authority=www.example.com | :path=/sample/path");
        // B.3: speculative insert.
        assert!(decoder.instructions(&bytes("4a63 7573 746f 6d2d 6b65 790c 6375 7374 6f6d 2d76 616c 7565")));
        assert_eq!((decoder.inserted, decoder.size), (3, 160));
        // B.4: duplicate; its section names three entries before the base.
        assert!(decoder.instructions(&bytes("02")));
        let third = bytes("0500 80c1 81");
        assert_eq!(
            shown(decoder.section(&third)),
            ":authority=www.example.com | :path=/ | custom-key=custom-value"
        );
        assert_eq!((decoder.inserted, decoder.size), (4, 217));
        // B.5: the oldest entry goes.
        assert!(decoder.instructions(&bytes("810d 6375 7374 6f6d 2d76 616c 7565 32")));
        assert_eq!((decoder.inserted, decoder.size), (5, 215));
        assert_eq!(shown(decoder.section(&second)), "Index", "its entry is gone");
        assert_eq!(shown(decoder.section(&bytes("0600 80"))), "custom-key=custom-value2");
    }

    #[test]
    fn literals_with_names_of_their_own_and_behind_the_base() {
        let mut decoder = Decoder::default();
        decoder.allow(4096);
        decoder.instructions(&bytes("3fe11f 41 61 01 62"));
        // Required 1, base 0: sign bit, delta 0.
        assert_eq!(shown(decoder.section(&bytes("0280 10"))), "a=b");
        assert_eq!(shown(decoder.section(&bytes("0280 00 01 63"))), "a=c");
        assert_eq!(shown(decoder.section(&bytes("0000 21 78 01 79"))), "x=y");
        assert_eq!(shown(decoder.section(&bytes("0280 11"))), "Index");
        assert_eq!(shown(decoder.section(&bytes("0000 ff7f"))), "Index", "no static entry");
    }

    #[test]
    fn counts_wrap() {
        let mut decoder = Decoder::default();
        decoder.allow(96); // three entries: counts are told modulo six
        decoder.instructions(&bytes("3f41"));
        for n in 0..10_u8 {
            decoder.instructions(&[0x40, 1, b'0' + n]);
        }
        assert_eq!((decoder.inserted, decoder.table.len()), (10, 2));
        // 10 modulo 6, plus 1.
        assert_eq!(shown(decoder.section(&[5, 0, 0x80])), "=9");
        assert_eq!(shown(decoder.section(&[6, 0, 0x80])), "Blocked");
    }

    #[test]
    fn cut_anywhere_nothing_is_invented() {
        let mut decoder = Decoder::default();
        let section = bytes("0000 510b 2f69 6e64 6578 2e68 746d 6c d1 21 78 01 79");
        let whole = shown(decoder.section(&section));
        assert_eq!(whole, ":path=/index.html | :method=GET | x=y");
        for cut in 0..section.len() {
            if let Ok(fields) = decoder.section(&section[..cut]) {
                assert!(whole.starts_with(&shown(Ok(fields))), "{cut}");
            }
        }
        decoder.lose();
        assert!(!decoder.instructions(&bytes("4a63")) && decoder.lost);
    }

    #[test]
    fn memory_is_bounded() {
        let mut decoder = Decoder::default();
        decoder.instructions(&bytes("3fe1ff7f")); // 2 MiB
        for _ in 0..100 {
            // 4000 bytes of value each.
            let mut insert = bytes("41 61 7fa11e");
            insert.extend([b'x'; 4000]);
            assert!(decoder.instructions(&insert));
        }
        assert!(decoder.octets <= MAX_TABLE && decoder.table.len() < 20);
        let mut endless = bytes("41 61 7fe1ff7f");
        endless.resize(200 << 10, b'x');
        decoder.instructions(&endless);
        assert!(decoder.lost && decoder.pending.is_empty());
    }
}
