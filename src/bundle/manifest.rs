//! The manifest of a bundle: every file with its hash, in a chain.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::capture::hex;
use crate::model::Tool;

/// Version of the manifest's form.
pub const MANIFEST_SCHEMA: &str = "metaleak/bundle/1";

/// What a file of a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// `report.json`.
    Report,
    /// The page, a chart, a table: the report in another form.
    Page,
    /// A capture.
    Capture,
    /// How a capture was made.
    Run,
    /// A claim file.
    Claims,
    /// A file of criteria and conclusions.
    Criteria,
    /// Reference data.
    Reference,
    /// A file of rules for readable bytes, beside the built-in one.
    Rules,
    /// A file that the user added, such as a time stamp.
    Attachment,
    /// What the bundle is, for people.
    Readme,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the archive, with `/`.
    pub path: String,
    /// What it is.
    pub role: Role,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// The file is in the archive; `false` for a capture of which only the hash is kept.
    pub stored: bool,
    /// SHA-256 over the chain before (64 hex digits; zeros at the start), a line feed, and `sha256`, `bytes`, `role`, `stored` and
    /// `path`, separated by spaces: so the last one stands for all files and their order.
    pub chain: String,
}

/// The manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`MANIFEST_SCHEMA`].
    pub schema: String,
    /// The program that made the bundle.
    pub tool: Tool,
    /// All files but this one and its signature, in the order of the chain.
    pub files: Vec<Entry>,
    /// The chain's last value: one number for the whole bundle.
    pub head: String,
}

/// Start of the chain.
const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl Manifest {
    /// An empty manifest of this very build.
    #[must_use]
    pub fn new() -> Manifest {
        Manifest {
            schema: MANIFEST_SCHEMA.into(),
            tool: Tool::this(),
            files: Vec::new(),
            head: START.to_owned(),
        }
    }

    /// Appends a file; its chain value is computed here.
    pub fn push(&mut self, path: String, role: Role, bytes: u64, sha256: String, stored: bool) {
        let mut entry = Entry { path, role, bytes, sha256, stored, chain: String::new() };
        entry.chain = link(&self.head, &entry);
        self.head.clone_from(&entry.chain);
        self.files.push(entry);
    }

    /// The first file whose chain value does not follow from those before, or the head where only that is wrong.
    #[must_use]
    pub fn broken_link(&self) -> Option<&str> {
        let mut head = START.to_owned();
        for entry in &self.files {
            head = link(&head, entry);
            if head != entry.chain {
                return Some(&entry.path);
            }
        }
        (head != self.head).then_some("head")
    }
}

fn link(before: &str, entry: &Entry) -> String {
    let role = serde_json::to_value(entry.role).ok();
    let role = role.as_ref().and_then(|r| r.as_str()).unwrap_or_default();
    let text = format!("{before}\n{} {} {role} {} {}", entry.sha256, entry.bytes, entry.stored, entry.path);
    hex(&Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_the_first_file_that_was_changed() {
        let mut manifest = Manifest::new();
        for name in ["a", "b", "c"] {
            manifest.push(name.into(), Role::Attachment, 1, hex(&Sha256::digest(name)), true);
        }
        assert_eq!(manifest.broken_link(), None);
        let whole = manifest.clone();
        manifest.files[1].bytes = 2;
        assert_eq!(manifest.broken_link(), Some("b"));
        manifest = whole.clone();
        manifest.files.swap(0, 1);
        assert_eq!(manifest.broken_link(), Some("b"));
        manifest = whole.clone();
        manifest.files.pop();
        assert_eq!(manifest.broken_link(), Some("head"));
        manifest = whole;
        manifest.files[2].stored = false;
        assert_eq!(manifest.broken_link(), Some("c"));
    }
}
