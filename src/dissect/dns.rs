//! DNS over UDP and TCP, and multicast DNS (RFC 1035, 6762, 7766; SVCB and HTTPS records RFC 9460).
//!
//! Takes messages; gives questions, answers with their records, and the addresses of names for later flows. Reads the common
//! record types; others are shown by their length. A fault ends a message but not what was read of it.
//! Does not validate signatures.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::ech::{self, EchConfig};
use super::packet::IpProto;
use super::{Class, Cx, Dissector, Match, Probe, Protocol, Reader, Short, Step};
use crate::capture::hex;
use crate::model::Direction;

/// Registration.
pub(super) static PROTOCOL: Protocol = Protocol {
    id: "dns",
    title: "DNS",
    source: "RFC 1035, RFC 6762, RFC 9460",
    over: &[IpProto::UDP, IpProto::TCP],
    ports: &[53, 5353, 5355],
    reads: "questions and answers over UDP, TCP, multicast and link-local (LLMNR); not DNSSEC, not updates' records",
    probe,
    start: || Box::new(Dns),
};

const CLASS: Class = Class::clear("dns");

/// Names longer than this are refused (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// Records of one message that are read.
const MAX_RECORDS: usize = 512;

/// Addresses that one SVCB or HTTPS record hints at and that are kept.
const MAX_HINTS: usize = 32;

fn probe(p: &Probe<'_>) -> Match {
    let ports = [p.server_port, p.client_port];
    if !ports.iter().any(|port| PROTOCOL.ports.contains(port)) {
        return Match::No;
    }
    let header = if p.proto == IpProto::TCP { p.data.get(2..).unwrap_or_default() } else { p.data };
    if header.len() < 12 {
        return if p.proto == IpProto::TCP { Match::Maybe } else { Match::No };
    }
    // Opcodes above 6 and more than a few hundred entries are not DNS.
    let count =
        |at: usize| header.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_be_bytes(*b));
    let opcode = header.get(2).map_or(0, |b| b >> 3 & 0x0f);
    let sane = opcode <= 6 && (4..12).step_by(2).all(|at| count(at) <= 512);
    // Damaged counts do not hide a question that can be read on the port that is DNS's own.
    let asked = || p.proto == IpProto::UDP && ports.contains(&53) && count(4) > 0 && first_question(header);
    if sane || asked() { Match::Yes } else { Match::No }
}

/// The first question of a message is whole.
fn first_question(message: &[u8]) -> bool {
    let mut r = Reader::new(message);
    r.take("header", 12).is_ok()
        && name(message, &mut r).is_ok_and(|n| n != ".")
        && r.take("type and class", 4).is_ok()
}

struct Dns;

impl Dissector for Dns {
    fn stream(&mut self, _: Direction, data: &[u8], cx: &mut Cx<'_>) -> Step {
        let mut r = Reader::new(data);
        let Ok(length) = r.u16("message length") else { return Step::More(2) };
        let size = 2 + usize::from(length);
        let Some(message) = data.get(2..size) else { return Step::More(size) };
        // Inside an encryption it is one of the two that CONTRACT names by what carries them.
        let carried = match (cx.decrypted(), cx.ends().0) {
            (false, _) => "tcp",
            (true, IpProto::UDP) => "doq",
            (true, _) => "dot",
        };
        read(message, 2, carried, cx);
        Step::Took(size, CLASS)
    }

    fn datagram(&mut self, _: Direction, data: &[u8], cx: &mut Cx<'_>) -> Class {
        let (_, client, server) = cx.ends();
        let multicast = client.port == 5353 || server.port == 5353;
        read(data, 0, if multicast { "mdns" } else { "udp" }, cx);
        CLASS
    }

    fn unfinished(&self) -> Class {
        CLASS
    }
}

#[derive(Serialize)]
struct Query<'a> {
    transport: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    type_code: u16,
}

#[derive(Serialize)]
struct Answer<'a> {
    transport: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: Option<Cow<'static, str>>,
    type_code: Option<u16>,
    rcode: String,
    records: &'a [Record],
}

/// One resource record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Record {
    name: String,
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    ttl: u32,
    value: String,
    #[serde(skip)]
    address: Option<IpAddr>,
    /// What an SVCB or HTTPS record says beside its text.
    #[serde(skip)]
    service: Service,
}

/// Parts of an SVCB or HTTPS record that later flows are read by (RFC 9460 section 2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Service {
    /// Where the service is; `.` for the owner of the record.
    target: String,
    /// Addresses of the target, of `ipv4hint` and `ipv6hint`; none of an alias.
    hints: Vec<IpAddr>,
    /// Public names and ids of ECH configurations.
    ech: Vec<EchConfig>,
}

/// A message as far as it could be read.
struct Message {
    response: bool,
    rcode: u8,
    questions: Vec<(String, u16)>,
    records: Vec<Record>,
    stopped: Option<Short>,
}

/// Reads one message; `at` is its index in the bytes shown.
fn read(bytes: &[u8], at: usize, transport: &str, cx: &mut Cx<'_>) {
    let range = 0..at + bytes.len();
    let m = match message(bytes, cx.observing()) {
        Ok(m) => m,
        Err(short) => {
            cx.warn(at, format!("DNS: {short}"));
            return;
        }
    };
    if m.response {
        let question = m.questions.first();
        for config in m.records.iter().flat_map(|r| &r.service.ech) {
            cx.ech_configuration(config, range.clone());
        }
        // A name that is answered by way of aliases holds no longer than the shortest of them.
        let alias = m.records.iter().filter(|r| r.kind == "CNAME").map(|r| r.ttl).min().unwrap_or(u32::MAX);
        // Most answers hold records of the name itself alone.
        let served =
            LazyCell::new(|| question.map(|(asked, _)| chain(asked, &m.records)).unwrap_or_default());
        for record in &m.records {
            // What belongs to another name says nothing of the one that was asked for: a name server's address is its own.
            let question =
                question.filter(|(asked, _)| *asked == record.name || served.contains(&*record.name));
            if let Some(address) = reversed(record) {
                cx.dns_pointer(&record.value, address, record.ttl, range.clone());
            }
            hint(record, question.map(|(asked, _)| &**asked), alias, &range, cx);
            let Some(address) = record.address else { continue };
            if let Some((asked, _)) = question {
                let ttl = if *asked == record.name { record.ttl } else { record.ttl.min(alias) };
                cx.dns_answer(asked, address, ttl, range.clone());
            }
            cx.dns_answer(&record.name, address, record.ttl, range.clone());
        }
        cx.emit("dns.answer", range.clone(), || Answer {
            transport,
            name: question
                .map(|(name, _)| name.as_str())
                .or_else(|| m.records.first().map(|r| r.name.as_str()))
                .unwrap_or_default(),
            kind: question.map(|(_, t)| type_name(*t)),
            type_code: question.map(|(_, t)| *t),
            rcode: rcode_name(m.rcode),
            records: &m.records,
        });
    } else {
        for (name, kind) in &m.questions {
            cx.emit("dns.query", range.clone(), || Query {
                transport,
                name,
                kind: type_name(*kind),
                type_code: *kind,
            });
        }
    }
    if let Some(short) = m.stopped {
        cx.warn(at + short.at.min(bytes.len().saturating_sub(1)), format!("DNS: {short}"));
    }
}

/// The name that was asked for, and those that it leads to by way of aliases and of the targets of its service records.
fn chain<'a>(asked: &'a str, records: &'a [Record]) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::from([asked]);
    let mut open = vec![asked];
    while let Some(name) = open.pop() {
        for record in records.iter().filter(|r| r.name == name) {
            let next = match &*record.kind {
                "CNAME" => &record.value,
                "HTTPS" | "SVCB" if record.service.target != "." => &record.service.target,
                _ => continue,
            };
            if names.insert(next) {
                open.push(next);
            }
        }
    }
    names
}

/// The names that a record's hints give addresses: of an HTTPS record the origin that was asked for, without what stands before it
/// for a port (RFC 9460 section 9.1), and the target; of SVCB the target alone, as its owner need not be the name of a host.
fn hint(record: &Record, asked: Option<&str>, alias: u32, range: &std::ops::Range<usize>, cx: &mut Cx<'_>) {
    let Service { target, hints, .. } = &record.service;
    if hints.is_empty() {
        return;
    }
    let host = |name: &str| {
        let mut rest = name;
        while let Some((_, behind)) = rest.split_once('.').filter(|_| rest.starts_with('_')) {
            rest = behind;
        }
        rest.to_owned()
    };
    let owner = host(&record.name);
    let mut names = Vec::new();
    if record.kind == "HTTPS" {
        names.extend(
            asked.map(host).filter(|asked| *asked != owner).map(|asked| (asked, record.ttl.min(alias))),
        );
    }
    if record.kind == "HTTPS" || target == "." {
        names.push((owner, record.ttl));
    }
    if target != "." && !names.iter().any(|(name, _)| name == target) {
        names.push((target.clone(), record.ttl));
    }
    for (name, ttl) in &names {
        for address in hints {
            cx.dns_hint(name, *address, *ttl, range.clone());
        }
    }
}

/// The address whose name a PTR record is, by the owner's name in `in-addr.arpa` (RFC 1035 section 3.5) or `ip6.arpa` (RFC 3596
/// section 2.5); `None` for other records, names of services (RFC 6763) among them, and for names that are none.
fn reversed(record: &Record) -> Option<IpAddr> {
    if record.kind != "PTR" || !record.value.contains('.') || record.value.starts_with("\\#") {
        return None;
    }
    if let Some(digits) = record.name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0u8; 4];
        let mut labels = digits.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = labels.next()?.parse().ok()?;
        }
        return labels.next().is_none().then(|| IpAddr::from(octets));
    }
    let digits = record.name.strip_suffix(".ip6.arpa")?;
    let mut address = 0u128;
    let mut labels = 0u32;
    for label in digits.split('.') {
        let digit = u128::from_str_radix(label, 16).ok().filter(|_| label.len() == 1 && labels < 32)?;
        address |= digit << (4 * labels);
        labels += 1;
    }
    (labels == 32).then(|| IpAddr::from(Ipv6Addr::from_bits(address)))
}

/// Reads as far as it goes; records that only an observation would tell are left out unless `told`.
fn message(bytes: &[u8], told: bool) -> Result<Message, Short> {
    let mut r = Reader::new(bytes);
    r.u16("transaction id")?;
    let flags = r.u16("flags")?;
    let questions = r.u16("question count")?;
    let counts = [r.u16("answer count")?, r.u16("authority count")?, r.u16("additional count")?];
    let mut m = Message {
        response: flags & 0x8000 != 0,
        rcode: (flags & 0x0f) as u8,
        questions: Vec::new(),
        records: Vec::new(),
        stopped: None,
    };
    let all = counts.iter().map(|c| usize::from(*c)).sum::<usize>().min(MAX_RECORDS);
    m.stopped = body(bytes, &mut r, (questions, all), told, &mut m.questions, &mut m.records).err();
    Ok(m)
}

fn body<'a>(
    bytes: &'a [u8],
    r: &mut Reader<'a>,
    (questions, records): (u16, usize),
    told: bool,
    asked: &mut Vec<(String, u16)>,
    found: &mut Vec<Record>,
) -> Result<(), Short> {
    for _ in 0..usize::from(questions).min(MAX_RECORDS) {
        let name = name(bytes, r)?;
        let kind = r.u16("question type")?;
        r.u16("question class")?;
        asked.push((name, kind));
    }
    for _ in 0..records {
        let name = name(bytes, r)?;
        let kind = r.u16("record type")?;
        let class = r.u16("record class")?;
        let ttl = r.u32("record ttl")?;
        let length = usize::from(r.u16("record length")?);
        let start = r.at();
        let data = r.take("record data", length)?;
        // OPT is about the transport, not about a name.
        if kind == 41 {
            continue;
        }
        // Without observations only addresses, names of addresses, how long they hold, hints and ECH configurations are of use.
        if !told && !matches!(kind, 1 | 5 | 12 | 28 | 64 | 65) {
            continue;
        }
        let mut service = Service::default();
        let (value, mut address) = value(bytes, kind, start, data, &mut service);
        // Addresses of the Internet alone; the highest bit is one of multicast DNS (RFC 6762 section 10.2).
        if class & 0x7fff != 1 {
            (address, service) = (None, Service::default());
        }
        found.push(Record { name, kind: type_name(kind), ttl, value, address, service });
    }
    Ok(())
}

/// A name with compression (RFC 1035 section 4.1.4), in presentation form: lower case, no final dot, the root is `.`.
fn name<'a>(message: &'a [u8], r: &mut Reader<'a>) -> Result<String, Short> {
    // Most names fit, so that they do not grow label by label.
    let mut text = String::with_capacity(40);
    let mut jumped: Option<Reader<'_>> = None;
    let mut limit = r.at();
    let mut wire = 0;
    loop {
        let from = jumped.as_mut().unwrap_or(r);
        let length = from.u8("name")?;
        match length >> 6 {
            0 if length == 0 => break,
            0 => {
                let label = from.take("label", usize::from(length))?;
                wire += label.len() + 1;
                if wire > MAX_NAME {
                    return Err(Short {
                        field: "name of at most 255 bytes",
                        at: limit,
                        needed: wire,
                        left: MAX_NAME,
                    });
                }
                if !text.is_empty() {
                    text.push('.');
                }
                push_label(&mut text, label);
            }
            3 => {
                let low = from.u8("compression pointer")?;
                let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                // Pointers go back, always farther: a loop is impossible.
                if target >= limit {
                    return Err(Short {
                        field: "compression pointer to earlier bytes",
                        at: limit,
                        needed: target,
                        left: limit,
                    });
                }
                limit = target;
                let mut next = Reader::new(message);
                next.take("compression pointer", target)?;
                jumped = Some(next);
            }
            _ => {
                return Err(Short {
                    field: "label of a known kind",
                    at: limit,
                    needed: usize::from(length),
                    left: 0,
                });
            }
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    Ok(text)
}

/// Presentation form of a label (RFC 4343): dots, backslashes and bytes that are not printable ASCII are escaped.
fn push_label(text: &mut String, label: &[u8]) {
    use std::fmt::Write as _;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if let Some(name) = std::str::from_utf8(label).ok().filter(|_| label.iter().all(plain)) {
        let from = text.len();
        text.push_str(name);
        text.get_mut(from..).into_iter().for_each(str::make_ascii_lowercase);
        return;
    }
    for b in label {
        match b {
            b'.' | b'\\' => {
                text.push('\\');
                text.push(*b as char);
            }
            0x21..=0x7e => text.push(b.to_ascii_lowercase() as char),
            // Multicast service names have spaces (RFC 6763).
            b' ' => text.push(' '),
            _ => {
                let _ = write!(text, "\\{b:03}");
            }
        }
    }
}

/// A record's data in presentation form, and its address when it is one.
fn value<'a>(
    message: &'a [u8],
    kind: u16,
    start: usize,
    data: &'a [u8],
    told: &mut Service,
) -> (String, Option<IpAddr>) {
    let mut inner = Reader::new(message.get(..start + data.len()).unwrap_or(message));
    let _ = inner.take("start", start);
    let text = match kind {
        1 | 28 => {
            let address = match *data {
                [a, b, c, d] if kind == 1 => Some(IpAddr::from(Ipv4Addr::new(a, b, c, d))),
                _ => <[u8; 16]>::try_from(data)
                    .ok()
                    .filter(|_| kind == 28)
                    .map(|o| IpAddr::from(Ipv6Addr::from(o))),
            };
            return (address.map_or_else(|| hex(data), |a| a.to_string()), address);
        }
        2 | 5 | 12 | 39 => name(message, &mut inner).ok(),
        15 => (|| {
            let preference = inner.u16("preference").ok()?;
            Some(format!("{preference} {}", name(message, &mut inner).ok()?))
        })(),
        33 => (|| {
            let (p, w, port) =
                (inner.u16("priority").ok()?, inner.u16("weight").ok()?, inner.u16("port").ok()?);
            Some(format!("{p} {w} {port} {}", name(message, &mut inner).ok()?))
        })(),
        6 => (|| Some(format!("{} {}", name(message, &mut inner).ok()?, name(message, &mut inner).ok()?)))(),
        16 => {
            let mut r = Reader::new(data);
            let mut parts = Vec::new();
            while let Ok(part) = r.vec8("text") {
                parts.push(format!("\"{}\"", part.rest().escape_ascii()));
            }
            Some(parts.join(" "))
        }
        64 | 65 => service(message, &mut inner, told),
        _ => None,
    };
    (
        text.unwrap_or_else(|| {
            format!("\\# {} {}", data.len(), hex(data.get(..64.min(data.len())).unwrap_or_default()))
        }),
        None,
    )
}

/// SVCB and HTTPS (RFC 9460 section 2.1).
fn service<'a>(message: &'a [u8], r: &mut Reader<'a>, told: &mut Service) -> Option<String> {
    let priority = r.u16("priority").ok()?;
    let target = name(message, r).ok()?;
    let mut text = format!("{priority} {target}");
    told.target = target;
    let mut usable = true;
    while let (Ok(key), Ok(mut value)) = (r.u16("parameter"), r.vec16("parameter value")) {
        text.push(' ');
        let whole = value.rest();
        text += &match key {
            0 => {
                // A record that asks for what is not known is not to be used (RFC 9460 section 8).
                while let Ok(key) = value.u16("mandatory key") {
                    usable &= (1..=6).contains(&key);
                }
                format!("key0={}", hex(whole))
            }
            1 => {
                let mut ids = Vec::new();
                while let Ok(id) = value.vec8("alpn") {
                    ids.push(id.rest().escape_ascii().to_string());
                }
                format!("alpn={}", ids.join(","))
            }
            2 => "no-default-alpn".to_owned(),
            3 => format!("port={}", value.u16("port").ok()?),
            4 | 6 => {
                let size = if key == 4 { 4 } else { 16 };
                let fits = whole.len().is_multiple_of(size);
                let hints: Vec<IpAddr> = value
                    .rest()
                    .chunks_exact(size)
                    .filter(|_| fits)
                    .filter_map(|c| {
                        let v4 = <[u8; 4]>::try_from(c).map(IpAddr::from);
                        v4.or_else(|_| <[u8; 16]>::try_from(c).map(IpAddr::from)).ok()
                    })
                    .collect();
                // An alias has no parameters: what stands there is to be ignored (RFC 9460 section 2.4.2).
                if priority > 0 {
                    let room = MAX_HINTS.saturating_sub(told.hints.len());
                    told.hints.extend(hints.iter().take(room));
                }
                let hints: Vec<String> = hints.iter().map(IpAddr::to_string).collect();
                format!("ipv{}hint={}", key, hints.join(","))
            }
            5 => {
                told.ech.extend(ech::configurations(value.clone()));
                format!("ech={}", hex(value.rest()))
            }
            _ => format!("key{key}={}", hex(value.rest())),
        };
    }
    if !usable {
        *told = Service::default();
    }
    Some(text)
}

fn type_name(code: u16) -> Cow<'static, str> {
    let name = match code {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        39 => "DNAME",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        257 => "CAA",
        _ => return Cow::Owned(format!("TYPE{code}")),
    };
    Cow::Borrowed(name)
}

fn rcode_name(code: u8) -> String {
    match code {
        0 => "NOERROR".into(),
        1 => "FORMERR".into(),
        2 => "SERVFAIL".into(),
        3 => "NXDOMAIN".into(),
        4 => "NOTIMP".into(),
        5 => "REFUSED".into(),
        n => format!("RCODE{n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response with one question, a CNAME by compression and an A record.
    fn response() -> Vec<u8> {
        let mut m = vec![0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0];
        m.extend(b"\x03www\x07Example\x00\x00\x01\x00\x01");
        m.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x03cdn\xc0\x10");
        m.extend(b"\xc0\x29\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01");
        m
    }

    #[test]
    fn compression_and_addresses() {
        let m = message(&response(), true).unwrap();
        assert_eq!(m.stopped, None);
        assert_eq!(m.questions, [("www.example".to_owned(), 1)]);
        let seen: Vec<_> = m.records.iter().map(|r| format!("{} {} {}", r.name, r.kind, r.value)).collect();
        assert_eq!(seen, ["www.example CNAME cdn.example", "cdn.example A 192.0.2.1"]);
    }

    #[test]
    fn cut_anywhere_keeps_what_was_read() {
        let whole = response();
        for cut in 0..whole.len() {
            match message(&whole[..cut], true) {
                Ok(m) => {
                    assert!(m.stopped.is_some(), "{cut}");
                    assert!(cut < 29 || m.questions.len() == 1, "{cut}");
                }
                Err(short) => assert!(cut < 12 && short.at <= cut, "{cut}: {short}"),
            }
        }
    }

    #[test]
    fn hostile_names_end() {
        for (name, tail) in
            [("self pointer", &b"\xc0\x0c"[..]), ("forward", b"\xc0\xff"), ("reserved", b"\x80aaa")]
        {
            let mut m = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            m.extend(tail);
            m.extend(b"\x00\x01\x00\x01");
            let m = message(&m, true).unwrap();
            assert!(m.stopped.is_some() && m.questions.is_empty(), "{name}");
        }
    }
}
