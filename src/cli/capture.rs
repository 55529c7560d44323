//! `metaleak capture`: from an interface to pcapng files and the descriptions beside them.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::replay::{VantageArg, vantage};
#[cfg(not(feature = "live"))]
use super::{Failure, Loudness};

/// Arguments of `capture`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["interface", "list_interfaces"]))]
pub(super) struct CaptureArgs {
    /// Interface to listen on; `any` is all of them (Linux).
    #[arg(short, long, value_name = "IFACE", requires = "output")]
    interface: Option<String>,
    /// Print the interfaces that there are, and end.
    #[arg(long)]
    list_interfaces: bool,
    /// The pcapng file to write, which only you may read; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that exists.
    #[arg(long)]
    force: bool,
    /// Keep only what matches, in the language of tcpdump, e.g. 'host 192.0.2.7 and not port 22'.
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,
    /// Bytes to keep of each packet.
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(1..=262_144))]
    snaplen: u32,
    /// The kernel's buffer, for times when the disk is slower than the network.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=2047))]
    buffer: u32,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<std::time::Duration>,
    /// Stop after so many packets.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    packets: Option<u64>,
    /// Stop before the files together have more than this.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    max_size: Option<u64>,
    /// Begin another file before one has more than this; files are named `NAME_00001_20261124100000.pcapng`.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    rotate_size: Option<u64>,
    /// Begin another file after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    rotate_duration: Option<std::time::Duration>,
    /// With rotation: keep the newest N files, remove older ones of this recording.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rotate_files: Option<u32>,
    /// Take frames for other machines too; this is the default.
    #[arg(long, overrides_with = "no_promiscuous")]
    promiscuous: bool,
    /// Take only what the interface would take anyway.
    #[arg(long)]
    no_promiscuous: bool,
    /// Take the times of steps from standard input: a line is the name of the step that begins, an empty line ends it.
    #[arg(long, value_name = "stdin", value_parser = ["stdin"])]
    mark_from: Option<String>,
    /// A key log (NSS format) whose content goes into the file when the recording ends; until then it may still grow.
    #[arg(long, value_name = "FILE")]
    keylog: Option<PathBuf>,
    /// Messenger that is recorded, for the description (signal, conversations …).
    #[arg(long, value_name = "MESSENGER")]
    app: Option<String>,
    /// Where it is recorded, for the description: router, vpn, device or server; a place (DE, or 47.37,8.54); or both, router@DE.
    #[arg(long, value_name = "WHERE", value_parser = vantage, allow_hyphen_values = true)]
    vantage: Option<VantageArg>,
    /// What the device is, for the description.
    #[arg(long, value_name = "TEXT")]
    device: Option<String>,
    /// How and what for, for the description and the head of the file.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Seconds, with a fraction where it is wanted; ten years at most.
fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "a number of seconds is wanted, such as 90 or 0.5".to_owned();
    let value: f64 = text.parse().map_err(|_| wrong())?;
    if value > 0.0 && value <= 315_360_000.0 {
        std::time::Duration::try_from_secs_f64(value).map_err(|_| wrong())
    } else {
        Err(wrong())
    }
}

/// Runs the command.
#[cfg(not(feature = "live"))]
pub(super) fn run(_args: &CaptureArgs, _loud: Loudness) -> Result<(), Failure> {
    Err(Failure::Environment(
        "this metaleak was built without live capture; build it with the feature `live`, or record with tcpdump -w FILE"
            .into(),
    ))
}

#[cfg(feature = "live")]
pub(super) use recorder::{run, signals};

#[cfg(feature = "live")]
mod recorder {
    use std::collections::BTreeMap;
    use std::io::{BufRead, Read, Write};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;

    use super::super::{Failure, Loudness, inputs};
    use super::CaptureArgs;
    use crate::capture::live::{self, Live, LiveError};
    use crate::capture::{
        self, Ended, InterfaceDescription, Limits, MarkEvent, Note, Recorded, Recording, Rotation, Section,
        SinkError,
    };
    use crate::model::{CaptureNote, CaptureTime, Mark, Run, Tool};
    use crate::scenario;

    /// Bytes of a line that names a step.
    const MAX_STEP: u64 = 200;

    /// Steps that are kept of a recording.
    const MAX_MARKS: usize = 10_000;

    /// Runs the command.
    pub(in crate::cli) fn run(args: &CaptureArgs, loud: Loudness) -> Result<(), Failure> {
        if args.list_interfaces {
            return list();
        }
        let (Some(name), Some(path)) = (&args.interface, &args.output) else {
            return Err(Failure::Usage("an interface (-i) and a file (-o) are needed".into()));
        };
        let rotates = args.rotate_size.is_some() || args.rotate_duration.is_some();
        if path == Path::new("-") && rotates {
            return Err(Failure::Usage("standard output cannot be rotated; name a file".into()));
        }
        if args.rotate_files.is_some() && !rotates {
            return Err(Failure::Usage("--rotate-files needs --rotate-size or --rotate-duration".into()));
        }
        // Before anything is asked of the system; the file is created later, by one call that cannot hit another's.
        if !args.force && !rotates && std::fs::metadata(path).is_ok_and(|m| m.is_file()) {
            return Err(Failure::Usage(SinkError::Exists { path: path.clone() }.to_string()));
        }
        let stop = signals()?;
        let settings = live::Settings {
            snap_length: args.snaplen,
            buffer: args.buffer << 20,
            promiscuous: args.promiscuous || !args.no_promiscuous,
            filter: args.filter.clone(),
        };
        let mut tap = Live::open(name, &settings).map_err(|e| match e {
            LiveError::Filter { .. } => Failure::Usage(e.to_string()),
            _ => Failure::Environment(e.to_string()),
        })?;
        let mut notes = Notes::new(args, name, loud)?;
        let os = system();
        let mib = |n: u64| n << 20;
        let recording = Recording {
            path: path.clone(),
            force: args.force,
            section: Section {
                hardware: std::env::consts::ARCH.into(),
                os: os.clone(),
                application: notes.recorder(),
                comments: args.note.iter().cloned().collect(),
            },
            interface: InterfaceDescription {
                name: name.clone(),
                filter: args.filter.clone().unwrap_or_default(),
                os,
                link: tap.link(),
                snap_length: args.snaplen,
            },
            limits: Limits { duration: args.duration, packets: args.packets, bytes: args.max_size.map(mib) },
            rotation: Rotation {
                bytes: args.rotate_size.map(mib),
                duration: args.rotate_duration,
                files: args.rotate_files.map(|n| n as usize),
            },
            key_log: args.keylog.clone(),
            stop: &stop,
            marks: args.mark_from.as_ref().map(|_| marks(loud.quiet)).transpose()?,
        };
        let recorded = capture::record(recording, &mut tap, &mut |note| notes.hear(&note));
        let recorded = recorded.map_err(|e| match &e {
            SinkError::Exists { .. } => Failure::Usage(e.to_string()),
            SinkError::Write { source, .. } if e.is_broken_pipe() => Failure::Write(source.kind().into()),
            _ => Failure::Environment(e.to_string()),
        })?;
        notes.end(&recorded)
    }

    /// The interfaces, one a line: name, state, addresses, description.
    fn list() -> Result<(), Failure> {
        let interfaces = live::interfaces().map_err(|e| Failure::Environment(e.to_string()))?;
        let mut out = inputs::output(None)?;
        for i in interfaces {
            let addresses: Vec<String> = i.addresses.iter().map(ToString::to_string).collect();
            let line = [i.name, i.state.join(","), addresses.join(" "), i.description].join("\t");
            writeln!(out, "{}", crate::report::escape_terminal(&line.replace(['\n', '\r'], " ")))?;
        }
        Ok(out.flush()?)
    }

    /// A flag that SIGINT, SIGTERM and SIGHUP set. The second one ends the process at once, whatever it waits for.
    pub(in crate::cli) fn signals() -> Result<Arc<AtomicBool>, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
                .and_then(|_| flag::register(signal, Arc::clone(&stop)))
                .map_err(|e| Failure::Environment(format!("cannot heed signals: {e}")))?;
        }
        Ok(stop)
    }

    /// The system, as `uname -sr` has it; on others than Linux its name alone.
    fn system() -> String {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let name = if cfg!(target_os = "linux") { "Linux" } else { std::env::consts::OS };
        format!("{name} {}", release.trim()).trim().to_owned()
    }

    /// Steps from standard input, with the time at which each line came. The thread ends with the input or the process.
    fn marks(quiet: bool) -> Result<Receiver<MarkEvent>, Failure> {
        let (send, marks) = sync_channel(1024);
        std::thread::Builder::new()
            .name("marks".into())
            .spawn(move || {
                if let Err(e) = read_marks(std::io::stdin().lock(), &send)
                    && !quiet
                {
                    anstream::eprintln!("metaleak: warning: standard input: no more marks: {e}");
                }
            })
            .map_err(|e| Failure::Environment(format!("cannot start threads: {e}")))?;
        Ok(marks)
    }

    /// Reads lines until the input ends; of one that is too long the beginning counts.
    fn read_marks(mut from: impl BufRead, to: &SyncSender<MarkEvent>) -> std::io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if from.by_ref().take(MAX_STEP).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let time = capture::now();
            if !line.ends_with(b"\n") {
                // The rest of the line, in pieces, so that none is as long as its writer likes.
                let mut rest = Vec::new();
                while from.by_ref().take(4096).read_until(b'\n', &mut rest)? > 0 && !rest.ends_with(b"\n") {
                    rest.clear();
                }
            }
            let text = String::from_utf8_lossy(&line);
            let step: String = text.trim().chars().filter(|c| !c.is_control()).collect();
            let step = (!step.is_empty()).then_some(step);
            if to.send(MarkEvent { time, step }).is_err() {
                return Ok(());
            }
        }
    }

    /// What is told and written down while the recording goes on.
    struct Notes {
        loud: Loudness,
        interface: String,
        run: Run,
        /// The files that are there, with the time at which each began, and the one that is written.
        files: BTreeMap<PathBuf, CaptureTime>,
        current: PathBuf,
        /// The file is standard output, or no regular file: nothing can stand beside it.
        alone: bool,
        rotates: bool,
        failed: bool,
        steps_left_out: usize,
    }

    impl Notes {
        fn new(args: &CaptureArgs, interface: &str, loud: Loudness) -> Result<Notes, Failure> {
            let path = args.output.clone().unwrap_or_default();
            let alone = path == Path::new("-") || std::fs::metadata(&path).is_ok_and(|m| !m.is_file());
            let rotates = args.rotate_size.is_some() || args.rotate_duration.is_some();
            let beside = scenario::own_run_file(&path);
            if !alone && !rotates && !args.force && beside.exists() {
                return Err(Failure::Usage(format!(
                    "{beside:?} exists, where the marks would go; choose another name, or write over it with --force"
                )));
            }
            let vantage = args.vantage.clone().unwrap_or_default();
            let mut run = Run {
                messenger: args.app.clone(),
                vantage: vantage.how,
                place: vantage.place,
                device: args.device.clone(),
                provenance: args.note.clone(),
                recording: Some(CaptureNote {
                    interface: interface.to_owned(),
                    filter: args.filter.clone(),
                    snap_length: args.snaplen,
                    start: capture::now().rfc3339(),
                    ..CaptureNote::default()
                }),
                ..Run::default()
            };
            let tool = Tool::this();
            run.recorder = Some(format!("{} {}", tool.name, tool.version));
            let interface = interface.to_owned();
            let (files, current) = (BTreeMap::new(), PathBuf::new());
            Ok(Notes {
                loud,
                interface,
                run,
                files,
                current,
                alone,
                rotates,
                failed: false,
                steps_left_out: 0,
            })
        }

        fn recorder(&self) -> String {
            self.run.recorder.clone().unwrap_or_default()
        }

        fn warn(&self, what: &str) {
            if !self.loud.quiet {
                anstream::eprintln!("metaleak: warning: {}", crate::report::escape_terminal(what));
            }
        }

        fn tell(&self, what: &str) {
            if !self.loud.quiet {
                anstream::eprintln!("metaleak: {}", crate::report::escape_terminal(what));
            }
        }

        fn hear(&mut self, note: &Note<'_>) {
            match note {
                Note::File(path) => {
                    if self.files.is_empty() {
                        self.tell(&format!(
                            "capturing on {:?} into {path:?}; Ctrl-C ends it",
                            self.interface
                        ));
                    } else if self.loud.verbose > 0 {
                        self.tell(&format!("next file: {path:?}"));
                    }
                    self.files.insert(path.to_path_buf(), capture::now());
                    self.current = path.to_path_buf();
                    self.write(path);
                }
                Note::Removed(path) => {
                    self.files.remove(*path);
                    if !self.alone {
                        let _ = std::fs::remove_file(scenario::own_run_file(path));
                    }
                }
                Note::Mark(event) => {
                    self.mark(event);
                    let current = self.current.clone();
                    self.write(&current);
                }
                Note::Dropped(lost) => {
                    self.warn(&format!(
                        "{lost} packets dropped so far; a larger --buffer or a --filter helps"
                    ));
                }
            }
        }

        fn mark(&mut self, event: &MarkEvent) {
            let time = event.time.rfc3339();
            if let Some(open) = self.run.marks.last_mut().filter(|mark| mark.end.is_none()) {
                open.end = Some(time.clone());
            }
            let Some(step) = &event.step else { return };
            if self.run.marks.len() >= MAX_MARKS {
                self.steps_left_out += 1;
                return;
            }
            if !self.run.steps.contains(step) {
                self.run.steps.push(step.clone());
            }
            self.run.marks.push(Mark { step: step.clone(), start: time, end: None });
        }

        /// Writes the description of one file: of the marks those that had not ended when it began.
        fn write(&mut self, path: &Path) {
            if self.alone {
                return;
            }
            let Some(began) = self.files.get(path).map(|time| time.rfc3339()) else { return };
            let mut run = self.run.clone();
            if self.rotates {
                // Both have nine decimals and the same zone, so their texts are ordered as they are.
                run.marks.retain(|mark| mark.end.as_ref().is_none_or(|end| *end >= began));
                run.steps.retain(|step| run.marks.iter().any(|mark| mark.step == *step));
            }
            let beside = scenario::own_run_file(path);
            if let Err(e) = scenario::write_run(&beside, &run)
                && !std::mem::replace(&mut self.failed, true)
            {
                self.warn(&format!("{e}; the marks stand in the capture's comments alone"));
            }
        }

        /// Tells how it went, and by what exit code.
        fn end(&mut self, recorded: &Recorded) -> Result<(), Failure> {
            let (counts, written) = (recorded.counts, &recorded.written);
            let end = recorded.end.rfc3339();
            if let Some(open) = self.run.marks.last_mut().filter(|mark| mark.end.is_none()) {
                // A step that began after the last packet ends when it began.
                open.end = Some(end.clone().max(open.start.clone()));
            }
            if let Some(note) = &mut self.run.recording {
                note.start = recorded.start.rfc3339();
                note.end = Some(end);
                note.ended = Some(word(&recorded.ended).to_owned());
                note.frames = written.frames;
                note.received = counts.received;
                note.dropped = counts.dropped;
                note.dropped_by_interface = counts.dropped_by_interface;
                note.not_written = written.not_written;
            }
            self.failed = false;
            let paths: Vec<PathBuf> = self.files.keys().cloned().collect();
            for path in paths {
                self.write(&path);
            }
            if let Some(what) = &recorded.key_log_fault {
                self.warn(what);
            }
            if self.steps_left_out > 0 {
                self.warn(&format!(
                    "{} steps beyond {MAX_MARKS} have no mark in the description",
                    self.steps_left_out
                ));
            }
            self.tell(&summary(recorded));
            let kept = format!("what came before is kept: {} frames", written.frames);
            match (&recorded.ended, &written.error) {
                (_, Some(SinkError::Write { source, .. }))
                    if source.kind() == std::io::ErrorKind::BrokenPipe =>
                {
                    Err(Failure::Write(std::io::ErrorKind::BrokenPipe.into()))
                }
                (_, Some(e)) => {
                    Err(Failure::Environment(format!("{e}; {kept}, {} frames are lost", written.not_written)))
                }
                (Ended::Gone(why), None) => Err(Failure::Environment(format!(
                    "{:?}: the interface is gone or down ({why}); {kept}",
                    self.interface
                ))),
                _ => Ok(()),
            }
        }
    }

    fn word(ended: &Ended) -> &'static str {
        match ended {
            Ended::Asked => "asked",
            Ended::Duration => "duration",
            Ended::Packets => "packets",
            Ended::Size => "size",
            Ended::Gone(_) => "interface-gone",
            Ended::Unwritable => "unwritable",
        }
    }

    fn summary(recorded: &Recorded) -> String {
        let (counts, written) = (recorded.counts, &recorded.written);
        let files = match recorded.files.len() {
            0 | 1 => String::new(),
            n => format!(" in {n} files"),
        };
        let share = |n: u64| match counts.received {
            0 => String::new(),
            all => format!(" ({:.3} %)", n as f64 * 100.0 / all as f64),
        };
        format!(
            "{} frames written, {} bytes{files}; the kernel received {}, dropped {}{}, the interface dropped {}",
            written.frames,
            written.bytes,
            counts.received,
            counts.dropped,
            share(counts.dropped),
            counts.dropped_by_interface
        )
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn steps(input: &[u8]) -> Vec<Option<String>> {
            let (send, marks) = sync_channel(100);
            read_marks(input, &send).unwrap();
            drop(send);
            marks.iter().map(|event| event.step).collect()
        }

        #[test]
        fn a_line_is_a_step_and_an_empty_one_its_end() {
            let some = |text: &str| Some(text.to_owned());
            assert_eq!(
                steps(b"register\r\n\n idle \nlast"),
                [some("register"), None, some("idle"), some("last")]
            );
            assert_eq!(steps(b"\x1b[31mred\xff\n"), [some("[31mred\u{fffd}")]);
            let long = [vec![b'a'; 10_000], b"\nnext\n".to_vec()].concat();
            assert_eq!(steps(&long), [some(&"a".repeat(200)), some("next")]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_positive_numbers() {
        assert_eq!(seconds("0.5").unwrap().as_millis(), 500);
        for wrong in ["0", "-1", "x", "nan", "inf", "1e30"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
