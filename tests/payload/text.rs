//! Readable text: scripts, borders, ciphertext.

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

/// Bytes of binary streams in which characters of all lengths stand, whole, cut, overlong and not to be read, and runs about as long as
/// those that count.
fn torn(noise: &mut Noise) -> Vec<u8> {
    const PIECES: [&[u8]; 20] = [
        "ü".as_bytes(),
        "я".as_bytes(),
        "语".as_bytes(),
        "🐎".as_bytes(),
        "\u{85}".as_bytes(),
        "\u{e000}".as_bytes(),
        "\u{fffd}".as_bytes(),
        "\u{fdd0}".as_bytes(),
        "\u{1fffe}".as_bytes(),
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf0\x9f\x90",
        b"\xe2\x82",
        b"\xc3",
        b"\xff",
        b"\t\r\n",
        b"\x7f",
        b"\0",
    ];
    let length = noise.next() as usize % 256;
    let mut all = noise.bytes(length);
    for _ in 0..noise.next() % 256 {
        match noise.next() % 8 {
            0 => all.extend(noise.bytes(20)),
            1 => {
                let length = 18 + noise.next() as usize % 12;
                all.extend(noise.bytes(length).iter().map(|b| b' ' + b % 95));
            }
            _ => all.extend_from_slice(PIECES[noise.next() as usize % PIECES.len()]),
        }
    }
    all
}

#[test]
fn blocks_and_single_bytes_are_read_alike() {
    let mut noise = Noise(17);
    let mut runs = 0;
    for _ in 0..1000 {
        let bytes = torn(&mut noise);
        // In pieces of one byte no block is ever full.
        let said = |size: usize| {
            let mut meter = TextMeter::default();
            let mut at = 0;
            for piece in bytes.chunks(size) {
                meter.feed(at, piece);
                at += piece.len() as u64;
            }
            (meter.verdict(), meter.readable_share().to_bits(), meter.run(), meter.finding(false))
        };
        let single = said(1);
        runs += usize::from(single.2.is_some());
        for size in [63, 64, 65, 130, 1400, 1 << 20] {
            assert_eq!(said(size), single, "by {size}: {bytes:02x?}");
        }
    }
    assert!(runs > 30, "{runs} with a run");
}
