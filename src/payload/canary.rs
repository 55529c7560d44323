//! Canaries: planted secrets that must not be seen, found in one pass over a stream.
//!
//! Takes names and values once ([`CanarySet::new`]), then the bytes of each direction in order; gives [`Hit`]s with
//! their encoding and stream offsets. A value may lie across any number of segments: the automaton's state and a
//! tail shorter than the longest form are kept, never the stream. One layer of encoding: no decompression, no
//! nesting, no line breaks within base64, no hashes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::{Anchored, MatchKind, StartKind, dfa, nfa};
use thiserror::Error;

use super::RawFinding;
use super::forms::{Form, add_forms};
use super::mask::Masking;
use crate::model::{FindingKind, Severity};

/// Shortest value: anything shorter turns up in traffic by chance.
pub const MIN_VALUE: usize = 4;
/// Longest value.
pub const MAX_VALUE: usize = 1024;
/// Most bytes that all forms of all canaries may have together; bounds the automaton's memory.
pub const MAX_FORMS: usize = 4 << 20;
/// Up to this many bytes of forms the faster, larger automaton is built.
const DFA_FORMS: usize = 64 << 10;

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
    /// More than [`MAX_FORMS`] or than the automaton can hold.
    #[error("the canaries are too many or too long to search at once: give fewer or shorter ones")]
    TooMany,
}

/// An occurrence of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Index for [`CanarySet::name`].
    pub canary: usize,
    /// Encodings around the value, outermost first; empty when it stands there as it is. `case` means that the
    /// letters differ in case only.
    pub encoding: &'static [&'static str],
    /// Stream offset of its first byte. In base64, of the first character that the value alone decides.
    pub start: u64,
    /// Stream offset after its last byte.
    pub end: u64,
}

/// Numbers the sets from 1: a fresh state belongs to none. The numbers reach no output.
static SETS: AtomicU64 = AtomicU64::new(1);

/// All canaries of a run in one automaton; shared by all threads.
#[derive(Debug)]
pub struct CanarySet {
    id: u64,
    canaries: Vec<(String, String)>,
    forms: Vec<Form>,
    longest: usize,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Empty,
    Dfa(dfa::DFA),
    Nfa(nfa::contiguous::NFA),
}

/// Where the search stands in one direction of one flow; [`Default`] is the beginning.
#[derive(Clone, Debug, Default)]
pub struct CanaryState {
    /// The set that `at` belongs to: a state of another automaton means nothing in this one.
    set: u64,
    at: Option<StateID>,
    /// Stream offset of the next byte.
    next: u64,
    /// Last bytes seen, while a form may have begun in them.
    tail: Vec<u8>,
    recent: Vec<Recent>,
}

/// A hit that later ones may overlap.
#[derive(Clone, Copy, Debug)]
struct Recent {
    canary: usize,
    inexact: bool,
    end: u64,
}

impl CanaryState {
    /// Forgets everything: what comes next does not adjoin what was seen.
    pub fn reset(&mut self) {
        *self = CanaryState::default();
    }
}

impl CanarySet {
    /// Builds the automaton for (name, value) pairs; the same pair given again is ignored.
    pub fn new(canaries: &[(String, String)]) -> Result<CanarySet, CanaryError> {
        let mut kept: Vec<(String, String)> = Vec::new();
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        let mut forms = Vec::new();
        for (place, (name, value)) in canaries.iter().enumerate() {
            let bytes = value.len();
            match bytes {
                _ if name.is_empty() => return Err(CanaryError::Nameless { number: place + 1 }),
                0 => return Err(CanaryError::Empty { name: name.clone() }),
                1..MIN_VALUE => return Err(CanaryError::TooShort { name: name.clone(), bytes }),
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
            add_forms(kept.len(), value, &mut forms);
            kept.push((name.clone(), value.clone()));
        }
        let engine = Engine::new(&forms)?;
        let longest = forms.iter().map(|form| form.bytes.len()).max().unwrap_or(0);
        let id = SETS.fetch_add(1, Ordering::Relaxed);
        Ok(CanarySet { id, canaries: kept, forms, longest, engine })
    }

    /// No canaries: every search returns at once.
    pub fn is_empty(&self) -> bool {
        self.canaries.is_empty()
    }

    /// Number of canaries.
    pub fn len(&self) -> usize {
        self.canaries.len()
    }

    /// Name of a canary; empty for an index that no hit has.
    pub fn name(&self, canary: usize) -> &str {
        self.canaries.get(canary).map_or("", |(name, _)| name)
    }

    /// Searches the next bytes of a stream, `offset` being that of their first one.
    ///
    /// Bytes that do not adjoin those before (a gap, another set) begin a new search by themselves. Hits come in
    /// the order of their ends. Of overlapping hits of one canary the first is given, and an exact one after an
    /// inexact one.
    pub fn feed(&self, state: &mut CanaryState, offset: u64, bytes: &[u8], on_hit: &mut impl FnMut(Hit)) {
        if self.is_empty() || bytes.is_empty() {
            return;
        }
        if state.set != self.id || state.next != offset {
            state.reset();
            state.set = self.id;
        }
        self.run(state, offset, bytes, on_hit);
        state.next = offset.saturating_add(bytes.len() as u64);
        state.recent.retain(|recent| recent.end.saturating_add(self.longest as u64) > state.next);
        let keep = self.longest.saturating_sub(1);
        if self.at_start(state) {
            state.tail.clear();
        } else if let Some(last) = bytes.len().checked_sub(keep).and_then(|from| bytes.get(from..)) {
            state.tail.clear();
            state.tail.extend_from_slice(last);
        } else {
            let excess = (state.tail.len() + bytes.len()).saturating_sub(keep);
            state.tail.drain(..excess.min(state.tail.len()));
            state.tail.extend_from_slice(bytes);
        }
    }

    /// Searches bytes that stand alone (a datagram); offsets count from `offset`.
    pub fn scan(&self, offset: u64, bytes: &[u8], on_hit: &mut impl FnMut(Hit)) {
        if !self.is_empty() {
            self.run(&mut CanaryState::default(), offset, bytes, on_hit);
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
        let (name, value) = self.canaries.get(hit.canary).map_or(("", ""), |(n, v)| (n.as_str(), v.as_str()));
        let severity = if decrypted { Severity::Medium } else { Severity::High };
        RawFinding {
            kind: FindingKind::Canary,
            severity,
            what: format!("canary {name}: {}", masking.apply_any(value)),
            encoding: hit.encoding.iter().map(|&layer| layer.to_owned()).collect(),
            range: (hit.start, hit.end),
            decrypted,
        }
    }

    fn run(&self, state: &mut CanaryState, offset: u64, bytes: &[u8], on_hit: &mut impl FnMut(Hit)) {
        // One copy of the loop for each automaton: a call per byte would cost more than the step itself.
        match &self.engine {
            Engine::Empty => {}
            Engine::Dfa(automaton) => self.step(automaton, state, offset, bytes, on_hit),
            Engine::Nfa(automaton) => self.step(automaton, state, offset, bytes, on_hit),
        }
    }

    fn step<A: Automaton>(
        &self,
        automaton: &A,
        state: &mut CanaryState,
        offset: u64,
        bytes: &[u8],
        on_hit: &mut impl FnMut(Hit),
    ) {
        let Some(mut at) = state.at.or_else(|| automaton.start_state(Anchored::No).ok()) else { return };
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let (next, taken) = advance(automaton, at, rest);
            at = next;
            done += taken;
            if automaton.is_match(at) {
                for place in 0..automaton.match_len(at) {
                    let form = self.forms.get(automaton.match_pattern(at, place).as_usize());
                    if let Some(hit) = form.and_then(|form| confirm(form, state, offset, bytes, done)) {
                        on_hit(hit);
                    }
                }
            }
        }
        state.at = Some(at);
    }

    fn at_start(&self, state: &CanaryState) -> bool {
        state.at.is_none_or(|at| match &self.engine {
            Engine::Empty => true,
            Engine::Dfa(automaton) => automaton.is_start(at),
            Engine::Nfa(automaton) => automaton.is_start(at),
        })
    }
}

/// Steps up to and including the next byte at which a form ends: the state there and the bytes taken.
///
/// Apart from the rest of the search, so that the state stays in a register: this loop is what every byte costs.
#[inline(never)]
fn advance<A: Automaton>(automaton: &A, mut at: StateID, bytes: &[u8]) -> (StateID, usize) {
    for (index, &byte) in bytes.iter().enumerate() {
        at = automaton.next_state(Anchored::No, at, byte);
        if automaton.is_special(at) && automaton.is_match(at) {
            return (at, index + 1);
        }
    }
    (at, bytes.len())
}

/// The hit of `form` that ends before `bytes[done]`, unless its case is wrong or it was reported already.
fn confirm(form: &Form, state: &mut CanaryState, offset: u64, bytes: &[u8], done: usize) -> Option<Hit> {
    let length = form.bytes.len();
    let here = bytes.get(..done)?;
    let (before, within) = if let Some(from) = here.len().checked_sub(length) {
        (&[][..], here.get(from..)?)
    } else {
        let from = state.tail.len().checked_sub(length - here.len())?;
        (state.tail.get(from..)?, here)
    };
    let encoding = form.judge(before.iter().chain(within).copied())?;
    let end = offset.saturating_add(here.len() as u64);
    let hit = Hit { canary: form.canary, encoding, start: end.saturating_sub(length as u64), end };
    let inexact = encoding.last() == Some(&"case");
    let known = |r: &Recent| r.canary == hit.canary && r.end > hit.start && (inexact || !r.inexact);
    if state.recent.iter().any(known) {
        return None;
    }
    state.recent.retain(|r| r.canary != hit.canary || r.inexact != inexact);
    state.recent.push(Recent { canary: hit.canary, inexact, end });
    Some(hit)
}

impl Engine {
    fn new(forms: &[Form]) -> Result<Engine, CanaryError> {
        if forms.is_empty() {
            return Ok(Engine::Empty);
        }
        let size: usize = forms.iter().map(|form| form.bytes.len()).sum();
        if size > MAX_FORMS {
            return Err(CanaryError::TooMany);
        }
        let patterns = forms.iter().map(|form| &form.bytes);
        // `Standard` reports every form that ends at a byte; a prefilter would need to be driven by hand.
        if size <= DFA_FORMS {
            let mut builder = dfa::Builder::new();
            builder.match_kind(MatchKind::Standard).start_kind(StartKind::Unanchored);
            builder.ascii_case_insensitive(true).prefilter(false);
            builder.build(patterns).map(Engine::Dfa).map_err(|_| CanaryError::TooMany)
        } else {
            let mut builder = nfa::contiguous::Builder::new();
            builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true).prefilter(false);
            builder.build(patterns).map(Engine::Nfa).map_err(|_| CanaryError::TooMany)
        }
    }
}
