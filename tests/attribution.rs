//! Area tests of `destination`: which messenger a flow belongs to, what an end is for, and under whose law it falls.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic; clippy.toml allows it only within #[test] functions"
)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use metaleak::cli::db::{self as cli, DbError, DbFormat};
use metaleak::destination::{ReferenceDb, attribute, destinations, lookup_destination};
use metaleak::model::{
    Agreement, Basis, Destination, Flow, FlowName, FlowTls, JurisdictionWhy, Role, SignatureHit, Vantage,
};

fn db() -> &'static ReferenceDb {
    ReferenceDb::embedded().expect("the embedded reference data is sound")
}

/// A flow from a phone to `server`, with names as `SOURCE=NAME`.
fn flow(server: &str, names: &str) -> Flow {
    let names = names.split_whitespace().map(|name| {
        let (source, name) = name.split_once('=').unwrap();
        FlowName { name: name.into(), source: source.into(), frame: 1, expired: false }
    });
    Flow {
        capture: "a.pcap".into(),
        flow: 1,
        transport: "tcp".into(),
        client: "192.168.1.2:40000".into(),
        server: server.into(),
        names: names.collect(),
        bytes_up: 10,
        bytes_down: 20,
        frames: 2,
        first_frame: 1,
        last_frame: 2,
        encryption: "tls1.3".into(),
        ..Flow::default()
    }
}

fn signed(mut flow: Flow, messenger: &str, confidence: &str) -> Flow {
    flow.signatures.push(SignatureHit {
        messenger: messenger.into(),
        signature: format!("{messenger}.test"),
        frames: vec![1],
        confidence: confidence.into(),
        detail: String::new(),
    });
    flow
}

/// A name that only DNS answers give decides no more where the address is shared: a delivery network's, or one that somebody else has a name at.
#[test]
fn a_name_at_a_shared_address_is_said_to_be_one() {
    let named = |server: &str, names: &[(&str, &str, u64)]| {
        let mut flow = flow(server, "");
        let name = |(source, name, frame): &(&str, &str, u64)| FlowName {
            name: (*name).to_owned(),
            source: (*source).to_owned(),
            frame: *frame,
            expired: false,
        };
        flow.names = names.iter().map(name).collect();
        flow
    };
    let why = |flows: &mut [Flow]| -> Vec<String> {
        attribute(flows, db());
        flows.iter().map(|f| f.messenger_why.clone().unwrap_or_default()).collect()
    };
    let signal = ("dns", "chat.signal.org", 2);
    // A server of one's own, and one at CloudFront.
    assert_eq!(why(&mut [named("76.223.92.165:80", &[signal])]), ["name:chat.signal.org"]);
    assert_eq!(why(&mut [named("18.238.49.10:8080", &[signal])]), ["shared:chat.signal.org"]);
    // Somebody else's name by a later answer; an alias in the same answer is no other name.
    let other = ("dns", "www.other.example", 4);
    assert_eq!(why(&mut [named("76.223.92.165:80", &[signal, other])]), ["shared:chat.signal.org"]);
    let alias = ("dns", "x.awsglobalaccelerator.com", 2);
    assert_eq!(why(&mut [named("76.223.92.165:80", &[signal, alias])]), ["name:chat.signal.org"]);
    // Another flow of the capture asks there for another name; that of another capture says nothing.
    let mut elsewhere = named("76.223.92.165:443", &[("sni", "www.other.example", 9)]);
    let both = why(&mut [named("76.223.92.165:80", &[signal]), elsewhere.clone()]);
    assert_eq!(both, ["shared:chat.signal.org", ""]);
    elsewhere.capture = "b.pcap".into();
    let both = why(&mut [named("76.223.92.165:80", &[signal]), elsewhere]);
    assert_eq!(both, ["name:chat.signal.org", ""]);
    // What a flow asks for itself needs no answer.
    let asked = [("http-host", "cdn.signal.org", 5), other];
    assert_eq!(why(&mut [named("18.238.49.10:80", &asked)]), ["name:cdn.signal.org"]);
}

fn attributed(flow: Flow) -> (Option<String>, Option<String>) {
    let mut flows = [flow];
    attribute(&mut flows, db());
    let [flow] = flows;
    (flow.messenger, flow.messenger_why)
}

/// The destinations of flows, after attribution, captured on a router.
fn ends(mut flows: Vec<Flow>) -> Vec<Destination> {
    attribute(&mut flows, db());
    destinations(&flows, db(), &|_| Some(Vantage::Router))
}

#[test]
fn a_flow_belongs_to_a_messenger_for_one_named_reason() {
    for (server, names, messenger, why) in [
        ("157.240.20.53:443", "sni=mmg.whatsapp.net", "whatsapp", "name:mmg.whatsapp.net"),
        ("157.240.20.53:80", "http-host=whatsapp.com", "whatsapp", "name:whatsapp.com"),
        ("157.240.20.53:443", "dns=e1.whatsapp.net", "whatsapp", "name:e1.whatsapp.net"),
        (
            "5.5.5.5:443",
            "certificate=*.whatsapp.net certificate=whatsapp.com",
            "whatsapp",
            "name:*.whatsapp.net",
        ),
        (
            "157.240.20.53:443",
            "sni=web-chat-e2ee.facebook.com",
            "messenger",
            "name:web-chat-e2ee.facebook.com",
        ),
        ("157.240.20.53:443", "sni=edge-chat.messenger.com", "messenger", "name:edge-chat.messenger.com"),
        (
            "35.169.3.40:443",
            "sni=chat.signal.org dns=textsecure-service.whispersystems.org",
            "signal",
            "name:chat.signal.org",
        ),
        ("185.88.236.110:5222", "dns=g-01.0.threema.ch", "threema", "name:g-01.0.threema.ch"),
        ("52.214.0.1:443", "sni=prod-nginz-https.wire.com", "wire", "name:prod-nginz-https.wire.com"),
        ("35.158.183.167:3478", "turn-realm=signal.org", "signal", "turn-realm:signal.org"),
        ("149.154.167.50:443", "", "telegram", "network:149.154.160.0/20"),
        ("[2001:67c:4e8:f002::a]:443", "", "telegram", "network:2001:67c:4e8::/48"),
        // A cover name in a disguised stream does not hide the network.
        ("149.154.167.50:443", "sni=www.google.com", "telegram", "network:149.154.160.0/20"),
        // None of these shows a messenger.
        ("31.13.86.54:40003", "turn-realm=turner.facebook", "-", "-"),
        ("74.125.247.128:3478", "turn-realm=turn.l.google.com", "-", "-"),
        // Instagram's application is there too.
        ("157.240.20.53:443", "sni=edge-mqtt.facebook.com", "-", "-"),
        // A visit to the website opens it too.
        ("157.240.229.17:443", "sni=edge-chat.facebook.com", "-", "-"),
        ("142.251.163.188:5228", "sni=mtalk.google.com", "-", "-"),
        ("17.57.144.84:5223", "sni=1-courier.push.apple.com", "-", "-"),
        ("34.107.243.93:443", "sni=push.services.mozilla.com", "-", "-"),
        ("159.203.148.75:443", "sni=ntfy.sh", "-", "-"),
        ("157.240.20.53:443", "", "-", "-"),
        ("157.240.20.53:443", "sni=www.facebook.com", "-", "-"),
        ("157.240.20.53:443", "sni=graph.facebook.com dns=e1.whatsapp.net", "-", "-"),
        ("157.240.20.53:443", "dns=e1.whatsapp.net dns=messenger.com", "-", "-"),
        ("157.240.20.53:443", "certificate=*.facebook.com certificate=*.messenger.com", "-", "-"),
        ("185.88.236.110:443", "", "-", "-"),
        ("185.88.236.110:443", "sni=customer.example", "-", "-"),
        ("8.8.8.8:443", "sni=notwhatsapp.net", "-", "-"),
        ("8.8.8.8:443", "sni=whatsapp.net.evil.example", "-", "-"),
        ("13.248.212.111:443", "", "-", "-"),
        ("not an address", "", "-", "-"),
    ] {
        let (got, got_why) = attributed(flow(server, names));
        assert_eq!(
            (got.as_deref().unwrap_or("-"), got_why.as_deref().unwrap_or("-")),
            (messenger, why),
            "{server} {names}"
        );
    }
}

#[test]
fn a_wire_signature_weighs_most_unless_it_is_weak() {
    let at_telegram = || flow("149.154.167.50:443", "sni=mmg.whatsapp.net");
    let says = |flow| attributed(flow).1.unwrap();
    assert_eq!(says(signed(at_telegram(), "threema", "certain")), "signature:threema.test");
    assert_eq!(says(signed(at_telegram(), "threema", "likely")), "signature:threema.test");
    assert_eq!(says(signed(at_telegram(), "threema", "weak")), "name:mmg.whatsapp.net");
    let both = signed(signed(at_telegram(), "threema", "likely"), "wire", "certain");
    assert_eq!(says(both), "signature:wire.test");
}

#[test]
fn the_cover_name_of_ech_attributes_nothing() {
    for (ech, messenger) in [("outer", None), ("unknown", Some("signal")), ("absent", Some("signal"))] {
        let mut flow = flow("104.18.10.47:443", "sni=cdn2.signal.org");
        flow.tls = Some(Box::new(FlowTls { ech: Some(ech.into()), ..FlowTls::default() }));
        assert_eq!(attributed(flow).0.as_deref(), messenger, "{ech}");
    }
}

/// A flow of datagrams of a call, between frames.
fn datagrams(client: &str, server: &str, protocols: &str, frames: [u64; 2]) -> Flow {
    let mut flow = flow(server, "");
    flow.transport = "udp".into();
    flow.client = client.into();
    flow.app_protocols = protocols.split_whitespace().map(str::to_owned).collect();
    [flow.first_frame, flow.last_frame] = frames;
    flow
}

#[test]
fn flows_of_one_socket_are_of_one_program() {
    let phone = "192.168.1.2:40000";
    let relay = || {
        let mut relay = datagrams(phone, "35.158.183.167:3478", "stun", [10, 50]);
        relay.names.push(FlowName {
            name: "signal.org".into(),
            source: "turn-realm".into(),
            frame: 12,
            expired: false,
        });
        relay
    };
    let peer = |client: &str, server: &str, protocols: &str, frames| {
        let mut flow = datagrams(client, server, protocols, frames);
        flow.flow = 2;
        flow
    };
    let why = "socket:192.168.1.2:40000 of flow 1";
    for (name, other, expected) in [
        ("the peer", peer(phone, "84.56.1.1:50000", "stun rtp", [20, 90]), Some(why)),
        ("a call that comes in", peer("84.56.1.1:50000", phone, "stun rtp", [20, 90]), Some(why)),
        ("a protocol that is not known", peer(phone, "84.56.1.1:50000", "", [1, 10]), Some(why)),
        ("earlier", peer(phone, "84.56.1.1:50000", "stun", [1, 9]), None),
        ("later", peer(phone, "84.56.1.1:50000", "stun", [51, 60]), None),
        ("another socket", peer("192.168.1.2:40001", "84.56.1.1:50000", "stun", [20, 30]), None),
        ("another device", peer("192.168.1.3:40000", "84.56.1.1:50000", "stun", [20, 30]), None),
        ("a web site", peer(phone, "84.56.1.1:443", "quic http3", [20, 30]), None),
        ("a question to the resolver", peer(phone, "9.9.9.9:53", "dns", [20, 30]), None),
    ] {
        let mut flows = [relay(), other];
        attribute(&mut flows, db());
        assert_eq!(flows[0].messenger_why.as_deref(), Some("turn-realm:signal.org"), "{name}");
        assert_eq!(flows[1].messenger_why.as_deref(), expected, "{name}");
        assert_eq!(flows[1].messenger.as_deref(), expected.map(|_| "signal"), "{name}");
    }
    let mut elsewhere = peer(phone, "84.56.1.1:50000", "stun", [20, 30]);
    elsewhere.capture = "b.pcap".into();
    let mut stream = peer(phone, "84.56.1.1:50000", "stun", [20, 30]);
    stream.transport = "tcp".into();
    let whatsapp = signed(datagrams(phone, "31.13.86.48:3478", "stun", [15, 40]), "whatsapp", "likely");
    let shared = peer(phone, "84.56.1.1:50000", "stun", [20, 30]);
    let before = peer(phone, "84.56.1.1:50000", "stun", [10, 14]);
    let mut flows = [relay(), elsewhere, stream, whatsapp, shared, before];
    attribute(&mut flows, db());
    let who: Vec<Option<&str>> = flows.iter().map(|f| f.messenger.as_deref()).collect();
    assert_eq!(who, [Some("signal"), None, None, Some("whatsapp"), None, Some("signal")]);
}

#[test]
fn the_socket_does_not_tell_what_an_end_is_for() {
    let phone = "192.168.1.2:40000";
    let mut relay = datagrams(phone, "35.158.183.167:3478", "stun", [1, 50]);
    relay.names.push(FlowName {
        name: "signal.org".into(),
        source: "turn-realm".into(),
        frame: 12,
        expired: false,
    });
    let flows = vec![
        relay,
        datagrams(phone, "172.253.121.127:19302", "stun", [2, 9]),
        datagrams(phone, "84.56.1.1:50000", "stun rtp", [20, 90]),
    ];
    let ends = ends(flows);
    let found: Vec<_> = ends.iter().map(|e| (e.address.as_str(), e.role, e.messengers.join(" "))).collect();
    let all = |address, role| (address, role, "signal".to_owned());
    assert_eq!(
        found,
        [
            all("35.158.183.167", Role::Relay),
            all("84.56.1.1", Role::Peer),
            all("172.253.121.127", Role::Relay)
        ]
    );
    assert_eq!(ends[0].names, ["*.compute.amazonaws.com"], "a realm is no name of the address");
}

#[test]
fn dns_over_https_is_told_by_the_resolver() {
    for (server, names, protocols, alpn, expected) in [
        ("8.8.8.8:443", "sni=dns.google", "tls", "h2 http/1.1", true),
        ("104.16.249.249:443", "sni=mozilla.cloudflare-dns.com", "tls", "h2", true),
        ("8.8.4.4:443", "sni=dns.google", "quic http3", "h3", true),
        ("9.9.9.9:443", "sni=dns.quad9.net", "tls", "", true),
        ("1.1.1.1:443", "", "tls", "h2", true),
        ("1.1.1.1:443", "sni=www.example.org", "tls", "h2", false),
        ("5.5.5.5:443", "", "tls", "h2", false),
        ("216.21.3.77:443", "sni=www.quad9.net", "tls", "h2", false),
        ("5.5.5.5:443", "sni=dns.google.evil.example", "tls", "h2", false),
        ("1.1.1.1:443", "ech-outer=cloudflare-ech.com", "tls", "h2", false),
        ("8.8.8.8:853", "sni=dns.google", "tls dot", "dot", false),
        ("8.8.8.8:443", "sni=dns.google", "tls dot", "dot", false),
        ("8.8.8.8:443", "sni=dns.google", "tls", "imap", false),
        ("8.8.8.8:443", "", "", "", false),
        ("8.8.8.8:53", "", "dns", "", false),
    ] {
        let mut given = flow(server, names);
        if protocols.contains("quic") || protocols == "dns" {
            given.transport = "udp".into();
        }
        given.app_protocols = protocols.split_whitespace().map(str::to_owned).collect();
        given.tls = Some(Box::new(FlowTls {
            alpn: alpn.split_whitespace().map(str::to_owned).collect(),
            ..FlowTls::default()
        }));
        let mut flows = [given];
        attribute(&mut flows, db());
        attribute(&mut flows, db());
        let seen = flows[0].app_protocols.iter().filter(|p| *p == "doh").count();
        assert_eq!(seen, usize::from(expected), "{server} {names} {protocols} {alpn}");
    }
}

#[test]
fn a_flow_without_hint_keeps_what_it_had() {
    let mut given = flow("5.5.5.5:443", "");
    given.messenger = Some("conversations".into());
    assert_eq!(attributed(given).0.as_deref(), Some("conversations"));
}

#[test]
fn roles_name_their_rule_and_source() {
    let with = |mut flow: Flow, transport: &str, protocols: &str| {
        flow.transport = transport.into();
        flow.app_protocols = protocols.split_whitespace().map(str::to_owned).collect();
        flow
    };
    let tcp = |server, names| flow(server, names);
    for (flow, role, why) in vec![
        (tcp("157.240.20.53:443", "sni=mmg.whatsapp.net"), Role::FirstParty, "Meta Platforms"),
        (
            signed(tcp("31.13.86.51:5222", ""), "whatsapp", "certain"),
            Role::FirstParty,
            "signature:whatsapp.test",
        ),
        (signed(tcp("3.33.221.48:443", ""), "whatsapp", "certain"), Role::Hosting, "Amazon"),
        // Nobody announces it today, so whether it is rented cannot be shown.
        (signed(tcp("158.85.224.179:443", ""), "whatsapp", "certain"), Role::FirstParty, "not known"),
        (tcp("149.154.167.50:443", ""), Role::FirstParty, "network:149.154.160.0/20"),
        (tcp("35.169.3.40:443", "sni=chat.signal.org"), Role::Hosting, "Amazon"),
        (tcp("104.18.10.47:443", "sni=cdn2.signal.org"), Role::Cdn, "Cloudflare"),
        (tcp("18.238.49.10:443", "sni=cdn.signal.org"), Role::Cdn, "CloudFront"),
        (tcp("185.88.236.110:5222", "dns=g-01.0.threema.ch"), Role::Hosting, "Nine Internet Solutions"),
        (tcp("157.240.20.53:443", "sni=b-graph.facebook.com"), Role::Tracker, "advertising"),
        (tcp("142.250.1.188:5228", ""), Role::Push, "fcm"),
        (tcp("142.250.1.188:443", "sni=mtalk.google.com"), Role::Push, "fcm"),
        (tcp("17.57.144.84:5223", ""), Role::Push, "apns"),
        (tcp("17.57.144.84:443", "sni=1-courier.push.apple.com"), Role::Push, "apns"),
        (tcp("17.173.66.102:443", ""), Role::Platform, "apple-network"),
        (with(tcp("192.168.1.255:17500", ""), "udp", ""), Role::Platform, "lan-sync"),
        (tcp("142.250.1.188:5230", ""), Role::Push, "fcm"),
        (tcp("17.57.144.84:443", "sni=web.push.apple.com"), Role::Push, "apns"),
        (tcp("5.5.5.5:443", "sni=updates.push.services.mozilla.com"), Role::Push, "mozilla-push"),
        (tcp("5.5.5.5:443", "sni=fcm.googleapis.com"), Role::Push, "fcm"),
        (tcp("5.5.5.5:443", "sni=wns2-db5p.notify.windows.com"), Role::Push, "wns"),
        (tcp("5.5.5.5:443", "sni=client.wns.windows.com"), Role::Push, "wns"),
        (tcp("5.5.5.5:443", "sni=ntfy.sh"), Role::Push, "ntfy"),
        (tcp("5.5.5.5:443", "sni=up.conversations.im"), Role::Push, "unverified"),
        // These ports and networks alone are not push.
        (tcp("5.5.5.5:5228", ""), Role::Unknown, "no rule"),
        (tcp("17.57.144.84:443", ""), Role::Platform, "apple-network"),
        (with(tcp("8.8.8.8:53", ""), "udp", "dns"), Role::Resolver, "Google Public DNS"),
        (tcp("1.1.1.1:443", ""), Role::Resolver, "Cloudflare 1.1.1.1"),
        (with(tcp("192.168.1.1:53", ""), "udp", "dns"), Role::Resolver, "RFC 1035"),
        (with(tcp("5.5.5.5:123", ""), "udp", "ntp"), Role::Time, "RFC 5905"),
        (tcp("5.5.5.5:443", "sni=connectivitycheck.gstatic.com"), Role::Platform, "unverified"),
        (tcp("5.5.5.5:443", "sni=ssl.google-analytics.com"), Role::Tracker, "site_analytics"),
        (tcp("5.5.5.5:443", "sni=wire.count.ly"), Role::Tracker, "wire-android"),
        (
            tcp("5.5.5.5:443", "dns=d1.cloudfront.net sni=www.doubleclick.net"),
            Role::Tracker,
            "doubleclick.net",
        ),
        (tcp("104.18.10.47:443", ""), Role::Cdn, "operators.toml"),
        (with(tcp("5.5.5.5:3478", ""), "udp", "stun"), Role::Relay, "RFC 8656"),
        (with(tcp("84.150.1.1:50000", ""), "udp", "rtp"), Role::Relay, "Deutsche Telekom"),
        (with(tcp("84.56.1.1:50000", ""), "udp", "rtp"), Role::Peer, "no known operator of servers"),
        (with(tcp("224.0.0.251:5353", ""), "udp", "mdns"), Role::Platform, "multicast"),
        (with(tcp("255.255.255.255:67", ""), "udp", ""), Role::Platform, "broadcast"),
        (signed(tcp("127.0.0.1:5222", ""), "conversations", "certain"), Role::FirstParty, "loopback"),
        (
            signed(tcp("5.5.5.5:5222", ""), "conversations", "certain"),
            Role::FirstParty,
            "the server that was chosen",
        ),
        (tcp("192.168.1.9:8009", ""), Role::Unknown, "private"),
        (tcp("5.5.5.5:443", "sni=www.example.org"), Role::Unknown, "no rule"),
    ] {
        let shown = format!("{} {:?}", flow.server, flow.names);
        let ends = ends(vec![flow]);
        assert_eq!(ends.len(), 1, "{shown}");
        assert_eq!(ends[0].role, role, "{shown}: {}", ends[0].role_why);
        assert!(ends[0].role_why.contains(why), "{shown}: {}", ends[0].role_why);
    }
}

#[test]
fn a_shared_name_is_first_party_only_where_its_messenger_is_seen() {
    let b_graph = || flow("157.240.20.53:443", "sni=b-graph.facebook.com");
    let role_in = |mut flows: Vec<Flow>| {
        flows.push(b_graph());
        let ends = ends(flows);
        let end = ends.into_iter().find(|end| end.address == "157.240.20.53").unwrap();
        (end.role, end.role_why)
    };
    let (role, why) = role_in(vec![flow("31.13.86.4:443", "sni=edge-chat.messenger.com")]);
    assert_eq!(role, Role::FirstParty, "{why}");
    let (role, why) = role_in(vec![flow("35.169.3.40:443", "sni=chat.signal.org")]);
    assert_eq!(role, Role::Tracker, "{why}");
    let mut elsewhere = b_graph();
    elsewhere.capture = "b.pcap".into();
    let (role, why) = role_in(vec![flow("31.13.86.4:443", "sni=edge-chat.messenger.com"), elsewhere]);
    assert_eq!(role, Role::Tracker, "in b.pcap nothing shows Messenger: {why}");
}

#[test]
fn law_of_the_place_and_law_of_the_seat() {
    use Basis::{Adequacy, Dpf, Eea, None as NoBasis};
    use JurisdictionWhy::{OperatorSeat, Place, ServiceSeat};
    for (address, want) in [
        ("185.88.236.110", vec![("CH", Place, Adequacy), ("CH", OperatorSeat, Adequacy)]),
        ("31.13.86.51", vec![("IE", Place, Eea), ("US", OperatorSeat, Dpf)]),
        ("157.240.20.53", vec![("US", Place, Dpf), ("US", OperatorSeat, Dpf)]),
        // Amazon's certification was not looked up: none is known, and `unverified` says so (tests/destination.rs).
        ("35.169.3.40", vec![("US", Place, NoBasis), ("US", OperatorSeat, NoBasis)]),
        // The sources disagree: every law that they name.
        (
            "91.108.56.100",
            vec![
                ("NL", Place, Eea),
                ("RU", Place, NoBasis),
                ("VG", Place, NoBasis),
                ("VG", OperatorSeat, NoBasis),
                ("VG", ServiceSeat, NoBasis),
            ],
        ),
        ("192.168.1.1", vec![]),
    ] {
        let found = lookup_destination(address.parse().unwrap(), db());
        let got: Vec<_> = found.jurisdictions.iter().map(|j| (j.code.as_str(), j.why, j.basis)).collect();
        assert_eq!(got, want, "{address}");
        assert!(found.jurisdictions.iter().all(|j| j.as_of == "2026-11-25"), "{address}");
    }
}

/// Whose service it is stands under its own law, whoever operates the network that it is in; and a server of the messenger's own
/// service is no third party.
#[test]
fn law_of_whose_service_it_is() {
    for (server, name, operator, services, seats, role) in [
        ("185.88.236.110:443", "ds.g-00.0.threema.ch", "Nine", "Threema GmbH", "CH", Role::Hosting),
        (
            "52.214.0.1:443",
            "prod-nginz-https.wire.com",
            "Amazon",
            "Wire Swiss GmbH|Wire Germany GmbH",
            "CH DE",
            Role::Hosting,
        ),
        (
            "35.169.3.40:443",
            "chat.signal.org",
            "Amazon",
            "Signal Messenger LLC (Signal Technology Foundation)",
            "US",
            Role::Hosting,
        ),
        (
            "157.240.20.53:443",
            "e1.whatsapp.net",
            "Meta",
            "WhatsApp LLC|WhatsApp Ireland Limited",
            "US IE",
            Role::FirstParty,
        ),
        ("149.154.167.50:443", "", "Telegram", "Telegram Messenger Inc.", "VG", Role::FirstParty),
        // Another's server, and one of the user's own choice: whose it is, nobody knows.
        ("35.169.3.40:443", "www.example.org", "Amazon", "", "", Role::Unknown),
    ] {
        let name = if name.is_empty() { String::new() } else { format!("sni={name}") };
        let mut flows = vec![flow(server, &name)];
        attribute(&mut flows, db());
        let ends = destinations(&flows, db(), &|_| None);
        let end = &ends[0];
        assert_eq!(end.service_of.join("|"), services, "{server} {name}");
        assert!(end.company.as_deref().is_some_and(|c| c.contains(operator)), "{server}: {:?}", end.company);
        let seat = |j: &&metaleak::model::Jurisdiction| j.why == JurisdictionWhy::ServiceSeat;
        let found: Vec<&str> = end.jurisdictions.iter().filter(seat).map(|j| j.code.as_str()).collect();
        assert_eq!(found.join(" "), seats, "{server} {name}");
        assert_eq!(end.role, role, "{server} {name}: {}", end.role_why);
        assert!(end.jurisdictions.iter().filter(seat).all(|j| j.source.starts_with("operators.toml ")));
        let exposed = metaleak::destination::exposure(&flows, &ends, db(), &|_| {
            metaleak::destination::FirstAction::NoMarks
        });
        let ratio = if services.is_empty() { None } else { Some(0.0) };
        assert_eq!(exposed.overall.third_party_ratio, ratio, "{server} {name}");
    }
}

#[test]
fn flows_of_one_address_become_one_destination() {
    let mut second = flow("157.240.20.53:5222", "dns=e1.whatsapp.net");
    (second.flow, second.first_frame, second.rtt_ms) = (2, 40, Some(8.0));
    let mut third = flow("157.240.20.53:443", "sni=mmg.whatsapp.net");
    (third.capture, third.first_frame, third.rtt_ms) = ("b.pcap".into(), 3, Some(2.5));
    let mut first = flow("157.240.20.53:443", "sni=mmg.whatsapp.net");
    (first.first_frame, first.rtt_ms) = (7, Some(20.0));
    let other = [flow("[2001:67c:4e8:f002::a]:443", ""), flow("9.9.9.9:53", "")];
    let mut flows = vec![first, second, third];
    flows.extend(other);
    attribute(&mut flows, db());
    let vantage = |capture: &str| Some(if capture == "a.pcap" { Vantage::Device } else { Vantage::Vpn });
    let ends = destinations(&flows, db(), &vantage);
    let order: Vec<&str> = ends.iter().map(|end| end.address.as_str()).collect();
    assert_eq!(order, ["9.9.9.9", "157.240.20.53", "2001:67c:4e8:f002::a"]);
    let end = &ends[1];
    assert_eq!(end.names, ["e1.whatsapp.net", "mmg.whatsapp.net"]);
    assert_eq!(end.flows, ["a.pcap#1", "a.pcap#2", "b.pcap#1"]);
    assert_eq!((end.bytes_up, end.bytes_down, end.first_frame), (30, 60, 7));
    assert_eq!(end.messengers, ["whatsapp"]);
    assert_eq!(end.rtt_min_ms, Some(2.5), "the smallest of all");
    assert_eq!(end.max_km, Some(800.0), "only of captures whose vantage allows it");
}

#[test]
fn only_a_suitable_vantage_bounds_the_distance() {
    for (vantage, km) in [
        (Some(Vantage::Router), Some(1250.0)),
        (Some(Vantage::Device), Some(1250.0)),
        (Some(Vantage::Vpn), None),
        (Some(Vantage::Server), None),
        (None, None),
    ] {
        let mut flow = flow("157.240.20.53:443", "");
        flow.rtt_ms = Some(12.5);
        assert_eq!(destinations(&[flow], db(), &|_| vantage)[0].max_km, km, "{vantage:?}");
    }
    for broken in [f64::NAN, f64::INFINITY, -1.0] {
        let mut flow = flow("157.240.20.53:443", "");
        flow.rtt_ms = Some(broken);
        let end = &destinations(&[flow], db(), &|_| Some(Vantage::Router))[0];
        assert_eq!((end.rtt_min_ms, end.max_km), (None, None), "{broken}");
    }
}

#[test]
fn the_remote_end_of_an_incoming_flow_is_its_client() {
    let mut incoming = flow("192.168.1.2:40000", "dns=phone.local");
    incoming.client = "149.154.167.50:443".into();
    incoming.rtt_ms = Some(1.0);
    let end = &ends(vec![incoming.clone()])[0];
    assert_eq!(end.address, "149.154.167.50");
    assert_eq!((end.bytes_up, end.bytes_down), (20, 10), "up is away from the device");
    assert_eq!(end.messengers, ["telegram"]);
    assert!(end.names.is_empty() && end.rtt_min_ms.is_none(), "both would be the device's own");
    let at_server = destinations(&[incoming], db(), &|_| Some(Vantage::Server));
    assert_eq!(at_server[0].address, "192.168.1.2");
}

#[test]
fn destinations_do_not_depend_on_the_order_within_an_address_set() {
    let mut flows: Vec<Flow> = (0..200u32)
        .map(|i| {
            flow(&format!("{}:443", std::net::Ipv4Addr::from(i * 17_000_023 + 0x0100_0000)), "sni=a.example")
        })
        .collect();
    attribute(&mut flows, db());
    let once = destinations(&flows, db(), &|_| None);
    flows.reverse();
    assert_eq!(once, destinations(&flows, db(), &|_| None));
}

/// 100 000 flows to 5000 ends: far below the second that a whole replay may take, even in a slow test build.
#[test]
fn many_flows_are_quick() {
    let mut flows: Vec<Flow> = (0..100_000u32)
        .map(|i| {
            let address = std::net::Ipv4Addr::from((i % 5000) * 800_003 + 0x0100_0000);
            flow(&format!("{address}:443"), "sni=cdn.some.example.org dns=another.example.net")
        })
        .collect();
    let start = Instant::now();
    attribute(&mut flows, db());
    let ends = destinations(&flows, db(), &|_| Some(Vantage::Router));
    let took = start.elapsed();
    println!("100000 flows, {} ends: {took:?}", ends.len());
    assert!(took < Duration::from_secs(2), "{took:?}");
}

// ---- the command line ----------------------------------------------------------------------------------------------

fn english() -> metaleak::report::Wording {
    metaleak::report::Wording::new(metaleak::report::Lang::En)
}

fn printed(run: impl FnOnce(&mut dyn std::io::Write) -> Result<(), DbError>) -> String {
    let mut out = Vec::new();
    run(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn lookup_prints_an_array_of_destinations() {
    let addresses = ["31.13.86.51", "[2001:67c:4e8:f002::a]", "10.0.0.1"].map(str::to_owned);
    let json = printed(|out| cli::lookup(db(), &addresses, DbFormat::Json, &english(), out));
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 3);
    for (entry, address) in found.iter().zip(["31.13.86.51", "2001:67c:4e8:f002::a", "10.0.0.1"]) {
        assert_eq!(entry["address"], address);
        for key in ["operator", "places", "country", "agreement", "jurisdictions", "role"] {
            assert!(entry.get(key).is_some(), "{address} lacks {key}");
        }
    }
    assert_eq!(found[0]["operator"]["asn"], 32934);
    assert_eq!(found[0]["agreement"], "majority");
    assert_eq!(found[2]["agreement"], "none");
    let table = printed(|out| cli::lookup(db(), &addresses, DbFormat::Table, &english(), out));
    assert!(
        table.contains("IE (most sources agree)")
            && table.contains("AS32934")
            && table.contains("Data Privacy Framework"),
        "{table}"
    );
}

#[test]
fn lookup_refuses_what_is_no_address() {
    let error =
        cli::lookup(db(), &["whatsapp.net\u{1b}[2J".to_owned()], DbFormat::Json, &english(), &mut Vec::new())
            .unwrap_err();
    assert!(matches!(error, DbError::Address { .. }));
    assert!(!error.to_string().contains('\u{1b}'), "no escapes reach the terminal");
}

#[test]
fn info_names_every_source_with_date_and_licence() {
    let day = jiff::civil::date(2026, 11, 25);
    let table = printed(|out| cli::info(db(), day, DbFormat::Table, out));
    let json = printed(|out| cli::info(db(), day, DbFormat::Json, out));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for source in db().sources() {
        assert!(table.contains(&source.name) && table.contains(&source.as_of), "{table}");
        let in_json = ["sources", "facts"].iter().flat_map(|key| json[key].as_array().unwrap());
        assert!(
            in_json.into_iter().any(|s| s["name"] == source.name && s["licence"] == source.licence),
            "{json}"
        );
    }
    assert_eq!(json["messengers"], 8);
}

#[test]
fn info_tells_the_age_of_each_source() {
    for (day, age, old) in [
        (jiff::civil::date(2026, 6, 25), "0 days", false),
        (jiff::civil::date(2027, 6, 25), "365 days", false),
        (jiff::civil::date(2027, 6, 26), "366 days: OLD", true),
        (jiff::civil::date(2026, 6, 24), "?", false),
    ] {
        let table = printed(|out| cli::info(db(), day, DbFormat::Table, out));
        let row = table.lines().find(|line| line.contains("ipfire")).unwrap();
        assert!(row.contains(age), "{day}: {row}");
        let warning = cli::age_warning(db(), day);
        let warned =
            warning.as_deref().is_some_and(|w| w.contains("older than 12 months: ") && w.contains("ipfire"));
        assert_eq!(warned, old, "{day}: {warning:?}");
        let json = printed(|out| cli::info(db(), day, DbFormat::Json, out));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let ipfire = json["sources"].as_array().unwrap().iter().find(|s| s["name"] == "ipfire").unwrap();
        assert_eq!(ipfire["old"], old, "{day}");
    }
}

#[test]
fn names_are_grouped_by_registrable_domain() {
    let end = |names: &str| ends(vec![flow("5.5.5.5:443", names)])[0].groups.join(" ");
    for (names, groups) in [
        ("sni=e1.whatsapp.net dns=mmg.whatsapp.net dns=whatsapp.com", "whatsapp.com whatsapp.net"),
        // Suffixes of more than one label, a private one, and names that are no domain below a suffix.
        ("sni=a.b.example.co.uk", "example.co.uk"),
        ("sni=d1.cloudfront.net", "d1.cloudfront.net"),
        ("certificate=*.example.org", "example.org"),
        ("dns=co.uk", ""),
        ("http-host=10.0.0.1", ""),
        ("http-host=localhost", ""),
        ("ech-outer=cover.example.org", ""),
        ("", ""),
    ] {
        assert_eq!(end(names), groups, "{names}");
    }
}

#[test]
fn the_other_party_of_a_call_is_told_from_a_relay() {
    let udp = |client: &str, server: &str, protocols: &[&str]| {
        let mut flow = flow(server, "");
        (flow.transport, flow.client) = ("udp".into(), client.into());
        flow.app_protocols = protocols.iter().map(|p| (*p).to_owned()).collect();
        flow.encryption = if protocols.is_empty() { "opaque" } else { "none" }.into();
        flow
    };
    let beside = || signed(flow("31.13.86.51:443", ""), "whatsapp", "certain");
    let phone = "192.168.1.2:40000";
    for (call, messenger, role, why) in [
        (udp(phone, "84.56.1.1:50000", &["stun"]), true, Role::Peer, "no known operator of servers"),
        (udp(phone, "18.195.131.143:61156", &["stun"]), true, Role::Relay, "Amazon"),
        (udp(phone, "192.168.1.9:31480", &["stun"]), true, Role::Peer, "another device of the local network"),
        (udp(phone, "5.5.5.5:3478", &["stun"]), true, Role::Relay, "RFC 8656"),
        (udp(phone, "84.56.1.1:50000", &[]), true, Role::Peer, "beside whatsapp"),
        (udp(phone, "192.168.1.9:31480", &[]), true, Role::Peer, "taken for the other party"),
        // Not without a messenger, to a well-known port, in a network of servers, or without an answer.
        (udp(phone, "84.56.1.1:50000", &[]), false, Role::Unknown, "no rule"),
        (udp(phone, "84.56.1.1:500", &[]), true, Role::Unknown, "no rule"),
        (udp("192.168.1.2:500", "84.56.1.1:50000", &[]), true, Role::Unknown, "no rule"),
        (udp(phone, "18.195.131.143:61156", &[]), true, Role::Unknown, "no rule"),
        (Flow { bytes_down: 0, ..udp(phone, "84.56.1.1:50000", &[]) }, true, Role::Unknown, "no rule"),
    ] {
        let shown = format!("{} {:?} {messenger}", call.server, call.app_protocols);
        let address = call.server_address().unwrap().to_string();
        let mut flows = vec![call];
        if messenger {
            flows.push(beside());
        }
        let end = ends(flows).into_iter().find(|end| end.address == address).unwrap();
        assert_eq!(end.role, role, "{shown}: {}", end.role_why);
        assert!(end.role_why.contains(why), "{shown}: {}", end.role_why);
    }
}

#[test]
fn a_table_written_by_build_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw.csv");
    std::fs::write(&raw, "5.0.0.0,5.255.255.255,64500,Example Net\n").unwrap();
    let hash = {
        use std::fmt::Write as _;

        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(std::fs::read(&raw).unwrap());
        digest.iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    };
    let sources = folder.path().join("SOURCES.toml");
    let text = format!(
        "schema = 1\n[[source]]\nname = \"asn\"\ntitle = \"t\"\nkind = \"asn\"\nversion = \"1\"\nas_of = \"2026-01-02\"\n\
         licence = \"CC0-1.0\"\nlicence_files = [\"x\"]\nattribution = \"\"\nget = \"npm:x\"\n\
         [[source.file]]\npath = \"raw.csv\"\nformat = \"asn-csv\"\nsha256 = \"{hash}\"\n"
    );
    std::fs::write(&sources, text).unwrap();
    let table = folder.path().join("out.db");
    printed(|out| cli::build(folder.path(), &table, Some(&sources), out));
    let own = ReferenceDb::open(&table).unwrap();
    let facts = own.lookup("5.6.7.8".parse::<IpAddr>().unwrap());
    assert_eq!(facts.operator.as_ref().unwrap().name, "Example Net");
    assert_eq!(facts.agreement, Agreement::None);
    assert!(ReferenceDb::open(&folder.path().join("absent")).is_err());
    assert!(ReferenceDb::open(&raw).unwrap_err().to_string().contains("reference table"));
}
