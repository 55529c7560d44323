//! Which flows of the corpus are attributed to a messenger, against nDPI's word for the same flows, and the signatures that fire.
//!
//! Needs `../shared/corpus`; skipped with a notice where it is absent. Prints the confusion table and holds it, with what each
//! signature rests on (`docs/signatures.toml`), against `docs/messengers.md`; `METALEAK_UPDATE_DOCS=1` writes that file anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and figures are printed"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use common::{corpus, metaleak, shared, truth};
use metaleak::model::{Flow, Report};
use serde::Deserialize;

const MESSENGERS: [&str; 8] =
    ["whatsapp", "messenger", "telegram", "signal", "wire", "threema", "conversations", "caritas"];

/// Captures of messengers, of whose messenger's bytes at least 95 % have to be attributed to it.
const OF_MESSENGERS: [(&str, &str); 9] = [
    ("ndpi-whatsapp_login_chat.pcap", "whatsapp"),
    ("ndpi-whatsappfiles.pcap", "whatsapp"),
    ("ndpi-wa_voice.pcap", "whatsapp"),
    ("ndpi-signal.pcap", "signal"),
    ("ndpi-stun_signal.pcapng", "signal"),
    ("ndpi-telegram.pcap", "telegram"),
    ("ndpi-threema.pcap", "threema"),
    ("ndpi-jabber.pcap", "conversations"),
    ("zeek-tls-xmpp-starttls.pcap", "conversations"),
];

/// Flows that nDPI calls a messenger's, and that are not: capture, begin of the server's end, why. They count on neither side.
const NOT_THE_MESSENGER: [(&str, &str, &str); 1] = [(
    "ndpi-jabber.pcap",
    "160.44.201.102:5223",
    "binary messages (type 0x25, 0x26 or 0x30, length of two bytes) without a byte of XML: another protocol on XMPP's old port",
)];

/// Flows that metaleak attributes and nDPI does not: capture, begin of `messenger_why`, messenger, why it is right.
const MORE_THAN_NDPI: [(&str, &str, &str, &str); 2] = [
    (
        "ndpi-telegram.pcap",
        "socket:192.168.1.77:",
        "telegram",
        "the other party of the call, reached from the socket that also reaches Telegram's relays; nDPI knows no protocol there",
    ),
    (
        "zeek-tls-xmpp-starttls.pcap",
        "signature:xmpp.stream",
        "conversations",
        "no word of nDPI for this capture; tshark reads a client's XMPP stream with STARTTLS",
    ),
];

/// Captures that speak a messenger's protocol and hold no byte of an app: capture, the messenger that must not be told, protocols
/// of all of its flows, why.
const OF_NO_APP: [(&str, &str, &[&str], &str); 1] = [(
    "zeek-tls-xmpp-dialback-starttls.pcap",
    "conversations",
    &["tls", "xmpp"],
    "two servers speak with each other (namespace `jabber:server`, port 5269, and each shows a server's certificate). No device with an \
     app sends that, and whose users it serves cannot be told: the protocol is recognised and no messenger is, since other people's \
     traffic would count as the app's",
)];

/// What nDPI calls a flow, and the messenger that this is of.
#[derive(Clone, Debug)]
struct Word {
    app: String,
    messenger: Option<&'static str>,
}

impl Word {
    fn of(app: &str) -> Word {
        let (first, last) = (app.split('.').next().unwrap(), app.rsplit('.').next().unwrap());
        let messenger = match last {
            // A question about a messenger's name goes to the resolver: it is no byte of the messenger's.
            _ if first == "DNS" => None,
            "WhatsApp" | "WhatsAppCall" | "WhatsAppFiles" => Some("whatsapp"),
            "Signal" | "SignalVoip" => Some("signal"),
            "Telegram" | "TelegramVoip" => Some("telegram"),
            "Threema" => Some("threema"),
            "Jabber" => Some("conversations"),
            "Messenger" | "FacebookMessenger" => Some("messenger"),
            _ => None,
        };
        Word { app: app.to_owned(), messenger }
    }
}

/// Transport and both ends, in either order.
type Ends = (String, BTreeSet<SocketAddr>);

fn socket(end: &str) -> Option<SocketAddr> {
    // nDPI writes IPv6 addresses in full and in brackets.
    end.parse().ok()
}

/// nDPI's words for the flows of a capture, from the lines `N PROTO A:P <-> B:Q … [proto: N/NAME]`.
fn words(text: &str) -> BTreeMap<Ends, Word> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let (Some(number), Some(transport), Some(a), Some(arrow), Some(b)) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let app = line.split("[proto: ").nth(1).and_then(|rest| rest.split(']').next()?.split_once('/'));
        let (Some(a), Some(b), Some((_, app))) = (socket(a), socket(b), app) else { continue };
        if number.parse::<u32>().is_ok() && arrow.ends_with(['>', '-']) {
            found.entry((transport.to_lowercase(), BTreeSet::from([a, b]))).or_insert_with(|| Word::of(app));
        }
    }
    found
}

/// A flow with nDPI's word for it: `None` where nDPI has no line of it, or has not read its capture.
struct Seen {
    flow: Flow,
    word: Option<Word>,
}

impl Seen {
    fn bytes(&self) -> u64 {
        self.flow.bytes_up + self.flow.bytes_down
    }

    fn messenger(&self) -> Option<&str> {
        self.flow.messenger.as_deref()
    }

    fn meant(&self) -> Option<&'static str> {
        self.word.as_ref().and_then(|word| word.messenger)
    }
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn replay<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Report {
    let output = metaleak()
        .arg("replay")
        .args(files)
        .args(["--quiet", "--format", "json", "-o", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}

fn read(shared: &Path) -> (usize, Vec<Seen>) {
    let files = corpus(shared);
    let known: BTreeMap<&String, BTreeMap<Ends, Word>> = files
        .keys()
        .filter_map(|name| Some((name, words(&truth::text(&shared.join("corpus"), name, "ndpi-flows.txt")?))))
        .collect();
    assert_eq!(known.len(), 61, "captures with nDPI's words");
    let flows = replay(files.values()).flows.into_iter().map(|flow| {
        let ends = socket(&flow.client).zip(socket(&flow.server));
        let key = ends.map(|(a, b)| (flow.transport.clone(), BTreeSet::from([a, b])));
        let word = known.get(&flow.capture).zip(key).and_then(|(words, key)| words.get(&key).cloned());
        Seen { flow, word }
    });
    (files.len(), flows.collect())
}

fn is_not_the_messenger(seen: &Seen) -> bool {
    NOT_THE_MESSENGER
        .iter()
        .any(|(capture, server, _)| *capture == seen.flow.capture && seen.flow.server.starts_with(server))
}

fn more_than_ndpi(seen: &Seen) -> Option<usize> {
    let why = seen.flow.messenger_why.as_deref().unwrap_or_default();
    MORE_THAN_NDPI.iter().position(|(capture, begin, messenger, _)| {
        *capture == seen.flow.capture && why.starts_with(begin) && seen.messenger() == Some(messenger)
    })
}

/// Row of the confusion table: the messenger that is meant, or what else there is.
fn row(seen: &Seen) -> String {
    match (&seen.word, seen.meant()) {
        (Some(word), Some(_)) if is_not_the_messenger(seen) => format!("not {}, argued below", word.app),
        (Some(word), Some(messenger)) => format!("{messenger} (nDPI: {})", word.app),
        (Some(word), None) if word.app == "Unknown" => "nDPI: Unknown".into(),
        (Some(word), None) if word.app.starts_with("DNS.") => "questions to resolvers (nDPI: DNS.…)".into(),
        (Some(_), None) => "all other apps of nDPI".into(),
        (None, _) => match OF_MESSENGERS.iter().find(|(capture, _)| *capture == seen.flow.capture) {
            Some((_, messenger)) if !seen.flow.capture.starts_with("ndpi-") => {
                format!("{messenger} (tshark: {})", seen.flow.app_protocols.join(", "))
            }
            _ => "no word of nDPI".into(),
        },
    }
}

/// Rows to columns to (flows, bytes).
type Confusion = BTreeMap<String, BTreeMap<String, (u64, u64)>>;

fn confusion(flows: &[Seen]) -> Confusion {
    let mut table = Confusion::new();
    for seen in flows {
        let column = seen.messenger().unwrap_or("none").to_owned();
        let cell = table.entry(row(seen)).or_default().entry(column).or_default();
        *cell = (cell.0 + 1, cell.1 + seen.bytes());
    }
    table
}

fn markdown(table: &Confusion) -> String {
    let used: BTreeSet<&str> = table.values().flat_map(|row| row.keys().map(String::as_str)).collect();
    let columns: Vec<&str> =
        MESSENGERS.into_iter().filter(|m| used.contains(m)).chain(std::iter::once("none")).collect();
    let mut out =
        format!("| flows that are | {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len() + 1));
    for (name, cells) in table {
        let cells = columns.iter().map(|column| match cells.get(*column) {
            Some((flows, bytes)) => format!("{flows} ({bytes} B)"),
            None => "–".to_owned(),
        });
        let _ = writeln!(out, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    out
}

/// Bytes of a capture's messenger, and those of them that are attributed to it.
fn shares(flows: &[Seen]) -> Vec<(&'static str, &'static str, u64, u64)> {
    let share = |(capture, messenger): (&'static str, &'static str)| {
        let of_it = flows.iter().filter(|seen| {
            let meant = seen.meant() == Some(messenger) || !capture.starts_with("ndpi-");
            seen.flow.capture == capture && meant && !is_not_the_messenger(seen)
        });
        let (mut all, mut attributed) = (0, 0);
        for seen in of_it {
            all += seen.bytes();
            attributed += if seen.messenger() == Some(messenger) { seen.bytes() } else { 0 };
        }
        (capture, messenger, all, attributed)
    };
    OF_MESSENGERS.into_iter().map(share).collect()
}

#[test]
fn messengers_are_recognised_and_nothing_else_is() {
    let Some(shared) = shared() else { return };
    let (captures, flows) = read(&shared);
    let with_word = flows.iter().filter(|seen| seen.word.is_some()).count();
    println!("{captures} captures, {} flows, {with_word} of them with nDPI's word", flows.len());
    assert!(with_word > 800, "nDPI's words were not found");
    println!("{}", markdown(&confusion(&flows)));
    let mut faults = String::new();
    for (capture, messenger, all, attributed) in shares(&flows) {
        let percent = attributed as f64 * 100.0 / all as f64;
        println!("{capture}: {attributed} of {all} bytes are attributed to {messenger}, {percent:.1} %");
        if all == 0 || percent < 95.0 {
            let _ = writeln!(faults, "  {capture}: only {percent:.1} % of {all} bytes for {messenger}");
        }
    }
    let mut used = BTreeSet::new();
    for seen in flows.iter().filter(|seen| seen.messenger().is_some()) {
        let extra = more_than_ndpi(seen);
        used.extend(extra);
        if seen.messenger() != seen.meant() && extra.is_none() {
            let (flow, word) = (&seen.flow, seen.word.as_ref().map(|w| &w.app));
            let _ = writeln!(
                faults,
                "  {}#{} {} is said to be {:?} by {:?}; nDPI: {word:?}",
                flow.capture, flow.flow, flow.server, flow.messenger, flow.messenger_why
            );
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
    assert_eq!(used.len(), MORE_THAN_NDPI.len(), "an entry of MORE_THAN_NDPI has no flow any more");
    for entry in NOT_THE_MESSENGER {
        let left = |seen: &&Seen| is_not_the_messenger(seen) && seen.flow.server.starts_with(entry.1);
        let count = flows.iter().filter(left).count();
        assert!(count > 0, "{entry:?} has no flow any more");
    }
}

#[test]
fn protocols_of_messengers_between_servers_are_no_messenger() {
    let Some(shared) = shared() else { return };
    let (_, flows) = read(&shared);
    for (capture, messenger, protocols, _) in OF_NO_APP {
        let of_it: Vec<&Seen> = flows.iter().filter(|seen| seen.flow.capture == capture).collect();
        assert!(!of_it.is_empty() && MESSENGERS.contains(&messenger), "{capture}");
        for seen in of_it {
            let told: BTreeSet<&str> = seen.flow.app_protocols.iter().map(String::as_str).collect();
            assert_eq!(told, protocols.iter().copied().collect(), "{capture}");
            assert_eq!((seen.messenger(), &seen.flow.signatures[..]), (None, &[][..]), "{capture}");
            println!("{capture}: {} bytes of {protocols:?}, {messenger} is not told", seen.bytes());
        }
        assert!(OF_MESSENGERS.iter().all(|(known, _)| *known != capture), "{capture} is on both lists");
    }
}

// ---------------------------------------------------------------------------------------------- signatures

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signatures {
    signature: Vec<Signature>,
    limit: Vec<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    id: String,
    messenger: String,
    rests: String,
    source: String,
    stored: BTreeSet<String>,
    corpus: BTreeSet<String>,
    generated: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    messenger: String,
    what: String,
}

fn signatures() -> Signatures {
    toml::from_str(&std::fs::read_to_string(root("docs/signatures.toml")).unwrap())
        .expect("docs/signatures.toml")
}

/// For each signature the captures in which it fires, and whose it says that they are.
fn fired(report: &Report) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut found: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for flow in &report.flows {
        for hit in &flow.signatures {
            let key = (hit.signature.clone(), hit.messenger.clone());
            found.entry(key).or_default().insert(flow.capture.clone());
        }
    }
    found
}

fn same(where_: &str, report: &Report, named: impl Fn(&Signature) -> BTreeSet<String>) {
    let expected: BTreeMap<_, _> = signatures()
        .signature
        .iter()
        .map(|s| ((s.id.clone(), s.messenger.clone()), named(s)))
        .filter(|(_, captures)| !captures.is_empty())
        .collect();
    assert_eq!(
        fired(report),
        expected,
        "signatures in {where_}: first what fires, then docs/signatures.toml"
    );
}

#[test]
fn signatures_fire_in_their_own_captures_only() {
    let stored: Vec<PathBuf> = std::fs::read_dir(root("captures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains(".pcap"))
        .collect();
    same("captures/", &replay(&stored), |s| s.stored.clone());
    let Some(shared) = shared() else { return };
    let files = corpus(&shared);
    same("the corpus", &replay(files.values()), |s| s.corpus.clone());
}

/// A messenger, or the tunnel that has signatures too and is nobody's messenger.
fn has_signatures(id: &str) -> bool {
    MESSENGERS.contains(&id) || id == "tor"
}

#[test]
fn every_signature_has_its_source_and_a_positive_case() {
    let listed = signatures();
    let ids: BTreeSet<&str> = listed.signature.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids.len(), listed.signature.len(), "an id stands twice");
    for s in &listed.signature {
        assert!(has_signatures(&s.messenger) && !s.source.is_empty() && !s.rests.is_empty(), "{s:?}");
        assert!(!s.stored.is_empty() || !s.corpus.is_empty() || s.generated.is_some(), "{}: no case", s.id);
        for file in s.generated.iter().filter_map(|g| g.split_whitespace().next()).filter(|f| f.contains('/'))
        {
            assert!(root(file).is_file(), "{}: {file}", s.id);
        }
    }
    // Ids in the code, but for classes of the ledger.
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(root("src/dissect")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for line in text.lines().filter(|line| !line.contains("Class::")) {
            let literals = line.split('"').skip(1).step_by(2);
            let ids_here = literals.filter(|literal| {
                literal.split_once('.').is_some_and(|(messenger, id)| {
                    has_signatures(messenger)
                        && !id.is_empty()
                        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                        // Hosts, and the kind of the observation.
                        && !matches!(id, "net" | "com" | "org" | "ch" | "signature")
                })
            });
            missing
                .extend(ids_here.filter(|id| !ids.contains(id)).map(|id| format!("{} {id}", path.display())));
        }
    }
    assert_eq!(missing, [""; 0], "not in docs/signatures.toml");
}

/// Media of calls, by the bytes of all datagrams of RTP that tshark shows (first byte 0x80 to 0xbf, and no RTCP by the second).
#[test]
fn calls_take_the_ways_that_the_corpus_shows() {
    let Some(shared) = shared() else { return };
    let files = corpus(&shared);
    let chosen = ["ndpi-wa_voice.pcap", "ndpi-stun_signal.pcapng", "ndpi-teams.pcap"];
    let report = replay(chosen.iter().map(|name| &files[*name]));
    let of = |name: &str| report.calls.iter().filter(move |c| c.capture == name).collect::<Vec<_>>();
    let whatsapp = of("ndpi-wa_voice.pcap");
    // Eight packets from the relay, and one to it (frame 506), the only one of its source.
    assert_eq!((whatsapp.len(), whatsapp[0].peer_bytes, whatsapp[0].relay_bytes), (1, 21_638, 2135));
    assert_eq!(
        (&whatsapp[0].peers[..], &whatsapp[0].relays[..]),
        (&["91.252.56.51".to_owned()][..], &["31.13.86.48".to_owned()][..])
    );
    assert_eq!(whatsapp[0].messenger.as_deref(), Some("whatsapp"));
    let signal = of("ndpi-stun_signal.pcapng");
    assert!(signal.len() == 2 && signal.iter().all(|c| c.peer_share == Some(0.0)), "{signal:?}");
    let teams = of("ndpi-teams.pcap");
    // By the checks of ICE that tshark shows (PRIORITY in a Binding Request): the device tries these two. A relay of Microsoft's that
    // nothing in the capture names (52.114.252.8:3479) tries the device and is known by its port.
    let told = |call: &metaleak::model::Call| -> Vec<(String, Option<u64>)> {
        call.exposed.iter().map(|e| (e.address.clone(), e.sent_to)).collect()
    };
    let row = |address: &str, sent_to| (address.to_owned(), sent_to);
    assert_eq!((teams[0].peer_bytes, teams[0].relay_bytes, teams[0].exposed_before_answer), (1334, 0, 2));
    assert_eq!(
        told(teams[0]),
        [row("192.168.0.4:50005", Some(1404)), row("93.71.110.205:16332", Some(1410))]
    );
    assert_eq!(teams[0].reached_before_answer, 2);
    // A second one that nobody answers: no media, and the same was shown.
    assert_eq!((teams[1].answered, teams[1].media_bytes(), teams[1].reached_before_answer), (None, 0, 2));
    assert_eq!(told(teams[1]).len(), 2, "{:?}", teams[1].exposed);
}

// ---------------------------------------------------------------------------------------------- DNS

#[test]
fn encrypted_dns_is_seen_as_such() {
    let Some(shared) = shared() else { return };
    let (_, flows) = read(&shared);
    let mut found = BTreeSet::new();
    for seen in &flows {
        for id in ["dot", "doh", "doq"] {
            if seen.flow.app_protocols.iter().any(|p| p == id) {
                assert!(seen.messenger().is_none(), "{}", seen.flow.capture);
                found.insert(format!("{} {} {id}", seen.flow.capture, seen.flow.server));
            }
        }
    }
    let expected = [
        "ndpi-dns_dot.pcap 8.8.8.8:853 dot",
        "ndpi-doh.pcapng 1.1.1.1:443 doh",
        "ndpi-doq.pcapng [::1]:784 doq",
        // Firefox' resolver by its name; nDPI says DoH too.
        "ndpi-no_sni.pcap 104.16.249.249:443 doh",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
    // The other way round: all that nDPI calls encrypted DNS.
    for seen in flows.iter().filter(|seen| seen.word.as_ref().is_some_and(|w| w.app.ends_with("DoH_DoT"))) {
        let ours = seen.flow.app_protocols.iter().any(|p| matches!(p.as_str(), "dot" | "doh" | "doq"));
        assert!(ours, "{} {}", seen.flow.capture, seen.flow.server);
    }
}

// ---------------------------------------------------------------------------------------------- push

#[test]
fn push_is_accounted_apart_from_messengers() {
    let Some(shared) = shared() else { return };
    let files = corpus(&shared);
    let report = replay(files.values());
    let found: Vec<(&str, u64, u64, &[u64])> = report
        .push
        .iter()
        .map(|p| (p.capture.as_str(), p.bytes_up, p.bytes_down, p.flows.as_slice()))
        .filter(|(capture, ..)| OF_MESSENGERS.iter().any(|(known, _)| known == capture))
        .collect();
    assert_eq!(
        found,
        // APNs; nDPI counts the same bytes for these flows.
        [("ndpi-wa_voice.pcap", 6933, 1074, &[3][..]), ("ndpi-whatsapp_login_chat.pcap", 0, 2095, &[9])]
    );
    for sum in &report.push {
        let flows = report.flows.iter().filter(|f| f.capture == sum.capture && sum.flows.contains(&f.flow));
        assert!(flows.into_iter().all(|f| f.messenger.is_none()), "{sum:?}");
    }
}

// ---------------------------------------------------------------------------------------------- the document

fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn list(captures: &BTreeSet<String>) -> String {
    captures.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ")
}

/// Names, networks and ports that show a messenger alone, as `messengers.toml` has them.
fn exclusive(kind: &str, values: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let text = std::fs::read_to_string(root("reference/messengers.toml")).unwrap();
    let data: toml::Table = text.parse().unwrap();
    let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for messenger in data["messenger"].as_array().unwrap() {
        let groups = messenger.get(kind).and_then(toml::Value::as_array).cloned().unwrap_or_default();
        for group in groups.iter().filter(|g| g["exclusive"].as_bool() == Some(true)) {
            let values: Vec<&str> =
                group[values].as_array().unwrap().iter().filter_map(|v| v.as_str()).collect();
            let entry = (format!("`{}`", values.join("`, `")), group["source"].as_str().unwrap().to_owned());
            found.entry(messenger["id"].as_str().unwrap().to_owned()).or_default().push(entry);
        }
    }
    found
}

fn document(captures: usize, flows: &[Seen]) -> String {
    let listed = signatures();
    let mut out = String::from(
        "# Messengers\n\n\
         Made by `METALEAK_UPDATE_DOCS=1 cargo test --test corpus_messengers` from `docs/signatures.toml`, `reference/messengers.toml` and\n\
         the corpus; do not edit. How a flow comes to its messenger (`messenger_why` in `report.json`), in this order:\n\n\
         | why | what it means |\n| --- | --- |\n\
         | `signature:ID` | its bytes have the form of the messenger's own protocol |\n\
         | `name:NAME` | a first-party name of this messenger alone: SNI, HTTP host, DNS answer, or all names of the certificate |\n\
         | `shared:NAME` | such a name that DNS answers alone give, at an address of a delivery network or one that somebody else has a name at: whoever serves the other name may be meant, so it contradicts nothing |\n\
         | `turn-realm:NAME` | a TURN relay asks to log in to such a name |\n\
         | `network:PREFIX` | a network that is this messenger's alone |\n\
         | `socket:ENDPOINT` | datagrams of a call from a UDP socket of the device that also has a flow with one of the reasons above, while that flow lasts |\n\
         | `service:NAME` | the flow asks for a name of the server that was chosen for the run (`service` in `run.json`) |\n\
         | `run` | nothing in the flow: the description beside the recording says which messenger ran |\n\n\
         ## Signatures\n\n\
         Each fires in the captures named here and in no other one of `captures/` and of the corpus; a test demands both.\n\n\
         | signature | rests on | provenance | captures | generated flows |\n| --- | --- | --- | --- | --- |\n",
    );
    for s in &listed.signature {
        let captures: BTreeSet<String> = s.stored.union(&s.corpus).cloned().collect();
        let captures = if captures.is_empty() { "none".into() } else { list(&captures) };
        let generated = s.generated.as_deref().map_or_else(|| "–".to_owned(), cell);
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {captures} | {generated} |",
            s.id,
            cell(&s.rests),
            cell(&s.source)
        );
    }
    out += "\n## Names and networks\n\nThose that show a messenger alone. Shared ones never do.\n\n\
            | messenger | names (and all below them), networks | source |\n| --- | --- | --- |\n";
    let (names, networks) = (exclusive("domains", "names"), exclusive("networks", "prefixes"));
    for messenger in MESSENGERS {
        for (values, source) in names.get(messenger).into_iter().chain(networks.get(messenger)).flatten() {
            let _ = writeln!(out, "| {messenger} | {values} | {} |", cell(source));
        }
    }
    out += "\n## What is not recognised\n\n";
    for limit in &listed.limit {
        let _ = writeln!(out, "- **{}**: {}.", limit.messenger, cell(&limit.what));
    }
    let _ = write!(
        out,
        "\n## Against nDPI\n\n\
         The {captures} captures of the corpus: rows are what nDPI calls a flow (its expected output, by ends), columns the messenger that\n\
         metaleak says; flows, and bytes on the wire.\n\n{}\n\
         Of the captures of messengers, the bytes of the messenger's flows that are attributed to it:\n\n\
         | capture | messenger | bytes | attributed | share |\n| --- | --- | --- | --- | --- |\n",
        markdown(&confusion(flows))
    );
    for (capture, messenger, all, attributed) in shares(flows) {
        let percent = attributed as f64 * 100.0 / all as f64;
        let _ = writeln!(out, "| `{capture}` | {messenger} | {all} | {attributed} | {percent:.1} % |");
    }
    out += "\nWhere metaleak and nDPI differ:\n\n";
    for (capture, server, why) in NOT_THE_MESSENGER {
        let _ = writeln!(out, "- `{capture}`, {server}: {why}.");
    }
    for (capture, _, messenger, why) in MORE_THAN_NDPI {
        let _ = writeln!(out, "- `{capture}`, {messenger}: {why}.");
    }
    for (capture, messenger, _, why) in OF_NO_APP {
        let _ = writeln!(out, "- `{capture}`, not {messenger}: {why}.");
    }
    out += "- Questions about a messenger's names are not counted as its bytes: they go to the resolver.\n";
    out
}

#[test]
fn the_document_is_that_of_the_corpus() {
    let Some(shared) = shared() else { return };
    let (captures, flows) = read(&shared);
    let path = root("docs/messengers.md");
    let made = document(captures, &flows);
    if std::env::var_os("METALEAK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let line = stored.lines().zip(made.lines()).position(|(a, b)| a != b).map(|n| n + 1);
    assert!(
        stored == made,
        "docs/messengers.md is out of date from line {line:?} on: METALEAK_UPDATE_DOCS=1 cargo test --test corpus_messengers"
    );
}
