//! Scenario files into [`Scenario`]s, with every fault named by file, line and remedy.
//!
//! Takes a path or one of the built-in files; gives steps with all that they say, includes put in their places. Runs nothing.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use sha2::Digest as _;
use toml::Spanned;

use super::embedded;
use super::language::{
    ACTIONS, Action, Amount, App, CanaryKind, Control, Device, Order, Part, ScenarioFile, StepEntry,
    StepsFile, WebDo,
};
use crate::capture::hex;
use crate::fault::line_at;
pub use crate::fault::{Fault, Faults as ScenarioFaults};
use crate::model::Text;

/// Bytes of a file that are believed.
const MAX_FILE: u64 = 256 << 10;
/// Steps of a scenario, with those of its includes.
const MAX_STEPS: usize = 1000;
/// Includes within includes.
const MAX_DEPTH: usize = 4;
/// Trials of a scenario.
pub(super) const MAX_TRIALS: usize = 10_000;
/// Seconds that a step may take or wait: a week.
const MAX_SECONDS: u64 = 604_800;
/// Seconds to wait after a step, unless told.
const SETTLE: f64 = 5.0;
/// Seconds within which something has to be seen, unless told.
const WITHIN: f64 = 30.0;

/// A scenario without faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// `messenger/name`, after its place: `signal/contact-sync`.
    pub id: String,
    /// What it is for.
    pub title: Text,
    /// The messenger; `None` where it fits every one.
    pub messenger: Option<String>,
    /// What is to be known before.
    pub needs: Option<Text>,
    /// The app.
    pub app: App,
    /// The device.
    pub device: Device,
    /// What is planted.
    pub canaries: Vec<Planted>,
    /// What is varied, and its doses.
    pub dose: Option<(String, Vec<u64>)>,
    /// How often each dose is run.
    pub repeats: u32,
    /// In which order.
    pub order: Order,
    /// Trials to compare with.
    pub controls: Vec<Control>,
    /// The steps.
    pub steps: Vec<Step>,
    /// SHA-256 over the file and those that it includes, in the order of their reading; lower-case hex.
    pub sha256: String,
}

/// A canary of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: CanaryKind,
    /// Its value; `None` where whoever runs the scenario chooses it.
    pub value: Option<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The step in marks and claims; `None`: nothing of the app's is exercised by it.
    pub mark: Option<String>,
    /// What a person is told, with `{contacts}` and the like for values that depend on the trial.
    pub say: Text,
    /// Values of the action.
    pub contacts: Option<Amount>,
    /// Likewise.
    pub characters: Option<Amount>,
    /// Likewise.
    pub seconds: Option<Amount>,
    /// How often in a row.
    pub times: Amount,
    /// The canary that is used.
    pub canary: Option<String>,
    /// The program and its arguments.
    pub run: Option<Vec<String>>,
    /// What a browser does for it.
    pub web: Vec<WebDo>,
    /// A text that must be seen, and within how many seconds.
    pub expect: Option<(String, f64)>,
    /// Seconds to wait after it.
    pub settle: f64,
    /// Whether the trial goes on when it fails.
    pub optional: bool,
    /// Where it is written.
    pub file: String,
    /// Likewise, from 1.
    pub line: usize,
}

/// Where files come from.
trait Files {
    fn read(&self, path: &Path) -> Result<String, String>;
}

struct OnDisk;

impl Files for OnDisk {
    fn read(&self, path: &Path) -> Result<String, String> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|e| format!("cannot read: {e}"))?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot read: {e}"))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("more than {} KiB are no scenario", MAX_FILE >> 10));
        }
        String::from_utf8(bytes).map_err(|e| format!("byte {} is no UTF-8", e.utf8_error().valid_up_to()))
    }
}

struct BuiltIn;

impl Files for BuiltIn {
    fn read(&self, path: &Path) -> Result<String, String> {
        let found = embedded::FILES.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "there is no such file".to_owned())
    }
}

/// `messenger/name` of a path.
pub(super) fn id_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match path.parent().and_then(Path::file_name) {
        Some(folder) => format!("{}/{stem}", folder.to_string_lossy()),
        None => stem,
    }
}

impl Scenario {
    /// Reads a file and those that it includes.
    ///
    /// # Errors
    /// [`ScenarioFaults`] with every fault.
    pub fn load(path: &Path) -> Result<Scenario, ScenarioFaults> {
        Reader::new(&OnDisk).scenario(path)
    }

    /// One of the built-in files, by its path: `scenarios/signal/contact-sync.toml`.
    ///
    /// # Errors
    /// [`ScenarioFaults`]; a test keeps the built-in files free of them.
    pub fn embedded(path: &str) -> Result<Scenario, ScenarioFaults> {
        Reader::new(&BuiltIn).scenario(Path::new(path))
    }

    /// A built-in file by id (`signal/contact-sync`), else the file of that path.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn find(name: &str) -> Result<Scenario, ScenarioFaults> {
        match super::catalogue().find(|path| id_of(Path::new(path)) == name) {
            Some(path) => Scenario::embedded(path),
            None => Scenario::load(Path::new(name)),
        }
    }

    /// Checks a text as if it were the file of that path.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn from_text(path: &Path, text: &str) -> Result<Scenario, ScenarioFaults> {
        let mut reader = Reader::new(&OnDisk);
        reader.text(path, text)
    }
}

fn unreadable(path: &Path, what: String) -> ScenarioFaults {
    let remedy =
        "give the path of a scenario file, or an id of `metaleak scenario list`, e.g. signal/contact-sync";
    let file = path.to_string_lossy().into_owned();
    ScenarioFaults { faults: vec![Fault { file, line: 1, what, remedy: remedy.into() }] }
}

/// The text of a file on disk.
pub(super) fn read(path: &Path) -> Result<String, ScenarioFaults> {
    OnDisk.read(path).map_err(|what| unreadable(path, what))
}

/// A file of steps alone, checked with what it includes.
///
/// # Errors
/// [`ScenarioFaults`].
pub fn check_steps(path: &Path) -> Result<usize, ScenarioFaults> {
    let mut reader = Reader::new(&OnDisk);
    // Whether a canary or a dose is there depends on who includes the steps.
    reader.loose = true;
    let mut steps = Vec::new();
    reader.include(path, &(path.to_owned(), 1), 0, &mut steps);
    if reader.faults.is_empty() { Ok(steps.len()) } else { Err(ScenarioFaults { faults: reader.faults }) }
}

struct Reader<'f> {
    files: &'f dyn Files,
    faults: Vec<Fault>,
    hash: sha2::Sha256,
    canaries: Vec<String>,
    has_dose: bool,
    dose_used: bool,
    settle: f64,
    /// Steps are checked without the scenario that they belong to.
    loose: bool,
}

/// A file at hand.
struct At<'t> {
    path: &'t Path,
    text: &'t str,
}

impl At<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        line_at(self.text.as_bytes(), span.start)
    }
}

impl<'f> Reader<'f> {
    fn new(files: &'f dyn Files) -> Reader<'f> {
        Reader {
            files,
            faults: Vec::new(),
            hash: sha2::Sha256::new(),
            canaries: Vec::new(),
            has_dose: false,
            dose_used: false,
            settle: SETTLE,
            loose: false,
        }
    }

    fn fault(
        &mut self,
        at: &At<'_>,
        span: &Range<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.faults.push(Fault {
            file: at.path.to_string_lossy().into_owned(),
            line: at.line(span),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    fn scenario(mut self, path: &Path) -> Result<Scenario, ScenarioFaults> {
        let text = self.files.read(path).map_err(|what| unreadable(path, what))?;
        self.text(path, &text)
    }

    /// A text as `T`.
    fn parse<T: DeserializeOwned>(&mut self, at: &At<'_>) -> Option<T> {
        self.hash.update(at.text);
        match toml::from_str(at.text) {
            Ok(value) => Some(value),
            Err(e) => {
                let span = e.span().unwrap_or(0..0);
                let what = e.message().lines().collect::<Vec<_>>().join(" ");
                self.fault(at, &span, what, "docs/scenarios.md lists the keys and what they take");
                None
            }
        }
    }

    fn text(&mut self, path: &Path, text: &str) -> Result<Scenario, ScenarioFaults> {
        let at = At { path, text };
        let Some(file) = self.parse::<ScenarioFile>(&at) else {
            return Err(ScenarioFaults { faults: std::mem::take(&mut self.faults) });
        };
        self.schema(&at, &file.schema);
        self.text_of(&at, "title", &file.title);
        if let Some(messenger) = &file.messenger {
            self.name(&at, messenger, "a messenger's id");
        }
        let planted = self.canaries(&at, &file);
        let dose = file.dose.as_ref().map(|dose| {
            self.dose(&at, &dose.values);
            (dose.of.clone(), dose.values.get_ref().clone())
        });
        self.has_dose = dose.is_some();
        let repeats = file.repeats.as_ref().map_or(1, |r| {
            if !(1..=1000).contains(r.get_ref()) {
                self.fault(
                    &at,
                    &r.span(),
                    format!("{} repeats", r.get_ref()),
                    "write a number from 1 to 1000",
                );
            }
            *r.get_ref()
        });
        let trials = dose.as_ref().map_or(1, |(_, values)| values.len()).saturating_mul(repeats as usize);
        if trials > MAX_TRIALS {
            let what = format!("{trials} trials");
            self.fault(&at, &(0..0), what, format!("{MAX_TRIALS} at most: fewer doses or repeats"));
        }
        let mut controls: Vec<Control> = Vec::new();
        for control in &file.controls {
            if controls.contains(control.get_ref()) {
                self.fault(
                    &at,
                    &control.span(),
                    "a control stands twice",
                    "remove one; it is repeated as the doses are",
                );
            }
            controls.push(*control.get_ref());
        }
        if let Some(settle) = &file.settle {
            self.settle = self.wait(&at, settle);
        }
        if file.device.as_ref().is_some_and(|d| d.kinds.is_empty()) {
            self.fault(&at, &(0..0), "device.kinds is empty", "name a kind of device, or leave [device] out");
        }
        let mut steps = Vec::new();
        self.steps(&at, &file.steps, 0, &mut steps);
        if steps.is_empty() && self.faults.is_empty() {
            self.fault(&at, &(0..0), "there are no steps", "write [[step]] and its keys below");
        }
        if let (Some(dose), false) = (&file.dose, self.dose_used) {
            let what = "no step uses the dose";
            self.fault(
                &at,
                &dose.values.span(),
                what,
                r#"write "dose" for the value that is varied, e.g. contacts = "dose""#,
            );
        }
        if !self.faults.is_empty() {
            return Err(ScenarioFaults { faults: std::mem::take(&mut self.faults) });
        }
        Ok(Scenario {
            id: id_of(path),
            title: file.title,
            messenger: file.messenger.map(Spanned::into_inner),
            needs: file.needs,
            app: file.app.unwrap_or_default(),
            device: file.device.unwrap_or_default(),
            canaries: planted,
            dose,
            repeats,
            order: file.order,
            controls,
            steps,
            sha256: hex(&std::mem::take(&mut self.hash).finalize()),
        })
    }

    fn schema(&mut self, at: &At<'_>, schema: &Spanned<u32>) {
        if *schema.get_ref() != 1 {
            self.fault(
                at,
                &schema.span(),
                format!("schema {} is not known", schema.get_ref()),
                "write schema = 1",
            );
        }
    }

    fn text_of(&mut self, at: &At<'_>, key: &str, text: &Text) {
        if text.en.trim().is_empty() || text.de.trim().is_empty() {
            let what = format!("{key} lacks a language");
            self.fault(at, &(0..0), what, format!("write {key} = {{ en = \"…\", de = \"…\" }}"));
        }
    }

    /// Names are small letters, digits and hyphens, as steps of claims are.
    fn name(&mut self, at: &At<'_>, name: &Spanned<String>, what: &str) {
        let good = !name.get_ref().is_empty()
            && name.get_ref().len() <= 64
            && name.get_ref().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !good {
            let shown: String = name.get_ref().chars().take(64).collect();
            self.fault(
                at,
                &name.span(),
                format!("{shown:?} is not {what}"),
                "write small letters, digits and hyphens",
            );
        }
    }

    fn canaries(&mut self, at: &At<'_>, file: &ScenarioFile) -> Vec<Planted> {
        let mut planted = Vec::new();
        for canary in &file.canaries {
            self.name(at, &canary.name, "a canary's name");
            if self.canaries.contains(canary.name.get_ref()) {
                let what = format!("the canary {:?} stands twice", canary.name.get_ref());
                self.fault(at, &canary.name.span(), what, "give each a name of its own");
            }
            if let Some(value) = &canary.value {
                self.value(at, canary.kind, value);
            }
            self.canaries.push(canary.name.get_ref().clone());
            planted.push(Planted {
                name: canary.name.get_ref().clone(),
                kind: canary.kind,
                value: canary.value.clone().map(Spanned::into_inner),
            });
        }
        planted
    }

    fn value(&mut self, at: &At<'_>, kind: CanaryKind, value: &Spanned<String>) {
        let text = value.get_ref();
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let remedy = match kind {
            CanaryKind::Number
                if !text.strip_prefix('+').is_some_and(|n| (8..=15).contains(&n.len()) && digits(n)) =>
            {
                "write a number in E.164 form, e.g. +4915112345678"
            }
            CanaryKind::Email
                if !text.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.')) =>
            {
                "write a mail address, e.g. canary@example.org"
            }
            CanaryKind::Exif
                if !text.split_once(',').is_some_and(|(lat, lon)| {
                    lat.trim().parse::<f64>().is_ok_and(|d| d.abs() <= 90.0)
                        && lon.trim().parse::<f64>().is_ok_and(|d| d.abs() <= 180.0)
                }) =>
            {
                "write degrees north and east, e.g. 47.3712,8.5423"
            }
            CanaryKind::Text | CanaryKind::PersonName if text.chars().count() < 6 => {
                "write six characters at least, or it is found by chance"
            }
            _ => return,
        };
        self.fault(at, &value.span(), "the value of the canary does not fit its kind", remedy);
    }

    fn dose(&mut self, at: &At<'_>, values: &Spanned<Vec<u64>>) {
        let mut seen = values.get_ref().clone();
        seen.sort_unstable();
        seen.dedup();
        if seen.len() < 2 || seen.len() != values.get_ref().len() {
            let remedy = "write two different numbers at least, each once, e.g. [0, 10, 100, 1000]; `repeats` repeats them";
            self.fault(at, &values.span(), "doses that show nothing", remedy);
        }
        if seen.last().is_some_and(|most| *most > 1_000_000) {
            self.fault(at, &values.span(), "a dose of more than a million", "write smaller ones");
        }
    }

    fn wait(&mut self, at: &At<'_>, seconds: &Spanned<f64>) -> f64 {
        let value = *seconds.get_ref();
        if !(0.0..=MAX_SECONDS as f64).contains(&value) {
            self.fault(
                at,
                &seconds.span(),
                format!("{value} seconds"),
                "write seconds from 0 to 604800 (a week)",
            );
        }
        value
    }

    fn include(&mut self, path: &Path, from: &(PathBuf, usize), depth: usize, out: &mut Vec<Step>) {
        let mut wrong = |what: String, remedy: &str| {
            let (file, line) = (from.0.to_string_lossy().into_owned(), from.1);
            self.faults.push(Fault { file, line, what, remedy: remedy.into() });
        };
        if depth > MAX_DEPTH {
            wrong(
                format!("includes are nested more than {MAX_DEPTH} deep"),
                "a file must not include itself; put steps in place",
            );
            return;
        }
        let text = match self.files.read(path) {
            Ok(text) => text,
            Err(what) => {
                wrong(format!("{path:?}: {what}"), "give the path of a file of steps, relative to this file");
                return;
            }
        };
        let at = At { path, text: &text };
        let Some(file) = self.parse::<StepsFile>(&at) else { return };
        self.schema(&at, &file.schema);
        self.text_of(&at, "title", &file.title);
        self.steps(&at, &file.steps, depth, out);
    }

    fn steps(&mut self, at: &At<'_>, entries: &[Spanned<StepEntry>], depth: usize, out: &mut Vec<Step>) {
        for entry in entries {
            let (span, entry) = (entry.span(), entry.get_ref());
            if out.len() >= MAX_STEPS {
                self.fault(at, &span, format!("more than {MAX_STEPS} steps"), "part the scenario");
                return;
            }
            if let Some(include) = &entry.include {
                if entry.action.is_some() {
                    let remedy = "write it as a [[step]] of its own";
                    self.fault(at, &include.span(), "a step has both `include` and `do`", remedy);
                    continue;
                }
                let path = beside(at.path, include.get_ref());
                let line = at.line(&include.span());
                self.include(&path, &(at.path.to_owned(), line), depth + 1, out);
            } else if let Some(step) = self.step(at, &span, entry) {
                let imports = |step: &Step| step.action == Action::ImportContacts;
                if imports(&step) && out.iter().any(imports) {
                    let remedy = "leave one out, or write a scenario of its own: a trial has one address book, whose size its description tells";
                    self.fault(at, &span, "a second `import-contacts`", remedy);
                    continue;
                }
                out.push(step);
            }
        }
    }

    fn step(&mut self, at: &At<'_>, span: &Range<usize>, entry: &StepEntry) -> Option<Step> {
        let Some(word) = &entry.action else {
            self.fault(at, span, "a step without `do`", "say what is done, e.g. do = \"send-text\"");
            return None;
        };
        let Some(action) = Action::named(word.get_ref()) else {
            let known: Vec<&str> = ACTIONS.iter().map(|a| a.id).collect();
            let shown: String = word.get_ref().chars().take(64).collect();
            self.fault(
                at,
                &word.span(),
                format!("unknown action {shown:?}"),
                format!("write one of: {}", known.join(", ")),
            );
            return None;
        };
        // A program has the dose in its environment.
        self.dose_used |= action == Action::Run;
        let info = action.info();
        let there: [(Part, Option<Range<usize>>); 8] = [
            (Part::Contacts, entry.contacts.as_ref().map(Spanned::span)),
            (Part::Characters, entry.characters.as_ref().map(Spanned::span)),
            (Part::Seconds, entry.seconds.as_ref().map(Spanned::span)),
            (Part::Times, entry.times.as_ref().map(Spanned::span)),
            (Part::Canary, entry.canary.as_ref().map(Spanned::span)),
            (Part::Run, entry.run.as_ref().map(Spanned::span)),
            (Part::Mark, entry.mark.as_ref().map(Spanned::span)),
            (Part::Say, entry.say.as_ref().map(|_| span.clone())),
        ];
        let given: Vec<Part> =
            there.iter().filter(|(_, place)| place.is_some()).map(|(part, _)| *part).collect();
        for (part, place) in there {
            let key = part.key();
            match place {
                None if info.needs.contains(&part) => {
                    let what = format!("{:?} without `{key}`", info.id);
                    self.fault(at, &word.span(), what, format!("write {key} = … beside it"));
                }
                // A name of its own and words of its own fit every action.
                Some(place)
                    if !info.needs.contains(&part)
                        && !info.may.contains(&part)
                        && !matches!(part, Part::Mark | Part::Say) =>
                {
                    let what = format!("{:?} takes no `{key}`", info.id);
                    self.fault(at, &place, what, format!("remove {key}"));
                }
                _ => {}
            }
        }
        if let Some(mark) = &entry.mark {
            self.name(at, mark, "a step's name");
        }
        if let Some(canary) = &entry.canary
            && !self.loose
            && !self.canaries.contains(canary.get_ref())
        {
            let known = self.canaries.join(", ");
            let what = format!("no canary {:?}", canary.get_ref().chars().take(64).collect::<String>());
            self.fault(
                at,
                &canary.span(),
                what,
                format!("write [[canary]] with that name; there are: {known}"),
            );
        }
        let amounts = [
            (&entry.contacts, 100_000),
            (&entry.characters, 1_000_000),
            (&entry.seconds, MAX_SECONDS),
            (&entry.times, 10_000),
        ];
        for (amount, most) in amounts {
            if let Some(amount) = amount {
                self.amount(at, amount, most);
            }
        }
        if let Some(run) = &entry.run
            && run.get_ref().first().is_none_or(|program| program.trim().is_empty())
        {
            self.fault(at, &run.span(), "`run` without a program", "write run = [\"program\", \"argument\"]");
        }
        self.web(at, word, action, entry);
        let say = entry.say.clone().unwrap_or_else(|| Text { en: info.en.into(), de: info.de.into() });
        if entry.say.is_some() {
            self.text_of(at, "say", &say);
            for part in [Part::Contacts, Part::Characters, Part::Seconds] {
                let word = format!("{{{}}}", part.key());
                if [&say.en, &say.de].iter().any(|text| text.contains(&word)) && !given.contains(&part) {
                    let what = format!("`say` has {word}, and the step has no such value");
                    self.fault(at, span, what, format!("write {} = …, or a number in the text", part.key()));
                }
            }
        }
        let expect = entry.expect.as_ref().map(|expect| {
            if expect.text.get_ref().is_empty() {
                self.fault(
                    at,
                    &expect.text.span(),
                    "an expectation that everything fulfils",
                    "write a text to be seen",
                );
            }
            let within = expect.within.as_ref().map_or(WITHIN, |w| self.wait(at, w));
            (expect.text.get_ref().clone(), within)
        });
        let settle = entry.settle.as_ref().map_or(self.settle, |s| self.wait(at, s));
        let mark = entry.mark.as_ref().map(|m| m.get_ref().clone());
        let mark = mark.or_else(|| (!info.mark.is_empty()).then(|| info.mark.to_owned()));
        let plain = |amount: &Option<Spanned<Amount>>| amount.as_ref().map(|a| *a.get_ref());
        Some(Step {
            action,
            mark,
            say,
            contacts: plain(&entry.contacts),
            characters: plain(&entry.characters),
            seconds: plain(&entry.seconds),
            times: plain(&entry.times).unwrap_or(Amount::Fixed(1)),
            canary: entry.canary.as_ref().map(|c| c.get_ref().clone()),
            run: entry.run.as_ref().map(|r| r.get_ref().clone()),
            web: entry.web.iter().map(|w| w.get_ref().clone()).collect(),
            expect,
            settle,
            optional: entry.optional,
            file: at.path.to_string_lossy().into_owned(),
            line: at.line(span),
        })
    }

    /// What a browser is to do: one thing each, with selectors and words that are there.
    fn web(&mut self, at: &At<'_>, word: &Spanned<String>, action: Action, entry: &StepEntry) {
        if !entry.web.is_empty() && matches!(action, Action::Run | Action::Manual | Action::Idle) {
            let what = format!("{:?} takes no `web`", action.info().id);
            self.fault(at, &word.span(), what, "remove web, or take an action that is done in the app");
        }
        for act in &entry.web {
            let (span, act) = (act.span(), act.get_ref());
            let named = [&act.open, &act.click, &act.kind_in, &act.wait];
            let things = named.iter().filter(|thing| thing.is_some()).count() + usize::from(act.screenshot);
            if things != 1 {
                let what = format!("a browser is to do {things} things at once");
                let remedy = "write one of open, click, type, wait, screenshot = true in each { } of `web`";
                self.fault(at, &span, what, remedy);
            }
            if [&act.click, &act.kind_in, &act.wait]
                .iter()
                .any(|s| s.as_ref().is_some_and(|s| s.trim().is_empty()))
            {
                self.fault(at, &span, "an empty selector", "write a CSS selector, e.g. click = \"#send\"");
            }
            match (&act.text, act.kind_in.is_some(), act.wait.is_some()) {
                (None, true, _) => {
                    self.fault(at, &span, "`type` without `text`", "write text = \"…\" beside it");
                }
                (Some(_), false, false) => {
                    self.fault(
                        at,
                        &span,
                        "`text` without `type` or `wait`",
                        "remove it, or say what is done with it",
                    );
                }
                _ => {}
            }
            for name in placeholders(act.text.as_deref().unwrap_or_default()) {
                let known = match name.strip_prefix("canary:") {
                    Some(canary) => self.loose || self.canaries.iter().any(|c| c == canary),
                    None if name == "canary" => entry.canary.is_some(),
                    None => name == "text" && entry.characters.is_some(),
                };
                if !known {
                    let shown: String = name.chars().take(64).collect();
                    let remedy = "write {text} where the step has `characters`, {canary} where it has `canary`, or {canary:NAME}";
                    self.fault(at, &span, format!("nothing stands for {{{shown}}}"), remedy);
                }
            }
        }
    }

    fn amount(&mut self, at: &At<'_>, amount: &Spanned<Amount>, most: u64) {
        match amount.get_ref() {
            Amount::Fixed(value) if *value > most => {
                self.fault(
                    at,
                    &amount.span(),
                    format!("{value} is too much"),
                    format!("write a number up to {most}"),
                );
            }
            Amount::Fixed(_) => {}
            Amount::Dose(_) => {
                self.dose_used = true;
                if !self.has_dose && !self.loose {
                    let remedy = "write [dose] with `of` and `values`, or a number";
                    self.fault(at, &amount.span(), "\"dose\" in a scenario without doses", remedy);
                }
            }
        }
    }
}

/// What stands in braces in a text.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// `include`, relative to the file that names it, without `.` and `..` where that is possible.
fn beside(file: &Path, include: &str) -> PathBuf {
    let mut path = file.parent().unwrap_or(Path::new("")).to_path_buf();
    for part in Path::new(include).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(path.components().next_back(), Some(Component::Normal(_))) => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    path
}
