//! QUIC Initial packets around the input: what a fuzzer changes would otherwise only break the seal.
//!
//! Takes chunks as plaintext; seals each under the keys that everyone can derive (RFC 9001 section 5, RFC 9369 section 3), so that
//! the frames inside and the hellos in them are read. Head byte: bit 0 chooses version 2, bit 1 puts two packets into one datagram.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{Aead as _, Payload};
use hkdf::Hkdf;
use sha2::Sha256;

use super::wire::{Fate, Pcap, chunks};

pub(super) const DCID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
pub(super) const SCID: [u8; 8] = [0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5];
pub(super) const PORT: u16 = 443;

pub(super) struct Version {
    pub(super) number: u32,
    /// First byte of an Initial with a packet number of four bytes.
    pub(super) first: u8,
    salt: [u8; 20],
    labels: [&'static str; 3],
}

/// RFC 9001 section 5.2, RFC 9369 section 3.3.
pub(super) static VERSIONS: [Version; 2] = [
    Version {
        number: 1,
        first: 0xc3,
        salt: [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
            0xcc, 0xbb, 0x7f, 0x0a,
        ],
        labels: ["quic key", "quic iv", "quic hp"],
    },
    Version {
        number: 0x6b33_43cf,
        first: 0xd3,
        salt: [
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb,
            0xf9, 0xbd, 0x2e, 0xd9,
        ],
        labels: ["quicv2 key", "quicv2 iv", "quicv2 hp"],
    },
];

pub(super) struct Keys {
    cipher: Aes128Gcm,
    iv: [u8; 12],
    mask: Aes128,
}

fn expand<const N: usize>(secret: &[u8], label: &str) -> [u8; N] {
    let mut info = vec![0, N as u8, 6 + label.len() as u8];
    info.extend(b"tls13 ");
    info.extend(label.as_bytes());
    info.push(0);
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret).unwrap().expand(&info, &mut out).unwrap();
    out
}

impl Keys {
    pub(super) fn new(version: &Version, side: &str) -> Keys {
        let initial = Hkdf::<Sha256>::extract(Some(&version.salt), &DCID).0;
        Keys::of(version, expand::<32>(&initial, side))
    }

    /// Those that follow from a traffic secret.
    pub(super) fn of(version: &Version, secret: [u8; 32]) -> Keys {
        let [key, iv, mask] = version.labels;
        Keys {
            cipher: Aes128Gcm::new(&expand::<16>(&secret, key).into()),
            iv: expand(&secret, iv),
            mask: Aes128::new(&expand::<16>(&secret, mask).into()),
        }
    }

    pub(super) fn seal(&self, header: &[u8], number: u32, payload: &[u8]) -> Vec<u8> {
        let mut nonce = self.iv;
        for (n, byte) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
            *n ^= byte;
        }
        let sealed =
            self.cipher.encrypt(&nonce.into(), Payload { msg: payload, aad: header }).expect("short enough");
        let number_at = header.len() - 4;
        let mut packet = [header, &sealed].concat();
        let sample: [u8; 16] = packet[number_at + 4..number_at + 20].try_into().expect("a tag has 16 bytes");
        let mut block = sample.into();
        self.mask.encrypt_block(&mut block);
        packet[0] ^= block[0] & if packet[0] & 0x80 == 0 { 0x1f } else { 0x0f };
        for (byte, mask) in packet[number_at..number_at + 4].iter_mut().zip(&block[1..5]) {
            *byte ^= mask;
        }
        packet
    }
}

/// The capture of Initial packets that hold the chunks.
pub fn conversation(data: &[u8]) -> Vec<u8> {
    let mut pcap = Pcap::new(101);
    let Some((head, rest)) = data.split_first() else { return pcap.bytes() };
    let version = &VERSIONS[usize::from(head & 1)];
    let keys = [Keys::new(version, "client in"), Keys::new(version, "server in")];
    let mut numbers = [0_u32; 2];
    let mut first: Option<(bool, Vec<u8>)> = None;
    for chunk in chunks(rest) {
        let side = usize::from(chunk.down);
        match chunk.fate {
            Fate::Lost => numbers[side] = numbers[side].wrapping_add(300),
            Fate::Again => numbers[side] = numbers[side].saturating_sub(1),
            _ => {}
        }
        let mut header = vec![version.first];
        header.extend(version.number.to_be_bytes());
        if chunk.down {
            header.extend([0, 8]);
            header.extend(SCID);
        } else {
            header.push(8);
            header.extend(DCID);
            header.push(0);
        }
        header.push(0);
        let length = (4 + chunk.data.len() + 16) as u16;
        header.extend((length | 0x4000).to_be_bytes());
        header.extend(numbers[side].to_be_bytes());
        let mut packet = keys[side].seal(&header, numbers[side], chunk.data);
        numbers[side] = numbers[side].wrapping_add(1);
        match first.take() {
            Some((down, mut before)) if down == chunk.down => {
                before.append(&mut packet);
                pcap.udp(down, PORT, &before);
            }
            Some((down, before)) => {
                pcap.udp(down, PORT, &before);
                first = Some((chunk.down, packet));
            }
            None if head & 2 != 0 => first = Some((chunk.down, packet)),
            None => pcap.udp(chunk.down, PORT, &packet),
        }
    }
    if let Some((down, packet)) = first {
        pcap.udp(down, PORT, &packet);
    }
    pcap.bytes()
}
