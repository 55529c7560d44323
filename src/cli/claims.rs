//! `metaleak claims list | show | check`.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, inputs};
use crate::claims::{Catalogue, Claim, Conditions, DecidedBy, Leaf, Predicate, Quantifier, Subject, Value};
use crate::report::{Lang, UnknownLang, Wording, escape_terminal};

/// What to do with claims.
#[derive(Debug, Subcommand)]
pub(super) enum ClaimsCommand {
    /// List the claims: id, criterion, what decides it, text.
    List {
        /// Only those of this messenger.
        #[arg(value_name = "MESSENGER")]
        messenger: Option<String>,
        /// Language of the texts.
        #[arg(long, default_value = "en", value_parser = ["en", "de"])]
        lang: String,
    },
    /// Explain one claim: what would support it, what would contradict it, its sources.
    Show {
        /// The claim's id, e.g. signal.servers-in-usa.
        id: String,
        /// Language of the texts.
        #[arg(long, default_value = "en", value_parser = ["en", "de"])]
        lang: String,
    },
    /// Check claim files; every fault is named with file, line and remedy.
    Check {
        /// Claim files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Runs the command.
pub(super) fn run(command: &ClaimsCommand) -> Result<(), Failure> {
    let mut out = inputs::output(None)?;
    match command {
        ClaimsCommand::List { messenger, lang } => list(messenger.as_deref(), &wording(lang)?, &mut out)?,
        ClaimsCommand::Show { id, lang } => show(id, &wording(lang)?, &mut out)?,
        ClaimsCommand::Check { files } => {
            let catalogue = Catalogue::load(files).map_err(|e| Failure::Usage(e.to_string()))?;
            writeln!(out, "{} claims, no faults", catalogue.claims().len())?;
        }
    }
    Ok(out.flush()?)
}

pub(super) fn wording(lang: &str) -> Result<Wording, Failure> {
    let lang: Lang = lang.parse().map_err(|e: UnknownLang| Failure::Usage(e.to_string()))?;
    Ok(Wording::new(lang))
}

fn embedded() -> Result<Catalogue, Failure> {
    Catalogue::embedded().map_err(|e| Failure::Environment(e.to_string()))
}

fn list(messenger: Option<&str>, wording: &Wording, out: &mut dyn Write) -> Result<(), Failure> {
    let catalogue = embedded()?;
    let chosen: Vec<&Claim> =
        catalogue.claims().iter().filter(|c| messenger.is_none_or(|m| c.messenger == m)).collect();
    if chosen.is_empty() {
        let mut known: Vec<&str> = catalogue.claims().iter().map(|c| c.messenger.as_str()).collect();
        known.dedup();
        return Err(Failure::Usage(format!(
            "no claims of {:?}; known: {}",
            messenger.unwrap_or_default(),
            known.join(", ")
        )));
    }
    let width = chosen.iter().map(|c| c.id.len()).max().unwrap_or_default();
    for claim in chosen {
        let decided = decided(claim);
        writeln!(
            out,
            "{:width$}  {:9}  {decided:11}  {}",
            claim.id,
            criterion(claim),
            wording.pick(&claim.text)
        )?;
    }
    Ok(())
}

fn criterion(claim: &Claim) -> &'static str {
    match claim.criterion {
        crate::model::Criterion::Gdpr => "gdpr",
        crate::model::Criterion::Metadata => "metadata",
        crate::model::Criterion::Threshold => "threshold",
    }
}

fn decided(claim: &Claim) -> &'static str {
    match claim.decided_by {
        DecidedBy::Traffic => "traffic",
        DecidedBy::Documentary => "documentary",
    }
}

fn show(id: &str, wording: &Wording, out: &mut dyn Write) -> Result<(), Failure> {
    let catalogue = embedded()?;
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
    line("show-criterion", criterion(claim))?;
    line("show-decided-by", decided(claim))?;
    line("show-section", &claim.section)?;
    for (key, predicate) in [
        ("show-supports", &claim.supports),
        ("show-contradicts", &claim.contradicts),
        ("show-shows", &claim.shows),
    ] {
        if let Some(predicate) = predicate {
            line(key, &in_words(predicate))?;
        }
    }
    line("show-steps", &claim.steps.join(", "))?;
    line(
        "show-vantage",
        &claim.vantage.iter().map(|v| format!("{v:?}").to_lowercase()).collect::<Vec<_>>().join(", "),
    )?;
    line("show-control", &claim.control)?;
    line("show-undecided", wording.pick(&claim.undecided))?;
    line("show-note", wording.pick(&claim.note))?;
    line("show-superseded", wording.pick(&claim.superseded))?;
    for source in &claim.sources {
        line("show-source", &source.to_string())?;
    }
    Ok(())
}

/// A predicate as it is written, read aloud: the language's own words in both languages of the program.
fn in_words(predicate: &Predicate) -> String {
    let join = |parts: &[Predicate], word: &str| {
        let parts: Vec<String> = parts.iter().map(in_words).collect();
        format!("({})", parts.join(word))
    };
    match predicate {
        Predicate::AllOf(parts) => join(parts, " and "),
        Predicate::AnyOf(parts) => join(parts, " or "),
        Predicate::Not(inner) => format!("not {}", in_words(inner)),
        Predicate::Leaf(leaf) => leaf_in_words(leaf),
    }
}

fn leaf_in_words(leaf: &Leaf) -> String {
    let subject = match leaf.subject {
        Subject::Flows => "flows",
        Subject::Destinations => "destinations",
        Subject::Findings => "findings",
        Subject::Names => "names",
    };
    let quantifier = match leaf.quantifier {
        Quantifier::Any => "any".to_owned(),
        Quantifier::All => "all".to_owned(),
        Quantifier::None => "no".to_owned(),
        Quantifier::Count(n) => format!("{n} or more"),
        Quantifier::Share(x) => format!("a share of {x} or more of the"),
    };
    let of = conditions(&leaf.of);
    let of = if of.is_empty() { String::new() } else { format!(" of [{of}]") };
    let what = conditions(&leaf.conditions);
    let what = if what.is_empty() { String::new() } else { format!(" with {what}") };
    format!("{quantifier} {subject}{of}{what}")
}

fn conditions(conditions: &Conditions) -> String {
    let parts: Vec<String> = conditions
        .iter()
        .map(|(name, value)| match value {
            Value::Words(list) => format!("{name} {}", list.join("|")),
            Value::Numbers(list) => {
                format!("{name} {}", list.iter().map(u64::to_string).collect::<Vec<_>>().join("|"))
            }
            Value::Limit(n) => format!("{name} {n}"),
            Value::Flag(flag) => format!("{name} {flag}"),
            Value::Of(inner) => format!("{name} [{}]", self::conditions(inner)),
        })
        .collect();
    parts.join(", ")
}
