//! Whole connections, made here packet by packet: what the flow and the observations say of them.

use super::super::{CaptureAnalysis, Options, analyse_bytes};
use super::header::Version;
use super::keys::{InitialKeys, Role, seal};
use super::*;

const V1: Version = Version(1);
const DRAFT_29: Version = Version(0xff00_001d);

/// A datagram and whether the client sent it.
type Datagram = (bool, Vec<u8>);

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 16).unwrap()).collect()
}

/// What is read of datagrams between one client and one server, each of them a frame.
fn read(datagrams: &[Datagram]) -> CaptureAnalysis {
    let options = Options { observe: true, ..Options::default() };
    analyse_bytes("made.pcap", &file(datagrams), &options).unwrap()
}

fn searching(datagrams: &[Datagram], canaries: crate::payload::CanarySet) -> CaptureAnalysis {
    let options = Options { canaries: std::sync::Arc::new(canaries), ..Options::default() };
    analyse_bytes("made.pcap", &file(datagrams), &options).unwrap()
}

fn file(datagrams: &[Datagram]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for (n, (up, payload)) in datagrams.iter().enumerate() {
        let size = 28 + payload.len();
        file.extend([n as u32, 0, size as u32, size as u32].map(u32::to_le_bytes).concat());
        let ends = [(1_u8, 50_000_u16), (2, 443)];
        let [from, to] = if *up { ends } else { [ends[1], ends[0]] };
        file.extend([0x45, 0, (size >> 8) as u8, size as u8, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        file.extend([192, 0, 2, from.0, 192, 0, 2, to.0]);
        file.extend([from.1, to.1, (8 + payload.len()) as u16, 0].map(u16::to_be_bytes).concat());
        file.extend(payload);
    }
    file
}

/// Observations as `kind frame+frame field`, with the one field that tells most.
fn seen(analysis: &CaptureAnalysis) -> Vec<String> {
    let line = |o: &super::super::Observation| {
        let frames: Vec<String> = o.frames.iter().map(u64::to_string).collect();
        let field = ["sni", "cipher", "opened", "token_bytes", "versions", "what"]
            .iter()
            .find_map(|f| o.fields.get(*f));
        format!("{} {} {}", o.kind, frames.join("+"), field.map(ToString::to_string).unwrap_or_default())
    };
    analysis.observations.iter().map(line).collect()
}

/// Only the hellos of [`seen`].
fn hellos(analysis: &CaptureAnalysis) -> Vec<String> {
    seen(analysis).into_iter().filter(|l| l.contains("hello")).collect()
}

/// Payload bytes of a class.
fn bytes(analysis: &CaptureAnalysis, class: &str) -> u64 {
    analysis.coverage.classes.get(class).copied().unwrap_or_default()
}

/// A client hello in its handshake message.
fn hello(sni: &str, alpn: &str) -> Vec<u8> {
    let extension =
        |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat();
    let n = sni.len() as u8;
    let name = [&[0, n + 3, 0, 0, n][..], sni.as_bytes()].concat();
    let protocols = [&[0, alpn.len() as u8 + 1, alpn.len() as u8][..], alpn.as_bytes()].concat();
    let extensions = [extension(0, &name), extension(16, &protocols), extension(43, &[2, 3, 4])].concat();
    let mut body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    message(1, &body)
}

fn server_hello() -> Vec<u8> {
    message(2, &[&[3, 3][..], &[8; 32], &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]].concat())
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0, (body.len() >> 8) as u8, body.len() as u8][..], body].concat()
}

/// A CRYPTO frame.
fn crypto(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let two = |n: usize| (0x4000 | n as u16).to_be_bytes();
    [&[6][..], &two(offset), &two(bytes.len()), bytes].concat()
}

/// How an Initial is made: whose keys, which ids, which token.
#[derive(Clone, Copy)]
struct Made<'a> {
    version: Version,
    role: Role,
    origin: &'a [u8],
    dcid: &'a [u8],
    token: &'a [u8],
}

const CLIENT: Made<'_> =
    Made { version: V1, role: Role::Client, origin: b"firstone", dcid: b"firstone", token: b"" };
const SERVER: Made<'_> = Made { role: Role::Server, dcid: b"clie", ..CLIENT };

impl Made<'_> {
    /// A packet with `frames`, and PADDING to at least 40 bytes.
    fn packet(self, number: u32, frames: &[u8]) -> Vec<u8> {
        let keys = InitialKeys::derive(self.version, self.origin).unwrap();
        let mut payload = frames.to_vec();
        payload.resize(frames.len().max(40), 0);
        let bits = if self.version == Version::V2 { 0xd3 } else { 0xc3 };
        let scid = if self.role == Role::Client { b"clie" } else { b"serv" };
        let mut header =
            [&[bits][..], &self.version.0.to_be_bytes(), &[self.dcid.len() as u8], self.dcid].concat();
        header.extend([&[4][..], scid, &[self.token.len() as u8], self.token].concat());
        header.extend((0x4000 | (payload.len() + 20) as u16).to_be_bytes());
        let number_at = header.len();
        header.extend(number.to_be_bytes());
        seal(&keys, self.role, &header, number_at, u64::from(number), &payload)
    }

    /// A whole hello in one packet.
    fn hello(self, number: u32, sni: &str) -> Vec<u8> {
        self.packet(number, &crypto(0, &hello(sni, "h3")))
    }
}

/// A packet that is not opened: `first` byte, ids of the connection, a length.
fn sealed(first: u8, length: usize) -> Vec<u8> {
    let mut packet = [&[first, 0, 0, 0, 1, 4][..], b"clie\x04serv"].concat();
    packet.extend((0x4000 | length as u16).to_be_bytes());
    packet.resize(packet.len() + length, 0xa5);
    packet
}

/// RFC 9001 appendix A and RFC 9369 appendix A: the same hellos under both versions. A packet's last bytes are its tag, which
/// stands for all bytes before it.
#[test]
fn packets_of_the_rfcs() {
    let client_hello = "
        060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
        04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
        616d706c652e636f6dff01000100000a00080006001d00170018001000070005
        04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
        baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
        0d0010000e0403050306030203080408050806002d00020101001c0002400100
        3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
        75300901100f088394c8f03e51570806048000ffff";
    for (version, header, head, tail, server) in [
        (
            V1,
            "c300000001088394c8f03e5157080000449e00000002",
            "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c",
            "e221af44860018ab0856972e194cd934",
            "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
             5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3
             dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84
             022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4
             2158407dd074ee",
        ),
        (
            Version::V2,
            "d36b3343cf088394c8f03e5157080000449e00000002",
            "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf03dceebfa162e75d6c",
            "a18b2faa745b6fe189cf772a9f84cbfc",
            "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698
             baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17
             f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2
             c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8
             4bed8521e2e140",
        ),
    ] {
        let keys = InitialKeys::derive(version, &unhex("8394c8f03e515708")).unwrap();
        let mut payload = unhex(client_hello);
        payload.resize(1162, 0);
        let client = seal(&keys, Role::Client, &unhex(header), 18, 2, &payload);
        assert_eq!(client.len(), 1200);
        assert!(client.starts_with(&unhex(head)) && client.ends_with(&unhex(tail)), "{version:?}");
        let server = unhex(server);
        let analysis = read(&[(true, client.clone()), (false, server.clone())]);
        assert_eq!(
            seen(&analysis),
            [
                "quic.initial 1 true",
                "tls.client_hello 1 \"example.com\"",
                "quic.initial 2 true",
                "tls.server_hello 2 \"0x1301\"",
            ]
        );
        let first = &analysis.observations[0].fields;
        assert_eq!(first["version"], version.label());
        assert_eq!((&first["dcid"], &first["scid"]), (&"8394c8f03e515708".into(), &"".into()));
        assert_eq!(analysis.observations[2].fields["scid"], "f067a5502a4262b5");
        let flow = &analysis.flows[0];
        assert_eq!((&flow.encryption[..], &flow.app_protocols[..]), ("quic", &["quic".to_owned()][..]));
        assert!(flow.ja4.as_ref().unwrap().starts_with("q13d0211an_"), "{:?}", flow.ja4);
        assert_eq!(bytes(&analysis, "quic.handshake"), (client.len() + server.len()) as u64);
        // The server's packet alone says that this is QUIC, and no more: the client's choice is not in it.
        let alone = read(&[(false, server.clone())]);
        assert_eq!(seen(&alone), ["quic.initial 1 false"]);
        assert_eq!(bytes(&alone, "quic.unverified"), server.len() as u64);
        assert_eq!((&alone.flows[0].encryption[..], alone.warnings.len()), ("opaque", 0));
    }
}

#[test]
fn datagrams_cut_anywhere_tell_no_more_than_is_there() {
    let packet = [CLIENT.hello(0, "chat.example"), sealed(0xe0, 30)].concat();
    let whole = packet.len() - sealed(0xe0, 30).len();
    let header_ends = 1 + 4 + 9 + 5 + 1 + 2;
    for cut in 1..packet.len() {
        let analysis = read(&[(true, packet[..cut].to_vec())]);
        let expected: &[&str] = match cut {
            _ if cut < header_ends => &[],
            _ if cut < whole => &["quic.initial 1 false"],
            _ => &["quic.initial 1 true", "tls.client_hello 1 \"chat.example\""],
        };
        assert_eq!(seen(&analysis), expected, "{cut}");
        assert_eq!(analysis.coverage.classes.values().sum::<u64>(), analysis.coverage.total, "{cut}");
        assert!(analysis.warnings.is_empty(), "{cut}");
    }
}

#[test]
fn a_changed_byte_opens_nothing() {
    let packet = CLIENT.hello(0, "chat.example");
    for at in 0..packet.len() {
        let mut changed = packet.clone();
        changed[at] ^= 0x10;
        let analysis = read(&[(true, changed)]);
        assert_eq!(hellos(&analysis), [""; 0], "byte {at}");
        assert!(analysis.warnings.is_empty(), "byte {at}");
        assert_ne!(analysis.flows[0].encryption, "quic", "byte {at}");
    }
}

#[test]
fn a_hello_in_three_datagrams_in_any_order() {
    let hello = hello("chat.example", "h3");
    let third = hello.len() / 3;
    // Two frames a packet, out of order and overlapping.
    let part = |n: usize| {
        let (from, to) = (n * third, if n == 2 { hello.len() } else { (n + 1) * third });
        let middle = usize::midpoint(from, to);
        let frames = [
            crypto(middle, &hello[middle..to]),
            vec![0, 1],
            crypto(from.saturating_sub(5), &hello[from.saturating_sub(5)..middle]),
        ];
        (true, CLIENT.packet(n as u32, &frames.concat()))
    };
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let datagrams: Vec<Datagram> = order.into_iter().map(part).collect();
        assert_eq!(hellos(&read(&datagrams)), ["tls.client_hello 1+2+3 \"chat.example\""], "{order:?}");
        // Without one of them, nothing; with one of them twice, the same.
        for missing in 0..3 {
            let mut some = datagrams.clone();
            some.remove(missing);
            let analysis = read(&some);
            assert_eq!(hellos(&analysis), [""; 0], "{order:?} without {missing}");
            assert_eq!(analysis.flows[0].encryption, "opaque");
        }
        let mut again = datagrams.clone();
        again.insert(1, datagrams[0].clone());
        assert_eq!(hellos(&read(&again)), ["tls.client_hello 1+3+4 \"chat.example\""], "{order:?} again");
    }
}

#[test]
fn retry_changes_the_keys_and_repeats_the_hello() {
    let after = Made { origin: b"retried", dcid: b"retried", token: b"token", ..CLIENT };
    let retry = [&b"\xf0\0\0\0\x01\x04clie\x07retriedtoken"[..], &[9; 16]].concat();
    let mut datagrams = vec![(true, CLIENT.hello(0, "chat.example")), (false, retry)];
    datagrams.push((true, after.hello(1, "chat.example")));
    datagrams.push((false, Made { origin: b"retried", ..SERVER }.packet(0, &crypto(0, &server_hello()))));
    let analysis = read(&datagrams);
    assert_eq!(
        seen(&analysis),
        [
            "quic.initial 1 true",
            "tls.client_hello 1 \"chat.example\"",
            "quic.retry 2 5",
            "quic.initial 3 true",
            "quic.initial 4 true",
            "tls.server_hello 4 \"0x1301\"",
        ]
    );
    assert_eq!(analysis.observations[3].fields["token_bytes"], 5);
    // The Retry not in the capture: the flow looks like a second connection, and both of them are told.
    datagrams.remove(1);
    assert_eq!(hellos(&read(&datagrams)).len(), 3);
}

#[test]
fn connections_change_ids_and_versions_and_follow_each_other() {
    // From the second packet on the client uses the id that the server chose; the keys stay.
    let later = Made { dcid: b"serv", ..CLIENT };
    let second = hello("second.example", "h3");
    let first = hello("chat.example", "h3");
    let analysis = read(&[
        (true, CLIENT.hello(0, "chat.example")),
        (false, SERVER.packet(0, &crypto(0, &server_hello()))),
        (true, later.packet(1, &crypto(first.len(), &second))),
    ]);
    assert_eq!(
        hellos(&analysis),
        [
            "tls.client_hello 1 \"chat.example\"",
            "tls.server_hello 2 \"0x1301\"",
            "tls.client_hello 3 \"second.example\"",
        ]
    );
    // The server answers in version 2 (RFC 9368), under keys from the same id.
    let v2 = Made { version: Version::V2, ..SERVER };
    let analysis = read(&[
        (true, CLIENT.hello(0, "chat.example")),
        (false, v2.packet(0, &crypto(0, &server_hello()))),
        (true, Made { version: Version::V2, ..later }.packet(1, &[1])),
    ]);
    assert_eq!(hellos(&analysis).len(), 2);
    assert_eq!(seen(&analysis).last().unwrap(), "quic.initial 3 true");
    // Another connection on the same ports.
    let other = Made { origin: b"otherone", dcid: b"otherone", version: DRAFT_29, ..CLIENT };
    let analysis = read(&[(true, CLIENT.hello(0, "chat.example")), (true, other.hello(0, "other.example"))]);
    assert_eq!(
        hellos(&analysis),
        ["tls.client_hello 1 \"chat.example\"", "tls.client_hello 2 \"other.example\""]
    );
    assert_eq!(analysis.flows[0].names.len(), 2);
}

#[test]
fn bytes_are_counted_by_what_each_packet_is() {
    let short = |n: usize| [&[0x5a][..], &vec![0xf8; n - 1]].concat();
    let initial = CLIENT.hello(0, "chat.example");
    let answer = SERVER.packet(0, &crypto(0, &server_hello()));
    let size = |packet: &Vec<u8>| packet.len() as u64;
    let coalesced = [answer.clone(), sealed(0xe0, 500)].concat();
    let padded = [initial.clone(), vec![0; 900]].concat();
    let mixed = [&sealed(0xe0, 100)[..], b"\x5aclie", &short(300)[5..]].concat();
    let analysis = read(&[
        (true, padded),
        (false, coalesced),
        (true, sealed(0xd0, 60)), // 0-RTT
        (false, mixed),
        (false, short(25)),
        (true, sealed(0xe0, 60)),
    ]);
    let sums = ["handshake", "handshake-encrypted", "application", "unverified"]
        .map(|part| bytes(&analysis, &format!("quic.{part}")));
    let [early, handshake] = [sealed(0xd0, 60), sealed(0xe0, 60)].map(|p| size(&p));
    let told = analysis.flows[0].tls.as_ref().and_then(|tls| tls.early_data.clone()).unwrap();
    assert_eq!((told.offered, told.accepted, told.bytes, told.frames), (false, None, early, vec![3]));
    let seen = analysis.observations.iter().find(|o| o.kind == "quic.zero_rtt").unwrap();
    assert_eq!(
        (seen.frame, seen.fields["bytes"].as_u64(), &seen.fields["version"]),
        (3, Some(early), &"v1".into())
    );
    let all_sealed = size(&sealed(0xe0, 500)) + size(&sealed(0xe0, 100)) + handshake;
    assert_eq!(sums, [size(&initial) + size(&answer), all_sealed, early + 300 + 25, 0]);
    assert_eq!(bytes(&analysis, "padding"), 900);
    // Another connection's id in the same datagram is not looked at.
    let stranger = Made { origin: b"stranger", dcid: b"stranger", ..CLIENT }.hello(0, "stranger.example");
    let analysis = read(&[(true, [initial, stranger].concat())]);
    assert_eq!(hellos(&analysis), ["tls.client_hello 1 \"chat.example\""]);
}

#[test]
fn what_is_no_packet_is_searched_wherever_it_stands() {
    let text = b"email=anna@example.org&password=geheimwort123";
    for (name, behind, searched) in [
        ("text", &text[..], true),
        ("a byte without the fixed bit", &[&[0x01][..], text].concat(), true),
        ("a packet to nobody that is known", &[&[0x41][..], b"abcd", text].concat(), true),
        ("a packet of this connection", &[&[0x41][..], b"clie", &[0xf8; 40]].concat(), false),
    ] {
        let analysis = read(&[
            (true, CLIENT.hello(0, "chat.example")),
            (false, [&sealed(0xe0, 100)[..], behind].concat()),
        ]);
        let opaque = bytes(&analysis, "quic.unverified");
        assert_eq!(opaque, if searched { behind.len() as u64 } else { 0 }, "{name}");
        let canary = crate::payload::CanarySet::new(&[("word".into(), "geheimwort123".into())]).unwrap();
        let datagrams =
            [(true, CLIENT.hello(0, "chat.example")), (false, [&sealed(0xe0, 100)[..], behind].concat())];
        let found = searching(&datagrams, canary).findings;
        assert_eq!(
            found.iter().any(|f| f.kind == crate::model::FindingKind::Canary),
            searched,
            "{name}: {found:?}"
        );
    }
    // A whole datagram too.
    let analysis = read(&[(true, CLIENT.hello(0, "chat.example")), (false, text.to_vec())]);
    assert_eq!(bytes(&analysis, "quic.application"), 0);
}

#[test]
fn only_what_begins_as_quic_is_called_so() {
    let negotiation = b"\x80\0\0\0\0\x04clie\x04serv\x00\x00\x00\x01\x1a\x2a\x3a\x4a";
    for (name, payload, quic) in [
        ("short header", vec![0x5a; 60], false),
        ("handshake packet", sealed(0xe0, 60), true),
        ("without the fixed bit", sealed(0xa0, 60), false),
        ("too short to be protected", sealed(0xe0, 19), false),
        ("unknown version", b"\xc0\x1a\x2a\x3a\x4a\x04clie\x04serv\0\x40\x40".to_vec(), false),
        ("negotiation", negotiation.to_vec(), true),
        ("negotiation of nothing known", [&negotiation[..15], &[0xde, 0xad, 0xbe, 0xef]].concat(), false),
        ("negotiation of a part", negotiation[..21].to_vec(), false),
        ("rtp", [&[0x80, 0x60, 0, 1][..], &[0; 40]].concat(), false),
        ("stun", [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat(), false),
    ] {
        let analysis = read(&[(true, payload.clone())]);
        let called = analysis.flows[0].app_protocols.contains(&"quic".to_owned());
        assert_eq!(called, quic, "{name}");
        assert_ne!(analysis.flows[0].encryption, "quic", "{name}");
    }
    let analysis = read(&[(false, negotiation.to_vec())]);
    assert_eq!(seen(&analysis), ["quic.version_negotiation 1 [\"v1\",\"0x1a2a3a4a\"]"]);
    // What came before the first Initial was not known to be QUIC.
    let short = [&[0x40][..], &[0xf8; 59]].concat();
    let early = read(&[(true, short.clone()), (true, CLIENT.hello(0, "chat.example")), (false, short)]);
    assert_eq!((bytes(&early, "opaque"), bytes(&early, "quic.application")), (60, 60));
}

#[test]
fn protocols_inside_are_named_by_alpn() {
    for (alpn, protocols) in [
        ("h3", &["quic", "http3"][..]),
        ("h3-29", &["quic", "http3"]),
        ("doq", &["quic", "doq"]),
        ("doq-i00", &["quic", "doq"]),
        ("hq-interop", &["quic"]),
        ("h3x", &["quic"]),
    ] {
        let packet = CLIENT.packet(0, &crypto(0, &hello("chat.example", alpn)));
        assert_eq!(read(&[(true, packet)]).flows[0].app_protocols, protocols, "{alpn}");
    }
}

#[test]
fn messages_that_never_end_are_given_up() {
    let analysis = read(&[
        (true, CLIENT.packet(0, &crypto(0, &[1, 0xff, 0xff, 0xff, 3, 3]))),
        (true, CLIENT.packet(1, &crypto(6, &[7; 100]))),
    ]);
    assert_eq!(seen(&analysis)[1], "warning 1 \"QUIC: a handshake message of 16777219 bytes was given up\"");
    assert_eq!((analysis.warnings.len(), hellos(&analysis).len()), (1, 0));
    // Forged packets use the budget up, but take nothing from the connection that is known.
    let mut datagrams = vec![(true, CLIENT.packet(0, &crypto(0, &hello("chat.example", "h3")[..50])))];
    for n in 0..200_u8 {
        let mut forged = Made { dcid: &[n; 8], ..CLIENT }.hello(0, "forged.example");
        *forged.last_mut().unwrap() ^= 1;
        datagrams.push((true, forged));
    }
    datagrams.push((true, CLIENT.packet(1, &crypto(50, &hello("chat.example", "h3")[50..]))));
    assert_eq!(hellos(&read(&datagrams)), ["tls.client_hello 1+202 \"chat.example\""]);
}

#[test]
fn the_budget_for_initials_that_do_not_open_grows_again() {
    let forged = |n: u8, fill: usize| {
        let mut packet = Made { dcid: &[n; 8], ..CLIENT }.packet(0, &vec![0; fill]);
        *packet.last_mut().unwrap() ^= 1;
        (true, packet)
    };
    // As large as a client has to make them: any number of them.
    let mut datagrams: Vec<Datagram> = (0..100).map(|n| forged(n, 1200)).collect();
    datagrams.push((true, CLIENT.hello(0, "chat.example")));
    let analysis = read(&datagrams);
    assert_eq!(hellos(&analysis), ["tls.client_hello 101 \"chat.example\""]);
    assert!(analysis.warnings.is_empty(), "{:?}", analysis.warnings);
    // Small ones are not all tried, which is told once; large ones are again.
    let mut datagrams: Vec<Datagram> = (0..100).map(|n| forged(n, 40)).collect();
    datagrams
        .push((true, CLIENT.packet(0, &[crypto(0, &hello("chat.example", "h3")), vec![0; 1100]].concat())));
    let analysis = read(&datagrams);
    assert_eq!(hellos(&analysis), ["tls.client_hello 101 \"chat.example\""]);
    assert_eq!(analysis.warnings.len(), 1, "{:?}", analysis.warnings);
}

#[test]
fn a_hello_after_version_negotiation_begins_a_connection() {
    let draft = Made { version: DRAFT_29, ..CLIENT };
    let negotiation = |scid: &[u8; 8], versions: &[u8]| {
        (false, [&b"\x80\0\0\0\0\x04clie\x08"[..], scid, versions].concat())
    };
    let (one, draft_29) = ([0, 0, 0, 1, 0x1a, 0x2a, 0x3a, 0x4a], [0xff, 0, 0, 0x1d, 0, 0, 0, 1]);
    let answer = (false, SERVER.packet(0, &crypto(0, &server_hello())));
    let after = (true, CLIENT.hello(1, "after.example"));
    let first = (true, draft.hello(0, "first.example"));
    let read = |second: Datagram| hellos(&read(&[first.clone(), second, after.clone(), answer.clone()]));
    assert_eq!(
        read(negotiation(b"firstone", &one)),
        [
            "tls.client_hello 1 \"first.example\"",
            "tls.client_hello 3 \"after.example\"",
            "tls.server_hello 4 \"0x1301\"",
        ]
    );
    // One that answers another packet, or offers what the client speaks, is ignored.
    for ignored in [negotiation(b"otherone", &one), negotiation(b"firstone", &draft_29)] {
        assert_eq!(read(ignored), ["tls.client_hello 1 \"first.example\"", "tls.server_hello 4 \"0x1301\""]);
    }
}

#[test]
fn googles_own_handshake() {
    let chlo = google::tests::chlo();
    let frame = [&[0xa0, 1, 0, chlo.len() as u8][..], &chlo].concat();
    let q046 = [&b"\xc3Q046\x5012345678\0\0\0\x01"[..], &[9; 12], &frame].concat();
    let q043 = [&b"\x0d12345678Q043\x01"[..], &[9; 12], &frame].concat();
    let google = |version: &[u8; 4]| Made { version: Version(u32::from_be_bytes(*version)), ..CLIENT };
    let mut in_crypto = crypto(0, &chlo);
    in_crypto[0] = 8;
    let q050 = google(b"Q050").packet(0, &in_crypto);
    for (name, packet, later) in [("Q046", q046, 0x40), ("Q043", q043, 0x0c), ("Q050", q050, 0x40)] {
        let short = [&[later][..], &[0xf8; 40]].concat();
        let analysis = read(&[(true, packet.clone()), (false, short.clone())]);
        assert_eq!(
            seen(&analysis),
            ["quic.initial 1 true", "gquic.client_hello 1 \"chat.example\""],
            "{name}"
        );
        assert_eq!(analysis.observations[1].fields["version"], name);
        let flow = &analysis.flows[0];
        assert_eq!((&flow.encryption[..], &flow.names[0].name[..]), ("quic", "chat.example"), "{name}");
        assert_eq!(bytes(&analysis, "quic.handshake"), packet.len() as u64, "{name}");
        assert_eq!(bytes(&analysis, "quic.application"), 41, "{name}");
        for cut in 1..packet.len() {
            let analysis = read(&[(true, packet[..cut].to_vec()), (false, short.clone())]);
            assert_eq!(hellos(&analysis), [""; 0], "{name} cut to {cut}");
            assert_ne!(analysis.flows[0].encryption, "quic", "{name} cut to {cut}");
        }
    }
    let mut tls = crypto(0, &hello("chat.example", "h3"));
    tls[0] = 8;
    for version in [b"T050", b"T051"] {
        let analysis = read(&[(true, google(version).packet(0, &tls))]);
        assert_eq!(hellos(&analysis), ["tls.client_hello 1 \"chat.example\""]);
    }
}

#[test]
fn packets_of_one_datagram_are_counted_each_by_its_class() {
    let dcid = b"clie";
    let sealed = [&[0xe3, 0, 0, 0, 1, 4][..], dcid, &[4], b"serv", &[0x40, 60], &[0xf8; 60]].concat();
    let short = [&[0x41][..], dcid, &[0xf8; 90]].concat();
    let answer = SERVER.packet(0, &crypto(0, &server_hello()));
    let first = CLIENT.hello(0, "a.example");
    let filled = [first.clone(), vec![0; 33]].concat();
    let shared = [answer.clone(), sealed.clone(), short.clone()].concat();
    let analysis = read(&[(true, filled.clone()), (false, shared.clone())]);
    let class = |name| bytes(&analysis, name);
    assert_eq!(class("quic.handshake"), (first.len() + answer.len()) as u64);
    assert_eq!(class("quic.handshake-encrypted"), sealed.len() as u64);
    assert_eq!(class("quic.application"), short.len() as u64);
    assert_eq!(class("padding"), 33);
    assert_eq!(analysis.coverage.classes.values().sum::<u64>(), analysis.coverage.total);
    // Without the hello the same is ciphertext of nobody knows what, but for what can be opened.
    let analysis = read(&[(false, shared)]);
    assert_eq!(bytes(&analysis, "quic.handshake-encrypted") + bytes(&analysis, "quic.application"), 0);
    // Cut anywhere, everything is counted once.
    for cut in 1..filled.len() {
        let analysis = read(&[(true, filled[..cut].to_vec())]);
        assert_eq!(analysis.coverage.classes.values().sum::<u64>(), analysis.coverage.total, "{cut}");
    }
}
