//! Ends elsewhere: connections that a copy of a capture has on top, to see whether they come out as what they are.
//!
//! Takes a capture's flows and destinations as they were judged, and the reference data; chooses addresses that the data place in a country and
//! with an operator that the capture does not have, and names: the messenger's own, and of trackers. After the copy went the same way it tells which of
//! them stand there as destinations of the messenger, with country, operator and role. What is tested is the way from the frames to the destination
//! (flows, names, whose they are, what they are for); that the data are right about an address is not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::Tally;
use crate::destination::ReferenceDb;
use crate::model::{Destination, Flow, Report, Role};
use crate::random::Random;

/// Most connections of one kind, of one messenger in one capture.
const MAX_ENDS: u32 = 60;
/// Addresses that are tried for one end before a country comes twice, and before it is given up.
const TRIES: usize = 48;
const MOST_TRIES: usize = 2000;
/// The device, where the messenger's flows have no IPv4 client (RFC 2544).
const DEVICE: Ipv4Addr = Ipv4Addr::new(198, 18, 255, 1);

/// An end that the reference data place somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarEnd {
    /// Who connects to it.
    pub(super) device: Ipv4Addr,
    pub(super) address: Ipv4Addr,
    /// What it is called, where there is a name.
    pub(super) name: Option<String>,
    /// Over UDP, in a form that no protocol has.
    pub(super) datagrams: bool,
    /// The hello has the name, and not a DNS answer.
    in_hello: bool,
    country: String,
    system: u32,
    messenger: String,
    tracker: bool,
}

impl FarEnd {
    /// Whether a hello names it.
    pub(super) fn by_hello(&self) -> bool {
        self.in_hello && !self.datagrams
    }
}

/// The ends for one capture.
#[derive(Clone, Debug, Default)]
pub struct Ends(Vec<FarEnd>);

impl Ends {
    /// Chooses ends for each messenger that the one capture of `report` has. The same seed and data give the same.
    #[must_use]
    pub fn choose(report: &Report, db: &ReferenceDb, number: u32, seed: u64) -> Ends {
        let mut random = Random::new(seed);
        let mut of: BTreeMap<&str, Vec<&Flow>> = BTreeMap::new();
        for flow in &report.flows {
            if let Some(messenger) = &flow.messenger {
                of.entry(messenger).or_default().push(flow);
            }
        }
        let trackers = db.observers();
        let here = Here::of(report);
        let mut taken = BTreeSet::new();
        let mut ends = Vec::new();
        for (messenger, flows) in of {
            let device = device(&flows);
            let own = db.domain_of(messenger).or_else(|| name_in(&flows));
            let mut countries = BTreeSet::new();
            for n in 0..number.min(MAX_ENDS) * 2 {
                let Some((address, country, system)) =
                    here.elsewhere(db, &mut random, &mut taken, &mut countries)
                else {
                    break;
                };
                let tracker = n % 2 == 1;
                let named = if tracker { trackers.get(random.below(trackers.len())).copied() } else { own };
                if tracker && named.is_none() {
                    continue;
                }
                ends.push(FarEnd {
                    device,
                    address,
                    name: named.map(str::to_owned),
                    datagrams: !tracker && n / 2 % 3 == 2,
                    in_hello: n / 2 % 3 == 0,
                    country,
                    system,
                    messenger: messenger.to_owned(),
                    tracker,
                });
            }
        }
        Ends(ends)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[FarEnd] {
        &self.0
    }

    /// Counts those that stand among the destinations of the copy as what they are.
    pub fn count(&self, destinations: &[Destination], tally: &mut Tally) {
        let by_address: BTreeMap<&str, &Destination> =
            destinations.iter().map(|d| (d.address.as_str(), d)).collect();
        for end in &self.0 {
            let found = by_address.get(end.address.to_string().as_str()).is_some_and(|d| {
                d.messengers.contains(&end.messenger)
                    && d.country.as_ref() == Some(&end.country)
                    && d.operator.as_ref().and_then(|o| o.asn) == Some(end.system)
                    && (!end.tracker || d.role == Role::Tracker)
            });
            let kind = if end.tracker { &mut tally.trackers } else { &mut tally.destinations };
            let sum = kind.entry(end.messenger.clone()).or_default();
            *sum = (sum.0 + 1, sum.1 + u64::from(found));
        }
    }
}

/// The client that most flows have.
pub(super) fn device(flows: &[&Flow]) -> Ipv4Addr {
    let mut counts: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
    for flow in flows {
        if let Some(IpAddr::V4(address)) = flow.client_address() {
            *counts.entry(address).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(address, count)| (*count, std::cmp::Reverse(*address)));
    most.map_or(DEVICE, |(address, _)| address)
}

/// A name of a server in the flows, where the messenger has no domain of its own: of several the first by the alphabet.
pub(super) fn name_in<'f>(flows: &[&'f Flow]) -> Option<&'f str> {
    let plain = |name: &str| {
        name.is_ascii() && name.len() < 200 && name.split('.').all(|label| matches!(label.len(), 1..64))
    };
    let names = flows.iter().flat_map(|f| &f.names);
    let seen = names.filter(|n| matches!(n.source.as_str(), "sni" | "http-host" | "dns") && plain(&n.name));
    seen.map(|n| n.name.as_str()).min()
}

/// The countries and operators that a capture has.
struct Here<'r> {
    countries: BTreeSet<&'r str>,
    systems: BTreeSet<u32>,
}

impl<'r> Here<'r> {
    fn of(report: &'r Report) -> Here<'r> {
        let mut here = Here { countries: BTreeSet::new(), systems: BTreeSet::new() };
        for destination in &report.destinations {
            here.countries.extend(destination.country.as_deref());
            here.countries.extend(destination.places.iter().map(|place| place.country.as_str()));
            here.systems.extend(destination.operator.as_ref().and_then(|operator| operator.asn));
        }
        here
    }

    /// An address of which the data know country and operator, neither of which the capture has; with a country that was not
    /// chosen before, where one is found soon.
    fn elsewhere(
        &self,
        db: &ReferenceDb,
        random: &mut Random,
        taken: &mut BTreeSet<Ipv4Addr>,
        chosen: &mut BTreeSet<String>,
    ) -> Option<(Ipv4Addr, String, u32)> {
        let mut again = None;
        for n in 0..MOST_TRIES {
            if n >= TRIES && again.is_some() {
                break;
            }
            let address = Ipv4Addr::from((random.next() >> 32) as u32);
            let facts = db.lookup_afresh(IpAddr::V4(address));
            let system = facts.operator.as_ref().and_then(|operator| operator.asn);
            let (Some(country), Some(system), None, None) =
                (facts.country, system, facts.special, &facts.anycast)
            else {
                continue;
            };
            if self.countries.contains(country.as_str())
                || self.systems.contains(&system)
                || taken.contains(&address)
            {
                continue;
            }
            let new = !chosen.contains(&country);
            again = Some((address, country, system));
            if new {
                break;
            }
        }
        let (address, country, system) = again?;
        taken.insert(address);
        chosen.insert(country.clone());
        Some((address, country, system))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Input, Run};

    fn report() -> Report {
        let flow = |server: &str| Flow {
            capture: "a".into(),
            messenger: Some("signal".into()),
            transport: "tcp".into(),
            client: "192.168.7.20:40000".into(),
            server: server.into(),
            ..Flow::default()
        };
        let run = Run { messenger: Some("signal".into()), ..Run::default() };
        let input = Input { file: "a".into(), run: Some(run), ..Input::default() };
        Report {
            inputs: vec![input],
            flows: vec![flow("116.203.10.11:443"), flow("8.8.8.8:443")],
            ..Report::default()
        }
    }

    #[test]
    fn ends_are_elsewhere_and_repeatable() {
        let db = ReferenceDb::embedded().unwrap();
        let mut report = report();
        report.destinations = crate::destination::destinations(&report.flows, db, &|_| None);
        let here: BTreeSet<&str> =
            report.destinations.iter().flat_map(|d| &d.places).map(|p| p.country.as_str()).collect();
        assert!(here.contains("DE") && here.contains("US"), "{here:?}");
        let ends = Ends::choose(&report, db, 200, 7);
        assert_eq!(ends.all(), Ends::choose(&report, db, 200, 7).all());
        assert_ne!(ends.all(), Ends::choose(&report, db, 200, 8).all());
        assert_eq!(ends.all().len(), 2 * MAX_ENDS as usize);
        let countries: BTreeSet<&str> = ends.all().iter().map(|end| end.country.as_str()).collect();
        assert!(countries.len() > 20 && countries.is_disjoint(&here), "{countries:?}");
        for end in ends.all() {
            assert_eq!(end.device, Ipv4Addr::new(192, 168, 7, 20));
            assert_eq!(db.lookup(IpAddr::V4(end.address)).country.as_ref(), Some(&end.country));
            let name = end.name.as_deref().unwrap();
            assert_eq!(db.tracker(name).is_some(), end.tracker, "{name}");
        }
    }

    #[test]
    fn only_what_comes_out_as_what_it_is_counts() {
        let db = ReferenceDb::embedded().unwrap();
        let ends = Ends::choose(&report(), db, 20, 7);
        let as_they_are: Vec<Destination> = ends
            .all()
            .iter()
            .map(|end| Destination {
                messengers: vec!["signal".into()],
                role: if end.tracker { Role::Tracker } else { Role::FirstParty },
                ..crate::destination::lookup_destination(IpAddr::V4(end.address), db)
            })
            .collect();
        let power = |change: &dyn Fn(&mut Destination)| {
            let mut destinations = as_they_are.clone();
            destinations.iter_mut().for_each(change);
            let mut tally = Tally::default();
            ends.count(&destinations, &mut tally);
            [tally.destinations_of("signal"), tally.trackers_of("signal")].map(|c| c.unwrap().found)
        };
        assert_eq!(power(&|_| ()), [20, 20]);
        assert_eq!(power(&|d| d.country = Some("XX".into())), [0, 0]);
        assert_eq!(power(&|d| d.operator = None), [0, 0]);
        assert_eq!(power(&|d| d.messengers.clear()), [0, 0]);
        assert_eq!(power(&|d| d.role = Role::Unknown), [20, 0]);
        let mut tally = Tally::default();
        ends.count(&[], &mut tally);
        assert!(tally.destinations_of("signal").unwrap().failed());
        assert_eq!(tally.destinations_of("threema"), None);
    }
}
