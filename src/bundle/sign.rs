//! Signatures of manifests: minisign's keys and form, or plain Ed25519 keys in PEM (RFC 8410) with the bare signature
//! (RFC 8032), which OpenSSL checks.

use std::io::Cursor;
use std::path::Path;

use super::BundleError;
use crate::payload::base64;

/// Name of the manifest in a bundle.
pub(super) const MANIFEST: &str = "manifest.json";
/// Signature in minisign's form, which `minisign -V` checks.
pub(super) const MINISIG: &str = "manifest.json.minisig";
/// Bare signature of 64 bytes, which `openssl pkeyutl -verify -rawin` checks.
pub(super) const BARE: &str = "manifest.json.sig";

/// What kind of key made the signature in one of these two files, in words.
pub(super) fn kind_of(file: &str) -> &'static str {
    if file == MINISIG { "a minisign key" } else { "an Ed25519 key in PEM" }
}

/// Key files are some hundred bytes.
const MAX_KEY: u64 = 1 << 16;

fn text(path: &Path) -> Result<String, BundleError> {
    use std::io::Read as _;
    let fault = |source| BundleError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    std::fs::File::open(path).map_err(fault)?.take(MAX_KEY).read_to_string(&mut text).map_err(fault)?;
    Ok(text)
}

fn wrong(path: &Path, what: impl Into<String>) -> BundleError {
    BundleError::Key { path: path.to_owned(), what: what.into() }
}

/// A key that signs.
pub enum SigningKey {
    /// As `minisign -G` makes it.
    Minisign(Box<minisign::SecretKey>),
    /// As `openssl genpkey -algorithm ed25519` makes it.
    Pem(Box<ed25519_compact::KeyPair>),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SigningKey::Minisign(_) => "SigningKey::Minisign",
            SigningKey::Pem(_) => "SigningKey::Pem",
        })
    }
}

impl SigningKey {
    /// Reads a key file. A minisign key with a password asks `password` for it.
    ///
    /// # Errors
    /// [`BundleError`] when the file cannot be read, is no such key, or the password is wrong.
    pub fn open(path: &Path, password: impl FnOnce() -> Option<String>) -> Result<SigningKey, BundleError> {
        let text = text(path)?;
        if text.contains("-----BEGIN") {
            return ed25519_compact::KeyPair::from_pem(text.trim())
                .map(|pair| SigningKey::Pem(Box::new(pair)))
                .map_err(|e| {
                    wrong(
                        path,
                        format!("no Ed25519 key: {e}; make one with openssl genpkey -algorithm ed25519"),
                    )
                });
        }
        let bytes = text.lines().nth(1).and_then(|line| base64::decode(line.trim().as_bytes()));
        let key = bytes.and_then(|b| minisign::SecretKey::from_bytes(&b).ok()).ok_or_else(|| {
            wrong(path, "neither a minisign secret key nor a PEM; make one with minisign -G")
        })?;
        // minisign itself writes no checksum into a key without a password, so that the stricter way to load one refuses it.
        let key = if key.is_encrypted() {
            minisign::SecretKeyBox::from_string(&text)
                .and_then(|locked| locked.into_secret_key(password()))
                .map_err(|e| wrong(path, format!("the key stays locked: {e}")))?
        } else {
            key
        };
        Ok(SigningKey::Minisign(Box::new(key)))
    }

    /// Signs the manifest: the name of the file that holds the signature, and its bytes.
    ///
    /// # Errors
    /// [`BundleError::Key`] when the system gives no random numbers.
    pub(super) fn sign(&self, manifest: &[u8]) -> Result<(&'static str, Vec<u8>), BundleError> {
        match self {
            SigningKey::Minisign(key) => {
                let comment = Some("metaleak evidence bundle");
                let signed = minisign::sign(None, key, Cursor::new(manifest), comment, comment)
                    .map_err(|e| wrong(Path::new(MINISIG), format!("cannot sign: {e}")))?;
                Ok((MINISIG, signed.into_string().into_bytes()))
            }
            SigningKey::Pem(pair) => Ok((BARE, pair.sk.sign(manifest, None).to_vec())),
        }
    }
}

/// A key that checks signatures.
#[derive(Debug)]
pub enum PublicKey {
    /// minisign's.
    Minisign(Box<minisign::PublicKey>),
    /// Ed25519 in PEM.
    Pem(Box<ed25519_compact::PublicKey>),
}

impl PublicKey {
    /// Reads a public key file.
    ///
    /// # Errors
    /// [`BundleError`] when the file cannot be read or is no such key.
    pub fn open(path: &Path) -> Result<PublicKey, BundleError> {
        let text = text(path)?;
        if text.contains("-----BEGIN") {
            return ed25519_compact::PublicKey::from_pem(text.trim())
                .map(|key| PublicKey::Pem(Box::new(key)))
                .map_err(|e| {
                    wrong(path, format!("no public Ed25519 key: {e}; openssl pkey -in KEY -pubout writes it"))
                });
        }
        minisign::PublicKeyBox::from_string(&text)
            .and_then(minisign::PublicKeyBox::into_public_key)
            .or_else(|_| minisign::PublicKey::from_base64(text.trim()))
            .map(|key| PublicKey::Minisign(Box::new(key)))
            .map_err(|e| wrong(path, format!("neither a minisign public key nor a PEM: {e}")))
    }

    /// The file of a bundle in which a signature by this key stands.
    pub(super) fn file(&self) -> &'static str {
        match self {
            PublicKey::Minisign(_) => MINISIG,
            PublicKey::Pem(_) => BARE,
        }
    }

    /// Checks `signature` over `manifest`; the fault in words.
    pub(super) fn check(&self, manifest: &[u8], signature: &[u8]) -> Result<(), String> {
        match self {
            PublicKey::Minisign(key) => {
                let text = std::str::from_utf8(signature).map_err(|e| e.to_string())?;
                let signed = minisign::SignatureBox::from_string(text).map_err(|e| e.to_string())?;
                minisign::verify(key, &signed, Cursor::new(manifest), true, false, false)
                    .map_err(|e| e.to_string())
            }
            PublicKey::Pem(key) => {
                let signature =
                    ed25519_compact::Signature::from_slice(signature).map_err(|e| e.to_string())?;
                key.verify(manifest, &signature).map_err(|e| e.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_keys_sign_and_check() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let locked = minisign::KeyPair::generate_encrypted_keypair(Some("geheim".into())).unwrap();
        let pem = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([7; 32]));
        let cases = [
            (pair.sk.to_box(None).unwrap().into_string(), pair.pk.to_box().unwrap().into_string()),
            (locked.sk.to_box(None).unwrap().into_string(), locked.pk.to_base64()),
            (pem.sk.to_pem(), pem.pk.to_pem()),
        ];
        for (n, (secret, public)) in cases.iter().enumerate() {
            let (secret, public) = (file("secret", secret), file("public", public));
            let key = SigningKey::open(&secret, || Some("geheim".into())).unwrap();
            let public = PublicKey::open(&public).unwrap();
            let (name, signature) = key.sign(b"a manifest").unwrap();
            assert_eq!(name, public.file(), "{n}");
            assert_eq!(public.check(b"a manifest", &signature), Ok(()), "{n}");
            assert!(public.check(b"another one", &signature).is_err(), "{n}");
            let mut broken = signature.clone();
            let middle = broken.len() / 2;
            broken[middle] ^= 1;
            assert!(public.check(b"a manifest", &broken).is_err(), "{n}");
            assert!(public.check(b"a manifest", &signature[..middle]).is_err(), "{n}");
        }
        let locked = file("locked", &cases[1].0);
        let error = SigningKey::open(&locked, || Some("falsch".into())).unwrap_err().to_string();
        assert!(error.contains("stays locked"), "{error}");
        let error = SigningKey::open(&file("x", "no key"), || None).unwrap_err().to_string();
        assert!(error.contains("minisign -G"), "{error}");
    }
}
