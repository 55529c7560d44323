//! What can be read: planted secrets, credentials, plain text.
//!
//! Takes the bytes of one direction of a flow in order, with their stream offsets, as far as they are not
//! encrypted (or were decrypted with the auditor's keys); gives [`RawFinding`]s with the byte range they rest on.
//! Knows neither flows nor captures nor protocols: `dissect` says where a protocol carries a log-in, and turns
//! byte ranges into frames. Sees nothing inside encryption, and calls nothing encrypted.

pub mod base64;
mod blocks;
pub mod canary;
pub mod canary_file;
pub mod cleartext;
pub mod credential;
pub mod density;
mod forms;
pub mod imap;
pub mod mask;
mod matcher;
pub mod scan;
mod spelling;
pub mod text;
mod transform;
pub mod unpack;

use crate::model::{Confidence, Direction, Finding, FindingKind, ReferenceSource, Severity};

pub use canary::{CanaryError, CanarySet, CanaryState, Hit};
pub use canary_file::{CanaryFile, CanaryFileError};
pub use cleartext::{RuleFileError, Rules, Search, Sighting};
pub use credential::{Credential, SaslLogin, UserPass};
pub use density::Density;
pub use imap::ImapLogin;
pub use mask::{Masking, mask, mask_header, mask_target};
pub use scan::{Found, Room, Scanner};
pub use text::{Readability, Run, TextMeter};
pub(crate) use transform::a_label;
pub use transform::{Key, KeyError, KeyOver, Keys};

/// The line of an offset in a text, from 1.
fn line(text: &str, offset: usize) -> usize {
    crate::fault::line_at(text.as_bytes(), offset)
}

/// A file of data as the report's list of sources names it: by the date and licence that stand at its top.
fn source(name: &str, text: &str) -> ReferenceSource {
    let top = |key: &str| {
        let mut lines = text.lines().take_while(|line| !line.starts_with('['));
        let value = lines.find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        value.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
    };
    ReferenceSource::of_text(name, &top("as_of"), &top("licence"), text)
}

/// The file of published keys, for the report's list of sources.
#[must_use]
pub fn keys_source() -> ReferenceSource {
    source("hash-keys", transform::KEYS_BUILT_IN)
}

/// All ways to write a value that are searched for, the value itself first: for controls.
#[must_use]
pub fn written(value: &str) -> Vec<Vec<u8>> {
    forms::forms(value, &Keys::embedded()).into_iter().map(|form| form.bytes).collect()
}

/// The layers that `encoding` of a canary may name: ids, what they stand for, and where they may stand (for `docs/payload.md`).
#[must_use]
pub fn layers() -> Vec<(String, String, &'static str)> {
    let places = |place: transform::Place| match place {
        transform::Place::Innermost => "innermost",
        transform::Place::Inner => "first or second from inside",
        transform::Place::Anywhere => "anywhere",
    };
    let mut all: Vec<(String, String, &'static str)> = transform::TRANSFORMS
        .iter()
        .map(|t| {
            let ids = match t.ids {
                [first, .., before, last] if t.ids.len() > 8 => format!("`{first}` … `{before}`, `{last}`"),
                all => all.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "),
            };
            (ids, t.says.to_owned(), places(t.place))
        })
        .collect();
    let digests: Vec<String> = transform::DIGESTS.iter().map(|d| format!("`{}`", d.id)).collect();
    let cut = "a digest, whole or cut to its first 8, 10 or 16 bytes (`sha256/8`)".to_owned();
    all.push((digests.join(", "), cut, "innermost"));
    let keys: Vec<String> = Keys::embedded().iter().map(|k| format!("`{}`", k.name())).collect();
    all.push((
        keys.join(", "),
        "a digest with a published key (`reference/hash-keys.toml`), whole or cut".to_owned(),
        "innermost",
    ));
    all.extend(
        spelling::IDS.map(|(id, says)| (format!("`{id}`"), says.to_owned(), "another spelling, innermost")),
    );
    all
}

/// Layers that dissectors take off before they search, as `encoding` names them.
const CARRIERS: [&str; 12] = [
    "chunked",
    "http2-data",
    "gzip",
    "deflate",
    "br",
    "zstd",
    "hpack",
    "qpack",
    "websocket-mask",
    "permessage-deflate",
    "websocket-fragments",
    "quic-datagram",
];
/// What a finding says of a form that is not exact: letters in another case, line breaks within.
const INEXACT: [&str; 2] = ["case", "folded"];

/// The word without what says to how many bytes a digest was cut (`sha256/8`); `None` where it was cut to no size that is searched.
fn uncut(word: &str) -> Option<&str> {
    match word.split_once('/') {
        None => Some(word),
        Some((digest, cut)) => ["8", "10", "16"].contains(&cut).then_some(digest),
    }
}

/// The words that `encoding` of a finding may hold, without digests that were cut and keys of one's own.
pub(crate) fn encodings() -> Vec<&'static str> {
    let mut all: Vec<&str> = transform::TRANSFORMS.iter().flat_map(|t| t.ids).copied().collect();
    all.extend(spelling::IDS.map(|(id, _)| id));
    all.extend(CARRIERS);
    all.extend(INEXACT);
    all.extend(transform::DIGESTS.iter().map(|d| d.id));
    all
}

/// Whether a finding may have this word in its `encoding`.
pub(crate) fn is_encoding(word: &str) -> bool {
    let digest = |name: &str| {
        transform::DIGESTS.iter().any(|d| d.id == name) || Keys::embedded().iter().any(|k| k.name() == name)
    };
    encodings().contains(&word) || uncut(word).is_some_and(digest)
}

/// Whether a word of an `encoding` is a digest, with a key or without: what is no other layer is a key of the auditor's own.
pub(crate) fn is_digest(word: &str) -> bool {
    let plain = |name: &str| transform::DIGESTS.iter().all(|d| d.id != name) && encodings().contains(&name);
    uncut(word).is_some_and(|name| !plain(name))
}

/// A finding before it is known in which flow and capture it lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawFinding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// In English words, the value masked unless [`Masking::Off`] was asked for.
    pub what: String,
    /// Encodings around the value, outermost first; empty for plain text.
    pub encoding: Vec<String>,
    /// Stream offsets of the first byte and of the one after the last.
    pub range: (u64, u64),
    /// It was only readable with keys that the auditor gave.
    pub decrypted: bool,
    /// The rule that found it ([`Rules`]), or what dissectors call findings of this kind; none of canaries.
    pub rule: Option<String>,
    /// How sure a rule is; dissectors are certain and say nothing here.
    pub confidence: Option<Confidence>,
    /// Stands for rule and value, so that what comes again is counted and not told again; 0 where nothing does.
    pub value: u64,
    /// How often a rule found it in the flow and direction; 0 where no rule did.
    pub count: u64,
}

impl RawFinding {
    /// A rule of a rule file found it, and no dissector.
    #[must_use]
    pub fn by_rule_file(&self) -> bool {
        self.confidence.is_some()
    }

    /// As it stands behind an encryption that the auditor had the keys of: only the server got it, so nothing but a planted
    /// secret is more than a record.
    #[must_use]
    pub fn behind_encryption(self) -> RawFinding {
        let most = if self.kind == FindingKind::Canary { Severity::Medium } else { Severity::Info };
        // No dissector says of bytes that it is shown how they travelled, but that they stand there as they are.
        let what = self.what.replacen(" in clear", " behind the encryption", 1);
        RawFinding { severity: self.severity.min(most), what, decrypted: true, ..self }
    }

    /// The finding in the report's words; `frames` are those that hold [`RawFinding::range`].
    ///
    /// `id` and `messenger` stay empty: they are given when the report is put together.
    #[must_use]
    pub fn into_finding(
        self,
        capture: &str,
        flow: u64,
        direction: Option<Direction>,
        frames: Vec<u64>,
    ) -> Finding {
        Finding {
            kind: self.kind,
            severity: self.severity,
            what: self.what,
            encoding: self.encoding,
            capture: capture.to_owned(),
            frames,
            offset: self.range.0,
            flow,
            direction,
            decrypted: self.decrypted,
            rule: self.rule,
            confidence: self.confidence,
            count: self.count,
            value: self.value,
            ..Finding::default()
        }
    }
}
