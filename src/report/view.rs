//! The page's content, ready to print: every value worded, sorted and capped, nothing escaped for HTML yet.
//!
//! Takes a [`Report`], the wording and the charts; gives a [`Page`] that `templates/report.html` walks. Lists stop at
//! [`MAX_ROWS`]; what is left out is counted, never silently dropped.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::chart::{self, Chart};
use super::wording::{Arg, Wording};
use super::words::{self, CRITERIA, VERDICTS};
use crate::model::{ClaimResult, Coverage, Destination, Evidence, Finding, Input, Report, Verdict};

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
    criteria: Vec<[String; 2]>,
    messengers: Vec<Messenger>,
    charts: Vec<ChartView>,
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
    cells: Vec<Vec<Badge>>,
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
    control: Option<String>,
    evidence: Capped<EvidenceView>,
    sources: Vec<Source>,
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
}

#[derive(Serialize)]
struct DestinationRow {
    address: String,
    names: Capped<String>,
    operator: String,
    operator_source: String,
    place: String,
    agreement: String,
    disputed: bool,
    sources: Vec<String>,
    rtt: Option<String>,
    jurisdictions: Vec<String>,
    role: String,
    role_why: Option<String>,
    bytes: String,
    bytes_split: String,
    used_by: Option<String>,
    seen: Option<String>,
}

#[derive(Serialize)]
struct FindingRow {
    id: String,
    severity: String,
    severity_class: String,
    kind: String,
    what: String,
    encoding: Option<String>,
    capture: String,
    frames: String,
    flow: String,
    direction: Option<String>,
    messenger: Option<String>,
    readable: String,
}

#[derive(Serialize)]
struct InputRow {
    file: String,
    sha256: String,
    frames: String,
    size: String,
    from: Option<String>,
    to: Option<String>,
    year_note: String,
    truncated: Option<String>,
    run: Vec<String>,
    provenance: String,
}

#[derive(Serialize)]
struct CoverageRow {
    capture: String,
    total: String,
    classes: Vec<ClassShare>,
}

#[derive(Serialize)]
struct ClassShare {
    class: String,
    name: String,
    share: String,
    bytes: String,
    percent: f64,
}

#[derive(Serialize)]
struct WarningRow {
    capture: String,
    frame: String,
    offset: String,
    what: String,
}

#[derive(Serialize)]
struct ReferenceRow {
    name: String,
    as_of: String,
    licence: String,
    attribution: String,
    sha256: String,
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
        let messengers: Vec<Messenger> = by_messenger
            .iter()
            .enumerate()
            .map(|(i, (id, claims))| messenger(i, id, claims, wording))
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
            criteria: CRITERIA
                .iter()
                .map(|c| [wording.text(words::criterion_id(*c)), long(*c, wording)])
                .collect(),
            messengers,
            charts: charts.iter().map(ChartView::from).collect(),
            destinations: Capped::new(&destinations, MAX_ROWS, capped, wording, |d| destination(d, wording)),
            findings: Capped::new(&findings, MAX_ROWS, capped, wording, |f| finding(f, wording)),
            inputs: Capped::new(&report.inputs, MAX_ROWS, capped, wording, |i| input(i, wording)),
            coverage: Capped::new(&report.coverage, MAX_ROWS, capped, wording, |c| {
                coverage(c.capture.clone(), c.total, &c.classes, wording)
            }),
            coverage_all: (report.coverage.len() > 1).then(|| all_coverage(&report.coverage, wording)),
            warnings: Capped::new(&report.warnings, MAX_ROWS, capped, wording, |w| WarningRow {
                capture: w.capture.clone(),
                frame: w.frame.map(|f| wording.count(f)).unwrap_or_default(),
                offset: wording.count(w.offset),
                what: w.what.clone(),
            }),
            reference: Capped::new(&report.reference, MAX_ROWS, capped, wording, |r| ReferenceRow {
                name: r.name.clone(),
                as_of: wording.date(&r.as_of),
                licence: r.licence.clone(),
                attribution: r.attribution.clone(),
                sha256: r.sha256.clone(),
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

fn long(criterion: crate::model::Criterion, wording: &Wording) -> String {
    use crate::model::Criterion::{Gdpr, Metadata, Threshold};
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
    let cell = |criterion| {
        let of = |v: &Verdict| {
            claims.iter().filter(|c| c.criterion == criterion && c.verdict == *v).count() as u64
        };
        let counted = VERDICTS.iter().map(|v| (*v, of(v))).filter(|(_, n)| *n > 0);
        counted.map(|(v, n)| count_badge(v, n, wording)).collect()
    };
    OverviewRow {
        anchor: format!("m{index}"),
        messenger: wording.messenger(id),
        cells: CRITERIA.into_iter().map(cell).collect(),
    }
}

fn count_badge(verdict: Verdict, n: u64, wording: &Wording) -> Badge {
    Badge::new(verdict, wording.with(words::verdict_count_id(verdict), &[("n", Arg::Count(n))]))
}

fn messenger(index: usize, id: &str, claims: &[&ClaimResult], wording: &Wording) -> Messenger {
    let mut claims = claims.to_vec();
    claims.sort_by_key(|c| (words::urgency(c.verdict), c.id.as_str()));
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
        decided: decided.into_iter().map(|c| claim(c, wording)).collect(),
        undecided_label: wording.with("undecided", &[("n", Arg::Count(undecided.len() as u64))]),
        undecided: undecided.into_iter().map(|c| claim(c, wording)).collect(),
        more: (left > 0).then(|| wording.with("more-in-json", &[("n", Arg::Count(left))])),
    }
}

fn claim(claim: &ClaimResult, wording: &Wording) -> Claim {
    let mut badge = Badge::new(claim.verdict, wording.verdict(claim.verdict));
    if !claim.reason.is_empty() {
        badge.text = format!("{} ({})", badge.text, wording.reason(&claim.reason));
    }
    let control = match &claim.control {
        Some(control) => Some(wording.with(
            "claim-control",
            &[
                ("found", Arg::Count(control.found)),
                ("planted", Arg::Count(control.planted)),
                ("power", Arg::Text(&percent(control.power, wording))),
                ("low", Arg::Text(&percent(control.ci95[0], wording))),
                ("high", Arg::Text(&percent(control.ci95[1], wording))),
            ],
        )),
        // Only there does the verdict's weight hang on a control.
        None if claim.verdict == Verdict::NotContradicted => Some(wording.text("claim-no-control")),
        None => None,
    };
    Claim {
        id: claim.id.clone(),
        criterion: wording.text(words::criterion_id(claim.criterion)),
        badge,
        text: wording.pick(&claim.text).to_owned(),
        explanation: wording.pick(&claim.explanation).to_owned(),
        control,
        evidence: Capped::new(&claim.evidence, MAX_EVIDENCE, "more-evidence", wording, |e| {
            evidence(e, wording)
        }),
        sources: claim.sources.iter().map(|s| source(s)).collect(),
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
        }
    }
}

fn destination(destination: &Destination, wording: &Wording) -> DestinationRow {
    let local = chart::is_local(&destination.address);
    let sources = chart::named_countries(destination).into_iter().map(|code| {
        let named_by = destination.places.iter().filter(|p| p.country == code);
        let named_by: Vec<&str> = named_by.map(|p| p.source.as_str()).collect();
        let country = wording.country(code);
        wording.with(
            "place-sources",
            &[("country", Arg::Text(&country)), ("sources", Arg::Text(&named_by.join(", ")))],
        )
    });
    let jurisdictions = destination.jurisdictions.iter().map(|j| {
        wording.with(
            "jurisdiction",
            &[
                ("country", Arg::Text(&wording.country(&j.code))),
                ("why", Arg::Text(&wording.text(words::why_id(j.why)))),
                ("basis", Arg::Text(&wording.text(words::basis_id(j.basis)))),
                ("date", Arg::Text(&wording.date(&j.as_of))),
            ],
        )
    });
    let rtt = destination.rtt_min_ms.map(|ms| {
        let ms = wording.decimal(ms, 1);
        match destination.max_km {
            Some(km) => {
                let km = wording.decimal(km, 0);
                wording.with("rtt-bound", &[("km", Arg::Text(&km)), ("ms", Arg::Text(&ms))])
            }
            None => wording.with("rtt-seen", &[("ms", Arg::Text(&ms))]),
        }
    });
    let named: Vec<String> = destination.messengers.iter().map(|m| wording.messenger(m)).collect();
    let (up, down) = (wording.bytes(destination.bytes_up), wording.bytes(destination.bytes_down));
    DestinationRow {
        address: destination.address.clone(),
        names: Capped::new(&destination.names, MAX_IN_CELL, "more-in-json", wording, Clone::clone),
        operator: chart::operator(destination, wording),
        operator_source: destination
            .operator
            .as_ref()
            .filter(|_| !local)
            .map_or(String::new(), |o| o.source.clone()),
        place: chart::place(destination, wording),
        agreement: if local {
            String::new()
        } else {
            wording.text(words::agreement_id(destination.agreement))
        },
        disputed: !local && destination.country.is_none() && !destination.places.is_empty(),
        sources: sources.collect(),
        rtt,
        jurisdictions: jurisdictions.collect(),
        role: wording.text(words::role_id(destination.role)),
        role_why: (!destination.role_why.is_empty())
            .then(|| wording.with("role-because", &[("why", Arg::Text(&destination.role_why))])),
        bytes: wording.bytes(destination.bytes_up.saturating_add(destination.bytes_down)),
        bytes_split: wording.with("bytes-up-down", &[("up", Arg::Text(&up)), ("down", Arg::Text(&down))]),
        used_by: (!named.is_empty())
            .then(|| wording.with("used-by", &[("messengers", Arg::Text(&named.join(", ")))])),
        seen: destination.flows.first().map(|flow| {
            let capture = flow.rsplit_once('#').map_or(flow.as_str(), |(capture, _)| capture);
            wording.with(
                "seen",
                &[
                    ("flows", Arg::Count(destination.flows.len() as u64)),
                    ("frame", Arg::Text(&destination.first_frame.to_string())),
                    ("capture", Arg::Text(capture)),
                ],
            )
        }),
    }
}

fn finding(finding: &Finding, wording: &Wording) -> FindingRow {
    FindingRow {
        id: finding.id.clone(),
        severity: wording.text(words::severity_id(finding.severity)),
        severity_class: format!("{:?}", finding.severity).to_lowercase(),
        kind: wording.text(words::kind_id(finding.kind)),
        what: finding.what.clone(),
        encoding: (!finding.encoding.is_empty())
            .then(|| wording.with("encoding-chain", &[("chain", Arg::Text(&finding.encoding.join(" > ")))])),
        capture: finding.capture.clone(),
        frames: frames(&finding.frames, wording),
        flow: wording.with("flow-n", &[("flow", Arg::Text(&finding.flow.to_string()))]),
        direction: finding.direction.map(|d| wording.text(words::direction_id(d))),
        messenger: finding.messenger.as_ref().map(|m| wording.messenger(m)),
        readable: wording.text(if finding.decrypted { "finding-decrypted" } else { "finding-clear" }),
    }
}

fn input(input: &Input, wording: &Wording) -> InputRow {
    let year = input.first_time.as_deref().and_then(|t| t.get(..4));
    let year_note = match year {
        None => String::new(),
        // A device without a clock starts to count at the epoch.
        Some("1970") => wording.text("year-none"),
        Some(year) => wording.with("year-note", &[("year", Arg::Text(year))]),
    };
    let mut run = Vec::new();
    let mut provenance = String::new();
    if let Some(made) = &input.run {
        let mut tell = |id: &str, name: &str, value: String| {
            run.push(wording.with(id, &[(name, Arg::Text(&value))]));
        };
        if let Some(id) = &made.messenger {
            tell("run-messenger", "messenger", wording.messenger(id));
        }
        if let Some(app) = &made.app {
            tell("run-app", "app", app.clone());
        }
        if let Some(device) = &made.device {
            tell("run-device", "device", device.clone());
        }
        if let Some(vantage) = made.vantage {
            tell("run-vantage", "vantage", wording.text(words::vantage_id(vantage)));
        }
        if let Some(recorder) = &made.recorder {
            tell("run-recorder", "recorder", recorder.clone());
        }
        if !made.steps.is_empty() {
            tell("run-steps", "steps", made.steps.join(", "));
        }
        provenance = made.provenance.clone().unwrap_or_default();
    }
    InputRow {
        file: input.file.clone(),
        sha256: input.sha256.clone(),
        frames: wording.count(input.frames),
        size: wording.bytes(input.bytes),
        from: input.first_time.as_deref().map(|t| wording.moment(t)),
        to: input.last_time.as_deref().map(|t| wording.moment(t)),
        year_note,
        truncated: input.truncated.then(|| wording.text("truncated")),
        run,
        provenance,
    }
}

fn coverage(capture: String, total: u64, classes: &BTreeMap<String, u64>, wording: &Wording) -> CoverageRow {
    let mut sorted: Vec<(&String, &u64)> = classes.iter().filter(|(_, bytes)| **bytes > 0).collect();
    sorted.sort_by_key(|(class, bytes)| (Reverse(**bytes), class.as_str()));
    let classes = sorted.into_iter().map(|(class, bytes)| ClassShare {
        class: class.clone(),
        name: wording.ledger_class(class),
        share: wording.share(*bytes, total),
        bytes: wording.bytes(*bytes),
        percent: if total == 0 { 0.0 } else { (*bytes as f64 / total as f64 * 100.0).clamp(0.0, 100.0) },
    });
    CoverageRow { capture, total: wording.bytes(total), classes: classes.collect() }
}

fn all_coverage(ledgers: &[Coverage], wording: &Wording) -> CoverageRow {
    let mut total = 0u64;
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    for ledger in ledgers {
        total = total.saturating_add(ledger.total);
        for (class, bytes) in &ledger.classes {
            let sum = classes.entry(class.clone()).or_default();
            *sum = sum.saturating_add(*bytes);
        }
    }
    coverage(wording.text("all-captures"), total, &classes, wording)
}
