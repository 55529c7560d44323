//! What is known of how a capture was made.
//!
//! Takes the path of a capture; gives, or writes, the [`Run`] that stands beside it: `NAME.run.json` for `NAME.pcap`, `NAME.pcapng`,
//! `NAME.pcap.gz` …, or `run.json` in a run folder (a folder with one capture). A broken file is an error, not a missing one.

use std::path::{Path, PathBuf};

use crate::dissect::StepTimes;
use crate::fault::line_at;
use crate::model::{Mark, Run};

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
    /// The file cannot be written.
    #[error("{path:?}: cannot write: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no run description.
    #[error(
        "{path:?}:{line}: {what}; the fields are messenger, steps, marks (step, start, end), vantage (router, vpn, device, server), place (DE, or 47.37,8.54), app, device, recorder, provenance, control (idle-device, without-app), service, app_uid, contacts (a number), recording, execution, canaries"
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

/// The steps that scenarios are made of; a claim can ask for no others.
pub const STEPS: [&str; 23] = [
    "register",
    "register-minimal",
    "contact-sync",
    "contact-deny",
    "text-1to1",
    "text-group",
    "media",
    "attach",
    "call-1to1",
    "call-relay",
    "call-group",
    "idle",
    "push-wake",
    "typing",
    "presence",
    "second-device",
    "web-login",
    "restore",
    "secret-chat",
    "own-server",
    "receive",
    "block",
    "delete-account",
];

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

/// Where the description of a capture belongs: `NAME.run.json` beside it.
#[must_use]
pub fn own_run_file(capture: &Path) -> PathBuf {
    let name = capture.file_name().unwrap_or_default().to_string_lossy();
    capture.with_file_name(format!("{}.run.json", stem(&name)))
}

/// Writes a description, which only its owner may read; whoever looks finds the old one or the new one, never a half. Canaries
/// are not written: they are the auditor's to keep.
///
/// # Errors
/// [`ScenarioError::Write`].
pub fn write_run(path: &Path, run: &Run) -> Result<(), ScenarioError> {
    use std::io::Write as _;
    let failed = |source| ScenarioError::Write { path: path.to_owned(), source };
    let mut text = serde_json::to_vec_pretty(run).map_err(|e| failed(e.into()))?;
    text.push(b'\n');
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
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
    let mut run: Run = serde_json::from_str(&text).map_err(|e| ScenarioError::Broken {
        path: path.clone(),
        line: e.line(),
        what: plain(&e.to_string()),
    })?;
    if let Some(control) =
        run.control.as_ref().filter(|c| !matches!(c.as_str(), "idle-device" | "without-app"))
    {
        let line = line_at(text.as_bytes(), text.find("\"control\"").unwrap_or_default());
        let what = format!("{control:?} is no control run; write idle-device or without-app");
        return Err(ScenarioError::Broken { path, line, what: plain(&what) });
    }
    order_marks(&mut run).map_err(|(mark, what)| {
        // The mark's own text is in the file once or, where it repeats, first where the fault shows as well.
        let before = text.find(&mark).and_then(|at| text.get(..at)).unwrap_or_default();
        ScenarioError::Broken { path: path.clone(), line: before.lines().count().max(1), what: plain(&what) }
    })?;
    Ok(Some(run))
}

/// Checks the times of the marks and puts them in order; a step with a mark was exercised. The error has the text at fault.
fn order_marks(run: &mut Run) -> Result<(), (String, String)> {
    let time = |text: &str| {
        let wrong = |e: jiff::Error| {
            (
                text.to_owned(),
                format!("{text:?} is no time: {e}; write RFC 3339 such as 2026-11-24T10:00:00Z"),
            )
        };
        text.parse::<jiff::Timestamp>().map_err(wrong)
    };
    let mut ordered = Vec::new();
    for mark in std::mem::take(&mut run.marks) {
        let start = time(&mark.start)?;
        if let Some(end) = &mark.end
            && time(end)? < start
        {
            return Err((end.clone(), format!("step {:?} ends at {end}, before it starts", mark.step)));
        }
        ordered.push((start, mark));
    }
    ordered.sort_by_key(|(start, _)| *start);
    run.marks = ordered.into_iter().map(|(_, mark)| mark).collect();
    for mark in &run.marks {
        if !run.steps.contains(&mark.step) {
            run.steps.push(mark.step.clone());
        }
    }
    Ok(())
}

/// When the user first did something, nanoseconds since 1970; `None` where no mark says so. To leave the app alone is no action.
#[must_use]
pub fn first_action(run: &Run) -> Option<i64> {
    let mark = run.marks.iter().find(|mark| mark.step != IDLE)?;
    began(mark)
}

/// When a mark's step began, nanoseconds since 1970.
fn began(mark: &Mark) -> Option<i64> {
    i64::try_from(mark.start.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()
}

/// When the steps of a run began, by its marks.
#[must_use]
pub fn step_times(run: &Run) -> StepTimes {
    StepTimes::new(run.marks.iter().filter_map(|mark| Some((began(mark)?, mark.step.as_str()))))
}

/// The step in which nothing is done.
const IDLE: &str = "idle";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let capture = folder.path().join("a.pcapng");
        let mark = crate::model::Mark {
            step: "idle".into(),
            start: "2026-11-24T10:00:00.000000001Z".into(),
            end: None,
        };
        let run = Run {
            steps: vec!["idle".into()],
            marks: vec![mark],
            recording: Some(crate::model::CaptureNote {
                interface: "eth0".into(),
                dropped: 3,
                ..Default::default()
            }),
            ..Run::default()
        };
        let path = own_run_file(&capture);
        assert_eq!(path, folder.path().join("a.run.json"));
        for _ in 0..2 {
            write_run(&path, &run).unwrap();
            assert_eq!(run_beside(&capture).unwrap(), Some(run.clone()));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        assert!(write_run(&folder.path().join("none/a.run.json"), &run).is_err());
    }

    #[test]
    fn a_run_stands_beside_its_capture() {
        let folder = tempfile::tempdir().unwrap();
        let capture = folder.path().join("a.b.pcapng.gz");
        assert_eq!(run_beside(&capture).unwrap(), None);
        std::fs::write(folder.path().join("a.b.run.json"), r#"{"messenger": "signal", "steps": ["idle"]}"#)
            .unwrap();
        let run = run_beside(&capture).unwrap().unwrap();
        assert_eq!((run.messenger.as_deref(), &run.steps[..]), (Some("signal"), &["idle".to_owned()][..]));
        let broken = |text: &str| {
            std::fs::write(folder.path().join("a.b.run.json"), text).unwrap();
            run_beside(&capture).unwrap_err().to_string()
        };
        let error = broken("{\"marks\": [\n{\"step\": \"idle\", \"start\": \"yesterday\"}]}");
        assert!(error.contains(":2: ") && error.contains("RFC 3339"), "{error}");
        let error = broken(
            "{\"marks\": [{\"step\": \"idle\",\n\"start\": \"2024-01-01T00:00:02Z\",\n\"end\": \"2024-01-01T00:00:01Z\"}]}",
        );
        assert!(error.contains(":3: ") && error.contains("before it starts"), "{error}");
        let text = r#"{"steps": ["idle"], "marks": [{"step": "text-1to1", "start": "2024-01-01T01:00:02+01:00"},
            {"step": "idle", "start": "2024-01-01T00:00:01Z", "end": "2024-01-01T00:00:02Z"}]}"#;
        std::fs::write(folder.path().join("a.b.run.json"), text).unwrap();
        let run = run_beside(&capture).unwrap().unwrap();
        assert_eq!(run.steps, ["idle", "text-1to1"]);
        assert_eq!(run.marks[0].step, "idle", "by their beginning");
        assert_eq!(first_action(&run), Some(1_704_067_202_000_000_000));
        let error = broken("{\"messenger\": \"signal\",\n\"control\": \"idle\"}");
        assert!(error.contains(":2: ") && error.contains("idle-device or without-app"), "{error}");
        std::fs::write(folder.path().join("a.b.run.json"), "{\n\"vantag\": 1}").unwrap();
        let error = run_beside(&capture).unwrap_err().to_string();
        assert!(error.contains(":2: ") && error.contains("vantage"), "{error}");
    }
}
