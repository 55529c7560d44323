//! Every condition, quantifier and connective of the claim language on generated captures: one that supports a claim made of it, one that contradicts
//! it, and one that leaves it open. Which conditions there are the schema of claim files says, so that none can be forgotten.

use std::fmt::Write as _;

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Nonce, Payload};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};

use super::common::build::{Endian, PacketBuilder, START, Tcp};
use super::common::wire::{self, flag, link};
use super::{DEVICE, NUMBER, Random, dns, judged, record, said, server_hello};
use metaleak::claims::Catalogue;

/// Ends that the reference data know: Germany, Ireland (a US company), Switzerland; and one of documentation, which nobody has.
const DE: &str = "116.203.10.11";
const IE: &str = "31.13.86.48";
const CH: &str = "185.88.236.110";
const LAB: &str = "203.0.113.9";
/// An address of a network of people's connections.
const PEER: &str = "91.252.56.51";
const CHAT: &str = "chat.signal.org";
const TEXT: &str = "zitronenfalter-7319-text";
const MAIL: &str = "anna.7319@mail.example.org";
const HOUR: u64 = 3_600_000_000_000;

/// Captures of one study with their run descriptions.
type Study = Vec<(Vec<u8>, String)>;

fn run_of(messenger: &str, steps: &[&str], canaries: &[(&str, &str)], more: &str) -> String {
    let canaries: Vec<String> = canaries.iter().map(|(n, v)| format!("\"{n}\": \"{v}\"")).collect();
    format!(
        "{{\"messenger\": \"{messenger}\", \"steps\": {}, \"vantage\": \"router\", \"canaries\": {{{}}}{more}}}",
        serde_json::to_string(steps).unwrap(),
        canaries.join(", ")
    )
}

/// One capture of Signal, in which nothing is planted but what is said.
fn signal(canaries: &[(&str, &str)], fill: impl FnOnce(&mut PacketBuilder)) -> Study {
    let mut made = PacketBuilder::new();
    fill(&mut made);
    vec![(made.finish(), run_of("signal", &["text-1to1"], canaries, ""))]
}

/// One capture of a messenger that nobody wrote claims for.
fn foo_chat(name: Option<&str>) -> Study {
    let mut made = PacketBuilder::new();
    match name {
        Some(sni) => tls(&mut made, 40_000, &Tls { sni, ..TLS13 }),
        None => middle(&mut made, DE),
    }
    vec![(made.finish(), run_of("foo-chat", &["text-1to1"], &[], ""))]
}

/// What a TLS connection shows.
struct Tls<'a> {
    server: &'a str,
    sni: &'a str,
    ech: bool,
    cipher: u16,
    certificate: Option<Vec<u8>>,
    up: usize,
}

const TLS13: Tls<'static> =
    Tls { server: DE, sni: CHAT, ech: false, cipher: 0x1301, certificate: None, up: 700 };

fn tls(to: &mut PacketBuilder, port: u16, t: &Tls<'_>) {
    let mut tcp = Tcp::new(&format!("{DEVICE}:{port}"), &format!("{}:443", t.server));
    tcp.open(to);
    // An Encrypted Client Hello of the outer kind; whether it is real nobody on the way can tell.
    let ech = [&[0, 0, 1, 0, 1, 7, 0, 32][..], &[5; 32], &[0, 16], &[6; 16]].concat();
    let hello = wire::client_hello_with(t.sni, t.ech.then_some((0xfe0d, &ech[..])));
    tcp.up(to, &hello);
    tcp.down(to, &server_hello(t.cipher, t.cipher >> 8 == 0x13));
    if let Some(certificate) = &t.certificate {
        tcp.down(to, &record(22, certificate));
        tcp.down(to, &record(22, &[14, 0, 0, 0]));
    }
    tcp.down(to, &record(20, &[1]));
    tcp.up(to, &record(20, &[1]));
    let mut r = Random(u64::from(port) + 3);
    for _ in 0..t.up.div_ceil(1300) {
        tcp.up(to, &record(23, &r.bytes(1300.min(t.up))));
    }
    tcp.down(to, &record(23, &r.bytes(300)));
    tcp.close(to);
}

/// A request in clear and its answer.
fn http(to: &mut PacketBuilder, server: &str, port: u16, headers: &str, body: &str, answer: &str) {
    let mut tcp = Tcp::new(&format!("{DEVICE}:41000"), &format!("{server}:{port}"));
    tcp.open(to);
    let request = format!(
        "POST /v1 HTTP/1.1\r\nHost: {CHAT}\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.up(to, request.as_bytes());
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    tcp.down(to, answer.as_bytes());
    tcp.close(to);
}

fn posted(canaries: &[(&str, &str)], body: &str) -> Study {
    signal(canaries, |to| http(to, IE, 80, "", body, "fine"))
}

/// The middle of a connection.
fn middle(to: &mut PacketBuilder, server: &str) {
    let mut tcp = Tcp::new(&format!("{DEVICE}:40100"), &format!("{server}:8777"));
    for _ in 0..4 {
        tcp.up(to, &Random(5).bytes(900));
        tcp.down(to, &Random(6).bytes(900));
    }
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        n @ 0..=127 => out.push(n as u8),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend(content);
    out
}

/// A certificate message of TLS 1.2 with one certificate (RFC 5280 section 4.1); the signature is of nobody.
fn certificate(organisation: &str, issuer: &str, name: &str, until: &str) -> Vec<u8> {
    let part = |kind: u8, text: &str| {
        let oid = der(6, &[0x55, 4, kind]);
        der(0x31, &der(0x30, &[oid, der(12, text.as_bytes())].concat()))
    };
    let rsa = |tail: u8| {
        der(0x30, &[der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, tail]), der(5, &[])].concat())
    };
    let time = |text: &str| der(0x17, text.as_bytes());
    let modulus = [&[0, 0xc5][..], &Random(9).bytes(254), &[1]].concat();
    let key = der(0x30, &[der(2, &modulus), der(2, &[1, 0, 1])].concat());
    let san = der(0x30, &der(0x82, name.as_bytes()));
    let extension = der(0x30, &[der(6, &[0x55, 0x1d, 17]), der(4, &san)].concat());
    let signed = der(
        0x30,
        &[
            der(0xa0, &der(2, &[2])),
            der(2, &[7]),
            rsa(11),
            der(0x30, &part(3, issuer)),
            der(0x30, &[time("200101000000Z"), time(until)].concat()),
            der(0x30, &[part(10, organisation), part(3, name)].concat()),
            der(0x30, &[rsa(1), der(3, &[&[0][..], &key].concat())].concat()),
            der(0xa3, &der(0x30, &extension)),
        ]
        .concat(),
    );
    let whole = der(0x30, &[signed, rsa(11), der(3, &[&[0][..], &[3; 256]].concat())].concat());
    let sized = |body: &[u8]| [&(body.len() as u32).to_be_bytes()[1..], body].concat();
    [&[11][..], &sized(&sized(&sized(&whole)))].concat()
}

fn certified(organisation: &str, issuer: &str, name: &str, until: &str) -> Study {
    let certificate = Some(certificate(organisation, issuer, name, until));
    signal(&[], |to| tls(to, 40_000, &Tls { cipher: 0xc02f, certificate, ..TLS13 }))
}

/// A request within TLS 1.3 whose secret the capture holds (RFC 8446 sections 5.2 and 7.3).
fn opened(body: &str) -> Study {
    let secret = [0x5a_u8; 32];
    let expand = |label: &str, size: usize| {
        let mut info = vec![0, size as u8, 6 + label.len() as u8];
        info.extend(b"tls13 ");
        info.extend(label.as_bytes());
        info.push(0);
        let mut out = vec![0; size];
        Hkdf::<Sha256>::from_prk(&secret).unwrap().expand(&info, &mut out).unwrap();
        out
    };
    let request =
        format!("POST /v1 HTTP/1.1\r\nHost: {CHAT}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let size = (request.len() as u16 + 17).to_be_bytes();
    let header = [23, 3, 3, size[0], size[1]];
    let plain = [request.as_bytes(), &[23]].concat();
    let nonce = expand("iv", 12);
    let nonce = Nonce::<Aes128Gcm>::try_from(&nonce[..]).unwrap();
    let cipher = Aes128Gcm::new_from_slice(&expand("key", 16)).unwrap();
    let sealed = cipher.encrypt(&nonce, Payload { msg: &plain, aad: &header }).unwrap();
    let mut made = PacketBuilder::pcapng(Endian::Little);
    made.interface(link::ETHERNET, None);
    let log = format!("CLIENT_TRAFFIC_SECRET_0 {} {}\n", hex(&[7; 32]), hex(&secret));
    made.secrets(0x544c_534b, log.as_bytes());
    let mut tcp = Tcp::new(&format!("{DEVICE}:40000"), &format!("{DE}:443"));
    tcp.open(&mut made);
    tcp.up(&mut made, &wire::client_hello(CHAT));
    tcp.down(&mut made, &server_hello(0x1301, true));
    tcp.up(&mut made, &[&header[..], &sealed].concat());
    tcp.close(&mut made);
    vec![(made.finish(), run_of("signal", &["text-1to1"], &[("message", TEXT)], ""))]
}

/// Packets of RTP both ways, after a check of ICE where there is one (RFC 3550 section 5.1, RFC 8445 section 7).
fn call(to: &mut PacketBuilder, server: &str, check: bool, media: u16) {
    let (device, other) = (format!("{DEVICE}:50000").parse().unwrap(), server.parse().unwrap());
    if check {
        let mut stun = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
        stun.extend([7; 12]);
        stun.extend([0, 0x24, 0, 4, 1, 1, 1, 1]);
        to.udp(device, other, &stun);
        to.udp(other, device, &stun);
    }
    for number in 0..media {
        for (from, at, source) in [(device, other, 1_u32), (other, device, 2)] {
            let mut rtp = vec![0x80, 111];
            rtp.extend(number.to_be_bytes());
            rtp.extend((u32::from(number) * 960).to_be_bytes());
            rtp.extend(source.to_be_bytes());
            rtp.extend(Random(u64::from(number) + 1).bytes(80));
            to.udp(from, at, &rtp);
        }
    }
}

/// A run of steps with marks or without, whose last packet comes after `hours`.
fn steps(steps: &[&str], canaries: &[(&str, &str)], hours: u64, bytes: usize) -> Study {
    let mut made = PacketBuilder::new();
    tls(&mut made, 40_000, &Tls { up: bytes, ..TLS13 });
    made.at(START + hours * HOUR + 1_000_000_000);
    made.udp(
        format!("{DEVICE}:50053").parse().unwrap(),
        "192.168.7.1:53".parse().unwrap(),
        &wire::dns_query(3, "x.example", 1),
    );
    vec![(made.finish(), run_of("signal", steps, canaries, ""))]
}

/// Five runs for each of four sizes of the address book.
fn doses(step: &str, bytes: usize) -> Study {
    let mut files = Vec::new();
    for contacts in [0_usize, 10, 100, 1000] {
        for repeat in 0..5 {
            let mut made = PacketBuilder::new();
            made.at(START + (contacts as u64 * 10 + repeat) * HOUR);
            let noise = Random(1 + contacts as u64 * 31 + repeat).below(300) as usize;
            super::tls(
                &mut made,
                40_000,
                "signal",
                CHAT,
                0x1301,
                2000 + noise + bytes * contacts,
                &mut Random(repeat + 2),
            );
            files.push((
                made.finish(),
                run_of("signal", &[step], &[], &format!(", \"contacts\": {contacts}")),
            ));
        }
    }
    files
}

/// A connection whose answer to the first packet takes so long, recorded at a place.
fn answered_after(server: &str, millis: u64, place: &str) -> Study {
    let mut made = PacketBuilder::new();
    let (device, end) =
        (format!("{DEVICE}:40000").parse().unwrap(), format!("{server}:443").parse().unwrap());
    made.tcp(device, end, 1000, 0, flag::SYN, b"");
    made.at(START + millis * 1_000_000);
    made.tcp(end, device, 5000, 1001, flag::SYN | flag::ACK, b"");
    let mut tcp = Tcp::new(&format!("{DEVICE}:40000"), &format!("{server}:443"));
    tcp.up(&mut made, &wire::client_hello(CHAT));
    tcp.down(&mut made, &server_hello(0x1301, true));
    vec![(made.finish(), run_of("signal", &["text-1to1"], &[], &format!(", \"place\": \"{place}\"")))]
}

/// A stream of XMPP whose client names itself, or does not.
fn xmpp(node: Option<&str>) -> Study {
    let mut made = PacketBuilder::new();
    let mut tcp = Tcp::new(&format!("{DEVICE}:40000"), &format!("{DE}:5222"));
    tcp.open(&mut made);
    let header = "<?xml version='1.0'?><stream:stream to='verein.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
    tcp.up(&mut made, header.as_bytes());
    tcp.down(&mut made, header.replace("to=", "from=").as_bytes());
    let caps = node
        .map(|node| format!("<c xmlns='http://jabber.org/protocol/caps' node='{node}'/>"))
        .unwrap_or_default();
    tcp.up(&mut made, format!("<presence>{caps}</presence>").as_bytes());
    tcp.close(&mut made);
    vec![(made.finish(), run_of("conversations", &["text-1to1"], &[], ""))]
}

fn hex(text: &[u8]) -> String {
    text.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

/// The same request twice, in two recordings.
fn twice(bodies: [&str; 2]) -> Study {
    let mut files = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        let mut made = PacketBuilder::new();
        made.at(START + n as u64 * HOUR);
        http(&mut made, IE, 80, "", body, "fine");
        files.push((made.finish(), run_of("signal", &["text-1to1"], &[], "")));
    }
    files
}

fn study(name: &str) -> Study {
    let number = [("number", NUMBER)];
    let text = [("message", TEXT)];
    let said = |value: &str| format!("{{\"value\":\"{value}\"}}");
    let at = |server: &'static str| {
        signal(&[], |to| tls(to, 40_000, &Tls { server, sni: "host.example", ..TLS13 }))
    };
    match name {
        "TLS 1.3" => signal(&[], |to| {
            dns(to, CHAT);
            tls(to, 40_000, &TLS13);
        }),
        "TLS 1.2" => signal(&[], |to| {
            tls(to, 40_000, &Tls { server: IE, sni: "cdn.signal.org", cipher: 0x000a, ..TLS13 });
        }),
        "TLS 1.3 beside a run without the app" => {
            let device = ", \"device\": \"phone\"";
            let (mut app, mut alone) = (PacketBuilder::new(), PacketBuilder::new());
            tls(&mut app, 40_000, &TLS13);
            tls(&mut alone, 40_000, &Tls { server: IE, sni: "updates.example", ..TLS13 });
            let without = format!("{device}, \"control\": \"without-app\"");
            vec![
                (app.finish(), run_of("signal", &["text-1to1"], &[], device)),
                (alone.finish(), run_of("signal", &[], &[], &without)),
            ]
        }
        "two of TLS 1.3" => signal(&[], |to| {
            tls(to, 40_000, &TLS13);
            tls(to, 40_001, &TLS13);
        }),
        "TLS 1.3 and HTTP" => signal(&[], |to| {
            tls(to, 40_000, &TLS13);
            http(to, IE, 80, "", "", "fine");
        }),
        "TLS 1.3 in one run, HTTP in another" => {
            [study("TLS 1.3"), study("HTTP")].into_iter().flatten().collect()
        }
        "foo-chat by its own name" => foo_chat(Some("api.foo-chat.example")),
        "foo-chat by another name" => foo_chat(Some("cdn.host.example")),
        "foo-chat without a name" => foo_chat(None),
        "two of HTTP" => signal(&[], |to| {
            http(to, IE, 80, "", "", "fine");
            http(to, DE, 80, "", "", "fine");
        }),
        "HTTP" => posted(&number, &said(NUMBER)),
        "HTTP on 8080" => signal(&number, |to| http(to, IE, 8080, "", &said(NUMBER), "fine")),
        "HTTP, text" => posted(&text, &said(TEXT)),
        "HTTP, text in hex" => posted(&text, &said(&hex(TEXT.as_bytes()))),
        "HTTP, text in Base64" => posted(&text, &said("eml0cm9uZW5mYWx0ZXItNzMxOS10ZXh0")),
        "HTTP, SHA-256 of the text" => posted(&text, &said(&hex(&Sha256::digest(TEXT)))),
        "HTTP, text in the answer" => signal(&text, |to| http(to, IE, 80, "", "", TEXT)),
        "HTTP, log-in" => signal(&[], |to| {
            http(to, IE, 80, "Authorization: Basic YW5uYTczMTk6Z2VoZWltLTczMTk=\r\n", "", "fine");
        }),
        "HTTP, cookie" => signal(&[], |to| {
            http(to, IE, 80, "Cookie: sessionid=7f3a9c55d0b14e22\r\n", "", "fine");
        }),
        "HTTP, mail field" => posted(&[], &format!("{{\"email\":\"{MAIL}\"}}")),
        "HTTP, phone field" => posted(&[], &format!("{{\"phone\":\"{NUMBER}\"}}")),
        "HTTP, mail in a sentence" => posted(&[], &format!("please write to {MAIL} soon")),
        "a mail address in two recordings" => twice([&format!("{{\"email\":\"{MAIL}\"}}"); 2]),
        "two mail addresses in two recordings" => {
            twice([&format!("{{\"email\":\"{MAIL}\"}}"), "{\"email\":\"berta.55@post.example.org\"}"])
        }
        "a request that keys open" => opened(&said(TEXT)),
        "the middle of a connection" => signal(&[], |to| middle(to, DE)),
        "the same behind a DNS answer" => signal(&[], |to| {
            dns(to, CHAT);
            middle(to, DE);
        }),
        "no payload" => signal(&[], |to| {
            let tcp = Tcp::new(&format!("{DEVICE}:40000"), &format!("{DE}:443"));
            tcp.open(to);
            tcp.close(to);
        }),
        "TLS 1.3, and a connection without payload" => signal(&[], |to| {
            tls(to, 40_000, &TLS13);
            let tcp = Tcp::new(&format!("{DEVICE}:40001"), &format!("{DE}:443"));
            tcp.open(to);
            tcp.close(to);
        }),
        "TLS 1.3 with ECH" => signal(&[], |to| tls(to, 40_000, &Tls { ech: true, ..TLS13 })),
        "certificate of Signal" => certified("Signal", "Own Root", CHAT, "300101000000Z"),
        "expired certificate of another" => certified("Other", "Other Root", CHAT, "210101000000Z"),
        "certificate for another name" => certified("Third", "Third Root", "third.example", "300101000000Z"),
        "German end" => at(DE),
        "end in Ireland of a US company" => at(IE),
        "Swiss end" => at(CH),
        "end that nobody knows" => at(LAB),
        "German end and one that nobody knows" => signal(&[], |to| {
            tls(to, 40_000, &TLS13);
            tls(to, 40_001, &Tls { server: LAB, ..TLS13 });
        }),
        "German end, 1 ms from Germany" => answered_after(DE, 1, "DE"),
        "German end, 80 ms from Germany" => answered_after(DE, 80, "DE"),
        "German end, 1 ms from the US" => answered_after(DE, 1, "US"),
        "end in Ireland of a US company, 1 ms from Germany" => answered_after(IE, 1, "DE"),
        "call straight to the other party" => signal(&[], |to| call(to, &format!("{PEER}:7000"), true, 60)),
        "call by a relay" => signal(&[], |to| call(to, &format!("{IE}:3478"), false, 60)),
        "call that nobody answers" => signal(&[], |to| call(to, &format!("{PEER}:7000"), true, 0)),
        "two quiet hours" => steps(&["idle"], &number, 2, 700),
        "two loud hours" => steps(&["idle"], &number, 2, 400_000),
        "a quiet moment" => steps(&["idle"], &[("mail", MAIL)], 0, 700),
        "a picture sent" => steps(&["media"], &[("mail", MAIL)], 2, 700),
        "two steps without marks" => steps(&["idle", "media"], &[], 2, 700),
        "no step" => steps(&[], &[], 2, 700),
        "nothing a contact" => doses("contact-sync", 0),
        "nothing a contact, refused" => doses("contact-deny", 0),
        "32 bytes a contact" => doses("contact-sync", 32),
        "10 bytes a contact" => doses("contact-sync", 10),
        "XMPP of Conversations" => xmpp(Some("http://conversations.im")),
        "XMPP of Pidgin" => xmpp(Some("http://pidgin.im/")),
        "XMPP of nobody" => xmpp(None),
        other => panic!("no study {other:?}"),
    }
}

/// What is tried: the subject and condition (or quantifier), what supports, what contradicts, and the three studies.
struct Row {
    subject: &'static str,
    condition: &'static str,
    supports: String,
    contradicts: String,
    studies: [&'static str; 3],
}

/// `any` of a subject with a condition, in two values.
fn row(
    subject: &'static str,
    condition: &'static str,
    fits: &str,
    against: &str,
    studies: [&'static str; 3],
) -> Row {
    let any = |value: &str| format!("{{ any = \"{subject}\", {condition} = {value} }}");
    Row { subject, condition, supports: any(fits), contradicts: any(against), studies }
}

fn free(
    subject: &'static str,
    condition: &'static str,
    supports: &str,
    contradicts: &str,
    studies: [&'static str; 3],
) -> Row {
    Row { subject, condition, supports: supports.to_owned(), contradicts: contradicts.to_owned(), studies }
}

const SEALED: [&str; 3] = ["TLS 1.3", "HTTP", "the middle of a connection"];
const VERSIONS: [&str; 3] = ["TLS 1.3", "TLS 1.2", "HTTP"];
const CERTIFICATES: [&str; 3] = ["certificate of Signal", "expired certificate of another", "TLS 1.3"];
const ENDS: [&str; 3] = ["German end", "end in Ireland of a US company", "Swiss end"];
const LAWS: [&str; 3] = ["German end", "Swiss end", "end that nobody knows"];
const MIXED: [&str; 3] = ["TLS 1.3", "HTTP", "TLS 1.3 and HTTP"];
const SERVICE: [&str; 3] = ["TLS 1.3", "German end", "end that nobody knows"];

fn flows() -> Vec<Row> {
    vec![
        free(
            "flows",
            "encryption",
            "{ any = \"flows\", of = { transport = [\"tcp\"] }, encryption = [\"tls1.3\"] }",
            "{ any = \"flows\", of = { transport = [\"tcp\"] }, encryption = [\"none\"] }",
            SEALED,
        ),
        free(
            "flows",
            "not_encryption",
            "{ any = \"flows\", of = { transport = [\"tcp\"] }, not_encryption = [\"none\", \"opaque\"] }",
            "{ any = \"flows\", of = { transport = [\"tcp\"] }, not_encryption = [\"tls1.3\", \"opaque\"] }",
            SEALED,
        ),
        row("flows", "app_protocol", "[\"tls\"]", "[\"http\"]", SEALED),
        free(
            "flows",
            "transport",
            "{ any = \"flows\", of = { port = [443] }, transport = [\"tcp\"] }",
            "{ any = \"flows\", of = { port = [7000] }, transport = [\"udp\"] }",
            ["TLS 1.3", "call straight to the other party", "HTTP"],
        ),
        row("flows", "port", "[443]", "[80]", SEALED),
        row(
            "flows",
            "signature",
            "[\"xmpp.conversations\"]",
            "[\"xmpp.other-client\"]",
            ["XMPP of Conversations", "XMPP of Pidgin", "XMPP of nobody"],
        ),
        row("flows", "tls_version", "[\"tls1.3\"]", "[\"tls1.2\"]", VERSIONS),
        row("flows", "cipher", "[\"0x1301\"]", "[\"0x000a\"]", VERSIONS),
        row(
            "flows",
            "ech",
            "[\"absent\"]",
            "[\"unknown\", \"outer\"]",
            ["TLS 1.3", "TLS 1.3 with ECH", "HTTP"],
        ),
        row(
            "flows",
            "name",
            "[\"chat.signal.org\"]",
            "[\"cdn.signal.org\"]",
            ["TLS 1.3", "TLS 1.2", "the middle of a connection"],
        ),
        free(
            "flows",
            "clear_bytes_over",
            "{ all_of = [{ none = \"flows\", of = { transport = [\"tcp\"] }, clear_bytes_over = 0 }, { any = \"flows\", encryption = [\"tls1.3\"] }] }",
            "{ any = \"flows\", of = { transport = [\"tcp\"] }, clear_bytes_over = 50 }",
            SEALED,
        ),
        free(
            "flows",
            "read",
            "{ all = \"flows\", of = { port = [80] }, read = true }",
            "{ any = \"flows\", of = { port = [443] }, read = false }",
            ["HTTP", "TLS 1.3", "no payload"],
        ),
        free(
            "flows",
            "clear_messages_over",
            "{ all_of = [{ none = \"flows\", clear_messages_over = 0 }, { any = \"flows\", encryption = [\"tls1.3\"] }] }",
            "{ any = \"flows\", clear_messages_over = 0 }",
            SEALED,
        ),
        free(
            "flows",
            "with_payload",
            "{ all = \"flows\", of = { port = [443] }, with_payload = true }",
            "{ all = \"flows\", of = { port = [443] }, with_payload = false }",
            ["TLS 1.3", "no payload", "TLS 1.3, and a connection without payload"],
        ),
        free(
            "flows",
            "messenger_why",
            "{ any = \"flows\", of = { port = [443] }, messenger_why = [\"name\"] }",
            "{ any = \"flows\", of = { port = [443] }, messenger_why = [\"run\"] }",
            ["TLS 1.3", "German end", "HTTP"],
        ),
        free(
            "flows",
            "remains",
            "{ any = \"flows\", of = { port = [443] }, remains = true }",
            "{ any = \"flows\", of = { port = [443] }, remains = false }",
            ["TLS 1.3 beside a run without the app", "TLS 1.3", "HTTP"],
        ),
        row("flows", "certificate_subject", "[\"O=Signal\"]", "[\"O=Other\"]", CERTIFICATES),
        row("flows", "certificate_issuer", "[\"CN=Own Root\"]", "[\"CN=Other Root\"]", CERTIFICATES),
        row(
            "flows",
            "certificate_fault",
            "[\"name-mismatch\"]",
            "[\"expired\"]",
            ["certificate for another name", "expired certificate of another", "certificate of Signal"],
        ),
        row("flows", "to", "{ asn = [24940] }", "{ asn = [32934] }", ENDS),
    ]
}

fn destinations() -> Vec<Row> {
    let known_without = |condition: &str| {
        format!(
            "{{ all_of = [{{ any = \"destinations\", known = true, flow = {{ port = [443] }} }}, {{ none = \"destinations\", {condition} }}] }}"
        )
    };
    let bases = "[\"eea\", \"adequacy\", \"dpf\", \"none\", \"unverified\"]";
    let mut rows = vec![
        row("destinations", "country", "[\"DE\"]", "[\"IE\"]", ENDS),
        row("destinations", "not_country", "[\"IE\", \"CH\"]", "[\"DE\", \"CH\"]", ENDS),
        free(
            "destinations",
            "agreement",
            "{ any = \"destinations\", agreement = [\"all\"] }",
            &known_without("agreement = [\"all\"]"),
            ["German end", "end in Ireland of a US company", "end that nobody knows"],
        ),
        row("destinations", "asn", "[24940]", "[32934]", ENDS),
        row("destinations", "operator", "[\"hetzner\"]", "[\"facebook\"]", ENDS),
        row(
            "destinations",
            "role",
            "[\"relay\"]",
            "[\"peer\"]",
            ["call by a relay", "call straight to the other party", "TLS 1.3"],
        ),
        row(
            "destinations",
            "not_role",
            "[\"peer\", \"unknown\", \"first-party\", \"hosting\", \"resolver\"]",
            "[\"relay\", \"unknown\", \"first-party\", \"hosting\", \"resolver\"]",
            ["call by a relay", "call straight to the other party", "TLS 1.3"],
        ),
        row("destinations", "jurisdiction", "[\"DE\"]", "[\"IE\"]", ENDS),
        row("destinations", "basis", "[\"eea\"]", "[\"adequacy\"]", LAWS),
        row(
            "destinations",
            "not_basis",
            "[\"adequacy\", \"none\", \"dpf\"]",
            "[\"eea\", \"none\", \"dpf\"]",
            LAWS,
        ),
        row("destinations", "seat", "[\"DE\"]", "[\"US\"]", ENDS),
        row("destinations", "not_seat", "[\"US\"]", "[\"DE\"]", ENDS),
        row("destinations", "seat_basis", "[\"eea\"]", "[\"dpf\"]", ENDS),
        row("destinations", "place_law", "[\"DE\"]", "[\"IE\"]", ENDS),
        row("destinations", "not_place_law", "[\"IE\", \"CH\"]", "[\"DE\", \"CH\"]", ENDS),
        row("destinations", "place_basis", "[\"eea\"]", "[\"adequacy\"]", LAWS),
        free(
            "destinations",
            "max_km_below",
            "{ any = \"destinations\", max_km_below = 500 }",
            "{ all_of = [{ any = \"destinations\", max_km_below = 20000 }, { none = \"destinations\", max_km_below = 500 }] }",
            ["German end, 1 ms from Germany", "German end, 80 ms from Germany", "the middle of a connection"],
        ),
        row(
            "destinations",
            "rtt_excludes",
            "[\"US\"]",
            "[\"DE\"]",
            [
                "end in Ireland of a US company, 1 ms from Germany",
                "German end, 1 ms from the US",
                "German end",
            ],
        ),
        row(
            "destinations",
            "rtt_leaves_out",
            "[\"US\"]",
            "[\"DE\"]",
            ["German end, 1 ms from Germany", "German end, 1 ms from the US", "German end"],
        ),
        free(
            "destinations",
            "known",
            "{ all = \"destinations\", of = { flow = { port = [443] } }, known = true }",
            "{ all = \"destinations\", of = { flow = { port = [443] } }, known = false }",
            ["German end", "end that nobody knows", "German end and one that nobody knows"],
        ),
        row(
            "destinations",
            "flow",
            "{ encryption = [\"tls1.3\"] }",
            "{ encryption = [\"none\"], port = [80] }",
            SEALED,
        ),
    ];
    for (condition, value) in
        [("service_seat", "[\"US\"]"), ("not_service_seat", "[\"DE\"]"), ("service_seat_basis", bases)]
    {
        let condition_is = format!("{condition} = {value}");
        rows.push(free(
            "destinations",
            condition,
            &format!("{{ any = \"destinations\", {condition_is} }}"),
            &known_without(&condition_is),
            SERVICE,
        ));
    }
    rows
}

fn findings_and_names() -> Vec<Row> {
    let none = "TLS 1.3";
    vec![
        row("findings", "kind", "[\"canary\"]", "[\"credential\"]", ["HTTP", "HTTP, log-in", none]),
        free(
            "findings",
            "severity",
            "{ all_of = [{ any = \"findings\" }, { none = \"findings\", severity = [\"critical\"] }] }",
            "{ any = \"findings\", severity = [\"critical\"] }",
            ["HTTP, cookie", "HTTP, log-in", none],
        ),
        row(
            "findings",
            "encoding",
            "[\"hex\"]",
            "[\"base64\"]",
            ["HTTP, text in hex", "HTTP, text in Base64", "HTTP, text"],
        ),
        row("findings", "canary", "[\"number\"]", "[\"message\"]", ["HTTP", "HTTP, text", none]),
        row(
            "findings",
            "rule",
            "[\"email-field\"]",
            "[\"phone-field\"]",
            ["HTTP, mail field", "HTTP, phone field", none],
        ),
        free(
            "findings",
            "confidence",
            "{ all_of = [{ any = \"findings\", confidence = [\"medium\"] }, { none = \"findings\", confidence = [\"high\"] }] }",
            "{ any = \"findings\", confidence = [\"high\"] }",
            ["HTTP, mail in a sentence", "HTTP", none],
        ),
        row("findings", "decrypted", "true", "false", ["a request that keys open", "HTTP", none]),
        row("findings", "hashed", "true", "false", ["HTTP, SHA-256 of the text", "HTTP, text", none]),
        row(
            "findings",
            "direction",
            "[\"up\"]",
            "[\"down\"]",
            ["HTTP, text", "HTTP, text in the answer", none],
        ),
        free(
            "findings",
            "runs_over",
            "{ any = \"findings\", runs_over = 1 }",
            "{ all_of = [{ count = \"findings\", at_least = 2 }, { none = \"findings\", runs_over = 1 }] }",
            ["a mail address in two recordings", "two mail addresses in two recordings", none],
        ),
        row("findings", "flow", "{ port = [80] }", "{ port = [8080] }", ["HTTP", "HTTP on 8080", none]),
        row(
            "names",
            "suffix",
            "[\"chat.signal.org\"]",
            "[\"cdn.signal.org\"]",
            ["TLS 1.3", "TLS 1.2", "the middle of a connection"],
        ),
        row(
            "names",
            "source",
            "[\"sni\"]",
            "[\"dns\"]",
            ["TLS 1.2", "the same behind a DNS answer", "the middle of a connection"],
        ),
        row(
            "names",
            "own",
            "true",
            "false",
            ["foo-chat by its own name", "foo-chat by another name", "foo-chat without a name"],
        ),
        row("names", "flow", "{ port = [443] }", "{ port = [80] }", SEALED),
    ]
}

fn doses_calls_and_steps() -> Vec<Row> {
    let none = "TLS 1.3";
    let straight = "call straight to the other party";
    vec![
        row(
            "doses",
            "step",
            "[\"contact-sync\"]",
            "[\"contact-deny\"]",
            ["nothing a contact", "nothing a contact, refused", none],
        ),
        row(
            "doses",
            "class",
            "[\"nothing\"]",
            "[\"per-contact\"]",
            ["nothing a contact", "32 bytes a contact", none],
        ),
        row(
            "doses",
            "own_class",
            "[\"nothing\"]",
            "[\"per-contact\"]",
            ["nothing a contact", "32 bytes a contact", none],
        ),
        row(
            "doses",
            "form",
            "[\"hash-32\"]",
            "[\"hash-10\"]",
            ["32 bytes a contact", "10 bytes a contact", "nothing a contact"],
        ),
        free(
            "doses",
            "bytes_per_contact_over",
            "{ any = \"doses\", bytes_per_contact_over = 20 }",
            "{ any = \"doses\", bytes_per_contact_below = 15 }",
            ["32 bytes a contact", "10 bytes a contact", none],
        ),
        free(
            "doses",
            "bytes_per_contact_below",
            "{ any = \"doses\", bytes_per_contact_below = 15 }",
            "{ any = \"doses\", bytes_per_contact_over = 20 }",
            ["10 bytes a contact", "32 bytes a contact", none],
        ),
        free(
            "doses",
            "power_at_least",
            "{ any = \"doses\", power_at_least = 0.9 }",
            "{ all_of = [{ any = \"doses\" }, { none = \"doses\", power_at_least = 0.9 }] }",
            ["nothing a contact", "32 bytes a contact", none],
        ),
        row("calls", "media", "true", "false", ["call by a relay", "call that nobody answers", none]),
        row("calls", "direct", "true", "false", [straight, "call by a relay", none]),
        row("calls", "relayed", "true", "false", ["call by a relay", straight, none]),
        row("calls", "flow", "{ port = [3478] }", "{ port = [7000] }", ["call by a relay", straight, none]),
        row("steps", "step", "[\"idle\"]", "[\"media\"]", ["two quiet hours", "a picture sent", "no step"]),
        row(
            "steps",
            "planted",
            "[\"number\"]",
            "[\"mail\"]",
            ["two quiet hours", "a quiet moment", "no step"],
        ),
        free(
            "steps",
            "seconds_over",
            "{ any = \"steps\", seconds_over = 3600 }",
            "{ all_of = [{ any = \"steps\" }, { none = \"steps\", seconds_over = 3600 }] }",
            ["two quiet hours", "a quiet moment", "no step"],
        ),
        free(
            "steps",
            "bytes_per_hour_over",
            "{ any = \"steps\", bytes_per_hour_over = 50000 }",
            "{ any = \"steps\", bytes_per_hour_below = 50000 }",
            ["two loud hours", "two quiet hours", "two steps without marks"],
        ),
        free(
            "steps",
            "bytes_per_hour_below",
            "{ any = \"steps\", bytes_per_hour_below = 50000 }",
            "{ any = \"steps\", bytes_per_hour_over = 50000 }",
            ["two quiet hours", "two loud hours", "two steps without marks"],
        ),
        free(
            "steps",
            "own_bytes_per_hour_over",
            "{ any = \"steps\", own_bytes_per_hour_over = 50000 }",
            "{ all_of = [{ any = \"steps\", seconds_over = 3600 }, { none = \"steps\", own_bytes_per_hour_over = 50000 }] }",
            ["two loud hours", "two quiet hours", "two steps without marks"],
        ),
    ]
}

/// How many have to fit, and how predicates are joined.
fn quantifiers() -> Vec<Row> {
    let of = |quantifier: &str, encryption: &str| {
        format!("{{ {quantifier}, of = {{ transport = [\"tcp\"] }}, encryption = [{encryption}] }}")
    };
    let both = |quantifier: &str| (of(quantifier, "\"tls1.3\""), of(quantifier, "\"none\", \"opaque\""));
    let mut rows = Vec::new();
    for (name, quantifier, studies) in [
        ("any", "any = \"flows\"", ["TLS 1.3", "HTTP", "no payload"]),
        ("all", "all = \"flows\"", MIXED),
        ("count", "count = \"flows\", at_least = 2", ["two of TLS 1.3", "two of HTTP", "TLS 1.3 and HTTP"]),
        ("share", "share = \"flows\", at_least = 0.6", MIXED),
    ] {
        let (supports, contradicts) = both(quantifier);
        rows.push(free("", name, &supports, &contradicts, studies));
    }
    let (sealed, open) = both("none = \"flows\"");
    rows.push(free("", "none", &open, &sealed, MIXED));
    let (sealed, open) = both("any = \"flows\"");
    rows.push(free("", "not", &format!("{{ not = {open} }}"), &format!("{{ not = {sealed} }}"), MIXED));
    let port = |port: u16| format!("{{ any = \"flows\", port = [{port}] }}");
    let join = |word: &str, a: &str, b: &str| format!("{{ {word} = [{a}, {b}] }}");
    rows.push(free(
        "",
        "all_of",
        &join("all_of", &sealed, &port(443)),
        &join("all_of", &open, &port(80)),
        SEALED,
    ));
    let in_one_run = |a: &str, b: &str| format!("{{ all_of = [{a}, {b}], within = \"run\" }}");
    rows.push(free(
        "",
        "within",
        &in_one_run(&sealed, &open),
        &in_one_run(&of("count = \"flows\", at_least = 2", "\"tls1.3\""), &port(443)),
        ["TLS 1.3 and HTTP", "two of TLS 1.3", "TLS 1.3 in one run, HTTP in another"],
    ));
    rows.push(free(
        "",
        "any_of",
        &join("any_of", &sealed, &port(993)),
        &join("any_of", &port(80), &port(143)),
        SEALED,
    ));
    rows
}

fn rows() -> Vec<Row> {
    [flows(), destinations(), findings_and_names(), doses_calls_and_steps(), quantifiers()]
        .into_iter()
        .flatten()
        .collect()
}

/// What rests on that there was no direct call, or no noise at rest, says what share of planted ones the same reading finds.
#[test]
fn calls_and_rest_carry_their_power() {
    use metaleak::model::ControlKind;
    let files: Study = [steps(&["idle"], &[], 2, 700), steps(&["idle"], &[], 3, 700)].concat();
    let mut relayed = PacketBuilder::new();
    tls(&mut relayed, 40_000, &TLS13);
    call(&mut relayed, &format!("{IE}:3478"), false, 60);
    let all = ["call-1to1", "call-relay", "call-group"];
    let relayed: Study = vec![(relayed.finish(), run_of("signal", &all, &[], ""))];
    let catalogue = super::catalogue_of("signal");
    for (files, id, kind, planted) in [
        (&files, "signal.idle-quiet", ControlKind::Rest, 40),
        (&relayed, "signal.call-hides-peer-ip", ControlKind::Call, 20),
    ] {
        let of = |controls: u32| {
            let report = judged("signal", files, controls, &catalogue);
            report.claims.into_iter().find(|c| c.id == id).unwrap()
        };
        let claim = of(20);
        assert_eq!(said(&claim), "not-contradicted", "{id}: {} {:?}", claim.explanation.en, claim.control);
        let control = claim.control.unwrap();
        assert_eq!((control.kind, control.planted, control.found), (kind, planted, planted), "{id}");
        assert!(claim.next.is_empty(), "{id}: {:?}", claim.next);
        let without = of(0);
        assert_eq!((said(&without).as_str(), without.control), ("not-contradicted", None), "{id}");
        assert!(
            without.explanation.en.contains("detection power is not known"),
            "{}",
            without.explanation.en
        );
        assert!(without.next[0].command.ends_with(" --controls 60"), "{id}: {:?}", without.next);
    }
    // A reading that takes anything for rest proves nothing by its silence, and of a step that is too short it says nothing.
    let judged_by = |limit: &str, seconds: u32| {
        let text = format!(
            "[[claim]]\nid = \"signal.x\"\ncriterion = \"gdpr\"\ntext = {{ en = \"a\", de = \"b\" }}\ndecided_by = \"traffic\"\n\
             sources = [ {{ id = \"s\", text = \"t\" }} ]\nabsence = true\ncontrol = \"K8\"\nsteps = [\"idle\"]\n\
             supports = {{ all = \"steps\", of = {{ step = [\"idle\"] }}, seconds_over = {seconds}, bytes_per_hour_below = {limit} }}\n"
        );
        let catalogue = Catalogue::from_texts([("x.toml".to_owned(), text)]).unwrap();
        judged("signal", &files, 20, &catalogue).claims.remove(0)
    };
    assert_eq!(said(&judged_by("1000000000", 3600)), "inconclusive: control-failed");
    let found = judged_by("65536", 3600).control.unwrap();
    assert_eq!((found.planted, found.found), (40, 40));
    assert_eq!(judged_by("65536", 100_000).control, None);
}

/// The conditions that claim files may use, by the schema.
fn known() -> Vec<(String, String)> {
    let schema: serde_json::Value = serde_json::from_str(&metaleak::claims::schema()).unwrap();
    let subjects = schema["$defs"]["PredicateTable"]["$defs"].as_object().unwrap();
    let of = |(subject, s): (&String, &serde_json::Value)| {
        let conditions = s["properties"].as_object().unwrap().keys();
        conditions.map(|c| (subject.clone(), c.clone())).collect::<Vec<_>>()
    };
    let mut all: Vec<(String, String)> = subjects.iter().flat_map(of).collect();
    let words = ["all", "all_of", "any", "any_of", "count", "none", "not", "share", "within"];
    all.extend(words.map(|word| (String::new(), word.to_owned())));
    all.sort();
    all
}

const EXPECTED: [&str; 3] = ["supported", "contradicted", "inconclusive"];

/// The rows that did not come out as planted.
fn wrong(rows: &[Row]) -> Vec<String> {
    let mut used: Vec<&str> = rows.iter().flat_map(|r| r.studies).collect();
    used.sort_unstable();
    used.dedup();
    let mut wrong = Vec::new();
    for name in used {
        let files = study(name);
        let messenger = match name.split(' ').next() {
            Some("XMPP") => "conversations",
            Some("foo-chat") => "foo-chat",
            _ => "signal",
        };
        let here: Vec<(usize, &Row)> =
            rows.iter().enumerate().filter(|(_, r)| r.studies.contains(&name)).collect();
        let mut text = String::new();
        for (n, row) in &here {
            writeln!(
                text,
                "[[claim]]\nid = \"{messenger}.r{n}\"\ncriterion = \"gdpr\"\ntext = {{ en = \"a\", de = \"b\" }}\ndecided_by = \"traffic\"\n\
                 sources = [ {{ id = \"s\", text = \"t\" }} ]\nsupports = {}\ncontradicts = {}\n",
                row.supports, row.contradicts
            )
            .unwrap();
        }
        let catalogue =
            Catalogue::from_texts([("rows.toml".to_owned(), text)]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let report = judged(messenger, &files, 0, &catalogue);
        for (n, row) in here {
            let result = report.claims.iter().find(|c| c.id == format!("{messenger}.r{n}")).unwrap();
            let place = row.studies.iter().position(|s| *s == name).unwrap();
            if result.verdict.to_string() != EXPECTED[place] {
                wrong.push(format!(
                    "{} {} on {name}: expected {}, got {} {:?}",
                    row.subject,
                    row.condition,
                    EXPECTED[place],
                    said(result),
                    result.evidence
                ));
            }
        }
    }
    wrong
}

pub(super) const BEGIN: &str = "<!-- predicates: made by tests/planted/predicates.rs -->\n";
pub(super) const END: &str = "<!-- end of predicates -->\n";

fn table(rows: &[Row]) -> String {
    let mut out = String::from(BEGIN);
    out += "| of | condition or word | supported by | contradicted by | left open by |\n| --- | --- | --- | --- | --- |\n";
    for row in rows {
        let subject = if row.subject.is_empty() { "predicates" } else { row.subject };
        let [a, b, c] = row.studies;
        writeln!(out, "| {subject} | `{}` | {a} | {b} | {c} |", row.condition).unwrap();
    }
    out + END
}

#[test]
fn every_predicate_supports_contradicts_and_leaves_open() {
    let rows = rows();
    let mut tried: Vec<(String, String)> =
        rows.iter().map(|r| (r.subject.to_owned(), r.condition.to_owned())).collect();
    tried.sort();
    assert_eq!(tried, known(), "first what is planted, then what the language has");
    let wrong = wrong(&rows);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len() * 3, wrong.join("\n"));
    super::document(BEGIN, END, &table(&rows));
}
