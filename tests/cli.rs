//! The command line as scripts see it: exit codes, streams, names of files, help, and what is printed where.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::wire::{client_hello, dns_query};
use common::{BINARY, PacketBuilder, Tcp, metaleak, observations};
use serde_json::Value;

/// A capture with one question and one request; its bytes.
fn small() -> Vec<u8> {
    let mut capture = PacketBuilder::new();
    let (client, resolver) = ("192.0.2.10:40000".parse().unwrap(), "198.51.100.53:53".parse().unwrap());
    capture.udp(client, resolver, &dns_query(7, "chat.example", 1));
    let mut web = Tcp::new("192.0.2.10:40001", "203.0.113.80:80");
    web.open(&mut capture);
    web.up(&mut capture, b"GET / HTTP/1.1\r\nHost: web.example\r\n\r\n");
    capture.finish()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

#[test]
fn help_names_every_command_and_goes_to_stdout() {
    let output = metaleak().arg("--help").assert().code(0).get_output().clone();
    let help = text(&output.stdout);
    for command in ["study", "replay", "dissect", "find", "claims", "db", "doctor", "completions", "man"] {
        assert!(help.contains(command), "--help does not name {command}");
        let own = metaleak().args([command, "--help"]).assert().code(0).get_output().clone();
        assert!(text(&own.stdout).contains("Usage"), "{command} --help shows its usage");
    }
    assert!(output.stderr.is_empty());
}

#[test]
fn version_is_that_of_the_package() {
    let output = metaleak().arg("--version").assert().code(0).get_output().clone();
    assert_eq!(text(&output.stdout).trim(), concat!("metaleak ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_2_and_says_so_on_stderr() {
    for arguments in
        [&["--nonsense"][..], &["nonsense"], &["dissect"], &["replay", "--format", "papyrus", "x.pcap"]]
    {
        let output = metaleak().args(arguments).assert().code(2).get_output().clone();
        assert!(output.stdout.is_empty(), "{arguments:?} writes nothing to stdout");
        assert!(!output.stderr.is_empty(), "{arguments:?} says what is wrong");
    }
    metaleak().assert().code(2);
}

#[test]
fn nothing_readable_is_3_and_names_the_file() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing.pcap");
    let nonsense = folder.file("nonsense.pcap", b"this is no capture at all");
    for file in [&missing, &nonsense] {
        for command in ["dissect", "replay"] {
            let output = metaleak().arg(command).arg(file).assert().code(3).get_output().clone();
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(text(&output.stderr).contains(name), "{command} names {name}");
        }
    }
}

#[test]
fn one_unreadable_file_does_not_stop_the_others() {
    let folder = Folder::new();
    let good = folder.file("good.pcap", &small());
    let bad = folder.file("bad.pcap", b"this is no capture at all");
    let output = metaleak().arg("dissect").args([&bad, &good]).assert().code(0).get_output().clone();
    let seen = observations(&output.stdout);
    assert!(seen.iter().any(|o| o.text("name") == "chat.example"), "the good file is read");
    assert!(seen.iter().all(|o| o.text("capture") == "good.pcap"));
    assert!(text(&output.stderr).contains("bad.pcap"), "and the bad one is told of");
    metaleak().args(["dissect", "--strict"]).args([&bad, &good]).assert().code(3);
    let output =
        metaleak().arg("replay").args([&bad, &good]).args(["--format", "json", "-o", "-"]).assert().code(0);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["inputs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_dash_is_stdin() {
    let folder = Folder::new();
    let file = folder.file("small.pcap", &small());
    let piped = metaleak().args(["dissect", "-"]).write_stdin(small()).assert().code(0).get_output().clone();
    let named = metaleak().arg("dissect").arg(file).assert().code(0).get_output().clone();
    let without_name = |bytes: &[u8]| -> Vec<Value> {
        let mut lines: Vec<Value> = observations(bytes).into_iter().map(|o| o.0).collect();
        for line in &mut lines {
            line.as_object_mut().unwrap().remove("capture");
        }
        lines
    };
    assert!(!piped.stdout.is_empty());
    assert_eq!(without_name(&piped.stdout), without_name(&named.stdout));
}

#[test]
fn observations_have_the_common_fields_and_come_in_frame_order() {
    let folder = Folder::new();
    let file = folder.file("small.pcap", &small());
    let output = metaleak().arg("dissect").arg(file).assert().code(0).get_output().clone();
    let seen = observations(&output.stdout);
    assert!(seen.len() >= 2);
    for observation in &seen {
        assert_eq!(observation.text("capture"), "small.pcap");
        assert!(observation.frame() >= 1);
        assert!(observation.text("time").ends_with('Z'), "{observation:?}");
        assert!(observation.0["flow"].is_u64(), "{observation:?}");
        for end in ["src", "dst"] {
            assert!(observation.text(end).parse::<std::net::SocketAddr>().is_ok(), "{observation:?}");
        }
    }
    assert!(seen.is_sorted_by_key(common::Observation::frame));
}

#[test]
fn output_goes_where_it_is_told_to_go() {
    let folder = Folder::new();
    let file = folder.file("small.pcap", &small());
    let target = folder.0.path().join("report.json");
    let output =
        metaleak().arg("replay").arg(&file).args(["--format", "json", "-o"]).arg(&target).assert().code(0);
    assert!(output.get_output().stdout.is_empty(), "with -o FILE nothing goes to stdout");
    let report: Value = serde_json::from_slice(&std::fs::read(&target).unwrap()).unwrap();
    assert_eq!(report["schema"], "metaleak/report/1");
    assert_eq!(report["tool"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn study_writes_a_page_and_a_report_and_prints_a_table() {
    let folder = Folder::new();
    let captures = folder.0.path().join("captures");
    std::fs::create_dir(&captures).unwrap();
    std::fs::write(captures.join("small.pcap"), small()).unwrap();
    let target = folder.0.path().join("out");
    let output =
        metaleak().arg("study").arg(&captures).arg("-o").arg(&target).assert().code(0).get_output().clone();
    assert!(!output.stdout.is_empty(), "a table");
    let json = common::report_in(&target);
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["inputs"][0]["file"], "small.pcap");
    let page =
        std::fs::read_to_string(json.with_file_name("report.html")).expect("report.html beside report.json");
    assert!(!page.contains("<script"), "the page needs no script");
    for attribute in ["src=\"http", "href=\"http://fonts", "@import", "url(http"] {
        assert!(!page.contains(attribute), "the page loads nothing from the network: {attribute}");
    }
}

#[test]
fn no_colour_and_no_control_characters_in_a_pipe() {
    let folder = Folder::new();
    let file = folder.file("small.pcap", &small());
    let cut = folder.file("cut.pcap", &small()[..200]);
    for arguments in [
        &["dissect"][..],
        &["replay"],
        &["replay", "--lang", "de"],
        &["replay", "--format", "json", "-o", "-"],
    ] {
        let output = metaleak().args(arguments).args([&file, &cut]).assert().code(0).get_output().clone();
        for stream in [&output.stdout, &output.stderr] {
            assert!(
                !stream.iter().any(|b| matches!(b, 0x1b | b'\r' | 0x07)),
                "{arguments:?}: {}",
                text(stream)
            );
        }
    }
    for arguments in [&["--help"][..], &["doctor"], &["claims", "list"], &["db", "info"], &["--nonsense"]] {
        let output = metaleak().args(arguments).output().unwrap();
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{arguments:?}");
    }
}

#[test]
fn nothing_from_the_wire_or_a_file_name_reaches_the_terminal_or_the_page_raw() {
    let hostile = "<script>alert(1)</script>\u{1b}[31m\u{7}\u{9b}31m\u{202e}";
    let mut capture = PacketBuilder::new();
    let (client, resolver) = ("192.0.2.10:40000".parse().unwrap(), "198.51.100.53:53".parse().unwrap());
    capture.udp(client, resolver, &dns_query(7, &format!("{hostile}.example"), 1));
    let mut tls = Tcp::new("192.0.2.10:40001", "203.0.113.44:443");
    tls.open(&mut capture);
    tls.up(&mut capture, &client_hello(hostile));
    let mut web = Tcp::new("192.0.2.10:40002", "203.0.113.80:80");
    web.open(&mut capture);
    let request = format!(
        "GET /{hostile} HTTP/1.1\r\nHost: {hostile}\r\nAuthorization: Basic dTpw\r\nUser-Agent: {hostile}\r\n\r\n"
    );
    web.up(&mut capture, request.as_bytes());
    let mut mail = Tcp::new("192.0.2.10:40003", "203.0.113.25:25");
    mail.open(&mut capture);
    mail.down(&mut capture, format!("220 {hostile} ESMTP\r\n").as_bytes());
    mail.up(&mut capture, format!("EHLO {hostile}\r\n").as_bytes());
    let folder = Folder::new();
    let captures = folder.0.path().join("captures");
    std::fs::create_dir(&captures).unwrap();
    let file = captures.join("\u{1b}[2J<img src=x>.pcap");
    std::fs::write(&file, capture.finish()).unwrap();
    let missing = captures.join("\u{1b}[2Jmissing.pcap");
    let target = folder.0.path().join("out");
    for arguments in [&["dissect"][..], &["replay"], &["replay", "--format", "json", "-o", "-"]] {
        let output = metaleak().args(arguments).args([&file, &missing]).assert().code(0).get_output().clone();
        for stream in [&output.stdout, &output.stderr] {
            assert!(!stream.iter().any(|b| matches!(b, 0x1b | 0x07)), "{arguments:?}: {}", text(stream));
            assert!(!text(stream).contains(['\u{9b}', '\u{202e}']), "{arguments:?}: {}", text(stream));
        }
    }
    let output =
        metaleak().arg("study").arg(&captures).arg("-o").arg(&target).assert().code(0).get_output().clone();
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "study");
    let page = std::fs::read_to_string(common::report_in(&target).with_file_name("report.html")).unwrap();
    for raw in ["<script>alert", "<img src=x>", "\u{1b}", "\u{7}"] {
        assert!(!page.contains(raw), "report.html holds {raw:?} as it came");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let mut capture = PacketBuilder::new();
    let (client, resolver) = ("192.0.2.10:40000".parse().unwrap(), "198.51.100.53:53".parse().unwrap());
    for n in 0..20_000 {
        capture.udp(client, resolver, &dns_query(n as u16, &format!("name-{n}.example"), 1));
    }
    let folder = Folder::new();
    let file = folder.file("many.pcap", &capture.finish());
    let mut child = Command::new(BINARY)
        .arg("dissect")
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    assert!(first.contains("name-0.example"));
    drop(stdout);
    let mut problems = String::new();
    child.stderr.take().unwrap().read_to_string(&mut problems).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(problems, "", "nobody is told of a closed pipe");
    assert!(status.success() || status.code().is_none(), "ended with {status}");
}

#[test]
fn the_catalogue_can_be_listed_shown_and_checked() {
    let list = text(&metaleak().args(["claims", "list"]).assert().code(0).get_output().stdout);
    for messenger in ["whatsapp", "signal", "telegram", "threema"] {
        let own = list.matches(&format!("{messenger}.")).count();
        assert!(own >= 3, "{own} claims for {messenger}");
    }
    let id = list
        .split_whitespace()
        .find(|word| word.starts_with("signal."))
        .expect("an id of the form messenger.claim");
    let shown = text(&metaleak().args(["claims", "show", id]).assert().code(0).get_output().stdout);
    assert!(shown.contains(id));
    let output = metaleak().args(["claims", "show", "no.such-claim"]).assert().failure().get_output().clone();
    assert!(text(&output.stderr).contains("no.such-claim"));
    for kind in ["encryption", "absence", "place", "documentary"] {
        let new = metaleak().args(["claims", "new", "beratung.kept", "--kind", kind]).assert().code(0);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("beratung.toml");
        std::fs::write(&file, &new.get_output().stdout).unwrap();
        metaleak().args(["claims", "check"]).arg(&file).assert().code(0);
        let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/http-clear.pcap");
        let tried = metaleak()
            .args(["claims", "test"])
            .arg(&file)
            .arg("--capture")
            .arg(&capture)
            .args(["--app", "beratung"])
            .assert()
            .code(0);
        let said = text(&tried.get_output().stdout);
        let expected = if kind == "documentary" { "documents only" } else { "inconclusive" };
        assert!(said.starts_with(&format!("beratung.kept: {expected}")), "{kind}: {said}");
    }
    let output = metaleak().args(["claims", "new", "No Id"]).assert().code(2).get_output().clone();
    assert!(text(&output.stderr).contains("MESSENGER.NAME"));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("claims/signal.toml");
    metaleak().args(["claims", "check"]).arg(&own).assert().code(0);
    let folder = Folder::new();
    let mut broken = std::fs::read_to_string(&own).unwrap();
    let line = broken.lines().count() + 1;
    broken.push_str("\nnonsense-key = = 3\n");
    let bad = folder.file("bad.toml", broken.as_bytes());
    let output = metaleak().args(["claims", "check"]).arg(&bad).assert().failure().get_output().clone();
    let problems = text(&output.stderr) + &text(&output.stdout);
    assert!(problems.contains("bad.toml"), "names the file: {problems}");
    let near = (line - 1..=line + 2).any(|n| problems.contains(&n.to_string()));
    assert!(near, "names the line ({line} or near): {problems}");
}

#[test]
fn reference_data_can_be_asked() {
    let info = text(&metaleak().args(["db", "info"]).assert().code(0).get_output().stdout);
    assert!(info.lines().count() >= 3, "at least three sources: {info}");
    let addresses = ["1.1.1.1", "2001:4860:4860::8888", "192.0.2.1"];
    let output =
        metaleak().args(["db", "lookup"]).args(addresses).args(["--format", "json"]).assert().code(0);
    let answers: Value = serde_json::from_slice(&output.get_output().stdout).expect("a JSON array");
    let answers = answers.as_array().expect("an array");
    assert_eq!(answers.iter().map(|a| a["address"].as_str().unwrap()).collect::<Vec<_>>(), addresses);
    for answer in answers {
        for key in ["operator", "places", "country", "agreement", "jurisdictions", "role"] {
            assert!(answer.get(key).is_some(), "{answer} has no {key}");
        }
    }
    assert_eq!(answers[2]["agreement"], "none", "nobody has a documentation address");
    metaleak().args(["db", "lookup", "not-an-address"]).assert().code(2);
}

#[test]
fn doctor_tells_what_is_there_and_what_is_missing() {
    let output = metaleak().arg("doctor").output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}", output.status);
    assert!(text(&output.stdout).lines().count() >= 3);
}

#[test]
fn completions_and_a_man_page() {
    for (shell, sign) in
        [("bash", "complete"), ("zsh", "#compdef metaleak"), ("fish", "complete -c metaleak")]
    {
        let output = metaleak().args(["completions", shell]).assert().code(0).get_output().clone();
        assert!(text(&output.stdout).contains(sign), "{shell}");
    }
    let page = text(&metaleak().arg("man").assert().code(0).get_output().stdout);
    assert!(page.contains(".TH metaleak 1"), "a man page in roff: {}", &page[..page.len().min(200)]);
    let program = metaleak::cli::command();
    let commands =
        program.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_uppercase());
    for section in commands.map(|c| format!(".SH \"METALEAK {c}\"")).chain([".SH \"EXIT STATUS\"".into()]) {
        assert!(page.contains(&section), "{section}");
    }
    assert!(page.contains("\\-\\-fail\\-on"), "options of the commands");
    assert!(!page.contains("(1)\n"), "no page is promised that there is not");
}

#[test]
fn a_senseless_number_of_threads_is_refused() {
    let folder = Folder::new();
    let file = folder.file("a.pcap", &small());
    for threads in ["0", "513", "100000"] {
        let output = metaleak()
            .args(["replay", "--threads", threads])
            .arg(&file)
            .assert()
            .code(2)
            .get_output()
            .clone();
        assert!(text(&output.stderr).contains("1 to 512"), "{}", text(&output.stderr));
    }
}

#[test]
fn what_a_study_passes_over_is_said() {
    let folder = Folder::new();
    let captures = folder.0.path().join("captures");
    std::fs::create_dir_all(folder.0.path().join("empty")).unwrap();
    std::fs::create_dir(&captures).unwrap();
    // A name that is not UTF-8.
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"gr\xfc\xdfe.pcap");
    std::fs::write(captures.join(name), small()).unwrap();
    let out = folder.0.path().join("out");
    let study = |arguments: &[&str]| {
        let mut command = metaleak();
        command.arg("study").args(arguments).args([folder.0.path().join("empty"), captures.clone()]);
        command.arg("-o").arg(&out).output().unwrap()
    };
    let output = study(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("no captures there"), "{}", text(&output.stderr));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["inputs"].as_array().unwrap().len(), 1);
    assert_eq!(study(&["--strict"]).status.code(), Some(3));
}

#[test]
fn two_captures_of_one_name_stay_apart() {
    let folder = Folder::new();
    let mut files = Vec::new();
    for sub in ["a", "b"] {
        std::fs::create_dir(folder.0.path().join(sub)).unwrap();
        files.push(folder.file(&format!("{sub}/same.pcap"), &small()));
    }
    let report = common::replay(&files);
    let names: std::collections::BTreeSet<_> =
        report["inputs"].as_array().unwrap().iter().map(|i| i["file"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn the_ledger_of_a_capture_sums_to_its_bytes() {
    let folder = Folder::new();
    let file = folder.file("small.pcap", &small());
    let output = metaleak().arg("coverage").arg(&file).args(["--format", "json"]).assert().code(0);
    let ledgers: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let ledger = &ledgers[0];
    assert_eq!(ledger["capture"], "small.pcap");
    assert_eq!(ledger["total"], small().len());
    let classes = ledger["classes"].as_object().unwrap();
    assert_eq!(classes.values().map(|v| v.as_u64().unwrap()).sum::<u64>(), small().len() as u64);
    let output = metaleak().arg("coverage").arg(&file).assert().code(0);
    let table = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(table.contains("transport") && table.contains(" %") && table.contains("total"), "{table}");
    metaleak().arg("coverage").arg("/does/not/exist.pcap").assert().code(3);
}

#[test]
fn a_claim_file_that_is_no_utf8_is_named_with_its_byte() {
    let folder = Folder::new();
    let path = folder.file("own.toml", b"# first line\n# cat\xe9\n");
    let output = metaleak().args(["claims", "check"]).arg(&path).assert().code(2).get_output().clone();
    let said = text(&output.stderr);
    assert!(said.contains("own.toml:2: byte 18 is no UTF-8; save the file as UTF-8"), "{said}");
}

#[test]
fn replay_of_a_folder_names_study() {
    let folder = Folder::new();
    let file = folder.file("a.pcap", &small());
    let output = metaleak().arg("replay").arg(folder.0.path()).assert().code(3).get_output().clone();
    assert!(text(&output.stderr).contains("is a folder; `metaleak study`"), "{}", text(&output.stderr));
    // Beside a capture it is one unreadable input of several.
    metaleak().arg("replay").arg(folder.0.path()).arg(&file).assert().code(0);
    metaleak().args(["replay", "--strict"]).arg(folder.0.path()).arg(&file).assert().code(3);
}

#[test]
fn study_writes_no_folder_named_dash() {
    let folder = Folder::new();
    folder.file("a.pcap", &small());
    let output = metaleak()
        .current_dir(folder.0.path())
        .args(["study", ".", "-o", "-"])
        .assert()
        .code(2)
        .get_output()
        .clone();
    assert!(text(&output.stderr).contains("-o wants a folder"), "{}", text(&output.stderr));
    assert!(!folder.0.path().join("-").exists());
}

#[test]
fn a_quiet_replay_still_names_what_it_could_not_read() {
    for (files, more) in [(&["missing-1.pcap"][..], false), (&["missing-1.pcap", "missing-2.pcap"], true)] {
        let output = metaleak().args(["-q", "replay"]).args(files).assert().code(3).get_output().clone();
        let said = text(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("missing-1.pcap") && said.contains("(and 1 more)") == more, "{said}");
    }
}

#[test]
fn coverage_tells_of_cut_and_compressed_files() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/captures/http-clear.pcap")).unwrap();
    let cut = folder.path().join("cut.pcap");
    std::fs::write(&cut, &whole[..whole.len() - 5]).unwrap();
    let run = |args: &[&str], file: &std::path::Path| metaleak().args(args).arg(file).output().unwrap();
    let (coverage, replay) = (run(&["coverage"], &cut), run(&["replay", "-o", "-"], &cut));
    let warned = |output: &std::process::Output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().find(|line| line.contains("cut.pcap: byte ")).map(str::to_owned)
    };
    assert!(coverage.status.success());
    assert_eq!(warned(&coverage).expect("a warning"), warned(&replay).expect("a warning"));
    assert_eq!(run(&["coverage", "--strict"], &cut).status.code(), Some(3));
    assert!(run(&["--quiet", "coverage"], &cut).stderr.is_empty());

    let packed = folder.path().join("packed.pcap.gz");
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut writer, &whole).unwrap();
    let bytes = writer.finish().unwrap();
    std::fs::write(&packed, &bytes).unwrap();
    let ledger: serde_json::Value =
        serde_json::from_slice(&run(&["coverage", "--format", "json"], &packed).stdout).unwrap();
    assert_eq!((&ledger[0]["total"], &ledger[0]["stored"]), (&whole.len().into(), &bytes.len().into()));
    let table = String::from_utf8(run(&["coverage"], &packed).stdout).unwrap();
    assert!(table.contains("of the file, compressed") && table.contains(&bytes.len().to_string()), "{table}");
}

/// A capture with a number behind base64 over two segments, and what else a test wants.
fn leaking() -> Vec<u8> {
    let mut capture = PacketBuilder::new();
    let mut tcp = Tcp::new("192.0.2.10:40000", "203.0.113.80:9999");
    tcp.open(&mut capture);
    // `tel: +49 (151) 1234-5678`, then base64 of `tel:+4915112345678`.
    tcp.up(&mut capture, b"tel: +49 (151) 1234-5678; dGVsOis0OTE1MT"); // typos: off, for base64
    tcp.up(&mut capture, b"EyMzQ1Njc4.");
    capture.finish()
}

#[test]
fn find_prints_every_place_with_its_chain() {
    let folder = Folder::new();
    let file = folder.file("a.pcap", &leaking());
    let output =
        metaleak().arg("find").arg("+4915112345678").arg(&file).args(["--format", "json"]).assert().code(0);
    let places: Vec<(Value, Value)> = text(&output.get_output().stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|place| (place["encoding"].clone(), place["frames"].clone()))
        .collect();
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(places, [(json(r#"["grouped"]"#), json("[4]")), (json(r#"["base64"]"#), json("[4, 5]"))]);
    let table = metaleak().arg("find").arg("+4915112345678").arg(&file).assert().code(0);
    let table = text(&table.get_output().stdout);
    assert!(table.contains("base64") && !table.contains("4915112345678"), "{table}");
    let nothing = metaleak().args(["find", "+4915112345679"]).arg(&file).assert().code(0);
    assert!(nothing.get_output().stdout.is_empty());
    metaleak().args(["find", "abc"]).arg(&file).assert().code(2);
}

#[test]
fn canaries_come_from_files_and_controls_stand_beside_verdicts() {
    let folder = Folder::new();
    let file = folder.file("a.pcap", &leaking());
    let list = folder.file("list.csv", b"name,value\nnumber,+4915112345678\n");
    let replay = |more: &[&std::ffi::OsStr]| {
        let mut command = metaleak();
        command.arg("replay").arg(&file).args(["--format", "json", "--app", "conversations"]).args(more);
        let output = command.assert().code(0).get_output().clone();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let report = replay(&["--canary-file".as_ref(), list.as_os_str()]);
    let canaries = report["findings"].as_array().unwrap().iter().filter(|f| f["kind"] == "canary");
    assert_eq!(canaries.count(), 2);
    let controlled = replay(&["--controls".as_ref(), "20".as_ref()]);
    let claims = controlled["claims"].as_array().unwrap();
    let controls: Vec<&Value> = claims.iter().map(|c| &c["control"]).filter(|c| !c.is_null()).collect();
    assert!(!controls.is_empty());
    for control in controls {
        assert_eq!(control["planted"], 20);
        assert!(control["found"].as_u64().unwrap() > 18, "{control}");
    }
    assert_eq!(
        controlled,
        replay(&["--controls".as_ref(), "20".as_ref(), "--threads".as_ref(), "1".as_ref()])
    );
    let wrong = folder.file("wrong.toml", b"[canaries]\na = 1\n");
    let output = metaleak().arg("replay").arg(&file).arg("--canary-file").arg(&wrong).assert().code(2);
    assert!(text(&output.get_output().stderr).contains(":2: "));
}

/// Claims for every messenger are shown and judged of one that no file speaks of, with a note that names the known ones.
#[test]
fn a_messenger_without_a_file_is_judged_by_the_common_claims() {
    let folder = Folder::new();
    let file = folder.file("a.pcap", &small());
    let run = |args: &[&str]| metaleak().args(args).assert().get_output().clone();
    for args in [&["claims", "list", "foo-chat"][..], &["claims", "show", "foo-chat.idle-quiet"]] {
        let output = run(args);
        assert!(
            output.status.success() && text(&output.stdout).contains("foo-chat.idle-quiet"),
            "{output:?}"
        );
        assert!(text(&output.stderr).contains("known: whatsapp, "), "{output:?}");
    }
    let common = run(&["claims", "show", "*.idle-quiet"]);
    assert!(common.status.success() && common.stderr.is_empty(), "{common:?}");
    let path = file.to_str().unwrap();
    let judged = run(&["replay", path, "--app", "foo-chat", "--format", "json"]);
    assert!(judged.status.success() && text(&judged.stderr).contains("\"foo-chat\""), "{judged:?}");
    assert!(text(&judged.stdout).contains("\"foo-chat.idle-quiet\""));
    assert_eq!(run(&["replay", path, "--app", "Foo Chat"]).status.code(), Some(2));
}
