//! From flows to destinations: one entry for each remote address.
//!
//! Takes attributed flows and the reference data; gives destinations sorted by address, IPv4 first. Work grows with the
//! number of flows; each address is looked up once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt as _};
use rayon::prelude::*;

use super::attribute::{asks_for, names_server, remote};
use super::db::{AddressFacts, ReferenceDb};
use super::facts::messengers::Servers;
use super::facts::names::plain;
use super::facts::operators::Company;
use super::facts::services::{Port, Transport};
use super::role::{End, role};
use super::special::{effective, embedded};
use crate::model::{Cloud, Destination, EndName, Flow, JurisdictionWhy, Vantage};

/// Kilometres that light in fibre can go and come back in a millisecond (METRICS E15).
pub(super) const KM_PER_MS: f64 = 100.0;

/// What the flows say of one end.
#[derive(Debug, Default)]
struct Seen<'a> {
    /// Names that may decide.
    names: BTreeSet<&'a str>,
    /// All names, by where they were seen, and whether every sight of them was of an answer that had run out.
    all_names: BTreeMap<&'a str, (BTreeSet<&'a str>, bool)>,
    protocols: BTreeSet<&'a str>,
    ports: BTreeSet<Port>,
    messengers: BTreeSet<(&'a str, &'a str)>,
    captures: BTreeSet<&'a str>,
    flows: Vec<&'a Flow>,
    bytes_up: u64,
    bytes_down: u64,
    rtt_ms: Option<f64>,
    bounding_rtt_ms: Option<f64>,
}

/// A flow, whether its end is the server, and where the capture was taken.
type Ended<'a> = (&'a Flow, bool, Option<Vantage>);

/// The remote ends of `flows`, sorted by address, IPv4 before IPv6.
///
/// `vantage` tells where a capture (by its name in `Flow::capture`) was taken; a round trip bounds the distance
/// only for `Router` and `Device`, because elsewhere something else may have answered the handshake. The remote end is the
/// flow's server; where that one is in the local network and the client is not, it is the client (an incoming call, or a
/// flow whose start was not captured) and up and down change sides, unless the vantage is the server's side.
pub fn destinations(
    flows: &[Flow],
    db: &ReferenceDb,
    vantage: &dyn Fn(&str) -> Option<Vantage>,
) -> Vec<Destination> {
    let shown = messengers_shown(flows);
    let chosen: BTreeSet<&str> = flows
        .iter()
        .filter(|flow| flow.messenger_why.as_deref().is_some_and(|why| why.starts_with("service:")))
        .map(|flow| flow.capture.as_str())
        .collect();
    let mut places: HashMap<&str, Option<Vantage>> = HashMap::new();
    // Flows stand by capture.
    for of_capture in flows.chunk_by(|a, b| a.capture == b.capture) {
        let Some(capture) = of_capture.first().map(|flow| flow.capture.as_str()) else { continue };
        places.entry(capture).or_insert_with(|| vantage(capture));
    }
    let end = |flow: &'_ Flow| {
        let server = flow.server_address()?;
        let place = places.get(flow.capture.as_str()).copied().flatten();
        let end = if place == Some(Vantage::Server) { server } else { remote(flow).unwrap_or(server) };
        Some((end, end == server, place))
    };
    let ended: Vec<_> = flows.par_iter().map(end).collect();
    let mut ends: HashMap<IpAddr, Vec<Ended<'_>>> = HashMap::new();
    for (flow, ended) in flows.iter().zip(ended) {
        let Some((end, server, place)) = ended else { continue };
        ends.entry(end).or_default().push((flow, server, place));
    }
    let mut ends: Vec<_> = ends.into_iter().collect();
    ends.sort_unstable_by_key(|(address, _)| *address);
    ends.into_par_iter()
        .map(|(address, flows)| {
            let mut seen = Seen::default();
            for (flow, server, place) in flows {
                seen.add(flow, server, place);
            }
            seen.into_destination(address, db, &shown, &chosen)
        })
        .collect()
}

/// What is known of an address without traffic, as `metaleak db lookup` shows it.
pub fn lookup_destination(address: IpAddr, db: &ReferenceDb) -> Destination {
    let facts = db.lookup(address);
    let messengers = &db.facts().messengers;
    let network = messengers.of_address(effective(address)).filter(|network| network.exclusive);
    let owner =
        network.and_then(|n| Some((messengers.list.get(n.messenger)?, format!("network:{}", n.cidr))));
    let mut seen = Seen::default();
    if let Some((messenger, why)) = &owner {
        seen.messengers.insert((&messenger.id, why));
    }
    if let Some(reverse) = &facts.reverse {
        seen.all_names.insert(&reverse.name, (BTreeSet::from(["reverse"]), false));
    }
    seen.into_destination(address, db, &HashMap::new(), &BTreeSet::new())
}

/// Datagrams both ways between ports above the well-known ones (RFC 6335), of no known protocol; unanswered ones only from a
/// socket that a messenger uses for its call (a connectivity check that did not get through).
fn opaque_datagrams(flow: &Flow) -> bool {
    let high = |end: &str| crate::model::endpoint(end).is_some_and(|(_, port)| port >= 1024);
    flow.transport == "udp"
        && flow.app_protocols.is_empty()
        && flow.encryption == "opaque"
        && flow.bytes_up > 0
        && (flow.bytes_down > 0
            || flow.messenger_why.as_deref().is_some_and(|why| why.starts_with("socket:")))
        && high(&flow.client)
        && high(&flow.server)
}

/// The registrable domains of names, as the Public Suffix List cuts them. A name that is itself a public suffix, or no
/// domain at all (an address, a single label), stands for itself alone and gives none.
fn groups<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let domains = names.map(plain).filter(|name| name.parse::<IpAddr>().is_err());
    let domains: BTreeSet<&str> = domains.filter_map(crate::suffix::domain).collect();
    domains.into_iter().map(str::to_owned).collect()
}

/// A name of an end with where it is from.
fn end_name(name: &str, (sources, expired): &(BTreeSet<&str>, bool), facts: &AddressFacts) -> EndName {
    let reverse = facts.reverse.as_ref().filter(|_| sources.contains("reverse"));
    EndName {
        name: name.to_owned(),
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        expired: *expired,
        why: reverse.map(|reverse| reverse.source.clone()),
    }
}

/// The messengers that each capture shows.
fn messengers_shown(flows: &[Flow]) -> HashMap<&str, BTreeSet<&str>> {
    let mut shown: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for flow in flows {
        if let Some(messenger) = &flow.messenger {
            shown.entry(&flow.capture).or_default().insert(messenger);
        }
    }
    shown
}

/// A name of a reverse zone is whatever the holder of the address wrote there: it is shown, and decides nothing.
fn names_service(source: &str) -> bool {
    names_server(source) && !matches!(source, "dns-ptr" | "reverse")
}

impl<'a> Seen<'a> {
    fn add(&mut self, flow: &'a Flow, server: bool, vantage: Option<Vantage>) {
        // Names are names of the server; an end that is the client has none.
        if server {
            // Several services may share an address: what the flow asks for outranks what else the address is called.
            let asks = flow.names.iter().any(|name| asks_for(&name.source));
            for name in flow.names.iter().filter(|name| names_server(&name.source)) {
                if if asks { asks_for(&name.source) } else { names_service(&name.source) } {
                    self.names.insert(&name.name);
                }
                let (sources, expired) = self.all_names.entry(&name.name).or_insert((BTreeSet::new(), true));
                sources.insert(&name.source);
                *expired &= name.expired;
            }
        }
        self.protocols.extend(flow.app_protocols.iter().map(String::as_str));
        if let (true, Some(transport), Some(port)) =
            (server, Transport::parse(&flow.transport), flow.server_port())
        {
            self.ports.insert((transport, port));
        }
        if let Some(messenger) = &flow.messenger {
            self.messengers.insert((messenger, flow.messenger_why.as_deref().unwrap_or("attributed")));
        }
        let (up, down) =
            if server { (flow.bytes_up, flow.bytes_down) } else { (flow.bytes_down, flow.bytes_up) };
        self.bytes_up = self.bytes_up.saturating_add(up);
        self.bytes_down = self.bytes_down.saturating_add(down);
        // The time from SYN to SYN/ACK is one to the server, so it says nothing of a client.
        if let Some(rtt) = flow.rtt_ms.filter(|rtt| server && rtt.is_finite() && *rtt >= 0.0) {
            let least = |old: Option<f64>| Some(old.map_or(rtt, |old| old.min(rtt)));
            self.rtt_ms = least(self.rtt_ms);
            if matches!(vantage, Some(Vantage::Router | Vantage::Device)) {
                self.bounding_rtt_ms = least(self.bounding_rtt_ms);
            }
        }
        // Flows stand by capture.
        if self.flows.last().is_none_or(|last| last.capture != flow.capture) {
            self.captures.insert(&flow.capture);
        }
        self.flows.push(flow);
    }

    fn into_destination(
        self,
        address: IpAddr,
        db: &ReferenceDb,
        shown: &HashMap<&str, BTreeSet<&str>>,
        chosen: &BTreeSet<&str>,
    ) -> Destination {
        let facts = db.lookup(address);
        let nothing = BTreeSet::new();
        let beside: Vec<&BTreeSet<&str>> =
            self.captures.iter().map(|capture| shown.get(capture).unwrap_or(&nothing)).collect();
        let ports: Vec<Port> = self.ports.iter().copied().collect();
        // Who uses a socket does not tell what the other end is: it may be anybody's STUN server, or the other party.
        let told = self.messengers.iter().filter(|(_, why)| !why.starts_with("socket:")).copied().collect();
        let (role, role_why, owner) = role(
            &End {
                address,
                facts: &facts,
                names: &self.names,
                ports: &ports,
                protocols: &self.protocols,
                messengers: &told,
                opaque_datagrams: self.flows.iter().any(|flow| opaque_datagrams(flow)),
                beside: &beside,
                apart: !self.names.is_empty() && self.captures.iter().all(|capture| chosen.contains(capture)),
            },
            db,
        );
        // Of servers that the user chose nobody knows whose they are.
        let owner = owner.filter(|messenger| messenger.servers == Servers::Own);
        let operators = &db.facts().operators;
        let providers: Vec<&Company> = owner
            .into_iter()
            .flat_map(|messenger| messenger.providers.iter().filter_map(|id| operators.by_id(id)))
            .collect();
        let mut jurisdictions = facts.jurisdictions.clone();
        for company in &providers {
            db.add_seats(Some(company), JurisdictionWhy::ServiceSeat, &mut jurisdictions);
        }
        let first = self.flows.first();
        let in_first =
            self.flows.iter().filter(|flow| first.is_some_and(|first| first.capture == flow.capture));
        let messengers: BTreeSet<&str> = self.messengers.iter().map(|(messenger, _)| *messenger).collect();
        Destination {
            address: address.to_string(),
            names: self.all_names.keys().map(|name| (*name).to_owned()).collect(),
            named_by: self.all_names.iter().map(|(name, seen)| end_name(name, seen, &facts)).collect(),
            groups: groups(self.all_names.keys().copied()),
            embedded: embedded(address),
            operator: facts.operator.clone(),
            places: facts.places.clone(),
            country: facts.country.clone(),
            agreement: facts.agreement,
            anycast: facts.anycast.clone(),
            cloud: facts.cloud.as_ref().map(|cloud| Cloud {
                provider: cloud.provider.clone(),
                region: cloud.region.clone(),
                services: cloud.services.clone(),
                source: cloud.source.clone(),
            }),
            company: db
                .company(facts.operator.as_ref(), facts.cloud.as_ref())
                .map(|company| company.name.clone()),
            service_of: providers.iter().map(|company| company.name.clone()).collect(),
            jurisdictions,
            role,
            role_why,
            rtt_min_ms: self.rtt_ms,
            max_km: self.bounding_rtt_ms.map(|rtt| rtt * KM_PER_MS),
            rtt_bounds: Vec::new(),
            rtt_excludes: Vec::new(),
            rtt_note: None,
            bytes_up: self.bytes_up,
            bytes_down: self.bytes_down,
            first_frame: in_first.map(|flow| flow.first_frame).min().unwrap_or(0),
            flows: self.flows.iter().map(|flow| format!("{}#{}", flow.capture, flow.flow)).collect(),
            messengers: messengers.into_iter().map(str::to_owned).collect(),
            also_seen: None,
        }
    }
}
