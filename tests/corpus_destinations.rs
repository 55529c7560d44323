//! The messenger captures of the corpus: every end of a messenger's flow has an operator and a role, and little is unknown.
//!
//! Needs `../shared/corpus`; skipped with a notice where it is absent.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests are tests: a failure there is a failed test"
)]

mod common;

use std::collections::BTreeMap;

use common::{corpus, replay, shared};
use metaleak::model::{Report, Role};

/// Captures of messengers, with the most of their bytes (in percent) that may go to ends of unknown role.
const CAPTURES: [(&str, f64); 9] = [
    // 10.3 % go to port 5223 of a German cloud (T-Systems) without a name, in a binary protocol that no source explains (Huawei's
    // push service, perhaps). Saying so without a source would be a guess, so the role stays unknown; the operator is known.
    ("ndpi-jabber.pcap", 11.0),
    ("ndpi-signal.pcap", 5.0),
    ("ndpi-stun_signal.pcapng", 5.0),
    ("ndpi-telegram.pcap", 5.0),
    ("ndpi-threema.pcap", 5.0),
    ("ndpi-wa_voice.pcap", 5.0),
    ("ndpi-whatsapp_login_chat.pcap", 5.0),
    ("ndpi-whatsappfiles.pcap", 5.0),
    ("zeek-tls-xmpp-starttls.pcap", 5.0),
];

/// Ends of messengers in networks that nobody announces today: SoftLayer's of 2015, given back since.
const UNANNOUNCED: [&str; 1] = ["158.85.58.15"];

#[test]
fn destinations_of_messengers_have_operator_and_role() {
    let Some(shared) = shared() else { return };
    let files = corpus(&shared);
    let paths: Vec<_> = CAPTURES.iter().map(|(name, _)| &files[*name]).collect();
    let report: Report = serde_json::from_value(replay(paths)).unwrap();
    let flows: BTreeMap<String, _> =
        report.flows.iter().map(|f| (format!("{}#{}", f.capture, f.flow), f)).collect();
    let mut bytes: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut ends = 0;
    for end in &report.destinations {
        let special = metaleak::destination::special(end.address.parse().unwrap()).is_some();
        for flow in end.flows.iter().map(|flow| flows[flow]) {
            let [all, unknown] = bytes.entry(&flow.capture).or_default();
            *all += flow.bytes_up + flow.bytes_down;
            if end.role == Role::Unknown {
                *unknown += flow.bytes_up + flow.bytes_down;
            }
        }
        if end.messengers.is_empty() {
            continue;
        }
        ends += 1;
        assert!(end.role != Role::Unknown && !end.role_why.is_empty(), "{}: {}", end.address, end.role_why);
        let named = end.operator.as_ref().is_some_and(|o| !o.name.is_empty() && !o.source.is_empty());
        assert!(
            named || special || UNANNOUNCED.contains(&end.address.as_str()),
            "{}: no operator",
            end.address
        );
    }
    assert!(ends >= 15, "only {ends} ends of messengers");
    let reads_stun = report.flows.iter().any(|flow| flow.app_protocols.iter().any(|p| p == "stun"));
    let mut table =
        String::from("| capture | bytes | to ends of unknown role | share |\n| --- | ---: | ---: | ---: |\n");
    for (name, most) in CAPTURES {
        let [all, unknown] = bytes[name];
        let share = 100.0 * unknown as f64 / all as f64;
        println!("{name}: {unknown} of {all} bytes to unknown ends, {share:.1} %");
        table += &format!("| `{name}` | {all} | {unknown} | {share:.1} % |\n");
        if name == "ndpi-stun_signal.pcapng" && !reads_stun {
            println!("skipped: {name} needs STUN, which this build does not read");
            continue;
        }
        assert!(share < most, "{name}: {share:.1} % of the bytes go to unknown ends");
    }
    same_as_stored(&table);
}

/// Compares the table with that of `docs/reference.md`, or stores it.
fn same_as_stored(table: &str) {
    const BEGIN: &str = "<!-- unknown: made by tests/corpus_destinations.rs -->\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("docs/reference.md has the mark");
    let (stored, after) = rest.split_once("<!-- /unknown -->").expect("docs/reference.md has the end mark");
    if std::env::var_os("METALEAK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}<!-- /unknown -->{after}")).unwrap();
    } else {
        assert_eq!(
            stored, table,
            "run METALEAK_UPDATE_DOCS=1 cargo test --test corpus_destinations, review and commit it"
        );
    }
}
