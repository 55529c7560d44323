//! The archive: a zip whose comment seals every byte before it.
//!
//! The comment at the end holds the SHA-256 of all bytes before the comment itself, so that a change of the archive's own
//! structure (names, dates, sizes), which the hashes of the files do not see, is found as well. Files carry no date of their own:
//! the same files give the same archive.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::manifest::{Manifest, Role};
use super::sign::MANIFEST;
use super::{BundleError, SigningKey};
use crate::capture::hex;

/// What stands before the 64 hex digits of the seal.
const SEAL: &str = "metaleak seal sha256 ";
/// Bytes of the whole comment.
pub(super) const SEAL_BYTES: u64 = SEAL.len() as u64 + 64;

/// Where a part's bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file.
    File(PathBuf),
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// Only this hash and size are kept.
    Hash {
        /// SHA-256, lower-case hex.
        sha256: String,
        /// Size in bytes.
        bytes: u64,
    },
}

/// One file that goes into a bundle.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its place in the archive, with `/`.
    pub path: String,
    /// What it is.
    pub role: Role,
    /// Its bytes.
    pub content: Content,
}

/// Counts and hashes what is copied.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hash.update(buf.get(..n).unwrap_or_default());
        self.bytes += n as u64;
        Ok(n)
    }
}

/// SHA-256 and size of all that `from` gives.
pub(super) fn digest(from: impl Read) -> io::Result<(String, u64)> {
    let mut hashing = Hashing { inner: from, hash: Sha256::new(), bytes: 0 };
    io::copy(&mut hashing, &mut io::sink())?;
    Ok((hex(&hashing.hash.finalize()), hashing.bytes))
}

/// Writes the bundle; the manifest with the chain's head. The file is readable by its owner alone, since captures are
/// personal data, and it takes its name only when it is complete.
///
/// # Errors
/// [`BundleError`] when a part cannot be read or the archive not be written.
pub fn write(target: &Path, parts: &[Part], key: Option<&SigningKey>) -> Result<Manifest, BundleError> {
    let archive = |what: String| BundleError::Archive { path: target.to_owned(), what };
    let io = |source| BundleError::Io { path: target.to_owned(), source };
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    let mut zip = ZipWriter::new(draft.as_file_mut());
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o600)
        .large_file(true);
    let mut manifest = Manifest::new();
    for part in parts {
        let mut add = |from: &mut dyn Read, at: &Path| {
            let fault = |source| BundleError::Io { path: at.to_owned(), source };
            zip.start_file(&part.path, options).map_err(|e| archive(e.to_string()))?;
            let mut hashing = Hashing { inner: from, hash: Sha256::new(), bytes: 0 };
            io::copy(&mut hashing, &mut zip).map_err(fault)?;
            let sha256 = hex(&hashing.hash.finalize());
            manifest.push(part.path.clone(), part.role, hashing.bytes, sha256, true);
            Ok(())
        };
        match &part.content {
            Content::File(path) => {
                let mut file =
                    File::open(path).map_err(|source| BundleError::Io { path: path.clone(), source })?;
                add(&mut file, path)?;
            }
            Content::Bytes(bytes) => add(&mut bytes.as_slice(), target)?,
            Content::Hash { sha256, bytes } => {
                manifest.push(part.path.clone(), part.role, *bytes, sha256.clone(), false);
            }
        }
    }
    let mut text = serde_json::to_vec_pretty(&manifest).map_err(|e| archive(e.to_string()))?;
    text.push(b'\n');
    let mut last = vec![(MANIFEST, text)];
    if let (Some(key), Some((_, text))) = (key, last.first()) {
        let signature = key.sign(text)?;
        last.push(signature);
    }
    for (name, bytes) in last {
        zip.start_file(name, options).map_err(|e| archive(e.to_string()))?;
        zip.write_all(&bytes).map_err(io)?;
    }
    zip.set_comment(format!("{SEAL}{}", "0".repeat(64))).map_err(|e| archive(e.to_string()))?;
    let file = zip.finish().map_err(|e| archive(e.to_string()))?;
    let sealed = file.seek(SeekFrom::End(0)).map_err(io)?.saturating_sub(SEAL_BYTES);
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let (seal, _) = digest(Read::take(&mut *file, sealed)).map_err(io)?;
    file.seek(SeekFrom::Start(sealed)).map_err(io)?;
    write!(file, "{SEAL}{seal}").map_err(io)?;
    file.sync_all().map_err(io)?;
    draft.persist(target).map_err(|e| io(e.error))?;
    Ok(manifest)
}

/// Whether the seal of an archive holds; the fault in words.
pub(super) fn seal(file: &mut File) -> io::Result<Result<(), String>> {
    let sealed = file.seek(SeekFrom::End(0))?.checked_sub(SEAL_BYTES);
    let Some(sealed) = sealed else { return Ok(Err("it is too short to be a bundle".into())) };
    file.seek(SeekFrom::Start(sealed))?;
    let mut comment = Vec::new();
    file.read_to_end(&mut comment)?;
    let text = String::from_utf8_lossy(&comment);
    let Some(stored) = text.strip_prefix(SEAL) else {
        return Ok(Err("its seal, the last bytes, is missing or was changed".into()));
    };
    file.seek(SeekFrom::Start(0))?;
    let (found, _) = digest(Read::take(&mut *file, sealed))?;
    file.seek(SeekFrom::Start(0))?;
    Ok(if found == stored { Ok(()) } else { Err("its bytes are not those that were sealed".into()) })
}
