//! `metaleak db import`: a further source laid over a table that is there already.
//!
//! Takes a table and the bytes of the user's own files (mmdb of MaxMind, IPinfo, DB-IP and others; tor's geoip; IPtoASN tsv;
//! ASN csv; Amazon's ip-ranges.json; all but the first also gzipped); gives a new table in which they are one source more. A
//! country is one voice beside the others; an autonomous system or cloud entry goes before what the table had.
//! The format is told by the bytes. Reads no clock and fetches nothing: equal input gives equal bytes.

use std::collections::{BTreeMap, BTreeSet};

use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ranges::{Range, Ranges, join, ranges};
use super::{AMAZON, Builder, CloudEntry, MOST, append, hex, put, raw};
use crate::destination::cidr::Cidr;
use crate::destination::db::ReferenceDb;
use crate::destination::error::ReferenceError;
use crate::destination::layer::Family;
use crate::destination::sources::{CODE_REMEDY, COUNTRIES, Countries, REGIONS, regions};
use crate::destination::table::{ImportedSystems, MOST_PLACE_SOURCES, SourceMeta, Table};

/// Last bytes of an mmdb in which its metadata begins (MaxMind DB format 2.0, "Database Metadata").
const METADATA_TAIL: usize = 128 << 10;
/// Begins the metadata.
const METADATA_MARK: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// What to import, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Import<'a> {
    /// Files of one source (IPv4 and IPv6, say): name without folder, bytes.
    pub files: &'a [(String, Vec<u8>)],
    /// The name that places and operators will carry.
    pub name: &'a str,
    /// Date of the data, `YYYY-MM-DD`, where the files have none.
    pub as_of: Option<&'a str>,
    /// SPDX expression or words, for the list of sources.
    pub licence: &'a str,
}

/// What an import gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The new table.
    pub table: Vec<u8>,
    /// The source as the table lists it.
    pub source: SourceMeta,
    /// Ranges with a country, with an autonomous system, with a cloud entry.
    pub ranges: [usize; 3],
    /// What could not be used, in words.
    pub notes: Vec<String>,
}

/// Lays a source over a table.
///
/// # Errors
/// [`ReferenceError::Import`] when name or date do not fit or the files say nothing of places and operators,
/// [`ReferenceError::Mmdb`] and [`ReferenceError::Data`] for files that are damaged.
pub fn import(base: &ReferenceDb, what: &Import<'_>) -> Result<Imported, ReferenceError> {
    let fault = |what: String, remedy: &str| ReferenceError::Import { what, remedy: remedy.to_owned() };
    let id = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if what.name.is_empty() || what.name.len() > 64 || !what.name.bytes().all(id) {
        let remedy = "use lower-case letters, digits and hyphens, such as my-geolite2";
        return Err(fault(format!("{:?} is no name for a source", what.name), remedy));
    }
    if base.sources().iter().any(|source| source.name == what.name) {
        return Err(fault(format!("a source is called {:?} already", what.name), "choose another name"));
    }
    if let Some(date) = what.as_of.filter(|date| !is_date(date)) {
        return Err(fault(format!("{date:?} is no date"), "write YYYY-MM-DD"));
    }
    let mut builder = Builder::of_table(base.table())?;
    builder.regions = regions("reference/regions.toml", REGIONS)?;
    builder.codes = Countries::parse("reference/countries.toml", COUNTRIES)?;
    let mut layer =
        Layer { index: builder.meta.sources.len(), from: builder.systems.len(), ..Layer::default() };
    if layer.index > usize::from(u8::MAX) {
        return Err(ReferenceError::TooMany { what: "sources", limit: u64::from(u8::MAX) });
    }
    for (name, bytes) in what.files {
        layer.read(&mut builder, name, bytes)?;
    }
    for ranges in [&mut layer.places, &mut layer.systems, &mut layer.clouds] {
        ranges.flatten();
    }
    let count = |ranges: &Ranges| ranges.v4.len() + ranges.v6.len();
    let counts = [count(&layer.places), count(&layer.systems), count(&layer.clouds)];
    if counts == [0; 3] {
        let files: Vec<&str> = what.files.iter().map(|(name, _)| name.as_str()).collect();
        let remedy = "import a file with countries, autonomous systems or cloud networks by address";
        return Err(fault(
            format!("{files:?}: no country, autonomous system or cloud network in it"),
            remedy,
        ));
    }
    let date = what.as_of.map(str::to_owned).or(layer.as_of.take());
    let Some(as_of) = date else {
        let remedy = "say how old the data is: --as-of YYYY-MM-DD";
        return Err(fault("this format does not tell its date".to_owned(), remedy));
    };
    let source = SourceMeta {
        name: what.name.to_owned(),
        title: format!("imported: {}", layer.titles.iter().cloned().collect::<Vec<_>>().join(", ")),
        version: as_of.clone(),
        as_of,
        licence: what.licence.to_owned(),
        attribution: String::new(),
        sha256: hash(what.files),
        records: counts.iter().sum::<usize>() as u64,
    };
    let notes = layer.notes();
    builder.lay(layer, source.clone())?;
    Ok(Imported { table: builder.write()?, source, ranges: counts, notes })
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// SHA-256 of the file, or of the list of files as `sha256sum` prints it.
fn hash(files: &[(String, Vec<u8>)]) -> String {
    if let [(_, bytes)] = files {
        return hex(&Sha256::digest(bytes));
    }
    let list = files.iter().map(|(name, bytes)| format!("{}  {name}\n", hex(&Sha256::digest(bytes))));
    hex(&Sha256::digest(list.collect::<String>().as_bytes()))
}

/// What the files of an import say.
#[derive(Debug, Default)]
struct Layer {
    /// Index of the source.
    index: usize,
    /// Number of its first system record.
    from: usize,
    places: Ranges,
    systems: Ranges,
    clouds: Ranges,
    /// The newest date that a file tells.
    as_of: Option<String>,
    titles: BTreeSet<String>,
    unknown_codes: BTreeSet<String>,
    unknown_regions: BTreeSet<String>,
    /// Ranges of the file that is being read.
    rows: Vec<raw::Row>,
    /// Lines whose ranges overlap with those of others, in words; the first of them.
    overlaps: Vec<String>,
    more_overlaps: usize,
}

/// Overlaps that are named one by one.
const MOST_OVERLAPS: usize = 8;

/// Formats, told by the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Mmdb,
    AwsJson,
    IptoasnTsv,
    TorGeoip,
    AsnCsv,
}

impl Shape {
    fn of(name: &str, bytes: &[u8], text: &str) -> Result<Shape, ReferenceError> {
        let tail = bytes.get(bytes.len().saturating_sub(METADATA_TAIL)..).unwrap_or_default();
        if tail.windows(METADATA_MARK.len()).any(|w| w == METADATA_MARK) {
            return Ok(Shape::Mmdb);
        }
        if text.trim_start().starts_with('{') {
            return Ok(Shape::AwsJson);
        }
        let (line, row) = raw::lines(text).next().unwrap_or((1, ""));
        let shape = match (row.split('\t').count(), row.split(',').count()) {
            (5, _) => Some(Shape::IptoasnTsv),
            (1, 3) => Some(Shape::TorGeoip),
            (1, 4..) => Some(Shape::AsnCsv),
            _ => None,
        };
        let what = "no format that can be imported (an mmdb that is cut off ends like this, too)";
        let remedy = "give an mmdb, tor's geoip (FIRST,LAST,CC), IPtoASN tsv, ASN csv (FIRST,LAST,NUMBER,NAME) or ip-ranges.json";
        shape.ok_or_else(|| ReferenceError::data(name, line, what, remedy))
    }
}

/// The fields of an mmdb record that are read, as MaxMind, DB-IP, IPinfo and ip-location-db write them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    country_code: Option<Word>,
    country: Option<Country>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
    asn: Option<Word>,
    as_name: Option<String>,
    name: Option<Word>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Country {
    Code(String),
    Entry { iso_code: Option<String> },
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(u32),
    Other(serde::de::IgnoredAny),
}

impl Word {
    fn text(&self) -> Option<&str> {
        if let Word::Text(text) = self { Some(text) } else { None }
    }
}

impl Record {
    fn country(&self) -> Option<&str> {
        if let Some(code) = self.country_code.as_ref().and_then(Word::text) {
            return Some(code);
        }
        match self.country.as_ref()? {
            Country::Code(code) => Some(code),
            Country::Entry { iso_code } => iso_code.as_deref(),
            Country::Other(_) => None,
        }
    }

    fn system(&self) -> Option<(u32, &str)> {
        let asn = || match self.asn.as_ref()? {
            Word::Number(number) => Some(*number),
            Word::Text(text) => text.trim_start_matches(['A', 'S', 'a', 's']).parse().ok(),
            Word::Other(_) => None,
        };
        let number = self.autonomous_system_number.or_else(asn).filter(|number| *number > 0)?;
        let name = self.autonomous_system_organization.as_deref().or(self.as_name.as_deref());
        Some((number, name.or_else(|| self.name.as_ref()?.text()).unwrap_or_default()))
    }
}

/// Amazon's ip-ranges.json.
#[derive(Debug, Deserialize)]
struct AwsFile {
    #[serde(rename = "createDate")]
    created: String,
    prefixes: Vec<AwsPrefix>,
    #[serde(default)]
    ipv6_prefixes: Vec<AwsPrefix>,
}

#[derive(Debug, Deserialize)]
struct AwsPrefix {
    #[serde(alias = "ip_prefix", alias = "ipv6_prefix")]
    prefix: String,
    region: String,
    service: String,
}

/// Why a country code was refused; where it stood is known to who asked.
#[derive(Debug)]
enum CodeFault {
    /// The text has not the form of a code.
    Form(String),
    /// Another fault.
    Other(ReferenceError),
}

impl CodeFault {
    fn of_line(self, name: &str, line: usize) -> ReferenceError {
        match self {
            CodeFault::Form(what) => ReferenceError::data(name, line, what, CODE_REMEDY),
            CodeFault::Other(fault) => fault,
        }
    }

    fn of_network(self, file: &str, network: String) -> ReferenceError {
        match self {
            CodeFault::Form(what) => ReferenceError::network(file, network, what, CODE_REMEDY),
            CodeFault::Other(fault) => fault,
        }
    }
}

impl Layer {
    fn read(&mut self, builder: &mut Builder, name: &str, bytes: &[u8]) -> Result<(), ReferenceError> {
        let tail = bytes.get(bytes.len().saturating_sub(METADATA_TAIL)..).unwrap_or_default();
        let binary = tail.windows(METADATA_MARK.len()).any(|w| w == METADATA_MARK);
        let text = if binary { String::new() } else { raw::text(name, bytes)? };
        let shape = Shape::of(name, bytes, &text)?;
        let title = match shape {
            Shape::Mmdb => self.mmdb(builder, name, bytes)?,
            Shape::AwsJson => self.aws(builder, name, &text)?,
            Shape::IptoasnTsv => self.iptoasn(builder, name, &text)?,
            Shape::TorGeoip => {
                let found = raw::tor_geoip(name, &text, |row, code| {
                    self.rows.push(row);
                    self.code(builder, code).map_err(|fault| fault.of_line(name, row.line))
                })?;
                append(&mut self.places, found);
                "tor geoip".to_owned()
            }
            Shape::AsnCsv => {
                let index = self.index;
                let rows = &mut self.rows;
                let found = raw::asn_csv(name, &text, |row, number, title| {
                    rows.push(row);
                    system(builder, index, number, title)
                })?;
                append(&mut self.systems, found);
                "ASN csv".to_owned()
            }
        };
        self.check_overlaps(name);
        self.titles.insert(title);
        Ok(())
    }

    /// Notes which lines of a file overlap: of two ranges the shorter one holds, so both are kept.
    fn check_overlaps(&mut self, name: &str) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by_key(|row| (row.first, row.line));
        let mut farthest: Option<raw::Row> = None;
        for row in rows {
            if let Some(before) = farthest.filter(|before| row.first <= before.last) {
                let (line, other) = (row.line.max(before.line), row.line.min(before.line));
                if self.overlaps.len() < MOST_OVERLAPS {
                    let what = "its range overlaps with that of line";
                    self.overlaps
                        .push(format!("{name}:{line}: {what} {other}; the shorter one holds where both do"));
                } else {
                    self.more_overlaps += 1;
                }
            }
            if farthest.is_none_or(|before| row.last > before.last) {
                farthest = Some(row);
            }
        }
    }

    /// Number of a country; 0 for what is none.
    fn code(&mut self, builder: &mut Builder, text: &str) -> Result<u32, CodeFault> {
        if let Some(code) = builder.codes.read(text).map_err(CodeFault::Form)? {
            return builder.countries.index(code, 255, "countries").map_err(CodeFault::Other);
        }
        let text = raw::clean(text);
        if self.unknown_codes.len() < 64 && text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
            self.unknown_codes.insert(text);
        }
        Ok(0)
    }

    fn mmdb(&mut self, builder: &mut Builder, name: &str, bytes: &[u8]) -> Result<String, ReferenceError> {
        let fault = |what: String| ReferenceError::Mmdb { file: name.to_owned(), what };
        let reader = Reader::from_source(bytes).map_err(|e| fault(e.to_string()))?;
        // `Reader::verify` would also refuse sound files without a description, as ip-location-db's are. What it guards
        // against besides is seen below: each record is decoded, and a tree whose branches share nodes may not give more
        // networks than it has nodes for.
        let most = raw::most_networks(&reader, bytes);
        let all = WithinOptions::default().include_networks_without_data();
        let mut known: BTreeMap<usize, (u32, u32)> = BTreeMap::new();
        for (count, found) in reader.networks(all).map_err(|e| fault(e.to_string()))?.enumerate() {
            let found = found.map_err(|e| fault(e.to_string()))?;
            if count > most {
                return Err(fault("its tree gives more networks than it can hold".to_owned()));
            }
            let Some(at) = found.offset() else { continue };
            let (country, number) = if let Some(values) = known.get(&at) {
                *values
            } else {
                let record: Record = found.decode().map_err(|e| fault(e.to_string()))?.unwrap_or_default();
                let network =
                    || found.network().map_or_else(|_| String::new(), |network| network.to_string());
                let country = record.country().map_or(Ok(0), |code| self.code(builder, code));
                let country = country.map_err(|fault| fault.of_network(name, network()))?;
                let number = match record.system() {
                    Some((number, title)) => system(builder, self.index, number, &raw::clean(title))?,
                    None => 0,
                };
                known.insert(at, (country, number));
                (country, number)
            };
            let network = found.network().map_err(|e| fault(e.to_string()))?;
            let cidr = Cidr::new(network.network(), network.prefix()).map_err(|e| fault(e.to_owned()))?;
            let (first, last) = (raw::numeric(cidr.first()), raw::numeric(cidr.last()));
            raw::push(&mut self.places, name, 0, first, last, country)?;
            raw::push(&mut self.systems, name, 0, first, last, number)?;
        }
        let built = i64::try_from(reader.metadata().build_epoch).ok();
        let built = built.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        self.date(built.and_then(|stamp| stamp.to_string().get(..10).map(str::to_owned)));
        Ok(raw::clean(&reader.metadata().database_type))
    }

    fn aws(&mut self, builder: &mut Builder, name: &str, text: &str) -> Result<String, ReferenceError> {
        let parsed: AwsFile = serde_json::from_str(text).map_err(|e| {
            let remedy = "fetch it again from https://ip-ranges.amazonaws.com/ip-ranges.json";
            ReferenceError::data(name, e.line().max(1), format!("not Amazon's ip-ranges.json ({e})"), remedy)
        })?;
        let mut networks: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for entry in parsed.prefixes.into_iter().chain(parsed.ipv6_prefixes) {
            networks.entry((entry.prefix, entry.region)).or_default().insert(raw::clean(&entry.service));
        }
        for ((prefix, region), services) in networks {
            // JSON tells no lines; the prefix that is quoted says where.
            let network = raw::network(name, 1, &prefix)?;
            let global = region == "GLOBAL";
            let country = match builder.regions.get(&region) {
                Some(Some(code)) => {
                    let code = code.clone();
                    self.code(builder, &code).map_err(|fault| fault.of_line(name, 1))?
                }
                Some(None) => 0,
                None => {
                    if !global && self.unknown_regions.len() < 64 {
                        self.unknown_regions.insert(raw::clean(&region));
                    }
                    0
                }
            };
            let entry = CloudEntry {
                provider: AMAZON.to_owned(),
                region: if global { String::new() } else { raw::clean(&region) },
                services: services.into_iter().collect::<Vec<_>>().join(","),
                country: country as u8,
                source: self.index as u8,
            };
            let value = builder.clouds.index(entry, MOST, "cloud entries")?;
            put(&mut self.clouds, &network, value);
        }
        self.date(parsed.created.get(..10).filter(|date| is_date(date)).map(str::to_owned));
        Ok("Amazon's ip-ranges.json".to_owned())
    }

    /// IPtoASN: first, last, AS number, country, name, by tab; number 0 is "not routed".
    fn iptoasn(&mut self, builder: &mut Builder, name: &str, text: &str) -> Result<String, ReferenceError> {
        for (line, row) in raw::lines(text) {
            let wrong = || {
                let remedy = "write FIRST, LAST, NUMBER, CC and NAME, separated by one tab each";
                ReferenceError::data(name, line, "not a range of IPtoASN", remedy)
            };
            let cells: Vec<&str> = row.split('\t').collect();
            let [first, last, number, code, title] = cells.as_slice() else { return Err(wrong()) };
            let address = |text: &str| text.parse().ok().map(raw::numeric);
            let (Some(first), Some(last), Ok(number)) = (address(first), address(last), number.parse())
            else {
                return Err(wrong());
            };
            self.rows.push(raw::Row { line, first, last });
            let country = self.code(builder, code).map_err(|fault| fault.of_line(name, line))?;
            let number = system(builder, self.index, number, &raw::clean(title))?;
            raw::push(&mut self.places, name, line, first, last, country)?;
            raw::push(&mut self.systems, name, line, first, last, number)?;
        }
        Ok("IPtoASN tsv".to_owned())
    }

    fn date(&mut self, date: Option<String>) {
        self.as_of = self.as_of.take().max(date);
    }

    fn notes(&self) -> Vec<String> {
        let list = |words: &BTreeSet<String>| words.iter().cloned().collect::<Vec<_>>().join(", ");
        let mut notes = Vec::new();
        if !self.unknown_codes.is_empty() {
            let what = "codes that are assigned to no country, so without one";
            notes.push(format!("{what}: {}", list(&self.unknown_codes)));
        }
        if !self.unknown_regions.is_empty() {
            let what = "regions that reference/regions.toml does not list, so without a country";
            notes.push(format!("{what}: {}", list(&self.unknown_regions)));
        }
        notes.extend(self.overlaps.iter().cloned());
        if self.more_overlaps > 0 {
            notes.push(format!("{} more lines overlap", self.more_overlaps));
        }
        notes
    }
}

/// Number of an autonomous system's record; 0 for the number 0, which stands for "not routed".
fn system(builder: &mut Builder, source: usize, number: u32, name: &str) -> Result<u32, ReferenceError> {
    if number == 0 {
        return Ok(0);
    }
    builder.systems.index((number, name.to_owned(), source), MOST, "autonomous systems")
}

impl Builder {
    /// Takes a table apart, so that writing it again gives the same bytes.
    fn of_table(table: &Table) -> Result<Builder, ReferenceError> {
        let mut builder = Builder { meta: table.meta().clone(), ..Builder::default() };
        for code in table.countries().iter().skip(1) {
            builder.countries.push(*code);
        }
        for system in table.systems() {
            let source = system.source.unwrap_or_default();
            builder.systems.push((system.number, system.name.to_owned(), source));
        }
        for cloud in table.clouds() {
            builder.clouds.push(CloudEntry {
                provider: cloud.provider.to_owned(),
                region: cloud.region.to_owned(),
                services: cloud.services.to_owned(),
                country: cloud.country,
                source: cloud.source as u8,
            });
        }
        for entry in table.trackers() {
            let fields = [entry.tracker, entry.company, entry.category].map(str::to_owned);
            builder.trackers.insert(entry.domain.to_owned(), fields);
        }
        builder.places = vec![Ranges::default(); table.meta().place_sources.len()];
        for family in [Family::V4, Family::V6] {
            let last = if family == Family::V4 { u128::from(u32::MAX) } else { u128::MAX };
            let [places, systems, clouds] = table.points(family)?;
            for (i, to) in builder.places.iter_mut().enumerate() {
                let value = |number: u32| table.place(number).get(i).copied().map_or(0, u32::from);
                let own: Vec<(u128, u32)> = places.iter().map(|(at, number)| (*at, value(*number))).collect();
                *to.of(family) = ranges(&own, last);
            }
            *builder.system_ranges.of(family) = ranges(&systems, last);
            *builder.cloud_ranges.of(family) = ranges(&clouds, last);
        }
        Ok(builder)
    }

    /// Adds what an import says.
    fn lay(&mut self, layer: Layer, source: SourceMeta) -> Result<(), ReferenceError> {
        let Layer { index, from, places, systems, clouds, .. } = layer;
        let any = |ranges: &Ranges| ranges.v4.len() + ranges.v6.len() > 0;
        if any(&places) {
            if self.places.len() == MOST_PLACE_SOURCES {
                let limit = MOST_PLACE_SOURCES as u64;
                return Err(ReferenceError::TooMany { what: "country sources", limit });
            }
            self.meta.place_sources.push(index);
            self.places.push(places);
        }
        if any(&systems) {
            self.meta.imported_systems.push(ImportedSystems { from: from as u32, source: index });
        }
        for family in [Family::V4, Family::V6] {
            for (below, above) in [(&mut self.system_ranges, &systems), (&mut self.cloud_ranges, &clouds)] {
                let above = above.family(family);
                if !above.is_empty() {
                    *below.of(family) = over(below.family(family), above, family)?;
                }
            }
        }
        self.meta.sources.push(source);
        Ok(())
    }
}

/// One list of ranges over another: where the upper one says nothing, the lower one holds.
fn over(below: &[Range], above: &[Range], family: Family) -> Result<Vec<Range>, ReferenceError> {
    let points = join(&[below, above], |values| match values {
        [lower, 0] => Ok::<_, ReferenceError>(*lower),
        [_, upper] => Ok(*upper),
        _ => Ok(0),
    })?;
    let last = if family == Family::V4 { u128::from(u32::MAX) } else { u128::MAX };
    Ok(ranges(&points, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taking the built-in table apart loses nothing: written again it has the same bytes.
    #[test]
    fn a_table_taken_apart_is_written_the_same() {
        let db = ReferenceDb::embedded().unwrap();
        let again = Builder::of_table(db.table()).unwrap().write().unwrap();
        assert!(again == db.table().bytes(), "{} bytes against {}", again.len(), db.table().bytes().len());
    }
}
