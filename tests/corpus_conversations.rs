//! Flows against tshark's conversations, for every TCP and UDP conversation of the corpus: both ends, frames, and bytes each way.
//!
//! Twice: rounded, as `conversations.txt` has them (`tshark -q -z conv,tcp -z conv,udp`), and to the byte, summed up from the fields
//! that tshark gives of each frame where it is installed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use common::{corpus, metaleak, shared, truth as stored};
use metaleak::model::{Flow, Report};

/// Transport, both ends with the bytes that each sent as tshark prints them, and frames.
type Row = (String, [(String, String); 2], u64);

/// Captures with tunnels, where tshark lists the outer conversations beside the inner ones; metaleak's flows are the inner ones.
const OUTER: &[(&str, &str)] = &[
    ("ndpi-ipv6_in_gtp.pcap", ":2152"),
    ("ndpi-zoom.pcap", ":2152"),
    ("ndpi-vxlan.pcap", ":4789"),
    ("ja4-gre-erspan-vxlan.pcap", ":4790"),
    ("zeek-tunnels-Teredo.pcap", ":3544"),
    // To a relay on a port of its own, where tshark does not look inside.
    ("zeek-tunnels-Teredo.pcap", ":32900"),
];

/// Flows within a tunnel that tshark does not look into: file, one end.
const INNER: &[(&str, &str)] = &[("zeek-tunnels-Teredo.pcap", "2001:4860:0:2001::68:80")];

/// Rows of tshark in [`OUTER`]: of its own conversations, and of the innermost packets that it reads.
const OUTER_ROWS: usize = 16;
const OUTER_STREAMS: usize = 3;

/// `bytes` as tshark 4.0 prints them: whole bytes below 10 000, then kB and MB, cut off.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn row(transport: &str, mut ends: [(String, String); 2], frames: u64) -> Row {
    ends.sort();
    (transport.to_owned(), ends, frames)
}

/// The lines of a `conversations.txt`.
fn truth(text: &str) -> Vec<Row> {
    let mut transport = "";
    let mut rows = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["TCP", "Conversations"] => transport = "tcp",
            ["UDP", "Conversations"] => transport = "udp",
            // A <-> B, frames and bytes of B, of A, of both.
            [a, "<->", b, _, down, down_unit, _, up, up_unit, frames, ..] => {
                let up = (a.to_owned(), format!("{up} {up_unit}"));
                let down = (b.to_owned(), format!("{down} {down_unit}"));
                rows.push(row(transport, [up, down], frames.parse().expect("a count")));
            }
            _ => {}
        }
    }
    rows
}

/// TCP and UDP flows of the corpus by capture.
fn flows(shared: &Path) -> &'static BTreeMap<String, Vec<Flow>> {
    static FLOWS: OnceLock<BTreeMap<String, Vec<Flow>>> = OnceLock::new();
    FLOWS.get_or_init(|| {
        let output = metaleak()
            .args(["replay", "--quiet", "--format", "json", "-o", "-"])
            .args(corpus(shared).values())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Report = serde_json::from_slice(&output.stdout).expect("a report");
        let mut flows: BTreeMap<String, Vec<Flow>> = BTreeMap::new();
        for flow in report.flows.into_iter().filter(|f| matches!(f.transport.as_str(), "tcp" | "udp")) {
            flows.entry(flow.capture.clone()).or_default().push(flow);
        }
        flows
    })
}

/// What metaleak's flows are against what tshark's conversations are, over all captures.
#[derive(Default)]
struct Tally {
    total: usize,
    equal: usize,
    outer: usize,
    differences: String,
}

impl Tally {
    /// Compares those of one capture; `shown` writes bytes as the truth has them.
    fn compare(&mut self, name: &str, known: Vec<Row>, flows: &[Flow], shown: fn(u64) -> String) {
        let mut counts: BTreeMap<Row, i64> = BTreeMap::new();
        for known in known {
            let tunnel = OUTER
                .iter()
                .any(|(file, port)| *file == name && known.1.iter().any(|(end, _)| end.ends_with(port)));
            if tunnel {
                self.outer += 1;
            } else {
                *counts.entry(known).or_default() += 1;
                self.total += 1;
            }
        }
        for flow in flows {
            let end = |end: &str| end.replace(['[', ']'], "");
            let ends =
                [(end(&flow.client), shown(flow.bytes_up)), (end(&flow.server), shown(flow.bytes_down))];
            if INNER.iter().any(|(file, inner)| *file == name && ends.iter().any(|(end, _)| end == inner)) {
                assert_eq!(flow.tunnel, ["teredo"]);
                continue;
            }
            let ours = row(&flow.transport, ends, flow.frames);
            let left = counts.entry(ours).or_default();
            self.equal += usize::from(*left > 0);
            *left -= 1;
        }
        for (row, left) in counts.iter().filter(|(_, left)| **left != 0) {
            let what = if *left > 0 { "missing" } else { "extra" };
            let _ = writeln!(self.differences, "  {what} {name}: {row:?}");
        }
    }

    fn check(&self, outer: usize) {
        let Tally { total, equal, outer: left_out, differences } = self;
        println!(
            "conversations: {total} of tshark, {equal} equal, {left_out} outer ones of tunnels left out"
        );
        assert!(differences.is_empty(), "{differences}");
        assert_eq!((*equal, *left_out), (*total, outer), "equal ones, and outer ones of tunnels");
        assert!(*total > 1000, "the truth holds only {total} conversations");
    }
}

/// Fields of a frame, in the order in which tshark is asked for them.
const FIELDS: [&str; 14] = [
    "frame.len",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "tcp.stream",
    "tcp.srcport",
    "tcp.dstport",
    "udp.stream",
    "udp.srcport",
    "udp.dstport",
    "tcp.hdr_len",
    "_ws.malformed",
];

/// A sender, a receiver and the frame's size: the innermost TCP or UDP packet of a frame; with tshark's number of its stream.
/// `None` for frames without one, for packets quoted in ICMP errors, and for TCP headers that are cut or too short to be one: tshark
/// counts no conversation for those either.
fn packet(line: &str) -> Option<(String, String, [String; 2], u64)> {
    let cells: Vec<&str> = line.split('\t').collect();
    assert_eq!(cells.len(), FIELDS.len(), "fields of {line:?}");
    let last = |field: &str| {
        let place = FIELDS.iter().position(|known| *known == field).unwrap();
        cells[place].rsplit(',').next().unwrap_or_default()
    };
    let layers: Vec<&str> = cells[1].split(':').collect();
    if layers.iter().any(|layer| matches!(*layer, "icmp" | "icmpv6")) {
        return None;
    }
    let place = layers.iter().rposition(|layer| matches!(*layer, "tcp" | "udp"))?;
    let transport = layers[place];
    let network = layers[..place].iter().rfind(|layer| matches!(**layer, "ip" | "ipv6"))?;
    let stream = last(&format!("{transport}.stream"));
    let cut = cells[13].contains("Malformed Packet: TCP]");
    if stream.is_empty()
        || transport == "tcp" && (cut || last("tcp.hdr_len").parse().is_ok_and(|n: u32| n < 20))
    {
        return None;
    }
    let end = |side: &str| {
        format!("{}:{}", last(&format!("{network}.{side}")), last(&format!("{transport}.{side}port")))
    };
    Some((
        transport.to_owned(),
        stream.to_owned(),
        [end("src"), end("dst")],
        cells[0].parse().expect("a size"),
    ))
}

/// Transport, tshark's number, and both ends.
type Stream = (String, String, BTreeSet<String>);
/// What each end sent.
type Sent = [(String, u64); 2];

/// tshark's conversations of a capture to the byte; what it says on standard error (of a cut file) is no failure.
fn streams(file: &Path) -> Vec<Row> {
    let fields = FIELDS.iter().flat_map(|field| ["-e", field]);
    let output =
        Command::new("tshark").arg("-n").arg("-r").arg(file).args(["-T", "fields"]).args(fields).output();
    let text = output.expect("tshark starts").stdout;
    let mut found: BTreeMap<Stream, (Sent, u64)> = BTreeMap::new();
    for (transport, stream, [from, to], size) in String::from_utf8_lossy(&text).lines().filter_map(packet) {
        // Some of its streams join several addresses, as conversations do not.
        let key = (transport, stream, BTreeSet::from([from.clone(), to.clone()]));
        let (ends, frames) = found.entry(key).or_insert_with(|| ([(from.clone(), 0), (to, 0)], 0));
        *frames += 1;
        let sender = usize::from(ends[0].0 != from);
        ends[sender].1 += size;
    }
    let rows = found.into_iter().map(|((transport, ..), (ends, frames))| {
        row(&transport, ends.map(|(end, bytes)| (end, bytes.to_string())), frames)
    });
    rows.collect()
}

#[test]
fn conversations_are_those_of_tshark() {
    let Some(shared) = shared() else { return };
    let (mut tally, mut files) = (Tally::default(), 0);
    for name in corpus(&shared).keys() {
        let Some(text) = stored::text(&shared.join("corpus"), name, "conversations.txt") else { continue };
        files += 1;
        let ours = flows(&shared).get(name).map_or(&[][..], Vec::as_slice);
        tally.compare(name, truth(&text), ours, size);
    }
    assert_eq!(files, 125, "captures with a conversations.txt");
    tally.check(OUTER_ROWS);
}

#[test]
fn conversations_are_those_of_tshark_to_the_byte() {
    let Some(shared) = shared() else { return };
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not here, conversations were compared rounded only");
        return;
    }
    let mut tally = Tally::default();
    for (name, path) in corpus(&shared) {
        let ours = flows(&shared).get(&name).map_or(&[][..], Vec::as_slice);
        tally.compare(&name, streams(&path), ours, |bytes| bytes.to_string());
    }
    tally.check(OUTER_STREAMS);
}

/// The words of metaleak for the layers that tshark names around a packet, outermost first.
fn outer_layers(protocols: &[&str]) -> Vec<&'static str> {
    let mut layers: Vec<&'static str> = Vec::new();
    // Extension headers stand between (`ipv6.hopopts`).
    let mut before = "";
    for protocol in protocols.iter().filter(|p| !p.contains('.')) {
        let layer = match (before, *protocol) {
            (_, "vlan" | "ieee8021ad") => "vlan",
            (_, "mpls") => "mpls",
            (_, "pppoes") => "pppoe",
            (_, "ah") => "ah",
            (_, "gre") => "gre",
            (_, "vxlan") => "vxlan",
            (_, "geneve") => "geneve",
            (_, "gtp") => "gtp",
            (_, "teredo") => "teredo",
            ("ip", "ip") => "ipip",
            ("ipv6", "ip") => "4in6",
            ("ip", "ipv6") => "6in4",
            ("ipv6", "ipv6") => "6in6",
            // What GRE carries is told by the layer itself.
            ("gre", "erspan") => {
                layers.pop();
                "erspan"
            }
            ("gre", "ppp") => {
                layers.pop();
                "pptp"
            }
            _ => "",
        };
        if !layer.is_empty() {
            layers.push(layer);
        }
        before = *protocol;
    }
    layers
}

#[test]
fn outer_layers_are_those_of_tshark() {
    let Some(shared) = shared() else { return };
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not here, outer layers of the corpus were compared with nothing");
        return;
    }
    let (mut compared, mut differences) = (BTreeMap::<Vec<String>, usize>::new(), String::new());
    for (name, path) in corpus(&shared) {
        let ours = flows(&shared).get(&name).map_or(&[][..], Vec::as_slice);
        let fields = FIELDS.iter().flat_map(|field| ["-e", field]);
        let output = Command::new("tshark")
            .arg("-n")
            .arg("-r")
            .arg(&path)
            .args(["-T", "fields"])
            .args(fields)
            .output();
        let text = output.expect("tshark starts").stdout;
        // The layers of the first packet of each conversation.
        let mut first: BTreeMap<(String, BTreeSet<String>), Vec<&str>> = BTreeMap::new();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((transport, _, ends, _)) = packet(line) else { continue };
            let protocols: Vec<&str> = line.split('\t').nth(1).unwrap_or_default().split(':').collect();
            let place = protocols.iter().rposition(|layer| matches!(*layer, "tcp" | "udp")).unwrap();
            first
                .entry((transport, BTreeSet::from(ends)))
                .or_insert_with(|| outer_layers(&protocols[..place]));
        }
        for flow in ours {
            let ends = [&flow.client, &flow.server].map(|end| end.replace(['[', ']'], ""));
            let Some(known) = first.get(&(flow.transport.clone(), BTreeSet::from(ends))) else { continue };
            // tshark has one word for both forms of VXLAN.
            let shown: Vec<&str> =
                flow.tunnel.iter().map(|layer| if layer == "vxlan-gpe" { "vxlan" } else { layer }).collect();
            if shown == *known {
                *compared.entry(flow.tunnel.clone()).or_default() += 1;
            } else {
                let _ = writeln!(differences, "  {name} {}: {shown:?}, tshark {known:?}", flow.client);
            }
        }
    }
    println!("outer layers: {compared:?}");
    assert!(differences.is_empty(), "{differences}");
    for layers in [
        &["vlan"][..],
        &["mpls"],
        &["pppoe"],
        &["4in6"],
        &["6in4"],
        &["vlan", "vlan", "vlan"],
        &["vlan", "vxlan"],
    ] {
        let layers: Vec<String> = layers.iter().map(|l| (*l).to_owned()).collect();
        assert!(compared.contains_key(&layers), "no flow of the corpus shows {layers:?}");
    }
}
