//! What is read of certificates (RFC 5280), each of them once a thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::flow::canonical_name;
use crate::capture::hex;

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
    sha256: String,
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
    let key = cert.public_key().parsed().ok().map(|k| {
        use x509_parser::public_key::PublicKey;
        match k {
            PublicKey::RSA(rsa) => format!("RSA {}", rsa.key_size()),
            PublicKey::EC(ec) => format!("EC {}", ec.key_size()),
            PublicKey::DSA(_) => "DSA".to_owned(),
            PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_) => "GOST".to_owned(),
            PublicKey::Unknown(_) => cert.public_key().algorithm.algorithm.to_id_string(),
        }
    });
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
        sha256,
    }
}
