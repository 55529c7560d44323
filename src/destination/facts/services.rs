//! `services.toml`: resolvers, push, time, relays, platform hosts, CDNs.

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt as _};
use serde::Deserialize;
use toml::Spanned;

use super::names::Suffixes;
use super::operators::Operators;
use crate::destination::cidr::Cidr;
use crate::destination::data::DataFile;
use crate::destination::error::ReferenceError;
use crate::model::Role;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    as_of: Spanned<String>,
    #[serde(default, rename = "service")]
    services: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    title: Spanned<String>,
    role: Spanned<Role>,
    operator: Option<Spanned<String>>,
    #[serde(default)]
    names: Vec<Spanned<String>>,
    #[serde(default)]
    prefixes: Vec<Spanned<String>>,
    #[serde(default)]
    asns: Vec<Spanned<u32>>,
    #[serde(default)]
    ports: Vec<Spanned<String>>,
    source: Spanned<String>,
    date: Spanned<String>,
    #[serde(default)]
    unverified: bool,
}

/// A transport and a port.
pub(crate) type Port = (Transport, u16);

/// Transports that services name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// The transport as flows write it.
    pub(crate) fn parse(text: &str) -> Option<Transport> {
        match text {
            "tcp" => Some(Transport::Tcp),
            "udp" => Some(Transport::Udp),
            _ => None,
        }
    }
}

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) role: Role,
    pub(crate) source: String,
    pub(crate) unverified: bool,
    ports: Vec<Port>,
}

/// All services.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) as_of: String,
    list: Vec<Service>,
    names: Suffixes<usize>,
    prefixes: Vec<(Cidr, usize)>,
    asns: HashMap<u32, Vec<usize>>,
    ports: HashMap<Port, usize>,
}

impl Services {
    pub(crate) fn parse(file: DataFile<'_>, operators: &Operators) -> Result<Services, ReferenceError> {
        let parsed: File = file.parse()?;
        file.schema(&parsed.schema)?;
        file.day(&parsed.as_of)?;
        let mut out = Services {
            as_of: parsed.as_of.get_ref().clone(),
            list: Vec::new(),
            names: Suffixes::new(),
            prefixes: Vec::new(),
            asns: HashMap::new(),
            ports: HashMap::new(),
        };
        for entry in parsed.services {
            out.add(file, entry, operators)?;
        }
        Ok(out)
    }

    fn add(&mut self, file: DataFile<'_>, entry: Entry, operators: &Operators) -> Result<(), ReferenceError> {
        file.id(&entry.id)?;
        file.said(&entry.title, "title")?;
        file.sourced(&entry.source, &entry.date, entry.unverified)?;
        let twice = |span: &Spanned<String>| {
            let what = format!("{:?} is listed twice", span.get_ref());
            file.fault(&span.span(), what, "leave it with one service")
        };
        if self.list.iter().any(|service| service.id == *entry.id.get_ref()) {
            return Err(twice(&entry.id));
        }
        let fits =
            [Role::Push, Role::Resolver, Role::Time, Role::Cdn, Role::Platform, Role::Relay, Role::Tracker];
        if !fits.contains(entry.role.get_ref()) {
            let remedy = "write push, resolver, time, cdn, platform, relay or tracker; messengers go to messengers.toml";
            return Err(file.fault(
                &entry.role.span(),
                "this role is not decided by a list of services",
                remedy,
            ));
        }
        if let Some(operator) = entry.operator.as_ref().filter(|o| !operators.knows(o.get_ref())) {
            let what = format!("operator {:?} is not known", operator.get_ref());
            return Err(file.fault(
                &operator.span(),
                what,
                "add an [[operator]] with that id to operators.toml",
            ));
        }
        let index = self.list.len();
        let mut ports = Vec::new();
        for text in &entry.ports {
            let port = port(file, text)?;
            if ports.contains(&port) {
                return Err(twice(text));
            }
            ports.push(port);
        }
        for name in &entry.names {
            file.domain(name)?;
            if !self.names.insert(name.get_ref(), index) {
                return Err(twice(name));
            }
        }
        // One network may be of two services only where the ports tell which.
        let same = |other: &Service| (other.ports.is_empty() && ports.is_empty()) || other.has_port(&ports);
        let clash = |other: &usize| *other == index || self.list.get(*other).is_some_and(same);
        let mut networks = Vec::new();
        for prefix in &entry.prefixes {
            let cidr = file.cidr(prefix)?;
            let known = self.prefixes.iter().chain(&networks);
            if known.filter(|(other, _)| *other == cidr).any(|(_, other)| clash(other)) {
                return Err(twice(prefix));
            }
            networks.push((cidr, index));
        }
        let mut systems = Vec::new();
        for asn in &entry.asns {
            if ports.is_empty() {
                let remedy = "add ports: a whole AS is no service";
                return Err(file.fault(&asn.span(), format!("AS{} without ports", asn.get_ref()), remedy));
            }
            if self.asns.get(asn.get_ref()).into_iter().flatten().any(clash)
                || systems.contains(asn.get_ref())
            {
                let what = format!("AS{} is listed twice with the same port", asn.get_ref());
                return Err(file.fault(&asn.span(), what, "leave it with one service"));
            }
            systems.push(*asn.get_ref());
        }
        self.prefixes.extend(networks);
        for asn in systems {
            self.asns.entry(asn).or_default().push(index);
        }
        if entry.names.is_empty() && entry.prefixes.is_empty() && entry.asns.is_empty() {
            if ports.is_empty() {
                return Err(file.fault(
                    &entry.id.span(),
                    "nothing to meet it by",
                    "add names, prefixes or ports",
                ));
            }
            for (port, text) in ports.iter().zip(&entry.ports) {
                if self.ports.insert(*port, index).is_some() {
                    return Err(twice(text));
                }
            }
        }
        self.list.push(Service {
            id: entry.id.into_inner(),
            title: entry.title.into_inner(),
            role: entry.role.into_inner(),
            source: entry.source.into_inner(),
            unverified: entry.unverified,
            ports,
        });
        Ok(())
    }

    /// Number of services.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The service that a name belongs to.
    pub(crate) fn of_name(&self, name: &str) -> Option<&Service> {
        self.names.find(name).and_then(|i| self.list.get(*i))
    }

    /// The service that an address belongs to; its ports, where it has some, must have been used.
    pub(crate) fn of_address(&self, address: IpAddr, used: &[Port]) -> Option<&Service> {
        let around = self.prefixes.iter().filter(|(cidr, _)| cidr.contains(address));
        let services = around.filter_map(|(cidr, i)| Some((cidr.length(), self.list.get(*i)?)));
        let fitting = services.filter(|(_, s)| s.ports.is_empty() || s.has_port(used));
        // Of equal networks the one whose port was used says more.
        fitting.max_by_key(|(length, s)| (*length, !s.ports.is_empty())).map(|(_, service)| service)
    }

    /// The service that an AS offers on one of the ports used.
    pub(crate) fn of_system(&self, asn: u32, used: &[Port]) -> Option<&Service> {
        let services = self.asns.get(&asn)?.iter().filter_map(|i| self.list.get(*i));
        services.into_iter().find(|service| service.has_port(used))
    }

    /// The service that usually has one of the ports used.
    pub(crate) fn of_port(&self, used: &[Port]) -> Option<&Service> {
        used.iter().find_map(|port| self.ports.get(port)).and_then(|i| self.list.get(*i))
    }
}

impl Service {
    fn has_port(&self, used: &[Port]) -> bool {
        self.ports.iter().any(|port| used.contains(port))
    }
}

/// Reads `tcp/443`.
pub(crate) fn port(file: DataFile<'_>, text: &Spanned<String>) -> Result<Port, ReferenceError> {
    let parsed = text.get_ref().split_once('/').and_then(|(transport, number)| {
        let number = number.parse().ok().filter(|n| *n != 0)?;
        Some((Transport::parse(transport)?, number))
    });
    parsed.ok_or_else(|| {
        file.fault(&text.span(), format!("{:?} is no port", text.get_ref()), "write tcp/443 or udp/3478")
    })
}
