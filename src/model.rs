//! The public data model: what `report.json` holds (schema `metaleak/report/1`).
//!
//! Every module to the right of `dissect` reads and writes these types, so they are the one vocabulary of the
//! project. `docs/schema/report-1.json` is generated from them and a test compares the two.
//! Holds no logic beyond construction, ordering and display.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod call;
mod exposure;
mod judgement;
mod noise;
mod whereabouts;

pub use call::{Call, CandidateSource, ExposedAddress, FlowCall, FlowCandidate, FlowDialog};
pub use exposure::{Exposed, Exposure, NameExposure, PathBytes, Share, Zone};
pub use judgement::{Dose, DoseClass, DoseRuns, Next, Protection, RunsVerdict, ValueSpace};
pub use noise::{AlsoSeen, FlowApp, Noise, NoiseControl, NoiseEnd, NoiseSum};
pub use whereabouts::{NoPlace, Whereabouts};

/// The schema identifier of [`Report`]; its number rises when a field is renamed or removed.
pub const REPORT_SCHEMA: &str = "metaleak/report/1";

/// Position of a packet in its capture, counted from 1 as Wireshark does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Frame(pub u64);

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Nanoseconds since 1970-01-01 UTC as the capture says; may step backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureTime(pub i64);

impl CaptureTime {
    /// RFC 3339 in UTC with nine decimals, as CONTRACT asks; times outside of years 0 to 9999 are clamped.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let stamp =
            jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        format!("{stamp:.9}")
    }

    /// Milliseconds from `earlier` to this time; negative when the capture's clock stepped back.
    #[must_use]
    pub fn ms_since(self, earlier: CaptureTime) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }
}

/// The whole result of `replay --format json` and `study`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always [`REPORT_SCHEMA`].
    pub schema: String,
    /// The program that made this report.
    pub tool: Tool,
    /// One entry a capture, in the order of their file names.
    pub inputs: Vec<Input>,
    /// The reference data that destinations were judged with.
    pub reference: Vec<ReferenceSource>,
    /// The claim files that the claims were judged by.
    #[serde(default)]
    pub catalogue: Vec<ClaimFile>,
    /// The files of criteria and conclusions that the comparison was made by: the first that has criteria, the first that has conclusions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<ClaimFile>,
    /// Controls that were planted into a copy of each capture (`--controls`).
    #[serde(default)]
    pub controls: u32,
    /// One ledger an input, in the same order.
    pub coverage: Vec<Coverage>,
    /// All flows, by capture and first frame.
    pub flows: Vec<Flow>,
    /// All remote ends, by address.
    pub destinations: Vec<Destination>,
    /// What went to and came from push services, for each capture that shows any. It is no messenger's: all apps of a device share
    /// one connection, so a run's messenger is told beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub push: Vec<PushTraffic>,
    /// Runs beside control runs of the same device: the whole, and what remains of it; empty where nothing was compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noise: Vec<Noise>,
    /// Where the bytes went, in shares (METRICS E14).
    #[serde(default)]
    pub exposure: Exposure,
    /// Everything readable that should not be.
    pub findings: Vec<Finding>,
    /// The rules that found some of them, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleText>,
    /// Calls: the way of their media and the addresses that they show (METRICS E12).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// Measures of what encrypted traffic tells (`leakage`).
    pub leakage: Vec<Leakage>,
    /// The verdicts.
    pub claims: Vec<ClaimResult>,
    /// Messengers against criteria, and the comparison's own conclusions with what became of their premises.
    #[serde(default)]
    pub comparison: Comparison,
    /// Faults of the captures and of what is in them.
    pub warnings: Vec<Warning>,
}

/// A claim file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimFile {
    /// Its name, without folders.
    pub file: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
}

/// Traffic of one capture with push services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushTraffic {
    /// Name of the capture.
    pub capture: String,
    /// The messenger whose run it is; null when the recording is not described.
    pub messenger: Option<String>,
    /// Bytes on the wire towards the services, link headers included.
    pub bytes_up: u64,
    /// Bytes from them.
    pub bytes_down: u64,
    /// Numbers of the flows, ascending.
    pub flows: Vec<u64>,
}

/// Name, version and build features of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `metaleak`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// Cargo features compiled in, sorted.
    pub features: Vec<String>,
}

impl Tool {
    /// This very build.
    #[must_use]
    pub fn this() -> Tool {
        let mut features = Vec::new();
        if cfg!(feature = "live") {
            features.push("live".to_owned());
        }
        if cfg!(feature = "mimalloc") {
            features.push("mimalloc".to_owned());
        }
        Tool { name: "metaleak".into(), version: env!("CARGO_PKG_VERSION").into(), features }
    }
}

impl Input {
    /// What tells a recording from another: two files that agree in it are one recording, however they are named or packed, and one run.
    #[must_use]
    pub fn recording(&self) -> Option<(u64, u64, &str, &str)> {
        let (first, last) = (self.first_time.as_deref()?, self.last_time.as_deref()?);
        (self.frames > 0).then_some((self.frames, self.decoded_bytes, first, last))
    }
}

/// A capture that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    /// File name without its folder, unique within a report (a folder part is kept where two names clash).
    pub file: String,
    /// SHA-256 of the file as stored (before decompression), lower-case hex.
    pub sha256: String,
    /// Size of the file as stored, bytes.
    pub bytes: u64,
    /// Size of the capture after decompression, bytes; equal to `bytes` for an uncompressed file.
    pub decoded_bytes: u64,
    /// Frames read, as Wireshark counts.
    pub frames: u64,
    /// Time of the earliest frame, RFC 3339 with nanoseconds, UTC; null in an empty capture.
    pub first_time: Option<String>,
    /// Time of the latest frame.
    pub last_time: Option<String>,
    /// Link types seen, by their libpcap name (`EN10MB`, `RAW`, `LINUX_SLL2` …), sorted.
    pub link_types: Vec<String>,
    /// The file ended within a record, or a fault stopped the reading.
    pub truncated: bool,
    /// What is known of the run that made the capture (`NAME.run.json` beside it, or `run.json`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// Where it is, as it was given, for the lines that say what to do; unknown in a report that was read from a file.
    #[serde(skip)]
    pub path: Option<String>,
}

/// What a run folder or a file beside the capture says of how it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Messenger that the device ran, by its id in `claims/` (`signal`, `conversations` …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messenger: Option<String>,
    /// Scenario steps that were exercised, by name (`register`, `text-1to1` …).
    #[serde(default)]
    pub steps: Vec<String>,
    /// When the steps were done, in the order of their beginning; empty where nobody noted it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// Where the capture was taken; null when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<Vantage>,
    /// In which country or at which point of the globe that was: `DE`, or `47.37,8.54`; null when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Whereabouts>,
    /// What produced the traffic, in words (program and version).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The system's number of that app on the device (Android's UID), to tell its flows from other apps'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_uid: Option<i32>,
    /// What the device was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What recorded it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorder: Option<String>,
    /// How and where the recording was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
    /// `idle-device` or `without-app` where it is a control run: what the device sends by itself; null where the app was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Host name of the server that was chosen, for a messenger whose servers are (`conversations`, `caritas`): names below its
    /// registrable domain are the service's own, others are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Contacts in the device's address book, planted for a study of dose and response (0, 10, 100, 1000); null when nobody noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<u32>,
    /// What the recorder counted; null where another program recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<CaptureNote>,
    /// The trial of a scenario that `metaleak run` made; null where nobody ran one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Execution>,
    /// Planted secrets by name; searched for as if given with `--canary`, and masked in every output.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    pub canaries: BTreeMap<String, String>,
}

impl Run {
    /// Which control run it is; `None` where the app was used.
    #[must_use]
    pub fn control(&self) -> Option<&str> {
        let trial = || self.execution.as_ref()?.control.as_deref();
        self.control.as_deref().or_else(trial)
    }
}

/// One trial of a scenario, as `metaleak run` did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// The scenario, `messenger/name`.
    pub scenario: String,
    /// SHA-256 over the scenario's file and those that it includes.
    pub scenario_sha256: String,
    /// Number of the trial in the planned order, from 1, and how many were planned.
    pub trial: u32,
    /// Likewise.
    pub trials: u32,
    /// The dose; null without doses and in controls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dose: Option<u64>,
    /// Which repeat it is, from 1.
    pub repeat: u32,
    /// `idle-device` or `without-app`; null where the steps were done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// Seed of the order of trials.
    pub seed: u64,
    /// How it ended: `complete`, `failed` (a step), `interrupted`, `ended-by-hand`, `device-lost`, `capture-ended`; null while it goes on, and when
    /// the runner was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Who did the steps: `exec`, `manual`, `adb` …
    pub driver: String,
    /// Who recorded: `live`, `ssh` …
    pub backend: String,
    /// Operating system of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Version of the app that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// SHA-256 of the app's package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_sha256: Option<String>,
    /// Programs that took part, with their versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Names of the canaries that were planted; their values are in `canaries.toml` of the run folder alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planted: Vec<String>,
    /// SHA-256 of the vCard file of the contacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts_sha256: Option<String>,
    /// Steps that were not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedStep>,
    /// What else whoever reads this should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How far the device's clock is ahead of the recorder's; null where nobody compared them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset: Option<ClockOffset>,
}

/// A step that was not done; it has no mark, so no claim takes it for exercised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailedStep {
    /// Number of the step in the scenario, from 1.
    pub number: u32,
    /// What was to be done.
    pub action: String,
    /// The step in claims; null where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Where the scenario says so.
    pub place: String,
    /// When it was begun and given up, RFC 3339.
    pub start: String,
    /// Likewise.
    pub end: String,
    /// Why.
    pub why: String,
}

/// How far one clock is ahead of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockOffset {
    /// Nanoseconds that the device's clock is ahead.
    pub offset_ns: i64,
    /// The true offset is within this many nanoseconds of it.
    pub error_ns: u64,
    /// Packets seen by both that this rests on.
    pub pairs: u64,
}

/// When a step of a run was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The step, as in [`Run::steps`].
    pub step: String,
    /// When it began, RFC 3339 with a zone.
    pub start: String,
    /// When it ended, likewise; null when it was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

/// What `metaleak capture` noted of a capture while it recorded; with several files, of all of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureNote {
    /// The interface.
    pub interface: String,
    /// The filter, in libpcap's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Bytes kept of a packet at most.
    pub snap_length: u32,
    /// When it began, RFC 3339.
    pub start: String,
    /// When it ended; null while it goes on, and when the recorder was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Why it ended: `asked` (a signal), `duration`, `packets`, `size`, `interface-gone`, `unwritable` (a full disk); null as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Frames written.
    #[serde(default)]
    pub frames: u64,
    /// Packets that passed the filter as the kernel counted them; on Linux with those that it dropped then.
    #[serde(default)]
    pub received: u64,
    /// Packets that the kernel dropped because its buffer was full.
    #[serde(default)]
    pub dropped: u64,
    /// Packets that the interface or its driver dropped.
    #[serde(default)]
    pub dropped_by_interface: u64,
    /// Packets that the kernel gave and that could not be written.
    #[serde(default)]
    pub not_written: u64,
}

/// Where a capture was taken (DESIGN.md, "vantage").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Vantage {
    /// On the path, outside of the device.
    Router,
    /// An on-device VPN that answers handshakes itself (`PCAPdroid` without root).
    Vpn,
    /// tcpdump on the device itself.
    Device,
    /// At the server's side.
    Server,
}

impl Vantage {
    /// The word that stands for it in files.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Vantage::Router => "router",
            Vantage::Vpn => "vpn",
            Vantage::Device => "device",
            Vantage::Server => "server",
        }
    }
}

/// A set of reference data that took part in the judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceSource {
    /// Its name in `reference/SOURCES.toml`.
    pub name: String,
    /// The date that the data speaks of, `YYYY-MM-DD`.
    pub as_of: String,
    /// SPDX expression, or words where no identifier fits.
    pub licence: String,
    /// SHA-256 of the source file, lower-case hex.
    pub sha256: String,
    /// The attribution that the licence asks for; empty where none.
    #[serde(default)]
    pub attribution: String,
}

impl ReferenceSource {
    /// A file of data, by its text.
    pub(crate) fn of_text(name: &str, as_of: &str, licence: &str, text: &str) -> ReferenceSource {
        use sha2::Digest as _;
        ReferenceSource {
            name: name.to_owned(),
            as_of: as_of.to_owned(),
            licence: licence.to_owned(),
            sha256: crate::capture::hex(&sha2::Sha256::digest(text.as_bytes())),
            attribution: String::new(),
        }
    }
}

/// The coverage ledger of one capture: every byte is in exactly one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// The capture, as in [`Input::file`].
    pub capture: String,
    /// Bytes of the (decompressed) capture; equals the sum of `classes`.
    pub total: u64,
    /// Bytes of the file as it is stored, where it is compressed (gzip, zstd) and `total` counts what it unpacks to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<u64>,
    /// Bytes by class, e.g. `file`, `link`, `network`, `transport`, `tls.handshake`, `opaque`, `lost`.
    pub classes: BTreeMap<String, u64>,
}

/// One direction of a flow, seen from its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the client (the side that opened the flow) to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn reverse(self) -> Direction {
        match self {
            Direction::Up => Direction::Down,
            Direction::Down => Direction::Up,
        }
    }

    /// The entry for this direction of a pair that is kept as `[up, down]`.
    pub fn pick<T>(self, pair: &mut [T; 2]) -> &mut T {
        let [up, down] = pair;
        match self {
            Direction::Up => up,
            Direction::Down => down,
        }
    }
}

/// A bidirectional 5-tuple conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// The capture, as in [`Input::file`].
    pub capture: String,
    /// Number within the capture, from 1, by first frame; the same in `dissect` and in reports.
    pub flow: u64,
    /// `tcp`, `udp`, `icmp`, or `ip.N` for IP protocol number N.
    pub transport: String,
    /// `addr:port` or `[v6]:port` of the side that opened it.
    pub client: String,
    /// `addr:port` or `[v6]:port` of the other side.
    pub server: String,
    /// Application protocols recognised, in order of appearance (`http`, `xmpp`, `tls` …).
    pub app_protocols: Vec<String>,
    /// Names of the server with where each was seen.
    pub names: Vec<FlowName>,
    /// Messenger that the flow belongs to, by its id; null when none.
    pub messenger: Option<String>,
    /// Why `messenger` was said: `signature:ID`, `name:NAME`, `turn-realm:NAME`, `network:PREFIX`, `shared:NAME` (DNS answers
    /// alone give the address that name, and it is a delivery network's or has a name of somebody else too), `socket:ENDPOINT` (the
    /// device's UDP socket is also that of a flow which shows the messenger), `service:NAME` (the server that was chosen for the run), or
    /// `run` (the description of the recording).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messenger_why: Option<String>,
    /// JA4 of the first client hello; null when none.
    pub ja4: Option<String>,
    /// Bytes on the wire from client to server, link headers included, as Wireshark's conversations count.
    pub bytes_up: u64,
    /// Bytes on the wire from server to client.
    pub bytes_down: u64,
    /// Both by step of the scenario, where the run's marks say when each began; what comes before the first is in none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_step: Vec<StepBytes>,
    /// Frames of both directions.
    pub frames: u64,
    /// First frame.
    pub first_frame: u64,
    /// Last frame.
    pub last_frame: u64,
    /// `tls1.3`, `tls1.2`, `quic`, `noise`, `mtproto`, `threema-csp` … when a handshake was parsed; `none` when content was
    /// read in clear; `opaque` when neither; `empty` when no payload was exchanged.
    pub encryption: String,
    /// Frames that show `encryption` (the handshake, or the first clear bytes), at most eight.
    #[serde(default)]
    pub encryption_frames: Vec<u64>,
    /// Clear application bytes that preceded the encryption (an XMPP stream header before STARTTLS, say).
    #[serde(default)]
    pub clear_bytes: u64,
    /// Payload bytes of which nothing was read: ciphertext that no key opened, bytes that no protocol took, also behind an encryption that was
    /// opened, and bytes that the capture lacks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread_bytes: u64,
    /// HTTP messages with content that were read in clear: requests with a body, and answers of success with one that is no web
    /// page. Redirects, refusals and pages do not count: a portal or proxy on the way sends such ones in a server's name.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clear_messages: u64,
    /// TLS details when a hello was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Box<FlowTls>>,
    /// Messenger signatures that fired on this flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<SignatureHit>,
    /// What it says of a call; what comes of it stands in `calls`.
    #[serde(skip)]
    pub call: Option<Box<FlowCall>>,
    /// Times of its first and last packet; zero in a report that was read from a file.
    #[serde(skip)]
    pub times: (CaptureTime, CaptureTime),
    /// Outer layers, outermost first, at most eight: `vlan` for each tag, `mpls`, `pppoe`, `ah`, and tunnels: `ipip` (IPv4 in IPv4),
    /// `4in6`, `6in4`, `6in6`, `gre`, `erspan`, `pptp`, `vxlan`, `vxlan-gpe`, `geneve`, `gtp`, `teredo`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tunnel: Vec<String>,
    /// Time from SYN to SYN/ACK, or from the first flight of QUIC or DTLS to its answer, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// The two frames that `rtt_ms` is between: question and answer; empty without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rtt_frames: Vec<u64>,
    /// Who sent it, where a recorder on the device wrote that into the capture (`PCAPdroid`'s trailer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<FlowApp>,
    /// What control runs of the same device say of it; null where nothing was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_seen: Option<AlsoSeen>,
    /// How dense the payload of each direction that has any is, and of what class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub density: Vec<FlowDensity>,
}

/// How dense the payload of one direction is (METRICS E16). A high entropy alone says nothing of encryption.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowDensity {
    /// Who sent it.
    pub direction: Direction,
    /// What it is.
    pub class: ContentClass,
    /// Payload bytes.
    pub bytes: u64,
    /// Bytes of them, from the first on, that the figures are of.
    pub looked_at: u64,
    /// Shannon entropy of the byte values, bits a byte, corrected for small samples after Miller and Madow; null under 64 bytes.
    pub entropy_bits: Option<f64>,
    /// Chi-square statistic of the byte values against equal frequencies, with 255 degrees of freedom; null under 1,280 bytes.
    pub chi_square: Option<f64>,
}

/// What payload is: by what could be read, by structure, or by a handshake.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ContentClass {
    /// Read in clear.
    Cleartext,
    /// A container of a known compression.
    Compressed,
    /// A known format of pictures, sound or films.
    Media,
    /// Behind a parsed handshake of an encryption.
    Encrypted,
    /// None of these could be shown.
    #[default]
    Opaque,
}

impl ContentClass {
    /// All of them, in the order of a legend.
    pub const ALL: [ContentClass; 5] = [
        ContentClass::Cleartext,
        ContentClass::Compressed,
        ContentClass::Media,
        ContentClass::Encrypted,
        ContentClass::Opaque,
    ];
}

impl Flow {
    /// The device or another app sends it as well, and nothing but the run ties it to the messenger: it says nothing of the app.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        self.messenger_why.as_deref() == Some("run") && self.also_seen.is_some_and(|seen| seen.is_noise())
    }

    /// Address of the server side; `None` when the field does not hold one (a report edited by hand).
    #[must_use]
    pub fn server_address(&self) -> Option<IpAddr> {
        endpoint(&self.server).map(|(a, _)| a)
    }

    /// Port of the server side.
    #[must_use]
    pub fn server_port(&self) -> Option<u16> {
        endpoint(&self.server).map(|(_, p)| p)
    }

    /// Address of the client side.
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        endpoint(&self.client).map(|(a, _)| a)
    }
}

/// Splits `addr:port` or `[v6]:port`.
#[must_use]
pub fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    text.parse::<std::net::SocketAddr>().ok().map(|s| (s.ip(), s.port()))
}

/// Data sent before the handshake was done (RFC 8446 section 2.3, RFC 9001 section 4.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarlyData {
    /// The client hello offers it. QUIC's 0-RTT packets may be seen without the hello.
    pub offered: bool,
    /// Whether the server took it; null where its answer cannot be read, which is the rule.
    pub accepted: Option<bool>,
    /// Bytes of records or packets that were seen before the server's hello.
    pub bytes: u64,
    /// The first frames of them.
    pub frames: Vec<u64>,
}

/// What the first TLS handshake of a flow said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowTls {
    /// Negotiated version, `tls1.2` …; null when no server hello was seen.
    pub version: Option<String>,
    /// Negotiated cipher suite as `0x1301`.
    pub cipher: Option<String>,
    /// Server name of the client hello.
    pub sni: Option<String>,
    /// ALPN protocols offered.
    pub alpn: Vec<String>,
    /// `absent`, `outer` or `unknown` (an ECH extension that may be GREASE).
    pub ech: Option<String>,
    /// Config id of the ECH extension: a configuration with it makes `outer` of `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ech_config_id: Option<u8>,
    /// HPKE suite of the ECH extension, KDF and AEAD: `0x0001,0x0001`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ech_suite: Option<String>,
    /// Length of the encapsulated key of the ECH extension, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ech_enc_bytes: Option<u64>,
    /// Frame of the client hello.
    pub client_hello: Option<u64>,
    /// Frame of the server hello.
    pub server_hello: Option<u64>,
    /// Subject of the server's leaf certificate, when readable.
    pub subject: Option<String>,
    /// Issuer of the server's leaf certificate.
    pub issuer: Option<String>,
    /// Frame of the server's certificate message.
    pub certificate: Option<u64>,
    /// End of the leaf's validity, RFC 3339.
    pub not_after: Option<String>,
    /// Start of the leaf's validity, RFC 3339.
    pub not_before: Option<String>,
    /// What is wrong with the server's chain as sent: `expired`, `not-yet-valid`, `expired-intermediate`,
    /// `not-yet-valid-intermediate`, `self-issued` (by its names), `self-signed` (also by its key identifiers), `name-mismatch`,
    /// `weak-key`, `weak-signature`, `chain-order`. Trust in the root is not judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_faults: Vec<String>,
    /// Offers to resume an earlier session (ticket, pre-shared key or session id).
    #[serde(default)]
    pub resumption: bool,
    /// Data that the client sent, or offered to send, before the server answered (TLS 1.3 early data, QUIC 0-RTT): it can be
    /// played again by anyone who recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_data: Option<EarlyData>,
    /// SHA-256 of the ticket, identity or session id that the client offered, its first 16 hex digits: equal ones link
    /// connections of one device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_offered: Option<String>,
    /// The same of further identities that it offered beside that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_sessions_offered: Vec<String>,
    /// The same of tickets and session ids that the server gave out in clear (TLS 1.2 and older).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions_given: Vec<String>,
}

/// Bytes of a flow in one step of the scenario: from its mark until the next one's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepBytes {
    /// The step.
    pub step: String,
    /// Bytes on the wire from client to server.
    pub bytes_up: u64,
    /// Bytes on the wire from server to client.
    pub bytes_down: u64,
}

/// A name of a flow's server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct FlowName {
    /// Lower case, no final dot, IDNA A-labels.
    pub name: String,
    /// `dns`, `dns-hint` (an address hint of an HTTPS or SVCB record, where no A or AAAA record said it), `sni`, `certificate`,
    /// `http-host`, `xmpp-to`, `turn-realm` (what a relay asks to log in to); `ech-outer` for the cover name of a hello with real
    /// ECH, which is not the server's; `decrypted` for any that took the auditor's keys to read; `dns-ptr` for a PTR record in the
    /// capture, `reverse` for `reference/reverse.toml` where nothing else names the address: what the holder of the address calls
    /// it, shown and never decisive.
    pub source: String,
    /// The frame in which it was read; for `reverse` the first frame of the flow, which has the address.
    pub frame: u64,
    /// Only for `dns` and `dns-hint`: when the flow began, every answer that gave the name to this address had run out (by its TTL), so
    /// that the address may have been another's by then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub expired: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A wire-format signature of a messenger that fired.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct SignatureHit {
    /// Messenger id.
    pub messenger: String,
    /// Signature id, e.g. `whatsapp.noise-preface`.
    pub signature: String,
    /// Frames that it rests on.
    pub frames: Vec<u64>,
    /// `certain`, `likely` or `weak`.
    pub confidence: String,
    /// What it says in words, e.g. a client version in clear.
    pub detail: String,
}

/// An entry of a cloud operator's own list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cloud {
    /// Name of the cloud.
    pub provider: String,
    /// Its region (`eu-west-1`); null where none is published or the network is global.
    pub region: Option<String>,
    /// Services, where they are published (`CLOUDFRONT`, `EC2` …).
    pub services: Vec<String>,
    /// The source's name.
    pub source: String,
}

/// A remote end with all that is known of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Destination {
    /// RFC 5952 form for IPv6.
    pub address: String,
    /// All names seen for it, sorted.
    pub names: Vec<String>,
    /// The registrable domains of `names` by the Public Suffix List (`whatsapp.net` of `e1.whatsapp.net`), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The same names with where each was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_by: Vec<EndName>,
    /// The IPv4 address within an IPv6 `address`, which operator, places, law and role are judged by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
    /// Who announces the network; null where the reference data has none.
    pub operator: Option<Operator>,
    /// The company that operates the network (`reference/operators.toml`), where its autonomous system or cloud is known there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Companies whose service it is (`reference/messengers.toml`, `operators.toml`), apart from who operates the network; for ends of
    /// a messenger's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_of: Vec<String>,
    /// What each source says of its country.
    pub places: Vec<Place>,
    /// ISO 3166 code where the sources agree; null where they disagree (also with the region that a cloud's operator publishes) or
    /// know nothing, for anycast, and where the round trip strikes it out.
    pub country: Option<String>,
    /// How far the sources agree.
    pub agreement: Agreement,
    /// Who publishes that the address is anycast, so that it stands in many places at once (`reference/anycast.toml`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anycast: Option<String>,
    /// What a cloud operator publishes about the network: its region, and the services that use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// Under whose law it falls: by place, by the seat of the network's operator, by the seat of whose service it is.
    pub jurisdictions: Vec<Jurisdiction>,
    /// What it is for.
    pub role: Role,
    /// The rule that decided `role`, with its source.
    #[serde(default)]
    pub role_why: String,
    /// Smallest round trip seen, milliseconds.
    pub rtt_min_ms: Option<f64>,
    /// Farthest that the end can be by that round trip, km (METRICS E15); null where the vantage does not allow it.
    pub max_km: Option<f64>,
    /// What the round trip allows, for each place from which it was measured; empty where it bounds nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rtt_bounds: Vec<RttBound>,
    /// Countries that a source names, but whose nearest point is farther than the round trip allows; sorted. Speaks of the edge that
    /// answers, not of the origin behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rtt_excludes: Vec<String>,
    /// Why a round trip that was seen bounds nothing: `vantage-unknown`, `vantage-vpn`, `vantage-server`, `answered-locally`,
    /// `place-unknown`, `no-outline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_note: Option<String>,
    /// Bytes sent to it.
    pub bytes_up: u64,
    /// Bytes received from it.
    pub bytes_down: u64,
    /// Its flows as `CAPTURE#FLOW`.
    pub flows: Vec<String>,
    /// First frame of the first capture in which it appears.
    pub first_frame: u64,
    /// Messengers whose flows ended here, sorted.
    #[serde(default)]
    pub messengers: Vec<String>,
    /// What control runs of the same device say of it: seen there as well only where that holds of all flows that were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_seen: Option<AlsoSeen>,
}

/// A name of a destination and where it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndName {
    /// As in [`Destination::names`].
    pub name: String,
    /// As in [`FlowName::source`], sorted.
    pub sources: Vec<String>,
    /// In every flow that it names, the DNS answer had run out before ([`FlowName::expired`]).
    #[serde(default, skip_serializing_if = "is_false")]
    pub expired: bool,
    /// For `reverse`: the entry of `reverse.toml` and its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An IPv4 address that an IPv6 address carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Embedded {
    /// How it is carried.
    pub form: EmbeddedForm,
    /// The IPv4 address.
    pub address: String,
}

/// How an IPv6 address carries an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddedForm {
    /// `::ffff:0:0/96`: the same end, as a dual-stack socket writes it (RFC 4291 section 2.5.5.2).
    Ipv4Mapped,
    /// `64:ff9b::/96`: the end behind a translator (RFC 6052 section 2.1).
    Nat64,
    /// `2002::/16`: the router of the end's site (RFC 3056 section 2).
    #[serde(rename = "6to4")]
    SixToFour,
}

/// What the smallest round trip from one place says of the countries (METRICS E15).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RttBound {
    /// The place from which it was measured.
    pub from: Whereabouts,
    /// The smallest round trip, milliseconds.
    pub rtt_ms: f64,
    /// Capture in which it was seen.
    #[serde(default)]
    pub capture: String,
    /// The two frames that it is between: SYN and SYN/ACK, or the first flight of QUIC or DTLS and its answer.
    #[serde(default)]
    pub frames: Vec<u64>,
    /// Farthest that the end can be, km.
    pub max_km: f64,
    /// Countries that a source names and that are farther.
    pub excluded: Vec<TooFar>,
    /// How many countries and territories are near enough.
    pub possible: u32,
    /// Their codes, sorted; empty where they are more than 40.
    pub possible_codes: Vec<String>,
}

/// A country that is too far for a round trip.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TooFar {
    /// ISO 3166 alpha-2.
    pub country: String,
    /// Its nearest point is at least so far from the place of measurement, km: what the outline gives, less the outline's own error.
    pub km: u32,
}

/// The operator of a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Operator {
    /// Name as the source writes it.
    pub name: String,
    /// Autonomous system number; null where only a cloud list names the operator.
    pub asn: Option<u32>,
    /// The source's name in [`Report::reference`].
    pub source: String,
}

/// One source's word on the country of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// ISO 3166 alpha-2.
    pub country: String,
    /// The source's name in [`Report::reference`].
    pub source: String,
    /// Date of that source.
    pub as_of: String,
}

/// How far the sources on a place agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// Two or more sources, all the same.
    All,
    /// More than half of three or more say the same.
    Majority,
    /// No majority.
    Disagree,
    /// One source only.
    Single,
    /// No source knows it.
    #[default]
    None,
}

/// A law that applies to a destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Jurisdiction {
    /// ISO 3166 alpha-2.
    pub code: String,
    /// Why it applies.
    pub why: JurisdictionWhy,
    /// On what a transfer there can rest (GDPR chapter V).
    pub basis: Basis,
    /// What of it nobody looked up; empty when all of it has a source. With anything here, `basis` is only what is known so far
    /// and no claim may rest on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unverified: Vec<Unverified>,
    /// Date of the legal status.
    pub as_of: String,
    /// Entries of the reference data that seat and basis rest on, with source and date; empty where no entry applies.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}

/// A part of a legal status that was not looked up in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unverified {
    /// The operator's seat.
    Seat,
    /// Whether the operator is certified under the Data Privacy Framework, so that `none` may as well be `dpf`.
    Dpf,
    /// Number and day of the adequacy decision.
    Decision,
}

/// What ties a destination to a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JurisdictionWhy {
    /// The machine stands there, as the sources say.
    Place,
    /// The operator of the network has its seat there.
    OperatorSeat,
    /// The company whose service it is has its seat there, whoever operates the network (a messenger's own server at a host).
    ServiceSeat,
}

/// Basis for a transfer of personal data (GDPR chapter V).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Within the European Economic Area.
    Eea,
    /// An adequacy decision covers the country.
    Adequacy,
    /// The EU-US Data Privacy Framework, for certified organisations only.
    Dpf,
    /// None of these.
    None,
}

/// What a destination is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The messenger's own domain or network.
    FirstParty,
    /// Rented machines that the messenger's names point to.
    Hosting,
    /// A content delivery network.
    Cdn,
    /// A push service.
    Push,
    /// A tracker or analytics service.
    Tracker,
    /// A DNS resolver.
    Resolver,
    /// A media relay (TURN).
    Relay,
    /// The other party of a call.
    Peer,
    /// A time service.
    Time,
    /// The operating system's own traffic.
    Platform,
    /// None of these could be shown.
    #[default]
    Unknown,
}

/// Something readable that should not be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// `f1`, `f2` … in the order of the report.
    pub id: String,
    /// What kind of thing.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// In words, with the value masked.
    pub what: String,
    /// Encodings around the value, outermost first; empty for plain text.
    pub encoding: Vec<String>,
    /// The capture, as in [`Input::file`].
    pub capture: String,
    /// Frames that hold it.
    pub frames: Vec<u64>,
    /// Offset of its first byte in the stream of its direction (0 is the first payload byte).
    pub offset: u64,
    /// The flow.
    pub flow: u64,
    /// Who sent it.
    pub direction: Option<Direction>,
    /// It was only readable with keys that the auditor gave.
    pub decrypted: bool,
    /// Messenger of the flow, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messenger: Option<String>,
    /// The rule that found it, as in [`Report::rules`]; where a dissector did (without `confidence`), the id of what it finds
    /// (docs/payload.md). Absent where a canary did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How sure that rule is; what dissectors and canaries find is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// How often the rule found the same value in this flow and direction; `frames` are those of the first time. 0, and left
    /// out, where no rule did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u64,
    /// Stands for the value, so that the same one is known again in another capture; 0 where nothing does, and in a report that was
    /// read from a file.
    #[serde(skip)]
    pub value: u64,
}

/// How sure a rule is of what it finds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Other things look the same: for the record.
    #[default]
    Low,
    /// Hardly anything else looks so.
    Medium,
    /// A name beside it, check digits or a format of its own say what it is.
    High,
}

/// A rule that found something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleText {
    /// Its id.
    pub id: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// What it finds; in English the beginning of [`Finding::what`].
    pub text: Text,
}

/// Kind of a finding.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A password or the like.
    Credential,
    /// A planted secret.
    Canary,
    /// A number or id that points to a person or a device.
    Identifier,
    /// Readable content.
    #[default]
    Content,
    /// An HTTP cookie.
    Cookie,
    /// A session or bearer token.
    Token,
    /// A host or account name in clear.
    Name,
}

/// How bad a finding is, for `--fail-on`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// For the record.
    #[default]
    Info,
    /// Tells little.
    Low,
    /// Tells something personal.
    Medium,
    /// Content or identity.
    High,
    /// A secret that opens more.
    Critical,
}

/// A leakage measure (`leakage`, METRICS).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leakage {
    /// Its id, e.g. `E6.contact-dose-response`.
    pub metric: String,
    /// Messenger id.
    pub messenger: Option<String>,
    /// Scenario that it speaks of.
    pub scenario: Option<String>,
    /// The estimate.
    pub value: f64,
    /// Its unit, e.g. `bits`, `bytes/contact`.
    pub unit: String,
    /// Bootstrap 95 % interval.
    pub ci95: [f64; 2],
    /// Windows or runs.
    pub n: u64,
    /// Permutation test.
    pub p_value: Option<f64>,
    /// Seed of bootstrap and permutation.
    pub seed: u64,
    /// Frames that it rests on.
    pub evidence: Vec<Evidence>,
    /// What sent in these runs, in words; null where no run says it. Runs of other programs are not mixed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Where these runs were recorded; runs from elsewhere are not mixed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<Vantage>,
    /// What the slope can be, for `E6.contact-dose-response`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dose: Option<Dose>,
}

/// A claim with its verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimResult {
    /// `messenger.claim`, as in `claims/`.
    pub id: String,
    /// Messenger id.
    pub messenger: String,
    /// Criterion of the comparison.
    pub criterion: Criterion,
    /// The claim's text.
    pub text: Text,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, as a fixed word for `inconclusive` (`not-exercised`, `opaque`, `too-few-runs`, `control-failed`, `vantage-unsuitable`)
    /// and empty otherwise.
    pub reason: String,
    /// The reason in words, in both languages.
    #[serde(default)]
    pub explanation: Text,
    /// Frames that anyone can open.
    pub evidence: Vec<Evidence>,
    /// The positive control; null until one ran.
    pub control: Option<Control>,
    /// Controls of what else its silence rests on, such as the rules for readable bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_controls: Vec<Control>,
    /// Where the claim and its facts come from.
    pub sources: Vec<String>,
    /// What runs show alone, where there are several and one or more of them decides: by day, program, vantage and verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunsVerdict>,
    /// Some runs show the opposite of the claim and others fit it; both stand in `runs`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub runs_disagree: bool,
    /// For a claim that something leaves only as a hash: whether a hash protects it. A second verdict, apart from `verdict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
    /// What to do to decide it, each with a command line, while it is `inconclusive`; or to learn the detection power of a `not-contradicted`
    /// without a control.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Next>,
    /// Why the comparison's wording no longer fits, with the date; whatever the verdict.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub superseded: Text,
    /// Id of the claim that says what holds today.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub superseded_by: String,
    /// Date or version from which on the claim holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub valid_from: String,
    /// Date or version up to which the claim held.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub valid_until: String,
}

/// Messengers against criteria, and conclusions. Derived from the verdicts alone, by a file that anybody can edit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The columns.
    pub criteria: Vec<ComparisonCriterion>,
    /// One cell for each messenger and criterion.
    pub cells: Vec<ComparisonCell>,
    /// The weights of the criteria that each messenger meets, fails or leaves open; empty for criteria that only count claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<ComparisonTotal>,
    /// Judgements over claims.
    pub conclusions: Vec<Conclusion>,
}

/// A criterion that messengers are held against.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonCriterion {
    /// Short id.
    pub id: String,
    /// What it asks for.
    pub text: Text,
    /// Its weight; null for a criterion that only counts claims.
    pub weight: Option<f64>,
}

/// What the verdicts say of one messenger by one criterion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonCell {
    /// Messenger id.
    pub messenger: String,
    /// Id of the criterion.
    pub criterion: String,
    /// Whether it is met.
    pub outcome: Outcome,
    /// How many claims got which verdict.
    pub counts: BTreeMap<Verdict, u64>,
    /// Ids of the claims.
    pub claims: Vec<String>,
}

/// Weights of the criteria, summed for one messenger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonTotal {
    /// Messenger id.
    pub messenger: String,
    /// Of the criteria whose claims are all measured or not refuted.
    pub met: f64,
    /// Of those with a refuted claim.
    pub failed: f64,
    /// Of the rest.
    pub open: f64,
}

/// Whether a criterion is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The criterion only sorts claims, or asks nothing of this messenger.
    #[default]
    Counted,
    /// Every claim that it asks for is measured or not refuted.
    Met,
    /// A claim that it asks for is refuted.
    Failed,
    /// Neither.
    Open,
}

/// A judgement over claims; it has no verdict of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conclusion {
    /// `messenger.name`.
    pub id: String,
    /// Where the comparison says it; empty when it does not.
    pub section: String,
    /// The judgement.
    pub text: Text,
    /// The claims that it rests on.
    pub premises: Vec<Premise>,
}

impl Conclusion {
    /// The messenger that it is about: the part of the id before the point.
    #[must_use]
    pub fn messenger(&self) -> &str {
        self.id.split_once('.').map_or(self.id.as_str(), |(messenger, _)| messenger)
    }
}

/// A claim that a judgement rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Premise {
    /// Id of the claim.
    pub claim: String,
    /// The judgement needs it to hold; `false`: not to hold.
    pub holds: bool,
    /// The claim's verdict.
    pub verdict: Verdict,
    /// What that makes of the premise.
    pub state: PremiseState,
}

/// What became of a premise.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PremiseState {
    /// Evidence shows it.
    Measured,
    /// Exercised, and nothing against it was seen.
    NotRefuted,
    /// Evidence shows the opposite.
    Refuted,
    /// Not decided yet.
    #[default]
    Open,
    /// Traffic cannot decide it; the claim's sources stand for it.
    Documentary,
    /// True of the messenger then, not of today's; the claim says why.
    Superseded,
}

/// A criterion of the comparison.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The GDPR is kept.
    #[default]
    Gdpr,
    /// No use or disclosure of connection and usage data.
    Metadata,
    /// Easy to install, pay for and use.
    Threshold,
}

impl Criterion {
    /// Every criterion in the order of the comparison.
    pub const ALL: [Criterion; 3] = [Criterion::Gdpr, Criterion::Metadata, Criterion::Threshold];

    /// How claim files and reports write it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Criterion::Gdpr => "gdpr",
            Criterion::Metadata => "metadata",
            Criterion::Threshold => "threshold",
        }
    }
}

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// German.
    pub de: String,
}

impl Text {
    /// Whether neither language says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.en.is_empty() && self.de.is_empty()
    }
}

/// A verdict on a claim (DESIGN.md, "Verdicts").
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Evidence shows what the claim says.
    Supported,
    /// Evidence shows the opposite.
    Contradicted,
    /// Exercised, and nothing against the claim was seen.
    NotContradicted,
    /// The captures cannot decide it; the reason says why.
    #[default]
    Inconclusive,
    /// Traffic cannot decide it at all.
    Documentary,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Supported => "supported",
            Verdict::Contradicted => "contradicted",
            Verdict::NotContradicted => "not-contradicted",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Documentary => "documentary",
        })
    }
}

/// Frames of one capture that show something.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The capture, as in [`Input::file`].
    pub capture: String,
    /// Its SHA-256.
    #[serde(default)]
    pub sha256: String,
    /// Frames, ascending, at most 64; `note` says when there are more.
    pub frames: Vec<u64>,
    /// A Wireshark display filter that shows them.
    pub filter: String,
    /// What they show, in words.
    pub note: String,
}

impl Evidence {
    /// A Wireshark display filter that shows these frames.
    #[must_use]
    pub fn filter_of(frames: &[u64]) -> String {
        let list: Vec<String> = frames.iter().map(u64::to_string).collect();
        match &list[..] {
            [] => String::new(),
            [one] => format!("frame.number == {one}"),
            _ => format!("frame.number in {{{}}}", list.join(", ")),
        }
    }
}

/// Result of a positive control: planted leaks that the same detector found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Control {
    /// Leaks planted.
    pub planted: u64,
    /// Leaks found.
    pub found: u64,
    /// `found / planted`.
    pub power: f64,
    /// Wilson interval.
    pub ci95: [f64; 2],
    /// The shortest planted value from which on 95 of 100 were found, in bytes; null when even the longest were not.
    #[serde(default)]
    pub smallest_bytes: Option<u64>,
    /// What was planted.
    #[serde(default)]
    pub kind: ControlKind,
    /// Rules of which no planted example was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<String>,
}

impl Control {
    /// The detector is for certain blind: it found nothing, nothing of one rule, or less than 95 % even by the upper end of the interval.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.planted > 0 && (self.found == 0 || self.ci95[1] < 0.95 || !self.missed.is_empty())
    }
}

/// What a positive control plants.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ControlKind {
    /// Canaries in clear, in each encoding.
    #[default]
    Canary,
    /// Canaries within sessions of TLS whose secrets are known.
    Decryption,
    /// Uploads that grow with the address book.
    Dose,
    /// Connections of the messenger to a country and an operator that the capture does not have.
    Destination,
    /// Connections to trackers.
    Tracker,
    /// Examples of the rules for readable bytes.
    Rule,
    /// Calls straight to the other party.
    Call,
    /// Bursts of bytes while nobody used the app.
    Rest,
}

/// A fault of a capture or of what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// The capture, as in [`Input::file`].
    pub capture: String,
    /// The frame at or after which it happened; null before the first frame.
    pub frame: Option<u64>,
    /// Bytes into the (decompressed) file.
    pub offset: u64,
    /// In words.
    pub what: String,
    /// When it is of the age of reference data: the same in parts, which a page words in its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_age: Option<DataAge>,
}

/// How far the time of a capture is from that of the data that its addresses were judged with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct DataAge {
    /// Year of the capture's last packet.
    pub capture_year: i16,
    /// Year of the newest source used.
    pub data_year: i16,
    /// Date of the newest source used, `YYYY-MM-DD`.
    pub newest: String,
    /// Date of the oldest source used.
    pub oldest: String,
    /// Name of the oldest source used.
    pub oldest_source: String,
    /// A source is more than a year later than the capture: networks may have changed hands since.
    pub later: bool,
    /// Sources that are more than 12 months older than the capture.
    pub outdated: Vec<String>,
}
