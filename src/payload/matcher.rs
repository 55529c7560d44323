//! The search itself: all forms of all canaries in one pass over a stream, whatever their number.
//!
//! Takes the last bytes seen as one number (Rabin and Karp's window), asks a bit table whether any form ends there, and looks
//! the form up only then. A step does not depend on the one before, so that the processor overlaps them; an automaton over
//! a million forms would wait for memory at each byte. Line breaks are not seen ([`super::forms::unbroken`]): what is folded
//! is found. Digits are also seen alone, which finds telephone numbers in any grouping.

use super::forms::Form;

/// Bytes of a form that its fingerprint holds.
pub(super) const WINDOW: usize = 6;
/// The same for forms that are shorter.
pub(super) const SHORT: usize = 4;
/// Digits of a number's fingerprint.
pub(super) const DIGITS: usize = 7;

const WINDOW_MASK: u64 = (1 << (8 * WINDOW)) - 1;
const SHORT_MASK: u64 = (1 << (8 * SHORT)) - 1;
const DIGITS_MASK: u64 = (1 << (4 * DIGITS)) - 1;

/// What people put between digits, at most so many in a row.
const MAX_GAP: u32 = 3;

/// Which form ends here, perhaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    hash: u64,
    /// The longer ones first, so that of two that end in one place the longer one gives its name.
    shorter: u32,
    /// The canary.
    pub(super) canary: u32,
    /// Its form, or 0 for a number.
    pub(super) form: u32,
}

/// Fingerprints with what they stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    filter: Vec<u64>,
    filter_shift: u32,
    /// Where the entries begin whose hash begins with this.
    starts: Vec<u32>,
    start_shift: u32,
    entries: Vec<Entry>,
}

/// Spreads a fingerprint over all bits; the upper ones depend on every bit of it.
#[inline]
fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The two bits of an entry in its word of the filter.
#[inline]
fn bits_of(hash: u64, shift: u32) -> (usize, u64) {
    let word = hash >> shift;
    let rest = hash >> (shift - 12);
    (word as usize, 1 << (rest & 63) | 1 << (rest >> 6 & 63))
}

impl Table {
    fn new(list: Vec<Print>) -> Table {
        let mut entries: Vec<Entry> = list
            .into_iter()
            .map(|(key, canary, form, length)| Entry {
                hash: hash(key),
                shorter: u32::MAX - length as u32,
                canary,
                form,
            })
            .collect();
        entries.sort_unstable();
        // Sixteen bits an entry or more, two of them set: one in a hundred bytes of noise at most is looked up in vain.
        let words = (entries.len() / 4).next_power_of_two().clamp(1 << 9, 1 << 20);
        let filter_shift = 64 - words.trailing_zeros();
        let mut filter = vec![0_u64; words];
        for entry in &entries {
            let (word, bits) = bits_of(entry.hash, filter_shift);
            if let Some(word) = filter.get_mut(word) {
                *word |= bits;
            }
        }
        let buckets = entries.len().next_power_of_two().clamp(2, 1 << 22);
        let start_shift = 64 - buckets.trailing_zeros();
        let mut starts = vec![0_u32; buckets + 1];
        for entry in &entries {
            if let Some(count) = starts.get_mut((entry.hash >> start_shift) as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Table { filter, filter_shift, starts, start_shift, entries }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    fn may(&self, key: u64) -> bool {
        let (word, bits) = bits_of(hash(key), self.filter_shift);
        self.filter.get(word).is_some_and(|word| word & bits == bits)
    }

    /// What ends with this fingerprint.
    fn of(&self, key: u64) -> impl Iterator<Item = &Entry> {
        let hash = hash(key);
        let bucket = (hash >> self.start_shift) as usize;
        let place = |at: usize| self.starts.get(at).map_or(0, |s| *s as usize);
        let entries = self.entries.get(place(bucket)..place(bucket + 1)).unwrap_or_default();
        entries.iter().filter(move |e| e.hash == hash)
    }
}

/// In which table a form is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its window holds nothing but letters, digits and what encodings add to them.
    Text,
    /// Any other bytes.
    Binary,
    /// It is shorter than a window.
    Short,
}

/// The fingerprint of a form, at the end of the part that must be there.
pub(super) fn fingerprint(form: &Form) -> Option<(Kind, u64)> {
    let least = form.bytes.get(..form.least())?;
    let ending = |width: usize| least.get(least.len().checked_sub(width)?..);
    let number = |last: &[u8]| last.iter().fold(0_u64, |n, b| n << 8 | u64::from(b.to_ascii_lowercase()));
    if let Some(window) = ending(WINDOW) {
        let kind = if window.iter().all(|b| is_text(*b)) { Kind::Text } else { Kind::Binary };
        return Some((kind, number(window)));
    }
    ending(SHORT).map(|window| (Kind::Short, number(window)))
}

/// The fingerprint of a number's last digits.
pub(super) fn digits_print(digits: &str) -> Option<u64> {
    let last = digits.get(digits.len().checked_sub(DIGITS)?..)?;
    Some(last.bytes().fold(0, |n, b| n << 4 | u64::from(b & 15)))
}

/// What every byte is asked first: may the last four bytes be the last four of any form?
#[derive(Clone, Debug, Default)]
struct Gate {
    bits: Vec<u64>,
    shift: u32,
}

impl Gate {
    fn new(prints: &[u64]) -> Gate {
        // A megabyte at most: it shall stay in the processor's cache.
        let size = (prints.len() * 16).next_power_of_two().clamp(1 << 15, 1 << 23);
        let mut gate = Gate { bits: vec![0; size / 64], shift: 64 - size.trailing_zeros() };
        for print in prints {
            let bit = hash(print & SHORT_MASK) >> gate.shift;
            if let Some(word) = gate.bits.get_mut((bit / 64) as usize) {
                *word |= 1 << (bit % 64);
            }
        }
        gate
    }

    #[inline]
    fn lets(&self, hash: u64) -> bool {
        let bit = hash >> self.shift;
        self.bits.get((bit / 64) as usize).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }
}

/// All tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    text_gate: Gate,
    binary_gate: Gate,
    text: Table,
    binary: Table,
    short: Table,
    numbers: Table,
}

/// A fingerprint, whose it is, which form, and its length.
pub(super) type Print = (u64, u32, u32, usize);

impl Tables {
    pub(super) fn new(
        text: Vec<Print>,
        binary: Vec<Print>,
        short: Vec<Print>,
        numbers: Vec<Print>,
    ) -> Tables {
        let is_text = |print: &u64| (0..4).all(|n| is_text((print >> (8 * n)) as u8));
        let all = text.iter().chain(&binary).chain(&short).map(|(print, ..)| *print);
        let (texts, others): (Vec<u64>, Vec<u64>) = all.partition(is_text);
        Tables {
            text_gate: Gate::new(&texts),
            binary_gate: Gate::new(&others),
            text: Table::new(text),
            binary: Table::new(binary),
            short: Table::new(short),
            numbers: Table::new(numbers),
        }
    }
}

/// The last bytes and digits seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    bytes: u64,
    /// One bit for each of the last bytes: it was text.
    text: u8,
    digits: u64,
    count: u32,
    gap: u32,
}

/// Letters, digits, and what base64, percent escapes and quoted-printable add: most forms hold nothing else, and noise has
/// six of them in a row once in two thousand bytes.
const fn is_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'%')
}

/// Lower eight bits: the byte in small letters. Next three: 0 for most, 1 for line breaks, 2 for digits, 3 for what groups them.
/// Above: text.
static CLASSES: [u16; 256] = classes();
const TEXT: u16 = 1 << 11;

fn class(byte: u8) -> u16 {
    CLASSES.get(usize::from(byte)).map_or(0, |c| c >> 8 & 7)
}

#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where `get_mut` cannot be called")]
const fn classes() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let class = match byte as u8 {
            b'\r' | b'\n' => 1,
            b'0'..=b'9' => 2,
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' | 0xc2 | 0xa0 => 3,
            _ => 0,
        };
        let text = if is_text(byte as u8) { TEXT } else { 0 };
        table[byte] = text | class << 8 | (byte as u8).to_ascii_lowercase() as u16;
        byte += 1;
    }
    table
}

impl Tables {
    /// Takes bytes up to and including the next at which something may end; gives how many, and what.
    pub(super) fn advance(&self, window: &mut Window, bytes: &[u8]) -> (usize, Option<Stop>) {
        // A loop of its own without numbers: what is not searched costs nothing.
        if self.numbers.is_empty() {
            self.steps::<false>(window, bytes)
        } else {
            self.steps::<true>(window, bytes)
        }
    }

    #[inline(never)]
    fn steps<const WITH_DIGITS: bool>(&self, window: &mut Window, bytes: &[u8]) -> (usize, Option<Stop>) {
        let mut w = *window;
        for (at, &byte) in bytes.iter().enumerate() {
            let class = CLASSES.get(usize::from(byte)).copied().unwrap_or_default();
            if class >> 8 == 1 {
                // A soft line break of quoted-printable ends with `=`.
                if w.bytes & 0xff == u64::from(b'=') {
                    w.bytes >>= 8;
                }
                w.count = 0;
                continue;
            }
            w.bytes = w.bytes << 8 | u64::from(class & 0xff);
            w.text = w.text << 1 | (class >> 11) as u8;
            let gate = if w.text & 0xf == 0xf { &self.text_gate } else { &self.binary_gate };
            let mut stop = Stop::default();
            if gate.lets(hash(w.bytes & SHORT_MASK)) {
                stop = self.ask(&w);
            }
            if WITH_DIGITS {
                match class >> 8 & 7 {
                    2 => {
                        w.digits = w.digits << 4 | u64::from(byte & 15);
                        w.count += 1;
                        w.gap = 0;
                        stop.number = w.count >= DIGITS as u32 && self.numbers.may(w.digits & DIGITS_MASK);
                    }
                    3 if w.gap < MAX_GAP => w.gap += 1,
                    _ => w.count = 0,
                }
            }
            if stop != Stop::default() {
                *window = w;
                return (at + 1, Some(stop));
            }
        }
        *window = w;
        (bytes.len(), None)
    }

    /// The tables behind the gate.
    #[inline(never)]
    fn ask(&self, window: &Window) -> Stop {
        let text = window.text & 0x3f == 0x3f;
        let table = if text { &self.text } else { &self.binary };
        let long = table.may(window.bytes & WINDOW_MASK);
        Stop {
            text: text && long,
            binary: !text && long,
            short: self.short.may(window.bytes & SHORT_MASK),
            number: false,
        }
    }

    /// What may end where the window stopped, the longest first; numbers last.
    pub(super) fn candidates<'t>(
        &'t self,
        window: &Window,
        stop: Stop,
    ) -> impl Iterator<Item = (bool, &'t Entry)> + use<'t> {
        let of =
            |wanted: bool, table: &'t Table, key: u64| wanted.then(|| table.of(key)).into_iter().flatten();
        let text = of(stop.text, &self.text, window.bytes & WINDOW_MASK);
        let binary = of(stop.binary, &self.binary, window.bytes & WINDOW_MASK);
        let short = of(stop.short, &self.short, window.bytes & SHORT_MASK);
        let numbers = of(stop.number, &self.numbers, window.digits & DIGITS_MASK);
        text.chain(binary).chain(short).map(|e| (false, e)).chain(numbers.map(|e| (true, e)))
    }
}

/// Which tables have something at a byte, perhaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stop {
    text: bool,
    binary: bool,
    short: bool,
    number: bool,
}

/// The bytes up to a place: those at hand, and before them the tail of what was seen earlier.
pub(super) struct View<'a> {
    pub(super) tail: &'a [u8],
    pub(super) bytes: &'a [u8],
    /// Bytes up to here were seen.
    pub(super) done: usize,
}

/// What stands where a form was looked for.
#[derive(Debug)]
pub(super) struct Seen {
    /// The first byte, counted from the first of those at hand.
    pub(super) start: isize,
    /// Without line breaks.
    pub(super) bytes: Vec<u8>,
    /// There were line breaks between.
    pub(super) folded: bool,
}

fn is_break(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

impl View<'_> {
    /// The byte at a place, counted from the first of those at hand.
    pub(super) fn at(&self, place: isize) -> Option<u8> {
        let list = if place < 0 { self.tail } else { self.bytes };
        let index = if place < 0 { place.checked_add_unsigned(self.tail.len())? } else { place };
        list.get(usize::try_from(index).ok()?).copied()
    }

    /// The bytes up to the place, when they are `want` regardless of case.
    pub(super) fn behind(&self, want: &[u8]) -> Option<Seen> {
        let mut place = isize::try_from(self.done).ok()?;
        let mut seen = Seen { start: 0, bytes: Vec::with_capacity(want.len()), folded: false };
        let mut wanted = want.iter().rev();
        let mut next = wanted.next();
        while let Some(&want) = next {
            place -= 1;
            let byte = self.at(place)?;
            if is_break(byte) && !seen.bytes.is_empty() {
                let mut breaks = 1;
                while self.at(place - 1).is_some_and(is_break) {
                    place -= 1;
                    breaks += 1;
                }
                // As many `=` as the window dropped.
                while breaks > 0 && self.at(place - 1) == Some(b'=') {
                    place -= 1;
                    breaks -= 1;
                }
                seen.folded = true;
                continue;
            }
            if !byte.eq_ignore_ascii_case(&want) {
                return None;
            }
            seen.bytes.push(byte);
            next = wanted.next();
        }
        seen.bytes.reverse();
        seen.start = place;
        Some(seen)
    }

    /// The bytes behind `from` that follow as `want`, regardless of case: they, where they end, and whether more may come.
    pub(super) fn ahead(bytes: &[u8], want: &[u8]) -> (Vec<u8>, usize, bool) {
        let mut seen = Vec::new();
        let (mut end, mut at) = (0, 0);
        for &want in want {
            while bytes.get(at).is_some_and(|b| is_break(*b)) {
                at += 1;
            }
            match bytes.get(at) {
                Some(byte) if byte.eq_ignore_ascii_case(&want) => seen.push(*byte),
                Some(_) => return (seen, end, false),
                None => return (seen, end, true),
            }
            at += 1;
            end = at;
        }
        (seen, end, false)
    }

    /// A telephone number whose last digit is the last byte seen: where it begins, and how it is spelled.
    pub(super) fn number(&self, country: &str, national: &str) -> Option<(isize, Vec<&'static str>)> {
        // More digits than any number has, with what may stand between them.
        let mut place = isize::try_from(self.done).ok()?;
        let mut start = place;
        let mut grouped = false;
        let mut gap = 0;
        let mut take = |view: &View<'_>, wanted: &str| -> bool {
            let (mut at, mut between, mut first) = (place, gap, start);
            let mut parted = false;
            for digit in wanted.bytes().rev() {
                loop {
                    at -= 1;
                    match view.at(at) {
                        Some(byte) if byte == digit => break,
                        Some(byte) if class(byte) == 3 && between < MAX_GAP => {
                            between += 1;
                            parted = true;
                        }
                        _ => return false,
                    }
                }
                between = 0;
                first = at;
            }
            (place, gap, start) = (at, between, first);
            grouped |= parted;
            true
        };
        if !take(self, national) {
            return None;
        }
        // `(0)` between country code and number.
        let with_country =
            !country.is_empty() && (take(self, country) || (take(self, "0") && take(self, country)));
        let doubled = with_country && take(self, "00");
        let zero = !with_country && take(self, "0");
        let plus = self.at(start - 1) == Some(b'+') && with_country && !doubled;
        if plus {
            start -= 1;
        }
        // Within a longer row of digits it is another number.
        if self.at(start - 1).is_some_and(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = national.len() + if with_country { country.len() } else { 0 };
        if digits < 10 && !(plus || doubled) && !(zero && digits >= 9) {
            return None;
        }
        let mut spelled = Vec::new();
        if !with_country {
            spelled.push("national");
        } else if !plus {
            spelled.push("international");
        }
        if grouped {
            spelled.push("grouped");
        }
        Some((start, spelled))
    }
}
