//! Small changes to inputs, the same for the same seed.
//!
//! Takes an input, others of its target and the target's words; gives a changed input. Knows nothing of formats.

/// The longest input that is made.
pub const MAX_INPUT: usize = 4096;

/// Numbers that look random and are the same everywhere (`SplitMix64`).
pub struct Random(pub u64);

impl Random {
    /// A seed out of a name and a number.
    pub fn of(name: &str, number: u64) -> Random {
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Random(hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 for an empty range.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    /// One of a list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}

/// Values at which lengths and counters turn.
const EDGES: [u64; 22] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    31,
    32,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

/// A changed copy of `input`: one to eight changes.
pub fn mutate(random: &mut Random, input: &[u8], others: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
    let mut out = input.to_vec();
    let changes = 1 << random.below(4);
    for _ in 0..changes {
        change(random, &mut out, others, words);
    }
    out.truncate(MAX_INPUT);
    out
}

fn change(random: &mut Random, out: &mut Vec<u8>, others: &[Vec<u8>], words: &[&[u8]]) {
    let at = random.below(out.len() + 1);
    // Short ranges are the common ones.
    let span = (1 << random.below(8)) + random.below(4);
    let end = (at + span).min(out.len());
    match random.below(14) {
        0 | 1 => {
            if let Some(byte) = out.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 => {
            if let Some(byte) = out.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        3 => {
            if let Some(byte) = out.get_mut(at) {
                let step = 1 + random.below(4) as u8;
                *byte = if random.below(2) == 0 { byte.wrapping_add(step) } else { byte.wrapping_sub(step) };
            }
        }
        4 | 5 => {
            let value = random.pick(&EDGES).copied().unwrap_or(0);
            let size = [1, 2, 3, 4, 8][random.below(5)];
            let mut bytes = value.to_le_bytes()[..size].to_vec();
            if random.below(3) > 0 {
                bytes.reverse();
            }
            put(random, out, at, &bytes);
        }
        6 | 7 => {
            if let Some(word) = random.pick(words) {
                put(random, out, at, word);
            }
        }
        8 => {
            out.drain(at..end);
        }
        9 => {
            let copy = out[at..end].to_vec();
            let to = random.below(out.len() + 1);
            let times = if random.below(8) == 0 { 20 } else { 1 };
            for _ in 0..times {
                out.splice(to..to, copy.iter().copied());
            }
        }
        10 => out.truncate(at),
        11 => {
            // The start of this with the end of another.
            if let Some(other) = random.pick(others) {
                let from = random.below(other.len() + 1);
                out.truncate(at);
                out.extend(&other[from..]);
            }
        }
        12 => {
            // A part of another in between.
            if let Some(other) = random.pick(others) {
                let from = random.below(other.len() + 1);
                let part = &other[from..(from + span).min(other.len())];
                put(random, out, at, part);
            }
        }
        _ => number(random, out, at),
    }
}

/// Inserts or overwrites.
fn put(random: &mut Random, out: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = if random.below(2) == 0 { at } else { (at + bytes.len()).min(out.len()) };
    out.splice(at..end, bytes.iter().copied());
}

/// Changes the next number that is written in digits.
fn number(random: &mut Random, out: &mut Vec<u8>, at: usize) {
    let Some(from) = out.iter().skip(at).position(u8::is_ascii_digit).map(|n| n + at) else { return };
    let length = out.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let value = match random.below(4) {
        0 => u128::from(random.next()),
        1 => u128::MAX,
        _ => u128::from(random.pick(&EDGES).copied().unwrap_or(0)),
    };
    out.splice(from..from + length, value.to_string().bytes());
}
