//! Holds what `metaleak dissect` and `replay` read against what tshark and the JA4 tools read in the same captures.
//!
//! Needs `../shared/corpus`; skipped with a notice where it is absent. `docs/accuracy.md` says how each table is compared.

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
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use common::truth::{self, Comparison, Row};
use common::{Observation, corpus, dissect, replay, shared};

/// The corpus, what is in it, and what metaleak says of all of it in one run.
struct Read {
    folder: PathBuf,
    names: BTreeSet<String>,
    observations: Vec<Observation>,
}

impl Read {
    fn all() -> Option<&'static Read> {
        static READ: LazyLock<Option<Read>> = LazyLock::new(|| {
            let shared = shared()?;
            let files = corpus(&shared);
            let observations = dissect(files.values());
            Some(Read { folder: shared.join("corpus"), names: files.into_keys().collect(), observations })
        });
        READ.as_ref()
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Observation> {
        self.observations.iter().filter(move |o| o.text("kind") == kind)
    }

    /// Every line of a table over all captures that have it, with its capture.
    fn truth(&self, table: &str) -> Vec<(&str, truth::Line)> {
        truth::tables(&self.folder, &self.names, table)
    }
}

#[test]
fn frames_are_counted_as_tshark_counts_them() {
    let Some(shared) = shared() else { return };
    let files = corpus(&shared);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus-frames.tsv");
    let counts = std::fs::read_to_string(path).unwrap();
    let counts: BTreeMap<&str, u64> = counts
        .lines()
        .skip(1)
        .map(|line| line.split_once('\t').unwrap())
        .map(|(file, frames)| (file, frames.parse().unwrap()))
        .collect();
    for name in files.keys() {
        assert!(
            counts.contains_key(name.as_str()),
            "{name}: not in tests/data/corpus-frames.tsv; add what `tshark -r {name} -n -T fields -e frame.number | tail -1` says"
        );
    }
    let report = replay(files.values());
    let inputs = report["inputs"].as_array().expect("inputs is a list");
    let count = |input: &serde_json::Value| {
        let file = input["file"].as_str().expect("an input has a file");
        Row::new(file, 0, format!("{} frames", input["frames"]))
    };
    Comparison {
        table: "frames",
        unit: "counts",
        truth: files
            .keys()
            .map(|name| Row::new(name, 0, format!("{} frames", counts[name.as_str()])))
            .collect(),
        ours: inputs.iter().map(count).collect(),
    }
    .check(&files.into_keys().collect());
}

#[test]
fn server_names_over_tcp_are_those_of_tshark() {
    // A frame with both ports is TCP in a UDP tunnel.
    compare_server_names("sni", "tcp", |line| !line["dport_tcp"].is_empty());
}

#[test]
fn server_names_in_quic_are_those_of_tshark() {
    compare_server_names("sni-quic", "quic", |line| {
        !line["dport_udp"].is_empty() && line["dport_tcp"].is_empty()
    });
}

/// Compares the names in `sni.tsv`'s lines of one transport.
fn compare_server_names(table: &str, transport: &str, of_transport: impl Fn(&truth::Line) -> bool) {
    let Some(read) = Read::all() else { return };
    let truth = read.truth("sni");
    let truth = truth.iter().filter(|(_, line)| of_transport(line)).flat_map(|(file, line)| {
        truth::values(&line["sni"]).map(|name| Row::new(file, truth::frame(line), name.to_ascii_lowercase()))
    });
    let ours = read
        .of_kind("tls.client_hello")
        .filter(|o| o.text("transport") == transport && !o.decrypted() && !o.text("sni").is_empty())
        .map(|o| Row::new(o.text("capture"), o.frame(), o.text("sni")));
    Comparison { table, unit: "pairs", truth: truth.collect(), ours: ours.collect() }.check(&read.names);
}

/// What one frame holds of hellos: their types, and the versions, protocol names and suites of all of them, in order.
#[derive(Default)]
struct Hellos<'a> {
    types: Vec<&'a str>,
    versions: Vec<&'a str>,
    alpn: Vec<&'a str>,
    suites: Vec<&'a str>,
}

#[test]
fn hellos_are_those_of_tshark() {
    let Some(read) = Read::all() else { return };
    let truth = read.truth("hello").into_iter().flat_map(|(file, line)| {
        let (frame, list) =
            (truth::frame(&line), |cell: &str| truth::values(cell).map(str::to_owned).collect());
        // Other messages of the same frame: certificates and keys have tables of their own or none.
        let types = truth::values(&line["handshake_types"]).filter(|t| ["1", "2"].contains(t));
        let types = types.map(str::to_owned).collect();
        let cells =
            [types, list(&line["supported_versions"]), list(&line["alpn"]), list(&line["ciphersuite"])];
        hello_rows(file, frame, cells)
    });
    let mut frames: BTreeMap<(&str, u64), Hellos<'_>> = BTreeMap::new();
    // The truth's table is of TLS over TCP and in QUIC; DTLS has one of its own.
    for o in read.observations.iter().filter(|o| o.text("transport") != "dtls" && !o.decrypted()) {
        let client = o.text("kind") == "tls.client_hello";
        if !client && o.text("kind") != "tls.server_hello" {
            continue;
        }
        let hellos = frames.entry((o.text("capture"), o.frame())).or_default();
        let list = |field: &str| o.0[field].as_array().into_iter().flatten().filter_map(|v| v.as_str());
        if client {
            hellos.types.push("1");
            // Without the extension (43), `versions` is the hello's own version, of which the truth has no column.
            if o.text("ja4_r").split('_').nth(2).unwrap().split(',').any(|extension| extension == "002b") {
                hellos.versions.extend(list("versions"));
            }
            hellos.alpn.extend(list("alpn"));
            hellos.suites.extend(list("ciphers"));
        } else {
            hellos.types.push("2");
            hellos.versions.extend((o.text("version") == "tls1.3").then_some("0x0304"));
            hellos.alpn.extend(o.0["alpn"].as_str());
            hellos.suites.push(o.text("cipher"));
        }
    }
    let ours = frames.into_iter().flat_map(|((file, frame), h)| {
        let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        hello_rows(file, frame, [h.types, h.versions, h.alpn, h.suites].map(owned))
    });
    Comparison { table: "hello", unit: "cells", truth: truth.collect(), ours: ours.collect() }
        .check(&read.names);
}

/// A row for each cell that is not empty, so that a cell can be argued by itself.
fn hello_rows(file: &str, frame: u64, cells: [Vec<String>; 4]) -> Vec<Row> {
    let cells = ["types", "versions", "alpn", "suites"].into_iter().zip(cells);
    let cells = cells.filter(|(_, values)| !values.is_empty());
    cells.map(|(what, values)| Row::new(file, frame, format!("{what} {}", values.join(",")))).collect()
}

#[test]
fn dns_questions_over_udp_are_those_of_tshark() {
    let Some(read) = Read::all() else { return };
    let mut truth = Vec::new();
    for (file, line) in read.truth("dns") {
        let role = if line["response"] == "1" { "answer" } else { "query" };
        for (name, kind) in truth::values(&line["query"]).zip(truth::values(&line["type"])) {
            if let Some(name) = dns_name(name) {
                truth.push(Row::new(file, truth::frame(&line), format!("{role} {name} {kind}")));
            }
        }
    }
    let mut ours = Vec::new();
    for observation in read.observations.iter().filter(|o| o.text("kind").starts_with("dns.")) {
        let role = observation.text("kind").trim_start_matches("dns.");
        let question = observation.0["name"].is_string() && !observation.0["type"].is_null();
        if observation.text("transport") == "udp" && !observation.decrypted() && question {
            let name = dns_name(observation.text("name")).expect("metaleak has no markers in names");
            let value = format!("{role} {name} {}", dns_type(observation));
            ours.push(Row::new(observation.text("capture"), observation.frame(), value));
        }
    }
    Comparison { table: "dns", unit: "questions", truth, ours }.check(&read.names);
}

#[test]
fn addresses_and_aliases_in_dns_answers_are_those_of_tshark() {
    let Some(read) = Read::all() else { return };
    let mut truth = Vec::new();
    for (file, line) in read.truth("dns") {
        for (kind, column) in [("A", "a"), ("AAAA", "aaaa"), ("CNAME", "cname")] {
            for (n, value) in truth::values(&line[column]).enumerate() {
                truth.push(Row::new(file, truth::frame(&line), dns_record(kind, n, value)));
            }
        }
    }
    let mut ours = Vec::new();
    for answer in read.of_kind("dns.answer").filter(|o| o.text("transport") == "udp" && !o.decrypted()) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for record in answer.0["records"].as_array().expect("an answer has a list of records") {
            let (kind, value) = (record["type"].as_str().unwrap(), record["value"].as_str().unwrap());
            if matches!(kind, "A" | "AAAA" | "CNAME") {
                let n = counts.entry(kind).or_default();
                ours.push(Row::new(answer.text("capture"), answer.frame(), dns_record(kind, *n, value)));
                *n += 1;
            }
        }
    }
    Comparison { table: "dns-values", unit: "values", truth, ours }.check(&read.names);
}

/// A record of an answer with its place among those of its type; of an alias that tshark could not read, its own words.
fn dns_record(kind: &str, n: usize, value: &str) -> String {
    let name = (kind == "CNAME").then(|| dns_name(value)).flatten();
    format!("{kind} {} {}", n + 1, name.as_deref().unwrap_or(value))
}

/// A name as both sides can write it: lower case, `.` for the root, `?` for every byte that each program escapes in its own
/// way. `None` where tshark could not read the name.
fn dns_name(name: &str) -> Option<String> {
    if matches!(name, "" | "." | "<Root>") {
        return Some(".".to_owned());
    }
    if name.starts_with('<') && name.ends_with('>') {
        return None;
    }
    let mut out = String::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\\' {
            // `\DDD` in presentation format and in tshark's fields, `\r`, `\\`, or a lone backslash at the end.
            let digits = rest.clone().take(3).take_while(char::is_ascii_digit).count();
            let skip = if digits == 3 { 3 } else { usize::from(rest.peek().is_some()) };
            rest.by_ref().take(skip).for_each(drop);
            out.push('?');
        } else if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
            out.push(c.to_ascii_lowercase());
        } else {
            out.push('?');
        }
    }
    Some(out)
}

/// The number of a question's type, after a look at the name that stands beside it.
fn dns_type(observation: &Observation) -> u64 {
    const NAMES: [(&str, u64); 8] = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("PTR", 12),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("HTTPS", 65),
    ];
    let number = observation.0["type_code"].as_u64().expect("a question has a type");
    let name = observation.text("type");
    for (known, code) in NAMES {
        assert_eq!(name == known, number == code, "{name} is not the name of type {number}");
    }
    number
}

#[test]
fn certificate_serials_over_tcp_are_those_of_tshark() {
    let Some(read) = Read::all() else { return };
    let mut truth = Vec::new();
    for (file, line) in read.truth("certificates") {
        for (n, serial) in truth::values(&line["serials"]).enumerate() {
            truth.push(Row::new(file, truth::frame(&line), format!("{} {serial}", n + 1)));
        }
    }
    // tshark gives one line a frame, so two messages that end in one frame are one line, in order.
    let mut chains: BTreeMap<(&str, u64), usize> = BTreeMap::new();
    let mut ours = Vec::new();
    for message in read.of_kind("tls.certificate").filter(|o| o.text("transport") == "tcp" && !o.decrypted())
    {
        let (file, frame) = (message.text("capture"), message.frame());
        for certificate in message.0["chain"].as_array().expect("a certificate message has a chain") {
            let n = chains.entry((file, frame)).or_default();
            *n += 1;
            let serial = certificate["serial"].as_str().expect("a certificate has a serial");
            ours.push(Row::new(file, frame, format!("{n} {serial}")));
        }
    }
    Comparison { table: "certificates", unit: "serials", truth, ours }.check(&read.names);
}

#[test]
fn ja4_over_tcp_is_that_of_its_authors() {
    let Some(read) = Read::all() else { return };
    let mut truth = Vec::new();
    let mut streams: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut with_truth = BTreeSet::new();
    for (file, line) in read.truth("ja4") {
        with_truth.insert(file.to_owned());
        let ends = format!(
            "{} > {}",
            socket(&line["src"], &line["srcport"]),
            socket(&line["dst"], &line["dstport"])
        );
        let stream = line["stream"].parse().expect("a stream number");
        let mut nth = 0;
        for column in ["JA4", "JA4.1", "JA4.2"] {
            let value = line.get(column).map_or("", String::as_str);
            if value.starts_with('t') {
                nth += 1;
                truth.push(Row::new(file, stream, format!("{ends} hello {nth}: {value}")));
                streams.insert((file.to_owned(), ends.clone()), stream);
            }
        }
    }
    // The truth numbers connections as tshark does and names no frames, so the ends tell which hello is meant.
    let mut hellos: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut ours = Vec::new();
    for hello in read.of_kind("tls.client_hello").filter(|o| o.text("transport") == "tcp" && !o.decrypted()) {
        let key =
            (hello.text("capture").to_owned(), format!("{} > {}", hello.text("src"), hello.text("dst")));
        if !with_truth.contains(&key.0) {
            continue;
        }
        let nth = hellos.entry(key.clone()).or_default();
        *nth += 1;
        let stream = streams.get(&key).copied().unwrap_or_default();
        ours.push(Row::new(&key.0, stream, format!("{} hello {nth}: {}", key.1, hello.text("ja4"))));
    }
    Comparison { table: "ja4", unit: "fingerprints", truth, ours }.check(&read.names);
}

#[test]
fn http_messages_are_those_of_tshark() {
    let Some(read) = Read::all() else { return };
    let mut truth = Vec::new();
    for (file, line) in read.truth("http") {
        // One line a frame: several requests, or answers, of one frame are separated by commas in the fields without any.
        for method in truth::values(&line["method"]) {
            truth.push(Row::new(file, truth::frame(&line), format!("request {method}")));
        }
        for status in truth::values(&line["status"]) {
            truth.push(Row::new(file, truth::frame(&line), format!("response {status}")));
        }
    }
    let plain = |o: &&Observation| o.text("version").starts_with("1.") && !o.decrypted();
    let requests =
        read.of_kind("http.request").filter(plain).map(|o| (o, format!("request {}", o.text("method"))));
    let responses =
        read.of_kind("http.response").filter(plain).map(|o| (o, format!("response {}", o.0["status"])));
    let ours = requests.chain(responses).map(|(o, value)| Row::new(o.text("capture"), o.frame(), value));
    let ours = ours.collect();
    Comparison { table: "http", unit: "messages", truth, ours }.check(&read.names);
}

#[test]
fn hosts_targets_and_programs_in_http_requests_are_those_of_tshark() {
    let Some(read) = Read::all() else { return };
    let columns = [("host", "host"), ("uri", "target"), ("user_agent", "user_agent")];
    let mut truth = Vec::new();
    for (file, line) in read.truth("http") {
        let cells = columns.map(|(column, field)| (field, line[column].clone()));
        truth.extend(http_rows(file, truth::frame(&line), cells));
    }
    // One line a frame. Values hold commas, so that several requests of one frame are compared joined.
    let mut frames: BTreeMap<(&str, u64), [Vec<&str>; 3]> = BTreeMap::new();
    for request in read.of_kind("http.request") {
        if request.text("version").starts_with("1.") && !request.decrypted() {
            let cells = frames.entry((request.text("capture"), request.frame())).or_default();
            for (cell, (_, field)) in cells.iter_mut().zip(columns) {
                cell.extend(request.0[field].as_str());
            }
        }
    }
    let mut ours = Vec::new();
    for ((file, frame), [host, target, program]) in frames {
        let cells = [("host", host), ("target", target), ("user_agent", program)];
        ours.extend(http_rows(file, frame, cells.map(|(field, values)| (field, values.join(",")))));
    }
    Comparison { table: "http-fields", unit: "values", truth, ours }.check(&read.names);
}

/// A row for each field that is there.
fn http_rows(file: &str, frame: u64, cells: [(&str, String); 3]) -> Vec<Row> {
    let there = cells.into_iter().filter(|(_, value)| !value.is_empty());
    there.map(|(field, value)| Row::new(file, frame, format!("{field} {value}"))).collect()
}

#[test]
fn stun_messages_are_those_of_tshark() {
    let Some(read) = Read::all() else { return };
    let mut truth = Vec::new();
    for (file, line) in read.truth("stun") {
        let value = stun_row(&line["type"], &line["xor_mapped_address"], &line["software"]);
        truth.push(Row::new(file, truth::frame(&line), value));
    }
    // tshark gives one line a frame and no port: its field holds all IPv4 addresses of a message, not only mapped ones.
    let mut frames: BTreeMap<(&str, u64), [Vec<String>; 3]> = BTreeMap::new();
    for message in read.of_kind("stun.message").filter(|o| o.text("carried_by").is_empty()) {
        let [types, addresses, software] =
            frames.entry((message.text("capture"), message.frame())).or_default();
        types.extend(Some(message.text("type").to_owned()).filter(|t| !t.is_empty()));
        software.extend(message.0["software"].as_str().map(str::to_owned));
        for address in message.0["addresses"].as_array().expect("a message has a list of addresses") {
            let address = address["address"].as_str().expect("an address is text");
            let address: std::net::SocketAddr = address.parse().expect("an address and a port");
            addresses.extend(Some(address.ip()).filter(std::net::IpAddr::is_ipv4).map(|ip| ip.to_string()));
        }
    }
    let ours = frames.into_iter().map(|((file, frame), [types, addresses, software])| {
        Row::new(file, frame, stun_row(&types.join(","), &addresses.join(","), &software.join(",")))
    });
    let ours = ours.collect();
    Comparison { table: "stun", unit: "frames", truth, ours }.check(&read.names);
}

fn stun_row(types: &str, addresses: &str, software: &str) -> String {
    format!("{} {addresses} {software}", if types.is_empty() { "channel-data" } else { types })
}

#[test]
fn dtls_hellos_and_certificates_are_those_of_tshark() {
    let Some(read) = Read::all() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dtls.tsv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut truth = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [file, frame, suites, name, serials] = cells[..] else { panic!("tests/data/dtls.tsv: {line:?}") };
        truth.push(Row::new(file, frame.parse().unwrap(), format!("{suites} {name} {serials}")));
    }
    let mut frames: BTreeMap<(&str, u64), [Vec<&str>; 3]> = BTreeMap::new();
    for o in read.observations.iter().filter(|o| o.text("transport") == "dtls") {
        let list = |field: &str| o.0[field].as_array().into_iter().flatten();
        let [suites, names, serials] = frames.entry((o.text("capture"), o.frame())).or_default();
        match o.text("kind") {
            "tls.client_hello" => {
                suites.extend(list("ciphers").filter_map(|c| c.as_str()));
                names.extend(o.0["sni"].as_str());
            }
            "tls.server_hello" => suites.push(o.text("cipher")),
            "tls.certificate" => serials.extend(list("chain").filter_map(|c| c["serial"].as_str())),
            _ => {}
        }
    }
    let ours = frames.into_iter().map(|((file, frame), [suites, names, serials])| {
        Row::new(file, frame, format!("{} {} {}", suites.join(","), names.join(","), serials.join(",")))
    });
    let ours = ours.collect();
    Comparison { table: "dtls", unit: "frames", truth, ours }.check(&read.names);
}

/// nDPI writes JA4 with marks of its own: `d` for a server name that was not sent, the first two letters of ALPN instead of
/// the ends, and the hash of nothing instead of zeros. The hashes of suites and of extensions with signatures are comparable.
#[test]
fn ja4_over_dtls_has_the_hashes_of_ndpi() {
    let Some(read) = Read::all() else { return };
    for (file, hashes) in [
        ("ndpi-dtls2.pcap", "f3b6e48d6e2b_"),
        ("ndpi-stun.pcap", "c45550529adf_d9dd6182da81"),
        ("ndpi-stun.pcap", "c6c2b6ec87e0_06b1ae923e2a"),
        ("ndpi-stun_dtls_rtp.pcapng", "c45550529adf_d9dd6182da81"),
    ] {
        let expected = truth::text(&read.folder, file, "ndpi-flows.txt");
        assert!(expected.unwrap_or_default().contains(hashes), "{file}: nDPI does not say {hashes}");
        let told = read
            .of_kind("tls.client_hello")
            .filter(|o| o.text("capture") == file && o.text("transport") == "dtls")
            .any(|o| o.text("ja4").starts_with('d') && o.text("ja4").contains(hashes));
        assert!(told, "{file}: no hello with {hashes}");
    }
}

/// Captures in which tshark or nDPI sees these protocols; in all others metaleak must not see them either.
#[test]
fn calls_are_seen_where_others_see_them() {
    let Some(shared) = shared() else { return };
    let report = replay(corpus(&shared).values());
    let mut ours: BTreeSet<String> = BTreeSet::new();
    for flow in report["flows"].as_array().expect("flows is a list") {
        let protocols = flow["app_protocols"].as_array().expect("app_protocols is a list");
        for id in protocols.iter().filter_map(|p| p.as_str()).filter(|p| CALLS.contains(p)) {
            ours.insert(format!("{} {id}", flow["capture"].as_str().unwrap()));
        }
    }
    let theirs: BTreeSet<String> = [
        "ndpi-dtls2.pcap dtls",
        // tshark takes the SRTCP in Discord's calls for RTCP; the RTP has no set-up that it could go by.
        "ndpi-discord.pcap rtp",
        "ndpi-fuzz-2006-06-26-2594.pcap rtp",
        "ndpi-fuzz-2006-06-26-2594.pcap sip",
        // nDPI: RTP.
        "ndpi-rtp.pcapng rtp",
        "ndpi-sip.pcap rtp",
        "ndpi-sip.pcap sip",
        // The headers go on as RFC 3550 has it, in the SSRCs that the reports name; neither program looks behind STUN there.
        "ndpi-skype-conference-call.pcap rtp",
        "ndpi-skype-conference-call.pcap stun",
        "ndpi-stun.pcap dtls",
        "ndpi-stun.pcap rtp",
        "ndpi-stun.pcap stun",
        "ndpi-stun_dtls_rtp.pcapng dtls",
        "ndpi-stun_dtls_rtp.pcapng rtp",
        "ndpi-stun_dtls_rtp.pcapng stun",
        "ndpi-stun_signal.pcapng rtp",
        "ndpi-stun_signal.pcapng stun",
        "ndpi-teams.pcap rtp",
        "ndpi-teams.pcap stun",
        "ndpi-wa_voice.pcap rtp",
        "ndpi-wa_voice.pcap stun",
        // Without a cookie (RFC 3489).
        "ndpi-zoom.pcap stun",
        "zeek-tls-dtls1_2.pcap dtls",
        "zeek-tls-dtls13-cid.pcap dtls",
        "zeek-tls-webrtc-stun.pcap dtls",
        "zeek-tls-webrtc-stun.pcap stun",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    assert_eq!(ours, theirs);
}

const CALLS: [&str; 4] = ["stun", "dtls", "rtp", "sip"];

#[test]
fn ja4_in_quic_is_that_of_its_authors_and_of_ndpi() {
    let Some(read) = Read::all() else { return };
    let mut truth = Vec::new();
    // The authors' own: whole fingerprints.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ja4-quic.tsv");
    for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        let [file, src, dst, ja4] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        truth.push((file.to_owned(), format!("{src} > {dst}"), ja4.to_owned()));
    }
    let authors: BTreeSet<String> = truth.iter().map(|(file, ..)| file.clone()).collect();
    // nDPI's expected output; it takes the first two characters of the ALPN value, or a 0, where JA4 has the first and the last.
    for file in &read.names {
        let text = truth::text(&read.folder, file, "ndpi-flows.txt").unwrap_or_default();
        for line in text.lines().filter(|line| line.contains("[JA4: q")) {
            let words: Vec<&str> = line.split_whitespace().skip_while(|word| *word != "UDP").collect();
            let ja4 = line.split("[JA4: ").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
            truth.push((file.clone(), format!("{} > {}", words[1], words[3]), without_alpn(ja4)));
        }
    }
    let with_truth: BTreeSet<(&str, &str)> =
        truth.iter().map(|(file, ends, _)| (file.as_str(), ends.as_str())).collect();
    // Both name connections and no frames, and the first hello of each.
    let mut seen = BTreeSet::new();
    let mut ours = Vec::new();
    for hello in read.of_kind("tls.client_hello").filter(|o| o.text("transport") == "quic" && !o.decrypted())
    {
        let (file, ends) = (hello.text("capture"), format!("{} > {}", hello.text("src"), hello.text("dst")));
        if with_truth.contains(&(file, &ends)) && seen.insert((file, ends.clone())) {
            let ja4 = hello.text("ja4").to_owned();
            let ja4 = if authors.contains(file) { ja4 } else { without_alpn(&ja4) };
            ours.push(Row::new(file, 0, format!("{ends}: {ja4}")));
        }
    }
    let truth = truth.iter().map(|(file, ends, ja4)| Row::new(file, 0, format!("{ends}: {ja4}"))).collect();
    Comparison { table: "ja4-quic", unit: "fingerprints", truth, ours }.check(&read.names);
}

/// A fingerprint with `..` in place of the two characters of the ALPN value.
fn without_alpn(ja4: &str) -> String {
    format!("{}..{}", &ja4[..8], &ja4[10..])
}

/// An end as metaleak writes it.
fn socket(address: &str, port: &str) -> String {
    let address = address.parse().unwrap_or_else(|_| panic!("{address:?} is no address"));
    std::net::SocketAddr::new(address, port.parse().unwrap()).to_string()
}
