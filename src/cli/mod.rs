//! The command line: parses arguments, calls the library, prints, and maps errors to exit codes (CONTRACT.md).
//!
//! Results go to standard output or `-o`, progress and warnings to standard error. Only this module prints.

mod bundle;
mod capture;
mod claim_words;
mod claims;
mod coverage;
pub mod db;
mod dissect;
mod doctor;
mod find;
mod inputs;
mod replay;
mod run;
mod scenario;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::report::escape_terminal;

/// Measures what a messenger tells the network, and whom.
#[derive(Debug, Parser)]
#[command(name = "metaleak", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say less: no warnings, no progress.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more: a line for each capture; twice: every warning of the traffic too.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// How much goes to standard error.
#[derive(Clone, Copy, Debug)]
struct Loudness {
    quiet: bool,
    verbose: u8,
}

impl Cli {
    fn loudness(&self) -> Loudness {
        Loudness { quiet: self.quiet, verbose: self.verbose }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print one observation a line (JSON Lines), in frame order.
    Dissect(dissect::DissectArgs),
    /// Analyse captures and judge the claims.
    Replay(replay::ReplayArgs),
    /// Replay a folder of captures, write report.html and report.json, print the verdicts.
    Study(replay::StudyArgs),
    /// Record from an interface into a pcapng file, with the times of steps.
    Capture(capture::CaptureArgs),
    /// Do a scenario on a device, trial by trial, with a capture of each; then study what was recorded.
    Run(Box<run::RunArgs>),
    /// Show into which class each byte of a capture falls: read, encrypted by which protocol, opaque, lost.
    Coverage(coverage::CoverageArgs),
    /// Print every place in captures at which a value occurs, in any chain of encodings and hashes.
    Find(find::FindArgs),
    /// List, explain and check claims.
    Claims {
        #[command(subcommand)]
        command: claims::ClaimsCommand,
    },
    /// List, explain and check scenarios: what is done on a device while a capture runs.
    Scenario {
        #[command(subcommand)]
        command: scenario::ScenarioCommand,
    },
    /// Show, build and query the reference data.
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Put a report and all that it rests on into one sealed archive, signed if you like.
    Bundle(bundle::BundleArgs),
    /// Check a bundle: hashes, chain, seal, signature; then derive every verdict anew. `--fail-on difference`: exit 1 when anything differs.
    Verify(bundle::VerifyArgs),
    /// Say what is installed, what is missing, and what each part is for.
    Doctor,
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff).
    Man,
}

/// What to do with the reference data.
#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Sources, dates, licences and sizes.
    Info {
        /// How to print.
        #[arg(long, value_enum, default_value = "table")]
        format: TableOrJson,
        /// A table other than the built-in one.
        #[arg(long, value_name = "FILE")]
        db: Option<std::path::PathBuf>,
        /// Where to write; `-` is standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<std::path::PathBuf>,
    },
    /// Build the table from the raw files that `reference/SOURCES.toml` names.
    Build {
        /// Folder with the raw files (`reference/fetch.sh` gets them).
        #[arg(long, value_name = "DIR")]
        from: std::path::PathBuf,
        /// Where to write the table; `-` is standard output.
        #[arg(short, long, value_name = "FILE")]
        output: std::path::PathBuf,
        /// Another SOURCES.toml.
        #[arg(long, value_name = "FILE")]
        sources: Option<std::path::PathBuf>,
    },
    /// Lay a file of your own over the table, as one source more: mmdb (MaxMind, IPinfo, DB-IP), tor's geoip, IPtoASN tsv,
    /// ASN csv or Amazon's ip-ranges.json.
    Import {
        /// The file; several when they are one source (IPv4 and IPv6, say). `-` is standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<std::path::PathBuf>,
        /// Name of the source in reports: lower-case letters, digits, hyphens.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// Date of the data, YYYY-MM-DD, where the file has none.
        #[arg(long, value_name = "DATE")]
        as_of: Option<String>,
        /// Its licence, for the list of sources.
        #[arg(long, value_name = "TEXT", default_value = "LicenseRef-imported")]
        licence: String,
        /// Where to write the table, for --db; NAME.db when left out, `-` is standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<std::path::PathBuf>,
        /// The table below, when it is not the built-in one.
        #[arg(long, value_name = "FILE")]
        db: Option<std::path::PathBuf>,
    },
    /// Say what is known of addresses.
    Lookup {
        /// IPv4 or IPv6 addresses; `-` reads them from standard input, with spaces or line breaks between.
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
        /// How to print.
        #[arg(long, value_enum, default_value = "table")]
        format: TableOrJson,
        /// en or de, for the table.
        #[arg(long, default_value = "en", value_parser = ["en", "de"])]
        lang: String,
        /// A table other than the built-in one.
        #[arg(long, value_name = "FILE")]
        db: Option<std::path::PathBuf>,
        /// Where to write; `-` is standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<std::path::PathBuf>,
    },
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TableOrJson {
    /// A table.
    Table,
    /// JSON.
    Json,
}

impl From<TableOrJson> for db::DbFormat {
    fn from(format: TableOrJson) -> db::DbFormat {
        match format {
            TableOrJson::Table => db::DbFormat::Table,
            TableOrJson::Json => db::DbFormat::Json,
        }
    }
}

/// Arguments that mean the same in `dissect`, `replay` and `study`.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// A secret to search for, planted by you; may be repeated.
    #[arg(long = "canary", value_name = "NAME=VALUE")]
    canaries: Vec<String>,
    /// A file with more of them, and with keys of hashes: TOML ([canaries] name = "value"), or CSV (name,value); may be repeated.
    #[arg(long = "canary-file", value_name = "FILE")]
    canary_files: Vec<std::path::PathBuf>,
    /// A key log (NSS format, as SSLKEYLOGFILE makes it) to decrypt with; `-` is standard input; may be repeated.
    #[arg(long = "keylog", value_name = "FILE")]
    keylogs: Vec<std::path::PathBuf>,
    /// Threads to use; the result does not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Do not mask secrets and personal identifiers.
    #[arg(long)]
    show_secrets: bool,
    /// Fail (exit 3) when an input is unreadable or truncated.
    #[arg(long)]
    strict: bool,
    /// Where to write; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
}

/// How a command ended, beside success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit 1: `--fail-on` or `compare` says so.
    #[error("{0}")]
    Judged(String),
    /// Exit 2: the arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// Exit 3: nothing could be read.
    #[error("{0}")]
    Unreadable(String),
    /// Exit 4: a part of the environment is missing.
    #[error("{0}")]
    Environment(String),
    /// Writing failed. A closed pipe is no failure.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Judged(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Unreadable(_) => 3,
            Failure::Environment(_) | Failure::Write(_) => 4,
        }
    }
}

/// The command line as `clap` knows it; completions, the manual page and the check of the documentation are made from it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are errors to the parser, and fail as every output does where they cannot be written.
        Err(said) => {
            let printed = said.print();
            return match printed {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::from(4),
                _ => ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(2)),
            };
        }
    };
    let done = match &cli.command {
        Command::Dissect(args) => dissect::run(args, cli.quiet),
        Command::Replay(args) => replay::replay(args, cli.loudness()),
        Command::Study(args) => replay::study(args, cli.loudness()),
        Command::Capture(args) => capture::run(args, cli.loudness()),
        Command::Run(args) => run::run(args, cli.loudness()),
        Command::Coverage(args) => coverage::run(args, cli.quiet),
        Command::Find(args) => find::run(args, cli.quiet),
        Command::Claims { command } => claims::run(command),
        Command::Scenario { command } => scenario::run(command),
        Command::Db { command } => reference(command, cli.quiet),
        Command::Bundle(args) => bundle::make(args, cli.quiet),
        Command::Verify(args) => bundle::check(args),
        Command::Doctor => doctor::run(),
        Command::Completions { shell } => completions(*shell),
        Command::Man => man(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Write(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // Messages quote files; those on claims have a line each.
            let lines: Vec<_> =
                failure.to_string().split('\n').map(|l| escape_terminal(l).into_owned()).collect();
            anstream::eprintln!("metaleak: {}", lines.join("\n"));
            ExitCode::from(failure.code())
        }
    }
}

fn reference(command: &DbCommand, quiet: bool) -> Result<(), Failure> {
    use crate::destination::ReferenceError;
    // Where the table itself goes to standard output, what is said of it goes beside.
    let said = |table: Option<&std::path::Path>| -> Result<Box<dyn Write>, Failure> {
        match table {
            Some(path) if path == std::path::Path::new("-") => Ok(Box::new(std::io::stderr())),
            _ => Ok(inputs::output(None)?),
        }
    };
    let mut out = said(None)?;
    // Made first and written then, so that a fault leaves a file as it was.
    let mut text = Vec::new();
    let mut to = None;
    let done = match command {
        DbCommand::Info { format, db, output } => {
            let today = inputs::today();
            to = output.as_deref();
            with_db(db.as_deref(), |t| {
                inputs::warn_of_age(t, quiet);
                db::info(t, today, (*format).into(), &mut text)
            })
        }
        DbCommand::Import { files, name, as_of, licence, output, db } => {
            let args =
                db::ImportArgs { files, name, as_of: as_of.as_deref(), licence, output: output.as_deref() };
            out = said(output.as_deref())?;
            with_db(db.as_deref(), |t| db::import(t, &args, inputs::today(), &mut out))
        }
        DbCommand::Lookup { addresses, format, lang, db, output } => {
            let wording = claims::wording(lang)?;
            let addresses = inputs::words(addresses)?;
            to = output.as_deref();
            with_db(db.as_deref(), |t| {
                inputs::warn_of_age(t, quiet);
                db::lookup(t, &addresses, (*format).into(), &wording, &mut text)
            })
        }
        DbCommand::Build { from, output, sources } => {
            out = said(Some(output))?;
            db::build(from, output, sources.as_deref(), &mut out)
        }
    };
    done.map_err(|e| match e {
        db::DbError::Address { .. }
        | db::DbError::Usage(_)
        | db::DbError::Reference(ReferenceError::Import { .. }) => Failure::Usage(e.to_string()),
        db::DbError::Write(e) => Failure::Write(e),
        db::DbError::Reference(ReferenceError::Write { source, .. })
            if source.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            Failure::Write(source)
        }
        db::DbError::Reference(ReferenceError::Write { .. }) => Failure::Environment(e.to_string()),
        db::DbError::Reference(_) | db::DbError::Json(_) => Failure::Unreadable(e.to_string()),
    })?;
    if !text.is_empty() {
        out = inputs::output(to)?;
        out.write_all(&text)?;
    }
    Ok(out.flush()?)
}

fn with_db(
    path: Option<&std::path::Path>,
    work: impl FnOnce(&crate::destination::ReferenceDb) -> Result<(), db::DbError>,
) -> Result<(), db::DbError> {
    use crate::destination::ReferenceDb;
    match path {
        Some(path) => work(&ReferenceDb::open(path)?),
        None => work(ReferenceDb::embedded()?),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    // Into memory first: the generator does not survive a closed pipe.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "metaleak", &mut text);
    let mut out = inputs::output(None)?;
    out.write_all(&text)?;
    Ok(out.flush()?)
}

/// What the commands end with, for the manual page.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done; also where nothing was found, and where a pipe was closed by its reader."),
    ("1", "A limit of --fail-on is reached; never without it."),
    ("2", "The arguments, a key or a claim file make no sense."),
    ("3", "Nothing could be read; with --strict: an input was unreadable or truncated."),
    ("4", "Something that is needed is missing here, or an output could not be written."),
];

/// One page with all commands: the program's own sections, then one for each command with its synopsis, description and options.
fn man() -> Result<(), Failure> {
    let mut program = command();
    program.build();
    let page = clap_mangen::Man::new(program.clone());
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    man_of_commands(&program, "metaleak", &mut text)?;
    writeln!(text, ".SH \"EXIT STATUS\"")?;
    for (code, meaning) in EXIT_STATUS {
        writeln!(text, ".TP\n\\fB{code}\\fR\n{}", meaning.replace('-', "\\-"))?;
    }
    page.render_version_section(&mut text)?;
    let mut out = inputs::output(None)?;
    out.write_all(&text)?;
    Ok(out.flush()?)
}

fn man_of_commands(parent: &clap::Command, called: &str, out: &mut Vec<u8>) -> Result<(), Failure> {
    for command in parent.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        let called = format!("{called} {}", command.get_name());
        writeln!(out, ".SH \"{}\"", called.to_uppercase())?;
        let page = clap_mangen::Man::new(command.clone());
        let mut sections = Vec::new();
        page.render_synopsis_section(&mut sections)?;
        page.render_description_section(&mut sections)?;
        page.render_options_section(&mut sections)?;
        // Sections of the command are parts of its own section here.
        for line in String::from_utf8_lossy(&sections).lines() {
            match line.strip_prefix(".SH ") {
                Some(title) => writeln!(out, ".SS {title}")?,
                None => writeln!(out, "{line}")?,
            }
        }
        man_of_commands(command, &called, out)?;
    }
    Ok(())
}
