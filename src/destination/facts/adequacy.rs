//! `adequacy.toml`: on what a transfer to a country can rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::operators::Dpf;
use crate::destination::data::DataFile;
use crate::destination::error::ReferenceError;
use crate::model::Basis;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    as_of: Spanned<String>,
    source: Spanned<String>,
    eea: Eea,
    #[serde(default, rename = "decision")]
    decisions: Vec<Decision>,
    dpf: Framework,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Eea {
    members: Vec<Spanned<String>>,
    territories: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    country: Spanned<String>,
    number: Spanned<String>,
    decided: Spanned<String>,
    renewed: Option<Spanned<String>>,
    scope: Option<Spanned<String>>,
    #[serde(default)]
    unverified: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Framework {
    country: Spanned<String>,
    number: Spanned<String>,
    decided: Spanned<String>,
    source: Spanned<String>,
}

/// The table of legal statuses at one date.
#[derive(Debug)]
pub(crate) struct Adequacy {
    /// The date of the table.
    pub(crate) as_of: String,
    eea: BTreeSet<String>,
    decisions: BTreeMap<String, String>,
    framework: String,
}

impl Adequacy {
    pub(crate) fn parse(file: DataFile<'_>) -> Result<Adequacy, ReferenceError> {
        let parsed: File = file.parse()?;
        file.schema(&parsed.schema)?;
        file.date(&parsed.as_of)?;
        file.said(&parsed.source, "source")?;
        let mut eea = BTreeSet::new();
        let mut decisions = BTreeMap::new();
        for code in parsed.eea.members.iter().chain(&parsed.eea.territories) {
            file.country(code)?;
            if !eea.insert(code.get_ref().clone()) {
                return Err(file.fault(
                    &code.span(),
                    format!("{} is listed twice", code.get_ref()),
                    "list it once",
                ));
            }
        }
        for decision in &parsed.decisions {
            let code = &decision.country;
            file.country(code)?;
            file.date(&decision.decided)?;
            decision.renewed.iter().try_for_each(|date| file.date(date))?;
            decision.scope.iter().try_for_each(|scope| file.said(scope, "scope"))?;
            if !decision.unverified {
                file.said(&decision.number, "number")?;
            }
            let number = decision.number.get_ref().clone();
            if eea.contains(code.get_ref()) || decisions.insert(code.get_ref().clone(), number).is_some() {
                let what = format!("{} has a status already", code.get_ref());
                return Err(file.fault(&code.span(), what, "list it once, either in [eea] or as a decision"));
            }
        }
        let framework = &parsed.dpf;
        file.country(&framework.country)?;
        file.said(&framework.number, "number")?;
        file.date(&framework.decided)?;
        file.said(&framework.source, "source")?;
        Ok(Adequacy {
            as_of: parsed.as_of.into_inner(),
            eea,
            decisions,
            framework: parsed.dpf.country.into_inner(),
        })
    }

    /// The basis for a country. The framework counts only for a company that is certified with a source.
    pub(crate) fn basis(&self, country: &str, dpf: Option<Dpf>) -> Basis {
        if self.eea.contains(country) {
            Basis::Eea
        } else if self.decisions.contains_key(country) {
            Basis::Adequacy
        } else if country == self.framework && dpf == Some(Dpf::Certified) {
            Basis::Dpf
        } else {
            Basis::None
        }
    }

    /// Countries with a decision of their own.
    pub(crate) fn decisions(&self) -> usize {
        self.decisions.len()
    }
}
