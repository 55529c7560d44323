//! The search itself: all forms of all canaries in one pass over a stream, whatever their number.
//!
//! Takes the last bytes seen as one number (Rabin and Karp's window), asks a bit table whether any form ends there, and looks
//! the form up only then. A step does not depend on the one before, so that the processor overlaps them; an automaton over
//! a million forms would wait for memory at each byte. Of forms that end in text, nearly all of them, the window is the least of
//! three by its hash (Schleimer, Wilkerson and Aiken 2003, "Winnowing"): neighbouring places of the traffic choose the same one, so that
//! the large table is asked half as often. Line breaks are not seen ([`super::forms::unbroken`]): what is folded is found. Digits are
//! also seen alone, which finds telephone numbers in any grouping.

/// Bytes of a form that its fingerprint holds.
pub(super) const WINDOW: usize = 6;
/// The same for forms that are shorter.
pub(super) const SHORT: usize = 4;
/// Bytes of text at a form's end among whose windows one is chosen.
const STRETCH: usize = 8;
/// Digits of a number's fingerprint.
pub(super) const DIGITS: usize = 7;

const WINDOW_MASK: u64 = (1 << (8 * WINDOW)) - 1;
const SHORT_MASK: u64 = (1 << (8 * SHORT)) - 1;
const DIGITS_MASK: u64 = (1 << (4 * DIGITS)) - 1;

/// What people put between digits, at most so many in a row.
const MAX_GAP: u32 = 3;

/// What a fingerprint stands for, perhaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// A form of this canary, of the kind, with this fingerprint.
    Form(u32, Kind, u64),
    /// The number of this canary.
    Number(u32),
    /// This beginning of a container.
    Marker(u32),
}

/// The canary of fingerprints that are a container's beginning: their check is its place.
const MARKER: u32 = u32::MAX;

/// A fingerprint, and whose it is. Of the bytes before it there is a check, so that in text, where windows repeat, hardly a canary is
/// looked at in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Print {
    /// The fingerprint; in the lower byte, how many bytes the check covers.
    key: u64,
    check: u32,
    canary: u32,
}

/// Fingerprints with what they stand for.
#[derive(Clone, Debug)]
pub(super) struct Table {
    filter: Vec<u64>,
    filter_shift: u32,
    /// Where the entries begin whose hash begins with this.
    starts: Vec<u32>,
    start_shift: u32,
    entries: Vec<Print>,
}

/// Spreads a fingerprint over all bits; the upper ones depend on every bit of it.
#[inline]
fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The fingerprint of a stretch of text: of its three windows the one with the least hash, and above it how many bytes stand behind.
#[inline]
fn chosen(stretch: u64) -> u64 {
    let windows = [stretch & WINDOW_MASK, stretch >> 8 & WINDOW_MASK, stretch >> 16];
    let [behind, middle, before] = windows.map(hash);
    let (least, key) = if middle < behind { (middle, windows[1] | 1 << 48) } else { (behind, windows[0]) };
    if before < least { windows[2] | 2 << 48 } else { key }
}

/// The two bits of an entry in its word of the filter.
#[inline]
fn bits_of(hash: u64, shift: u32) -> (usize, u64) {
    let word = hash >> shift;
    let rest = hash >> (shift - 12);
    (word as usize, 1 << (rest & 63) | 1 << (rest >> 6 & 63))
}

impl Table {
    /// Of the fingerprints of several lists, in their order.
    fn new(lists: &[&[Print]]) -> Table {
        // First those together whose hash begins alike: so filter and buckets are filled part by part, each in the processor's own memory,
        // instead of all over many megabytes.
        let (_, list) = by_hash(lists, 64 - 8);
        // Sixteen bits an entry, two of them set: one in fifty bytes that could be of a form is looked up in vain. Four megabytes at most.
        let words = (list.len() / 4).next_power_of_two().clamp(1 << 6, 1 << 19);
        let filter_shift = 64 - words.trailing_zeros();
        let mut filter = vec![0_u64; words];
        for entry in &list {
            let (word, bits) = bits_of(hash(entry.window()), filter_shift);
            if let Some(word) = filter.get_mut(word) {
                *word |= bits;
            }
        }
        let buckets = list.len().next_power_of_two().clamp(2, 1 << 22);
        let start_shift = 64 - buckets.trailing_zeros();
        let (starts, entries) = by_hash(&[&list], start_shift);
        Table { filter, filter_shift, starts, start_shift, entries }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the window may be one of the table's.
    #[inline]
    fn may(&self, window: u64) -> bool {
        let (word, bits) = bits_of(hash(window), self.filter_shift);
        self.filter.get(word).is_some_and(|word| word & bits == bits)
    }

    /// What ends with this fingerprint.
    fn of(&self, key: u64) -> impl Iterator<Item = &Print> {
        let bucket = (hash(key & WINDOW_MASK) >> self.start_shift) as usize;
        let place = |at: usize| self.starts.get(at).map_or(0, |s| *s as usize);
        let entries = self.entries.get(place(bucket)..place(bucket + 1)).unwrap_or_default();
        entries.iter().filter(move |e| e.key >> 8 == key)
    }
}

/// The fingerprints of the lists by the bits of their hashes above `shift`, those with the same bits in the order of the lists; and where those
/// of each begin.
fn by_hash(lists: &[&[Print]], shift: u32) -> (Vec<u32>, Vec<Print>) {
    let bucket_of = |entry: &Print| (hash(entry.window()) >> shift) as usize;
    let mut starts = vec![0_u32; (1 << (64 - shift)) + 1];
    for entry in lists.iter().flat_map(|list| *list) {
        if let Some(count) = starts.get_mut(bucket_of(entry)) {
            *count += 1;
        }
    }
    // Where each bucket ends; as it is filled from its end, in the end where it begins.
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut entries = vec![Print::default(); sum as usize];
    for entry in lists.iter().rev().flat_map(|list| list.iter().rev()) {
        let Some(place) = starts.get_mut(bucket_of(entry)) else { continue };
        *place -= 1;
        if let Some(to) = entries.get_mut(*place as usize) {
            *to = *entry;
        }
    }
    (starts, entries)
}

/// A bit for each hash of the last four bytes: whether one of the few forms may end there that are no long text. Asked at each byte, and so
/// small that it stays in the processor's own memory whatever is done between two packets.
#[derive(Clone, Debug)]
struct Ends(Vec<u64>);

impl Ends {
    const BITS: u32 = 18;
    const WORDS: usize = 1 << (Ends::BITS - 6);

    fn new(lists: &[&[Print]]) -> Ends {
        let mut ends = vec![0; Ends::WORDS];
        for entry in lists.iter().flat_map(|list| *list) {
            let place = Ends::place(entry.window());
            if let Some(word) = ends.get_mut(place as usize >> 6) {
                *word |= 1 << (place & 63);
            }
        }
        Ends(ends)
    }

    #[inline]
    fn place(bytes: u64) -> u32 {
        (bytes as u32).wrapping_mul(0x9e37_79b1) >> (32 - Ends::BITS)
    }
}

/// In which table a form is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Its last [`STRETCH`] bytes are nothing but letters, digits and what encodings add to them.
    Text,
    /// Any other bytes, and less text.
    Binary,
    /// It is shorter than a window.
    Short,
}

/// Most bytes that a check covers.
const CHECKED: usize = 16;

/// The last bytes of a text, [`CHECKED`] at most, as one number, whatever their case.
fn number(end: &[u8]) -> u128 {
    let last = end.get(end.len().saturating_sub(CHECKED)..).unwrap_or_default();
    let mut bytes = [0_u8; CHECKED];
    if let Some(to) = bytes.get_mut(CHECKED - last.len()..) {
        to.copy_from_slice(last);
    }
    u128::from_be_bytes(bytes.map(|byte| byte.to_ascii_lowercase()))
}

/// The check of the last bytes of a text, [`CHECKED`] at most, whatever their case.
fn check(covered: &[u8]) -> u32 {
    check_of(number(covered))
}

fn check_of(number: u128) -> u32 {
    let mixed = hash(number as u64).rotate_left(32) ^ (number >> 64) as u64;
    (hash(mixed) >> 32) as u32
}

impl Print {
    /// The bytes of the fingerprint.
    fn window(&self) -> u64 {
        self.key >> 8 & WINDOW_MASK
    }

    /// Of a text that ends so.
    pub(super) fn of(end: &[u8], canary: u32) -> Option<(Kind, Print)> {
        let number = number(end);
        let (kind, key) = fingerprint_of(end, number as u64)?;
        let covered = end.len().min(CHECKED) as u64;
        Some((kind, Print { key: key << 8 | covered, check: check_of(number), canary }))
    }

    /// Of a container's beginning.
    pub(super) fn of_marker(bytes: [u8; SHORT], place: u32) -> Print {
        Print { key: (number(&bytes) as u64) << 8, check: place, canary: MARKER }
    }

    /// Of a number's last digits.
    pub(super) fn of_digits(digits: &str, canary: u32) -> Option<Print> {
        let last = digits.get(digits.len().checked_sub(DIGITS)?..)?;
        let key = last.bytes().fold(0, |n, b| n << 4 | u64::from(b & 15));
        Some(Print { key: key << 8, check: 0, canary })
    }
}

/// The fingerprint of a text by its end.
pub(super) fn fingerprint(end: &[u8]) -> Option<(Kind, u64)> {
    fingerprint_of(end, number(end) as u64)
}

/// The same, when the last bytes are this number.
fn fingerprint_of(end: &[u8], number: u64) -> Option<(Kind, u64)> {
    let stretch = end.len().checked_sub(STRETCH).and_then(|from| end.get(from..));
    if stretch.is_some_and(|stretch| stretch.iter().all(|b| is_text(*b))) {
        return Some((Kind::Text, chosen(number)));
    }
    if end.len() >= WINDOW {
        return Some((Kind::Binary, number & WINDOW_MASK));
    }
    (end.len() >= SHORT).then_some((Kind::Short, number & SHORT_MASK))
}

/// All tables.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    ends: Ends,
    text: Table,
    binary: Table,
    short: Table,
    numbers: Table,
}

/// All fingerprints, by table.
#[derive(Clone, Debug, Default)]
pub(super) struct Prints {
    text: Vec<Print>,
    binary: Vec<Print>,
    pub(super) short: Vec<Print>,
    pub(super) numbers: Vec<Print>,
    /// Those that were given last, so that hardly one comes twice.
    seen: Vec<Print>,
}

impl Prints {
    /// Adds one, unless it was given lately. One that comes twice costs a few bytes, nothing else.
    pub(super) fn add(&mut self, kind: Kind, print: Print) {
        const SLOTS: usize = 1 << 13;
        if self.seen.is_empty() {
            self.seen = vec![Print::default(); SLOTS];
        }
        let slot = hash(print.key ^ u64::from(print.check) << 32) >> (64 - SLOTS.trailing_zeros());
        if let Some(seen) = self.seen.get_mut(slot as usize) {
            if *seen == print {
                return;
            }
            *seen = print;
        }
        match kind {
            Kind::Text => self.text.push(print),
            Kind::Binary => self.binary.push(print),
            Kind::Short => self.short.push(print),
        }
    }

    /// Nothing more is added here.
    pub(super) fn forget(&mut self) {
        self.seen = Vec::new();
    }

    /// Whether a text would be looked at, were it seen.
    #[cfg(test)]
    pub(super) fn holds(&self, (kind, key): (Kind, u64), text: &[u8]) -> bool {
        let list = match kind {
            Kind::Text => &self.text,
            Kind::Binary => &self.binary,
            Kind::Short => &self.short,
        };
        let covered = |p: &Print| text.len().checked_sub((p.key & 0xff) as usize).map(|from| &text[from..]);
        list.iter().any(|p| p.key >> 8 == key && covered(p).map(check) == Some(p.check))
    }

    /// How many there are, without numbers.
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.binary.len() + self.short.len()
    }
}

impl Tables {
    pub(super) fn new(parts: &[Prints]) -> Tables {
        let lists = |of: fn(&Prints) -> &Vec<Print>| -> Vec<&[Print]> {
            parts.iter().map(|prints| of(prints).as_slice()).collect()
        };
        let [binary, short, numbers] = [lists(|p| &p.binary), lists(|p| &p.short), lists(|p| &p.numbers)];
        let ends = Ends::new(&[binary.as_slice(), &short].concat());
        let text = Table::new(&lists(|p| &p.text));
        let [binary, short, numbers] = [binary, short, numbers].map(|lists| Table::new(&lists));
        Tables { ends, text, binary, short, numbers }
    }
}

/// The last bytes and digits seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// More than any fingerprint holds: a line break takes every `=` before it away.
    bytes: u128,
    /// One bit for each of the last bytes: it was text.
    text: u16,
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

/// Bytes that are looked at together: as many as a word has bits.
const BLOCK: usize = 64;

/// The windows behind the bytes of a block that are seen.
struct Behind {
    bytes: [u64; BLOCK],
    digits: [u64; BLOCK],
    /// Their places in the block.
    at: [u8; BLOCK],
}

impl Behind {
    #[inline]
    fn bytes_at(&self, n: usize) -> u64 {
        self.bytes.get(n).copied().unwrap_or_default()
    }

    /// Those of the bits whose bytes pass.
    #[inline]
    fn kept(&self, mut bits: u64, may: impl Fn(u64) -> bool) -> u64 {
        let mut kept = 0;
        while let Some(n) = next(&mut bits) {
            kept |= u64::from(may(self.bytes_at(n))) << n;
        }
        kept
    }
}

/// The place of the lowest bit, which is taken off.
#[inline]
fn next(bits: &mut u64) -> Option<usize> {
    let lowest = bits.trailing_zeros();
    (*bits != 0).then(|| {
        *bits &= *bits - 1;
        lowest as usize
    })
}

impl Tables {
    /// Takes bytes; tells of each at which something may end how many there are up to and including it, the window there, and what it may be.
    pub(super) fn search(
        &self,
        window: &mut Window,
        bytes: &[u8],
        on_stop: &mut dyn FnMut(usize, &Window, Stop),
    ) {
        // A loop of its own without numbers: what is not searched costs nothing.
        if self.numbers.is_empty() {
            self.blocks::<false>(window, bytes, on_stop);
        } else {
            self.blocks::<true>(window, bytes, on_stop);
        }
    }

    /// In two rounds for each block: the first, without a way out, says where the large tables are to be asked, so that the processor asks
    /// ahead.
    #[inline(never)]
    fn blocks<const WITH_DIGITS: bool>(
        &self,
        window: &mut Window,
        bytes: &[u8],
        on_stop: &mut dyn FnMut(usize, &Window, Stop),
    ) {
        let Ok(ends) = <&[u64; Ends::WORDS]>::try_from(self.ends.0.as_slice()) else { return };
        let mut w = *window;
        let mut behind = Behind { bytes: [0; BLOCK], digits: [0; BLOCK], at: [0; BLOCK] };
        for (number, block) in bytes.chunks(BLOCK).enumerate() {
            // One bit for each byte that is seen, the last one the highest.
            let (mut n, mut texts, mut others, mut numbers) = (0_usize, 0_u64, 0_u64, 0_u64);
            for (&byte, at) in block.iter().zip(0_u8..) {
                let class = CLASSES.get(usize::from(byte)).copied().unwrap_or_default();
                if class >> 8 == 1 {
                    // A soft line break of quoted-printable ends with `=`.
                    if w.bytes as u8 == b'=' {
                        w.bytes >>= 8;
                        w.text >>= 1;
                    }
                    w.count = 0;
                    continue;
                }
                w.bytes = w.bytes << 8 | u128::from(class & 0xff);
                w.text = w.text << 1 | class >> 11;
                let place = Ends::place(w.bytes as u64);
                let end = ends.get(place as usize >> 6).map_or(0, |word| word >> (place & 63) & 1);
                texts = texts >> 1 | u64::from(w.text as u8 == u8::MAX) << 63;
                others = others >> 1 | end << 63;
                if WITH_DIGITS {
                    numbers >>= 1;
                    match class >> 8 & 7 {
                        2 => {
                            w.digits = w.digits << 4 | u64::from(byte & 15);
                            w.count += 1;
                            w.gap = 0;
                            let may = w.count >= DIGITS as u32 && self.numbers.may(w.digits & DIGITS_MASK);
                            numbers |= u64::from(may) << 63;
                        }
                        3 if w.gap < MAX_GAP => w.gap += 1,
                        _ => w.count = 0,
                    }
                    if let Some(digits) = behind.digits.get_mut(n) {
                        *digits = w.digits;
                    }
                }
                if let (Some(bytes), Some(place)) = (behind.bytes.get_mut(n), behind.at.get_mut(n)) {
                    (*bytes, *place) = (w.bytes as u64, at);
                }
                n += 1;
            }
            let Some(unused) = BLOCK.checked_sub(n).filter(|unused| *unused < BLOCK) else { continue };
            let text = behind.kept(texts >> unused, |bytes| self.text.may(chosen(bytes) & WINDOW_MASK));
            let binary = behind.kept(others >> unused, |bytes| self.binary.may(bytes & WINDOW_MASK));
            let short = behind.kept(others >> unused, |bytes| self.short.may(bytes & SHORT_MASK));
            let numbers = numbers >> unused;
            let mut stops = text | binary | short | numbers;
            while let Some(n) = next(&mut stops) {
                let set = |mask: u64| mask >> n & 1 == 1;
                let stop =
                    Stop { text: set(text), binary: set(binary), short: set(short), number: set(numbers) };
                let digits = behind.digits.get(n).copied().unwrap_or_default();
                let there = Window { bytes: behind.bytes_at(n).into(), digits, ..w };
                let at = behind.at.get(n).copied().unwrap_or_default();
                on_stop(number * BLOCK + usize::from(at) + 1, &there, stop);
            }
        }
        *window = w;
    }

    /// What may end where the window stopped; numbers last.
    pub(super) fn candidates(&self, window: &Window, stop: Stop, view: &View<'_>, into: &mut Vec<Meant>) {
        into.clear();
        let bytes = window.bytes as u64;
        let mut look = |wanted: bool, table: &Table, kind: Kind, key: u64| {
            let mut seen: Option<Vec<u8>> = None;
            for entry in wanted.then(|| table.of(key)).into_iter().flatten() {
                let covered = (entry.key & 0xff) as usize;
                if entry.canary == MARKER {
                    into.push(Meant::Marker(entry.check));
                    continue;
                }
                let seen = seen.get_or_insert_with(|| {
                    let mut last: Vec<u8> = view.backwards().take(CHECKED).collect();
                    last.reverse();
                    last
                });
                let last = seen.len().checked_sub(covered).and_then(|from| seen.get(from..));
                let meant = Meant::Form(entry.canary, kind, key);
                if last.map(check) == Some(entry.check) && !into.contains(&meant) {
                    into.push(meant);
                }
            }
        };
        look(stop.text, &self.text, Kind::Text, chosen(bytes));
        look(stop.binary, &self.binary, Kind::Binary, bytes & WINDOW_MASK);
        look(stop.short, &self.short, Kind::Short, bytes & SHORT_MASK);
        if stop.number {
            into.extend(self.numbers.of(window.digits & DIGITS_MASK).map(|e| Meant::Number(e.canary)));
        }
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

/// Bytes from a place backwards, without line breaks and the `=` before them.
struct Backwards<'v> {
    view: &'v View<'v>,
    /// Of the byte that was given last.
    place: isize,
    begun: bool,
    folded: bool,
}

impl Iterator for Backwards<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            self.place = self.place.checked_sub(1)?;
            let byte = self.view.at(self.place)?;
            if !is_break(byte) || !self.begun {
                self.begun = true;
                return Some(byte);
            }
            let mut breaks = 1;
            while self.view.at(self.place - 1).is_some_and(is_break) {
                self.place -= 1;
                breaks += 1;
            }
            // As many `=` as the window dropped.
            while breaks > 0 && self.view.at(self.place - 1) == Some(b'=') {
                self.place -= 1;
                breaks -= 1;
            }
            self.folded = true;
        }
    }
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

    /// The bytes up to the place, the last first, as the window saw them.
    fn backwards(&self) -> Backwards<'_> {
        Backwards {
            view: self,
            place: isize::try_from(self.done).unwrap_or(isize::MIN),
            begun: false,
            folded: false,
        }
    }

    /// The bytes up to the place, when they are `want` regardless of case.
    pub(super) fn behind(&self, want: &[u8]) -> Option<Seen> {
        let mut back = self.backwards();
        let mut bytes = Vec::with_capacity(want.len());
        for want in want.iter().rev() {
            let byte = back.next()?;
            if !byte.eq_ignore_ascii_case(want) {
                return None;
            }
            bytes.push(byte);
        }
        bytes.reverse();
        Some(Seen { start: back.place, bytes, folded: back.folded })
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
