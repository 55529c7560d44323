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
