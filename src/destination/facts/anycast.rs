//! `anycast.toml`: networks that their operator publishes as anycast.

use std::net::IpAddr;

use serde::Deserialize;
use toml::Spanned;

use crate::destination::cidr::Cidr;
use crate::destination::data::DataFile;
use crate::destination::error::ReferenceError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    as_of: Spanned<String>,
    #[serde(default, rename = "network")]
    networks: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    title: Spanned<String>,
    #[serde(default)]
    prefixes: Vec<Spanned<String>>,
    #[serde(default)]
    clouds: Vec<Spanned<String>>,
    #[serde(default)]
    services: Vec<Spanned<String>>,
    source: Spanned<String>,
    date: Spanned<String>,
    #[serde(default)]
    unverified: bool,
}

/// A published network.
#[derive(Debug)]
struct Network {
    words: String,
    prefixes: Vec<Cidr>,
    clouds: Vec<String>,
    services: Vec<String>,
}

/// All published networks.
#[derive(Debug)]
pub(crate) struct Anycast {
    pub(crate) as_of: String,
    networks: Vec<Network>,
}

impl Anycast {
    pub(crate) fn parse(file: DataFile<'_>) -> Result<Anycast, ReferenceError> {
        let parsed: File = file.parse()?;
        file.schema(&parsed.schema)?;
        file.day(&parsed.as_of)?;
        let mut ids = std::collections::BTreeSet::new();
        let (mut listed, mut named) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        let mut networks = Vec::new();
        for entry in &parsed.networks {
            file.id(&entry.id)?;
            file.said(&entry.title, "title")?;
            file.sourced(&entry.source, &entry.date, entry.unverified)?;
            if !ids.insert(entry.id.get_ref()) {
                let what = format!("{:?} is listed twice", entry.id.get_ref());
                return Err(file.fault(&entry.id.span(), what, "give each its own id"));
            }
            if entry.prefixes.is_empty() && entry.clouds.is_empty() && entry.services.is_empty() {
                let remedy = "add prefixes, clouds or services";
                return Err(file.fault(&entry.id.span(), "nothing to meet it by", remedy));
            }
            let twice = |text: &Spanned<String>| {
                let what = format!("{:?} is listed twice", text.get_ref());
                file.fault(&text.span(), what, "leave it with one network")
            };
            for name in entry.clouds.iter().chain(&entry.services) {
                file.said(name, "name")?;
                if !named.insert(name.get_ref()) {
                    return Err(twice(name));
                }
            }
            let mut prefixes = Vec::new();
            for prefix in &entry.prefixes {
                let cidr = file.cidr(prefix)?;
                if !listed.insert(cidr) {
                    return Err(twice(prefix));
                }
                prefixes.push(cidr);
            }
            let plain = |names: &[Spanned<String>]| names.iter().map(|name| name.get_ref().clone()).collect();
            let doubt = if entry.unverified { ", unverified" } else { "" };
            let (title, id, source) = (entry.title.get_ref(), entry.id.get_ref(), entry.source.get_ref());
            networks.push(Network {
                words: format!("{title} (anycast.toml {id}: {source}{doubt})"),
                prefixes,
                clouds: plain(&entry.clouds),
                services: plain(&entry.services),
            });
        }
        Ok(Anycast { as_of: parsed.as_of.into_inner(), networks })
    }

    /// All prefixes.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = Cidr> {
        self.networks.iter().flat_map(|network| network.prefixes.iter().copied())
    }

    /// The first network that lists a prefix around the address.
    pub(crate) fn around(&self, address: IpAddr) -> Option<usize> {
        let around = |network: &Network| network.prefixes.iter().any(|prefix| prefix.contains(address));
        self.networks.iter().position(around)
    }

    /// Who publishes that an address is anycast: by a prefix `around` it, or by what a cloud list says of its network.
    pub(crate) fn of(
        &self,
        around: Option<usize>,
        provider: Option<&str>,
        services: &[String],
    ) -> Option<&str> {
        let fits = |(number, network): &(usize, &Network)| {
            around == Some(*number)
                || provider.is_some_and(|name| network.clouds.iter().any(|cloud| cloud == name))
                || services.iter().any(|name| network.services.contains(name))
        };
        self.networks.iter().enumerate().find(fits).map(|(_, network)| network.words.as_str())
    }
}
