//! What a fuzzer feeds and what must hold: one target per protocol and one per other reader of foreign bytes.
//!
//! Takes arbitrary bytes; runs the library's public functions on them and panics where a promise is broken: no panic inside, the
//! coverage ledger sums to the input, observations in frame order, a second run says the same, no case takes long. Gives
//! [`Traits`] of what was seen, by which a runner without coverage counters tells the new from the known. Targets are found
//! by [`targets`]; `fuzz_targets/*.rs` (cargo-fuzz) and `tests/fuzz_smoke.rs` (stable) run the same bodies.

#![allow(unreachable_pub, reason = "a crate of its own for cargo-fuzz, a module for tests/fuzz_smoke.rs")]
#![allow(dead_code, reason = "each of the two uses a part of it")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a harness tells of a fault"
)]
#![allow(clippy::indexing_slicing, reason = "slices of what the harness made itself")]

mod check;
mod destination;
mod dictionary;
mod keyed;
pub mod mutate;
mod payload;
mod quic;
mod texts;
mod wire;

use std::sync::OnceLock;

use metaleak::dissect::{PROTOCOLS, Protocol};

/// What a case showed, as numbers: equal traits, equal behaviour as far as it can be seen from outside.
pub type Traits = Vec<u64>;

/// A function that takes an input.
type Run = fn(&[u8]) -> Traits;

/// The body of a target.
#[derive(Clone, Copy)]
enum Body {
    /// The input is a conversation on the protocol's port.
    Protocol(&'static Protocol),
    /// The input is for this function.
    Plain(Run),
}

/// One thing to fuzz.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name of its file in `fuzz_targets/` and of its folder in `corpus/`.
    pub name: &'static str,
    /// Words that its inputs are made of.
    pub dictionary: &'static [&'static [u8]],
    body: Body,
}

/// Readers that are no protocol's: name and body. A new one is a line here.
static OTHERS: &[(&str, Run)] = &[
    ("capture", check::capture),
    ("frames", |data| check::capture(&wire::frames(data))),
    ("quic-initial", |data| check::capture(&quic::conversation(data))),
    ("http3", |data| check::capture(&keyed::conversation(data))),
    ("keylog", keyed::log),
    ("canary", payload::canary),
    ("canary-file", texts::canaries),
    ("rules", texts::rules),
    ("scan", payload::scan),
    ("unpack", payload::unpack),
    ("credential", payload::credential),
    ("mask", payload::mask_any),
    ("text", payload::text),
    ("claims", texts::claims),
    ("run-json", texts::run),
    ("facts", destination::facts),
    ("sources", destination::sources),
    ("raw-source", destination::raw),
    ("reference-table", destination::table),
];

/// All targets: one for each protocol of the program, and the others.
pub fn targets() -> &'static [Target] {
    static TARGETS: OnceLock<Vec<Target>> = OnceLock::new();
    TARGETS.get_or_init(|| {
        let protocols = PROTOCOLS.iter().map(|p| (p.id, Body::Protocol(p)));
        let others = OTHERS.iter().map(|(name, body)| (*name, Body::Plain(*body)));
        let all = protocols.chain(others);
        all.map(|(name, body)| Target { name, dictionary: dictionary::of(name), body }).collect()
    })
}

impl Target {
    /// A target that is not in the list, for tests of a runner.
    pub fn plain(name: &'static str, body: Run) -> Target {
        Target { name, dictionary: &[], body: Body::Plain(body) }
    }

    /// Runs one case.
    ///
    /// # Panics
    /// When the case breaks a promise.
    pub fn run(&self, data: &[u8]) -> Traits {
        match self.body {
            Body::Protocol(p) => check::capture(&wire::conversation(p, data)),
            Body::Plain(body) => body(data),
        }
    }

    /// The protocol that its inputs are to be read as.
    pub fn protocol(&self) -> Option<&'static Protocol> {
        match self.body {
            Body::Protocol(p) => Some(p),
            Body::Plain(_) => None,
        }
    }
}

/// Runs one case of the target with this name, as a fuzzer's entry point does.
///
/// # Panics
/// When the case breaks a promise, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = targets().iter().find(|t| t.name == name).expect("a target of this name");
    target.run(data);
}

/// The capture that a protocol's target makes of an input, to look at it with other programs.
pub fn capture_of(target: &Target, data: &[u8]) -> Option<Vec<u8>> {
    match (target.body, target.name) {
        (Body::Protocol(p), _) => Some(wire::conversation(p, data)),
        (_, "frames") => Some(wire::frames(data)),
        (_, "quic-initial") => Some(quic::conversation(data)),
        (_, "http3") => Some(keyed::conversation(data)),
        (_, "capture") => Some(data.to_vec()),
        _ => None,
    }
}
