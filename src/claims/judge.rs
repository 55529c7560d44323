//! Verdicts, by rules that are the same for every claim.
//!
//! In this order, and the first that applies decides:
//! 1. A documentary claim is `documentary`.
//! 2. No flow of the messenger: `inconclusive: not-exercised`.
//! 3. The claim asks for a vantage and no such capture has the messenger: `inconclusive: vantage-unsuitable`.
//! 4. `contradicts` matches: `contradicted`. A contradiction needs neither steps nor repeats nor a control: the frames show it.
//! 5. Fewer captures than `min_runs`: `inconclusive: too-few-runs`.
//! 6. The control was run and found nothing: `inconclusive: control-failed`.
//! 7. `supports` matches and the steps were exercised: `supported`, or `not-contradicted` for a claim of absence.
//! 8. `supports` matches and steps are missing: `inconclusive: not-exercised`.
//! 9. All payload of the messenger is opaque: `inconclusive: opaque`.
//! 10. Else `inconclusive` with the reason that the claim gives in `otherwise`.

use std::collections::{BTreeMap, BTreeSet};

use super::Catalogue;
use super::evidence::gather;
use super::language::{Claim, DecidedBy};
use super::predicate::Facts;
use super::wording::Words;
use crate::model::{ClaimResult, Control, Evidence, Report, Text, Verdict};

/// Judges every claim; no control has run.
#[must_use]
pub fn judge(catalogue: &Catalogue, report: &Report) -> Vec<ClaimResult> {
    judge_with_controls(catalogue, report, &BTreeMap::new())
}

/// Judges every claim. `controls` has the result of the positive control of a claim, by the claim's id.
#[must_use]
pub fn judge_with_controls(
    catalogue: &Catalogue,
    report: &Report,
    controls: &BTreeMap<String, Control>,
) -> Vec<ClaimResult> {
    let words = Words::embedded();
    catalogue.claims().iter().map(|claim| one(claim, report, controls.get(&claim.id), &words)).collect()
}

struct Ruling {
    verdict: Verdict,
    reason: &'static str,
    key: &'static str,
    values: Vec<(&'static str, String)>,
    evidence: Vec<Evidence>,
}

fn one(claim: &Claim, report: &Report, control: Option<&Control>, words: &Words) -> ClaimResult {
    let ruling = rule(claim, report, control);
    let mut explanation = words.say(ruling.key, &ruling.values);
    let mut add = |text: &Text| {
        if !text.en.is_empty() {
            explanation.en = format!("{} {}", explanation.en, text.en);
            explanation.de = format!("{} {}", explanation.de, text.de);
        }
    };
    if ruling.verdict == Verdict::Inconclusive {
        add(&claim.undecided);
    }
    if claim.decided_by == DecidedBy::Traffic {
        add(&claim.note);
    }
    add(&claim.superseded);
    ClaimResult {
        id: claim.id.clone(),
        messenger: claim.messenger.clone(),
        criterion: claim.criterion,
        text: claim.text.clone(),
        verdict: ruling.verdict,
        reason: ruling.reason.to_owned(),
        explanation,
        evidence: ruling.evidence,
        control: control.cloned(),
        sources: claim.sources.iter().map(ToString::to_string).collect(),
    }
}

fn rule(claim: &Claim, report: &Report, control: Option<&Control>) -> Ruling {
    let ruling =
        |verdict, reason, key, evidence| Ruling { verdict, reason, key, values: Vec::new(), evidence };
    if claim.decided_by == DecidedBy::Documentary {
        return ruling(Verdict::Documentary, "", "documentary", Vec::new());
    }
    let all: BTreeSet<&str> = report.inputs.iter().map(|i| i.file.as_str()).collect();
    let everywhere = Facts::of(report, &claim.messenger, &all);
    if everywhere.flows.is_empty() {
        return ruling(Verdict::Inconclusive, "not-exercised", "not-seen", Vec::new());
    }
    let facts = if claim.vantage.is_empty() {
        everywhere
    } else {
        let suitable: BTreeSet<&str> = report
            .inputs
            .iter()
            .filter(|i| i.run.as_ref().and_then(|r| r.vantage).is_some_and(|v| claim.vantage.contains(&v)))
            .map(|i| i.file.as_str())
            .collect();
        let facts = Facts::of(report, &claim.messenger, &suitable);
        if facts.flows.is_empty() {
            let shown = show(claim, report, &everywhere);
            return ruling(Verdict::Inconclusive, "vantage-unsuitable", "vantage", shown);
        }
        facts
    };
    if let Some((true, items)) = claim.contradicts.as_ref().map(|p| facts.eval(p)) {
        return ruling(Verdict::Contradicted, "", "contradicted", gather(report, &facts, &items));
    }
    let captures: BTreeSet<&str> = facts.flows.iter().map(|f| f.capture.as_str()).collect();
    if (captures.len() as u64) < claim.min_runs {
        let values = vec![("runs", captures.len().to_string()), ("needed", claim.min_runs.to_string())];
        let shown = show(claim, report, &facts);
        return Ruling { values, ..ruling(Verdict::Inconclusive, "too-few-runs", "too-few-runs", shown) };
    }
    if control.is_some_and(|c| c.planted > 0 && c.found == 0) {
        return ruling(
            Verdict::Inconclusive,
            "control-failed",
            "control-failed",
            show(claim, report, &facts),
        );
    }
    if let Some((true, items)) = claim.supports.as_ref().map(|p| facts.eval(p)) {
        let missing = missing_steps(claim, report, &captures);
        if !missing.is_empty() {
            let values = vec![("steps", missing.join(", "))];
            let shown = show(claim, report, &facts);
            return Ruling {
                values,
                ..ruling(Verdict::Inconclusive, "not-exercised", "steps-missing", shown)
            };
        }
        let evidence = gather(report, &facts, &items);
        return if claim.absence {
            let key = if control.is_some() { "not-contradicted" } else { "not-contradicted-uncontrolled" };
            ruling(Verdict::NotContradicted, "", key, evidence)
        } else {
            ruling(Verdict::Supported, "", "supported", evidence)
        };
    }
    let shown = show(claim, report, &facts);
    let with_payload = facts.flows.iter().filter(|f| f.encryption != "empty");
    if with_payload.clone().count() > 0 && with_payload.clone().all(|f| f.encryption == "opaque") {
        return ruling(Verdict::Inconclusive, "opaque", "opaque", shown);
    }
    let reason = match claim.otherwise.as_str() {
        "opaque" => "opaque",
        "too-few-runs" => "too-few-runs",
        "vantage-unsuitable" => "vantage-unsuitable",
        _ => "not-exercised",
    };
    ruling(Verdict::Inconclusive, reason, "undecided", shown)
}

fn show(claim: &Claim, report: &Report, facts: &Facts<'_>) -> Vec<Evidence> {
    match claim.shows.as_ref().map(|p| facts.eval(p)) {
        Some((true, items)) => gather(report, facts, &items),
        _ => Vec::new(),
    }
}

/// Steps of the claim that no capture with the messenger's flows exercised.
fn missing_steps(claim: &Claim, report: &Report, captures: &BTreeSet<&str>) -> Vec<String> {
    let exercised: BTreeSet<&str> = report
        .inputs
        .iter()
        .filter(|i| captures.contains(i.file.as_str()))
        .filter_map(|i| i.run.as_ref())
        .flat_map(|r| r.steps.iter().map(String::as_str))
        .collect();
    claim.steps.iter().filter(|s| !exercised.contains(s.as_str())).cloned().collect()
}
