//! Verdicts, by rules that are the same for every claim.
//!
//! In this order, and the first that applies decides:
//! 1. A documentary claim is `documentary`.
//! 2. No flow of the messenger: `inconclusive: not-exercised`.
//! 3. The claim asks for a vantage and no such capture has the messenger: `inconclusive: vantage-unsuitable`.
//! 4. `contradicts` matches: `contradicted`. A contradiction needs neither steps nor repeats nor a control: the frames show it.
//! 5. Fewer captures than `min_runs`: `inconclusive: too-few-runs`.
//! 6. The control was run and found nothing, or for certain less than 95 % (the upper end of its interval): `inconclusive: control-failed`.
//! 7. `supports` matches and the steps were exercised: `supported`, or `not-contradicted` for a claim of absence. Steps count
//!    from captures whose run names this very messenger: what another app was made to do says nothing of this one.
//! 8. `supports` matches and steps are missing: `inconclusive: not-exercised`.
//! 9. All payload of the messenger is opaque: `inconclusive: opaque`.
//! 10. Else `inconclusive` with the reason that the claim gives in `otherwise`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rayon::prelude::*;

use super::Catalogue;
use super::evidence::gather;
use super::language::{Claim, DecidedBy};
use super::predicate::Facts;
use super::wording::Words;
use crate::model::{ClaimResult, Control, Evidence, Input, Report, Run, Text, Vantage, Verdict};

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
    // What is gathered for one messenger serves all its claims, and no other's.
    let of_messenger = catalogue.claims().par_chunk_by(|a, b| a.messenger == b.messenger);
    let judged = of_messenger.flat_map_iter(|claims| {
        let mut known = Known { report, facts: BTreeMap::new() };
        let one = |claim: &Claim| one(claim, &mut known, controls.get(&claim.id), &words);
        claims.iter().map(one).collect::<Vec<_>>()
    });
    judged.collect()
}

/// The facts of each messenger, gathered once for all claims that look from the same places.
struct Known<'r> {
    report: &'r Report,
    facts: BTreeMap<(String, Vec<Vantage>), Rc<Facts<'r>>>,
}

impl<'r> Known<'r> {
    /// Facts from captures that were taken at one of `vantage`; from all captures when it is empty.
    fn facts(&mut self, messenger: &str, vantage: &[Vantage]) -> Rc<Facts<'r>> {
        let report = self.report;
        let gathered = self.facts.entry((messenger.to_owned(), vantage.to_vec())).or_insert_with(|| {
            let suits = |run: Option<&Run>| {
                vantage.is_empty() || run.and_then(|r| r.vantage).is_some_and(|v| vantage.contains(&v))
            };
            let suitable: BTreeSet<&str> =
                report.inputs.iter().filter(|i| suits(i.run.as_ref())).map(|i| i.file.as_str()).collect();
            Rc::new(Facts::of(report, messenger, &suitable))
        });
        Rc::clone(gathered)
    }
}

/// Apps that an explanation names, and characters of each.
const MAX_APPS: usize = 3;
const MAX_APP_CHARS: usize = 160;

struct Ruling {
    verdict: Verdict,
    reason: &'static str,
    key: &'static str,
    values: Vec<(&'static str, String)>,
    evidence: Vec<Evidence>,
    /// Captures that a decided verdict rests on; empty while undecided.
    captures: BTreeSet<String>,
}

fn one(claim: &Claim, known: &mut Known<'_>, control: Option<&Control>, words: &Words) -> ClaimResult {
    let report = known.report;
    let ruling = rule(claim, known, control);
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
    for text in origin(&ruling.captures, report, words) {
        add(&text);
    }
    add(&claim.note);
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

/// When the captures were recorded and what produced their traffic: a verdict speaks of that program at that time, and a
/// stand-in or an old release is not the messenger of today.
fn origin(captures: &BTreeSet<String>, report: &Report, words: &Words) -> Vec<Text> {
    let inputs: Vec<_> = report.inputs.iter().filter(|i| captures.contains(&i.file)).collect();
    let day = |time: &Option<String>| time.as_deref().and_then(|t| t.get(..10)).map(str::to_owned);
    let first = inputs.iter().filter_map(|i| day(&i.first_time)).min();
    let last = inputs.iter().filter_map(|i| day(&i.last_time)).max();
    let mut texts = Vec::new();
    if let (Some(first), Some(last)) = (first, last) {
        let when = if first == last { first } else { format!("{first} – {last}") };
        texts.push(words.say("recorded", &[("when", when)]));
    }
    let app =
        |i: &&Input| i.run.as_ref()?.app.as_ref().map(|a| a.chars().take(MAX_APP_CHARS).collect::<String>());
    let apps: BTreeSet<String> = inputs.iter().filter_map(app).collect();
    if !apps.is_empty() {
        let named: Vec<String> = apps.into_iter().take(MAX_APPS).collect();
        texts.push(words.say("app", &[("app", named.join("; "))]));
    }
    if inputs.iter().any(|i| app(i).is_none()) {
        texts.push(words.say("app-unknown", &[]));
    }
    texts
}

fn rule(claim: &Claim, known: &mut Known<'_>, control: Option<&Control>) -> Ruling {
    let report = known.report;
    let ruling = |verdict, reason, key, evidence| Ruling {
        verdict,
        reason,
        key,
        values: Vec::new(),
        evidence,
        captures: BTreeSet::new(),
    };
    if claim.decided_by == DecidedBy::Documentary {
        return ruling(Verdict::Documentary, "", "documentary", Vec::new());
    }
    let everywhere = known.facts(&claim.messenger, &[]);
    if everywhere.flows.is_empty() {
        return ruling(Verdict::Inconclusive, "not-exercised", "not-seen", Vec::new());
    }
    let facts = known.facts(&claim.messenger, &claim.vantage);
    if facts.flows.is_empty() {
        let shown = show(claim, report, &everywhere);
        return ruling(Verdict::Inconclusive, "vantage-unsuitable", "vantage", shown);
    }
    let captures: BTreeSet<&str> = facts.flows.iter().map(|f| f.capture.as_str()).collect();
    // A verdict that rests on what is not there rests on all captures.
    let rests_on = |evidence: &[Evidence]| -> BTreeSet<String> {
        if evidence.is_empty() {
            captures.iter().map(|c| (*c).to_owned()).collect()
        } else {
            evidence.iter().map(|e| e.capture.clone()).collect()
        }
    };
    if let Some((true, items)) = claim.contradicts.as_ref().map(|p| facts.eval(p)) {
        let evidence = gather(report, &facts, &items);
        let captures = rests_on(&evidence);
        return Ruling { captures, ..ruling(Verdict::Contradicted, "", "contradicted", evidence) };
    }
    if (captures.len() as u64) < claim.min_runs {
        let values = vec![("runs", captures.len().to_string()), ("needed", claim.min_runs.to_string())];
        let shown = show(claim, report, &facts);
        return Ruling { values, ..ruling(Verdict::Inconclusive, "too-few-runs", "too-few-runs", shown) };
    }
    // A detector that for certain misses more than one leak in twenty proves nothing by its silence.
    if control.is_some_and(|c| c.planted > 0 && (c.found == 0 || c.ci95[1] < 0.95)) {
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
        // That nothing was seen rests on every capture, whatever is shown of them.
        let captures = rests_on(if claim.absence { &[] } else { &evidence });
        let (verdict, key) = match (claim.absence, control) {
            (true, Some(_)) => (Verdict::NotContradicted, "not-contradicted"),
            (true, None) => (Verdict::NotContradicted, "not-contradicted-uncontrolled"),
            (false, _) => (Verdict::Supported, "supported"),
        };
        return Ruling { captures, ..ruling(verdict, "", key, evidence) };
    }
    let shown = show(claim, report, &facts);
    let mut with_payload = facts.flows.iter().filter(|f| f.encryption != "empty").peekable();
    if with_payload.peek().is_some() && with_payload.all(|f| f.encryption == "opaque") {
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

/// Steps of the claim that no run of its messenger exercised in a capture with the messenger's flows.
fn missing_steps(claim: &Claim, report: &Report, captures: &BTreeSet<&str>) -> Vec<String> {
    let exercised: BTreeSet<&str> = report
        .inputs
        .iter()
        .filter(|i| captures.contains(i.file.as_str()))
        .filter_map(|i| i.run.as_ref())
        .filter(|r| r.messenger.as_deref() == Some(claim.messenger.as_str()))
        .flat_map(|r| r.steps.iter().map(String::as_str))
        .collect();
    claim.steps.iter().filter(|s| !exercised.contains(s.as_str())).cloned().collect()
}
