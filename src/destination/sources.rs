//! `reference/SOURCES.toml` and `reference/regions.toml`: what the range table is built from.
//!
//! Takes their text; gives the checked list of sources. Reads no raw file: that is `build`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Deserialize;
use toml::Spanned;

use super::data::DataFile;
use super::error::ReferenceError;

/// The sources that this program was built with.
pub(crate) const EMBEDDED: &str = include_str!("../../reference/SOURCES.toml");
/// Codes of countries.
pub(crate) const COUNTRIES: &str = include_str!("../../reference/countries.toml");
/// Country of Amazon's regions.
pub(crate) const REGIONS: &str = include_str!("../../reference/regions.toml");

/// `SOURCES.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    schema: Spanned<u32>,
    /// In the order in which places are listed.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// One source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name in reports.
    pub name: Spanned<String>,
    /// What it is, in words.
    pub title: Spanned<String>,
    /// What it tells.
    pub kind: Kind,
    /// Version of the package.
    pub version: Spanned<String>,
    /// Date that the data speaks of.
    pub as_of: Spanned<String>,
    /// SPDX expression.
    pub licence: Spanned<String>,
    /// Texts under `reference/licences/`.
    pub licence_files: Spanned<Vec<String>>,
    /// What the licence asks to be said.
    pub attribution: String,
    /// `npm:PACKAGE`, `deb:PACKAGE` or `shared:FILE`.
    pub get: Spanned<String>,
    /// Limits of the data, in words.
    #[serde(default)]
    pub note: String,
    /// Its files.
    #[serde(rename = "file")]
    pub files: Vec<SourceFile>,
}

/// What a source tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A country for each network.
    Country,
    /// An autonomous system for each network.
    Asn,
    /// A cloud operator for each network.
    Cloud,
    /// A company for each domain.
    Trackers,
}

/// One raw file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its name in the folder given with `--from`.
    pub path: Spanned<String>,
    /// Its path within the package.
    #[serde(default)]
    pub member: String,
    /// How to read it.
    pub format: Format,
    /// What it must be.
    pub sha256: Spanned<String>,
}

/// Format of a raw file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// mmdb with a country.
    MmdbCountry,
    /// `first,last,CC`.
    TorGeoip,
    /// `first,last,number,name`.
    AsnCsv,
    /// `provider`, `prefix`, `country` by tab.
    CloudTsv,
    /// `prefix`, `region`, `services` by tab.
    AwsRegionsTsv,
    /// `domain`, `tracker`, `company`, `category` by tab.
    TrackersTsv,
}

impl Sources {
    /// Reads and checks `SOURCES.toml`; `name` is for errors.
    pub fn parse(name: &str, text: &str) -> Result<Sources, ReferenceError> {
        let file = DataFile { name, text };
        let sources: Sources = file.parse()?;
        file.schema(&sources.schema)?;
        let mut names = BTreeSet::new();
        let mut paths = BTreeSet::new();
        for source in &sources.sources {
            file.id(&source.name)?;
            if !names.insert(source.name.get_ref()) {
                let what = format!("source {:?} is listed twice", source.name.get_ref());
                return Err(file.fault(&source.name.span(), what, "give each source its own name"));
            }
            file.said(&source.title, "title")?;
            file.said(&source.version, "version")?;
            file.said(&source.licence, "licence")?;
            file.day(&source.as_of)?;
            let get = source.get.get_ref();
            if !["npm:", "deb:", "shared:"].iter().any(|scheme| get.starts_with(scheme)) {
                let remedy = "write npm:PACKAGE, deb:PACKAGE or shared:FILE";
                return Err(file.fault(
                    &source.get.span(),
                    format!("{get:?} does not say where from"),
                    remedy,
                ));
            }
            if source.licence_files.get_ref().is_empty() {
                let remedy = "name at least one file under reference/licences/";
                return Err(file.fault(&source.licence_files.span(), "no licence text", remedy));
            }
            if source.licence_files.get_ref().iter().any(|name| plain_name(name).is_none()) {
                let remedy = "write plain file names; the folder is reference/licences/";
                return Err(file.fault(
                    &source.licence_files.span(),
                    "a licence text without a name",
                    remedy,
                ));
            }
            // Licences that ask for the name of whoever made it.
            if source.licence.get_ref().contains("CC-BY") && source.attribution.trim().is_empty() {
                let remedy = "say in attribution whom the licence asks to be named";
                return Err(file.fault(
                    &source.licence.span(),
                    "a licence by attribution without one",
                    remedy,
                ));
            }
            for entry in &source.files {
                let sha256 = entry.sha256.get_ref();
                if sha256.len() != 64 || !sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    let remedy = "write the 64 lower-case hex digits that sha256sum prints";
                    return Err(file.fault(&entry.sha256.span(), "no SHA-256", remedy));
                }
                let path = entry.path.get_ref();
                if plain_name(path).is_none() {
                    let remedy = "write a plain file name; the folder comes with --from";
                    return Err(file.fault(&entry.path.span(), format!("{path:?} is no file name"), remedy));
                }
                if !paths.insert(path) {
                    let what = format!("{path:?} is listed twice");
                    return Err(file.fault(&entry.path.span(), what, "name each raw file once"));
                }
                let fits = matches!(
                    (source.kind, entry.format),
                    (Kind::Country, Format::MmdbCountry | Format::TorGeoip)
                        | (Kind::Asn, Format::AsnCsv)
                        | (Kind::Cloud, Format::CloudTsv | Format::AwsRegionsTsv)
                        | (Kind::Trackers, Format::TrackersTsv)
                );
                if !fits {
                    let what = format!("{:?} files cannot tell {:?}", entry.format, source.kind);
                    return Err(file.fault(&entry.path.span(), what, "correct kind or format"));
                }
            }
        }
        for kind in [Kind::Asn, Kind::Trackers] {
            if let Some(second) = sources.sources.iter().filter(|s| s.kind == kind).nth(1) {
                let remedy = "leave one out: the table holds one of this kind";
                return Err(file.fault(
                    &second.name.span(),
                    format!("a second source of kind {kind:?}"),
                    remedy,
                ));
            }
        }
        Ok(sources)
    }

    /// The sources compiled into this program.
    pub fn embedded() -> Result<Sources, ReferenceError> {
        Sources::parse("reference/SOURCES.toml", EMBEDDED)
    }
}

/// A file's name without folders.
fn plain_name(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.'))
}

/// `countries.toml`: what counts as the code of a country.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountryFile {
    schema: Spanned<u32>,
    as_of: Spanned<String>,
    source: Spanned<String>,
    codes: Vec<Spanned<String>>,
    aliases: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// Codes as sources may write them, with the code that they stand for.
#[derive(Debug, Default)]
pub(crate) struct Countries(BTreeMap<[u8; 2], [u8; 2]>);

impl Countries {
    /// Those compiled into this program; parsed once.
    pub(crate) fn embedded() -> Result<&'static Countries, ReferenceError> {
        static LIST: OnceLock<Countries> = OnceLock::new();
        if let Some(list) = LIST.get() {
            return Ok(list);
        }
        let list = Countries::parse("reference/countries.toml", COUNTRIES)?;
        Ok(LIST.get_or_init(|| list))
    }

    /// Whether a text is one of the codes themselves, and no alias of one.
    pub(crate) fn lists(&self, text: &str) -> bool {
        <[u8; 2]>::try_from(text.as_bytes()).is_ok_and(|code| self.0.get(&code) == Some(&code))
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Countries, ReferenceError> {
        let file = DataFile { name, text };
        let parsed: CountryFile = file.parse()?;
        file.schema(&parsed.schema)?;
        file.day(&parsed.as_of)?;
        file.said(&parsed.source, "source")?;
        let mut out = BTreeMap::new();
        let own = parsed.codes.iter().map(|code| (code, code));
        for (code, meant) in own.chain(&parsed.aliases) {
            file.code(code)?;
            file.code(meant)?;
            let bytes = |text: &Spanned<String>| text.get_ref().as_bytes().try_into().unwrap_or_default();
            if code != meant && !out.contains_key(&bytes(meant)) {
                let what = format!("{:?} is not among the codes", meant.get_ref());
                return Err(file.fault(&meant.span(), what, "add it to codes"));
            }
            if out.insert(bytes(code), bytes(meant)).is_some() {
                let what = format!("{:?} is listed twice", code.get_ref());
                return Err(file.fault(&code.span(), what, "list it once"));
            }
        }
        Ok(Countries(out))
    }

    /// What a source's text stands for: a country, or nothing (empty, the words for "not known" of the formats, and two letters
    /// that are assigned to no country, such as `EU` and `ZZ`).
    ///
    /// # Errors
    /// What is wrong with a text that has not the form of a code.
    pub(crate) fn read(&self, text: &str) -> Result<Option<[u8; 2]>, String> {
        let text = text.trim();
        if matches!(text, "" | "??" | "-" | "None" | "Unknown") {
            return Ok(None);
        }
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Ok(self.code(text));
        }
        let shown: String = text.chars().take(40).collect();
        Err(format!("{shown:?} is no country code"))
    }

    /// The code that a source's text stands for; `None` for what is no country.
    pub(crate) fn code(&self, text: &str) -> Option<[u8; 2]> {
        let code: [u8; 2] = text.trim().as_bytes().try_into().ok()?;
        self.0.get(&code.map(|byte| byte.to_ascii_uppercase())).copied()
    }
}

/// What to do about a malformed country code.
pub(crate) const CODE_REMEDY: &str =
    "write the two letters of ISO 3166, or ?? where the country is not known";

/// `regions.toml`: country of Amazon's regions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionFile {
    schema: Spanned<u32>,
    as_of: Spanned<String>,
    source: Spanned<String>,
    countries: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    unverified: Unverified,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unverified {
    regions: Vec<Spanned<String>>,
}

/// Country by region; `None` for regions whose country is not known for sure.
pub(crate) fn regions(name: &str, text: &str) -> Result<BTreeMap<String, Option<String>>, ReferenceError> {
    let file = DataFile { name, text };
    let parsed: RegionFile = file.parse()?;
    file.schema(&parsed.schema)?;
    file.day(&parsed.as_of)?;
    file.said(&parsed.source, "source")?;
    let mut out = BTreeMap::new();
    let mut add = |region: &Spanned<String>, country| {
        file.id(region)?;
        if out.insert(region.get_ref().clone(), country).is_some() {
            let what = format!("region {:?} is listed twice", region.get_ref());
            return Err(file.fault(&region.span(), what, "leave it in one country"));
        }
        Ok(())
    };
    for (country, regions) in &parsed.countries {
        file.country(country)?;
        for region in regions {
            add(region, Some(country.get_ref().clone()))?;
        }
    }
    for region in &parsed.unverified.regions {
        add(region, None)?;
    }
    Ok(out)
}
