//! Which messenger a flow belongs to, and why.
//!
//! Takes flows with their names and signatures; sets `messenger` and `messenger_why`. A wire signature (certain or likely)
//! weighs most, then a first-party name, then a network that is the messenger's alone. A shared network never decides.

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt as _};

use super::db::ReferenceDb;
use super::facts::names::plain;
use super::special::local;
use crate::model::{Flow, FlowName};

/// Sets `messenger` and `messenger_why` of every flow that can be attributed; leaves the others as they are.
///
/// Names are asked in the order SNI, HTTP host, DNS, certificate, and the first kind that a flow has decides: a flow that
/// asks for `www.facebook.com` is not Messenger's because a DNS answer once gave the same address another name. The outer
/// name of an Encrypted Client Hello is a cover and is passed over. A certificate decides only when all its names
/// belong to one messenger (Meta's own name them all), DNS only when its answers do not name two.
pub fn attribute(flows: &mut [Flow], db: &ReferenceDb) {
    let mut networks: HashMap<IpAddr, Option<(usize, String)>> = HashMap::new();
    for flow in flows {
        if let Some((messenger, why)) = decide(flow, db, &mut networks) {
            flow.messenger = Some(messenger);
            flow.messenger_why = Some(why);
        }
    }
}

fn decide(
    flow: &Flow,
    db: &ReferenceDb,
    networks: &mut HashMap<IpAddr, Option<(usize, String)>>,
) -> Option<(String, String)> {
    for confidence in ["certain", "likely"] {
        if let Some(hit) = flow.signatures.iter().find(|hit| hit.confidence == confidence) {
            return Some((hit.messenger.clone(), format!("signature:{}", hit.signature)));
        }
    }
    let messengers = &db.facts().messengers;
    if let Some((index, name)) = by_name(flow, db) {
        return Some((messengers.get(index)?.id.clone(), format!("name:{name}")));
    }
    let address = remote(flow)?;
    let network = networks.entry(address).or_insert_with(|| {
        let network = messengers.of_address(address).filter(|network| network.exclusive)?;
        Some((network.messenger, network.cidr.to_string()))
    });
    let (index, prefix) = network.as_ref()?;
    Some((messengers.get(*index)?.id.clone(), format!("network:{prefix}")))
}

fn by_name<'a>(flow: &'a Flow, db: &ReferenceDb) -> Option<(usize, &'a str)> {
    let cover = flow.tls.as_ref().is_some_and(|tls| tls.ech.as_deref() == Some("outer"));
    let owner = |name: &FlowName| db.facts().messengers.of_name(plain(&name.name)).and_then(|o| o.exclusive);
    for source in ["sni", "http-host"] {
        if source == "sni" && cover {
            continue;
        }
        let mut names = flow.names.iter().filter(|name| name.source == source).peekable();
        if names.peek().is_some() {
            return names.find_map(|name| Some((owner(name)?, name.name.as_str())));
        }
    }
    // Several names of one address: a messenger may only be said when it is the only one among them.
    let mut only = None;
    for name in flow.names.iter().filter(|name| name.source == "dns") {
        match (owner(name), only) {
            (Some(index), None) => only = Some((index, name.name.as_str())),
            (Some(index), Some((first, _))) if index != first => return None,
            _ => {}
        }
    }
    if only.is_some() || cover {
        return only;
    }
    let mut certificate = flow.names.iter().filter(|name| name.source == "certificate");
    let first = certificate.next()?;
    let index = owner(first)?;
    certificate.all(|name| owner(name) == Some(index)).then_some((index, first.name.as_str()))
}

/// The remote end of a flow: its server, unless that one is in the local network and the client is not (a call or a
/// push that came in, or a flow whose start was not captured).
pub(crate) fn remote(flow: &Flow) -> Option<IpAddr> {
    let server = flow.server_address()?;
    if !local(server) {
        return Some(server);
    }
    let client = flow.client_address().filter(|client| super::special::special(*client).is_none());
    Some(client.unwrap_or(server))
}
