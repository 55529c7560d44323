//! From matched items to frames that anyone can open in Wireshark.

use std::collections::{BTreeMap, BTreeSet};

use super::predicate::{Facts, Item};
use crate::model::{Evidence, Flow, Report};

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
            Item::Flow(f, by_signature) => {
                by_capture
                    .entry(&f.capture)
                    .or_default()
                    .add(flow_frames(f, *by_signature), describe_flow(f, *by_signature));
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
                    let places = d
                        .places
                        .iter()
                        .map(|p| format!("{} {}", p.source, p.country))
                        .collect::<Vec<_>>()
                        .join(", ");
                    let operator = d.operator.as_ref().map_or("operator unknown", |o| o.name.as_str());
                    let place =
                        if places.is_empty() { "no source knows its country".to_owned() } else { places };
                    let what = format!("{}: {operator}; {place}", d.address);
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
        let mut note = self.described.join("; ");
        if !self.more.is_empty() {
            note += &format!("; and {} more", self.more.len());
        }
        if total > frames.len() {
            note += &format!(" (the first {MAX_FRAMES} of {total} frames are listed)");
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

fn flow_frames(f: &Flow, by_signature: bool) -> Vec<u64> {
    let signed: Vec<u64> = f.signatures.iter().flat_map(|s| s.frames.iter().copied()).collect();
    if by_signature && !signed.is_empty() {
        signed
    } else if f.encryption_frames.is_empty() {
        vec![f.first_frame]
    } else {
        f.encryption_frames.clone()
    }
}

fn describe_flow(f: &Flow, by_signature: bool) -> String {
    let name = f.names.first().map(|n| format!(" ({})", n.name)).unwrap_or_default();
    let what = match f.signatures.first() {
        Some(s) if by_signature => format!("{}: {}", s.signature, s.detail),
        _ => f.encryption.clone(),
    };
    format!("{}{name}: {what}", f.server)
}
