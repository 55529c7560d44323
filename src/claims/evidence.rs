//! From matched items to frames that anyone can open in Wireshark.

use std::collections::{BTreeMap, BTreeSet};

use super::predicate::{Facts, Item, Shown};
use crate::model::{Destination, Evidence, Flow, JurisdictionWhy, Report};

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
            Item::Destination(d) => {
                for flow in d.flows.iter().filter_map(|handle| facts.by_handle.get(handle)) {
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
            filter: filter(&frames),
            frames,
            note,
        }
    }
}

/// A Wireshark display filter that shows these frames.
pub(super) fn filter(frames: &[u64]) -> String {
    let list: Vec<String> = frames.iter().map(ToString::to_string).collect();
    match &list[..] {
        [] => String::new(),
        [one] => format!("frame.number == {one}"),
        _ => format!("frame.number in {{{}}}", list.join(", ")),
    }
}

fn flow_frames(f: &Flow, shown: Shown) -> Vec<u64> {
    let special: Vec<u64> = match shown {
        Shown::Encryption => Vec::new(),
        Shown::Signature => f.signatures.iter().flat_map(|s| s.frames.iter().copied()).collect(),
        Shown::Certificate => f.tls.as_ref().and_then(|t| t.certificate).into_iter().collect(),
    };
    if !special.is_empty() {
        special
    } else if f.encryption_frames.is_empty() {
        vec![f.first_frame]
    } else {
        f.encryption_frames.clone()
    }
}

fn describe_flow(f: &Flow, shown: Shown) -> String {
    let name = f.names.first().map(|n| format!(" ({})", n.name)).unwrap_or_default();
    let subject = f.tls.as_ref().and_then(|t| t.subject.as_ref());
    let what = match (shown, f.signatures.first(), subject) {
        (Shown::Signature, Some(s), _) => format!("{}: {}", s.signature, s.detail),
        (Shown::Certificate, _, Some(subject)) => format!("certificate of {subject}"),
        _ => f.encryption.clone(),
    };
    format!("{}{name}: {what}", f.server)
}

/// Operator with its seat, and what each source says of the place: they are named one by one, for they may disagree.
fn describe_destination(d: &Destination) -> String {
    let operator = d.operator.as_ref().map_or("operator unknown", |o| o.name.as_str());
    let seat = d.jurisdictions.iter().find(|j| j.why == JurisdictionWhy::OperatorSeat);
    let seat = seat.map(|j| format!(" (seat {})", j.code)).unwrap_or_default();
    let places: Vec<String> = d.places.iter().map(|p| format!("{} {}", p.source, p.country)).collect();
    let places = if places.is_empty() { "no source knows its country".to_owned() } else { places.join(", ") };
    format!("{}: {operator}{seat}; {places}", d.address)
}
