//! `metaleak scenario list | show | check | new`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::claims::wording;
use super::{Failure, inputs};
use crate::model::Text;
use crate::report::{Arg, Wording, escape_terminal};
use crate::scenario::{Amount, Order, Scenario, Step, Trial, catalogue, check_steps, is_steps_file};

/// What to do with scenarios.
#[derive(Debug, Subcommand)]
pub(super) enum ScenarioCommand {
    /// List the built-in scenarios: id, number of trials, title.
    List {
        /// Only those of this messenger.
        #[arg(value_name = "MESSENGER")]
        messenger: Option<String>,
        /// Language of the texts.
        #[arg(long, default_value = "en", value_parser = ["en", "de"])]
        lang: String,
    },
    /// Show a scenario: what it needs, its steps in words, its trials in their order.
    Show {
        /// An id, e.g. signal/contact-sync, or a file.
        #[arg(value_name = "SCENARIO")]
        scenario: String,
        /// Seed of the order of trials; that of the file's hash when left out.
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// Print the file itself instead of words.
        #[arg(long)]
        toml: bool,
        /// Language of the texts.
        #[arg(long, default_value = "en", value_parser = ["en", "de"])]
        lang: String,
    },
    /// Check scenario files and files of steps; every fault is named with file, line and remedy.
    Check {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print a scenario file to begin with; it passes `scenario check` as it is, with texts to replace.
    New {
        /// Its id, MESSENGER/NAME, e.g. beratung/send-text.
        id: String,
    },
}

/// Runs the command.
pub(super) fn run(command: &ScenarioCommand) -> Result<(), Failure> {
    let mut out = inputs::output(None)?;
    match command {
        ScenarioCommand::List { messenger, lang } => list(messenger.as_deref(), &wording(lang)?, &mut out)?,
        ScenarioCommand::Show { scenario, toml: true, .. } => print(scenario, &mut out)?,
        ScenarioCommand::Show { scenario, seed, lang, .. } => {
            show(scenario, *seed, &wording(lang)?, &mut out)?;
        }
        ScenarioCommand::Check { files } => check(files, &mut out)?,
        ScenarioCommand::New { id } => new(id, &mut out)?,
    }
    Ok(out.flush()?)
}

fn list(messenger: Option<&str>, wording: &Wording, out: &mut dyn Write) -> Result<(), Failure> {
    let mut shown = 0;
    for path in catalogue() {
        let scenario = Scenario::embedded(path).map_err(|e| Failure::Usage(e.to_string()))?;
        if messenger.is_some_and(|m| scenario.messenger.as_deref() != Some(m)) {
            continue;
        }
        shown += 1;
        let trials = scenario.plan(0).len();
        writeln!(out, "{:<32} {trials:>4}  {}", scenario.id, wording.pick(&scenario.title))?;
    }
    match messenger {
        Some(m) if shown == 0 => {
            let m = escape_terminal(m);
            Err(Failure::Usage(format!("no scenario of {m:?}; `metaleak scenario list` shows all")))
        }
        _ => Ok(()),
    }
}

fn check(files: &[PathBuf], out: &mut dyn Write) -> Result<(), Failure> {
    let (mut scenarios, mut parts, mut faults) = (0, 0, Vec::new());
    for file in files {
        // A file of steps has no messenger, app and device, and is checked as far as it goes alone.
        let checked = if is_steps_file(file) {
            check_steps(file).map(|_| parts += 1)
        } else {
            Scenario::load(file).map(|_| scenarios += 1)
        };
        if let Err(e) = checked {
            faults.extend(e.faults);
        }
    }
    if faults.is_empty() {
        writeln!(out, "{scenarios} scenarios, {parts} files of steps, no faults")?;
        return Ok(());
    }
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Err(Failure::Usage(lines.join("\n")))
}

/// The message of a word that files use: `scenario-control-idle-device` for `idle-device`.
fn word(wording: &Wording, kind: &str, value: impl serde::Serialize) -> String {
    let id = serde_json::to_value(value).ok();
    let id = id.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    wording.text(&format!("scenario-{kind}-{id}"))
}

/// A value, or a word for the dose, which differs from trial to trial.
fn amount(wording: &Wording, amount: Amount) -> String {
    match amount {
        Amount::Fixed(value) => value.to_string(),
        Amount::Dose(_) => wording.text("scenario-dose-here"),
    }
}

/// A step in words.
fn step_in_words(step: &Step, wording: &Wording) -> String {
    let mut text = step.filled(wording.pick(&step.say), &|value| amount(wording, value));
    if let Some(run) = &step.run {
        text = format!("{text} {}", run.join(" "));
    }
    if step.times != Amount::Fixed(1) {
        let times = amount(wording, step.times);
        text = wording.with("scenario-times", &[("text", Arg::Text(&text)), ("times", Arg::Text(&times))]);
    }
    text
}

fn show(name: &str, seed: Option<u64>, wording: &Wording, out: &mut dyn Write) -> Result<(), Failure> {
    let scenario = Scenario::find(name).map_err(|e| Failure::Usage(e.to_string()))?;
    let mut line = |key: &str, text: &str| -> std::io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        writeln!(out, "{:<13} {}", wording.text(key), escape_terminal(text))
    };
    let in_words = |text: &Option<Text>| text.as_ref().map_or("", |text| wording.pick(text)).to_owned();
    line("scenario-id", &scenario.id)?;
    line("scenario-title", wording.pick(&scenario.title))?;
    line("scenario-messenger", scenario.messenger.as_deref().unwrap_or_default())?;
    let app = &scenario.app;
    let parts = [Some(app.name.as_str()), app.android.as_deref(), app.ios.as_deref(), app.url.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    line("scenario-app", &parts.join(", "))?;
    line("scenario-version", app.version.as_deref().unwrap_or_default())?;
    let kinds: Vec<String> = scenario.device.kinds.iter().map(|kind| word(wording, "device", kind)).collect();
    line("scenario-device", &kinds.join(", "))?;
    line("scenario-state", &in_words(&scenario.device.state))?;
    line("scenario-needs", &in_words(&scenario.needs))?;
    for canary in &scenario.canaries {
        line("scenario-canary", &format!("{} ({})", canary.name, word(wording, "canary", canary.kind)))?;
    }
    if let Some((of, values)) = &scenario.dose {
        let values: Vec<String> = values.iter().map(u64::to_string).collect();
        line("scenario-doses", &format!("{of}: {}", values.join(", ")))?;
    }
    line("scenario-sha256", &scenario.sha256)?;
    writeln!(out)?;
    for (step, number) in scenario.steps.iter().zip(1..) {
        let mark = step.mark.as_deref().unwrap_or("–");
        writeln!(out, "{number:>3}. {mark:<18} {}", escape_terminal(&step_in_words(step, wording)))?;
        if let Some((text, within)) = &step.expect {
            let values = [("seconds", Arg::Text(&within.to_string())), ("text", Arg::Text(text))];
            writeln!(out, "{:23} {}", "", wording.with("scenario-expected", &values))?;
        }
    }
    let seed = seed.unwrap_or_else(|| scenario.seed());
    let trials = scenario.plan(seed);
    let key = match scenario.order {
        Order::Random => "scenario-random",
        Order::AsWritten => "scenario-as-written",
    };
    // As a text: a seed is copied, so it has no separators.
    let seed = seed.to_string();
    writeln!(
        out,
        "\n{}",
        wording.with(key, &[("n", Arg::Count(trials.len() as u64)), ("seed", Arg::Text(&seed))])
    )?;
    if trials.len() > 1 {
        for (trial, number) in trials.iter().zip(1..) {
            writeln!(out, "{number:>4}. {}", trial_in_words(trial, wording))?;
        }
    }
    Ok(())
}

pub(super) fn trial_in_words(trial: &Trial, wording: &Wording) -> String {
    let repeat = ("repeat", Arg::Count(u64::from(trial.repeat)));
    match (trial.control, trial.dose) {
        (Some(control), _) => {
            let control = word(wording, "control", control);
            wording.with("scenario-trial-control", &[("control", Arg::Text(&control)), repeat])
        }
        (None, Some(dose)) => {
            let dose = dose.to_string();
            wording.with("scenario-trial-dose", &[("dose", Arg::Text(&dose)), repeat])
        }
        (None, None) => wording.with("scenario-trial", &[repeat]),
    }
}

/// The text of the file itself.
fn print(name: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let text = crate::scenario::text_of(name).map_err(|e| Failure::Usage(e.to_string()))?;
    let lines: Vec<_> = text.split('\n').map(escape_terminal).collect();
    Ok(write!(out, "{}", lines.join("\n"))?)
}

fn new(id: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let wrong = || {
        let shown = escape_terminal(id).into_owned();
        Failure::Usage(format!(
            "no id {shown:?}: write MESSENGER/NAME in small letters, digits and hyphens, e.g. beratung/send-text"
        ))
    };
    let (messenger, name) = id.split_once('/').ok_or_else(wrong)?;
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !word(messenger) || !word(name) {
        return Err(wrong());
    }
    let text = format!(
        r#"# docs/scenarios.md explains every key. Check with `metaleak scenario check FILE`; save as scenarios/{messenger}/{name}.toml.
schema = 1
title = {{ en = "One line on what it is for", de = "Eine Zeile dazu, wofür es ist" }}
messenger = "{messenger}"
needs = {{ en = "What one must have before one begins", de = "Was man haben muss, bevor man anfängt" }}
repeats = 3
controls = ["idle-device"]

[app]
name = "The app's name"
# android = "org.example.app", ios = "org.example.app", url = "https://chat.example.org/"

[device]
kinds = ["android"]

[[canary]]
name = "message"
kind = "text"

# What is varied; steps say "dose" for it.
[dose]
of = "characters"
values = [1, 10, 100, 1000]

[[step]]
do = "idle"
seconds = 60

[[step]]
do = "send-text"
characters = "dose"
canary = "message"
# In words of your own, where those of the action do not do:
# say = {{ en = "…", de = "…" }}
"#
    );
    // The same check as of a file.
    Scenario::from_text(Path::new(&format!("{id}.toml")), &text)
        .map_err(|e| Failure::Usage(e.to_string()))?;
    Ok(write!(out, "{text}")?)
}
