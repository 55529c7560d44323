//! `metaleak doctor`: what is here, what is missing, and what each part is for.

use std::io::Write;
use std::process::Command;

use super::{Failure, inputs};
use crate::claims::Catalogue;
use crate::destination::ReferenceDb;
use crate::model::Tool;
use crate::scenario::backend::BACKENDS;
use crate::scenario::drive::{DRIVERS, Options};

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
        match version_of(part.program, part.version) {
            Some(version) => writeln!(out, "ok       {}: {version} ({})", part.name, part.purpose)?,
            None => writeln!(
                out,
                "missing  {}: {}; on Debian: apt-get install {}",
                part.name, part.purpose, part.package
            )?,
        }
    }
    for info in DRIVERS {
        ours(&mut out, "driver", info.id, info.purpose, info.needs)?;
    }
    for info in BACKENDS {
        ours(&mut out, "capture", info.id, info.purpose, info.needs.as_slice())?;
    }
    for what in &broken {
        writeln!(out, "broken   {what}")?;
    }
    out.flush()?;
    if broken.is_empty() { Ok(()) } else { Err(Failure::Environment(broken.join("; "))) }
}

/// A driver or a back-end of `metaleak run`, and each program that it needs. `--tool` may name another; here it is what the system finds,
/// or an environment variable says (`ADB`).
fn ours(out: &mut dyn Write, kind: &str, id: &str, purpose: &str, needs: &[Needs]) -> std::io::Result<()> {
    if needs.is_empty() {
        return writeln!(out, "ok       {kind} {id}: {purpose}");
    }
    for (program, arguments, package) in needs {
        match version_of(&Options::default().tool(program), arguments) {
            Some(version) => writeln!(out, "ok       {kind} {id}: {version} ({purpose})")?,
            None => writeln!(
                out,
                "missing  {kind} {id}: {purpose}; needs {program}, on Debian: apt-get install {package}; or --tool {program}=PATH"
            )?,
        }
    }
    Ok(())
}

/// Program, arguments that make it print its version, Debian package.
type Needs = (&'static str, &'static [&'static str], &'static str);

/// What gives the right to capture without being root, for this very program.
#[cfg(feature = "live")]
fn setcap() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "metaleak".into());
    format!(
        "run as root, or give the program the right once: sudo setcap cap_net_raw,cap_net_admin=eip {program:?} (anew after each build; take it away with setcap -r)"
    )
}

/// Whether packets could be captured on this machine. What cannot be opened for another reason than rights says so.
#[cfg(feature = "live")]
fn live(out: &mut dyn Write) -> std::io::Result<()> {
    use crate::capture::live::{self, Live, LiveError, Settings};
    let interfaces = match live::interfaces() {
        Ok(interfaces) => interfaces,
        Err(e) => return writeln!(out, "missing  metaleak capture: libpcap: {e}"),
    };
    let names: Vec<String> = interfaces.iter().map(|i| i.name.clone()).take(8).collect();
    let settings = Settings { snap_length: 96, buffer: 1 << 20, promiscuous: false, filter: None };
    // An interface that is up tells more than the first of the list, which may be down.
    let up = interfaces.iter().find(|i| i.state.contains(&"up") && i.name != live::ANY);
    let Some(chosen) = up.or(interfaces.first()) else {
        return writeln!(out, "missing  metaleak capture: libpcap sees no interface; {}", setcap());
    };
    let names = crate::report::escape_terminal(&names.join(", ")).into_owned();
    match Live::open(&chosen.name, &settings) {
        Ok(_) => writeln!(out, "ok       metaleak capture: may listen on {names}"),
        Err(LiveError::Rights { .. }) => {
            writeln!(out, "missing  metaleak capture: no right to listen on {names}; {}", setcap())
        }
        Err(e) => writeln!(out, "missing  metaleak capture: {e}"),
    }
}

#[cfg(not(feature = "live"))]
fn live(out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "missing  metaleak capture: built without the feature `live`; tcpdump -w FILE records as well"
    )
}

/// First line of a program's version, without control characters.
fn version_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text)
        .lines()
        .find(|l| !l.trim().is_empty() && !l.starts_with("Running as"))?
        .to_owned();
    Some(crate::report::escape_terminal(text.trim()).into_owned())
}
