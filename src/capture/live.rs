//! libpcap as a [`Tap`]: an interface of this machine.
//!
//! Takes the name of an interface and how to listen on it; gives packets with nanoseconds, and what the kernel counted. Reads
//! without waiting, so that a signal, a mark or a limit is heeded between two packets. Writes nothing: that is `record`.

use std::time::Duration;

use pcap::{Active, Capture, Device, Error, Linktype, Precision};

use super::record::{Counts, Next, Tap, TapPacket};
use crate::model::CaptureTime;

/// The interface that stands for all of them (Linux).
pub const ANY: &str = "any";

/// How long the kernel collects packets before it shows them. Many packets fill its blocks sooner; few are shown late by this.
const COLLECT: Duration = Duration::from_millis(10);

/// Why nothing can be captured.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// There is no such interface.
    #[error("no interface {name:?}; there are: {known}")]
    Unknown {
        /// As it was asked for.
        name: String,
        /// Names of those that there are.
        known: String,
    },
    /// It cannot be opened.
    #[error("{name:?}: cannot capture: {what}")]
    Open {
        /// The interface.
        name: String,
        /// In libpcap's words.
        what: String,
    },
    /// This process may not capture.
    #[error(
        "{name:?}: no right to capture ({what}); run as root, or give the program the right once: sudo setcap cap_net_raw,cap_net_admin=eip {program:?}"
    )]
    Rights {
        /// The interface.
        name: String,
        /// In libpcap's words.
        what: String,
        /// This program.
        program: std::path::PathBuf,
    },
    /// The filter is none.
    #[error(
        "--filter {filter:?}: {what}; the language is that of tcpdump (man pcap-filter), e.g. 'host 192.0.2.7 and not port 22'"
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// In libpcap's words.
        what: String,
    },
    /// Interfaces cannot be listed.
    #[error("cannot list the interfaces: {0}")]
    List(String),
}

/// How to listen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes kept of a packet.
    pub snap_length: u32,
    /// Bytes of the kernel's buffer.
    pub buffer: u32,
    /// Whether to take frames for other machines too; not possible on [`ANY`].
    pub promiscuous: bool,
    /// A filter in libpcap's language.
    pub filter: Option<String>,
}

/// An interface that is listened on.
pub struct Live {
    capture: Capture<Active>,
    link: u16,
    /// What libpcap said last; its counters have 32 bits.
    last: [u32; 3],
    counts: Counts,
}

/// An interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its state in words: up, loopback, wireless.
    pub state: Vec<&'static str>,
    /// Its addresses.
    pub addresses: Vec<std::net::IpAddr>,
    /// What libpcap says of it.
    pub description: String,
}

/// The interfaces that libpcap sees, as it orders them.
///
/// # Errors
/// [`LiveError::List`].
pub fn interfaces() -> Result<Vec<Interface>, LiveError> {
    let devices = Device::list().map_err(|e| LiveError::List(e.to_string()))?;
    let interface = |device: Device| {
        let flags = &device.flags;
        let words =
            [(flags.is_up(), "up"), (flags.is_loopback(), "loopback"), (flags.is_wireless(), "wireless")];
        Interface {
            name: device.name,
            state: words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect(),
            addresses: device.addresses.into_iter().map(|a| a.addr).collect(),
            description: device.desc.unwrap_or_default(),
        }
    };
    Ok(devices.into_iter().map(interface).collect())
}

/// What libpcap says, without the letters by which its binding tells kinds of errors.
fn said(error: Error) -> String {
    match error {
        Error::PcapError(what) => what,
        other => other.to_string(),
    }
}

impl Live {
    /// Begins to listen on `name`.
    ///
    /// # Errors
    /// [`LiveError`], which tells what can be done.
    pub fn open(name: &str, settings: &Settings) -> Result<Live, LiveError> {
        let failed = |e: Error| failure(name, said(e));
        let inactive = Capture::from_device(name).map_err(failed)?;
        let inactive = inactive
            // A mode that `any` does not have, and asking for it would be answered with a refusal.
            .promisc(settings.promiscuous && name != ANY)
            .snaplen(i32::try_from(settings.snap_length).unwrap_or(i32::MAX))
            .buffer_size(i32::try_from(settings.buffer).unwrap_or(i32::MAX))
            .timeout(COLLECT.as_millis() as i32)
            .precision(Precision::Nano);
        let mut capture = inactive.open().and_then(Capture::setnonblock).map_err(failed)?;
        // The second version of the cooked header says which interface a packet came by.
        if capture.get_datalink() == Linktype::LINUX_SLL {
            let _ = capture.set_datalink(Linktype::LINUX_SLL2);
        }
        if let Some(filter) = &settings.filter {
            let wrong = |e| LiveError::Filter { filter: filter.clone(), what: said(e) };
            capture.filter(filter, true).map_err(wrong)?;
        }
        let link = link_type(capture.get_datalink());
        Ok(Live { capture, link, last: [0; 3], counts: Counts::default() })
    }

    /// LINKTYPE_ value of the packets.
    #[must_use]
    pub fn link(&self) -> u16 {
        self.link
    }
}

/// The LINKTYPE_ value of a DLT_ value: the same but for `DLT_RAW`, which has a number of its own on each system
/// (<https://www.tcpdump.org/linktypes.html>).
fn link_type(dlt: Linktype) -> u16 {
    match dlt.0 {
        12 | 14 => super::LinkType::RAW.0,
        other => u16::try_from(other).unwrap_or(u16::MAX),
    }
}

fn failure(name: &str, what: String) -> LiveError {
    let name = name.to_owned();
    let low = what.to_lowercase();
    if low.contains("permi") || low.contains("not permitted") {
        let program = std::env::current_exe().unwrap_or_else(|_| "metaleak".into());
        return LiveError::Rights { name, what, program };
    }
    if low.contains("no such device") || low.contains("doesn't exist") || low.contains("siocgifhwaddr") {
        let known = interfaces().unwrap_or_default();
        let known: Vec<String> = known.into_iter().map(|i| i.name).collect();
        return LiveError::Unknown { name, known: known.join(", ") };
    }
    LiveError::Open { name, what }
}

impl Tap for Live {
    fn next(&mut self) -> Next<'_> {
        match self.capture.next_packet() {
            Ok(packet) => {
                // Their types differ from system to system; in nanosecond precision `tv_usec` has nanoseconds.
                let time = i128::from(packet.header.ts.tv_sec) * 1_000_000_000
                    + i128::from(packet.header.ts.tv_usec);
                let time = CaptureTime(i64::try_from(time).unwrap_or(i64::MAX));
                Next::Packet(TapPacket { time, wire_len: packet.header.len, data: packet.data })
            }
            Err(Error::TimeoutExpired | Error::NoMorePackets) => Next::Nothing,
            Err(e) => Next::Gone(said(e)),
        }
    }

    fn counts(&mut self) -> Option<Counts> {
        let stat = self.capture.stats().ok()?;
        let now = [stat.received, stat.dropped, stat.if_dropped];
        let [received, dropped, by_interface] = std::mem::replace(&mut self.last, now);
        self.counts.received += u64::from(stat.received.wrapping_sub(received));
        self.counts.dropped += u64::from(stat.dropped.wrapping_sub(dropped));
        self.counts.dropped_by_interface += u64::from(stat.if_dropped.wrapping_sub(by_interface));
        Some(self.counts)
    }

    fn delay(&self) -> Duration {
        COLLECT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_can_be_done() {
        let rights =
            failure("eth0", "You don't have permission to perform this capture on that device".into());
        assert!(rights.to_string().contains("setcap cap_net_raw,cap_net_admin=eip"), "{rights}");
        let none = failure("eth9", "No such device exists".into());
        assert!(matches!(none, LiveError::Unknown { .. }), "{none}");
        assert!(matches!(failure("eth0", "That device is not up".into()), LiveError::Open { .. }));
    }

    #[test]
    fn raw_ip_has_one_number_in_files() {
        assert_eq!([12, 14, 101, 1].map(|n| link_type(Linktype(n))), [101, 101, 101, 1]);
    }
}
