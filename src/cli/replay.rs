//! `metaleak replay` and `metaleak study`: from captures to a report.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Common, Failure, Loudness, inputs};
use crate::claims::{Catalogue, Criteria};
use crate::destination::{Outlines, ReferenceDb};
use crate::dissect::EchConfigs;
use crate::model::{Report, Severity, Vantage, Verdict, Warning, Whereabouts};
use crate::payload::Rules;
use crate::pipeline::{self, Capture, Settings};
use crate::report::{self, Lang, ReportError, Wording};

/// Arguments of both commands.
#[derive(Clone, Debug, Args)]
pub(super) struct Judging {
    #[command(flatten)]
    pub(super) common: Common,
    /// Messenger that the captures are of, where no run.json says it.
    #[arg(long, value_name = "MESSENGER")]
    pub(super) app: Option<String>,
    /// Where the captures were taken, where no run.json says it: router, vpn, device or server; a place (DE, or 47.37,8.54: degrees north
    /// and east), which alone means a router there; or both, router@DE.
    #[arg(long, value_name = "WHERE", value_parser = vantage, allow_hyphen_values = true)]
    pub(super) vantage: Option<VantageArg>,
    /// A claim file to judge instead of the built-in catalogue; may be repeated.
    #[arg(long, value_name = "FILE")]
    claims: Vec<PathBuf>,
    /// A file of rules for findings in readable bytes, which come before the built-in ones, take their place or switch them off
    /// (docs/payload.md); may be repeated.
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Criteria with weights, and conclusions, to compare the messengers by: a TOML file (docs/claims-language.md).
    #[arg(long, value_name = "FILE")]
    criteria: Option<PathBuf>,
    /// Reference data to use instead of the built-in table.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Plant so many leaks into a copy of each capture in memory and say what share the search finds; verdicts that rest on silence
    /// carry it, or become inconclusive: control-failed.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=i64::from(crate::controls::MAX_CONTROLS)))]
    controls: u32,
    /// Language of tables and pages.
    #[arg(long, value_name = "LANG", default_value = "en", value_parser = ["en", "de"])]
    pub(super) lang: String,
    /// Exit 1 when a claim got this verdict (e.g. contradicted) or a finding is at least this severe (e.g. high); may be repeated.
    #[arg(long, value_name = "VERDICT|SEVERITY")]
    pub(super) fail_on: Vec<String>,
}

/// Where captures were taken: how, in which place, or both.
#[derive(Clone, Debug, Default)]
pub(super) struct VantageArg {
    pub(super) how: Option<Vantage>,
    pub(super) place: Option<Whereabouts>,
}

/// Reads `router`, `DE`, `47.37,8.54` or `router@DE`.
pub(super) fn vantage(text: &str) -> Result<VantageArg, String> {
    let how = |text: &str| match text {
        "router" => Some(Vantage::Router),
        "vpn" => Some(Vantage::Vpn),
        "device" => Some(Vantage::Device),
        "server" => Some(Vantage::Server),
        _ => None,
    };
    if let Some(how) = how(text) {
        return Ok(VantageArg { how: Some(how), place: None });
    }
    let (before, place) = text.split_once('@').map_or((None, text), |(how, place)| (Some(how), place));
    let wrong = || {
        "use router, vpn, device or server, a place (DE, or degrees north and east: 47.37,8.54), or both: router@DE"
            .to_owned()
    };
    let how = match before {
        None => None,
        Some(before) => Some(how(before).ok_or_else(wrong)?),
    };
    let place: Whereabouts = place.parse().map_err(|_| wrong())?;
    match &place {
        Whereabouts::Country(code) if !Outlines::embedded().has(code) => {
            Err(format!("no outline of a country {code} is known: give a point as degrees north and east"))
        }
        _ => Ok(VantageArg { how, place: Some(place) }),
    }
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Captures (pcap, pcapng, .gz, .zst); `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to write; with several, `-o` names a folder.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: Vec<Format>,
    #[command(flatten)]
    judging: Judging,
}

/// Arguments of `study`.
#[derive(Debug, Args)]
pub(super) struct StudyArgs {
    /// A folder with captures, or captures.
    #[arg(required = true, value_name = "DIR")]
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) judging: Judging,
}

/// What `replay` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Format {
    /// A table of verdicts for the terminal.
    Table,
    /// report.json.
    Json,
    /// One self-contained page.
    Html,
}

/// Runs `replay`.
pub(super) fn replay(args: &ReplayArgs, loud: Loudness) -> Result<(), Failure> {
    let wording = wording(&args.judging.lang)?;
    // A table shows neither digests nor densities; planted controls are seeded with digests.
    let lean = args.judging.controls == 0 && args.format.iter().all(|f| *f == Format::Table);
    let judged = judge(&args.files, &args.judging, lean, loud)?;
    let mut formats = args.format.clone();
    formats.dedup();
    let target = args.judging.common.output.as_deref();
    if let [format] = formats[..] {
        let mut out = inputs::output(target)?;
        write(&judged.report, format, &wording, target.is_none(), &mut out)?;
        out.flush()?;
    } else {
        let folder = target.filter(|t| *t != Path::new("-")).ok_or_else(|| {
            Failure::Usage("several formats want -o FOLDER, into which report.json and the others go".into())
        })?;
        make_folder(folder)?;
        for format in formats {
            let name = match format {
                Format::Table => "report.txt",
                Format::Json => "report.json",
                Format::Html => "report.html",
            };
            let mut out = inputs::output(Some(&folder.join(name)))?;
            write(&judged.report, format, &wording, false, &mut out)?;
            out.flush()?;
        }
    }
    let ended = judged.end(&args.judging);
    // The process ends here: to free a large report piece by piece would be its slowest step.
    std::mem::forget(judged);
    ended
}

/// Runs `study`.
pub(super) fn study(args: &StudyArgs, loud: Loudness) -> Result<(), Failure> {
    let wording = wording(&args.judging.lang)?;
    if args.judging.common.output.as_deref() == Some(Path::new("-")) {
        let what = "study writes several files: -o wants a folder; `metaleak replay --format json -o -` writes to standard output";
        return Err(Failure::Usage(what.into()));
    }
    let (mut files, mut passed_over) = (Vec::new(), 0);
    let warn = |path: &Path, what: &str| {
        if !loud.quiet {
            let path = report::escape_terminal(&path.to_string_lossy()).into_owned();
            anstream::eprintln!("metaleak: warning: {path}: {what}");
        }
    };
    for path in &args.paths {
        if path.is_dir() {
            let found = pipeline::captures_in(path)
                .map_err(|e| Failure::Unreadable(format!("{path:?}: cannot read the folder: {e}")))?;
            for (folder, why) in &found.unread {
                warn(folder, &format!("cannot read the folder: {why}"));
            }
            if found.captures.is_empty() {
                warn(path, "no captures there: nothing ends in .pcap, .pcapng or .cap");
            }
            passed_over += found.unread.len() + usize::from(found.captures.is_empty());
            files.extend(found.captures);
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        return Err(Failure::Unreadable("no captures there: nothing ends in .pcap, .pcapng or .cap".into()));
    }
    let mut judged = judge(&files, &args.judging, false, loud)?;
    judged.unread += passed_over;
    let folder = match &args.judging.common.output {
        Some(folder) => folder.clone(),
        None => Path::new("reports").join(study_name(&args.paths)),
    };
    make_folder(&folder)?;
    let mut json = inputs::output(Some(&folder.join("report.json")))?;
    write(&judged.report, Format::Json, &wording, false, &mut json)?;
    json.flush()?;
    let charts = report::charts(&judged.report, &wording).map_err(unwritten)?;
    for chart in &charts {
        let path = folder.join(&chart.file_name);
        std::fs::write(&path, &chart.svg)
            .map_err(|e| Failure::Environment(format!("{path:?}: cannot write: {e}")))?;
    }
    let page = folder.join("report.html");
    let html = report::html(&judged.report, &wording, &charts).map_err(unwritten)?;
    std::fs::write(&page, html).map_err(|e| Failure::Environment(format!("{page:?}: cannot write: {e}")))?;
    let mut out = inputs::output(None)?;
    write(&judged.report, Format::Table, &wording, true, &mut out)?;
    writeln!(out, "\n{}: {}", wording.text("study-page"), report::escape_terminal(&page.to_string_lossy()))?;
    out.flush()?;
    let ended = judged.end(&args.judging);
    // The process ends here: to free a large report piece by piece would be its slowest step.
    std::mem::forget(judged);
    ended
}

/// A report with what its making came across.
struct Judged {
    report: Report,
    unread: usize,
}

impl Judged {
    /// Exit codes for `--strict` and `--fail-on`.
    fn end(&self, args: &Judging) -> Result<(), Failure> {
        let truncated = self.report.inputs.iter().filter(|i| i.truncated).count();
        if args.common.strict && self.unread + truncated > 0 {
            let what = format!("{} inputs unreadable, {truncated} truncated", self.unread);
            return Err(Failure::Unreadable(what));
        }
        for limit in &args.fail_on {
            match fail_limit(limit)? {
                Limit::Verdict(v) => {
                    if let Some(claim) = self.report.claims.iter().find(|c| c.verdict == v) {
                        return Err(Failure::Judged(format!("{} is {v}", claim.id)));
                    }
                }
                Limit::Severity(s) => {
                    if let Some(f) = self.report.findings.iter().find(|f| f.severity >= s) {
                        let what = report::escape_terminal(&f.what).into_owned();
                        return Err(Failure::Judged(format!("finding {}: {what}", f.id)));
                    }
                }
            }
        }
        Ok(())
    }
}

enum Limit {
    Verdict(Verdict),
    Severity(Severity),
}

fn fail_limit(text: &str) -> Result<Limit, Failure> {
    let value = serde_json::Value::String(text.to_owned());
    if let Ok(v) = serde_json::from_value(value.clone()) {
        return Ok(Limit::Verdict(v));
    }
    serde_json::from_value(value).map(Limit::Severity).map_err(|_| {
        Failure::Usage(format!(
            "--fail-on {text:?} is neither a verdict (supported, contradicted, not-contradicted, inconclusive, documentary) nor a severity (info, low, medium, high, critical)"
        ))
    })
}

/// The reference data that addresses are judged with.
enum Known {
    Embedded(&'static ReferenceDb),
    Opened(Box<ReferenceDb>),
}

fn judge(files: &[PathBuf], args: &Judging, lean: bool, loud: Loudness) -> Result<Judged, Failure> {
    let quiet = loud.quiet;
    for limit in &args.fail_on {
        fail_limit(limit)?;
    }
    let read = || {
        if args.claims.is_empty() { Catalogue::embedded() } else { Catalogue::load(&args.claims) }
    };
    let open = || match &args.db {
        Some(path) => ReferenceDb::open(path)
            .map(|db| Known::Opened(Box::new(db)))
            .map_err(|e| Failure::Unreadable(e.to_string())),
        None => ReferenceDb::embedded().map(Known::Embedded).map_err(|e| Failure::Environment(e.to_string())),
    };
    let rules = || {
        if args.rules.is_empty() {
            Ok(Rules::embedded())
        } else {
            Rules::with_files(&args.rules).map(std::sync::Arc::new)
        }
    };
    let prepare = || rayon::join(read, || rayon::join(open, rules));
    let (catalogue, (db, rules)) = inputs::on_threads(&args.common, prepare)?;
    let catalogue = catalogue.map_err(|e| Failure::Usage(e.to_string()))?;
    let criteria = match &args.criteria {
        Some(path) => Criteria::load(path, &catalogue),
        None => Criteria::embedded(),
    };
    let criteria = criteria.map_err(|e| Failure::Usage(e.to_string()))?;
    if let Some(app) = args.app.as_deref() {
        inputs::check_app(app, &catalogue, quiet)?;
    }
    let db = db?;
    let db = match &db {
        Known::Opened(db) => db.as_ref(),
        Known::Embedded(db) => *db,
    };
    inputs::warn_of_age(db, quiet);
    let secrets = inputs::secrets(&args.common.keylogs, files, quiet)?;
    // A file given twice is read once, and the order on the command line changes nothing.
    let mut files = files.to_vec();
    files.sort();
    files.dedup();
    let mut captures: Vec<Capture> =
        inputs::names(&files).into_iter().zip(files).map(|(name, path)| Capture { path, name }).collect();
    captures.sort_by(|a, b| a.name.cmp(&b.name));
    let planted = inputs::planted(&args.common)?;
    let rules = rules.map_err(|e| Failure::Usage(e.to_string()))?;
    let settings = Settings {
        rules: Some(rules),
        canaries: planted.canaries.clone(),
        keys: planted.keys.clone(),
        // A canary that is refused is a mistake of the command line, not of a capture.
        search: Some(inputs::options(&args.common, &planted, &secrets, false)?.canaries),
        show_secrets: args.common.show_secrets,
        secrets,
        ech: EchConfigs::default(),
        parallel: args.common.threads != Some(1),
        app: args.app.clone(),
        vantage: args.vantage.as_ref().and_then(|v| v.how),
        place: args.vantage.as_ref().and_then(|v| v.place.clone()),
        lean,
    };
    let bar = progress(captures.len(), quiet);
    let results =
        inputs::on_threads(&args.common, || pipeline::analyse_all(&captures, &settings, &|_| bar.inc(1)))?;
    bar.finish_and_clear();
    let (mut analyses, mut unread, mut first) = (Vec::new(), 0, None);
    for result in results {
        match result {
            Ok(one) => analyses.push(one),
            Err(e) => {
                unread += 1;
                if !quiet {
                    anstream::eprintln!("metaleak: warning: {}", report::escape_terminal(&e.to_string()));
                }
                first.get_or_insert(e);
            }
        }
    }
    if analyses.is_empty() {
        // Without warnings the error has to name the file itself.
        let why = first.filter(|_| quiet).map(|e| format!(": {e}")).unwrap_or_default();
        let more = if quiet && unread > 1 { format!(" (and {} more)", unread - 1) } else { String::new() };
        return Err(Failure::Unreadable(format!("no input could be read{why}{more}")));
    }
    if !quiet {
        warn_of_faults(&analyses, loud.verbose);
        for analysis in &analyses {
            let named = analysis.input.run.as_ref().and_then(|r| r.messenger.as_deref());
            // What was said of --app need not be said again of each capture.
            let new = |m: &&str| !catalogue.speaks_of(m) && args.app.as_deref() != Some(*m);
            if let Some(messenger) = named.filter(new) {
                anstream::eprintln!(
                    "metaleak: warning: {}: {}",
                    report::escape_terminal(&analysis.input.file),
                    inputs::without_file(messenger, &catalogue)
                );
            }
        }
    }
    let planted = if args.controls == 0 {
        std::collections::BTreeMap::new()
    } else {
        let work = || pipeline::plant(&captures, &analyses, args.controls, &settings, db);
        inputs::on_threads(&args.common, work)?
    };
    let judge = || pipeline::report(analyses, db, &catalogue, &planted, &criteria);
    let mut report = inputs::on_threads(&args.common, judge)?;
    report.controls = args.controls;
    Ok(Judged { report, unread })
}

/// Faults of files, and link types that cannot be read, go to standard error; those of the traffic are in the report, and
/// told here with `-vv`. With `-v` each capture gets a line.
pub(super) fn warn_of_faults(analyses: &[crate::dissect::CaptureAnalysis], verbose: u8) {
    for analysis in analyses {
        let file = report::escape_terminal(&analysis.input.file);
        for fault in &analysis.file.faults {
            anstream::eprintln!(
                "metaleak: warning: {file}: byte {}, after frame {}: {}",
                fault.offset,
                fault.after_frame,
                report::escape_terminal(&fault.what)
            );
        }
        let of_file =
            |w: &Warning| analysis.file.faults.iter().any(|f| f.offset == w.offset && f.what == w.what);
        for warning in analysis.warnings.iter().filter(|w| !of_file(w)) {
            if verbose >= 2 || warning.what.starts_with("link type ") {
                let frame = warning.frame.map(|f| format!(", frame {f}")).unwrap_or_default();
                let what = report::escape_terminal(&warning.what);
                anstream::eprintln!("metaleak: warning: {file}: byte {}{frame}: {what}", warning.offset);
            }
        }
        if verbose >= 1 {
            anstream::eprintln!(
                "metaleak: {file}: {} frames, {} flows, {} findings, {} warnings",
                analysis.input.frames,
                analysis.flows.len(),
                analysis.findings.len(),
                analysis.warnings.len()
            );
        }
    }
}

fn progress(captures: usize, quiet: bool) -> ProgressBar {
    if quiet || captures < 2 || !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed}");
    let bar = ProgressBar::new(captures as u64);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn wording(lang: &str) -> Result<Wording, Failure> {
    let lang: Lang = lang.parse().map_err(|e: report::UnknownLang| Failure::Usage(e.to_string()))?;
    Ok(Wording::new(lang))
}

fn write(
    report: &Report,
    format: Format,
    wording: &Wording,
    terminal: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match format {
        Format::Json => report::json(report, out).map_err(unwritten),
        Format::Html => {
            let charts = report::charts(report, wording).map_err(unwritten)?;
            let html = report::html(report, wording, &charts).map_err(unwritten)?;
            Ok(out.write_all(html.as_bytes())?)
        }
        Format::Table => {
            let (width, colour) = if terminal { inputs::terminal() } else { (None, false) };
            Ok(out.write_all(report::table(report, wording, width, colour).as_bytes())?)
        }
    }
}

fn unwritten(e: ReportError) -> Failure {
    match e {
        ReportError::Write(e) => Failure::Write(e),
        other => Failure::Environment(format!(
            "{other}: {}",
            std::error::Error::source(&other).map_or_else(String::new, ToString::to_string)
        )),
    }
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::Environment(format!("{folder:?}: cannot make the folder: {e}")))
}

/// Name of the report's folder: that of the first input's folder or file.
fn study_name(paths: &[PathBuf]) -> String {
    let first = paths.first().map(|p| p.canonicalize().unwrap_or_else(|_| p.clone()));
    let name = first.as_deref().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    name.map_or_else(|| "study".to_owned(), |n| crate::scenario::stem(&n).to_owned())
}
