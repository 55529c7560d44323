//! Time and memory on one large capture, beside the programs that people compare with.
//!
//! Needs a release build, `../shared`, python3, and for each comparison its program; run by hand with
//! `METALEAK_PERF=1 cargo test --release --test performance -- --ignored --nocapture` (`make bench` prints such figures without judging them). Times are medians of nine rounds in which the
//! programs alternate in changing order, so that a busy moment of the machine meets all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{BINARY, shared};

/// Size of the capture, MiB.
const SIZE: u64 = 256;
/// Most anonymous memory that reading it may take, KiB.
const MEMORY: u64 = 200 * 1024;
const ROUNDS: usize = 9;

/// One run: how long it took and how much anonymous memory it held at most.
#[derive(Clone, Copy, Debug)]
struct Run {
    time: Duration,
    anonymous_kib: u64,
}

/// A program by its name in the table, and how to run it once.
type Contender<'a> = (&'a str, Box<dyn Fn() -> Run + 'a>);

/// The large capture; made once and kept among the build's temporary files.
fn big_capture(shared: &Path) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("big-{SIZE}.pcap"));
    if file.metadata().map_or(0, |m| m.len()) < SIZE << 20 {
        let half = file.with_extension("part");
        let status = Command::new("python3")
            .arg(shared.join("tools/big-capture"))
            .arg(shared.join("corpus"))
            .arg(&half)
            .arg(SIZE.to_string())
            .stdout(Stdio::null())
            .status()
            .expect("python3 runs");
        assert!(status.success(), "big-capture ended with {status}");
        std::fs::rename(half, &file).unwrap();
    }
    file
}

/// Anonymous resident memory of a process now, KiB; 0 when it has ended.
fn anonymous_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

/// Runs a program to its end with its output thrown away.
fn run(program: &str, arguments: &[&str]) -> Run {
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let mut most = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        most = most.max(anonymous_kib(&child));
        std::thread::sleep(Duration::from_millis(2));
    };
    let time = started.elapsed();
    assert!(status.success(), "{program} {arguments:?} ended with {status}");
    Run { time, anonymous_kib: most }
}

fn installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn median(runs: &[Run]) -> Duration {
    let mut times: Vec<_> = runs.iter().map(|r| r.time).collect();
    times.sort();
    times[times.len() / 2]
}

/// The capture to measure with, unless nobody asked for a measurement (said) or there is nothing to make it of.
fn measured() -> Option<PathBuf> {
    let debug = std::hint::black_box(cfg!(debug_assertions));
    assert!(!debug, "times of a debug build say nothing: run with --release");
    if std::env::var_os("METALEAK_PERF").is_none() {
        println!("skipped: set METALEAK_PERF=1 to measure");
        return None;
    }
    shared().map(|shared| big_capture(&shared))
}

#[test]
#[ignore = "takes minutes and a release build; its head says how to run it"]
fn a_large_capture_in_bounded_memory_and_time() {
    let Some(file) = measured() else { return };
    let file = file.to_str().unwrap();
    // What a person types, whose output is a table as that of the two others; report.json on top needs a digest of the file,
    // which neither of them computes.
    let ours = |threads: &str| run(BINARY, &["replay", file, "--threads", threads]);
    let with_report =
        || run(BINARY, &["replay", file, "--threads", "1", "--format", "json", "-o", "/dev/null"]);
    let mut contenders: Vec<Contender<'_>> = vec![
        ("metaleak, 1 thread", Box::new(|| ours("1"))),
        ("metaleak, 2 threads", Box::new(|| ours("2"))),
        ("metaleak, 1 thread, report.json", Box::new(with_report)),
    ];
    for (name, program, arguments) in [
        ("ndpiReader -q", "ndpiReader", vec!["-q", "-i", file]),
        ("tshark -q -z conv,tcp", "tshark", vec!["-q", "-z", "conv,tcp", "-r", file]),
    ] {
        if installed(program) {
            contenders.push((name, Box::new(move || run(program, &arguments))));
        } else {
            println!("skipped: {program} is not installed");
        }
    }
    // The first reading fills the page cache for everyone.
    std::io::copy(&mut std::fs::File::open(file).unwrap(), &mut std::io::sink()).unwrap();
    let mut runs = vec![Vec::new(); contenders.len()];
    // Who comes first changes: a program that gave much memory back makes the next one fetch its own anew.
    for round in 0..ROUNDS {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            runs[at].push(contenders[at].1());
        }
    }
    let mebibytes = Path::new(file).metadata().unwrap().len() as f64 / f64::from(1 << 20);
    let mut medians = std::collections::BTreeMap::new();
    println!("| program | seconds | MiB/s | RssAnon MiB |\n| --- | --- | --- | --- |");
    for ((name, _), runs) in contenders.iter().zip(&runs) {
        let time = median(runs).as_secs_f64();
        let most = runs.iter().map(|r| r.anonymous_kib).max().unwrap_or(0);
        println!("| {name} | {time:.3} | {:.0} | {:.1} |", mebibytes / time, most as f64 / 1024.0);
        medians.insert(*name, time);
    }
    let mut faults = Vec::new();
    for (name, runs) in [("1 thread", &runs[0]), ("2 threads", &runs[1]), ("report.json", &runs[2])] {
        let most = runs.iter().map(|r| r.anonymous_kib).max().unwrap();
        if most >= MEMORY {
            faults.push(format!("{name}: {most} KiB of anonymous memory, the limit is {MEMORY}"));
        }
    }
    let (one, two) = (medians["metaleak, 1 thread"], medians["metaleak, 2 threads"]);
    let mut holds = |what: &str, value: f64, at_most: f64| {
        println!("{what}: {value:.2} (at most {at_most:.2})");
        if value > at_most {
            faults.push(format!("{what}: {value:.3}, at most {at_most:.3}"));
        }
    };
    if let Some(ndpi) = medians.get("ndpiReader -q") {
        holds("one thread / ndpiReader", one / ndpi, 1.0);
    }
    if let Some(tshark) = medians.get("tshark -q -z conv,tcp") {
        holds("one thread / tshark", one / tshark, 1.0 / 7.0);
    }
    if std::thread::available_parallelism().is_ok_and(|n| n.get() >= 2) {
        holds("two threads / one thread", two / one, 1.0 / 1.5);
    } else {
        println!("skipped: one processor cannot show what two threads gain");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
#[ignore = "takes minutes and a release build; its head says how to run it"]
fn a_thousand_canaries_cost_less_than_another_run() {
    let Some(file) = measured() else { return };
    let file = file.to_str().unwrap();
    let list: Vec<String> =
        (0..1000).map(|n| format!("contact-{n},+4915{}\n", 110_000_000 + n * 7919)).collect();
    let list = list.concat();
    let folder = tempfile::tempdir().unwrap();
    let canaries = folder.path().join("canaries.csv");
    std::fs::write(&canaries, format!("name,value\n{list}")).unwrap();
    let ours = |more: &[&str]| {
        let common = ["replay", file, "--format", "json", "-o", "/dev/null", "--threads", "1"];
        run(BINARY, &[&common[..], more].concat())
    };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(ours(&[]));
        with.push(ours(&["--canary-file", canaries.to_str().unwrap()]));
    }
    let (without, with) = (median(&without), median(&with));
    println!("without canaries {without:?}, with 1,000 {with:?}");
    assert!(with < without * 2, "1,000 canaries: {with:?} against {without:?}");
}

/// What is known of an address: the table's whole answer (country by source, autonomous system with its name, cloud with its region) under
/// 200 ns on a warm cache, for IPv4 and IPv6, and loading under 5 ms. A busy moment of the machine only adds time, so the best of many
/// rounds counts.
#[test]
#[ignore = "wants a release build; its head says how to run it"]
fn looking_up_and_loading_take_no_longer_than_promised() {
    use metaleak::destination::{FactTexts, ReferenceDb};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let debug = std::hint::black_box(cfg!(debug_assertions));
    assert!(!debug, "times of a debug build say nothing: run with --release");
    if std::env::var_os("METALEAK_PERF").is_none() {
        println!("skipped: set METALEAK_PERF=1 to measure");
        return;
    }
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/metaleak.db");
    let table = std::fs::read(table).unwrap();
    let mut load = f64::MAX;
    for _ in 0..20 {
        let copy = std::borrow::Cow::Owned(table.clone());
        let started = Instant::now();
        let db = ReferenceDb::from_parts(copy, &FactTexts::embedded()).unwrap();
        load = load.min(started.elapsed().as_secs_f64() * 1e3);
        drop(db);
    }
    let db = ReferenceDb::embedded().unwrap();
    let mut seeded = common::Seeded(9);
    // Networks that are announced, a block of them at a time, so that the answers are not those of empty space.
    let four: Vec<IpAddr> = std::iter::from_fn(|| Some(IpAddr::V4(Ipv4Addr::from(seeded.next() as u32))))
        .filter(|address| db.answer(*address).asn.is_some())
        .take(2000)
        .collect();
    let mut seeded = common::Seeded(10);
    // 2a00::/12 of RIPE, where networks are densest: 32 bits behind the first 16 are drawn.
    let six: Vec<IpAddr> = std::iter::from_fn(|| {
        let bits = u128::from(seeded.next());
        Some(IpAddr::V6(Ipv6Addr::from((0x2a00 | bits & 0xf) << 112 | (bits >> 8 & 0xffff) << 96)))
    })
    .filter(|address| db.answer(*address).asn.is_some())
    .take(2000)
    .collect();
    let best = |addresses: &[IpAddr], work: &dyn Fn(IpAddr)| {
        let mut best = f64::MAX;
        for _ in 0..200 {
            let started = Instant::now();
            for address in addresses {
                work(std::hint::black_box(*address));
            }
            best = best.min(started.elapsed().as_secs_f64() * 1e9 / addresses.len() as f64);
        }
        best
    };
    let answer = |address| {
        let answer = db.answer(address);
        std::hint::black_box(answer.countries().count());
        std::hint::black_box((answer.asn, answer.cloud));
    };
    let facts = |address| {
        std::hint::black_box(db.lookup(address));
    };
    let afresh = |address| {
        std::hint::black_box(db.lookup_afresh(address));
    };
    let mut faults = Vec::new();
    let mut holds = |what: &str, value: f64, at_most: f64| {
        println!("{what}: {value:.1} (at most {at_most})");
        if value > at_most {
            faults.push(format!("{what}: {value:.1}, at most {at_most}"));
        }
    };
    holds("table and facts loaded, ms", load, 5.0);
    for (family, addresses) in [("IPv4", &four), ("IPv6", &six)] {
        holds(&format!("answer for an {family} address, ns"), best(addresses, &answer), 200.0);
        holds(
            &format!("facts for an {family} address of a network seen before, ns"),
            best(addresses, &facts),
            200.0,
        );
        println!("facts of an {family} network put together, ns: {:.0}", best(addresses, &afresh));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
