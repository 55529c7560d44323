//! `metaleak capture` on the loopback interface; without the right to capture, what needs it is skipped and says so.
//! Load, signals, a full disk and a vanishing interface: `scripts/lab/recorder.py`.

#![cfg(all(feature = "live", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::metaleak;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts a recording; `None`, said once, where there is no right to capture.
fn start(arguments: &[&str]) -> Option<(Child, String)> {
    let mut child = Command::new(common::BINARY)
        .args(["capture", "-i", "lo"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut from = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("capturing on") {
        if from.read_line(&mut said).unwrap() == 0 {
            let status = child.wait().unwrap();
            assert_eq!(status.code(), Some(4), "{said}");
            println!("skipped: no right to capture: {said}");
            return None;
        }
    }
    child.stderr = Some(from.into_inner());
    Some((child, said))
}

/// Ends it by SIGTERM; gives what it said since.
fn end(mut child: Child) -> String {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    said
}

fn replayed(file: &Path) -> serde_json::Value {
    let output =
        metaleak().args(["replay", "--format", "json"]).arg(file).assert().code(0).get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn steps_and_datagrams_come_back_in_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    let to = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = to.local_addr().unwrap();
    let filter = format!("udp dst port {}", address.port());
    let arguments = [
        "-o",
        file.to_str().unwrap(),
        "--filter",
        &filter,
        "--mark-from",
        "stdin",
        "--app",
        "signal",
        "--vantage",
        "router@DE",
    ];
    let Some((mut child, _)) = start(&arguments) else { return };
    let mut steps = child.stdin.take().unwrap();
    let mut say = |step: &str| {
        writeln!(steps, "{step}").unwrap();
        steps.flush().unwrap();
        std::thread::sleep(Duration::from_millis(60));
    };
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    say("register");
    for n in 0..50_u8 {
        from.send_to(&[n; 99], address).unwrap();
    }
    std::thread::sleep(Duration::from_millis(60));
    say("");
    say("idle");
    let said = end(child);
    assert!(said.contains("50 frames written") && said.contains("dropped 0"), "{said}");
    let report = replayed(&file);
    let input = &report["inputs"][0];
    assert_eq!((input["frames"].as_u64(), input["truncated"].as_bool()), (Some(50), Some(false)));
    let run = &input["run"];
    assert_eq!(run["steps"], serde_json::json!(["register", "idle"]));
    assert_eq!(
        (run["messenger"].as_str(), run["vantage"].as_str(), run["place"].as_str()),
        (Some("signal"), Some("router"), Some("DE"))
    );
    let mark = |n: usize, key: &str| run["marks"][n][key].as_str().unwrap().to_owned();
    let (first, last) = (input["first_time"].as_str().unwrap(), input["last_time"].as_str().unwrap());
    assert!(mark(0, "start").as_str() <= first && last <= mark(0, "end").as_str(), "{run}");
    assert!(mark(0, "end") <= mark(1, "start") && mark(1, "start") <= mark(1, "end"), "{run}");
    let recording = &run["recording"];
    // On the loopback interface libpcap counts each packet where it goes out and where it comes in, and gives it once.
    let received = recording["received"].as_u64().unwrap();
    assert!(recording["frames"] == 50 && (50..=100).contains(&received), "{recording}");
    assert_eq!((recording["ended"].as_str(), recording["dropped"].as_u64()), (Some("asked"), Some(0)));
}

#[test]
fn files_rotate_and_a_pipe_is_read_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let to = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = to.local_addr().unwrap();
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    let filter = format!("udp dst port {}", address.port());
    let base = folder.path().join("r.pcapng");
    let rotate = [
        "-o",
        base.to_str().unwrap(),
        "--filter",
        &filter,
        "--rotate-duration",
        "0.2",
        "--rotate-files",
        "2",
    ];
    let Some((child, _)) = start(&rotate) else { return };
    for _ in 0..10 {
        from.send_to(b"hello", address).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = end(child);
    assert!(said.contains("10 frames written"), "{said}");
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 4, "the newest two, each with its description: {names:?}");
    assert!(names[0].starts_with("r_0000") && names.iter().all(|n| !n.contains("_00001_")), "{names:?}");
    for name in names.iter().filter(|n| n.ends_with(".pcapng")) {
        assert_eq!(replayed(&folder.path().join(name))["inputs"][0]["truncated"], false);
    }

    let (child, _) = start(&["-o", "-", "--filter", &filter, "--packets", "3"]).unwrap();
    for _ in 0..3 {
        from.send_to(b"hello", address).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines =
        metaleak().args(["coverage", "-"]).write_stdin(output.stdout).assert().code(0).get_output().clone();
    assert!(!text(&lines.stdout).is_empty());
}

#[test]
fn secrets_that_come_late_open_what_was_recorded_before() {
    let folder = tempfile::tempdir().unwrap();
    let (file, keys) = (folder.path().join("k.pcapng"), folder.path().join("keys.log"));
    let Some((child, _)) =
        start(&["-o", file.to_str().unwrap(), "--keylog", keys.to_str().unwrap(), "--filter", "udp port 9"])
    else {
        return;
    };
    let secret = format!("CLIENT_RANDOM {:064} {:096}\n", 1, 2);
    assert!(!std::fs::read(&file).unwrap().windows(13).any(|w| w == b"CLIENT_RANDOM"));
    std::fs::write(&keys, &secret).unwrap();
    end(child);
    let bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(secret.len()).position(|w| w == secret.as_bytes()).unwrap();
    assert!(at < 1024, "before all packets: {at}");
}

#[test]
fn wrong_arguments_create_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let there = path("there.pcapng");
    std::fs::write(&there, "precious").unwrap();
    for (arguments, says) in [
        (&["-i", "lo"][..], "--output"),
        (&["-o", "x.pcapng"], "--interface"),
        (&["-i", "lo", "-o", "-", "--rotate-size", "1"], "rotated"),
        (&["-i", "lo", "-o", &path("a"), "--rotate-files", "1"], "--rotate-size"),
        (&["-i", "lo", "-o", &path("a"), "--duration", "0"], "seconds"),
        (&["-i", "lo", "-o", &there], "--force"),
    ] {
        let output = metaleak().arg("capture").args(arguments).assert().code(2).get_output().clone();
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
    }
    let none =
        metaleak().args(["capture", "-i", "none0", "-o", &path("a")]).assert().code(4).get_output().clone();
    assert!(text(&none.stderr).contains("none0"), "{}", text(&none.stderr));
    let wrong = metaleak()
        .args(["capture", "-i", "lo", "-o", &path("a"), "--filter", "nonsense ("])
        .output()
        .unwrap();
    match wrong.status.code() {
        Some(4) => println!("skipped: no right to capture: {}", text(&wrong.stderr)),
        code => {
            assert!(
                code == Some(2) && text(&wrong.stderr).contains("pcap-filter"),
                "{}",
                text(&wrong.stderr)
            );
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read(&there).unwrap(), b"precious");
}
