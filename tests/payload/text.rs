//! Readable text: scripts, borders, ciphertext, entropy.

use metaleak::payload::text::{BUDGET, GIVE_UP};
use metaleak::payload::{Readability, TextMeter};
use proptest::prelude::*;

use crate::{Noise, quick};

fn meter(bytes: &[u8]) -> TextMeter {
    let mut meter = TextMeter::default();
    meter.feed(0, bytes);
    meter
}

#[test]
fn what_is_readable() {
    let http = b"GET /status HTTP/1.1\r\nHost: chat.example\r\nUser-Agent: test\r\n\r\n".to_vec();
    let mixed = [&[0, 1, 2, 3, 0xff, 0xfe][..], b"a readable sentence of some length", &[0x80; 30]].concat();
    for (name, bytes, verdict, run) in [
        ("http", http.clone(), Readability::Text, Some((0, http.len() as u64))),
        (
            "german",
            "Grüße aus Köln, schöne Straßenfüße".as_bytes().to_vec(),
            Readability::Text,
            Some((0, 41)),
        ),
        ("cyrillic", "Привет, как твои дела сегодня?".as_bytes().to_vec(), Readability::Text, Some((0, 54))),
        (
            "chinese",
            "我们今天晚上八点在老地方见面然后一起去吃饭好不好呀".as_bytes().to_vec(),
            Readability::Text,
            Some((0, 75)),
        ),
        ("mixed", mixed, Readability::Mixed, Some((6, 40))),
        ("short", b"hello".to_vec(), Readability::TooShort, None),
        ("padding", [&[0xff; 60][..], &[b'A'; 40]].concat(), Readability::Binary, None),
        ("random", Noise(3).bytes(16 << 10), Readability::Binary, None),
        ("zeroes", vec![0; 4096], Readability::Binary, None),
        ("nothing", vec![], Readability::TooShort, None),
    ] {
        let meter = meter(&bytes);
        assert_eq!(meter.verdict(), verdict, "{name}");
        assert_eq!(meter.run().map(|r| (r.start, r.end)), run, "{name}");
    }
    assert!(
        meter(b"0123456789abcdefghijklmnopqrstuvwxyz").finding(false).unwrap().what.contains("36 characters")
    );
    assert!(!meter(&http).finding(false).unwrap().what.contains("chat"), "a finding never quotes");
}

#[test]
fn ciphertext_is_hardly_ever_taken_for_text() {
    let mut noise = Noise(11);
    let verdicts = |length: usize, noise: &mut Noise| {
        (0..500)
            .filter(|_| {
                matches!(meter(&noise.bytes(length)).verdict(), Readability::Text | Readability::Mixed)
            })
            .count()
    };
    for length in [16, 40, 64, 200, 1400, 16 << 10] {
        let wrong = verdicts(length, &mut noise);
        assert_eq!(wrong, 0, "{length} random bytes");
    }
}

#[test]
fn entropy_is_corrected_for_small_samples() {
    let entropy = |bytes: &[u8]| meter(bytes).entropy_bits().unwrap();
    assert!(meter(b"").entropy_bits().is_none());
    assert!((entropy(&[7; 500]) - 0.0).abs() < 1e-9);
    let all: Vec<u8> = (0..=255).cycle().take(16 << 10).collect();
    assert!((entropy(&all) - 8.0).abs() < 1e-9);
    // 256 random bytes show 7.2 bits or so; the correction brings back about 0.45 of the missing 0.8.
    let few = Noise(5).bytes(256);
    let plain = |bytes: &[u8]| {
        let mut counts = [0_f64; 256];
        for &b in bytes {
            counts[b as usize] += 1.0;
        }
        counts.iter().filter(|c| **c > 0.0).map(|c| -c / 256.0 * (c / 256.0).log2()).sum::<f64>()
    };
    assert!(entropy(&few) > plain(&few) + 0.4 && entropy(&few) <= 8.0);
    let chi = meter(&Noise(9).bytes(16 << 10)).chi_square().unwrap();
    assert!((150.0..400.0).contains(&chi), "{chi}");
    assert!(meter(&[b'a'; 2000]).chi_square().unwrap() > 100_000.0);
    assert!(meter(b"short").chi_square().is_none());
}

#[test]
fn a_gap_ends_a_run_and_the_budget_bounds_the_work() {
    let mut torn = TextMeter::default();
    torn.feed(0, b"twenty characters ok");
    torn.feed(25, b"twenty characters ok");
    assert_eq!(torn.run(), None);
    let long = meter(&b"All work and no play. ".repeat(4000));
    assert!(long.is_full());
    assert_eq!(long.run().unwrap().end, BUDGET as u64);
    // A binary stream is given up early; text behind that point is not looked at. Where text came before, it goes on.
    let (noise, sentence) = (Noise(2).bytes(GIVE_UP), b"a readable sentence of some length".to_vec());
    assert_eq!(meter(&[&noise[..], &sentence].concat()).verdict(), Readability::Binary);
    assert_eq!(meter(&[&noise[..GIVE_UP - 96], &sentence, &noise].concat()).verdict(), Readability::Mixed);
    let late = meter(&[&sentence[..], &noise].concat());
    assert!(!late.is_full() && late.verdict() == Readability::Mixed);
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn cuts_do_not_change_what_is_readable(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            (any::<u64>(), 1900_usize..2900, any::<bool>()).prop_map(|(seed, length, text)| {
                let bytes = Noise(seed).bytes(length);
                if text { [&b"a readable sentence of some length"[..], &bytes].concat() } else { bytes }
            }),
            "[a-zäöüж€😀\u{0}]{0,100}".prop_map(String::into_bytes),
        ],
        cuts in prop::collection::vec(1_usize..20, 1..6),
    ) {
        let whole = meter(&bytes);
        let (mut parts, mut at) = (TextMeter::default(), 0);
        for &length in cuts.iter().cycle().take(bytes.len() + 1) {
            let end = (at + length).min(bytes.len());
            parts.feed(at as u64, &bytes[at..end]);
            at = end;
        }
        prop_assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
        if bytes.len() <= GIVE_UP {
            // The same count by the standard library's decoder.
            let unwritten = |c: char| ('\u{e000}'..='\u{f8ff}').contains(&c) || ('\u{fdd0}'..='\u{fdef}').contains(&c)
                || ('\u{fff0}'..='\u{ffff}').contains(&c) || c >= '\u{e0000}' || (c as u32) % 0x10000 >= 0xfffe;
            let readable: usize = bytes.utf8_chunks().flat_map(|chunk| chunk.valid().chars())
                .filter(|&c| (!c.is_control() || "\t\r\n".contains(c)) && !unwritten(c)).map(char::len_utf8).sum();
            let share = readable as f64 / bytes.len().max(1) as f64;
            prop_assert!((whole.readable_share() - share).abs() < 1e-9, "{} {}", whole.readable_share(), share);
        }
    }
}
