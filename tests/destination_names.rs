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

/// An HTTPS record in service mode: priority, target, and hints of four bytes.
fn service(priority: u16, target: &str, hints: &[[u8; 4]]) -> Vec<u8> {
    let mut data = priority.to_be_bytes().to_vec();
    data.extend(if target == "." { vec![0] } else { encoded(target) });
    data.extend([0, 1, 0, 3, 2, b'h', b'2']);
    data.extend([0, 4]);
    data.extend((4 * hints.len() as u16).to_be_bytes());
    data.extend(hints.concat());
    data
}

#[test]
fn address_hints_name_later_flows_below_addresses() {
    const HTTPS: u16 = 65;
    const SVCB: u16 = 64;
    let server = [31, 13, 86, 51];
    let hint = |target: &str| service(1, target, &[[192, 0, 2, 1], server]);
    let row = |name: &str, source: &str, frame: u64| (name.to_owned(), source.to_owned(), frame);
    for (what, asked, records, expected, messenger) in [
        (
            "a hint",
            "e1.whatsapp.net",
            vec![("e1.whatsapp.net", HTTPS, 60, hint("."))],
            vec![row("e1.whatsapp.net", "dns-hint", 2)],
            Some("name:e1.whatsapp.net"),
        ),
        (
            "of another target",
            "shop.example",
            vec![("shop.example", HTTPS, 60, hint("edge.example"))],
            vec![row("edge.example", "dns-hint", 2), row("shop.example", "dns-hint", 2)],
            None,
        ),
        (
            "for a port",
            "_8443._https.shop.example",
            vec![("_8443._https.shop.example", HTTPS, 60, hint("."))],
            vec![row("shop.example", "dns-hint", 2)],
            None,
        ),
        (
            "behind an alias",
            "a.example",
            vec![("a.example", 5, 60, encoded("b.example")), ("b.example", HTTPS, 60, hint("."))],
            vec![row("a.example", "dns-hint", 2), row("b.example", "dns-hint", 2)],
            None,
        ),
        (
            "a resolver's",
            "_dns.resolver.arpa",
            vec![("_dns.resolver.arpa", SVCB, 60, hint("one.example"))],
            vec![row("one.example", "dns-hint", 2)],
            None,
        ),
        (
            "the address too",
            "e1.whatsapp.net",
            vec![("e1.whatsapp.net", HTTPS, 60, hint(".")), ("e1.whatsapp.net", 1, 60, server.to_vec())],
            vec![row("e1.whatsapp.net", "dns", 2)],
            Some("name:e1.whatsapp.net"),
        ),
        (
            "the address of another name",
            "e1.whatsapp.net",
            vec![("e1.whatsapp.net", HTTPS, 60, hint(".")), ("shop.example", 1, 60, server.to_vec())],
            vec![row("e1.whatsapp.net", "dns-hint", 2), row("shop.example", "dns", 2)],
            // The address outranks the hint, and says another name.
            None,
        ),
        (
            "of a name that was not asked for",
            "e1.whatsapp.net",
            vec![("shop.example", HTTPS, 60, hint("."))],
            vec![row("shop.example", "dns-hint", 2)],
            None,
        ),
        (
            "an address of a name that was not asked for",
            "e1.whatsapp.net",
            vec![("shop.example", 1, 60, server.to_vec())],
            vec![row("shop.example", "dns", 2)],
            None,
        ),
        (
            "an alias has no hints",
            "shop.example",
            vec![("shop.example", HTTPS, 60, service(0, "edge.example", &[server]))],
            vec![],
            None,
        ),
    ] {
        let mut capture = PacketBuilder::new();
        capture.at(START);
        let (phone, resolver) = ("192.168.1.2:5000".parse().unwrap(), "192.168.1.1:53".parse().unwrap());
        capture.udp(phone, resolver, &wire::dns_query(7, asked, HTTPS));
        capture.udp(resolver, phone, &answer(asked, &records));
        connect(&mut capture, SECOND);
        let report = replay_bytes(&capture.finish());
        let flow =
            report["flows"].as_array().unwrap().iter().find(|f| f["server"] == "31.13.86.51:443").unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let mut names: Vec<_> = flow["names"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|n| n["source"].as_str().unwrap().starts_with("dns"))
            .map(|n| (text(&n["name"]), text(&n["source"]), n["frame"].as_u64().unwrap()))
            .collect();
        names.sort();
        assert_eq!(names, expected, "{what}");
        let why = flow["messenger_why"].as_str().filter(|why| why.starts_with("name:"));
        assert_eq!(why, messenger, "{what}");
    }
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

/// Names with their sources of the flow to an address.
fn sources(report: &Value, server: &str) -> Vec<(String, String)> {
    let flow = report["flows"].as_array().unwrap().iter().find(|f| f["server"] == server).unwrap();
    let names = flow["names"].as_array().unwrap().iter();
    names.map(|n| (n["name"].as_str().unwrap().into(), n["source"].as_str().unwrap().into())).collect()
}

#[test]
fn a_ptr_record_names_its_address_and_decides_nothing() {
    for (address, asked) in [
        ("31.13.86.51:443", "51.86.13.31.in-addr.arpa".to_owned()),
        ("[2a03:2880::1]:443", format!("1.{}0.8.8.2.3.0.a.2.ip6.arpa", "0.".repeat(23))),
    ] {
        let mut capture = PacketBuilder::new();
        capture.at(START);
        let client = if address.starts_with('[') { "[fd00::2]:40000" } else { "192.168.1.2:40000" };
        let mut connection = Tcp::new(client, address);
        connection.open(&mut capture);
        connection.up(&mut capture, b"\x01\x02\x03\x04");
        let (phone, resolver) = if address.starts_with('[') {
            ("[fd00::2]:5000".parse().unwrap(), "[fd00::1]:53".parse().unwrap())
        } else {
            ("192.168.1.2:5000".parse().unwrap(), "192.168.1.1:53".parse().unwrap())
        };
        capture.udp(phone, resolver, &wire::dns_query(7, &asked, 12));
        capture.udp(resolver, phone, &answer(&asked, &[(&asked, 12, 60, encoded("edge.whatsapp.net"))]));
        let report = replay_bytes(&capture.finish());
        assert_eq!(sources(&report, address), [("edge.whatsapp.net".into(), "dns-ptr".into())], "{address}");
        let flow = report["flows"].as_array().unwrap().iter().find(|f| f["server"] == address).unwrap();
        assert_eq!(flow["messenger"], Value::Null, "the holder of an address may write any name: {address}");
        let plain = address.rsplit_once(':').unwrap().0.trim_matches(['[', ']']);
        let ends = report["destinations"].as_array().unwrap();
        let end = ends.iter().find(|d| d["address"] == plain).unwrap();
        assert_eq!(end["names"], serde_json::json!(["edge.whatsapp.net"]));
        assert_eq!(end["groups"], serde_json::json!(["whatsapp.net"]));
        assert_ne!(end["role"], "first-party");
        assert!(!end["role_why"].as_str().unwrap().contains("whatsapp.net"));
    }
    // Services by multicast DNS and names that are no address are none.
    for asked in [
        "_http._tcp.local",
        "1.2.3.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "256.0.0.1.in-addr.arpa",
        "a.ip6.arpa",
    ] {
        let mut capture = PacketBuilder::new();
        let (phone, resolver) = ("192.168.1.2:5000".parse().unwrap(), "192.168.1.1:53".parse().unwrap());
        capture.at(START);
        capture.udp(resolver, phone, &answer(asked, &[(asked, 12, 60, encoded("x.example.net"))]));
        let mut connection = Tcp::new("192.168.1.2:40000", "1.2.3.4:443");
        connection.open(&mut capture);
        connection.up(&mut capture, b"\x01");
        let report = replay_bytes(&capture.finish());
        assert_eq!(sources(&report, "1.2.3.4:443"), [], "{asked}");
    }
}

#[test]
fn the_reverse_zone_speaks_where_nothing_else_does() {
    let mut capture = PacketBuilder::new();
    capture.at(START);
    for (port, hello) in [(40000, false), (40001, true)] {
        let server = if hello { "172.217.16.142:443" } else { "172.217.16.143:443" };
        let mut connection = Tcp::new(&format!("192.168.1.2:{port}"), server);
        connection.open(&mut capture);
        let bytes = if hello { wire::client_hello("www.example.com") } else { b"\x01\x02\x03".to_vec() };
        connection.up(&mut capture, &bytes);
    }
    let report = replay_bytes(&capture.finish());
    assert_eq!(sources(&report, "172.217.16.143:443"), [("*.1e100.net".to_owned(), "reverse".to_owned())]);
    assert_eq!(sources(&report, "172.217.16.142:443"), [("www.example.com".into(), "sni".into())]);
    // It is in the reference data, not on the way.
    assert_eq!(report["exposure"]["overall"]["names"]["ip_only"], 0.5);
    assert_eq!(report["exposure"]["overall"]["names"]["clear"], 0.0);
}

/// The extension of an outer client hello (RFC 9849 section 5) with a payload that nobody can read.
fn ech_outer(id: u8, kdf: u16, aead: u16, enc: usize) -> Vec<u8> {
    let mut out = vec![0];
    out.extend(kdf.to_be_bytes());
    out.extend(aead.to_be_bytes());
    out.push(id);
    out.extend((enc as u16).to_be_bytes());
    out.extend(vec![0x5a; enc]);
    out.extend(144_u16.to_be_bytes());
    out.extend([0xa5; 144]);
    out
}

/// A whole capture without any DNS answer: what `reference/ech.toml` lists is real ECH, all else may be GREASE.
#[test]
fn listed_ech_configurations_tell_real_use_without_an_answer() {
    // Of the list that Cloudflare published: public name, id 0x74, X25519, suite 1,1.
    let cases = [
        ("cloudflare-ech.com", 0x74, 1, 1, 32, "outer"),
        ("cloudflare-ech.com", 0x75, 1, 1, 32, "unknown"),
        ("cloudflare-ech.com", 0x74, 1, 3, 32, "unknown"),
        ("cloudflare-ech.com", 0x74, 1, 1, 65, "unknown"),
        ("other.example", 0x74, 1, 1, 32, "unknown"),
        // Each of the three that one name had at a time.
        ("cover.defo.ie", 0x6a, 1, 1, 32, "outer"),
        ("cover.defo.ie", 0x47, 1, 1, 32, "outer"),
        ("cover.defo.ie", 0x22, 1, 1, 32, "outer"),
    ];
    let mut capture = PacketBuilder::new();
    capture.at(START);
    for (n, (name, id, kdf, aead, enc, _)) in cases.into_iter().enumerate() {
        let mut connection = Tcp::new(&format!("192.168.1.2:{}", 40000 + n), "198.51.100.7:443");
        connection.open(&mut capture);
        let body = ech_outer(id, kdf, aead, enc);
        connection.up(&mut capture, &wire::client_hello_with(name, Some((0xfe0d, &body))));
    }
    let bytes = capture.finish();
    let report = replay_bytes(&bytes);
    let told = common::dissect_bytes(&bytes);
    let hellos: Vec<_> = told.iter().filter(|o| o.text("kind") == "tls.client_hello").collect();
    assert_eq!(hellos.len(), cases.len());
    for (n, (name, .., state)) in cases.into_iter().enumerate() {
        let client = format!("192.168.1.2:{}", 40000 + n);
        let flow = report["flows"].as_array().unwrap().iter().find(|f| f["client"] == *client).unwrap();
        assert_eq!(flow["tls"]["ech"], state, "{name} {n}");
        // A name that is published as a cover names nobody, with whatever key it comes.
        let source = if name == "other.example" { "sni" } else { "ech-outer" };
        let names: Vec<_> =
            flow["names"].as_array().unwrap().iter().map(|n| (&n["name"], &n["source"])).collect();
        assert_eq!(names, [(&Value::from(name), &Value::from(source))], "{n}");
        let hello = hellos.iter().find(|o| o.text("src") == client).unwrap();
        assert_eq!(hello.text("ech"), state, "{name} {n}");
    }
    // The list is a source of the report like all others.
    let source = report["reference"].as_array().unwrap().iter().find(|s| s["name"] == "ech").unwrap();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/reference/ech.toml")).unwrap();
    assert_eq!(source["licence"], "LicenseRef-facts");
    assert!(text.contains(&format!("as_of = {}", source["as_of"])), "{source}");
}

#[test]
fn destinations_before_the_first_action_need_marks() {
    let mut capture = PacketBuilder::new();
    for (second, server) in [(0, "31.13.86.51:443"), (10, "8.8.8.8:443"), (30, "1.1.1.1:443")] {
        capture.at(START + second * SECOND);
        let mut connection = Tcp::new(&format!("192.168.1.2:{}", 40000 + second), server);
        connection.open(&mut capture);
        connection.up(&mut capture, b"\x01\x02\x03\x04");
    }
    let bytes = capture.finish();
    let at = |second: u64| {
        let time = jiff::Timestamp::from_nanosecond(i128::from(START + second * SECOND)).unwrap();
        format!("{time}")
    };
    let mark = |step: &str, second| format!("{{\"step\": \"{step}\", \"start\": \"{}\"}}", at(second));
    for (marks, count, note) in [
        (None, Value::Null, "no-marks".into()),
        (Some(String::new()), Value::Null, "no-marks".into()),
        (Some(mark("idle", 0)), Value::Null, "no-action".into()),
        (Some(mark("text-1to1", 20)), 2.into(), Value::Null),
        (Some(mark("text-1to1", 10)), 1.into(), Value::Null),
        (Some(format!("{}, {}", mark("text-1to1", 20), mark("register", 5))), 1.into(), Value::Null),
        (Some(format!("{}, {}", mark("idle", 0), mark("text-1to1", 60))), 3.into(), Value::Null),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made.pcap");
        std::fs::write(&file, &bytes).unwrap();
        if let Some(marks) = &marks {
            std::fs::write(folder.path().join("made.run.json"), format!("{{\"marks\": [{marks}]}}")).unwrap();
        }
        let overall = &common::replay([&file])["exposure"]["overall"];
        assert_eq!(overall["contacts_before_first_action"], count, "{marks:?}");
        assert_eq!(overall.get("contacts_before_note").cloned().unwrap_or_default(), note, "{marks:?}");
    }
}
