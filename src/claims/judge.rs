//! Verdicts, by rules that are the same for every claim.
//!
//! In this order, and the first that applies decides:
//! 1. A documentary claim is `documentary`.
//! 2. No flow of the messenger: `inconclusive: not-exercised`.
//! 3. The claim asks for a vantage and no such capture has the messenger: `inconclusive: vantage-unsuitable`.
//! 4. `contradicts` matches: `contradicted`. A contradiction needs neither steps nor repeats nor a control: the frames show it.
//! 5. Fewer runs than `min_runs`, or one of the steps exercised in fewer: `inconclusive: too-few-runs`. A recording counts once,
//!    however often it is there.
//! 6. A control was run and found nothing, nothing of one rule, or for certain less than 95 % (the upper end of its interval):
//!    `inconclusive: control-failed`.
//! 7. `supports` matches and the steps were exercised: `supported`, or `not-contradicted` for a claim of absence. Steps count
//!    from captures whose run names this very messenger: what another app was made to do says nothing of this one.
//! 8. `supports` matches and steps are missing: `inconclusive: not-exercised`.
//! 9. All payload of the messenger is opaque, and what decides the claim would have to be read: `inconclusive: opaque`.
//! 10. Where the upload grows with the address book, but only in flows that nothing but the run ties to the messenger:
//!     `inconclusive: vantage-unsuitable`.
//! 11. Where how an upload grows decides the claim, and the runs do not tell whether it does: `inconclusive: too-few-runs`.
//! 12. Else `inconclusive` with the reason of the first of the claim's `cases` that fits, or with that in `otherwise`; `too-few-runs` is
//!     never said of as many runs as the claim asks for. A claim without a predicate that could decide it says so.
//!
//! The rules see all runs together. Then each run (and each measure over runs) is judged alone, so that a reader sees which of them
//! show what: one that contradicts decides, and those that fit the claim stand beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rayon::prelude::*;

use super::Catalogue;
use super::evidence::{MAX_FRAMES, gather};
use super::language::{Claim, DecidedBy};
use super::next;
use super::predicate::Facts;
use super::protection;
use super::wording::{Words, number};
use crate::model::{
    ClaimResult, Control, Dose, DoseClass, Evidence, Flow, Input, Leakage, Report, Run, RunsVerdict, Text,
    Vantage, Verdict,
};

/// Judges every claim; no control has run.
#[must_use]
pub fn judge(catalogue: &Catalogue, report: &Report) -> Vec<ClaimResult> {
    judge_with_controls(catalogue, report, &BTreeMap::new())
}

/// Judges every claim. `controls` has the results of the positive controls of a claim, by the claim's id.
#[must_use]
pub fn judge_with_controls(
    catalogue: &Catalogue,
    report: &Report,
    controls: &BTreeMap<String, Vec<Control>>,
) -> Vec<ClaimResult> {
    let words = Words::embedded();
    // What is gathered for one messenger serves all its claims, and no other's.
    let of_messenger = catalogue.claims().par_chunk_by(|a, b| a.messenger == b.messenger);
    let judged = of_messenger.flat_map_iter(|claims| {
        let mut known = Known { report, facts: BTreeMap::new(), alone: BTreeMap::new() };
        let one = |claim: &Claim| {
            one(claim, &mut known, controls.get(&claim.id).map_or(&[][..], Vec::as_slice), &words, catalogue)
        };
        claims.iter().map(one).collect::<Vec<_>>()
    });
    judged.collect()
}

/// The facts of each messenger, gathered once for all claims that look from the same places.
struct Known<'r> {
    report: &'r Report,
    facts: BTreeMap<(String, Vec<Vantage>), Rc<Facts<'r>>>,
    /// The same for each run alone.
    alone: BTreeMap<(String, Vec<Vantage>), Rc<Vec<Alone<'r>>>>,
}

/// What one run, or one measure over several, shows by itself.
struct Alone<'r> {
    facts: Facts<'r>,
    captures: Vec<&'r str>,
    day: Option<&'r str>,
    app: Option<&'r str>,
    vantage: Option<Vantage>,
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

    /// Each run and each measure by itself; none where there is only one run.
    fn alone(&mut self, messenger: &str, vantage: &[Vantage]) -> Rc<Vec<Alone<'r>>> {
        let key = (messenger.to_owned(), vantage.to_vec());
        if let Some(known) = self.alone.get(&key) {
            return Rc::clone(known);
        }
        let facts = self.facts(messenger, vantage);
        let mut parts = Vec::new();
        let several =
            facts.flows.first().zip(facts.flows.last()).is_some_and(|(a, b)| a.capture != b.capture);
        if several {
            let inputs: BTreeMap<&str, &Input> =
                self.report.inputs.iter().map(|i| (i.file.as_str(), i)).collect();
            let day = |capture: &str| inputs.get(capture).and_then(|i| i.first_time.as_deref()?.get(..10));
            for (capture, facts) in facts.by_capture() {
                let run = inputs.get(capture).and_then(|i| i.run.as_ref());
                parts.push(Alone {
                    facts,
                    captures: vec![capture],
                    day: day(capture),
                    app: run.and_then(|r| r.app.as_deref()),
                    vantage: run.and_then(|r| r.vantage),
                });
            }
            for measure in &facts.doses {
                let captures: Vec<&str> = measure.evidence.iter().map(|e| e.capture.as_str()).collect();
                parts.push(Alone {
                    day: captures.iter().filter_map(|c| day(c)).min(),
                    facts: Facts::of_measure(measure),
                    captures,
                    app: measure.app.as_deref(),
                    vantage: measure.vantage,
                });
            }
        }
        let parts = Rc::new(parts);
        self.alone.insert(key, Rc::clone(&parts));
        parts
    }
}

/// Apps that an explanation names, and characters of each.
const MAX_APPS: usize = 3;
const MAX_APP_CHARS: usize = 160;

struct Ruling<'r> {
    verdict: Verdict,
    reason: &'static str,
    key: &'static str,
    values: Vec<(&'static str, String)>,
    evidence: Vec<Evidence>,
    /// Captures that a decided verdict rests on; empty while undecided.
    captures: BTreeSet<String>,
    /// Flows that it rests on, in the order of the report; empty where it rests on measures over whole captures.
    flows: Vec<&'r Flow>,
    /// What is to be done in place of the claim's own `undecided`.
    case: Option<Text>,
}

/// What a client says of itself in clear, by signature, and the sentence for it; what the client says begins behind the words given.
const CLIENTS: [(&str, &str, &str); 3] = [
    ("xmpp.other-client", "client-other", "the client calls itself "),
    ("xmpp.conversations", "client-own", "the client calls itself "),
    ("whatsapp.client-version", "client-version", "client version in clear: "),
];
/// Signatures of a protocol that many programs speak.
const OF_MANY_PROGRAMS: [&str; 1] = ["xmpp.stream"];

/// Kinds of runs that a claim lists.
const MAX_KINDS: usize = 32;
/// Measures that an explanation speaks of, and kinds of runs that it names.
const MAX_SAID: usize = 3;

fn one(
    claim: &Claim,
    known: &mut Known<'_>,
    controls: &[Control],
    words: &Words,
    catalogue: &Catalogue,
) -> ClaimResult {
    let report = known.report;
    let ruling = rule(claim, known, controls);
    let (runs, runs_disagree) = runs(claim, known, ruling.verdict);
    let mut explanation = words.say(ruling.key, &ruling.values);
    let mut add = |text: &Text| {
        if !text.en.is_empty() {
            explanation.en = format!("{} {}", explanation.en, text.en);
            explanation.de = format!("{} {}", explanation.de, text.de);
        }
    };
    if runs_disagree {
        let against = said_of(&runs, |v| v == Verdict::Contradicted, words);
        let fitting = said_of(&runs, |v| v != Verdict::Contradicted, words);
        add(&words.say_in_both("runs-disagree", &[("against", against), ("fitting", fitting)]));
    } else if ruling.verdict == Verdict::Inconclusive && !runs.is_empty() {
        add(&words.say_in_both("runs-alone", &[("fitting", said_of(&runs, |_| true, words))]));
    }
    if claim.decided_by == DecidedBy::Traffic && claim.asks_for_doses() {
        let facts = known.facts(&claim.messenger, &claim.vantage);
        for text in facts.doses.iter().take(MAX_SAID).filter_map(|measure| dose(measure, words)) {
            add(&text);
        }
    }
    if ruling.verdict == Verdict::Inconclusive {
        if !claim.is_decidable() && ruling.key != "no-predicate" {
            add(&words.say("no-predicate-either", &[]));
        }
        add(ruling.case.as_ref().unwrap_or(&claim.undecided));
    }
    for text in origin(&ruling, report, words) {
        add(&text);
    }
    for text in clients(&ruling.flows, words) {
        add(&text);
    }
    if claim.asks_for_ends()
        && let Some(text) = older_than_tables(&ruling.captures, report, words)
    {
        add(&text);
    }
    if claim.decided_by == DecidedBy::Traffic
        && let Some(text) = left_out(&known.facts(&claim.messenger, &claim.vantage), words)
    {
        add(&text);
    }
    add(&claim.note);
    add(&claim.superseded);
    let next = if ruling.verdict == Verdict::Inconclusive {
        let facts = known.facts(&claim.messenger, &[]);
        next::steps(claim, ruling.key, ruling.reason, report, &facts, catalogue, words)
    } else if ruling.key == "not-contradicted-uncontrolled" {
        let facts = known.facts(&claim.messenger, &[]);
        next::power(claim, report, &facts, catalogue, words)
    } else {
        Vec::new()
    };
    ClaimResult {
        id: claim.id.clone(),
        messenger: claim.messenger.clone(),
        criterion: claim.criterion,
        text: claim.text.clone(),
        verdict: ruling.verdict,
        reason: ruling.reason.to_owned(),
        explanation,
        evidence: ruling.evidence,
        control: controls.first().cloned(),
        further_controls: controls.iter().skip(1).cloned().collect(),
        sources: claim.sources.iter().map(ToString::to_string).collect(),
        runs,
        runs_disagree,
        protection: claim.hash_of_number.then(|| protection::of_numbers(words)),
        next,
        superseded: claim.superseded.clone(),
        superseded_by: claim.superseded_by.as_ref().map(|by| by.id.clone()).unwrap_or_default(),
        valid_from: claim.valid_from.clone(),
        valid_until: claim.valid_until.clone(),
    }
}

/// What makes runs alike: day, program, vantage, and what they show alone.
type RunKind<'r> = (Option<&'r str>, Option<&'r str>, Option<Vantage>, Verdict, &'static str);

/// What each run shows alone, by kind; empty where there is one run, or where none decides. The second value tells whether runs that
/// contradict stand beside runs that fit the claim.
fn runs(claim: &Claim, known: &mut Known<'_>, verdict: Verdict) -> (Vec<RunsVerdict>, bool) {
    if claim.decided_by == DecidedBy::Documentary {
        return (Vec::new(), false);
    }
    let report = known.report;
    let mut kinds: BTreeMap<RunKind<'_>, Vec<&str>> = BTreeMap::new();
    for part in known.alone(&claim.messenger, &claim.vantage).iter() {
        let captures: BTreeSet<&str> = part.captures.iter().copied().collect();
        let ruling = weigh(claim, report, &part.facts, &captures, &[], false);
        let kind = (part.day, part.app, part.vantage, ruling.verdict, ruling.reason);
        kinds.entry(kind).or_default().extend(&part.captures);
    }
    let of = |wanted: &[Verdict]| kinds.keys().any(|kind| wanted.contains(&kind.3));
    let fits = [Verdict::Supported, Verdict::NotContradicted];
    if !of(&fits) && !of(&[Verdict::Contradicted]) {
        return (Vec::new(), false);
    }
    let disagree = verdict == Verdict::Contradicted && of(&fits) && of(&[Verdict::Contradicted]);
    // Those that decide come first where not all are listed.
    let mut all: Vec<_> = kinds.into_iter().collect();
    all.sort_by_key(|((.., verdict, _), _)| *verdict == Verdict::Inconclusive);
    let listed = all.into_iter().take(MAX_KINDS).map(|((day, app, vantage, verdict, reason), captures)| {
        let distinct: BTreeSet<&str> = captures.into_iter().collect();
        RunsVerdict {
            day: day.map(str::to_owned),
            app: app.map(|app| app.chars().take(MAX_APP_CHARS).collect()),
            vantage,
            verdict,
            reason: reason.to_owned(),
            count: distinct.len() as u64,
            captures: distinct.into_iter().take(MAX_FRAMES).map(str::to_owned).collect(),
        }
    });
    (listed.collect(), disagree)
}

/// The kinds of runs that decide and have such a verdict, named.
fn said_of(runs: &[RunsVerdict], wanted: impl Fn(Verdict) -> bool, words: &Words) -> Text {
    let decided = runs.iter().filter(|r| r.verdict != Verdict::Inconclusive && wanted(r.verdict));
    let named: Vec<Text> = decided.map(|r| kind_of(r, words)).collect();
    let join = |pick: fn(&Text) -> &String| {
        let mut parts: Vec<&str> = named.iter().take(MAX_SAID).map(|t| pick(t).as_str()).collect();
        if named.len() > MAX_SAID {
            parts.push("…");
        }
        parts.join("; ")
    };
    Text { en: join(|t| &t.en), de: join(|t| &t.de) }
}

fn kind_of(runs: &RunsVerdict, words: &Words) -> Text {
    let unknown = words.say("unknown", &[]);
    let same =
        |value: Option<&str>| value.map_or(unknown.clone(), |v| Text { en: v.to_owned(), de: v.to_owned() });
    let count = runs.count.to_string();
    let vantage = runs.vantage.map_or(unknown.clone(), |v| words.say(&format!("vantage-{}", v.id()), &[]));
    words.say_in_both(
        "runs-kind",
        &[
            ("day", same(runs.day.as_deref())),
            ("app", same(runs.app.as_deref())),
            ("vantage", vantage),
            ("count", Text { en: count.clone(), de: count }),
        ],
    )
}

/// A measure in words; `None` for one that is none of doses.
fn dose(measure: &Leakage, words: &Words) -> Option<Text> {
    let dose: &Dose = measure.dose.as_ref()?;
    let doses: Vec<String> = dose.doses.iter().map(|d| d.contacts.to_string()).collect();
    let doses = Text { en: doses.join(", "), de: doses.join(", ") };
    let runs = Text { en: measure.n.to_string(), de: measure.n.to_string() };
    let step = measure.scenario.clone().unwrap_or_default();
    let step = Text { en: step.clone(), de: step };
    let forms = if dose.forms.is_empty() { "–".to_owned() } else { dose.forms.join(", ") };
    let forms = Text { en: forms.clone(), de: forms };
    let [low, high] = measure.ci95.map(number);
    let mut text = words.say_in_both("dose", &[("runs", runs), ("step", step), ("doses", doses)]);
    let key = match dose.class {
        DoseClass::TooFewRuns => "dose-too-few-runs",
        DoseClass::Nothing => "dose-nothing",
        DoseClass::Padded => "dose-padded",
        DoseClass::PerContact => "dose-per-contact",
        DoseClass::Unclear => "dose-unclear",
    };
    let values = [("bytes", number(measure.value)), ("low", low), ("high", high), ("forms", forms)];
    let read = words.say_in_both(key, &values);
    text.en = format!("{} {}", text.en, read.en);
    text.de = format!("{} {}", text.de, read.de);
    Some(text)
}

/// That only what remains beside control runs was judged, and how much that is not; `None` where nothing was compared.
fn left_out(facts: &Facts<'_>, words: &Words) -> Option<Text> {
    let noise = &facts.noise;
    if noise.compared.is_empty() {
        return None;
    }
    let key = if noise.flows == 0 { "noise-none" } else { "noise-left-out" };
    let values = [
        ("runs", noise.compared.len().to_string()),
        ("flows", noise.flows.to_string()),
        ("ends", noise.ends.len().to_string()),
    ];
    Some(words.say(key, if noise.flows == 0 { values.get(..1).unwrap_or_default() } else { &values }))
}

/// When the captures were recorded and what produced their traffic: a verdict speaks of that program at that time, and a
/// stand-in or an old release is not the messenger of today.
fn origin(ruling: &Ruling<'_>, report: &Report, words: &Words) -> Vec<Text> {
    let inputs: Vec<_> = report.inputs.iter().filter(|i| ruling.captures.contains(&i.file)).collect();
    let day = |time: &str| time.get(..10).map(str::to_owned);
    // A capture may hold other traffic of other years; what counts is when these flows were.
    let timed = !ruling.flows.is_empty() && ruling.flows.iter().all(|f| f.times != Default::default());
    let (first, last) = if timed {
        let first = ruling.flows.iter().map(|f| f.times.0).min();
        let last = ruling.flows.iter().map(|f| f.times.1).max();
        (first.and_then(|t| day(&t.rfc3339())), last.and_then(|t| day(&t.rfc3339())))
    } else {
        let day = |time: &Option<String>| time.as_deref().and_then(day);
        (
            inputs.iter().filter_map(|i| day(&i.first_time)).min(),
            inputs.iter().filter_map(|i| day(&i.last_time)).max(),
        )
    };
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

/// Which program the flows come from, by its own word; that none says so, where the protocol is that of many.
fn clients(flows: &[&Flow], words: &Words) -> Vec<Text> {
    let mut named: BTreeMap<(&str, &str), (&str, u64)> = BTreeMap::new();
    let mut unnamed = false;
    for flow in flows {
        let mut anonymous = flow.signatures.iter().any(|s| OF_MANY_PROGRAMS.contains(&s.signature.as_str()));
        for hit in &flow.signatures {
            let Some((_, key, before)) = CLIENTS.iter().find(|(id, ..)| *id == hit.signature) else {
                continue;
            };
            let client = hit.detail.strip_prefix(before).unwrap_or(&hit.detail);
            let frame = hit.frames.first().copied().unwrap_or(flow.first_frame);
            named.entry((*key, client)).or_insert((flow.capture.as_str(), frame));
            anonymous = false;
        }
        unnamed |= anonymous;
    }
    let mut texts: Vec<Text> = named
        .into_iter()
        .take(MAX_APPS)
        .map(|((key, client), (capture, frame))| {
            let client: String = client.chars().take(MAX_APP_CHARS).collect();
            let values = [("client", client), ("capture", capture.to_owned()), ("frame", frame.to_string())];
            words.say(key, &values)
        })
        .collect();
    if unnamed {
        texts.push(words.say("client-unknown", &[]));
    }
    texts
}

/// That captures are older than the tables which say whose an address is: who held it then need not be who holds it now.
fn older_than_tables(captures: &BTreeSet<String>, report: &Report, words: &Words) -> Option<Text> {
    let warnings = report.warnings.iter().filter(|w| captures.contains(&w.capture));
    let ages = warnings.filter_map(|w| w.data_age.as_ref()).filter(|age| age.later);
    let newest = ages.map(|age| age.newest.as_str()).max()?;
    Some(words.say("older-than-tables", &[("tables", newest.to_owned())]))
}

fn undecided<'r>(reason: &'static str, key: &'static str, evidence: Vec<Evidence>) -> Ruling<'r> {
    ruling(Verdict::Inconclusive, reason, key, evidence)
}

fn ruling<'r>(
    verdict: Verdict,
    reason: &'static str,
    key: &'static str,
    evidence: Vec<Evidence>,
) -> Ruling<'r> {
    let (captures, flows) = (BTreeSet::new(), Vec::new());
    Ruling { verdict, reason, key, values: Vec::new(), evidence, captures, flows, case: None }
}

fn rule<'r>(claim: &Claim, known: &mut Known<'r>, controls: &[Control]) -> Ruling<'r> {
    let report = known.report;
    if claim.decided_by == DecidedBy::Documentary {
        return ruling(Verdict::Documentary, "", "documentary", Vec::new());
    }
    let everywhere = known.facts(&claim.messenger, &[]);
    if everywhere.flows.is_empty() {
        return undecided("not-exercised", "not-seen", Vec::new());
    }
    let facts = known.facts(&claim.messenger, &claim.vantage);
    if facts.flows.is_empty() {
        let shown = show(claim, report, &everywhere);
        return undecided("vantage-unsuitable", "vantage", shown);
    }
    let captures: BTreeSet<&str> = facts.flows.iter().map(|f| f.capture.as_str()).collect();
    weigh(claim, report, &facts, &captures, controls, true)
}

/// The rules from the fourth on. `together` is false for one run alone, of which no repeats are asked.
fn weigh<'r>(
    claim: &Claim,
    report: &Report,
    facts: &Facts<'r>,
    captures: &BTreeSet<&str>,
    controls: &[Control],
    together: bool,
) -> Ruling<'r> {
    // A verdict that rests on what is not there rests on all captures.
    let rests_on = |evidence: &[Evidence]| -> BTreeSet<String> {
        if evidence.is_empty() {
            captures.iter().map(|c| (*c).to_owned()).collect()
        } else {
            evidence.iter().map(|e| e.capture.clone()).collect()
        }
    };
    // Gathering frames is the dearer part, and nobody looks at those of one run alone.
    let gathered = |items: &[super::predicate::Item<'_>]| {
        if together { gather(report, facts, items) } else { Vec::new() }
    };
    let shown = || if together { show(claim, report, facts) } else { Vec::new() };
    if let Some((true, items)) = claim.contradicts.as_ref().map(|p| facts.eval(p)) {
        let evidence = gathered(&items);
        let captures = rests_on(&evidence);
        let flows = facts.flows_behind(&items);
        return Ruling { captures, flows, ..ruling(Verdict::Contradicted, "", "contradicted", evidence) };
    }
    let repeats = if together { repeats(claim, report, captures) } else { u64::MAX };
    if repeats < claim.min_runs {
        let values = vec![("runs", repeats.to_string()), ("needed", claim.min_runs.to_string())];
        let key = if claim.steps.is_empty() { "too-few-runs" } else { "too-few-runs-of-steps" };
        return Ruling { values, ..undecided("too-few-runs", key, shown()) };
    }
    // A detector that for certain misses more than one leak in twenty proves nothing by its silence.
    if controls.iter().any(Control::failed) {
        return undecided("control-failed", "control-failed", shown());
    }
    if let Some((true, items)) = claim.supports.as_ref().map(|p| facts.eval(p)) {
        let missing = missing_steps(claim, report, captures);
        if !missing.is_empty() {
            let values = vec![("steps", missing.join(", "))];
            return Ruling { values, ..undecided("not-exercised", "steps-missing", shown()) };
        }
        let evidence = gathered(&items);
        // That nothing was seen rests on every capture, whatever is shown of them.
        let captures = rests_on(if claim.absence { &[] } else { &evidence });
        let flows = if claim.absence { facts.flows.clone() } else { facts.flows_behind(&items) };
        let (verdict, key) = match (claim.absence, controls) {
            (true, [_, ..]) => (Verdict::NotContradicted, "not-contradicted"),
            (true, []) => (Verdict::NotContradicted, "not-contradicted-uncontrolled"),
            (false, _) => (Verdict::Supported, "supported"),
        };
        return Ruling { captures, flows, ..ruling(verdict, "", key, evidence) };
    }
    let reads = claim.reads() || claim.otherwise == "opaque";
    let mut with_payload = facts.flows.iter().filter(|f| f.encryption != "empty").peekable();
    if reads && with_payload.peek().is_some() && with_payload.all(|f| is_opaque(f)) {
        return undecided("opaque", "opaque", shown());
    }
    let grows = |class| matches!(class, DoseClass::PerContact | DoseClass::Padded);
    let foreign =
        |measure: &&Leakage| measure.dose.as_ref().is_some_and(|d| grows(d.class) && !grows(d.own_class));
    // Runs of another step say nothing of how often this one was done.
    let of_claim = |measure: &&&Leakage| {
        claim.steps.is_empty() || measure.scenario.as_ref().is_some_and(|step| claim.steps.contains(step))
    };
    if claim.waits_for_doses() && facts.doses.iter().filter(of_claim).any(foreign) {
        return undecided("vantage-unsuitable", "dose-of-others", shown());
    }
    // Growth that could not be read takes more runs, whatever else the claim waits for.
    let unread = |measure: &&Leakage| {
        let class = measure.dose.as_ref().map(|d| d.class);
        matches!(class, Some(DoseClass::TooFewRuns | DoseClass::Unclear))
    };
    let mut own_doses = facts.doses.iter().filter(of_claim).peekable();
    if claim.waits_for_doses() && own_doses.peek().is_some() && own_doses.all(unread) {
        return undecided("too-few-runs", "undecided", shown());
    }
    let word = |reason: &str| match reason {
        "opaque" => "opaque",
        "too-few-runs" => "too-few-runs",
        "vantage-unsuitable" => "vantage-unsuitable",
        _ => "not-exercised",
    };
    if let Some(case) = claim.cases.iter().find(|case| facts.eval(&case.when).0) {
        let key = if case.by_hand { "undecided-by-hand" } else { "undecided" };
        return Ruling { case: Some(case.undecided.clone()), ..undecided(word(&case.reason), key, shown()) };
    }
    let reason = word(&claim.otherwise);
    let missing = !missing_steps(claim, report, captures).is_empty();
    match (reason, claim.is_decidable()) {
        ("too-few-runs", true) if repeats >= claim.min_runs && claim.waits_for_doses() => {
            undecided("not-exercised", "no-doses", shown())
        }
        // There are as many runs as it takes; what they hold is read by nothing.
        ("too-few-runs", true) if repeats >= claim.min_runs => undecided("opaque", "undecided", shown()),
        ("too-few-runs", false) if missing => undecided("not-exercised", "no-predicate", shown()),
        ("too-few-runs", false) => undecided("opaque", "no-predicate", shown()),
        (reason, false) => undecided(reason, "no-predicate", shown()),
        (reason, true) => undecided(reason, "undecided", shown()),
    }
}

/// Protocols whose content stays shut: that one of them was recognised is not that something was read.
const SEALED: [&str; 7] = ["tls", "dtls", "quic", "mtproto", "whatsapp", "threema", "rtp"];

/// Neither a handshake nor anything else of the flow could be read.
fn is_opaque(flow: &Flow) -> bool {
    flow.encryption == "opaque" && flow.app_protocols.iter().all(|p| SEALED.contains(&p.as_str()))
}

fn show(claim: &Claim, report: &Report, facts: &Facts<'_>) -> Vec<Evidence> {
    match claim.shows.as_ref().map(|p| facts.eval(p)) {
        Some((true, items)) => gather(report, facts, &items),
        // What nothing but a person can judge is at least listed.
        _ if !claim.is_decidable() => gather(report, facts, &facts.with_payload()),
        _ => Vec::new(),
    }
}

/// The runs among captures with the messenger's flows, each with what was exercised on purpose; a recording that is there twice
/// counts once.
fn runs_in<'r>(
    report: &'r Report,
    captures: &BTreeSet<&str>,
) -> impl Iterator<Item = (&'r Input, Option<&'r Run>)> {
    let mut seen = BTreeSet::new();
    let here: Vec<&Input> = report.inputs.iter().filter(|i| captures.contains(i.file.as_str())).collect();
    here.into_iter()
        .filter(move |i| i.recording().is_none_or(|recording| seen.insert(recording)))
        .map(|i| (i, i.run.as_ref()))
}

/// In how many runs each of the claim's steps was exercised at the least; for a claim without steps, how many runs there are.
pub(super) fn repeats(claim: &Claim, report: &Report, captures: &BTreeSet<&str>) -> u64 {
    if claim.steps.is_empty() {
        return runs_in(report, captures).count() as u64;
    }
    let with = |step: &String| {
        let of_messenger = runs_in(report, captures).filter_map(|(_, run)| run);
        let exercised = of_messenger
            .filter(|r| r.messenger.as_deref() == Some(claim.messenger.as_str()) && r.steps.contains(step));
        exercised.count() as u64
    };
    claim.steps.iter().map(with).min().unwrap_or_default()
}

/// Steps of the claim that no run of its messenger exercised in a capture with the messenger's flows.
fn missing_steps(claim: &Claim, report: &Report, captures: &BTreeSet<&str>) -> Vec<String> {
    let exercised: BTreeSet<&str> = runs_in(report, captures)
        .filter_map(|(_, run)| run)
        .filter(|r| r.messenger.as_deref() == Some(claim.messenger.as_str()))
        .flat_map(|r| r.steps.iter().map(String::as_str))
        .collect();
    claim.steps.iter().filter(|s| !exercised.contains(s.as_str())).cloned().collect()
}
