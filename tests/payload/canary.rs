//! Canaries: recall in every form and at every border, and silence where nothing was planted.

use metaleak::model::{Direction, FindingKind, Severity};
use metaleak::payload::{CanarySet, CanaryState, Hit, Masking};
use proptest::prelude::*;

use crate::{Noise, base64_of, hex_of, quick};

fn set(canaries: &[(&str, &str)]) -> CanarySet {
    let owned: Vec<_> = canaries.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    CanarySet::new(&owned).unwrap()
}

/// A hit with this encoding.
fn hit(canary: usize, encoding: &[&str], start: u64, end: u64) -> Hit {
    Hit { canary, encoding: encoding.iter().map(|&layer| layer.to_owned()).collect(), start, end }
}

fn scan(set: &CanarySet, bytes: &[u8]) -> Vec<Hit> {
    let mut hits = Vec::new();
    set.scan(0, bytes, &mut |hit| hits.push(hit));
    hits
}

/// Feeds `bytes` cut into pieces of the given lengths, taken in turn.
fn feed(set: &CanarySet, bytes: &[u8], lengths: &[usize]) -> Vec<Hit> {
    let (mut hits, mut state, mut at) = (Vec::new(), CanaryState::default(), 0);
    for &length in lengths.iter().cycle() {
        let end = (at + length).min(bytes.len());
        set.feed(&mut state, at as u64, &bytes[at..end], &mut |hit| hits.push(hit));
        at = end;
        if at == bytes.len() {
            return hits;
        }
    }
    hits
}

#[test]
fn every_way_to_write_a_canary() {
    let value = "Jörg+Test 49";
    let one = set(&[("contact", value)]);
    let full = format!("%{}", value.bytes().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join("%"));
    for (text, encoding) in [
        ("Jörg+Test 49", &[][..]),
        ("jörg+TEST 49", &["case"]),
        ("JÖRG+TEST 49", &["case"]),
        ("4ac3b672672b54657374203439", &["hex"]),
        ("4AC3B672672B54657374203439", &["hex"]),
        (&full, &["url"]),
        (&full.to_lowercase(), &["url"]),
        ("J%C3%B6rg%2BTest%2049", &["url"]),
        ("J%c3%b6rg%2bTest%2049", &["url"]),
        ("J%C3%B6rg%2BTest+49", &["url"]),
        ("J%C3%B6rg+Test%2049", &["url"]),
        ("j%C3%B6rg%2Btest%2049", &["url", "case"]),
        ("SsO2cmcrVGVzdCA0O", &["base64"]),
    ] {
        let stream = format!("<{text}>");
        let end = 1 + text.len() as u64;
        assert_eq!(scan(&one, stream.as_bytes()), [hit(0, encoding, 1, end)], "{text}");
    }
    // In base64 case carries meaning: another case is another text.
    assert_eq!(scan(&one, b"sSo2cmcrVGVzdCA0OQ"), []);
}

#[test]
fn a_place_is_reported_once_and_exact_beats_inexact() {
    let one = set(&[("c", "abABab12")]);
    assert_eq!(scan(&one, b"abABab12").len(), 1);
    assert_eq!(scan(&one, b"ABABAB12").iter().map(|h| h.encoding.clone()).collect::<Vec<_>>(), [["case"]]);
    let periodic = set(&[("c", "xyxy")]);
    let spans: Vec<_> = scan(&periodic, b"xyxyxyxy").iter().map(|h| (h.start, h.end)).collect();
    assert_eq!(spans, [(0, 4), (4, 8)]);
    // The letters match from 0 in another case, and exactly from 2: both are told, the second without "case".
    let overlap = set(&[("c", "xyXY")]);
    let seen: Vec<_> = scan(&overlap, b"XYxyXY").iter().map(|h| (h.start, h.encoding.len())).collect();
    assert_eq!(seen, [(0, 1), (2, 0)]);
}

#[test]
fn several_canaries_in_one_place() {
    let many = set(&[("mail", "anna@example.org"), ("domain", "example.org"), ("number", "+4915112345678")]);
    let hits = scan(&many, b"to=anna@example.org&tel=%2B4915112345678");
    let seen: Vec<_> =
        hits.iter().map(|h| (many.name(h.canary), h.start, h.end, h.encoding.join(","))).collect();
    let none = String::new;
    assert_eq!(seen, [("mail", 3, 19, none()), ("domain", 8, 19, none()), ("number", 24, 40, "url".into())]);
}

/// A line break takes every `=` before it away: what stands before still counts.
#[test]
fn a_value_over_a_line_break_behind_equal_signs_is_found() {
    let set = set(&[("a", "abcdefghx"), ("b", "klmn opqr")]);
    for text in ["abcdefgh==\r\nx", "abcdefgh=\nx", "a=\r\nbcdefghx", "klmn opq=\r\nr", "klmn o==\r\npqr"] {
        for length in 1..=text.len() {
            let hits = feed(&set, text.as_bytes(), &vec![length; text.len().div_ceil(length)]);
            assert_eq!(hits.len(), 1, "{text:?} by {length}");
            assert_eq!(hits[0].encoding, ["folded"]);
        }
    }
}

#[test]
fn gaps_and_resets_end_a_match() {
    let one = set(&[("c", "geheimnis")]);
    let run = |pieces: &[(u64, &[u8])], reset: bool| {
        let (mut state, mut hits) = (CanaryState::default(), Vec::new());
        for &(offset, bytes) in pieces {
            one.feed(&mut state, offset, bytes, &mut |hit| hits.push((hit.start, hit.end)));
            if reset {
                state.reset();
            }
        }
        hits
    };
    assert_eq!(run(&[(100, b"..gehe"), (106, b"imnis")], false), [(102, 111)]);
    assert_eq!(run(&[(100, b"..gehe"), (107, b"imnis")], false), []);
    assert_eq!(run(&[(100, b"..gehe"), (106, b"imnis")], true), []);
    assert_eq!(run(&[(100, b"..gehe"), (9, b"geheimnis")], false), [(9, 18)]);
    assert_eq!(
        run(&[(u64::MAX - 2, b"geheimnis")], false).len(),
        1,
        "offsets from a broken capture do no harm"
    );
}

#[test]
fn a_state_of_another_set_begins_anew() {
    let (small, large) = (set(&[("c", "geheimnis")]), set(&[("a", "somewhere over"), ("b", "the rainbow")]));
    let mut state = CanaryState::default();
    let mut hits = Vec::new();
    large.feed(&mut state, 0, b"somewhere ove", &mut |hit| hits.push(hit.canary));
    small.feed(&mut state, 13, b"geheimnis", &mut |hit| hits.push(hit.canary));
    large.feed(&mut state, 22, b"the rainbow", &mut |hit| hits.push(hit.canary));
    assert_eq!(hits, [0, 1]);
}

#[test]
fn bad_canaries_are_refused_with_a_remedy_and_without_their_value() {
    let new = |list: &[(&str, &str)]| {
        let owned: Vec<_> = list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        CanarySet::new(&owned).map(|set| set.len())
    };
    let long = "x".repeat(1025);
    for (list, message) in [
        (&[("", "secret")][..], "canary number 1 has no name: write NAME=VALUE"),
        (&[("a", "")], "canary \"a\" is empty: write a=VALUE"),
        (
            &[("a", "zqj")],
            "canary \"a\" has 3 bytes, which occur by chance: plant one of 4 or more, better 8",
        ),
        (&[("a", &long)], "canary \"a\" has 1025 bytes: give a part of it, at most 1024"),
        (
            &[("a", "zqjx"), ("a", "zqjy")],
            "canary \"a\" is given twice with different values: give each value its own name",
        ),
        (&[("a", "zqjx"), ("b", "zqjx")], "canaries \"a\" and \"b\" have the same value: drop one of them"),
    ] {
        let error = new(list).unwrap_err().to_string();
        assert_eq!(error, message);
        assert!(list.iter().all(|(_, value)| value.is_empty() || !error.contains(value)));
    }
    assert_eq!(
        new(&[("a", "zqjx"), ("a", "zqjx")]),
        Ok(1),
        "a run file may repeat what the command line says"
    );
    let none = set(&[]);
    assert!(none.is_empty() && scan(&none, b"anything").is_empty());
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn a_planted_canary_is_found_with_its_exact_range(
        value in "[ -~äöüßéж€]{6,30}", before in prop::collection::vec(any::<u8>(), 0..80),
        after in prop::collection::vec(any::<u8>(), 0..80), form in 0..7, upper: bool,
        cuts in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let raw = value.as_bytes();
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let escape = |b: u8| if upper { format!("%{b:02X}") } else { format!("%{b:02x}") };
        let (text, encoding): (String, &[&str]) = match form {
            0 => (value.clone(), &[]),
            1 => (hex_of(raw, upper), &["hex"]),
            2 => (raw.iter().map(|&b| escape(b)).collect(), &["url"]),
            3 => (raw.iter().map(|&b| if unreserved(b) { (b as char).to_string() } else { escape(b) }).collect(),
                if raw.iter().all(|&b| unreserved(b)) { &[] } else { &["url"] }),
            4 => (value.to_uppercase(), if value == value.to_uppercase() { &[] } else { &["case"] }),
            5 => (value.to_lowercase(), if value == value.to_lowercase() { &[] } else { &["case"] }),
            _ => (raw.iter().map(|&b| match b { b' ' => "+".into(), b if b.is_ascii_alphanumeric() || b"*-._".contains(&b) => (b as char).to_string(), b => escape(b) }).collect(),
                if raw.iter().all(|&b| b.is_ascii_alphanumeric() || b"*-._".contains(&b)) { &[] } else { &["url"] }),
        };
        let set = set(&[("other", "unplanted value"), ("c", &value)]);
        let stream = [&before[..], text.as_bytes(), &after].concat();
        let (start, end) = (before.len() as u64, (before.len() + text.len()) as u64);
        let hits = feed(&set, &stream, &cuts);
        prop_assert!(hits.contains(&hit(1, encoding, start, end)), "{hits:?} without {start}..{end} {encoding:?}");
        prop_assert_eq!(hits, scan(&set, &stream), "cuts must not matter");
    }

    #[test]
    fn base64_ranges_hold_what_the_value_alone_decides(
        value in "[ -~äöüß€]{6,30}", before in prop::collection::vec(any::<u8>(), 0..7),
        after in prop::collection::vec(any::<u8>(), 0..7), outer in prop::collection::vec(any::<u8>(), 0..50), url: bool,
        cuts in prop::collection::vec(1_usize..40, 1..6),
    ) {
        // Independent of bit arithmetic: the characters that stay when all other bytes are turned over.
        let with = |flip: u8| {
            let other = |bytes: &[u8]| bytes.iter().map(|b| b ^ flip).collect::<Vec<u8>>();
            // Three bytes more, so that the end of the text decides nothing either.
            base64_of(&[&other(&before)[..], value.as_bytes(), &other(&after), &other(&[0, 0, 0])].concat(), url)
        };
        let text = with(0);
        let all_flips: Vec<String> = (1..=255).map(with).collect();
        let fixed: Vec<usize> = (0..text.len())
            .filter(|&i| all_flips.iter().all(|f| f.as_bytes()[i] == text.as_bytes()[i])).collect();
        let start = (outer.len() + fixed[0]) as u64;
        let end = (outer.len() + fixed[fixed.len() - 1] + 1) as u64;
        let part = &text[fixed[0]..=fixed[fixed.len() - 1]];
        let encoding: &[&str] = if url && part.contains(['-', '_']) { &["base64url"] } else { &["base64"] };
        let set = set(&[("c", &value)]);
        let stream = [&outer[..], text.as_bytes()].concat();
        let hits = feed(&set, &stream, &cuts);
        prop_assert!(hits.contains(&hit(0, encoding, start, end)), "{hits:?} without {start}..{end}");
    }
}

#[test]
fn nothing_is_found_where_nothing_was_planted() {
    let mut noise = Noise(7);
    let canaries: Vec<_> = (0..50).map(|n| (format!("c{n}"), base64_of(&noise.bytes(6), false))).collect();
    assert!(canaries.iter().all(|(_, value)| value.len() == 8));
    let set = CanarySet::new(&canaries).unwrap();
    let random = noise.bytes(6 << 20);
    let base64 = base64_of(&noise.bytes(3 << 20), true);
    let hex = hex_of(&noise.bytes(2 << 20), false);
    for traffic in [&random[..], base64.as_bytes(), hex.as_bytes()] {
        assert_eq!(feed(&set, traffic, &[1400]), []);
    }
    // The same set on the same traffic does see one that is there.
    let mut planted = random;
    planted[5_000_000..5_000_008].copy_from_slice(canaries[31].1.as_bytes());
    assert_eq!(
        feed(&set, &planted, &[1400]).iter().map(|h| (h.canary, h.start)).collect::<Vec<_>>(),
        [(31, 5_000_000)]
    );
}

#[test]
fn throughput_is_printed() {
    let mut noise = Noise(1);
    let random = noise.bytes(16 << 20);
    for count in [0_usize, 1, 100, 1000] {
        let canaries: Vec<_> =
            (0..count).map(|n| (format!("c{n}"), base64_of(&noise.bytes(12), false))).collect();
        let set = CanarySet::new(&canaries).unwrap();
        let begun = std::time::Instant::now();
        assert_eq!(feed(&set, &random, &[1400]), []);
        println!("{count:4} canaries: {:.0} MiB/s", 16.0 / begun.elapsed().as_secs_f64().max(1e-9));
    }
}

#[test]
fn a_canary_finding_is_masked_and_carries_its_place() {
    let set = set(&[("contact", "+4915112345678")]);
    let hit = scan(&set, b"tel:+4915112345678")[0].clone();
    let raw = set.finding(&hit, Masking::On, false);
    assert_eq!((raw.kind, raw.severity, raw.range), (FindingKind::Canary, Severity::High, (4, 18)));
    assert_eq!(raw.what, "canary contact: …78 (number, 8 or more digits)");
    assert_eq!(set.finding(&hit, Masking::Off, false).what, "canary contact: +4915112345678");
    assert_eq!(set.finding(&hit, Masking::On, true).severity, Severity::Medium);
    let finding = raw.into_finding("a.pcapng", 3, Some(Direction::Up), vec![5, 6]);
    assert_eq!((finding.capture.as_str(), finding.flow, finding.offset), ("a.pcapng", 3, 4));
    assert_eq!((finding.frames, finding.direction), (vec![5, 6], Some(Direction::Up)));
}
