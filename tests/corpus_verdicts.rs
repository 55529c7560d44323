//! What the catalogue decides on each public capture, with the frames that it names: `tests/data/corpus-verdicts.tsv`, reviewed like code.
//!
//! `METALEAK_UPDATE_DOCS=1 cargo test --test corpus_verdicts` writes it anew. Every frame that is named has to be in the capture as Wireshark
//! counts, and the filter beside it has to show those frames and no others; tshark is asked where it is installed. Needs `../shared/corpus`;
//! skipped with a notice where it is absent.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{corpus, shared};
use metaleak::claims::{Catalogue, Criteria};
use metaleak::destination::ReferenceDb;
use metaleak::model::{ClaimResult, Verdict};
use metaleak::pipeline::{self, Capture, Settings};

/// Frames that a line of the table names; more are counted.
const MAX_NAMED: usize = 8;

/// What is decided on each capture by itself.
fn decided(files: &BTreeMap<String, PathBuf>) -> Vec<(String, ClaimResult)> {
    let captures: Vec<Capture> =
        files.iter().map(|(name, path)| Capture { path: path.clone(), name: name.clone() }).collect();
    let settings = Settings { parallel: true, ..Settings::default() };
    let (catalogue, db) = (Catalogue::embedded().unwrap(), ReferenceDb::embedded().unwrap());
    let nothing = BTreeMap::new();
    let mut all = Vec::new();
    for analysis in pipeline::analyse_all(&captures, &settings, &|_| {}) {
        let analysis = analysis.unwrap_or_else(|e| panic!("{e}"));
        let name = analysis.input.file.clone();
        let report = pipeline::report(vec![analysis], db, &catalogue, &nothing, &Criteria::default());
        let of_traffic = report
            .claims
            .into_iter()
            .filter(|c| !matches!(c.verdict, Verdict::Inconclusive | Verdict::Documentary));
        all.extend(of_traffic.map(|claim| (name.clone(), claim)));
    }
    all
}

fn table(all: &[(String, ClaimResult)]) -> String {
    let mut out = String::from("capture\tclaim\tverdict\tframes\n");
    for (name, claim) in all {
        let frames: Vec<u64> = claim.evidence.iter().flat_map(|e| e.frames.iter().copied()).collect();
        let mut named: Vec<String> = frames.iter().take(MAX_NAMED).map(u64::to_string).collect();
        if frames.len() > MAX_NAMED {
            named.push(format!("+{}", frames.len() - MAX_NAMED));
        }
        writeln!(out, "{name}\t{}\t{}\t{}", claim.id, claim.verdict, named.join(" ")).unwrap();
    }
    out
}

#[test]
fn verdicts_on_the_corpus_are_those_that_were_reviewed() {
    let Some(shared) = shared() else { return };
    let files = corpus(&shared);
    let all = decided(&files);
    let now = table(&all);
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus-verdicts.tsv");
    if std::env::var_os("METALEAK_UPDATE_DOCS").is_some() {
        std::fs::write(&stored, &now).unwrap();
    }
    let known = std::fs::read_to_string(&stored).unwrap();
    let differing = known.lines().zip(now.lines()).find(|(a, b)| a != b);
    assert!(
        known == now,
        "tests/data/corpus-verdicts.tsv is out of date ({} lines, now {}), first: {differing:?}; run METALEAK_UPDATE_DOCS=1 cargo test --test corpus_verdicts, review and commit it",
        known.lines().count(),
        now.lines().count()
    );
    assert!(all.iter().any(|(_, c)| c.verdict == Verdict::Contradicted));
    // A contradiction and a support always name frames.
    for (name, claim) in &all {
        let shown = claim.evidence.iter().any(|e| !e.frames.is_empty());
        assert!(shown || claim.verdict == Verdict::NotContradicted, "{name}: {} names no frame", claim.id);
    }
    wireshark_shows_them(&files, &all);
}

/// Each filter, asked of tshark, gives the frames of the evidence.
fn wireshark_shows_them(files: &BTreeMap<String, PathBuf>, all: &[(String, ClaimResult)]) {
    if !Command::new("tshark").arg("-v").output().is_ok_and(|o| o.status.success()) {
        println!("skipped: tshark is not installed (scripts/setup.sh test)");
        return;
    }
    let mut asked: BTreeMap<(&str, &str), &[u64]> = BTreeMap::new();
    for (name, claim) in all {
        for evidence in claim.evidence.iter().filter(|e| !e.frames.is_empty()) {
            asked.insert((name, &evidence.filter), &evidence.frames);
        }
    }
    for ((name, filter), frames) in &asked {
        let arguments = ["-n", "-Y", filter, "-T", "fields", "-e", "frame.number", "-r"];
        let output = Command::new("tshark").args(arguments).arg(&files[*name]).output().unwrap();
        let shown: Vec<u64> =
            String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect();
        assert_eq!(&shown, frames, "{name}: {filter}");
    }
    println!("tshark shows the frames of {} filters", asked.len());
}
