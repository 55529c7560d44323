//! Calls: how much media went to the other party directly and over relays, and which of its addresses were in clear (METRICS
//! E12).
//!
//! Takes the flows of all captures with what `dissect` read of calls, and the relays among the destinations; gives [`Call`]s.
//! Flows make one call when they share a UDP socket of the device while both last or soon after (see `pause`), or when a session
//! description names an end of one of them. Calls that SIP sets up are told apart by their Call-ID; media of two between the same
//! two ends is one flow, and so the first one's. The answer is the first 2xx to an INVITE; where no INVITE is in the capture, the
//! first packet of media: before it, nobody can have talked. Questions to STUN and
//! TURN servers alone are no call; connectivity checks of ICE are one, also where nobody answers, for the other party learns the
//! device's address from them and an observer the other party's. An address that media goes to is a relay's by its service, a
//! server's where a name of DNS or TLS or the reference data make it one of an operator (conference bridges, gateways), and else
//! the peer's: a server that nothing names and that listens at none of STUN and TURN's ports is not told from a peer, so `peers` names
//! the addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::{Call, CandidateSource, ExposedAddress, Flow, FlowCall, FlowCandidate, FlowDialog};

/// Addresses of one call that are listed.
const MAX_EXPOSED: usize = 64;

/// What is known of an address by other means than the flows of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A relay.
    Relay,
    /// A server of the messenger's own or another operator: people do not have names in DNS or TLS, nor such networks.
    Server,
}

/// All calls, by capture and first frame.
#[must_use]
pub fn calls(flows: &[Flow], known: &dyn Fn(IpAddr) -> Option<Known>) -> Vec<Call> {
    let mut by_capture: BTreeMap<&str, Vec<Part<'_>>> = BTreeMap::new();
    for flow in flows {
        if let Some(call) = &flow.call {
            by_capture.entry(&flow.capture).or_default().extend(Part::of(flow, call));
        }
    }
    let mut all = Vec::new();
    for parts in by_capture.values() {
        all.extend(groups(parts).iter().filter_map(|group| judge(group, known)));
    }
    all
}

/// An address of a local network (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291).
fn local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let [first, second, ..] = a.octets();
            a.is_private() || a.is_loopback() || a.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(a) => a.to_ipv4_mapped().map_or_else(
            || a.is_loopback() || a.is_unique_local() || a.is_unicast_link_local(),
            |mapped| local(mapped.into()),
        ),
    }
}

/// What one flow says of one call: all of it, or one call of those that SIP sets up over it.
#[derive(Clone, Copy)]
struct Part<'f> {
    flow: &'f Flow,
    call: &'f FlowCall,
    dialog: Option<&'f FlowDialog>,
}

impl<'f> Part<'f> {
    /// The parts of a flow.
    fn of(flow: &'f Flow, call: &'f FlowCall) -> impl Iterator<Item = Part<'f>> {
        let more = !call.candidates.is_empty() || media(call) > 0 || call.first_check.is_some();
        let whole = (more || call.dialogs.is_empty()).then_some(Part { flow, call, dialog: None });
        whole.into_iter().chain(call.dialogs.iter().map(move |dialog| Part {
            flow,
            call,
            dialog: Some(dialog),
        }))
    }

    /// What the flow says of media; nothing where it only sets up this call.
    fn media(&self) -> Option<&'f FlowCall> {
        self.dialog.is_none().then_some(self.call)
    }

    fn candidates(&self) -> &'f [FlowCandidate] {
        self.dialog.map_or(&self.call.candidates, |d| &d.candidates)
    }

    fn first_frame(&self) -> u64 {
        self.dialog.map_or(self.flow.first_frame, |d| d.first_frame)
    }

    fn last_frame(&self) -> u64 {
        self.dialog.map_or(self.flow.last_frame, |d| d.last_frame)
    }
}

/// All bytes of media.
fn media(call: &FlowCall) -> u64 {
    call.direct_bytes.saturating_add(call.relayed_bytes)
}

/// Which parts make one call: each names another one of its set, or itself, and the one that stands for the set knows whether
/// SIP has set it up.
struct Sets(Vec<(usize, bool)>);

impl Sets {
    fn root(&mut self, mut at: usize) -> usize {
        while let Some((up, _)) = self.0.get(at).copied().filter(|(up, _)| *up != at) {
            // Shortens the way for the next time.
            let above = self.0.get(up).map_or(up, |(above, _)| *above);
            if let Some((kept, _)) = self.0.get_mut(at) {
                *kept = above;
            }
            at = up;
        }
        at
    }

    fn set_up(&mut self, at: usize) -> bool {
        let root = self.root(at);
        self.0.get(root).is_some_and(|(_, set_up)| *set_up)
    }

    fn join(&mut self, one: usize, other: usize) {
        let set_up = self.set_up(one) || self.set_up(other);
        let (one, other) = (self.root(one), self.root(other));
        if let Some((kept, _)) = self.0.get_mut(one.max(other)) {
            *kept = one.min(other);
        }
        if let Some((_, kept)) = self.0.get_mut(one.min(other)) {
            *kept = set_up;
        }
    }
}

/// The parts of each call, in the order of their first frames.
fn groups<'f>(parts: &[Part<'f>]) -> Vec<Vec<Part<'f>>> {
    let mut sets = Sets(parts.iter().enumerate().map(|(at, p)| (at, p.dialog.is_some())).collect());
    by_description(parts, &mut sets);
    by_socket(parts, &mut sets);
    let mut all: BTreeMap<usize, Vec<Part<'f>>> = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        all.entry(sets.root(at)).or_default().push(*part);
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by_key(|parts| parts.iter().map(Part::first_frame).min());
    all
}

/// What SIP sets up: parts with one Call-ID, and the flows of media between the ends that the descriptions name. A flow between
/// the ends of several calls is of the one that named them last before it began.
fn by_description(parts: &[Part<'_>], sets: &mut Sets) {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut named: BTreeMap<SocketAddr, Vec<(u64, usize)>> = BTreeMap::new();
    for (at, dialog) in parts.iter().enumerate().filter_map(|(at, p)| Some((at, p.dialog?))) {
        if !dialog.call_id.is_empty() {
            let first = *ids.entry(&dialog.call_id).or_insert(at);
            sets.join(first, at);
        }
        for c in &dialog.candidates {
            if let Ok(address) = c.address.parse() {
                named.entry(address).or_default().push((c.frame, at));
            }
        }
    }
    for list in named.values_mut() {
        list.sort_unstable();
    }
    for (at, part) in parts.iter().enumerate().filter(|(_, p)| p.dialog.is_none()) {
        let ends = [&part.flow.client, &part.flow.server];
        let lists = ends.into_iter().filter_map(|end| named.get(&end.parse().ok()?));
        let of = lists.filter_map(|list| namer(list, part.flow.first_frame));
        let of = of.filter(|(frame, _)| *frame <= part.flow.last_frame);
        let rank = |(frame, at): &(u64, usize)| {
            let before = *frame <= part.flow.first_frame;
            (before, if before { *frame } else { u64::MAX - frame }, usize::MAX - at)
        };
        if let Some((_, dialog)) = of.max_by_key(rank) {
            sets.join(dialog, at);
        }
    }
}

/// Who of those that named an address, by frame in order, did so last before this frame, else first after it.
fn namer(list: &[(u64, usize)], frame: u64) -> Option<(u64, usize)> {
    let before = list.get(..list.partition_point(|(named, _)| *named <= frame))?;
    match before.last() {
        Some((latest, _)) => list.get(list.partition_point(|(named, _)| named < latest)).copied(),
        None => list.first().copied(),
    }
}

/// Flows of one UDP socket of the device make one call while each begins before the ones before it are over, see `pause`.
fn by_socket(parts: &[Part<'_>], sets: &mut Sets) {
    let mut sockets: BTreeMap<SocketAddr, Vec<usize>> = BTreeMap::new();
    for (at, part) in
        parts.iter().enumerate().filter(|(_, p)| p.dialog.is_none() && p.flow.transport == "udp")
    {
        if let Some(socket) = device(part.flow) {
            sockets.entry(socket).or_default().push(at);
        }
    }
    for mut there in sockets.into_values() {
        there.sort_by_key(|at| parts.get(*at).map(|p| (p.flow.first_frame, p.flow.flow)));
        // A member of the call so far, its last frame, and until when it goes on.
        let mut open: Option<(usize, u64, i64)> = None;
        for at in there {
            let Some(part) = parts.get(at) else { continue };
            let (flow, (first, last)) = (part.flow, part.call.times);
            let until = last.0.saturating_add(pause(part.call));
            let goes_on = open.filter(|(member, frame, time)| {
                // Two calls of SIP stay two, also where one socket serves them one after the other.
                let apart = sets.set_up(*member) && sets.set_up(at) && sets.root(*member) != sets.root(at);
                !apart && (flow.first_frame <= *frame || first.0 <= *time)
            });
            open = Some(match goes_on {
                Some((member, frame, time)) => {
                    sets.join(member, at);
                    (at, frame.max(flow.last_frame), time.max(until))
                }
                None => (at, flow.last_frame, until),
            });
        }
    }
}

/// Nanoseconds that a socket may be silent without the call being over. Where media went: 30 s, after which consent to send has
/// expired (RFC 7675 section 5.1). Before that: the two minutes that a translator keeps the way to a socket open at least (RFC
/// 4787 REQ-5); what a STUN or TURN server said of the socket before a longer silence need not hold any more, so that a party
/// that waits for an answer keeps it open (RFC 8445 section 11). A socket that another call uses has another port by then, as
/// systems choose ports at random (RFC 6056); where a program always takes the same port, calls that follow within this time are one here.
fn pause(call: &FlowCall) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    if media(call) > 0 { 30 * SECOND } else { 120 * SECOND }
}

/// The device's end of a flow: the one in the local network, or, where both or none are, the client's.
fn device(flow: &Flow) -> Option<SocketAddr> {
    let (client, server) = (flow.client.parse::<SocketAddr>().ok(), flow.server.parse::<SocketAddr>().ok());
    let inside = |end: &Option<SocketAddr>| end.is_some_and(|end| local(end.ip()));
    if inside(&server) && !inside(&client) { server } else { client }
}

/// The other end.
fn far_end(flow: &Flow) -> Option<SocketAddr> {
    let device = device(flow)?;
    let ends = [&flow.client, &flow.server].map(|end| end.parse::<SocketAddr>().ok());
    ends.into_iter().flatten().find(|end| *end != device)
}

/// The other end's address.
fn remote(flow: &Flow) -> Option<IpAddr> {
    far_end(flow).map(|end| end.ip())
}

/// The other end, outside of the local network, is at a port of STUN and TURN servers.
fn at_relay_port(flow: &Flow) -> bool {
    far_end(flow).is_some_and(|end| RELAY_PORTS.contains(&end.port()) && !local(end.ip()))
}

/// Ports at which servers of STUN and TURN listen: 3478 and 5349 (RFC 8489 section 18.6, RFC 8656 section 6), and the ones next
/// to them, which RFC 5780's second address and conference services use. A party's own port is one that its system chose.
const RELAY_PORTS: [u16; 6] = [3478, 3479, 3480, 3481, 5349, 5350];

fn judge(parts: &[Part<'_>], known: &dyn Fn(IpAddr) -> Option<Known>) -> Option<Call> {
    let is_relay = |address| known(address) == Some(Known::Relay);
    let of_media = || parts.iter().filter_map(|p| Some((p.flow, p.media()?)));
    let dialogs = || parts.iter().filter_map(|p| p.dialog);
    let invited = dialogs().any(|d| d.invited.is_some());
    // Relays are known by what they were asked for, or as addresses that were given out as relayed ones.
    let mut relays: BTreeSet<IpAddr> =
        of_media().filter(|(f, c)| c.relay || at_relay_port(f)).filter_map(|(f, _)| remote(f)).collect();
    let announced = parts.iter().flat_map(Part::candidates).filter(|c| c.kind == "relay");
    relays.extend(announced.filter_map(|c| c.address.parse::<SocketAddr>().ok()).map(|a| a.ip()));
    let is_server = |address| !relays.contains(&address) && known(address) == Some(Known::Server);
    let (mut peer_bytes, mut relay_bytes, mut server_bytes) = (0_u64, 0_u64, 0_u64);
    let (mut peers, mut used, mut servers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut reached: Vec<(&Flow, &FlowCall, IpAddr)> = Vec::new();
    for (flow, call) in of_media() {
        let Some(remote) = remote(flow) else { continue };
        let over_relay = relays.contains(&remote) || is_relay(remote);
        let (direct, relayed) = if over_relay {
            (0, call.direct_bytes.saturating_add(call.relayed_bytes))
        } else {
            (call.direct_bytes, call.relayed_bytes)
        };
        relay_bytes = relay_bytes.saturating_add(relayed);
        if relayed > 0 {
            used.insert(remote);
        }
        if is_server(remote) {
            server_bytes = server_bytes.saturating_add(direct);
            if direct > 0 {
                servers.insert(remote);
            }
            continue;
        }
        peer_bytes = peer_bytes.saturating_add(direct);
        if direct > 0 {
            peers.insert(remote);
        }
        if !over_relay && (direct > 0 || call.direct.iter().any(Option::is_some)) {
            reached.push((flow, call, remote));
        }
    }
    let by_sip = dialogs().filter_map(|d| d.answered).min();
    let by_media = of_media().filter_map(|(_, c)| c.first_media).min().filter(|_| !invited);
    let answered = by_sip.or(by_media);
    // Nothing of a call that had begun before the capture comes before its answer: only its changes are seen.
    let under_way = by_sip.is_none() && !invited && dialogs().next().is_some();
    let before = |frame: u64| !under_way && answered.is_none_or(|answer| frame < answer);
    let own: BTreeSet<IpAddr> = parts.iter().filter_map(|p| device(p.flow)).map(|d| d.ip()).collect();
    let mut exposed: Vec<ExposedAddress> = Vec::new();
    for part in parts {
        let flow = part.flow;
        let device_is_client = device(flow).map(|d| d.to_string()).as_deref() == Some(&*flow.client);
        for c in part.candidates() {
            let Ok(address) = c.address.parse::<SocketAddr>() else { continue };
            // In STUN both sides of a relay speak of the peer; a description is its sender's own.
            let others = match c.source {
                CandidateSource::Stun => c.kind != "relay",
                CandidateSource::Sdp => c.from_client != device_is_client,
                CandidateSource::Packet => false,
            };
            let is_known_relay =
                c.kind == "peer" && (relays.contains(&address.ip()) || is_relay(address.ip()));
            if !others
                || own.contains(&address.ip())
                || is_server(address.ip())
                || exposed.len() >= MAX_EXPOSED
            {
                continue;
            }
            exposed.push(ExposedAddress {
                address: c.address.clone(),
                kind: if is_known_relay { "relay".to_owned() } else { c.kind.clone() },
                source: c.source,
                frame: c.frame,
                before_answer: before(c.frame),
                sent_to: None,
            });
        }
    }
    // Whoever is reached directly shows the address from the first packet on, a connectivity check as well as media; and knows
    // the device's from the first one that the device sends.
    for (flow, call, address) in reached.into_iter().take(MAX_EXPOSED) {
        let ends = [&flow.client, &flow.server].map(|end| end.parse::<SocketAddr>().ok());
        let Some(end) = ends.into_iter().flatten().find(|end| end.ip() == address) else { continue };
        let [up, down] = call.direct;
        let frame = if call.direct_bytes > 0 { None } else { up.into_iter().chain(down).min() };
        let sent_to = if end.to_string() == flow.client { down } else { up };
        let (address, frame) = (end.to_string(), frame.unwrap_or(flow.first_frame));
        // Told once, where it was seen first.
        if let Some(known) = exposed.iter_mut().find(|e| e.address == address && e.kind != "relay") {
            known.sent_to = known.sent_to.into_iter().chain(sent_to).min();
            if frame < known.frame {
                (known.frame, known.source) = (frame, CandidateSource::Packet);
                known.before_answer = before(frame);
            }
            continue;
        }
        exposed.push(ExposedAddress {
            address,
            kind: "peer".to_owned(),
            source: CandidateSource::Packet,
            frame,
            before_answer: before(frame),
            sent_to,
        });
    }
    exposed.sort_by(|a, b| (a.frame, &a.address, &a.kind).cmp(&(b.frame, &b.address, &b.kind)));
    exposed.dedup_by(|b, a| a.address == b.address && a.kind == b.kind && a.source == b.source);
    // Only relays' addresses, and nothing that was said: the way to a call at most.
    let checked = of_media().any(|(_, c)| c.first_check.is_some());
    let media: u64 = of_media().map(|(_, c)| media(c)).sum();
    if media == 0 && !invited && !checked && exposed.iter().all(|e| e.kind == "relay") {
        return None;
    }
    let all_bytes = peer_bytes.saturating_add(relay_bytes).saturating_add(server_bytes);
    let messengers: BTreeSet<&String> = parts.iter().filter_map(|p| p.flow.messenger.as_ref()).collect();
    let of_peer = || exposed.iter().filter(|e| e.kind != "relay");
    let is_reached = |e: &&ExposedAddress| e.sent_to.is_some_and(before);
    let is_local = |e: &&ExposedAddress| e.address.parse::<SocketAddr>().is_ok_and(|a| local(a.ip()));
    let texts = |set: BTreeSet<IpAddr>| set.into_iter().map(|a| a.to_string()).collect();
    let flows: BTreeSet<u64> = parts.iter().map(|p| p.flow.flow).collect();
    Some(Call {
        capture: parts.first()?.flow.capture.clone(),
        messenger: messengers.first().filter(|_| messengers.len() == 1).map(|m| (*m).clone()),
        flows: flows.into_iter().collect(),
        first_frame: parts.iter().map(Part::first_frame).min()?,
        last_frame: parts.iter().map(Part::last_frame).max()?,
        peer_bytes,
        relay_bytes,
        server_bytes,
        peer_share: (all_bytes > 0).then(|| peer_bytes as f64 / all_bytes as f64),
        peers: texts(peers),
        relays: texts(used),
        servers: texts(servers),
        answered,
        answered_by: answered.map(|_| if by_sip.is_some() { "sip" } else { "media" }.to_owned()),
        exposed_before_answer: of_peer().filter(|e| e.before_answer).count() as u64,
        local_addresses: of_peer().filter(is_local).count() as u64,
        reached_before_answer: of_peer().filter(is_reached).count() as u64,
        exposed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CaptureTime;

    fn flow(number: u64, (client, server): (&str, &str), frames: (u64, u64), call: FlowCall) -> Flow {
        Flow {
            capture: "a.pcap".into(),
            flow: number,
            transport: "udp".into(),
            client: client.into(),
            server: server.into(),
            first_frame: frames.0,
            last_frame: frames.1,
            call: Some(Box::new(call)),
            ..Flow::default()
        }
    }

    fn candidate(address: &str, kind: &str, source: CandidateSource, frame: u64, up: bool) -> FlowCandidate {
        FlowCandidate { address: address.into(), kind: kind.into(), source, frame, from_client: up }
    }

    const DEVICE: &str = "192.168.0.7:5000";

    #[test]
    fn media_by_its_way() {
        let relay = FlowCall {
            relay: true,
            relayed_bytes: 300,
            direct_bytes: 100,
            first_media: Some(20),
            candidates: vec![
                candidate("198.51.100.9:7000", "peer", CandidateSource::Stun, 5, true),
                candidate("10.9.0.4:7000", "peer", CandidateSource::Stun, 25, true),
                candidate("203.0.113.1:9999", "relay", CandidateSource::Stun, 4, false),
            ],
            ..FlowCall::default()
        };
        let direct = FlowCall { direct_bytes: 600, first_media: Some(30), ..FlowCall::default() };
        let flows = [
            flow(1, (DEVICE, "203.0.113.1:3478"), (1, 40), relay),
            flow(2, (DEVICE, "198.51.100.9:7000"), (10, 50), direct.clone()),
            // Another socket: another call.
            flow(3, ("192.168.0.7:5001", "198.51.100.10:7000"), (60, 70), direct.clone()),
            // A question to a STUN server is none.
            flow(4, ("192.168.0.7:5009", "203.0.113.5:3478"), (1, 2), FlowCall::default()),
        ];
        let all = calls(&flows, &|_| None);
        assert_eq!(all.len(), 2);
        let call = &all[0];
        assert_eq!((call.flows.as_slice(), call.peer_bytes, call.relay_bytes), (&[1, 2][..], 600, 400));
        assert_eq!(call.peer_share, Some(0.6));
        assert_eq!(
            (call.peers.as_slice(), call.relays.as_slice()),
            (&["198.51.100.9".to_owned()][..], &["203.0.113.1".to_owned()][..])
        );
        assert_eq!((call.answered, call.answered_by.as_deref()), (Some(20), Some("media")));
        let exposed: Vec<_> = call.exposed.iter().map(|e| (e.address.as_str(), e.before_answer)).collect();
        assert_eq!(exposed, [("198.51.100.9:7000", true), ("10.9.0.4:7000", false)]);
        assert_eq!((call.exposed_before_answer, call.local_addresses), (1, 1));
        assert_eq!(all[1].peer_share, Some(1.0));
        // Known as a relay from elsewhere.
        let known: IpAddr = "198.51.100.10".parse().unwrap();
        assert_eq!(calls(&flows, &|a| (a == known).then_some(Known::Relay))[1].peer_share, Some(0.0));
    }

    #[test]
    fn servers_of_an_operator_are_no_peers() {
        let bridge = FlowCall {
            direct_bytes: 600,
            first_media: Some(3),
            candidates: vec![candidate("203.0.113.8:9", "peer", CandidateSource::Stun, 2, false)],
            ..FlowCall::default()
        };
        let direct = FlowCall { direct_bytes: 200, first_media: Some(8), ..FlowCall::default() };
        let flows = [
            flow(1, (DEVICE, "203.0.113.8:9"), (1, 40), bridge),
            flow(2, (DEVICE, "198.51.100.9:7000"), (7, 50), direct),
        ];
        let server: IpAddr = "203.0.113.8".parse().unwrap();
        let call = &calls(&flows, &|a| (a == server).then_some(Known::Server))[0];
        assert_eq!((call.server_bytes, call.peer_bytes, call.relay_bytes), (600, 200, 0));
        assert_eq!(
            (call.servers[0].as_str(), call.peers.len(), call.peer_share),
            ("203.0.113.8", 1, Some(0.25))
        );
        assert!(call.exposed.iter().all(|e| e.address == "198.51.100.9:7000"), "{:?}", call.exposed);
        let call = &calls(&flows, &|_| None)[0];
        assert_eq!((call.server_bytes, call.peers.len(), call.peer_share), (0, 2, Some(1.0)));
    }

    #[test]
    fn who_listens_at_a_port_of_relays_is_no_peer() {
        let call = |check| FlowCall {
            direct_bytes: 600,
            first_media: Some(3),
            first_check: Some(2),
            direct: [Some(3), check],
            ..FlowCall::default()
        };
        for (server, relay) in [
            ("203.0.113.8:3478", true),
            ("203.0.113.8:3481", true),
            ("203.0.113.8:5349", true),
            ("203.0.113.8:3482", false),
            ("203.0.113.8:53478", false),
            // Nobody offers a relay to others from within the device's own network.
            ("192.168.0.9:3478", false),
        ] {
            // The server checks the way, too: it acts as a party of the call.
            let all = calls(&[flow(1, (DEVICE, server), (1, 40), call(Some(2)))], &|_| None);
            let told = (all[0].relay_bytes, all[0].peer_bytes, all[0].exposed.len());
            assert_eq!(told, if relay { (600, 0, 0) } else { (0, 600, 1) }, "{server}");
        }
    }

    #[test]
    fn who_named_an_address_last_before_a_flow_has_it() {
        let list = [(5, 2), (5, 7), (9, 1), (20, 3), (20, 4)];
        for (frame, of) in [(1, (5, 2)), (5, (5, 2)), (8, (5, 2)), (9, (9, 1)), (19, (9, 1)), (99, (20, 3))] {
            assert_eq!(namer(&list, frame), Some(of), "{frame}");
        }
        assert_eq!(namer(&[], 1), None);
    }

    #[test]
    fn many_calls_with_one_address_take_no_time() {
        let dialog = |n: u64| FlowDialog {
            call_id: n.to_string(),
            first_frame: n,
            last_frame: n,
            invited: Some(n),
            candidates: vec![candidate("198.51.100.9:7000", "host", CandidateSource::Sdp, n, false)],
            ..FlowDialog::default()
        };
        let sip = |n: u64| FlowCall {
            dialogs: (n * 256..(n + 1) * 256).map(dialog).collect(),
            ..FlowCall::default()
        };
        let media = FlowCall { direct_bytes: 5, first_media: Some(7), ..FlowCall::default() };
        let flows: Vec<Flow> = (0..400)
            .map(|n| flow(n, ("192.168.0.7:5060", "203.0.113.20:5060"), (n * 256, n * 256 + 255), sip(n)))
            .chain((0..20_000_u16).map(|n| {
                let own = format!("192.168.0.7:{}", 10_000 + n);
                let frame = u64::from(n) * 5;
                flow(1000 + u64::from(n), (&own, "198.51.100.9:7000"), (frame, frame + 3), media.clone())
            }))
            .collect();
        let begin = std::time::Instant::now();
        assert_eq!(calls(&flows, &|_| None).len(), 400 * 256);
        // One look at each pair would be two thousand million.
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    }

    #[test]
    fn who_is_reached_directly_is_exposed_from_the_first_packet_on() {
        let relay =
            FlowCall { relay: true, relayed_bytes: 300, first_media: Some(20), ..FlowCall::default() };
        let direct = FlowCall { direct_bytes: 600, first_media: Some(30), ..FlowCall::default() };
        let flows = [
            flow(1, (DEVICE, "203.0.113.1:3478"), (1, 40), relay),
            // Its first packet is a connectivity check, before any media.
            flow(2, (DEVICE, "198.51.100.9:7000"), (15, 50), direct),
        ];
        let all = calls(&flows, &|_| None);
        let exposed: Vec<_> =
            all[0].exposed.iter().map(|e| (e.address.as_str(), e.source, e.frame, e.before_answer)).collect();
        assert_eq!(exposed, [("198.51.100.9:7000", CandidateSource::Packet, 15, true)]);
        assert_eq!((all[0].answered, all[0].exposed_before_answer), (Some(20), 1));
    }

    #[test]
    fn sip_says_when_it_was_answered_and_where_media_goes() {
        let sdp = CandidateSource::Sdp;
        let sip = FlowCall {
            dialogs: vec![FlowDialog {
                call_id: "a@sip.example".into(),
                first_frame: 3,
                last_frame: 40,
                invited: Some(3),
                answered: Some(9),
                candidates: vec![
                    candidate("192.168.0.7:5000", "host", sdp, 3, true),
                    candidate("198.51.100.9:7000", "srflx", sdp, 5, false),
                    candidate("10.9.0.4:7000", "host", sdp, 9, false),
                    candidate("203.0.113.1:9999", "relay", sdp, 5, false),
                ],
            }],
            ..FlowCall::default()
        };
        let media = FlowCall { direct_bytes: 500, first_media: Some(7), ..FlowCall::default() };
        let flows = [
            flow(1, ("192.168.0.7:5060", "203.0.113.20:5060"), (1, 40), sip),
            flow(2, (DEVICE, "198.51.100.9:7000"), (7, 50), media.clone()),
            flow(3, ("192.168.0.7:5800", "203.0.113.1:9999"), (8, 50), media),
        ];
        let all = calls(&flows, &|_| None);
        assert_eq!(all.len(), 1);
        let call = &all[0];
        assert_eq!((call.flows.as_slice(), call.peer_bytes, call.relay_bytes), (&[1, 2, 3][..], 500, 500));
        assert_eq!((call.answered, call.answered_by.as_deref()), (Some(9), Some("sip")));
        let exposed: Vec<_> =
            call.exposed.iter().map(|e| (e.frame, e.kind.as_str(), e.before_answer)).collect();
        assert_eq!(exposed, [(5, "srflx", true), (5, "relay", true), (9, "host", false)]);
        assert_eq!((call.exposed_before_answer, call.local_addresses), (1, 1));
    }

    #[test]
    fn connectivity_checks_tell_addresses_before_anybody_answers() {
        let check = |direct| FlowCall { direct, first_check: Some(5), ..FlowCall::default() };
        let flows = [
            flow(1, (DEVICE, "198.51.100.9:7000"), (5, 9), check([Some(5), None])),
            // Only the other party tries here, towards the device.
            flow(2, ("198.51.100.9:7001", DEVICE), (6, 8), check([Some(6), None])),
        ];
        let all = calls(&flows, &|_| None);
        let told: Vec<_> = all[0]
            .exposed
            .iter()
            .map(|e| (e.address.as_str(), e.kind.as_str(), e.frame, e.before_answer, e.sent_to))
            .collect();
        assert_eq!(
            told,
            [("198.51.100.9:7000", "peer", 5, true, Some(5)), ("198.51.100.9:7001", "peer", 6, true, None)]
        );
        let call = &all[0];
        assert_eq!((all.len(), call.exposed_before_answer, call.reached_before_answer), (1, 2, 1));
        assert_eq!((call.answered, call.media_bytes(), call.peers.len()), (None, 0, 0));
        // Over a relay or with a server the call is told of, and that nobody's address was shown.
        for known in [Known::Relay, Known::Server] {
            let all = calls(&flows, &|_| Some(known));
            assert_eq!((all.len(), all[0].exposed.len(), all[0].reached_before_answer), (1, 0, 0));
        }
    }

    #[test]
    fn a_pause_on_the_socket_does_not_part_a_call() {
        const SECOND: i64 = 1_000_000_000;
        let at = |from: i64, to: i64, call: &FlowCall| FlowCall {
            times: (CaptureTime(from * SECOND), CaptureTime(to * SECOND)),
            ..call.clone()
        };
        let relay = FlowCall { relay: true, ..FlowCall::default() };
        let talk = FlowCall { direct_bytes: 10, first_media: Some(30), ..FlowCall::default() };
        for (name, first, (begins, count)) in [
            ("it rang for a while", &relay, (100 + 119, 1)),
            ("the way to the socket is gone", &relay, (100 + 121, 2)),
            ("media that found another way", &talk, (100 + 29, 1)),
            ("nobody may send any more", &talk, (100 + 31, 2)),
        ] {
            let second = FlowCall { first_media: Some(60), ..talk.clone() };
            let flows = [
                flow(
                    1,
                    (DEVICE, "203.0.113.1:3478"),
                    (1, 40),
                    at(0, 100, &FlowCall { first_check: Some(2), ..first.clone() }),
                ),
                // Shorter than the first: the first one's end counts.
                flow(2, (DEVICE, "203.0.113.2:3478"), (3, 4), at(1, 2, &relay)),
                flow(3, (DEVICE, "198.51.100.9:7000"), (50, 70), at(begins, begins + 9, &second)),
            ];
            let all = calls(&flows, &|_| None);
            assert_eq!(all.len(), count, "{name}");
            assert_eq!(all[0].flows, if count == 1 { vec![1, 2, 3] } else { vec![1, 2] }, "{name}");
        }
    }

    #[test]
    fn media_of_calls_of_one_sip_socket() {
        let dialog =
            |id: &str, (first, answered, last): (u64, u64, u64), own: &str, theirs: &str| FlowDialog {
                call_id: id.into(),
                first_frame: first,
                last_frame: last,
                invited: Some(first),
                answered: Some(answered),
                candidates: vec![
                    candidate(own, "peer", CandidateSource::Sdp, first, true),
                    candidate(theirs, "peer", CandidateSource::Sdp, answered, false),
                ],
            };
        let sip = FlowCall {
            dialogs: vec![
                dialog("one", (1, 3, 9), DEVICE, "198.51.100.9:7000"),
                dialog("two", (20, 24, 40), DEVICE, "198.51.100.10:7000"),
            ],
            ..FlowCall::default()
        };
        // The same call again over another way.
        let again = FlowCall {
            dialogs: vec![dialog("two", (21, 25, 26), DEVICE, "198.51.100.10:7000")],
            ..FlowCall::default()
        };
        let media = FlowCall { direct_bytes: 500, first_media: Some(7), ..FlowCall::default() };
        let flows = [
            flow(1, ("192.168.0.7:5060", "203.0.113.20:5060"), (1, 40), sip),
            // One socket of the device for both: what SIP says goes before.
            flow(2, (DEVICE, "198.51.100.9:7000"), (4, 8), media.clone()),
            flow(3, ("192.168.0.7:5060", "203.0.113.21:5060"), (21, 26), again),
            flow(4, (DEVICE, "198.51.100.10:7000"), (27, 39), media),
        ];
        let told: Vec<_> = calls(&flows, &|_| None)
            .iter()
            .map(|c| (c.flows.clone(), c.answered, c.peers.clone(), (c.first_frame, c.last_frame)))
            .collect();
        assert_eq!(
            told,
            [
                (vec![1, 2], Some(3), vec!["198.51.100.9".to_owned()], (1, 9)),
                (vec![1, 3, 4], Some(24), vec!["198.51.100.10".to_owned()], (20, 40))
            ]
        );
    }

    #[test]
    fn no_answer_and_no_media() {
        let sip = FlowCall {
            dialogs: vec![FlowDialog {
                invited: Some(3),
                candidates: vec![candidate("198.51.100.9:7000", "host", CandidateSource::Sdp, 3, false)],
                ..FlowDialog::default()
            }],
            ..FlowCall::default()
        };
        let flows = [flow(1, ("192.168.0.7:5060", "203.0.113.20:5060"), (1, 40), sip)];
        let all = calls(&flows, &|_| None);
        assert_eq!((all[0].peer_share, all[0].answered, all[0].exposed_before_answer), (None, None, 1));
    }
}
