//! Captures: from a file, a pipe or a compressed file to batches of frames; and from an interface into pcapng files.
//!
//! Takes pcap (both byte orders, micro- and nanoseconds) and pcapng, plain, `.gz` or `.zst`; gives [`Batch`]es whose frames
//! are slices of one block of memory, with frame number, time, link type and file offset, and keeps what the
//! file says of itself ([`FileFacts`]: interfaces, comments, decryption secrets, hash).
//! Reads in large blocks, never through a memory map: a file that shrinks while it is read ends early, it does not
//! kill the process (`docs/decisions/0002-blocks-not-map.md`).
//! Recording ([`record`]) takes packets from a [`Tap`] (libpcap: [`live`]) and writes pcapng.
//! Does not look into the frames: that is `dissect`.

mod format;
#[cfg(feature = "live")]
pub mod live;
mod pcapng;
mod record;
mod sink;
mod source;

pub(crate) use source::{hex, unhex};

use std::path::{Path, PathBuf};

use crate::model::CaptureTime;

pub use format::Reader;
pub(crate) use pcapng::NSS_KEY_LOG;
pub use pcapng::{InterfaceDescription, Section};
pub use record::{
    Counts, Ended, Limits, MAX_KEY_LOG, MarkEvent, Next, Note, Recorded, Recording, Rotation, Tap, TapPacket,
    now, numbered, record,
};
pub use sink::{SinkError, Written};

/// Bytes that one batch holds at most, apart from a single larger record.
// Three of them are in work at once; such ones stay in the processor's caches between reading, decoding and dissecting.
pub const BATCH_BYTES: usize = 512 << 10;

/// The largest packet that is believed, as in Wireshark (`WTAP_MAX_PACKET_SIZE_STANDARD`).
pub const MAX_PACKET: usize = 262_144;

/// The largest pcapng block that is believed.
pub const MAX_BLOCK: usize = 16 << 20;

/// Why a capture could not be read at all. Faults within a capture are [`Fault`]s instead.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("{path:?}: cannot open: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file begins as a pcap file and ends within its header.
    #[error(
        "{path:?}: a pcap file that ends after {bytes} bytes, within its header of 24: nothing can be read"
    )]
    CutHeader {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
    /// The first bytes are of no known format.
    #[error(
        "{path:?}: neither pcap nor pcapng (first bytes {magic:02x?}); give a capture as Wireshark or tcpdump write it"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its first bytes, at most four.
        magic: Vec<u8>,
    },
    /// Reading failed before the first frame.
    #[error("{path:?}: cannot read at byte {at}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Bytes into the decompressed file.
        at: u64,
        /// What the system or the decompressor said.
        source: std::io::Error,
    },
}

/// libpcap link type (LINKTYPE_ value, <https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback, 4 bytes of address family in the host's order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// PPP with or without HDLC-like framing.
    pub const PPP: LinkType = LinkType(9);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// Raw IP, version from the first nibble.
    pub const RAW: LinkType = LinkType(101);
    /// IEEE 802.11 without radiotap.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// `OpenBSD` loopback, address family in network order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture v1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// IEEE 802.11 with radiotap.
    pub const RADIOTAP: LinkType = LinkType(127);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux netfilter log.
    pub const NFLOG: LinkType = LinkType(239);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// Name as libpcap writes it, with the number where nothing of it is read; the number alone where there is no name.
    #[must_use]
    pub fn name(self) -> String {
        // `DLT_RAW` has another number on each system.
        let known = if matches!(self.0, 12 | 14 | 101) { Some("RAW") } else { LinkType::listed(self.0) };
        known.map_or_else(|| format!("LINKTYPE_{}", self.0), str::to_owned)
    }

    /// Name and number, as a warning tells them: `USB_LINUX (LINKTYPE_ value 189)`.
    #[must_use]
    pub fn described(self) -> String {
        match LinkType::listed(self.0) {
            Some(name) => format!("{name} (LINKTYPE_ value {})", self.0),
            None => self.name(),
        }
    }

    fn listed(number: u16) -> Option<&'static str> {
        let at = NAMES.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        NAMES.get(at).map(|(_, name)| *name)
    }
}

/// Names of link types (<https://www.tcpdump.org/linktypes.html>, without those that are reserved for private use), ascending.
const NAMES: &[(u16, &str)] = &[
    (0, "NULL"),
    (1, "EN10MB"),
    (2, "EN3MB"),
    (3, "AX25"),
    (4, "PRONET"),
    (5, "CHAOS"),
    (6, "IEEE802"),
    (7, "ARCNET"),
    (8, "SLIP"),
    (9, "PPP"),
    (10, "FDDI"),
    (50, "PPP_SERIAL"),
    (51, "PPP_ETHER"),
    (99, "SYMANTEC_FIREWALL"),
    (100, "ATM_RFC1483"),
    (104, "C_HDLC"),
    (105, "IEEE802_11"),
    (106, "ATM_CLIP"),
    (107, "FRELAY"),
    (108, "LOOP"),
    (109, "ENC"),
    (113, "LINUX_SLL"),
    (114, "LTALK"),
    (117, "PFLOG"),
    (119, "PRISM_HEADER"),
    (122, "IP_OVER_FC"),
    (123, "SUNATM"),
    (127, "IEEE802_11_RADIO"),
    (129, "ARCNET_LINUX"),
    (138, "APPLE_IP_OVER_IEEE1394"),
    (139, "MTP2_WITH_PHDR"),
    (140, "MTP2"),
    (141, "MTP3"),
    (142, "SCCP"),
    (143, "DOCSIS"),
    (144, "LINUX_IRDA"),
    (163, "IEEE802_11_RADIO_AVS"),
    (165, "BACNET_MS_TP"),
    (166, "PPP_PPPD"),
    (169, "GPRS_LLC"),
    (170, "GPF_T"),
    (171, "GPF_F"),
    (177, "LINUX_LAPD"),
    (182, "MFR"),
    (187, "BLUETOOTH_HCI_H4"),
    (189, "USB_LINUX"),
    (192, "PPI"),
    (195, "IEEE802_15_4_WITHFCS"),
    (196, "SITA"),
    (197, "ERF"),
    (201, "BLUETOOTH_HCI_H4_WITH_PHDR"),
    (202, "AX25_KISS"),
    (203, "LAPD"),
    (204, "PPP_WITH_DIR"),
    (205, "C_HDLC_WITH_DIR"),
    (206, "FRELAY_WITH_DIR"),
    (209, "IPMB_LINUX"),
    (215, "IEEE802_15_4_NONASK_PHY"),
    (220, "USB_LINUX_MMAPPED"),
    (224, "FC_2"),
    (225, "FC_2_WITH_FRAME_DELIMS"),
    (226, "IPNET"),
    (227, "CAN_SOCKETCAN"),
    (228, "IPV4"),
    (229, "IPV6"),
    (230, "IEEE802_15_4_NOFCS"),
    (231, "DBUS"),
    (235, "DVB_CI"),
    (236, "MUX27010"),
    (237, "STANAG_5066_D_PDU"),
    (239, "NFLOG"),
    (240, "NETANALYZER"),
    (241, "NETANALYZER_TRANSPARENT"),
    (242, "IPOIB"),
    (243, "MPEG_2_TS"),
    (244, "NG40"),
    (245, "NFC_LLCP"),
    (247, "INFINIBAND"),
    (248, "SCTP"),
    (249, "USBPCAP"),
    (250, "RTAC_SERIAL"),
    (251, "BLUETOOTH_LE_LL"),
    (252, "WIRESHARK_UPPER_PDU"),
    (253, "NETLINK"),
    (254, "BLUETOOTH_LINUX_MONITOR"),
    (255, "BLUETOOTH_BREDR_BB"),
    (256, "BLUETOOTH_LE_LL_WITH_PHDR"),
    (257, "PROFIBUS_DL"),
    (258, "PKTAP"),
    (259, "EPON"),
    (260, "IPMI_HPM_2"),
    (261, "ZWAVE_R1_R2"),
    (262, "ZWAVE_R3"),
    (263, "WATTSTOPPER_DLM"),
    (264, "ISO_14443"),
    (265, "RDS"),
    (266, "USB_DARWIN"),
    (268, "SDLC"),
    (270, "LORATAP"),
    (271, "VSOCK"),
    (272, "NORDIC_BLE"),
    (273, "DOCSIS31_XRA31"),
    (274, "ETHERNET_MPACKET"),
    (275, "DISPLAYPORT_AUX"),
    (276, "LINUX_SLL2"),
    (278, "OPENVIZSLA"),
    (279, "EBHSCR"),
    (280, "VPP_DISPATCH"),
    (281, "DSA_TAG_BRCM"),
    (282, "DSA_TAG_BRCM_PREPEND"),
    (283, "IEEE802_15_4_TAP"),
    (284, "DSA_TAG_DSA"),
    (285, "DSA_TAG_EDSA"),
    (286, "ELEE"),
    (287, "Z_WAVE_SERIAL"),
    (288, "USB_2_0"),
    (289, "ATSC_ALP"),
    (290, "ETW"),
    (292, "ZBOSS_NCP"),
];

/// One packet record of a capture; its bytes are those of [`Batch::bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// Number from 1.
    pub number: u64,
    /// Time stamp; zero for records without one (pcapng simple packets).
    pub time: CaptureTime,
    /// Offset of the packet's first byte in the decompressed file.
    pub file_offset: u64,
    /// Index of the first byte in its batch.
    pub at: usize,
    /// Captured bytes.
    pub len: usize,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Link type of its interface.
    pub link: LinkType,
}

/// A run of frames in one block of memory.
#[derive(Debug, Default)]
pub struct Batch {
    /// The block; kept from batch to batch, so that it is cleared once and not with every reading.
    data: Vec<u8>,
    /// Bytes at the start of `data` that were read.
    filled: usize,
    /// The frames, ascending.
    pub frames: Vec<RawFrame>,
}

impl Batch {
    /// The bytes that were read.
    fn read(&self) -> &[u8] {
        self.data.get(..self.filled).unwrap_or_default()
    }

    /// Makes room for `bytes`.
    fn grow(&mut self, bytes: usize) {
        if self.data.len() < bytes {
            self.data.resize(bytes, 0);
        }
    }

    /// The captured bytes of `frame`; empty when the frame is not of this batch.
    #[must_use]
    pub fn bytes(&self, frame: &RawFrame) -> &[u8] {
        self.data.get(frame.at..frame.at + frame.len).unwrap_or_default()
    }
}

/// A fault of the file's own structure, with the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The last good frame before it; 0 when none.
    pub after_frame: u64,
    /// Bytes into the decompressed file.
    pub offset: u64,
    /// In words.
    pub what: String,
}

/// A block of key material found in the file (pcapng Decryption Secrets Block), kept for decryption.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The last frame before the block; 0 when none.
    pub after_frame: u64,
    /// Where the block stands in the decompressed file.
    pub offset: u64,
    /// Secrets type; `0x544c534b` is an NSS key log.
    pub kind: u32,
    /// The material; never printed.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets {{ kind: {:#010x}, {} bytes }}", self.kind, self.data.len())
    }
}

/// What a capture file says of itself, complete once it was read to its end.
#[derive(Clone, Debug, Default)]
pub struct FileFacts {
    /// SHA-256 of the file as stored, lower-case hex; empty until the end was reached.
    pub sha256: String,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// Bytes after decompression.
    pub decoded_bytes: u64,
    /// Bytes of file structure: headers, blocks without packets, padding.
    pub structure_bytes: u64,
    /// Bytes after a fault that could not be read as records.
    pub unread_bytes: u64,
    /// Frames read.
    pub frames: u64,
    /// Names of the interfaces in the order of their numbers, empty where the file names none.
    pub interfaces: Vec<String>,
    /// Comments with the frame that they stand at (`None`: at the section or an interface).
    pub comments: Vec<(Option<u64>, String)>,
    /// Key material carried by the file.
    pub secrets: Vec<Secrets>,
    /// Faults of the file's structure.
    pub faults: Vec<Fault>,
    /// The file ended within a record or a fault stopped the reading.
    pub truncated: bool,
}

/// Opens a capture; `-` is standard input. Compression is told by the first bytes, not by the name.
///
/// # Errors
/// [`CaptureError`] when the file cannot be opened or is of no known format; an empty file is of unknown format.
pub fn open(path: &Path) -> Result<Reader, CaptureError> {
    let raw: Box<dyn std::io::Read + Send> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(
            std::fs::File::open(path)
                .map_err(|source| CaptureError::Open { path: path.to_owned(), source })?,
        )
    };
    Reader::new(path.to_owned(), raw)
}

/// Opens a capture that is in memory.
///
/// # Errors
/// As [`open`].
pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Reader, CaptureError> {
    Reader::new(PathBuf::from(name), Box::new(std::io::Cursor::new(bytes)))
}
