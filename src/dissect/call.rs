//! What flows say of calls: media by the way it takes, addresses of the parties in clear, and the answer (METRICS E12).
//!
//! Takes what `media`, `stun` and `sip` read; keeps [`FlowCall`] with the flow. Which flows make one call, whose an address is and
//! what was seen before the answer is judged by `calls`, over the whole report.

use std::net::SocketAddr;

use super::{Cx, Direction};
use crate::model::{CandidateSource, FlowCall, FlowCandidate, FlowDialog};

/// Addresses of one flow, and of one call that SIP sets up over it, that are kept.
const MAX_CANDIDATES: usize = 64;

/// Calls of one flow that are told apart by their Call-ID; that there are more is warned of.
const MAX_DIALOGS: usize = 256;

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

/// An address of one of the parties, in clear, in STUN. `kind` as in RFC 8839, `peer` where it is not said.
pub(super) fn candidate(address: SocketAddr, kind: &str, frame: u64, cx: &mut Cx<'_>) {
    let from_client = cx.direction == Direction::Up;
    add(&mut facts(cx).candidates, address, kind, CandidateSource::Stun, (frame, from_client));
}

/// The same in a session description of the call with this Call-ID.
pub(super) fn described(call_id: &str, address: SocketAddr, kind: &str, frame: u64, cx: &mut Cx<'_>) {
    let from_client = cx.direction == Direction::Up;
    let Some(dialog) = dialog(call_id, frame, cx) else { return };
    add(&mut dialog.candidates, address, kind, CandidateSource::Sdp, (frame, from_client));
}

fn add(
    list: &mut Vec<FlowCandidate>,
    address: SocketAddr,
    kind: &str,
    source: CandidateSource,
    (frame, from_client): (u64, bool),
) {
    let kind = match kind {
        "host" | "srflx" | "prflx" | "relay" => kind,
        _ => "peer",
    };
    let address = address.to_string();
    if list.len() < MAX_CANDIDATES && !list.iter().any(|c| c.address == address && c.kind == kind) {
        list.push(FlowCandidate { address, kind: kind.to_owned(), source, frame, from_client });
    }
}

/// A request to talk: an INVITE that opens a dialog.
pub(super) fn invited(call_id: &str, frame: u64, cx: &mut Cx<'_>) {
    if let Some(dialog) = dialog(call_id, frame, cx) {
        dialog.invited.get_or_insert(frame);
    }
}

/// The invitation was answered with success.
pub(super) fn answered(call_id: &str, frame: u64, cx: &mut Cx<'_>) {
    if let Some(dialog) = dialog(call_id, frame, cx) {
        dialog.answered.get_or_insert(frame);
    }
}

/// Any message of a call that is known already.
pub(super) fn continued(call_id: &str, frame: u64, cx: &mut Cx<'_>) {
    let dialogs = cx.flow().call.as_mut().map(|call| &mut call.dialogs);
    if let Some(dialog) = dialogs.into_iter().flatten().find(|d| d.call_id == call_id) {
        dialog.last_frame = dialog.last_frame.max(frame);
    }
}

/// The call with this Call-ID; `None` where the flow has more than are told apart.
fn dialog<'a>(call_id: &str, frame: u64, cx: &'a mut Cx<'_>) -> Option<&'a mut FlowDialog> {
    let call = facts(cx);
    let at = call.dialogs.iter().position(|d| d.call_id == call_id).unwrap_or(call.dialogs.len());
    if at >= MAX_DIALOGS {
        if !std::mem::replace(&mut call.has_more_dialogs, true) {
            cx.warn(0, format!("SIP: of more than {MAX_DIALOGS} calls over one flow the first are told of"));
        }
        return None;
    }
    if at == call.dialogs.len() {
        let (call_id, first_frame) = (call_id.to_owned(), frame);
        call.dialogs.push(FlowDialog { call_id, first_frame, last_frame: frame, ..FlowDialog::default() });
    }
    facts(cx).dialogs.get_mut(at)
}

fn facts<'a>(cx: &'a mut Cx<'_>) -> &'a mut FlowCall {
    cx.flow().call.get_or_insert_with(Box::<FlowCall>::default)
}
