//! From matched items to frames that anyone can open in Wireshark.

use std::collections::{BTreeMap, BTreeSet};

use super::predicate::{Facts, Item, Shown};
use crate::model::{Destination, Evidence, Flow, Jurisdiction, JurisdictionWhy, Report, SignatureHit};

/// Frames that one piece of evidence lists.
pub(super) const MAX_FRAMES: usize = 64;

/// Things that a note describes.
const MAX_DESCRIBED: usize = 3;

#[derive(Default)]
struct Gathered {
    frames: BTreeSet<u64>,
    described: Vec<String>,
    more: BTreeSet<String>,
}

/// One piece of evidence a capture, in the captures' order.
pub(super) fn gather(report: &Report, facts: &Facts<'_>, items: &[Item<'_>]) -> Vec<Evidence> {
    let mut by_capture: BTreeMap<&str, Gathered> = BTreeMap::new();
    for item in items {
        match item {
            Item::Flow(f, shown) => {
                by_capture
                    .entry(&f.capture)
                    .or_default()
                    .add(flow_frames(f, *shown), describe_flow(f, *shown));
            }
            Item::Name(f, n) => {
                let what = format!("{} ({})", n.name, n.source);
                by_capture.entry(&f.capture).or_default().add(vec![n.frame], what);
            }
            Item::Finding(f) => {
                by_capture.entry(&f.capture).or_default().add(f.frames.clone(), f.what.clone());
            }
            Item::Call(call) => {
                let shown = call.exposed.iter().filter(|e| e.kind != "relay" && e.sent_to.is_some());
                let mut frames: Vec<u64> =
                    shown.flat_map(|e| std::iter::once(e.frame).chain(e.sent_to)).collect();
                if frames.is_empty() {
                    frames.push(call.first_frame);
                }
                let what = format!(
                    "call: {} bytes of media straight to {}, {} over relays and servers",
                    call.peer_bytes,
                    if call.peers.is_empty() { "nobody".to_owned() } else { call.peers.join(", ") },
                    call.relay_bytes.saturating_add(call.server_bytes)
                );
                by_capture.entry(&call.capture).or_default().add(frames, what);
            }
            Item::Step(done) => {
                let rate = done.per_hour(done.bytes).map(|n| format!(", {n:.0} an hour")).unwrap_or_default();
                let what = format!(
                    "step {}: {:.0} s, {} bytes{rate}; {} of them in flows that are the messenger's by more than the run",
                    done.step, done.seconds, done.bytes, done.own
                );
                by_capture.entry(done.capture).or_default().add(vec![done.frame], what);
            }
            Item::Dose(measure) => {
                for part in &measure.evidence {
                    let gathered = by_capture.entry(&part.capture).or_default();
                    gathered.add(part.frames.clone(), part.note.clone());
                }
            }
            Item::Destination(d, shown)
                if shown.round_trip
                    && d.rtt_bounds.iter().any(|b| !b.frames.is_empty() && facts.has_capture(&b.capture)) =>
            {
                for bound in d.rtt_bounds.iter().filter(|b| facts.has_capture(&b.capture)) {
                    let far: Vec<&str> = bound.excluded.iter().map(|e| e.country.as_str()).collect();
                    let far = if far.is_empty() { "no country".to_owned() } else { far.join(", ") };
                    let (ms, km) = (bound.rtt_ms, bound.max_km);
                    let place = describe_destination(d);
                    let what =
                        format!("{place}; round trip {ms:.3} ms, at most {km:.0} km: too far is {far}");
                    by_capture.entry(&bound.capture).or_default().add(bound.frames.clone(), what);
                }
            }
            Item::Destination(d, _) => {
                for flow in facts.flows_at(d) {
                    let what = describe_destination(d);
                    by_capture.entry(&flow.capture).or_default().add(vec![flow.first_frame], what);
                }
            }
        }
    }
    report
        .inputs
        .iter()
        .filter_map(|input| {
            let gathered = by_capture.remove(input.file.as_str())?;
            Some(gathered.finish(&input.file, &input.sha256))
        })
        .collect()
}

impl Gathered {
    fn add(&mut self, frames: Vec<u64>, what: String) {
        self.frames.extend(frames);
        if self.described.contains(&what) {
            return;
        }
        if self.described.len() < MAX_DESCRIBED {
            self.described.push(what);
        } else {
            self.more.insert(what);
        }
    }

    fn finish(self, capture: &str, sha256: &str) -> Evidence {
        let total = self.frames.len();
        let frames: Vec<u64> = self.frames.into_iter().take(MAX_FRAMES).collect();
        let mut parts = self.described;
        if !self.more.is_empty() {
            parts.push(format!("and {} more", self.more.len()));
        }
        let mut note = parts.join("; ");
        if total > frames.len() {
            note = format!("{note} (the first {MAX_FRAMES} of {total} frames are listed)");
        }
        Evidence {
            capture: capture.to_owned(),
            sha256: sha256.to_owned(),
            filter: Evidence::filter_of(&frames),
            frames,
            note,
        }
    }
}

fn flow_frames(f: &Flow, shown: Shown<'_>) -> Vec<u64> {
    let mut frames: Vec<u64> = signatures(f, shown).flat_map(|s| s.frames.iter().copied()).collect();
    if shown.certificate {
        frames.extend(f.tls.as_ref().and_then(|t| t.certificate));
    }
    if shown.encryption || frames.is_empty() {
        frames.extend(&f.encryption_frames);
    }
    if frames.is_empty() {
        frames.push(f.first_frame);
    }
    frames
}

fn describe_flow(f: &Flow, shown: Shown<'_>) -> String {
    let name = f.names.iter().find(|n| n.source != "reverse");
    let name = name.map(|n| format!(" ({})", n.name)).unwrap_or_default();
    let mut what: Vec<String> =
        signatures(f, shown).map(|s| format!("{}: {}", s.signature, s.detail)).collect();
    if let Some(tls) = f.tls.as_ref().filter(|_| shown.certificate) {
        let faults = match &tls.certificate_faults[..] {
            [] => String::new(),
            faults => format!(" ({})", faults.join(", ")),
        };
        let issuer = tls.issuer.as_ref().map(|issuer| format!(" issued by {issuer}")).unwrap_or_default();
        what.extend(tls.subject.as_ref().map(|subject| format!("certificate of {subject}{issuer}{faults}")));
    }
    if shown.encryption || what.is_empty() {
        what.push(f.encryption.clone());
    }
    format!("{}{name}: {}", f.server, what.join(", "))
}

/// The signatures that the predicate named, of those that fired.
fn signatures<'f>(f: &'f Flow, shown: Shown<'f>) -> impl Iterator<Item = &'f SignatureHit> {
    f.signatures.iter().filter(move |s| shown.signatures.contains(&s.signature))
}

/// Operator with its seat, and what each source says of the place: they are named one by one, for they may disagree.
fn describe_destination(d: &Destination) -> String {
    let operator = d.operator.as_ref().map_or("operator unknown", |o| o.name.as_str());
    let seat = d.jurisdictions.iter().find(|j| j.why == JurisdictionWhy::OperatorSeat);
    let doubt = |j: &Jurisdiction| if j.unverified.is_empty() { "" } else { ", unverified" };
    let seat = seat.map(|j| format!(" (seat {}{})", j.code, doubt(j))).unwrap_or_default();
    let places: Vec<String> = d.places.iter().map(|p| format!("{} {}", p.source, p.country)).collect();
    let places = if places.is_empty() { "no source knows its country".to_owned() } else { places.join(", ") };
    format!("{}: {operator}{seat}; {places}", d.address)
}
