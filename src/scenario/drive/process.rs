//! Programs that a driver or a back-end starts: with a time limit, with bounded memory, and ended when all has to end.
//!
//! Takes a [`Command`]; gives what it printed, or a [`StepFault`]. Each program gets a process group of its own, so that Ctrl-C in a
//! terminal reaches metaleak alone, which then ends its programs in order, and so that a program's children end with it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{LOOK, StepFault};

/// Bytes of an output that are kept in memory; the rest is counted, and stands in the file where there is one.
pub const MAX_OUTPUT: usize = 8 << 20;

/// Bytes of an output that go to its file.
const MAX_FILE: u64 = 256 << 20;

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(3);

/// What a program printed.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Standard output, [`MAX_OUTPUT`] bytes at most.
    pub stdout: Vec<u8>,
    /// Standard error, likewise.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: Option<ExitStatus>,
}

impl Output {
    /// Both outputs as text, standard output first.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.stdout), String::from_utf8_lossy(&self.stderr))
    }

    /// Whether it ended with exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.is_some_and(|s| s.success())
    }

    /// The last line that says something, standard error first.
    #[must_use]
    pub fn last_line(&self) -> String {
        let last = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines().rev().find(|l| !l.trim().is_empty()).map(|l| plain(l.trim()))
        };
        last(&self.stderr).or_else(|| last(&self.stdout)).unwrap_or_default()
    }
}

/// A line without control characters, 300 characters at most.
#[must_use]
pub fn plain(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Why a program could not be started, and what to do.
#[must_use]
pub fn not_started(program: &str, e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => {
            format!(
                "{program:?} is not there; install it, or say where it lies with --tool NAME=PATH (metaleak doctor lists what is needed)"
            )
        }
        _ => format!("{program:?}: cannot start: {e}"),
    }
}

/// Gives a command a process group of its own.
pub fn grouped(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
    }
    command
}

/// Sends a signal to a program and its children. The standard library has no call for it, and this crate no `unsafe` code.
fn signal(child: &Child, signal: &str) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill")
        .args([&format!("-{signal}"), "--", &group])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Ends a program: asks first, and kills it when it does not listen.
pub fn end(child: &mut Child) -> Option<ExitStatus> {
    if let Ok(Some(status)) = child.try_wait() {
        return Some(status);
    }
    signal(child, "TERM");
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(LOOK);
    }
    signal(child, "KILL");
    let _ = child.kill();
    child.wait().ok()
}

/// Reads an output to its end: the first part is kept, all goes to the file.
fn collect(mut from: impl Read + Send + 'static, mut file: Option<File>) -> Collected {
    let all = Arc::new(Mutex::new(Vec::new()));
    let here = Arc::clone(&all);
    let reader = std::thread::spawn(move || {
        let (mut buffer, mut written) = (vec![0u8; 64 << 10], 0u64);
        while let Ok(n) = from.read(&mut buffer) {
            let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else { break };
            let mut kept = here.lock().unwrap_or_else(PoisonError::into_inner);
            let room = MAX_OUTPUT.saturating_sub(kept.len());
            kept.extend_from_slice(part.get(..room.min(n)).unwrap_or_default());
            drop(kept);
            if written < MAX_FILE
                && let Some(to) = &mut file
            {
                written += n as u64;
                // A full disk is told by the recording, which is what matters.
                if to.write_all(part).is_err() {
                    file = None;
                }
            }
        }
    });
    (reader, all)
}

/// Who reads an output, and what was read so far.
type Collected = (JoinHandle<()>, Arc<Mutex<Vec<u8>>>);

/// What a reader of an output collected; a grandchild that keeps the pipe open is not waited for.
fn collected((reader, all): Collected) -> Vec<u8> {
    let until = Instant::now() + GRACE;
    while !reader.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs a program to its end, at most until `until`. Its outputs also go to `file` with `.out` and `.err`.
///
/// # Errors
/// [`StepFault::Timeout`], [`StepFault::Interrupted`], [`StepFault::Failed`] when it cannot be started, and [`StepFault::Crashed`] when a
/// signal of somebody else ended it. An exit code other than 0 is no error here.
pub fn run(
    command: &mut Command,
    input: Option<&[u8]>,
    until: Instant,
    stop: &AtomicBool,
    file: Option<&Path>,
) -> Result<Output, StepFault> {
    let program = command.get_program().to_string_lossy().into_owned();
    let began = Instant::now();
    let create = |extension: &str| {
        let path = file?.with_extension(extension);
        super::super::folder::create(&path).ok()
    };
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = grouped(command).spawn().map_err(|e| StepFault::Failed(not_started(&program, &e)))?;
    let stdout = child.stdout.take().map(|from| collect(from, create("out")));
    let stderr = child.stderr.take().map(|from| collect(from, create("err")));
    if let (Some(input), Some(mut to)) = (input, child.stdin.take()) {
        let input = input.to_vec();
        // In a thread of its own: a program that reads nothing must not hold up all.
        std::thread::spawn(move || to.write_all(&input));
    }
    let fault = loop {
        match child.try_wait() {
            Ok(Some(_)) => break None,
            Ok(None) => {}
            Err(e) => break Some(StepFault::Failed(format!("{program:?}: {e}"))),
        }
        if stop.load(Ordering::Relaxed) {
            break Some(StepFault::Interrupted);
        }
        let now = Instant::now();
        if now >= until {
            let what = format!("{program:?} has not ended");
            break Some(StepFault::Timeout { what, within: until.saturating_duration_since(began) });
        }
        std::thread::sleep(LOOK.min(until - now).max(Duration::from_millis(1)));
    };
    let status = if fault.is_some() { end(&mut child) } else { child.wait().ok() };
    let output = Output {
        stdout: stdout.map(collected).unwrap_or_default(),
        stderr: stderr.map(collected).unwrap_or_default(),
        status,
    };
    match fault {
        Some(fault) => Err(fault),
        None if output.status.is_none_or(|s| s.code().is_none()) => {
            Err(StepFault::Crashed(format!("{program:?} was ended by a signal; {}", output.last_line())))
        }
        None => Ok(output),
    }
}
