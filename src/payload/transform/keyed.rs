//! Keyed and salted digests with keys that are public: messengers hash telephone numbers and addresses with constants of
//! their programs. The keys are data: `reference/hash-keys.toml`, and the `[[key]]` tables of a canary file.
//!
//! Takes TOML; gives [`Keys`], or a fault with line and remedy. Knows nothing of values.

use hmac::{Hmac, KeyInit as _, Mac as _};
use toml::de::{DeTable, DeValue};

use crate::capture::unhex;

/// The keys that are built in.
pub(in crate::payload) static BUILT_IN: &str = include_str!("../../../reference/hash-keys.toml");

/// Which values a key is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOver {
    /// Telephone numbers.
    Numbers,
    /// E-mail addresses.
    Mail,
    /// All values.
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    HmacMd5,
    HmacSha1,
    HmacSha256,
    HmacSha512,
    /// `sha256(key value)` and the like: the digest's place in [`super::DIGESTS`], and whether the key comes first.
    Salted(usize, bool),
}

/// One known key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    name: String,
    function: Function,
    secret: Vec<u8>,
    over: KeyOver,
}

/// A fault in a table of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {what}")]
pub struct KeyError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right. Never holds a key.
    pub what: String,
}

/// All known keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

impl Key {
    /// Its name in `encoding`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which values it is used with.
    #[must_use]
    pub fn over(&self) -> KeyOver {
        self.over
    }

    /// The keyed digest of a value.
    #[must_use]
    pub fn of(&self, value: &[u8]) -> Vec<u8> {
        macro_rules! hmac {
            ($digest:ty) => {
                // HMAC takes keys of any length.
                Hmac::<$digest>::new_from_slice(&self.secret)
                    .map(|mac| mac.chain_update(value).finalize().into_bytes().to_vec())
                    .unwrap_or_default()
            };
        }
        match self.function {
            Function::HmacMd5 => hmac!(md5::Md5),
            Function::HmacSha1 => hmac!(sha1::Sha1),
            Function::HmacSha256 => hmac!(sha2::Sha256),
            Function::HmacSha512 => hmac!(sha2::Sha512),
            Function::Salted(digest, first) => {
                let text =
                    if first { [&self.secret, value].concat() } else { [value, &self.secret].concat() };
                super::DIGESTS.get(digest).map(|d| (d.of)(&text)).unwrap_or_default()
            }
        }
    }
}

impl Keys {
    /// The keys that are built in; a test keeps their file free of faults.
    #[must_use]
    pub fn embedded() -> Keys {
        Keys::read(BUILT_IN).unwrap_or_default()
    }

    /// These keys and others.
    #[must_use]
    pub fn with(mut self, more: Keys) -> Keys {
        self.0.extend(more.0);
        self
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// Reads the `[[key]]` tables of a TOML text; other tables are passed over.
    ///
    /// # Errors
    /// [`KeyError`] with the line of the first fault.
    pub fn read(text: &str) -> Result<Keys, KeyError> {
        let at = |offset: usize| crate::payload::line(text, offset);
        let fault = |offset, what: &str| KeyError { line: at(offset), what: what.to_owned() };
        let document =
            DeTable::parse(text).map_err(|e| fault(e.span().map_or(0, |s| s.start), e.message()))?;
        let Some(list) = document.get_ref().get("key") else { return Ok(Keys::default()) };
        let DeValue::Array(tables) = list.get_ref() else {
            return Err(fault(list.span().start, "write each key as a table of its own: [[key]]"));
        };
        tables.iter().map(|node| {
            let start = node.span().start;
            let DeValue::Table(table) = node.get_ref() else { return Err(fault(start, "write [[key]] before a key")) };
            for (name, _) in table {
                if !["name", "function", "key", "text", "over", "source", "as_of"].contains(&name.get_ref().as_ref()) {
                    return Err(fault(name.span().start, "unknown field: a key has name, function, key (hex) or text, over, source, as_of"));
                }
            }
            let field = |name: &str| match table.get(name) {
                Some(node) => match node.get_ref() {
                    DeValue::String(text) => Ok(Some((text.as_ref(), node.span().start))),
                    _ => Err(fault(node.span().start, &format!("{name} is a text: put it into quotes"))),
                },
                None => Ok(None),
            };
            let wanted = |name: &str| field(name)?.ok_or_else(|| fault(start, &format!("a key needs {name} = \"…\"")));
            let (name, place) = wanted("name")?;
            if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-/.".contains(&b)) {
                return Err(fault(place, "a name has small letters, digits, hyphens, dots and slashes, at most 64"));
            }
            let (function, place) = wanted("function")?;
            let function = function_of(function).ok_or_else(|| {
                fault(place, "function is hmac-md5, hmac-sha1, hmac-sha256, hmac-sha512, or salt-before-DIGEST, salt-behind-DIGEST with md5, sha1, sha256, sha512, blake2b, blake2b-256, blake2s")
            })?;
            let key = match (field("key")?, field("text")?) {
                (Some((hex, place)), None) => unhex(hex).filter(|key| !key.is_empty()).ok_or_else(|| fault(place, "key is hex: two digits a byte, nothing between"))?,
                (None, Some((text, _))) => text.as_bytes().to_vec(),
                _ => return Err(fault(start, "a key needs either key = \"HEX\" or text = \"…\"")),
            };
            let over = match field("over")? {
                None | Some(("all", _)) => KeyOver::All,
                Some(("numbers", _)) => KeyOver::Numbers,
                Some(("mail", _)) => KeyOver::Mail,
                Some((_, place)) => return Err(fault(place, "over is numbers, mail or all")),
            };
            Ok(Key { name: name.to_owned(), function, secret: key, over })
        }).collect::<Result<Vec<_>, _>>().map(Keys)
    }
}

fn function_of(text: &str) -> Option<Function> {
    Some(match text {
        "hmac-md5" => Function::HmacMd5,
        "hmac-sha1" => Function::HmacSha1,
        "hmac-sha256" => Function::HmacSha256,
        "hmac-sha512" => Function::HmacSha512,
        _ => {
            let (first, id) = match text.strip_prefix("salt-before-") {
                Some(id) => (true, id),
                None => (false, text.strip_prefix("salt-behind-")?),
            };
            Function::Salted(super::DIGESTS.iter().position(|d| d.id == id)?, first)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_keys_give_the_published_hashes() {
        let keys = Keys::read(BUILT_IN).unwrap();
        let hex = |name: &str, value: &str| {
            let key = keys.iter().find(|k| k.name == name).unwrap();
            key.of(value.as_bytes()).iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
        };
        // The examples in the documentation of Threema's message API.
        assert_eq!(
            hex("threema-number", "41791234567"),
            "ad398f4d7ebe63c6550a486cc6e07f9baa09bd9d8b3d8cb9d9be106d35a7fdbc"
        );
        assert_eq!(
            hex("threema-mail", "test@threema.ch"),
            "1ea093239cc5f0e1b6ec81b866265b921f26dc4033025410063309f4d1a8ee2c"
        );
    }

    #[test]
    fn faults_have_a_line_and_a_remedy() {
        let good = "[[key]]\nname = \"a\"\nfunction = \"salt-before-sha256\"\ntext = \"pepper\"\n";
        let keys = Keys::read(good).unwrap();
        assert_eq!(keys.0[0].of(b"x"), (super::super::DIGESTS[2].of)(b"pepperx"));
        for (text, line, part) in [
            ("[[key]]\nname = \"A\"\n", 2, "small letters"),
            ("[[key]]\nname = \"a\"\nfunction = \"rot13\"\n", 3, "hmac-sha256"),
            ("[[key]]\nname = \"a\"\nfunction = \"hmac-md5\"\nkey = \"0\"\n", 4, "hex"),
            ("[[key]]\nname = \"a\"\nfunction = \"hmac-md5\"\n", 1, "either"),
            ("[[key]]\nnam = \"a\"\n", 2, "unknown field"),
            ("key = 1\n", 1, "[[key]]"),
            ("[[key]]\nname = \n", 2, ""),
        ] {
            let error = Keys::read(text).unwrap_err();
            assert!(error.line == line && error.what.contains(part), "{text}: {error}");
        }
    }
}
