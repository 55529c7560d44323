//! The upload of the address book: runs of a scenario with different doses of contacts, pooled (METRICS E6).
//!
//! Takes inputs and flows; gives one measure for each messenger, step, program and vantage. Only runs that say how many contacts
//! were in the address book (`contacts` in `run.json`) count, and a recording that is there twice counts once.

use std::collections::{BTreeMap, BTreeSet};

use super::dose::{self, Reading, Slope, Trial};
use crate::destination;
use crate::model::{Dose, DoseClass, DoseRuns, Evidence, Flow, Input, Leakage, Vantage};

/// The measure's id.
pub const METRIC: &str = "E6.contact-dose-response";
/// Steps in which contacts are a dose. Where a run did both, the permission was refused at first: what went up later proves nothing
/// of the refusal, so that it counts for neither.
pub const STEPS: [&str; 2] = ["contact-sync", "contact-deny"];
/// Seed of resamplings: the same runs give the same report.
const SEED: u64 = 6;
/// Runs of one measure that are taken; pairs of runs grow with the square.
const MAX_RUNS: usize = 400;
/// Frames that one run shows.
const MAX_FRAMES: usize = 8;

/// One run: what it sent in the step, or in all where no mark says when that was; and of it in flows that are the messenger's own for
/// sure.
struct Sent<'r> {
    input: &'r Input,
    /// The step, where marks say when it was.
    step: Option<&'r str>,
    contacts: u32,
    all: u64,
    own: u64,
    flows: Vec<&'r Flow>,
}

/// Runs that are pooled: messenger, step, program, vantage.
type Group<'r> = (&'r str, &'r str, Option<&'r str>, Option<Vantage>);

/// The measures, by messenger, step, program and vantage.
#[must_use]
pub fn uploads(inputs: &[Input], flows: &[Flow]) -> Vec<Leakage> {
    let mut groups: BTreeMap<Group<'_>, Vec<Sent<'_>>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let dosed: BTreeSet<&str> = inputs
        .iter()
        .filter(|i| i.run.as_ref().is_some_and(|r| r.contacts.is_some()))
        .map(|i| i.file.as_str())
        .collect();
    let mut by_capture: BTreeMap<&str, Vec<&Flow>> = BTreeMap::new();
    for flow in flows.iter().filter(|f| dosed.contains(f.capture.as_str())) {
        by_capture.entry(&flow.capture).or_default().push(flow);
    }
    for input in inputs {
        let Some(run) = &input.run else { continue };
        let (Some(messenger), Some(contacts)) = (run.messenger.as_deref(), run.contacts) else { continue };
        let steps: Vec<&str> =
            STEPS.into_iter().filter(|step| run.steps.iter().any(|done| done == step)).collect();
        let [step] = steps[..] else { continue };
        if input.recording().is_some_and(|recording| !seen.insert(recording)) {
            continue;
        }
        let marked = run.marks.iter().any(|mark| mark.step == step).then_some(step);
        let sent = Sent::of(input, contacts, (messenger, marked), by_capture.get(input.file.as_str()));
        let group = groups.entry((messenger, step, run.app.as_deref(), run.vantage)).or_default();
        if group.len() < MAX_RUNS {
            group.push(sent);
        }
    }
    groups.into_iter().map(|((m, step, app, vantage), runs)| measure(m, step, app, vantage, &runs)).collect()
}

impl<'r> Sent<'r> {
    fn of(
        input: &'r Input,
        contacts: u32,
        (messenger, step): (&str, Option<&'r str>),
        flows: Option<&Vec<&'r Flow>>,
    ) -> Sent<'r> {
        let mut sent = Sent { input, step, contacts, all: 0, own: 0, flows: Vec::new() };
        let of_messenger = flows.into_iter().flatten().filter(|f| f.messenger.as_deref() == Some(messenger));
        for flow in of_messenger.filter(|f| step.is_none() || bytes_up(f, step) > 0) {
            let up = bytes_up(flow, step);
            sent.all = sent.all.saturating_add(up);
            if is_own(flow) {
                sent.own = sent.own.saturating_add(up);
            }
            sent.flows.push(flow);
        }
        // The upload is in the flows that sent most.
        sent.flows.sort_by_key(|f| (std::cmp::Reverse(bytes_up(f, step)), f.flow));
        sent
    }

    fn evidence(&self) -> Evidence {
        let most = self.flows.iter().take(MAX_FRAMES / 2);
        let frames: BTreeSet<u64> = most.flat_map(|f| [f.first_frame, f.last_frame]).collect();
        let frames: Vec<u64> = frames.into_iter().collect();
        Evidence {
            capture: self.input.file.clone(),
            sha256: self.input.sha256.clone(),
            filter: Evidence::filter_of(&frames),
            frames,
            note: format!(
                "{} contacts: {} bytes up in {} flows{}, {} of them in flows that are the messenger's own for sure; first and last frames of those that sent most",
                self.contacts,
                self.all,
                self.flows.len(),
                if self.step.is_some() { " during the step" } else { "" },
                self.own
            ),
        }
    }
}

/// Whether more than the run shows whose flow it is.
fn is_own(flow: &Flow) -> bool {
    let why = flow.messenger_why.as_deref().unwrap_or_default();
    matches!(why.split_once(':').map_or(why, |(kind, _)| kind), "signature" | "name" | "network")
}

/// Bytes that the device sent, in a step or in all. A flow whose start was not captured may have the device at the server's side: then the end that is no
/// public address is the device.
fn bytes_up(flow: &Flow, step: Option<&str>) -> u64 {
    let in_step = |step| flow.by_step.iter().find(|s| s.step == step);
    let (up, down) = match step {
        Some(step) => in_step(step).map_or((0, 0), |s| (s.bytes_up, s.bytes_down)),
        None => (flow.bytes_up, flow.bytes_down),
    };
    let public = |address: Option<std::net::IpAddr>| address.map(|a| destination::special(a).is_none());
    match (public(flow.client_address()), public(flow.server_address())) {
        (Some(true), Some(false)) => down,
        _ => up,
    }
}

fn class(reading: &Reading) -> DoseClass {
    match reading {
        Reading::TooFewRuns => DoseClass::TooFewRuns,
        Reading::Nothing => DoseClass::Nothing,
        Reading::Padded => DoseClass::Padded,
        Reading::PerContact { .. } => DoseClass::PerContact,
        Reading::Unclear => DoseClass::Unclear,
    }
}

fn measure(
    messenger: &str,
    step: &str,
    app: Option<&str>,
    vantage: Option<Vantage>,
    runs: &[Sent<'_>],
) -> Leakage {
    let trials = |bytes: &dyn Fn(&Sent<'_>) -> u64| -> Vec<Trial> {
        runs.iter().map(|r| Trial { contacts: r.contacts, bytes_up: bytes(r) }).collect()
    };
    let all = trials(&|r| r.all);
    let (line, reading) = dose::read(&all, SEED);
    let (_, own) = dose::read(&trials(&|r| r.own), SEED);
    let line = line.unwrap_or(Slope { bytes_per_contact: 0.0, ci95: [0.0; 2], intercept: 0.0, outliers: 0 });
    let mut doses: BTreeMap<u32, u64> = BTreeMap::new();
    for run in runs {
        *doses.entry(run.contacts).or_default() += 1;
    }
    let forms = match &own {
        Reading::PerContact { forms } => forms.iter().map(|form| (*form).to_owned()).collect(),
        _ => Vec::new(),
    };
    Leakage {
        metric: METRIC.into(),
        messenger: Some(messenger.to_owned()),
        scenario: Some(step.to_owned()),
        value: line.bytes_per_contact,
        unit: "bytes/contact".into(),
        ci95: line.ci95,
        n: runs.len() as u64,
        p_value: None,
        seed: SEED,
        evidence: runs.iter().map(Sent::evidence).collect(),
        app: app.map(str::to_owned),
        vantage,
        dose: Some(Dose {
            class: class(&reading),
            own_class: class(&own),
            forms,
            intercept: line.intercept,
            outliers: line.outliers as u64,
            doses: doses.into_iter().map(|(contacts, runs)| DoseRuns { contacts, runs }).collect(),
            control: dose::power(&all, SEED),
        }),
    }
}
