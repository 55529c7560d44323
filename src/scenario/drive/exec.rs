//! The driver for programs: a step is a program that is started and has to end with exit code 0.
//!
//! Takes steps with `run`; what depends on the trial is in the program's environment (`docs/run.md` has the list). Its outputs go to
//! the run folder. Other actions it cannot do.

use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::process::{self, Output};
use super::{Ask, Driver, DriverInfo, Facts, Options, StepFault};
use crate::scenario::{Action, Scenario, Step};

/// As it is registered.
pub(super) static INFO: DriverInfo = DriverInfo {
    id: "exec",
    purpose: "steps that are programs (`run`), e.g. terminal clients",
    needs: &[],
    suits: |scenario, _| {
        let mut own = scenario.steps.iter().filter(|step| step.action != Action::Idle).peekable();
        own.peek().is_some() && own.all(|step| step.action == Action::Run)
    },
    make: |options| Ok(Box::new(Exec::new(options))),
};

/// The driver.
#[derive(Debug, Default)]
pub struct Exec {
    url: Option<String>,
    device: Option<String>,
    set: Vec<(String, String)>,
    /// What the last program printed, for what is expected of it.
    last: String,
}

impl Exec {
    /// A new one.
    #[must_use]
    pub fn new(options: &Options) -> Exec {
        let set = options.set.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Exec { url: options.url.clone(), device: options.device.clone(), set, last: String::new() }
    }

    /// Starts the program of a step and waits for its end.
    fn program(&self, ask: &Ask<'_>) -> Result<Output, StepFault> {
        let Some((program, arguments)) = ask.step.run.as_deref().and_then(<[String]>::split_first) else {
            return Err(StepFault::Failed("the step has no program".into()));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        let mut set = |name: &str, value: Option<String>| {
            let name = format!("METALEAK_{}", variable(name));
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        };
        set("dose", ask.trial.dose.map(|dose| dose.to_string()));
        set("repeat", Some(ask.trial.repeat.to_string()));
        set("mark", ask.step.mark.clone());
        set("time", Some(ask.number.1.to_string()));
        set("folder", Some(ask.folder.to_string_lossy().into_owned()));
        set("url", self.url.clone().or_else(|| ask.scenario.app.url.clone()));
        set("device", self.device.clone());
        set("canary", ask.canary().map(str::to_owned));
        for (name, value) in ask.canaries {
            set(&format!("canary_{name}"), Some(value.clone()));
        }
        for (name, value) in &self.set {
            set(&format!("set_{name}"), Some(value.clone()));
        }
        if let Some(key_log) = ask.key_log {
            command.env("SSLKEYLOGFILE", key_log);
        }
        process::run(&mut command, None, ask.until, ask.stop, Some(&ask.file("out")))
    }
}

/// A name as environment variables have it.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

impl Driver for Exec {
    fn can(&self, _scenario: &Scenario, step: &Step) -> Result<(), String> {
        match step.action {
            Action::Run => Ok(()),
            other => Err(format!(
                "the driver exec starts programs and cannot do {:?}; write do = \"run\", or take another --driver",
                other.info().id
            )),
        }
    }

    fn begin(&mut self, _scenario: &Scenario, _stop: &AtomicBool) -> Result<Facts, StepFault> {
        Ok(Facts::default())
    }

    fn step(&mut self, ask: &Ask<'_>) -> Result<(), StepFault> {
        self.last.clear();
        // A program that is ended by a signal is a step that failed: there is no driver beside it that could be started anew.
        let output = self.program(ask).map_err(|fault| match fault {
            StepFault::Crashed(what) => StepFault::Failed(what),
            other => other,
        })?;
        self.last = output.text();
        if output.success() {
            return Ok(());
        }
        let code = output.status.and_then(|s| s.code()).unwrap_or_default();
        Err(StepFault::Failed(format!("exit code {code}: {}", output.last_line())))
    }

    fn expect(&mut self, ask: &Ask<'_>, text: &str) -> Result<(), StepFault> {
        // The program has ended: what it did not print it will not print.
        if self.last.contains(text) {
            return Ok(());
        }
        Err(StepFault::Failed(format!("{text:?} is not in the program's output, {:?}", ask.file("out"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_variables() {
        assert_eq!(variable("canary_contact-number"), "CANARY_CONTACT_NUMBER");
    }
}
