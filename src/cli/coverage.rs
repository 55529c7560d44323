//! `metaleak coverage`: the ledger of a capture, in which every byte of the file is in exactly one class. Of a compressed file these
//! are the bytes that it unpacks to; what it has on disk stands below the total.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

use super::replay::warn_of_faults;
use super::{Common, Failure, TableOrJson, inputs};
use crate::dissect::analyse_file;
use crate::model::Coverage;
use crate::report::escape_terminal;

/// Arguments of `coverage`.
#[derive(Debug, Args)]
pub(super) struct CoverageArgs {
    /// Captures (pcap, pcapng, .gz, .zst); `-` is standard input. Of a compressed one every byte that it unpacks to is counted.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: TableOrJson,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub(super) fn run(args: &CoverageArgs, quiet: bool) -> Result<(), Failure> {
    let secrets = inputs::secrets(&args.common.keylogs, &args.files, quiet)?;
    let options = inputs::options(&args.common, &inputs::Planted::default(), &secrets, false)?;
    let (mut ledgers, mut faults) = (Vec::new(), 0);
    for (path, name) in args.files.iter().zip(inputs::names(&args.files)) {
        match inputs::on_threads(&args.common, || analyse_file(path, &name, &options, &mut |_| {}))? {
            Ok(analysis) => {
                faults += u32::from(analysis.input.truncated);
                if !quiet {
                    warn_of_faults(std::slice::from_ref(&analysis), 0);
                }
                ledgers.push(analysis.coverage);
            }
            Err(e) => {
                faults += 1;
                if !quiet {
                    anstream::eprintln!("metaleak: warning: {}", escape_terminal(&e.to_string()));
                }
            }
        }
    }
    if ledgers.is_empty() {
        return Err(Failure::Unreadable("no input could be read".into()));
    }
    let mut out = inputs::output(args.common.output.as_deref())?;
    match args.format {
        TableOrJson::Json => writeln!(out, "{}", serde_json::to_string(&ledgers).unwrap_or_default())?,
        TableOrJson::Table => {
            for ledger in &ledgers {
                writeln!(out, "{}\n{}\n", escape_terminal(&ledger.capture), table(ledger))?;
            }
        }
    }
    out.flush()?;
    if args.common.strict && faults > 0 {
        return Err(Failure::Unreadable(format!(
            "{faults} of {} inputs were unreadable or truncated",
            args.files.len()
        )));
    }
    Ok(())
}

/// Classes by size, with their share of the file.
fn table(ledger: &Coverage) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut classes: Vec<_> = ledger.classes.iter().collect();
    classes.sort_by_key(|(name, bytes)| (std::cmp::Reverse(**bytes), *name));
    for (name, bytes) in classes {
        let share = *bytes as f64 / ledger.total.max(1) as f64 * 100.0;
        table.add_row([name.clone(), bytes.to_string(), format!("{share:.2} %")]);
    }
    table.add_row(["total".to_owned(), ledger.total.to_string(), String::new()]);
    if let Some(stored) = ledger.stored {
        table.add_row(["of the file, compressed".to_owned(), stored.to_string(), String::new()]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
