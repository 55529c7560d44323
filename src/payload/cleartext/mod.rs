//! Cleartext findings: identifiers, tokens and content in bytes that can be read, by the rules of `reference/cleartext.toml`.
//!
//! Takes the readable bytes of one direction in order; gives [`Sighting`]s with rule, place and value. A match may lie across
//! any number of pieces: of an unfinished line the last bytes are kept, at most [`rules::MAX_LONGEST`] and as many before them.
//! A match lies within one line, and rules look only where readable bytes stand together: random and compressed bytes cost
//! a look at one in six. In readable ones all anchors are sought in one pass, and an expression runs on a line that holds an
//! anchor of its rule. Time is linear in the bytes for any input.

mod checks;
mod exif;
mod numbering;
mod rules;

use std::hash::BuildHasher as _;
use std::ops::Range;

pub use rules::{RuleError, RuleFileError, Rules};

use super::RawFinding;
use super::mask::Masking;
use crate::model::{Direction, FindingKind};
use checks::BEFORE;

/// Fewest ASCII characters in a row that any match holds.
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
        let few = !self.kept.is_empty() && self.fresh + bytes.len() < FEW && !bytes.iter().any(|b| ends_line(*b));
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
        let mut tail = None;
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

/// Where the line that goes on at the end begins, as far back as `most`; the end itself where no line goes on.
fn open_line(all: &[u8], most: usize) -> usize {
    let least = all.len().saturating_sub(most);
    let tail = all.get(least..).unwrap_or_default();
    least + tail.iter().rposition(|b| *b < 0x80 && (!is_text(*b) || ends_line(*b))).map_or(0, |n| n + 1)
}

fn ends_line(b: u8) -> bool {
    b == b'\n' || b == b'\r'
}

fn is_text(b: u8) -> bool {
    matches!(b, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

/// Length of the UTF-8 character beyond ASCII that begins here; of one that the end cuts, what is there.
fn wide(rest: &[u8]) -> Option<usize> {
    let length = match rest.first()? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let body = rest.get(1..length.min(rest.len()))?;
    body.iter().all(|b| (0x80..0xc0).contains(b)).then_some(1 + body.len())
}

/// The next stretch of readable characters at or behind `from` with [`STEP`] of ASCII in a row.
fn next_run(all: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    loop {
        // Six in a row hold every sixth place: one byte of six is looked at, where they are not text.
        let probe = at + STEP - 1;
        if !is_text(*all.get(probe)?) {
            at += STEP;
            continue;
        }
        let mut start = probe;
        while start > from && all.get(start - 1).is_some_and(|b| is_text(*b)) {
            start -= 1;
        }
        let mut end = probe + 1;
        while all.get(end).is_some_and(|b| is_text(*b)) {
            end += 1;
        }
        if end - start < STEP {
            at = end;
            continue;
        }
        loop {
            match all.get(end) {
                Some(b) if is_text(*b) => end += 1,
                Some(b) if *b >= 0x80 => match all.get(end..).and_then(wide) {
                    Some(n) => end += n,
                    None => break,
                },
                _ => break,
            }
        }
        // Characters beyond ASCII before the first ASCII ones.
        while let Some(n) = (2..=4).find(|n| {
            let first = start.checked_sub(*n).filter(|s| *s >= from);
            first.and_then(|s| all.get(s..start)).is_some_and(|c| wide(c) == Some(*n))
        }) {
            start -= n;
            while start > from && all.get(start - 1).is_some_and(|b| is_text(*b)) {
                start -= 1;
            }
        }
        return Some(start..end);
    }
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
            for hit in anchors.find_overlapping_iter(text) {
                let rules = self.rules.of_anchor.get(hit.pattern().as_usize()).copied().unwrap_or_default();
                self.anchor(&mut piece, run.clone(), length, run.start + hit.start(), rules & self.which);
            }
            self.search(piece, length);
        }
        if !self.rules.of_digits.is_empty() {
            self.digits(run, length);
        }
        self.settle(first);
    }

    /// Runs of digits as anchors.
    fn digits(&mut self, run: Range<usize>, length: usize) {
        let least = self.rules.of_digits.iter().map(|(n, _)| *n).min().unwrap_or_default().max(1);
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
            for (n, rules) in &self.rules.of_digits {
                // A longer run is no number of any rule; it is left out as a whole.
                if end - start >= *n && end - start <= rules::MAX_LONGEST {
                    self.anchor(&mut piece, run.clone(), length, start, rules & self.which);
                }
            }
            at = end;
        }
        self.search(piece, length);
    }

    /// An anchor at `at`: goes into the piece at hand, or begins the next one.
    fn anchor(&mut self, piece: &mut Option<Piece>, run: Range<usize>, length: usize, at: usize, rules: u128) {
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
        let end = at + ahead.iter().position(|b| ends_line(*b)).unwrap_or(ahead.len());
        *piece = Some(Piece { start, end, until: end.min(at + BATCH), rules });
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
            let Some(regex) = rule.regex() else { continue };
            let mut from = piece.start;
            while let Some(whole) = regex.find_at(text, from) {
                from = whole.end().max(whole.start() + 1);
                if !self.settled.contains(&whole.start()) || whole.len() > rule.longest {
                    continue;
                }
                let value = regex.captures_at(text, whole.start()).and_then(|c| c.name("value"));
                let range = value.map_or(whole.range(), |v| v.range());
                if !self.stands_alone(&range) {
                    continue;
                }
                let bytes = self.all.get(range.clone()).unwrap_or_default();
                let before = self.all.get(range.start.saturating_sub(BEFORE)..range.start);
                let Some(value) = rule.check.of(bytes, before.unwrap_or_default()) else { continue };
                if whole.end() > self.settled.end {
                    self.crossing = self.crossing.min(whole.start());
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
        !(word(Some(first)) && word(first.checked_sub(1))) && !(word(Some(last)) && word(Some(range.end)))
    }

    /// Of matches that overlap the one of the earliest rule stays; found in two pieces it counts once.
    fn settle(&mut self, first: usize) {
        let mut new = self.found.split_off(first.min(self.found.len()));
        new.sort_by(|a, b| (a.0, a.1.start).cmp(&(b.0, b.1.start)));
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

    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self, rules: &Rules) -> FindingKind {
        rules.list.get(self.rule).map(|r| r.kind).unwrap_or_default()
    }
}
