//! The fuzz targets of `fuzz/` on the stable toolchain: seeds and seeded changes to them, the same cases in every run.
//!
//! `make test` runs 100,000 cases a target, or as many as five seconds of a processor allow: the same cases in the same order
//! on every machine, more of them on a faster one, and never fewer than 500. Targets run side by side, one on each processor. `METALEAK_FUZZ_CASES=N` runs N cases a
//! target instead (`make fuzz` where cargo-fuzz is missing: 100,000), `METALEAK_FUZZ_SECONDS=N` N seconds, `METALEAK_FUZZ_TARGET=a,b` only these, `METALEAK_FUZZ_SEED=N` other cases, `METALEAK_FUZZ_INPUT=FILE` one input
//! alone. `METALEAK_FUZZ_LAST=FILE` writes each input there before it is run, for faults that end the process. An input that breaks a
//! promise is made smaller and written to `fuzz/artifacts/`. There are no coverage counters here: an input is kept for further
//! changes when what the program says of it has a trait that no other had (see docs/fuzzing.md).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use fuzz::mutate::{Random, mutate};
use fuzz::{Target, capture_of, targets};

/// Cases of each target in `make test`, beside its seeds, where the time lasts.
const CASES: u64 = 100_000;
/// Cases that are run however slow the machine is.
const LEAST_CASES: u64 = 500;
/// Processor time of a target in `make test`: all of them take some three minutes on two processors.
const SMOKE: Duration = Duration::from_secs(5);
/// Inputs that are kept for further changes, beside the seeds.
const MAX_KEPT: usize = 2000;
/// After so long a case will not end.
const STUCK: Duration = Duration::from_secs(60);
/// The largest seed, and all of them.
const MAX_SEED: usize = 2048;
const MAX_SEEDS: usize = 300 << 10;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The seeds of a target, by file name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(listed) = std::fs::read_dir(root("fuzz/corpus").join(target)) else { return Vec::new() };
    let mut all: Vec<_> = listed
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

// ---------------------------------------------------------------------------------------------- the runner

/// When to stop.
#[derive(Clone, Copy)]
enum Budget {
    Cases(u64),
    Time(Duration),
    /// Cases, or fewer after this time of a processor, but never fewer than [`LEAST_CASES`].
    Smoke(u64, Duration),
}

/// What a campaign on one target came to.
#[derive(Debug, Default)]
struct Outcome {
    cases: u64,
    kept: usize,
    traits: usize,
    slowest: Duration,
    /// The smallest input found that breaks a promise, and what was said.
    fault: Option<(Vec<u8>, String)>,
}

/// What the last panic of any thread said, and where.
static SAID: Mutex<String> = Mutex::new(String::new());
thread_local! {
    /// What the last panic of this thread said, and where.
    static SAID_HERE: RefCell<String> = const { RefCell::new(String::new()) };
}
/// Since when a case runs, its target and its input.
type Running = (Instant, &'static str, Vec<u8>);
/// What each thread runs.
static RUNNING: Mutex<Option<HashMap<ThreadId, Running>>> = Mutex::new(None);

/// Sets what this thread runs.
fn running(what: Option<Running>) {
    let mut all = RUNNING.lock().unwrap();
    let all = all.get_or_insert_default();
    let thread = std::thread::current().id();
    match what {
        Some(what) => all.insert(thread, what),
        None => all.remove(&thread),
    };
}

/// Processor time of this thread, where the system tells (Linux); else the time that has passed.
fn busy(since: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat");
    let told = told.ok().and_then(|text| text.split(' ').next()?.parse().ok());
    told.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// Keeps what panics say instead of printing it, and ends the process when a case does not end.
fn watch() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // The thread that panics may be a helper of one that runs a case.
            if RUNNING.lock().unwrap().as_ref().is_some_and(|all| !all.is_empty()) {
                *SAID.lock().unwrap() = info.to_string();
                SAID_HERE.set(info.to_string());
            } else {
                before(info);
            }
        }));
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let running = RUNNING.lock().unwrap();
                for (since, target, input) in running.iter().flat_map(HashMap::values) {
                    if since.elapsed() <= STUCK {
                        continue;
                    }
                    eprintln!("{target}: a case does not end: {}", keep(target, input).display());
                    std::process::exit(101);
                }
            }
        });
    });
}

/// Runs one case; what was said when it panics.
fn case(target: &Target, input: &[u8]) -> Result<Vec<u64>, String> {
    if let Some(last) = std::env::var_os("METALEAK_FUZZ_LAST") {
        std::fs::write(last, input).unwrap();
    }
    running(Some((Instant::now(), target.name, input.to_vec())));
    let result = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    running(None);
    result.map_err(|_| match SAID_HERE.take() {
        said if said.is_empty() => SAID.lock().unwrap().clone(),
        said => said,
    })
}

/// Leaves an input where it can be looked at.
fn keep(target: &str, input: &[u8]) -> PathBuf {
    let folder = root("fuzz/artifacts").join(target);
    std::fs::create_dir_all(&folder).unwrap();
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    let path = folder.join(format!("{hash:016x}"));
    std::fs::write(&path, input).unwrap();
    path
}

fn campaign(target: &Target, seeds: &[Vec<u8>], budget: Budget, seed: u64) -> Outcome {
    watch();
    let started = Instant::now();
    let before = busy(started);
    let mut random = Random::of(target.name, seed);
    let mut outcome = Outcome::default();
    let mut known: HashSet<u64> = HashSet::new();
    let mut pool: Vec<Vec<u8>> = Vec::new();
    let mut queue = seeds.iter();
    loop {
        let next = queue.next();
        let over = match budget {
            Budget::Cases(n) => outcome.cases >= n + seeds.len() as u64,
            Budget::Time(time) => started.elapsed() >= time,
            Budget::Smoke(n, time) => {
                let changed = outcome.cases.saturating_sub(seeds.len() as u64);
                let over = || started.elapsed() >= time && busy(started).saturating_sub(before) >= time;
                changed >= n || (changed >= LEAST_CASES && over())
            }
        };
        if over && next.is_none() {
            break;
        }
        let input = if let Some(seed) = next {
            seed.clone()
        } else {
            // What was found last has been changed least.
            let from = if random.below(2) == 0 { 0 } else { pool.len() - pool.len() / 4 };
            let base = random.pick(&pool[from..]).or(pool.last()).cloned().unwrap_or_default();
            mutate(&mut random, &base, &pool, target.dictionary)
        };
        let before = Instant::now();
        let result = case(target, &input);
        outcome.slowest = outcome.slowest.max(before.elapsed());
        outcome.cases += 1;
        match result {
            Ok(traits) => {
                let fresh = traits.into_iter().filter(|t| known.insert(*t)).count() > 0;
                if next.is_some() || (fresh && pool.len() < MAX_KEPT + seeds.len()) {
                    pool.push(input);
                }
            }
            Err(said) => {
                outcome.fault = Some(smaller(target, input, said));
                break;
            }
        }
    }
    outcome.kept = pool.len().saturating_sub(seeds.len());
    outcome.traits = known.len();
    outcome
}

/// The same fault from less.
fn smaller(target: &Target, mut input: Vec<u8>, mut said: String) -> (Vec<u8>, String) {
    let mut size = input.len() / 2;
    let mut tries = 0;
    while size > 0 && tries < 2000 {
        let mut at = 0;
        while at < input.len() && tries < 2000 {
            let mut less = input.clone();
            less.drain(at..(at + size).min(input.len()));
            tries += 1;
            match case(target, &less) {
                Err(again) => (input, said) = (less, again),
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    (input, said)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: {text:?} is no number")))
}

#[test]
fn no_promise_is_broken() {
    let wanted = std::env::var("METALEAK_FUZZ_TARGET").unwrap_or_default();
    let wanted: BTreeSet<&str> = wanted.split(',').filter(|name| !name.is_empty()).collect();
    for name in &wanted {
        assert!(targets().iter().any(|t| t.name == *name), "there is no target {name:?}");
    }
    let seed = number("METALEAK_FUZZ_SEED").unwrap_or(0);
    let chosen: Vec<_> = targets().iter().filter(|t| wanted.is_empty() || wanted.contains(t.name)).collect();
    let budget = match (number("METALEAK_FUZZ_SECONDS"), number("METALEAK_FUZZ_CASES")) {
        (Some(seconds), _) => Budget::Time(Duration::from_secs(seconds)),
        (None, Some(cases)) => Budget::Cases(cases),
        (None, None) => Budget::Smoke(CASES, SMOKE),
    };
    if let Some(file) = std::env::var_os("METALEAK_FUZZ_INPUT") {
        for target in chosen {
            let input = std::fs::read(&file).unwrap();
            if let Some(capture) = capture_of(target, &input) {
                let path = std::env::temp_dir().join(format!("{}.pcap", target.name));
                std::fs::write(&path, capture).unwrap();
                println!("{}: the capture made of it: {}", target.name, path.display());
            }
            target.run(&input);
        }
        return;
    }
    // What a target is run with depends on nothing but its own seeds, so the order does not matter. One input is kept for faults
    // that end the process, so then there is one thread.
    let alone = std::env::var_os("METALEAK_FUZZ_LAST").is_some();
    let workers = if alone { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let (next, faults, cases) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let seeds: Vec<Vec<u8>> = seeds(target.name).into_iter().map(|(_, seed)| seed).collect();
                    let outcome = campaign(target, &seeds, budget, seed);
                    *cases.lock().unwrap() += outcome.cases;
                    println!(
                        "{}: {} cases, {} kept beside {} seeds, {} traits, slowest {:?}",
                        target.name,
                        outcome.cases,
                        outcome.kept,
                        seeds.len(),
                        outcome.traits,
                        outcome.slowest
                    );
                    if let Some((input, said)) = outcome.fault {
                        let path = keep(target.name, &input);
                        let fault = format!(
                            "{}: {said}\n  input: {} ({} bytes)",
                            target.name,
                            path.display(),
                            input.len()
                        );
                        println!("{fault}");
                        faults.lock().unwrap().push(fault);
                    }
                }
            });
        }
    });
    let (faults, cases) = (faults.into_inner().unwrap(), cases.into_inner().unwrap());
    println!("{cases} cases, {} faults", faults.len());
    assert!(
        faults.is_empty(),
        "{}\n\nto repeat: METALEAK_FUZZ_TARGET=… METALEAK_FUZZ_INPUT=… cargo test --test fuzz_smoke no_promise",
        faults.join("\n")
    );
}

#[test]
fn the_runner_finds_a_fault_and_makes_it_small() {
    fn body(data: &[u8]) -> Vec<u64> {
        // Reached in steps, each of which shows.
        let steps = b"FUZZ".iter().zip(data).take_while(|(a, b)| a == b).count();
        assert!(steps < 4, "planted");
        vec![steps as u64]
    }
    let target = Target::plain("planted", body);
    let find = |seed| campaign(&target, &[b"nothing at all".to_vec()], Budget::Cases(200_000), seed);
    let outcome = find(0);
    let (input, said) = outcome.fault.expect("the fault is found");
    assert_eq!(input, b"FUZZ", "in its smallest form");
    assert!(said.contains("planted"), "{said}");
    assert!(outcome.kept >= 3, "the steps on the way are kept: {}", outcome.kept);
    assert_eq!(find(0).cases, outcome.cases, "the same seed gives the same cases");
    let idle = Target::plain("idle", |_| Vec::new());
    let run = |budget| campaign(&idle, &[vec![1]], budget, 0).cases;
    assert_eq!(run(Budget::Smoke(700, Duration::from_secs(60))), 701, "the seed, and all cases");
    assert_eq!(run(Budget::Smoke(CASES, Duration::ZERO)), LEAST_CASES + 1, "the least, when time is over");
}

// ---------------------------------------------------------------------------------------------- seeds and files

#[test]
fn every_target_has_seeds() {
    let mut total = 0;
    for target in targets() {
        let seeds = seeds(target.name);
        let add = "add one to scripts/fuzz-seeds and run it";
        assert!(!seeds.is_empty(), "fuzz/corpus/{} has no seed: {add}", target.name);
        for (name, seed) in &seeds {
            assert!(
                seed.len() <= MAX_SEED,
                "{}/{name}: {} bytes are more than {MAX_SEED}",
                target.name,
                seed.len()
            );
            total += seed.len();
        }
        let Some(protocol) = target.protocol() else { continue };
        let taken = seeds.iter().any(|(_, seed)| {
            let capture = capture_of(target, seed).unwrap();
            let options = metaleak::dissect::Options::default();
            let analysis = metaleak::dissect::analyse_bytes("seed.pcap", &capture, &options).unwrap();
            analysis.flows.iter().any(|f| f.app_protocols.iter().any(|p| p == protocol.id))
        });
        assert!(taken, "no seed of fuzz/corpus/{} is read as {}: {add}", target.name, protocol.id);
    }
    assert!(total <= MAX_SEEDS, "{total} bytes of seeds are more than {MAX_SEEDS}");
}

#[test]
fn seeds_are_those_of_the_script() {
    let run = std::process::Command::new("python3").arg(root("scripts/fuzz-seeds")).arg("--check").output();
    let Ok(output) = run else {
        println!("skipped: seeds beside their script: python3 is not installed");
        return;
    };
    // Exit code 4: a part of the environment is missing.
    if output.status.code() == Some(4) {
        println!("skipped: seeds beside their script: {}", String::from_utf8_lossy(&output.stderr).trim());
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The file for cargo-fuzz.
fn entry(name: &str) -> String {
    format!(
        "#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|data: &[u8]| metaleak_fuzz::run(\"{name}\", data));\n"
    )
}

#[test]
fn every_target_has_its_files() {
    const MARK: &str = "every_target_has_its_files`.\n";
    let manifest = root("fuzz/Cargo.toml");
    let stored = std::fs::read_to_string(&manifest).unwrap();
    let (head, _) = stored.split_once(MARK).expect("the mark in fuzz/Cargo.toml");
    let bin = |t: &Target| {
        let name = t.name;
        format!(
            "\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n"
        )
    };
    let wanted = format!("{head}{MARK}{}", targets().iter().map(bin).collect::<String>());
    let folder = root("fuzz/fuzz_targets");
    let files: BTreeSet<String> = targets().iter().map(|t| format!("{}.rs", t.name)).collect();
    assert_eq!(files.len(), targets().len(), "two targets of one name");
    if std::env::var_os("METALEAK_UPDATE_FUZZ").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&manifest, &wanted).unwrap();
        for target in targets() {
            std::fs::write(folder.join(format!("{}.rs", target.name)), entry(target.name)).unwrap();
        }
    }
    let update = "run METALEAK_UPDATE_FUZZ=1 cargo test --test fuzz_smoke every_target_has_its_files";
    assert!(
        std::fs::read_to_string(&manifest).unwrap() == wanted,
        "fuzz/Cargo.toml lists other targets: {update}"
    );
    for target in targets() {
        let stored = std::fs::read_to_string(folder.join(format!("{}.rs", target.name))).unwrap_or_default();
        assert_eq!(stored, entry(target.name), "fuzz/fuzz_targets/{}.rs: {update}", target.name);
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(files.contains(&name), "fuzz/fuzz_targets/{name} is no target's: remove it");
    }
}
