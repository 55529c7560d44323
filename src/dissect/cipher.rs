//! Cipher suites: which keys a suite has, how they follow from a secret, and opening what they sealed.
//!
//! Takes the number of a suite, secrets and sealed records; gives plaintext, nothing where a seal is broken. For TLS 1.3 and QUIC
//! (RFC 8446 sections 5 and 7, RFC 9001 section 5), TLS 1.2 and DTLS 1.2 (RFC 5246 section 6, RFC 5288, RFC 6655, RFC 7366,
//! RFC 7905, RFC 6347 section 4.1.2), and TLS 1.0 and 1.1 (RFC 2246, RFC 4346). Where the secrets come from and which record has which
//! number is the callers' matter. Not here: RC4, 3DES, Camellia, ARIA, compression. Seals nothing.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ccm::Ccm;
use ccm::consts::{U8, U12, U16};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::ChaCha20Poly1305;
use hmac::Hmac;
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::crypto::{Hash, expand_label_into, open};

/// A MAC of CBC suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mac {
    Sha1,
    Sha256,
    Sha384,
}

impl Mac {
    fn size(self) -> usize {
        match self {
            Mac::Sha1 => 20,
            Mac::Sha256 => 32,
            Mac::Sha384 => 48,
        }
    }

    /// Whether `parts` have this tag.
    fn verifies(self, key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
        match self {
            Mac::Sha1 => Hmac::<Sha1>::new_from_slice(key).is_ok_and(|m| verifies(m, parts, tag)),
            Mac::Sha256 => Hmac::<Sha256>::new_from_slice(key).is_ok_and(|m| verifies(m, parts, tag)),
            Mac::Sha384 => Hmac::<Sha384>::new_from_slice(key).is_ok_and(|m| verifies(m, parts, tag)),
        }
    }
}

fn verifies<M: hmac::Mac>(mut mac: M, parts: &[&[u8]], tag: &[u8]) -> bool {
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(tag).is_ok()
}

/// How a suite seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    Aes128Gcm,
    Aes256Gcm,
    /// With a tag of 16 bytes, and of 8.
    Aes128Ccm,
    Aes128Ccm8,
    Aes256Ccm,
    Aes256Ccm8,
    ChaCha20,
    Aes128Cbc(Mac),
    Aes256Cbc(Mac),
}

impl Bulk {
    /// Bytes of a key.
    pub(super) fn key(self) -> usize {
        match self {
            Bulk::Aes128Gcm | Bulk::Aes128Ccm | Bulk::Aes128Ccm8 | Bulk::Aes128Cbc(_) => 16,
            Bulk::Aes256Gcm | Bulk::Aes256Ccm | Bulk::Aes256Ccm8 | Bulk::ChaCha20 | Bulk::Aes256Cbc(_) => 32,
        }
    }
}

/// A suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) bulk: Bulk,
    /// Of the key schedule; of the PRF from TLS 1.2 on.
    pub(super) hash: Hash,
}

/// Bytes of the MAC that suites without encryption put behind the content of a record, which stands there in clear (RFC 5246 appendix A.5,
/// RFC 4785, RFC 5487, RFC 5489, RFC 8422, RFC 9150; IANA, TLS Cipher Suites); `None` for all others.
pub(super) fn mac_of_clear(number: u16) -> Option<usize> {
    match number {
        0x0000 => Some(0),
        0x0001 => Some(16),
        0x0002 | 0x002c..=0x002e | 0xc001 | 0xc006 | 0xc00b | 0xc010 | 0xc015 | 0xc039 => Some(20),
        0x003b | 0x00b0 | 0x00b4 | 0x00b8 | 0xc03a | 0xc0b4 => Some(32),
        0x00b1 | 0x00b5 | 0x00b9 | 0xc03b | 0xc0b5 => Some(48),
        _ => None,
    }
}

/// The suite of this number (IANA, TLS Cipher Suites); `None` when it is not known here.
pub(super) fn suite(number: u16) -> Option<Suite> {
    use Bulk::{
        Aes128Cbc, Aes128Ccm, Aes128Ccm8, Aes128Gcm, Aes256Cbc, Aes256Ccm, Aes256Ccm8, Aes256Gcm, ChaCha20,
    };
    let (bulk, hash) = match number {
        0x1301 | 0x009c | 0x009e | 0x00a0 | 0x00a2 | 0x00a4 | 0x00a6 | 0x00a8 | 0x00aa | 0x00ac | 0xc02b
        | 0xc02d | 0xc02f | 0xc031 | 0xd001 => (Aes128Gcm, Hash::Sha256),
        0x1302 | 0x009d | 0x009f | 0x00a1 | 0x00a3 | 0x00a5 | 0x00a7 | 0x00a9 | 0x00ab | 0x00ad | 0xc02c
        | 0xc02e | 0xc030 | 0xc032 | 0xd002 => (Aes256Gcm, Hash::Sha384),
        0x1303 | 0xcca8..=0xccae => (ChaCha20, Hash::Sha256),
        0x1304 | 0xc09c | 0xc09e | 0xc0a4 | 0xc0a6 | 0xc0ac | 0xd005 => (Aes128Ccm, Hash::Sha256),
        0x1305 | 0xc0a0 | 0xc0a2 | 0xc0a8 | 0xc0aa | 0xc0ae | 0xd003 => (Aes128Ccm8, Hash::Sha256),
        0xc09d | 0xc09f | 0xc0a5 | 0xc0a7 | 0xc0ad => (Aes256Ccm, Hash::Sha256),
        0xc0a1 | 0xc0a3 | 0xc0a9 | 0xc0ab | 0xc0af => (Aes256Ccm8, Hash::Sha256),
        0x002f..=0x0034
        | 0x008c
        | 0x0090
        | 0x0094
        | 0xc004
        | 0xc009
        | 0xc00e
        | 0xc013
        | 0xc018
        | 0xc01d
        | 0xc01e
        | 0xc01f
        | 0xc035 => (Aes128Cbc(Mac::Sha1), Hash::Sha256),
        0x0035..=0x003a
        | 0x008d
        | 0x0091
        | 0x0095
        | 0xc005
        | 0xc00a
        | 0xc00f
        | 0xc014
        | 0xc019
        | 0xc020
        | 0xc021
        | 0xc022
        | 0xc036 => (Aes256Cbc(Mac::Sha1), Hash::Sha256),
        0x003c
        | 0x003e..=0x0040
        | 0x0067
        | 0x006c
        | 0x00ae
        | 0x00b2
        | 0x00b6
        | 0xc023
        | 0xc025
        | 0xc027
        | 0xc029
        | 0xc037 => (Aes128Cbc(Mac::Sha256), Hash::Sha256),
        0x003d | 0x0068..=0x006b | 0x006d => (Aes256Cbc(Mac::Sha256), Hash::Sha256),
        0x00af | 0x00b3 | 0x00b7 | 0xc024 | 0xc026 | 0xc028 | 0xc02a | 0xc038 => {
            (Aes256Cbc(Mac::Sha384), Hash::Sha384)
        }
        _ => return None,
    };
    Some(Suite { bulk, hash })
}

/// An AEAD with its key.
pub(super) enum Aead {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    Aes128Ccm(Box<Ccm<Aes128, U16, U12>>),
    Aes128Ccm8(Box<Ccm<Aes128, U8, U12>>),
    Aes256Ccm(Box<Ccm<Aes256, U16, U12>>),
    Aes256Ccm8(Box<Ccm<Aes256, U8, U12>>),
    ChaCha20(Box<ChaCha20Poly1305>),
}

impl Aead {
    /// `None` for a CBC suite and for a key of the wrong size.
    pub(super) fn new(bulk: Bulk, key: &[u8]) -> Option<Aead> {
        fn made<C: KeyInit>(key: &[u8]) -> Option<Box<C>> {
            C::new_from_slice(key).ok().map(Box::new)
        }
        Some(match bulk {
            Bulk::Aes128Gcm => Aead::Aes128Gcm(made(key)?),
            Bulk::Aes256Gcm => Aead::Aes256Gcm(made(key)?),
            Bulk::Aes128Ccm => Aead::Aes128Ccm(made(key)?),
            Bulk::Aes128Ccm8 => Aead::Aes128Ccm8(made(key)?),
            Bulk::Aes256Ccm => Aead::Aes256Ccm(made(key)?),
            Bulk::Aes256Ccm8 => Aead::Aes256Ccm8(made(key)?),
            Bulk::ChaCha20 => Aead::ChaCha20(made(key)?),
            Bulk::Aes128Cbc(_) | Bulk::Aes256Cbc(_) => return None,
        })
    }

    /// Opens what was sealed together with `clear`.
    pub(super) fn open(&self, nonce: &[u8; 12], clear: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        match self {
            Aead::Aes128Gcm(c) => open(&**c, nonce, clear, sealed),
            Aead::Aes256Gcm(c) => open(&**c, nonce, clear, sealed),
            Aead::Aes128Ccm(c) => open(&**c, nonce, clear, sealed),
            Aead::Aes128Ccm8(c) => open(&**c, nonce, clear, sealed),
            Aead::Aes256Ccm(c) => open(&**c, nonce, clear, sealed),
            Aead::Aes256Ccm8(c) => open(&**c, nonce, clear, sealed),
            Aead::ChaCha20(c) => open(&**c, nonce, clear, sealed),
        }
    }

    /// Bytes of the tag.
    fn tag(&self) -> usize {
        match self {
            Aead::Aes128Ccm8(_) | Aead::Aes256Ccm8(_) => 8,
            _ => 16,
        }
    }
}

/// An IV with a record's or packet's number in its last bytes (RFC 8446 section 5.3).
pub(super) fn nonce(iv: &[u8; 12], number: u64) -> [u8; 12] {
    let mut nonce = *iv;
    for (n, p) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
        *n ^= p;
    }
    nonce
}

/// Keys of one sender from a traffic secret of TLS 1.3 (RFC 8446 section 7.3); `labels` are those of key and IV.
pub(super) struct TrafficKeys {
    pub(super) suite: Suite,
    aead: Aead,
    iv: [u8; 12],
}

impl TrafficKeys {
    /// `None` when the secret does not go with the suite.
    pub(super) fn derive(suite: Suite, secret: &[u8], labels: [&str; 2]) -> Option<TrafficKeys> {
        let [key_label, iv_label] = labels;
        let mut key = [0; 32];
        let key = key.get_mut(..suite.bulk.key())?;
        let mut iv = [0; 12];
        if secret.len() != suite.hash.size() {
            return None;
        }
        expand_label_into(suite.hash, secret, key_label, key)?;
        expand_label_into(suite.hash, secret, iv_label, &mut iv)?;
        Some(TrafficKeys { suite, aead: Aead::new(suite.bulk, key)?, iv })
    }

    /// Opens what has this number.
    pub(super) fn open(&self, number: u64, clear: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.aead.open(&nonce(&self.iv, number), clear, sealed)
    }
}

/// The five bytes that hide a QUIC header (RFC 9001 sections 5.4.3 and 5.4.4).
pub(super) enum HeaderCipher {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
    ChaCha20([u8; 32]),
}

impl HeaderCipher {
    /// `None` when the secret does not go with the suite, and for suites that QUIC does not have.
    pub(super) fn derive(suite: Suite, secret: &[u8], label: &str) -> Option<HeaderCipher> {
        let mut key = [0; 32];
        let key = key.get_mut(..suite.bulk.key())?;
        expand_label_into(suite.hash, secret, label, key)?;
        Some(match suite.bulk {
            Bulk::Aes128Gcm | Bulk::Aes128Ccm => {
                HeaderCipher::Aes128(Box::new(Aes128::new_from_slice(key).ok()?))
            }
            Bulk::Aes256Gcm => HeaderCipher::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)),
            Bulk::ChaCha20 => HeaderCipher::ChaCha20(key.try_into().ok()?),
            _ => return None,
        })
    }

    pub(super) fn mask(&self, sample: [u8; 16]) -> [u8; 5] {
        let mut mask = [0; 5];
        let block: [u8; 16] = match self {
            HeaderCipher::Aes128(c) => encrypted(&**c, sample),
            HeaderCipher::Aes256(c) => encrypted(&**c, sample),
            HeaderCipher::ChaCha20(key) => {
                let [a, b, c, d, nonce @ ..] = sample;
                let mut cipher = ChaCha20::new(key.into(), (&nonce).into());
                // The counter counts blocks of 64 bytes; there is always room for five bytes behind the last one's start.
                let at = u64::from(u32::from_le_bytes([a, b, c, d])) * 64;
                if cipher.try_seek(at).is_err() || cipher.try_apply_keystream(&mut mask).is_err() {
                    return [0; 5];
                }
                return mask;
            }
        };
        mask.iter_mut().zip(block).for_each(|(m, b)| *m = b);
        mask
    }
}

fn encrypted<C: BlockCipherEncrypt<BlockSize = U16>>(cipher: &C, block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

/// The header of a record that its seal covers.
#[derive(Clone, Copy)]
pub(super) struct RecordHeader {
    /// Number of the record; of DTLS the epoch stands above it.
    pub(super) number: u64,
    pub(super) kind: u8,
    pub(super) version: u16,
}

impl RecordHeader {
    /// What is sealed or signed with the content (RFC 5246 section 6.2.3.3).
    fn bytes(self, length: usize) -> [u8; 13] {
        let mut bytes = [0; 13];
        let parts = self.number.to_be_bytes().into_iter().chain([self.kind]);
        let parts = parts.chain(self.version.to_be_bytes()).chain((length as u16).to_be_bytes());
        bytes.iter_mut().zip(parts).for_each(|(b, p)| *b = p);
        bytes
    }
}

/// Keys of one sender from a master secret (TLS 1.0 to 1.2, DTLS).
pub(super) struct RecordKeys(Sealing);

enum Sealing {
    /// The first four bytes of the nonce are secret, the rest is sent (RFC 5288 section 3).
    Explicit {
        aead: Aead,
        salt: [u8; 4],
    },
    /// RFC 7905 section 2.
    Implicit {
        aead: Aead,
        iv: [u8; 12],
    },
    Cbc {
        cipher: Cbc,
        mac: Mac,
        mac_key: Vec<u8>,
        mac_last: bool,
        iv: Iv,
    },
}

/// Where the IV of a CBC record stands.
enum Iv {
    /// Before its first block (TLS 1.1 on).
    Sent,
    /// It is the last block of the record before (TLS 1.0).
    Before([u8; 16]),
}

enum Cbc {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
}

impl Cbc {
    fn decrypt(&self, iv: [u8; 16], blocks: &[[u8; 16]]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(blocks.len() * 16);
        let mut before = iv;
        for block in blocks {
            let mut opened = (*block).into();
            match self {
                Cbc::Aes128(c) => c.decrypt_block(&mut opened),
                Cbc::Aes256(c) => c.decrypt_block(&mut opened),
            }
            plain.extend(opened.iter().zip(before).map(|(o, b)| o ^ b));
            before = *block;
        }
        plain
    }
}

/// What the two sides have agreed on.
#[derive(Clone, Copy)]
pub(super) struct Agreed<'a> {
    pub(super) suite: Suite,
    /// 0x0301 to 0x0303; of DTLS the version of TLS that it is made after.
    pub(super) version: u16,
    pub(super) client_random: &'a [u8; 32],
    pub(super) server_random: &'a [u8; 32],
    /// The MAC is over the ciphertext (RFC 7366).
    pub(super) encrypt_then_mac: bool,
}

impl RecordKeys {
    /// Keys of the client or the server; `None` when the master secret or the version does not go with the suite.
    pub(super) fn derive(agreed: Agreed<'_>, master: &[u8], of_client: bool) -> Option<RecordKeys> {
        let Agreed { suite, version, client_random, server_random, encrypt_then_mac } = agreed;
        let (mac_size, iv_size) = match suite.bulk {
            Bulk::Aes128Cbc(mac) | Bulk::Aes256Cbc(mac) => (mac.size(), 16),
            Bulk::ChaCha20 => (0, 12),
            _ => (0, 4),
        };
        let aead = mac_size == 0;
        // CBC with SHA-2 came with TLS 1.2 too.
        if !(0x0301..=0x0303).contains(&version) || (version < 0x0303 && (aead || mac_size > 20)) {
            return None;
        }
        let key_size = suite.bulk.key();
        let mut block = vec![0; 2 * (mac_size + key_size + iv_size)];
        let seed = [&server_random[..], client_random].concat();
        if version == 0x0303 {
            prf(suite.hash, master, b"key expansion", &seed, &mut block)?;
        } else {
            old_prf(master, b"key expansion", &seed, &mut block)?;
        }
        let mut rest = block.as_slice();
        let mut pair = |size: usize| -> Option<&[u8]> {
            let (client, after) = rest.split_at_checked(size)?;
            let (server, after) = after.split_at_checked(size)?;
            rest = after;
            Some(if of_client { client } else { server })
        };
        let (mac_key, key, iv) = (pair(mac_size)?, pair(key_size)?, pair(iv_size)?);
        let cbc = |cipher, mac| -> Option<Sealing> {
            let iv = if version == 0x0301 { Iv::Before(iv.try_into().ok()?) } else { Iv::Sent };
            Some(Sealing::Cbc { cipher, mac, mac_key: mac_key.to_vec(), mac_last: encrypt_then_mac, iv })
        };
        Some(RecordKeys(match suite.bulk {
            Bulk::Aes128Cbc(mac) => cbc(Cbc::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)), mac)?,
            Bulk::Aes256Cbc(mac) => cbc(Cbc::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)), mac)?,
            Bulk::ChaCha20 => {
                Sealing::Implicit { aead: Aead::new(suite.bulk, key)?, iv: iv.try_into().ok()? }
            }
            _ => Sealing::Explicit { aead: Aead::new(suite.bulk, key)?, salt: iv.try_into().ok()? },
        }))
    }

    /// Opens a record's body.
    pub(super) fn open(&self, header: RecordHeader, body: &[u8]) -> Option<Vec<u8>> {
        match &self.0 {
            Sealing::Explicit { aead, salt } => {
                let (sent, sealed) = body.split_at_checked(8)?;
                let mut nonce = [0; 12];
                nonce.iter_mut().zip(salt.iter().chain(sent)).for_each(|(n, b)| *n = *b);
                aead.open(&nonce, &header.bytes(sealed.len().checked_sub(aead.tag())?), sealed)
            }
            Sealing::Implicit { aead, iv } => {
                let clear = header.bytes(body.len().checked_sub(aead.tag())?);
                aead.open(&nonce(iv, header.number), &clear, body)
            }
            Sealing::Cbc { cipher, mac, mac_key, mac_last, iv } => {
                let mut sealed = body;
                if *mac_last {
                    let (signed, tag) = body.split_at_checked(body.len().checked_sub(mac.size())?)?;
                    if !mac.verifies(mac_key, &[&header.bytes(signed.len()), signed], tag) {
                        return None;
                    }
                    sealed = signed;
                }
                let (blocks, []) = sealed.as_chunks::<16>() else { return None };
                let (iv, blocks) = match iv {
                    Iv::Sent => blocks.split_first().map(|(iv, blocks)| (*iv, blocks))?,
                    Iv::Before(iv) => (*iv, blocks),
                };
                let mut plain = cipher.decrypt(iv, blocks);
                let padding = *plain.last()?;
                let content = plain.len().checked_sub(usize::from(padding) + 1)?;
                if plain.get(content..)?.iter().any(|b| *b != padding) {
                    return None;
                }
                plain.truncate(content);
                if !*mac_last {
                    let size = plain.len().checked_sub(mac.size())?;
                    let (content, tag) = plain.split_at_checked(size)?;
                    if !mac.verifies(mac_key, &[&header.bytes(size), content], tag) {
                        return None;
                    }
                    plain.truncate(size);
                }
                Some(plain)
            }
        }
    }

    /// A record's body has gone by, opened or not: in TLS 1.0 its end is the next record's IV.
    pub(super) fn passed(&mut self, body: &[u8]) {
        if let Sealing::Cbc { mac, mac_last, iv: Iv::Before(iv), .. } = &mut self.0 {
            let end = body.len().saturating_sub(if *mac_last { mac.size() } else { 0 });
            if let Some(last) = body.get(..end).and_then(|b| b.last_chunk::<16>()) {
                *iv = *last;
            }
        }
    }
}

/// The pseudo-random function of TLS 1.2 (RFC 5246 section 5).
fn prf(hash: Hash, secret: &[u8], label: &[u8], seed: &[u8], out: &mut [u8]) -> Option<()> {
    let seed = [label, seed].concat();
    match hash {
        Hash::Sha256 => p_hash(|| Hmac::<Sha256>::new_from_slice(secret).ok(), &seed, out),
        Hash::Sha384 => p_hash(|| Hmac::<Sha384>::new_from_slice(secret).ok(), &seed, out),
    }
}

/// The keys of a session of TLS 1.2 under a suite with AES-128-GCM and SHA-256 (RFC 5246 section 6.3, RFC 5288 section 3): those of client and server,
/// then their salts.
pub(crate) fn key_block(master: &[u8], client_random: &[u8], server_random: &[u8]) -> Option<[u8; 40]> {
    let mut block = [0; 40];
    prf(Hash::Sha256, master, b"key expansion", &[server_random, client_random].concat(), &mut block)?;
    Some(block)
}

/// That of TLS 1.0 and 1.1: both halves of the secret (RFC 2246 section 5).
fn old_prf(secret: &[u8], label: &[u8], seed: &[u8], out: &mut [u8]) -> Option<()> {
    let seed = [label, seed].concat();
    let half = secret.len().div_ceil(2);
    let (first, second) = (secret.get(..half)?, secret.get(secret.len() - half..)?);
    p_hash(|| Hmac::<Md5>::new_from_slice(first).ok(), &seed, out)?;
    let mut other = vec![0; out.len()];
    p_hash(|| Hmac::<Sha1>::new_from_slice(second).ok(), &seed, &mut other)?;
    out.iter_mut().zip(other).for_each(|(o, b)| *o ^= b);
    Some(())
}

fn p_hash<M: hmac::Mac>(mac: impl Fn() -> Option<M>, seed: &[u8], out: &mut [u8]) -> Option<()> {
    let of = |parts: &[&[u8]]| {
        let mut mac = mac()?;
        for part in parts {
            mac.update(part);
        }
        Some(mac.finalize().into_bytes().to_vec())
    };
    let mut a = seed.to_vec();
    let mut filled = 0;
    while filled < out.len() {
        a = of(&[&a])?;
        let bytes = of(&[&a, seed])?;
        let space = out.get_mut(filled..)?;
        space.iter_mut().zip(&bytes).for_each(|(o, b)| *o = *b);
        filled += bytes.len();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::testing::bytes;

    /// RFC 9001 appendix A.5: the suite with `ChaCha20`.
    #[test]
    fn quic_with_chacha20() {
        let secret = bytes("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
        let suite = suite(0x1303).unwrap();
        let mask = HeaderCipher::derive(suite, &secret, "quic hp").unwrap();
        let sample: [u8; 16] = bytes("5e5cd55c41f69080575d7999c25a5bfb").try_into().unwrap();
        assert_eq!(mask.mask(sample).to_vec(), bytes("aefefe7d03"));
        let keys = TrafficKeys::derive(suite, &secret, ["quic key", "quic iv"]).unwrap();
        let sealed = bytes("655e5cd55c41f69080575d7999c25a5bfb");
        let header = bytes("4200bff4");
        assert_eq!(keys.open(654_360_564, &header, &sealed), Some(vec![1]));
        assert_eq!(keys.open(654_360_565, &header, &sealed), None);
        for cut in 0..sealed.len() {
            assert_eq!(keys.open(654_360_564, &header, &sealed[..cut]), None, "{cut}");
        }
        assert!(TrafficKeys::derive(suite, &secret[..31], ["quic key", "quic iv"]).is_none());
    }

    /// The test vector that the TLS working group's list has for `P_SHA256` (2010).
    #[test]
    fn the_prf_of_tls_1_2() {
        let mut out = [0; 100];
        let secret = bytes("9bbe436ba940f017b17652849a71db35");
        prf(Hash::Sha256, &secret, b"test label", &bytes("a0ba9f936cda311827a6f796ffd5198c"), &mut out)
            .unwrap();
        let expected = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af\
                        0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701\
                        87347b66";
        assert_eq!(out.to_vec(), bytes(expected));
    }

    #[test]
    fn records_of_any_length_stay_shut() {
        let random = [7; 32];
        for (number, version, etm) in [
            (0x009c, 0x0303, false),
            (0xcca8, 0x0303, false),
            (0xc0a1, 0x0303, false),
            (0x002f, 0x0301, false),
            (0x0035, 0x0302, true),
            (0xc028, 0x0303, false),
            (0xc028, 0x0303, true),
        ] {
            let agreed = Agreed {
                suite: suite(number).unwrap(),
                version,
                client_random: &random,
                server_random: &random,
                encrypt_then_mac: etm,
            };
            let mut keys = RecordKeys::derive(agreed, &[9; 48], true).unwrap();
            for size in 0..100 {
                let body = vec![size as u8; size];
                let header = RecordHeader { number: 0, kind: 23, version };
                assert_eq!(keys.open(header, &body), None, "{number:#x} {size}");
                keys.passed(&body);
            }
        }
        // AEAD came with TLS 1.2; SSL 3 has another way of making keys.
        for (number, version) in [(0x009c, 0x0302), (0xc028, 0x0302), (0x002f, 0x0300)] {
            let agreed = Agreed {
                suite: suite(number).unwrap(),
                version,
                client_random: &random,
                server_random: &random,
                encrypt_then_mac: false,
            };
            assert!(RecordKeys::derive(agreed, &[9; 48], true).is_none(), "{number:#x}");
        }
        assert_eq!(suite(0x000a), None, "3DES");
    }
}
