//! Recall and silence of the canary search, by a generated set: every encoding, digest and nesting that `docs/payload.md` lists, over
//! every transport, at every border; and traffic in which nothing was planted.
//!
//! The generator writes each form with encoders of its own, bit by bit, from a seed, and wraps it into captures as programs would.
//! `docs/recall.md` holds the counts; `METALEAK_UPDATE_DOCS=1 cargo test --test conformance` writes it anew, with all of the silent
//! traffic, of which a plain run reads a part.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests: a failure there is a failed test, and what is skipped is printed"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{PacketBuilder, Seeded, Tcp};
use metaleak::dissect::{Options, analyse_bytes};
use metaleak::payload::{CanarySet, Keys};
use sha2::Digest as _;

const SEED: u64 = 4711;
const TEXT: &str = "Jörg.Canary-4711@example.org";
/// Characters that encoders treat differently.
const MARKS: &str = "Grüße (17/4)! \"Max's\" <b> & Co";
const NUMBER: &str = "+4915112345678";

// ------------------------------------------------------------------------------------------------ encoders

fn noise(seeded: &mut Seeded, length: usize) -> Vec<u8> {
    (0..length).map(|_| b'!' + seeded.below(90) as u8).collect()
}

/// Groups of `width` bits as characters of an alphabet.
fn bits(bytes: &[u8], width: usize, alphabet: &str) -> Vec<u8> {
    let all: Vec<u8> = bytes.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).collect();
    let index = |chunk: &[u8]| (0..width).fold(0, |n, i| n * 2 + usize::from(*chunk.get(i).unwrap_or(&0)));
    all.chunks(width).map(|chunk| alphabet.as_bytes()[index(chunk)]).collect()
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn base64(bytes: &[u8], tail: &str) -> Vec<u8> {
    bits(bytes, 6, &format!("{UPPER}{}0123456789{tail}", UPPER.to_lowercase()))
}

/// The layers that may stand around others: name, and the encoder, which gets what stands around the bytes too.
type Layer = (&'static str, fn(&[u8], &mut Seeded) -> Vec<u8>);

fn surrounded(bytes: &[u8], seeded: &mut Seeded, group: usize) -> Vec<u8> {
    let (before, after) = (seeded.below(2 * group), seeded.below(group));
    let mut all = noise(seeded, before);
    all.extend_from_slice(bytes);
    all.extend(noise(seeded, after + group));
    all
}

/// Percent escapes of all but letters, digits and these.
fn percent(bytes: &[u8], kept: &str) -> Vec<u8> {
    let kept = |b: u8| !kept.is_empty() && (b.is_ascii_alphanumeric() || kept.as_bytes().contains(&b));
    bytes.iter().flat_map(|&b| if kept(b) { vec![b] } else { format!("%{b:02X}").into_bytes() }).collect()
}

/// JSON's escapes of letters beyond ASCII (of those alone where `numbers` is empty), `/` and `\`.
fn json(bytes: &[u8], numbers: &str, slash: bool, beyond: bool) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let number = |c: char| {
        c.encode_utf16(&mut [0; 2]).iter().flat_map(|u| format!("\\u{u:04X}").into_bytes()).collect()
    };
    text.chars()
        .flat_map(|c| match c {
            c if numbers.contains(c) || (beyond && !c.is_ascii()) => number(c),
            c if c.is_ascii_control() => number(c),
            '"' | '\\' => vec![b'\\', c as u8],
            '/' if slash => b"\\/".to_vec(),
            c => c.to_string().into_bytes(),
        })
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Layers of any bytes.
const ANYWHERE: [Layer; 3] = [
    ("hex", |b, s| {
        let upper = s.below(2) == 0;
        b.iter()
            .flat_map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }.into_bytes())
            .collect()
    }),
    ("base64", |b, s| base64(&surrounded(b, s, 3), "+/")),
    ("base64url", |b, s| base64(&surrounded(b, s, 3), "-_")),
];

/// Layers that escape what has to be escaped, and may change nothing: those that are met within three layers too.
const ESCAPES: [Layer; 2] = [("url", |b, _| percent(b, "-._~")), ("json", |b, _| json(b, "", true, true))];

/// All of them, around the value or around one other layer.
const WAYS: [Layer; 10] = [
    ESCAPES[0],
    ("url", |b, _| percent(b, "")),
    ("url", |b, _| percent(b, "-._~!*'()")),
    ("url", |b, _| text(&percent(b, "-._* ")).replace(' ', "+").into_bytes()),
    ("url", |b, _| percent(b, "-._~!*'();/?:@&=+$,#")),
    ESCAPES[1],
    ("json", |b, _| json(b, "", false, true)),
    ("json", |b, _| json(b, "", false, false)),
    ("json", |b, _| json(b, "&<>", false, false)),
    ("json", |b, _| match std::str::from_utf8(b) {
        Ok(text) => text.encode_utf16().flat_map(|u| format!("\\u{u:04x}").into_bytes()).collect(),
        Err(_) => b.to_vec(),
    }),
];

/// The one of forms, which is searched as the third too.
const FORM: usize = 3;
/// The one that is not searched within three layers, behind [`ANYWHERE`].
const GO: usize = ANYWHERE.len() + 8;

/// Escapes of HTML and XML, around the value itself: those of Python, PHP, Go, of text and attributes of XML; numbers beyond ASCII.
const HTML: [[&str; 3]; 7] = [
    ["&quot;", "&#x27;", ""],
    ["&quot;", "&#039;", ""],
    ["&#34;", "&#39;", ""],
    ["\"", "'", ""],
    ["&quot;", "&apos;", ""],
    ["&quot;", "&#x27;", "number"],
    ["\"", "'", "number"],
];

fn html(value: &str) -> Vec<Form> {
    let write = |[double, single, beyond]: &[&str; 3]| -> String {
        let one = |c: char| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => (*double).to_owned(),
            '\'' => (*single).to_owned(),
            c if !c.is_ascii() && !beyond.is_empty() => format!("&#{};", c as u32),
            c => c.to_string(),
        };
        value.chars().map(one).collect()
    };
    let own = |text: String| Form { chain: vec!["html".to_owned()], bytes: text.into_bytes() };
    HTML.iter().map(write).filter(|text| text != value).map(own).collect()
}

/// Layers of text, around the value itself.
const TEXTS: [Layer; 6] = [
    ("base32", |b, s| bits(&surrounded(b, s, 5), 5, &format!("{UPPER}234567"))),
    ("caritas-name", |b, _| [b"enc.", &bits(b, 5, &format!("{UPPER}234567"))[..], b"..."].concat()),
    ("html", |b, _| text(b).chars().flat_map(|c| format!("&#{};", c as u32).into_bytes()).collect()),
    ("html", |b, _| text(b).chars().flat_map(|c| format!("&#x{:X};", c as u32).into_bytes()).collect()),
    ("quoted-printable", |b, _| b.iter().flat_map(|b| format!("={b:02X}").into_bytes()).collect()),
    ("quoted-printable", |b, _| {
        b.iter()
            .flat_map(|&b| {
                if (32..127).contains(&b) && b != b'=' { vec![b] } else { format!("={b:02X}").into_bytes() }
            })
            .collect()
    }),
];

fn rotated(bytes: &[u8], by: u8) -> Vec<u8> {
    let turn = |b: u8, from: u8| from + (b - from + by) % 26;
    bytes
        .iter()
        .map(|&b| match b {
            b'a'..=b'z' => turn(b, b'a'),
            b'A'..=b'Z' => turn(b, b'A'),
            _ => b,
        })
        .collect()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = vec![];
    while value > 127 {
        out.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// What stands innermost: name, bytes.
fn innermost(value: &str) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![
        ("utf-16le".to_owned(), value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("utf-16be".to_owned(), value.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("reversed".to_owned(), value.chars().rev().collect::<String>().into_bytes()),
        (
            "rot47".to_owned(),
            value.bytes().map(|b| if (33..127).contains(&b) { (b - 33 + 47) % 94 + 33 } else { b }).collect(),
        ),
    ];
    if value == NUMBER {
        let number: u64 = value[1..].parse().unwrap();
        all.push(("varint".into(), varint(number)));
        all.push(("u64le".into(), number.to_le_bytes().into()));
        all.push(("u64be".into(), number.to_be_bytes().into()));
    } else {
        all.push(("rot13".into(), rotated(value.as_bytes(), 13)));
    }
    all
}

fn digests(value: &str) -> Vec<(String, Vec<u8>)> {
    let b = value.as_bytes();
    if value == MARKS {
        // A digest has none of them.
        return Vec::new();
    }
    let mut all: Vec<(String, Vec<u8>)> = vec![
        ("md5".into(), md5::Md5::digest(b).to_vec()),
        ("sha1".into(), sha1::Sha1::digest(b).to_vec()),
        ("sha256".into(), sha2::Sha256::digest(b).to_vec()),
        ("sha512".into(), sha2::Sha512::digest(b).to_vec()),
        ("blake2b".into(), blake2::Blake2b512::digest(b).to_vec()),
        ("blake2b-256".into(), blake2::Blake2b::<sha2::digest::consts::U32>::digest(b).to_vec()),
        ("blake2s".into(), blake2::Blake2s256::digest(b).to_vec()),
    ];
    for key in Keys::embedded().iter().filter(|k| k.name().ends_with("number") == (value == NUMBER)) {
        all.push((key.name().to_owned(), key.of(b)));
    }
    let cut = |(name, bytes): &(String, Vec<u8>)| {
        let one = |n: usize| (n < bytes.len()).then(|| (format!("{name}/{n}"), bytes[..n].to_vec()));
        [8, 10, 16].into_iter().filter_map(one).collect::<Vec<_>>()
    };
    let cuts: Vec<_> = all.iter().flat_map(cut).collect();
    all.extend(cuts);
    all
}

// --------------------------------------------------------------------------------------------------- forms

/// A written canary: its chain, outermost first, and the bytes.
#[derive(Clone)]
struct Form {
    chain: Vec<String>,
    bytes: Vec<u8>,
}

impl Form {
    /// This form within one more layer; `None` when the layer changes nothing.
    fn within(&self, (name, write): &Layer, seeded: &mut Seeded) -> Option<Form> {
        let bytes = write(&self.bytes, seeded);
        let chain = std::iter::once((*name).to_owned()).chain(self.chain.iter().cloned()).collect();
        (bytes != self.bytes).then_some(Form { chain, bytes })
    }
}

fn forms(value: &str, seeded: &mut Seeded) -> Vec<Form> {
    let own = |(name, bytes): (String, Vec<u8>)| Form { chain: vec![name], bytes };
    let plain = Form { chain: vec![], bytes: value.into() };
    let outer: Vec<Layer> = ANYWHERE.into_iter().chain(ESCAPES).collect();
    let ways: Vec<Layer> = ANYWHERE.into_iter().chain(WAYS).collect();
    let letters: Vec<Form> = innermost(value).into_iter().map(own).collect();
    let digests: Vec<Form> = digests(value).into_iter().map(own).collect();
    let around = |forms: &[Form], layers: &[Layer], seeded: &mut Seeded| -> Vec<Form> {
        let all =
            forms.iter().flat_map(|f| layers.iter().filter_map(|l| f.within(l, seeded)).collect::<Vec<_>>());
        distinct(all.collect())
    };
    let plain = [plain];
    let mut one = around(&plain, &ways, seeded);
    one.extend(around(&plain, &TEXTS, seeded));
    one.extend(html(value));
    let one = distinct(one);
    // The name of a user stands in a field of its own: nothing is around it; around base32 little is.
    let rare = ["caritas-name", "base32"];
    let (seldom, often): (Vec<Form>, Vec<Form>) =
        one.iter().cloned().partition(|f| rare.contains(&&*f.chain[0]));
    let seldom: Vec<Form> = seldom.into_iter().filter(|f| f.chain != ["caritas-name"]).collect();
    let mut two = around(&often, &ways, seeded);
    two.extend(around(&seldom, &outer, seeded));
    // Within three layers stands what most encoders write.
    let common: Vec<Layer> =
        ways.iter().enumerate().filter(|(at, _)| *at != GO).map(|(_, l)| *l).chain(TEXTS).collect();
    let mut common = around(&plain, &common, seeded);
    common.retain(|f| f.chain != ["caritas-name"]);
    let third: Vec<Layer> = outer.iter().copied().chain([WAYS[FORM]]).collect();
    let three = around(&around(&common, &outer, seeded), &third, seeded);
    let letters_two = around(&letters, &ways, seeded);
    let letters_three = around(&around(&letters, &ANYWHERE, seeded), &outer, seeded);
    let of_bytes: [Layer; 3] = [WAYS[0], WAYS[1], ("base32", |b, _| bits(b, 5, &format!("{UPPER}234567")))];
    let mut digests_two = around(&digests, &ANYWHERE, seeded);
    let digests_three = around(&digests_two, &outer, seeded);
    digests_two.extend(around(&digests, &of_bytes, seeded));
    let mut all = plain.to_vec();
    for list in [one, letters, digests, two, letters_two, digests_two, three, letters_three, digests_three] {
        all.extend(list);
    }
    all
}

/// Encoders that do not differ here write the same.
fn distinct(forms: Vec<Form>) -> Vec<Form> {
    let mut seen = std::collections::BTreeSet::new();
    forms.into_iter().filter(|f| seen.insert((f.chain.clone(), f.bytes.clone()))).collect()
}

// ---------------------------------------------------------------------------------------------- transports

/// Where a form is cut: not at all, in its middle, at every byte.
const BORDERS: [&str; 3] = ["in one piece", "a border in the middle", "a border at every byte"];
const TRANSPORTS: [&str; 6] = ["TCP", "UDP", "HTTP/1", "HTTP/2", "WebSocket", SEALED];
/// HTTP within TLS 1.3, whose secrets are given.
const SEALED: &str = "TLS with key log";
/// The secret of what clients send, and the random of their hellos, by which a key log finds it.
const SECRET: [u8; 32] = [0x5a; 32];
const RANDOM: [u8; 32] = [7; 32];

/// HKDF-Expand-Label with SHA-256 and an empty context, for up to 32 bytes (RFC 8446 section 7.1, RFC 5869 section 2.3), by its one HMAC.
fn expand(secret: &[u8], label: &str, size: u8) -> Vec<u8> {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let label = format!("tls13 {label}");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(&[&[0, size, label.len() as u8][..], label.as_bytes(), &[0, 1]].concat());
    mac.finalize().into_bytes()[..usize::from(size)].to_vec()
}

/// The records of what a client sends behind its hello, one after the other (RFC 8446 sections 5.2 and 5.3).
struct Sealer {
    cipher: aes_gcm::Aes128Gcm,
    iv: Vec<u8>,
    sequence: u64,
}

impl Sealer {
    fn new() -> Sealer {
        use aes_gcm::KeyInit as _;
        let cipher = aes_gcm::Aes128Gcm::new_from_slice(&expand(&SECRET, "key", 16)).unwrap();
        Sealer { cipher, iv: expand(&SECRET, "iv", 12), sequence: 0 }
    }

    fn record(&mut self, content: &[u8]) -> Vec<u8> {
        use aes_gcm::aead::{Aead as _, Payload};
        let mut nonce = self.iv.clone();
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        self.sequence += 1;
        let size = (content.len() as u16 + 17).to_be_bytes();
        let header = [23, 3, 3, size[0], size[1]];
        // Some bytes of padding would do as well; the type of the content comes last.
        let plain = [content, &[23]].concat();
        let nonce = nonce.as_slice().try_into().unwrap();
        let sealed = self.cipher.encrypt(&nonce, Payload { msg: &plain, aad: &header }).unwrap();
        [&header[..], &sealed].concat()
    }
}

/// The server's hello that takes TLS 1.3 with `TLS_AES_128_GCM_SHA256` (RFC 8446 section 4.1.3).
fn server_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[9; 32], &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]].concat();
    let message = [&[2, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 3, 0, message.len() as u8][..], &message].concat()
}

/// The form with something before and behind it, cut.
fn pieces(form: &[u8], border: usize) -> Vec<Vec<u8>> {
    let (before, after) = (b"\x01<\x02>".as_slice(), b"\x03{\x04}".as_slice());
    match border {
        0 => vec![[before, form, after].concat()],
        1 => {
            let (a, b) = form.split_at(form.len() / 2);
            vec![[before, a].concat(), [b, after].concat()]
        }
        _ => {
            let bytes = form.iter().map(|b| vec![*b]);
            std::iter::once(before.to_vec()).chain(bytes).chain([after.to_vec()]).collect()
        }
    }
}

/// Writes one conversation with the pieces.
fn write(to: &mut PacketBuilder, transport: &str, client: &str, pieces: &[Vec<u8>]) {
    let server = match transport {
        "TCP" => "203.0.113.9:9999",
        "UDP" => {
            to.udp(client.parse().unwrap(), "203.0.113.9:9999".parse().unwrap(), &pieces.concat());
            return;
        }
        SEALED => "203.0.113.9:443",
        _ => "203.0.113.9:80",
    };
    let mut tcp = Tcp::new(client, server);
    tcp.open(to);
    match transport {
        "TCP" => pieces.iter().for_each(|p| {
            tcp.up(to, p);
        }),
        "HTTP/1" => {
            tcp.up(to, b"POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
            for p in pieces {
                tcp.up(to, &[format!("{:x}\r\n", p.len()).as_bytes(), p, b"\r\n"].concat());
            }
            tcp.up(to, b"0\r\n\r\n");
        }
        SEALED => {
            tcp.up(to, &common::wire::client_hello("a.example"));
            tcp.down(to, &server_hello());
            let mut sealer = Sealer::new();
            let size: usize = pieces.iter().map(Vec::len).sum();
            let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: {size}\r\n\r\n");
            tcp.up(to, &sealer.record(head.as_bytes()));
            for (at, p) in pieces.iter().enumerate() {
                let record = sealer.record(p);
                // Each second one lies across segments as well.
                let (a, b) = record.split_at(if at % 2 == 0 { record.len() } else { record.len() / 2 });
                for part in [a, b].into_iter().filter(|part| !part.is_empty()) {
                    tcp.up(to, part);
                }
            }
        }
        "HTTP/2" => {
            let frame = |kind: u8, flags: u8, stream: u8, data: &[u8]| {
                let n = (data.len() as u32).to_be_bytes();
                [&[n[1], n[2], n[3], kind, flags, 0, 0, 0, stream], data].concat()
            };
            tcp.up(to, &[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b"")].concat());
            tcp.up(to, &frame(1, 4, 1, &[0x83, 0x86, 0x84]));
            for p in pieces {
                tcp.up(to, &frame(0, 0, 1, p));
            }
        }
        _ => {
            tcp.up(to, b"GET /a HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
            tcp.down(to, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
            for (at, p) in pieces.iter().enumerate() {
                let last = if at + 1 == pieces.len() { 0x80 } else { 0 };
                let kind = if at == 0 { 2 } else { 0 };
                let mask = [7, 99, 200, at as u8];
                let mut data = vec![last | kind];
                match p.len() {
                    n @ 0..126 => data.push(0x80 | n as u8),
                    n => data.extend([0xfe, (n >> 8) as u8, n as u8]),
                }
                data.extend(mask);
                data.extend(p.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
                tcp.up(to, &data);
            }
        }
    }
    tcp.close(to);
}

/// Layers that the transport itself adds; names of one thing.
fn canonical(encoding: &[String]) -> Vec<String> {
    let own = ["chunked", "http2-data", "websocket-mask", "websocket-fragments"];
    encoding
        .iter()
        .filter(|l| !own.contains(&l.as_str()))
        .map(|l| if l == "base64url" { "base64".into() } else { l.clone() })
        .collect()
}

#[derive(Default)]
struct Count {
    planted: usize,
    found: usize,
}

/// By transport, border and layers.
type Counts = BTreeMap<(usize, usize, usize), Count>;

fn recall() -> (Counts, Vec<String>) {
    let (mut counts, mut missed) = (BTreeMap::new(), Vec::new());
    for (value, name) in [(TEXT, "text"), (NUMBER, "number"), (MARKS, "marks")] {
        let set = Arc::new(CanarySet::new(&[(name.into(), value.into())]).unwrap());
        let secrets = metaleak::dissect::Secrets::default();
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<String>>().concat();
        let line = format!("CLIENT_TRAFFIC_SECRET_0 {} {}\n", hex(&RANDOM), hex(&SECRET));
        secrets.read(line.as_bytes()).unwrap();
        let options = Options { canaries: set, secrets: Arc::new(secrets), ..Options::default() };
        let forms = forms(value, &mut Seeded(SEED));
        for (t, transport) in TRANSPORTS.iter().enumerate() {
            for (b, border) in BORDERS.iter().enumerate() {
                if *transport == "UDP" && b > 0 {
                    continue;
                }
                let mut capture = PacketBuilder::new();
                for (n, form) in forms.iter().enumerate() {
                    let client = format!("10.0.{}.{}:40000", n / 256, n % 256);
                    write(&mut capture, transport, &client, &pieces(&form.bytes, b));
                }
                let read = analyse_bytes("made.pcap", &capture.finish(), &options).unwrap();
                let mut seen: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
                let hits = read.findings.iter().filter(|f| {
                    f.kind == metaleak::model::FindingKind::Canary && f.decrypted == (*transport == SEALED)
                });
                for finding in hits {
                    let flow = read.flows.iter().find(|f| f.flow == finding.flow).unwrap();
                    seen.entry(flow.client.as_str()).or_default().push(canonical(&finding.encoding));
                }
                for (n, form) in forms.iter().enumerate() {
                    let client = format!("10.0.{}.{}:40000", n / 256, n % 256);
                    let count: &mut Count = counts.entry((t, b, form.chain.len())).or_default();
                    count.planted += 1;
                    let expected = canonical(&form.chain);
                    // What is escaped may lie beside the value only, where base64 has taken up its neighbours; and where it has taken
                    // up the zero at an end, UTF-16 of either order is there.
                    // Where JSON and HTML escape different characters, either may be the outer one.
                    let is_escape = |l: &String| ESCAPES.iter().any(|(id, _)| id == l);
                    let beside = |(at, l): &(usize, &String)| {
                        let inside = expected.iter().skip(*at).find(|l| !is_escape(l));
                        is_escape(l) && inside.is_some_and(|l| l == "base64")
                    };
                    let rest: Vec<String> =
                        expected.iter().enumerate().filter(|e| !beside(e)).map(|(_, l)| l.clone()).collect();
                    let either = |chain: &[String]| -> Vec<String> {
                        let cut = chain.iter().any(|l| l == "base64");
                        let one =
                            |l: &String| if cut { l.replace("utf-16be", "utf-16le") } else { l.clone() };
                        let mut chain: Vec<String> = chain.iter().map(one).collect();
                        for at in 1..chain.len() {
                            if chain[at - 1] == "html" && chain[at] == "json" {
                                chain.swap(at - 1, at);
                            }
                        }
                        chain
                    };
                    let fits = |chain: &Vec<String>| {
                        either(chain) == either(&expected) || either(chain) == either(&rest)
                    };
                    let there = seen.get(client.as_str()).is_some_and(|all| all.iter().any(fits));
                    count.found += usize::from(there);
                    if !there {
                        missed.push(format!(
                            "{name} {transport} {border}: {} (found: {:?}): {:?}",
                            form.chain.join(","),
                            seen.get(client.as_str()),
                            String::from_utf8_lossy(&form.bytes)
                        ));
                    }
                }
            }
        }
    }
    (counts, missed)
}

// ------------------------------------------------------------------------------------------------- silence

/// Canaries of eight bytes and more that nothing holds.
fn silent_canaries() -> Vec<(String, String)> {
    let mut seeded = Seeded(SEED);
    let mut word = |alphabet: &str, length: usize| -> String {
        (0..length).map(|_| alphabet.as_bytes()[seeded.below(alphabet.len())] as char).collect()
    };
    let (letters, digits) = ("abcdefghijklmnopqrstuvwxyz", "0123456789");
    (0..24)
        .map(|n| {
            let value = match n % 4 {
                0 => word(letters, 8),
                1 => format!("+49151{}", word(digits, 8)),
                2 => format!("{}@{}.example", word(letters, 6), word(letters, 5)),
                _ => format!("{}-{}", word(&letters.to_uppercase(), 5), word(digits, 5)),
            };
            (format!("c{n}"), value)
        })
        .collect()
}

/// Bytes searched and hits, by kind of traffic; up to `most` bytes of each.
fn silence(most: usize) -> Vec<(&'static str, usize, usize)> {
    let set = CanarySet::new(&silent_canaries()).unwrap();
    let count = |data: &[u8]| {
        let mut hits = 0;
        set.scan(0, data, &mut |_| hits += 1);
        hits
    };
    let mut seeded = Seeded(SEED + 1);
    let (mut random, mut packed, mut wild) = ((0, 0), (0, 0), (0, 0));
    while random.0 < most {
        let block: Vec<u8> = (0..1 << 17).flat_map(|_| seeded.next().to_le_bytes()).collect();
        random = (random.0 + block.len(), random.1 + count(&block));
    }
    while packed.0 < most {
        // Text of words with noise between, compressed: what a stream of documents looks like.
        let text: Vec<u8> = (0..1 << 18)
            .flat_map(|_| format!("{:x} ", seeded.next() >> seeded.below(60)).into_bytes())
            .collect();
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut writer, &text).unwrap();
        let block = writer.finish().unwrap();
        packed = (packed.0 + block.len() + text.len(), packed.1 + count(&block) + count(&text));
    }
    if let Some(shared) = common::shared() {
        for path in common::corpus(&shared).values() {
            let data = std::fs::read(path).unwrap();
            wild = (wild.0 + data.len(), wild.1 + count(&data));
            if wild.0 >= most {
                break;
            }
        }
    }
    vec![
        ("random bytes", random.0, random.1),
        ("hexadecimal text and its gzip", packed.0, packed.1),
        ("captures of the corpus", wild.0, wild.1),
    ]
}

// --------------------------------------------------------------------------------------------------- tests

#[test]
fn every_listed_form_is_found_and_the_table_says_so() {
    let (counts, missed) = recall();
    let shown: Vec<&String> = missed.iter().take(40).collect();
    assert!(missed.is_empty(), "{} missed, the first ones:\n{shown:#?}", missed.len());
    let mut page = String::from(
        "| transport | border | plain | one layer | two | three | found |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (t, transport) in TRANSPORTS.iter().enumerate() {
        for (b, border) in BORDERS.iter().enumerate() {
            let of = |depth| counts.get(&(t, b, depth)).map_or(0, |c: &Count| c.planted);
            let all: Vec<usize> = (0..4).map(of).collect();
            let found: usize = (0..4).filter_map(|d| counts.get(&(t, b, d))).map(|c| c.found).sum();
            let planted: usize = all.iter().sum();
            if planted > 0 {
                page += &format!(
                    "| {transport} | {border} | {} | {} | {} | {} | {found} of {planted} |\n",
                    all[0], all[1], all[2], all[3]
                );
            }
        }
    }
    stored("recall", &page);
}

#[test]
fn nothing_is_found_where_nothing_was_planted() {
    let update = std::env::var_os("METALEAK_UPDATE_DOCS").is_some();
    let rows = silence(if update { 200 << 20 } else { 4 << 20 });
    for (what, bytes, hits) in &rows {
        assert_eq!(*hits, 0, "in {bytes} bytes of {what}");
    }
    let mib = |bytes: usize| bytes >> 20;
    let lines: Vec<String> =
        rows.iter().map(|(what, bytes, hits)| format!("| {what} | {} | {hits} |\n", mib(*bytes))).collect();
    let lines = lines.concat();
    let page = format!("| traffic | MiB | hits |\n| --- | --- | --- |\n{lines}");
    if update {
        stored("silence", &page);
    }
}

/// Both tests may write the page.
static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Compares a part of `docs/recall.md`, between its marks, with what was measured, or stores it.
fn stored(mark: &str, table: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recall.md");
    let _held = LOCK.lock().unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (old, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("METALEAK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(
            old, table,
            "docs/recall.md is out of date: METALEAK_UPDATE_DOCS=1 cargo test --test conformance"
        );
    }
}
