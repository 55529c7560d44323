//! `metaleak run`: does a scenario on a device, records each trial, and studies the folder afterwards.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;

use super::replay::{Judging, StudyArgs};
use super::{Failure, Loudness, inputs, replay, scenario as words};
use crate::report::escape_terminal;
use crate::scenario::backend::{self, CaptureOptions};
use crate::scenario::drive::{self, Options};
use crate::scenario::run::{self, Job, RunEnd, RunError};
use crate::scenario::{CanaryKind, Scenario};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// An id, e.g. signal/contact-sync, or a file.
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// Who does the steps: exec, manual, adb …; left out, what suits the scenario. `metaleak doctor` lists them.
    #[arg(long, value_name = "DRIVER")]
    driver: Option<String>,
    /// The device: for adb its serial number, as `adb devices` shows it; else words for the description.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Who records: live, adb-tcpdump, ssh, pcapdroid, command, none.
    #[arg(long, value_name = "BACKEND", default_value = "live")]
    capture: String,
    /// Who records at the device's end at the same time: adb-tcpdump, pcapdroid … From handshakes in both captures the offset of the
    /// clocks is estimated.
    #[arg(long, value_name = "BACKEND")]
    second: Option<String>,
    /// Interface to listen on: of this machine, or of the one that records.
    #[arg(short, long, value_name = "IFACE")]
    interface: Option<String>,
    /// Keep only what matches, in the language of tcpdump.
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,
    /// Where ssh goes to record, e.g. root@router.
    #[arg(long, value_name = "HOST")]
    remote: Option<String>,
    /// With --capture command: a program that writes pcap to standard output, its arguments parted by spaces.
    #[arg(long, value_name = "COMMAND")]
    capture_command: Option<String>,
    /// The run folder to make; left out, runs/SCENARIO-TIME.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Seed of the order of trials; that of the file's hash when left out.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Do only so many trials, from the first of the order.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    trials: Option<u32>,
    /// Address of a web application, in the place of the scenario's.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The app's package to install (adb); its SHA-256 goes into the description.
    #[arg(long, value_name = "FILE")]
    apk: Option<PathBuf>,
    /// The device's operating system and version, where the driver cannot tell (`manual`).
    #[arg(long, value_name = "TEXT")]
    os: Option<String>,
    /// The version of the app, likewise.
    #[arg(long, value_name = "TEXT")]
    app_version: Option<String>,
    /// A file on how actions become touches, in the place of scenarios/MESSENGER/ui.toml.
    #[arg(long, value_name = "FILE")]
    ui: Option<PathBuf>,
    /// The picture that is sent.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// The adb program; also --tool adb=PATH, or the environment variable ADB.
    #[arg(long, value_name = "PATH")]
    adb: Option<String>,
    /// A program that does not lie where the system looks for it, e.g. ssh=/opt/bin/ssh; may be repeated.
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    tool: Vec<(String, String)>,
    /// Anything that one driver or back-end knows (docs/run.md); may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Seconds that a step may take, beside those that it lasts by its own saying.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    step_timeout: u64,
    /// How long a control lasts; left out, as long as the steps do by their own saying.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    control_seconds: Option<u64>,
    /// How often a device that is lost is looked for, after 1, 2, 4 … times --retry-pause.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// Seconds before a device that is lost is looked for.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = pause)]
    retry_pause: f64,
    /// Let programs and browsers write a key log (SSLKEYLOGFILE) and put it into the captures, which then hold the keys too.
    #[arg(long)]
    record_keys: bool,
    /// Only record: no study afterwards.
    #[arg(long)]
    no_study: bool,
    #[command(flatten)]
    judging: Judging,
}

/// `NAME=VALUE`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is wanted".into()),
    }
}

/// Seconds from 0 to an hour.
fn pause(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0 to 3600 is wanted".into()),
    }
}

/// Runs the command.
pub(super) fn run(args: &RunArgs, loud: Loudness) -> Result<(), Failure> {
    let usage = Failure::Usage;
    let wording = super::claims::wording(&args.judging.lang)?;
    let scenario = Scenario::find(&args.scenario).map_err(|e| usage(e.to_string()))?;
    let mut tools: BTreeMap<String, String> = args.tool.iter().cloned().collect();
    tools.extend(args.adb.iter().map(|path| ("adb".to_owned(), path.clone())));
    let set: BTreeMap<String, String> = args.set.iter().cloned().collect();
    let options = Options {
        device: args.device.clone(),
        url: args.url.clone(),
        apk: args.apk.clone(),
        os: args.os.clone(),
        app_version: args.app_version.clone(),
        ui: args.ui.clone(),
        image: args.image.clone(),
        tools: tools.clone(),
        set: set.clone(),
        german: args.judging.lang == "de",
        say: Some(say),
    };
    let driver = match &args.driver {
        Some(id) => drive::named(id).map_err(usage)?,
        None => drive::suited(&scenario, &options),
    };
    let made = (driver.make)(&options).map_err(usage)?;
    let cannot = run::cannot(&scenario, &*made);
    if !cannot.is_empty() {
        return Err(usage(cannot.join("\n")));
    }
    let capture = CaptureOptions {
        interface: args.interface.clone(),
        filter: args.filter.clone(),
        remote: args.remote.clone(),
        command: args.capture_command.iter().flat_map(|c| c.split_whitespace()).map(str::to_owned).collect(),
        device: args.device.clone(),
        package: scenario.app.android.clone(),
        tools,
        set,
    };
    let back = backend::named(&args.capture).map_err(usage)?;
    let recorder = (back.make)(&capture).map_err(usage)?;
    let second = match &args.second {
        Some(id) => {
            let info = backend::named(id).map_err(usage)?;
            // The interface and the filter are those of the first.
            let options = CaptureOptions { interface: None, filter: None, ..capture };
            Some((info.id, (info.make)(&options).map_err(usage)?))
        }
        None => None,
    };
    let given = inputs::planted(&args.judging.common)?;
    let canaries = run::canary_values(&scenario, &given.canaries);
    let tell = |line: &str| {
        if !loud.quiet {
            anstream::eprintln!("metaleak: {}", escape_terminal(line));
        }
    };
    for planted in
        scenario.canaries.iter().filter(|c| c.kind == CanaryKind::Exif && !canaries.contains_key(&c.name))
    {
        tell(&format!(
            "warning: the canary {:?} has no value, so its picture is not searched for; give --canary {}=NORTH,EAST and a picture with it",
            planted.name, planted.name
        ));
    }
    let seed = args.seed.unwrap_or_else(|| scenario.seed());
    let mut trials = scenario.plan(seed);
    if let Some(most) = args.trials {
        trials.truncate(most as usize);
    }
    let folder = args.folder.clone().unwrap_or_else(|| default_folder(&scenario));
    let stop = stop_flag()?;
    let vantage = args.judging.vantage.clone().unwrap_or_default();
    tell(&format!(
        "{} trials with {} into {folder:?}; Ctrl-C ends it and keeps what there is",
        trials.len(),
        driver.id
    ));
    let job = Job {
        scenario: &scenario,
        trials,
        seed,
        driver: (driver.id, made),
        backend: (back.id, recorder),
        second,
        options,
        folder: folder.clone(),
        messenger: args.judging.app.clone().or_else(|| scenario.messenger.clone()),
        vantage: vantage.how.or(back.vantage),
        place: vantage.place,
        canaries,
        step_timeout: Duration::from_secs(args.step_timeout),
        control_seconds: args.control_seconds,
        retries: (args.retries, Duration::try_from_secs_f64(args.retry_pause).unwrap_or_default()),
        record_keys: args.record_keys,
        stop: &stop,
        tell: &tell,
        clock: &run::wall_clock,
    };
    let end = run::run(job).map_err(|e| match e {
        RunError::Exists(_) => Failure::Usage(e.to_string()),
        RunError::Write { .. } => Failure::Environment(e.to_string()),
    })?;
    table(&end, &wording)?;
    ended(args, loud, &folder, &end)
}

/// One line for each trial that was begun.
fn table(end: &RunEnd, wording: &crate::report::Wording) -> Result<(), Failure> {
    let mut out = inputs::output(None)?;
    for (trial, number) in end.trials.iter().zip(1..) {
        let (done, failed) = trial.steps;
        let what = words::trial_in_words(&trial.trial, wording);
        let ended = wording.text(&format!("run-ended-{}", trial.ended));
        let counts = [
            ("done", crate::report::Arg::Count(done as u64)),
            ("failed", crate::report::Arg::Count(failed as u64)),
        ];
        writeln!(out, "{number:>4}. {what}: {ended} ({})", wording.with("run-step-counts", &counts))?;
    }
    Ok(out.flush()?)
}

/// The study of what there is, and the exit code.
fn ended(args: &RunArgs, loud: Loudness, folder: &Path, end: &RunEnd) -> Result<(), Failure> {
    let incomplete = end.trials.iter().filter(|t| t.ended != "complete").count();
    let captures = end.trials.iter().any(|trial| trial.capture.is_some());
    let again = format!("metaleak study {}", escape_terminal(&folder.to_string_lossy()));
    if let Some(fault) = &end.fault {
        let kept = if captures { format!("; what was recorded is kept: {again}") } else { String::new() };
        return Err(Failure::Environment(format!(
            "{fault}; {folder:?} has {} trials{kept}",
            end.trials.len()
        )));
    }
    if captures && !args.no_study {
        let mut judging = args.judging.clone();
        // Those of the command line are in the run's file too.
        judging.common.canaries.clear();
        judging.common.canary_files.push(folder.join("canaries.toml"));
        judging.common.output.get_or_insert_with(|| folder.join("report"));
        replay::study(&StudyArgs { paths: vec![folder.to_owned()], judging }, loud)?;
    }
    if incomplete == end.trials.len() && incomplete > 0 {
        return Err(Failure::Environment(format!(
            "none of {incomplete} trials was done to its end; {folder:?} is kept"
        )));
    }
    if incomplete > 0 && args.judging.common.strict {
        return Err(Failure::Unreadable(format!(
            "{incomplete} of {} trials were not done to their end",
            end.trials.len()
        )));
    }
    Ok(())
}

/// Tells whoever does the steps what to do.
fn say(text: &str) {
    let lines: Vec<_> = text.split('\n').map(escape_terminal).collect();
    anstream::eprintln!("{}", lines.join("\n"));
}

/// `runs/signal-contact-sync-20261124T100000Z`
fn default_folder(scenario: &Scenario) -> PathBuf {
    let stamp: String = run::wall_clock().rfc3339().chars().filter(char::is_ascii_digit).take(14).collect();
    let id: String =
        scenario.id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    Path::new("runs").join(format!("{id}-{stamp}"))
}

/// A flag that Ctrl-C sets.
#[cfg(feature = "live")]
fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    super::capture::signals()
}

/// Without the feature `live` nothing here listens to signals: the process ends, and the last description that was written stays.
#[cfg(not(feature = "live"))]
#[expect(clippy::unnecessary_wraps, reason = "the one that listens to signals can fail")]
fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    Ok(Arc::default())
}
