//! The round-trip bound, from captures with planted delays to the countries that a report strikes out.
//!
//! The servers are real addresses whose country the embedded data names; nothing is sent to them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking; clippy.toml allows it in test functions, but not in their helpers"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use common::build::START;
use common::wire::flag;
use common::{Endian, PacketBuilder, Unit, metaleak};
use serde_json::Value;

/// A server with the countries that the sources name for it.
const SERVERS: [(&str, &str); 8] = [
    ("8.8.8.8", "US"),
    ("31.13.86.51", "IE US"),
    ("41.185.8.1", "ZA"),
    ("129.132.19.216", "CH"),
    ("130.216.1.1", "NZ"),
    ("133.11.0.1", "JP"),
    ("193.99.144.80", "DE"),
    ("200.160.2.3", "BR"),
];

const MS: u64 = 1_000_000;

/// How a server is asked and answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Tcp,
    Quic,
    Dtls,
}

/// One handshake with each server, for each of the delays (nanoseconds).
fn capture(way: Way, delays: &[u64]) -> Vec<u8> {
    let mut made = PacketBuilder::pcap(Endian::Little, Unit::Nanos, 1);
    let mut now = START;
    for (round, delay) in (0u16..).zip(delays) {
        for (number, (address, _)) in (0u16..).zip(SERVERS) {
            let client: SocketAddr = format!("192.168.1.2:{}", 40_000 + round * 16 + number).parse().unwrap();
            let server: SocketAddr = format!("{address}:443").parse().unwrap();
            made.at(now);
            match way {
                Way::Tcp => made.tcp(client, server, 1000, 0, flag::SYN, b""),
                Way::Quic => made.udp(client, server, &quic(0xc3, b"whoareyo", b"me", 1200)),
                Way::Dtls => made.udp(client, server, &dtls(1)),
            };
            made.at(now + delay);
            match way {
                Way::Tcp => made.tcp(server, client, 5000, 1001, flag::SYN | flag::ACK, b""),
                Way::Quic => made.udp(server, client, &quic(0xc1, b"me", b"server", 1200)),
                Way::Dtls => made.udp(server, client, &dtls(2)),
            };
            now += delay + 10 * MS;
        }
    }
    made.finish()
}

fn quic(first: u8, destination: &[u8], source: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = vec![first, 0, 0, 0, 1, destination.len() as u8];
    bytes.extend(destination);
    bytes.push(source.len() as u8);
    bytes.extend(source);
    bytes.resize(size, 0x5a);
    bytes
}

fn dtls(message: u8) -> Vec<u8> {
    let mut bytes = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, message];
    bytes.resize(53, 0);
    bytes
}

/// The report on a capture, with `run.json` beside it when there is one.
fn report(bytes: &[u8], run: Option<&str>, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("delays.pcap");
    std::fs::write(&path, bytes).unwrap();
    if let Some(run) = run {
        std::fs::write(folder.path().join("delays.run.json"), run).unwrap();
    }
    let output =
        metaleak().arg("replay").arg(&path).args(["--format", "json"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn by_address(report: &Value) -> BTreeMap<&str, &Value> {
    let list = report["destinations"].as_array().unwrap();
    list.iter().map(|d| (d["address"].as_str().unwrap(), d)).collect()
}

fn strings(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// All countries struck out for any server.
fn struck_out(report: &Value) -> BTreeSet<String> {
    by_address(report).values().flat_map(|d| strings(&d["rtt_excludes"])).map(str::to_owned).collect()
}

fn set(codes: &str) -> BTreeSet<String> {
    codes.split_whitespace().map(str::to_owned).collect()
}

/// By hand, with haversine to points read off a map, km from Zurich and from Frankfurt: CH 0, 256; DE 26, 0; IE 1193, 1072; US 5536, 5396;
/// ZA 8005, 8287; BR 7244, 7450; JP 8742, 8477; NZ 18060, 17838. A millisecond is 100 km.
#[test]
fn planted_delays_strike_out_what_is_too_far() {
    for (place, delay, excluded) in [
        ("47.37,8.54", 2, "BR IE JP NZ US ZA"),
        ("47.37,8.54", 20, "BR JP NZ US ZA"),
        ("47.37,8.54", 120, "NZ"),
        ("50.11,8.68", 2, "BR CH IE JP NZ US ZA"),
        ("50.11,8.68", 20, "BR JP NZ US ZA"),
        ("50.11,8.68", 120, "NZ"),
        ("router@DE", 2, "BR IE JP NZ US ZA"), // Switzerland is next to the border
        ("device@CH", 20, "BR JP NZ US ZA"),
    ] {
        for way in [Way::Tcp, Way::Quic, Way::Dtls] {
            let report = report(&capture(way, &[delay * MS]), None, &["--vantage", place]);
            assert_eq!(struck_out(&report), set(excluded), "{way:?}, {delay} ms from {place}");
            for (address, named) in SERVERS {
                let ends = by_address(&report);
                let end = ends[address];
                let expected: BTreeSet<String> = set(named).intersection(&set(excluded)).cloned().collect();
                let got: BTreeSet<String> =
                    strings(&end["rtt_excludes"]).into_iter().map(str::to_owned).collect();
                assert_eq!(got, expected, "{way:?}, {delay} ms from {place} to {address}");
                assert_eq!(end["rtt_min_ms"], delay as f64, "{address}");
                assert_eq!(end["max_km"], delay as f64 * 100.0, "{address}");
                let country = end["country"].as_str();
                assert!(
                    country.is_none_or(|code| !got.contains(code)),
                    "{address} is said to stand in {country:?}"
                );
            }
        }
    }
}

#[test]
fn the_report_says_by_how_much_and_from_where() {
    let report = report(&capture(Way::Tcp, &[20 * MS]), None, &["--vantage", "47.37,8.54"]);
    let ends = by_address(&report);
    let end = ends["8.8.8.8"];
    // Anycast: the sources agree, and yet no one country is its place.
    assert_eq!((&end["country"], &end["agreement"]), (&Value::Null, &"all".into()));
    let bound = &end["rtt_bounds"][0];
    assert_eq!((bound["from"].as_str(), bound["rtt_ms"].as_f64()), (Some("47.37,8.54"), Some(20.0)));
    let km = bound["excluded"][0]["km"].as_f64().unwrap();
    assert!((5400.0..5536.0).contains(&km), "{km}");
    assert!(bound["possible"].as_u64().unwrap() > 40);
    let facebook = ends["31.13.86.51"];
    assert_eq!(
        (facebook["country"].as_str(), facebook["agreement"].as_str()),
        (Some("IE"), Some("majority"))
    );
    let sources: BTreeSet<&str> =
        report["reference"].as_array().unwrap().iter().filter_map(|r| r["name"].as_str()).collect();
    assert!(sources.contains("outlines"), "{sources:?}");
}

/// Random delays on top, drawn from a fixed seed: each one alone strikes out no more than the bare way, and the smallest of several counts.
#[test]
fn jitter_only_loosens() {
    let bare = struck_out(&report(&capture(Way::Tcp, &[20 * MS]), None, &["--vantage", "50.11,8.68"]));
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut all = Vec::new();
    for round in 0..12 {
        let delay = 20 * MS + random() % (130 * MS);
        let one = struck_out(&report(&capture(Way::Tcp, &[delay]), None, &["--vantage", "50.11,8.68"]));
        assert!(one.is_subset(&bare), "round {round}, {delay} ns: {one:?}");
        all.push(delay);
    }
    all.insert(7, 20 * MS);
    assert_eq!(struck_out(&report(&capture(Way::Tcp, &all), None, &["--vantage", "50.11,8.68"])), bare);
}

/// The first SYN is lost or slow, the second is answered: which one, nobody can tell.
#[test]
fn a_repeated_syn_counts_from_the_first() {
    let (client, server): (SocketAddr, SocketAddr) =
        ("192.168.1.2:40000".parse().unwrap(), "8.8.8.8:443".parse().unwrap());
    let mut made = PacketBuilder::new();
    made.at(START).tcp(client, server, 1000, 0, flag::SYN, b"");
    made.at(START + 1000 * MS).tcp(client, server, 1000, 0, flag::SYN, b"");
    made.at(START + 1002 * MS).tcp(server, client, 5000, 1001, flag::SYN | flag::ACK, b"");
    let report = report(&made.finish(), None, &["--vantage", "DE"]);
    let ends = by_address(&report);
    assert_eq!(ends["8.8.8.8"]["rtt_min_ms"], 1002.0);
    assert!(struck_out(&report).is_empty());
}

#[test]
fn off_and_said_so_where_something_else_may_answer() {
    let bytes = capture(Way::Tcp, &[2 * MS]);
    let vpn = r#"{"vantage": "vpn", "place": "DE"}"#;
    let nowhere = r#"{"vantage": "router"}"#;
    let unknown = r#"{"place": "47.37,8.54"}"#;
    for (run, arguments, note) in [
        (None, &[][..], Some("vantage-unknown")),
        (None, &["--vantage", "router"], Some("place-unknown")),
        (None, &["--vantage", "vpn@DE"], Some("vantage-vpn")),
        (None, &["--vantage", "server@47.37,8.54"], Some("vantage-server")),
        (Some(vpn), &["--vantage", "DE"], Some("vantage-vpn")),
        (Some(unknown), &[], Some("vantage-unknown")),
        (Some(nowhere), &[], Some("place-unknown")),
        (Some(nowhere), &["--vantage", "DE"], None),
        (Some(unknown), &["--vantage", "router"], None),
        (Some(r#"{"vantage": "device", "place": "47.37,8.54"}"#), &[], None),
    ] {
        let report = report(&bytes, run, arguments);
        for (address, end) in by_address(&report) {
            assert_eq!(end["rtt_note"].as_str(), note, "{run:?} {arguments:?} {address}");
            assert_eq!(end.get("rtt_bounds").is_some(), note.is_none(), "{run:?} {arguments:?} {address}");
        }
        assert_eq!(struck_out(&report).is_empty(), note.is_some(), "{run:?} {arguments:?}");
    }
    // Answers from the same room for the whole world.
    let report = report(&capture(Way::Tcp, &[MS / 5]), None, &["--vantage", "DE"]);
    for end in by_address(&report).values() {
        assert_eq!((&end["rtt_note"], &end["max_km"]), (&"answered-locally".into(), &Value::Null));
    }
}

#[test]
fn a_place_that_is_none_is_refused() {
    for wrong in ["Zurich", "de", "TV", "47.37", "95,8", "router@", "gate@DE", "@DE", "\u{1b}[2J"] {
        let output = metaleak().args(["replay", "--vantage", wrong, "x.pcap"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(!output.stderr.contains(&0x1b), "{wrong}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    std::fs::write(&path, capture(Way::Tcp, &[MS])).unwrap();
    std::fs::write(folder.path().join("a.run.json"), "{\"vantage\": \"router\",\n \"place\": \"Bern\"}")
        .unwrap();
    let output = metaleak().arg("replay").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("a.run.json\":2: ") && said.contains("47.37,8.54"), "{said}");
}

/// The frames of a capture with one handshake after the other: question and answer of the server with that number, from 1.
fn frames(number: u64) -> [u64; 2] {
    [2 * number - 1, 2 * number]
}

#[test]
fn evidence_of_a_bound_is_question_and_answer() {
    for way in [Way::Tcp, Way::Quic, Way::Dtls] {
        // The first handshake of each server is slow, the second is what bounds.
        let bytes = capture(way, &[200 * MS, 20 * MS]);
        let servers = SERVERS.len() as u64;
        let facebook = SERVERS.iter().position(|(address, _)| *address == "31.13.86.51").unwrap() as u64 + 1;
        let folder = tempfile::tempdir().unwrap();
        let claims = folder.path().join("claims.toml");
        let claim = "[[claim]]\nid = \"whatsapp.there\"\ncriterion = \"gdpr\"\ntext = { en = \"a\", de = \"b\" }\n\
                     decided_by = \"traffic\"\notherwise = \"opaque\"\nsources = [{ id = \"z\", text = \"t\" }]\n\
                     contradicts = { any = \"destinations\", asn = [32934], rtt_excludes = [\"US\"] }\n";
        std::fs::write(&claims, claim).unwrap();
        let arguments =
            ["--vantage", "47.37,8.54", "--app", "whatsapp", "--claims", claims.to_str().unwrap()];
        let report = report(&bytes, None, &arguments);
        let expected = frames(servers + facebook);
        let flows = report["flows"].as_array().unwrap();
        let flow = flows.iter().filter(|f| f["server"] == "31.13.86.51:443").nth(1).unwrap();
        assert_eq!(flow["rtt_frames"], serde_json::json!(expected), "{way:?}");
        let bound = &by_address(&report)["31.13.86.51"]["rtt_bounds"][0];
        assert_eq!(bound["frames"], serde_json::json!(expected), "{way:?}");
        assert_eq!(bound["capture"], "delays.pcap");
        let claim = &report["claims"][0];
        assert_eq!(claim["verdict"], "contradicted", "{way:?}: {claim}");
        assert_eq!(claim["evidence"][0]["frames"], serde_json::json!(expected), "{way:?}");
        let note = claim["evidence"][0]["note"].as_str().unwrap();
        assert!(note.contains("round trip 20.000 ms, at most 2000 km: too far is US"), "{note}");
    }
}
