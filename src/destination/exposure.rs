//! Where the bytes went, in numbers (METRICS E14): shares by zone, country, operator and role, how concentrated they are, and how names show.
//!
//! Takes flows and the destinations made from them; gives [`Exposure`]. Counts wire bytes to and from public addresses only: what stays in
//! the local network exposes nothing abroad. Judges no share as good or bad.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt as _};
use rayon::prelude::*;

use super::db::ReferenceDb;
use super::special::special;
use crate::model::{Basis, Destination, Exposed, Exposure, Flow, NameExposure, PathBytes, Role, Share, Zone};

/// What the run of a capture tells of the user's first action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstAction {
    /// No run, or one that notes no times.
    NoMarks,
    /// Nothing was done but to wait.
    NoAction,
    /// It came before this frame, and flows that begin in earlier ones before it.
    Frame(u64),
}

/// The first action in a capture, by its name.
pub type Marks<'a> = &'a (dyn Fn(&str) -> FirstAction + Sync);

/// Messenger, operator and country.
type Path<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// A flow and its public remote end, by the end's place among the destinations.
type Ended<'a> = (&'a Flow, usize);

/// Exposure of all flows and of each messenger's.
pub fn exposure(
    flows: &[Flow],
    destinations: &[Destination],
    db: &ReferenceDb,
    marks: Marks<'_>,
) -> Exposure {
    let ends = ended(flows, destinations);
    let mut messengers: BTreeMap<&str, Vec<Ended<'_>>> = BTreeMap::new();
    for &(flow, end) in &ends {
        if let Some(messenger) = flow.messenger.as_deref() {
            messengers.entry(messenger).or_default().push((flow, end));
        }
    }
    let messengers: Vec<(&str, Vec<Ended<'_>>)> = messengers.into_iter().collect();
    let of = |messenger, ends: &[Ended<'_>]| exposed(messenger, ends, destinations, db, marks);
    let (overall, (messengers, paths)) = rayon::join(
        || of(None, &ends),
        || {
            let messengers = messengers.iter().map(|(id, ends)| of(Some(id), ends)).collect();
            (messengers, paths(&ends, destinations))
        },
    );
    let told = |((messenger, operator, country), bytes): (Path<'_>, u64)| PathBytes {
        messenger: messenger.map(str::to_owned),
        operator: operator.map(str::to_owned),
        country: country.map(str::to_owned),
        zone: zone(country, db),
        bytes,
    };
    Exposure { overall, messengers, paths: paths.into_iter().map(told).collect() }
}

/// The flows to public ends, in their order.
fn ended<'a>(flows: &'a [Flow], destinations: &[Destination]) -> Vec<Ended<'a>> {
    let public = |end: &(usize, &Destination)| {
        end.1.address.parse::<IpAddr>().is_ok_and(|address| special(address).is_none())
    };
    let mut places: Vec<(&str, u64, usize)> = destinations
        .par_iter()
        .enumerate()
        .filter(public)
        .flat_map_iter(|(place, destination)| {
            destination.flows.iter().filter_map(move |flow| {
                let (capture, number) = flow.rsplit_once('#')?;
                Some((capture, number.parse().ok()?, place))
            })
        })
        .collect();
    places.par_sort_unstable();
    let of = |flow: &'a Flow| {
        let known =
            |(capture, number, _): &(&str, u64, usize)| (*capture, *number).cmp(&(&flow.capture, flow.flow));
        let at = places.binary_search_by(known).ok()?;
        Some((flow, places.get(at)?.2))
    };
    flows.par_iter().filter_map(of).collect()
}

fn paths<'a>(ends: &[Ended<'a>], destinations: &'a [Destination]) -> BTreeMap<Path<'a>, u64> {
    let mut by_end: HashMap<(Option<&str>, usize), u64> = HashMap::new();
    for (flow, end) in ends {
        let sum = by_end.entry((flow.messenger.as_deref(), *end)).or_default();
        *sum = sum.saturating_add(bytes(flow));
    }
    let mut paths = BTreeMap::new();
    for ((messenger, end), bytes) in by_end {
        let Some(end) = destinations.get(end) else { continue };
        add(&mut paths, (messenger, operator(end), end.country.as_deref()), bytes);
    }
    paths
}

/// The legal zone of a country.
fn zone(country: Option<&str>, db: &ReferenceDb) -> Zone {
    match country {
        None => Zone::Unknown,
        Some("CH") => Zone::Ch,
        Some("US") => Zone::Us,
        Some(code) => match db.facts().adequacy.basis(code, None).0 {
            Basis::Eea => Zone::Eea,
            Basis::Adequacy => Zone::Adequate,
            Basis::Dpf | Basis::None => Zone::Other,
        },
    }
}

/// Who operates the network: the company, so that its several autonomous systems are one; else the name of the system.
fn operator(end: &Destination) -> Option<&str> {
    end.company.as_deref().or(end.operator.as_ref().map(|operator| operator.name.as_str()))
}

/// Whether a machine is the messenger's own, or the other party's. A server of the messenger's own service at a host is its own;
/// a delivery network opens the encryption for many, so it is a third party.
fn own(end: &Destination) -> bool {
    match end.role {
        Role::FirstParty | Role::Peer => true,
        Role::Hosting => !end.service_of.is_empty(),
        _ => false,
    }
}

fn bytes(flow: &Flow) -> u64 {
    flow.bytes_up.saturating_add(flow.bytes_down)
}

fn add<K: Ord>(sums: &mut BTreeMap<K, u64>, key: K, bytes: u64) {
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(bytes);
}

fn exposed(
    messenger: Option<&str>,
    ends: &[Ended<'_>],
    destinations: &[Destination],
    db: &ReferenceDb,
    marks: Marks<'_>,
) -> Exposed {
    let by_end = || {
        let mut by_end: HashMap<usize, u64> = HashMap::new();
        for (flow, end) in ends {
            let sum = by_end.entry(*end).or_default();
            *sum = sum.saturating_add(bytes(flow));
        }
        by_end
    };
    let told = || (names(ends.iter().map(|(flow, _)| *flow)), contacts_before(ends, marks));
    let (by_end, (names, (before, before_note))) = rayon::join(by_end, told);
    let mut zones: BTreeMap<Zone, u64> = Zone::ALL.into_iter().map(|zone| (zone, 0)).collect();
    let (mut countries, mut operators, mut roles) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut total, mut known, mut third) = (0u64, 0u64, 0u64);
    for (end, bytes) in &by_end {
        let (Some(end), bytes) = (destinations.get(*end), *bytes) else { continue };
        total = total.saturating_add(bytes);
        add(&mut zones, zone(end.country.as_deref(), db), bytes);
        add(&mut countries, end.country.as_deref(), bytes);
        add(&mut operators, operator(end), bytes);
        add(&mut roles, end.role, bytes);
        if end.role != Role::Unknown {
            known = known.saturating_add(bytes);
            third = third.saturating_add(if own(end) { 0 } else { bytes });
        }
    }
    let (over_countries, over_operators): (Vec<u64>, Vec<u64>) =
        (countries.values().copied().collect(), operators.values().copied().collect());
    Exposed {
        messenger: messenger.map(str::to_owned),
        bytes: total,
        destinations: by_end.len() as u64,
        zones: zones.iter().map(|(zone, n)| share(Some(zone.id()), *n, total)).collect(),
        countries: shares(countries.into_iter(), total),
        operators: shares(operators.into_iter(), total),
        roles: shares(roles.into_iter().map(|(role, n)| (Some(role_id(role)), n)), total),
        country_entropy_bits: entropy(&over_countries),
        operator_entropy_bits: entropy(&over_operators),
        country_hhi: hhi(&over_countries),
        operator_hhi: hhi(&over_operators),
        third_party_ratio: ratio(third, known),
        names,
        contacts_before_first_action: before,
        contacts_before_note: before_note.map(str::to_owned),
    }
}

/// Shannon entropy of a distribution given as counts, bits; `None` when all are zero.
fn entropy(counts: &[u64]) -> Option<f64> {
    let total: f64 = counts.iter().map(|n| *n as f64).sum();
    let parts = counts.iter().filter(|n| **n > 0).map(|n| *n as f64 / total);
    // A sum of negative zeros would be printed as one.
    (total > 0.0).then(|| rounded(parts.map(|p| p * p.log2()).sum::<f64>().abs()))
}

/// Herfindahl-Hirschman index: the sum of the squared shares; `None` when all are zero.
fn hhi(counts: &[u64]) -> Option<f64> {
    let total: f64 = counts.iter().map(|n| *n as f64).sum();
    (total > 0.0).then(|| rounded(counts.iter().map(|n| (*n as f64 / total).powi(2)).sum()))
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 / whole as f64))
}

/// Six decimals: beyond them logarithms may differ between machines.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn share(key: Option<&str>, bytes: u64, total: u64) -> Share {
    Share { key: key.map(str::to_owned), bytes, share: ratio(bytes, total).unwrap_or_default() }
}

/// Most bytes first, then by name; those without bytes are left out.
fn shares<'a>(sums: impl Iterator<Item = (Option<&'a str>, u64)>, total: u64) -> Vec<Share> {
    let mut shares: Vec<Share> = sums.filter(|(_, n)| *n > 0).map(|(key, n)| share(key, n, total)).collect();
    shares.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.key.cmp(&b.key)));
    shares
}

/// As JSON has the role.
fn role_id(role: Role) -> &'static str {
    match role {
        Role::FirstParty => "first-party",
        Role::Hosting => "hosting",
        Role::Cdn => "cdn",
        Role::Push => "push",
        Role::Tracker => "tracker",
        Role::Resolver => "resolver",
        Role::Relay => "relay",
        Role::Peer => "peer",
        Role::Time => "time",
        Role::Platform => "platform",
        Role::Unknown => "unknown",
    }
}

fn names<'a>(flows: impl Iterator<Item = &'a Flow>) -> NameExposure {
    let (mut n, mut counts) = (0u64, [0u64; 7]);
    for flow in flows {
        let transport = matches!(flow.transport.as_str(), "tcp" | "udp");
        if !transport || flow.app_protocols.iter().any(|p| p == "dns") {
            continue;
        }
        n += 1;
        let ech = flow.tls.as_ref().is_some_and(|tls| tls.ech.as_deref() == Some("outer"))
            || flow.names.iter().any(|name| name.source == "ech-outer");
        let from = |source: &str| flow.names.iter().any(|name| name.source == source);
        let sni = from("sni") && !ech;
        let udp = flow.transport == "udp";
        let (dns, certificate) = (from("dns") || from("dns-hint") || from("dns-ptr"), from("certificate"));
        // A name by the reference data shows to whoever looks the address up, not on the way.
        let known = ["dns", "dns-hint", "dns-ptr", "sni", "certificate", "ech-outer", "reverse", "decrypted"];
        let clear = flow.names.iter().any(|name| !known.contains(&name.source.as_str()));
        let ip_only = !(dns || sni || certificate || clear || ech);
        let seen = [dns, sni && !udp, sni && udp, certificate, clear, ip_only, ech];
        for (count, seen) in counts.iter_mut().zip(seen) {
            *count += u64::from(seen);
        }
    }
    let [dns, sni, quic, certificate, clear, ip_only, ech] = counts.map(|count| ratio(count, n));
    NameExposure { flows: n, dns, sni, quic, certificate, clear, ip_only, ech }
}

/// Destinations whose flows began before the first action of their capture; `None` with the reason when no capture has a mark.
fn contacts_before(ends: &[Ended<'_>], marks: Marks<'_>) -> (Option<u64>, Option<&'static str>) {
    let (mut marked, mut idle) = (false, false);
    let mut before = BTreeSet::new();
    // Flows stand by capture.
    for of_capture in ends.chunk_by(|(a, _), (b, _)| a.capture == b.capture) {
        let Some((flow, _)) = of_capture.first() else { continue };
        match marks(&flow.capture) {
            FirstAction::NoMarks => {}
            FirstAction::NoAction => idle = true,
            FirstAction::Frame(first) => {
                marked = true;
                let earlier = of_capture.iter().filter(|(flow, _)| flow.first_frame < first);
                before.extend(earlier.map(|(_, end)| *end));
            }
        }
    }
    if marked {
        return (Some(before.len() as u64), None);
    }
    (None, Some(if idle { "no-action" } else { "no-marks" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FlowName, FlowTls, Operator};

    fn flow(number: u64, messenger: Option<&str>, bytes: u64, names: &str) -> Flow {
        Flow {
            capture: "a.pcap".into(),
            flow: number,
            transport: "tcp".into(),
            messenger: messenger.map(str::to_owned),
            bytes_up: bytes / 4,
            bytes_down: bytes - bytes / 4,
            first_frame: number * 10,
            names: names
                .split_whitespace()
                .map(|source| FlowName {
                    name: "a.example".into(),
                    source: source.into(),
                    frame: 1,
                    expired: false,
                })
                .collect(),
            ..Flow::default()
        }
    }

    fn end(address: &str, operator: &str, country: &str, role: Role, flows: &[u64]) -> Destination {
        Destination {
            address: address.into(),
            operator: (!operator.is_empty()).then(|| Operator {
                name: operator.into(),
                asn: None,
                source: String::new(),
            }),
            country: (!country.is_empty()).then(|| country.to_owned()),
            role,
            flows: flows.iter().map(|n| format!("a.pcap#{n}")).collect(),
            ..Destination::default()
        }
    }

    fn keys(shares: &[Share]) -> Vec<(&str, u64, f64)> {
        shares.iter().map(|s| (s.key.as_deref().unwrap_or("-"), s.bytes, s.share)).collect()
    }

    #[test]
    fn shares_as_computed_by_hand() {
        let (signal, wire) = (Some("signal"), Some("wire"));
        let flows = [
            flow(1, signal, 500, "dns sni certificate"),
            flow(2, signal, 250, "sni"),
            flow(3, wire, 125, ""),
            flow(4, None, 125, "dns"),
            flow(5, None, 9_999, ""), // in the local network
        ];
        let ends = [
            end("1.1.1.1", "One", "US", Role::FirstParty, &[1]),
            end("1.1.1.2", "Two", "DE", Role::Cdn, &[2, 3]),
            end("1.1.1.3", "", "", Role::Unknown, &[4]),
            end("192.168.1.1", "", "", Role::Resolver, &[5]),
        ];
        let made = exposure(&flows, &ends, ReferenceDb::embedded().unwrap(), &|_| FirstAction::Frame(25));
        let all = &made.overall;
        assert_eq!((all.bytes, all.destinations), (1000, 3));
        assert_eq!(keys(&all.countries), [("US", 500, 0.5), ("DE", 375, 0.375), ("-", 125, 0.125)]);
        assert_eq!(keys(&all.operators), [("One", 500, 0.5), ("Two", 375, 0.375), ("-", 125, 0.125)]);
        let zones: Vec<f64> = all.zones.iter().map(|z| z.share).collect();
        assert_eq!(zones, [0.0, 0.375, 0.0, 0.5, 0.0, 0.125]);
        // H = 1/2 + 3/8 log2(8/3) + 3/8 = 0.5 + 0.530639 + 0.375; HHI = 16/64 + 9/64 + 1/64 = 26/64.
        assert_eq!((all.country_entropy_bits, all.operator_entropy_bits), (Some(1.405_639), Some(1.405_639)));
        assert_eq!(all.country_hhi, Some(0.406_25));
        assert_eq!(all.third_party_ratio, Some(0.428_571), "375 of 875: the unknown is in neither");
        assert_eq!(all.contacts_before_first_action, Some(2));
        let names = &all.names;
        assert_eq!((names.flows, names.dns, names.sni), (4, Some(0.5), Some(0.5)));
        assert_eq!((names.certificate, names.ip_only, names.quic), (Some(0.25), Some(0.25), Some(0.0)));
        let ids: Vec<_> = made.messengers.iter().map(|m| (m.messenger.as_deref(), m.bytes)).collect();
        assert_eq!(ids, [(signal, 750), (wire, 125)]);
        assert_eq!(made.messengers[1].country_entropy_bits, Some(0.0));
        assert_eq!(made.messengers[1].operator_hhi, Some(1.0));
        let sum: u64 = made.paths.iter().map(|p| p.bytes).sum();
        assert_eq!((made.paths.len(), sum), (4, 1000));
    }

    /// Several autonomous systems of a company are one operator, and a messenger's own server at a host is no third party.
    #[test]
    fn companies_are_one_and_own_servers_are_own() {
        let signal = Some("signal");
        let flows = [
            flow(1, signal, 400, ""),
            flow(2, signal, 300, ""),
            flow(3, signal, 200, ""),
            flow(4, signal, 100, ""),
        ];
        let amazon = |end| Destination { company: Some("Amazon.com, Inc.".into()), ..end };
        let ends = [
            Destination {
                service_of: vec!["Signal Messenger LLC".into()],
                ..amazon(end("1.1.1.1", "AMAZON-02", "US", Role::Hosting, &[1]))
            },
            amazon(end("1.1.1.2", "AMAZON-AES", "US", Role::Hosting, &[2])),
            end("1.1.1.3", "SOMEBODY", "US", Role::Cdn, &[3]),
            end("1.1.1.4", "", "", Role::Peer, &[4]),
        ];
        let made = exposure(&flows, &ends, ReferenceDb::embedded().unwrap(), &|_| FirstAction::NoMarks);
        let all = &made.overall;
        assert_eq!(
            keys(&all.operators),
            [("Amazon.com, Inc.", 700, 0.7), ("SOMEBODY", 200, 0.2), ("-", 100, 0.1)]
        );
        assert_eq!(
            all.third_party_ratio,
            Some(0.5),
            "300 at a host that is nobody's service, 200 at a delivery network"
        );
        assert_eq!(
            made.paths.iter().filter(|p| p.operator.as_deref() == Some("Amazon.com, Inc.")).count(),
            1
        );
    }

    #[test]
    fn nothing_gives_null_rather_than_zero() {
        let made = exposure(&[], &[], ReferenceDb::embedded().unwrap(), &|_| FirstAction::NoMarks).overall;
        assert_eq!((made.country_entropy_bits, made.country_hhi, made.third_party_ratio), (None, None, None));
        assert_eq!((made.names.dns, made.contacts_before_first_action), (None, None));
        assert_eq!(made.zones.len(), 6);
    }

    #[test]
    fn names_are_seen_where_they_are_true() {
        let tls = |ech: &str| Some(Box::new(FlowTls { ech: Some(ech.into()), ..FlowTls::default() }));
        let udp = || "udp".to_owned();
        let flows = [
            Flow { tls: tls("outer"), ..flow(1, None, 1, "ech-outer") },
            Flow { tls: tls("unknown"), ..flow(2, None, 1, "sni") }, // GREASE: the name is what it seems
            Flow { transport: udp(), ..flow(3, None, 1, "sni") },
            Flow { transport: udp(), app_protocols: vec!["dns".into()], ..flow(4, None, 1, "") },
            Flow { transport: "icmp".into(), ..flow(5, None, 1, "") },
            flow(6, None, 1, "xmpp-to"),
        ];
        let made = names(flows.iter());
        assert_eq!((made.flows, made.ech, made.sni, made.quic), (4, Some(0.25), Some(0.25), Some(0.25)));
        assert_eq!((made.clear, made.ip_only, made.dns), (Some(0.25), Some(0.0), Some(0.0)));
    }

    #[test]
    fn zones_follow_the_adequacy_table() {
        let db = ReferenceDb::embedded().unwrap();
        for (code, expected) in [
            (Some("CH"), Zone::Ch),
            (Some("DE"), Zone::Eea),
            (Some("NO"), Zone::Eea),
            (Some("GB"), Zone::Adequate),
            (Some("JP"), Zone::Adequate),
            (Some("US"), Zone::Us),
            (Some("CN"), Zone::Other),
            (None, Zone::Unknown),
        ] {
            assert_eq!(zone(code, db), expected, "{code:?}");
        }
    }
}
