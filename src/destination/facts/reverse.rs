//! `reverse.toml`: under which domain operators name their addresses in the reverse zones of DNS.
//!
//! Takes the file's text; gives the zone of an address. A name from here is nothing that traffic showed, so it ranks below
//! all others and never says whose an end is.

use std::collections::BTreeSet;
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
    licence: Spanned<String>,
    #[serde(default, rename = "zone")]
    zones: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    name: Spanned<String>,
    #[serde(default)]
    prefixes: Vec<Spanned<String>>,
    #[serde(default)]
    services: Vec<Spanned<String>>,
    #[serde(default)]
    regions: Vec<Spanned<String>>,
    #[serde(default)]
    not_regions: Vec<Spanned<String>>,
    #[serde(default)]
    asns: Vec<Spanned<u32>>,
    source: Spanned<String>,
    date: Spanned<String>,
    #[serde(default)]
    unverified: bool,
}

/// A zone.
#[derive(Debug)]
struct Zone {
    name: String,
    why: String,
    prefixes: Vec<Cidr>,
    services: Vec<String>,
    regions: Vec<String>,
    not_regions: Vec<String>,
    asns: Vec<u32>,
}

/// All zones.
#[derive(Debug)]
pub(crate) struct Reverse {
    pub(crate) as_of: String,
    pub(crate) licence: String,
    zones: Vec<Zone>,
}

impl Reverse {
    pub(crate) fn parse(file: DataFile<'_>) -> Result<Reverse, ReferenceError> {
        let parsed: File = file.parse()?;
        file.schema(&parsed.schema)?;
        file.day(&parsed.as_of)?;
        file.said(&parsed.licence, "licence")?;
        let mut out = Reverse {
            as_of: parsed.as_of.get_ref().clone(),
            licence: parsed.licence.get_ref().clone(),
            zones: Vec::new(),
        };
        let (mut ids, mut prefixes, mut asns) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for entry in &parsed.zones {
            file.id(&entry.id)?;
            if !ids.insert(entry.id.get_ref()) {
                let what = format!("zone {:?} is listed twice", entry.id.get_ref());
                return Err(file.fault(&entry.id.span(), what, "give each its own id"));
            }
            let bare = entry.name.get_ref().strip_prefix("*.").unwrap_or(entry.name.get_ref());
            file.domain(&Spanned::new(entry.name.span(), bare.to_owned()))?;
            file.sourced(&entry.source, &entry.date, entry.unverified)?;
            if entry.prefixes.is_empty() && entry.services.is_empty() && entry.asns.is_empty() {
                let remedy = "add prefixes, services or asns";
                return Err(file.fault(&entry.id.span(), "nothing to meet it by", remedy));
            }
            let narrowed = entry.regions.iter().chain(&entry.not_regions);
            if let (true, Some(region)) = (entry.services.is_empty(), narrowed.clone().next()) {
                let remedy = "add services: regions narrow them";
                return Err(file.fault(&region.span(), "a region without a service", remedy));
            }
            for word in entry.services.iter().chain(narrowed) {
                file.said(word, "name")?;
            }
            let mut networks = Vec::new();
            for prefix in &entry.prefixes {
                let cidr = file.cidr(prefix)?;
                if !prefixes.insert(cidr) {
                    return Err(file.fault(
                        &prefix.span(),
                        format!("{} is listed twice", prefix.get_ref()),
                        "leave it with one zone",
                    ));
                }
                networks.push(cidr);
            }
            for asn in &entry.asns {
                if *asn.get_ref() == 0 || !asns.insert(*asn.get_ref()) {
                    let what = format!("AS{} is 0 or listed twice", asn.get_ref());
                    return Err(file.fault(&asn.span(), what, "leave it with one zone"));
                }
            }
            let plain = |words: &[Spanned<String>]| words.iter().map(|w| w.get_ref().clone()).collect();
            let doubt = if entry.unverified { ", unverified" } else { "" };
            let why = format!("reverse.toml {}: {}{doubt}", entry.id.get_ref(), entry.source.get_ref());
            out.zones.push(Zone {
                name: entry.name.get_ref().clone(),
                why,
                prefixes: networks,
                services: plain(&entry.services),
                regions: plain(&entry.regions),
                not_regions: plain(&entry.not_regions),
                asns: entry.asns.iter().map(|asn| *asn.get_ref()).collect(),
            });
        }
        Ok(out)
    }

    /// All prefixes.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = Cidr> {
        self.zones.iter().flat_map(|zone| zone.prefixes.iter().copied())
    }

    /// The zone with the longest prefix around the address.
    pub(crate) fn around(&self, address: IpAddr) -> Option<usize> {
        let zones = self.zones.iter().enumerate();
        let all = zones.flat_map(|(i, zone)| zone.prefixes.iter().map(move |cidr| (cidr, i)));
        let around = all.filter(|(cidr, _)| cidr.contains(address));
        around.max_by_key(|(cidr, _)| cidr.length()).map(|(_, i)| i)
    }

    /// The name of an address and where it is from. `around` is the zone by its own prefix; `cloud` is what a cloud list says of
    /// it: services, separated by commas, and region.
    pub(crate) fn of(
        &self,
        around: Option<usize>,
        asn: Option<u32>,
        cloud: Option<(&str, &str)>,
    ) -> Option<(&str, &str)> {
        let nearest = around.and_then(|i| self.zones.get(i));
        let by_service = || {
            let (services, region) = cloud?;
            self.zones.iter().find(|zone| {
                services.split(',').any(|s| zone.services.iter().any(|own| own == s))
                    && (zone.regions.is_empty() || zone.regions.iter().any(|r| r == region))
                    && !zone.not_regions.iter().any(|r| r == region)
            })
        };
        let by_system = || {
            let asn = asn.filter(|_| cloud.is_none())?;
            self.zones.iter().find(|zone| zone.asns.contains(&asn))
        };
        let zone = nearest.or_else(by_service).or_else(by_system)?;
        Some((&zone.name, &zone.why))
    }

    /// Number of zones.
    pub(crate) fn len(&self) -> usize {
        self.zones.len()
    }
}
