//! `claims check`: which kind a file of `claims/` is, told by its content, and its faults as those of that kind.
//!
//! Takes paths; gives counts, or every fault of every file. Criteria and conclusions may name claims of the files given beside them and of
//! the built-in catalogue.

use std::path::PathBuf;

use toml::de::DeValue;

use super::load::{self, Loader};
use super::{Catalogue, ClaimError, Criteria, Fault, wording};

/// What files hold, when they have no faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Claims; those for every messenger count once for each.
    pub claims: usize,
    /// Criteria of one's own.
    pub criteria: usize,
    /// Conclusions.
    pub conclusions: usize,
    /// Sentences that explain verdicts.
    pub sentences: usize,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Claims,
    Criteria,
    Wording,
}

impl Kind {
    /// By its tables; what is none of them is read as claims, whose faults say what is expected.
    fn of(text: &str) -> Kind {
        let Ok(root) = toml::de::DeTable::parse(text) else { return Kind::Claims };
        let root = root.into_inner();
        let sentence = |value: &DeValue<'_>| matches!(value, DeValue::Table(t) if t.contains_key("en") || t.contains_key("de"));
        if root.contains_key("claim") || root.contains_key("source") {
            Kind::Claims
        } else if root.contains_key("criterion") || root.contains_key("conclusion") {
            Kind::Criteria
        } else if root.iter().any(|(_, value)| sentence(value.get_ref())) {
            Kind::Wording
        } else {
            Kind::Claims
        }
    }
}

/// Checks files, each as what it is.
///
/// # Errors
/// [`ClaimError`] with every fault of every file, in the order of claims, criteria, sentences.
pub fn check(paths: &[PathBuf]) -> Result<Checked, ClaimError> {
    let mut faults = Vec::new();
    let (mut claims, mut criteria, mut sentences) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        match load::read_text(path) {
            Ok(text) => {
                let named = (path.to_string_lossy().into_owned(), text);
                match Kind::of(&named.1) {
                    Kind::Claims => claims.push(named),
                    Kind::Criteria => criteria.push(named),
                    Kind::Wording => sentences.push(named),
                }
            }
            Err(e) => faults.extend(e.faults),
        }
    }
    let mut checked = Checked::default();
    let catalogue = match Catalogue::from_texts(claims) {
        Ok(catalogue) => catalogue,
        Err(e) => {
            faults.extend(e.faults);
            Catalogue::default()
        }
    };
    checked.claims = catalogue.claims().len();
    if !criteria.is_empty() {
        let known = catalogue.beside(&Catalogue::embedded()?);
        for (file, text) in &criteria {
            match Criteria::counted(file, text, &known) {
                Ok((own, conclusions)) => {
                    checked.criteria += own;
                    checked.conclusions += conclusions;
                }
                Err(e) => faults.extend(e.faults),
            }
        }
    }
    for (file, text) in &sentences {
        let (number, wrong) = of_wording(file, text);
        checked.sentences += number;
        faults.extend(wrong);
    }
    if faults.is_empty() { Ok(checked) } else { Err(ClaimError { faults }) }
}

/// The sentences of a wording file, and its faults.
fn of_wording(file: &str, text: &str) -> (usize, Vec<Fault>) {
    let mut loader = Loader::new(file, text);
    let Some(root) = loader.root() else { return (0, loader.faults) };
    let whole = root.span();
    let root = root.into_inner();
    let known: Vec<&str> = wording::KEYS.iter().map(|(key, _)| *key).collect();
    loader.known_keys(&root, &known);
    let meant = load::misspelt(&root, &known);
    let mut number = 0;
    for (key, values) in wording::KEYS {
        let Some(node) = root.get(*key) else {
            if meant.contains(key) {
                continue;
            }
            let what = format!("there is no sentence [{key}]");
            loader.fault(&whole, what, format!("add [{key}] with en = \"…\" and de = \"…\""));
            continue;
        };
        let sentence = loader.both(&root, key);
        for text in [&sentence.en, &sentence.de] {
            for name in text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)) {
                if !values.contains(&name) {
                    let what = format!("[{key}] has a value {{{name}}} that nothing fills in");
                    let remedy = if values.is_empty() {
                        "remove it: this sentence has no values".to_owned()
                    } else {
                        format!("write one of: {{{}}}", values.join("}, {"))
                    };
                    loader.fault(&node.span(), what, remedy);
                }
            }
        }
        number += 1;
    }
    (number, loader.faults)
}
