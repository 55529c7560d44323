//! What must hold for every capture, however broken.
//!
//! Takes a capture's bytes; analyses it twice and compares; gives traits of what was seen.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use metaleak::capture::CaptureError;
use metaleak::dissect::{CaptureAnalysis, Observation, Options, Secrets, analyse_bytes};
use metaleak::payload::CanarySet;

use super::Traits;

/// The longest that one reading of an input of some kilobytes may take, also on a busy machine and without optimisation.
const LONGEST: Duration = Duration::from_secs(5);
/// Characters of observations that one byte of a capture may give rise to, and those that any capture may.
const MOST_TOLD: usize = 500;
const ALWAYS_TOLD: usize = 64 << 10;
/// What inputs may hold and findings may not show.
pub const SECRET: &str = "swordfish-canary-71";
/// Keys of every observation, which its own fields must not repeat.
const COMMON: [&str; 9] = ["capture", "frame", "time", "flow", "src", "dst", "kind", "frames", "tunnel"];

/// One trait out of parts.
pub fn mark(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// A size as a trait: its order of magnitude.
pub fn size_mark(what: &str, size: u64) -> u64 {
    mark(&[what, &size.checked_ilog2().map_or(0, |n| n + 1).to_string()])
}

/// The traits of one of several functions that share a target.
pub fn tell_apart(traits: Traits, function: u64) -> Traits {
    traits.into_iter().map(|t| t.wrapping_add(function)).collect()
}

/// Runs `work`, which must not take long.
pub fn timed<T>(work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let out = work();
    let took = started.elapsed();
    assert!(took < LONGEST, "took {took:?}");
    out
}

/// Text without characters that could steer a terminal or break a line.
pub fn assert_plain(what: &str, text: &str) {
    assert!(!text.contains(|c: char| c.is_control()), "{what} with a control character: {text:?}");
}

fn options() -> &'static Options {
    static OPTIONS: OnceLock<Options> = OnceLock::new();
    OPTIONS.get_or_init(|| {
        let canaries = CanarySet::new(&[("planted".to_owned(), SECRET.to_owned())]).unwrap();
        // Of the one connection that `keyed` makes.
        let secrets = Secrets::default();
        secrets.read(super::keyed::key_log().as_bytes()).unwrap();
        Options {
            observe: true,
            canaries: Arc::new(canaries),
            secrets: Arc::new(secrets),
            rules: metaleak::payload::Rules::embedded(),
            ..Options::default()
        }
    })
}

/// Reads a capture and checks what it says.
pub fn capture(bytes: &[u8]) -> Traits {
    let read = |options: &Options| timed(|| analyse_bytes("fuzz.pcap", bytes, options));
    let first = read(options());
    // The same again, without observations, or on several threads: all must say the same of flows and findings.
    let mut other = options().clone();
    match bytes.len() % 3 {
        0 => {}
        1 => other.observe = false,
        _ => other.parallel = true,
    }
    match (first, read(&other)) {
        (Ok(first), Ok(second)) => {
            same(&first, &second, other.observe);
            judge(bytes, &first)
        }
        (Err(first), Err(second)) => {
            assert_eq!(first.to_string(), second.to_string());
            vec![mark(&[match first {
                CaptureError::UnknownFormat { .. } => "unknown format",
                CaptureError::CutHeader { .. } => "cut header",
                CaptureError::Read { .. } => "cannot read",
                CaptureError::Open { .. } => "cannot open",
            }])]
        }
        (first, second) => panic!("one reading fails: {:?} and {:?}", first.err(), second.err()),
    }
}

fn same(first: &CaptureAnalysis, second: &CaptureAnalysis, observed: bool) {
    assert_eq!(first.input, second.input);
    assert_eq!(first.coverage, second.coverage);
    assert_eq!(first.flows, second.flows);
    assert_eq!(first.findings, second.findings);
    assert_eq!(first.warnings, second.warnings);
    assert_eq!(first.dns, second.dns);
    if observed {
        assert_eq!(first.observations, second.observations);
    } else {
        assert!(second.observations.is_empty(), "observations that nobody asked for");
    }
}

fn judge(bytes: &[u8], analysis: &CaptureAnalysis) -> Traits {
    let mut traits = Vec::new();
    let frames = analysis.input.frames;
    let in_range = |all: &[u64]| {
        all.iter().all(|f| (1..=frames).contains(f)) && all.windows(2).all(|w| w.first() < w.last())
    };

    let coverage = &analysis.coverage;
    let decoded = analysis.input.decoded_bytes;
    assert_eq!(coverage.classes.values().sum::<u64>(), coverage.total, "the ledger does not add up");
    assert_eq!(coverage.total, decoded, "the ledger is not the file");
    if !bytes.starts_with(&[0x1f, 0x8b]) && !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        assert_eq!(decoded, bytes.len() as u64, "bytes were left out");
    }
    traits.extend(coverage.classes.keys().map(|class| mark(&["class", class])));

    let mut before = 0;
    let mut told = 0;
    for o in &analysis.observations {
        assert!(o.frame >= before, "frame {} after frame {before} ({})", o.frame, o.kind);
        before = o.frame;
        told += observation(o, frames, analysis.flows.len(), &in_range);
        traits.push(mark(&["kind", o.kind]));
        for (key, value) in &o.fields {
            traits.push(shape(o.kind, key, value));
        }
    }
    let most = ALWAYS_TOLD + MOST_TOLD * decoded as usize;
    assert!(told <= most, "{told} characters of observations on {decoded} bytes");

    let mut first = 0;
    for (flow, number) in analysis.flows.iter().zip(1..) {
        assert_eq!(flow.flow, number);
        assert!(first < flow.first_frame, "flows out of order");
        first = flow.first_frame;
        assert!(first <= flow.last_frame && flow.last_frame <= frames, "frames of flow {number}");
        assert!(in_range(&flow.encryption_frames), "evidence of flow {number}: {:?}", flow.encryption_frames);
        for hit in &flow.signatures {
            assert!(in_range(&hit.frames), "evidence of {}: {:?}", hit.signature, hit.frames);
            traits.push(mark(&["signature", &hit.signature, &hit.confidence]));
        }
        for name in &flow.names {
            assert!((1..=frames).contains(&name.frame), "frame {} of a name", name.frame);
            traits.push(mark(&["name", &name.source]));
        }
        traits.push(mark(&["encryption", &flow.encryption]));
        traits.push(mark(&["protocols", &flow.app_protocols.join(" ")]));
        traits.push(mark(&["tunnel", &flow.tunnel.join(" ")]));
        if let Some(tls) = &flow.tls {
            for fault in &tls.certificate_faults {
                traits.push(mark(&["certificate", fault]));
            }
        }
    }

    for finding in &analysis.findings {
        assert!(in_range(&finding.frames), "evidence of {:?}: {:?}", finding.what, finding.frames);
        assert!(finding.flow <= analysis.flows.len() as u64, "a finding of flow {}", finding.flow);
        assert_plain("a finding", &finding.what);
        assert!(!finding.what.contains(SECRET), "a secret is shown: {}", finding.what);
        let words = finding.what.split_whitespace().next().unwrap_or_default();
        let encoding = finding.encoding.join(" ");
        traits.push(mark(&[
            "finding",
            &format!("{:?} {:?}", finding.kind, finding.severity),
            words,
            &encoding,
        ]));
    }

    for warning in &analysis.warnings {
        assert!(warning.offset <= decoded, "a warning at {} of {decoded}", warning.offset);
        assert!(warning.frame.unwrap_or(0) <= frames, "a warning of frame {:?}", warning.frame);
        // Numbers and quoted bytes make no new kind of warning.
        let words: String =
            warning.what.chars().filter(|c| c.is_ascii_alphabetic() || *c == ' ').take(60).collect();
        traits.push(mark(&["warning", &words]));
    }
    traits.push(size_mark("frames", frames));
    traits.push(size_mark("flows", analysis.flows.len() as u64));
    traits.push(size_mark("observations", analysis.observations.len() as u64));
    traits
}

/// Checks one observation; gives the length of its line.
fn observation(o: &Observation, frames: u64, flows: usize, in_range: &impl Fn(&[u64]) -> bool) -> usize {
    let lowest = u64::from(o.kind != "warning");
    assert!((lowest..=frames).contains(&o.frame), "{} in frame {} of {frames}", o.kind, o.frame);
    assert!(in_range(&o.frames), "{} in frames {:?}", o.kind, o.frames);
    assert!(
        o.frames.is_empty() || o.frames.last() == Some(&o.frame),
        "{}: {:?}, {}",
        o.kind,
        o.frames,
        o.frame
    );
    assert!(o.flow <= flows as u64 && (o.flow > 0 || o.kind == "warning"), "{} of flow {}", o.kind, o.flow);
    for key in COMMON {
        assert!(!o.fields.contains_key(key), "{} has a second {key:?}", o.kind);
    }
    let line = o.json("fuzz.pcap");
    assert!(line.starts_with('{') && !line.contains('\n'), "{} is no line: {line}", o.kind);
    line.len()
}

/// What a field looks like, without its content.
fn shape(kind: &str, key: &str, value: &serde_json::Value) -> u64 {
    use serde_json::Value;
    let look = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        // Short words are mostly names of a wire format's own: types, methods, versions.
        Value::String(s) if s.len() <= 12 && s.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') => {
            s.clone()
        }
        Value::String(s) => format!("text {:?}", s.len().checked_ilog2()),
        Value::Number(n) => format!("number {:?}", n.as_u64().and_then(u64::checked_ilog2)),
        Value::Array(a) => format!("list {:?}", a.len().checked_ilog2()),
        Value::Object(o) => o.keys().map(String::as_str).collect::<Vec<_>>().join(" "),
    };
    mark(&[kind, key, &look])
}
