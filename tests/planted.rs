//! Planted truth: for each of the eight messengers captures made from code of which it is known what the catalogue must say.
//!
//! Each capture is written to a file and goes the whole way (reading, dissection, attribution, destinations, leakage, verdicts). The results stand
//! in `docs/planted.md` (`METALEAK_UPDATE_DOCS=1 cargo test --test planted`). What every single condition of the language fits is
//! tested on made reports in `tests/claims.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and figures are printed"
)]

mod common;
#[path = "planted/predicates.rs"]
mod predicates;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use common::build::{PacketBuilder, Tcp};
use common::wire;
use metaleak::claims::{Catalogue, Criteria, judge_with_controls};
use metaleak::destination::ReferenceDb;
use metaleak::model::{ClaimResult, Control, ControlKind, Report, Verdict};
use metaleak::payload::Rules;
use metaleak::pipeline::{self, Capture, Settings};

/// Messengers with a name of their server; two have none that is theirs, and are known by the run and the form of their bytes.
const MESSENGERS: [(&str, &str); 8] = [
    ("whatsapp", "e1.whatsapp.net"),
    ("messenger", "edge-chat.messenger.com"),
    ("telegram", "web.telegram.org"),
    ("signal", "chat.signal.org"),
    ("wire", "prod-nginz-https.wire.com"),
    ("threema", "ds.threema.ch"),
    ("conversations", "xmpp.verein.example"),
    ("caritas", "beratung.verein.example"),
];
const DEVICE: &str = "192.168.7.20";
/// An address of a German host: some source knows it, and its seat has a basis.
const SERVER: &str = "116.203.10.11";
/// All steps that the claims looked at ask for.
const STEPS: &[&str] = &["register", "contact-sync", "text-1to1", "text-group", "media", "idle", "web-login"];
/// Digits that nobody has: the canary.
const NUMBER: &str = "+4915199900017";

/// Marsaglia's xorshift: repeatable without a crate.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| (self.next() >> 24) as u8).collect()
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 3, 3];
    out.extend((body.len() as u16).to_be_bytes());
    out.extend(body);
    out
}

/// A server hello with a cipher suite, of TLS 1.3 or 1.2.
fn server_hello(cipher: u16, newest: bool) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.push(0);
    body.extend(cipher.to_be_bytes());
    body.push(0);
    if newest {
        body.extend([0, 6, 0, 43, 0, 2, 3, 4]);
    }
    let mut message = vec![2];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    record(22, &message)
}

/// A connection of the messenger that is encrypted from its hello on; `up` bytes go up behind it.
fn tls(
    to: &mut PacketBuilder,
    port: u16,
    messenger: &str,
    name: &str,
    cipher: u16,
    up: usize,
    r: &mut Random,
) {
    let client = format!("{DEVICE}:{port}");
    let xmpp = messenger == "conversations";
    let mut tcp = Tcp::new(&client, &format!("{SERVER}:{}", if xmpp { 5222 } else { 443 }));
    tcp.open(to);
    if xmpp {
        let header = format!(
            "<?xml version='1.0'?><stream:stream to='{name}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        tcp.up(to, header.as_bytes());
        tcp.down(to, b"<?xml version='1.0'?><stream:stream from='x' id='1' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>");
        tcp.up(to, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        tcp.down(to, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    }
    tcp.up(to, &wire::client_hello(name));
    let newest = cipher >> 8 == 0x13;
    tcp.down(to, &server_hello(cipher, newest));
    tcp.down(to, &record(20, &[1]));
    tcp.down(to, &record(23, &r.bytes(300)));
    tcp.up(to, &record(20, &[1]));
    let mut left = up;
    while left > 0 {
        let piece = left.min(1300);
        tcp.up(to, &record(23, &r.bytes(piece)));
        left -= piece;
    }
    tcp.down(to, &record(23, &r.bytes(200)));
    tcp.close(to);
}

/// A number that goes out in clear: in a request, or in a stanza where that is what the messenger speaks.
fn clear(to: &mut PacketBuilder, messenger: &str, name: &str) {
    let xmpp = messenger == "conversations";
    let mut tcp = Tcp::new(&format!("{DEVICE}:41000"), &format!("{SERVER}:{}", if xmpp { 5222 } else { 80 }));
    tcp.open(to);
    if xmpp {
        let header = format!(
            "<?xml version='1.0'?><stream:stream to='{name}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        tcp.up(to, header.as_bytes());
        tcp.down(to, b"<?xml version='1.0'?><stream:stream from='x' id='1' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>");
        tcp.up(
            to,
            format!(
                "<iq type='set' id='1'><query xmlns='jabber:iq:register'><phone>{NUMBER}</phone></query></iq>"
            )
            .as_bytes(),
        );
    } else {
        let body = format!("{{\"number\":\"{NUMBER}\"}}");
        let head = format!(
            "POST /register HTTP/1.1\r\nHost: {name}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        tcp.up(to, head.as_bytes());
        tcp.down(to, b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
    }
    tcp.close(to);
}

/// The resolver's answer that gives the server its name.
fn dns(to: &mut PacketBuilder, name: &str) {
    let (device, resolver) = (format!("{DEVICE}:50053").parse().unwrap(), "192.168.7.1:53".parse().unwrap());
    let query = wire::dns_query(7, name, 1);
    to.udp(device, resolver, &query);
    let mut answer = query;
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[7] = 1;
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
    answer.extend(SERVER.parse::<std::net::Ipv4Addr>().unwrap().octets());
    to.udp(resolver, device, &answer);
}

/// A run's description.
fn described(messenger: &str, steps: &[&str], more: &str) -> String {
    let steps = serde_json::to_string(steps).unwrap();
    format!(
        "{{\"messenger\": \"{messenger}\", \"steps\": {steps}, \"vantage\": \"router\", \"app\": \"made, version 1\", \"canaries\": {{\"number\": \"{NUMBER}\"}}{more}}}"
    )
}

/// Captures of one study, judged together by the claims of the messenger; `controls` are planted first.
fn judged(messenger: &str, files: &[(Vec<u8>, String)], controls: u32, catalogue: &Catalogue) -> Report {
    judged_by(messenger, files, controls, catalogue, None)
}

/// The same, with other rules for what counts in readable bytes.
fn judged_by(
    messenger: &str,
    files: &[(Vec<u8>, String)],
    controls: u32,
    catalogue: &Catalogue,
    rules: Option<Arc<Rules>>,
) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let mut captures = Vec::new();
    for (n, (bytes, run)) in files.iter().enumerate() {
        let name = format!("{messenger}-{n:03}.pcap");
        let path = folder.path().join(&name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::write(folder.path().join(format!("{messenger}-{n:03}.run.json")), run).unwrap();
        captures.push(Capture { path, name });
    }
    let settings = Settings { parallel: true, rules, ..Settings::default() };
    let analyses: Vec<_> = pipeline::analyse_all(&captures, &settings, &|_| {})
        .into_iter()
        .map(|read| read.unwrap_or_else(|e| panic!("{e}")))
        .collect();
    let planted = if controls == 0 {
        BTreeMap::new()
    } else {
        pipeline::plant(&captures, &analyses, controls, &settings, ReferenceDb::embedded().unwrap())
    };
    pipeline::report(analyses, ReferenceDb::embedded().unwrap(), catalogue, &planted, &Criteria::default())
}

/// The built-in claims of one messenger, and those for all.
fn catalogue_of(messenger: &str) -> Catalogue {
    let own = format!("claims/{messenger}.toml");
    let texts = Catalogue::embedded_files().filter(|(name, _)| *name == own || *name == "claims/common.toml");
    Catalogue::from_texts(texts.map(|(name, text)| (name.to_owned(), text.to_owned()))).unwrap()
}

fn said(claim: &ClaimResult) -> String {
    if claim.reason.is_empty() {
        claim.verdict.to_string()
    } else {
        format!("{}: {}", claim.verdict, claim.reason)
    }
}

fn find<'r>(claims: &'r [ClaimResult], id: &str) -> &'r ClaimResult {
    claims.iter().find(|c| c.id == id).unwrap_or_else(|| panic!("no {id}"))
}

/// One capture that is encrypted as it should be.
fn sound(messenger: &str, name: &str, cipher: u16) -> Vec<u8> {
    let mut made = PacketBuilder::new();
    dns(&mut made, name);
    tls(&mut made, 40_000, messenger, name, cipher, 700, &mut Random(11));
    made.finish()
}

/// What was planted, what had to come out, and what did.
struct Row {
    planted: &'static str,
    claim: String,
    expected: &'static str,
    got: String,
}

fn rows_of(messenger: &str, name: &str) -> Vec<Row> {
    let catalogue = catalogue_of(messenger);
    let all_steps = || described(messenger, STEPS, "");
    let mut rows = Vec::new();
    let mut note = |planted, claim: &str, expected, report: &Report| {
        let id = format!("{messenger}.{claim}");
        let result = find(&report.claims, &id);
        // A verdict that rests on what was seen names frames.
        let shown = expected != "contradicted" && expected != "supported"
            || result.evidence.iter().any(|e| !e.frames.is_empty());
        let got = if shown { said(result) } else { format!("{} without a frame", said(result)) };
        rows.push(Row { planted, claim: id, expected, got });
    };
    let good = vec![(sound(messenger, name, 0x1301), all_steps())];
    let report = judged(messenger, &good, 0, &catalogue);
    note("TLS 1.3 with AES-128-GCM", "tls-modern", "supported", &report);
    note(
        "ends at a German host, from an unknown place",
        "all-ends-adequate",
        "inconclusive: vantage-unsuitable",
        &report,
    );
    note("one run of a claim that asks for more", "idle-quiet", "inconclusive: too-few-runs", &report);
    let weak = judged(messenger, &[(sound(messenger, name, 0x000a), all_steps())], 0, &catalogue);
    // Of Caritas nothing but the run says whose connection it is, so that an old suite is listed and left to the auditor.
    let of_run = messenger == "caritas";
    let expected = if of_run { "inconclusive: not-exercised" } else { "contradicted" };
    note("TLS 1.2 with 3DES", "tls-modern", expected, &weak);
    let controlled = judged(messenger, &good, 60, &catalogue);
    let id = format!("{messenger}.no-identifiers-in-clear");
    let power = find(&controlled.claims, &id).control.clone().unwrap_or_else(|| panic!("{id}: no control"));
    assert!(power.planted == 60 && power.power >= 0.95, "{id}: {power:?}");
    note("nothing in clear, 60 controls planted", "no-identifiers-in-clear", "not-contradicted", &controlled);
    let rules = &find(&controlled.claims, &id).further_controls;
    assert!(
        matches!(&rules[..], [rules] if rules.kind == ControlKind::Rule && rules.power >= 0.95 && rules.missed.is_empty()),
        "{id}: {rules:?}"
    );
    for (claim, kind) in
        [("all-ends-adequate", ControlKind::Destination), ("no-third-party-trackers", ControlKind::Tracker)]
    {
        let id = format!("{messenger}.{claim}");
        let power =
            find(&controlled.claims, &id).control.clone().unwrap_or_else(|| panic!("{id}: no control"));
        println!("{id}: {} of {}", power.found, power.planted);
        assert!(power.kind == kind && power.planted == 60 && power.power >= 0.95, "{id}: {power:?}");
    }
    // Where nothing but the run says whose the connections are, an own server looks like anybody's.
    if !matches!(messenger, "conversations" | "caritas") {
        let planted = "own ends only, 60 connections to trackers planted";
        note(planted, "no-third-party-trackers", "not-contradicted", &controlled);
    }
    // Without a word on what the device did a connection to a tracker is nobody's: the control has to fail.
    if messenger != "caritas" {
        let nobody =
            format!("{{\"steps\": {}, \"vantage\": \"router\"}}", serde_json::to_string(STEPS).unwrap());
        let blind = judged(messenger, &[(sound(messenger, name, 0x1301), nobody)], 20, &catalogue);
        let id = format!("{messenger}.no-third-party-trackers");
        let power = find(&blind.claims, &id).control.clone().unwrap_or_else(|| panic!("{id}: no control"));
        assert_eq!((power.planted, power.found), (20, 0), "{id}");
        let planted = "trackers that no run ties to the messenger";
        note(planted, "no-third-party-trackers", "inconclusive: control-failed", &blind);
    }
    let idle = judged(
        messenger,
        &[(sound(messenger, name, 0x1301), described(messenger, &["idle"], ""))],
        0,
        &catalogue,
    );
    note(
        "nothing in clear, but no step run",
        "no-identifiers-in-clear",
        "inconclusive: not-exercised",
        &idle,
    );
    let mut leaking = PacketBuilder::new();
    dns(&mut leaking, name);
    clear(&mut leaking, messenger, name);
    let leaking = judged(messenger, &[(leaking.finish(), all_steps())], 0, &catalogue);
    note("the number in clear", "no-identifiers-in-clear", "contradicted", &leaking);
    // The middle of a connection: nothing that could be parsed.
    let mut middle = PacketBuilder::new();
    let mut tcp = Tcp::new(&format!("{DEVICE}:40100"), &format!("{SERVER}:8777"));
    for _ in 0..4 {
        tcp.up(&mut middle, &Random(5).bytes(900));
        tcp.down(&mut middle, &Random(6).bytes(900));
    }
    let middle = judged(messenger, &[(middle.finish(), all_steps())], 0, &catalogue);
    note("the middle of a connection", "tls-modern", "inconclusive: opaque", &middle);
    // The search finds every control in captures like these, so that a failed one is handed to the engine.
    let mut failed = report.clone();
    let silent = Control { planted: 60, found: 0, ..Control::default() };
    failed.claims = judge_with_controls(&catalogue, &failed, &BTreeMap::from([(id, vec![silent])]));
    note("a control that found nothing", "no-identifiers-in-clear", "inconclusive: control-failed", &failed);
    for (planted, bytes, repeats, expected) in [
        ("32 bytes a contact, five runs a dose", 32, 5, "contradicted"),
        ("no upload, five runs a dose", 0, 5, "not-contradicted"),
        ("32 bytes a contact, four runs a dose", 32, 4, "inconclusive: too-few-runs"),
    ] {
        let mut files = Vec::new();
        for contacts in [0_usize, 10, 100, 1000] {
            for repeat in 0..repeats {
                let mut made = PacketBuilder::new();
                made.at(common::build::START + (contacts as u64 * 10 + repeat) * 3_600_000_000_000);
                let mut r = Random(1 + contacts as u64 * 31 + repeat);
                dns(&mut made, name);
                let noise = r.below(300) as usize;
                tls(&mut made, 40_000, messenger, name, 0x1301, 2000 + noise + bytes * contacts, &mut r);
                files.push((
                    made.finish(),
                    described(messenger, &["contact-sync"], &format!(", \"contacts\": {contacts}")),
                ));
            }
        }
        let report = judged(messenger, &files, 0, &catalogue);
        if expected == "not-contradicted" {
            let id = format!("{messenger}.contact-dose-response");
            let power = find(&report.claims, &id).control.as_ref().map(|c| c.power);
            assert!(power.is_some_and(|p| p >= 0.9), "{id}: {power:?}");
        }
        // Where only the run shows whose flow it is, growth may be another program's.
        let foreign = messenger == "caritas" && expected == "contradicted";
        let expected = if foreign { "inconclusive: vantage-unsuitable" } else { expected };
        note(planted, "contact-dose-response", expected, &report);
    }
    rows
}

/// Traffic of other programs and of chance around a sound capture: nothing of it is the messenger's fault.
fn noisy(messenger: &str, name: &str, seed: u64) -> Vec<u8> {
    let mut r = Random(0x9e37_79b9 ^ (seed + 1).wrapping_mul(0x1_0000_01b3));
    let mut made = PacketBuilder::new();
    dns(&mut made, name);
    let parts = 2 + r.below(6);
    let place = r.below(parts);
    for part in 0..parts {
        if part == place {
            let up = 200 + r.below(4000) as usize;
            tls(&mut made, 40_000, messenger, name, 0x1301, up, &mut r);
        }
        let far = format!("{}.{}.{}.{}", 20 + r.below(180), r.below(255), r.below(255), 1 + r.below(250));
        let port = [80, 443, 5222, 5228, 8080, 1 + r.below(65_000)][r.below(6) as usize];
        let device = format!("{DEVICE}:{}", 42_000 + part);
        let mut tcp = Tcp::new(&device, &format!("{far}:{port}"));
        match r.below(6) {
            0 => {
                let n = r.below(1200) as usize;
                made.udp(device.parse().unwrap(), format!("{far}:{port}").parse().unwrap(), &r.bytes(n));
            }
            1 => {
                let other = format!("host{}.other.example", r.below(1000));
                made.udp(
                    device.parse().unwrap(),
                    "192.168.7.1:53".parse().unwrap(),
                    &wire::dns_query(9, &other, 1),
                );
            }
            2 => {
                // A browser's page in clear, with a cookie and a mail address.
                tcp.open(&mut made);
                let request = format!(
                    "GET /a?mail=someone{}@other.example HTTP/1.1\r\nHost: www.other.example\r\nCookie: sid={:x}\r\n\r\n",
                    r.below(99),
                    r.next()
                );
                tcp.up(&mut made, request.as_bytes());
                tcp.down(&mut made, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            }
            3 => {
                // An old server of somebody else.
                tcp.open(&mut made);
                tcp.up(&mut made, &wire::client_hello("old.other.example"));
                let cipher = [0x000a, 0x0005, 0x002f, 0x1301][r.below(4) as usize];
                tcp.down(&mut made, &server_hello(cipher, false));
                tcp.down(&mut made, &record(23, &r.bytes(90)));
            }
            4 => {
                let n = 1 + r.below(1300) as usize;
                tcp.open(&mut made);
                tcp.up(&mut made, &r.bytes(n));
                tcp.down(&mut made, &r.bytes(n));
            }
            _ => {
                tcp.up(&mut made, &r.bytes(40));
            }
        }
    }
    let mut bytes = made.finish();
    // Some captures end in the middle of a record.
    if r.below(4) == 0 {
        let cut = r.below(60) as usize;
        bytes.truncate(bytes.len() - cut);
    }
    bytes
}

/// Contradictions that a sound capture does not have, over variants with noise; how many claims were judged.
fn false_contradictions(variants: u64) -> (Vec<String>, usize) {
    let (mut wrong, mut judged_claims) = (Vec::new(), 0);
    for (messenger, name) in MESSENGERS {
        let catalogue = catalogue_of(messenger);
        let run = described(messenger, STEPS, "");
        let contradicted = |report: &Report| -> BTreeSet<String> {
            let of = report.claims.iter().filter(|c| c.verdict == Verdict::Contradicted);
            of.map(|c| c.id.clone()).collect()
        };
        let sound = judged(messenger, &[(sound(messenger, name, 0x1301), run.clone())], 0, &catalogue);
        let baseline = contradicted(&sound);
        for seed in 0..variants {
            let report = judged(messenger, &[(noisy(messenger, name, seed), run.clone())], 0, &catalogue);
            judged_claims += report.claims.iter().filter(|c| c.verdict != Verdict::Documentary).count();
            let new: Vec<String> = contradicted(&report).difference(&baseline).cloned().collect();
            wrong.extend(new.into_iter().map(|id| format!("{id} with seed {seed}")));
        }
    }
    (wrong, judged_claims)
}

const BEGIN: &str = "<!-- planted: made by tests/planted.rs -->\n";
const END: &str = "<!-- end of planted -->\n";

fn table(rows: &[Row]) -> String {
    let mut out = String::from(BEGIN);
    out += "| verdict | planted | found | recall | given | precision |\n| --- | ---: | ---: | ---: | ---: | ---: |\n";
    let verdicts: BTreeSet<&str> = rows.iter().map(|r| r.expected).collect();
    for verdict in verdicts {
        let planted = rows.iter().filter(|r| r.expected == verdict).count();
        let found = rows.iter().filter(|r| r.expected == verdict && r.got == verdict).count();
        let given = rows.iter().filter(|r| r.got == verdict).count();
        let share = |a: usize, b: usize| {
            if b == 0 { "–".to_owned() } else { format!("{:.1} %", 100.0 * a as f64 / b as f64) }
        };
        writeln!(
            out,
            "| {verdict} | {planted} | {found} | {} | {given} | {} |",
            share(found, planted),
            share(found, given)
        )
        .unwrap();
    }
    out += "\n| what is planted | claim | must be | messengers |\n| --- | --- | --- | ---: |\n";
    let mut kinds: Vec<(&str, &str, &str)> = Vec::new();
    for row in rows {
        let kind = (row.planted, row.claim.split_once('.').unwrap().1, row.expected);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    for (planted, claim, expected) in kinds {
        let of = |r: &&Row| {
            r.planted == planted && r.expected == expected && r.claim.ends_with(&format!(".{claim}"))
        };
        writeln!(out, "| {planted} | `*.{claim}` | {expected} | {} |", rows.iter().filter(of).count())
            .unwrap();
    }
    out + END
}

#[test]
fn planted_truth_is_told() {
    let rows: Vec<Row> = MESSENGERS.iter().flat_map(|(messenger, name)| rows_of(messenger, name)).collect();
    let wrong: Vec<String> = rows
        .iter()
        .filter(|r| r.got != r.expected)
        .map(|r| format!("{} ({}): expected {}, got {}", r.claim, r.planted, r.expected, r.got))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    document(BEGIN, END, &table(&rows));
}

/// Holds a part of `docs/planted.md`, from one mark to the other, against what was found.
fn document(begin: &str, end: &str, made: &str) {
    // Two tests write to it.
    static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = WRITING.lock().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/planted.md");
    let stored = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = stored.split_once(begin).unwrap();
    let after = rest.split_once(end).unwrap().1;
    let now = format!("{before}{made}{after}");
    if std::env::var_os("METALEAK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(
        stored == now,
        "docs/planted.md is out of date: METALEAK_UPDATE_DOCS=1 cargo test --test planted"
    );
}

#[test]
fn noise_contradicts_nothing() {
    // A thousand variants over all messengers; the goal is less than one false contradiction in a thousand.
    let (wrong, claims) = false_contradictions(125);
    println!("{} false contradictions in 1000 variants, {claims} claims judged", wrong.len());
    assert!(wrong.is_empty(), "{} in 1000 variants:\n{}", wrong.len(), wrong.join("\n"));
}

/// A rule of the auditor's that takes numbers for something harmless makes the search blind for them: that nothing was seen means nothing then.
#[test]
fn a_rule_that_hides_others_makes_the_control_fail() {
    let catalogue = catalogue_of("signal");
    let files = [(sound("signal", "chat.signal.org", 0x1301), described("signal", STEPS, ""))];
    let hiding = "schema = 1\n[[rule]]\nid = \"harmless\"\nkind = \"content\"\nseverity = \"info\"\nconfidence = \"low\"\n\
        text = { en = \"digits\", de = \"Ziffern\" }\nanchors = [\"+\"]\nregex = '[+][0-9][0-9 ()/.-]{5,28}[0-9]'\n\
        yes = [\"the digits +4915112345678 follow\"]\nno = [\"one plus +1 is two\"]\n";
    let rules = Rules::with_texts(&[(Path::new("own.toml"), hiding)]).unwrap();
    let seeing = judged("signal", &files, 60, &catalogue);
    let blind = judged_by("signal", &files, 60, &catalogue, Some(Arc::new(rules)));
    let [seeing, blind] = [&seeing, &blind].map(|r| find(&r.claims, "signal.no-identifiers-in-clear"));
    assert_eq!(said(seeing), "not-contradicted");
    assert_eq!(said(blind), "inconclusive: control-failed");
    let missed = &blind.further_controls[0].missed;
    assert!(missed.iter().any(|rule| rule == "phone-list"), "{missed:?}");
    // Canaries are found all the same.
    assert!(!blind.control.as_ref().unwrap().failed());
}

/// What each direction carries, and how dense it is: random bytes are as dense as ciphertext and stay opaque.
#[test]
fn dense_bytes_count_as_encrypted_behind_a_handshake_only() {
    use metaleak::dissect::{Options, analyse_bytes};
    use metaleak::model::{ContentClass, Direction};
    let mut r = Random(21);
    let mut made = PacketBuilder::new();
    tls(&mut made, 40_000, "signal", "chat.signal.org", 0x1301, 9000, &mut r);
    let mut talk = |port: u16, up: &[u8], down: &[u8]| {
        let mut tcp = Tcp::new(
            &format!("{DEVICE}:{port}"),
            &format!("{SERVER}:{}", if port == 40_002 { 80 } else { 7777 }),
        );
        tcp.open(&mut made);
        for piece in up.chunks(1000) {
            tcp.up(&mut made, piece);
        }
        for piece in down.chunks(700) {
            tcp.down(&mut made, piece);
        }
        tcp.close(&mut made);
    };
    talk(40_001, &r.bytes(9000), &[&[0xff, 0xd8, 0xff, 0xe0][..], &r.bytes(30_000)].concat());
    let body = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0][..], &r.bytes(4000)].concat();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: {}\r\n\r\n", body.len());
    talk(
        40_002,
        b"GET /a HTTP/1.1\r\nHost: a.example\r\nAccept: everything that there is\r\n\r\n",
        &[head.as_bytes(), &body].concat(),
    );
    let read = analyse_bytes("made.pcap", &made.finish(), &Options::default()).unwrap();
    let said: Vec<_> = read
        .flows
        .iter()
        .flat_map(|f| f.density.iter().map(|d| (f.encryption.as_str(), d.direction, d.class)))
        .collect();
    let (up, down) = (Direction::Up, Direction::Down);
    assert_eq!(
        said,
        [
            ("tls1.3", up, ContentClass::Encrypted),
            ("tls1.3", down, ContentClass::Encrypted),
            ("opaque", up, ContentClass::Opaque),
            ("opaque", down, ContentClass::Media),
            ("none", up, ContentClass::Cleartext),
            ("none", down, ContentClass::Compressed),
        ]
    );
    let dense: Vec<f64> =
        read.flows.iter().flat_map(|f| &f.density).map(|d| d.entropy_bits.unwrap()).collect();
    assert!(dense.iter().enumerate().all(|(n, bits)| (*bits > 7.3) == (n != 4) || n == 1), "{dense:?}");
    let random = &read.flows[1].density;
    assert_eq!((random[0].bytes, random[0].looked_at), (9000, 2048));
    assert_eq!((random[1].bytes, random[1].looked_at), (30_004, 2048));
    assert!(random[0].chi_square.unwrap() < 340.0);
}
