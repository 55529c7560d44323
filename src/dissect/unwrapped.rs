//! Content behind a wrapping (a mask, a compression, chunks) that is searched for canaries and by rules apart from the stream's own bytes.
//!
//! Takes the content of one message in order, each part with the frames it came from; gives findings whose encoding names the
//! wrapping. Holds the search's state and the frames of the last few kilobytes, never the content. [`Cx::search`] is the way
//! in; what a dissector does not unwrap is not seen here.
//!
//! [`Cx::search`]: super::Cx::search

use std::borrow::Cow;
use std::collections::VecDeque;

use super::Options;
use crate::model::Direction;
use crate::payload::{Found, RawFinding, Room, Scanner, Search, Sighting};

/// Content that stays known by its frames: no form of a canary is longer (a value of 1024 bytes, percent-encoded).
const KEPT: u64 = 4096;
/// Parts, and frames of one hit, that are kept at most.
const MAX_PARTS: usize = 1024;

/// One part of the content.
#[derive(Debug)]
struct Part {
    /// Where it begins in the content.
    start: u64,
    /// Where it begins in the stream.
    offset: u64,
    frames: Vec<u64>,
    /// In the stream it does not adjoin the part before.
    apart: bool,
}

/// The content of one message, as far as it was searched.
#[derive(Debug)]
pub(super) struct Unwrapped {
    layers: Cow<'static, [&'static str]>,
    only_across: bool,
    whole: bool,
    scanner: Scanner,
    rules: Search,
    /// Content so far.
    next: u64,
    parts: VecDeque<Part>,
    border: bool,
}

impl Unwrapped {
    /// Content that stands in the stream in another form; `layers` name the wrappings, outermost first.
    pub(super) fn new(layers: impl Into<Cow<'static, [&'static str]>>) -> Unwrapped {
        Unwrapped {
            layers: layers.into(),
            only_across: false,
            whole: false,
            scanner: Scanner::default(),
            rules: Search::default(),
            next: 0,
            parts: VecDeque::new(),
            border: false,
        }
    }

    /// Content that stands in the stream as it is, in pieces with a [`Unwrapped::border`] between them: what lies within one
    /// piece is found in the stream, and only what crosses a border here.
    pub(super) fn pieces(layers: impl Into<Cow<'static, [&'static str]>>) -> Unwrapped {
        Unwrapped { only_across: true, ..Unwrapped::new(layers) }
    }

    /// Content that can be unwrapped only from its beginning (a compression): a hit rests on all frames up to it.
    pub(super) fn from_beginning(layers: impl Into<Cow<'static, [&'static str]>>) -> Unwrapped {
        Unwrapped { whole: true, ..Unwrapped::new(layers) }
    }

    /// The wrappings, outermost first; none where the pieces stand in the stream as they are.
    pub(super) fn layers(&self) -> Vec<String> {
        let layers = if self.only_across { &[][..] } else { &self.layers };
        layers.iter().map(|layer| (*layer).to_owned()).collect()
    }

    /// What comes next does not adjoin in the stream what came before.
    pub(super) fn border(&mut self) {
        self.border = true;
    }

    /// Content is missing here.
    pub(super) fn gap(&mut self) {
        self.scanner = Scanner::default();
        self.rules = Search::default();
        self.parts.clear();
    }

    /// What it unpacks shares this room.
    pub(super) fn share(&mut self, room: &Room) {
        self.scanner.share(room);
    }

    /// Searches the next part; gives hits with their frames, and in words what was given up.
    pub(super) fn search(
        &mut self,
        data: &[u8],
        frames: Vec<u64>,
        offset: u64,
        direction: Direction,
        options: &Options,
    ) -> Vec<(Vec<u64>, Result<RawFinding, String>)> {
        let (canaries, rules) = (&options.canaries, &options.rules);
        if (canaries.is_empty() && rules.is_empty()) || (data.is_empty() && !self.whole) {
            return Vec::new();
        }
        let apart = std::mem::take(&mut self.border);
        self.parts.push_back(Part { start: self.next, offset, frames, apart });
        let (mut hits, mut found, mut sightings) = (Vec::new(), Vec::new(), Vec::new());
        self.scanner.feed(canaries, self.next, data, true, &mut |_, _| Vec::new(), &mut |what| match what {
            // A container's range is a range of the content like any other: its frames are found by it.
            Found::Here(hit) | Found::Within(hit, _) => hits.push(hit),
            Found::GivenUp(_, why) => found.push((Vec::new(), Err(why))),
        });
        self.rules.feed(rules, self.next, data, &mut |s| sightings.push(s));
        self.next += data.len() as u64;
        let masking = options.masking();
        found.extend(hits.iter().filter_map(|hit| self.placed(canaries.finding(hit, masking, false))));
        found.extend(self.tell(&sightings, direction, options));
        self.forget();
        found
    }

    /// No more content comes, or not what adjoins: gives what may have gone on.
    pub(super) fn finish(
        &mut self,
        direction: Direction,
        options: &Options,
    ) -> Vec<(Vec<u64>, Result<RawFinding, String>)> {
        let (mut hits, mut found, mut sightings) = (Vec::new(), Vec::new(), Vec::new());
        self.scanner.finish(&options.canaries, &mut |what| match what {
            Found::Here(hit) | Found::Within(hit, _) => hits.push(hit),
            Found::GivenUp(_, why) => found.push((Vec::new(), Err(why))),
        });
        let masking = options.masking();
        found
            .extend(hits.iter().filter_map(|hit| self.placed(options.canaries.finding(hit, masking, false))));
        self.rules.finish(&options.rules, &mut |s| sightings.push(s));
        found.extend(self.tell(&sightings, direction, options));
        found
    }

    fn tell(
        &self,
        sightings: &[Sighting],
        direction: Direction,
        options: &Options,
    ) -> Vec<(Vec<u64>, Result<RawFinding, String>)> {
        let finding = |s: &Sighting| self.placed(s.finding(&options.rules, options.masking(), direction));
        sightings.iter().filter_map(finding).collect()
    }

    /// A finding by its place in the content, with frames, layers and its place in the stream; `None` where the stream itself
    /// holds it.
    fn placed(&self, mut raw: RawFinding) -> Option<(Vec<u64>, Result<RawFinding, String>)> {
        let (start, end) = raw.range;
        if self.only_across && !self.parts.iter().any(|p| p.apart && start < p.start && p.start < end) {
            return None;
        }
        let from = self.parts.iter().rposition(|p| p.start <= start).unwrap_or_default();
        let covering =
            self.parts.iter().enumerate().filter(|(at, p)| (self.whole || *at >= from) && p.start < end);
        let mut frames: Vec<u64> = covering.flat_map(|(_, p)| p.frames.iter().copied()).collect();
        frames.sort_unstable();
        frames.dedup();
        frames.truncate(MAX_PARTS);
        raw.encoding.splice(0..0, self.layers.iter().map(|layer| (*layer).to_owned()));
        // Behind a compression only the place where the part begins means anything.
        let part = self.parts.get(from);
        // Of content in very many parts the first may be forgotten.
        let within = if self.whole { 0 } else { part.map_or(0, |p| start.saturating_sub(p.start)) };
        let first = part.map_or(0, |p| p.offset) + within;
        raw.range = (first, first + (end - start));
        Some((frames, Ok(raw)))
    }

    /// Lets go of parts that no later hit can lie in.
    fn forget(&mut self) {
        let over = |second: &Part| !self.whole && second.start + KEPT < self.next;
        while self.parts.len() > MAX_PARTS || self.parts.get(1).is_some_and(over) {
            // From the beginning, the first frames say more than those in the middle.
            if self.whole {
                self.parts.remove(MAX_PARTS / 2)
            } else {
                self.parts.pop_front()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::CanarySet;

    fn options() -> Options {
        let canaries = CanarySet::new(&[("c".into(), "canary-4711".into())]).unwrap();
        Options { canaries: std::sync::Arc::new(canaries), ..Options::default() }
    }

    /// Frames, layers and offset of what is found in `parts`: content, frame, stream offset, border before it.
    fn found(mut content: Unwrapped, parts: &[(&str, u64, u64, bool)]) -> String {
        let (mut all, options) = (Vec::new(), options());
        for (text, frame, offset, border) in parts {
            if *border {
                content.border();
            }
            for (frames, raw) in
                content.search(text.as_bytes(), vec![*frame], *offset, Direction::Up, &options)
            {
                let raw = raw.unwrap();
                all.push(format!("{frames:?} {} at {}", raw.encoding.join(","), raw.range.0));
            }
        }
        all.join(" | ")
    }

    #[test]
    fn hits_have_their_frames_layers_and_offsets() {
        let parts = &[
            ("xx", 1, 10, false),
            ("xxcana", 2, 20, false),
            ("ry-4711", 3, 30, false),
            ("CANARY-4711", 4, 99, false),
        ];
        assert_eq!(found(Unwrapped::new(&["mask"]), parts), "[2, 3] mask at 22 | [4] mask,case at 99");
        assert_eq!(
            found(Unwrapped::from_beginning(&["gzip"]), parts),
            "[1, 2, 3] gzip at 20 | [1, 2, 3, 4] gzip,case at 99"
        );
        assert_eq!(found(Unwrapped::pieces(&["chunked"]), parts), "", "the stream itself holds them");
        let pieces = &[("can", 1, 0, false), ("ary-", 1, 3, false), ("4711 canary-4711", 2, 11, true)];
        assert_eq!(found(Unwrapped::pieces(&["chunked"]), pieces), "[1, 2] chunked at 0");
    }

    #[test]
    fn a_hit_that_begins_before_the_parts_that_are_kept_is_told() {
        let value = "0123456789abcdef".repeat(64);
        let set = crate::payload::CanarySet::new(&[("long".into(), value.clone())]).unwrap();
        let options = Options { canaries: std::sync::Arc::new(set), ..Options::default() };
        let mut content = Unwrapped::new(&[]);
        let told: Vec<_> = (0_u64..)
            .zip(value.bytes().flat_map(|b| format!("%{b:02x}").into_bytes()))
            .flat_map(|(n, byte)| content.search(&[byte], vec![n], n, Direction::Up, &options))
            .collect();
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn memory_is_bounded_and_gaps_part() {
        let (mut content, options) = (Unwrapped::new(&[]), options());
        for n in 0..20_000 {
            content.search(b"0123456789", vec![n], n * 10, Direction::Up, &options);
        }
        assert!(content.parts.len() < 420, "{}", content.parts.len());
        let mut whole = Unwrapped::from_beginning(&[]);
        for n in 0..5000 {
            whole.search(b"0", vec![n], n, Direction::Up, &options);
        }
        assert_eq!(whole.parts.len(), MAX_PARTS);
        content.search(b"canary", vec![1], 0, Direction::Up, &options);
        content.gap();
        assert!(content.search(b"-4711", vec![2], 0, Direction::Up, &options).is_empty());
    }
}
