//! What flows say of calls: media by the way it takes, addresses of the parties in clear, and the answer (METRICS E12).
//!
//! Takes what `media`, `stun` and `sip` read; keeps [`FlowCall`] with the flow. Which flows make one call, whose an address is and
//! what was seen before the answer is judged by `calls`, over the whole report.

use std::net::SocketAddr;

use super::{Cx, Direction};
use crate::model::{CandidateSource, FlowCall, FlowCandidate};

/// Addresses of one flow that are kept.
const MAX_CANDIDATES: usize = 64;

/// A stream of media in a direction with so many bytes, headers of RTP included, from `frame` on; `relayed`: within a relay's
/// channel data or messages. RTCP and handshakes are no media.
pub(super) fn media(d: Direction, relayed: bool, bytes: u64, frame: u64, cx: &mut Cx<'_>) {
    let call = facts(cx);
    if !relayed {
        earliest(d.pick(&mut call.direct), frame);
    }
    let sum = if relayed { &mut call.relayed_bytes } else { &mut call.direct_bytes };
    *sum = sum.saturating_add(bytes);
    earliest(&mut call.first_media, frame);
}

/// A connectivity check of ICE (RFC 8445 section 7): one side tries to reach the other, which learns its address so.
pub(super) fn check(relayed: bool, frame: u64, cx: &mut Cx<'_>) {
    let d = cx.direction;
    let call = facts(cx);
    earliest(&mut call.first_check, frame);
    if !relayed {
        earliest(d.pick(&mut call.direct), frame);
    }
}

fn earliest(kept: &mut Option<u64>, frame: u64) {
    *kept = Some(kept.map_or(frame, |first| first.min(frame)));
}

/// The server of this flow is a relay: it was asked for an address or a channel.
pub(super) fn relay(cx: &mut Cx<'_>) {
    facts(cx).relay = true;
}

/// An address of one of the parties, in clear. `kind` as in RFC 8839, `peer` where it is not said.
pub(super) fn candidate(
    address: SocketAddr,
    kind: &str,
    source: CandidateSource,
    frame: u64,
    cx: &mut Cx<'_>,
) {
    let from_client = cx.direction == Direction::Up;
    let kind = match kind {
        "host" | "srflx" | "prflx" | "relay" => kind,
        _ => "peer",
    };
    let call = facts(cx);
    let known = |c: &FlowCandidate| c.address == address.to_string() && c.kind == kind && c.source == source;
    if call.candidates.len() < MAX_CANDIDATES && !call.candidates.iter().any(known) {
        call.candidates.push(FlowCandidate {
            address: address.to_string(),
            kind: kind.to_owned(),
            source,
            frame,
            from_client,
        });
    }
}

/// Media is announced to be received here (`c=` and `m=` of SDP).
pub(super) fn announced(address: SocketAddr, frame: u64, cx: &mut Cx<'_>) {
    candidate(address, "peer", CandidateSource::Sdp, frame, cx);
}

/// A request to talk (INVITE).
pub(super) fn invited(frame: u64, cx: &mut Cx<'_>) {
    facts(cx).invited.get_or_insert(frame);
}

/// The invitation was answered with success.
pub(super) fn answered(frame: u64, cx: &mut Cx<'_>) {
    facts(cx).answered.get_or_insert(frame);
}

fn facts<'a>(cx: &'a mut Cx<'_>) -> &'a mut FlowCall {
    cx.flow().call.get_or_insert_with(Box::<FlowCall>::default)
}
