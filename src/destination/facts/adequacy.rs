//! `adequacy.toml`: on what a transfer to a country can rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::operators::{Company, Dpf};
use crate::destination::data::DataFile;
use crate::destination::error::ReferenceError;
use crate::model::{Basis, Unverified};

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
    expires: Option<Spanned<String>>,
    source: Option<Spanned<String>>,
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

impl Decision {
    /// Number and dates as a report shows them.
    fn words(&self) -> String {
        let number = match self.number.get_ref().as_str() {
            "" => "without known number",
            number => number,
        };
        let mut words = format!("decision {number} of {}", self.decided.get_ref());
        let more =
            [("renewed ", &self.renewed), ("expires ", &self.expires), ("", &self.scope), ("", &self.source)];
        for (what, text) in more.into_iter().filter_map(|(what, text)| Some((what, text.as_ref()?))) {
            words += &format!(", {what}{}", text.get_ref());
        }
        words
    }
}

/// A decision's number as the Official Journal writes it, such as `2000/518/EC` and `(EU) 2021/1772`.
fn number(file: DataFile<'_>, text: &Spanned<String>) -> Result<(), ReferenceError> {
    file.said(text, "number")?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let bare = text.get_ref().trim_start_matches("(EU) ");
    let parts: Vec<&str> = bare.split('/').collect();
    if let [year, number, ..] = parts.as_slice()
        && digits(year)
        && digits(number)
        && matches!(parts.get(2..), Some([] | ["EC" | "EU"]))
    {
        return Ok(());
    }
    let remedy = "write it as the Official Journal does, such as 2000/518/EC or (EU) 2021/1772";
    Err(file.fault(&text.span(), format!("{:?} is no number of a decision", text.get_ref()), remedy))
}

/// The table of legal statuses at one date.
#[derive(Debug)]
pub(crate) struct Adequacy {
    /// The date of the table.
    pub(crate) as_of: String,
    eea: BTreeSet<String>,
    /// The decision in words, and whether it was looked up.
    decisions: BTreeMap<String, (String, bool)>,
    framework: String,
    framework_words: String,
}

impl Adequacy {
    pub(crate) fn parse(file: DataFile<'_>) -> Result<Adequacy, ReferenceError> {
        let parsed: File = file.parse()?;
        file.schema(&parsed.schema)?;
        let as_of = file.day(&parsed.as_of)?;
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
            let decided = file.day(&decision.decided)?;
            let renewed = decision.renewed.as_ref().map(|date| file.day(date)).transpose()?;
            if let Some(date) =
                decision.renewed.as_ref().filter(|_| renewed.is_some_and(|day| day <= decided))
            {
                let remedy = "write the day of the later decision, or leave it out";
                return Err(file.fault(&date.span(), "renewed before it was decided", remedy));
            }
            decision.scope.iter().try_for_each(|scope| file.said(scope, "scope"))?;
            decision.source.iter().try_for_each(|source| file.said(source, "source"))?;
            if let Some(expires) = &decision.expires {
                let day = file.day(expires)?;
                if day <= renewed.unwrap_or(decided) {
                    let remedy = "write the last day on which the decision holds";
                    return Err(file.fault(&expires.span(), "expires before it was decided", remedy));
                }
                // The table speaks of one day: what holds no longer on it is no basis.
                if day < as_of {
                    let what = format!("had expired on {as_of}, the day of this file");
                    return Err(file.fault(&expires.span(), what, "write its renewal, or drop the decision"));
                }
            }
            if !decision.unverified || !decision.number.get_ref().is_empty() {
                number(file, &decision.number)?;
            }
            let words = (decision.words(), decision.unverified);
            if eea.contains(code.get_ref()) || decisions.insert(code.get_ref().clone(), words).is_some() {
                let what = format!("{} has a status already", code.get_ref());
                return Err(file.fault(&code.span(), what, "list it once, either in [eea] or as a decision"));
            }
        }
        let framework = &parsed.dpf;
        file.country(&framework.country)?;
        number(file, &framework.number)?;
        file.day(&framework.decided)?;
        file.said(&framework.source, "source")?;
        Ok(Adequacy {
            as_of: parsed.as_of.into_inner(),
            eea,
            decisions,
            framework_words: format!(
                "decision {} of {}",
                framework.number.get_ref(),
                framework.decided.get_ref()
            ),
            framework: parsed.dpf.country.into_inner(),
        })
    }

    /// The basis for a country, what it rests on, and what of that nobody looked up. The framework counts only for a company
    /// that is certified with a source; where that was not looked up, the basis is none as far as is known.
    pub(crate) fn basis(
        &self,
        country: &str,
        company: Option<&Company>,
    ) -> (Basis, String, Option<Unverified>) {
        if self.eea.contains(country) {
            return (Basis::Eea, "adequacy.toml: EEA".to_owned(), None);
        }
        if let Some((words, unverified)) = self.decisions.get(country) {
            let doubt = unverified.then_some(Unverified::Decision);
            return (Basis::Adequacy, format!("adequacy.toml: {words}"), doubt);
        }
        if country != self.framework {
            return (Basis::None, String::new(), None);
        }
        let words = |standing: &str| format!("adequacy.toml: {}; {standing}", self.framework_words);
        match company.map(|company| (company.dpf, company)) {
            Some((Dpf::Certified, company)) => {
                let source = company.dpf_source.as_deref().unwrap_or_default();
                (Basis::Dpf, words(&format!("operators.toml {}: certified by {source}", company.id)), None)
            }
            Some((Dpf::NotApplicable, company)) if !company.unverified => {
                let seat = &company.seat;
                (Basis::None, words(&format!("operators.toml {}: seat in {seat}", company.id)), None)
            }
            Some((_, company)) => {
                let standing = format!("operators.toml {}: certification not looked up", company.id);
                (Basis::None, words(&standing), Some(Unverified::Dpf))
            }
            None => (Basis::None, words("operator not in operators.toml"), Some(Unverified::Dpf)),
        }
    }

    /// Countries with a decision of their own.
    pub(crate) fn decisions(&self) -> usize {
        self.decisions.len()
    }
}
