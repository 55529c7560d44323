//! Area tests of names and dates in reports: answers that ran out, groups of names, the age of the data.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic; clippy.toml allows it only within #[test] functions"
)]

mod common;

use common::{PacketBuilder, Tcp, build::START, replay_bytes, wire};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;

/// An answer over UDP: each record is (owner, type, TTL, data).
fn answer(asked: &str, records: &[(&str, u16, u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = wire::dns_query(7, asked, 1);
    out[2] |= 0x80;
    out[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    for (owner, kind, ttl, data) in records {
        out.extend(encoded(owner));
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&ttl.to_be_bytes());
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.extend_from_slice(data);
    }
    out
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// Names of the flow to 31.13.86.51 with whether they had run out.
fn names(report: &Value) -> Vec<(String, bool)> {
    let flows = report["flows"].as_array().unwrap();
    let flow = flows.iter().find(|f| f["server"] == "31.13.86.51:443").unwrap();
    let names = flow["names"].as_array().unwrap().iter().filter(|n| n["source"] == "dns");
    names
        .map(|n| (n["name"].as_str().unwrap().to_owned(), n.get("expired").is_some_and(|e| e == true)))
        .collect()
}

fn connect(capture: &mut PacketBuilder, at: u64) {
    capture.at(START + at);
    let mut connection = Tcp::new("192.168.1.2:40000", "31.13.86.51:443");
    connection.open(capture);
    connection.up(capture, b"\x01\x02\x03\x04");
}

#[test]
fn a_name_used_after_its_answer_ran_out_is_flagged() {
    let address = || vec![31, 13, 86, 51];
    let direct = |ttl| vec![("e1.whatsapp.net", 1, ttl, address())];
    let alias = |first, second| {
        vec![("e1.whatsapp.net", 5, first, encoded("x.example.net")), ("x.example.net", 1, second, address())]
    };
    // Answers by second, the second of the connection, and what is flagged.
    for (answers, connected, expired) in [
        (vec![(0, direct(60))], 30, vec![false]),
        (vec![(0, direct(60))], 64, vec![false]),
        (vec![(0, direct(60))], 66, vec![true]),
        (vec![(0, direct(0))], 1, vec![false]),
        (vec![(0, direct(0))], 10, vec![true]),
        (vec![(0, direct(60)), (100, direct(60))], 130, vec![false]),
        (vec![(0, direct(600)), (100, direct(60))], 300, vec![false]),
        (vec![(0, direct(60)), (400, direct(60))], 300, vec![true]),
        (vec![(0, direct(u32::MAX))], 100_000, vec![false]),
        // The name that was asked for holds as long as the shortest alias on the way; the last name for itself.
        (vec![(0, alias(10, 600))], 60, vec![true, false]),
        (vec![(0, alias(600, 10))], 60, vec![true, true]),
        (vec![(0, alias(600, 600))], 60, vec![false, false]),
    ] {
        let mut capture = PacketBuilder::new();
        let mut connected_yet = false;
        for (second, records) in &answers {
            if *second > connected {
                connect(&mut capture, connected * SECOND);
                connected_yet = true;
            }
            capture.at(START + second * SECOND);
            let (phone, resolver) = ("192.168.1.2:5000".parse().unwrap(), "192.168.1.1:53".parse().unwrap());
            capture.udp(phone, resolver, &wire::dns_query(7, "e1.whatsapp.net", 1));
            capture.udp(resolver, phone, &answer("e1.whatsapp.net", records));
        }
        if !connected_yet {
            connect(&mut capture, connected * SECOND);
        }
        let report = replay_bytes(&capture.finish());
        let got: Vec<bool> = names(&report).into_iter().map(|(_, expired)| expired).collect();
        assert_eq!(got, expired, "{answers:?} at {connected}");
    }
}

#[test]
fn a_capture_far_from_the_datas_date_says_so() {
    const YEAR: i64 = 365 * 86_400;
    for (years, said) in [
        (-8, Some("addresses of 2015 judged with data of 2026")),
        (0, Some("addresses of 2023 judged with data of 2026")),
        (2, None),
        (3, None),
        (5, Some("addresses of 2028 judged with data of 2026")),
    ] {
        let mut capture = PacketBuilder::new();
        let shift = i128::from(years * YEAR) * 1_000_000_000;
        capture.at((i128::from(START) + shift) as u64);
        let mut connection = Tcp::new("192.168.1.2:40000", "31.13.86.51:443");
        connection.open(&mut capture);
        connection.up(&mut capture, b"\x01\x02\x03\x04");
        let report = replay_bytes(&capture.finish());
        let warnings = report["warnings"].as_array().unwrap();
        let found = warnings.iter().filter_map(|w| w["what"].as_str()).find(|w| w.contains("judged with"));
        match said {
            Some(said) => assert!(found.is_some_and(|w| w.starts_with(said)), "{years}: {found:?}"),
            None => assert_eq!(found, None, "{years}"),
        }
    }
    // Nothing was judged: nothing is said.
    let mut capture = PacketBuilder::new();
    let mut connection = Tcp::new("192.168.1.2:40000", "192.168.1.3:443");
    connection.open(&mut capture);
    connection.up(&mut capture, b"\x01");
    assert_eq!(replay_bytes(&capture.finish())["warnings"], serde_json::json!([]));
}
