//! The reference data as one thing: the compact table and the hand-written facts.
//!
//! Takes nothing (embedded) or a table file; answers what is known of an address: places by source, agreement, operator,
//! jurisdictions. Knows nothing of flows; roles are decided in `role`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock, RwLock};

use foldhash::{HashMap, HashMapExt as _};
use serde::Serialize;

use super::cidr::Steps;
use super::error::ReferenceError;
use super::facts::operators::Company;
use super::facts::{FactTexts, Facts};
use super::place::agree;
use super::special::{effective, special};
use super::table::{SourceMeta, Table, Tracker};
use crate::dissect::EchConfigs;
use crate::model::{Agreement, Jurisdiction, JurisdictionWhy, Operator, Place, ReferenceSource, Unverified};

static EMBEDDED: &[u8] = include_bytes!("../../reference/metaleak.db");
/// Largest table file that is read.
const MOST_BYTES: u64 = 256 << 20;
/// Facts that are kept at hand (some 1 KiB each); those of more networks are put together each time they are asked for.
const MOST_KEPT: usize = 1 << 15;

/// Data older than this many days is warned of.
pub(crate) const OLD_DAYS: i64 = 365;

/// Whether data of a date is more than 12 months older than a day.
pub(crate) fn outdated(data: jiff::civil::Date, day: jiff::civil::Date) -> bool {
    i64::from((day - data).get_days()) > OLD_DAYS
}

/// Reference data, ready for look-ups.
#[derive(Debug)]
pub struct ReferenceDb {
    table: Table,
    facts: Facts,
    /// Which prefix of the hand-written facts an address is in.
    near: Steps<Near>,
    /// Facts that were put together: all addresses with the same key share them.
    kept: RwLock<HashMap<Key, Arc<AddressFacts>>>,
}

/// The prefixes around an address: numbers of an entry of `anycast.toml` and of a zone of `reverse.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Near {
    anycast: Option<usize>,
    reverse: Option<usize>,
}

/// All that the facts of an address depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// The kind of a special range.
    Special(&'static str),
    /// Number of the table's record, and the prefixes around it.
    Record(u32, Near),
}

/// What is known of an address without looking at traffic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddressFacts {
    /// What each source says of its country, in the order of `SOURCES.toml`; empty for a special address.
    pub places: Vec<Place>,
    /// The country, where all, most or the only source say the same.
    pub country: Option<String>,
    /// How far the sources agree.
    pub agreement: Agreement,
    /// Who announces the network, or else whose cloud list names it.
    pub operator: Option<Operator>,
    /// Laws of the place (of every country named, where the sources disagree) and of the operator's seat.
    pub jurisdictions: Vec<Jurisdiction>,
    /// `private`, `loopback`, `link-local`, `multicast`, `cgnat`, `documentation`, `broadcast` …: stands for no place.
    pub special: Option<&'static str>,
    /// What a cloud operator publishes about the network.
    pub cloud: Option<CloudFacts>,
    /// Who publishes that the address is anycast, and where: then no country is the place of the machine that answered.
    pub anycast: Option<String>,
    /// The name that its operator gives it in the reverse zone, or the domain of that name (`*.1e100.net`), and where that is from.
    pub reverse: Option<ReverseName>,
}

impl AddressFacts {
    /// Whether its cloud says that it is one of its delivery network.
    pub(crate) fn is_delivery_service(&self) -> bool {
        self.cloud.as_ref().is_some_and(|cloud| cloud.services.iter().any(|s| s == "CLOUDFRONT"))
    }
}

/// A name by `reverse.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReverseName {
    /// A host name, or `*.` and the domain of host names that are not known.
    pub name: String,
    /// The entry and its source.
    pub source: String,
}

/// An entry of a cloud operator's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudFacts {
    /// Name of the cloud.
    pub provider: String,
    /// Region, where it is published and the network is not global.
    pub region: Option<String>,
    /// Services, where they are published (`CLOUDFRONT`, `EC2` …).
    pub services: Vec<String>,
    /// The source's name.
    pub source: String,
}

/// Sizes and sources, for `metaleak db info`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DbInfo {
    /// Size of the table in bytes.
    pub bytes: u64,
    /// SHA-256 of the table.
    pub sha256: String,
    /// Sources of the table.
    pub sources: Vec<SourceMeta>,
    /// Hand-written files.
    pub facts: Vec<ReferenceSource>,
    /// Autonomous systems.
    pub autonomous_systems: usize,
    /// Cloud entries.
    pub cloud_entries: usize,
    /// Tracker domains.
    pub tracker_domains: usize,
    /// Look-up blocks of all layers.
    pub blocks: usize,
    /// Messengers with first-party facts.
    pub messengers: usize,
    /// Companies with a seat.
    pub operators: usize,
    /// Services with a role.
    pub services: usize,
    /// Countries with an adequacy decision.
    pub adequacy_decisions: usize,
    /// Reverse zones.
    pub reverse_zones: usize,
    /// Configurations of `ech.toml`.
    pub ech_configurations: usize,
}

/// What the table says of an address.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    table: &'a Table,
    countries: std::iter::Zip<std::slice::Iter<'a, u8>, std::slice::Iter<'a, usize>>,
    /// Number and name of the autonomous system.
    pub asn: Option<(u32, &'a str)>,
    /// Cloud and region (empty where none is published) by the list of a cloud.
    pub cloud: Option<(&'a str, &'a str)>,
}

impl<'a> Answer<'a> {
    /// Country and source, for each source that names one.
    pub fn countries(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let table = self.table;
        self.countries.clone().filter_map(|(country, source)| {
            Some((table.country(*country)?, table.meta().sources.get(*source)?.name.as_str()))
        })
    }
}

impl ReferenceDb {
    /// The data compiled into this program; parsed once.
    pub fn embedded() -> Result<&'static ReferenceDb, ReferenceError> {
        static DB: OnceLock<ReferenceDb> = OnceLock::new();
        if let Some(db) = DB.get() {
            return Ok(db);
        }
        let db = ReferenceDb::from_parts(Cow::Borrowed(EMBEDDED), &FactTexts::embedded())?;
        Ok(DB.get_or_init(|| db))
    }

    /// A table from a file, with the embedded hand-written facts.
    pub fn open(path: &Path) -> Result<ReferenceDb, ReferenceError> {
        let remedy = "give a table that `metaleak db build` or `db import` wrote";
        let bytes = super::data::read_bounded(path, MOST_BYTES, remedy)?;
        ReferenceDb::from_parts(Cow::Owned(bytes), &FactTexts::embedded())
    }

    /// The table, for what is built upon it.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Date of a source of the table by its name, `YYYY-MM-DD`.
    pub(crate) fn source_date(&self, name: &str) -> Option<&str> {
        let source = self.table.meta().sources.iter().find(|source| source.name == name)?;
        Some(source.as_of.as_str())
    }

    /// Name and date of each source, also of the hand-written files, that is more than 12 months older than `day`, oldest first.
    pub fn older(&self, day: jiff::civil::Date) -> Vec<(String, String)> {
        let table = self.table.meta().sources.iter().map(|s| (&s.as_of, &s.name));
        let mut all: Vec<_> = table.chain(self.facts.sources.iter().map(|s| (&s.as_of, &s.name))).collect();
        all.sort();
        let old = |as_of: &str| as_of.parse().is_ok_and(|date: jiff::civil::Date| outdated(date, day));
        let old = all.into_iter().filter(|(as_of, _)| old(as_of));
        old.map(|(as_of, name)| (name.clone(), as_of.clone())).collect()
    }

    /// A table from bytes, and facts from texts; both are checked.
    pub fn from_parts(
        table: Cow<'static, [u8]>,
        facts: &FactTexts<'_>,
    ) -> Result<ReferenceDb, ReferenceError> {
        let (table, facts) = (Table::parse(table)?, Facts::parse(facts)?);
        let prefixes = facts.anycast.prefixes().chain(facts.reverse.prefixes());
        let near = Steps::new(prefixes, |address| Near {
            anycast: facts.anycast.around(address),
            reverse: facts.reverse.around(address),
        });
        Ok(ReferenceDb { table, facts, near, kept: RwLock::new(HashMap::new()) })
    }

    /// The sources that take part in judgements, by name: those of the table and the hand-written files.
    pub fn sources(&self) -> Vec<ReferenceSource> {
        let table = self.table.meta().sources.iter().map(|source| ReferenceSource {
            name: source.name.clone(),
            as_of: source.as_of.clone(),
            licence: source.licence.clone(),
            sha256: source.sha256.clone(),
            attribution: source.attribution.clone(),
        });
        let mut all: Vec<ReferenceSource> = table.chain(self.facts.sources.iter().cloned()).collect();
        all.sort();
        all
    }

    /// Everything known of an address. Facts that were put together for another address of the same network are at hand.
    pub fn lookup(&self, address: IpAddr) -> Arc<AddressFacts> {
        let key = self.key(effective(address));
        // A lock that a panic elsewhere has poisoned holds facts as good as before.
        let kept = self.kept.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(facts) = kept.get(&key) {
            return Arc::clone(facts);
        }
        drop(kept);
        let facts = Arc::new(self.put_together(key));
        let mut kept = self.kept.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() < MOST_KEPT {
            kept.insert(key, Arc::clone(&facts));
        }
        facts
    }

    /// The look-up without what is kept; [`ReferenceDb::lookup`] is this and a map.
    pub fn lookup_afresh(&self, address: IpAddr) -> AddressFacts {
        self.put_together(self.key(effective(address)))
    }

    fn key(&self, address: IpAddr) -> Key {
        match special(address) {
            Some(kind) => Key::Special(kind),
            None => Key::Record(self.table.record_of(address), self.near.at(address)),
        }
    }

    fn put_together(&self, key: Key) -> AddressFacts {
        let (record, near) = match key {
            Key::Special(kind) => return AddressFacts { special: Some(kind), ..AddressFacts::default() },
            Key::Record(record, near) => (record, near),
        };
        let found = self.table.found(record);
        let meta = self.table.meta();
        let mut places = Vec::new();
        let mut add = |country: u8, source: usize| {
            if let (Some(code), Some(source)) = (self.table.country(country), meta.sources.get(source)) {
                let (source, as_of) = (source.name.clone(), source.as_of.clone());
                places.push(Place { country: code.to_owned(), source, as_of });
            }
        };
        for (country, source) in found.countries.iter().zip(&meta.place_sources) {
            add(*country, *source);
        }
        if let Some(cloud) = found.cloud {
            add(cloud.country, cloud.source);
        }
        let source = |i: usize| meta.sources.get(i).map_or_else(String::new, |source| source.name.clone());
        let cloud = found.cloud.map(|cloud| CloudFacts {
            provider: cloud.provider.to_owned(),
            region: Some(cloud.region).filter(|region| !region.is_empty()).map(str::to_owned),
            services: cloud.services.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            source: source(cloud.source),
        });
        let operator = match (found.asn, &cloud) {
            (Some(system), _) => {
                let source = system.source.map_or_else(String::new, source);
                Some(Operator { name: system.name.to_owned(), asn: Some(system.number), source })
            }
            (None, Some(cloud)) => {
                Some(Operator { name: cloud.provider.clone(), asn: None, source: cloud.source.clone() })
            }
            (None, None) => None,
        };
        let (mut country, mut agreement) = agree(&places);
        // Whose region the network is, its operator says: that is no vote among others, and where it speaks against them nothing
        // is told.
        let published = found.cloud.and_then(|cloud| self.table.country(cloud.country));
        if let (Some(told), Some(published)) = (&country, published)
            && told != published
        {
            (country, agreement) = (None, Agreement::Disagree);
        }
        let services = cloud.as_ref().map_or(&[][..], |cloud| &cloud.services);
        let provider = cloud.as_ref().map(|cloud| cloud.provider.as_str());
        let anycast = self.facts.anycast.of(near.anycast, provider, services).map(str::to_owned);
        let company = self.company(operator.as_ref(), cloud.as_ref());
        // Of an address in many places at once no one place is that of the machine that answered, nor is its law.
        let at: &[Place] = if anycast.is_some() { &[] } else { &places };
        if anycast.is_some() {
            country = None;
        }
        let jurisdictions = self.jurisdictions(at, country.as_deref(), company);
        let listed = found.cloud.map(|cloud| (cloud.services, cloud.region));
        let reverse = self.facts.reverse.of(near.reverse, found.asn.map(|system| system.number), listed);
        let reverse = reverse.map(|(name, source)| ReverseName { name: name.into(), source: source.into() });
        AddressFacts {
            places,
            country,
            agreement,
            operator,
            jurisdictions,
            special: None,
            cloud,
            anycast,
            reverse,
        }
    }

    /// The table's answer for an address, borrowed from the table: no allocation, no words. [`ReferenceDb::lookup`] makes words,
    /// agreement and laws of it, once for each network.
    pub fn answer(&self, address: IpAddr) -> Answer<'_> {
        let found = self.table.found(self.table.record_of(effective(address)));
        let meta = self.table.meta();
        Answer {
            table: &self.table,
            countries: found.countries.iter().zip(meta.place_sources.as_slice()),
            asn: found.asn.map(|system| (system.number, system.name)),
            cloud: found.cloud.map(|cloud| (cloud.provider, cloud.region)),
        }
    }

    /// The tracker entry for a name or the closest listed domain above it.
    pub fn tracker(&self, name: &str) -> Option<Tracker<'_>> {
        self.table.tracker(name)
    }

    /// The domains of the tracker list that observe users, in its order.
    pub(crate) fn observers(&self) -> Vec<&str> {
        let observing = self.table.trackers().filter(|t| super::role::TRACKING.contains(&t.category));
        observing.map(|tracker| tracker.domain).collect()
    }

    /// A domain that by itself shows a messenger.
    pub(crate) fn domain_of(&self, messenger: &str) -> Option<&str> {
        self.facts.messengers.domain_of(messenger)
    }

    /// The table as it is in a file.
    pub fn bytes(&self) -> &[u8] {
        self.table.bytes()
    }

    /// Sizes and sources.
    pub fn info(&self) -> DbInfo {
        use sha2::Digest as _;
        let (autonomous_systems, cloud_entries, tracker_domains, blocks) = self.table.counts();
        DbInfo {
            bytes: self.table.size() as u64,
            sha256: crate::capture::hex(&sha2::Sha256::digest(self.table.bytes())),
            sources: self.table.meta().sources.clone(),
            facts: self.facts.sources.clone(),
            // Record 0 of both stands for "none".
            autonomous_systems: autonomous_systems.saturating_sub(1),
            cloud_entries: cloud_entries.saturating_sub(1),
            tracker_domains,
            blocks,
            messengers: self.facts.messengers.list.len(),
            operators: self.facts.operators.len(),
            services: self.facts.services.len(),
            adequacy_decisions: self.facts.adequacy.decisions(),
            reverse_zones: self.facts.reverse.len(),
            ech_configurations: self.facts.ech.len(),
        }
    }

    /// The ECH configurations of `ech.toml`, for the dissection of captures that are judged with this data.
    pub(crate) fn ech(&self) -> EchConfigs {
        self.facts.ech.clone()
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The company behind an operator, by its AS or its name in a cloud list.
    pub(crate) fn company(
        &self,
        operator: Option<&Operator>,
        cloud: Option<&CloudFacts>,
    ) -> Option<&Company> {
        let asn = operator.and_then(|operator| operator.asn);
        self.facts.operators.find(asn, cloud.map(|cloud| cloud.provider.as_str()))
    }

    fn jurisdictions(
        &self,
        places: &[Place],
        country: Option<&str>,
        company: Option<&Company>,
    ) -> Vec<Jurisdiction> {
        let named: BTreeSet<&str> = match country {
            Some(country) => BTreeSet::from([country]),
            None => places.iter().map(|place| place.country.as_str()).collect(),
        };
        let adequacy = &self.facts.adequacy;
        let by_place = |code: &str| {
            let (basis, source, doubt) = adequacy.basis(code, company);
            Jurisdiction {
                code: code.to_owned(),
                why: JurisdictionWhy::Place,
                basis,
                unverified: doubt.into_iter().collect(),
                as_of: adequacy.as_of.clone(),
                source,
            }
        };
        let mut out: Vec<Jurisdiction> = named.into_iter().map(by_place).collect();
        self.add_seats(company, JurisdictionWhy::OperatorSeat, &mut out);
        out
    }

    /// Adds the laws of the seats of a company and of those above it.
    pub(crate) fn add_seats(
        &self,
        company: Option<&Company>,
        why: JurisdictionWhy,
        out: &mut Vec<Jurisdiction>,
    ) {
        let adequacy = &self.facts.adequacy;
        let chain = company.into_iter().flat_map(|company| self.facts.operators.chain(company));
        for company in chain {
            if !out.iter().any(|j| j.why == why && j.code == company.seat) {
                let (basis, source, doubt) = adequacy.basis(&company.seat, Some(company));
                let seat = company.unverified.then_some(Unverified::Seat);
                let sources = [company.source.as_str(), source.as_str()];
                let sources: Vec<&str> = sources.into_iter().filter(|s| !s.is_empty()).collect();
                out.push(Jurisdiction {
                    code: company.seat.clone(),
                    why,
                    basis,
                    unverified: seat.into_iter().chain(doubt).collect(),
                    as_of: adequacy.as_of.clone(),
                    source: sources.join("; "),
                });
            }
        }
    }
}
