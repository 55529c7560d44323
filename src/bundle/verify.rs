//! Verification: hashes, chain, seal and signature of a bundle, its report derived anew and its pages drawn again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use zip::ZipArchive;

use super::archive::{digest, seal};
use super::manifest::{Entry, MANIFEST_SCHEMA, Manifest, Role};
use super::pages;
use super::sign::{BARE, MANIFEST, MINISIG, kind_of};
use super::{BundleError, PublicKey};
use crate::claims::{Catalogue, Criteria};
use crate::destination::{FactTexts, ReferenceDb};
use crate::dissect::Secrets;
use crate::model::{Report, Run};
use crate::payload::{Keys, Rules};
use crate::pipeline::{self, Capture, Settings};
use crate::scenario;

/// A manifest of more bytes is no manifest.
const MAX_MANIFEST: u64 = 64 << 20;

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The file within the archive; empty for the archive itself.
    pub file: String,
    /// In words.
    pub what: String,
}

/// What came of judging the captures again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Rederived {
    /// All verdicts were derived anew.
    Done {
        /// How many.
        verdicts: usize,
        /// Those that came out otherwise.
        differing: Vec<Difference>,
    },
    /// They could not be derived.
    NotDone {
        /// Why, with what to give.
        why: String,
    },
}

/// What came of drawing the pages again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pages {
    /// How many are what comes of the report.
    pub same: usize,
    /// Those that are not.
    pub differing: Vec<Difference>,
}

/// What [`verify`] found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The manifest's last chain value; compare it with one that came another way.
    pub head: String,
    /// The program that made the bundle.
    pub tool: crate::model::Tool,
    /// Files whose bytes were checked.
    pub files: usize,
    /// Captures of which the bundle has only the hash.
    pub hashes_only: usize,
    /// `good`, `bad`, `unchecked` (there is one, no key was given), `other-kind` (there is one, by a key of another kind), `none`.
    pub signature: &'static str,
    /// What was changed; empty when nothing was.
    pub differences: Vec<Difference>,
    /// The verdicts anew.
    pub rederived: Rederived,
    /// The page, the charts and the table, drawn again from the report: that of the captures where it could be derived, else the stored one.
    pub pages: Pages,
}

impl Checked {
    /// Nothing was changed, and whatever could be derived or drawn again came out the same.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let verdicts = match &self.rederived {
            Rederived::Done { differing, .. } => differing.is_empty(),
            Rederived::NotDone { .. } => true,
        };
        self.differences.is_empty() && verdicts && self.pages.differing.is_empty()
    }
}

/// What the one who verifies adds.
#[derive(Debug, Default)]
pub struct Given<'a> {
    /// The key that must have signed.
    pub key: Option<&'a PublicKey>,
    /// Captures of which the bundle may have only the hash.
    pub captures: &'a [PathBuf],
    /// Secrets that were searched for; a bundle does not hold those of the command line.
    pub canaries: &'a [(String, String)],
    /// Secrets of TLS and QUIC connections; a bundle does not hold those of key logs.
    pub secrets: Arc<Secrets>,
    /// More than one thread may be used.
    pub parallel: bool,
}

/// Checks a bundle.
///
/// # Errors
/// [`BundleError`] when the file cannot be read or is no bundle; what was changed in a bundle is no error but a
/// [`Difference`].
pub fn verify(path: &Path, given: &Given<'_>) -> Result<Checked, BundleError> {
    let io = |source| BundleError::Io { path: path.to_owned(), source };
    let no_bundle = |what: String| BundleError::NoBundle { path: path.to_owned(), what };
    let mut file = File::open(path).map_err(io)?;
    let mut found = Found::default();
    let sealed = seal(&mut file).map_err(io)?;
    let mut zip = ZipArchive::new(file).map_err(|e| {
        no_bundle(format!(
            "the archive cannot be opened ({e}){}",
            sealed.as_ref().err().map_or_else(String::new, |what| format!("; {what}"))
        ))
    })?;
    let text = bytes_of(&mut zip, MANIFEST, MAX_MANIFEST)
        .map_err(|what| no_bundle(format!("{MANIFEST}: {what}; not made by metaleak bundle, or changed")))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|e| no_bundle(format!("{MANIFEST}: {e}; not made by metaleak bundle, or changed")))?;
    if manifest.schema != MANIFEST_SCHEMA {
        return Err(no_bundle(format!(
            "its form is {:?}, this program reads {MANIFEST_SCHEMA}",
            manifest.schema
        )));
    }
    let folder = tempfile::tempdir().map_err(io)?;
    found.files(&mut zip, &manifest, folder.path());
    if let Some(name) = manifest.broken_link() {
        found.add(MANIFEST, format!("the chain of hashes breaks at {name:?}"));
    }
    let signature = found.signature(&mut zip, &text, given.key);
    if let Err(what) = sealed {
        let inside = !found.differences.is_empty();
        found.add("", if inside { what } else { format!("{what}; every file in it is unchanged") });
    }
    let (rederived, report) = match Evidence::gather(&manifest, folder.path(), &found.good, given) {
        Ok(evidence) => evidence.judge(given),
        Err(why) => (Rederived::NotDone { why }, None),
    };
    let pages = found.pages(&manifest, folder.path(), report);
    found.differences.sort();
    Ok(Checked {
        head: manifest.head.clone(),
        tool: manifest.tool.clone(),
        files: found.good.len(),
        hashes_only: manifest.files.iter().filter(|e| !e.stored).count(),
        signature,
        differences: found.differences,
        rederived,
        pages,
    })
}

/// At most `most` bytes of a file of the archive.
fn bytes_of(zip: &mut ZipArchive<File>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let entry = zip.by_name(name).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    entry.take(most + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > most { Err(format!("more than {most} bytes")) } else { Ok(bytes) }
}

/// A path that stays within a folder.
fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
}

#[derive(Default)]
struct Found {
    differences: Vec<Difference>,
    /// Paths whose bytes are as the manifest says.
    good: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, file: &str, what: impl Into<String>) {
        self.differences.push(Difference { file: file.to_owned(), what: what.into() });
    }

    /// Hashes each file and lays those that are unchanged into `folder`.
    fn files(&mut self, zip: &mut ZipArchive<File>, manifest: &Manifest, folder: &Path) {
        let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in &manifest.files {
            if seen.insert(&entry.path, entry).is_some() {
                self.add(&entry.path, "stands twice in the manifest");
            }
        }
        let mut names: Vec<String> = Vec::new();
        let mut unreadable = Vec::new();
        for name in zip.file_names() {
            match name {
                Ok(name) => names.push(name.into_owned()),
                Err(e) => unreadable.push(e.to_string()),
            }
        }
        for e in unreadable {
            self.add("", format!("a file's name cannot be read: {e}"));
        }
        for name in &names {
            let known = seen.get(name.as_str()).is_some_and(|e| e.stored);
            if !known && ![MANIFEST, MINISIG, BARE].contains(&name.as_str()) {
                self.add(name, "is not in the manifest: it was added");
            }
        }
        for entry in seen.values().filter(|e| e.stored) {
            if !names.contains(&entry.path) {
                self.add(&entry.path, "is missing: it was removed");
                continue;
            }
            match unpack(zip, entry, folder) {
                Ok((sha256, bytes)) if sha256 == entry.sha256 && bytes == entry.bytes => {
                    self.good.insert(entry.path.clone());
                }
                Ok((_, bytes)) if bytes != entry.bytes => {
                    self.add(
                        &entry.path,
                        format!("was changed: {bytes} bytes, the manifest says {}", entry.bytes),
                    );
                }
                Ok((sha256, _)) => {
                    self.add(
                        &entry.path,
                        format!("was changed: its SHA-256 is {sha256}, the manifest says {}", entry.sha256),
                    );
                }
                Err(e) => self.add(&entry.path, format!("cannot be unpacked, so it was changed: {e}")),
            }
        }
    }

    /// Draws pages, charts and tables again from `report`, or from the stored one, and compares their bytes.
    fn pages(&self, manifest: &Manifest, folder: &Path, report: Option<Report>) -> Pages {
        let of = |role: Role| -> Vec<&Entry> {
            manifest.files.iter().filter(|e| e.role == role && self.good.contains(&e.path)).collect()
        };
        let stored = || {
            let path = folder.join(&of(Role::Report).first()?.path);
            serde_json::from_slice(&std::fs::read(path).ok()?).ok()
        };
        let mut pages = Pages::default();
        let entries = of(Role::Page);
        if entries.is_empty() {
            return pages;
        }
        // A report that cannot be read was told of before.
        let Some(report) = report.or_else(stored) else { return pages };
        let other = (manifest.tool != crate::model::Tool::this()).then(|| {
            format!(
                "; the bundle was made by another version, {}: verify it with that one",
                manifest.tool.version
            )
        });
        let drawn = pages::drawn(&report).unwrap_or_default();
        for entry in entries {
            let text = std::fs::read(folder.join(&entry.path)).unwrap_or_default();
            let what = match drawn.get(&entry.path) {
                Some(forms) if forms.iter().any(|form| form.as_bytes() == text) => {
                    pages.same += 1;
                    continue;
                }
                Some(_) => "is not what comes of the report",
                None => "no file of this name comes of the report",
            };
            let what = format!("{what}{}", other.as_deref().unwrap_or_default());
            pages.differing.push(Difference { file: entry.path.clone(), what });
        }
        pages
    }

    fn signature(
        &mut self,
        zip: &mut ZipArchive<File>,
        manifest: &[u8],
        key: Option<&PublicKey>,
    ) -> &'static str {
        let signed = [MINISIG, BARE].iter().any(|name| zip.index_for_name(name).is_some());
        let Some(key) = key else { return if signed { "unchecked" } else { "none" } };
        let name = key.file();
        if zip.index_for_name(name).is_none() {
            if !signed {
                self.add(name, "there is no signature");
                return "none";
            }
            let other = if name == MINISIG { BARE } else { MINISIG };
            let (given, wanted) = (kind_of(name), kind_of(other));
            self.add(
                name,
                format!("the kinds differ: the bundle is signed by {wanted} ({other}), and the key that was given is {given}"),
            );
            return "other-kind";
        }
        match bytes_of(zip, name, 1 << 16).and_then(|signature| key.check(manifest, &signature)) {
            Ok(()) => "good",
            Err(what) => {
                self.add(name, format!("the signature does not hold: {what}"));
                "bad"
            }
        }
    }
}

/// Writes a file of the archive into `folder`; its hash and size.
fn unpack(zip: &mut ZipArchive<File>, entry: &Entry, folder: &Path) -> io::Result<(String, u64)> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    if !is_plain(&entry.path) {
        return Err(invalid("its path leads out of the bundle".into()));
    }
    let packed = zip.by_name(&entry.path).map_err(|e| invalid(e.to_string()))?;
    let target = folder.join(&entry.path);
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = File::create(&target)?;
    // One byte more than announced is enough to see that there is more.
    io::copy(&mut packed.take(entry.bytes.saturating_add(1)), &mut file)?;
    drop(file);
    digest(File::open(&target)?)
}

/// All that verdicts are derived from.
struct Evidence {
    report: Report,
    /// The same as it is written, with whatever else stands in it.
    written: serde_json::Value,
    captures: Vec<(Capture, Option<Run>)>,
    catalogue: Catalogue,
    /// None in a bundle that was made before criteria were put in.
    criteria: Option<Criteria>,
    db: ReferenceDb,
    /// Those that are built in, with those of the bundle.
    rules: Arc<Rules>,
}

impl Evidence {
    /// Collects it from unpacked files; why that is not possible.
    fn gather(
        manifest: &Manifest,
        folder: &Path,
        good: &BTreeSet<String>,
        given: &Given<'_>,
    ) -> Result<Evidence, String> {
        let of = |role: Role| manifest.files.iter().filter(move |e| e.role == role);
        let changed = |entry: &Entry| entry.stored && !good.contains(&entry.path);
        let needed = [
            Role::Report,
            Role::Capture,
            Role::Run,
            Role::Claims,
            Role::Criteria,
            Role::Reference,
            Role::Rules,
        ];
        if let Some(entry) = manifest.files.iter().find(|e| needed.contains(&e.role) && changed(e)) {
            return Err(format!("{} was changed", entry.path));
        }
        let path = of(Role::Report).next().ok_or("the bundle has no report")?;
        let text = std::fs::read(folder.join(&path.path)).map_err(|e| format!("{}: {e}", path.path))?;
        let report: Report = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.path))?;
        let written = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.path))?;
        let claims: Vec<PathBuf> = of(Role::Claims).map(|e| folder.join(&e.path)).collect();
        let mut catalogue = Catalogue::load(&claims).map_err(|e| e.to_string())?;
        // The built-in one is taken without being told, which the command lines of a report show.
        if let Ok(built_in) = Catalogue::embedded()
            && built_in.files() == catalogue.files()
        {
            catalogue = built_in;
        }
        let read = |entry: &Entry| {
            let text = std::fs::read_to_string(folder.join(&entry.path));
            text.map(|text| (given_name(entry).to_owned(), text)).map_err(|e| format!("{}: {e}", entry.path))
        };
        let texts: Vec<(String, String)> = of(Role::Criteria).map(read).collect::<Result<_, String>>()?;
        let criteria = if texts.is_empty() {
            None
        } else {
            Some(Criteria::from_files(&texts).map_err(|e| e.to_string())?)
        };
        let db = reference(&folder.join("reference"))?;
        let own: Vec<(String, String)> = of(Role::Rules).map(read).collect::<Result<_, String>>()?;
        let rules = if own.is_empty() {
            Rules::embedded()
        } else {
            let texts: Vec<(&Path, &str)> =
                own.iter().map(|(name, text)| (Path::new(name), text.as_str())).collect();
            Arc::new(Rules::with_texts(&texts).map_err(|e| e.to_string())?)
        };
        let mut captures = Vec::new();
        let mut elsewhere: Option<BTreeMap<String, PathBuf>> = None;
        for input in &report.inputs {
            let inside = folder.join("captures").join(&input.file);
            let entry = of(Role::Capture).find(|e| e.sha256 == input.sha256);
            let path = if entry.is_some_and(|e| e.stored) && inside.is_file() {
                inside
            } else {
                let known = elsewhere.get_or_insert_with(|| by_hash(given.captures));
                let outside = known.get(&input.sha256).ok_or_else(|| {
                    format!(
                        "{:?} is in the bundle by its hash alone: give the capture with --captures",
                        input.file
                    )
                })?;
                // Beside it stands, as in the bundle, how it was made.
                if let Some(parent) = inside.parent() {
                    std::fs::create_dir_all(parent).map_err(|e| e.to_string())?;
                }
                std::fs::copy(outside, &inside).map_err(|e| format!("{outside:?}: {e}"))?;
                if let Some(run) = scenario::run_file(outside) {
                    let beside = format!("captures/{}.run.json", scenario::stem(&input.file));
                    std::fs::copy(&run, folder.join(beside)).map_err(|e| format!("{run:?}: {e}"))?;
                }
                inside
            };
            captures.push((Capture { path, name: input.file.clone() }, input.run.clone()));
        }
        Ok(Evidence { report, written, captures, catalogue, criteria, db, rules })
    }

    /// What came of judging anew, and the report as it comes of the captures.
    fn judge(&self, given: &Given<'_>) -> (Rederived, Option<Report>) {
        let mut analyses = Vec::new();
        for (capture, run) in &self.captures {
            // What was set on the command line then, the report tells as part of the run.
            let settings = Settings {
                canaries: given.canaries.to_vec(),
                parallel: given.parallel,
                secrets: Arc::clone(&given.secrets),
                ech: self.db.ech(),
                keys: Keys::embedded(),
                rules: Some(Arc::clone(&self.rules)),
                app: run.as_ref().and_then(|r| r.messenger.clone()),
                vantage: run.as_ref().and_then(|r| r.vantage),
                place: run.as_ref().and_then(|r| r.place.clone()),
                ..Settings::default()
            };
            for read in pipeline::analyse_all(std::slice::from_ref(capture), &settings, &|_| {}) {
                match read {
                    Ok(one) => analyses.push(one),
                    Err(e) => return (Rederived::NotDone { why: format!("{}: {e}", capture.name) }, None),
                }
            }
        }
        let planted = if self.report.controls == 0 {
            BTreeMap::new()
        } else {
            let captures: Vec<Capture> = self.captures.iter().map(|(capture, _)| capture.clone()).collect();
            let rules = Some(Arc::clone(&self.rules));
            let settings = Settings { parallel: given.parallel, rules, ..Settings::default() };
            pipeline::plant(&captures, &analyses, self.report.controls, &settings, &self.db)
        };
        let none = Criteria::default();
        let criteria = self.criteria.as_ref().unwrap_or(&none);
        let mut again = pipeline::report(analyses, &self.db, &self.catalogue, &planted, criteria);
        again.controls = self.report.controls;
        self.take_paths(&mut again);
        let new: BTreeMap<&str, _> = again.claims.iter().map(|c| (c.id.as_str(), c)).collect();
        let old: BTreeMap<&str, _> = self.report.claims.iter().map(|c| (c.id.as_str(), c)).collect();
        let mut differing = Vec::new();
        let mut add = |id: &str, what: String| {
            differing.push(Difference { file: id.to_owned(), what });
        };
        let told = |verdict: crate::model::Verdict, reason: &str| {
            if reason.is_empty() { verdict.to_string() } else { format!("{verdict}: {reason}") }
        };
        for (id, claim) in &old {
            match new.get(id) {
                None => add(id, "no such claim is in the bundle's claim files".into()),
                Some(n) if (n.verdict, &n.reason) != (claim.verdict, &claim.reason) => add(
                    id,
                    format!(
                        "the report says {}, the captures give {}",
                        told(claim.verdict, &claim.reason),
                        told(n.verdict, &n.reason)
                    ),
                ),
                Some(n) if n.evidence != claim.evidence => {
                    add(
                        id,
                        format!("{}, but on other evidence than the report says", told(n.verdict, &n.reason)),
                    );
                }
                Some(_) => {}
            }
        }
        for id in new.keys().filter(|id| !old.contains_key(*id)) {
            add(id, "the report does not have this claim".into());
        }
        if self.criteria.is_some() {
            differing.extend(compared(&self.report, &again));
        }
        let verdicts = old.len();
        differing.extend(self.otherwise(&again, &differing));
        (Rederived::Done { verdicts, differing }, Some(again))
    }

    /// Lines for a shell name files as they were given when the report was made, which nobody can know from the captures: where the words of
    /// the advice are the same, its line is taken as it is stored.
    fn take_paths(&self, again: &mut Report) {
        let stored: BTreeMap<&str, _> = self.report.claims.iter().map(|c| (c.id.as_str(), &c.next)).collect();
        for claim in &mut again.claims {
            let Some(old) = stored.get(claim.id.as_str()) else { continue };
            for (new, old) in claim.next.iter_mut().zip(old.iter()).filter(|(new, old)| new.what == old.what)
            {
                new.command.clone_from(&old.command);
            }
        }
    }

    /// Where the stored report is otherwise than the one that comes of the captures, beside what was told of claims and comparison.
    fn otherwise(&self, again: &Report, told: &[Difference]) -> Vec<Difference> {
        let mut text = Vec::new();
        let Ok(()) = crate::report::json(again, &mut text) else { return Vec::new() };
        let again: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let is_told = |id: &str| told.iter().any(|d| d.file == id);
        // Claims that were taken out or put in move those behind them; they were told each by its id.
        let numbered = |report: &serde_json::Value| {
            let mut report = report.clone();
            if let Some(claims) = report.pointer_mut("/claims").and_then(serde_json::Value::as_array_mut) {
                claims.retain(|claim| !claim.get("id").and_then(|id| id.as_str()).is_some_and(is_told));
            }
            report
        };
        let (stored, again) = (numbered(&self.written), numbered(&again));
        let comparison = self.criteria.is_none()
            || told.iter().any(|d| {
                ["comparison of ", "conclusion ", "total of ", "criterion "]
                    .iter()
                    .any(|s| d.file.starts_with(s))
            });
        let looked = |pointer: &str| !(comparison && pointer == "/comparison");
        let found = pages::differences(&stored, &again, &looked);
        found
            .into_iter()
            .map(|(pointer, what)| Difference { file: format!("report.json{pointer}"), what })
            .collect()
    }
}

/// The name that a file of criteria or rules had before it was numbered to be put in (`criteria/1-own.toml`).
fn given_name(entry: &Entry) -> &str {
    let name = entry.path.rsplit('/').next().unwrap_or(&entry.path);
    match name.split_once('-') {
        Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => name,
    }
}

/// What differs between two comparisons, by messenger and criterion, and by conclusion.
fn compared(old: &Report, new: &Report) -> Vec<Difference> {
    let parts = |report: &Report| -> BTreeMap<String, String> {
        let comparison = &report.comparison;
        let plain = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
        let cells = comparison.cells.iter().map(|cell| {
            (
                format!("comparison of {} by {}", cell.messenger, cell.criterion),
                plain(serde_json::to_string(cell)),
            )
        });
        let conclusions = comparison
            .conclusions
            .iter()
            .map(|c| (format!("conclusion {}", c.id), plain(serde_json::to_string(c))));
        let totals = comparison
            .totals
            .iter()
            .map(|total| (format!("total of {}", total.messenger), plain(serde_json::to_string(total))));
        let criteria = comparison
            .criteria
            .iter()
            .map(|c| (format!("criterion {}", c.id), plain(serde_json::to_string(c))));
        cells.chain(conclusions).chain(totals).chain(criteria).collect()
    };
    let (old, new) = (parts(old), parts(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differs
        .map(|name| {
            let what = match (old.get(name), new.get(name)) {
                (Some(_), Some(_)) => "the report says otherwise than verdicts and criteria give",
                (Some(_), None) => "verdicts and criteria do not give it",
                _ => "the report does not have it",
            };
            Difference { file: name.clone(), what: what.to_owned() }
        })
        .collect()
}

/// The reference data of the bundle.
fn reference(folder: &Path) -> Result<ReferenceDb, String> {
    let table =
        std::fs::read(folder.join("metaleak.db")).map_err(|e| format!("reference/metaleak.db: {e}"))?;
    let mut texts = BTreeMap::new();
    for (name, _) in FactTexts::embedded().named() {
        let text =
            std::fs::read_to_string(folder.join(name)).map_err(|e| format!("reference/{name}: {e}"))?;
        texts.insert(name, text);
    }
    let facts = FactTexts::from_named(&|name| texts.get(name).map(String::as_str))
        .ok_or("a file of the reference data is missing")?;
    ReferenceDb::from_parts(std::borrow::Cow::Owned(table), &facts).map_err(|e| e.to_string())
}

/// Captures among files and folders, by their hash.
pub(crate) fn by_hash(paths: &[PathBuf]) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for path in paths {
        let files = if path.is_dir() {
            pipeline::captures_in(path).unwrap_or_default().captures
        } else {
            vec![path.clone()]
        };
        for file in files {
            if let Ok((sha256, _)) = File::open(&file).and_then(digest) {
                found.entry(sha256).or_insert(file);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_bundle() {
        assert!(is_plain("captures/a/b.pcap"));
        for path in ["", "/etc/x", "../x", "a/../../x", "a\\b", "./x"] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
