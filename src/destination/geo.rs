//! The round-trip bound (METRICS E15): which countries are too far for the time that an answer took.
//!
//! Takes destinations, the flows behind them and what the auditor said of each capture (vantage and place); sets `rtt_bounds`,
//! `rtt_excludes` and `rtt_note`, and takes back a country, and a law by place, that physics contradicts. A round trip never proves a country, and it speaks of the
//! machine that answered the handshake, the edge, not of an origin behind it. Where something else may have answered
//! (an on-device VPN, the server's own side, a proxy on the way) nothing is bounded, and the note says why. docs/place.md tells it to readers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt as _};
use rayon::prelude::*;

use super::aggregate::KM_PER_MS;
use super::attribute::remote;
use super::outlines::Outlines;
use super::special::special;
use crate::model::{
    Agreement, Destination, Flow, JurisdictionWhy, RttBound, Run, TooFar, Vantage, Whereabouts,
};

/// A great circle on the sphere may be longer than on the ellipsoid by at most 0.56 %.
const ELLIPSOID: f64 = 0.994;

/// How far a line of a map at 1:50 million may be from the true one: half a millimetre on paper, km.
const OUTLINE_ERROR: f64 = 25.0;

/// Codes that a bound lists by name.
const MOST_LISTED: usize = 40;

/// A public server farther than the next room does not answer within this time, milliseconds.
const LOCAL_MS: f64 = 1.0;

/// The least that the distance to a country can be, km, when its outline is `km` away.
pub fn at_least(km: f64) -> f64 {
    (km * ELLIPSOID - OUTLINE_ERROR).max(0.0)
}

/// Sets what the round trips of `flows` say of the countries of `destinations`. `run` tells what is known of a capture.
pub fn bound(destinations: &mut [Destination], flows: &[Flow], run: &dyn Fn(&str) -> Option<Run>) {
    let trips: Vec<Trip<'_>> = flows.par_iter().filter_map(Trip::of).collect();
    let captures = Captures::new(flows, &trips, run);
    if let Some(note) = captures.all_off() {
        for destination in destinations {
            let public = destination.address.parse().is_ok_and(|address| special(address).is_none());
            if public && destination.rtt_min_ms.is_some() {
                destination.rtt_note = Some(note.word().to_owned());
            }
        }
        return;
    }
    let mut seen: HashMap<IpAddr, Seen<'_>> = HashMap::new();
    let mut placed: Option<(&str, Result<&Whereabouts, Note>)> = None;
    for Trip { flow, server, rtt, remote } in trips {
        if !remote && !captures.at_server(flow) {
            continue;
        }
        let seen = seen.entry(server).or_default();
        let place = match placed {
            Some((capture, place)) if capture == flow.capture => place,
            _ => captures.place(&flow.capture),
        };
        placed = Some((&flow.capture, place));
        match place {
            Ok(place) => {
                let least = seen.least.entry(place.clone()).or_insert((rtt, flow));
                // The first of equal ones, so that the order of captures decides and not that of a map.
                if rtt < least.0 {
                    *least = (rtt, flow);
                }
            }
            Err(note) => {
                seen.notes.insert(note);
            }
        }
    }
    // The outlines are put together only where there is a place to measure from.
    let mut distances: BTreeMap<&Whereabouts, BTreeMap<&str, f64>> = BTreeMap::new();
    for destination in destinations {
        let address = destination.address.parse::<IpAddr>().ok();
        let Some(seen) = address.and_then(|address| seen.get(&address)) else { continue };
        let mut excludes = BTreeSet::new();
        for (place, trip) in &seen.least {
            let far = distances.entry(place).or_insert_with(|| Outlines::embedded().distances(place));
            let bound = one(destination, place, *trip, far);
            excludes.extend(bound.excluded.iter().map(|e| e.country.clone()));
            destination.rtt_bounds.push(bound);
        }
        if destination.country.as_ref().is_some_and(|country| excludes.contains(country)) {
            destination.country = None;
            destination.agreement = Agreement::Disagree;
        }
        // A law applies by place only where the place is possible; that of the operator's seat stays.
        destination
            .jurisdictions
            .retain(|law| law.why != JurisdictionWhy::Place || !excludes.contains(&law.code));
        destination.rtt_excludes = excludes.into_iter().collect();
        if seen.least.is_empty() {
            destination.rtt_note = seen.notes.first().map(|note| note.word().to_owned());
        }
        if seen.notes.contains(&Note::AnsweredLocally) {
            let bounds = destination.rtt_bounds.iter().map(|bound| bound.max_km);
            destination.max_km = bounds.min_by(f64::total_cmp);
        }
    }
}

/// The round trip of one flow to a public server.
struct Trip<'a> {
    flow: &'a Flow,
    server: IpAddr,
    /// Milliseconds.
    rtt: f64,
    /// The server is the remote end, as it is everywhere but at the server's side of a call.
    remote: bool,
}

impl Trip<'_> {
    fn of(flow: &Flow) -> Option<Trip<'_>> {
        let rtt = flow.rtt_ms.filter(|rtt| rtt.is_finite() && *rtt >= 0.0)?;
        let server = flow.server_address().filter(|server| special(*server).is_none())?;
        Some(Trip { flow, server, rtt, remote: remote(flow) == Some(server) })
    }
}

/// What round trips said of one address.
#[derive(Default)]
struct Seen<'a> {
    /// The smallest round trip from each place, and the flow that had it.
    least: BTreeMap<Whereabouts, (f64, &'a Flow)>,
    notes: BTreeSet<Note>,
}

/// Why round trips of a vantage bound nothing, wherever it is.
fn unsuitable(vantage: Option<Vantage>) -> Option<Note> {
    match vantage {
        Some(Vantage::Vpn) => Some(Note::VantageVpn),
        Some(Vantage::Server) => Some(Note::VantageServer),
        None => Some(Note::VantageUnknown),
        Some(Vantage::Router | Vantage::Device) => None,
    }
}

/// Why a round trip bounds nothing, in the order in which reasons are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Note {
    VantageVpn,
    VantageServer,
    VantageUnknown,
    AnsweredLocally,
    NoOutline,
    PlaceUnknown,
}

impl Note {
    fn word(self) -> &'static str {
        match self {
            Note::VantageVpn => "vantage-vpn",
            Note::VantageServer => "vantage-server",
            Note::VantageUnknown => "vantage-unknown",
            Note::AnsweredLocally => "answered-locally",
            Note::NoOutline => "no-outline",
            Note::PlaceUnknown => "place-unknown",
        }
    }
}

/// What is known of each capture, asked once.
struct Captures<'a> {
    runs: BTreeMap<&'a str, Option<Run>>,
    answered_locally: BTreeSet<&'a str>,
}

impl<'a> Captures<'a> {
    fn new(flows: &'a [Flow], trips: &[Trip<'a>], run: &dyn Fn(&str) -> Option<Run>) -> Captures<'a> {
        let mut runs: BTreeMap<&str, Option<Run>> = BTreeMap::new();
        // Flows stand by capture.
        for of_capture in flows.chunk_by(|a, b| a.capture == b.capture) {
            let Some(capture) = of_capture.first().map(|flow| flow.capture.as_str()) else { continue };
            runs.entry(capture).or_insert_with(|| run(capture));
        }
        let mut least: BTreeMap<&str, HashMap<IpAddr, f64>> = BTreeMap::new();
        for of_capture in trips.chunk_by(|a, b| a.flow.capture == b.flow.capture) {
            let Some(first) = of_capture.first() else { continue };
            let known = least.entry(&first.flow.capture).or_default();
            for trip in of_capture {
                let least = known.entry(trip.server).or_insert(trip.rtt);
                *least = least.min(trip.rtt);
            }
        }
        // One near server is a near server; most of several is something on the way that answers for them all.
        let local = |ends: &HashMap<IpAddr, f64>| {
            let near = ends.values().filter(|rtt| **rtt < LOCAL_MS).count();
            ends.len() > 1 && near * 2 > ends.len()
        };
        let answered_locally =
            least.iter().filter(|(_, ends)| local(ends)).map(|(capture, _)| *capture).collect();
        Captures { runs, answered_locally }
    }

    /// Why no capture bounds anything, where the vantage of each is unsuitable or without a place, and all for one reason. What
    /// was answered on the way is told of each end by itself, so it is none of these.
    fn all_off(&self) -> Option<Note> {
        let mut notes = self.runs.keys().map(|capture| self.place(capture).err());
        let first = notes.next()??;
        (first != Note::AnsweredLocally && notes.all(|note| note == Some(first))).then_some(first)
    }

    fn run(&self, capture: &str) -> Option<&Run> {
        self.runs.get(capture)?.as_ref()
    }

    fn at_server(&self, flow: &Flow) -> bool {
        self.run(&flow.capture).and_then(|r| r.vantage) == Some(Vantage::Server)
    }

    /// The place from which a round trip of this capture measures, or why it does not.
    fn place(&self, capture: &str) -> Result<&Whereabouts, Note> {
        let run = self.run(capture);
        if let Some(note) = unsuitable(run.and_then(|r| r.vantage)) {
            return Err(note);
        }
        if self.answered_locally.contains(capture) {
            return Err(Note::AnsweredLocally);
        }
        match run.and_then(|r| r.place.as_ref()) {
            Some(Whereabouts::Country(code)) if !Outlines::embedded().has(code) => Err(Note::NoOutline),
            Some(place) => Ok(place),
            None => Err(Note::PlaceUnknown),
        }
    }
}

fn one(
    destination: &Destination,
    place: &Whereabouts,
    (rtt_ms, flow): (f64, &Flow),
    distances: &BTreeMap<&str, f64>,
) -> RttBound {
    let max_km = rtt_ms * KM_PER_MS;
    let too_far = |code: &str| distances.get(code).map(|km| at_least(*km)).filter(|km| *km > max_km);
    let named: BTreeSet<&str> = destination.places.iter().map(|p| p.country.as_str()).collect();
    let excluded = named
        .into_iter()
        .filter_map(|code| Some(TooFar { country: code.to_owned(), km: too_far(code)? as u32 }))
        .collect();
    let possible: Vec<&str> = distances.keys().copied().filter(|code| too_far(code).is_none()).collect();
    RttBound {
        from: place.clone(),
        rtt_ms,
        capture: flow.capture.clone(),
        frames: flow.rtt_frames.clone(),
        max_km,
        excluded,
        possible: possible.len() as u32,
        possible_codes: if possible.len() > MOST_LISTED {
            Vec::new()
        } else {
            possible.into_iter().map(str::to_owned).collect()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Basis, Jurisdiction, Place};

    fn flow(capture: &str, server: &str, rtt: f64) -> Flow {
        Flow {
            capture: capture.into(),
            transport: "tcp".into(),
            client: "192.168.1.2:50000".into(),
            server: format!("{server}:443"),
            rtt_ms: Some(rtt),
            ..Flow::default()
        }
    }

    fn destination(address: &str, sources: &str) -> Destination {
        let places: Vec<Place> = sources
            .split_whitespace()
            .map(|code| Place { country: code.into(), source: "a".into(), as_of: String::new() })
            .collect();
        let (country, agreement) = super::super::place::agree(&places);
        let law = |why| Jurisdiction {
            code: "US".into(),
            why,
            basis: Basis::None,
            unverified: Vec::new(),
            as_of: String::new(),
            source: String::new(),
        };
        let jurisdictions = vec![law(JurisdictionWhy::Place), law(JurisdictionWhy::OperatorSeat)];
        Destination {
            address: address.into(),
            places,
            country,
            agreement,
            jurisdictions,
            rtt_min_ms: Some(2.0),
            max_km: Some(1.0),
            ..Destination::default()
        }
    }

    fn at(vantage: Option<Vantage>, place: &str) -> Run {
        let place = (!place.is_empty()).then(|| place.parse().unwrap());
        Run { vantage, place, ..Run::default() }
    }

    fn after(sources: &str, rtt: f64, run: Option<&Run>) -> Destination {
        let mut ends = [destination("1.1.1.1", sources)];
        bound(&mut ends, &[flow("a", "1.1.1.1", rtt)], &|_| run.cloned());
        let [end] = ends;
        end
    }

    #[test]
    fn a_country_too_far_is_struck_out_and_never_asserted() {
        let router = Some(Vantage::Router);
        for (sources, rtt, from, excludes, country) in [
            ("US US", 2.0, "47.37,8.54", "US", None),
            ("CH CH", 2.0, "47.37,8.54", "", Some("CH")),
            ("CH US", 2.0, "47.37,8.54", "US", None),
            ("US US IE", 20.0, "47.37,8.54", "US", None),
            ("IE IE US", 20.0, "47.37,8.54", "US", Some("IE")),
            ("US US", 60.0, "47.37,8.54", "", Some("US")),
            ("US US", 20.0, "DE", "US", None),
            ("CH CH", 0.5, "DE", "", Some("CH")),
            ("TV", 2.0, "47.37,8.54", "", Some("TV")), // no outline
            ("", 2.0, "47.37,8.54", "", None),
        ] {
            let end = after(sources, rtt, Some(&at(router, from)));
            assert_eq!(end.rtt_excludes.join(" "), excludes, "{sources} {rtt} {from}");
            assert_eq!(end.country.as_deref(), country, "{sources} {rtt} {from}");
            assert_eq!((end.rtt_bounds.len(), end.rtt_note), (1, None));
            let by_place = end.jurisdictions.iter().any(|law| law.why == JurisdictionWhy::Place);
            let by_seat = end.jurisdictions.iter().any(|law| law.why == JurisdictionWhy::OperatorSeat);
            assert_eq!((by_place, by_seat), (excludes != "US", true), "{sources} {rtt} {from}");
        }
        assert_eq!(after("US US", 2.0, Some(&at(router, "47.37,8.54"))).agreement, Agreement::Disagree);
    }

    #[test]
    fn off_where_something_else_may_have_answered() {
        use Vantage::{Device, Router, Server, Vpn};
        for (run, note) in [
            (Some(at(Some(Vpn), "DE")), Some("vantage-vpn")),
            (Some(at(Some(Server), "DE")), Some("vantage-server")),
            (Some(at(None, "DE")), Some("vantage-unknown")),
            (None, Some("vantage-unknown")),
            (Some(at(Some(Router), "")), Some("place-unknown")),
            (Some(at(Some(Device), "TV")), Some("no-outline")),
            (Some(at(Some(Device), "DE")), None),
        ] {
            let end = after("US US", 2.0, run.as_ref());
            assert_eq!(end.rtt_note.as_deref(), note, "{run:?}");
            assert_eq!(end.rtt_excludes.is_empty(), note.is_some(), "{run:?}");
            assert_eq!(end.country.is_some(), note.is_some(), "{run:?}");
        }
        // Two servers in one room are a proxy; a third one far away shows that it is not.
        let mut ends = [destination("1.1.1.1", "US"), destination("8.8.8.8", "US")];
        let near = [flow("a", "1.1.1.1", 0.2), flow("a", "8.8.8.8", 0.3)];
        bound(&mut ends, &near, &|_| Some(at(Some(Router), "DE")));
        for end in &ends {
            assert_eq!((end.rtt_note.as_deref(), end.max_km), (Some("answered-locally"), None));
        }
        let mut ends = [destination("1.1.1.1", "US"), destination("8.8.8.8", "US")];
        let mixed = [flow("a", "1.1.1.1", 0.2), flow("a", "8.8.8.8", 12.0)];
        bound(&mut ends, &mixed, &|_| Some(at(Some(Router), "DE")));
        assert!(ends.iter().all(|end| end.rtt_excludes == ["US"]));
    }

    /// Captures that bound nothing are left early; what is said of an end is the same as beside one that does.
    #[test]
    fn leaving_early_says_the_same() {
        let runs = [None, Some(at(Some(Vantage::Vpn), "DE")), Some(at(Some(Vantage::Router), ""))];
        for run in runs {
            let flows = [flow("a", "1.1.1.1", 2.0), flow("a", "192.168.1.1", 2.0), flow("b", "8.8.8.8", 5.0)];
            let ends = || {
                let mut silent = destination("9.9.9.9", "US");
                silent.rtt_min_ms = None;
                vec![destination("1.1.1.1", "US"), destination("192.168.1.1", ""), silent]
            };
            let (mut early, mut late) = (ends(), ends());
            let all_off = |flows: &[Flow], run: &dyn Fn(&str) -> Option<Run>| {
                let trips: Vec<Trip<'_>> = flows.iter().filter_map(Trip::of).collect();
                Captures::new(flows, &trips, run).all_off().is_some()
            };
            assert!(all_off(&flows[..2], &|_| run.clone()));
            bound(&mut early, &flows[..2], &|_| run.clone());
            let placed = |capture: &str| {
                if capture == "b" { Some(at(Some(Vantage::Router), "DE")) } else { run.clone() }
            };
            assert!(!all_off(&flows, &placed));
            bound(&mut late, &flows, &placed);
            assert_eq!(early, late);
            assert_eq!(
                [&early[0].rtt_note, &early[1].rtt_note, &early[2].rtt_note].map(Option::is_some),
                [true, false, false]
            );
        }
        // Two reasons are told of the ends that each is of.
        let mut ends = [destination("1.1.1.1", "US"), destination("8.8.8.8", "US")];
        let flows = [flow("a", "1.1.1.1", 2.0), flow("b", "8.8.8.8", 5.0)];
        bound(&mut ends, &flows, &|capture| {
            Some(at(Some(if capture == "a" { Vantage::Vpn } else { Vantage::Server }), "DE"))
        });
        assert_eq!(ends.map(|end| end.rtt_note.unwrap()), ["vantage-vpn", "vantage-server"]);
    }

    #[test]
    fn each_place_bounds_for_itself() {
        let mut ends = [destination("1.1.1.1", "AU CH")];
        let flows =
            [flow("zurich", "1.1.1.1", 3.0), flow("zurich", "1.1.1.1", 2.0), flow("sydney", "1.1.1.1", 3.0)];
        bound(&mut ends, &flows, &|capture| {
            let place = if capture == "zurich" { "47.37,8.54" } else { "-33.87,151.2" };
            Some(at(Some(Vantage::Router), place))
        });
        let [end] = &ends;
        let from: Vec<(String, f64)> =
            end.rtt_bounds.iter().map(|b| (b.from.to_string(), b.rtt_ms)).collect();
        assert_eq!(from, [("-33.87,151.2".to_owned(), 3.0), ("47.37,8.54".to_owned(), 2.0)]);
        assert_eq!(
            end.rtt_excludes,
            ["AU", "CH"],
            "an address that answers in both places is in neither alone: anycast"
        );
    }

    /// By hand for a bound of 200 km from Zurich: the outlines of these six are nearer than 200 km, all others farther than 226.
    #[test]
    fn what_is_near_enough_is_listed() {
        let end = after("US", 2.0, Some(&at(Some(Vantage::Router), "47.37,8.54")));
        let codes: Vec<&str> = end.rtt_bounds[0].possible_codes.iter().map(String::as_str).collect();
        assert_eq!(codes, ["AT", "CH", "DE", "FR", "GF", "GP", "IT", "LI", "MQ", "RE", "YT"]);
        let wide = after("US", 120.0, Some(&at(Some(Vantage::Router), "47.37,8.54")));
        assert!(wide.rtt_bounds[0].possible > 200 && wide.rtt_bounds[0].possible_codes.is_empty());
    }

    #[test]
    fn more_delay_never_strikes_out_more() {
        let router = at(Some(Vantage::Router), "50.11,8.68");
        let all = "AU BR CH DE FR GB IE JP NL SG US ZA";
        let mut last: Option<BTreeSet<String>> = None;
        for rtt in [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 90.0, 120.0, 200.0, 500.0] {
            let now: BTreeSet<String> = after(all, rtt, Some(&router)).rtt_excludes.into_iter().collect();
            assert!(last.is_none_or(|last| now.is_subset(&last)), "{rtt}");
            last = Some(now);
        }
        assert_eq!(last, Some(BTreeSet::new()));
    }
}
