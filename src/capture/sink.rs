//! Where a recording goes: files or a pipe, written by a thread of their own.
//!
//! Takes buffers of whole pcapng blocks; gives what became of them ([`Written`]). A file is created with permissions 0600 and
//! never written over unless asked for. Buffers are handed to the system as they come and nothing is held back behind them, so a
//! process that is killed leaves at most its last block cut. When the disk is full, the file is taken back to the end of a
//! whole block, with room made for the statistics. Knows nothing of interfaces: that is `record`.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;

use super::pcapng;

/// Bytes at which a buffer goes to the thread that writes.
pub(super) const BUFFER: usize = 1 << 20;

/// Buffers that wait or are written; then the kernel's buffer has to hold what comes.
const BUFFERS: usize = 32;

/// Bytes that are left free for other files of the recording when the disk is full: the description of the run.
const SPARE: u64 = 16 << 10;

/// Bytes kept free at the head of a file for secrets, so that they stand before the packets that they open.
pub(super) const ROOM: usize = 512 << 10;

/// The most bytes of secrets in one block; readers refuse blocks of more than 16 MiB.
const MAX_SECRETS: usize = 8 << 20;

/// Why a recording cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file is there already.
    #[error("{path:?} exists; choose another name, or write over it with --force")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be created.
    #[error("{path:?}: cannot create: {source}")]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written any more.
    #[error("{path:?}: cannot write: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SinkError {
    /// Whether the reader of a pipe has left.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, SinkError::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What was written in the end.
#[derive(Debug, Default)]
pub struct Written {
    /// Frames that are in the files, removed ones among them.
    pub frames: u64,
    /// Frames that came and are in no file, because writing failed.
    pub not_written: u64,
    /// Bytes, as with frames.
    pub bytes: u64,
    /// Why writing ended early.
    pub error: Option<SinkError>,
}

/// What stands at the end of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    /// A key log; empty where there is none.
    pub(super) key_log: Vec<u8>,
    /// Whole blocks.
    pub(super) blocks: Vec<u8>,
}

enum Job {
    Blocks(Vec<u8>),
    Next { tail: Tail, path: PathBuf, head: Vec<u8>, remove: Vec<PathBuf> },
    End(Tail),
}

/// A recording that is being written.
pub(super) struct Sink {
    jobs: SyncSender<Job>,
    empty: Receiver<Vec<u8>>,
    failed: Arc<AtomicBool>,
    thread: JoinHandle<Written>,
    /// Buffers that may still be made.
    more: usize,
}

impl Sink {
    /// Creates the file (`-` is standard output), writes `head` and starts the thread.
    ///
    /// # Errors
    /// [`SinkError`] when it is there and `force` is not given, or cannot be created or written.
    pub(super) fn create(path: &Path, head: &[u8], force: bool) -> Result<Sink, SinkError> {
        let output = Output::create(path, head, force)?;
        let (jobs, todo) = sync_channel(BUFFERS);
        let (back, empty) = channel();
        let failed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&failed);
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                Writer { output, force, failed: flag, back, written: Written::default(), broken: None }
                    .run(&todo)
            })
            .map_err(|source| SinkError::Write { path: path.to_owned(), source })?;
        Ok(Sink { jobs, empty, failed, thread, more: BUFFERS })
    }

    /// Whether writing has failed; then the rest is only counted.
    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Hands over whole blocks and gives an empty buffer; waits while too many are under way.
    pub(super) fn put(&mut self, blocks: Vec<u8>) -> Vec<u8> {
        self.send(Job::Blocks(blocks));
        self.buffer()
    }

    /// An empty buffer with room for [`BUFFER`] bytes and one packet.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        let made = || Vec::with_capacity(BUFFER + super::MAX_PACKET + (64 << 10));
        if let Ok(buffer) = self.empty.try_recv() {
            return buffer;
        }
        if self.more > 0 {
            self.more -= 1;
            return made();
        }
        self.empty.recv().unwrap_or_else(|_| made())
    }

    /// Ends the file with `tail` and goes on with another; then removes `remove`.
    pub(super) fn next(&mut self, tail: Tail, path: PathBuf, head: Vec<u8>, remove: Vec<PathBuf>) {
        self.send(Job::Next { tail, path, head, remove });
    }

    /// Ends the recording.
    pub(super) fn finish(self, tail: Tail) -> Written {
        self.send(Job::End(tail));
        drop(self.jobs);
        self.thread.join().unwrap_or_default()
    }

    fn send(&self, job: Job) {
        // The thread ends after `End` alone, so this fails only where it panicked; `finish` then has nothing to tell.
        if let Err(TrySendError::Full(job)) = self.jobs.try_send(job) {
            let _ = self.jobs.send(job);
        }
    }
}

/// A file or a pipe.
struct Output {
    path: PathBuf,
    to: To,
    /// Bytes written.
    at: u64,
    /// Where the file keeps room for secrets, and how much.
    room: Option<(u64, usize)>,
}

enum To {
    /// A regular file, of which a part can be taken back.
    File(File),
    /// Anything else.
    Stream(Box<dyn Write + Send>),
}

impl Output {
    fn create(path: &Path, head: &[u8], force: bool) -> Result<Output, SinkError> {
        let failed = |source| SinkError::Create { path: path.to_owned(), source };
        let to = if path == Path::new("-") {
            To::Stream(Box::new(io::stdout()))
        } else {
            match std::fs::metadata(path) {
                // A named pipe or a device: what it is stays its owner's business.
                Ok(there) if !there.is_file() => {
                    To::Stream(Box::new(OpenOptions::new().write(true).open(path).map_err(failed)?))
                }
                // Taken away and made anew: the old one's permissions would stay, and who has it open would read on.
                Ok(_) if force => {
                    std::fs::remove_file(path).map_err(failed)?;
                    To::File(private(path).map_err(failed)?)
                }
                _ => match private(path) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                        return Err(SinkError::Exists { path: path.to_owned() });
                    }
                    other => To::File(other.map_err(failed)?),
                },
            }
        };
        let room = pcapng::blocks(head).find(|(_, kind, _)| *kind == pcapng::ROOM);
        let room = room.map(|(at, _, length)| (at as u64, length));
        let mut output = Output { path: path.to_owned(), to, at: 0, room };
        match output.write(head) {
            Ok(()) => Ok(output),
            Err((_, source)) => {
                // What holds no frame is worth nothing, and would be in the way of the next attempt.
                if matches!(output.to, To::File(_)) {
                    let _ = std::fs::remove_file(path);
                }
                Err(SinkError::Write { path: path.to_owned(), source })
            }
        }
    }

    /// Writes all, or says how much was written before it failed.
    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let written = match &mut self.to {
                To::File(file) => file.write(rest),
                To::Stream(stream) => stream.write(rest),
            };
            match written {
                Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    done += n;
                    self.at += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err((done, e)),
            }
        }
        if let To::Stream(stream) = &mut self.to {
            stream.flush().map_err(|e| (done, e))?;
        }
        Ok(())
    }

    /// Takes the file back to `at`, where a block ends.
    fn take_back(&mut self, at: u64) -> io::Result<()> {
        if let To::File(file) = &mut self.to {
            file.set_len(at)?;
            file.seek(SeekFrom::Start(at))?;
            self.at = at;
        }
        Ok(())
    }

    /// Writes the secrets into their room as far as they fit, and the rest and the last blocks at the end.
    fn end(&mut self, tail: &Tail) -> Result<(), (usize, io::Error)> {
        let mut key_log = tail.key_log.as_slice();
        if let (To::File(file), Some((at, length)), false) =
            (&mut self.to, self.room.take(), key_log.is_empty())
        {
            // Two blocks in the place of one: 20 bytes of the first are structure, and the second has 12 at least.
            let fits = lines_within(key_log, length.saturating_sub(20 + 3 + 12));
            let (first, rest) = key_log.split_at_checked(fits).unwrap_or((key_log, &[]));
            let mut blocks = Vec::with_capacity(length);
            pcapng::secrets(&mut blocks, first);
            let left = length.saturating_sub(blocks.len());
            pcapng::room(&mut blocks, left);
            if fits > 0 && blocks.len() == length {
                let end = self.at;
                file.seek(SeekFrom::Start(at)).map_err(|e| (0, e))?;
                file.write_all(&blocks).map_err(|e| (0, e))?;
                file.seek(SeekFrom::Start(end)).map_err(|e| (0, e))?;
                key_log = rest;
            }
        }
        let mut blocks = Vec::new();
        while !key_log.is_empty() {
            let some = match lines_within(key_log, MAX_SECRETS) {
                // No line of a key log is that long, but it is not for a recorder to judge.
                0 => MAX_SECRETS,
                bytes => bytes,
            };
            let (some, rest) = key_log.split_at_checked(some).unwrap_or((key_log, &[]));
            pcapng::secrets(&mut blocks, some);
            key_log = rest;
        }
        blocks.extend_from_slice(&tail.blocks);
        self.write(&blocks)
    }
}

/// Bytes of the whole lines at the start of `text` that fit into `most`; 0 where not even one does.
fn lines_within(text: &[u8], most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    let head = text.get(..most).unwrap_or_default();
    head.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)
}

/// A new file that only its owner may read and write.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Frames among whole blocks.
fn frames(blocks: &[u8]) -> u64 {
    pcapng::blocks(blocks).filter(|(_, kind, _)| *kind == pcapng::PACKET).count() as u64
}

/// A buffer of which only a part was written.
struct Broken {
    /// Where it begins in the file.
    base: u64,
    buffer: Vec<u8>,
    written: usize,
}

struct Writer {
    output: Output,
    force: bool,
    failed: Arc<AtomicBool>,
    back: Sender<Vec<u8>>,
    written: Written,
    broken: Option<Broken>,
}

impl Writer {
    fn run(mut self, todo: &Receiver<Job>) -> Written {
        while let Ok(job) = todo.recv() {
            match job {
                Job::Blocks(blocks) => self.blocks(blocks),
                Job::Next { tail, path, head, remove } => {
                    if self.written.error.is_none() {
                        self.end(&tail);
                    }
                    if self.written.error.is_some() {
                        continue;
                    }
                    match Output::create(&path, &head, self.force) {
                        Ok(output) => self.output = output,
                        Err(error) => self.fail(error),
                    }
                    for path in remove {
                        // A file of ours that somebody else took away is gone as it should be.
                        let _ = std::fs::remove_file(path);
                    }
                }
                Job::End(tail) => {
                    self.end(&tail);
                    break;
                }
            }
        }
        self.written
    }

    fn fail(&mut self, error: SinkError) {
        self.written.error.get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    fn blocks(&mut self, mut blocks: Vec<u8>) {
        if self.written.error.is_some() {
            self.written.not_written += frames(&blocks);
        } else {
            let base = self.output.at;
            if let Err((written, source)) = self.output.write(&blocks) {
                let path = self.output.path.clone();
                self.fail(SinkError::Write { path, source });
                self.broken = Some(Broken { base, buffer: std::mem::take(&mut blocks), written });
            } else {
                self.written.frames += frames(&blocks);
                self.written.bytes += blocks.len() as u64;
            }
        }
        blocks.clear();
        // Nobody waits for it any more once the recording has ended.
        let _ = self.back.send(blocks);
    }

    fn end(&mut self, tail: &Tail) {
        let at = match self.broken.take() {
            None if self.written.error.is_some() => return,
            None => self.output.at,
            Some(broken) => {
                let keep = self.keep(&broken, tail);
                let kept = broken.buffer.get(..keep).unwrap_or_default();
                self.written.frames += frames(kept);
                self.written.bytes += kept.len() as u64;
                self.written.not_written += frames(broken.buffer.get(keep..).unwrap_or_default());
                let at = broken.base + keep as u64;
                if matches!(self.output.to, To::Stream(_)) || self.output.take_back(at).is_err() {
                    return;
                }
                at
            }
        };
        if let Err((_, source)) = self.output.end(tail) {
            // Without the last blocks the file is as good as one whose recorder was killed.
            let _ = self.output.take_back(at);
            let path = self.output.path.clone();
            self.fail(SinkError::Write { path, source });
        }
    }

    /// How much of a broken buffer stays: whole blocks, with room behind them for what ends the file. From a pipe nothing can be
    /// taken back, so there it is all that arrived whole.
    fn keep(&self, broken: &Broken, tail: &Tail) -> usize {
        let wanted = match self.output.to {
            To::Stream(_) => 0,
            To::File(_) => tail.key_log.len() + 64 + tail.blocks.len() + SPARE as usize,
        };
        let most = broken.written.saturating_sub(wanted);
        let ends = pcapng::blocks(&broken.buffer).map(|(at, _, length)| at + length);
        ends.take_while(|end| *end <= most).last().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Batch, FileFacts, open};
    use crate::model::CaptureTime;

    fn head(room: bool) -> Vec<u8> {
        let mut out = Vec::new();
        pcapng::section(&mut out, &pcapng::Section::default());
        pcapng::interface(&mut out, &pcapng::InterfaceDescription { link: 1, ..Default::default() });
        if room {
            pcapng::room(&mut out, ROOM);
        }
        out
    }

    fn packets(count: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for n in 0..count {
            pcapng::packet::<&str>(&mut out, CaptureTime(n as i64), 60, &[n as u8; 60], &[]);
        }
        out
    }

    fn tail(key_log: &str) -> Tail {
        let mut blocks = Vec::new();
        pcapng::statistics(
            &mut blocks,
            &pcapng::Statistics { comments: vec!["done".into()], ..Default::default() },
        );
        Tail { key_log: key_log.as_bytes().to_vec(), blocks }
    }

    fn facts(path: &Path) -> FileFacts {
        let mut reader = open(path).unwrap();
        let mut batch = Batch::default();
        while reader.next(&mut batch) {}
        reader.into_facts()
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_private_and_not_written_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcapng");
        std::fs::write(&path, "precious").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Sink::create(&path, &head(false), false), Err(SinkError::Exists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let mut sink = Sink::create(&path, &head(false), true).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "from the first");
        let _ = sink.put(packets(5));
        let written = sink.finish(tail(""));
        assert_eq!((written.frames, written.not_written), (5, 0));
        assert!(written.error.is_none());
        let facts = facts(&path);
        assert_eq!((facts.frames, facts.truncated), (5, false));
        assert_eq!(facts.comments, [(None, "done".to_owned())]);
    }

    #[test]
    fn secrets_stand_before_the_packets_and_the_rest_behind() {
        let folder = tempfile::tempdir().unwrap();
        for (lines, behind) in [(3, false), (6000, true)] {
            let path = folder.path().join(format!("{lines}.pcapng"));
            let mut sink = Sink::create(&path, &head(true), false).unwrap();
            let _ = sink.put(packets(4));
            let log: Vec<String> = (0..lines).map(|n| format!("CLIENT_RANDOM {n:064x} {n:096x}\n")).collect();
            let log = log.concat();
            assert!(sink.finish(tail(&log)).error.is_none());
            let facts = facts(&path);
            assert!(!facts.truncated, "{:?}", facts.faults);
            let places: Vec<u64> = facts.secrets.iter().map(|s| s.after_frame).collect();
            assert_eq!(places, if behind { vec![0, 4] } else { vec![0] });
            let all: Vec<u8> = facts.secrets.iter().flat_map(|s| s.data.clone()).collect();
            assert_eq!(all, log.as_bytes());
            assert!(facts.secrets.iter().all(|s| s.data.ends_with(b"\n")), "parted between lines");
        }
    }

    #[test]
    fn files_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = |n: u32| folder.path().join(format!("{n}.pcapng"));
        let mut sink = Sink::create(&path(1), &head(false), false).unwrap();
        for n in 2..5 {
            let _ = sink.put(packets(10));
            let remove = if n == 4 { vec![path(1)] } else { Vec::new() };
            sink.next(tail(""), path(n), head(false), remove);
        }
        let _ = sink.put(packets(1));
        let written = sink.finish(tail(""));
        assert_eq!(written.frames, 31);
        assert!(!path(1).exists());
        assert_eq!([2, 3, 4].map(|n| facts(&path(n)).frames), [10, 10, 1]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_at_once() {
        // /dev/full takes nothing; scripts/lab/recorder.py fills a small file system.
        let error = Sink::create(Path::new("/dev/full"), &head(false), false).err().unwrap();
        assert!(matches!(error, SinkError::Write { .. }), "{error}");
    }

    #[test]
    fn what_stays_of_a_broken_buffer_leaves_room_for_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcapng");
        let output = Output::create(&path, &head(false), false).unwrap();
        let base = output.at;
        let mut writer = Writer {
            output,
            force: false,
            failed: Arc::default(),
            back: channel().0,
            written: Written::default(),
            broken: None,
        };
        let buffer = packets(1000);
        let written = 50_001;
        writer.output.write(&buffer[..written]).unwrap();
        writer.fail(SinkError::Write { path: path.clone(), source: io::ErrorKind::StorageFull.into() });
        writer.broken = Some(Broken { base, buffer, written });
        writer.blocks(packets(7));
        writer.end(&tail(""));
        let facts = facts(&path);
        assert!(!facts.truncated, "{:?}", facts.faults);
        assert_eq!(facts.frames, writer.written.frames);
        assert_eq!(writer.written.frames + writer.written.not_written, 1007);
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(size + SPARE <= base + written as u64 && writer.written.frames > 300, "{size}");
        assert_eq!(facts.comments.len(), 1, "the statistics are there");
    }
}
