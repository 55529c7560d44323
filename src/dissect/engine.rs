//! Drives a capture through decoding, reassembly and protocols, on one or many threads, with one result.
//!
//! Takes a [`Reader`](crate::capture::Reader); gives a [`CaptureAnalysis`]. Batches go through three stages: frames are decoded in
//! parallel, fragments are joined in order, and the packets of each flow go to the shard that its 5-tuple hashes to;
//! shards run in parallel while the next batch is decoded and the one after it is read. The number of shards is fixed and each flow sees its packets
//! in frame order, so the number of threads changes nothing in the result.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use rayon::prelude::*;

use super::ech::{EchConfigs, EchOffer};
use super::flow::{
    DnsName, Finished, FlowFinding, NamedBy, Output, REASSEMBLED, Shard, Shared, TrafficWarning,
};
use super::fragment::Pool;
use super::link;
use super::observe::Observation;
use super::packet::{Decoded, FlowKey, Fragment, OWNER_BYTES, Overhead, Packet, decode, decode_reassembled};
use super::secrets::{KeyLogFaults, Secrets};
use super::steps::StepTimes;
use crate::capture::{self, Batch, CaptureError, FileFacts, LinkType, NSS_KEY_LOG, RawFrame, Reader};
use crate::model::{
    CaptureTime, Coverage, Direction, Flow, FlowApp, FlowDensity, FlowName, Input, ReferenceSource, Warning,
};
use crate::payload::{CanarySet, Masking, Rules};

/// Shards of the flow table; fixed, so that results do not depend on the number of threads.
const SHARDS: usize = 16;

/// Observations that may wait for an earlier frame's message before they are given out all the same.
const MAX_HELD: usize = 200_000;

/// Joined datagrams whose fragments' frames are kept; older ones are known by their last frame alone.
const MAX_JOINED: usize = 1 << 16;

/// Warnings of secrets blocks that are kept.
const MAX_KEY_FAULTS: usize = 16;

/// Names from DNS answers that one flow gets at most.
const MAX_DNS_NAMES: usize = 16;

/// Fragments within fragments (of tunnels) that are put together.
const MAX_NESTED: usize = 4;

/// What an analysis shall do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Collect observations (`dissect`); otherwise only facts about flows.
    pub observe: bool,
    /// Secrets to search for.
    pub canaries: Arc<CanarySet>,
    /// What counts as a finding in readable bytes beside what dissectors tell of; none by default.
    pub rules: Arc<Rules>,
    /// Do not mask secrets.
    pub show_secrets: bool,
    /// Secrets of connections, to read what is encrypted with them; those that a capture carries come on top.
    pub secrets: Arc<Secrets>,
    /// ECH configurations that are known without their DNS answer.
    pub ech: EchConfigs,
    /// When the steps of the scenario began, to count the bytes of each.
    pub steps: Arc<StepTimes>,
    /// Decode frames and run flows on the threads of the current rayon pool.
    pub parallel: bool,
    /// Leave out what no verdict rests on and only reports show: the SHA-256 of the file and how dense flows are.
    /// [`Input::sha256`] and [`Flow::density`] are empty then.
    pub lean: bool,
}

impl Options {
    /// How secrets are shown.
    pub(super) fn masking(&self) -> Masking {
        if self.show_secrets { Masking::Off } else { Masking::On }
    }
}

impl Default for Options {
    fn default() -> Options {
        let none = CanarySet::new(&[]);
        Options {
            observe: false,
            // An empty set has nothing that could be refused.
            canaries: Arc::new(none.unwrap_or_else(|_| unreachable!("no canaries"))),
            rules: Arc::default(),
            show_secrets: false,
            secrets: Arc::default(),
            ech: EchConfigs::default(),
            steps: Arc::default(),
            parallel: false,
            lean: false,
        }
    }
}

/// All that one capture says.
#[derive(Debug, Default)]
pub struct CaptureAnalysis {
    /// The file.
    pub input: Input,
    /// The ledger.
    pub coverage: Coverage,
    /// Flows, by number; `messenger` is not filled in yet (that is `destination`'s).
    pub flows: Vec<Flow>,
    /// Findings with their flow's number and without an id, by frame.
    pub findings: Vec<crate::model::Finding>,
    /// The rules that found some of them.
    pub rules: Vec<crate::model::RuleText>,
    /// The files that told what to look for in readable bytes.
    pub sources: Vec<ReferenceSource>,
    /// Warnings, by offset.
    pub warnings: Vec<Warning>,
    /// Observations that no callback took, in frame order.
    pub observations: Vec<Observation>,
    /// DNS answers, by frame.
    pub dns: Vec<DnsName>,
    /// When each of `flows` began, in the same order.
    pub flow_times: Vec<CaptureTime>,
    /// What the file carries besides frames.
    pub file: FileFacts,
}

/// Analyses a capture in memory; `name` stands for the file.
///
/// # Errors
/// As [`capture::open`].
pub fn analyse_bytes(name: &str, bytes: &[u8], options: &Options) -> Result<CaptureAnalysis, CaptureError> {
    let reader = capture::from_bytes(name, bytes.to_vec())?;
    let mut observations = Vec::new();
    let mut analysis = analyse(name, reader, options, &mut |o| observations.push(o));
    analysis.observations = observations;
    Ok(analysis)
}

/// Analyses a capture; `name` is what the report calls it. Observations go to `observed` in frame order while the capture
/// is read.
pub fn analyse(
    name: &str,
    reader: Reader,
    options: &Options,
    observed: &mut (dyn FnMut(Observation) + Send),
) -> CaptureAnalysis {
    let mut run = Run {
        options,
        shards: (0..SHARDS).map(|_| Shard::default()).collect(),
        overhead: Overhead::default(),
        pool: Pool::default(),
        fragments: BTreeMap::new(),
        own: Output::default(),
        unsupported: BTreeMap::new(),
        links: Vec::new(),
        times: None,
        numbers: BTreeMap::new(),
        flows: 0,
        held: Vec::new(),
        secrets: Secrets::above(Arc::clone(&options.secrets)),
    };
    let mut source = Source { reader, seen: 0 };
    if options.lean {
        source.reader.without_digest();
    }
    if options.parallel {
        // Each of the three is in turn read into, decoded, and told to its flows.
        let (mut first, mut second, mut third) = (Read::default(), Read::default(), Read::default());
        source.read(&mut first);
        source.read(&mut second);
        let mut decoded = decode_batch(&first);
        while !decoded.ended {
            let after = run.step(&decoded, &second, || source.read(&mut third));
            run.give_out(observed, false);
            let last = run.step(&after, &third, || source.read(&mut first));
            run.give_out(observed, false);
            decoded = run.step(&last, &first, || source.read(&mut second));
            run.give_out(observed, false);
        }
    } else {
        let mut read = Read::default();
        while source.read(&mut read) {
            run.in_order(&read);
            run.give_out(observed, false);
        }
    }
    let reader = source.reader;
    run.finish(name, reader.into_facts(), observed)
}

/// What is read of a capture, batch by batch.
struct Source {
    reader: Reader,
    /// Secrets blocks that belong to batches before.
    seen: usize,
}

/// A batch with the secrets that stand among its frames.
#[derive(Default)]
struct Read {
    batch: Batch,
    carried: Vec<capture::Secrets>,
    /// The capture had ended before.
    ended: bool,
}

impl Source {
    /// Reads the next batch; `false` at the end.
    fn read(&mut self, into: &mut Read) -> bool {
        into.ended = !self.reader.next(&mut into.batch);
        into.carried.clear();
        if !into.ended {
            into.carried.extend_from_slice(self.reader.facts().secrets.get(self.seen..).unwrap_or_default());
            self.seen += into.carried.len();
        }
        !into.ended
    }
}

impl Read {
    /// The frames, cut where secrets stand among them, which count from their place on, wherever a batch ends.
    fn parts(&self) -> impl Iterator<Item = (&[RawFrame], Option<&capture::Secrets>)> {
        let mut rest = self.batch.frames.as_slice();
        self.carried.iter().map(Some).chain([None]).map(move |block| {
            let before = block.map_or(rest.len(), |b| rest.partition_point(|f| f.number <= b.after_frame));
            let (part, after) = rest.split_at_checked(before).unwrap_or((rest, &[]));
            rest = after;
            (part, block)
        })
    }
}

/// A batch whose frames are decoded, in chunks, and the secrets that come after them.
struct DecodedBatch<'b> {
    parts: Vec<(Vec<Chunk<'b>>, Option<&'b capture::Secrets>)>,
    ended: bool,
}

fn decode_batch(read: &Read) -> DecodedBatch<'_> {
    let decode = |(frames, block): (&'_ [RawFrame], _)| {
        let size = frames.len().div_ceil(rayon::current_num_threads() * 2).max(256);
        (frames.par_chunks(size).map(|frames| decode_chunk(&read.batch, frames)).collect(), block)
    };
    let parts = if read.ended { Vec::new() } else { read.parts().map(decode).collect() };
    DecodedBatch { parts, ended: read.ended }
}

struct Run<'o> {
    options: &'o Options,
    shards: Vec<Shard>,
    overhead: Overhead,
    pool: Pool,
    /// Frames of joined datagrams by their last frame.
    fragments: BTreeMap<u64, Vec<u64>>,
    own: Output,
    /// Faults of frames: what, first frame, its offset, how many.
    unsupported: BTreeMap<String, (u64, u64, u64)>,
    links: Vec<LinkType>,
    times: Option<(CaptureTime, CaptureTime)>,
    /// Number of each flow by its first frame; only kept while observing.
    numbers: BTreeMap<u64, u64>,
    flows: u64,
    held: Vec<Observation>,
    /// Those that the capture carried so far, above those that were given.
    secrets: Secrets,
}

/// What one chunk of frames decoded to.
struct Chunk<'b> {
    packets: Vec<Vec<Packet<'b>>>,
    fragments: Vec<Fragment<'b>>,
    overhead: Overhead,
    /// What, frame, its offset and time.
    faults: Vec<(String, u64, u64, CaptureTime)>,
    links: Vec<LinkType>,
    times: Option<(CaptureTime, CaptureTime)>,
}

/// The seed is fixed only for repeatability of the work's order; results do not depend on it.
fn shard_of(key: &FlowKey) -> usize {
    use std::hash::BuildHasher as _;
    foldhash::fast::FixedState::with_seed(1).hash_one(key) as usize % SHARDS
}

fn decode_chunk<'b>(batch: &'b Batch, frames: &[RawFrame]) -> Chunk<'b> {
    let mut chunk = Chunk {
        packets: (0..SHARDS).map(|_| Vec::with_capacity(frames.len() / 12)).collect(),
        fragments: Vec::new(),
        overhead: Overhead::default(),
        faults: Vec::new(),
        links: Vec::new(),
        times: None,
    };
    for raw in frames {
        if !chunk.links.contains(&raw.link) {
            chunk.links.push(raw.link);
        }
        chunk.times = Some(match chunk.times {
            None => (raw.time, raw.time),
            Some((first, last)) => (first.min(raw.time), last.max(raw.time)),
        });
        let Chunk { packets, fragments, overhead, faults, .. } = &mut chunk;
        decode(raw, batch.bytes(raw), overhead, |decoded| match decoded {
            Decoded::Packet(p) => {
                if let Some(list) = packets.get_mut(shard_of(&p.key)) {
                    list.push(p);
                }
            }
            Decoded::Fragment(f) => fragments.push(f),
            Decoded::Nothing(None) => {}
            Decoded::Nothing(Some(what)) => {
                faults.push((fault(raw, what), raw.number, raw.file_offset, raw.time));
            }
        });
    }
    chunk
}

/// A fault of a frame in words.
fn fault(raw: &RawFrame, what: &str) -> String {
    if what == "link type" {
        format!("link type {} is not read", raw.link.described())
    } else {
        what.to_owned()
    }
}

impl Run<'_> {
    /// Tells flows what was decoded, while the batch after it is decoded and the one after that is read: each of the three
    /// may be too small, or of one flow alone, for all threads.
    fn step<'n>(
        &mut self,
        decoded: &DecodedBatch<'_>,
        next: &'n Read,
        read: impl FnOnce() -> bool + Send,
    ) -> DecodedBatch<'n> {
        let ((), (after, _)) =
            rayon::join(|| self.tell(decoded), || rayon::join(|| decode_batch(next), read));
        after
    }

    fn tell(&mut self, decoded: &DecodedBatch<'_>) {
        for (chunks, block) in &decoded.parts {
            self.in_parallel(chunks);
            self.secrets(*block);
        }
    }

    /// Secrets that stand among the frames.
    fn secrets(&mut self, block: Option<&capture::Secrets>) {
        if let Some(block) = block.filter(|b| b.kind == NSS_KEY_LOG)
            && let Ok(faults) = self.secrets.read(block.data.as_slice())
        {
            self.key_faults(block, &faults);
        }
    }

    /// Lines of a secrets block that are none, by their numbers; their content is nobody's business.
    fn key_faults(&mut self, block: &capture::Secrets, faults: &KeyLogFaults) {
        let Some(what) = faults.text() else { return };
        if self.own.warnings.len() >= MAX_KEY_FAULTS {
            self.own.suppressed_warnings += 1;
            return;
        }
        let what = format!("secrets block: {what}");
        if self.options.observe {
            let time = self.times.map(|t| t.1).unwrap_or_default();
            self.held.push(warning(block.after_frame, block.offset, time, &what));
        }
        self.own.warnings.push(TrafficWarning { frame: block.after_frame, offset: block.offset, what });
    }

    /// Each packet goes to its flow as soon as it is decoded: no packet is kept, which is what one thread does best.
    fn in_order(&mut self, read: &Read) {
        for (frames, block) in read.parts() {
            self.part_in_order(&read.batch, frames);
            self.forget_joined();
            self.secrets(block);
        }
    }

    fn part_in_order(&mut self, batch: &Batch, frames: &[RawFrame]) {
        for raw in frames {
            if !self.links.contains(&raw.link) {
                self.links.push(raw.link);
            }
            self.times = Some(match self.times {
                None => (raw.time, raw.time),
                Some((first, last)) => (first.min(raw.time), last.max(raw.time)),
            });
            let mut overhead = Overhead::default();
            decode(raw, batch.bytes(raw), &mut overhead, |decoded| match decoded {
                Decoded::Packet(p) => self.packet(&p),
                Decoded::Fragment(f) => {
                    if let Some((bytes, f)) = self.reassemble(&f)
                        && let Decoded::Packet(p) = decode_reassembled(&f, &bytes)
                    {
                        self.packet(&p);
                    }
                }
                Decoded::Nothing(None) => {}
                Decoded::Nothing(Some(what)) => {
                    self.note(&fault(raw, what), raw.number, raw.file_offset, raw.time);
                }
            });
            self.overhead.add(&overhead);
        }
    }

    /// Adds a fragment; gives the datagram that it completes, with what is known of it. Within a tunnel that may be a fragment again.
    fn reassemble(&mut self, fragment: &Fragment<'_>) -> Option<(Vec<u8>, Fragment<'static>)> {
        let mut datagram = self.pool.add(fragment)?;
        let mut of = Fragment { payload: &[], ..*fragment };
        for _ in 0..MAX_NESTED {
            // Those of the outer datagrams, by the frames that completed them.
            let outer = |frame: &u64| self.fragments.get(frame).cloned().unwrap_or_else(|| vec![*frame]);
            let mut frames: Vec<u64> = datagram.frames.iter().flat_map(outer).collect();
            frames.sort_unstable();
            frames.dedup();
            self.fragments.insert(of.frame, frames);
            let Decoded::Fragment(inner) = decode_reassembled(&of, &datagram.bytes) else {
                return Some((datagram.bytes, of));
            };
            let next = self.pool.add(&inner);
            of = Fragment { payload: &[], ..inner };
            datagram = next?;
        }
        None
    }

    fn packet(&mut self, p: &Packet<'_>) {
        let shared = Shared { options: self.options, fragments: &self.fragments, secrets: &self.secrets };
        if let Some(shard) = self.shards.get_mut(shard_of(&p.key)) {
            shard.packet(p, shared);
        }
    }

    /// A fault of a frame; told once, in its place, so without the number of those that follow.
    fn note(&mut self, what: &str, frame: u64, offset: u64, time: CaptureTime) {
        if let Some(known) = self.unsupported.get_mut(what) {
            known.2 += 1;
            return;
        }
        self.unsupported.insert(what.to_owned(), (frame, offset, 1));
        if self.options.observe {
            self.held.push(warning(frame, offset, time, what));
        }
    }

    fn in_parallel(&mut self, chunks: &[Chunk<'_>]) {
        if chunks.is_empty() {
            return;
        }
        let mut joined: Vec<(usize, Vec<u8>, Fragment<'static>)> = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            self.overhead.add(&chunk.overhead);
            for link in &chunk.links {
                if !self.links.contains(link) {
                    self.links.push(*link);
                }
            }
            self.times = match (self.times, chunk.times) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (a, b) => a.or(b),
            };
            for (what, frame, offset, time) in &chunk.faults {
                self.note(what, *frame, *offset, *time);
            }
            for f in &chunk.fragments {
                if let Some((bytes, f)) = self.reassemble(f) {
                    joined.push((index, bytes, f));
                }
            }
        }
        let mut extra: Vec<Vec<Packet<'_>>> = (0..SHARDS).map(|_| Vec::new()).collect();
        for (_, bytes, last) in &joined {
            if let Decoded::Packet(p) = decode_reassembled(last, bytes)
                && let Some(list) = extra.get_mut(shard_of(&p.key))
            {
                list.push(p);
            }
        }
        let shared = Shared { options: self.options, fragments: &self.fragments, secrets: &self.secrets };
        let work = |(index, shard): (usize, &mut Shard)| {
            let plain = chunks.iter().filter_map(|c| c.packets.get(index)).flatten();
            match extra.get(index).filter(|e| !e.is_empty()) {
                None => plain.for_each(|p| shard.packet(p, shared)),
                Some(extra) => {
                    let mut all: Vec<&Packet<'_>> = plain.chain(extra).collect();
                    all.sort_by_key(|p| p.frame);
                    for p in all {
                        shard.packet(p, shared);
                    }
                }
            }
        };
        self.shards.par_iter_mut().enumerate().for_each(work);
        self.forget_joined();
    }

    fn forget_joined(&mut self) {
        while self.fragments.len() > MAX_JOINED {
            self.fragments.pop_first();
        }
    }

    /// Numbers the new flows and gives out the observations that no later frame can precede.
    fn give_out(&mut self, observed: &mut (dyn FnMut(Observation) + Send), all: bool) {
        if !self.options.observe {
            return;
        }
        let mut new: Vec<u64> =
            self.shards.iter_mut().flat_map(|s| s.new_flows().collect::<Vec<_>>()).collect();
        new.sort_unstable();
        for first_frame in new {
            self.flows += 1;
            self.numbers.insert(first_frame, self.flows);
        }
        for (index, shard) in self.shards.iter_mut().enumerate() {
            for mut o in shard.out.observations.drain(..) {
                // Frames belong to one flow each, so ties within a frame come from one shard and keep its order.
                o.order = o.order * SHARDS as u64 + index as u64;
                self.held.push(o);
            }
        }
        let limit = if all || self.held.len() > MAX_HELD {
            u64::MAX
        } else {
            self.shards.iter().filter_map(Shard::held_back).min().unwrap_or(u64::MAX)
        };
        self.held.sort_by_key(|o| (o.frame, o.order));
        let ready = self.held.partition_point(|o| o.frame < limit);
        let configurations: Vec<link::EchSeen> =
            self.shards.iter().flat_map(|s| s.out.ech.iter().cloned()).collect();
        let masks = self.masks();
        for mut o in self.held.drain(..ready) {
            if o.kind == "tls.client_hello"
                && o.fields.get("ech").is_some_and(|e| e == "unknown")
                && ech_offer(&o.fields)
                    .is_some_and(|offer| link::is_outer(&offer, o.frame, &configurations, &self.options.ech))
            {
                o.fields.insert("ech".into(), "outer".into());
            }
            o.flow = self.numbers.get(&o.flow).copied().unwrap_or_default();
            if masks {
                o.fields.values_mut().for_each(|v| self.options.canaries.mask_value(v));
            }
            observed(o);
        }
    }

    fn finish(
        mut self,
        name: &str,
        file: FileFacts,
        observed: &mut (dyn FnMut(Observation) + Send),
    ) -> CaptureAnalysis {
        let shared = Shared { options: self.options, fragments: &self.fragments, secrets: &self.secrets };
        if self.options.parallel {
            self.shards.par_iter_mut().for_each(|s| s.finish(shared));
        } else {
            self.shards.iter_mut().for_each(|s| s.finish(shared));
        }
        self.file_warnings(&file);
        self.give_out(observed, true);
        let mut facts: Vec<Finished> = Vec::with_capacity(self.shards.iter().map(Shard::len).sum());
        self.shards.iter_mut().for_each(|s| facts.extend(s.take_finished()));
        // What is of no account to each other is put into order side by side.
        let mut dns: Vec<DnsName> =
            self.shards.iter_mut().flat_map(|s| std::mem::take(&mut s.out.dns)).collect();
        let mut findings: Vec<FlowFinding> =
            self.shards.iter_mut().flat_map(|s| std::mem::take(&mut s.out.findings)).collect();
        rayon::join(
            || facts.par_sort_unstable_by_key(|f| f.facts().first_frame),
            || rayon::join(|| sort_dns(&mut dns), || sort_findings(&mut findings)),
        );
        let flow_times = facts.iter().map(|f| f.facts().first_time).collect();
        // A flow's number is its place among the first frames, counted from 1.
        let first_frames: Vec<u64> = facts.iter().map(|f| f.facts().first_frame).collect();
        let mut warnings: Vec<TrafficWarning> = std::mem::take(&mut self.own.warnings);
        warnings.extend(self.shards.iter_mut().flat_map(|s| std::mem::take(&mut s.out.warnings)));
        let sum = |of: fn(&Output) -> u64| {
            self.shards.iter().map(|s| of(&s.out)).chain([of(&self.own)]).sum::<u64>()
        };
        for (count, what) in [
            (sum(|o| o.suppressed_warnings), "more warnings were not kept"),
            (sum(|o| o.suppressed_findings), "more findings were not kept"),
            (sum(|o| o.suppressed_names), "more DNS answers were not kept for the names of flows"),
            (sum(|o| o.given_up), "times a flow gave up what it held back, because memory was short"),
        ] {
            if count > 0 {
                let what = format!("{count} {what}");
                warnings.push(TrafficWarning { frame: file.frames, offset: file.decoded_bytes, what });
            }
        }
        warnings.par_sort_by(|a, b| (a.offset, a.frame, &a.what).cmp(&(b.offset, b.frame, &b.what)));
        let coverage = self.coverage(name, &file);
        let mut configurations: Vec<link::EchSeen> =
            self.shards.iter_mut().flat_map(|s| std::mem::take(&mut s.out.ech)).collect();
        configurations.sort();
        let mut flows = flows(name, facts, &dns, self.options);
        link::settle_ech(&mut flows, &configurations, &self.options.ech);
        let (linked, (rules, findings)) = rayon::join(
            || link::sessions_seen_again(name, &flows),
            || {
                let ids = findings.iter().filter_map(|f| f.raw.rule.as_deref()).collect();
                let rules = self.options.rules.texts(&ids);
                let told = |f: FlowFinding| {
                    let number = first_frames.binary_search(&f.flow).map_or(0, |at| at as u64 + 1);
                    f.raw.into_finding(name, number, Some(f.direction), f.frames)
                };
                (rules, findings.into_iter().map(told).collect::<Vec<_>>())
            },
        );
        let masks = self.masks().then(|| Arc::clone(&self.options.canaries));
        let mut analysis = CaptureAnalysis {
            input: Input {
                path: None,
                file: name.to_owned(),
                sha256: file.sha256.clone(),
                bytes: file.stored_bytes,
                decoded_bytes: file.decoded_bytes,
                frames: file.frames,
                first_time: self.times.map(|(first, _)| first.rfc3339()),
                last_time: self.times.map(|(_, last)| last.rfc3339()),
                link_types: self
                    .links
                    .iter()
                    .map(|l| l.name())
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
                truncated: file.truncated,
                run: None,
            },
            coverage,
            flows,
            rules,
            findings: findings.into_iter().chain(linked).collect(),
            warnings: warnings
                .into_iter()
                .map(|w| Warning {
                    capture: name.to_owned(),
                    frame: (w.frame > 0).then_some(w.frame),
                    offset: w.offset,
                    what: w.what,
                    data_age: None,
                })
                .collect(),
            sources: self.sources(),
            observations: Vec::new(),
            dns,
            flow_times,
            file,
        };
        if let Some(canaries) = masks {
            mask(&mut analysis, &canaries);
        }
        analysis
    }

    /// Faults of the file and of frames become warnings; those of frames were told as observations where they stood.
    fn file_warnings(&mut self, file: &FileFacts) {
        let mut all: Vec<TrafficWarning> = file
            .faults
            .iter()
            .map(|f| TrafficWarning { frame: f.after_frame, offset: f.offset, what: f.what.clone() })
            .collect();
        if self.options.observe {
            let time = self.times.map(|t| t.1).unwrap_or_default();
            self.held.extend(all.iter().map(|w| warning(w.frame, w.offset, time, &w.what)));
        }
        for (what, (frame, offset, count)) in &self.unsupported {
            let what =
                if *count > 1 { format!("{what} ({count} frames, this is the first)") } else { what.clone() };
            all.push(TrafficWarning { frame: *frame, offset: *offset, what });
        }
        self.own.warnings.append(&mut all);
    }

    /// Files of rules, and of keys where canaries are sought.
    fn sources(&self) -> Vec<ReferenceSource> {
        let keys = (!self.options.canaries.is_empty()).then(crate::payload::keys_source);
        self.options.rules.sources().iter().cloned().chain(keys).collect()
    }

    /// Planted secrets are to be hidden wherever an output would quote them.
    fn masks(&self) -> bool {
        !self.options.show_secrets && !self.options.canaries.is_empty()
    }

    fn coverage(&self, name: &str, file: &FileFacts) -> Coverage {
        let mut classes: BTreeMap<String, u64> = BTreeMap::new();
        let mut reassembled = 0;
        for (class, bytes) in self.shards.iter().flat_map(|s| s.ledger.iter()) {
            if class == REASSEMBLED {
                reassembled += bytes;
            } else {
                *classes.entry(class.to_owned()).or_default() += bytes;
            }
        }
        for (class, bytes) in self.overhead.fields() {
            *classes.entry(class.to_owned()).or_default() += bytes;
        }
        if let Some(fragments) = classes.get_mut("fragment") {
            *fragments = fragments.saturating_sub(reassembled);
        }
        *classes.entry("file".into()).or_default() += file.structure_bytes;
        *classes.entry("unread".into()).or_default() += file.unread_bytes;
        classes.retain(|_, bytes| *bytes > 0);
        let total = classes.values().sum();
        debug_assert_eq!(total, file.decoded_bytes, "{name}: the ledger misses bytes");
        let stored = (file.stored_bytes != file.decoded_bytes).then_some(file.stored_bytes);
        Coverage { capture: name.to_owned(), total, stored, classes }
    }
}

/// Nanoseconds for which an answer is not called expired after its TTL: a program that asked takes a moment to connect,
/// and a TTL of 0 (RFC 1035 section 3.2.1) is meant for just that connection.
const DNS_GRACE: i64 = 5_000_000_000;

fn sort_dns(dns: &mut [DnsName]) {
    dns.par_sort_by(|a, b| (a.frame, &a.name, a.address).cmp(&(b.frame, &b.name, b.address)));
}

fn sort_findings(findings: &mut [FlowFinding]) {
    findings.par_sort_by(|a, b| {
        (a.frames.first(), a.flow, a.raw.range, &a.raw.what).cmp(&(
            b.frames.first(),
            b.flow,
            b.raw.range,
            &b.raw.what,
        ))
    });
}

/// A fault of the file or of a frame as an observation.
fn warning(frame: u64, offset: u64, time: CaptureTime, what: &str) -> Observation {
    Observation {
        frame,
        order: u64::MAX,
        time,
        frames: Vec::new(),
        flow: 0,
        src: None,
        dst: None,
        kind: "warning",
        tunnel: Vec::new(),
        fields: serde_json::json!({"offset": offset, "what": what}).as_object().cloned().unwrap_or_default(),
    }
}

/// Hides planted secrets in all texts that came from the traffic.
fn mask(analysis: &mut CaptureAnalysis, canaries: &CanarySet) {
    for flow in &mut analysis.flows {
        flow.names.iter_mut().for_each(|n| canaries.mask(&mut n.name));
        flow.signatures.iter_mut().for_each(|s| canaries.mask(&mut s.detail));
        if let Some(tls) = &mut flow.tls {
            let texts = [&mut tls.sni, &mut tls.subject, &mut tls.issuer];
            texts.into_iter().flatten().chain(&mut tls.alpn).for_each(|text| canaries.mask(text));
        }
    }
    analysis.findings.iter_mut().for_each(|f| canaries.mask(&mut f.what));
    analysis.warnings.iter_mut().for_each(|w| canaries.mask(&mut w.what));
}

/// An app as a recorder on the device noted it: number, then the name up to its first zero.
fn owner(bytes: &[u8; OWNER_BYTES]) -> FlowApp {
    let (uid, name) =
        bytes.split_first_chunk::<4>().map_or((-1, &[][..]), |(uid, name)| (i32::from_be_bytes(*uid), name));
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    FlowApp { uid, name: String::from_utf8_lossy(name.get(..end).unwrap_or_default()).into_owned() }
}

/// Facts in the report's words, with names from DNS answers that the client had before.
fn flows(name: &str, finished: Vec<Finished>, dns: &[DnsName], options: &Options) -> Vec<Flow> {
    // For each name of an address the first answer, and all of them by frame with the latest end of use up to there.
    type Known<'a> = (&'a DnsName, Vec<(u64, CaptureTime)>);
    let steps = &options.steps;
    let mut answers: HashMap<(std::net::IpAddr, std::net::IpAddr), Vec<Known<'_>>> = HashMap::new();
    for answer in dns {
        let known = answers.entry((answer.client, answer.address)).or_default();
        if let Some((_, until)) = known.iter_mut().find(|(k, _)| k.name == answer.name && k.by == answer.by) {
            let latest = until.last().map_or(answer.until, |(_, t)| (*t).max(answer.until));
            until.push((answer.frame, latest));
        } else if known.len() < MAX_DNS_NAMES {
            // Answers come by frame, so later names would never be used.
            known.push((answer, vec![(answer.frame, answer.until)]));
        }
    }
    // As long as most addresses with their ports are, so that the text is not moved while it grows.
    let text = |end: &super::Endpoint| {
        let mut text = String::with_capacity(24);
        // Writing to a string does not fail.
        let _ = write!(text, "{end}");
        text
    };
    let told = |(index, f): (usize, Finished)| {
        let f = f.into_facts();
        let (word, evidence) = f.encryption_word();
        let (word, evidence) = (word.to_owned(), evidence.to_vec());
        let clear_bytes = f.clear_bytes();
        let density = if options.lean { Vec::new() } else { density(&f) };
        let mut names: Vec<FlowName> = f
            .names
            .into_iter()
            .map(|(name, source, frame)| FlowName { name, source: source.into(), frame, expired: false })
            .collect();
        // A resolver answers for many names; its own flows are not named by its answers.
        if let Some(known) = answers.get(&(f.client.addr(), f.server.addr())) {
            // What an address is called is often asked after the fact, and no flow comes about by it.
            let told = known.iter().filter(|(a, _)| a.by == NamedBy::Pointer || a.frame < f.first_frame);
            let resolved = |name: &str| {
                let mut earlier = known.iter().filter(|(a, _)| a.frame < f.first_frame);
                earlier.any(|(a, _)| a.by == NamedBy::Address && a.name == name)
            };
            for (answer, all) in told {
                let source = answer.by.source();
                if answer.by == NamedBy::Pointer {
                    let (name, frame) = (answer.name.clone(), answer.frame);
                    names.push(FlowName { name, source: source.into(), frame, expired: false });
                    continue;
                }
                // A hint says nothing more where the address itself was answered.
                if answer.by == NamedBy::Hint && resolved(&answer.name) {
                    continue;
                }
                let before = all.partition_point(|(frame, _)| *frame < f.first_frame);
                let until = before.checked_sub(1).and_then(|i| all.get(i)).map_or(answer.until, |(_, t)| *t);
                names.push(FlowName {
                    name: answer.name.clone(),
                    source: source.into(),
                    frame: answer.frame,
                    expired: f.first_time.0 > until.0.saturating_add(DNS_GRACE),
                });
            }
        }
        Flow {
            capture: name.to_owned(),
            flow: index as u64 + 1,
            transport: f.proto.name(),
            client: text(&f.client),
            server: text(&f.server),
            app_protocols: f.protocols.iter().map(|p| (*p).to_owned()).collect(),
            names,
            messenger: None,
            messenger_why: None,
            ja4: f.ja4,
            bytes_up: f.bytes[0],
            bytes_down: f.bytes[1],
            by_step: steps.named(&f.by_step),
            frames: f.frames,
            first_frame: f.first_frame,
            last_frame: f.last_frame,
            encryption: word,
            encryption_frames: evidence,
            clear_bytes,
            unread_bytes: f.unread,
            clear_messages: f.clear_messages,
            tls: f.tls,
            signatures: f.signatures,
            call: f.call.map(|mut call| {
                call.times = (f.first_time, f.last_time);
                call
            }),
            times: (f.first_time, f.last_time),
            tunnel: f.tunnel.layers().map(str::to_owned).collect(),
            rtt_ms: f.rtt_ms,
            rtt_frames: f.rtt_frames,
            app: f.owner.as_ref().map(owner),
            also_seen: None,
            density,
        }
    };
    if options.parallel {
        finished.into_par_iter().enumerate().map(told).collect()
    } else {
        finished.into_iter().enumerate().map(told).collect()
    }
}

/// How dense each direction with payload is; figures are rounded, so that no digit of a sum's order is in them.
fn density(facts: &super::flow::FlowFacts) -> Vec<FlowDensity> {
    let rounded = |value: f64, parts: f64| (value * parts).round() / parts;
    let none = Default::default();
    let density = facts.density.as_deref().unwrap_or(&none);
    [Direction::Up, Direction::Down]
        .into_iter()
        .zip(facts.sent.iter().zip(density))
        .filter_map(|(direction, (sent, density))| {
            Some(FlowDensity {
                direction,
                class: crate::payload::density::class(*sent, facts.encryption.is_some(), density)?,
                bytes: sent.iter().sum(),
                looked_at: density.looked_at(),
                entropy_bits: density.entropy_bits().map(|bits| rounded(bits, 1000.0)),
                chi_square: density.chi_square().map(|chi| rounded(chi, 10.0)),
            })
        })
        .collect()
}

/// Opens and analyses a file under the name that the report gives it.
///
/// # Errors
/// As [`capture::open`].
pub fn analyse_file(
    path: &Path,
    name: &str,
    options: &Options,
    observed: &mut (dyn FnMut(Observation) + Send),
) -> Result<CaptureAnalysis, CaptureError> {
    Ok(analyse(name, capture::open(path)?, options, observed))
}

/// What a client hello's observation shows of ECH, with its server name.
fn ech_offer(fields: &serde_json::Map<String, serde_json::Value>) -> Option<EchOffer<'_>> {
    Some(EchOffer {
        sni: fields.get("sni")?.as_str()?,
        id: fields.get("ech_config_id")?.as_u64()?,
        suite: fields.get("ech_suite")?.as_str()?,
        enc: fields.get("ech_enc_bytes")?.as_u64()?,
    })
}
