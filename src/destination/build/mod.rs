//! `metaleak db build`: raw files in, one compact table out.
//!
//! Takes the sources of `SOURCES.toml` and the folder with their raw files; checks each file's SHA-256; gives the bytes
//! of `metaleak.db`. Equal input gives equal bytes: no clock, no random, sorted wherever order could vary.
//! Fetches nothing.

mod import;
mod pool;
mod ranges;
mod raw;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

pub use self::import::{Import, Imported, import};
use super::data::read_bounded;
use super::error::ReferenceError;
use super::layer::Family;
use super::sources::{CODE_REMEDY, COUNTRIES, Countries, Format, Kind, Source, Sources, regions};
use super::table::{HEADER, MAGIC, MOST_PLACE_SOURCES, Meta, RECORD, SourceMeta, TAGS, VERSION};
use crate::capture::hex;
use pool::{Interner, Strings};
use ranges::{Range, Ranges, encode, join, size};

/// Builds the table from the raw files in `folder`. `regions_text` is `regions.toml`.
pub fn build(sources: &Sources, regions_text: &str, folder: &Path) -> Result<Vec<u8>, ReferenceError> {
    let regions = regions("reference/regions.toml", regions_text)?;
    let codes = Countries::parse("reference/countries.toml", COUNTRIES)?;
    let mut builder = Builder { regions, codes, ..Builder::default() };
    for source in &sources.sources {
        let mut files = Vec::new();
        for file in &source.files {
            let path = folder.join(file.path.get_ref());
            let bytes = read_bounded(&path, MOST_RAW, "fetch it again with reference/fetch.sh")?;
            let found = hex(&Sha256::digest(&bytes));
            if found != *file.sha256.get_ref() {
                let expected = file.sha256.get_ref().clone();
                return Err(ReferenceError::Hash { file: file.path.get_ref().clone(), expected, found });
            }
            files.push((file.path.get_ref().as_str(), file.format, bytes));
        }
        builder.take(source, &files)?;
    }
    builder.finish()
}

#[derive(Default)]
struct Builder {
    regions: BTreeMap<String, Option<String>>,
    codes: Countries,
    meta: Meta,
    countries: Interner<[u8; 2]>,
    places: Vec<Ranges>,
    /// Number, name, index of the source.
    systems: Interner<(u32, String, usize)>,
    system_ranges: Ranges,
    clouds: Interner<CloudEntry>,
    cloud_ranges: Ranges,
    trackers: BTreeMap<String, [String; 3]>,
}

/// A record of the `CLDS` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct CloudEntry {
    provider: String,
    region: String,
    services: String,
    country: u8,
    source: u8,
}

/// Largest raw file that is read, bytes.
const MOST_RAW: u64 = 1 << 30;
/// Numbers of records are stored in three bytes.
const MOST: u32 = (1 << 24) - 1;
/// The provider whose networks `aws-regions` describes more closely.
const AMAZON: &str = "Amazon AWS";

impl Builder {
    fn take(&mut self, source: &Source, files: &[(&str, Format, Vec<u8>)]) -> Result<(), ReferenceError> {
        let index = self.meta.sources.len();
        let mut ranges = Ranges::default();
        let mut records = 0u64;
        for (name, format, bytes) in files {
            let (countries, codes) = (&mut self.countries, &self.codes);
            // 255 codes are more than there are.
            let mut known = |text: &str| match codes.read(text)? {
                Some(code) => countries.index(code, 255, "countries").map_err(|e| e.to_string()),
                None => Ok(0),
            };
            let mut code = |line: usize, text: &str| {
                known(text).map_err(|what| ReferenceError::data(name, line, what, CODE_REMEDY))
            };
            match format {
                Format::MmdbCountry => append(&mut ranges, raw::mmdb_country(name, bytes, known)?),
                Format::TorGeoip => {
                    let text = raw::text(name, bytes)?;
                    append(&mut ranges, raw::tor_geoip(name, &text, |row, text| code(row.line, text))?);
                }
                Format::AsnCsv => {
                    let systems = &mut self.systems;
                    append(
                        &mut ranges,
                        raw::asn_csv(name, &raw::text(name, bytes)?, |_, number, title| {
                            systems.index((number, title.to_owned(), index), MOST, "autonomous systems")
                        })?,
                    );
                }
                Format::CloudTsv => {
                    let clouds = &mut self.clouds;
                    raw::tsv(name, &raw::text(name, bytes)?, 3, |line, cells| {
                        let [provider, prefix, country] = cells else { return Ok(()) };
                        let country = code(line, country)? as u8;
                        let entry = CloudEntry {
                            provider: provider.clone(),
                            country,
                            source: index as u8,
                            ..CloudEntry::default()
                        };
                        let value = clouds.index(entry, MOST, "cloud entries")?;
                        put(&mut ranges, &raw::network(name, line, prefix)?, value);
                        Ok(())
                    })?;
                }
                Format::AwsRegionsTsv => {
                    let (clouds, regions) = (&mut self.clouds, &self.regions);
                    raw::tsv(name, &raw::text(name, bytes)?, 3, |line, cells| {
                        let [prefix, region, services] = cells else { return Ok(()) };
                        let global = region == "GLOBAL";
                        let known = if global { Some(&None) } else { regions.get(region) };
                        let country = known.ok_or_else(|| {
                            let what = format!("region {region:?} is not known");
                            ReferenceError::data(name, line, what, "add it to reference/regions.toml")
                        })?;
                        let country = country.as_deref().map_or(Ok(0), |text| code(line, text))? as u8;
                        let entry = CloudEntry {
                            provider: AMAZON.to_owned(),
                            region: if global { String::new() } else { region.clone() },
                            services: services.clone(),
                            country,
                            source: index as u8,
                        };
                        let value = clouds.index(entry, MOST, "cloud entries")?;
                        put(&mut ranges, &raw::network(name, line, prefix)?, value);
                        Ok(())
                    })?;
                }
                Format::TrackersTsv => {
                    let trackers = &mut self.trackers;
                    raw::tsv(name, &raw::text(name, bytes)?, 4, |line, cells| {
                        let [domain, tracker, company, category] = cells else { return Ok(()) };
                        let fields = [tracker.clone(), company.clone(), category.clone()];
                        if trackers.insert(domain.to_ascii_lowercase(), fields).is_some() {
                            let what = format!("{domain:?} is listed twice");
                            return Err(ReferenceError::data(name, line, what, "keep one of the two lines"));
                        }
                        Ok(())
                    })?;
                    records = trackers.len() as u64;
                }
            }
        }
        ranges.flatten();
        records += (ranges.v4.len() + ranges.v6.len()) as u64;
        match source.kind {
            Kind::Country => {
                if self.places.len() == MOST_PLACE_SOURCES {
                    let limit = MOST_PLACE_SOURCES as u64;
                    return Err(ReferenceError::TooMany { what: "country sources", limit });
                }
                self.meta.place_sources.push(index);
                self.places.push(ranges);
            }
            Kind::Asn => {
                self.meta.asn_source = Some(index);
                self.system_ranges = ranges;
            }
            // Of two cloud lists with the same prefix the later is kept, so the closer one comes later in SOURCES.toml.
            Kind::Cloud => append(&mut self.cloud_ranges, ranges),
            Kind::Trackers => self.meta.tracker_source = Some(index),
        }
        self.meta.sources.push(SourceMeta {
            name: source.name.get_ref().clone(),
            title: source.title.get_ref().clone(),
            version: source.version.get_ref().clone(),
            as_of: source.as_of.get_ref().clone(),
            licence: source.licence.get_ref().clone(),
            attribution: source.attribution.clone(),
            sha256: hash_of(source),
            records,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, ReferenceError> {
        self.prefer_regions();
        self.cloud_ranges.flatten();
        self.write()
    }

    /// The table of disjoint ranges.
    fn write(self) -> Result<Vec<u8>, ReferenceError> {
        let mut strings = Strings::new();
        let mut tuples: Interner<Vec<u8>> = Interner::with_none(vec![0; self.places.len()]);
        let mut records: Interner<[u32; 3]> = Interner::default();
        let mut layers = Vec::new();
        for family in [Family::V4, Family::V6] {
            let mut all: Vec<&[Range]> = self.places.iter().map(|ranges| ranges.family(family)).collect();
            all.extend([self.system_ranges.family(family), self.cloud_ranges.family(family)]);
            let points = join(&all, |values| {
                let (places, rest) = values.split_at(self.places.len().min(values.len()));
                let tuple: Vec<u8> = places.iter().map(|value| *value as u8).collect();
                let place = tuples.index(tuple, MOST, "combinations of countries")?;
                let mut rest = rest.iter().copied();
                let record = [place, rest.next().unwrap_or(0), rest.next().unwrap_or(0)];
                records.index(record, MOST, "combinations of country, operator and cloud")
            })?;
            layers.push(encode(family, &points)?);
        }
        let mut numbers = Vec::with_capacity(records.len() * RECORD);
        for number in records.values().flatten() {
            numbers.extend(number.to_le_bytes().into_iter().take(3));
        }
        let mut systems = Vec::new();
        for (number, name, _) in self.systems.values() {
            systems.extend_from_slice(&number.to_le_bytes());
            systems.extend_from_slice(&strings.offset(name)?.to_le_bytes());
        }
        let mut clouds = Vec::new();
        for entry in self.clouds.values() {
            for text in [&entry.provider, &entry.region, &entry.services] {
                clouds.extend_from_slice(&strings.offset(text)?.to_le_bytes());
            }
            clouds.extend_from_slice(&[entry.country, entry.source]);
        }
        let mut trackers = Vec::new();
        for (domain, [tracker, company, category]) in &self.trackers {
            for text in [domain, tracker, company, category] {
                trackers.extend_from_slice(&strings.offset(text)?.to_le_bytes());
            }
        }
        let meta = serde_json::to_vec(&self.meta)
            .map_err(|e| ReferenceError::table(format!("META cannot be written ({e})"), 0))?;
        let [four, six]: [Vec<u8>; 2] =
            layers.try_into().map_err(|_| ReferenceError::table("a layer is missing", 0))?;
        frame(&[
            meta,
            self.countries.values().copied().flatten().collect(),
            tuples.values().flatten().copied().collect(),
            systems,
            clouds,
            numbers,
            four,
            six,
            trackers,
            strings.into_bytes(),
        ])
    }

    /// Drops Amazon's networks of the general list wherever the list with regions covers them: it says more, and the
    /// two come from the same publication, so together they would count as two witnesses.
    fn prefer_regions(&mut self) {
        let regional: Vec<bool> = self.clouds.values().map(|entry| !entry.services.is_empty()).collect();
        let amazon: Vec<bool> = self.clouds.values().map(|entry| entry.provider == AMAZON).collect();
        let flag = |flags: &[bool], value: u32| flags.get(value as usize).copied().unwrap_or(false);
        for ranges in [&mut self.cloud_ranges.v4, &mut self.cloud_ranges.v6] {
            let mut cover: Vec<(u128, u128)> =
                ranges.iter().filter(|r| flag(&regional, r.value)).map(|r| (r.first, r.last)).collect();
            cover.sort_unstable();
            // Ranges come from prefixes cut at borders, so one that covers the first address covers the whole.
            ranges.retain(|range| {
                let plain = flag(&amazon, range.value) && !flag(&regional, range.value);
                let before = cover.partition_point(|(first, _)| *first <= range.first);
                let covered = before.checked_sub(1).and_then(|i| cover.get(i));
                !(plain && covered.is_some_and(|(_, last)| range.last <= *last))
            });
        }
    }
}

/// SHA-256 of a source: that of its file, or of the list of its files as `sha256sum` prints it.
fn hash_of(source: &Source) -> String {
    if let [file] = source.files.as_slice() {
        return file.sha256.get_ref().clone();
    }
    let mut list = String::new();
    for file in &source.files {
        let _ = writeln!(list, "{}  {}", file.sha256.get_ref(), file.path.get_ref());
    }
    hex(&Sha256::digest(list.as_bytes()))
}

fn append(to: &mut Ranges, mut from: Ranges) {
    to.v4.append(&mut from.v4);
    to.v6.append(&mut from.v6);
}

fn put(to: &mut Ranges, network: &raw::Network, value: u32) {
    let list = if network.v6 { &mut to.v6 } else { &mut to.v4 };
    list.push(Range { first: network.first, last: network.last, value });
}

/// Header, directory, checksum and the sections themselves.
fn frame(sections: &[Vec<u8>]) -> Result<Vec<u8>, ReferenceError> {
    let mut directory = Vec::new();
    let mut at = HEADER;
    for (tag, section) in TAGS.iter().zip(sections) {
        directory.extend_from_slice(tag);
        directory.extend_from_slice(&size(at)?.to_le_bytes());
        directory.extend_from_slice(&size(section.len())?.to_le_bytes());
        at += section.len();
    }
    let mut crc = flate2::Crc::new();
    crc.update(&directory);
    for section in sections {
        crc.update(section);
    }
    let mut out = Vec::with_capacity(at);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&directory);
    for section in sections {
        out.extend_from_slice(section);
    }
    Ok(out)
}
