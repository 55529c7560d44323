//! `metaleak run` as its user starts it: drivers, back-ends, the run folder, and what it survives.
//!
//! Phones, ssh and recorders are stand-ins by script (`tests/run/`); no vendor's app runs here. What needs Python, root or a network
//! namespace says so and is skipped where that is missing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use metaleak::model::CaptureTime;
use metaleak::scenario::run::{self, Job};
use metaleak::scenario::{Scenario, backend, drive};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_metaleak");

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether a program is there; says so where not.
fn has(program: &str, arguments: &[&str]) -> bool {
    let there = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !there {
        println!("skipped: `{program} {}` does not work here", arguments.join(" "));
    }
    there
}

fn python() -> bool {
    has("/usr/bin/python3", &["--version"])
}

/// A network namespace of its own, with a file system of its own: root alone may make one.
fn namespaces() -> bool {
    has("unshare", &["-n", "-m", "true"]) && has("ip", &["-V"])
}

/// A scenario in a folder of its own, and the run folder beside it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(steps: &str) -> Bench {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(bench.path("state")).unwrap();
        let head =
            "schema = 1\ntitle = { en = \"t\", de = \"t\" }\nmessenger = \"conversations\"\nsettle = 0\n";
        let head = if steps.contains("messenger =") {
            head.replace("messenger = \"conversations\"\n", "")
        } else {
            head.to_owned()
        };
        std::fs::write(bench.path("s.toml"), format!("{head}{steps}")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("run").arg(self.path("s.toml")).arg("--folder").arg(self.path("out"));
        command.arg("--adb").arg(here("tests/run/adb")).env("STANDIN_STATE", self.path("state"));
        command.args(["--retry-pause", "0.05", "--no-study"]).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn faults(&self, faults: &str) {
        std::fs::write(self.path("state/faults"), faults).unwrap();
    }

    fn trial(&self, number: u32) -> Value {
        let text = std::fs::read_to_string(self.path(&format!("out/trial-{number:03}.run.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn ended(&self, number: u32) -> String {
        self.trial(number)["execution"]["ended"].as_str().unwrap_or("nothing").to_owned()
    }

    /// Frames of a trial's capture as `metaleak dissect` reads it: that it can is what counts.
    fn reads(&self, number: u32) -> bool {
        let path = self.path(&format!("out/trial-{number:03}.pcapng"));
        let output = Command::new(BINARY).args(["coverage", "--strict"]).arg(&path).output().unwrap();
        output.status.success()
    }
}

fn packets() -> String {
    here("tests/run/packets").to_string_lossy().into_owned()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn exits(output: &Output, code: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in\n{said}");
    }
}

const SLEEP: &str = "[[step]]\ndo = \"run\"\nmark = \"idle\"\nrun = [\"sleep\", \"30\"]\n";
const TRUE: &str = "[[step]]\ndo = \"run\"\nmark = \"register\"\nrun = [\"true\"]\n";

#[test]
fn a_program_gets_dose_canary_and_key_log_and_the_folder_says_all() {
    if !python() {
        return;
    }
    let steps = r#"repeats = 2
controls = ["idle-device"]
[app]
name = "Program"
url = "https://chat.example.org/"
[[canary]]
name = "my-text"
kind = "text"
[dose]
of = "size"
values = [3, 5]
[[step]]
do = "run"
mark = "text-1to1"
canary = "my-text"
run = ["sh", "-c", "echo $METALEAK_DOSE $METALEAK_CANARY $METALEAK_CANARY_MY_TEXT $METALEAK_URL $METALEAK_SET_COLOUR; echo CLIENT_RANDOM 00 00 >> $SSLKEYLOGFILE"]
expect = { text = "canary-of-the-test" }
"#;
    let bench = Bench::new(steps);
    let output = bench.run(&[
        "--capture",
        "command",
        "--capture-command",
        &packets(),
        "--canary",
        "my-text=canary-of-the-test",
        "--set",
        "colour=blue",
        "--control-seconds",
        "1",
        "--seed",
        "7",
        "--vantage",
        "router@DE",
        "--record-keys",
    ]);
    exits(&output, 0, &["6 trials"]);
    let scenario = Scenario::load(&bench.path("s.toml")).unwrap();
    for (number, trial) in (1..).zip(scenario.plan(7)) {
        let run = bench.trial(number);
        let execution = &run["execution"];
        assert_eq!(execution["ended"], "complete");
        assert_eq!(execution["seed"], 7);
        assert_eq!(execution["scenario_sha256"], scenario.sha256.as_str());
        assert_eq!(execution["dose"].as_u64(), trial.dose, "trials are in the planned order");
        assert_eq!(run["vantage"], "router");
        assert_eq!(run["place"], "DE");
        assert!(run["recording"]["frames"].as_u64().unwrap() > 0, "{run}");
        assert!(bench.reads(number));
        let mark = if trial.control.is_some() { "idle" } else { "text-1to1" };
        assert_eq!(run["steps"], serde_json::json!([mark]));
        assert!(!run.to_string().contains("canary-of-the-test"), "a secret is in the description");
        if let Some(dose) = trial.dose {
            let out =
                std::fs::read_to_string(bench.path(&format!("out/trial-{number:03}/01-run.out"))).unwrap();
            assert_eq!(
                out,
                format!("{dose} canary-of-the-test canary-of-the-test https://chat.example.org/ blue\n")
            );
        } else {
            assert_eq!(execution["control"], "idle-device");
        }
    }
    let text = std::fs::read_to_string(bench.path("out/canaries.toml")).unwrap();
    assert!(text.contains("\"my-text\" = \"canary-of-the-test\""), "{text}");
    #[cfg(unix)]
    for (name, mode) in [
        ("out", 0o700),
        ("out/canaries.toml", 0o600),
        ("out/trial-001.pcapng", 0o600),
        ("out/trial-001", 0o700),
    ] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn the_study_follows_and_reads_marks_and_canaries() {
    if !python() {
        return;
    }
    let bench = Bench::new(TRUE);
    let mut command = Command::new(BINARY);
    command.arg("run").arg(bench.path("s.toml")).arg("--folder").arg(bench.path("out"));
    let output = command.args(["--capture", "command", "--capture-command", &packets()]).output().unwrap();
    exits(&output, 0, &["1. repeat 1: complete (1 steps done, 0 not)", "report.html"]);
    let report = std::fs::read_to_string(bench.path("out/report/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["inputs"][0]["run"]["execution"]["driver"], "exec");
    assert_eq!(report["inputs"][0]["run"]["steps"], serde_json::json!(["register"]));
}

#[test]
fn people_are_told_in_their_language_and_answer_from_a_pipe() {
    let steps = "[[step]]\ndo = \"register\"\n[[step]]\ndo = \"block\"\n[[step]]\ndo = \"delete-account\"\noptional = true\n[[step]]\ndo = \"contact-sync\"\n";
    for (answers, lang, words, ended, marks) in [
        ("\n\nf\n\n", "en", "Create the account", "complete", vec!["register", "block", "contact-sync"]),
        (
            "\ns\n\n\n",
            "de",
            "Das Konto anlegen",
            "complete",
            vec!["register", "delete-account", "contact-sync"],
        ),
        ("\nf\n", "en", "Block the second account", "failed", vec!["register"]),
        ("\nq\n", "de", "q: Lauf beenden", "ended-by-hand", vec!["register"]),
        ("\n", "en", "standard input has ended", "failed", vec!["register"]),
    ] {
        let bench = Bench::new(steps);
        let mut child = bench
            .command(&["--capture", "none", "--driver", "manual", "--lang", lang])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let code = if ended == "complete" { 0 } else { 4 };
        exits(&output, code, &[words]);
        let run = bench.trial(1);
        assert_eq!(run["execution"]["ended"], ended);
        assert_eq!(run["steps"], serde_json::json!(marks), "{answers:?}");
    }
}

// Faults, one after the other.

#[test]
fn fault_1_a_step_that_fails_is_noted_and_has_no_mark() {
    let steps = "repeats = 1\n[[step]]\ndo = \"run\"\nmark = \"idle\"\noptional = true\nrun = [\"sh\", \"-c\", \"echo no; exit 3\"]\n[[step]]\ndo = \"run\"\nmark = \"register\"\nrun = [\"true\"]\n";
    let bench = Bench::new(steps);
    exits(&bench.run(&["--capture", "none"]), 0, &["exit code 3: no"]);
    let run = bench.trial(1);
    assert_eq!(run["execution"]["ended"], "complete");
    assert_eq!(run["steps"], serde_json::json!(["register"]), "a step that failed was not exercised");
    assert_eq!(run["execution"]["failed"][0]["step"], "idle");
    assert!(run["execution"]["failed"][0]["place"].as_str().unwrap().ends_with("s.toml:6"), "{run}");
    let bench = Bench::new(&steps.replace("optional = true\n", ""));
    exits(&bench.run(&["--capture", "none"]), 4, &["none of 1 trials"]);
    assert_eq!((bench.ended(1), bench.trial(1)["steps"].clone()), ("failed".into(), serde_json::json!([])));
}

#[test]
fn fault_2_a_program_that_never_ends_is_ended() {
    let bench = Bench::new(SLEEP);
    let began = Instant::now();
    exits(&bench.run(&["--capture", "none", "--step-timeout", "1"]), 4, &["not within 1 s", "sleep"]);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(bench.ended(1), "failed");
}

/// A scenario for the stand-in's phone.
const PHONE: &str = "messenger = \"signal\"\n[device]\nkinds = [\"android\"]\n[app]\nname = \"Signal\"\nandroid = \"org.thoughtcrime.securesms\"\n[[step]]\ndo = \"foreground\"\n[[step]]\ndo = \"send-text\"\ncharacters = 12\n";

#[test]
fn fault_3_a_driver_that_dies_is_started_anew() {
    if !python() {
        return;
    }
    let bench = Bench::new(PHONE);
    bench.faults("crash @uiautomator");
    exits(&bench.run(&["--capture", "none", "--device", "x"]), 0, &["the driver died", "tried again"]);
    assert_eq!(bench.ended(1), "complete");
    assert!(bench.trial(1)["execution"]["notes"].to_string().contains("the driver died"));
}

#[test]
fn fault_4_a_device_that_comes_back_is_found() {
    if !python() {
        return;
    }
    let bench = Bench::new(PHONE);
    bench.faults("offline 3@shell input");
    exits(&bench.run(&["--capture", "none", "--device", "x"]), 0, &["device offline"]);
    assert_eq!(bench.trial(1)["steps"], serde_json::json!(["text-1to1"]));
}

#[test]
fn a_step_that_has_typed_is_not_done_again() {
    if !python() {
        return;
    }
    let bench = Bench::new(PHONE);
    // The text is there, then the device is lost for a moment.
    bench.faults("offline 1@input tap 100 340");
    exits(&bench.run(&["--capture", "none", "--device", "x"]), 4, &["was not done again"]);
    assert_eq!(bench.ended(1), "failed");
    let state = std::fs::read_to_string(bench.path("state/state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    assert!(state["sent"].as_array().is_none_or(Vec::is_empty), "{state}");
}

#[test]
fn what_was_planted_or_given_stays_out_of_descriptions() {
    let step = "[[canary]]\nname = \"note\"\nkind = \"text\"\nvalue = \"kanarie 4711\"\n[[step]]\ndo = \"run\"\nmark = \"register\"\ncanary = \"note\"\n\
        run = [\"sh\", \"-c\", \"echo refused $METALEAK_SET_PASSWORD and $METALEAK_CANARY >&2; exit 3\"]\n";
    let bench = Bench::new(step);
    let output = bench.run(&["--capture", "none", "--set", "password=hunter2hunter2"]);
    let run = bench.trial(1).to_string();
    for text in [run, said(&output)] {
        assert!(text.contains("refused {set:password} and {canary:note}"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("4711"), "{text}");
    }
}

#[test]
fn a_control_whose_app_was_left_in_place_is_none() {
    let bench = Bench::new(&format!("controls = [\"without-app\"]\norder = \"as-written\"\n{TRUE}"));
    let mut child = bench
        .command(&["--capture", "none", "--driver", "manual", "--control-seconds", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"s\ns\ns\ns\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let trials: Vec<Value> = (1..=2)
        .filter(|n| bench.path(&format!("out/trial-{n:03}.run.json")).exists())
        .map(|n| bench.trial(n))
        .collect();
    let control = trials
        .iter()
        .find(|t| t["execution"]["control"] == "without-app")
        .unwrap_or_else(|| panic!("{}", said(&output)));
    assert_eq!(control["execution"]["ended"], "failed", "{control}");
    assert!(control["execution"]["notes"].to_string().contains("left out"), "{control}");
}

#[test]
fn what_a_program_said_counts_though_another_keeps_its_output_open() {
    let bench = Bench::new(
        "[[step]]\ndo = \"run\"\nmark = \"register\"\nexpect = { text = \"ready\" }\nrun = [\"sh\", \"-c\", \"sleep 8 & echo ready\"]\n",
    );
    exits(&bench.run(&["--capture", "none"]), 0, &[]);
}

#[test]
fn fault_5_a_device_that_stays_away_ends_the_run() {
    if !python() {
        return;
    }
    let bench = Bench::new(&format!("repeats = 3\n{PHONE}"));
    bench.faults("offline 1@shell input\noffline 1000");
    let output = bench.run(&[
        "--capture",
        "command",
        "--capture-command",
        &packets(),
        "--device",
        "x",
        "--retries",
        "2",
    ]);
    exits(&output, 4, &["the device is lost", "what was recorded is kept", "again in 0.1 s"]);
    assert_eq!(bench.ended(1), "device-lost");
    assert!(bench.reads(1));
    assert!(!bench.path("out/trial-002.run.json").exists());
}

#[test]
fn fault_6_a_page_that_never_loads_is_given_up() {
    if !python() {
        return;
    }
    let map = "schema = 1\npackage = \"org.thoughtcrime.securesms\"\n[[action]]\ndo = \"foreground\"\ntouches = [{ launch = true }, { wait = { text = \"never\" }, within = 1 }]\n[[action]]\ndo = \"send-text\"\ntouches = []\n";
    let bench = Bench::new(PHONE);
    std::fs::write(bench.path("ui.toml"), map).unwrap();
    let ui = bench.path("ui.toml");
    let output = bench.run(&["--capture", "none", "--device", "x", "--ui", &ui.to_string_lossy()]);
    exits(&output, 4, &["not within 1 s: text \"never\" on the screen"]);
    assert_eq!(bench.ended(1), "failed");
    assert!(bench.path("out/trial-001/01-foreground.png").exists(), "a screenshot shows why");
}

/// Waits until a file is there.
fn wait_for(path: &Path, child: &mut Child) {
    let until = Instant::now() + Duration::from_secs(20);
    while !path.exists() && child.try_wait().unwrap().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(path.exists(), "{path:?}");
}

#[test]
fn fault_7_ctrl_c_keeps_all_and_leaves_no_process() {
    if !python() {
        return;
    }
    let steps = "[[step]]\ndo = \"run\"\nmark = \"register\"\nrun = [\"true\"]\n[[step]]\ndo = \"run\"\nmark = \"idle\"\nrun = [\"sh\", \"-c\", \"echo $$ > $METALEAK_FOLDER/pid; sleep 60\"]\n";
    let bench = Bench::new(steps);
    let mut child = bench
        .command(&["--capture", "command", "--capture-command", &packets()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = bench.path("out/trial-001/pid");
    wait_for(&pid, &mut child);
    std::thread::sleep(Duration::from_millis(200));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    exits(&output, 4, &["interrupted", "what was recorded is kept: metaleak study"]);
    let run = bench.trial(1);
    assert_eq!(run["execution"]["ended"], "interrupted");
    assert_eq!(run["steps"], serde_json::json!(["register"]));
    assert_eq!(run["recording"]["ended"], "asked");
    assert!(bench.reads(1));
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(
        !Path::new("/proc").join(pid.trim()).exists() || cfg!(not(target_os = "linux")),
        "the program still runs"
    );
}

#[test]
fn fault_8_a_recorder_that_dies_ends_the_run_at_once() {
    if !python() {
        return;
    }
    let bench = Bench::new(SLEEP);
    let began = Instant::now();
    let output = bench.run(&["--capture", "command", "--capture-command", &format!("{} 30", packets())]);
    exits(&output, 4, &["no more packets (the stream has ended)", "what came before is kept: 30 frames"]);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(bench.ended(1), "capture-ended");
    assert!(bench.reads(1));
}

#[test]
fn fault_9_what_is_no_recorder_is_told() {
    if !python() {
        return;
    }
    for (command, words) in [
        (format!("{} garbage", packets()), ["no pcap stream", "Permission denied (publickey)"]),
        ("/nonexistent/tcpdump -w -".to_owned(), ["is not there", "metaleak doctor"]),
    ] {
        let bench = Bench::new(TRUE);
        exits(&bench.run(&["--capture", "command", "--capture-command", &command]), 4, &words);
        assert_eq!(bench.ended(1), "capture-ended");
    }
}

#[test]
fn fault_10_a_full_disk_is_told_and_the_capture_closed() {
    if !python() || !namespaces() {
        return;
    }
    // Five steps of two seconds while a recorder writes more than there is room for.
    let steps = format!(
        "{}{TRUE}",
        "[[step]]\ndo = \"run\"\nmark = \"idle\"\nrun = [\"sh\", \"-c\", \"head -c 700000 /dev/zero > $METALEAK_FOLDER/big; sleep 3\"]\n"
    );
    let bench = Bench::new(&steps);
    let disk = bench.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=600k none {0:?} && {BINARY} run {1:?} --folder {0:?}/out --no-study --capture command --capture-command {2:?}; code=$?; cp -r {0:?}/out {3:?}; exit $code",
        disk,
        bench.path("s.toml"),
        packets(),
        bench.path("out"),
    );
    let output =
        Command::new("unshare").args(["-m", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    exits(&output, 4, &["No space left on device"]);
    assert!(bench.reads(1));
    assert_eq!(bench.ended(1), "capture-ended");
}

#[test]
fn fault_11_an_interface_that_goes_ends_the_run() {
    if !namespaces() {
        return;
    }
    let steps = "repeats = 2\n[[step]]\ndo = \"run\"\nmark = \"register\"\nrun = [\"sleep\", \"0.3\"]\n[[step]]\ndo = \"run\"\nmark = \"idle\"\nrun = [\"sh\", \"-c\", \"ip link del leak0; sleep 20\"]\n";
    let bench = Bench::new(steps);
    let script = format!(
        "ip link add leak0 type veth peer name leak1 && ip link set leak0 up && ip link set leak1 up && exec {BINARY} run {:?} --folder {:?} --no-study -i leak0",
        bench.path("s.toml"),
        bench.path("out"),
    );
    let output =
        Command::new("unshare").args(["-n", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    exits(&output, 4, &["no more packets", "what was recorded is kept"]);
    let run = bench.trial(1);
    assert_eq!((bench.ended(1).as_str(), &run["steps"]), ("capture-ended", &serde_json::json!(["register"])));
    assert_eq!(run["recording"]["ended"], "interface-gone");
    assert!(bench.reads(1));
}

#[test]
fn fault_12_a_clock_that_jumps_is_noted() {
    let bench = Bench::new("[[step]]\ndo = \"run\"\nmark = \"idle\"\nrun = [\"sleep\", \"0.6\"]\n");
    let scenario = Scenario::load(&bench.path("s.toml")).unwrap();
    let (began, jump) = (Instant::now(), AtomicI64::new(0));
    let clock = || {
        // Put back by 90 s after 0.3 s.
        if began.elapsed() > Duration::from_millis(300) {
            jump.store(-90_000_000_000, Ordering::Relaxed);
        }
        CaptureTime(metaleak::capture::now().0 + jump.load(Ordering::Relaxed))
    };
    let options = drive::Options::default();
    let stop = AtomicBool::new(false);
    let job = Job {
        scenario: &scenario,
        trials: scenario.plan(0),
        seed: 0,
        driver: ("exec", (drive::named("exec").unwrap().make)(&options).unwrap()),
        backend: (
            "none",
            (backend::named("none").unwrap().make)(&backend::CaptureOptions::default()).unwrap(),
        ),
        second: None,
        options,
        folder: bench.path("out"),
        messenger: None,
        vantage: None,
        place: None,
        canaries: std::collections::BTreeMap::new(),
        step_timeout: Duration::from_secs(5),
        control_seconds: None,
        retries: (0, Duration::ZERO),
        record_keys: false,
        stop: &stop,
        tell: &|_| {},
        clock: &clock,
    };
    let end = run::run(job).unwrap();
    assert_eq!(end.trials[0].ended, "complete");
    let run = bench.trial(1);
    assert!(run["execution"]["notes"].to_string().contains("clock jumped by -90.0"), "{run}");
    assert!(run["marks"][0]["end"].as_str() >= run["marks"][0]["start"].as_str(), "{run}");
}

#[test]
fn faults_13_to_16_usage_is_told_before_anything_begins() {
    let bench = Bench::new("[[step]]\ndo = \"fly\"\n");
    exits(&bench.run(&["--capture", "none"]), 2, &["s.toml:6: unknown action \"fly\"", "write one of"]);
    let bench = Bench::new(TRUE);
    std::fs::create_dir(bench.path("out")).unwrap();
    exits(&bench.run(&["--capture", "none"]), 2, &["exists", "--folder"]);
    let bench = Bench::new(&format!("{TRUE}[[step]]\ndo = \"block\"\n"));
    exits(
        &bench.run(&["--capture", "none", "--driver", "exec"]),
        2,
        &["s.toml:9: the driver exec", "\"block\""],
    );
    exits(
        &bench.run(&["--capture", "none", "--driver", "telepathy"]),
        2,
        &["no driver \"telepathy\"; there are: exec"],
    );
    exits(&bench.run(&["--capture", "live"]), 2, &["--interface"]);
    let bench = Bench::new(PHONE);
    let mut command = Command::new(BINARY);
    command.arg("run").arg(bench.path("s.toml")).arg("--folder").arg(bench.path("out"));
    let output =
        command.args(["--capture", "none", "--driver", "adb", "--adb", "/nonexistent/adb"]).output().unwrap();
    exits(&output, 4, &["\"/nonexistent/adb\" is not there", "metaleak doctor"]);
}

#[test]
fn recorders_elsewhere_are_ended_in_order_and_say_what_they_dropped() {
    if !python() {
        return;
    }
    let steps = "[[step]]\ndo = \"run\"\nmark = \"idle\"\nrun = [\"sleep\", \"0.5\"]\n";
    let bench = Bench::new(steps);
    let ssh = bench.path("ssh");
    std::fs::copy(here("tests/run/packets"), &ssh).unwrap();
    let tool = format!("ssh={}", ssh.display());
    exits(&bench.run(&["--capture", "ssh", "--remote", "root@router", "--tool", &tool]), 0, &[]);
    let recording = bench.trial(1)["recording"].clone();
    assert_eq!((&recording["dropped"], &recording["ended"]), (&3.into(), &"asked".into()), "{recording}");
    assert!(recording["frames"].as_u64().unwrap() >= 10 && bench.reads(1), "{recording}");

    let bench = Bench::new(steps);
    exits(&bench.run(&["--capture", "adb-tcpdump"]), 0, &[]);
    let run = bench.trial(1);
    assert_eq!((&run["recording"]["dropped"], &run["vantage"]), (&2.into(), &"device".into()), "{run}");
    assert!(bench.reads(1));

    let bench = Bench::new(steps);
    exits(&bench.run(&["--capture", "pcapdroid", "--set", "pcapdroid.api_key=k"]), 0, &[]);
    assert!(bench.reads(1));
    let calls = std::fs::read_to_string(bench.path("state/calls")).unwrap();
    assert!(
        calls.contains("-e action start")
            && calls.contains("-e 'api_key' 'k'")
            && calls.contains("-e action stop"),
        "{calls}"
    );
    let apps = format!(
        "messenger = \"signal\"\n[app]\nname = \"Signal\"\nandroid = \"org.thoughtcrime.securesms\"\n{steps}"
    );
    for (filter, alone) in [(None, true), (Some("pcapdroid.app_filter="), false)] {
        let bench = Bench::new(&apps);
        let set: Vec<&str> = filter.iter().flat_map(|filter| ["--set", filter]).collect();
        let asked =
            ["--capture", "pcapdroid", "--driver", "exec", "--set", "pcapdroid.pcapdroid_trailer=true"];
        exits(&bench.run(&[&asked[..], &set].concat()), 0, &[]);
        let calls = std::fs::read_to_string(bench.path("state/calls")).unwrap();
        assert_eq!(calls.contains("app_filter"), alone, "{calls}");
        assert!(calls.contains("-e 'pcapdroid_trailer' 'true'"), "{calls}");
    }

    // Both ends at once, the device's clock ahead; without a handshake in both nothing is said of the clocks.
    let bench = Bench::new(steps);
    let output =
        bench.run(&["--capture", "command", "--capture-command", &packets(), "--second", "adb-tcpdump"]);
    exits(&output, 0, &[]);
    assert!(bench.path("out/trial-001/device.pcapng").exists());
    let beside = std::fs::read_to_string(bench.path("out/trial-001/device.run.json")).unwrap();
    let beside: Value = serde_json::from_str(&beside).unwrap();
    assert_eq!(beside["vantage"], "device");
    assert!(bench.trial(1)["execution"]["notes"].to_string().contains("the clocks were not compared"));
}

#[test]
fn real_tcpdump_behind_ssh_loses_nothing_of_the_last_step() {
    if !python() || !namespaces() || !has("tcpdump", &["--version"]) {
        return;
    }
    let send = "import socket; s = socket.socket(2, 2); s.bind(('127.0.0.1', 9)); [s.sendto(b'hi', ('127.0.0.1', 9)) for _ in range(50)]";
    let bench = Bench::new(&format!(
        "[[step]]\ndo = \"run\"\nmark = \"idle\"\nsettle = 0.1\nrun = [\"python3\", \"-c\", {send:?}]\n"
    ));
    // A shell in the place of the other machine's.
    let ssh = bench.path("ssh");
    std::fs::write(&ssh, "#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let script = format!(
        "ip link set lo up && exec {BINARY} run {:?} --folder {:?} --no-study --capture ssh --remote r@x --tool ssh={ssh:?} -i lo --filter 'udp port 9'",
        bench.path("s.toml"),
        bench.path("out"),
    );
    let output =
        Command::new("unshare").args(["-n", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    exits(&output, 0, &[]);
    let recording = bench.trial(1)["recording"].clone();
    // On loopback the kernel counts a packet once or twice, by libpcap's version; it gives each once.
    assert_eq!((&recording["frames"], &recording["dropped"]), (&50.into(), &0.into()), "{recording}");
}

/// A built-in scenario with its includes, with waits of no length and one repeat.
fn shortened(bench: &Bench, messenger: &str, name: &str, controls: bool) {
    let number = |line: &str, key: &str, to: &str| match line.split_once('=') {
        Some((k, _)) if k.trim() == key => format!("{key} = {to}"),
        _ => line.to_owned(),
    };
    let shorten = |path: PathBuf| -> String {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text
            .lines()
            .map(|line| number(&number(&number(line, "seconds", "1"), "settle", "0.1"), "repeats", "1"));
        lines.collect::<Vec<_>>().join("\n")
    };
    std::fs::create_dir(bench.path("common")).unwrap();
    for file in std::fs::read_dir(here("scenarios/common")).unwrap() {
        let file = file.unwrap();
        std::fs::write(bench.path("common").join(file.file_name()), shorten(file.path())).unwrap();
    }
    let text = shorten(here(&format!("scenarios/{messenger}/{name}.toml"))).replace("../common/", "common/");
    let text = if controls { text } else { text.replace("controls = ", "# controls = ") };
    std::fs::write(bench.path("s.toml"), text).unwrap();
}

/// Its `send-text` and `contact-sync`, each step on the stand-in.
fn runs_to_its_end(messenger: &str) {
    if !python() {
        return;
    }
    // One with its controls; the others go through the steps alone, each call of the stand-in being a process.
    let trials: u32 = if messenger == "signal" { 3 } else { 1 };
    let scenarios = [
        ("send-text", vec!["idle", "text-1to1"]),
        ("contact-sync", vec!["idle", "contact-deny", "contact-sync"]),
    ];
    for (name, marks) in scenarios {
        let bench = Bench::new(TRUE);
        shortened(&bench, messenger, name, trials > 1);
        let loads = Scenario::load(&bench.path("s.toml")).unwrap_or_else(|e| panic!("{e}"));
        let asked = [
            "--device",
            "x",
            "--capture",
            "command",
            "--capture-command",
            &packets(),
            "--control-seconds",
            "1",
        ];
        let output = bench.command(&asked).args(["--trials", &trials.to_string()]).output().unwrap();
        exits(&output, 0, &[]);
        for (number, trial) in (1..).zip(loads.plan(loads.seed())).take(trials as usize) {
            let run = bench.trial(number);
            let execution = &run["execution"];
            assert_eq!(
                (&execution["ended"], &execution["driver"]),
                (&"complete".into(), &"adb".into()),
                "{messenger}/{name}: {run}"
            );
            assert_eq!(execution["app_version"], "1.2.3");
            assert_eq!(execution["app_sha256"].as_str().unwrap().len(), 64);
            assert!(execution["notes"].to_string().contains("never tried with this app"), "{run}");
            assert!(bench.reads(number));
            if trial.control.is_none() {
                assert_eq!(run["steps"], serde_json::json!(marks), "{messenger}/{name}");
                if name == "contact-sync" {
                    assert_eq!(run["contacts"].as_u64(), trial.dose);
                    assert!(execution["contacts_sha256"].is_string());
                }
            }
        }
        let state: Value =
            serde_json::from_str(&std::fs::read_to_string(bench.path("state/state.json")).unwrap()).unwrap();
        if name == "send-text" {
            let lengths: Vec<usize> =
                state["sent"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().len()).collect();
            let doses: Vec<usize> = loads
                .plan(loads.seed())
                .iter()
                .take(trials as usize)
                .filter_map(|t| t.dose)
                .map(|d| d as usize)
                .collect();
            assert_eq!(lengths, doses, "{messenger}: each message has as many characters as its dose");
        }
    }
}

/// Its `register`, `receive`, `group` and `leave`: codes in short messages, a second phone that sends, and the end of the account.
fn comes_and_goes(messenger: &str) {
    if !python() {
        return;
    }
    let scenarios = [
        ("register", vec!["idle", "register"]),
        ("receive", vec!["idle", "receive", "push-wake"]),
        ("group", vec!["idle", "text-group"]),
        ("leave", vec!["idle", "block", "delete-account"]),
    ];
    for (name, marks) in scenarios {
        let bench = Bench::new(TRUE);
        shortened(&bench, messenger, name, false);
        let state = |file: &str| -> Value {
            serde_json::from_str(&std::fs::read_to_string(bench.path(file)).unwrap()).unwrap()
        };
        if name == "register" {
            std::fs::write(bench.path("state/state.json"), "{\"registered\": false}").unwrap();
        }
        let output = bench.run(&[
            "--device",
            "x",
            "--capture",
            "none",
            "--trials",
            "1",
            "--set",
            "peer=peer",
            "--set",
            "account=tester@example.org",
            "--set",
            "password=not-a-secret",
        ]);
        exits(&output, 0, &[]);
        let run = bench.trial(1);
        assert_eq!(run["execution"]["ended"], "complete", "{messenger}/{name}: {run}");
        assert_eq!(run["steps"], serde_json::json!(marks), "{messenger}/{name}");
        let phone = state("state/state.json");
        match name {
            "register" => {
                assert_eq!(phone["registered"], true);
                let entered = phone["entered"].to_string();
                assert!(entered.len() > 10 && !entered.contains('{'), "{messenger}: {entered}");
                assert!(!entered.contains("999999"), "a code of before the step was taken: {entered}");
                // Where a number is asked for, it is the canary, and the code is that of the message.
                if entered.contains("+44") {
                    assert!(entered.contains("482913"), "{messenger}: {entered}");
                }
            }
            "receive" => {
                let received = phone["received"].as_array().unwrap();
                assert_eq!(received.len(), 2, "{messenger}: the second phone sent both messages");
                assert!(received.iter().all(|text| text.as_str().unwrap().len() == 100), "{received:?}");
                assert_eq!(phone["sent"], serde_json::json!([]), "the first phone sent nothing");
            }
            "group" => {
                let sent = phone["sent"].as_array().unwrap();
                assert_eq!((sent.len(), phone["to"].as_str().unwrap()), (3, "metaleak-group"));
            }
            _ => assert_eq!((&phone["blocked"], &phone["registered"]), (&true.into(), &false.into())),
        }
    }
}

#[test]
fn without_a_second_phone_or_an_account_it_is_said_what_to_give() {
    if !python() {
        return;
    }
    for (messenger, name, words) in
        [("signal", "receive", "--set peer=SERIAL"), ("wire", "register", "{set:account}")]
    {
        let bench = Bench::new(TRUE);
        shortened(&bench, messenger, name, false);
        if name == "register" {
            std::fs::write(bench.path("state/state.json"), "{\"registered\": false}").unwrap();
        }
        let output = bench.run(&["--device", "x", "--capture", "none", "--trials", "1"]);
        exits(&output, 4, &[words]);
    }
}

// One test each: a call of the stand-in is a process, so that they take long and go side by side.
#[test]
fn whatsapp_runs_to_its_end_on_the_stand_in() {
    runs_to_its_end("whatsapp");
}

#[test]
fn whatsapp_registers_receives_and_leaves_on_the_stand_in() {
    comes_and_goes("whatsapp");
}

#[test]
fn messenger_runs_to_its_end_on_the_stand_in() {
    runs_to_its_end("messenger");
}

#[test]
fn messenger_registers_receives_and_leaves_on_the_stand_in() {
    comes_and_goes("messenger");
}

#[test]
fn telegram_runs_to_its_end_on_the_stand_in() {
    runs_to_its_end("telegram");
}

#[test]
fn telegram_registers_receives_and_leaves_on_the_stand_in() {
    comes_and_goes("telegram");
}

#[test]
fn signal_runs_to_its_end_on_the_stand_in() {
    runs_to_its_end("signal");
}

#[test]
fn signal_registers_receives_and_leaves_on_the_stand_in() {
    comes_and_goes("signal");
}

#[test]
fn wire_runs_to_its_end_on_the_stand_in() {
    runs_to_its_end("wire");
}

#[test]
fn wire_registers_receives_and_leaves_on_the_stand_in() {
    comes_and_goes("wire");
}

#[test]
fn threema_runs_to_its_end_on_the_stand_in() {
    runs_to_its_end("threema");
}

#[test]
fn threema_registers_receives_and_leaves_on_the_stand_in() {
    comes_and_goes("threema");
}

#[test]
fn traffic_of_a_step_lies_within_its_mark() {
    if !python() || !namespaces() {
        return;
    }
    let bench = Bench::new(&format!("repeats = 3\n{PHONE}"));
    let script = format!(
        "ip link set lo up && exec {BINARY} run {:?} --folder {:?} --no-study -i lo --filter 'udp port 9' --device x --adb {:?}",
        bench.path("s.toml"),
        bench.path("out"),
        here("tests/run/adb"),
    );
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", &script]).env("STANDIN_STATE", bench.path("state")).stdin(Stdio::null());
    exits(&command.output().unwrap(), 0, &[]);
    for number in 1..=3 {
        let run = bench.trial(number);
        let time = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_nanosecond();
        let (start, end) = (time(&run["marks"][0]["start"]), time(&run["marks"][0]["end"]));
        let mut reader =
            metaleak::capture::open(&bench.path(&format!("out/trial-{number:03}.pcapng"))).unwrap();
        let (mut batch, mut within) = (metaleak::capture::Batch::default(), 0);
        while reader.next(&mut batch) {
            for frame in &batch.frames {
                let is_send = batch.bytes(frame).windows(12).any(|w| w == b"standin send");
                if is_send {
                    within += 1;
                    let at = i128::from(frame.time.0);
                    assert!(at >= start - 50_000_000 && at <= end + 50_000_000, "{start} {at} {end}");
                }
            }
        }
        assert!(within >= 1, "the message was not recorded");
    }
}

#[test]
fn doctor_lists_drivers_and_back_ends() {
    let output = Command::new(BINARY).arg("doctor").env("ADB", "/nonexistent/adb").output().unwrap();
    let said = said(&output);
    for info in drive::DRIVERS {
        assert!(said.contains(&format!("driver {}: ", info.id)), "{said}");
    }
    for info in backend::BACKENDS {
        assert!(said.contains(&format!("capture {}: ", info.id)), "{said}");
    }
    assert!(said.contains("missing  driver adb") && said.contains("apt-get install adb"), "{said}");
    // The browser is a part of its driver alone.
    let lines: Vec<&str> = said.lines().filter(|line| line.to_lowercase().contains("chromium")).collect();
    assert!(lines.len() >= 2 && lines.iter().all(|line| line.contains("driver web")), "{lines:?}");
}
