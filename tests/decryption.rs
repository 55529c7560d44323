//! Captures with the secrets that the auditor has: what is read equals what tshark and the peers say, secrets that do not fit cost
//! nothing but what they would have opened, and no secret reaches an output.
//!
//! The captures in `tests/data/keys` are of real programs (scripts/record-keyed); `truth.tsv` and `corpus.tsv` there are tshark's.
//! What needs `../shared/corpus` is skipped with a notice where it is absent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests: a failure there is a failed test"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{metaleak, shared};
use metaleak::dissect::{Options, analyse_bytes};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys")
}

fn recordings() -> BTreeMap<String, PathBuf> {
    let listed = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path());
    let captures = listed.filter(|p| p.extension().is_some_and(|e| e == "pcapng"));
    captures.map(|p| (p.file_stem().unwrap().to_str().unwrap().to_owned(), p)).collect()
}

/// The blocks of a little-endian pcapng, each with its type.
fn blocks(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut all = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (kind, size) = (word(0), word(4) as usize);
        all.push((kind, rest[..size].to_vec()));
        rest = &rest[size..];
    }
    all
}

const SECRETS: u32 = 10;
const PACKET: u32 = 6;

/// A recording in its parts: the file without its secrets, and the key log.
fn parts(path: &Path) -> (Vec<u8>, String) {
    let all = blocks(&std::fs::read(path).unwrap());
    let (secrets, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(kind, _)| *kind == SECRETS);
    let log: Vec<u8> = secrets
        .iter()
        .flat_map(|(_, b)| {
            let size = u32::from_le_bytes(b[12..16].try_into().unwrap()) as usize;
            b[16..16 + size].to_vec()
        })
        .collect();
    (others.into_iter().flat_map(|(_, b)| b).collect(), String::from_utf8(log).unwrap())
}

/// What a run of the program printed.
struct Run {
    out: String,
    err: String,
}

impl Run {
    fn of(args: &[&str], stdin: &str) -> Run {
        let done = metaleak().args(args).write_stdin(stdin.to_owned()).assert().success();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Run { out: text(&done.get_output().stdout), err: text(&done.get_output().stderr) }
    }

    fn observations(&self) -> Vec<Value> {
        self.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

fn classes(args: &[&str]) -> BTreeMap<String, u64> {
    let run = Run::of(&[&["coverage", "--format", "json"], args].concat(), "");
    let ledger: Value = serde_json::from_str(&run.out).unwrap();
    let classes: BTreeMap<String, u64> = serde_json::from_value(ledger[0]["classes"].clone()).unwrap();
    assert_eq!(Value::from(classes.values().sum::<u64>()), ledger[0]["total"]);
    classes
}

/// HTTP messages: all frames, and `kind method host target status`.
fn messages(observations: &[Value]) -> Vec<(Vec<u64>, [String; 5])> {
    let text = |o: &Value, field: &str| match &o[field] {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let http = observations.iter().filter(|o| o["kind"] == "http.request" || o["kind"] == "http.response");
    http.map(|o| {
        assert_eq!(o["decrypted"], true, "{o}");
        let frames = match o.get("frames") {
            Some(list) => list.as_array().unwrap().iter().map(|f| f.as_u64().unwrap()).collect(),
            None => vec![o["frame"].as_u64().unwrap()],
        };
        let kind = text(o, "kind").replace("http.", "");
        (frames, [kind, text(o, "method"), text(o, "host"), text(o, "target"), text(o, "status")])
    })
    .collect()
}

/// The rows of a table by capture: frame, and `kind method host target status`.
fn truth(table: &str) -> BTreeMap<String, Vec<(u64, [String; 5])>> {
    let mut by_capture: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let text = std::fs::read_to_string(folder().join(table)).unwrap();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let row = std::array::from_fn(|n| fields[n + 2].to_owned());
        by_capture.entry(fields[0].to_owned()).or_default().push((fields[1].parse().unwrap(), row));
    }
    by_capture
}

/// Each row of tshark's is a message here, one of whose frames is tshark's; gives what is read beyond.
fn compare(
    name: &str,
    mut mine: Vec<(Vec<u64>, [String; 5])>,
    theirs: &[(u64, [String; 5])],
) -> Vec<(Vec<u64>, [String; 5])> {
    for (frame, row) in theirs {
        let at = mine.iter().position(|(frames, fields)| fields == row && frames.contains(frame));
        let at = at.unwrap_or_else(|| panic!("{name}: frame {frame} {row:?} is not among {mine:?}"));
        mine.remove(at);
    }
    mine
}

#[test]
fn every_suite_of_real_peers_is_opened() {
    let truth = truth("truth.tsv");
    let all = recordings();
    assert_eq!(all.len(), 32, "{:?}", all.keys());
    for (name, path) in &all {
        let path = path.to_str().unwrap();
        let run = Run::of(&["dissect", path, "--show-secrets"], "");
        assert_eq!(run.err, "", "{name}");
        let mine = messages(&run.observations());
        match truth.get(name) {
            Some(theirs) => assert_eq!(compare(name, mine, theirs), [], "{name}: more than tshark"),
            // tshark 4.0 reads no fields of HTTP/3: what the peers asked is the truth.
            None if name == "quic-chromium" => {
                assert_eq!(mine[0].1[1..4], ["GET", "localhost:4433", "/page?id=canary-4711"]);
            }
            None if name.starts_with("quic-") => {
                let asked: Vec<&str> =
                    mine.iter().filter(|m| m.1[0] == "request").map(|m| m.1[3].as_str()).collect();
                let first = "/first?id=canary-4711";
                let expected = match name.as_str() {
                    "quic-updates" => vec![first, "/update0", "/update1", "/update2", "/id", "/upload"],
                    "quic-early" => vec![first, "/upload", "/early", "/late"],
                    _ => vec![first, "/upload"],
                };
                assert_eq!(asked, expected, "{name}");
                let answered = mine.iter().filter(|m| m.1[0] == "response" && m.1[4] == "200").count();
                assert_eq!(answered, expected.len(), "{name}");
            }
            None => assert_eq!(mine, [], "{name}"),
        }
        let classes = classes(&[path]);
        let of = |part: &str| classes.iter().filter(|(c, _)| c.ends_with(part)).map(|(_, n)| n).sum::<u64>();
        assert!(of(".decrypted") > 0, "{name}: {classes:?}");
        assert_eq!(of(".undecrypted") + of(".application"), 0, "{name}: {classes:?}");
    }
}

#[test]
fn captures_of_the_corpus_equal_tshark() {
    let Some(shared) = shared() else { return };
    for (name, theirs) in truth("corpus.tsv") {
        let path = shared.join("corpus").join(&name);
        let log = shared.join("corpus").join(format!("{name}.keylog"));
        let mut args = vec!["dissect", path.to_str().unwrap(), "--show-secrets"];
        if log.exists() {
            args.extend(["--keylog", log.to_str().unwrap()]);
        }
        let mine = messages(&Run::of(&args, "").observations());
        let more = compare(&name, mine, &theirs);
        // HTTP/3, of which tshark 4.0 reads no fields: one request and its response.
        let h3: Vec<_> = more.iter().map(|(frames, m)| (frames[0], m[0].as_str(), m[2].as_str())).collect();
        match name.as_str() {
            "ja4-chrome-cloudflare-quic-with-secrets.pcapng" => {
                assert_eq!(h3, [(55, "request", "cloudflare-quic.com"), (62, "response", "")]);
            }
            _ => assert_eq!(h3, [], "{name}"),
        }
    }
}

/// The same by a file, by standard input, and by the block within the capture, on one thread and on several.
#[test]
fn the_way_of_a_secret_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["tls13-chacha20", "quic-updates", "tls12-aes128-sha"] {
        let (bare, log) = parts(&recordings()[name]);
        let (capture, keys) = (dir.path().join("c.pcapng"), dir.path().join("keys.log"));
        std::fs::write(&capture, bare).unwrap();
        std::fs::write(&keys, &log).unwrap();
        let capture = capture.to_str().unwrap();
        let by_file = Run::of(&["dissect", capture, "--keylog", keys.to_str().unwrap()], "");
        let by_pipe = Run::of(&["dissect", capture, "--keylog", "-"], &log);
        let one = Run::of(&["dissect", capture, "--keylog", keys.to_str().unwrap(), "--threads", "1"], "");
        let within = Run::of(&["dissect", recordings()[name].to_str().unwrap()], "");
        assert_eq!(by_file.out, by_pipe.out, "{name}");
        assert_eq!(by_file.out, one.out, "{name}");
        let renamed = within.out.replace(&format!("{name}.pcapng"), "c.pcapng");
        assert_eq!(by_file.out, renamed, "{name}");
        assert_ne!(by_file.out, Run::of(&["dissect", capture], "").out, "{name}");
    }
}

#[test]
fn wrong_missing_and_late_secrets_are_opaque_and_no_error() {
    let dir = tempfile::tempdir().unwrap();
    for (name, layer) in
        [("tls12-aes128-gcm", "tls"), ("tls13-aes128-gcm", "tls"), ("quic-plain", "quic"), ("dtls12", "dtls")]
    {
        let (bare, log) = parts(&recordings()[name]);
        let file = dir.path().join("c.pcapng");
        std::fs::write(&file, &bare).unwrap();
        let path = file.to_str().unwrap();
        let without = Run::of(&["dissect", path], "");
        assert!(!without.out.contains("\"decrypted\":true"));
        // Of other connections: as if there were none.
        let other = dir.path().join("other.log");
        let strange = format!("CLIENT_RANDOM {} {}\n", "0f".repeat(32), "0e".repeat(48));
        std::fs::write(&other, &strange).unwrap();
        let run = Run::of(&["dissect", path, "--keylog", other.to_str().unwrap(), "--strict"], "");
        assert_eq!((&run.out, run.err.as_str()), (&without.out, ""), "{name}");
        // Wrong ones of this connection.
        let mut wrong = String::new();
        for line in log.lines() {
            let (rest, secret) = line.rsplit_once(' ').unwrap();
            wrong += &format!("{rest} {}\n", "5a".repeat(secret.len() / 2));
        }
        std::fs::write(&other, wrong).unwrap();
        let run = Run::of(&["dissect", path, "--keylog", other.to_str().unwrap(), "--strict"], "");
        assert_eq!((&run.out, run.err.as_str()), (&without.out, ""), "{name}");
        let shut = classes(&[path, "--keylog", other.to_str().unwrap()]);
        assert!(shut.get(&format!("{layer}.undecrypted")).is_some_and(|n| *n > 0), "{name}: {shut:?}");
        assert!(!shut.contains_key(&format!("{layer}.decrypted")), "{name}: {shut:?}");
        // Behind all packets: too late.
        let mut all = blocks(&std::fs::read(&recordings()[name]).unwrap());
        all.sort_by_key(|(kind, _)| *kind == SECRETS);
        std::fs::write(&file, all.into_iter().flat_map(|(_, b)| b).collect::<Vec<u8>>()).unwrap();
        assert_eq!(Run::of(&["dissect", path], "").out, without.out, "{name}");
    }
}

#[test]
fn findings_say_that_they_were_decrypted() {
    for (name, encryption, found) in [
        ("tls13-aes256-gcm", "tls1.3", 1),
        ("tls-http2-curl", "tls1.3", 1),
        ("tls-websocket", "tls1.3", 1),
        ("smtp-starttls", "tls1.3", 1),
        ("quic-plain", "quic", 1),
        ("dtls12", "dtls1.2", 1),
    ] {
        let path = recordings()[name].clone();
        let args = ["replay", path.to_str().unwrap(), "--format", "json", "--canary", "planted=canary-4711"];
        let report: Value = serde_json::from_str(&Run::of(&args, "").out).unwrap();
        let findings = report["findings"].as_array().unwrap();
        assert!(findings.iter().all(|f| f["decrypted"] == true), "{name}: {findings:#?}");
        let canaries: Vec<_> = findings.iter().filter(|f| f["kind"] == "canary").collect();
        assert!(canaries.len() >= found, "{name}: {findings:#?}");
        for canary in canaries {
            assert!(!canary["frames"].as_array().unwrap().is_empty(), "{name}: {canary}");
            assert_eq!(canary["severity"], "medium", "{name}");
        }
        let none = findings.iter().all(|f| !f["what"].as_str().unwrap().contains("in clear"));
        assert!(none, "{name}: {findings:#?}");
        let flow = &report["flows"][0];
        assert_eq!(flow["encryption"], encryption, "{name}");
        let clear: u64 = if name == "smtp-starttls" { 128 } else { 0 };
        assert!(flow["clear_bytes"].as_u64().unwrap() <= clear, "{name}: {flow}");
        let sources = flow["names"].as_array().unwrap().iter().map(|n| n["source"].as_str().unwrap());
        assert!(
            sources.into_iter().all(|s| matches!(s, "sni" | "decrypted" | "certificate")),
            "{name}: {flow}"
        );
    }
}

/// A record, a packet or a datagram that is not in the capture costs what was in it.
#[test]
fn lost_frames_cost_no_more_than_they_held() {
    let options = Options { observe: true, ..Options::default() };
    for (name, lost, left) in
        [("tls12-aes128-sha", 12, 1), ("tls-http2-curl", 19, 3), ("quic-updates", 12, 10)]
    {
        let mut frame = 0;
        let kept: Vec<u8> = blocks(&std::fs::read(&recordings()[name]).unwrap())
            .into_iter()
            .filter(|(kind, _)| {
                frame += u64::from(*kind == PACKET);
                *kind != PACKET || frame != lost
            })
            .flat_map(|(_, b)| b)
            .collect();
        let analysis = analyse_bytes(name, &kept, &options).unwrap();
        let decrypted = |o: &&metaleak::dissect::Observation| o.fields.contains_key("decrypted");
        let http =
            analysis.observations.iter().filter(decrypted).filter(|o| o.kind.starts_with("http.")).count();
        assert!(http >= left, "{name} without frame {lost}: {http}");
    }
}

/// Cut at every byte nothing panics, the ledger sums, and no more is read than of the whole.
#[test]
fn cut_anywhere_less_is_read_and_nothing_else() {
    let options = Options { observe: true, ..Options::default() };
    for (name, step) in [
        ("tls12-aes256-sha384", 3),
        ("tls13-early-data", 5),
        ("quic-early", 11),
        ("quic-v2", 7),
        ("dtls12", 3),
    ] {
        let whole = std::fs::read(&recordings()[name]).unwrap();
        let count = |bytes: &[u8]| {
            let Ok(analysis) = analyse_bytes(name, bytes, &options) else { return 0 };
            assert_eq!(analysis.coverage.classes.values().sum::<u64>(), bytes.len() as u64);
            assert!(analysis.observations.is_sorted_by_key(|o| o.frame));
            analysis.observations.iter().filter(|o| o.kind == "http.request").count()
        };
        let all = count(&whole);
        for cut in (0..whole.len()).step_by(step) {
            assert!(count(&whole[..cut]) <= all, "{name} {cut}");
        }
        // Flipped bytes: seals break, and no more.
        for at in (0..whole.len()).step_by(step * 7) {
            let mut broken = whole.clone();
            broken[at] ^= 0x20;
            count(&broken);
        }
    }
}

#[test]
fn no_secret_reaches_an_output() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["tls13-key-update", "tls12-chacha20", "quic-early", "dtls12"] {
        let path = &recordings()[name];
        let (bare, log) = parts(path);
        let capture = dir.path().join("c.pcapng");
        std::fs::write(&capture, bare).unwrap();
        let keys = dir.path().join("keys.log");
        std::fs::write(&keys, format!("# comment\n{log}CLIENT_RANDOM 0badc0de\n{}x\n", log.trim_end()))
            .unwrap();
        let given = [capture.to_str().unwrap(), "--show-secrets", "--keylog", keys.to_str().unwrap()];
        let carried = [path.to_str().unwrap(), "--show-secrets"];
        for command in [
            &["dissect"][..],
            &["replay", "--format", "json"],
            &["replay", "--format", "html"],
            &["replay", "-vv"],
        ] {
            for args in [&given[..], &carried] {
                let run = Run::of(&[command, args].concat(), "");
                let shown = [run.out, run.err].concat().to_lowercase();
                for secret in log.lines().filter_map(|l| l.split(' ').next_back()) {
                    assert!(!shown.contains(&secret[..24]), "{name} {command:?}");
                }
                assert!(!shown.contains("0badc0de"), "{name} {command:?}");
            }
        }
        let lines = log.lines().count();
        let run = Run::of(&[&["dissect"], &given[..]].concat(), "");
        let expected = format!("lines {}, {} are no lines of a key log", lines + 2, 2 * lines + 2);
        assert!(run.err.contains(&expected), "{name}: {}", run.err);
    }
}

#[test]
fn key_logs_that_cannot_be_read_are_told() {
    let capture = recordings()["dtls12"].clone();
    let capture = capture.to_str().unwrap();
    let failed = metaleak().args(["dissect", capture, "--keylog", "/nonexistent/keys"]).assert().code(3);
    let err = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(err.contains("/nonexistent/keys"), "{err}");
    metaleak().args(["dissect", "-", "--keylog", "-"]).assert().code(2);
}
