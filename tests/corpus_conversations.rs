//! Flows against tshark's conversations: both ends, frames, and bytes each way, for every TCP and UDP conversation of the
//! corpus (`conversations.txt`: `tshark -q -z conv,tcp -z conv,udp`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common::{metaleak, shared};
use metaleak::model::Report;

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

#[test]
fn conversations_are_those_of_tshark() {
    let Some(shared) = shared() else { return };
    let (mut total, mut equal, mut outer, mut differences) = (0, 0, 0, String::new());
    let mut captures: Vec<_> = std::fs::read_dir(shared.join("corpus/truth")).unwrap().flatten().collect();
    captures.sort_by_key(std::fs::DirEntry::file_name);
    for entry in captures {
        let Ok(text) = std::fs::read(entry.path().join("conversations.txt")) else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        let output = metaleak()
            .args(["replay", "--quiet", "--format", "json", "-o", "-"])
            .arg(shared.join("corpus").join(&name))
            .output()
            .unwrap();
        let Ok(report) = serde_json::from_slice::<Report>(&output.stdout) else { continue };
        let mut counts: BTreeMap<Row, i64> = BTreeMap::new();
        for known in truth(&String::from_utf8_lossy(&text)) {
            let tunnel = OUTER
                .iter()
                .any(|(file, port)| *file == name && known.1.iter().any(|(end, _)| end.ends_with(port)));
            if tunnel {
                outer += 1;
            } else {
                *counts.entry(known).or_default() += 1;
                total += 1;
            }
        }
        for flow in report.flows.iter().filter(|f| matches!(f.transport.as_str(), "tcp" | "udp")) {
            let end = |end: &str| end.replace(['[', ']'], "");
            let ends = [(end(&flow.client), size(flow.bytes_up)), (end(&flow.server), size(flow.bytes_down))];
            if INNER.iter().any(|(file, inner)| *file == name && ends.iter().any(|(end, _)| end == inner)) {
                assert_eq!(flow.tunnel, ["teredo"]);
                continue;
            }
            let ours = row(&flow.transport, ends, flow.frames);
            let left = counts.entry(ours).or_default();
            equal += u64::from(*left > 0);
            *left -= 1;
        }
        for (row, left) in counts.iter().filter(|(_, left)| **left != 0) {
            let what = if *left > 0 { "missing" } else { "extra" };
            let _ = writeln!(differences, "  {what} {name}: {row:?}");
        }
    }
    println!("conversations: {total} of tshark, {equal} equal, {outer} outer ones of tunnels left out");
    assert!(total > 1000, "the truth holds only {total} conversations");
    assert!(differences.is_empty(), "{differences}");
}
