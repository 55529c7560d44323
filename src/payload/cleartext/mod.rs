//! Cleartext findings: identifiers, tokens and content in bytes that can be read, by the rules of `reference/cleartext.toml`.
//!
//! Takes the readable bytes of one direction in order; gives [`Sighting`]s with rule, place and value. A match may lie across
//! any number of pieces: of an unfinished line the last bytes are kept, at most the longest match of any rule and as many before them.
//! A match lies within one line (the head of a part of a form and the first line of its content count as one), and rules look only where readable bytes stand together: random and compressed bytes cost
//! a few instructions for eight of them. In readable ones all anchors are sought in one pass, and an expression runs on a line that holds an
//! anchor of its rule. Time is linear in the bytes for any input.

mod anchors;
mod checks;
mod exif;
mod numbering;
mod rules;

use std::hash::BuildHasher as _;
use std::ops::Range;

pub use rules::{RuleError, RuleFileError, Rules};

use super::RawFinding;
use super::blocks;
use super::mask::Masking;
use crate::model::{Direction, FindingKind, Severity};
use checks::BEFORE;

/// Fewest ASCII characters in a row that any match holds; [`first_text`] is made for six.
const STEP: usize = 6;
/// Bytes of a long line that expressions run over at once, beside what a match may reach beyond.
const BATCH: usize = 1024;
/// Bytes that go on with an unfinished line and are not searched before more have come.
const FEW: usize = 256;
/// Bytes in front of those that are not settled, for what stands before a match.
const LEAD: usize = 32;

/// What a rule found.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    pub(super) rule: usize,
    /// Stream offset of the first byte of the value.
    pub start: u64,
    /// Stream offset after its last byte.
    pub end: u64,
    /// The value, in the spelling by which it is counted. Never to be shown as it is.
    value: String,
}

/// The search in one direction; [`Default`] is the beginning.
#[derive(Debug, Default)]
pub struct Search {
    /// Stream offset of the next byte.
    next: u64,
    /// Matches that begin before this offset were told.
    settled: u64,
    /// Last bytes of an unfinished line.
    kept: Vec<u8>,
    /// How many of them, at the end, were not searched at all.
    fresh: usize,
    /// Readable bytes directly before those kept.
    before: usize,
    picture: Option<Box<Picture>>,
}

/// Metadata of a picture that is being collected.
#[derive(Debug)]
struct Picture {
    start: u64,
    bytes: Vec<u8>,
    most: usize,
}

impl Search {
    /// Bytes are kept whose search needs [`Search::finish`] where nothing follows.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.kept.is_empty() || self.picture.is_some()
    }

    /// Whether what comes at this offset follows what was seen.
    #[must_use]
    pub fn adjoins(&self, offset: u64) -> bool {
        self.next == offset
    }

    /// Searches the next bytes of a stream, `offset` being that of their first one. Bytes that do not adjoin those before begin
    /// anew; what was kept is forgotten then, so that [`Search::finish`] comes before.
    pub fn feed(&mut self, rules: &Rules, offset: u64, bytes: &[u8], tell: &mut dyn FnMut(Sighting)) {
        if rules.is_empty() || bytes.is_empty() {
            return;
        }
        if !self.adjoins(offset) {
            *self = Search { next: offset, ..Search::default() };
        }
        // A line that comes letter by letter is not searched at each letter.
        let few =
            !self.kept.is_empty() && self.fresh + bytes.len() < FEW && !bytes.iter().any(|b| ends_line(*b));
        if few {
            self.kept.extend_from_slice(bytes);
            self.fresh += bytes.len();
            self.next = offset.saturating_add(bytes.len() as u64);
            return;
        }
        self.pass(rules, offset, bytes, false, u128::MAX, tell);
    }

    /// Nothing adjoins what was fed: tells what may have gone on. The search may begin anew behind it.
    pub fn finish(&mut self, rules: &Rules, tell: &mut dyn FnMut(Sighting)) {
        if self.holds() {
            self.pass(rules, self.next, &[], true, u128::MAX, tell);
            if let (Some(picture), Some(rule)) = (self.picture.take(), rules.exif) {
                picture.tell(rule, tell);
            }
        }
        *self = Search::default();
    }

    /// Searches bytes that stand alone (a datagram); offsets count from 0.
    pub fn alone(rules: &Rules, bytes: &[u8], tell: &mut dyn FnMut(Sighting)) {
        if !rules.is_empty() {
            let mut search = Search::default();
            search.pass(rules, 0, bytes, true, u128::MAX, tell);
            if let (Some(picture), Some(rule)) = (search.picture.take(), rules.exif) {
                picture.tell(rule, tell);
            }
        }
    }

    /// As [`Search::alone`], with some of the rules.
    fn feed_all(&mut self, rules: &Rules, bytes: &[u8], which: u128, tell: &mut dyn FnMut(Sighting)) {
        self.pass(rules, 0, bytes, true, which, tell);
    }

    fn pass(
        &mut self,
        rules: &Rules,
        offset: u64,
        bytes: &[u8],
        last: bool,
        which: u128,
        tell: &mut dyn FnMut(Sighting),
    ) {
        let kept = std::mem::take(&mut self.kept);
        let searched = kept.len() - std::mem::take(&mut self.fresh).min(kept.len());
        let base = offset.saturating_sub(kept.len() as u64);
        let joined;
        let all = if kept.is_empty() {
            bytes
        } else {
            joined = [&kept, bytes].concat();
            &joined
        };
        if self.settled < base {
            self.settled = base;
        }
        if rules.exif.is_some() {
            self.pictures(rules, base, all, searched, tell);
        }
        let from = (self.settled - base) as usize;
        // Of the last line only what cannot go on any more is settled.
        let open = if last { all.len() } else { open_line(all, rules.longest + LEAD) };
        let to = if last { all.len() } else { open.max(all.len().saturating_sub(rules.longest)) };
        let mut keep = if open == all.len() { open } else { open.max(to.saturating_sub(LEAD)) };
        let mut scan = Scan { rules, all, settled: from..to, crossing: keep, found: Vec::new(), which };
        let mut at = 0;
        // Too short for a run of its own, it may still go on with one.
        let mut tail = (all.len() < STEP && all.iter().all(|b| is_text(*b))).then_some((0, self.before));
        while let Some(run) = next_run(all, at) {
            let before = if run.start == 0 { self.before } else { 0 };
            scan.run(run.clone(), before);
            at = run.end;
            tail = (run.end == all.len()).then_some((run.start, before));
        }
        keep = keep.min(scan.crossing);
        for (rule, range, value) in scan.found {
            tell(Sighting { rule, start: base + range.start as u64, end: base + range.end as u64, value });
        }
        if !last {
            // A picture's marker may be cut.
            if rules.exif.is_some() {
                keep = keep.min(all.len() - exif::cut(all));
            }
            self.kept.extend_from_slice(all.get(keep..).unwrap_or_default());
            let before = |(start, before): (usize, usize)| before + keep.saturating_sub(start);
            self.before = tail.map_or(0, before).min(rules::MAX_LONGEST);
        }
        self.settled = base + to as u64;
        self.next = offset.saturating_add(bytes.len() as u64);
    }

    /// Collects metadata of pictures; the first `old` bytes were seen before.
    fn pictures(&mut self, rules: &Rules, base: u64, all: &[u8], old: usize, tell: &mut dyn FnMut(Sighting)) {
        let Some(rule) = rules.exif else { return };
        let mut at = 0;
        if let Some(picture) = &mut self.picture {
            let new = all.get(old..).unwrap_or_default();
            at = old + picture.push(new);
            if picture.bytes.len() < picture.most {
                return;
            }
            if let Some(picture) = self.picture.take() {
                picture.tell(rule, tell);
            }
        }
        while let Some((start, head, end)) = all.get(at..).and_then(exif::marker) {
            let (start, end, after) = (at + start, at + head, at + end);
            at = after;
            if after <= old {
                continue;
            }
            at = end;
            let rest = all.get(end..).unwrap_or_default();
            // JPEG says how long it is (APP1, ITU-T T.81 section B.2.4.6): marker, two bytes of length, `Exif`.
            let head = start.checked_sub(4).and_then(|s| all.get(s..start)).unwrap_or_default();
            let most = match head {
                [0xff, 0xe1, a, b] => (usize::from(*a) << 8 | usize::from(*b)).saturating_sub(8),
                _ => exif::MOST,
            };
            let mut picture =
                Picture { start: base + end as u64, bytes: Vec::new(), most: most.clamp(8, exif::MOST) };
            at += picture.push(rest);
            if picture.bytes.len() < picture.most {
                self.picture = Some(Box::new(picture));
                return;
            }
            picture.tell(rule, tell);
        }
    }
}

impl Picture {
    /// Adds bytes; gives how many were taken.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.most - self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        taken
    }

    fn tell(&self, rule: usize, tell: &mut dyn FnMut(Sighting)) {
        if let Some((latitude, longitude)) = exif::position(&self.bytes) {
            let end = self.start + self.bytes.len() as u64;
            let value = format!("{latitude:.5},{longitude:.5}");
            tell(Sighting { rule, start: self.start, end, value });
        }
    }
}

/// What the built-in rules find in a line that is shown: where, and the mask that takes its place. Names of devices and other things
/// of little weight are left as they are.
pub(super) fn told(text: &str) -> Vec<(Range<usize>, String)> {
    let rules = Rules::embedded();
    let mut all = Vec::new();
    Search::alone(&rules, text.as_bytes(), &mut |sighting| {
        let rule = rules.list.get(sighting.rule);
        let secret =
            |rule: &&rules::Rule| rule.severity >= Severity::Medium || rule.kind != FindingKind::Identifier;
        if let Some(rule) = rule.filter(secret) {
            let range = sighting.start as usize..sighting.end as usize;
            all.push((range, rule.show(&sighting.value, Masking::On)));
        }
    });
    all.sort_by_key(|(range, _)| range.start);
    all
}

/// Where the line that goes on at the end begins, as far back as `most`; the end itself where no line goes on.
fn open_line(all: &[u8], most: usize) -> usize {
    let least = all.len().saturating_sub(most);
    let tail = all.get(least..).unwrap_or_default();
    let at =
        least + tail.iter().rposition(|b| *b < 0x80 && (!is_text(*b) || ends_line(*b))).map_or(0, |n| n + 1);
    part_head(all, least, at)
}

/// Lines that a part of a form has in its head at most, with the empty one.
const MAX_HEAD: usize = 4;

fn is_part_field(line: &[u8]) -> bool {
    line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-"))
}

fn is_disposition(line: &[u8]) -> bool {
    line.get(..19).is_some_and(|name| name.eq_ignore_ascii_case(b"content-disposition"))
}

/// Where the head of the part of a form begins whose content begins with the line at `at` (RFC 7578 section 4.2), not before `least`;
/// else `at`.
fn part_head(all: &[u8], least: usize, at: usize) -> usize {
    let mut first = at;
    for place in 0..MAX_HEAD {
        let Some((end, body)) = all.get(least..first).unwrap_or_default().split_last() else { break };
        if !ends_line(*end) {
            break;
        }
        let body = if *end == b'\n' { body.strip_suffix(b"\r").unwrap_or(body) } else { body };
        let start = body.iter().rposition(|b| ends_line(*b)).map_or(0, |n| n + 1);
        let line = body.get(start..).unwrap_or_default();
        if is_disposition(line) {
            return least + start;
        }
        if !(is_part_field(line) || (place == 0 && line.is_empty())) {
            break;
        }
        first = least + start;
    }
    at
}

/// Where the first line of a part's content ends, `end` being the end of the first line of its head; else `end`.
fn part_end(ahead: &[u8], end: usize) -> usize {
    let mut at = end;
    let mut content = false;
    for _ in 0..=MAX_HEAD {
        let rest = ahead.get(at..).unwrap_or_default();
        let skipped = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => break,
        };
        let line = rest.get(skipped..).unwrap_or_default();
        let length = line.iter().position(|b| ends_line(*b)).unwrap_or(line.len());
        at += skipped + length;
        let line = line.get(..length).unwrap_or_default();
        if content {
            return at;
        }
        content = line.is_empty();
        if !content && !is_part_field(line) {
            break;
        }
    }
    end
}

fn ends_line(b: u8) -> bool {
    b == b'\n' || b == b'\r'
}

/// Printable ASCII, tabs and ends of lines; a table, as every readable byte is asked for.
const TEXT: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        #[expect(clippy::indexing_slicing, reason = "a constant, below the table's length")]
        {
            table[b] = matches!(b as u8, b' '..=b'~' | b'\t' | b'\n' | b'\r');
        }
        b += 1;
    }
    table
};

fn is_text(b: u8) -> bool {
    TEXT.get(usize::from(b)).copied().unwrap_or_default()
}

/// Bytes that are asked at once whether all are text: so many fill vector registers, and lines are a few times as long.
const BLOCK: usize = 32;

/// Whether all are text; reckoned, not looked up, as that is what vector instructions can do.
fn all_text(block: &[u8; BLOCK]) -> bool {
    let other = |b: u8| {
        (u8::from(b.wrapping_sub(b' ') < 0x5f) | u8::from(b.wrapping_sub(b'\t') < 2) | u8::from(b == b'\r'))
            ^ 1
    };
    block.iter().fold(0, |others, b| others | other(*b)) == 0
}

/// Where the first [`STEP`] bytes of text in a row begin, at or behind `from`.
fn first_text(all: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = all.get(at..)?;
        let padded;
        let block = if let Some(block) = rest.first_chunk() {
            block
        } else {
            let mut last = [0; blocks::BLOCK];
            last.get_mut(..rest.len())?.copy_from_slice(rest);
            padded = last;
            &padded
        };
        let mask = blocks::text(block);
        let two = mask & (mask >> 1);
        let six = two & (two >> 2) & (two >> 4);
        if six != 0 {
            return Some(at + six.trailing_zeros() as usize);
        }
        if rest.len() <= blocks::BLOCK {
            return None;
        }
        at += blocks::BLOCK - (STEP - 1);
    }
}

/// Where text that goes on up to `end` begins, not before `from`.
fn text_before(all: &[u8], from: usize, end: usize) -> usize {
    let part = all.get(from..end).unwrap_or_default();
    from + part.iter().rposition(|b| !is_text(*b)).map_or(0, |n| n + 1)
}

/// Where text that begins at `from` ends.
fn text_end(all: &[u8], from: usize) -> usize {
    let mut part = all.get(from..).unwrap_or_default();
    while let Some((_, rest)) = part.split_first_chunk().filter(|(block, _)| all_text(block)) {
        part = rest;
    }
    let end = part.iter().position(|b| !is_text(*b)).unwrap_or(part.len());
    all.len() - part.len() + end
}

/// Length of the UTF-8 character beyond ASCII that begins here; of one that the end cuts, what is there.
fn wide(rest: &[u8]) -> Option<usize> {
    let length = blocks::character_length(*rest.first()?)?;
    let body = rest.get(1..length.min(rest.len()))?;
    body.iter().all(|b| (0x80..0xc0).contains(b)).then_some(1 + body.len())
}

/// The next stretch of readable characters at or behind `from` with [`STEP`] of ASCII in a row.
fn next_run(all: &[u8], from: usize) -> Option<Range<usize>> {
    let mut start = first_text(all, from)?;
    let mut end = text_end(all, start + STEP);
    while let Some(n) = all.get(end).filter(|b| **b >= 0x80).and_then(|_| wide(all.get(end..)?)) {
        end = text_end(all, end + n);
    }
    // Characters beyond ASCII before the first ASCII ones.
    while let Some(n) = (2..=4).find(|n| {
        let first = start.checked_sub(*n).filter(|s| *s >= from);
        first.and_then(|s| all.get(s..start)).is_some_and(|c| wide(c) == Some(*n))
    }) {
        start = text_before(all, from, start - n);
    }
    Some(start..end)
}

/// One pass over bytes.
struct Scan<'a> {
    rules: &'a Rules,
    all: &'a [u8],
    /// Matches that begin here are told now.
    settled: Range<usize>,
    /// Where the first match begins that is told and reaches beyond what is settled; or where keeping begins.
    crossing: usize,
    found: Vec<(usize, Range<usize>, String)>,
    which: u128,
}

/// A stretch of a line that expressions run over.
struct Piece {
    start: usize,
    end: usize,
    /// Anchors before this place are of this piece.
    until: usize,
    /// The line goes on behind its end.
    cut: bool,
    rules: u128,
}

impl Scan<'_> {
    /// Searches one readable stretch; `before` readable bytes stand in front of it.
    fn run(&mut self, run: Range<usize>, before: usize) {
        let length = run.len() + before;
        let Some(text) = self.all.get(run.clone()) else { return };
        if length < rules::MIN_READABLE {
            return;
        }
        let first = self.found.len();
        if let Some(anchors) = &self.rules.anchors {
            let mut piece: Option<Piece> = None;
            anchors.find(text, &mut |at, rules| {
                self.anchor(&mut piece, run.clone(), length, run.start + at, rules & self.which);
            });
            self.search(piece, length);
        }
        if !self.rules.of_digits.is_empty() {
            self.digits(run, length);
        }
        self.settle(first);
    }

    /// Runs of digits as anchors.
    fn digits(&mut self, run: Range<usize>, length: usize) {
        let least =
            self.rules.of_digits.iter().map(|(lengths, _)| *lengths.start()).min().unwrap_or_default().max(1);
        let mut piece = None;
        let mut at = run.start;
        // As with text: so many digits in a row hold every so-manieth place.
        while let Some(b) = self.all.get(at + least - 1).filter(|_| at + least <= run.end) {
            if !b.is_ascii_digit() {
                at += least;
                continue;
            }
            let (mut start, mut end) = (at + least - 1, at + least);
            while start > run.start && self.all.get(start - 1).is_some_and(u8::is_ascii_digit) {
                start -= 1;
            }
            while end < run.end && self.all.get(end).is_some_and(u8::is_ascii_digit) {
                end += 1;
            }
            for (lengths, rules) in &self.rules.of_digits {
                // A run is one number, or none of the rule's: it is left out as a whole.
                if lengths.contains(&(end - start)) {
                    self.anchor(&mut piece, run.clone(), length, start, rules & self.which);
                }
            }
            at = end;
        }
        self.search(piece, length);
    }

    /// An anchor at `at`: goes into the piece at hand, or begins the next one.
    fn anchor(
        &mut self,
        piece: &mut Option<Piece>,
        run: Range<usize>,
        length: usize,
        at: usize,
        rules: u128,
    ) {
        if rules == 0 {
            return;
        }
        if let Some(piece) = piece.as_mut().filter(|p| p.start <= at && at < p.until) {
            piece.rules |= rules;
            return;
        }
        if let Some(full) = piece.take() {
            self.search(Some(full), length);
        }
        let longest = self.rules.longest;
        let least = at.saturating_sub(longest).max(run.start);
        let most = (at + BATCH + longest).min(run.end);
        let back = self.all.get(least..at).unwrap_or_default();
        let ahead = self.all.get(at..most).unwrap_or_default();
        let start = least + back.iter().rposition(|b| ends_line(*b)).map_or(0, |n| n + 1);
        let end = ahead.iter().position(|b| ends_line(*b)).unwrap_or(ahead.len());
        let head = self.all.get(start..).is_some_and(is_disposition);
        let end = at + if head { part_end(ahead, end) } else { end };
        let cut = end == most && most < run.end;
        *piece = Some(Piece { start, end, until: end.min(at + BATCH), cut, rules });
    }

    /// Runs the expressions of a piece.
    fn search(&mut self, piece: Option<Piece>, length: usize) {
        let Some(piece) = piece else { return };
        let Some(text) = self.all.get(..piece.end) else { return };
        let mut rules = piece.rules;
        while rules != 0 {
            let at = rules.trailing_zeros() as usize;
            rules &= rules - 1;
            let Some(rule) = self.rules.list.get(at).filter(|r| length >= r.readable) else { continue };
            let Some(expression) = rule.expression() else { continue };
            let mut from = piece.start;
            while let Some(whole) = expression.find_at(text, from) {
                let range = expression.value_of(text, &whole);
                // What ends one value may begin the next.
                from = range.end.max(whole.start + 1);
                // No `$` stands where a piece is cut. What reaches to there has its anchor in the next piece, as a piece goes on by the
                // longest match.
                let reaches_the_cut = piece.cut && whole.end == piece.end;
                if !self.settled.contains(&whole.start) || whole.len() > rule.longest || reaches_the_cut {
                    continue;
                }
                if !self.stands_alone(&range) {
                    continue;
                }
                let bytes = self.all.get(range.clone()).unwrap_or_default();
                let before = self.all.get(range.start.saturating_sub(BEFORE)..range.start);
                let Some(value) = rule.check.of(bytes, before.unwrap_or_default()) else { continue };
                if whole.end > self.settled.end {
                    self.crossing = self.crossing.min(whole.start);
                }
                self.found.push((at, range, value));
            }
            if from > text.len() {
                break;
            }
        }
    }

    /// A letter or digit at an edge does not go on beyond it.
    fn stands_alone(&self, range: &Range<usize>) -> bool {
        let word = |at: Option<usize>| {
            at.and_then(|at| self.all.get(at)).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        };
        let (first, last) = (range.start, range.end.saturating_sub(1));
        let goes_on = |edge, beyond| word(Some(edge)) && word(beyond);
        !goes_on(first, first.checked_sub(1)) && !goes_on(last, Some(range.end))
    }

    /// Of matches that overlap the one of the earliest rule stays; found in two pieces it counts once.
    fn settle(&mut self, first: usize) {
        let mut new = self.found.split_off(first.min(self.found.len()));
        new.sort_by_key(|(rule, range, _)| (*rule, range.start));
        let mut taken: std::collections::BTreeMap<usize, usize> = std::collections::BTreeMap::new();
        new.retain(|(_, range, _)| {
            let before = taken.range(..range.end).next_back();
            let free = before.is_none_or(|(_, end)| *end <= range.start);
            if free {
                taken.insert(range.start, range.end);
            }
            free
        });
        new.sort_by_key(|(_, range, _)| range.start);
        self.found.append(&mut new);
    }
}

impl Sighting {
    /// The same for the same value of the same rule, and for no other.
    #[must_use]
    pub fn key(&self, rules: &Rules) -> u64 {
        let id = rules.list.get(self.rule).map_or("", |r| r.id.as_str());
        foldhash::fast::FixedState::with_seed(2).hash_one((id, &self.value)).max(1)
    }

    /// The sighting as a finding.
    #[must_use]
    pub fn finding(&self, rules: &Rules, masking: Masking, direction: Direction) -> RawFinding {
        let Some(rule) = rules.list.get(self.rule) else { return RawFinding::default() };
        let shown = rule.show(&self.value, masking);
        let colon = if shown.is_empty() { "" } else { ": " };
        RawFinding {
            kind: rule.kind,
            severity: if direction == Direction::Down { rule.received } else { rule.severity },
            what: format!("{}{colon}{shown}", rule.text.en),
            range: (self.start, self.end),
            rule: Some(rule.id.clone()),
            confidence: Some(rule.confidence),
            value: self.key(rules),
            count: 1,
            ..RawFinding::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::payload::unpack::Coding;
    use crate::payload::unpack::tests::packed;

    #[test]
    fn stretches_of_text_begin_and_end_where_a_look_at_each_byte_says() {
        let mut seed = 7_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for round in 0..400 {
            // Every byte value, and stretches of text of every length around the widths of blocks.
            let mut data: Vec<u8> = (0..random() % 300).map(|_| random() as u8).collect();
            let text = (0..random() % 140).map(|_| b"\t\n\r ~aZ0"[(random() % 8) as usize]);
            data.splice(data.len() / 2..data.len() / 2, text);
            if round % 4 == 0 {
                data.extend(0..=255_u8);
            }
            for from in [0, 1, data.len() / 3, data.len()] {
                let slow = (from..data.len())
                    .find(|at| data.get(*at..at + STEP).is_some_and(|six| six.iter().all(|b| is_text(*b))));
                assert_eq!(first_text(&data, from), slow, "from {from} in {data:02x?}");
                let end = (from..data.len()).find(|at| !is_text(data[*at])).unwrap_or(data.len());
                assert_eq!(text_end(&data, from), end, "from {from} in {data:02x?}");
            }
        }
    }

    /// Rule, place and value of what is found in pieces of a size.
    fn found(data: &[u8], size: usize) -> Vec<(String, u64, String)> {
        let rules = Rules::embedded();
        let (mut search, mut all, mut at) = (Search::default(), Vec::new(), 0);
        let mut tell = |s: Sighting| all.push((rules.list[s.rule].id.clone(), s.start, s.value));
        for piece in data.chunks(size) {
            search.feed(&rules, at, piece, &mut tell);
            at += piece.len() as u64;
        }
        search.finish(&rules, &mut tell);
        assert!(!search.holds());
        all.sort();
        all
    }

    fn ids(data: &[u8]) -> Vec<String> {
        found(data, 1400).into_iter().map(|(id, ..)| id).collect()
    }

    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.0 >> 33
        }

        fn bytes(&mut self, n: usize) -> Vec<u8> {
            (0..n).map(|_| self.next() as u8).collect()
        }
    }

    const TEXT: &str = "POST /v1/register HTTP/1.1\r\nUser-Agent: App/2 (Linux; Android 13; SM-S901B)\r\n\r\n\
        {\"phone\":\"+49 1522 8817386\",\"note\":\"h\u{e4}ng an alice@example.org \u{43f}\u{440}\u{438}\",\"imei\":\"490154203237518\",\
        \"idfa\":\"6D92078A-8246-4BA4-AE5B-76104861E7DC\",\"lat\":48.20103,\"lon\":16.36952}\n\
        BEGIN:VCARD\nTEL:+12025550123\nEND:VCARD\nand then +442079460018";

    #[test]
    fn the_same_is_found_wherever_the_bytes_are_cut() {
        let whole = found(TEXT.as_bytes(), 1 << 20);
        let ids: BTreeSet<&str> = whole.iter().map(|(id, ..)| id.as_str()).collect();
        let wanted = [
            "advertising-id",
            "coordinates",
            "device-model",
            "email",
            "imei",
            "phone",
            "phone-field",
            "vcard",
        ];
        assert_eq!(ids, wanted.into_iter().collect());
        assert_eq!(whole.len(), 9, "{whole:?}");
        for (id, start, value) in &whole {
            if id == "phone" {
                assert_eq!(
                    (value.as_str(), &TEXT.as_bytes()[*start as usize..][..13]),
                    ("+442079460018", &b"+442079460018"[..])
                );
            }
        }
        // Long lines and other bytes around, at any place.
        for before in [0, 1, 250, 511, 1023, 1500, 5000] {
            let mut data = vec![b'x'; before];
            data.push(b' ');
            data.extend_from_slice(TEXT.as_bytes());
            data.extend_from_slice(&[0, 1, 2]);
            let moved: Vec<_> =
                whole.iter().map(|(i, s, v)| (i.clone(), s + before as u64 + 1, v.clone())).collect();
            for size in [1, 2, 3, 7, 64, 255, 256, 257, 1000, 1 << 20] {
                assert_eq!(found(&data, size), moved, "behind {before} by {size}");
            }
        }
    }

    #[test]
    fn of_two_rules_the_first_has_it_and_stretches_that_are_too_short_are_no_text() {
        assert_eq!(ids(b"x=1&email=alice@example.org&y=2"), ["email-field"]);
        assert_eq!(ids(b"mail to alice@example.org, please"), ["email"]);
        assert!(ids(b"\0\0alice@example.org\0\0").is_empty(), "17 bytes in a row");
        assert!(ids("\u{439}a@b.de\u{439}".as_bytes()).is_empty());
    }

    #[test]
    fn what_is_found_in_a_long_line_does_not_depend_on_what_stands_far_before() {
        // Somewhere among these lengths a stretch that is searched at once ends at each place of the number.
        for before in (0..40).chain(480..540).chain(990..1060).chain(1490..1560) {
            let filled = "x".repeat(before);
            for lead in ["", "1234567890123456 ", "111111111111111 "] {
                let fraction = format!("{lead}{filled} 490154203237518.5 of something");
                assert!(ids(fraction.as_bytes()).is_empty(), "{before} behind {lead:?}");
                let number = format!("{lead}{filled} 490154203237518 of something");
                assert_eq!(ids(number.as_bytes()), ["imei-bare"], "{before} behind {lead:?}");
            }
        }
    }

    #[test]
    fn numbers_with_one_character_between_them_are_all_found() {
        let numbers = ["490154203237518", "356938035643809", "352099001761481"];
        for between in [" ", "  ", ",", ";"] {
            let line = format!("ids {} end", numbers.join(between));
            let values: Vec<String> = found(line.as_bytes(), 1400).into_iter().map(|(.., v)| v).collect();
            assert_eq!(values, numbers, "{line}");
        }
    }

    #[test]
    fn pictures_with_a_position_are_found_at_any_cut() {
        for big in [false, true] {
            let tiff = exif::tests::sample(big, false);
            let length = (tiff.len() + 8) as u16;
            let head = [&[0xff, 0xd8, 0xff, 0xe1][..], &length.to_be_bytes(), b"Exif\0\0"].concat();
            let jpeg = [&Noise(3).bytes(300), &head[..], &tiff, &Noise(4).bytes(3000)].concat();
            let png = [b"\x89PNG\r\n\x1a\n....eXIf", &tiff[..]].concat();
            // The container's own way (WebP Container Specification, section "Metadata").
            let size = (tiff.len() as u32).to_le_bytes();
            let webp =
                [b"RIFF\x10\x10\0\0WEBPVP8X....EXIFVP8 ", &Noise(5).bytes(300)[..], b"EXIF", &size, &tiff]
                    .concat();
            for (name, picture) in [("jpeg", jpeg), ("png", png), ("webp", webp)] {
                for size in [1, 2, 3, 5, 17, 100, 1400] {
                    let all = found(&picture, size);
                    assert_eq!(all.len(), 1, "{name} by {size}: {all:?}");
                    assert_eq!(
                        (all[0].0.as_str(), all[0].2.as_str()),
                        ("picture-position", "48.21000,16.36667")
                    );
                }
            }
            let without = [&head[..], &tiff[..40]].concat();
            assert!(ids(&without).is_empty());
        }
    }

    /// The passwords that are found, in pieces of any size the same.
    fn passwords(text: &str) -> Vec<String> {
        let whole = found(text.as_bytes(), 1 << 20);
        for size in [1, 2, 3, 7, 40] {
            assert_eq!(found(text.as_bytes(), size), whole, "{text} by {size}");
        }
        whole.into_iter().filter(|(id, ..)| id.starts_with("password")).map(|(.., value)| value).collect()
    }

    #[test]
    fn passwords_of_forms_json_and_parts_are_found_whole() {
        for (text, expected) in [
            ("user=alice&pass=correct-horse&x=1", "correct-horse"),
            ("user=alice&user_password=correct-horse&x=1", "correct-horse"),
            ("user[email]=a@b.example&user[password]=correct-horse&x=1", "correct-horse"),
            ("user%5Bpassword%5D=correct-horse&x=1 and so on", "correct-horse"),
            (r#"{"username":"alice","pass":"correct horse"}"#, "correct horse"),
            (r#"{"username":"alice","passphrase":"correct horse"}"#, "correct horse"),
            (r#"{"username":"alice","newPassword":"correct horse"}"#, "correct horse"),
            (r#"{"user":"alice","password":"cor\"rect, horse"}"#, r#"cor\"rect, horse"#),
            (
                r#"{"query":"mutation{login(user:\"alice\",password:\"correct-horse\"){token}}"}"#,
                "correct-horse",
            ),
            (
                "--XX\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nalice\r\n--XX\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\ncorrect horse\r\n--XX--\r\n",
                "correct horse",
            ),
            (
                "--XX\nContent-Disposition: form-data; name=\"user[pass]\"\nContent-Type: text/plain\n\ncorrect horse\n--XX--\n",
                "correct horse",
            ),
        ] {
            assert_eq!(passwords(text), [expected], "{text}");
        }
        for text in [
            "the test will pass=always, says the manual",
            "bypass=whatever&compass=north-east&trespass=forbidden",
            r#"{"password":"required","pass":true,"passed":"yesterday","passport":"C01X00T47"}"#,
            "--XX\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n\r\n--XX--\r\n",
            "--XX\r\nContent-Disposition: form-data; name=\"passport\"\r\n\r\ncorrect horse\r\n--XX--\r\n",
        ] {
            assert_eq!(passwords(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn nothing_is_found_in_random_compressed_and_encoded_bytes() {
        let mut noise = Noise(7);
        let random = noise.bytes(24 << 20);
        assert_eq!(found(&random, 1400), [], "random");
        let words: Vec<u8> =
            (0..400_000).flat_map(|_| format!("{} ", noise.next() % 5000).into_bytes()).collect();
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Brotli] {
            assert_eq!(found(&packed(coding, &words), 1400), [], "{coding:?}");
        }
        let some = &random[..4 << 20];
        let base64 = crate::payload::base64::encode(some, crate::payload::base64::STANDARD);
        assert_eq!(found(&base64, 1400), [], "base64");
        let lines: Vec<u8> = base64.chunks(76).flat_map(|line| [line, b"\r\n"].concat()).collect();
        assert_eq!(found(&lines, 1400), [], "base64 in lines");
        let hex: Vec<u8> = some.iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect();
        assert_eq!(found(&hex, 1400), [], "hex");
    }

    #[test]
    fn hostile_text_takes_time_in_proportion_to_its_length() {
        let rules = Rules::embedded();
        let anchors: String =
            rules.list.iter().flat_map(super::rules::Rule::yes_texts).collect::<Vec<_>>().join(" ");
        for unit in [
            "1",
            "49",
            "@",
            "a@",
            "+49",
            "phone=",
            "eyJ",
            "\"text\":\"",
            "<body",
            "lat=1.",
            "Exif\0\0II*\0",
            "eXIfMM\0*",
            "EXIF",
            "EXIF\x10\0\0\0II*\0",
            "Content-Disposition: form-data; name=\"password\"\r\n\r\n",
            "content-disposition\n",
            "\u{e4}",
            &anchors,
        ] {
            let time = |bytes: usize| {
                let data = unit.as_bytes().repeat(bytes / unit.len() + 1);
                let started = std::time::Instant::now();
                let mut search = Search::default();
                let (mut at, mut n) = (0, 0_usize);
                for piece in data.chunks(1400) {
                    search.feed(&rules, at, piece, &mut |_| n += 1);
                    at += piece.len() as u64;
                    assert!(
                        search.kept.len() <= 3 * rules::MAX_LONGEST + FEW,
                        "{unit}: {}",
                        search.kept.len()
                    );
                }
                search.finish(&rules, &mut |_| n += 1);
                started.elapsed().as_secs_f64()
            };
            let (small, large) = (time(1 << 17), time(1 << 20));
            // Eight times the bytes: thirty times the time would be no line any more.
            assert!(
                large < small.max(0.005) * 30.0,
                "{:?}: {small} s, then {large} s",
                &unit[..unit.len().min(20)]
            );
            assert!(large < 20.0, "{large} s for a mebibyte of {:?}", &unit[..unit.len().min(20)]);
        }
    }

    #[test]
    fn values_are_masked_unless_asked_for() {
        let rules = Rules::embedded();
        let mut all = Vec::new();
        Search::alone(&rules, b"{\"phone\":\"+4915228817386\"} and no more", &mut |s| all.push(s));
        let told = |masking, d| all[0].finding(&rules, masking, d);
        let raw = told(Masking::On, Direction::Up);
        assert!(raw.what.ends_with(": \u{2026}86 (number, 8 or more digits)"), "{}", raw.what);
        assert_eq!(
            (raw.severity, raw.rule.as_deref(), raw.count),
            (crate::model::Severity::High, Some("phone-field"), 1)
        );
        assert_eq!(told(Masking::On, Direction::Down).severity, crate::model::Severity::Medium);
        assert!(told(Masking::Off, Direction::Up).what.ends_with(": +4915228817386"));
    }

    /// `cargo test --lib throughput_of_rules -- --nocapture` prints the figures of a test build.
    #[test]
    fn throughput_of_rules() {
        let mut noise = Noise(9);
        let random = noise.bytes(16 << 20);
        let page: Vec<u8> = (0..200_000)
            .flat_map(|n| {
                format!("<p class=\"w{}\">some words of a page {n}, others</p>\n", noise.next() % 9)
                    .into_bytes()
            })
            .collect();
        let rules = Rules::embedded();
        for (name, data) in [("random bytes", random), ("a page", page)] {
            let started = std::time::Instant::now();
            let (mut search, mut at, mut n) = (Search::default(), 0, 0);
            for piece in data.chunks(1400) {
                search.feed(&rules, at, piece, &mut |_| n += 1);
                at += piece.len() as u64;
            }
            let rate = data.len() as f64 / started.elapsed().as_secs_f64() / f64::from(1 << 20);
            println!("{name}: {rate:.0} MiB/s, {n} found");
            assert!(rate > 5.0);
        }
    }
}
