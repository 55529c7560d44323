//! The comparison's conclusions and one's own criteria, in words.
//!
//! Takes the report's [`Comparison`]; gives rows whose premises are sorted by what became of them.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::{Comparison, ComparisonTotal, Conclusion, Outcome, PremiseState, Report};
use crate::report::wording::{Arg, Wording};

/// Every state in the order in which a reader should see it.
const STATES: [PremiseState; 6] = [
    PremiseState::Refuted,
    PremiseState::Measured,
    PremiseState::NotRefuted,
    PremiseState::Open,
    PremiseState::Superseded,
    PremiseState::Documentary,
];

#[derive(Serialize)]
pub(super) struct ConclusionRow {
    messenger: String,
    text: String,
    states: Vec<StateView>,
}

#[derive(Serialize)]
struct StateView {
    class: &'static str,
    mark: char,
    text: String,
    premises: Vec<PremiseView>,
}

#[derive(Serialize)]
struct PremiseView {
    id: String,
    text: String,
    /// A claim that must not hold is said to be one.
    negated: Option<String>,
    on_page: bool,
}

/// Own criteria: their names with weights, and a row for each messenger.
#[derive(Serialize)]
pub(super) struct OwnCriteria {
    columns: Vec<[String; 2]>,
    rows: Vec<OwnRow>,
}

#[derive(Serialize)]
struct OwnRow {
    messenger: String,
    cells: Vec<OwnCell>,
    total: String,
}

#[derive(Serialize)]
struct OwnCell {
    class: &'static str,
    mark: char,
    text: String,
    claims: Vec<ClaimLink>,
}

/// A claim of a criterion; the page may not have it.
#[derive(Serialize)]
struct ClaimLink {
    id: String,
    on_page: bool,
}

/// The message of a count of premises in a state.
pub(crate) fn state_id(state: PremiseState) -> &'static str {
    match state {
        PremiseState::Measured => "premises-measured",
        PremiseState::NotRefuted => "premises-not-refuted",
        PremiseState::Refuted => "premises-refuted",
        PremiseState::Open => "premises-open",
        PremiseState::Documentary => "premises-documentary",
        PremiseState::Superseded => "premises-superseded",
    }
}

/// The look of a state: that of the verdict which it comes from, where it comes from one.
fn look(state: PremiseState) -> (&'static str, char) {
    match state {
        PremiseState::Measured => ("supported", '✓'),
        PremiseState::NotRefuted => ("not-contradicted", '○'),
        PremiseState::Refuted => ("contradicted", '✗'),
        PremiseState::Open => ("inconclusive", '?'),
        PremiseState::Documentary => ("documentary", '§'),
        PremiseState::Superseded => ("documentary", '↻'),
    }
}

/// How many premises are in which state, in words: `1 refuted, 2 measured`.
pub(crate) fn states(conclusion: &Conclusion, wording: &Wording) -> String {
    let count = |state: PremiseState| conclusion.premises.iter().filter(|p| p.state == state).count() as u64;
    let counted = STATES.iter().map(|state| (*state, count(*state))).filter(|(_, n)| *n > 0);
    let words = counted.map(|(state, n)| wording.with(state_id(state), &[("n", Arg::Count(n))]));
    words.collect::<Vec<_>>().join(", ")
}

pub(super) fn conclusions(
    report: &Report,
    on_page: &BTreeSet<&str>,
    wording: &Wording,
) -> Vec<ConclusionRow> {
    let text_of =
        |id: &str| report.claims.iter().find(|c| c.id == id).map(|c| wording.pick(&c.text).to_owned());
    let row = |conclusion: &Conclusion| {
        let of_state = |state: &PremiseState| {
            let premises: Vec<PremiseView> = conclusion
                .premises
                .iter()
                .filter(|p| p.state == *state)
                .map(|p| PremiseView {
                    id: p.claim.clone(),
                    text: text_of(&p.claim).unwrap_or_default(),
                    negated: (!p.holds).then(|| wording.text("premise-negated")),
                    on_page: on_page.contains(p.claim.as_str()),
                })
                .collect();
            let (class, mark) = look(*state);
            let text = wording.with(state_id(*state), &[("n", Arg::Count(premises.len() as u64))]);
            (!premises.is_empty()).then_some(StateView { class, mark, text, premises })
        };
        ConclusionRow {
            messenger: wording.messenger(conclusion.messenger()),
            text: wording.pick(&conclusion.text).to_owned(),
            states: STATES.iter().filter_map(of_state).collect(),
        }
    };
    report.comparison.conclusions.iter().map(row).collect()
}

/// `None` for the built-in criteria, which the overview counts.
pub(super) fn own_criteria(
    comparison: &Comparison,
    on_page: &BTreeSet<&str>,
    wording: &Wording,
) -> Option<OwnCriteria> {
    if comparison.totals.is_empty() {
        return None;
    }
    let number = |weight: f64| wording.decimal(weight, if weight.fract() == 0.0 { 0 } else { 2 });
    let columns = comparison.criteria.iter().map(|c| {
        let weight = c.weight.map(number);
        let weight = weight.map(|w| wording.with("criterion-weight", &[("weight", Arg::Text(&w))]));
        [wording.pick(&c.text).to_owned(), weight.unwrap_or_default()]
    });
    let row = |total: &ComparisonTotal| {
        let of_messenger = comparison.cells.iter().filter(|c| c.messenger == total.messenger);
        let cells = of_messenger.map(|cell| {
            let (class, mark, id) = match cell.outcome {
                Outcome::Met => ("supported", '✓', "outcome-met"),
                Outcome::Failed => ("contradicted", '✗', "outcome-failed"),
                Outcome::Open => ("inconclusive", '?', "outcome-open"),
                Outcome::Counted => ("documentary", '–', "outcome-counted"),
            };
            let claims = cell.claims.iter();
            let link = |id: &String| ClaimLink { id: id.clone(), on_page: on_page.contains(id.as_str()) };
            OwnCell { class, mark, text: wording.text(id), claims: claims.map(link).collect() }
        });
        let [met, failed, open] = [total.met, total.failed, total.open].map(number);
        OwnRow {
            messenger: wording.messenger(&total.messenger),
            cells: cells.collect(),
            total: wording.with(
                "criteria-total",
                &[("met", Arg::Text(&met)), ("failed", Arg::Text(&failed)), ("open", Arg::Text(&open))],
            ),
        }
    };
    Some(OwnCriteria { columns: columns.collect(), rows: comparison.totals.iter().map(row).collect() })
}
