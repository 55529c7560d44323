//! Every capture of the corpus, cut at 200 offsets and with 200 seeded sets of flipped bits: no panic, bounded time and memory,
//! nothing lost before the fault, nothing invented.
//!
//! Fifty thousand runs of the program would be mostly process starts, so this calls the library; the same cases by hand are
//! `metaleak dissect` on a cut file. Needs `../shared/corpus`; skipped with a notice where it is absent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Seeded, shared};

/// Cases of each kind for each capture.
const CASES: usize = 200;
/// Longest that one case may take.
const TIME: Duration = Duration::from_secs(2);
/// Most memory that the process may ever have held, KiB.
const MEMORY: u64 = 300 * 1024;
/// Messages that are told of as soon as they are complete, so that the rest of the file cannot change them.
const AT_ONCE: [&str; 8] = [
    "dns.query",
    "dns.answer",
    "tls.client_hello",
    "http.request",
    "stun.message",
    "dtls.hello",
    "sip.request",
    "sip.response",
];

/// What a reading of one case gave.
#[derive(Debug, Default)]
struct Seen {
    /// `None` when the bytes are no capture at all.
    frames: Option<u64>,
    messages: BTreeSet<String>,
    /// A broken promise that can be seen from this reading alone.
    fault: Option<String>,
}

/// Reads a capture in memory: the one place that calls the library.
fn read(name: &str, bytes: &[u8]) -> Seen {
    let options = metaleak::dissect::Options { observe: true, ..Default::default() };
    let Ok(analysis) = metaleak::dissect::analyse_bytes(name, bytes, &options) else {
        return Seen::default();
    };
    let told = analysis.observations.iter().filter(|o| AT_ONCE.contains(&o.kind));
    let sum: u64 = analysis.coverage.classes.values().sum();
    let (total, decoded) = (analysis.coverage.total, analysis.input.decoded_bytes);
    let plain = !bytes.starts_with(&[0x1f, 0x8b]) && !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let fault = if plain && decoded != bytes.len() as u64 {
        Some(format!("{decoded} bytes were read of {}", bytes.len()))
    } else if sum != decoded || total != decoded {
        Some(format!(
            "the ledger's classes sum to {sum}, its total is {total}, the capture has {decoded} bytes"
        ))
    } else {
        None
    };
    Seen { frames: Some(analysis.input.frames), messages: told.map(|o| o.json(name)).collect(), fault }
}

/// Where each frame's record ends, read as simply as can be: the yardstick for cut files. Ends at the first record
/// that is not whole or is of a size that nobody writes.
fn record_ends(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize, big: bool| -> Option<u32> {
        let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    };
    let mut ends = Vec::new();
    let mut big = matches!(bytes.get(..4), Some([0xa1, 0xb2, ..]));
    if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        let mut at = 0;
        while let (Some(kind), Some(order)) = (word(at, big), word(at + 8, true)) {
            if kind == 0x0a0d_0d0a {
                big = order == 0x1a2b_3c4d;
            }
            let Some(length) = word(at + 4, big).filter(|l| (12..1 << 24).contains(l)) else { break };
            at += length as usize;
            if at > bytes.len() {
                break;
            }
            if matches!(kind, 2 | 3 | 6) {
                ends.push(at);
            }
        }
        return ends;
    }
    let mut at = 24;
    while let Some(length) = word(at + 8, big).filter(|l| *l <= 262_144) {
        at += 16 + length as usize;
        if at > bytes.len() {
            break;
        }
        ends.push(at);
    }
    ends
}

/// A capture to damage, decompressed.
struct Subject {
    name: String,
    bytes: Vec<u8>,
}

fn subjects() -> Option<Vec<Subject>> {
    let shared = shared()?;
    let load = |(name, path): (String, PathBuf)| {
        let stored = std::fs::read(path).unwrap();
        let mut bytes = Vec::new();
        if stored.starts_with(&[0x1f, 0x8b]) {
            flate2::read::MultiGzDecoder::new(stored.as_slice()).read_to_end(&mut bytes).unwrap();
        } else {
            bytes = stored;
        }
        Subject { name, bytes }
    };
    let mut all: Vec<_> = common::corpus(&shared).into_iter().map(load).collect();
    // The largest first, so that the workers end together.
    all.sort_by_key(|s| std::cmp::Reverse(s.bytes.len()));
    Some(all)
}

/// Collected over all cases.
#[derive(Default)]
struct Outcome {
    cases: usize,
    slowest: BTreeMap<Duration, String>,
    faults: Vec<String>,
}

/// Runs `judge` over every capture on two threads, where it gets the capture, what the whole of it says, and a way to
/// read a damaged copy; then checks faults, times and memory.
fn over_all(
    what: &str,
    damage: impl Fn(&Subject, usize) -> (String, Vec<u8>) + Sync,
    judge: impl Fn(&Subject, &Seen, &[u8], &Seen) -> Option<String> + Sync,
) {
    let Some(subjects) = subjects() else { return };
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new(Outcome::default());
    let worker = || {
        while let Some(subject) = subjects.get(next.fetch_add(1, Ordering::Relaxed)) {
            let whole = read(&subject.name, &subject.bytes);
            if let Some(fault) = &whole.fault {
                outcome.lock().unwrap().faults.push(format!("{} as it is: {fault}", subject.name));
            }
            for case in 0..CASES {
                let (label, bytes) = damage(subject, case);
                let started = Instant::now();
                let result = catch_unwind(AssertUnwindSafe(|| read(&subject.name, &bytes)));
                let took = started.elapsed();
                let fault = match result {
                    Err(_) => Some("panicked".to_owned()),
                    Ok(_) if took > TIME => Some(format!("took {took:?}")),
                    Ok(seen) => seen.fault.clone().or_else(|| judge(subject, &whole, &bytes, &seen)),
                };
                let mut outcome = outcome.lock().unwrap();
                outcome.cases += 1;
                outcome.slowest.insert(took, format!("{} {label}", subject.name));
                if outcome.slowest.len() > 3 {
                    outcome.slowest.pop_first();
                }
                if let Some(fault) = fault {
                    outcome.faults.push(format!("{} {label}: {fault}", subject.name));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
    let mut outcome = outcome.into_inner().unwrap();
    let peak = peak_kib();
    let (slowest, of) = outcome.slowest.pop_last().unwrap_or_default();
    println!(
        "{what}: {} cases over {} captures, slowest {slowest:?} ({of}), peak memory {} MiB, {} faults",
        outcome.cases,
        subjects.len(),
        peak / 1024,
        outcome.faults.len()
    );
    outcome.faults.sort();
    let shown: Vec<_> = outcome.faults.iter().take(40).map(String::as_str).collect();
    assert!(outcome.faults.is_empty(), "{} faults:\n{}", outcome.faults.len(), shown.join("\n"));
    assert_eq!(outcome.cases, subjects.len() * CASES);
    assert!(peak < MEMORY, "the process held {peak} KiB, the limit is {MEMORY}");
}

/// Most resident memory that this process has held, KiB; 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

/// A seed of the capture's name and the case, so that a case can be repeated whatever else the corpus holds.
fn seeded(name: &str, case: usize) -> Seeded {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    Seeded(hash ^ case as u64)
}

#[test]
fn the_yardstick_counts_as_tshark_does() {
    let Some(subjects) = subjects() else { return };
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus-frames.tsv");
    let counts = std::fs::read_to_string(path).unwrap();
    let counts: BTreeMap<&str, usize> = counts
        .lines()
        .skip(1)
        .map(|l| l.split_once('\t').unwrap())
        .map(|(f, n)| (f, n.parse().unwrap()))
        .collect();
    for subject in subjects {
        let known = counts.get(subject.name.as_str()).copied();
        assert_eq!(Some(record_ends(&subject.bytes).len()), known, "{}", subject.name);
    }
}

#[test]
fn cut_anywhere() {
    over_all(
        "cut",
        |subject, case| {
            // The first cases walk through the file's and the first record's header, the rest fall anywhere.
            let cut =
                if case < 60 { case } else { seeded(&subject.name, case).below(subject.bytes.len() + 1) };
            let cut = cut.min(subject.bytes.len());
            (format!("cut at {cut}"), subject.bytes[..cut].to_vec())
        },
        |subject, whole, bytes, seen| {
            let expected =
                record_ends(&subject.bytes).iter().filter(|end| **end <= bytes.len()).count() as u64;
            if seen.frames.unwrap_or(0) != expected {
                return Some(format!("{:?} frames, {expected} records are whole", seen.frames));
            }
            let invented = seen.messages.difference(&whole.messages).next()?;
            Some(format!("the whole capture does not say this: {invented}"))
        },
    );
}

#[test]
fn bits_flipped() {
    over_all(
        "flipped",
        |subject, case| {
            let mut random = seeded(&subject.name, case);
            let mut bytes = subject.bytes.clone();
            if bytes.is_empty() {
                return ("empty".to_owned(), bytes);
            }
            // From one bit to sixteen, and every other case within the first kilobyte, where the headers are.
            let flips = 1 << (case % 5);
            let span = if case % 2 == 0 { bytes.len() } else { bytes.len().min(1024) };
            for _ in 0..flips {
                let at = random.below(span);
                bytes[at] ^= 1 << random.below(8);
            }
            (format!("case {case} ({flips} bits)"), bytes)
        },
        |_, _, _, _| None,
    );
}

#[test]
fn compressed_captures_damaged() {
    use std::io::Write as _;
    let Some(subjects) = subjects() else { return };
    let smallest = subjects.iter().filter(|s| s.bytes.len() > 2000).min_by_key(|s| s.bytes.len()).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&smallest.bytes).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(
        smallest.bytes.as_slice(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let whole = read(&smallest.name, &smallest.bytes).frames.unwrap();
    for (kind, packed) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd)] {
        assert_eq!(read(&smallest.name, &packed).frames, Some(whole), "{kind}: the whole of it is read");
        for case in 0..CASES {
            let mut random = seeded(kind, case);
            let cut = random.below(packed.len());
            let seen = read(&smallest.name, &packed[..cut]);
            assert!(seen.frames.unwrap_or(0) <= whole, "{kind} cut at {cut}");
            assert_eq!(seen.fault, None, "{kind} cut at {cut}");
            let mut flipped = packed.clone();
            flipped[random.below(packed.len())] ^= 1 << random.below(8);
            let seen = read(&smallest.name, &flipped);
            assert_eq!(seen.fault, None, "{kind} flipped, case {case}");
        }
    }
}

#[test]
fn a_bomb_is_not_unpacked_into_memory() {
    use std::io::Write as _;
    // 256 MiB of one packet over and over, a few hundred kilobytes as stored.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut one = common::PacketBuilder::new();
    gzip.write_all(one.written()).unwrap();
    let header = one.written().len();
    let (src, dst) = ("192.0.2.10:40000".parse().unwrap(), "203.0.113.9:9".parse().unwrap());
    one.udp(src, dst, &[0; 16_000]);
    let record = one.finish().split_off(header);
    let frames = (256 << 20) / record.len() as u64;
    for _ in 0..frames {
        gzip.write_all(&record).unwrap();
    }
    let packed = gzip.finish().unwrap();
    let before = peak_kib();
    let seen = read("bomb.pcap.gz", &packed);
    assert_eq!(seen.frames, Some(frames));
    assert_eq!(seen.fault, None);
    let more = peak_kib().saturating_sub(before);
    assert!(more < 100 * 1024, "unpacking took {more} KiB");
}
