//! Inputs and outputs that several commands share: canaries, threads, names of captures, where results go.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::{Common, Failure};
use crate::claims::{self, Catalogue};
use crate::dissect::secrets::KeyLogFaults;
use crate::dissect::{EchConfigs, Options, Secrets};
use crate::payload::{CanaryFile, CanarySet, Keys};

/// What is searched for: canaries by name, and the keys that digests are made with.
#[derive(Clone, Debug)]
pub(super) struct Planted {
    pub(super) canaries: Vec<(String, String)>,
    pub(super) keys: Keys,
}

impl Default for Planted {
    fn default() -> Planted {
        Planted { canaries: Vec::new(), keys: Keys::embedded() }
    }
}

/// The day, for how old reference data is. That is said where a person reads it and is no part of any report, which would
/// differ from day to day.
pub(super) fn today() -> jiff::civil::Date {
    jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date()
}

/// Says on standard error which sources of the reference data are older than 12 months.
pub(super) fn warn_of_age(db: &crate::destination::ReferenceDb, quiet: bool) {
    if let Some(what) = super::db::age_warning(db, today()).filter(|_| !quiet) {
        anstream::eprintln!("metaleak: warning: {what}");
    }
}

/// Most bytes of words that are read from standard input.
const MOST_WORDS: u64 = 16 << 20;

/// Arguments, with the words of standard input in the place of a `-`.
pub(super) fn words(arguments: &[String]) -> Result<Vec<String>, Failure> {
    use std::io::Read as _;
    let mut all = Vec::new();
    for argument in arguments {
        if argument != "-" {
            all.push(argument.clone());
            continue;
        }
        let mut text = String::new();
        let read = std::io::stdin().lock().take(MOST_WORDS + 1).read_to_string(&mut text);
        read.map_err(|e| Failure::Unreadable(format!("standard input: cannot read: {e}")))?;
        if text.len() as u64 > MOST_WORDS {
            let limit = MOST_WORDS >> 20;
            return Err(Failure::Usage(format!(
                "standard input: more than {limit} MiB; give fewer at a time"
            )));
        }
        all.extend(text.split_whitespace().map(str::to_owned));
    }
    Ok(all)
}

/// The canaries of `--canary` and `--canary-file`, in this order.
pub(super) fn planted(common: &Common) -> Result<Planted, Failure> {
    let mut planted = Planted { canaries: canaries(&common.canaries)?, ..Planted::default() };
    for path in &common.canary_files {
        let file = CanaryFile::open(path).map_err(|e| Failure::Usage(e.to_string()))?;
        planted.canaries.extend(file.canaries);
        planted.keys = planted.keys.with(file.keys);
    }
    Ok(planted)
}

/// `NAME=VALUE` arguments as pairs.
pub(super) fn canaries(arguments: &[String]) -> Result<Vec<(String, String)>, Failure> {
    arguments
        .iter()
        .map(|a| match a.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Failure::Usage("--canary wants NAME=VALUE, e.g. --canary number=+4915112345678".into())),
        })
        .collect()
}

/// The secrets of all `--keylog` arguments. A file is read to its end before any capture, and so is standard input, unless a
/// capture comes from a pipe as well: then both are read at the same time, and a secret counts from when it came.
pub(super) fn secrets(
    keylogs: &[PathBuf],
    captures: &[PathBuf],
    quiet: bool,
) -> Result<Arc<Secrets>, Failure> {
    let secrets = Arc::new(Secrets::default());
    let stdin = |path: &PathBuf| path == Path::new("-");
    if keylogs.iter().any(stdin) && captures.iter().any(stdin) {
        return Err(Failure::Usage("standard input cannot be both the capture and the key log".into()));
    }
    let piped = |path: &PathBuf| !std::fs::metadata(path).is_ok_and(|m| m.is_file());
    for path in keylogs {
        if stdin(path) && captures.iter().any(piped) {
            let secrets = Arc::clone(&secrets);
            std::thread::spawn(move || {
                let read = secrets.read(std::io::stdin().lock());
                warn_of_keys(Path::new("-"), &read, quiet);
            });
            continue;
        }
        let read = if stdin(path) {
            secrets.read(std::io::stdin().lock())
        } else {
            File::open(path).and_then(|file| secrets.read(BufReader::new(file)))
        };
        if read.is_ok() {
            warn_of_keys(path, &read, quiet);
        }
        read.map_err(|e| Failure::Unreadable(format!("{path:?}: cannot read the key log: {e}")))?;
    }
    Ok(secrets)
}

fn warn_of_keys(path: &Path, read: &std::io::Result<KeyLogFaults>, quiet: bool) {
    let what = match read {
        Ok(faults) => faults.text(),
        Err(e) => Some(format!("cannot read the key log: {e}")),
    };
    if let (Some(what), false) = (what, quiet) {
        anstream::eprintln!("metaleak: warning: {path:?}: {what}");
    }
}

/// Refuses an `--app` of which no claim could speak, and notes one that no file speaks of: it may be a slip of the pen.
pub(super) fn check_app(app: &str, catalogue: &Catalogue, quiet: bool) -> Result<(), Failure> {
    if catalogue.speaks_of(app) {
        return Ok(());
    }
    let what = without_file(app, catalogue);
    if catalogue.common().is_empty() || !claims::is_messenger(app) {
        return Err(Failure::Usage(format!("--app: {what}")));
    }
    if !quiet {
        anstream::eprintln!("metaleak: warning: --app: {what}");
    }
    Ok(())
}

/// What is said of a messenger that no claim file speaks of.
pub(super) fn without_file(messenger: &str, catalogue: &Catalogue) -> String {
    let known = catalogue.messengers().join(", ");
    if !claims::is_messenger(messenger) {
        return format!(
            "{messenger:?} is no messenger's id: write lower-case letters, digits and hyphens; known: {known}"
        );
    }
    let judged = match catalogue.common().len() {
        0 => "nothing is judged of it".to_owned(),
        n => format!("it is judged by the {n} claims for every messenger"),
    };
    format!("no claim file speaks of the messenger {messenger:?}: {judged}; known: {known}")
}

/// Options of an analysis with these canaries.
pub(super) fn options(
    common: &Common,
    planted: &Planted,
    secrets: &Arc<Secrets>,
    observe: bool,
) -> Result<Options, Failure> {
    let set = on_threads(common, || CanarySet::with_keys(&planted.canaries, planted.keys.clone()))?
        .map_err(|e| Failure::Usage(e.to_string()))?;
    let parallel = common.threads != Some(1);
    Ok(Options {
        observe,
        canaries: Arc::new(set),
        rules: Arc::default(),
        show_secrets: common.show_secrets,
        secrets: Arc::clone(secrets),
        ech: EchConfigs::default(),
        steps: Arc::default(),
        parallel,
        // Observations and the ledger carry neither.
        lean: true,
    })
}

/// More threads than this only wait for each other.
const MOST_THREADS: usize = 512;

/// Runs `work` on as many threads as asked for: always the same ones, which live as long as the process.
pub(super) fn on_threads<T: Send>(common: &Common, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    static POOL: OnceLock<(usize, rayon::ThreadPool)> = OnceLock::new();
    let threads = match common.threads {
        Some(threads) if !(1..=MOST_THREADS).contains(&threads) => {
            return Err(Failure::Usage(format!("--threads wants a number from 1 to {MOST_THREADS}")));
        }
        threads => threads.unwrap_or(0),
    };
    let start = || {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| Failure::Environment(format!("cannot start threads: {e}")))
    };
    if POOL.get().is_none() {
        // Nobody else can have come between: the command line has one thread.
        let _ = POOL.set((threads, start()?));
    }
    match POOL.get() {
        Some((number, pool)) if *number == threads => Ok(pool.install(work)),
        _ => Ok(start()?.install(work)),
    }
}

/// What the report calls each file: its name, with as many parent folders as tell equal names apart.
pub(super) fn names(paths: &[PathBuf]) -> Vec<String> {
    let tail = |path: &Path, parts: usize| {
        let all: Vec<String> = path.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        all.get(all.len().saturating_sub(parts)..).unwrap_or_default().join("/")
    };
    let mut names: Vec<String> = paths.iter().map(|p| tail(p, 1)).collect();
    for parts in 2..16 {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for name in &names {
            *count.entry(name.clone()).or_default() += 1;
        }
        if count.values().all(|n| *n == 1) {
            break;
        }
        for (name, path) in names.iter_mut().zip(paths) {
            if count.get(name).is_some_and(|n| *n > 1) {
                *name = tail(path, parts);
            }
        }
    }
    names
}

/// Standard output or the file of `-o`, buffered.
pub(super) fn output(path: Option<&Path>) -> Result<Box<dyn Write + Send>, Failure> {
    Ok(match path {
        None => Box::new(BufWriter::with_capacity(1 << 16, std::io::stdout())),
        Some(p) if p == Path::new("-") => Box::new(BufWriter::with_capacity(1 << 16, std::io::stdout())),
        Some(p) => {
            let file =
                File::create(p).map_err(|e| Failure::Environment(format!("{p:?}: cannot write: {e}")))?;
            Box::new(BufWriter::with_capacity(1 << 16, file))
        }
    })
}

/// Width of the terminal that standard output is, and whether colour is welcome there (`NO_COLOR` respected).
pub(super) fn terminal() -> (Option<usize>, bool) {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() {
        return (None, false);
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let width = columns.or_else(|| terminal_size::terminal_size().map(|(w, _)| usize::from(w.0)));
    let colour = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    (Some(width.unwrap_or(100)), colour)
}
