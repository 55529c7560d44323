//! The stored captures of `captures/`: what the program says of each must be what the file beside it expects.
//!
//! Beside `NAME.pcap…` lie `NAME.run.json` (how it was made, read by the program) and `NAME.expected.toml` (frames,
//! verdicts, findings; written by `make captures-expect`, reviewed like code, read only here).
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use metaleak::model::{Report, Run};
use serde::Deserialize;

/// What a stored capture must give.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expected {
    frames: u64,
    /// Claim id to verdict, `inconclusive:REASON` for that one. Documentary claims and such that the capture does not
    /// exercise are left out.
    #[serde(default)]
    verdicts: BTreeMap<String, String>,
    /// Number of findings by kind.
    #[serde(default)]
    findings: BTreeMap<String, u64>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// File name without `.pcap…`: the stem of the files beside it.
fn stem(capture: &Path) -> String {
    let name = capture.file_name().expect("a file").to_string_lossy();
    name.split(".pcap").next().unwrap_or_default().to_owned()
}

fn captures() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder())
        .expect("captures/ is part of the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().contains(".pcap")))
        .collect();
    found.sort();
    assert!(found.len() >= 5, "captures/ holds only {} captures", found.len());
    found
}

fn beside(capture: &Path, ending: &str) -> PathBuf {
    capture.with_file_name(format!("{}.{ending}", stem(capture)))
}

fn replay(capture: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_metaleak"))
        .args(["replay", "--format", "json", "-o", "-"])
        .arg(capture)
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}: {said}", capture.display(), output.status);
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}

fn verdict_of(claim: &metaleak::model::ClaimResult) -> String {
    if claim.reason.is_empty() {
        claim.verdict.to_string()
    } else {
        format!("{}:{}", claim.verdict, claim.reason)
    }
}

/// Whether a verdict belongs into an expectation although it is not listed there.
fn tells_something(verdict: &str) -> bool {
    !matches!(verdict, "documentary" | "inconclusive:not-exercised")
}

/// One line for every difference; none when all is as expected.
fn differences(expected: &Expected, report: &Report) -> Vec<String> {
    let mut told = Vec::new();
    let frames: u64 = report.inputs.iter().map(|i| i.frames).sum();
    if frames != expected.frames {
        told.push(format!("frames: expected {}, got {frames}", expected.frames));
    }
    let claims: BTreeMap<&str, _> = report.claims.iter().map(|c| (c.id.as_str(), c)).collect();
    for (id, want) in &expected.verdicts {
        let Some(claim) = claims.get(id.as_str()) else {
            told.push(format!("{id}: expected {want}, the report lacks the claim"));
            continue;
        };
        let got = verdict_of(claim);
        if got != *want {
            let evidence: Vec<String> =
                claim.evidence.iter().map(|e| format!("frames {:?} ({})", e.frames, e.note)).collect();
            told.push(format!("{id}: expected {want}, got {got}; {}", evidence.join("; ")));
        }
    }
    for (id, claim) in claims {
        let got = verdict_of(claim);
        if tells_something(&got) && !expected.verdicts.contains_key(id) {
            told.push(format!("{id}: got {got}, not in the expectation"));
        }
    }
    let mut findings: BTreeMap<String, u64> = BTreeMap::new();
    for finding in &report.findings {
        let kind = serde_json::to_value(finding.kind).expect("an enum is a string");
        *findings.entry(kind.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    for kind in expected.findings.keys().chain(findings.keys()).collect::<BTreeSet<_>>() {
        let (want, got) = (expected.findings.get(kind).unwrap_or(&0), findings.get(kind).unwrap_or(&0));
        if want != got {
            told.push(format!("findings of kind {kind}: expected {want}, got {got}"));
        }
    }
    told
}

#[test]
fn stored_captures_give_the_expected_verdicts() {
    let mut told = Vec::new();
    for capture in captures() {
        let file = beside(&capture, "expected.toml");
        let text = fs::read_to_string(&file).unwrap_or_else(|e| {
            panic!("{}: {e}; `make captures-expect` writes it, for review", file.display())
        });
        let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let report: Report = serde_json::from_str(&replay(&capture)).expect("a report");
        told.extend(differences(&expected, &report).iter().map(|line| format!("{}: {line}", stem(&capture))));
    }
    assert!(
        told.is_empty(),
        "not as expected (where the new word is right: `make captures-expect`, and review its diff)\n{}",
        told.join("\n")
    );
}

#[test]
fn run_files_are_read_and_planted_secrets_masked() {
    for capture in captures() {
        let text = fs::read_to_string(beside(&capture, "run.json")).expect("a run file beside each capture");
        let run: Run = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", capture.display()));
        let json = replay(&capture);
        let report: Report = serde_json::from_str(&json).expect("a report");
        let read = report.inputs.first().and_then(|i| i.run.as_ref()).expect("the report names the run");
        assert_eq!(
            (&read.app, &read.steps, read.vantage),
            (&run.app, &run.steps, run.vantage),
            "{}",
            capture.display()
        );
        for (name, value) in &run.canaries {
            assert!(
                !json.contains(value.as_str()),
                "{}: canary {name} stands in the report",
                capture.display()
            );
        }
    }
}

#[test]
fn stored_captures_are_small_and_their_origin_is_written_down() {
    let readme = fs::read_to_string(folder().join("README.md")).expect("captures/README.md");
    let mut whole = 0;
    for capture in captures() {
        let name = capture.file_name().expect("a file").to_string_lossy().into_owned();
        let bytes = fs::metadata(&capture).expect("readable").len();
        assert!(bytes < 1536 * 1024, "{name}: {bytes} bytes");
        whole += bytes;
        assert!(readme.contains(&format!("`{name}`")), "captures/README.md does not name {name}");
        let text = fs::read_to_string(beside(&capture, "run.json")).expect("a run file beside each capture");
        let run: Run = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(run.provenance.is_some_and(|p| p.len() > 40), "{name}: no provenance");
        assert!(
            run.app.is_some() && run.recorder.is_some() && run.vantage.is_some(),
            "{name}: run file incomplete"
        );
    }
    assert!(whole < 12 * 1024 * 1024, "captures/ holds {whole} bytes");
}

/// The stored calls are told apart: by a relay alone, and straight to the other side, whose address is shown then.
#[test]
fn a_call_by_a_relay_shows_no_peer_and_a_direct_one_does() {
    let roles = |name: &str| -> BTreeMap<String, String> {
        let report: serde_json::Value = serde_json::from_str(&replay(&folder().join(name))).expect("JSON");
        let of = |d: &serde_json::Value, key: &str| d[key].as_str().unwrap_or_default().to_owned();
        report["destinations"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|d| (of(d, "address"), of(d, "role")))
            .collect()
    };
    let relayed = roles("call-relay.pcapng.gz");
    assert_eq!(relayed.get("10.77.2.34").map(String::as_str), Some("relay"), "{relayed:?}");
    assert!(relayed.values().all(|role| role != "peer"), "{relayed:?}");
    let direct = roles("call-direct.pcapng.gz");
    let peers: Vec<&str> =
        direct.iter().filter(|(_, role)| *role == "peer").map(|(a, _)| a.as_str()).collect();
    assert!(
        !peers.is_empty() && peers.iter().all(|a| a.starts_with("10.77.2.") || a.starts_with("fd00:77:2:")),
        "{direct:?}"
    );
}

/// The planted tracker, and what says of it that it is one.
const TRACKER: &str = "metaleak-lab.matomo.cloud";
const NO_TRACKERS: &str = "caritas.no-third-party-trackers";

/// What is planted is found by frame, and only there: the same visit without it shows nothing outside its encryption.
#[test]
fn the_planted_tracker_and_request_in_clear_are_found() {
    let read =
        |name: &str| -> Report { serde_json::from_str(&replay(&folder().join(name))).expect("a report") };
    let (clean, planted) = (read("counselling-chromium.pcapng.gz"), read("counselling-planted.pcapng.gz"));
    let in_clear = |report: &Report| {
        report.findings.iter().filter(|f| !f.decrypted).flat_map(|f| f.frames.clone()).collect::<Vec<u64>>()
    };
    assert_eq!(in_clear(&clean), [0; 0]);
    assert!(!in_clear(&planted).is_empty());
    let tracked = |report: &Report| report.destinations.iter().any(|d| d.names.iter().any(|n| n == TRACKER));
    assert!(!tracked(&clean) && tracked(&planted));
}

/// Beside a control run of the same browser without the page, the tracker contradicts by the frame in which it is asked for; without
/// one nothing tells that the browser does not ask by itself. The clean visit speaks to the chosen service alone.
#[test]
fn the_planted_tracker_contradicts_beside_a_control_run() {
    let read = |names: &[&str]| -> Report {
        let paths = names.iter().map(|name| folder().join(name));
        let output = Command::new(env!("CARGO_BIN_EXE_metaleak"))
            .args(["replay", "--format", "json", "-o", "-"])
            .args(paths)
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("a report")
    };
    let (planted, control) = ("counselling-planted.pcapng.gz", "counselling-control.pcapng.gz");
    let verdict = |report: &Report| {
        let claim = report.claims.iter().find(|c| c.id == NO_TRACKERS).expect("the claim");
        (
            claim.verdict.to_string(),
            claim.evidence.iter().flat_map(|e| e.frames.clone()).collect::<Vec<u64>>(),
        )
    };
    let alone = read(&[planted]);
    assert_eq!(verdict(&alone).0, "inconclusive");
    let of = |report: &Report, name: &str| {
        let end = report.destinations.iter().find(|d| d.names.iter().any(|n| n == name)).expect("the end");
        (end.role, end.flows.clone())
    };
    assert_eq!(of(&alone, TRACKER).0, metaleak::model::Role::Tracker);
    let both = read(&[planted, control]);
    let (said, frames) = verdict(&both);
    assert_eq!(said, "contradicted");
    let (_, flows) = of(&both, TRACKER);
    let first: Vec<u64> = both
        .flows
        .iter()
        .filter(|f| flows.contains(&format!("{}#{}", f.capture, f.flow)))
        .map(|f| f.first_frame)
        .collect();
    assert_eq!(frames, first, "the frames of the tracker, and no other");
    let clean = read(&["counselling-chromium.pcapng.gz", control]);
    assert_eq!(verdict(&clean).0, "not-contradicted");
}

/// The comparison itself: each kind of difference is told, and agreement is silent.
#[test]
fn differences_are_told() {
    let report: Report = serde_json::from_value(serde_json::json!({
        "schema": "metaleak/report/1", "tool": {"name": "metaleak", "version": "0", "features": []},
        "inputs": [{"file": "a", "sha256": "", "bytes": 0, "decoded_bytes": 0, "frames": 3, "first_time": null,
            "last_time": null, "link_types": [], "truncated": false}],
        "reference": [], "coverage": [], "flows": [], "destinations": [], "leakage": [], "warnings": [],
        "findings": [{"id": "f1", "kind": "canary", "severity": "high", "what": "", "encoding": [], "capture": "a",
            "frames": [2], "offset": 0, "flow": 1, "direction": "up", "decrypted": false}],
        "claims": [claim("x.a", "supported", ""), claim("x.b", "inconclusive", "opaque"),
            claim("x.c", "inconclusive", "not-exercised"), claim("x.d", "documentary", "")],
    }))
    .expect("the model's own shape");
    let right = "frames = 3\n[verdicts]\n\"x.a\" = \"supported\"\n\"x.b\" = \"inconclusive:opaque\"\n[findings]\ncanary = 1\n";
    assert_eq!(differences(&toml::from_str(right).expect("valid"), &report), Vec::<String>::new());
    let wrong = "frames = 4\n[verdicts]\n\"x.a\" = \"contradicted\"\n\"x.z\" = \"supported\"\n[findings]\ncookie = 1\n";
    let told = differences(&toml::from_str(wrong).expect("valid"), &report);
    assert_eq!(
        told,
        [
            "frames: expected 4, got 3",
            "x.a: expected contradicted, got supported; frames [7] (seen)",
            "x.z: expected supported, the report lacks the claim",
            "x.b: got inconclusive:opaque, not in the expectation",
            "findings of kind canary: expected 0, got 1",
            "findings of kind cookie: expected 1, got 0",
        ]
    );
}

fn claim(id: &str, verdict: &str, reason: &str) -> serde_json::Value {
    serde_json::json!({
        "id": id, "messenger": "x", "criterion": "gdpr", "text": {"en": "", "de": ""}, "verdict": verdict, "reason": reason,
        "evidence": [{"capture": "a", "frames": [7], "filter": "frame.number == 7", "note": "seen"}],
        "control": null, "sources": [],
    })
}
