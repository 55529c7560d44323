//! The Huffman code of HPACK and QPACK strings (RFC 7541 section 5.2 and appendix B).
//!
//! Takes the bytes of one string literal; gives its octets, or says why there are none. Decodes only. The code is canonical:
//! codes of one length follow each other in the order of their symbols, so the lengths of appendix B are all that is stored.

/// Why a string cannot be decoded (RFC 7541 section 5.2: all of these are errors).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::dissect) enum HuffmanError {
    /// The end-of-string symbol stands in the string.
    #[error("end-of-string symbol within a string")]
    EndOfString,
    /// More than seven bits of padding.
    #[error("padding of more than seven bits")]
    LongPadding,
    /// Padding that is not the beginning of the end-of-string symbol.
    #[error("padding with zero bits")]
    BadPadding,
    /// The string has more octets than the caller allows.
    #[error("a string that is too long")]
    TooLong,
}

/// Bits of each symbol's code; symbol 256 is the end of a string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // 0x20
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0x30
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 0x40
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 0x50
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // 0x60
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 0x70
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
    30, // end of string
];

/// The shortest and the longest code, in bits.
const SHORTEST: usize = 5;
const LONGEST: usize = 30;

const END: u16 = 256;

/// Codes of one length: the first of them, how many there are, and where their symbols begin in [`SYMBOLS`].
#[derive(Clone, Copy)]
struct OfLength {
    first: u32,
    count: u32,
    symbols: usize,
}

const NONE: OfLength = OfLength { first: 0, count: 0, symbols: 0 };

/// Symbols by the length of their code, and by value where that is the same.
static SYMBOLS: [u16; 257] = tables().0;
/// Index is the number of bits.
static CODES: [OfLength; LONGEST + 1] = tables().1;

#[expect(clippy::indexing_slicing, reason = "runs in the compiler only: a bad index does not compile")]
const fn tables() -> ([u16; 257], [OfLength; LONGEST + 1]) {
    let mut symbols = [0; 257];
    let mut codes = [NONE; LONGEST + 1];
    let (mut placed, mut code, mut bits) = (0, 0, 1);
    while bits <= LONGEST {
        code <<= 1;
        codes[bits] = OfLength { first: code, count: 0, symbols: placed };
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                symbols[placed] = symbol as u16;
                codes[bits].count += 1;
                placed += 1;
                code += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    (symbols, codes)
}

/// Decodes a string of at most `most` octets.
pub(in crate::dissect) fn decode(coded: &[u8], most: usize) -> Result<Vec<u8>, HuffmanError> {
    // The shortest code has five bits: a string grows to 8/5 of its size at most.
    let mut out = Vec::with_capacity((coded.len().saturating_mul(8) / SHORTEST).min(most));
    let (mut code, mut bits) = (0_u32, 0_usize);
    for byte in coded {
        for shift in (0..8).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            bits += 1;
            let Some(here) = CODES.get(bits) else { return Err(HuffmanError::EndOfString) };
            let Some(place) = code.checked_sub(here.first).filter(|place| *place < here.count) else {
                continue;
            };
            match SYMBOLS.get(here.symbols + place as usize) {
                Some(&symbol) if symbol != END => {
                    if out.len() >= most {
                        return Err(HuffmanError::TooLong);
                    }
                    out.push(symbol as u8);
                }
                _ => return Err(HuffmanError::EndOfString),
            }
            (code, bits) = (0, 0);
        }
    }
    if bits > 7 {
        return Err(HuffmanError::LongPadding);
    }
    if code != (1 << bits) - 1 {
        return Err(HuffmanError::BadPadding);
    }
    Ok(out)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The code of a symbol, from the left.
    fn code(symbol: usize) -> (u32, usize) {
        let bits = LENGTHS[symbol] as usize;
        let here = CODES[bits];
        let place = SYMBOLS[here.symbols..].iter().position(|s| *s as usize == symbol).unwrap();
        (here.first + place as u32, bits)
    }

    /// Codes symbols one after the other and fills the last byte with `padding`.
    fn packed(symbols: &[usize], padding: bool) -> Vec<u8> {
        let mut bits = Vec::new();
        for symbol in symbols {
            let (code, length) = code(*symbol);
            bits.extend((0..length).rev().map(|shift| code >> shift & 1 == 1));
        }
        while bits.len() % 8 > 0 {
            bits.push(padding);
        }
        bits.chunks(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | u8::from(*bit))).collect()
    }

    /// A string as a sender would code it.
    pub(in crate::dissect::http2) fn encode(text: &[u8]) -> Vec<u8> {
        packed(&text.iter().map(|b| usize::from(*b)).collect::<Vec<_>>(), true)
    }

    #[test]
    fn the_code_is_complete_and_that_of_appendix_b() {
        let sum: f64 = LENGTHS.iter().map(|bits| f64::from(*bits).exp2().recip()).sum();
        assert!((sum - 1.0).abs() < f64::EPSILON, "Kraft: {sum}");
        for (symbol, expected) in [
            (usize::from(b'0'), (0x0, 5)),
            (usize::from(b't'), (0x9, 5)),
            (usize::from(b' '), (0x14, 6)),
            (usize::from(b'z'), (0x7b, 7)),
            (usize::from(b'Z'), (0xfd, 8)),
            (usize::from(b'\\'), (0x7fff0, 19)),
            (0, (0x1ff8, 13)),
            (1, (0x007f_ffd8, 23)),
            (10, (0x3fff_fffc, 30)),
            (199, (0x01ff_ffec, 25)),
            (255, (0x03ff_ffee, 26)),
            (256, (0x3fff_ffff, 30)),
        ] {
            assert_eq!(code(symbol), expected, "symbol {symbol}");
        }
    }

    #[test]
    fn every_octet_comes_back() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decode(&encode(&all), 512).unwrap(), all);
        assert_eq!(decode(&encode(&all), 511), Err(HuffmanError::TooLong));
        assert_eq!(decode(b"", 0).unwrap(), b"");
    }

    #[test]
    fn what_must_be_refused() {
        let a = usize::from(b'a');
        for (name, coded, why) in [
            ("end of string", packed(&[a, 256, a], true), HuffmanError::EndOfString),
            ("end of string alone", vec![0xff; 4], HuffmanError::EndOfString),
            ("eight bits of padding", [packed(&[a], true), vec![0xff]].concat(), HuffmanError::LongPadding),
            ("a byte of padding", vec![0xff], HuffmanError::LongPadding),
            ("zero bits", packed(&[a], false), HuffmanError::BadPadding),
            ("a cut symbol", packed(&[usize::from(b'Z'), 1], true)[..2].to_vec(), HuffmanError::LongPadding),
            ("a cut short symbol", vec![0b0001_1010], HuffmanError::BadPadding),
        ] {
            assert_eq!(decode(&coded, 100), Err(why), "{name}");
        }
        // Seven bits of ones are allowed: "8" takes six, "t" five and "Z" eight.
        assert_eq!(decode(&packed(&[a, usize::from(b'd'), usize::from(b'd')], true), 9).unwrap(), b"add");
    }
}
