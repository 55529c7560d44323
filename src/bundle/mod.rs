//! Evidence bundles: all that a report rests on in one sealed archive, and its verification.
//!
//! Takes a finished [`Report`](crate::model::Report) with the files that it was made from; gives a zip archive with a
//! [`Manifest`] that holds the SHA-256 of every file, chained in order. [`verify`] reads such an archive, says
//! what was changed, judges the captures in it anew and draws its pages again. Signatures are `sign`'s. Knows nothing of the command line.
//!
//! What a hash proves: that these are the files which were bundled. Not who made them, nor when, nor that the recording was
//! honest; a signature adds who, a time stamp (RFC 3161) that is attached adds when.

mod archive;
mod manifest;
mod pages;
mod sign;
mod verify;

pub use archive::{Content, Part, write};
pub use manifest::{Entry, MANIFEST_SCHEMA, Manifest, Role};
pub(crate) use pages::names as page_names;
pub use sign::{PublicKey, SigningKey};
pub(crate) use verify::by_hash;
pub use verify::{Checked, Difference, Given, Pages, Rederived, verify};

use std::path::PathBuf;

/// Why a bundle could not be made or read at all.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error("{path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The archive could not be written.
    #[error("{path:?}: cannot write the archive: {what}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// In words.
        what: String,
    },
    /// The file is no bundle.
    #[error("{path:?}: {what}")]
    NoBundle {
        /// The file.
        path: PathBuf,
        /// In words.
        what: String,
    },
    /// A key cannot be used.
    #[error("{path:?}: {what}")]
    Key {
        /// The file.
        path: PathBuf,
        /// In words, with what is expected.
        what: String,
    },
}
