//! Findings by rules: in the program's report, with their frames, counted, masked, and told once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests: a failure there is a failed test"
)]

mod common;

use std::io::Write as _;

use common::{PacketBuilder, Tcp, metaleak, replay_bytes};
use serde_json::Value;

/// A connection with an HTTP port, opened.
fn opened() -> (PacketBuilder, Tcp) {
    let (mut capture, tcp) = (PacketBuilder::new(), Tcp::new("192.0.2.10:40000", "203.0.113.80:80"));
    tcp.open(&mut capture);
    (capture, tcp)
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1 HTTP/1.1\r\nHost: api.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Findings of a report that rules made.
fn by_rules(report: &Value) -> Vec<&Value> {
    report["findings"].as_array().unwrap().iter().filter(|f| f["confidence"].is_string()).collect()
}

#[test]
fn a_value_across_segments_has_their_frames_and_is_counted() {
    let (mut capture, mut tcp) = opened();
    let message = post(br#"{"phone":"+4915228817386","again":{"phone":"+49 1522 8817386"}}"#);
    let at = message.windows(5).position(|w| w == b"+4915").unwrap() + 5;
    let first = tcp.up(&mut capture, &message[..at]);
    let second = tcp.up(&mut capture, &message[at..at + 3]);
    let third = tcp.up(&mut capture, &message[at + 3..]);
    tcp.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    tcp.close(&mut capture);
    let report = replay_bytes(&capture.finish());
    let found = by_rules(&report);
    assert_eq!(found.len(), 1, "{found:?}");
    let f = found[0];
    assert_eq!((f["rule"].as_str(), f["kind"].as_str()), (Some("phone-field"), Some("identifier")));
    assert_eq!((f["severity"].as_str(), f["confidence"].as_str()), (Some("high"), Some("high")));
    assert_eq!(f["frames"], serde_json::json!([first, second, third]));
    assert_eq!((f["count"].as_u64(), f["direction"].as_str()), (Some(2), Some("up")));
    assert!(f["what"].as_str().unwrap().ends_with(": …86 (number, 8 or more digits)"), "{f}");
    assert!(!report.to_string().contains("8817386"));
    let rules = report["rules"].as_array().unwrap();
    assert_eq!((rules.len(), rules[0]["id"].as_str()), (1, Some("phone-field")));
}

#[test]
fn what_a_dissector_told_of_no_rule_tells_again() {
    let (mut capture, mut tcp) = opened();
    tcp.up(
        &mut capture,
        b"GET / HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer mF_9.B5f-4.1JqM\r\nCookie: a=1; PHPSESSID=298zf09hf012fh2\r\n\r\n",
    );
    tcp.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    tcp.close(&mut capture);
    let report = replay_bytes(&capture.finish());
    assert_eq!(by_rules(&report), Vec::<&Value>::new());
    let kinds: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap()).collect();
    assert_eq!(
        (kinds.iter().filter(|k| **k == "token").count(), kinds.contains(&"cookie")),
        (1, true),
        "{kinds:?}"
    );
}

#[test]
fn compressed_bodies_are_searched_behind_the_compression_and_chunks_across_their_borders() {
    let (mut capture, mut tcp) = opened();
    tcp.up(&mut capture, b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(br#"{"padding":"some words to pack, some words to pack","email":"alice@example.org"}"#)
        .unwrap();
    let body = gzip.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    tcp.down(&mut capture, &[head.as_bytes(), &body].concat());
    tcp.up(&mut capture, b"GET /2 HTTP/1.1\r\nHost: api.example\r\n\r\n");
    tcp.down(
        &mut capture,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n{\"email\":\"bob.builder@\r\n0e\r\nexample.net\"} \r\n0\r\n\r\n",
    );
    tcp.close(&mut capture);
    let report = replay_bytes(&capture.finish());
    let found: Vec<(&str, String)> =
        by_rules(&report).iter().map(|f| (f["rule"].as_str().unwrap(), f["encoding"].to_string())).collect();
    assert_eq!(
        found,
        [("email-field", "[\"gzip\"]".to_owned()), ("email-field", "[\"chunked\"]".to_owned())]
    );
}

#[test]
fn many_values_leave_room_and_are_counted() {
    let (mut capture, mut tcp) = opened();
    let lines: Vec<String> =
        (0..100).map(|n| format!("mail number {n} is person.{n}@example.org, and so on\n")).collect();
    let body = lines.concat();
    tcp.up(&mut capture, &post(body.as_bytes()));
    tcp.close(&mut capture);
    let report = replay_bytes(&capture.finish());
    assert_eq!(by_rules(&report).len(), 12);
    assert!(
        report["warnings"].to_string().contains("88 more findings were not kept"),
        "{}",
        report["warnings"]
    );
}

#[test]
fn datagrams_and_unknown_streams_are_searched() {
    let mut capture = PacketBuilder::new();
    let ends = ("192.0.2.10:40000".parse().unwrap(), "203.0.113.80:9999".parse().unwrap());
    let frame = capture.udp(ends.0, ends.1, b"\x01\x02track imei=490154203237518 now\xff");
    let mut tcp = Tcp::new("192.0.2.10:40001", "203.0.113.80:9998");
    tcp.open(&mut capture);
    let second = tcp.up(&mut capture, b"\x00\x01\x02position lat=48.20103&lon=16.36952");
    tcp.close(&mut capture);
    let report = replay_bytes(&capture.finish());
    let found: Vec<(&str, u64)> = by_rules(&report)
        .iter()
        .map(|f| (f["rule"].as_str().unwrap(), f["frames"][0].as_u64().unwrap()))
        .collect();
    assert_eq!(found, [("imei", frame), ("coordinates", second)]);
}

#[test]
fn a_file_of_rules_is_used_and_a_fault_in_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (mut capture, mut tcp) = opened();
    tcp.up(&mut capture, &post(br#"{"phone":"+4915228817386","order":"order-4711-x"}"#));
    tcp.close(&mut capture);
    let pcap = folder.path().join("a.pcap");
    std::fs::write(&pcap, capture.finish()).unwrap();
    let rules = folder.path().join("my.toml");
    let text = r#"schema = 1
only = true
[[rule]]
id = "order"
kind = "identifier"
severity = "medium"
confidence = "medium"
text = { en = "order number", de = "Bestellnummer" }
anchors = ["order-"]
regex = 'order-(?P<value>[0-9]{4})-x'
yes = ["see order-1234-x of today"]
no = ["see order-123-x of today"]
"#;
    std::fs::write(&rules, text).unwrap();
    let run = |more: &[&str]| {
        let mut command = metaleak();
        command.arg("replay").arg("-q").arg("--rules").arg(&rules).args(more).arg("-o").arg("-").arg(&pcap);
        command.output().unwrap()
    };
    let report: Value = serde_json::from_slice(&run(&["--format", "json"]).stdout).unwrap();
    let found = by_rules(&report);
    assert_eq!((found.len(), found[0]["rule"].as_str()), (1, Some("order")));
    let page = String::from_utf8(run(&["--format", "html", "--lang", "de"]).stdout).unwrap();
    assert!(
        page.contains("<span lang=\"de\">Bestellnummer: … (under 8 characters)</span>"),
        "the German text"
    );
    assert!(page.contains("der Form nach wahrscheinlich"));
    std::fs::write(&rules, text.replace("[0-9]{4}", "[0-9]{4")).unwrap();
    let failed = run(&["--format", "json"]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(failed.status.code() == Some(2) && said.contains("my.toml\":10: regex"), "{said}");
}

/// Every finding but those of canaries says by an id what it is, and the documentation has that id.
#[test]
fn findings_of_dissectors_have_ids_that_are_documented() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(folder.join("docs/payload.md")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for capture in [
        "http-clear.pcap",
        "mail-clear.pcap.zst",
        "xmpp-clear.pcap",
        "websocket-clear.pcapng",
        "call-direct.pcapng.gz",
        "telegram-transports.pcap",
    ] {
        let report = common::replay([folder.join("captures").join(capture)]);
        for finding in report["findings"].as_array().unwrap() {
            let id = finding["rule"].as_str();
            assert_eq!(id.is_none(), finding["kind"] == "canary", "{capture}: {finding}");
            let Some(id) = id.filter(|_| finding["confidence"].is_null()) else { continue };
            let generic = id.strip_prefix("sip-http").map_or(id, |_| "sip-…");
            assert!(page.contains(&format!("`{generic}`")), "{id} is not in docs/payload.md: {finding}");
            seen.insert(id.to_owned());
        }
    }
    for id in ["sasl-plain", "http-cookie", "xmpp-jid"] {
        assert!(seen.contains(id), "{id} is not among {seen:?}");
    }
}
