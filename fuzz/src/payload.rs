//! The search for secrets and the functions that read and mask them.
//!
//! Takes inputs as each function says; checks that pieces say the same as the whole, that what is planted is found, and that what is
//! masked is not shown.

use metaleak::payload::base64::{STANDARD, URL_SAFE, decode, encode};
use metaleak::payload::credential::{http_authorization, sasl, sasl_plain_message};
use metaleak::payload::imap::imap_login;
use metaleak::payload::mask::{escape, mask_email, mask_number};
use metaleak::payload::unpack::{Coding, MAX_CONTENT, Unpacker};
use metaleak::payload::{
    CanarySet, CanaryState, Credential, Found, ImapLogin, Masking, SaslLogin, Scanner, TextMeter, UserPass,
    mask, mask_header, mask_target,
};

use super::Traits;
use super::check::{SECRET, assert_plain, mark, size_mark, tell_apart, timed};

/// Text out of a length byte and that many bytes.
fn short<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, behind)) = rest.split_first() else { return &[] };
    let (text, left) = behind.split_at(usize::from(*length).min(behind.len()));
    *rest = left;
    text
}

/// A count of canaries, the canaries with a length byte each, the size of pieces, the text.
pub fn canary(data: &[u8]) -> Traits {
    let mut rest = data;
    let count = rest.split_off_first().copied().unwrap_or(0) % 4 + 1;
    let values: Vec<String> =
        (0..count).map(|_| String::from_utf8_lossy(short(&mut rest)).into_owned()).collect();
    let named: Vec<(String, String)> =
        values.iter().zip('a'..).map(|(value, name)| (name.to_string(), value.clone())).collect();
    let set = match CanarySet::new(&named) {
        Ok(set) => set,
        Err(e) => return vec![mark(&["refused", &format!("{e:?}")[..6]])],
    };
    let piece = usize::from(rest.split_off_first().copied().unwrap_or(0)).max(1);
    let planted = rest.len() / 2;
    let mut text = rest.to_vec();
    let first = values.first().expect("at least one");
    text.splice(planted..planted, first.bytes());

    let base = 1000;
    let mut whole = Vec::new();
    timed(|| set.scan(base, &text, &mut |hit| whole.push(hit)));
    let mut pieces = Vec::new();
    let mut state = CanaryState::default();
    for (at, part) in (base..).step_by(piece).zip(text.chunks(piece)) {
        set.feed(&mut state, at, part, &mut |hit| pieces.push(hit));
    }
    assert_eq!(whole, pieces, "in pieces of {piece}");

    let (from, to) = (base + planted as u64, base + (planted + first.len()) as u64);
    // Of overlapping hits of one canary only the first is told.
    let found = whole.iter().any(|h| h.canary == 0 && h.start < to && h.end > from);
    assert!(found, "{first:?} is not found in {text:?}");
    let mut traits = vec![size_mark("hits", whole.len() as u64)];
    for hit in &whole {
        let value = &values[hit.canary];
        assert!(hit.start < hit.end && hit.start >= base && hit.end <= base + text.len() as u64, "{hit:?}");
        // Line breaks are not seen: those that a value begins with are no part of a hit.
        if hit.encoding.is_empty() && !value.contains(['\r', '\n']) {
            let at = (hit.start - base) as usize..(hit.end - base) as usize;
            assert_eq!(&text[at], value.as_bytes(), "{hit:?}");
        }
        hidden(value, |v| Masking::On.apply_any(v));
        let finding = set.finding(hit, Masking::On, false);
        assert_plain("a finding", &finding.what);
        traits.push(mark(&["encoding", &hit.encoding.join(" ")]));
    }
    traits
}

/// The first byte chooses how a secret is packed, the second is the size of pieces; the rest follows the packed secret.
pub fn scan(data: &[u8]) -> Traits {
    use std::io::Write as _;

    let mut rest = data;
    let how = rest.split_off_first().copied().unwrap_or(0) % 5;
    let piece = usize::from(rest.split_off_first().copied().unwrap_or(0)).max(1);
    let set = CanarySet::new(&[("secret".to_owned(), SECRET.to_owned())]).expect("a fine value");
    let gzip = |bytes: &[u8]| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).expect("memory takes it");
        writer.finish().expect("memory takes it")
    };
    let secret = [b"a text with ", SECRET.as_bytes(), b" in it"].concat();
    let mut bytes = match how {
        0 => secret,
        1 => gzip(&secret),
        2 => [encode(&gzip(&secret), STANDARD), b"\n".to_vec()].concat(),
        3 => gzip(&[b"{\"in\":\"", &gzip(&secret)[..], b"\"}"].concat()),
        _ => gzip(&secret).iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect(),
    };
    bytes.extend_from_slice(rest);
    let look = |piece: usize| {
        let (mut scanner, mut all) = (Scanner::default(), Vec::new());
        for (at, part) in (0..).step_by(piece).zip(bytes.chunks(piece)) {
            scanner.feed(&set, at, part, true, &mut |_, _| vec![7], &mut |found| all.push(found));
        }
        scanner.finish(&set, &mut |found| all.push(found));
        all
    };
    let mut traits = Vec::new();
    for piece in [bytes.len().max(1), piece] {
        let all = timed(|| look(piece));
        let mut there = false;
        for found in &all {
            match found {
                Found::Here(hit) => there |= how == 0 && hit.encoding.is_empty(),
                Found::Within(hit, marks) => {
                    there |= how > 0;
                    assert!(marks.iter().all(|mark| *mark == 7) && !marks.is_empty(), "{marks:?}");
                    assert!(hit.start < hit.end && hit.end <= bytes.len() as u64, "{hit:?}");
                    traits.push(mark(&["within", &hit.encoding.join(" ")]));
                }
                Found::GivenUp(at, why) => {
                    assert!(*at <= bytes.len() as u64);
                    assert_plain("a reason", why);
                    traits.push(mark(&["given up"]));
                }
            }
        }
        assert!(there, "the secret is not found in pieces of {piece}: {all:?}");
        traits.push(size_mark("found", all.len() as u64));
    }
    traits
}

/// The first byte chooses the coding and whether the harness packs the rest, the second is the size of pieces.
pub fn unpack(data: &[u8]) -> Traits {
    use std::io::Write as _;

    let mut rest = data;
    let how = rest.split_off_first().copied().unwrap_or(0);
    let piece = usize::from(rest.split_off_first().copied().unwrap_or(0)).max(1);
    let codings = [Coding::Gzip, Coding::Zlib, Coding::Deflate, Coding::Brotli, Coding::Zstd];
    let coding = codings[usize::from(how) % codings.len()];
    let packs = how >= 128;
    let level = flate2::Compression::fast();
    let bytes = match (packs, coding) {
        (true, Coding::Gzip) => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(rest).expect("memory takes it");
            writer.finish().expect("memory takes it")
        }
        (true, Coding::Zlib) => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
            writer.write_all(rest).expect("memory takes it");
            writer.finish().expect("memory takes it")
        }
        (true, Coding::Deflate) => {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
            writer.write_all(rest).expect("memory takes it");
            writer.finish().expect("memory takes it")
        }
        _ => rest.to_vec(),
    };
    let open = |piece: usize| {
        let (mut unpacker, mut content, mut fault) = (Unpacker::new(coding), Vec::new(), None);
        'all: for part in bytes.chunks(piece) {
            let mut part = part;
            while !part.is_empty() && !unpacker.ended() {
                match unpacker.push(part, &mut |given| content.extend_from_slice(given)) {
                    Ok(taken) => {
                        assert!(taken <= part.len(), "took {taken} of {}", part.len());
                        if taken == 0 {
                            break;
                        }
                        part = &part[taken..];
                    }
                    Err(why) => {
                        fault = Some(why);
                        break 'all;
                    }
                }
            }
        }
        let ended = unpacker.ended();
        unpacker.finish(&mut |given| content.extend_from_slice(given));
        (content, fault, ended)
    };
    let (whole, fault, ended) = timed(|| open(bytes.len().max(1)));
    let (pieces, other, _) = timed(|| open(piece));
    // A round of unpacking may give what is too much by its own size.
    assert!((whole.len() as u64) < MAX_CONTENT + (1 << 20), "{} bytes", whole.len());
    let common = whole.len().min(pieces.len());
    assert_eq!(whole[..common], pieces[..common], "in pieces of {piece}");
    if fault.is_none() && other.is_none() {
        assert_eq!(whole.len(), pieces.len(), "in pieces of {piece}");
    }
    if packs && matches!(coding, Coding::Gzip | Coding::Zlib | Coding::Deflate) {
        assert_eq!((whole.as_slice(), fault, ended), (rest, None, true), "{coding:?} of its own");
    }
    vec![
        mark(&[coding.id(), &format!("{fault:?} {other:?} {ended}")]),
        size_mark("content", whole.len() as u64),
    ]
}

/// `masked` does not show a value of some length, unless its words say the same of every value of that length.
fn hidden(value: &str, masked: impl Fn(&str) -> String) {
    let shown = masked(value);
    assert_plain("a masked value", &shown);
    let length = value.chars().count();
    if length >= 8 && shown.contains(value) {
        // The first and the last character may be shown.
        let inner = |(at, c): (usize, char)| {
            if c.is_alphanumeric() && at > 0 && at + 1 < length { 'Ω' } else { c }
        };
        let other: String = value.chars().enumerate().map(inner).collect();
        assert!(masked(&other).contains(value), "{value:?} is shown: {shown}");
    }
}

fn credential_traits(found: Option<Credential>) -> Traits {
    let Some(found) = found else { return vec![mark(&["none"])] };
    if let Some(secret) = &found.secret {
        hidden(secret, |secret| {
            let other = Credential { secret: Some(secret.to_owned()), ..found.clone() };
            other.finding((3, 7), Masking::On, false).what
        });
        hidden(secret, |secret| {
            let other = Credential { secret: Some(secret.to_owned()), user: None, ..found.clone() };
            format!("{other:?}")
        });
    }
    let finding = found.finding((3, 7), Masking::On, false);
    assert_eq!(finding.range, (3, 7));
    assert_plain("a finding", &finding.what);
    assert_plain("a finding", &found.finding((3, 7), Masking::Off, true).what);
    let parts = format!("{:?} {:?}", found.user.is_some(), found.secret.is_some());
    vec![mark(&["found", found.scheme, &parts, &format!("{:?}", found.severity())])]
}

/// The first byte chooses the function, the rest is its argument.
pub fn credential(data: &[u8]) -> Traits {
    let Some((choice, rest)) = data.split_first() else { return Vec::new() };
    let choice = choice % 8;
    let lines = || rest.split_inclusive(|b| *b == b'\n');
    let traits = match choice {
        0 => credential_traits(http_authorization(rest)),
        1 => {
            let at = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
            credential_traits(sasl(&rest[..at], rest.get(at + 1..).unwrap_or_default()))
        }
        2 => credential_traits(sasl_plain_message(rest)),
        3 => {
            let mut dialogue = SaslLogin::default();
            lines().flat_map(|line| credential_traits(dialogue.answer(line))).collect()
        }
        4 => {
            let mut dialogue = UserPass::default();
            lines().flat_map(|line| credential_traits(dialogue.pop3(line))).collect()
        }
        5 => {
            let mut dialogue = UserPass::default();
            lines().flat_map(|line| credential_traits(dialogue.ftp(line))).collect()
        }
        6 => {
            let read = imap_login(rest);
            if read != ImapLogin::More {
                // What is decided stays so, whatever follows.
                assert_eq!(read, imap_login(&[rest, b" \"x\"}\r\n"].concat()));
            }
            match read {
                ImapLogin::Done { credential, used } => {
                    assert!(used <= rest.len());
                    credential_traits(Some(credential))
                }
                ImapLogin::More => vec![mark(&["more"])],
                ImapLogin::Invalid => vec![mark(&["invalid"])],
            }
        }
        _ => {
            for alphabet in [STANDARD, URL_SAFE] {
                assert_eq!(decode(&encode(rest, alphabet)).as_deref(), Some(rest));
            }
            vec![mark(&["base64", if decode(rest).is_some() { "yes" } else { "no" }])]
        }
    };
    tell_apart(traits, u64::from(choice))
}

/// The first byte chooses the function, the rest is the text; of headers the name goes up to a colon.
pub fn mask_any(data: &[u8]) -> Traits {
    let Some((choice, rest)) = data.split_first() else { return Vec::new() };
    let text = String::from_utf8_lossy(rest);
    let choice = choice % 6;
    let shown = match choice {
        0 => {
            hidden(&text, mask);
            mask(&text)
        }
        1 => {
            hidden(&text, mask_email);
            mask_email(&text)
        }
        2 => mask_number(&text),
        3 => {
            let (name, value) = text.split_once(':').unwrap_or((&text, ""));
            for name in ["authorization", "x-api-token"] {
                // A known scheme in front is told, with the secret behind it masked.
                if !value.trim().contains(' ') {
                    hidden(value.trim(), |v| mask_header(name, v, Masking::On));
                }
            }
            assert_plain("a header as it is", &mask_header(name, value, Masking::Off));
            mask_header(name, value, Masking::On)
        }
        4 => {
            assert_plain("a target as it is", &mask_target(&text, Masking::Off));
            mask_target(&text, Masking::On)
        }
        _ => escape(&text),
    };
    assert_plain("a masked text", &shown);
    assert!(shown.len() <= 256 + 40 * text.len(), "{} bytes out of {}", shown.len(), text.len());
    vec![mark(&["mask", &choice.to_string(), &shape(&shown)]), size_mark("masked", shown.len() as u64)]
}

/// The classes of a text's characters, repetitions dropped, as far as the first sixteen.
fn shape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let class = match c {
            _ if c.is_ascii_digit() => '9',
            _ if c.is_alphabetic() => 'a',
            _ if c.is_ascii() => c,
            _ => '?',
        };
        if !out.ends_with(class) {
            out.push(class);
        }
        if out.len() >= 16 {
            break;
        }
    }
    out
}

/// The size of pieces, then the stream.
pub fn text(data: &[u8]) -> Traits {
    let Some((piece, rest)) = data.split_first() else { return Vec::new() };
    let piece = usize::from(*piece).max(1);
    let mut whole = TextMeter::default();
    whole.feed(7, rest);
    let mut pieces = TextMeter::default();
    for (at, part) in (7..).step_by(piece).zip(rest.chunks(piece)) {
        pieces.feed(at, part);
    }
    let says = |m: &TextMeter| {
        let share = m.readable_share();
        assert!((0.0..=1.0).contains(&share), "share {share}");
        format!("{:?} {share} {:?}", m.verdict(), m.run())
    };
    assert_eq!(says(&whole), says(&pieces), "in pieces of {piece}");
    assert_eq!(whole.finding(false), pieces.finding(false));
    if let Some(run) = whole.run() {
        assert!(7 <= run.start && run.start < run.end && run.end <= 7 + rest.len() as u64, "{run:?}");
        let at = (run.start - 7) as usize..(run.end - 7) as usize;
        assert!(std::str::from_utf8(&rest[at]).is_ok(), "a run that is no text: {run:?}");
    }
    let found = whole.finding(false).map(|f| format!("{:?}", f.severity));
    vec![
        mark(&["text", &format!("{:?} {found:?}", whole.verdict())]),
        size_mark("run", whole.run().map_or(0, |r| r.characters)),
    ]
}
