//! A program that writes pcap to its standard output, as a [`Tap`].
//!
//! Takes a [`Command`]; reads the stream of packets (pcap in both byte orders, micro- and nanoseconds; the format is described in
//! draft-ietf-opsawg-pcap) in a thread; gives packets as they come, and what tcpdump said at its end of packets dropped. The other
//! side's clock is in the packets.

use std::io::Read;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::recorder::{self, Of, Opened};
use super::{BackendFault, Session, Take};
use crate::capture::{Counts, MAX_PACKET, Next, Tap, TapPacket};
use crate::model::CaptureTime;
use crate::scenario::drive::process;

/// How long the other side may take until the stream begins.
const BEGIN: Duration = Duration::from_secs(20);
/// How long it may take to end in order.
const END: Duration = Duration::from_secs(5);
/// How long tcpdump may hold packets back, which it loses when it is ended: its kernel buffer is read once a second. Its immediate mode
/// is no way out, for then that buffer has room for a few packets only.
const HELD_BACK: Duration = Duration::from_millis(1300);
/// Packets that wait; then the pipe has to.
const WAITING: usize = 256;
/// Bytes of what the program says that are kept.
const MAX_SAID: usize = 16 << 10;

/// How a program is asked to end.
pub(super) enum Ask {
    /// Its standard input is closed.
    CloseInput,
    /// SIGTERM.
    Terminate,
    /// Another program is run; its output is read as if the first had said it.
    Run(Command),
}

enum Message {
    Link(u16),
    Packet(CaptureTime, u32, Vec<u8>),
    End(String),
}

/// Starts a program and records what it gives.
pub(super) fn start(
    mut command: Command,
    ask: Ask,
    take: &Take,
    of: Of,
) -> Result<Box<dyn Session>, BackendFault> {
    let program = command.get_program().to_string_lossy().into_owned();
    let input = if matches!(ask, Ask::CloseInput) { Stdio::piped() } else { Stdio::null() };
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process::grouped(&mut command)
        .spawn()
        .map_err(|e| BackendFault(process::not_started(&program, &e)))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let said = Arc::new(Mutex::new(String::new()));
    let (send, packets) = sync_channel(WAITING);
    if let Some(mut from) = stdout {
        std::thread::spawn(move || {
            let why = read(&mut from, &mut |message| send.send(message).is_ok());
            let _ = send.send(Message::End(why));
        });
    }
    if let Some(from) = stderr {
        let said = Arc::clone(&said);
        std::thread::spawn(move || listen(from, &said));
    }
    let child = Arc::new(Mutex::new(child));
    let open = {
        let (said, child) = (Arc::clone(&said), Arc::clone(&child));
        move || -> Opened {
            let until = Instant::now() + BEGIN;
            let failed = |what: String| {
                process::end(&mut child.lock().unwrap_or_else(PoisonError::into_inner));
                // What it said may come a little after its output has ended.
                std::thread::sleep(Duration::from_millis(50));
                let said = last(&said);
                Err(if said.is_empty() {
                    format!("{program:?}: {what}")
                } else {
                    format!("{program:?}: {what}: {said}")
                })
            };
            match packets.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Message::Link(link)) => {
                    let tap = Stream { packets, current: Vec::new(), over: None, said };
                    Ok((Box::new(tap) as Box<dyn Tap>, link))
                }
                Ok(Message::End(why)) => failed(why),
                Ok(Message::Packet(..)) | Err(RecvTimeoutError::Disconnected) => {
                    failed("no stream of packets".into())
                }
                Err(RecvTimeoutError::Timeout) => {
                    failed(format!("no packet stream within {} s", BEGIN.as_secs()))
                }
            }
        }
    };
    let end = Box::new(move || {
        ask_to_end(ask, stdin, &child, &said);
        dropped(&said.lock().unwrap_or_else(PoisonError::into_inner))
    });
    recorder::start(take, of, Box::new(open), Some(end))
}

/// Asks a program to end, and sees to it that it does. Its last words are read by another thread, which gets a moment for them.
fn ask_to_end(ask: Ask, stdin: Option<ChildStdin>, child: &Mutex<Child>, said: &Mutex<String>) {
    std::thread::sleep(HELD_BACK);
    match ask {
        Ask::CloseInput => {
            drop(stdin);
            wait(child);
        }
        Ask::Terminate => {}
        Ask::Run(mut command) => {
            let never = std::sync::atomic::AtomicBool::new(false);
            if let Ok(output) = process::run(&mut command, None, Instant::now() + END, &never, None) {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.extend(output.text().chars().take(MAX_SAID));
            }
            wait(child);
        }
    }
    process::end(&mut child.lock().unwrap_or_else(PoisonError::into_inner));
    std::thread::sleep(Duration::from_millis(50));
}

/// Waits a little for a program that was asked to end.
fn wait(child: &Mutex<Child>) {
    let until = Instant::now() + END;
    let runs = || child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().is_ok_and(|s| s.is_none());
    while Instant::now() < until && runs() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Keeps what a program says.
fn listen(mut from: impl Read, said: &Mutex<String>) {
    let mut buffer = [0u8; 4096];
    while let Ok(n) = from.read(&mut buffer) {
        let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else { return };
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        // The end says how many packets were dropped, so it is the beginning that goes.
        said.push_str(&String::from_utf8_lossy(part));
        if said.len() > MAX_SAID {
            let kept: String = said.chars().skip(said.chars().count() / 2).collect();
            *said = kept;
        }
    }
}

/// The last line that a program said.
fn last(said: &Mutex<String>) -> String {
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    said.lines().rev().find(|l| !l.trim().is_empty()).map(process::plain).unwrap_or_default()
}

/// tcpdump's words at its end: `12 packets received by filter`, `0 packets dropped by kernel`, `0 packets dropped by interface`.
fn dropped(said: &str) -> Option<Counts> {
    let number = |what: &str| {
        let line = said.lines().rev().find(|line| line.contains(what))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let dropped = number("dropped by kernel")?;
    Some(Counts {
        received: number("received by filter").unwrap_or_default(),
        dropped,
        dropped_by_interface: number("dropped by interface").unwrap_or_default(),
    })
}

/// Reads a stream of packets to its end; gives why it ended. `give` says whether anybody still listens.
fn read(from: &mut impl Read, give: &mut dyn FnMut(Message) -> bool) -> String {
    let mut head = [0u8; 24];
    if let Err(e) = from.read_exact(&mut head) {
        return match e.kind() {
            std::io::ErrorKind::UnexpectedEof => "it ended before it wrote a packet stream".into(),
            _ => format!("cannot read: {e}"),
        };
    }
    let word = |bytes: &[u8; 24], at: usize, little: bool| {
        let four = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or([0; 4]);
        if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }
    };
    let (little, nanoseconds) = match word(&head, 0, true) {
        0xa1b2_c3d4 => (true, false),
        0xa1b2_3c4d => (true, true),
        0xd4c3_b2a1 => (false, false),
        0x4d3c_b2a1 => (false, true),
        other => return format!("no pcap stream (first bytes {other:08x}); tcpdump -U -w - gives one"),
    };
    // The upper bits say other things (FCS length).
    let link = (word(&head, 20, little) & 0xffff) as u16;
    if !give(Message::Link(link)) {
        return "nobody listens".into();
    }
    loop {
        let mut record = [0u8; 16];
        if let Err(e) = from.read_exact(&mut record) {
            return match e.kind() {
                std::io::ErrorKind::UnexpectedEof => "the stream has ended".into(),
                _ => format!("cannot read: {e}"),
            };
        }
        let field = |at: usize| {
            let four = record.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or([0; 4]);
            if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }
        };
        let (seconds, part, kept, wire) = (field(0), field(4), field(8), field(12));
        if kept as usize > MAX_PACKET {
            return format!("a packet of {kept} bytes: the stream is damaged");
        }
        let mut data = vec![0; kept as usize];
        if from.read_exact(&mut data).is_err() {
            return "the stream has ended within a packet".into();
        }
        let part = i64::from(part) * if nanoseconds { 1 } else { 1000 };
        let time = CaptureTime(i64::from(seconds).saturating_mul(1_000_000_000).saturating_add(part));
        if !give(Message::Packet(time, wire, data)) {
            return "nobody listens".into();
        }
    }
}

struct Stream {
    packets: Receiver<Message>,
    current: Vec<u8>,
    over: Option<String>,
    said: Arc<Mutex<String>>,
}

impl Tap for Stream {
    fn next(&mut self) -> Next<'_> {
        if let Some(why) = &self.over {
            return Next::Gone(why.clone());
        }
        match self.packets.try_recv() {
            Ok(Message::Packet(time, wire_len, data)) => {
                self.current = data;
                Next::Packet(TapPacket { time, wire_len, data: &self.current })
            }
            Ok(Message::Link(_)) | Err(TryRecvError::Empty) => Next::Nothing,
            Ok(Message::End(why)) => Next::Gone(self.over.insert(why).clone()),
            Err(TryRecvError::Disconnected) => Next::Gone("the stream has ended".into()),
        }
    }

    fn counts(&mut self) -> Option<Counts> {
        // Only at its end a program says what it dropped, and its last words may come a little after its output.
        self.over.as_ref()?;
        std::thread::sleep(Duration::from_millis(50));
        dropped(&self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time, length on the wire and bytes of a frame.
    type Frame = (i64, u32, Vec<u8>);

    fn stream(magic: [u8; 4], little: bool) -> (String, Vec<Frame>, u16) {
        let word = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut bytes = magic.to_vec();
        for n in [0x0004_0002, 0, 0, 262_144, 101] {
            bytes.extend(word(n));
        }
        for n in [1_700_000_000, 5, 3, 60] {
            bytes.extend(word(n));
        }
        bytes.extend(b"abc");
        bytes.extend(word(7));
        let (mut packets, mut link) = (Vec::new(), 0);
        let why = read(&mut &bytes[..], &mut |message| {
            match message {
                Message::Link(l) => link = l,
                Message::Packet(time, wire, data) => packets.push((time.0, wire, data)),
                Message::End(_) => {}
            }
            true
        });
        (why, packets, link)
    }

    #[test]
    fn streams_are_read_in_both_byte_orders_and_resolutions() {
        for (magic, little, nanoseconds) in [
            ([0xd4, 0xc3, 0xb2, 0xa1], true, 5000),
            ([0x4d, 0x3c, 0xb2, 0xa1], true, 5),
            ([0xa1, 0xb2, 0xc3, 0xd4], false, 5000),
            ([0xa1, 0xb2, 0x3c, 0x4d], false, 5),
        ] {
            let (why, packets, link) = stream(magic, little);
            assert_eq!(packets, [(1_700_000_000_000_000_000 + nanoseconds, 60, b"abc".to_vec())]);
            assert_eq!((why.as_str(), link), ("the stream has ended", 101));
        }
        let why = read(&mut &[7u8; 40][..], &mut |_| true);
        assert!(why.contains("no pcap stream"), "{why}");
        assert!(read(&mut &b"abc"[..], &mut |_| true).contains("before"));
    }

    #[test]
    fn what_tcpdump_says_at_its_end_is_counted() {
        let said = "listening on eth0\n12 packets captured\n15 packets received by filter\n3 packets dropped by kernel\n";
        let counts = dropped(said).unwrap();
        assert_eq!((counts.received, counts.dropped, counts.dropped_by_interface), (15, 3, 0));
        assert_eq!(dropped("listening on eth0"), None);
    }
}
