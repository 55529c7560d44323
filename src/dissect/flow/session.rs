//! What an encrypted flow carries, read like a flow of its own.
//!
//! Takes the plaintext of both directions with the frames that brought its ciphertext; drives the same protocols as for a
//! connection in clear, and says through them what it finds: observations and findings carry `decrypted`. The ledger is not
//! touched, as the ciphertext is counted where it stands. What ciphers the plaintext came from, the caller knows. Records that only
//! bear a MAC and no encryption are read the same way, and nothing of them is decrypted.

use super::{Cx, Direction, Flow, Frames, Ledger, Segment, Shared, Sink, Stream};
use crate::dissect::PROTOCOLS;
use crate::dissect::engine::Options;

/// How much is missing where nobody can tell: more than any body, so that no dissector counts on behind it.
const UNTOLD: u64 = 1 << 40;

/// The plaintext of one connection.
pub(in crate::dissect) struct Session {
    flow: Flow,
    /// Counts what the ciphertext's class has counted already; never read.
    ledger: Ledger,
    /// It was never encrypted: what to do with it, which is not to search it, as that is done where it stands.
    clear: Option<Box<Options>>,
}

impl Session {
    /// Plaintext that begins now. `from_start` is whether it is the connection's first.
    pub(in crate::dissect) fn new(cx: &Cx<'_>, from_start: bool) -> Session {
        let mut flow = Flow::new(cx.facts.clone(), cx.now.segment());
        flow.isn = from_start.then_some(0);
        flow.streams = Some(Box::default());
        Session { flow, ledger: Ledger::default(), clear: None }
    }

    /// The same of what was never encrypted.
    pub(in crate::dissect) fn in_clear(mut self, cx: &Cx<'_>) -> Session {
        let Options { canaries, rules, .. } = Options::default();
        self.clear = Some(Box::new(Options { canaries, rules, ..cx.options.clone() }));
        self
    }

    /// As [`Session::new`], of a protocol that the two sides have agreed on; an unknown id leaves it to the probes.
    pub(in crate::dissect) fn of(id: &str, cx: &mut Cx<'_>) -> Session {
        let mut session = Session::new(cx, true);
        if let Some(protocol) = PROTOCOLS.iter().find(|p| p.id == id) {
            cx.protocol(protocol.id);
            session.flow.app = super::App::Known((protocol.start)());
        }
        session
    }

    /// As [`Session::new`], of messages that no protocol here reads: they are only searched.
    pub(in crate::dissect) fn unread(cx: &Cx<'_>) -> Session {
        let mut session = Session::new(cx, true);
        session.flow.app = super::App::Unknown;
        session
    }

    /// The next plaintext of a direction; `frames` brought its ciphertext.
    pub(in crate::dissect) fn bytes(&mut self, d: Direction, data: &[u8], frames: &Frames, cx: &mut Cx<'_>) {
        if data.is_empty() {
            return;
        }
        self.with(d, cx, |flow, stream, sink| {
            let start = stream.half.next;
            let end = start + data.len() as u64;
            stream.half.next = end;
            let segment =
                |frame| Segment { start, end, frame, time: frames.time, file_offset: frames.file_offset };
            for frame in frames.all.iter().filter(|f| **f != frames.complete) {
                stream.provenance.push(segment(*frame));
            }
            flow.bytes(d, stream, segment(frames.complete), data, sink);
        });
    }

    /// Some plaintext of a direction cannot be read; `ciphertext` bytes held it.
    pub(in crate::dissect) fn gap(&mut self, d: Direction, ciphertext: u64, cx: &mut Cx<'_>) {
        self.with(d, cx, |flow, stream, sink| {
            stream.half.next += ciphertext;
            flow.gap(d, stream, UNTOLD, sink);
        });
    }

    /// The sender has closed its direction.
    pub(in crate::dissect) fn end(&mut self, d: Direction, cx: &mut Cx<'_>) {
        self.with(d, cx, |flow, stream, sink| {
            if !std::mem::replace(&mut stream.ended, true) {
                flow.tell_end(d, stream, sink);
            }
        });
    }

    /// The connection is over.
    pub(in crate::dissect) fn finish(&mut self, cx: &mut Cx<'_>) {
        self.within(cx, Flow::close);
    }

    /// Memory is short: unfinished messages are lost.
    pub(in crate::dissect) fn give_up(&mut self, cx: &mut Cx<'_>) {
        self.within(cx, Flow::give_up);
    }

    /// Bytes that wait for the end of their message.
    pub(in crate::dissect) fn held(&self) -> usize {
        self.flow.held()
    }

    /// The lowest frame that a message still to come may carry.
    pub(in crate::dissect) fn holds(&self) -> Option<u64> {
        self.flow.held_back()
    }

    fn with(
        &mut self,
        d: Direction,
        cx: &mut Cx<'_>,
        work: impl FnOnce(&mut Flow, &mut Stream, &mut Sink<'_>),
    ) {
        self.within(cx, |flow, sink| {
            let Some(mut streams) = flow.streams.take() else { return };
            work(flow, d.pick(&mut streams), sink);
            flow.streams = Some(streams);
        });
    }

    /// Lends the facts of the flow on the wire to the one within it.
    fn within(&mut self, cx: &mut Cx<'_>, work: impl FnOnce(&mut Flow, &mut Sink<'_>)) {
        let flow = &mut self.flow;
        flow.now = cx.now.segment();
        flow.over = cx.ending;
        let before = (cx.facts.decrypted, cx.facts.counted);
        match self.clear {
            Some(_) => cx.facts.counted = true,
            None => cx.facts.decrypted = true,
        }
        std::mem::swap(&mut flow.facts, cx.facts);
        let options = self.clear.as_deref().unwrap_or(cx.options);
        let shared = Shared { options, fragments: cx.place.fragments, secrets: cx.secrets };
        let mut sink = Sink { out: cx.out, ledger: &mut self.ledger, shared };
        work(flow, &mut sink);
        std::mem::swap(&mut flow.facts, cx.facts);
        (cx.facts.decrypted, cx.facts.counted) = before;
    }
}

/// Runs `work` with all that it says marked as decrypted.
pub(in crate::dissect) fn decrypted<T>(cx: &mut Cx<'_>, work: impl FnOnce(&mut Cx<'_>) -> T) -> T {
    let before = std::mem::replace(&mut cx.facts.decrypted, true);
    let done = work(cx);
    cx.facts.decrypted = before;
    done
}
