//! The compact reference table (`reference/metaleak.db`): one file, read in place.
//!
//! Takes the bytes; checks magic, version, checksum and the section directory; gives raw facts for an address, names of
//! autonomous systems, cloud entries and trackers. Strings are read where they lie. Bytes are documented in
//! `docs/reference.md`. Knows nothing of roles, laws or messengers.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::error::ReferenceError;
use super::layer::{Family, Layer};

/// First bytes of a table.
pub(crate) const MAGIC: [u8; 8] = *b"MLEAKDB\n";
/// Version of the layout.
pub(crate) const VERSION: u32 = 2;
/// Sections in the order of the directory.
pub(crate) const TAGS: [[u8; 4]; 10] =
    [*b"META", *b"CCTB", *b"PLCS", *b"ASNS", *b"CLDS", *b"RECS", *b"NET4", *b"NET6", *b"TRAK", *b"STRS"];
/// Bytes of a `RECS` record: the numbers of a `PLCS`, an `ASNS` and a `CLDS` record, three bytes each.
pub(crate) const RECORD: usize = 9;
/// Bytes before the first section: magic, version, checksum, directory.
pub(crate) const HEADER: usize = 16 + TAGS.len() * 12;
/// Most country sources in one table.
pub(crate) const MOST_PLACE_SOURCES: usize = 16;

/// The `META` section, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) sources: Vec<SourceMeta>,
    /// Indices into `sources`: which source each byte of a `PLCS` record speaks for.
    pub(crate) place_sources: Vec<usize>,
    /// Index of the source of the AS layer.
    pub(crate) asn_source: Option<usize>,
    /// Index of the tracker list.
    pub(crate) tracker_source: Option<usize>,
    /// Records of `ASNS` that an import added, in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) imported_systems: Vec<ImportedSystems>,
}

/// Whose word the `ASNS` records from one number on are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportedSystems {
    /// The first record.
    pub(crate) from: u32,
    /// Index into `sources`.
    pub(crate) source: usize,
}

impl Meta {
    /// Index of the source that an `ASNS` record comes from.
    pub(crate) fn system_source(&self, record: u32) -> Option<usize> {
        let imported = self.imported_systems.iter().rev().find(|i| i.from <= record);
        imported.map(|i| i.source).or(self.asn_source)
    }
}

/// A source as the table remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceMeta {
    /// Name in `SOURCES.toml`.
    pub name: String,
    /// What it is, in words.
    pub title: String,
    /// Version of the package that carried it.
    pub version: String,
    /// Date that the data speaks of, `YYYY-MM-DD`.
    pub as_of: String,
    /// SPDX expression.
    pub licence: String,
    /// What the licence asks to be said.
    pub attribution: String,
    /// SHA-256 of the raw file; of several files that of their list as `sha256sum` prints it.
    pub sha256: String,
    /// Ranges or lines taken from it.
    pub records: u64,
}

/// What the table holds on an address, before any judgement; borrowed from the table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found<'a> {
    /// One country index a place source (0 none).
    pub(crate) countries: &'a [u8],
    /// Autonomous system.
    pub(crate) asn: Option<System<'a>>,
    /// Entry of a cloud list.
    pub(crate) cloud: Option<Cloud<'a>>,
}

/// An autonomous system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System<'a> {
    pub(crate) number: u32,
    pub(crate) name: &'a str,
    /// Index of its source.
    pub(crate) source: Option<usize>,
}

/// An entry of a cloud operator's list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cloud<'a> {
    pub(crate) provider: &'a str,
    pub(crate) region: &'a str,
    pub(crate) services: &'a str,
    /// Country index, 0 none.
    pub(crate) country: u8,
    /// Index of its source.
    pub(crate) source: usize,
}

/// An entry of the tracker list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracker<'a> {
    /// The listed domain; the name asked for is this or below it.
    pub domain: &'a str,
    /// Name of the tracker.
    pub tracker: &'a str,
    /// Company behind it.
    pub company: &'a str,
    /// Category of the list, e.g. `advertising`, `cdn`.
    pub category: &'a str,
}

/// The parsed table.
#[derive(Debug)]
pub(crate) struct Table {
    bytes: Cow<'static, [u8]>,
    sections: [Range<usize>; TAGS.len()],
    meta: Meta,
    /// See [`Layer::index`]: of `NET4` and of `NET6`.
    indices: [Vec<u32>; 2],
}

const META: usize = 0;
const COUNTRIES: usize = 1;
const PLACES: usize = 2;
const SYSTEMS: usize = 3;
const CLOUDS: usize = 4;
const RECORDS: usize = 5;
const NETWORKS_V4: usize = 6;
const NETWORKS_V6: usize = 7;
const TRACKERS: usize = 8;
const STRINGS: usize = 9;

impl Table {
    /// Checks the frame of the table. What lies inside of sections is checked when it is read.
    pub(crate) fn parse(bytes: Cow<'static, [u8]>) -> Result<Table, ReferenceError> {
        let short = |what: &str, at: usize| ReferenceError::table(format!("{what} is cut off"), at);
        let head = bytes.get(..HEADER).ok_or_else(|| short("the header", bytes.len()))?;
        if head.get(..8) != Some(&MAGIC) {
            return Err(ReferenceError::table("this is no metaleak table (magic missing)", 0));
        }
        let version = u32_at(head, 8).ok_or_else(|| short("the version", 8))?;
        if version != VERSION {
            return Err(ReferenceError::table(
                format!("layout version {version}, this program reads {VERSION}"),
                8,
            ));
        }
        let stated = u32_at(head, 12).ok_or_else(|| short("the checksum", 12))?;
        let mut sections: [Range<usize>; TAGS.len()] = std::array::from_fn(|_| 0..0);
        let directory = head.get(16..).unwrap_or_default().chunks_exact(12);
        for (i, ((entry, tag), section)) in directory.zip(TAGS).zip(&mut sections).enumerate() {
            let at = 16 + i * 12;
            if entry.get(..4) != Some(&tag) {
                return Err(ReferenceError::table(
                    format!("section {:?} missing", tag.escape_ascii().to_string()),
                    at,
                ));
            }
            let start = u32_at(entry, 4).ok_or_else(|| short("the directory", at))? as usize;
            let length = u32_at(entry, 8).ok_or_else(|| short("the directory", at))? as usize;
            let end = start.checked_add(length).filter(|&end| end <= bytes.len() && start >= HEADER);
            let end = end.ok_or_else(|| ReferenceError::table("a section lies outside of the file", at))?;
            *section = start..end;
        }
        let mut crc = flate2::Crc::new();
        crc.update(bytes.get(16..).unwrap_or_default());
        if crc.sum() != stated {
            return Err(ReferenceError::table("the checksum does not fit", 12));
        }
        let meta = bytes.get(sections[META].clone()).unwrap_or_default();
        let meta: Meta = serde_json::from_slice(meta).map_err(|e| {
            ReferenceError::table(format!("META is not readable ({e})"), sections[META].start)
        })?;
        let known = |&i: &usize| i < meta.sources.len();
        if meta.place_sources.len() > MOST_PLACE_SOURCES
            || !meta.place_sources.iter().all(known)
            || !meta.asn_source.iter().all(known)
            || !meta.tracker_source.iter().all(known)
            || !meta.imported_systems.iter().all(|i| known(&i.source))
        {
            return Err(ReferenceError::table(
                "META names sources that it does not list",
                sections[META].start,
            ));
        }
        let mut table = Table { bytes, sections, meta, indices: Default::default() };
        table.indices = [table.layer(Family::V4)?.index(), table.layer(Family::V6)?.index()];
        Ok(table)
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes themselves.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sources that the table was built from.
    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Number of AS entries, cloud entries, trackers and look-up blocks.
    pub(crate) fn counts(&self) -> (usize, usize, usize, usize) {
        let layers = [Family::V4, Family::V6].into_iter().filter_map(|family| self.layer(family).ok());
        let blocks = layers.map(|l| l.blocks()).sum();
        let entries = |i: usize, width: usize| self.section(i).len() / width;
        (entries(SYSTEMS, 8), entries(CLOUDS, 14), entries(TRACKERS, 16), blocks)
    }

    /// Number of the record that holds for an address; 0 for the one that says nothing. One search answers for all sources.
    pub(crate) fn record_of(&self, address: IpAddr) -> u32 {
        let [four, six] = &self.indices;
        let (family, index) = if address.is_ipv4() { (Family::V4, four) } else { (Family::V6, six) };
        self.layer(family).map_or(0, |layer| layer.find(address, index))
    }

    /// What a record says. No allocation.
    pub(crate) fn found(&self, record: u32) -> Found<'_> {
        let [place, system, cloud] = self.parts(record);
        Found {
            countries: self.place(place),
            asn: if system > 0 { self.system(system as usize) } else { None },
            cloud: if cloud > 0 { self.cloud(cloud as usize) } else { None },
        }
    }

    /// Numbers of the `PLCS`, `ASNS` and `CLDS` records of a record; 0 is none, and what a damaged table lacks.
    fn parts(&self, record: u32) -> [u32; 3] {
        let record = self.record(RECORDS, record as usize, RECORD).unwrap_or_default();
        let mut numbers =
            record.as_chunks::<3>().0.iter().map(|[a, b, c]| u32::from_le_bytes([*a, *b, *c, 0]));
        std::array::from_fn(|_| numbers.next().unwrap_or(0))
    }

    fn system(&self, number: usize) -> Option<System<'_>> {
        let record = self.record(SYSTEMS, number, 8)?;
        Some(System {
            number: u32_at(record, 0)?,
            name: self.string(u32_at(record, 4)?),
            source: self.meta.system_source(number as u32),
        })
    }

    fn cloud(&self, number: usize) -> Option<Cloud<'_>> {
        let record = self.record(CLOUDS, number, 14)?;
        Some(Cloud {
            provider: self.string(u32_at(record, 0)?),
            region: self.string(u32_at(record, 4)?),
            services: self.string(u32_at(record, 8)?),
            country: *record.get(12)?,
            source: usize::from(*record.get(13)?),
        })
    }

    /// All country codes by index, the first stands for none.
    pub(crate) fn countries(&self) -> &[[u8; 2]] {
        self.section(COUNTRIES).as_chunks::<2>().0
    }

    /// All autonomous systems by number of their record, without the one for none.
    pub(crate) fn systems(&self) -> impl Iterator<Item = System<'_>> {
        (1..self.section(SYSTEMS).len() / 8).filter_map(|i| self.system(i))
    }

    /// All cloud entries by number of their record, without the one for none.
    pub(crate) fn clouds(&self) -> impl Iterator<Item = Cloud<'_>> {
        (1..self.section(CLOUDS).len() / 14).filter_map(|i| self.cloud(i))
    }

    /// All tracker entries, by domain.
    pub(crate) fn trackers(&self) -> impl Iterator<Item = Tracker<'_>> {
        self.section(TRACKERS).as_chunks::<16>().0.iter().map(|entry| self.tracker_entry(entry))
    }

    /// From which address on which value holds: places, systems and clouds of one family.
    pub(crate) fn points(&self, family: Family) -> Result<[Vec<(u128, u32)>; 3], ReferenceError> {
        let mut out: [Vec<(u128, u32)>; 3] = Default::default();
        for (at, record) in self.layer(family)?.points()? {
            for (points, value) in out.iter_mut().zip(self.parts(record)) {
                if points.last().is_none_or(|(_, before)| *before != value) {
                    points.push((at, value));
                }
            }
        }
        Ok(out)
    }

    /// A record of `PLCS`: one country index a place source.
    pub(crate) fn place(&self, number: u32) -> &[u8] {
        self.record(PLACES, number as usize, self.meta.place_sources.len()).unwrap_or_default()
    }

    /// The code behind a country index; `None` for 0, and for an index or a code that a damaged table made up.
    pub(crate) fn country(&self, index: u8) -> Option<&str> {
        let code = self.record(COUNTRIES, usize::from(index), 2).filter(|_| index > 0)?;
        code.iter().all(u8::is_ascii_uppercase).then(|| std::str::from_utf8(code).ok()).flatten()
    }

    /// The tracker entry for a name or the closest domain above it.
    pub(crate) fn tracker(&self, name: &str) -> Option<Tracker<'_>> {
        let entries = self.section(TRACKERS).as_chunks::<16>().0;
        let mut rest = name;
        loop {
            let found =
                entries.binary_search_by(|entry| self.string(u32_at(entry, 0).unwrap_or(0)).cmp(rest));
            if let Some(entry) = found.ok().and_then(|i| entries.get(i)) {
                return Some(self.tracker_entry(entry));
            }
            rest = rest.split_once('.')?.1;
        }
    }

    fn tracker_entry(&self, entry: &[u8; 16]) -> Tracker<'_> {
        let field = |at| self.string(u32_at(entry, at).unwrap_or(0));
        Tracker { domain: field(0), tracker: field(4), company: field(8), category: field(12) }
    }

    fn section(&self, i: usize) -> &[u8] {
        self.sections.get(i).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }

    fn layer(&self, family: Family) -> Result<Layer<'_>, ReferenceError> {
        let i = if family == Family::V4 { NETWORKS_V4 } else { NETWORKS_V6 };
        Layer::parse(family, self.section(i), self.sections.get(i).map_or(0, |s| s.start))
    }

    fn record(&self, section: usize, index: usize, width: usize) -> Option<&[u8]> {
        let start = index.checked_mul(width)?;
        self.section(section).get(start..start.checked_add(width)?)
    }

    /// A string of the pool; empty where a damaged table points outside of it.
    fn string(&self, offset: u32) -> &str {
        let text = || {
            let (length, rest) = self.section(STRINGS).get(offset as usize..)?.split_first_chunk::<2>()?;
            std::str::from_utf8(rest.get(..usize::from(u16::from_le_bytes(*length)))?).ok()
        };
        text().unwrap_or_default()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}
