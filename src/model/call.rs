//! Calls in a report (`calls`), and what each flow says of one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CaptureTime;

/// Where an address of a party was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CandidateSource {
    /// An attribute of STUN or TURN.
    #[default]
    Stun,
    /// A session description, in SIP.
    Sdp,
    /// Packets that went directly to it.
    Packet,
}

/// What one flow says of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowCall {
    /// Bytes of RTP and SRTP that came by themselves.
    pub direct_bytes: u64,
    /// The same within channel data or messages of TURN.
    pub relayed_bytes: u64,
    /// The first frame with media.
    pub first_media: Option<u64>,
    /// First frames with a connectivity check or media that went by themselves, from the client and from the server.
    pub direct: [Option<u64>; 2],
    /// The first frame with a connectivity check of ICE, also within a relay's messages.
    pub first_check: Option<u64>,
    /// The server is a relay (TURN).
    pub relay: bool,
    /// Addresses of the parties in clear, in their order.
    pub candidates: Vec<FlowCandidate>,
    /// Times of the flow's first and last packet.
    pub times: (CaptureTime, CaptureTime),
    /// The calls that SIP sets up over it, in the order of their first messages.
    pub dialogs: Vec<FlowDialog>,
    /// There are more calls than `dialogs` tells of.
    pub has_more_dialogs: bool,
}

/// One call that SIP sets up over a flow: what has one Call-ID (RFC 3261 section 20.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowDialog {
    /// The Call-ID; empty where the message had none.
    pub call_id: String,
    /// Its first frame.
    pub first_frame: u64,
    /// Its last frame.
    pub last_frame: u64,
    /// Frame of the first INVITE that opens it (without a tag in To, RFC 3261 section 14.1).
    pub invited: Option<u64>,
    /// Frame of the first answer of success to such an INVITE.
    pub answered: Option<u64>,
    /// Addresses of the parties in its session descriptions, in their order.
    pub candidates: Vec<FlowCandidate>,
}

/// An address of a party, as a flow showed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowCandidate {
    /// `addr:port`.
    pub address: String,
    /// `host`, `srflx`, `prflx`, `relay` (RFC 8839 section 5.1), or `peer` where it is not said.
    pub kind: String,
    /// Where it was read.
    pub source: CandidateSource,
    /// The frame.
    pub frame: u64,
    /// The flow's client sent it.
    pub from_client: bool,
}

impl Call {
    /// All bytes of media.
    #[must_use]
    pub fn media_bytes(&self) -> u64 {
        self.peer_bytes.saturating_add(self.relay_bytes).saturating_add(self.server_bytes)
    }

    /// Media went straight to an address that was shown as the other party's, and that the device had sent to: each knows the other's.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        let with_media = |address: &str| {
            let host = super::endpoint(address).map_or(address.to_owned(), |(host, _)| host.to_string());
            self.peers.contains(&host)
        };
        self.exposed.iter().any(|e| e.kind != "relay" && e.sent_to.is_some() && with_media(&e.address))
    }

    /// There was media, all of it over relays or servers, and the device sent to no address of the other party.
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        let reached = self.exposed.iter().any(|e| e.kind != "relay" && e.sent_to.is_some());
        self.media_bytes() > 0 && self.peer_bytes == 0 && !reached
    }
}

/// A call: flows of one capture that share a socket of the device or that a session description names (METRICS E12).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// The capture.
    pub capture: String,
    /// Messenger id, where the flows have one and no two.
    pub messenger: Option<String>,
    /// Numbers of the flows, ascending.
    pub flows: Vec<u64>,
    /// First frame of these flows.
    pub first_frame: u64,
    /// Last frame of them.
    pub last_frame: u64,
    /// Bytes of RTP and SRTP, headers included, that went between the device and an address that is no known relay.
    pub peer_bytes: u64,
    /// Bytes of RTP and SRTP over a relay: within TURN, to an address that was used or announced as a relay, or to a port at which
    /// STUN and TURN servers listen (3478 to 3481, 5349, 5350).
    pub relay_bytes: u64,
    /// The same with a server that is no relay for others: the messenger's own network, or an address with a name in DNS or TLS.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub server_bytes: u64,
    /// `peer_bytes` by all three; null without media.
    pub peer_share: Option<f64>,
    /// Addresses without port to which media went directly, ascending.
    pub peers: Vec<String>,
    /// Relays over which media went, ascending.
    pub relays: Vec<String>,
    /// Servers of `server_bytes`, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Frame of the answer; null when there is none in the capture.
    pub answered: Option<u64>,
    /// What the answer is: `sip` (the first 2xx to an INVITE) or `media` (the first packet of media, where there is no INVITE).
    pub answered_by: Option<String>,
    /// Addresses of the other party that were in clear, by their frame.
    pub exposed: Vec<ExposedAddress>,
    /// How many of `exposed` that are not a relay's were seen before the answer, or at all where there was none.
    pub exposed_before_answer: u64,
    /// How many of `exposed` are of a local network.
    pub local_addresses: u64,
    /// To how many of `exposed` the device itself had sent something before the answer (`sent_to`): they know its address.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reached_before_answer: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// An address of the other party in clear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExposedAddress {
    /// Address and port; shown as they are, like all addresses of a report.
    pub address: String,
    /// `host`, `srflx`, `prflx`, `relay`, or `peer` where it is not said.
    pub kind: String,
    /// Where it was read.
    pub source: CandidateSource,
    /// The frame.
    pub frame: u64,
    /// Seen before the answer.
    pub before_answer: bool,
    /// First frame with a connectivity check of ICE (RFC 8445 section 7) or media that the device sent there: from then on
    /// whoever is there knows the device's address. Absent where none was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_to: Option<u64>,
}
