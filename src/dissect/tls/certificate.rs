//! What is read of certificates (RFC 5280), each of them once a thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::flow::canonical_name;
use crate::capture::hex;
use crate::model::CaptureTime;

/// What is read of a certificate (RFC 5280).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Certificate {
    /// Content bytes of the INTEGER, hex; null when the certificate cannot be read.
    pub(super) serial: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) dns_names: Vec<String>,
    pub(super) not_before: Option<String>,
    pub(super) not_after: Option<String>,
    /// Algorithm and size of the public key.
    key: Option<String>,
    /// Algorithm of the issuer's signature: a name where it is a common one, else its OID; of RSASSA-PSS with the hash.
    signature: Option<String>,
    sha256: String,
    /// Validity, seconds since 1970.
    #[serde(skip)]
    validity: Option<(i64, i64)>,
    /// Too short by NIST SP 800-57 part 1 (112 bits of strength).
    #[serde(skip)]
    weak_key: bool,
    /// The signature is by a hash that is given up.
    #[serde(skip)]
    weak_signature: bool,
    /// Whether the key that signed is the certificate's own, by its key identifiers (RFC 5280 sections 4.2.1.1 and 4.2.1.2), or as
    /// none is named; `None` where only the signer's is there. The signature itself is not checked.
    #[serde(skip)]
    own_key: Option<bool>,
    /// Common name of the subject, for certificates without alternative names.
    #[serde(skip)]
    common_name: Option<String>,
}

/// What is wrong with a chain as sent, as far as it can be told without a list of trusted roots.
///
/// `expired`, `not-yet-valid` (the leaf at the time of the capture), `expired-intermediate`, `not-yet-valid-intermediate` (one that
/// was sent above it and is no root), `self-issued` (the leaf names itself as its issuer, RFC 5280 section 3.2), `self-signed`
/// (and by its key identifiers its own key has signed it), `name-mismatch` (none of the leaf's names fits `sni`, RFC 9525 section
/// 6.3), `weak-key` (RSA or DSA under 2048 bits, EC under 224), `weak-signature` (MD2, MD5 or SHA-1 below the root, RSASSA-PSS with
/// them too), `chain-order` (a certificate is not followed by its issuer).
pub(super) fn faults(chain: &[Arc<Certificate>], sni: Option<&str>, time: CaptureTime) -> Vec<&'static str> {
    let Some(leaf) = chain.first() else { return Vec::new() };
    let now = time.0.div_euclid(1_000_000_000);
    let mut faults = Vec::new();
    let mut check = |fault: &'static str, holds: bool| {
        if holds {
            faults.push(fault);
        }
    };
    check("expired", leaf.validity.is_some_and(|(_, end)| now > end));
    check("not-yet-valid", leaf.validity.is_some_and(|(start, _)| now < start));
    let self_issued = |c: &Certificate| c.subject.is_some() && c.subject == c.issuer;
    // A root is trusted by being known, not by its dates; programs differ in what they make of them.
    let between = || chain.iter().skip(1).filter(|c| !self_issued(c)).filter_map(|c| c.validity);
    check("expired-intermediate", between().any(|(_, end)| now > end));
    check("not-yet-valid-intermediate", between().any(|(start, _)| now < start));
    check("self-issued", self_issued(leaf));
    check("self-signed", self_issued(leaf) && leaf.own_key == Some(true));
    let named = !leaf.dns_names.is_empty() || leaf.common_name.is_some();
    check("name-mismatch", named && sni.is_some_and(|name| !leaf.names(name)));
    check("weak-key", chain.iter().any(|c| c.weak_key));
    check("weak-signature", chain.iter().any(|c| !self_issued(c) && c.weak_signature));
    let follows = |pair: &[Arc<Certificate>]| match pair {
        [one, next] => one.issuer.is_none() || next.subject.is_none() || one.issuer == next.subject,
        _ => true,
    };
    check("chain-order", !chain.windows(2).all(follows));
    faults
}

impl Certificate {
    /// The certificate is for `host`: an alternative name, or the common name where there is none (as programs did before
    /// RFC 6125); a wildcard stands for one whole label.
    fn names(&self, host: &str) -> bool {
        let fits = |pattern: &str| match pattern.strip_prefix("*.") {
            Some(rest) => {
                host.split_once('.').is_some_and(|(label, parent)| !label.is_empty() && parent == rest)
            }
            None => pattern == host,
        };
        if self.dns_names.is_empty() {
            self.common_name.as_deref().is_some_and(fits)
        } else {
            self.dns_names.iter().any(|n| fits(n))
        }
    }
}

/// Signature algorithms that were broken or are given up (RFC 6194, RFC 6151, RFC 9155): OID and name.
static WEAK: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.2", "md2WithRSAEncryption"),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.3.14.3.2.29", "sha1WithRSA"),
    ("1.2.840.10040.4.3", "dsa-with-sha1"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
];

/// The common ones of today (RFC 8017, RFC 5758, RFC 8410).
static STRONG: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
];

/// RSASSA-PSS (RFC 8017), whose parameters name the hash.
const PSS: &str = "1.2.840.113549.1.1.10";

/// Hashes of RSASSA-PSS (RFC 4055 section 2.1, RFC 3279 section 2.2.1), and whether they are given up.
static HASHES: &[(&str, &str, bool)] = &[
    ("1.2.840.113549.2.2", "MD2", true),
    ("1.2.840.113549.2.5", "MD5", true),
    ("1.3.14.3.2.26", "SHA-1", true),
    ("2.16.840.1.101.3.4.2.4", "SHA-224", false),
    ("2.16.840.1.101.3.4.2.1", "SHA-256", false),
    ("2.16.840.1.101.3.4.2.2", "SHA-384", false),
    ("2.16.840.1.101.3.4.2.3", "SHA-512", false),
];

/// Name of a signature's algorithm, and whether it is given up.
fn algorithm(id: &x509_parser::x509::AlgorithmIdentifier<'_>) -> (String, bool) {
    use x509_parser::signature_algorithm::RsaSsaPssParams;

    let oid = id.algorithm.to_id_string();
    if oid == PSS {
        // A hash that is not named is SHA-1 (RFC 4055 section 3.1).
        let Some(params) = id.parameters.as_ref().and_then(|p| RsaSsaPssParams::try_from(p).ok()) else {
            return ("rsassaPss".to_owned(), false);
        };
        let hash = params.hash_algorithm_oid().to_id_string();
        let (name, weak) = HASHES
            .iter()
            .find(|(known, ..)| *known == hash)
            .map_or((hash.as_str(), false), |(_, name, weak)| (*name, *weak));
        return (format!("rsassaPss with {name}"), weak);
    }
    let name =
        |list: &'static [(&str, &str)]| list.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
    match (name(WEAK), name(STRONG)) {
        (Some(name), _) => (name.to_owned(), true),
        (_, Some(name)) => (name.to_owned(), false),
        _ => (oid, false),
    }
}

/// Whether the key that signed is the certificate's own, by both key identifiers, or as none is named (RFC 5280 section 4.2.1.1);
/// `None` where that one stands alone.
fn own_key(cert: &x509_parser::certificate::X509Certificate<'_>) -> Option<bool> {
    use x509_parser::extensions::ParsedExtension;

    let (mut own, mut signed_by) = (None, None);
    for extension in cert.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id.0),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                signed_by = id.key_identifier.as_ref().map(|id| id.0);
            }
            _ => {}
        }
    }
    // What another key has signed names that key; only self-signed certificates may leave it out.
    let Some(signed_by) = signed_by else { return Some(true) };
    Some(own? == signed_by)
}

/// Certificates that one thread remembers: servers send the same ones again and again.
const REMEMBERED: usize = 512;

thread_local! {
    static SEEN: RefCell<HashMap<Vec<u8>, Arc<Certificate>, foldhash::fast::RandomState>> = RefCell::default();
}

/// Reads one, or remembers it.
pub(super) fn read(der: &[u8]) -> Arc<Certificate> {
    SEEN.with_borrow_mut(|seen| {
        if let Some(known) = seen.get(der) {
            return Arc::clone(known);
        }
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        let read = Arc::new(read_certificate(der));
        seen.insert(der.to_vec(), Arc::clone(&read));
        read
    })
}

fn read_certificate(der: &[u8]) -> Certificate {
    use x509_parser::extensions::GeneralName;
    use x509_parser::prelude::{FromDer, X509Certificate};
    use x509_parser::public_key::PublicKey;

    let sha256 = hex(&Sha256::digest(der));
    let Ok((_, cert)) = X509Certificate::from_der(der) else {
        return Certificate { sha256, ..Certificate::default() };
    };
    let mut dns_names = Vec::new();
    if let Ok(Some(names)) = cert.subject_alternative_name() {
        for name in &names.value.general_names {
            if let GeneralName::DNSName(name) = name {
                dns_names.push(canonical_name(name));
            }
        }
    }
    let (key, weak_key) = match cert.public_key().parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let bits = bits(rsa.modulus);
            (Some(format!("RSA {bits}")), bits < 2048)
        }
        Ok(PublicKey::EC(ec)) => {
            // Coordinates have whole bytes, the curve of 521 bits has not.
            let bits = if ec.key_size() == 528 { 521 } else { ec.key_size() };
            (Some(format!("EC {bits}")), bits < 224)
        }
        Ok(PublicKey::DSA(y)) => (Some("DSA".to_owned()), y.len() < 2048 / 8),
        Ok(PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_)) => (Some("GOST".to_owned()), false),
        Ok(PublicKey::Unknown(_)) => (Some(cert.public_key().algorithm.algorithm.to_id_string()), false),
        Err(_) => (None, false),
    };
    let common_name =
        cert.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok()).map(canonical_name);
    let time = |t: x509_parser::time::ASN1Time| {
        jiff::Timestamp::from_second(t.timestamp()).ok().map(|t| t.to_string())
    };
    let (signature, weak_signature) = algorithm(&cert.signature_algorithm);
    Certificate {
        serial: Some(hex(cert.raw_serial())),
        subject: Some(cert.subject().to_string()),
        issuer: Some(cert.issuer().to_string()),
        dns_names,
        not_before: time(cert.validity().not_before),
        not_after: time(cert.validity().not_after),
        key,
        signature: Some(signature),
        sha256,
        validity: Some((cert.validity().not_before.timestamp(), cert.validity().not_after.timestamp())),
        weak_key,
        weak_signature,
        own_key: own_key(&cert),
        common_name,
    }
}

/// Bits of an unsigned number, the highest byte first.
fn bits(number: &[u8]) -> usize {
    let from = number.iter().position(|b| *b != 0).unwrap_or(number.len());
    let number = number.get(from..).unwrap_or_default();
    number.len() * 8 - number.first().map_or(0, |b| b.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf() -> Certificate {
        Certificate {
            serial: Some("01".into()),
            subject: Some("CN=chat.example".into()),
            issuer: Some("CN=ca.example".into()),
            dns_names: vec!["chat.example".into(), "*.chat.example".into()],
            signature: Some("ecdsa-with-SHA256".into()),
            validity: Some((1_000, 2_000)),
            ..Certificate::default()
        }
    }

    fn issuer() -> Certificate {
        Certificate {
            subject: Some("CN=ca.example".into()),
            issuer: Some("CN=root.example".into()),
            validity: Some((0, 9_000)),
            ..leaf()
        }
    }

    #[test]
    fn each_fault_of_a_chain_is_told_and_no_other() {
        let chain = |one: Certificate| vec![Arc::new(one), Arc::new(issuer())];
        let named = |names: &[&str], common_name: Option<&str>| Certificate {
            dns_names: names.iter().map(|n| (*n).to_owned()).collect(),
            common_name: common_name.map(str::to_owned),
            ..leaf()
        };
        let weak = Certificate { weak_signature: true, ..leaf() };
        let own = Certificate { issuer: Some("CN=chat.example".into()), ..leaf() };
        let own_with = |own_key| Certificate { own_key, ..own.clone() };
        let above = |one: Certificate| {
            vec![Arc::new(Certificate { validity: Some((0, 9_000)), ..leaf() }), Arc::new(one)]
        };
        let between = || Certificate { validity: Some((1_000, 2_000)), ..issuer() };
        let root = Certificate {
            subject: Some("CN=ca.example".into()),
            issuer: Some("CN=ca.example".into()),
            ..leaf()
        };
        for (what, chain, sni, now, faults) in [
            ("fine", chain(leaf()), Some("chat.example"), 1_500, &[][..]),
            ("wildcard", chain(leaf()), Some("a.chat.example"), 1_500, &[]),
            ("wildcard of one label", chain(leaf()), Some("a.b.chat.example"), 1_500, &["name-mismatch"]),
            ("other name", chain(leaf()), Some("evil.example"), 1_500, &["name-mismatch"]),
            ("no SNI", chain(leaf()), None, 1_500, &[]),
            ("common name", chain(named(&[], Some("chat.example"))), Some("chat.example"), 1_500, &[]),
            (
                "common name is not asked",
                chain(named(&["x.example"], Some("chat.example"))),
                Some("chat.example"),
                1_500,
                &["name-mismatch"],
            ),
            ("last second", chain(leaf()), None, 2_000, &[]),
            ("expired", chain(leaf()), None, 2_001, &["expired"]),
            ("early", chain(leaf()), None, 999, &["not-yet-valid"]),
            ("SHA-1", chain(weak), None, 1_500, &["weak-signature"]),
            ("intermediate", above(between()), None, 2_001, &["expired-intermediate"]),
            ("early intermediate", above(between()), None, 999, &["not-yet-valid-intermediate"]),
            ("root", above(root), None, 2_001, &[]),
            ("short key", chain(Certificate { weak_key: true, ..leaf() }), None, 1_500, &["weak-key"]),
            ("self-issued", vec![Arc::new(own.clone())], None, 1_500, &["self-issued"]),
            ("by another key", vec![Arc::new(own_with(Some(false)))], None, 1_500, &["self-issued"]),
            (
                "self-signed",
                vec![Arc::new(own_with(Some(true)))],
                None,
                1_500,
                &["self-issued", "self-signed"],
            ),
            ("order", vec![Arc::new(leaf()), Arc::new(leaf())], None, 1_500, &["chain-order"]),
            ("none", vec![], Some("chat.example"), 1_500, &[]),
        ] {
            assert_eq!(super::faults(&chain, sni, CaptureTime(now * 1_000_000_000)), faults, "{what}");
        }
    }

    /// An element of DER.
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let length = match body.len() {
            short @ 0..128 => vec![short as u8],
            long => vec![0x82, (long >> 8) as u8, long as u8],
        };
        [&[tag][..], &length, &body].concat()
    }

    /// A certificate that nobody has signed: its algorithm, and its key identifiers.
    fn made(algorithm: &[u8], own: &[u8], signed_by: Option<&[u8]>) -> Vec<u8> {
        let key = der(0x30, &[&der(0x30, &[&der(6, &[&[0x2b, 0x65, 0x70]])]), &der(3, &[&[0; 33]])]);
        made_with(&key, algorithm, own, signed_by)
    }

    /// The same with this `SubjectPublicKeyInfo`.
    fn made_with(key: &[u8], algorithm: &[u8], own: &[u8], signed_by: Option<&[u8]>) -> Vec<u8> {
        let name =
            der(0x30, &[&der(0x31, &[&der(0x30, &[&der(6, &[&[0x55, 4, 3]]), &der(12, &[b"a.example"])])])]);
        let day = |text: &[u8]| der(0x17, &[text]);
        let validity = der(0x30, &[&day(b"250101000000Z"), &day(b"260101000000Z")]);
        let extension = |id: u8, value: &[u8]| der(0x30, &[&der(6, &[&[0x55, 0x1d, id]]), &der(4, &[value])]);
        let mut extensions = extension(14, &der(4, &[own]));
        if let Some(id) = signed_by {
            extensions.extend(extension(35, &der(0x30, &[&der(0x80, &[id])])));
        }
        let extensions = der(0xa3, &[&der(0x30, &[&extensions])]);
        let version = der(0xa0, &[&der(2, &[&[2]])]);
        let content = [&version[..], &der(2, &[&[1]]), algorithm, &name, &validity, &name, key, &extensions];
        der(0x30, &[&der(0x30, &content), algorithm, &der(3, &[&[0; 65]])])
    }

    /// RSASSA-PSS with these parameters.
    fn pss(parameters: &[&[u8]]) -> Vec<u8> {
        let oid = der(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]]);
        let parts: Vec<&[u8]> = std::iter::once(&*oid).chain(parameters.iter().copied()).collect();
        der(0x30, &parts)
    }

    #[test]
    fn the_hash_of_rsassa_pss_decides_its_strength() {
        let hash = |oid: &[u8]| der(0x30, &[&der(0xa0, &[&der(0x30, &[&der(6, &[oid])])])]);
        let nist = |last: u8| hash(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, last]);
        for (parameters, name, weak) in [
            (vec![nist(1)], "rsassaPss with SHA-256", false),
            (vec![nist(3)], "rsassaPss with SHA-512", false),
            (vec![hash(&[0x2b, 14, 3, 2, 26])], "rsassaPss with SHA-1", true),
            // No hash is named: the default.
            (vec![der(0x30, &[])], "rsassaPss with SHA-1", true),
            (vec![hash(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5])], "rsassaPss with MD5", true),
            (vec![hash(&[0x2b, 1])], "rsassaPss with 1.3.1", false),
            (vec![], "rsassaPss", false),
        ] {
            let parameters: Vec<&[u8]> = parameters.iter().map(Vec::as_slice).collect();
            let read = read_certificate(&made(&pss(&parameters), b"one", None));
            assert_eq!((read.signature.as_deref(), read.weak_signature), (Some(name), weak));
        }
    }

    #[test]
    fn keys_are_told_by_their_length() {
        let ed25519 = der(0x30, &[&der(6, &[&[0x2b, 0x65, 0x70]])]);
        let rsa = |bits: usize, sign: &[u8]| {
            let mut modulus = vec![0xa5; bits.div_ceil(8)];
            modulus[0] = 0xff >> (modulus.len() * 8 - bits);
            let number = der(2, &[sign, &modulus]);
            let key = der(0x30, &[&number, &der(2, &[&[1, 0, 1]])]);
            let oid = der(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]]);
            der(0x30, &[&der(0x30, &[&oid, &der(5, &[])]), &der(3, &[&[0], &key])])
        };
        let ec = |curve: &[u8], size: usize| {
            let ids = [der(6, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]]), der(6, &[curve])].concat();
            let point = [&[0, 4][..], &vec![0x17; 2 * size]].concat();
            der(0x30, &[&der(0x30, &[&ids]), &der(3, &[&point])])
        };
        for (key, name, weak) in [
            (rsa(2048, &[0]), "RSA 2048", false),
            (rsa(4096, &[0]), "RSA 4096", false),
            (rsa(2047, &[]), "RSA 2047", true),
            (rsa(1024, &[0]), "RSA 1024", true),
            (ec(&[0x2b, 0x81, 4, 0, 35], 66), "EC 521", false),
            (ec(&[0x2b, 0x81, 4, 0, 34], 48), "EC 384", false),
            (ec(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], 32), "EC 256", false),
            (ec(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1], 24), "EC 192", true),
        ] {
            let read = read_certificate(&made_with(&key, &ed25519, b"one", None));
            assert_eq!((read.key.as_deref(), read.weak_key), (Some(name), weak));
        }
    }

    #[test]
    fn key_identifiers_tell_whose_key_signed() {
        let ed25519 = der(0x30, &[&der(6, &[&[0x2b, 0x65, 0x70]])]);
        for (signed_by, own_key, faults) in [
            (None, Some(true), &["self-issued", "self-signed"][..]),
            (Some(&b"two"[..]), Some(false), &["self-issued"]),
            (Some(b"one"), Some(true), &["self-issued", "self-signed"]),
        ] {
            let whole = made(&ed25519, b"one", signed_by);
            let read = read_certificate(&whole);
            assert_eq!((read.own_key, read.signature.as_deref()), (own_key, Some("Ed25519")));
            let time = CaptureTime(1_750_000_000 * 1_000_000_000);
            assert_eq!(super::faults(&[Arc::new(read)], None, time), faults);
            for cut in 0..whole.len() {
                assert_eq!(read_certificate(&whole[..cut]).subject, None, "{cut}");
            }
        }
    }
}
