//! Capture files in every form the program promises to read, made from code: byte orders, resolutions, interfaces, link
//! layers, compression, and every way in which a file can end too early.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::io::Write as _;

use common::build::START;
use common::wire::{self, dns_query, link};
use common::{Endian, PacketBuilder, Unit, dissect, dissect_bytes, metaleak, replay, replay_bytes};
use serde_json::Value;

const CLIENT: &str = "192.0.2.10:40000";
const RESOLVER: &str = "198.51.100.53:53";
const CLIENT6: &str = "[2001:db8::10]:40000";
const RESOLVER6: &str = "[2001:db8:53::53]:53";

/// An IP packet that asks for `name`.
fn question(name: &str) -> Vec<u8> {
    wire::udp(CLIENT.parse().unwrap(), RESOLVER.parse().unwrap(), &dns_query(7, name, 1))
}

fn question6(name: &str) -> Vec<u8> {
    wire::udp(CLIENT6.parse().unwrap(), RESOLVER6.parse().unwrap(), &dns_query(7, name, 28))
}

/// Frame and name of every question that the program sees.
fn questions(capture: &[u8]) -> Vec<(u64, String)> {
    let seen = dissect_bytes(capture);
    seen.iter()
        .filter(|o| o.text("kind") == "dns.query")
        .map(|o| (o.frame(), o.text("name").to_owned()))
        .collect()
}

fn named(names: &[(u64, &str)]) -> Vec<(u64, String)> {
    names.iter().map(|(frame, name)| (*frame, (*name).to_owned())).collect()
}

/// Three questions, one a frame.
fn three(mut capture: PacketBuilder) -> PacketBuilder {
    for name in ["one.example", "two.example", "three.example"] {
        capture.ip(&question(name));
    }
    capture
}

#[test]
fn classic_pcap_in_both_byte_orders_and_resolutions() {
    for endian in [Endian::Little, Endian::Big] {
        for (unit, expected) in [
            (Unit::Micros, "2023-11-14T22:13:20.123456000Z"),
            (Unit::Nanos, "2023-11-14T22:13:20.123456789Z"),
        ] {
            let mut capture = PacketBuilder::pcap(endian, unit, link::ETHERNET);
            capture.at(START + 123_456_789).ip(&question("one.example"));
            let seen = dissect_bytes(&capture.finish());
            let query = seen.iter().find(|o| o.text("kind") == "dns.query").expect("a question");
            assert_eq!(query.text("time"), expected, "{endian:?} {unit:?}");
            assert_eq!(query.text("src"), CLIENT);
            assert_eq!(query.text("dst"), RESOLVER);
            assert_eq!(query.text("transport"), "udp");
            assert_eq!(query.0["type"], "A");
        }
    }
}

#[test]
fn pcapng_interfaces_each_with_their_own_link_type_and_clock() {
    for endian in [Endian::Little, Endian::Big] {
        let mut capture = PacketBuilder::pcapng(endian);
        // 2^-20 s cannot say every nanosecond, so all times are multiples of 1/16 s, but for the one in nanoseconds.
        let interfaces = [
            (link::ETHERNET, None, START + 62_500_000, "2023-11-14T22:13:20.062500000Z"),
            (link::RAW, Some(9), START + 123_456_789, "2023-11-14T22:13:20.123456789Z"),
            (link::SLL, Some(0x94), START + 187_500_000, "2023-11-14T22:13:20.187500000Z"),
            (link::SLL2, Some(3), START + 250_000_000, "2023-11-14T22:13:20.250000000Z"),
            (link::NULL, Some(0), START + 1_000_000_000, "2023-11-14T22:13:21.000000000Z"),
        ];
        for (kind, resolution, ..) in interfaces {
            capture.interface(kind, resolution);
        }
        for (n, (.., time, _)) in interfaces.iter().enumerate() {
            capture.at(*time).ip_on(n, &question("one.example"));
        }
        let bytes = capture.finish();
        let seen = dissect_bytes(&bytes);
        let times: Vec<&str> =
            seen.iter().filter(|o| o.text("kind") == "dns.query").map(|o| o.text("time")).collect();
        assert_eq!(times, interfaces.map(|(.., text)| text), "{endian:?}");
        let report = replay_bytes(&bytes);
        let types = &report["inputs"][0]["link_types"];
        assert_eq!(
            *types,
            serde_json::json!(["EN10MB", "LINUX_SLL", "LINUX_SLL2", "NULL", "RAW"]),
            "{endian:?}"
        );
        assert_eq!(report["inputs"][0]["first_time"], interfaces[0].3);
        assert_eq!(report["inputs"][0]["last_time"], interfaces[4].3);
    }
}

#[test]
fn a_new_pcapng_section_counts_its_interfaces_anew() {
    let mut capture = PacketBuilder::pcapng(Endian::Little);
    capture.interface(link::ETHERNET, None);
    capture.ip(&question("one.example"));
    capture.section(&[(1, b"another host")]);
    capture.interface(link::RAW, Some(9));
    capture.ip(&question("two.example"));
    assert_eq!(questions(&capture.finish()), named(&[(1, "one.example"), (2, "two.example")]));
}

#[test]
fn comments_secrets_and_unknown_blocks_are_no_frames() {
    let mut capture = PacketBuilder::pcapng(Endian::Little);
    capture.section(&[(1, b"made for a test"), (4, b"nobody")]);
    capture.interface(link::ETHERNET, None);
    let framed = wire::frame(link::ETHERNET, &[], &question("one.example"));
    capture.packet_on(0, &framed, framed.len(), Some("the first question"));
    capture.secrets(0x544c_534b, b"CLIENT_RANDOM 00 00\n");
    capture.block(0x0bad_beef, b"a block of some vendor");
    capture.ip(&question("two.example"));
    let bytes = capture.finish();
    assert_eq!(questions(&bytes), named(&[(1, "one.example"), (2, "two.example")]));
    let report = replay_bytes(&bytes);
    assert_eq!(report["inputs"][0]["frames"], 2);
    assert_eq!(report["inputs"][0]["truncated"], false);
    // The secret is none; its line is told by its number, with the place of the block.
    let warnings = report["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["what"], "secrets block: line 1 is no line of a key log");
    assert_eq!(warnings[0]["frame"], 1);
    let at = warnings[0]["offset"].as_u64().unwrap() as usize;
    assert_eq!(bytes[at..at + 4], 10_u32.to_le_bytes());
}

#[test]
fn compressed_captures_read_like_plain_ones() {
    let folder = tempfile::tempdir().unwrap();
    let plain = three(PacketBuilder::new()).finish();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd =
        ruzstd::encoding::compress_to_vec(plain.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    for (name, bytes) in [("three.pcap.gz", &gzip), ("three.pcap.zst", &zstd)] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let seen = dissect([&file]);
        assert_eq!(seen.iter().filter(|o| o.text("kind") == "dns.query").count(), 3, "{name}");
        let report = replay([&file]);
        let input = &report["inputs"][0];
        assert_eq!(input["file"], name);
        assert_eq!(input["bytes"], bytes.len(), "the size as stored");
        assert_eq!(
            report["coverage"][0]["total"],
            plain.len(),
            "{name}: the ledger counts the decompressed file"
        );
        assert_eq!(ledger(&report), plain.len() as u64, "{name}: the classes sum to the total");
    }
    // A gzip file that breaks off yields what is there.
    let file = folder.path().join("broken.pcap.gz");
    std::fs::write(&file, &gzip[..gzip.len() - 12]).unwrap();
    let report = replay([&file]);
    assert_eq!(report["inputs"][0]["truncated"], true);
    assert!(
        !report["warnings"].as_array().unwrap().is_empty(),
        "a compressed file that breaks off is told of"
    );
}

/// A zstd frame with a window of 1 MiB and one raw block for each of `blocks` (RFC 8878 section 3.1.1).
fn zstd_of_raw_blocks(blocks: &[&[u8]], checksum: Option<u32>) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, u8::from(checksum.is_some()) << 2, 10 << 3];
    for (i, block) in blocks.iter().enumerate() {
        let header = u32::try_from(block.len()).unwrap() << 3 | u32::from(i + 1 == blocks.len());
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame.extend(checksum.into_iter().flat_map(u32::to_le_bytes));
    frame
}

#[test]
fn a_zstd_file_that_breaks_off_yields_its_whole_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.pcap.zst");
    let capture = three(PacketBuilder::new());
    let ends = capture.ends().to_vec();
    let plain = capture.finish();
    let blocks = [&plain[..ends[0]], &plain[ends[0]..ends[1]], &plain[ends[1]..]];
    for checksum in [None, Some(0)] {
        let whole = zstd_of_raw_blocks(&blocks, checksum);
        let content = whole.len() - checksum.map_or(0, |_| 4);
        let last = content - blocks[2].len();
        // Within the last block, at its begin, within its header, before it.
        for cut in [content - 1, last + 1, last, last - 2, last - 3] {
            std::fs::write(&file, &whole[..cut]).unwrap();
            let report = replay([&file]);
            let input = &report["inputs"][0];
            assert_eq!(input["frames"], 2, "cut at {cut}");
            assert_eq!(input["truncated"], true, "cut at {cut}");
            assert_eq!(report["warnings"][0]["offset"], ends[1], "cut at {cut}: {}", report["warnings"]);
        }
    }
    // A block of the reserved type is a fault as well.
    let mut damaged = zstd_of_raw_blocks(&blocks, None);
    let last = damaged.len() - blocks[2].len() - 3;
    damaged[last] |= 6;
    std::fs::write(&file, &damaged).unwrap();
    let report = replay([&file]);
    assert_eq!(report["inputs"][0]["frames"], 2);
    assert_eq!(report["inputs"][0]["truncated"], true);
}

#[test]
fn the_checksum_of_a_zstd_frame_is_held_against_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checked.zst");
    let sound = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/captures/dns.pcapng.zst")).unwrap();
    assert_ne!(sound[4] & 4, 0, "the frame has a checksum");
    std::fs::write(&file, &sound).unwrap();
    let report = replay([&file]);
    assert_eq!(report["inputs"][0]["truncated"], false);
    assert_eq!(report["warnings"], serde_json::json!([]));
    let frames = report["inputs"][0]["frames"].clone();

    let mut wrong = sound;
    *wrong.last_mut().unwrap() ^= 1;
    let plain = three(PacketBuilder::new()).finish();
    let (head, tail) = plain.split_at(100);
    for (bytes, frames) in [(wrong, frames), (zstd_of_raw_blocks(&[head, tail], Some(0)), 3.into())] {
        std::fs::write(&file, &bytes).unwrap();
        let report = replay([&file]);
        let input = &report["inputs"][0];
        assert_eq!(input["frames"], frames, "all that was decoded is read");
        assert_eq!(input["truncated"], true);
        assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "{}", report["warnings"]);
        let offset = report["warnings"][0]["offset"].as_u64().unwrap();
        assert_eq!(offset, report["coverage"][0]["total"].as_u64().unwrap(), "told at the end");
    }
}

fn ledger(report: &Value) -> u64 {
    report["coverage"][0]["classes"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
}

#[test]
fn a_capture_cut_anywhere_keeps_the_frames_before_the_cut() {
    let mut ng = PacketBuilder::pcapng(Endian::Big);
    ng.interface(link::ETHERNET, None);
    for (form, capture) in [("pcap", three(PacketBuilder::new())), ("pcapng", three(ng))] {
        let ends = capture.ends().to_vec();
        let bytes = capture.finish();
        let second = ends[1];
        // Within the third record's header, at its end, within its packet, one byte before its end.
        for cut in [second + 1, second + 7, second + 16, second + 40, ends[2] - 1] {
            let report = replay_bytes(&bytes[..cut]);
            let input = &report["inputs"][0];
            assert_eq!(input["frames"], 2, "{form} cut at {cut}");
            assert_eq!(input["truncated"], true, "{form} cut at {cut}");
            let warning = &report["warnings"][0];
            let offset = warning["offset"].as_u64().expect("a warning names the byte");
            assert!(
                (second as u64..=cut as u64).contains(&offset),
                "{form} cut at {cut}: the warning points at {offset}, the broken record begins at {second}: {warning}"
            );
            assert_eq!(ledger(&report), cut as u64, "{form} cut at {cut}: every byte is in one class");
            let seen = dissect_bytes(&bytes[..cut]);
            assert_eq!(
                seen.iter().filter(|o| o.text("kind") == "dns.query").count(),
                2,
                "{form} cut at {cut}"
            );
            let told = seen.iter().find(|o| o.text("kind") == "warning").expect("dissect tells of it too");
            assert_eq!(told.0["offset"], warning["offset"]);
        }
        // Cut exactly between two records: nothing is missing that anyone could know of.
        let report = replay_bytes(&bytes[..second]);
        assert_eq!(report["inputs"][0]["frames"], 2, "{form}");
        assert_eq!(report["inputs"][0]["truncated"], false, "{form}");
    }
}

#[test]
fn a_cut_capture_is_an_error_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.pcap");
    let bytes = three(PacketBuilder::new()).finish();
    std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    metaleak().arg("dissect").arg(&file).assert().code(0);
    metaleak().args(["dissect", "--strict"]).arg(&file).assert().code(3);
    metaleak().args(["replay", "--strict", "--format", "json", "-o", "-"]).arg(&file).assert().code(3);
}

#[test]
fn a_record_that_claims_more_than_any_packet_ends_the_reading() {
    let capture = three(PacketBuilder::new());
    let second = capture.ends()[1];
    let mut bytes = capture.finish();
    bytes[second + 8..second + 12].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    let report = replay_bytes(&bytes);
    assert_eq!(report["inputs"][0]["frames"], 2);
    assert_eq!(report["inputs"][0]["truncated"], true);
    let offset = report["warnings"][0]["offset"].as_u64().unwrap();
    assert!(
        (second as u64..second as u64 + 16).contains(&offset),
        "points at {offset}, the record is at {second}"
    );
}

#[test]
fn a_pcapng_block_with_a_false_length_ends_the_reading() {
    let mut capture = PacketBuilder::pcapng(Endian::Little);
    capture.interface(link::ETHERNET, None);
    let capture = three(capture);
    let second = capture.ends()[1];
    for length in [0_u32, 3, 11, 0x7fff_fff0] {
        let mut bytes = capture.written().to_vec();
        bytes[second + 4..second + 8].copy_from_slice(&length.to_le_bytes());
        let report = replay_bytes(&bytes);
        assert_eq!(report["inputs"][0]["frames"], 2, "length {length}");
        let offset = report["warnings"][0]["offset"].as_u64().unwrap();
        assert!(
            (second as u64..=second as u64 + 12).contains(&offset),
            "length {length}: points at {offset}"
        );
    }
}

#[test]
fn packets_of_an_unknown_link_type_are_counted_and_told_of() {
    let mut capture = PacketBuilder::pcap(Endian::Little, Unit::Micros, 147);
    capture.packet(&question("one.example"));
    capture.packet(&question("two.example"));
    let report = replay_bytes(&capture.finish());
    assert_eq!(report["inputs"][0]["frames"], 2);
    let warnings = report["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|w| w["what"].as_str().unwrap().contains("147")), "{warnings:?}");
    assert_eq!(report["flows"], serde_json::json!([]), "nothing is invented");
}

#[test]
fn every_link_layer_carries_both_versions_of_ip() {
    for kind in [link::ETHERNET, link::RAW, link::NULL, link::LOOP, link::SLL, link::SLL2] {
        for endian in [Endian::Little, Endian::Big] {
            let mut capture = PacketBuilder::pcap(endian, Unit::Micros, kind);
            capture.ip(&question("four.example"));
            capture.ip(&question6("six.example"));
            let expected = named(&[(1, "four.example"), (2, "six.example")]);
            assert_eq!(questions(&capture.finish()), expected, "link type {kind}, {endian:?}");
        }
    }
    for (kind, packet) in [(link::IPV4, question("four.example")), (link::IPV6, question6("four.example"))] {
        let mut capture = PacketBuilder::pcap(Endian::Little, Unit::Micros, kind);
        capture.ip(&packet);
        assert_eq!(questions(&capture.finish()), named(&[(1, "four.example")]), "link type {kind}");
    }
}

#[test]
fn bsd_loopback_families_of_every_system() {
    // AF_INET6 is 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS, 10 on Linux; the writer's byte order is not known.
    for family in [24_u32, 28, 30, 10] {
        for header in [family.to_le_bytes(), family.to_be_bytes()] {
            let mut capture = PacketBuilder::pcap(Endian::Little, Unit::Micros, link::NULL);
            let mut bytes = header.to_vec();
            bytes.extend(question6("six.example"));
            capture.packet(&bytes);
            assert_eq!(questions(&capture.finish()), named(&[(1, "six.example")]), "family {header:?}");
        }
    }
}

#[test]
fn vlan_tags_up_to_three_deep() {
    for tags in [&[100_u16][..], &[200, 100], &[300, 200, 100]] {
        let mut capture = PacketBuilder::new();
        capture.vlans(tags).ip(&question("four.example"));
        capture.ip(&question6("six.example"));
        assert_eq!(
            questions(&capture.finish()),
            named(&[(1, "four.example"), (2, "six.example")]),
            "{tags:?}"
        );
    }
}

#[test]
fn packets_cut_by_the_snap_length_are_frames() {
    let mut capture = PacketBuilder::new();
    let framed = wire::frame(link::ETHERNET, &[], &question("one.example"));
    for kept in 0..framed.len() {
        capture.packet_on(0, &framed[..kept], framed.len(), None);
    }
    let last = capture.ip(&question("two.example"));
    let bytes = capture.finish();
    assert_eq!(questions(&bytes), named(&[(last, "two.example")]), "half a question is none");
    let report = replay_bytes(&bytes);
    assert_eq!(report["inputs"][0]["frames"], last);
    assert_eq!(ledger(&report), bytes.len() as u64);
}

#[test]
fn ethernet_padding_is_no_payload() {
    // 60 bytes is the shortest Ethernet frame; what follows the IP length is not the datagram's.
    let mut capture = PacketBuilder::new();
    let mut framed = wire::frame(link::ETHERNET, &[], &question("a.b"));
    framed.resize(framed.len() + 18, 0xee);
    capture.packet(&framed);
    assert_eq!(questions(&capture.finish()), named(&[(1, "a.b")]));
}

#[test]
fn an_empty_capture_is_fine_and_an_empty_file_is_not() {
    let report = replay_bytes(&PacketBuilder::new().finish());
    assert_eq!(report["inputs"][0]["frames"], 0);
    assert_eq!(report["inputs"][0]["first_time"], Value::Null);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nothing.pcap");
    std::fs::write(&file, b"").unwrap();
    metaleak().arg("dissect").arg(&file).assert().code(3);
    std::fs::write(&file, b"<html>not a capture</html>").unwrap();
    metaleak().arg("dissect").arg(&file).assert().code(3);
}

#[test]
fn clocks_that_step_back_are_kept_as_they_are() {
    let mut capture = PacketBuilder::new();
    capture.at(START + 5_000_000_000).ip(&question("late.example"));
    capture.at(START).ip(&question("early.example"));
    let bytes = capture.finish();
    assert_eq!(questions(&bytes), named(&[(1, "late.example"), (2, "early.example")]), "in frame order");
    let input = &replay_bytes(&bytes)["inputs"][0];
    assert_eq!(input["first_time"], "2023-11-14T22:13:20.000000000Z", "the earliest");
    assert_eq!(input["last_time"], "2023-11-14T22:13:25.000000000Z", "the latest");
}

#[test]
fn secrets_and_comments_are_kept_for_later() {
    let mut capture = PacketBuilder::pcapng(Endian::Big);
    capture.section(&[(1, b"made for a test")]);
    capture.interface(link::ETHERNET, None);
    let framed = wire::frame(link::ETHERNET, &[], &question("one.example"));
    capture.packet_on(0, &framed, framed.len(), Some("the first question"));
    capture.secrets(0x544c_534b, b"CLIENT_RANDOM 00 00\n");
    // No command shows key material, so this asks the library.
    let mut reader = metaleak::capture::from_bytes("made.pcapng", capture.finish()).unwrap();
    let mut batch = metaleak::capture::Batch::default();
    while reader.next(&mut batch) {}
    let facts = reader.facts();
    assert_eq!(facts.secrets.len(), 1);
    assert_eq!(facts.secrets[0].kind, 0x544c_534b);
    assert_eq!(facts.secrets[0].data, b"CLIENT_RANDOM 00 00\n");
    assert!(!format!("{facts:?}").contains("RANDOM"), "key material is not printed");
    let comments: Vec<_> = facts.comments.iter().map(|(frame, text)| (*frame, text.as_str())).collect();
    assert_eq!(comments, [(None, "made for a test"), (Some(1), "the first question")]);
}
