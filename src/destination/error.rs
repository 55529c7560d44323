//! What can go wrong with reference data, each with the way out.

use std::io;
use std::path::PathBuf;

/// A fault of the reference data: which file, where in it, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// A hand-written or raw file holds something that cannot be used.
    #[error("{file}:{line}: {what}; {remedy}")]
    Data {
        /// The file's name.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
        /// What to write or do instead.
        remedy: String,
    },
    /// The compact table (`metaleak.db`) is truncated, damaged or of another version.
    #[error(
        "reference table: {what} at byte {at}; build it again with `metaleak db build`, or leave out --db"
    )]
    Table {
        /// What is wrong.
        what: String,
        /// Where, in bytes from the start of the table.
        at: u64,
    },
    /// A raw file is not the one that `SOURCES.toml` names.
    #[error(
        "{file}: SHA-256 is {found}, SOURCES.toml says {expected}; fetch it with reference/fetch.sh, or correct version, as_of and sha256 in SOURCES.toml"
    )]
    Hash {
        /// The raw file.
        file: String,
        /// What `SOURCES.toml` says.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A raw database in mmdb format cannot be read.
    #[error(
        "{file}: not a readable MaxMind database: {what}; fetch it again (reference/fetch.sh gets those of SOURCES.toml)"
    )]
    Mmdb {
        /// The raw file.
        file: String,
        /// What the reader said.
        what: String,
    },
    /// A network of a binary database says something that cannot be used.
    #[error("{file}: network {network}: {what}; {remedy}")]
    Network {
        /// The raw file.
        file: String,
        /// The network, in CIDR form.
        network: String,
        /// What is wrong.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// A file is larger than is read, or does not end.
    #[error("{path:?}: more than {limit} MiB, or without end; {remedy}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Most that is read, MiB.
        limit: u64,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A file cannot be imported as it was asked for.
    #[error("{what}; {remedy}")]
    Import {
        /// What is wrong.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// The sources hold more than the table can.
    #[error("the sources hold more {what} than the table can ({limit}); leave out a source")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many fit.
        limit: u64,
    },
    /// A file cannot be read.
    #[error("{path:?}: cannot read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{path:?}: cannot write: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ReferenceError {
    /// A fault in a text file.
    pub(crate) fn data(file: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        ReferenceError::Data { file: file.to_owned(), line, what: what.into(), remedy: remedy.into() }
    }

    /// A fault of one network of a binary database.
    pub(crate) fn network(file: &str, network: String, what: String, remedy: &str) -> Self {
        ReferenceError::Network { file: file.to_owned(), network, what, remedy: remedy.to_owned() }
    }

    /// A fault in the table.
    pub(crate) fn table(what: impl Into<String>, at: usize) -> Self {
        ReferenceError::Table { what: what.into(), at: at as u64 }
    }
}
