//! Faults that were found and mended, one test each; the inputs that a fuzzer found lie in `fuzz/corpus/` as `found-…` too.

#![allow(clippy::expect_used, reason = "helpers of tests are tests: a failure there is a failed test")]

mod common;

use common::wire::link;
use common::{Endian, PacketBuilder, Tcp, Unit};
use metaleak::dissect::{CaptureAnalysis, Options, analyse_bytes};

fn read(bytes: &[u8]) -> CaptureAnalysis {
    let options = Options { observe: true, ..Options::default() };
    analyse_bytes("made.pcap", bytes, &options).expect("a capture")
}

/// The warning of a frame that cannot be read came behind the observations of all later frames.
#[test]
fn warnings_of_frames_stand_in_frame_order() {
    let mut capture = PacketBuilder::pcap(Endian::Little, Unit::Micros, link::ETHERNET);
    let (client, server) = ("192.0.2.10:40000".parse().unwrap(), "203.0.113.53:53".parse().unwrap());
    // An IPv4 packet that is all header and less.
    let broken = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0][..], &[0x45, 0, 0]].concat();
    capture.packet(&broken);
    capture.udp(client, server, &common::wire::dns_query(1, "chat.example", 1));
    capture.packet(&broken);
    capture.udp(client, server, &common::wire::dns_query(2, "chat.example", 1));
    let seen = read(&capture.finish());
    let order: Vec<(u64, &str)> = seen.observations.iter().map(|o| (o.frame, o.kind)).collect();
    assert_eq!(order, [(1, "warning"), (2, "dns.query"), (4, "dns.query")]);
    // The report's warning counts those that follow.
    assert_eq!(seen.warnings.len(), 1);
    assert!(seen.warnings[0].what.contains("2 frames"), "{:?}", seen.warnings);
}

/// Frames that show a flow's encryption came in the order in which the bytes were read: after a wait not that of the capture.
#[test]
fn evidence_is_in_frame_order() {
    let mut capture = PacketBuilder::new();
    let mut talk = Tcp::new("192.0.2.10:40000", "203.0.113.9:80");
    talk.open(&mut capture);
    let request = b"GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n";
    // The first half comes last; what the server says is read before it.
    talk.up_at(&mut capture, 20, &request[20..]);
    talk.down(&mut capture, b"HTTP/1.1 408 Request Timeout\r\n\r\n");
    talk.up_at(&mut capture, 0, &request[..20]);
    let seen = read(&capture.finish());
    assert_eq!(seen.flows[0].encryption_frames, [4, 5, 6]);
}

/// A fragment header followed by an extension header that the packet does not hold: etherparse's walk along the headers read
/// beyond the packet, which ends a program with debug assertions and is undefined without.
#[test]
fn extension_headers_end_with_the_packet() {
    let (src, dst) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    // Fragment (44) at offset 8 with more to come, then destination options (60) that claim 2048 bytes, then routing (43).
    for (next, rest) in [(60, &[17, 255, 1, 4][..]), (60, &[]), (43, &[60]), (51, &[17, 200, 0, 0])] {
        for more in [0, 1] {
            let mut body = vec![next, 0, 0, 8 | more, 0, 0, 0, 9];
            body.extend(rest);
            for link_type in [link::RAW, link::ETHERNET] {
                let mut capture = PacketBuilder::pcap(Endian::Little, Unit::Micros, link_type);
                let packet = common::wire::ipv6(src, dst, 44, &body);
                let whole = common::wire::frame(link_type, &[], &packet);
                capture.packet(&whole);
                // Cut by the snap length.
                capture.packet_on(0, &whole[..whole.len() - rest.len().min(1)], whole.len(), None);
                let bytes = capture.finish();
                let seen = read(&bytes);
                assert_eq!(seen.coverage.total, bytes.len() as u64);
            }
        }
    }
}

/// A DNS message of no bytes over TCP gave a warning in frame 0.
#[test]
fn a_warning_about_nothing_names_its_frame() {
    let mut capture = PacketBuilder::new();
    let mut talk = Tcp::new("192.0.2.10:40000", "203.0.113.53:53");
    talk.open(&mut capture);
    let query = common::wire::dns_query(1, "chat.example", 1);
    talk.up(&mut capture, &[&(query.len() as u16).to_be_bytes()[..], &query].concat());
    talk.up(&mut capture, &[0, 0]);
    let seen = read(&capture.finish());
    let told: Vec<(u64, &str)> = seen.observations.iter().map(|o| (o.frame, o.kind)).collect();
    assert_eq!(told, [(4, "dns.query"), (5, "warning")]);
    assert_eq!(seen.warnings[0].frame, Some(5));
}

/// A message about a run description quoted its unknown field as it was: a file of a stranger could steer the terminal.
#[test]
fn messages_about_files_cannot_steer_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut capture = PacketBuilder::new();
    let (client, server) = ("192.0.2.10:40000".parse().unwrap(), "203.0.113.53:53".parse().unwrap());
    capture.udp(client, server, &common::wire::dns_query(1, "chat.example", 1));
    let file = folder.path().join("a.pcap");
    std::fs::write(&file, capture.finish()).unwrap();
    std::fs::write(folder.path().join("a.run.json"), r#"{"\u001b[2J\u009b31m\u202e\r": 1}"#).unwrap();
    for command in ["replay", "study"] {
        let output = common::metaleak()
            // As on a terminal: nothing is taken out on the way.
            .env("CLICOLOR_FORCE", "1")
            .current_dir(folder.path())
            .arg(command)
            .arg(if command == "study" { folder.path() } else { &file })
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("unknown field"), "{command}: {said:?}");
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(acts), "{command}: {said:?}");
    }
}
