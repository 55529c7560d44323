//! The command line: parses arguments, calls the library, prints, and maps errors to exit codes (CONTRACT.md).
//!
//! Results go to standard output or `-o`, progress and warnings to standard error. Only this module prints.

pub mod db;
mod dissect;
mod inputs;
mod replay;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Measures what a messenger tells the network, and whom.
#[derive(Debug, Parser)]
#[command(name = "metaleak", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say less: no warnings, no progress.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more; may be repeated.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print one observation a line (JSON Lines), in frame order.
    Dissect(dissect::DissectArgs),
    /// Analyse captures and judge the claims.
    Replay(replay::ReplayArgs),
    /// Replay a folder of captures, write report.html and report.json, print the verdicts.
    Study(replay::StudyArgs),
}

/// Arguments that mean the same in `dissect`, `replay` and `study`.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// A secret to search for, planted by you; may be repeated.
    #[arg(long = "canary", value_name = "NAME=VALUE")]
    canaries: Vec<String>,
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

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Dissect(args) => dissect::run(args, cli.quiet),
        Command::Replay(args) => replay::replay(args, cli.quiet),
        Command::Study(args) => replay::study(args, cli.quiet),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Write(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            anstream::eprintln!("metaleak: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
