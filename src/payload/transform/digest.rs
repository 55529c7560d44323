//! Digests of a value: MD5 (RFC 1321), SHA-1 and SHA-2 (FIPS 180-4), BLAKE2 (RFC 7693). One line each.

use blake2::{Blake2b, Blake2s256};
use sha2::digest::Digest as _;
use sha2::digest::consts::U32;

/// One hash function.
pub(crate) struct Digest {
    /// Its name in `encoding`; behind it `/8`, `/10` or `/16` when only so many bytes are there.
    pub(crate) id: &'static str,
    /// The digest.
    pub(crate) of: fn(&[u8]) -> Vec<u8>,
}

/// All digests that are searched.
pub(crate) static DIGESTS: &[Digest] = &[
    Digest { id: "md5", of: |b| md5::Md5::digest(b).to_vec() },
    Digest { id: "sha1", of: |b| sha1::Sha1::digest(b).to_vec() },
    Digest { id: "sha256", of: |b| sha2::Sha256::digest(b).to_vec() },
    Digest { id: "sha512", of: |b| sha2::Sha512::digest(b).to_vec() },
    Digest { id: "blake2b", of: |b| blake2::Blake2b512::digest(b).to_vec() },
    Digest { id: "blake2b-256", of: |b| Blake2b::<U32>::digest(b).to_vec() },
    Digest { id: "blake2s", of: |b| Blake2s256::digest(b).to_vec() },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_of_abc() {
        let expected = [
            "900150983cd24fb0d6963f7d28e17f72",
            "a9993e364706816aba3e25717850c26c9cd0d89d",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a",
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1",
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
            "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
        ];
        for (digest, expected) in DIGESTS.iter().zip(expected) {
            let hex: String =
                (digest.of)(b"abc").iter().fold(String::new(), |text, b| text + &format!("{b:02x}"));
            assert!(hex.starts_with(expected), "{}: {hex}", digest.id);
        }
    }
}
