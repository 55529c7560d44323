//! The runner: the trials of a scenario one after the other, each with a capture and a description of its own.
//!
//! Takes a [`Job`]: a scenario, its trials in order, a driver, a capture back-end, a folder that is not there yet; leaves the folder, and
//! gives how each trial ended. Whatever happens, what was recorded until then is kept and described: a step that fails, a device
//! that is lost, a recorder that ends, Ctrl-C, a full disk. Judges nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::Digest as _;

use super::backend::{Backend, Session, Take};
use super::clock;
use super::contacts::{self, Contact, contacts, vcard};
use super::drive::exec::Exec;
use super::drive::manual::Manual;
use super::drive::{Ask, Driver, Facts, Options, StepFault, hash_of, is_runners, pause, process};
use super::language::{Action, Amount, CanaryKind, Control};
use super::{Scenario, Step, Trial, folder, own_run_file, write_run};
use crate::capture::{self, MarkEvent, hex};
use crate::model::{CaptureTime, Execution, FailedStep, Mark, Run, Text, Tool, Vantage, Whereabouts};

/// Time for a step that a person does.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// By how much two clocks may differ over one look before that is a jump.
const JUMP: i128 = 500_000_000;
/// Room that is set aside for the last description, should the disk be full: a file, which study passes over.
const SPARE: &str = ".spare";
/// Its size.
const SPARE_BYTES: usize = 64 << 10;
/// Jumps that are noted of one trial.
const MAX_JUMPS: usize = 20;
/// Seconds of a control, where the steps say nothing of their time.
const SHORTEST_CONTROL: u64 = 10;

/// All that a run needs.
pub struct Job<'a> {
    /// What is done.
    pub scenario: &'a Scenario,
    /// In which order.
    pub trials: Vec<Trial>,
    /// The seed of that order.
    pub seed: u64,
    /// Who does it, and under which name.
    pub driver: (&'static str, Box<dyn Driver>),
    /// Who records, and under which name.
    pub backend: (&'static str, Box<dyn Backend>),
    /// Who records at the device's end at the same time, for both ends and the offset of the clocks.
    pub second: Option<(&'static str, Box<dyn Backend>)>,
    /// For drivers.
    pub options: Options,
    /// The run folder.
    pub folder: PathBuf,
    /// The messenger that the app is.
    pub messenger: Option<String>,
    /// Where it is recorded.
    pub vantage: Option<Vantage>,
    /// Likewise.
    pub place: Option<Whereabouts>,
    /// Values of canaries by name.
    pub canaries: BTreeMap<String, String>,
    /// Time for a step besides the seconds that it lasts.
    pub step_timeout: Duration,
    /// How long a control lasts; `None`: as long as the steps say of themselves.
    pub control_seconds: Option<u64>,
    /// How often a lost device is looked for, and the first pause before that; each is twice as long as the one before.
    pub retries: (u32, Duration),
    /// Whether programs may write a key log, whose content goes into the captures.
    pub record_keys: bool,
    /// Set by signals.
    pub stop: &'a AtomicBool,
    /// Hears what is worth telling.
    pub tell: &'a dyn Fn(&str),
    /// The wall clock, which may jump.
    pub clock: &'a (dyn Fn() -> CaptureTime + Sync),
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialEnd {
    /// The trial.
    pub trial: Trial,
    /// As in [`Execution::ended`].
    pub ended: &'static str,
    /// Steps that were done, and that were not.
    pub steps: (usize, usize),
    /// Its capture, where there is one.
    pub capture: Option<PathBuf>,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunEnd {
    /// The trials that were begun.
    pub trials: Vec<TrialEnd>,
    /// Why the others were not; `None` when all were done.
    pub fault: Option<String>,
    /// Whether that was wanted: Ctrl-C, or by hand.
    pub by_hand: bool,
}

/// Why a folder cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is there already.
    #[error("{0:?} exists; name another --folder, nothing is written over")]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("{path:?}: cannot write: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Values for the canaries of a scenario: those that were given, those of the file, and new ones that nobody has planted before. Without
/// a value stay pictures, which somebody has to make.
#[must_use]
pub fn canary_values(scenario: &Scenario, given: &[(String, String)]) -> BTreeMap<String, String> {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut values: BTreeMap<String, String> = given.iter().cloned().collect();
    for planted in &scenario.canaries {
        if values.contains_key(&planted.name) {
            continue;
        }
        // Keys of the system's random numbers: two runs must not share a canary, or one is found in the other.
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let made = match planted.kind {
            CanaryKind::Text => Some(format!("kanarie-{random:016x}")),
            CanaryKind::PersonName => {
                let letters: String = format!("{random:016x}")
                    .bytes()
                    .map(|b| char::from(if b.is_ascii_digit() { b - b'0' + b'g' } else { b }))
                    .collect();
                Some(format!("Kanaria {letters}"))
            }
            CanaryKind::Email => Some(format!("kanarie-{random:016x}@example.org")),
            CanaryKind::Number => Some(contacts::canary_number(random)),
            CanaryKind::Exif => None,
        };
        if let Some(value) = planted.value.clone().or(made) {
            values.insert(planted.name.clone(), value);
        }
    }
    values
}

/// A text of so many characters, the canary in front where it fits.
#[must_use]
pub fn message(characters: u64, canary: Option<&str>) -> String {
    let canary = canary.filter(|c| c.chars().count() as u64 <= characters).unwrap_or_default();
    let filler = "abcdefghijklmnopqrstuvwxyz".chars().cycle();
    let separator = if canary.is_empty() { "" } else { " " };
    canary.chars().chain(separator.chars()).chain(filler).take(characters as usize).collect()
}

/// How long the steps of a scenario last by their own saying, in the trial with the least dose.
#[must_use]
pub fn seconds_of(scenario: &Scenario) -> u64 {
    let dose = scenario.dose.as_ref().and_then(|(_, values)| values.iter().min().copied());
    let trial = Trial { control: None, dose, repeat: 1 };
    let of = |amount: Option<Amount>| amount.map_or(0, |a| a.in_trial(&trial));
    let step = |s: &Step| (of(s.seconds) as f64 + s.settle) * s.times.in_trial(&trial) as f64;
    (scenario.steps.iter().map(step).sum::<f64>() as u64).max(SHORTEST_CONTROL)
}

/// Runs all trials.
///
/// # Errors
/// [`RunError`] when the folder cannot be begun; what happens later is in [`RunEnd`].
pub fn run(mut job: Job<'_>) -> Result<RunEnd, RunError> {
    if job.folder.exists() {
        return Err(RunError::Exists(job.folder));
    }
    let written = |path: &Path, e| RunError::Write { path: path.to_owned(), source: e };
    folder::make(&job.folder).map_err(|e| written(&job.folder, e))?;
    let path = job.folder.join("canaries.toml");
    folder::write(&path, canary_file(&job.canaries).as_bytes()).map_err(|e| written(&path, e))?;
    let spare = job.folder.join(SPARE);
    folder::write(&spare, &vec![0; SPARE_BYTES]).map_err(|e| written(&spare, e))?;
    let mut runner = Runner {
        exec: Exec::new(&job.options),
        person: Manual::new(&job.options),
        facts: Facts::default(),
        end: RunEnd::default(),
        hidden: Hidden::new(&job.canaries, &job.options.set),
        job: &mut job,
    };
    match runner.begin() {
        Ok(facts) => runner.facts = facts,
        Err(fault) => {
            runner.end.by_hand = matches!(fault, StepFault::Interrupted | StepFault::Ended);
            runner.end.fault = Some(runner.hidden.hidden(&fault.to_string()));
            runner.not_begun();
        }
    }
    let trials = runner.job.trials.clone();
    for (number, trial) in (1u32..).zip(&trials) {
        if runner.end.fault.is_some() {
            break;
        }
        runner.trial(number, trial);
    }
    runner.job.driver.1.end();
    let _ = std::fs::remove_file(&spare);
    Ok(runner.end)
}

/// The canaries as `--canary-file` reads them. Only names that are bare keys of TOML come from scenarios.
fn canary_file(canaries: &BTreeMap<String, String>) -> String {
    let mut text = "# What was planted in this run. Whoever has this file can tell the canaries from other text.\n[canaries]\n".to_owned();
    for (name, value) in canaries {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        text.push_str(&format!("{} = {}\n", quoted(name), quoted(value)));
    }
    text
}

/// Values that no description and no terminal shows: what was planted, and what was given with `--set`.
#[derive(Clone, Debug, Default)]
struct Hidden(Vec<(String, String)>);

impl Hidden {
    /// Shorter ones would be found in words that are none.
    const SHORTEST: usize = 4;
    /// A serial number or a word like `peer` is no secret, unless its name says so.
    const SHORTEST_OPEN: usize = 6;

    fn new(canaries: &BTreeMap<String, String>, set: &BTreeMap<String, String>) -> Hidden {
        let planted = canaries.iter().map(|(name, value)| (value, format!("{{canary:{name}}}"), true));
        let given = set.iter().map(|(name, value)| {
            (value, format!("{{set:{name}}}"), crate::payload::mask::is_secret_name(&name.to_lowercase()))
        });
        let mut all: Vec<(String, String)> = planted
            .chain(given)
            .filter(|(value, _, secret)| {
                value.len() >= if *secret { Hidden::SHORTEST } else { Hidden::SHORTEST_OPEN }
            })
            // As adb types blanks.
            .flat_map(|(value, shown, _)| [(value.clone(), shown.clone()), (value.replace(' ', "%s"), shown)])
            .collect();
        // What is part of a longer one must not spoil it.
        all.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        all.dedup();
        Hidden(all)
    }

    fn hide(&self, text: &mut String) {
        for (value, shown) in &self.0 {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), shown);
            }
        }
    }

    fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.hide(&mut text);
        text
    }
}

struct Runner<'j, 'a> {
    hidden: Hidden,
    job: &'j mut Job<'a>,
    exec: Exec,
    person: Manual,
    facts: Facts,
    end: RunEnd,
}

/// What a trial has become so far.
struct State {
    run: Run,
    execution: Execution,
    session: Option<Box<dyn Session>>,
    second: Option<Box<dyn Session>>,
    capture: PathBuf,
    folder: PathBuf,
    contacts: Vec<Contact>,
    done: usize,
    unwritten: Option<String>,
    hidden: Hidden,
}

impl State {
    /// Writes the description anew, so that nothing is lost with the process.
    fn save(&mut self) {
        let Execution { notes, failed, .. } = &mut self.execution;
        for text in notes.iter_mut().chain(failed.iter_mut().map(|step| &mut step.why)) {
            self.hidden.hide(text);
        }
        self.run.execution = Some(self.execution.clone());
        if let Err(e) = write_run(&own_run_file(&self.capture), &self.run) {
            self.unwritten.get_or_insert(e.to_string());
        }
    }

    fn mark(&mut self, time: CaptureTime, step: Option<&str>) {
        if let Some(session) = &mut self.session {
            session.mark(MarkEvent { time, step: step.map(str::to_owned) });
        }
    }
}

impl Runner<'_, '_> {
    fn begin(&mut self) -> Result<Facts, StepFault> {
        let (job, mut tries) = (&mut *self.job, 0);
        loop {
            let begun = job.driver.1.begin(job.scenario, job.stop);
            match begun {
                Err(fault @ (StepFault::Lost(_) | StepFault::Crashed(_))) => {
                    if tries >= job.retries.0 {
                        return Err(fault);
                    }
                    let wait = job.retries.1.saturating_mul(1 << tries.min(6));
                    tries += 1;
                    let line = format!("{fault}; again in {} s", wait.as_secs_f64());
                    (job.tell)(&self.hidden.hidden(&line));
                    pause(wait, job.stop)?;
                }
                Ok(facts) => return Ok(told(facts, &job.options)),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn tell(&self, text: &str) {
        (self.job.tell)(&self.hidden.hidden(text));
    }

    /// The first trial could not even be prepared: its description says why.
    fn not_begun(&mut self) {
        let Some(trial) = self.job.trials.first().copied() else { return };
        let mut run = self.description(1, &trial);
        if let Some(execution) = &mut run.execution {
            execution.ended = Some(if self.end.by_hand { "interrupted" } else { "device-lost" }.to_owned());
            execution.notes.extend(self.end.fault.clone());
        }
        let path = own_run_file(&self.job.folder.join("trial-001.pcapng"));
        if let Err(e) = write_run(&path, &run) {
            self.tell(&e.to_string());
        }
    }

    /// What the first lines of a description say.
    fn description(&self, number: u32, trial: &Trial) -> Run {
        let job = &self.job;
        let tool = Tool::this();
        let without_app = trial.control == Some(Control::WithoutApp);
        let app = [Some(job.scenario.app.name.clone()), self.facts.app_version.clone()];
        let app: Vec<String> = app.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let control = trial.control.map(|control| match control {
            Control::IdleDevice => "idle-device".to_owned(),
            Control::WithoutApp => "without-app".to_owned(),
        });
        Run {
            messenger: job.messenger.clone().filter(|_| !without_app),
            vantage: job.vantage,
            place: job.place.clone(),
            app: (!app.is_empty() && !without_app).then(|| app.join(" ")),
            app_uid: self.facts.app_uid.filter(|_| !without_app),
            control: control.clone(),
            service: job.options.url.as_ref().or(job.scenario.app.url.as_ref()).and_then(|url| host_of(url)),
            device: self.facts.device.clone().or_else(|| job.options.device.clone()),
            recorder: Some(format!("{} {}", tool.name, tool.version)),
            provenance: Some(format!(
                "trial {number} of {} of the scenario {}",
                job.trials.len(),
                job.scenario.id
            )),
            execution: Some(Execution {
                scenario: job.scenario.id.clone(),
                scenario_sha256: job.scenario.sha256.clone(),
                trial: number,
                trials: job.trials.len() as u32,
                dose: trial.dose,
                repeat: trial.repeat,
                control,
                seed: job.seed,
                driver: job.driver.0.into(),
                backend: job.backend.0.into(),
                os: self.facts.os.clone(),
                app_version: self.facts.app_version.clone().filter(|_| !without_app),
                app_sha256: self.facts.app_sha256.clone().filter(|_| !without_app),
                tools: std::iter::once(format!("{} {}", tool.name, tool.version))
                    .chain(self.facts.tools.iter().cloned())
                    .collect(),
                notes: self.facts.notes.clone(),
                ..Execution::default()
            }),
            ..Run::default()
        }
    }

    fn trial(&mut self, number: u32, trial: &Trial) {
        let name = format!("trial-{number:03}");
        let (folder, capture) = (self.job.folder.join(&name), self.job.folder.join(format!("{name}.pcapng")));
        let mut run = self.description(number, trial);
        let execution = run.execution.take().unwrap_or_default();
        let mut state = State {
            run,
            execution,
            session: None,
            second: None,
            capture,
            folder,
            contacts: Vec::new(),
            done: 0,
            unwritten: None,
            hidden: self.hidden.clone(),
        };
        let ended = match self.prepared(trial, &mut state) {
            Ok(()) => self.recorded(trial, &mut state),
            Err(why) => why,
        };
        self.after(trial, state, ended);
    }

    /// Folder, contacts, device and recording of a trial; the error is how it ended.
    fn prepared(&mut self, trial: &Trial, state: &mut State) -> Result<(), &'static str> {
        let unwritable = |path: &Path, e: std::io::Error| format!("{path:?}: cannot write: {e}");
        if let Err(e) = folder::make(&state.folder) {
            self.end.fault = Some(unwritable(&state.folder, e));
            return Err("capture-ended");
        }
        if trial.control.is_none() {
            let import = self.job.scenario.steps.iter().find(|s| s.action == Action::ImportContacts);
            if let Some(many) = import.and_then(|s| s.contacts).map(|amount| amount.in_trial(trial)) {
                state.contacts = contacts(many, self.job.scenario, &self.job.canaries);
                let text = vcard(&state.contacts);
                let path = state.folder.join("contacts.vcf");
                if let Err(e) = folder::write(&path, text.as_bytes()) {
                    self.end.fault = Some(unwritable(&path, e));
                    return Err("capture-ended");
                }
                state.execution.contacts_sha256 = Some(hex(&sha2::Sha256::digest(text.as_bytes())));
            }
            state.execution.planted = self.job.canaries.keys().cloned().collect();
        }
        let idle = idle_step(0);
        let stop = self.job.stop;
        let prepared = self.attempt(What::Prepare, &idle, trial, state, (0, 1), stop);
        match prepared {
            Ok(()) => {}
            // Of a control this is what it is about: the app that is still there would count as the device's own noise.
            Err(StepFault::Skipped) if trial.control.is_none() => {}
            Err(fault) => {
                let why = self.fatal(&fault).unwrap_or("failed");
                let line = format!("before the first step: {fault}");
                self.tell(&line);
                state.execution.notes.push(line);
                return Err(why);
            }
        }
        let key_log = self.job.record_keys.then(|| state.folder.join("keys.log"));
        if let Some(path) = &key_log {
            // Made before any program writes it, so that nobody else may read it.
            let _ = folder::create(path);
        }
        let comment = format!(
            "metaleak: {}, seed {}, scenario {}",
            state.run.provenance.clone().unwrap_or_default(),
            self.job.seed,
            self.job.scenario.sha256
        );
        let take = Take { path: state.capture.clone(), comment, key_log };
        match self.job.backend.1.start(&take) {
            Ok(session) => state.session = Some(session),
            Err(fault) => {
                let what = format!("no capture: {fault}");
                state.execution.notes.push(what.clone());
                self.end.fault = Some(what);
                return Err("capture-ended");
            }
        }
        if let Some((_, second)) = &mut self.job.second {
            let take = Take { path: device_end(&state.folder), ..take };
            match second.start(&take) {
                Ok(session) => state.second = Some(session),
                // The other end is what verdicts rest on; a trial without this one has no offset.
                Err(fault) => state.execution.notes.push(format!("no capture at the device's end: {fault}")),
            }
        }
        state.save();
        Ok(())
    }

    /// The steps, while it is recorded and the clock is watched.
    fn recorded(&mut self, trial: &Trial, state: &mut State) -> &'static str {
        let halt = AtomicBool::new(false);
        let over = AtomicBool::new(false);
        let jumps = Mutex::new(Vec::new());
        let gone = state.session.as_ref().map(|session| session.gone()).unwrap_or_default();
        let (stop, clock) = (self.job.stop, self.job.clock);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut before = (Instant::now(), clock());
                while !over.load(Ordering::Relaxed) {
                    if stop.load(Ordering::Relaxed) || gone.load(Ordering::Relaxed) {
                        halt.store(true, Ordering::Relaxed);
                    }
                    let (at, time) = (Instant::now(), clock());
                    let by = i128::from(time.0) - i128::from(before.1.0) - at.duration_since(before.0).as_nanos() as i128;
                    before = (at, time);
                    let mut jumps = jumps.lock().unwrap_or_else(PoisonError::into_inner);
                    if by.abs() > JUMP && jumps.len() < MAX_JUMPS {
                        jumps.push(format!(
                            "this machine's clock jumped by {:+.3} s at {}: times before and after cannot be compared",
                            by as f64 / 1e9,
                            time.rfc3339()
                        ));
                    }
                    drop(jumps);
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let mut ended = self.steps(trial, state, &halt);
            if gone.load(Ordering::Relaxed) && matches!(ended, "interrupted" | "complete" | "failed") {
                ended = "capture-ended";
            }
            over.store(true, Ordering::Relaxed);
            for jump in jumps.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                (self.job.tell)(&jump);
                state.execution.notes.push(jump);
            }
            ended
        })
    }

    fn steps(&mut self, trial: &Trial, state: &mut State, halt: &AtomicBool) -> &'static str {
        let idle = [idle_step(self.job.control_seconds.unwrap_or_else(|| seconds_of(self.job.scenario)))];
        let scenario = self.job.scenario;
        let steps = if trial.control.is_some() { &idle[..] } else { &scenario.steps };
        let mut ended = "complete";
        for (number, step) in (1usize..).zip(steps) {
            for time in 1..=step.times.in_trial(trial) {
                if halt.load(Ordering::Relaxed) {
                    return "interrupted";
                }
                let start = (self.job.clock)();
                match self.step(step, trial, state, (number, time), halt) {
                    Ok(()) => state.done += 1,
                    Err(fault) => {
                        let what = self.not_done(step, state, number, start, &fault);
                        if let Some(why) = self.fatal(&fault) {
                            return why;
                        }
                        if fault != StepFault::Skipped {
                            self.tell(&what);
                            if !step.optional {
                                return "failed";
                            }
                        }
                        break;
                    }
                }
            }
        }
        if halt.load(Ordering::Relaxed) {
            ended = "interrupted";
        }
        ended
    }

    /// What a fault means for the whole run; `None`: it is the step's alone.
    fn fatal(&mut self, fault: &StepFault) -> Option<&'static str> {
        match fault {
            StepFault::Lost(_) | StepFault::Crashed(_) => {
                self.end.fault = Some(self.hidden.hidden(&fault.to_string()));
                Some("device-lost")
            }
            StepFault::Ended => {
                self.end.by_hand = true;
                self.end.fault = Some(fault.to_string());
                Some("ended-by-hand")
            }
            StepFault::Interrupted => Some("interrupted"),
            StepFault::Failed(_) | StepFault::Timeout { .. } | StepFault::Skipped => None,
        }
    }

    /// Notes a step that was not done.
    fn not_done(
        &mut self,
        step: &Step,
        state: &mut State,
        number: usize,
        start: CaptureTime,
        fault: &StepFault,
    ) -> String {
        let end = (self.job.clock)();
        state.mark(end, None);
        let place = format!("{}:{}", step.file, step.line);
        let what = format!("{place}: {:?}: {fault}", step.action.info().id);
        state.execution.failed.push(FailedStep {
            number: number as u32,
            action: step.action.info().id.into(),
            step: step.mark.clone(),
            place,
            start: start.rfc3339(),
            end: end.rfc3339(),
            why: fault.to_string(),
        });
        state.save();
        what
    }

    /// A step with its mark, its wait and what is expected of it.
    fn step(
        &mut self,
        step: &Step,
        trial: &Trial,
        state: &mut State,
        number: (usize, u64),
        halt: &AtomicBool,
    ) -> Result<(), StepFault> {
        let begin = (self.job.clock)();
        state.mark(begin, step.mark.as_deref());
        let mut done = self.attempt(What::Step, step, trial, state, number, halt);
        if done.is_ok() && step.expect.is_some() {
            done = self.attempt(What::Expect, step, trial, state, number, halt);
        }
        if done.is_ok() {
            done = pause(Duration::try_from_secs_f64(step.settle).unwrap_or_default(), halt);
        }
        if let Err(fault) = done {
            if !matches!(fault, StepFault::Skipped | StepFault::Ended | StepFault::Interrupted) {
                let _ = self.attempt(What::Failed, step, trial, state, number, halt);
            }
            return Err(fault);
        }
        let end = (self.job.clock)();
        state.mark(end, None);
        if let Some(name) = &step.mark {
            if !state.run.steps.contains(name) {
                state.run.steps.push(name.clone());
            }
            // A clock that was put back must not make a step end before it began.
            let mark =
                Mark { step: name.clone(), start: begin.rfc3339(), end: Some(end.max(begin).rfc3339()) };
            state.run.marks.push(mark);
        }
        if step.action == Action::ImportContacts {
            state.run.contacts = u32::try_from(state.contacts.len()).ok();
        }
        state.save();
        match &state.unwritten {
            Some(what) => Err(StepFault::Failed(what.clone())),
            None => Ok(()),
        }
    }

    /// Does one thing with a driver; a device that is lost is looked for, and the thing is done anew.
    fn attempt(
        &mut self,
        what: What,
        step: &Step,
        trial: &Trial,
        state: &mut State,
        number: (usize, u64),
        halt: &AtomicBool,
    ) -> Result<(), StepFault> {
        let mut tries = 0;
        loop {
            let done = self.once(what, step, trial, state, number, halt);
            let (Err(StepFault::Lost(_) | StepFault::Crashed(_)), true) = (&done, tries < self.job.retries.0)
            else {
                return done;
            };
            if what == What::Failed {
                return done;
            }
            tries += 1;
            if let Err(fault) = &done {
                let line = format!("{}:{}: {fault}; tried again", step.file, step.line);
                self.tell(&line);
                state.execution.notes.push(line);
            }
            pause(self.job.retries.1, halt)?;
            self.begin()?;
            // What was typed before is still there: done again it would be there twice, and a dose would be wrong.
            if what == What::Step && self.job.driver.1.touched() {
                let fault = done.err().map_or_else(String::new, |fault| fault.to_string());
                return Err(StepFault::Failed(format!(
                    "{fault}; the step had touched the screen already and was not done again"
                )));
            }
        }
    }

    fn once(
        &mut self,
        what: What,
        step: &Step,
        trial: &Trial,
        state: &State,
        number: (usize, u64),
        halt: &AtomicBool,
    ) -> Result<(), StepFault> {
        let Job { scenario, driver, canaries, step_timeout, record_keys, .. } = &mut *self.job;
        let seconds = step.seconds.map(|amount| amount.in_trial(trial));
        let by_person = step.action == Action::Manual || driver.0 == "manual";
        let within = match (what, &step.expect) {
            (What::Expect, Some((_, within))) if !by_person => {
                Duration::try_from_secs_f64(*within).unwrap_or_default()
            }
            _ if by_person => PATIENCE,
            _ => step_timeout.saturating_add(Duration::from_secs(seconds.unwrap_or_default())),
        };
        let canary = step.canary.as_ref().and_then(|name| canaries.get(name)).map(String::as_str);
        let characters = step.characters.map(|amount| amount.in_trial(trial));
        let key_log = record_keys.then(|| state.folder.join("keys.log"));
        let ask = Ask {
            step,
            trial,
            scenario,
            told: step.told(trial),
            text: characters.map(|n| message(n, canary)),
            contacts: if step.action == Action::ImportContacts { &state.contacts } else { &[] },
            seconds,
            canaries,
            key_log: key_log.as_deref(),
            folder: &state.folder,
            number,
            until: Instant::now().checked_add(within).unwrap_or_else(Instant::now),
            stop: halt,
        };
        let driver = &mut driver.1;
        match what {
            What::Prepare => driver.prepare(&ask, trial.control),
            What::Failed => {
                driver.failed(&ask);
                Ok(())
            }
            What::Expect => {
                let text = step.expect.as_ref().map(|(text, _)| text.as_str()).unwrap_or_default();
                match step.action {
                    Action::Run => self.exec.expect(&ask, text),
                    Action::Manual => self.person.expect(&ask, text),
                    _ => driver.expect(&ask, text),
                }
            }
            What::Step => match step.action {
                Action::Idle => {
                    driver.tell(&ask);
                    ask.pause(Duration::from_secs(seconds.unwrap_or_default()))
                }
                Action::Run => self.exec.step(&ask),
                Action::Manual => self.person.step(&ask),
                _ => driver.step(&ask),
            },
        }
    }

    /// Compares the clocks of both ends and describes the capture of the device's.
    fn both_ends(&mut self, state: &mut State, ending: super::backend::Ending, path: &Path) {
        state.execution.notes.extend(ending.notes.into_iter().chain(ending.fault));
        if std::fs::metadata(path).is_err() {
            return;
        }
        let both = (clock::handshakes(path), clock::handshakes(&state.capture));
        if let (Ok(device), Ok(recorder)) = both {
            state.execution.clock_offset = clock::offset(&device, &recorder);
        }
        let offset = state.execution.clock_offset.map_or(0, |offset| offset.offset_ns);
        if state.execution.clock_offset.is_none() {
            state
                .execution
                .notes
                .push("no handshake is in the captures of both ends: the clocks were not compared".into());
        }
        let mut execution = state.execution.clone();
        execution.backend = self.job.second.as_ref().map(|(id, _)| (*id).to_owned()).unwrap_or_default();
        let run = Run {
            vantage: Some(Vantage::Device),
            place: None,
            recorder: Some(ending.recorder),
            recording: ending.note,
            marks: shifted(&state.run.marks, offset),
            execution: Some(execution),
            ..state.run.clone()
        };
        if let Err(e) = write_run(&own_run_file(path), &run) {
            state.execution.notes.push(e.to_string());
        }
    }

    /// Ends the recording and writes the last description of a trial.
    fn after(&mut self, trial: &Trial, mut state: State, mut ended: &'static str) {
        let mut is_there = false;
        if let Some(session) = state.session.take() {
            let ending = session.finish();
            is_there = std::fs::metadata(&state.capture).is_ok();
            state.execution.notes.extend(ending.notes);
            if !ending.recorder.is_empty() {
                let recorder = state.run.recorder.take().unwrap_or_default();
                state.run.recorder = Some(format!("{recorder} ({})", ending.recorder));
            }
            if let Some(note) = ending.note {
                state.run.recording = Some(note);
            }
            if let Some(fault) = ending.fault {
                ended = "capture-ended";
                state.execution.notes.push(fault.clone());
                self.end.fault.get_or_insert(fault);
            }
        }
        let second = state.second.take().map(|session| (session.finish(), device_end(&state.folder)));
        // A device that does not answer any more must not keep what was recorded from being described.
        state.save();
        state.execution.notes.extend(self.job.driver.1.after(&state.folder));
        if let Some((ending, path)) = second {
            self.both_ends(&mut state, ending, &path);
        }
        if ended == "interrupted" && self.end.fault.is_none() {
            self.end.fault = Some("interrupted".into());
            self.end.by_hand = true;
        }
        state.execution.ended = Some(ended.into());
        state.unwritten = None;
        state.save();
        if let Some(what) = &state.unwritten {
            // The disk is full: room for the last description was set aside.
            self.end.fault.get_or_insert(what.clone());
            let _ = std::fs::remove_file(self.job.folder.join(SPARE));
            state.unwritten = None;
            state.save();
        }
        if let Some(what) = state.unwritten.take() {
            self.end.fault.get_or_insert(what);
        }
        self.end.trials.push(TrialEnd {
            trial: *trial,
            ended,
            steps: (state.done, state.execution.failed.len()),
            capture: is_there.then_some(state.capture),
        });
    }
}

/// What a driver knows, and where it knows nothing, what the command line says.
fn told(mut facts: Facts, options: &Options) -> Facts {
    facts.os = facts.os.or_else(|| options.os.clone());
    facts.app_version = facts.app_version.or_else(|| options.app_version.clone());
    if let (None, Some(apk)) = (&facts.app_sha256, &options.apk) {
        match hash_of(apk) {
            Ok(hash) => facts.app_sha256 = Some(hash),
            Err(e) => facts.notes.push(format!("{apk:?}: cannot read: {e}")),
        }
    }
    facts
}

/// The host of an address (RFC 3986 section 3.2.2), in lower case.
fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(six) => six.split_once(']')?.0,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.trim_end_matches('.').to_ascii_lowercase())
}

/// The capture at the device's end.
fn device_end(folder: &Path) -> PathBuf {
    folder.join("device.pcapng")
}

/// Marks in the time of the device's clock.
fn shifted(marks: &[Mark], by: i64) -> Vec<Mark> {
    let shift = |text: &String| {
        let time = text.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
        let time = i64::try_from(time).ok()?.saturating_add(by);
        Some(CaptureTime(time).rfc3339())
    };
    let one = |mark: &Mark| {
        Some(Mark {
            step: mark.step.clone(),
            start: shift(&mark.start)?,
            end: mark.end.as_ref().and_then(shift),
        })
    };
    marks.iter().filter_map(one).collect()
}

/// What a driver is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Prepare,
    Step,
    Expect,
    Failed,
}

/// The one step of a control.
fn idle_step(seconds: u64) -> Step {
    let info = Action::Idle.info();
    Step {
        action: Action::Idle,
        mark: Some(info.mark.to_owned()),
        say: Text { en: info.en.into(), de: info.de.into() },
        contacts: None,
        characters: None,
        seconds: Some(Amount::Fixed(seconds)),
        times: Amount::Fixed(1),
        canary: None,
        run: None,
        web: Vec::new(),
        expect: None,
        settle: 0.0,
        optional: false,
        file: "control".into(),
        line: 1,
    }
}

/// Steps that a driver cannot do, each with file, line and what to do instead.
#[must_use]
pub fn cannot(scenario: &Scenario, driver: &dyn Driver) -> Vec<String> {
    let own = scenario.steps.iter().filter(|step| !is_runners(step.action));
    own.filter_map(|step| {
        let what = driver.can(scenario, step).err()?;
        Some(format!("{}:{}: {}", step.file, step.line, process::plain(&what)))
    })
    .collect()
}

/// The wall clock of this machine.
#[must_use]
pub fn wall_clock() -> CaptureTime {
    capture::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_the_chosen_server() {
        for (url, host) in [
            ("https://Beratung.example/path?x", Some("beratung.example")), // typos: off, a German name
            ("https://user@chat.example.:8443#x", Some("chat.example")),
            ("https://[2001:db8::1]:443/", Some("2001:db8::1")),
            ("chat.example", None),
            ("https:///path", None),
        ] {
            assert_eq!(host_of(url).as_deref(), host, "{url}");
        }
    }
}
