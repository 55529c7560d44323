//! One direction of a TCP connection, put in order (RFC 9293 section 3.4).
//!
//! Takes segments as captured; gives stream bytes in order, each range with the frames it came from. Handles segments out
//! of order, retransmissions and overlaps (the bytes seen first win), wrap-around, a start in mid-stream and gaps.
//! Copies only what has to wait. Knows nothing of what the bytes mean.

use std::collections::{BTreeMap, VecDeque};

use crate::model::CaptureTime;

/// Bytes that may wait for a missing segment, each direction; beyond it the gap is accepted.
pub(super) const MAX_WAITING: usize = 1 << 20;

/// A segment farther away than this is held apart until others, or the receiver, confirm it.
const MAX_AHEAD: i64 = 16 << 20;

/// Segments that are held apart; of more the oldest is given up.
const MAX_STRAYS: usize = 8;

/// Segments where the stream stands that may follow one held apart before that is given up: what was sent out of order comes sooner.
const STRAY_PATIENCE: u8 = 16;

/// Packets that may pass after the receiver acknowledged the missing bytes before the gap is accepted.
const PATIENCE: u32 = 8;

/// Provenance behind the read position that is kept, so that a match which began earlier still names its frames.
const KEPT_BEHIND: u64 = 8192;

/// A run of stream bytes and the frame that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Stream offset of the first byte.
    pub start: u64,
    /// Stream offset behind the last byte.
    pub end: u64,
    /// The frame.
    pub frame: u64,
    /// The frame's time.
    pub time: CaptureTime,
    /// File offset of the first byte.
    pub file_offset: u64,
}

/// Which frames brought which bytes of a stream, ascending by offset.
#[derive(Clone, Debug, Default)]
pub(super) struct Provenance {
    segments: VecDeque<Segment>,
}

impl Provenance {
    /// Notes a run; runs come in stream order.
    pub(super) fn push(&mut self, segment: Segment) {
        self.segments.push_back(segment);
    }

    /// Forgets runs that end more than 8 KiB before `position`.
    pub(super) fn forget_before(&mut self, position: u64) {
        let limit = position.saturating_sub(KEPT_BEHIND);
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.end <= limit) {
            self.segments.pop_front();
        }
    }

    /// Runs that overlap `start..end`. An empty range gives the run that holds or ends at `start`.
    pub(super) fn covering(&self, start: u64, end: u64) -> impl Iterator<Item = &Segment> {
        let end = end.max(start + 1);
        let first = self.segments.partition_point(|s| s.end <= start);
        self.segments.range(first..).take_while(move |s| s.start < end)
    }
}

/// What has to happen with the bytes of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// The next bytes of the stream.
    Bytes(Segment, &'a [u8]),
    /// Bytes that are missing in the capture.
    Gap(u64),
    /// Bytes that were there already.
    Again(u64),
    /// Bytes of a segment that was far from where the stream stands, and that nothing confirmed; with its frame.
    Stray(Segment),
}

struct Waiting {
    data: Vec<u8>,
    frame: u64,
    time: CaptureTime,
    file_offset: u64,
}

impl Waiting {
    /// The sequence number behind it, where its first byte has `seq`.
    fn end(&self, seq: u32) -> u32 {
        seq.wrapping_add(self.data.len() as u32)
    }

    /// Its bytes as a run of their own.
    fn segment(&self) -> Segment {
        let Waiting { frame, time, file_offset, .. } = *self;
        Segment { start: 0, end: self.data.len() as u64, frame, time, file_offset }
    }
}

/// Orders one direction.
#[derive(Default)]
pub(super) struct Half {
    /// Sequence number of stream offset `next`; `None` before the first segment.
    next_seq: Option<u32>,
    /// Stream offset of the next byte expected.
    pub(super) next: u64,
    waiting: BTreeMap<u64, Waiting>,
    waiting_bytes: usize,
    /// The receiver has acknowledged up to here.
    acked: u64,
    /// Packets seen since the receiver acknowledged beyond the gap.
    patience: u32,
    /// Segments far from where the stream stands, by arrival, each with its sequence number.
    strays: Vec<(u32, Waiting)>,
    /// Segments where the stream stands since the last of them.
    since_stray: u8,
    /// Stream offset of the sender's FIN.
    fin: Option<u64>,
}

impl Half {
    /// A SYN: the first byte has the next sequence number.
    pub(super) fn syn(&mut self, seq: u32) {
        if self.next_seq.is_none() {
            self.next_seq = Some(seq.wrapping_add(1));
        }
    }

    /// A FIN: the last byte comes before `seq`. Without an earlier segment nobody knows which offset that is. One that stands before
    /// bytes that were sent is none of the sender's own.
    pub(super) fn fin(&mut self, seq: u32) {
        if self.next_seq.is_some() && self.fin.is_none_or(|fin| fin < self.next) {
            self.fin = u64::try_from(self.offset_of(seq)).ok().filter(|fin| *fin >= self.next);
        }
    }

    /// The sequence number behind the last byte that was given or told as a gap, and how many bytes those are.
    #[must_use]
    pub(super) fn position(&self) -> Option<(u32, u64)> {
        self.next_seq.map(|seq| (seq, self.next))
    }

    /// All bytes before the FIN were given, or told as gaps.
    #[must_use]
    pub(super) fn ended(&self) -> bool {
        self.fin.is_some_and(|fin| self.next >= fin)
    }

    /// Whether a reset with this number ends the direction: only one that stands exactly where its receiver is may (RFC 5961
    /// section 3.2). Where that is the capture shows by what was sent and what was acknowledged; before either, any does.
    #[must_use]
    pub(super) fn may_reset(&self, seq: u32) -> bool {
        if self.next_seq.is_none() || self.strays.iter().any(|(s, w)| w.end(*s) == seq) {
            return true;
        }
        let Ok(at) = u64::try_from(self.offset_of(seq)) else { return false };
        let sent = self.waiting.last_key_value().map(|(start, w)| start + w.data.len() as u64);
        [Some(self.next), Some(self.acked), sent, self.fin, self.fin.map(|fin| fin + 1)].contains(&Some(at))
    }

    /// Bytes that wait for a missing segment, or to be confirmed.
    #[must_use]
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes + self.strays.iter().map(|(_, w)| w.data.len()).sum::<usize>()
    }

    /// The first frame that waits.
    #[must_use]
    pub(super) fn first_waiting_frame(&self) -> Option<u64> {
        self.waiting.values().chain(self.strays.iter().map(|(_, w)| w)).map(|w| w.frame).min()
    }

    /// The stream offset that `seq` stands for; negative before the start.
    fn offset_of(&self, seq: u32) -> i64 {
        let next_seq = self.next_seq.unwrap_or(seq);
        self.next as i64 + i64::from(seq.wrapping_sub(next_seq) as i32)
    }

    /// A segment with payload.
    pub(super) fn segment(
        &mut self,
        seq: u32,
        data: &[u8],
        (frame, time, file_offset): (u64, CaptureTime, u64),
        out: &mut dyn FnMut(Event<'_>),
    ) {
        if self.next_seq.is_none() {
            self.next_seq = Some(seq);
        }
        let start = self.offset_of(seq);
        if start - self.next as i64 > MAX_AHEAD || (self.next as i64 - start) > MAX_AHEAD {
            self.far_off(seq, data, (frame, time, file_offset), out);
            return;
        }
        if !self.strays.is_empty() {
            self.since_stray += 1;
            if self.since_stray > STRAY_PATIENCE {
                self.give_up_strays(out);
            }
        }
        let known = (self.next as i64 - start).clamp(0, data.len() as i64) as usize;
        if known > 0 {
            out(Event::Again(known as u64));
        }
        let fresh = data.get(known..).unwrap_or_default();
        if fresh.is_empty() {
            return;
        }
        let start = (start + known as i64) as u64;
        let file_offset = file_offset + known as u64;
        if start == self.next && self.waiting.is_empty() {
            self.give(start, fresh, frame, time, file_offset, out);
            return;
        }
        self.wait(start, fresh, frame, time, file_offset, out);
        self.release(out);
        while self.waiting_bytes > MAX_WAITING {
            self.accept_gap(out);
        }
    }

    /// The receiver of this direction acknowledged `ack_no`.
    pub(super) fn acknowledged(&mut self, ack_no: u32, out: &mut dyn FnMut(Event<'_>)) {
        if self.next_seq.is_none() {
            return;
        }
        let acked = self.offset_of(ack_no);
        if (acked - self.next as i64).abs() > MAX_AHEAD {
            self.confirm(ack_no, out);
            return;
        }
        self.acked = self.acked.max(acked.max(0) as u64);
        if self.waiting.first_key_value().is_some_and(|(start, _)| *start <= self.acked) {
            self.patience += 1;
            if self.patience > PATIENCE {
                self.accept_gap(out);
            }
        }
    }

    /// No more will come: what waits is given with the gaps before it.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        self.accept_gaps(out);
        // Where nothing came since where the stream stood, they are its end.
        let goes_on = self.since_stray == 0;
        while let Some(seq) = self.strays.first().map(|(seq, _)| *seq).filter(|_| goes_on) {
            self.move_to(seq, out);
            self.accept_gaps(out);
        }
        self.give_up_strays(out);
    }

    fn accept_gaps(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        while !self.waiting.is_empty() {
            self.accept_gap(out);
        }
    }

    fn give(
        &mut self,
        start: u64,
        data: &[u8],
        frame: u64,
        time: CaptureTime,
        file_offset: u64,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let end = start + data.len() as u64;
        self.next = end;
        self.next_seq = self.next_seq.map(|s| s.wrapping_add(data.len() as u32));
        out(Event::Bytes(Segment { start, end, frame, time, file_offset }, data));
    }

    /// Keeps those bytes of a segment that no waiting one has.
    fn wait(
        &mut self,
        start: u64,
        data: &[u8],
        frame: u64,
        time: CaptureTime,
        file_offset: u64,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let end = start + data.len() as u64;
        let mut at = start;
        let taken: Vec<(u64, u64)> = self
            .waiting
            .range(..end)
            .map(|(s, w)| (*s, *s + w.data.len() as u64))
            .rev()
            .take_while(|(_, e)| *e > start)
            .collect();
        let mut again = 0;
        for (s, e) in taken.into_iter().rev().chain([(end, end)]) {
            if at < s {
                let part = data.get((at - start) as usize..(s.min(end) - start) as usize).unwrap_or_default();
                self.waiting_bytes += part.len();
                let file_offset = file_offset + (at - start);
                self.waiting.insert(at, Waiting { data: part.to_vec(), frame, time, file_offset });
            }
            again += e.min(end).saturating_sub(s.max(at));
            at = at.max(e);
        }
        if again > 0 {
            out(Event::Again(again));
        }
    }

    /// Gives what is in order now.
    fn release(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() != self.next {
                break;
            }
            let w = entry.remove();
            self.waiting_bytes -= w.data.len();
            self.patience = 0;
            self.give(self.next, &w.data, w.frame, w.time, w.file_offset, out);
        }
    }

    fn accept_gap(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        let Some((start, _)) = self.waiting.first_key_value() else { return };
        let missing = start - self.next;
        self.next_seq = self.next_seq.map(|s| s.wrapping_add(missing as u32));
        self.next = *start;
        self.patience = 0;
        if missing > 0 {
            out(Event::Gap(missing));
        }
        self.release(out);
    }

    /// A segment far outside of the window: held apart. The third in a row moves the stream there.
    fn far_off(
        &mut self,
        seq: u32,
        data: &[u8],
        (frame, time, file_offset): (u64, CaptureTime, u64),
        out: &mut dyn FnMut(Event<'_>),
    ) {
        if self.strays.iter().any(|(s, w)| *s == seq && w.data.len() >= data.len()) {
            out(Event::Again(data.len() as u64));
            return;
        }
        if self.strays.len() >= MAX_STRAYS {
            let (_, oldest) = self.strays.remove(0);
            out(Event::Stray(oldest.segment()));
        }
        self.strays.push((seq, Waiting { data: data.to_vec(), frame, time, file_offset }));
        self.since_stray = 0;
        let ending_at = |at: u32| self.strays.iter().find(|(s, w)| w.end(*s) == at).map(|(s, _)| *s);
        if let Some(first) = ending_at(seq).and_then(ending_at) {
            self.move_to(first, out);
        }
    }

    /// The receiver acknowledged `ack_no`, far from where the stream stands: what was held apart before it is confirmed.
    fn confirm(&mut self, ack_no: u32, out: &mut dyn FnMut(Event<'_>)) {
        let distance = |seq: u32, w: &Waiting| ack_no.wrapping_sub(w.end(seq));
        // The one that lies farthest behind comes first.
        let first = self
            .strays
            .iter()
            .map(|(seq, w)| (distance(*seq, w), *seq))
            .filter(|(distance, _)| i64::from(*distance) <= MAX_AHEAD)
            .max_by_key(|(distance, _)| *distance);
        if let Some((_, seq)) = first {
            self.move_to(seq, out);
        }
    }

    /// The stream goes on at `seq`: what was held apart is given as far as it lies there, and all between is missing.
    fn move_to(&mut self, seq: u32, out: &mut dyn FnMut(Event<'_>)) {
        self.accept_gaps(out);
        // Those that came out of order lie before it.
        let before = |s: &u32| i64::from(seq.wrapping_sub(*s)) <= MAX_AHEAD;
        let seq = self
            .strays
            .iter()
            .map(|(s, _)| *s)
            .filter(before)
            .max_by_key(|s| seq.wrapping_sub(*s))
            .unwrap_or(seq);
        let missing = u64::from(seq.wrapping_sub(self.next_seq.unwrap_or(seq)));
        if missing > 0 {
            out(Event::Gap(missing));
        }
        self.next += missing;
        self.next_seq = Some(seq);
        self.patience = 0;
        let mut held = std::mem::take(&mut self.strays);
        held.sort_by_key(|(s, _)| s.wrapping_sub(seq));
        for (seq, w) in held {
            if (self.offset_of(seq) - self.next as i64).abs() > MAX_AHEAD {
                self.strays.push((seq, w));
            } else {
                self.segment(seq, &w.data, (w.frame, w.time, w.file_offset), out);
            }
        }
        // Those that are still apart saw others come where the stream stands.
        self.since_stray = 1;
    }

    /// Nothing confirmed them.
    fn give_up_strays(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        self.since_stray = 0;
        for (_, w) in self.strays.drain(..) {
            out(Event::Stray(w.segment()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds (seq, data, frame) and renders the events.
    fn run(isn: Option<u32>, segments: &[(u32, &[u8], u64)]) -> String {
        let mut half = Half::default();
        if let Some(isn) = isn {
            half.syn(isn);
        }
        let mut seen = String::new();
        let mut note = |e: Event<'_>| match e {
            Event::Bytes(s, d) => {
                assert_eq!(s.end - s.start, d.len() as u64);
                seen += &format!("{}@{}#{} ", String::from_utf8_lossy(d), s.start, s.frame);
            }
            Event::Gap(n) => seen += &format!("gap{n} "),
            Event::Again(n) => seen += &format!("again{n} "),
            Event::Stray(s) => seen += &format!("stray{}#{} ", s.end, s.frame),
        };
        for (seq, data, frame) in segments {
            half.segment(*seq, data, (*frame, CaptureTime(0), 0), &mut note);
        }
        half.finish(&mut note);
        seen.trim_end().to_owned()
    }

    #[test]
    fn segments_come_in_order_with_their_frames() {
        for (name, isn, segments, expected) in [
            ("in order", Some(99), vec![(100, &b"ab"[..], 1), (102, b"cd", 2)], "ab@0#1 cd@2#2"),
            ("out of order", Some(99), vec![(102, b"cd", 1), (100, b"ab", 2)], "ab@0#2 cd@2#1"),
            (
                "retransmission",
                Some(99),
                vec![(100, b"ab", 1), (100, b"XY", 2), (102, b"c", 3)],
                "ab@0#1 again2 c@2#3",
            ),
            (
                "overlap, first wins",
                Some(99),
                vec![(100, b"abc", 1), (101, b"XYZ", 2)],
                "abc@0#1 again2 Z@3#2",
            ),
            (
                "wait, overlap",
                Some(99),
                vec![(104, b"ef", 1), (102, b"cdXYg", 2), (100, b"ab", 3)],
                "again2 ab@0#3 cd@2#2 ef@4#1 g@6#2",
            ),
            (
                "wrap-around",
                Some(u32::MAX - 2),
                vec![(u32::MAX - 1, b"ab", 1), (0, b"cd", 2)],
                "ab@0#1 cd@2#2",
            ),
            ("mid-stream", None, vec![(5000, b"ab", 7), (5002, b"cd", 8)], "ab@0#7 cd@2#8"),
            ("gap at the end", Some(99), vec![(100, b"ab", 1), (110, b"kl", 2)], "ab@0#1 gap8 kl@10#2"),
            (
                "stray far ahead",
                Some(99),
                vec![(100, b"ab", 1), (0x6000_0000, b"zz", 2), (102, b"cd", 3)],
                "ab@0#1 cd@2#3 stray2#2",
            ),
            (
                "far ahead at the end",
                Some(99),
                vec![(100, b"ab", 1), (0x2000_0000, b"yy", 2), (0x2000_0002, b"zz", 3)],
                "ab@0#1 gap536870810 yy@536870812#2 zz@536870814#3",
            ),
            (
                "the third in a row far away, with a forged one between",
                Some(99),
                vec![
                    (100, b"ab", 1),
                    (0x9000_0000, b"xx", 2),
                    (0x6000_0000, b"no", 3),
                    (0x9000_0002, b"yy", 4),
                    (0x9000_0004, b"zz", 5),
                ],
                "ab@0#1 gap2415919002 xx@2415919004#2 yy@2415919006#4 zz@2415919008#5 stray2#3",
            ),
        ] {
            assert_eq!(run(isn, &segments), expected, "{name}");
        }
    }

    #[test]
    fn an_acknowledged_gap_is_accepted_after_some_packets() {
        let mut half = Half::default();
        half.syn(0);
        let mut seen = Vec::new();
        half.segment(11, b"kl", (1, CaptureTime(0), 0), &mut |_| seen.push("early"));
        for _ in 0..=PATIENCE {
            half.acknowledged(13, &mut |e| {
                seen.push(match e {
                    Event::Gap(10) => "gap",
                    Event::Bytes(..) => "bytes",
                    _ => "other",
                });
            });
        }
        assert_eq!(seen, ["gap", "bytes"]);
    }

    #[test]
    fn a_segment_far_ahead_is_given_when_it_is_acknowledged() {
        let mut half = Half::default();
        half.syn(99);
        let mut seen = Vec::new();
        let mut note = |e: Event<'_>| match e {
            Event::Bytes(s, d) => seen.push((s.frame, d.len() as u64)),
            Event::Gap(n) => seen.push((0, n)),
            Event::Again(_) | Event::Stray(_) => panic!("{e:?}"),
        };
        half.segment(100, b"ab", (1, CaptureTime(0), 0), &mut note);
        half.segment(20_000_100, b"yy", (2, CaptureTime(0), 0), &mut note);
        half.acknowledged(0x7000_0000, &mut note);
        half.acknowledged(102, &mut note);
        assert_eq!(half.waiting_bytes(), 2);
        half.acknowledged(20_000_102, &mut note);
        assert_eq!(half.waiting_bytes(), 0);
        assert_eq!(seen, [(1, 2), (0, 19_999_998), (2, 2)]);
    }

    #[test]
    fn a_fin_before_bytes_that_were_sent_is_not_believed() {
        let mut half = Half::default();
        half.syn(99);
        half.segment(100, b"abcd", (1, CaptureTime(0), 0), &mut |_| {});
        half.fin(102);
        assert!(!half.ended());
        half.fin(104);
        assert!(half.ended());
    }

    #[test]
    fn the_end_waits_for_all_before_it() {
        let mut half = Half::default();
        half.fin(7);
        assert!(!half.ended(), "which offset that is nobody knows");
        half.syn(99);
        half.segment(102, b"cd", (1, CaptureTime(0), 0), &mut |_| {});
        half.fin(104);
        assert!(!half.ended());
        half.segment(100, b"ab", (2, CaptureTime(0), 0), &mut |_| {});
        assert!(half.ended());
        let mut empty = Half::default();
        empty.syn(u32::MAX);
        empty.fin(0);
        assert!(empty.ended(), "nothing was sent");
    }
}
