//! `messengers.toml`: first-party domains, networks and ports of the eight messengers.

use std::net::IpAddr;

use serde::Deserialize;
use toml::Spanned;

use super::names::Suffixes;
use super::operators::Operators;
use super::services::port;
use crate::destination::cidr::Cidr;
use crate::destination::data::DataFile;
use crate::destination::error::ReferenceError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    as_of: Spanned<String>,
    #[serde(default, rename = "messenger")]
    messengers: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    title: Spanned<String>,
    company: Option<Spanned<String>>,
    /// Who provides the service, where that is not `company` itself.
    #[serde(default)]
    providers: Vec<Spanned<String>>,
    servers: Spanned<Servers>,
    note: Option<Spanned<String>>,
    #[serde(default)]
    domains: Vec<Domains>,
    #[serde(default)]
    networks: Vec<Networks>,
    #[serde(default)]
    ports: Vec<Ports>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Domains {
    names: Vec<Spanned<String>>,
    exclusive: bool,
    #[serde(default)]
    unverified: bool,
    source: Spanned<String>,
    date: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Networks {
    prefixes: Vec<Spanned<String>>,
    exclusive: bool,
    #[serde(default)]
    unverified: bool,
    source: Spanned<String>,
    date: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ports {
    #[serde(rename = "ports")]
    numbers: Vec<Spanned<String>>,
    what: Spanned<String>,
    #[serde(default)]
    unverified: bool,
    source: Spanned<String>,
    date: Spanned<String>,
}

/// Whose servers a messenger uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Servers {
    /// The vendor's.
    Own,
    /// Those that the user or the operating body chose.
    Chosen,
}

/// A messenger.
#[derive(Debug)]
pub(crate) struct Messenger {
    pub(crate) id: String,
    /// Id in `operators.toml`.
    pub(crate) company: Option<String>,
    /// Ids in `operators.toml` of the companies whose service it is.
    pub(crate) providers: Vec<String>,
    pub(crate) servers: Servers,
}

/// A network of a messenger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) cidr: Cidr,
    pub(crate) messenger: usize,
    pub(crate) exclusive: bool,
}

/// Messengers that a domain belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct DomainOwners {
    /// The one that it shows by itself.
    pub(crate) exclusive: Option<usize>,
    /// All that use it.
    pub(crate) all: Vec<usize>,
}

/// All messengers.
#[derive(Debug)]
pub(crate) struct Messengers {
    pub(crate) as_of: String,
    pub(crate) list: Vec<Messenger>,
    domains: Suffixes<DomainOwners>,
    networks: Vec<Network>,
}

impl Messengers {
    pub(crate) fn parse(file: DataFile<'_>, operators: &Operators) -> Result<Messengers, ReferenceError> {
        let parsed: File = file.parse()?;
        file.schema(&parsed.schema)?;
        file.day(&parsed.as_of)?;
        let mut out = Messengers {
            as_of: parsed.as_of.get_ref().clone(),
            list: Vec::new(),
            domains: Suffixes::new(),
            networks: Vec::new(),
        };
        for entry in parsed.messengers {
            out.add(file, entry, operators)?;
        }
        Ok(out)
    }

    fn add(&mut self, file: DataFile<'_>, entry: Entry, operators: &Operators) -> Result<(), ReferenceError> {
        file.id(&entry.id)?;
        file.said(&entry.title, "title")?;
        entry.note.iter().try_for_each(|note| file.said(note, "note"))?;
        if self.by_id(entry.id.get_ref()).is_some() {
            let what = format!("messenger {:?} is listed twice", entry.id.get_ref());
            return Err(file.fault(&entry.id.span(), what, "keep one [[messenger]] with this id"));
        }
        let companies = entry.company.iter().chain(&entry.providers);
        if let Some(company) = companies.into_iter().find(|c| !operators.knows(c.get_ref())) {
            let what = format!("company {:?} is not known", company.get_ref());
            return Err(file.fault(
                &company.span(),
                what,
                "add an [[operator]] with that id to operators.toml",
            ));
        }
        let servers = *entry.servers.get_ref();
        if servers == Servers::Own && (entry.domains.is_empty() || entry.company.is_none()) {
            let remedy = "add company and [[messenger.domains]], or write servers = \"chosen\"";
            return Err(file.fault(&entry.servers.span(), "own servers without company or domain", remedy));
        }
        let index = self.list.len();
        for group in &entry.domains {
            file.sourced(&group.source, &group.date, group.unverified)?;
            for name in &group.names {
                file.domain(name)?;
                self.add_domain(file, name, index, group.exclusive)?;
            }
        }
        for group in &entry.networks {
            file.sourced(&group.source, &group.date, group.unverified)?;
            for prefix in &group.prefixes {
                let cidr = file.cidr(prefix)?;
                let overlap = |n: &&Network| {
                    (group.exclusive || n.exclusive)
                        && n.messenger != index
                        && (n.cidr.contains(cidr.first()) || cidr.contains(n.cidr.first()))
                };
                if self.networks.iter().any(|n| n.messenger == index && n.cidr == cidr) {
                    let what = format!("{cidr} is listed twice");
                    return Err(file.fault(&prefix.span(), what, "list it once"));
                }
                if self.networks.iter().find(overlap).is_some() {
                    let what = format!("{cidr} overlaps with a network of another messenger");
                    return Err(file.fault(&prefix.span(), what, "write exclusive = false for both"));
                }
                self.networks.push(Network { cidr, messenger: index, exclusive: group.exclusive });
            }
        }
        for group in &entry.ports {
            file.sourced(&group.source, &group.date, group.unverified)?;
            file.said(&group.what, "what")?;
            for text in &group.numbers {
                port(file, text)?;
            }
        }
        self.list.push(Messenger {
            id: entry.id.into_inner(),
            providers: if entry.providers.is_empty() {
                entry.company.iter().map(|company| company.get_ref().clone()).collect()
            } else {
                entry.providers.iter().map(|company| company.get_ref().clone()).collect()
            },
            company: entry.company.map(Spanned::into_inner),
            servers,
        });
        Ok(())
    }

    fn add_domain(
        &mut self,
        file: DataFile<'_>,
        name: &Spanned<String>,
        index: usize,
        exclusive: bool,
    ) -> Result<(), ReferenceError> {
        if self.domains.exact_mut(name.get_ref()).is_none() {
            self.domains.insert(name.get_ref(), DomainOwners::default());
        }
        let Some(owners) = self.domains.exact_mut(name.get_ref()) else { return Ok(()) };
        if owners.all.contains(&index) || owners.exclusive.is_some() || (exclusive && !owners.all.is_empty())
        {
            let what = format!(
                "{:?} is listed twice, or exclusive for one messenger and used by another",
                name.get_ref()
            );
            return Err(file.fault(&name.span(), what, "list it once, or write exclusive = false for all"));
        }
        owners.all.push(index);
        owners.exclusive = exclusive.then_some(index);
        Ok(())
    }

    /// The messenger with an id.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Messenger> {
        self.list.iter().find(|messenger| messenger.id == id)
    }

    /// A messenger by its number.
    pub(crate) fn get(&self, index: usize) -> Option<&Messenger> {
        self.list.get(index)
    }

    /// Whose domain a name is.
    pub(crate) fn of_name(&self, name: &str) -> Option<&DomainOwners> {
        self.domains.find(name)
    }

    /// A domain that shows a messenger by itself: of several the first by the alphabet.
    pub(crate) fn domain_of(&self, id: &str) -> Option<&str> {
        let index = self.list.iter().position(|messenger| messenger.id == id)?;
        let own = self.domains.iter().filter(|(_, owners)| owners.exclusive == Some(index));
        own.map(|(domain, _)| domain).min()
    }

    /// The longest network of a messenger around an address.
    pub(crate) fn of_address(&self, address: IpAddr) -> Option<Network> {
        let around = self.networks.iter().filter(|network| network.cidr.contains(address));
        around.max_by_key(|network| network.cidr.length()).copied()
    }
}
