//! What a messenger could do and the capture does not show: a call straight to the other party, and noise at rest.
//!
//! Takes a capture's flows as they were judged, with its run; chooses calls whose media go from the device to an address that a connectivity check
//! shows as the other party's (`K7`), and bursts of bytes within the step in which nobody uses the app (`K8`), each by a connection to a name
//! of the messenger. After the copy went the same way it tells which calls are read as direct ones of the messenger, and what the step
//! would have carried with each burst; whether that is quiet the claim's own predicate says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Tally;
use super::ends::{device, name_in};
use crate::destination::ReferenceDb;
use crate::model::{Call, Flow, Input, Report};
use crate::random::Random;

/// Most acts of one kind, of one messenger in one capture.
const MAX_ACTS: u32 = 60;
/// The step in which nobody uses the app.
const REST: &str = "idle";
/// Bytes an hour that are no rest: twice what the built-in claim calls noise.
const LOUD: f64 = 2.0 * 1024.0 * 1024.0;
/// Bytes on the wire of a packet of a burst, of which the copy keeps the first ones, as a recorder with a limit does.
pub(super) const BURST_PACKET: u16 = 60_000;
/// Most packets of all bursts of one capture.
const MAX_BURST_PACKETS: u64 = 60_000;
/// Servers: addresses for documentation (RFC 5737).
const SERVERS: [u8; 3] = [198, 51, 100];
/// Addresses that are tried for another party before it is given up.
const TRIES: usize = 2000;
/// The first port of the device for calls, and for bursts.
const CALL_PORT: u16 = 52_000;
const BURST_PORT: u16 = 54_000;
/// Ports of the far ends.
pub(super) const SERVER_PORT: u16 = 9998;
pub(super) const PARTY_PORT: u16 = 7000;

/// One thing that the device does in the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    messenger: String,
    pub(super) device: Ipv4Addr,
    /// Its UDP port.
    pub(super) port: u16,
    /// The messenger's server, so that the socket is the messenger's.
    pub(super) server: [u8; 4],
    /// What a DNS answer calls it.
    pub(super) name: Option<String>,
    pub(super) what: What,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Media straight to the other party at this address.
    Call([u8; 4]),
    /// So many packets from the server, at this time.
    Burst(i64, u64),
}

/// What a step would have carried with a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The step.
    pub step: String,
    /// How long it lasted.
    pub milliseconds: u64,
    /// Bytes of all flows that count as the messenger's, both ways.
    pub bytes: u64,
    /// Those of flows that something else than the run shows to be its.
    pub own: u64,
}

/// Reads what flows of a messenger carried in a step of a run.
pub type ReadStep<'a> = &'a dyn Fn(&Input, &str, &[&Flow], &str) -> Option<Rest>;

/// The acts for one capture.
#[derive(Clone, Debug, Default)]
pub struct Acts(Vec<Act>);

impl Acts {
    /// Chooses acts for each messenger that the one capture of `report` has; bursts for the one that its run names, where the run rested.
    #[must_use]
    pub fn choose(report: &Report, db: &ReferenceDb, number: u32, seed: u64) -> Acts {
        // Other addresses than those of the connections elsewhere, which have names.
        let mut random = Random::new(!seed);
        let mut of: BTreeMap<&str, Vec<&Flow>> = BTreeMap::new();
        for flow in &report.flows {
            if let Some(messenger) = &flow.messenger {
                of.entry(messenger).or_default().push(flow);
            }
        }
        let rest = report.inputs.first().and_then(|input| Some((input.run.as_ref()?, at_rest(input)?)));
        let mut acts = Vec::new();
        for (place, (messenger, flows)) in (0_u16..).zip(of) {
            let name = db.domain_of(messenger).or_else(|| name_in(&flows)).map(str::to_owned);
            let act = |n: u16, first: u16, what: What| Act {
                messenger: messenger.to_owned(),
                device: device(&flows),
                port: first.saturating_add(place.saturating_mul(MAX_ACTS as u16)).saturating_add(n),
                server: with(SERVERS, n),
                name: name.clone(),
                what,
            };
            let number = number.min(MAX_ACTS) as u16;
            for n in 0..number {
                let Some(party) = party(db, &mut random) else { break };
                acts.push(act(n, CALL_PORT, What::Call(party)));
            }
            let Some((run, (from, until))) = &rest else { continue };
            if run.messenger.as_deref() != Some(messenger) {
                continue;
            }
            let hours = (until - from) as f64 / 3.6e12;
            let packets = (LOUD * hours / f64::from(BURST_PACKET)).ceil() as u64 + 1;
            let number = u64::from(number).min(MAX_BURST_PACKETS / packets);
            for n in 0..number as u16 {
                // Away from the ends: a burst lasts a little.
                let share = 0.05 + 0.9 * (random.below(1000) as f64 / 1000.0);
                let time = from + ((until - from) as f64 * share) as i64;
                acts.push(act(n, BURST_PORT, What::Burst(time, packets)));
            }
        }
        Acts(acts)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Act] {
        &self.0
    }

    /// Counts the calls that the copy has as direct ones of their messenger, and keeps what the step would have carried with each burst: what `before`
    /// has, and the burst's flow in the copy (`after`). `step` reads what flows of a messenger carried in a step.
    pub fn count(
        &self,
        before: &Report,
        after: &Report,
        calls: &[Call],
        step: ReadStep<'_>,
        tally: &mut Tally,
    ) {
        let direct: BTreeSet<(&str, &str)> = calls
            .iter()
            .filter(|call| call.is_direct())
            .flat_map(|call| call.peers.iter().filter_map(|p| Some((call.messenger.as_deref()?, p.as_str()))))
            .collect();
        let by_ends: BTreeMap<(&str, &str), &Flow> =
            after.flows.iter().map(|f| ((f.client.as_str(), f.server.as_str()), f)).collect();
        let mut without: BTreeMap<&str, Option<Rest>> = BTreeMap::new();
        for act in &self.0 {
            let of_messenger = |f: &&Flow| f.messenger.as_ref() == Some(&act.messenger);
            match act.what {
                What::Call(party) => {
                    let party = Ipv4Addr::from(party).to_string();
                    let found = direct.contains(&(act.messenger.as_str(), party.as_str()));
                    let sum = tally.calls.entry(act.messenger.clone()).or_default();
                    *sum = (sum.0 + 1, sum.1 + u64::from(found));
                }
                What::Burst(..) => {
                    let rest = without.entry(&act.messenger).or_insert_with(|| {
                        let flows: Vec<&Flow> = before.flows.iter().filter(of_messenger).collect();
                        step(before.inputs.first()?, &act.messenger, &flows, REST)
                    });
                    let Some(mut rest) = rest.clone() else { continue };
                    let end = |address: [u8; 4], port| SocketAddr::from((address, port)).to_string();
                    let (near, far) = (end(act.device.octets(), act.port), end(act.server, SERVER_PORT));
                    let burst = by_ends.get(&(near.as_str(), far.as_str())).copied().filter(of_messenger);
                    let more = burst.zip(after.inputs.first());
                    if let Some(more) = more.and_then(|(f, input)| step(input, &act.messenger, &[f], REST)) {
                        rest.bytes = rest.bytes.saturating_add(more.bytes);
                        rest.own = rest.own.saturating_add(more.own);
                    }
                    tally.rest.entry(act.messenger.clone()).or_default().push(rest);
                }
            }
        }
    }
}

/// An address that a person may have: of a network of which the data know where it is, and that is of no known operator of servers.
fn party(db: &ReferenceDb, random: &mut Random) -> Option<[u8; 4]> {
    let mut addresses = (0..TRIES).map(|_| Ipv4Addr::from((random.next() >> 32) as u32));
    let of_people = |address: &Ipv4Addr| {
        let facts = db.lookup_afresh(IpAddr::V4(*address));
        facts.operator.is_some()
            && facts.country.is_some()
            && facts.special.is_none()
            && facts.anycast.is_none()
            && facts.cloud.is_none()
            && db.company(facts.operator.as_ref(), None).is_none()
    };
    addresses.find(of_people).map(|address| address.octets())
}

fn with([a, b, c]: [u8; 3], n: u16) -> [u8; 4] {
    [a, b, c, (n % 200) as u8 + 20]
}

/// When nobody used the app for the first time, in nanoseconds: from the mark to the next one or the capture's end; the whole capture where that
/// is the only step and nobody set marks.
fn at_rest(input: &Input) -> Option<(i64, i64)> {
    let time = |text: &str| Some(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond() as i64);
    let run = input.run.as_ref()?;
    let end = input.last_time.as_deref().and_then(time);
    let marked = run.marks.iter().position(|mark| mark.step == REST);
    let (from, until) = match (marked, &run.steps[..]) {
        (Some(at), _) => {
            let next = run.marks.get(at + 1).map_or(end, |mark| time(&mark.start));
            (time(&run.marks.get(at)?.start)?, next?)
        }
        (None, [only]) if only == REST && run.marks.is_empty() => (time(input.first_time.as_deref()?)?, end?),
        _ => return None,
    };
    (until > from).then_some((from, until))
}
