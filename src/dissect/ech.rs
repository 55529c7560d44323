//! ECH configurations: what servers publish, and whether a client hello is made by one of them.
//!
//! Takes an `ECHConfigList` (RFC 9849 section 4) of a DNS answer or of `reference/ech.toml`; gives what of each configuration
//! stands in clear in a client hello again: public name, config id, cipher suites and the length of the encapsulated key.
//! Keys are not kept: nothing here decrypts.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use toml::Spanned;

use super::{Reader, Short};
use crate::capture::unhex;
use crate::destination::{DataFile, FactTexts, ReferenceError};

/// The version of RFC 9849.
const VERSION: u16 = 0xfe0d;
/// Cipher suites that are kept of one configuration; servers offer one to four.
const MAX_SUITES: usize = 32;

/// What of an `ECHConfig` (RFC 9849 section 4) a client hello shows again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EchConfig {
    /// The outer server name.
    pub(super) public_name: String,
    /// Config id.
    pub(super) id: u8,
    /// HPKE KEM.
    kem: u16,
    /// HPKE KDF and AEAD of each suite offered.
    suites: Vec<(u16, u16)>,
}

/// What a client hello shows of ECH.
#[derive(Clone, Copy, Debug)]
pub(super) struct EchOffer<'a> {
    /// Outer server name.
    pub(super) sni: &'a str,
    /// Config id.
    pub(super) id: u64,
    /// KDF and AEAD, as [`suite_name`] writes them.
    pub(super) suite: &'a str,
    /// Bytes of the encapsulated key.
    pub(super) enc: u64,
}

/// A cipher suite as observations show it: KDF, AEAD.
pub(super) fn suite_name(kdf: u16, aead: u16) -> String {
    format!("{kdf:#06x},{aead:#06x}")
}

/// Bytes of the encapsulated key (`Nenc`) of a KEM: RFC 9180 section 7.1, and what else IANA's registry `HPKE KEM Identifiers`
/// had on 2025-09-18; `None` for others.
fn enc_bytes(kem: u16) -> Option<u64> {
    Some(match kem {
        0x0010 | 0x0016 => 65, // P-256, secp256k1
        0x0011 => 97,          // P-384
        0x0012 => 133,         // P-521
        0x0014 => 48,          // CP-384
        0x0015 => 66,          // CP-521
        // CP-256, X25519, the same with Elligator
        0x0013 | 0x0020 | 0x0022 => 32,
        0x0021 => 56,            // X448
        0x0030 | 0x647a => 1120, // X25519Kyber768Draft00, X-Wing
        _ => return None,
    })
}

impl EchConfig {
    /// Whether a hello uses this configuration. GREASE agrees in all of it by chance only: its config id is random (RFC 9849
    /// section 6.2). The second hello after a retry has no encapsulated key (section 6.1.5), where GREASE repeats its first.
    pub(super) fn fits(&self, offer: &EchOffer<'_>) -> bool {
        self.public_name == offer.sni
            && u64::from(self.id) == offer.id
            && self.suites.iter().any(|(kdf, aead)| suite_name(*kdf, *aead) == offer.suite)
            && (offer.enc == 0 || enc_bytes(self.kem).is_none_or(|n| n == offer.enc))
    }
}

/// The configurations of an `ECHConfigList`; those of other versions, and those that do not fit their length, are passed over.
pub(super) fn configurations(mut list: Reader<'_>) -> Vec<EchConfig> {
    let mut all = Vec::new();
    let Ok(mut list) = list.vec16("ECH configurations") else { return all };
    while let (Ok(version), Ok(body)) = (list.u16("version"), list.vec16("configuration")) {
        if let (VERSION, Ok(config)) = (version, configuration(body)) {
            all.push(config);
        }
    }
    all
}

fn configuration(mut body: Reader<'_>) -> Result<EchConfig, Short> {
    let id = body.u8("config id")?;
    let kem = body.u16("KEM")?;
    body.vec16("public key")?;
    let mut list = body.vec16("cipher suites")?;
    let mut suites = Vec::new();
    while !list.is_empty() && suites.len() < MAX_SUITES {
        suites.push((list.u16("KDF")?, list.u16("AEAD")?));
    }
    body.u8("maximum name length")?;
    let name = body.vec8("public name")?;
    let public_name = super::flow::canonical_name(&String::from_utf8_lossy(name.rest()));
    Ok(EchConfig { public_name, id, kem, suites })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    as_of: Spanned<String>,
    licence: Spanned<String>,
    #[serde(default, rename = "ech")]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    public_name: Spanned<String>,
    config_list: Spanned<String>,
    source: Spanned<String>,
    date: Spanned<String>,
}

/// The configurations of `reference/ech.toml`, or of such a file in a bundle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EchConfigs {
    all: Arc<[EchConfig]>,
    pub(crate) as_of: String,
    pub(crate) licence: String,
}

impl Default for EchConfigs {
    /// Those of this program.
    fn default() -> EchConfigs {
        static EMBEDDED: LazyLock<EchConfigs> = LazyLock::new(|| {
            let none = EchConfigs { all: Arc::default(), as_of: String::new(), licence: String::new() };
            // A test reads the same text: a fault in it cannot be shipped.
            EchConfigs::parse(FactTexts::embedded().ech).unwrap_or(none)
        });
        EMBEDDED.clone()
    }
}

impl EchConfigs {
    /// Reads and checks the text of `ech.toml`.
    ///
    /// # Errors
    /// What is wrong in it, with file, line and remedy.
    pub(crate) fn parse(text: &str) -> Result<EchConfigs, ReferenceError> {
        parse(DataFile { name: "reference/ech.toml", text })
    }

    /// Whether one of them is what a hello uses.
    pub(super) fn fit(&self, offer: &EchOffer<'_>) -> bool {
        self.all.iter().any(|config| config.fits(offer))
    }

    /// Whether a name is the public one of one of them.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.all.iter().any(|config| config.public_name == name)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

fn parse(file: DataFile<'_>) -> Result<EchConfigs, ReferenceError> {
    let parsed: File = file.parse()?;
    file.schema(&parsed.schema)?;
    file.date(&parsed.as_of)?;
    file.said(&parsed.licence, "licence")?;
    let mut all = BTreeSet::new();
    for entry in &parsed.entries {
        file.domain(&entry.public_name)?;
        file.sourced(&entry.source, &entry.date, false)?;
        let span = entry.config_list.span();
        // As observations print it, so that one can be compared with the other.
        let lower = Some(entry.config_list.get_ref()).filter(|t| !t.bytes().any(|b| b.is_ascii_uppercase()));
        let Some(bytes) = lower.and_then(|text| unhex(text)) else {
            let remedy = "write the bytes in lower-case hex, as `ech=` of a dns.answer shows them";
            return Err(file.fault(&span, "config_list is no hex", remedy));
        };
        let configs = configurations(Reader::new(&bytes));
        if configs.is_empty() {
            let remedy = "give the whole list with its length, from the SVCB parameter ech (RFC 9848)";
            return Err(file.fault(&span, "config_list has no configuration of RFC 9849", remedy));
        }
        for config in configs {
            if config.public_name != *entry.public_name.get_ref() {
                let what = format!("config_list is for {:?}", config.public_name);
                let remedy = "write that as public_name, or another list";
                return Err(file.fault(&entry.public_name.span(), what, remedy));
            }
            if !all.insert(config) {
                return Err(file.fault(&span, "a configuration is listed twice", "leave it with one entry"));
            }
        }
    }
    let (as_of, licence) = (parsed.as_of.into_inner(), parsed.licence.into_inner());
    Ok(EchConfigs { all: all.into_iter().collect(), as_of, licence })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A list of one configuration with a key of 32 bytes.
    pub(in super::super) fn list(name: &str, id: u8, kem: u16, suites: &[(u16, u16)]) -> Vec<u8> {
        let mut body = vec![id];
        body.extend(kem.to_be_bytes());
        body.extend([0, 32]);
        body.extend([9; 32]);
        body.extend((suites.len() as u16 * 4).to_be_bytes());
        body.extend(suites.iter().flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()].concat()));
        body.extend([0, name.len() as u8]);
        body.extend(name.bytes());
        body.extend([0, 0]);
        let length = body.len() as u16;
        let config = [&VERSION.to_be_bytes()[..], &length.to_be_bytes(), &body].concat();
        [&(config.len() as u16).to_be_bytes()[..], &config].concat()
    }

    #[test]
    fn a_hello_fits_in_name_id_suite_and_key_length() {
        let bytes = list("cover.example", 7, 0x20, &[(1, 1), (1, 3)]);
        let config = &configurations(Reader::new(&bytes))[0];
        let offer = EchOffer { sni: "cover.example", id: 7, suite: "0x0001,0x0003", enc: 32 };
        assert!(config.fits(&offer));
        assert!(config.fits(&EchOffer { enc: 0, ..offer }), "after a retry");
        assert!(!config.fits(&EchOffer { sni: "example", ..offer }));
        assert!(!config.fits(&EchOffer { id: 8, ..offer }));
        assert!(!config.fits(&EchOffer { suite: "0x0001,0x0002", ..offer }));
        assert!(!config.fits(&EchOffer { enc: 65, ..offer }));
        for (kem, enc) in [
            (0x10, 65),
            (0x11, 97),
            (0x12, 133),
            (0x14, 48),
            (0x15, 66),
            (0x16, 65),
            (0x21, 56),
            (0x30, 1120),
            (0x647a, 1120),
        ] {
            let bytes = list("cover.example", 7, kem, &[(1, 3)]);
            let config = &configurations(Reader::new(&bytes))[0];
            assert!(config.fits(&EchOffer { enc, ..offer }) && !config.fits(&offer), "{kem:#x}");
        }
        let bytes = list("cover.example", 7, 0x7777, &[(1, 3)]);
        assert!(configurations(Reader::new(&bytes))[0].fits(&offer), "an unknown KEM has no length");
    }

    #[test]
    fn cut_lists_give_nothing() {
        let bytes = list("cover.example", 7, 0x20, &[(1, 1)]);
        for cut in 0..bytes.len() {
            assert!(configurations(Reader::new(&bytes[..cut])).is_empty(), "{cut}");
        }
        let mut odd = bytes.clone();
        odd[2..4].copy_from_slice(&[0xfe, 0x0c]);
        assert!(configurations(Reader::new(&odd)).is_empty(), "another version");
        let many = list("cover.example", 7, 0x20, &[(1, 1); 500]);
        assert_eq!(configurations(Reader::new(&many))[0].suites.len(), MAX_SUITES);
    }

    #[test]
    fn the_file_is_checked() {
        let text = FactTexts::embedded().ech;
        let whole = parse(DataFile { name: "ech.toml", text }).unwrap();
        assert_eq!((whole.len(), EchConfigs::default().len()), (4, 4));
        assert!(whole.all.iter().any(|c| c.public_name == "cloudflare-ech.com" && c.id == 0x74));
        for config in &*whole.all {
            // All of RFC 9180: a KEM of section 7.1, the KDF HKDF-SHA256 (7.2), an AEAD of 7.3 that encrypts.
            assert_eq!((config.kem, enc_bytes(config.kem)), (0x20, Some(32)), "{config:?}");
            assert!(
                config.suites.iter().all(|(kdf, aead)| *kdf == 1 && (1..=3).contains(aead)),
                "{config:?}"
            );
        }
        let good = crate::capture::hex(&list("cover.example", 7, 0x20, &[(1, 1)]));
        let file = |name: &str, list: &str| {
            let text = format!(
                "schema = 1\nas_of = \"2026\"\nlicence = \"CC0-1.0\"\n[[ech]]\npublic_name = \"{name}\"\nconfig_list = \"{list}\"\n\
                 source = \"https://example.org\"\ndate = \"2026\"\n"
            );
            parse(DataFile { name: "ech.toml", text: &text }).map_err(|e| e.to_string())
        };
        assert_eq!(file("cover.example", &good).unwrap().len(), 1);
        for (name, list, line, what) in [
            ("other.example", good.as_str(), 5, "is for \"cover.example\""),
            ("cover.example", "zz", 6, "no hex"),
            ("cover.example", "abc", 6, "no hex"),
            ("cover.example", &good[..40], 6, "no configuration"),
        ] {
            let fault = file(name, list).unwrap_err();
            assert!(fault.contains(&format!("ech.toml:{line}")) && fault.contains(what), "{fault}");
        }
    }
}
