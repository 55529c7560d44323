//! Equal input gives equal bytes: two runs, one thread and two, one capture with many flows and the whole corpus.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::path::Path;

use common::wire::{client_hello, dns_query};
use common::{PacketBuilder, Seeded, Tcp, metaleak, report_in, shared};

/// The report of `study` over a folder, as it was written.
fn study(captures: &Path, threads: &str) -> Vec<u8> {
    let target = tempfile::tempdir().unwrap();
    metaleak()
        .arg("study")
        .arg(captures)
        .arg("-o")
        .arg(target.path())
        .args(["--threads", threads])
        .assert()
        .code(0);
    std::fs::read(report_in(target.path())).unwrap()
}

/// What `dissect` writes for one file.
fn dissected(file: &Path, threads: &str) -> Vec<u8> {
    let output = metaleak().arg("dissect").arg(file).args(["--threads", threads]).assert().code(0);
    output.get_output().stdout.clone()
}

/// Fails where two outputs differ, showing the first line that does.
fn same(what: &str, one: &[u8], other: &[u8]) {
    assert!(!one.is_empty(), "{what}: nothing was written");
    if one == other {
        return;
    }
    let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
    for (n, (a, b)) in one.lines().zip(other.lines()).enumerate() {
        assert_eq!(
            a.chars().take(2000).collect::<String>(),
            b.chars().take(2000).collect::<String>(),
            "{what}: line {}",
            n + 1
        );
    }
    panic!(
        "{what}: one has {} lines, the other {}, or a line differs far to the right",
        one.lines().count(),
        other.lines().count()
    );
}

/// Many flows at once, their packets interleaved and partly out of order, so that shards finish in any order.
fn many_flows() -> Vec<u8> {
    let mut capture = PacketBuilder::new();
    let mut random = Seeded(3);
    let mut open: Vec<(Tcp, Vec<u8>, usize)> = Vec::new();
    for n in 0..1500_usize {
        let client = format!("10.{}.{}.{}:{}", n % 7, n / 250, n % 250 + 1, 20_000 + n);
        let (port, first) = match n % 3 {
            0 => (443, client_hello(&format!("host-{}.example", n % 40))),
            1 => (80, format!("GET /{n} HTTP/1.1\r\nHost: web-{}.example\r\nCookie: id={n}\r\n\r\n", n % 11).into_bytes()),
            _ => (5222, format!("<?xml version='1.0'?><stream:stream to='chat-{}.example' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>", n % 5).into_bytes()),
        };
        let connection = Tcp::new(&client, &format!("203.0.{}.{}:{port}", n % 3, n % 90 + 1));
        connection.open(&mut capture);
        open.push((connection, first, 0));
        let client = client.parse().unwrap();
        capture.udp(
            client,
            "198.51.100.53:53".parse().unwrap(),
            &dns_query(n as u16, &format!("host-{}.example", n % 40), 1),
        );
        // Some of those that are open go on, each by a few bytes.
        for _ in 0..6 {
            let at = random.below(open.len());
            let (connection, data, sent) = &mut open[at];
            let step = (*sent + 1 + random.below(90)).min(data.len());
            if *sent < step {
                connection.up_at(&mut capture, *sent as u32, &data[*sent..step]);
            }
            *sent = step;
        }
    }
    // The rest of each, its halves in the wrong order.
    for (connection, data, sent) in &open {
        let middle = usize::midpoint(*sent, data.len());
        for (from, to) in [(middle, data.len()), (*sent, middle)] {
            if from < to {
                connection.up_at(&mut capture, from as u32, &data[from..to]);
            }
        }
    }
    capture.finish()
}

#[test]
fn one_capture_with_many_flows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.pcap");
    std::fs::write(&file, many_flows()).unwrap();
    let lines = dissected(&file, "1");
    let names = common::observations(&lines).iter().filter(|o| o.text("kind") == "tls.client_hello").count();
    assert_eq!(names, 500, "every hello is put together");
    for threads in ["1", "2", "4"] {
        same(&format!("dissect on {threads} threads"), &lines, &dissected(&file, threads));
    }
    let report = study(folder.path(), "1");
    for threads in ["1", "2", "4"] {
        same(&format!("study on {threads} threads"), &report, &study(folder.path(), threads));
    }
}

#[test]
fn the_whole_corpus() {
    let Some(shared) = shared() else { return };
    let corpus = shared.join("corpus");
    let one = study(&corpus, "1");
    same("study of the corpus, a second run", &one, &study(&corpus, "1"));
    same("study of the corpus on two threads", &one, &study(&corpus, "2"));
}

#[test]
fn the_order_of_the_files_given_does_not_matter() {
    let Some(shared) = shared() else { return };
    let files: Vec<_> = common::corpus(&shared).into_values().take(12).collect();
    let replayed = |files: &[std::path::PathBuf]| {
        let output =
            metaleak().arg("replay").args(files).args(["--format", "json", "-o", "-"]).assert().code(0);
        output.get_output().stdout.clone()
    };
    let backwards: Vec<_> = files.iter().rev().cloned().collect();
    same("replay of twelve files in another order", &replayed(&files), &replayed(&backwards));
}
