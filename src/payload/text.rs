//! Readable text: how much of a stream's beginning a person could read.
//!
//! Takes the bytes of one direction in order, looks at the first [`BUDGET`] (or [`GIVE_UP`]) and ignores the rest; gives a
//! [`Readability`], the first readable [`Run`] and an entropy estimate (METRICS E16). Text is UTF-8 in any script.
//! Says nothing of encryption: [`Readability::Binary`] may be ciphertext, compression, media or a binary protocol,
//! and base64 of ciphertext is text here. UTF-16 and legacy code pages count as binary.

use super::RawFinding;
use crate::model::{FindingKind, Severity};

/// Bytes of each direction that are looked at.
pub const BUDGET: usize = 16 << 10;
/// After so many bytes with no readable run and less than half of them readable, no more are looked at: opaque
/// streams are the most common ones, and each of their bytes costs a mispredicted branch.
pub const GIVE_UP: usize = 2 << 10;
/// Shortest readable run, in characters.
///
/// A random byte is part of printable text with probability 0.43 or so; 16 in a row would turn up in one of 80
/// ciphertexts of [`BUDGET`] bytes, 24 in one of 60,000.
pub const MIN_RUN: u64 = 24;
/// A readable run has at least this many different ASCII characters (or one beyond ASCII): padding has few.
const MIN_VARIETY: u32 = 6;
/// Bytes below which nothing is said.
const MIN_BYTES: u32 = 16;
/// Shares of readable bytes from which a stream is text, or is mixed. Random bytes reach 0.43 on average, and in
/// samples of 16 bytes hardly more than 0.9.
const TEXT: f64 = 0.95;
const MIXED: f64 = 0.7;
/// Bytes from which the share alone may say "mixed": below, chance reaches [`MIXED`].
const MIN_MIXED: u32 = 64;

/// What the beginning of a stream looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readability {
    /// Text, nearly all of it.
    Text,
    /// Text between other bytes.
    Mixed,
    /// No text to speak of.
    Binary,
    /// Under 16 bytes: cannot be told.
    TooShort,
}

/// A stretch of readable characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Stream offset of its first byte.
    pub start: u64,
    /// Stream offset after its last byte, or after the last one looked at.
    pub end: u64,
    /// Number of characters.
    pub characters: u64,
}

/// Measures one direction of a flow; [`Default`] is the beginning. Holds under 700 bytes.
#[derive(Clone, Debug, Default)]
pub struct TextMeter {
    seen: u32,
    readable: u32,
    /// Occurrences of each byte value; [`BUDGET`] fits.
    counts: Option<Box<[u16; 256]>>,
    /// Stream offset of the next byte.
    next: u64,
    pending: Pending,
    run: Run,
    /// ASCII characters of `run`, as bits; the last two stand for any beyond ASCII.
    variety: u128,
    first: Option<Run>,
}

/// A character whose bytes have not all come.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    bytes: [u8; 4],
    have: u8,
    want: u8,
}

impl TextMeter {
    /// Tells the next bytes of the stream, `offset` being that of their first one; a gap ends a run.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) {
        if offset != self.next {
            self.gap();
        }
        let mut done = 0;
        // Twice at most: up to where the stream may be given up, and behind that.
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty() && !self.is_full()) {
            let limit = if (self.seen as usize) < GIVE_UP { GIVE_UP } else { BUDGET };
            let part = rest.get(..limit.saturating_sub(self.seen as usize)).unwrap_or(rest);
            self.look_at(offset.saturating_add(done as u64), part);
            done += part.len();
        }
        self.next = offset.saturating_add(bytes.len() as u64);
    }

    /// Bytes are missing here: a run and a character end.
    pub fn gap(&mut self) {
        self.pending = Pending::default();
        self.end_run();
    }

    /// All that will be looked at was seen; further calls of [`TextMeter::feed`] change nothing.
    pub fn is_full(&self) -> bool {
        let seen = self.seen as usize;
        seen >= BUDGET || (seen == GIVE_UP && self.readable_share() < 0.5 && self.run().is_none())
    }

    /// Share of the bytes looked at that belong to readable characters, 0 to 1; 0 when there are none.
    pub fn readable_share(&self) -> f64 {
        if self.seen == 0 { 0.0 } else { f64::from(self.readable) / f64::from(self.seen) }
    }

    /// The first readable run of [`MIN_RUN`] characters or more.
    pub fn run(&self) -> Option<Run> {
        self.first.or_else(|| self.is_run().then_some(self.run))
    }

    /// Entropy of the byte values looked at, bits a byte, with the Miller-Madow correction for small samples
    /// (Miller 1955): plus (values seen - 1) / (2 n ln 2), at most 8. `None` without bytes.
    pub fn entropy_bits(&self) -> Option<f64> {
        let counts = self.counts.as_deref()?;
        let n = f64::from(self.seen);
        let used = counts.iter().filter(|&&c| c > 0).count() as f64;
        let plain: f64 =
            counts.iter().filter(|&&c| c > 0).map(|&c| -f64::from(c) / n * (f64::from(c) / n).log2()).sum();
        Some((plain + (used - 1.0) / (2.0 * n * std::f64::consts::LN_2)).min(8.0))
    }

    /// Chi-square statistic of the byte values against equal frequencies (255 degrees of freedom; about 255 for
    /// random bytes). `None` under 1,280 bytes, where the expected count falls below five.
    pub fn chi_square(&self) -> Option<f64> {
        let counts = self.counts.as_deref().filter(|_| self.seen >= 5 * 256)?;
        let expected = f64::from(self.seen) / 256.0;
        Some(counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum())
    }

    /// What the stream looks like so far.
    pub fn verdict(&self) -> Readability {
        let share = self.readable_share();
        if self.seen < MIN_BYTES {
            Readability::TooShort
        } else if share >= TEXT {
            Readability::Text
        } else if self.run().is_some() || (share >= MIXED && self.seen >= MIN_MIXED) {
            Readability::Mixed
        } else {
            Readability::Binary
        }
    }

    /// The readable run as a finding: `medium` where the stream is text, `low` where text stands between other
    /// bytes, for the record where it took the auditor's keys. Never quotes the text.
    #[must_use]
    pub fn finding(&self, decrypted: bool) -> Option<RawFinding> {
        let run = self.run()?;
        let text = self.verdict() == Readability::Text;
        let severity = match (decrypted, text) {
            (true, _) => Severity::Info,
            (false, true) => Severity::Medium,
            (false, false) => Severity::Low,
        };
        let kind_of = if text { "a text stream" } else { "a stream with other bytes" };
        let more = if self.is_full() { ", more was not looked at" } else { "" };
        Some(RawFinding {
            kind: FindingKind::Content,
            severity,
            what: format!("readable text in {kind_of}: {} characters in one piece{more}", run.characters),
            range: (run.start, run.end),
            decrypted,
            rule: Some("readable-text".to_owned()),
            ..RawFinding::default()
        })
    }

    fn look_at(&mut self, offset: u64, bytes: &[u8]) {
        let counts = self.counts.get_or_insert_with(|| Box::new([0; 256]));
        for &byte in bytes {
            if let Some(count) = counts.get_mut(usize::from(byte)) {
                *count = count.saturating_add(1);
            }
        }
        self.seen += bytes.len() as u32;
        let mut done = 0;
        while let Some(&byte) = bytes.get(done) {
            let at = offset.saturating_add(done as u64);
            let rest = bytes.get(done..).unwrap_or_default();
            let printable = rest.iter().take_while(|b| matches!(b, b' '..=b'~')).count();
            if printable > 0 && self.pending.want == 0 {
                self.printable(at, rest.get(..printable).unwrap_or_default());
                done += printable;
            } else {
                self.byte(at, byte);
                done += 1;
            }
        }
    }

    /// Printable ASCII, the first of it at `at`, as [`TextMeter::character`] would take it one by one.
    fn printable(&mut self, at: u64, bytes: &[u8]) {
        let number = bytes.len() as u64;
        self.readable += bytes.len() as u32;
        if self.run.characters == 0 {
            self.run.start = at;
        }
        self.run.end = at.saturating_add(number);
        self.run.characters += number;
        for b in bytes {
            if self.is_varied() {
                break;
            }
            self.variety |= 1 << b;
        }
    }

    /// So many different characters were seen that more do not matter.
    fn is_varied(&self) -> bool {
        self.variety.count_ones() >= MIN_VARIETY
    }

    fn byte(&mut self, at: u64, byte: u8) {
        if self.pending.want > 0 {
            if (0x80..0xc0).contains(&byte) {
                self.pending.push(byte);
                if self.pending.have == self.pending.want {
                    let character = self.pending.character();
                    let length = u32::from(self.pending.want);
                    self.pending = Pending::default();
                    self.character(character, at, length);
                }
                return;
            }
            self.pending = Pending::default();
            self.end_run();
        }
        let want = match byte {
            0..0x80 => {
                self.character(Some(char::from(byte)), at, 1);
                return;
            }
            0xc2..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf5 => 4,
            _ => {
                self.end_run();
                return;
            }
        };
        self.pending.want = want;
        self.pending.push(byte);
    }

    /// A whole character whose last of `length` bytes is at `at`; `None` when the bytes are no character.
    fn character(&mut self, character: Option<char>, at: u64, length: u32) {
        let Some(character) = character.filter(|&c| is_readable(c)) else {
            self.end_run();
            return;
        };
        self.readable += length;
        let end = at.saturating_add(1);
        if self.run.characters == 0 {
            self.run.start = end.saturating_sub(u64::from(length));
        }
        self.run.end = end;
        self.run.characters += 1;
        if !self.is_varied() {
            self.variety |= if character.is_ascii() { 1 << (character as u32) } else { u128::MAX };
        }
    }

    fn is_run(&self) -> bool {
        self.run.characters >= MIN_RUN && self.is_varied()
    }

    fn end_run(&mut self) {
        if self.run.characters > 0 {
            if self.first.is_none() && self.is_run() {
                self.first = Some(self.run);
            }
            self.run = Run::default();
            self.variety = 0;
        }
    }
}

impl Pending {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(usize::from(self.have)) {
            *slot = byte;
            self.have += 1;
        }
    }

    /// The standard library refuses overlong forms, surrogates and what lies beyond U+10FFFF.
    fn character(self) -> Option<char> {
        std::str::from_utf8(self.bytes.get(..usize::from(self.have))?).ok()?.chars().next()
    }
}

/// Printable, or a tab or line end; no controls, no private use, no noncharacters, no replacement character.
fn is_readable(c: char) -> bool {
    match c {
        '\t' | '\r' | '\n' => true,
        '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'.. => false,
        _ => !c.is_control() && (c as u32) & 0xfffe != 0xfffe,
    }
}
