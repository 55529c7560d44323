//! Recording: packets from an interface into pcapng files, until something ends it.
//!
//! Takes a [`Tap`] (libpcap, in `live`), limits, a flag that signals set, and marks; gives [`Recorded`]: what was kept, what was
//! dropped and by whom, and why it ended. Whatever ends a recording, what the kernel had taken until then is still written.
//! Here the clock is read: a recorder cannot do without. Does not look into packets, and knows nothing of runs and scenarios.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::pcapng::{self, InterfaceDescription, Section, Statistics};
use super::sink::{BUFFER, ROOM, Sink, SinkError, Tail, Written};
use crate::model::CaptureTime;

/// Packets after which the clock and the marks are looked at.
const BETWEEN_LOOKS: u32 = 64;

/// How long packets stay in a buffer before they are written, when few come.
const FLUSH: Duration = Duration::from_millis(100);

/// How often the kernel is asked what it dropped.
const ASK: Duration = Duration::from_secs(1);

/// The pause when there is no packet.
const PAUSE: Duration = Duration::from_millis(2);

/// Bytes of a key log that are taken over.
pub const MAX_KEY_LOG: u64 = 64 << 20;

/// Bytes that the statistics at the end of a file take at most, without marks.
const STATISTICS: u64 = 256;

/// A packet, as the kernel hands it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapPacket<'a> {
    /// When the kernel saw it.
    pub time: CaptureTime,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// What was kept of them.
    pub data: &'a [u8],
}

/// What a [`Tap`] has.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A packet.
    Packet(TapPacket<'a>),
    /// None yet.
    Nothing,
    /// There will be no more; in words of the system.
    Gone(String),
}

/// What the kernel counted since the recording began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that passed the filter; on Linux with those dropped then.
    pub received: u64,
    /// Packets dropped because the kernel's buffer was full.
    pub dropped: u64,
    /// Packets dropped by the interface or its driver.
    pub dropped_by_interface: u64,
}

/// Where packets come from.
pub trait Tap {
    /// The next packet, without waiting for one.
    fn next(&mut self) -> Next<'_>;
    /// What the kernel counted; `None` where it does not say.
    fn counts(&mut self) -> Option<Counts>;
    /// How long the kernel may hold a packet back before it shows it.
    fn delay(&self) -> Duration;
}

/// What ends a recording by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// After so long.
    pub duration: Option<Duration>,
    /// After so many packets.
    pub packets: Option<u64>,
    /// Before all files together have more bytes.
    pub bytes: Option<u64>,
}

/// When the next file begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// Before a file has more bytes.
    pub bytes: Option<u64>,
    /// After so long.
    pub duration: Option<Duration>,
    /// How many of the newest files are kept; the others are removed.
    pub files: Option<usize>,
}

impl Rotation {
    fn wanted(&self) -> bool {
        self.bytes.is_some() || self.duration.is_some()
    }
}

/// A step begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkEvent {
    /// When that was said.
    pub time: CaptureTime,
    /// The step that begins; `None`: the one under way ends.
    pub step: Option<String>,
}

/// What is told while the recording goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Note<'a> {
    /// A file was begun.
    File(&'a Path),
    /// A file is removed, because there are newer ones enough.
    Removed(&'a Path),
    /// A step begins or ends.
    Mark(&'a MarkEvent),
    /// So many packets were dropped by kernel and interface so far.
    Dropped(u64),
}

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A signal, or whoever set the flag.
    Asked,
    /// [`Limits::duration`].
    Duration,
    /// [`Limits::packets`].
    Packets,
    /// [`Limits::bytes`].
    Size,
    /// The interface is gone or down; in words of the system.
    Gone(String),
    /// A file cannot be written any more ([`Written::error`]).
    Unwritable,
}

/// All that a recording needs to know.
pub struct Recording<'a> {
    /// The file, `-` for standard output; with rotation its name is numbered.
    pub path: PathBuf,
    /// Write over what is there.
    pub force: bool,
    /// What stands at the head of each file.
    pub section: Section,
    /// What is recorded.
    pub interface: InterfaceDescription,
    /// What ends it.
    pub limits: Limits,
    /// When files change.
    pub rotation: Rotation,
    /// A key log whose content goes into each file when it is ended.
    pub key_log: Option<PathBuf>,
    /// Set from outside to end it.
    pub stop: &'a AtomicBool,
    /// Steps, in the order of their times.
    pub marks: Option<Receiver<MarkEvent>>,
}

/// How it went.
#[derive(Debug)]
pub struct Recorded {
    /// Why it ended.
    pub ended: Ended,
    /// When it began.
    pub start: CaptureTime,
    /// When it ended; no later packet is in the files.
    pub end: CaptureTime,
    /// Packets that the kernel handed over.
    pub delivered: u64,
    /// What the kernel counted.
    pub counts: Counts,
    /// What is in the files.
    pub written: Written,
    /// The files that are there, oldest first.
    pub files: Vec<PathBuf>,
    /// What is wrong with the key log.
    pub key_log_fault: Option<String>,
}

/// The time now.
#[must_use]
pub fn now() -> CaptureTime {
    let now = jiff::Timestamp::now().as_nanosecond();
    CaptureTime(i64::try_from(now).unwrap_or(i64::MAX))
}

/// The name of the file number `number` that begins at `time`: `NAME_00001_20261124100000.pcapng` for `NAME.pcapng`, as dumpcap
/// numbers its files, but in UTC.
#[must_use]
pub fn numbered(path: &Path, number: u64, time: CaptureTime) -> PathBuf {
    let stamp: String = time.rfc3339().chars().filter(char::is_ascii_digit).take(14).collect();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}_{number:05}_{stamp}{end}"))
}

/// Records until something ends it.
///
/// `note` hears what is worth telling at once; it is called between two packets, so it must not take long.
/// # Errors
/// [`SinkError`] when the first file cannot be made. Later faults are in [`Recorded`].
pub fn record(
    recording: Recording<'_>,
    tap: &mut dyn Tap,
    note: &mut dyn FnMut(Note<'_>),
) -> Result<Recorded, SinkError> {
    let start = now();
    let path = if recording.rotation.wanted() {
        numbered(&recording.path, 1, start)
    } else {
        recording.path.clone()
    };
    let head = head(&recording, &[]);
    let mut sink = Sink::create(&path, &head, recording.force)?;
    note(Note::File(&path));
    let buffer = sink.buffer();
    let began = Instant::now();
    let mut session = Session {
        recording,
        sink,
        buffer,
        start,
        began,
        flushed: began,
        asked: began,
        file_began: began,
        file_bytes: head.len() as u64,
        all_bytes: head.len() as u64,
        file_packets: 0,
        file_number: 1,
        files: VecDeque::from([path]),
        delivered: 0,
        counts: Counts::default(),
        due: VecDeque::new(),
        open: None,
        key_log_fault: None,
    };
    let (ended, end) = session.run(tap, note);
    Ok(session.finish(ended, end))
}

/// The head of a file, with what is under way when it begins.
fn head(recording: &Recording<'_>, under_way: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut section = recording.section.clone();
    section.comments.extend_from_slice(under_way);
    pcapng::section(&mut out, &section);
    pcapng::interface(&mut out, &recording.interface);
    if recording.key_log.is_some() && recording.path != Path::new("-") {
        pcapng::room(&mut out, ROOM);
    }
    out
}

/// How long after the end packets from before it are waited for.
fn grace(tap: &dyn Tap) -> Duration {
    3 * tap.delay() + Duration::from_millis(20)
}

/// A mark that waits for its packet.
struct Due {
    time: CaptureTime,
    text: String,
}

struct Session<'a> {
    recording: Recording<'a>,
    sink: Sink,
    buffer: Vec<u8>,
    start: CaptureTime,
    began: Instant,
    flushed: Instant,
    asked: Instant,
    file_began: Instant,
    /// Bytes of the file at hand and of all files, with those in the buffer.
    file_bytes: u64,
    all_bytes: u64,
    file_packets: u64,
    file_number: u64,
    files: VecDeque<PathBuf>,
    delivered: u64,
    counts: Counts,
    due: VecDeque<Due>,
    /// The step under way, and since when.
    open: Option<(String, CaptureTime)>,
    key_log_fault: Option<String>,
}

impl Session<'_> {
    /// The loop; gives why it ended and the time after which nothing was taken.
    fn run(&mut self, tap: &mut dyn Tap, note: &mut dyn FnMut(Note<'_>)) -> (Ended, CaptureTime) {
        // Why and when it was stopped, and until when packets of before that are waited for.
        let mut stopped: Option<(Ended, CaptureTime, Instant)> = None;
        let mut looked = BETWEEN_LOOKS;
        loop {
            looked += 1;
            if looked >= BETWEEN_LOOKS {
                looked = 0;
                let at = Instant::now();
                self.marks(note);
                if stopped.is_none()
                    && let Some(why) = self.asked_to_stop(at)
                {
                    if let Some(counts) = tap.counts() {
                        self.counts = counts;
                    }
                    stopped = Some((why, now(), at + grace(tap)));
                }
                if self.sink.failed() {
                    self.ask(tap, note);
                    return (Ended::Unwritable, now());
                }
                if stopped.is_none() && at.duration_since(self.asked) >= ASK {
                    self.asked = at;
                    self.ask(tap, note);
                }
                if at.duration_since(self.flushed) >= FLUSH {
                    self.flush(at);
                }
                let over =
                    |limit: Option<Duration>| limit.is_some_and(|d| at.duration_since(self.file_began) >= d);
                if stopped.is_none() && over(self.recording.rotation.duration) {
                    self.rotate(note);
                }
            }
            match tap.next() {
                Next::Packet(packet) => {
                    if let Some((why, end, _)) = &stopped
                        && packet.time > *end
                    {
                        return (why.clone(), *end);
                    }
                    let size = 40 + packet.data.len() as u64 + STATISTICS;
                    let full = |limit: Option<u64>, bytes: u64| limit.is_some_and(|most| bytes + size > most);
                    if full(self.recording.limits.bytes, self.all_bytes) {
                        self.ask(tap, note);
                        return (Ended::Size, now());
                    }
                    // A file has one packet at least, or a tiny limit would make files without end.
                    if full(self.recording.rotation.bytes, self.file_bytes) && self.file_packets > 0 {
                        self.rotate(note);
                    }
                    self.keep(&packet);
                    if self.recording.limits.packets.is_some_and(|most| self.delivered >= most) {
                        let end = packet.time;
                        self.ask(tap, note);
                        return (Ended::Packets, end);
                    }
                }
                Next::Nothing => {
                    if let Some((why, end, until)) = &stopped
                        && Instant::now() >= *until
                    {
                        return (why.clone(), *end);
                    }
                    looked = BETWEEN_LOOKS;
                    std::thread::sleep(PAUSE);
                }
                Next::Gone(why) => {
                    let at = Instant::now();
                    match &stopped {
                        // What the kernel took before may still be on its way.
                        None => {
                            self.ask(tap, note);
                            stopped = Some((Ended::Gone(why), now(), at + grace(tap)));
                        }
                        Some((why, end, until)) if at >= *until => return (why.clone(), *end),
                        Some(_) => {}
                    }
                    looked = BETWEEN_LOOKS;
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn asked_to_stop(&self, at: Instant) -> Option<Ended> {
        if self.recording.stop.load(Ordering::Relaxed) {
            return Some(Ended::Asked);
        }
        let over = self.recording.limits.duration.is_some_and(|d| at.duration_since(self.began) >= d);
        over.then_some(Ended::Duration)
    }

    /// Asks the kernel what it dropped, and tells it when that is more than before.
    fn ask(&mut self, tap: &mut dyn Tap, note: &mut dyn FnMut(Note<'_>)) {
        if let Some(counts) = tap.counts() {
            let lost = counts.dropped + counts.dropped_by_interface;
            if lost > self.counts.dropped + self.counts.dropped_by_interface {
                note(Note::Dropped(lost));
            }
            self.counts = counts;
        }
    }

    /// Takes the marks that came.
    fn marks(&mut self, note: &mut dyn FnMut(Note<'_>)) {
        let Some(marks) = &self.recording.marks else { return };
        while let Ok(event) = marks.try_recv() {
            let time = event.time;
            let mut due = |text: String| self.due.push_back(Due { time, text });
            if let Some((step, _)) = self.open.take() {
                due(format!("metaleak: step {step:?} ends at {}", time.rfc3339()));
            }
            if let Some(step) = &event.step {
                due(format!("metaleak: step {step:?} begins at {}", time.rfc3339()));
                self.open = Some((step.clone(), time));
            }
            note(Note::Mark(&event));
        }
    }

    /// Puts a packet into the buffer, with the marks that were set before it.
    fn keep(&mut self, packet: &TapPacket<'_>) {
        let before = self.buffer.len();
        let passed = self.due.iter().take_while(|due| due.time <= packet.time).count();
        if passed == 0 {
            pcapng::packet::<&str>(&mut self.buffer, packet.time, packet.wire_len, packet.data, &[]);
        } else {
            let texts: Vec<String> = self.due.drain(..passed).map(|due| due.text).collect();
            pcapng::packet(&mut self.buffer, packet.time, packet.wire_len, packet.data, &texts);
        }
        let size = (self.buffer.len() - before) as u64;
        self.file_bytes += size;
        self.all_bytes += size;
        self.file_packets += 1;
        self.delivered += 1;
        if self.buffer.len() >= BUFFER {
            self.flush(Instant::now());
        }
    }

    fn flush(&mut self, at: Instant) {
        self.flushed = at;
        if !self.buffer.is_empty() {
            self.buffer = self.sink.put(std::mem::take(&mut self.buffer));
        }
    }

    /// Ends the file at hand and begins the next.
    fn rotate(&mut self, note: &mut dyn FnMut(Note<'_>)) {
        self.flush(Instant::now());
        let end = now();
        let tail = self.tail(end, Vec::new());
        self.file_number += 1;
        let path = numbered(&self.recording.path, self.file_number, end);
        let open = self
            .open
            .as_ref()
            .map(|(step, since)| format!("metaleak: step {step:?} is under way since {}", since.rfc3339()));
        let head = head(&self.recording, open.as_slice());
        self.file_began = Instant::now();
        self.file_bytes = head.len() as u64;
        self.file_packets = 0;
        self.all_bytes += head.len() as u64;
        self.files.push_back(path.clone());
        let surplus =
            self.recording.rotation.files.map_or(0, |most| self.files.len().saturating_sub(most.max(1)));
        let remove: Vec<PathBuf> = self.files.drain(..surplus).collect();
        for path in &remove {
            note(Note::Removed(path));
        }
        note(Note::File(&path));
        self.sink.next(tail, path, head, remove);
    }

    /// What ends a file now.
    fn tail(&mut self, end: CaptureTime, comments: Vec<String>) -> Tail {
        let statistics = Statistics {
            start: self.start,
            end,
            received: self.counts.received,
            dropped: self.counts.dropped,
            dropped_by_interface: self.counts.dropped_by_interface,
            delivered: self.delivered,
            comments,
        };
        let mut blocks = Vec::new();
        pcapng::statistics(&mut blocks, &statistics);
        Tail { key_log: self.key_log(), blocks }
    }

    fn key_log(&mut self) -> Vec<u8> {
        use std::io::Read as _;
        let Some(path) = &self.recording.key_log else { return Vec::new() };
        let mut log = Vec::new();
        let read =
            std::fs::File::open(path).and_then(|file| file.take(MAX_KEY_LOG + 1).read_to_end(&mut log));
        self.key_log_fault = match read {
            Err(e) => Some(format!("{path:?}: cannot read the key log: {e}")),
            Ok(_) if log.is_empty() => Some(format!("{path:?}: the key log is empty")),
            Ok(_) if log.len() as u64 > MAX_KEY_LOG => {
                log.truncate(MAX_KEY_LOG as usize);
                Some(format!("{path:?}: only the first {} MiB of the key log were taken", MAX_KEY_LOG >> 20))
            }
            Ok(_) => None,
        };
        log
    }

    fn finish(mut self, ended: Ended, end: CaptureTime) -> Recorded {
        self.flush(Instant::now());
        let mut comments: Vec<String> = self.due.drain(..).map(|due| due.text).collect();
        match &ended {
            Ended::Gone(why) => {
                comments.push(format!("metaleak: ended because the interface is gone: {why}"));
            }
            Ended::Unwritable => {
                comments.push(
                    "metaleak: ended because no more could be written; later frames are missing".into(),
                );
            }
            Ended::Asked | Ended::Duration | Ended::Packets | Ended::Size => {}
        }
        let tail = self.tail(end, comments);
        let written = self.sink.finish(tail);
        let ended = if written.error.is_some() { Ended::Unwritable } else { ended };
        Recorded {
            ended,
            start: self.start,
            end,
            delivered: self.delivered,
            counts: self.counts,
            written,
            files: self.files.into(),
            key_log_fault: self.key_log_fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::capture::{Batch, FileFacts, open};

    /// Packets by script; the time of one is when it is taken, unless told.
    struct Script<'a> {
        packets: Box<dyn FnMut(u64) -> Next<'static> + 'a>,
        taken: u64,
    }

    impl Tap for Script<'_> {
        fn next(&mut self) -> Next<'_> {
            let next = (self.packets)(self.taken);
            self.taken += u64::from(matches!(next, Next::Packet(_)));
            next
        }

        fn counts(&mut self) -> Option<Counts> {
            Some(Counts { received: self.taken + 5, dropped: 4, dropped_by_interface: 1 })
        }

        fn delay(&self) -> Duration {
            Duration::from_millis(5)
        }
    }

    fn tap<'a>(packets: impl FnMut(u64) -> Next<'static> + 'a) -> Script<'a> {
        Script { packets: Box::new(packets), taken: 0 }
    }

    fn packet() -> Next<'static> {
        Next::Packet(TapPacket { time: now(), wire_len: 1500, data: &[7; 100] })
    }

    fn recording<'a>(path: &Path, stop: &'a AtomicBool) -> Recording<'a> {
        Recording {
            path: path.to_owned(),
            force: false,
            section: Section::default(),
            interface: InterfaceDescription { link: 1, name: "test0".into(), ..Default::default() },
            limits: Limits::default(),
            rotation: Rotation::default(),
            key_log: None,
            stop,
            marks: None,
        }
    }

    fn facts(path: &Path) -> FileFacts {
        let mut reader = open(path).unwrap();
        let mut batch = Batch::default();
        while reader.next(&mut batch) {}
        let facts = reader.into_facts();
        assert!(!facts.truncated, "{:?}", facts.faults);
        facts
    }

    #[test]
    fn a_recording_ends_by_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let path = |name: &str| folder.path().join(name);
        let mut limited = recording(&path("packets"), &stop);
        limited.limits.packets = Some(10_000);
        let recorded = record(limited, &mut tap(|_| packet()), &mut |_| ()).unwrap();
        assert_eq!(
            (&recorded.ended, recorded.delivered, recorded.written.frames),
            (&Ended::Packets, 10_000, 10_000)
        );
        assert_eq!(recorded.counts, Counts { received: 10_005, dropped: 4, dropped_by_interface: 1 });
        assert_eq!(facts(&path("packets")).frames, 10_000);
        let mut limited = recording(&path("bytes"), &stop);
        limited.limits.bytes = Some(100_000);
        let recorded = record(limited, &mut tap(|_| packet()), &mut |_| ()).unwrap();
        let size = std::fs::metadata(path("bytes")).unwrap().len();
        assert_eq!((&recorded.ended, recorded.written.frames), (&Ended::Size, facts(&path("bytes")).frames));
        assert!((99_000..=100_000).contains(&size), "{size}");
        let mut limited = recording(&path("time"), &stop);
        limited.limits.duration = Some(Duration::from_millis(50));
        let recorded = record(limited, &mut tap(|_| Next::Nothing), &mut |_| ()).unwrap();
        assert_eq!((&recorded.ended, recorded.delivered), (&Ended::Duration, 0));
        assert!(matches!(
            record(recording(&path("time"), &stop), &mut tap(|_| Next::Nothing), &mut |_| ()),
            Err(SinkError::Exists { .. })
        ));
    }

    #[test]
    fn what_came_before_the_stop_is_kept_and_what_came_after_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stop = AtomicBool::new(false);
        // The kernel shows 5000 packets from before the stop, after a pause, and then ones from later.
        let (begin, mut pauses) = (now(), 3);
        let mut script = tap(|taken| {
            stop.store(true, Ordering::Relaxed);
            if taken == 2000 && pauses > 0 {
                pauses -= 1;
                return Next::Nothing;
            }
            let time = if taken < 5000 { begin } else { CaptureTime(now().0 + 1_000_000) };
            Next::Packet(TapPacket { time, wire_len: 60, data: &[1; 60] })
        });
        let recorded = record(recording(&path, &stop), &mut script, &mut |_| ()).unwrap();
        assert_eq!((recorded.ended, recorded.delivered), (Ended::Asked, 5000));
        assert_eq!(facts(&path).frames, 5000);
    }

    #[test]
    fn a_lost_interface_ends_the_file_properly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stop = AtomicBool::new(false);
        let mut script = tap(|taken| if taken < 3 { packet() } else { Next::Gone("it is down".into()) });
        let recorded = record(recording(&path, &stop), &mut script, &mut |_| ()).unwrap();
        assert_eq!(recorded.ended, Ended::Gone("it is down".into()));
        let facts = facts(&path);
        assert_eq!(facts.frames, 3);
        assert!(facts.comments[0].1.contains("it is down"), "{:?}", facts.comments);
    }

    #[test]
    fn a_mark_stands_at_the_first_packet_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcapng");
        let stop = AtomicBool::new(false);
        let (send, marks) = channel();
        let mut marked = recording(&path, &stop);
        marked.marks = Some(marks);
        marked.limits.packets = Some(1000);
        marked.rotation.bytes = Some(90_000);
        let base = now().0;
        let at = |n: i64| CaptureTime(base + n * 1000);
        for (n, step) in
            [(250, Some("register")), (400, Some("idle")), (500, None), (990, Some("late")), (2000, None)]
        {
            send.send(MarkEvent { time: at(n), step: step.map(str::to_owned) }).unwrap();
        }
        let mut files = Vec::new();
        let mut heard = 0;
        let mut script =
            tap(|taken| Next::Packet(TapPacket { time: at(taken as i64), wire_len: 90, data: &[0; 90] }));
        let recorded = record(marked, &mut script, &mut |note| match note {
            Note::File(path) => files.push(path.to_owned()),
            Note::Removed(path) => panic!("{path:?} is kept"),
            Note::Mark(_) => heard += 1,
            Note::Dropped(lost) => assert_eq!(lost, 5),
        })
        .unwrap();
        assert_eq!((files.len(), heard, recorded.written.frames), (2, 5, 1000));
        assert_eq!(recorded.files, files);
        assert!(files[0].file_name().unwrap().to_str().unwrap().starts_with("a_00001_20"));
        let [first, second] = [facts(&files[0]), facts(&files[1])];
        assert_eq!(first.frames + second.frames, 1000);
        let places: Vec<_> = first.comments.iter().map(|(frame, _)| *frame).collect();
        assert_eq!(places, [Some(251), Some(401), Some(401), Some(501)]);
        assert!(first.comments[1].1.contains("\"register\" ends"), "{:?}", first.comments);
        let (frame, begins) = &second.comments[0];
        assert_eq!(frame.unwrap() + first.frames, 991);
        assert!(begins.contains("\"late\" begins"), "{begins}");
        assert_eq!(second.comments[1].0, None, "no packet came after it: it stands at the statistics");
    }

    #[test]
    fn the_newest_files_are_kept_with_what_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let (send, marks) = channel();
        send.send(MarkEvent { time: CaptureTime(1), step: Some("idle".into()) }).unwrap();
        let mut ring = recording(&folder.path().join("ring.pcapng"), &stop);
        ring.limits.packets = Some(2000);
        ring.rotation = Rotation { bytes: Some(20_000), files: Some(2), ..Rotation::default() };
        ring.marks = Some(marks);
        let recorded = record(ring, &mut tap(|_| packet()), &mut |_| ()).unwrap();
        let there = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!((there, recorded.files.len(), recorded.written.frames), (2, 2, 2000));
        let facts = facts(&recorded.files[0]);
        assert!(facts.comments[0].1.contains("\"idle\" is under way since 1970"), "{:?}", facts.comments);
    }

    #[test]
    fn a_key_log_is_read_when_the_recording_ends() {
        let folder = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let keys = folder.path().join("keys.log");
        let mut keyed = recording(&folder.path().join("a"), &stop);
        keyed.limits.packets = Some(10);
        keyed.key_log = Some(keys.clone());
        let write = |taken| {
            if taken == 5 {
                std::fs::write(&keys, "CLIENT_RANDOM 0011 2233\n").unwrap();
            }
            packet()
        };
        let recorded = record(keyed, &mut tap(write), &mut |_| ()).unwrap();
        assert_eq!(recorded.key_log_fault, None);
        let facts = facts(&folder.path().join("a"));
        assert_eq!(facts.secrets[0].data, b"CLIENT_RANDOM 0011 2233\n");
        assert_eq!(facts.secrets[0].after_frame, 0, "it counts for every frame");
        let mut keyless = recording(&folder.path().join("b"), &stop);
        keyless.limits.packets = Some(1);
        keyless.key_log = Some(folder.path().join("none"));
        let recorded = record(keyless, &mut tap(|_| packet()), &mut |_| ()).unwrap();
        assert!(recorded.key_log_fault.unwrap().contains("cannot read"));
    }

    #[test]
    fn names_are_numbered_as_dumpcap_does() {
        let time = CaptureTime(1_700_000_000_000_000_000);
        assert_eq!(
            numbered(Path::new("x/a.b.pcapng"), 7, time),
            Path::new("x/a.b_00007_20231114221320.pcapng")
        );
        assert_eq!(numbered(Path::new("a"), 1, time), Path::new("a_00001_20231114221320"));
    }
}
