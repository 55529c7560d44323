//! HPACK: the header compression of HTTP/2 (RFC 7541).
//!
//! Takes whole header blocks of one direction in their order; gives the fields of each. Holds the dynamic table, whose entries
//! share their bytes with those they were made from, so that it cannot grow faster than the blocks. Integers and string
//! literals ([`integer`], [`string`]) are those of QPACK too (RFC 9204 section 4.1). Knows no streams and no meaning of fields.

use std::collections::VecDeque;
use std::sync::Arc;

use super::huffman::{self, HuffmanError};
use crate::dissect::Reader;

/// Most fields of one block; beyond it the block is given up.
pub(in crate::dissect) const MAX_FIELDS: usize = 512;
/// Most octets of names and values in one block; beyond it the block is given up.
pub(in crate::dissect) const MAX_LIST: usize = 256 << 10;
/// A dynamic table holds no more than this, whatever was agreed: indices count from the newest entry, so a shorter table
/// lacks entries and mistakes none.
const MAX_TABLE: usize = 64 << 10;
/// Size of the dynamic table when nothing was agreed (RFC 9113 section 6.5.2).
const DEFAULT_TABLE: u64 = 4096;
/// What an entry counts beyond its octets (RFC 7541 section 4.1).
const ENTRY: usize = 32;

/// A field's name and value.
pub(in crate::dissect) type Pair = (Vec<u8>, Vec<u8>);

/// Why a block has no fields to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::dissect) enum HpackError {
    /// The block ends within a field.
    #[error("the block ends within a field")]
    Short,
    /// An integer that no field needs.
    #[error("an integer of more than 32 bits")]
    Integer,
    /// A string literal that cannot be decoded.
    #[error("{0}")]
    Huffman(#[from] HuffmanError),
    /// An index that no table has.
    #[error("index {0} is in no table")]
    Index(u64),
    /// A table size beyond what was agreed, or behind the first field.
    #[error("a table size that was not agreed")]
    TableSize,
    /// Beyond [`MAX_FIELDS`]. The table was kept up, and the next block can be read.
    #[error("more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// Beyond [`MAX_LIST`]. The table was kept up, and the next block can be read.
    #[error("more than {MAX_LIST} bytes of fields")]
    TooLarge,
}

impl HpackError {
    /// The decoder is still in step with the sender.
    pub(in crate::dissect) fn is_recoverable(self) -> bool {
        matches!(self, HpackError::TooManyFields | HpackError::TooLarge)
    }
}

/// The static table (RFC 7541 appendix A), from index 1.
#[rustfmt::skip]
static STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

/// Reads an integer whose first byte holds `prefix` bits of it (RFC 7541 section 5.1): the bits before them, and the integer.
pub(in crate::dissect) fn integer(r: &mut Reader<'_>, prefix: u32) -> Result<(u8, u64), HpackError> {
    let first = r.u8("integer").map_err(|_| HpackError::Short)?;
    let mask = ((1_u16 << prefix) - 1) as u8;
    let (flags, mut value) = (first & !mask, u64::from(first & mask));
    if first & mask != mask {
        return Ok((flags, value));
    }
    // Five more bytes hold 35 bits; padding with zeros beyond is allowed and never sent.
    for shift in (0..35).step_by(7) {
        let byte = r.u8("integer").map_err(|_| HpackError::Short)?;
        value += u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return if u32::try_from(value).is_ok() { Ok((flags, value)) } else { Err(HpackError::Integer) };
        }
    }
    Err(HpackError::Integer)
}

/// Reads a string literal of at most `most` octets whose length has a prefix of `prefix` bits, with the Huffman flag before
/// them (RFC 7541 section 5.2). A longer one is read over: `None`.
pub(in crate::dissect) fn string(
    r: &mut Reader<'_>,
    prefix: u32,
    most: usize,
) -> Result<Option<Vec<u8>>, HpackError> {
    let (flags, length) = integer(r, prefix)?;
    let octets = r.take("string", length as usize).map_err(|_| HpackError::Short)?;
    if flags & 1 << prefix == 0 {
        return Ok((octets.len() <= most).then(|| octets.to_vec()));
    }
    match huffman::decode(octets, most) {
        Ok(text) => Ok(Some(text)),
        Err(HuffmanError::TooLong) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

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
}

/// The fields of a block, counted while they are read.
#[derive(Default)]
struct List {
    fields: Vec<Pair>,
    octets: usize,
    beyond: Option<HpackError>,
}

impl List {
    fn push(&mut self, field: &Field) {
        self.octets = self.octets.saturating_add(field.octets());
        if self.octets > MAX_LIST {
            self.beyond = self.beyond.or(Some(HpackError::TooLarge));
        } else if self.fields.len() >= MAX_FIELDS {
            self.beyond = self.beyond.or(Some(HpackError::TooManyFields));
        }
        if self.beyond.is_none() {
            self.fields.push((field.name.to_vec(), field.value.to_vec()));
        }
    }
}

/// Decodes the header blocks of one direction.
#[derive(Debug)]
pub(in crate::dissect) struct Decoder {
    /// Newest first.
    table: VecDeque<Field>,
    /// Size of the table as RFC 7541 section 4.1 counts it.
    size: usize,
    /// The size that the sender keeps to.
    max: u64,
    /// The most that the receiver has ever allowed.
    allowed: u64,
    /// Blocks were missed: entries older than those of the table are not known.
    missed: bool,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { table: VecDeque::new(), size: 0, max: DEFAULT_TABLE, allowed: DEFAULT_TABLE, missed: false }
    }
}

impl Decoder {
    /// The receiver allows a dynamic table of this size (`SETTINGS_HEADER_TABLE_SIZE`). The sender says in a block when it
    /// makes use of that; as its acknowledgement may be seen late, a smaller size than before takes nothing away.
    pub(in crate::dissect) fn allow(&mut self, size: u32) {
        self.allowed = self.allowed.max(u64::from(size));
    }

    /// Blocks may have been missed. As indices count from the newest entry, those that are added from here on are found; a field
    /// that refers to an older one is left out.
    pub(in crate::dissect) fn miss(&mut self) {
        self.table.clear();
        self.size = 0;
        self.missed = true;
    }

    /// The fields of one whole block, in order.
    ///
    /// # Errors
    /// Anything but [`HpackError::is_recoverable`] leaves the decoder out of step: no later block can be trusted.
    pub(in crate::dissect) fn decode(&mut self, block: &[u8]) -> Result<Vec<Pair>, HpackError> {
        let mut r = Reader::new(block);
        let mut list = List::default();
        let mut begun = false;
        while let Some(first) = r.rest().first() {
            match first {
                // Indexed (section 6.1).
                0x80.. => {
                    let (_, index) = integer(&mut r, 7)?;
                    let field = self.entry(index)?;
                    self.list(&mut list, &field);
                }
                // Literal with incremental indexing (section 6.2.1).
                0x40.. => {
                    if let Some(field) = self.literal(&mut r, 6, &mut list)? {
                        self.list(&mut list, &field);
                        self.add(field);
                    }
                }
                // Dynamic table size (section 6.3), only before the first field (section 4.2).
                0x20.. => {
                    let (_, size) = integer(&mut r, 5)?;
                    if begun || size > self.allowed {
                        return Err(HpackError::TableSize);
                    }
                    self.max = size;
                    self.evict(0);
                    continue;
                }
                // Literal without indexing, or never indexed (sections 6.2.2 and 6.2.3).
                _ => {
                    if let Some(field) = self.literal(&mut r, 4, &mut list)? {
                        self.list(&mut list, &field);
                    }
                }
            }
            begun = true;
        }
        list.beyond.map_or(Ok(list.fields), Err)
    }

    /// A literal field; `None` when it is too long, which also empties the table where it should have been added
    /// (section 4.4).
    fn literal(
        &mut self,
        r: &mut Reader<'_>,
        prefix: u32,
        list: &mut List,
    ) -> Result<Option<Field>, HpackError> {
        let (_, index) = integer(r, prefix)?;
        let name = match index {
            0 => string(r, 7, MAX_LIST)?.map(Arc::from),
            _ => Some(self.entry(index)?.name),
        };
        let value = string(r, 7, MAX_LIST)?;
        if let (Some(name), Some(value)) = (name, value) {
            return Ok(Some(Field { name, value: value.into() }));
        }
        list.beyond = list.beyond.or(Some(HpackError::TooLarge));
        if prefix == 6 {
            self.table.clear();
            self.size = 0;
        }
        Ok(None)
    }

    fn entry(&self, index: u64) -> Result<Field, HpackError> {
        let place = index.checked_sub(1).ok_or(HpackError::Index(index))? as usize;
        if let Some((name, value)) = STATIC.get(place) {
            return Ok(Field { name: name.as_bytes().into(), value: value.as_bytes().into() });
        }
        match self.table.get(place - STATIC.len()) {
            Some(field) => Ok(field.clone()),
            None if self.missed => Ok(Field { name: [].into(), value: [].into() }),
            None => Err(HpackError::Index(index)),
        }
    }

    /// Lists a field, unless its name was missed.
    fn list(&self, list: &mut List, field: &Field) {
        if !(self.missed && field.name.is_empty()) {
            list.push(field);
        }
    }

    fn add(&mut self, field: Field) {
        let size = field.octets() + ENTRY;
        self.evict(size);
        if size <= self.room() {
            self.size += size;
            self.table.push_front(field);
        }
    }

    /// Makes room for `size` (section 4.3).
    fn evict(&mut self, size: usize) {
        while self.size.saturating_add(size) > self.room() {
            let Some(oldest) = self.table.pop_back() else { return };
            self.size -= oldest.octets() + ENTRY;
        }
    }

    fn room(&self) -> usize {
        (self.max as usize).min(MAX_TABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::http2::huffman::tests::encode;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// `name: value`, separated by ` | `.
    fn shown(fields: &[Pair]) -> String {
        let line = |(n, v): &Pair| format!("{}: {}", String::from_utf8_lossy(n), String::from_utf8_lossy(v));
        fields.iter().map(line).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn behind_missed_blocks_what_is_new_is_found() {
        let mut decoder = Decoder::default();
        decoder.decode(&bytes("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d")).unwrap();
        decoder.miss();
        // The authority of before is not known any more, a new entry is, and the authority is then one further away.
        let block = bytes("8286 84be 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65");
        let known = ":method: GET | :scheme: http | :path: / | custom-key: custom-value";
        assert_eq!(shown(&decoder.decode(&block).unwrap()), known);
        assert_eq!(
            shown(&decoder.decode(&bytes("82be bf")).unwrap()),
            ":method: GET | custom-key: custom-value"
        );
        // A value whose name was missed still takes its place.
        decoder.decode(&bytes("7f00 0161")).unwrap();
        assert_eq!(shown(&decoder.decode(&bytes("bf")).unwrap()), "custom-key: custom-value");
        assert_eq!(decoder.decode(&bytes("80")), Err(HpackError::Index(0)));
    }

    const FIRST: &str = ":method: GET | :scheme: http | :path: / | :authority: www.example.com";
    const SECOND: &str =
        ":method: GET | :scheme: http | :path: / | :authority: www.example.com | cache-control: no-cache";
    const THIRD: &str = ":method: GET | :scheme: https | :path: /index.html | :authority: www.example.com | custom-key: custom-value";
    const MOVED: &str = ":status: 302 | cache-control: private | date: Mon, 21 Oct 2013 20:13:21 GMT | location: https://www.example.com";
    const MOVED_307: &str = ":status: 307 | cache-control: private | date: Mon, 21 Oct 2013 20:13:21 GMT | location: https://www.example.com";
    const OK: &str = ":status: 200 | cache-control: private | date: Mon, 21 Oct 2013 20:13:22 GMT | location: https://www.example.com | content-encoding: gzip | set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

    /// A block in hex, the size of the table behind it, and its fields.
    type Block = (&'static str, usize, &'static str);

    /// Appendix C: examples with the size of their table and the blocks that follow each other.
    const APPENDIX: [(&str, u64, &[Block]); 8] = [
        (
            "C.2.1",
            4096,
            &[(
                "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
                55,
                "custom-key: custom-header",
            )],
        ),
        ("C.2.2", 4096, &[("040c 2f73 616d 706c 652f 7061 7468", 0, ":path: /sample/path")]),
        ("C.2.3", 4096, &[("1008 7061 7373 776f 7264 0673 6563 7265 74", 0, "password: secret")]),
        ("C.2.4", 4096, &[("82", 0, ":method: GET")]),
        (
            "C.3",
            4096,
            &[
                ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", 57, FIRST),
                ("8286 84be 5808 6e6f 2d63 6163 6865", 110, SECOND),
                ("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", 164, THIRD),
            ],
        ),
        (
            "C.4",
            4096,
            &[
                ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", 57, FIRST),
                ("8286 84be 5886 a8eb 1064 9cbf", 110, SECOND),
                ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", 164, THIRD),
            ],
        ),
        (
            "C.5",
            256,
            &[
                (
                    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d \
              546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                    222,
                    MOVED,
                ),
                ("4803 3330 37c1 c0bf", 222, MOVED_307),
                (
                    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f \
              6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b \
              2076 6572 7369 6f6e 3d31",
                    215,
                    OK,
                ),
            ],
        ),
        (
            "C.6",
            256,
            &[
                (
                    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 \
              8f0b 97c8 e9ae 82ae 43d3",
                    222,
                    MOVED,
                ),
                ("4883 640e ffc1 c0bf", 222, MOVED_307),
                (
                    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 \
              dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                    215,
                    OK,
                ),
            ],
        ),
    ];

    #[test]
    fn the_examples_of_appendix_c() {
        for (name, max, blocks) in APPENDIX {
            let mut decoder = Decoder { max, ..Decoder::default() };
            for (block, size, fields) in blocks {
                assert_eq!(shown(&decoder.decode(&bytes(block)).unwrap()), *fields, "{name}");
                assert_eq!(decoder.size, *size, "{name}");
                let sum: usize = decoder.table.iter().map(|f| f.octets() + ENTRY).sum();
                assert_eq!(sum, *size, "{name}");
            }
        }
    }

    #[test]
    fn integers() {
        for (hex, prefix, value) in [
            ("0a", 5, Ok((0, 10))),
            ("1f 9a 0a", 5, Ok((0, 1337))),
            ("2a", 8, Ok((0, 42))),
            ("ea", 5, Ok((0xe0, 10))),
            ("ff 00", 7, Ok((0x80, 127))),
            ("ff 80 80 80 80 00", 7, Ok((0x80, 127))),
            ("ff 80 80 80 80 80 00", 7, Err(HpackError::Integer)),
            ("ff ff ff ff ff 0f", 8, Err(HpackError::Integer)),
            ("ff 80 fe ff ff 0f", 8, Ok((0, 0xffff_ffff))),
            ("ff ff ff ff ff ff ff ff ff ff", 7, Err(HpackError::Integer)),
            ("ff 80", 7, Err(HpackError::Short)),
            ("", 7, Err(HpackError::Short)),
        ] {
            assert_eq!(integer(&mut Reader::new(&bytes(hex)), prefix), value, "{hex}");
        }
    }

    #[test]
    fn faults() {
        for (hex, why) in [
            ("80", HpackError::Index(0)),
            ("be", HpackError::Index(62)),
            ("7f 00 01 61", HpackError::Index(63)),
            ("ff ff ff ff ff 07", HpackError::Index(0x8000_007e)),
            ("40", HpackError::Short),
            ("40 01", HpackError::Short),
            ("40 01 61", HpackError::Short),
            ("40 01 61 02 62", HpackError::Short),
            ("82 20", HpackError::TableSize),
            ("3f e2 1f", HpackError::TableSize),
            ("40 81 ff 00", HpackError::Huffman(HuffmanError::LongPadding)),
        ] {
            assert_eq!(Decoder::default().decode(&bytes(hex)), Err(why), "{hex}");
            assert!(!why.is_recoverable());
        }
    }

    #[test]
    fn sizes_of_the_table() {
        let add = bytes("4001 6101 62");
        let mut decoder = Decoder::default();
        for _ in 0..200 {
            decoder.decode(&add).unwrap();
        }
        assert_eq!(decoder.size, 4096 / 34 * 34, "full");
        decoder.decode(&bytes("3f 45")).unwrap();
        assert_eq!((decoder.size, decoder.max), (68, 100), "smaller by a block");
        decoder.decode(&bytes("20 3f e1 1f")).unwrap();
        assert_eq!((decoder.size, decoder.max), (0, 4096), "emptied and set back");
        decoder.decode(&[&bytes("40 01 61 7f 81 1f")[..], &[b'x'; 4096]].concat()).unwrap();
        assert_eq!(decoder.size, 0, "an entry larger than the table empties it");
        // More than was agreed is refused, what was agreed is taken, and the table stays within its bound.
        let huge = bytes("3f e1 ff ff 03");
        assert_eq!(Decoder::default().decode(&huge), Err(HpackError::TableSize));
        decoder.allow(u32::MAX);
        decoder.decode(&huge).unwrap();
        decoder.allow(0);
        for _ in 0..10_000 {
            decoder.decode(&add).unwrap();
        }
        assert_eq!(decoder.size, MAX_TABLE / 34 * 34);
    }

    #[test]
    fn a_bomb_is_given_up_and_the_table_kept() {
        // One entry of 3 KiB, referred to again and again: 87 references exceed 256 KiB.
        let entry = [&bytes("40 01 61 7f 81 17")[..], &[b'x'; 3072]].concat();
        let mut decoder = Decoder::default();
        decoder.decode(&entry).unwrap();
        assert_eq!(decoder.decode(&[0xbe; 85]).unwrap().len(), 85);
        let bomb = [&vec![0xbe; 1 << 20][..], &bytes("40 01 62 01 63")].concat();
        assert_eq!(decoder.decode(&bomb), Err(HpackError::TooLarge));
        assert!(HpackError::TooLarge.is_recoverable() && HpackError::TooManyFields.is_recoverable());
        assert_eq!(shown(&decoder.decode(&[0xbe]).unwrap()), "b: c", "the next block is in step");
        assert_eq!(decoder.decode(&[0x82; 512]).unwrap().len(), 512);
        assert_eq!(decoder.decode(&[0x82; 513]), Err(HpackError::TooManyFields));
        // A string of more than 256 KiB is read over.
        let long = encode(&vec![b'0'; 300 << 10]);
        let length = long.len() as u32 - 127;
        let mut block = vec![0x40, 1, b'a', 0xff];
        block.extend([length as u8 | 0x80, (length >> 7) as u8 | 0x80, (length >> 14) as u8]);
        block.extend(&long);
        assert_eq!(decoder.decode(&block), Err(HpackError::TooLarge));
        assert_eq!((decoder.size, decoder.decode(&[0x82]).unwrap().len()), (0, 1));
    }

    #[test]
    fn entries_share_their_bytes() {
        let mut decoder = Decoder::default();
        decoder.allow(65_536);
        decoder.decode(&[&bytes("3f e1 ff 03 40 7f 81 17")[..], &[b'x'; 3072], &[0]].concat()).unwrap();
        // Two bytes make an entry of 3 KiB: its name is that of the one before.
        decoder.decode(&[0x7e, 0].repeat(20)).unwrap();
        assert!(decoder.table.len() > 15);
        assert!(decoder.table.iter().all(|f| Arc::ptr_eq(&f.name, &decoder.table[0].name)));
    }

    #[test]
    fn cut_anywhere_nothing_is_invented() {
        for (name, max, blocks) in APPENDIX {
            for (n, (block, ..)) in blocks.iter().enumerate() {
                let block = bytes(block);
                for cut in 0..block.len() {
                    let mut decoder = Decoder { max, ..Decoder::default() };
                    for (earlier, ..) in &blocks[..n] {
                        decoder.decode(&bytes(earlier)).unwrap();
                    }
                    match decoder.decode(&block[..cut]) {
                        Ok(fields) => assert!(blocks[n].2.starts_with(&shown(&fields)), "{name} at {cut}"),
                        Err(e) => assert_eq!(e, HpackError::Short, "{name} at {cut}"),
                    }
                }
            }
        }
    }
}
