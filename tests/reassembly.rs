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
