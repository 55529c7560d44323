//! The comparison itself: messengers against criteria, and the closing judgements with what became of their premises.
//!
//! Takes verdicts and a file of criteria and conclusions (`claims/comparison.toml`, or an own one); gives a [`Comparison`].
//! Nothing is weighed but by the file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use sha2::Digest as _;

use super::load::{self, Loader};
use super::{Catalogue, ClaimError, Fault};
use crate::capture::hex;
use crate::model::{
    ClaimFile, ClaimResult, Comparison, ComparisonCell, ComparisonCriterion, ComparisonTotal, Conclusion,
    Criterion, Outcome, Premise, PremiseState, Text, Verdict,
};

/// The conclusions that are built in.
static FILE: (&str, &str) = ("claims/comparison.toml", include_str!("../../claims/comparison.toml"));

/// A claim that has to hold, or, with `holds` false, must not; its messenger may be `*` in a criterion.
#[derive(Clone, Debug)]
struct Wanted {
    claim: String,
    holds: bool,
    span: Range<usize>,
}

#[derive(Clone, Debug)]
struct OwnCriterion {
    id: String,
    text: Text,
    weight: f64,
    /// `None`: every claim that carries the criterion's id is counted, and none has to hold.
    claims: Option<Vec<Wanted>>,
}

#[derive(Clone, Debug)]
struct OwnConclusion {
    id: String,
    section: String,
    text: Text,
    premises: Vec<Wanted>,
}

/// Criteria and conclusions of a file.
#[allow(clippy::struct_field_names, reason = "criteria beside conclusions and files are what they are")]
#[derive(Clone, Debug, Default)]
pub struct Criteria {
    criteria: Vec<OwnCriterion>,
    conclusions: Vec<OwnConclusion>,
    files: Vec<ClaimFile>,
}

impl Criteria {
    /// The conclusions of the comparison, and its three criteria, under which claims are counted.
    ///
    /// # Errors
    /// [`ClaimError`]; a test keeps the built-in file free of faults.
    pub fn embedded() -> Result<Criteria, ClaimError> {
        let (criteria, faults) = read(FILE.0, FILE.1, None);
        let criteria = Criteria { files: vec![named(FILE.0, FILE.1)], ..criteria };
        if faults.is_empty() { Ok(criteria) } else { Err(ClaimError { faults }) }
    }

    /// The built-in file: name and text.
    #[must_use]
    pub fn embedded_file() -> (&'static str, &'static str) {
        FILE
    }

    /// The files that these come from, as a report names them.
    #[must_use]
    pub fn files(&self) -> &[ClaimFile] {
        &self.files
    }

    /// From the files of a bundle, in its order: criteria of the first, conclusions of the first that has any. Claims that they name are not
    /// looked up; a comparison leaves out what was not judged.
    ///
    /// # Errors
    /// [`ClaimError`] with every fault of every file.
    pub fn from_files(texts: &[(String, String)]) -> Result<Criteria, ClaimError> {
        let mut all: Option<Criteria> = None;
        let mut faults = Vec::new();
        for (file, text) in texts {
            let (one, wrong) = read(file, text, None);
            faults.extend(wrong);
            match &mut all {
                None => all = Some(Criteria { files: vec![named(file, text)], ..one }),
                Some(first) => {
                    if first.conclusions.is_empty() {
                        first.conclusions = one.conclusions;
                    }
                    first.files.push(named(file, text));
                }
            }
        }
        if faults.is_empty() { Ok(all.unwrap_or_default()) } else { Err(ClaimError { faults }) }
    }

    /// An own file, whose claims have to be in `catalogue`. Without conclusions in it, those that are built in stay.
    ///
    /// # Errors
    /// [`ClaimError`] with every fault of the file.
    pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Criteria, ClaimError> {
        Criteria::from_text(&path.to_string_lossy(), &load::read_text(path)?, catalogue)
    }

    /// As [`Criteria::load`], from the text of `file`.
    ///
    /// # Errors
    /// As [`Criteria::load`].
    pub fn from_text(file: &str, text: &str, catalogue: &Catalogue) -> Result<Criteria, ClaimError> {
        let (mut criteria, faults) = read(file, text, Some(catalogue));
        if !faults.is_empty() {
            return Err(ClaimError { faults });
        }
        criteria.files.push(named(file, text));
        if criteria.conclusions.is_empty() {
            let embedded = Criteria::embedded()?;
            criteria.conclusions = embedded.conclusions;
            criteria.files.extend(embedded.files);
        }
        Ok(criteria)
    }

    /// How many criteria and conclusions a file holds.
    pub(super) fn counted(
        file: &str,
        text: &str,
        catalogue: &Catalogue,
    ) -> Result<(usize, usize), ClaimError> {
        let (criteria, faults) = read(file, text, Some(catalogue));
        if !faults.is_empty() {
            return Err(ClaimError { faults });
        }
        Ok((criteria.criteria.len(), criteria.conclusions.len()))
    }

    /// What the verdicts say of each messenger, criterion and conclusion. Conclusions of which a premise was not judged (a
    /// catalogue of one's own) are left out.
    #[must_use]
    pub fn compare(&self, catalogue: &Catalogue, results: &[ClaimResult]) -> Comparison {
        let by_id: BTreeMap<&str, &ClaimResult> = results.iter().map(|c| (c.id.as_str(), c)).collect();
        let outdated: BTreeMap<&str, bool> =
            catalogue.claims().iter().map(|c| (c.id.as_str(), !c.superseded.en.is_empty())).collect();
        let premise = |claim: &str, holds: bool| {
            let result = by_id.get(claim)?;
            let outdated = outdated.get(claim).copied().unwrap_or_default();
            let state = state(result.verdict, holds, outdated);
            Some(Premise { claim: claim.to_owned(), holds, verdict: result.verdict, state })
        };
        let conclusions = self.conclusions.iter().filter_map(|own| {
            let premises: Option<Vec<Premise>> =
                own.premises.iter().map(|wanted| premise(&wanted.claim, wanted.holds)).collect();
            Some(Conclusion {
                id: own.id.clone(),
                section: own.section.clone(),
                text: own.text.clone(),
                premises: premises?,
            })
        });
        let mut messengers: Vec<&str> = Vec::new();
        for result in results {
            if !messengers.contains(&result.messenger.as_str()) {
                messengers.push(&result.messenger);
            }
        }
        let mut comparison = Comparison { conclusions: conclusions.collect(), ..Comparison::default() };
        let weighed = self.criteria.iter().any(|own| own.claims.is_some());
        for own in &self.criteria {
            comparison.criteria.push(ComparisonCriterion {
                id: own.id.clone(),
                text: own.text.clone(),
                weight: own.claims.is_some().then_some(own.weight),
            });
        }
        for messenger in messengers {
            let mut total = ComparisonTotal { messenger: messenger.to_owned(), ..ComparisonTotal::default() };
            for own in &self.criteria {
                let of_messenger = |wanted: &Wanted| {
                    let id = match wanted.claim.strip_prefix("*.") {
                        Some(name) => format!("{messenger}.{name}"),
                        None => wanted.claim.clone(),
                    };
                    let fits = id.split_once('.').is_some_and(|(of, _)| of == messenger);
                    fits.then(|| premise(&id, wanted.holds)).flatten()
                };
                let (outcome, judged): (Outcome, Vec<(String, Verdict)>) = if let Some(claims) = &own.claims {
                    let premises: Vec<Premise> = claims.iter().filter_map(of_messenger).collect();
                    (outcome(&premises), premises.into_iter().map(|p| (p.claim, p.verdict)).collect())
                } else {
                    let of_cell =
                        results.iter().filter(|c| c.messenger == messenger && c.criterion.id() == own.id);
                    (Outcome::Counted, of_cell.map(|c| (c.id.clone(), c.verdict)).collect())
                };
                match outcome {
                    Outcome::Met => total.met += own.weight,
                    Outcome::Failed => total.failed += own.weight,
                    Outcome::Open => total.open += own.weight,
                    Outcome::Counted => {}
                }
                comparison.cells.push(ComparisonCell {
                    messenger: messenger.to_owned(),
                    criterion: own.id.clone(),
                    outcome,
                    counts: counts(judged.iter().map(|(_, verdict)| *verdict)),
                    claims: judged.into_iter().map(|(id, _)| id).collect(),
                });
            }
            if weighed {
                comparison.totals.push(total);
            }
        }
        comparison
    }
}

/// A file as a report names it.
fn named(file: &str, text: &str) -> ClaimFile {
    let name = file.rsplit('/').next().unwrap_or(file).to_owned();
    ClaimFile { file: name, sha256: hex(&sha2::Sha256::digest(text)) }
}

fn counts(verdicts: impl Iterator<Item = Verdict>) -> BTreeMap<Verdict, u64> {
    let mut counts = BTreeMap::new();
    for verdict in verdicts {
        *counts.entry(verdict).or_default() += 1;
    }
    counts
}

/// What a verdict makes of a premise that has to hold, or must not.
fn state(verdict: Verdict, holds: bool, outdated: bool) -> PremiseState {
    match (verdict, holds) {
        (Verdict::Supported, true) | (Verdict::Contradicted, false) => PremiseState::Measured,
        (Verdict::Supported, false) | (Verdict::Contradicted, true) => PremiseState::Refuted,
        (Verdict::NotContradicted, true) => PremiseState::NotRefuted,
        // What no longer fits the messenger of today is told before how it could be decided.
        (Verdict::Inconclusive | Verdict::Documentary, _) if outdated => PremiseState::Superseded,
        // That nothing was seen against a claim does not show that it holds.
        (Verdict::Inconclusive, _) | (Verdict::NotContradicted, false) => PremiseState::Open,
        (Verdict::Documentary, _) => PremiseState::Documentary,
    }
}

/// One refuted premise fails a criterion; all of them measured or not refuted meet it. It asks nothing of a messenger
/// without premises.
fn outcome(premises: &[Premise]) -> Outcome {
    let any = |state: PremiseState| premises.iter().any(|p| p.state == state);
    let holds = |p: &Premise| matches!(p.state, PremiseState::Measured | PremiseState::NotRefuted);
    if premises.is_empty() {
        Outcome::Counted
    } else if any(PremiseState::Refuted) {
        Outcome::Failed
    } else if premises.iter().all(holds) {
        Outcome::Met
    } else {
        Outcome::Open
    }
}

/// Reads a file; ids of claims are looked up in `catalogue` when there is one.
fn read(file: &str, text: &str, catalogue: Option<&Catalogue>) -> (Criteria, Vec<Fault>) {
    let mut loader = Loader::new(file, text);
    let mut read = Criteria::default();
    let Some(root) = loader.root() else { return (read, loader.faults) };
    let whole = root.span();
    let root = root.into_inner();
    loader.known_keys(&root, &["criterion", "conclusion"]);
    for item in loader.list(&root, "criterion") {
        let Some(table) = loader.table(item, "criterion") else { continue };
        let span = item.span();
        let before = loader.faults.len();
        check_keys(&mut loader, table, &["id", "text", "weight", "claims"], &span);
        let id = id(&mut loader, table, &span);
        let weight = match table.get("weight") {
            Some(node) => loader.number(node, "weight").unwrap_or_default(),
            None => 1.0,
        };
        let text = loader.both(table, "text");
        let counted = Criterion::ALL.map(Criterion::id);
        let claims = table.contains_key("claims").then(|| wanted(&mut loader, table, "claims"));
        if claims.is_none() && !counted.contains(&id.as_str()) {
            let remedy = format!("add claims = [\"…\"]; only {} go without", counted.join(", "));
            loader.fault(&span, format!("the criterion {id:?} has no claims"), remedy);
        }
        if read.criteria.iter().any(|c| c.id == id) {
            loader.fault(&span, format!("the criterion {id:?} is there twice"), "give each an id of its own");
        }
        if loader.faults.len() == before {
            read.criteria.push(OwnCriterion { id, text, weight, claims });
        }
    }
    for item in loader.list(&root, "conclusion") {
        let Some(table) = loader.table(item, "conclusion") else { continue };
        let span = item.span();
        let before = loader.faults.len();
        check_keys(&mut loader, table, &["id", "text", "section", "premises"], &span);
        let id = id(&mut loader, table, &span);
        let text = loader.both(table, "text");
        let section = table.get("section").and_then(|n| loader.text(n, "section")).unwrap_or_default();
        let section = section.to_owned();
        let premises = wanted(&mut loader, table, "premises");
        for all in premises.iter().filter(|p| p.claim.starts_with("*.")) {
            let remedy = "name the messenger; only criteria are for all of them";
            loader.fault(&all.span, format!("the premise {:?} is of no messenger", all.claim), remedy);
        }
        if read.conclusions.iter().any(|c| c.id == id) {
            loader.fault(
                &span,
                format!("the conclusion {id:?} is there twice"),
                "give each an id of its own",
            );
        }
        if loader.faults.len() == before {
            read.conclusions.push(OwnConclusion { id, section, text, premises });
        }
    }
    if read.criteria.is_empty() && read.conclusions.is_empty() && loader.faults.is_empty() {
        let remedy = "write [[criterion]] or [[conclusion]] and its keys below";
        loader.fault(&whole, "there are neither criteria nor conclusions", remedy);
    }
    if let Some(catalogue) = catalogue {
        look_up(&mut loader, &read, catalogue);
    }
    (read, loader.faults)
}

/// Claims that the catalogue does not have.
fn look_up(loader: &mut Loader<'_>, read: &Criteria, catalogue: &Catalogue) {
    let ids: Vec<&str> = catalogue.claims().iter().map(|c| c.id.as_str()).collect();
    let criteria = read.criteria.iter().flat_map(|c| c.claims.iter().flatten());
    for wanted in criteria.chain(read.conclusions.iter().flat_map(|c| &c.premises)) {
        let known = match wanted.claim.strip_prefix('*') {
            Some(end) => {
                ids.iter().any(|id| id.split_once('.').is_some_and(|(_, n)| end.get(1..) == Some(n)))
            }
            None => ids.contains(&wanted.claim.as_str()),
        };
        if !known {
            let near = ids.iter().min_by_key(|id| load::distance(id, &wanted.claim));
            let near = near.map(|id| format!("did you mean {id:?}? ")).unwrap_or_default();
            let remedy = format!("{near}`metaleak claims list` names all claims");
            loader.fault(&wanted.span, format!("no claim has the id {:?}", wanted.claim), remedy);
        }
    }
}

/// Faults of keys that are unknown, or not there.
fn check_keys(loader: &mut Loader<'_>, table: &DeTable<'_>, keys: &[&str], span: &Range<usize>) {
    loader.known_keys(table, keys);
    for key in
        keys.iter().filter(|k| !["weight", "section", "claims"].contains(k) && !table.contains_key(**k))
    {
        loader.fault(span, format!("there is no {key}"), format!("add {key} = …"));
    }
}

fn id(loader: &mut Loader<'_>, table: &DeTable<'_>, span: &Range<usize>) -> String {
    let Some(node) = table.get("id") else { return String::new() };
    let id = loader.text(node, "id").unwrap_or_default().to_owned();
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    if id.is_empty() || !id.bytes().all(word) {
        let remedy = "write small letters, digits, hyphens and points";
        loader.fault(&if id.is_empty() { span.clone() } else { node.span() }, format!("id {id:?}"), remedy);
    }
    id
}

/// `ID` or `not ID`.
fn wanted(loader: &mut Loader<'_>, table: &DeTable<'_>, key: &str) -> Vec<Wanted> {
    let Some(node) = table.get(key) else { return Vec::new() };
    let one = |(word, span): (String, Range<usize>)| {
        let word = word.trim();
        let (claim, holds) = match word.strip_prefix("not ") {
            Some(rest) => (rest.trim().to_owned(), false),
            None => (word.to_owned(), true),
        };
        Wanted { claim, holds, span }
    };
    let all: Vec<Wanted> = loader.words(node, key).into_iter().map(one).collect();
    for (at, wanted) in all.iter().enumerate() {
        let Some(earlier) = all.iter().take(at).find(|earlier| earlier.claim == wanted.claim) else {
            continue;
        };
        if earlier.holds == wanted.holds {
            loader.fault(
                &wanted.span,
                format!("{:?} is listed twice in {key}", wanted.claim),
                "list it once",
            );
        } else {
            let what = format!("{key} asks for {:?} and for its opposite", wanted.claim);
            loader.fault(&wanted.span, what, "keep one of the two");
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: &str, verdict: Verdict) -> ClaimResult {
        let messenger = id.split_once('.').unwrap().0.to_owned();
        ClaimResult { id: id.to_owned(), messenger, verdict, ..ClaimResult::default() }
    }

    fn all_of(catalogue: &Catalogue, verdict: Verdict) -> Vec<ClaimResult> {
        catalogue
            .claims()
            .iter()
            .map(|c| ClaimResult { criterion: c.criterion, ..result(&c.id, verdict) })
            .collect()
    }

    #[test]
    fn the_built_in_conclusions_name_claims_of_the_catalogue() {
        let catalogue = Catalogue::embedded().unwrap();
        let (read, faults) = read(FILE.0, FILE.1, Some(&catalogue));
        assert_eq!(faults, []);
        let messengers: Vec<&str> =
            read.conclusions.iter().map(|c| c.id.split_once('.').unwrap().0).collect();
        assert_eq!(messengers, super::super::load::MESSENGERS);
        for conclusion in &read.conclusions {
            let of = conclusion.id.split_once('.').unwrap().0;
            assert!(conclusion.premises.iter().all(|p| p.claim.starts_with(&format!("{of}."))), "{of}");
        }
    }

    #[test]
    fn a_premise_is_what_its_verdict_makes_of_it() {
        use PremiseState::{Documentary, Measured, NotRefuted, Open, Refuted, Superseded};
        for (verdict, holds, outdated, expected) in [
            (Verdict::Supported, true, false, Measured),
            (Verdict::Supported, false, false, Refuted),
            (Verdict::Contradicted, true, true, Refuted),
            (Verdict::Contradicted, false, false, Measured),
            (Verdict::NotContradicted, true, false, NotRefuted),
            (Verdict::NotContradicted, false, false, Open),
            (Verdict::Inconclusive, true, false, Open),
            (Verdict::Inconclusive, true, true, Superseded),
            (Verdict::Documentary, true, false, Documentary),
            (Verdict::Documentary, false, true, Superseded),
        ] {
            assert_eq!(state(verdict, holds, outdated), expected, "{verdict} {holds} {outdated}");
        }
    }

    #[test]
    fn the_built_in_criteria_count_every_claim_once() {
        let catalogue = Catalogue::embedded().unwrap();
        let results = all_of(&catalogue, Verdict::Inconclusive);
        let comparison = Criteria::embedded().unwrap().compare(&catalogue, &results);
        assert_eq!(comparison.cells.len(), 3 * 8);
        let counted: u64 = comparison.cells.iter().flat_map(|c| c.counts.values()).sum();
        assert_eq!(counted, results.len() as u64);
        assert_eq!(comparison.conclusions.len(), 8);
        assert!(comparison.totals.is_empty());
    }

    #[test]
    fn own_criteria_weigh_as_their_file_says() {
        let catalogue = Catalogue::embedded().unwrap();
        let file = r#"
[[criterion]]
id = "clear"
text = { en = "Nothing in clear", de = "Nichts im Klartext" }
weight = 3
claims = ["*.every-byte-encrypted", "*.no-identifiers-in-clear"]
[[criterion]]
id = "place"
text = { en = "Not in the USA", de = "Nicht in den USA" }
claims = ["not signal.servers-in-usa", "not whatsapp.servers-in-usa"]
"#;
        let (criteria, faults) = read("own.toml", file, Some(&catalogue));
        assert_eq!(faults, []);
        let results = [
            result("signal.every-byte-encrypted", Verdict::NotContradicted),
            result("signal.no-identifiers-in-clear", Verdict::Supported),
            result("signal.servers-in-usa", Verdict::Contradicted),
            result("whatsapp.every-byte-encrypted", Verdict::Supported),
            result("whatsapp.no-identifiers-in-clear", Verdict::Contradicted),
            result("whatsapp.servers-in-usa", Verdict::Inconclusive),
        ];
        let comparison = criteria.compare(&catalogue, &results);
        let totals: Vec<(&str, f64, f64, f64)> =
            comparison.totals.iter().map(|t| (t.messenger.as_str(), t.met, t.failed, t.open)).collect();
        assert_eq!(totals, [("signal", 4.0, 0.0, 0.0), ("whatsapp", 0.0, 3.0, 1.0)]);
        let first = &comparison.cells[0];
        assert_eq!((first.messenger.as_str(), first.outcome), ("signal", Outcome::Met));
        assert_eq!(first.claims, ["signal.every-byte-encrypted", "signal.no-identifiers-in-clear"]);
    }

    #[test]
    fn faults_name_line_and_remedy() {
        let catalogue = Catalogue::embedded().unwrap();
        for (file, line, what) in [
            ("", 1, "neither criteria nor conclusions"),
            ("[[criterion]\n", 1, ""),
            ("x = 1\n", 1, "unknown key \"x\""),
            ("criterion = 3\n", 1, "not a list of tables"),
            ("[[criterion]]\nid = \"A\"\n", 2, "id \"A\""),
            (
                "[[criterion]]\nid = \"a\"\ntext = { en = \"x\" }\nclaims = [\"*.every-byte-encrypted\"]\n",
                3,
                "\"de\"",
            ),
            (
                "[[criterion]]\nid = \"a\"\ntext = { en = \"x\", de = \"x\" }\nclaims = [\"signal.servers-in-us\"]\n",
                4,
                "no claim has the id",
            ),
            ("[[criterion]]\nid = \"a\"\ntext = { en = \"x\", de = \"x\" }\nclaims = []\n", 4, "is empty"),
            (
                "[[criterion]]\nid = \"a\"\nweight = -1\ntext = { en = \"x\", de = \"x\" }\nclaims = [\"*.idle-quiet\"]\n",
                3,
                "weight",
            ),
            (
                "[[conclusion]]\nid = \"a.b\"\ntext = { en = \"x\", de = \"x\" }\npremises = [\"*.idle-quiet\"]\n",
                4,
                "of no messenger",
            ),
            (
                "[[criterion]]\nid = \"a\"\ntext = { en = \"x\", de = \"x\" }\nclaims = [\"*.idle-quiet\", \"*.idle-quiet\"]\n",
                4,
                "is listed twice in claims",
            ),
            (
                "[[conclusion]]\nid = \"a.b\"\ntext = { en = \"x\", de = \"x\" }\npremises = [\"signal.idle-quiet\", \"not signal.idle-quiet\"]\n",
                4,
                "and for its opposite",
            ),
            ("[[conclusion]]\nid = \"a.b\"\ntext = { en = \"x\", de = \"x\" }\n", 1, "there is no premises"),
            ("[[criterion]]\nid = \"a\"\ntext = { en = \"x\", de = \"x\" }\n", 1, "has no claims"),
        ] {
            let (_, faults) = read("own.toml", file, Some(&catalogue));
            let found =
                faults.iter().any(|f| f.line == line && f.what.contains(what) && !f.remedy.is_empty());
            assert!(found, "{file:?}: {faults:?}");
        }
    }
}
