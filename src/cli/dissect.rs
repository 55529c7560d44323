//! `metaleak dissect`: observations as JSON Lines.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Common, Failure, inputs};
use crate::dissect::{Observation, analyse_file};
use crate::report::{escape_json, escape_terminal};
use crate::scenario;

/// Arguments of `dissect`.
#[derive(Debug, Args)]
pub(super) struct DissectArgs {
    /// Captures (pcap, pcapng, .gz, .zst); `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub(super) fn run(args: &DissectArgs, quiet: bool) -> Result<(), Failure> {
    let planted = inputs::planted(&args.common)?;
    let secrets = inputs::secrets(&args.common.keylogs, &args.files, quiet)?;
    let own = inputs::options(&args.common, &planted, &secrets, true)?;
    let mut out = inputs::output(args.common.output.as_deref())?;
    let (mut read, mut faults) = (0, 0);
    let mut last = String::new();
    for (path, name) in args.files.iter().zip(inputs::names(&args.files)) {
        let mut failed = None;
        // Secrets that a run planted are masked here as everywhere.
        let run = match scenario::run_beside(path) {
            Ok(run) => run.unwrap_or_default(),
            Err(e) => {
                faults += 1;
                last = e.to_string();
                if !quiet {
                    anstream::eprintln!("metaleak: warning: {e}");
                }
                continue;
            }
        };
        let mut all = planted.clone();
        let known = |name: &str| planted.canaries.iter().any(|(n, _)| n == name);
        all.canaries.extend(run.canaries.into_iter().filter(|(name, _)| !known(name)));
        let more = all.canaries.len() > planted.canaries.len();
        let options = if more { inputs::options(&args.common, &all, &secrets, true)? } else { own.clone() };
        let analysis = inputs::on_threads(&args.common, || {
            let mut print = |o: Observation| {
                if failed.is_none() {
                    failed = writeln!(out, "{}", escape_json(&o.json(&name))).err();
                }
            };
            analyse_file(path, &name, &options, &mut print)
        })?;
        if let Some(e) = failed {
            return Err(e.into());
        }
        match analysis {
            Ok(analysis) => {
                read += 1;
                faults += u32::from(analysis.input.truncated);
            }
            Err(e) => {
                faults += 1;
                last = e.to_string();
                if !quiet {
                    anstream::eprintln!("metaleak: warning: {}", escape_terminal(&e.to_string()));
                }
            }
        }
    }
    out.flush()?;
    if read == 0 {
        return Err(Failure::Unreadable(if quiet { last } else { "no input could be read".into() }));
    }
    if args.common.strict && faults > 0 {
        return Err(Failure::Unreadable(format!(
            "{faults} of {} inputs were unreadable or truncated",
            args.files.len()
        )));
    }
    Ok(())
}
