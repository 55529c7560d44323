//! The page's content, ready to print: every value worded, sorted and capped, nothing escaped for HTML yet.
//!
//! Takes a [`Report`], the wording and the charts; gives a [`Page`] that `templates/report.html` walks. Lists stop at
//! [`MAX_ROWS`]; what is left out is counted, never silently dropped.

pub(crate) mod comparison;
mod tables;

pub(super) use tables::noise_sum;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use self::tables::{
    CallRow, CoverageRow, DestinationRow, ExposureRow, FindingRow, InputRow, NoiseRow, ReferenceRow,
    WarningRow,
};
use super::chart::Chart;
use super::wording::{Arg, Wording};
use super::words::{self, VERDICTS};
use crate::model::{
    ClaimResult, Control, ControlKind, Criterion, Destination, Evidence, Finding, Input, Report, Verdict,
};

/// Rows of any one table on the page.
pub(crate) const MAX_ROWS: usize = 200;
/// Places of evidence shown for one claim.
pub(crate) const MAX_EVIDENCE: usize = 20;
/// Frames, names and sources listed in one cell.
pub(crate) const MAX_IN_CELL: usize = 16;

#[derive(Serialize)]
pub(crate) struct Page {
    lang: &'static str,
    lead: String,
    span: String,
    made_by: String,
    overview: Vec<OverviewRow>,
    own_criteria: Option<comparison::OwnCriteria>,
    conclusions: Vec<comparison::ConclusionRow>,
    criteria: Vec<[String; 2]>,
    messengers: Vec<Messenger>,
    charts: Vec<ChartView>,
    exposure: Vec<ExposureRow>,
    calls: Capped<CallRow>,
    noise: Capped<NoiseRow>,
    destinations: Capped<DestinationRow>,
    findings: Capped<FindingRow>,
    inputs: Capped<InputRow>,
    coverage: Capped<CoverageRow>,
    coverage_all: Option<CoverageRow>,
    warnings: Capped<WarningRow>,
    reference: Capped<ReferenceRow>,
    meanings: Vec<Meaning>,
    reasons: Vec<[String; 2]>,
}

/// The first rows of a list and, where it is longer, a line that says by how many.
#[derive(Serialize)]
pub(crate) struct Capped<T> {
    rows: Vec<T>,
    more: Option<String>,
}

impl<T> Capped<T> {
    fn new<S>(
        all: &[S],
        max: usize,
        more_id: &str,
        wording: &Wording,
        row: impl FnMut(&S) -> T,
    ) -> Capped<T> {
        let left = all.len().saturating_sub(max) as u64;
        let more = (left > 0).then(|| wording.with(more_id, &[("n", Arg::Count(left))]));
        Capped { rows: all.iter().take(max).map(row).collect(), more }
    }
}

#[derive(Serialize)]
struct Badge {
    class: String,
    mark: char,
    text: String,
}

impl Badge {
    fn new(verdict: Verdict, text: String) -> Badge {
        Badge { class: verdict.to_string(), mark: words::mark(verdict), text }
    }
}

#[derive(Serialize)]
struct OverviewRow {
    anchor: String,
    messenger: String,
    cells: Vec<Vec<Counted>>,
}

/// How many claims of a cell got a verdict, and where the first of them stands.
#[derive(Serialize)]
struct Counted {
    badge: Badge,
    anchor: String,
    /// What the link leads to, for those who do not see the table around it.
    label: String,
}

/// That the comparison's wording no longer fits, since when, and which claim says what holds today.
#[derive(Serialize)]
struct Superseded {
    text: String,
    by: String,
    /// The anchor of that claim, where the page has it.
    anchor: String,
}

#[derive(Serialize)]
struct Messenger {
    anchor: String,
    name: String,
    counts: Vec<Badge>,
    decided: Vec<Claim>,
    undecided: Vec<Claim>,
    undecided_label: String,
    more: Option<String>,
}

#[derive(Serialize)]
struct Claim {
    id: String,
    criterion: String,
    badge: Badge,
    text: String,
    explanation: String,
    controls: Vec<String>,
    evidence: Capped<EvidenceView>,
    sources: Vec<Source>,
    /// Said where runs contradict each other.
    disagree: Option<String>,
    /// What each kind of runs shows alone.
    runs: Vec<String>,
    protection: Option<ProtectionView>,
    next: Vec<NextView>,
    superseded: Option<Superseded>,
    /// From when or until when it holds.
    validity: String,
}

/// The second verdict of a claim on hashes.
#[derive(Serialize)]
struct ProtectionView {
    badge: Badge,
    text: String,
}

/// What to do, and the line for it.
#[derive(Serialize)]
struct NextView {
    what: String,
    command: String,
}

#[derive(Serialize)]
struct EvidenceView {
    capture: String,
    frames: String,
    filter: String,
    note: String,
}

/// A source; `url` is set when it starts with an https address, `text` is the rest then.
#[derive(Serialize)]
struct Source {
    url: String,
    text: String,
}

#[derive(Serialize)]
struct ChartView {
    title: String,
    note: String,
    svg: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    wide: bool,
}

#[derive(Serialize)]
struct Meaning {
    badge: Badge,
    text: String,
}

impl Page {
    pub(crate) fn new(report: &Report, wording: &Wording, charts: &[Chart]) -> Page {
        let mut by_messenger: BTreeMap<&str, Vec<&ClaimResult>> = BTreeMap::new();
        for claim in &report.claims {
            by_messenger.entry(&claim.messenger).or_default().push(claim);
        }
        let mut destinations: Vec<&Destination> = report.destinations.iter().collect();
        destinations.sort_by_key(|d| (Reverse(d.bytes_up.saturating_add(d.bytes_down)), d.address.as_str()));
        let mut findings: Vec<&Finding> = report.findings.iter().collect();
        findings.sort_by_key(|f| Reverse(f.severity)); // stable: the report's order within a severity
        let capped = "more-in-json";
        for claims in by_messenger.values_mut() {
            claims.sort_by_key(|c| (words::urgency(c.verdict), c.id.as_str()));
        }
        let on_page: BTreeSet<&str> = by_messenger
            .values()
            .flat_map(|claims| claims.iter().take(MAX_ROWS))
            .map(|c| c.id.as_str())
            .collect();
        let messengers: Vec<Messenger> = by_messenger
            .iter()
            .enumerate()
            .map(|(i, (id, claims))| messenger(i, id, claims, &on_page, report, wording))
            .collect();
        Page {
            lang: wording.lang().code(),
            lead: lead(report, by_messenger.len(), wording),
            span: span(&report.inputs, wording),
            made_by: wording.with(
                "page-made-by",
                &[("tool", Arg::Text(&report.tool.name)), ("version", Arg::Text(&report.tool.version))],
            ),
            overview: by_messenger
                .iter()
                .enumerate()
                .map(|(i, (id, c))| overview(i, id, c, wording))
                .collect(),
            own_criteria: comparison::own_criteria(&report.comparison, &on_page, wording),
            conclusions: comparison::conclusions(report, &on_page, wording),
            criteria: Criterion::ALL
                .iter()
                .map(|c| [wording.text(words::criterion_id(*c)), long(*c, wording)])
                .collect(),
            messengers,
            charts: charts.iter().map(ChartView::from).collect(),
            exposure: tables::exposure(&report.exposure, wording),
            calls: Capped::new(&report.calls, MAX_ROWS, "more-in-json", wording, |c| {
                tables::call(c, wording)
            }),
            noise: Capped::new(&report.noise, MAX_ROWS, "more-in-json", wording, |n| {
                tables::noise(n, wording)
            }),
            destinations: Capped::new(&destinations, MAX_ROWS, capped, wording, |d| {
                tables::destination(d, wording)
            }),
            findings: Capped::new(&findings, MAX_ROWS, capped, wording, |f| {
                tables::finding(f, &report.rules, wording)
            }),
            inputs: Capped::new(&report.inputs, MAX_ROWS, capped, wording, |i| tables::input(i, wording)),
            coverage: Capped::new(&report.coverage, MAX_ROWS, capped, wording, |c| {
                tables::coverage(c.capture.clone(), c.total, &c.classes, wording)
            }),
            coverage_all: (report.coverage.len() > 1)
                .then(|| tables::all_coverage(&report.coverage, wording)),
            warnings: Capped::new(&report.warnings, MAX_ROWS, capped, wording, |w| {
                tables::warning(w, wording)
            }),
            reference: Capped::new(&report.reference, MAX_ROWS, capped, wording, |r| {
                tables::reference(r, wording)
            }),
            meanings: VERDICTS.iter().map(|v| meaning(*v, wording)).collect(),
            reasons: REASONS.iter().map(|ids| ids.map(|id| wording.text(id))).collect(),
        }
    }
}

/// Each reason for `inconclusive` and what it means.
const REASONS: [[&str; 2]; 5] = [
    ["reason-not-exercised", "reason-meaning-not-exercised"],
    ["reason-opaque", "reason-meaning-opaque"],
    ["reason-too-few-runs", "reason-meaning-too-few-runs"],
    ["reason-control-failed", "reason-meaning-control-failed"],
    ["reason-vantage-unsuitable", "reason-meaning-vantage-unsuitable"],
];

fn long(criterion: Criterion, wording: &Wording) -> String {
    use Criterion::{Gdpr, Metadata, Threshold};
    wording.text(match criterion {
        Gdpr => "criterion-long-gdpr",
        Metadata => "criterion-long-metadata",
        Threshold => "criterion-long-threshold",
    })
}

fn meaning(verdict: Verdict, wording: &Wording) -> Meaning {
    Meaning {
        badge: Badge::new(verdict, wording.verdict(verdict)),
        text: wording.text(words::verdict_meaning_id(verdict)),
    }
}

fn lead(report: &Report, messengers: usize, wording: &Wording) -> String {
    let sum = |of: fn(&Input) -> u64| report.inputs.iter().fold(0u64, |n, i| n.saturating_add(of(i)));
    wording.with(
        "page-lead",
        &[
            ("captures", Arg::Count(report.inputs.len() as u64)),
            ("frames", Arg::Count(sum(|i| i.frames))),
            ("bytes", Arg::Text(&wording.bytes(sum(|i| i.decoded_bytes)))),
            ("claims", Arg::Count(report.claims.len() as u64)),
            ("messengers", Arg::Count(messengers as u64)),
        ],
    )
}

/// From the earliest frame of any capture to the latest; RFC 3339 texts in UTC sort as their times do.
fn span(inputs: &[Input], wording: &Wording) -> String {
    let first = inputs.iter().filter_map(|i| i.first_time.as_deref()).min();
    let last = inputs.iter().filter_map(|i| i.last_time.as_deref()).max();
    match (first, last) {
        (Some(first), Some(last)) => wording.with(
            "page-span",
            &[("from", Arg::Text(&wording.moment(first))), ("to", Arg::Text(&wording.moment(last)))],
        ),
        _ => wording.text("page-span-none"),
    }
}

fn overview(index: usize, id: &str, claims: &[&ClaimResult], wording: &Wording) -> OverviewRow {
    let row = format!("m{index}");
    let name = wording.messenger(id);
    let cell = |criterion| {
        let counted = |verdict: &Verdict| {
            let of = |c: &&&ClaimResult| c.criterion == criterion && c.verdict == *verdict;
            let n = claims.iter().filter(of).count() as u64;
            // The first of them in the page's own order, which is that of the list given.
            let first = claims.iter().take(MAX_ROWS).find(|c| of(c));
            let badge = count_badge(*verdict, n, wording);
            let label = wording.with(
                "overview-link",
                &[
                    ("messenger", Arg::Text(&name)),
                    ("criterion", Arg::Text(&wording.text(words::criterion_id(criterion)))),
                    ("count", Arg::Text(&badge.text)),
                ],
            );
            let anchor = first.map_or_else(|| row.clone(), |c| format!("c-{}", c.id));
            (n > 0).then_some(Counted { badge, anchor, label })
        };
        VERDICTS.iter().filter_map(counted).collect()
    };
    OverviewRow {
        anchor: row.clone(),
        messenger: name.clone(),
        cells: Criterion::ALL.into_iter().map(cell).collect(),
    }
}

fn count_badge(verdict: Verdict, n: u64, wording: &Wording) -> Badge {
    Badge::new(verdict, wording.with(words::verdict_count_id(verdict), &[("n", Arg::Count(n))]))
}

/// `claims` are sorted by what a reader should see first.
fn messenger(
    index: usize,
    id: &str,
    claims: &[&ClaimResult],
    on_page: &BTreeSet<&str>,
    report: &Report,
    wording: &Wording,
) -> Messenger {
    let mut claims = claims.to_vec();
    let counts = VERDICTS.iter().map(|v| (*v, claims.iter().filter(|c| c.verdict == *v).count() as u64));
    let counts = counts.filter(|(_, n)| *n > 0).map(|(v, n)| count_badge(v, n, wording)).collect();
    let left = claims.len().saturating_sub(MAX_ROWS) as u64;
    claims.truncate(MAX_ROWS);
    let (undecided, decided): (Vec<_>, Vec<_>) =
        claims.into_iter().partition(|c| matches!(c.verdict, Verdict::Inconclusive | Verdict::Documentary));
    Messenger {
        anchor: format!("m{index}"),
        name: wording.messenger(id),
        counts,
        decided: decided.into_iter().map(|c| claim(c, on_page, report, wording)).collect(),
        undecided_label: wording.with("undecided", &[("n", Arg::Count(undecided.len() as u64))]),
        undecided: undecided.into_iter().map(|c| claim(c, on_page, report, wording)).collect(),
        more: (left > 0).then(|| wording.with("more-in-json", &[("n", Arg::Count(left))])),
    }
}

/// What a control found, in a sentence or two.
fn control(control: &Control, wording: &Wording) -> String {
    let id = match control.kind {
        ControlKind::Canary | ControlKind::Decryption | ControlKind::Dose => "claim-control",
        ControlKind::Destination => "claim-control-destination",
        ControlKind::Tracker => "claim-control-tracker",
        ControlKind::Rule => "claim-control-rule",
        ControlKind::Call => "claim-control-call",
        ControlKind::Rest => "claim-control-rest",
    };
    let mut said = wording.with(
        id,
        &[
            ("found", Arg::Count(control.found)),
            ("planted", Arg::Count(control.planted)),
            ("power", Arg::Text(&percent(control.power, wording))),
            ("low", Arg::Text(&percent(control.ci95[0], wording))),
            ("high", Arg::Text(&percent(control.ci95[1], wording))),
        ],
    );
    if !control.missed.is_empty() {
        said.push(' ');
        said += &wording.with("claim-control-missed", &[("rules", Arg::Text(&control.missed.join(", ")))]);
    }
    said
}

/// What the controls of a claim found; that none ran, where the verdict's weight hangs on one.
#[must_use]
pub fn controls(claim: &ClaimResult, wording: &Wording) -> Vec<String> {
    let ran = claim.control.iter().chain(&claim.further_controls);
    let mut controls: Vec<String> = ran.map(|c| control(c, wording)).collect();
    if controls.is_empty() && claim.verdict == Verdict::NotContradicted {
        controls.push(wording.text("claim-no-control"));
    }
    controls
}

fn claim(claim: &ClaimResult, on_page: &BTreeSet<&str>, report: &Report, wording: &Wording) -> Claim {
    let mut badge = Badge::new(claim.verdict, wording.verdict(claim.verdict));
    if !claim.reason.is_empty() {
        badge.text = format!("{} ({})", badge.text, wording.reason(&claim.reason));
    }
    Claim {
        id: claim.id.clone(),
        criterion: wording.text(words::criterion_id(claim.criterion)),
        badge,
        text: wording.pick(&claim.text).to_owned(),
        explanation: wording.pick(&claim.explanation).to_owned(),
        controls: controls(claim, wording),
        evidence: Capped::new(&claim.evidence, MAX_EVIDENCE, "more-evidence", wording, |e| {
            evidence(e, wording)
        }),
        sources: claim.sources.iter().map(|s| source(s)).collect(),
        disagree: claim.runs_disagree.then(|| wording.text("runs-disagree")),
        runs: claim.runs.iter().map(|kind| words::kind_of_runs(kind, wording)).collect(),
        protection: claim.protection.as_ref().map(|p| ProtectionView {
            badge: Badge::new(p.verdict, wording.verdict(p.verdict)),
            text: wording.pick(&p.explanation).to_owned(),
        }),
        next: claim
            .next
            .iter()
            .map(|next| NextView { what: wording.pick(&next.what).to_owned(), command: next.command.clone() })
            .collect(),
        superseded: words::superseded(claim, report, wording).map(|text| Superseded {
            text,
            by: claim.superseded_by.clone(),
            anchor: on_page.get(claim.superseded_by.as_str()).map(|id| format!("c-{id}")).unwrap_or_default(),
        }),
        validity: words::validity(claim, wording),
    }
}

fn percent(share: f64, wording: &Wording) -> String {
    format!("{}\u{a0}%", wording.decimal(share * 100.0, 0))
}

fn evidence(evidence: &Evidence, wording: &Wording) -> EvidenceView {
    EvidenceView {
        capture: evidence.capture.clone(),
        frames: frames(&evidence.frames, wording),
        filter: evidence.filter.clone(),
        note: evidence.note.clone(),
    }
}

/// `frames 3, 5, 8` in words, at most [`MAX_IN_CELL`] of them; empty for none.
fn frames(frames: &[u64], wording: &Wording) -> String {
    if frames.is_empty() {
        return String::new();
    }
    let list: Vec<String> = frames.iter().take(MAX_IN_CELL).map(u64::to_string).collect();
    let mut list = list.join(", ");
    let more = frames.len().saturating_sub(MAX_IN_CELL) as u64;
    if more > 0 {
        list = wording.with("frames-more", &[("frames", Arg::Text(&list)), ("more", Arg::Count(more))]);
    }
    wording.with("frames", &[("n", Arg::Count(frames.len() as u64)), ("frames", Arg::Text(&list))])
}

fn source(source: &str) -> Source {
    let first = source.split(' ').next().unwrap_or_default();
    let url = first.trim_end_matches([',', ';', '.']);
    // The characters of RFC 3986 but for the apostrophe; what else stands there is no address but an attempt.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&()*+,;=%".contains(c);
    if url.starts_with("https://") && url.chars().all(plain) {
        Source { url: url.to_owned(), text: source.strip_prefix(url).unwrap_or_default().to_owned() }
    } else {
        Source { url: String::new(), text: source.to_owned() }
    }
}

impl From<&Chart> for ChartView {
    fn from(chart: &Chart) -> ChartView {
        ChartView {
            title: chart.title.clone(),
            note: chart.note.clone(),
            svg: chart.svg.clone(),
            columns: chart.columns.clone(),
            rows: chart.rows.clone(),
            wide: chart.wide,
        }
    }
}
