//! What is known of how a capture was made.
//!
//! Takes the path of a capture; gives the [`Run`] that stands beside it: `NAME.run.json` for `NAME.pcap`, `NAME.pcapng`,
//! `NAME.pcap.gz` …, or `run.json` in a run folder (a folder with one capture). A broken file is an error, not a missing one.
//! The runner and its drivers are not here yet: captures are made by other programs so far.

use std::path::{Path, PathBuf};

use crate::model::Run;

/// Why the description of a run could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{path:?}: cannot read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no run description.
    #[error(
        "{path:?}:{line}: {what}; the fields are messenger, steps, vantage (router, vpn, device, server), place (DE, or 47.37,8.54), app, device, recorder, provenance, canaries"
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// The largest run description that is believed.
const MAX_RUN: u64 = 1 << 20;

/// File name up to `.pcap`, as the files beside a capture begin.
#[must_use]
pub fn stem(file_name: &str) -> &str {
    file_name.find(".pcap").and_then(|at| file_name.get(..at)).unwrap_or(file_name)
}

/// A message that may quote the file, without its control characters.
fn plain(message: &str) -> String {
    message
        .chars()
        .map(|c| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() })
        .collect()
}

/// The file that describes how a capture was made, where there is one.
#[must_use]
pub fn run_file(capture: &Path) -> Option<PathBuf> {
    let name = capture.file_name().and_then(|n| n.to_str())?;
    let own = capture.with_file_name(format!("{}.run.json", stem(name)));
    let shared = capture.with_file_name("run.json");
    [own, shared].into_iter().find(|p| p.is_file())
}

/// The description beside a capture; `None` when there is none.
///
/// # Errors
/// [`ScenarioError`] when there is one that cannot be used.
pub fn run_beside(capture: &Path) -> Result<Option<Run>, ScenarioError> {
    let Some(path) = run_file(capture) else { return Ok(None) };
    let read = |source| ScenarioError::Read { path: path.clone(), source };
    let size = std::fs::metadata(&path).map_err(read)?.len();
    if size > MAX_RUN {
        let what = format!("{size} bytes are too many for a run description");
        return Err(ScenarioError::Broken { path, line: 1, what });
    }
    let text = std::fs::read_to_string(&path).map_err(read)?;
    let run = serde_json::from_str(&text).map_err(|e| ScenarioError::Broken {
        path: path.clone(),
        line: e.line(),
        what: plain(&e.to_string()),
    })?;
    Ok(Some(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stands_beside_its_capture() {
        let folder = tempfile::tempdir().unwrap();
        let capture = folder.path().join("a.b.pcapng.gz");
        assert_eq!(run_beside(&capture).unwrap(), None);
        std::fs::write(folder.path().join("a.b.run.json"), r#"{"messenger": "signal", "steps": ["idle"]}"#)
            .unwrap();
        let run = run_beside(&capture).unwrap().unwrap();
        assert_eq!((run.messenger.as_deref(), &run.steps[..]), (Some("signal"), &["idle".to_owned()][..]));
        std::fs::write(folder.path().join("a.b.run.json"), "{\n\"vantag\": 1}").unwrap();
        let error = run_beside(&capture).unwrap_err().to_string();
        assert!(error.contains(":2: ") && error.contains("vantage"), "{error}");
    }
}
