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
    /// Algorithm of the issuer's signature: a name where it is a common one, else its OID.
    signature: Option<String>,
    sha256: String,
    /// Validity, seconds since 1970.
    #[serde(skip)]
    validity: Option<(i64, i64)>,
    /// Too short by NIST SP 800-57 part 1 (112 bits of strength).
    #[serde(skip)]
    weak_key: bool,
    /// Common name of the subject, for certificates without alternative names.
    #[serde(skip)]
    common_name: Option<String>,
}

/// What is wrong with a chain as sent, as far as it can be told without a list of trusted roots.
///
/// `expired`, `not-yet-valid` (the leaf at the time of the capture), `self-issued` (the leaf names itself as its issuer),
/// `name-mismatch` (none of the leaf's names fits `sni`, RFC 9525 section 6.3), `weak-key` (RSA or DSA under 2048 bits, EC
/// under 224), `weak-signature` (MD2, MD5 or SHA-1 below the root), `chain-order` (a certificate is not followed by its issuer).
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
    check("self-issued", self_issued(leaf));
    let named = !leaf.dns_names.is_empty() || leaf.common_name.is_some();
    check("name-mismatch", named && sni.is_some_and(|name| !leaf.names(name)));
    check("weak-key", chain.iter().any(|c| c.weak_key));
    let weak = |c: &Arc<Certificate>| {
        !self_issued(c) && c.signature.as_deref().is_some_and(|s| WEAK.iter().any(|(_, name)| *name == s))
    };
    check("weak-signature", chain.iter().any(weak));
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
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
];

fn algorithm(oid: String) -> String {
    match WEAK.iter().chain(STRONG).find(|(known, _)| *known == oid) {
        Some((_, name)) => (*name).to_owned(),
        None => oid,
    }
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
        Ok(PublicKey::RSA(rsa)) => (Some(format!("RSA {}", rsa.key_size())), rsa.key_size() < 2048),
        Ok(PublicKey::EC(ec)) => (Some(format!("EC {}", ec.key_size())), ec.key_size() < 224),
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
    Certificate {
        serial: Some(hex(cert.raw_serial())),
        subject: Some(cert.subject().to_string()),
        issuer: Some(cert.issuer().to_string()),
        dns_names,
        not_before: time(cert.validity().not_before),
        not_after: time(cert.validity().not_after),
        key,
        signature: Some(algorithm(cert.signature_algorithm.algorithm.to_id_string())),
        sha256,
        validity: Some((cert.validity().not_before.timestamp(), cert.validity().not_after.timestamp())),
        weak_key,
        common_name,
    }
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
        let signed = |with: &str| Certificate { signature: Some(with.into()), ..leaf() };
        let own = Certificate { issuer: Some("CN=chat.example".into()), ..leaf() };
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
            ("SHA-1", chain(signed("sha1WithRSAEncryption")), None, 1_500, &["weak-signature"]),
            ("short key", chain(Certificate { weak_key: true, ..leaf() }), None, 1_500, &["weak-key"]),
            ("self-issued", vec![Arc::new(own)], None, 1_500, &["self-issued"]),
            ("order", vec![Arc::new(leaf()), Arc::new(leaf())], None, 1_500, &["chain-order"]),
            ("none", vec![], Some("chat.example"), 1_500, &[]),
        ] {
            assert_eq!(super::faults(&chain, sni, CaptureTime(now * 1_000_000_000)), faults, "{what}");
        }
    }
}
