//! Keys of Initial packets, which anyone can derive (RFC 9001 section 5.2, RFC 9369 section 3.3), and opening with them.
//!
//! Takes a version and the connection id that the client chose first; opens packets of either side. Packets of later stages have
//! keys that are secret.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes_gcm::Aes128Gcm;

use super::super::crypto::{expand_label, extract, open};
use super::header::Version;

/// How a version protects its Initial packets.
struct Protection {
    salt: [u8; 20],
    /// Labels of key, IV and header protection.
    labels: [&'static str; 3],
}

const LABELS: [&str; 3] = ["quic key", "quic iv", "quic hp"];

/// RFC 9001 section 5.2.
static V1: Protection = Protection {
    salt: [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
        0xbb, 0x7f, 0x0a,
    ],
    labels: LABELS,
};

/// RFC 9369 section 3.3.
static V2: Protection = Protection {
    salt: [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
        0xbd, 0x2e, 0xd9,
    ],
    labels: ["quicv2 key", "quicv2 iv", "quicv2 hp"],
};

/// draft-ietf-quic-tls-29 section 5.2, to draft 32.
static DRAFT_29: Protection = Protection {
    salt: [
        0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43,
        0x90, 0xa8, 0x99,
    ],
    labels: LABELS,
};

/// draft-ietf-quic-tls-23 section 5.2, to draft 28.
static DRAFT_23: Protection = Protection {
    salt: [
        0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe,
        0xf9, 0xf5, 0x02,
    ],
    labels: LABELS,
};

/// Google's versions: quiche, `quic/core/crypto/crypto_utils.cc`, 2020.
static Q050: Protection = Protection {
    salt: [
        0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3,
        0xb5, 0x6b, 0x45,
    ],
    labels: LABELS,
};
static T050: Protection = Protection {
    salt: [
        0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60,
        0x48, 0x83, 0x10,
    ],
    labels: LABELS,
};
static T051: Protection = Protection {
    salt: [
        0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda,
        0x6e, 0x03, 0x3d,
    ],
    labels: LABELS,
};

fn protection(version: Version) -> Option<&'static Protection> {
    match (version.draft(), version.google()) {
        _ if version == Version::V2 => Some(&V2),
        _ if version.0 == 1 => Some(&V1),
        (Some(33..=34), _) => Some(&V1),
        (Some(29..=32), _) => Some(&DRAFT_29),
        (Some(23..=28), _) => Some(&DRAFT_23),
        (_, Some((b'Q', 50))) => Some(&Q050),
        (_, Some((b'T', 50))) => Some(&T050),
        (_, Some((b'T', 51))) => Some(&T051),
        _ => None,
    }
}

/// Who sealed a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// Keys of one sender.
struct Keys {
    cipher: Aes128Gcm,
    iv: [u8; 12],
    mask: Aes128,
}

/// Keys of both sides of a connection for its Initial packets.
pub(super) struct InitialKeys {
    pub(super) version: Version,
    client: Keys,
    server: Keys,
}

/// What was in a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) number: u64,
    pub(super) payload: Vec<u8>,
}

impl InitialKeys {
    /// The keys that follow from `dcid`; `None` for a version that is not known.
    pub(super) fn derive(version: Version, dcid: &[u8]) -> Option<InitialKeys> {
        let Protection { salt, labels } = protection(version)?;
        let initial = extract(salt, dcid);
        let side = |label| {
            let secret = expand_label::<32>(&initial, label)?;
            let [key, iv, mask] = labels;
            Some(Keys {
                cipher: Aes128Gcm::new(&expand_label::<16>(&secret, key)?.into()),
                iv: expand_label(&secret, iv)?,
                mask: Aes128::new(&expand_label::<16>(&secret, mask)?.into()),
            })
        };
        Some(InitialKeys { version, client: side("client in")?, server: side("server in")? })
    }

    /// Opens a whole packet whose number begins at `number_at`; `largest` is the highest number that came before it.
    pub(super) fn open(
        &self,
        role: Role,
        packet: &[u8],
        number_at: usize,
        largest: Option<u64>,
    ) -> Option<Opened> {
        self.side(role).open(packet, number_at, largest)
    }

    fn side(&self, role: Role) -> &Keys {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }
}

impl Keys {
    /// The five bytes that hide a header (RFC 9001 section 5.4.3).
    fn header_mask(&self, sample: [u8; 16]) -> [u8; 5] {
        let mut block = sample.into();
        self.mask.encrypt_block(&mut block);
        let mut mask = [0; 5];
        mask.iter_mut().zip(block).for_each(|(m, b)| *m = b);
        mask
    }

    fn nonce(&self, number: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        for (n, p) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *n ^= p;
        }
        nonce
    }

    fn open(&self, packet: &[u8], number_at: usize, largest: Option<u64>) -> Option<Opened> {
        // The sample is taken as if the number had four bytes (RFC 9001 section 5.4.2).
        let [first_mask, number_mask @ ..] = self.header_mask(*packet.get(number_at + 4..)?.first_chunk()?);
        let mut header = packet.get(..number_at + 4)?.to_vec();
        let first = header.first_mut()?;
        *first ^= first_mask & 0x0f;
        let length = usize::from(*first & 3) + 1;
        header.truncate(number_at + length);
        let mut sent = 0;
        for (byte, mask) in header.iter_mut().skip(number_at).zip(number_mask) {
            *byte ^= mask;
            sent = sent << 8 | u64::from(*byte);
        }
        let number = full_number(sent, length as u32 * 8, largest);
        let payload = open(&self.cipher, &self.nonce(number), &header, packet.get(number_at + length..)?)?;
        Some(Opened { number, payload })
    }
}

/// The whole number of which the lowest `bits` were sent (RFC 9000 appendix A.3): the one next to what is expected.
pub(super) fn full_number(sent: u64, bits: u32, largest: Option<u64>) -> u64 {
    let expected = largest.map_or(0, |n| n + 1);
    let window = 1_u64 << bits;
    let near = (expected & !(window - 1)) | sent;
    if near + window / 2 <= expected && near + window < 1 << 62 {
        near + window
    } else if near > expected + window / 2 && near >= window {
        near - window
    } else {
        near
    }
}

/// The other way round, for packets made in tests: `packet` ends with the plaintext, which begins behind the number.
#[cfg(test)]
pub(super) fn seal(
    keys: &InitialKeys,
    role: Role,
    header: &[u8],
    number_at: usize,
    number: u64,
    payload: &[u8],
) -> Vec<u8> {
    use aes_gcm::aead::{Aead as _, Payload};
    let side = keys.side(role);
    let sealed =
        side.cipher.encrypt(&side.nonce(number).into(), Payload { msg: payload, aad: header }).unwrap();
    let mut packet = [header, &sealed].concat();
    let mask = side.header_mask(*packet[number_at + 4..].first_chunk().unwrap());
    packet[0] ^= mask[0] & 0x0f;
    for (n, byte) in packet[number_at..header.len()].iter_mut().enumerate() {
        *byte ^= mask[1 + n];
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9000 appendix A.3 and its borders.
    #[test]
    fn numbers_are_completed() {
        for (sent, bits, largest, number) in [
            (0x9b32, 16, Some(0xa82f_30ea), 0xa82f_9b32),
            (0, 8, None, 0),
            (2, 32, None, 2),
            (1, 8, Some(254), 257),
            (255, 8, Some(256), 255),
            (0xff, 8, None, 0xff),
        ] {
            assert_eq!(full_number(sent, bits, largest), number, "{sent:#x} after {largest:?}");
        }
        let _ = full_number(u64::from(u32::MAX), 32, Some((1 << 62) - 1));
    }

    #[test]
    fn packets_shorter_than_a_sample_stay_shut() {
        let keys = InitialKeys::derive(Version(1), b"12345678").unwrap();
        for size in 0..64 {
            assert_eq!(keys.open(Role::Client, &vec![0xc0; size], 18, None), None, "{size}");
        }
        assert!(InitialKeys::derive(Version(0xff00_0016), b"12345678").is_none());
    }
}
