//! Scenarios: what is done on a device while a capture runs, and what is known of how a capture was made.
//!
//! Takes scenario files (`scenarios/`, described in `docs/scenarios.md`); gives checked [`Scenario`]s, their steps and their trials in
//! order. Takes the path of a capture; gives, or writes, the [`Run`](crate::model::Run) that stands beside it. [`run`] does the trials with a
//! driver ([`drive`]) and a capture back-end ([`backend`]), and leaves a run folder; it judges nothing.

pub mod backend;
pub mod clock;
pub mod contacts;
pub mod drive;
mod embedded;
mod folder;
mod language;
mod load;
mod plan;
pub mod run;
mod run_file;

pub use language::{
    ACTIONS, Action, ActionInfo, Amount, App, Canary, CanaryKind, Control, Device, DeviceKind, Dose,
    DoseWord, Expect, Order, Part, ScenarioFile, StepEntry, StepsFile, WebDo,
};
pub use load::{Fault, Planted, Scenario, ScenarioFaults, Step, check_steps};
pub use plan::Trial;
pub use run_file::{
    STEPS, ScenarioError, first_action, own_run_file, run_beside, run_file, stem, step_times, write_run,
};

use std::path::Path;

/// The folder of steps that scenarios include.
const COMMON: &str = "common";

/// Whether a path is that of a file of steps alone: its folder is `common`.
#[must_use]
pub fn is_steps_file(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|folder| folder == COMMON)
}

/// The built-in scenarios by path, in the order of the list.
pub fn catalogue() -> impl Iterator<Item = &'static str> {
    embedded::FILES.iter().map(|(path, _)| *path).filter(|path| !is_steps_file(Path::new(path)))
}

/// All built-in files by path and text, those of steps among them.
pub fn embedded_files() -> impl Iterator<Item = (&'static str, &'static str)> {
    embedded::FILES.iter().copied()
}

/// The text of a built-in scenario by id, else of the file of that path.
///
/// # Errors
/// [`ScenarioFaults`] when there is none.
pub fn text_of(name: &str) -> Result<String, ScenarioFaults> {
    match embedded::FILES.iter().find(|(path, _)| load::id_of(Path::new(path)) == name) {
        Some((_, text)) => Ok((*text).to_owned()),
        None => load::read(Path::new(name)),
    }
}

/// The JSON Schema of scenario files (`docs/schema/scenario-1.json`).
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(ScenarioFile)
}

/// The JSON Schema of files of touches (`docs/schema/ui-1.json`).
#[must_use]
pub fn ui_schema() -> schemars::Schema {
    drive::ui::schema()
}
