//! Claims: a language to write them in, a catalogue, and verdicts with evidence.
//!
//! Takes a [`Report`](crate::model::Report) whose inputs, flows, destinations and findings are filled; gives one
//! [`ClaimResult`](crate::model::ClaimResult) a claim. Claims and wording are data: `claims/*.toml`, described in
//! `docs/claims-language.md`. Knows nothing of how results are shown.

mod check;
mod comparison;
mod evidence;
mod judge;
mod language;
mod load;
mod next;
mod predicate;
mod protection;
mod schema;
mod wording;

pub use check::{Checked, check};
pub use comparison::Criteria;
pub use judge::{judge, judge_with_controls};
pub use language::{Case, Claim, DecidedBy, Leaf, Predicate, Quantifier, Source, Subject, Successor};
pub use load::{ClaimError, Fault, is_messenger};
pub use predicate::step_of;
pub use predicate::{Conditions, Value};
pub use schema::schema;

use std::borrow::Cow;
use std::path::PathBuf;

use sha2::Digest as _;

use crate::capture::hex;
use crate::model::ClaimFile;

/// The catalogue that is built in, file by file, in the order of the report.
/// A messenger is one file here and one line in this table.
static FILES: &[(&str, &str)] = &[
    ("claims/whatsapp.toml", include_str!("../../claims/whatsapp.toml")),
    ("claims/messenger.toml", include_str!("../../claims/messenger.toml")),
    ("claims/telegram.toml", include_str!("../../claims/telegram.toml")),
    ("claims/signal.toml", include_str!("../../claims/signal.toml")),
    ("claims/wire.toml", include_str!("../../claims/wire.toml")),
    ("claims/threema.toml", include_str!("../../claims/threema.toml")),
    ("claims/conversations.toml", include_str!("../../claims/conversations.toml")),
    ("claims/caritas.toml", include_str!("../../claims/caritas.toml")),
    ("claims/common.toml", include_str!("../../claims/common.toml")),
];

/// Checked claims in the order of the report.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    claims: Vec<Claim>,
    /// Those for every messenger (`*.NAME`), as they stand in their file.
    common: Vec<Claim>,
    files: Vec<ClaimFile>,
    /// Where the files are, as they were given.
    paths: Vec<String>,
    embedded: bool,
}

impl Catalogue {
    /// The built-in catalogue.
    ///
    /// # Errors
    /// [`ClaimError`] names every fault with file and line; a test keeps the built-in files free of them.
    pub fn embedded() -> Result<Catalogue, ClaimError> {
        let texts = FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Ok(Catalogue { embedded: true, ..Catalogue::read(texts, None)? })
    }

    /// Claim files instead of the built-in ones.
    ///
    /// # Errors
    /// [`ClaimError`] with every fault of every file.
    pub fn load(paths: &[PathBuf]) -> Result<Catalogue, ClaimError> {
        let mut texts = Vec::new();
        for path in paths {
            texts.push((path.to_string_lossy().into_owned(), load::read_text(path)?));
        }
        Catalogue::from_texts(texts)
    }

    /// Claims from (file name, text) pairs. Claims with `*` for a messenger become one for each messenger that has claims of
    /// its own; where none has, one for each of the eight built-in messengers. A messenger's own claim takes the place of
    /// the common one with the same name.
    ///
    /// # Errors
    /// As [`Catalogue::load`].
    pub fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Result<Catalogue, ClaimError> {
        // A claim of one's own may say that a built-in one has taken its place.
        Catalogue::read(texts, Some(&Catalogue::embedded))
    }

    /// `others` gives the claims that may be named beside those of the texts.
    fn read(
        texts: impl IntoIterator<Item = (String, String)>,
        others: Option<&dyn Fn() -> Result<Catalogue, ClaimError>>,
    ) -> Result<Catalogue, ClaimError> {
        let mut faults = Vec::new();
        let mut claims: Vec<Claim> = Vec::new();
        let (mut files, mut paths) = (Vec::new(), Vec::new());
        for (name, text) in texts {
            paths.push(name.clone());
            let file = name.rsplit('/').next().unwrap_or(&name).to_owned();
            files.push(ClaimFile { file, sha256: hex(&sha2::Sha256::digest(&text)) });
            let (read, wrong) = load::read(&name, &text);
            faults.extend(wrong);
            for claim in read {
                if let Some(first) = claims.iter().find(|c| c.id == claim.id) {
                    faults.push(Fault {
                        file: name.clone(),
                        line: claim.line,
                        what: format!("the id {:?} is taken by {}:{}", claim.id, first.file, first.line),
                        remedy: "give each claim an id of its own".into(),
                    });
                } else {
                    claims.push(claim);
                }
            }
        }
        if faults.is_empty() {
            faults.extend(load::successors(&claims, others));
        }
        if !faults.is_empty() {
            return Err(ClaimError { faults });
        }
        let (common, own): (Vec<Claim>, Vec<Claim>) = claims.into_iter().partition(|c| c.messenger == "*");
        let mut messengers: Vec<String> = Vec::new();
        for claim in &own {
            if !messengers.contains(&claim.messenger) {
                messengers.push(claim.messenger.clone());
            }
        }
        if messengers.is_empty() && !common.is_empty() {
            messengers = load::MESSENGERS.iter().map(|m| (*m).to_owned()).collect();
        }
        let mut claims = Vec::new();
        for messenger in messengers {
            claims.extend(own.iter().filter(|c| c.messenger == messenger).cloned());
            let of_all = common.iter().map(|claim| claim.of(&messenger));
            claims.extend(of_all.filter(|claim| own.iter().all(|c| c.id != claim.id)));
        }
        Ok(Catalogue { claims, common, files, paths, embedded: false })
    }

    /// The same with the common claims of these messengers as well, where no file speaks of them. What has not the form of an id
    /// ([`is_messenger`]) has none.
    #[must_use]
    pub fn with_messengers<'a>(&self, messengers: impl IntoIterator<Item = &'a str>) -> Cow<'_, Catalogue> {
        let mut all = Cow::Borrowed(self);
        for messenger in messengers {
            if is_messenger(messenger) && !all.speaks_of(messenger) {
                all.to_mut().claims.extend(self.common.iter().map(|claim| claim.of(messenger)));
            }
        }
        all
    }

    /// Whether claims speak of a messenger.
    #[must_use]
    pub fn speaks_of(&self, messenger: &str) -> bool {
        self.claims.iter().any(|c| c.messenger == messenger)
    }

    /// The claims for every messenger, `*.NAME`.
    #[must_use]
    pub fn common(&self) -> &[Claim] {
        &self.common
    }

    /// The messengers that claims speak of, in their order.
    #[must_use]
    pub fn messengers(&self) -> Vec<&str> {
        let mut known: Vec<&str> = self.claims.iter().map(|c| c.messenger.as_str()).collect();
        known.dedup();
        known
    }

    /// The paths of the files, as they were given.
    pub(crate) fn paths(&self) -> &[String] {
        &self.paths
    }

    /// These claims, and those of `other` that are not among them.
    fn beside(&self, other: &Catalogue) -> Catalogue {
        let mut all = self.clone();
        all.claims.extend(other.claims.iter().filter(|c| self.get(&c.id).is_none()).cloned());
        all
    }

    /// The built-in files: name and text.
    pub fn embedded_files() -> impl Iterator<Item = (&'static str, &'static str)> {
        FILES.iter().copied()
    }

    /// The files that the claims came from, in their order.
    #[must_use]
    pub fn files(&self) -> &[ClaimFile] {
        &self.files
    }

    /// Whether it is the built-in one, which commands take without being told.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded
    }

    /// All claims, by messenger in the order of the files.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The claim with this id; `*.NAME` is the common one.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Claim> {
        self.claims.iter().chain(&self.common).find(|c| c.id == id)
    }
}
