//! Noise of the device: what control runs of the same device show is marked, and claims are judged by what remains.
//!
//! Captures come from code, with a run description beside each; the program reads them as its user would.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic; clippy.toml allows it only within #[test] functions"
)]

mod common;

use std::path::{Path, PathBuf};

use common::build::{PacketBuilder, Tcp};
use common::wire;
use serde_json::{Value, json};

/// A name of the tracker list, as a page or an app would embed it.
const TRACKER: &str = "metaleak-lab.matomo.cloud";
const UPDATES: &str = "updates.example";
const CHAT: &str = "chat.signal.org";

/// Puts captures with their descriptions into a folder.
struct Bench(tempfile::TempDir);

/// Name of the server, its address, and the app that a recorder on the device noted.
type Visit<'a> = (&'a str, &'a str, Option<(i32, &'a str)>);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    /// A capture in which the device opens TLS to each server, and how it was made.
    fn run(&self, name: &str, visits: &[Visit<'_>], run: &Value) -> PathBuf {
        let mut capture = PacketBuilder::new();
        for (number, (server, address, app)) in (0..).zip(visits) {
            let client = format!("10.0.0.2:{}", 40_000 + number);
            if let Some((uid, app)) = app {
                let packet = wire::tcp(
                    client.parse().unwrap(),
                    address.parse().unwrap(),
                    1,
                    1,
                    wire::flag::ACK | wire::flag::PSH,
                    &wire::client_hello(server),
                );
                capture.packet(&with_trailer(&packet, *uid, app));
                continue;
            }
            let mut flow = Tcp::new(&client, address);
            flow.open(&mut capture);
            flow.up(&mut capture, &wire::client_hello(server));
            flow.close(&mut capture);
        }
        let path = self.0.path().join(format!("{name}.pcap"));
        std::fs::write(&path, capture.finish()).unwrap();
        std::fs::write(self.0.path().join(format!("{name}.run.json")), run.to_string()).unwrap();
        path
    }
}

/// A packet as `PCAPdroid` writes it with its trailer: an Ethernet header of zeros, the datagram filled up to four bytes, magic, UID, name, sum.
fn with_trailer(packet: &[u8], uid: i32, app: &str) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([8, 0]);
    frame.extend(packet);
    frame.resize(frame.len().next_multiple_of(4), 0);
    frame.extend(0x0107_2021_u32.to_be_bytes());
    frame.extend(uid.to_be_bytes());
    let mut name = [0; 20];
    name[..app.len()].copy_from_slice(app.as_bytes());
    frame.extend(name);
    frame.extend([0; 4]);
    frame
}

/// How a run of Signal was made, and a control run of the same device.
fn made(control: Option<&str>) -> Value {
    let mut run = json!({
        "messenger": "signal", "app": "Signal 7.1", "device": "phone", "vantage": "router",
        "steps": ["register", "text-1to1", "idle"],
    });
    if let Some(control) = control {
        run["control"] = control.into();
        run["steps"] = json!(["idle"]);
    }
    if control == Some("without-app") {
        run["messenger"] = Value::Null;
    }
    run
}

fn claim<'r>(report: &'r Value, id: &str) -> &'r Value {
    report["claims"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap()
}

fn trackers(report: &Value) -> String {
    claim(report, "signal.no-third-party-trackers")["verdict"].as_str().unwrap().to_owned()
}

fn end<'r>(report: &'r Value, name: &str) -> &'r Value {
    let of_name = |d: &&Value| d["names"].as_array().unwrap().iter().any(|n| n == name);
    report["destinations"].as_array().unwrap().iter().find(of_name).unwrap()
}

const RUN: &[Visit<'_>] = &[
    (CHAT, "76.223.92.165:443", None),
    (UPDATES, "192.0.2.80:443", None),
    (TRACKER, "198.51.100.9:443", None),
];

#[test]
fn a_tracker_that_remains_beside_a_control_run_contradicts_by_frame() {
    let bench = Bench::new();
    let run = bench.run("run", RUN, &made(None));
    let alone = common::replay([&run]);
    assert_eq!(end(&alone, TRACKER)["role"], "tracker", "the run does not make it the app's own");
    assert_eq!(trackers(&alone), "inconclusive", "the system may have asked: nothing tells");
    assert_eq!(alone["noise"], Value::Null);

    // The same updates at another address, and Signal's own server, for another program behind the recorder.
    let idle: &[Visit<'_>] = &[(UPDATES, "192.0.2.81:443", None), (CHAT, "76.223.92.165:443", None)];
    let control = bench.run("idle", idle, &made(Some("without-app")));
    let report = common::replay([&run, &control]);
    let judged = claim(&report, "signal.no-third-party-trackers");
    assert_eq!(judged["verdict"], "contradicted", "{judged}");
    let evidence = judged["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), 1, "{judged}");
    assert_eq!(evidence[0]["capture"], "run.pcap");
    let flows = report["flows"].as_array().unwrap();
    let tracked = flows.iter().find(|f| f["server"] == "198.51.100.9:443").unwrap();
    assert_eq!(evidence[0]["frames"], json!([tracked["first_frame"]]));
    for (lang, words) in
        [("en", "1 flows to 1 ends without the app as well"), ("de", "1 Verbindungen zu 1 Gegenstellen")]
    {
        assert!(judged["explanation"][lang].as_str().unwrap().contains(words), "{judged}");
    }

    // Nothing is dropped: what is noise as well is there, marked, and the sums add up.
    assert_eq!(end(&report, UPDATES)["also_seen"]["without_app"], true);
    assert_eq!(end(&report, TRACKER)["also_seen"]["without_app"], false);
    let noise = &report["noise"][0];
    assert_eq!(report["noise"].as_array().unwrap().len(), 1, "a control run is no run of the app");
    assert_eq!((&noise["capture"], &noise["messenger"]), (&json!("run.pcap"), &json!("signal")));
    let flows = |key: &str| noise[key]["flows"].as_u64().unwrap();
    assert_eq!(["whole", "noise", "kept", "remains"].map(flows), [3, 2, 1, 2]);
    let ends: Vec<(&str, bool)> = noise["ends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["end"].as_str().unwrap(), e["kept"].as_bool().unwrap()))
        .collect();
    assert!(ends.contains(&(CHAT, true)) && ends.contains(&(UPDATES, false)), "{ends:?}");
    // Signal's own server is in the control run as well: marked, and still what claims are judged by.
    assert_eq!(end(&report, CHAT)["also_seen"]["without_app"], true);
    let shows = claim(&report, "signal.transport-encryption");
    assert_eq!(shows["verdict"], claim(&alone, "signal.transport-encryption")["verdict"]);
}

#[test]
fn a_tracker_that_the_device_contacts_anyway_is_marked_and_does_not_contradict() {
    let bench = Bench::new();
    let run = bench.run("run", RUN, &made(None));
    let there: &[Visit<'_>] = &[(TRACKER, "198.51.100.10:443", None)];
    let platform = bench.run("platform", there, &made(Some("without-app")));
    let report = common::replay([&run, &platform]);
    assert_ne!(trackers(&report), "contradicted");
    let tracker = end(&report, TRACKER);
    assert_eq!((&tracker["role"], &tracker["also_seen"]["without_app"]), (&json!("tracker"), &json!(true)));

    // With the app left alone it may well be the app that asks: marked, and nothing is decided by that.
    let idle = bench.run("idle", there, &made(Some("idle-device")));
    let report = common::replay([&run, &idle]);
    let tracker = end(&report, TRACKER);
    assert_eq!(tracker["also_seen"], json!({"without_app": null, "when_idle": true, "other_app": null}));
    assert_eq!(trackers(&report), "inconclusive");
    assert_eq!(report["noise"][0]["remains"], Value::Null, "what remains takes a run without the app");
    assert_eq!(report["noise"][0]["when_idle"]["flows"], 1);

    // Another device, or another place of recording, tells nothing.
    for (key, value) in [("device", "tablet"), ("vantage", "vpn")] {
        let mut other = made(Some("without-app"));
        other[key] = value.into();
        let other = bench.run("other", there, &other);
        let report = common::replay([&run, &other]);
        assert_eq!(report["noise"], Value::Null, "{key}");
    }
}

#[test]
fn a_recorder_on_the_device_tells_apps_apart() {
    let bench = Bench::new();
    let of = |uid, name| {
        let visits = [
            (CHAT, "76.223.92.165:443", Some((10_123, "Signal"))),
            (TRACKER, "198.51.100.9:443", Some((uid, name))),
        ];
        let mut run = made(None);
        run["app_uid"] = 10_123.into();
        common::replay([&bench.run("run", &visits, &run)])
    };
    let report = of(10_123, "Signal");
    assert_eq!(report["flows"][1]["app"], json!({"uid": 10_123, "name": "Signal"}));
    assert_eq!(trackers(&report), "contradicted", "it was the app: no control run is needed");
    assert_eq!(report["noise"][0]["controls"], json!([]));
    let report = of(10_200, "Weather");
    assert_ne!(trackers(&report), "contradicted", "it was another app");
    assert_eq!(end(&report, TRACKER)["also_seen"]["other_app"], true);
    assert_eq!(trackers(&of(-1, "")), "inconclusive", "the recorder did not know");

    // The trailer is no payload, and every byte stays counted.
    let coverage = &report["coverage"][0];
    let classes = coverage["classes"].as_object().unwrap();
    assert_eq!(
        classes.values().map(|v| v.as_u64().unwrap()).sum::<u64>(),
        coverage["total"].as_u64().unwrap()
    );
    assert!(classes["padding"].as_u64().unwrap() >= 64, "{coverage}");
}

/// A folder's study in one language: the table and the page.
fn study(folder: &Path, lang: &str) -> (String, String) {
    let out = tempfile::tempdir().unwrap();
    let output = common::metaleak()
        .args(["study", "--lang", lang, "-o"])
        .arg(out.path())
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(common::report_in(out.path()).with_file_name("report.html")).unwrap();
    (String::from_utf8(output.stdout).unwrap(), page)
}

#[test]
fn whole_and_remainder_are_shown_in_both_languages() {
    let bench = Bench::new();
    bench.run("run", RUN, &made(None));
    bench.run("idle", &[(UPDATES, "192.0.2.81:443", None)], &made(Some("without-app")));
    for (lang, table, page) in [
        (
            "en",
            ["Noise of the device", "run.pcap: whole 3 flows to 3 ends", "remains 2 flows to 2 ends"],
            ["also without the app", "idle.pcap (without the app"],
        ),
        (
            "de",
            [
                "Grundrauschen des Geräts",
                "run.pcap: ganz 3 Verbindungen zu 3 Gegenstellen",
                "Rest 2 Verbindungen",
            ],
            ["auch ohne die App", "idle.pcap (ohne die App"],
        ),
    ] {
        let (said, shown) = study(bench.0.path(), lang);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in table {
            assert!(said.contains(words), "{lang}: {words:?} is not in\n{said}");
        }
        for words in page {
            assert!(shown.contains(words), "{lang}: {words:?} is not on the page");
        }
    }
}

#[test]
fn the_chosen_server_is_the_first_party_and_other_names_are_not() {
    let bench = Bench::new();
    // One address serves both names: what a flow asks for decides.
    let visits: &[Visit<'_>] = &[
        ("chat.counsel.example", "10.77.2.10:443", None),
        ("search.example", "10.77.2.61:443", None),
        (TRACKER, "10.77.2.60:443", None),
    ];
    let mut run = made(None);
    run["messenger"] = "caritas".into();
    run["service"] = "counsel.example".into();
    let report = common::replay([&bench.run("run", visits, &run)]);
    let roles =
        ["chat.counsel.example", "search.example", TRACKER].map(|name| end(&report, name)["role"].clone());
    assert_eq!(roles, [json!("first-party"), json!("unknown"), json!("tracker")]);
    assert_eq!(report["flows"][0]["messenger_why"], "service:chat.counsel.example");
    // Where nobody said which server was chosen, it may be any: but a tracker is none.
    run["service"] = Value::Null;
    let report = common::replay([&bench.run("run", visits, &run)]);
    let roles =
        ["chat.counsel.example", "search.example", TRACKER].map(|name| end(&report, name)["role"].clone());
    assert_eq!(roles, [json!("first-party"), json!("first-party"), json!("tracker")]);
}
