//! `metaleak doctor`: what is here, what is missing, and what each part is for.

use std::io::Write;
use std::process::Command;

use super::{Failure, inputs};
use crate::claims::Catalogue;
use crate::destination::ReferenceDb;
use crate::model::Tool;

/// A part of the environment.
struct Part {
    name: &'static str,
    /// The program, and arguments that make it print its version.
    program: &'static str,
    version: &'static [&'static str],
    package: &'static str,
    purpose: &'static str,
}

/// Programs that metaleak does not need for replaying captures, but that go well with it.
static PARTS: &[Part] = &[
    Part {
        name: "tcpdump",
        program: "tcpdump",
        version: &["--version"],
        package: "tcpdump",
        purpose: "record captures on a router",
    },
    Part {
        name: "tshark",
        program: "tshark",
        version: &["--version"],
        package: "tshark",
        purpose: "check frames and filters on the command line",
    },
    Part {
        name: "Wireshark",
        program: "wireshark",
        version: &["--version"],
        package: "wireshark",
        purpose: "look at the frames that a verdict names",
    },
    Part {
        name: "ip",
        program: "ip",
        version: &["-V"],
        package: "iproute2",
        purpose: "network namespaces of the laboratory",
    },
    Part {
        name: "adb",
        program: "adb",
        version: &["version"],
        package: "adb",
        purpose: "reach a test phone",
    },
    Part {
        name: "Chromium",
        program: "chromium",
        version: &["--version"],
        package: "chromium",
        purpose: "scenarios in a browser",
    },
];

/// Runs the command. Exit 4 when a part that metaleak itself needs is broken.
pub(super) fn run() -> Result<(), Failure> {
    let mut out = inputs::output(None)?;
    let tool = Tool::this();
    writeln!(out, "metaleak {} (features: {})", tool.version, tool.features.join(", "))?;
    let mut broken = Vec::new();
    match ReferenceDb::embedded() {
        Ok(db) => {
            let sources = db.sources();
            let oldest = sources.iter().map(|s| s.as_of.as_str()).min().unwrap_or_default();
            writeln!(out, "ok       reference data: {} sources, the oldest of {oldest}", sources.len())?;
        }
        Err(e) => broken.push(format!("reference data: {e}")),
    }
    match Catalogue::embedded() {
        Ok(catalogue) => writeln!(out, "ok       claims: {}", catalogue.claims().len())?,
        Err(e) => broken.push(format!("claims: {e}")),
    }
    live(&mut out)?;
    for part in PARTS {
        match version_of(part) {
            Some(version) => writeln!(out, "ok       {}: {version} ({})", part.name, part.purpose)?,
            None => writeln!(
                out,
                "missing  {}: {}; on Debian: apt-get install {}",
                part.name, part.purpose, part.package
            )?,
        }
    }
    for what in &broken {
        writeln!(out, "broken   {what}")?;
    }
    out.flush()?;
    if broken.is_empty() { Ok(()) } else { Err(Failure::Environment(broken.join("; "))) }
}

/// Whether packets could be captured on this machine.
#[cfg(feature = "live")]
fn live(out: &mut dyn Write) -> std::io::Result<()> {
    match pcap::Device::list() {
        Ok(devices) => {
            let names: Vec<String> = devices.into_iter().map(|d| d.name).take(8).collect();
            if names.is_empty() {
                return writeln!(
                    out,
                    "missing  libpcap sees no interface; capture rights: setcap cap_net_raw,cap_net_admin=eip on the program that captures"
                );
            }
            let first = names.first().cloned().unwrap_or_default();
            let rights = pcap::Capture::from_device(first.as_str()).and_then(|c| c.timeout(1).open()).is_ok();
            let rights = if rights {
                "may capture"
            } else {
                "may not capture: run as root, or setcap cap_net_raw,cap_net_admin=eip"
            };
            writeln!(out, "ok       libpcap: {} ({rights})", names.join(", "))
        }
        Err(e) => writeln!(out, "missing  libpcap: {e}"),
    }
}

#[cfg(not(feature = "live"))]
fn live(out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "missing  live capture: built without the feature `live`")
}

/// First line of a program's version, without control characters.
fn version_of(part: &Part) -> Option<String> {
    let output = Command::new(part.program).args(part.version).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text)
        .lines()
        .find(|l| !l.trim().is_empty() && !l.starts_with("Running as"))?
        .to_owned();
    Some(crate::report::escape_terminal(text.trim()).into_owned())
}
