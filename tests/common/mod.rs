//! What the integration tests share: the command, the corpus beside the crate, and captures made from code.
//!
//! Everything goes through the program's public interface (CONTRACT.md); nothing here knows the library's inside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]
#![allow(dead_code, reason = "every test binary compiles this module and uses a part of it")]

pub(crate) mod build;
pub(crate) mod truth;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Once;

use serde_json::Value;

#[allow(unused_imports, reason = "re-exported for the tests that build captures")]
pub(crate) use build::{Endian, PacketBuilder, Tcp, Unit};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_metaleak");

/// A command that runs the program without anything of the caller's terminal or language.
pub(crate) fn metaleak() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(BINARY);
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env("LC_ALL", "C.UTF-8");
    command
}

/// The folder with the public captures and tools, or `None` (said once) where it is absent.
pub(crate) fn shared() -> Option<PathBuf> {
    static NOTICE: Once = Once::new();
    let folder = std::env::var_os("METALEAK_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    if folder.join("corpus").is_dir() {
        return Some(folder);
    }
    NOTICE.call_once(|| println!("skipped: ../shared is not here"));
    None
}

/// All captures of the corpus, by name.
pub(crate) fn corpus(shared: &Path) -> BTreeMap<String, PathBuf> {
    let folder = shared.join("corpus");
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    listed
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)))
        .filter(|(name, _)| {
            let plain = name.strip_suffix(".gz").unwrap_or(name);
            [".pcap", ".pcapng"].iter().any(|end| plain.ends_with(end))
        })
        .collect()
}

/// One line of `metaleak dissect`.
#[derive(Clone, Debug)]
pub(crate) struct Observation(pub(crate) Value);

impl Observation {
    /// `kind`, `capture`, `src` … as text; empty when it is not there or null.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// The frame in which the message became complete; 0 when the line names none.
    pub(crate) fn frame(&self) -> u64 {
        self.0["frame"].as_u64().unwrap_or_default()
    }

    /// All frames of the message: `frames` where it is given, else `frame` alone.
    pub(crate) fn frames(&self) -> Vec<u64> {
        match self.0["frames"].as_array() {
            Some(list) => list.iter().filter_map(Value::as_u64).collect(),
            None => vec![self.frame()],
        }
    }

    /// It was only readable with keys.
    pub(crate) fn decrypted(&self) -> bool {
        self.0["decrypted"].as_bool().unwrap_or_default()
    }
}

/// Parses JSON Lines; a line that is not JSON fails the test with its number.
pub(crate) fn observations(stdout: &[u8]) -> Vec<Observation> {
    let text = std::str::from_utf8(stdout).expect("dissect writes UTF-8");
    text.lines()
        .enumerate()
        .map(|(n, line)| {
            Observation(serde_json::from_str(line).unwrap_or_else(|e| panic!("line {}: {e}: {line}", n + 1)))
        })
        .collect()
}

/// What `metaleak dissect FILE…` says; fails unless it exits with 0.
pub(crate) fn dissect<S: AsRef<OsStr>>(files: impl IntoIterator<Item = S>) -> Vec<Observation> {
    let output = metaleak().arg("dissect").args(files).output().expect("the program starts");
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "dissect ended with {}: {problems}", output.status);
    observations(&output.stdout)
}

/// What `metaleak dissect` says of a capture made from code.
pub(crate) fn dissect_bytes(capture: &[u8]) -> Vec<Observation> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made.pcap");
    std::fs::write(&file, capture).unwrap();
    dissect([&file])
}

/// The report of `metaleak replay FILE… --format json -o -`; fails unless it exits with 0.
pub(crate) fn replay<S: AsRef<OsStr>>(files: impl IntoIterator<Item = S>) -> Value {
    let output = metaleak().arg("replay").args(files).args(["--format", "json", "-o", "-"]).output().unwrap();
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "replay ended with {}: {problems}", output.status);
    serde_json::from_slice(&output.stdout).expect("replay writes JSON")
}

/// The report on a capture made from code.
pub(crate) fn replay_bytes(capture: &[u8]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made.pcap");
    std::fs::write(&file, capture).unwrap();
    replay([&file])
}

/// Numbers that look random and are the same everywhere (`SplitMix64`).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// The `report.json` that `study -o FOLDER` wrote, in the folder or one below it.
pub(crate) fn report_in(folder: &Path) -> PathBuf {
    let direct = folder.join("report.json");
    if direct.is_file() {
        return direct;
    }
    let below = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    below
        .map(|entry| entry.unwrap().path().join("report.json"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no report.json in {}", folder.display()))
}
