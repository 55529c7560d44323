//! Capture back-ends: who records while a trial goes on.
//!
//! Takes where the file belongs ([`Take`]); gives a [`Session`] that takes marks and, when it is ended, says what it counted and what
//! went wrong ([`Ending`]). **A back-end is a file in this folder and a line in [`BACKENDS`].** One that has a stream of packets
//! (pcap on standard output) hands the program to `stream::start`, which writes pcapng with marks, in order also on a full disk.

mod adb_tcpdump;
mod command;
mod live;
mod none;
mod pcapdroid;
mod recorder;
mod ssh;
mod stream;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::capture::MarkEvent;
use crate::model::{CaptureNote, Vantage};

/// All back-ends.
pub static BACKENDS: &[&BackendInfo] =
    &[&live::INFO, &adb_tcpdump::INFO, &ssh::INFO, &pcapdroid::INFO, &command::INFO, &none::INFO];

/// A back-end, as `--capture` and `metaleak doctor` know it.
pub struct BackendInfo {
    /// As `--capture` names it.
    pub id: &'static str,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    /// A program that it needs: name, arguments that make it print its version, Debian package. `None`: nothing.
    pub needs: Option<(&'static str, &'static [&'static str], &'static str)>,
    /// The vantage that it has, where it can have only one.
    pub vantage: Option<Vantage>,
    /// Makes one; nothing is started yet.
    pub make: fn(&CaptureOptions) -> Result<Box<dyn Backend>, String>,
}

/// What the command line said for back-ends.
#[derive(Clone, Debug, Default)]
pub struct CaptureOptions {
    /// `--interface`
    pub interface: Option<String>,
    /// `--filter`, in libpcap's language.
    pub filter: Option<String>,
    /// `--remote`: where ssh goes.
    pub remote: Option<String>,
    /// `--capture-command`: a program and its arguments that writes pcap to standard output.
    pub command: Vec<String>,
    /// `--device`, for adb.
    pub device: Option<String>,
    /// The app's package, for a capture of one app.
    pub package: Option<String>,
    /// Programs that do not lie where the system looks for them.
    pub tools: BTreeMap<String, String>,
    /// `--set NAME=VALUE`
    pub set: BTreeMap<String, String>,
}

impl CaptureOptions {
    /// As [`Options::tool`](super::drive::Options::tool).
    fn tool(&self, name: &str) -> String {
        super::drive::Options { tools: self.tools.clone(), ..super::drive::Options::default() }.tool(name)
    }

    /// adb with the device that it is for.
    fn adb(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.tool("adb"));
        if let Some(device) = &self.device {
            command.args(["-s", device]);
        }
        command
    }
}

/// What is to be recorded.
#[derive(Clone, Debug)]
pub struct Take {
    /// The file.
    pub path: PathBuf,
    /// What stands at its head.
    pub comment: String,
    /// A key log that goes into it when it is ended.
    pub key_log: Option<PathBuf>,
}

/// Why nothing is recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackendFault(pub String);

/// Starts recordings.
pub trait Backend {
    /// Starts one, and returns when it records.
    ///
    /// # Errors
    /// [`BackendFault`], which says what can be done.
    fn start(&mut self, take: &Take) -> Result<Box<dyn Session>, BackendFault>;
}

/// A recording under way.
pub trait Session {
    /// A step begins or ends.
    fn mark(&mut self, event: MarkEvent);
    /// Becomes true when it ends by itself.
    fn gone(&self) -> Arc<AtomicBool>;
    /// Ends it; all that was taken until now is in the file.
    fn finish(self: Box<Self>) -> Ending;
}

/// How a recording went.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// What was counted; `None` where nobody counts.
    pub note: Option<CaptureNote>,
    /// Why it ended before it was asked to, or could not be written.
    pub fault: Option<String>,
    /// What recorded, in words.
    pub recorder: String,
    /// For the run's notes.
    pub notes: Vec<String>,
}

/// The back-end of that name.
///
/// # Errors
/// Words that name those that there are.
pub fn named(id: &str) -> Result<&'static BackendInfo, String> {
    let found = BACKENDS.iter().find(|info| info.id == id);
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = BACKENDS.iter().map(|info| info.id).collect();
        format!("no capture back-end {id:?}; there are: {}", known.join(", "))
    })
}

/// A word in quotes, as a shell on the other side takes it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// tcpdump's arguments for a stream to standard output.
fn tcpdump(options: &CaptureOptions) -> String {
    let interface = quoted(options.interface.as_deref().unwrap_or("any"));
    let filter = options.filter.as_deref().map(|f| format!(" {}", quoted(f))).unwrap_or_default();
    // Its own buffer of 2 MiB is soon full.
    format!("tcpdump -i {interface} -n -s 0 -B 16384 -U -w -{filter}")
}

/// Whether a file has bytes in it.
fn has_bytes(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.len() > 0)
}
