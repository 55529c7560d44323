//! What `payload` promises: canaries found wherever they are cut, nothing found where nothing is, log-ins decoded,
//! secrets masked, hostile input survived.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic; in helpers clippy cannot tell"
)]

use proptest::prelude::ProptestConfig;

#[path = "payload/canary.rs"]
mod canary;
#[path = "payload/login.rs"]
mod login;
#[path = "payload/mask.rs"]
mod mask;
#[path = "payload/text.rs"]
mod text;

/// Seeded noise (splitmix64), the same in every run.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length + 8);
        while out.len() < length {
            out.extend(self.next().to_le_bytes());
        }
        out.truncate(length);
        out
    }
}

/// Base64 bit by bit, apart from the implementation that is tested.
pub(crate) fn base64_of(bytes: &[u8], url: bool) -> String {
    let tail = if url { "-_" } else { "+/" };
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(tail.chars()).collect();
    let bits: Vec<u8> = bytes.iter().flat_map(|b| (0..8).rev().map(move |i| (b >> i) & 1)).collect();
    bits.chunks(6)
        .map(|c| alphabet[(0..6).fold(0, |n, i| n * 2 + *c.get(i).unwrap_or(&0) as usize)])
        .collect()
}

pub(crate) fn hex_of(bytes: &[u8], upper: bool) -> String {
    bytes.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect()
}

pub(crate) fn quick() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}
