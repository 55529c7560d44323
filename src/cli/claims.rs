//! `metaleak claims list | show | check | new | test`.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};

use super::{Failure, claim_words, inputs};
use crate::claims::{self, Catalogue, Claim, Criteria, DecidedBy};
use crate::destination::ReferenceDb;
use crate::model::ClaimResult;
use crate::pipeline::{self, Capture, Settings};
use crate::report::{self, Lang, UnknownLang, Wording, escape_terminal};

/// What to do with claims.
#[derive(Debug, Subcommand)]
pub(super) enum ClaimsCommand {
    /// List the claims: id, criterion, what decides it, text.
    List {
        /// Only those of this messenger; of one that no file speaks of, the claims for every messenger. `*` lists those as they are.
        #[arg(value_name = "MESSENGER")]
        messenger: Option<String>,
        /// A claim file in the place of the built-in catalogue; may be repeated.
        #[arg(long, value_name = "FILE")]
        claims: Vec<PathBuf>,
        /// Language of the texts.
        #[arg(long, default_value = "en", value_parser = ["en", "de"])]
        lang: String,
    },
    /// Explain one claim: what would support it, what would contradict it, its sources.
    Show {
        /// The claim's id, e.g. signal.servers-in-usa; `*.idle-quiet` is one for every messenger.
        id: String,
        /// A claim file in the place of the built-in catalogue; may be repeated.
        #[arg(long, value_name = "FILE")]
        claims: Vec<PathBuf>,
        /// Language of the texts.
        #[arg(long, default_value = "en", value_parser = ["en", "de"])]
        lang: String,
    },
    /// Check claim files, files of criteria and of sentences; every fault is named with file, line and remedy.
    Check {
        /// Files; what each of them is, its content tells.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print a claim file to begin with; it passes `claims check` as it is, with texts to replace.
    New {
        /// The claim's id, MESSENGER.NAME, e.g. beratung.always-encrypted.
        id: String,
        /// What a claim of this kind needs.
        #[arg(long, value_enum, default_value = "encryption")]
        kind: Scaffold,
    },
    /// Judge the claims of one file on captures: each verdict with its reason, its evidence and what would decide it.
    Test {
        /// The claim file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// A capture to judge on; may be repeated.
        #[arg(long, required = true, value_name = "FILE")]
        capture: Vec<PathBuf>,
        /// Messenger that the captures are of, where no run.json says it.
        #[arg(long, value_name = "MESSENGER")]
        app: Option<String>,
        /// Secrets of connections, as SSLKEYLOGFILE writes them; may be repeated, `-` is standard input.
        #[arg(long = "keylog", value_name = "FILE")]
        keylogs: Vec<PathBuf>,
        /// Plant so many leaks into a copy of each capture in memory and say what share the search finds.
        #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=i64::from(crate::controls::MAX_CONTROLS)))]
        controls: u32,
        /// Language of the texts.
        #[arg(long, default_value = "en", value_parser = ["en", "de"])]
        lang: String,
    },
}

/// What `claims test` judges on, and how.
struct Trial<'a> {
    captures: &'a [PathBuf],
    app: Option<&'a str>,
    keylogs: &'a [PathBuf],
    controls: u32,
}

/// Kinds of claims that `claims new` knows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Scaffold {
    /// Connections to a name are encrypted.
    Encryption,
    /// Something does not leave the device in clear.
    Absence,
    /// Where the ends of the connections are.
    Place,
    /// Only documents can decide it.
    Documentary,
}

/// Runs the command.
pub(super) fn run(command: &ClaimsCommand) -> Result<(), Failure> {
    let mut out = inputs::output(None)?;
    match command {
        ClaimsCommand::List { messenger, claims, lang } => {
            list(messenger.as_deref(), &catalogue(claims)?, &wording(lang)?, &mut out)?;
        }
        ClaimsCommand::Show { id, claims, lang } => show(id, &catalogue(claims)?, &wording(lang)?, &mut out)?,
        ClaimsCommand::Check { files } => {
            let checked = claims::check(files).map_err(|e| Failure::Usage(e.to_string()))?;
            let counts = [
                (checked.claims, "claims"),
                (checked.criteria, "criteria"),
                (checked.conclusions, "conclusions"),
                (checked.sentences, "sentences"),
            ];
            let counts: Vec<String> =
                counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
            writeln!(out, "{}, no faults", counts.join(", "))?;
        }
        ClaimsCommand::New { id, kind } => {
            let text = scaffold(id, *kind);
            // The same check as of a file: what is wrong can only be the id.
            Catalogue::from_texts([("claims".to_owned(), text.clone())]).map_err(|_| {
                let shown = escape_terminal(id).into_owned();
                Failure::Usage(format!(
                    "no id {shown:?}: write MESSENGER.NAME in small letters, digits and hyphens, e.g. beratung.always-encrypted"
                ))
            })?;
            write!(out, "{text}")?;
        }
        ClaimsCommand::Test { file, capture, app, keylogs, controls, lang } => {
            let trial = Trial { captures: capture, app: app.as_deref(), keylogs, controls: *controls };
            test(file, &trial, &wording(lang)?, &mut out)?;
        }
    }
    Ok(out.flush()?)
}

/// A claim file with one claim of a kind.
fn scaffold(id: &str, kind: Scaffold) -> String {
    let decided = match kind {
        Scaffold::Documentary => r#"decided_by = "documentary""#,
        Scaffold::Encryption => {
            r#"decided_by = "traffic"
# The name of the server as connections show it; `with_payload` leaves out those that carried nothing.
supports = { all = "flows", of = { name = ["chat.example.org"], with_payload = true }, encryption = ["tls1.2", "tls1.3"] }
contradicts = { any = "flows", name = ["chat.example.org"], encryption = ["none"] }
# What must have been done while the capture ran (`steps` of its run.json).
steps = ["text-1to1"]
undecided = { en = "Write a message while recording.", de = "Beim Mitschneiden eine Nachricht schreiben." }"#
        }
        Scaffold::Absence => {
            r#"decided_by = "traffic"
# It says that something does not happen: at best nothing speaks against it (not-contradicted).
absence = true
supports = { none = "findings" }
contradicts = { any = "findings", severity = ["medium", "high", "critical"], decrypted = false, flow = { messenger_why = ["signature", "name", "network"] } }
steps = ["text-1to1"]
# Planted secrets show that the search would have found it (--controls).
control = "K1"
undecided = { en = "Write a message while recording.", de = "Beim Mitschneiden eine Nachricht schreiben." }"#
        }
        Scaffold::Place => {
            r#"decided_by = "traffic"
# Databases prove no place; only a round trip too short for light rules a country out (docs/place.md).
contradicts = { all = "destinations", of = { role = ["first-party", "hosting"] }, rtt_excludes = ["CH"] }
shows = { any = "destinations" }
otherwise = "vantage-unsuitable"
undecided = { en = "Capture at a router whose place is known.", de = "An einem Router mit bekanntem Standort mitschneiden." }"#
        }
    };
    format!(
        r#"# docs/claims-language.md explains every key. Check with `metaleak claims check FILE`, try with
# `metaleak claims test FILE --capture CAPTURE`.

[[source]]
id = "source-1"
text = "Who says it, in your own words"
url = "https://example.org/where-it-is-said"
date = "undated"

[[claim]]
id = "{id}"
# gdpr, metadata or threshold
criterion = "gdpr"
text = {{ en = "One sentence that can be true or false.", de = "Ein Satz, der wahr oder falsch sein kann." }}
{decided}
sources = ["source-1"]
"#
    )
}

/// Judges the claims of a file on captures.
fn test(file: &Path, trial: &Trial<'_>, wording: &Wording, out: &mut dyn Write) -> Result<(), Failure> {
    let catalogue = Catalogue::load(&[file.to_owned()]).map_err(|e| Failure::Usage(e.to_string()))?;
    let db = ReferenceDb::embedded().map_err(|e| Failure::Environment(e.to_string()))?;
    let names = inputs::names(trial.captures).into_iter().zip(trial.captures);
    let captures: Vec<Capture> = names.map(|(name, path)| Capture { path: path.clone(), name }).collect();
    let settings = Settings {
        app: trial.app.map(str::to_owned),
        secrets: inputs::secrets(trial.keylogs, trial.captures, false)?,
        parallel: true,
        ..Settings::default()
    };
    let mut analyses = Vec::new();
    for read in pipeline::analyse_all(&captures, &settings, &|_| {}) {
        analyses.push(read.map_err(|e| Failure::Unreadable(e.to_string()))?);
    }
    let planted = match trial.controls {
        0 => std::collections::BTreeMap::new(),
        number => pipeline::plant(&captures, &analyses, number, &settings, db),
    };
    let judged = pipeline::report(analyses, db, &catalogue, &planted, &Criteria::default());
    for (claim, at) in judged.claims.iter().zip(0..) {
        if at > 0 {
            writeln!(out)?;
        }
        verdict(claim, wording, out)?;
    }
    Ok(())
}

fn verdict(claim: &ClaimResult, wording: &Wording, out: &mut dyn Write) -> Result<(), Failure> {
    let reason =
        if claim.reason.is_empty() { String::new() } else { format!(" ({})", wording.reason(&claim.reason)) };
    writeln!(out, "{}: {}{reason}", claim.id, wording.verdict(claim.verdict))?;
    writeln!(out, "  {}", wording.pick(&claim.text))?;
    writeln!(out, "  {}", escape_terminal(wording.pick(&claim.explanation)))?;
    for evidence in &claim.evidence {
        let frames: Vec<String> = evidence.frames.iter().map(u64::to_string).collect();
        writeln!(out, "  {}: {}", escape_terminal(&evidence.capture), frames.join(", "))?;
        for line in [&evidence.filter, &evidence.note] {
            if !line.is_empty() {
                writeln!(out, "    {}", escape_terminal(line))?;
            }
        }
    }
    for control in report::controls(claim, wording) {
        writeln!(out, "  {}", escape_terminal(&control))?;
    }
    if let Some(protection) = &claim.protection {
        writeln!(out, "  {}", wording.pick(&protection.explanation))?;
    }
    for next in &claim.next {
        writeln!(out, "  {}", escape_terminal(wording.pick(&next.what)))?;
        writeln!(out, "    {}", escape_terminal(&next.command))?;
    }
    for source in &claim.sources {
        writeln!(out, "  {} {source}", wording.text("show-source"))?;
    }
    Ok(())
}

pub(super) fn wording(lang: &str) -> Result<Wording, Failure> {
    let lang: Lang = lang.parse().map_err(|e: UnknownLang| Failure::Usage(e.to_string()))?;
    Ok(Wording::new(lang))
}

/// The claims of these files; the built-in ones where there are none.
fn catalogue(files: &[PathBuf]) -> Result<Catalogue, Failure> {
    if files.is_empty() {
        return Catalogue::embedded().map_err(|e| Failure::Environment(e.to_string()));
    }
    Catalogue::load(files).map_err(|e| Failure::Usage(e.to_string()))
}

/// With the claims for every messenger as those of one that no file speaks of; that it is none of the known ones is noted, for it may be a
/// slip of the pen.
fn with_messenger<'c>(catalogue: &'c Catalogue, messenger: &str) -> Cow<'c, Catalogue> {
    let all = catalogue.with_messengers([messenger]);
    if all.claims().len() > catalogue.claims().len() {
        anstream::eprintln!("metaleak: warning: {}", inputs::without_file(messenger, catalogue));
    }
    all
}

fn list(
    messenger: Option<&str>,
    catalogue: &Catalogue,
    wording: &Wording,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let all = match messenger {
        Some(messenger) => with_messenger(catalogue, messenger),
        None => Cow::Borrowed(catalogue),
    };
    let of_messenger = |c: &&Claim| messenger.is_none_or(|m| c.messenger == m);
    let chosen: Vec<&Claim> = match messenger {
        Some("*") => all.common().iter().collect(),
        _ => all.claims().iter().filter(of_messenger).collect(),
    };
    if chosen.is_empty() {
        return Err(Failure::Usage(format!(
            "no claims of {:?}; known: {}",
            messenger.unwrap_or_default(),
            catalogue.messengers().join(", ")
        )));
    }
    let width = chosen.iter().map(|c| c.id.len()).max().unwrap_or_default();
    for claim in chosen {
        let decided = decided(claim);
        writeln!(
            out,
            "{:width$}  {:9}  {decided:11}  {}",
            claim.id,
            claim.criterion.id(),
            wording.pick(&claim.text)
        )?;
    }
    Ok(())
}

fn decided(claim: &Claim) -> &'static str {
    match claim.decided_by {
        DecidedBy::Traffic => "traffic",
        DecidedBy::Documentary => "documentary",
    }
}

fn show(id: &str, catalogue: &Catalogue, wording: &Wording, out: &mut dyn Write) -> Result<(), Failure> {
    let expanded = id.split_once('.').filter(|_| catalogue.get(id).is_none()).and_then(|(messenger, _)| {
        catalogue.with_messengers([messenger]).get(id)?;
        Some(with_messenger(catalogue, messenger))
    });
    let catalogue = expanded.as_deref().unwrap_or(catalogue);
    let Some(claim) = catalogue.get(id) else {
        let near: Vec<&str> = catalogue
            .claims()
            .iter()
            .map(|c| c.id.as_str())
            .filter(|c| c.split('.').any(|part| id.split('.').any(|p| part.contains(p))))
            .take(5)
            .collect();
        let hint = if near.is_empty() {
            "`metaleak claims list` shows all".into()
        } else {
            format!("near: {}", near.join(", "))
        };
        return Err(Failure::Usage(format!("no claim {:?}; {hint}", escape_terminal(id))));
    };
    let mut line = |key: &str, value: &str| -> Result<(), Failure> {
        if !value.is_empty() {
            writeln!(out, "{:16} {value}", wording.text(key))?;
        }
        Ok(())
    };
    line("show-id", &claim.id)?;
    line("show-text", wording.pick(&claim.text))?;
    line("show-criterion", &wording.text(report::criterion_id(claim.criterion)))?;
    line(
        "show-decided-by",
        &wording.text(match claim.decided_by {
            DecidedBy::Traffic => "show-by-traffic",
            DecidedBy::Documentary => "show-by-documents",
        }),
    )?;
    line("show-section", &claim.section)?;
    for (key, predicate) in [
        ("show-supports", &claim.supports),
        ("show-contradicts", &claim.contradicts),
        ("show-shows", &claim.shows),
    ] {
        if let Some(predicate) = predicate {
            line(key, &claim_words::predicate(predicate, wording))?;
        }
    }
    if claim.absence {
        line("show-absence", &wording.text("show-absence-says"))?;
    }
    if claim.hash_of_number {
        line("show-hash", &wording.text("show-hash-says"))?;
    }
    line("show-steps", &claim.steps.join(", "))?;
    let vantages: Vec<String> = claim.vantage.iter().map(|v| wording.text(report::vantage_id(*v))).collect();
    line("show-vantage", &vantages.join("; "))?;
    line("show-min-runs", &if claim.min_runs > 0 { claim.min_runs.to_string() } else { String::new() })?;
    line("show-control", &claim.control)?;
    line("show-undecided", wording.pick(&claim.undecided))?;
    for case in &claim.cases {
        let when = claim_words::predicate(&case.when, wording);
        line("show-case", &format!("{}: {}", when, wording.pick(&case.undecided)))?;
    }
    line("show-note", wording.pick(&claim.note))?;
    line("show-superseded", wording.pick(&claim.superseded))?;
    if let Some(successor) = &claim.superseded_by {
        let text = catalogue.get(&successor.id).map(|c| wording.pick(&c.text)).unwrap_or_default();
        line("show-superseded-by", &format!("{}: {text}", successor.id))?;
    }
    line("show-valid-from", &wording.date(&claim.valid_from))?;
    line("show-valid-until", &wording.date(&claim.valid_until))?;
    for older in catalogue.claims() {
        if older.superseded_by.as_ref().is_some_and(|by| by.id == claim.id) {
            line("show-supersedes", &format!("{}: {}", older.id, wording.pick(&older.text)))?;
        }
    }
    for source in &claim.sources {
        line("show-source", &source.to_string())?;
    }
    Ok(())
}
