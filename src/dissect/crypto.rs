//! Keys from secrets, and plaintext from sealed bytes, for protocols whose secrets are known.
//!
//! Takes secrets, labels and ciphertext; gives keys and plaintext, nothing where a seal is broken. Where secrets come from is the
//! callers' matter, and so is which cipher they agreed upon. Seals nothing.

use aes_gcm::aead::{Aead, Nonce, Payload};
use hkdf::Hkdf;
use sha2::{Sha256, Sha384};

/// HKDF-Extract with SHA-256 (RFC 5869 section 2.2).
pub(super) fn extract(salt: &[u8], input: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(salt), input).0.into()
}

/// The hash of a key schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    /// Bytes of a hash, and of a traffic secret.
    pub(super) fn size(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        }
    }
}

/// HKDF-Expand-Label with SHA-256 and an empty context (RFC 8446 section 7.1). `None` for a secret shorter than a hash and
/// for a label that has no place in its length byte.
pub(crate) fn expand_label<const N: usize>(secret: &[u8], label: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    expand_label_into(Hash::Sha256, secret, label, &mut out)?;
    Some(out)
}

/// As [`expand_label`], with any hash and size.
pub(super) fn expand_label_into(hash: Hash, secret: &[u8], label: &str, out: &mut [u8]) -> Option<()> {
    const PREFIX: &str = "tls13 ";
    let size = u16::try_from(out.len()).ok()?.to_be_bytes();
    let length = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let info = [&size[..], &length, PREFIX.as_bytes(), label.as_bytes(), &[0]];
    match hash {
        Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret).ok()?.expand_multi_info(&info, out).ok(),
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret).ok()?.expand_multi_info(&info, out).ok(),
    }
}

/// Opens what `cipher` sealed together with `clear` (RFC 5116 section 2.2). `None` when anything of it was changed.
pub(super) fn open<C: Aead>(cipher: &C, nonce: &[u8], clear: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::<C>::try_from(nonce).ok()?;
    cipher.decrypt(&nonce, Payload { msg: sealed, aad: clear }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::hex;

    /// RFC 9001 appendix A.1.
    #[test]
    fn labels_and_secrets_are_those_of_the_rfc() {
        let salt = [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
            0xcc, 0xbb, 0x7f, 0x0a,
        ];
        let initial = extract(&salt, &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]);
        assert_eq!(hex(&initial), "7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44");
        let client: [u8; 32] = expand_label(&initial, "client in").unwrap();
        assert_eq!(hex(&client), "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
        let key: [u8; 16] = expand_label(&client, "quic key").unwrap();
        assert_eq!(hex(&key), "1f369613dd76d5467730efcbe3b1a22d");
        assert_eq!(expand_label::<16>(&client[..31], "quic key"), None);
        assert_eq!(expand_label::<16>(&client, &"x".repeat(250)), None);
    }

    #[test]
    fn broken_seals_stay_shut() {
        use aes_gcm::{Aes128Gcm, KeyInit};
        let cipher = Aes128Gcm::new(&[7; 16].into());
        let sealed = cipher.encrypt(&[1; 12].into(), Payload { msg: b"hello", aad: b"header" }).unwrap();
        assert_eq!(open(&cipher, &[1; 12], b"header", &sealed).as_deref(), Some(&b"hello"[..]));
        assert_eq!(open(&cipher, &[1; 12], b"Header", &sealed), None);
        assert_eq!(open(&cipher, &[2; 12], b"header", &sealed), None);
        assert_eq!(open(&cipher, &[1; 11], b"header", &sealed), None);
        for cut in 0..sealed.len() {
            assert_eq!(open(&cipher, &[1; 12], b"header", &sealed[..cut]), None, "{cut}");
        }
    }
}
