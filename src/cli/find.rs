//! `metaleak find`: every place in captures at which one value occurs, and the chain of encodings around it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::inputs::Planted;
use super::{Common, Failure, TableOrJson, inputs};
use crate::dissect::{CaptureAnalysis, analyse_file};
use crate::model::{Direction, FindingKind};
use crate::report::escape_terminal;

/// What the value is called where texts quote it.
const NAME: &str = "value";

/// Arguments of `find`.
#[derive(Debug, Args)]
pub(super) struct FindArgs {
    /// The value: a telephone number, an address, a text.
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    value: String,
    /// Captures (pcap, pcapng, .gz, .zst); `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    format: TableOrJson,
    #[command(flatten)]
    common: Common,
}

/// One place.
#[derive(Debug, Serialize)]
struct Place<'a> {
    capture: &'a str,
    frames: &'a [u64],
    /// Bytes into the stream or datagram.
    offset: u64,
    flow: u64,
    from: &'a str,
    to: &'a str,
    /// Outermost first; empty where the value stands as it is.
    encoding: &'a [String],
}

/// Runs the command. Finding nothing is no failure; the last line says how much was searched.
pub(super) fn run(args: &FindArgs, quiet: bool) -> Result<(), Failure> {
    let given = inputs::planted(&args.common)?;
    let planted = Planted { canaries: vec![(NAME.to_owned(), args.value.clone())], keys: given.keys };
    let secrets = inputs::secrets(&args.common.keylogs, &args.files, quiet)?;
    let options = inputs::options(&args.common, &planted, &secrets, false)?;
    let mut out = inputs::output(args.common.output.as_deref())?;
    let (mut read, mut found, mut faults) = (0, 0, 0);
    for (path, name) in args.files.iter().zip(inputs::names(&args.files)) {
        match inputs::on_threads(&args.common, || analyse_file(path, &name, &options, &mut |_| {}))? {
            Ok(analysis) => {
                read += 1;
                faults += u32::from(analysis.input.truncated);
                for place in places(&analysis) {
                    found += 1;
                    match args.format {
                        TableOrJson::Json => {
                            writeln!(out, "{}", serde_json::to_string(&place).unwrap_or_default())?;
                        }
                        TableOrJson::Table => writeln!(out, "{}", line(&place))?,
                    }
                }
                if !quiet {
                    for warning in &analysis.warnings {
                        if warning.what.contains("given up") || warning.what.contains("not kept") {
                            anstream::eprintln!(
                                "metaleak: warning: {}: {}",
                                escape_terminal(&name),
                                escape_terminal(&warning.what)
                            );
                        }
                    }
                }
            }
            Err(e) => {
                faults += 1;
                if !quiet {
                    anstream::eprintln!("metaleak: warning: {}", escape_terminal(&e.to_string()));
                }
            }
        }
    }
    out.flush()?;
    if read == 0 {
        return Err(Failure::Unreadable("no input could be read".into()));
    }
    if !quiet {
        let forms = options.canaries.forms();
        anstream::eprintln!(
            "metaleak: {found} places in {read} captures; {forms} ways to write the value were searched"
        );
    }
    if args.common.strict && faults > 0 {
        return Err(Failure::Unreadable(format!(
            "{faults} of {} inputs were unreadable or truncated",
            args.files.len()
        )));
    }
    Ok(())
}

fn places(analysis: &CaptureAnalysis) -> Vec<Place<'_>> {
    let of = |finding: &crate::model::Finding| analysis.flows.iter().find(|f| f.flow == finding.flow);
    let canaries = analysis.findings.iter().filter(|f| f.kind == FindingKind::Canary);
    canaries
        .map(|finding| {
            let (client, server) = of(finding).map_or(("", ""), |f| (f.client.as_str(), f.server.as_str()));
            let (from, to) =
                if finding.direction == Some(Direction::Down) { (server, client) } else { (client, server) };
            Place {
                capture: &analysis.input.file,
                frames: &finding.frames,
                offset: finding.offset,
                flow: finding.flow,
                from,
                to,
                encoding: &finding.encoding,
            }
        })
        .collect()
}

fn line(place: &Place<'_>) -> String {
    let frames: Vec<String> = place.frames.iter().map(ToString::to_string).collect();
    let chain = if place.encoding.is_empty() { "as it is".to_owned() } else { place.encoding.join(" > ") };
    escape_terminal(&format!(
        "{}  frames {}  offset {}  flow {}  {} -> {}  {chain}",
        place.capture,
        frames.join(","),
        place.offset,
        place.flow,
        place.from,
        place.to
    ))
    .into_owned()
}
