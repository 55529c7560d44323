//! A recording in a thread of its own, whatever its packets come from.
//!
//! Takes a [`Tap`] that is opened in the thread; gives a [`Session`]. Writing, marks and the end on a full disk are
//! [`capture::record`]'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{BackendFault, Ending, Session, Take};
use crate::capture::{
    self, Counts, Ended, InterfaceDescription, Limits, MarkEvent, Note, Recorded, Recording, Rotation,
    Section, Tap,
};
use crate::model::{CaptureNote, Tool};

/// Bytes kept of a packet.
pub(super) const SNAP_LENGTH: u32 = 262_144;

/// A tap and the LINKTYPE_ of its packets, or why there is none.
pub(super) type Opened = Result<(Box<dyn Tap>, u16), String>;

/// How the source of packets is ended in order, after which the recording ends by itself; what it counted.
pub(super) type EndSource = Box<dyn FnOnce() -> Option<Counts>>;

/// What the recording is of.
pub(super) struct Of {
    pub(super) interface: String,
    pub(super) filter: Option<String>,
    pub(super) recorder: String,
}

/// Starts the thread and waits until it records.
pub(super) fn start(
    take: &Take,
    of: Of,
    open: Box<dyn FnOnce() -> Opened + Send>,
    end_source: Option<EndSource>,
) -> Result<Box<dyn Session>, BackendFault> {
    let (stop, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (marks, heard) = sync_channel(1024);
    let (ready, is_ready) = sync_channel::<Result<(), String>>(2);
    let (take, halt, ended) = (take.clone(), Arc::clone(&stop), Arc::clone(&gone));
    let (interface, filter) = (of.interface.clone(), of.filter.clone());
    let work = move || -> Option<Recorded> {
        let done = (|| {
            let (mut tap, link) = open()?;
            let tool = Tool::this();
            let recording = Recording {
                path: take.path,
                force: false,
                section: Section {
                    hardware: std::env::consts::ARCH.into(),
                    os: std::env::consts::OS.into(),
                    application: format!("{} {}", tool.name, tool.version),
                    comments: vec![take.comment],
                },
                interface: InterfaceDescription {
                    name: interface,
                    filter: filter.unwrap_or_default(),
                    os: std::env::consts::OS.into(),
                    link,
                    snap_length: SNAP_LENGTH,
                },
                limits: Limits::default(),
                rotation: Rotation::default(),
                key_log: take.key_log,
                stop: &halt,
                marks: Some(heard),
            };
            let mut note = |note: Note<'_>| {
                if let Note::File(_) = note {
                    let _ = ready.send(Ok(()));
                }
            };
            capture::record(recording, &mut *tap, &mut note).map_err(|e| e.to_string())
        })();
        ended.store(true, Ordering::Relaxed);
        match done {
            Ok(recorded) => Some(recorded),
            Err(what) => {
                let _ = ready.send(Err(what));
                None
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("recorder".into())
        .spawn(work)
        .map_err(|e| BackendFault(format!("cannot start threads: {e}")))?;
    let running = Running { of, stop, gone, marks, thread, end_source };
    match is_ready.recv() {
        Ok(Ok(())) => Ok(Box::new(running)),
        Ok(Err(what)) => {
            Box::new(running).finish();
            Err(BackendFault(what))
        }
        Err(_) => Err(BackendFault("the recorder ended before it began".into())),
    }
}

struct Running {
    of: Of,
    stop: Arc<AtomicBool>,
    gone: Arc<AtomicBool>,
    marks: SyncSender<MarkEvent>,
    thread: JoinHandle<Option<Recorded>>,
    end_source: Option<EndSource>,
}

impl Session for Running {
    fn mark(&mut self, event: MarkEvent) {
        // A recorder that is gone takes no marks; the run's description has them.
        let _ = self.marks.try_send(event);
    }

    fn gone(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.gone)
    }

    fn finish(self: Box<Self>) -> Ending {
        let by_itself = self.gone.load(Ordering::Relaxed);
        let (mut notes, mut counts) = (Vec::new(), None);
        if let Some(end) = self.end_source {
            counts = end();
            if counts.is_none() {
                notes.push("the recording program did not say how many packets it dropped".into());
            }
            // The stream is at its end now; what was read of it is still being written.
            let until = Instant::now() + Duration::from_secs(5);
            while !self.gone.load(Ordering::Relaxed) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        let Ok(Some(recorded)) = self.thread.join() else {
            return Ending { recorder: self.of.recorder, notes, ..Ending::default() };
        };
        notes.extend(recorded.key_log_fault.clone());
        let counts = counts.unwrap_or(recorded.counts);
        let kept = recorded.written.frames;
        let fault = match (&recorded.written.error, &recorded.ended) {
            (Some(e), _) => Some(format!(
                "{e}; what came before is kept: {kept} frames, {} are lost",
                recorded.written.not_written
            )),
            (None, Ended::Gone(why)) if by_itself => Some(format!(
                "{:?}: no more packets ({why}); what came before is kept: {kept} frames",
                self.of.interface
            )),
            _ => None,
        };
        let word = match &recorded.ended {
            _ if recorded.written.error.is_some() => "unwritable",
            Ended::Gone(_) if by_itself => "interface-gone",
            _ => "asked",
        };
        let note = CaptureNote {
            interface: self.of.interface,
            filter: self.of.filter,
            snap_length: SNAP_LENGTH,
            start: recorded.start.rfc3339(),
            end: Some(recorded.end.rfc3339()),
            ended: Some(word.to_owned()),
            frames: recorded.written.frames,
            received: counts.received,
            dropped: counts.dropped,
            dropped_by_interface: counts.dropped_by_interface,
            not_written: recorded.written.not_written,
        };
        Ending { note: Some(note), fault, recorder: self.of.recorder, notes }
    }
}
