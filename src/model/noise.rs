//! What a device sends by itself: the types of noise and of what remains of a run without it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who sent a flow, as a recorder on the device wrote it into the capture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowApp {
    /// The system's number of the app (Android's UID); -1 where the recorder did not know it.
    pub uid: i32,
    /// The app's name, as far as the recorder keeps it (`PCAPdroid`: 19 bytes).
    pub name: String,
}

/// What control runs of the same device say of traffic: whether it was there as well while nobody used the app, or without the app. In
/// each field null means that there is no such control run to compare with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlsoSeen {
    /// In a run of the device without the app (`without-app`).
    #[serde(default)]
    pub without_app: Option<bool>,
    /// In a run with the app left alone (`idle-device`).
    #[serde(default)]
    pub when_idle: Option<bool>,
    /// In another app's name: the recorder on the device wrote down who sent it.
    #[serde(default)]
    pub other_app: Option<bool>,
}

impl AlsoSeen {
    /// Nothing to compare with.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == AlsoSeen::default()
    }

    /// It is known not to be what the device sends without the app: none of what was compared speaks against it, and something that can
    /// tell the app from the device was compared.
    #[must_use]
    pub fn remains(&self) -> bool {
        !self.is_noise() && (self.without_app.is_some() || self.other_app.is_some())
    }

    /// The device or another app sends it as well. What the recorder wrote down of this very flow outranks what control runs show of
    /// its end.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        self.other_app.unwrap_or_else(|| self.without_app == Some(true))
    }
}

/// A run beside control runs of the same device: the whole, what the device sends without the app, and what remains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// The run's capture, as in `inputs`.
    pub capture: String,
    /// The messenger that was run.
    pub messenger: String,
    /// The control runs that it was compared with; empty where only the recorder on the device told apps apart.
    #[serde(default)]
    pub controls: Vec<NoiseControl>,
    /// All flows of the run.
    pub whole: NoiseSum,
    /// Those that the device sends without the app as well, or another app; null where nothing tells.
    pub noise: Option<NoiseSum>,
    /// The whole without the noise: what claims about the app are judged by. Null where nothing tells.
    pub remains: Option<NoiseSum>,
    /// Of the noise, what stays judged all the same because more than the run ties it to the messenger (a signature, a name, a network).
    pub kept: Option<NoiseSum>,
    /// What is there with the app left alone as well, of the whole; null without such a control run.
    pub when_idle: Option<NoiseSum>,
    /// The ends that are in a control run or another app's as well, those with most bytes first.
    #[serde(default)]
    pub ends: Vec<NoiseEnd>,
}

/// A control run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoiseControl {
    /// Its capture.
    pub capture: String,
    /// `without-app` or `idle-device`.
    pub control: String,
    /// Seconds from its first to its last frame: what the device sends more rarely than that may be missing in it.
    pub seconds: u64,
}

/// Flows with their ends and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoiseSum {
    /// Flows.
    pub flows: u64,
    /// Distinct remote ends by address, transport and port.
    pub ends: u64,
    /// Bytes on the wire from client to server, link headers included.
    pub bytes_up: u64,
    /// Bytes on the wire from server to client.
    pub bytes_down: u64,
}

/// An end that is not the run's alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoiseEnd {
    /// Its name, or its address where it has none.
    pub end: String,
    /// `tcp`, `udp` …
    pub transport: String,
    /// Port of the server; 0 for transports without ports.
    pub port: u16,
    /// Where else it was seen.
    pub also_seen: AlsoSeen,
    /// Claims are judged with it all the same, because more than the run ties it to the messenger.
    pub kept: bool,
    /// Flows of the run.
    pub flows: u64,
    /// Their bytes.
    pub bytes_up: u64,
    /// Likewise.
    pub bytes_down: u64,
    /// The first frame of the first of them.
    pub first_frame: u64,
}
