//! Noise of the device: what of a run is there without the app as well, and what remains.
//!
//! Takes the runs of a report and its flows; sets [`Flow::also_seen`] and gives a [`Noise`] for each run that something was compared with.
//! One rule: **a flow is the device's as well when a control run of the same device has the same end**. Ends are the same when transport and
//! port are, and a name is: what the flow itself asks for (SNI, Host, the domain of XMPP), else what DNS answers call the address. Where one
//! of two flows has no name, the address decides. A recorder on the device that wrote down who sent a flow outranks this.
//!
//! Drops nothing: what is noise is marked. Which verdicts that touches is `claims`' to say.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use crate::destination::{asks_for, remote};
use crate::model::{
    AlsoSeen, Destination, Execution, Flow, FlowName, Input, Noise, NoiseControl, NoiseEnd, NoiseSum, Run,
};

/// Ends of a run that are listed; the sums have all.
const MAX_ENDS: usize = 200;
/// The first number of an app of its own; lower ones are of the system (Android's `AID_APP_START`).
const FIRST_APP: i32 = 10_000;
/// Numbers under which the system asks on behalf of apps, so that they tell nothing: root, its media server, its resolver.
const ON_BEHALF: [i32; 3] = [0, 1013, 1051];
/// Each user of an Android device has so many numbers.
const PER_USER: i32 = 100_000;

/// A control run, and what of the device it shows.
struct Control<'r> {
    input: &'r Input,
    run: &'r Run,
    without_app: bool,
    ends: Ends<'r>,
}

/// The ends of a run.
#[derive(Default)]
struct Ends<'r> {
    named: HashSet<(&'r str, u16, &'r str)>,
    /// Of flows without a name.
    nameless: HashSet<(&'r str, u16, IpAddr)>,
    /// Of all flows.
    all: HashSet<(&'r str, u16, IpAddr)>,
}

/// Where a flow goes.
struct End<'f> {
    transport: &'f str,
    port: u16,
    address: IpAddr,
    names: BTreeSet<&'f str>,
}

impl<'f> End<'f> {
    fn of(flow: &'f Flow) -> Option<End<'f>> {
        let address = remote(flow)?;
        // A port of a client is made up for the connection.
        let port = if flow.server_address() == Some(address) { flow.server_port().unwrap_or(0) } else { 0 };
        Some(End { transport: &flow.transport, port, address, names: names(&flow.names) })
    }

    /// Its name or address, as it is shown.
    fn shown(&self) -> String {
        self.names.first().map_or_else(|| self.address.to_string(), |name| (*name).to_owned())
    }
}

/// What the flow itself asks for; where it asks for nothing, what DNS answers call its address.
fn names(all: &[FlowName]) -> BTreeSet<&str> {
    let of = |wanted: fn(&str) -> bool| -> BTreeSet<&str> {
        all.iter().filter(|name| wanted(&name.source)).map(|name| name.name.as_str()).collect()
    };
    let own = of(asks_for);
    if own.is_empty() { of(|source| matches!(source, "dns" | "dns-hint")) } else { own }
}

impl<'r> Ends<'r> {
    fn add(&mut self, flow: &'r Flow) {
        let Some(end) = End::of(flow) else { return };
        self.all.insert((end.transport, end.port, end.address));
        if end.names.is_empty() {
            self.nameless.insert((end.transport, end.port, end.address));
        }
        self.named.extend(end.names.iter().map(|name| (end.transport, end.port, *name)));
    }

    fn have(&self, end: &End<'_>) -> bool {
        let address = (end.transport, end.port, end.address);
        if end.names.is_empty() {
            return self.all.contains(&address);
        }
        self.nameless.contains(&address)
            || end.names.iter().any(|name| self.named.contains(&(end.transport, end.port, *name)))
    }
}

/// Whether two runs were made on one device and looked at from one place. Where nobody noted the device, only the trials of one run of one
/// scenario count as such.
fn comparable(run: &Run, control: &Run) -> bool {
    if run.vantage != control.vantage {
        return false;
    }
    match (&run.device, &control.device) {
        (Some(a), Some(b)) => a == b,
        (None, None) => {
            let trials = run.execution.as_ref().zip(control.execution.as_ref());
            trials.is_some_and(|(a, b)| a.scenario_sha256 == b.scenario_sha256 && a.seed == b.seed)
        }
        _ => false,
    }
}

/// Seconds that a run lasted: by its marks, else by its frames.
fn seconds(input: &Input, run: &Run) -> u64 {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let span = |start: &str, end: &str| {
        let nanos = time(end)?.as_nanosecond() - time(start)?.as_nanosecond();
        u64::try_from(nanos / 1_000_000_000).ok()
    };
    let start = run.marks.first().map(|mark| mark.start.as_str());
    let end = run.marks.iter().filter_map(|mark| mark.end.as_deref()).next_back();
    let marked = start.zip(end).and_then(|(start, end)| span(start, end));
    let seen = || span(input.first_time.as_deref()?, input.last_time.as_deref()?);
    marked.or_else(seen).unwrap_or_default()
}

/// Whether another app sent a flow; `None` where nobody wrote down who did, or which number the run's app has.
fn other_app(flow: &Flow, run: &Run) -> Option<bool> {
    let app = flow.app.as_ref()?;
    let number = app.uid % PER_USER;
    if app.uid < 0 || ON_BEHALF.contains(&number) {
        return None;
    }
    match run.app_uid {
        Some(uid) => Some(uid != app.uid),
        // Names of apps are not unique, but the system's are not apps.
        None if number < FIRST_APP => Some(true),
        None => {
            let (run, name) = (run.app.as_ref()?.to_lowercase(), app.name.to_lowercase());
            let rest = run.strip_prefix(&name).filter(|_| !name.is_empty());
            Some(rest.is_none_or(|rest| rest.starts_with(char::is_alphanumeric)))
        }
    }
}

/// Compares each run of a messenger with the control runs of its device.
pub fn compare(inputs: &[Input], flows: &mut [Flow]) -> Vec<Noise> {
    let seen = also_seen(inputs, flows);
    for (flow, seen) in flows.iter_mut().zip(seen) {
        flow.also_seen = seen;
    }
    let controls: Vec<(&Input, &Run, &str)> = controls(inputs).collect();
    let mut of_capture: BTreeMap<&str, Vec<&Flow>> = BTreeMap::new();
    for flow in flows.iter().filter(|flow| flow.also_seen.is_some()) {
        of_capture.entry(&flow.capture).or_default().push(flow);
    }
    let mut all: BTreeMap<&str, Vec<&Flow>> = BTreeMap::new();
    for flow in flows.iter().filter(|flow| of_capture.contains_key(flow.capture.as_str())) {
        all.entry(&flow.capture).or_default().push(flow);
    }
    inputs
        .iter()
        .filter_map(|input| {
            let run = input.run.as_ref()?;
            let flows = all.get(input.file.as_str())?;
            let beside = controls.iter().filter(|(_, control, kind)| {
                comparable(run, control) && (*kind == "without-app" || run.control().is_none())
            });
            let beside = beside.map(|(input, run, kind)| NoiseControl {
                capture: input.file.clone(),
                control: (*kind).to_owned(),
                seconds: seconds(input, run),
            });
            Some(summary(input, run, flows, beside.collect()))
        })
        .collect()
}

/// The control runs that were done to their end.
fn controls(inputs: &[Input]) -> impl Iterator<Item = (&Input, &Run, &str)> {
    inputs.iter().filter_map(|input| {
        let run = input.run.as_ref()?;
        // Of a run that ended before its time nobody knows how much of the control is there; what was recorded by hand says nothing of it.
        let complete = |execution: &Execution| execution.ended.as_deref() == Some("complete");
        let whole = run.execution.as_ref().is_none_or(complete) && !input.truncated;
        Some((input, run, run.control().filter(|_| whole)?))
    })
}

/// What is said of each flow, in their order.
fn also_seen(inputs: &[Input], flows: &[Flow]) -> Vec<Option<AlsoSeen>> {
    let mut known: Vec<Control<'_>> = controls(inputs)
        .map(|(input, run, kind)| Control {
            input,
            run,
            without_app: kind == "without-app",
            ends: Ends::default(),
        })
        .collect();
    let runs: HashMap<&str, &Run> =
        inputs.iter().filter_map(|i| Some((i.file.as_str(), i.run.as_ref()?))).collect();
    for control in &mut known {
        let own = |flow: &&Flow| flow.capture == control.input.file;
        flows.iter().filter(own).for_each(|flow| control.ends.add(flow));
    }
    let one = |flow: &Flow| {
        let run = *runs.get(flow.capture.as_str())?;
        if run.messenger.is_none() || run.control() == Some("without-app") {
            return None;
        }
        let mut seen = AlsoSeen { other_app: other_app(flow, run), ..AlsoSeen::default() };
        if let Some(end) = End::of(flow) {
            // A run with the app left alone is one of the app as well: beside one without it.
            let tells = |control: &&Control<'_>| {
                comparable(run, control.run) && (control.without_app || run.control().is_none())
            };
            for control in known.iter().filter(tells) {
                let slot = if control.without_app { &mut seen.without_app } else { &mut seen.when_idle };
                *slot = Some(slot.unwrap_or(false) || control.ends.have(&end));
            }
        }
        (!seen.is_unknown()).then_some(seen)
    };
    flows.iter().map(one).collect()
}

/// Adds a flow to a sum; `ends` has the ends that the sum counted.
fn add<'f>(sum: &mut NoiseSum, ends: &mut HashSet<(&'f str, u16, IpAddr)>, flow: &'f Flow) {
    sum.flows += 1;
    sum.bytes_up = sum.bytes_up.saturating_add(flow.bytes_up);
    sum.bytes_down = sum.bytes_down.saturating_add(flow.bytes_down);
    if let Some(end) = End::of(flow) {
        sum.ends += u64::from(ends.insert((end.transport, end.port, end.address)));
    }
}

fn sum<'f>(flows: &[&'f Flow], counts: impl Fn(&Flow) -> bool) -> NoiseSum {
    let (mut total, mut ends) = (NoiseSum::default(), HashSet::new());
    flows.iter().filter(|flow| counts(flow)).for_each(|flow: &&'f Flow| add(&mut total, &mut ends, flow));
    total
}

fn summary(input: &Input, run: &Run, flows: &[&Flow], controls: Vec<NoiseControl>) -> Noise {
    let seen = |flow: &Flow| flow.also_seen.unwrap_or_default();
    let told = flows.iter().any(|flow| seen(flow).without_app.is_some() || seen(flow).other_app.is_some());
    let noise = |flow: &Flow| seen(flow).is_noise();
    let idle = flows.iter().any(|flow| seen(flow).when_idle.is_some());
    let kept = |flow: &Flow| noise(flow) && flow.messenger.is_some() && !flow.is_noise();
    let mut ends: BTreeMap<(String, &str, u16), NoiseEnd> = BTreeMap::new();
    for flow in flows {
        let seen = seen(flow);
        if !noise(flow) && seen.when_idle != Some(true) {
            continue;
        }
        let Some(end) = End::of(flow) else { continue };
        let entry = ends.entry((end.shown(), end.transport, end.port)).or_insert_with(|| NoiseEnd {
            end: end.shown(),
            transport: end.transport.to_owned(),
            port: end.port,
            also_seen: seen,
            first_frame: flow.first_frame,
            ..NoiseEnd::default()
        });
        entry.also_seen = joined(entry.also_seen, seen);
        entry.kept |= kept(flow);
        entry.flows += 1;
        entry.bytes_up = entry.bytes_up.saturating_add(flow.bytes_up);
        entry.bytes_down = entry.bytes_down.saturating_add(flow.bytes_down);
    }
    let mut ends: Vec<NoiseEnd> = ends.into_values().collect();
    ends.sort_by_key(|end| std::cmp::Reverse(end.bytes_up.saturating_add(end.bytes_down)));
    ends.truncate(MAX_ENDS);
    Noise {
        capture: input.file.clone(),
        messenger: run.messenger.clone().unwrap_or_default(),
        controls,
        whole: sum(flows, |_| true),
        noise: told.then(|| sum(flows, noise)),
        remains: told.then(|| sum(flows, |flow| !noise(flow) || kept(flow))),
        kept: told.then(|| sum(flows, kept)),
        when_idle: idle.then(|| sum(flows, |flow| seen(flow).when_idle == Some(true))),
        ends,
    }
}

/// What holds of two flows to one end: seen elsewhere only where both are.
fn joined(a: AlsoSeen, b: AlsoSeen) -> AlsoSeen {
    let both = |a: Option<bool>, b: Option<bool>| match (a, b) {
        (Some(a), Some(b)) => Some(a && b),
        (one, other) => one.or(other),
    };
    AlsoSeen {
        without_app: both(a.without_app, b.without_app),
        when_idle: both(a.when_idle, b.when_idle),
        other_app: both(a.other_app, b.other_app),
    }
}

/// Says of each destination what its flows say.
pub fn mark(destinations: &mut [Destination], flows: &[Flow]) {
    let compared: HashMap<(&str, u64), AlsoSeen> =
        flows.iter().filter_map(|f| Some(((f.capture.as_str(), f.flow), f.also_seen?))).collect();
    if compared.is_empty() {
        return;
    }
    for destination in destinations {
        let handles = destination.flows.iter().filter_map(|handle| handle.rsplit_once('#'));
        let seen =
            handles.filter_map(|(capture, number)| compared.get(&(capture, number.parse().ok()?)).copied());
        destination.also_seen = seen.reduce(joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(capture: &str, number: u64, server: &str, names: &[(&str, &str)]) -> Flow {
        Flow {
            capture: capture.into(),
            flow: number,
            transport: "tcp".into(),
            client: "10.0.0.2:40000".into(),
            server: server.into(),
            names: names
                .iter()
                .map(|(name, source)| FlowName {
                    name: (*name).into(),
                    source: (*source).into(),
                    frame: number,
                    expired: false,
                })
                .collect(),
            messenger: Some("signal".into()),
            messenger_why: Some("run".into()),
            bytes_up: 10,
            bytes_down: 1,
            first_frame: number,
            ..Flow::default()
        }
    }

    fn input(file: &str, device: &str, control: Option<&str>) -> Input {
        let run = Run {
            messenger: Some("signal".into()),
            device: Some(device.into()),
            control: control.map(str::to_owned),
            app: Some("Signal 7.1".into()),
            ..Run::default()
        };
        Input { file: file.into(), frames: 1, run: Some(run), ..Input::default() }
    }

    #[test]
    fn ends_are_the_same_by_name_then_by_address_with_port_and_transport() {
        let mut control =
            flow("idle", 1, "192.0.2.1:443", &[("time.example", "sni"), ("shared.example", "dns")]);
        let nameless = flow("idle", 2, "192.0.2.9:5228", &[]);
        control.transport = "tcp".into();
        let mut ends = Ends::default();
        ends.add(&control);
        ends.add(&nameless);
        let have = |server: &str, names: &[(&str, &str)]| {
            let flow = flow("run", 1, server, names);
            ends.have(&End::of(&flow).unwrap())
        };
        assert!(have("192.0.2.1:443", &[("time.example", "sni")]));
        assert!(have("198.51.100.7:443", &[("time.example", "sni")]), "another address of the same name");
        assert!(!have("192.0.2.1:8443", &[("time.example", "sni")]), "another port");
        assert!(!have("192.0.2.1:443", &[("chat.example", "sni")]), "another name at the same address");
        assert!(
            !have("192.0.2.1:443", &[("chat.example", "sni"), ("time.example", "dns")]),
            "what the flow asks for outranks what DNS calls the address"
        );
        assert!(have("192.0.2.1:443", &[("time.example", "dns")]), "where it asks for nothing, DNS names it");
        assert!(have("192.0.2.1:443", &[]), "no name: the address");
        assert!(
            have("192.0.2.9:5228", &[("push.example", "sni")]),
            "no name in the control run: the address"
        );
        assert!(!have("192.0.2.9:443", &[]));
        let mut udp = flow("run", 1, "192.0.2.1:443", &[("time.example", "sni")]);
        udp.transport = "udp".into();
        assert!(!ends.have(&End::of(&udp).unwrap()), "another transport");
    }

    #[test]
    fn only_control_runs_of_the_same_device_and_vantage_that_are_whole_count() {
        let compared = |change: &dyn Fn(&mut Input)| {
            let mut idle = input("idle", "phone", Some("without-app"));
            change(&mut idle);
            let inputs = [input("run", "phone", None), idle];
            let mut flows = [
                flow("run", 1, "192.0.2.1:443", &[]),
                flow("run", 2, "192.0.2.2:443", &[]),
                flow("idle", 1, "192.0.2.1:443", &[]),
            ];
            let noise = compare(&inputs, &mut flows);
            assert_eq!(flows[2].also_seen, None, "a control run is compared with nothing");
            (noise.len(), flows[0].is_noise(), flows[1].also_seen.map(|seen| seen.remains()))
        };
        let run = |input: &mut Input| input.run.clone().unwrap_or_default();
        assert_eq!(compared(&|_| {}), (1, true, Some(true)));
        let none = (0, false, None);
        assert_eq!(compared(&|i| i.run = Some(Run { device: Some("tablet".into()), ..run(i) })), none);
        assert_eq!(compared(&|i| i.run = Some(Run { device: None, ..run(i) })), none);
        let vpn = Some(crate::model::Vantage::Vpn);
        assert_eq!(compared(&|i| i.run = Some(Run { vantage: vpn, ..run(i) })), none);
        assert_eq!(compared(&|i| i.truncated = true), none);
        let failed = crate::model::Execution { ended: Some("failed".into()), ..Default::default() };
        assert_eq!(compared(&|i| i.run = Some(Run { execution: Some(failed.clone()), ..run(i) })), none);
        // With the app left alone what is there may be the app's: it is marked, and stays judged.
        let idle = |i: &mut Input| i.run = Some(Run { control: Some("idle-device".into()), ..run(i) });
        assert_eq!(compared(&idle), (1, false, Some(false)));
    }

    #[test]
    fn sums_have_the_whole_the_noise_and_what_remains_of_it() {
        let inputs = [input("run", "phone", None), input("idle", "phone", Some("without-app"))];
        let mut flows = [
            flow("run", 1, "192.0.2.1:443", &[("time.example", "sni")]),
            flow("run", 2, "192.0.2.1:443", &[("time.example", "sni")]),
            flow("run", 3, "192.0.2.2:443", &[("chat.example", "sni")]),
            flow("run", 4, "192.0.2.3:443", &[("both.example", "sni")]),
            flow("idle", 1, "192.0.2.1:443", &[("time.example", "sni")]),
            flow("idle", 2, "192.0.2.3:443", &[("both.example", "sni")]),
        ];
        flows[3].messenger_why = Some("signature:signal.x".into());
        let noise = compare(&inputs, &mut flows).pop().unwrap();
        let sum = |flows, ends| NoiseSum { flows, ends, bytes_up: flows * 10, bytes_down: flows };
        assert_eq!(noise.whole, sum(4, 3));
        assert_eq!(noise.noise, Some(sum(3, 2)));
        assert_eq!(noise.kept, Some(sum(1, 1)), "a signature outranks the control run");
        assert_eq!(noise.remains, Some(sum(2, 2)));
        assert_eq!(noise.when_idle, None);
        let ends: Vec<(&str, u64, bool)> =
            noise.ends.iter().map(|end| (end.end.as_str(), end.flows, end.kept)).collect();
        assert_eq!(ends, [("time.example", 2, false), ("both.example", 1, true)], "nothing is dropped");
    }

    #[test]
    fn what_the_recorder_wrote_down_outranks_control_runs() {
        let inputs = [input("run", "phone", None), input("idle", "phone", Some("without-app"))];
        let of = |uid, name: &str| Some(crate::model::FlowApp { uid, name: name.into() });
        let judged = |app, uid: Option<i32>| {
            let mut inputs = inputs.clone();
            if let Some(run) = &mut inputs[0].run {
                run.app_uid = uid;
            }
            let mut flows = [flow("run", 1, "192.0.2.1:443", &[]), flow("idle", 1, "192.0.2.1:443", &[])];
            flows[0].app = app;
            compare(&inputs, &mut flows);
            flows[0].is_noise()
        };
        assert!(judged(None, None), "the device contacts it as well");
        assert!(!judged(of(10_123, "Signal"), None), "but this flow is the app's");
        assert!(!judged(of(10_123, "Other"), Some(10_123)), "the number outranks the name");
        assert!(judged(of(10_124, "Signal"), Some(10_123)));
        assert!(judged(of(10_200, "Signals"), None), "another app whose name begins alike");
        assert!(judged(of(1000, "Android"), None), "the system");
        for uid in [-1, 0, 1051, 101_051] {
            assert!(judged(of(uid, ""), None), "{uid} asks on behalf of apps: the control run decides");
        }
    }
}
