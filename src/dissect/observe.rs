//! Observations: one message each, as `metaleak dissect` prints them (CONTRACT.md).

use serde::Serialize;
use serde_json::{Map, Value};

use super::packet::Endpoint;
use crate::model::CaptureTime;

/// One message of one flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The frame in which the message became complete.
    pub frame: u64,
    /// Order within the frame.
    pub order: u64,
    /// Time of that frame.
    pub time: CaptureTime,
    /// All frames, when there is more than one.
    pub frames: Vec<u64>,
    /// Flow number within the capture; 0 until the engine has numbered the flows, and for warnings without a flow.
    pub flow: u64,
    /// Sender.
    pub src: Option<Endpoint>,
    /// Receiver.
    pub dst: Option<Endpoint>,
    /// CONTRACT's `kind`.
    pub kind: &'static str,
    /// Outer tunnel layers.
    pub tunnel: Vec<&'static str>,
    /// The fields of that kind.
    pub fields: Map<String, Value>,
}

impl Observation {
    /// The JSON line without its newline. `capture` is the file's name.
    #[must_use]
    pub fn json(&self, capture: &str) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            capture: &'a str,
            frame: u64,
            time: String,
            flow: Option<u64>,
            src: Option<String>,
            dst: Option<String>,
            kind: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            frames: Option<&'a [u64]>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            tunnel: &'a [&'static str],
            #[serde(flatten)]
            fields: &'a Map<String, Value>,
        }
        let line = Line {
            capture,
            frame: self.frame,
            time: self.time.rfc3339(),
            flow: (self.flow > 0).then_some(self.flow),
            src: self.src.map(|e| e.to_string()),
            dst: self.dst.map(|e| e.to_string()),
            kind: self.kind,
            frames: (self.frames.len() > 1).then_some(&self.frames[..]),
            tunnel: &self.tunnel,
            fields: &self.fields,
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}
