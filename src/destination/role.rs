//! What a destination is for, with the rule that decided and its source.
//!
//! Takes what traffic and reference data say of one end; gives a role and the reason in words. The rules are tried in the
//! order in which they stand in [`role`]; a name weighs more than a network, a network more than a port.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::db::{AddressFacts, ReferenceDb};
use super::facts::messengers::{Messenger, Servers};
use super::facts::names::plain;
use super::facts::operators::{Company, CompanyKind};
use super::facts::services::{Port, Service};
use super::special::effective;
use crate::model::Role;

/// What is known of an end when its role is decided.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) address: IpAddr,
    pub(crate) facts: &'a AddressFacts,
    pub(crate) names: &'a BTreeSet<&'a str>,
    /// Transports and ports used at the remote side, sorted.
    pub(crate) ports: &'a [Port],
    pub(crate) protocols: &'a BTreeSet<&'a str>,
    /// Messengers of its flows with the reason, sorted.
    pub(crate) messengers: &'a BTreeSet<(&'a str, &'a str)>,
    /// Datagrams went both ways between high ports, and nothing in them was recognised.
    pub(crate) opaque_datagrams: bool,
    /// For each capture that it appears in, the messengers that the capture shows.
    pub(crate) beside: &'a [&'a BTreeSet<&'a str>],
    /// It has a name, and each capture that it appears in shows the server that was chosen, by name: what only the run ties to the messenger
    /// is another one.
    pub(crate) apart: bool,
}

impl End<'_> {
    /// What ties it to messengers, where that says whose it is. That a run was of a messenger says who sent: a tracker stays one, and a
    /// server of another name is none that was chosen.
    fn ties(&self, db: &ReferenceDb) -> impl Iterator<Item = &(&str, &str)> {
        let by_run = self.messengers.iter().any(|(_, why)| *why == "run");
        let others = by_run && (self.apart || tracker(self, db).is_some());
        self.messengers.iter().filter(move |(_, why)| *why != "run" || !others)
    }
}

/// The categories of the tracker list that mean observation of users.
pub(super) const TRACKING: [&str; 6] = [
    "advertising",
    "site_analytics",
    "mobile_analytics",
    "customer_interaction",
    "pornvertising",
    "telemetry",
];

/// The role of an end, the rule that decided, and the messenger whose service it is, where that decided.
pub(crate) fn role<'d>(end: &End<'_>, db: &'d ReferenceDb) -> (Role, String, Option<&'d Messenger>) {
    let company = db.company(end.facts.operator.as_ref(), end.facts.cloud.as_ref());
    let decided = special(end, db);
    if decided.is_none()
        && let Some((role, why, owner)) = messenger(end, db, company).or_else(|| shared(end, db, company))
    {
        return (role, why, Some(owner));
    }
    let decided = decided
        .or_else(|| by_service_name(end, db))
        .or_else(|| service(db.facts().services.of_address(effective(end.address), end.ports), "address"))
        .or_else(|| {
            let asn = end.facts.operator.as_ref()?.asn?;
            service(db.facts().services.of_system(asn, end.ports), "AS and port")
        })
        .or_else(|| tracker(end, db))
        .or_else(|| service(db.facts().services.of_port(end.ports), "port"))
        .or_else(|| media(end, company))
        .or_else(|| match (company, &end.facts.cloud) {
            (None, None) => datagram_peer(end, "a network of no known operator of servers (operators.toml)"),
            _ => None,
        })
        .or_else(|| edge(end, company));
    let (role, why) = decided.unwrap_or_else(|| {
        let network =
            company.map_or_else(String::new, |c| format!("; a network of {} does not tell what for", c.name));
        (Role::Unknown, format!("no rule: no known name, network, service or port{network}"))
    });
    (role, why, None)
}

/// Ends without a place: group addresses, and machines of the local network.
fn special(end: &End<'_>, db: &ReferenceDb) -> Option<(Role, String)> {
    let kind = end.facts.special?;
    if matches!(kind, "multicast" | "broadcast") {
        return Some((
            Role::Platform,
            format!("{kind} address: local network (IANA special-purpose addresses)"),
        ));
    }
    if let Some((id, why)) = end.ties(db).next() {
        return Some((
            Role::FirstParty,
            format!("{why} of {id} at a {kind} address: a server of one's own choice"),
        ));
    }
    if let Some(decided) = tracker(end, db) {
        return Some(decided);
    }
    if let Some(decided) = service(db.facts().services.of_port(end.ports), "port") {
        return Some(decided);
    }
    if has_media(end) {
        return Some((Role::Peer, format!("media to a {kind} address: another device of the local network")));
    }
    if let Some(decided) = datagram_peer(end, &format!("a {kind} address")) {
        return Some(decided);
    }
    Some((
        Role::Unknown,
        format!("{kind} address: stands for no place or operator (IANA special-purpose addresses)"),
    ))
}

/// The messenger's own end, by a first-party name or because its flows were attributed to it.
fn messenger<'d>(
    end: &End<'_>,
    db: &'d ReferenceDb,
    company: Option<&Company>,
) -> Option<(Role, String, &'d Messenger)> {
    let messengers = &db.facts().messengers;
    // Only a server of the user's own choice has no other mark than the run.
    let by_flow = end.ties(db).find_map(|(id, why)| {
        let messenger = messengers.by_id(id)?;
        (*why != "run" || messenger.servers == Servers::Chosen).then(|| (messenger, (*why).to_owned()))
    });
    let (messenger, why) = by_flow.or_else(|| {
        end.names.iter().find_map(|name| {
            let owner = messengers.of_name(plain(name))?.exclusive?;
            Some((messengers.get(owner)?, format!("name:{name}")))
        })
    })?;
    let id = &messenger.id;
    let relay = end.protocols.iter().any(|p| matches!(*p, "stun" | "turn")) && has_relay_port(end.ports);
    if relay {
        return Some((
            Role::Relay,
            format!("{why} of {id} with STUN on a relay port (messengers.toml, RFC 8656)"),
            messenger,
        ));
    }
    if why.starts_with("network:") {
        return Some((Role::FirstParty, format!("{why} is {id}'s alone (messengers.toml)"), messenger));
    }
    if messenger.servers == Servers::Chosen {
        return Some((
            Role::FirstParty,
            format!("{why} of {id}: the server that was chosen (messengers.toml)"),
            messenger,
        ));
    }
    let (role, why) = own_or_rented(end, messenger, company, &why);
    Some((role, why, messenger))
}

/// Whether a messenger's end stands in a network of its company, of a delivery network or of another operator.
fn own_or_rented(
    end: &End<'_>,
    messenger: &Messenger,
    company: Option<&Company>,
    why: &str,
) -> (Role, String) {
    let id = &messenger.id;
    let Some(operator) = &end.facts.operator else {
        return (
            Role::FirstParty,
            format!("{why} of {id}, operator of the network not known (messengers.toml)"),
        );
    };
    match company {
        Some(company) if messenger.company.as_deref() == Some(company.id.as_str()) => (
            Role::FirstParty,
            format!("{why} of {id} in a network of {} (messengers.toml, operators.toml)", company.name),
        ),
        Some(company) if company.kind == CompanyKind::Cdn => {
            (Role::Cdn, format!("{why} of {id} at the delivery network of {} (operators.toml)", company.name))
        }
        _ if end.facts.is_delivery_service() => {
            (Role::Cdn, format!("{why} of {id} at CloudFront of {} (aws-regions)", operator.name))
        }
        _ => (
            Role::Hosting,
            format!("{why} of {id} in a network of {} (messengers.toml, {})", operator.name, operator.source),
        ),
    }
}

fn by_service_name(end: &End<'_>, db: &ReferenceDb) -> Option<(Role, String)> {
    // A delivery network's name says less than another service's, so it is asked last.
    let services =
        || end.names.iter().filter_map(|name| Some((name, db.facts().services.of_name(plain(name))?)));
    let found = services().find(|(_, service)| service.role != Role::Cdn);
    // A tracker that is delivered by a CDN is a tracker.
    if found.is_none()
        && let Some(tracker) = tracker(end, db)
    {
        return Some(tracker);
    }
    let (name, found) = found.or_else(|| services().next())?;
    service(Some(found), &format!("name {name}"))
}

fn service(service: Option<&Service>, by: &str) -> Option<(Role, String)> {
    let service = service?;
    let doubt = if service.unverified { ", unverified" } else { "" };
    let why = format!("{} by {by} (services.toml {}: {}{doubt})", service.title, service.id, service.source);
    Some((service.role, why))
}

/// An entry of the tracker list. A messenger's company among its own flows is no third party: that was decided before.
fn tracker(end: &End<'_>, db: &ReferenceDb) -> Option<(Role, String)> {
    end.names.iter().find_map(|name| {
        let entry = db.tracker(plain(name))?;
        let role = match entry.category {
            "cdn" => Role::Cdn,
            category if TRACKING.contains(&category) => Role::Tracker,
            _ => return None,
        };
        let (domain, company, category) = (entry.domain, entry.company, entry.category);
        Some((role, format!("name {name} is listed under {domain} of {company}, {category} (trackers)")))
    })
}

/// A name that a messenger shares with its company's other services, in captures that all show that messenger. Elsewhere
/// the same name is a third party's, and the tracker list decides.
fn shared<'d>(
    end: &End<'_>,
    db: &'d ReferenceDb,
    company: Option<&Company>,
) -> Option<(Role, String, &'d Messenger)> {
    let messengers = &db.facts().messengers;
    let everywhere = |id: &str| !end.beside.is_empty() && end.beside.iter().all(|ids| ids.contains(id));
    end.names.iter().find_map(|name| {
        let owners = messengers.of_name(plain(name))?.all.iter().filter_map(|i| messengers.get(*i));
        let owner = owners.into_iter().find(|owner| everywhere(&owner.id))?;
        let why = format!("name:{name}, shared with other services,");
        let (role, why) = own_or_rented(end, owner, company, &why);
        Some((role, why, owner))
    })
}

/// Media, or checks for it, to an end that no list knows is taken for the other party; to a known operator for its relay.
fn media(end: &End<'_>, company: Option<&Company>) -> Option<(Role, String)> {
    if !has_media(end) {
        return None;
    }
    Some(match (company, &end.facts.cloud) {
        (None, None) => {
            (Role::Peer, "media to a network of no known operator of servers (operators.toml)".to_owned())
        }
        (Some(company), _) => {
            (Role::Relay, format!("media to a network of {} (operators.toml)", company.name))
        }
        (None, Some(cloud)) => {
            (Role::Relay, format!("media to a network of {} ({})", cloud.provider, cloud.source))
        }
    })
}

/// Media, or the connectivity checks that go before it (RFC 8445), which both ends of a call send to each other. STUN on a
/// relay's port was decided before.
fn has_media(end: &End<'_>) -> bool {
    end.protocols.contains("rtp") || (end.protocols.contains("stun") && !has_relay_port(end.ports))
}

/// A call whose media no protocol explains: datagrams both ways between two high ports, in captures that all show a
/// messenger, with an end where no operator of servers is known. An inference, and said as one.
fn datagram_peer(end: &End<'_>, place: &str) -> Option<(Role, String)> {
    let shown = end.beside.iter().all(|ids| !ids.is_empty());
    let messengers: BTreeSet<&str> = end.beside.iter().flat_map(|ids| ids.iter().copied()).collect();
    if !end.opaque_datagrams || end.beside.is_empty() || !shown || !end.names.is_empty() {
        return None;
    }
    let messengers = messengers.into_iter().collect::<Vec<_>>().join(", ");
    Some((
        Role::Peer,
        format!("datagrams between high ports beside {messengers}, with {place}: taken for the other party"),
    ))
}

/// Networks that do nothing but deliver.
fn edge(end: &End<'_>, company: Option<&Company>) -> Option<(Role, String)> {
    if end.facts.is_delivery_service() {
        return Some((Role::Cdn, "network of CloudFront (aws-regions)".to_owned()));
    }
    let company = company.filter(|company| company.kind == CompanyKind::Cdn)?;
    Some((Role::Cdn, format!("network of {} (operators.toml)", company.name)))
}

fn has_relay_port(ports: &[Port]) -> bool {
    ports.iter().any(|(_, port)| matches!(port, 3478..=3481 | 5349))
}
