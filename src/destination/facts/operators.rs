//! `operators.toml`: companies that operate networks, and their seats.

use foldhash::{HashMap, HashMapExt as _};
use serde::Deserialize;
use toml::Spanned;

use crate::destination::data::DataFile;
use crate::destination::error::ReferenceError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    as_of: Spanned<String>,
    #[serde(default, rename = "operator")]
    operators: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    name: Spanned<String>,
    kind: CompanyKind,
    asns: Vec<Spanned<u32>>,
    #[serde(default)]
    clouds: Vec<Spanned<String>>,
    parent: Option<Spanned<String>>,
    seat: Spanned<String>,
    dpf: Spanned<Dpf>,
    dpf_source: Option<Spanned<String>>,
    source: Spanned<String>,
    date: Spanned<String>,
    #[serde(default)]
    unverified: bool,
}

/// What a company is to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CompanyKind {
    Messenger,
    Platform,
    Cloud,
    Cdn,
    Hosting,
    Resolver,
    Tracker,
}

/// Standing under the EU-US Data Privacy Framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dpf {
    Certified,
    Unverified,
    NotApplicable,
}

/// A company.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: CompanyKind,
    pub(crate) seat: String,
    pub(crate) dpf: Dpf,
    /// Page and date of the certification.
    pub(crate) dpf_source: Option<String>,
    /// The seat was not looked up.
    pub(crate) unverified: bool,
    /// Entry, page and date that the seat rests on.
    pub(crate) source: String,
    parent: Option<usize>,
}

/// All companies.
#[derive(Debug)]
pub(crate) struct Operators {
    pub(crate) as_of: String,
    companies: Vec<Company>,
    by_id: HashMap<String, usize>,
    by_asn: HashMap<u32, usize>,
    by_cloud: HashMap<String, usize>,
}

impl Operators {
    pub(crate) fn parse(file: DataFile<'_>) -> Result<Operators, ReferenceError> {
        let parsed: File = file.parse()?;
        file.schema(&parsed.schema)?;
        file.day(&parsed.as_of)?;
        let mut by_id = HashMap::new();
        for (i, entry) in parsed.operators.iter().enumerate() {
            file.id(&entry.id)?;
            if by_id.insert(entry.id.get_ref().clone(), i).is_some() {
                let what = format!("operator {:?} is listed twice", entry.id.get_ref());
                return Err(file.fault(&entry.id.span(), what, "give each its own id"));
            }
        }
        let mut out = Operators {
            as_of: parsed.as_of.get_ref().clone(),
            companies: Vec::new(),
            by_id,
            by_asn: HashMap::new(),
            by_cloud: HashMap::new(),
        };
        let parents: Vec<Option<Spanned<String>>> =
            parsed.operators.iter().map(|entry| entry.parent.clone()).collect();
        for (i, entry) in parsed.operators.into_iter().enumerate() {
            out.add(file, i, entry)?;
        }
        for (company, parent) in out.companies.iter().zip(&parents).rev() {
            let above = out.chain(company).skip(1);
            if let (Some(parent), true) = (parent, above.take(parents.len()).any(|c| c.id == company.id)) {
                let what = format!("{:?} stands above itself", company.id);
                return Err(file.fault(&parent.span(), what, "drop the parent of the company at the top"));
            }
        }
        Ok(out)
    }

    fn add(&mut self, file: DataFile<'_>, i: usize, entry: Entry) -> Result<(), ReferenceError> {
        file.said(&entry.name, "name")?;
        file.sourced(&entry.source, &entry.date, entry.unverified)?;
        file.country(&entry.seat)?;
        let dpf = *entry.dpf.get_ref();
        if dpf == Dpf::Certified && entry.dpf_source.as_ref().is_none_or(|s| s.get_ref().trim().is_empty()) {
            let remedy = "add dpf_source with the page and its date, or write dpf = \"unverified\"";
            return Err(file.fault(&entry.dpf.span(), "a certification without a source", remedy));
        }
        if (dpf == Dpf::NotApplicable) == (entry.seat.get_ref() == "US") {
            let remedy = "the framework is for organisations in the US only: \"not-applicable\" elsewhere, never there";
            return Err(file.fault(
                &entry.dpf.span(),
                format!("dpf does not fit seat {}", entry.seat.get_ref()),
                remedy,
            ));
        }
        let parent = match &entry.parent {
            None => None,
            Some(parent) => match self.by_id.get(parent.get_ref()) {
                Some(p) if *p != i => Some(*p),
                _ => {
                    let what = format!("parent {:?} is not known", parent.get_ref());
                    return Err(file.fault(
                        &parent.span(),
                        what,
                        "add an [[operator]] with that id, or drop parent",
                    ));
                }
            },
        };
        for asn in &entry.asns {
            if *asn.get_ref() == 0 || self.by_asn.insert(*asn.get_ref(), i).is_some() {
                let what = format!("AS{} is 0 or listed twice", asn.get_ref());
                return Err(file.fault(&asn.span(), what, "leave it with one operator"));
            }
        }
        for cloud in &entry.clouds {
            file.said(cloud, "cloud")?;
            if self.by_cloud.insert(cloud.get_ref().clone(), i).is_some() {
                let what = format!("cloud {:?} is listed twice", cloud.get_ref());
                return Err(file.fault(&cloud.span(), what, "leave it with one operator"));
            }
        }
        let (id, page, date) = (entry.id.get_ref(), entry.source.get_ref(), entry.date.get_ref());
        self.companies.push(Company {
            source: format!("operators.toml {id}: {page}, {date}"),
            unverified: entry.unverified,
            dpf_source: entry.dpf_source.map(Spanned::into_inner),
            id: entry.id.into_inner(),
            name: entry.name.into_inner(),
            kind: entry.kind,
            seat: entry.seat.into_inner(),
            dpf,
            parent,
        });
        Ok(())
    }

    /// Whether an id is listed.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The company with an id.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Company> {
        self.companies.get(*self.by_id.get(id)?)
    }

    /// Number of companies.
    pub(crate) fn len(&self) -> usize {
        self.companies.len()
    }

    /// The company behind an AS, or else behind a cloud's name.
    pub(crate) fn find(&self, asn: Option<u32>, cloud: Option<&str>) -> Option<&Company> {
        let by_asn = asn.and_then(|asn| self.by_asn.get(&asn));
        let found = by_asn.or_else(|| cloud.and_then(|cloud| self.by_cloud.get(cloud)));
        found.and_then(|i| self.companies.get(*i))
    }

    /// The company and those above it, nearest first; a ring of parents ends where it closes.
    pub(crate) fn chain<'a>(&'a self, company: &'a Company) -> impl Iterator<Item = &'a Company> {
        let mut left = self.companies.len();
        std::iter::successors(Some(company), move |company| {
            left = left.checked_sub(1)?;
            self.companies.get(company.parent?)
        })
    }
}
