//! Readable text: how much of a stream's beginning a person could read.
//!
//! Takes the bytes of one direction in order, looks at the first [`BUDGET`] (or [`GIVE_UP`]) and ignores the rest; gives a
//! [`Readability`] and the first readable [`Run`] (METRICS E16). Text is UTF-8 in any script.
//! Says nothing of encryption: [`Readability::Binary`] may be ciphertext, compression, media or a binary protocol,
//! and base64 of ciphertext is text here. UTF-16 and legacy code pages count as binary.

use super::RawFinding;
use super::blocks::{self, BLOCK};
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

/// Measures one direction of a flow; [`Default`] is the beginning. Holds about a hundred bytes.
#[derive(Clone, Debug, Default)]
pub struct TextMeter {
    seen: u32,
    readable: u32,
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
        self.seen += bytes.len() as u32;
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(done as u64);
            let block = rest.first_chunk().filter(|_| self.is_between());
            if block.is_some_and(|block| self.block(at, block)) {
                done += BLOCK;
            } else {
                // Where text stands, the next byte is most likely no better a place to begin a block.
                done += self.one_by_one(at, rest, if block.is_some() { BLOCK } else { 1 });
            }
        }
    }

    /// Neither a run nor a character goes on here.
    fn is_between(&self) -> bool {
        self.run.characters == 0 && self.pending.want == 0
    }

    /// Looks at `least` bytes, the first of them at `at`, and at more until nothing goes on; gives how many.
    fn one_by_one(&mut self, at: u64, bytes: &[u8], least: usize) -> usize {
        let mut done = 0;
        while let Some(&byte) = bytes.get(done).filter(|_| done < least || !self.is_between()) {
            let at = at.saturating_add(done as u64);
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
        done
    }

    /// Looks at 64 bytes at once, the first of them at `at`, where nothing goes on before them: what most of a binary stream is, and byte
    /// by byte takes six times as long. `false`, with nothing changed, where a run may be long enough to count.
    fn block(&mut self, at: u64, block: &[u8; BLOCK]) -> bool {
        let ones = |from: usize, to: usize| low_bits(to) & !low_bits(from);
        let mut readable = blocks::text(block);
        let leads = blocks::leads(block);
        let follow = blocks::continuations(block);
        // The last characters may go on behind the block; all others have at least one byte more.
        let mut whole = BLOCK;
        let mut characters = leads & (follow >> 1 | ones(BLOCK - 3, BLOCK));
        while characters != 0 {
            let first = characters.trailing_zeros() as usize;
            characters &= characters - 1;
            let Some(length) = block.get(first).and_then(|lead| blocks::character_length(*lead)) else {
                continue;
            };
            let end = (first + length).min(BLOCK);
            let body = ones(first + 1, end);
            if follow & body != body {
                continue;
            }
            if first + length > BLOCK {
                whole = first;
                break;
            }
            let character = block.get(first..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
            if character.and_then(|text| text.chars().next()).is_some_and(is_readable) {
                readable |= ones(first, end);
            }
        }
        if longest_reaches(readable, MIN_RUN) {
            return false;
        }
        // What goes on at the end of the block is looked at again, as it may go on behind it.
        let open = BLOCK - (!readable & low_bits(whole)).leading_zeros() as usize;
        self.readable += (readable & low_bits(open)).count_ones();
        let rest = block.get(open..).unwrap_or_default();
        self.one_by_one(at.saturating_add(open as u64), rest, rest.len());
        true
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
        if byte.is_ascii() {
            self.character(Some(char::from(byte)), at, 1);
        } else if let Some(length) = blocks::character_length(byte) {
            self.pending.want = length as u8;
            self.pending.push(byte);
        } else {
            self.end_run();
        }
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

/// The lowest `n` bits, 64 at most.
fn low_bits(n: usize) -> u64 {
    1_u64.checked_shl(n as u32).map_or(u64::MAX, |next| next - 1)
}

/// Whether so many bits, 1 to 64, stand side by side.
fn longest_reaches(bits: u64, wanted: u64) -> bool {
    // A one stays where as many ones follow as were asked for so far.
    let (mut runs, mut have) = (bits, 1);
    while have < wanted && runs != 0 {
        let more = have.min(wanted - have);
        runs &= runs >> more;
        have += more;
    }
    runs != 0
}

/// Printable, or a tab or line end; no controls, no private use, no noncharacters, no replacement character.
fn is_readable(c: char) -> bool {
    match c {
        '\t' | '\r' | '\n' => true,
        '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'.. => false,
        _ => !c.is_control() && (c as u32) & 0xfffe != 0xfffe,
    }
}
