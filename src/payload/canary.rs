//! Canaries: planted secrets that must not be seen, found in one pass over a stream.
//!
//! Takes names and values once ([`CanarySet::new`]), then the bytes of each direction in order; gives [`Hit`]s with
//! their encoding and stream offsets. A value may lie across any number of segments: a window of a few bytes and a
//! tail not much longer than the longest form are kept, never the stream. Finds every form that `forms` makes; what is
//! compressed is not seen here but behind [`super::scan`].

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rayon::prelude::*;
use thiserror::Error;

use super::RawFinding;
use super::forms::{Form, endings, forms, unbroken};
use super::mask::Masking;
use super::matcher::{Kind, Meant, Print, Prints, Tables, View, Window, fingerprint};
use super::scan::{self, Marker};
use super::spelling::{Number, number};
use super::transform::Keys;
use crate::model::{FindingKind, Severity};

/// Shortest value: anything shorter turns up in traffic by chance.
pub const MIN_VALUE: usize = 4;
/// Longest value.
pub const MAX_VALUE: usize = 1024;
/// Most forms that all canaries may have together; each costs 16 bytes of memory, and a few bits.
pub const MAX_FORMS: usize = 4 << 20;
/// Cut digests that may go on in the bytes to come, each direction.
const MAX_OPEN: usize = 8;

/// Why a set of canaries was refused. Never holds a value, only names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CanaryError {
    /// A canary without a name.
    #[error("canary number {number} has no name: write NAME=VALUE")]
    Nameless {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// A canary without a value.
    #[error("canary \"{name}\" is empty: write {name}=VALUE")]
    Empty {
        /// The canary.
        name: String,
    },
    /// A value that chance would produce.
    #[error(
        "canary \"{name}\" has {bytes} bytes, which occur by chance: plant one of {MIN_VALUE} or more, better 8"
    )]
    TooShort {
        /// The canary.
        name: String,
        /// Length of its value.
        bytes: usize,
    },
    /// A value beyond [`MAX_VALUE`].
    #[error("canary \"{name}\" has {bytes} bytes: give a part of it, at most {MAX_VALUE}")]
    TooLong {
        /// The canary.
        name: String,
        /// Length of its value.
        bytes: usize,
    },
    /// One name, two values.
    #[error("canary \"{name}\" is given twice with different values: give each value its own name")]
    DuplicateName {
        /// The canary.
        name: String,
    },
    /// Two names, one value.
    #[error("canaries \"{first}\" and \"{second}\" have the same value: drop one of them")]
    DuplicateValue {
        /// The one given first.
        first: String,
        /// The other.
        second: String,
    },
    /// More than [`MAX_FORMS`].
    #[error("the canaries are too many or too long to search at once: give fewer or shorter ones")]
    TooMany,
}

/// An occurrence of a canary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Index for [`CanarySet::name`].
    pub canary: usize,
    /// Encodings around the value, outermost first; empty when it stands there as it is. `case` means that the
    /// letters differ in case only, `folded` that line breaks stand within.
    pub encoding: Vec<String>,
    /// Stream offset of its first byte. In base64, of the first character that the value alone decides.
    pub start: u64,
    /// Stream offset after its last byte.
    pub end: u64,
}

/// Numbers the sets from 1: a fresh state belongs to none. The numbers reach no output.
static SETS: AtomicU64 = AtomicU64::new(1);

/// All canaries of a run in one matcher; shared by all threads.
#[derive(Debug)]
pub struct CanarySet {
    id: u64,
    canaries: Vec<Canary>,
    keys: Keys,
    markers: Vec<Marker>,
    tables: Tables,
    /// Bytes of the past that are kept.
    keep: usize,
    forms: usize,
}

#[derive(Debug)]
struct Canary {
    name: String,
    value: String,
    number: Option<Number>,
    /// Made anew when something like it was seen; until then only fingerprints are kept.
    forms: OnceLock<Forms>,
}

/// The fingerprints of all canaries and the length of the longest form; none if they are more than `most`. Canaries are taken some at a
/// time, always the same ones together, so that what comes out does not depend on the number of threads.
fn ready(canaries: &[Canary], keys: &Keys, most: usize) -> Option<(Vec<Prints>, usize)> {
    const TOGETHER: usize = 16;
    let made = AtomicUsize::new(0);
    let parts: Vec<(Prints, usize)> = canaries
        .par_chunks(TOGETHER)
        .enumerate()
        .map(|(part, some)| {
            let mut prints = Prints::default();
            let mut longest = 0;
            for (canary, place) in some.iter().zip((part * TOGETHER) as u32..) {
                // What is refused in the end needs not be made.
                if made.load(Ordering::Relaxed) > most {
                    break;
                }
                let before = prints.len();
                let length = endings(&canary.value, keys, &mut |end| {
                    if let Some((kind, print)) = Print::of(end, place) {
                        prints.add(kind, print);
                    }
                });
                longest = longest.max(length);
                made.fetch_add(prints.len() - before, Ordering::Relaxed);
                prints
                    .numbers
                    .extend(canary.number.as_ref().and_then(|n| Print::of_digits(&n.national, place)));
            }
            prints.forget();
            (prints, longest)
        })
        .collect();
    if made.into_inner() > most {
        return None;
    }
    let longest = parts.iter().map(|(_, longest)| *longest).max().unwrap_or_default();
    Some((parts.into_iter().map(|(prints, _)| prints).collect(), longest))
}

/// All forms of a value.
#[derive(Debug)]
struct Forms {
    list: Vec<Form>,
    /// By kind and fingerprint, the longer ones first, so that of two that end in one place the longer one gives its name.
    by_print: BTreeMap<(Kind, u64), Vec<u32>>,
}

impl Forms {
    fn new(value: &str, keys: &Keys) -> Forms {
        let list = forms(value, keys);
        let mut by_print: BTreeMap<(Kind, u64), Vec<u32>> = BTreeMap::new();
        for (form, at) in list.iter().zip(0..) {
            if let Some(print) = form.bytes.get(..form.least()).and_then(fingerprint) {
                by_print.entry(print).or_default().push(at);
            }
        }
        let length = |at: &u32| list.get(*at as usize).map_or(0, |f| f.bytes.len());
        for forms in by_print.values_mut() {
            forms.sort_by_key(|at| std::cmp::Reverse(length(at)));
        }
        Forms { list, by_print }
    }
}

/// Where the search stands in one direction of one flow; [`Default`] is the beginning.
#[derive(Clone, Debug, Default)]
pub struct CanaryState {
    /// The set that the rest belongs to.
    set: u64,
    window: Window,
    /// Stream offset of the next byte.
    next: u64,
    /// Last bytes seen.
    tail: Vec<u8>,
    recent: Vec<Recent>,
    open: Vec<Open>,
}

/// A hit that later ones may overlap.
#[derive(Clone, Copy, Debug)]
struct Recent {
    canary: usize,
    inexact: bool,
    end: u64,
}

/// What may be a hit.
#[derive(Debug)]
struct Candidate {
    hit: Hit,
    inexact: bool,
    open: Option<Open>,
}

/// A digest whose cut form was reported at the end of the bytes at hand, and may go on.
#[derive(Clone, Debug)]
struct Open {
    canary: usize,
    form: u32,
    start: u64,
    seen: Vec<u8>,
    folded: bool,
}

impl CanaryState {
    /// What comes at this offset follows what was seen.
    pub(super) fn adjoins(&self, offset: u64) -> bool {
        self.next == offset
    }

    /// Forgets everything: what comes next does not adjoin what was seen.
    pub fn reset(&mut self) {
        *self = CanaryState::default();
    }
}

impl CanarySet {
    /// Gets ready to search (name, value) pairs; the same pair given again is ignored. Digests are searched with the built-in
    /// keys.
    pub fn new(canaries: &[(String, String)]) -> Result<CanarySet, CanaryError> {
        CanarySet::with_keys(canaries, Keys::embedded())
    }

    /// As [`CanarySet::new`], with these keys.
    pub fn with_keys(canaries: &[(String, String)], keys: Keys) -> Result<CanarySet, CanaryError> {
        CanarySet::within(canaries, keys, MAX_FORMS)
    }

    fn within(canaries: &[(String, String)], keys: Keys, most: usize) -> Result<CanarySet, CanaryError> {
        let mut kept: Vec<Canary> = Vec::new();
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for (place, (name, value)) in canaries.iter().enumerate() {
            let bytes = value.len();
            match bytes {
                _ if name.is_empty() => return Err(CanaryError::Nameless { number: place + 1 }),
                0 => return Err(CanaryError::Empty { name: name.clone() }),
                // Line breaks are not seen.
                _ if unbroken(value.as_bytes()).len() < MIN_VALUE => {
                    let bytes = unbroken(value.as_bytes()).len();
                    return Err(CanaryError::TooShort { name: name.clone(), bytes });
                }
                _ if bytes > MAX_VALUE => return Err(CanaryError::TooLong { name: name.clone(), bytes }),
                _ => {}
            }
            match names.insert(name, value) {
                Some(old) if old == value => continue,
                Some(_) => return Err(CanaryError::DuplicateName { name: name.clone() }),
                None => {}
            }
            if let Some(first) = values.insert(value, name) {
                return Err(CanaryError::DuplicateValue { first: first.to_owned(), second: name.clone() });
            }
            let number = number(value).filter(|n| n.national.len() >= 7);
            kept.push(Canary { name: name.clone(), value: value.clone(), number, forms: OnceLock::new() });
        }
        let (mut prints, longest) = ready(&kept, &keys, most).ok_or(CanaryError::TooMany)?;
        let forms = prints.iter().map(Prints::len).sum();
        let markers = if kept.is_empty() { Vec::new() } else { scan::markers() };
        let mut beginnings = Prints::default();
        beginnings
            .short
            .extend(markers.iter().zip(0..).map(|(marker, at)| Print::of_marker(marker.bytes, at)));
        prints.push(beginnings);
        let tables = Tables::new(&prints);
        let id = SETS.fetch_add(1, Ordering::Relaxed);
        // Line breaks come on top: one in 76 characters of folded text at most.
        let keep = if kept.is_empty() { 0 } else { longest + longest / 16 + 96 };
        Ok(CanarySet { id, canaries: kept, keys, markers, tables, keep, forms })
    }

    /// No canaries: every search returns at once.
    pub fn is_empty(&self) -> bool {
        self.canaries.is_empty()
    }

    /// Number of canaries.
    pub fn len(&self) -> usize {
        self.canaries.len()
    }

    /// Number of byte strings that are searched.
    pub fn forms(&self) -> usize {
        self.forms
    }

    /// Name of a canary; empty for an index that no hit has.
    pub fn name(&self, canary: usize) -> &str {
        self.canaries.get(canary).map_or("", |c| &c.name)
    }

    /// Searches the next bytes of a stream, `offset` being that of their first one.
    ///
    /// Bytes that do not adjoin those before (a gap, another set) begin a new search by themselves. Hits come in
    /// the order of their ends. Of overlapping hits of one canary the first is given, and an exact one after an
    /// inexact one. A digest that may be cut is given as soon as it is there; where more of it follows in bytes that come
    /// later, it is given again with its whole length.
    pub fn feed(&self, state: &mut CanaryState, offset: u64, bytes: &[u8], on_hit: &mut impl FnMut(Hit)) {
        self.feed_with_markers(state, offset, bytes, on_hit, &mut |_, _| ());
    }

    /// As [`CanarySet::feed`]; what looks like the beginning of a container goes to `on_marker`, with its offset.
    pub(super) fn feed_with_markers(
        &self,
        state: &mut CanaryState,
        offset: u64,
        bytes: &[u8],
        on_hit: &mut impl FnMut(Hit),
        on_marker: &mut impl FnMut(Marker, u64),
    ) {
        if self.is_empty() || bytes.is_empty() {
            return;
        }
        if state.set != self.id || state.next != offset {
            state.reset();
            state.set = self.id;
        }
        self.reopen(state, offset, bytes, on_hit);
        self.run(state, offset, bytes, on_hit, on_marker);
        state.next = offset.saturating_add(bytes.len() as u64);
        let keep = self.keep as u64;
        state.recent.retain(|recent| recent.end.saturating_add(keep) > state.next);
        if let Some(last) = bytes.len().checked_sub(self.keep).and_then(|from| bytes.get(from..)) {
            state.tail.clear();
            state.tail.extend_from_slice(last);
        } else {
            let excess = (state.tail.len() + bytes.len()).saturating_sub(self.keep);
            state.tail.drain(..excess.min(state.tail.len()));
            state.tail.extend_from_slice(bytes);
        }
    }

    /// Searches bytes that stand alone (a datagram); offsets count from `offset`.
    pub fn scan(&self, offset: u64, bytes: &[u8], on_hit: &mut impl FnMut(Hit)) {
        if !self.is_empty() {
            self.run(&mut CanaryState::default(), offset, bytes, on_hit, &mut |_, _| ());
        }
    }

    /// `text` with every canary in it, in each form that is searched for, replaced by its name; `None` when there is none.
    ///
    /// For texts of the traffic that outputs quote: names, targets, subjects.
    #[must_use]
    pub fn masked(&self, text: &str) -> Option<String> {
        let mut ranges: Vec<(usize, usize, usize)> = Vec::new();
        self.scan(0, text.as_bytes(), &mut |hit| {
            ranges.push((hit.start as usize, hit.end as usize, hit.canary));
        });
        ranges.sort_unstable();
        let (mut out, mut at) = (String::new(), 0);
        for (start, end, canary) in &ranges {
            // Forms may overlap; what is hidden already stays so.
            let end = (*end).min(text.len());
            if end <= at {
                continue;
            }
            let start = (*start).max(at);
            let first = (0..=start).rev().find(|i| text.is_char_boundary(*i)).unwrap_or_default().max(at);
            out.push_str(text.get(at..first).unwrap_or_default());
            out.push_str(&format!("…({})", self.name(*canary)));
            at = (end..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
        }
        if ranges.is_empty() {
            return None;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        Some(out)
    }

    /// Masks canaries in every text of a JSON value.
    pub fn mask_value(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => self.mask(text),
            serde_json::Value::Array(list) => list.iter_mut().for_each(|v| self.mask_value(v)),
            serde_json::Value::Object(map) => map.values_mut().for_each(|v| self.mask_value(v)),
            _ => {}
        }
    }

    /// Masks canaries in place.
    pub fn mask(&self, text: &mut String) {
        if let Some(masked) = self.masked(text) {
            *text = masked;
        }
    }

    /// The hit as a finding. In clear a canary is `high`; behind the auditor's keys it reached the server only and
    /// is `medium`.
    #[must_use]
    pub fn finding(&self, hit: &Hit, masking: Masking, decrypted: bool) -> RawFinding {
        let (name, value) =
            self.canaries.get(hit.canary).map_or(("", ""), |c| (c.name.as_str(), c.value.as_str()));
        let severity = if decrypted { Severity::Medium } else { Severity::High };
        RawFinding {
            kind: FindingKind::Canary,
            severity,
            what: format!("canary {name}: {}", masking.apply_any(value)),
            encoding: hit.encoding.clone(),
            range: (hit.start, hit.end),
            decrypted,
            ..RawFinding::default()
        }
    }

    fn run(
        &self,
        state: &mut CanaryState,
        offset: u64,
        bytes: &[u8],
        on_hit: &mut impl FnMut(Hit),
        on_marker: &mut impl FnMut(Marker, u64),
    ) {
        let mut window = state.window;
        let mut meant = Vec::new();
        self.tables.search(&mut window, bytes, &mut |done, there, stop| {
            let mut here: Vec<Candidate> = Vec::new();
            let view = View { tail: &state.tail, bytes, done };
            self.tables.candidates(there, stop, &view, &mut meant);
            for meant in &meant {
                match *meant {
                    Meant::Marker(place) => {
                        if let Some((marker, at)) = self.marker(place, &view, offset) {
                            on_marker(marker, at);
                        }
                    }
                    Meant::Number(canary) => here.extend(self.confirm_number(canary, &view, offset)),
                    Meant::Form(canary, kind, print) => {
                        let forms = self.forms_of(canary).and_then(|f| f.by_print.get(&(kind, print)));
                        let confirmed = forms
                            .into_iter()
                            .flatten()
                            .filter_map(|f| self.confirm(canary, *f, &view, offset));
                        here.extend(confirmed);
                    }
                }
            }
            // What reaches further says more: both alphabets of base64 agree on the beginning of many a digest. Of equals the
            // simplest, unless another explains two bytes more for each layer: a layer that changed nothing is none.
            here.sort_by_key(|c| {
                (
                    c.inexact,
                    std::cmp::Reverse(c.hit.end),
                    c.hit.start + 2 * c.hit.encoding.len() as u64,
                    c.hit.encoding.len(),
                )
            });
            for Candidate { hit, inexact, open } in here {
                // One that begins like the one reported may still prove to be what goes on.
                state.open.extend(open.filter(|_| state.open.len() < MAX_OPEN));
                if unknown(state, &hit, inexact) {
                    on_hit(hit);
                }
            }
        });
        state.window = window;
    }

    /// The marker that ends where the view ends, and the offset of its first byte.
    fn marker(&self, place: u32, view: &View<'_>, offset: u64) -> Option<(Marker, u64)> {
        let marker = *self.markers.get(place as usize)?;
        let seen = view.behind(&marker.bytes)?;
        let exact = seen.bytes == marker.bytes && !seen.folded && marker.may_follow(view.at(seen.start - 1));
        exact.then(|| (marker, offset.saturating_add_signed(seen.start as i64)))
    }

    fn forms_of(&self, canary: u32) -> Option<&Forms> {
        let canary = self.canaries.get(canary as usize)?;
        Some(canary.forms.get_or_init(|| Forms::new(&canary.value, &self.keys)))
    }

    fn form(&self, canary: u32, form: u32) -> Option<&Form> {
        self.forms_of(canary)?.list.get(form as usize)
    }

    /// The hit of a form that ends where the view ends, or with its cut part, unless its case is wrong.
    fn confirm(&self, canary: u32, place: u32, view: &View<'_>, offset: u64) -> Option<Candidate> {
        let (bytes, done) = (view.bytes, view.done);
        let form = self.form(canary, place)?;
        let canary = canary as usize;
        let (least, more) = form.bytes.split_at_checked(form.least())?;
        let mut seen = view.behind(least)?;
        let (ahead, taken, open) = View::ahead(bytes.get(done..)?, more);
        let whole = ahead.len();
        seen.bytes.extend(ahead);
        // A cut digest ends where it was cut, whatever stands behind it.
        let length = length_of(form, seen.bytes.len());
        let cased = form.case.judge(form.bytes.get(..length)?, seen.bytes.get(..length)?)?;
        let end = if length == least.len() {
            done
        } else if length == least.len() + whole {
            done + taken
        } else {
            done + (length - least.len())
        };
        let start = offset.saturating_add_signed(seen.start as i64);
        let hit = Hit {
            canary,
            encoding: self.encoding(form, length, cased, seen.folded),
            start,
            end: offset.saturating_add(end as u64),
        };
        let open = open.then_some(Open { canary, form: place, start, seen: seen.bytes, folded: seen.folded });
        Some(Candidate { hit, inexact: cased || form.cased || form.is_spelled(), open })
    }

    /// Digests that were cut by the end of the bytes before.
    fn reopen(&self, state: &mut CanaryState, offset: u64, bytes: &[u8], on_hit: &mut impl FnMut(Hit)) {
        let mut longer: Vec<Hit> = Vec::new();
        for mut open in std::mem::take(&mut state.open) {
            let Some(form) = self.form(open.canary as u32, open.form) else { continue };
            let before = length_of(form, open.seen.len());
            let Some(more) = form.bytes.get(open.seen.len()..) else { continue };
            let (ahead, taken, again) = View::ahead(bytes, more);
            let had = open.seen.len();
            open.seen.extend(ahead);
            let length = length_of(form, open.seen.len());
            let parts = form.bytes.get(..length).zip(open.seen.get(..length));
            let Some(cased) = parts.and_then(|(want, seen)| form.case.judge(want, seen)) else { continue };
            if length > before {
                let end = if length == open.seen.len() { taken } else { length.saturating_sub(had) };
                longer.push(Hit {
                    canary: open.canary,
                    encoding: self.encoding(form, length, cased, open.folded),
                    start: open.start,
                    end: offset.saturating_add(end as u64),
                });
            }
            if again {
                state.open.push(open);
            }
        }
        // Of those that began alike, the one that goes on furthest.
        longer.sort_by_key(|hit| (hit.canary, hit.start, std::cmp::Reverse(hit.end), hit.encoding.len()));
        longer.dedup_by_key(|hit| (hit.canary, hit.start));
        longer.into_iter().for_each(on_hit);
    }

    fn encoding(&self, form: &Form, length: usize, cased: bool, folded: bool) -> Vec<String> {
        let mut encoding = form.encoding(length, &self.keys);
        if folded && !form.broken {
            encoding.insert(0, "folded".to_owned());
        }
        if cased || form.cased {
            encoding.push("case".to_owned());
        }
        encoding
    }

    /// The hit of a telephone number whose last digit is the last byte of the view.
    fn confirm_number(&self, canary: u32, view: &View<'_>, offset: u64) -> Option<Candidate> {
        let (canary, done) = (canary as usize, view.done);
        let number = self.canaries.get(canary)?.number.as_ref()?;
        let (start, spelled) = view.number(&number.country, &number.national)?;
        let hit = Hit {
            canary,
            encoding: spelled.into_iter().map(str::to_owned).collect(),
            start: offset.saturating_add_signed(start as i64),
            end: offset.saturating_add(done as u64),
        };
        Some(Candidate { hit, inexact: true, open: None })
    }
}

/// How much of a form counts, when so much of it was seen: all, or up to the last cut.
fn length_of(form: &Form, seen: usize) -> usize {
    if seen >= form.bytes.len() {
        return form.bytes.len();
    }
    form.cuts
        .iter()
        .rev()
        .map(|(length, _)| *length)
        .find(|length| *length <= seen)
        .unwrap_or(form.bytes.len())
}

/// Notes a hit; `false` when one that it overlaps was reported already.
fn unknown(state: &mut CanaryState, hit: &Hit, inexact: bool) -> bool {
    let known = |r: &Recent| r.canary == hit.canary && r.end > hit.start && (inexact || !r.inexact);
    if state.recent.iter().any(known) {
        return false;
    }
    state.recent.retain(|r| r.canary != hit.canary || r.inexact != inexact);
    state.recent.push(Recent { canary: hit.canary, inexact, end: hit.end });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_canaries_are_refused() {
        let list = [("a".to_owned(), "geheimnis-4711".to_owned())];
        assert!(CanarySet::within(&list, Keys::embedded(), 5000).unwrap().forms() > 300);
        let error = CanarySet::within(&list, Keys::embedded(), 300).unwrap_err();
        assert_eq!(error, CanaryError::TooMany);
    }

    #[test]
    fn a_digest_that_goes_on_is_given_again() {
        let set = CanarySet::new(&[("a".into(), "geheimnis".into())]).unwrap();
        let digest = <sha2::Sha256 as sha2::Digest>::digest(b"geheimnis").to_vec();
        let found = |pieces: &[&[u8]]| {
            let (mut state, mut at, mut hits) = (CanaryState::default(), 0, Vec::new());
            for piece in pieces {
                set.feed(&mut state, at, piece, &mut |hit| {
                    hits.push(format!("{} {}-{}", hit.encoding.join(","), hit.start, hit.end));
                });
                at += piece.len() as u64;
            }
            hits.join(" | ")
        };
        assert_eq!(found(&[&digest]), "sha256 0-32");
        assert_eq!(found(&[&digest[..16], b"xxxx"]), "sha256/16 0-16");
        assert_eq!(found(&[&digest[..20]]), "sha256/16 0-16");
        assert_eq!(
            found(&[b"xx", &digest[..10], &digest[10..12], &digest[12..]]),
            "sha256/10 2-12 | sha256 2-34"
        );
        assert_eq!(found(&[&digest[..7]]), "");
    }
}
