//! Which messenger a flow belongs to, and why; and which flows are DNS over HTTPS, which only the list of resolvers shows.
//!
//! Takes flows with their names and signatures; sets `messenger` and `messenger_why`, and adds `doh` to `app_protocols`. A wire
//! signature (certain or likely) weighs most, then a first-party name, then a network that is the messenger's alone. A shared
//! network never decides, and a name that only DNS answers give to an address that others share says so. What is left of a call is found by the device's UDP socket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use foldhash::{HashMap, HashMapExt as _, HashSet};
use rayon::prelude::*;

use super::db::ReferenceDb;
use super::facts::names::plain;
use super::facts::operators::CompanyKind;
use super::facts::services::{Service, Transport};
use super::special::{effective, local, special};
use crate::model::{Flow, FlowName, Role};

/// Reason, until all flows are known, of those that only DNS answers name.
const ANSWERED: &str = "answered:";
/// Flows that one thread takes at a time, with what it learns about their networks.
const TOGETHER: usize = 2048;

/// Sets `messenger` and `messenger_why` of every flow that can be attributed; leaves the others as they are.
///
/// Names are asked in the order SNI, HTTP host, realm of a TURN relay, DNS, certificate, and the first kind that a flow has decides: a flow that
/// asks for `www.facebook.com` is not Messenger's because a DNS answer once gave the same address another name. The outer
/// name of an Encrypted Client Hello is a cover and is passed over. A certificate decides only when all its names
/// belong to one messenger (Meta's own name them all), DNS only when its answers do not name two. Where DNS answers decide, and the
/// address is a delivery network's or has a name of somebody else in the capture, the reason is `shared:NAME`: whoever serves the other
/// name may be the one that is spoken to.
pub fn attribute(flows: &mut [Flow], db: &ReferenceDb) {
    flows.par_chunks_mut(TOGETHER).for_each(|flows| {
        let mut networks: HashMap<IpAddr, Option<(usize, String)>> = HashMap::new();
        for flow in flows {
            if let Some((messenger, why)) = decide(flow, db, &mut networks) {
                flow.messenger = Some(messenger);
                flow.messenger_why = Some(why);
            }
            if is_dns_over_https(flow, db) {
                flow.app_protocols.push("doh".to_owned());
            }
        }
    });
    by_shared_address(flows, db);
    by_socket(flows);
    by_reverse_zone(flows, db);
}

/// The reason of flows that only DNS answers name ([`ANSWERED`]): the name, or that the address is shared.
fn by_shared_address(flows: &mut [Flow], db: &ReferenceDb) {
    let answered = |flow: &Flow| flow.messenger_why.as_deref().is_some_and(|why| why.starts_with(ANSWERED));
    let ends: HashSet<IpAddr> =
        flows.iter().filter(|f| answered(f)).filter_map(Flow::server_address).collect();
    if ends.is_empty() {
        return;
    }
    // Addresses, each with capture and messenger, that somebody else has a name at.
    let mut others: HashSet<(IpAddr, String, String)> = HashSet::default();
    let mut at: HashMap<(IpAddr, &str), Vec<&Flow>> = HashMap::new();
    for flow in flows.iter() {
        if let Some(address) = flow.server_address().filter(|address| ends.contains(address)) {
            at.entry((address, &flow.capture)).or_default().push(flow);
        }
    }
    for ((address, capture), here) in at {
        let messengers: BTreeSet<&String> =
            here.iter().filter(|f| answered(f)).filter_map(|f| f.messenger.as_ref()).collect();
        for messenger in messengers {
            if is_delivery_network(address, db) || here.iter().any(|flow| has_other_name(flow, messenger, db))
            {
                others.insert((address, capture.to_owned(), messenger.clone()));
            }
        }
    }
    for flow in flows.iter_mut() {
        let Some(name) = flow.messenger_why.as_deref().and_then(|why| why.strip_prefix(ANSWERED)) else {
            continue;
        };
        let shared = match (flow.server_address(), flow.messenger.clone()) {
            (Some(address), Some(messenger)) => others.contains(&(address, flow.capture.clone(), messenger)),
            _ => false,
        };
        flow.messenger_why = Some(format!("{}:{name}", if shared { "shared" } else { "name" }));
    }
}

/// Many customers of a delivery network are behind one address.
fn is_delivery_network(address: IpAddr, db: &ReferenceDb) -> bool {
    let facts = db.lookup(address);
    let company = db.company(facts.operator.as_ref(), facts.cloud.as_ref());
    company.is_some_and(|company| company.kind == CompanyKind::Cdn) || facts.is_delivery_service()
}

/// Whether a name of the flow's server is somebody else's than the messenger's. Names that one DNS answer gives are aliases of each other,
/// and those of a delivery network stand for its customer.
fn has_other_name(flow: &Flow, messenger: &str, db: &ReferenceDb) -> bool {
    let messengers = &db.facts().messengers;
    let own = |name: &FlowName| {
        let owners =
            messengers.of_name(plain(&name.name)).map(|owners| owners.all.as_slice()).unwrap_or_default();
        owners.iter().filter_map(|i| messengers.get(*i)).any(|owner| owner.id == messenger)
    };
    let aliased: BTreeSet<u64> = flow
        .names
        .iter()
        .filter(|name| matches!(name.source.as_str(), "dns" | "dns-hint") && own(name))
        .map(|name| name.frame)
        .collect();
    let delivered = |name: &FlowName| {
        db.facts().services.of_name(plain(&name.name)).is_some_and(|service| service.role == Role::Cdn)
    };
    flow.names.iter().any(|name| match name.source.as_str() {
        "dns" | "dns-hint" => !own(name) && !aliased.contains(&name.frame) && !delivered(name),
        "sni" | "http-host" => !own(name),
        _ => false,
    })
}

/// Names of the reverse zone for servers that nothing in the traffic names; they decide nothing.
fn by_reverse_zone(flows: &mut [Flow], db: &ReferenceDb) {
    let servers: Vec<Option<(IpAddr, bool)>> = flows
        .par_iter()
        .map(|flow| {
            let named = flow.names.iter().any(|name| names_server(&name.source));
            Some((flow.server_address()?, named))
        })
        .collect();
    let named: HashSet<IpAddr> =
        servers.iter().flatten().filter(|(_, named)| *named).map(|(server, _)| *server).collect();
    flows.par_iter_mut().zip(servers).for_each(|(flow, server)| {
        let Some((server, _)) = server.filter(|(server, _)| !named.contains(server)) else { return };
        if let Some(reverse) = &db.lookup(server).reverse {
            flow.names.push(FlowName {
                name: reverse.name.clone(),
                source: "reverse".into(),
                frame: flow.first_frame,
                expired: false,
            });
        }
    });
}

/// A cover name is not the server's, and a relay's realm is its operator's.
pub(crate) fn names_server(source: &str) -> bool {
    !matches!(source, "ech-outer" | "turn-realm")
}

fn decide(
    flow: &Flow,
    db: &ReferenceDb,
    networks: &mut HashMap<IpAddr, Option<(usize, String)>>,
) -> Option<(String, String)> {
    for confidence in ["certain", "likely"] {
        // A tunnel has signatures too, and is nobody's messenger.
        let messengers = &db.facts().messengers;
        let shows = |hit: &&crate::model::SignatureHit| {
            hit.confidence == confidence && messengers.by_id(&hit.messenger).is_some()
        };
        if let Some(hit) = flow.signatures.iter().find(shows) {
            return Some((hit.messenger.clone(), format!("signature:{}", hit.signature)));
        }
    }
    let messengers = &db.facts().messengers;
    if let Some((index, name)) = by_name(flow, db) {
        let kind = match name.source.as_str() {
            "turn-realm" => "turn-realm:",
            "dns" | "dns-hint" => ANSWERED,
            _ => "name:",
        };
        return Some((messengers.get(index)?.id.clone(), format!("{kind}{}", name.name)));
    }
    let address = remote(flow)?;
    let network = networks.entry(address).or_insert_with(|| {
        let network = messengers.of_address(effective(address)).filter(|network| network.exclusive)?;
        Some((network.messenger, network.cidr.to_string()))
    });
    let (index, prefix) = network.as_ref()?;
    Some((messengers.get(*index)?.id.clone(), format!("network:{prefix}")))
}

fn by_name<'a>(flow: &'a Flow, db: &ReferenceDb) -> Option<(usize, &'a FlowName)> {
    let cover = flow.tls.as_ref().is_some_and(|tls| tls.ech.as_deref() == Some("outer"));
    let owner = |name: &FlowName| db.facts().messengers.of_name(plain(&name.name)).and_then(|o| o.exclusive);
    for source in ["sni", "http-host", "turn-realm"] {
        if source == "sni" && cover {
            continue;
        }
        let mut names = flow.names.iter().filter(|name| name.source == source).peekable();
        if names.peek().is_some() {
            return names.find_map(|name| Some((owner(name)?, name)));
        }
    }
    // Several names of one address: a messenger may only be said when it is the only one among them.
    let only = |source: &str| {
        let mut only = None;
        for name in flow.names.iter().filter(|name| name.source == source) {
            match (owner(name), only) {
                (Some(index), None) => only = Some((index, name)),
                (Some(index), Some((first, _))) if index != first => return Err(()),
                _ => {}
            }
        }
        Ok(only)
    };
    let resolved = only("dns").ok()?;
    if resolved.is_some() {
        return resolved;
    }
    let mut certificate = flow.names.iter().filter(|name| name.source == "certificate" && !cover);
    if let Some(first) = certificate.next() {
        let index = owner(first)?;
        return certificate.all(|name| owner(name) == Some(index)).then_some((index, first));
    }
    // A hint is only how the name may be reached, so it speaks where no answer and no certificate does.
    let unresolved = !flow.names.iter().any(|name| name.source == "dns");
    only("dns-hint").ok()?.filter(|_| unresolved)
}

/// What is known of one UDP socket of a device in one capture: for each messenger the first and last frame of the flows that
/// show it, and the first of these flows.
type Users = BTreeMap<String, (u64, u64, u64)>;

/// A call's candidates, relays and peers are reached from one socket of the device, and a socket is one program's: UDP flows
/// that show no messenger by themselves get that of another flow of the same socket, while that flow lasts. Not where two
/// messengers are seen on a socket, and not from or to protocols whose sockets may serve several sites.
fn by_socket(flows: &mut [Flow]) {
    let mut sockets: HashMap<SocketAddr, BTreeMap<String, Users>> = HashMap::new();
    for flow in flows.iter() {
        let Some(messenger) = flow.messenger.as_ref().filter(|_| is_call(flow)) else { continue };
        for socket in device_sockets(flow) {
            let users = sockets.entry(socket).or_default().entry(flow.capture.clone()).or_default();
            let (first, last, number) = users.entry(messenger.clone()).or_insert((u64::MAX, 0, flow.flow));
            *first = flow.first_frame.min(*first);
            *last = flow.last_frame.max(*last);
            *number = flow.flow.min(*number);
        }
    }
    if sockets.is_empty() {
        return;
    }
    let others = |flow: &&mut Flow| flow.messenger.is_none() && is_call(flow);
    flows.par_iter_mut().filter(others).for_each(|flow| {
        let mut found = BTreeSet::new();
        for socket in device_sockets(flow) {
            let users = sockets.get(&socket).and_then(|captures| captures.get(&flow.capture));
            let overlapping = users
                .into_iter()
                .flatten()
                .filter(|(_, (first, last, _))| *first <= flow.last_frame && flow.first_frame <= *last);
            found.extend(overlapping.map(|(messenger, (_, _, number))| (messenger, socket, *number)));
        }
        let messengers: BTreeSet<&String> = found.iter().map(|(messenger, ..)| *messenger).collect();
        if let (1, Some((messenger, socket, number))) = (messengers.len(), found.first()) {
            flow.messenger_why = Some(format!("socket:{socket} of flow {number}"));
            flow.messenger = Some((*messenger).clone());
        }
    });
}

/// Datagrams of a call, or of no protocol that is known.
fn is_call(flow: &Flow) -> bool {
    flow.transport == "udp"
        && flow.app_protocols.iter().all(|p| matches!(p.as_str(), "stun" | "turn" | "dtls" | "rtp" | "srtp"))
}

/// The ends of a flow that are a device's: those in the local network, or, where there is none, the client.
fn device_sockets(flow: &Flow) -> impl Iterator<Item = SocketAddr> {
    let ends = [&flow.client, &flow.server].map(|end| end.parse::<SocketAddr>().ok());
    let inside = ends.map(|end| end.filter(|end| local(end.ip())));
    // A carrier's translation may give one port of a public IPv4 address to several devices.
    let outside = ends.first().copied().flatten().filter(|end| end.is_ipv6() && inside == [None, None]);
    inside.into_iter().chain([outside]).flatten()
}

/// HTTPS to a resolver of the list: by the name that was asked for, or by the address where none was.
fn is_dns_over_https(flow: &Flow, db: &ReferenceDb) -> bool {
    let carries = |id: &str| flow.app_protocols.iter().any(|p| p == id);
    let https = flow.server_port() == Some(443) && (carries("tls") || carries("quic"));
    if !https || carries("dot") || carries("doq") || carries("doh") {
        return false;
    }
    let offered = flow.tls.iter().flat_map(|tls| &tls.alpn);
    if offered.clone().next().is_some()
        && !offered
            .into_iter()
            .any(|p| p == "h2" || p == "h3" || p.starts_with("h3-") || p.starts_with("http/"))
    {
        return false;
    }
    let services = &db.facts().services;
    let resolver = |service: Option<&Service>| service.is_some_and(|s| s.role == Role::Resolver);
    let cover = flow.names.iter().any(|name| name.source == "ech-outer");
    let mut asked = flow.names.iter().filter(|name| name.source == "sni").peekable();
    if asked.peek().is_some() {
        return asked.any(|name| resolver(services.of_name(plain(&name.name))));
    }
    let (Some(address), Some(transport)) = (flow.server_address(), Transport::parse(&flow.transport)) else {
        return false;
    };
    !cover && resolver(services.of_address(effective(address), &[(transport, 443)]))
}

/// Names that a flow itself asks for, which outrank what DNS answers and certificates say of its address. The outer name of an Encrypted
/// Client Hello is a cover.
pub(crate) fn asks_for(source: &str) -> bool {
    matches!(source, "sni" | "http-host" | "xmpp-to")
}

/// The name by which a flow is one of the service that was chosen: one that it asks for, else one that DNS answers give its address.
pub(crate) fn asked_of<'f>(flow: &'f Flow, service: &str) -> Option<&'f str> {
    let own = flow.names.iter().any(|name| asks_for(&name.source));
    let decides = |name: &&FlowName| {
        if own { asks_for(&name.source) } else { matches!(name.source.as_str(), "dns" | "dns-hint") }
    };
    let mut names = flow.names.iter().filter(decides).map(|name| name.name.as_str());
    names.find(|name| is_below(name, service))
}

/// Whether a name is the service's: it has the same registrable domain by the Public Suffix List. Without one (an address, a single label)
/// only the very name is.
fn is_below(name: &str, service: &str) -> bool {
    let (name, service) = (plain(name), plain(service));
    let domain = |name| psl::domain_str(name);
    name == service || domain(service).is_some_and(|own| domain(name) == Some(own))
}

/// The remote end of a flow: its server, unless that one is in the local network and the client is not (a call or a
/// push that came in, or a flow whose start was not captured).
pub(crate) fn remote(flow: &Flow) -> Option<IpAddr> {
    let server = flow.server_address()?;
    if !local(server) {
        return Some(server);
    }
    let client = flow.client_address().filter(|client| special(*client).is_none());
    Some(client.unwrap_or(server))
}
