//! Streams put together again: IP fragments and TCP segments in any order, and which frames each message came from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use common::wire::{self, client_hello, dns_query, flag};
use common::{Observation, PacketBuilder, Tcp, dissect_bytes, replay_bytes};

const CLIENT: &str = "192.0.2.10:40000";
const SERVER: &str = "203.0.113.80:80";

/// All orders of `0..n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let mut found = vec![vec![]];
    for next in 0..n {
        found = found
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |at| {
                    let mut longer = order.clone();
                    longer.insert(at, next);
                    longer
                })
            })
            .collect();
    }
    found
}

fn of_kind(capture: PacketBuilder, kind: &str) -> Vec<Observation> {
    dissect_bytes(&capture.finish()).into_iter().filter(|o| o.text("kind") == kind).collect()
}

/// Frames and target of every HTTP request.
fn requests(capture: PacketBuilder) -> Vec<(Vec<u64>, String)> {
    of_kind(capture, "http.request").iter().map(|o| (o.frames(), o.text("target").to_owned())).collect()
}

fn request(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: web.example\r\nUser-Agent: test/1\r\nAccept: */*\r\n\r\n")
        .into_bytes()
}

/// An opened connection; the handshake takes frames 1 to 3.
fn opened() -> (PacketBuilder, Tcp) {
    let mut capture = PacketBuilder::new();
    let connection = Tcp::new(CLIENT, SERVER);
    connection.open(&mut capture);
    (capture, connection)
}

#[test]
fn ip_fragments_in_any_order_with_overlap() {
    let name = "a-rather-long-name-so-that-the-question-needs-three-fragments.fragments.example";
    for (src, dst, protocol) in
        [("192.0.2.10:40000", "198.51.100.53:53", 17), ("[2001:db8::1]:40000", "[2001:db8::53]:53", 17)]
    {
        let (src, dst): (std::net::SocketAddr, std::net::SocketAddr) =
            (src.parse().unwrap(), dst.parse().unwrap());
        let segment = wire::udp_segment(src, dst, &dns_query(9, name, 1));
        let end = segment.len();
        assert!(end > 72, "three fragments are needed");
        for parts in
            [[(0, 32), (32, 64), (64, end)], [(0, 40), (24, 72), (64, end)], [(0, 24), (16, end), (64, end)]]
        {
            for order in orders(3) {
                let mut capture = PacketBuilder::new();
                for &n in &order {
                    capture.ip(&wire::fragment(src.ip(), dst.ip(), protocol, 77, &segment, parts[n]));
                }
                let seen = of_kind(capture, "dns.query");
                assert_eq!(seen.len(), 1, "{src}, {parts:?} in order {order:?}");
                assert_eq!(seen[0].text("name"), name);
                // The third of the overlapping parts may come after the datagram is whole already.
                let whole = if parts[1].1 == end && order[2] == 2 { 2 } else { 3 };
                assert_eq!(seen[0].frame(), whole, "{src}, {parts:?} in order {order:?}");
                assert_eq!(seen[0].frames().last(), Some(&whole));
            }
        }
    }
}

#[test]
fn fragments_of_different_datagrams_are_not_mixed() {
    let (src, dst): (std::net::SocketAddr, std::net::SocketAddr) =
        (CLIENT.parse().unwrap(), "198.51.100.53:53".parse().unwrap());
    let one = wire::udp_segment(src, dst, &dns_query(1, "one.of-two-datagrams.example", 1));
    let two = wire::udp_segment(src, dst, &dns_query(2, "two.of-two-datagrams.example", 1));
    let mut capture = PacketBuilder::new();
    for (id, segment, part) in [
        (1, &one, (0, 24)),
        (2, &two, (0, 24)),
        (2, &two, (24, two.len())),
        (1, &one, (24, one.len())),
        // Never whole: its end does not come.
        (3, &one, (0, 24)),
    ] {
        capture.ip(&wire::fragment(src.ip(), dst.ip(), 17, id, segment, part));
    }
    let seen = of_kind(capture, "dns.query");
    let seen: Vec<_> = seen.iter().map(|o| (o.frames(), o.text("name"))).collect();
    assert_eq!(
        seen,
        [(vec![2, 3], "two.of-two-datagrams.example"), (vec![1, 4], "one.of-two-datagrams.example")]
    );
}

#[test]
fn fragments_within_fragments_are_put_together() {
    let (src, dst): (std::net::SocketAddr, std::net::SocketAddr) =
        (CLIENT.parse().unwrap(), "198.51.100.53:53".parse().unwrap());
    let (near, far) = ("203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap());
    let segment = wire::udp_segment(src, dst, &dns_query(1, "two-tunnels.example", 1));
    let mut capture = PacketBuilder::new();
    for part in [(0, 24), (24, segment.len())] {
        let inner = wire::fragment(src.ip(), dst.ip(), 17, 7, &segment, part);
        for outer in [(0, 16), (16, inner.len())] {
            // 4: the datagram within is IPv4 again.
            capture.ip(&wire::fragment(near, far, 4, 20 + part.0 as u32, &inner, outer));
        }
    }
    let seen = of_kind(capture, "dns.query");
    let seen: Vec<_> = seen.iter().map(|o| (o.frames(), o.text("name"))).collect();
    assert_eq!(seen, [(vec![1, 2, 3, 4], "two-tunnels.example")]);
}

#[test]
fn a_request_over_three_segments_in_any_order_names_exactly_its_frames() {
    let bytes = request("/split");
    let cuts = [(0, 10), (10, 45), (45, bytes.len())];
    for order in orders(3) {
        let (mut capture, connection) = opened();
        for &n in &order {
            let (from, to) = cuts[n];
            connection.up_at(&mut capture, from as u32, &bytes[from..to]);
        }
        let seen = of_kind(capture, "http.request");
        assert_eq!(seen.len(), 1, "in order {order:?}");
        assert_eq!(seen[0].frames(), [4, 5, 6], "in order {order:?}");
        assert_eq!(seen[0].frame(), 6, "complete with the last of them, in order {order:?}");
        assert_eq!(seen[0].text("target"), "/split");
        assert_eq!(seen[0].text("host"), "web.example");
    }
}

#[test]
fn neighbours_of_a_request_are_not_among_its_frames() {
    let (mut capture, mut connection) = opened();
    let (first, second) = (request("/first"), request("/second"));
    // Frame 4: the first request and the beginning of the second; 5: an answer; 6: the rest of the second.
    let mut both = first.clone();
    both.extend(&second[..20]);
    connection.up(&mut capture, &both);
    connection.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    connection.up(&mut capture, &second[20..]);
    connection.down(&mut capture, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let bytes = capture.finish();
    let seen = dissect_bytes(&bytes);
    let told = |kind: &str, key: &str| -> Vec<(Vec<u64>, String)> {
        let those = seen.iter().filter(|o| o.text("kind") == kind);
        those.map(|o| (o.frames(), o.0[key].to_string().trim_matches('"').to_owned())).collect()
    };
    assert_eq!(
        told("http.request", "target"),
        [(vec![4], "/first".to_owned()), (vec![4, 6], "/second".to_owned())]
    );
    assert_eq!(told("http.response", "status"), [(vec![5], "204".to_owned()), (vec![7], "404".to_owned())]);
}

#[test]
fn the_bytes_seen_first_win() {
    let bytes = request("/first");
    let other = request("/other");
    // A retransmission that says something else, before the request is whole.
    let (mut capture, connection) = opened();
    connection.up_at(&mut capture, 0, &bytes[..30]);
    connection.up_at(&mut capture, 0, &other[..30]);
    connection.up_at(&mut capture, 30, &bytes[30..]);
    assert_eq!(requests(capture), [(vec![4, 6], "/first".to_owned())], "a retransmission changes nothing");
    // One that reaches further: only its new bytes count.
    let (mut capture, connection) = opened();
    connection.up_at(&mut capture, 0, &bytes[..30]);
    connection.up_at(&mut capture, 0, &other);
    assert_eq!(requests(capture), [(vec![4, 5], "/first".to_owned())], "old bytes stay, new ones are added");
    // Seen early, out of order, and overlapped from below later.
    let (mut capture, connection) = opened();
    connection.up_at(&mut capture, 4, &bytes[4..12]);
    connection.up_at(&mut capture, 0, &other[..30]);
    connection.up_at(&mut capture, 30, &bytes[30..]);
    assert_eq!(requests(capture), [(vec![4, 5, 6], "/first".to_owned())], "what waited was seen first");
}

#[test]
fn an_exact_retransmission_is_no_second_message() {
    let (mut capture, mut connection) = opened();
    let bytes = request("/once");
    connection.up(&mut capture, &bytes);
    connection.up_at(&mut capture, 0, &bytes);
    connection.up_at(&mut capture, 5, &bytes[5..25]);
    connection.up(&mut capture, &request("/twice"));
    assert_eq!(requests(capture), [(vec![4], "/once".to_owned()), (vec![7], "/twice".to_owned())]);
}

#[test]
fn sequence_numbers_wrap_around() {
    let bytes = request("/around");
    for before in [1, 10, 40] {
        let mut capture = PacketBuilder::new();
        let mut connection = Tcp::new(CLIENT, SERVER);
        connection.client_base = 0_u32.wrapping_sub(before);
        connection.open(&mut capture);
        // In three parts, the middle one last.
        connection.up_at(&mut capture, 0, &bytes[..15]);
        connection.up_at(&mut capture, 30, &bytes[30..]);
        connection.up_at(&mut capture, 15, &bytes[15..30]);
        assert_eq!(
            requests(capture),
            [(vec![4, 5, 6], "/around".to_owned())],
            "{before} bytes before the wrap"
        );
    }
}

#[test]
fn a_capture_that_starts_in_the_middle_of_a_connection() {
    let mut capture = PacketBuilder::new();
    let mut connection = Tcp::new(CLIENT, SERVER);
    connection.client_base = 0x8000_0000;
    connection.up(&mut capture, &request("/middle"));
    connection.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    connection.up(&mut capture, &request("/next"));
    let bytes = capture.finish();
    let seen = dissect_bytes(&bytes);
    let seen: Vec<_> = seen.iter().filter(|o| o.text("kind") == "http.request").collect();
    assert_eq!(seen.iter().map(|o| o.text("target")).collect::<Vec<_>>(), ["/middle", "/next"]);
    let flow = &replay_bytes(&bytes)["flows"][0];
    assert_eq!((flow["client"].as_str(), flow["server"].as_str()), (Some(CLIENT), Some(SERVER)));
    assert_eq!(flow["frames"], 3);
}

#[test]
fn a_gap_hides_what_is_in_it_and_nothing_else() {
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/before"));
    connection.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    connection.sent_up += 500; // lost by the recorder, acknowledged by the server
    connection.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    connection.up(&mut capture, &request("/after"));
    connection.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    let targets: Vec<String> = requests(capture).into_iter().map(|(_, target)| target).collect();
    assert_eq!(targets, ["/before", "/after"]);
}

#[test]
fn a_message_with_a_hole_is_not_made_up() {
    let (mut capture, mut connection) = opened();
    let bytes = request("/holed");
    connection.up(&mut capture, &bytes[..20]);
    connection.sent_up += 10;
    connection.up(&mut capture, &bytes[30..]);
    connection.close(&mut capture);
    assert_eq!(requests(capture), [], "ten bytes of it are unknown");
}

#[test]
fn a_client_hello_byte_by_byte() {
    let mut capture = PacketBuilder::new();
    let mut connection = Tcp::new(CLIENT, "203.0.113.44:443");
    connection.open(&mut capture);
    let hello = client_hello("slow.example");
    for byte in &hello {
        connection.up(&mut capture, std::slice::from_ref(byte));
    }
    let seen = of_kind(capture, "tls.client_hello");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].text("sni"), "slow.example");
    assert_eq!(seen[0].0["alpn"], serde_json::json!(["h2", "http/1.1"]));
    let last = 3 + hello.len() as u64;
    assert_eq!(seen[0].frame(), last);
    assert_eq!(seen[0].frames(), (4..=last).collect::<Vec<_>>());
}

#[test]
fn ports_used_again_are_a_new_flow() {
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/old"));
    connection.close(&mut capture);
    let last_of_old = capture.frames();
    let mut again = Tcp::new(CLIENT, SERVER);
    again.client_base = 900_001;
    again.server_base = 700_001;
    again.open(&mut capture);
    again.up(&mut capture, &request("/new"));
    let bytes = capture.finish();
    let report = replay_bytes(&bytes);
    let flows = report["flows"].as_array().unwrap();
    assert_eq!(flows.len(), 2, "{flows:#?}");
    assert_eq!(flows[0]["last_frame"], last_of_old);
    assert_eq!(flows[1]["first_frame"], last_of_old + 1);
    let seen = dissect_bytes(&bytes);
    let seen: Vec<_> = seen.iter().filter(|o| o.text("kind") == "http.request").collect();
    assert_eq!(seen.iter().map(|o| o.text("target")).collect::<Vec<_>>(), ["/old", "/new"]);
    assert_ne!(seen[0].0["flow"], seen[1].0["flow"]);
}

#[test]
fn flows_count_their_frames_and_bytes_on_the_wire() {
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/counted"));
    connection.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    connection.close(&mut capture);
    let bytes = capture.finish();
    let flow = &replay_bytes(&bytes)["flows"][0];
    // Ethernet 14, IPv4 20, TCP 20: five frames up, three down.
    let headers = 54;
    assert_eq!(flow["frames"], 8);
    assert_eq!((&flow["first_frame"], &flow["last_frame"]), (&1.into(), &8.into()));
    assert_eq!(flow["bytes_up"], 5 * headers + request("/counted").len());
    assert_eq!(flow["bytes_down"], 3 * headers + b"HTTP/1.1 204 No Content\r\n\r\n".len());
    assert_eq!(flow["encryption"], "none");
}

#[test]
fn a_reset_does_not_hide_what_came_before() {
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/reset"));
    capture.tcp(connection.server, connection.client, connection.server_base, 0, flag::RST, b"");
    assert_eq!(requests(capture), [(vec![4], "/reset".to_owned())]);
}

#[test]
fn a_reset_outside_of_the_window_changes_nothing() {
    for stray in [100_000_000_u32, 70_000, u32::MAX - 7] {
        let (mut capture, mut connection) = opened();
        connection.up(&mut capture, &request("/before"));
        let seq = connection.server_base.wrapping_add(stray);
        capture.tcp(connection.server, connection.client, seq, 0, flag::RST, b"");
        connection.up(&mut capture, &request("/after"));
        assert_eq!(requests(capture), [(vec![4], "/before".to_owned()), (vec![6], "/after".to_owned())]);
    }
}

#[test]
fn what_follows_a_forged_reset_is_read() {
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/before"));
    let seq = connection.client_base.wrapping_add(request("/before").len() as u32);
    capture.tcp(connection.client, connection.server, seq, 0, flag::RST, b"");
    connection.up(&mut capture, &request("/after"));
    let bytes = capture.finish();
    let seen = dissect_bytes(&bytes);
    let targets: Vec<_> =
        seen.iter().filter(|o| o.text("kind") == "http.request").map(|o| o.text("target")).collect();
    assert_eq!(targets, ["/before", "/after"]);
    let warned =
        seen.iter().any(|o| o.text("kind") == "warning" && o.text("what").contains("reset was not its own"));
    assert!(warned, "the forged reset is told");
}

#[test]
fn many_flows_that_wait_for_a_segment_share_one_bound() {
    // 160 flows that hold back up to 700 KiB each: 110 MiB, of which 64 MiB and one flow a shard may be kept.
    let mut capture = PacketBuilder::new();
    let mut flows: Vec<Tcp> =
        (0..160).map(|n| Tcp::new(&format!("10.1.{}.{}:40000", n / 100, n % 100 + 1), SERVER)).collect();
    for flow in &mut flows {
        flow.open(&mut capture);
        flow.sent_up += 10; // never captured, never acknowledged
    }
    let block = [0x9d_u8; 1400];
    for _ in 0..512 {
        for flow in &mut flows {
            flow.up(&mut capture, &block);
        }
    }
    let bytes = capture.finish();
    let report = replay_bytes(&bytes);
    let said: Vec<&str> =
        report["warnings"].as_array().unwrap().iter().filter_map(|w| w["what"].as_str()).collect();
    assert!(said.iter().any(|w| w.contains("gave up what it held back")), "{said:?}");
    let ledger = &report["coverage"][0];
    let sum: u64 =
        ledger["classes"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(sum, bytes.len() as u64);
    let payload: u64 =
        report["flows"].as_array().unwrap().iter().filter_map(|f| f["bytes_up"].as_u64()).sum();
    assert!(payload > 160 * 512 * 1400, "{payload}");
}

#[test]
fn what_follows_the_end_of_both_directions_is_repetition() {
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/once"));
    connection.down(&mut capture, b"HTTP/1.1 204 No Content\r\n\r\n");
    let before = connection.sent_up;
    connection.close(&mut capture);
    let again = request("/once");
    connection.up_at(&mut capture, before - again.len() as u32, &again);
    let bytes = capture.finish();
    let seen = dissect_bytes(&bytes);
    assert_eq!(seen.iter().filter(|o| o.text("kind") == "http.request").count(), 1);
    let report = replay_bytes(&bytes);
    assert_eq!(report["coverage"][0]["classes"]["tcp.retransmission"], again.len());
}

/// Requests' targets, warnings, and the classes of the ledger.
fn told(capture: PacketBuilder) -> (Vec<String>, Vec<String>, serde_json::Value) {
    let bytes = capture.finish();
    let seen = dissect_bytes(&bytes);
    let of = |kind: &str, key: &str| {
        seen.iter().filter(|o| o.text("kind") == kind).map(|o| o.text(key).to_owned()).collect()
    };
    let report = replay_bytes(&bytes);
    let ledger = &report["coverage"][0]["classes"];
    let sum: u64 = ledger.as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(sum, bytes.len() as u64);
    (of("http.request", "target"), of("warning", "what"), ledger.clone())
}

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Nothing that a protocol begins with.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8 | 0x80
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn requests_behind_a_download_that_is_captured_from_its_middle() {
    for (opened, segments) in [(false, 23), (false, 100), (true, 30)] {
        let mut capture = PacketBuilder::new();
        let mut connection = Tcp::new(CLIENT, SERVER);
        if opened {
            connection.open(&mut capture);
        }
        for part in noise(1400 * segments).chunks(1400) {
            connection.down(&mut capture, part);
        }
        for target in ["/one", "/two", "/three"] {
            connection.up(&mut capture, &request(target));
            connection.down(&mut capture, NO_CONTENT);
        }
        let (targets, warnings, ledger) = told(capture);
        assert_eq!(targets, ["/one", "/two", "/three"], "{opened} {segments} {warnings:?}");
        assert_eq!(ledger["opaque"], 1400 * segments, "{opened} {segments}");
    }
}

#[test]
fn a_side_that_nobody_knows_is_probed_at_its_turns_and_then_given_up() {
    for (turns, known) in [(30, true), (100, true), (101, true), (400, false)] {
        let mut capture = PacketBuilder::new();
        let mut connection = Tcp::new(CLIENT, SERVER);
        for part in noise(40 * turns).chunks(40) {
            connection.up(&mut capture, part);
            connection.down(&mut capture, &part[..20]);
        }
        connection.up(&mut capture, &request("/late"));
        connection.down(&mut capture, NO_CONTENT);
        let (targets, warnings, _) = told(capture);
        assert_eq!(targets == ["/late"], known, "{turns}");
        let given_up = warnings.iter().filter(|w| w.contains("it is not probed from here on")).count();
        assert_eq!(given_up, usize::from(!known), "{warnings:?}");
    }
}

#[test]
fn datagrams_of_certain_protocols_are_read_behind_any_number_of_unknown_ones() {
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], b"transaction!"].concat();
    for (port, last, kind) in
        [(3478, stun, "stun.message"), (53, dns_query(7, "late.example", 1), "dns.query")]
    {
        let mut capture = PacketBuilder::new();
        let server = std::net::SocketAddr::from(([203, 0, 113, 80], port));
        for part in noise(60 * 300).chunks(60) {
            capture.udp(CLIENT.parse().unwrap(), server, part);
        }
        capture.udp(CLIENT.parse().unwrap(), server, &last);
        let bytes = capture.finish();
        let seen = dissect_bytes(&bytes);
        let last: Vec<_> = seen.iter().filter(|o| o.frame() == 301).map(|o| o.text("kind")).collect();
        assert_eq!(last, [kind], "{port}");
    }
}

/// A connection that both sides have closed, with one request.
fn closed() -> (PacketBuilder, Tcp) {
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/old"));
    connection.down(&mut capture, NO_CONTENT);
    connection.close(&mut capture);
    (capture, connection)
}

#[test]
fn another_connection_on_the_same_ports_whose_syn_is_not_there() {
    for base in [900_001_u32, 0x5000_0001, 2, u32::MAX - 9] {
        for answered in [false, true] {
            let (mut capture, _) = closed();
            let mut again = Tcp::new(CLIENT, SERVER);
            (again.client_base, again.server_base) = (base, base.wrapping_add(0x2000_0000));
            if answered {
                let (seq, ack) = (again.server_base.wrapping_sub(1), base);
                capture.tcp(again.server, again.client, seq, ack, flag::SYN | flag::ACK, b"");
            }
            for target in ["/new", "/newer"] {
                again.up(&mut capture, &request(target));
                again.down(&mut capture, NO_CONTENT);
            }
            let bytes = capture.written().to_vec();
            let (targets, warnings, ledger) = told(capture);
            assert_eq!(targets, ["/old", "/new", "/newer"], "{base} {answered}");
            assert_eq!(ledger.get("tcp.retransmission"), None, "{base} {answered}");
            // The answer to a SYN opens a flow; without it the old one goes on, and says so.
            let flows = replay_bytes(&bytes)["flows"].as_array().unwrap().len();
            let warned = warnings.iter().filter(|w| w.contains("behind the end of a connection")).count();
            assert_eq!((flows, warned), if answered { (2, 0) } else { (1, 1) }, "{base} {warnings:?}");
        }
    }
}

#[test]
fn a_syn_ack_that_is_captured_behind_others_opens_no_second_flow() {
    let mut capture = PacketBuilder::new();
    let mut connection = Tcp::new(CLIENT, SERVER);
    let (client, server) = (connection.client_base, connection.server_base);
    // The client's first segments overtake it, on another queue.
    connection.up(&mut capture, &request("/first"));
    capture.tcp(connection.server, connection.client, server - 1, client, flag::SYN | flag::ACK, b"");
    connection.down(&mut capture, NO_CONTENT);
    let report = replay_bytes(&capture.finish());
    assert_eq!(report["flows"].as_array().unwrap().len(), 1);
    // All flags at once are no answer to a SYN.
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/before"));
    let seq = connection.server_base;
    capture.tcp(connection.server, connection.client, seq, 7, 0x3f, b"broken");
    connection.up(&mut capture, &request("/after"));
    let report = replay_bytes(&capture.finish());
    assert_eq!(report["flows"].as_array().unwrap().len(), 1);
    // Data within the SYN is acknowledged with it (RFC 7413).
    let mut capture = PacketBuilder::new();
    let hello = request("/fast");
    capture.tcp(connection.client, connection.server, client - 1, 0, flag::SYN, &hello);
    let ack = client + hello.len() as u32;
    capture.tcp(connection.server, connection.client, server - 1, ack, flag::SYN | flag::ACK, b"");
    capture.tcp(connection.server, connection.client, server, ack, flag::ACK, NO_CONTENT);
    let report = replay_bytes(&capture.finish());
    assert_eq!(report["flows"].as_array().unwrap().len(), 1);
}

#[test]
fn forged_ends_hide_nothing() {
    for back in [20, 0] {
        let (mut capture, mut connection) = opened();
        connection.up(&mut capture, &request("/before"));
        connection.down(&mut capture, NO_CONTENT);
        let mut forged = connection;
        (forged.sent_up, forged.sent_down) = (forged.sent_up - back, forged.sent_down - back);
        forged.close(&mut capture);
        connection.up(&mut capture, &request("/after"));
        connection.down(&mut capture, NO_CONTENT);
        connection.close(&mut capture);
        let (targets, warnings, ledger) = told(capture);
        assert_eq!(targets, ["/before", "/after"], "{back}");
        assert_eq!(ledger.get("tcp.retransmission"), None);
        // Those that stand before bytes that were sent end nothing.
        assert_eq!(warnings.len(), usize::from(back == 0), "{warnings:?}");
    }
}

#[test]
fn what_follows_a_gap_of_many_megabytes_is_read() {
    for missing in [20_000_000_u32, 3_000_000_000] {
        for behind in 1..4 {
            let (mut capture, mut connection) = opened();
            let upload =
                format!("POST /up HTTP/1.1\r\nHost: web.example\r\nContent-Length: {missing}\r\n\r\n");
            connection.up(&mut capture, upload.as_bytes());
            // Its body is not in the capture.
            connection.sent_up = connection.sent_up.wrapping_add(missing);
            let targets: Vec<String> = (0..behind).map(|n| format!("/{n}")).collect();
            for target in &targets {
                connection.up(&mut capture, &request(target));
                connection.down(&mut capture, NO_CONTENT);
            }
            let (seen, warnings, ledger) = told(capture);
            assert_eq!(seen[1..], targets, "{missing} {behind} {warnings:?}");
            assert_eq!(ledger.get("tcp.retransmission"), None);
            assert_eq!(ledger.get("tcp.stray"), None);
        }
    }
}

#[test]
fn a_stray_segment_is_told_and_moves_nothing() {
    let (mut capture, mut connection) = opened();
    connection.up(&mut capture, &request("/before"));
    connection.up_at(&mut capture, 0x4000_0000, &request("/stray"));
    for n in 0..20 {
        connection.up(&mut capture, &request(&format!("/{n}")));
    }
    let (targets, warnings, ledger) = told(capture);
    assert_eq!(targets.len(), 21);
    assert_eq!(ledger["tcp.stray"], request("/stray").len());
    assert!(matches!(&warnings[..], [one] if one.contains("which nothing confirmed")), "{warnings:?}");
}

#[test]
fn a_client_hello_over_many_records_is_a_handshake() {
    let record = client_hello("pieces.example");
    let message = &record[5..];
    for size in [1, 3, 50] {
        let mut capture = PacketBuilder::new();
        let mut connection = Tcp::new(CLIENT, "203.0.113.44:443");
        connection.open(&mut capture);
        let records: Vec<u8> = message
            .chunks(size)
            .flat_map(|part| [&[22, 3, 1, 0, part.len() as u8][..], part].concat())
            .collect();
        for segment in records.chunks(37) {
            connection.up(&mut capture, segment);
        }
        let segments = records.chunks(37).count() as u64;
        let bytes = capture.finish();
        let seen = dissect_bytes(&bytes);
        let hello: Vec<_> = seen.iter().filter(|o| o.text("kind") == "tls.client_hello").collect();
        assert_eq!(hello.len(), 1, "{size}");
        assert_eq!((hello[0].text("sni"), hello[0].frame()), ("pieces.example", 3 + segments));
        let ledger = &replay_bytes(&bytes)["coverage"][0]["classes"];
        assert_eq!(ledger["tls.handshake"], records.len(), "{size}: {ledger}");
    }
}

#[test]
fn a_message_over_hundred_thousands_of_records_costs_no_more_than_its_bytes() {
    // A certificate list of zeros, one byte a record: copied anew for each of them it would be 20 GiB.
    let message = [&[11, 3, 0xd0, 0x90][..], &vec![0; 250_000]].concat();
    let mut capture = PacketBuilder::new();
    let mut connection = Tcp::new(CLIENT, "203.0.113.44:443");
    connection.open(&mut capture);
    connection.up(&mut capture, &client_hello("pieces.example"));
    let records: Vec<u8> = message.iter().flat_map(|b| [22, 3, 3, 0, 1, *b]).collect();
    for segment in records.chunks(1446) {
        connection.down(&mut capture, segment);
    }
    let started = std::time::Instant::now();
    let report = replay_bytes(&capture.finish());
    assert_eq!(
        report["coverage"][0]["classes"]["tls.handshake"],
        records.len() + client_hello("pieces.example").len()
    );
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn packets_of_one_flow_from_two_networks_are_told() {
    let send = |tags: [u16; 4]| {
        let mut capture = PacketBuilder::new();
        let mut connection = Tcp::new(CLIENT, SERVER);
        for (n, tag) in tags.into_iter().enumerate() {
            capture.vlans(&[tag]);
            if n % 2 == 0 {
                connection.up(&mut capture, &request(&format!("/{n}")));
            } else {
                connection.down(&mut capture, NO_CONTENT);
            }
        }
        told(capture).1
    };
    assert_eq!(send([1, 1, 1, 1]), [""; 0]);
    assert_eq!(send([1, 2, 1, 2]), [""; 0], "each way has its own tag");
    let warnings = send([1, 1, 2, 2]);
    assert!(matches!(&warnings[..], [one] if one.contains("several VLANs")), "{warnings:?}");
}
