//! The whole way from captures to a report, for `replay` and `study`.
//!
//! Takes paths and settings; runs `dissect` on each capture, several at a time, then `destination` and `claims` over all of
//! them, and gives the finished [`Report`]. Holds no judgement of its own; the result does not depend on threads.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use rayon::prelude::*;

use crate::claims::{self, Catalogue, Criteria};
use crate::controls::{self, Tally};
use crate::destination::{self, ReferenceDb};
use crate::dissect::{CaptureAnalysis, EchConfigs, Options, Secrets, analyse_file};
use crate::leakage;
use crate::model::{
    Control, DataAge, Destination, Flow, Input, PushTraffic, REPORT_SCHEMA, Report, Role, Run, Tool, Vantage,
    Warning, Whereabouts,
};
use crate::noise;
use crate::payload::{CanarySet, Keys, Rules};
use crate::scenario;

/// Captures larger than this are worth more than one thread each.
const SPLIT_BYTES: u64 = 8 << 20;

/// One capture to read.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Where it is; `-` is standard input.
    pub path: PathBuf,
    /// What the report calls it.
    pub name: String,
}

/// What the auditor set for all captures.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Secrets to search for, by name; those of a run description come on top.
    pub canaries: Vec<(String, String)>,
    /// Keys of hashes of those secrets.
    pub keys: Keys,
    /// What searches for them, where it was made already.
    pub search: Option<Arc<CanarySet>>,
    /// What counts as a finding in readable bytes; the built-in rules where nothing is given.
    pub rules: Option<Arc<Rules>>,
    /// Do not mask secrets.
    pub show_secrets: bool,
    /// Secrets of connections, to read what is encrypted with them.
    pub secrets: Arc<Secrets>,
    /// ECH configurations that are known without their DNS answer.
    pub ech: EchConfigs,
    /// More than one thread may be used.
    pub parallel: bool,
    /// Messenger that the captures are of, where no run description says it.
    pub app: Option<String>,
    /// Vantage, where no run description says it.
    pub vantage: Option<Vantage>,
    /// Leave out what no verdict rests on, for outputs that do not show it: a third of the time ([`Options::lean`]).
    pub lean: bool,
    /// Place of the vantage, where no run description says it. Alone it means a router there.
    pub place: Option<Whereabouts>,
}

impl Settings {
    /// The rules that count.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.clone().unwrap_or_else(Rules::embedded)
    }
}

/// A capture that could not be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Unread {
    /// The capture.
    pub name: String,
    /// In words, with the path.
    pub reason: String,
}

/// Analyses all captures, in their order. `done` is told of each one that is finished.
pub fn analyse_all(
    captures: &[Capture],
    settings: &Settings,
    done: &(dyn Fn(&Capture) + Sync),
) -> Vec<Result<CaptureAnalysis, Unread>> {
    // Made once for all captures that plant no canaries of their own.
    let made = || CanarySet::with_keys(&settings.canaries, settings.keys.clone()).ok().map(Arc::new);
    let shared = settings.search.clone().or_else(made);
    let one = |capture: &Capture| {
        let result = analyse_one(capture, settings, shared.as_ref());
        done(capture);
        result
    };
    if settings.parallel && captures.len() > 1 {
        captures.par_iter().map(one).collect()
    } else {
        captures.iter().map(one).collect()
    }
}

fn analyse_one(
    capture: &Capture,
    settings: &Settings,
    shared: Option<&Arc<CanarySet>>,
) -> Result<CaptureAnalysis, Unread> {
    let unread = |reason: String| Unread { name: capture.name.clone(), reason };
    if capture.path.is_dir() {
        let path = &capture.path;
        return Err(unread(format!("{path:?} is a folder; `metaleak study` reads the captures of a folder")));
    }
    let mut run = scenario::run_beside(&capture.path).map_err(|e| unread(e.to_string()))?;
    if settings.app.is_some() || settings.vantage.is_some() || settings.place.is_some() {
        let run = run.get_or_insert_default();
        run.messenger = run.messenger.take().or_else(|| settings.app.clone());
        // Whoever gives a place on the command line gives it for the bound, and means a capture that can have one.
        run.vantage = run.vantage.or(settings.vantage).or(settings.place.as_ref().map(|_| Vantage::Router));
        run.place = run.place.take().or_else(|| settings.place.clone());
    }
    let mut canaries = settings.canaries.clone();
    for (name, value) in run.iter().flat_map(|r| &r.canaries) {
        if !canaries.iter().any(|(n, _)| n == name) {
            canaries.push((name.clone(), value.clone()));
        }
    }
    let canaries = match shared.filter(|_| canaries.len() == settings.canaries.len()) {
        Some(shared) => Arc::clone(shared),
        None => CanarySet::with_keys(&canaries, settings.keys.clone())
            .map(Arc::new)
            .map_err(|e| unread(format!("{:?}: {e}", capture.path)))?,
    };
    let size = std::fs::metadata(&capture.path).map_or(u64::MAX, |m| m.len());
    let options = Options {
        observe: false,
        canaries,
        rules: settings.rules(),
        show_secrets: settings.show_secrets,
        secrets: Arc::clone(&settings.secrets),
        ech: settings.ech.clone(),
        steps: Arc::new(run.as_ref().map(scenario::step_times).unwrap_or_default()),
        parallel: settings.parallel && size > SPLIT_BYTES,
        lean: settings.lean,
    };
    let mut analysis = analyse_file(&capture.path, &capture.name, &options, &mut |_| {})
        .map_err(|e| unread(e.to_string()))?;
    analysis.input.run = run;
    analysis.input.path = Some(capture.path.to_string_lossy().into_owned());
    Ok(analysis)
}

/// Plants `number` controls into a copy of each capture, which goes the same way as the capture; gives what was found, by the
/// capture's name. A capture that cannot be read twice (a pipe) has none.
pub fn plant(
    captures: &[Capture],
    analyses: &[CaptureAnalysis],
    number: u32,
    settings: &Settings,
    db: &ReferenceDb,
) -> BTreeMap<String, Tally> {
    let one = |analysis: &CaptureAnalysis| {
        let capture = captures.iter().find(|c| c.name == analysis.input.file && c.path != Path::new("-"))?;
        let of_input =
            |input: Input, flows: Vec<Flow>| Report { inputs: vec![input], flows, ..Report::default() };
        let mut before = of_input(analysis.input.clone(), analysis.flows.clone());
        before.destinations = ends(&mut before, db);
        let far = controls::Ends::choose(&before, db, number, controls::seed(analysis));
        let acts = controls::Acts::choose(&before, db, number, controls::seed(analysis));
        let run = analysis.input.run.clone();
        let setup = controls::Setup {
            rules: settings.rules(),
            ends: far.all().to_vec(),
            acts: acts.all().to_vec(),
            steps: Arc::new(run.as_ref().map(scenario::step_times).unwrap_or_default()),
            parallel: settings.parallel,
        };
        let (mut tally, read) = controls::run(&capture.path, analysis, number, &setup).ok()?;
        let mut after = of_input(Input { run, ..read.input }, read.flows);
        let destinations = ends(&mut after, db);
        far.count(&destinations, &mut tally);
        let known = known_of(&destinations);
        let calls = leakage::calls(&after.flows, &|address| known.get(&address).copied());
        acts.count(&before, &after, &calls, &claims::step_of, &mut tally);
        Some((capture.name.clone(), tally))
    };
    analyses.iter().filter_map(one).collect()
}

/// The controls of each claim that rests on canaries in clear (`K1`) or behind the auditor's keys (`K2`), on places (`K3`), on that there
/// are no trackers (`K6`) or no direct calls (`K7`), or on rest (`K8`): those of all captures with its messenger. One that rests on what rules find has those of these rules as
/// well. A claim on an upload that does not grow (`K4`) has the control of the measure with the least power.
fn controls_of(
    catalogue: &Catalogue,
    report: &Report,
    planted: &BTreeMap<String, Tally>,
) -> BTreeMap<String, Vec<Control>> {
    let mut by_claim: BTreeMap<String, Vec<Control>> = BTreeMap::new();
    // Without controls no flow has to be looked at.
    let rests_on_them =
        |claim: &&claims::Claim| controls::PLANTED.contains(&claim.control.as_str()) && !planted.is_empty();
    for claim in catalogue.claims().iter().filter(rests_on_them) {
        let of_messenger = report.flows.iter().filter(|f| f.messenger.as_deref() == Some(&claim.messenger));
        let mut captures: BTreeSet<&str> = of_messenger.map(|f| f.capture.as_str()).collect();
        if matches!(claim.control.as_str(), "K6" | "K7") {
            // Only the run says whose a tracker is, and that there was a call: what nobody exercised speaks for nothing, unless nobody exercised
            // any. Without a call nothing rests on how calls are read.
            let exercised = |capture: &&str| {
                run_of(report, capture).is_some_and(|run| {
                    run.messenger.as_deref() == Some(claim.messenger.as_str())
                        && run.steps.iter().any(|step| claim.steps.contains(step))
                })
            };
            let those: BTreeSet<&str> = captures.iter().copied().filter(exercised).collect();
            if !those.is_empty() || claim.control == "K7" {
                captures = those;
            }
        }
        let mut sum = Tally::default();
        captures.iter().filter_map(|c| planted.get(*c)).for_each(|tally| sum.add(tally));
        let first = match claim.control.as_str() {
            "K1" => sum.control(),
            "K2" => sum.decryption(),
            "K3" => sum.destinations_of(&claim.messenger),
            "K7" => sum.calls_of(&claim.messenger),
            "K8" => sum.rest_of(&claim.messenger, &|rest| {
                claim.steps.contains(&rest.step) && claim.is_fitted_by(rest)
            }),
            _ => sum.trackers_of(&claim.messenger),
        };
        let rules = (claim.control == "K1").then(|| sum.of_rules(&|finding| claim.counts(finding)));
        let all: Vec<Control> = first.into_iter().chain(rules.flatten()).collect();
        if !all.is_empty() {
            by_claim.insert(claim.id.clone(), all);
        }
    }
    for claim in catalogue.claims().iter().filter(|c| c.control == "K4") {
        let of_claim = report.leakage.iter().filter(|measure| {
            measure.messenger.as_deref() == Some(claim.messenger.as_str())
                && measure.scenario.as_ref().is_some_and(|step| claim.steps.contains(step))
        });
        let controls = of_claim.filter_map(|measure| measure.dose.as_ref()?.control.clone());
        let least = controls.min_by(|a, b| a.power.total_cmp(&b.power));
        by_claim.extend(least.map(|control| (claim.id.clone(), vec![control])));
    }
    by_claim
}

/// Says whose the flows of a report are, and where they end.
fn ends(report: &mut Report, db: &ReferenceDb) -> Vec<Destination> {
    destination::attribute(&mut report.flows, db);
    let vantage = |capture: &str| run_of(report, capture).and_then(|r| r.vantage);
    let mut destinations = destination::destinations(&report.flows, db, &vantage);
    if attribute_runs(report, &destinations) {
        let vantage = |capture: &str| run_of(report, capture).and_then(|r| r.vantage);
        destinations = destination::destinations(&report.flows, db, &vantage);
    }
    report.noise = noise::compare(&report.inputs, &mut report.flows);
    noise::mark(&mut destinations, &report.flows);
    destination::bound(&mut destinations, &report.flows, &|capture| run_of(report, capture).cloned());
    destinations
}

/// Judges what was read; `planted` are the controls of each capture, `criteria` what messengers are compared by.
pub fn report(
    analyses: Vec<CaptureAnalysis>,
    db: &ReferenceDb,
    catalogue: &Catalogue,
    planted: &BTreeMap<String, Tally>,
    criteria: &Criteria,
) -> Report {
    let mut report = Report {
        schema: REPORT_SCHEMA.into(),
        tool: Tool::this(),
        // The map is drawn with the outlines, and countries are struck out by them.
        reference: db.sources().into_iter().chain([destination::Outlines::source()]).collect(),
        catalogue: catalogue.files().to_vec(),
        criteria: criteria.files().to_vec(),
        ..Report::default()
    };
    let mut first_actions: BTreeMap<String, destination::FirstAction> = BTreeMap::new();
    for analysis in analyses {
        first_actions.insert(analysis.input.file.clone(), first_action(&analysis));
        report.inputs.push(analysis.input);
        report.coverage.push(analysis.coverage);
        append(&mut report.flows, analysis.flows);
        append(&mut report.findings, analysis.findings);
        report.rules.extend(analysis.rules);
        for source in analysis.sources {
            if !report.reference.contains(&source) {
                report.reference.push(source);
            }
        }
        append(&mut report.warnings, analysis.warnings);
    }
    report.rules.sort_by(|a, b| a.id.cmp(&b.id));
    report.rules.dedup();
    let destinations = ends(&mut report, db);
    let first_action =
        |capture: &str| first_actions.get(capture).copied().unwrap_or(destination::FirstAction::NoMarks);
    let known = known_of(&destinations);
    let flows = &report.flows;
    (report.exposure, report.calls) = rayon::join(
        || destination::exposure(flows, &destinations, db, &first_action),
        || leakage::calls(flows, &|address| known.get(&address).copied()),
    );
    report.destinations = destinations;
    report.leakage = leakage::uploads(&report.inputs, &report.flows);
    let (ages, push) = rayon::join(|| ages(&report, db), || push_traffic(&report));
    report.warnings.extend(ages);
    report.push = push;
    name_findings(&mut report);
    // What every messenger has to keep is asked of one that nobody wrote a file for, too.
    let named: Vec<String> = report
        .inputs
        .iter()
        .filter_map(|i| i.run.as_ref()?.messenger.clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let catalogue = &catalogue.with_messengers(named.iter().map(String::as_str));
    let controls = controls_of(catalogue, &report, planted);
    report.claims = claims::judge_with_controls(catalogue, &report, &controls);
    report.comparison = criteria.compare(catalogue, &report.claims);
    report
}

/// Adds all of `more`; the first list is taken as it is, because flows are many and large.
fn append<T>(all: &mut Vec<T>, more: Vec<T>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.extend(more);
    }
}

/// The first flow that begins with or after the user's first action tells which flows began before.
fn first_action(analysis: &CaptureAnalysis) -> destination::FirstAction {
    let Some(run) = analysis.input.run.as_ref().filter(|run| !run.marks.is_empty()) else {
        return destination::FirstAction::NoMarks;
    };
    let Some(time) = scenario::first_action(run) else { return destination::FirstAction::NoAction };
    let flows = analysis.flows.iter().zip(&analysis.flow_times);
    let after = flows.filter(|(_, began)| began.0 >= time).map(|(flow, _)| flow.first_frame);
    destination::FirstAction::Frame(after.min().unwrap_or(u64::MAX))
}

/// Captures whose time is far from the date of the data that their addresses were judged with: networks change hands, so
/// places and operators may be those of an earlier or a later holder. Compares dates of captures and data; reads no clock.
fn ages(report: &Report, db: &ReferenceDb) -> Vec<Warning> {
    use jiff::civil::Date;
    // Which sources spoke on the addresses of each capture.
    let mut used: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for destination in &report.destinations {
        let named = [
            destination.operator.as_ref().map(|operator| operator.source.as_str()),
            destination.cloud.as_ref().map(|cloud| cloud.source.as_str()),
        ];
        let named = named.into_iter().flatten().filter_map(|name| Some((db.source_date(name)?, name)));
        let sources: Vec<(&str, &str)> =
            destination.places.iter().map(|p| (p.as_of.as_str(), p.source.as_str())).chain(named).collect();
        let captures = destination.flows.iter().filter_map(|flow| Some(flow.rsplit_once('#')?.0));
        for capture in captures.collect::<BTreeSet<&str>>() {
            used.entry(capture).or_default().extend(&sources);
        }
    }
    let of_input = |input: &Input| {
        let day = input.last_time.as_deref()?.get(..10)?.parse::<Date>().ok()?;
        let dated: Vec<(Date, &str)> = used
            .get(input.file.as_str())?
            .iter()
            .filter_map(|(as_of, name)| Some((as_of.parse().ok()?, *name)))
            .collect();
        let (oldest, oldest_name) = *dated.first()?;
        let (newest, _) = *dated.last()?;
        // Data that is older than the capture wears out sooner: its networks were not yet known.
        let old: Vec<&str> = dated
            .iter()
            .filter(|(date, _)| destination::outdated(*date, day))
            .map(|(_, name)| *name)
            .collect();
        let later = dated.iter().any(|(date, _)| date.year() - day.year() > 1);
        let older = format!("more than 12 months older than the capture: {}", old.join(", "));
        let what = match (later, old.is_empty()) {
            (true, true) => "networks may have changed hands since".to_owned(),
            (true, false) => format!("networks may have changed hands since; {older}"),
            (false, false) => older,
            (false, true) => return None,
        };
        Some(Warning {
            capture: input.file.clone(),
            frame: None,
            offset: 0,
            what: format!(
                "addresses of {} judged with data of {} (newest source used {newest}, oldest {oldest_name} of {oldest}): {what}",
                day.year(),
                newest.year()
            ),
            data_age: Some(DataAge {
                capture_year: day.year(),
                data_year: newest.year(),
                newest: newest.to_string(),
                oldest: oldest.to_string(),
                oldest_source: oldest_name.to_owned(),
                later,
                outdated: old.into_iter().map(str::to_owned).collect(),
            }),
        })
    };
    report.inputs.iter().filter_map(of_input).collect()
}

fn run_of<'r>(report: &'r Report, capture: &str) -> Option<&'r Run> {
    report.inputs.iter().find(|i| i.file == capture).and_then(|i| i.run.as_ref())
}

/// Flows of a capture whose run names the messenger are that messenger's, unless they go to a service of the platform
/// or network; `true` when any flow was attributed. Those that ask for a name of the server that was chosen are so by that name. What a
/// control run without the app shows is nobody's.
fn attribute_runs(report: &mut Report, destinations: &[crate::model::Destination]) -> bool {
    let messengers: BTreeMap<&str, (&str, Option<&str>)> = report
        .inputs
        .iter()
        .filter_map(|i| {
            let run = i.run.as_ref().filter(|run| run.control() != Some("without-app"))?;
            Some((i.file.as_str(), (run.messenger.as_deref()?, run.service.as_deref())))
        })
        .collect();
    if messengers.is_empty() {
        return false;
    }
    let service: BTreeSet<&str> = destinations
        .iter()
        .filter(|d| matches!(d.role, Role::Resolver | Role::Time | Role::Platform | Role::Push))
        .map(|d| d.address.as_str())
        .collect();
    let mut any = false;
    for flow in &mut report.flows {
        let Some((messenger, chosen)) = messengers.get(flow.capture.as_str()) else { continue };
        if flow.messenger.is_none() && !is_network_service(flow, &service) {
            flow.messenger = Some((*messenger).to_owned());
            let asked = chosen.and_then(|chosen| destination::asked_of(flow, chosen));
            flow.messenger_why = Some(asked.map_or_else(|| "run".into(), |name| format!("service:{name}")));
            any = true;
        }
    }
    any
}

fn is_network_service(flow: &Flow, service: &BTreeSet<&str>) -> bool {
    let transport = matches!(flow.transport.as_str(), "tcp" | "udp");
    let server = flow.server_address();
    !transport
        || flow.app_protocols.iter().any(|p| p == "dns")
        || server.is_some_and(|a| a.is_multicast() || service.contains(a.to_string().as_str()))
}

/// The sums of flows with ends whose role is push, by capture.
fn push_traffic(report: &Report) -> Vec<PushTraffic> {
    let push = report.destinations.iter().filter(|d| d.role == Role::Push).flat_map(|d| &d.flows);
    let push: HashSet<(&str, u64)> = push
        .filter_map(|flow| flow.rsplit_once('#'))
        .filter_map(|(capture, number)| Some((capture, number.parse().ok()?)))
        .collect();
    let mut sums: Vec<PushTraffic> = Vec::new();
    if push.is_empty() {
        return sums;
    }
    // Flows stand by capture.
    for flow in report.flows.iter().filter(|f| push.contains(&(f.capture.as_str(), f.flow))) {
        if sums.last().is_none_or(|last| last.capture != flow.capture) {
            let messenger = run_of(report, &flow.capture).and_then(|run| run.messenger.clone());
            sums.push(PushTraffic { capture: flow.capture.clone(), messenger, ..PushTraffic::default() });
        }
        let Some(sum) = sums.last_mut() else { continue };
        // A flow whose start was not captured may have the device at the server's side.
        let towards = flow.server_address().is_some_and(|a| destination::special(a).is_none());
        let (up, down) =
            if towards { (flow.bytes_up, flow.bytes_down) } else { (flow.bytes_down, flow.bytes_up) };
        sum.bytes_up = sum.bytes_up.saturating_add(up);
        sum.bytes_down = sum.bytes_down.saturating_add(down);
        sum.flows.push(flow.flow);
    }
    sums
}

/// What calls know of the ends, by their addresses.
fn known_of(destinations: &[Destination]) -> BTreeMap<IpAddr, leakage::Known> {
    destinations.iter().filter_map(|d| Some((d.address.parse().ok()?, known_of_calls(d)?))).collect()
}

/// What a destination is in calls. A name that was asked for or that a hello had is one of a service, as are the messenger's networks;
/// a rented machine without a name may be anybody's.
fn known_of_calls(destination: &Destination) -> Option<leakage::Known> {
    let named = destination
        .named_by
        .iter()
        .any(|n| n.sources.iter().any(|s| matches!(s.as_str(), "dns" | "dns-hint" | "sni")));
    match destination.role {
        Role::Relay => Some(leakage::Known::Relay),
        Role::Peer => None,
        Role::FirstParty => Some(leakage::Known::Server),
        _ => named.then_some(leakage::Known::Server),
    }
}

/// Numbers the findings and gives them their flow's messenger.
fn name_findings(report: &mut Report) {
    let messengers: HashMap<(&str, u64), &str> = report
        .flows
        .iter()
        .filter_map(|f| Some(((f.capture.as_str(), f.flow), f.messenger.as_deref()?)))
        .collect();
    report.findings.par_iter_mut().enumerate().for_each(|(place, finding)| {
        finding.id = format!("f{}", place + 1);
        finding.messenger =
            messengers.get(&(finding.capture.as_str(), finding.flow)).map(|m| (*m).to_owned());
    });
}

/// The captures of a folder.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Files, by name.
    pub captures: Vec<PathBuf>,
    /// Subfolders that could not be read, and why.
    pub unread: Vec<(PathBuf, String)>,
}

/// All captures of a folder and its subfolders: what ends in `.pcap`, `.pcapng` or `.cap`, also with `.gz` or `.zst`.
///
/// # Errors
/// When the folder itself cannot be read.
pub fn captures_in(folder: &Path) -> std::io::Result<Found> {
    let mut found = Found::default();
    let mut open = vec![(folder.to_owned(), 0)];
    let mut first = true;
    while let Some((dir, depth)) = open.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if first => return Err(e),
            Err(e) => {
                found.unread.push((dir, e.to_string()));
                continue;
            }
        };
        first = false;
        for entry in entries.flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            // A name in another character set is a name all the same.
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            // Links to folders are not followed: no loops, nothing twice.
            if kind.is_ok_and(|k| k.is_dir()) {
                if depth < 8 {
                    open.push((path, depth + 1));
                }
            } else if is_capture(&name) {
                found.captures.push(path);
            }
        }
    }
    found.captures.sort();
    found.unread.sort();
    Ok(found)
}

fn is_capture(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
    [".pcap", ".pcapng", ".cap"].iter().any(|end| plain.len() > end.len() && plain.ends_with(end))
}
