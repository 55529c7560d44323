//! `metaleak bundle` and `metaleak verify`: evidence to hand over, and its check.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sha2::Digest as _;

use super::{Failure, TableOrJson, inputs};
use crate::bundle::{
    self, BundleError, Checked, Content, Given, Part, PublicKey, Rederived, Role, SigningKey,
};
use crate::capture::{self, hex};
use crate::claims::{Catalogue, Criteria};
use crate::destination::{FactTexts, Outlines, ReferenceDb};
use crate::model::{ReferenceSource, Report};
use crate::payload::{self, Rules};
use crate::report::escape_terminal;
use crate::scenario;

const README: &str = include_str!("../../templates/bundle-readme.txt");

/// Arguments of `bundle`.
#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// report.json, or the folder in which `study` wrote it.
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    /// The archive to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Where the captures are, files or folders; they are known by their hash. May be repeated.
    #[arg(long, value_name = "PATH")]
    captures: Vec<PathBuf>,
    /// Keep only the hashes of captures.
    #[arg(long, conflicts_with = "captures")]
    hashes_only: bool,
    /// Put in captures that carry TLS secrets (Decryption Secrets Blocks) as they are: without this, only their hash goes in.
    #[arg(long, conflicts_with = "hashes_only")]
    with_secrets: bool,
    /// The claim files that were given to `study`, where they were not the built-in ones.
    #[arg(long, value_name = "FILE")]
    claims: Vec<PathBuf>,
    /// The file of criteria that was given to `study`.
    #[arg(long, value_name = "FILE")]
    criteria: Option<PathBuf>,
    /// The reference data that was given to `study`, where it was not the built-in table.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// A file of rules that was given to `study`; may be repeated.
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Sign with this key: a minisign secret key, or an Ed25519 key in PEM.
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// A file to put in, such as a time stamp's request or response (RFC 3161). May be repeated.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The bundle.
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The public key that must have signed it: minisign's, or Ed25519 in PEM.
    #[arg(long, value_name = "KEY")]
    key: Option<PathBuf>,
    /// Where captures are of which the bundle has only the hash; may be repeated.
    #[arg(long, value_name = "PATH")]
    captures: Vec<PathBuf>,
    /// A secret that was searched for on the command line; may be repeated.
    #[arg(long = "canary", value_name = "NAME=VALUE")]
    canaries: Vec<String>,
    /// A key log with which the report was made (NSS format); may be repeated.
    #[arg(long = "keylog", value_name = "FILE")]
    keylogs: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: TableOrJson,
    /// Exit 1 when anything was changed or comes out otherwise; without it the exit code only says whether the bundle could be read.
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
}

/// What makes `verify` fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A changed file, a signature that does not hold, or a verdict that comes out otherwise.
    Difference,
}

impl From<BundleError> for Failure {
    fn from(e: BundleError) -> Failure {
        match e {
            BundleError::Key { .. } => Failure::Usage(e.to_string()),
            BundleError::Archive { .. } => Failure::Environment(e.to_string()),
            BundleError::Io { .. } | BundleError::NoBundle { .. } => Failure::Unreadable(e.to_string()),
        }
    }
}

/// Runs `bundle`.
pub(super) fn make(args: &BundleArgs, quiet: bool) -> Result<(), Failure> {
    let path = if args.report.is_dir() { args.report.join("report.json") } else { args.report.clone() };
    let text =
        std::fs::read(&path).map_err(|e| Failure::Unreadable(format!("{path:?}: cannot read: {e}")))?;
    let report: Report = serde_json::from_slice(&text)
        .map_err(|e| Failure::Unreadable(format!("{path:?}: no report of this version: {e}")))?;
    if !args.hashes_only && args.captures.is_empty() {
        return Err(Failure::Usage(
            "--captures PATH says where the captures are; --hashes-only leaves them out".into(),
        ));
    }
    let bytes = |path: &str, role: Role, bytes: Vec<u8>| Part {
        path: path.to_owned(),
        role,
        content: Content::Bytes(bytes),
    };
    let mut parts =
        vec![bytes("README.txt", Role::Readme, README.into()), bytes("report.json", Role::Report, text)];
    let drawn = bundle::page_names(&report).map_err(|e| Failure::Environment(e.to_string()))?;
    parts.extend(pages(&path, &args.output, &drawn));
    parts.extend(claims(&report, &args.claims)?);
    parts.extend(criteria(&report, args.criteria.as_deref())?);
    parts.extend(reference(&report, args.db.as_deref())?);
    parts.extend(rules(&report, &args.rules)?);
    parts.extend(captures(&report, args, quiet)?);
    for path in &args.attach {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let content = Content::File(path.clone());
        parts.push(Part { path: format!("attachments/{name}"), role: Role::Attachment, content });
    }
    let mut names: Vec<&str> = parts.iter().map(|p| p.path.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|w| w.first() == w.last()).and_then(|w| w.first()) {
        return Err(Failure::Usage(format!("two files would be {twice:?} in the bundle: rename one")));
    }
    let key = match &args.sign {
        // Without a password at hand the library asks on the terminal.
        Some(key) => Some(SigningKey::open(key, || std::env::var("METALEAK_KEY_PASSWORD").ok())?),
        None => None,
    };
    let manifest = bundle::write(&args.output, &parts, key.as_ref())?;
    let stored = manifest.files.iter().filter(|e| e.stored).count();
    let mut out = inputs::output(None)?;
    writeln!(out, "{}", manifest.head)?;
    out.flush()?;
    if !quiet {
        anstream::eprintln!(
            "metaleak: {}: {stored} files, {} captures by hash alone{}; the number above stands for all of them",
            escape_terminal(&args.output.to_string_lossy()),
            manifest.files.len() - stored,
            if key.is_some() { ", signed" } else { "" }
        );
    }
    Ok(())
}

/// The report's other forms that lie beside it.
fn pages(report: &Path, target: &Path, drawn: &[String]) -> Vec<Part> {
    let folder = report.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut parts: Vec<Part> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_name()?.to_str()?.to_owned();
            // Only what `study` and `replay` write: a folder may hold other things of its owner.
            (drawn.contains(&name) && path != target).then_some(Part {
                path: name,
                role: Role::Page,
                content: Content::File(path),
            })
        })
        .collect();
    parts.sort_by(|a, b| a.path.cmp(&b.path));
    parts
}

/// The claim files that the report was judged with.
fn claims(report: &Report, given: &[PathBuf]) -> Result<Vec<Part>, Failure> {
    let texts: Vec<(String, Vec<u8>)> = if given.is_empty() {
        Catalogue::embedded_files().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect()
    } else {
        let read = |path: &PathBuf| {
            let text = std::fs::read(path)
                .map_err(|e| Failure::Unreadable(format!("{path:?}: cannot read: {e}")))?;
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            Ok((format!("claims/{name}"), text))
        };
        given.iter().map(read).collect::<Result<_, Failure>>()?
    };
    let hashes: Vec<String> = texts.iter().map(|(_, text)| hex(&sha2::Sha256::digest(text))).collect();
    if let Some(judged) = report.catalogue.iter().find(|file| !hashes.contains(&file.sha256)) {
        return Err(Failure::Usage(format!(
            "the report was judged with another {:?} (SHA-256 {}): give the claim files of that time with --claims",
            judged.file, judged.sha256
        )));
    }
    let part = |(path, text)| Part { path, role: Role::Claims, content: Content::Bytes(text) };
    Ok(texts.into_iter().map(part).collect())
}

/// The files that the comparison was made by, in the report's order.
fn criteria(report: &Report, given: Option<&Path>) -> Result<Vec<Part>, Failure> {
    let (name, text) = Criteria::embedded_file();
    let mut known = vec![(file_name(Path::new(name)), text.as_bytes().to_vec())];
    if let Some(path) = given {
        let text =
            std::fs::read(path).map_err(|e| Failure::Unreadable(format!("{path:?}: cannot read: {e}")))?;
        known.push((file_name(path), text));
    }
    let mut parts = Vec::new();
    for file in &report.criteria {
        let same = |(_, text): &&(String, Vec<u8>)| hex(&sha2::Sha256::digest(text)) == file.sha256;
        let Some((_, text)) = known.iter().find(same) else {
            return Err(Failure::Usage(format!(
                "the messengers were compared by {:?} (SHA-256 {}): give that file with --criteria",
                file.file, file.sha256
            )));
        };
        // Numbered, so that their order, which says whose criteria count, is that of the report, and so that no names clash.
        let path = format!("criteria/{}-{}", parts.len() + 1, file.file);
        parts.push(Part { path, role: Role::Criteria, content: Content::Bytes(text.clone()) });
    }
    Ok(parts)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The reference data that the report was judged with.
fn reference(report: &Report, given: Option<&Path>) -> Result<Vec<Part>, Failure> {
    let opened;
    let db = match given {
        Some(path) => {
            opened = ReferenceDb::open(path).map_err(|e| Failure::Unreadable(e.to_string()))?;
            &opened
        }
        None => ReferenceDb::embedded().map_err(|e| Failure::Environment(e.to_string()))?,
    };
    let mut known: Vec<String> = db.sources().into_iter().map(|s| s.sha256).collect();
    known.extend([Outlines::source().sha256, payload::keys_source().sha256]);
    known.extend(Rules::embedded().sources().iter().map(|source| source.sha256.clone()));
    let other = |source: &&ReferenceSource| !is_own_rules(source) && !known.contains(&source.sha256);
    if let Some(other) = report.reference.iter().find(other) {
        return Err(Failure::Usage(format!(
            "the report was judged with another {:?} of {}: give the reference data of that time with --db",
            other.name, other.as_of
        )));
    }
    let part =
        |path: String, bytes: Vec<u8>| Part { path, role: Role::Reference, content: Content::Bytes(bytes) };
    let mut parts = vec![part("reference/metaleak.db".into(), db.bytes().to_vec())];
    for (name, text) in FactTexts::embedded().named() {
        parts.push(part(format!("reference/{name}"), text.as_bytes().to_vec()));
    }
    Ok(parts)
}

/// Whether a source is a file that was given with `--rules` (`Rules::with_texts` names them so).
fn is_own_rules(source: &ReferenceSource) -> bool {
    source.name.starts_with("rules ")
}

/// The files of rules that the captures were read with beside the built-in one, in the report's order: it says whose rules come first.
fn rules(report: &Report, given: &[PathBuf]) -> Result<Vec<Part>, Failure> {
    let mut known = Vec::new();
    for path in given {
        let text =
            std::fs::read(path).map_err(|e| Failure::Unreadable(format!("{path:?}: cannot read: {e}")))?;
        known.push((path, hex(&sha2::Sha256::digest(&text)), text));
    }
    let mut parts = Vec::new();
    for own in report.reference.iter().filter(|source| is_own_rules(source)) {
        let Some((path, _, text)) = known.iter().find(|(_, sha256, _)| *sha256 == own.sha256) else {
            return Err(Failure::Usage(format!(
                "the report was made with {:?} (SHA-256 {}): give that file with --rules",
                own.name, own.sha256
            )));
        };
        let path = format!("rules/{}-{}", parts.len() + 1, file_name(path));
        parts.push(Part { path, role: Role::Rules, content: Content::Bytes(text.clone()) });
    }
    let used = |sha256: &String| report.reference.iter().any(|source| source.sha256 == *sha256);
    if let Some((path, ..)) = known.iter().find(|(_, sha256, _)| !used(sha256)) {
        return Err(Failure::Usage(format!("the report was not made with {path:?}: leave it out")));
    }
    Ok(parts)
}

/// The captures, or their hashes, and how they were made.
fn captures(report: &Report, args: &BundleArgs, quiet: bool) -> Result<Vec<Part>, Failure> {
    let found = bundle::by_hash(&args.captures);
    let mut parts = Vec::new();
    for input in &report.inputs {
        let path = format!("captures/{}", input.file);
        if args.hashes_only {
            let content = Content::Hash { sha256: input.sha256.clone(), bytes: input.bytes };
            parts.push(Part { path, role: Role::Capture, content });
            continue;
        }
        let Some(file) = found.get(&input.sha256) else {
            return Err(Failure::Unreadable(format!(
                "{:?} (SHA-256 {}) is not among the captures given; --hashes-only leaves captures out",
                input.file, input.sha256
            )));
        };
        let content = if !args.with_secrets && carries_secrets(file) {
            if !quiet {
                anstream::eprintln!(
                    "metaleak: {}: carries TLS secrets, so only its hash is in the bundle; --with-secrets puts it in",
                    escape_terminal(&input.file)
                );
            }
            Content::Hash { sha256: input.sha256.clone(), bytes: input.bytes }
        } else {
            Content::File(file.clone())
        };
        parts.push(Part { path, role: Role::Capture, content });
        if let Some(run) = scenario::run_file(file) {
            let stem = scenario::stem(&input.file);
            parts.push(Part {
                path: format!("captures/{stem}.run.json"),
                role: Role::Run,
                content: Content::File(run),
            });
        }
    }
    Ok(parts)
}

/// Whoever has the bundle could open with them what the capture holds.
fn carries_secrets(path: &Path) -> bool {
    capture::open(path).is_ok_and(|mut reader| {
        let mut batch = capture::Batch::default();
        while reader.next(&mut batch) {}
        !reader.facts().secrets.is_empty()
    })
}

/// Runs `verify`.
pub(super) fn check(args: &VerifyArgs) -> Result<(), Failure> {
    let key = args.key.as_deref().map(PublicKey::open).transpose()?;
    let canaries = inputs::canaries(&args.canaries)?;
    let secrets = inputs::secrets(&args.keylogs, &[], false)?;
    let given =
        Given { key: key.as_ref(), captures: &args.captures, canaries: &canaries, secrets, parallel: true };
    let checked = bundle::verify(&args.bundle, &given)?;
    let mut out = inputs::output(None)?;
    match args.format {
        TableOrJson::Json => {
            serde_json::to_writer_pretty(&mut out, &checked).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
        TableOrJson::Table => tell(&checked, &mut out)?,
    }
    out.flush()?;
    let what = || format!("{:?} is not what was bundled, or does not give its verdicts again", args.bundle);
    match args.fail_on {
        _ if checked.is_good() => Ok(()),
        Some(FailOn::Difference) => Err(Failure::Judged(what())),
        // CONTRACT: 1 only with --fail-on. A reader of the terminal is told all the same.
        None => {
            anstream::eprintln!("metaleak: warning: {}; --fail-on difference makes that exit 1", what());
            Ok(())
        }
    }
}

fn tell(checked: &Checked, out: &mut dyn std::io::Write) -> Result<(), Failure> {
    let line = |out: &mut dyn std::io::Write, name: &str, value: &str| {
        writeln!(out, "{name:10}  {}", escape_terminal(value))
    };
    line(out, "head", &checked.head)?;
    line(out, "made by", &format!("{} {}", checked.tool.name, checked.tool.version))?;
    let kept = if checked.hashes_only > 0 {
        format!(", {} captures by hash alone", checked.hashes_only)
    } else {
        String::new()
    };
    line(out, "files", &format!("{} as the manifest says{kept}", checked.files))?;
    let signature = match checked.signature {
        "good" => "good, by the key given",
        "unchecked" => "there is one; give the public key with --key to check it",
        "none" => "none",
        "other-kind" => "there is one, by a key of another kind than the one given",
        _ => "does not hold",
    };
    line(out, "signature", signature)?;
    for difference in &checked.differences {
        let file = if difference.file.is_empty() { "the archive" } else { &difference.file };
        line(out, "CHANGED", &format!("{file}: {}", difference.what))?;
    }
    match &checked.rederived {
        Rederived::Done { verdicts, differing } => {
            // A difference of the report beside its claims makes no verdict another one.
            let of_claims = differing.iter().filter(|d| !d.file.starts_with("report.json")).count();
            let same = verdicts.saturating_sub(of_claims);
            line(out, "verdicts", &format!("{same} of {verdicts} derived anew as the report says"))?;
            for difference in differing {
                line(out, "DIFFERS", &format!("{}: {}", difference.file, difference.what))?;
            }
        }
        Rederived::NotDone { why } => line(out, "verdicts", &format!("not derived anew: {why}"))?,
    }
    let pages = &checked.pages;
    let all = pages.same + pages.differing.len();
    if all > 0 {
        line(out, "pages", &format!("{} of {all} drawn again as they are", pages.same))?;
    }
    for difference in &pages.differing {
        line(out, "DIFFERS", &format!("{}: {}", difference.file, difference.what))?;
    }
    Ok(())
}
