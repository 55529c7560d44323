//! The anchors of all rules, sought in one pass over readable bytes.
//!
//! Takes a stretch of text; gives where anchors begin, with the rules that they belong to. One step of the automaton waits for the one
//! before it, so a long stretch is gone through in several places side by side, which takes half the time.

use std::ops::Range;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

/// Bytes of a stretch whose anchors are told together: hostile ones have one at every byte.
const AT_ONCE: usize = 16 << 10;

/// Finds anchors in any case.
#[derive(Debug)]
pub(super) struct Anchors {
    automaton: DFA,
    start: StateID,
    /// For each anchor the rules that it belongs to, as bits.
    rules: Vec<u128>,
    /// Bytes of the longest anchor.
    longest: usize,
}

impl Anchors {
    /// Of texts and the rules that each belongs to.
    ///
    /// # Errors
    /// In words, where the automaton would be too large.
    pub(super) fn new(words: Vec<(String, u128)>) -> Result<Anchors, String> {
        let refused = |e: &dyn std::fmt::Display| format!("the anchors cannot be searched at once: {e}");
        let automaton = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .prefilter(false)
            .build(words.iter().map(|(word, _)| word))
            .map_err(|e| refused(&e))?;
        let start = automaton.start_state(Anchored::No).map_err(|e| refused(&e))?;
        let longest = words.iter().map(|(word, _)| word.len()).max().unwrap_or(1);
        Ok(Anchors { automaton, start, rules: words.into_iter().map(|(_, rules)| rules).collect(), longest })
    }

    /// Tells where anchors begin in `text`, with their rules; overlapping ones too, in order but for those across a border of
    /// [`AT_ONCE`] bytes.
    pub(super) fn find(&self, text: &[u8], tell: &mut dyn FnMut(usize, u128)) {
        let mut found = Vec::new();
        for from in (0..text.len()).step_by(AT_ONCE) {
            let part = from..text.len().min(from + AT_ONCE);
            // Each place but the first begins with the longest anchor's bytes before it: a third more at most.
            match part.len() / (3 * self.longest) {
                0 | 1 => self.side_by_side::<1>(text, part, &mut found),
                2 | 3 => self.side_by_side::<2>(text, part, &mut found),
                _ => self.side_by_side::<4>(text, part, &mut found),
            }
            found.sort_unstable_by_key(|(at, _)| *at);
            found.drain(..).for_each(|(at, rules)| tell(at, rules));
        }
    }

    /// Finds the anchors that end in a part of `text`, in `N` places of equal length.
    fn side_by_side<const N: usize>(&self, text: &[u8], part: Range<usize>, found: &mut Vec<(usize, u128)>) {
        let each = part.len() / N;
        let begin = |n: usize| part.start + n * each;
        let mut places: [_; N] =
            std::array::from_fn(|n| text.get(begin(n)..begin(n + 1)).unwrap_or_default().iter());
        let mut states: [StateID; N] = std::array::from_fn(|n| {
            let before = text.get(begin(n).saturating_sub(self.longest - 1)..begin(n)).unwrap_or_default();
            before.iter().fold(self.start, |state, byte| self.next(state, *byte))
        });
        for at in 1..=each {
            let mut special = false;
            for (state, place) in states.iter_mut().zip(&mut places) {
                let Some(byte) = place.next() else { return };
                *state = self.next(*state, *byte);
                special |= self.automaton.is_special(*state);
            }
            if special {
                for (n, state) in states.iter().enumerate() {
                    self.add(*state, begin(n) + at, found);
                }
            }
        }
        // What does not go into equal lengths.
        let mut state = states.last().copied().unwrap_or(self.start);
        for (end, byte) in (begin(N) + 1..).zip(text.get(begin(N)..part.end).unwrap_or_default()) {
            state = self.next(state, *byte);
            self.add(state, end, found);
        }
    }

    fn next(&self, state: StateID, byte: u8) -> StateID {
        self.automaton.next_state(Anchored::No, state, byte)
    }

    /// The anchors that end before `end`, where the automaton is in `state`.
    #[inline(never)]
    fn add(&self, state: StateID, end: usize, found: &mut Vec<(usize, u128)>) {
        if !self.automaton.is_match(state) {
            return;
        }
        for n in 0..self.automaton.match_len(state) {
            let anchor = self.automaton.match_pattern(state, n);
            let rules = self.rules.get(anchor.as_usize()).copied().unwrap_or_default();
            found.push((end - self.automaton.pattern_len(anchor), rules));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_anchors_are_found_at_every_place_of_texts_of_every_length() {
        let words = ["@", "+4", "mac", "mac=", "macaddr", "addr", "password\"", "a_long_name_for_a_field"];
        let anchors =
            Anchors::new(words.iter().enumerate().map(|(n, w)| ((*w).to_owned(), 1 << n)).collect()).unwrap();
        for length in (0..700).chain([AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE + 300]) {
            let mut text: Vec<u8> = (0..length).map(|n| b"macd+4 @Addr"[n % 12]).collect();
            for (n, word) in words.iter().cycle().take(length / 40).enumerate() {
                let at = (n * 37 + length) % length;
                for (slot, byte) in text.iter_mut().skip(at).zip(word.to_ascii_uppercase().bytes()) {
                    *slot = byte;
                }
            }
            let mut slow: Vec<(usize, u128)> = Vec::new();
            for at in 0..length {
                for (n, word) in words.iter().enumerate() {
                    if text[at..].get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word.as_bytes())) {
                        slow.push((at, 1 << n));
                    }
                }
            }
            let mut found = Vec::new();
            anchors.find(&text, &mut |at, rules| found.push((at, rules)));
            assert!(length > AT_ONCE || found.is_sorted_by_key(|(at, _)| *at));
            found.sort_unstable();
            assert_eq!(found, slow, "in {length} bytes");
        }
    }
}
