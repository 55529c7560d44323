//! Drivers: who does the steps of a scenario on a device.
//!
//! Takes one step with all that it needs ([`Ask`]); does it, and gives nothing, or why it could not be done ([`StepFault`]). A driver
//! records nothing, keeps no times and judges nothing: marks, waits, repeats, retries and the run folder are the runner's.
//!
//! **A driver is a file in this folder and a line in [`DRIVERS`].** The file has a type that implements [`Driver`] and a
//! `pub(super) static INFO: DriverInfo`. What the runner does itself, with every driver, so that no driver has to:
//! - `idle` is waited for ([`Ask::pause`]), and so is `settle`; a driver only hears of it through [`Driver::tell`];
//! - `run` is a program and always goes to [`exec`]; `manual` is for a person and always goes to [`manual`];
//! - a step with `times` is asked for that often, each with a mark of its own;
//! - texts, contacts and canaries are made before ([`Ask::text`], [`Ask::contacts`], [`Ask::canary`]);
//! - [`StepFault::Lost`] and [`StepFault::Crashed`] make the runner call [`Driver::begin`] again, with growing pauses, and the step anew, unless [`Driver::touched`].
//!
//! A driver must return soon after [`Ask::stopped`] says so (Ctrl-C, or the recording broke off) and when [`Ask::left`] is over;
//! [`process::run`] does that for programs. Files that it makes go to [`Ask::file`].

mod adb;
pub mod exec;
pub mod manual;
pub mod process;
pub mod ui;
pub mod web;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha2::Digest as _;

use super::contacts::Contact;
use super::{Action, Control, Scenario, Step, Trial};
use crate::capture::hex;
use crate::model::Text;

/// All drivers. The first that [`DriverInfo::suits`] a scenario is taken where `--driver` says nothing.
pub static DRIVERS: &[&DriverInfo] = &[&exec::INFO, &web::INFO, &adb::INFO, &manual::INFO];

/// A driver, as `--driver` and `metaleak doctor` know it.
pub struct DriverInfo {
    /// As `--driver` names it.
    pub id: &'static str,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    /// Programs that it needs: name, arguments that make it print its version, Debian package.
    pub needs: &'static [(&'static str, &'static [&'static str], &'static str)],
    /// Whether it is the one to take for a scenario when nobody chose.
    pub suits: fn(&Scenario, &Options) -> bool,
    /// Makes one. Nothing is started yet: that is [`Driver::begin`].
    pub make: fn(&Options) -> Result<Box<dyn Driver>, String>,
}

/// What the command line said for drivers.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--device`: which device, in the words of the driver (a serial number for adb).
    pub device: Option<String>,
    /// `--url`: address of a web application, in the place of the scenario's.
    pub url: Option<String>,
    /// `--apk`: the app to install.
    pub apk: Option<PathBuf>,
    /// `--os`: the device's system and version, where the driver cannot tell.
    pub os: Option<String>,
    /// `--app-version`: the app's version, likewise.
    pub app_version: Option<String>,
    /// `--ui`: a file on how actions become touches, in the place of the built-in one.
    pub ui: Option<PathBuf>,
    /// `--image`: the picture that is sent.
    pub image: Option<PathBuf>,
    /// `--tool NAME=PATH`: programs that do not lie where the system looks for them.
    pub tools: BTreeMap<String, String>,
    /// `--set NAME=VALUE`: anything else that one driver knows.
    pub set: BTreeMap<String, String>,
    /// Whether people are told things in German.
    pub german: bool,
    /// Tells whoever sits there something; lines may quote files, so it has to escape them.
    pub say: Option<fn(&str)>,
}

impl Options {
    /// The program to start for `name`: that of `--tool`, else that of the environment variable of that name in capitals, else the name.
    #[must_use]
    pub fn tool(&self, name: &str) -> String {
        let variable = || std::env::var(name.to_uppercase()).ok().filter(|v| !v.is_empty());
        self.tools.get(name).cloned().or_else(variable).unwrap_or_else(|| name.to_owned())
    }

    /// A text in the language of whoever runs this.
    #[must_use]
    pub fn pick<'t>(&self, text: &'t Text) -> &'t str {
        if self.german { &text.de } else { &text.en }
    }
}

/// What a driver knows of device and app once it has begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The device, in words: model, kind.
    pub device: Option<String>,
    /// Its operating system and version.
    pub os: Option<String>,
    /// Version of the app that is there.
    pub app_version: Option<String>,
    /// The system's number of the app (Android's UID), to tell its flows from other apps'.
    pub app_uid: Option<i32>,
    /// SHA-256 of what was or is installed, lower-case hex.
    pub app_sha256: Option<String>,
    /// Programs that drive, each with its version.
    pub tools: Vec<String>,
    /// Anything that whoever reads the run should know.
    pub notes: Vec<String>,
}

/// Why a step was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepFault {
    /// It was tried and did not work.
    #[error("{0}")]
    Failed(String),
    /// What had to come did not come in time.
    #[error("not within {} s: {what}", (within.as_secs_f64() * 10.0).round() / 10.0)]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
    },
    /// A person left it out.
    #[error("left out")]
    Skipped,
    /// The device does not answer any more; it may come back.
    #[error("the device is lost: {0}")]
    Lost(String),
    /// What drives the device has died; it can be started anew.
    #[error("the driver died: {0}")]
    Crashed(String),
    /// A person wants the run to end here.
    #[error("ended by hand")]
    Ended,
    /// [`Ask::stopped`] became true.
    #[error("interrupted")]
    Interrupted,
}

/// One step of one trial.
pub struct Ask<'a> {
    /// The step as the scenario has it.
    pub step: &'a Step,
    /// The trial.
    pub trial: &'a Trial,
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The step in words, with its values in their places.
    pub told: Text,
    /// The text to send, of as many characters as the step wants, with the canary in front where it fits.
    pub text: Option<String>,
    /// The contacts to import; the first are the scenario's canaries.
    pub contacts: &'a [Contact],
    /// `seconds` in this trial.
    pub seconds: Option<u64>,
    /// Values of all canaries by name.
    pub canaries: &'a BTreeMap<String, String>,
    /// Where a program may write its key log (`SSLKEYLOGFILE`); `None` where none is wanted.
    pub key_log: Option<&'a Path>,
    /// The folder of the trial for what a driver makes.
    pub folder: &'a Path,
    /// Number of the step in its scenario, and which of its `times` this is; both from 1.
    pub number: (usize, u64),
    /// When the step has failed.
    pub until: Instant,
    /// Set when all has to end.
    pub stop: &'a AtomicBool,
}

impl Ask<'_> {
    /// The value of the step's canary.
    #[must_use]
    pub fn canary(&self) -> Option<&str> {
        self.step.canary.as_ref().and_then(|name| self.canaries.get(name)).map(String::as_str)
    }

    /// A file for what the step gives: `03-send-text.png` in the folder of the trial.
    #[must_use]
    pub fn file(&self, extension: &str) -> PathBuf {
        let (number, time) = self.number;
        let of = if time > 1 { format!("-{time}") } else { String::new() };
        self.folder.join(format!("{number:02}-{}{of}.{extension}", self.step.action.info().id))
    }

    /// Whether all has to end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How much time the step has left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Waits, but not when all has to end.
    ///
    /// # Errors
    /// [`StepFault::Interrupted`].
    pub fn pause(&self, time: Duration) -> Result<(), StepFault> {
        pause(time, self.stop)
    }
}

/// How often is looked whether all has to end.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Waits until a time is over or all has to end.
pub(super) fn pause(time: Duration, stop: &AtomicBool) -> Result<(), StepFault> {
    let until = Instant::now() + time;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(StepFault::Interrupted);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// Does steps on a device.
pub trait Driver {
    /// Whether it can do a step at all, asked before anything is started; the error says what to do instead.
    ///
    /// # Errors
    /// Words, to which file and line are added.
    fn can(&self, scenario: &Scenario, step: &Step) -> Result<(), String>;

    /// Reaches the device and starts what drives it. Called once before the first trial, and again after it was lost.
    ///
    /// # Errors
    /// [`StepFault`]: the device is not there, or a program is missing.
    fn begin(&mut self, scenario: &Scenario, stop: &AtomicBool) -> Result<Facts, StepFault>;

    /// Before each trial, while nothing is recorded yet: brings the device to where the trial begins. `Control::WithoutApp` wants
    /// the app away; the next trial without it wants it back.
    ///
    /// # Errors
    /// [`StepFault`]
    fn prepare(&mut self, _ask: &Ask<'_>, _control: Option<Control>) -> Result<(), StepFault> {
        Ok(())
    }

    /// Hears of a wait that begins; a person is told to keep hands off.
    fn tell(&mut self, _ask: &Ask<'_>) {}

    /// Does a step: every action but `idle`, `run` and `manual`.
    ///
    /// # Errors
    /// [`StepFault`]
    fn step(&mut self, ask: &Ask<'_>) -> Result<(), StepFault>;

    /// Whether the step at hand has already changed what the device shows, so that doing it anew would do it twice.
    fn touched(&self) -> bool {
        false
    }

    /// Waits until a text is seen, at most until [`Ask::until`].
    ///
    /// # Errors
    /// [`StepFault::Timeout`] when it does not come.
    fn expect(&mut self, ask: &Ask<'_>, text: &str) -> Result<(), StepFault>;

    /// After a step that failed: keeps what shows why (a screenshot, a log). Faults of its own are nobody's concern.
    fn failed(&mut self, _ask: &Ask<'_>) {}

    /// After each trial: what the device says of it (its log) may go to the folder. Lines for the run's notes.
    fn after(&mut self, _folder: &Path) -> Vec<String> {
        Vec::new()
    }

    /// After the last trial: ends what was started.
    fn end(&mut self) {}
}

/// The driver of that name.
///
/// # Errors
/// Words that name those that there are.
pub fn named(id: &str) -> Result<&'static DriverInfo, String> {
    let found = DRIVERS.iter().find(|info| info.id == id);
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = DRIVERS.iter().map(|info| info.id).collect();
        format!("no driver {id:?}; there are: {}", known.join(", "))
    })
}

/// The driver to take for a scenario when nobody chose: the first that suits, else a person.
#[must_use]
pub fn suited(scenario: &Scenario, options: &Options) -> &'static DriverInfo {
    DRIVERS.iter().find(|info| (info.suits)(scenario, options)).copied().unwrap_or(&manual::INFO)
}

/// SHA-256 of a file, lower-case hex.
pub(super) fn hash_of(path: &std::path::Path) -> std::io::Result<String> {
    let mut hash = sha2::Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let n = std::io::Read::read(&mut file, &mut buffer)?;
        match buffer.get(..n) {
            Some(part) if !part.is_empty() => hash.update(part),
            _ => return Ok(hex(&hash.finalize())),
        }
    }
}

/// Whether the runner does the steps of an action itself.
#[must_use]
pub fn is_runners(action: Action) -> bool {
    matches!(action, Action::Idle | Action::Run | Action::Manual)
}
